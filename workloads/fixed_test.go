package workloads

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"ringmap/sim"
)

const bigPrec = 300

// bigLog2 is log2(x) to far more digits than the fixed point has.
func bigLog2(x uint64) *big.Float {
	m := new(big.Float).SetPrec(bigPrec).SetUint64(x)
	whole := m.MantExp(m) - 1
	m.Mul(m, big.NewFloat(2)) // in [1, 2)
	sum := new(big.Float).SetPrec(bigPrec).SetInt64(int64(whole))
	bit := new(big.Float).SetPrec(bigPrec).SetInt64(1)
	for range 100 {
		m.Mul(m, m)
		bit.Quo(bit, big.NewFloat(2))
		if m.Cmp(big.NewFloat(2)) >= 0 {
			m.Quo(m, big.NewFloat(2))
			sum.Add(sum, bit)
		}
	}
	return sum
}

func fixedToBig(v uint64, frac int) *big.Float {
	f := new(big.Float).SetPrec(bigPrec).SetUint64(v)
	return f.SetMantExp(f, -frac)
}

func TestLog2(t *testing.T) {
	xs := []uint64{1, 2, 3, 4, 5, 7, 8, 9, 10, 1000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<40 + 12345, math.MaxUint64 - 1, math.MaxUint64}
	rng := sim.NewStream(1, "log2")
	for range 200 {
		xs = append(xs, rng.Uint64()>>rng.N(64)|1)
	}
	for _, x := range xs {
		diff := new(big.Float).Sub(bigLog2(x), fixedToBig(log2(x), logFrac))
		if d, _ := diff.Float64(); d < 0 || d >= 0x1p-50 {
			t.Errorf("log2(%d) is off by %g, want [0, 2^-50)", x, d)
		}
	}
}

func TestExp2Neg(t *testing.T) {
	// root[k] is 2^(-2^-k), by repeated square roots.
	root := make([]*big.Float, logFrac+1)
	root[0] = new(big.Float).SetPrec(bigPrec).SetFloat64(0.5)
	for k := 1; k <= logFrac; k++ {
		root[k] = new(big.Float).SetPrec(bigPrec).Sqrt(root[k-1])
	}
	es := []uint64{0, 1, 1<<logFrac - 1, 1 << logFrac, 1<<logFrac + 1, 63 << logFrac, math.MaxUint64}
	rng := sim.NewStream(1, "exp2")
	for range 200 {
		es = append(es, rng.Uint64())
	}
	for _, e := range es {
		want := new(big.Float).SetPrec(bigPrec).SetInt64(1)
		for k := 1; k <= logFrac; k++ {
			if e>>(logFrac-k)&1 == 1 {
				want.Mul(want, root[k])
			}
		}
		m, places := exp2neg(e)
		if m <= 1<<62 || m > 1<<63 || places != uint(e>>logFrac) {
			t.Fatalf("exp2neg(%#x) = %#x, %d: not normal", e, m, places)
		}
		ratio, _ := new(big.Float).Quo(fixedToBig(m, 63), want).Float64()
		if d := math.Abs(ratio - 1); d > 0x1p-52 {
			t.Errorf("exp2neg(%#x) is off by a factor of 1 + %g", e, d)
		}
	}
}

// The constants and every step are integers, so these exact numbers hold on
// every machine.
func TestFixedPointGolden(t *testing.T) {
	if got, want := log2(10), uint64(0x35269e12f346e2b); got != want {
		t.Errorf("log2(10) = %#x, want %#x", got, want)
	}
	if m, _ := exp2neg(1 << (logFrac - 1)); m != 0x5a827999fcef3241 {
		t.Errorf("2^-0.5 = %#x, want 0x5a827999fcef3241", m)
	}
}

func TestExponential(t *testing.T) {
	const n, mean = 200_000, 1_000_000
	rng := sim.NewStream(7, "exponential")
	xs := make([]uint64, n)
	sum := 0.0
	for i := range xs {
		xs[i] = exponential(&rng, mean)
		sum += float64(xs[i])
	}
	if d := math.Abs(sum/n/mean-1) * math.Sqrt(n); d > 4 {
		t.Errorf("mean %.0f is %.1f standard errors away from %d", sum/n, d, mean)
	}
	// Kolmogorov-Smirnov against 1 - exp(-x/mean): 1.95 is exceeded once in a thousand.
	slices.Sort(xs)
	worst := 0.0
	for i, x := range xs {
		f := 1 - math.Exp(-float64(x)/mean)
		worst = max(worst, math.Abs(f-float64(i)/n), math.Abs(float64(i+1)/n-f))
	}
	if d := worst * math.Sqrt(n); d > 1.95 {
		t.Errorf("distance from the exponential distribution is %.2f, want at most 1.95", d)
	}
	if got := exponential(&rng, 0); got != 0 {
		t.Errorf("mean 0 gives %d", got)
	}
}
