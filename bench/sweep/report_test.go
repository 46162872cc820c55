package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"ringmap/bench/store"
)

// made stores a sweep whose statistic y is a function of the labels, and reports.
func made(t *testing.T, axes []store.Axis, y func(labels []string, numbers []float64) float64) StatReport {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	about := store.About{Name: "made", Axes: axes, Stats: []string{"y"}}
	var points []store.Point
	total := 1
	for _, a := range axes {
		total *= len(a.Values)
	}
	for n := range total {
		p := store.Point{Ordinal: n, Key: fmt.Sprintf("%032x", n), Labels: make([]string, len(axes))}
		numbers := make([]float64, len(axes))
		rest := n
		for i := len(axes) - 1; i >= 0; i-- {
			v := rest % len(axes[i].Values)
			rest /= len(axes[i].Values)
			p.Labels[i] = axes[i].Values[v]
			if axes[i].Numbers != nil {
				numbers[i] = axes[i].Numbers[v]
			}
		}
		points = append(points, p)
		record := fmt.Sprintf(`{"version":"1","name":"made","scenario_hash":"%d","seed":1,"finished":"x","scenario":{},"derived":{},"stats":{"y":%v}}`, n, y(p.Labels, numbers))
		if err := st.Put(p.Key, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutSweep(about, points); err != nil {
		t.Fatal(err)
	}
	r, err := MakeReport(st, about, about.Stats)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	return r.Stats[0]
}

var (
	rings    = store.Axis{Key: "ring", Values: []string{"256", "512", "1024", "2048", "4096", "8192", "16384"}, Numbers: []float64{256, 512, 1024, 2048, 4096, 8192, 16384}}
	policies = store.Axis{Key: "policy", Values: []string{"own", "all"}}
	times    = store.Axis{Key: "interval", Values: []string{"10ms", "20ms", "30ms", "40ms"}, Numbers: []float64{10e9, 20e9, 30e9, 40e9}}
	seeds    = store.Axis{Key: "seed", Values: []string{"1", "2", "3", "4", "5", "6"}, Numbers: []float64{1, 2, 3, 4, 5, 6}, Replicate: true}
)

// TestReport: what was put into the numbers is what the report says.
func TestReport(t *testing.T) {
	s := made(t, []store.Axis{rings, policies}, func(_ []string, n []float64) float64 { return 1 + max(0, 11-math.Log2(n[0])) })
	if want := "y goes from 1 to 4: ring explains 100 % of its variance. Along ring it bends at 2048 (1024 to 4096)."; s.Sentence != want || !s.Exact {
		t.Errorf("%q\nwant\n%q", s.Sentence, want)
	}
	s = made(t, []store.Axis{times, policies}, func(l []string, n []float64) float64 {
		if l[1] == "own" {
			return 22
		}
		return n[0] / 1e9
	})
	if want := "own falls below all at interval = 22ms (20ms to 30ms)."; !strings.HasSuffix(s.Sentence, want) {
		t.Errorf("%q lacks %q", s.Sentence, want)
	}
	s = made(t, []store.Axis{rings, seeds}, func(_ []string, n []float64) float64 {
		return 10 + max(0, 11-math.Log2(n[0])) + 0.05*math.Sin(n[0]+7*n[1])
	})
	if s.Exact || len(s.Knees) != 1 || s.Knees[0].Range.Level != 0.95 || !s.Knees[0].Range.Contains(2048) {
		t.Errorf("with seeds: exact %v, %+v", s.Exact, s.Knees)
	}
	for _, v := range s.Axes[0].Values {
		if v.MeanRange == nil || !v.MeanRange.Contains(v.Mean) || v.MedianRange == nil || !v.MedianRange.Contains(v.Median) || v.MedianRange.Hi > v.Max {
			t.Errorf("the six seeds at %s: mean %v, median %v", v.Value, v.MeanRange, v.MedianRange)
		}
	}
	if c := s.Curves; c.Along != 0 || c.By != -1 || len(c.Lines) != 1 || len(c.Lines[0].At) != 7 || c.Lines[0].At[0].MeanRange == nil || c.Lines[0].At[0].N != 6 {
		t.Errorf("curves %+v", s.Curves)
	}
	s = made(t, []store.Axis{rings}, func([]string, []float64) float64 { return 3 })
	if s.Sentence != "y is 3 at all 7 points." || len(s.Effects.Main) != 0 {
		t.Errorf("%+v", s)
	}
	s = made(t, nil, func([]string, []float64) float64 { return 3.25 })
	if s.Sentence != "y is 3.25." {
		t.Error(s.Sentence)
	}
}

// TestReportOfRuns: of real runs, with axes that do not apply everywhere, and the
// same from the joined stores of shards.
func TestReportOfRuns(t *testing.T) {
	s := parse(t, small)
	open := func() *store.Store {
		st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	report := func(st *store.Store) string {
		r, err := MakeReport(st, s.About(), []string{"guest.slowdown", "ring.pushes", "audit.lost_pages"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	one := open()
	if _, err := s.Run(context.Background(), one, Options{Workers: 2}); err != nil {
		t.Fatal(err)
	}
	want := report(one)
	for _, must := range []string{`"value": "(not set)"`, "guest.slowdown goes from", `"finished": 20`} {
		if !strings.Contains(want, must) {
			t.Errorf("no %s in\n%s", must, want)
		}
	}
	joined := open()
	for i := 3; i >= 1; i-- {
		part := open()
		if _, err := s.Run(context.Background(), part, Options{Workers: 2, Shard: Shard{i, 3}}); err != nil {
			t.Fatal(err)
		}
		if err := joined.Merge(part); err != nil {
			t.Fatal(err)
		}
	}
	if got := report(joined); got != want {
		t.Error("the report of the joined store differs")
	}
}
