package kvmcore

import "ringmap/mmu"

// shared-line: the RFC's struct kvm_dirty_ring_indexes. Both words are in one
// cache line, which producer and consumer fight over.
var layoutSharedLine = Layout{
	Choice: Choice{
		Name:   "shared-line",
		Desc:   "two free-running indices side by side in one cache line",
		Source: "P. Xu, KVM dirty ring RFC 04/15, Nov 2019; M. S. Tsirkin: seems to guarantee cache conflicts",
	},
	Indexed: true, Apart: 4,
	push: (*Thread).pushIndexed, load: (*Thread).loadIndexed, take: (*Thread).takeIndexed,
}

// pushIndexed writes an entry and publishes it by the index of the kernel:
// kvm_dirty_ring_push of the RFC.
func (t *Thread) pushIndexed(r *Ring, s *Slot, gfn mmu.GFN) {
	b, e := &t.Block, r.EntryPA(r.DirtyIndex)
	b.Delay(t.pushCost(r))
	b.What = mmu.RingEntry
	if t.vm.Design.Sized {
		b.Store(e+entrySize, 4, uint64(t.entryOrder()))
	}
	b.Store(e+entrySlot, 4, uint64(s.ASID)<<16|uint64(s.ID))
	b.Store(e+entryOffset, 8, uint64(gfn-s.Base))
	b.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease}) // smp_wmb
	b.Push(mmu.Op{Kind: mmu.OpStore, Addr: r.Avail, Size: 4, Val: uint64(r.Next(r.DirtyIndex)), What: mmu.RingIndex})
}

// loadIndexed loads userspace's index and the entry at the reset index.
func (t *Thread) loadIndexed(r *Ring) uint8 {
	e, b := r.EntryPA(r.ResetIndex), &t.Block
	b.Delay(t.resetCost(r))
	b.What = mmu.RingEntry
	t.reset.first = uint8(b.Push(mmu.Op{Kind: mmu.OpLoad, Addr: r.Fetch, Size: 4, Flags: mmu.OpAcquire, What: mmu.RingIndex}))
	b.Load(e+entrySlot, 4)
	b.Load(e+entryOffset, 8)
	if t.vm.Design.Sized {
		b.Load(e+entrySize, 4)
	}
	return resetTake
}

// takeIndexed frees the entry if userspace has fetched it. The index is in
// userspace's hands: one outside what was pushed stands for all of it.
func (t *Thread) takeIndexed(r *Ring) bool {
	out, at, next := &t.Block.Out, t.reset.first, &t.reset.next
	if r.Used() == 0 || uint32(out[at]) == r.ResetIndex {
		return false
	}
	next.slot, next.offset, next.pages = uint32(out[at+1]), out[at+2], 1
	if t.vm.Design.Sized {
		next.pages = pagesOfOrder(out[at+3])
	}
	return true
}
