package kvmcore

import (
	"fmt"
	"testing"

	"ringmap/mmu"
)

// testHost is a host without costs, of the named kernel and page size.
func testHost(t testing.TB, kernel string, page mmu.Granule) *Host {
	t.Helper()
	k, err := ParseKernel(kernel)
	if err != nil {
		t.Fatal(err)
	}
	return NewHost(HostSpec{Kernel: k, Page: page})
}

// addSlot creates a slot of fresh 4 KiB-backed memory at 1 GiB.
func addSlot(t testing.TB, vm *VM, id uint32, flags SlotFlags, pages uint64) mmu.HVA {
	t.Helper()
	size := pages << vm.Host.Page.Shift()
	hva := vm.Host.Memory.Map(size, Backing4K, true)
	r := Region{Slot: id, Flags: uint32(flags), GPA: mmu.IPA(1<<30) * mmu.IPA(id+1), Size: size, HVA: hva}
	if e := vm.SetUserMemoryRegion(r); e != OK {
		t.Fatalf("slot %d: %v", id, e)
	}
	return hva
}

// Section 2.1 of the rules: the checks of 223 in order, on every page size.
func TestRingSize(t *testing.T) {
	for _, page := range []mmu.Granule{mmu.Granule4K, mmu.Granule16K, mmu.Granule64K} {
		for shift := range uint(64) {
			for _, arg := range []uint64{1 << shift, 1<<shift + 1, 1<<shift - 1, 3 << shift, 1<<32 | 1<<shift} {
				want := EINVAL
				size := uint32(arg) // the upper half is not looked at
				switch {
				case size == 0 || size&(size-1) != 0 || size < 1024 || uint64(size) < page.Size():
				case size > 1<<20:
					want = E2BIG
				default:
					want = OK
				}
				vm := testHost(t, "7.2", page).CreateVM()
				ret, e := vm.EnableCap(CapDirtyRingAcqRel, 0xffffffff, [4]uint64{arg, 7, 7, 7})
				if e != want || (ret == 0) != (want == OK) {
					t.Fatalf("page %d, size %#x: %d %v, want %v", page.Size(), arg, ret, e, want)
				}
				if e == OK && vm.RingSize != size {
					t.Fatalf("size %#x recorded as %#x", arg, vm.RingSize)
				}
				if ret, e := vm.EnableCap(CapDirtyRing, 0, [4]uint64{arg}); ret != -1 || e != EINVAL {
					t.Fatalf("192 on arm64: %d %v", ret, e)
				}
			}
		}
	}
}

// Size errors come before "already enabled" and "after a vCPU".
func TestRingOrder(t *testing.T) {
	enable := func(vm *VM, size uint64) Errno {
		_, e := vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{size})
		return e
	}
	for _, late := range []string{"enabled before", "after a vCPU"} {
		vm := testHost(t, "7.2", mmu.Granule4K).CreateVM()
		if late == "enabled before" {
			if e := enable(vm, 8192); e != OK {
				t.Fatal(e)
			}
		} else if _, e := vm.CreateVCPU(3); e != OK {
			t.Fatal(e)
		}
		for size, want := range map[uint64]Errno{
			4096: EINVAL, 8192: EINVAL, 1 << 20: EINVAL, 1 << 21: E2BIG, 1 << 31: E2BIG, 3 << 20: EINVAL, 0: EINVAL,
		} {
			if e := enable(vm, size); e != want {
				t.Errorf("%s, size %#x: %v, want %v", late, size, e, want)
			}
		}
	}
}

func TestRingBitmapOrder(t *testing.T) {
	vm := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	step := func(what string, flags uint32, want Errno) {
		t.Helper()
		if _, e := vm.EnableCap(CapDirtyRingBitmap, flags, [4]uint64{9, 9}); e != want {
			t.Errorf("%s: %v, want %v", what, e, want)
		}
		if vm.RingWithBitmap && want != OK && what != "again, with a slot" {
			t.Errorf("%s: enabled all the same", what)
		}
	}
	step("without a ring", 0, EINVAL)
	vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{4096})
	step("flags", 1, EINVAL)
	step("top flag", 1<<31, EINVAL)
	hva := addSlot(t, vm, 5, 0, 4)
	step("with a slot", 0, EINVAL)
	if e := vm.SetUserMemoryRegion(Region{Slot: 5, HVA: hva}); e != OK {
		t.Fatal(e)
	}
	if _, e := vm.CreateVCPU(0); e != OK {
		t.Fatal(e)
	}
	step("with a vCPU", 0, OK)
	step("again", 0, OK)
	addSlot(t, vm, 5, 0, 4)
	step("again, with a slot", 0, EINVAL)
}

func TestManualProtect(t *testing.T) {
	vm := testHost(t, "6.12", mmu.Granule4K).CreateVM()
	for mode := range uint64(16) {
		want := EINVAL
		if mode == 0 || mode == 1 || mode == 3 {
			want = OK
		}
		for _, high := range []uint64{0, 1 << 2, 1 << 31, 1 << 32, 1 << 63} {
			if high != 0 && want == OK {
				continue
			}
			before := vm.ManualProtect
			_, e := vm.EnableCap(CapManualProtect2, 0, [4]uint64{mode | high, 5})
			if e != want || e == OK && vm.ManualProtect != mode || e != OK && vm.ManualProtect != before {
				t.Errorf("mode %#x: %v, now %#x", mode|high, e, vm.ManualProtect)
			}
			if _, e := vm.EnableCap(CapManualProtect2, 1, [4]uint64{1}); e != EINVAL {
				t.Errorf("flags 1: %v", e)
			}
		}
	}
}

func TestEagerSplit(t *testing.T) {
	for page, sizes := range map[mmu.Granule][]uint64{
		mmu.Granule4K: {4 << 10, 2 << 20, 1 << 30}, mmu.Granule16K: {16 << 10, 32 << 20}, mmu.Granule64K: {64 << 10, 512 << 20},
	} {
		vm := testHost(t, "7.2", page).CreateVM()
		var mask int64
		for _, s := range sizes {
			mask |= int64(s)
		}
		if got := vm.CheckExtension(CapBlockSizes); got != mask {
			t.Errorf("page %d: 229 = %#x, want %#x", page.Size(), got, mask)
		}
		for shift := range 64 {
			chunk := uint64(1) << shift
			want := EINVAL
			if mask&int64(chunk) != 0 {
				want = OK
			}
			if _, e := vm.EnableCap(CapEagerSplitChunk, 0, [4]uint64{chunk}); e != want {
				t.Errorf("page %d, chunk %#x: %v, want %v", page.Size(), chunk, e, want)
			}
			if want == OK && vm.CheckExtension(CapEagerSplitChunk) != int64(chunk) {
				t.Errorf("228 = %#x after %#x", vm.CheckExtension(CapEagerSplitChunk), chunk)
			}
		}
		if _, e := vm.EnableCap(CapEagerSplitChunk, 0, [4]uint64{uint64(mask)}); e != EINVAL {
			t.Errorf("two sizes at once: %v", e)
		}
		if _, e := vm.EnableCap(CapEagerSplitChunk, 0, [4]uint64{0}); e != OK {
			t.Errorf("off: %v", e)
		}
		if _, e := vm.EnableCap(CapEagerSplitChunk, 1, [4]uint64{0}); e != EINVAL {
			t.Errorf("flags: %v", e)
		}
		addSlot(t, vm, 0, 0, 1)
		if _, e := vm.EnableCap(CapEagerSplitChunk, 0, [4]uint64{0}); e != EINVAL {
			t.Errorf("with a slot: %v", e)
		}
	}
}

func TestUnknownCaps(t *testing.T) {
	vm := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	for _, cap := range []uint32{0, 1, 166, 192, 10000, 1 << 31} {
		if _, e := vm.EnableCap(cap, 0, [4]uint64{4096}); e != EINVAL {
			t.Errorf("enabling %d: %v", cap, e)
		}
		if v := vm.CheckExtension(cap); v != 0 {
			t.Errorf("checking %d: %d", cap, v)
		}
	}
}

func TestCreateVCPU(t *testing.T) {
	vm := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	for i, c := range []struct {
		id   uint64
		want Errno
	}{{0, OK}, {0, EEXIST}, {511, OK}, {511, EEXIST}, {512, EINVAL}, {1 << 32, EINVAL}, {^uint64(0), EINVAL}, {7, OK}} {
		v, e := vm.CreateVCPU(c.id)
		if e != c.want {
			t.Errorf("%d: id %d: %v, want %v", i, c.id, e, c.want)
		}
		if e == OK && (v.Index != len(vm.VCPUs)-1 || v.Ring.Size != 0) {
			t.Errorf("id %d: index %d of %d, ring of %d", c.id, v.Index, len(vm.VCPUs), v.Ring.Size)
		}
	}
}

// Each vCPU has a ring of its own, empty, with its soft limit.
func TestRingOfVCPU(t *testing.T) {
	for _, page := range []mmu.Granule{mmu.Granule4K, mmu.Granule64K} {
		vm := testHost(t, "7.2", page).CreateVM()
		if _, e := vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{64 << 10}); e != OK {
			t.Fatal(e)
		}
		seen := map[mmu.PA]bool{}
		for id := range uint64(3) {
			v, e := vm.CreateVCPU(id)
			if e != OK {
				t.Fatal(e)
			}
			if v.Ring.Size != 4096 || v.Ring.SoftLimit != 4032 || v.Ring.Used() != 0 {
				t.Errorf("page %d: ring %+v", page.Size(), v.Ring)
			}
			for i := range v.Ring.Size {
				pa := v.Ring.EntryPA(i)
				if seen[pa] || vm.Host.Machine.Mem.Load(pa, 8) != 0 || vm.Host.Machine.Mem.Load(pa+8, 8) != 0 {
					t.Fatalf("vCPU %d, entry %d at %#x is shared or not zero", id, i, pa)
				}
				seen[pa] = true
			}
		}
	}
}

// Section 6.6, for rings of several sizes: the recorded rules spelled out once
// more, page by page.
func TestMmap(t *testing.T) {
	for _, kernel := range []string{"7.2", "6.12"} {
		for _, ring := range []uint64{0, 4096, 8192, 65536, 1 << 20} {
			vm := testHost(t, kernel, mmu.Granule4K).CreateVM()
			if ring != 0 {
				vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{ring})
			}
			v, _ := vm.CreateVCPU(0)
			isRing := func(p uint64) bool { return ring != 0 && p >= 64 && p < 64+ring/4096 }
			for _, offset := range []uint64{0, 1, 2, 62, 63, 64, 65, 63 + ring/4096, 64 + ring/4096, 400} {
				for _, pages := range []uint64{1, 2, 3, ring/4096 + 1, ring/4096 + 2, 70} {
					for prot := range Prot(8) {
						for _, private := range []bool{false, true} {
							name := fmt.Sprintf("%s ring %d offset %d pages %d prot %d private %v", kernel, ring, offset, pages, prot, private)
							want := OK
							if prot&ProtExec != 0 && kernel == "7.2" {
								want = EPERM
							} else if (isRing(offset) || isRing(offset+pages-1)) && (private || prot&ProtExec != 0) {
								want = EINVAL
							}
							m, e := v.Mmap(prot, private, offset, pages*4096-4000)
							if e != want {
								t.Fatalf("%s: %v, want %v", name, e, want)
							}
							if e != OK {
								continue
							}
							if m.Pages != pages {
								t.Fatalf("%s: %d pages", name, m.Pages)
							}
							for i := range m.Pages {
								if p := offset + i; m.Touch(i) != (p == 0 || p == 1 || isRing(p)) {
									t.Fatalf("%s: touching page %d gives %v", name, i, m.Touch(i))
								}
							}
						}
					}
				}
			}
			if _, e := v.Mmap(ProtRead, false, 64, 0); e != EINVAL {
				t.Errorf("length 0: %v", e)
			}
			if _, e := v.Mmap(ProtRead, false, ^uint64(0), 8192); e != ENOMEM {
				t.Errorf("an offset that wraps: %v", e)
			}
		}
	}
}

func TestKernels(t *testing.T) {
	for _, name := range Kernels {
		k, err := ParseKernel(name)
		if err != nil || k.Name != name {
			t.Fatal(name, err)
		}
		for h, info := range hazards {
			if name == "7.2+fixed" && k.Hazards[h] {
				t.Errorf("%s has %s", name, info.Name)
			}
			if got, ok := HazardByName(info.Name); !ok || got != Hazard(h) || info.Description == "" || info.Fix == "" || info.Source == "" {
				t.Errorf("hazard %d is incomplete: %+v", h, info)
			}
			if err := k.SetHazard(info.Name, true); err != nil || !k.Hazards[h] {
				t.Errorf("making %s real: %v", info.Name, err)
			}
		}
	}
	real72, _ := ParseKernel("7.2")
	real612, _ := ParseKernel("6.12")
	for h, want := range map[Hazard][2]bool{ // 7.2, 6.12
		HazardBlockMapping: {true, true}, HazardResetInterrupted: {true, false},
		HazardITSSaveUnmapped: {false, true}, HazardITSRestoreTwice: {false, true},
	} {
		if got := [2]bool{real72.Hazards[h], real612.Hazards[h]}; got != want {
			t.Errorf("%v: %v, want %v", h, got, want)
		}
	}
	for _, bad := range []string{"", "7", "6.12+fixed", "7.2 ", "7.20"} {
		if _, err := ParseKernel(bad); err == nil {
			t.Errorf("kernel %q is accepted", bad)
		}
	}
	if err := real72.SetHazard("ring.none", true); err == nil {
		t.Error("an unknown hazard is accepted")
	}
}

// What the interrupt controller refuses: a first KVM_RUN before its addresses
// and INIT, and new vCPUs after INIT, whatever their id's other faults.
func TestVGICGates(t *testing.T) {
	vm := testHost(t, "7.2", mmu.Granule4K).CreateVM()
	v, _ := vm.CreateVCPU(0)
	run := func(want Errno) {
		t.Helper()
		if v.RunNow() == RunExit != (want != OK) || want != OK && (v.Run.Ret != -1 || v.Run.Errno != want) {
			t.Errorf("KVM_RUN: %d %v, want %v", v.Run.Ret, v.Run.Errno, want)
		}
	}
	set := func(d Device, group uint32, attr, val uint64) {
		t.Helper()
		if e := d.SetAttr(group, attr, 8, val); e != OK {
			t.Fatalf("group %d attr %d: %v", group, attr, e)
		}
	}
	gic, e := vm.CreateDevice(DeviceVGICv3)
	if e != OK {
		t.Fatal(e)
	}
	run(ENXIO)
	set(gic, GroupAddr, AddrDist, 0x8000000)
	run(ENXIO)
	set(gic, GroupAddr, AddrRedist, 0x80a0000)
	run(EBUSY)
	if _, e := vm.CreateVCPU(0); e != EEXIST {
		t.Errorf("an id in use: %v", e)
	}
	set(gic, GroupCtrl, CtrlInit, 0)
	for id, want := range map[uint64]Errno{0: EBUSY, 1: EBUSY, 512: EINVAL} {
		if _, e := vm.CreateVCPU(id); e != want {
			t.Errorf("vCPU %d after INIT: %v, want %v", id, e, want)
		}
	}
	run(OK) // it has nothing to do
}
