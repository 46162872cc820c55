// Package stat says what numbers of many runs amount to.
//
//	one sample:   Summarize, Quantile ── MeanInterval (bootstrap), MedianInterval (exact)
//	one curve:    Knee       where it bends            y │   ╱      y │ ╲ ╱
//	two curves:   Crossings  where one overtakes         │──╱         │ ╱ ╲
//	a design:     Effects    which knob explains what    └────► x     └────► x
//
// Everything is a pure function; what resamples takes a seed, so that the same
// numbers give the same answer. Simulated figures are exact for a given seed of
// their scenario, so an interval is about the seeds: where all values are equal,
// or there is one alone, there is none.
//
// Bootstrap: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13.
// Order statistics: David & Nagaraja, "Order Statistics", 3rd ed., 7.1.
package stat

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Summary describes a sample.
type Summary struct {
	N      int     `json:"n"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	StdDev float64 `json:"stddev"` // of the sample, n-1; 0 for one value
}

// Summarize describes a sample; of none, all is 0.
func Summarize(xs []float64) Summary {
	if len(xs) == 0 {
		return Summary{}
	}
	s := Summary{N: len(xs), Mean: stat.Mean(xs, nil), Median: Quantile(xs, 0.5), Min: floats.Min(xs), Max: floats.Max(xs)}
	if s.Min == s.Max { // exactly, not to the last bit of a sum
		s.Mean = s.Min
		return s
	}
	s.StdDev = stat.StdDev(xs, nil)
	return s
}

// Quantile is the value below which a share p of the sample lies, between values
// by a straight line (type 7 of Hyndman & Fan, 1996: that of R and NumPy). The
// sample need not be sorted. NaN for no values or p outside 0 to 1.
func Quantile(xs []float64, p float64) float64 {
	if len(xs) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	return quantile(sorted, p)
}

func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) || at == float64(i) {
		return sorted[i]
	}
	part := at - float64(i)
	return float64(sorted[i]*(1-part)) + float64(sorted[i+1]*part)
}

// Interval is where a figure lies, as far as a sample of seeds can tell.
type Interval struct {
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
	Level float64 `json:"level"` // how often such an interval holds the figure
}

// Contains tells whether a value lies in the interval.
func (i Interval) Contains(x float64) bool { return i.Lo <= x && x <= i.Hi }

// leastBootstrap is the smallest sample that is resampled: of fewer values the
// resamples are so few that the interval is far too narrow.
const leastBootstrap = 5

// resamples is how often a sample is drawn again: enough for the second digit of
// a 95 % limit.
const resamples = 2000

// MeanInterval is the bootstrap interval (percentiles) of the mean. ok is false
// where there is none: fewer than 5 values, all equal, or a level outside 0 to 1.
func MeanInterval(xs []float64, level float64, seed uint64) (i Interval, ok bool) {
	if len(xs) < leastBootstrap || Deterministic(xs) || !(level > 0 && level < 1) {
		return i, false
	}
	r := rand.New(rand.NewPCG(seed, uint64(len(xs))))
	means := make([]float64, resamples)
	for k := range means {
		sum := 0.0
		for range xs {
			sum += xs[r.IntN(len(xs))]
		}
		means[k] = sum / float64(len(xs))
	}
	slices.Sort(means)
	return Interval{quantile(means, (1-level)/2), quantile(means, (1+level)/2), level}, true
}

// MedianInterval is the exact interval of the median between two values of the
// sample, whatever the distribution: the narrowest pair of order statistics that
// holds the median at least that often; Level is how often it does. ok is false
// where there is none: all values equal, a level outside 0 to 1, or too few values
// (6 are needed for 95 %).
func MedianInterval(xs []float64, level float64) (i Interval, ok bool) {
	n := len(xs)
	if n < 2 || Deterministic(xs) || !(level > 0 && level < 1) {
		return i, false
	}
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	// The median lies between the k-th smallest and k-th largest value unless
	// fewer than k values fall to one side of it.
	b := distuv.Binomial{N: float64(n), P: 0.5}
	for k := n / 2; k >= 1; k-- {
		if held := 1 - 2*b.CDF(float64(k-1)); held >= level {
			return Interval{sorted[k-1], sorted[n-k], held}, true
		}
	}
	return i, false
}

// Deterministic tells whether a sample has no spread: then its figure is exact.
func Deterministic(xs []float64) bool {
	return !slices.ContainsFunc(xs, func(x float64) bool { return x != xs[0] })
}
