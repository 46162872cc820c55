package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

func perfOptions(mode string) PerfOptions {
	return PerfOptions{Iterations: 2, Bytes: 4 << 20, VCPUs: 2, Writes: 100, Seed: 1, Slots: 2, Backing: "4k", Mode: mode, Page: 4096, Kernel: "7.2", Harvest: "on-full-all"}
}

// TestPerfTest: in every mode each iteration writes every page once, and all of
// them are collected.
func TestPerfTest(t *testing.T) {
	for _, mode := range append(scenario.Modes(), "clear-log") {
		if mode == "off" {
			continue
		}
		o := perfOptions(mode)
		if strings.Contains(mode, "ring") {
			o.Ring = 512
		}
		r, err := PerfTest(o)
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		const pages = 2 << 10
		for i, p := range r.Iterations {
			recorded := p.Unique + p.Bits
			if mode == "clear-log" && i == 0 { // all bits are set initially
				recorded = pages
			}
			if p.Missing != 0 || p.Dirty == 0 || recorded < pages {
				t.Errorf("%s, iteration %d: %d of %d pages recorded, %d missing: %+v", mode, i+1, recorded, pages, p.Missing, p)
			}
			if p.Pushed != p.Unique+p.Duplicate || p.Pushed < p.ResetEntries {
				t.Errorf("%s, iteration %d: pushed %d, unique %d, duplicate %d, reset %d", mode, i+1, p.Pushed, p.Unique, p.Duplicate, p.ResetEntries)
			}
		}
		again, err := PerfTest(o)
		if d := cmp.Diff(r.Lines(), again.Lines()); err != nil || d != "" {
			t.Errorf("%s: two tests differ: %v\n%s", mode, err, d)
		}
	}
}

// TestPerfTestFindsLosses: what a real kernel loses with rings on huge pages is
// missing, with its cause.
func TestPerfTestFindsLosses(t *testing.T) {
	o := perfOptions("ring")
	o.Backing, o.Ring, o.Random = "thp", 512, true
	r, err := PerfTest(o)
	if err != nil || r.Missing() == 0 || !strings.Contains(strings.Join(r.Lines(), "\n"), "(block_mapping ") {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestPerfSeconds(t *testing.T) {
	r := &PerfResult{Hz: 3_000_000_000}
	for cycles, want := range map[uint64]string{0: "0.000000000s", 3: "0.000000001s", 2_999_999_999: "0.999999999s", 3_000_000_000: "1.000000000s", 370_370_367: "0.123456789s"} {
		if got := r.time(cycles); got != want {
			t.Errorf("%d cycles: %s, want %s", cycles, got, want)
		}
	}
}
