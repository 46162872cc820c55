package litmus

import "fmt"

// search finds the executions of one path a thread: reads-from edge by edge,
// then coherence pair by pair, with ordered-before kept transitively closed.
type search struct {
	x      *explorer
	n      int
	nodes  [MaxEvents]snode
	reads  []int16
	writes [][]int16 // by location
	pairs  [][2]int16
	rmw    []nodePair

	after  [MaxEvents]set // ordered-before: what comes after each node
	later  [MaxEvents]set // coherence: writes after each write
	sooner [MaxEvents]set // coherence: writes before each write
	from   [MaxEvents]int16
	by     [MaxEvents]set // reads that read each write
	byInit []set          // by location: reads that read the initial write

	airy bool // a store-exclusive stores something computed from a read

	saved   []set // stack of after, later and sooner
	depth   int
	leaf    func()
	hits    int
	stop    bool
	choices int // taken since the exploration began
}

// snode is a node in a candidate.
type snode struct {
	node
	thread int16
	base   int16 // where the nodes of its thread begin
	ext    set   // nodes of other threads
	sca    set
	haz    set
	prior  set   // own nodes of earlier steps
	last   int16 // last own write before it in its location, -1 for none
	fetch  bool  // reads an instruction
}

// fromInit is the source of a read of the initial value.
const fromInit = -1

// start builds the nodes of the chosen paths. It reports whether every read
// has a write to read from.
func (s *search) start(x *explorer) (bool, error) {
	s.x, s.n, s.stop, s.airy = x, 0, false, false
	s.reads, s.rmw, s.pairs = s.reads[:0], s.rmw[:0], s.pairs[:0]
	if len(s.writes) != len(x.locs) {
		s.writes, s.byInit = make([][]int16, len(x.locs)), make([]set, len(x.locs))
	}
	for i := range s.writes {
		s.writes[i] = s.writes[i][:0]
		s.byInit[i] = set{}
	}
	total := 0
	for _, p := range x.chosen {
		if p.order == nil {
			p.order = x.order(p)
		}
		total += len(p.order.nodes)
	}
	if total > MaxEvents {
		return false, &Error{File: x.test.File, Outside: true, Msg: fmt.Sprintf("an execution has %d events; %d are possible (MaxEvents); lower the loop bound", total, MaxEvents)}
	}
	var everything set
	for i := range total {
		everything.add(i)
	}
	for t, p := range x.chosen {
		o := p.order
		base := s.n
		var own set
		for i := range o.nodes {
			own.add(base + i)
		}
		for i := range o.nodes {
			n := &s.nodes[base+i]
			*n = snode{node: o.nodes[i], thread: int16(t), base: int16(base), haz: o.haz[i].shift(base), last: o.last[i]}
			n.fetch = p.effects[n.effect].annot&Fetch != 0
			if n.fetch {
				n.last = -1 // coherence does not bind fetches
			} else if n.last >= 0 {
				n.last += int16(base)
			}
			n.ext = set{everything[0] &^ own[0], everything[1] &^ own[1]}
			if o.sca != nil {
				n.sca = o.sca[i].shift(base)
			}
			for j := range i {
				if o.nodes[j].step < n.step {
					n.prior.add(base + j)
				}
			}
			s.after[base+i] = o.lob[i].shift(base)
			s.later[base+i], s.sooner[base+i], s.by[base+i] = set{}, set{}, set{}
			if n.kind == Read {
				s.reads = append(s.reads, int16(base+i))
			} else {
				for _, w := range s.writes[n.loc] {
					s.pairs = append(s.pairs, [2]int16{w, int16(base + i)})
				}
				s.writes[n.loc] = append(s.writes[n.loc], int16(base+i))
			}
		}
		for i := range p.effects {
			s.airy = s.airy || p.effects[i].annot&Exclusive != 0 && p.effects[i].calc != 0
		}
		for _, r := range o.rmw {
			s.rmw = append(s.rmw, nodePair{r.read + int16(base), r.write + int16(base), r.excused})
		}
		s.n += len(o.nodes)
	}
	for _, r := range s.reads {
		n := &s.nodes[r]
		ok := n.value == x.locs[n.loc].init
		for _, w := range s.writes[n.loc] {
			ok = ok || s.nodes[w].value == n.value
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// save remembers the orders, restore returns to what was saved last, and drop
// forgets it.
func (s *search) save() {
	n, at := s.n, 3*s.n*s.depth
	if len(s.saved) < at+3*n {
		s.saved = append(s.saved, make([]set, at+3*n-len(s.saved))...)
	}
	v := s.saved[at : at+3*n]
	copy(v[:n], s.after[:n])
	copy(v[n:2*n], s.later[:n])
	copy(v[2*n:], s.sooner[:n])
	s.depth++
	if s.choices++; s.choices >= MaxChoices {
		s.stop = true
	}
}

func (s *search) restore() {
	n, at := s.n, 3*s.n*(s.depth-1)
	v := s.saved[at : at+3*n]
	copy(s.after[:n], v[:n])
	copy(s.later[:n], v[n:2*n])
	copy(s.sooner[:n], v[2*n:])
}

func (s *search) drop() { s.depth-- }

// read chooses what the k-th read and those after it read from.
func (s *search) read(k int) {
	if k == len(s.reads) {
		if s.airy && s.outOfThinAir() {
			return
		}
		// Own writes to a location are coherent in program order, coWW.
		s.save()
		for _, p := range s.pairs {
			a, b := int(p[0]), int(p[1])
			if s.nodes[a].thread == s.nodes[b].thread && s.nodes[a].step < s.nodes[b].step && !s.cohere(a, b) {
				s.restore()
				s.drop()
				return
			}
		}
		s.pair(0)
		s.restore()
		s.drop()
		return
	}
	r := int(s.reads[k])
	n := &s.nodes[r]
	s.save()
	if n.value == s.x.locs[n.loc].init && n.last < 0 {
		s.from[r] = fromInit
		s.byInit[n.loc].add(r)
		if s.readInit(r) {
			s.read(k + 1)
		}
		s.byInit[n.loc][r>>6] &^= 1 << (r & 63)
		s.restore()
	}
	for _, w16 := range s.writes[n.loc] {
		w := int(w16)
		if s.stop || s.nodes[w].value != n.value || s.nodes[w].thread == n.thread && w16 != n.last && !n.fetch {
			// An own write is read only if it is the last before: coRW1, coWR.
			continue
		}
		s.from[r] = w16
		s.by[w].add(r)
		if s.readFrom(r, w) {
			s.read(k + 1)
		}
		s.by[w][r>>6] &^= 1 << (r & 63)
		s.restore()
	}
	s.drop()
}

// outOfThinAir reports whether some value is computed from itself. ob forbids
// that nearly always; but a store-exclusive has no data dependency.
func (s *search) outOfThinAir() bool {
	var known set // reads whose value follows from those of other reads
	for progress := true; progress; {
		progress = false
		for _, r := range s.reads {
			if known.has(int(r)) {
				continue
			}
			ok := true
			if w := s.from[r]; w != fromInit {
				n := &s.nodes[w]
				calc := s.x.chosen[n.thread].effects[n.effect].calc
				for _, q := range s.reads {
					ok = ok && (s.nodes[q].thread != n.thread || calc>>s.nodes[q].effect&1 == 0 || known.has(int(q)))
				}
			}
			if ok {
				known.add(int(r))
				progress = true
			}
		}
	}
	for _, r := range s.reads {
		if !known.has(int(r)) {
			return true
		}
	}
	return false
}

// readInit orders a read of the initial value before every write.
func (s *search) readInit(r int) bool {
	for _, w := range s.writes[s.nodes[r].loc] {
		if !s.fromRead(r, int(w)) {
			return false
		}
	}
	return s.atomic()
}

// readFrom adds a reads-from edge and what follows.
func (s *search) readFrom(r, w int) bool {
	n := &s.nodes[r]
	if s.nodes[w].thread != n.thread || n.fetch {
		if !s.edge(w, r, true) {
			return false
		}
		// The read is not of something older than the own write before it, coWR.
		if n.last >= 0 && !s.cohere(int(n.last), w) {
			return false
		}
	}
	ok := true
	s.later[w].each(func(v int) { ok = ok && s.fromRead(r, v) })
	return ok && s.atomic()
}

// fromRead orders a read before a write that overwrites what it has read.
func (s *search) fromRead(r, w int) bool {
	n := &s.nodes[r]
	if n.fetch {
		return s.overwritten(n, r, w)
	}
	if s.nodes[w].thread == n.thread {
		return !n.prior.has(w) // coWR
	}
	if !s.edge(r, w, true) {
		return false
	}
	ok := true
	n.haz.each(func(e int) { ok = ok && s.edge(e, w, true) }) // Exp-haz-ob
	return ok
}

// overwritten is fromRead of a fetch: IC-ob and IC-ca.
func (s *search) overwritten(n *snode, r, w int) bool {
	ok := true
	if s.x.dic {
		n.haz.each(func(e int) { ok = ok && s.edge(e, w, true) })
	}
	if s.x.dic && s.x.idc || s.x.opt.Model != Arm {
		ok = ok && s.edge(r, w, true)
	}
	return ok
}

// cohere puts write a before write b in coherence order.
func (s *search) cohere(a, b int) bool {
	if s.later[a].has(b) {
		return true
	}
	if s.later[b].has(a) || a == b {
		return false
	}
	first, second := s.sooner[a], s.later[b]
	first.add(a)
	second.add(b)
	ok := true
	first.each(func(v int) {
		news := set{second[0] &^ s.later[v][0], second[1] &^ s.later[v][1]}
		if news.empty() || !ok {
			return
		}
		s.later[v].or(news)
		news.each(func(w int) {
			s.sooner[w].add(v)
			if !ok {
				return
			}
			if s.nodes[v].thread != s.nodes[w].thread {
				ok = s.edge(v, w, true)
			} else {
				ok = s.nodes[v].step <= s.nodes[w].step // coWW
			}
			s.by[v].each(func(r int) { ok = ok && s.fromRead(r, w) })
		})
	})
	return ok && s.atomic()
}

// atomic reports whether no foreign write is known to come between the write
// that an atomic pair reads and the one that it writes.
func (s *search) atomic() bool {
	for _, p := range s.rmw {
		if p.excused || s.nodes[p.read].loc != s.nodes[p.write].loc {
			continue
		}
		r := int(p.read)
		switch {
		case s.byInit[s.nodes[r].loc].has(r):
			if !s.sooner[p.write].and(s.nodes[r].ext).empty() {
				return false
			}
		case s.from[r] >= 0 && s.by[s.from[r]].has(r):
			if !s.later[s.from[r]].and(s.sooner[p.write]).and(s.nodes[r].ext).empty() {
				return false
			}
		}
	}
	return true
}

// edge adds a to ordered-before b and, with class, to what is single-copy
// atomic with b. It reports whether there is still no cycle.
func (s *search) edge(a, b int, class bool) bool {
	if s.after[b].has(a) || a == b {
		return false
	}
	if !s.after[a].has(b) {
		next := s.after[b]
		next.add(b)
		s.after[a].or(next)
		for i := range s.n {
			if s.after[i].has(a) {
				s.after[i].or(next)
			}
		}
	}
	if class && !s.nodes[b].sca.empty() {
		ok := true
		s.nodes[b].sca.each(func(c int) { ok = ok && s.edge(a, c, false) })
		return ok
	}
	return true
}

// pair decides the coherence of the k-th pair of writes and those after it.
func (s *search) pair(k int) {
	for ; k < len(s.pairs); k++ {
		a, b := int(s.pairs[k][0]), int(s.pairs[k][1])
		if !s.later[a].has(b) && !s.later[b].has(a) {
			break
		}
	}
	if k == len(s.pairs) {
		s.leaf()
		return
	}
	a, b := int(s.pairs[k][0]), int(s.pairs[k][1])
	s.save()
	for range 2 {
		// What is ordered the other way already would only make a cycle.
		if !s.stop && !(s.after[b].has(a) && s.nodes[a].thread != s.nodes[b].thread) && s.cohere(a, b) {
			s.pair(k + 1)
		}
		s.restore()
		a, b = b, a
	}
	s.drop()
}
