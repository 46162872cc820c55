package litmus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkExplanation checks an explanation against the explorer and itself.
func checkExplanation(t *testing.T, test *Test, e *Explanation, r *Result) {
	t.Helper()
	has := r.Positive > 0
	if test.Cond.Quant == ForAll {
		has = r.Negative > 0
	}
	if e.Allowed != has {
		t.Errorf("%s: allowed %v, but the explorer finds %d positive and %d negative executions", test.Name, e.Allowed, r.Positive, r.Negative)
	}
	if !e.Allowed && e.Rule != NoValue && len(e.Cycle) == 0 {
		t.Errorf("%s: forbidden without a reason", test.Name)
	}
	if e.Allowed && len(e.Events) == 0 && len(test.Vars) > 0 {
		t.Errorf("%s: allowed without an execution", test.Name)
	}
	last := -1
	for i, c := range e.Cycle {
		if i > 0 && e.Rule != Atomicity && c.From != last {
			t.Errorf("%s: the cycle breaks off before edge %d: %v", test.Name, i, e.Cycle)
		}
		last = c.To
	}
	if len(e.Cycle) > 0 && e.Rule != Atomicity && last != e.Cycle[0].From {
		t.Errorf("%s: the cycle does not close: %v", test.Name, e.Cycle)
	}
}

// TestExplainCorpus explains every published test.
func TestExplainCorpus(t *testing.T) {
	var files []string
	main := filepath.Dir(corpus(t))
	for _, dir := range []string{main, filepath.Join(filepath.Dir(main), "mixed"), filepath.Join(filepath.Dir(main), "loops")} {
		f, err := filepath.Glob(filepath.Join(dir, "*", "*.litmus"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f...)
	}
	rules := map[Rule]int{}
	relaxed := 0
	type slow struct {
		took time.Duration
		name string
	}
	var slowest []slow
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		test, err := Parse(file, text)
		if err != nil {
			continue // the parser's own tests count these
		}
		r, err := Explore(test, Options{})
		if err != nil || test.fetching() {
			continue
		}
		for _, m := range []Model{TSO, SC} {
			strong, err := Explore(test, Options{Model: m})
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			e, err := Explain(test, Options{Model: m})
			if err != nil {
				t.Errorf("%s under %s: %v", file, m, err)
				continue
			}
			checkExplanation(t, test, e, strong)
		}
		start := time.Now()
		e, err := Explain(test, Options{})
		slowest = append(slowest, slow{time.Since(start), test.Name})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		checkExplanation(t, test, e, r)
		if e.Allowed {
			if e.Rule != NoRule {
				relaxed++
			}
			continue
		}
		rules[e.Rule]++
	}
	slices.SortFunc(slowest, func(a, b slow) int { return int(b.took - a.took) })
	t.Logf("%d tests; forbidden by %v; %d allowed though sequential consistency forbids them; slowest %v", len(files), rules, relaxed, slowest[:min(5, len(slowest))])
}

// TestExplainSmall explains tests with next to nothing in them.
func TestExplainSmall(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"AArch64 none\n{}\n P0 ;\n NOP ;\nexists (true)\n", "none: allowed, even under sequential consistency"},
		{"AArch64 reg\n{}\n P0 ;\n MOV W0,#1 ;\nexists (0:X0=2)\n", "reg: forbidden: no execution has these values"},
		{"AArch64 all\n{0:X1=x;}\n P0 ;\n LDR W0,[X1] ;\nforall (0:X0=0)\n", "all: forbidden: no execution has these values"},
		{"AArch64 one\n{0:X1=x;}\n P0 ;\n MOV W0,#1 ;\n STR W0,[X1] ;\n LDR W2,[X1] ;\nexists (0:X2=0)\n", "one: forbidden by internal visibility"},
	} {
		test, err := Parse("small", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Explain(test, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if text := e.Text(); !strings.HasPrefix(text, c.want+"\n") {
			t.Errorf("want %s\n%s", c.want, text)
		}
		checkPicture(t, e)
	}
	text := "AArch64 f\nVariant=ifetch\n{ ins_t 0:X0=NOP; 0:X1=P0:L; }\n P0 ;\n STR W0,[X1] ;\n L: NOP ;\nexists (true)\n"
	if test, err := Parse("f", []byte(text)); err == nil {
		if _, err := Explain(test, Options{}); err == nil || !strings.Contains(err.Error(), "Variant=ifetch") {
			t.Errorf("instruction memory: %v", err)
		}
	}
}
