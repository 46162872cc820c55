package bench

import (
	"math"
	"testing"
)

func latencies(t *testing.T, set ...string) map[string]LatencyRow {
	t.Helper()
	rows, err := Latencies(set)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]LatencyRow{}
	for _, r := range rows {
		byName[r.Name] = r
	}
	if len(byName) != len(latencyRows) {
		t.Fatalf("%d rows", len(byName))
	}
	return byName
}

// TestLatenciesPublished: what guests measure is within 10 % of what is published
// of the reference host, and where nothing is, the sum of the stages.
func TestLatenciesPublished(t *testing.T) {
	got := latencies(t)
	for name, r := range got {
		// Requests for a line that others wait for overlap here; the published
		// figure is of a loop that may do something else.
		if r.Published != 0 && name != "swap" && (r.Ratio < 0.9 || r.Ratio > 1.1) {
			t.Errorf("%s: %.2f cycles, published %.2f", name, r.Cycles, r.Published)
		}
	}
	for name, want := range map[string]float64{
		"slc":    4 + 7 + 30 + 19 + 30,
		"walk":   5 + 2*(4+7),
		"bounce": 2*(4+7+30+19+30+11+30) + 2, // a transfer, an upgrade, and the loop's branch
	} {
		if c := got[name].Cycles; math.Abs(c-want) > 0.1 {
			t.Errorf("%s: %.2f cycles, the stages are %.0f", name, c, want)
		}
	}
}

// TestLatencyLaws: a stage that takes longer makes each measured latency longer by
// as much as the access passes through it. (Of bounce, where requests overlap, only
// what lies between home and owner.)
func TestLatencyLaws(t *testing.T) {
	base := latencies(t)
	for _, c := range []struct {
		set  string
		more map[string]float64
	}{
		{"cpu.l1d.latency=6cyc", map[string]float64{"l1d": 2, "l2": 2, "slc": 2, "dram": 2, "tlb2": 0, "walk": 4, "lse_add": 2}},
		{"cpu.l2.latency=12cyc", map[string]float64{"l1d": 0, "l2": 5, "slc": 5, "dram": 5, "tlb2": 0, "walk": 10}},
		{"cpu.slc.latency=29cyc", map[string]float64{"l2": 0, "slc": 10, "dram": 10, "walk": 0, "bounce": 20}},
		{"cpu.mesh=40cyc", map[string]float64{"l2": 0, "slc": 20, "dram": 20, "lse_add": 0}},
		{"cpu.snoop=31cyc", map[string]float64{"slc": 0, "dram": 0, "bounce": 40}},
		{"cpu.dram.cas=61cyc", map[string]float64{"slc": 0, "dram": 20, "bounce": 0}},
	} {
		t.Run(c.set, func(t *testing.T) {
			t.Parallel()
			got := latencies(t, c.set)
			for name, more := range c.more {
				if d := got[name].Cycles - base[name].Cycles; math.Abs(d-more) > 0.1 {
					t.Errorf("%s: %.2f cycles more, want %.0f", name, d, more)
				}
			}
		})
	}
}

// TestLatencyBad: a key that makes the programs print nothing is an error.
func TestLatencyBad(t *testing.T) {
	for _, set := range []string{"vm.vcpus=x", "run.max_instructions=10", "workload.elf=builtin:sort", "cpu.switch=never"} {
		if rows, err := Latencies([]string{set}); err == nil {
			t.Errorf("%s: %+v", set, rows)
		}
	}
}
