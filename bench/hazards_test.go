package bench

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
)

// hazardLosses says what each scenario of scenarios/hazards must show: the cause
// of lost pages or records, a crash, or interrupts that do not arrive.
var hazardLosses = map[string]string{
	"bitmap.get_copy_fault":        "get_copy_fault",
	"its.restore_twice":            "crash",
	"its.save_unmapped_collection": "crash",
	"ring.block_mapping":           "block_mapping",
	"ring.initially_set":           "initially_set",
	"ring.reset_interrupted":       "reset_interrupted",
	"ring.reset_past_dirty":        "reset_past_dirty",
	"ring.stale_batch":             "stale_batch",
	"ring.steal_when_full":         "ring_overflow",
	"vmm.collect_before_save":      "collected_too_early",
	"vmm.lpis_late":                "interrupts",
	"vmm.ring_without_bitmap":      "no_vcpu",
}

// TestHazardScenarios: every hazard's scenario loses what it says, with the cause
// named and no other one unexplained, and its twin loses nothing.
func TestHazardScenarios(t *testing.T) {
	files, _ := filepath.Glob("../scenarios/hazards/*.yaml")
	if len(files) != 2*len(hazardLosses) {
		t.Errorf("%d files for %d hazards", len(files), len(hazardLosses))
	}
	for name, cause := range hazardLosses {
		real, fixed := losses(t, name), losses(t, name+"-fixed")
		if !slices.Contains(real, cause) || slices.Contains(real, "unknown") {
			t.Errorf("%s: it shows %v, want %s", name, real, cause)
		}
		if len(fixed) != 0 {
			t.Errorf("%s-fixed: it shows %v", name, fixed)
		}
	}
	for _, h := range kvmcore.AllHazards() {
		lossless := []string{"its.dangling_next", "its.movall_all"} // restores recover; interrupts come, elsewhere
		if _, ok := hazardLosses[h.Name]; !ok && !slices.Contains(lossless, h.Name) {
			t.Errorf("no scenario shows %s", h.Name)
		}
	}
}

// losses runs a scenario and lists what it lost.
func losses(t *testing.T, name string) (list []string) {
	t.Helper()
	s, err := scenario.Load(filepath.Join("../scenarios/hazards", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Name) != name {
		t.Errorf("%s calls itself %s", name, s.Name)
	}
	for _, c := range append(slices.Clone(r.Audit.Causes), r.Audit.Records...) {
		list = append(list, c.Cause)
	}
	for _, f := range r.Findings {
		if strings.Contains(f, "crashed") {
			list = append(list, "crash")
		} else {
			list = append(list, "finding")
		}
	}
	if g := r.Migration; g != nil && g.Interrupts.Lost != 0 {
		list = append(list, "interrupts")
	}
	return list
}
