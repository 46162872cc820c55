package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
	"ringmap/bench/chart"
	"ringmap/bench/sweep"
)

// mostThreads is how many bars the cycle stacks have; of more vCPUs several share one.
const mostThreads = 32

// mostCauses is how many causes have a colour of their own; the rest are one.
const mostCauses = 8

// Run writes the report of one run from its record. path names it in errors.
func Run(w io.Writer, path string, text []byte) error {
	r, err := readRecord(path, text)
	if err != nil {
		return err
	}
	p := &page{Title: r.Name, Kind: "Run", Record: string(text)}
	p.Lead = r.lead()
	for _, add := range []func(*record) error{p.stacks, p.overTime} {
		if err := add(r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	p.Facts = []facts{{"Statistics", r.stats.rows}, {"Configuration", r.scenario.rows}, {"Derived values", r.derived.rows}}
	if len(r.Audit.Lost) > 0 {
		var rows [][]string
		for _, l := range r.Audit.Lost {
			rows = append(rows, []string{fmt.Sprintf("guest page %#x", l.GFN), fmt.Sprintf("%s, written by %s", bench.CauseText(l.Cause), l.Writer)})
		}
		p.Facts = slices.Insert(p.Facts, 0, facts{"Pages that were lost", rows})
	}
	for name, list := range map[string][]string{"warning": r.Warnings, "kernel": r.Kernel, "finding": r.Findings} {
		for _, text := range list {
			p.Notes = append(p.Notes, name+": "+text)
		}
	}
	slices.Sort(p.Notes)
	p.Notes = append(p.Notes, r.Figures.Note)
	return p.write(w)
}

// lead says first what matters: what it cost, and whether anything was lost.
func (r *record) lead() (lines []string) {
	cost := fmt.Sprintf("The guest ran for %s", r.time(r.stats.number("time.cycles")+r.stats.number("dest.time.cycles")))
	if s := r.stats.number("guest.slowdown"); s > 0 {
		cost += fmt.Sprintf(", %.4g times as long as without tracking", s)
	}
	var guest, busy, total float64
	for _, t := range r.Threads {
		if !isVCPU(t.Name) {
			continue
		}
		for _, c := range t.Causes {
			total += float64(c.Cycles)
			if c.Cause == "idle" || strings.HasPrefix(c.Cause, "wait_") {
				continue
			}
			busy += float64(c.Cycles)
			if c.Cause == "guest" {
				guest += float64(c.Cycles)
			}
		}
	}
	if busy > 0 {
		cost += fmt.Sprintf("; of the cycles in which its vCPUs executed, %.1f %% were the guest's own", 100*guest/busy)
	}
	lines = append(lines, cost+".")
	changed := humanize.Comma(int64(r.stats.number("audit.changed_pages")))
	lost := "Nothing was tracked or moved to the end, so nothing is said of losses."
	switch {
	case r.Audit.LostPages > 0:
		lost = fmt.Sprintf("LOST: %s of %s changed pages never reached the destination.", humanize.Comma(int64(r.Audit.LostPages)), changed)
	case len(r.Audit.Collections) > 0:
		lost = fmt.Sprintf("Nothing was lost: %s changed pages, and the destination holds the last bytes of every one.", changed)
	}
	lines = append(lines, lost)
	return append(lines, fmt.Sprintf("Kernel %s, mode %s, %s vCPUs, seed %d; it ended because: %s.", r.scenario.text("kernel"), r.scenario.text("tracking.mode"), r.derived.text("vcpus"), r.Seed, r.Finished))
}

func isVCPU(name string) bool { return strings.HasPrefix(name, "vcpu.") }

// time writes cycles as seconds if the clock is known.
func (r *record) time(cycles float64) string {
	hz := r.derived.number("clock_hz")
	if hz <= 0 {
		return humanize.Comma(int64(cycles)) + " cycles"
	}
	unit, scale := timeUnit(cycles / hz)
	return fmt.Sprintf("%.4g %s", cycles/hz*scale, unit)
}

// timeUnit is what a time in seconds is best shown in, and how many are in a second.
func timeUnit(seconds float64) (unit string, scale float64) {
	switch {
	case seconds >= 10:
		return "s", 1
	case seconds >= 0.001:
		return "ms", 1e3
	}
	return "µs", 1e6
}

// stacks adds where the cycles of each thread went.
func (p *page) stacks(r *record) error {
	if len(r.Threads) == 0 {
		return nil
	}
	vcpus := 0
	for _, t := range r.Threads {
		if isVCPU(t.Name) {
			vcpus++
		}
	}
	per := max((vcpus+mostThreads-1)/mostThreads, 1)
	var bars []bench.ThreadTime
	n := 0
	for _, t := range r.Threads {
		if isVCPU(t.Name) {
			if n++; (n-1)%per != 0 {
				last := &bars[len(bars)-1]
				last.Causes = append(last.Causes, t.Causes...)
				continue
			}
			if t.Causes = slices.Clone(t.Causes); per > 1 {
				t.Name = fmt.Sprintf("%s to %d", t.Name, min(n-1+per, vcpus)-1)
			}
		}
		bars = append(bars, t)
	}
	slices.Reverse(bars) // the first on top
	c := &chart.Chart{X: "share of the thread's cycles (%)", Y: "thread", Stack: true}
	sums, byBar := map[string]float64{}, make([]map[string]float64, len(bars))
	totals := make([]float64, len(bars))
	for i, t := range bars {
		c.Categories = append(c.Categories, t.Name)
		byBar[i] = map[string]float64{}
		for _, cause := range t.Causes {
			totals[i] += float64(cause.Cycles)
			byBar[i][cause.Cause] += float64(cause.Cycles)
		}
		for _, cause := range t.Causes {
			if totals[i] > 0 {
				sums[cause.Cause] += float64(cause.Cycles) / totals[i]
			}
		}
	}
	causes := byWeight(sums)
	for k, cause := range causes {
		if k > mostCauses {
			break
		}
		s := chart.Series{Name: causeName(cause)}
		if k == mostCauses {
			s.Name = "all else"
		}
		for i := range bars {
			v := byBar[i][cause]
			if k == mostCauses {
				for _, other := range causes[k+1:] {
					v += byBar[i][other]
				}
			}
			s.X, s.Y = append(s.X, float64(i)), append(s.Y, 100*v/math.Max(totals[i], 1))
		}
		c.Series = append(c.Series, s)
	}
	if len(c.Series) == 0 {
		return nil
	}
	pic, _, err := draw("Cycles of each thread", c)
	if err != nil {
		return err
	}
	pic.Note = "A bar is all cycles of a thread: what it executed, and what it waited for."
	if per > 1 {
		pic.Note += fmt.Sprintf(" %d vCPUs share a bar.", per)
	}
	p.Sections = append(p.Sections, section{Title: "Where the cycles went", Plots: []picture{pic}})
	return nil
}

// byWeight sorts names, the heaviest first.
func byWeight(sums map[string]float64) (names []string) {
	for name := range sums {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case sums[a] > sums[b]:
			return -1
		case sums[a] < sums[b]:
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

func causeName(c string) string { return strings.ReplaceAll(c, "_", " ") }

// overTime adds what the series shows.
func (p *page) overTime(r *record) error {
	if r.Series == nil {
		p.Notes = append(p.Notes, "This record has no series; run it with --series 1ms to see here how it went over time.")
		return nil
	}
	s, err := newTimes(r)
	if err != nil {
		return err
	}
	out := section{Title: "How it went over time", Text: []string{fmt.Sprintf("%d samples of %s each.", r.Series.Samples, r.time(float64(r.Series.Period)))}}
	for _, make := range []func() (string, *chart.Chart, string){
		s.density, s.occupancy,
		func() (string, *chart.Chart, string) {
			return s.stack("vcpus.", "Cycles of the vCPU threads", "share of all vCPUs' cycles (%)")
		},
		func() (string, *chart.Chart, string) {
			return s.stack("vmm.", "Cycles of the VMM's main thread", "share of its cycles (%)")
		},
		s.exits, s.interExit,
	} {
		title, c, note := make()
		if c == nil {
			out.Text = append(out.Text, title+": "+note)
			continue
		}
		pic, _, err := draw(title, c)
		if err != nil {
			return err
		}
		pic.Note = note
		out.Plots = append(out.Plots, pic)
	}
	p.Sections = append(p.Sections, out)
	return nil
}

// times is the series in numbers.
type times struct {
	r     *record
	x     []float64 // where each sample begins, in unit
	long  []float64 // how long it is, in seconds, or cycles without a clock
	unit  string
	scale float64 // unit of a cycle
}

func newTimes(r *record) (*times, error) {
	t := &times{r: r, unit: "cycles", scale: 1}
	second := 1.0
	if hz := r.derived.number("clock_hz"); hz > 0 {
		second = 1 / hz
		unit, scale := timeUnit(float64(r.Series.End) / hz)
		t.unit, t.scale = unit, scale/hz
	}
	for i := range r.Series.Samples {
		from := float64(r.Series.Period) * float64(i)
		to := from + float64(r.Series.Period)
		if i == r.Series.Samples-1 {
			to = float64(r.Series.End)
		}
		t.x = append(t.x, from*t.scale)
		t.long = append(t.long, math.Max(to-from, 1)*second)
	}
	return t, nil
}

func (t *times) axis() string { return "time (" + t.unit + ")" }

// columns are the series of a kind whose key begins so.
func (t *times) columns(kind, prefix string) (keys []string, values [][]float64) {
	for i, c := range t.r.Series.Columns {
		if c.Kind == kind && strings.HasPrefix(c.Key, prefix) {
			keys, values = append(keys, strings.TrimPrefix(c.Key, prefix)), append(values, t.r.columns[i])
		}
	}
	return keys, values
}

// density is the heat map of recorded pages over guest memory and time.
func (t *times) density() (title string, c *chart.Chart, note string) {
	title = "Recorded pages over guest memory and time"
	keys, values := t.columns("recorded", "")
	if len(keys) == 0 {
		return title, nil, "no page was recorded."
	}
	per := float64(t.r.Series.PagesPerBin)
	h := &chart.Heat{DX: float64(t.r.Series.Period) * t.scale}
	// Columns of zeros are left out of a record: their rows are empty here.
	step := lowestStep(keys, t.r.Series.PagesPerBin)
	first := parseHex(keys[0])
	for k, key := range keys {
		for at := parseHex(key); first < at && len(h.Rows) < mostRows; first += step {
			h.Rows, h.Cells = append(h.Rows, fmt.Sprintf("%#x", first)), append(h.Cells, nil)
		}
		row := make([]float64, len(values[k]))
		for i, v := range values[k] {
			row[i] = 100 * v / math.Max(per, 1)
		}
		h.Rows, h.Cells = append(h.Rows, key), append(h.Cells, row)
		first = parseHex(key) + step
	}
	c = &chart.Chart{X: t.axis(), Y: "guest frame number", Heat: h}
	return title, c, fmt.Sprintf("Colour: pages recorded in a sample, in %% of the %d pages of a bin; a page that is recorded twice in it counts twice.", t.r.Series.PagesPerBin)
}

// mostRows bounds a heat map whose guest has holes in its memory.
const mostRows = 128

func parseHex(text string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 64) // checked when it was read
	return n
}

// lowestStep is how far bins lie apart: a hole between memslots counts as one bin.
func lowestStep(keys []string, per uint64) uint64 {
	step := max(per, 1)
	if last := parseHex(keys[len(keys)-1]); (last-parseHex(keys[0]))/step >= mostRows {
		step = (last-parseHex(keys[0]))/mostRows + 1
	}
	return step
}

// mostCurves is how many vCPUs have a curve each; more are rows of a heat map.
const mostCurves = 8

// occupancy is how full the rings were.
func (t *times) occupancy() (title string, c *chart.Chart, note string) {
	title = "Ring occupancy of each vCPU"
	keys, values := t.columns("ring_occupancy", "")
	if len(keys) == 0 {
		return title, nil, "no ring held an entry."
	}
	note = "The most entries in use in each sample"
	if entries := t.r.derived.number("ring_entries"); entries > 0 {
		note += fmt.Sprintf(", of %s", humanize.Comma(int64(entries)))
		if soft := t.r.derived.number("ring_soft_limit"); soft > 0 {
			note += fmt.Sprintf("; KVM_RUN returns at %s", humanize.Comma(int64(soft)))
		}
	}
	if note += "."; t.r.Series.VCPUsPerRow > 1 {
		note += fmt.Sprintf(" %d vCPUs share a row, which shows the fullest.", t.r.Series.VCPUsPerRow)
	}
	if len(keys) <= mostCurves {
		c = &chart.Chart{X: t.axis(), Y: "entries in use"}
		for k, key := range keys {
			c.Series = append(c.Series, chart.Series{Name: "vCPU " + key, X: t.x, Y: values[k]})
		}
		return title, c, note
	}
	h := &chart.Heat{DX: float64(t.r.Series.Period) * t.scale, Cells: values}
	for _, key := range keys {
		h.Rows = append(h.Rows, "vCPU "+key)
	}
	return title, &chart.Chart{X: t.axis(), Y: "vCPU", Heat: h}, note + " Colour: entries."
}

// stack is a cycle stack over time.
func (t *times) stack(prefix, title, y string) (string, *chart.Chart, string) {
	keys, values := t.columns("cycles", prefix)
	sums, of := map[string]float64{}, map[string][]float64{}
	total := make([]float64, len(t.x))
	for k, key := range keys {
		of[key] = values[k]
		for i, v := range values[k] {
			sums[key] += v
			total[i] += v
		}
	}
	if len(keys) == 0 {
		return title, nil, "nothing was sampled."
	}
	c := &chart.Chart{X: t.axis(), Y: y, Stack: true, Steps: true}
	causes := byWeight(sums)
	for k, cause := range causes {
		if k > mostCauses {
			break
		}
		s := chart.Series{Name: causeName(cause), X: t.x}
		if k == mostCauses {
			s.Name = "all else"
		}
		for i := range t.x {
			v := of[cause][i]
			if k == mostCauses {
				for _, other := range causes[k+1:] {
					v += of[other][i]
				}
			}
			s.Y = append(s.Y, 100*v/math.Max(total[i], 1))
		}
		c.Series = append(c.Series, s)
	}
	return title, c, "What is largest over the whole run lies at the bottom. A wait counts where it ends: before that its samples are empty."
}

// exits is the rate of returns to userspace.
func (t *times) exits() (title string, c *chart.Chart, note string) {
	title = "Exits to userspace"
	keys, values := t.columns("exits", "")
	if len(keys) == 0 {
		return title, nil, "there was none."
	}
	c = &chart.Chart{X: t.axis(), Y: "exits per second of simulated time", Steps: true}
	if t.unit == "cycles" {
		c.Y = "exits per cycle"
	}
	for k, key := range keys {
		s := chart.Series{Name: causeName(key), X: t.x}
		for i, v := range values[k] {
			s.Y = append(s.Y, v/t.long[i])
		}
		c.Series = append(c.Series, s)
	}
	return title, c, "Returns of KVM_RUN of all vCPUs, by what they returned for."
}

// interExit is the distribution of the time between exits.
func (t *times) interExit() (title string, c *chart.Chart, note string) {
	title = "Time between two exits of a vCPU"
	if len(t.r.Series.InterExit) == 0 {
		return title, nil, "no vCPU had two exits of one kind."
	}
	scale, unit := 1.0, "cycles"
	if hz := t.r.derived.number("clock_hz"); hz > 0 {
		scale, unit = 1e6/hz, "µs"
	}
	c = &chart.Chart{X: "time (" + unit + ")", Y: "times", LogX: true, Steps: true}
	first, last := 64, 0
	for _, buckets := range t.r.inter {
		for i, n := range buckets {
			if n > 0 {
				first, last = min(first, i), max(last, i)
			}
		}
	}
	for k, e := range t.r.Series.InterExit {
		s := chart.Series{Name: causeName(e.Kind)}
		for i := max(first-1, 0); i <= last+1; i++ {
			n := 0.0
			if i < len(t.r.inter[k]) {
				n = t.r.inter[k][i]
			}
			s.X, s.Y = append(s.X, math.Ldexp(scale, i)), append(s.Y, n)
		}
		c.Series = append(c.Series, s)
	}
	return title, c, "A step is a bucket: times from its left edge to below twice that."
}

// figure of a fact, with as many digits as a reader wants.
func factText(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return humanize.Comma(int64(v))
	}
	return sweep.Figure(v)
}
