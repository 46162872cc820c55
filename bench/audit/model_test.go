package audit

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// model is the audit as one would write it without any care for cost: whole
// pages of bytes on both sides, and every page compared every time.
type model struct {
	src, dst    [][]byte
	missed      []uint32
	changed     []uint32 // collection that counted it
	reported    []uint32
	collected   []sim.Cycle
	writer      []mmu.Writer
	written     []bool // ever
	known       []bool // written before some collection opened, or found different
	collections []Collection
	isOpen      bool
}

func newModel(pages, size int) *model {
	m := &model{
		missed: make([]uint32, pages), changed: make([]uint32, pages), reported: make([]uint32, pages),
		collected: make([]sim.Cycle, pages), writer: make([]mmu.Writer, pages),
		written: make([]bool, pages), known: make([]bool, pages),
	}
	for range pages {
		m.src = append(m.src, make([]byte, size))
		m.dst = append(m.dst, make([]byte, size))
	}
	return m
}

func (m *model) open(now sim.Cycle) {
	if !m.isOpen {
		m.collections = append(m.collections, Collection{Opened: now})
	}
	m.isOpen = true
	k := uint32(len(m.collections))
	for p := range m.src {
		m.known[p] = m.known[p] || m.written[p]
		switch {
		case bytes.Equal(m.src[p], m.dst[p]):
			m.missed[p], m.changed[p] = 0, 0
		case m.missed[p] == 0 && (m.changed[p] != k || m.reported[p] == k):
			m.changed[p], m.reported[p] = k, 0
			m.collections[k-1].Changed++
		}
	}
}

func (m *model) collect(p int, now sim.Cycle) {
	k := uint32(len(m.collections))
	c := &m.collections[k-1]
	c.Reported++
	switch {
	case bytes.Equal(m.src[p], m.dst[p]):
		c.Spurious++
	case m.missed[p] != 0:
		m.collections[m.missed[p]-1].Late++
	case m.changed[p] != k || m.reported[p] == k:
		m.changed[p] = k
		c.Changed++
	}
	if m.known[p] = m.known[p] || !bytes.Equal(m.src[p], m.dst[p]); m.known[p] {
		m.collected[p] = now
	}
	m.missed[p], m.reported[p] = 0, k
	copy(m.dst[p], m.src[p])
}

func (m *model) close(now sim.Cycle) {
	k := uint32(len(m.collections))
	m.collections[k-1].Closed = now
	m.isOpen = false
	for p := range m.src {
		if m.changed[p] == k && m.reported[p] != k {
			m.missed[p] = k
			m.collections[k-1].Missed++
		}
	}
}

func (m *model) lost(first mmu.GFN) (lost []LostPage) {
	for p := range m.src {
		if !bytes.Equal(m.src[p], m.dst[p]) {
			lost = append(lost, LostPage{GFN: first + mmu.GFN(p), Missed: m.missed[p], Collected: m.collected[p], Writer: m.writer[p]})
		}
	}
	return lost
}

// TestAgainstModel drives audit and model with the same random writes, copies
// and collections, the audit being saved and restored now and then.
func TestAgainstModel(t *testing.T) {
	for _, g := range []mmu.Granule{mmu.Granule4K, mmu.Granule16K} {
		for seed := range uint64(60) {
			testAgainstModel(t, g, seed)
		}
	}
}

func testAgainstModel(t *testing.T, g mmu.Granule, seed uint64) {
	const pages, gfn, pfn, tag = 12, 0x40, 0x1000, 0x700
	rng := rand.New(rand.NewPCG(seed, uint64(g)))
	frames := g.Size() >> mmu.FrameShift
	src, dst := mmu.NewMemory(), mmu.NewMemory()
	src.WatchRange(pfn, pages*frames, tag)
	spec := Spec{Page: g, Regions: []Region{ // two regions that lie the other way round in the guest
		{Tag: tag, IPA: g.IPA(gfn + pages/2), Frames: pages / 2 * frames},
		{Tag: tag + pages/2*frames, IPA: g.IPA(gfn), Frames: pages / 2 * frames},
	}}
	at := func(p int) mmu.PFN { return pfn + mmu.PFN(uint64((p+pages/2)%pages)*frames) } // of page p of the guest
	a, err := New(spec, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(pages, int(g.Size()))

	write := func() {
		p, off, v := rng.IntN(pages), rng.IntN(int(g.Size())/512)*512, byte(rng.IntN(3))
		by := mmu.Writer(rng.IntN(2))
		m.src[p][off], m.written[p] = v, true
		src.Store(at(p).PA()+mmu.PA(off), 1, uint64(v), by)
		for f := range frames { // the writer of a page is that of its first frame that differs
			lo := f << mmu.FrameShift
			if !bytes.Equal(m.src[p][lo:lo+mmu.FrameSize], m.dst[p][lo:lo+mmu.FrameSize]) {
				m.writer[p] = src.LastWriter(at(p) + mmu.PFN(f))
				break
			}
		}
	}
	now := sim.Cycle(0)
	collect := func() {
		p := rng.IntN(pages)
		now++
		a.Collect(gfn+mmu.GFN(p), at(p), now)
		for f := range frames {
			dst.CopyFrame(mmu.PFN(uint64(gfn+p)*frames+f), src, at(p)+mmu.PFN(f))
		}
		m.collect(p, now)
	}
	for range 12 {
		for range rng.IntN(20) {
			write()
		}
		now += 10
		a.Open(now)
		m.open(now)
		for range rng.IntN(8) {
			if rng.IntN(3) == 0 {
				write()
			}
			collect()
		}
		a = reload(t, a)
		if rng.IntN(3) == 0 { // the collector looks again
			a.Open(now)
			m.open(now)
		}
		for range rng.IntN(4) {
			collect()
		}
		now += 10
		a.Close(now)
		m.close(now)
		if d := cmp.Diff(m.collections, a.Collections); d != "" {
			t.Fatalf("granule %d seed %d: collections (-model +audit):\n%s", g, seed, d)
		}
	}
	for range rng.IntN(10) {
		write()
	}
	got := a.Finish()
	want := m.lost(gfn)
	if d := cmp.Diff(want, append([]LostPage(nil), got...)); d != "" {
		t.Fatalf("granule %d seed %d: lost (-model +audit):\n%s", g, seed, d)
	}
	var sum Totals
	for _, c := range a.Collections {
		sum.Changed += c.Changed
		sum.Reported += c.Reported
		sum.Late += c.Late
		sum.Spurious += c.Spurious
	}
	sum.Lost = uint64(len(want))
	if d := cmp.Diff(sum, a.Total); d != "" {
		t.Fatalf("granule %d seed %d: totals (-sum +audit):\n%s", g, seed, d)
	}
}

// reload saves the audit and returns one restored from that, on the same memories.
func reload(t *testing.T, a *Audit) *Audit {
	t.Helper()
	enc := sim.NewEncoder()
	a.Sync(enc)
	b, err := New(a.spec, a.src, a.dst)
	if err != nil {
		t.Fatal(err)
	}
	state := enc.Finish()
	dec := sim.NewDecoder(state)
	b.Sync(dec)
	if dec.Err() != nil {
		t.Fatal(dec.Err())
	}
	if x, y := hash(a), hash(b); x != y {
		t.Fatalf("hash %x before saving, %x after", x, y)
	}
	return b
}

func hash(a *Audit) uint64 {
	h := sim.NewHasher()
	a.Sync(h)
	return h.Sum()
}

// TestSyncRefusesDamage: a saved audit that is cut is an error, and one with a
// changed byte never a panic, neither on loading nor afterwards.
func TestSyncRefusesDamage(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 1)
	r.write(2, 1)
	r.collect(1)
	r.write(3, 1)
	r.a.Open(400)
	enc := sim.NewEncoder()
	r.a.Sync(enc)
	state := enc.Finish()
	for n := range state {
		b, _ := New(r.a.spec, r.src, r.dst)
		dec := sim.NewDecoder(state[:n])
		b.Sync(dec)
		if dec.Err() == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(state))
		}
		for _, x := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(state)
			bad[n] ^= x
			b, _ := New(r.a.spec, r.src, r.dst)
			dec := sim.NewDecoder(bad)
			if b.Sync(dec); dec.Err() == nil && b.open && b.current() == 2 {
				b.Collect(firstGFN+2, firstPFN+2, 500)
				b.Close(500)
				b.Finish()
			}
		}
	}
}

// TestExplain joins lost pages with ledgers of every kind.
func TestExplain(t *testing.T) {
	page := func(gfn mmu.GFN, missed uint32, collected sim.Cycle, w mmu.Writer) LostPage {
		return LostPage{GFN: gfn, Missed: missed, Collected: collected, Writer: w}
	}
	lost := []LostPage{
		page(10, 1, 0, 0),               // a ledger line of its own
		page(11, 1, 500, 0),             // two lines: the newest after its last copy
		page(12, 2, 500, mmu.WriterVMM), // an old line only: the VMM's own write
		page(13, 0, 500, 0),             // an old line only, and changed after the last collection
		page(14, 2, 500, 0),             // an old line only: better than nothing
		page(15, 2, 500, 0),             // no line at all
		page(700, 1, 0, 0),              // in the middle of a block
		page(1024, 1, 0, 0),             // one past the block
	}
	ledger := []Loss{
		{GFN: 512, Pages: 512, Cause: "block", Cycle: 5},
		{GFN: 11, Pages: 1, Cause: "overflow", Cycle: 400},
		{GFN: 11, Pages: 1, Cause: "interrupted", Cycle: 600},
		{GFN: 10, Pages: 5, Cause: "overflow", Cycle: 300},
		{GFN: 9, Pages: 1, Cause: "stale", Cycle: 300},
	}
	var got []string
	for _, e := range Explain(lost, ledger) {
		got = append(got, e.Cause)
	}
	want := []string{"overflow", "interrupted", CauseVMM, CauseTooEarly, "overflow", CauseUnknown, "block", CauseUnknown}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("causes (-want +got):\n%s", d)
	}
	counts := Causes(Explain(lost, ledger))
	wantCounts := []CauseCount{{"overflow", 2}, {CauseUnknown, 2}, {"block", 1}, {CauseTooEarly, 1}, {"interrupted", 1}, {CauseVMM, 1}}
	if d := cmp.Diff(wantCounts, counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
}

// BenchmarkCollection is one collection of 4096 scattered pages of a large guest.
func BenchmarkCollection(b *testing.B) {
	const frames = 1 << 24 // 64 GiB
	r := newRig(b, frames)
	rng := rand.New(rand.NewPCG(1, 2))
	pages := make([]uint64, 4096)
	for i := range pages {
		pages[i] = rng.Uint64N(frames)
	}
	v := uint64(0)
	b.ResetTimer()
	for range b.N {
		v++
		for _, p := range pages {
			r.write(p, v)
		}
		r.collect(pages...)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(pages)), "ns/page")
}
