package exec

import (
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// run executes by the model until settling is due; one instruction at a time while
// the PE debugs itself.
func (e *Exec) run(limit sim.Cycle) bool {
	switch {
	case e.debugging:
		return e.step(limit)
	case e.model == Inorder:
		return e.inorder(limit)
	}
	return e.blocks(limit)
}

// step executes one instruction, unless a debug exception is due before it, and
// takes the exception of software step behind it.
func (e *Exec) step(limit sim.Cycle) bool {
	e.saveSpecial()
	pe := e.PE
	stepping := pe.Stepping()
	switch {
	case stepping && !pe.SS:
		return e.interrupt(pe.SoftwareStep(false, false))
	case pe.Breaks(e.pc):
		return e.interrupt(pe.Breakpoint())
	}
	at := e.pc
	e.excepted = false
	var more bool
	if e.model == Inorder {
		until := e.until
		e.until = e.Retired + 1
		more = e.inorder(limit)
		e.until = until
	} else {
		more = e.blocks(e.Now + 1)
	}
	if !stepping || e.excepted || !more && e.stop.Kind == StopLimit {
		return more
	}
	e.saveSpecial()
	pe.SS = false
	if e.stop.Kind == StopEL2 || !pe.Stepping() {
		return more
	}
	return e.interrupt(pe.SoftwareStep(true, e.loadsExclusive(at))) && more
}

// loadsExclusive says whether the instruction at pc, which has just been executed,
// is a load-exclusive.
func (e *Exec) loadsExclusive(pc uint64) bool {
	t := e.PE.Peek(mmu.VA(pc))
	if t == nil { // its translation has been invalidated: by itself, so it was none
		return false
	}
	in, _ := isa.Decode(uint32(e.mem.Load(t.PAOf(mmu.VA(pc)), 4)))
	switch in.Op {
	case isa.LDXR, isa.LDAXR, isa.LDXP, isa.LDAXP:
		return true
	}
	return false
}

// watched raises the exception of a watchpoint that an access meets.
func (e *Exec) watched(va, n uint64, a mmu.Access) bool {
	at, hit := e.PE.Watches(va, n, a == mmu.AccessWrite, e.mode == mmu.ModeUser)
	if hit {
		e.fault = fault{kind: faultWatch, write: a == mmu.AccessWrite, abort: mmu.Abort{VA: mmu.VA(at)}}
	}
	return hit
}
