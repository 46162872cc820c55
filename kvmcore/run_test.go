package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// The order of what KVM_RUN looks at: MMIO completion, immediate_exit, signal,
// stolen time, the full ring. kvm-dirty-tracking.md 6.3, recording b_immediate_exit.
func TestOrderOfChecks(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 300})
	v := r.vm.VCPUs[0]
	check := func(what string, ret int64, e Errno, reason uint32) {
		t.Helper()
		run := r.run(0)
		if run.Ret != ret || run.Errno != e || run.ExitReason != reason {
			t.Errorf("%s: %d %v, exit %d; want %d %v, exit %d", what, run.Ret, run.Errno, run.ExitReason, ret, e, reason)
		}
	}
	r.do(0, GuestStore, upTo(3)...)
	r.mmio(0)
	r.do(0, GuestStore, upTo(300)...)
	v.Run.ImmediateExit = true
	check("immediate_exit, first of all", -1, EINTR, ExitUnknown)
	if v.Stats.Stores != 0 {
		t.Error("the guest ran")
	}
	v.Run.ImmediateExit = false
	check("MMIO", 0, OK, ExitMMIO)
	v.Run.ImmediateExit = true
	check("immediate_exit leaves the reason", -1, EINTR, ExitMMIO)
	v.Run.ImmediateExit = false
	check("the MMIO was completed, the guest goes on", 0, OK, ExitDirtyRingFull)
	v.Run.ImmediateExit = true
	check("immediate_exit before the ring", -1, EINTR, ExitDirtyRingFull)
	v.Run.ImmediateExit = false
	v.Kick()
	check("signal before the ring", -1, EINTR, ExitIntr)
	check("full again", 0, OK, ExitDirtyRingFull)
	check("and again", 0, OK, ExitDirtyRingFull)
	if s := v.Stats; s.FullExits != 1 || s.RepeatFullExits != 2 || s.SignalExits != 1 || s.Runs != 8 {
		t.Errorf("counted %d full, %d repeat, %d signal exits of %d runs", s.FullExits, s.RepeatFullExits, s.SignalExits, s.Runs)
	}
	if used := v.Ring.Used(); used != 192 {
		t.Errorf("%d entries used", used)
	}
}

// The request is sticky and only the vCPU itself clears it: after a reset of k
// entries exactly k more pushes fit. Recordings b_partial, b_full_reenter.
func TestPartialReset(t *testing.T) {
	for _, k := range []int{1, 7, 191} {
		r := newRig(t, mode{ring: 256, pages: 700})
		r.do(0, GuestStore, upTo(700)...)
		r.mmio(0)
		v := r.vm.VCPUs[0]
		var fetch uint32
		pushes := uint64(192)
		for r.run(0).ExitReason == ExitDirtyRingFull {
			if v.Stats.Pushes != pushes {
				t.Fatalf("k=%d: %d pushes, want %d", k, v.Stats.Pushes, pushes)
			}
			if n := r.run(0).ExitReason; n != ExitDirtyRingFull {
				t.Fatalf("k=%d: not stuck without a reset", k)
			}
			r.harvest(0, &fetch, k)
			if n := r.run(0).ExitReason; n != ExitDirtyRingFull {
				t.Fatalf("k=%d: harvesting alone let it run", k)
			}
			if n := r.reset(); n != int64(k) {
				t.Fatalf("k=%d: reset returned %d", k, n)
			}
			if v.Requests&ReqDirtyRingSoftFull == 0 {
				t.Fatalf("k=%d: the reset cleared the request", k)
			}
			pushes += uint64(k)
		}
	}
}

// A kick takes the vCPU out of its guest, also out of an idle one.
func TestKick(t *testing.T) {
	r := newRig(t, mode{ring: 256, pages: 4})
	v := r.vm.VCPUs[0]
	s := v.Guest.(*script)
	s.todo = []GuestAccess{{Op: GuestIdle, Value: 1000, Cycles: 1}, {IPA: testBase, Op: GuestStore, Size: 8, Cycles: 1}, {Op: GuestEnd}}
	v.Enter()
	if got := v.Continue(400); got != RunLimit || v.Thread.Core.Now != 400 {
		t.Fatalf("state %d at %d", got, v.Thread.Core.Now)
	}
	v.Kick()
	if got := v.Continue(sim.Never); got != RunExit || v.Run.Errno != EINTR || v.Run.ExitReason != ExitIntr {
		t.Fatalf("state %d, %v, exit %d", got, v.Run.Errno, v.Run.ExitReason)
	}
	if v.Thread.Signal {
		t.Error("the signal is still pending in userspace")
	}
	if got := v.RunNow(); got != RunEnd || v.Thread.Core.Now < 1001 {
		t.Errorf("state %d at %d", got, v.Thread.Core.Now)
	}
	if got := v.Continue(sim.Never); got != RunEnd {
		t.Errorf("state %d after the end", got)
	}
	v.Kick()
	if got := v.Continue(sim.Never); got != RunExit || v.Run.Errno != EINTR {
		t.Errorf("kicked at its end: state %d, %v", got, v.Run.Errno)
	}
}

// Cycles are booked once: a retried access does not count again, and all time of
// the core is somebody's.
func TestCycles(t *testing.T) {
	profile, err := LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 300, profile: profile})
	v := r.vm.VCPUs[0]
	setup := v.Thread.Core.Now
	r.do(0, GuestStore, upTo(100)...)
	r.vm.VCPUs[0].Guest.(*script).todo[50].Cycles = 1000
	r.mmio(0)
	r.run(0)
	if s := v.Stats; s.GuestCycles != 100+1000 || s.Instructions != 101 || s.Stores != 100 || s.Accesses != 100 {
		t.Errorf("%d cycles, %d instructions, %d stores, %d accesses", s.GuestCycles, s.Instructions, s.Stores, s.Accesses)
	}
	sum := uint64(0)
	for _, n := range v.Thread.Cycles {
		sum += n
	}
	if total := uint64(v.Thread.Core.Now - setup); sum != total {
		t.Errorf("%d cycles booked of %d", sum, total)
	}
	if v.Thread.Cycles[CauseGuest] != 1100 || v.Thread.Cycles[CauseFault] == 0 || v.Thread.Cycles[CauseMark] == 0 || v.Thread.Cycles[CauseExit] == 0 {
		t.Errorf("by cause: %v", v.Thread.Cycles)
	}
}

// Stolen time: one record per KVM_RUN before any store, even when nothing else
// happens and even when the ring is full. Recording e_pvtime.
func TestStolenTime(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 300})
	v := r.vm.VCPUs[0]
	for _, tc := range []struct {
		ipa  uint64
		want Errno
	}{{32, EINVAL}, {0x1000, EINVAL}, {50 << 12, OK}, {50 << 12, EEXIST}, {32, EINVAL}} {
		ipa := testBase
		if tc.ipa == 0x1000 {
			ipa = 0
		}
		ipa += mmu.IPA(tc.ipa)
		if e := v.SetPVTime(ipa); e != tc.want {
			t.Errorf("SetPVTime(%#x): %v", ipa, e)
		}
	}
	v.PVTime.Stolen = 1234
	r.write(0, upTo(10)...)
	if d := cmp.Diff(append([]uint64{50}, upTo(10)...), r.ringPages(0)); d != "" {
		t.Error(d)
	}
	r.write(0, upTo(10)...)
	if d := cmp.Diff(append(append([]uint64{50}, upTo(10)...), 50), r.ringPages(0)); d != "" {
		t.Error(d)
	}
	p := make([]byte, 16)
	r.vm.readGuest(r.t, testBase+50<<12, p)
	if uint64(p[8])|uint64(p[9])<<8 != 1234 {
		t.Errorf("record %v", p)
	}

	r.do(0, GuestStore, upTo(300)...)
	for range 64 {
		if run := r.run(0); run.ExitReason != ExitDirtyRingFull {
			t.Fatalf("exit %d", run.ExitReason)
		}
	}
	if len(r.h.Warns) != 0 || v.Ring.Used() != 192+63 {
		t.Errorf("%d used, warned %v", v.Ring.Used(), r.h.Warns)
	}
	r.run(0)
	r.run(0)
	if d := cmp.Diff([]string{"kvm_dirty_ring_push"}, r.h.Warns); d != "" {
		t.Error(d)
	}
	if n := r.h.Stats.Losses[LossRingOverflow]; n != 1 || v.Stats.Overruns != 1 {
		t.Errorf("%d records lost, %d overruns", n, v.Stats.Overruns)
	}
}

func TestStolenTimeRepaired(t *testing.T) {
	r := newRig(t, mode{kernel: "7.2+fixed", ring: 256, bitmap: true, pages: 300})
	v := r.vm.VCPUs[0]
	v.SetPVTime(testBase + 50<<12)
	r.do(0, GuestStore, upTo(300)...)
	for range 100 {
		r.run(0)
	}
	if v.Ring.Used() != 192 || len(r.h.Losses) != 0 {
		t.Errorf("%d used, losses %v", v.Ring.Used(), r.h.Losses)
	}
}

// Accesses without time run as they come: loads and stores through memory, with
// a hypercall in between.
func TestLoadStore(t *testing.T) {
	r := newRig(t, mode{pages: 4})
	v := r.vm.VCPUs[0]
	v.Guest.(*script).todo = []GuestAccess{
		{IPA: testBase + 8, Op: GuestStore, Size: 8, Value: 41},
		{Op: GuestHypercall},
		{IPA: testBase + 8, Op: GuestLoad, Size: 8},
		{IPA: testBase + 16, Op: GuestStoreLoaded, Size: 8, Value: 1},
		{IPA: testBase + 16, Op: GuestLoad, Size: 4},
	}
	if got := v.RunNow(); got != RunIdle || v.Cursor.loaded != 42 || v.Stats.Hypercalls != 1 {
		t.Errorf("state %d, loaded %d, %d hypercalls", got, v.Cursor.loaded, v.Stats.Hypercalls)
	}
}
