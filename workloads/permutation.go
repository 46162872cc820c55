package workloads

import (
	"math/bits"

	"ringmap/sim"
)

// permutation is a seeded bijection of [0, n) onto itself that needs no table:
// it scatters the popular ranks of a distribution over the pages.
type permutation struct {
	n, mask uint64 // mask 0: everything stays in its place
	shift   uint
	add     uint64
	mul     [3]uint64 // odd
}

// scatterParam chooses between the permutation and none.
var scatterParam = Param{Name: "scatter", Default: "on", Choices: []string{"on", "off"},
	Doc: "popular pages lie anywhere, or together at the beginning, as in a compact heap"}

// layoutOf is where the pages of n ranks are, as scatter says.
func layoutOf(v values, n uint64, rng sim.Stream) permutation {
	if v["scatter"] == 1 {
		return permutation{n: n}
	}
	return newPermutation(n, rng)
}

// newPermutation returns the permutation that rng decides.
func newPermutation(n uint64, rng sim.Stream) permutation {
	k := bits.Len64(n - 1)
	p := permutation{n: n, mask: 1<<k - 1, shift: uint(k+1) / 2}
	p.add = rng.Uint64()
	for i := range p.mul {
		p.mul[i] = rng.Uint64() | 1
	}
	return p
}

// of returns the image of x < n. Adding, multiplying by an odd number and
// xoring the upper half onto the lower are bijections of [0, 2^k); what falls
// beyond n is mapped again, which stays a bijection and takes two rounds at
// most on average.
func (p *permutation) of(x uint64) uint64 {
	for p.mask != 0 {
		x = (x + p.add) * p.mul[0] & p.mask
		x ^= x >> p.shift
		x = x * p.mul[1] & p.mask
		x ^= x >> p.shift
		x = x * p.mul[2] & p.mask
		if x < p.n {
			return x
		}
	}
	return x
}
