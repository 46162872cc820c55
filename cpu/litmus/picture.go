package litmus

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Measures of a picture, in pixels.
const (
	charWide   = 8.45 // of a letter in an event's first line, 14 px monospaced
	charNarrow = 6.65 // of a letter in its second line and in labels, 11 px
	boxHeight  = 46.0
	rowStep    = 104.0
	gutter     = 150.0 // between columns
	sideMargin = 40.0
	headHeight = 132.0
	laneStep   = 34.0
)

// picture is an explanation drawn: threads as columns, events as boxes.
//
//	P0             P1
//	┌─────┐  rfe  ┌─────┐    rows go down in program order; a read stands no
//	│ W y ├──────►│ R y │    higher than the write that it reads, so that
//	└─────┘       └─────┘    time goes down where that is possible
//
// Everything is placed by rule, so that the same test gives the same bytes.
type picture struct {
	*Explanation
	threads  []int // of the columns
	boxes    []rect
	boxWidth float64
	curves   []curve
	labels   []rect
	width    float64
	height   float64
}

type point struct{ x, y float64 }

type rect struct{ x, y, w, h float64 }

func (r rect) overlaps(o rect, gap float64) bool {
	return r.x < o.x+o.w+gap && o.x < r.x+r.w+gap && r.y < o.y+o.h+gap && o.y < r.y+r.h+gap
}

func (r rect) holds(p point) bool {
	return p.x > r.x && p.x < r.x+r.w && p.y > r.y && p.y < r.y+r.h
}

// curve is an edge drawn.
type curve struct {
	Edge
	strong bool // part of the cycle
	d      string
	line   []point // samples
	spots  []point // where the label may be
	head   [3]point
	label  rect
}

// SVG draws the explanation. The picture adapts to light and dark.
func (e *Explanation) SVG() string {
	p := &picture{Explanation: e}
	p.place()
	p.route()
	p.name()
	return p.write()
}

// HTML is a page with the picture, the text and the test.
func (e *Explanation) HTML(source string) string {
	return fmt.Sprintf(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:1.5rem auto;padding:0 1rem;background:#fff;color:#1f2328}
svg{max-width:100%%;height:auto}
pre{font:13px/1.45 ui-monospace,monospace;background:#f6f8fa;padding:.8rem 1rem;border-radius:8px;overflow-x:auto}
@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}}
</style></head><body>
%s
<h2>In words</h2>
<pre>%s</pre>
<h2>The test</h2>
<pre>%s</pre>
</body></html>
`, html.EscapeString(e.Test.Name), e.SVG(), html.EscapeString(e.Text()), html.EscapeString(source))
}

// place puts the events into columns and rows.
func (p *picture) place() {
	for i := range p.Events {
		if t := p.Events[i].Thread; !slices.Contains(p.threads, t) {
			p.threads = append(p.threads, t)
		}
		first := len(letter(i)) + 2 + len(p.eventText(i))
		p.boxWidth = max(p.boxWidth, charWide*float64(first)+28, charNarrow*float64(len(p.Events[i].Instr.Text))+28)
	}
	rows := p.rows()
	deepest := 0
	for i := range p.Events {
		column := slices.Index(p.threads, p.Events[i].Thread)
		deepest = max(deepest, rows[i])
		p.boxes = append(p.boxes, rect{
			x: p.left() + float64(column)*(p.boxWidth+gutter), y: headHeight + float64(rows[i])*rowStep,
			w: p.boxWidth, h: boxHeight,
		})
	}
	columns := float64(max(1, len(p.threads)))
	p.width = 2*p.left() + columns*p.boxWidth + (columns-1)*gutter
	p.height = headHeight + float64(deepest)*rowStep + boxHeight + 24
}

// left is room beside the first and last column, for edges that stay in them.
func (p *picture) left() float64 {
	for _, e := range slices.Concat(p.Cycle, p.Others) {
		if p.Events[e.From].Thread == p.Events[e.To].Thread && e.To != e.From+1 {
			return sideMargin + 70
		}
	}
	return sideMargin
}

// rows follow program order. Reads move down to the row of the write that they
// read, as long as that closes no circle.
func (p *picture) rows() []int {
	n := len(p.Events)
	var edges []Edge
	for i := 1; i < n; i++ {
		if p.Events[i].Thread == p.Events[i-1].Thread {
			edges = append(edges, Edge{i - 1, i, "po"})
		}
	}
	depth := func(edges []Edge) ([]int, bool) {
		rows := make([]int, n)
		for round := 0; ; round++ {
			changed := false
			for _, e := range edges {
				least := rows[e.From]
				if e.Name == "po" {
					least++
				}
				if rows[e.To] < least {
					rows[e.To], changed = least, true
				}
			}
			if !changed {
				return rows, true
			}
			if round > n {
				return nil, false
			}
		}
	}
	for _, e := range slices.Concat(p.Cycle, p.Others) {
		if e.Name == "rfe" {
			if _, ok := depth(append(slices.Clone(edges), e)); ok {
				edges = append(edges, e)
			}
		}
	}
	rows, _ := depth(edges)
	return rows
}

func (p *picture) column(event int) int { return slices.Index(p.threads, p.Events[event].Thread) }

// last reports whether nothing stands below an event.
func (p *picture) last(event int) bool {
	return event+1 == len(p.Events) || p.Events[event+1].Thread != p.Events[event].Thread
}

// route draws the edges: strong ones first, so that they get the straight ways.
func (p *picture) route() {
	edges := []curve{}
	for _, e := range p.Cycle {
		if !slices.ContainsFunc(edges, func(c curve) bool { return c.Edge == e }) {
			edges = append(edges, curve{Edge: e, strong: true})
		}
	}
	for _, e := range p.Others {
		if !slices.ContainsFunc(edges, func(c curve) bool { return c.From == e.From && c.To == e.To }) && !(e.Name == "po" && p.parallel(e)) {
			edges = append(edges, curve{Edge: e})
		}
	}
	ports := p.ports(edges)
	lane := 0
	for i := range edges {
		c := &edges[i]
		from, to := p.boxes[c.From], p.boxes[c.To]
		cf, ct := p.column(c.From), p.column(c.To)
		switch {
		case cf == ct && c.To == c.From+1:
			x := from.x + from.w/2
			c.straight(point{x, from.y + from.h}, point{x, to.y})
		case cf == ct:
			side := 1.0
			x := from.x + from.w
			if cf == 0 {
				side, x = -1, from.x
			}
			bulge := side * (44 + 10*math.Abs(float64(c.To-c.From)))
			a, b := point{x, from.y + ports[[2]int{i, 0}]}, point{x, to.y + ports[[2]int{i, 1}]}
			c.bezier(a, point{a.x + bulge, a.y}, point{b.x + bulge, b.y}, b)
		case cf-ct == 1 || ct-cf == 1:
			a, b := point{from.x + from.w, from.y + ports[[2]int{i, 0}]}, point{to.x, to.y + ports[[2]int{i, 1}]}
			if ct < cf {
				a.x, b.x = from.x, to.x+to.w
			}
			reach := (b.x - a.x) * 0.42
			c.bezier(a, point{a.x + reach, a.y}, point{b.x - reach, b.y}, b)
		default:
			p.lane(c, lane, ports[[2]int{i, 0}], ports[[2]int{i, 1}])
			lane++
		}
	}
	if lane > 0 {
		p.height += float64(lane)*laneStep + 6
	}
	p.curves = edges
}

// parallel reports whether another edge joins the same events.
func (p *picture) parallel(e Edge) bool {
	return slices.ContainsFunc(slices.Concat(p.Cycle, p.Others), func(o Edge) bool { return o != e && o.From == e.From && o.To == e.To })
}

// ports spreads the ends of edges over the sides of the boxes: for end 0 or 1
// of an edge the distance from the box's upper border.
func (p *picture) ports(edges []curve) map[[2]int]float64 {
	type end struct {
		edge, which int
		toward      float64
	}
	type side struct {
		event int
		right bool
	}
	sides := map[side][]end{}
	var order []side
	for i, c := range edges {
		cf, ct := p.column(c.From), p.column(c.To)
		if cf == ct && c.To == c.From+1 {
			continue
		}
		for which, event := range []int{c.From, c.To} {
			other, mine, theirs := c.To, cf, ct
			if which == 1 {
				other, mine, theirs = c.From, ct, cf
			}
			far := theirs-mine > 1 || mine-theirs > 1
			if far && p.last(event) {
				continue // leaves below
			}
			s := side{event, theirs > mine || theirs == mine && mine > 0}
			y := p.boxes[other].y
			if far {
				y = 1e6
			}
			if sides[s] == nil {
				order = append(order, s)
			}
			sides[s] = append(sides[s], end{i, which, y})
		}
	}
	at := map[[2]int]float64{}
	for _, s := range order {
		ends := sides[s]
		slices.SortStableFunc(ends, func(a, b end) int {
			switch {
			case a.toward < b.toward:
				return -1
			case a.toward > b.toward:
				return 1
			}
			return 0
		})
		for k, e := range ends {
			at[[2]int{e.edge, e.which}] = boxHeight * float64(k+1) / float64(len(ends)+1)
		}
	}
	return at
}

func (c *curve) straight(a, b point) {
	c.d = fmt.Sprintf("M%s L%s", a, b)
	c.line = segment(a, b)
	c.spots = c.line[2:9]
	c.arrow(a, b)
}

func (c *curve) bezier(a, q, r, b point) {
	c.d = fmt.Sprintf("M%s C%s %s %s", a, q, r, b)
	for i := 0; i <= 40; i++ {
		t := float64(i) / 40
		u := 1 - t
		f := func(a, q, r, b float64) float64 { return u*u*u*a + 3*u*u*t*q + 3*u*t*t*r + t*t*t*b }
		c.line = append(c.line, point{f(a.x, q.x, r.x, b.x), f(a.y, q.y, r.y, b.y)})
	}
	c.spots = c.line[6:35]
	c.arrow(r, b)
}

// segment returns points on a straight line.
func segment(a, b point) (line []point) {
	for k := range 11 {
		t := float64(k) / 10
		line = append(line, point{a.x + (b.x-a.x)*t, a.y + (b.y-a.y)*t})
	}
	return line
}

// lane leads an edge below all boxes to a column that is no neighbour.
func (p *picture) lane(c *curve, lane int, fromPort, toPort float64) {
	from, to := p.boxes[c.From], p.boxes[c.To]
	y := p.height - 4 + float64(lane)*laneStep
	side := 1.0 // where the target lies
	if to.x < from.x {
		side = -1
	}
	step := 18 + 9*float64(lane)
	end := func(event int, r rect, side, port float64) []point {
		if p.last(event) {
			x := r.x + r.w/2 + side*float64(lane%3)*14
			return []point{{x, r.y + r.h}, {x, y}}
		}
		x := r.x
		if side > 0 {
			x += r.w
		}
		return []point{{x, r.y + port}, {x + side*step, r.y + port}, {x + side*step, y}}
	}
	way := end(c.From, from, side, fromPort)
	back := end(c.To, to, -side, toPort)
	slices.Reverse(back)
	way = append(way, back...)
	var b strings.Builder
	fmt.Fprintf(&b, "M%s", way[0])
	for i := 1; i < len(way); i++ {
		if i+1 < len(way) {
			before, after := toward(way[i], way[i-1], 14), toward(way[i], way[i+1], 14)
			fmt.Fprintf(&b, " L%s Q%s %s", before, way[i], after)
		} else {
			fmt.Fprintf(&b, " L%s", way[i])
		}
		part := segment(way[i-1], way[i])
		c.line = append(c.line, part...)
		if way[i-1].y == y && way[i].y == y { // the lane itself
			c.spots = part[1:10]
		}
	}
	c.d = b.String()
	c.arrow(way[len(way)-2], way[len(way)-1])
}

// toward is the point at a distance from a on the way to b.
func toward(a, b point, d float64) point {
	n := math.Hypot(b.x-a.x, b.y-a.y)
	if n < 2*d {
		d = n / 2
	}
	if n == 0 {
		return a
	}
	return point{a.x + (b.x-a.x)*d/n, a.y + (b.y-a.y)*d/n}
}

// arrow is the head at b of a line that comes from a.
func (c *curve) arrow(a, b point) {
	base := toward(b, a, 10)
	dx, dy := (b.x-base.x)*0.42, (b.y-base.y)*0.42
	c.head = [3]point{b, {base.x - dy, base.y + dx}, {base.x + dy, base.y - dx}}
}

func (p point) String() string { return fmt.Sprintf("%.1f,%.1f", p.x, p.y) }

// name finds a place for each label: on its edge, near the middle, away from
// boxes and other labels, and from other edges if that is possible.
func (p *picture) name() {
	for i := range p.curves {
		c := &p.curves[i]
		w := charNarrow*float64(len(c.Name)) + 14
		best, cost := rect{}, math.MaxFloat64
		for k, at := range c.spots {
			middle := math.Abs(float64(k)/float64(len(c.spots)-1) - 0.5)
			for _, shift := range []point{{0, 0}, {0, -13}, {0, 13}, {w/2 + 6, 0}, {-w/2 - 6, 0}} {
				r := rect{at.x - w/2 + shift.x, at.y - 9 + shift.y, w, 18}
				price := 40*middle + 0.5*(math.Abs(shift.x)+math.Abs(shift.y))
				if r.x < 4 || r.x+r.w > p.width-4 {
					price += 1000
				}
				for _, b := range p.boxes {
					if r.overlaps(b, 3) {
						price += 2000
					}
				}
				for _, l := range p.labels {
					if r.overlaps(l, 4) {
						price += 2000
					}
				}
				for j := range p.curves {
					if j == i {
						continue
					}
					nearest := 34.0
					for _, q := range p.curves[j].line {
						nearest = min(nearest, math.Hypot(q.x-r.x-r.w/2, q.y-r.y-9))
						if r.holds(q) {
							price += 12
						}
					}
					price += 34 - nearest
				}
				if price < cost {
					best, cost = r, price
				}
			}
		}
		c.label = best
		p.labels = append(p.labels, best)
	}
}

// colour is the colour group of a relation.
func colour(name string) string {
	switch {
	case name == "po":
		return "po"
	case strings.HasPrefix(name, "rf"):
		return "rf"
	case strings.HasPrefix(name, "fr"):
		return "fr"
	case strings.HasPrefix(name, "co"):
		return "co"
	case strings.HasPrefix(name, "dmb"), strings.HasPrefix(name, "dsb"):
		return "fence"
	case strings.HasPrefix(name, "acquire"), strings.HasPrefix(name, "release"):
		return "fence"
	case strings.HasPrefix(name, "addr"), strings.HasPrefix(name, "data"), strings.HasPrefix(name, "ctrl"), strings.HasPrefix(name, "pick"):
		return "dep"
	}
	return "other"
}

// style: colours keep a contrast of 4.5:1 with the background, in light and dark.
const style = `<style>
.bg{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.box{fill:#f6f8fa;stroke:#818b98;stroke-width:1.2}
.in{stroke:#1f2328;stroke-width:1.8}.plate{fill:#ffffff}.bad{fill:#b3261e}.good{fill:#116329}
.line{fill:none;stroke-width:1.3}.strong{stroke-width:2.4}.free{stroke-dasharray:6 5}
.rf{stroke:#b3261e}.fr{stroke:#9a5b00}.co{stroke:#0b5cc2}.po{stroke:#59636e}.fence{stroke:#0f7b6c}.dep{stroke:#7a3fc0}.other{stroke:#1f2328}
.t-rf{fill:#b3261e}.t-fr{fill:#9a5b00}.t-co{fill:#0b5cc2}.t-po{fill:#59636e}.t-fence{fill:#0f7b6c}.t-dep{fill:#7a3fc0}.t-other{fill:#1f2328}
text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.mono{font-family:ui-monospace,"SFMono-Regular","DejaVu Sans Mono",Menlo,Consolas,monospace}
@media (prefers-color-scheme:dark){
.bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.box{fill:#161b22;stroke:#6e7681}
.in{stroke:#e6edf3}.plate{fill:#0d1117}.bad{fill:#ff8a80}.good{fill:#56d364}
.rf{stroke:#ff8a80}.fr{stroke:#f0b040}.co{stroke:#79b8ff}.po{stroke:#9198a1}.fence{stroke:#4fd1b8}.dep{stroke:#c9a0ff}.other{stroke:#e6edf3}
.t-rf{fill:#ff8a80}.t-fr{fill:#f0b040}.t-co{fill:#79b8ff}.t-po{fill:#9198a1}.t-fence{fill:#4fd1b8}.t-dep{fill:#c9a0ff}.t-other{fill:#e6edf3}
}
</style>
`

// write puts the drawing together, with caption and legend.
func (p *picture) write() string {
	title := p.Test.Name
	verdict := p.headline()
	outcome := "outcome  " + p.outcomeText()
	p.width = max(p.width, 24+11.5*float64(len(title)), 24+7.4*float64(len(verdict)), 48+7.3*float64(len(outcome)), 420)
	legend, indent := p.legend(), 0.0
	for _, name := range legend {
		indent = max(indent, 24+charNarrow*float64(len(name))+24)
	}
	for _, name := range legend {
		p.width = max(p.width, indent+6.7*float64(len(gloss(name)))+24)
	}
	shift := (p.width - p.natural()) / 2
	wide := int((p.width - 48) / 6.9)
	var caption []string
	for _, s := range p.sentences() {
		caption = append(caption, wrap(s, wide)...)
	}
	y := p.height + 22
	full := y + 19*float64(len(caption)) + 14 + 18*float64(len(legend))

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n",
		p.width, full, p.width, full, html.EscapeString(title+": "+verdict))
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="bg" width="%.0f" height="%.0f"/>`+"\n", p.width, full)
	p.text(&b, 24, 34, "ink", 20, "bold", title)
	tone := "good"
	if !p.Allowed {
		tone = "bad"
	}
	p.text(&b, 24, 58, tone, 14, "600", verdict)
	fmt.Fprintf(&b, `<text class="soft mono" x="24" y="80" font-size="12">%s</text>`+"\n", html.EscapeString(outcome))
	fmt.Fprintf(&b, `<g transform="translate(%.1f,0)">`+"\n", shift)
	for k, t := range p.threads {
		x := p.left() + float64(k)*(p.boxWidth+gutter) + p.boxWidth/2
		fmt.Fprintf(&b, `<text class="soft" x="%.1f" y="%.1f" font-size="13" font-weight="600" text-anchor="middle">Thread %d</text>`+"\n", x, headHeight-14, t)
	}
	for _, c := range slices.Backward(p.curves) {
		p.line(&b, c)
	}
	for i, r := range p.boxes {
		p.box(&b, i, r)
	}
	for _, c := range p.curves {
		fmt.Fprintf(&b, `<rect class="plate" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="5"/>`, c.label.x, c.label.y, c.label.w, c.label.h)
		fmt.Fprintf(&b, `<text class="mono t-%s" x="%.1f" y="%.1f" font-size="11" font-weight="600" text-anchor="middle">%s</text>`+"\n", colour(c.Name), c.label.x+c.label.w/2, c.label.y+13, html.EscapeString(c.Name))
	}
	b.WriteString("</g>\n")
	for _, line := range caption {
		p.text(&b, 24, y, "ink", 13, "normal", line)
		y += 19
	}
	y += 8
	for _, name := range legend {
		fmt.Fprintf(&b, `<text class="mono t-%s" x="24" y="%.1f" font-size="11" font-weight="600">%s</text>`, colour(name), y, html.EscapeString(name))
		p.text(&b, indent, y, "soft", 12, "normal", gloss(name))
		y += 18
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// natural is the width that the columns need.
func (p *picture) natural() float64 {
	columns := float64(max(1, len(p.threads)))
	return 2*p.left() + columns*p.boxWidth + (columns-1)*gutter
}

func (p *picture) text(b *strings.Builder, x, y float64, class string, size int, weight, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" font-size="%d" font-weight="%s">%s</text>`+"\n", class, x, y, size, weight, html.EscapeString(text))
}

func (p *picture) line(b *strings.Builder, c curve) {
	classes := "line " + colour(c.Name)
	if c.strong {
		classes += " strong"
	}
	if c.strong && c.Name == "po" {
		classes += " free"
	}
	fmt.Fprintf(b, `<path class="%s" d="%s"/>`, classes, c.d)
	fmt.Fprintf(b, `<path class="t-%s" d="M%s L%s L%s Z"/>`+"\n", colour(c.Name), c.head[0], c.head[1], c.head[2])
}

func (p *picture) box(b *strings.Builder, i int, r rect) {
	classes := "box"
	if slices.ContainsFunc(p.Cycle, func(e Edge) bool { return e.From == i || e.To == i }) {
		classes += " in"
	}
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="8"/>`, classes, r.x, r.y, r.w, r.h)
	fmt.Fprintf(b, `<text class="ink mono" x="%.1f" y="%.1f" font-size="14" text-anchor="middle"><tspan font-weight="bold">%s</tspan>: %s</text>`, r.x+r.w/2, r.y+20, letter(i), html.EscapeString(p.eventText(i)))
	fmt.Fprintf(b, `<text class="soft mono" x="%.1f" y="%.1f" font-size="11" text-anchor="middle">%s</text>`+"\n", r.x+r.w/2, r.y+37, html.EscapeString(p.Events[i].Instr.Text))
}

// legend lists the relations that are drawn, in the order of glosses.
func (p *picture) legend() []string {
	var names []string
	for _, c := range p.curves {
		if !slices.Contains(names, c.Name) && gloss(c.Name) != "" {
			names = append(names, c.Name)
		}
	}
	place := func(name string) int {
		for i, g := range glosses {
			if g.name == name {
				return i
			}
		}
		return len(glosses)
	}
	slices.SortStableFunc(names, func(a, b string) int { return place(a) - place(b) })
	return names
}

// wrap breaks a sentence into lines of at most width letters, if words permit.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
