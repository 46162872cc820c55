package sim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSparseIsAMap: against a map, over dense and scattered numbers, with a save
// and restore in between.
func TestSparseIsAMap(t *testing.T) {
	for _, span := range []uint64{1, 9, 1000, 1 << 40} {
		rng := NewStream(span, "sparse")
		s, want := &Sparse[uint32]{}, map[uint64]uint32{}
		for i := range 5000 {
			n, v := rng.N(span), uint32(rng.Uint64())
			if rng.Chance(1, 3) {
				*s.Make(n), want[n] = v, v
			}
			n = rng.N(span)
			got := uint32(0)
			if p := s.Get(n); p != nil {
				got = *p
			}
			if got != want[n] {
				t.Fatalf("span %d, step %d: number %d has %d, want %d", span, i, n, got, want[n])
			}
			if i == 2500 {
				e := NewEncoder()
				syncSparse(s, e)
				again := &Sparse[uint32]{}
				d := NewDecoder(e.Finish())
				syncSparse(again, d)
				d.Finish()
				if d.Err() != nil {
					t.Fatal(d.Err())
				}
				s = again
			}
		}
		if limit := 8 * len(want); len(s.groups) > limit/8+1 && len(s.groups) > len(want) {
			t.Errorf("%d groups for %d values", len(s.groups), len(want))
		}
	}
}

func syncSparse(s *Sparse[uint32], c *Codec) {
	s.Sync(c, func(c *Codec, p *uint32) { c.U32(p) })
}

// TestSparseRefusesRepetition: damage that would hide a group.
func TestSparseRefusesRepetition(t *testing.T) {
	s := &Sparse[uint32]{}
	s.Make(1)
	s.Make(100)
	s.groups[1].number = s.groups[0].number
	e := NewEncoder()
	syncSparse(s, e)
	d := NewDecoder(e.Finish())
	syncSparse(&Sparse[uint32]{}, d)
	if d.Err() == nil {
		t.Error("two groups of one number were accepted")
	}
}

// TestSparseHashesTheSame: the order of making is part of the state, nothing else.
func TestSparseHashesTheSame(t *testing.T) {
	sum := func(rounds int) uint64 {
		s := &Sparse[uint32]{}
		for range rounds {
			for n := range uint64(1000) {
				*s.Make(n * 77) = uint32(n)
			}
		}
		c := NewHasher()
		syncSparse(s, c)
		return c.Sum()
	}
	if diff := cmp.Diff(sum(1), sum(3)); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkSparse(b *testing.B) {
	s := &Sparse[uint64]{}
	rng := NewStream(1, "sparse")
	for range 1 << 16 {
		s.Make(rng.N(1 << 28))
	}
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		*s.Make(s.groups[n&(1<<16-1)%uint64(len(s.groups))].number << sparseShift) += n
	}
}
