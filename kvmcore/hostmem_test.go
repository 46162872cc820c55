package kvmcore

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"ringmap/mmu"
)

// Reads, writes, fills and faults against plain byte slices, on all backings
// and page sizes.
func TestHostMemoryBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, page := range []mmu.Granule{mmu.Granule4K, mmu.Granule16K, mmu.Granule64K} {
		h := testHost(t, "7.2", page)
		m := h.Memory
		type area struct {
			hva  mmu.HVA
			want []byte
		}
		var areas []area
		for b := range numBackings {
			for _, populated := range []bool{false, true} {
				const size = 5<<20 + 100
				areas = append(areas, area{m.Map(size, b, populated), make([]byte, size)})
			}
		}
		for range 3000 {
			a := areas[rng.IntN(len(areas))]
			off := rng.IntN(len(a.want))
			n := min(rng.IntN(20000), len(a.want)-off)
			hva := a.hva + mmu.HVA(off)
			switch rng.IntN(5) {
			case 0:
				p := make([]byte, min(n, 300))
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
				if e := m.Write(hva, p, mmu.WriterVMM); e != OK {
					t.Fatal(e)
				}
				copy(a.want[off:], p)
			case 1:
				b := byte(rng.IntN(3))
				if e := m.Fill(hva, uint64(n), b, mmu.WriterVMM); e != OK {
					t.Fatal(e)
				}
				for i := range n {
					a.want[off+i] = b
				}
			case 2:
				if _, e := m.Fault(hva, rng.IntN(2) == 0); e != OK {
					t.Fatal(e)
				}
			default:
				p := bytes.Repeat([]byte{0xee}, n)
				if e := m.Read(hva, p); e != OK || !bytes.Equal(p, a.want[off:off+n]) {
					t.Fatalf("page %d: %d bytes at %#x+%d differ (%v)", page.Size(), n, a.hva, off, e)
				}
				if pfn, ok := m.PFN(hva); ok && n > 0 {
					if got := byte(h.Machine.Mem.Load(pfn.PA()+mmu.PA(hva&0xfff), 1)); got != a.want[off] {
						t.Fatalf("frame of %#x holds %#x", hva, got)
					}
				}
			}
		}
	}
}

func TestHostMemoryBadAddresses(t *testing.T) {
	m := testHost(t, "7.2", mmu.Granule4K).Memory
	a := m.Map(8192, Backing4K, true)
	b := m.Map(8192, Backing4K, true)
	if b == a+8192 {
		t.Error("two mappings touch")
	}
	for _, hva := range []mmu.HVA{0, a - 1, a + 8192, b - 1, b + 8192, 1 << 51, ^mmu.HVA(0)} {
		if _, e := m.Fault(hva, false); e != EFAULT {
			t.Errorf("fault at %#x: %v", hva, e)
		}
		if e := m.Read(hva, make([]byte, 1)); e != EFAULT {
			t.Errorf("read at %#x: %v", hva, e)
		}
		if e := m.Write(hva, []byte{1}, mmu.WriterVMM); e != EFAULT {
			t.Errorf("write at %#x: %v", hva, e)
		}
		if _, ok := m.PFN(hva); ok {
			t.Errorf("%#x has a frame", hva)
		}
	}
	if e := m.Write(a+8190, []byte{1, 2, 3}, mmu.WriterVMM); e != EFAULT {
		t.Errorf("a write over the end: %v", e)
	}
	var p [2]byte
	if m.Read(a+8190, p[:]); p != [2]byte{1, 2} {
		t.Errorf("what lay before the end is %v", p)
	}
}

// What a fault says of each backing: block, permission, congruence of frames.
func TestHostMemoryFault(t *testing.T) {
	const mib = 1 << 20
	h := testHost(t, "7.2", mmu.Granule4K)
	m := h.Memory
	for _, c := range []struct {
		backing   Backing
		populated bool
		size, off uint64
		read      HostPage // Block and Writable of a first read
		write     HostPage // of the write after it
	}{
		{Backing4K, true, 4 * mib, 5000, HostPage{Block: 4096, Writable: true}, HostPage{Block: 4096, Writable: true}},
		{Backing4K, false, 4 * mib, 5000, HostPage{Block: 4096}, HostPage{Block: 4096, Writable: true, Replaced: true}},
		{BackingTHP, true, 4 * mib, 3 * mib, HostPage{Block: 2 * mib, Writable: true}, HostPage{Block: 2 * mib, Writable: true}},
		{BackingTHP, false, 4 * mib, 3 * mib, HostPage{Block: 4096}, HostPage{Block: 2 * mib, Writable: true, Replaced: true}},
		{BackingTHP, true, 5 * mib, 4*mib + 8192, HostPage{Block: 4096, Writable: true}, HostPage{Block: 4096, Writable: true}},
		{BackingHugetlb2M, true, 3 * mib, 3*mib + 8192, HostPage{Block: 2 * mib, Writable: true}, HostPage{Block: 2 * mib, Writable: true}},
		{BackingHugetlb2M, false, 2 * mib, 8192, HostPage{Block: 2 * mib, Writable: true}, HostPage{Block: 2 * mib, Writable: true}},
		{BackingHugetlb1G, true, 2 * mib, 8192, HostPage{Block: 1 << 30, Writable: true}, HostPage{Block: 1 << 30, Writable: true}},
	} {
		hva := m.Map(c.size, c.backing, c.populated)
		if uint64(hva)&(c.write.Block-1) != 0 && c.size >= c.write.Block && c.backing != BackingTHP {
			t.Errorf("%v mapped at %#x", c.backing, hva)
		}
		var before mmu.PFN
		for i, want := range []HostPage{c.read, c.write} {
			got, e := m.Fault(hva+mmu.HVA(c.off), i == 1)
			if e != OK || got.Block != want.Block || got.Writable != want.Writable || got.Replaced != want.Replaced {
				t.Errorf("%v populated %v +%#x, access %d: %+v %v, want %+v", c.backing, c.populated, c.off, i, got, e, want)
			}
			if got.Writable && uint64(got.PFN.PA())&(got.Block-1) != (uint64(hva)+c.off)&(got.Block-1)&^4095 {
				t.Errorf("%v: frame %#x does not fit %#x", c.backing, got.PFN, uint64(hva)+c.off)
			}
			if i == 1 && !want.Replaced && got.PFN != before {
				t.Errorf("%v: the frame changed from %#x to %#x", c.backing, before, got.PFN)
			}
			before = got.PFN
		}
	}
}

// Memory costs nothing until it is touched, and a page's writes are journalled
// under its address.
func TestHostMemoryLazy(t *testing.T) {
	h := testHost(t, "7.2", mmu.Granule4K)
	used := h.Machine.Alloc.Used
	var maps []mmu.HVA
	for b := range numBackings {
		maps = append(maps, h.Memory.Map(1<<40, b, true))
	}
	if h.Machine.Alloc.Used != used {
		t.Errorf("mapping 4 TiB took %d frames", h.Machine.Alloc.Used-used)
	}
	h.Machine.Mem.NextEpoch()
	for _, hva := range maps {
		hva += 1<<39 + 3<<30 + 12345*8
		if e := h.Memory.Write(hva, []byte{1}, mmu.WriterVMM); e != OK {
			t.Fatal(e)
		}
		j := h.Machine.Mem.Journal()
		if len(j) != 1 || j[0].Tag != uint64(hva)>>12 {
			t.Errorf("write at %#x is journalled as %+v", hva, j)
		}
		h.Machine.Mem.NextEpoch()
	}
}

// Writing fresh memory that a guest has read replaces the zero page in every
// stage 2 that maps it, at every guest address.
func TestZeroPageReplaced(t *testing.T) {
	h := testHost(t, "7.2", mmu.Granule4K)
	hva := h.Memory.Map(1<<20, Backing4K, false)
	var vms []*VM
	for range 2 {
		vm := h.CreateVM()
		for id := range uint32(2) {
			r := Region{Slot: id, GPA: mmu.IPA(id+1) << 30, Size: 1 << 20, HVA: hva}
			if e := vm.SetUserMemoryRegion(r); e != OK {
				t.Fatal(e)
			}
		}
		vms = append(vms, vm)
	}
	page, e := h.Memory.Fault(hva+8192, false)
	if e != OK || page.Writable {
		t.Fatal(page, e)
	}
	leaf := func(vm *VM, ipa mmu.IPA) mmu.DescKind { return vm.Stage2.Find(h.Machine.Mem, ipa).Kind }
	for _, vm := range vms {
		for id := range mmu.IPA(2) {
			for _, p := range []mmu.IPA{0, 8192} {
				prog := vm.Stage2.Map((id+1)<<30+p, page.PFN.PA(), 3, mmu.ProtRead, false)
				var b mmu.Block
				mmu.RunNow(h.Machine.Mem, h.Machine.Domain, &b, &prog)
			}
		}
	}
	if e := h.Memory.Write(hva+8192+5, []byte{7}, mmu.WriterVMM); e != OK {
		t.Fatal(e)
	}
	for i, vm := range vms {
		for id := range mmu.IPA(2) {
			base := (id + 1) << 30
			if leaf(vm, base+8192) != mmu.DescInvalid || leaf(vm, base) != mmu.DescIsLeaf {
				t.Errorf("VM %d, slot %d: the page is %v, its neighbour %v", i, id, leaf(vm, base+8192), leaf(vm, base))
			}
		}
	}
}

// A destroyed VM leaves no frame behind but the process's own memory, which the
// next VM finds as it was.
func TestDestroyKeepsMemory(t *testing.T) {
	h := testHost(t, "7.2", mmu.Granule4K)
	hva := h.Memory.Map(4<<20, BackingTHP, true)
	h.Memory.Write(hva+100, []byte("kept"), mmu.WriterVMM)
	used := h.Machine.Alloc.Used
	for range 3 {
		vm := h.CreateVM()
		vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{1 << 16})
		vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{})
		if e := vm.SetUserMemoryRegion(Region{Slot: 1, Flags: 1, GPA: 1 << 30, Size: 4 << 20, HVA: hva}); e != OK {
			t.Fatal(e)
		}
		for id := range uint64(3) {
			if _, e := vm.CreateVCPU(id); e != OK {
				t.Fatal(e)
			}
		}
		vm.Destroy()
		if h.Machine.Alloc.Used != used {
			t.Fatalf("%d frames are left behind", h.Machine.Alloc.Used-used)
		}
	}
	var p [4]byte
	if h.Memory.Read(hva+100, p[:]); string(p[:]) != "kept" {
		t.Errorf("the memory holds %q", p)
	}
}

func BenchmarkHostFault(b *testing.B) {
	h := testHost(b, "7.2", mmu.Granule4K)
	hva := h.Memory.Map(1<<40, Backing4K, true)
	b.ReportAllocs()
	for i := range b.N {
		h.Memory.Fault(hva+mmu.HVA(i%(1<<28))<<12, true)
	}
}
