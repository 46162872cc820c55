package audit

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// index finds the record of a page.
type index struct{ places sim.Sparse[uint32] } // place+1, 0 = none

func (x *index) get(gfn mmu.GFN) (uint32, bool) {
	p := x.places.Get(uint64(gfn))
	if p == nil || *p == 0 {
		return 0, false
	}
	return *p - 1, true
}

func (x *index) set(gfn mmu.GFN, i uint32) { *x.places.Make(uint64(gfn)) = i + 1 }
