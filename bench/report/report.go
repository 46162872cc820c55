// Package report makes one HTML file of a sweep or of a run: everything is in it, and
// it asks for nothing from outside.
//
//	store ─► sweep.MakeReport ─► sentences, curves, tables ─┐
//	                    rows of axes and statistics ─► JSON ├─► page.html ─► one file
//	              records of runs, compressed in groups ────┘      + style.css, report.js
//	record ─► cycle stacks, its series over time ─► pictures ──────┘
//
// Without JavaScript all figures are shown and nothing can be filtered. The same store
// gives the same bytes, and so do the joined stores of its shards.
package report

import (
	_ "embed" // the page, its style and its script
	"fmt"
	"html/template"
	"io"

	"ringmap/bench"
	"ringmap/bench/chart"
)

//go:embed page.html
var pageText string

//go:embed report.css
var extraStyle string

//go:embed report.js
var script string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":    func(s string) template.CSS { return template.CSS(s) },
	"style":  func() template.CSS { return chart.Style + template.CSS(extraStyle) },
	"script": func() template.JS { return template.JS(script) },
}).Parse(pageText))

// page is what the template fills.
type page struct {
	Title    string
	Kind     string // what it is a report of
	Lead     []string
	Notes    []string // what is left out, and where it is
	Sections []section
	Filters  []filter
	Runs     *runs
	Facts    []facts
	Record   string // of the one run, as it was written
	Version  string
	Data     template.JS // for the script; "" = none
}

// section is a part of the page about one thing.
type section struct {
	Title string
	Text  []string
	Plots []picture
	Table *table
	Live  string // where the script writes what the filter leaves of it
}

// picture is a plot with the data behind it.
type picture struct {
	Title string
	ID    string // for the script, "" where it redraws nothing
	SVG   template.HTML
	Keys  []chart.Key
	Note  string
	Data  *table
}

// table is rows of text under heads; Left columns are text, the others figures.
type table struct {
	Heads []string
	Rows  [][]string
	Left  int
	More  int // rows that are left out
}

// facts are names and values under a title.
type facts struct {
	Title string
	Rows  [][]string
}

// mostTableRows is how many rows the table behind a picture has.
const mostTableRows = 300

// draw makes a picture of a chart.
func draw(title string, c *chart.Chart) (picture, *chart.Picture, error) {
	p, err := c.Draw()
	if err != nil {
		return picture{}, nil, fmt.Errorf("plot %q: %w", title, err)
	}
	v := picture{Title: title, SVG: template.HTML(p.SVG), Keys: c.Keys(), Data: &table{Left: 1}}
	if v.Data.Heads, v.Data.Rows = c.Table(); len(v.Data.Rows) > mostTableRows {
		v.Data.More = len(v.Data.Rows) - mostTableRows
		v.Data.Rows = v.Data.Rows[:mostTableRows]
	}
	return v, p, nil
}

func (p *page) write(w io.Writer) error {
	p.Version = bench.Version
	return pages.Execute(w, p)
}
