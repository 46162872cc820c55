package cache

import "math/bits"

// array is a set-associative cache of tags. A set's tags lie from the most to
// the least recently used, empty ones last: that is LRU, where a Neoverse has a
// pseudo-LRU of its own.
//
// A tag holds what the line is (bits 56 to 63, in the SLC), its number (2 to 55)
// and its state (0 and 1). 0 is empty.
//
// Sets come into being page by page when a line is first put there: until then a
// page is the one empty page that all caches share and nobody writes.
type array struct {
	pages [][]uint64
	first []uint64 // the first page: all of a small cache
	mask  uint64   // sets - 1
	ways  uint64
	shift uint // log2 of the sets of a page
	empty []uint64
}

const (
	tagState = 1<<2 - 1
	tagWhat  = 56 // bit
	tagLine  = 1<<tagWhat - 1 - tagState
)

// newArray returns an empty cache. Its page has at most 1<<pageShift sets.
func newArray(l *Level, pageShift int) array {
	sets := l.Size / (uint64(l.Ways) * LineSize)
	if sets == 0 {
		return array{}
	}
	a := array{mask: sets - 1, ways: uint64(l.Ways), shift: uint(min(pageShift, bits.Len64(sets-1)))}
	a.empty = make([]uint64, a.ways<<a.shift)
	a.pages = make([][]uint64, sets>>a.shift)
	a.clear()
	return a
}

// clone is another empty cache of the same shape.
func (a *array) clone() array {
	b := *a
	b.pages = make([][]uint64, len(a.pages))
	b.clear()
	return b
}

func (a *array) clear() {
	for i := range a.pages {
		a.pages[i] = a.empty
	}
	if len(a.pages) != 0 {
		a.first = a.pages[0]
	}
}

// set returns the tags of a line's set, which must not be written.
func (a *array) set(line uint64) []uint64 {
	if len(a.pages) == 0 {
		return nil
	}
	n := line & a.mask
	base := n & (1<<a.shift - 1) * a.ways
	return a.pages[n>>a.shift][base : base+a.ways]
}

// find returns the set of a line and its place in it, -1 if it is not there.
func (a *array) find(line uint64) (set []uint64, way int) {
	set = a.set(line)
	for i, tag := range set {
		if tag&tagLine == line<<2 && tag != 0 {
			return set, i
		}
	}
	return set, -1
}

// state returns a line's state, 0 if it is not there.
func (a *array) state(line uint64) uint64 {
	if set, i := a.find(line); i >= 0 {
		return set[i] & tagState
	}
	return 0
}

// setState changes the state of a line, if it is there.
func (a *array) setState(line, state uint64) {
	if set, i := a.find(line); i >= 0 {
		set[i] = set[i]&^tagState | state
	}
}

// use makes the tag at a place the most recently used.
func use(set []uint64, way int) {
	tag := set[way]
	copy(set[1:way+1], set[:way])
	set[0] = tag
}

// insert puts a tag whose line is not there into the cache and returns the one
// that it replaces, 0 if none.
func (a *array) insert(tag uint64) (victim uint64) {
	n := tag & tagLine >> 2 & a.mask
	page := &a.pages[n>>a.shift]
	if &(*page)[0] == &a.empty[0] {
		*page = make([]uint64, len(a.empty))
		a.first = a.pages[0]
	}
	base := n & (1<<a.shift - 1) * a.ways
	set := (*page)[base : base+a.ways]
	victim = set[a.ways-1]
	copy(set[1:], set)
	set[0] = tag
	return victim
}

// remove takes a line out and returns its tag, 0 if it was not there.
func (a *array) remove(line uint64) uint64 {
	set, i := a.find(line)
	if i < 0 {
		return 0
	}
	tag := set[i]
	copy(set[i:], set[i+1:])
	set[len(set)-1] = 0
	return tag
}
