package ring

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/litmus"
)

var update = flag.Bool("update", false, "write the tables of docs/ring-protocol.md")

const page = "../../../docs/ring-protocol.md"

// explore counts the allowed executions of a scenario, and those with an outcome.
func explore(t *testing.T, s *Scenario, dropped []string, o Outcome, m litmus.Model) (with, all int) {
	t.Helper()
	text := s.Test(dropped, o)
	test, err := litmus.Parse(s.Name, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	r, err := litmus.Explore(test, litmus.Options{Model: m})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r.Positive, r.Positive + r.Negative
}

// TestProtocolHolds: with every barrier, no outcome is possible; without any,
// each is.
func TestProtocolHolds(t *testing.T) {
	for i := range Scenarios {
		s := &Scenarios[i]
		for _, o := range s.Outcomes {
			if with, all := explore(t, s, nil, o, litmus.Arm); with != 0 || all == 0 {
				t.Errorf("%s: %s in %d of %d executions with all barriers", s.Name, o.Name, with, all)
			}
			if with, _ := explore(t, s, s.Uses(), o, litmus.Arm); with == 0 {
				t.Errorf("%s: %s is impossible without any barrier: the test tests nothing", s.Name, o.Name)
			}
			for _, m := range []litmus.Model{litmus.TSO, litmus.SC} {
				if with, _ := explore(t, s, s.Uses(), o, m); with != 0 {
					t.Errorf("%s: %s under %s without barriers", s.Name, o.Name, m)
				}
			}
		}
	}
}

// TestEveryBarrierIsNeeded: dropping any barrier permits something bad in some scenario.
func TestEveryBarrierIsNeeded(t *testing.T) {
	for _, b := range Barriers {
		bad := 0
		for i := range Scenarios {
			s := &Scenarios[i]
			if !slices.Contains(s.Uses(), b.Name) {
				continue
			}
			for _, o := range s.Outcomes {
				with, _ := explore(t, s, []string{b.Name}, o, litmus.Arm)
				bad += with
			}
		}
		t.Logf("%s: %d bad executions", b.Name, bad)
		if bad == 0 {
			t.Errorf("nothing bad happens without the %s", b.Name)
		}
	}
}

// tables is what the page shows of each scenario.
func tables(t *testing.T) string {
	var b strings.Builder
	for i := range Scenarios {
		s := &Scenarios[i]
		fmt.Fprintf(&b, "### %s\n\n%s\n\n| dropped |", strings.ReplaceAll(s.Name, "-", " "), s.Text)
		for _, o := range s.Outcomes {
			fmt.Fprintf(&b, " %s |", o.Name)
		}
		b.WriteString("\n|---" + strings.Repeat("|---:", len(s.Outcomes)) + "|\n")
		row := func(name string, dropped []string, m litmus.Model) {
			fmt.Fprintf(&b, "| %s |", name)
			for _, o := range s.Outcomes {
				with, all := explore(t, s, dropped, o, m)
				if with == 0 {
					fmt.Fprintf(&b, " never (0 of %d) |", all)
				} else {
					fmt.Fprintf(&b, " **%d of %d** |", with, all)
				}
			}
			b.WriteString("\n")
		}
		row("nothing", nil, litmus.Arm)
		for _, name := range s.Uses() {
			row(name, []string{name}, litmus.Arm)
		}
		row("all of them", s.Uses(), litmus.Arm)
		row("all of them, on a TSO machine", s.Uses(), litmus.TSO)
		b.WriteString("\n")
		for _, o := range s.Outcomes {
			fmt.Fprintf(&b, "* %s: %s.\n", o.Name, o.What)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestPage: the figures of docs/ring-protocol.md are the explorer's.
func TestPage(t *testing.T) {
	const from, to = "<!-- explored: go test ./cpu/litmus/ring -update -->\n\n", "<!-- end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), from)
	old, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the tables", page)
	}
	now := tables(t)
	if *update {
		if err := os.WriteFile(page, []byte(before+from+now+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, now); diff != "" {
		t.Errorf("%s and the explorer differ (-page +explorer); go test ./cpu/litmus/ring -update writes it:\n%s", page, diff)
	}
}

// pictures are those of docs/litmus.
var pictures = []struct {
	file string
	test func() (string, error)
}{
	{"mp-dmb.sy-addr.svg", func() (string, error) { return litmus.Make([]string{"DMB.SYdWW Rfe DpAddrdR Fre"}) }},
	{"iriw-po.svg", func() (string, error) { return litmus.Make([]string{"Rfe DpAddrdR Fre Rfe PodRR Fre"}) }},
	{"ring-no-harvest-acquire.svg", func() (string, error) {
		return Scenarios[0].Test([]string{"harvest acquire"}, Scenarios[0].Outcomes[1]), nil
	}},
	{"ring-no-index-release.svg", func() (string, error) {
		return Scenarios[3].Test([]string{"index release"}, Scenarios[3].Outcomes[2]), nil
	}},
}

// TestPictures: the pictures in the documentation are what explain draws.
func TestPictures(t *testing.T) {
	for _, p := range pictures {
		text, err := p.test()
		if err != nil {
			t.Fatal(err)
		}
		test, err := litmus.Parse(p.file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		e, err := litmus.Explain(test, litmus.Options{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(filepath.Dir(page), "litmus", p.file)
		if *update {
			if err := os.WriteFile(path, []byte(e.SVG()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), e.SVG()); diff != "" {
			t.Errorf("%s differs from what is drawn now; go test ./cpu/litmus/ring -update draws it:\n%s", path, diff)
		}
	}
}
