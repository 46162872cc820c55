package vmm

import (
	"math/bits"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// pendingPages are the pages still to be sent: ram_bytes_remaining.
func (v *VMM) pendingPages() (n uint64) {
	for i := range v.slots {
		n += v.slots[i].send.n
	}
	return n
}

// slice sends pages until the window's rate is used up, the slice's time is over
// or nothing is left: ram_save_iterate.
func (m *mainThread) slice() outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	if m.sub == 1 { // in KVM_CLEAR_DIRTY_LOG
		return m.clearing()
	}
	if g.exceeded(s) || v.broken(m.now()) || m.end <= m.now() ||
		g.sent%slicePages == 0 && g.sent != 0 && s.ms(m.now()) > g.sliceEnd {
		return finished
	}
	o := m.sendNext(&g.slot, &g.page)
	if o == working {
		g.sent++
	}
	return o
}

// sendNext sends the next page at or behind a place in RAM, which it moves on:
// working after a page, finished when none is left, parked until the link has room.
func (m *mainThread) sendNext(slot *int, page *uint64) outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	if at := g.link.room(&s.Link, s.Hz, m.now()); at > m.now() {
		m.why = WaitLink
		m.schedule(at)
		return parked
	}
	for range len(v.slots) + 1 {
		sl := &v.slots[*slot]
		if w, b, ok := sl.send.next(*page / 64); ok {
			return m.sendFrom(sl, w, b, page)
		}
		*slot, *page = (*slot+1)%len(v.slots), 0
	}
	return finished
}

// sendFrom sends the first of the pages b of word w. In clear-log mode the first
// page of a chunk since the sync clears, and so protects, the chunk before.
// ram_save_host_page, migration_clear_memory_region_dirty_bitmap.
func (m *mainThread) sendFrom(s *slot, w, b uint64, page *uint64) outcome {
	v := m.v
	if v.Track == TrackClearLog {
		if chunk := w * 64 >> v.ClearShift; s.toClear.has(chunk) {
			s.toClear.remove(chunk)
			m.slot = s.index
			m.clearChunk(s, chunk)
			return working
		}
	}
	p := w*64 + uint64(bits.TrailingZeros64(b))
	s.send.remove(p)
	*page = p
	m.send(s, p)
	return working
}

// clearing goes on with a KVM_CLEAR_DIRTY_LOG.
func (m *mainThread) clearing() outcome {
	if o := m.ioctl(); o != finished {
		return o
	}
	if m.kt.Err != kvmcore.OK {
		m.v.find(Finding{At: m.now(), Kind: FindingClearFailed, A: uint64(m.v.slots[m.slot].id), B: uint64(m.kt.Err)})
	}
	m.sub = 0
	return working
}

// putPage hands a page over to the link.
func (v *VMM) putPage(s *slot, page uint64, now sim.Cycle) {
	spec, size := v.Migrate, v.Host.Page.Size()
	n := size
	if spec.ZeroPages && v.zeros(s.hva+mmu.HVA(page<<v.Host.Page.Shift())) {
		n = 1
	}
	v.mig.link.put(&spec.Link, spec.Hz, n+uint64(spec.Link.Header), now)
}

// zeros tells whether a host page holds nothing but zeros: buffer_is_zero.
func (v *VMM) zeros(hva mmu.HVA) bool {
	src, ok := v.Host.Memory.PFN(hva)
	for f := mmu.PFN(0); ok && f < mmu.PFN(v.Host.Page.Size()>>mmu.FrameShift); f++ {
		if !v.Host.Machine.Mem.EqualFrame(src+f, v.Host.Machine.Mem, 0) { // no memory lies there: it reads as zero
			return false
		}
	}
	return true
}
