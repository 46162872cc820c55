package bench

import (
	"strings"

	"ringmap/bench/gobench"
)

// Metric is one simulated figure of a run, as comparisons and exports see it.
type Metric struct {
	Name   string
	Value  float64
	Better int // 1 = more is better, -1 = less is, 0 = neither
}

// CostPath is a path of kernel or VMM whose cycles have one cause, and the events that
// it serves: cycles per event are what a change of its code changes, whatever
// else the run does.
type CostPath struct {
	Cause string   // in the threads of a record
	Text  string   // what people call it
	Event string   // one of what it serves
	Count []string // the statistics that count these events
}

// CostPaths lists the paths, in the order of the causes.
var CostPaths = []CostPath{
	{"walk", "the TLB miss path", "guest access", []string{"guest.accesses"}},
	{"fault", "the write-fault path", "fault", []string{"fault.translation", "fault.permission"}},
	{"mark", "recording a dirty page", "record", []string{"ring.pushes", "bitmap.records"}},
	{"exit", "KVM_RUN with its exits", "fault or call", []string{"run.calls", "fault.translation", "fault.permission"}},
	{"reset", "KVM_RESET_DIRTY_RINGS", "entry", []string{"reset.entries"}},
	{"get", "KVM_GET_DIRTY_LOG", "call", []string{"get.calls"}},
	{"clear", "KVM_CLEAR_DIRTY_LOG", "call", []string{"clear.calls"}},
	{"steal", "the stolen-time update", "update", []string{"steal.updates"}},
	{"harvest", "harvesting", "ring entry or bitmap word", []string{"ring.harvested", "scan.words"}},
	{"copy", "copying pages", "page", []string{"vmm.pages_sent"}},
}

// Metrics lists the figures of a record: its statistics but for those of single
// vCPUs, cycles.GROUP.CAUSE for its threads, path.CAUSE for its cost paths.
func (r *Result) Metrics() []Metric {
	stats := map[string]float64{}
	var list []Metric
	for _, s := range r.Stats {
		stats[s.Name] = s.Value
		if !strings.HasPrefix(s.Name, "vcpu.") && !strings.HasPrefix(s.Name, "vmm.cycles.") && !strings.HasPrefix(s.Name, "vmm.waits.") {
			list = append(list, Metric{Name: s.Name, Value: s.Value, Better: Better(s.Name)})
		}
	}
	list = append(list, StackMetrics(r.Threads)...)
	return append(list, PathMetrics(r.Threads, func(name string) float64 { return stats[name] })...)
}

// StackMetrics sums the cycles of threads by group and cause, in the order of
// their first appearance. All vCPUs are one group.
func StackMetrics(threads []ThreadTime) (list []Metric) {
	at := map[string]int{}
	for _, t := range threads {
		for _, c := range t.Causes {
			name := "cycles." + Group(t.Name) + "." + c.Cause
			i, ok := at[name]
			if !ok {
				i = len(list)
				at[name] = i
				list = append(list, Metric{Name: name})
			}
			list[i].Value += float64(c.Cycles)
		}
	}
	return list
}

// Group is the name under which a thread's cycles are summed.
func Group(thread string) string {
	if strings.HasPrefix(thread, "vcpu.") {
		return "vcpus"
	}
	return thread
}

// PathMetrics divides what all threads spent on each cost path by its events.
func PathMetrics(threads []ThreadTime, stat func(name string) float64) (list []Metric) {
	for _, p := range CostPaths {
		cycles, events := uint64(0), 0.0
		for _, t := range threads {
			for _, c := range t.Causes {
				if c.Cause == p.Cause {
					cycles += c.Cycles
				}
			}
		}
		for _, name := range p.Count {
			events += stat(name)
		}
		if cycles != 0 && events != 0 {
			list = append(list, Metric{"path." + p.Cause, float64(cycles) / events, -1})
		}
	}
	return list
}

// Better says in which direction a statistic is an improvement: 1 = more, -1 =
// less, 0 = neither. Most have none.
func Better(name string) int {
	switch name {
	case "time.cycles", "time.downtime_cycles", "guest.slowdown", "mem.tracking_bytes", "audit.lost_pages", "lost.total", "vmm.findings":
		return -1
	}
	return 0
}

// headline lists what a benchmark line shows of the statistics; all of them are
// in the JSON records.
var headline = []string{
	"time.cycles", "guest.slowdown", "time.downtime_cycles", "guest.instructions", "guest.accesses", "fault.translation", "fault.permission",
	"ring.pushes", "ring.full_exits", "ring.harvested", "reset.entries", "reset.batches", "bitmap.records", "bitmap.bits_set", "bitmap.density",
	"scan.words", "get.calls", "clear.calls", "run.calls", "steal.updates", "vmm.pages_sent", "mem.tracking_bytes", "audit.changed_pages", "audit.lost_pages", "lost.total", "vmm.findings",
}

// BenchValues are the headline figures, the cycle stack and the cost paths of a
// record as values of a benchmark line.
func (r *Result) BenchValues() []gobench.Value {
	byName := map[string]Metric{}
	all := r.Metrics()
	for _, m := range all {
		byName[m.Name] = m
	}
	var values []gobench.Value
	add := func(m Metric) {
		values = append(values, gobench.Value{Unit: m.Name, Value: m.Value, Exact: true, Better: m.Better})
	}
	for _, name := range headline {
		if m, ok := byName[name]; ok {
			add(m)
		}
	}
	for _, m := range all {
		if strings.HasPrefix(m.Name, "cycles.") || strings.HasPrefix(m.Name, "path.") {
			add(m)
		}
	}
	return values
}
