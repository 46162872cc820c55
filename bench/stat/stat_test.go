package stat

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var near = cmpopts.EquateApprox(1e-9, 1e-9)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 77)) }

func normal(r *rand.Rand, n int) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = r.NormFloat64()
	}
	return xs
}

func TestSummary(t *testing.T) {
	if got, want := Summarize([]float64{4, 1, 3, 2}), (Summary{4, 2.5, 2.5, 1, 4, math.Sqrt(5.0 / 3)}); !cmp.Equal(got, want, near) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Summarize([]float64{0.1, 0.1, 0.1}); got != (Summary{3, 0.1, 0.1, 0.1, 0.1, 0}) {
		t.Errorf("%+v", got)
	}
	if got := Summarize(nil); got != (Summary{}) {
		t.Errorf("%+v", got)
	}
}

// TestQuantile: against the definition, and with what must hold of any sample.
func TestQuantile(t *testing.T) {
	for p, want := range map[float64]float64{0: 10, 0.25: 20, 0.5: 30, 0.6: 34, 1: 50} { // numpy.quantile
		if got := Quantile([]float64{50, 20, 10, 40, 30}, p); math.Abs(got-want) > 1e-12 {
			t.Errorf("%v-quantile %v, want %v", p, got, want)
		}
	}
	r := random(1)
	for n := 1; n < 40; n++ {
		xs := normal(r, n)
		last := math.Inf(-1)
		for p := 0.0; p <= 1; p += 0.05 {
			q := Quantile(xs, p)
			below := 0
			for _, x := range xs {
				if x < q {
					below++
				}
			}
			if q < last || float64(below) > math.Floor(p*float64(n-1)+1e-9)+1 {
				t.Errorf("of %d values %d lie below the %v-quantile", n, below, p)
			}
			last = q
		}
	}
	if !math.IsNaN(Quantile(nil, 0.5)) || !math.IsNaN(Quantile([]float64{1}, 2)) {
		t.Error("a quantile of nothing")
	}
}

// TestIntervalsHold: drawn again and again, the intervals hold the truth about as
// often as they say.
func TestIntervalsHold(t *testing.T) {
	r := random(2)
	const rounds = 400
	mean, median := 0, 0
	for k := range rounds {
		xs := normal(r, 20)
		if i, ok := MeanInterval(xs, 0.95, uint64(k)); ok && i.Contains(0) {
			mean++
		}
		if i, ok := MedianInterval(xs, 0.95); ok && i.Contains(0) && i.Level >= 0.95 {
			median++
		}
	}
	// Percentile intervals of 20 values hold a little less often than they say.
	if mean < 355 || mean > 398 {
		t.Errorf("the mean's interval holds it %d times of %d", mean, rounds)
	}
	if median < 370 {
		t.Errorf("the median's interval holds it %d times of %d", median, rounds)
	}
}

// TestMedianIntervalExact: the coverage against a count over all 2^n sides on
// which n values can fall.
func TestMedianIntervalExact(t *testing.T) {
	for n := 2; n <= 14; n++ {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = float64(i + 1)
		}
		i, ok := MedianInterval(xs, 0.95)
		if (n >= 6) != ok {
			t.Fatalf("%d values: an interval: %v", n, ok)
		}
		if !ok {
			continue
		}
		held := 0
		for side := range 1 << n {
			below := 0
			for b := range n {
				below += side >> b & 1
			}
			if float64(below) >= i.Lo && float64(n-below) >= float64(n)+1-i.Hi {
				held++
			}
		}
		if want := float64(held) / float64(int(1)<<n); math.Abs(want-i.Level) > 1e-12 {
			t.Errorf("%d values: level %v, counted %v", n, i.Level, want)
		}
	}
}

// TestNoIntervalForExact: none where nothing varies.
func TestNoIntervalForExact(t *testing.T) {
	same := []float64{3, 3, 3, 3, 3, 3, 3, 3}
	if _, ok := MeanInterval(same, 0.95, 1); ok {
		t.Error("the mean of equal values has an interval")
	}
	if _, ok := MedianInterval(same, 0.95); ok {
		t.Error("the median of equal values has an interval")
	}
	if _, ok := MeanInterval([]float64{1, 2}, 0.95, 1); ok {
		t.Error("two values are resampled")
	}
	a, _ := MeanInterval([]float64{1, 2, 3, 4, 5, 9}, 0.9, 5)
	b, _ := MeanInterval([]float64{1, 2, 3, 4, 5, 9}, 0.9, 5)
	if a != b {
		t.Error("the same seed gives another interval")
	}
}

// curve makes a curve with replicates from a function and noise.
func curve(r *rand.Rand, xs []float64, n int, noise float64, f func(float64) float64) Curve {
	c := Curve{X: xs}
	for _, x := range xs {
		var ys []float64
		for range n {
			ys = append(ys, f(x)+noise*r.NormFloat64())
		}
		c.Y = append(c.Y, ys)
	}
	return c
}

func count(n int) (xs []float64) {
	for i := range n {
		xs = append(xs, float64(i))
	}
	return xs
}

// TestKnee: the bend of two lines is found where it is, wherever it is; noise
// widens the range, which still holds it; a line has none.
func TestKnee(t *testing.T) {
	r := random(3)
	for at := 1.5; at <= 8; at += 0.25 {
		bent := func(x float64) float64 { return 3 + x/2 - 2*max(0, x-at) }
		k, ok := FindKnee(curve(r, count(11), 1, 0, bent), false, 1)
		if !ok || math.Abs(k.X-at) > 0.04 || !k.Range.Contains(at) || k.Range.Hi-k.Range.Lo > 2 || k.Range.Level != 0 {
			t.Errorf("bend at %v: %+v, %v", at, k, ok)
		}
		if math.Abs(k.Before-0.5) > 0.03 || math.Abs(k.After+1.5) > 0.03 {
			t.Errorf("slopes %v and %v, not 0.5 and -1.5", k.Before, k.After)
		}
		noisy, ok := FindKnee(curve(r, count(11), 8, 0.3, bent), false, 1)
		if !ok || !noisy.Range.Contains(at) || noisy.Range.Level != 0.95 {
			t.Errorf("noisy bend at %v: %+v, %v", at, noisy, ok)
		}
	}
	for name, f := range map[string]func(float64) float64{
		"line":     func(x float64) float64 { return 2*x + 1 },
		"constant": func(x float64) float64 { return 7 },
		"noise":    func(x float64) float64 { return math.Sin(x*x*100) / 10 },
	} {
		if k, ok := FindKnee(curve(r, count(11), 1, 0, f), false, 1); ok {
			t.Errorf("%s bends: %+v", name, k)
		}
	}
	rings := []float64{256, 512, 1024, 2048, 4096, 8192, 16384}
	k, ok := FindKnee(curve(r, rings, 1, 0, func(x float64) float64 { return max(0, 12-math.Log2(x)) }), true, 1)
	if !ok || math.Abs(k.X-4096) > 100 || math.Abs(k.Before+1) > 1e-6 || math.Abs(k.After) > 1e-6 {
		t.Errorf("by doublings: %+v, %v", k, ok)
	}
	for name, c := range map[string]Curve{
		"short":   curve(r, count(4), 1, 0, math.Abs),
		"falling": {X: []float64{5, 4, 3, 2, 1}, Y: [][]float64{{1}, {2}, {3}, {9}, {20}}},
		"empty":   {X: count(5), Y: [][]float64{{1}, {2}, {}, {9}, {20}}},
		"NaN":     {X: count(5), Y: [][]float64{{1}, {2}, {math.NaN()}, {9}, {20}}},
	} {
		if _, ok := FindKnee(c, false, 1); ok {
			t.Errorf("%s: a bend", name)
		}
	}
}

// TestCrossings: lines that cross do so where algebra says; swapping the curves
// turns the direction and nothing else.
func TestCrossings(t *testing.T) {
	r := random(4)
	for range 200 {
		at, slope := 0.5+8*r.Float64(), 0.2+r.Float64()
		a := curve(r, count(10), 1, 0, func(x float64) float64 { return slope * (x - at) })
		b := curve(r, count(10), 1, 0, func(x float64) float64 { return 0 })
		got := Crossings(a, b, 1)
		if len(got) != 1 || math.Abs(got[0].X-at) > 1e-9 || !got[0].Up || got[0].Range.Lo != math.Floor(at) || got[0].Range.Hi != math.Ceil(at) {
			t.Fatalf("crossing at %v: %+v", at, got)
		}
		back := Crossings(b, a, 1)
		if len(back) != 1 || math.Abs(back[0].X-got[0].X) > 1e-9 || back[0].Up {
			t.Fatalf("swapped: %+v", back)
		}
	}
	flat := func(ys ...float64) Curve {
		c := Curve{X: count(len(ys))}
		for _, y := range ys {
			c.Y = append(c.Y, []float64{y})
		}
		return c
	}
	zero := flat(0, 0, 0, 0, 0)
	for name, c := range map[string]struct {
		a    Curve
		want []float64
	}{
		"touch":        {flat(1, 1, 0, 1, 1), nil},
		"through zero": {flat(1, 1, 0, -1, -1), []float64{2}},
		"rest at zero": {flat(1, 0, 0, 0, -1), []float64{2}},
		"twice":        {flat(-1, 1, 1, -1, -1), []float64{0.5, 2.5}},
		"equal":        {zero, nil},
	} {
		var got []float64
		for _, x := range Crossings(c.a, zero, 1) {
			got = append(got, x.X)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	noisyA := curve(r, count(10), 10, 0.5, func(x float64) float64 { return x })
	noisyB := curve(r, count(10), 10, 0.5, func(x float64) float64 { return 4.5 })
	if got := Crossings(noisyA, noisyB, 1); len(got) != 1 || !got[0].Range.Contains(4.5) || got[0].Share < 0.9 {
		t.Errorf("with noise: %+v", got)
	}
}

// TestEffects: a response made of known parts is taken apart again.
func TestEffects(t *testing.T) {
	var a, b, c []int
	var ys []float64
	for i := range 4 {
		for j := range 3 {
			for k := range 2 {
				a, b, c = append(a, i), append(b, j), append(c, k)
				ys = append(ys, 10*float64(i)+float64(j)+5*float64(j%2*k))
			}
		}
	}
	factors := []Factor{{"a", a}, {"b", b}, {"c", c}}
	e, ok := ExplainVariance(factors, ys)
	if !ok || !e.Balanced || e.Main[0].Factors[0] != "a" || e.Rest > 1e-9 {
		t.Fatalf("%+v", e)
	}
	sum := e.Rest
	for _, list := range [][]Effect{e.Main, e.Pairs} {
		for _, x := range list {
			sum += x.Share
		}
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the shares add up to %v", sum)
	}
	// By hand: variance of 10·i over four values is 125; the whole is that and what b and c make.
	total := variance(ys)
	if want := 125 / total; math.Abs(e.Main[0].Share-want) > 1e-9 {
		t.Errorf("a explains %v, want %v", e.Main[0].Share, want)
	}
	if p := e.Pairs[0]; !slices.Equal(p.Factors, []string{"b", "c"}) || p.Share <= 0 || e.Pairs[1].Share > 1e-9 {
		t.Errorf("pairs %+v", e.Pairs)
	}
	// The order of the runs does not matter.
	r := random(5)
	perm := r.Perm(len(ys))
	mixed := []Factor{{"a", nil}, {"b", nil}, {"c", nil}}
	var my []float64
	for _, p := range perm {
		for k := range mixed {
			mixed[k].Levels = append(mixed[k].Levels, factors[k].Levels[p])
		}
		my = append(my, ys[p])
	}
	other, _ := ExplainVariance(mixed, my)
	if diff := cmp.Diff(e, other, near); diff != "" {
		t.Errorf("in another order:\n%s", diff)
	}
	lopsided, ok := ExplainVariance([]Factor{{"a", []int{0, 0, 1}}, {"b", []int{0, 1, 1}}}, []float64{1, 2, 4})
	if !ok || lopsided.Balanced || lopsided.Pairs != nil {
		t.Errorf("%+v", lopsided)
	}
	for _, ys := range [][]float64{nil, {1}, {2, 2, 2}, {1, math.NaN(), 2}} {
		if _, ok := ExplainVariance([]Factor{{"a", make([]int, len(ys))}}, ys); ok {
			t.Errorf("%v has a variance to explain", ys)
		}
	}
}

func variance(ys []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, y := range ys {
		mean += y / float64(len(ys))
	}
	for _, y := range ys {
		sum += (y - mean) * (y - mean) / float64(len(ys))
	}
	return sum
}

func TestGeometric(t *testing.T) {
	for want, list := range map[bool][][]float64{
		true:  {{1, 2, 4, 8}, {256, 512, 1024}, {1, 10, 100}, {1, 2, 5, 10, 20, 50}},
		false: {{1, 2, 3, 4}, {5, 10, 15, 20, 25}, {0, 1, 2, 4}, {1, 2}, nil},
	} {
		for _, xs := range list {
			if Geometric(xs) != want {
				t.Errorf("%v grows by a factor: %v", xs, !want)
			}
		}
	}
}
