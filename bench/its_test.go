package bench

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

// itsStorm is the shipped scenario, shorter, with settings over it.
func itsStorm(t *testing.T, settings ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load("../scenarios/its-storm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range append([]string{"workload.accesses=3000", "its.storm=300", "its.storm_every=200us", "its.save=500us"}, settings...) {
		if err := s.Set("--set "+set, set); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Storms, moves, churn and saves go on from a snapshot, in the middle of a storm or
// of the driver's work, as if nothing had been; with a small cache too.
func TestITSStormSnapshot(t *testing.T) {
	for _, settings := range [][]string{nil, {"its.cache=40"}, {"its.move_rate=0", "its.churn_rate=100000"}} {
		whole, err := Run(itsStorm(t, settings...), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if whole.Audit.LostPages != 0 || whole.Stat("vgic.command_errors") != 0 || whole.Stat("vgic.saves") < 5 || whole.Stat("vgic.msi_hits") == 0 {
			t.Fatalf("%v: %d pages lost, %v command errors, %v saves, %v hits", settings, whole.Audit.LostPages,
				whole.Stat("vgic.command_errors"), whole.Stat("vgic.saves"), whole.Stat("vgic.msi_hits"))
		}
		want, err := whole.JSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{"100us", "600us", "1201us"} {
			when, err := scenario.ParseTime(at)
			if err != nil {
				t.Fatal(err)
			}
			saved, err := Run(itsStorm(t, settings...), Options{Snapshot: when})
			if err != nil {
				t.Fatal(err)
			}
			resumed, err := Run(itsStorm(t, settings...), Options{Resume: saved.Snapshot, ResumeName: at})
			if err != nil {
				t.Fatal(err)
			}
			got, err := resumed.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("%v, snapshot at %s (-undisturbed +resumed):\n%s", settings, at, d)
			}
		}
	}
}

// A VM whose driver and devices are busy migrates: every pending LPI arrives, no page
// is lost, and the driver goes on at the destination without a failing command.
func TestITSStormMigrates(t *testing.T) {
	for _, start := range []string{"50us", "300us", "777us"} {
		r, err := Run(itsStorm(t, "its.save=end", "migrate.start="+start, "migrate.bandwidth=2GiB/s"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("started at %s", start)
		if r.Audit.LostPages != 0 || r.Stat("vgic.command_errors") != 0 {
			t.Errorf("%s: %d pages lost, %v command errors", what, r.Audit.LostPages, r.Stat("vgic.command_errors"))
		}
		if r.Stat("dest.lpis_pending") == 0 || r.Stat("dest.lpis_arrived") != r.Stat("dest.lpis_pending") {
			t.Errorf("%s: %v LPIs pending, %v arrived", what, r.Stat("dest.lpis_pending"), r.Stat("dest.lpis_arrived"))
		}
	}
}
