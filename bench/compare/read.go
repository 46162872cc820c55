// Package compare lays the figures of two sets of runs side by side and says what
// became worse, and where the cycles went.
//
//	OLD, NEW ─► Read: records, JSONL, ringmap bench --json or its Go format
//	              │      (read.go)
//	              ▼
//	  runs by key ─► Compare: a verdict per figure, from thresholds (thresholds.yaml)
//	                   │      (compare.go)
//	                   ▼
//	                Report: regressions, changes, where the cycles moved (explain.go)
//
// A simulated figure is exact: any difference is one, and no statistics are needed.
// Wall time is noise; its significance is that of a Mann-Whitney U test.
package compare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"

	"ringmap/bench"
)

// Run is one run of a file.
type Run struct {
	Key     string // what pairs it with a run of the other file
	Version string // of the program, "" if the file does not say
	Figures map[string]float64
	Wall    []float64 // seconds; empty if the file does not say
}

// maxRuns bounds a file: more are a sweep's, whose store answers in SQL.
const maxRuns = 200_000

// Read reads the runs of a file. The error says what is wrong and where.
func Read(name string, data []byte) ([]Run, error) {
	text := bytes.TrimLeft(data, " \t\r\n")
	if len(text) == 0 {
		return nil, fmt.Errorf("%s: the file is empty; `ringmap bench --json > %s` fills it", name, name)
	}
	read := readText
	if text[0] == '{' || text[0] == '[' {
		read = readJSON
	}
	runs, err := read(name, data)
	if err != nil {
		return nil, err
	}
	return merge(name, runs)
}

// merge joins repetitions of a run, whose simulated figures must be equal.
func merge(name string, runs []Run) (list []Run, err error) {
	at := map[string]int{}
	for _, r := range runs {
		i, known := at[r.Key]
		if !known {
			at[r.Key] = len(list)
			list = append(list, r)
			continue
		}
		for _, figure := range slices.Sorted(maps.Keys(r.Figures)) {
			if old, ok := list[i].Figures[figure]; !ok || old != r.Figures[figure] {
				return nil, fmt.Errorf("%s: two runs of %s differ in %s (%v and %v): they are not repetitions; give runs of different settings different names", name, r.Key, figure, old, r.Figures[figure])
			}
		}
		list[i].Wall = append(list[i].Wall, r.Wall...)
	}
	slices.SortFunc(list, func(a, b Run) int { return cmp.Compare(a.Key, b.Key) })
	return list, nil
}

// record is what a comparison takes from a result record.
type record struct {
	Version  *string             `json:"version"`
	Name     string              `json:"name"`
	Seed     uint64              `json:"seed"`
	Scenario map[string]any      `json:"scenario"`
	Stats    map[string]*float64 `json:"stats"`
	Threads  []bench.ThreadTime  `json:"threads"`
}

// suiteFile is what ringmap bench --json prints.
type suiteFile struct {
	Runs []struct {
		WallNS []float64 `json:"wall_ns"`
		Record record    `json:"record"`
	} `json:"runs"`
}

func readJSON(name string, data []byte) ([]Run, error) {
	var records []record
	var walls [][]float64
	add := func(r record, wall []float64) error {
		if r.Version == nil || r.Stats == nil {
			return errors.New("this is no result record of ringmap: it has no version and no stats")
		}
		if len(records) == maxRuns {
			return fmt.Errorf("more than %d runs; compare stores of sweeps with SQL", maxRuns)
		}
		records, walls = append(records, r), append(walls, wall)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = readValue(raw, add)
		}
		if err != nil {
			at := min(d.InputOffset(), int64(len(data)))
			return nil, fmt.Errorf("%s:%d: %v; a file holds records of `ringmap run --json`, one after the other, or the output of `ringmap bench`", name, 1+bytes.Count(data[:at], []byte("\n")), err)
		}
	}
	keys := keysOf(records)
	runs := make([]Run, len(records))
	for i, r := range records {
		runs[i] = Run{Key: keys[i], Version: *r.Version, Figures: r.figures()}
		for _, ns := range walls[i] {
			runs[i].Wall = append(runs[i].Wall, ns/1e9)
		}
	}
	return runs, nil
}

// readValue reads a record, a list of records, or the output of a suite.
func readValue(raw json.RawMessage, add func(record, []float64) error) error {
	if raw[0] == '[' {
		var list []record
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for _, r := range list {
			if err := add(r, nil); err != nil {
				return err
			}
		}
		return nil
	}
	var s suiteFile
	if err := json.Unmarshal(raw, &s); err == nil && s.Runs != nil {
		for _, r := range s.Runs {
			if err := add(r.Record, r.WallNS); err != nil {
				return err
			}
		}
		return nil
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	return add(r, nil)
}

// figures are those of bench.Result.Metrics.
func (r *record) figures() map[string]float64 {
	f := map[string]float64{}
	for name, v := range r.Stats {
		if v != nil && !strings.HasPrefix(name, "vcpu.") && !strings.HasPrefix(name, "vmm.cycles.") && !strings.HasPrefix(name, "vmm.waits.") {
			f[name] = *v
		}
	}
	for _, m := range bench.StackMetrics(r.Threads) {
		f[m.Name] = m.Value
	}
	for _, m := range bench.PathMetrics(r.Threads, func(name string) float64 { return f[name] }) {
		f[m.Name] = m.Value
	}
	return f
}

// keysOf names runs by scenario and seed, and by those keys of the scenario in
// which the runs of one name differ within the file: the axes of a sweep.
func keysOf(records []record) []string {
	byName := map[string][]record{}
	for _, r := range records {
		byName[r.Name] = append(byName[r.Name], r)
	}
	axes := map[string][]string{}
	for name, list := range byName {
		axes[name] = varying(list)
	}
	keys := make([]string, len(records))
	for i, r := range records {
		var b strings.Builder
		b.WriteString(r.Name)
		for _, axis := range axes[r.Name] {
			fmt.Fprintf(&b, "/%s=%v", axis, r.Scenario[axis])
		}
		fmt.Fprintf(&b, "/seed=%d", r.Seed)
		keys[i] = b.String()
	}
	return keys
}

// varying lists the scenario keys, sorted, whose values are not the same in all
// records.
func varying(list []record) (axes []string) {
	seen := map[string]bool{}
	for _, r := range list {
		for key := range r.Scenario {
			if key == "seed" || key == "name" || seen[key] {
				continue
			}
			if slices.ContainsFunc(list, func(o record) bool { return fmt.Sprint(o.Scenario[key]) != fmt.Sprint(r.Scenario[key]) }) {
				seen[key] = true
				axes = append(axes, key)
			}
		}
	}
	slices.Sort(axes)
	return axes
}

// readText reads the Go benchmark format.
func readText(name string, data []byte) ([]Run, error) {
	r := benchfmt.NewReader(bytes.NewReader(data), name)
	var runs []Run
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, rec
		case *benchfmt.Result:
			if len(runs) == maxRuns {
				return nil, fmt.Errorf("%s: more than %d runs; compare stores of sweeps with SQL", name, maxRuns)
			}
			run := Run{Key: strings.TrimPrefix(rec.Name.String(), "Ringmap/"), Version: rec.GetConfig("version"), Figures: map[string]float64{}}
			for _, v := range rec.Values {
				if a := r.Units()[benchfmt.UnitMetadataKey{Unit: v.Unit, Key: "assume"}]; a != nil && a.Value == "exact" {
					run.Figures[v.Unit] = v.Value
				} else if v.Unit == "sec/op" {
					run.Wall = append(run.Wall, v.Value)
				}
			}
			runs = append(runs, run)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%s: no run in it; a file holds records of `ringmap run --json`, one after the other, or the output of `ringmap bench`", name)
	}
	return runs, nil
}
