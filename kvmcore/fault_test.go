package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// ringPages returns the pages in a ring from fetch on, without marking them.
func (r *rig) ringPages(v int) (pages []uint64) {
	ring := &r.vm.VCPUs[v].Ring
	for i := ring.ResetIndex; i != ring.DirtyIndex; i++ {
		_, _, offset := r.entry(v, i)
		pages = append(pages, offset)
	}
	return pages
}

// Which accesses are recorded, by whether the fault path takes the slot for
// logged and the host has the page. kvm-dirty-tracking.md 3.4.
func TestWhatFaultsRecord(t *testing.T) {
	const write, read, fetch = GuestStore, GuestLoad, GuestFetch
	for _, tc := range []struct {
		name   string
		mode   mode
		op     GuestOp
		record bool
		w      bool // mapped writable afterwards
	}{
		{"ring+bitmap write", mode{ring: 256, bitmap: true}, write, true, true},
		{"ring+bitmap read", mode{ring: 256, bitmap: true}, read, false, false},
		{"ring+bitmap fetch", mode{ring: 256, bitmap: true}, fetch, false, false},
		{"ring write", mode{ring: 256}, write, true, true},
		{"ring read of populated memory", mode{ring: 256}, read, true, true},
		{"ring fetch of populated memory", mode{ring: 256}, fetch, true, true},
		{"ring read of fresh memory", mode{ring: 256, fresh: true}, read, false, false},
		{"ring write of fresh memory", mode{ring: 256, fresh: true}, write, true, true},
		{"ring read, repaired", mode{ring: 256, kernel: "7.2+fixed"}, read, false, false},
		{"unlogged write", mode{ring: 256, unlog: true}, write, false, true},
		{"unlogged read", mode{ring: 256, unlog: true}, read, false, true},
	} {
		tc.mode.pages = 4
		r := newRig(t, tc.mode)
		r.do(0, tc.op, 2)
		r.mmio(0)
		r.run(0)
		if got := len(r.ringPages(0)) == 1; got != tc.record {
			t.Errorf("%s: recorded %v", tc.name, got)
		}
		if got := r.writable(2); got != tc.w {
			t.Errorf("%s: writable %v", tc.name, got)
		}
		if r.h.Stats.BitsMarked != 0 {
			t.Errorf("%s: set a bit", tc.name)
		}
	}
}

// A read of untouched memory maps the shared zero page; the first write replaces
// it, which unmaps the page, so that two faults lead to one record.
func TestZeroPage(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 4, fresh: true})
	r.do(0, GuestLoad, 1)
	r.do(0, GuestStore, 1)
	r.do(0, GuestLoad, 1)
	r.mmio(0)
	r.run(0)
	if d := cmp.Diff([]uint64{1}, r.ringPages(0)); d != "" {
		t.Error(d)
	}
	s := r.vm.VCPUs[0].Stats
	if s.FaultsTranslation != 3 || s.FaultsPermission != 1 { // MMIO is the third
		t.Errorf("%d translation and %d permission faults", s.FaultsTranslation, s.FaultsPermission)
	}
	if got := r.vm.VCPUs[0].Cursor.loaded; got != 2 {
		t.Errorf("read %d after the write", got)
	}
}

// Huge backing: blocks unless the fault path takes the slot for logged; a ring
// alone records one page of each, and which one depends on the kernel.
func TestBlocks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mode   mode
		want   []uint64
		losses int
		split  uint64
	}{
		{"7.2 thp", mode{backing: BackingTHP, ring: 256}, []uint64{0, 512}, 2, 0},
		{"7.2 hugetlb", mode{backing: BackingHugetlb2M, ring: 256}, []uint64{0, 512}, 2, 0},
		{"6.12 thp", mode{backing: BackingTHP, ring: 256, kernel: "6.12"}, []uint64{7, 600}, 2, 0},
		{"6.12 hugetlb", mode{backing: BackingHugetlb2M, ring: 256, kernel: "6.12"}, []uint64{0, 512}, 2, 0},
		{"repaired", mode{backing: BackingTHP, ring: 256, kernel: "7.2+fixed"}, []uint64{7, 9, 600, 601}, 0, 0},
		{"ring+bitmap", mode{backing: BackingTHP, ring: 256, bitmap: true}, []uint64{7, 9, 600, 601}, 0, 0},
	} {
		tc.mode.pages = 1024
		r := newRig(t, tc.mode)
		r.write(0, 7, 9, 600, 601)
		if d := cmp.Diff(tc.want, r.ringPages(0)); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		if n := len(r.h.Losses); n != tc.losses {
			t.Errorf("%s: %d losses", tc.name, n)
		}
		for _, l := range r.h.Losses {
			if l.Cause != LossBlockMapping || l.Pages != 512 {
				t.Errorf("%s: loss %+v", tc.name, l)
			}
		}
	}
}

// Turning logging on protects blocks, the first write splits its block; turning
// it off lets faults build blocks again.
func TestSplitAndCollapse(t *testing.T) {
	r := newRig(t, mode{backing: BackingTHP, ring: 256, bitmap: true, pages: 1024, unlog: true})
	level := func() int8 { return r.vm.Stage2.Find(r.h.Machine.Mem, testBase+5*4096).Level }
	r.write(0, 5)
	if level() != 2 || !r.writable(5) {
		t.Fatal("no writable block to begin with")
	}
	r.setLogging(true)
	if level() != 2 || r.writable(5) {
		t.Error("enabling logging did not protect the block as a block")
	}
	r.write(0, 5, 6)
	if level() != 3 || !r.writable(5) || r.vm.VCPUs[0].Stats.Splits != 1 {
		t.Errorf("write: level %d, %d splits", level(), r.vm.VCPUs[0].Stats.Splits)
	}
	if d := cmp.Diff([]uint64{5, 6}, r.ringPages(0)); d != "" {
		t.Error(d)
	}
	r.setLogging(false)
	r.write(0, 8) // not mapped since the split
	if level() != 2 {
		t.Error("no block after logging was turned off")
	}
	r.write(0, 9)
	if d := cmp.Diff([]uint64{5, 6}, r.ringPages(0)); d != "" {
		t.Error(d)
	}
}

// A pair across a page boundary needs both pages before it stores anything.
func TestCrossPagePair(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 8})
	s := r.vm.VCPUs[0].Guest.(*script)
	s.todo = append(s.todo, GuestAccess{IPA: testBase + 0xff8, Op: GuestStore, Size: 16, Value: 3, Cycles: 1})
	r.mmio(0)
	r.run(0)
	if d := cmp.Diff([]uint64{0, 1}, r.ringPages(0)); d != "" {
		t.Error(d)
	}
	r.do(0, GuestStore, 3)
	s.todo = append(s.todo, GuestAccess{IPA: testBase + 0x2ff8, Op: GuestStore, Size: 16, Value: 3, Cycles: 1})
	r.mmio(0)
	r.run(0)
	if d := cmp.Diff([]uint64{0, 1, 3, 2}, r.ringPages(0)); d != "" {
		t.Error(d)
	}
	p := make([]byte, 16)
	if e := r.vm.readGuest(r.t, testBase+0xff8, p); e != OK || p[0] != 3 || p[8] != 3 {
		t.Errorf("memory %v %v", p, e)
	}
}

// Accesses that no memory takes: an MMIO exit that carries a store's value, a
// load that userspace answers, an error without a valid syndrome, an exception.
func TestMMIO(t *testing.T) {
	r := newRig(t, mode{ring: 256, pages: 4})
	hva := r.h.Memory.Map(4096, Backing4K, true)
	if e := r.vm.SetUserMemoryRegion(Region{Slot: 2, Flags: uint32(SlotReadonly | SlotLogDirty), GPA: 0x1000, Size: 4096, HVA: hva}); e != OK {
		t.Fatal(e)
	}
	v := r.vm.VCPUs[0]
	s := v.Guest.(*script)
	s.todo = []GuestAccess{
		{IPA: 0x1008, Op: GuestLoad, Size: 8, Cycles: 1},
		{IPA: 0x1010, Op: GuestStore, Size: 2, Value: 0x12345, Cycles: 1},
		{IPA: 0x5000, Op: GuestLoad, Size: 4, Cycles: 1},
		{IPA: testBase, Op: GuestStoreLoaded, Size: 8, Value: 1, Cycles: 1},
		{IPA: 0x7000, Op: GuestFetch, Size: 4, Cycles: 1},
		{IPA: 1 << 50, Op: GuestStore, Size: 4, Cycles: 1},
		{IPA: 0x6000, Op: GuestStore, Size: 16, Cycles: 1},
	}
	r.run(0)
	if d := cmp.Diff(MMIOExit{Addr: 0x1010, Data: 0x2345, Len: 2, Write: true}, v.Run.MMIO); d != "" {
		t.Error(d)
	}
	r.run(0)
	if d := cmp.Diff(MMIOExit{Addr: 0x5000, Data: 0x2345, Len: 4}, v.Run.MMIO); d != "" {
		t.Error(d)
	}
	v.Run.MMIO.Data = 0x1_0000_0041 // only the low four bytes count
	r.run(0)
	if v.Run.Ret != -1 || v.Run.Errno != ENOSYS {
		t.Errorf("pair: %d %v", v.Run.Ret, v.Run.Errno)
	}
	if v.Stats.Injected != 2 || v.Stats.MMIOExits != 2 {
		t.Errorf("%d exceptions, %d exits", v.Stats.Injected, v.Stats.MMIOExits)
	}
	p := make([]byte, 8)
	r.vm.readGuest(r.t, testBase, p)
	if p[0] != 0x42 || p[4] != 0 {
		t.Errorf("stored %v", p)
	}
}

// A slot that is deleted while a fault waits is not mapped any more.
func TestFaultOnDeletedSlot(t *testing.T) {
	for steps := range 12 {
		r := newRig(t, mode{ring: 256, bitmap: true, pages: 4})
		r.do(0, GuestStore, 1)
		v := r.vm.VCPUs[0]
		v.Enter()
		for v.Continue(sim.Never) != RunFault {
		}
		for range steps {
			v.Thread.Step()
		}
		s := r.slot()
		if e := r.vm.SetUserMemoryRegion(Region{Slot: 1, GPA: testBase, HVA: s.HVA}); e != OK {
			t.Fatal(e)
		}
		state := v.Continue(sim.Never)
		for state == RunFault {
			state = v.Continue(sim.Never)
		}
		if state != RunExit || v.Run.ExitReason != ExitMMIO {
			if state == RunIdle { // the store had been executed before
				continue
			}
			t.Errorf("after %d steps: state %d, exit %d", steps, state, v.Run.ExitReason)
		}
		if l := r.vm.Stage2.Find(r.h.Machine.Mem, testBase+4096); l.Kind == mmu.DescIsLeaf {
			t.Errorf("after %d steps: a page of the deleted slot is mapped", steps)
		}
	}
}
