// Package cache times the memory of the simulated machine: private caches,
// a shared system-level cache (SLC), a directory that keeps them coherent, and
// DRAM. It holds states and times; the bytes are in mmu.Memory.
//
//	core: fetch ─► L1I ─┐              ┌─► another core's L1, L2 (snoop)
//	      load,         ├─► L2 ─ mesh ─► home: directory + SLC
//	      store ─► L1D ─┘     ▲        └─► DRAM: channels, banks, open rows
//	      walk ───────────────┘
//
// A core holds a line Modified, Exclusive or Shared, or not (MESI). The SLC is
// exclusive of what a core owns: a line moves there when L2 evicts it and leaves
// when a core takes it. Of a line that becomes shared it keeps a copy, with the
// dirty data if there are any. A request occupies its line at the home until it is
// answered; the next one waits.
//
// An access is carried out at once, in the order in which cores call, and returns
// when it would be done. Cores may be ahead of one another in time: what one has
// put into a resource beyond another's present does not delay that one.
//
// Sources: MESI, snoop filter and SLC after AMBA 5 CHI (IHI 0050) and the Arm
// CMN-600 TRM; the Neoverse N1 TRM for the private caches; Figures for the numbers.
package cache

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Kind is what an access does.
type Kind uint8

// The kinds of access.
const (
	Load       Kind = iota
	Store           // wants the line to itself
	Atomic          // as a store: near, in L1D
	Fetch           // through L1I
	Walk            // a descriptor, for the walker: through L2 alone
	Zero            // writes the whole line (DC ZVA): no data are fetched
	Clean           // DC CVAC: what is dirty goes to memory, lines stay
	Invalidate      // DC CIVAC: the same, and no cache keeps the line
)

// What is at the address, for counting.
type What = mmu.What

// What an access may find. mmu.What describes them.
const (
	KernelData  = mmu.KernelData
	GuestData   = mmu.GuestData
	GuestCode   = mmu.GuestCode
	Stage1Table = mmu.Stage1Table
	Stage2Table = mmu.Stage2Table
	RingEntry   = mmu.RingEntry
	RingIndex   = mmu.RingIndex
	BitmapWord  = mmu.BitmapWord
	VMMData     = mmu.VMMData
	Copy        = mmu.CopyData
	ITSTable    = mmu.ITSTable
	DMA         = mmu.DMAData
)

// System is the caches and the memory of a machine.
type System struct {
	Spec  Spec // never changed
	Stats Stats
	cores []Core
	slc   array
	dir   directory
	dram  dram
}

// New makes the hierarchy for a number of cores, all caches empty. The spec must
// be one that Validate accepts, and there are 1 to 65535 cores.
func New(spec Spec, cores int) *System {
	if err := spec.Validate(); err != nil {
		panic("cache: " + err.Error()) // the caller validates what users say
	}
	s := &System{Spec: spec, cores: make([]Core, cores)}
	s.dram = newDRAM(&s.Spec.DRAM, &s.Stats)
	s.dir.words = (cores + 63) / 64
	s.slc = newArray(&spec.SLC, sharedPage)
	d, i, l2 := newArray(&spec.L1D, wholePage), newArray(&spec.L1I, wholePage), newArray(&spec.L2, sharedPage)
	for n := range s.cores {
		s.cores[n] = Core{id: n, d: d.clone(), i: i.clone(), l2: l2.clone()}
	}
	return s
}

// Sets of the pages in which caches come into being: L1 at once, since its fast
// path knows only one.
const (
	sharedPage = 6
	wholePage  = 32
)

// Core returns a core's side, for its fast paths.
func (s *System) Core(n int) *Core { return &s.cores[n] }

// Access is one access within one line by a core at cycle now; it returns when
// the data are there (load, fetch, walk), the line is the core's (store, atomic,
// zero) or the maintenance is complete.
func (s *System) Access(core int, pa mmu.PA, k Kind, w What, now sim.Cycle) (ready sim.Cycle) {
	c, line := &s.cores[core], lineOf(pa)
	switch k {
	case Load:
		return s.load(c, line, w, now)
	case Fetch:
		return s.fetch(c, line, w, now)
	case Walk:
		return s.walk(c, line, w, now)
	case Clean, Invalidate:
		return s.maintain(c, line, k, w, now)
	}
	return s.store(c, line, k, w, now)
}

func (s *System) load(c *Core, line uint64, w What, now sim.Cycle) sim.Cycle {
	at := now + sim.Cycle(s.Spec.L1D.Latency)
	if set, i := c.d.find(line); i >= 0 {
		c.Stats.Hits++
		use(set, i)
		if now < c.pending {
			at = c.merge(line, at, false)
		}
		return at
	}
	c.Stats.Misses++
	f, at := s.miss(c, at)
	set, i := c.l2.find(line)
	if i >= 0 {
		c.Stats.L2Hits++
		use(set, i)
		at = c.merge(line, at, false)
	} else {
		c.Stats.L2Misses++
		s.Stats.Misses[w]++
		at = s.read(c, line, w, at, false)
	}
	c.fillD(line, readable)
	return c.land(f, line, at)
}

func (s *System) fetch(c *Core, line uint64, w What, now sim.Cycle) sim.Cycle {
	at := now + sim.Cycle(s.Spec.L1I.Latency)
	if set, i := c.i.find(line); i >= 0 {
		c.Stats.FetchHits++
		use(set, i)
		if now < c.pending {
			at = c.merge(line, at, false)
		}
		return at
	}
	c.Stats.Fetches++
	f, at := s.miss(c, at)
	if set, i := c.l2.find(line); i >= 0 {
		c.Stats.L2Hits++
		use(set, i)
		at = c.merge(line, at, false)
		c.d.setState(line, readable)
	} else {
		c.Stats.L2Misses++
		s.Stats.Misses[w]++
		at = s.read(c, line, w, at, true)
	}
	c.i.insert(line<<2 | readable)
	return c.land(f, line, at)
}

// walk reads a descriptor: it costs L1D's lookup as a load does, and fills L2
// alone.
func (s *System) walk(c *Core, line uint64, w What, now sim.Cycle) sim.Cycle {
	at := now + sim.Cycle(s.Spec.L1D.Latency)
	if set, i := c.l2.find(line); i >= 0 {
		c.Stats.L2Hits++
		use(set, i)
		return c.merge(line, at+sim.Cycle(s.Spec.L2.Latency), false)
	}
	c.Stats.L2Misses++
	s.Stats.Misses[w]++
	f, at := s.miss(c, at)
	return c.land(f, line, s.read(c, line, w, at, false))
}

func (s *System) store(c *Core, line uint64, k Kind, w What, now sim.Cycle) sim.Cycle {
	at := now + sim.Cycle(s.Spec.L1D.Latency)
	dset, di := c.d.find(line)
	if di >= 0 {
		use(dset, di)
		if dset[0]&tagState == writable {
			c.Stats.Hits++
			if now < c.pending {
				at = c.merge(line, at, true)
			}
			return at
		}
	}
	set, i := c.l2.find(line)
	if di >= 0 && i >= 0 && set[i]&tagState != shared { // it is ours, and L1D learns it now
		c.Stats.Hits++
		set[i] = set[i]&^tagState | modified
		dset[0] = dset[0]&^tagState | writable
		c.i.remove(line)
		if now < c.pending {
			at = c.merge(line, at, true)
		}
		return at
	}
	c.Stats.Misses++
	f, at := s.miss(c, at)
	switch {
	case i >= 0 && set[i]&tagState != shared:
		c.Stats.L2Hits++
		use(set, i)
		at = c.merge(line, at, true)
		set[0] = set[0]&^tagState | modified
	case i >= 0:
		c.Stats.Upgrades++
		use(set, i)
		at = s.own(c, line, w, c.merge(line, at, true), false)
		set[0] = set[0]&^tagState | modified
	default:
		c.Stats.L2Misses++
		s.Stats.Misses[w]++
		at = s.own(c, line, w, at, k != Zero)
		s.fillL2(c, line<<2|modified, at)
	}
	c.i.remove(line)
	upgrade := di >= 0
	if upgrade {
		c.d.setState(line, writable)
	} else {
		c.fillD(line, writable)
	}
	at = c.land(f, line, at)
	f.write = upgrade
	return at
}

// miss takes an MSHR for a line that L1 does not have, and looks into L2.
func (s *System) miss(c *Core, at sim.Cycle) (*flight, sim.Cycle) {
	f, at := c.slot(s.Spec.MSHRs, at)
	return f, at + sim.Cycle(s.Spec.L2.Latency)
}

// land notes when a missing line arrives.
func (c *Core) land(f *flight, line uint64, at sim.Cycle) sim.Cycle {
	f.line, f.ready, f.write = line, at, false
	c.pending = max(c.pending, at)
	return at
}

func (c *Core) fillD(line, state uint64) {
	if victim := c.d.insert(line<<2 | state); victim&tagState == writable {
		c.Stats.Cleaned++
	}
}

// fillL2 puts a line into L2; what it replaces goes to the SLC.
func (s *System) fillL2(c *Core, tag uint64, at sim.Cycle) {
	victim := c.l2.insert(tag)
	if victim == 0 {
		return
	}
	line := victim & tagLine >> 2
	c.dropL1(line)
	e := s.dir.find(line)
	if e == nil { // only in a snapshot that somebody made up
		return
	}
	w := e.what
	if s.dir.drop(e, c.id) {
		s.dir.remove(e)
	}
	switch victim & tagState {
	case exclusive:
		s.keep(line, w, clean, at)
	case modified:
		s.Stats.WriteBacks[w]++
		s.keep(line, w, dirty, at)
	}
}
