package cache

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// leg is one way across the mesh.
func (s *System) leg() sim.Cycle { return sim.Cycle(s.Spec.Mesh) }

// snoop is the way from the home to a core, its look into its caches, and from
// there to whoever is answered.
func (s *System) snoop() sim.Cycle { return 2*s.leg() + sim.Cycle(s.Spec.Snoop) }

// arrive is when the home begins with a request that a core sends at cycle at,
// and when it has looked into directory and SLC.
func (s *System) arrive(e *entry, at sim.Cycle) (began, looked sim.Cycle) {
	began = at + s.leg()
	if e != nil {
		if b := e.begin(began); b > began {
			s.Stats.LineWaits++
			s.Stats.LineWaitCycles += uint64(b - began)
			began = b
		}
	}
	return began, began + sim.Cycle(s.Spec.SLC.Latency)
}

// read gets a line for reading into a core's L2: Exclusive if nobody else has it,
// unless it is code.
func (s *System) read(c *Core, line uint64, w What, at sim.Cycle, code bool) sim.Cycle {
	e := s.dir.find(line)
	began, at := s.arrive(e, at)
	state := uint64(shared)
	switch {
	case e == nil:
		state, at = s.readUnheld(line, w, at, code)
		e = s.dir.add(line)
		s.dir.own(e, c.id)
		if state == shared {
			e.flag &^= owned
		}
	case e.is(owned):
		owner := &s.cores[s.dir.next(e, 0)]
		s.Stats.Transfers[w]++
		if owner.demote(line, shared) == modified {
			s.keep(line, w, dirty, at)
		} else {
			s.keep(line, w, clean, at)
		}
		at += s.snoop()
		s.dir.share(e, c.id)
	default:
		if set, i := s.slc.find(line); i >= 0 {
			s.Stats.SLCHits++
			use(set, i)
			at += s.leg()
		} else { // the SLC has lost it: one who has it passes it on
			s.Stats.Transfers[w]++
			at += s.snoop()
		}
		s.dir.share(e, c.id)
	}
	e.end(began, at, w)
	s.fillL2(c, line<<2|state, at)
	return at
}

// readUnheld reads a line that no core has.
func (s *System) readUnheld(line uint64, w What, at sim.Cycle, code bool) (state uint64, ready sim.Cycle) {
	if set, i := s.slc.find(line); i >= 0 {
		s.Stats.SLCHits++
		if code {
			use(set, i)
			return shared, at + s.leg()
		}
		state = exclusive
		if set[i]&tagState == dirty {
			state = modified
		}
		s.slc.remove(line)
		return state, at + s.leg()
	}
	s.Stats.SLCMisses++
	s.Stats.MemReads++
	at = s.dram.access(line, at)
	if code {
		s.keep(line, w, clean, at)
		return shared, at + s.leg()
	}
	return exclusive, at + s.leg()
}

// own makes a core the only one to have a line. data says that it needs the
// contents: it neither has them nor writes them all.
func (s *System) own(c *Core, line uint64, w What, at sim.Cycle, data bool) sim.Cycle {
	e := s.dir.find(line)
	began, at := s.arrive(e, at)
	if e == nil {
		at = s.ownUnheld(line, at, data)
		e = s.dir.add(line)
	} else {
		had := e.is(owned)
		others := s.invalidate(e, line, c.id)
		s.Stats.Invalidations[w] += others
		inSLC := s.slc.remove(line) != 0
		switch {
		case had: // the owner answers the core
			s.Stats.Transfers[w]++
			at += s.snoop()
		case others != 0: // the home collects the answers
			if data && !inSLC {
				s.Stats.Transfers[w]++
			}
			at += s.snoop() + s.leg()
		default:
			at += s.leg()
		}
		if data && inSLC {
			s.Stats.SLCHits++
		}
	}
	s.dir.own(e, c.id)
	e.end(began, at, w)
	return at
}

// ownUnheld takes a line that no core has.
func (s *System) ownUnheld(line uint64, at sim.Cycle, data bool) sim.Cycle {
	switch found := s.slc.remove(line) != 0; {
	case found && data:
		s.Stats.SLCHits++
	case data:
		s.Stats.SLCMisses++
		s.Stats.MemReads++
		at = s.dram.access(line, at)
	}
	return at + s.leg()
}

// invalidate takes a line from all holders but one core, and returns how many.
func (s *System) invalidate(e *entry, line uint64, but int) (n uint64) {
	for o := s.dir.next(e, 0); o >= 0; o = s.dir.next(e, o+1) {
		if o != but {
			s.cores[o].invalidate(line)
			n++
		}
	}
	return n
}

// keep puts a line into the SLC, or writes it to memory if there is none.
func (s *System) keep(line uint64, w What, state uint64, at sim.Cycle) {
	if len(s.slc.pages) == 0 {
		if state == dirty {
			s.writeMemory(line, at)
		}
		return
	}
	if set, i := s.slc.find(line); i >= 0 {
		set[i] |= state & dirty
		if set[i]&dirty != 0 {
			set[i] &^= clean
		}
		use(set, i)
		return
	}
	victim := s.slc.insert(uint64(w)<<tagWhat | line<<2 | state)
	if victim&tagState == dirty {
		s.Stats.SLCWriteBacks[victim>>tagWhat%uint64(len(s.Stats.SLCWriteBacks))]++
		s.writeMemory(victim&tagLine>>2, at)
	}
}

func (s *System) writeMemory(line uint64, at sim.Cycle) sim.Cycle {
	s.Stats.MemWrites++
	return s.dram.access(line, at)
}

// maintain is DC CVAC or CIVAC: the home asks whoever has the line.
func (s *System) maintain(c *Core, line uint64, k Kind, w What, now sim.Cycle) sim.Cycle {
	e := s.dir.find(line)
	began, at := s.arrive(e, now+sim.Cycle(s.Spec.L1D.Latency)+sim.Cycle(s.Spec.L2.Latency))
	wet := false
	if e != nil {
		if owner := s.dir.next(e, 0); e.is(owned) || k == Invalidate {
			wet = e.is(owned) && s.cores[owner].demote(line, exclusive) == modified
			if owner != c.id || e.n > 1 {
				at += s.snoop()
			}
		}
		if wet {
			s.Stats.WriteBacks[w]++
		}
	}
	if set, i := s.slc.find(line); i >= 0 && set[i]&tagState == dirty {
		wet = true
		set[i] = set[i]&^tagState | clean
	}
	if wet {
		at = s.writeMemory(line, at)
	}
	at += s.leg()
	if e != nil {
		e.end(began, at, w)
	}
	if k == Invalidate {
		s.slc.remove(line)
		if e != nil {
			s.Stats.Invalidations[w] += s.invalidate(e, line, -1)
			s.dir.remove(e)
		}
	}
	return at
}

// DMA is an access within one line by a device without caches: a read that leaves
// all as it is, or a write that takes the line from every core and leaves it in the
// SLC. It returns when the data have arrived, or are visible to all.
func (s *System) DMA(pa mmu.PA, write bool, w What, now sim.Cycle) sim.Cycle {
	line := lineOf(pa)
	e := s.dir.find(line)
	began, at := s.arrive(e, now)
	if !write {
		return s.readOnce(e, line, w, began, at)
	}
	if e != nil {
		if e.is(owned) {
			s.Stats.Transfers[w]++
		}
		s.Stats.Invalidations[w] += s.invalidate(e, line, -1)
		s.dir.remove(e)
		at += s.snoop()
	}
	s.keep(line, w, dirty, at)
	return at + s.leg()
}

// readOnce is a read that caches nothing.
func (s *System) readOnce(e *entry, line uint64, w What, began, at sim.Cycle) sim.Cycle {
	_, i := s.slc.find(line)
	switch {
	case e != nil && (e.is(owned) || i < 0):
		s.Stats.Transfers[w]++
		at += s.snoop()
	case i >= 0:
		s.Stats.SLCHits++
		at += s.leg()
	default:
		s.Stats.SLCMisses++
		s.Stats.MemReads++
		at = s.dram.access(line, at) + s.leg()
	}
	if e != nil {
		e.end(began, at, w)
	}
	return at
}
