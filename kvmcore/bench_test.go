package kvmcore

import (
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// BenchmarkRing measures the life of ring entries without the faults that cause
// them: push, harvest by userspace, reset with re-protection of the pages.
func BenchmarkRing(b *testing.B) {
	const pages = 4032
	r := newRig(b, mode{ring: 4096, bitmap: true, pages: pages})
	r.write(0, upTo(pages-1)...)
	v := r.vm.VCPUs[0]
	t, s, m := r.t, r.slot(), r.h.Machine.Mem
	var fetch uint32
	r.harvest(0, &fetch, pages)
	r.reset()

	open := func() { // what the faults would have done
		for p := range uint64(pages - 1) {
			l := r.vm.Stage2.Find(m, testBase+mmu.IPA(p<<12))
			m.Store(l.At, 8, uint64(l.Desc.Allow(mmu.ProtWrite)), mmu.WriterKernel)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	entries := 0
	for range b.N {
		b.StopTimer()
		open()
		b.StartTimer()
		t.VCPU, t.vm = v, r.vm
		for p := range mmu.GFN(pages - 1) {
			t.markDirty(s, s.Base+p)
			t.Finish()
		}
		t.VCPU = nil
		k := &t.Block
		for k.Reset(); ; fetch++ {
			e := v.Ring.EntryPA(fetch)
			at := k.LoadAcquire(e, 4)
			k.Load(e+4, 4)
			k.Load(e+8, 8)
			t.Exec(CauseHarvest)
			if k.Out[at] != RingFlagDirty {
				break
			}
			k.Reset()
			k.StoreRelease(e, 4, RingFlagReset) // goes with the loads of the next entry
		}
		if n := r.reset(); n != pages-1 {
			b.Fatal("reset", n)
		}
		entries += pages - 1
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(entries), "ns/entry")
}

// cycleStream writes the same pages again and again.
type cycleStream struct {
	pages, next uint64
	op          GuestOp
	span        uint64
}

func (s *cycleStream) Fill(dst []GuestAccess) int {
	for i := range dst {
		dst[i] = GuestAccess{IPA: testBase + mmu.IPA(s.next<<12), Op: s.op, Size: 8, Value: s.next, Cycles: 4, Instr: 4}
		if s.next++; s.next == s.pages {
			s.next = 0
		}
	}
	return len(dst)
}

func (s *cycleStream) Sync(c *sim.Codec) {}

// BenchmarkGuest measures a guest access that hits the TLB, Fill included.
func BenchmarkGuest(b *testing.B) {
	for _, pages := range []uint64{16, 1024} {
		name := map[uint64]string{16: "tlb=L1", 1024: "tlb=L2"}[pages]
		b.Run(name, func(b *testing.B) {
			r := newRig(b, mode{ring: 4096, bitmap: true, pages: pages})
			v := r.vm.VCPUs[0]
			v.Guest = &cycleStream{pages: pages, op: GuestStore}
			v.Enter()
			run := func(n int) {
				for limit := v.Thread.Core.Now + 4*sim.Cycle(n); v.Thread.Core.Now < limit; {
					v.Continue(limit)
				}
			}
			run(3 * int(pages))
			b.ReportAllocs()
			b.ResetTimer()
			run(b.N)
		})
	}
}

// BenchmarkFault measures a write fault with all that belongs to it: guest
// store, TLB miss, relax, push, and its share of harvest and reset.
func BenchmarkFault(b *testing.B) {
	const pages = 8192 // more than a ring holds, so that every pass faults on all
	r := newRig(b, mode{ring: 4096, bitmap: true, pages: pages})
	v := r.vm.VCPUs[0]
	v.Guest = &cycleStream{pages: pages, op: GuestStore}
	var fetch uint32
	b.ReportAllocs()
	for range b.N {
		v.Enter()
		for v.Continue(sim.Never) != RunExit {
		}
		for ; ; fetch++ {
			if flags, _, _ := r.entry(0, fetch); flags != RingFlagDirty {
				break
			}
			r.h.Machine.Mem.Store(v.Ring.EntryPA(fetch), 4, RingFlagReset, mmu.WriterVMM)
		}
		r.reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4032, "ns/fault")
}
