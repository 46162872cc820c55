package litmus

import (
	"slices"
	"strings"
)

// execution is a candidate written out: events, what each read reads, and
// coherence. Where accesses of different sizes overlap, both are per location,
// the largest pieces that no access divides.
type execution struct {
	x      *explorer
	paths  []*path
	events []Event
	base   []int    // by thread: its first event
	reads  []source // every read of every location
	co     [][]int  // by location: writes in coherence order, initial one left out
	value  map[[2]int]uint32
}

// source says where a read gets a location from.
type source struct{ read, loc, from int }

// newExecution makes the events of the explorer's chosen paths. Sources and
// coherence are still open: -1 and program order.
func (x *explorer) newExecution() *execution {
	ex := &execution{x: x, paths: slices.Clone(x.chosen), co: make([][]int, len(x.locs)), value: map[[2]int]uint32{}}
	for t, p := range ex.paths {
		ex.base = append(ex.base, len(ex.events))
		for i := range p.effects {
			f := &p.effects[i]
			id := len(ex.events)
			ex.events = append(ex.events, Event{
				ID: id, Thread: t, Step: int(f.step), Instr: f.in, Kind: f.kind, Annot: f.annot,
				Var: int(f.vari), Offset: int(f.off), Size: int(f.size), Value: f.v,
			})
			x.split(f, func(loc int, part Value) {
				ex.value[[2]int{id, loc}] = x.intern(part)
				if f.kind == Read {
					ex.reads = append(ex.reads, source{id, loc, fromInit})
				} else {
					ex.co[loc] = append(ex.co[loc], id)
				}
			})
		}
	}
	return ex
}

// execution writes out what the explorer's search has just completed.
func (x *explorer) execution() *execution {
	ex := x.newExecution()
	s := &x.search
	// The search's nodes are the locations of the events, in the same order.
	event := make([]int, 0, s.n)
	for t, p := range ex.paths {
		for i := range p.order.nodes {
			event = append(event, ex.base[t]+int(p.order.nodes[i].effect))
		}
	}
	n := 0
	for i := range s.n {
		if s.nodes[i].kind == Read {
			if from := s.from[i]; from >= 0 {
				ex.reads[n].from = event[from]
			}
			n++
		}
	}
	for loc := range ex.co {
		ex.co[loc] = ex.co[loc][:0]
		w := slices.Clone(s.writes[loc])
		slices.SortFunc(w, func(a, b int16) int {
			if s.later[a].has(int(b)) {
				return -1
			}
			return 1
		})
		for _, node := range w {
			ex.co[loc] = append(ex.co[loc], event[node])
		}
	}
	return ex
}

func (ex *execution) clone() *execution {
	c := *ex
	c.reads = slices.Clone(ex.reads)
	c.co = make([][]int, len(ex.co))
	for i := range c.co {
		c.co[i] = slices.Clone(ex.co[i])
	}
	return &c
}

// sources returns the writes that a read may get its value from.
func (ex *execution) sources(r *source) []int {
	v := ex.value[[2]int{r.read, r.loc}]
	var out []int
	if ex.x.locs[r.loc].init == v {
		out = append(out, fromInit)
	}
	for _, w := range ex.co[r.loc] {
		if ex.value[[2]int{w, r.loc}] == v {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return out
}

// memory returns the final values of a variable or an element.
func (ex *execution) memory(t Term) []Value {
	x := ex.x
	size := x.test.size(t.Var)
	var out []Value
	for i := range x.test.width(t) {
		if t.Index >= 0 {
			i = t.Index
		}
		var v Value
		for off := 0; off < size; {
			loc := int(x.locAt[t.Var][i*size+off])
			part := x.values[x.locs[loc].init]
			if w := ex.co[loc]; len(w) > 0 {
				part = x.values[ex.value[[2]int{w[len(w)-1], loc}]]
			}
			if part.Var != 0 {
				v = part
			} else {
				v.N |= part.N << (8 * off)
			}
			off += x.locs[loc].size
		}
		out = append(out, v)
	}
	return out
}

// final prints the terms at the end of the execution.
func (ex *execution) final(terms []Term) string {
	var parts []string
	for _, t := range terms {
		var v []Value
		if t.Thread < 0 {
			v = ex.memory(t)
		} else {
			n := 0
			for _, k := range ex.x.regTerms[t.Thread] {
				if ex.x.terms[k] == t {
					v = ex.paths[t.Thread].regs[n : n+1]
				}
				n++
			}
		}
		if v != nil {
			parts = append(parts, ex.x.test.termBrackets(t)+"="+ex.x.test.termValue(t, v))
		}
	}
	return strings.Join(parts, " ")
}

// relation is an ordering between two events; via is what it consists of if
// it is worth showing.
type relation struct {
	Edge
	via []Edge
}

func (r relation) edges() []Edge {
	if r.via != nil {
		return r.via
	}
	return []Edge{r.Edge}
}

// communication returns rf, co (to the next write) and fr (to the next write)
// of all locations, each pair of events once.
func (ex *execution) communication() []Edge {
	var out []Edge
	for _, r := range ex.coms(false) {
		out = append(out, r.Edge)
	}
	return out
}

// coms returns reads-from, coherence and from-reads; all pairs of the latter
// two, or only those to the next write.
func (ex *execution) coms(all bool) []relation {
	var out []relation
	seen := map[Edge]bool{}
	add := func(from, to int, name string) {
		e := Edge{from, to, name + "i"}
		if ex.events[from].Thread != ex.events[to].Thread {
			e.Name = name + "e"
		}
		if from != to && !seen[e] {
			seen[e] = true
			out = append(out, relation{Edge: e})
		}
	}
	for _, r := range ex.reads {
		if r.from != fromInit {
			add(r.from, r.read, "rf")
		}
	}
	for _, r := range ex.reads {
		for _, w := range ex.overwriters(r) {
			add(r.read, w, "fr")
			if !all {
				break
			}
		}
	}
	for _, w := range ex.co {
		for i := range w {
			for _, later := range w[i+1:] {
				add(w[i], later, "co")
				if !all {
					break
				}
			}
		}
	}
	return out
}

// overwriters returns the writes that come after what a read has read.
func (ex *execution) overwriters(r source) []int {
	w := ex.co[r.loc]
	if r.from == fromInit {
		return w
	}
	return w[slices.Index(w, r.from)+1:]
}

// programOrder returns each step of program order from event to event.
func (ex *execution) programOrder() []Edge {
	var out []Edge
	for i := 1; i < len(ex.events); i++ {
		if ex.events[i].Thread == ex.events[i-1].Thread {
			out = append(out, Edge{i - 1, i, "po"})
		}
	}
	return out
}

// relations returns the edges of ordered-before: what a model keeps of program
// order, and what threads observe of each other.
func (ex *execution) relations(m Model) []relation {
	var out []relation
	for _, r := range ex.coms(true) {
		if strings.HasSuffix(r.Name, "e") {
			out = append(out, r)
		}
	}
	for t, p := range ex.paths {
		k := keeper{ex: ex, p: p, base: ex.base[t]}
		switch m {
		case Arm:
			out = append(out, k.arm()...)
		case TSO:
			out = append(out, k.totalStoreOrder()...)
		case SC:
			out = append(out, k.programOrder()...)
		}
	}
	if m == Arm {
		out = append(out, ex.hazards()...)
	}
	return out
}

// hazards is Exp-haz-ob: of two reads of one location the first comes before
// the write that overwrites what the second has read.
func (ex *execution) hazards() []relation {
	var out []relation
	for _, first := range ex.reads {
		for _, second := range ex.reads {
			a, b := &ex.events[first.read], &ex.events[second.read]
			if first.loc != second.loc || a.Thread != b.Thread || a.Step >= b.Step {
				continue
			}
			for _, w := range ex.overwriters(second) {
				if ex.events[w].Thread != a.Thread {
					out = append(out, relation{Edge{a.ID, w, "hazard"}, []Edge{{a.ID, b.ID, "po-loc"}, {b.ID, w, "fre"}}})
				}
			}
		}
	}
	return out
}

// incoherent returns the cycle that breaks internal visibility, if any
// (coRW1, coWW and coWR of aarch64.cat).
func (ex *execution) incoherent() []relation {
	before := func(a, b int) bool {
		return ex.events[a].Thread == ex.events[b].Thread && ex.events[a].Step < ex.events[b].Step
	}
	pair := func(a, b int, back string) []relation {
		return []relation{{Edge: Edge{a, b, "po-loc"}}, {Edge: Edge{b, a, back}}}
	}
	for _, r := range ex.reads {
		if r.from == fromInit {
			continue
		}
		e, w := &ex.events[r.read], &ex.events[r.from]
		if w.Thread == e.Thread && w.Step >= e.Step {
			if w.Step > e.Step {
				return pair(r.read, r.from, "rfi")
			}
			return []relation{{Edge: Edge{r.read, r.from, "rmw"}}, {Edge: Edge{r.from, r.read, "rfi"}}}
		}
	}
	for _, r := range ex.reads {
		for _, w := range ex.overwriters(r) {
			if before(w, r.read) {
				return pair(w, r.read, "fri")
			}
		}
	}
	for _, w := range ex.co {
		for i := range w {
			for _, later := range w[i+1:] {
				if before(later, w[i]) {
					return pair(later, w[i], "coi")
				}
			}
		}
	}
	return nil
}

// parted returns what breaks atomicity, if anything: a write of another thread
// between what an atomic pair reads and what it writes.
func (ex *execution) parted(m Model) []relation {
	for t, p := range ex.paths {
		k := keeper{ex: ex, p: p, base: ex.base[t]}
		for _, pair := range k.atomicPairs() {
			for _, r := range ex.reads {
				at := slices.Index(ex.co[r.loc], pair[1])
				if r.read != pair[0] || at < 0 || m == Arm && ex.ownBetween(pair[0], pair[1], r.loc) {
					continue
				}
				from := -1
				if r.from != fromInit {
					from = slices.Index(ex.co[r.loc], r.from)
				}
				for i := from + 1; i < at; i++ {
					w := ex.co[r.loc][i]
					com := func(from, to int, name string) relation {
						if ex.events[from].Thread != ex.events[to].Thread {
							return relation{Edge: Edge{from, to, name + "e"}}
						}
						return relation{Edge: Edge{from, to, name + "i"}}
					}
					return []relation{com(pair[0], w, "fr"), com(w, pair[1], "co"), {Edge: Edge{pair[0], pair[1], "rmw"}}}
				}
			}
		}
	}
	return nil
}

// ownBetween reports whether the thread itself writes the location within an
// exclusive pair, which under Arm's model excuses it from atomicity.
func (ex *execution) ownBetween(read, write, loc int) bool {
	for _, w := range ex.co[loc] {
		e := &ex.events[w]
		if e.Thread == ex.events[read].Thread && e.Step > ex.events[read].Step && e.Step < ex.events[write].Step {
			return true
		}
	}
	return false
}

// interleaving orders the events of a sequentially consistent execution.
func (ex *execution) interleaving() []int {
	n := len(ex.events)
	before := make([]int, n) // how many edges lead to each event
	rel := ex.relations(SC)
	for _, r := range rel {
		before[r.To]++
	}
	order := []int{}
	done := make([]bool, n)
	for len(order) < n {
		next := -1
		for i := range n { // stay in a thread as long as possible
			if done[i] || before[i] > 0 {
				continue
			}
			if next < 0 || len(order) > 0 && ex.events[i].Thread == ex.events[order[len(order)-1]].Thread {
				next = i
			}
		}
		if next < 0 {
			return nil
		}
		done[next] = true
		order = append(order, next)
		for _, r := range rel {
			if r.From == next {
				before[r.To]--
			}
		}
	}
	return order
}

// strange counts the events that sequential consistency could not put in order.
func (ex *execution) strange() (n int) {
	c := closure(len(ex.events), ex.relations(SC))
	for i := range c {
		if c[i][i] {
			n++
		}
	}
	return n
}

// closure returns what is before what.
func closure(n int, rel []relation) [][]bool {
	c := make([][]bool, n)
	for i := range c {
		c[i] = make([]bool, n)
	}
	for _, r := range rel {
		c[r.From][r.To] = true
	}
	for k := range n {
		for i := range n {
			if c[i][k] {
				for j := range n {
					c[i][j] = c[i][j] || c[k][j]
				}
			}
		}
	}
	return c
}

// shortestCycle returns a cycle with the fewest edges to show, nil if there is
// none. Of several it is the first found from the first event.
func shortestCycle(n int, rel []relation) []relation {
	const far = 1 << 20
	best, bestLen := []relation(nil), far
	dist, by, done := make([]int, n), make([]int, n), make([]bool, n)
	for start := range n {
		for i := range n {
			dist[i], by[i], done[i] = far, -1, false
		}
		for i, r := range rel {
			if d := len(r.edges()); r.From == start && d < dist[r.To] {
				dist[r.To], by[r.To] = d, i
			}
		}
		for {
			at := -1
			for i := range n {
				if !done[i] && dist[i] < far && (at < 0 || dist[i] < dist[at]) {
					at = i
				}
			}
			if at < 0 || at == start || dist[at] >= bestLen {
				break
			}
			done[at] = true
			for i, r := range rel {
				if d := dist[at] + len(r.edges()); r.From == at && d < dist[r.To] {
					dist[r.To], by[r.To] = d, i
				}
			}
		}
		if dist[start] < bestLen {
			bestLen, best = dist[start], nil
			for at := start; ; {
				r := rel[by[at]]
				best = append(best, r)
				if at = r.From; at == start {
					break
				}
			}
			slices.Reverse(best)
		}
	}
	return best
}
