package workloads

import (
	"errors"

	"ringmap/sim"
)

// errPageBeyond is a restored page that the region does not have.
var errPageBeyond = errors.New("workloads: page lies beyond the region; the snapshot belongs to another scenario")

// uniform is the loop of memstress with -a.
var uniform = pattern{
	Info: Info{Name: "uniform", Doc: "each page with the same chance (dirty_log_perf_test -a)"},
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &uniformPages{pages}
	},
}

type uniformPages struct{ pages uint64 }

func (u *uniformPages) pick(rng *sim.Stream, pages, _ []uint64) {
	for i := range pages {
		pages[i] = rng.N(u.pages)
	}
}

func (u *uniformPages) sync(*sim.Codec) {}
