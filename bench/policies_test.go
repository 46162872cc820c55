package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

// small is a scenario in which rings fill and the kernel writes without a vCPU,
// with settings over it.
func small(t *testing.T, settings ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte(`
vm: {vcpus: 3, memory: 16MiB}
tracking: {ring: 256}
workload: {pattern: uniform, accesses: 3000}
outside: {rate: 300000, paused: 50us}
vmm: {interval: 1ms}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range settings {
		if err := s.Set("--set "+set, set); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestPolicies runs every design end to end: what is lost, for which cause, and
// what must have happened on the way.
func TestPolicies(t *testing.T) {
	for _, tc := range []struct {
		name   string
		set    []string
		causes []string // of lost pages
		some   []string // statistics that must not be 0
		none   []string // statistics that must be 0
	}{
		{name: "ring+bitmap", some: []string{"ring.full_exits", "bitmap.bits_set"}, none: []string{"ring.overruns", "vmring.pushes"}},
		{name: "ring", set: []string{"tracking.mode=ring"}, causes: []string{"no_vcpu"}, some: []string{"lost.no_vcpu"}},
		{name: "bitmap", set: []string{"tracking.mode=bitmap"}, some: []string{"bitmap.vcpu_records"}, none: []string{"ring.pushes"}},
		{name: "require-bitmap", set: []string{"tracking.mode=require-bitmap"}, some: []string{"bitmap.bits_set"}},
		{name: "vmring/none", set: []string{"tracking.mode=vmring", "tracking.kick=none", "tracking.vm_ring=512"},
			some: []string{"vmring.pushes", "bitmap.records"}, none: []string{"vmring.kicks", "vmring.drops"}},
		{name: "vmring/vcpu0", set: []string{"tracking.mode=vmring", "tracking.vm_ring=128", "outside.rate=2000000", "outside.paused=0"}, some: []string{"vmring.pushes", "vmring.kicks", "vcpu.0.exits.ring_full"}, none: []string{"bitmap.records"}},
		{name: "vmring/round-robin", set: []string{"tracking.mode=vmring", "tracking.kick=round-robin", "tracking.vm_ring=128", "outside.rate=2000000", "outside.paused=0"}, some: []string{"vmring.kicks"}},
		{name: "vmring/all", set: []string{"tracking.mode=vmring", "tracking.kick=all", "tracking.vm_ring=128", "outside.rate=2000000", "outside.paused=0"}, some: []string{"vmring.kicks"}},
		{name: "vmring/paused", set: []string{"tracking.mode=vmring", "outside.paused=2ms", "outside.memory=8MiB"}, causes: []string{"vmring_full_paused"}, some: []string{"lost.vmring_full_paused"}},
		{name: "vmring/too fast", set: []string{"tracking.mode=vmring", "tracking.kick=none", "tracking.vm_ring=64", "outside.rate=1000000", "outside.memory=12MiB", "outside.paused=0"}, causes: []string{"vmring_full"}, some: []string{"vmring.drops"}},
		{name: "vmring-1", set: []string{"tracking.mode=vmring-1", "outside.rate=20000", "outside.paused=0"}, some: []string{"vmring.kicks"}},
		{name: "ring-overflow-bitmap", set: []string{"tracking.mode=ring-overflow-bitmap"}, some: []string{"ring.overflows"}, none: []string{"ring.full_exits", "ring.overruns"}},
		{name: "ring-overflow-bitmap/hard", set: []string{"tracking.mode=ring-overflow-bitmap", "tracking.overflow=hard"}, some: []string{"ring.overflows"}, none: []string{"ring.full_exits", "ring.overruns"}},
		{name: "ring-flagged-bitmap", set: []string{"tracking.mode=ring-flagged-bitmap", "vmm.interval=100us"}, some: []string{"ring.full_flags", "vmm.flagged_rounds"}, none: []string{"ring.full_exits", "ring.overruns"}},
		{name: "pause-all", set: []string{"vmm.harvest=pause-all"}, some: []string{"vmm.pause_alls", "ring.full_exits"}},
		{name: "interval", set: []string{"vmm.harvest=interval"}, some: []string{"ring.full_exits"}},
		// Every vCPU waits for room in its own ring, so that there is nobody to kick.
		{name: "vmring/interval", set: []string{"vmm.harvest=interval", "tracking.mode=vmring", "tracking.vm_ring=128", "outside.paused=0", "outside.rate=200000"}, causes: []string{"vmring_full_paused"}, some: []string{"vmring.drops"}},
		{name: "vmring/pause-all", set: []string{"vmm.harvest=pause-all", "tracking.mode=vmring", "tracking.kick=all"}, some: []string{"vmm.pause_alls"}},
		{name: "shared-line", set: []string{"tracking.layout=shared-line"}, some: []string{"ring.full_exits"}},
		{name: "padded", set: []string{"tracking.layout=padded", "tracking.mode=vmring"}, some: []string{"vmring.pushes"}},
		{name: "user-copy", set: []string{"tracking.layout=user-copy"}, some: []string{"mem.user_ring_bytes"}},
		{name: "any size", set: []string{"tracking.ring_sizes=any", "tracking.ring=300"}, some: []string{"ring.full_exits"}},
		{name: "growing", set: []string{"tracking.ring_max=1024"}, some: []string{"ring.resizes"}, none: []string{"ring.overruns"}},
		{name: "no reserve", set: []string{"tracking.reserve=0"}, some: []string{"ring.full_exits"}, none: []string{"ring.overruns"}},
		{name: "sized blocks", set: []string{"tracking.entry=sized", "tracking.huge=block", "vm.backing=thp"}, none: []string{"fault.splits", "lost.block_mapping"}},
		{name: "sized blocks, indexed", set: []string{"tracking.entry=sized", "tracking.huge=block", "vm.backing=thp", "tracking.layout=padded"}, none: []string{"fault.splits"}},
		{name: "bitmap blocks", set: []string{"tracking.mode=bitmap", "tracking.huge=block", "vm.backing=thp"}, none: []string{"fault.splits"}},
		{name: "exclusive lock", set: []string{"host.mmu_lock=exclusive", "host.relax_tlbi=broadcast"}, some: []string{"lock.mmu.contended"}},
		{name: "few cores", set: []string{"host.cores=2", "host.timeslice=50us"}, some: []string{"sched.preemptions", "vcpu.0.waits.cpu"}},
		{name: "stolen", set: []string{"host.cores=1", "host.timeslice=50us", "tracking.stolen_time=on"}, some: []string{"steal.updates"}},
		{name: "mapped blocks", set: []string{"vm.mapped=on", "vm.backing=thp", "tracking.mode=bitmap"}, some: []string{"protect.blocks", "fault.splits"}},
		{name: "edits", set: []string{"vmm.edits=20000"}, causes: []string{"ring_edited"}, some: []string{"vmm.edits"}},
		{name: "noticed", set: []string{"tracking.mode=ring", "tracking.detect=first-loss"}, causes: []string{"no_vcpu"}, some: []string{"noticed.cycle"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := func() *Result {
				r, err := Run(small(t, tc.set...), Options{Hashes: true})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			r := run()
			causes := []string(nil)
			for _, c := range r.Audit.Causes {
				causes = append(causes, c.Cause)
			}
			if d := cmp.Diff(tc.causes, causes); d != "" {
				t.Errorf("causes of lost pages (-want +got):\n%s", d)
			}
			for _, name := range tc.some {
				if v, ok := r.Lookup(name); !ok || v == 0 {
					t.Errorf("%s = %v", name, v)
				}
			}
			for _, name := range tc.none {
				if v, ok := r.Lookup(name); !ok || v != 0 {
					t.Errorf("%s = %v, and should be 0", name, v)
				}
			}
			if d := cmp.Diff(r.Hashes, run().Hashes); d != "" {
				t.Errorf("state hashes of two runs (-first +second):\n%s", d)
			}
		})
	}
}

// TestPolicySnapshots: a design saved in the middle continues to the same record.
func TestPolicySnapshots(t *testing.T) {
	for _, set := range [][]string{
		{"tracking.mode=vmring", "tracking.kick=all", "tracking.layout=shared-line", "vmm.harvest=pause-all"},
		{"tracking.mode=vmring", "tracking.kick=round-robin", "tracking.ring_sizes=any", "tracking.ring=300", "tracking.vm_ring=77"},
		{"tracking.mode=ring-flagged-bitmap", "tracking.reserve=0"},
		{"tracking.ring_max=2048", "vmm.edits=10000", "tracking.layout=padded"},
		{"tracking.entry=sized", "tracking.huge=block", "vm.backing=thp", "vm.mapped=on"},
		{"host.cores=2", "host.pinned=off", "host.timeslice=40us", "tracking.stolen_time=on"},
		{"host.cores=1", "host.timeslice=40us", "tracking.mode=bitmap"},
	} {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			whole, err := Run(small(t, set...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			at := scenario.Time{Cycles: whole.Cycles / 2}
			saved, err := Run(small(t, set...), Options{Snapshot: at})
			if err != nil {
				t.Fatal(err)
			}
			resumed, err := Run(small(t, set...), Options{Resume: saved.Snapshot, ResumeName: "test.snap"})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := whole.JSON()
			b, _ := resumed.JSON()
			if d := cmp.Diff(string(a), string(b)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestImpossibleDesigns: combinations that cannot be are refused with the fix.
func TestImpossibleDesigns(t *testing.T) {
	for _, tc := range []struct{ set, want string }{
		{"tracking.layout=packed", "tracking.layout"},
		{"tracking.huge=block", "entry: sized"},
		{"tracking.reserve=256", "write at most 255"},
		{"tracking.ring=300", "ring_sizes: any"},
		{"tracking.ring_max=128", "do not shrink"},
		{"host.mmu_lock=none", "host.mmu_lock"},
		{"outside.rate=20000000", "write at most 10000000"},
		{"outside.pattern=zipf", "outside.pattern"},
		{"outside.memory=1GiB", "outside.memory"},
		{"tracking.detect=always", "tracking.detect"},
		{"vmm.edits=2000000", "vmm.edits"},
		{"host.cores=0", "host.cores"},
		{"host.cores=2000", "1 to 1024"},
	} {
		_, err := small(t, tc.set).Plan(nil)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.set, err)
		}
	}
	for _, set := range [][]string{
		{"tracking.mode=vmring", "tracking.kick=some"},
		{"tracking.mode=vmring-1", "tracking.vm_ring=2"},
		{"tracking.mode=vmring", "tracking.entry=sized", "tracking.huge=block"},
		{"tracking.mode=ring-overflow-bitmap", "tracking.manual_protect=enable"},
		{"tracking.ring_max=1024", "vmm.harvest=interval"},
		{"tracking.mode=bitmap", "tracking.layout=padded"},
		{"tracking.kick=all", "tracking.mode=ring"},
		{"tracking.mode=require-bitmap", "tracking.detect=never"},
		{"tracking.entry=sized", "tracking.huge=block", "tracking.eager_split=2MiB"},
	} {
		if _, err := small(t, set...).Plan(nil); err == nil {
			t.Errorf("%v is accepted", set)
		}
	}
}
