package cache

import (
	"errors"
	"runtime"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// law is a play of one line, and the stages that its last access goes through.
type law struct {
	name   string
	play   func(a func(core int, k Kind) sim.Cycle) sim.Cycle
	stages func(s *Spec) uint32
}

var laws = []law{
	{"L1 hit", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Load); return a(0, Load) },
		func(s *Spec) uint32 { return s.L1D.Latency }},
	{"L1I hit", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Fetch); return a(0, Fetch) },
		func(s *Spec) uint32 { return s.L1I.Latency }},
	{"L2 hit", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Walk); return a(0, Load) },
		func(s *Spec) uint32 { return s.L1D.Latency + s.L2.Latency }},
	{"walk", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Load); return a(0, Walk) },
		func(s *Spec) uint32 { return s.L1D.Latency + s.L2.Latency }},
	{"first store", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Load); return a(0, Store) },
		func(s *Spec) uint32 { return s.L1D.Latency }},
	{"SLC hit", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Fetch); return a(1, Load) },
		func(s *Spec) uint32 { return s.L1D.Latency + s.L2.Latency + 2*s.Mesh + s.SLC.Latency }},
	{"DRAM", func(a func(int, Kind) sim.Cycle) sim.Cycle { return a(0, Load) },
		func(s *Spec) uint32 {
			return s.L1D.Latency + s.L2.Latency + 2*s.Mesh + s.SLC.Latency + s.DRAM.Controller + s.DRAM.Activate + s.DRAM.CAS + s.DRAM.Burst
		}},
	{"transfer, read", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Store); return a(1, Load) }, transfer},
	{"transfer, write", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Store); return a(1, Store) }, transfer},
	{"bounce", func(a func(int, Kind) sim.Cycle) sim.Cycle {
		for range 50 {
			a(0, Atomic)
			a(1, Atomic)
		}
		return a(0, Atomic)
	}, transfer},
	{"upgrade", func(a func(int, Kind) sim.Cycle) sim.Cycle { a(0, Load); a(1, Load); return a(0, Store) },
		func(s *Spec) uint32 { return transfer(s) + s.Mesh }},
	{"zero", func(a func(int, Kind) sim.Cycle) sim.Cycle { return a(0, Zero) },
		func(s *Spec) uint32 { return s.L1D.Latency + s.L2.Latency + 2*s.Mesh + s.SLC.Latency }},
}

// transfer is three legs, two lookups of the core that asks, one of the home and
// one of the owner.
func transfer(s *Spec) uint32 {
	return s.L1D.Latency + s.L2.Latency + 3*s.Mesh + s.SLC.Latency + s.Snoop
}

// TestLatencyIsTheSumOfItsStages sweeps every parameter of time.
func TestLatencyIsTheSumOfItsStages(t *testing.T) {
	dials := []func(*Spec) *uint32{
		func(s *Spec) *uint32 { return &s.L1I.Latency }, func(s *Spec) *uint32 { return &s.L1D.Latency },
		func(s *Spec) *uint32 { return &s.L2.Latency }, func(s *Spec) *uint32 { return &s.SLC.Latency },
		func(s *Spec) *uint32 { return &s.Mesh }, func(s *Spec) *uint32 { return &s.Snoop },
		func(s *Spec) *uint32 { return &s.DRAM.Controller }, func(s *Spec) *uint32 { return &s.DRAM.Activate },
		func(s *Spec) *uint32 { return &s.DRAM.CAS }, func(s *Spec) *uint32 { return &s.DRAM.Burst },
		func(s *Spec) *uint32 { return &s.DRAM.Precharge },
	}
	for d, dial := range dials {
		for _, v := range []uint32{0, 1, 7, 250} {
			spec := NeoverseN1
			*dial(&spec) = v
			for _, l := range laws {
				s := New(spec, 2)
				now := sim.Cycle(1000)
				took := l.play(func(core int, k Kind) sim.Cycle {
					ready := s.Access(core, 0x4000_0040, k, GuestData, now)
					took := ready - now
					now = ready + 1000
					return took
				})
				if want := l.stages(&spec); took != sim.Cycle(want) {
					t.Errorf("dial %d at %d: %s takes %d cycles, its stages %d", d, v, l.name, took, want)
				}
			}
		}
	}
}

// TestNeoverseN1 holds the defaults against the rows that they were taken from,
// and the one that they predict.
func TestNeoverseN1(t *testing.T) {
	s := &NeoverseN1
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	random := s.L1D.Latency + s.L2.Latency + 2*s.Mesh + s.SLC.Latency +
		s.DRAM.Controller + s.DRAM.Precharge + s.DRAM.Activate + s.DRAM.CAS + s.DRAM.Burst
	for _, row := range []struct {
		name      string
		got, want uint32
		percent   uint32
	}{
		{"L1D, 4 cycles", s.L1D.Latency, 4, 0},
		{"L2, 11 cycles", s.L1D.Latency + s.L2.Latency, 11, 0},
		{"DRAM, 81 to 83 ns", random, 82 * 3, 2},
		{"core to core, 47 ns (predicted)", transfer(s), 47 * 3, 10},
	} {
		if diff := max(row.got, row.want) - min(row.got, row.want); diff*100 > row.want*row.percent {
			t.Errorf("%s: %d cycles, want %d", row.name, row.got, row.want)
		}
	}
}

// TestDRAM: an open row is the quickest, another row of the same bank the slowest.
func TestDRAM(t *testing.T) {
	spec := NeoverseN1
	d := &spec.DRAM
	row := uint64(d.Channels) * d.Row / LineSize // lines to the next row's bank
	conflict := row*uint64(d.Banks) + row        // the next row of bank 0: the xor moves it on by one
	for _, c := range []struct {
		name  string
		line  uint64
		extra uint32
	}{
		{"open row", uint64(d.Channels), 0},
		{"other bank", row, d.Activate},
		{"other channel", 1, d.Activate},
		{"conflict", conflict, d.Precharge + d.Activate},
	} {
		var st Stats
		m := newDRAM(d, &st)
		m.access(0, 1000)
		if got, want := m.access(c.line, 9000)-9000, d.Controller+c.extra+d.CAS+d.Burst; got != sim.Cycle(want) {
			t.Errorf("%s takes %d cycles, want %d", c.name, got, want)
		}
	}
	// At the same time: the bank must finish what it does first.
	var st Stats
	m := newDRAM(d, &st)
	first := m.access(0, 1000)
	if got, want := m.access(conflict, 1000)-first, sim.Cycle(d.Burst+d.Precharge+d.Activate); got != want {
		t.Errorf("two rows of one bank at once are %d cycles apart, want %d", got, want)
	}
}

// TestBandwidth: reads from all cores at once saturate the buses, no matter who
// is ahead of whom in time.
func TestBandwidth(t *testing.T) {
	const n, cores = 400, 64
	for _, ahead := range []bool{false, true} {
		spec := NeoverseN1
		spec.MSHRs = 64
		s := New(spec, cores)
		last := sim.Cycle(0)
		read := func(i, core int) {
			line := uint64(core)<<14 + uint64(i)
			last = max(last, s.Access(core, mmu.PA(line<<LineShift), Load, GuestData, 1000+sim.Cycle(i)))
		}
		for i := range n * cores {
			if ahead { // one core after the other, each from the beginning
				read(i%n, i/n)
			} else {
				read(i/cores, i%cores)
			}
		}
		least := sim.Cycle(n * cores / spec.DRAM.Channels * int(spec.DRAM.Burst))
		if took := last - 1000; took < least || took > least*11/10+500 {
			t.Errorf("ahead %v: %d lines over %d channels take %d cycles, and the buses need %d", ahead, n*cores, spec.DRAM.Channels, took, least)
		}
	}
}

// TestCapacity: a loop over a working set that fits a level is served by it, and
// over a larger one by the next (LRU); half the ways hold half the lines of a set.
func TestCapacity(t *testing.T) {
	spec := tiny()
	spec.DRAM.Row = 64 << 10
	per := func(bytes, stride uint64) (cycles uint64) {
		s := New(spec, 1)
		now := sim.Cycle(0)
		var began sim.Cycle
		const laps = 4
		for lap := range laps {
			if lap == laps-1 {
				began = now
			}
			for pa := uint64(0); pa < bytes*(stride/LineSize); pa += stride {
				now = s.Access(0, mmu.PA(pa), Load, GuestData, now)
			}
		}
		return uint64(now-began) / (bytes / LineSize)
	}
	l1, l2 := uint64(spec.L1D.Latency), uint64(spec.L1D.Latency+spec.L2.Latency)
	slc := l2 + uint64(2*spec.Mesh+spec.SLC.Latency)
	mem := slc + uint64(spec.DRAM.Controller+spec.DRAM.CAS+spec.DRAM.Burst)
	for _, c := range []struct{ bytes, stride, want uint64 }{
		{256, 64, l1}, {512, 64, l1}, {1024, 64, l2}, {2048, 64, l2}, {4096, 64, slc}, {8192, 64, slc},
		{128, 256, l1}, {192, 256, l2}, {256, 512, l2}, {320, 512, slc}, // ways: 2 of L1D, 4 of L2
	} {
		if got := per(c.bytes, c.stride); got != c.want {
			t.Errorf("%d bytes in steps of %d: %d cycles a load, want %d", c.bytes, c.stride, got, c.want)
		}
	}
	if got := per(64<<10, 64); got < mem || got > mem+uint64(spec.DRAM.Activate+spec.DRAM.Precharge) {
		t.Errorf("64 KiB: %d cycles a load, want %d and more", got, mem)
	}
}

// TestLineWaits: a request for a line that is under way between others waits for
// its turn; one from before does not.
func TestLineWaits(t *testing.T) {
	s := New(NeoverseN1, 4)
	s.Access(0, 0x1000, Store, RingEntry, 0)
	first := s.Access(1, 0x1000, Store, RingEntry, 10_000)
	second := s.Access(2, 0x1000, Store, RingEntry, 10_000)
	tr := sim.Cycle(transfer(&s.Spec))
	if first != 10_000+tr {
		t.Errorf("the first takes %d", first-10_000)
	}
	// It begins at the home when the first is answered.
	if want := first + tr - sim.Cycle(s.Spec.L1D.Latency+s.Spec.L2.Latency+s.Spec.Mesh); second != want {
		t.Errorf("the second is ready at %d, want %d", second, want)
	}
	if early := s.Access(3, 0x1000, Store, RingEntry, 5000); early != 5000+tr {
		t.Errorf("one from the past takes %d cycles, want %d", early-5000, tr)
	}
	if s.Stats.LineWaits != 1 || s.Stats.Transfers[RingEntry] != 3 {
		t.Errorf("%d waits, %d transfers", s.Stats.LineWaits, s.Stats.Transfers[RingEntry])
	}
}

// TestMSHRs: hits on a line under way come with it, and a core waits for as many
// lines as it has MSHRs.
func TestMSHRs(t *testing.T) {
	spec := NeoverseN1
	spec.MSHRs = 2
	s := New(spec, 1)
	a := s.Access(0, 0x1000, Load, GuestData, 100)
	if got := s.Access(0, 0x1008, Load, GuestData, 101); got != a {
		t.Errorf("a hit under way is ready at %d, its line at %d", got, a)
	}
	if s.Core(0).LoadHit(0x1008, 102) {
		t.Error("the fast path serves a line that is not there yet")
	}
	s.Access(0, 0x2000, Load, GuestData, 103)
	if c := s.Access(0, 0x3040, Load, GuestData, 104); c < a+sim.Cycle(spec.Mesh) {
		t.Errorf("the third miss is ready at %d, though the first MSHR is free at %d", c, a)
	}
	if st := s.Total(); st.Merged != 1 || st.Full != 1 {
		t.Errorf("%+v", st)
	}
	if !s.Core(0).LoadHit(0x1008, a+10_000) {
		t.Error("the fast path misses a line that is there")
	}
	// A line that is here to be read can be, while permission to write is under way.
	s = New(NeoverseN1, 2)
	s.Access(0, 0x1000, Load, GuestData, 0)
	s.Access(1, 0x1000, Load, GuestData, 1000)
	own := s.Access(0, 0x1000, Store, GuestData, 2000)
	if got := s.Access(0, 0x1000, Load, GuestData, 2001); got != 2001+sim.Cycle(spec.L1D.Latency) {
		t.Errorf("a load during an upgrade is ready at %d", got)
	}
	if got := s.Access(0, 0x1000, Store, GuestData, 2002); got != own {
		t.Errorf("a store during an upgrade is ready at %d, the upgrade at %d", got, own)
	}
}

// TestFastPath: where a fast path says yes, Access would have done the same.
func TestFastPath(t *testing.T) {
	a, b := New(tiny(), 3), New(tiny(), 3)
	r := sim.NewStream(3, "fast")
	yes := 0
	now := sim.Cycle(0)
	for range 50_000 {
		core, pa := int(r.N(3)), mmu.PA(r.N(40)<<LineShift)
		k := []Kind{Load, Store, Fetch}[r.N(3)]
		now += sim.Cycle(r.N(300))
		c := a.Core(core)
		hit, latency := false, a.Spec.L1D.Latency
		switch k {
		case Load:
			hit = c.LoadHit(pa, now)
		case Store:
			hit = c.StoreHit(pa, now)
		case Fetch:
			hit, latency = c.FetchHit(pa, now), a.Spec.L1I.Latency
		}
		ready := now + sim.Cycle(latency)
		if hit {
			yes++
		} else {
			ready = a.Access(core, pa, k, GuestData, now)
		}
		if want := b.Access(core, pa, k, GuestData, now); ready != want {
			t.Fatalf("core %d %#x kind %d: ready at %d, want %d", core, pa, k, ready, want)
		}
	}
	if yes < 1000 {
		t.Errorf("only %d accesses took the fast path", yes)
	}
	if x, y := state(a), state(b); x != y {
		t.Error("the fast path leaves another state")
	}
}

func state(s *System) uint64 {
	h := sim.NewHasher()
	s.Sync(h)
	return h.Sum()
}

// drive makes random accesses, also out of order in time.
func drive(s *System, r sim.Stream, n int) {
	for range n {
		core := int(r.N(uint64(len(s.cores))))
		now := sim.Cycle(r.N(1 << 16))
		s.Access(core, mmu.PA(r.N(400)<<LineShift), Kind(r.N(uint64(Invalidate)+1)), What(r.N(uint64(mmu.NumWhats))), now)
		if r.N(20) == 0 {
			s.DMA(mmu.PA(r.N(400)<<LineShift), r.N(2) == 0, DMA, now)
		}
	}
}

// TestSnapshot: saved, restored and continued is the undisturbed run.
func TestSnapshot(t *testing.T) {
	for _, cores := range []int{1, 5, 130} {
		s := New(tiny(), cores)
		drive(s, sim.NewStream(1, "before"), 20_000)
		enc := sim.NewEncoder()
		s.Sync(enc)
		other := New(tiny(), cores)
		drive(other, sim.NewStream(9, "something else"), 3000)
		dec := sim.NewDecoder(enc.Finish())
		other.Sync(dec)
		if dec.Finish(); dec.Err() != nil {
			t.Fatal(dec.Err())
		}
		if state(s) != state(other) {
			t.Errorf("%d cores: restored to another state", cores)
		}
		drive(s, sim.NewStream(2, "after"), 20_000)
		drive(other, sim.NewStream(2, "after"), 20_000)
		if state(s) != state(other) {
			t.Errorf("%d cores: continued to another state", cores)
		}
	}
}

// FuzzSnapshot: any bytes give an error or a hierarchy that works.
func FuzzSnapshot(f *testing.F) {
	for _, n := range []int{0, 300} {
		s := New(tiny(), 3)
		drive(s, sim.NewStream(1, "seed"), n)
		enc := sim.NewEncoder()
		s.Sync(enc)
		f.Add(enc.Finish(), uint16(0), byte(0))
		f.Add(enc.Finish(), uint16(100*n), byte(5))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, flip byte) {
		if int(at) < len(b) {
			b[at] ^= flip
		}
		s := New(tiny(), 3)
		s.Sync(sim.NewDecoder(b))
		drive(s, sim.NewStream(1, "fuzz"), 200)
	})
}

// TestIdleCoresCostNothing: 1024 cores that do nothing take no memory for lines,
// and accesses allocate nothing once their sets exist.
func TestIdleCoresCostNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	idle := New(NeoverseN1, 1024)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 3<<20 {
		t.Errorf("1024 idle cores take %d bytes", n)
	}
	runtime.KeepAlive(idle)
	s := New(tiny(), 8)
	rnd := sim.NewStream(1, "warm")
	drive(s, rnd, 20_000)
	if n := testing.AllocsPerRun(10, func() { drive(s, rnd, 1000) }); n != 0 {
		t.Errorf("%v allocations in 1000 accesses", n)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		key string
		bad func(*Spec)
	}{
		{"l1d.ways", func(s *Spec) { s.L1D.Ways = 0 }},
		{"l1i.size", func(s *Spec) { s.L1I.Size = 48 << 10 }},
		{"l2.size", func(s *Spec) { s.L2.Size = 32 << 10 }},
		{"slc.size", func(s *Spec) { s.SLC.Size = 8 << 30 }},
		{"mesh", func(s *Spec) { s.Mesh = 2e6 }},
		{"mshrs", func(s *Spec) { s.MSHRs = 65 }},
		{"stores", func(s *Spec) { s.Stores = 0 }},
		{"dram.channels", func(s *Spec) { s.DRAM.Channels = 6 }},
		{"dram.row", func(s *Spec) { s.DRAM.Row = 100 }},
	} {
		s := NeoverseN1
		c.bad(&s)
		var e *SpecError
		if err := s.Validate(); !errors.As(err, &e) || e.Key != c.key || e.Fix == "" {
			t.Errorf("%s: %v", c.key, err)
		}
	}
}

// TestFiguresHaveSources: every key once, and each says where it is from.
func TestFiguresHaveSources(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Figures {
		if seen[f.Key] || f.Source == "" || f.Kind != "measured" && f.Kind != "fit" && f.Kind != "prediction" && f.Kind != "assumed" {
			t.Errorf("%+v", f)
		}
		seen[f.Key] = true
	}
}

// BenchmarkAccess is one access: what the in-order core pays on top of executing.
func BenchmarkAccess(b *testing.B) {
	b.Run("l1=fast", func(b *testing.B) {
		s := New(NeoverseN1, 1)
		var pas [8]mmu.PA
		for i := range pas {
			pas[i] = mmu.PA(i * 8 << LineShift)
			s.Access(0, pas[i], Load, GuestData, 0)
		}
		c, now := s.Core(0), sim.Cycle(10_000)
		b.ReportAllocs()
		for i := range b.N {
			if !c.LoadHit(pas[i&7], now) {
				b.Fatal("a miss")
			}
		}
	})
	for _, c := range []struct {
		name         string
		lines, cores uint64
		k            Kind
	}{
		{"l1=hit", 2, 1, Load}, {"l2=hit", 8 << 10, 1, Load}, {"slc=hit", 128 << 10, 1, Load}, {"dram", 1 << 20, 1, Load},
		{"bounce", 64, 2, Store}, {"store=l1", 2, 1, Store},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := New(NeoverseN1, int(c.cores))
			now := sim.Cycle(0)
			step := func(i uint64) {
				line := i / c.cores % c.lines
				if c.lines == 2 {
					line *= 256
				}
				now = s.Access(int(i%c.cores), mmu.PA(line<<LineShift), c.k, GuestData, now)
			}
			for i := range 2 * c.lines * c.cores {
				step(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				step(uint64(i))
			}
		})
	}
}
