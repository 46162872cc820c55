package bench

import (
	"fmt"
	"strings"

	"ringmap/bench/audit"
	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
)

// PerfOptions are those of the kernel's dirty_log_perf_test, and what it lacks for
// rings. tools/testing/selftests/kvm/dirty_log_perf_test.c.
type PerfOptions struct {
	Iterations int            // -i, at least 2
	Bytes      uint64         // -b, of each vCPU
	VCPUs      int            // -v
	Writes     int            // -w, percent of the accesses
	Random     bool           // -a
	Seed       uint64         // -r
	Overlap    bool           // -o
	Slots      int            // -x
	Backing    string         // as vm.backing
	Mode       string         // -M: clear-log, or a tracking mode
	Ring       uint64         // -c, entries
	Page       uint64         // bytes of a host page
	Kernel     string         // as kernel
	Harvest    string         // as vmm.harvest
	Offset     uint64         // -p, used if HasOffset
	HasOffset  bool           // else the top of the guest physical addresses
	Progress   func(Progress) // called a few times a second of work; nil = never
}

// PerfResult is what the test found. All times are in cycles of the host clock.
type PerfResult struct {
	Options    PerfOptions `json:"-"`
	Mode       string      `json:"mode"`
	GuestMode  string      `json:"guest_mode"`
	Start      uint64      `json:"guest_physical_start"`
	End        uint64      `json:"guest_physical_end"`
	Hz         uint64      `json:"clock_hz"`
	Populate   uint64      `json:"populate_cycles"`
	Enable     uint64      `json:"enable_cycles"`
	Iterations []PerfPass  `json:"iterations"`
	Disable    uint64      `json:"disable_cycles"`
	Findings   []string    `json:"findings"`
}

// PerfPass is one iteration.
type PerfPass struct {
	Dirty uint64 `json:"dirty_memory_cycles"`
	Gets  uint64 `json:"get_calls"`
	Get   uint64 `json:"get_cycles"`
	Clear uint64 `json:"clear_cycles"`

	Clears          uint64  `json:"clear_calls"`
	Pushed          uint64  `json:"pushed"`
	Unique          uint64  `json:"unique"`
	Duplicate       uint64  `json:"duplicate"`
	FullExits       uint64  `json:"full_exits"`
	RepeatFullExits uint64  `json:"repeat_full_exits"`
	OccupancyMean   float64 `json:"occupancy_mean"` // entries in use when a reset comes to a ring
	OccupancyMax    uint64  `json:"occupancy_max"`

	ResetEntries uint64 `json:"reset_entries"`
	ResetBatches uint64 `json:"reset_batches"`
	Protected    uint64 `json:"protected_pages"`
	Reset        uint64 `json:"reset_cycles"`

	Slots        int    `json:"slots"`
	Bits         uint64 `json:"bits"`
	Pages        uint64 `json:"bitmap_pages"` // of the bitmaps that were asked for
	WordsScanned uint64 `json:"words_scanned"`
	WordsSet     uint64 `json:"words_set"`
	BytesCopied  uint64 `json:"bytes_copied"`

	Missing uint64       `json:"missing"`
	Causes  []CausePages `json:"causes"`
}

// PerfTest populates memory, turns logging on, and in each iteration lets every
// vCPU go once over its part, then collects and verifies.
func PerfTest(o PerfOptions) (*PerfResult, error) {
	s, err := o.scenario()
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(nil)
	if err != nil {
		return nil, err
	}
	for _, slot := range p.Slots[1:] {
		p.Pattern.Size += slot.Size // the slots are contiguous
	}
	m, err := build(s, p, p.Track)
	if err != nil {
		return nil, err
	}
	defer m.close()
	t := &perfTest{machine: m, scenario: s, options: o}
	t.pages = p.Pattern.Size / p.Page.Size()
	t.perPass = t.pages / uint64(p.VCPUs)
	if o.Overlap {
		t.perPass = t.pages
	}
	return t.run()
}

// scenario says in a scenario's words what the options say.
func (o *PerfOptions) scenario() (*scenario.Scenario, error) {
	total := o.Bytes * uint64(o.VCPUs)
	if o.Bytes == 0 || o.Bytes > 1<<48 || total/uint64(o.Slots)*uint64(o.Slots) != total || total/uint64(o.Slots)%o.Page != 0 {
		return nil, fmt.Errorf("-b %d -v %d -x %d: the memory of all vCPUs must divide evenly into slots of whole pages", o.Bytes, o.VCPUs, o.Slots)
	}
	base := o.Offset
	if align := max(o.Page, blockBytes(o.Backing)); !o.HasOffset {
		top := uint64(1)<<kvmcore.IPABits - o.Page // max_gfn of the guest, exclusive
		if total > top {
			return nil, fmt.Errorf("-b %d -v %d: more memory than %d bits of guest physical address", o.Bytes, o.VCPUs, kvmcore.IPABits)
		}
		base = (top - total) / align * align
	}
	s := scenario.Default()
	s.Name, s.Kernel, s.Seed = "perf-test", scenario.Name(o.Kernel), scenario.Count(o.Seed)
	s.Host.Page = scenario.Size(o.Page)
	s.VM.VCPUs = scenario.OptCount{N: scenario.Count(o.VCPUs)}
	for i := range o.Slots {
		size := total / uint64(o.Slots)
		s.VM.Slots = append(s.VM.Slots, scenario.Slot{Base: scenario.Addr(base + uint64(i)*size), Size: scenario.Size(size), Backing: scenario.Name(o.Backing), Populated: false})
	}
	pattern, region := "sequential", "own"
	if o.Random {
		pattern = "uniform"
	}
	if o.Overlap {
		region = "shared"
	}
	sets := []string{"workload.pattern=" + pattern, "workload.region=" + region, fmt.Sprintf("workload.writes=%d%%", o.Writes),
		"workload.accesses=1000000000000", "vmm.interval=10000s", "vmm.harvest=" + o.Harvest}
	if o.Mode == vmm.TrackClearLog.String() {
		sets = append(sets, "tracking.mode=bitmap", "tracking.manual_protect=initially-set", "vmm.clear=manual")
	} else {
		sets = append(sets, "tracking.mode="+o.Mode)
	}
	if o.Ring != 0 {
		sets = append(sets, fmt.Sprintf("tracking.ring=%d", o.Ring))
	}
	for _, set := range sets {
		if err := s.Set("perf-test", set); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// blockBytes is what the backing's blocks are aligned to.
func blockBytes(backing string) uint64 {
	if backing == "4k" {
		return 0
	}
	return 2 << 20
}

// perfTest is a test under way.
type perfTest struct {
	*machine
	scenario *scenario.Scenario
	options  PerfOptions
	pages    uint64 // of all slots
	perPass  uint64 // accesses of a vCPU in an iteration
	passes   int    // done
}

func (t *perfTest) run() (*PerfResult, error) {
	p := t.plan
	r := &PerfResult{Options: t.options, Mode: t.options.Mode, Hz: uint64(p.Clock), Start: p.Base, End: p.Base + p.Memory, Findings: []string{},
		GuestMode: fmt.Sprintf("PA-bits:%d,  VA-bits:48, %2dK pages", p.IPABits, p.Page.Size()>>10)}
	if err := t.pass(vmm.TrackOff); err != nil {
		return nil, err
	}
	r.Populate = uint64(t.vmm.RunTime())
	for i := range t.options.Iterations {
		before := t.totals()
		losses := len(t.host.Losses)
		t.host.NextPageEpoch()
		t.host.Stats.Occupancy = sim.Histogram{}
		if err := t.pass(p.Track); err != nil {
			return nil, err
		}
		if i == 0 {
			r.Enable = t.vmm.Main().Cycles[kvmcore.CauseProtect]
		}
		r.Iterations = append(r.Iterations, t.measure(before, losses))
		for _, f := range t.vmm.Findings {
			r.Findings = append(r.Findings, fmt.Sprintf("iteration %d: %s", i+1, f))
		}
	}
	var err error
	r.Disable, err = t.disable()
	return r, err
}

// pass lets every vCPU make its accesses of one iteration, and collects.
func (t *perfTest) pass(track vmm.Tracking) error {
	if err := t.createVMM(t.scenario, track); err != nil {
		return err
	}
	for i, v := range t.vm.VCPUs {
		v.Guest = &passStream{Stream: t.streams[i], left: t.perPass}
		v.Cursor = kvmcore.GuestCursor{}
	}
	t.vmm.Start()
	for !t.vmm.Done() {
		if _, more := t.engine.Next(); !more {
			return fmt.Errorf("the simulation stands still at cycle %d: every thread waits (a defect of ringmap)", t.engine.Now())
		}
		t.engine.Run(t.engine.Now() + slice)
		if t.options.Progress != nil {
			done := uint64(0)
			for _, v := range t.vm.VCPUs {
				done += v.Stats.Accesses
			}
			t.options.Progress(Progress{uint64(t.engine.Now()), ratio(done, t.perPass*uint64(len(t.vm.VCPUs)*(t.options.Iterations+1)))})
		}
	}
	t.passes++
	return nil
}

// totals are the counters of which an iteration is the difference.
func (t *perfTest) totals() PerfPass {
	h := &t.host.Stats
	p := PerfPass{
		Unique: h.UniquePages, Duplicate: h.DuplicatePushes, ResetEntries: h.ResetEntries, ResetBatches: h.ResetBatches, Protected: h.ProtectedPages,
		WordsScanned: h.WordsScanned, WordsSet: h.WordsSet, BytesCopied: h.BytesCopiedOut, Gets: h.Gets, Clears: h.Clears,
	}
	for _, v := range t.vm.VCPUs {
		p.Pushed += v.Stats.Pushes
		p.FullExits += v.Stats.FullExits
		p.RepeatFullExits += v.Stats.RepeatFullExits
		p.Reset += v.Thread.Cycles[kvmcore.CauseReset]
	}
	return p
}

// measure reads what an iteration came to.
func (t *perfTest) measure(before PerfPass, losses int) PerfPass {
	p, main := t.totals(), t.vmm.Main()
	for _, f := range []struct{ now, was *uint64 }{
		{&p.Pushed, &before.Pushed}, {&p.Unique, &before.Unique}, {&p.Duplicate, &before.Duplicate}, {&p.FullExits, &before.FullExits},
		{&p.RepeatFullExits, &before.RepeatFullExits}, {&p.ResetEntries, &before.ResetEntries}, {&p.ResetBatches, &before.ResetBatches},
		{&p.Protected, &before.Protected}, {&p.Reset, &before.Reset}, {&p.WordsScanned, &before.WordsScanned}, {&p.WordsSet, &before.WordsSet},
		{&p.BytesCopied, &before.BytesCopied}, {&p.Gets, &before.Gets}, {&p.Clears, &before.Clears},
	} {
		*f.now -= *f.was
	}
	p.Dirty = uint64(t.vmm.RunTime())
	p.Get, p.Clear = main.Cycles[kvmcore.CauseGet], main.Cycles[kvmcore.CauseClear]
	p.Reset += main.Cycles[kvmcore.CauseReset]
	p.OccupancyMean, p.OccupancyMax = t.host.Stats.Occupancy.Mean(), t.host.Stats.Occupancy.Max
	p.Slots, p.Bits, p.Pages = len(t.plan.Slots), t.vmm.Stats.BitmapPages, t.pages
	var ledger []audit.Loss
	for _, l := range t.host.Losses[losses:] {
		ledger = append(ledger, audit.Loss{GFN: l.GFN, Pages: l.Pages, Cause: l.Cause.String(), Cycle: l.At})
	}
	lost := audit.Explain(t.audit.Finish(), ledger)
	p.Missing, p.Causes = uint64(len(lost)), []CausePages{}
	for _, c := range audit.Causes(lost) {
		p.Causes = append(p.Causes, CausePages{c.Cause, c.Pages})
	}
	return p
}

// disable turns logging off, slot by slot. Beside the system calls the model
// charges nothing for it.
func (t *perfTest) disable() (uint64, error) {
	main := t.vmm.Main()
	before := main.Core.Now
	for i, slot := range t.vm.Slots.All() {
		main.Block.Reset()
		main.Block.Delay(t.host.Profile.Ioctl)
		main.Exec(kvmcore.CauseProtect)
		region := kvmcore.Region{Slot: uint32(slot.ID), GPA: t.plan.Page.IPA(slot.Base), Size: slot.Pages << t.plan.Page.Shift(), HVA: slot.HVA}
		if e := main.StartSetMemoryRegion(t.vm, region); e != kvmcore.OK {
			return 0, fmt.Errorf("logging of slot %d could not be turned off: %v", i, e)
		}
	}
	return uint64(main.Core.Now - before), nil
}

// passStream is the part of a stream that one iteration executes.
type passStream struct {
	kvmcore.Stream
	left uint64
}

// Fill hands out accesses until the iteration is over.
func (s *passStream) Fill(dst []kvmcore.GuestAccess) int {
	if s.left == 0 {
		dst[0] = kvmcore.GuestAccess{Op: kvmcore.GuestEnd}
		return 1
	}
	n := s.Stream.Fill(dst[:min(uint64(len(dst)), s.left)])
	s.left -= uint64(n)
	return n
}

// Lines are the test's output in the words of the kernel's, with what concerns
// rings behind each iteration.
func (r *PerfResult) Lines() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	say("Test iterations: %d", len(r.Iterations))
	say("Testing guest mode: %s", r.GuestMode)
	say("guest physical test memory: [0x%x, 0x%x)", r.Start, r.End)
	say("Populate memory time: %s", r.time(r.Populate))
	say("Enabling dirty logging time: %s", r.time(r.Enable))
	say("")
	var get, clear, gets, clears uint64
	for i, p := range r.Iterations {
		say("Iteration %d dirty memory time: %s", i+1, r.time(p.Dirty))
		if p.Gets != 0 {
			say("Iteration %d get dirty log time: %s", i+1, r.time(p.Get))
		}
		if p.Clears != 0 {
			say("Iteration %d clear dirty log time: %s", i+1, r.time(p.Clear))
		}
		get, clear, gets, clears = get+p.Get, clear+p.Clear, gets+p.Gets, clears+p.Clears
		say("Iteration %d dirty ring: pushed %d unique %d dup %d full-exits %d repeat-full %d occupancy avg/max %.1f/%d",
			i+1, p.Pushed, p.Unique, p.Duplicate, p.FullExits, p.RepeatFullExits, p.OccupancyMean, p.OccupancyMax)
		say("Iteration %d reset: entries %d batches %d coalesce %.2f protected-pages %d time %s",
			i+1, p.ResetEntries, p.ResetBatches, ratio(p.ResetEntries, p.ResetBatches), p.Protected, r.time(p.Reset))
		say("Iteration %d bitmap: slots %d bits %d density %.6f words-scanned %d words-set %d bytes-copied %d",
			i+1, p.Slots, p.Bits, ratio(p.Bits, p.Pages), p.WordsScanned, p.WordsSet, p.BytesCopied)
		say("Iteration %d verify: %s", i+1, p.verdict())
	}
	say("Disabling dirty logging time: %s", r.time(r.Disable))
	n := uint64(max(len(r.Iterations), 1))
	if gets != 0 {
		say("Get dirty log over %d iterations took %s. (Avg %s/iteration)", n, r.time(get), r.time(get/n))
	}
	if clears != 0 {
		say("Clear dirty log over %d iterations took %s. (Avg %s/iteration)", n, r.time(clear), r.time(clear/n))
	}
	return out
}

// verdict says whether the audit found every write of the iteration collected.
func (p *PerfPass) verdict() string {
	if p.Missing == 0 {
		return "ok"
	}
	var causes []string
	for _, c := range p.Causes {
		causes = append(causes, fmt.Sprintf("%s %d", c.Cause, c.Count))
	}
	return fmt.Sprintf("missing %d (%s)", p.Missing, strings.Join(causes, ", "))
}

// Missing is how many written pages no iteration collected in time.
func (r *PerfResult) Missing() (n uint64) {
	for _, p := range r.Iterations {
		n += p.Missing
	}
	return n
}

// time prints cycles as seconds with nine decimals.
func (r *PerfResult) time(cycles uint64) string {
	hz := max(r.Hz, 1)
	return fmt.Sprintf("%d.%09ds", cycles/hz, nanosOf(cycles%hz, hz))
}

// nanosOf is a part of a second in nanoseconds; cycles are less than hz.
func nanosOf(cycles, hz uint64) uint64 {
	if hz > 1<<34 { // beyond this cycles * 1e9 does not fit
		return cycles / (hz / 1e9)
	}
	return cycles * 1e9 / hz
}
