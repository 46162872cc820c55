package cache

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Core is the private side of one core.
//
// L2 includes L1I and L1D, and its state is the core's: Shared, Exclusive or
// Modified (MESI). A line of L1D is readable or writable; writable ones are
// Modified in L2. A line that L1I holds is never writable in L1D, so that the
// first store to it finds out and removes it there (FEAT_DIC, FEAT_IDC).
type Core struct {
	Stats CoreStats

	pending sim.Cycle // until when a line is under way
	d, i    array
	l2      array
	id      int
	flights []flight // lines under way: MSHRs
}

// CoreStats counts what a core's accesses found.
type CoreStats struct {
	FetchHits uint64 // in L1I
	Fetches   uint64 // that L1I did not have
	Hits      uint64 // in L1D
	Misses    uint64 // of L1D, or a line without permission to write
	L2Hits    uint64
	L2Misses  uint64
	Upgrades  uint64 // stores to a line that L2 has in Shared
	Merged    uint64 // hits on a line that is still under way
	Full      uint64 // misses that waited for an MSHR
	Cleaned   uint64 // written lines that L1D evicted
}

// States of lines in L1, in L2 and in the SLC.
const (
	readable = 1
	writable = 2

	shared    = 1
	exclusive = 2
	modified  = 3

	clean = 1
	dirty = 2
)

type flight struct {
	line  uint64
	ready sim.Cycle
	write bool // it is here to be read: only permission to write is under way
}

// LoadHit is the fast path of a load: if it is true the line is L1D's most
// recently used of its set, and Access would return now + L1D.Latency and change
// nothing but the count of hits, which LoadHit has done.
func (c *Core) LoadHit(pa mmu.PA, now sim.Cycle) bool {
	line := uint64(pa) >> LineShift
	if c.d.first[line&c.d.mask*c.d.ways]^line<<2-1 > 1 || now < c.pending {
		return false
	}
	c.Stats.Hits++
	return true
}

// StoreHit is the fast path of a store and of an atomic, as LoadHit is of a load.
func (c *Core) StoreHit(pa mmu.PA, now sim.Cycle) bool {
	line := uint64(pa) >> LineShift
	if c.d.first[line&c.d.mask*c.d.ways] != line<<2|writable || now < c.pending {
		return false
	}
	c.Stats.Hits++
	return true
}

// FetchHit is the fast path of a fetch, as LoadHit is of a load.
func (c *Core) FetchHit(pa mmu.PA, now sim.Cycle) bool {
	line := uint64(pa) >> LineShift
	if c.i.first[line&c.i.mask*c.i.ways] != line<<2|readable || now < c.pending {
		return false
	}
	c.Stats.FetchHits++
	return true
}

// Holds reports whether L1D has a line, be it under way, without a trace.
func (c *Core) Holds(pa mmu.PA) bool {
	_, i := c.d.find(lineOf(pa))
	return i >= 0
}

// invalidate takes a line out of all of the core's caches and returns its state.
func (c *Core) invalidate(line uint64) uint64 {
	c.dropL1(line)
	return c.l2.remove(line) & tagState
}

// dropL1 takes a line out of L1.
func (c *Core) dropL1(line uint64) {
	c.d.remove(line)
	c.i.remove(line)
}

// demote leaves the core a line in a lesser state, and returns the state it had.
func (c *Core) demote(line, to uint64) uint64 {
	set, i := c.l2.find(line)
	if i < 0 {
		return 0
	}
	was := set[i] & tagState
	set[i] = set[i]&^tagState | min(was, to)
	c.d.setState(line, readable)
	return was
}

// merge is when a hit at cycle at on a line can be served: not before it is there.
func (c *Core) merge(line uint64, at sim.Cycle, write bool) sim.Cycle {
	for i := range c.flights {
		if f := &c.flights[i]; f.line == line && f.ready > at && (write || !f.write) {
			c.Stats.Merged++
			return f.ready
		}
	}
	return at
}

// slot returns the MSHR for a miss and when it can be used.
func (c *Core) slot(n int, now sim.Cycle) (*flight, sim.Cycle) {
	if c.flights == nil {
		c.flights = make([]flight, n)
	}
	first := &c.flights[0]
	for i := range c.flights {
		f := &c.flights[i]
		if f.ready <= now {
			return f, now
		}
		if f.ready < first.ready {
			first = f
		}
	}
	c.Stats.Full++
	return first, first.ready
}
