package its

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"ringmap/mmu"
	"ringmap/sim"
)

// LPI is a message-based interrupt: edge-triggered, group 1, with priorities from
// 0x00 to 0xfc. IHI 0069 5.1. It is active only while a list register has it.
type LPI struct {
	Interrupt
	refs uint32 // events that map to it, and one while it is queued; 0 = does not exist
}

// NoPE is the target of an LPI whose collection has no PE.
const NoPE = -1

// LPIs are the LPIs of a machine that at least one event maps to, found by
// INTID and visited in the order of INTIDs. Memory is proportional to the
// blocks of 256 INTIDs in use. INTIDs of more than INTIDBits can come out of
// restored tables only.
type LPIs struct {
	low   [numLowBlocks]*lpiBlock // INTIDs of INTIDBits
	high  []*lpiBlock             // the others, ascending
	count int

	spare *lpiBlock // the last block that became empty

	writes uint64 // bytes of pending tables written
	buf    [1]byte
}

const (
	lpiBlockSize = 256
	numLowBlocks = (1<<INTIDBits - FirstLPI) / lpiBlockSize
)

type lpiBlock struct {
	base uint32 // INTID of the first
	live int
	lpis [lpiBlockSize]LPI
}

// Count is how many LPIs exist.
func (l *LPIs) Count() int { return l.count }

// Get finds an LPI, nil if no event maps to it.
func (l *LPIs) Get(intid uint32) *LPI {
	if b := l.block(intid); b != nil {
		if p := &b.lpis[intid%lpiBlockSize]; p.refs != 0 {
			return p
		}
	}
	return nil
}

// block finds the block of an INTID, nil if it is empty.
func (l *LPIs) block(intid uint32) *lpiBlock {
	n := (intid - FirstLPI) / lpiBlockSize
	if n < numLowBlocks {
		return l.low[n]
	}
	if i := l.highIndex(intid); i < len(l.high) && l.high[i].base == intid&^(lpiBlockSize-1) {
		return l.high[i]
	}
	return nil
}

// highIndex is where the block of an INTID is among the high ones, or belongs.
func (l *LPIs) highIndex(intid uint32) int {
	base := intid &^ (lpiBlockSize - 1)
	return sort.Search(len(l.high), func(i int) bool { return l.high[i].base >= base })
}

// First returns the LPI with the lowest INTID, nil if there is none:
//
//	for p := l.First(); p != nil; p = l.After(p) { … }
func (l *LPIs) First() *LPI { return l.next(FirstLPI) }

// After returns the LPI with the next INTID, nil behind the last.
func (l *LPIs) After(p *LPI) *LPI {
	if p.INTID == math.MaxUint32 {
		return nil
	}
	return l.next(p.INTID + 1)
}

// next returns the LPI with the lowest INTID from intid on.
func (l *LPIs) next(intid uint32) *LPI {
	for n := (intid - FirstLPI) / lpiBlockSize; n < numLowBlocks; n++ {
		if b := l.low[n]; b != nil {
			if p := b.next(intid); p != nil {
				return p
			}
		}
	}
	if len(l.high) == 0 {
		return nil
	}
	for _, b := range l.high[l.highIndex(intid):] {
		if p := b.next(intid); p != nil {
			return p
		}
	}
	return nil
}

// next is the block's first LPI from intid on.
func (b *lpiBlock) next(intid uint32) *LPI {
	for i := max(intid, b.base) - b.base; i < lpiBlockSize; i++ {
		if b.lpis[i].refs != 0 {
			return &b.lpis[i]
		}
	}
	return nil
}

// add takes one more reference to an LPI, creating it if it does not exist: fresh
// is then true and the caller gives it its first state.
func (l *LPIs) add(intid uint32, target int32) (p *LPI, fresh bool) {
	b := l.block(intid)
	if b == nil {
		if b, l.spare = l.spare, nil; b == nil {
			b = new(lpiBlock)
		}
		b.base = intid &^ (lpiBlockSize - 1)
		if n := (intid - FirstLPI) / lpiBlockSize; n < numLowBlocks {
			l.low[n] = b
		} else {
			l.high = slices.Insert(l.high, l.highIndex(intid), b)
		}
	}
	p = &b.lpis[intid%lpiBlockSize]
	if p.refs == 0 {
		p.Interrupt = Interrupt{INTID: intid, Target: target, Queued: NoPE, Group1: true, Edge: true}
		b.live++
		l.count++
		fresh = true
	}
	p.refs++
	return p, fresh
}

// Hold keeps an LPI that exists when its last event goes, until Release.
func (l *LPIs) Hold(intid uint32) { l.Get(intid).refs++ }

// Release ends Hold: an LPI without events is gone then.
func (l *LPIs) Release(intid uint32) { l.put(intid) }

// put drops a reference. The last one takes the LPI and its pending state along.
func (l *LPIs) put(intid uint32) {
	p := l.Get(intid)
	p.refs--
	if p.refs != 0 {
		return
	}
	b := l.block(intid)
	b.live--
	l.count--
	if b.live != 0 {
		return
	}
	l.spare = b
	if n := (intid - FirstLPI) / lpiBlockSize; n < numLowBlocks {
		l.low[n] = nil
		return
	}
	i := l.highIndex(intid)
	l.high = slices.Delete(l.high, i, i+1)
}

// ConfigAddr is the address of an LPI's byte in the configuration table.
func (w PROPBASER) ConfigAddr(intid uint32) mmu.IPA {
	return mmu.IPA(w.Addr()) + mmu.IPA(intid-FirstLPI)
}

// Limit is the first INTID that the configuration table does not cover.
func (w PROPBASER) Limit() uint32 { return 1 << min(w.IDBits(), INTIDBits) }

// PendingAddr is the address of the byte with an LPI's bit in a pending table,
// and the bit's mask. IHI 0069 5.1.2: one bit for each INTID from 0 on.
func (w PENDBASER) PendingAddr(intid uint32) (mmu.IPA, byte) {
	return mmu.IPA(w.Addr()) + mmu.IPA(intid/8), 1 << (intid % 8)
}

// LoadConfig reads an LPI's byte of the configuration table.
func (l *LPIs) LoadConfig(m Machine, p *LPI) Error {
	if err := m.ReadGuest(m.PropBase().ConfigAddr(p.INTID), l.buf[:]); err != None {
		return err
	}
	c := Config(l.buf[0])
	p.Priority, p.Enabled = uint8(c.Priority()), c.Enabled()
	m.Changed(p)
	return None
}

// InvalidateAll reads the configuration of every LPI that targets a PE.
func (l *LPIs) InvalidateAll(m Machine, pe int32) {
	for p := l.First(); p != nil; p = l.After(p) {
		if p.Target == pe {
			l.LoadConfig(m, p) // an unreadable byte leaves the LPI as it is
		}
	}
}

// move retargets every LPI of one PE, or every LPI, to another PE.
func (l *LPIs) move(m Machine, from, to int32, all bool) {
	for p := l.First(); p != nil; p = l.After(p) {
		if all || p.Target == from {
			p.Target = to
			m.Moved(p)
		}
	}
}

// LoadPending replaces the pending state of every LPI that targets a PE by its
// bit in that PE's pending table, which is only read. It stops at a byte that
// cannot be read.
func (l *LPIs) LoadPending(m Machine, pe int32) Error {
	b := l.buf[:]
	last := ^mmu.IPA(0)
	base := m.PendBase(pe)
	for p := l.First(); p != nil; p = l.After(p) {
		addr, bit := base.PendingAddr(p.INTID)
		if addr != last { // read for the LPIs of other PEs too
			if err := m.ReadGuest(addr, b); err != None {
				return err
			}
			last = addr
		}
		if p.Target == pe {
			p.Pending = b[0]&bit != 0
			m.Changed(p)
		}
	}
	return None
}

// SavePending writes the pending state of every LPI that has a target into the
// target's pending table, by INTID: a byte is read when the LPI before lay in
// another one, and written back only if the LPI's bit differs.
func (l *LPIs) SavePending(m Machine) Error {
	b := l.buf[:]
	last := ^mmu.IPA(0)
	for p := l.First(); p != nil; p = l.After(p) {
		if p.Target == NoPE {
			continue
		}
		addr, bit := m.PendBase(p.Target).PendingAddr(p.INTID)
		if addr != last {
			if err := m.ReadGuest(addr, b); err != None {
				return err
			}
			last = addr
		}
		if b[0]&bit != 0 == p.Pending {
			continue
		}
		b[0] ^= bit
		l.writes++
		if err := m.WriteGuest(addr, b); err != None {
			return err
		}
	}
	return None
}

// ConsumePending moves an LPI's bit from its target's pending table into the LPI:
// a set bit is written back as 0. An LPI without a target is left alone.
func (l *LPIs) ConsumePending(m Machine, p *LPI) Error {
	if p.Target == NoPE {
		return None
	}
	b := l.buf[:]
	addr, bit := m.PendBase(p.Target).PendingAddr(p.INTID)
	if err := m.ReadGuest(addr, b); err != None {
		return err
	}
	p.Pending = b[0]&bit != 0
	m.Changed(p)
	if !p.Pending {
		return None
	}
	b[0] &^= bit
	l.writes++
	return m.WriteGuest(addr, b)
}

// CheckLoaded tells whether the LPIs are those that the events of all ITSs map to.
func (l *LPIs) CheckLoaded(all ...*ITS) error {
	refs := map[uint32]uint32{}
	for _, s := range all {
		for _, d := range s.Devices {
			for i := range d.Events {
				refs[d.Events[i].INTID]++
			}
		}
	}
	for p := l.First(); p != nil; p = l.After(p) {
		if p.Queued != NoPE {
			refs[p.INTID]++
		}
		if refs[p.INTID] != p.refs {
			return fmt.Errorf("LPI %d has %d events, not %d", p.INTID, refs[p.INTID], p.refs)
		}
	}
	if len(refs) != l.count {
		return fmt.Errorf("%d LPIs, but events of %d", l.count, len(refs))
	}
	return nil
}

// Sync saves, restores or hashes the LPIs. Whoever loads them calls CheckLoaded
// when the ITSs are there too.
func (l *LPIs) Sync(c *sim.Codec) {
	c.Tag("lpis")
	n := l.count
	c.Len(&n)
	if c.Loading() {
		*l = LPIs{}
		for range n {
			var p LPI
			p.sync(c)
			if c.Err() != nil {
				return
			}
			if p.INTID < FirstLPI || p.refs == 0 || l.Get(p.INTID) != nil {
				c.Fail(fmt.Errorf("LPI %d is out of range or there twice", p.INTID))
				return
			}
			q, _ := l.add(p.INTID, p.Target)
			*q = p
		}
		return
	}
	for p := l.First(); p != nil; p = l.After(p) {
		p.sync(c)
	}
}

func (p *LPI) sync(c *sim.Codec) {
	p.Interrupt.Sync(c)
	c.U32(&p.refs)
}
