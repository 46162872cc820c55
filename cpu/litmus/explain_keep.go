package litmus

import (
	"math/bits"
	"slices"
	"strings"
)

// keeper finds what a model keeps of one thread's program order, edge by edge
// with its name, as the explorer (order.go) does with sets.
type keeper struct {
	ex   *execution
	p    *path
	base int
	out  []relation
}

func (k *keeper) add(from, to int, name string) {
	k.out = append(k.out, relation{Edge: Edge{k.base + from, k.base + to, name}})
}

// programOrder is sequential consistency.
func (k *keeper) programOrder() []relation {
	for j := range k.p.effects {
		for i := range j {
			if k.p.effects[i].step < k.p.effects[j].step {
				k.add(i, j, "po")
			}
		}
	}
	k.within()
	return k.out
}

// totalStoreOrder leaves only a write and a later read unordered.
func (k *keeper) totalStoreOrder() []relation {
	e := k.p.effects
	for j := range e {
		for i := range j {
			if e[i].step >= e[j].step {
				continue
			}
			fence := k.fenceBetween(i, j, DMBFull|DSBFull)
			switch {
			case fence != "":
				k.add(i, j, fence)
			case e[i].kind == Read || e[j].kind == Write:
				k.add(i, j, "ppo")
			case (e[i].annot|e[j].annot)&Atomic != 0:
				k.add(i, j, "atomic")
			case e[i].annot&Release != 0 && e[j].annot&Acquire != 0:
				k.add(i, j, "release-acquire")
			}
		}
	}
	k.within()
	return k.out
}

// within orders the parts of one instruction, and atomic pairs.
func (k *keeper) within() {
	e := k.p.effects
	for j := range e {
		for i := range j {
			if e[j].prev>>i&1 != 0 {
				k.add(i, j, "iico")
			}
		}
	}
	for _, p := range k.atomicPairs() {
		k.add(p[0]-k.base, p[1]-k.base, "rmw")
	}
}

// fenceBetween names a barrier of one of the kinds between two effects.
func (k *keeper) fenceBetween(i, j int, kinds Annot) string {
	e := k.p.effects
	for _, f := range k.p.fences {
		if f.step > e[i].step && f.step < e[j].step && f.what&kinds != 0 {
			return strings.ToLower(strings.ReplaceAll(f.in.Text, " ", "."))
		}
	}
	return ""
}

// arm is locally-ordered-before and pick-lob of aarch64hwreqs.cat, in user mode.
func (k *keeper) arm() []relation {
	e := k.p.effects
	for j := range e {
		for i := range j {
			if e[i].step < e[j].step || e[j].prev>>i&1 != 0 {
				if name := k.local(i, j); name != "" {
					k.add(i, j, name)
				}
			}
		}
	}
	for _, p := range k.atomicPairs() {
		k.add(p[0]-k.base, p[1]-k.base, "rmw")
	}
	k.forwarded()
	k.picked()
	return k.out
}

// local names what orders effect i before effect j of the same thread, "" if nothing does.
func (k *keeper) local(i, j int) string {
	e := k.p.effects
	a, b := &e[i], &e[j]
	bit := uint64(1) << i
	write := b.kind == Write
	if b.prev&bit != 0 {
		return "iico"
	}
	if a.step == b.step {
		return ""
	}
	if name := k.fenceBetween(i, j, DMBFull|DSBFull); name != "" {
		return name
	}
	if a.kind == Read && a.annot&NoReturn == 0 {
		if name := k.fenceBetween(i, j, DMBLoad|DSBLoad); name != "" {
			return name
		}
	}
	if a.kind == Write {
		kinds := DSBStore
		if write {
			kinds |= DMBStore
		}
		if name := k.fenceBetween(i, j, kinds); name != "" {
			return name
		}
	}
	switch {
	case b.addr.data&bit != 0:
		return "addr"
	case write && b.data.data&bit != 0:
		return "data"
	case write && b.ctrl.data&bit != 0:
		return "ctrl"
	case a.kind == Read && a.annot&(Acquire|AcquirePC) != 0:
		return "acquire"
	case write && b.annot&Release != 0:
		return "release"
	case a.kind == Write && a.annot&Release != 0 && b.kind == Read && b.annot&Acquire != 0:
		return "release-acquire"
	case k.acquireRelease(i):
		return "acquire-release"
	}
	if name := k.synchronised(i, j); name != "" {
		return name
	}
	switch {
	case write && b.addr.pick&bit != 0:
		return "pick-addr"
	case write && b.data.pick&bit != 0:
		return "pick-data"
	case write && b.ctrl.pick&bit != 0:
		return "pick-ctrl"
	case write && k.addressed(j)&bit != 0:
		return "addr;po"
	case write && overlap(b, a) != 0:
		return "po-loc"
	}
	return ""
}

// acquireRelease reports whether an effect is the write of an atomic
// instruction that acquires and releases.
func (k *keeper) acquireRelease(i int) bool {
	e := k.p.effects
	if e[i].kind != Write || e[i].annot&Release == 0 {
		return false
	}
	for r := e[i].pair; r != 0; r &= r - 1 {
		if e[bits.TrailingZeros64(r)].annot&Acquire != 0 {
			return true
		}
	}
	return false
}

// addressed returns the reads that addresses of earlier instructions than j's depend on.
func (k *keeper) addressed(j int) (reads uint64) {
	for i := range k.p.effects {
		if f := &k.p.effects[i]; f.step < k.p.effects[j].step {
			reads |= f.addr.pick
		}
	}
	return reads
}

// synchronised names the dependency that an ISB before effect j waits for.
func (k *keeper) synchronised(i, j int) string {
	e := k.p.effects
	for _, f := range k.p.fences {
		if f.what != ISBarrier || f.step >= e[j].step {
			continue
		}
		if f.ctrl.data>>i&1 != 0 {
			return "ctrl;isb"
		}
		if f.ctrl.pick>>i&1 != 0 {
			return "pick-ctrl;isb"
		}
		for n := range int(f.at) {
			if e[n].addr.pick>>i&1 != 0 {
				return "addr;isb"
			}
		}
	}
	return ""
}

// atomicPairs returns the events of exclusive pairs and atomic instructions.
func (k *keeper) atomicPairs() [][2]int {
	e := k.p.effects
	var out [][2]int
	for w := range e {
		reads := e[w].pair
		if e[w].kind == Write && e[w].annot&Exclusive != 0 {
			step := int32(-1)
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
		for ; reads != 0; reads &= reads - 1 {
			out = append(out, [2]int{k.base + bits.TrailingZeros64(reads), k.base + w})
		}
	}
	return out
}

// forwarded orders what a write depends on before an own read of it.
func (k *keeper) forwarded() {
	e := k.p.effects
	for j := range e {
		if e[j].kind != Read {
			continue
		}
		for open, w := uint64(1)<<e[j].size-1, j-1; w >= 0 && open != 0; w-- {
			if e[w].kind != Write || e[w].step >= e[j].step || overlap(&e[j], &e[w])&open == 0 {
				continue
			}
			part := overlap(&e[j], &e[w])
			open &^= part
			for i := range w {
				switch {
				case part != 1<<e[j].size-1: // orders only some bytes of the read, which no event stands for
				case e[w].addr.data>>i&1 != 0:
					k.via(i, w, j, "addr", "rfi")
				case e[w].data.data>>i&1 != 0:
					k.via(i, w, j, "data", "rfi")
				}
			}
			if e[j].annot&(Acquire|AcquirePC) != 0 {
				for _, p := range k.atomicPairs() {
					if p[1] == k.base+w {
						k.via(p[0]-k.base, w, j, "rmw", "rfi")
					}
				}
			}
		}
	}
}

// via adds an ordering that goes through a third effect. The write need not be
// what is read (the read may come from a later write of another thread), so
// the second part is only named rfi if it is.
func (k *keeper) via(i, w, j int, first, second string) {
	if !slices.ContainsFunc(k.ex.reads, func(r source) bool { return r.read == k.base+j && r.from == k.base+w }) {
		second = "po-loc"
	}
	k.out = append(k.out, relation{
		Edge{k.base + i, k.base + j, first + ";" + second},
		[]Edge{{k.base + i, k.base + w, first}, {k.base + w, k.base + j, second}},
	})
}

// picked is pick-lob: a read that picks an effect comes before every write
// that the effect comes before.
func (k *keeper) picked() {
	e := k.p.effects
	lob := closure(len(e), k.own())
	for j := range e {
		src := e[j].flow.pick | e[j].ctrl.pick
		if e[j].kind == Read {
			for w := j - 1; w >= 0; w-- {
				if e[w].kind == Write && e[w].step < e[j].step && overlap(&e[j], &e[w]) != 0 {
					src |= e[w].flow.pick
					break
				}
			}
		}
		for ; src != 0; src &= src - 1 {
			i := bits.TrailingZeros64(src)
			if e[i].step == e[j].step {
				continue
			}
			for w := range e {
				if e[w].kind == Write && lob[j][w] {
					k.out = append(k.out, relation{
						Edge{k.base + i, k.base + w, "pick"},
						[]Edge{{k.base + i, k.base + j, "pick"}, {k.base + j, k.base + w, k.nameOf(j, w)}},
					})
				}
			}
		}
	}
}

// own is the relations so far, numbered as the thread's effects.
func (k *keeper) own() []relation {
	own := slices.Clone(k.out)
	for i := range own {
		own[i].From -= k.base
		own[i].To -= k.base
	}
	return own
}

// nameOf names what orders two effects, directly if it can.
func (k *keeper) nameOf(i, j int) string {
	for _, r := range k.out {
		if r.From == k.base+i && r.To == k.base+j {
			return r.Name
		}
	}
	return "ordered"
}
