package bench

import (
	"ringmap/cpu/arch"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
)

// Registers of the GICv3 that travel, as offsets of their frames: what QEMU's
// kvm_arm_gicv3_get reads and kvm_arm_gicv3_put writes. IHI 0069 12.8, 12.11.
const (
	gicdCTLR       = 0x0000
	gicdIGROUPR    = 0x0080
	gicdISENABLER  = 0x0100
	gicdICENABLER  = 0x0180
	gicdISPENDR    = 0x0200
	gicdISACTIVER  = 0x0300
	gicdICACTIVER  = 0x0380
	gicdIPRIORITYR = 0x0400
	gicdICFGR      = 0x0c00
	gicdIROUTER    = 0x6000

	gicrCTLR      = 0x0000
	gicrPROPBASER = 0x0070
	gicrPENDBASER = 0x0078
	gicrSGI       = 0x1_0000 // the second frame, laid out as the distributor is

	gitsCTLR    = 0x0000
	gitsCBASER  = 0x0080
	gitsCWRITER = 0x0088
	gitsCREADR  = 0x0090
	gitsBASER   = 0x0100
)

const allOnes = 0xffff_ffff

// gicWalk visits the registers of GICv3 and ITS in the order in which they are
// written: what other registers depend on comes first.
type gicWalk struct {
	vm    *kvmcore.VM
	gic   kvmcore.Device
	its   kvmcore.Device
	twice bool // the tables are restored twice: a mistake
	late  bool // LPIs are enabled when everything else is there: a mistake
	// reg reads or writes a register that travels.
	reg func(d kvmcore.Device, group uint32, attr uint64, size int) bool
	// put writes a value that does not travel; nil when reading.
	put func(d kvmcore.Device, group uint32, attr uint64, size int, v uint64) bool
}

// walk is kvm_arm_gicv3_put, then kvm_arm_its_post_load: the LPI tables before
// LPIs are enabled, the ITS's mappings when its registers and those of all
// redistributors are there, its commands only after them.
func (w *gicWalk) walk() bool {
	dist := func(at uint32) bool { return w.reg(w.gic, kvmcore.GroupDistRegs, uint64(at), 4) }
	if !dist(gicdCTLR) {
		return false
	}
	for _, v := range w.vm.VCPUs {
		for _, at := range []uint64{gicrPROPBASER, gicrPROPBASER + 4, gicrPENDBASER, gicrPENDBASER + 4} {
			if !w.redist(v, at) {
				return false
			}
		}
	}
	for _, v := range w.vm.VCPUs {
		if !w.late && !w.redist(v, gicrCTLR) || !w.private(v) {
			return false
		}
	}
	ok := w.shared(dist)
	for _, v := range w.vm.VCPUs {
		ok = ok && w.cpuInterface(v)
	}
	ok = ok && w.interruptTranslation()
	for _, v := range w.vm.VCPUs {
		ok = ok && (!w.late || w.redist(v, gicrCTLR))
	}
	return ok
}

func (w *gicWalk) redist(v *kvmcore.VCPU, at uint64) bool {
	return w.reg(w.gic, kvmcore.GroupRedistRegs, uint64(v.Affinity())<<32|at, 4)
}

// level are the levels of 32 interrupt lines: the configuration is there before,
// the pending state comes behind.
func (w *gicWalk) level(v *kvmcore.VCPU, intid uint32) bool {
	return w.reg(w.gic, kvmcore.GroupLevelInfo, uint64(v.Affinity())<<32|uint64(intid), 4)
}

// cpuRegs are the registers of a CPU interface with 5 bits of priority, in the
// order of kvm_arm_gicv3_put.
var cpuRegs = []arch.Reg{
	arch.ICC_SRE_EL1, arch.ICC_CTLR_EL1, arch.ICC_IGRPEN0_EL1, arch.ICC_IGRPEN1_EL1, arch.ICC_PMR_EL1,
	arch.ICC_BPR0_EL1, arch.ICC_BPR1_EL1, arch.ICC_AP0R0_EL1, arch.ICC_AP1R0_EL1,
}

// cpuInterface is what a vCPU sees of the GIC in system registers.
func (w *gicWalk) cpuInterface(v *kvmcore.VCPU) bool {
	for _, r := range cpuRegs {
		if !w.reg(w.gic, kvmcore.GroupCPUSysregs, uint64(v.Affinity())<<32|uint64(r.Row().Enc), 8) {
			return false
		}
	}
	return true
}

// private are the SGIs and PPIs of a vCPU.
func (w *gicWalk) private(v *kvmcore.VCPU) bool {
	clear := func(at uint64) bool {
		return w.put == nil || w.put(w.gic, kvmcore.GroupRedistRegs, uint64(v.Affinity())<<32|gicrSGI|at, 4, allOnes)
	}
	ok := w.redist(v, gicrSGI|gicdIGROUPR) &&
		clear(gicdICENABLER) && w.redist(v, gicrSGI|gicdISENABLER) &&
		w.redist(v, gicrSGI|gicdICFGR+4) && w.level(v, 0) && w.redist(v, gicrSGI|gicdISPENDR) &&
		clear(gicdICACTIVER) && w.redist(v, gicrSGI|gicdISACTIVER)
	for i := uint64(0); ok && i < 32; i += 4 {
		ok = w.redist(v, gicrSGI|gicdIPRIORITYR+i)
	}
	return ok
}

// shared are the SPIs.
func (w *gicWalk) shared(dist func(uint32) bool) bool {
	n, errno := w.gic.GetAttr(kvmcore.GroupNrIRQs, 0, 4)
	if errno != kvmcore.OK {
		return false
	}
	clear := func(at uint32) bool {
		return w.put == nil || w.put(w.gic, kvmcore.GroupDistRegs, uint64(at), 4, allOnes)
	}
	irqs := uint32(n)
	ok := true
	for i := uint32(32); ok && i < irqs; i += 32 {
		at := i / 8
		ok = clear(gicdICENABLER+at) && dist(gicdISENABLER+at) && dist(gicdIGROUPR+at)
	}
	for i := uint32(32); ok && i < irqs; i++ {
		ok = dist(gicdIROUTER+8*i) && dist(gicdIROUTER+8*i+4)
	}
	for i := uint32(32); ok && i < irqs; i += 16 {
		ok = dist(gicdICFGR + i/4)
	}
	for i := uint32(32); ok && i < irqs; i += 32 {
		at := i / 8
		ok = w.level(w.vm.VCPUs[0], i) && dist(gicdISPENDR+at) && clear(gicdICACTIVER+at) && dist(gicdISACTIVER+at)
	}
	for i := uint32(32); ok && i < irqs; i += 4 {
		ok = dist(gicdIPRIORITYR + i)
	}
	return ok
}

// interruptTranslation is the ITS. CBASER comes first, for writing it zeroes both
// offsets; enabling comes last, for it runs the commands that are left.
func (w *gicWalk) interruptTranslation() bool {
	if w.its == nil {
		return true
	}
	its := func(at uint64) bool { return w.reg(w.its, kvmcore.GroupITSRegs, at, 8) }
	ok := its(gitsCBASER) && its(gitsCREADR) && its(gitsCWRITER)
	for i := uint64(0); ok && i < 8; i++ {
		ok = its(gitsBASER + 8*i)
	}
	if ok && w.put != nil {
		ok = w.put(w.its, kvmcore.GroupCtrl, kvmcore.CtrlRestoreTables, 8, 0)
		if w.twice {
			w.put(w.its, kvmcore.GroupCtrl, kvmcore.CtrlRestoreTables, 8, 0) // EEXIST, and the VMM does not mind
		}
	}
	return ok && its(gitsCTLR)
}

// saveGIC reads GICv3 and ITS into c.
func saveGIC(c *sim.Codec, vm *kvmcore.VM, t *kvmcore.Thread, mistake vmm.Mistake) {
	w := gicWalk{vm: vm, gic: vm.Devices[0], late: mistake == vmm.MistakeLPIsLate}
	if len(vm.Devices) > 1 {
		w.its = vm.Devices[1]
	}
	w.reg = func(d kvmcore.Device, group uint32, attr uint64, size int) bool {
		v, errno := vm.GetAttr(t, d, group, attr, size)
		c.U64(&v)
		return errno == kvmcore.OK
	}
	ok := w.walk()
	c.Bool(&ok)
}

// loadGIC writes them: false if a register or the tables are refused.
func loadGIC(c *sim.Codec, vm *kvmcore.VM, t *kvmcore.Thread, mistake vmm.Mistake) bool {
	w := gicWalk{
		vm: vm, gic: vm.Devices[0],
		late: mistake == vmm.MistakeLPIsLate, twice: mistake == vmm.MistakeRestoreTwice,
	}
	if len(vm.Devices) > 1 {
		w.its = vm.Devices[1]
	}
	w.put = func(d kvmcore.Device, group uint32, attr uint64, size int, v uint64) bool {
		return vm.SetAttr(t, d, group, attr, size, v) == kvmcore.OK
	}
	w.reg = func(d kvmcore.Device, group uint32, attr uint64, size int) bool {
		v := uint64(0)
		c.U64(&v)
		return c.Err() == nil && w.put(d, group, attr, size, v)
	}
	if !w.walk() {
		return false
	}
	ok := false
	c.Bool(&ok)
	return ok
}
