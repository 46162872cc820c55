package kvmcore

import (
	"math/bits"

	"ringmap/mmu"
	"ringmap/sim"
)

// spanPath write-protects a span of guest frames (kvm_stage2_wp_range), then
// splits its blocks if asked to (kvm_mmu_split_huge_pages). The caller holds
// mmu_lock for write and flushes the TLBs afterwards. Between two pieces of the
// span whoever waits for the lock gets it.
type spanPath struct {
	first, end mmu.GFN
	split      bool // split too, after protecting
	splitting  bool // the second pass
	at         mmu.GFN
	protect    mmu.ProtectProgram
	splitter   mmu.SplitProgram
	owed       uint64 // cycles of instructions that no block had room for
}

// Steps of spanPath.
const (
	spanBegin  uint8 = iota // a pass
	spanPiece               // a piece of the span
	spanRun                 // its program
	spanRelock              // mmu_lock was given to a waiter: take it again
)

// protectPiece is after how many bytes the lock is offered to others while
// protecting: stage2_apply_range goes by the largest block.
const protectPiece = 1 << 30

// wholeSpan prepares the path for a whole slot.
func (t *Thread) wholeSpan(s *Slot, split bool) {
	t.span = spanPath{first: s.Base, end: s.End(), split: split, splitting: split}
}

// maskedSpan prepares the path for the pages of mask from page offset of the
// slot on: kvm_arch_mmu_enable_log_dirty_pt_masked. arm64 protects everything
// between the lowest and the highest bit. With INITIALLY_SET nothing was split
// when logging began, so it is done here.
func (t *Thread) maskedSpan(s *Slot, offset, mask uint64) {
	first := s.Base + mmu.GFN(offset) + mmu.GFN(bits.TrailingZeros64(mask))
	end := s.Base + mmu.GFN(offset) + mmu.GFN(bits.Len64(mask))
	t.span = spanPath{first: first, end: end, split: t.vm.InitiallySet() && t.vm.EagerSplit != 0}
}

// pageSpan prepares the path for n pages from page offset of the slot on, cut off
// at its end.
func (t *Thread) pageSpan(s *Slot, offset, n uint64) {
	first := s.Base + mmu.GFN(offset)
	t.span = spanPath{first: first, end: first + mmu.GFN(min(n, s.Pages-offset)), split: t.vm.InitiallySet() && t.vm.EagerSplit != 0}
}

func (t *Thread) stepSpan(f *frame) {
	p, vm := &t.span, t.vm
	switch f.pc {
	case spanBegin:
		p.at = p.first
		fallthrough
	case spanPiece:
		t.beginPiece()
		f.pc = spanRun
		fallthrough
	case spanRun:
		if t.runPiece() {
			return
		}
		switch {
		case p.at < p.end && vm.MMULock.wanted():
			vm.MMULock.release(t, false)
			f.pc = spanRelock
		case p.at < p.end:
			f.pc = spanPiece
		case p.split && !p.splitting:
			p.splitting = true
			f.pc = spanBegin
		default:
			t.Block.Delay(p.owed)
			t.ret()
		}
	case spanRelock:
		vm.MMULock.acquire(t, false)
		f.pc = spanPiece
	}
}

// beginPiece makes the program for the next piece of the span.
func (t *Thread) beginPiece() {
	p, vm := &t.span, t.vm
	size := uint64(protectPiece)
	if p.splitting {
		size = vm.EagerSplit
	}
	step := mmu.GFN(max(size>>vm.Host.Page.Shift(), 1))
	next := min((p.at/step+1)*step, p.end)
	if p.splitting {
		p.splitter = vm.Stage2.Split(p.at, uint64(next-p.at))
	} else {
		p.protect = vm.Stage2.Protect(p.at, uint64(next-p.at))
		t.tellSpan(StoryProtected, p.at, uint64(next-p.at), 0)
	}
	p.at = next
}

// runPiece lets the piece's program put its next block together, and reports
// whether there is one.
func (t *Thread) runPiece() bool {
	p, b := &t.span, &t.Block
	if p.splitting {
		if p.splitter.Next(b) {
			return true
		}
		t.Host.Stats.EagerSplits += p.splitter.Blocks
		if p.splitter.Result != mmu.EditDone { // best effort: what is left is split by faults
			p.at = p.end
		}
		return false
	}
	if !p.protect.Next(b) {
		return false
	}
	t.countProtected(b)
	if b.N < mmu.BlockOps {
		b.Delay(p.owed)
		p.owed = 0
	}
	return true
}

// countProtected counts the leaf entries that a block of the program changes,
// and the instructions that it takes.
func (t *Thread) countProtected(b *mmu.Block) {
	pages, blocks := uint64(0), uint64(0)
	for i := range b.Ops[:b.N] {
		switch op := &b.Ops[i]; {
		case op.Kind != mmu.OpStore:
		case mmu.Desc(op.Val).Get(mmu.FieldTable) != 0:
			pages++
		default:
			blocks++
		}
	}
	h := t.Host
	h.Stats.ProtectedPages += pages
	h.Stats.ProtectedBlocks += blocks
	t.span.owed += pages*h.Profile.ProtectPage + blocks*h.Profile.ProtectBlock
}

// flushVM drops all translations of the VM from every TLB: kvm_flush_remote_tlbs,
// and kvm_flush_remote_tlbs_memslot on cores without FEAT_TLBIRANGE.
func (t *Thread) flushVM() {
	b := &t.Block
	b.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease})
	b.Push(mmu.Op{Kind: mmu.OpTLBIVMID, Val: uint64(t.vm.VMID), Flags: mmu.OpBroadcast})
	t.Host.Stats.TLBFlushes++
}

// loggingPath is what turning logging on does to stage 2.
type loggingPath struct {
	ref slotRef
}

// Steps of loggingPath.
const (
	loggingEnter uint8 = iota
	loggingLock
	loggingProtect
	loggingFlush
	loggingSplit
	loggingUnlock
	loggingLeave
)

// StartEnableLogging begins what kvm_arch_commit_memory_region does to stage 2
// when slot has LOG_DIRTY: write-protect all of it, flush, split. The memslot
// ioctl calls it after the new slot is in place. With INITIALLY_SET nothing is
// done now: CLEAR does it range by range, and a ring has nobody who does.
func (t *Thread) StartEnableLogging(vm *VM, slot *Slot) {
	t.start(vm, pathLogging, CauseProtect)
	t.logging.ref.set(slot)
}

func (t *Thread) stepLogging(f *frame) {
	vm := t.vm
	s := vm.slot(&t.logging.ref)
	switch f.pc {
	case loggingEnter:
		t.Block.Delay(t.Host.Profile.Ioctl)
		vm.SlotsLock.acquire(t, false)
		f.pc = loggingLock
	case loggingLock:
		if s == nil || t.leaveUnprotected(s) {
			f.pc = loggingLeave
			return
		}
		vm.MMULock.acquire(t, false)
		f.pc = loggingProtect
	case loggingProtect:
		f.pc = loggingFlush
		if s != nil {
			t.wholeSpan(s, false)
			t.call(pathSpan)
		}
	case loggingFlush:
		vm.MMULock.release(t, false)
		t.flushVM()
		f.pc = loggingLeave
		if vm.EagerSplit != 0 && s != nil {
			f.pc = loggingSplit
		}
	case loggingSplit:
		vm.MMULock.acquire(t, false)
		t.wholeSpan(s, true)
		t.call(pathSpan)
		f.pc = loggingUnlock
	case loggingUnlock:
		vm.MMULock.release(t, false)
		f.pc = loggingLeave
	case loggingLeave:
		vm.SlotsLock.release(t, false)
		t.leave(0, OK)
	}
}

// leaveUnprotected tells whether INITIALLY_SET leaves the slot as it is.
func (t *Thread) leaveUnprotected(s *Slot) bool {
	vm := t.vm
	if !vm.InitiallySet() {
		return false
	}
	if vm.RingSize != 0 {
		if !t.Host.Kernel.Hazards[HazardInitiallySetRing] {
			return false
		}
		t.lose(LossInitiallySet, s.Base, s.Pages)
	}
	return true
}

func (p *spanPath) sync(c *sim.Codec, vm *VM) {
	s := vm.stage2()
	sim.Uint(c, &p.first)
	sim.Uint(c, &p.end)
	c.Bool(&p.split)
	c.Bool(&p.splitting)
	sim.Uint(c, &p.at)
	p.protect.Sync(c, s)
	p.splitter.Sync(c, s)
	c.U64(&p.owed)
}
