package mmu

import (
	"encoding/binary"
	"math/bits"
)

// Frame is what a store must know of 4 KiB of memory: 16 bytes, so that the
// frames of a gigabyte stay in the host's caches. The contents are a base, most
// cheaply described, and a few words that differ from it; the first of them is
// here, the others and the base in the frame's rest. A frame with more
// differences gets a version, a block of 4 KiB.
type Frame struct {
	value  uint64 // of word index; with a version its number
	index  uint16 // the first word that differs from the base, noWord if none does
	epoch  uint16 // of the last write that could enter the journal, and alert
	writer Writer
	kind   frameKind // and frameFlags
	n      uint8     // words that differ from the base
}

// rest is what stores seldom need of a frame.
type rest struct {
	tag   uint64
	base  uint64 // filled: the word; seeded: the seed
	value [patches - 1]uint64
	index [patches - 1]uint16
}

type frameKind uint8

const (
	zeroed        frameKind = iota // every word is 0
	filled                         // every word is base
	seeded                         // word w is seededWord(base, w)
	ownVersion                     // a version that nobody else uses
	sharedVersion                  // a version to be copied before a write

	flagWatched   frameKind = 1 << 7
	flagCode      frameKind = 1 << 6 // see MarkCode
	flagExclusive frameKind = 1 << 5 // see Reserve
	frameFlags              = flagWatched | flagCode | flagExclusive
	kindMask                = flagExclusive - 1
)

const (
	patches    = 4 // most words that differ from the base
	frameWords = FrameSize / 8
	noWord     = 0xffff
)

// zeroFrame is what a frame that does not exist reads as.
var zeroFrame = Frame{index: noWord}

func (f *Frame) is() frameKind { return f.kind & kindMask }

// word returns word w of a frame.
func (m *Memory) word(f *Frame, pfn PFN, w uint16) uint64 {
	kind := f.is()
	switch {
	case kind >= ownVersion:
		return m.versions.at(f.value)[w&(frameWords-1)]
	case f.index == w:
		return f.value
	case kind == zeroed && f.n <= 1:
		return 0
	}
	r := m.rest(pfn)
	for i := range int(f.n) - 1 {
		if r.index[i&3] == w {
			return r.value[i&3]
		}
	}
	switch kind {
	case filled:
		return r.base
	case seeded:
		return seededWord(r.base, w)
	}
	return 0
}

// setWord changes word w of a frame.
func (m *Memory) setWord(f *Frame, pfn PFN, w uint16, v uint64) {
	kind := f.is()
	switch {
	case f.index == w:
		f.value = v
		return
	case kind == ownVersion:
		m.versions.at(f.value)[w&(frameWords-1)] = v
		return
	case kind == sharedVersion || f.n == patches && !m.patched(f, pfn, w):
		m.own(f, pfn)[w&(frameWords-1)] = v
		return
	case f.n == 0:
		f.index, f.value, f.n = w, v, 1
		return
	}
	r := m.rest(pfn)
	i := 0
	for i < int(f.n)-1 && r.index[i] != w {
		i++
	}
	if i == int(f.n)-1 {
		f.n++
	}
	r.index[i], r.value[i] = w, v
}

// patched reports whether word w is one of a full frame's patches in its rest.
func (m *Memory) patched(f *Frame, pfn PFN, w uint16) bool {
	r := m.rest(pfn)
	for _, have := range r.index[:f.n-1] {
		if have == w {
			return true
		}
	}
	return false
}

// own gives the frame a version of its own and returns it.
func (m *Memory) own(f *Frame, pfn PFN) *block {
	switch f.is() {
	case ownVersion:
	case sharedVersion:
		if m.versions.refs[f.value] > 1 {
			n := m.versions.alloc()
			*m.versions.at(n) = *m.versions.at(f.value)
			m.versions.release(f.value)
			f.value = n
		}
	default:
		n := m.versions.alloc()
		b := m.versions.at(n)
		for w := range b {
			b[w] = m.word(f, pfn, uint16(w))
		}
		f.value, f.index, f.n = n, noWord, 0
	}
	f.kind = ownVersion | f.kind&frameFlags
	return m.versions.at(f.value)
}

// rebase drops the contents of a frame and gives it a base without differences.
func (m *Memory) rebase(f *Frame, pfn PFN, kind frameKind, base uint64) {
	m.drop(f, pfn)
	if kind == filled && base == 0 {
		kind = zeroed
	}
	if kind != zeroed {
		m.rest(pfn).base = base
	}
	f.kind |= kind
}

// drop empties a frame and gives back its version.
func (m *Memory) drop(f *Frame, pfn PFN) {
	if f.is() >= ownVersion {
		m.forget(pfn)
		m.versions.release(f.value)
	}
	f.kind &= frameFlags
	f.value, f.index, f.n = 0, noWord, 0
}

// readFrame copies the bytes from off on to p; f may be nil.
func (m *Memory) readFrame(f *Frame, pfn PFN, off int, p []byte) {
	if f == nil {
		clear(p)
		return
	}
	for len(p) > 0 {
		v := m.word(f, pfn, uint16(off>>3)) >> (off & 7 * 8)
		n := min(8-off&7, len(p))
		if n == 8 {
			binary.LittleEndian.PutUint64(p, v)
		} else {
			for i := range n {
				p[i] = byte(v >> (8 * i))
			}
		}
		p, off = p[n:], off+n
	}
}

// writeFrame copies p to the bytes from off on.
func (m *Memory) writeFrame(f *Frame, pfn PFN, off int, p []byte) {
	if len(p) == FrameSize && f.is() < ownVersion {
		m.rebase(f, pfn, filled, binary.LittleEndian.Uint64(p)) // few words may differ from the first
	}
	for len(p) > 0 {
		w, n := uint16(off>>3), min(8-off&7, len(p))
		old := m.word(f, pfn, w)
		v := old
		if n == 8 {
			v = binary.LittleEndian.Uint64(p)
		} else {
			for i := range n {
				shift := (off&7 + i) * 8
				v = v&^(0xff<<shift) | uint64(p[i])<<shift
			}
		}
		if v != old {
			m.setWord(f, pfn, w, v)
		}
		p, off = p[n:], off+n
	}
}

// fillPart sets n bytes from off on to the byte that word repeats.
func (m *Memory) fillPart(f *Frame, pfn PFN, off, n, word uint64) {
	for n > 0 {
		k := min(8-off&7, n)
		mask := sizeMask(uint8(k)) << (off & 7 * 8)
		w := uint16(off >> 3)
		if old := m.word(f, pfn, w); old&mask != word&mask {
			m.setWord(f, pfn, w, old&^mask|word&mask)
		}
		off, n = off+k, n-k
	}
}

// equalFrames compares the bytes of two frames.
func equalFrames(m *Memory, f *Frame, a PFN, o *Memory, g *Frame, b PFN) bool {
	switch {
	case f.is() >= ownVersion && g.is() >= ownVersion:
		return m.versions == o.versions && f.value == g.value || *m.versions.at(f.value) == *o.versions.at(g.value)
	case f.is() == zeroed && g.is() == zeroed:
		return o.holdsPatches(g, b, m, f, a) && m.holdsPatches(f, a, o, g, b)
	}
	for w := range uint16(frameWords) {
		if m.word(f, a, w) != o.word(g, b, w) {
			return false
		}
	}
	return true
}

// holdsPatches reports whether a frame has the same words as another where that
// one differs from its base.
func (m *Memory) holdsPatches(f *Frame, pfn PFN, o *Memory, g *Frame, b PFN) bool {
	if g.n == 0 {
		return true
	}
	if m.word(f, pfn, g.index) != g.value {
		return false
	}
	if g.n > 1 {
		r := o.rest(b)
		for i, w := range r.index[:g.n-1] {
			if m.word(f, pfn, w) != r.value[i] {
				return false
			}
		}
	}
	return true
}

// seededWord is word w of a frame filled from seed: two rounds of a multiply and
// fold, enough that pages look incompressible.
func seededWord(seed uint64, w uint16) uint64 {
	x := seed ^ (uint64(w)+1)*0x9e3779b97f4a7c15
	hi, lo := bits.Mul64(x, 0xd6e8feb86659fd93)
	x = hi ^ lo
	hi, lo = bits.Mul64(x^seed, 0xa0761d6478bd642f)
	return hi ^ lo
}

// versions holds the 4 KiB blocks that frames of one or several Memories use.
type versions struct {
	slabs []*[slabBlocks]block
	refs  []uint32 // by number: frames that use the block
	free  []uint32 // blocks that nobody uses
}

type block [frameWords]uint64

const slabBlocks = 16

func (v *versions) at(n uint64) *block { return &v.slabs[n/slabBlocks][n%slabBlocks] }

// alloc returns the number of a block for one user; its contents are leftovers.
func (v *versions) alloc() uint64 {
	if n := len(v.free); n > 0 {
		b := v.free[n-1]
		v.free = v.free[:n-1]
		v.refs[b] = 1
		return uint64(b)
	}
	if len(v.refs)%slabBlocks == 0 {
		v.slabs = append(v.slabs, new([slabBlocks]block))
	}
	v.refs = append(v.refs, 1)
	return uint64(len(v.refs) - 1)
}

func (v *versions) release(b uint64) {
	v.refs[b]--
	if v.refs[b] == 0 {
		v.free = append(v.free, uint32(b))
	}
}

// join moves m's versions to those of from, once: from then on contents pass
// between the two by number.
func (m *Memory) join(from *Memory) {
	old := m.versions
	if old == from.versions {
		return
	}
	m.versions = from.versions
	for i := range m.full {
		m.full[i].pfn = noFrame
	}
	for i := range m.frames {
		if f := m.frameAt(i); f.is() >= ownVersion {
			n := m.versions.alloc()
			*m.versions.at(n) = *old.at(f.value)
			old.release(f.value)
			f.value, f.kind = n, ownVersion|f.kind&frameFlags
		}
	}
}
