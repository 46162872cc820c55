package mmu

import (
	"fmt"
	"testing"
)

// host is what the benchmarks and models of this package run on.
type host struct {
	m     *Memory
	a     *Allocator
	d     *Domain
	s     Stage2
	t     TLB
	b     Block
	space SpaceID
	p     ProtectProgram
	r     RelaxProgram
	mp    MapProgram
}

func newHost(g Granule, ipaBits uint8) *host {
	h := &host{m: NewMemory(), d: NewDomain()}
	h.a = NewAllocator(h.m, 1<<18, 1<<36)
	h.s = NewStage2(h.m, h.a, g, ipaBits, 1)
	h.d.Add(&h.t, NeoverseN1)
	h.space = h.d.Space(Space{VMID: 1})
	return h
}

// translate is what a core does with a TLB.
func (t *TLB) translate(m *Memory, s *Stage2, space SpaceID, ipa IPA, a Access) (*Entry, Found, Fault) {
	e, found := t.Lookup(space, ipa)
	if found == Miss {
		var fault Fault
		if e, fault = t.Walk(m, s, space, ipa); e == nil {
			return nil, found, fault
		}
	}
	if !e.Allows(a) {
		return nil, found, e.Denied(ipa)
	}
	return e, found, Fault{}
}

// mapPages maps n pages from gfn on to new memory.
func (h *host) mapPages(gfn GFN, n uint64, p Prot) {
	for i := range GFN(n) {
		prog := h.s.Map(h.s.Granule.IPA(gfn+i), h.a.Alloc(h.s.Granule.Shift()-FrameShift).PA(), 3, p, false)
		RunNow(h.m, h.d, &h.b, &prog)
	}
}

func (h *host) store(ipa IPA, v uint64) FaultKind {
	e, _, fault := h.t.translate(h.m, &h.s, h.space, ipa, AccessWrite)
	if e == nil {
		return fault.Kind
	}
	pa := e.PA(ipa)
	f := e.Frame()
	if f == nil {
		f = h.m.Frame(pa.PFN())
	}
	h.m.StoreIn(f, pa, 8, v, 1)
	return FaultNone
}

const benchPages = 1 << 18

// BenchmarkStoreHit is a guest store that hits the TLB: 32 pages stay in the
// first level, 1024 in the second.
func BenchmarkStoreHit(b *testing.B) {
	for _, pages := range []IPA{32, 1024} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			h := newHost(Granule4K, 40)
			h.mapPages(0, uint64(pages), ProtRead|ProtWrite)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				h.store(IPA(i)%pages<<12|0x40, uint64(i))
			}
		})
	}
}

// BenchmarkTLBMissWalk is a store whose translation must be walked: pages in an
// order that no TLB holds, the frames in the host's outer caches.
func BenchmarkTLBMissWalk(b *testing.B) {
	for _, pages := range []IPA{1 << 13, benchPages} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			h := newHost(Granule4K, 40)
			h.mapPages(0, uint64(pages), ProtRead|ProtWrite)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				h.store(IPA(i)*0x9e35%pages<<12|0x40, uint64(i))
			}
		})
	}
}

// BenchmarkLookup is the TLB alone.
func BenchmarkLookup(b *testing.B) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, 1024, ProtRead|ProtWrite)
	for i := range IPA(1024) {
		h.store(i<<12, 0)
	}
	b.ResetTimer()
	for i := range b.N {
		if e, _ := h.t.Lookup(h.space, IPA(i)&1023<<12); e == nil {
			b.Fatal("miss")
		}
	}
}

// reopen makes n pages, every step-th from gfn on, writable again.
func (h *host) reopen(gfn GFN, n, step uint64) {
	for i := uint64(0); i < n; i++ {
		leaf := h.s.Find(h.m, h.s.Granule.IPA(gfn+GFN(i*step)))
		h.m.Store(leaf.At, 8, uint64(leaf.Desc.Allow(ProtWrite)), WriterKernel)
	}
}

// BenchmarkProtectSpan is the cost per page of write-protecting 64 pages in a row.
func BenchmarkProtectSpan(b *testing.B) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, benchPages, ProtRead|ProtWrite)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += benchPages {
		for at := 0; at < benchPages && i+at < b.N; at += 64 {
			h.p = h.s.Protect(GFN(at), 64)
			RunNow(h.m, h.d, &h.b, &h.p)
		}
		b.StopTimer()
		h.reopen(0, benchPages, 1)
		b.StartTimer()
	}
}

// BenchmarkProtectSingle is the cost of write-protecting one page.
func BenchmarkProtectSingle(b *testing.B) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, benchPages, ProtRead|ProtWrite)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += benchPages {
		for at := 0; at < benchPages && i+at < b.N; at++ {
			h.p = h.s.Protect(GFN(at*0x9e35%benchPages), 1)
			RunNow(h.m, h.d, &h.b, &h.p)
		}
		b.StopTimer()
		h.reopen(0, benchPages, 1)
		b.StartTimer()
	}
}

// BenchmarkRelax is the cost of opening one page.
func BenchmarkRelax(b *testing.B) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, benchPages, ProtRead)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		h.r = h.s.Relax(IPA(i*0x9e35%benchPages)<<12, ProtWrite, true, 0)
		RunNow(h.m, h.d, &h.b, &h.r)
	}
}

// BenchmarkMapPage is the cost of mapping one page, its table being there.
func BenchmarkMapPage(b *testing.B) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, benchPages, ProtRead)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		h.mp = h.s.Map(IPA(i*0x9e35%benchPages)<<12, PA(i)<<12, 3, ProtRead|ProtWrite, true)
		RunNow(h.m, h.d, &h.b, &h.mp)
	}
}

func BenchmarkMemoryStore(b *testing.B) {
	m := NewMemory()
	for i := range PA(1 << 16) {
		m.Store(i<<12, 8, 1, 0)
	}
	for _, frames := range []PA{64, 1 << 16} {
		b.Run(fmt.Sprintf("frames=%d", frames), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				m.Store(PA(i)*0x9e35%frames<<12, 8, uint64(i), 1)
			}
		})
	}
}

// BenchmarkMemoryLoadTable reads descriptors of one table, as a walker does.
func BenchmarkMemoryLoadTable(b *testing.B) {
	m := NewMemory()
	for i := range PA(512) {
		m.Store(i*8, 8, uint64(i), 0)
	}
	var sum uint64
	for i := range b.N {
		sum += m.Load(PA(i)&511*8, 8)
	}
	_ = sum
}

// BenchmarkCopyFrame copies frames that have a version, as a migration does.
func BenchmarkCopyFrame(b *testing.B) {
	src, dst := NewMemory(), NewMemory()
	for i := range PA(4096) {
		for w := range PA(8) {
			src.Store(i<<12+w*8, 8, uint64(i), 0)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		dst.CopyFrame(PFN(i)&4095, src, PFN(i)&4095)
	}
}
