package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// GetDirtyLog is KVM_GET_DIRTY_LOG without time. out holds a word for every 64
// pages of the slot; nil stands for a bad pointer. Errors: as recorded for the
// ioctl, EFAULT for a bad pointer last of all.
func (vm *VM) GetDirtyLog(t *Thread, slot uint32, out []uint64) Errno {
	var log DirtyLog
	to := &log
	if out == nil {
		to = nil
	}
	t.StartGetDirtyLog(vm, slot, to)
	t.Finish()
	if t.Err == OK {
		clear(out)
		for _, w := range log.Words {
			out[w.Index] = w.Bits
		}
	}
	return t.Err
}

// ClearDirtyLog is KVM_CLEAR_DIRTY_LOG without time. bits is relative to first;
// nil stands for a bad pointer.
func (vm *VM) ClearDirtyLog(t *Thread, slot uint32, first uint64, num uint32, bits []uint64) Errno {
	var from *DirtyLog
	if bits != nil {
		from = new(DirtyLog)
		for i, w := range bits {
			if w != 0 {
				from.Words = append(from.Words, DirtyWord{uint64(i), w})
			}
		}
	}
	t.StartClearDirtyLog(vm, slot, first, num, from)
	t.Finish()
	return t.Err
}

// StartGetDirtyLog begins KVM_GET_DIRTY_LOG of slot (as_id<<16 | id). On success
// out holds the non-zero words; nil stands for a bad pointer and gives EFAULT.
func (t *Thread) StartGetDirtyLog(vm *VM, slot uint32, out *DirtyLog) {
	t.start(vm, pathGet, CauseGet)
	t.get = getPath{slot: slot, out: out, bad: out == nil, words: t.get.words[:0]}
}

// Rebind gives a restored thread the buffer of the KVM_GET_DIRTY_LOG that was
// under way: a snapshot cannot know the caller's.
func (t *Thread) Rebind(out *DirtyLog) {
	if !t.get.bad {
		t.get.out = out
	}
}

// getPath is kvm_get_dirty_log_protect. In auto mode every word is exchanged
// with zero and its pages protected again; with manual protect it is only read.
type getPath struct {
	slot  uint32
	bad   bool // the pointer is bad
	auto  bool
	flush bool
	ref   slotRef
	next  uint64      // next word to look at
	words []DirtyWord // what copy_to_user will deliver
	out   *DirtyLog
}

// Steps of getPath.
const (
	getEnter uint8 = iota
	getCheck
	getScan    // auto: find the next non-zero word and take it
	getTaken   // its bits are known: protect their span
	getFlush   // all words done
	getCopy    // manual: read words
	getRead    // they have been read
	getDeliver // copy_to_user
	getPutBack // a failed copy, repaired: the bits return
	getLeave
)

func (t *Thread) stepGet(f *frame) {
	g, vm, p := &t.get, t.vm, t.Host.Profile
	s := vm.slot(&g.ref)
	if s == nil && f.pc > getCheck {
		t.abandon() // deleted in the meantime, which slots_lock excludes in a real kernel
		return
	}
	switch f.pc {
	case getEnter:
		t.Block.Delay(p.Ioctl)
		vm.SlotsLock.acquire(t, false)
		f.pc = getCheck
	case getCheck:
		slot, e := vm.checkGetDirtyLog(g.slot)
		if e != OK {
			t.leaveSlots(e)
			return
		}
		t.Host.Stats.Gets++
		g.ref.set(slot)
		g.auto = vm.ManualProtect == 0
		f.pc = getCopy
		if g.auto {
			t.Block.Delay(slot.Bitmap.Words() * p.CopyWord) // memset of the scratch half
			vm.MMULock.acquire(t, false)
			f.pc = getScan
		}
	case getScan:
		f.pc = t.scanWord(s)
	case getTaken:
		f.pc = getScan
		t.takeWord(s)
	case getFlush:
		vm.MMULock.release(t, false)
		if g.flush {
			t.flushVM()
		}
		f.pc = getDeliver
	case getCopy:
		f.pc = t.readWords(s)
	case getRead:
		t.keepWords(s)
		f.pc = getCopy
	case getDeliver:
		f.pc = t.deliver(s)
	case getPutBack:
		f.pc = t.putBack(s)
	case getLeave:
		e := OK
		if g.bad {
			e = EFAULT
		}
		t.leaveSlots(e)
	}
}

// leaveSlots ends an ioctl that holds slots_lock.
func (t *Thread) leaveSlots(e Errno) {
	t.vm.SlotsLock.release(t, false)
	t.leave(0, e)
}

// scanWord charges the scan up to the next non-zero word and exchanges it with 0.
func (t *Thread) scanWord(s *Slot) uint8 {
	g, bm := &t.get, &s.Bitmap
	i := t.scanTo(bm, g.next)
	if i == bm.Words() {
		return getFlush
	}
	t.Block.Push(mmu.Op{Kind: mmu.OpSwap, Addr: bm.WordPA(i), Size: 8, What: mmu.BitmapWord})
	bm.forget(i)
	g.next = i + 1
	return getTaken
}

// scanTo returns the next word from word i on that may be non-zero and lets the
// model pass the ones before it one by one.
func (t *Thread) scanTo(bm *Bitmap, i uint64) uint64 {
	next := bm.next(i)
	n := min(next+1, bm.Words()) - i
	t.Host.Stats.WordsScanned += n
	t.Block.Delay(n * t.Host.Profile.ScanWord)
	return next
}

// takeWord keeps the bits that were exchanged in the scratch half and protects
// their span.
func (t *Thread) takeWord(s *Slot) {
	g := &t.get
	i, bits := g.next-1, t.Block.Out[t.ran-1]
	if bits == 0 {
		return
	}
	g.flush = true
	g.words = append(g.words, DirtyWord{i, bits})
	t.Host.Stats.WordsSet++
	t.tellWord(StoryCollected, s, i, bits, 1)
	t.Block.What = mmu.BitmapWord
	t.Block.Store(s.Bitmap.scratchPA(i), 8, bits)
	t.maskedSpan(s, i*64, bits)
	t.call(pathSpan)
}

// readWords loads the next non-zero words of the live half, as many as a block
// takes.
func (t *Thread) readWords(s *Slot) uint8 {
	g, bm, b := &t.get, &s.Bitmap, &t.Block
	b.What = mmu.BitmapWord
	for g.next < bm.Words() && b.N+2 <= mmu.BlockOps {
		i := t.scanTo(bm, g.next)
		if i < bm.Words() {
			b.Load(bm.WordPA(i), 8)
		}
		g.next = i + 1
	}
	if b.N == 0 {
		return getDeliver
	}
	return getRead
}

// keepWords keeps what readWords loaded.
func (t *Thread) keepWords(s *Slot) {
	g, b := &t.get, &t.Block
	for i := range t.ran {
		if op := &b.Ops[i]; op.Kind == mmu.OpLoad && b.Out[i] != 0 {
			w := uint64(op.Addr-s.Bitmap.Base) / 8
			g.words = append(g.words, DirtyWord{w, b.Out[i]})
			t.Host.Stats.WordsSet++
			t.tellWord(StoryCollected, s, w, b.Out[i], 0)
		}
	}
}

// deliver is copy_to_user of the whole bitmap. Auto mode has cleared the bits by
// now: a copy that fails loses them.
func (t *Thread) deliver(s *Slot) uint8 {
	g, h := &t.get, t.Host
	if g.bad {
		switch {
		case !g.auto:
		case h.Kernel.Hazards[HazardGetCopyFault]:
			for _, w := range g.words {
				t.loseMask(LossGetCopyFault, s.Base+mmu.GFN(w.Index*64), w.Bits)
			}
		default:
			g.next = 0
			return getPutBack
		}
		return getLeave
	}
	t.Block.Delay(s.Bitmap.Words() * h.Profile.CopyWord)
	h.Stats.BytesCopiedOut += s.Bitmap.Words() * 8
	if g.out != nil {
		g.out.Words = append(g.out.Words[:0], g.words...)
	}
	return getLeave
}

// putBack sets the bits again that could not be delivered. Their pages are
// protected, so nothing is missed.
func (t *Thread) putBack(s *Slot) uint8 {
	g, b := &t.get, &t.Block
	b.What = mmu.BitmapWord
	for ; g.next < uint64(len(g.words)) && b.N < mmu.BlockOps; g.next++ {
		w := g.words[g.next]
		b.Push(mmu.Op{Kind: mmu.OpSetBits, Addr: s.Bitmap.WordPA(w.Index), Size: 8, Val: w.Bits, What: mmu.BitmapWord})
		s.Bitmap.note(w.Index)
	}
	if b.N == 0 {
		return getLeave
	}
	return getPutBack
}

// abandon ends GET or CLEAR of a slot that is gone.
func (t *Thread) abandon() {
	if t.vm.MMULock.writer == int32(t.ID)+1 {
		t.vm.MMULock.release(t, false)
	}
	t.leaveSlots(ENOENT)
}

// tellWord tells the story of a bitmap word, if it holds the watched page.
func (t *Thread) tellWord(kind StoryKind, s *Slot, word, bits, a uint64) {
	if st := t.Host.Story; st != nil {
		if rel := uint64(st.GFN - s.Base); rel/64 == word && bits>>(rel%64)&1 != 0 {
			t.tell(kind, st.GFN, a, 0)
		}
	}
}

// StartClearDirtyLog begins KVM_CLEAR_DIRTY_LOG of num pages from page first on.
// bits holds the non-zero words relative to first, in ascending order; nil stands
// for a bad pointer. It is copied: the caller may reuse it at once.
func (t *Thread) StartClearDirtyLog(vm *VM, slot uint32, first uint64, num uint32, bits *DirtyLog) {
	t.start(vm, pathClear, CauseClear)
	t.clear = clearPath{slot: slot, first: first, num: num, bad: bits == nil, words: t.clear.words[:0]}
	if bits != nil {
		t.clear.words = append(t.clear.words, bits.Words...)
	}
}

// clearPath is kvm_clear_dirty_log_protect: what userspace asks for and is
// really set is cleared and protected again, word by word.
type clearPath struct {
	slot  uint32
	num   uint32
	first uint64
	bad   bool // the pointer is bad
	flush bool
	ref   slotRef
	next  int         // index in words
	words []DirtyWord // copied in from userspace
}

// Steps of clearPath.
const (
	clearEnter uint8 = iota
	clearCheck
	clearWord
	clearTaken
	clearFlush
	clearLeave
)

func (t *Thread) stepClear(f *frame) {
	k, vm, p := &t.clear, t.vm, t.Host.Profile
	s := vm.slot(&k.ref)
	if s == nil && f.pc > clearCheck {
		t.abandon()
		return
	}
	switch f.pc {
	case clearEnter:
		t.Block.Delay(p.Ioctl)
		vm.SlotsLock.acquire(t, false)
		f.pc = clearCheck
	case clearCheck:
		slot, e := vm.checkClearDirtyLog(k.slot, k.first, k.num)
		if e == OK && k.bad && k.num != 0 { // no byte is copied for no page
			e = EFAULT
		}
		if e != OK {
			t.leaveSlots(e)
			return
		}
		t.Host.Stats.Clears++
		k.ref.set(slot)
		words := (uint64(k.num) + 63) / 64
		t.Block.Delay(words * (p.CopyWord + p.ScanWord)) // copy_from_user, then the scan of it
		t.Host.Stats.WordsScanned += words
		vm.MMULock.acquire(t, false)
		f.pc = clearWord
	case clearWord:
		f.pc = t.clearNext(s)
	case clearTaken:
		f.pc = clearWord
		t.clearTaken(s)
	case clearFlush:
		vm.MMULock.release(t, false)
		if k.flush {
			t.flushVM()
		}
		f.pc = clearLeave
	case clearLeave:
		t.leaveSlots(OK)
	}
}

// clearNext clears the bits of the next word that userspace gave.
func (t *Thread) clearNext(s *Slot) uint8 {
	k := &t.clear
	words := (uint64(k.num) + 63) / 64
	for ; k.next < len(k.words); k.next++ {
		w := k.words[k.next]
		if w.Bits == 0 || w.Index >= words { // not among the words copied in
			continue
		}
		i := k.first/64 + w.Index
		t.Block.What = mmu.BitmapWord
		t.Block.Store(s.Bitmap.scratchPA(w.Index), 8, w.Bits)
		t.Block.Push(mmu.Op{Kind: mmu.OpClearBits, Addr: s.Bitmap.WordPA(i), Size: 8, Val: w.Bits, What: mmu.BitmapWord})
		return clearTaken
	}
	return clearFlush
}

// clearTaken protects the span of the bits that were really set.
func (t *Thread) clearTaken(s *Slot) {
	k := &t.clear
	w, old := k.words[k.next], t.Block.Out[t.ran-1]
	k.next++
	i := k.first/64 + w.Index
	if old&^w.Bits == 0 {
		s.Bitmap.forget(i)
	}
	taken := old & w.Bits
	if taken == 0 {
		return
	}
	k.flush = true
	t.Host.Stats.WordsSet++
	t.tellWord(StoryCleared, s, i, taken, 0)
	t.maskedSpan(s, i*64, taken)
	t.call(pathSpan)
}

func (g *getPath) sync(c *sim.Codec) {
	c.U32(&g.slot)
	c.Bool(&g.bad)
	c.Bool(&g.auto)
	c.Bool(&g.flush)
	g.ref.sync(c)
	c.U64(&g.next)
	syncWords(c, &g.words)
	if c.Loading() {
		g.out = nil
	}
}

func (k *clearPath) sync(c *sim.Codec) {
	c.U32(&k.slot)
	c.U32(&k.num)
	c.U64(&k.first)
	c.Bool(&k.bad)
	c.Bool(&k.flush)
	k.ref.sync(c)
	c.Int(&k.next)
	syncWords(c, &k.words)
}

func syncWords(c *sim.Codec, words *[]DirtyWord) {
	sim.Slice(c, words, func(c *sim.Codec, w *DirtyWord) {
		c.U64(&w.Index)
		c.U64(&w.Bits)
	})
}
