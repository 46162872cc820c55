package bench

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"ringmap/kvmcore/vmm"
	"ringmap/sim"
)

const checkpointScenario = `
vm:         {vcpus: 3, memory: 12MiB}
tracking:   {mode: ring+bitmap, ring: 256}
workload:   {pattern: zipf, theta: 0.8, region: own, accesses: 6000, think: 2000cyc}
its:        {devices: 5, events: 9, msi_rate: 40000}
checkpoint: {epoch: 500us, detect: 1ms}
`

// TestFailover: whenever the primary dies, the backup goes on from the last epoch
// that it has whole and ends as the guest would have ended without a failure.
func TestFailover(t *testing.T) {
	for _, sets := range [][]string{
		nil, {"tracking={mode: bitmap}"}, {"checkpoint.mode=colo"}, {"checkpoint={epoch: never, pages: 300, detect: 1ms}"}, {"vm.backing=thp"},
	} {
		alone, plain := testMachine(t, checkpointScenario, append(sets, "checkpoint={epoch: never, pages: 0}")...)
		if alone.plan.Track == vmm.TrackBitmap {
			alone, plain = testMachine(t, checkpointScenario, append(sets, "checkpoint={epoch: never, pages: 0}", "vmm.interval=1ms")...)
		}
		runAll(t, alone, plain)
		want := digest(alone.host, alone.vm, alone.ramEnd())
		whole, s := testMachine(t, checkpointScenario, sets...)
		r := runAll(t, whole, s)
		if r.Audit.LostPages != 0 || len(r.Epochs) < 3 || r.Stat("epoch.commits") != r.Stat("epoch.count") {
			t.Fatalf("%v: %d pages lost, %d epochs", sets, r.Audit.LostPages, len(r.Epochs))
		}
		if !maps.Equal(want, digest(whole.host, whole.vm, whole.ramEnd())) {
			t.Errorf("%v: checkpoints change what the guest computes", sets)
		}
		seen := map[uint64]bool{}
		end := uint64(whole.vmm.Ended())
		failures := uint64(5)
		if long {
			failures = 25
		}
		for i := range failures {
			m, s := testMachine(t, checkpointScenario, append(sets, fmt.Sprintf("checkpoint.fail_at=%dcyc", 1000+end*i/(failures+1)))...)
			r := runAll(t, m, s)
			if i == 0 {
				if r.Failover != "nobody" {
					t.Errorf("%v: before the first epoch %q runs the VM", sets, r.Failover)
				}
				continue
			}
			seen[uint64(r.Stat("epoch.commits"))] = true
			if r.Failover != "backup" || m.dst.vmm.Live() != 0 {
				t.Fatalf("%v, cycle %d: %q runs the VM after %v commits", sets, 1000+end*i/(failures+1), r.Failover, r.Stat("epoch.commits"))
			}
			if !maps.Equal(want, digest(m.dst.host, m.dst.vm, m.ramEnd())) {
				t.Errorf("%v, failure %d: memory in the end differs from that of the uninterrupted run", sets, i)
			}
			if n := m.dst.lpis; n.Lost != 0 || n.Spurious != 0 {
				t.Errorf("%v, failure %d: interrupts %+v", sets, i, n)
			}
			for _, v := range m.vm.VCPUs {
				if v.Thread.Core.Now > m.dst.vmm.Began() {
					t.Errorf("%v, failure %d: the primary ran until cycle %d, the backup from %d on", sets, i, v.Thread.Core.Now, m.dst.vmm.Began())
				}
			}
		}
		if len(seen) < 2 {
			t.Errorf("%v: restored from the epochs %v only", sets, seen)
		}
	}
}

// TestEpochBudget: with rings an epoch ends soon after so many pages: what comes on
// top is what full rings bring.
func TestEpochBudget(t *testing.T) {
	for _, ring := range []uint64{256, 512} {
		m, s := testMachine(t, "vm: {vcpus: 3, memory: 12MiB}", fmt.Sprintf("tracking.ring=%d", ring),
			"workload={pattern: uniform, region: own, accesses: 20000, think: 300cyc}", "checkpoint={epoch: never, pages: 700, link: {bandwidth: 100Gbit/s}}")
		r := runAll(t, m, s)
		most := 2 * (ring - 64) * uint64(m.plan.VCPUs)
		if n := r.Stat("epoch.overshoot_pages"); n == 0 || n > float64(most) || r.Audit.LostPages != 0 || len(r.Epochs) < 4 {
			t.Errorf("ring of %d: %v pages beyond the budget in %d epochs, at most %d", ring, n, len(r.Epochs), most)
		}
	}
}

// TestRandomCheckpoints: whatever is tracked how, and whenever the primary dies:
// nothing is lost, and the backup is complete or has nothing yet.
func TestRandomCheckpoints(t *testing.T) {
	runs := 12
	if long {
		runs = 200
	}
	took := 0
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 11))
		pick := func(list ...string) string { return list[rng.IntN(len(list))] }
		sets := []string{
			fmt.Sprintf("seed=%d", seed),
			"tracking={" + pick("mode: bitmap", "mode: ring+bitmap, ring: 256", "mode: ring+bitmap, ring: 1024") + "}",
			fmt.Sprintf("vm={vcpus: %d, memory: %dMiB, backing: %s}", 1+rng.IntN(4), 8+rng.IntN(20), pick("4k", "thp")),
			fmt.Sprintf("workload={pattern: %s, region: %s, accesses: %d, think: %dcyc}", pick("zipf", "uniform", "sequential"), pick("own", "shared"), 1000+rng.IntN(8000), 100+rng.IntN(5000)),
			fmt.Sprintf("its={devices: %d, events: %d, msi_rate: %d}", 1+rng.IntN(8), 1+rng.IntN(20), 1000+rng.IntN(90000)),
			"vmm.harvest=" + pick("on-full-all", "on-full-own"),
			fmt.Sprintf("checkpoint={epoch: %dus, pages: %s, mode: %s, detect: %dus, link: {bandwidth: %dMbit/s, latency: %dus}}",
				50+rng.IntN(4000), pick("0", "0", "100", "900"), pick("remus", "colo"), rng.IntN(3000), 500+rng.IntN(20000), 1+rng.IntN(300)),
			"checkpoint.fail_at=" + pick("never", fmt.Sprintf("%dus", rng.IntN(20000))),
		}
		m, s := testMachine(t, "{}", sets...)
		r := runAll(t, m, s)
		n := m.dst.lpis
		switch {
		case r.Failover == "" && (r.Audit.LostPages != 0 || m.vmm.Live() != 0),
			r.Failover == "backup" && (m.dst.vmm.Live() != 0 || n.Lost != 0 || n.Spurious != 0),
			r.Failover == "nobody" && r.Stat("epoch.commits") != 0,
			len(r.Findings) != 0:
			t.Errorf("seed %d: failover %q, %d pages lost, %v commits, interrupts %+v, findings %v\n%q", seed, r.Failover, r.Audit.LostPages, r.Stat("epoch.commits"), n, r.Findings, sets)
		}
		if r.Failover == "backup" {
			took++
		}
	}
	if took == 0 {
		t.Error("no backup ever took over")
	}
}

// TestCheckpointSnapshot cuts a run with checkpoints at many places.
func TestCheckpointSnapshot(t *testing.T) {
	for _, sets := range [][]string{{"checkpoint.fail_at=4ms"}, {"checkpoint.mode=colo", "tracking={mode: bitmap}"}} {
		sets = append(sets, "vm={vcpus: 2, memory: 6MiB}", "workload.accesses=1500")
		whole, s := testMachine(t, checkpointScenario, sets...)
		if err := whole.simulate(newResult(s, whole.plan, ""), Options{}); err != nil {
			t.Fatal(err)
		}
		want, end := whole.hash(), whole.engine.Now()
		for at := sim.Cycle(1000); at < end; at += end / 7 {
			m, _ := testMachine(t, checkpointScenario, sets...)
			m.vmm.Start()
			m.its.arm(m.engine)
			m.engine.Run(at)
			enc := sim.NewEncoder()
			m.Sync(enc)
			fresh, _ := testMachine(t, checkpointScenario, sets...)
			dec := sim.NewDecoder(enc.Finish())
			if fresh.Sync(dec); dec.Err() != nil {
				t.Fatalf("%v, cycle %d: %v", sets, at, dec.Err())
			}
			for !fresh.finished() {
				if _, more := fresh.engine.Next(); !more {
					t.Fatalf("%v, cycle %d: the restored run stands still", sets, at)
				}
				fresh.engine.Run(fresh.engine.Now() + slice)
			}
			if got := fresh.hash(); got != want {
				t.Errorf("%v, cycle %d: the restored run ends with hash %s, the whole one with %s", sets, at, got, want)
			}
		}
	}
}
