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
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// Exec executes the instructions of one PE.
type Exec struct {
	x    [64]uint64 // X0 to X30, sp, zr, sink
	pc   uint64     // while a block runs: of what follows it
	base uint64     // VA of the page that the block is in
	page *page      // what is decoded of it
	key  uint64     // what is in force of front, in the high bits of slot.key
	mem  *mmu.Memory
	nzcv uint8 // N 8, Z 4, C 2, V 1

	Writer  mmu.Writer // in whose name stores are made
	Now     sim.Cycle  // this model's time: one cycle an instruction
	CheckSP bool       // SCTLR_ELx.SA: a base of SP must be a multiple of 16
	Aligned bool       // SCTLR_ELx.A: accesses must be aligned

	reservation mmu.Reservation
	code        *Code
	codeWrites  uint64 // of mem, when page and fetches were filled
	port        Port
	epoch       uint64   // of port, when the fronts were filled
	fill        uint64   // counts how often the fronts were emptied
	mode, as    mmu.Mode // of data; of fetches
	fetchKey    uint64
	reads       [frontSlots]slot
	writes      [frontSlots]slot
	fetches     [frontSlots]fetchSlot
	stop        Stop
}

// Port translates for a PE.
type Port struct {
	TLB     *mmu.TLB
	Context *mmu.Context
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
	StopAbort                 // a data access did not translate: Abort
	StopFetch                 // an instruction did not translate: Abort
	StopAlignment
	StopSP        // SP is the base and not a multiple of 16
	StopPC        // PC is not a multiple of 4
	StopUndefined // no instruction
	StopSystem    // what this package does not do: SVC, HVC, MRS, ERET …: Inst
)

// Stop is why and where Run returned. PC is at the instruction named, which has
// not been executed.
type Stop struct {
	Kind  StopKind
	Write bool  // the data access was a store, or an atomic one
	Size  uint8 // its bytes
	VA    mmu.VA
	Abort mmu.Abort
	Inst  isa.Inst // of all but StopLimit, StopFetch, StopPC
}

// New returns a PE without registers set. Decoded code may be shared between
// PEs on the same memory.
func New(m *mmu.Memory, code *Code, port Port) *Exec {
	e := &Exec{mem: m, code: code, port: port, codeWrites: m.CodeWrites()}
	e.forget()
	return e
}

// Run executes instructions until it is limit or something stops it.
func (e *Exec) Run(limit sim.Cycle) Stop {
	e.refresh()
	for e.Now < limit {
		b := e.page.blocks[e.pc>>2&(pageWords-1)]
		if b == nil || (e.pc^e.base)>>mmu.FrameShift != 0 || e.mem.CodeWrites() != e.codeWrites {
			if b = e.findBlock(); b == nil {
				return e.stop
			}
		}
		if b.n > limit-e.Now {
			if b = e.single(); b == nil {
				return e.stop
			}
		}
		e.pc = e.base + b.end
		e.Now += b.n
		for i := range b.ops {
			if u := &b.ops[i]; !u.do(e, u) {
				e.stopAt(b, u)
				return e.stop
			}
		}
	}
	return Stop{}
}

// stopAt goes back to before an instruction of the block.
func (e *Exec) stopAt(b *block, u *uop) {
	e.pc = e.base + uint64(u.off)
	e.Now -= sim.Cycle(b.end-uint64(u.off)) / 4
	e.stop.Inst, _ = isa.Decode(u.word)
}

// halt stops before this instruction.
func (e *Exec) halt(k StopKind) bool {
	e.stop = Stop{Kind: k}
	return false
}

// refresh forgets translations that may have changed since the last Run.
func (e *Exec) refresh() {
	if g := e.port.TLB.Generation(); g != e.epoch {
		e.epoch = g
		e.forget()
	}
}

// forget empties the fronts.
func (e *Exec) forget() {
	if e.fill++; e.fill == 1<<(12-modeBits) {
		e.fill = 1
		clear(e.reads[:])
		clear(e.writes[:])
		clear(e.fetches[:])
	}
	e.setMode(e.mode, e.as)
}

// setMode sets in whose name data are accessed and instructions fetched.
func (e *Exec) setMode(data, fetch mmu.Mode) {
	e.mode, e.as = data, fetch
	e.key, e.fetchKey = e.keyOf(data), e.keyOf(fetch)
	e.base, e.page = 0, &noPage
}

const modeBits = 2

// keyOf is what the keys of valid slots have above the page's number.
func (e *Exec) keyOf(m mmu.Mode) uint64 { return (e.fill<<modeBits | uint64(m)) << keyShift }
