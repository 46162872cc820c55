package workloads

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"ringmap/sim"
)

// bucketChances recovers each bucket's chance from the alias table, exactly
// but for the rounding of float64.
func bucketChances(t *zipfTable) []float64 {
	p := make([]float64, len(t.alias))
	for i, slot := range t.alias {
		stay := float64(slot>>aliasBits) / (1 << 48)
		p[i] += stay
		p[slot&(1<<aliasBits-1)] += 1 - stay
	}
	for i := range p {
		p[i] /= float64(len(p))
	}
	return p
}

// harmonic is the sum of r^-theta for r = from … to.
func harmonic(theta float64, from, to uint64) float64 {
	sum := 0.0
	for r := to; r >= from; r-- { // small ones first
		sum += math.Pow(float64(r), -theta)
	}
	return sum
}

func TestZipfTableIsExact(t *testing.T) {
	for _, theta := range []uint64{0, 1, 500_000, 990_000, 1_000_000, 1_000_001, 1_200_000, 2_000_000} {
		for _, n := range []uint64{1, 2, 3, 256, 257, 258, 5000, 1<<18 - 1, 1 << 18, 3_000_000} {
			t.Run(fmt.Sprintf("theta=%g/n=%d", float64(theta)/thetaOne, n), func(t *testing.T) {
				z := newZipfTable(n, theta)
				th := float64(theta) / thetaOne
				total := harmonic(th, 1, n)
				next := uint64(1)
				for i, p := range bucketChances(z) {
					b := z.buckets[i]
					if b.first != next || b.width == 0 {
						t.Fatalf("bucket %d begins at %d, width %d; expected to begin at %d", i, b.first, b.width, next)
					}
					next = b.first + b.width
					want := harmonic(th, b.first, next-1) / total
					if d := math.Abs(p/want - 1); d > 1e-8 {
						t.Errorf("bucket %d (rank %d, width %d): chance %g, want %g, off by %g", i, b.first, b.width, p, want, d)
					}
				}
				if next != n+1 {
					t.Errorf("buckets end at %d, want %d", next, n+1)
				}
			})
		}
	}
}

// Inside a bucket the exact decision must lie between tangent and chord, or the
// shortcuts would bend the distribution.
func TestZipfShortcutsAgree(t *testing.T) {
	for _, theta := range []uint64{1, 500_000, 990_000, 2_000_000} {
		z := newZipfTable(1<<40, theta)
		rng := sim.NewStream(theta, "shortcuts")
		for _, b := range z.buckets {
			if b.width == 1 {
				continue
			}
			offs := []uint64{0, 1, b.width / 2, b.width - 1, rng.N(b.width), rng.N(b.width)}
			for _, off := range offs {
				drop := z.drop(b.first, off)
				want := (1 - math.Pow(float64(b.first+off)/float64(b.first), -float64(theta)/thetaOne)) * 0x1p64
				if math.Abs(float64(drop)-want) > 0x1p16*float64(b.first)/256 && math.Abs(float64(drop)-want) > 0x1p15 {
					t.Fatalf("theta %d, rank %d+%d: drop %d, want %.0f", theta, b.first, off, drop, want)
				}
				// Both bounds may be off by what log2 loses.
				const slack = 1 << 16
				if b.tangent*off+slack < drop || b.chord*off > drop+slack {
					t.Fatalf("theta %d, rank %d+%d: drop %d is not between chord %d and tangent %d", theta, b.first, off, drop, b.chord*off, b.tangent*off)
				}
			}
		}
	}
}

// Draws against the exact chances, by a chi-square test over ranks and groups
// of ranks.
func TestZipfDraws(t *testing.T) {
	const draws = 2_000_000
	for _, theta := range []uint64{0, 600_000, 990_000, 1_500_000} {
		for _, n := range []uint64{100, 5000, 1 << 18} {
			t.Run(fmt.Sprintf("theta=%g/n=%d", float64(theta)/thetaOne, n), func(t *testing.T) {
				z := &zipfPicker{table: newZipfTable(n, theta), place: newPermutation(n, sim.NewStream(1, "place"))}
				rank := make([]uint32, n) // of each page
				for r := range n {
					rank[z.place.of(r)] = uint32(r)
				}
				count := make([]float64, n)
				rng := sim.NewStream(99, "draws")
				var pages [pickBatch]uint64
				for range draws / pickBatch {
					z.pick(&rng, pages[:], nil)
					for _, page := range pages {
						count[rank[page]]++
					}
				}
				th := float64(theta) / thetaOne
				total := harmonic(th, 1, n)
				// Groups of at least 50 expected draws.
				var got, want []float64
				g, w := 0.0, 0.0
				for r := range n {
					g += count[r]
					w += draws * math.Pow(float64(r+1), -th) / total
					if w >= 50 || r == n-1 {
						got, want = append(got, g), append(want, w)
						g, w = 0, 0
					}
				}
				chiSquare(t, got, want)
			})
		}
	}
}

// chiSquare fails when counts differ from their expectation by more than
// chance: beyond 4 standard deviations of the statistic. Seeds are fixed, so a
// test that passes always passes.
func chiSquare(t *testing.T, got, want []float64) {
	t.Helper()
	sum := 0.0
	for i := range got {
		d := got[i] - want[i]
		sum += d * d / want[i]
	}
	free := float64(len(got) - 1)
	if z := (sum - free) / math.Sqrt(2*free); z > 4 {
		t.Errorf("chi-square %.1f with %.0f degrees of freedom: %.1f standard deviations too far", sum, free, z)
	}
}

func TestZipfMemoryStaysSmall(t *testing.T) {
	z := newZipfTable(1<<40, 990_000)
	if n := len(z.buckets); n > 1<<12 {
		t.Errorf("2^40 pages take %d buckets, want at most 4096", n)
	}
	if n := len(z.alias); n > 1<<aliasBits {
		t.Errorf("%d buckets do not fit their number of %d bits", n, aliasBits)
	}
}

func TestUniformAndHotCold(t *testing.T) {
	const n, draws = 1000, 1_000_000
	count := func(p picker) []float64 {
		got := make([]float64, n)
		rng := sim.NewStream(5, "draws")
		var pages [pickBatch]uint64
		for range draws / pickBatch {
			p.pick(&rng, pages[:], nil)
			for _, page := range pages {
				got[page]++
			}
		}
		return got
	}
	flat := slices.Repeat([]float64{draws / n}, n)
	chiSquare(t, count(&uniformPages{n}), flat)

	h := &hotPicker{hot: 10, pages: n, hits: 75_500, place: newPermutation(n, sim.NewStream(1, "place"))}
	want := make([]float64, n)
	for rank := range uint64(n) {
		if rank < 10 {
			want[h.place.of(rank)] = draws * 0.755 / 10
		} else {
			want[h.place.of(rank)] = draws * 0.245 / (n - 10)
		}
	}
	chiSquare(t, count(h), want)
}
