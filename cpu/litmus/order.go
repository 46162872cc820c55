package litmus

import "math/bits"

// set is a set of nodes of one candidate.
type set [2]uint64

// MaxEvents is how many memory events an execution may have, those of initial
// writes not counted: what fits a set.
const MaxEvents = 128

func (s *set) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }
func (s *set) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *set) or(o set)       { s[0] |= o[0]; s[1] |= o[1] }
func (s set) and(o set) set   { return set{s[0] & o[0], s[1] & o[1]} }
func (s set) empty() bool     { return s[0]|s[1] == 0 }

// shift moves a set of a thread's nodes to where the thread's nodes begin.
func (s set) shift(n int) set {
	if n >= 64 {
		return set{0, s[0] << (n - 64)}
	}
	return set{s[0] << n, s[1]<<n | s[0]>>(64-n)}
}

// each calls f with the members, in order.
func (s set) each(f func(int)) {
	for w := range s {
		for x := s[w]; x != 0; x &= x - 1 {
			f(w<<6 + bits.TrailingZeros64(x))
		}
	}
}

// node is the part of an effect in one location. Locations are the largest
// pieces of memory that no access of the test divides, so that in a test
// without mixed sizes an effect is one node.
type node struct {
	loc    int16
	effect int16
	kind   EventKind
	step   int32
	value  uint32 // interned
}

// pathOrder is what a path alone says about the order of its nodes.
type pathOrder struct {
	nodes []node
	lob   []set // locally-ordered-before and pick-lob, closed: what comes after each node
	sca   []set // what is single-copy atomic with each node, itself left out; nil if nothing
	haz   []set // of a read: earlier reads of the same bytes, see Exp-haz-ob; of a fetch: earlier fetches, see IC-ob
	last  []int16
	rmw   []nodePair
}

// nodePair is an exclusive pair or an atomic instruction. Under Arm's model,
// an own write in between excuses it from atomicity.
type nodePair struct {
	read, write int16
	excused     bool
}

// order computes the pathOrder of a path under the model asked for.
func (x *explorer) order(p *path) *pathOrder {
	o := &pathOrder{}
	for i := range p.effects {
		x.split(&p.effects[i], func(loc int, part Value) {
			o.nodes = append(o.nodes, node{loc: int16(loc), effect: int16(i), kind: p.effects[i].kind, step: p.effects[i].step, value: x.intern(part)})
		})
	}
	n := len(o.nodes)
	sets := make([]set, 2*n)
	o.lob, o.haz = sets[:n:n], sets[n:]
	b := orderBuilder{path: p, pathOrder: o, model: x.opt.Model}
	b.pieces()
	b.atomicPairs()
	b.lastWrites()
	b.hazards()
	switch x.opt.Model {
	case Arm:
		b.local()
		b.close()
		b.picks()
		b.close()
	case TSO:
		b.totalStoreOrder()
		b.close()
	case SC:
		b.programOrder()
		b.close()
	}
	return o
}

// orderBuilder computes a pathOrder.
type orderBuilder struct {
	*pathOrder
	path  *path
	model Model
	of    [MaxEffects]set // nodes of each effect
}

// pieces finds the nodes of effects and those that are single-copy atomic together.
func (b *orderBuilder) pieces() {
	for i := range b.nodes {
		b.of[b.nodes[i].effect].add(i)
	}
	e := b.path.effects
	for i := range b.nodes {
		k := int(b.nodes[i].effect)
		class := b.of[k]
		if e[k].group != 0 {
			for j := range e {
				if e[j].step == e[k].step && e[j].group == e[k].group && e[j].kind == e[k].kind {
					class.or(b.of[j])
				}
			}
		}
		class[i>>6] &^= 1 << (i & 63)
		if !class.empty() {
			if b.sca == nil {
				b.sca = make([]set, len(b.nodes))
			}
			b.sca[i] = class
		}
	}
}

// atomicPairs finds rmw: amo, and lxsx, a load-exclusive and the next
// store-exclusive without another exclusive in between.
func (b *orderBuilder) atomicPairs() {
	e := b.path.effects
	for w := range e {
		reads := e[w].pair
		if e[w].kind == Write && e[w].annot&Exclusive != 0 {
			step := int32(-1) // of the last exclusives before
			for r := range w {
				if e[r].annot&Exclusive == 0 || e[r].step == e[w].step {
					continue
				}
				if e[r].step != step {
					step, reads = e[r].step, 0
				}
				if e[r].kind == Read {
					reads |= 1 << r
				}
			}
		}
		amo := e[w].pair != 0
		for reads != 0 {
			r := bits.TrailingZeros64(reads)
			reads &= reads - 1
			b.of[r].each(func(i int) {
				b.of[w].each(func(j int) {
					if same := b.nodes[i].loc == b.nodes[j].loc; same || !amo {
						b.rmw = append(b.rmw, nodePair{int16(i), int16(j), b.model == Arm && same && b.between(i, j)})
					}
				})
			})
		}
	}
}

// between reports whether an own write lies between the nodes of a pair.
func (b *orderBuilder) between(i, j int) bool {
	for k := range b.nodes {
		if n := &b.nodes[k]; n.kind == Write && n.loc == b.nodes[i].loc && n.step > b.nodes[i].step && n.step < b.nodes[j].step {
			return true
		}
	}
	return false
}

// lastWrites finds for each node the last own write before it in its location;
// -1 for none.
func (b *orderBuilder) lastWrites() {
	b.last = make([]int16, len(b.nodes))
	for i := range b.nodes {
		b.last[i] = -1
		for j := i - 1; j >= 0; j-- {
			if b.nodes[j].kind == Write && b.nodes[j].loc == b.nodes[i].loc && b.nodes[j].step < b.nodes[i].step {
				b.last[i] = int16(j)
				break
			}
		}
	}
}

// hazards finds, for Exp-haz-ob, the earlier reads of the bytes of each read.
func (b *orderBuilder) hazards() {
	for i := range b.nodes {
		if b.nodes[i].kind != Read {
			continue
		}
		if b.fetch(i) {
			for j := range i {
				if b.fetch(j) && b.nodes[j].step < b.nodes[i].step {
					b.haz[i].add(j)
				}
			}
			continue
		}
		class := set{}
		if b.sca != nil {
			class = b.sca[i]
		}
		class.add(i)
		class.each(func(k int) {
			for j := range i {
				if b.nodes[j].kind == Read && !b.fetch(j) && b.nodes[j].loc == b.nodes[k].loc && b.nodes[j].step < b.nodes[k].step {
					b.haz[i].add(j)
				}
			}
		})
	}
}

// fetch reports whether node i is an implicit read of an instruction.
func (b *orderBuilder) fetch(i int) bool {
	return b.path.effects[b.nodes[i].effect].annot&Fetch != 0
}

// edge orders i before j and, with class, before what is single-copy atomic with j.
func (b *orderBuilder) edge(i, j int, class bool) {
	b.lob[i].add(j)
	if class && b.sca != nil {
		b.lob[i].or(b.sca[j])
	}
}

// effectEdges orders effects before another one.
func (b *orderBuilder) effectEdges(from uint64, to int) {
	for ; from != 0; from &= from - 1 {
		target := b.of[to]
		b.of[bits.TrailingZeros64(from)].each(func(i int) { b.lob[i].or(target) })
	}
}

// close makes lob transitive. Every edge leads to a later node.
func (b *orderBuilder) close() {
	for i := len(b.nodes) - 1; i >= 0; i-- {
		next := b.lob[i]
		next.each(func(j int) { b.lob[i].or(b.lob[j]) })
	}
}

// local adds lob of aarch64hwreqs.cat, as far as it exists in user mode:
// DSB-ob, IFB-ob, lmws, dob, pob, aob, bob and iico_order.
func (b *orderBuilder) local() {
	e, f := b.path.effects, b.path.fences
	var (
		all, readsNow, writesNow    uint64 // effects of earlier steps
		returning, acquires         uint64 // of these: reads other than NoRet; reads with A or Q
		releases, both              uint64 // writes with L; writes of atomics with A and L
		afterFull, afterLoad        uint64 // effects before the last DMB or DSB of that kind
		afterStore, afterStoreDSB   uint64
		addressed, synced           uint64 // reads that an address depends on; that an ISB waits for
		drained, fetched            uint64 // effects before a DSB and an ISB after it; fetches
		newAll, newReads, newWrites uint64 // of the current step
		newFetch                    uint64
	)
	step := int32(-1)
	nf := 0
	flush := func() {
		for m := newAll; m != 0; m &= m - 1 {
			i := bits.TrailingZeros64(m)
			bit := uint64(1) << i
			a := e[i].annot
			if e[i].kind == Read {
				if a&NoReturn == 0 {
					returning |= bit
				}
				if a&(Acquire|AcquirePC) != 0 {
					acquires |= bit
				}
			} else if a&Release != 0 {
				releases |= bit
				for r := e[i].pair; r != 0; r &= r - 1 {
					if e[bits.TrailingZeros64(r)].annot&Acquire != 0 {
						both |= bit
					}
				}
			}
			addressed |= e[i].addr.pick
		}
		all, readsNow, writesNow = all|newAll, readsNow|newReads, writesNow|newWrites
		fetched |= newFetch
		newAll, newReads, newWrites, newFetch = 0, 0, 0, 0
	}
	var dsb uint64
	for j := range e {
		w := &e[j]
		if w.step != step {
			flush()
			step = w.step
			for ; nf < len(f) && f[nf].step < step; nf++ {
				before := uint64(1)<<f[nf].at - 1
				switch f[nf].what {
				case DSBFull:
					afterFull |= before
					dsb |= before
				case DMBFull:
					afterFull |= before
				case DSBLoad:
					afterLoad |= before & returning
					dsb |= before & returning
				case DMBLoad:
					afterLoad |= before & returning
				case DMBStore:
					afterStore |= before & writesNow
				case DSBStore:
					afterStoreDSB |= before & writesNow
					dsb |= before & writesNow
				case ISBarrier:
					drained |= dsb
					synced |= f[nf].ctrl.pick | b.addressedBefore(int(f[nf].at))
				}
			}
		}
		if w.annot&Fetch != 0 { // only what an ISB waits for comes before, IFB-ob
			b.effectEdges(synced|drained, j)
			newFetch |= 1 << j
			continue
		}
		src := fetched | newFetch | afterFull | afterLoad | afterStoreDSB | synced | acquires | both | w.addr.data | w.prev
		if w.kind == Write {
			src |= afterStore | w.addr.pick | w.data.pick | w.ctrl.pick | addressed
			if w.annot&Release != 0 {
				src |= all
			}
			newWrites |= 1 << j
		} else {
			if w.annot&Acquire != 0 {
				src |= releases
			}
			newReads |= 1 << j
		}
		newAll |= 1 << j
		b.effectEdges(src, j)
	}
	b.atomicOrder()
	for j := range b.nodes {
		if b.nodes[j].kind == Write { // lmws
			for i := range j {
				if b.nodes[i].loc == b.nodes[j].loc && b.nodes[i].step < b.nodes[j].step && !b.fetch(i) {
					b.edge(i, j, true)
				}
			}
		} else if k := b.last[j]; k >= 0 && !b.fetch(j) { // what ends in lmrs
			w := &e[b.nodes[k].effect]
			for src := w.addr.data | w.data.data; src != 0; src &= src - 1 { // dob
				b.of[bits.TrailingZeros64(src)].each(func(i int) { b.lob[i].add(j) })
			}
			if e[b.nodes[j].effect].annot&(Acquire|AcquirePC) != 0 { // aob
				for _, p := range b.rmw {
					if p.write == k {
						b.lob[p.read].add(j)
					}
				}
			}
		}
	}
}

// atomicOrder puts the read of an atomic pair before its write, aob.
func (b *orderBuilder) atomicOrder() {
	for _, p := range b.rmw {
		b.lob[p.read].add(int(p.write))
	}
}

// within orders the effects of one instruction that say so, iico_order.
func (b *orderBuilder) within() {
	for j := range b.path.effects {
		b.effectEdges(b.path.effects[j].prev, j)
	}
}

// addressedBefore returns the reads that an address of the first n effects depends on.
func (b *orderBuilder) addressedBefore(n int) (reads uint64) {
	for i := range n {
		reads |= b.path.effects[i].addr.pick
	}
	return reads
}

// picks adds pick-lob: a read that in any way picks an effect comes before
// every write that the effect comes before.
func (b *orderBuilder) picks() {
	e := b.path.effects
	writes := set{}
	for i := range b.nodes {
		if b.nodes[i].kind == Write {
			writes.add(i)
		}
	}
	for j := range b.nodes {
		after := b.lob[j].and(writes)
		if after.empty() {
			continue
		}
		w := &e[b.nodes[j].effect]
		src := w.flow.pick | w.ctrl.pick
		if k := b.last[j]; w.kind == Read && k >= 0 { // pick-dtrm contains lmrs
			src |= e[b.nodes[k].effect].flow.pick
		}
		for ; src != 0; src &= src - 1 {
			if r := bits.TrailingZeros64(src); e[r].step != w.step {
				b.of[r].each(func(i int) { b.lob[i].or(after) })
			}
		}
	}
}

// programOrder orders every step before the next.
func (b *orderBuilder) programOrder() {
	b.atomicOrder()
	b.within()
	for j := range b.nodes {
		for i := range j {
			if b.nodes[i].step < b.nodes[j].step {
				b.lob[i].add(j)
			}
		}
	}
}

// totalStoreOrder is program order but for a write and a later read, as
// x86tso-mixed.cat: unless DMB SY or DSB SY is between, or one of them belongs
// to an atomic instruction. So that no outcome appears that Arm forbids, a
// store-release and a later load-acquire stay in order too.
func (b *orderBuilder) totalStoreOrder() {
	b.atomicOrder()
	b.within()
	e := b.path.effects
	for j := range b.nodes {
		for i := range j {
			m, n := &b.nodes[i], &b.nodes[j]
			if m.step >= n.step {
				continue
			}
			if m.kind == Write && n.kind == Read {
				am, an := e[m.effect].annot, e[n.effect].annot
				if (am|an)&Atomic == 0 && !(am&Release != 0 && an&Acquire != 0) && !b.fenced(m.step, n.step) {
					continue
				}
			}
			b.lob[i].add(j)
		}
	}
}

func (b *orderBuilder) fenced(from, to int32) bool {
	for _, f := range b.path.fences {
		if f.step > from && f.step < to && f.what&(DMBFull|DSBFull) != 0 {
			return true
		}
	}
	return false
}
