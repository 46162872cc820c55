package bench

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// collector notes when each page was collected last, behind the audit's back.
type collector struct {
	inner interface {
		Open(sim.Cycle)
		Collect(mmu.GFN, mmu.PFN, sim.Cycle)
		Close(sim.Cycle)
	}
	last map[mmu.GFN]sim.Cycle
}

func (c *collector) Open(now sim.Cycle)  { c.inner.Open(now) }
func (c *collector) Close(now sim.Cycle) { c.inner.Close(now) }
func (c *collector) Collect(gfn mmu.GFN, src mmu.PFN, now sim.Cycle) {
	c.last[gfn] = now
	c.inner.Collect(gfn, src, now)
}

// runAll runs a machine to its end and returns its record.
func runAll(t *testing.T, m *machine, s *scenario.Scenario) *Result {
	t.Helper()
	r := newResult(s, m.plan, "")
	if err := m.simulate(r, Options{}); err != nil {
		t.Fatal(err)
	}
	m.record(r, s)
	return r
}

// differing compares every page of the guest with the destination's, byte by
// byte: what is really lost.
func differing(m *machine) (pages []mmu.GFN) {
	var a, b [mmu.FrameSize]byte
	per := m.plan.Page.Size() >> mmu.FrameShift
	for _, s := range m.vm.Slots.All() {
		for i := range s.Pages {
			pfn, ok := m.host.Memory.PFN(s.HVA + mmu.HVA(i<<m.plan.Page.Shift()))
			gfn := s.Base + mmu.GFN(i)
			for f := range per {
				clear(a[:])
				if ok {
					m.host.Machine.Mem.FrameBytes(pfn+mmu.PFN(f), &a)
				}
				m.dest.FrameBytes(mmu.PFN(uint64(gfn)*per+f), &b)
				if a != b {
					pages = append(pages, gfn)
					break
				}
			}
		}
	}
	return pages
}

const dropScenario = `
vm:       {vcpus: 3, memory: 96MiB}
tracking: {mode: ring+bitmap, ring: 1024}
workload: {pattern: zipf, theta: 0.8, region: shared, accesses: 40000}
vmm:      {harvest: on-full-all, interval: 3ms}
`

// TestAuditNamesDroppedRecords: with every nth record dropped, the audit names
// exactly the pages that no later record recovers. Two independent lists say
// which these are: the bytes of all of memory, and the story of every page that
// had a record dropped.
func TestAuditNamesDroppedRecords(t *testing.T) {
	for _, c := range []struct {
		name, text string
		sets       []string
		stories    bool // also run once for each page with a dropped record
	}{
		{"rings", dropScenario, []string{"hazards.drop_every=1000"}, true},
		{"each second", dropScenario, []string{"hazards.drop_every=2"}, false},
		{"bitmap", dropScenario, []string{"hazards.drop_every=1000", "tracking={mode: bitmap}", "vmm.interval=2ms"}, true},
		{"its", dropScenario, []string{"hazards.drop_every=10", "its={devices: 5, save: 4ms}"}, false},
		{"linux", "workload: {trace: ../workloads/testdata/linux-4vcpu-small.pwt.zst}", []string{"hazards.drop_every=1000", "vmm.interval=50ms"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, s := testMachine(t, c.text, append(c.sets, "audit.list=100000")...)
			seen := &collector{inner: m.audit, last: map[mmu.GFN]sim.Cycle{}}
			m.vmm.Audit = seen
			r := runAll(t, m, s)

			var named []mmu.GFN
			for _, p := range r.Audit.Lost {
				named = append(named, mmu.GFN(p.GFN))
				if p.Cause != kvmcore.LossDropped.String() {
					t.Errorf("page %#x: cause %s", p.GFN, p.Cause)
				}
			}
			if len(named) == 0 || uint64(len(named)) != r.Audit.LostPages {
				t.Fatalf("%d pages named, %d counted", len(named), r.Audit.LostPages)
			}
			if diff := cmp.Diff(differing(m), named); diff != "" {
				t.Errorf("bytes that differ against pages named:\n%s", diff)
			}
			dropped := map[mmu.GFN]sim.Cycle{}
			for _, l := range m.host.Losses {
				if l.Cause == kvmcore.LossDropped {
					dropped[l.GFN] = l.At
				}
			}
			for _, gfn := range named {
				if dropped[gfn] == 0 {
					t.Errorf("page %#x is named, and no record of it was dropped", gfn)
				}
			}
			if len(dropped) <= len(named) {
				t.Errorf("of %d pages with a dropped record none was recovered", len(dropped))
			}
			if !c.stories {
				return
			}
			for _, gfn := range slices.Sorted(maps.Keys(dropped))[:min(len(dropped), 20)] {
				at := dropped[gfn]
				later := recordAfter(t, gfn, at, c.text, c.sets)
				lost := slices.Contains(named, gfn)
				// A record from before the drop may have been collected after it.
				lucky := seen.last[gfn] > at
				if later && lost || !later && !lost && !lucky {
					t.Errorf("page %#x: named %v, recorded again after cycle %d %v", gfn, lost, at, later)
				}
			}
		})
	}
}

// recordAfter runs the scenario once more, watching one page, and tells whether
// it was recorded again after the cycle at which its last record was dropped.
func recordAfter(t *testing.T, gfn mmu.GFN, at sim.Cycle, text string, sets []string) bool {
	m, s := testMachine(t, text, sets...)
	m.watch(uint64(gfn))
	runAll(t, m, s)
	for _, e := range m.host.Story.Events {
		if e.At > at && (e.Kind == kvmcore.StoryPushed || e.Kind == kvmcore.StoryBitSet) {
			return true
		}
	}
	return false
}

// TestNothingIsLost: over modes, policies, backings and page sizes the
// destination ends with the guest's bytes, wherever the kernel records all writes.
func TestNothingIsLost(t *testing.T) {
	for _, sets := range [][]string{
		{},
		{"vmm.harvest=on-full-own"},
		{"vmm.harvest=interval", "tracking.ring=256", "vmm.interval=1ms"},
		{"tracking={mode: bitmap}"},
		{"tracking={mode: bitmap, manual_protect: enable}", "vmm.clear=manual"},
		{"tracking={mode: bitmap, manual_protect: initially-set}", "vmm.clear=manual", "vm.backing=thp"},
		{"vm.backing=thp"},
		{"vm.backing=hugetlb2m", "tracking.eager_split=2MiB"},
		{"vm.populated=off", "workload.writes=50%"},
		{"host.page=64KiB", "tracking.ring=4096"},
		{"host.page=16KiB", "tracking.ring=1024", "vm.backing=thp"},
		{"kernel=6.12"},
		{"kernel=7.2+fixed", "tracking={mode: ring, ring: 1024}", "vm.backing=thp"},
		{"tracking={mode: ring, ring: 512}"},
		{"its={devices: 7, events: 9, save: 2ms}", "tracking.stolen_time=on"},
		{"its={devices: 7, save: end}", "tracking={mode: bitmap}"},
		{"run.until=8ms", "workload.accesses=0"},
		{"vm.slots=[{base: 0x40000000, size: 32MiB}, {base: 0x80000000, size: 16MiB, backing: thp}]", "vm.memory=auto"},
		{"host.quantum=1cyc", "workload.accesses=4000"},
		{"host.quantum=1000000cyc"},
	} {
		m, s := testMachine(t, `
vm:       {vcpus: 3, memory: 64MiB}
tracking: {mode: ring+bitmap, ring: 512}
workload: {pattern: hotcold, region: shared, accesses: 20000}
vmm:      {interval: 2ms}
`, sets...)
		r := runAll(t, m, s)
		if n := r.Audit.LostPages; n != 0 {
			t.Errorf("%v: %d pages lost, %v", sets, n, r.Audit.Causes)
		}
		if pages := differing(m); len(pages) != 0 {
			t.Errorf("%v: %d pages differ", sets, len(pages))
		}
		if len(r.Findings) != 0 {
			t.Errorf("%v: %q", sets, r.Findings)
		}
		if r.Stat("audit.changed_pages") == 0 {
			t.Errorf("%v: nothing changed", sets)
		}
	}
}

// TestCollectedTooEarly: collecting before the ITS's save leaves its pages behind.
func TestCollectedTooEarly(t *testing.T) {
	m, s := testMachine(t, dropScenario, "its={devices: 5, save: end}", "vmm.collect=before-save")
	r := runAll(t, m, s)
	if n := r.Audit.LostPages; n == 0 || len(r.Audit.Causes) != 1 || r.Audit.Causes[0].Cause != "collected_too_early" {
		t.Errorf("%d pages lost, %v", n, r.Audit.Causes)
	}
	if diff := cmp.Diff(len(differing(m)), int(r.Audit.LostPages)); diff != "" {
		t.Error(diff)
	}
}

// TestThreadTimesAddUp: what a thread executed and waited for is all the time
// there was, for vCPUs from the moment that they were let go.
func TestThreadTimesAddUp(t *testing.T) {
	m, s := testMachine(t, dropScenario, "its={devices: 3, save: 2ms}", "tracking.stolen_time=on")
	r := runAll(t, m, s)
	gap := func(i int, now sim.Cycle) uint64 { return uint64(now) - r.Threads[i].Total }
	if g := gap(m.plan.VCPUs, m.vmm.Main().Core.Now); g != 0 {
		t.Errorf("%d cycles of the VMM's thread are not accounted for", g)
	}
	start := gap(0, m.vm.VCPUs[0].Thread.Core.Now)
	if start > 10_000 {
		t.Errorf("vCPU 0 has %d cycles before its start", start)
	}
	for i, v := range m.vm.VCPUs {
		if g := gap(i, v.Thread.Core.Now); g != start {
			t.Errorf("vCPU %d: %d cycles are not accounted for", i, int64(g-start))
		}
	}
}

// TestSlowdown is a ratio of cycles for fixed work, of work for fixed time, and 1
// without tracking.
func TestSlowdown(t *testing.T) {
	for _, c := range []struct {
		set string
		min float64
	}{
		{"name=work", 1.01},
		{"run.until=5ms", 1.01},
	} {
		s, err := scenario.Parse("t.yaml", []byte(dropScenario))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Set(c.set, c.set); err != nil {
			t.Fatal(err)
		}
		if s.Run.Until.Done == false {
			if err := s.Set("", "workload.accesses=0"); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Run(s, Options{Baseline: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Stat("guest.slowdown"); got < c.min {
			t.Errorf("%s: slowdown %v", c.set, got)
		}
	}
}

// TestRecordIsValid: the hand-written parts of the record are JSON, and names
// are not repeated.
func TestRecordIsValid(t *testing.T) {
	m, s := testMachine(t, dropScenario, "its={devices: 3}")
	r := runAll(t, m, s)
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("{\n  \"version\": ")) || !bytes.HasSuffix(text, []byte("}\n")) {
		t.Errorf("%.60q … %q", text, text[len(text)-20:])
	}
	seen := map[string]bool{}
	for _, st := range r.Stats {
		if seen[st.Name] || st.Name == "" || st.Desc == "" {
			t.Errorf("statistic %q twice or unexplained", st.Name)
		}
		seen[st.Name] = true
	}
}
