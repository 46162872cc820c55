package exec

import (
	"ringmap/cpu/cache"
	"ringmap/sim"
)

// Model is how instructions take time.
//
// A core model is a run loop, a method of Exec like blocks (atomic) and inorder;
// Run picks one for a whole stretch of code, so that no instruction pays for the
// choice. The contract, which an out-of-order loop keeps too:
//
//   - It begins at e.pc after settle, takes blocks from findBlock, and calls do of
//     each uop once, in program order where the effects are architectural. Before
//     a do, e.pc is what follows the block and e.Now the cycle of the access.
//   - It moves e.Now on and counts e.Retired. It goes on while e.Now < limit and
//     e.Retired < e.until.
//   - If do returns false it ends the block: with the instruction done if e.after
//     is set, otherwise with none of its effects (see Exec.except).
//   - It returns true when settling is due, false when Run has to return; e.pc is
//     then the next instruction, and nothing of it has happened.
//   - In a model with time, e.locate and e.fetch go through the TLB every time and
//     leave in the pipeline what they touched; no access is made later than
//     e.Horizon, so that cores reach shared memory in the order of time.
type Model uint8

const (
	Atomic  Model = iota // one cycle an instruction, memory for nothing
	Inorder              // scoreboard, store buffer, branch predictor, TLBs and caches
	numModels
)

var modelNames = [numModels]string{"atomic", "inorder"}

// String returns the name that scenarios use.
func (m Model) String() string { return modelNames[m] }

// Switch makes the next Run execute by a model. The architectural state goes on
// as it is; a model begins with an empty pipeline and a predictor that knows
// nothing, and finds the TLB as the other left it.
func (e *Exec) Switch(m Model) {
	if m == e.model {
		return
	}
	e.model = m
	if m == Inorder && e.pipe == nil {
		e.newPipeline()
		if e.caches != nil {
			e.pipe.L1D = e.caches.Spec.L1D.Latency
		}
	}
	e.forget()
}

// Attach puts caches between the PE, which is a core of theirs, and memory, for the
// models that have time.
func (e *Exec) Attach(s *cache.System, core int) {
	e.caches, e.private, e.core = s, s.Core(core), core
}

// Model is the present one.
func (e *Exec) Model() Model { return e.model }

// Run executes instructions until it is limit, until Until have been retired, or
// until something stops it. Interrupts are taken at its beginning and where the
// guest unmasks them.
func (e *Exec) Run(limit sim.Cycle) Stop {
	e.enter()
	e.spent, e.code.running = 0, e
	e.until = e.Until
	if e.until == 0 {
		e.until = noLimit
	}
	if e.model == Inorder {
		e.resume()
		for !e.settle() && e.Now < limit && e.Retired < e.until && e.run(limit) {
		}
		e.pipe.now = e.Now
	} else {
		began := e.Now
		if left := e.until - e.Retired; left < uint64(limit-began) && began < limit {
			limit = began + sim.Cycle(left)
		}
		for !e.settle() && e.Now < limit && e.run(limit) {
		}
		e.Retired += uint64(e.Now - began - e.spent)
	}
	e.leave()
	if e.stop.Kind == StopLimit {
		return Stop{}
	}
	return e.stop
}

// Spend makes the instruction that is being executed take n cycles longer: an
// access to a register that lies outside of the core.
func (e *Exec) Spend(n sim.Cycle) {
	if e.model == Inorder {
		e.advance(e.Now+n, StallPipe)
		return
	}
	e.Now += n
	e.spent += n
}

const noLimit = ^uint64(0)
