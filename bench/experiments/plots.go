package experiments

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ringmap/bench"
	"ringmap/bench/chart"
	"ringmap/bench/scenario"
	"ringmap/bench/stat"
)

// chart draws one of the answer's plots.
func (a *Answer) chart(p *Plot) (*chart.Chart, error) {
	d := a.data
	points, err := d.where(p.Sweep, p.Where)
	if err != nil {
		return nil, err
	}
	c := &chart.Chart{X: p.X, Y: d.label(p.Y), LogX: strings.Contains(p.Log, "x"), LogY: strings.Contains(p.Log, "y")}
	i, _ := d.e.part(p.Sweep)
	axes := d.e.Parts[i].Axes
	var order []string // values of the axis, as in the file
	for _, x := range axes {
		if x.Key == p.X {
			order = x.Values
		}
	}
	if order == nil {
		return nil, fmt.Errorf("%s: plot %q: sweep %q has no axis %s", d.e.File, p.Title, p.Sweep, p.X)
	}
	scale := 1.0
	if c.X, scale = scenario.AxisLabel(p.X, order); scale == 0 || p.Bars {
		c.X, c.Categories = p.X, order // which have their units
	}
	names, groups := groupBy(points, p.By)
	for k, name := range names {
		s, err := a.series(p, groups[k], order, c.Categories != nil, scale)
		if err != nil {
			return nil, err
		}
		if s.Name = name; len(s.X) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	return c, nil
}

// groupBy sorts points by the values of some axes, in the order in which they come.
func groupBy(points []*Point, axes []string) (names []string, groups [][]*Point) {
	for _, p := range points {
		var words []string
		for _, axis := range axes {
			if v := p.Axes[axis]; v != "" {
				words = append(words, short(axis)+" "+v)
			}
		}
		name := strings.Join(words, ", ")
		k := slices.Index(names, name)
		if k < 0 {
			k, names, groups = len(names), append(names, name), append(groups, nil)
		}
		groups[k] = append(groups[k], p)
	}
	return names, groups
}

// short is an axis without its section, which a legend has no room for.
func short(axis string) string {
	return axis[strings.LastIndexByte(axis, '.')+1:]
}

// series is one curve: at each place the mean of the points there.
func (a *Answer) series(p *Plot, points []*Point, order []string, named bool, scale float64) (s chart.Series, err error) {
	type place struct {
		x  float64
		ys []float64
	}
	var places []place
	for _, point := range points {
		x := point.number(p.X) * scale
		if named {
			x = float64(slices.Index(order, point.Axes[p.X]))
		}
		y, err := a.data.value(point, p.Y)
		if err != nil {
			return s, fmt.Errorf("%s: plot %q: %w", a.Experiment.File, p.Title, err)
		}
		none := x == 0 && !named && strings.Contains(p.Log, "x") // has no place on that scale
		if math.IsNaN(y) || math.IsNaN(x) || x < 0 || none {
			continue
		}
		k := slices.IndexFunc(places, func(pl place) bool { return pl.x == x })
		if k < 0 {
			k, places = len(places), append(places, place{x: x})
		}
		places[k].ys = append(places[k].ys, y)
	}
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case a.x < b.x:
			return -1
		case a.x > b.x:
			return 1
		}
		return 0
	})
	varies := false
	for _, pl := range places {
		sum := stat.Summarize(pl.ys)
		s.X, s.Y = append(s.X, pl.x), append(s.Y, sum.Mean)
		s.Lo, s.Hi = append(s.Lo, slices.Min(pl.ys)), append(s.Hi, slices.Max(pl.ys))
		varies = varies || !stat.Deterministic(pl.ys)
	}
	if !varies {
		s.Lo, s.Hi = nil, nil
	}
	return s, nil
}

// label is a column or statistic in words, with its unit.
func (d *data) label(name string) string {
	for _, c := range d.e.Columns {
		if c.Name == name {
			if c.Unit != "" {
				return c.Text + " (" + c.Unit + ")"
			}
			return c.Text
		}
	}
	stats, err := bench.Statistics()
	if err != nil {
		return name
	}
	for _, s := range stats {
		if s.Name == name && s.Unit != "" {
			return name + " (" + s.Unit + ")"
		}
	}
	return name
}
