package stat

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Curve is what was measured at several places: X rising, and at each the values
// of the replicates, at least one. Replicate k of all places belongs together
// (the same seed).
type Curve struct {
	X []float64
	Y [][]float64
}

// valid tells whether the curve is one.
func (c Curve) valid() bool {
	if len(c.X) != len(c.Y) {
		return false
	}
	for i, ys := range c.Y {
		if len(ys) == 0 || i > 0 && !(c.X[i] > c.X[i-1]) || slices.ContainsFunc(ys, notFinite) || notFinite(c.X[i]) {
			return false
		}
	}
	return true
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// replicates is how many values every place has, 1 if they have not equally many.
func (c Curve) replicates() int {
	for _, ys := range c.Y {
		if len(ys) != len(c.Y[0]) {
			return 1
		}
	}
	return len(c.Y[0])
}

// means are the means of the replicates that pick chooses; nil = of all.
func (c Curve) means(pick []int) []float64 {
	out := make([]float64, len(c.Y))
	for i, ys := range c.Y {
		n := len(ys)
		if pick == nil {
			for _, y := range ys {
				out[i] += y
			}
		} else {
			n = len(pick)
			for _, k := range pick {
				out[i] += ys[k]
			}
		}
		out[i] /= float64(n)
	}
	return out
}

// varies tells whether replicates differ anywhere.
func (c Curve) varies() bool {
	return slices.ContainsFunc(c.Y, func(ys []float64) bool { return !Deterministic(ys) })
}

// Knee is where a curve bends: two straight lines that meet there describe it
// better than one.
type Knee struct {
	X      float64  `json:"x"`
	Range  Interval `json:"range"`  // where the bend may be; Level 0: between these places nothing was measured
	Before float64  `json:"before"` // slopes
	After  float64  `json:"after"`
	Gain   float64  `json:"gain"` // share of one line's squared error that the bend removes
}

// What counts as a bend: the second line must remove most of the error of the
// first, and the slopes must differ by a good part of the whole rise.
const (
	leastGain = 0.75
	leastBend = 0.2
)

// steps is how many places of a bend are tried between two of the curve.
const steps = 16

// FindKnee fits two lines to a curve. With log, X is taken by its logarithm, and
// slopes are per doubling. ok is false if the curve does not bend, or has fewer
// than five places. The range is the 95 % bootstrap interval over replicates, no
// narrower than the places around the bend.
func FindKnee(c Curve, log bool, seed uint64) (k Knee, ok bool) {
	if len(c.X) < 5 || !c.valid() {
		return k, false
	}
	xs, back := c.X, func(x float64) float64 { return x }
	if log {
		if c.X[0] <= 0 {
			return k, false
		}
		xs = slices.Clone(c.X)
		for i := range xs {
			xs[i] = math.Log2(xs[i])
		}
		back = math.Exp2
	}
	f := newHinge(xs)
	at, k, ok := f.fit(c.means(nil))
	if !ok {
		return k, false
	}
	lo, hi := around(xs, at)
	level := 0.0
	if n := c.replicates(); n > 1 && c.varies() {
		r := rand.New(rand.NewPCG(seed, 1))
		pick := make([]int, n)
		var found []float64
		for range resamples / 4 {
			for i := range pick {
				pick[i] = r.IntN(n)
			}
			x, _, _ := f.fit(c.means(pick))
			found = append(found, x)
		}
		slices.Sort(found)
		lo, hi, level = min(lo, quantile(found, 0.025)), max(hi, quantile(found, 0.975)), 0.95
	}
	k.X, k.Range = back(at), Interval{back(lo), back(hi), level}
	return k, true
}

// around are the places of the curve on both sides of x.
func around(xs []float64, x float64) (lo, hi float64) {
	lo, hi = xs[0], xs[len(xs)-1]
	for _, v := range xs {
		if v < x {
			lo = v
		}
		if v > x {
			return lo, v
		}
	}
	return lo, hi
}

// hinge fits a + b·x + c·max(0, x-at) for every place that is tried.
type hinge struct {
	xs   []float64
	at   []float64
	rest [][]float64 // max(0, x-at) less what a line explains of it
	norm []float64   // its square
}

func newHinge(xs []float64) *hinge {
	f := &hinge{xs: xs}
	for i := 1; i+2 < len(xs); i++ {
		for s := range steps {
			f.add(xs[i] + float64((xs[i+1]-xs[i])*float64(s))/steps)
		}
	}
	f.add(xs[len(xs)-2])
	return f
}

func (f *hinge) add(at float64) {
	h := make([]float64, len(f.xs))
	for i, x := range f.xs {
		h[i] = max(0, x-at)
	}
	rest, _, _ := residual(f.xs, h)
	f.at, f.rest, f.norm = append(f.at, at), append(f.rest, rest), append(f.norm, floats.Dot(rest, rest))
}

// fit finds the place with the least error (of equal ones the first).
func (f *hinge) fit(ys []float64) (at float64, k Knee, ok bool) {
	rest, _, slope := residual(f.xs, ys)
	line := floats.Dot(rest, rest)
	best, bend, gain := 0, 0.0, -1.0
	for i, h := range f.rest {
		if f.norm[i] == 0 {
			continue
		}
		dot := floats.Dot(rest, h)
		if g := dot * dot / f.norm[i]; g > gain {
			best, bend, gain = i, dot/f.norm[i], g
		}
	}
	at = f.at[best]
	if line == 0 {
		return at, k, false
	}
	// The slope before the bend is the line's, less what the line owed to the hinge.
	h := make([]float64, len(f.xs))
	for i, x := range f.xs {
		h[i] = max(0, x-at)
	}
	_, _, of := residual(f.xs, h)
	k.Before = slope - float64(bend*of)
	k.After = k.Before + bend
	k.Gain = min(gain/line, 1)
	span, rise := f.xs[len(f.xs)-1]-f.xs[0], floats.Max(ys)-floats.Min(ys)
	return at, k, k.Gain >= leastGain && math.Abs(bend)*span >= leastBend*rise && !tiny(rise, ys)
}

// tiny tells whether a rise is no more than rounding.
func tiny(rise float64, ys []float64) bool {
	return rise <= 1e-9*max(math.Abs(floats.Max(ys)), math.Abs(floats.Min(ys)))
}

// residual is what is left of ys once the best line a + b·x is taken away.
func residual(xs, ys []float64) (rest []float64, a, b float64) {
	n := float64(len(xs))
	mx, my := floats.Sum(xs)/n, floats.Sum(ys)/n
	var xy, xx float64
	for i := range xs {
		xy += (xs[i] - mx) * (ys[i] - my)
		xx += (xs[i] - mx) * (xs[i] - mx)
	}
	b = xy / xx
	a = my - float64(b*mx)
	rest = make([]float64, len(xs))
	for i := range xs {
		rest[i] = ys[i] - a - float64(b*xs[i])
	}
	return rest, a, b
}

// Crossing is where one curve overtakes another.
type Crossing struct {
	X     float64  `json:"x"`
	Range Interval `json:"range"` // Level 0: between these places nothing was measured
	Up    bool     `json:"up"`    // the first is above the second behind it
	Share float64  `json:"share"` // of the resampled curves that cross there; 1 without replicates
}

// Crossings finds where a overtakes b or b overtakes a. Both are measured at the
// same places. Between places the curves are straight. The range is the 95 %
// bootstrap interval over replicates, no narrower than the places around.
func Crossings(a, b Curve, seed uint64) []Crossing {
	if !a.valid() || !b.valid() || !slices.Equal(a.X, b.X) || len(a.X) < 2 {
		return nil
	}
	found := crossings(a.X, a.means(nil), b.means(nil))
	n, m := a.replicates(), b.replicates()
	if n != m || n < 2 || !(a.varies() || b.varies()) {
		return found
	}
	r := rand.New(rand.NewPCG(seed, 2))
	pick := make([]int, n)
	near := make([][]float64, len(found))
	const rounds = resamples / 4
	for range rounds {
		for i := range pick {
			pick[i] = r.IntN(n)
		}
		for _, c := range crossings(a.X, a.means(pick), b.means(pick)) {
			best := -1
			for i, f := range found {
				if f.Up == c.Up && (best < 0 || math.Abs(f.X-c.X) < math.Abs(found[best].X-c.X)) {
					best = i
				}
			}
			if best >= 0 {
				near[best] = append(near[best], c.X)
			}
		}
	}
	for i := range found {
		found[i].Share = min(float64(len(near[i]))/rounds, 1)
		if len(near[i]) == 0 {
			continue
		}
		slices.Sort(near[i])
		f := &found[i].Range
		f.Lo, f.Hi, f.Level = min(f.Lo, quantile(near[i], 0.025)), max(f.Hi, quantile(near[i], 0.975)), 0.95
	}
	return found
}

// crossings of two lines of straight pieces. Where they touch and part again on
// the same side, nothing crosses.
func crossings(xs, a, b []float64) (found []Crossing) {
	last := -1 // the last place where they differ
	for i := range xs {
		d := a[i] - b[i]
		if d == 0 {
			continue
		}
		if last >= 0 {
			before := a[last] - b[last]
			if (before < 0) != (d < 0) {
				x := (xs[last+1] + xs[i-1]) / 2 // the middle of where they are equal
				if i == last+1 {
					x = xs[last] + float64((xs[i]-xs[last])*(before/(before-d)))
				}
				found = append(found, Crossing{X: x, Range: Interval{Lo: xs[last], Hi: xs[i]}, Up: d > 0, Share: 1})
			}
		}
		last = i
	}
	return found
}

// Geometric tells whether places grow by a factor rather than by a step: then
// their logarithm is the better scale.
func Geometric(xs []float64) bool {
	if len(xs) < 3 || xs[0] <= 0 {
		return false
	}
	var step, factor float64 // largest over smallest, of differences and of ratios
	lo, hi := math.Inf(1), 0.0
	flo, fhi := math.Inf(1), 0.0
	for i := 1; i < len(xs); i++ {
		d, f := xs[i]-xs[i-1], xs[i]/xs[i-1]
		lo, hi, flo, fhi = min(lo, d), max(hi, d), min(flo, f-1), max(fhi, f-1)
	}
	step, factor = hi/lo, fhi/flo
	return factor < step
}
