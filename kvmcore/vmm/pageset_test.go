package vmm

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// pages lists a set through its own iterator.
func (s *pageSet) pages() (list []uint64) {
	for w, b, ok := s.next(0); ok; w, b, ok = s.next(w + 1) {
		for i := range uint64(64) {
			if b>>i&1 != 0 {
				list = append(list, w*64+i)
			}
		}
	}
	return list
}

// TestPageSetModel drives page sets and maps with the same operations.
func TestPageSetModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		size := 1 + rng.Uint64N(1<<(1+rng.IntN(20)))
		a, b := newPageSet(size), newPageSet(size)
		ma, mb := map[uint64]bool{}, map[uint64]bool{}
		for range 400 {
			p := rng.Uint64N(size)
			switch rng.IntN(8) {
			case 0, 1, 2:
				a.add(p)
				ma[p] = true
			case 3:
				a.remove(p)
				delete(ma, p)
			case 4:
				b.add(p)
				mb[p] = true
			case 5:
				p &^= 63
				n := min(64, size-p)
				bits := rng.Uint64() >> (64 - n)
				a.or(p/64, bits)
				for i := range n {
					if bits>>i&1 != 0 {
						ma[p+i] = true
					}
				}
			case 6:
				words := map[uint64]bool{}
				for q := range ma {
					words[q/64] = true
					mb[q] = true
				}
				if got := a.moveTo(&b); got != uint64(len(words)) {
					t.Fatalf("moveTo moved %d words, want %d", got, len(words))
				}
				clear(ma)
			case 7:
				b = reloadPages(t, &b, size)
			}
		}
		for _, x := range []struct {
			set   *pageSet
			model map[uint64]bool
		}{{&a, ma}, {&b, mb}} {
			if d := cmp.Diff(slices.Sorted(maps.Keys(x.model)), x.set.pages()); d != "" {
				t.Fatalf("seed %d, %d pages (-model +set):\n%s", seed, size, d)
			}
		}
	}
}

func reloadPages(t *testing.T, s *pageSet, size uint64) pageSet {
	t.Helper()
	enc := sim.NewEncoder()
	s.sync(enc)
	r := newPageSet(size)
	r.add(size - 1) // must go
	dec := sim.NewDecoder(enc.Finish())
	r.sync(dec)
	if dec.Err() != nil {
		t.Fatal(dec.Err())
	}
	return r
}

// TestPageSetRefusesForeignPages: a snapshot of a larger slot is an error.
func TestPageSetRefusesForeignPages(t *testing.T) {
	big, small := newPageSet(1<<20), newPageSet(1<<10)
	big.add(1<<20 - 1)
	enc := sim.NewEncoder()
	big.sync(enc)
	dec := sim.NewDecoder(enc.Finish())
	if small.sync(dec); dec.Err() == nil {
		t.Error("a page outside the slot is accepted")
	}
}

// TestPageSetSteadyState: filling and emptying a set again allocates nothing.
func TestPageSetSteadyState(t *testing.T) {
	a, b := newPageSet(1<<28), newPageSet(1<<28)
	fill := func() {
		for p := uint64(0); p < 1<<28; p += 1<<20 + 7 {
			a.add(p)
		}
		a.moveTo(&b)
		for w, m, ok := b.next(0); ok; w, m, ok = b.next(w + 1) {
			b.andNot(w, m)
		}
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkPageSet adds, finds and removes one page of a terabyte.
func BenchmarkPageSet(b *testing.B) {
	s := newPageSet(1 << 28)
	p := uint64(1)
	for range b.N {
		p = p * 6364136223846793005 & (1<<28 - 1)
		s.add(p)
		w, _, _ := s.next(p / 64)
		s.remove(w*64 + p%64)
	}
}
