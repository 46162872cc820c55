package bench

import (
	"os"
	"slices"
	"strings"
	"testing"

	"ringmap/bench/scenario"
	"ringmap/sim"
)

func diffOf(t *testing.T, a, b []string) *Difference {
	t.Helper()
	var sides [2]*scenario.Scenario
	for i, sets := range [][]string{a, b} {
		s, err := scenario.Parse("test.yaml", []byte(observed))
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range sets {
			if err := s.Set("--set "+set, set); err != nil {
				t.Fatal(err)
			}
		}
		sides[i] = s
	}
	d, err := Diff(sides[0], sides[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDiffExactCycle: the cycle found is the first one at whose end the states
// differ: hashes at the cycle before are equal, at that one they are not.
func TestDiffExactCycle(t *testing.T) {
	for name, b := range map[string][]string{
		"a dearer fault":   {"host.costs.abort=154"},
		"a dearer save":    {"host.costs.table_entry=41"},
		"an earlier round": {"vmm.interval=499us"},
		"a late reset":     {"host.costs.reset_entry=7"},
		"a fault fix":      {"hazards.ring.stale_batch=fixed", "host.costs.steal=61"},
		"an earlier end":   {"run.until=2ms"},
	} {
		if slices.Contains([]string{"a dearer save", "a late reset", "a fault fix"}, name) && os.Getenv("RINGMAP_LONG") == "" {
			continue // three are enough; RINGMAP_LONG=1 tries all
		}
		a := []string{"run.max_cycles=0"}
		d := diffOf(t, a, b)
		if d.Same || d.Cycle == 0 {
			t.Errorf("%s: %+v", name, d)
			continue
		}
		if name == "an earlier end" {
			continue // the states before time begins differ already
		}
		hash := func(sets []string, at uint64) string {
			m, _ := testMachine(t, observed, sets...)
			m.start()

			for uint64(m.engine.Now()) < at && !m.finished() {
				m.engine.Run(sim.Cycle(at))
			}
			return m.hash()
		}
		if at := d.Cycle; at > 1 {
			if x, y := hash(a, at-1), hash(b, at-1); x != y {
				t.Errorf("%s: the runs differ before cycle %d already", name, at)
			}
			if x, y := hash(a, at), hash(b, at); x == y {
				t.Errorf("%s: the runs are still equal at cycle %d", name, at)
			}
		}
		if len(d.Components) == 0 || len(d.Config) == 0 || d.Event == nil {
			t.Errorf("%s: components %v, config %v, event %v", name, d.Components, d.Config, d.Event)
		}
	}
}

// TestDiffSame: a run does not part from itself.
func TestDiffSame(t *testing.T) {
	if d := diffOf(t, nil, nil); !d.Same || d.Compared == 0 || len(d.Config) != 0 || len(d.FromStart) != 0 {
		t.Errorf("%+v", d)
	}
}

// TestDiffWords: the event named is what the setting changes.
func TestDiffWords(t *testing.T) {
	d := diffOf(t, nil, []string{"host.costs.abort=154"})
	if e := d.Event; e == nil || !strings.HasSuffix(e.A, "cycles on fault") || !strings.HasSuffix(e.B, "cycles on fault") || e.AtB != e.AtA+1 {
		t.Errorf("%+v", e)
	}
	d = diffOf(t, nil, []string{"seed=2"})
	if d.Event == nil || !slices.Contains(d.FromStart, "vCPU 0: workload") {
		t.Errorf("another seed: %+v", d)
	}
	d = diffOf(t, nil, []string{"vm.vcpus=2"})
	if d.Same || !slices.ContainsFunc(d.FromStart, func(s string) bool { return strings.HasPrefix(s, "vCPU 2") }) {
		t.Errorf("another number of vCPUs: %+v", d)
	}
}
