package stat

import "slices"

// Factor is a knob that was turned: the number of its value in each run.
type Factor struct {
	Name   string
	Levels []int
}

// Effect says how much of the variance goes with one factor, or with two
// together beyond what each does alone.
type Effect struct {
	Factors []string `json:"factors"`
	Share   float64  `json:"share"` // eta squared: sum of squares over the total, 0 to 1
}

// Effects says which knob explains what. In a balanced design (every combination
// equally often) the shares of Main and Pairs and Rest add up to 1. Otherwise
// factors move together, the main effects overlap, and there are no pairs.
type Effects struct {
	Main     []Effect `json:"main"`  // largest first
	Pairs    []Effect `json:"pairs"` // largest first
	Rest     float64  `json:"rest"`  // three factors together, and what no factor explains; 0 if not balanced
	Balanced bool     `json:"balanced"`
}

// ExplainVariance splits the variance of ys among the factors: analysis of
// variance by main effects and pairs. ok is false if there is nothing to explain
// (fewer than two values, or all equal) or a factor has not a level for each.
func ExplainVariance(factors []Factor, ys []float64) (e Effects, ok bool) {
	if len(ys) < 2 || Deterministic(ys) || slices.ContainsFunc(ys, notFinite) {
		return e, false
	}
	for _, f := range factors {
		if len(f.Levels) != len(ys) {
			return e, false
		}
	}
	mean := 0.0
	for _, y := range ys {
		mean += y / float64(len(ys))
	}
	total := 0.0
	for _, y := range ys {
		total += (y - mean) * (y - mean)
	}
	if total == 0 {
		return e, false
	}
	share := func(key func(i int) [2]int) float64 { return min(between(ys, mean, key)/total, 1) }
	alone := make([]float64, len(factors))
	e.Balanced, e.Rest = true, 1
	for k, f := range factors {
		alone[k] = share(func(i int) [2]int { return [2]int{f.Levels[i], 0} })
		e.Main = append(e.Main, Effect{[]string{f.Name}, alone[k]})
		e.Rest -= alone[k]
		for _, g := range factors[:k] {
			e.Balanced = e.Balanced && orthogonal(f.Levels, g.Levels)
		}
	}
	if e.Balanced {
		for k, f := range factors {
			for j, g := range factors[:k] {
				both := share(func(i int) [2]int { return [2]int{f.Levels[i], g.Levels[i]} })
				s := both - alone[k] - alone[j]
				if s < rounding {
					s = 0
				}
				e.Pairs = append(e.Pairs, Effect{[]string{g.Name, f.Name}, s})
				e.Rest -= s
			}
		}
	}
	if e.Rest = max(e.Rest, 0); !e.Balanced {
		e.Rest = 0
	}
	for _, list := range [][]Effect{e.Main, e.Pairs} {
		slices.SortStableFunc(list, func(a, b Effect) int {
			switch {
			case a.Share > b.Share:
				return -1
			case a.Share < b.Share:
				return 1
			}
			return 0
		})
	}
	return e, true
}

// rounding is a share that differences of sums leave where there is none.
const rounding = 1e-12

// between is the sum of squares of the groups' means about the whole mean.
func between(ys []float64, mean float64, key func(i int) [2]int) float64 {
	type group struct{ n, sum float64 }
	groups := map[[2]int]*group{}
	var order []*group // sums in a fixed order, whatever the map's
	for i, y := range ys {
		g := groups[key(i)]
		if g == nil {
			g = &group{}
			groups[key(i)] = g
			order = append(order, g)
		}
		g.n++
		g.sum += y - mean
	}
	ss := 0.0
	for _, g := range order {
		ss += g.sum * g.sum / g.n
	}
	return ss
}

// orthogonal tells whether two factors were turned independently: each pair of
// values as often as its parts suggest.
func orthogonal(a, b []int) bool {
	na, nb, nab := map[int]int{}, map[int]int{}, map[[2]int]int{}
	for i := range a {
		na[a[i]]++
		nb[b[i]]++
		nab[[2]int{a[i], b[i]}]++
	}
	for x, n := range na {
		for y, m := range nb {
			if nab[[2]int{x, y}]*len(a) != n*m {
				return false
			}
		}
	}
	return true
}
