package cli

import (
	"fmt"
	"strconv"
	"strings"

	"ringmap/bench/stat"
	"ringmap/bench/store"
	"ringmap/bench/sweep"
)

// printReport prints what a sweep came to: the sentences first, then a table for each
// axis that matters.
func printReport(t *terminal, st *store.Store, name string, stats []string, asJSON bool) error {
	about, err := chooseSweep(st, name, true)
	if err != nil {
		return err
	}
	r, err := sweep.MakeReport(st, about, stats)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(t, r)
	}
	copyLines(t.out, sweepSummary(r, t.style, t.rows))
	return nil
}

func sweepSummary(r *sweep.Report, st style, columns int) (lines []string) {
	if r.Finished < r.Points {
		lines = append(lines, fmt.Sprintf("%d of %d points are finished.", r.Finished, r.Points))
	}
	for _, s := range r.Stats {
		lines = append(lines, wrap(s.Sentence, columns)...)
	}
	for _, s := range r.Stats {
		if s.Least.Value == s.Most.Value {
			continue
		}
		lines = append(lines, "", st.bold(s.Name), "  least "+sweep.Figure(s.Least.Value)+" at "+s.Least.At, "  most  "+sweep.Figure(s.Most.Value)+" at "+s.Most.At)
		out := &table{heads: []string{"axis", "value<", "points", "mean", "median", "least", "most", "explains"}}
		ranges := hasRanges(s)
		if ranges {
			out.heads = []string{"axis", "value<", "points", "mean", "95 % of seeds", "median", "95 % of seeds", "least", "most", "explains"}
		}
		var less []string
		for i, e := range s.Effects.Main {
			if e.Share < sweep.Worthwhile && i > 0 {
				less = append(less, e.Factors[0])
				continue
			}
			for _, a := range s.Axes {
				if a.Key == e.Factors[0] {
					axisRows(out, a, e.Share, ranges)
				}
			}
		}
		lines = append(lines, out.lines()...)
		if len(less) > 0 {
			lines = append(lines, fmt.Sprintf("  under %.0f %%: %s", 100*sweep.Worthwhile, strings.Join(less, ", ")))
		}
		if !s.Effects.Balanced {
			lines = append(lines, "  (some values go together more often than others: what the axes explain overlaps)")
		}
	}
	return lines
}

// mostRows is how many values of an axis the text shows; all are in the JSON.
const mostRows = 12

func axisRows(out *table, a sweep.AxisReport, share float64, ranges bool) {
	for i, v := range a.Values {
		key, part := "", ""
		if i == 0 {
			key, part = a.Key, fmt.Sprintf("%.1f %%", 100*share)
		}
		if i == mostRows-1 && len(a.Values) > mostRows {
			out.row("", fmt.Sprintf("and %d more", len(a.Values)-i))
			return
		}
		cells := []string{key, v.Value, strconv.Itoa(v.N), sweep.Figure(v.Mean)}
		if ranges {
			cells = append(cells, rangeText(v.MeanRange))
		}
		cells = append(cells, sweep.Figure(v.Median))
		if ranges {
			cells = append(cells, rangeText(v.MedianRange))
		}
		out.row(append(cells, sweep.Figure(v.Min), sweep.Figure(v.Max), part)...)
	}
}

// hasRanges tells whether the seeds leave any figure of a statistic uncertain.
func hasRanges(s sweep.StatReport) bool {
	for _, a := range s.Axes {
		for _, v := range a.Values {
			if v.MeanRange != nil || v.MedianRange != nil {
				return true
			}
		}
	}
	return false
}

func rangeText(i *stat.Interval) string {
	if i == nil {
		return ""
	}
	return sweep.Figure(i.Lo) + "–" + sweep.Figure(i.Hi)
}

// statList checks statistics that a user names against those of a store: plain
// names, or patterns such as ring.*.
func statList(st *store.Store, patterns []string) (names []string, err error) {
	all := st.StatNames()
	for _, p := range patterns {
		found := false
		for _, n := range all {
			if n == p || strings.Contains(p, "*") && matches(p, n) {
				found = true
				names = append(names, n)
			}
		}
		if !found {
			return nil, unknown("statistic", p, all)
		}
	}
	return names, nil
}

// matches tells whether a name fits a pattern in which * stands for anything.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for i, part := range parts[1:] {
		at := strings.Index(name, part)
		if i == len(parts)-2 { // the last part ends the name
			return strings.HasSuffix(name, part)
		}
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return name == ""
}
