package mmu

import (
	"encoding/binary"
	"math/bits"
)

// Frame is the contents of 4 KiB and what is known of their writers: exactly
// one cache line of the host. The contents are a base, most cheaply described,
// and a few words that differ from it; a frame with more differences gets a
// version, a block of 4 KiB.
type Frame struct {
	value  [patches]uint64
	base   uint64 // filled: the word; seeded: the seed; otherwise the version's number
	tag    uint64 // watchedBit, and the tag given to Watch
	epoch  uint32 // of the last write that could enter the journal
	index  [patches]uint16
	writer Writer
	kind   frameKind
	n      uint8 // patches in use
}

type frameKind uint8

const (
	filled        frameKind = iota // every word is base
	seeded                         // word w is seededWord(base, w)
	ownVersion                     // version number base, which nobody else uses
	sharedVersion                  // version number base, to be copied before a write
)

const (
	patches    = 4
	frameWords = FrameSize / 8
	watchedBit = 1 << 63
)

var zeroFrame Frame // what a frame that does not exist reads as

func (f *Frame) watch(tag uint64) {
	if tag |= watchedBit; f.tag != tag {
		f.tag, f.epoch = tag, 0
	}
}

// word returns word w of a frame.
func (m *Memory) word(f *Frame, w uint16) uint64 {
	if f.kind >= ownVersion {
		return m.versions.at(f.base)[w&(frameWords-1)]
	}
	for i := uint8(0); i < f.n; i++ {
		if f.index[i&(patches-1)] == w {
			return f.value[i&(patches-1)]
		}
	}
	if f.kind == filled {
		return f.base
	}
	return seededWord(f.base, w)
}

// setWord changes word w of a frame.
func (m *Memory) setWord(f *Frame, w uint16, v uint64) {
	if f.kind == ownVersion {
		m.versions.at(f.base)[w&(frameWords-1)] = v
		return
	}
	if f.kind == sharedVersion {
		m.own(f)[w&(frameWords-1)] = v
		return
	}
	n := f.n
	for i := uint8(0); i < n; i++ {
		if f.index[i&(patches-1)] == w {
			f.value[i&(patches-1)] = v
			return
		}
	}
	if n < patches {
		f.index[n], f.value[n], f.n = w, v, n+1
		return
	}
	m.own(f)[w&(frameWords-1)] = v
}

// own gives the frame a version of its own and returns it.
func (m *Memory) own(f *Frame) *block {
	switch f.kind {
	case ownVersion:
	case sharedVersion:
		if m.versions.refs[f.base] > 1 {
			n := m.versions.alloc()
			*m.versions.at(n) = *m.versions.at(f.base)
			m.versions.release(f.base)
			f.base = n
		}
	default:
		n := m.versions.alloc()
		b := m.versions.at(n)
		for w := range b {
			if f.kind == filled {
				b[w] = f.base
			} else {
				b[w] = seededWord(f.base, uint16(w))
			}
		}
		for i := range f.n {
			b[f.index[i]] = f.value[i]
		}
		f.base, f.n = n, 0
	}
	f.kind = ownVersion
	return m.versions.at(f.base)
}

// rebase drops the contents of a frame and gives it others.
func (m *Memory) rebase(f *Frame, kind frameKind, base uint64) {
	if f.kind >= ownVersion {
		m.versions.release(f.base)
	}
	f.kind, f.base, f.n = kind, base, 0
}

// readFrame copies the bytes from off on to p; f may be nil.
func (m *Memory) readFrame(f *Frame, off int, p []byte) {
	if f == nil {
		clear(p)
		return
	}
	for len(p) > 0 {
		v := m.word(f, uint16(off>>3)) >> (off & 7 * 8)
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
func (m *Memory) writeFrame(f *Frame, off int, p []byte) {
	if len(p) == FrameSize && f.kind < ownVersion {
		m.rebase(f, filled, binary.LittleEndian.Uint64(p)) // few words may differ from the first
	}
	for len(p) > 0 {
		w, n := uint16(off>>3), min(8-off&7, len(p))
		old := m.word(f, w)
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
			m.setWord(f, w, v)
		}
		p, off = p[n:], off+n
	}
}

// fillPart sets n bytes from off on to the byte that word repeats.
func (m *Memory) fillPart(f *Frame, off, n, word uint64) {
	for n > 0 {
		k := min(8-off&7, n)
		mask := sizeMask(uint8(k)) << (off & 7 * 8)
		w := uint16(off >> 3)
		if old := m.word(f, w); old&mask != word&mask {
			m.setWord(f, w, old&^mask|word&mask)
		}
		off, n = off+k, n-k
	}
}

func equalFrames(m *Memory, f *Frame, o *Memory, g *Frame) bool {
	if f.kind >= ownVersion && g.kind >= ownVersion {
		if m.versions == o.versions && f.base == g.base {
			return true
		}
		return *m.versions.at(f.base) == *o.versions.at(g.base)
	}
	if f.kind == g.kind && f.base == g.base { // the same base: only patches can differ
		for i := range f.n {
			if o.word(g, f.index[i]) != f.value[i] {
				return false
			}
		}
		for i := range g.n {
			if m.word(f, g.index[i]) != g.value[i] {
				return false
			}
		}
		return true
	}
	for w := range uint16(frameWords) {
		if m.word(f, w) != o.word(g, w) {
			return false
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
	for i := range m.frames {
		f := m.frameAt(i)
		if f.kind < ownVersion {
			continue
		}
		n := m.versions.alloc()
		*m.versions.at(n) = *old.at(f.base)
		old.release(f.base)
		f.base, f.kind = n, ownVersion
	}
}
