// Package gobench writes results in the Go benchmark format, so that benchstat
// and everything else of golang.org/x/perf reads them:
//
//	Unit time.cycles assume=exact
//	Unit time.cycles better=lower
//	version: 0.1.0
//
//	BenchmarkRingmap/scenario=zipf/mode=ring+bitmap/seed=1 1 81234567 time.cycles 1.03 guest.slowdown
//
// What a simulation counts is exact: assume=exact says that no number of
// repetitions would tell more. Format: golang.org/design/14313-benchmark-format.
package gobench

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/perf/benchfmt"
)

// Axis is one key=value of a benchmark's name. The values of a sweep's axes go
// there, and benchstat pivots on them.
type Axis struct{ Key, Value string }

// Value is one figure of a row.
type Value struct {
	Unit   string // a statistic's name, or ns/op
	Value  float64
	Exact  bool // simulated: the same on every machine
	Better int  // 1 = more is better, -1 = less is, 0 = neither
}

// Row is one run.
type Row struct {
	Axes   []Axis // of the name, in this order
	Values []Value
}

// Config is a line "key: value" that goes for all rows; keys begin with a lower
// case letter.
type Config struct{ Key, Value string }

// Write writes the configuration, the units and the rows.
func Write(out io.Writer, config []Config, rows []Row) error {
	w := benchfmt.NewWriter(out)
	if err := writeUnits(w, rows); err != nil {
		return err
	}
	var lines []benchfmt.Config
	for _, c := range config {
		lines = append(lines, benchfmt.Config{Key: c.Key, Value: []byte(oneWord(c.Value, " ")), File: true})
	}
	for _, r := range rows {
		res := &benchfmt.Result{Config: lines, Name: benchfmt.Name(r.Name()), Iters: 1}
		for _, v := range r.Values {
			res.Values = append(res.Values, benchfmt.Value{Value: v.Value, Unit: v.Unit})
		}
		if err := w.Write(res); err != nil {
			return fmt.Errorf("gobench: %w", err)
		}
	}
	return nil
}

// writeUnits describes every unit once, in the order of their first use.
func writeUnits(w *benchfmt.Writer, rows []Row) error {
	seen := map[string]bool{}
	for _, r := range rows {
		for _, v := range r.Values {
			if seen[v.Unit] {
				continue
			}
			seen[v.Unit] = true
			for _, m := range metadata(v) {
				m.OrigUnit = v.Unit
				if err := w.Write(m); err != nil {
					return fmt.Errorf("gobench: %w", err)
				}
			}
		}
	}
	return nil
}

func metadata(v Value) (list []*benchfmt.UnitMetadata) {
	say := func(key, value string) {
		list = append(list, &benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: v.Unit, Key: key}, Value: value})
	}
	if v.Exact {
		say("assume", "exact")
	}
	switch {
	case v.Better > 0:
		say("better", "higher")
	case v.Better < 0:
		say("better", "lower")
	}
	return list
}

// Name is the row's name without "Benchmark". The format knows no way to quote:
// white space and slashes in a value become "_", and so does the minus of a
// number at the very end, which readers would take for GOMAXPROCS.
func (r Row) Name() string {
	var b strings.Builder
	b.WriteString("Ringmap")
	for _, a := range r.Axes {
		fmt.Fprintf(&b, "/%s=%s", oneWord(a.Key, "_"), oneWord(a.Value, "_"))
	}
	name := b.String()
	head := strings.TrimRight(name, "0123456789")
	if cut, ok := strings.CutSuffix(head, "-"); ok && head != name {
		name = cut + "_" + name[len(head):]
	}
	return name
}

// oneWord replaces what would end a word of the format.
func oneWord(s, by string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' && by == "_" {
			return rune(by[0])
		}
		return r
	}, s)
}
