package cache

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Stats counts what happens outside the cores.
type Stats struct {
	SLCHits   uint64
	SLCMisses uint64

	Misses        [mmu.NumWhats]uint64 // lines that a core's L2 did not have: CoreStats.L2Misses by what they hold
	Transfers     [mmu.NumWhats]uint64 // lines that one core got from another
	Invalidations [mmu.NumWhats]uint64 // copies that a core lost to another's store
	WriteBacks    [mmu.NumWhats]uint64 // written lines that left a core
	SLCWriteBacks [mmu.NumWhats]uint64 // that left the SLC

	LineWaits      uint64 // requests that found their line occupied
	LineWaitCycles uint64

	MemReads     uint64 // lines
	MemWrites    uint64
	RowHits      uint64
	RowClosed    uint64
	RowConflicts uint64
}

// sum adds up a count of all cores.
func (s *System) sum(f func(*CoreStats) uint64) (n uint64) {
	for i := range s.cores {
		n += f(&s.cores[i].Stats)
	}
	return n
}

// Total is the sum of all cores' counts.
func (s *System) Total() (t CoreStats) {
	for i := range s.cores {
		c := &s.cores[i].Stats
		t.FetchHits += c.FetchHits
		t.Fetches += c.Fetches
		t.Hits += c.Hits
		t.Misses += c.Misses
		t.L2Hits += c.L2Hits
		t.L2Misses += c.L2Misses
		t.Upgrades += c.Upgrades
		t.Merged += c.Merged
		t.Full += c.Full
		t.Cleaned += c.Cleaned
	}
	return t
}

// Register registers the statistics below "cache".
func (s *System) Register(stats *sim.Stats) {
	for _, d := range []struct {
		name, unit, desc string
		f                func(*CoreStats) uint64
	}{
		{"cache.l1i.hits", "fetches", "Fetches that L1I served.", func(c *CoreStats) uint64 { return c.FetchHits }},
		{"cache.l1i.misses", "fetches", "Fetches that L1I did not have.", func(c *CoreStats) uint64 { return c.Fetches }},
		{"cache.l1d.hits", "accesses", "Loads and stores that L1D served.", func(c *CoreStats) uint64 { return c.Hits }},
		{"cache.l1d.misses", "accesses", "Loads and stores whose line L1D did not have, or not to write.", func(c *CoreStats) uint64 { return c.Misses }},
		{"cache.l1d.write_backs", "lines", "Written lines that L1D passed to L2.", func(c *CoreStats) uint64 { return c.Cleaned }},
		{"cache.l2.hits", "accesses", "Misses of L1 and table walks that L2 served.", func(c *CoreStats) uint64 { return c.L2Hits }},
		{"cache.l2.misses", "accesses", "Misses of L1 and table walks that L2 did not have.", func(c *CoreStats) uint64 { return c.L2Misses }},
		{"cache.l2.upgrades", "accesses", "Stores to a line that L2 had, but not to write.", func(c *CoreStats) uint64 { return c.Upgrades }},
		{"cache.merged", "accesses", "Hits on a line that was still under way.", func(c *CoreStats) uint64 { return c.Merged }},
		{"cache.mshr_full", "accesses", "Misses that waited because the core had as many under way as it can.", func(c *CoreStats) uint64 { return c.Full }},
	} {
		stats.Derived(d.name, d.unit, d.desc, func() float64 { return float64(s.sum(d.f)) })
	}
	st := &s.Stats
	stats.Counter("cache.slc.hits", "accesses", "Requests for data that the system-level cache served.", &st.SLCHits)
	stats.Counter("cache.slc.misses", "accesses", "Requests for data that went to memory.", &st.SLCMisses)
	stats.Counter("cache.line.waits", "requests", "Requests that found their line occupied by another core's.", &st.LineWaits)
	stats.Counter("cache.line.wait_cycles", "cycles", "How long they waited.", &st.LineWaitCycles)
	stats.Counter("cache.dram.reads", "lines", "Lines read from memory.", &st.MemReads)
	stats.Counter("cache.dram.writes", "lines", "Lines written to memory.", &st.MemWrites)
	stats.Counter("cache.dram.row_hits", "accesses", "Memory accesses to the open row of a bank.", &st.RowHits)
	stats.Counter("cache.dram.row_closed", "accesses", "Memory accesses to a bank without an open row.", &st.RowClosed)
	stats.Counter("cache.dram.row_conflicts", "accesses", "Memory accesses to a bank with another row open.", &st.RowConflicts)
	for w := range mmu.NumWhats {
		name := w.String()
		stats.Counter("cache.l2.misses."+name, "accesses", "Misses of L1 and table walks that L2 did not have: "+name+".", &st.Misses[w])
		stats.Counter("cache.transfers."+name, "lines", "Lines that one core got from another: "+name+".", &st.Transfers[w])
		stats.Counter("cache.invalidations."+name, "lines", "Copies that cores lost to another's store: "+name+".", &st.Invalidations[w])
		stats.Counter("cache.write_backs."+name, "lines", "Written lines that left a core: "+name+".", &st.WriteBacks[w])
		stats.Counter("cache.slc.write_backs."+name, "lines", "Written lines that left the system-level cache: "+name+".", &st.SLCWriteBacks[w])
	}
}
