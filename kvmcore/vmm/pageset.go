package vmm

import (
	"errors"
	"math/bits"

	"ringmap/sim"
)

// pageSet is a bitmap of a slot's pages in userspace: sparse, with summaries, so
// that an almost empty set of a terabyte costs next to nothing to walk. Three
// levels of 64: a chunk holds 64 words of 64 pages.
type pageSet struct {
	chunks []*pageChunk // by page >> 12; made when first touched, then kept
	sum    []uint64     // bit = chunk is not empty
	n      uint64       // pages in it
}

const chunkPages = 64 * 64

type pageChunk struct {
	sum   uint64 // bit = word is not zero
	words [64]uint64
}

func newPageSet(pages uint64) pageSet {
	n := (pages + chunkPages - 1) / chunkPages
	return pageSet{chunks: make([]*pageChunk, n), sum: make([]uint64, (n+63)/64)}
}

// or adds the pages whose bits are set in word w: pages 64*w to 64*w+63.
func (s *pageSet) or(w, b uint64) {
	if b == 0 {
		return
	}
	i := w / 64
	c := s.chunks[i]
	if c == nil {
		c = new(pageChunk)
		s.chunks[i] = c
	}
	s.n += uint64(bits.OnesCount64(b &^ c.words[w%64]))
	c.words[w%64] |= b
	c.sum |= 1 << (w % 64)
	s.sum[i/64] |= 1 << (i % 64)
}

func (s *pageSet) add(page uint64) { s.or(page/64, 1<<(page%64)) }

func (s *pageSet) remove(page uint64) { s.andNot(page/64, 1<<(page%64)) }

func (s *pageSet) has(page uint64) bool {
	c := s.chunks[page/chunkPages]
	return c != nil && c.words[page/64%64]>>(page%64)&1 != 0
}

// andNot removes the pages whose bits are set in word w.
func (s *pageSet) andNot(w, b uint64) {
	i := w / 64
	c := s.chunks[i]
	if c == nil {
		return
	}
	s.n -= uint64(bits.OnesCount64(b & c.words[w%64]))
	if c.words[w%64] &^= b; c.words[w%64] != 0 {
		return
	}
	if c.sum &^= 1 << (w % 64); c.sum == 0 {
		s.sum[i/64] &^= 1 << (i % 64)
	}
}

// fill adds all pages of a set of that many.
func (s *pageSet) fill(pages uint64) {
	for w := uint64(0); w < pages/64; w++ {
		s.or(w, ^uint64(0))
	}
	s.or(pages/64, 1<<(pages%64)-1)
}

// next finds the first word that is not empty at or after word w.
func (s *pageSet) next(w uint64) (at, b uint64, ok bool) {
	i := w / 64
	if i < uint64(len(s.chunks)) && s.chunks[i] != nil {
		if m := s.chunks[i].sum >> (w % 64) << (w % 64); m != 0 {
			k := uint64(bits.TrailingZeros64(m))
			return i*64 + k, s.chunks[i].words[k], true
		}
	}
	i++
	for g := i / 64; g < uint64(len(s.sum)); g++ {
		m := s.sum[g]
		if g == i/64 {
			m = m >> (i % 64) << (i % 64)
		}
		if m != 0 {
			j := g*64 + uint64(bits.TrailingZeros64(m))
			k := uint64(bits.TrailingZeros64(s.chunks[j].sum))
			return j*64 + k, s.chunks[j].words[k], true
		}
	}
	return 0, 0, false
}

// moveTo empties s into dst and returns how many words held pages.
func (s *pageSet) moveTo(dst *pageSet) (words uint64) {
	for w, b, ok := s.next(0); ok; w, b, ok = s.next(w + 1) {
		dst.or(w, b)
		s.andNot(w, b)
		words++
	}
	return words
}

// sync saves, restores or hashes the words that are not empty.
func (s *pageSet) sync(c *sim.Codec) {
	n := 0
	for w, _, ok := s.next(0); ok; w, _, ok = s.next(w + 1) {
		n++
	}
	c.Len(&n)
	if c.Loading() {
		s.n = 0
		for i := range s.sum {
			s.sum[i] = 0
		}
		for i := range s.chunks {
			s.chunks[i] = nil
		}
		for ; n > 0 && c.Err() == nil; n-- {
			var w, b uint64
			c.U64(&w)
			c.U64(&b)
			if w/64 >= uint64(len(s.chunks)) {
				c.Fail(errors.New("vmm: a page of the snapshot lies outside its slot"))
				return
			}
			s.or(w, b)
		}
		return
	}
	for w, b, ok := s.next(0); ok; w, b, ok = s.next(w + 1) {
		c.U64(&w)
		c.U64(&b)
	}
}
