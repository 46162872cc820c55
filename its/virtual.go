package its

import "ringmap/sim"

// NumLR is how many list registers there are: Neoverse N1, ICH_VTR_EL2.ListRegs.
const NumLR = 4

// Virtual is the virtual CPU interface of a PE: what a guest's ICC registers reach.
//
//	hypervisor ──► list registers ──► CPUInterface ──► virtual IRQ, FIQ ──► guest
//	     ▲              │ ▲                │
//	     │              │ └── IAR, EOIR, DIR (from the guest)
//	     └─ maintenance ┘
//
// IHI 0069 chapter 6; the pseudocode of VirtualReadIAR1, VirtualWriteEOIR1, ICH_MISR_EL2.
type Virtual struct {
	CPUInterface
	On        bool // ICH_HCR_EL2.En
	Underflow bool // ICH_HCR_EL2.UIE
	EOICount  uint32
	LR        [NumLR]LR
}

// State is the state field: 0 = the register is free.
func (w LR) State() uint64 { return uint64(w) >> 62 }

// EOI tells whether the end of the interrupt raises a maintenance interrupt.
func (w LR) EOI() bool { return !w.HW() && w.PINTID()>>9&1 != 0 }

// WithEOI asks for that.
func (w LR) WithEOI() LR { return w.WithPINTID(w.PINTID() | 1<<9) }

// highest is the list register with the most urgent pending interrupt of a group
// that the guest has enabled, -1 if none.
func (v *Virtual) highest() int {
	best, priority := -1, uint32(0x100)
	if !v.On {
		return best
	}
	for i, w := range v.LR {
		if w.Pending() && !w.Active() && w.Priority() < priority && v.Enabled[Group(w.Group1())] {
			best, priority = i, w.Priority()
		}
	}
	return best
}

// Lines are the virtual IRQ (group 1) and FIQ (group 0).
func (v *Virtual) Lines() (irq, fiq bool) {
	i := v.highest()
	if i < 0 || !v.Takes(v.LR[i].Group1(), uint8(v.LR[i].Priority())) {
		return false, false
	}
	return v.LR[i].Group1(), !v.LR[i].Group1()
}

// Acknowledge is a read of IAR1 or IAR0: the most urgent interrupt becomes active.
func (v *Virtual) Acknowledge(group int) uint64 {
	i := v.highest()
	if i < 0 || Group(v.LR[i].Group1()) != group || !v.Takes(group == 1, uint8(v.LR[i].Priority())) {
		return Spurious
	}
	w := &v.LR[i]
	if id := w.VINTID(); id >= Special && id < 1024 { // goes as it came
		*w = w.WithPending(false)
		return uint64(id)
	}
	*w = w.WithPending(false).WithActive(true)
	v.Activate(w.Group1(), uint8(w.Priority()))
	return uint64(w.VINTID())
}

// HighestPending is a read of HPPIR1 or HPPIR0.
func (v *Virtual) HighestPending(group int) uint64 {
	if i := v.highest(); i >= 0 && Group(v.LR[i].Group1()) == group {
		return uint64(v.LR[i].VINTID())
	}
	return Spurious
}

// NoINTID is what End and Deactivate return when no physical interrupt ends.
const NoINTID = ^uint32(0)

// End is a write of EOIR1 or EOIR0. It returns the physical interrupt that is
// deactivated with it.
func (v *Virtual) End(group int, intid uint64) (physical uint32) {
	id := uint32(intid) & 0xff_ffff
	if id >= Special && id < 1024 {
		return NoINTID
	}
	dropped, of, ok := v.Drop()
	if !ok {
		return NoINTID
	}
	w := v.active(id)
	switch {
	case w == nil:
		if id < FirstLPI && !v.EOImode {
			v.EOICount = (v.EOICount + 1) & 0x1f
		}
		return NoINTID
	case v.EOImode && id < FirstLPI:
		return NoINTID
	case of != group || Group(w.Group1()) != group || v.groupPriority(group, uint8(w.Priority())) != dropped:
		return NoINTID // the guest has mixed them up
	}
	return deactivate(w)
}

// Deactivate is a write of DIR, which does nothing unless EOImode is set.
func (v *Virtual) Deactivate(intid uint64) (physical uint32) {
	id := uint32(intid) & 0xff_ffff
	if !v.EOImode || id >= Special {
		return NoINTID
	}
	w := v.active(id)
	if w == nil {
		v.EOICount = (v.EOICount + 1) & 0x1f
		return NoINTID
	}
	return deactivate(w)
}

// active is the list register of an active interrupt.
func (v *Virtual) active(id uint32) *LR {
	for i := range v.LR {
		if w := &v.LR[i]; w.Active() && w.VINTID() == id {
			return w
		}
	}
	return nil
}

// Holds tells whether a list register has the interrupt.
func (v *Virtual) Holds(id uint32) bool {
	for _, w := range v.LR {
		if w.State() != 0 && w.VINTID() == id {
			return true
		}
	}
	return false
}

func deactivate(w *LR) (physical uint32) {
	*w = w.WithActive(false)
	if w.HW() {
		return w.PINTID()
	}
	return NoINTID
}

// Maintenance tells whether the interface raises its maintenance interrupt:
// ICH_MISR_EL2.EOI, and U when one list register or none is in use.
func (v *Virtual) Maintenance() bool {
	if !v.On {
		return false
	}
	used := 0
	for _, w := range v.LR {
		switch {
		case w.State() != 0:
			used++
		case w.EOI():
			return true
		}
	}
	return v.Underflow && used <= 1
}

// Sync saves, restores or hashes the interface.
func (v *Virtual) Sync(c *sim.Codec) {
	c.Tag("virtual interface")
	v.CPUInterface.Sync(c)
	c.Bool(&v.On)
	c.Bool(&v.Underflow)
	c.U32(&v.EOICount)
	for i := range v.LR {
		sim.Uint(c, &v.LR[i])
	}
}
