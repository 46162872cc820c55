package bench

import "testing"

// TestThrottlesConverge: a guest that dirties three times as fast as the link sends
// never comes over by itself, and does when it is slowed down, by either throttle.
func TestThrottlesConverge(t *testing.T) {
	const text = `
host:     {quantum: 1ms}
vm:       {vcpus: 1, memory: 64MiB}
tracking: {mode: ring+bitmap, ring: 1024}
workload: {pattern: uniform, accesses: 0, think: 60us}
run:      {until: 25s}
migrate:  {start: 0, bandwidth: 1GiB/s, downtime: 20ms, run_on: 1ms, link: {bandwidth: 20MiB/s}}
`
	for _, c := range []struct {
		set, state string
		least      uint64 // throttle at the end: percent, or microseconds a full ring
	}{
		{"migrate.throttle.kind=none", "active", 0},
		{"migrate.throttle={kind: auto-converge, initial: 90}", "completed", 60},
		{"migrate.throttle.kind=dirty-limit", "completed", 100_000},
	} {
		if c.least == 0 && !long {
			continue // runs to the end of its time
		}
		m, s := testMachine(t, text, c.set)
		r := runAll(t, m, s)
		rounds := r.Migration.Rounds
		last := rounds[len(rounds)-1]
		if r.Migration.State != c.state || last.Throttle < c.least || c.least == 0 && last.Throttle != 0 {
			t.Errorf("%s: %s after %d rounds, throttled by %d", c.set, r.Migration.State, len(rounds), last.Throttle)
		}
		if c.state == "completed" && (r.Audit.LostPages != 0 || r.Stat("vcpu.0.waits.throttle") == 0) {
			t.Errorf("%s: %d pages lost, %v cycles asleep", c.set, r.Audit.LostPages, r.Stat("vcpu.0.waits.throttle"))
		}
	}
}
