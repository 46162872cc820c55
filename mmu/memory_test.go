package mmu

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// naiveMemory is Memory as one would explain it: bytes, writers and a journal.
type naiveMemory struct {
	bytes   map[PFN]*[FrameSize]byte
	writer  map[PFN]Writer
	tag     map[PFN]uint64
	entered map[PFN]bool // in this epoch
	journal []JournalEntry
}

func newNaive() *naiveMemory {
	return &naiveMemory{map[PFN]*[FrameSize]byte{}, map[PFN]Writer{}, map[PFN]uint64{}, map[PFN]bool{}, nil}
}

func (n *naiveMemory) wrote(pfn PFN, by Writer) {
	n.writer[pfn] = by
	if tag, ok := n.tag[pfn]; ok && !n.entered[pfn] {
		n.entered[pfn] = true
		n.journal = append(n.journal, JournalEntry{PFN: pfn, Tag: tag})
	}
}

func (n *naiveMemory) write(pa PA, p []byte, by Writer) {
	for i, b := range p {
		at := pa + PA(i)
		if i == 0 || at&(FrameSize-1) == 0 {
			n.wrote(at.PFN(), by)
		}
		n.at(at.PFN())[at%FrameSize] = b
	}
}

func (n *naiveMemory) at(pfn PFN) *[FrameSize]byte {
	if n.bytes[pfn] == nil {
		n.bytes[pfn] = new([FrameSize]byte)
	}
	return n.bytes[pfn]
}

func (n *naiveMemory) read(pa PA, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		at := pa + PA(i)
		p[i] = n.at(at.PFN())[at%FrameSize]
	}
	return p
}

func (n *naiveMemory) frame(pfn PFN) []byte { return n.read(pfn.PA(), FrameSize) }

func (n *naiveMemory) watch(pfn PFN, tag uint64) {
	if old, ok := n.tag[pfn]; !ok || old != tag {
		n.tag[pfn] = tag
		n.entered[pfn] = false
	}
}

func (n *naiveMemory) entries() []JournalEntry {
	for i := range n.journal {
		n.journal[i].By = n.writer[n.journal[i].PFN]
	}
	return n.journal
}

// script is a random sequence of operations on three memories, taken from bytes
// so that a fuzzer can write one.
type script struct {
	rest []byte
	real [3]*Memory
	want [3]*naiveMemory
}

func newScript(b []byte) *script {
	s := &script{rest: b}
	for i := range s.real {
		s.real[i], s.want[i] = NewMemory(), newNaive()
		s.real[i].epoch = 1<<15 - 3 // about to wrap
	}
	return s
}

func (s *script) take(n int) []byte {
	p := make([]byte, n)
	copy(p, s.rest)
	s.rest = s.rest[min(n, len(s.rest)):]
	return p
}

func (s *script) num(most uint64) uint64 {
	return binary.LittleEndian.Uint64(append(s.take(2), 0, 0, 0, 0, 0, 0)) % most
}

// pfn picks one of few frames, in chunks that are full, sparse and far away.
func (s *script) pfn() PFN {
	n := s.num(24)
	return [...]PFN{0x40000, 0x40200 - 4, 1<<36 - 8}[n/8] + PFN(n%8)
}

func (s *script) pa() PA { return s.pfn().PA() + PA(s.num(32)*s.num(130)%FrameSize) }

// step performs one operation on memory and model and compares what they return.
func (s *script) step(t *testing.T) {
	k := s.num(3)
	m, n := s.real[k], s.want[k]
	switch op := s.num(16); op {
	case 0, 1, 2, 3:
		pa, size, v, by := s.pa(), uint8(1)<<s.num(4), binary.LittleEndian.Uint64(s.take(8)), Writer(s.num(5))
		m.Store(pa, size, v, by)
		n.write(pa, binary.LittleEndian.AppendUint64(nil, v)[:size], by)
	case 4, 5:
		pa, size := s.pa(), uint8(1)<<s.num(4)
		var want [8]byte
		copy(want[:], n.read(pa, int(size)))
		if got, want := m.Load(pa, size), binary.LittleEndian.Uint64(want[:]); got != want {
			t.Fatalf("Load(%#x, %d) = %#x, want %#x", pa, size, got, want)
		}
	case 6:
		pa, p, by := s.pa(), s.take(int(s.num(2*FrameSize))), Writer(s.num(5))
		m.Write(pa, p, by)
		n.write(pa, p, by)
	case 7:
		pa, p := s.pa(), make([]byte, s.num(2*FrameSize))
		m.Read(pa, p)
		if want := n.read(pa, len(p)); !bytes.Equal(p, want) {
			t.Fatalf("Read(%#x, %d bytes) differs", pa, len(p))
		}
	case 8:
		pa, size, b, by := s.pa(), s.num(3*FrameSize), byte(s.num(256)), Writer(s.num(5))
		if s.num(2) == 0 {
			pa, size = pa.PFN().PA(), size&^(FrameSize-1)
		}
		m.Fill(pa, size, b, by)
		n.write(pa, bytes.Repeat([]byte{b}, int(size)), by)
	case 9, 10:
		from, dst, src := s.num(3), s.pfn(), s.pfn()
		m.CopyFrame(dst, s.real[from], src)
		n.write(dst.PA(), s.want[from].frame(src), s.want[from].writer[src])
	case 11:
		from, a, b := s.num(3), s.pfn(), s.pfn()
		if got, want := m.EqualFrame(a, s.real[from], b), bytes.Equal(n.frame(a), s.want[from].frame(b)); got != want {
			t.Fatalf("EqualFrame(%#x, %#x) = %v, want %v", a, b, got, want)
		}
	case 12:
		pfn, tag := s.pfn(), s.num(1000)
		m.Watch(pfn, tag)
		n.watch(pfn, tag)
	case 13:
		if diff := cmp.Diff(n.entries(), m.Journal()); diff != "" && len(n.journal)+len(m.Journal()) > 0 {
			t.Fatalf("journal (-want +got):\n%s", diff)
		}
		if s.num(2) == 0 {
			m.NextEpoch()
			n.journal, n.entered = nil, map[PFN]bool{}
		}
	case 14:
		pfn, count := s.pfn(), s.num(4)
		m.Discard(pfn, count)
		for i := range PFN(count) {
			delete(n.bytes, pfn+i)
			delete(n.writer, pfn+i)
			delete(n.tag, pfn+i)
			delete(n.entered, pfn+i)
		}
	case 15:
		pfn, seed := s.pfn(), s.num(100)
		m.Seed(pfn, seed)
		p := make([]byte, FrameSize)
		for w := range uint16(frameWords) {
			binary.LittleEndian.PutUint64(p[w*8:], seededWord(seed, w))
		}
		n.write(pfn.PA(), p, WriterImage)
	}
}

func randomBytes(seed uint64, n int) []byte {
	r := sim.NewStream(seed, "test")
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b
}

// TestMemoryAgainstBytes runs random operations on three memories that share
// versions and on three maps of bytes.
func TestMemoryAgainstBytes(t *testing.T) {
	for seed := range uint64(30) {
		s := newScript(randomBytes(seed, 30000))
		for len(s.rest) > 0 {
			s.step(t)
		}
		for k, m := range s.real {
			for i := range uint64(24) {
				var got [FrameSize]byte
				pfn := [...]PFN{0x40000, 0x40200 - 4, 1<<36 - 8}[i/8] + PFN(i%8)
				m.FrameBytes(pfn, &got)
				if !bytes.Equal(got[:], s.want[k].frame(pfn)) {
					t.Fatalf("seed %d: frame %#x of memory %d differs", seed, pfn, k)
				}
				if m.LastWriter(pfn) != s.want[k].writer[pfn] {
					t.Fatalf("seed %d: writer of frame %#x is %d, want %d", seed, pfn, m.LastWriter(pfn), s.want[k].writer[pfn])
				}
			}
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add(randomBytes(1, 500))
	f.Add([]byte{0, 0, 9, 0, 1, 0, 2, 0, 3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScript(b[:min(len(b), 4000)])
		for len(s.rest) > 0 {
			s.step(t)
		}
	})
}

// TestMemorySnapshot saves a memory in the middle, restores it elsewhere, goes on
// with both, and wants the same bytes, journals and hashes.
func TestMemorySnapshot(t *testing.T) {
	for seed := range uint64(10) {
		s := newScript(randomBytes(seed, 20000))
		for len(s.rest) > 8000 {
			s.step(t)
		}
		s.real[0].WatchRange(0x40000, 1024, 5000)
		restored := newScript(s.rest)
		for i, m := range s.real {
			e := sim.NewEncoder()
			m.Sync(e)
			d := sim.NewDecoder(e.Finish())
			restored.real[i].Sync(d)
			if d.Finish(); d.Err() != nil {
				t.Fatal(d.Err())
			}
		}
		for len(s.rest) > 0 {
			s.blind()
			restored.blind()
			for i := range s.real {
				if a, b := len(s.real[i].journal), len(restored.real[i].journal); a != b {
					t.Fatalf("seed %d: %d entries in the journal, after the restore %d", seed, a, b)
				}
			}
		}
		for i := range s.real {
			a, b := sim.NewHasher(), sim.NewHasher()
			s.real[i].Sync(a)
			restored.real[i].Sync(b)
			if a.Sum() != b.Sum() {
				t.Errorf("seed %d: memory %d went another way after the restore", seed, i)
			}
			if diff := cmp.Diff(s.real[i].Journal(), restored.real[i].Journal()); diff != "" {
				t.Errorf("seed %d: journal of memory %d (-undisturbed +restored):\n%s", seed, i, diff)
			}
		}
	}
}

// blind performs writes without comparing.
func (s *script) blind() {
	m := s.real[s.num(3)]
	switch s.num(5) {
	case 0, 1:
		m.Store(s.pa(), uint8(1)<<s.num(4), s.num(1<<16), Writer(s.num(5)))
	case 2:
		m.Fill(s.pa(), s.num(2*FrameSize), byte(s.num(256)), Writer(s.num(5)))
	case 3:
		m.CopyFrame(s.pfn(), s.real[s.num(3)], s.pfn())
	case 4:
		if s.num(4) == 0 {
			m.NextEpoch()
		}
		m.Watch(s.pfn(), s.num(1000))
	}
}

// TestVersionsStayEqual: after a restore shared contents are two copies, which
// must compare equal, until one is written.
func TestVersionsStayEqual(t *testing.T) {
	src, dst := NewMemory(), NewMemory()
	for w := range PA(20) {
		src.Store(0x5000+w*8, 8, uint64(w)*3, 1)
	}
	dst.CopyFrame(9, src, 5)
	for _, m := range []*Memory{src, dst} {
		e := sim.NewEncoder()
		m.Sync(e)
		d := sim.NewDecoder(e.Finish())
		m.Sync(d)
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
	}
	if !dst.EqualFrame(9, src, 5) {
		t.Error("restored versions differ")
	}
	src.Store(0x5ff8, 1, 1, 1)
	if dst.EqualFrame(9, src, 5) {
		t.Error("a write to the source after the restore shows in the destination")
	}
}

// TestCopyIsShared: a copy costs no block until one of the two is written.
func TestCopyIsShared(t *testing.T) {
	src, dst := NewMemory(), NewMemory()
	for w := range PA(20) {
		src.Store(0x5000+w*8, 8, 7, 1)
	}
	used := func() int { return len(src.versions.refs) - len(src.versions.free) }
	for i := range PFN(100) {
		dst.CopyFrame(i, src, 5)
	}
	if used() != 1 {
		t.Errorf("100 copies use %d blocks, want 1", used())
	}
	src.Store(0x5000, 8, 8, 1)
	if used() != 2 || dst.Load(0, 8) != 7 || src.Load(0x5000, 8) != 8 {
		t.Errorf("after a write: %d blocks, copy %d, original %d", used(), dst.Load(0, 8), src.Load(0x5000, 8))
	}
	dst.Discard(0, 100)
	if used() != 1 {
		t.Errorf("after the copies are gone: %d blocks, want 1", used())
	}
}

// TestWatchRange: ranges are watched without making frames, whatever order of
// watching, touching and discarding.
func TestWatchRange(t *testing.T) {
	m := NewMemory()
	m.Store(0x200*FrameSize+8, 8, 1, 1) // exists before it is watched
	m.WatchRange(0x1f0, 0x220, 1000)
	if m.frames > 0x30 {
		t.Errorf("watching 544 frames made %d", m.frames)
	}
	m.NextEpoch()
	for _, pfn := range []PFN{0x1ef, 0x1f0, 0x200, 0x201, 0x40f, 0x410} {
		m.Store(pfn.PA(), 8, 1, 3)
	}
	want := []JournalEntry{{0x1f0, 1000, 3}, {0x200, 1016, 3}, {0x201, 1017, 3}, {0x40f, 1543, 3}}
	if diff := cmp.Diff(want, m.Journal()); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	m.NextEpoch()
	m.Discard(0x210, 0x10)
	m.Store(0x20f*FrameSize, 8, 1, 3)
	m.Store(0x210*FrameSize, 8, 1, 3)
	m.Store(0x220*FrameSize, 8, 1, 3)
	want = []JournalEntry{{0x20f, 1031, 3}, {0x220, 1048, 3}}
	if diff := cmp.Diff(want, m.Journal()); diff != "" {
		t.Errorf("journal after a discard (-want +got):\n%s", diff)
	}
}

// TestFootprint: what touching costs the host. 100,000 pages strewn over 1 TiB
// stay far below 40 MB; 2^19 chunks of one page below 80 MB.
func TestFootprint(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	for _, c := range []struct {
		pages, stride, limit uint64
	}{{100_000, 0x9e3779b1, 24 << 20}, {1 << 19, 1 << 9, 80 << 20}, {1 << 18, 1, 24 << 20}} {
		before := heap()
		m := NewMemory()
		for i := range c.pages {
			m.Store(PFN(i*c.stride%(1<<28)).PA(), 8, i, 1)
		}
		if used := heap() - before; used > c.limit {
			t.Errorf("%d pages at stride %#x use %d KiB, limit %d", c.pages, c.stride, used>>10, c.limit>>10)
		}
		runtime.KeepAlive(m)
	}
}

// TestMemoryRefusesDamage: a damaged snapshot gives an error, never a panic.
func TestMemoryRefusesDamage(t *testing.T) {
	s := newScript(randomBytes(3, 6000))
	for len(s.rest) > 0 {
		s.step(t)
	}
	e := sim.NewEncoder()
	s.real[0].Sync(e)
	good := e.Finish()
	for i := 0; i < len(good); i += 7 {
		bad := bytes.Clone(good)
		bad[i] ^= 0x81
		m := NewMemory()
		m.Sync(sim.NewDecoder(bad))
		m.Sync(sim.NewDecoder(good[:i]))
		m.Store(0, 8, 1, 1)
	}
}
