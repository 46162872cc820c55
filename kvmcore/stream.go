package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// GuestOp is what a guest does next, as far as memory is concerned.
type GuestOp uint8

const (
	GuestLoad        GuestOp = iota // load Size bytes; the value is kept for GuestStoreLoaded
	GuestStore                      // store Value
	GuestStoreLoaded                // store (last loaded value + Value)
	GuestFetch                      // instruction fetch
	GuestIdle                       // Value cycles without work (WFI, think time)
	GuestEnd                        // the workload is finished: the vCPU stops for good
	GuestHypercall                  // HVC: to the kernel and back
)

// GuestAccess is one access of a guest and the work before it. 32 bytes.
type GuestAccess struct {
	IPA    mmu.IPA
	Value  uint64
	Cycles uint32 // guest cycles spent since the access before, this one included
	Instr  uint32 // instructions retired since the access before, this one included
	Size   uint8  // 1, 2, 4, 8, or 16 (a pair of 8); may cross a page
	Op     GuestOp
	_      [6]byte
}

// Stream is a vCPU's source of accesses. Fill writes the next accesses into dst
// and returns how many; 0 means that nothing comes now (a script without further
// operations), GuestEnd that nothing will ever come. One call fills a batch, so
// that no indirect call happens per access. Fill never looks at simulated time:
// the same stream gives the same accesses whatever the kernel under it does.
type Stream interface {
	Fill(dst []GuestAccess) int
	// Sync saves, restores or hashes the stream's state.
	Sync(c *sim.Codec)
}
