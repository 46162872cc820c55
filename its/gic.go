package its

import (
	"fmt"
	"slices"

	"ringmap/mmu"
	"ringmap/sim"
)

// GIC is a GICv3 as hardware, with one security state and affinity routing: what a
// host's kernel programs. KVM's model of one for guests is in kvmcore.
//
//	lines, messages ─► distributor: SPIs ──route──┐
//	lines ─► redistributor of a PE: SGIs, PPIs ───┼─► what may interrupt the PE ─► CPU interface ─► IRQ, FIQ
//	ITS ───► LPIs, if the PE's are enabled ───────┘       (PE.ready)                  IAR, EOIR, DIR
//
// An interrupt that is pending and enabled is in its PE's list, so that a change
// costs what that list is long, however many interrupts there are. IHI 0069
// chapters 3 (partitioning), 4 (routing, priorities), 5 (LPIs) and 12 (registers).
type GIC struct {
	Enabled [2]bool     // GICD_CTLR.EnableGrp0, EnableGrp1
	SPIs    []Interrupt // from INTID 32 on
	PEs     []PE
	LPIs    *LPIs
	ITS     *ITS
	Config  PROPBASER // of all redistributors: GICR_TYPER.CommonLPIAff is 0

	mem Memory
}

// Memory is what tables lie in.
type Memory interface {
	ReadGuest(ipa mmu.IPA, p []byte) Error
	WriteGuest(ipa mmu.IPA, p []byte) Error
	Visible(ipa mmu.IPA) bool
}

// PE is a redistributor and the physical CPU interface behind it.
type PE struct {
	Affinity   uint32 // Aff3, Aff2, Aff1, Aff0
	Private    [NumPrivate]Interrupt
	CPU        CPUInterface
	EnableLPIs bool
	Pending    PENDBASER
	ready      []uint32 // INTIDs that are pending and enabled, and not active
}

// NewGIC returns a GIC out of reset with SPIs up to spis in number, a multiple of
// 32, and a PE for each affinity.
func NewGIC(spis int, affinity []uint32, mem Memory) *GIC {
	g := &GIC{SPIs: make([]Interrupt, spis), PEs: make([]PE, len(affinity)), LPIs: &LPIs{}, mem: mem}
	g.ITS = New(g.LPIs)
	for i := range g.SPIs {
		g.SPIs[i] = Interrupt{INTID: NumPrivate + uint32(i), Target: NoPE, Queued: NoPE}
		g.route(&g.SPIs[i], 0)
	}
	for n := range g.PEs {
		pe := &g.PEs[n]
		pe.Affinity = affinity[n]
		for i := range pe.Private {
			pe.Private[i] = Interrupt{INTID: uint32(i), Target: int32(n), Queued: NoPE, Edge: i < NumSGIs}
		}
	}
	for i := range g.SPIs {
		g.route(&g.SPIs[i], 0)
	}
	return g
}

// routeAny is GICD_IROUTER.Interrupt_Routing_Mode: any PE will do.
const routeAny = 1 << 31

// route sets where an SPI goes: to the PE of an affinity, or with routeAny to the
// first. An affinity that no PE has makes it go nowhere.
func (g *GIC) route(p *Interrupt, route uint32) {
	p.Route, p.Target = route, NoPE
	for n := range g.PEs {
		if route&routeAny != 0 || g.PEs[n].Affinity == route {
			p.Target = int32(n)
			return
		}
	}
}

// interrupt finds an interrupt as a PE sees it, nil if there is none.
func (g *GIC) interrupt(pe int32, intid uint32) *Interrupt {
	switch {
	case intid < NumPrivate:
		return &g.PEs[pe].Private[intid]
	case intid-NumPrivate < uint32(len(g.SPIs)):
		return &g.SPIs[intid-NumPrivate]
	case intid >= FirstLPI:
		if l := g.LPIs.Get(intid); l != nil {
			return &l.Interrupt
		}
	}
	return nil
}

// update puts an interrupt that changed where it belongs: onto its target's list or
// off the one that it is on.
func (g *GIC) update(p *Interrupt) {
	to := int32(NoPE)
	if p.Enabled && p.Asserted() && !p.Active && p.Target != NoPE && (!p.IsLPI() || g.PEs[p.Target].EnableLPIs) {
		to = p.Target
	}
	if to == p.Queued {
		return
	}
	if p.Queued != NoPE {
		list := &g.PEs[p.Queued].ready
		i := slices.Index(*list, p.INTID)
		*list = slices.Delete(*list, i, i+1)
	}
	if was := p.Queued; to != NoPE {
		g.PEs[to].ready = append(g.PEs[to].ready, p.INTID)
		if p.Queued = to; was == NoPE && p.IsLPI() {
			g.LPIs.Hold(p.INTID)
		}
	} else if p.Queued = NoPE; p.IsLPI() {
		g.LPIs.Release(p.INTID)
	}
}

// SetLine changes the level of an interrupt's input; of a PPI that of one PE. A
// rising edge of an edge-triggered interrupt is latched.
func (g *GIC) SetLine(pe int32, intid uint32, level bool) {
	p := g.interrupt(pe, intid)
	if p == nil || p.IsLPI() || intid < NumSGIs {
		return
	}
	if p.Edge && level && !p.Line {
		p.Pending = true
	}
	p.Line = level
	g.update(p)
}

// SendSGI is a PE's write of ICC_SGI1R_EL1 (group1) or ICC_SGI0R_EL1.
func (g *GIC) SendSGI(pe int32, w SGIR, group1 bool) {
	upper := w.Aff3()<<24 | w.Aff2()<<16 | w.Aff1()<<8
	for n := range g.PEs {
		to := &g.PEs[n]
		aff0 := to.Affinity & 0xff
		hit := to.Affinity&^0xff == upper && aff0>>4 == w.Range() && w.Targets()>>(aff0&15)&1 != 0
		if w.Others() {
			hit = int32(n) != pe
		}
		if p := &to.Private[w.INTID()]; hit && p.Group1 == group1 {
			p.Pending = true
			g.update(p)
		}
	}
}

// highest is the most urgent interrupt of a group that is enabled that a PE may
// take, the lowest INTID among equals; nil if none.
func (g *GIC) highest(pe int32) *Interrupt {
	var best *Interrupt
	c := &g.PEs[pe].CPU
	for _, intid := range g.PEs[pe].ready {
		p := g.interrupt(pe, intid)
		group := Group(p.Group1)
		if !g.Enabled[group] || !c.Enabled[group] {
			continue
		}
		if best == nil || p.Priority < best.Priority || p.Priority == best.Priority && p.INTID < best.INTID {
			best = p
		}
	}
	return best
}

// Lines are a PE's interrupt inputs: group 1 is IRQ, group 0 FIQ.
func (g *GIC) Lines(pe int32) (irq, fiq bool) {
	p := g.highest(pe)
	if p == nil || !g.PEs[pe].CPU.Takes(p.Group1, p.Priority) {
		return false, false
	}
	return p.Group1, !p.Group1
}

// HighestPending is a read of ICC_HPPIR1_EL1 or HPPIR0.
func (g *GIC) HighestPending(pe int32, group int) uint32 {
	if p := g.highest(pe); p != nil && Group(p.Group1) == group {
		return p.INTID
	}
	return Spurious
}

// Acknowledge is a read of ICC_IAR1_EL1 or IAR0. An LPI has no active state.
func (g *GIC) Acknowledge(pe int32, group int) uint32 {
	p, c := g.highest(pe), &g.PEs[pe].CPU
	if p == nil || Group(p.Group1) != group || !c.Takes(p.Group1, p.Priority) {
		return Spurious
	}
	c.Activate(p.Group1, p.Priority)
	intid := p.INTID
	p.Pending, p.Active = false, !p.IsLPI()
	g.update(p)
	return intid
}

// End is a write of ICC_EOIR1_EL1 or EOIR0: it drops the running priority if that
// is of the group, and unless EOImode is set deactivates the interrupt.
func (g *GIC) End(pe int32, group int, intid uint32) {
	c := &g.PEs[pe].CPU
	if intid >= Special && intid < 1024 {
		return
	}
	if _, of, ok := c.Drop(); ok && of == group && !c.EOImode {
		g.deactivate(pe, intid)
	}
}

// Deactivate is a write of ICC_DIR_EL1, which does nothing unless EOImode is set.
func (g *GIC) Deactivate(pe int32, intid uint32) {
	if g.PEs[pe].CPU.EOImode {
		g.deactivate(pe, intid)
	}
}

func (g *GIC) deactivate(pe int32, intid uint32) {
	if p := g.interrupt(pe, intid); p != nil && p.Active {
		p.Active = false
		g.update(p)
	}
}

// ReadGuest reads the memory behind the GIC: Machine.
func (g *GIC) ReadGuest(ipa mmu.IPA, p []byte) Error { return g.mem.ReadGuest(ipa, p) }

// WriteGuest writes it.
func (g *GIC) WriteGuest(ipa mmu.IPA, p []byte) Error { return g.mem.WriteGuest(ipa, p) }

// Visible tells where it is.
func (g *GIC) Visible(ipa mmu.IPA) bool { return g.mem.Visible(ipa) }

// PE finds a PE by its number, which is its processor number too.
func (g *GIC) PE(rdbase uint32) (int32, bool) { return int32(rdbase), rdbase < uint32(len(g.PEs)) }

// PropBase is the LPI configuration table.
func (g *GIC) PropBase() PROPBASER { return g.Config }

// PendBase is a PE's pending table.
func (g *GIC) PendBase(pe int32) PENDBASER { return g.PEs[pe].Pending }

// Changed follows a change of an LPI's state, configuration or target.
func (g *GIC) Changed(l *LPI) { g.update(&l.Interrupt) }

// NewLPI reads the configuration of an LPI; its pending state begins clear.
func (g *GIC) NewLPI(l *LPI) Error { return g.LPIs.LoadConfig(g, l) }

// Moved follows a change of an LPI's target.
func (g *GIC) Moved(l *LPI) { g.update(&l.Interrupt) }

// Execute carries out a command of the ITS. What it unmaps is pending no more.
func (g *GIC) Execute(cmd Command) Error {
	err := g.ITS.Execute(g, cmd)
	if op := uint8(cmd.Opcode()); op != OpDISCARD && op != OpMAPD {
		return err
	}
	for n := range g.PEs {
		pe := &g.PEs[n]
		pe.ready = slices.DeleteFunc(pe.ready, func(intid uint32) bool {
			l := g.LPIs.Get(intid)
			if intid < FirstLPI || l.refs != 1 {
				return false
			}
			l.Queued = NoPE
			g.LPIs.Release(intid)
			return true
		})
	}
	return err
}

// Trigger makes the LPI of a device's event pending, if its PE takes LPIs.
func (g *GIC) Trigger(device, event uint32) Error {
	l, pe, err := g.ITS.Translate(g, device, event)
	switch {
	case err != None:
		return err
	case !g.PEs[pe].EnableLPIs:
		return ErrDisabled
	}
	l.Pending = true
	g.Changed(l)
	return None
}

// enableLPIs is a write of GICR_CTLR.EnableLPIs: set, the PE's pending table is
// read unless software says that it is zero; cleared, it is written.
func (g *GIC) enableLPIs(pe int32, on bool) {
	p := &g.PEs[pe]
	if p.EnableLPIs == on {
		return
	}
	p.EnableLPIs = on
	if on && !p.Pending.PTZ() {
		g.LPIs.LoadPending(g, pe) // an unreadable table ends it
	}
	var next *LPI
	for l := g.LPIs.First(); l != nil; l = next { // it may go when it leaves a list
		if next = g.LPIs.After(l); l.Target == pe {
			if !on {
				g.storePending(l)
			}
			g.update(&l.Interrupt)
		}
	}
}

// storePending writes an LPI's bit of its target's pending table; where there is no
// memory, nothing.
func (g *GIC) storePending(l *LPI) {
	addr, bit := g.PendBase(l.Target).PendingAddr(l.INTID)
	var b [1]byte
	if g.mem.ReadGuest(addr, b[:]) != None || b[0]&bit != 0 == l.Pending {
		return
	}
	b[0] ^= bit
	g.mem.WriteGuest(addr, b[:])
}

// Sync saves, restores or hashes the GIC with its LPIs and ITS.
func (g *GIC) Sync(c *sim.Codec) {
	c.Tag("gic")
	c.Bool(&g.Enabled[0])
	c.Bool(&g.Enabled[1])
	sim.Uint(c, &g.Config)
	for i := range g.SPIs {
		g.syncInterrupt(c, &g.SPIs[i], NumPrivate+uint32(i))
	}
	g.LPIs.Sync(c)
	g.ITS.Sync(c)
	for n := range g.PEs {
		pe := &g.PEs[n]
		for i := range pe.Private {
			g.syncInterrupt(c, &pe.Private[i], uint32(i))
		}
		pe.CPU.Sync(c)
		c.Bool(&pe.EnableLPIs)
		sim.Uint(c, &pe.Pending)
		sim.Slice(c, &pe.ready, func(c *sim.Codec, id *uint32) { c.U32(id) })
		if !c.Loading() {
			continue
		}
		for _, intid := range pe.ready {
			if p := g.interrupt(int32(n), intid); p == nil || p.Queued != int32(n) {
				c.Fail(fmt.Errorf("its: PE %d waits for interrupt %d, which does not know it", n, intid))
				pe.ready = nil
				break
			}
		}
	}
	if !c.Loading() {
		return
	}
	for l := g.LPIs.First(); l != nil; l = g.LPIs.After(l) {
		if int(l.Target) >= len(g.PEs) || int(l.Queued) >= len(g.PEs) {
			c.Fail(fmt.Errorf("its: LPI %d belongs to PE %d of %d", l.INTID, l.Target, len(g.PEs)))
			return
		}
	}
	c.Fail(g.LPIs.CheckLoaded(g.ITS))
}

func (g *GIC) syncInterrupt(c *sim.Codec, p *Interrupt, intid uint32) {
	p.Sync(c)
	if p.INTID != intid || int(p.Target) >= len(g.PEs) || int(p.Queued) >= len(g.PEs) {
		c.Fail(fmt.Errorf("its: interrupt %d of PE %d in the place of %d", p.INTID, p.Target, intid))
		*p = Interrupt{INTID: intid, Target: NoPE, Queued: NoPE}
	}
}
