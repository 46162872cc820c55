// Package sweep turns a scenario with several values into points, and runs them.
//
//	sweep.yaml ─► Load ─► axes ─► points ─► jobs ─┬─ in the store? done
//	              (scenario.Several)  │           ├─ on N cores, coarse picture first
//	   product, zip, when, exclude ───┘           └─► store (one row a run)
//	                                                    │
//	                             Summary ◄── bench/stat ◄┘
//
// A point is known by its key: the hash of program version, effective scenario
// and seed. So a sweep that is run again, or another that shares points with it,
// computes only what is missing; the runs with tracking off that guest.slowdown
// compares with are shared in the same way.
package sweep

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"

	"ringmap/bench/scenario"
)

// Sweep is a decoded sweep with its points.
type Sweep struct {
	Name   string
	Axes   []Axis
	Stats  []string // what the report is about
	Points []Point  // in the order of the axes, the first moving slowest
	Counts Counts

	base *scenario.Scenario
	file string
}

// Counts says what became of the combinations of all values.
type Counts struct {
	Combinations int // of all axes
	Excluded     int // by conditions
	Merged       int // alike once the keys that do not apply are left out
}

// Axis is one direction of the sweep.
type Axis struct {
	Key       string // of the scenario, or the name of a variant
	Values    []string
	Numbers   []float64 // in base units (B, ps, Hz, …); nil unless all values are quantities alike
	Replicate bool      // seeds: the same experiment again

	at    scenario.Pos
	cells []scenario.Cell
	sets  []scenario.VariantValue // of a variant; nil for a key
	when  *condition
}

// Unset is the value of an axis that does not apply at a point.
const Unset = -1

// Point is one run of the sweep.
type Point struct {
	Cells []int // for each axis the number of its value, or Unset
}

// Labels are the axes' values at a point; "" where an axis does not apply.
func (s *Sweep) Labels(p Point) []string {
	labels := make([]string, len(p.Cells))
	for i, c := range p.Cells {
		if c != Unset {
			labels[i] = s.Axes[i].Values[c]
		}
	}
	return labels
}

// String is the point as key=value words.
func (s *Sweep) String(p Point) string {
	var words []string
	for i, c := range p.Cells {
		if c != Unset {
			words = append(words, s.Axes[i].Key+"="+s.Axes[i].Values[c])
		}
	}
	if len(words) == 0 {
		return "the only point"
	}
	return strings.Join(words, " ")
}

// Load reads a sweep file and applies settings over it, each "a.b=c" with the
// text by which messages name it.
func Load(path string, sets []Setting) (*Sweep, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &scenario.Problem{Pos: scenario.Pos{File: path}, Text: "cannot read the sweep: " + err.Error()}
	}
	return Parse(path, text, sets)
}

// Setting is one assignment of the command line.
type Setting struct{ Origin, Assignment string }

// Parse decodes the text of a sweep; file is its name in messages.
func Parse(file string, text []byte, sets []Setting) (*Sweep, error) {
	several, err := scenario.ParseSeveral(file, text)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if err := several.Set(set.Origin, set.Assignment); err != nil {
			return nil, err
		}
	}
	s := &Sweep{Name: string(several.Base.Name), base: several.Base, file: file}
	if err := s.addAxes(several); err != nil {
		return nil, err
	}
	if err := s.addStats(several.Sweep.Stats); err != nil {
		return nil, err
	}
	return s, s.expand(several)
}

// addAxes lists the axes: keys, then variants, then seeds, which move fastest.
func (s *Sweep) addAxes(v *scenario.Several) error {
	var seeds []Axis
	for _, a := range v.Axes {
		axis := keyAxis(a)
		if a.Key == "seed" {
			axis.Replicate = true
			seeds = append(seeds, axis)
			continue
		}
		s.Axes = append(s.Axes, axis)
	}
	for _, variant := range v.Sweep.Variants {
		axis := Axis{Key: variant.Name, at: variant.At, sets: variant.Values}
		for _, val := range variant.Values {
			axis.Values, axis.cells = append(axis.Values, val.Name.Text), append(axis.cells, val.Name)
			for i, key := range val.Keys { // unknown keys and wrong units, before anything else
				if _, err := s.base.With([]string{key}, val.Cells[i:i+1]); err != nil {
					return err
				}
				if slices.ContainsFunc(v.Axes, func(a scenario.Axis) bool { return a.Key == key }) {
					return problem(val.Cells[i].At, "give it one value, or leave it out of the variant", "%s is set by variant %s and has several values itself", key, variant.Name)
				}
			}
		}
		s.Axes = append(s.Axes, axis)
	}
	s.Axes = append(s.Axes, seeds...)
	return nil
}

func keyAxis(a scenario.Axis) Axis {
	axis := Axis{Key: a.Key, at: a.At, cells: a.Values}
	dimension := ""
	for i, c := range a.Values {
		axis.Values = append(axis.Values, c.Text)
		q, ok := scenario.ParseQuantity(c.Text)
		if i == 0 {
			dimension = q.Dimension
		}
		if ok && q.Dimension == dimension && len(axis.Numbers) == i {
			axis.Numbers = append(axis.Numbers, q.Float())
		}
	}
	if len(axis.Numbers) < len(a.Values) {
		axis.Numbers = nil
	}
	return axis
}

func problem(at scenario.Pos, fix, format string, args ...any) error {
	return &scenario.Problem{Pos: at, Text: fmt.Sprintf(format, args...), Fix: fix}
}

func (s *Sweep) axisKeys() []string {
	keys := make([]string, len(s.Axes))
	for i, a := range s.Axes {
		keys[i] = a.Key
	}
	return keys
}

// find returns the number of the axis with that key.
func (s *Sweep) find(c scenario.Cell, what string) (int, error) {
	i := slices.Index(s.axisKeys(), c.Text)
	if i < 0 {
		fix := "no key has several values"
		if len(s.Axes) > 0 {
			fix = scenario.DidYouMean(c.Text, s.axisKeys())
		}
		return 0, problem(c.At, fix, "%s: %s does not have several values", what, c.Text)
	}
	return i, nil
}

// expand makes the points.
func (s *Sweep) expand(v *scenario.Several) error {
	groups, err := s.groups(v.Sweep.Zip)
	if err != nil {
		return err
	}
	total := big.NewInt(1)
	for _, g := range groups {
		total.Mul(total, big.NewInt(int64(len(s.Axes[g[0]].Values))))
	}
	if total.Cmp(big.NewInt(scenario.MaxValues)) > 0 {
		return problem(scenario.Pos{File: s.file}, fmt.Sprintf("use fewer values, or split the sweep: at most %d points", scenario.MaxValues), "%s combinations are too many", thousands(total))
	}
	s.Counts.Combinations = int(total.Int64())
	texts := s.base.Texts()
	var exclude []*condition
	for _, c := range v.Sweep.Exclude {
		cond, err := s.parseCondition(c, texts)
		if err != nil {
			return err
		}
		exclude = append(exclude, cond)
	}
	for _, rule := range v.Sweep.When {
		i, err := s.find(rule.Key, "sweep.when")
		if err != nil {
			return err
		}
		if s.Axes[i].when, err = s.parseCondition(rule.Condition, texts); err != nil {
			return err
		}
	}
	return s.combine(groups, exclude, texts)
}

// combine walks the product of the groups.
func (s *Sweep) combine(groups [][]int, exclude []*condition, texts map[string]string) error {
	seen := map[string]bool{}
	at := make([]int, len(groups))
	for range s.Counts.Combinations {
		p := Point{Cells: make([]int, len(s.Axes))}
		for g, group := range groups {
			for _, axis := range group {
				p.Cells[axis] = at[g]
			}
		}
		for g := len(groups) - 1; g >= 0; g-- { // the last group moves fastest
			if at[g]++; at[g] < len(s.Axes[groups[g][0]].Values) {
				break
			}
			at[g] = 0
		}
		out, err := s.settle(&p, exclude, texts)
		if err != nil {
			return err
		}
		id := fmt.Sprint(p.Cells)
		switch {
		case out:
			s.Counts.Excluded++
		case seen[id]:
			s.Counts.Merged++
		default:
			seen[id] = true
			s.Points = append(s.Points, p)
		}
	}
	if len(s.Points) == 0 {
		return problem(scenario.Pos{File: s.file}, "relax sweep.exclude", "all %d combinations are excluded", s.Counts.Combinations)
	}
	return nil
}

// settle unsets the axes that do not apply at a point and tells whether it is
// excluded. Conditions see the values of the axes before them as settled.
func (s *Sweep) settle(p *Point, exclude []*condition, base map[string]string) (out bool, err error) {
	look := func(key string) string { return s.text(p, key, base) }
	for i := range s.Axes {
		if w := s.Axes[i].when; w != nil {
			applies, err := w.eval(look)
			if err != nil {
				return false, err
			}
			if !applies {
				p.Cells[i] = Unset
			}
		}
	}
	for _, c := range exclude {
		if out, err := c.eval(look); out || err != nil {
			return out, err
		}
	}
	return false, nil
}

// text is the text of a key or variant at a point.
func (s *Sweep) text(p *Point, key string, base map[string]string) string {
	for i, a := range s.Axes {
		c := p.Cells[i]
		if c == Unset {
			continue
		}
		if a.Key == key {
			return a.Values[c]
		}
		if a.sets != nil {
			if k := slices.Index(a.sets[c].Keys, key); k >= 0 {
				return a.sets[c].Cells[k].Text
			}
		}
	}
	return base[key]
}

// groups are the axes that move together, in the order of their first axis.
func (s *Sweep) groups(zip [][]scenario.Cell) (groups [][]int, err error) {
	in := make([]int, len(s.Axes)) // 1 + the number of its zip
	for z, cells := range zip {
		first := -1
		for _, c := range cells {
			i, err := s.find(c, "sweep.zip")
			if err != nil {
				return nil, err
			}
			if in[i] != 0 {
				return nil, problem(c.At, "keep one of them", "sweep.zip: %s is there twice", c.Text)
			}
			in[i] = z + 1
			if first < 0 {
				first = i
			}
			if n, m := len(s.Axes[i].Values), len(s.Axes[first].Values); n != m {
				return nil, problem(c.At, "give both as many", "sweep.zip: %s has %d values and %s has %d, and they cannot move together", c.Text, n, s.Axes[first].Key, m)
			}
		}
	}
	place := map[int]int{} // of a zip in groups
	for i, z := range in {
		g, ok := place[z]
		if z == 0 || !ok {
			place[z] = len(groups)
			groups = append(groups, []int{i})
			continue
		}
		groups[g] = append(groups[g], i)
	}
	return groups, nil
}

// Scenario is the scenario of a point.
func (s *Sweep) Scenario(p Point) (*scenario.Scenario, error) {
	var keys []string
	var cells []scenario.Cell
	for i, c := range p.Cells {
		switch a := &s.Axes[i]; {
		case c == Unset:
		case a.sets != nil:
			keys, cells = append(keys, a.sets[c].Keys...), append(cells, a.sets[c].Cells...)
		default:
			keys, cells = append(keys, a.Key), append(cells, a.cells[c])
		}
	}
	return s.base.With(keys, cells)
}

func thousands(n *big.Int) string {
	text := n.String()
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
