package kvmcore

import (
	"math"
	"math/bits"

	"ringmap/mmu"
	"ringmap/sim"
)

// ResetDirtyRings is KVM_RESET_DIRTY_RINGS without time: the number of entries
// reset, or -1 and EINVAL when the VM has no rings.
func (vm *VM) ResetDirtyRings(t *Thread) (int64, Errno) {
	t.StartReset(vm)
	t.Finish()
	return t.Ret, t.Err
}

// StartReset begins KVM_RESET_DIRTY_RINGS: Ret = entries reset, or EINVAL.
func (t *Thread) StartReset(vm *VM) {
	t.start(vm, pathReset, CauseReset)
	t.reset = resetPath{}
}

// resetPath is kvm_vm_ioctl_reset_dirty_pages around kvm_dirty_ring_reset. The
// entries are in userspace's hands: nothing that they say is trusted.
//
//	per entry:  load-acquire flags, load slot and offset ─► store-release flags = 0
//	per batch:  up to 64 pages of one slot ─► mmu_lock, write-protect the span
type resetPath struct {
	bounded     bool     // the kernel looks for signals and at maxReset
	ring        int      // index of the vCPU whose ring is under way
	counter     uint32   // entries reset so far, over all rings
	batch       dirtyGFN // where bit 0 of mask lies
	mask        uint64   // pages of the batch; 0 = no batch
	next        dirtyGFN // the entry that did not fit into the batch
	more        bool     // there is such an entry
	interrupted bool     // a signal ended the reset
	first       uint8    // index in Block.Out of what was loaded of an entry
}

// dirtyGFN is what an entry says: struct kvm_dirty_gfn without its flags.
type dirtyGFN struct {
	slot   uint32 // as_id << 16 | id
	offset uint64
	pages  uint64 // 1 unless the design has sized entries
}

// Steps of resetPath.
const (
	resetEnter  uint8 = iota // the system call
	resetRing                // begin a ring
	resetTake                // an entry has been loaded
	resetBatch               // the batch is complete: take mmu_lock for write
	resetSpan                // write-protect its span
	resetUnlock              // release mmu_lock
	resetNext                // go on with the entry that did not fit, or the next ring
	resetLeave               // all rings are done: flush
	resetDone
)

// maxReset bounds one ioctl since 6.17, against a ring that is filled and
// harvested again while it is being reset.
const maxReset = math.MaxInt32

func (t *Thread) stepReset(f *frame) {
	r, vm := &t.reset, t.vm
	switch f.pc {
	case resetEnter:
		t.Block.Delay(t.Host.Profile.Ioctl)
		if vm.RingSize == 0 {
			t.leave(-1, EINVAL)
			return
		}
		vm.SlotsLock.acquire(t, false)
		r.bounded = t.Host.Kernel.boundsReset()
		f.pc = resetRing
	case resetRing:
		if r.ring == vm.Rings() {
			f.pc = resetLeave
			return
		}
		t.Host.Stats.Occupancy.Add(uint64(vm.Ring(r.ring).Used()))
		f.pc = t.loadEntry()
	case resetTake:
		f.pc = t.takeEntry()
	case resetBatch:
		f.pc = resetNext
		if t.batchSpan() {
			vm.MMULock.acquire(t, false)
			f.pc = resetSpan
		}
	case resetSpan:
		f.pc = resetUnlock
		t.Block.Delay(t.Host.Profile.ResetBatch)
		t.clearBatchBits()
		t.call(pathSpan)
	case resetUnlock:
		vm.MMULock.release(t, false)
		f.pc = resetNext
	case resetNext:
		f.pc = t.nextBatch()
	case resetLeave:
		vm.SlotsLock.release(t, false)
		if r.counter != 0 {
			t.flushVM()
		}
		f.pc = resetDone
	case resetDone:
		t.Host.Stats.Resets++
		t.Host.Stats.ResetEntries += uint64(r.counter)
		t.Signal = false // its handler runs on the way back to userspace
		t.leave(int64(r.counter), OK)
	}
}

// loadEntry loads the entry at the ring's reset index, or ends the ring.
func (t *Thread) loadEntry() uint8 {
	r, h := &t.reset, t.Host
	ring := t.vm.Ring(r.ring)
	switch {
	case r.bounded && r.counter == maxReset:
		return t.endRing()
	case r.bounded && t.Signal:
		r.interrupted = true
		return t.endRing()
	case ring.Used() == 0 && !h.Kernel.Hazards[HazardResetPastDirty]:
		return t.endRing()
	}
	if load := t.vm.Design.Layout.load; load != nil {
		return load(t, ring)
	}
	return t.loadInEntry(ring)
}

// loadInEntry loads the entry in Linux's layout.
func (t *Thread) loadInEntry(ring *Ring) uint8 {
	r, e, b := &t.reset, ring.EntryPA(ring.ResetIndex), &t.Block
	b.Delay(t.resetCost(ring))
	b.What = mmu.RingEntry
	r.first = uint8(b.LoadAcquire(e+entryFlags, 4))
	b.Load(e+entrySlot, 4)
	b.Load(e+entryOffset, 8)
	return resetTake
}

// takeEntry frees the entry just loaded if it is harvested, and puts its page
// into the batch.
func (t *Thread) takeEntry() uint8 {
	r, ring := &t.reset, t.vm.Ring(t.reset.ring)
	if take := t.vm.Design.Layout.take; take != nil {
		if !take(t, ring) {
			return t.endRing()
		}
	} else if !t.takeInEntry(ring) {
		return t.endRing()
	}
	t.touchIndex(ring)
	ring.ResetIndex = ring.Next(ring.ResetIndex)
	if r.ring < len(t.vm.VCPUs) {
		t.vm.VCPUs[r.ring].Stats.ResetEntries++
	}
	r.counter++
	t.tellReset(r.next)
	switch {
	case r.mask == 0:
		r.batch, r.mask = r.next, 1
	case !r.coalesce():
		r.more = true
		return resetBatch
	}
	return t.loadEntry()
}

// takeInEntry frees the loaded entry in Linux's layout, if it is harvested.
func (t *Thread) takeInEntry(ring *Ring) bool {
	r, out := &t.reset, &t.Block.Out
	flags := out[r.first]
	if flags&RingFlagReset == 0 {
		return false
	}
	t.Block.What = mmu.RingEntry
	t.Block.StoreRelease(ring.EntryPA(ring.ResetIndex)+entryFlags, 4, 0)
	r.next.slot, r.next.offset, r.next.pages = uint32(out[r.first+1]), out[r.first+2], 1
	if t.vm.Design.Sized {
		r.next.pages = pagesOfOrder(flags >> RingOrderShift & 0xff)
	}
	return true
}

// Rings is how many rings the VM has, by the numbers that Ring takes.
func (vm *VM) Rings() int {
	if vm.VMRing.Size != 0 {
		return len(vm.VCPUs) + 1
	}
	return len(vm.VCPUs)
}

// Ring is the ring of that vCPU by index, or behind them the VM's.
func (vm *VM) Ring(i int) *Ring {
	if i < len(vm.VCPUs) {
		return &vm.VCPUs[i].Ring
	}
	return &vm.VMRing
}

// coalesce adds the next entry to the batch if it is of the same slot and its
// page within 64 of the batch's, in either direction.
func (r *resetPath) coalesce() bool {
	if r.next.slot != r.batch.slot || r.next.pages != 1 || r.batch.pages != 1 {
		return false
	}
	switch d := int64(r.next.offset - r.batch.offset); {
	case 0 <= d && d < 64:
		r.mask |= 1 << d
	case -64 < d && d < 0 && r.mask<<-d>>-d == r.mask: // no bit falls off
		r.mask = r.mask<<-d | 1
		r.batch.offset = r.next.offset
	default:
		return false
	}
	return true
}

// endRing follows the last entry of a ring. An interruption drops the batch that
// is still pending: entries freed and counted whose pages stay writable.
func (t *Thread) endRing() uint8 {
	r := &t.reset
	if r.ring < len(t.vm.VCPUs) {
		v := t.vm.VCPUs[r.ring]
		v.Stats.Occupancy.Set(t.Core.Now, uint64(v.Ring.Used()))
	} else {
		t.Host.Stats.VMRingOccupancy.Set(t.Core.Now, uint64(t.vm.VMRing.Used()))
	}
	r.more = false
	if r.interrupted && t.Host.Kernel.Hazards[HazardResetInterrupted] && r.mask != 0 {
		if s, live := t.livePages(); s != nil {
			t.loseMask(LossResetInterrupted, s.Base+mmu.GFN(r.batch.offset), live)
		}
		r.mask = 0
	}
	if r.mask != 0 {
		return resetBatch
	}
	return t.nextBatch()
}

// nextBatch begins a batch with the entry that did not fit into the last one,
// or goes to the next ring.
func (t *Thread) nextBatch() uint8 {
	r := &t.reset
	if r.more {
		r.batch, r.mask, r.more = r.next, 1, false
		return t.loadEntry()
	}
	r.mask = 0
	r.ring++
	if r.interrupted {
		return resetLeave
	}
	return resetRing
}

// batchSpan decides what to write-protect for the batch: kvm_reset_dirty_gfn.
// It ignores silently what userspace may have made up, and drops the batch if
// any of its pages lies beyond the slot's end.
func (t *Thread) batchSpan() bool {
	r, h := &t.reset, t.Host
	s, live := t.livePages()
	if live != r.mask && h.Kernel.Hazards[HazardStaleBatch] {
		if s != nil {
			t.loseMask(LossStaleBatch, s.Base+mmu.GFN(r.batch.offset), live)
		}
		live = 0
	}
	if live == 0 {
		h.Stats.ResetIgnored++
		return false
	}
	h.Stats.ResetBatches++
	if r.batch.pages > 1 {
		t.pageSpan(s, r.batch.offset, r.batch.pages)
		return true
	}
	t.maskedSpan(s, r.batch.offset, live)
	return true
}

// livePages returns the batch's slot, nil if there is none, and those of its
// pages that lie within it.
func (t *Thread) livePages() (*Slot, uint64) {
	r := &t.reset
	if r.batch.slot>>16 != 0 || r.batch.slot >= UserMemSlots {
		return nil, 0
	}
	s := t.vm.Slots.ByID(uint16(r.batch.slot))
	if s == nil || r.batch.offset >= s.Pages {
		return s, 0
	}
	left := s.Pages - r.batch.offset
	if left >= 64 {
		return s, r.mask
	}
	return s, r.mask & (1<<left - 1)
}

// loseMask enters the pages of a mask into the ledger, run by run.
func (t *Thread) loseMask(cause LossCause, first mmu.GFN, mask uint64) {
	for mask != 0 {
		skip := bits.TrailingZeros64(mask)
		n := bits.TrailingZeros64(^(mask >> skip))
		t.lose(cause, first+mmu.GFN(skip), uint64(n))
		mask &^= (1<<n - 1) << skip
	}
}

// tellReset tells the story of a reset entry, if it names the watched page.
func (t *Thread) tellReset(g dirtyGFN) {
	if t.Host.Story == nil || g.slot >= UserMemSlots {
		return
	}
	if s := t.vm.Slots.ByID(uint16(g.slot)); s != nil && g.offset < s.Pages {
		t.tellSpan(StoryReset, s.Base+mmu.GFN(g.offset), g.pages, 0)
	}
}

func (r *resetPath) sync(c *sim.Codec) {
	c.Bool(&r.bounded)
	c.Int(&r.ring)
	c.U32(&r.counter)
	r.batch.sync(c)
	c.U64(&r.mask)
	r.next.sync(c)
	c.Bool(&r.more)
	c.Bool(&r.interrupted)
	c.U8(&r.first)
}

func (g *dirtyGFN) sync(c *sim.Codec) {
	c.U32(&g.slot)
	c.U64(&g.offset)
	c.U64(&g.pages)
}

// clearBatchBits clears the bitmap's bits of the batch, where every entry has a
// bit beside it: kvm_reset_dirty_gfn of the RFC. It comes before the protection,
// so that what is written behind it is recorded again.
func (t *Thread) clearBatchBits() {
	r := &t.reset
	if !t.vm.policy.both {
		return
	}
	s, live := t.livePages()
	if s == nil || !s.Bitmap.Exists() {
		return
	}
	for live != 0 { // at most two words
		at := r.batch.offset + uint64(bits.TrailingZeros64(live))
		word := at / 64
		mask, rest := uint64(0), live
		for rest != 0 {
			p := r.batch.offset + uint64(bits.TrailingZeros64(rest))
			if p/64 == word {
				mask |= 1 << (p % 64)
				live &= live - 1
			}
			rest &= rest - 1
		}
		t.Block.Push(mmu.Op{Kind: mmu.OpClearBits, Addr: s.Bitmap.WordPA(word), Size: 8, Val: mask, What: mmu.BitmapWord})
	}
}
