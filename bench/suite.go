package bench

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"ringmap/bench/gobench"
	"ringmap/bench/scenario"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
)

// Case is one scenario of the regression suite.
type Case struct {
	Name string
	Sets []string // over the scenario of its family
	text string
}

// The families: what the guest does, without a word about how it is tracked.
const (
	zipfFamily = `
vm:       {vcpus: 4, memory: 256MiB}
workload: {pattern: zipf, theta: 0.99, region: shared, accesses: 150000}
vmm:      {interval: 5ms}
`
	sequentialFamily = `
vm:       {vcpus: 2, memory: 128MiB, backing: thp}
workload: {pattern: sequential, region: own, accesses: 65536} # four passes
vmm:      {interval: 2ms}
`
	itsFamily = `
vm:       {vcpus: 4, memory: 256MiB}
workload: {pattern: hotcold, hot: 10%, hits: 80%, region: shared, accesses: 60000}
its:      {devices: 16, events: 16, msi_rate: 100000, save: 10ms}
vmm:      {interval: 5ms}
`
)

// suite is fixed, so that figures of two versions can be laid side by side. What
// it does not name of modes and policies, Suite adds.
var suite = []Case{
	{"zipf-off", []string{"tracking.mode=off"}, zipfFamily},
	{"zipf", []string{"tracking.mode=ring+bitmap", "tracking.ring=1024", "vmm.harvest=on-full-all"}, zipfFamily},
	{"zipf-own", []string{"tracking.mode=ring+bitmap", "tracking.ring=1024", "vmm.harvest=on-full-own", "vmm.interval=never"}, zipfFamily},
	{"zipf-interval", []string{"tracking.mode=ring+bitmap", "tracking.ring=1024", "vmm.harvest=interval", "vmm.interval=1ms"}, zipfFamily},
	{"zipf-ring", []string{"tracking.mode=ring", "tracking.ring=4096", "vmm.harvest=on-full-all"}, zipfFamily},
	{"zipf-bitmap", []string{"tracking.mode=bitmap"}, zipfFamily},
	{"zipf-16-vcpus", []string{"tracking.mode=ring+bitmap", "tracking.ring=1024", "vm.vcpus=16", "workload.accesses=30000"}, zipfFamily},
	{"zipf-64k", []string{"tracking.mode=ring+bitmap", "tracking.ring=4096", "host.page=64KiB", "kernel=6.12", "vmm.interval=200us"}, zipfFamily},
	{"sequential-bitmap", []string{"tracking.mode=bitmap"}, sequentialFamily},
	{"sequential-clear-log", []string{"tracking.mode=bitmap", "vmm.clear=manual", "tracking.manual_protect=initially-set"}, sequentialFamily},
	{"sequential-split", []string{"tracking.mode=bitmap", "vmm.clear=manual", "tracking.manual_protect=initially-set", "tracking.eager_split=4KiB"}, sequentialFamily},
	{"sequential-ring", []string{"tracking.mode=ring+bitmap", "tracking.stolen_time=on"}, sequentialFamily},
	{"its-saves", []string{"tracking.mode=ring+bitmap"}, itsFamily},
}

// Suite lists the cases of the regression suite: every tracking mode and every
// harvest policy is in one at least.
func Suite() []Case {
	list := slices.Clone(suite)
	missing := func(set string) bool {
		return !slices.ContainsFunc(list, func(c Case) bool { return slices.Contains(c.Sets, set) })
	}
	for _, mode := range scenario.Modes() {
		if set := "tracking.mode=" + mode; missing(set) {
			list = append(list, Case{"zipf-" + mode, []string{set}, zipfFamily})
		}
	}
	for _, p := range vmm.Policies() {
		if set := "vmm.harvest=" + p.Name; missing(set) {
			list = append(list, Case{"zipf-" + p.Name, []string{set}, zipfFamily})
		}
	}
	return list
}

// Scenario is the case's scenario with further settings, which win.
func (c Case) Scenario(sets []string) (*scenario.Scenario, error) {
	s, err := scenario.Parse("suite", []byte(c.text))
	if err != nil {
		return nil, err
	}
	s.Name = scenario.Text(c.Name)
	for _, set := range c.Sets {
		if err := s.Set("suite "+c.Name, set); err != nil {
			return nil, err
		}
	}
	for _, set := range sets {
		if err := s.Set("--set "+set, set); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SuiteOptions are what a run of the suite may be asked for.
type SuiteOptions struct {
	Sets     []string            // settings on top of every case
	Count    int                 // runs of each case: for the wall time, the rest is exact
	Workers  int                 // cases at a time
	Progress func(done, all int) // called when a run has finished; nil = never

	Publish func(c Case, p Progress, stats []sim.Stat) // as Options.Publish, of every case; nil = never
}

// SuiteRun is one case with its results.
type SuiteRun struct {
	Case   Case
	Result *Result
	Wall   []time.Duration // of each run; on a busy machine a matter of luck
}

// RunSuite runs cases, several at a time. An error names the case.
func RunSuite(cases []Case, o SuiteOptions) ([]SuiteRun, error) {
	runs := make([]SuiteRun, len(cases))
	errs := make([]error, len(cases))
	next := make(chan int)
	var mu sync.Mutex
	done := 0
	finished := func() {
		mu.Lock()
		defer mu.Unlock()
		if done++; o.Progress != nil {
			o.Progress(done, len(cases)*o.Count)
		}
	}
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for i := range next {
				runs[i], errs[i] = runCase(cases[i], o, finished)
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	workers.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", cases[i].Name, err)
		}
	}
	return runs, nil
}

func runCase(c Case, o SuiteOptions, finished func()) (run SuiteRun, err error) {
	defer func() { // on its own goroutine nobody else could turn it into a message
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	run.Case = c
	options := Options{Baseline: true}
	if o.Publish != nil {
		options.Publish = func(p Progress, stats []sim.Stat) { o.Publish(c, p, stats) }
	}
	s, err := c.Scenario(o.Sets)
	for i := 0; i < o.Count && err == nil; i++ {
		began := time.Now()
		var result *Result
		if result, err = Run(s, options); err != nil {
			return run, err
		}
		if run.Wall = append(run.Wall, time.Since(began)); i == 0 {
			run.Result = result
		}
		finished()
	}
	return run, err
}

// Rows are the lines of the Go benchmark format: one a run, axes in its name.
func (r SuiteRun) Rows() (rows []gobench.Row) {
	axes := []gobench.Axis{
		{Key: "scenario", Value: r.Case.Name}, {Key: "mode", Value: r.Result.Config("tracking.mode")},
		{Key: "vcpus", Value: r.Result.Config("vm.vcpus")}, {Key: "seed", Value: fmt.Sprint(r.Result.Seed)},
	}
	for _, wall := range r.Wall {
		values := append([]gobench.Value{{Unit: "ns/op", Value: float64(wall.Nanoseconds())}}, r.Result.BenchValues()...)
		rows = append(rows, gobench.Row{Axes: axes, Values: values})
	}
	return rows
}
