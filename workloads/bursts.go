package workloads

import (
	"ringmap/sim"
)

// bursts is a guest that sleeps and wakes: Poisson arrivals of short runs.
var bursts = pattern{
	Info: Info{
		Name: "bursts",
		Doc:  "runs of consecutive pages from a random page, with exponentially distributed idle time between runs",
		Params: []Param{
			{Name: "length", Unit: "accesses", Default: "64", Min: "1", Max: "1000000000", Doc: "accesses of a run"},
			{Name: "gap", Unit: "cycles", Default: "100000", Min: "0", Max: "1000000000000", Doc: "mean idle time before a run"},
		},
	},
	gaps: true,
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &burstPicker{pages: pages, length: v["length"], gap: v["gap"]}
	},
}

type burstPicker struct {
	pages, length, gap uint64
	at, left           uint64 // next page, accesses left of the run
}

func (b *burstPicker) pick(rng *sim.Stream, pages, idle []uint64) {
	for i := range pages {
		if b.left == 0 {
			b.left = b.length
			b.at = rng.N(b.pages)
			idle[i] += exponential(rng, b.gap)
		}
		pages[i] = b.at
		b.left--
		if b.at++; b.at == b.pages {
			b.at = 0
		}
	}
}

func (b *burstPicker) sync(c *sim.Codec) {
	c.U64(&b.at)
	c.U64(&b.left)
	if c.Loading() && (b.at >= b.pages || b.left > b.length) {
		c.Fail(errPageBeyond)
		b.at, b.left = 0, 0
	}
}
