package mmu

import (
	"fmt"
	"math/bits"
)

// TLB is a core's unified second-level TLB with a small first level before it
// and a walk cache behind it.
//
//	access ─► L1 (names entries of L2) ─► L2 ─► walk cache ─► descriptors
//
// It caches translations with their permissions: an entry stays as it was
// filled, whatever happens to the descriptor, until a TLBI, an eviction or the
// retirement of its space removes it. L1 is inclusive: its slots point at
// entries of L2 and count as long as the tag there still matches, so that
// removing an entry from L2 removes it everywhere.
type TLB struct {
	Stats  TLBStats
	domain *Domain
	main   ways
	first  []uint64 // L1: per set up to 4 places in main + 1, 16 bits each, most recent lowest
	mask   uint64   // L1 sets - 1
	l1Ways uint
	walk   ways
	spec   TLBSpec
	epoch  uint64 // of removals here: see Generation
	hint   [hints]uint8
	Trail  Trail // of the last walk
}

// TLBStats counts what a core's translations found.
type TLBStats struct {
	L1Hits  uint64
	L2Hits  uint64
	Misses  uint64
	Loads   uint64 // descriptors that the walker read
	Invalid uint64 // entries removed by TLBIs that named their address
}

// TLBSpec is the shape of a TLB. Sets (entries / ways) are powers of two.
type TLBSpec struct {
	Entries, Ways         int // unified second level, 1 to 16 ways
	L1Entries, L1Ways     int // first level, 0 entries = none, up to 4 ways
	WalkEntries, WalkWays int // walk cache of table descriptors, 0 = none
}

// NeoverseN1 is the reference host's: 48 and 1280 entries (Chips and Cheese,
// "Deep Diving Neoverse N1"). Arm does not publish the ways of the first level,
// which is fully associative, nor the walk cache: they are this model's.
var NeoverseN1 = TLBSpec{Entries: 1280, Ways: 5, L1Entries: 48, L1Ways: 3, WalkEntries: 64, WalkWays: 4}

// Validate reports what is impossible about a TLB.
func (s TLBSpec) Validate() error {
	check := func(name string, entries, ways, most int) error {
		if ways < 1 || ways > most {
			return fmt.Errorf("mmu: %s of %d ways: use 1 to %d", name, ways, most)
		}
		if sets := entries / ways; entries%ways != 0 || sets < 1 || sets&(sets-1) != 0 || entries > maxEntries {
			return fmt.Errorf("mmu: %s of %d entries in %d ways: entries / ways must be a power of two and entries at most %d",
				name, entries, ways, maxEntries)
		}
		return nil
	}
	if err := check("TLB", s.Entries, s.Ways, 16); err != nil {
		return err
	}
	if s.L1Entries != 0 {
		if err := check("first-level TLB", s.L1Entries, s.L1Ways, 4); err != nil {
			return err
		}
	}
	if s.WalkEntries != 0 {
		return check("walk cache", s.WalkEntries, s.WalkWays, 16)
	}
	return nil
}

// maxEntries bounds an array so that L1 can name a place in 16 bits.
const maxEntries = 1 << 14

// Entry is a cached translation, or in the walk cache a cached table descriptor.
type Entry struct {
	out   uint64 // output minus input address (of a table: its address), flags in the low bits
	frame *Frame // where all that is mapped is one frame
}

// A tag, kept apart from its entry, is the space's current number (24 bits), a
// class (3: the size that is mapped) and the address without its offset (37).
// 0 is empty.
const (
	entryRead  = 1 << AccessRead
	entryWrite = 1 << AccessWrite
	entryFetch = 1 << AccessFetch
	entryLevel = 3 // 2 bits: the leaf's level
	entryFlags = FrameSize - 1

	tagClass = 37 // bit of the tag's class
	tagSpace = 40 // bit of the tag's space number
)

// Allows reports whether the entry permits the access.
func (e *Entry) Allows(a Access) bool { return e.out>>a&1 != 0 }

// PA translates an address that the entry maps.
func (e *Entry) PA(ipa IPA) PA { return PA(uint64(ipa) + e.out&^entryFlags) }

// Frame returns the frame of an entry that maps just one, otherwise nil.
func (e *Entry) Frame() *Frame { return e.frame }

// Level is the leaf's level.
func (e *Entry) Level() int8 { return int8(e.out >> entryLevel & 3) }

// classes is how many sizes a tag can tell apart.
const classes = 8

// sizes is what the classes of an array's tags mean: log2 of the bytes covered.
type sizes [classes]uint8

var (
	leafSizes  = sizes{12, 14, 16, 21, 25, 29, 30, 63} // pages and blocks
	tableSizes = sizes{21, 25, 29, 30, 36, 39, 42, 47} // entries of tables above level 3
	leafClass  = leafSizes.classes()
	tableClass = tableSizes.classes()
)

// classes is the inverse: the class of each size.
func (s sizes) classes() (of [64]uint8) {
	for class, shift := range s {
		of[shift] = uint8(class)
	}
	return of
}

// Found says where a lookup hit.
type Found uint8

const (
	Miss Found = iota
	HitL1
	HitL2
)

// Lookup returns the entry that maps ipa in a space. The access is not checked:
// a TLB hit without permission is a permission fault, not a miss.
func (t *TLB) Lookup(space SpaceID, ipa IPA) (*Entry, Found) {
	number := t.domain.tag(space)
	for left := t.main.present; left != 0; left &= left - 1 {
		class := bits.TrailingZeros8(left)
		page := uint64(ipa) >> (leafSizes[class&(classes-1)] & 63)
		i := t.main.find(number|uint64(class)<<tagClass|page, page)
		if i < 0 {
			continue
		}
		if t.promote(i, page) {
			t.Stats.L1Hits++
			return &t.main.entries[i], HitL1
		}
		t.Stats.L2Hits++
		return &t.main.entries[i], HitL2
	}
	t.Stats.Misses++
	return nil, Miss
}

// promote makes the entry at place i of L2 the most recent of its L1 set and
// reports whether it was in it.
func (t *TLB) promote(i int, page uint64) bool {
	if len(t.first) == 0 {
		return false
	}
	set := &t.first[page&t.mask&uint64(len(t.first)-1)]
	word, name := *set, uint16(i+1)
	if uint16(word) == name {
		return true
	}
	for at := uint(16); at < t.l1Ways*16; at += 16 {
		if uint16(word>>at) == name {
			*set = moveToFront(word, at)
			return true
		}
	}
	*set = word<<16 | uint64(name)
	return false
}

// moveToFront moves the number at bit at to bit 0 and those below it up.
func moveToFront(word uint64, at uint) uint64 {
	below := uint64(1)<<at - 1
	return word&^(below<<16|0xffff) | word&below<<16 | word>>at&0xffff
}

// fill puts a translation into the TLB.
func (t *TLB) fill(space SpaceID, ipa IPA, shift uint, out uint64, f *Frame) *Entry {
	class := leafClass[shift]
	page := uint64(ipa) >> shift
	i := t.main.victim(t.domain, page, t.domain.tag(space)>>tagSpace)
	if old := t.main.tags[i]; !t.domain.retired(old >> tagSpace) {
		t.epoch++
	}
	t.main.remove(i)
	t.main.place(i, t.domain.tag(space)|uint64(class)<<tagClass|page, Entry{out, f})
	t.promote(i, page)
	return &t.main.entries[i]
}

// allocate makes the arrays at the first fill: an idle core costs nothing.
func (t *TLB) allocate() {
	if t.main.tags == nil {
		t.main = newWays(t.spec.Entries, t.spec.Ways, &leafSizes)
		t.walk = newWays(t.spec.WalkEntries, t.spec.WalkWays, &tableSizes)
		if t.spec.L1Entries != 0 {
			sets := t.spec.L1Entries / t.spec.L1Ways
			t.first, t.mask, t.l1Ways = make([]uint64, sets), uint64(sets-1), uint(t.spec.L1Ways)
		}
	}
}

// invalidateIPA removes every entry that maps ipa in a space, and the cached
// tables on the way to it.
func (t *TLB) invalidateIPA(space SpaceID, ipa IPA) {
	number := t.domain.tag(space)
	t.Stats.Invalid += t.main.invalidate(number, ipa)
	t.walk.invalidate(number, ipa)
}

// invalidateSpaces removes the entries of some spaces from this TLB alone.
func (t *TLB) invalidateSpaces(ids []SpaceID) {
	for _, id := range ids {
		t.main.invalidateAll(t.domain.tag(id))
		t.walk.invalidateAll(t.domain.tag(id))
	}
}

// ways is a set-associative array of entries. Tags lie apart, a set's in one
// line of the host's cache. The victim of a full set is its first entry not used
// since all of them had been: bit-PLRU.
type ways struct {
	tags    []uint64 // by place: set << stride | way
	entries []Entry  // by place
	used    []uint16 // by set: bit per way
	mask    uint64   // sets - 1
	n       int      // ways
	stride  uint     // log2 of the places of a set
	sizes   *sizes
	present uint8 // classes with an entry
	count   [classes]uint32
}

func newWays(entries, n int, s *sizes) ways {
	if entries == 0 {
		return ways{}
	}
	sets, stride := entries/n, uint(bits.Len(uint(n-1)))
	return ways{
		tags: make([]uint64, sets<<stride), entries: make([]Entry, sets<<stride), used: make([]uint16, sets),
		mask: uint64(sets - 1), n: n, stride: stride, sizes: s,
	}
}

// find returns the place of the entry with the tag, -1 if there is none, and
// marks it used.
func (w *ways) find(tag, page uint64) int {
	set := page & w.mask
	base := int(set << (w.stride & 63))
	if base+w.n > len(w.tags) { // no array
		return -1
	}
	for i, t := range w.tags[base : base+w.n] {
		if t == tag {
			w.used[set] |= 1 << i
			return base + i
		}
	}
	return -1
}

// insert puts an entry in the place of the set's victim and returns the place.
func (w *ways) insert(d *Domain, page, tag uint64, e Entry) int {
	i := w.victim(d, page, tag>>tagSpace)
	w.remove(i)
	w.place(i, tag, e)
	return i
}

func (w *ways) place(i int, tag uint64, e Entry) {
	class := tag >> tagClass & (classes - 1)
	w.count[class]++
	w.present |= 1 << class
	w.tags[i], w.entries[i] = tag, e
	w.used[i>>w.stride] |= 1 << (i & (1<<w.stride - 1))
}

func (w *ways) remove(i int) {
	tag := w.tags[i]
	if tag == 0 {
		return
	}
	class := tag >> tagClass & (classes - 1)
	if w.count[class]--; w.count[class] == 0 {
		w.present &^= 1 << class
	}
	w.tags[i] = 0
}

// victim returns the place that a fill of the set, for a space's current number,
// replaces.
func (w *ways) victim(d *Domain, page, number uint64) int {
	set := page & w.mask
	base := int(set << w.stride)
	for i, tag := range w.tags[base : base+w.n] {
		if n := tag >> tagSpace; n != number && d.retired(n) { // as the number of empty places is
			return base + i
		}
	}
	unused := bits.TrailingZeros16(^w.used[set])
	if unused >= w.n {
		w.used[set], unused = 0, 0
	}
	return base + unused
}

// invalidate removes the entries of a space that cover ipa and counts them.
func (w *ways) invalidate(number uint64, ipa IPA) (n uint64) {
	for left := w.present; left != 0; left &= left - 1 {
		class := bits.TrailingZeros8(left)
		page := uint64(ipa) >> w.sizes[class]
		if i := w.find(number|uint64(class)<<tagClass|page, page); i >= 0 {
			w.remove(i)
			n++
		}
	}
	return n
}

// invalidateAll removes the entries of a space.
func (w *ways) invalidateAll(number uint64) {
	for i, tag := range w.tags {
		if tag != 0 && tag>>tagSpace == number>>tagSpace {
			w.remove(i)
		}
	}
}

// clear empties the array.
func (w *ways) clear() {
	clear(w.tags)
	w.present, w.count = 0, [classes]uint32{}
}
