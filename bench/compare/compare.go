package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/perf/benchmath"

	"ringmap/bench"
	"ringmap/sim"
)

// Verdict is what a difference means.
type Verdict string

// The verdicts.
const (
	Worse   Verdict = "worse"   // beyond what is allowed: a regression
	Better  Verdict = "better"  // beyond the same measure in the other direction
	Allowed Verdict = "allowed" // judged, and within what is allowed
	Changed Verdict = "changed" // not judged
)

// Difference is a figure that is not the same in OLD and NEW.
type Difference struct {
	Run     string  `json:"run"`
	Figure  string  `json:"figure"`
	Old     float64 `json:"old"`
	New     float64 `json:"new"`
	Verdict Verdict `json:"verdict"`
	Allow   float64 `json:"allow,omitempty"`   // share, of a figure that is judged
	Missing string  `json:"missing,omitempty"` // old or new: only the other one has it
}

// Ratio is NEW over OLD; infinite if OLD is 0.
func (d Difference) Ratio() float64 { return d.New / d.Old }

// Wall compares wall times of all paired runs that have them.
type Wall struct {
	Ratio   float64 `json:"ratio"`       // of the sums of medians, NEW over OLD
	P       float64 `json:"p"`           // smallest p of a run whose difference is significant, or 1
	Slower  int     `json:"slower_runs"` // significantly, and beyond what is allowed
	Faster  int     `json:"faster_runs"`
	Samples int     `json:"samples"` // the fewest of a run: from 4 on significance can show
	Judged  bool    `json:"judged"`
}

// Report is the outcome of a comparison.
type Report struct {
	Runs        int          `json:"runs"`    // paired
	Figures     int          `json:"figures"` // compared
	OnlyOld     []string     `json:"only_old"`
	OnlyNew     []string     `json:"only_new"`
	Differences []Difference `json:"differences"`
	Explained   []Path       `json:"paths"`        // cost paths that became dearer or cheaper
	Moved       []Moved      `json:"cycles_moved"` // over all paired runs
	Wall        *Wall        `json:"wall,omitempty"`
	Regression  bool         `json:"regression"`
}

// Compare pairs the runs of two files and judges their figures. It fails if no
// run is in both.
func Compare(before, after []Run, t *Thresholds, judgeWall bool) (*Report, error) {
	r := &Report{OnlyOld: []string{}, OnlyNew: []string{}, Differences: []Difference{}, Explained: []Path{}, Moved: []Moved{}}
	byKey := map[string]*Run{}
	for i := range after {
		byKey[after[i].Key] = &after[i]
	}
	var pairs [][2]*Run
	for i := range before {
		o := &before[i]
		n := byKey[o.Key]
		if n == nil {
			r.OnlyOld = append(r.OnlyOld, o.Key)
			continue
		}
		delete(byKey, o.Key)
		pairs = append(pairs, [2]*Run{o, n})
	}
	r.OnlyNew = append(r.OnlyNew, slices.Sorted(maps.Keys(byKey))...)
	if len(pairs) == 0 {
		return nil, fmt.Errorf("no run is in both: OLD has %s, NEW has %s", someOf(r.OnlyOld), someOf(r.OnlyNew))
	}
	r.Runs = len(pairs)
	for _, p := range pairs {
		r.figures(p[0], p[1], t)
	}
	r.explain(pairs, t)
	r.wall(pairs, t, judgeWall)
	for _, d := range r.Differences {
		r.Regression = r.Regression || d.Verdict == Worse
	}
	r.Regression = r.Regression || judgeWall && r.Wall != nil && r.Wall.Slower > 0
	return r, nil
}

func someOf(keys []string) string {
	if len(keys) > 3 {
		return strings.Join(keys[:3], ", ") + fmt.Sprintf(" and %d more", len(keys)-3)
	}
	return strings.Join(keys, ", ")
}

// figures compares one pair of runs. Cycles of a thread and cause, and of a path,
// are left out where they are zero: there a missing figure is a zero.
func (r *Report) figures(before, after *Run, t *Thresholds) {
	names := slices.Collect(maps.Keys(before.Figures))
	for name := range after.Figures {
		if _, ok := before.Figures[name]; !ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case sim.NaturalLess(a, b):
			return -1
		case sim.NaturalLess(b, a):
			return 1
		}
		return 0
	})
	for _, name := range names {
		r.Figures++
		o, inOld := before.Figures[name]
		n, inNew := after.Figures[name]
		if o == n && inOld == inNew {
			continue
		}
		d := Difference{Run: before.Key, Figure: name, Old: o, New: n, Verdict: Changed}
		switch sparse := strings.HasPrefix(name, "cycles.") || strings.HasPrefix(name, "path."); {
		case !inOld && !sparse:
			d.Missing = "old"
		case !inNew && !sparse:
			d.Missing = "new"
		case inOld && inNew || strings.HasPrefix(name, "cycles."):
			if th := t.of(name); th != nil {
				d.Allow, d.Verdict = th.Allow, judge(o, n, th)
			}
		}
		r.Differences = append(r.Differences, d)
	}
}

func judge(o, n float64, t *Threshold) Verdict {
	worse := (n - o) * float64(-t.Better) // how much worse, in the figure's unit
	switch limit := t.Allow * math.Abs(o); {
	case worse > limit:
		return Worse
	case -worse > limit:
		return Better
	}
	return Allowed
}

// wall compares what the simulator itself took.
func (r *Report) wall(pairs [][2]*Run, t *Thresholds, judged bool) {
	w := Wall{P: 1, Judged: judged, Samples: math.MaxInt}
	sumOld, sumNew := 0.0, 0.0
	for _, p := range pairs {
		if len(p[0].Wall) == 0 || len(p[1].Wall) == 0 {
			continue
		}
		o, n := sample(p[0].Wall), sample(p[1].Wall)
		a, b := benchmath.AssumeNothing.Summary(o, 0.95).Center, benchmath.AssumeNothing.Summary(n, 0.95).Center
		sumOld, sumNew = sumOld+a, sumNew+b
		w.Samples = min(w.Samples, len(p[0].Wall), len(p[1].Wall))
		if c := benchmath.AssumeNothing.Compare(o, n); c.P < c.Alpha {
			w.P = min(w.P, c.P)
			switch {
			case b > a*(1+t.Wall):
				w.Slower++
			case a > b*(1+t.Wall):
				w.Faster++
			}
		}
	}
	if sumOld > 0 {
		w.Ratio = sumNew / sumOld
		r.Wall = &w
	}
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Sorted(slices.Values(values)), &benchmath.DefaultThresholds)
}

// Path is a cost path whose events cost more or less than before.
type Path struct {
	Cause   string  `json:"cause"`
	Text    string  `json:"text"`
	Event   string  `json:"event"`
	Runs    int     `json:"runs"`    // in which it changed beyond what is allowed
	Of      int     `json:"of_runs"` // in which it is used at all
	Run     string  `json:"run"`     // the one with the largest change in cycles
	Old     float64 `json:"old"`     // cycles an event, there
	New     float64 `json:"new"`
	Min     float64 `json:"min_ratio"`
	Max     float64 `json:"max_ratio"`
	Cycles  int64   `json:"cycles"` // more than before, over all runs and threads
	Verdict Verdict `json:"verdict"`
}

// Moved is how many cycles a group of threads spends on a cause.
type Moved struct {
	Threads string `json:"threads"`
	Cause   string `json:"cause"`
	Old     int64  `json:"old"`
	New     int64  `json:"new"`
}

// Change is NEW minus OLD.
func (m Moved) Change() int64 { return m.New - m.Old }

// explain says where the cycles moved: by path, then by thread and cause.
func (r *Report) explain(pairs [][2]*Run, t *Thresholds) {
	moved := map[[2]string]*Moved{}
	var order [][2]string
	for _, p := range pairs {
		for side, run := range p {
			for _, name := range slices.Sorted(maps.Keys(run.Figures)) {
				group, cause, ok := stackName(name)
				if !ok {
					continue
				}
				key := [2]string{group, cause}
				m := moved[key]
				if m == nil {
					m = &Moved{Threads: group, Cause: cause}
					moved[key], order = m, append(order, key)
				}
				if side == 0 {
					m.Old += int64(run.Figures[name])
				} else {
					m.New += int64(run.Figures[name])
				}
			}
		}
	}
	for _, key := range order {
		if m := moved[key]; m.Change() != 0 {
			r.Moved = append(r.Moved, *m)
		}
	}
	slices.SortStableFunc(r.Moved, func(a, b Moved) int {
		switch x, y := abs(a.Change()), abs(b.Change()); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return strings.Compare(a.Threads+a.Cause, b.Threads+b.Cause)
	})
	for _, p := range bench.CostPaths {
		r.explainPath(p, pairs, t)
	}
	slices.SortStableFunc(r.Explained, func(a, b Path) int {
		if a.Verdict != b.Verdict && (a.Verdict == Worse || b.Verdict == Worse) {
			if a.Verdict == Worse {
				return -1
			}
			return 1
		}
		switch x, y := abs(a.Cycles), abs(b.Cycles); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
}

func (r *Report) explainPath(c bench.CostPath, pairs [][2]*Run, t *Thresholds) {
	name := "path." + c.Cause
	th := t.of(name)
	if th == nil {
		return
	}
	e := Path{Cause: c.Cause, Text: c.Text, Event: c.Event, Min: math.Inf(1), Verdict: Better}
	largest := int64(-1)
	for _, p := range pairs {
		o, inOld := p[0].Figures[name]
		n, inNew := p[1].Figures[name]
		change := causeCycles(p[1], c.Cause) - causeCycles(p[0], c.Cause)
		e.Cycles += change
		if !inOld || !inNew {
			continue
		}
		e.Of++
		v := judge(o, n, th)
		if v == Allowed {
			continue
		}
		e.Runs++
		e.Min, e.Max = min(e.Min, n/o), max(e.Max, n/o)
		if v == Worse {
			e.Verdict = Worse
		}
		if abs(change) > largest {
			largest, e.Run, e.Old, e.New = abs(change), p[0].Key, o, n
		}
	}
	if e.Runs > 0 {
		r.Explained = append(r.Explained, e)
	}
}

// causeCycles are those of all threads of a run.
func causeCycles(run *Run, cause string) (sum int64) {
	for name, v := range run.Figures {
		if _, c, ok := stackName(name); ok && c == cause {
			sum += int64(v)
		}
	}
	return sum
}

// stackName takes cycles.GROUP.CAUSE apart.
func stackName(name string) (group, cause string, ok bool) {
	rest, ok := strings.CutPrefix(name, "cycles.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// Sentence says in words what became of the path.
func (p Path) Sentence() string {
	share := func(ratio float64) string { return fmt.Sprintf("%.1f %%", 100*math.Abs(ratio-1)) }
	dearer := "more"
	if p.New < p.Old {
		dearer = "less"
	}
	by := share(p.New / p.Old)
	if lo, hi := share(p.Min), share(p.Max); p.Runs > 1 && lo != hi && (p.Min > 1) == (p.Max > 1) {
		if p.Min < 1 {
			lo, hi = hi, lo
		}
		by = strings.TrimSuffix(lo, " %") + "–" + hi
	}
	run := strings.TrimPrefix(p.Run, "scenario=")
	where := "in " + run
	if p.Runs > 1 {
		where = fmt.Sprintf("in %d of %d runs", p.Runs, p.Of)
	}
	sign := "+"
	if p.Cycles < 0 {
		sign = "−"
	}
	return fmt.Sprintf("%s costs %s %s %s: %s %s%s cycles (%s: %s → %s cycles a %s)",
		p.Text, by, dearer, where, p.Cause, sign, humanize.Comma(abs(p.Cycles)), run, decimals(p.Old), decimals(p.New), p.Event)
}

func decimals(v float64) string {
	if v >= 1000 {
		return humanize.Comma(int64(v + 0.5))
	}
	return fmt.Sprintf("%.4g", v)
}
