package cache

import (
	"errors"
	"fmt"
	"slices"

	"ringmap/mmu"
	"ringmap/sim"
)

var (
	errTag   = errors.New("cache: a line where it cannot be")
	errEntry = errors.New("cache: impossible directory entry")
)

// Sync saves, restores or hashes the hierarchy. It is restored into one made from
// the same Spec for as many cores.
func (s *System) Sync(c *sim.Codec) {
	c.Tag("cache")
	cores := len(s.cores)
	c.Int(&cores)
	if cores != len(s.cores) {
		c.Fail(fmt.Errorf("cache: saved with %d cores, restored with %d", cores, len(s.cores)))
		return
	}
	for i := range s.cores {
		s.cores[i].sync(c, s.Spec.MSHRs)
	}
	s.slc.sync(c, dirty)
	s.dir.sync(c, len(s.cores))
	s.dram.sync(c)
	s.Stats.sync(c)
}

func (c *Core) sync(d *sim.Codec, mshrs int) {
	c.d.sync(d, writable)
	c.i.sync(d, readable)
	c.l2.sync(d, modified)
	sim.Uint(d, &c.pending)
	used := c.flights != nil
	d.Bool(&used)
	if d.Loading() {
		c.flights = nil
		if used {
			c.flights = make([]flight, mshrs)
		}
	}
	for i := range c.flights {
		d.U64(&c.flights[i].line)
		sim.Uint(d, &c.flights[i].ready)
		d.Bool(&c.flights[i].write)
	}
	st := &c.Stats
	for _, p := range []*uint64{&st.FetchHits, &st.Fetches, &st.Hits, &st.Misses, &st.L2Hits, &st.L2Misses, &st.Upgrades, &st.Merged, &st.Full, &st.Cleaned} {
		d.U64(p)
	}
}

// sync codes the pages that exist. A tag that is restored must be of its set and
// in a state up to most, and what is empty must be last.
func (a *array) sync(c *sim.Codec, most uint64) {
	if c.Loading() {
		a.clear()
	}
	for p := range a.pages {
		used := &a.pages[p][0] != &a.empty[0]
		c.Bool(&used)
		if !used {
			continue
		}
		if c.Loading() {
			a.pages[p] = make([]uint64, len(a.empty))
		}
		for i := range a.pages[p] {
			c.U64(&a.pages[p][i])
		}
		if c.Loading() && !a.valid(p, most) {
			c.Fail(errTag)
			clear(a.pages[p])
		}
	}
	if len(a.pages) != 0 {
		a.first = a.pages[0]
	}
}

func (a *array) valid(p int, most uint64) bool {
	page := a.pages[p]
	for i, tag := range page {
		n := uint64(p)<<a.shift + uint64(i)/a.ways
		way := uint64(i) % a.ways
		set := page[uint64(i)-way:]
		switch line := tag & tagLine >> 2; {
		case tag == 0:
		case tag&tagState == 0, tag&tagState > most, line&a.mask != n, tag>>tagWhat >= uint64(mmu.NumWhats),
			line>>(mmu.PABits-LineShift) != 0, way > 0 && set[way-1] == 0:
			return false
		default:
			for _, o := range set[:way] {
				if o&tagLine == tag&tagLine {
					return false
				}
			}
		}
	}
	return true
}

// sync codes the lines in ascending order: where they lie in the table depends on
// its history, and nothing on where they lie.
func (d *directory) sync(c *sim.Codec, cores int) {
	var list []entry
	if !c.Loading() {
		for _, e := range d.slots {
			if e.key != 0 {
				list = append(list, e)
			}
		}
		slices.SortFunc(list, func(a, b entry) int {
			if a.key < b.key {
				return -1
			}
			return 1
		})
	}
	n := len(list)
	c.Len(&n)
	if c.Loading() {
		d.slots, d.n, d.masks, d.free = nil, 0, nil, nil
		list = nil
	}
	for i := range n {
		var e entry
		if !c.Loading() {
			e = list[i]
		}
		c.U64(&e.key)
		sim.Uint(c, &e.busy)
		c.U32(&e.held)
		sim.Uint(c, &e.what)
		own := e.is(owned)
		c.Bool(&own)
		holders := e.n
		c.U16(&holders)
		if c.Err() != nil {
			return
		}
		if e.what >= mmu.NumWhats || holders == 0 || int(holders) > cores || own && holders != 1 || e.key == 0 ||
			(e.key-1)>>(mmu.PABits-LineShift) != 0 || c.Loading() && d.find(e.key-1) != nil {
			c.Fail(errEntry)
			return
		}
		d.syncHolders(c, &e, int(holders), own, cores)
	}
}

func (d *directory) syncHolders(c *sim.Codec, e *entry, holders int, own bool, cores int) {
	to := e
	if c.Loading() {
		to = d.add(e.key - 1)
		to.busy, to.held, to.what = e.busy, e.held, e.what
	}
	last := -1
	for range holders {
		var core uint16
		if !c.Loading() {
			last = d.next(e, last+1)
			core = uint16(last)
		}
		c.U16(&core)
		if !c.Loading() {
			continue
		}
		if int(core) >= cores || int(core) <= last {
			c.Fail(errEntry)
			core = uint16(max(last, 0))
		}
		last = int(core)
		d.share(to, last)
	}
	if own {
		to.flag |= owned
	}
}

func (d *dram) sync(c *sim.Codec) {
	for i := range d.banks {
		b := &d.banks[i]
		c.U64(&b.row)
		sim.Uint(c, &b.busy)
		c.U32(&b.held)
	}
	for i := range d.buses {
		b := &d.buses[i]
		used := b.used != nil
		c.Bool(&used)
		if c.Loading() {
			*b = calendar{}
			if used {
				b.window, b.used = make([]uint64, windows), make([]uint32, windows)
			}
		}
		for j := range b.used {
			c.U64(&b.window[j])
			c.U32(&b.used[j])
			if b.used[j] > 1<<windowShift+maxLatency {
				c.Fail(errors.New("cache: a bus that is busier than it can be"))
				b.used[j] = 0
			}
		}
	}
}

func (s *Stats) sync(c *sim.Codec) {
	for _, p := range []*uint64{
		&s.SLCHits, &s.SLCMisses, &s.LineWaits, &s.LineWaitCycles,
		&s.MemReads, &s.MemWrites, &s.RowHits, &s.RowClosed, &s.RowConflicts,
	} {
		c.U64(p)
	}
	for w := range mmu.NumWhats {
		c.U64(&s.Misses[w])
		c.U64(&s.Transfers[w])
		c.U64(&s.Invalidations[w])
		c.U64(&s.WriteBacks[w])
		c.U64(&s.SLCWriteBacks[w])
	}
}
