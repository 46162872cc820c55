package mmu

import "slices"

// A frame on the alert tells of its writes: cores have decoded code from it, or
// reserved a granule of it for an exclusive store. Its epoch is one that never is
// the journal's, so that every store finds out by the comparison that it makes
// anyway.
const alert = 1 << 15 // bit of Frame.epoch

// MarkCode says that somebody keeps what they decoded from f. It holds until a
// write to the frame by anyone: then IsCode is false and CodeWrites has grown.
func (m *Memory) MarkCode(f *Frame) {
	f.kind |= flagCode
	f.epoch |= alert
}

// IsCode reports whether what was decoded from f since MarkCode is still right.
func (f *Frame) IsCode() bool { return f.kind&flagCode != 0 }

// CodeWrites counts the frames whose decoded code a write has made void. It also
// changes when the memory is restored, which voids all.
func (m *Memory) CodeWrites() uint64 { return m.code }

// OnCodeWrite makes void learn of each frame whose decoded code a write is about
// to make void: what is being executed right now is that code, perhaps.
func (m *Memory) OnCodeWrite(void func(PFN)) { m.onCode = void }

// GranuleShift is log2 of the exclusives reservation granule: 64 bytes.
const GranuleShift = 6

// Reservation is what a core's exclusive monitor holds. The zero value is open.
type Reservation struct {
	At    PA // the granule's address
	Armed bool
	Lost  bool // a write opened it: an event for WFE
}

// Reserve arms r for the granule of pa, which lies in f: any write to it opens
// r again. r must stay where it is while it is armed.
func (m *Memory) Reserve(r *Reservation, f *Frame, pa PA) {
	if !r.Armed {
		m.monitors = append(m.monitors, r)
	}
	r.At, r.Armed, r.Lost = pa&(1<<PABits-1)>>GranuleShift<<GranuleShift, true, false
	f.kind |= flagExclusive
	f.epoch |= alert
}

// Release opens r.
func (m *Memory) Release(r *Reservation) {
	if r.Armed {
		r.Armed = false
		m.monitors = slices.DeleteFunc(m.monitors, func(o *Reservation) bool { return o == r })
	}
}

// alarm acts on a write of n bytes from pa on, all in f.
func (m *Memory) alarm(f *Frame, pa PA, n uint64) {
	if f.kind&flagCode != 0 {
		f.kind &^= flagCode
		m.code++
		if m.onCode != nil {
			m.onCode(pa.PFN() & pfnMask)
		}
	}
	if f.kind&flagExclusive == 0 || m.openReservations(pa&(1<<PABits-1), n) {
		f.kind &^= flagExclusive
		f.epoch &^= alert
	}
}

// openReservations opens what is reserved of n bytes from pa on and reports
// whether the frame has no other reservation.
func (m *Memory) openReservations(pa PA, n uint64) (none bool) {
	none = true
	for i := len(m.monitors) - 1; i >= 0; i-- {
		r := m.monitors[i]
		switch {
		case pa < r.At+1<<GranuleShift && r.At < pa+PA(n):
			m.Release(r)
			r.Lost = true
		case r.At.PFN() == pa.PFN():
			none = false
		}
	}
	return none
}
