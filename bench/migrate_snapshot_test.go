package bench

import (
	"testing"

	"ringmap/sim"
)

// TestMigrationSnapshot cuts a migration at many places, so that every step of it
// is once the one that is interrupted; what is restored ends like the whole.
func TestMigrationSnapshot(t *testing.T) {
	const text = `
vm:       {vcpus: 2, memory: 6MiB}
tracking: {mode: ring+bitmap, ring: 256}
workload: {pattern: zipf, theta: 0.8, region: own, accesses: 5000, think: 800cyc}
its:      {devices: 2, events: 3, msi_rate: 40000}
migrate:  {start: 100us, bandwidth: 2GiB/s, downtime: 2ms}
`
	for _, sets := range [][]string{nil, {"migrate.fail=refuse"}, {"migrate.fail=link-drop", "migrate.fail_at=900us"}, {"tracking={mode: bitmap}"}} {
		whole, s := testMachine(t, text, sets...)
		runAll(t, whole, s)
		want, end := whole.hash(), whole.engine.Now()
		cuts := sim.Cycle(7)
		if long {
			cuts = 60
		}
		for at := sim.Cycle(1000); at < end; at += end / cuts {
			m, _ := testMachine(t, text, sets...)
			m.vmm.Start()
			m.its.arm(m.engine)
			m.engine.Run(at)
			enc := sim.NewEncoder()
			m.Sync(enc)
			fresh, _ := testMachine(t, text, sets...)
			dec := sim.NewDecoder(enc.Finish())
			fresh.Sync(dec)
			if dec.Err() != nil {
				t.Fatalf("%v, cycle %d: %v", sets, at, dec.Err())
			}
			if a, b := m.hash(), fresh.hash(); a != b {
				t.Fatalf("%v, cycle %d: saved with hash %s, restored with %s", sets, at, a, b)
			}
			for !fresh.finished() {
				if _, more := fresh.engine.Next(); !more {
					t.Fatalf("%v, cycle %d: the restored run stands still, migration %s", sets, at, fresh.vmm.Migration())
				}
				fresh.engine.Run(fresh.engine.Now() + slice)
			}
			if got := fresh.hash(); got != want {
				t.Errorf("%v, cycle %d: the restored run ends with hash %s, the whole one with %s", sets, at, got, want)
			}
		}
	}
}
