package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

const inspectScenario = `
vm:       {vcpus: 2, memory: 64MiB}
workload: {pattern: uniform, accesses: 20000}
its:      {devices: 3, events: 50, msi_rate: 1000000}
`

// What a snapshot holds is what the run it was taken from held, and looking at it
// later is looking at the run later.
func TestInspect(t *testing.T) {
	parse := func() *scenario.Scenario {
		t.Helper()
		s, err := scenario.Parse("t.yaml", []byte(inspectScenario))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := func(text string) scenario.Time {
		t.Helper()
		time, err := scenario.ParseTime(text)
		if err != nil {
			t.Fatal(err)
		}
		return time
	}
	inspect := func(when scenario.Time, o Options) *Inspection {
		t.Helper()
		i, err := Inspect(parse(), when, o)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	early, late := at("200000cyc"), at("400000cyc")
	r, err := Run(parse(), Options{Snapshot: early})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Resume: r.Snapshot, ResumeName: "t.snap"}
	first := inspect(scenario.Time{}, o)
	if d := cmp.Diff(inspect(early, Options{}), first); d != "" {
		t.Errorf("the snapshot (-run +snapshot):\n%s", d)
	}
	second := inspect(late, o)
	if d := cmp.Diff(inspect(late, Options{}), second); d != "" {
		t.Errorf("after the snapshot (-run +snapshot):\n%s", d)
	}
	if cmp.Equal(first.GIC, second.GIC) || first.Ended || len(first.GIC.ITSs[0].Devices) != 3 {
		t.Errorf("%+v", first)
	}
	end := inspect(scenario.Time{}, Options{})
	if !end.Ended || !end.GIC.ITSs[0].Devices[2].Events[4].Saved {
		t.Errorf("at the end the tables are saved: %+v", end)
	}
	if _, err := Inspect(parse(), at("1cyc"), o); err == nil || !strings.Contains(err.Error(), "t.snap continues at cycle 200000, after 1cyc") {
		t.Errorf("back in time: %v", err)
	}
	s := parse()
	if err := s.Set("t", "its.devices=0"); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(s, scenario.Time{}, Options{}); err == nil || !strings.Contains(err.Error(), "no interrupt controller") {
		t.Errorf("without a GIC: %v", err)
	}
}
