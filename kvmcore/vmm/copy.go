package vmm

import (
	"math/bits"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

// slot is what userspace knows of a memslot: KVMSlot.
type slot struct {
	id     uint16
	base   mmu.GFN
	pages  uint64
	hva    mmu.HVA
	index  int     // in VMM.slots
	staged pageSet // harvested from rings, not yet taken by a collection (dirty_bmap)
	send   pageSet // protected again: to be copied

	toClear pageSet // chunks of a migration in clear-log mode that CLEAR is still to be issued for
}

func (s *slot) region(g mmu.Granule, flags kvmcore.SlotFlags) kvmcore.Region {
	return kvmcore.Region{
		Slot: uint32(s.id), Flags: uint32(flags), GPA: g.IPA(s.base), Size: s.pages << g.Shift(), HVA: s.hva,
	}
}

// merge adds what GET returned to the pages to send.
func (v *VMM) merge(s *slot, log *kvmcore.DirtyLog) {
	v.Stats.BitmapScanned += s.pages
	for _, w := range log.Words {
		b := w.Bits
		if end := (w.Index + 1) * 64; end > s.pages { // padding behind the slot's end
			b &= ^uint64(0) >> min(end-s.pages, 64)
		}
		v.Stats.BitmapPages += uint64(bits.OnesCount64(b))
		s.send.or(w.Index, b)
	}
}

// copy sends the pages collected, slot by slot. In clear-log mode a chunk is
// cleared, and so protected, before its first page is read.
func (m *mainThread) copy() outcome {
	v := m.v
	if m.sub == 1 {
		if o := m.ioctl(); o != finished {
			return o
		}
		if m.kt.Err != kvmcore.OK {
			v.find(Finding{At: m.now(), Kind: FindingClearFailed, A: uint64(v.slots[m.slot].id), B: uint64(m.kt.Err)})
		}
		m.sub = 0
		return working
	}
	if m.slot == len(v.slots) {
		return finished
	}
	if m.script == scriptRound && m.end <= m.now() {
		m.beginEnd() // the rest goes with the final collection, which extends this one
		return working
	}
	s := &v.slots[m.slot]
	w, b, ok := s.send.next(m.page / 64)
	if !ok {
		m.slot++
		m.page, m.cleared = 0, 0
		return working
	}
	if chunk := w * 64 >> v.ClearShift; v.Track == TrackClearLog && m.cleared != chunk+1 {
		m.cleared = chunk + 1
		m.clearChunk(s, chunk)
		return working
	}
	page := w*64 + uint64(bits.TrailingZeros64(b))
	s.send.remove(page)
	m.page = page
	m.send(s, page)
	return working
}

// clearChunk begins KVM_CLEAR_DIRTY_LOG for a chunk with the bits that GET
// returned and no others. Chunks begin at a multiple of 64 pages and end there or
// at the slot's end, as the ioctl demands. kvm_log_clear_one_slot.
func (m *mainThread) clearChunk(s *slot, chunk uint64) {
	v := m.v
	first := chunk << v.ClearShift
	num := min(uint64(1)<<v.ClearShift, s.pages-first)
	m.log.Words = m.log.Words[:0]
	for w, b, ok := s.send.next(first / 64); ok && w*64 < first+num; w, b, ok = s.send.next(w + 1) {
		m.log.Words = append(m.log.Words, kvmcore.DirtyWord{Index: w - first/64, Bits: b})
	}
	m.kt.StartClearDirtyLog(v.VM, uint32(s.id), first, uint32(num), &m.log)
	v.Stats.Clears++
	m.sub = 1
}

// send copies one page to the destination and spends the time of it.
func (m *mainThread) send(s *slot, page uint64) {
	v := m.v
	g := v.Host.Page
	gfn := s.base + mmu.GFN(page)
	v.Stats.PagesSent++
	src, ok := v.Host.Memory.PFN(s.hva + mmu.HVA(page<<g.Shift()))
	if ok && v.Host.Machine.Caches != nil {
		m.kt.Stream(src.PA(), g.Size(), mmu.CopyData, kvmcore.CauseCopy)
	} else {
		m.delay(uint64(v.Costs.CopyPage)<<(g.Shift()-mmu.FrameShift), kvmcore.CauseCopy)
	}
	if v.Migrate != nil {
		v.putPage(s, page, m.now())
	}
	if !ok { // never touched: zeros on both sides
		v.Stats.UntouchedSent++
		return
	}
	if v.Audit != nil {
		v.Audit.Collect(gfn, src, m.now())
	}
	v.copyPage(gfn, src)
}

// copyPage gives the destination the present bytes of a host page.
func (v *VMM) copyPage(gfn mmu.GFN, src mmu.PFN) {
	dst := mmu.PFN(v.Host.Page.IPA(gfn) >> mmu.FrameShift)
	for f := mmu.PFN(0); f < mmu.PFN(v.Host.Page.Size()>>mmu.FrameShift); f++ {
		v.Dest.CopyFrame(dst+f, v.Host.Machine.Mem, src+f)
	}
}

// baseline brings over what has ever been written to the guest's memory when
// logging begins: the first round of a migration, which sends all RAM. It takes
// no time. Later rounds rely on tracking alone.
func (v *VMM) baseline() {
	if v.Track == TrackOff || v.Migrate != nil {
		return
	}
	for _, e := range v.Host.Machine.Mem.Journal() {
		hva := mmu.HVA(e.Tag << mmu.FrameShift)
		for i := range v.slots {
			if s := &v.slots[i]; hva-s.hva < mmu.HVA(s.pages<<v.Host.Page.Shift()) {
				dst := v.Host.Page.IPA(s.base) + mmu.IPA(hva-s.hva)
				v.Dest.CopyFrame(mmu.PFN(dst>>mmu.FrameShift), v.Host.Machine.Mem, e.PFN)
			}
		}
	}
}
