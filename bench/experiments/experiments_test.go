package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/store"
)

// sample is a small experiment: its head, to be changed by tests, and its sweep.
const sampleHead = `claim: C99
title: Ring size
said: A larger ring exits less.
question: Does a larger ring exit less?
columns:
  - {name: rate, text: exits per write, value: 'ring.full_exits / guest.stores'}
figures:
  - {name: small, text: exits with 256 entries, unit: exits, value: 'at("", "ring.full_exits", "tracking.ring=256")'}
  - {name: large, text: exits with 1024 entries, unit: exits, value: 'at("", "ring.full_exits", "tracking.ring=1024")'}
  - {name: less, text: larger is better, value: 'large < small'}
verdict:
  - {is: confirmed, when: 'large < small', answer: "{small} against {large}: {less}."}
  - {is: refuted, answer: "not with {large}"}
plots:
  - {title: exits, x: tracking.ring, y: rate, log: x}
`

const sampleSweep = `---
name: rings
vm: {vcpus: 1, memory: 64MiB}
tracking: {mode: ring+bitmap, ring: 2^8..2^10}
workload: {pattern: sequential, accesses: 4000}
vmm: {interval: never, harvest: on-full-all}
`

func run(t *testing.T, text string) (*Answer, error) {
	t.Helper()
	e, err := Parse("sample.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	return e.Run(context.Background(), st, Options{Workers: 2})
}

// TestAnswer: figures, verdict and answer come from what was measured; the pages
// and points are complete, and the points alone give the same answer again.
func TestAnswer(t *testing.T) {
	a, err := run(t, sampleHead+sampleSweep)
	if err != nil {
		t.Fatal(err)
	}
	small, large := *a.Figures[0].Value, *a.Figures[1].Value
	if a.Verdict != "confirmed" || small <= large || large == 0 {
		t.Errorf("%s with %v and %v exits", a.Verdict, small, large)
	}
	if want := digits(small) + " exits against " + digits(large) + " exits: yes."; a.Answer != want {
		t.Errorf("the answer is %q, want %q", a.Answer, want)
	}
	for _, p := range a.data.points[0] { // one vCPU: it is the greatest, the least and the mean
		if one := p.Figures["vcpu_0.slowdown"]; one <= 1 || one != p.Figures["vcpu_max.slowdown"] || one != p.Figures["guest.slowdown_max"] {
			t.Errorf("vCPU 0 is slowed by %v, the slowest by %v", one, p.Figures["guest.slowdown_max"])
		}
	}
	files, err := Results([]*Answer{a})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.Name] = f.Data
	}
	for name, want := range map[string]string{"index.html": "confirmed", "sample.html": "<svg", "sample.jsonl": `"tracking.ring":"512"`} {
		if !strings.Contains(string(byName[name]), want) {
			t.Errorf("%s does not hold %s", name, want)
		}
	}
	points, err := readPoints(byName["sample.jsonl"])
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.Experiment.Judge([][]*Point{points})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.Answer, again.Answer); diff != "" {
		t.Error(diff)
	}
}

// TestBad: what cannot be an experiment, or cannot be evaluated, is one clear line.
func TestBad(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":        {"title:", "titel: x\ntitle:", "sample.yaml:2:1"},
		"no question":        {"exit less?", "exit less.", "a question that ends in ?"},
		"unknown verdict":    {"is: refuted", "is: perhaps", `"perhaps" is none of confirmed`},
		"no last rule":       {"is: refuted, ", "is: refuted, when: 'false', ", "the last rule"},
		"unknown statistic":  {"ring.full_exits / ", "ring.full_exit / ", "no run has a statistic ring.full_exit"},
		"unknown column":     {`"ring.full_exits", "tracking.ring=256"`, `"rat", "tracking.ring=256"`, `no column and no statistic "rat"`},
		"no such point":      {"tracking.ring=256", "tracking.ring=255", "no point at tracking.ring=255"},
		"several points":     {`, "tracking.ring=256"`, "", "several points"},
		"no expression":      {"when: 'large < small'", "when: 'large < < small'", "verdict"},
		"no truth":           {"when: 'large < small'", "when: 'large - small'", "neither true nor false"},
		"unknown figure":     {"not with {large}", "x", ""},
		"unquotable":         {"{small} against", "{smal} against", "which is no figure"},
		"unknown sweep":      {"{title: exits, ", "{title: exits, sweep: other, ", `no sweep "other"`},
		"an axis misspelled": {"ring: 2^8..2^10", "rings: 2^8..2^10", `unknown key "rings" in tracking`},
		"open with figures":  {"columns:", "open: waits\ncolumns:", "what is open"},
	} {
		t.Run(name, func(t *testing.T) {
			text := sampleHead + sampleSweep
			if !strings.Contains(text, c.old) {
				t.Fatalf("the sample does not hold %q", c.old)
			}
			_, err := run(t, strings.Replace(text, c.old, c.new, 1))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %s in it", err, c.want)
			}
		})
	}
}

// TestShipped: every experiment that ships loads, under the name of its claim.
func TestShipped(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		if i > 0 && e.number() <= all[i-1].number() {
			t.Errorf("%s comes after %s", e.Claim, all[i-1].Claim)
		}
		if want := fmt.Sprintf("C%02d-", e.number()); !strings.HasPrefix(e.Slug(), want) {
			t.Errorf("%s is about claim %s", e.File, e.Claim)
		}
	}
}

// TestSetups: the part with every order of making a VM has each order once under each
// detection point, and says what the kernel says.
func TestSetups(t *testing.T) {
	points, err := setupPoints(setupsNamed("C99.orders"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range points {
		got[p.Axes["order"]+" "+p.Axes["detect"]] = p.setupWords()
	}
	if len(points) != 64*4 || len(got) != len(points) {
		t.Errorf("%d points of %d set-ups", len(points), len(got))
	}
	for name, want := range map[string]string{
		"ring-bitmap-slot-its never":      "ok",
		"ring-bitmap-slot-its its":        "ok",
		"ring-its-bitmap-slot its":        "its: EINVAL",
		"ring-its-bitmap-slot enable":     "ok",
		"ring-slot-its never":             "lost",
		"ring-slot-its first-loss":        "lost, noticed",
		"ring-slot-its enable":            "lost",
		"its-ring-slot enable":            "slot: EINVAL",
		"its-ring-slot its":               "lost",
		"ring-slot-bitmap-its never":      "bitmap: EINVAL; lost",
		"bitmap-ring-slot-its never":      "bitmap: EINVAL; lost",
		"slot-ring-its never":             "ok",
		"slot-its never":                  "ok",
		"ring-its its":                    "its: EINVAL",
		"ring-slot-its-bitmap its":        "bitmap: EINVAL; its: EINVAL",
		"its-ring-bitmap-slot its":        "ok",
		"its-ring-slot-bitmap never":      "bitmap: EINVAL; lost",
		"its-slot-ring-bitmap first-loss": "bitmap: EINVAL",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	heads, rows := setupTable(points)
	if len(heads) != 5 || len(rows) != 2+2*6+24 {
		t.Errorf("%d rows of %d columns", len(rows), len(heads))
	}
}

// pointKey is the hash in a committed point.
var pointKey = regexp.MustCompile(`"key":"[0-9a-f]{32}",`)

// TestRegenerate: the cheap experiments give the committed points and answers, byte
// for byte.
func TestRegenerate(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(root) // traces are named from there
	for _, e := range all {
		if e.Open != "" || !e.Cheap && os.Getenv("RINGMAP_LONG") == "" {
			continue
		}
		t.Run(e.Claim, func(t *testing.T) {
			st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			a, err := e.Run(context.Background(), st, Options{Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			files, err := Results([]*Answer{a})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !strings.HasSuffix(f.Name, ".jsonl") {
					continue
				}
				want, err := os.ReadFile(filepath.Join(root, "results", f.Name))
				if err != nil {
					t.Fatalf("%v; make results", err)
				}
				got := f.Data
				if os.Getenv("RINGMAP_LONG") == "" { // a new key of scenarios changes every hash, and nothing else
					got, want = pointKey.ReplaceAll(got, nil), pointKey.ReplaceAll(want, nil)
				}
				if string(got) != string(want) {
					t.Errorf("results/%s differs from what is measured; make results", f.Name)
				}
			}
		})
	}
}

// readPoints reads what WritePoints wrote.
func readPoints(text []byte) (points []*Point, err error) {
	for line := range bytes.Lines(text) {
		var p Point
		if err := json.Unmarshal(line, &p); err != nil {
			return nil, err
		}
		points = append(points, &p)
	}
	return points, nil
}
