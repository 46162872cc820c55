// Package bench turns a scenario into a machine, runs it and records what came
// out.
//
//	scenario ─► Plan ─► machine: engine, host, VM, streams, VMM, audit
//	                       │          (build.go: the one place that wires them)
//	                       ├─ run to its end ────────────┐
//	                       └─ a second one with tracking │ (run.go; in parallel, for
//	                          off: guest.slowdown ───────┤  simulations share nothing)
//	                                                     ▼
//	                                        Result ─► JSON, summary
//
// A record depends on scenario, seed and version alone.
package bench

import (
	"fmt"
	"time"

	"ringmap/bench/audit"
	"ringmap/bench/scenario"
	"ringmap/bench/view"
	"ringmap/cpu"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads"
)

// machine is one simulation: everything that a scenario describes, wired.
type machine struct {
	plan      *scenario.Plan
	input     vmm.Input // of a program
	engine    *sim.Engine
	host      *kvmcore.Host
	vm        *kvmcore.VM
	vmm       *vmm.VMM
	dest      *mmu.Memory
	audit     *audit.Audit    // nil when nothing is tracked
	dst       *destination    // nil without a migration
	devices   *kvmcore.Thread // of the source, that signals MSIs
	its       *itsDriver      // nil without an ITS
	outside   *outside        // nil if nothing is written without a vCPU on its own
	streams   []kvmcore.Stream
	trace     *workloads.Trace // nil for a pattern
	watcher   *watcher         // nil unless a page is watched
	profile   *view.Profile    // nil unless asked for
	window    *view.Trace      // nil unless asked for
	published time.Time        // when Options.Publish was called last
	series    *series          // nil unless asked for
	stats     *sim.Stats

	lost []audit.Explained // lost pages, once the audit has finished
}

// The cores: one for each vCPU's thread, then these.
func (m *machine) mainCore() *cpu.Core    { return m.host.Machine.Cores[m.plan.VCPUs] }
func (m *machine) deviceCore() *cpu.Core  { return m.host.Machine.Cores[m.plan.VCPUs+1] }
func (m *machine) outsideCore() *cpu.Core { return m.host.Machine.Cores[m.plan.VCPUs+2] }

// build wires the machine of a plan with the given tracking.
func build(s *scenario.Scenario, p *scenario.Plan, track vmm.Tracking) (*machine, error) {
	m := &machine{plan: p, input: p.Input, engine: sim.NewEngine(), dest: mmu.NewMemory(), stats: sim.NewStats()}
	m.host = kvmcore.NewHost(kvmcore.HostSpec{Kernel: p.Kernel, Profile: p.Profile, Page: p.Page, Cores: p.VCPUs + 3, Caches: p.Caches})
	for _, step := range []func(*scenario.Scenario, vmm.Tracking) error{
		m.createVM, m.createSlots, m.mapAll, m.createVCPUs, m.loadWorkload, m.createVMM,
	} {
		if err := step(s, track); err != nil {
			m.close()
			return nil, err
		}
	}
	m.register()
	return m, nil
}

// createVM makes the VM and enables its capabilities in the order that KVM
// demands: ring, ring with bitmap, then memslots.
func (m *machine) createVM(s *scenario.Scenario, track vmm.Tracking) error {
	p := m.plan
	vm, errno := m.host.CreateVMType(p.IPABits)
	if errno != kvmcore.OK {
		return s.Problem("vm.ipa_bits", "", "KVM_CREATE_VM: %v", errno)
	}
	m.vm = vm
	vm.Translations = p.Translations
	if track != vmm.TrackOff {
		if errno := vm.SetDesign(p.Design); errno != kvmcore.OK {
			return s.Problem("tracking.mode", "", "the VM's design: %v", errno)
		}
	}
	if cap, errno := track.Enable(vm, p.RingBytes, p.Manual); errno != kvmcore.OK {
		return s.Problem(capKeys[cap], "", "KVM_ENABLE_CAP %d: %v", cap, errno)
	}
	if p.Split == 0 {
		return nil
	}
	if _, errno := vm.EnableCap(kvmcore.CapEagerSplitChunk, 0, [4]uint64{p.Split}); errno != kvmcore.OK {
		return s.Problem("tracking.eager_split", "", "KVM_ENABLE_CAP %d: %v", kvmcore.CapEagerSplitChunk, errno)
	}
	return nil
}

// capKeys are the keys to blame for a capability that is refused.
var capKeys = map[uint32]string{
	kvmcore.CapDirtyRingAcqRel: "tracking.ring",
	kvmcore.CapDirtyRingBitmap: "tracking.mode",
	kvmcore.CapManualProtect2:  "tracking.manual_protect",
}

// createSlots maps host memory and makes the memslots; the VMM turns their
// logging on.
func (m *machine) createSlots(s *scenario.Scenario, _ vmm.Tracking) error {
	for i, slot := range m.plan.Slots {
		hva := m.host.Memory.Map(slot.Size, slot.Backing, slot.Populated)
		if errno := m.vm.SetUserMemoryRegion(kvmcore.Region{Slot: uint32(i), GPA: mmu.IPA(slot.Base), Size: slot.Size, HVA: hva}); errno != kvmcore.OK {
			return s.Problem(fmt.Sprintf("vm.slots.%d", i), "", "KVM_SET_USER_MEMORY_REGION: %v", errno)
		}
	}
	return nil
}

// mapAll maps guest memory before logging begins.
func (m *machine) mapAll(s *scenario.Scenario, _ vmm.Tracking) error {
	if !s.VM.Mapped {
		return nil
	}
	if errno := m.vm.MapAll(); errno != kvmcore.OK {
		return s.Problem("vm.mapped", "use less memory", "mapping it: %v", errno)
	}
	return nil
}

func (m *machine) createVCPUs(s *scenario.Scenario, _ vmm.Tracking) error {
	return createVCPUs(m.vm, m.plan, s)
}

func createVCPUs(vm *kvmcore.VM, p *scenario.Plan, s *scenario.Scenario) error {
	for i := range p.VCPUs {
		v, errno := vm.CreateVCPU(uint64(i))
		if errno != kvmcore.OK {
			return s.Problem("vm.vcpus", "", "KVM_CREATE_VCPU %d: %v", i, errno)
		}
		if p.PVTime == 0 {
			continue
		}
		if errno := v.SetPVTime(p.PVTime + mmu.IPA(i)*64); errno != kvmcore.OK {
			return s.Problem("tracking.stolen_time", "", "KVM_ARM_VCPU_PVTIME_IPA: %v", errno)
		}
	}
	return nil
}

// loadWorkload gives every vCPU its stream of accesses.
func (m *machine) loadWorkload(s *scenario.Scenario, _ vmm.Tracking) error {
	p := m.plan
	if p.Program {
		return m.loadProgram(s)
	}
	if s.HasTrace() {
		trace, err := openTrace(s)
		if err != nil {
			return err
		}
		m.trace = trace
	}
	streams, err := m.newStreams(s)
	if err != nil {
		return err
	}
	m.streams = streams
	for i, v := range m.vm.VCPUs {
		v.Guest = m.streams[i]
	}
	return nil
}

// newStreams makes a stream for every vCPU, each at its beginning.
func (m *machine) newStreams(s *scenario.Scenario) (list []kvmcore.Stream, err error) {
	if list, err = m.workStreams(s); err != nil {
		return nil, err
	}
	if its := m.plan.ITS; its.MoveGap != 0 || its.ChurnGap != 0 {
		list[0] = workloads.NewITSGuest(list[0], its, m.plan.VCPUs, uint64(s.Seed))
	}
	return list, nil
}

// workStreams are the streams without what drivers do in between.
func (m *machine) workStreams(s *scenario.Scenario) (list []kvmcore.Stream, err error) {
	p := m.plan
	if m.trace == nil {
		for i := range p.VCPUs {
			list = append(list, workloads.NewPattern(p.Pattern, i, p.VCPUs, uint64(s.Seed)))
		}
		return list, nil
	}
	ram := p.Slots[0]
	list, err = m.trace.Streams(workloads.TraceSpec{Base: mmu.IPA(ram.Base), Size: ram.Size - p.Reserved, VCPUs: p.VCPUs, CPI: p.Trace.CPI})
	if err != nil {
		return nil, traceProblem(s, err)
	}
	return list, nil
}

func (m *machine) createVMM(s *scenario.Scenario, track vmm.Tracking) (err error) {
	p := m.plan
	spec := vmm.Spec{Track: track, Policy: p.Policy, Period: p.Interval, Until: p.Until, SaveEvery: p.SaveEvery, Quantum: p.Quantum,
		Edits: uint32(s.VMM.Edits), EditSeed: uint64(s.Seed), CPUs: p.CPUs, Input: m.input}
	if track != vmm.TrackOff {
		spec.RingMax, spec.Mistake = uint32(p.RingMax), p.Mistake
	} else {
		spec.Edits = 0
	}
	if spec.Costs, err = vmm.LoadCosts(string(s.Host.Profile)); err != nil {
		return err
	}
	if s.VMM.Collect == "before-save" {
		spec.Collect = vmm.CollectBeforeSave
	}
	w := vmm.Wiring{Engine: m.engine, Host: m.host, VM: m.vm, Core: m.mainCore(), Dest: m.dest}
	switch {
	case p.ITS.Devices != 0:
		if w.Save, err = m.createITS(s); err != nil {
			return err
		}
	case p.Program && !s.ITS.Save.Never:
		w.Save = func(t *kvmcore.Thread) kvmcore.Errno { return saveITS(m.vm, t) }
	}
	if p.Outside.Gap != 0 {
		m.createOutside(s, &w)
	}
	if track == vmm.TrackOff {
		spec.Period = 0
	} else {
		if m.audit, err = m.newAudit(); err != nil {
			return err
		}
		w.Audit = m.audit
		if p.Checkpoint != nil {
			if err := m.createDestination(s); err != nil {
				return err
			}
			c := *p.Checkpoint
			c.Backup = &m.dst.in
			spec.Checkpoint = &c
		}
		if p.Migrate != nil {
			if err := m.createDestination(s); err != nil {
				return err
			}
			g := *p.Migrate
			g.Destination = &m.dst.in
			spec.Migrate = &g
		}
	}
	if m.vmm, err = vmm.New(spec, w); err != nil {
		return err
	}
	if m.its != nil {
		m.its.vmm = m.vmm
		m.vmm.Adopt(m.its.thread, m.its.comp)
		if m.dst != nil {
			m.dst.vmm.Adopt(m.dst.devices, m.its.comp)
		}
	}
	if m.outside != nil {
		m.outside.vmm = m.vmm
		m.vmm.Adopt(m.outside.thread, m.outside.comp)
	}
	return nil
}

// newAudit audits all guest memory. The journal's tags are host addresses.
func (m *machine) newAudit() (*audit.Audit, error) {
	spec := audit.Spec{Page: m.plan.Page}
	for _, slot := range m.vm.Slots.All() {
		spec.Regions = append(spec.Regions, audit.Region{
			Tag:    uint64(slot.HVA) >> mmu.FrameShift,
			IPA:    m.plan.Page.IPA(slot.Base),
			Frames: slot.Pages << (m.plan.Page.Shift() - mmu.FrameShift),
		})
	}
	return audit.New(spec, m.host.Machine.Mem, m.dest)
}

// register collects every statistic of the machine.
func (m *machine) register() {
	m.host.Register(m.stats, m.vm)
	m.vmm.Register(m.stats)
	if m.audit != nil {
		m.audit.Register(m.stats)
	}
	if m.its != nil {
		m.its.register(m.stats)
	}
	if m.outside != nil {
		m.outside.register(m.stats)
	}
	if m.dst != nil {
		m.dst.register(m.stats)
	}
}

// Sync saves, restores or hashes the whole machine.
func (m *machine) Sync(c *sim.Codec) {
	c.Tag("machine")
	m.host.Sync(c)
	if m.dst == nil { // else it is the memory of the destination's host
		m.dest.Sync(c)
	}
	m.vmm.Sync(c)
	for _, s := range m.streams {
		s.Sync(c)
	}
	if m.audit != nil {
		m.audit.Sync(c)
	}
	if m.its != nil {
		m.its.Sync(c)
	}
	if m.outside != nil {
		m.outside.Sync(c)
	}
	if m.dst != nil {
		m.dst.Sync(c)
		if c.Loading() && m.dst.moved {
			m.moveDevices()
		}
	}
	if m.series != nil {
		m.series.Sync(c)
	}
	m.engine.Sync(c)
}

func (m *machine) close() {
	if m.trace != nil {
		m.trace.Close()
	}
}

// openTrace opens the scenario's trace; an error names the file and, where the
// contents are to blame, the place in it.
func openTrace(s *scenario.Scenario) (*workloads.Trace, error) {
	t, err := workloads.OpenTrace(s.Path("workload.trace", s.Workload.Trace))
	if err != nil {
		return nil, traceProblem(s, err)
	}
	return t, nil
}
