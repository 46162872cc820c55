package workloads

import "ringmap/sim"

// sequential is the loop of memstress without -a: page after page, then again
// from the first.
var sequential = pattern{
	Info: Info{Name: "sequential", Doc: "page after page, again from the first at the end (dirty_log_perf_test)"},
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &strides{pages: pages, stride: 1}
	},
}

// strided is sequential with a stride.
var strided = pattern{
	Info: Info{
		Name: "strided",
		Doc:  "every stride-th page; each sweep begins one page further, so that all pages come",
		Params: []Param{
			{Name: "stride", Unit: "pages", Default: "8", Min: "1", Max: "1000000000", Doc: "distance of consecutive accesses"},
		},
	},
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &strides{pages: pages, stride: min(v["stride"], pages)}
	},
}

// strides walks pages start, start+stride, … below pages, then from start+1.
type strides struct {
	pages, stride uint64
	start, at     uint64
}

func (s *strides) pick(_ *sim.Stream, pages, _ []uint64) {
	for i := range pages {
		pages[i] = s.at
		if s.at += s.stride; s.at >= s.pages {
			if s.start++; s.start == s.stride {
				s.start = 0
			}
			s.at = s.start
		}
	}
}

func (s *strides) sync(c *sim.Codec) {
	c.U64(&s.start)
	c.U64(&s.at)
	if c.Loading() && (s.start >= s.stride || s.at >= s.pages) {
		c.Fail(errPageBeyond)
		s.start, s.at = 0, 0
	}
}
