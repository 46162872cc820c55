package bench

import (
	"ringmap/bench/audit"
	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads"
)

// destination is the host that a VM migrates to: a machine of the same kind with
// a VM that was made like the source's and has never run. Its RAM is the memory
// that the stream fills and the audit compares; frame = guest address >> FrameShift.
type destination struct {
	host    *kvmcore.Host
	vm      *kvmcore.VM
	vmm     *vmm.VMM
	streams []kvmcore.Stream
	devices *kvmcore.Thread // that signal MSIs after the move
	in      vmm.Incoming

	pending []kvmcore.PendingLPI // at the source, when the state that is loaded was read
	read    []kvmcore.PendingLPI // when the last one was read
	lpis    lpiCount
	audited bool // the audit has compared source and destination, before the VM ran on
	moved   bool // the devices are here
}

// lpiCount compares the interrupts that were pending at the source with those
// pending at the destination before it ran.
type lpiCount struct {
	Pending  uint64 `json:"pending"`
	Arrived  uint64 `json:"arrived"`
	Lost     uint64 `json:"lost"`
	Spurious uint64 `json:"spurious"`
}

// createDestination makes the destination of a migration and what connects it.
func (m *machine) createDestination(s *scenario.Scenario) error {
	p := m.plan
	d := &destination{}
	m.dst = d
	end := uint64(0)
	for _, slot := range p.Slots {
		end = max(end, slot.Base+slot.Size)
	}
	const align = mmu.PFN(1) << mmu.MaxOrder
	free := (mmu.PA(end+mmu.FrameSize-1).PFN() + align - 1) / align * align
	d.host = kvmcore.NewHost(kvmcore.HostSpec{
		Kernel: p.Kernel, Profile: p.Profile, Page: p.Page, Cores: p.VCPUs + 2, Caches: p.Caches, Memory: m.dest, Free: free,
	})
	vm, errno := d.host.CreateVMType(p.IPABits)
	if errno != kvmcore.OK {
		return s.Problem("vm.ipa_bits", "", "KVM_CREATE_VM at the destination: %v", errno)
	}
	d.vm, vm.Translations = vm, p.Translations
	for i, slot := range p.Slots {
		hva := d.host.Memory.MapAt(slot.Size, slot.Backing, mmu.PA(slot.Base).PFN())
		if errno := vm.SetUserMemoryRegion(kvmcore.Region{Slot: uint32(i), GPA: mmu.IPA(slot.Base), Size: slot.Size, HVA: hva}); errno != kvmcore.OK {
			return s.Problem("vm.slots", "", "KVM_SET_USER_MEMORY_REGION at the destination: %v", errno)
		}
	}
	if err := createVCPUs(vm, p, s); err != nil {
		return err
	}
	if p.Program {
		if err := m.setUpProgram(s, vm, 0, 0); err != nil { // the registers arrive with the state
			return err
		}
	} else {
		var err error
		if d.streams, err = m.newStreams(s); err != nil {
			return err
		}
		for i, v := range vm.VCPUs {
			v.Guest = d.streams[i]
		}
	}
	if p.ITS.Devices != 0 {
		if !p.Program {
			if _, err := workloads.CreateGIC(vm); err != nil {
				return s.Problem("its", "", "at the destination: %v", err)
			}
		}
		d.devices = d.host.NewThread(d.host.Machine.Cores[p.VCPUs+1], "devices")
	}
	costs, err := vmm.LoadCosts(string(s.Host.Profile))
	if err != nil {
		return err
	}
	w := vmm.Wiring{Engine: m.engine, Host: d.host, VM: vm, Core: d.host.Machine.Cores[p.VCPUs]}
	if p.Mistake == vmm.MistakeRestoreTwice {
		w.Save = func(t *kvmcore.Thread) kvmcore.Errno { return saveITS(vm, t) }
	}
	d.vmm, err = vmm.New(vmm.Spec{Track: vmm.TrackOff, Quantum: p.Quantum, Costs: costs, Input: m.input}, w)
	save := m.saveState
	if p.Checkpoint != nil {
		save = m.saveGuest
	}
	d.in = vmm.Incoming{VMM: d.vmm, Save: save, Load: m.loadState, Run: m.moveDevices, Committed: d.committed, RunOn: p.RunOn, RunsOn: p.RunsOn}
	return err
}

// saveState reads the registers of vCPUs and devices at the source, each by its
// ioctl. RAM is complete by now, so the audit compares.
func (m *machine) saveState(t *kvmcore.Thread) string {
	m.lost = m.finishAudit()
	m.dst.audited = true
	state := m.saveGuest(t)
	m.dst.committed()
	return state
}

// saveGuest is saveState for a checkpoint, after which the guest runs on.
func (m *machine) saveGuest(t *kvmcore.Thread) string {
	d := m.dst
	c := sim.NewEncoder()
	if len(m.vm.Devices) != 0 {
		saveGIC(c, m.vm, t, m.plan.Mistake)
		d.read = m.vm.PendingLPIs(d.read[:0])
	}
	m.syncGuest(c, m.vm, m.streams)
	m.vmm.SyncUART(c)
	state := c.Finish()
	spendIoctls(t, len(state)/8) // KVM_GET_ONE_REG: 8 bytes each
	return string(state)
}

// loadState writes them at the destination and restores the ITS's tables.
func (m *machine) loadState(t *kvmcore.Thread, state string) bool {
	d := m.dst
	c := sim.NewDecoder([]byte(state))
	if len(d.vm.Devices) != 0 && !loadGIC(c, d.vm, t, m.plan.Mistake) {
		return false
	}
	m.syncGuest(c, d.vm, d.streams)
	d.vmm.SyncUART(c)
	spendIoctls(t, len(state)/8)
	d.compareLPIs()
	return c.Err() == nil
}

// spendIoctls takes the time of n ioctls that only move registers.
func spendIoctls(t *kvmcore.Thread, n int) {
	t.Block.Reset()
	t.Block.Delay(t.Host.Profile.Ioctl * uint64(n))
	t.Exec(kvmcore.CauseSave)
}

// committed says that the state that was read last is the one to load.
func (d *destination) committed() { d.pending = append(d.pending[:0], d.read...) }

// syncGuest codes the guest of a VM: its vCPUs, and where their streams are.
func (m *machine) syncGuest(c *sim.Codec, vm *kvmcore.VM, streams []kvmcore.Stream) {
	for _, v := range vm.VCPUs {
		v.SyncRegisters(c)
	}
	for _, s := range streams {
		s.Sync(c)
	}
	vm.SyncProgram(c)
}

// compareLPIs counts which pending interrupts arrived: the same LPI for the same
// vCPU, once.
func (d *destination) compareLPIs() {
	here := map[kvmcore.PendingLPI]bool{}
	for _, l := range d.vm.PendingLPIs(nil) {
		here[l] = true
	}
	n := &d.lpis
	n.Pending = uint64(len(d.pending))
	for _, l := range d.pending {
		if here[l] {
			n.Arrived++
		}
	}
	n.Lost, n.Spurious = n.Pending-n.Arrived, uint64(len(here))-n.Arrived
}

// moveDevices has the devices signal to the destination from now on.
func (m *machine) moveDevices() {
	d := m.dst
	d.moved = true
	if m.its != nil {
		m.its.vm, m.its.vmm, m.its.thread = d.vm, d.vmm, d.devices
	}
}

// finishAudit compares source and destination, once.
func (m *machine) finishAudit() []audit.Explained {
	if m.dst != nil && m.dst.audited {
		return audit.Explain(m.audit.Lost(), m.ledger())
	}
	return audit.Explain(m.audit.Finish(), m.ledger())
}

// ledger is the kernel's own account of the records it lost.
func (m *machine) ledger() (list []audit.Loss) {
	for _, l := range m.host.Losses {
		list = append(list, audit.Loss{GFN: l.GFN, Pages: l.Pages, Cause: l.Cause.String(), Cycle: l.At})
	}
	return append(list, m.stranded()...)
}

// stranded are the records that are in a ring where userspace has not come to: a
// ring whose indices have got out of step is not read any further.
func (m *machine) stranded() (list []audit.Loss) {
	if m.vmm == nil || m.vm.Design.Layout.Indexed {
		return nil
	}
	mem := m.host.Machine.Mem
	for n := range m.vm.Rings() {
		ring := m.vm.Ring(n)
		for i := range ring.Size {
			pa := ring.EntryPA(i)
			if mem.Load(pa, 4)&kvmcore.RingFlagMask != kvmcore.RingFlagDirty {
				continue
			}
			if s := m.vm.Slots.ByID(uint16(mem.Load(pa+4, 4))); s != nil {
				list = append(list, audit.Loss{GFN: s.Base + mmu.GFN(mem.Load(pa+8, 8)), Pages: 1, Cause: causeStranded, Cycle: m.engine.Now()})
			}
		}
	}
	return list
}

// causeStranded is the cause of pages whose records nobody read.
const causeStranded = "stranded_in_ring"

// finished tells whether the last VM that runs has ended.
func (m *machine) finished() bool {
	if m.dst != nil && (m.vmm.Migration() == vmm.MigrateCompleted || m.vmm.TookOver()) {
		return m.dst.vmm.Done()
	}
	return m.vmm.Done()
}

// stayed tells whether a migration was asked for and the VM is still at the source.
func (m *machine) stayed() bool {
	return m.plan.Migrate != nil && m.dst != nil && m.vmm.Migration() != vmm.MigrateCompleted
}

// Migration is what a migration came to.
type Migration struct {
	State      string     `json:"state"` // MigrationStatus of QEMU
	Runs       string     `json:"runs"`  // who runs the VM in the end: source or destination
	Began      uint64     `json:"began"` // cycle
	Total      uint64     `json:"total_cycles"`
	Bytes      uint64     `json:"bytes"`
	LimitMS    uint64     `json:"downtime_limit_ms"`
	ExpectedMS uint64     `json:"downtime_expected_ms"`
	Downtime   uint64     `json:"downtime_cycles"`
	Parts      []PartTime `json:"downtime_parts"`
	Rounds     []Round    `json:"rounds"`
	Interrupts lpiCount   `json:"interrupts"`
}

// PartTime is how long a part of the downtime took.
type PartTime struct {
	Part   string `json:"part"`
	Cycles uint64 `json:"cycles"`
}

// Round is a round of pre-copy; see vmm.Round.
type Round struct {
	Cycles    uint64 `json:"cycles"`
	Pages     uint64 `json:"pages"`
	Bytes     uint64 `json:"bytes"`
	Dirtied   uint64 `json:"dirtied"`
	Left      uint64 `json:"left"`
	DirtyRate uint64 `json:"dirty_pages_rate"`
	Threshold uint64 `json:"threshold_bytes"`
	Throttle  uint64 `json:"throttle"`
}

// recordMigration says how a migration went.
func (m *machine) recordMigration(r *Result) {
	if m.dst == nil || m.plan.Migrate == nil {
		return
	}
	v := m.vmm
	g := &Migration{
		State: v.Migration().String(), Runs: "source", Bytes: v.MigrationBytes(), LimitMS: m.plan.Migrate.Downtime,
		ExpectedMS: v.SwitchoverExpected(), Downtime: uint64(v.MigrationDowntime()),
		Parts: []PartTime{}, Rounds: []Round{}, Interrupts: m.dst.lpis,
	}
	began, total := v.MigrationTime()
	g.Began, g.Total = uint64(began), uint64(total)
	if m.vm.Crash() != "" {
		g.Runs = "nobody"
	}
	if !m.stayed() {
		g.Runs = "destination"
		for p := range vmm.NumDownParts {
			g.Parts = append(g.Parts, PartTime{p.String(), uint64(v.DownPartCycles(p))})
		}
	}
	for _, o := range v.Rounds() {
		g.Rounds = append(g.Rounds, Round{uint64(o.Took), o.Pages, o.Bytes, o.Dirtied, o.Left, o.DirtyRate, o.Threshold, o.Throttle})
	}
	r.Migration = g
}

func (d *destination) register(s *sim.Stats) {
	s.Counter("dest.lpis_pending", "", "LPIs pending at the source when its state was read", &d.lpis.Pending)
	s.Counter("dest.lpis_arrived", "", "of these: pending at the destination, for the same vCPU, when it was started", &d.lpis.Arrived)
	s.Counter("dest.lpis_lost", "", "of these: not pending there", &d.lpis.Lost)
	s.Counter("dest.lpis_spurious", "", "LPIs pending at the destination and not at the source", &d.lpis.Spurious)
	s.Derived("dest.guest.instructions", "instructions", "retired by the guests at the destination", func() float64 { return float64(instructions(d.vm)) })
	s.Derived("dest.time.cycles", "cycles", "for which the VM ran at the destination", func() float64 { return float64(d.vmm.RunTime()) })
	s.Derived("dest.faults", "", "stage-2 faults at the destination, whose tables began empty", func() float64 {
		n := uint64(0)
		for _, v := range d.vm.VCPUs {
			n += v.Stats.FaultsTranslation + v.Stats.FaultsPermission
		}
		return float64(n)
	})
}

// Sync saves, restores or hashes the destination; its memory is the machine's dest.
func (d *destination) Sync(c *sim.Codec) {
	c.Tag("destination")
	d.host.Sync(c)
	d.vmm.Sync(c)
	for _, s := range d.streams {
		s.Sync(c)
	}
	for _, list := range []*[]kvmcore.PendingLPI{&d.pending, &d.read} {
		sim.Slice(c, list, func(c *sim.Codec, l *kvmcore.PendingLPI) {
			target := uint32(l.VCPU)
			c.U32(&l.INTID)
			c.U32(&target)
			l.VCPU = int32(target)
		})
	}
	for _, n := range []*uint64{&d.lpis.Pending, &d.lpis.Arrived, &d.lpis.Lost, &d.lpis.Spurious} {
		c.U64(n)
	}
	c.Bool(&d.audited)
	c.Bool(&d.moved)
}
