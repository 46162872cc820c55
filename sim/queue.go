package sim

import (
	"cmp"
	"math/bits"
	"slices"
)

// queue holds the pending events in four tiers. Time is cut into blocks of 256
// cycles, counted here from the present one:
//
//	this cycle        run, sorted by class, and a list of late comers per class
//	block   0, 1      near: a list per cycle
//	block   2 … 2047  far: a list per block
//	block   2048 …    a heap by (cycle, insertion)
//
// Ties by insertion hold across the tiers because all events of one block are
// in one tier at any moment: time enters a block only through enter, which
// first spreads far blocks 0 and 1 over the near lists and then takes from the
// heap what has come into reach; nothing is scheduled in between. Every list is
// in order of insertion and moving it keeps the order, sorting by class is
// stable, and late comers were inserted after everything in run. So no event
// carries a sequence number outside the heap.
//
// A list is a chain of chunks of 16 events from one pool. Chunks released last
// are used first, while they are still in cache. Bitmaps of the lists in use
// with a summary word each make an idle stretch cost the same whatever its
// length.
type queue struct {
	near     [nearSlots]list
	nearBits [nearSlots / 64]uint64
	nearSum  uint8    // bit n: nearBits[n] is not 0
	attend   uint8    // bits 0 to 4: classes with late comers; attendEngine
	farSum   uint32   // bit n: farBits[n] is not 0
	run      []packed // of the present cycle: to be handled from pos on
	pos      int
	free     *chunk   // not in use
	rest     *chunk   // the chunk that run shows and those after it, when all is of one class
	sorted   []packed // memory for run when there are several classes
	late     [numClasses]list
	latePos  [numClasses]uint8 // events already taken from the first chunk
	farBits  [farSlots / 64]uint64
	far      [farSlots]farList
	heap     []heapEntry
	seq      uint64 // insertions into the heap so far
}

const (
	blockBits   = 8
	nearSlots   = 2 << blockBits
	farSlots    = 2048
	chunkEvents = 16

	lateClasses  = 1<<numClasses - 1
	attendEngine = 0x80 // the engine is stopped or traces
)

// packed is an event whose cycle follows from the list in which it is, but for
// its place in a far block. 16 bytes.
type packed struct {
	arg   uint64
	comp  ComponentID
	kind  uint16
	class Class
	off   uint8 // low bits of the cycle
}

// chunk is a piece of a list. meta counts its events: all of them in the lowest
// byte, those of class n in byte n+1, which leaves room for seven classes.
type chunk struct {
	events [chunkEvents]packed
	next   *chunk
	meta   uint64
}

// countOf is what an event of that class adds to a chunk's meta.
func countOf(class Class) uint64 { return 1 + 0x100<<(class*8&63) }

const _ = uint(7 - numClasses)

// full ends every empty list, so that appending need not ask whether there is
// a chunk. It is never written.
var full = &chunk{meta: chunkEvents}

// list is a queue of events; first is nil and last is full when it is empty.
type list struct{ first, last *chunk }

type farList struct {
	list
	earliest Cycle
}

type heapEntry struct {
	packed
	at  Cycle
	seq uint64
}

// push adds an event that is not before now.
func (q *queue) push(now, at Cycle, arg uint64, comp ComponentID, kind uint16, class Class) {
	ahead := at>>blockBits - now>>blockBits
	switch {
	case at == now && q.opened():
		q.attend |= 1 << class
		q.append(&q.late[class], arg, comp, kind, class, 0)
	case ahead <= 1:
		q.pushNear(uint(at), arg, comp, kind, class)
	case ahead < farSlots:
		q.pushFar(at, arg, comp, kind, class)
	default:
		q.pushHeap(heapEntry{packed{arg, comp, kind, class, 0}, at, 0})
	}
}

func (q *queue) pushNear(at uint, arg uint64, comp ComponentID, kind uint16, class Class) {
	slot := at % nearSlots
	c := q.near[slot].last
	m := c.meta
	if uint8(m) >= chunkEvents {
		c, m = q.extendNear(slot), 0
	}
	p := &c.events[m%chunkEvents]
	p.arg, p.comp, p.kind, p.class = arg, comp, kind, class
	c.meta = m + countOf(class)
}

func (q *queue) pushFar(at Cycle, arg uint64, comp ComponentID, kind uint16, class Class) {
	slot := uint(at>>blockBits) % farSlots
	f := &q.far[slot]
	if f.last == full {
		q.farBits[slot/64] |= 1 << (slot % 64)
		q.farSum |= 1 << (slot / 64)
		f.earliest = at
	}
	f.earliest = min(f.earliest, at)
	q.append(&f.list, arg, comp, kind, class, uint8(at))
}

func (q *queue) append(l *list, arg uint64, comp ComponentID, kind uint16, class Class, off uint8) {
	c := l.last
	if uint8(c.meta) >= chunkEvents {
		c = q.extend(l)
	}
	p := &c.events[c.meta%chunkEvents]
	p.arg, p.comp, p.kind, p.class, p.off = arg, comp, kind, class, off
	c.meta += countOf(class)
}

// extendNear adds an empty chunk to a near list, perhaps its first.
//
//go:noinline
func (q *queue) extendNear(slot uint) *chunk {
	q.nearBits[slot/64] |= 1 << (slot % 64)
	q.nearSum |= 1 << (slot / 64)
	return q.extend(&q.near[slot])
}

// extend adds an empty chunk to a list; its caller puts an event there.
func (q *queue) extend(l *list) *chunk {
	c := q.free
	if c == nil {
		c = newChunks()
	}
	q.free = c.next
	c.next, c.meta = nil, 0
	if l.last == full {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	return c
}

// newChunks returns a chain of new chunks.
func newChunks() *chunk {
	slab := make([]chunk, 64)
	for i := range slab[1:] {
		slab[i].next = &slab[i+1]
	}
	return &slab[0]
}

// clear empties a list that is not empty.
func (q *queue) clear(l *list) {
	l.last.next = q.free
	q.free = l.first
	*l = list{nil, full}
}

// opened reports whether the present cycle has been taken from its near list
// and is not finished; whatever is then added to it comes late.
func (q *queue) opened() bool {
	return q.pos < len(q.run) || q.rest != nil && q.rest.next != nil || q.attend&lateClasses != 0
}

// open takes cycle now from its near list: as it is if all is of one class,
// otherwise sorted.
func (q *queue) open(now Cycle) {
	slot := uint(now) % nearSlots
	l := &q.near[slot]
	if l.last == full {
		return // Stop left the cycle unfinished
	}
	if w := &q.nearBits[slot/64]; *w == 1<<(slot%64) {
		*w = 0
		q.nearSum &^= 1 << (slot / 64)
	} else {
		*w &^= 1 << (slot % 64)
	}
	q.pos = 0
	if l.sameClass() {
		q.rest, q.run = l.first, l.first.all()
		*l = list{nil, full}
	} else {
		q.run = q.sort(l.first)
		q.clear(l)
	}
}

// sameClass reports whether all events of the list are of one class.
func (l *list) sameClass() bool {
	classes := uint64(0)
	for c := l.first; c != nil; c = c.next {
		classes |= c.meta >> 8
	}
	return classes>>(bits.TrailingZeros64(classes)&^7) < 1<<8
}

// sort returns the events of a list in order of class and insertion.
func (q *queue) sort(first *chunk) []packed {
	var starts [8]uint32 // of each class in the result
	n := uint32(0)
	for c := first; c != nil; c = c.next {
		m := c.meta
		n += uint32(uint8(m))
		for k := 1; k < int(numClasses); k++ {
			m >>= 8
			starts[k] += uint32(uint8(m))
		}
	}
	for k := 1; k < int(numClasses); k++ {
		starts[k] += starts[k-1]
	}
	if int(n) > len(q.sorted) {
		q.sorted = make([]packed, 2*n)
	}
	out := q.sorted[:n]
	for c := first; c != nil; c = c.next {
		events := c.all()
		for i := range events {
			k := &starts[events[i].class%8]
			out[*k] = events[i]
			*k++
		}
	}
	return out
}

func (c *chunk) all() []packed { return c.events[:uint8(c.meta)] }

// more makes run show what is left of the present cycle but for late comers,
// and is false when nothing at all is left.
func (q *queue) more() bool {
	if q.pos < len(q.run) {
		return true
	}
	if c := q.rest; c != nil {
		q.rest = c.next
		c.next, q.free = q.free, c
		q.run, q.pos = nil, 0
		if q.rest != nil {
			q.run = q.rest.all()
			return true
		}
	}
	return q.attend&lateClasses != 0
}

// pop takes the next event of the present cycle, late comers considered; more
// was true. The event stays in place until something is scheduled.
func (q *queue) pop() *packed {
	class := bits.TrailingZeros8(q.attend & lateClasses)
	if q.pos < len(q.run) && int(q.run[q.pos].class) <= class {
		q.pos++
		return &q.run[q.pos-1]
	}
	l := &q.late[class]
	c := l.first
	p := &c.events[q.latePos[class]]
	if q.latePos[class]++; q.latePos[class] < uint8(c.meta) {
		return p
	}
	q.latePos[class] = 0
	if c == l.last {
		q.attend &^= 1 << class
		q.clear(l)
		return p
	}
	l.first = c.next
	c.next, q.free = q.free, c
	return p
}

// next returns the cycle of the earliest event, Never when there is none.
func (q *queue) next(now Cycle) Cycle {
	if q.opened() {
		return now
	}
	at := uint(now) % nearSlots
	word := at / 64
	if m := q.nearBits[word] >> (at % 64); m != 0 {
		return now + Cycle(bits.TrailingZeros64(m))
	}
	// The words behind, around to this one's beginning: rotated, lowest first.
	if sum := bits.RotateLeft8(q.nearSum, -int(word+1)); sum != 0 {
		word = (word + 1 + uint(bits.TrailingZeros8(sum))) % (nearSlots / 64)
		slot := word*64 + uint(bits.TrailingZeros64(q.nearBits[word]))
		return now + Cycle((slot-at)%nearSlots)
	}
	if q.farSum != 0 {
		return q.far[q.nextFar(now>>blockBits)].earliest
	}
	if len(q.heap) != 0 {
		return q.heap[0].at
	}
	return Never
}

// nextFar returns the slot of the first far list in use from block on; there
// must be one.
func (q *queue) nextFar(block Cycle) uint {
	at := uint(block) % farSlots
	word := at / 64
	if m := q.farBits[word] >> (at % 64); m != 0 {
		return at + uint(bits.TrailingZeros64(m))
	}
	sum := bits.RotateLeft32(q.farSum, -int(word+1))
	word = (word + 1 + uint(bits.TrailingZeros32(sum))) % (farSlots / 64)
	return word*64 + uint(bits.TrailingZeros64(q.farBits[word]))
}

// enter makes block the present one, from an earlier one. No event precedes it.
func (q *queue) enter(block, from Cycle) {
	if block != from+1 {
		q.spread(block)
	}
	q.spread(block + 1)
	for len(q.heap) != 0 {
		h := &q.heap[0]
		ahead := h.at>>blockBits - block
		if ahead >= farSlots {
			return
		}
		if ahead <= 1 {
			q.pushNear(uint(h.at), h.arg, h.comp, h.kind, h.class)
		} else {
			q.pushFar(h.at, h.arg, h.comp, h.kind, h.class)
		}
		q.popHeap()
	}
}

// spread moves a far block's events to their cycles.
func (q *queue) spread(block Cycle) {
	slot := uint(block) % farSlots
	f := &q.far[slot]
	if f.last == full {
		return
	}
	if q.farBits[slot/64] &^= 1 << (slot % 64); q.farBits[slot/64] == 0 {
		q.farSum &^= 1 << (slot / 64)
	}
	for c := f.first; c != nil; c = c.next {
		events := c.all()
		for i := range events {
			p := &events[i]
			q.pushNear(uint(block)<<blockBits|uint(p.off), p.arg, p.comp, p.kind, p.class)
		}
	}
	q.clear(&f.list)
}

func (q *queue) pushHeap(add heapEntry) {
	q.seq++
	add.seq = q.seq
	q.heap = append(q.heap, add)
	h := q.heap
	for k := len(h) - 1; k > 0; {
		up := (k - 1) / 2
		if !h[k].before(&h[up]) {
			return
		}
		h[k], h[up] = h[up], h[k]
		k = up
	}
}

// popHeap removes the first of the heap.
func (q *queue) popHeap() {
	n := len(q.heap) - 1
	q.heap[0] = q.heap[n]
	q.heap = q.heap[:n]
	h := q.heap
	for k := 0; 2*k+1 < n; {
		down := 2*k + 1
		if down+1 < n && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&h[k]) {
			return
		}
		h[k], h[down] = h[down], h[k]
		k = down
	}
}

func (a *heapEntry) before(b *heapEntry) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// reset empties the queue.
func (q *queue) reset() {
	*q = queue{}
	for i := range q.near {
		q.near[i].last = full
	}
	for i := range q.far {
		q.far[i].last = full
	}
	for i := range q.late {
		q.late[i].last = full
	}
}

// collect returns all events; those of one cycle and class in order of
// insertion.
func (q *queue) collect(now Cycle) []Event {
	var events []Event
	add := func(at Cycle, all []packed) {
		for _, p := range all {
			events = append(events, Event{at, p.arg, p.comp, p.kind, p.class})
		}
	}
	add(now, q.run[q.pos:])
	if q.rest != nil {
		for c := q.rest.next; c != nil; c = c.next {
			add(now, c.all())
		}
	}
	for i := range q.late {
		skip := q.latePos[i]
		for c := q.late[i].first; c != nil; c = c.next {
			add(now, c.all()[skip:])
			skip = 0
		}
	}
	for i := range q.near {
		at := now + (Cycle(i)-now)%nearSlots
		for c := q.near[i].first; c != nil; c = c.next {
			add(at, c.all())
		}
	}
	block := now >> blockBits
	for i := range q.far {
		start := (block + (Cycle(i)-block)%farSlots) << blockBits
		for c := q.far[i].first; c != nil; c = c.next {
			for k, p := range c.all() {
				add(start|Cycle(p.off), c.events[k:k+1])
			}
		}
	}
	heap := slices.Clone(q.heap)
	slices.SortFunc(heap, func(a, b heapEntry) int { return cmp.Compare(a.seq, b.seq) })
	for _, h := range heap {
		add(h.at, []packed{h.packed})
	}
	return events
}
