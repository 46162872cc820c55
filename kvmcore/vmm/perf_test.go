package vmm

import (
	"fmt"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// TestSteadyStateAllocatesNothing: once every page, ring and bitmap has been
// touched, rounds, faults, reaps and copies run without the heap.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, spec := range specs() {
		spec.Until = 1 << 50
		r := newRig(t, config{spec: spec, vcpus: 4, pages: 512})
		r.v.Start()
		now := sim.Cycle(30_000_000)
		r.engine.Run(now)
		n := testing.AllocsPerRun(5, func() {
			now += 2_000_000
			r.engine.Run(now)
		})
		if n > 8 { // of thousands of faults and hundreds of copies: a slice may still grow
			t.Errorf("%s: %v allocations in 2,000,000 cycles", name, n)
		}
	}
}

// BenchmarkMachine is guests that write everywhere, with everything around them:
// faults, rings, reaps, rounds and copies, per guest store.
func BenchmarkMachine(b *testing.B) {
	for _, name := range []string{"bitmap", "ring+bitmap,on-full-all", "ring+bitmap,interval"} {
		for _, vcpus := range []int{1, 16} {
			b.Run(fmt.Sprintf("track=%s/vcpus=%d", name, vcpus), func(b *testing.B) {
				b.ReportAllocs()
				spec := specs()[name]
				spec.Period = 10_000_000
				spec.Until = 1 << 50
				r := newRig(b, config{spec: spec, vcpus: vcpus, pages: 1 << 14, ring: 4096})
				r.v.Start()
				stores := func() (n uint64) {
					for _, c := range r.vm.VCPUs {
						n += c.Stats.Stores
					}
					return n
				}
				at := sim.Cycle(50_000_000)
				r.engine.Run(at)
				first := stores()
				b.ResetTimer()
				for stores()-first < uint64(b.N) {
					at += 100_000
					r.engine.Run(at)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(stores()-first), "ns/store")
			})
		}
	}
}

// TestTerabyte: 512 vCPUs that write all over 1 TiB come over in full, and cost
// the host what they touched.
func TestTerabyte(t *testing.T) {
	for _, name := range []string{"ring+bitmap,on-full-own", "bitmap", "clear-log"} {
		spec := specs()[name]
		spec.Period = 300_000
		r := newRig(t, config{spec: spec, vcpus: 512, pages: 1<<28 - 4096, writes: 20})
		r.run()
		mem, lost := r.host.Machine.Mem, 0
		slot := r.vm.Slots.ByID(1)
		for _, e := range mem.Journal() { // nobody has begun another epoch: every page ever written
			ipa := r.cfg.page.IPA(slot.Base) + mmu.IPA(e.Tag<<mmu.FrameShift) - mmu.IPA(slot.HVA)
			if !mem.EqualFrame(e.PFN, r.dst, mmu.PFN(ipa>>mmu.FrameShift)) {
				lost++
			}
		}
		if n := len(mem.Journal()); n < 512*19 || lost != 0 {
			t.Errorf("%s: %d of %d pages written differ", name, lost, n)
		}
	}
}
