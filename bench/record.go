package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ringmap/bench/audit"
	"ringmap/bench/scenario"
	"ringmap/cpu/exec"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
)

func newResult(s *scenario.Scenario, p *scenario.Plan, trace string) *Result {
	effective := s.Effective(p)
	return &Result{
		Version:  Version,
		Name:     string(s.Name),
		Hash:     scenario.Hash(effective, trace),
		Seed:     uint64(s.Seed),
		Scenario: effective,
		Derived:  p.Derived(),
		Warnings: append([]string{}, p.Warnings...),
	}
}

// record reads everything that the finished machine has to say.
func (m *machine) record(r *Result, s *scenario.Scenario) {
	m.stats.Now = m.engine.Now()
	r.Cycles = uint64(m.engine.Now())
	r.Finished = "work done"
	switch {
	case s.Run.MaxCycles != 0:
		r.Finished = "cycle limit"
	case m.plan.Until != 0:
		r.Finished = "time over"
	}
	if m.dst != nil && m.dst.vm.Program.End != kvmcore.EndNot {
		r.Finished = m.dst.vm.Program.End.String()
	} else if end := m.vm.Program.End; end != kvmcore.EndNot {
		r.Finished = end.String()
	}
	r.Console, r.Instructions = m.console(), m.vm.Program.Retired
	r.Exit = exitStatus(r.Console)
	for _, v := range m.allVCPUs() {
		r.Writes += v.Stats.Stores
	}
	r.Kernel = append([]string{}, m.host.Warns...)
	for _, f := range m.vmm.Findings {
		r.Findings = append(r.Findings, fmt.Sprintf("cycle %d: %s", f.At, f))
	}
	if m.dst != nil {
		for _, f := range m.dst.vmm.Findings {
			r.Findings = append(r.Findings, fmt.Sprintf("cycle %d, at the destination: %s", f.At, f))
		}
	}
	m.recordAudit(r, s)
	m.recordMigration(r)
	m.recordEpochs(r)
	for i, v := range m.vm.VCPUs {
		r.Threads = append(r.Threads, m.threadTime(fmt.Sprintf("vcpu.%d", i), v.Thread))
	}
	r.Threads = append(r.Threads, m.threadTime("vmm", m.vmm.Main()))
	if m.its != nil {
		r.Threads = append(r.Threads, m.threadTime("devices", m.devices))
	}
	if m.outside != nil {
		r.Threads = append(r.Threads, m.threadTime("outside", m.outside.thread))
	}
	r.Figures = figures(m.plan.Profile)
	if m.plan.Caches != nil {
		r.Figures.add(s.CacheFigures())
		if m.plan.Program {
			for _, f := range exec.Figures() {
				r.Figures.add([]kvmcore.Figure{{Name: f.Name, Kind: f.Kind, Source: f.Source}})
			}
		}
	}
	r.Failed = s.Audit.OnLoss == "fail" && r.Audit.LostPages != 0
	// Last: the audit has finished its count by now.
	m.stats.Each(func(st sim.Stat) { r.Stats = append(r.Stats, st) })
	if m.host.Story != nil {
		m.tellStory(r)
	}
}

// recordAudit finishes the audit and joins its lost pages with the kernel's
// ledger of lost records.
func (m *machine) recordAudit(r *Result, s *scenario.Scenario) {
	a := &r.Audit
	a.Collections, a.Causes, a.Lost, a.Records = []Collection{}, []CausePages{}, []LostPage{}, []CausePages{}
	for cause, n := range m.host.Stats.Losses {
		if n != 0 {
			a.Records = append(a.Records, CausePages{kvmcore.LossCause(cause).String(), n})
		}
	}
	if m.audit == nil {
		return
	}
	if m.stayed() || m.vmm.Dead() { // what the destination holds counts for nothing
		return
	}
	r.Audited = true
	lost := m.finishAudit()
	m.lost = lost
	a.LostPages = uint64(len(lost))
	for _, c := range audit.Causes(lost) {
		a.Causes = append(a.Causes, CausePages{c.Cause, c.Pages})
	}
	for _, e := range lost[:min(len(lost), int(s.Audit.List))] {
		a.Lost = append(a.Lost, LostPage{uint64(e.GFN), e.Cause, uint64(e.Cycle), writerName(e.Writer)})
	}
	for _, c := range m.audit.Collections {
		a.Collections = append(a.Collections, Collection{
			uint64(c.Opened), uint64(c.Closed), c.Changed, c.Reported, c.Missed, c.Late, c.Spurious,
		})
	}
}

// CauseText explains a cause of the audit in words.
func CauseText(name string) string {
	for c := range kvmcore.NumLossCauses {
		if c.String() == name {
			return c.Text()
		}
	}
	if name == causeStranded {
		return "its record is in a ring, at a place that userspace had not come to"
	}
	return name
}

func writerName(w mmu.Writer) string {
	switch w {
	case mmu.WriterKernel:
		return "kernel, no vCPU"
	case mmu.WriterVMM:
		return "VMM"
	case mmu.WriterDMA:
		return "device"
	case mmu.WriterImage:
		return "loader"
	}
	return fmt.Sprintf("vCPU %d", w)
}

// threadTime says where a thread's cycles went: what it executed and what it
// waited for, zero causes left out.
func (m *machine) threadTime(name string, t *kvmcore.Thread) ThreadTime {
	tt := ThreadTime{Name: name, Causes: []CauseCycles{}}
	add := func(name string, n uint64) {
		if n != 0 {
			tt.Causes = append(tt.Causes, CauseCycles{name, n})
			tt.Total += n
		}
	}
	for c, n := range t.Cycles {
		add(kvmcore.Cause(c).String(), n)
	}
	m.vmm.EachWait(t, func(w vmm.Wait, n sim.Cycle) { add("wait_"+w.String(), uint64(n)) })
	return tt
}

// figures tells how far the numbers can be trusted.
func figures(p *kvmcore.Profile) Figures {
	f := Figures{Profile: p.Name, Measured: []string{}, Fitted: []string{}, Predicted: []string{}, Note: note}
	for _, c := range p.Figures() {
		line := fmt.Sprintf("%s = %d cycles (%s)", c.Name, c.Cycles, c.Source)
		switch c.Kind {
		case "measured":
			f.Measured = append(f.Measured, line)
		case "fit":
			f.Fitted = append(f.Fitted, line)
		default:
			f.Predicted = append(f.Predicted, line)
		}
	}
	return f
}

// add enters the numbers of the caches.
func (f *Figures) add(list []kvmcore.Figure) {
	for _, c := range list {
		line := fmt.Sprintf("%s (%s)", c.Name, c.Source)
		switch c.Kind {
		case "measured":
			f.Measured = append(f.Measured, line)
		case "fit":
			f.Fitted = append(f.Fitted, line)
		case "assumed":
			f.Predicted = append(f.Predicted, "assumed: "+line)
		default:
			f.Predicted = append(f.Predicted, line)
		}
	}
}

// work is how many accesses all guests make, 0 if nobody knows.
func (m *machine) work() uint64 {
	switch {
	case m.plan.Program:
		return 0
	case m.trace != nil:
		return m.trace.Accesses()
	}
	for _, set := range m.plan.Pattern.Effective() {
		if set.Name == "accesses" {
			n, _ := strconv.ParseUint(set.Value, 10, 64) // valid, or there were no plan
			return n * uint64(m.plan.VCPUs)
		}
	}
	return 0
}

// note says of the statistics what the lists say of the costs.
const note = "counts of records, pages, bits, exits and losses follow the kernel's rules; all cycles, shares and slowdowns are predictions from these costs"

// progress is the share of the work done: of the time for a fixed time, else of
// the accesses or trace records.
func (m *machine) progress() Progress {
	p := Progress{Cycle: uint64(m.engine.Now())}
	if m.plan.Until != 0 {
		p.Share = float64(p.Cycle) / float64(m.plan.Until)
		return p
	}
	var done uint64
	for _, v := range m.allVCPUs() {
		done += v.Stats.Accesses
	}
	p.Share = ratio(done, max(m.work(), 1))
	return p
}

// Statistics lists every statistic that a run records, by building the machine
// of the default scenario with one vCPU, an ITS, a migration and caches, and reading
// it before it runs.
func Statistics() ([]sim.Stat, error) {
	s := scenario.Default()
	s.ITS.Devices = 1
	s.CPU.Model = "inorder"
	s.VM.VCPUs = scenario.OptCount{N: 1}
	s.Outside.Rate = 1
	s.Migrate.Start = scenario.Time{}
	list, err := statistics(s)
	if err != nil {
		return nil, err
	}
	// Checkpoints come instead of a migration.
	s.Migrate.Start, s.Checkpoint.Pages = scenario.Time{Never: true}, 1
	more, err := statistics(s)
	for _, st := range more {
		if strings.HasPrefix(st.Name, "epoch.") {
			list = append(list, st)
		}
	}
	slices.SortStableFunc(list, func(a, b sim.Stat) int {
		switch {
		case sim.NaturalLess(a.Name, b.Name):
			return -1
		case sim.NaturalLess(b.Name, a.Name):
			return 1
		}
		return 0
	})
	return list, err
}

func statistics(s *scenario.Scenario) (list []sim.Stat, err error) {
	p, err := s.Plan(nil)
	if err != nil {
		return nil, err
	}
	m, err := build(s, p, p.Track)
	if err != nil {
		return nil, err
	}
	defer m.close()
	m.slowdown(Baseline{})
	m.stats.Each(func(st sim.Stat) { list = append(list, st) })
	return list, nil
}
