package workloads

import (
	"math/bits"

	"ringmap/sim"
)

// Logarithm and power in 64-bit fixed point: the same bits on every machine,
// which math.Log and math.Exp do not promise.

// logFrac is the number of fraction bits of a logarithm: 8 bits are left for
// the whole part, so 2^-log reaches 2^-255.
const logFrac = 56

// ln2 is ln 2 * 2^64, rounded down.
const ln2 = 0xb17217f7d1cf79ab

// log2 returns log2(x) with logFrac fraction bits, too low by less than 2^-50.
// x must not be 0.
func log2(x uint64) uint64 {
	whole := uint64(bits.Len64(x) - 1)
	// m is the mantissa in [1, 2) with 63 fraction bits. Squaring it doubles its
	// logarithm: whether the square reaches 2 is the next bit.
	m := x << (63 - whole)
	var frac uint64
	for range logFrac {
		hi, lo := bits.Mul64(m, m)
		bit := hi >> 63
		m = hi<<(1-bit) | lo>>63&(1-bit)
		frac = frac<<1 | bit
	}
	return whole<<logFrac | frac
}

// exp2neg returns 2^-e, e with logFrac fraction bits, as a mantissa in
// (2^62, 2^63] and a count of binary places: mantissa * 2^-(63+places).
func exp2neg(e uint64) (mantissa uint64, places uint) {
	places = uint(e >> logFrac)
	frac := e << (64 - logFrac) // of 2^64
	if frac == 0 {
		return 1 << 63, places
	}
	// 2^-f = 2^(1-f) / 2, and 2^(1-f) = exp(x), x = (1-f) ln 2, by Horner's
	// scheme: 1 + x/1 (1 + x/2 (1 + x/3 (…))). Twenty terms leave x^21/21! < 2^-76.
	x, _ := bits.Mul64(-frac, ln2)
	const one = 1 << 62
	p := uint64(one)
	for k := uint64(20); k >= 1; k-- {
		hi, _ := bits.Mul64(x, p)
		p = one + hi/k
	}
	return p, places
}

// exponential draws from the exponential distribution with the given mean,
// rounded to a whole number: -mean * ln(u).
func exponential(rng *sim.Stream, mean uint64) uint64 {
	u := rng.Uint64()
	for u == 0 {
		u = rng.Uint64()
	}
	minusLog2 := 64<<logFrac - log2(u)
	e, low := bits.Mul64(minusLog2, ln2)
	e += low >> 63
	hi, lo := bits.Mul64(mean, e)
	lo, carry := bits.Add64(lo, 1<<(logFrac-1), 0)
	return (hi+carry)<<(64-logFrac) | lo>>logFrac
}
