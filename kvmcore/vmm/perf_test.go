package vmm

import (
	"fmt"
	"testing"

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
