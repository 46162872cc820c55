package compare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func defaults(t testing.TB) *Thresholds {
	t.Helper()
	th, err := ParseThresholds("thresholds.yaml", DefaultThresholds)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// recordText is a record whose fault path costs that many cycles a fault.
func recordText(name string, seed, faults, each uint64, more string) string {
	return fmt.Sprintf(`{"version":"1","name":%q,"seed":%d,"scenario":{"vm.vcpus":"2"%s},
"stats":{"time.cycles":1000000,"fault.permission":%d,"fault.translation":0,"vcpu.0.x":1},
"threads":[{"name":"vcpu.0","cycles":5,"causes":[{"cause":"fault","cycles":%d}]},{"name":"vcpu.1","cycles":5,"causes":[{"cause":"fault","cycles":%d}]}]}`,
		name, seed, more, faults, faults*each/2, faults*each/2)
}

func read(t *testing.T, text string) []Run {
	t.Helper()
	runs, err := Read("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// TestPathNamed: a fault path that costs 3 % more is named, with its cycles, and
// is a regression; equal files are none, and cheaper ones neither.
func TestPathNamed(t *testing.T) {
	base := read(t, recordText("a", 1, 1000, 1000, "")+"\n"+recordText("b", 1, 10, 1000, ""))
	dear := read(t, recordText("a", 1, 1000, 1030, "")+"\n"+recordText("b", 1, 10, 1000, ""))
	r, err := Compare(base, dear, defaults(t), false)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Regression || len(r.Explained) != 1 {
		t.Fatalf("regression %v, explained %+v", r.Regression, r.Explained)
	}
	want := "the write-fault path costs 3.0 % more in a/seed=1: fault +30,000 cycles (a/seed=1: 1,000 → 1,030 cycles a fault)"
	if got := r.Explained[0].Sentence(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if d := cmp.Diff([]Moved{{"vcpus", "fault", 1010000, 1040000}}, r.Moved); d != "" {
		t.Errorf("moved (-want +got):\n%s", d)
	}
	if r, err = Compare(base, base, defaults(t), true); err != nil || r.Regression || len(r.Differences) != 0 || r.Runs != 2 {
		t.Errorf("equal files: %+v, %v", r, err)
	}
	if r, err = Compare(dear, base, defaults(t), false); err != nil || r.Regression || r.Explained[0].Verdict != Better {
		t.Errorf("cheaper: %+v, %v", r, err)
	}
}

// TestPairing: runs are paired by name, seed and the keys that vary in a file;
// what only one file has is named.
func TestPairing(t *testing.T) {
	text := recordText("s", 1, 10, 10, `,"tracking.ring":1024`) + recordText("s", 1, 10, 20, `,"tracking.ring":4096`) + recordText("s", 2, 10, 20, `,"tracking.ring":4096`)
	before := read(t, "["+strings.ReplaceAll(text, "}{", "},{")+"]")
	after := read(t, strings.ReplaceAll(text, `"seed":2`, `"seed":3`))
	r, err := Compare(before, after, defaults(t), false)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{r.Runs, len(r.Differences), r.OnlyOld, r.OnlyNew}
	if d := cmp.Diff([]any{2, 0, []string{"s/tracking.ring=4096/seed=2"}, []string{"s/tracking.ring=4096/seed=3"}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestLoss: a lost page where none was is a regression, whatever its ratio; a
// figure that only one side has is shown and not judged.
func TestLoss(t *testing.T) {
	run := func(figures map[string]float64) []Run { return []Run{{Key: "x", Figures: figures}} }
	r, err := Compare(run(map[string]float64{"audit.lost_pages": 0, "old.only": 3}), run(map[string]float64{"audit.lost_pages": 1}), defaults(t), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{Run: "x", Figure: "audit.lost_pages", New: 1, Verdict: Worse},
		{Run: "x", Figure: "old.only", Old: 3, Verdict: Changed, Missing: "new"},
	}
	if d := cmp.Diff(want, r.Differences); d != "" || !r.Regression {
		t.Errorf("regression %v (-want +got):\n%s", r.Regression, d)
	}
}

// TestWall: wall time is a regression only when asked, significant and beyond
// what is allowed.
func TestWall(t *testing.T) {
	run := func(seconds ...float64) []Run {
		return []Run{{Key: "x", Figures: map[string]float64{"f": 1}, Wall: seconds}}
	}
	fast, slow := run(1, 1.01, 1.02, 1.03, 1.04, 1.05), run(2, 2.01, 2.02, 2.03, 2.04, 2.05)
	for _, c := range []struct {
		name          string
		before, after []Run
		judge, want   bool
	}{
		{"slower, not asked", fast, slow, false, false},
		{"slower", fast, slow, true, true},
		{"faster", slow, fast, true, false},
		{"one run each", run(1), run(2), true, false},
		{"within what is allowed", fast, run(1.06, 1.061, 1.062, 1.063, 1.064, 1.065), true, false},
	} {
		r, err := Compare(c.before, c.after, defaults(t), c.judge)
		if err != nil || r.Regression != c.want {
			t.Errorf("%s: regression %v, want %v (%+v, %v)", c.name, r.Regression, c.want, r.Wall, err)
		}
	}
}

func TestBadThresholds(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "th.yaml:1:1: there must be one YAML document; `ringmap compare --print-thresholds` prints a file to start from",
		"wall: {allow: 10}":                `th.yaml:1:15: "10" is no allowance; write a share, such as 0.5%`,
		"wall: {allow: 10%}\nsimulatd: []": `th.yaml:2:1: unknown key "simulatd"; did you mean "simulated"?`,
		"simulated: 3\nwall: {allow: 1%}":  "th.yaml:1:1: simulated is no list; write a list of {metric: …, better: …, allow: …}",
		"simulated:\n  - {metric: a, better: lower}\nwall: {allow: 1%}":                       "a threshold needs metric, better and allow",
		"simulated:\n  - {metric: a, better: more, allow: 1%}\nwall: {allow: 1%}":             `th.yaml:2:25: "more" is no direction; write lower or higher`,
		"simulated:\n  - {metric: '[', better: lower, allow: 1%}\nwall: {allow: 1%}":          `"[" is no pattern`,
		"simulated:\n  - {metrik: a, better: lower, allow: 1%}\nwall: {allow: 1%}":            `th.yaml:2:6: unknown key "metrik" in a threshold; did you mean "metric"?`,
		"simulated:\n  - {metric: a, better: lower, allow: -1%}\nwall: {allow: 1%}":           `"-1%" is no allowance`,
		"simulated:\n  - {metric: a, metric: b, better: lower, allow: 1%}\nwall: {allow: 1%}": "already defined",
		"simulated: []":                    "wall is missing",
		"wall: {allow: 1%}\n---\nwall: {}": "there must be one YAML document",
		"a: [":                             "th.yaml:1",
		strings.Repeat("[", 100):           "nested too deeply",
		"wall:\n  allow: 1%\n  allow: 2%":  "",
	} {
		_, err := ParseThresholds("th.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "th.yaml:") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "f: the file is empty",
		"hello":              "f: no run in it",
		"{}":                 "f:1: this is no result record of ringmap",
		"{\n\"version\": 3}": "f:",
		recordText("a", 1, 1, 1, "") + "\n{\"version\": ":           "f:",
		recordText("a", 1, 1, 1, "") + recordText("a", 1, 1, 2, ""): "two runs of a/seed=1 differ in cycles.vcpus.fault",
		"BenchmarkX notanumber 3 ns/op\n":                           "f:1: ",
	} {
		_, err := Read("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Compare([]Run{{Key: "a"}}, []Run{{Key: "b"}}, defaults(t), false); err == nil || err.Error() != "no run is in both: OLD has a, NEW has b" {
		t.Errorf("disjoint: %v", err)
	}
}

// FuzzRead: any file is read or refused with an error.
func FuzzRead(f *testing.F) {
	f.Add([]byte(recordText("a", 1, 10, 10, "")))
	f.Add([]byte("Unit x assume=exact\nBenchmarkRingmap/scenario=a/seed=1 1 5 ns/op 3 x\n"))
	f.Add([]byte(`{"runs":[{"wall_ns":[1,2],"record":` + recordText("a", 1, 10, 10, "") + `}]}`))
	th := defaults(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		runs, err := Read("f", data)
		if err == nil && len(runs) > 0 {
			if r, err := Compare(runs, runs, th, true); err != nil || r.Regression || len(r.Differences) != 0 {
				t.Errorf("a file differs from itself: %+v, %v", r, err)
			}
		}
	})
}

// FuzzThresholds: any file is read or refused with an error of one line.
func FuzzThresholds(f *testing.F) {
	f.Add(DefaultThresholds)
	f.Add([]byte("simulated:\n  - {metric: a, better: lower, allow: 1%}\nwall: {allow: 1%}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ParseThresholds("f", data); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}
