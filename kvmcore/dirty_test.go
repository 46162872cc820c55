package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
)

// The decision, in the order and with the results of the table in
// kvm-dirty-tracking.md section 4.
func TestMarkPageDirtyInSlot(t *testing.T) {
	const warn = "mark_page_dirty_in_slot"
	modes := map[string]mode{"bitmap": {}, "ring": {ring: 256}, "ring+bitmap": {ring: 256, bitmap: true}}
	for _, tc := range []struct {
		mode   string
		vcpu   string // "own", "other", ""
		window bool
		unlog  bool
		want   record
		warns  bool
	}{
		{mode: "bitmap", vcpu: "own", want: recordBitmap},
		{mode: "bitmap", window: true, want: recordBitmap},
		{mode: "bitmap", want: recordBitmap, warns: true},
		{mode: "ring", vcpu: "own", want: recordRing},
		{mode: "ring", window: true, want: recordLost},
		{mode: "ring", want: recordLost, warns: true},
		{mode: "ring+bitmap", vcpu: "own", want: recordRing},
		{mode: "ring+bitmap", window: true, want: recordBitmap},
		{mode: "ring+bitmap", want: recordBitmap, warns: true},
		{mode: "bitmap", vcpu: "other", want: recordDropped, warns: true},
		{mode: "ring", vcpu: "other", want: recordDropped, warns: true},
		{mode: "ring+bitmap", vcpu: "other", window: true, want: recordDropped, warns: true},
		{mode: "ring", vcpu: "own", unlog: true, want: recordNothing},
		{mode: "bitmap", unlog: true, want: recordNothing, warns: true},
		{mode: "ring", vcpu: "own", window: true, want: recordRing},
	} {
		m := modes[tc.mode]
		m.unlog = tc.unlog
		r := newRig(t, m)
		r.vm.tableWriteInProgress = tc.window
		var v *VCPU
		switch tc.vcpu {
		case "own":
			v = r.vm.VCPUs[0]
		case "other":
			v, _ = r.h.CreateVM().CreateVCPU(0)
		}
		if got := r.vm.markPageDirtyInSlot(v, r.slot()); got != tc.want {
			t.Errorf("%+v: record %d, want %d", tc, got, tc.want)
		}
		if got := r.h.Warned[warn]; got != tc.warns {
			t.Errorf("%+v: warned %v", tc, got)
		}
	}
	r := newRig(t, mode{ring: 256})
	if got := r.vm.markPageDirtyInSlot(r.vm.VCPUs[0], nil); got != recordNothing {
		t.Errorf("without a slot: record %d", got)
	}
}

// A kernel write of guest memory marks every page it touches, by the thread's
// loaded vCPU or without one, and warns once.
func TestWriteGuest(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 16})
	data := make([]byte, 5000)
	for i := range data {
		data[i] = byte(i)
	}
	if e := r.vm.writeGuest(r.t, testBase+4090, data); e != OK {
		t.Fatal(e)
	}
	back := make([]byte, len(data))
	if e := r.vm.readGuest(r.t, testBase+4090, back); e != OK {
		t.Fatal(e)
	}
	if d := cmp.Diff(data, back); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]uint64{0, 1, 2}, r.get()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"mark_page_dirty_in_slot"}, r.h.Warns); d != "" {
		t.Error(d)
	}
	if s := r.h.Stats; s.NonVCPUWrites != 3 || s.NonVCPURecords != 3 || s.BitsSet != 3 {
		t.Errorf("counted %+v", s)
	}

	v := r.vm.VCPUs[0]
	v.Thread.VCPU = v
	if e := r.vm.writeGuest(v.Thread, testBase+5*4096, data[:3]); e != OK {
		t.Fatal(e)
	}
	if flags, slot, offset := r.entry(0, 0); flags != RingFlagDirty || slot != 1 || offset != 5 {
		t.Errorf("entry %d %d %d", flags, slot, offset)
	}
	if got := r.get(); got != nil {
		t.Errorf("the vCPU's write set bits %v", got)
	}
}

func TestWriteGuestErrors(t *testing.T) {
	r := newRig(t, mode{pages: 2})
	p := make([]byte, 8)
	if e := r.vm.writeGuest(r.t, testBase-8, p); e != EFAULT {
		t.Errorf("without a slot: %v", e)
	}
	if e := r.vm.readGuest(r.t, testBase+2*4096, p); e != EFAULT {
		t.Errorf("read behind the slot: %v", e)
	}
	hva := r.h.Memory.Map(4096, Backing4K, true)
	if e := r.vm.SetUserMemoryRegion(Region{Slot: 2, Flags: uint32(SlotReadonly | SlotLogDirty), GPA: 0x1000, Size: 4096, HVA: hva}); e != OK {
		t.Fatal(e)
	}
	if e := r.vm.writeGuest(r.t, 0x1000, p); e != EFAULT {
		t.Errorf("READONLY slot: %v", e)
	}
	if e := r.vm.readGuest(r.t, 0x1000, p); e != OK {
		t.Errorf("read of a READONLY slot: %v", e)
	}
}

// In ring-only mode a write without a vCPU is lost, and the ledger says why.
func TestNonVCPUWriteLost(t *testing.T) {
	r := newRig(t, mode{ring: 256, pages: 4})
	r.vm.tableWriteInProgress = true
	r.h.Watch(r.vm, r.h.Page.GFN(testBase)+2)
	if e := r.vm.writeGuest(r.t, testBase+2*4096, []byte{1}); e != OK {
		t.Fatal(e)
	}
	want := []Loss{{GFN: r.h.Page.GFN(testBase) + 2, Pages: 1, VMID: r.vm.VMID, VCPU: -1, Cause: LossNoVCPU}}
	if d := cmp.Diff(want, r.h.Losses); d != "" {
		t.Error(d)
	}
	if len(r.h.Warns) != 0 {
		t.Errorf("warned %v inside the window", r.h.Warns)
	}
	if n := len(r.h.Story.Events); n != 2 || r.h.Story.Events[1].Kind != StoryLost {
		t.Errorf("story:\n%s", r.h.Story)
	}
}

// The test switch drops every nth record, ring and bitmap alike.
func TestDropEvery(t *testing.T) {
	for _, m := range []mode{{pages: 64}, {ring: 256, bitmap: true, pages: 64}} {
		r := newRig(t, m)
		r.h.Kernel.DropEvery = 5
		r.write(0, upTo(23)...)
		var lost []mmu.GFN
		for _, l := range r.h.Losses {
			if l.Cause != LossDropped || l.Pages != 1 {
				t.Errorf("loss %+v", l)
			}
			lost = append(lost, l.GFN-r.slot().Base)
		}
		if d := cmp.Diff([]mmu.GFN{4, 9, 14, 19}, lost); d != "" {
			t.Error(d)
		}
		var fetch uint32
		got := len(r.harvest(0, &fetch, 100)) + len(r.get())
		if got != 19 {
			t.Errorf("%d records, want 19", got)
		}
	}
}
