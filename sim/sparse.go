package sim

import (
	"errors"
	"math/bits"
)

// Sparse is a table from numbers to values of which few are set, and those in
// neighbourhoods: pages that somebody touched. Its size follows what is set,
// never the numbers; finding a value takes no longer the more there are. The
// zero Sparse is empty.
//
// Values come in groups of eight neighbours, found by open addressing. Groups
// stay in the order of their making, so that a walk over them is the same on
// every machine.
type Sparse[T any] struct {
	groups []sparseGroup[T]
	slots  []uint32 // place in groups + 1; 0 = free; a power of two, at most half full
	last   uint32   // slot value of the group used last
}

type sparseGroup[T any] struct {
	number uint64 // of the group: value number >> sparseShift
	values [1 << sparseShift]T
}

const sparseShift = 3

// Get returns the value of number n, nil if no neighbour of n was ever made.
// The pointer is valid until the next Make.
func (s *Sparse[T]) Get(n uint64) *T {
	if g := s.find(n >> sparseShift); g != nil {
		return &g.values[n&(1<<sparseShift-1)]
	}
	return nil
}

// Make returns the value of number n, making it if need be. The pointer is
// valid until the next Make.
func (s *Sparse[T]) Make(n uint64) *T {
	g := s.find(n >> sparseShift)
	if g == nil {
		g = s.add(n >> sparseShift)
	}
	return &g.values[n&(1<<sparseShift-1)]
}

func (s *Sparse[T]) find(number uint64) *sparseGroup[T] {
	if s.last != 0 {
		if g := &s.groups[s.last-1]; g.number == number {
			return g
		}
	}
	if len(s.slots) == 0 {
		return nil
	}
	for i := s.home(number); s.slots[i] != 0; i = (i + 1) & (len(s.slots) - 1) {
		if g := &s.groups[s.slots[i]-1]; g.number == number {
			s.last = s.slots[i]
			return g
		}
	}
	return nil
}

func (s *Sparse[T]) add(number uint64) *sparseGroup[T] {
	if 2*(len(s.groups)+1) > len(s.slots) {
		s.slots = make([]uint32, max(64, 4*len(s.groups)))
		s.slots = s.slots[:1<<(bits.Len(uint(len(s.slots)))-1)]
		for i := range s.groups {
			s.place(uint32(i + 1))
		}
	}
	s.groups = append(s.groups, sparseGroup[T]{number: number})
	s.last = uint32(len(s.groups))
	s.place(s.last)
	return &s.groups[s.last-1]
}

// place enters a group, by its place + 1, into the first free slot from its home.
func (s *Sparse[T]) place(at uint32) {
	i := s.home(s.groups[at-1].number)
	for s.slots[i] != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	s.slots[i] = at
}

// home is where the search for a group begins: Fibonacci hashing.
func (s *Sparse[T]) home(number uint64) int {
	return int(number * 0x9e3779b97f4a7c15 >> (64 - uint(bits.TrailingZeros(uint(len(s.slots))))))
}

// Sync saves, restores or hashes the table; f does so with a value.
func (s *Sparse[T]) Sync(c *Codec, f func(c *Codec, p *T)) {
	Slice(c, &s.groups, func(c *Codec, g *sparseGroup[T]) {
		c.U64(&g.number)
		for i := range g.values {
			f(c, &g.values[i])
		}
	})
	if !c.Loading() {
		return
	}
	groups := s.groups
	*s = Sparse[T]{}
	for i := range groups {
		if s.find(groups[i].number) != nil {
			c.Fail(errors.New("a group of a sparse table is there twice"))
			return
		}
		s.add(groups[i].number).values = groups[i].values
	}
}
