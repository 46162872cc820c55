package kvmcore

import "ringmap/its"

// Numbers of private interrupts.
const (
	numSGIs        = 16
	numPrivateIRQs = 32
)

// access is a read or write of a register, by the guest or by userspace.
type access struct {
	offset uint32 // into the frame
	size   uint8  // bytes
	write  bool
	user   bool
	val    uint64 // what is written, or was read
	err    Errno  // for userspace
}

// read makes reg, or the part of it that is accessed, the value read.
func (a *access) read(reg uint64) {
	if a.write {
		return
	}
	a.val = reg >> (8 * (a.offset & 7))
	if a.size < 8 {
		a.val &= 1<<(8*a.size) - 1
	}
}

// merged is a 64-bit register after the write of it or of a half of it.
func (a *access) merged(reg uint64) uint64 {
	if a.size == 8 {
		return a.val
	}
	shift := 8 * (a.offset & 4)
	return reg&^(0xffff_ffff<<shift) | (a.val&0xffff_ffff)<<shift
}

// How wide a register may be accessed.
const (
	width8  uint8 = 1
	width32 uint8 = 4
	width64 uint8 = 8
)

// reg names what a register region does.
type reg uint8

const (
	regZero reg = iota // reads as 0, ignores writes
	regOnes            // reads as ones, ignores writes
	regID              // identification

	regDistMisc // CTLR, TYPER, IIDR, TYPER2

	regRedistCTLR
	regRedistIIDR
	regRedistTYPER
	regPROPBASER
	regPENDBASER
	regINVLPIR
	regINVALLR

	regGroup // from here on: some bits for each interrupt
	regSetEnable
	regClearEnable
	regSetPending
	regClearPending
	regSetActive
	regClearActive
	regPriority
	regConfig
	regRouter
	regPerIRQZero
)

// region is a run of registers of one kind: struct vgic_register_region.
type region struct {
	offset, size uint32
	bits         uint8 // for each interrupt, 0 = not per interrupt
	widths       uint8
	reg          reg
}

// Offsets that rules name.
const (
	regDistIIDR   = 0x0008
	regDistTyper2 = 0x000c
	offsetPIDR2   = 0xffe8
	archRevGICv3  = 0x3b // PIDR2: GICv3
)

// latestRevision is the distributor's revision in current kernels: clearing
// EnableLPIs and INVLPIR are there. KVM_VGIC_IMP_REV_LATEST.
const latestRevision = 3

// Identification: KVM's product number and Arm as implementer.
const (
	productKVM     = 0x4b
	implementerArm = 0x43b
)

// distRegions is the distributor frame: vgic_v3_dist_registers.
var distRegions = []region{
	{0x0000, 0x10, 0, width32, regDistMisc},
	{0x0010, 0x04, 0, width32, regOnes}, // STATUSR
	{0x0080, 0x80, 1, width32, regGroup},
	{0x0100, 0x80, 1, width32, regSetEnable},
	{0x0180, 0x80, 1, width32, regClearEnable},
	{0x0200, 0x80, 1, width32, regSetPending},
	{0x0280, 0x80, 1, width32, regClearPending},
	{0x0300, 0x80, 1, width32, regSetActive},
	{0x0380, 0x80, 1, width32, regClearActive},
	{0x0400, 0x400, 8, width32 | width8, regPriority},
	{0x0800, 0x400, 8, width32 | width8, regPerIRQZero}, // ITARGETSR
	{0x0c00, 0x100, 2, width32, regConfig},
	{0x0d00, 0x80, 1, width32, regPerIRQZero}, // IGRPMODR
	{0x6000, 0x2000, 64, width64 | width32, regRouter},
	{0xffd0, 0x30, 0, width32, regID},
}

// redistRegions are both frames of a redistributor: vgic_v3_rd_registers.
var redistRegions = []region{
	{0x0000, 0x04, 0, width32, regRedistCTLR},
	{0x0004, 0x04, 0, width32, regRedistIIDR},
	{0x0008, 0x08, 0, width64 | width32, regRedistTYPER},
	{0x0010, 0x04, 0, width32, regZero}, // STATUSR
	{0x0014, 0x04, 0, width32, regZero}, // WAKER
	{0x0070, 0x08, 0, width64 | width32, regPROPBASER},
	{0x0078, 0x08, 0, width64 | width32, regPENDBASER},
	{0x00a0, 0x08, 0, width64 | width32, regINVLPIR},
	{0x00b0, 0x08, 0, width64 | width32, regINVALLR},
	{0x00c0, 0x04, 0, width32, regZero}, // SYNCR: never busy
	{0xffd0, 0x30, 0, width32, regID},

	{frame64K + 0x0080, 0x04, 1, width32, regGroup},
	{frame64K + 0x0100, 0x04, 1, width32, regSetEnable},
	{frame64K + 0x0180, 0x04, 1, width32, regClearEnable},
	{frame64K + 0x0200, 0x04, 1, width32, regSetPending},
	{frame64K + 0x0280, 0x04, 1, width32, regClearPending},
	{frame64K + 0x0300, 0x04, 1, width32, regSetActive},
	{frame64K + 0x0380, 0x04, 1, width32, regClearActive},
	{frame64K + 0x0400, 0x20, 8, width32 | width8, regPriority},
	{frame64K + 0x0c00, 0x08, 2, width32, regConfig},
	{frame64K + 0x0d00, 0x04, 1, width32, regPerIRQZero}, // IGRPMODR0
	{frame64K + 0x0e00, 0x04, 0, width32, regZero},       // NSACR
}

// findRegion finds the register of an access: vgic_get_mmio_region. nil where
// there is none, it is not that wide, or its interrupt does not exist.
func findRegion(table []region, a *access, irqs uint32) *region {
	for i := range table {
		r := &table[i]
		if a.offset-r.offset >= r.size {
			continue
		}
		if r.widths&a.size == 0 || a.offset&uint32(a.size-1) != 0 {
			return nil
		}
		if r.bits != 0 && r.firstIRQ(a) >= irqs {
			return nil
		}
		return r
	}
	return nil
}

// firstIRQ is the lowest interrupt that the access reaches.
func (r *region) firstIRQ(a *access) uint32 {
	return (a.offset - r.offset) * 8 / uint32(r.bits)
}

// none ends an access to a register that does not exist: the guest reads 0,
// userspace gets ENXIO.
func (a *access) none() *access {
	a.val, a.err = 0, ENXIO
	return a
}

// distAccess accesses the distributor.
func (g *VGIC) distAccess(a *access) *access {
	r := findRegion(distRegions, a, max(g.nrIRQs, numPrivateIRQs))
	switch {
	case r == nil:
		return a.none()
	case r.reg == regDistMisc:
		g.distMisc(a)
	case r.reg == regID:
		a.readID()
	case r.reg == regOnes:
		a.read(1<<32 - 1)
	case r.reg >= regGroup && r.firstIRQ(a) >= numPrivateIRQs:
		g.accessIRQs(nil, r, g.spis[r.firstIRQ(a)-numPrivateIRQs:], a)
	default: // private interrupts are in the redistributors
		a.read(0)
	}
	return a
}

// readID reads an identification register of distributor or redistributor.
func (a *access) readID() {
	v := uint64(0)
	if a.offset == offsetPIDR2 {
		v = archRevGICv3
	}
	a.read(v)
}

// distMisc is GICD_CTLR, TYPER, IIDR or TYPER2.
func (g *VGIC) distMisc(a *access) {
	iidr := its.IIDR(0).WithProduct(productKVM).WithRevision(g.revision).WithImplementer(implementerArm)
	switch a.offset {
	case 0:
		if a.write {
			was := g.distEnabled
			if g.distEnabled = its.DistCTLR(a.val).EnableGrp1(); g.distEnabled && !was && !a.user {
				g.kickPending()
			}
		}
		a.read32(uint32(its.DistCTLR(0).WithEnableGrp1(g.distEnabled).WithARE(true).WithDS(true)))
	case 4:
		t := its.DistTYPER(0).WithLines(max(g.nrIRQs, numPrivateIRQs) / 32).WithIDBits(10)
		if g.hasLPIs() {
			t = t.WithLPIS(true).WithIDBits(its.INTIDBits)
		}
		a.read32(uint32(t))
	case regDistIIDR:
		if a.write && a.user {
			rev := its.IIDR(a.val).Revision()
			if its.IIDR(a.val).WithRevision(g.revision) != iidr || rev < 1 || rev > latestRevision {
				a.err = EINVAL
				return
			}
			g.revision = rev
		}
		a.read32(uint32(iidr))
	default: // TYPER2
		if a.write && a.user && a.val != 0 {
			a.err = EINVAL
		}
		a.read32(0)
	}
}

// read32 makes a 32-bit register the value read.
func (a *access) read32(v uint32) {
	if !a.write {
		a.val = uint64(v)
	}
}

// redistAccess accesses the redistributor of v.
func (g *VGIC) redistAccess(v *VCPU, a *access) *access {
	r := findRegion(redistRegions, a, numPrivateIRQs)
	if r == nil {
		return a.none()
	}
	p := g.redist(v)
	switch r.reg {
	case regRedistCTLR:
		if a.write {
			g.enableLPIs(v, its.RedistCTLR(a.val).EnableLPIs())
		}
		w := its.RedistCTLR(0).WithEnableLPIs(p.enableLPIs)
		if g.revision >= 3 {
			w = w.WithIR(true).WithCES(true)
		}
		a.read32(uint32(w))
	case regRedistIIDR:
		a.read32(uint32(its.IIDR(0).WithProduct(productKVM).WithImplementer(implementerArm)))
	case regRedistTYPER:
		a.read(uint64(its.RedistTYPER(0).WithAffinity(v.affinity()).WithProcessor(v.ID).
			WithLast(g.isLast(v)).WithPhysical(g.hasLPIs())))
	case regPROPBASER:
		if a.write && !p.enableLPIs {
			g.propbaser = sanitisePropbaser(a.merged(uint64(g.propbaser)))
		}
		a.read(uint64(g.propbaser))
	case regPENDBASER:
		if a.write && !p.enableLPIs {
			p.pendbaser = sanitisePendbaser(a.merged(uint64(p.pendbaser)))
		}
		a.read(uint64(p.pendbaser.WithPTZ(false)))
	case regINVLPIR, regINVALLR:
		if a.write && a.offset&4 == 0 && p.enableLPIs {
			g.invalidate(v, r.reg == regINVALLR, uint32(a.val))
		}
		a.read(0)
	case regID:
		a.readID()
	case regZero:
		a.read(0)
	default:
		g.accessIRQs(v, r, p.irqs[r.firstIRQ(a):], a)
	}
	return a
}

// enableLPIs is a write of GICR_CTLR: vgic_mmio_write_v3r_ctlr. Setting the bit
// takes the pending state of the vCPU's LPIs from memory unless the guest says
// that its table is zero; what memory says wins. Clearing it drops the cached
// translations of every ITS; LPIs keep their pending state.
func (g *VGIC) enableLPIs(v *VCPU, enable bool) {
	p := g.redist(v)
	if !g.hasLPIs() || p.enableLPIs == enable {
		return
	}
	p.enableLPIs = enable
	if !enable {
		g.dropLPIs(v)
		for _, k := range g.itss {
			k.state.Epoch++
		}
		return
	}
	if !p.pendbaser.PTZ() {
		g.spend(g.cost().LPIVisit * uint64(g.lpis.Count()))
		g.lpis.LoadPending(g.machine, int32(v.Index)) // an unreadable table ends it silently
	}
}

// invalidate is INVLPIR or INVALLR: LPI configuration is read again.
func (g *VGIC) invalidate(v *VCPU, all bool, intid uint32) {
	if all {
		g.spend(g.cost().LPIVisit * uint64(g.lpis.Count()))
		g.lpis.InvalidateAll(g.machine, int32(v.Index))
	} else if l := g.lpis.Get(intid); l != nil {
		g.lpis.LoadConfig(g.machine, l)
	}
}

// isLast tells whether v's redistributor is the last of its run of frames:
// vgic_mmio_vcpu_rdist_is_last.
func (g *VGIC) isLast(v *VCPU) bool {
	base := g.redistBase(v.Index)
	if base == undefined {
		return false
	}
	return v.Index+1 >= len(g.vm.VCPUs) || g.redistBase(v.Index+1) != base+redistBytes
}

// accessIRQs reads or writes the bits of the interrupts from irqs[0] on: those of
// v, or shared ones (nil).
func (g *VGIC) accessIRQs(v *VCPU, r *region, irqs []its.Interrupt, a *access) {
	if r.reg == regRouter {
		g.router(&irqs[0], a)
		return
	}
	if (r.reg == regSetActive || r.reg == regClearActive) && !a.user { // vgic_access_active_prepare
		g.halt()
	}
	n := int(a.size) * 8 / int(r.bits)
	out := uint64(0)
	for i := range n {
		shift := uint(i) * uint(r.bits)
		if a.write {
			g.writeIRQ(v, r.reg, &irqs[i], a.val>>shift&(1<<r.bits-1), a.user)
		} else {
			out |= r.readIRQ(&irqs[i], a.user) << shift
		}
	}
	if !a.write {
		a.val = out
	}
}

// router is GICD_IROUTER: the next time that the interrupt is queued it goes to its
// new target. Aff3 does not exist.
func (g *VGIC) router(p *its.Interrupt, a *access) {
	if !a.write {
		a.read(uint64(p.Route))
	} else if a.offset&4 == 0 {
		p.Route, p.Target = uint32(a.val)&0xff_ffff, its.NoPE
		if v := g.vm.vcpuByAffinity(p.Route); v != nil {
			p.Target = int32(v.Index)
		}
	}
}

func (r *region) readIRQ(p *its.Interrupt, user bool) uint64 {
	set := false
	switch r.reg {
	case regGroup:
		set = p.Group1
	case regSetEnable, regClearEnable:
		set = p.Enabled
	case regSetPending: // userspace saves the levels of lines apart
		set = p.Pending || !user && p.Asserted()
	case regClearPending:
		set = p.Asserted() && !user
	case regSetActive, regClearActive:
		set = p.Active
	case regPriority:
		return uint64(p.Priority)
	case regConfig:
		if p.Edge {
			return 2
		}
	}
	return boolBit(set)
}

// writeIRQ writes one interrupt's bits, of v's or of a shared one. Userspace writes
// the pending state as a whole through ISPENDR.
func (g *VGIC) writeIRQ(v *VCPU, r reg, p *its.Interrupt, bits uint64, user bool) {
	one := bits&1 != 0
	switch r {
	case regGroup:
		p.Group1 = one
		g.queue(p)
	case regPriority:
		p.Priority = uint8(bits) & 0xf8 // KVM keeps 5 bits
	case regConfig:
		if p.INTID >= numPrivateIRQs {
			p.Edge = bits&2 != 0
		}
	case regSetPending:
		if one || user {
			p.Pending = one
			if p.HW && !user { // vgic_hw_irq_spending
				v.setPhysical(p, true)
			}
			g.queue(p)
		}
	}
	if !one {
		return
	}
	switch r {
	case regSetEnable:
		p.Enabled = true
		if p.HW && !p.Edge { // the device may have changed meanwhile
			v.reenabled(p)
		}
		g.queue(p)
	case regClearEnable:
		p.Enabled = false
	case regClearPending:
		if user {
			return
		}
		p.Pending = false
		if p.HW && !p.Active { // vgic_hw_irq_cpending: a line that is up comes again
			v.setPhysical(p, false)
		}
	case regSetActive, regClearActive:
		p.Active = r == regSetActive
		if p.HW && !user { // vgic_hw_irq_change_active
			v.setPhysical(p, p.Active)
		}
		if p.Active {
			g.queue(p)
		}
	}
}

// Cacheability and shareability in BASER registers.
const (
	cacheDeviceNoGather = 0
	cacheNonCacheable   = 1
	cacheRaWb           = 3
	cacheSameAsInner    = 0 // outer only

	shareInner = 1
	shareOuter = 2
)

// sanitiseInner avoids uncached memory.
func sanitiseInner(v uint32) uint32 {
	if v == cacheDeviceNoGather || v == cacheNonCacheable {
		return cacheRaWb
	}
	return v
}

// sanitiseOuter keeps "as inner" and "not cached".
func sanitiseOuter(v uint32) uint32 {
	if v == cacheSameAsInner || v == cacheNonCacheable {
		return v
	}
	return cacheSameAsInner
}

// sanitiseShare avoids outer shareable.
func sanitiseShare(v uint32) uint32 {
	if v == shareOuter {
		return shareInner
	}
	return v
}

// Fields outside of these read as 0: PROPBASER_RES0_MASK, PENDBASER_RES0_MASK.
var (
	propbaserBits = fieldsOf("PROPBASER")
	pendbaserBits = fieldsOf("PENDBASER")
)

func fieldsOf(word string) uint64 {
	for _, l := range its.Layouts {
		if l.Name == word {
			return l.Mask()
		}
	}
	panic("kvmcore: no layout " + word)
}

func sanitisePropbaser(w uint64) its.PROPBASER {
	p := its.PROPBASER(w & propbaserBits)
	return p.WithShare(sanitiseShare(p.Share())).WithInner(sanitiseInner(p.Inner())).
		WithOuter(sanitiseOuter(p.Outer()))
}

func sanitisePendbaser(w uint64) its.PENDBASER {
	p := its.PENDBASER(w & pendbaserBits)
	return p.WithShare(sanitiseShare(p.Share())).WithInner(sanitiseInner(p.Inner())).
		WithOuter(sanitiseOuter(p.Outer()))
}
