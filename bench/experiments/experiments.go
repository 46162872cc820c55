// Package experiments holds the questions that the design of dirty tracking was
// argued about, one file each, and answers them by measuring.
//
//	Cnn-name.yaml: question, figures, verdict ─┐
//	    --- sweep, --- sweep …  ─► runs ─► store ─► points (columns of statistics)
//	                                                 │
//	                            Answer ◄── verdict ◄─┴─ figures: expressions over points
//	                               └─► results/: an index, a page and the points of each
//
// A file is several YAML documents: the first says what is asked and how it is
// judged, each of the others is a sweep as `ringmap sweep` takes it, known by its
// name. The orders in which a VM can be made are one more part (setups.go). The questions are those of the threads that introduced the dirty ring (2019)
// and the ring with bitmap (2022).
package experiments

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"ringmap/bench/scenario"
	"ringmap/bench/sweep"
)

//go:embed C*.yaml
var files embed.FS

// Folder is where the files lie in the source: traces that they name start there.
const Folder = "bench/experiments"

// Experiment is one question and how it is answered.
type Experiment struct {
	Head
	Parts []*sweep.Sweep // in the order of the file
	File  string
}

// Head is the first document of a file.
type Head struct {
	Claim    string   `yaml:"claim"`    // C1 to C21
	Title    string   `yaml:"title"`    // a few words
	Said     string   `yaml:"said"`     // what was claimed, and where
	Question string   `yaml:"question"` // a sentence that ends in ?
	Open     string   `yaml:"open"`     // what is missing to answer it; then no figures and no verdict
	Cheap    bool     `yaml:"cheap"`    // a few seconds: a test regenerates its results
	Caveat   string   `yaml:"caveat"`   // what the numbers do not say
	Setups   string   `yaml:"setups"`   // name of a part with every order of making a VM: setups.go
	Columns  []Column `yaml:"columns"`
	Figures  []Figure `yaml:"figures"`
	Verdict  []Rule   `yaml:"verdict"`
	Plots    []Plot   `yaml:"plots"`
}

// Column is a value of every point, from its statistics.
type Column struct {
	Name  string `yaml:"name"`
	Text  string `yaml:"text"`
	Unit  string `yaml:"unit"`
	Value string `yaml:"value"` // an expression over statistics, axes and earlier columns
	In    string `yaml:"in"`    // only in this sweep
}

// Figure is one number, or word, of the answer.
type Figure struct {
	Name  string `yaml:"name"`
	Text  string `yaml:"text"`
	Unit  string `yaml:"unit"`
	Value string `yaml:"value"` // an expression over points and earlier figures
}

// Rule is one way to judge: the first whose condition holds is the verdict.
type Rule struct {
	Is     string `yaml:"is"`     // confirmed, refuted or depends
	When   string `yaml:"when"`   // an expression over the figures; nothing = always
	Answer string `yaml:"answer"` // with {figure} for its value
}

// Plot is one picture.
type Plot struct {
	Title string   `yaml:"title"`
	Sweep string   `yaml:"sweep"` // may be left out if there is one
	X     string   `yaml:"x"`     // an axis
	Y     string   `yaml:"y"`     // a column or statistic
	By    []string `yaml:"by"`    // axes: a series for each of their values
	Where []string `yaml:"where"` // axis=value: only these points
	Log   string   `yaml:"log"`   // x, y or xy
	Bars  bool     `yaml:"bars"`
}

// verdicts are what a rule can say.
var verdicts = []string{"confirmed", "refuted", "depends"}

// All loads every experiment, in the order of the claims.
func All() ([]*Experiment, error) {
	names, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []*Experiment
	for _, entry := range names {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		e, err := Parse(path.Join(Folder, entry.Name()), text)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Experiment) int { return a.number() - b.number() })
	return all, nil
}

func (h *Head) number() int {
	n := 0
	fmt.Sscanf(h.Claim, "C%d", &n) // checked when it was loaded
	return n
}

// Slug is the claim and name as in its file's name.
func (e *Experiment) Slug() string { return strings.TrimSuffix(path.Base(e.File), ".yaml") }

// Parse reads one file strictly. Errors name file, line and what is wrong.
func Parse(file string, text []byte) (*Experiment, error) {
	docs := split(text)
	e := &Experiment{File: file}
	if err := yaml.UnmarshalWithOptions(docs[0], &e.Head, yaml.Strict()); err != nil {
		return nil, yamlProblem(file, err)
	}
	for _, doc := range docs[1:] {
		s, err := sweep.Parse(file, doc, nil)
		if err != nil {
			return nil, err
		}
		e.Parts = append(e.Parts, s)
	}
	if e.Setups != "" {
		e.Parts = append(e.Parts, setupsNamed(e.Setups))
	}
	if err := e.check(); err != nil {
		return nil, &scenario.Problem{Pos: scenario.Pos{File: file}, Text: err.Error()}
	}
	for _, s := range e.Parts {
		s.Name = e.Claim + "." + s.Name
	}
	return e, nil
}

// split cuts a file at its --- lines. Each document keeps its line numbers.
func split(text []byte) (docs [][]byte) {
	var doc []byte
	lines := 0
	for line := range bytes.Lines(text) {
		lines++
		if bytes.Equal(bytes.TrimSpace(line), []byte("---")) {
			docs = append(docs, doc)
			doc = bytes.Repeat([]byte("\n"), lines)
			continue
		}
		doc = append(doc, line...)
	}
	return append(docs, doc)
}

func yamlProblem(file string, err error) error {
	p := &scenario.Problem{Pos: scenario.Pos{File: file}, Text: err.Error()}
	var at yaml.Error
	if errors.As(err, &at) {
		p.Text = at.GetMessage()
		if t := at.GetToken(); t != nil {
			p.Pos.Line, p.Pos.Col = t.Position.Line, t.Position.Column
		}
	}
	return p
}

var (
	claimName = regexp.MustCompile(`^C[1-9]\d?$`)
	wordName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// check reports what is missing or cannot be.
func (e *Experiment) check() error {
	switch {
	case !claimName.MatchString(e.Claim):
		return fmt.Errorf("claim: %q is none of C1 to C99", e.Claim)
	case e.Title == "" || e.Said == "" || !strings.HasSuffix(strings.TrimSpace(e.Question), "?"):
		return errors.New("an experiment needs title, said and a question that ends in ?")
	case e.Open != "" && len(e.Verdict)+len(e.Figures) > 0:
		return errors.New("open: what is open has no figures and no verdict")
	case e.Open == "" && (len(e.Verdict) == 0 || len(e.Parts) == 0):
		return errors.New("verdict: a question that is not open needs a sweep and a verdict")
	}
	names := map[string]bool{}
	for _, s := range e.Parts {
		if names[s.Name] {
			return fmt.Errorf("two sweeps have the name %q", s.Name)
		}
		names[s.Name] = true
	}
	seen := map[string]bool{}
	for _, f := range e.Figures {
		if !wordName.MatchString(f.Name) || seen[f.Name] || f.Value == "" || f.Text == "" {
			return fmt.Errorf("figures: %q needs a name of its own (small letters, digits, _), a text and a value", f.Name)
		}
		seen[f.Name] = true
	}
	seen = map[string]bool{}
	for _, c := range e.Columns {
		if !wordName.MatchString(c.Name) || seen[c.Name] || c.Value == "" || c.Text == "" {
			return fmt.Errorf("columns: %q needs a name of its own (small letters, digits, _), a text and a value", c.Name)
		}
		if c.In != "" && !names[c.In] {
			return fmt.Errorf("columns: %s: there is no sweep %q", c.Name, c.In)
		}
		seen[c.Name] = true
	}
	return e.checkRules(names)
}

func (e *Experiment) checkRules(names map[string]bool) error {
	for i, r := range e.Verdict {
		if !slices.Contains(verdicts, r.Is) || strings.TrimSpace(r.Answer) == "" {
			return fmt.Errorf("verdict: %q is none of %s, or has no answer", r.Is, strings.Join(verdicts, ", "))
		}
		if last := i == len(e.Verdict)-1; last != (r.When == "") {
			return errors.New("verdict: the last rule, and only that, has no when")
		}
	}
	for _, p := range e.Plots {
		if p.Sweep == "" && len(e.Parts) == 1 {
			continue
		}
		if !names[p.Sweep] {
			return fmt.Errorf("plots: %q: there is no sweep %q", p.Title, p.Sweep)
		}
	}
	return nil
}

// part is the sweep of that name; an empty name means the only one.
func (e *Experiment) part(name string) (int, error) {
	if name == "" && len(e.Parts) == 1 {
		return 0, nil
	}
	for i, s := range e.Parts {
		if s.Name == e.Claim+"."+name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("there is no sweep %q", name)
}
