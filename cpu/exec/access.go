package exec

import "ringmap/mmu"

// slot remembers the frame behind a page of virtual addresses, for accesses that
// are allowed and need no check: those to Normal memory.
type slot struct {
	key   uint64 // VA >> 12, and Exec.key
	frame *mmu.Frame
	pa    mmu.PA // of the page
}

const (
	frontSlots = 256
	keyShift   = 64 - mmu.FrameShift
)

const pageMask = mmu.FrameSize - 1

// within reports whether size bytes from va on lie in an aligned 8-byte word.
func within(va uint64, size uint8) bool { return va&7+uint64(size) <= 8 }

// read loads size bytes (1, 2, 4 or 8).
func (e *Exec) read(va uint64, size uint8) (uint64, bool) {
	s := &e.reads[va>>mmu.FrameShift%frontSlots]
	if s.key == va>>mmu.FrameShift|e.key && within(va, size) {
		return e.mem.LoadIn(s.frame, s.pa|mmu.PA(va&pageMask), size), true
	}
	return e.readSlow(va, size)
}

// write stores size bytes (1, 2, 4 or 8).
func (e *Exec) write(va uint64, size uint8, v uint64) bool {
	s := &e.writes[va>>mmu.FrameShift%frontSlots]
	if s.key == va>>mmu.FrameShift|e.key && within(va, size) {
		e.mem.StoreIn(s.frame, s.pa|mmu.PA(va&pageMask), size, v, e.Writer)
		return true
	}
	return e.writeSlow(va, size, v)
}

func (e *Exec) readSlow(va uint64, size uint8) (uint64, bool) {
	pa, end, ok := e.place(va, uint64(size), mmu.AccessRead, 1)
	if !ok {
		return 0, false
	}
	n := uint8(mmu.FrameSize - pa&pageMask)
	if uint64(pa&pageMask)+uint64(size) <= mmu.FrameSize {
		return e.mem.Load(pa, size), true
	}
	lo, hi := uint64(0), uint64(0)
	for i := range size {
		if i < n {
			lo |= e.mem.Load(pa+mmu.PA(i), 1) << (8 * i)
		} else {
			hi |= e.mem.Load(end+mmu.PA(i-n), 1) << (8 * i)
		}
	}
	return lo | hi, true
}

func (e *Exec) writeSlow(va uint64, size uint8, v uint64) bool {
	pa, end, ok := e.place(va, uint64(size), mmu.AccessWrite, 1)
	if ok {
		e.put(pa, end, size, v)
	}
	return ok
}

// put stores at pa, and what lies beyond its page from end on.
func (e *Exec) put(pa, end mmu.PA, size uint8, v uint64) {
	n := uint8(min(uint64(size), uint64(mmu.FrameSize-pa&pageMask)))
	if n == size {
		e.mem.Store(pa, size, v, e.Writer)
		return
	}
	for i := range size {
		at := pa + mmu.PA(i)
		if i >= n {
			at = end + mmu.PA(i-n)
		}
		e.mem.Store(at, 1, v>>(8*i), e.Writer)
	}
}

// place translates n bytes from va on, at most two pages, for an access that
// must be a multiple of align. end is where the second page begins.
func (e *Exec) place(va, n uint64, a mmu.Access, align uint64) (pa, end mmu.PA, ok bool) {
	pa, ok = e.locate(va, n, a, align)
	if next := (va | pageMask) + 1; ok && va&pageMask+n > mmu.FrameSize {
		end, ok = e.locate(next, va+n-next, a, 1)
	}
	return pa, end, ok
}

// locate translates va, the first of n bytes, and remembers the translation.
func (e *Exec) locate(va, n uint64, a mmu.Access, align uint64) (mmu.PA, bool) {
	if va&(align-1) != 0 {
		return 0, e.misaligned(va, n, a)
	}
	if e.watching && e.watched(va, n, a) {
		return 0, false
	}
	if s := e.front(va, a); s.key == va>>mmu.FrameShift|e.key {
		return s.pa | mmu.PA(va&pageMask), true
	}
	if e.model != Atomic {
		return e.locateTimed(va, n, a)
	}
	t, abort := e.translate(va, a, e.mode)
	if t == nil {
		e.fault = fault{kind: faultData, write: a == mmu.AccessWrite, size: uint8(n), abort: abort}
		return 0, false
	}
	pa := t.PAOf(mmu.VA(va))
	if t.Device() || e.aligned {
		if natural := n & -n; va&(natural-1) != 0 {
			return 0, e.misaligned(va, n, a)
		}
		return pa, true
	}
	if e.watching {
		return pa, true
	}
	*e.front(va, a) = slot{va>>mmu.FrameShift | e.key, e.mem.Frame(pa.PFN()), pa &^ pageMask}
	return pa, true
}

// front is the slot for an access to va.
func (e *Exec) front(va uint64, a mmu.Access) *slot {
	if a == mmu.AccessWrite {
		return &e.writes[va>>mmu.FrameShift%frontSlots]
	}
	return &e.reads[va>>mmu.FrameShift%frontSlots]
}

func (e *Exec) misaligned(va, n uint64, a mmu.Access) bool {
	e.fault = fault{kind: faultData, write: a == mmu.AccessWrite, size: uint8(n),
		abort: mmu.Abort{VA: mmu.VA(va), Kind: mmu.FaultAlignment}}
	return false
}

// translate finds the translation of va for an access, nil if there is none.
func (e *Exec) translate(va uint64, a mmu.Access, mode mmu.Mode) (*mmu.Entry, mmu.Abort) {
	t, found, abort := e.PE.Translate(mmu.VA(va), a, mode)
	if e.model != Atomic {
		e.timeTranslation(found)
	}
	if epoch := e.PE.Epoch(); epoch != e.epoch { // something was evicted
		e.epoch = epoch
		e.forget()
	}
	return t, abort
}

// unprivileged makes one access as LDTR and STTR do.
func (e *Exec) unprivileged(access func() bool) bool {
	mode := e.mode
	e.mode = e.PE.UnprivilegedMode()
	e.key = e.keyOf(e.mode)
	ok := access()
	e.mode = mode
	e.key = e.keyOf(mode)
	return ok
}
