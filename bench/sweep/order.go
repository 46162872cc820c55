package sweep

import "slices"

// order is the order in which points are run, so that a coarse picture of the
// whole comes first: the ends of every axis, then the middles, then the
// quarters. Values without an order (modes, policies) are all coarse; further
// seeds come later.
func (s *Sweep) order() []int {
	levels := make([][]int, len(s.Axes))
	for i, a := range s.Axes {
		switch {
		case a.Replicate:
			for k := range a.Values {
				levels[i] = append(levels[i], k)
			}
		case a.Numbers != nil:
			levels[i] = refinement(len(a.Values))
		default:
			levels[i] = make([]int, len(a.Values))
		}
	}
	type rank struct{ worst, sum int }
	ranks := make([]rank, len(s.Points))
	order := make([]int, len(s.Points))
	for n, p := range s.Points {
		order[n] = n
		for i, c := range p.Cells {
			if c != Unset {
				ranks[n].worst = max(ranks[n].worst, levels[i][c])
				ranks[n].sum += levels[i][c]
			}
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := ranks[a].worst - ranks[b].worst; d != 0 {
			return d
		}
		return ranks[a].sum - ranks[b].sum
	})
	return order
}

// refinement tells for each of n values at which halving of the range it is
// first looked at: 0 the ends, 1 the middle, 2 the quarters.
func refinement(n int) []int {
	level := make([]int, n)
	for i := range level {
		level[i] = -1
	}
	type span struct{ lo, hi int }
	next := []span{{0, n - 1}}
	level[0], level[n-1] = 0, 0
	for depth := 1; len(next) > 0; depth++ {
		var halves []span
		for _, s := range next {
			mid := (s.lo + s.hi) / 2
			if level[mid] < 0 {
				level[mid] = depth
			}
			if mid-s.lo > 1 {
				halves = append(halves, span{s.lo, mid})
			}
			if s.hi-mid > 1 {
				halves = append(halves, span{mid, s.hi})
			}
		}
		next = halves
	}
	return level
}

// Order lists the points in the order in which they are run.
func (s *Sweep) Order() []Point {
	points := make([]Point, 0, len(s.Points))
	for _, i := range s.order() {
		points = append(points, s.Points[i])
	}
	return points
}
