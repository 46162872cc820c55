package exec

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Timing is what an inorder core is made of, beside its TLB and caches. Times are
// cycles.
type Timing struct {
	Width       uint8  // instructions that issue in a cycle
	Refill      uint32 // from a mispredicted branch, an exception or an ISB to the next instruction
	StoreBuffer int    // stores that have issued and not reached L1D, 1 to maxStoreBuffer
	Forward     uint32 // a load of what is in the store buffer, load-to-use
	ToL1D       uint32 // an atomic's way through the store buffer to L1D and back with its result, beside the access
	TLBHit2     uint32 // a hit in the second-level TLB, above one in the first
	TLBILocal   uint32 // TLB maintenance of this PE, seen by DSB
	TLBIShared  uint32 // … of all PEs
	L1D         uint32 // load-to-use, where no caches are modelled
}

// NeoverseN1 are the numbers of the reference host, with two instructions a cycle
// as Cortex-A55, where N1 has eight micro-ops and no order. TLBILocal and
// TLBIShared are those of kvmcore's profile n1.
var NeoverseN1 = Timing{
	Width:       2,   // Arm Cortex-A55 Software Optimization Guide 2.1: dual issue, in order
	Refill:      11,  // LLVM AArch64SchedNeoverseN1.td, MispredictPenalty
	StoreBuffer: 44,  // measured in flight: Chips and Cheese, "Deep Diving Neoverse N1"
	Forward:     4,   // assumed: as L1D, whose load-to-use it is
	ToL1D:       11,  // fit: an uncontended LDADD takes 15 cycles, of which L1D's 4 are the access (5.0 ns, linux-arm-kernel, Nov 2025)
	TLBHit2:     5,   // Chips and Cheese
	TLBILocal:   30,  // pKVM note, FTC862: 10 ns
	TLBIShared:  867, // the same: 289 ns
	L1D:         4,   // AnandTech Graviton2 review
}

const maxStoreBuffer = 256

// Where the scoreboard has what lies behind the registers of Exec.x: the flags, and
// the SIMD and FP registers.
const (
	nzcvReady  = sink + 1
	vReady     = 64
	scoreboard = 128
)

// pipeline is the state of the inorder model, beside the predictor's.
//
//	           ┌── L1I ◄─ predictor
//	block ─► issue, two a cycle ─► pipes ─► scoreboard: when each register is ready
//	           └─► TLB ─► loads ◄── forward ── store buffer ─► L1D, in order
type pipeline struct {
	Timing

	now    sim.Cycle // of the last Run
	issued uint8     // in the cycle Exec.Now
	ready  [scoreboard]sim.Cycle
	late   [scoreboard]Stall // what a register's readiness waits for
	free   [numPipes]sim.Cycle

	loads    sim.Cycle // when every load so far has its data
	acquired sim.Cycle // before that no access may issue
	released sim.Cycle // when the last store-release is done
	tlbi     sim.Cycle // when the last TLB maintenance is done

	// The store buffer: when its stores reach L1D, in the order of the program.
	drains  [maxStoreBuffer]sim.Cycle
	head    int // the oldest
	waiting int
	drained sim.Cycle // when the youngest does
	forward [forwardSlots]forwarded

	// The present instruction's accesses, left by locate.
	touched [4]touch
	touches int
	at      sim.Cycle // when its translation is there
	waits   Stall     // for what, until then
	entry   *mmu.Entry
	entryVA uint64 // page that entry maps

	code  fetchSlot // the page of code in use
	line  mmu.PA    // of the code fetched last
	lines [mmu.FrameSize / lineBytes]sim.Cycle

	predictor
}

// touch is a place that an instruction accesses.
type touch struct {
	pa    mmu.PA
	n     uint64 // bytes, all in one page
	write bool
}

// forwarded is a word that is in the store buffer.
type forwarded struct {
	word   mmu.PA // its address / 8
	until  sim.Cycle
	atomic bool // the value is not known before
}

const forwardSlots = 64

const noLine mmu.PA = 1 // no line's address

func (e *Exec) newPipeline() {
	e.pipe = &pipeline{Timing: NeoverseN1, line: noLine}
	if e.caches != nil {
		e.pipe.L1D = e.caches.Spec.L1D.Latency
	}
}

// resume goes on where the last Run stopped, if no time has passed since: then
// the cycle that it stopped in is not over.
func (e *Exec) resume() {
	if p := e.pipe; p.now != e.Now {
		p.issued = 0
	}
}

// advance moves time to t, and books it: the present cycle as one of issue, if
// anything issued in it, the others under the cause.
func (e *Exec) advance(t sim.Cycle, cause Stall) {
	p := e.pipe
	n := uint64(t - e.Now)
	if p.issued != 0 {
		e.Stats.Stalls[StallNone]++
		p.issued = 0
		n--
	}
	e.Stats.Stalls[cause] += n
	e.Now = t
}

// flush lets the pipeline refill, once the present cycle is over.
func (e *Exec) flush(cause Stall) {
	t := e.Now + sim.Cycle(e.pipe.Refill)
	if e.pipe.issued != 0 {
		t++
	}
	e.advance(t, cause)
}

// inorder is the run loop of the model: see Model for its contract.
func (e *Exec) inorder(limit sim.Cycle) bool {
	p := e.pipe
	for e.Now < limit && e.Retired < e.until {
		b := e.page.blocks[e.pc>>2&(pageWords-1)]
		if b == nil || (e.pc^e.base)>>mmu.FrameShift != 0 || e.mem.CodeWrites() != e.codeWrites {
			if e.Now > e.Horizon {
				return false
			}
			if b = e.findBlock(); b == nil {
				return e.except()
			}
		}
		if uint64(b.n) > e.until-e.Retired {
			b = e.decode(e.page, e.pc&pageMask, 1)
		}
		if b.timing == nil {
			b.timing = e.scheduled(b)
		}
		if !e.fetchLines(b) {
			return false
		}
		e.pc = e.base + b.end
		for i := range b.ops {
			u, t := &b.ops[i], &b.timing[i]
			if t.kind == kindNone {
				if !u.do(e, u) {
					return e.halted(u)
				}
				continue
			}
			if t.flags&newLine != 0 {
				if at := p.lines[u.off/lineBytes]; at > e.Now {
					e.advance(at, StallFetch)
				}
			}
			if !e.issue(t, limit) {
				e.pc = e.base + uint64(u.off)
				return false
			}
			if !u.do(e, u) {
				if e.after {
					e.complete(u, t)
				}
				return e.halted(u)
			}
			e.complete(u, t)
		}
	}
	return true
}

// issue moves time to where an instruction issues: all its sources are ready, its
// pipe is free, and fewer than Width went before it. It is false for an access
// that another core may come before, or that lies beyond the limit.
func (e *Exec) issue(t *timing, limit sim.Cycle) bool {
	p := e.pipe
	at, cause := e.Now, StallNone
	if p.issued >= p.Width {
		at++
	}
	for _, r := range t.src {
		if w := p.ready[r&(scoreboard-1)]; w > at {
			at, cause = w, p.late[r&(scoreboard-1)]
		}
	}
	if w := p.free[t.pipe]; w > at {
		at, cause = w, StallPipe
	}
	if t.kind >= kindLoad || t.flags&maintains != 0 {
		at, cause = p.order(t, at, cause)
		if at > e.Now {
			e.advance(at, cause)
		}
		if at > e.Horizon || at >= limit {
			return false
		}
		p.at, p.entry = at, nil
	} else if at > e.Now {
		e.advance(at, cause)
	}
	p.touches = 0
	if t.pipe != pipeAny {
		p.free[t.pipe] = at + sim.Cycle(t.busy)
	}
	p.issued++
	return true
}

// order is when an access may issue, by those before it.
func (p *pipeline) order(t *timing, at sim.Cycle, cause Stall) (sim.Cycle, Stall) {
	if p.acquired > at {
		at, cause = p.acquired, StallOrder
	}
	if t.flags&acquires != 0 && p.released > at { // RCsc: after store-releases
		at, cause = p.released, StallOrder
	}
	if t.kind != kindLoad {
		for p.waiting != 0 && p.drains[p.head] <= at {
			p.head = (p.head + 1) % maxStoreBuffer
			p.waiting--
		}
		if p.waiting >= p.StoreBuffer {
			at, cause = p.drains[p.head], StallStores
			p.head = (p.head + 1) % maxStoreBuffer
			p.waiting--
		}
	}
	return at, cause
}

// complete says when the results of an instruction that has issued are ready.
func (e *Exec) complete(u *uop, t *timing) {
	p := e.pipe
	e.Retired += uint64(t.n)
	e.Stats.Instructions += uint64(t.n)
	switch {
	case t.kind == kindPlain:
		p.ready[t.dst[0]&(scoreboard-1)] = e.Now + sim.Cycle(t.lat)
		p.late[t.dst[0]&(scoreboard-1)] = StallOperand
	case t.kind >= kindLoad:
		e.completeAccess(t)
	default:
		e.completeOther(u, t)
	}
	if t.flags&setsFlags != 0 && t.flags&fusedBranch == 0 {
		p.ready[nzcvReady], p.late[nzcvReady] = e.Now+sim.Cycle(t.lat), StallOperand
	}
}

// completeOther is complete for what is neither arithmetic nor an access.
func (e *Exec) completeOther(u *uop, t *timing) {
	p := e.pipe
	p.ready[t.dst[0]&(scoreboard-1)] = e.Now + sim.Cycle(t.lat)
	p.late[t.dst[0]&(scoreboard-1)] = StallOperand
	switch t.kind {
	case kindBranch:
		e.completeBranch(u, t)
	case kindBarrier:
		e.completeBarrier(t)
	case kindSystem:
		if p.touches != 0 { // DC ZVA
			e.completeAccess(t)
		}
		if t.flags&flushes != 0 {
			e.flush(StallException)
		}
	}
}

// completeBarrier waits for what a barrier waits for, and no longer.
func (e *Exec) completeBarrier(t *timing) {
	p := e.pipe
	at, cause := e.Now, StallOrder
	if t.flags&waitsLoads != 0 {
		at = max(at, p.loads)
	}
	if t.flags&waitsStores != 0 {
		at = max(at, p.drained)
	}
	if t.flags&waitsTLBI != 0 && p.tlbi > at {
		at, cause = p.tlbi, StallTLBI
	}
	if at > e.Now {
		e.advance(at, cause)
	}
	if t.flags&flushes != 0 {
		e.flush(StallException)
	}
}

// completeBranch compares a branch with its prediction.
func (e *Exec) completeBranch(u *uop, t *timing) {
	p := e.pipe
	if t.flags&fusedBranch != 0 { // the comparison issued now, its branch a cycle later
		e.advance(e.Now+1, StallNone)
		p.ready[t.dst[0]&(scoreboard-1)], p.late[t.dst[0]&(scoreboard-1)] = e.Now, StallOperand
		p.ready[nzcvReady], p.late[nzcvReady] = e.Now, StallOperand
		p.free[pipeBranch] = e.Now + 1
		p.issued++
	}
	at := e.base + uint64(u.off) + 4*uint64(t.n-1)
	e.Stats.Branches++
	if !p.predict(t.flags, at, at+4, e.pc) {
		e.Stats.Mispredicted++
		e.flush(StallBranch)
		return
	}
	if e.pc != at+4 {
		p.issued = max(p.issued, p.Width) // what is behind a taken branch comes in the next cycle
	}
}

// halted ends a block at an instruction that did not complete, or that changed
// what the next ones depend on.
func (e *Exec) halted(u *uop) bool {
	if e.after {
		e.after = false
		return e.stop.Kind == StopLimit
	}
	e.translated() // what failed took its time
	return e.abandon(u)
}
