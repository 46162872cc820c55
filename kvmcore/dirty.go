package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// record is what the kernel does with the news that a page was written: Linux
// does one of these, other policies also two at once.
type record uint8

const (
	recordRing    record = 1 << iota // an entry in the ring of the vCPU loaded here
	recordBitmap                     // a bit in the slot's bitmap
	recordLost                       // nowhere, though the slot is logged
	recordDropped                    // nowhere, because the loaded vCPU belongs to another VM
	recordVMRing                     // an entry in the VM's ring, which Linux does not have
	recordFlag                       // the VM's "a ring was full" flag, which Linux does not have

	recordNothing record = 0 // the slot is not logged

	recorded = recordRing | recordBitmap | recordVMRing
)

// markPageDirtyInSlot decides where it is recorded that a page of slot s was
// written: mark_page_dirty_in_slot of virt/kvm/kvm_main.c, test by test. v is
// the vCPU loaded on this CPU (kvm_get_running_vcpu), nil for a VM or device
// ioctl whoever calls it. s is nil where no slot is.
func (vm *VM) markPageDirtyInSlot(v *VCPU, s *Slot) record {
	if v != nil && v.VM != vm {
		vm.Host.warnOnce("mark_page_dirty_in_slot")
		return recordDropped
	}
	if v == nil && !vm.allowWriteWithoutRunningVCPU() {
		vm.Host.warnOnce("mark_page_dirty_in_slot") // and goes on
	}
	switch {
	case s == nil || s.Flags&SlotLogDirty == 0:
		return recordNothing
	case vm.RingSize != 0 && v != nil:
		return recordRing // the bitmap is not touched, even if there is one
	case s.Bitmap.Exists():
		return recordBitmap
	default:
		return recordLost // a ring alone, and nobody's ring to put it into
	}
}

// allowWriteWithoutRunningVCPU is the hook that silences the warning above. On
// arm64 it is true only while the interrupt controller writes its tables:
// kvm_arch_allow_write_without_running_vcpu.
func (vm *VM) allowWriteWithoutRunningVCPU() bool { return vm.tableWriteInProgress }

// markPath records one dirty page, or the pages of one mapping: the micro-ops
// behind the decision above.
type markPath struct {
	gfn   mmu.GFN
	pages uint64 // from gfn on; more than 1 only where blocks are logged whole
	ref   slotRef
	then  record // what is left to do, by the steps of mark.go
	words uint8  // bitmap words in the block under way
}

// Steps of markPath; those of records that Linux does not make are in mark.go.
const (
	markDecide uint8 = iota
	markBitSet
	markWordsSet
	markNext
	markPushVM
	markPushedVM
)

// markDirty opens the path that records gfn of slot s.
func (t *Thread) markDirty(s *Slot, gfn mmu.GFN) { t.markPages(s, gfn, 1) }

func (t *Thread) markPages(s *Slot, gfn mmu.GFN, pages uint64) {
	t.mark.gfn, t.mark.pages = gfn, pages
	t.mark.ref.set(s)
	t.push(pathMark, CauseMark)
}

func (t *Thread) stepMark(f *frame) {
	m, vm, v := &t.mark, t.vm, t.VCPU
	if f.pc != markDecide {
		t.stepMarkOn(f)
		return
	}
	s := vm.slot(&m.ref)
	what := vm.policy.record(vm, v, s)
	if what&recorded != 0 {
		if t.dropRecord() {
			t.lose(LossDropped, m.gfn, m.pages)
			t.ret()
			return
		}
		if v == nil {
			t.Host.Stats.NonVCPURecords++
		}
	}
	switch what {
	case recordRing:
		t.pushEntry(v, s, m.gfn)
		t.ret()
	case recordBitmap:
		f.pc = t.setDirtyBits(s)
	case recordLost:
		t.lose(LossNoVCPU, m.gfn, m.pages)
		vm.noticeLoss(t)
		t.ret()
	case recordDropped:
		if s != nil && s.Flags&SlotLogDirty != 0 {
			t.lose(LossWrongVM, m.gfn, m.pages)
		}
		t.ret()
	case recordNothing:
		t.ret()
	default:
		t.markTwice(f, s, what)
	}
}

// pushEntry writes a ring entry: kvm_dirty_ring_push. Nobody but the thread of
// the owning vCPU pushes, so there is no lock.
func (t *Thread) pushEntry(v *VCPU, s *Slot, gfn mmu.GFN) {
	r := &v.Ring
	if r.Used() >= r.Size {
		t.Host.warnOnce("kvm_dirty_ring_push") // and overwrites the oldest
		t.overrun(r)
	}
	if int32(r.Used()) < 0 {
		t.lose(LossResetPastDirty, gfn, 1) // reset will not see this entry before the indices wrap
	}
	t.vm.Design.Layout.push(t, r, s, gfn)
	t.touchIndex(r)
	t.tell(StoryPushed, gfn, uint64(r.DirtyIndex), 0)
	r.DirtyIndex = r.Next(r.DirtyIndex)
	if r.SoftFull() {
		v.requestFull()
	}
	v.countPush(t.Core.Now, gfn)
}

// pushInEntry writes the entry in Linux's layout: the flags last.
func (t *Thread) pushInEntry(r *Ring, s *Slot, gfn mmu.GFN) {
	b, e := &t.Block, r.EntryPA(r.DirtyIndex)
	b.Delay(t.pushCost(r))
	b.What = mmu.RingEntry
	b.Store(e+entrySlot, 4, uint64(s.ASID)<<16|uint64(s.ID))
	b.Store(e+entryOffset, 8, uint64(gfn-s.Base))
	b.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease}) // smp_wmb
	b.Store(e+entryFlags, 4, RingFlagDirty|uint64(t.entryOrder())<<RingOrderShift)
}

// setDirtyBits sets the bits of the path's pages in the slot's bitmap, each word
// atomically: set_bit_le. It returns the next step.
func (t *Thread) setDirtyBits(s *Slot) uint8 {
	m := &t.mark
	t.Block.Delay(t.Host.Profile.SetBit)
	rel := uint64(m.gfn - s.Base)
	if m.pages > 1 {
		return t.setDirtyWords(s, rel)
	}
	t.Block.Push(mmu.Op{
		Kind: mmu.OpSetBits, Addr: s.Bitmap.WordPA(rel / 64), Size: 8, Val: 1 << (rel % 64), What: mmu.BitmapWord,
	})
	s.Bitmap.note(rel / 64)
	return markBitSet
}

// countBit follows a bit that has been set.
func (t *Thread) countBit() {
	gfn := t.mark.gfn
	bit := uint64(1) << (uint64(gfn-t.mark.ref.base) % 64)
	old := t.Block.Out[t.ran-1]&bit != 0
	t.tell(StoryBitSet, gfn, boolBit(old), 0)
	t.countBits(1, boolBit(!old))
	if p := t.Host.probe; p != nil && !old {
		p.Recorded(t, gfn, 1)
	}
}

// countBits counts pages recorded in a bitmap, some of them for the first time.
func (t *Thread) countBits(marked, set uint64) {
	t.Host.Stats.BitsMarked += marked
	t.Host.Stats.BitsSet += set
	if t.VCPU != nil {
		t.VCPU.Stats.BitsMarked += marked
	}
}

// dropRecord is the switch that tests the audit: every nth record vanishes.
func (t *Thread) dropRecord() bool {
	h := t.Host
	if h.Kernel.DropEvery == 0 {
		return false
	}
	h.Stats.DropCountdown++
	if h.Stats.DropCountdown < h.Kernel.DropEvery {
		return false
	}
	h.Stats.DropCountdown = 0
	return true
}

// WriteGuest is a write of guest memory by the kernel on its own behalf, with no
// vCPU running and as the interrupt controller writes its tables: without the
// warning. Errors as those of KVM's own writes.
func (vm *VM) WriteGuest(t *Thread, ipa mmu.IPA, p []byte) Errno {
	vm.tableWriteInProgress = true
	e := vm.writeGuest(t, ipa, p)
	vm.tableWriteInProgress = false
	return e
}

// writeGuest is the kernel's write of guest memory at ipa: kvm_write_guest. It
// copies p to the slot's host memory and marks every page it touched. On a
// thread without a loaded vCPU the record goes to the bitmap or is lost.
// Errors: EFAULT for an address without a slot, a READONLY slot or a bad HVA.
func (vm *VM) writeGuest(t *Thread, ipa mmu.IPA, p []byte) Errno {
	saved := t.vm
	t.vm = vm
	defer func() { t.vm = saved }()
	for len(p) > 0 {
		n := min(len(p), vm.leftInPage(ipa))
		gfn := vm.Host.Page.GFN(ipa)
		s := vm.Slots.ByGFN(gfn)
		if s == nil || s.Flags&SlotReadonly != 0 {
			return EFAULT
		}
		pa, e := vm.hostPA(s, ipa, true)
		if e != OK {
			return e
		}
		t.copyIn(pa, p[:n])
		if t.VCPU == nil {
			vm.Host.Stats.NonVCPUWrites++
		}
		t.tell(StoryKernelWrite, gfn, uint64(n), 0)
		t.markDirty(s, gfn)
		t.through()
		p, ipa = p[n:], ipa+mmu.IPA(n)
	}
	return OK
}

// readGuest is the kernel's read of guest memory: kvm_read_guest. Errors: EFAULT
// for an address without a slot or a bad HVA.
func (vm *VM) readGuest(t *Thread, ipa mmu.IPA, p []byte) Errno {
	for len(p) > 0 {
		n := min(len(p), vm.leftInPage(ipa))
		s := vm.Slots.ByGFN(vm.Host.Page.GFN(ipa))
		if s == nil {
			return EFAULT
		}
		pa, e := vm.hostPA(s, ipa, false)
		if e != OK {
			return e
		}
		t.copyOut(pa, p[:n])
		p, ipa = p[n:], ipa+mmu.IPA(n)
	}
	return OK
}

// leftInPage is how many bytes lie between ipa and the end of its host page.
func (vm *VM) leftInPage(ipa mmu.IPA) int {
	page := vm.Host.Page.Size()
	return int(page - uint64(ipa)&(page-1))
}

// hostPA is where the slot's memory at ipa lies, faulted in for a read or write.
func (vm *VM) hostPA(s *Slot, ipa mmu.IPA, write bool) (mmu.PA, Errno) {
	page := vm.Host.Page
	p, e := vm.Host.Memory.Fault(s.HVAOf(page.GFN(ipa), page), write)
	if e != OK {
		return 0, e
	}
	return p.PFN.PA() + mmu.PA(uint64(ipa)&(page.Size()-1)), OK
}

// copyIn stores p at pa with the widest aligned stores: copy_to_user. Only the
// interrupt controller writes and reads guest memory so.
func (t *Thread) copyIn(pa mmu.PA, p []byte) {
	for len(p) > 0 {
		t.Block.Reset()
		t.Block.What = mmu.ITSTable
		for len(p) > 0 && t.Block.N < mmu.BlockOps {
			n := widest(pa, len(p))
			var v uint64
			for i := range n {
				v |= uint64(p[i]) << (8 * i)
			}
			t.Block.Store(pa, uint8(n), v)
			p, pa = p[n:], pa+mmu.PA(n)
		}
		t.Exec(t.copyCause())
	}
}

// copyOut loads p from pa on: copy_from_user.
func (t *Thread) copyOut(pa mmu.PA, p []byte) {
	for len(p) > 0 {
		t.Block.Reset()
		t.Block.What = mmu.ITSTable
		for rest := p; len(rest) > 0 && t.Block.N < mmu.BlockOps; {
			n := widest(pa, len(rest))
			t.Block.Load(pa, uint8(n))
			rest, pa = rest[n:], pa+mmu.PA(n)
		}
		t.Exec(t.copyCause())
		for i := range t.Block.N {
			for j := range int(t.Block.Ops[i].Size) {
				p[j] = byte(t.Block.Out[i] >> (8 * j))
			}
			p = p[t.Block.Ops[i].Size:]
		}
	}
	t.Block.Reset()
}

// copyCause is what a kernel copy is booked under: the path that runs, or, in a
// device ioctl, saving tables.
func (t *Thread) copyCause() Cause {
	if t.depth == 0 {
		return CauseSave
	}
	return t.stack[t.depth-1].cause
}

// widest is the largest power of two up to 8 that fits n bytes and pa's alignment.
func widest(pa mmu.PA, n int) int {
	for w := 8; ; w /= 2 {
		if w <= n && uint64(pa)&uint64(w-1) == 0 {
			return w
		}
	}
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (m *markPath) sync(c *sim.Codec) {
	sim.Uint(c, &m.gfn)
	c.U64(&m.pages)
	sim.Uint(c, &m.then)
	c.U8(&m.words)
	m.ref.sync(c)
}
