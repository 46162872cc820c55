// Package exec executes A64 code: what each instruction of cpu/isa does to a PE's
// registers and to memory.
//
//	PC ─► page of decoded code ─► block ─► uop, uop, uop … ─► next PC
//	       ▲ miss: translate,       one indirect call each
//	       │ decode to the end          │ loads, stores
//	      mmu.Memory ◄──── frame ◄── front (VA page ─► frame) ◄─ miss ─ translate
//
// Code is decoded once, from its physical page, and kept until anyone writes to
// that page (mmu.Memory.MarkCode). An instruction that stops has had no effect:
// run again, it starts anew.
//
// What instructions do is the Arm Architecture Reference Manual's, DDI 0487,
// chapter C6.2; how the pieces work together is chapter B2 (memory model,
// exclusives) and D1 (exceptions).
package exec

import (
	"errors"

	"ringmap/cpu/arch"
	"ringmap/cpu/cache"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// Exec executes the instructions of one PE. Between two Runs the PE's State is
// all there is to know, with the reservation of an exclusive load.
type Exec struct {
	x     [64]uint64 // X0 to X30, sp, zr, sink: of the State, while Run runs
	pc    uint64     // while a block runs: of what follows it
	base  uint64     // VA of the page that the block is in
	page  *page      // what is decoded of it
	key   uint64     // marks the slots of reads and writes that are in force
	mem   *mmu.Memory
	nzcv  uint8     // N 8, Z 4, C 2, V 1
	after bool      // the instruction that stops has been executed
	spent sim.Cycle // by instructions beyond one cycle each, in this Run

	PE     *arch.PE
	Writer mmu.Writer // in whose name stores are made
	Now    sim.Cycle  // the PE's clock
	// Retired counts the instructions executed, an exception taken as one, so that
	// a guest that does nothing else comes to an end. Run returns when it reaches
	// Until, if that is not 0.
	Retired, Until uint64
	// Horizon is until when this PE may access what others share with it: the next
	// time at which one of them acts.
	Horizon sim.Cycle

	Stats Stats // of the models that have time

	caches      *cache.System // nil without
	private     *cache.Core   // this core's side of them
	core        int
	model       Model
	pipe        *pipeline // of the inorder model, nil before its first use
	until       uint64
	reservation mmu.Reservation
	code        *Code
	codeWrites  uint64 // of mem, when page and fetches were filled
	epoch       uint64 // of PE, when the fronts were filled
	timers      uint64 // of PE, writes that the caller knows of
	fill        uint64 // counts how often the fronts were emptied
	fetchKey    uint64 // as key, of fetches
	mode        mmu.Mode
	fetchMode   mmu.Mode
	checkSP     bool
	aligned     bool // every access must be
	debugging   bool // see debug.go
	watching    bool // every access may meet a watchpoint
	excepted    bool // an instruction has taken an exception
	reads       [frontSlots]slot
	writes      [frontSlots]slot
	fetches     [frontSlots]fetchSlot
	fault       fault
	stop        Stop
}

// Registers beyond X30 in Exec.x.
const (
	sp   = 31
	zr   = 32 // 31 as a source: always 0
	sink = 33 // 31 as a destination: never read
)

// StopKind is why Run returned.
type StopKind uint8

const (
	StopLimit StopKind = iota // the time is over
	StopEL2                   // the modelled kernel at EL2 has an exception to handle
	StopWFI                   // WFI was executed: go on when an interrupt is pending
	StopWFE                   // WFE was executed and there is no event
	StopSEV                   // SEV was executed: every PE has an event
	StopSMC                   // SMC was executed: the firmware's to answer
	StopTimer                 // a timer was written: arch.PE.TimerDeadline may be another
	StopHint                  // HINT #HintMeasure or #HintSkip was executed
)

// Hints with which a guest says what of it is worth measuring: from here on, and
// no longer. They are not allocated: real machines execute NOPs.
const (
	HintMeasure = 0x70
	HintSkip    = 0x71
)

// Stop is why Run returned. PC is at the instruction of StopEL2, which has had no
// effect (ELR_EL2 says where to go on if it is done), and behind that of others.
type Stop struct {
	Kind      StopKind
	Exception arch.Exception // of StopEL2
	Inst      isa.Inst       // of all but StopLimit and failed fetches
	Abort     mmu.Abort      // of a StopEL2 that is an abort
	Write     bool           // the data access was a store, or an atomic one
	Size      uint8          // its bytes
}

// New returns what executes a PE's instructions. Decoded code may be shared by
// all PEs on the memory.
func New(m *mmu.Memory, code *Code, pe *arch.PE) *Exec {
	return &Exec{mem: m, code: code, PE: pe, codeWrites: m.CodeWrites(), fill: 1, page: &noPage, Horizon: sim.Never}
}

// blocks runs until limit, or until settling is due: then it returns true.
func (e *Exec) blocks(limit sim.Cycle) bool {
	for e.Now < limit {
		b := e.page.blocks[e.pc>>2&(pageWords-1)]
		if b == nil || (e.pc^e.base)>>mmu.FrameShift != 0 || e.mem.CodeWrites() != e.codeWrites {
			if b = e.findBlock(); b == nil {
				return e.except()
			}
		}
		if b.n > limit-e.Now {
			b = e.decode(e.page, e.pc&pageMask, 1)
		}
		e.pc = e.base + b.end
		e.Now += b.n
		for i := range b.ops {
			if u := &b.ops[i]; !u.do(e, u) {
				return e.interrupted(b, u)
			}
		}
	}
	return true
}

// interrupted ends a block at an instruction that did not complete, or that
// changed what the next ones depend on.
func (e *Exec) interrupted(b *block, u *uop) bool {
	if e.after {
		e.after = false
		return e.stop.Kind == StopLimit
	}
	e.Now -= sim.Cycle(b.end-uint64(u.off)) / 4
	return e.abandon(u)
}

// abandon takes the exception of an instruction that has had no effect.
func (e *Exec) abandon(u *uop) bool {
	e.pc = e.base + uint64(u.off)
	if e.fault.kind == faultRefetch {
		e.fault.kind = faultNone
		return true
	}
	e.stop.Inst, _ = isa.Decode(u.word)
	return e.except()
}

// enter takes the registers from the State.
func (e *Exec) enter() {
	e.stop, e.timers = Stop{}, e.PE.TimerWrites
	copy(e.x[:31], e.PE.X[:31])
	e.loadSpecial()
}

func (e *Exec) loadSpecial() {
	e.x[sp], e.pc, e.nzcv = *e.PE.StackPointer(), e.PE.PC, e.PE.NZCV
}

// leave gives them back.
func (e *Exec) leave() {
	copy(e.PE.X[:31], e.x[:31])
	e.saveSpecial()
}

func (e *Exec) saveSpecial() {
	*e.PE.StackPointer(), e.PE.PC, e.PE.NZCV, e.PE.Now = e.x[sp], e.pc, e.nzcv, e.Now
}

// settle acts on what an exception, a return or a system register may have
// changed, and takes interrupts. It returns true if that stops the run.
func (e *Exec) settle() bool {
	if e.PE.TimerWrites != e.timers {
		e.timers = e.PE.TimerWrites
		e.stop.Kind = StopTimer
		return true
	}
	e.saveSpecial()
	if x, pending := e.PE.Pending(); pending && !e.take(x) {
		return true
	}
	if e.PE.IL && !e.take(e.PE.IllegalState()) {
		return true
	}
	e.loadSpecial()
	if epoch := e.PE.Epoch(); epoch != e.epoch {
		e.epoch = epoch
		e.forget()
	}
	e.checkSP, e.aligned = e.PE.ChecksSP(), e.PE.ChecksAlignment()
	e.debugging, e.watching = e.PE.Debugging()
	e.setMode()
	return false
}

// forget empties the fronts. The page in use stays until the next Run, or until
// this PE executes what can change its translation: see settle.
func (e *Exec) forget() {
	if e.fill++; e.fill == 1<<(64-keyShift-modeBits) {
		e.fill = 1
		clear(e.reads[:])
		clear(e.writes[:])
		clear(e.fetches[:])
	}
	e.key, e.fetchKey = e.keyOf(e.mode), e.fetchKeyOf(e.fetchMode)
}

// setMode sets in whose name data are accessed and instructions fetched.
func (e *Exec) setMode() {
	e.mode, e.fetchMode = e.PE.Mode(), e.PE.FetchMode()
	e.key, e.fetchKey = e.keyOf(e.mode), e.fetchKeyOf(e.fetchMode)
	e.base, e.page = 0, &noPage
}

const modeBits = 2

// keyOf is what the keys of valid slots have above the page's number.
func (e *Exec) keyOf(m mmu.Mode) uint64 {
	if e.model != Atomic || e.watching {
		m = noMode
	}
	return e.fetchKeyOf(m)
}

func (e *Exec) fetchKeyOf(m mmu.Mode) uint64 { return (e.fill<<modeBits | uint64(m)) << keyShift }

// noMode is the mode of no slot: with it, every access goes through locate.
const noMode mmu.Mode = 1<<modeBits - 1

// Sync saves, restores or hashes what Run leaves behind besides the PE's State.
// The memory, the domain of TLBs and the PE are restored before. The fronts are
// state too: without them the TLB would be asked more often.
func (e *Exec) Sync(c *sim.Codec) {
	c.Tag("exec")
	sim.Uint(c, &e.Now)
	c.U64(&e.Retired)
	sim.Uint(c, &e.Writer)
	e.syncModel(c)
	r := e.reservation
	c.Bool(&r.Armed)
	c.Bool(&r.Lost)
	sim.Uint(c, &r.At)
	if c.Loading() {
		e.mem.Release(&e.reservation)
		if r.Armed {
			e.mem.Reserve(&e.reservation, e.mem.Frame(r.At.PFN()), r.At)
		}
		e.reservation.At, e.reservation.Lost = r.At, r.Lost // what is open says where it was: a hash sees it
		e.epoch, e.codeWrites = e.PE.Epoch(), e.mem.CodeWrites()
		e.forget()
	}
	valid := e.epoch == e.PE.Epoch()
	for i := range frontSlots {
		s := &e.reads[i]
		e.syncSlot(c, valid, i, &s.key, &s.pa)
		if c.Loading() && s.key != 0 {
			s.frame = e.mem.Frame(s.pa.PFN())
		}
	}
	for i := range frontSlots {
		s := &e.writes[i]
		e.syncSlot(c, valid, i, &s.key, &s.pa)
		if c.Loading() && s.key != 0 {
			s.frame = e.mem.Frame(s.pa.PFN())
		}
	}
	valid = valid && e.codeWrites == e.mem.CodeWrites()
	for i := range frontSlots {
		s := &e.fetches[i]
		e.syncFetch(c, valid, i, s)
	}
	if e.pipe != nil {
		e.syncFetch(c, valid, -1, &e.pipe.code)
	}
}

func (e *Exec) syncFetch(c *sim.Codec, valid bool, i int, s *fetchSlot) {
	pa := mmu.PA(0)
	if s.page != nil {
		pa = s.page.pa
	}
	e.syncSlot(c, valid, i, &s.key, &pa)
	if c.Loading() && s.key != 0 {
		s.page = e.code.pageOf(pa)
	}
}

// syncSlot codes where slot i (-1: one that any page may have) points, and the mode that it is for. What is not
// in force reads as empty.
func (e *Exec) syncSlot(c *sim.Codec, valid bool, i int, key *uint64, pa *mmu.PA) {
	mode := *key >> keyShift & (1<<modeBits - 1)
	valid = valid && *key>>keyShift>>modeBits == e.fill
	c.Bool(&valid)
	if !valid {
		if c.Loading() {
			*key = 0
		}
		return
	}
	page := *key & (1<<keyShift - 1)
	c.U64(&page)
	c.U64(&mode)
	sim.Uint(c, pa)
	if i >= 0 && page%frontSlots != uint64(i) || page>>keyShift != 0 || mode >= uint64(noMode) || *pa&pageMask != 0 {
		c.Fail(errSlot)
		page, mode, *pa = uint64(max(i, 0)), 0, 0
	}
	if c.Loading() {
		*key = page | e.fetchKeyOf(mmu.Mode(mode))
	}
}

var errSlot = errors.New("exec: impossible translation")
