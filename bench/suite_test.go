package bench

import (
	"slices"
	"testing"

	"ringmap/bench/scenario"
	"ringmap/kvmcore/vmm"
)

// TestSuite: the suite covers every mode and policy, its names are unique, every
// case makes a plan.
func TestSuite(t *testing.T) {
	names, sets := map[string]bool{}, []string{}
	for _, c := range Suite() {
		if names[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		names[c.Name] = true
		sets = append(sets, c.Sets...)
		s, err := c.Scenario(nil)
		if err == nil {
			_, err = s.Plan(nil)
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	for _, mode := range scenario.Modes() {
		if !slices.Contains(sets, "tracking.mode="+mode) {
			t.Errorf("no case of mode %s", mode)
		}
	}
	for _, p := range vmm.Policies() {
		if !slices.Contains(sets, "vmm.harvest="+p.Name) {
			t.Errorf("no case of policy %s", p.Name)
		}
	}
	if len(names) < 12 {
		t.Errorf("%d cases", len(names))
	}
}
