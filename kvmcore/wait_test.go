package kvmcore

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// While a large slot is being protected, a vCPU that waits for mmu_lock gets it
// after each piece; the whole survives a snapshot at any time.
func TestLockBreak(t *testing.T) {
	const pages = 3 << 18 // 3 GiB: three pieces
	build := func() *rig {
		r := newRig(t, mode{pages: pages, fresh: true, unlog: true, cores: 2, profile: n1(t)})
		r.t = r.h.NewThread(r.h.Machine.Cores[1], "vmm")
		r.write(0, 0, 1<<18+1, 2<<18+2)
		r.do(0, GuestStore, 7, 8)
		r.slot().Flags |= SlotLogDirty
		r.vm.fitBitmap(r.slot())
		r.t.Core.Now = r.vm.VCPUs[0].Thread.Core.Now
		r.t.StartEnableLogging(r.vm, r.slot())
		for r.vm.MMULock.writer == 0 {
			r.t.Step()
		}
		r.vm.VCPUs[0].Enter()
		return r
	}
	// One step of whoever can: the VMM's thread, then the vCPU.
	step := func(r *rig) bool {
		a := r.t.Step()
		b := r.vm.VCPUs[0].Continue(sim.Never)
		for b == RunFault {
			b = r.vm.VCPUs[0].Continue(sim.Never)
		}
		return a != Done || b != RunIdle
	}
	want := build()
	var saved [][]byte
	waited := false
	for more := true; more; more = step(want) {
		saved = append(saved, want.save())
		waited = waited || want.vm.MMULock.wanted()
		if len(saved) > 1000 {
			t.Fatal("the two wait for each other")
		}
	}
	end := want.save()
	if n := want.vm.VCPUs[0].Thread.Cycles[CauseLockWait]; !waited || n == 0 {
		t.Errorf("the vCPU waited: %v, for %d cycles", waited, n)
	}
	// The vCPU came in between, when its pages were not protected yet or already:
	// either way they are recorded, and everything else is protected.
	if d := cmp.Diff([]uint64{7, 8}, want.get()); d != "" {
		t.Error(d)
	}
	if w := want.stillWritable([]uint64{0, 1<<18 + 1, 2<<18 + 2}); w != nil {
		t.Errorf("still writable: %v", w)
	}
	for i, state := range saved {
		r := build()
		r.load(t, state)
		for step(r) {
		}
		if !bytes.Equal(r.save(), end) {
			t.Fatalf("restored after step %d, it ends differently", i)
		}
	}
}

// A slot that is deleted under GET or CLEAR: the call ends with ENOENT and holds
// no lock.
func TestSlotDeletedUnderCall(t *testing.T) {
	for _, clear := range []bool{false, true} {
		for steps := 1; ; steps++ {
			r := newRig(t, mode{pages: 200})
			r.write(0, 1, 70, 140)
			if clear {
				r.t.StartClearDirtyLog(r.vm, 1, 0, 200, &DirtyLog{[]DirtyWord{{0, 2}, {1, 1 << 6}}})
			} else {
				r.t.StartGetDirtyLog(r.vm, 1, new(DirtyLog))
			}
			for range steps {
				r.t.Step()
			}
			if r.t.depth == 0 {
				break
			}
			if e := r.vm.SetUserMemoryRegion(Region{Slot: 1, GPA: testBase, HVA: r.slot().HVA}); e != OK {
				t.Fatal(e)
			}
			r.t.Finish()
			if r.t.Err != ENOENT {
				t.Errorf("clear %v, after %d steps: %v", clear, steps, r.t.Err)
			}
			if r.vm.MMULock.writer != 0 || r.vm.SlotsLock.writer != 0 {
				t.Fatalf("clear %v, after %d steps: a lock is held", clear, steps)
			}
		}
	}
}

// A kernel write of one VM's memory while a vCPU of another is loaded is dropped.
func TestWrongVM(t *testing.T) {
	r := newRig(t, mode{pages: 4})
	v, _ := r.h.CreateVM().CreateVCPU(0)
	v.Thread.VCPU = v
	if e := r.vm.writeGuest(v.Thread, testBase+4096, []byte{1}); e != OK {
		t.Fatal(e)
	}
	want := []Loss{{GFN: r.slot().Base + 1, Pages: 1, VMID: r.vm.VMID, Cause: LossWrongVM}}
	if d := cmp.Diff(want, r.h.Losses); d != "" {
		t.Error(d)
	}
	if got := r.get(); got != nil {
		t.Errorf("recorded %v", got)
	}
}

// Losses and the story survive a snapshot, and every kind of event has words.
func TestLedgerSync(t *testing.T) {
	build := func() *rig {
		r := newRig(t, mode{ring: 256, pages: 4})
		r.h.Watch(r.vm, r.slot().Base+1)
		return r
	}
	r := build()
	r.vm.writeGuest(r.t, testBase+4096, []byte{1})
	r.write(0, 1)
	other := build()
	other.load(t, r.save())
	if d := cmp.Diff(r.h.Losses, other.h.Losses); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(r.h.Story, other.h.Story); d != "" || len(r.h.Story.Events) < 4 {
		t.Errorf("%s\n%s", d, r.h.Story)
	}
	if !strings.Contains(r.h.Story.String(), "LOST: written without a running vCPU") {
		t.Errorf("story:\n%s", r.h.Story)
	}
	for k := range numStoryKinds {
		for a := range uint64(2) {
			if e := (StoryEvent{Kind: k, A: a, B: a}); e.text() == "unknown event" {
				t.Errorf("event %d has no words", k)
			}
		}
	}
	for c := range NumLossCauses {
		if c.String() == "" || c.Text() == "" {
			t.Errorf("cause %d has no words", c)
		}
	}
	for c := range NumCauses {
		if c.String() == "" {
			t.Errorf("cause %d has no name", c)
		}
	}
}

// KVM_RUN on a dead VM, and a machine without memory left for a table.
func TestRunErrors(t *testing.T) {
	r := newRig(t, mode{pages: 4})
	v := r.vm.VCPUs[0]
	v.Requests |= ReqVMDead
	if r.run(0); v.Run.Errno != EIO {
		t.Errorf("dead VM: %v", v.Run.Errno)
	}
	s := r.slot()
	s.HVA = 0x1000 // nothing is mapped there
	r.do(0, GuestStore, 1)
	if r.run(0); v.Run.Errno != EFAULT {
		t.Errorf("no host memory: %v", v.Run.Errno)
	}
}
