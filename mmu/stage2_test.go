package mmu

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// TestDescriptors: encodings put together by hand from DDI 0487 D8.3.
func TestDescriptors(t *testing.T) {
	for _, c := range []struct {
		name string
		got  Desc
		want uint64
	}{
		// type 11, MemAttr 1111, S2AP 11, SH 11, AF
		{"page rwx", LeafDesc(0x8_1234_5000, 3, ProtRead|ProtWrite|ProtExec), 0x8_1234_5000 | 0x3 | 0x3c | 0xc0 | 0x300 | 0x400},
		{"page r-x", LeafDesc(0x8_1234_5000, 3, ProtRead|ProtExec), 0x8_1234_577f},
		{"page rw-", LeafDesc(0x8_1234_5000, 3, ProtRead|ProtWrite), 0x0040_0008_1234_57ff},
		{"page none", LeafDesc(0x1000, 3, 0), 0x0040_0000_0000_173f},
		{"block rwx", LeafDesc(0x4000_0000, 2, ProtRead|ProtWrite|ProtExec), 0x4000_07fd},
		{"device rw-", LeafDesc(0x0900_0000, 3, ProtRead|ProtWrite|ProtDevice), 0x0040_0000_0900_07c7},
		{"table", TableDesc(0x4_0000_3000), 0x4_0000_3003},
		{"protected", LeafDesc(0x5000, 3, ProtRead|ProtWrite|ProtExec) &^ FieldS2APW.Mask(), 0x577f},
	} {
		if uint64(c.got) != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, uint64(c.got), c.want)
		}
	}
	if m := FieldDBM.Mask(); m != 1<<51 {
		t.Errorf("DBM is %#x, want bit 51", uint64(m))
	}
	if got, want := Desc(0x0040_0008_1234_57ff).String(), "0x00400008123457ff valid=0x1 table=0x1 memattr=0xf r=0x1 w=0x1 sh=0x3 af=0x1 oa=0x812345 xn=0x2"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	var all Desc
	for _, f := range leafFields {
		if all&f.field.Mask() != 0 {
			t.Errorf("field %s overlaps another", f.name)
		}
		all |= f.field.Mask()
	}
	for _, p := range []Prot{0, ProtRead, ProtRead | ProtWrite, ProtRead | ProtExec, ProtRead | ProtWrite | ProtExec, ProtRead | ProtDevice} {
		if got := LeafDesc(0x1000, 3, p).Prot(); got != p {
			t.Errorf("Prot of a leaf made with %b is %b", p, got)
		}
	}
}

// TestGeometry: start level and concatenated tables, worked out by hand from the
// table in DDI 0487 D8.2, and which levels map what.
func TestGeometry(t *testing.T) {
	for _, c := range []struct {
		g      Granule
		bits   uint8
		start  int8
		tables int
	}{
		{Granule4K, 32, 2, 4}, {Granule4K, 34, 2, 16}, {Granule4K, 35, 1, 1}, {Granule4K, 39, 1, 1}, {Granule4K, 40, 1, 2},
		{Granule4K, 42, 1, 8}, {Granule4K, 43, 1, 16}, {Granule4K, 44, 0, 1}, {Granule4K, 48, 0, 1},
		{Granule16K, 32, 2, 1}, {Granule16K, 36, 2, 1}, {Granule16K, 40, 2, 16}, {Granule16K, 41, 1, 1}, {Granule16K, 47, 1, 1}, {Granule16K, 48, 1, 2},
		{Granule64K, 32, 2, 1}, {Granule64K, 40, 2, 1}, {Granule64K, 42, 2, 1}, {Granule64K, 46, 2, 16}, {Granule64K, 47, 1, 1}, {Granule64K, 48, 1, 1},
	} {
		s, err := NewGeometry(c.g, c.bits)
		if err != nil || s.Start != c.start || s.Tables() != c.tables {
			t.Errorf("granule 2^%d, %d bits: start level %d with %d tables, want %d with %d (%v)",
				c.g, c.bits, s.Start, s.Tables(), c.start, c.tables, err)
		}
	}
	for _, c := range []struct {
		g     Granule
		sizes map[uint64]int8
	}{
		{Granule4K, map[uint64]int8{4 << 10: 3, 2 << 20: 2, 1 << 30: 1}},
		{Granule16K, map[uint64]int8{16 << 10: 3, 32 << 20: 2}},
		{Granule64K, map[uint64]int8{64 << 10: 3, 512 << 20: 2}},
	} {
		s, _ := NewGeometry(c.g, 48)
		got := map[uint64]int8{}
		for shift := range 63 {
			if level, ok := s.Level(1 << shift); ok {
				got[1<<shift] = level
			}
		}
		if diff := cmp.Diff(c.sizes, got); diff != "" {
			t.Errorf("granule 2^%d maps (-want +got):\n%s", c.g, diff)
		}
	}
	for _, c := range []struct {
		g    Granule
		bits uint8
	}{{Granule4K, 31}, {Granule4K, 49}, {Granule64K, 52}, {Granule4K, 52}, {Granule4K, 53}, {13, 40}, {0, 40}, {200, 40}} {
		if _, err := NewGeometry(c.g, c.bits); err == nil {
			t.Errorf("granule 2^%d with %d bits was accepted", c.g, c.bits)
		}
	}
}

// naiveLeaf is one mapping of the naive stage 2.
type naiveLeaf struct {
	Pages uint64
	PA    PA
	Prot  Prot
}

// naiveStage2 is a list of mappings by their first page.
type naiveStage2 map[GFN]naiveLeaf

func (n naiveStage2) over(gfn GFN, pages uint64) (hit []GFN) {
	for at, l := range n {
		if at < gfn+GFN(pages) && gfn < at+GFN(l.Pages) {
			hit = append(hit, at)
		}
	}
	slices.Sort(hit)
	return hit
}

// leaves lists what the tables in memory map.
func (h *host) leaves(table PA, level int8, ipa IPA, out naiveStage2) {
	s := &h.s
	n := IPA(1) << s.bits
	if level == s.Start {
		n *= IPA(s.Tables())
	}
	for i := range n {
		at := ipa + i<<s.Shift(level)
		d := Desc(h.m.Load(table+PA(i)*8, 8))
		switch s.Kind(d, level) {
		case DescIsTable:
			h.leaves(d.OA(s.Granule.Shift()), level+1, at, out)
		case DescIsLeaf:
			pages := uint64(1) << (s.Shift(level) - s.Granule.Shift())
			out[s.Granule.GFN(at)] = naiveLeaf{pages, d.OA(s.Shift(level)), d.Prot()}
		}
	}
}

// relay hands a program over to a restored copy of itself before every step.
type relay[P any] struct {
	t    *testing.T
	p    *P
	sync func(p *P, c *sim.Codec)
}

func (r relay[P]) Next(b *Block) bool {
	e := sim.NewEncoder()
	r.sync(r.p, e)
	b.Sync(e)
	var p P
	d := sim.NewDecoder(e.Finish())
	r.sync(&p, d)
	*b = Block{By: 77}
	b.Sync(d)
	if d.Finish(); d.Err() != nil {
		r.t.Fatal(d.Err())
	}
	*r.p = p
	return any(r.p).(Program).Next(b)
}

// perform executes a program, half of the time with a snapshot before every step.
func perform[P any](t *testing.T, h *host, p *P, snapshots bool, sync func(p *P, c *sim.Codec)) {
	if snapshots {
		RunNow(h.m, h.d, &h.b, relay[P]{t, p, sync})
	} else {
		RunNow(h.m, h.d, &h.b, any(p).(Program))
	}
}

// TestStage2AgainstList: random edits on every geometry against a list of
// mappings, with TLBs that must never keep what was unmapped or replaced.
func TestStage2AgainstList(t *testing.T) {
	for _, g := range []Granule{Granule4K, Granule16K, Granule64K} {
		for _, bits := range []uint8{32, 36, 40, 48} {
			t.Run(fmt.Sprintf("granule=%d/ipa=%d", g.Size(), bits), func(t *testing.T) {
				t.Parallel()
				editRandomly(t, g, bits, map[Granule]int{Granule4K: 1500, Granule16K: 600, Granule64K: 200}[g])
			})
		}
	}
}

func editRandomly(t *testing.T, g Granule, bits uint8, steps int) {
	h := newHost(g, bits)
	r := sim.NewStream(uint64(g)<<8|uint64(bits), "edits")
	model := naiveStage2{}
	blockPages := uint64(1) << (h.s.Shift(2) - g.Shift())
	last := GFN(1)<<(bits-uint8(g)) - GFN(2*blockPages)
	empty := h.a.Used
	gfn := func() GFN { // in two places of two blocks each, few pages of each
		return []GFN{0, last}[r.N(2)] + GFN(r.N(2)*blockPages) + GFN(r.N(3)*(blockPages/2-3)+r.N(6))
	}
	for step := range steps {
		at, n := gfn(), 1+r.N(6)
		if r.N(4) == 0 {
			n = r.N(3 * blockPages)
		}
		n = min(n, uint64(last)+2*blockPages-uint64(at)) // the program clips to the IPA space, the model need not
		snapshots := r.N(2) == 0
		for _, page := range model.over(at, n) { // what the edit meets is cached as it is now
			h.t.translate(h.m, &h.s, h.space, g.IPA(page), AccessRead)
		}
		gone := map[GFN]bool{}
		switch op := r.N(10); {
		case op < 4:
			level, pages := int8(3), uint64(1)
			if r.N(6) == 0 {
				level, pages = 2, blockPages
				at &^= GFN(blockPages - 1)
			}
			pa := PA(r.N(3)+1) << 33
			prot := ProtRead | Prot(r.N(4))<<1
			p := h.s.Map(g.IPA(at), pa, level, prot, r.N(2) == 0)
			perform(t, h, &p, snapshots, func(p *MapProgram, c *sim.Codec) { p.Sync(c, &h.s) })
			want := EditDone
			if l, ok := model[at]; ok && l.Pages == pages && l.PA == pa {
				want = EditAgain
			} else {
				for _, old := range model.over(at, pages) {
					gone[old] = true
					delete(model, old)
				}
				model[at] = naiveLeaf{pages, pa, prot}
			}
			if p.Result != want {
				t.Fatalf("map of %#x: result %d, want %d", at, p.Result, want)
			}
		case op < 6:
			p := h.s.Protect(at, n)
			perform(t, h, &p, snapshots, func(p *ProtectProgram, c *sim.Codec) { p.Sync(c, &h.s) })
			var changed, leaves uint64
			for _, hit := range model.over(at, n) {
				l := model[hit]
				leaves++
				if l.Prot&ProtWrite != 0 {
					changed++
				}
				l.Prot &^= ProtWrite
				model[hit] = l
			}
			if p.Changed != changed || p.Leaves != leaves {
				t.Fatalf("protect of %#x+%#x: %d of %d leaves changed, want %d of %d", at, n, p.Changed, p.Leaves, changed, leaves)
			}
		case op < 7:
			p := h.s.Unmap(at, n)
			perform(t, h, &p, snapshots, func(p *UnmapProgram, c *sim.Codec) { p.Sync(c, &h.s) })
			for _, hit := range model.over(at, n) {
				gone[hit] = true
				delete(model, hit)
			}
		case op < 8:
			p := h.s.Split(at, n)
			perform(t, h, &p, snapshots, func(p *SplitProgram, c *sim.Codec) { p.Sync(c, &h.s) })
			for _, hit := range model.over(at, n) {
				if l := model[hit]; l.Pages > 1 {
					gone[hit] = true
					delete(model, hit)
					for i := range l.Pages {
						model[hit+GFN(i)] = naiveLeaf{1, l.PA + PA(i)<<g.Shift(), l.Prot}
					}
				}
			}
		default:
			p := h.s.Relax(g.IPA(at), ProtWrite, r.N(2) == 0, uint8(r.N(2))*OpBroadcast)
			perform(t, h, &p, snapshots, func(p *RelaxProgram, c *sim.Codec) { p.Sync(c, &h.s) })
			want := EditAgain
			for _, hit := range model.over(at, 1) {
				l := model[hit]
				l.Prot |= ProtWrite
				model[hit] = l
				want = EditDone
				gone[hit] = true
			}
			if p.Result != want {
				t.Fatalf("relax of %#x: result %d, want %d", at, p.Result, want)
			}
		}
		for page := range gone {
			if e, _ := h.t.Lookup(h.space, g.IPA(page)); e != nil {
				t.Fatalf("the TLB still holds page %#x", page)
			}
		}
		if len(model) > 1000 && step%16 != 0 {
			continue // a whole comparison takes long
		}
		got := naiveStage2{}
		h.leaves(h.s.Root, h.s.Start, 0, got)
		if !maps.Equal(model, got) {
			t.Fatalf("mappings (-want +got):\n%s", cmp.Diff(model, got))
		}
	}
	p := h.s.Unmap(0, 1<<40)
	RunNow(h.m, h.d, &h.b, &p)
	if h.a.Used != empty {
		t.Errorf("after unmapping everything %d frames of tables are left", h.a.Used-empty)
	}
}

// TestGigabyteBlock: a 1 GiB block is protected and unmapped as one entry, and
// split into 2^18 pages under 513 tables with a single break-before-make.
func TestGigabyteBlock(t *testing.T) {
	h := newHost(Granule4K, 40)
	m := h.s.Map(1<<30, 1<<32, 1, ProtRead|ProtWrite, false)
	RunNow(h.m, h.d, &h.b, &m)
	prot := h.s.Protect(1<<18+77, 1)
	RunNow(h.m, h.d, &h.b, &prot)
	if prot.Changed != 1 || prot.Leaves != 1 {
		t.Errorf("protecting one page of the block changed %d of %d leaves", prot.Changed, prot.Leaves)
	}
	split := h.s.Split(1<<18, 1<<18)
	tlbis := 0
	for h.b.N = 0; split.Next(&h.b); {
		for i := range h.b.N {
			if h.b.Ops[i].Kind == OpTLBIIPA {
				tlbis++
			}
			h.b.Out[i] = h.m.Apply(&h.b.Ops[i], 0)
		}
	}
	if split.Blocks != 1 || split.Tables != 513 || tlbis != 1 {
		t.Errorf("split of %d blocks into %d tables with %d TLBIs, want 1, 513, 1", split.Blocks, split.Tables, tlbis)
	}
	got := naiveStage2{}
	h.leaves(h.s.Root, h.s.Start, 0, got)
	if len(got) != 1<<18 {
		t.Fatalf("%d pages after the split", len(got))
	}
	for gfn, l := range got {
		if l != (naiveLeaf{1, PA(gfn-1<<18)<<12 + 1<<32, ProtRead}) {
			t.Fatalf("page %#x maps %+v", gfn, l)
		}
	}
	used := h.a.Used
	m = h.s.Map(1<<30, 1<<32, 1, ProtRead|ProtWrite, false) // back to a block: the tables go
	RunNow(h.m, h.d, &h.b, &m)
	if m.Broke != 1 || used-h.a.Used != 513 {
		t.Errorf("mapping the block again broke %d entries and freed %d tables", m.Broke, used-h.a.Used)
	}
	h.s.Destroy(h.m)
	if h.a.Used != 0 {
		t.Errorf("%d frames left after the VM", h.a.Used)
	}
}

// TestHolesAreSkipped: what protecting costs depends on what is mapped.
func TestHolesAreSkipped(t *testing.T) {
	h := newHost(Granule4K, 40)
	h.mapPages(5<<18+7, 3, ProtRead|ProtWrite)
	p := h.s.Protect(0, 1<<28) // 1 TiB
	ops := 0
	for h.b.N = 0; p.Next(&h.b); {
		for i := range h.b.N {
			ops++
			h.b.Out[i] = h.m.Apply(&h.b.Ops[i], 0)
		}
	}
	if p.Changed != 3 || ops > 1024+512+512+32 {
		t.Errorf("%d pages changed with %d micro-ops", p.Changed, ops)
	}
}

// TestOps: what a path hands to the core. 64 pages in a row take one load and one
// store each, in blocks of eight; a new entry is published by a store-release
// after its table's contents; a relaxation under the read lock is one CAS.
func TestOps(t *testing.T) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, 128, ProtRead|ProtWrite)
	type counts struct{ blocks, loads, stores, releases, swaps, tlbis int }
	count := func(p Program) (n counts) {
		for h.b.N = 0; p.Next(&h.b); {
			n.blocks++
			for i := range h.b.N {
				switch op := &h.b.Ops[i]; {
				case op.Kind == OpLoad:
					n.loads++
				case op.Kind == OpCAS:
					n.swaps++
				case op.Kind == OpTLBIIPA:
					n.tlbis++
				case op.Flags&OpRelease != 0:
					n.releases++
				default:
					n.stores++
				}
				h.b.Out[i] = h.m.Apply(&h.b.Ops[i], 0)
			}
		}
		return n
	}
	protect, single, none := h.s.Protect(64, 64), h.s.Protect(3, 1), h.s.Protect(7, 0)
	relax, exclusive := h.s.Relax(0x3000, ProtWrite, true, 0), h.s.Relax(64<<12, ProtWrite, false, 0)
	page, fresh := h.s.Map(200<<12, 0x1000, 3, ProtRead, true), h.s.Map(5<<21, 0x1000, 3, ProtRead, false)
	unmap := h.s.Unmap(10, 6)
	for _, c := range []struct {
		name string
		p    Program
		want counts
	}{
		{"protect 64", &protect, counts{blocks: 18, loads: 66, stores: 64}},
		{"protect 1", &single, counts{blocks: 4, loads: 3, stores: 1}},
		{"protect 0", &none, counts{}},
		{"relax shared", &relax, counts{blocks: 4, loads: 3, swaps: 1, tlbis: 1}},
		{"relax exclusive", &exclusive, counts{blocks: 4, loads: 3, stores: 1, tlbis: 1}},
		{"map shared", &page, counts{blocks: 5, loads: 3, swaps: 1, releases: 1}},
		{"map under a new table", &fresh, counts{blocks: 5, loads: 3, stores: 2, releases: 2}},
		{"unmap 6", &unmap, counts{blocks: 6, loads: 8, stores: 6, tlbis: 6}},
	} {
		if got := count(c.p); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestNoMemoryForTables: edits end without a table, having taken none.
func TestNoMemoryForTables(t *testing.T) {
	h := newHost(Granule4K, 40)
	m := h.s.Map(0, 1<<32, 2, ProtRead, false)
	RunNow(h.m, h.d, &h.b, &m)
	h.a.end = h.a.next
	used := h.a.Used
	m = h.s.Map(5<<30, 0x1000, 3, ProtRead, false)
	RunNow(h.m, h.d, &h.b, &m)
	split := h.s.Split(0, 512)
	RunNow(h.m, h.d, &h.b, &split)
	if m.Result != EditNoMemory || split.Result != EditNoMemory || h.a.Used != used {
		t.Errorf("map: %d, split: %d, %d frames more", m.Result, split.Result, h.a.Used-used)
	}
	if leaf := h.s.Find(h.m, 0); leaf.Level != 2 || leaf.Kind != DescIsLeaf {
		t.Errorf("the block that could not be split is %+v", leaf)
	}
}

// TestLosersTryAgain: under the read lock, an entry that changes between a
// program's load and its compare-and-swap belongs to the other.
func TestLosersTryAgain(t *testing.T) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, 1, ProtRead)
	steal := func(next func(*Block) bool, when OpKind) {
		for h.b.N = 0; next(&h.b); {
			for i := range h.b.N {
				op := &h.b.Ops[i]
				if op.Kind == when {
					h.m.Store(op.Addr, 8, uint64(DescLocked), 0)
				}
				h.b.Out[i] = h.m.Apply(op, 0)
			}
		}
	}
	used := h.a.Used
	relax := h.s.Relax(0, ProtWrite, true, 0)
	steal(relax.Next, OpCAS)
	mapped := h.s.Map(0x1000, 0x5000, 3, ProtRead, true)
	steal(mapped.Next, OpCAS)
	table := h.s.Map(7<<30, 0x5000, 3, ProtRead, true)
	steal(table.Next, OpCAS)
	locked := h.s.Map(0x1000, 0x5000, 3, ProtRead, true)
	RunNow(h.m, h.d, &h.b, &locked)
	if relax.Result != EditAgain || mapped.Result != EditAgain || table.Result != EditAgain || locked.Result != EditAgain {
		t.Errorf("results %d %d %d %d, want all EditAgain", relax.Result, mapped.Result, table.Result, locked.Result)
	}
	if h.a.Used != used {
		t.Errorf("the losers kept %d frames", h.a.Used-used)
	}
}

// TestAllocator: blocks are aligned, zero, disjoint, and come back.
func TestAllocator(t *testing.T) {
	m := NewMemory()
	a := NewAllocator(m, 5, 1<<20)
	r := sim.NewStream(1, "alloc")
	type taken struct {
		pfn   PFN
		order uint
	}
	var held []taken
	owner := map[PFN]bool{}
	for i := range 3000 {
		if i == 1500 {
			e := sim.NewEncoder()
			a.Sync(e)
			b := NewAllocator(m, 0, 0)
			d := sim.NewDecoder(e.Finish())
			b.Sync(d)
			if d.Finish(); d.Err() != nil {
				t.Fatal(d.Err())
			}
			a = b
		}
		if len(held) > 0 && r.N(3) == 0 {
			k := r.N(uint64(len(held)))
			h := held[k]
			held[k] = held[len(held)-1]
			held = held[:len(held)-1]
			for f := h.pfn; f < h.pfn+1<<h.order; f++ {
				delete(owner, f)
			}
			a.Free(h.pfn, h.order)
			continue
		}
		order := uint(r.N(5))
		pfn := a.Alloc(order)
		if pfn&(1<<order-1) != 0 || pfn < 5 {
			t.Fatalf("block of order %d at %#x", order, pfn)
		}
		for f := pfn; f < pfn+1<<order; f++ {
			if owner[f] || m.Load(f.PA(), 8) != 0 {
				t.Fatalf("frame %#x handed out twice or dirty", f)
			}
			owner[f] = true
			m.Store(f.PA(), 8, 1, 0)
		}
		held = append(held, taken{pfn, order})
	}
	if a.Used != uint64(len(owner)) {
		t.Errorf("%d frames used, want %d", a.Used, len(owner))
	}
	small := NewAllocator(m, 1<<20, 1<<20+3)
	if small.Alloc(1) != 1<<20 || small.Alloc(1) != NoFrame || small.Alloc(0) != 1<<20+2 || small.Alloc(0) != NoFrame {
		t.Error("an allocator of three frames does not hand out three frames")
	}
}
