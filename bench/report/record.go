package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"ringmap/bench"
)

// record is a run's record as it was written.
type record struct {
	bench.Result
	scenario, derived, stats list
	columns                  [][]float64 // of the series
	inter                    [][]float64 // buckets
}

// list is an object of names and values, in its order.
type list struct {
	rows   [][]string
	values map[string]string
}

func (l *list) text(name string) string { return l.values[name] }

func (l *list) number(name string) float64 {
	f, _ := strconv.ParseFloat(l.values[name], 64) // no number counts as none
	return f
}

// UnmarshalJSON reads an object of texts, numbers and nulls.
func (l *list) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("expected an object of names and values")
	}
	l.values = map[string]string{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		show, name := "", fmt.Sprint(key)
		switch v := value.(type) {
		case json.Number:
			l.values[name], show = v.String(), v.String()
			if f, err := v.Float64(); err == nil {
				show = factText(f)
			}
		case string:
			l.values[name], show = v, v
		case bool:
			show = strconv.FormatBool(v)
		case nil:
		default:
			return fmt.Errorf("%s holds no plain value", name)
		}
		l.rows = append(l.rows, []string{name, show})
	}
	return nil
}

// Bounds of what a record may hold, for it may be anybody's.
const (
	mostSamples = 4096
	mostColumns = 4096
	mostNames   = 1 << 17
)

// readRecord reads what `ringmap run --json` wrote.
func readRecord(path string, text []byte) (*record, error) {
	bad := func(what string) error {
		return fmt.Errorf("%s: %s; a record is what `ringmap run --json` prints, and DIR/result.json of `ringmap run --out DIR`", path, what)
	}
	r := &record{}
	var lists struct {
		Scenario, Derived, Stats *list
	}
	if err := json.Unmarshal(text, &r.Result); err != nil {
		return nil, bad("this is no record of a run: " + err.Error())
	}
	if err := json.Unmarshal(text, &lists); err != nil {
		return nil, bad("this is no record of a run: " + err.Error())
	}
	if r.Version == "" || lists.Scenario == nil || lists.Derived == nil || lists.Stats == nil {
		return nil, bad("this is no record of a run: it lacks one of version, scenario, derived, stats")
	}
	r.scenario, r.derived, r.stats = *lists.Scenario, *lists.Derived, *lists.Stats
	if n := len(r.stats.rows) + len(r.scenario.rows) + len(r.derived.rows) + len(r.Threads); n > mostNames {
		return nil, bad(fmt.Sprintf("a record with %d names is too large for a page", n))
	}
	if r.Series == nil {
		return r, nil
	}
	if err := r.readSeries(); err != nil {
		return nil, bad("series: " + err.Error())
	}
	return r, nil
}

// readSeries checks and parses the numbers.
func (r *record) readSeries() (err error) {
	s := r.Series
	if s.Samples < 1 || s.Samples > mostSamples || len(s.Columns) > mostColumns || s.Period == 0 || s.End == 0 || s.PagesPerBin == 0 {
		return fmt.Errorf("%d samples of %d cycles in %d columns", s.Samples, s.Period, len(s.Columns))
	}
	for _, c := range s.Columns {
		values, err := parseNumbers(c.Values, s.Samples, s.Samples)
		if err != nil {
			return fmt.Errorf("%s %s: %w", c.Kind, c.Key, err)
		}
		if _, err := strconv.ParseUint(strings.TrimPrefix(c.Key, "0x"), 16, 64); c.Kind == "recorded" && err != nil {
			return fmt.Errorf("recorded %q: the key is no guest frame number", c.Key)
		}
		r.columns = append(r.columns, values)
	}
	for _, e := range s.InterExit {
		values, err := parseNumbers(e.Buckets, 1, 64)
		if err != nil {
			return fmt.Errorf("inter_exit %s: %w", e.Kind, err)
		}
		r.inter = append(r.inter, values)
	}
	return nil
}

// parseNumbers reads numbers with spaces between.
func parseNumbers(text string, least, most int) (values []float64, err error) {
	words := strings.Fields(text)
	if len(words) < least || len(words) > most {
		return nil, fmt.Errorf("%d values, expected %d", len(words), most)
	}
	for _, w := range words {
		n, err := strconv.ParseUint(w, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no count", w)
		}
		values = append(values, float64(n))
	}
	return values, nil
}
