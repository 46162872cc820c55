package cpu

import (
	"testing"

	"ringmap/cpu/cache"
	"ringmap/mmu"
	"ringmap/sim"
)

// timedGuest is newGuest with caches.
func timedGuest(cores int, pages uint64, spec cache.Spec) *guest {
	m := NewMachine(Spec{Cores: cores, Costs: testCosts, Caches: &spec})
	w := &guest{Machine: m, s: mmu.NewStage2(m.Mem, m.Alloc, mmu.Granule4K, 40, 1)}
	for i := range mmu.GFN(pages) {
		w.mapAt(mmu.Granule4K.IPA(i), m.Alloc.Alloc(0).PA(), 3)
	}
	return w
}

// Sums of stages of the Neoverse N1's caches, for lines that no bank has a row
// open for.
var (
	n1       = cache.NeoverseN1
	l1       = sim.Cycle(n1.L1D.Latency)
	l2       = l1 + sim.Cycle(n1.L2.Latency)
	home     = l2 + sim.Cycle(n1.Mesh+n1.SLC.Latency)
	fresh    = home + sim.Cycle(n1.Mesh+n1.DRAM.Controller+n1.DRAM.Activate+n1.DRAM.CAS+n1.DRAM.Burst)
	transfer = home + sim.Cycle(2*n1.Mesh+n1.Snoop)
)

// TestTimedExec: a core waits for loads, and for stores only where the block says
// so.
func TestTimedExec(t *testing.T) {
	const a, b = mmu.PA(0x10000), mmu.PA(0x10040) // on two channels
	for _, c := range []struct {
		name string
		fill func(*mmu.Block)
		want sim.Cycle
	}{
		{"load", func(p *mmu.Block) { p.Load(a, 8) }, fresh},
		{"load twice", func(p *mmu.Block) { p.Load(a, 8); p.Load(a+8, 8) }, fresh + l1},
		{"two loads", func(p *mmu.Block) { p.Load(a, 8); p.Load(b, 8) }, 2 * fresh},
		{"store", func(p *mmu.Block) { p.Store(a, 8, 1) }, 1},
		{"stores, DMB ST", func(p *mmu.Block) {
			p.Store(a, 8, 1)
			p.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease})
			p.Store(b, 8, 1)
		}, 1 + 7 + 1},
		{"store, DMB", func(p *mmu.Block) { p.Store(a, 8, 1); p.Push(mmu.Op{Kind: mmu.OpBarrier}) }, fresh + 7},
		{"store, DMB ST, store, DMB", func(p *mmu.Block) {
			p.Store(a, 8, 1)
			p.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease})
			p.Store(b, 8, 1)
			p.Push(mmu.Op{Kind: mmu.OpBarrier})
		}, 2*fresh + 7},
		{"store, store-release, DMB", func(p *mmu.Block) {
			p.Store(a, 8, 1)
			p.StoreRelease(b, 8, 1)
			p.Push(mmu.Op{Kind: mmu.OpBarrier})
		}, 2*fresh + 7},
		{"atomic", func(p *mmu.Block) { p.Push(mmu.Op{Kind: mmu.OpAdd, Addr: a, Size: 8, Val: 1}) }, fresh + 15 - l1},
		{"store, TLBI", func(p *mmu.Block) {
			p.Store(a, 8, 1)
			p.Push(mmu.Op{Kind: mmu.OpTLBIVMID, Val: 1, Flags: mmu.OpBroadcast})
		}, fresh + 900},
		{"touch", func(p *mmu.Block) { p.Touch(a, mmu.RingIndex); p.Touch(a, mmu.RingIndex) }, fresh + 1 + l1 + 1},
		{"delay", func(p *mmu.Block) { p.Delay(77) }, 77},
	} {
		m := NewMachine(Spec{Cores: 2, Costs: testCosts, Caches: &n1})
		m.Cores[0].Now = 1000
		var blk mmu.Block
		c.fill(&blk)
		m.Cores[0].Exec(&blk)
		if got := m.Cores[0].Now - 1000; got != c.want {
			t.Errorf("%s takes %d cycles, want %d", c.name, got, c.want)
		}
	}
}

// TestTimedValues: with caches every micro-op loads and stores what it does
// without.
func TestTimedValues(t *testing.T) {
	a, b := NewMachine(Spec{Cores: 2, Costs: testCosts}), NewMachine(Spec{Cores: 2, Costs: testCosts, Caches: &n1})
	r := sim.NewStream(1, "values")
	for range 2000 {
		x := mmu.Block{By: 3}
		for range 1 + r.N(mmu.BlockOps) {
			x.Push(mmu.Op{Kind: mmu.OpKind(r.N(uint64(mmu.OpTouch) + 1)), Addr: mmu.PA(0x10000 + 8*r.N(64)), Size: 8,
				Val: r.N(4), Old: r.N(4), Flags: uint8(r.N(8)), What: mmu.What(r.N(uint64(mmu.NumWhats)))})
		}
		core, y := r.N(2), x
		a.Cores[core].Exec(&x)
		b.Cores[core].Exec(&y)
		if x.Out != y.Out && x.N == mmu.BlockOps {
			t.Fatalf("%+v\nloads %#x with caches, %#x without", x.Ops, y.Out, x.Out)
		}
	}
	for i := range mmu.PA(64) {
		if x, y := a.Mem.Load(0x10000+8*i, 8), b.Mem.Load(0x10000+8*i, 8); x != y {
			t.Errorf("word %d: %#x with caches, %#x without", i, y, x)
		}
	}
}

// TestStoreBuffer: a full one stalls the core until its oldest store is done.
func TestStoreBuffer(t *testing.T) {
	spec := n1
	spec.Stores = 2
	m := NewMachine(Spec{Cores: 1, Costs: testCosts, Caches: &spec})
	var b mmu.Block
	for i := range mmu.PA(3) {
		b.Store(0x10000+i*64, 8, 1)
	}
	m.Cores[0].Exec(&b)
	if got, want := m.Cores[0].Now, fresh+1; got != want {
		t.Errorf("three stores in a buffer of two take %d cycles, want %d", got, want)
	}
}

// TestRingEntryBounces: what the three steps of a ring entry cost on two cores:
// the line goes to whoever writes or reads it next.
func TestRingEntryBounces(t *testing.T) {
	m := NewMachine(Spec{Cores: 2, Costs: testCosts, Caches: &n1})
	vcpu, vmm := m.Cores[0], m.Cores[1]
	const e = mmu.PA(0x10000)
	run := func(c *Core, fill func(*mmu.Block)) sim.Cycle {
		c.Now = max(vcpu.Now, vmm.Now) + 10_000
		began := c.Now
		b := mmu.Block{What: mmu.RingEntry}
		fill(&b)
		b.Push(mmu.Op{Kind: mmu.OpBarrier}) // for its end
		c.Exec(&b)
		return c.Now - began - 7
	}
	push := func(b *mmu.Block) {
		b.Store(e+8, 8, 5)
		b.Push(mmu.Op{Kind: mmu.OpBarrier, Flags: mmu.OpRelease})
		b.Store(e, 4, 1)
	}
	harvest := func(b *mmu.Block) { b.LoadAcquire(e, 4); b.Load(e+8, 8); b.StoreRelease(e, 4, 2) }
	run(vcpu, push)
	for lap := range 5 {
		if got, want := run(vmm, harvest), transfer+l1+home+sim.Cycle(3*n1.Mesh+n1.Snoop); got != want {
			t.Errorf("lap %d: harvesting takes %d cycles, want a transfer, a hit and an upgrade: %d", lap, got, want)
		}
		if got, want := run(vcpu, push), transfer+l1; got != want {
			t.Errorf("lap %d: pushing takes %d cycles, want a transfer and a hit: %d", lap, got, want)
		}
	}
	if st := &m.Caches.Stats; st.Transfers[mmu.RingEntry] != 10 || st.Invalidations[mmu.RingEntry] != 10 {
		t.Errorf("%d transfers, %d invalidations", st.Transfers[mmu.RingEntry], st.Invalidations[mmu.RingEntry])
	}
}

// TestTimedWalk: a TLB miss takes the time of the descriptors that it reads, and a
// guest's access that misses in the caches what is beyond a hit.
func TestTimedWalk(t *testing.T) {
	w := timedGuest(2, 4, n1)
	c := w.Cores[0]
	c.Now = 1000
	c.Load(&w.s, 0x1000, 8)
	loads := c.TLB.Stats.Loads
	if loads < 2 {
		t.Fatalf("the walk reads %d descriptors", loads)
	}
	first := c.Now - 1000
	if low := sim.Cycle(loads) * (fresh - sim.Cycle(n1.DRAM.Activate)); first < low {
		t.Errorf("the first load takes %d cycles, its %d descriptors alone %d", first, loads, low)
	}
	c.Now += 1000
	now := c.Now
	if c.Load(&w.s, 0x1000, 8); c.Now != now || c.Stats.StallCycles == 0 {
		t.Errorf("a hit takes %d cycles more than its instruction has", c.Now-now)
	}
	// Another core's walk finds the tables with the first, and then alone.
	c = w.Cores[1]
	c.Now = 50_000
	c.Load(&w.s, 0x2000, 8)
	c.TLB.Walk(w.Mem, &w.s, c.space, 0x3000)
	now = c.Now
	c.walked()
	if got, want := c.Now-now, sim.Cycle(c.TLB.Trail.N)*l2; got != want {
		t.Errorf("a walk in L2 takes %d cycles, want %d", got, want)
	}
	if st := &w.Caches.Stats; st.Transfers[mmu.Stage2Table] != uint64(loads) {
		t.Errorf("%d tables from core to core, want %d", st.Transfers[mmu.Stage2Table], loads)
	}
	// An access across a line needs both.
	c.Now = 100_000
	misses := w.Caches.Total().Misses
	c.Store(&w.s, 0x30fc, 8, 1, 0)
	c.Store(&w.s, 0x2ffe, 8, 1, 0)
	if got := w.Caches.Total().Misses - misses; got != 4 {
		t.Errorf("two stores across lines touch %d", got)
	}
}

// TestTimedSplit: splitting a 2 MiB block costs its micro-ops through the caches,
// and a broadcast TLBI that begins when the 512 entries are written.
func TestTimedSplit(t *testing.T) {
	spec := n1
	spec.Stores, spec.MSHRs = 1, 1
	m := NewMachine(Spec{Cores: 1, Costs: testCosts, Caches: &spec})
	w := &guest{Machine: m, s: mmu.NewStage2(m.Mem, m.Alloc, mmu.Granule4K, 40, 1)}
	w.mapAt(0, m.Alloc.Alloc(9).PA(), 2)
	same := cache.New(spec, 1)
	c, want, done := w.Cores[0], sim.Cycle(0), sim.Cycle(0)
	p := w.s.Split(0, 512)
	stores := 0
	for p.Next(&w.b) {
		for _, op := range w.b.Ops[:w.b.N] {
			if w.b.What != mmu.Stage2Table {
				t.Fatalf("micro-ops on %v", w.b.What)
			}
			switch op.Kind {
			case mmu.OpLoad:
				want = same.Access(0, op.Addr, cache.Load, w.b.What, want)
			case mmu.OpStore: // one at a time
				want = max(want, done)
				done = same.Access(0, op.Addr, cache.Store, w.b.What, want)
				want++
				stores++
			case mmu.OpTLBIIPA:
				want = max(want, done) + 900
			}
		}
		c.Exec(&w.b)
	}
	if c.Now != want || stores != 514 {
		t.Errorf("the split takes %d cycles for %d stores, want %d", c.Now, stores, want)
	}
	if least := 64*home + 900; c.Now < least {
		t.Errorf("the split takes %d cycles, and 64 new lines with a TLBI %d", c.Now, least)
	}
}

// TestStream: a copy takes one latency and then a line each Stream cycles, or what
// the core's MSHRs allow.
func TestStream(t *testing.T) {
	spec := n1
	spec.MSHRs = 64
	m := NewMachine(Spec{Cores: 1, Costs: testCosts, Caches: &spec})
	c := m.Cores[0]
	c.Stream(0x100000, 4096, mmu.CopyData)
	// The last line's row is open by then.
	if got, want := c.Now, fresh-sim.Cycle(spec.DRAM.Activate)+63*sim.Cycle(spec.Stream); got != want {
		t.Errorf("a page from memory takes %d cycles, want %d", got, want)
	}
	c.Now += 1000
	now := c.Now
	c.Stream(0x100000, 4096, mmu.CopyData)
	if got, want := c.Now-now, 64*sim.Cycle(spec.Stream); got != want {
		t.Errorf("a page from L1D takes %d cycles, want %d", got, want)
	}
	spec.MSHRs = 4
	m = NewMachine(Spec{Cores: 1, Costs: testCosts, Caches: &spec})
	m.Cores[0].Stream(0x100000, 4096, mmu.CopyData)
	if low := 16 * (fresh - sim.Cycle(n1.DRAM.Activate+n1.L1D.Latency)); m.Cores[0].Now < low {
		t.Errorf("a page with 4 MSHRs takes %d cycles, want %d and more", m.Cores[0].Now, low)
	}
}

// TestTimedSnapshot: saved in the middle of stores and restored, the machine goes
// on as if undisturbed.
func TestTimedSnapshot(t *testing.T) {
	drive := func(w *guest, seed uint64) {
		r := sim.NewStream(seed, "drive")
		for range 3000 {
			c := w.Cores[r.N(3)]
			ipa := mmu.IPA(r.N(64)<<12 | r.N(512)*8)
			switch r.N(4) {
			case 0:
				c.Load(&w.s, ipa, 8)
			case 1:
				c.Fetch(&w.s, ipa, 4)
			case 2:
				w.b.Reset()
				w.b.StoreRelease(0x10000+mmu.PA(r.N(64)*8), 8, 1)
				w.b.Store(0x10000+mmu.PA(r.N(64)*8), 8, 1)
				c.Exec(&w.b)
			default:
				c.Store(&w.s, ipa+3, 8, 1, 0)
			}
		}
	}
	a, b := timedGuest(3, 64, n1), timedGuest(3, 64, n1)
	drive(a, 1)
	enc := sim.NewEncoder()
	a.Sync(enc)
	dec := sim.NewDecoder(enc.Finish())
	b.Sync(dec)
	if dec.Finish(); dec.Err() != nil {
		t.Fatal(dec.Err())
	}
	drive(a, 2)
	drive(b, 2)
	x, y := sim.NewHasher(), sim.NewHasher()
	a.Sync(x)
	b.Sync(y)
	if x.Sum() != y.Sum() {
		t.Error("continued to another state")
	}
}

// TestTimedAllocatesNothing in steady state.
func TestTimedAllocatesNothing(t *testing.T) {
	w := timedGuest(2, 64, n1)
	n := 0
	step := func() {
		for range 500 {
			n++
			w.Cores[n&1].Store(&w.s, mmu.IPA(n*0x1238)&0x3fff8, 8, 1, 0)
		}
	}
	for range 200 {
		step()
	}
	if got := testing.AllocsPerRun(20, step); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
