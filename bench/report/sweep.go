package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"ringmap/bench"
	"ringmap/bench/chart"
	"ringmap/bench/scenario"
	"ringmap/bench/stat"
	"ringmap/bench/store"
	"ringmap/bench/sweep"
)

// Bounds of the file, whatever the sweep.
const (
	mostShown   = 500  // rows that are there without the script
	mostRecords = 2000 // whole records; of more runs none are in the file
	perChunk    = 32   // records that are compressed together
	mostAxis    = 200  // values that a filter offers
)

// filter is the choice among the values of an axis.
type filter struct {
	Axis   int
	Key    string
	Values []string
}

// runs is the table of all points.
type runs struct {
	table
	Records bool // each row opens its record
}

// data is what the script works on: columns of the finished points, in order.
type data struct {
	Axes   []string    `json:"axes"`
	Values [][]string  `json:"values"` // of each axis; the last stands for "not set"
	Stats  []string    `json:"stats"`
	Levels [][]int     `json:"levels"` // by axis
	Points []int       `json:"points"`
	Ys     [][]*figure `json:"ys"` // by statistic; null where a run has none
	Plots  []redraw    `json:"plots"`
	Chunk  int         `json:"chunk"`  // records in each of Chunks
	Chunks []string    `json:"chunks"` // gzip in base64: records, one a line
}

// figure is a number with the digits that a record has.
type figure float64

// MarshalJSON writes nine digits, as records do.
func (f figure) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.9g", float64(f)), nil }

// redraw is what the script needs to draw the curves of some points over a picture.
type redraw struct {
	ID      string    `json:"id"`
	Stat    int       `json:"stat"`
	Along   int       `json:"along"`
	By      int       `json:"by"`
	X       []float64 `json:"x"`      // where the values of Along lie, in points; -1 = nowhere
	Order   []int     `json:"order"`  // the values of Along from left to right
	Series  []int     `json:"series"` // the colour of each value of By, -1 = none
	Colours []string  `json:"colours"`
	Y       []float64 `json:"y"` // value at the bottom and at the top, and where these are
	Log     bool      `json:"log"`
	Bar     float64   `json:"bar"` // width of a bar, 0 = lines
}

// Sweep writes the report of a sweep from its store alone.
func Sweep(w io.Writer, st *store.Store, about store.About, stats []string) error {
	r, err := sweep.MakeReport(st, about, stats)
	if err != nil {
		return err
	}
	if r.Finished == 0 {
		return &store.Error{Path: st.Path, Text: fmt.Sprintf("no point of sweep %q is finished", about.Name), Fix: "run `ringmap sweep` first"}
	}
	p := &page{Title: about.Name, Kind: "Sweep"}
	p.Lead = append(p.Lead, leadOf(about, r))
	for _, s := range r.Stats {
		p.Lead = append(p.Lead, s.Sentence)
	}
	d := &data{Stats: stats, Plots: []redraw{}, Chunk: perChunk, Chunks: []string{}}
	if err := d.read(st, about, stats); err != nil {
		return err
	}
	units := unitsOf()
	for k := range r.Stats {
		if err := p.statistic(d, about, &r.Stats[k], k, units); err != nil {
			return err
		}
	}
	p.filters(about, d)
	p.runs(d, units)
	if r.Finished > mostRecords {
		p.Notes = append(p.Notes, fmt.Sprintf("The whole records of %d runs would make this file too large, and are left out; it has the axes and the statistics above of each. `ringmap export STORE` writes them all.", r.Finished))
	} else if d.Chunks, err = pack(st, about.Name); err != nil {
		return err
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	p.Data = template.JS(text)
	return p.write(w)
}

func leadOf(about store.About, r *sweep.Report) string {
	var axes []string
	for _, a := range about.Axes {
		axes = append(axes, fmt.Sprintf("%s (%d)", a.Key, len(a.Values)))
	}
	text := fmt.Sprintf("%d points", r.Points)
	if r.Finished < r.Points {
		text = fmt.Sprintf("%d of %d points are finished", r.Finished, r.Points)
	}
	if len(axes) > 0 {
		text += ": " + strings.Join(axes, " × ")
	}
	if about.Excluded > 0 {
		text += fmt.Sprintf("; %d combinations are excluded", about.Excluded)
	}
	return text + "."
}

// unitsOf maps statistics to their units.
func unitsOf() map[string]string {
	units := map[string]string{}
	list, err := bench.Statistics()
	if err != nil {
		return units // then figures stand without
	}
	for _, s := range list {
		for _, f := range bench.StatFields(s) {
			units[f] = s.Unit
		}
	}
	return units
}

func withUnit(name string, units map[string]string) string {
	if u := units[name]; u != "" {
		return name + " (" + u + ")"
	}
	return name
}

// notSet is the value of an axis where it does not apply.
const notSet = "(not set)"

// read fills the columns.
func (d *data) read(st *store.Store, about store.About, stats []string) error {
	points, err := st.Points(about.Name)
	if err != nil {
		return err
	}
	values, err := st.Values(about.Name, stats)
	if err != nil {
		return err
	}
	number := make([]map[string]int, len(about.Axes))
	d.Levels, d.Ys = make([][]int, len(about.Axes)), make([][]*figure, len(stats))
	for a, axis := range about.Axes {
		d.Axes = append(d.Axes, axis.Key)
		number[a] = map[string]int{}
		for v, text := range axis.Values {
			number[a][text] = v
		}
		d.Values = append(d.Values, append(slices.Clone(axis.Values), notSet))
		d.Levels[a] = []int{}
	}
	for i, p := range points {
		if !p.Done || len(p.Labels) != len(about.Axes) || i >= len(values) {
			continue
		}
		d.Points = append(d.Points, p.Ordinal)
		for a, label := range p.Labels {
			level, ok := number[a][label]
			if !ok {
				level = len(about.Axes[a].Values)
			}
			d.Levels[a] = append(d.Levels[a], level)
		}
		for k, v := range values[i] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				d.Ys[k] = append(d.Ys[k], nil)
				continue
			}
			f := figure(v)
			d.Ys[k] = append(d.Ys[k], &f)
		}
	}
	return nil
}

// statistic adds the section of one.
func (p *page) statistic(d *data, about store.About, s *sweep.StatReport, k int, units map[string]string) error {
	out := section{Title: s.Name, Live: fmt.Sprintf("live%d", k)}
	if s.Least.Value != s.Most.Value {
		out.Text = append(out.Text, fmt.Sprintf("Least %s at %s; most %s at %s.", sweep.Figure(s.Least.Value), s.Least.At, sweep.Figure(s.Most.Value), s.Most.At))
		if s.Curves.Along >= 0 {
			pic, again, err := curves(about, s, k, units)
			if err != nil {
				return err
			}
			d.Plots = append(d.Plots, again)
			out.Plots = append(out.Plots, pic)
		}
		out.Table = effects(s)
	}
	p.Sections = append(p.Sections, out)
	return nil
}

// curves draws the statistic along the axis that matters most.
func curves(about store.About, s *sweep.StatReport, k int, units map[string]string) (picture, redraw, error) {
	along := about.Axes[s.Curves.Along]
	again := redraw{ID: fmt.Sprintf("plot%d", k), Stat: k, Along: s.Curves.Along, By: s.Curves.By}
	c := &chart.Chart{Y: withUnit(s.Name, units)}
	label, scale := scenario.AxisLabel(along.Key, along.Values)
	xs := make([]float64, len(along.Values)+1)
	c.X = label
	for v := range xs {
		xs[v], again.Order = float64(v), append(again.Order, v)
	}
	if scale == 0 || len(along.Numbers) != len(along.Values) || !distinct(along.Numbers) {
		c.X, c.Categories = along.Key, append(slices.Clone(along.Values), notSet)
	} else {
		for v, n := range along.Numbers {
			xs[v] = n * scale
		}
		again.Order = again.Order[:len(along.Values)]
		slices.SortFunc(again.Order, func(a, b int) int {
			if xs[a] < xs[b] {
				return -1
			}
			return 1
		})
		sorted := slices.Clone(along.Numbers)
		slices.Sort(sorted)
		c.LogX = stat.Geometric(sorted)
	}
	if c.Categories != nil && !slices.ContainsFunc(s.Curves.Lines, func(l sweep.Line) bool { return l.At[len(l.At)-1].Level == len(along.Values) }) {
		c.Categories = c.Categories[:len(along.Values)]
	}
	again.Series = []int{0}
	if s.Curves.By >= 0 {
		again.Series = slices.Repeat([]int{-1}, len(about.Axes[s.Curves.By].Values)+1)
	}
	for _, line := range s.Curves.Lines {
		one := series(line, xs, again.Order, c.Categories != nil)
		if len(one.X) == 0 {
			continue
		}
		again.Series[min(line.Level, len(again.Series)-1)] = len(c.Series)
		if s.Curves.By >= 0 {
			by := about.Axes[s.Curves.By]
			name := notSet
			if line.Level < len(by.Values) {
				name = by.Values[line.Level]
			}
			one.Name = by.Key + " " + name
		}
		c.Series = append(c.Series, one)
	}
	pic, where, err := draw(fmt.Sprintf("%s along %s", s.Name, along.Key), c)
	if err != nil {
		return pic, again, err
	}
	pic.ID, pic.Note = again.ID, noteOf(about, s, c)
	again.place(c, where, xs)
	return pic, again, nil
}

func distinct(xs []float64) bool {
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	return len(slices.Compact(sorted)) == len(xs)
}

// series is a line of the chart, from left to right.
func series(line sweep.Line, xs []float64, order []int, named bool) (one chart.Series) {
	var lo, hi []float64
	ranges := false
	for _, v := range order {
		for _, at := range line.At {
			if at.Level != v {
				continue
			}
			one.X, one.Y = append(one.X, xs[v]), append(one.Y, at.Mean)
			from, to := at.Mean, at.Mean
			if at.MeanRange != nil {
				from, to, ranges = min(at.MeanRange.Lo, at.Mean), max(at.MeanRange.Hi, at.Mean), true
			}
			lo, hi = append(lo, from), append(hi, to)
		}
	}
	if ranges && !named {
		one.Lo, one.Hi = lo, hi
	}
	return one
}

// noteOf says what a mark of the picture is.
func noteOf(about store.About, s *sweep.StatReport, c *chart.Chart) string {
	var others []string
	seeds := 0
	for a, axis := range about.Axes {
		if axis.Replicate {
			seeds = len(axis.Values)
		}
		if a != s.Curves.Along && a != s.Curves.By && len(axis.Values) > 1 {
			others = append(others, axis.Key)
		}
	}
	note := "Each mark is one run."
	if len(others) > 0 {
		note = "Each mark is the mean over " + strings.Join(others, ", ") + "."
	}
	if along := about.Axes[s.Curves.Along]; c.Categories == nil && slices.ContainsFunc(s.Curves.Lines, func(l sweep.Line) bool { return l.At[len(l.At)-1].Level == len(along.Values) }) {
		note += " Runs in which " + along.Key + " is not set have no place on the axis: the table has them."
	}
	switch {
	case slices.ContainsFunc(c.Series, func(x chart.Series) bool { return x.Lo != nil }):
		note += " Bars are 95 % intervals of the mean over the seeds (bootstrap)."
	case s.Exact:
		note += " There are no intervals: the figures of a simulation are exact."
	case seeds > 0 && seeds < 5:
		note += fmt.Sprintf(" There are no intervals: %d seeds are too few for one.", seeds)
	}
	return note
}

// place tells the script where things are on the picture.
func (r *redraw) place(c *chart.Chart, at *chart.Picture, xs []float64) {
	share := func(v float64) float64 {
		if at.LogX {
			return (math.Log(v) - math.Log(at.X0)) / (math.Log(at.X1) - math.Log(at.X0))
		}
		return (v - at.X0) / (at.X1 - at.X0)
	}
	r.X = make([]float64, len(xs))
	for v := range xs {
		r.X[v] = -1
	}
	for _, v := range r.Order {
		if c.Categories != nil && v >= len(c.Categories) {
			continue
		}
		r.X[v] = math.Round(100*(at.Left+share(xs[v])*(at.Right-at.Left))) / 100
	}
	r.Y, r.Log = []float64{at.Y0, at.Y1, at.Bottom, at.Top}, at.LogY
	if c.Categories != nil {
		r.Bar = c.Bar()
	}
	for i := range c.Series {
		r.Colours = append(r.Colours, chart.Colour(i))
	}
}

// effects is the table of the axes that matter, with what each explains.
func effects(s *sweep.StatReport) *table {
	t := &table{Heads: []string{"axis", "value", "points", "mean", "median", "least", "most", "explains"}, Left: 2}
	ranges := false
	for _, a := range s.Axes {
		for _, v := range a.Values {
			ranges = ranges || v.MeanRange != nil || v.MedianRange != nil
		}
	}
	if ranges {
		t.Heads = []string{"axis", "value", "points", "mean", "95 % of seeds", "median", "95 % of seeds", "least", "most", "explains"}
	}
	for i, e := range s.Effects.Main {
		if e.Share < sweep.Worthwhile && i > 0 {
			continue
		}
		for _, a := range s.Axes {
			if a.Key != e.Factors[0] {
				continue
			}
			for n, v := range a.Values {
				if len(t.Rows) >= mostTableRows {
					t.More++
					continue
				}
				key, part := "", ""
				if n == 0 {
					key, part = a.Key, fmt.Sprintf("%.1f %%", 100*e.Share)
				}
				row := []string{key, v.Value, fmt.Sprint(v.N), sweep.Figure(v.Mean)}
				if ranges {
					row = append(row, interval(v.MeanRange))
				}
				row = append(row, sweep.Figure(v.Median))
				if ranges {
					row = append(row, interval(v.MedianRange))
				}
				t.Rows = append(t.Rows, append(row, sweep.Figure(v.Min), sweep.Figure(v.Max), part))
			}
		}
	}
	return t
}

func interval(i *stat.Interval) string {
	if i == nil {
		return ""
	}
	return sweep.Figure(i.Lo) + " to " + sweep.Figure(i.Hi)
}

// filters offers the axes that have a choice.
func (p *page) filters(about store.About, d *data) {
	for a, axis := range about.Axes {
		if len(axis.Values) < 2 {
			continue
		}
		if len(axis.Values) > mostAxis {
			p.Notes = append(p.Notes, fmt.Sprintf("%s has %d values, too many to filter by.", axis.Key, len(axis.Values)))
			continue
		}
		f := filter{Axis: a, Key: axis.Key, Values: axis.Values}
		if slices.Contains(d.Levels[a], len(axis.Values)) {
			f.Values = d.Values[a]
		}
		p.Filters = append(p.Filters, f)
	}
}

// runs is the table of the points, the first of them.
func (p *page) runs(d *data, units map[string]string) {
	r := &runs{table: table{Left: 1 + len(d.Axes), Heads: []string{"point"}}, Records: len(d.Points) <= mostRecords}
	r.Heads = append(r.Heads, d.Axes...)
	for _, s := range d.Stats {
		r.Heads = append(r.Heads, withUnit(s, units))
	}
	for i, point := range d.Points {
		if i == mostShown {
			r.More = len(d.Points) - mostShown
			break
		}
		row := []string{fmt.Sprint(point)}
		for a := range d.Axes {
			row = append(row, d.Values[a][d.Levels[a][i]])
		}
		for k := range d.Stats {
			text := ""
			if f := d.Ys[k][i]; f != nil {
				text = sweep.Figure(float64(*f))
			}
			row = append(row, text)
		}
		r.Rows = append(r.Rows, row)
	}
	p.Runs = r
}

// pack compresses the records in groups: neighbours are much alike.
func pack(st *store.Store, name string) (chunks []string, err error) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that is
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		if err := z.Close(); err != nil {
			return err
		}
		chunks = append(chunks, base64.StdEncoding.EncodeToString(b.Bytes()))
		b.Reset()
		z.Reset(&b)
		n = 0
		return nil
	}
	err = st.EachRun(name, func(_ store.Point, record []byte) error {
		var line bytes.Buffer
		if err := json.Compact(&line, record); err != nil {
			return &store.Error{Path: st.Path, Text: "a record is no JSON: " + err.Error()}
		}
		line.WriteByte('\n')
		if _, err := z.Write(line.Bytes()); err != nil {
			return err
		}
		if n++; n == perChunk {
			return flush()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return chunks, flush()
}
