// Package chart draws curves, bars, stacks and heat maps as SVG that goes into a page: text and axes
// take the colour of the text around them and series have colours that a
// stylesheet can change, so a picture is readable in light and in dark.
//
//	Chart ─► gonum/plot ─► SVG ─► placeholders become currentColor and var(--sN)
package chart

import (
	"bytes"
	_ "embed" // the stylesheet
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

//go:embed style.css
var style string

// Style is the stylesheet of pages with pictures, light or dark as the reader's system
// prefers.
var Style = template.CSS(style)

// Series is one curve, or one colour of bars. X rises; Lo and Hi are the ends of
// an interval around each Y, nil where there is none.
type Series struct {
	Name   string
	X, Y   []float64
	Lo, Hi []float64
}

// Chart is a picture of some series over one axis.
type Chart struct {
	X, Y       string   // what the axes show, with units
	Categories []string // names along X instead of numbers: then bars, and X counts them from 0
	LogX, LogY bool     // given up where a value is not positive
	Stack      bool     // series lie on each other: areas over numbers, horizontal bars over categories
	Steps      bool     // a value holds until the next place, as in a histogram
	Series     []Series
	Heat       *Heat // instead of series
}

// Heat is a map of colours: rows of values over X, the first row at the bottom.
type Heat struct {
	Rows   []string // names of rows, of which the axis shows some
	Value  string   // what a colour shows, with its unit
	X0, DX float64  // where the first column begins, and the width of each
	Cells  [][]float64
}

// Picture is a chart that is drawn, and where on it what lies: in points from the left
// and from the top.
type Picture struct {
	SVG                      []byte
	Left, Right, Top, Bottom float64 // of the axes
	X0, X1, Y0, Y1           float64 // values there
	LogX, LogY               bool
}

// Key is the name of a series with its colour, for a legend beside the picture: in
// it there is no place where none would cover a curve.
type Key struct{ Name, Colour string }

// Keys lists the series that have names.
func (c *Chart) Keys() (keys []Key) {
	if c.Heat != nil {
		return c.Heat.Keys()
	}
	for i, s := range c.Series {
		if s.Name != "" {
			keys = append(keys, Key{s.Name, Colour(i)})
		}
	}
	return keys
}

// Colour is what a stylesheet knows the i-th series by.
func Colour(i int) string {
	i %= len(Palette)
	return fmt.Sprintf("var(--s%d,%s)", i+1, Palette[i])
}

// Size of a picture in points.
const (
	width  = 560
	height = 300
)

// Palette are the colours of series in light pages, told apart by colour-blind
// readers too: P. Tol, "Colour Schemes", SRON/EPS/TN/09-002, bright and vibrant.
var Palette = []string{"#4477aa", "#ee6677", "#228833", "#aa7711", "#66a2cc", "#aa3377", "#777777", "#cc3311", "#009988"}

// ink stands for the colour of the surrounding text until the SVG is made.
var ink = color.RGBA{1, 2, 3, 255}

const inkText = "#010203"

// placeholder stands for the colour of a series.
func placeholder(i int) color.RGBA { return color.RGBA{1, 2, uint8(100 + i%len(Palette)), 255} }

// SVG draws the chart. An error says which series cannot be drawn.
func (c *Chart) SVG() ([]byte, error) {
	p, err := c.Draw()
	if err != nil {
		return nil, err
	}
	return p.SVG, nil
}

// Draw draws the chart. An error says which series cannot be drawn.
func (c *Chart) Draw() (*Picture, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	c.style(p)
	for i, s := range c.Series {
		if len(s.X) != len(s.Y) || len(s.X) == 0 {
			return nil, fmt.Errorf("series %q has %d places and %d values", s.Name, len(s.X), len(s.Y))
		}
		if err := c.add(p, i); err != nil {
			return nil, fmt.Errorf("series %q: %w", s.Name, err)
		}
	}
	if c.Heat != nil {
		p.Add(c.Heat)
	}
	c.scale(p)
	tall := c.height()
	canvas := vgsvg.New(width, tall)
	area := draw.Crop(draw.New(canvas), 2, -16, 2, -8) // room for the last label
	p.Draw(area)
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	data := p.DataCanvas(area)
	_, logX := p.X.Scale.(plot.LogScale)
	_, logY := p.Y.Scale.(plot.LogScale)
	return &Picture{
		SVG:  themed(b.Bytes()),
		Left: data.Min.X.Points(), Right: data.Max.X.Points(),
		Top: (tall - data.Max.Y).Points(), Bottom: (tall - data.Min.Y).Points(),
		X0: p.X.Min, X1: p.X.Max, Y0: p.Y.Min, Y1: p.Y.Max, LogX: logX, LogY: logY,
	}, nil
}

// flat tells whether bars lie on their side.
func (c *Chart) flat() bool { return c.Stack && c.Categories != nil }

// height makes room for bars that lie.
func (c *Chart) height() vg.Length {
	if c.flat() {
		return vg.Length(60 + 20*len(c.Categories))
	}
	return height
}

func (c *Chart) style(p *plot.Plot) {
	if p.X.Label.Text, p.Y.Label.Text = c.X, c.Y; c.flat() {
		p.Y.Label.Text = "" // its values say what they are
	}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Label.TextStyle.Color, a.Tick.Label.Color, a.Tick.Color = ink, ink, ink, ink
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 11, 9
		a.Label.TextStyle.Font.Variant, a.Tick.Label.Font.Variant = "Sans", "Sans"
		a.Padding = 4
	}
	grid := plotter.NewGrid()
	faint := color.RGBA{1, 2, 4, 255}
	grid.Horizontal.Color, grid.Vertical.Color = faint, faint
	grid.Horizontal.Width, grid.Vertical.Width = 0.4, 0
	if c.flat() {
		grid.Horizontal.Width, grid.Vertical.Width = 0, 0.4
	}
	if c.Heat == nil {
		p.Add(grid)
	}
}

// scale chooses the scales once all data are known.
func (c *Chart) scale(p *plot.Plot) {
	switch {
	case c.Heat != nil:
		p.X.Tick.Marker, p.Y.Tick.Marker = plainTicks{}, c.Heat
		return
	case c.flat():
		p.NominalY(c.Categories...)
		p.Y.Min, p.Y.Max = -0.6, float64(len(c.Categories))-0.4
		p.X.Min, p.X.Tick.Marker = 0, plainTicks{}
		return
	case c.LogX && c.Categories == nil && p.X.Min > 0:
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	case c.Categories != nil:
		p.NominalX(c.Categories...)
		p.X.Min, p.X.Max = -0.6, float64(len(c.Categories))-0.4
		if crowded(c.Categories) {
			p.X.Tick.Label.Rotation = math.Pi / 5
			p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
		}
	default:
		p.X.Tick.Marker = plainTicks{}
	}
	if c.LogY && p.Y.Min > 0 {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		return
	}
	if p.Y.Min > 0 && p.Y.Min < p.Y.Max/2 {
		p.Y.Min = 0
	}
	if p.Y.Min == p.Y.Max {
		p.Y.Min, p.Y.Max = math.Min(0, p.Y.Min), p.Y.Max+1
	}
	if !c.Stack {
		p.Y.Max += (p.Y.Max - p.Y.Min) / 30 // marks on the edge would be cut
	}
	p.Y.Tick.Marker = plainTicks{}
}

// crowded tells whether names beside each other would touch.
func crowded(names []string) bool {
	longest := 0
	for _, n := range names {
		longest = max(longest, len(n))
	}
	return longest*len(names)*5 > width-80
}

func (c *Chart) add(p *plot.Plot, i int) error {
	s, hue := &c.Series[i], placeholder(i)
	switch {
	case c.flat():
		return c.addLying(p, i)
	case c.Stack:
		return c.addArea(p, i)
	case c.Categories != nil:
		return c.addBars(p, i)
	}
	xys := make(plotter.XYs, len(s.X))
	for k := range s.X {
		xys[k] = plotter.XY{X: s.X[k], Y: s.Y[k]}
	}
	line, points, err := plotter.NewLinePoints(xys)
	if err != nil {
		return err
	}
	line.Color, line.Width = hue, 1.6
	points.Color, points.Radius, points.Shape = hue, 2.2, draw.CircleGlyph{}
	if c.Steps {
		line.StepStyle = plotter.PostStep
	}
	if p.Add(line); len(xys) <= mostDots && !c.Steps {
		p.Add(points)
	}
	if s.Lo != nil {
		bars, err := plotter.NewYErrorBars(band{xys, s})
		if err != nil {
			return err
		}
		bars.Color, bars.CapWidth = hue, 4
		p.Add(bars)
	}
	return nil
}

// mostDots is how many places of a curve have a dot each.
const mostDots = 64

// below is the sum of the series under the i-th at each of its places.
func (c *Chart) below(i int) []float64 {
	sum := make([]float64, len(c.Series[i].X))
	for _, s := range c.Series[:i] {
		for k := range sum {
			if k < len(s.Y) {
				sum[k] += s.Y[k]
			}
		}
	}
	return sum
}

// addArea draws a series on top of those before it, which have the same places.
func (c *Chart) addArea(p *plot.Plot, i int) error {
	s, under := &c.Series[i], c.below(i)
	var top, bottom plotter.XYs
	for k, x := range s.X {
		if c.Steps && k > 0 {
			top, bottom = append(top, plotter.XY{X: x, Y: under[k-1] + s.Y[k-1]}), append(bottom, plotter.XY{X: x, Y: under[k-1]})
		}
		top, bottom = append(top, plotter.XY{X: x, Y: under[k] + s.Y[k]}), append(bottom, plotter.XY{X: x, Y: under[k]})
	}
	slices.Reverse(bottom)
	edge := append(top, bottom...)
	area, err := plotter.NewPolygon(edge)
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = placeholder(i), 0
	p.Add(area)
	return nil
}

// addLying draws a part of horizontal bars; X are the numbers of categories, all.
func (c *Chart) addLying(p *plot.Plot, i int) error {
	s, under := &c.Series[i], c.below(i)
	for k, y := range s.Y {
		if y == 0 {
			continue
		}
		at := s.X[k]
		bar, err := plotter.NewPolygon(plotter.XYs{{X: under[k], Y: at - 0.36}, {X: under[k] + y, Y: at - 0.36}, {X: under[k] + y, Y: at + 0.36}, {X: under[k], Y: at + 0.36}})
		if err != nil {
			return err
		}
		bar.Color, bar.LineStyle.Width = placeholder(i), 0
		p.Add(bar)
	}
	return nil
}

// addBars draws one colour of bars beside those of the other series.
func (c *Chart) addBars(p *plot.Plot, i int) error {
	s := &c.Series[i]
	values := make(plotter.Values, len(c.Categories))
	for k, x := range s.X {
		if n := int(x); n >= 0 && n < len(values) {
			values[n] = s.Y[k]
		}
	}
	bar, err := plotter.NewBarChart(values, vg.Length(c.Bar()))
	if err != nil {
		return err
	}
	bar.Color, bar.LineStyle.Width = placeholder(i), 0
	bar.Offset = vg.Length((float64(i) - float64(len(c.Series)-1)/2) * c.Bar())
	p.Add(bar)
	return nil
}

// Bar is the width of a bar in points; those of several series stand beside each other
// about their place.
func (c *Chart) Bar() float64 {
	return math.Min(float64(width)*0.7/float64(len(c.Categories)*len(c.Series)), 28)
}

// band gives the plotter the intervals of a series.
type band struct {
	plotter.XYs
	s *Series
}

// YError is how far the interval reaches below and above.
func (b band) YError(i int) (low, high float64) { return b.s.Y[i] - b.s.Lo[i], b.s.Hi[i] - b.s.Y[i] }

// plainTicks labels an axis with short numbers.
type plainTicks struct{}

func (plainTicks) Ticks(lo, hi float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = Number(ticks[i].Value)
		}
	}
	return ticks
}

// logTicks labels powers of ten, or of two where there are few of ten.
type logTicks struct{}

func (logTicks) Ticks(lo, hi float64) (ticks []plot.Tick) {
	base, every := 10.0, 1
	if hi/lo < 300 {
		base = 2
		every = int(math.Ceil(math.Log2(hi/lo) / 8))
	}
	first := math.Floor(math.Log(lo) / math.Log(base))
	for n := 0; n < 200; n++ {
		v := math.Pow(base, first+float64(n))
		if v > hi*1.0001 {
			break
		}
		if v < lo*0.9999 {
			continue
		}
		t := plot.Tick{Value: v}
		if every < 2 || n%every == 0 {
			t.Label = Number(v)
		}
		ticks = append(ticks, t)
	}
	if len(ticks) == 0 {
		ticks = []plot.Tick{{Value: lo, Label: Number(lo)}, {Value: hi, Label: Number(hi)}}
	}
	return ticks
}

// Number writes a figure shortly: three digits that matter, K, M, G and so on for
// thousands.
func Number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	unit := ""
	if math.Abs(v) >= 9999.5 { // 4096 stays as it is
		for _, u := range []string{"K", "M", "G", "T", "P"} {
			if v, unit = v/1000, u; math.Abs(v) < 999.5 {
				break
			}
		}
	}
	text := strconv.FormatFloat(v, 'g', 3, 64)
	if strings.Contains(text, "e") {
		text = strconv.FormatFloat(v, 'f', 0, 64)
		if math.Abs(v) < 1 {
			text = strconv.FormatFloat(v, 'g', 2, 64)
		}
	}
	return text + unit
}

// themed exchanges the placeholders, the fonts and the fixed size.
func themed(svg []byte) []byte {
	text := string(svg)
	if i := strings.Index(text, "<svg"); i > 0 {
		text = text[i:] // it goes into a page, which has a declaration of its own
	}
	pairs := []string{inkText, "currentColor", "#010204", "var(--grid,#cccccc)"}
	for i := range Palette {
		pairs = append(pairs, fmt.Sprintf("#0102%02X", 100+i), Colour(i))
	}
	for i := range Warmth {
		pairs = append(pairs, fmt.Sprintf("#0103%02X", 100+i), warm(i))
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	return []byte(fontFamily(text))
}

// label is a text of the picture as the plotter writes it.
var label = regexp.MustCompile(`(?s)(<text [^>]*?)style="font-family:[^"]*?font-size:([0-9.]+)px([^"]*)">([^<]*)</text>`)

// fontFamily replaces the plotter's fonts, which readers do not have, and keeps each
// text as wide as it was planned: else labels of a wider font would reach into the axes.
func fontFamily(text string) string {
	return label.ReplaceAllStringFunc(text, func(m string) string {
		part := label.FindStringSubmatch(m)
		size, err := strconv.ParseFloat(part[2], 64)
		if err != nil {
			return m
		}
		face := font.DefaultCache.Lookup(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size))
		wide := face.Width(html.UnescapeString(part[4])).Points()
		return fmt.Sprintf(`%stextLength="%.1f" lengthAdjust="spacingAndGlyphs" style="font-family:system-ui,sans-serif;font-size:%spx%s">%s</text>`, part[1], wide, part[2], part[3], part[4])
	})
}

// Table is the data behind the chart: a heading and rows of text.
func (c *Chart) Table() (heads []string, rows [][]string) {
	if c.Heat != nil {
		return c.Heat.table(c.X)
	}
	if heads = append(heads, c.X); c.flat() {
		heads[0] = c.Y
	}
	var xs []float64
	for _, s := range c.Series {
		name := s.Name
		if name == "" {
			name = c.Y
		}
		if s.Lo != nil {
			name += " (interval)"
		}
		heads = append(heads, name)
		xs = append(xs, s.X...)
	}
	slices.Sort(xs)
	for _, x := range slices.Compact(xs) {
		row := []string{strconv.FormatFloat(x, 'g', 6, 64)}
		if c.Categories != nil {
			row[0] = c.Categories[int(x)]
		}
		for _, s := range c.Series {
			cell := ""
			if k := slices.Index(s.X, x); k >= 0 {
				cell = strconv.FormatFloat(s.Y[k], 'g', 6, 64)
				if s.Lo != nil && s.Lo[k] < s.Hi[k] {
					cell += " (" + strconv.FormatFloat(s.Lo[k], 'g', 6, 64) + " to " + strconv.FormatFloat(s.Hi[k], 'g', 6, 64) + ")"
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return heads, rows
}
