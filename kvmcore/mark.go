package kvmcore

import (
	"math/bits"

	"ringmap/mmu"
)

// The steps of records that Linux does not make: in two places at once, in the
// VM's ring, of more than one page.

// markTwice begins such a record.
func (t *Thread) markTwice(f *frame, s *Slot, what record) {
	m := &t.mark
	if what&recordRing != 0 {
		t.pushEntry(t.VCPU, s, m.gfn)
	}
	m.then = what &^ recordRing
	f.pc = markNext
	if m.then&recordVMRing != 0 {
		t.vm.vmRingLock.lock(t)
		f.pc = markPushVM
	}
}

// stepMarkOn goes on behind the decision.
func (t *Thread) stepMarkOn(f *frame) {
	m, vm := &t.mark, t.vm
	s := vm.slot(&m.ref)
	switch f.pc {
	case markBitSet:
		t.countBit()
	case markWordsSet:
		t.countWords()
	case markPushVM:
		m.then &^= recordVMRing
		f.pc = markPushedVM
		if s == nil { // deleted meanwhile: nobody wants to know
			vm.vmRingLock.unlock(t)
			return
		}
		t.pushVMRing(s, m.gfn)
		return
	case markPushedVM:
		vm.vmRingLock.released(t)
		if vm.VMRing.SoftFull() {
			vm.Design.Kick.ask(t, vm)
		}
	}
	// What is left, the bit before the flag that sends userspace to look for it.
	switch {
	case s == nil:
		m.then = 0
		t.ret()
	case f.pc == markWordsSet && m.pages != 0:
		f.pc = t.setDirtyBits(s)
	case m.then&recordBitmap != 0:
		m.then &^= recordBitmap
		f.pc = t.setDirtyBits(s)
	case m.then&recordFlag != 0:
		m.then &^= recordFlag
		vm.Host.Stats.FullFlags++
		t.Block.StoreRelease(vm.FullFlag, 4, 1)
		f.pc = markNext
	default:
		t.ret()
	}
}

// setDirtyWords sets the bits of the path's pages, from page rel of the slot on,
// as many words as a step takes.
func (t *Thread) setDirtyWords(s *Slot, rel uint64) uint8 {
	m := &t.mark
	for end := rel + m.pages; rel < end && t.Block.N < mmu.BlockOps; rel = (rel/64 + 1) * 64 {
		t.Block.Push(mmu.Op{Kind: mmu.OpSetBits, Addr: s.Bitmap.WordPA(rel / 64), Size: 8, Val: wordBits(rel, end), What: mmu.BitmapWord})
		s.Bitmap.note(rel / 64)
		m.words++
	}
	return markWordsSet
}

// wordBits are the bits of pages [at, end) in the word that holds page at.
func wordBits(at, end uint64) uint64 {
	mask := ^uint64(0) << (at % 64)
	if left := (at/64+1)*64 - min(end, (at/64+1)*64); left != 0 {
		mask &= ^uint64(0) >> left
	}
	return mask
}

// countWords follows the words that have been set, and goes on behind them.
func (t *Thread) countWords() {
	m := &t.mark
	rel := uint64(m.gfn - m.ref.base)
	end := rel + m.pages
	for i := t.ran - int(m.words); i < t.ran; i++ {
		mask := wordBits(rel, end)
		set := uint64(bits.OnesCount64(mask &^ t.Block.Out[i]))
		t.countBits(uint64(bits.OnesCount64(mask)), set)
		if p := t.Host.probe; p != nil && set != 0 {
			p.Recorded(t, m.ref.base+mmu.GFN(rel), set)
		}
		rel = min((rel/64+1)*64, end)
	}
	t.tellSpan(StoryBitSet, m.gfn, rel-uint64(m.gfn-m.ref.base), 0)
	m.gfn, m.pages, m.words = m.ref.base+mmu.GFN(rel), end-rel, 0
}

// entryOrder is log2 of the pages that the entry being written is about.
func (t *Thread) entryOrder() uint8 {
	return uint8(bits.Len64(t.mark.pages) - 1)
}

// pagesOfOrder is how many pages an entry that says so is about. Userspace may
// have made it up: no mapping is larger than 2^18 pages.
func pagesOfOrder(order uint64) uint64 { return 1 << min(order, maxEntryOrder) }

const maxEntryOrder = 18 // 1 GiB of 4 KiB pages

// pushCost is the instructions of a push into the ring.
func (t *Thread) pushCost(r *Ring) uint64 {
	if r.Wrap != 0 {
		return t.Host.Profile.Push + t.Host.Profile.Wrap
	}
	return t.Host.Profile.Push
}

// resetCost is the instructions that an entry of a reset takes.
func (t *Thread) resetCost(r *Ring) uint64 {
	if r.Wrap != 0 {
		return t.Host.Profile.ResetEntry + t.Host.Profile.Wrap
	}
	return t.Host.Profile.ResetEntry
}

// noticeLoss acts on a record that was just lost for want of a vCPU, if the
// design says that the kernel tells userspace: every vCPU leaves KVM_RUN with EIO.
func (vm *VM) noticeLoss(t *Thread) {
	if vm.Design.Detect != DetectFirstLoss || vm.Noticed != 0 {
		return
	}
	vm.Noticed = max(t.Core.Now, 1)
	for _, v := range vm.VCPUs {
		v.Requests |= ReqVMDead
		t.kick(v)
	}
}
