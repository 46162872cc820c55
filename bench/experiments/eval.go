package experiments

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"

	"ringmap/bench/stat"
)

// data is the points of an experiment with what expressions are told about them.
type data struct {
	e       *Experiment
	points  [][]*Point // by sweep
	known   map[string]bool
	columns []map[*Point]float64 // by column
}

// statName is a dotted name in an expression; what is in quotes is a text.
var statName = regexp.MustCompile(`"[^"]*"|'[^']*'|[a-z][a-z0-9_]*(\.[a-z0-9_][a-z0-9_+-]*)+`)

// rewrite makes figure("a.b") of a dotted name, and reports one that no run has.
func (d *data) rewrite(text string) (out string, err error) {
	out = statName.ReplaceAllStringFunc(text, func(word string) string {
		if word[0] == '"' || word[0] == '\'' {
			return word
		}
		if !d.isFigure(word) {
			err = errors.Join(err, fmt.Errorf("no run has a statistic %s", word))
		}
		return fmt.Sprintf("figure(%q)", word)
	})
	return out, err
}

// isFigure tells whether points can have a figure of that name. Cycles by cause
// are there only where they are not zero.
func (d *data) isFigure(name string) bool {
	for _, prefix := range []string{"cycles.", "path.", "vcpu_max.", "vcpu_min.", "vcpu_mean.", "vcpu_0."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return d.known[name]
}

// newData works out the columns of all points.
func newData(e *Experiment, points [][]*Point, known []string) (*data, error) {
	d := &data{e: e, points: points, known: map[string]bool{}}
	for _, name := range known {
		d.known[name] = true
	}
	for _, c := range e.Columns {
		values := map[*Point]float64{}
		for i, list := range points {
			if c.In != "" && e.Parts[i].Name != e.Claim+"."+c.In {
				continue
			}
			for _, p := range list {
				v, err := d.column(&c, p)
				if err != nil {
					return nil, fmt.Errorf("%s: column %s: %w", e.File, c.Name, err)
				}
				values[p] = v
			}
		}
		d.columns = append(d.columns, values)
	}
	return d, nil
}

func (d *data) column(c *Column, p *Point) (float64, error) {
	env := map[string]any{
		"figure": func(name string) float64 { return p.Figures[name] },
		"axis":   p.number,
		"is":     func(axis, value string) bool { return p.Axes[axis] == value },
		"log2":   math.Log2,
		"nan":    math.NaN(),
	}
	for i := range d.columns {
		env[d.e.Columns[i].Name] = d.columns[i][p]
	}
	v, err := d.run(c.Value, env)
	if err != nil {
		return 0, err
	}
	n, ok := toFloat(v)
	if !ok {
		return 0, fmt.Errorf("%q is no number but %v", c.Value, v)
	}
	return n, nil
}

// run evaluates an expression.
func (d *data) run(text string, env map[string]any) (any, error) {
	code, err := d.rewrite(text)
	if err != nil {
		return nil, err
	}
	program, err := expr.Compile(code, expr.Env(env))
	if err != nil {
		return nil, fmt.Errorf("%q: %s", text, oneLine(err))
	}
	v, err := expr.Run(program, env)
	if err != nil {
		return nil, fmt.Errorf("%q: %s", text, oneLine(err))
	}
	return v, nil
}

func oneLine(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

func toFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case bool:
		if n {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// value is a column or statistic of a point.
func (d *data) value(p *Point, name string) (float64, error) {
	for i, c := range d.e.Columns {
		if c.Name == name {
			v, ok := d.columns[i][p]
			if !ok {
				return 0, fmt.Errorf("column %s is not for this sweep", name)
			}
			return v, nil
		}
	}
	if !d.isFigure(name) {
		return 0, fmt.Errorf("there is no column and no statistic %q", name)
	}
	return p.Figures[name], nil
}

// where finds the points of a sweep at which each axis has its value: "axis=value".
func (d *data) where(sweep string, at []string) ([]*Point, error) {
	i, err := d.e.part(sweep)
	if err != nil {
		return nil, err
	}
	var found []*Point
	for _, p := range d.points[i] {
		ok := true
		for _, w := range at {
			axis, value, is := strings.Cut(w, "=")
			if !is {
				return nil, fmt.Errorf("%q: write axis=value", w)
			}
			ok = ok && p.Axes[axis] == value
		}
		if ok {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("sweep %q has no point at %s", sweep, strings.Join(at, " "))
	}
	return found, nil
}

// all are the values of a column at the points of a sweep that are meant.
func (d *data) all(sweep, column string, at ...string) ([]float64, error) {
	points, err := d.where(sweep, at)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(points))
	for i, p := range points {
		if values[i], err = d.value(p, column); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// at is the value at one point, over its seeds the mean.
func (d *data) at(sweep, column string, at ...string) (float64, error) {
	points, err := d.where(sweep, at)
	if err != nil {
		return 0, err
	}
	for _, p := range points[1:] {
		a, b := maps.Clone(points[0].Axes), maps.Clone(p.Axes)
		delete(a, "seed")
		delete(b, "seed")
		if !maps.Equal(a, b) {
			return 0, fmt.Errorf("sweep %q has several points at %q, not one: %v and %v", sweep, strings.Join(at, " "), a, b)
		}
	}
	values, err := d.all(sweep, column, at...)
	return stat.Summarize(values).Mean, err
}

// curve is a column along an axis: at each place the mean of other axes, for each
// seed a replicate.
func (d *data) curve(sweep, axis, column string, at []string) (stat.Curve, error) {
	points, err := d.where(sweep, at)
	if err != nil {
		return stat.Curve{}, err
	}
	type place struct{ sum, n float64 }
	cells := map[float64]map[string]*place{}
	for _, p := range points {
		x := p.number(axis)
		v, err := d.value(p, column)
		if err != nil {
			return stat.Curve{}, err
		}
		if math.IsNaN(x) || math.IsNaN(v) {
			continue
		}
		if cells[x] == nil {
			cells[x] = map[string]*place{}
		}
		seed := p.Axes["seed"]
		if cells[x][seed] == nil {
			cells[x][seed] = &place{}
		}
		cells[x][seed].sum += v
		cells[x][seed].n++
	}
	var c stat.Curve
	for _, x := range slices.Sorted(maps.Keys(cells)) {
		c.X = append(c.X, x)
		var ys []float64
		for _, seed := range slices.Sorted(maps.Keys(cells[x])) {
			ys = append(ys, cells[x][seed].sum/cells[x][seed].n)
		}
		c.Y = append(c.Y, ys)
	}
	if len(c.X) == 0 {
		return c, fmt.Errorf("sweep %q has no numbers along %s", sweep, axis)
	}
	return c, nil
}

// curveSeed is that of the resampling behind knees and crossings.
const curveSeed = 1

// knee is where a column bends along an axis, NaN if it does not.
func (d *data) knee(sweep, axis, column string, at ...string) (float64, error) {
	c, err := d.curve(sweep, axis, column, at)
	if err != nil {
		return 0, err
	}
	k, ok := stat.FindKnee(c, stat.Geometric(c.X), curveSeed)
	if !ok {
		return math.NaN(), nil
	}
	return k.X, nil
}

// crossing is the first place along an axis where a column at one value of another
// axis overtakes, or is overtaken by, that at another; NaN if nowhere.
func (d *data) crossing(sweep, axis, column, first, second string, at ...string) (float64, error) {
	a, err := d.curve(sweep, axis, column, append([]string{first}, at...))
	if err != nil {
		return 0, err
	}
	b, err := d.curve(sweep, axis, column, append([]string{second}, at...))
	if err != nil {
		return 0, err
	}
	found := stat.Crossings(a, b, curveSeed)
	if len(found) == 0 {
		return math.NaN(), nil
	}
	return found[0].X, nil
}

// slope is the least-squares rise of a column per unit of an axis.
func (d *data) slope(sweep, axis, column string, at ...string) (float64, error) {
	c, err := d.curve(sweep, axis, column, at)
	if err != nil {
		return 0, err
	}
	var n, sx, sy, sxx, sxy float64
	for i, x := range c.X {
		y := stat.Summarize(c.Y[i]).Mean
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx), nil
}

// env is what figures and verdicts can use.
func (d *data) env() map[string]any {
	return map[string]any{
		"at": d.at, "all": d.all, "knee": d.knee, "crossing": d.crossing, "slope": d.slope,
		"exists": func(x float64) bool { return !math.IsNaN(x) },
		"log2":   math.Log2,
		"nan":    math.NaN(),
	}
}

// figures evaluates the figures in their order.
func (d *data) figures() (map[string]any, error) {
	env := d.env()
	for _, f := range d.e.Figures {
		if _, taken := env[f.Name]; taken {
			return nil, fmt.Errorf("%s: figure %s: this is the name of a function", d.e.File, f.Name)
		}
		v, err := d.run(f.Value, env)
		if err != nil {
			return nil, fmt.Errorf("%s: figure %s: %w", d.e.File, f.Name, err)
		}
		switch v.(type) {
		case string, bool:
		default:
			n, ok := toFloat(v)
			if !ok {
				return nil, fmt.Errorf("%s: figure %s: %q is neither a number nor a word but %v", d.e.File, f.Name, f.Value, v)
			}
			v = n
		}
		env[f.Name] = v
	}
	return env, nil
}
