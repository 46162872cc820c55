package cpu

import (
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

var testCosts = Costs{Load: 4, Store: 1, RMW: 15, Barrier: 7, TLBILocal: 40, TLBIBroadcast: 900, TLBIShared: 500, WalkLevel: 11, TLBHit2: 5}

// guest is a machine with one VM of n pages of memory, mapped writable from 0 on.
type guest struct {
	*Machine
	s mmu.Stage2
	b mmu.Block
}

func newGuest(cores int, pages uint64, g mmu.Granule) *guest {
	m := NewMachine(Spec{Cores: cores, Costs: testCosts})
	w := &guest{Machine: m, s: mmu.NewStage2(m.Mem, m.Alloc, g, 40, 1)}
	for i := range mmu.GFN(pages) {
		w.mapAt(g.IPA(i), m.Alloc.Alloc(g.Shift()-mmu.FrameShift).PA(), 3)
	}
	return w
}

func (w *guest) mapAt(ipa mmu.IPA, pa mmu.PA, level int8) {
	p := w.s.Map(ipa, pa, level, mmu.ProtRead|mmu.ProtWrite|mmu.ProtExec, false)
	mmu.RunNow(w.Mem, w.Domain, &w.b, &p)
}

// TestExec: every micro-op's effect, result and time.
func TestExec(t *testing.T) {
	m := NewMachine(Spec{Cores: 1, Costs: testCosts})
	c := m.Cores[0]
	b := mmu.Block{By: mmu.WriterVMM}
	b.Store(0x1000, 8, 0xff00)
	b.Load(0x1001, 1)
	b.Push(mmu.Op{Kind: mmu.OpSwap, Addr: 0x1000, Size: 4, Val: 0x1234})
	b.Push(mmu.Op{Kind: mmu.OpSetBits, Addr: 0x1000, Size: 8, Val: 0x1})
	b.Push(mmu.Op{Kind: mmu.OpClearBits, Addr: 0x1000, Size: 2, Val: 0x30})
	b.Push(mmu.Op{Kind: mmu.OpAdd, Addr: 0x1000, Size: 1, Val: 0xff})
	b.Push(mmu.Op{Kind: mmu.OpCAS, Addr: 0x1000, Size: 2, Old: 0x1204, Val: 0xabcd})
	b.Push(mmu.Op{Kind: mmu.OpCAS, Addr: 0x1000, Size: 2, Old: 0x1204, Val: 0x5555})
	c.Exec(&b)
	if want := [8]uint64{0, 0xff, 0xff00, 0x1234, 0x1235, 0x05, 0x1204, 0xabcd}; b.Out != want {
		t.Errorf("loaded %#x, want %#x", b.Out, want)
	}
	if v := m.Mem.Load(0x1000, 8); v != 0xabcd || m.Mem.LastWriter(1) != mmu.WriterVMM {
		t.Errorf("memory holds %#x, written by %#x", v, m.Mem.LastWriter(1))
	}
	if c.Now != 1+4+6*15 {
		t.Errorf("took %d cycles, want 95", c.Now)
	}
	b.Reset()
	b.Delay(1000)
	b.Push(mmu.Op{Kind: mmu.OpBarrier})
	b.Push(mmu.Op{Kind: mmu.OpTLBIIPA})
	b.Push(mmu.Op{Kind: mmu.OpTLBIVMID})
	b.Push(mmu.Op{Kind: mmu.OpTLBIVMID, Flags: mmu.OpBroadcast})
	c.Now = 0
	c.Exec(&b)
	if c.Now != 1000+7+40+40+900 {
		t.Errorf("took %d cycles, want 1987", c.Now)
	}
	if want := (CoreStats{Ops: 13, TLBILocal: 2, TLBIBroadcast: 1}); c.Stats != want {
		t.Errorf("counted %+v, want %+v", c.Stats, want)
	}
}

// TestBroadcastsQueue: broadcast TLBIs of several cores are served one by one.
func TestBroadcastsQueue(t *testing.T) {
	m := NewMachine(Spec{Cores: 3, Costs: testCosts})
	for i, want := range []sim.Cycle{1000, 1500, 2000} {
		b := mmu.Block{}
		b.Push(mmu.Op{Kind: mmu.OpTLBIVMID, Flags: mmu.OpBroadcast})
		m.Cores[i].Now = 100
		m.Cores[i].Exec(&b)
		if m.Cores[i].Now != want {
			t.Errorf("core %d ends at %d, want %d", i, m.Cores[i].Now, want)
		}
	}
}

// TestTLBIScope: a local TLBI leaves the other cores' entries, a broadcast none.
func TestTLBIScope(t *testing.T) {
	for _, kind := range []mmu.OpKind{mmu.OpTLBIIPA, mmu.OpTLBIVMID} {
		for _, flags := range []uint8{0, mmu.OpBroadcast} {
			w := newGuest(2, 4, mmu.Granule4K)
			for _, c := range w.Cores {
				c.Store(&w.s, 0x2000, 8, 1, 0)
			}
			w.b.Reset()
			w.b.Push(mmu.Op{Kind: kind, Addr: 0x2000, Val: 1, Flags: flags})
			w.Cores[0].Exec(&w.b)
			for i, c := range w.Cores {
				misses := c.TLB.Stats.Misses
				c.Store(&w.s, 0x2000, 8, 1, 0)
				if missed := c.TLB.Stats.Misses != misses; missed != (i == 0 || flags != 0) {
					t.Errorf("TLBI %d with flags %d: core %d missed: %v", kind, flags, i, missed)
				}
			}
		}
	}
}

// TestTranslationTime: a first-level hit is free, a second-level hit costs
// TLBHit2, a miss one WalkLevel for every descriptor.
func TestTranslationTime(t *testing.T) {
	w := newGuest(1, 64, mmu.Granule4K)
	c := w.Cores[0]
	spent := func(ipa mmu.IPA) sim.Cycle {
		before := c.Now
		c.Store(&w.s, ipa, 8, 1, 0)
		return c.Now - before
	}
	for _, step := range []struct {
		ipa  mmu.IPA
		want sim.Cycle
	}{
		{0x0, 3 * 11}, // 40 bits: levels 1, 2, 3
		{0x8, 0},      //
		{0x1000, 11},  // the walk cache knows the table
		{0x10000, 11}, // the same first-level set as 0
		{0x20000, 11}, //
		{0x30000, 11}, // pushes 0 out of three ways
		{0x0, 5},      //
		{0x0, 0},      //
		{0x10000, 5},  //
	} {
		if got := spent(step.ipa); got != step.want {
			t.Errorf("%#x took %d cycles, want %d", step.ipa, got, step.want)
		}
	}
}

// TestGuestAccesses: loads and stores of every size at every offset against a
// plain array, on every granule, over pages that are not adjacent in memory and
// over a block.
func TestGuestAccesses(t *testing.T) {
	for _, g := range []mmu.Granule{mmu.Granule4K, mmu.Granule16K, mmu.Granule64K} {
		w := newGuest(1, 3, g)
		size := int(3 * g.Size())
		w.mapAt(g.IPA(1), w.Alloc.Alloc(5).PA(), 3) // elsewhere
		c := w.Cores[0]
		want := make([]byte, size+16)
		r := sim.NewStream(uint64(g), "accesses")
		for range 20000 {
			n := uint8(1) << r.N(5)
			at := int(g.Size()*(1+r.N(2))) - 20 + int(r.N(24))
			if r.N(4) == 0 {
				at = int(r.N(uint64(size) - 16))
			}
			if r.N(2) == 0 {
				v := r.Uint64()
				if f := c.Store(&w.s, mmu.IPA(at), n, v, 3); f.Kind != mmu.FaultNone {
					t.Fatal(f)
				}
				for i := range int(n) {
					want[at+i] = byte(v >> (i & 7 * 8))
				}
				continue
			}
			var v uint64
			for i := range min(int(n), 8) {
				v |= uint64(want[at+i]) << (8 * i)
			}
			load := c.Load
			if r.N(2) == 0 {
				load = c.Fetch
			}
			if got, f := load(&w.s, mmu.IPA(at), n); got != v || f.Kind != mmu.FaultNone {
				t.Fatalf("granule %d: %d bytes at %#x are %#x, want %#x (%v)", g.Size(), n, at, got, v, f)
			}
		}
	}
}

// TestStoreAcrossFault: a store that crosses into a page that faults writes
// nothing, names the page that faulted, and can be retried.
func TestStoreAcrossFault(t *testing.T) {
	w := newGuest(1, 2, mmu.Granule4K)
	c := w.Cores[0]
	p := w.s.Protect(1, 1)
	mmu.RunNow(w.Mem, w.Domain, &w.b, &p)
	for _, size := range []uint8{8, 16} {
		if f := c.Store(&w.s, 0xffc, size, ^uint64(0), 1); f != (mmu.Fault{IPA: 0x1000, Kind: mmu.FaultPermission, Level: 3}) {
			t.Errorf("size %d: %+v", size, f)
		}
	}
	if v, f := c.Load(&w.s, 0xff8, 16); v != 0 || f.Kind != mmu.FaultNone {
		t.Errorf("the first page holds %#x after the fault (%+v)", v, f)
	}
	if _, f := c.Load(&w.s, 0x1ffc, 8); f != (mmu.Fault{IPA: 0x2000, Kind: mmu.FaultTranslation, Level: 3}) {
		t.Errorf("load into a hole: %+v", f)
	}
	relax := w.s.Relax(0x1000, mmu.ProtWrite, true, 0)
	for w.b.N = 0; relax.Next(&w.b); {
		c.Exec(&w.b)
	}
	if f := c.Store(&w.s, 0xffc, 8, 0x1122334455667788, 1); f.Kind != mmu.FaultNone {
		t.Errorf("retry: %+v", f)
	}
	if v, _ := c.Load(&w.s, 0x1000, 4); v != 0x11223344 {
		t.Errorf("the second page holds %#x", v)
	}
}

// TestGuestWritesAreJournalled: the first store to a watched frame in an epoch is
// seen whichever way it comes, and names the writer.
func TestGuestWritesAreJournalled(t *testing.T) {
	w := newGuest(1, 3, mmu.Granule4K)
	c := w.Cores[0]
	for i := range mmu.IPA(3) {
		pa, _, _ := c.Translate(&w.s, i<<12, mmu.AccessRead)
		w.Mem.Watch(pa.PFN(), uint64(i))
	}
	for epoch := range 2 {
		c.Store(&w.s, 0x2008, 8, 1, 4)
		c.Store(&w.s, 0x2008, 8, 2, 5)
		c.Store(&w.s, 0xffe, 4, 2, 6)
		var got []mmu.JournalEntry
		for _, e := range w.Mem.Journal() {
			got = append(got, mmu.JournalEntry{Tag: e.Tag, By: e.By})
		}
		if diff := cmp.Diff([]mmu.JournalEntry{{Tag: 2, By: 5}, {Tag: 0, By: 6}, {Tag: 1, By: 6}}, got); diff != "" {
			t.Errorf("epoch %d (-want +got):\n%s", epoch, diff)
		}
		w.Mem.NextEpoch()
	}
}

// script drives a machine at random: guests' accesses, edits of the tables, TLBIs.
func (w *guest) script(r *sim.Stream, steps int) {
	for range steps {
		c := w.Cores[r.N(uint64(len(w.Cores)))]
		ipa := mmu.IPA(r.N(64) << 12)
		switch r.N(12) {
		case 0:
			p := w.s.Protect(mmu.GFN(ipa>>12), r.N(9))
			for w.b.N = 0; p.Next(&w.b); {
				c.Exec(&w.b)
			}
		case 1:
			p := w.s.Relax(ipa, mmu.ProtWrite, true, uint8(r.N(2))*mmu.OpBroadcast)
			for w.b.N = 0; p.Next(&w.b); {
				c.Exec(&w.b)
			}
		case 2:
			w.b.Reset()
			w.b.Push(mmu.Op{Kind: mmu.OpTLBIVMID, Val: 1, Flags: uint8(r.N(2)) * mmu.OpBroadcast})
			c.Exec(&w.b)
		case 3:
			c.Load(&w.s, ipa, 8)
		default:
			c.Store(&w.s, ipa+mmu.IPA(r.N(4096)), 8, r.Uint64(), mmu.Writer(c.ID))
		}
	}
}

// TestMachineSnapshot: save, restore, continue equals the undisturbed run.
func TestMachineSnapshot(t *testing.T) {
	w := newGuest(3, 64, mmu.Granule4K)
	r := sim.NewStream(5, "machine")
	w.script(&r, 5000)
	e := sim.NewEncoder()
	w.Sync(e)
	w.s.Sync(e, w.Alloc)
	v := newGuest(3, 0, mmu.Granule4K)
	v.Cores[1].Store(&v.s, 0, 8, 1, 1)
	d := sim.NewDecoder(e.Finish())
	v.Sync(d)
	v.s.Sync(d, v.Alloc)
	if d.Finish(); d.Err() != nil {
		t.Fatal(d.Err())
	}
	q := r
	w.script(&r, 5000)
	v.script(&q, 5000)
	a, b := sim.NewHasher(), sim.NewHasher()
	w.Sync(a)
	v.Sync(b)
	if a.Sum() != b.Sum() {
		t.Error("the machine went another way after the restore")
	}
	for i := range w.Cores {
		if w.Cores[i].Now != v.Cores[i].Now || w.Cores[i].Now == 0 {
			t.Errorf("core %d is at %d after the restore, undisturbed at %d", i, v.Cores[i].Now, w.Cores[i].Now)
		}
	}
	for _, spec := range []Spec{{Cores: 2}, {Cores: 3, TLB: mmu.TLBSpec{Entries: 64, Ways: 4}}} {
		d = sim.NewDecoder(e.Finish())
		if NewMachine(spec).Sync(d); d.Err() == nil {
			t.Errorf("a machine of three cores was restored into %+v", spec)
		}
	}
}

// TestManyCoresAreCheap: 512 cores cost nothing before they run.
func TestManyCoresAreCheap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m := NewMachine(Spec{Cores: 512})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := after.HeapAlloc - before.HeapAlloc; used > 1<<20 {
		t.Errorf("512 idle cores use %d KiB", used>>10)
	}
	runtime.KeepAlive(m)
}

func TestSpecs(t *testing.T) {
	for _, s := range []Spec{{}, {Cores: -1}, {Cores: MaxCores + 1}, {Cores: 1, TLB: mmu.TLBSpec{Entries: 3, Ways: 2}}} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if err := (Spec{Cores: MaxCores}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestNoAllocations: the paths that a simulation repeats allocate nothing.
func TestNoAllocations(t *testing.T) {
	w := newGuest(1, 4096, mmu.Granule4K)
	c := w.Cores[0]
	i := mmu.IPA(0)
	var protect mmu.ProtectProgram
	var relax mmu.RelaxProgram
	for name, f := range map[string]func(){
		"store": func() { i++; c.Store(&w.s, i*0x35%4096<<12, 8, uint64(i), 1) },
		"wide":  func() { i++; c.Store(&w.s, i*0x35%4095<<12|0xffc, 8, uint64(i), 1) },
		"load":  func() { i++; c.Load(&w.s, i*0x35%4096<<12, 8) },
		"protect and relax": func() {
			i++
			gfn := mmu.GFN(i * 0x35 % 4096)
			protect = w.s.Protect(gfn, 20)
			for w.b.N = 0; protect.Next(&w.b); {
				c.Exec(&w.b)
			}
			relax = w.s.Relax(mmu.IPA(gfn<<12), mmu.ProtWrite, true, 0)
			for w.b.N = 0; relax.Next(&w.b); {
				c.Exec(&w.b)
			}
		},
	} {
		for range 20000 {
			f()
		}
		if n := testing.AllocsPerRun(5000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
