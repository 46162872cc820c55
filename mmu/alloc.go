package mmu

import "ringmap/sim"

// Allocator hands out physical frames in blocks of 2^order: from a free list of
// the order if there is one, else from the memory nobody had yet. What alignment
// skips goes to the free lists of smaller orders. A block is aligned to its size
// and reads as zero.
type Allocator struct {
	mem  *Memory
	next PFN // never handed out from here on
	end  PFN
	free [MaxOrder + 1][]PFN
	Used uint64 // frames handed out now
}

// MaxOrder is the largest block: 16 GiB, above every block mapping in use.
const MaxOrder = 22

// NoFrame is what Alloc returns when the physical address space is used up.
const NoFrame PFN = noFrame

// NewAllocator returns an allocator of the physical memory from base to end.
func NewAllocator(m *Memory, base, end PFN) *Allocator {
	return &Allocator{mem: m, next: base, end: end}
}

// Alloc returns the first frame of a zeroed block of 2^order frames.
func (a *Allocator) Alloc(order uint) PFN {
	n := PFN(1) << order
	if l := a.free[order]; len(l) > 0 {
		a.free[order] = l[:len(l)-1]
		a.Used += uint64(n)
		return l[len(l)-1]
	}
	for o := uint(0); o < order; o++ { // hand the unaligned beginning to the lists
		if a.next&(1<<o) != 0 && a.next+1<<o <= a.end {
			a.free[o] = append(a.free[o], a.next)
			a.next += 1 << o
		}
	}
	if a.next&(n-1) != 0 || a.next+n > a.end {
		return NoFrame
	}
	pfn := a.next
	a.next += n
	a.Used += uint64(n)
	if order == 0 {
		a.mem.Frame(pfn) // frames of single pages are numbered as they are handed out
	}
	return pfn
}

// Free takes back a block of 2^order frames. Its contents are gone.
func (a *Allocator) Free(pfn PFN, order uint) {
	a.mem.Discard(pfn, 1<<order)
	a.free[order] = append(a.free[order], pfn)
	a.Used -= 1 << order
}

// Sync saves, restores or hashes the allocator.
func (a *Allocator) Sync(c *sim.Codec) {
	c.Tag("allocator")
	sim.Uint(c, &a.next)
	sim.Uint(c, &a.end)
	c.U64(&a.Used)
	for o := range a.free {
		sim.Slice(c, &a.free[o], func(c *sim.Codec, p *PFN) { sim.Uint(c, p) })
	}
}
