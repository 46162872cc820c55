package experiments

import (
	"bytes"
	_ "embed" // the pages' templates
	"fmt"
	"html/template"
	"strings"

	"ringmap/bench"
	"ringmap/bench/chart"
)

//go:embed page.html
var pageText string

var pages = template.Must(template.New("pages").Funcs(template.FuncMap{
	"lower": strings.ToLower,
	"css":   func(s string) template.CSS { return template.CSS(s) },
	"style": func() template.CSS { return chart.Style },
}).Parse(pageText))

// plotView is a plot on a page.
type plotView struct {
	Title string
	SVG   template.HTML
	Keys  []chart.Key
	Heads []string
	Rows  [][]string
}

// File is one file of the results.
type File struct {
	Name string
	Data []byte
}

// Results makes the files of the results: index.html, for each answer a page and
// its points. points are those of each answer, in the order of its sweeps.
func Results(answers []*Answer) (files []File, err error) {
	for _, a := range answers {
		page, err := a.page()
		if err != nil {
			return nil, err
		}
		slug := a.Experiment.Slug()
		files = append(files, File{slug + ".html", page})
		if a.data == nil {
			continue
		}
		var all []*Point
		for _, list := range a.data.points {
			all = append(all, list...)
		}
		text, err := WritePoints(all)
		if err != nil {
			return nil, err
		}
		files = append(files, File{slug + ".jsonl", text})
	}
	var b bytes.Buffer
	count := map[string]int{}
	for _, a := range answers {
		count[a.Verdict]++
	}
	err = pages.ExecuteTemplate(&b, "index", map[string]any{"Answers": answers, "Count": count, "Version": bench.Version})
	return append(files, File{"index.html", b.Bytes()}), err
}

// page is the answer's own page.
func (a *Answer) page() ([]byte, error) {
	var plots []plotView
	for i := range a.Experiment.Plots {
		p := &a.Experiment.Plots[i]
		if a.data == nil {
			break
		}
		c, err := a.chart(p)
		if err != nil {
			return nil, err
		}
		svg, err := c.SVG()
		if err != nil {
			return nil, fmt.Errorf("%s: plot %q: %w", a.Experiment.File, p.Title, err)
		}
		v := plotView{Title: p.Title, SVG: template.HTML(svg), Keys: c.Keys()}
		v.Heads, v.Rows = c.Table()
		plots = append(plots, v)
	}
	var matrix plotView
	if i, err := a.Experiment.part(a.Experiment.Setups); err == nil && a.data != nil && a.Experiment.Setups != "" {
		matrix.Heads, matrix.Rows = setupTable(a.data.points[i])
	}
	var b bytes.Buffer
	err := pages.ExecuteTemplate(&b, "page", map[string]any{"A": a, "Plots": plots, "Matrix": matrix, "Version": bench.Version})
	return b.Bytes(), err
}
