package mmu

import "encoding/binary"

// Memory is the physical memory of one machine: 2^48 bytes of which only the
// frames that somebody touched exist.
//
//	PFN ─► region (16 GiB) ─► chunk (2 MiB) ─► Frame (16 bytes) and its rest:
//	                                             base + up to 4 changed words
//	                                             or a whole version of 4 KiB,
//	                                             shared copy-on-write
//
// Several Memories (a migration's source and destination, an audit's copy) share
// versions, so that CopyFrame costs the same for any contents. A frame never
// moves once it exists: a TLB entry holds a pointer to it.
//
// A frame that is watched enters the journal at the first write of each epoch.
// This is the only write hook and costs one comparison per store.
type Memory struct {
	recent   [recentFrames]recentFrame
	full     [recentFrames]fullFrame
	epoch    uint16 // of the journal; never 0
	versions *versions
	regions  []*region
	slabs    []*[slabFrames]Frame
	rests    []*[slabFrames]rest
	frames   uint32 // frames made so far
	journal  []JournalEntry
	code     uint64         // see CodeWrites
	onCode   func(PFN)      // see OnCodeWrite; nil for nobody
	monitors []*Reservation // armed
	tagged   int            // entries of the journal that have their tags
}

// JournalEntry is a watched frame that was written in this epoch.
type JournalEntry struct {
	PFN PFN
	Tag uint64 // as given to Watch
	By  Writer // the last writer so far
}

// PABits is the width of a physical address: 48 bits, what VMSAv8-64 has without
// FEAT_LPA and FEAT_LPA2. Higher bits of a PA are ignored.
const PABits = 48

const pfnMask = 1<<(PABits-FrameShift) - 1

// NewMemory returns memory that reads as zero everywhere.
func NewMemory() *Memory {
	m := &Memory{epoch: 1, versions: new(versions)}
	for i := range m.recent {
		m.recent[i].pfn, m.full[i].pfn = noFrame, noFrame
	}
	return m
}

// Load reads size bytes (1, 2, 4 or 8) at any address, little-endian.
func (m *Memory) Load(pa PA, size uint8) uint64 {
	off, pfn := uint64(pa)&7, pa.PFN()
	if v := &m.full[pfn%recentFrames]; v.pfn == pfn && off+uint64(size) <= 8 {
		return v.block[wordOf(pa)] >> (off * 8) & sizeMask(size)
	}
	return m.loadAny(pa, size)
}

// loadAny is Load where the frame's version is not at hand.
func (m *Memory) loadAny(pa PA, size uint8) uint64 {
	off := uint64(pa) & 7
	if off+uint64(size) > 8 {
		var p [8]byte
		m.Read(pa, p[:size])
		return binary.LittleEndian.Uint64(p[:])
	}
	pfn := pa.PFN()
	r := &m.recent[pfn%recentFrames]
	f := r.f
	if r.pfn != pfn {
		if f = m.find(pfn); f == nil {
			return 0
		}
	}
	m.remember(pfn, f)
	return m.word(f, pfn, wordOf(pa)) >> (off * 8) & sizeMask(size)
}

// Store writes the low size bytes (1, 2, 4 or 8) of v at any address.
func (m *Memory) Store(pa PA, size uint8, v uint64, by Writer) {
	off, pfn := uint64(pa)&7, pa.PFN()
	d := &m.full[pfn%recentFrames]
	if d.pfn != pfn || d.f.epoch != m.epoch || off+uint64(size) > 8 {
		m.storeAny(pa, size, v, by)
		return
	}
	d.f.writer = by
	w := &d.block[wordOf(pa)]
	if size != 8 {
		mask := sizeMask(size) << (off * 8)
		v = *w&^mask | v<<(off*8)&mask
	}
	*w = v
}

// storeAny is Store where the frame's version is not at hand, or this is its first
// write.
func (m *Memory) storeAny(pa PA, size uint8, v uint64, by Writer) {
	if uint64(pa)&7+uint64(size) > 8 {
		var p [8]byte
		binary.LittleEndian.PutUint64(p[:], v)
		m.Write(pa, p[:size], by)
		return
	}
	pfn := pa.PFN()
	r := &m.recent[pfn%recentFrames]
	f := r.f
	if r.pfn != pfn {
		f = m.makeFrame(pfn)
	}
	m.remember(pfn, f)
	m.StoreIn(f, pa, size, v, by)
}

// LoadIn is Load where the caller holds pa's frame, as a TLB entry does. The
// bytes lie in one aligned 8-byte word.
func (m *Memory) LoadIn(f *Frame, pa PA, size uint8) uint64 {
	return m.word(f, pa.PFN(), wordOf(pa)) >> (uint64(pa) & 7 * 8) & sizeMask(size)
}

// StoreIn is Store where the caller holds pa's frame, as a TLB entry does. The
// bytes lie in one aligned 8-byte word.
func (m *Memory) StoreIn(f *Frame, pa PA, size uint8, v uint64, by Writer) {
	if f.epoch != m.epoch {
		m.firstWrite(f, pa, uint64(size))
	}
	f.writer = by
	w := wordOf(pa)
	if size != 8 {
		shift, mask := uint64(pa)&7*8, sizeMask(size)
		v = m.word(f, pa.PFN(), w)&^(mask<<shift) | v&mask<<shift
	}
	if f.index == w {
		f.value = v // most stores of a workload hit the same word of a page
		return
	}
	m.setWord(f, pa.PFN(), w, v)
}

// Read copies len(p) bytes from pa on.
func (m *Memory) Read(pa PA, p []byte) {
	for len(p) > 0 {
		off := int(pa & (FrameSize - 1))
		n := min(len(p), FrameSize-off)
		m.readFrame(m.find(pa.PFN()), pa.PFN(), off, p[:n])
		p, pa = p[n:], pa+PA(n)
	}
}

// Write copies p to pa on.
func (m *Memory) Write(pa PA, p []byte, by Writer) {
	for len(p) > 0 {
		off := int(pa & (FrameSize - 1))
		n := min(len(p), FrameSize-off)
		f := m.written(pa.PFN(), by)
		m.writeFrame(f, pa.PFN(), off, p[:n])
		p, pa = p[n:], pa+PA(n)
	}
}

// Fill sets n bytes from pa on to b. A whole frame costs no more than a store.
func (m *Memory) Fill(pa PA, n uint64, b byte, by Writer) {
	word := uint64(b) * 0x0101010101010101
	for n > 0 {
		off := uint64(pa) & (FrameSize - 1)
		k := min(n, FrameSize-off)
		f := m.written(pa.PFN(), by)
		if k == FrameSize {
			m.rebase(f, pa.PFN(), filled, word)
		} else {
			m.fillPart(f, pa.PFN(), off, k, word)
		}
		n, pa = n-k, pa+PA(k)
	}
}

// Seed gives a frame contents that look random and cost nothing: word w is a
// hash of seed and w. It is a loader's write.
func (m *Memory) Seed(pfn PFN, seed uint64) {
	m.rebase(m.written(pfn, WriterImage), pfn, seeded, seed)
}

// CopyFrame makes frame dst equal to frame src of from, which may be m. The
// contents are shared until one of the two is written; the writer goes with them.
func (m *Memory) CopyFrame(dst PFN, from *Memory, src PFN) {
	s := from.find(src)
	if s == nil {
		if c := m.findChunk(dst); c != nil && (c.watched || m.find(dst) != nil) {
			m.drop(m.written(dst, 0), dst)
		}
		return // nothing onto nothing makes no frame
	}
	d := m.written(dst, s.writer)
	if d == s {
		return
	}
	if s.is() >= ownVersion {
		m.join(from)
		from.forget(src)
		s.kind = sharedVersion | s.kind&frameFlags
		m.versions.refs[s.value]++
	}
	m.drop(d, dst)
	d.kind |= s.is()
	d.value, d.index, d.n = s.value, s.index, s.n
	if s.n > 1 || s.is() == filled || s.is() == seeded {
		r, tag := m.rest(dst), m.rest(dst).tag
		*r = *from.rest(src)
		r.tag = tag
	}
}

// EqualFrame reports whether frame a and frame b of o hold the same bytes.
func (m *Memory) EqualFrame(a PFN, o *Memory, b PFN) bool {
	f, g := m.find(a), o.find(b)
	if f == nil {
		f = &zeroFrame
	}
	if g == nil {
		g = &zeroFrame
	}
	return equalFrames(m, f, a, o, g, b)
}

// FrameBytes copies a frame's contents to out.
func (m *Memory) FrameBytes(pfn PFN, out *[FrameSize]byte) {
	m.readFrame(m.find(pfn), pfn, 0, out[:])
}

// Watch makes pfn enter the journal when it is next written. tag comes back in
// the journal.
func (m *Memory) Watch(pfn PFN, tag uint64) { m.watch(m.Frame(pfn), m.rest(pfn), tag) }

// WatchRange watches n frames from pfn on with the tags tag, tag+1, … It costs
// one step per 2 MiB, however many frames exist.
func (m *Memory) WatchRange(pfn PFN, n, tag uint64) {
	for n > 0 {
		first := uint64(pfn) & (chunkFrames - 1)
		k := min(n, chunkFrames-first)
		c := m.chunk(pfn)
		if k == chunkFrames {
			c.watched, c.tag = true, tag
			m.eachFrame(c, func(key uint16, n uint32) { m.watch(m.frameAt(n), m.restAt(n), tag+uint64(key)) })
		} else {
			for i := range k {
				m.Watch(pfn+PFN(i), tag+i)
			}
		}
		pfn, n, tag = pfn+PFN(k), n-k, tag+k
	}
}

// Discard makes n frames from pfn on zero, unwatched and written by nobody: they
// go back to the allocator.
func (m *Memory) Discard(pfn PFN, n uint64) {
	for n > 0 {
		first := uint64(pfn) & (chunkFrames - 1)
		k := min(n, chunkFrames-first)
		if c := m.findChunk(pfn); c != nil {
			if k == chunkFrames {
				c.watched = false
			} else if c.watched {
				m.spellOut(c, pfn)
			}
			m.resolve()
			m.eachFrame(c, func(key uint16, n uint32) {
				if uint64(key)-first < k {
					f := m.frameAt(n)
					at := pfn - PFN(first) + PFN(key)
					m.alarm(f, at.PA(), FrameSize)
					m.drop(f, at)
					*f, *m.restAt(n) = zeroFrame, rest{}
				}
			})
		}
		pfn, n = pfn+PFN(k), n-k
	}
}

// Journal returns the watched frames written since NextEpoch, in order of their
// first write. The slice is valid until the next write.
func (m *Memory) Journal() []JournalEntry {
	m.resolve()
	for i := range m.journal {
		m.journal[i].By = m.LastWriter(m.journal[i].PFN)
	}
	return m.journal
}

// resolve looks up the tags of the journal's entries: late, to spare the first
// write the way to the frame's rest, but before any of them may change.
func (m *Memory) resolve() {
	for ; m.tagged < len(m.journal); m.tagged++ {
		e := &m.journal[m.tagged]
		e.Tag = m.rest(e.PFN).tag
	}
}

// watch marks a frame.
func (m *Memory) watch(f *Frame, r *rest, tag uint64) {
	if f.kind&flagWatched == 0 || r.tag != tag {
		m.resolve()
		f.kind |= flagWatched
		f.epoch, r.tag = f.epoch&alert, tag
	}
}

// NextEpoch empties the journal: every watched frame can enter it again.
func (m *Memory) NextEpoch() {
	m.journal, m.tagged = m.journal[:0], 0
	m.epoch++
	if m.epoch == alert { // once in 2^15 epochs
		m.epoch = 1
		for i := range m.frames {
			m.frameAt(i).epoch &= alert
		}
	}
}

// LastWriter returns who wrote the frame last, 0 if nobody ever did.
func (m *Memory) LastWriter(pfn PFN) Writer {
	if f := m.find(pfn); f != nil {
		return f.writer
	}
	return 0
}

// written returns the frame about to be written by by.
func (m *Memory) written(pfn PFN, by Writer) *Frame {
	f := m.Frame(pfn)
	if f.epoch != m.epoch {
		m.firstWrite(f, pfn.PA(), FrameSize)
	}
	f.writer = by
	return f
}

// firstWrite notes the first write to a frame in this epoch, and every write to
// one that is on the alert.
//
//go:noinline
func (m *Memory) firstWrite(f *Frame, pa PA, n uint64) {
	if f.epoch&alert != 0 {
		m.alarm(f, pa, n)
	}
	if f.epoch&^alert == m.epoch {
		return
	}
	f.epoch = f.epoch&alert | m.epoch
	if f.kind&flagWatched != 0 {
		m.journal = append(m.journal, JournalEntry{PFN: pa.PFN() & pfnMask})
	}
}

func wordOf(pa PA) uint16 { return uint16(pa>>3) & (frameWords - 1) }

// sizeMask covers the low size bytes, size being 1 to 8.
func sizeMask(size uint8) uint64 { return ^uint64(0) >> ((8 - size) * 8 & 63) }
