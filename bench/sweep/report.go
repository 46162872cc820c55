package sweep

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ringmap/bench/stat"
	"ringmap/bench/store"
)

// Report is what a sweep came to, made from its store alone: the same for the
// joined stores of its shards.
type Report struct {
	Sweep    string       `json:"sweep"`
	Points   int          `json:"points"`
	Finished int          `json:"finished"`
	Stats    []StatReport `json:"stats"`
}

// StatReport is what became of one statistic.
type StatReport struct {
	Name     string       `json:"name"`
	Sentence string       `json:"sentence"`
	Least    Extreme      `json:"least"`
	Most     Extreme      `json:"most"`
	Exact    bool         `json:"exact"` // the seeds make no difference, or there is one
	Effects  stat.Effects `json:"effects"`
	Axes     []AxisReport `json:"axes"`
	Knees    []AxisKnee   `json:"knees"`
	Overtake []Overtake   `json:"crossings"`
	Curves   Curves       `json:"-"`
}

// Extreme is the least or greatest value, and where it is (the first such point).
type Extreme struct {
	Value float64 `json:"value"`
	At    string  `json:"at"`
}

// AxisReport is the statistic at each value of an axis, over all other axes.
type AxisReport struct {
	Key    string       `json:"key"`
	Values []ValueStats `json:"values"`
}

// ValueStats describes the points that have one value of an axis.
type ValueStats struct {
	Value string `json:"value"`
	stat.Summary
	Seeds
}

// AxisKnee is where the statistic bends along an axis, on average over the others.
type AxisKnee struct {
	Key string `json:"key"`
	stat.Knee
	Log bool `json:"log"` // slopes are per doubling
}

// Overtake is where two values of one axis change places along another.
type Overtake struct {
	Key    string `json:"key"` // the axis along which
	Of     string `json:"of"`  // the axis with the two values
	First  string `json:"first"`
	Second string `json:"second"`
	stat.Crossing
}

// reportSeed is that of the resampling in reports.
const reportSeed = 1

// MakeReport reads the statistics of a sweep from its store and says what they
// amount to. Points that are not finished are left out and counted.
func MakeReport(st *store.Store, about store.About, stats []string) (*Report, error) {
	points, err := st.Points(about.Name)
	if err != nil {
		return nil, err
	}
	rows, err := st.Values(about.Name, stats)
	if err != nil {
		return nil, err
	}
	r := &Report{Sweep: about.Name, Points: len(points)}
	for _, p := range points {
		if p.Done {
			r.Finished++
		}
	}
	for k, name := range stats {
		t := newGrid(about, points, rows, k)
		if len(t.ys) == 0 {
			r.Stats = append(r.Stats, StatReport{Name: name, Sentence: name + ": no finished point has this statistic"})
			continue
		}
		r.Stats = append(r.Stats, t.report(name))
	}
	return r, nil
}

// grid holds one statistic with the place of each value.
type grid struct {
	about  store.About
	labels [][]string
	levels [][]int // by axis; the number of the value, len(values) where it does not apply
	ys     []float64
}

func newGrid(about store.About, points []store.Point, rows [][]float64, k int) *grid {
	t := &grid{about: about, levels: make([][]int, len(about.Axes))}
	number := make([]map[string]int, len(about.Axes))
	for a, axis := range about.Axes {
		number[a] = map[string]int{}
		for v := len(axis.Values) - 1; v >= 0; v-- {
			number[a][axis.Values[v]] = v
		}
	}
	for i, p := range points {
		if i >= len(rows) || math.IsNaN(rows[i][k]) || len(p.Labels) != len(about.Axes) {
			continue
		}
		t.ys = append(t.ys, rows[i][k])
		t.labels = append(t.labels, p.Labels)
		for a, axis := range about.Axes {
			level, ok := number[a][p.Labels[a]]
			if !ok {
				level = len(axis.Values)
			}
			t.levels[a] = append(t.levels[a], level)
		}
	}
	return t
}

func (t *grid) report(name string) StatReport {
	s := StatReport{Name: name, Exact: t.exact(), Axes: []AxisReport{}, Knees: []AxisKnee{}, Overtake: []Overtake{}}
	least, most := 0, 0
	for i, y := range t.ys {
		if y < t.ys[least] {
			least = i
		}
		if y > t.ys[most] {
			most = i
		}
	}
	s.Least, s.Most = Extreme{t.ys[least], t.at(least)}, Extreme{t.ys[most], t.at(most)}
	var factors []stat.Factor
	for a, axis := range t.about.Axes {
		factors = append(factors, stat.Factor{Name: axis.Key, Levels: t.levels[a]})
		s.Axes = append(s.Axes, t.axis(a))
	}
	s.Effects, _ = stat.ExplainVariance(factors, t.ys)
	for a := range t.about.Axes {
		if k, ok := t.knee(a); ok && s.share(t.about.Axes[a].Key) >= Worthwhile {
			s.Knees = append(s.Knees, k)
		}
	}
	s.Overtake = append(s.Overtake, t.overtakes(&s)...)
	s.Curves = t.curves(&s)
	s.Sentence = t.sentence(&s)
	return s
}

// Worthwhile is the share of the variance below which an axis is not talked about.
const Worthwhile = 0.01

// share is what an axis alone explains.
func (s *StatReport) share(key string) float64 {
	for _, e := range s.Effects.Main {
		if e.Factors[0] == key {
			return e.Share
		}
	}
	return 0
}

func (t *grid) at(i int) string {
	var words []string
	for a, l := range t.labels[i] {
		if l != "" {
			words = append(words, t.about.Axes[a].Key+"="+l)
		}
	}
	return strings.Join(words, " ")
}

// exact tells whether points that differ in the seed alone are equal.
func (t *grid) exact() bool {
	first := map[string]float64{}
	for i, y := range t.ys {
		var id []string
		for a, l := range t.labels[i] {
			if !t.about.Axes[a].Replicate {
				id = append(id, l)
			}
		}
		key := strings.Join(id, "\x00")
		if have, ok := first[key]; ok && have != y {
			return false
		}
		first[key] = y
	}
	return true
}

func (t *grid) axis(a int) AxisReport {
	r := AxisReport{Key: t.about.Axes[a].Key, Values: []ValueStats{}}
	groups := make([][]int, len(t.about.Axes[a].Values)+1)
	for i := range t.ys {
		groups[t.levels[a][i]] = append(groups[t.levels[a][i]], i)
	}
	for v, which := range groups {
		var ys []float64
		for _, i := range which {
			ys = append(ys, t.ys[i])
		}
		name := "(not set)"
		if v < len(t.about.Axes[a].Values) {
			name = t.about.Axes[a].Values[v]
		}
		if len(ys) > 0 {
			r.Values = append(r.Values, ValueStats{name, stat.Summarize(ys), t.seeds(which)})
		}
	}
	return r
}

// curve is the mean along an axis over all other axes, one for each seed; only
// of points that keep admits (nil = all).
func (t *grid) curve(a int, keep func(i int) bool) (c stat.Curve, ok bool) {
	axis := t.about.Axes[a]
	if len(axis.Numbers) != len(axis.Values) || axis.Replicate {
		return c, false
	}
	seeds := slices.IndexFunc(t.about.Axes, func(x store.Axis) bool { return x.Replicate })
	replicates := 1
	if seeds >= 0 {
		replicates = len(t.about.Axes[seeds].Values)
	}
	order := make([]int, len(axis.Values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		if axis.Numbers[x] < axis.Numbers[y] {
			return -1
		}
		return 1
	})
	sums, counts := make([][]float64, len(order)), make([][]float64, len(order))
	for v := range order {
		sums[v], counts[v] = make([]float64, replicates), make([]float64, replicates)
	}
	for i, y := range t.ys {
		v := t.levels[a][i]
		if v == len(order) || keep != nil && !keep(i) {
			continue
		}
		r := 0
		if seeds >= 0 {
			r = t.levels[seeds][i]
		}
		sums[v][r] += y
		counts[v][r]++
	}
	for _, v := range order {
		for r := range replicates {
			if counts[v][r] == 0 || counts[v][r] != counts[order[0]][0] {
				return c, false // a hole: the means would not be of the same points
			}
			sums[v][r] /= counts[v][r]
		}
		c.X, c.Y = append(c.X, axis.Numbers[v]), append(c.Y, sums[v])
	}
	return c, true
}

func (t *grid) knee(a int) (k AxisKnee, ok bool) {
	c, ok := t.curve(a, nil)
	if !ok {
		return k, false
	}
	k.Key, k.Log = t.about.Axes[a].Key, stat.Geometric(c.X)
	k.Knee, ok = stat.FindKnee(c, k.Log, reportSeed)
	return k, ok
}

// mostValues is how many values an axis may have whose curves are compared.
const mostValues = 6

// overtakes compares the curves of the values of each axis without an order,
// along the numeric axis that matters most.
func (t *grid) overtakes(s *StatReport) (list []Overtake) {
	along := -1
	for a, axis := range t.about.Axes {
		if _, ok := t.curve(a, nil); ok && (along < 0 || s.share(axis.Key) > s.share(t.about.Axes[along].Key)) {
			along = a
		}
	}
	if along < 0 {
		return nil
	}
	for a, axis := range t.about.Axes {
		if axis.Numbers != nil || len(axis.Values) > mostValues || axis.Replicate {
			continue
		}
		curves := make([]stat.Curve, len(axis.Values))
		for v := range axis.Values {
			curves[v], _ = t.curve(along, func(i int) bool { return t.levels[a][i] == v })
		}
		for v := range curves {
			for w := range v {
				for _, c := range stat.Crossings(curves[w], curves[v], reportSeed) {
					list = append(list, Overtake{t.about.Axes[along].Key, axis.Key, axis.Values[w], axis.Values[v], c})
				}
			}
		}
	}
	return list
}

// sentence says what matters most first.
func (t *grid) sentence(s *StatReport) string {
	if s.Least.Value == s.Most.Value {
		if len(t.ys) == 1 {
			return fmt.Sprintf("%s is %s.", s.Name, Figure(s.Least.Value))
		}
		return fmt.Sprintf("%s is %s at all %d points.", s.Name, Figure(s.Least.Value), len(t.ys))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s goes from %s to %s", s.Name, Figure(s.Least.Value), Figure(s.Most.Value))
	said := 0
	for _, e := range s.Effects.Main {
		if e.Share < Worthwhile || said == 3 {
			break
		}
		if said == 0 {
			fmt.Fprintf(&b, ": %s explains %s of its variance", e.Factors[0], percent(e.Share))
		} else {
			fmt.Fprintf(&b, ", %s %s", e.Factors[0], percent(e.Share))
		}
		said++
	}
	if len(s.Effects.Pairs) > 0 && s.Effects.Pairs[0].Share >= Worthwhile {
		p := s.Effects.Pairs[0]
		fmt.Fprintf(&b, ", and %s more goes with %s and %s together", percent(p.Share), p.Factors[0], p.Factors[1])
	}
	b.WriteString(".")
	for _, k := range s.Knees {
		fmt.Fprintf(&b, " Along %s it bends at %s (%s to %s).", k.Key, t.value(k.Key, k.X), t.value(k.Key, k.Range.Lo), t.value(k.Key, k.Range.Hi))
	}
	for i, o := range s.Overtake {
		if i == 2 {
			break
		}
		verb := "falls below"
		if o.Up {
			verb = "rises above"
		}
		fmt.Fprintf(&b, " %s %s %s at %s = %s (%s to %s).", o.First, verb, o.Second, o.Key, t.value(o.Key, o.X), t.value(o.Key, o.Range.Lo), t.value(o.Key, o.Range.Hi))
	}
	return b.String()
}

// value writes a place on an axis as the axis does: its own text where it is one
// of its values, else in the unit of the first.
func (t *grid) value(key string, x float64) string {
	for _, a := range t.about.Axes {
		if a.Key != key {
			continue
		}
		for i, n := range a.Numbers {
			if math.Abs(n-x) <= 1e-6*math.Abs(x) {
				return a.Values[i]
			}
		}
		return inUnit(x, a.Values[0], a.Numbers[0])
	}
	return Figure(x)
}

// inUnit writes x in the unit of a text that amounts to n.
func inUnit(x float64, text string, n float64) string {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%µ")
	var f float64
	if _, err := fmt.Sscan(digits, &f); err != nil || f == 0 || n == 0 {
		return Figure(x)
	}
	return Figure(x/n*f) + text[len(digits):]
}

// Figure prints a number with four digits, or whole if it is.
func Figure(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return fmt.Sprintf("%.0f", x)
	}
	if a := math.Abs(x); a >= 1000 && a < 1e15 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.4g", x)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }
