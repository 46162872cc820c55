package kvmcore

import (
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// rig is a host with one VM, for tests: slot 1 at testBase holds the pages that
// the guest writes.
type rig struct {
	*testing.T
	h  *Host
	vm *VM
	t  *Thread // of the VMM, no vCPU loaded
}

const testBase mmu.IPA = 0x4000_0000

// mode is how a rig tracks dirty pages.
type mode struct {
	kernel  string
	ring    uint32 // entries, 0 = no ring
	bitmap  bool   // the bitmap beside the ring
	manual  uint64
	split   uint64
	pages   uint64
	backing Backing
	fresh   bool
	unlog   bool // the slot begins without LOG_DIRTY
	vcpus   int
	cores   int
	page    mmu.Granule
	profile *Profile
	design  Design // zero = Linux's
}

func newRig(tb testing.TB, m mode) *rig {
	tb.Helper()
	if m.kernel == "" {
		m.kernel = "7.2"
	}
	k, err := ParseKernel(m.kernel)
	if err != nil {
		tb.Fatal(err)
	}
	m.vcpus, m.cores, m.pages = max(m.vcpus, 1), max(m.cores, 1), max(m.pages, 1)
	h := NewHost(HostSpec{Kernel: k, Profile: m.profile, Page: m.page, Cores: m.cores})
	r := &rig{h: h, vm: h.CreateVM(), t: h.NewThread(h.Machine.Cores[0], "vmm")}
	r.T, _ = tb.(*testing.T)
	if m.design.Layout != nil {
		if e := r.vm.SetDesign(m.design); e != OK {
			tb.Fatal(e)
		}
	}
	must := func(e Errno) {
		tb.Helper()
		if e != OK {
			tb.Fatal(e)
		}
	}
	if m.ring != 0 {
		_, e := r.vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{uint64(m.ring) * RingEntryBytes})
		must(e)
	}
	if m.bitmap && m.ring != 0 {
		_, e := r.vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{})
		must(e)
	}
	_, e := r.vm.EnableCap(CapManualProtect2, 0, [4]uint64{m.manual})
	must(e)
	_, e = r.vm.EnableCap(CapEagerSplitChunk, 0, [4]uint64{m.split})
	must(e)
	flags := SlotLogDirty
	if m.unlog {
		flags = 0
	}
	hva := h.Memory.Map(m.pages<<h.Page.Shift(), m.backing, !m.fresh)
	must(r.vm.SetUserMemoryRegion(Region{Slot: 1, Flags: uint32(flags), GPA: testBase, Size: m.pages << h.Page.Shift(), HVA: hva}))
	for i := range m.vcpus {
		v, e := r.vm.CreateVCPU(uint64(i))
		must(e)
		v.Guest = &script{}
	}
	return r
}

func (r *rig) slot() *Slot { return r.vm.Slots.ByID(1) }

// setLogging toggles LOG_DIRTY of slot 1.
func (r *rig) setLogging(on bool) {
	s := r.slot()
	flags := s.Flags &^ SlotLogDirty
	if on {
		flags |= SlotLogDirty
	}
	if e := r.vm.SetUserMemoryRegion(Region{Slot: 1, Flags: uint32(flags), GPA: r.h.Page.IPA(s.Base), Size: s.Pages << r.h.Page.Shift(), HVA: s.HVA}); e != OK {
		panic(e)
	}
}

// script is a stream that plays what it is given and then has nothing.
type script struct{ todo []GuestAccess }

func (s *script) Fill(dst []GuestAccess) int {
	n := copy(dst, s.todo)
	s.todo = s.todo[n:]
	return n
}

func (s *script) Sync(c *sim.Codec) {
	sim.Slice(c, &s.todo, func(c *sim.Codec, a *GuestAccess) { a.Sync(c) })
}

// do gives vCPU i accesses to its guest pages of slot 1, one instruction each.
func (r *rig) do(i int, op GuestOp, pages ...uint64) {
	s := r.vm.VCPUs[i].Guest.(*script)
	for _, p := range pages {
		s.todo = append(s.todo, GuestAccess{
			IPA: testBase + mmu.IPA(p<<r.h.Page.Shift()), Op: op, Size: 8, Value: p + 1, Cycles: 1, Instr: 1,
		})
	}
}

// mmio gives vCPU i a store to no memory: the way out of KVM_RUN.
func (r *rig) mmio(i int) {
	s := r.vm.VCPUs[i].Guest.(*script)
	s.todo = append(s.todo, GuestAccess{IPA: 0x0900_0000, Op: GuestStore, Size: 4, Value: 7, Cycles: 1, Instr: 1})
}

// write runs vCPU i over stores to the pages up to an MMIO exit.
func (r *rig) write(i int, pages ...uint64) {
	r.do(i, GuestStore, pages...)
	r.mmio(i)
	r.run(i)
}

// run is KVM_RUN.
func (r *rig) run(i int) *KVMRun {
	v := r.vm.VCPUs[i]
	if s := v.RunNow(); s != RunExit {
		panic("KVM_RUN did not return")
	}
	return &v.Run
}

// entry reads entry i of a ring as userspace does.
func (r *rig) entry(v int, i uint32) (flags, slot uint32, offset uint64) {
	m, pa := r.h.Machine.Mem, r.vm.VCPUs[v].Ring.EntryPA(i)
	return uint32(m.Load(pa, 4)), uint32(m.Load(pa+4, 4)), m.Load(pa+8, 8)
}

// poke overwrites entry i of a ring.
func (r *rig) poke(v int, i, flags, slot uint32, offset uint64) {
	m, pa := r.h.Machine.Mem, r.vm.VCPUs[v].Ring.EntryPA(i)
	m.Store(pa, 4, uint64(flags), mmu.WriterVMM)
	m.Store(pa+4, 4, uint64(slot), mmu.WriterVMM)
	m.Store(pa+8, 8, offset, mmu.WriterVMM)
}

// harvest marks up to limit dirty entries from fetch on and returns their pages.
func (r *rig) harvest(v int, fetch *uint32, limit int) (pages []uint64) {
	for len(pages) < limit {
		flags, _, offset := r.entry(v, *fetch)
		if flags != RingFlagDirty {
			break
		}
		r.h.Machine.Mem.Store(r.vm.VCPUs[v].Ring.EntryPA(*fetch), 4, RingFlagReset, mmu.WriterVMM)
		pages = append(pages, offset)
		*fetch++
	}
	return pages
}

// reset is KVM_RESET_DIRTY_RINGS.
func (r *rig) reset() int64 {
	n, e := r.vm.ResetDirtyRings(r.t)
	if e != OK {
		panic(e)
	}
	return n
}

// get is KVM_GET_DIRTY_LOG of slot 1: the pages whose bits were set.
func (r *rig) get() (pages []uint64) {
	out := make([]uint64, r.slot().Bitmap.Words())
	if e := r.vm.GetDirtyLog(r.t, 1, out); e != OK {
		panic(e)
	}
	return pagesOf(out)
}

func pagesOf(words []uint64) (pages []uint64) {
	for i, w := range words {
		for b := range uint64(64) {
			if w>>b&1 != 0 {
				pages = append(pages, uint64(i)*64+b)
			}
		}
	}
	return pages
}

// upTo is 0, 1, … n-1.
func upTo(n uint64) (pages []uint64) {
	for i := range n {
		pages = append(pages, i)
	}
	return pages
}

// writable tells whether stage 2 lets the guest write the page.
func (r *rig) writable(page uint64) bool {
	l := r.vm.Stage2.Find(r.h.Machine.Mem, testBase+mmu.IPA(page<<r.h.Page.Shift()))
	return l.Kind == mmu.DescIsLeaf && l.Desc.Writable()
}
