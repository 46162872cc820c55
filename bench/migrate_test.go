package bench

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
)

const migrateScenario = `
vm:       {vcpus: 3, memory: 24MiB}
tracking: {mode: ring+bitmap, ring: 1024}
workload: {pattern: zipf, theta: 0.8, region: own, accesses: 60000, think: 800cyc}
its:      {devices: 5, events: 9, msi_rate: 40000}
migrate:  {start: 1ms, bandwidth: 2GiB/s, downtime: 2ms}
`

const linuxMigration = `
workload: {trace: ../workloads/testdata/linux-4vcpu-small.pwt.zst}
tracking: {mode: ring+bitmap, ring: 1024}
its:      {devices: 8, events: 16, msi_rate: 20000}
migrate:  {start: 20ms, bandwidth: 500MiB/s, downtime: 20ms}
`

// long tells whether there is time for many more random runs.
var long = os.Getenv("RINGMAP_LONG") != ""

// atHandover calls f when the source has sent all of its RAM and nothing has run
// at the destination.
func atHandover(m *machine, f func()) {
	save := m.dst.in.Save
	m.dst.in.Save = func(t *kvmcore.Thread) string {
		state := save(t)
		f()
		return state
	}
}

// guestBytes calls f for every page of a VM with its bytes.
func guestBytes(h *kvmcore.Host, vm *kvmcore.VM, f func(gfn mmu.GFN, frame int, b *[mmu.FrameSize]byte)) {
	var b [mmu.FrameSize]byte
	for _, s := range vm.Slots.All() {
		for i := range s.Pages {
			for off := uint64(0); off < h.Page.Size(); off += mmu.FrameSize {
				clear(b[:])
				if pfn, ok := h.Memory.PFN(s.HVA + mmu.HVA(i<<h.Page.Shift()+off)); ok {
					h.Machine.Mem.FrameBytes(pfn, &b)
				}
				f(s.Base+mmu.GFN(i), int(off>>mmu.FrameShift), &b)
			}
		}
	}
}

// digest is the contents of a VM's memory up to a guest address.
func digest(h *kvmcore.Host, vm *kvmcore.VM, end uint64) map[string]uint64 {
	pages := map[string]uint64{}
	zero := [mmu.FrameSize]byte{}
	guestBytes(h, vm, func(gfn mmu.GFN, frame int, b *[mmu.FrameSize]byte) {
		if uint64(h.Page.IPA(gfn)) < end && *b != zero {
			pages[fmt.Sprintf("%#x.%d", gfn, frame)] = xxhash.Sum64(b[:])
		}
	})
	return pages
}

// ramEnd is where the memory that the workload has for itself ends.
func (m *machine) ramEnd() uint64 {
	ram := m.plan.Slots[0]
	return ram.Base + ram.Size - m.plan.Reserved
}

// TestMigration: with every way to track, RAM at the destination equals the
// source's when the VM goes over, every pending interrupt arrives once, and the
// guest ends there as it would have ended at the source.
func TestMigration(t *testing.T) {
	for _, c := range []struct {
		name, text string
		sets       []string
		long       bool
	}{
		{"ring+bitmap", migrateScenario, nil, false},
		{"bitmap", migrateScenario, []string{"tracking={mode: bitmap}"}, false},
		{"clear-log", migrateScenario, []string{"tracking={mode: bitmap, manual_protect: initially-set}", "vmm.clear=manual"}, false},
		{"interval", migrateScenario, []string{"vmm={harvest: interval, interval: 1ms}"}, true},
		{"on-full-own", migrateScenario, []string{"vmm.harvest=on-full-own"}, true},
		{"saves on the way", migrateScenario, []string{"its.save=3ms"}, true},
		{"64KiB pages", migrateScenario, []string{"host.page=64KiB", "tracking.ring=4096"}, false},
		{"huge pages", migrateScenario, []string{"vm={vcpus: 3, memory: 24MiB, backing: thp}"}, true},
		{"stolen time", migrateScenario, []string{"tracking.stolen_time=on"}, true},
		{"zeros detected", migrateScenario, []string{"migrate.zero_pages=detect"}, true},
		{"linux, ring+bitmap", linuxMigration, nil, false},
		{"linux, bitmap", linuxMigration, []string{"tracking={mode: bitmap}"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.long && !long {
				t.Skip("make test-long")
			}
			m, s := testMachine(t, c.text, c.sets...)
			compared := false
			atHandover(m, func() {
				compared = true
				if d := differing(m); len(d) != 0 {
					t.Errorf("%d pages differ when the VM goes over, the first is %#x", len(d), d[0])
				}
			})
			r := runAll(t, m, s)
			if g := r.Migration; g.State != "completed" || g.Runs != "destination" || !compared {
				t.Fatalf("the migration ended as %+v", g)
			}
			if r.Audit.LostPages != 0 || !r.Audited {
				t.Errorf("%d pages lost: %v", r.Audit.LostPages, r.Audit.Causes)
			}
			n := r.Migration.Interrupts
			if diff := cmp.Diff(lpiCount{Pending: n.Pending, Arrived: n.Pending}, n); diff != "" || n.Pending == 0 {
				t.Errorf("interrupts (-want +got), %d pending:\n%s", n.Pending, diff)
			}
			m.checkPlaces(t)

			alone, plain := testMachine(t, c.text, append(c.sets, "migrate.start=never")...)
			runAll(t, alone, plain)
			if got, want := m.instructions(), alone.instructions(); got != want {
				t.Errorf("%d instructions, without migration %d", got, want)
			}
			if diff := cmp.Diff(len(digest(alone.host, alone.vm, m.ramEnd())), len(digest(m.dst.host, m.dst.vm, m.ramEnd()))); diff != "" {
				t.Errorf("frames with data, without and with a migration: %s", diff)
			}
			if m.plan.Pattern.Pattern == "" {
				return // vCPUs share pages: whose store is the last goes with their timing
			}
			if !maps.Equal(digest(alone.host, alone.vm, m.ramEnd()), digest(m.dst.host, m.dst.vm, m.ramEnd())) {
				t.Error("memory in the end differs from that without a migration")
			}
		})
	}
}

// checkPlaces: nothing ran at the source after it gave the VM up, nor at the
// destination before it was allowed to; and one of both could run to the end.
func (m *machine) checkPlaces(t *testing.T) {
	t.Helper()
	var src, dst uint64
	for i, v := range m.vm.VCPUs {
		src += v.Stats.Runs
		dst += m.dst.vm.VCPUs[i].Stats.Runs
	}
	over := m.vmm.Migration() == vmm.MigrateCompleted
	if ran := dst != 0; ran != over {
		t.Errorf("migration %s, and the destination has run: %v", m.vmm.Migration(), ran)
	}
	if over {
		for i, v := range m.vm.VCPUs {
			if v.Thread.Core.Now > m.vmm.Ended() {
				t.Errorf("vCPU %d of the source ran until cycle %d, and was given up at %d", i, v.Thread.Core.Now, m.vmm.Ended())
			}
		}
		if m.dst.vmm.Began() < m.vmm.Ended() {
			t.Errorf("the destination began at cycle %d, the source gave up at %d", m.dst.vmm.Began(), m.vmm.Ended())
		}
	}
	if src == 0 {
		t.Error("the source never ran")
	}
}

// TestMigrationLosses: what the wrong tracking and the wrong order lose is found
// and named, and the interrupts that were in those pages do not arrive.
func TestMigrationLosses(t *testing.T) {
	for _, c := range []struct{ set, cause string }{
		{"tracking.mode=ring", "no_vcpu"},
		{"vmm.collect=before-save", "collected_too_early"},
	} {
		for _, text := range []string{migrateScenario, linuxMigration} {
			m, s := testMachine(t, text, c.set)
			var lost []mmu.GFN
			atHandover(m, func() { lost = differing(m) })
			r := runAll(t, m, s)
			if r.Migration.State != "completed" || len(lost) == 0 {
				t.Errorf("%s: migration %s with %d pages lost", c.set, r.Migration.State, len(lost))
			}
			var named []mmu.GFN
			for _, p := range r.Audit.Lost {
				named = append(named, mmu.GFN(p.GFN))
				if p.Cause != c.cause {
					t.Errorf("%s: page %#x was lost by %s", c.set, p.GFN, p.Cause)
				}
			}
			if diff := cmp.Diff(lost, named); diff != "" {
				t.Errorf("%s: bytes that differ against pages named:\n%s", c.set, diff)
			}
			if n := r.Migration.Interrupts; n.Pending == 0 || n.Lost == 0 {
				t.Errorf("%s: interrupts %+v", c.set, n)
			}
		}
	}
}

// TestRandomMigrations: whatever the tracking, the sizes, the rates and the
// throttle, and whatever fails when: the VM runs on in one place, complete.
func TestRandomMigrations(t *testing.T) {
	runs := 20
	if long {
		runs = 200
	}
	ends := map[string]int{}
	for seed := range runs {
		ends[randomMigration(t, uint64(seed))]++
	}
	for _, state := range []string{"completed", "failed", "cancelled"} {
		if ends[state] == 0 {
			t.Errorf("no migration ended as %s: %v", state, ends)
		}
	}
}

func randomMigration(t *testing.T, seed uint64) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	number := func(low, high int) int { return low + rng.IntN(high-low) }
	sets := []string{
		fmt.Sprintf("seed=%d", seed),
		"tracking={" + pick("mode: bitmap", "mode: ring+bitmap, ring: 256", "mode: ring+bitmap, ring: 1024") + "}",
		fmt.Sprintf("vm={vcpus: %d, memory: %dMiB, backing: %s}", number(1, 6), number(8, 40), pick("4k", "thp")),
		fmt.Sprintf("workload={pattern: %s, region: %s, accesses: %d, think: %dcyc}",
			pick("zipf", "uniform", "sequential", "hotcold"), pick("own", "shared"), number(2000, 40000), pick3(rng, 0, 300, 5000)),
		fmt.Sprintf("its={devices: %d, events: %d, msi_rate: %d}", number(1, 9), number(1, 20), number(1000, 100000)),
		"vmm.harvest=" + pick("on-full-all", "on-full-own"),
		fmt.Sprintf("migrate.start=%dus", number(0, 3000)),
		fmt.Sprintf("migrate.bandwidth=%dMiB/s", number(50, 3000)),
		fmt.Sprintf("migrate.downtime=%dms", number(1, 30)),
		fmt.Sprintf("migrate.link={bandwidth: %dMbit/s, latency: %dus, buffer: %dKiB}", number(500, 20000), number(1, 500), 64<<number(0, 6)),
		"migrate.throttle.kind=" + pick("none", "none", "auto-converge"),
		"migrate.fail=" + pick("none", "link-drop", "link-drop", "refuse", "cancel"),
		fmt.Sprintf("migrate.fail_at=%dus", number(0, 60000)),
		"migrate.zero_pages=" + pick("send", "detect"),
		"run.until=" + pick("done", "done", "50ms"),
	}
	m, s := testMachine(t, "{}", sets...)
	var lost []mmu.GFN
	atHandover(m, func() { lost = differing(m) })
	r := runAll(t, m, s)
	m.checkPlaces(t)
	g := r.Migration
	fault := ""
	switch n := g.Interrupts; {
	case len(lost) != 0 || r.Audit.LostPages != 0:
		fault = fmt.Sprintf("%d pages lost, the audit says %d", len(lost), r.Audit.LostPages)
	case g.Runs == "destination" && (n.Arrived != n.Pending || n.Spurious != 0):
		fault = fmt.Sprintf("interrupts %+v", n)
	case len(m.vmm.Findings)+len(m.dst.vmm.Findings) != 0:
		fault = fmt.Sprint(m.vmm.Findings, m.dst.vmm.Findings)
	case g.State == "completed" && m.plan.Migrate.Failure == vmm.FailRefuse:
		fault = "the destination refused and runs"
	case m.plan.Until == 0 && m.guestsLeft() != 0:
		fault = fmt.Sprintf("%d guests never ended", m.guestsLeft())
	}
	if fault != "" {
		t.Errorf("seed %d, %s: %s\n%q", seed, g.State, fault, sets)
	}
	return g.State
}

func pick3(rng *rand.Rand, list ...int) int { return list[rng.IntN(len(list))] }

// guestsLeft are the vCPUs whose work is not done where the VM runs.
func (m *machine) guestsLeft() int {
	if m.vmm.Migration() == vmm.MigrateCompleted {
		return m.dst.vmm.Live()
	}
	return m.vmm.Live()
}

// BenchmarkPrecopy64GiB migrates a guest of 64 GiB that dirties 100,000 pages a
// second, to completion.
func BenchmarkPrecopy64GiB(b *testing.B) {
	for range b.N {
		s, err := scenario.Load("../scenarios/large/migrate-64gib.yaml")
		if err != nil {
			b.Fatal(err)
		}
		r, err := Run(s, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if r.Migration.State != "completed" || r.Audit.LostPages != 0 {
			b.Fatalf("migration %s, %d pages lost", r.Migration.State, r.Audit.LostPages)
		}
		b.ReportMetric(float64(r.Migration.Total)/3e9, "simulated-s")
		b.ReportMetric(float64(len(r.Migration.Rounds)), "rounds")
	}
}
