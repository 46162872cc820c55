package workloads

import (
	"fmt"

	"ringmap/sim"
)

// hotcold is a small working set and a rest.
var hotcold = pattern{
	Info: Info{
		Name: "hotcold",
		Doc:  "a few hot pages take most accesses, uniformly; the cold ones share the rest",
		Params: []Param{
			{Name: "hot", Unit: "%", Default: "10", Min: "0", Max: "100", places: 3, Doc: "share of the pages that is hot, at least one page"},
			{Name: "hits", Unit: "%", Default: "90", Min: "0", Max: "100", places: 3, Doc: "share of the accesses that goes to hot pages"},
			scatterParam,
		},
	},
	check: func(v values, pages uint64) error {
		if hot := hotPages(v, pages); hot == pages && v["hits"] != allPercent {
			return &ParamError{"hot", fmt.Sprintf("all %d pages are hot, so hits must be 100", pages)}
		}
		return nil
	},
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &hotPicker{hot: hotPages(v, pages), pages: pages, hits: v["hits"], place: layoutOf(v, pages, layout)}
	},
}

// allPercent is 100 % in the thousandths in which hot and hits are counted.
const allPercent = 100_000

// hotPages is the number of hot pages: the share rounded down, at least one.
func hotPages(v values, pages uint64) uint64 {
	// pages < 2^40, so the product stays below 2^57.
	return max(1, pages*v["hot"]/allPercent)
}

type hotPicker struct {
	hot, pages uint64
	hits       uint64 // thousandths of a percent
	place      permutation
}

func (h *hotPicker) pick(rng *sim.Stream, pages, _ []uint64) {
	for i := range pages {
		var rank uint64
		if rng.N(allPercent) < h.hits {
			rank = rng.N(h.hot)
		} else {
			rank = h.hot + rng.N(h.pages-h.hot)
		}
		pages[i] = h.place.of(rank)
	}
}

func (h *hotPicker) sync(*sim.Codec) {}
