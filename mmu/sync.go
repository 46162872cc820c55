package mmu

import (
	"errors"
	"fmt"

	"ringmap/sim"
)

// Sync saves, restores or hashes the memory. Frames come in order of their PFN,
// so that the bytes depend on contents and history only. Frames that read as new
// are left out. After a restore nobody shares versions until contents are copied
// again; bytes still compare equal.
func (m *Memory) Sync(c *sim.Codec) {
	c.Tag("memory")
	if c.Loading() {
		for _, r := range m.monitors {
			r.Armed = false
		}
		code, decoder := m.code, m.onCode
		*m = *NewMemory()
		m.code, m.onCode = code+1, decoder
		m.syncRanges(c, 0)
		m.load(c)
		return
	}
	m.resolve()
	var ranges, frames int
	m.eachChunk(func(_ PFN, k *chunk) {
		if k.watched {
			ranges++
		}
		m.eachFrame(k, func(key uint16, n uint32) {
			if m.stored(k, key, n) {
				frames++
			}
		})
	})
	m.syncRanges(c, ranges)
	c.Len(&frames)
	m.eachChunk(func(first PFN, k *chunk) {
		m.eachFrame(k, func(key uint16, n uint32) {
			if m.stored(k, key, n) {
				pfn := first + PFN(key)
				sim.Uint(c, &pfn)
				m.syncFrame(c, m.frameAt(n), m.restAt(n))
			}
		})
	})
	m.syncJournal(c)
}

// stored reports whether a frame differs from what a new one at its place is.
func (m *Memory) stored(k *chunk, key uint16, n uint32) bool {
	f, r := m.frameAt(n), m.restAt(n)
	if f.kind&flagWatched != 0 != k.watched || k.watched && r.tag != k.tag+uint64(key) {
		return true
	}
	return f.is() != zeroed || f.n != 0 || f.writer != 0 || m.entered(f)
}

// entered reports whether a frame is in the journal.
func (m *Memory) entered(f *Frame) bool { return f.kind&flagWatched != 0 && f.epoch&^alert == m.epoch }

// syncRanges codes the chunks that are watched whole.
func (m *Memory) syncRanges(c *sim.Codec, n int) {
	c.Len(&n)
	if c.Loading() {
		for ; n > 0 && c.Err() == nil; n-- {
			var first PFN
			sim.Uint(c, &first)
			k := m.chunk(first)
			k.watched = true
			c.U64(&k.tag)
		}
		return
	}
	m.eachChunk(func(first PFN, k *chunk) {
		if k.watched {
			sim.Uint(c, &first)
			c.U64(&k.tag)
		}
	})
}

func (m *Memory) load(c *sim.Codec) {
	var n int
	c.Len(&n)
	for ; n > 0 && c.Err() == nil; n-- {
		var pfn PFN
		sim.Uint(c, &pfn)
		f := m.Frame(pfn)
		m.syncFrame(c, f, m.rest(pfn))
	}
	m.syncJournal(c)
}

var errFrame = errors.New("mmu: impossible contents of a frame")

func (m *Memory) syncFrame(c *sim.Codec, f *Frame, r *rest) {
	kind, entered := f.kind&(flagWatched|kindMask), m.entered(f)
	if f.is() == sharedVersion {
		kind = ownVersion | f.kind&flagWatched // sharing is an economy, not state
	}
	sim.Uint(c, &kind)
	sim.Uint(c, &f.writer)
	c.U64(&r.tag)
	c.Bool(&entered)
	if kind&^flagWatched > ownVersion {
		c.Fail(errFrame)
		return
	}
	if c.Loading() {
		f.kind, f.epoch = kind, 0
		if entered {
			f.epoch = m.epoch
		}
	}
	if f.is() >= ownVersion {
		if c.Loading() {
			f.value = m.versions.alloc()
		}
		b := m.versions.at(f.value)
		for i := range b {
			c.U64(&b[i])
		}
		return
	}
	c.U64(&r.base)
	c.U8(&f.n)
	if f.n > patches {
		c.Fail(errFrame)
		f.n = 0
	}
	for i := range int(f.n) {
		index, value := &f.index, &f.value
		if i > 0 {
			index, value = &r.index[i-1], &r.value[i-1]
		}
		c.U16(index)
		c.U64(value)
		if *index >= frameWords {
			c.Fail(errFrame)
			*index = 0
		}
	}
}

func (m *Memory) syncJournal(c *sim.Codec) {
	sim.Slice(c, &m.journal, func(c *sim.Codec, e *JournalEntry) {
		sim.Uint(c, &e.PFN)
		c.U64(&e.Tag)
	})
	m.tagged = len(m.journal)
}

// reindex rebuilds what a Domain derives from its spaces.
func (d *Domain) reindex(c *sim.Codec) {
	d.ids, d.byVMID = map[Space]SpaceID{}, nil
	if d.next == 0 || d.next > spaceNumbers {
		c.Fail(fmt.Errorf("mmu: impossible numbering of address spaces"))
		d.next, d.spaces = 1, nil
	}
	d.gone = make([]uint64, d.next>>6+1)
	for i := range d.gone {
		d.gone[i] = ^uint64(0) // all but those in use and those to come
	}
	for n := d.next; n>>6 < uint32(len(d.gone)); n++ {
		d.gone[n>>6] &^= 1 << (n & 63)
	}
	for id, s := range d.spaces {
		if s.number == 0 || s.number >= d.next {
			c.Fail(fmt.Errorf("mmu: address space number %d of %d", s.number, d.next))
			d.spaces = nil
			return
		}
		d.gone[s.number>>6] &^= 1 << (s.number & 63)
		d.index(SpaceID(id))
	}
}

// sync codes a TLB of a domain whose spaces are known: the entries still alive,
// each with its place.
func (t *TLB) sync(c *sim.Codec, m *Memory) {
	c.Tag("tlb")
	c.U64(&t.Stats.L1Hits)
	c.U64(&t.Stats.L2Hits)
	c.U64(&t.Stats.Misses)
	c.U64(&t.Stats.Loads)
	c.U64(&t.Stats.Invalid)
	spec := t.spec
	for _, n := range []*int{&spec.Entries, &spec.Ways, &spec.L1Entries, &spec.L1Ways, &spec.WalkEntries, &spec.WalkWays} {
		c.Int(n)
	}
	if spec != t.spec {
		c.Fail(fmt.Errorf("mmu: saved with a TLB of %+v, restored into one of %+v", spec, t.spec))
		return
	}
	used := t.main.tags != nil
	c.Bool(&used)
	if c.Loading() {
		*t = TLB{Stats: t.Stats, domain: t.domain, spec: t.spec}
	}
	if !used || c.Err() != nil {
		return
	}
	t.allocate()
	t.main.sync(c, t.domain, m.leafFrame)
	t.walk.sync(c, t.domain, m.tableFrame)
	for i := range t.first {
		c.U64(&t.first[i])
		if c.Loading() {
			t.first[i] = t.checked(c, t.first[i])
		}
	}
}

// checked refuses numbers of entries that do not exist.
func (t *TLB) checked(c *sim.Codec, word uint64) uint64 {
	for at := uint(0); at < 64; at += 16 {
		if int(uint16(word>>at)) > len(t.main.tags) {
			c.Fail(fmt.Errorf("mmu: TLB entry %d of %d", uint16(word>>at), len(t.main.tags)))
			return 0
		}
	}
	return word
}

// sync codes the entries alive, each with its place. frame finds the frame that
// an entry holds.
func (w *ways) sync(c *sim.Codec, d *Domain, frame func(tag uint64, e Entry) *Frame) {
	n := 0
	for _, tag := range w.tags {
		if !d.retired(tag >> tagSpace) {
			n++
		}
	}
	c.Len(&n)
	if c.Loading() {
		for ; n > 0 && c.Err() == nil; n-- {
			w.load(c, d, frame)
		}
	} else {
		for i, tag := range w.tags {
			if !d.retired(tag >> tagSpace) {
				at := uint32(i)
				c.U32(&at)
				c.U64(&tag)
				c.U64(&w.entries[i].out)
			}
		}
	}
	for i := range w.used {
		c.U16(&w.used[i])
	}
}

var errEntry = errors.New("mmu: TLB entry in an impossible place")

// load restores one entry.
func (w *ways) load(c *sim.Codec, d *Domain, frame func(tag uint64, e Entry) *Frame) {
	var at uint32
	var tag uint64
	var e Entry
	c.U32(&at)
	c.U64(&tag)
	c.U64(&e.out)
	if c.Err() != nil {
		return
	}
	base := tag & (1<<tagClass - 1) & w.mask << w.stride
	way := uint64(at) - base
	if way >= uint64(w.n) || tag == 0 || tag>>tagSpace >= uint64(d.next) || w.tags[at] != 0 {
		c.Fail(errEntry)
		return
	}
	e.frame = frame(tag, e)
	w.place(int(at), tag, e)
}

// leafFrame is the frame of a TLB entry that maps one, tableFrame of an entry of
// the walk cache whose table is one.
func (m *Memory) leafFrame(tag uint64, e Entry) *Frame {
	if tag>>tagClass&(classes-1) != uint64(leafClass[FrameShift]) {
		return nil
	}
	return m.Frame(e.PA(IPA(tag & (1<<tagClass - 1) << FrameShift)).PFN())
}

func (m *Memory) tableFrame(tag uint64, e Entry) *Frame {
	switch tableSizes[tag>>tagClass&(classes-1)] {
	case 21, 30, 39: // of the 4 KiB granule
		return m.Frame(PA(e.out).PFN())
	}
	return nil
}
