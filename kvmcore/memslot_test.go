package kvmcore

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
)

// Section 3.1: the checks in order. Each row breaks one rule and, where it can,
// rules behind it, so that only the right order gives the right error.
func TestRegionChecks(t *testing.T) {
	const (
		gpa  = mmu.IPA(0x40000000)
		last = mmu.IPA(1<<40 - 4096)
	)
	h := testHost(t, "7.2", mmu.Granule4K)
	vm := h.CreateVM()
	a := h.Memory.Map(16<<20, Backing4K, true)
	ok := func(r Region) {
		t.Helper()
		if e := vm.SetUserMemoryRegion(r); e != OK {
			t.Fatalf("%+v: %v", r, e)
		}
	}
	ok(Region{Slot: 1, GPA: gpa, Size: 1 << 20, HVA: a})
	ok(Region{Slot: 2, GPA: gpa + 2<<20, Size: 1 << 20, HVA: a, Flags: uint32(SlotReadonly)})
	for i, c := range []struct {
		r    Region
		want Errno
	}{
		{Region{Slot: 32767, GPA: gpa + 8<<20, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 65535, GPA: gpa + 8<<20, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 1<<16 | 3, GPA: gpa + 8<<20, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 3, Flags: 4, GPA: gpa + 8<<20, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 3, Flags: 1 << 31, GPA: gpa + 8<<20, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 3, GPA: gpa + 1, Size: 4096, HVA: a}, EINVAL},
		{Region{Slot: 3, GPA: gpa + 8<<20, Size: 4097, HVA: a}, EINVAL},
		{Region{Slot: 3, GPA: gpa + 8<<20, Size: 4096, HVA: a + 8}, EINVAL},
		{Region{Slot: 3, GPA: gpa + 8<<20, Size: 4096, HVA: a | 1<<56}, EINVAL}, // a tag
		{Region{Slot: 3, GPA: gpa + 8<<20, Size: 4096, HVA: 0xffff_0000_0000_0000}, EINVAL},
		{Region{Slot: 3, GPA: gpa + 8<<20, Size: 8192, HVA: 1<<52 - 4096}, EINVAL},
		{Region{Slot: 3, GPA: ^mmu.IPA(4095), Size: 4096, HVA: a}, EINVAL},              // ends at 2^64: wraps to 0
		{Region{Slot: 3, GPA: ^mmu.IPA(4095), Size: 8192, HVA: a}, EINVAL},              // wraps
		{Region{Slot: 3, GPA: gpa, Size: 1 << 43, HVA: a}, EINVAL},                      // 2^31 pages, before the overlap
		{Region{Slot: 3, GPA: gpa, Size: 1<<43 - 4096, HVA: a}, EEXIST},                 // 2^31-1 pages
		{Region{Slot: 3, GPA: 1 << 41, Size: 1<<43 - 4096, HVA: a}, EFAULT},             // beyond the IPA size only
		{Region{Slot: 3, Size: 0, GPA: gpa, HVA: a}, EINVAL},                            // deleting what is not there
		{Region{Slot: 1, Size: 0, GPA: gpa, HVA: a + 1}, EINVAL},                        // checks come before the delete
		{Region{Slot: 1, Size: 0, GPA: gpa, HVA: a, Flags: 77}, EINVAL},                 //
		{Region{Slot: 1, GPA: gpa, Size: 2 << 20, HVA: a}, EINVAL},                      // another size
		{Region{Slot: 1, GPA: gpa, Size: 1 << 20, HVA: a + 4096}, EINVAL},               // another address
		{Region{Slot: 1, GPA: gpa, Size: 1 << 20, HVA: a, Flags: 2}, EINVAL},            // READONLY toggled
		{Region{Slot: 2, GPA: gpa, Size: 1 << 20, HVA: a, Flags: 1}, EINVAL},            // the same, before the overlap
		{Region{Slot: 2, GPA: gpa, Size: 1 << 20, HVA: a, Flags: 2}, EEXIST},            // moved onto another
		{Region{Slot: 2, GPA: last, Size: 1 << 20, HVA: a, Flags: 2}, EFAULT},           // moved beyond the end
		{Region{Slot: 3, GPA: gpa + 1<<20 - 4096, Size: 8192, HVA: a}, EEXIST},          // one page of overlap
		{Region{Slot: 3, GPA: gpa - 4096, Size: 8192, HVA: a}, EEXIST},                  //
		{Region{Slot: 3, GPA: last, Size: 8192, HVA: a}, EFAULT},                        //
		{Region{Slot: 3, GPA: 1 << 40, Size: 4096, HVA: a}, EFAULT},                     //
		{Region{Slot: 3, GPA: last, Size: 4096, HVA: 0}, OK},                            // address 0 is a user address
		{Region{Slot: 32766, GPA: gpa + 1<<20, Size: 1 << 20, HVA: 1<<52 - 1<<20}, OK},  // the last id, up to both limits
		{Region{Slot: 2, GPA: gpa + 2<<20 + 4096, Size: 1 << 20, HVA: a, Flags: 3}, OK}, // moved over itself
	} {
		if e := vm.SetUserMemoryRegion(c.r); e != c.want {
			t.Errorf("row %d %+v: %v, want %v", i, c.r, e, c.want)
		}
	}
	var have []string
	for _, s := range vm.Slots.All() {
		have = append(have, fmt.Sprintf("%d@%#x+%d:%d", s.ID, uint64(s.Base), s.Pages, s.Flags))
	}
	want := []string{"1@0x40000+256:0", "32766@0x40100+256:0", "2@0x40201+256:3", "3@0xfffffff+1:0"}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("slots (-want +got):\n%s", d)
	}
}

// The size rules follow the host's page size.
func TestRegionPageSize(t *testing.T) {
	for _, page := range []mmu.Granule{mmu.Granule4K, mmu.Granule16K, mmu.Granule64K} {
		h := testHost(t, "7.2", page)
		vm := h.CreateVM()
		hva := h.Memory.Map(1<<20, Backing4K, true)
		for _, unit := range []uint64{4 << 10, 16 << 10, 64 << 10} {
			want := EINVAL
			if unit >= page.Size() {
				want = OK
			}
			r := Region{Slot: uint32(unit >> 12), GPA: mmu.IPA(unit << 10), Size: unit, HVA: hva + mmu.HVA(unit)}
			if e := vm.SetUserMemoryRegion(r); e != want {
				t.Errorf("page %d, region of %d: %v, want %v", page.Size(), unit, e, want)
			}
		}
	}
}

// Section 3.2: when a slot owns a bitmap, and what is in it.
func TestBitmapTransitions(t *testing.T) {
	type state struct{ ring, withBitmap bool }
	for _, mode := range []state{{false, false}, {true, false}, {true, true}} {
		for _, manual := range []uint64{0, 1, 3} {
			name := fmt.Sprintf("%+v manual %d", mode, manual)
			h := testHost(t, "7.2", mmu.Granule4K)
			vm := h.CreateVM()
			if mode.ring {
				vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{4096})
			}
			if mode.withBitmap {
				vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{})
			}
			vm.EnableCap(CapManualProtect2, 0, [4]uint64{manual})
			const pages = 100
			hva := addSlot(t, vm, 0, 0, pages)
			set := func(flags SlotFlags, gpa mmu.IPA) *Slot {
				t.Helper()
				r := Region{Flags: uint32(flags), GPA: gpa, Size: pages * 4096, HVA: hva}
				if e := vm.SetUserMemoryRegion(r); e != OK {
					t.Fatalf("%s: %v", name, e)
				}
				return vm.Slots.ByID(0)
			}
			owns := !mode.ring || mode.withBitmap
			word := func(s *Slot, i uint64) uint64 { return h.Machine.Mem.Load(s.Bitmap.WordPA(i), 8) }

			if vm.Slots.ByID(0).Bitmap.Exists() {
				t.Errorf("%s: a bitmap without logging", name)
			}
			s := set(SlotLogDirty, 1<<30)
			if s.Bitmap.Exists() != owns {
				t.Fatalf("%s: bitmap %v", name, s.Bitmap.Exists())
			}
			if owns {
				want := [2]uint64{}
				if manual == 3 {
					want = [2]uint64{^uint64(0), 1<<36 - 1}
				}
				if got := [2]uint64{word(s, 0), word(s, 1)}; got != want {
					t.Errorf("%s: new bitmap %#x, want %#x", name, got, want)
				}
				h.Machine.Mem.Store(s.Bitmap.WordPA(1), 8, 0x55, mmu.WriterKernel)
				s = set(SlotLogDirty, 2<<30) // moved: contents kept
				if word(s, 1) != 0x55 {
					t.Errorf("%s: a move lost the bitmap", name)
				}
				s = set(SlotLogDirty, 2<<30) // nothing to do
				if word(s, 1) != 0x55 {
					t.Errorf("%s: an identical request touched the bitmap", name)
				}
			}
			if s = set(0, 2<<30); s.Bitmap.Exists() {
				t.Errorf("%s: the bitmap outlives logging", name)
			}
			if s = set(SlotLogDirty, 2<<30); owns && manual != 3 && word(s, 1) != 0 {
				t.Errorf("%s: the second bitmap is not empty", name)
			}
		}
	}
}

// Section 7: the checks of GET and CLEAR, against the rule written as one formula
// for slots of all sizes around a word.
func TestClearRange(t *testing.T) {
	for _, pages := range []uint64{1, 63, 64, 65, 127, 128, 129, 200} {
		h := testHost(t, "7.2", mmu.Granule4K)
		vm := h.CreateVM()
		addSlot(t, vm, 0, SlotLogDirty, pages)
		for first := uint64(0); first <= 260; first++ {
			for num := uint64(0); num <= 270; num++ {
				want := OK
				end := first + num
				if first%64 != 0 || end > pages || first > pages || end != pages && num%64 != 0 {
					want = EINVAL
				}
				if _, e := vm.checkClearDirtyLog(0, first, uint32(num)); e != want {
					t.Fatalf("slot of %d: CLEAR %d+%d: %v, want %v", pages, first, num, e, want)
				}
			}
		}
		for _, first := range []uint64{1 << 62, 1<<64 - 64, 1<<63 + 64} {
			if _, e := vm.checkClearDirtyLog(0, first, 64); e != EINVAL {
				t.Errorf("first %#x: %v", first, e)
			}
		}
	}
}

func TestDirtyLogChecks(t *testing.T) {
	bitmap := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	addSlot(t, bitmap, 1, SlotLogDirty, 100)
	addSlot(t, bitmap, 2, 0, 100)
	ring := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	addSlot(t, ring, 1, SlotLogDirty, 100) // logged before the ring: its bitmap is of no use
	ring.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{4096})
	for _, c := range []struct {
		vm    *VM
		slot  uint32
		first uint64
		get   Errno
		clear Errno
	}{
		{bitmap, 1, 0, OK, OK},
		{bitmap, 2, 0, ENOENT, ENOENT},
		{bitmap, 3, 0, ENOENT, ENOENT},
		{bitmap, 3, 1, ENOENT, EINVAL}, // alignment before the slot
		{bitmap, 1, 128, OK, EINVAL},
		{bitmap, 32766, 0, ENOENT, ENOENT},
		{bitmap, 32767, 0, EINVAL, EINVAL},
		{bitmap, 1<<16 | 1, 0, EINVAL, EINVAL},
		{bitmap, 0xffff0001, 0, EINVAL, EINVAL},
		{ring, 1, 0, ENXIO, ENXIO},
		{ring, 0xffffffff, 1, ENXIO, ENXIO}, // before any look at the slot
	} {
		if _, e := c.vm.checkGetDirtyLog(c.slot); e != c.get {
			t.Errorf("GET %#x: %v, want %v", c.slot, e, c.get)
		}
		if _, e := c.vm.checkClearDirtyLog(c.slot, c.first, 64); e != c.clear {
			t.Errorf("CLEAR %#x from %d: %v, want %v", c.slot, c.first, e, c.clear)
		}
	}
}

// SlotTable against a list that is searched from one end to the other.
func TestSlotTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var table SlotTable
	var naive []*Slot
	overlaps := func(base mmu.GFN, pages uint64) bool {
		for _, s := range naive {
			if base < s.Base+mmu.GFN(s.Pages) && s.Base < base+mmu.GFN(pages) {
				return true
			}
		}
		return false
	}
	for range 20000 {
		switch base, pages := mmu.GFN(rng.Uint64N(3000)), 1+rng.Uint64N(20); rng.IntN(4) {
		case 0:
			id := uint16(rng.IntN(200))
			if table.ByID(id) == nil && !overlaps(base, pages) {
				s := &Slot{ID: id, Base: base, Pages: pages}
				table.insert(s)
				naive = append(naive, s)
			}
		case 1:
			if len(naive) > 100 {
				i := rng.IntN(len(naive))
				table.remove(naive[i])
				naive = append(naive[:i], naive[i+1:]...)
			}
		case 2:
			if got := table.overlaps(base, pages, nil); got != overlaps(base, pages) {
				t.Fatalf("overlap of %d+%d: %v", base, pages, got)
			}
		}
		gfn, id := mmu.GFN(rng.Uint64N(3100)), uint16(rng.IntN(210))
		var byGFN, byID *Slot
		for _, s := range naive {
			if gfn >= s.Base && gfn < s.Base+mmu.GFN(s.Pages) {
				byGFN = s
			}
			if s.ID == id {
				byID = s
			}
		}
		if table.ByGFN(gfn) != byGFN || table.ByID(id) != byID {
			t.Fatalf("gfn %d: %v, id %d: %v", gfn, table.ByGFN(gfn), id, table.ByID(id))
		}
	}
	if !sort.SliceIsSorted(table.All(), func(i, j int) bool { return table.All()[i].Base < table.All()[j].Base }) {
		t.Error("slots are not in the order of their frames")
	}
	if len(naive) != table.Len() || len(naive) < 50 {
		t.Errorf("%d slots, %d in the table", len(naive), table.Len())
	}
}

// A block needs congruent addresses and must lie inside the slot.
func TestFitsBlock(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		gpa, hva, size uint64
		gfnOff         mmu.GFN
		want           bool
	}{
		{1 << 30, 1 << 31, 4 * mib, 0, true},
		{1 << 30, 1 << 31, 4 * mib, 1023, true},
		{1 << 30, 1<<31 + 4096, 4 * mib, 0, false},         // not congruent
		{1<<30 + 4096, 1<<31 + 4096, 4 * mib, 0, false},    // the block begins before the slot
		{1<<30 + 4096, 1<<31 + 4096, 4 * mib, 511, true},   // its second block lies inside
		{1<<30 + 4096, 1<<31 + 4096, 4 * mib, 1023, false}, // its third ends behind it
		{1 << 30, 1 << 31, 3 * mib, 512, false},            //
		{1<<30 + 2*mib, 1<<31 + 4*mib, 2 * mib, 5, true},   //
	} {
		s := Slot{Base: mmu.GFN(c.gpa >> 12), Pages: c.size >> 12, HVA: mmu.HVA(c.hva)}
		if got := s.FitsBlock(s.Base+c.gfnOff, mmu.Granule4K, 2*mib); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func BenchmarkSlotByGFN(b *testing.B) {
	for _, n := range []int{1, 32, 1024} {
		var table SlotTable
		for i := range n {
			table.insert(&Slot{ID: uint16(i), Base: mmu.GFN(i) * 64, Pages: 64})
		}
		b.Run(fmt.Sprintf("slots=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if table.ByGFN(mmu.GFN(i*67)%mmu.GFN(n*64)) == nil {
					b.Fatal("no slot")
				}
			}
		})
	}
}

// A machine without free frames: the call fails with ENOMEM and leaves all as it was.
func TestNoMemory(t *testing.T) {
	h := testHost(t, "7.2", mmu.Granule4K)
	vm := h.CreateVM()
	if _, e := vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{8192}); e != OK {
		t.Fatal(e)
	}
	if _, e := vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{}); e != OK {
		t.Fatal(e)
	}
	hva := addSlot(t, vm, 1, 0, 100)
	*h.Machine.Alloc = *mmu.NewAllocator(h.Machine.Mem, 1<<30, 1<<30)
	logged := Region{Slot: 1, Flags: 1, GPA: 2 << 30, Size: 100 * 4096, HVA: hva}
	moved := logged
	moved.GPA = 8 << 30
	other := logged
	other.Slot, other.GPA = 7, 9<<30
	for _, r := range []Region{logged, moved, other} {
		if e := vm.SetUserMemoryRegion(r); e != ENOMEM {
			t.Errorf("%+v: %v", r, e)
		}
	}
	if s := vm.Slots.ByID(1); vm.Slots.Len() != 1 || s.Flags != 0 || s.Base != 2<<18 || s.Bitmap.Exists() {
		t.Errorf("%d slots, %+v", vm.Slots.Len(), s)
	}
	if _, e := vm.CreateVCPU(0); e != ENOMEM || len(vm.VCPUs) != 0 {
		t.Errorf("vCPU: %v, %d of them", e, len(vm.VCPUs))
	}
	if _, e := h.Memory.Fault(hva, true); e != ENOMEM {
		t.Errorf("fault: %v", e)
	}
}
