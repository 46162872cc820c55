package litmus

// stateSet collects final states: values of explorer.terms, interned, with how
// many executions end in each.
type stateSet struct {
	width    int      // values of a state
	keys     []uint32 // of all states, one after the other
	counts   []int    // of each state
	positive []bool   // satisfies the condition's proposition
	filtered []bool   // fails the filter
	table    []int32  // open addressing: index of a state plus one
	scratch  []uint32
	decoded  []Value
}

func (f *stateSet) init(x *explorer) {
	for _, t := range x.terms {
		f.width += x.test.width(t)
	}
	f.scratch, f.decoded = make([]uint32, f.width), make([]Value, f.width)
	f.table = make([]int32, 64)
}

// add counts the execution that x.search has completed.
func (f *stateSet) add(x *explorer) {
	f.read(x)
	if i := f.find(); i >= 0 {
		f.counts[i]++
		return
	}
	f.keys = append(f.keys, f.scratch...)
	f.counts = append(f.counts, 1)
	for i, v := range f.scratch {
		f.decoded[i] = x.values[v]
	}
	look := func(t Term) []Value { return f.look(x, t) }
	f.positive = append(f.positive, x.test.holds(x.test.Cond.Prop, look))
	f.filtered = append(f.filtered, x.test.Filter != nil && !x.test.holds(x.test.Filter, look))
	if 2*len(f.counts) > len(f.table) {
		f.table = make([]int32, 4*len(f.table))
		for i := range f.counts {
			f.insert(i)
		}
		return
	}
	f.insert(len(f.counts) - 1)
}

func (f *stateSet) key(i int) []uint32 { return f.keys[i*f.width : (i+1)*f.width] }

func (f *stateSet) hash(key []uint32) int {
	h := uint64(0x9e3779b97f4a7c15)
	for _, v := range key {
		h = (h ^ uint64(v)) * 0xff51afd7ed558ccd
		h ^= h >> 29
	}
	return int(h % uint64(len(f.table)))
}

func (f *stateSet) insert(i int) {
	h := f.hash(f.key(i))
	for f.table[h] != 0 {
		h = (h + 1) % len(f.table)
	}
	f.table[h] = int32(i + 1)
}

func (f *stateSet) find() int {
	for h := f.hash(f.scratch); f.table[h] != 0; h = (h + 1) % len(f.table) {
		i := int(f.table[h]) - 1
		same := true
		for k, v := range f.key(i) {
			same = same && v == f.scratch[k]
		}
		if same {
			return i
		}
	}
	return -1
}

// read computes the final state of the completed execution into scratch.
func (f *stateSet) read(x *explorer) {
	at := 0
	var taken [MaxThreads]int
	for _, t := range x.terms {
		if t.Thread >= 0 {
			f.scratch[at] = x.intern(x.chosen[t.Thread].regs[taken[t.Thread]])
			taken[t.Thread]++
			at++
			continue
		}
		size := x.test.size(t.Var)
		for i := range x.test.width(t) {
			if t.Index >= 0 {
				i = t.Index
			}
			f.scratch[at] = x.finalValue(t.Var, i*size, size)
			at++
		}
	}
}

// finalValue puts together what the last writes have left in an element.
func (x *explorer) finalValue(v, off, size int) uint32 {
	first := x.locAt[v][off]
	if x.locs[first].size == size {
		return x.search.lastValue(int(first))
	}
	var n uint64
	for i := 0; i < size; {
		loc := x.locAt[v][off+i]
		part := x.values[x.search.lastValue(int(loc))]
		n |= part.N << (8 * i)
		i += x.locs[loc].size
	}
	return x.intern(Value{N: n})
}

// lastValue is the value of the write that is last in coherence order.
func (s *search) lastValue(loc int) uint32 {
	for _, w := range s.writes[loc] {
		if s.later[w].empty() {
			return s.nodes[w].value
		}
	}
	return s.x.locs[loc].init
}

// look returns the values of a term in the state just decoded.
func (f *stateSet) look(x *explorer, want Term) []Value {
	at := 0
	for _, t := range x.terms {
		n := x.test.width(t)
		if t == want {
			return f.decoded[at : at+n]
		}
		at += n
	}
	return nil
}

func (f *stateSet) state(x *explorer, i int) State {
	s := make(State, f.width)
	for k, v := range f.key(i) {
		s[k] = x.values[v]
	}
	return s
}

// holds evaluates a proposition. Values are compared in as many bits as the
// left side's type has.
func (t *Test) holds(p *Prop, look func(Term) []Value) bool {
	switch p.Kind {
	case True:
		return true
	case False:
		return false
	case And:
		return t.holds(p.Subs[0], look) && t.holds(p.Subs[1], look)
	case Or:
		return t.holds(p.Subs[0], look) || t.holds(p.Subs[1], look)
	case Implies:
		return !t.holds(p.Subs[0], look) || t.holds(p.Subs[1], look)
	case Not:
		return !t.holds(p.Subs[0], look)
	}
	left, right := look(p.Left), p.Values
	size := t.termType(p.Left).size()
	if p.Kind == EqTerm {
		right, size = look(p.Right), 8
	}
	for i := range left {
		if truncate(left[i], size) != truncate(right[i], size) {
			return false
		}
	}
	return true
}
