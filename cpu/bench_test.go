package cpu

import (
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// zipf returns n pages drawn with probability about 1/rank^0.99 of 2^bits, the
// ranks strewn over the pages: for every octave of ranks the same chance.
func zipf(n, bits int) []mmu.IPA {
	r := sim.NewStream(1, "zipf")
	out := make([]mmu.IPA, n)
	for i := range out {
		octave := r.N(uint64(bits))
		rank := uint64(1)<<octave + r.N(1<<octave)
		out[i] = mmu.IPA(rank * 0x9e3779b1 % (1 << bits) << mmu.FrameShift)
	}
	return out
}

// BenchmarkGuestStore is a guest's store to one of 2^18 pages, Zipf-like, no
// faults: the best that a workload can get.
func BenchmarkGuestStore(b *testing.B) {
	w := newGuest(4, 1<<18, mmu.Granule4K)
	pages := zipf(1<<20, 18)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if f := w.Cores[i&3].Store(&w.s, pages[i&(1<<20-1)]|0x80, 8, uint64(i), 1); f.Kind != 0 {
			b.Fatal(f)
		}
	}
	var s mmu.TLBStats
	for _, c := range w.Cores {
		s.L1Hits += c.TLB.Stats.L1Hits
		s.L2Hits += c.TLB.Stats.L2Hits
		s.Misses += c.TLB.Stats.Misses
	}
	b.ReportMetric(float64(s.Misses)/float64(b.N), "misses/op")
}

// BenchmarkExec is one micro-op of a block of loads and stores to pages that are
// full, as page tables and rings are.
func BenchmarkExec(b *testing.B) {
	m := NewMachine(Spec{Cores: 1, Costs: testCosts})
	for i := range mmu.PA(1024) {
		m.Mem.Store(0x1000+i*8, 8, uint64(i)*3, 0)
	}
	var blk mmu.Block
	for i := range mmu.PA(4) {
		blk.Load(0x1000+i*8, 8)
		blk.Store(0x2000+i*8, 8, 1)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += blk.N {
		m.Cores[0].Exec(&blk)
	}
}

// BenchmarkProtect is what a ring reset does to the tables: a span
// protected by the core, once for every 64 entries.
func BenchmarkProtect(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"pages=1", 1}, {"pages=64", 64}} {
		b.Run(c.name, func(b *testing.B) {
			w := newGuest(1, 1<<14, mmu.Granule4K)
			core := w.Cores[0]
			var p mmu.ProtectProgram
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += c.n {
				p = w.s.Protect(mmu.GFN(i*0x35)&(1<<14-1)&^mmu.GFN(c.n-1), uint64(c.n))
				for w.b.N = 0; p.Next(&w.b); {
					core.Exec(&w.b)
				}
			}
		})
	}
}
