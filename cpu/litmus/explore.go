package litmus

import (
	"cmp"
	"fmt"
	"slices"
)

// Limits of an exploration: beyond them Explore says so and names the limit.
const (
	MaxPaths   = 1 << 17 // paths of all threads, with the values they read; some 200 MiB
	MaxChoices = 1 << 27 // of what a read reads from and which write is first; a minute or so
)

// Explore finds every final state that a model allows.
//
//	paths of each thread, for every value that may be read
//	  └► one path a thread, so that every value read is written by some of them
//	       └► reads-from, read by read; coherence, pair by pair
//	            └► ordered-before is kept closed all the way: a cycle ends the branch
func Explore(t *Test, o Options) (*Result, error) {
	x, err := newExplorer(t, o)
	if err != nil {
		return nil, err
	}
	if err := x.combine(0, signature{}, signature{}); err != nil {
		return nil, err
	}
	return x.result(), nil
}

// path is one way through a thread, with the values that it reads.
type path struct {
	effects []effect
	fences  []fence
	regs    []Value   // final values of explorer.regTerms of the thread
	need    signature // what is read
	have    signature // what is written
	cut     bool      // ends at the loop bound
	err     *Error    // ends in something outside the model
	order   *pathOrder
}

// signature is a set of (location, value) pairs, each hashed to one bit: what
// one lacks of another it lacks for certain.
type signature [4]uint64

func (s *signature) add(loc int, value uint32) {
	h := (uint32(loc)*0x9e3779b1 + value*0x85ebca6b) >> 24
	s[h>>6] |= 1 << (h & 63)
}

func (s signature) or(o signature) signature {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

func (s *signature) lacks(of, also *signature) bool {
	for i := range s {
		if of[i]&^(s[i]|also[i]) != 0 {
			return true
		}
	}
	return false
}

// location is a piece of memory that no access divides.
type location struct {
	vari, off, size int
	init            uint32 // interned
}

// explorer holds what one exploration knows.
type explorer struct {
	test    *Test
	opt     *Options
	memory  *domain
	paths   [][]path
	rest    []signature // by thread: what its paths and those of later threads may write
	initial signature   // what initial writes write

	locs  []location
	locAt [][]int16 // by variable and offset

	values []Value // interned
	index  map[Value]uint32

	terms    []Term        // what internal states show: shown, Also, filter's
	regTerms [][]int       // by thread: indexes into terms
	classes  [][]pathClass // by thread
	picked   []*pathClass  // the classes being combined
	chosen   []*path       // the paths being combined
	cut      bool          // some candidate ends at the bound
	search   search
	found    stateSet
	yield    func() bool // if set, called for every allowed execution; false ends the search
	stopped  bool
	dic, idc bool // what the test says of its caches, see fetch.go
}

func newExplorer(t *Test, o Options) (*explorer, error) {
	if o.Bound < 0 {
		return nil, &Error{File: t.File, Msg: fmt.Sprintf("loop bound %d; it counts jumps", o.Bound)}
	}
	x := &explorer{test: t, opt: &o, index: map[Value]uint32{}, picked: make([]*pathClass, len(t.Threads)), chosen: make([]*path, len(t.Threads))}
	x.dic, x.idc = t.says("CacheType", "DIC"), t.says("CacheType", "IDC")
	x.terms = t.shown()
	x.terms = append(x.terms, o.Also...)
	if t.Filter != nil {
		t.Filter.terms(&x.terms)
	}
	slices.SortFunc(x.terms, t.compareTerms)
	x.terms = slices.Compact(x.terms)
	x.regTerms = make([][]int, len(t.Threads))
	for i, term := range x.terms {
		if term.Thread >= 0 {
			x.regTerms[term.Thread] = append(x.regTerms[term.Thread], i)
		}
	}
	if err := x.walk(); err != nil {
		return nil, err
	}
	if x.memory.torn {
		return nil, &Error{File: t.File, Outside: true, Msg: "a part of an address is read: addresses are modelled as a whole"}
	}
	if err := x.locate(); err != nil {
		return nil, err
	}
	x.sign()
	x.found.init(x)
	return x, nil
}

// walk finds the paths of all threads. The values that reads may return grow
// with what paths write: in round n, they are those with at most n writes in
// the chain behind them. A chain has no more writes than an execution.
func (x *explorer) walk() error {
	t := x.test
	x.memory = newDomain(t)
	x.paths = make([][]path, len(t.Threads))
	machines := make([]machine, len(t.Threads))
	for i := range machines {
		m := &machines[i]
		m.test, m.thread, m.opt, m.memory, m.coherent = t, i, x.opt, x.memory, x.opt.coherent
		m.jumps = make([]int, len(t.Threads[i].Code)+1)
	}
	seen := make([][]int, len(t.Threads)) // by thread and variable: version of what was read, -1 if nothing
	for round := 0; ; round++ {
		longest := 0
		for i := range machines {
			if seen[i] == nil || x.news(seen[i]) {
				if err := x.enumerate(&machines[i], &seen[i]); err != nil {
					return err
				}
			}
			longest += writesOf(x.paths[i])
		}
		if round >= longest || !x.remember() {
			return nil
		}
		if x.memory.full {
			return &Error{File: t.File, Outside: true, Msg: fmt.Sprintf("a variable may take more than %d values (MaxValues)", MaxValues)}
		}
	}
}

// remember adds what paths write to memory; false if that is nothing new.
func (x *explorer) remember() bool {
	x.memory.fresh = false
	for thread, paths := range x.paths {
		for i := range paths {
			effects := paths[i].effects
			for k := range effects {
				if effects[k].kind != Write {
					continue
				}
				by := writers(1) << thread
				for j := range k {
					if effects[j].kind == Write && sameBytes(&effects[j], &effects[k]) && effects[j].v == effects[k].v {
						by |= twice
					}
				}
				x.memory.add(int(effects[k].vari), write{int(effects[k].off), int(effects[k].size), effects[k].v, by})
			}
		}
	}
	return x.memory.fresh
}

func sameBytes(a, b *effect) bool { return a.vari == b.vari && a.off == b.off && a.size == b.size }

func writesOf(paths []path) (most int) {
	for i := range paths {
		n := 0
		for k := range paths[i].effects {
			if paths[i].effects[k].kind == Write {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// news reports whether what a thread has read may be something else by now.
func (x *explorer) news(seen []int) bool {
	for v, n := range seen {
		if n >= 0 && n != x.memory.vars[v].version {
			return true
		}
	}
	return false
}

// enumerate finds the paths of one thread for the values known.
func (x *explorer) enumerate(m *machine, seen *[]int) error {
	paths := x.paths[m.thread][:0]
	others := 0
	for i := range x.paths {
		if i != m.thread {
			others += len(x.paths[i])
		}
	}
	var effects []effect
	var fences []fence
	var regs []Value
	m.choices, m.touched = m.choices[:0], 0
	for more := true; more; more = m.again() {
		m.run()
		if m.dead {
			continue
		}
		if len(paths)+others == MaxPaths {
			return &Error{File: x.test.File, Outside: true, Msg: fmt.Sprintf("threads have more than %d paths (MaxPaths), at P%d; lower the loop bound, or drop reads", MaxPaths, m.thread)}
		}
		p := path{cut: m.cut, err: m.err}
		p.effects, p.fences = cut(&effects, len(m.effects), len(paths)*len(m.effects)), cut(&fences, len(m.fences), len(paths)*len(m.fences))
		copy(p.effects, m.effects)
		copy(p.fences, m.fences)
		p.regs = cut(&regs, len(x.regTerms[m.thread]), len(paths)*len(x.regTerms[m.thread]))
		for i, k := range x.regTerms[m.thread] {
			p.regs[i] = m.regs[x.terms[k].Reg].v
		}
		paths = append(paths, p)
		if len(paths) == manyPaths && !m.coherent {
			m.coherent = true
			return x.enumerate(m, seen)
		}
	}
	x.paths[m.thread], *seen = paths, make([]int, len(x.test.Vars))
	for v := range x.test.Vars {
		(*seen)[v] = -1
		if m.touched>>v&1 != 0 {
			(*seen)[v] = x.memory.vars[v].version
		}
	}
	return nil
}

// manyPaths is how many paths a thread may have before those are dropped that
// no execution can contain.
const manyPaths = 1 << 12

// cut takes n elements off a slab, which is renewed when it is used up, for
// about more elements.
func cut[T any](slab *[]T, n, more int) []T {
	if len(*slab) < n {
		*slab = make([]T, max(n, 8, min(more, 4096)))
	}
	piece := (*slab)[:n:n]
	*slab = (*slab)[n:]
	return piece
}

// locate divides memory at the bounds of every access.
func (x *explorer) locate() error {
	t := x.test
	bounds := make([][]bool, len(t.Vars))
	for v := range t.Vars {
		size := t.size(v)
		bounds[v] = make([]bool, size*len(t.Vars[v].Init)+1)
		for i := range t.Vars[v].Init {
			bounds[v][i*size] = true
		}
	}
	for _, paths := range x.paths {
		for i := range paths {
			for k := range paths[i].effects {
				e := &paths[i].effects[k]
				bounds[e.vari][e.off] = true
				bounds[e.vari][e.off+int32(e.size)] = true
			}
		}
	}
	x.locAt = make([][]int16, len(t.Vars))
	if x.opt.halves {
		halve(bounds)
	}
	for v, b := range bounds {
		x.locAt[v] = make([]int16, len(b))
		for off := 0; off+1 < len(b); off++ {
			if b[off] {
				x.locs = append(x.locs, location{vari: v, off: off})
			}
			x.locs[len(x.locs)-1].size++
			x.locAt[v][off] = int16(len(x.locs) - 1)
		}
	}
	for i := range x.locs {
		l := &x.locs[i]
		size := t.size(l.vari)
		whole := truncate(t.Vars[l.vari].Init[l.off/size], size)
		if whole.Var != 0 && l.size != size {
			return x.inParts(l.vari)
		}
		l.init = x.intern(piece(whole, l.off%size, l.size))
		x.initial.add(i, l.init)
	}
	for _, paths := range x.paths {
		for i := range paths {
			for k := range paths[i].effects {
				e := &paths[i].effects[k]
				if e.v.Var != 0 && x.locs[x.locAt[e.vari][e.off]].size != int(e.size) {
					return x.inParts(int(e.vari))
				}
			}
		}
	}
	return nil
}

func (x *explorer) inParts(v int) error {
	return &Error{File: x.test.File, Outside: true, Msg: fmt.Sprintf("%s holds an address but is accessed in parts: addresses are modelled as a whole", x.test.Vars[v].Name)}
}

// halve divides every second byte from the next.
func halve(bounds [][]bool) {
	for _, b := range bounds {
		for i := 0; i < len(b); i += 2 {
			b[i] = true
		}
	}
}

// piece cuts some bytes out of a value.
func piece(v Value, off, size int) Value {
	if v.Var == 0 {
		v.N >>= 8 * off
		if size < 8 {
			v.N &= 1<<(8*size) - 1
		}
	}
	return v
}

// split calls f with every location of an effect and the value there.
func (x *explorer) split(e *effect, f func(loc int, part Value)) {
	for off := int(e.off); off < int(e.off)+int(e.size); {
		loc := int(x.locAt[e.vari][off])
		size := x.locs[loc].size
		f(loc, piece(e.v, off-int(e.off), size))
		off += size
	}
}

func (x *explorer) intern(v Value) uint32 {
	if i, ok := x.index[v]; ok {
		return i
	}
	i := uint32(len(x.values))
	x.values = append(x.values, v)
	x.index[v] = i
	return i
}

// sign computes what paths need and have.
func (x *explorer) sign() {
	x.rest = make([]signature, len(x.paths)+1)
	for i := len(x.paths) - 1; i >= 0; i-- {
		x.rest[i] = x.rest[i+1]
		for k := range x.paths[i] {
			p := &x.paths[i][k]
			for j := range p.effects {
				e := &p.effects[j]
				x.split(e, func(loc int, part Value) {
					if e.kind == Read {
						p.need.add(loc, x.intern(part))
					} else {
						p.have.add(loc, x.intern(part))
					}
				})
			}
			x.rest[i] = x.rest[i].or(p.have)
		}
	}
	x.classes = make([][]pathClass, len(x.paths))
	for i, paths := range x.paths {
		slices.SortStableFunc(paths, func(a, b path) int {
			return cmp.Or(slices.Compare(a.need[:], b.need[:]), slices.Compare(a.have[:], b.have[:]))
		})
		for k := range paths {
			c := x.classes[i]
			if k == 0 || paths[k].need != c[len(c)-1].need || paths[k].have != c[len(c)-1].have {
				x.classes[i] = append(c, pathClass{need: paths[k].need, have: paths[k].have, from: k, to: k + 1})
				continue
			}
			c[len(c)-1].to++
		}
	}
}

// pathClass is the paths of one thread with the same signatures.
type pathClass struct {
	need, have signature
	from, to   int // in explorer.paths
}

// combine chooses a class of paths for thread i and those after it.
func (x *explorer) combine(i int, need, have signature) error {
	if i == len(x.paths) {
		return x.product(0)
	}
	open := x.rest[i+1].or(x.initial)
	for k := range x.classes[i] {
		c := &x.classes[i][k]
		n, h := need.or(c.need), have.or(c.have)
		if h.lacks(&n, &open) {
			continue
		}
		x.picked[i] = c
		if err := x.combine(i+1, n, h); err != nil || x.stopped {
			return err
		}
	}
	return nil
}

// product chooses a path of the class of thread i and of those after it.
func (x *explorer) product(i int) error {
	if i == len(x.paths) {
		return x.candidate()
	}
	for k := x.picked[i].from; k < x.picked[i].to; k++ {
		p := &x.paths[i][k]
		if x.cut && p.cut {
			continue
		}
		x.chosen[i] = p
		if err := x.product(i + 1); err != nil || x.stopped {
			return err
		}
	}
	return nil
}

// candidate explores the executions of the chosen paths.
func (x *explorer) candidate() error {
	var failed *Error
	cut := false
	for _, p := range x.chosen {
		cut = cut || p.cut
		if p.err != nil && failed == nil {
			failed = p.err
		}
	}
	s := &x.search
	ok, err := s.start(x)
	if err != nil || !ok {
		return err
	}
	if cut {
		x.cut = x.cut || failed == nil
		return nil
	}
	if failed != nil {
		// Only what the model allows may fail: guessed values may be absurd.
		s.leaf = func() { s.hits++ }
		s.hits = 0
		s.read(0)
		if s.hits > 0 {
			return failed
		}
		return x.patience()
	}
	s.leaf = x.allowed
	s.read(0)
	return x.patience()
}

// patience returns an error once the search has gone on for too long.
func (x *explorer) patience() error {
	if x.search.choices < MaxChoices {
		return nil
	}
	return &Error{File: x.test.File, Outside: true, Msg: fmt.Sprintf("more than %d choices of what reads read from and of the order of writes (MaxChoices); drop accesses to a variable that many write", MaxChoices)}
}

// allowed records an execution that the model allows.
func (x *explorer) allowed() {
	if x.yield != nil {
		x.stopped = !x.yield()
		x.search.stop = x.stopped
		return
	}
	x.found.add(x)
}

// result sums up what was found.
func (x *explorer) result() *Result {
	r := &Result{Test: x.test, Model: x.opt.Model, Bound: x.opt.bound(), Cut: x.cut}
	for i := range x.found.counts {
		if x.found.filtered[i] {
			continue
		}
		if x.found.positive[i] {
			r.Positive += x.found.counts[i]
		} else {
			r.Negative += x.found.counts[i]
		}
	}
	r.Terms = x.terms
	for i := range x.found.counts {
		if !x.found.filtered[i] {
			r.States = append(r.States, x.found.state(x, i))
		}
	}
	wanted := append(x.test.shown(), x.opt.Also...)
	slices.SortFunc(wanted, x.test.compareTerms)
	wanted = slices.Compact(wanted)
	r.Terms, r.States = wanted, r.Project(wanted)
	switch x.test.Cond.Quant {
	case Exists:
		r.Verdict = verdict(r.Positive > 0)
	case NotExists:
		r.Verdict = verdict(r.Positive == 0)
	default:
		r.Verdict = verdict(r.Negative == 0)
	}
	switch {
	case r.Positive == 0:
		r.Observation = Never
	case r.Negative == 0:
		r.Observation = Always
	default:
		r.Observation = Sometimes
	}
	return r
}

func verdict(ok bool) Verdict {
	if ok {
		return Ok
	}
	return No
}

// Project returns the states seen through some of the terms, each once, sorted
// as they print. Every term must be among r.Terms.
func (r *Result) Project(terms []Term) []State {
	from := make([]int, 0, len(terms)) // where the values of each term begin
	for _, want := range terms {
		at := 0
		for _, have := range r.Terms {
			if have == want {
				break
			}
			at += r.Test.width(have)
		}
		from = append(from, at)
	}
	out := make([]State, 0, len(r.States))
	for _, s := range r.States {
		var p State
		for i, want := range terms {
			p = append(p, s[from[i]:from[i]+r.Test.width(want)]...)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, r.Test.compareStates)
	return slices.CompactFunc(out, func(a, b State) bool { return slices.Equal(a, b) })
}

// Shown returns the result as the test asks for it, without Options.Also.
func (r *Result) Shown() *Result {
	s := *r
	s.Terms = r.Test.shown()
	s.States = r.Project(s.Terms)
	return &s
}

// StateMaps returns the states as values by term, as they print.
func (r *Result) StateMaps() []map[string]string {
	out := make([]map[string]string, len(r.States))
	for i, s := range r.States {
		out[i] = r.Test.stateMap(r.Terms, s)
	}
	return out
}

func (t *Test) stateMap(terms []Term, s State) map[string]string {
	row := map[string]string{}
	at := 0
	for _, term := range terms {
		n := t.width(term)
		row[t.TermText(term)] = t.termValue(term, s[at:at+n])
		at += n
	}
	return row
}
