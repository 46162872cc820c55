package workloads

import (
	"fmt"
	"testing"

	"ringmap/kvmcore"
	"ringmap/sim"
)

func TestPermutationIsBijective(t *testing.T) {
	check := func(n uint64) {
		p := newPermutation(n, sim.NewStream(n, "permutation"))
		seen := make([]bool, n)
		for x := range n {
			y := p.of(x)
			if y >= n || seen[y] {
				t.Fatalf("n=%d: %d maps to %d, which is taken or beyond", n, x, y)
			}
			seen[y] = true
		}
	}
	for n := uint64(1); n <= 600; n++ {
		check(n)
	}
	check(1 << 18)
	check(1<<18 + 1)
}

// The popular ranks must lie all over the region: of the first n/16 ranks about
// as many fall into each sixteenth, and hardly any two neighbours stay neighbours.
func TestPermutationScatters(t *testing.T) {
	for _, n := range []uint64{1 << 12, 1<<18 - 5, 1 << 18, 1 << 28} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("n=%d/seed=%d", n, seed), func(t *testing.T) {
				p := newPermutation(n, sim.NewStream(seed, "scatter"))
				const part = 16
				draws := min(n/part, 1<<14)
				var count [part]float64
				neighbours := 0
				before := p.of(0)
				for x := range draws {
					y := p.of(x)
					count[y*part/n]++
					if y == before+1 || before == y+1 {
						neighbours++
					}
					before = y
				}
				// Looser than chance would be: the mix need not be random, only spread.
				mean := float64(draws) / part
				for i, c := range count {
					if c < mean/2 || c > mean*2 {
						t.Errorf("part %d of %d holds %.0f of %d ranks, expected about %.0f", i, part, c, draws, mean)
					}
				}
				if neighbours > int(draws)/50 {
					t.Errorf("%d of %d neighbouring ranks are neighbouring pages", neighbours, draws)
				}
			})
		}
	}
}

// Without scatter a page is its rank: the same draws, not permuted.
func TestWithoutScatterPopularPagesComeFirst(t *testing.T) {
	const n, seed = 1 << 12, 7
	for _, pattern := range []string{"zipf", "hotcold"} {
		draw := func(scatter string) []kvmcore.GuestAccess {
			s := PatternSpec{Pattern: pattern, Size: n << 12, Params: map[string]string{"scatter": scatter}}
			if err := s.Validate(1); err != nil {
				t.Fatal(err)
			}
			dst := make([]kvmcore.GuestAccess, 20000)
			NewPattern(s, 0, 1, seed).Fill(dst)
			return dst
		}
		place := newPermutation(n, sim.NewStream(seed, "workloads/layout/vcpu0"))
		on, popular := draw("on"), 0
		for i, a := range draw("off") {
			rank := uint64(a.IPA) >> 12
			if got := uint64(on[i].IPA) >> 12; got != place.of(rank) {
				t.Fatalf("%s: access %d goes to page %d with scatter, rank %d belongs on page %d", pattern, i, got, rank, place.of(rank))
			}
			if rank < n/10 {
				popular++
			}
		}
		if popular < len(on)*6/10 {
			t.Errorf("%s: %d of %d accesses go to the first tenth of the pages", pattern, popular, len(on))
		}
	}
}
