package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

const bounceScenario = `
host:     {quantum: 1000cyc}
cpu:      {model: inorder}
vm:       {vcpus: 2, memory: 16MiB}
tracking: {ring: 512}
workload: {pattern: zipf, region: own, accesses: 3000, writes: 80%}
vmm:      {harvest: interval, interval: 100us}
its:      {devices: 2, events: 4, save: end}
`

// TestRingLinesBounce: ring entries travel from the vCPU that pushes to the thread
// that harvests and back, and stay where they are if that is the vCPU itself.
func TestRingLinesBounce(t *testing.T) {
	stats := func(sets ...string) func(string) float64 {
		m, s := testMachine(t, bounceScenario, sets...)
		r := runAll(t, m, s)
		if r.Audit.LostPages != 0 {
			t.Errorf("%v: %d pages lost", sets, r.Audit.LostPages)
		}
		if !strings.Contains(strings.Join(r.Figures.Measured, "\n"), "cpu.l1d.latency = 4cyc") {
			t.Error("the record does not say where the caches' numbers come from")
		}
		return r.Stat
	}
	main, own := stats(), stats("vmm.harvest=on-full-own", "vmm.interval=1s")
	entries := main("ring.pushes")
	if lines := main("cache.transfers.ring_entry"); lines < entries/4 || lines > 2*entries {
		t.Errorf("%v lines of ring entries travel for %v entries, of which 4 are on a line", lines, entries)
	}
	if a, b := main("cache.transfers.ring_entry"), own("cache.transfers.ring_entry"); b*4 > a {
		t.Errorf("harvested by the main thread %v ring lines travel, by the vCPU itself %v", a, b)
	}
	for _, name := range []string{"ring_index", "lock", "stage2_table", "copy", "guest_data"} {
		if main("cache.transfers."+name) == 0 {
			t.Errorf("no line travels for %s", name)
		}
	}
	if main("cache.write_backs.its_table")+main("cache.l2.misses") == 0 || main("time.cycles") == 0 {
		t.Error("nothing was counted")
	}
}

// TestCachesGoOnFromSnapshot: run to the middle, saved and restored, a run with
// caches ends with the same record.
func TestCachesGoOnFromSnapshot(t *testing.T) {
	m, s := testMachine(t, bounceScenario)
	want := runAll(t, m, s)
	half, _ := testMachine(t, bounceScenario)
	r := newResult(s, half.plan, "")
	if err := half.simulate(r, Options{Snapshot: scenario.Time{Cycles: want.Cycles / 2}}); err != nil {
		t.Fatal(err)
	}
	rest, _ := testMachine(t, bounceScenario)
	got := newResult(s, rest.plan, "")
	if err := rest.simulate(got, Options{Resume: r.Snapshot, ResumeName: "half"}); err != nil {
		t.Fatal(err)
	}
	rest.record(got, s)
	x, err := want.JSON()
	if err != nil {
		t.Fatal(err)
	}
	y, err := got.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(x), string(y)); d != "" {
		t.Errorf("another record (-undisturbed +restored):\n%s", d)
	}
}
