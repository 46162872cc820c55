package bench

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Difference is where two runs part.
//
//	build A, B ─► every million cycles: hash each component of both
//	                │ equal: go on; keep a snapshot of both now and then
//	                ▼ not equal
//	   restore both, run to the middle, compare, … until two neighbouring cycles:
//	   equal at the one, not equal at the other
//	                ▼
//	   run that cycle once more under a probe: who does something else, and when
type Difference struct {
	Same      bool         `json:"same"`
	Compared  uint64       `json:"compared_cycles"` // up to where both were equal
	Config    []ConfigDiff `json:"config"`          // settings that differ
	FromStart []string     `json:"from_start"`      // components that differ before the first cycle: they are not looked at

	Cycle      uint64     `json:"cycle"`      // the first at whose end they differ
	Components []string   `json:"components"` // that differ then
	Event      *EventDiff `json:"event,omitempty"`
	Stats      []StatDiff `json:"stats"`           // that differ then and did not before
	Ended      string     `json:"ended,omitempty"` // a or b: only this run was over
}

// ConfigDiff is a key of the effective scenario with both values.
type ConfigDiff struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
}

// EventDiff is the first thing from that cycle on that a thread does otherwise.
// Threads run ahead of the engine's cycle within their quantum.
type EventDiff struct {
	Thread string `json:"thread"`
	A      string `json:"a"`
	B      string `json:"b"`
	AtA    uint64 `json:"cycle_a"`
	AtB    uint64 `json:"cycle_b"`
}

// StatDiff is a statistic with both values.
type StatDiff struct {
	Name string  `json:"name"`
	A    float64 `json:"a"`
	B    float64 `json:"b"`
}

// snapshotEvery is after how many equal comparisons both runs are saved.
const snapshotEvery = 8

// maxDiffs bounds the lists of a difference.
const maxDiffs = 20

// Diff runs two scenarios side by side until they part. progress may be nil.
func Diff(a, b *scenario.Scenario, progress func(Progress)) (*Difference, error) {
	d := &differ{progress: progress}
	for i, s := range []*scenario.Scenario{a, b} {
		var files Files
		j, err := files.Prepare(s)
		if err != nil {
			return nil, err
		}
		d.jobs[i] = j
	}
	defer d.close()
	return d.run()
}

// differ is a search under way.
type differ struct {
	jobs     [2]*Job
	m        [2]*machine
	saved    [2][]byte // state of both at cycle from
	from     sim.Cycle
	ignored  map[string]bool
	progress func(Progress)
}

func (d *differ) close() {
	for _, m := range d.m {
		if m != nil {
			m.close()
		}
	}
}

// both does something to both machines at once.
func (d *differ) both(do func(i int) error) error {
	var errs [2]error
	var wait sync.WaitGroup
	for i := range d.m {
		wait.Go(func() {
			defer func() { // on its own goroutine nobody else could turn it into a message
				if r := recover(); r != nil {
					errs[i] = fmt.Errorf("internal error: %v", r)
				}
			}()
			errs[i] = do(i)
		})
	}
	wait.Wait()
	return cmp.Or(errs[0], errs[1])
}

func (d *differ) run() (*Difference, error) {
	r := &Difference{Config: []ConfigDiff{}, FromStart: []string{}, Components: []string{}, Stats: []StatDiff{}}
	d.config(r)
	if err := d.fresh(); err != nil {
		return nil, err
	}
	d.ignored = map[string]bool{}
	for _, name := range d.differing(true) {
		d.ignored[name], d.ignored[everything] = true, true
		r.FromStart = append(r.FromStart, name)
	}
	if err := d.both(func(i int) error { d.m[i].start(); return nil }); err != nil {
		return nil, err
	}
	if err := d.save(0); err != nil {
		return nil, err
	}
	hi, err := d.search()
	if err != nil {
		return nil, err
	}
	if hi == 0 {
		r.Same, r.Compared = true, uint64(d.m[0].engine.Now())
		return r, nil
	}
	if hi, err = d.bisect(hi); err != nil {
		return nil, err
	}
	return r, d.explain(r, hi)
}

// config lists the settings that differ.
func (d *differ) config(r *Difference) {
	a, b := d.jobs[0].scenario.Effective(d.jobs[0].plan), d.jobs[1].scenario.Effective(d.jobs[1].plan)
	value := func(list []scenario.KV, key string) string {
		for _, kv := range list {
			if kv.Key == key {
				return kv.Value
			}
		}
		return ""
	}
	seen := map[string]bool{}
	for _, kv := range append(slices.Clone(a), b...) {
		if va, vb := value(a, kv.Key), value(b, kv.Key); va != vb && !seen[kv.Key] {
			seen[kv.Key] = true
			r.Config = append(r.Config, ConfigDiff{kv.Key, va, vb})
		}
	}
}

// search goes on until a comparison fails: the cycle of it, 0 if none does.
func (d *differ) search() (sim.Cycle, error) {
	for n := 1; ; n++ {
		to := d.from + sim.Cycle(n)*hashPeriod
		if err := d.to(to); err != nil {
			return 0, err
		}
		if d.progress != nil {
			d.progress(d.m[0].progress())
		}
		over := d.m[0].finished() && d.m[1].finished()
		full := over || n == snapshotEvery
		if len(d.differing(full)) > 0 || d.m[0].finished() != d.m[1].finished() {
			return to, nil
		}
		if over {
			return 0, nil
		}
		if n == snapshotEvery {
			if err := d.save(to); err != nil {
				return 0, err
			}
			n = 0
		}
	}
}

// bisect finds the first cycle at whose end the runs differ, at most hi.
func (d *differ) bisect(hi sim.Cycle) (sim.Cycle, error) {
	for hi-d.from > 1 {
		middle := d.from + (hi-d.from)/2
		if err := d.restore(); err != nil {
			return 0, err
		}
		if err := d.to(middle); err != nil {
			return 0, err
		}
		if len(d.differing(true)) > 0 || d.m[0].finished() != d.m[1].finished() {
			hi = middle
		} else if err := d.save(middle); err != nil {
			return 0, err
		}
	}
	return hi, nil
}

// to runs both up to a cycle, or to their end.
func (d *differ) to(cycle sim.Cycle) error {
	return d.both(func(i int) error {
		m := d.m[i]
		for !m.finished() && m.engine.Now() < cycle {
			if _, more := m.engine.Next(); !more {
				return fmt.Errorf("the simulation stands still at cycle %d: every thread waits (a defect of ringmap)", m.engine.Now())
			}
			m.engine.Run(cycle)
		}
		return nil
	})
}

// fresh builds both machines anew.
func (d *differ) fresh() error {
	d.close()
	return d.both(func(i int) (err error) {
		d.m[i], err = build(d.jobs[i].scenario, d.jobs[i].plan, d.jobs[i].plan.Track)
		return err
	})
}

// save remembers the state of both, which is that at the end of a cycle.
func (d *differ) save(at sim.Cycle) error {
	d.from = at
	return d.both(func(i int) error {
		c := sim.NewEncoder()
		d.m[i].Sync(c)
		d.saved[i] = c.Finish()
		return c.Err()
	})
}

func (d *differ) restore() error {
	if err := d.fresh(); err != nil {
		return err
	}
	return d.both(func(i int) error {
		c := sim.NewDecoder(d.saved[i])
		d.m[i].Sync(c)
		c.Finish()
		return c.Err()
	})
}

// component is a part of a machine that is compared by itself.
type component struct {
	name  string
	sync  func(c *sim.Codec)
	large bool // takes long: looked at before a snapshot only
}

// components lists what a machine consists of, small things first: the first that
// differs says most. The last holds everything, so that nothing is overlooked.
func (m *machine) components() []component {
	var list []component
	large := false
	add := func(sync func(c *sim.Codec), format string, args ...any) {
		list = append(list, component{fmt.Sprintf(format, args...), sync, large})
	}
	for i, v := range m.vm.VCPUs {
		add(func(c *sim.Codec) { sim.Uint(c, &v.Thread.Core.Now) }, "vCPU %d: clock", i)
		add(v.Thread.Sync, "vCPU %d: kernel paths", i)
		add(v.Ring.Sync, "vCPU %d: ring indices", i)
		add(v.Run.Sync, "vCPU %d: kvm_run", i)
		add(v.Cursor.Sync, "vCPU %d: guest accesses under way", i)
		add(v.Stats.Sync, "vCPU %d: counters", i)
	}
	for i, s := range m.streams {
		add(s.Sync, "vCPU %d: workload", i)
	}
	add(m.vmm.Main().Sync, "VMM: main thread in the kernel")
	add(m.vmm.Sync, "VMM")
	if m.its != nil {
		add(m.its.Sync, "devices")
	}
	add(m.engine.Sync, "events to come")
	add(m.vm.SlotsLock.Sync, "kernel: slots_lock")
	add(m.vm.MMULock.Sync, "kernel: mmu_lock")
	add(m.host.Stats.Sync, "kernel: counters")
	large = true
	add(func(c *sim.Codec) { m.vm.Stage2.Sync(c, m.host.Machine.Alloc) }, "stage-2 tables")
	add(func(c *sim.Codec) { m.host.Machine.Domain.Sync(c, m.host.Machine.Mem) }, "TLBs")
	add(m.host.Memory.Sync, "host: address space")
	if m.audit != nil {
		add(m.audit.Sync, "audit")
	}
	add(m.host.Machine.Mem.Sync, "memory")
	add(m.dest.Sync, "destination memory")
	add(m.Sync, everything)
	return list
}

// everything is the component that holds all others, and what none of them has.
const everything = "anything else"

// differing lists the components, but for those ignored and, unless all are to be
// looked at, the large ones, whose states are not equal. Components that only one
// machine has differ.
func (d *differ) differing(all bool) (names []string) {
	var hashes [2]map[string]uint64
	var order [2][]string
	_ = d.both(func(i int) error { // hashing does not fail
		hashes[i] = map[string]uint64{}
		for _, c := range d.m[i].components() {
			if d.ignored[c.name] || c.large && !all {
				continue
			}
			h := sim.NewHasher()
			c.sync(h)
			hashes[i][c.name] = h.Sum()
			order[i] = append(order[i], c.name)
		}
		return nil
	})
	for _, name := range append(order[0], order[1]...) {
		a, inA := hashes[0][name]
		b, inB := hashes[1][name]
		if (a != b || inA != inB) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 1 { // it holds the others
		names = slices.DeleteFunc(names, func(n string) bool { return n == everything })
	}
	return names
}

// explain runs the cycle in which the runs part once more, and looks at it.
func (d *differ) explain(r *Difference, hi sim.Cycle) error {
	if err := d.restore(); err != nil {
		return err
	}
	before := d.statistics()
	var logs [2]*eventLog
	for i, m := range d.m {
		logs[i] = newEventLog(m)
	}
	if err := d.to(hi); err != nil {
		return err
	}
	for i, m := range d.m {
		m.host.Settle()
		if m.finished() && !d.m[1-i].finished() {
			r.Ended = [2]string{"a", "b"}[i]
		}
	}
	r.Cycle, r.Compared = uint64(hi), uint64(d.from)
	r.Components = append(r.Components, d.differing(true)...)
	after := d.statistics()
	for _, name := range d.statNames() {
		a, b := after[0][name], after[1][name]
		if a != b && before[0][name] == before[1][name] && len(r.Stats) < maxDiffs {
			r.Stats = append(r.Stats, StatDiff{name, a, b})
		}
	}
	return d.firstEvent(r, hi, logs)
}

// eventHorizon is how far behind the first difference something that a thread does
// otherwise is looked for.
const eventHorizon = 256 * hashPeriod

// firstEvent goes on until a thread does something otherwise.
func (d *differ) firstEvent(r *Difference, hi sim.Cycle, logs [2]*eventLog) error {
	for end := hi; ; {
		if r.Event = firstDifference(logs); r.Event != nil || end-hi >= eventHorizon || d.m[0].finished() && d.m[1].finished() {
			return nil
		}
		for _, l := range logs {
			l.clear()
		}
		end += hashPeriod
		if err := d.to(end); err != nil {
			return err
		}
		for _, m := range d.m {
			m.host.Settle()
		}
		if d.progress != nil {
			d.progress(d.m[0].progress())
		}
	}
}

// statistics reads those of both machines.
func (d *differ) statistics() (values [2]map[string]float64) {
	for i, m := range d.m {
		values[i] = map[string]float64{}
		m.stats.Now = m.engine.Now()
		m.stats.Each(func(st sim.Stat) { values[i][st.Name] = st.Value })
	}
	return values
}

// statNames lists the statistics of the first machine in their order.
func (d *differ) statNames() (names []string) {
	d.m[0].stats.Each(func(st sim.Stat) { names = append(names, st.Name) })
	return names
}

// loggedEvent is one thing that a thread did.
type loggedEvent struct {
	at   sim.Cycle
	what string
}

// eventLog writes down what the threads of a machine do.
type eventLog struct {
	threads []string
	events  map[string][]loggedEvent
	logged  int
}

// maxLogged bounds a log. Both are cut at the same event as long as they are equal.
const maxLogged = 1 << 20

func (l *eventLog) clear() { l.threads, l.events, l.logged = nil, map[string][]loggedEvent{}, 0 }

func newEventLog(m *machine) *eventLog {
	l := &eventLog{events: map[string][]loggedEvent{}}
	name := m.threadNames()
	note := func(t *kvmcore.Thread, at sim.Cycle, format string, args ...any) {
		if l.logged++; l.logged > maxLogged {
			return
		}
		who := name(t)
		if _, known := l.events[who]; !known {
			l.threads = append(l.threads, who)
		}
		l.events[who] = append(l.events[who], loggedEvent{at, fmt.Sprintf(format, args...)})
	}
	m.host.Attach(&kvmcore.Probe{
		Spent: func(t *kvmcore.Thread, in kvmcore.Stack, from, to sim.Cycle, by *[kvmcore.NumCauses]uint64) {
			for c, n := range by {
				if n != 0 {
					note(t, to, "spends %d cycles on %s", n, kvmcore.Cause(c))
				}
			}
		},
		Began: func(t *kvmcore.Thread, p kvmcore.Path) { note(t, t.Core.Now, "enters %s", p) },
		Ended: func(t *kvmcore.Thread, p kvmcore.Path) { note(t, t.Core.Now, "leaves %s", p) },
		Waited: func(t *kvmcore.Thread, why string, from, to sim.Cycle) {
			note(t, to, "waits (%s) until cycle %d", why, to)
		},
		Recorded: func(t *kvmcore.Thread, gfn mmu.GFN, pages uint64) {
			note(t, t.Core.Now, "records guest page %#x", uint64(gfn))
		},
	})
	return l
}

// firstDifference finds the earliest event that is not in both logs, nil if there
// is none.
func firstDifference(logs [2]*eventLog) (first *EventDiff) {
	for _, thread := range append(slices.Clone(logs[0].threads), logs[1].threads...) {
		a, b := logs[0].events[thread], logs[1].events[thread]
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		if n == len(a) && n == len(b) {
			continue
		}
		e := &EventDiff{Thread: thread, A: nothingMore, B: nothingMore}
		if n < len(a) {
			e.A, e.AtA = a[n].what, uint64(a[n].at)
		}
		if n < len(b) {
			e.B, e.AtB = b[n].what, uint64(b[n].at)
		}
		if first == nil || e.when() < first.when() {
			first = e
		}
	}
	return first
}

const nothingMore = "does nothing more"

// when is the earlier of both cycles.
func (e *EventDiff) when() uint64 {
	switch {
	case e.AtA == 0:
		return e.AtB
	case e.AtB == 0:
		return e.AtA
	}
	return min(e.AtA, e.AtB)
}
