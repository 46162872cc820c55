package experiments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
	"ringmap/bench/store"
	"ringmap/bench/sweep"
)

// Answer is what an experiment came to.
type Answer struct {
	Claim      string        `json:"claim"`
	Title      string        `json:"title"`
	Said       string        `json:"said"`
	Question   string        `json:"question"`
	Verdict    string        `json:"verdict"` // confirmed, refuted, depends or open
	Answer     string        `json:"answer"`
	Caveat     string        `json:"caveat,omitempty"`
	Figures    []FigureValue `json:"figures"`
	Points     int           `json:"points"`
	Excluded   int           `json:"excluded"` // combinations left out by a condition of the sweep
	Experiment *Experiment   `json:"-"`
	data       *data
}

// FigureValue is a figure with its value: a number, or a word.
type FigureValue struct {
	Name  string   `json:"name"`
	Text  string   `json:"text"`
	Unit  string   `json:"unit,omitempty"`
	Value *float64 `json:"value"` // null where there is none
	Word  string   `json:"word,omitempty"`
}

// String is the value with its unit, as an answer quotes it.
func (f FigureValue) String() string {
	switch {
	case f.Word != "":
		return f.Word
	case f.Value == nil:
		return "nowhere"
	}
	text := digits(*f.Value)
	switch f.Unit {
	case "":
	case "%":
		text += " %"
	case "B":
		text = humanize.IBytes(uint64(math.Round(math.Max(0, *f.Value))))
	default:
		text += " " + f.Unit
	}
	return text
}

// digits writes a number with three digits that matter, or whole with commas.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000, a == math.Trunc(a):
		return humanize.Comma(int64(math.Round(v)))
	case a < 0.001 && a > 0:
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Options of a run of experiments.
type Options struct {
	Workers  int
	Progress func(done, all int) // points of the present sweep; nil = never
}

// Run runs what the store does not have of the experiment's points, and answers.
func (e *Experiment) Run(ctx context.Context, st *store.Store, o Options) (*Answer, error) {
	var points [][]*Point
	for _, s := range e.Parts {
		if s.Name == e.Claim+"."+e.Setups {
			list, err := setupPoints(s)
			if err != nil {
				return nil, err
			}
			points = append(points, list)
			continue
		}
		if _, err := s.Run(ctx, st, sweep.Options{Workers: o.Workers, Progress: o.Progress}); err != nil {
			return nil, err
		}
		list, err := e.read(st, s)
		if err != nil {
			return nil, err
		}
		points = append(points, list)
	}
	return e.Judge(points)
}

// read takes the points of a sweep from the store.
func (e *Experiment) read(st *store.Store, s *sweep.Sweep) (points []*Point, err error) {
	about := s.About()
	err = st.EachRun(s.Name, func(p store.Point, record []byte) error {
		point, err := pointOf(strings.TrimPrefix(s.Name, e.Claim+"."), &about, p, record)
		points = append(points, point)
		return err
	})
	return points, err
}

// Judge answers from points alone: the runs need not be repeated. points holds
// those of each sweep, in the order of the file.
func (e *Experiment) Judge(points [][]*Point) (*Answer, error) {
	a := &Answer{Claim: e.Claim, Title: e.Title, Said: e.Said, Question: e.Question, Caveat: e.Caveat, Figures: []FigureValue{}, Experiment: e}
	for i, s := range e.Parts {
		a.Excluded += s.Counts.Excluded
		a.Points += len(points[i])
	}
	if e.Open != "" {
		a.Verdict, a.Answer = "open", e.Open
		return a, nil
	}
	known, err := knownStats(points)
	if err != nil {
		return nil, err
	}
	if a.data, err = newData(e, points, known); err != nil {
		return nil, err
	}
	env, err := a.data.figures()
	if err != nil {
		return nil, err
	}
	for _, f := range e.Figures {
		v := FigureValue{Name: f.Name, Text: f.Text, Unit: f.Unit}
		switch x := env[f.Name].(type) {
		case string:
			v.Word = x
		case bool:
			v.Word = map[bool]string{true: "yes", false: "no"}[x]
		case float64:
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				v.Value = &x
			}
		}
		a.Figures = append(a.Figures, v)
	}
	return a, a.decide(env)
}

// decide finds the first rule that holds.
func (a *Answer) decide(env map[string]any) error {
	for _, r := range a.Experiment.Verdict {
		holds := true
		if r.When != "" {
			v, err := a.data.run(r.When, env)
			if err != nil {
				return fmt.Errorf("%s: verdict: %w", a.Experiment.File, err)
			}
			var ok bool
			if holds, ok = v.(bool); !ok {
				return fmt.Errorf("%s: verdict: %q is neither true nor false but %v", a.Experiment.File, r.When, v)
			}
		}
		if holds {
			a.Verdict = r.Is
			var err error
			a.Answer, err = a.fill(strings.Join(strings.Fields(r.Answer), " "))
			return err
		}
	}
	return errors.New("no rule holds") // check saw to it that the last always does
}

var braces = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)

// fill puts figures into the text of an answer.
func (a *Answer) fill(text string) (string, error) {
	var err error
	out := braces.ReplaceAllStringFunc(text, func(word string) string {
		for _, f := range a.Figures {
			if "{"+f.Name+"}" == word {
				return f.String()
			}
		}
		err = fmt.Errorf("%s: the answer quotes %s, which is no figure", a.Experiment.File, word)
		return word
	})
	return out, err
}

// knownStats are the names that statistics can have: those of every run, and those
// that these points have besides.
func knownStats(points [][]*Point) ([]string, error) {
	stats, err := bench.Statistics()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range stats {
		names = append(names, bench.StatFields(s)...)
	}
	for _, list := range points {
		for _, p := range list {
			for name := range p.Figures { // only looked up, never listed
				names = append(names, name)
			}
		}
	}
	return names, nil
}
