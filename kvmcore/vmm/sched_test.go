package vmm

import (
	"fmt"
	"testing"

	"ringmap/kvmcore"
	"ringmap/sim"
)

// TestSharedCores: whatever the number of cores and whoever moves between them,
// nothing is lost, all time is accounted for, and no two threads run on one core
// at a time, so that all of them together take as long as their work.
func TestSharedCores(t *testing.T) {
	for _, pinned := range []bool{true, false} {
		for cores := 1; cores <= 5; cores++ {
			for _, track := range []Tracking{TrackBitmap, TrackRingBitmap} {
				spec := Spec{Track: track, Policy: policyOnFullAll, Period: 400_000, SaveEvery: 900_000}
				spec.CPUs = HostCPUs{Cores: cores, Pinned: pinned, Slice: 30_000, Switch: 1000}
				name := fmt.Sprintf("%s, %d cores, pinned %v", track, cores, pinned)
				r := newRig(t, config{spec: spec, vcpus: 4, pages: 400, writes: 1500, seed: 3})
				r.run()
				if d := r.differing(); len(d) != 0 {
					t.Errorf("%s: %d pages differ", name, len(d))
				}
				r.checkCycles(name)
				var busy, waited sim.Cycle
				for i := range r.v.vcpus {
					c := &r.v.vcpus[i]
					waited += c.Waits[WaitCPU]
					for _, n := range c.kt.Cycles {
						busy += sim.Cycle(n)
					}
				}
				if most := sim.Cycle(cores) * r.v.ended; busy > most {
					t.Errorf("%s: vCPUs ran for %d cycles, and the cores had %d", name, busy, most)
				}
				switch {
				case cores == 5 && waited > 5*1000 && r.v.sched.Preemptions != 0:
					t.Errorf("%s: threads with cores of their own waited %d cycles", name, waited)
				case cores <= 3 && (waited == 0 || r.v.sched.Preemptions == 0):
					t.Errorf("%s: nobody waited (%d cycles, %d preemptions)", name, waited, r.v.sched.Preemptions)
				}
			}
		}
	}
}

// TestSlices: two endless guests on one core share it evenly, slice by slice.
func TestSlices(t *testing.T) {
	const slice = 50_000
	spec := Spec{Track: TrackOff, Until: 10_000_000, CPUs: HostCPUs{Cores: 1, Pinned: true, Slice: slice, Switch: 500}}
	r := newRig(t, config{spec: spec, vcpus: 2, pages: 64})
	r.run()
	a, b := r.v.vcpus[0].vcpu.Stats.Stores, r.v.vcpus[1].vcpu.Stats.Stores
	if a == 0 || b == 0 || max(a, b)-min(a, b) > max(a, b)/20 {
		t.Errorf("%d stores against %d", a, b)
	}
	if n := r.v.sched.Preemptions; n < 10_000_000/slice*8/10 || n > 10_000_000/slice {
		t.Errorf("%d preemptions in %d slices", n, 10_000_000/slice)
	}
}

// TestSchedulerSpec: impossible hosts are refused.
func TestSchedulerSpec(t *testing.T) {
	for _, c := range []HostCPUs{{Cores: -1, Slice: 1}, {Cores: MaxHostCPUs + 1, Slice: 1}, {Cores: 2}} {
		s := Spec{Track: TrackOff, CPUs: c}
		if s.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestStuckRing: a ring that is full of entries that cannot be harvested ends its
// vCPU with a finding, not the run with a hang.
func TestStuckRing(t *testing.T) {
	for _, policy := range []Policy{policyOnFullOwn, policyOnFullAll, policyPauseAll} {
		r := newRig(t, config{spec: Spec{Track: TrackRing, Policy: policy, Until: 1 << 32}, vcpus: 2, writes: 100, setup: func(r *rig) {
			v := r.vm.VCPUs[0]
			v.Ring.DirtyIndex = v.Ring.SoftLimit
			v.Requests |= kvmcore.ReqDirtyRingSoftFull
		}})
		r.run()
		if len(r.v.Findings) == 0 || r.v.Findings[0].Kind != FindingStuck || r.v.Findings[0].VCPU != 0 {
			t.Errorf("%s: findings %v", policy.Name, r.v.Findings)
		}
		if n := r.vm.VCPUs[1].Stats.Stores; n != 100 {
			t.Errorf("%s: the other vCPU has done %d stores", policy.Name, n)
		}
	}
}
