package workloads

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// idleStream is a guest that does nothing but let time pass.
type idleStream struct{ left int }

func (s *idleStream) Fill(dst []kvmcore.GuestAccess) int {
	if s.left == 0 {
		return 0
	}
	s.left--
	dst[0] = kvmcore.GuestAccess{Op: kvmcore.GuestIdle, Value: 1000}
	return 1
}

func (s *idleStream) Sync(c *sim.Codec) { c.Int(&s.left) }

// The driver's commands all succeed, whatever it does and however often its queue
// wraps: afterwards each event is delivered, most to another vCPU than at first, and
// the pages of the queue are in its vCPU's ring.
func TestITSGuest(t *testing.T) {
	for _, c := range []struct {
		name        string
		move, churn uint64
	}{{"moves", 500, 0}, {"churn", 0, 20_000}, {"both", 1000, 30_000}} {
		t.Run(c.name, func(t *testing.T) {
			const vcpus = 4
			s := ITSSpec{Devices: 5, Events: 9, Tables: itsRAM + 0x10000, MoveGap: c.move, ChurnGap: c.churn}
			memory := uint64(s.Tables-itsRAM) + s.TableBytes(vcpus)
			vm, th, _ := itsVM(t, vcpus, memory)
			dev, err := SetupITS(vm, s)
			if err != nil {
				t.Fatal(err)
			}
			g := NewITSGuest(&idleStream{2000}, s, vcpus, 1)
			cwriter := func() uint64 {
				v, e := dev.ITS.GetAttr(kvmcore.GroupITSRegs, gitsCWRITER, 8)
				if e != kvmcore.OK {
					t.Fatal(e)
				}
				return v
			}
			if cwriter() != g.head {
				t.Fatalf("the set-up leaves CWRITER at %#x, the driver begins at %#x", cwriter(), g.head)
			}
			v := vm.VCPUs[0]
			v.Guest = g
			full := 0
			for v.RunNow() != kvmcore.RunIdle { // until the guest has nothing more to do
				if v.Run.ExitReason != kvmcore.ExitDirtyRingFull {
					t.Fatal("the guest left KVM_RUN:", v.Run)
				}
				full++
				for i := v.Ring.ResetIndex; i != v.Ring.DirtyIndex; i++ {
					vm.Host.Machine.Mem.Store(v.Ring.EntryPA(i), 4, kvmcore.RingFlagReset, mmu.WriterVMM)
				}
				if n, e := vm.ResetDirtyRings(th); n == 0 {
					t.Fatal("reset: ", e)
				}
			}
			v.Kick()
			for v.Continue(sim.Never) != kvmcore.RunExit {
			}
			if cwriter() != g.head {
				t.Errorf("CWRITER is at %#x, the driver at %#x", cwriter(), g.head)
			}
			if v.Ring.DirtyIndex == 0 || (full != 0) != (c.churn != 0) { // each zero entry of a DISCARD is a record
				t.Errorf("%d records, %d times full", v.Ring.DirtyIndex, full)
			}
			view := vm.ViewGIC()
			moved := 0
			for i, l := range view.LPIs {
				if l.VCPU != int32(i%vcpus) {
					moved++
				}
			}
			if len(view.LPIs) != 45 || (moved != 0) != (c.move != 0) {
				t.Errorf("%d LPIs, %d moved", len(view.LPIs), moved)
			}
			stats := sim.NewStats()
			vm.Host.Register(stats, vm)
			stats.Each(func(st sim.Stat) {
				switch {
				case st.Name == "vgic.command_errors" && st.Value != 0:
					t.Errorf("%v commands failed", st.Value)
				case st.Name == "vgic.commands" && st.Value < 1500:
					t.Errorf("only %v commands", st.Value)
				}
			})
		})
	}
}

// A restored driver goes on as the undisturbed one.
func TestITSGuestSync(t *testing.T) {
	s := ITSSpec{Devices: 3, Events: 40, Tables: itsRAM, MoveGap: 3000, ChurnGap: 9000}
	batch := func(g *ITSGuest) []kvmcore.GuestAccess {
		b := make([]kvmcore.GuestAccess, 7)
		return b[:g.Fill(b)]
	}
	for cut := range 100 {
		whole := NewITSGuest(&idleStream{1000}, s, 2, 9)
		for range cut {
			batch(whole)
		}
		e := sim.NewEncoder()
		whole.Sync(e)
		again := NewITSGuest(&idleStream{}, s, 2, 0)
		d := sim.NewDecoder(e.Finish())
		again.Sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for i := range 100 {
			if diff := cmp.Diff(batch(whole), batch(again)); diff != "" {
				t.Fatalf("after %d batches, %d later:\n%s", cut, i, diff)
			}
		}
	}
}

// Busy devices signal most MSIs, and the others still some.
func TestITSBusy(t *testing.T) {
	s := ITSSpec{Devices: 10, Events: 4, MSIGap: 100, Busy: 2}
	l := NewITSLoad(s, 0, 3)
	count := make([]float64, s.Devices)
	const n = 50_000
	for range n {
		a, _ := l.Next()
		count[a.DevID-firstDevice]++
	}
	want := make([]float64, s.Devices)
	for i := range want {
		want[i] = n / 100.
		if i < s.Busy {
			want[i] += n * .9 / 2
		}
	}
	chiSquare(t, count, want)
}

// A storm is one device's events one after the other, at one cycle, and the snapshot
// of a schedule in the middle of one goes on.
func TestITSStorm(t *testing.T) {
	s := ITSSpec{Devices: 4, Events: 8, MSIGap: 700, SaveEvery: 5000, SavePending: true, Storm: 20, StormEvery: 3000}
	l := NewITSLoad(s, 100, 1)
	var at sim.Cycle
	storms, run := 0, 0
	for range 500 {
		a, _ := l.Next()
		if a.At < at {
			t.Fatalf("time goes back from %d to %d", at, a.At)
		}
		at = a.At
		if a.Kind != ITSSignal || (a.At-100)%3000 != 0 {
			if run != 0 && run != 20 {
				t.Fatalf("a storm of %d", run)
			}
			run = 0
			continue
		}
		if run < 20 {
			if want := uint32(run % 8); a.EventID != want {
				t.Fatalf("MSI %d of the storm is event %d, want %d", run, a.EventID, want)
			}
			if run++; run == 20 {
				storms++
			}
		}
	}
	if storms < 5 {
		t.Errorf("%d storms", storms)
	}
	for cut := range 60 {
		whole := NewITSLoad(s, 100, 5)
		for range cut {
			whole.Next()
		}
		e := sim.NewEncoder()
		whole.Sync(e)
		again := NewITSLoad(s, 0, 0)
		d := sim.NewDecoder(e.Finish())
		again.Sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for range 80 {
			a, _ := whole.Next()
			if b, _ := again.Next(); a != b {
				t.Fatalf("after %d actions: %v, restored %v", cut, a, b)
			}
		}
	}
	for want, s := range map[string]ITSSpec{
		"busy: 2 is out of range; there are 1 devices":    {Devices: 1, Events: 1, Busy: 2},
		"storm: 1048577 is out of range":                  {Devices: 1, Events: 1, Storm: 1<<20 + 1, StormEvery: 1},
		"storm_every: storms without time between them n": {Devices: 1, Events: 1, Storm: 1},
	} {
		if err := s.Validate(1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
