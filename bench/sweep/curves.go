package sweep

import (
	"slices"

	"ringmap/bench/stat"
	"ringmap/bench/store"
)

// Seeds says how far the seeds carry a figure: for each seed the mean (or median) over
// the other axes is one value, and these have an interval. There is none where the seeds
// make no difference, or are too few (stat.MeanInterval, stat.MedianInterval).
type Seeds struct {
	MeanRange   *stat.Interval `json:"mean_interval,omitempty"`
	MedianRange *stat.Interval `json:"median_interval,omitempty"`
}

// certainty is the level of intervals in reports.
const certainty = 0.95

// replicate is the axis of seeds, -1 if there is none.
func (t *grid) replicate() int {
	return slices.IndexFunc(t.about.Axes, func(x store.Axis) bool { return x.Replicate })
}

// seeds makes the intervals of some points.
func (t *grid) seeds(which []int) (s Seeds) {
	a := t.replicate()
	if a < 0 {
		return s
	}
	groups := make([][]float64, len(t.about.Axes[a].Values)+1)
	for _, i := range which {
		level := t.levels[a][i]
		groups[level] = append(groups[level], t.ys[i])
	}
	var means, medians []float64
	for _, ys := range groups {
		if len(ys) > 0 {
			sum := stat.Summarize(ys)
			means, medians = append(means, sum.Mean), append(medians, sum.Median)
		}
	}
	if i, ok := stat.MeanInterval(means, certainty, reportSeed); ok {
		s.MeanRange = &i
	}
	if i, ok := stat.MedianInterval(medians, certainty); ok {
		s.MedianRange = &i
	}
	return s
}

// Curves is a statistic along the axis that matters most, a line for each value of the
// next, the mean over all others. By is -1 where there is one line.
type Curves struct {
	Along, By int // numbers of axes
	Lines     []Line
}

// Line is one of them, at the values of the axis that have points.
type Line struct {
	Level int // the value of By; len of its values where it is not set
	At    []Place
}

// Place is one value on a line.
type Place struct {
	Level int // the value of Along; len of its values where it is not set
	Mean  float64
	N     int
	Seeds
}

// mostLines is how many lines a picture holds.
const mostLines = 9

// curves chooses the axes by what they explain: a numeric one goes along if any matters.
func (t *grid) curves(s *StatReport) Curves {
	c := Curves{Along: -1, By: -1}
	share := func(a int) float64 { return s.share(t.about.Axes[a].Key) }
	for _, numeric := range []bool{true, false} {
		for a, axis := range t.about.Axes {
			if (numeric && axis.Numbers == nil) || axis.Replicate && len(t.about.Axes) > 1 || share(a) < Worthwhile && (numeric || c.Along >= 0) {
				continue
			}
			if c.Along < 0 || share(a) > share(c.Along) {
				c.Along = a
			}
		}
		if c.Along >= 0 {
			break
		}
	}
	if c.Along < 0 {
		return c
	}
	for a, axis := range t.about.Axes {
		if a == c.Along || axis.Replicate || len(axis.Values) > mostLines || len(axis.Values) < 2 {
			continue
		}
		if t.about.Axes[c.Along].Numbers == nil && share(a) < Worthwhile {
			continue // bars beside each other that are all alike
		}
		if c.By < 0 || share(a) > share(c.By) {
			c.By = a
		}
	}
	lines := 1
	if c.By >= 0 {
		lines = len(t.about.Axes[c.By].Values) + 1
	}
	places := len(t.about.Axes[c.Along].Values) + 1
	cells := make([][]int, lines*places)
	for i := range t.ys {
		l := 0
		if c.By >= 0 {
			l = t.levels[c.By][i]
		}
		k := l*places + t.levels[c.Along][i]
		cells[k] = append(cells[k], i)
	}
	for l := range lines {
		line := Line{Level: l}
		for v := range places {
			which := cells[l*places+v]
			if len(which) == 0 {
				continue
			}
			var ys []float64
			for _, i := range which {
				ys = append(ys, t.ys[i])
			}
			line.At = append(line.At, Place{v, stat.Summarize(ys).Mean, len(ys), t.seeds(which)})
		}
		if len(line.At) > 0 {
			c.Lines = append(c.Lines, line)
		}
	}
	return c
}
