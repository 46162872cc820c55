package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
	"ringmap/workloads"
)

// Options of a run.
type Options struct {
	Baseline bool              // also run with tracking off, for guest.slowdown
	Without  *Baseline         // what that run came to, if it is known already
	Hashes   bool              // hash all state every million cycles
	Snapshot scenario.Time     // when to save all state; zero = never
	Resume   []byte            // a snapshot file to continue from
	Console  func(text []byte) // called with what the guest has written since; nil = never
	Progress func(Progress)    // called a few times a second of work; nil = never

	// Publish is called with the statistics at the beginning, a few times a second of
	// wall time and at the end, on the simulation's goroutine: what the list points to
	// is only valid within the call. nil = never.
	Publish func(Progress, []sim.Stat)

	Profile bool    // record where simulated cycles went: Result.Profile
	Window  *Window // record what happened when: Result.Trace; nil = no

	ResumeName string // of the snapshot file, for messages
	Watch      uint64 // guest frame whose story to record
	HasWatch   bool
}

// Window is the simulated time that a trace shows; To zero = to the end.
type Window struct {
	From, To scenario.Time
	Events   int // at most; 0 = view.DefaultEvents
}

// Progress tells how far a run is.
type Progress struct {
	Cycle uint64
	Share float64 // of the work or time, 0 to 1
}

// hashPeriod is how often state hashes are taken.
const hashPeriod sim.Cycle = 1_000_000

// slice is how many cycles run between two looks at the outside world.
const slice sim.Cycle = 2_000_000

// Run runs a scenario to its end. Errors of the input are *scenario.Problem or
// *workloads.TraceError.
func Run(s *scenario.Scenario, o Options) (*Result, error) {
	var files Files
	j, err := files.Prepare(s)
	if err != nil {
		return nil, err
	}
	return j.Run(o)
}

// Run runs the job to its end.
func (j *Job) Run(o Options) (*Result, error) {
	m, err := build(j.scenario, j.plan, j.plan.Track)
	if err != nil {
		return nil, err
	}
	defer m.close()
	base := make(chan baseline, 1)
	switch {
	case !j.Compares():
	case o.Without != nil:
		base <- baseline{Baseline: *o.Without}
	case o.Baseline:
		go func() { base <- runBaseline(j.scenario, j.plan) }()
	}
	if j.plan.Series != 0 {
		m.series = newSeries(m)
	}
	r := newResult(j.scenario, j.plan, j.digest)
	if err := m.simulate(r, o); err != nil {
		return nil, err
	}
	if j.Compares() && (o.Baseline || o.Without != nil) {
		b := <-base
		if b.err != nil {
			return nil, b.err
		}
		m.slowdown(b.Baseline)
	}
	m.record(r, j.scenario)
	return r, m.tell(r)
}

// plan opens the trace for what the plan takes from it.
func (f *Files) plan(s *scenario.Scenario) (*scenario.Plan, string, error) {
	if s.HasProgram() {
		p, err := s.Plan(nil)
		if err != nil {
			return nil, "", err
		}
		program, err := openProgram(s, p)
		if err != nil {
			return nil, "", err
		}
		return p, program.digest, nil
	}
	if !s.HasTrace() {
		p, err := s.Plan(nil)
		return p, "", err
	}
	t, err := f.trace(s)
	if err != nil {
		return nil, "", err
	}
	p, err := s.Plan(&t.Trace)
	return p, t.digest, err
}

// simulate runs the machine to the end of its VMM's final sequence, with the
// stops that the options ask for.
func (m *machine) simulate(r *Result, o Options) error {
	if o.Resume == nil {
		m.start()
	} else if err := m.resume(r, o); err != nil {
		return err
	}
	snapshot := sim.Never
	if at := o.Snapshot.In(m.plan.Clock); at != 0 {
		snapshot = at
	}
	if now := m.engine.Now(); snapshot <= now && now != 0 {
		return fmt.Errorf("%s continues at cycle %d, after the snapshot that is asked for at %s", o.ResumeName, now, o.Snapshot)
	}
	nextHash := sim.Never
	if o.Hashes {
		nextHash = (m.engine.Now()/hashPeriod + 1) * hashPeriod
	}
	if o.HasWatch {
		m.watch(o.Watch)
	}
	if err := m.observe(o); err != nil {
		return err
	}
	m.publish(o, true)
	shown := 0
	for !m.finished() {
		if _, more := m.engine.Next(); !more {
			return fmt.Errorf("the simulation stands still at cycle %d: every thread waits (a defect of ringmap)", m.engine.Now())
		}
		m.engine.Run(min(m.engine.Now()+slice, nextHash, snapshot, m.nextSample()))
		now := m.engine.Now()
		if m.series != nil && now >= m.series.next {
			m.series.sample(now)
		}
		if now >= nextHash && !m.finished() {
			r.Hashes = append(r.Hashes, StateHash{uint64(now), m.hash()})
			nextHash += hashPeriod
		}
		if now >= snapshot {
			snapshot = sim.Never
			if err := m.snapshot(r, now); err != nil {
				return err
			}
		}
		if text := m.console(); o.Console != nil && shown < len(text) {
			o.Console(text[shown:])
			shown = len(text)
		}
		if o.Progress != nil {
			o.Progress(m.progress())
		}
		m.publish(o, false)
	}
	m.publish(o, true)
	if m.trace != nil && m.trace.Err() != nil {
		return m.trace.Err()
	}
	if r.Snapshot == nil && o.Snapshot != (scenario.Time{}) {
		return fmt.Errorf("the run ended at cycle %d, before the snapshot at %s", m.engine.Now(), o.Snapshot)
	}
	return nil
}

// start lets time begin.
func (m *machine) start() {
	m.vmm.Start()
	if m.its != nil {
		m.its.arm(m.engine)
	}
	if m.outside != nil {
		m.outside.arm(m.engine)
	}
}

func (m *machine) hash() string {
	c := sim.NewHasher()
	m.Sync(c)
	return fmt.Sprintf("%016x", c.Sum())
}

// snapshot saves all state, with the hash of the scenario that it belongs to.
func (m *machine) snapshot(r *Result, now sim.Cycle) error {
	c := sim.NewEncoder()
	hash := r.Hash
	c.Str(&hash)
	m.syncHashes(c, r)
	m.Sync(c)
	if c.Err() != nil {
		return c.Err()
	}
	var b bytes.Buffer
	if err := sim.WriteSnapshot(&b, Version, c.Finish()); err != nil {
		return err
	}
	r.Snapshot, r.SnapshotCycle = b.Bytes(), uint64(now)
	return nil
}

// syncHashes keeps the state hashes taken so far, so that a resumed run records
// all of them.
func (m *machine) syncHashes(c *sim.Codec, r *Result) {
	sim.Slice(c, &r.Hashes, func(c *sim.Codec, h *StateHash) {
		c.U64(&h.Cycle)
		c.Str(&h.Hash)
	})
}

// resume restores a machine that has just been built.
func (m *machine) resume(r *Result, o Options) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", o.ResumeName, fmt.Sprintf(format, args...))
	}
	version, state, err := sim.ReadSnapshot(o.Resume)
	switch {
	case err != nil:
		return fail("%v", err)
	case version != Version:
		return fail("this snapshot was made by ringmap %s, and this is %s: run it with the version that made it", version, Version)
	}
	c := sim.NewDecoder(state)
	saved := ""
	c.Str(&saved)
	if c.Err() == nil && saved != r.Hash {
		return fail("this snapshot belongs to another scenario (hash %s, this one has %s): give the scenario and settings it was made with", saved, r.Hash)
	}
	m.syncHashes(c, r)
	m.Sync(c)
	c.Finish()
	if c.Err() != nil {
		return fail("%v", c.Err())
	}
	return nil
}

// traceProblem places an error about a trace at the key that names the trace,
// unless it names file and place itself.
func traceProblem(s *scenario.Scenario, err error) error {
	var te *workloads.TraceError
	if errors.As(err, &te) {
		return err
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return s.Problem("workload.trace", "", "%s: %v", s.Path("workload.trace", s.Workload.Trace), err)
}

// Baseline is what a run with tracking off came to.
type Baseline struct {
	Cycles       uint64 // of the guest's run
	Instructions uint64 // that all guests retired
	VCPUs        string // of each vCPU: cycles, a colon, instructions; commas between
}

type baseline struct {
	Baseline
	err error
}

func runBaseline(s *scenario.Scenario, p *scenario.Plan) (b baseline) {
	defer func() { // on its own goroutine nobody else could turn it into a message
		if r := recover(); r != nil {
			b.err = fmt.Errorf("internal error in the baseline run: %v", r)
		}
	}()
	m, err := build(s, p, vmm.TrackOff)
	if err != nil {
		return baseline{err: err}
	}
	defer m.close()
	if err := m.simulate(&Result{}, Options{}); err != nil {
		return baseline{err: err}
	}
	b.Baseline = Baseline{Cycles: uint64(m.vmm.RunTime()), Instructions: m.instructions()}
	var work []string
	for i, v := range m.vm.VCPUs {
		work = append(work, fmt.Sprintf("%d:%d", m.vmm.VCPUTime(i), v.Stats.Instructions))
	}
	b.VCPUs = strings.Join(work, ",")
	return b
}

// instructions are those that all guests retired.
func (m *machine) instructions() (n uint64) {
	if m.dst != nil {
		n = instructions(m.dst.vm)
	}
	return n + instructions(m.vm)
}

func instructions(vm *kvmcore.VM) (n uint64) {
	for _, v := range vm.VCPUs {
		n += v.Stats.Instructions
	}
	return n
}

// allVCPUs are those of source and destination.
func (m *machine) allVCPUs() []*kvmcore.VCPU {
	if m.dst == nil {
		return m.vm.VCPUs
	}
	return append(slices.Clone(m.vm.VCPUs), m.dst.vm.VCPUs...)
}

// console is what the guest has written to its UART, wherever it ran.
func (m *machine) console() []byte {
	if m.dst == nil {
		return m.vmm.UART.Text
	}
	return append(slices.Clone(m.vmm.UART.Text), m.dst.vmm.UART.Text...)
}

// slowdownOf is the slowdown of one vCPU, 0 if it did nothing without tracking;
// base is its entry of Baseline.VCPUs.
func (m *machine) slowdownOf(i int, base string) float64 {
	var cycles, instructions uint64
	if _, err := fmt.Sscanf(base, "%d:%d", &cycles, &instructions); err != nil || i >= len(m.vm.VCPUs) {
		return 0
	}
	if m.plan.Until != 0 && m.vm.Program.End == kvmcore.EndNot {
		return ratio(instructions, m.vm.VCPUs[i].Stats.Instructions)
	}
	return ratio(uint64(m.vmm.VCPUTime(i)), cycles)
}

// slowdowns are the slowdowns of the vCPUs one by one: the largest, and their
// mean. Those that did nothing without tracking are left out.
func (m *machine) slowdowns(b Baseline) (most, mean float64) {
	n := 0
	for i, w := range strings.Split(b.VCPUs, ",") {
		one := m.slowdownOf(i, w)
		if one == 0 {
			continue
		}
		n++
		most = max(most, one)
		mean += one
	}
	if n == 0 {
		return 0, 0
	}
	return most, mean / float64(n)
}

// slowdown registers how much slower the guest was than without tracking: the
// ratio of cycles for fixed work, of retired work for fixed time.
func (m *machine) slowdown(b Baseline) {
	m.stats.Derived("guest.slowdown", "", "time of the same guest work over that with tracking off; 1 = tracking costs nothing", func() float64 {
		if m.plan.Until != 0 && m.vm.Program.End == kvmcore.EndNot {
			return ratio(b.Instructions, m.instructions())
		}
		run := m.vmm.RunTime()
		if m.dst != nil {
			run += m.dst.vmm.RunTime()
		}
		return ratio(uint64(run), b.Cycles)
	})
	if m.dst != nil {
		return // the destination runs other vCPUs
	}
	for i, w := range strings.Split(b.VCPUs, ",") {
		m.stats.Derived(fmt.Sprintf("vcpu.%d.slowdown", i), "", "slowdown of this vCPU", func() float64 { return m.slowdownOf(i, w) })
	}
	m.stats.Derived("guest.slowdown_max", "", "slowdown of the vCPU that tracking slows down most", func() float64 {
		most, _ := m.slowdowns(b)
		return most
	})
	m.stats.Derived("guest.fairness", "", "that over the mean slowdown of all vCPUs; 1 = all pay the same", func() float64 {
		most, mean := m.slowdowns(b)
		if mean == 0 {
			return 0
		}
		return most / mean
	})
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
