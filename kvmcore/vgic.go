package kvmcore

import (
	"fmt"

	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// Sizes of the frames that a guest sees.
const (
	frame64K    = 64 << 10
	distBytes   = frame64K
	redistBytes = 2 * frame64K
	itsBytes    = 2 * frame64K
)

// VGIC is the interrupt controller of a VM: struct vgic_dist with what belongs
// to each vCPU (struct vgic_cpu).
//
//	guest MMIO ─► mmio ──┐                        ┌─► LPIs (its)
//	device attributes ───┼─► registers ─► vITSs ──┤
//	KVM_SIGNAL_MSI ──────┘      │                 └─► guest memory (writeGuest)
//	                            └─► interrupts of distributor and redistributors
//
// How interrupts reach vCPUs that execute machine code: vgic_deliver.go.
type VGIC struct {
	vm *VM

	model       bool // the GICv3 was created
	initialised bool // and initialised
	hasITS      bool
	revision    uint32 // of the distributor: GICD_IIDR.Revision
	nrIRQs      uint32 // private and shared, 0 = not chosen yet

	distBase    mmu.IPA // undefined = not set
	distEnabled bool
	regions     []redistRegion
	spis        []its.Interrupt // from INTID 32 on

	propbaser its.PROPBASER // one for the whole VM
	redists   []*redist     // by vCPU.Index, as far as used
	lpis      its.LPIs
	itss      []*VITS // in order of creation

	crash   string      // where the modelled kernel crashed
	thread  *Thread     // whom the present call or access runs on, nil = nobody's
	machine *gicMachine // what LPIs see of the VM

	Stats VGICStats
}

// VGICStats counts what the interrupt controller did.
type VGICStats struct {
	Commands, CommandErrors   uint64 // of the ITS queues
	MSIs, MSIHits, MSIDropped uint64 // signalled; found in the translation cache; not delivered
	Saves, PendingSaves       uint64
	Restores                  uint64
	TableReads, TableWrites   uint64 // accesses of guest memory
	TableBytes                uint64 // written

	SGIs, Injected uint64 // sent by guests; changes of lines
	Kicks, Exits   uint64 // vCPUs interrupted or woken; guests left for an interrupt
	ListRegisters  uint64 // filled at entry
	Acknowledged   uint64 // interrupts that guests have taken
}

// redist is what the redistributor of a vCPU keeps.
type redist struct {
	enableLPIs bool
	pendbaser  its.PENDBASER
	irqs       [numPrivateIRQs]its.Interrupt // SGIs and PPIs
	list       []uint32                      // INTIDs to deliver: ap_list_head
	cpu        its.Virtual                   // the vCPU's CPU interface: vgic_v3_cpu_if
}

// redistRegion is where redistributors lie: struct vgic_redist_region.
type redistRegion struct {
	base  mmu.IPA
	count uint32 // redistributors that fit, 0 = as many as there are vCPUs
}

// Initial register values: inner write-back cacheable and allocating, inner
// shareable. INITIAL_PROPBASER_VALUE, INITIAL_PENDBASER_VALUE.
var (
	initialPropbaser = its.PROPBASER(0).WithInner(cacheRaWb).WithShare(shareInner)
	initialPendbaser = its.PENDBASER(0).WithInner(cacheRaWb).WithShare(shareInner)
)

func newVGIC(vm *VM) *VGIC {
	g := &VGIC{vm: vm}
	g.clear()
	return g
}

// clear is the state before any device was created.
func (g *VGIC) clear() {
	*g = VGIC{vm: g.vm, distBase: undefined, machine: &gicMachine{VGIC: g}}
}

// createV3 is kvm_vgic_create.
func (g *VGIC) createV3() Errno {
	switch {
	case g.vm.vcpuRuns():
		return EBUSY
	case g.model:
		return EEXIST
	}
	for _, v := range g.vm.VCPUs {
		if v.Stats.Runs != 0 {
			return EBUSY
		}
	}
	g.model, g.revision, g.distBase = true, latestRevision, undefined
	return OK
}

// createITS is vgic_its_create. Each new ITS resets the VM's PROPBASER.
func (g *VGIC) createITS() *VITS {
	g.hasITS = true
	g.propbaser = initialPropbaser
	k := newVITS(g)
	g.itss = append(g.itss, k)
	return k
}

// init is vgic_init: repeatable, without effect once done.
func (g *VGIC) init() Errno {
	if g.initialised {
		return OK
	}
	if g.nrIRQs == 0 {
		g.nrIRQs = defaultIRQs
	}
	g.spis = make([]its.Interrupt, g.nrIRQs-numPrivateIRQs)
	for i := range g.spis {
		g.spis[i] = its.Interrupt{INTID: numPrivateIRQs + uint32(i), Queued: its.NoPE, Group1: true}
		if len(g.vm.VCPUs) == 0 {
			g.spis[i].Target = its.NoPE
		}
	}
	for _, v := range g.vm.VCPUs {
		g.redist(v).pendbaser = initialPendbaser
	}
	g.initialised = true
	return OK
}

// Initialised tells whether the VM's GICv3 was initialised: from then on
// KVM_CREATE_VCPU is EBUSY.
func (vm *VM) vgicInitialised() bool { return vm.vgic != nil && vm.vgic.initialised }

// mapResources is what KVM_RUN checks before a vCPU's first entry:
// vgic_v3_map_resources. ENXIO when an address is missing, EINVAL when frames
// overlap, EBUSY before INIT.
func (g *VGIC) mapResources() Errno {
	if g == nil || !g.model {
		return OK
	}
	for _, v := range g.vm.VCPUs {
		if g.redistBase(v.Index) == undefined {
			return ENXIO
		}
	}
	switch {
	case g.distBase == undefined:
		return ENXIO
	case g.framesOverlap():
		return EINVAL
	case !g.initialised:
		return EBUSY
	}
	return OK
}

// hasLPIs is vgic_has_its.
func (g *VGIC) hasLPIs() bool { return g.model && g.hasITS }

// redist is the redistributor of a vCPU.
func (g *VGIC) redist(v *VCPU) *redist {
	for len(g.redists) <= v.Index {
		r, pe := new(redist), int32(len(g.redists))
		for i := range r.irqs {
			sgi := i < numSGIs
			r.irqs[i] = its.Interrupt{INTID: uint32(i), Target: pe, Queued: its.NoPE, Group1: true, Enabled: sgi, Edge: sgi}
		}
		g.redists = append(g.redists, r)
	}
	return g.redists[v.Index]
}

// redistBase is the address of the frames of the i-th vCPU's redistributor:
// regions are filled one after the other. undefined when none is left.
func (g *VGIC) redistBase(i int) mmu.IPA {
	for _, r := range g.regions {
		if r.count == 0 || uint32(i) < r.count {
			return r.base + mmu.IPA(i)*redistBytes
		}
		i -= int(r.count)
	}
	return undefined
}

// bytes is the size of a region, for n vCPUs if it does not say.
func (r redistRegion) bytes(n int) uint64 {
	if r.count != 0 {
		n = int(r.count)
	}
	return uint64(n) * redistBytes
}

// addRegion is vgic_v3_set_redist_base: count 0 is the single region of old.
func (g *VGIC) addRegion(index uint32, base uint64, count uint32) Errno {
	r := redistRegion{base: mmu.IPA(base), count: count}
	size := r.bytes(len(g.vm.VCPUs))
	if base+size < base {
		return EINVAL
	}
	if n := len(g.regions); n == 0 {
		if index != 0 {
			return EINVAL
		}
	} else {
		switch {
		case count == 0 && g.regions[n-1].count != 0:
			return EINVAL
		case count == 0:
			return EEXIST
		case index != uint32(n):
			return EINVAL
		}
	}
	if count == 0 && g.distBase != undefined && overlap(base, size, uint64(g.distBase), distBytes) {
		return EINVAL
	}
	if g.redistsOverlap(base, size) {
		return EINVAL
	}
	if e := g.vm.checkRange(undefined, base, frame64K, size); e != OK {
		return e
	}
	g.regions = append(g.regions, r)
	if len(g.vm.VCPUs) > 0 && g.framesOverlap() { // the redistributors register at once
		g.regions = g.regions[:len(g.regions)-1]
		return EINVAL
	}
	return OK
}

// redistsOverlap tells whether a redistributor region meets the given one.
func (g *VGIC) redistsOverlap(base, size uint64) bool {
	for _, r := range g.regions {
		if overlap(base, size, uint64(r.base), r.bytes(len(g.vm.VCPUs))) {
			return true
		}
	}
	return false
}

// framesOverlap is what vgic_v3_check_base finds wrong.
func (g *VGIC) framesOverlap() bool {
	for _, r := range g.regions {
		if g.vm.checkRange(undefined, uint64(r.base), frame64K, r.bytes(len(g.vm.VCPUs))) != OK {
			return true
		}
	}
	return g.distBase != undefined && g.redistsOverlap(uint64(g.distBase), distBytes)
}

func overlap(a, an, b, bn uint64) bool { return a < b+bn && b < a+an }

// sync saves, restores or hashes all but the ITSs.
func (g *VGIC) sync(c *sim.Codec) {
	c.Tag("vgic")
	c.Bool(&g.model)
	c.Bool(&g.initialised)
	c.Bool(&g.hasITS)
	c.U32(&g.revision)
	c.U32(&g.nrIRQs)
	sim.Uint(c, &g.distBase)
	c.Bool(&g.distEnabled)
	sim.Slice(c, &g.regions, func(c *sim.Codec, r *redistRegion) {
		sim.Uint(c, &r.base)
		c.U32(&r.count)
	})
	sim.Slice(c, &g.spis, func(c *sim.Codec, p *its.Interrupt) { p.Sync(c) })
	sim.Uint(c, &g.propbaser)
	sim.Slice(c, &g.redists, func(c *sim.Codec, at **redist) {
		if *at == nil {
			*at = new(redist)
		}
		r := *at
		c.Bool(&r.enableLPIs)
		sim.Uint(c, &r.pendbaser)
		for i := range r.irqs {
			r.irqs[i].Sync(c)
		}
		r.syncList(c)
	})
	g.lpis.Sync(c)
	c.Str(&g.crash)
	g.Stats.sync(c)
	if c.Loading() {
		c.Fail(g.checkLoaded())
	}
}

// checkLoaded checks what the code relies on.
func (g *VGIC) checkLoaded() error {
	n := len(g.vm.VCPUs)
	if len(g.redists) > n {
		return fmt.Errorf("%d redistributors for %d vCPUs", len(g.redists), n)
	}
	if g.initialised && len(g.spis)+numPrivateIRQs != int(g.nrIRQs) {
		return fmt.Errorf("%d shared interrupts of %d", len(g.spis), g.nrIRQs)
	}
	for i := range g.spis {
		if g.spis[i].INTID != numPrivateIRQs+uint32(i) {
			return fmt.Errorf("interrupt %d in the place of %d", g.spis[i].INTID, numPrivateIRQs+i)
		}
	}
	for pe, r := range g.redists {
		for i := range r.irqs {
			if p := &r.irqs[i]; p.INTID != uint32(i) || p.Target != int32(pe) {
				return fmt.Errorf("interrupt %d of vCPU %d in the place of %d of vCPU %d", p.INTID, p.Target, i, pe)
			}
		}
	}
	for p := range g.interrupts() {
		if int(p.Target) >= n || int(p.Queued) >= n {
			return fmt.Errorf("interrupt %d belongs to vCPU %d or %d of %d", p.INTID, p.Target, p.Queued, n)
		}
	}
	return g.checkLists()
}

var vgicCounters = []counter[VGICStats]{
	{"vgic.commands", "", "commands that ITSs took from their queues", func(s *VGICStats) *uint64 { return &s.Commands }},
	{"vgic.command_errors", "", "of these: failed, which nobody is told", func(s *VGICStats) *uint64 { return &s.CommandErrors }},
	{"vgic.msis", "", "MSIs signalled by userspace", func(s *VGICStats) *uint64 { return &s.MSIs }},
	{"vgic.msi_hits", "", "of these: the translation was cached", func(s *VGICStats) *uint64 { return &s.MSIHits }},
	{"vgic.msis_dropped", "", "of these: not delivered", func(s *VGICStats) *uint64 { return &s.MSIDropped }},
	{"vgic.saves", "", "SAVE_TABLES operations", func(s *VGICStats) *uint64 { return &s.Saves }},
	{"vgic.pending_saves", "", "SAVE_PENDING_TABLES operations", func(s *VGICStats) *uint64 { return &s.PendingSaves }},
	{"vgic.restores", "", "RESTORE_TABLES operations", func(s *VGICStats) *uint64 { return &s.Restores }},
	{"vgic.table_reads", "", "reads of guest memory: commands, entries, bits", func(s *VGICStats) *uint64 { return &s.TableReads }},
	{"vgic.table_writes", "", "writes of guest memory, each marks a page", func(s *VGICStats) *uint64 { return &s.TableWrites }},
	{"vgic.sgis", "", "SGIs that guests sent, one for each target", func(s *VGICStats) *uint64 { return &s.SGIs }},
	{"vgic.injected", "", "changes of interrupt lines: timers, devices of userspace", func(s *VGICStats) *uint64 { return &s.Injected }},
	{"vgic.kicks", "", "running vCPUs interrupted and waiting ones woken for an interrupt", func(s *VGICStats) *uint64 { return &s.Kicks }},
	{"vgic.exits", "", "guests left because of an interrupt: kick, timer, maintenance", func(s *VGICStats) *uint64 { return &s.Exits }},
	{"vgic.list_registers", "", "list registers filled at guest entry", func(s *VGICStats) *uint64 { return &s.ListRegisters }},
	{"vgic.acknowledged", "", "interrupts that guests have acknowledged", func(s *VGICStats) *uint64 { return &s.Acknowledged }},
	{"vgic.table_bytes", "bytes", "written by these", func(s *VGICStats) *uint64 { return &s.TableBytes }},
}

// registerGIC adds the counters of the VM's interrupt controller.
func (vm *VM) registerGIC(stats *sim.Stats) {
	g := vm.irqchip()
	for _, k := range vgicCounters {
		stats.Counter(k.name, k.unit, k.desc, k.at(&g.Stats))
	}
}

func (s *VGICStats) sync(c *sim.Codec) {
	for _, k := range vgicCounters {
		c.U64(k.at(s))
	}
}
