package audit

import "ringmap/mmu"

// chunkShift makes a chunk of the index 512 pages: 2 MiB of guest with 4 KiB pages.
const chunkShift = 9

// index finds the record of a page: a chunk of 512 places exists once one of its
// pages was touched, and the chunk used last is remembered, for pages are
// touched in neighbourhoods.
type index struct {
	chunks map[uint64]*[1 << chunkShift]uint32 // place+1, 0 = none; never iterated
	last   *[1 << chunkShift]uint32
	lastID uint64
}

func (x *index) get(gfn mmu.GFN) (uint32, bool) {
	c := x.chunk(uint64(gfn) >> chunkShift)
	if c == nil {
		return 0, false
	}
	i := c[uint64(gfn)&(1<<chunkShift-1)]
	return i - 1, i != 0
}

func (x *index) set(gfn mmu.GFN, i uint32) {
	id := uint64(gfn) >> chunkShift
	c := x.chunk(id)
	if c == nil {
		if x.chunks == nil {
			x.chunks = make(map[uint64]*[1 << chunkShift]uint32)
		}
		c = new([1 << chunkShift]uint32)
		x.chunks[id] = c
		x.last, x.lastID = c, id
	}
	c[uint64(gfn)&(1<<chunkShift-1)] = i + 1
}

func (x *index) chunk(id uint64) *[1 << chunkShift]uint32 {
	if x.last != nil && x.lastID == id {
		return x.last
	}
	c := x.chunks[id]
	if c != nil {
		x.last, x.lastID = c, id
	}
	return c
}
