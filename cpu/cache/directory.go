package cache

import (
	"math/bits"
	"slices"

	"ringmap/mmu"
	"ringmap/sim"
)

// directory knows, for every line that a core holds, which cores do: a snoop
// filter without misses of its own (that of a CMN-600 covers the caches of its
// cores too, and throws lines out of them only when badly placed).
//
// It is a hash table with linear probing, as large as what the cores hold.
type directory struct {
	slots []entry
	n     int
	words int      // of a mask: cores / 64
	masks []uint64 // of lines with more holders than an entry lists
	free  []uint32 // masks not in use
}

// entry is one line. It is owned by its only holder, in E or M, or shared.
type entry struct {
	key  uint64    // line + 1; 0 = empty
	busy sim.Cycle // until when the home is occupied with it
	held uint32    // how long it will have been by then
	n    uint16    // holders, at least 1
	what mmu.What  // of the last transaction
	flag uint8
	who  [4]uint16 // the holders in ascending order; if wide, who[0] and who[1] number the mask
}

const (
	owned = 1 << iota
	wide
)

func (e *entry) is(flag uint8) bool { return e.flag&flag != 0 }

func (e *entry) maskIndex() uint32 { return uint32(e.who[0]) | uint32(e.who[1])<<16 }

func hash(line uint64) uint64 {
	h := line * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// find returns a line's entry, nil if no core holds it. Adding or removing any
// line makes the pointer void.
func (d *directory) find(line uint64) *entry {
	if d.n == 0 {
		return nil
	}
	mask := uint64(len(d.slots) - 1)
	for i := hash(line) & mask; ; i = (i + 1) & mask {
		switch d.slots[i].key {
		case line + 1:
			return &d.slots[i]
		case 0:
			return nil
		}
	}
}

// add makes the entry of a line that has none.
func (d *directory) add(line uint64) *entry {
	if d.n*4 >= len(d.slots)*3 {
		d.grow()
	}
	d.n++
	return d.place(entry{key: line + 1})
}

func (d *directory) place(e entry) *entry {
	mask := uint64(len(d.slots) - 1)
	i := hash(e.key-1) & mask
	for d.slots[i].key != 0 {
		i = (i + 1) & mask
	}
	d.slots[i] = e
	return &d.slots[i]
}

func (d *directory) grow() {
	old := d.slots
	d.slots = make([]entry, max(64, 2*len(old)))
	for _, e := range old {
		if e.key != 0 {
			d.place(e)
		}
	}
}

// remove forgets a line and closes the gap that it leaves.
func (d *directory) remove(e *entry) {
	d.narrow(e)
	mask := uint64(len(d.slots) - 1)
	gap := hash(e.key-1) & mask
	for d.slots[gap].key != e.key {
		gap = (gap + 1) & mask
	}
	d.n--
	for i := (gap + 1) & mask; d.slots[i].key != 0; i = (i + 1) & mask {
		if home := hash(d.slots[i].key-1) & mask; (i-home)&mask >= (i-gap)&mask {
			d.slots[gap] = d.slots[i]
			gap = i
		}
	}
	d.slots[gap] = entry{}
}

// own makes a core the only holder.
func (d *directory) own(e *entry, core int) {
	d.narrow(e)
	e.n, e.who[0], e.flag = 1, uint16(core), owned
}

// share adds a holder, and leaves nobody the owner.
func (d *directory) share(e *entry, core int) {
	e.flag &^= owned
	if e.is(wide) {
		w := &d.mask(e)[core>>6]
		if *w>>(core&63)&1 == 0 {
			*w |= 1 << (core & 63)
			e.n++
		}
		return
	}
	list := e.who[:e.n]
	i, found := slices.BinarySearch(list, uint16(core))
	switch {
	case found:
	case int(e.n) < len(e.who):
		copy(e.who[i+1:], e.who[i:e.n])
		e.who[i] = uint16(core)
		e.n++
	default:
		d.widen(e)
		d.share(e, core)
	}
}

// drop removes a holder and reports whether none is left. If the core does not
// hold the line nothing happens.
func (d *directory) drop(e *entry, core int) (none bool) {
	if e.is(wide) {
		if w := &d.mask(e)[core>>6]; *w>>(core&63)&1 != 0 {
			*w &^= 1 << (core & 63)
			e.n--
		}
		return e.n == 0
	}
	if i, found := slices.BinarySearch(e.who[:e.n], uint16(core)); found {
		copy(e.who[i:], e.who[i+1:e.n])
		e.n--
	}
	return e.n == 0
}

// next returns the first holder from a core on, -1 if there is none.
func (d *directory) next(e *entry, from int) int {
	if !e.is(wide) {
		for _, c := range e.who[:e.n] {
			if int(c) >= from {
				return int(c)
			}
		}
		return -1
	}
	mask := d.mask(e)
	for w := from >> 6; w < len(mask); w++ {
		word := mask[w]
		if w == from>>6 {
			word &= ^uint64(0) << (from & 63)
		}
		if word != 0 {
			return w<<6 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

func (d *directory) mask(e *entry) []uint64 {
	at := int(e.maskIndex()) * d.words
	return d.masks[at : at+d.words]
}

// widen moves the holders from the list to a mask.
func (d *directory) widen(e *entry) {
	var index uint32
	if n := len(d.free); n != 0 {
		index = d.free[n-1]
		d.free = d.free[:n-1]
	} else {
		index = uint32(len(d.masks) / d.words)
		d.masks = append(d.masks, make([]uint64, d.words)...)
	}
	list, n := e.who, e.n
	e.who[0], e.who[1] = uint16(index), uint16(index>>16)
	e.flag |= wide
	mask := d.mask(e)
	clear(mask)
	for _, c := range list[:n] {
		mask[c>>6] |= 1 << (c & 63)
	}
}

// narrow gives an entry's mask back; its holders are gone.
func (d *directory) narrow(e *entry) {
	if e.is(wide) {
		d.free = append(d.free, e.maskIndex())
		e.flag &^= wide
		e.n = 0
	}
}

// begin is when the home starts on a request that reaches it at cycle at. Cores
// run ahead of one another: a request from before the line's present business
// does not wait for what lies in its future.
func (e *entry) begin(at sim.Cycle) sim.Cycle {
	if at < e.busy && at+sim.Cycle(e.held) >= e.busy {
		return e.busy
	}
	return at
}

// end occupies the line's home from one cycle to another.
func (e *entry) end(from, to sim.Cycle, w mmu.What) {
	e.what = w
	switch {
	case from == e.busy: // one behind the other: one long business
		e.held += uint32(to - from)
	case to > e.busy:
		e.held = uint32(to - from)
	default:
		return
	}
	e.busy = to
}
