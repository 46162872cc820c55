package mmu

// How a PFN finds its frame: a region of 16 GiB points to chunks of 2 MiB. Frames
// are numbered in the order in which they were first touched, so that those of a
// working set lie together; where that is the order of the PFNs too, as the
// allocator makes it for single pages, a chunk needs to know only where the run
// begins. A chunk with many runs indexes all its 512 frames. 2^19 chunks with one
// frame each, 1 TiB touched as sparsely as huge pages allow, cost 128 bytes each.

const (
	chunkShift  = 9 // frames in a chunk
	chunkFrames = 1 << chunkShift
	regionShift = 13 // chunks in a region
	slabFrames  = 4096
	fewRuns     = 5 // so that a chunk is one cache line

	recentFrames = 512
	noFrame      = ^PFN(0)
)

type region [1 << regionShift]*chunk

type chunk struct {
	all     *[chunkFrames]uint32 // frame number + 1 by key; nil while few runs tell
	tag     uint64               // of the chunk's first frame, if watched
	runs    [fewRuns]run
	n       uint8 // runs in use
	watched bool  // frames to come are watched
}

// run is n frames whose keys, from key on, and numbers rise together.
type run struct {
	number uint32
	key, n uint16
}

// recentFrame remembers where a frame is, to save the way through region and
// chunk. It is no state: forgetting it changes nothing.
type recentFrame struct {
	pfn PFN
	f   *Frame
}

// fullFrame remembers where the version is that a frame alone uses: most memory
// accesses of software are to tables, rings and bitmaps, which are such. Like
// recentFrame it is no state.
type fullFrame struct {
	pfn   PFN
	f     *Frame
	block *block
}

// remember notes where the version of a frame is, if it has one of its own.
func (m *Memory) remember(pfn PFN, f *Frame) {
	if f.is() == ownVersion {
		m.full[pfn%recentFrames] = fullFrame{pfn, f, m.versions.at(f.value)}
	}
}

// forget precedes the loss of a frame's version, by whatever PFN it is known:
// those that mean the same have the low bits in common.
func (m *Memory) forget(pfn PFN) { m.full[pfn%recentFrames].pfn = noFrame }

// Frame returns the frame of pfn, which exists from then on and never moves: a
// TLB entry keeps the pointer.
func (m *Memory) Frame(pfn PFN) *Frame {
	if r := &m.recent[pfn%recentFrames]; r.pfn == pfn {
		return r.f
	}
	return m.makeFrame(pfn)
}

// find returns the frame of pfn, nil if it does not exist.
func (m *Memory) find(pfn PFN) *Frame {
	r := &m.recent[pfn%recentFrames]
	if r.pfn == pfn {
		return r.f
	}
	c := m.findChunk(pfn)
	if c == nil {
		return nil
	}
	n, ok := c.number(uint16(pfn & (chunkFrames - 1)))
	if !ok {
		return nil
	}
	r.pfn, r.f = pfn, m.frameAt(n)
	return r.f
}

func (m *Memory) makeFrame(pfn PFN) *Frame {
	f := m.frameOnce(pfn)
	m.recent[pfn%recentFrames] = recentFrame{pfn, f}
	return f
}

// frameOnce is Frame for a caller that keeps the pointer: the recent ones remain
// those that are looked up again and again, such as page tables and rings.
func (m *Memory) frameOnce(pfn PFN) *Frame {
	c := m.chunk(pfn)
	key := uint16(pfn & (chunkFrames - 1))
	if n, ok := c.number(key); ok {
		return m.frameAt(n)
	}
	return m.newFrame(c, key)
}

func (m *Memory) findChunk(pfn PFN) *chunk {
	pfn &= pfnMask
	i := uint64(pfn) >> (chunkShift + regionShift)
	if i >= uint64(len(m.regions)) || m.regions[i] == nil {
		return nil
	}
	return m.regions[i][uint64(pfn)>>chunkShift%(1<<regionShift)]
}

// chunk returns the chunk that holds pfn and makes it if need be.
func (m *Memory) chunk(pfn PFN) *chunk {
	if c := m.findChunk(pfn); c != nil {
		return c
	}
	pfn &= pfnMask
	i := uint64(pfn) >> (chunkShift + regionShift)
	for uint64(len(m.regions)) <= i {
		m.regions = append(m.regions, nil)
	}
	if m.regions[i] == nil {
		m.regions[i] = new(region)
	}
	c := new(chunk)
	m.regions[i][uint64(pfn)>>chunkShift%(1<<regionShift)] = c
	return c
}

// number returns the number of a key's frame.
func (c *chunk) number(key uint16) (uint32, bool) {
	if c.all != nil {
		n := c.all[key&(chunkFrames-1)]
		return n - 1, n != 0
	}
	for i := range c.n {
		if r := &c.runs[i%fewRuns]; key-r.key < r.n {
			return r.number + uint32(key-r.key), true
		}
	}
	return 0, false
}

func (m *Memory) frameAt(n uint32) *Frame { return &m.slabs[n/slabFrames][n%slabFrames] }

func (m *Memory) restAt(n uint32) *rest { return &m.rests[n/slabFrames][n%slabFrames] }

// rest returns the rest of a frame that exists.
func (m *Memory) rest(pfn PFN) *rest {
	n, _ := m.findChunk(pfn).number(uint16(pfn & (chunkFrames - 1)))
	return m.restAt(n)
}

func (m *Memory) newFrame(c *chunk, key uint16) *Frame {
	n := m.frames
	m.frames++
	if n%slabFrames == 0 {
		m.slabs = append(m.slabs, new([slabFrames]Frame))
		m.rests = append(m.rests, new([slabFrames]rest))
	}
	c.enter(key, n)
	f := m.frameAt(n)
	*f = zeroFrame
	if c.watched {
		m.watch(f, m.restAt(n), c.tag+uint64(key))
	}
	return f
}

// enter notes that frame n is the one of a key.
func (c *chunk) enter(key uint16, n uint32) {
	if c.all == nil {
		for i := range c.runs[:c.n] {
			if r := &c.runs[i]; key == r.key+r.n && n == r.number+uint32(r.n) {
				r.n++
				return
			}
		}
		if c.n < fewRuns {
			c.runs[c.n] = run{n, key, 1}
			c.n++
			return
		}
		c.all = new([chunkFrames]uint32)
		for _, r := range c.runs {
			for i := range r.n {
				c.all[r.key+i] = r.number + uint32(i) + 1
			}
		}
	}
	c.all[key] = n + 1
}

// eachFrame calls do with the numbers of a chunk's frames in order of their PFNs.
func (m *Memory) eachFrame(c *chunk, do func(key uint16, n uint32)) {
	if c.all != nil {
		for key, n := range c.all {
			if n != 0 {
				do(uint16(key), n-1)
			}
		}
		return
	}
	runs := c.runs // few: sort by insertion
	for i := 1; i < int(c.n); i++ {
		for j := i; j > 0 && runs[j-1].key > runs[j].key; j-- {
			runs[j-1], runs[j] = runs[j], runs[j-1]
		}
	}
	for _, r := range runs[:c.n] {
		for i := range r.n {
			do(r.key+i, r.number+uint32(i))
		}
	}
}

// spellOut makes every frame of a watched chunk, so that some can be unwatched.
func (m *Memory) spellOut(c *chunk, pfn PFN) {
	first := pfn &^ (chunkFrames - 1)
	for key := range PFN(chunkFrames) {
		m.Frame(first + key)
	}
	c.watched = false
}

// eachChunk calls do for every chunk in order of PFN.
func (m *Memory) eachChunk(do func(first PFN, c *chunk)) {
	for i, r := range m.regions {
		if r == nil {
			continue
		}
		for j, c := range r {
			if c != nil {
				do(PFN(i)<<(regionShift+chunkShift)|PFN(j)<<chunkShift, c)
			}
		}
	}
}
