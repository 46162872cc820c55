package mmu

import (
	"encoding/binary"
	"testing"

	"ringmap/sim"
)

// naiveTLB is the TLB as its documentation tells it, with keys instead of
// numbers: sets of slots, and a first level that points at slots.
type naiveTLB struct {
	slots [][]naiveSlot
	first [][]*naiveSlot // most recent first
	l1    int
}

type naiveSlot struct {
	key  naiveKey
	out  naiveOut
	used bool
	live bool
}

type naiveKey struct {
	vmid  uint16
	page  uint64
	shift uint
}

type naiveOut struct {
	pa    PA
	prot  Prot
	level int8
}

func newNaiveTLB(s TLBSpec) *naiveTLB {
	n := &naiveTLB{slots: make([][]naiveSlot, s.Entries/s.Ways), l1: s.L1Ways}
	for i := range n.slots {
		n.slots[i] = make([]naiveSlot, s.Ways)
	}
	if s.L1Entries > 0 {
		n.first = make([][]*naiveSlot, s.L1Entries/s.L1Ways)
	}
	return n
}

// lookup tries every size, small ones first; the sizes never overlap in the test.
func (n *naiveTLB) lookup(vmid uint16, ipa IPA) (*naiveSlot, Found) {
	for _, shift := range []uint{12, 21, 30} {
		key := naiveKey{vmid, uint64(ipa) >> shift, shift}
		if len(n.first) > 0 {
			for _, s := range n.first[key.page%uint64(len(n.first))] {
				if s.live && s.key == key {
					n.touch(s)
					return s, HitL1
				}
			}
		}
		set := n.slots[key.page%uint64(len(n.slots))]
		for i := range set {
			if set[i].live && set[i].key == key {
				n.touch(&set[i])
				return &set[i], HitL2
			}
		}
	}
	return nil, Miss
}

// touch makes a slot the most recent of its first-level set.
func (n *naiveTLB) touch(s *naiveSlot) {
	s.used = true
	if len(n.first) == 0 {
		return
	}
	set := &n.first[s.key.page%uint64(len(n.first))]
	list := []*naiveSlot{s}
	for _, old := range *set {
		if old != s && len(list) < n.l1 {
			list = append(list, old)
		}
	}
	*set = list
}

func (n *naiveTLB) fill(key naiveKey, out naiveOut) *naiveSlot {
	set := n.slots[key.page%uint64(len(n.slots))]
	victim := func() *naiveSlot {
		for i := range set {
			if !set[i].live {
				return &set[i]
			}
		}
		for range 2 {
			for i := range set {
				if !set[i].used {
					return &set[i]
				}
			}
			for i := range set {
				set[i].used = false
			}
		}
		panic("no victim")
	}()
	*victim = naiveSlot{key: key, out: out, live: true}
	n.touch(victim)
	return victim
}

func (n *naiveTLB) invalidate(match func(naiveKey) bool) {
	for i := range n.slots {
		for j := range n.slots[i] {
			if s := &n.slots[i][j]; match(s.key) {
				s.live = false
			}
		}
	}
}

// tlbWorld is two VMs on three TLBs, with their naive counterparts.
type tlbWorld struct {
	m     *Memory
	a     *Allocator
	d     *Domain
	s     [2]Stage2
	t     [3]TLB
	naive [3]*naiveTLB
	b     Block
	r     sim.Stream
}

var smallTLB = TLBSpec{Entries: 32, Ways: 4, L1Entries: 6, L1Ways: 3, WalkEntries: 8, WalkWays: 2}

func newTLBWorld(spec TLBSpec, seed uint64) *tlbWorld {
	w := &tlbWorld{m: NewMemory(), d: NewDomain(), r: sim.NewStream(seed, "tlb")}
	w.a = NewAllocator(w.m, 1<<18, 1<<36)
	for i := range w.s {
		w.s[i] = NewStage2(w.m, w.a, Granule4K, 40, uint16(i+7))
	}
	for i := range w.t {
		w.d.Add(&w.t[i], spec)
		w.naive[i] = newNaiveTLB(spec)
	}
	return w
}

func (w *tlbWorld) sync(c *sim.Codec) {
	w.m.Sync(c)
	w.a.Sync(c)
	for i := range w.s {
		w.s[i].Sync(c, w.a)
	}
	w.d.Sync(c, w.m)
	w.r.Sync(c)
}

// ipa picks a page of few, or a 2 MiB or 1 GiB block of few.
func (w *tlbWorld) ipa() (IPA, int8) {
	switch w.r.N(8) {
	case 0:
		return IPA(w.r.N(4))<<30 + 8<<30, 1
	case 1:
		return IPA(w.r.N(6))<<21 + 5<<30, 2
	}
	return IPA(w.r.N(4)<<30 + w.r.N(3)<<21 + w.r.N(24)<<12), 3
}

// step performs one random action on the real thing and the model.
func (w *tlbWorld) step(t *testing.T) (seen uint64) {
	core, vm := w.r.N(3), w.r.N(2)
	s, tlb := &w.s[vm], &w.t[core]
	ipa, level := w.ipa()
	switch op := w.r.N(100); {
	case op < 80:
		a := Access(w.r.N(3))
		e, found, fault := tlb.translate(w.m, s, w.d.Space(Space{VMID: s.VMID}), ipa+IPA(w.r.N(4096)), a)
		seen = uint64(found)<<8 | uint64(fault.Kind)
		if e != nil {
			seen |= uint64(e.PA(ipa)) << 16
			if e.Frame() == nil {
				seen |= 1 << 12
			}
		}
		if w.naive[0] != nil {
			w.check(t, core, s, ipa, a, e, found, fault)
		}
	case op < 90: // the tables change, and nobody tells the TLBs
		leaf := s.Find(w.m, ipa)
		switch {
		case leaf.Kind == DescIsLeaf && w.r.N(3) > 0:
			w.m.Store(leaf.At, 8, uint64(leaf.Desc)^uint64(1<<w.r.N(2))*0x40, 0)
		case leaf.Kind == DescIsLeaf:
			w.m.Store(leaf.At, 8, 0, 0)
		default:
			p := s.Map(ipa, PA(1+w.r.N(1000))<<30, level, Prot(w.r.N(8)), false)
			RunNow(w.m, w.d, &w.b, &p)
		}
	case op < 94:
		tlb.InvalidateIPA(s.VMID, ipa)
		w.forget(int(core), func(k naiveKey) bool { return k.vmid == s.VMID && k.page == uint64(ipa)>>k.shift })
	case op < 97:
		w.d.InvalidateIPA(s.VMID, ipa)
		w.forget(-1, func(k naiveKey) bool { return k.vmid == s.VMID && k.page == uint64(ipa)>>k.shift })
	case op < 98:
		w.d.InvalidateVMID(s.VMID)
		w.forget(-1, func(k naiveKey) bool { return k.vmid == s.VMID })
	case op < 99:
		tlb.InvalidateVMID(s.VMID)
		w.forget(int(core), func(k naiveKey) bool { return k.vmid == s.VMID })
	case w.r.N(4) == 0:
		w.d.InvalidateAll()
		w.forget(-1, func(naiveKey) bool { return true })
	}
	return seen
}

func (w *tlbWorld) forget(core int, match func(naiveKey) bool) {
	for i, n := range w.naive {
		if n != nil && (core < 0 || core == i) {
			n.invalidate(match)
		}
	}
}

// check compares a translation with the model's.
func (w *tlbWorld) check(t *testing.T, core uint64, s *Stage2, ipa IPA, a Access, e *Entry, found Found, fault Fault) {
	t.Helper()
	n := w.naive[core]
	slot, want := n.lookup(s.VMID, ipa)
	if found != want {
		t.Fatalf("%#x: found %d, want %d", ipa, found, want)
	}
	if slot == nil {
		leaf := s.Find(w.m, ipa)
		if leaf.Kind != DescIsLeaf {
			if e != nil || fault.Kind != FaultTranslation || fault.Level != leaf.Level {
				t.Fatalf("%#x is not mapped at level %d: fault %+v", ipa, leaf.Level, fault)
			}
			return
		}
		shift := s.Shift(leaf.Level)
		slot = n.fill(naiveKey{s.VMID, uint64(ipa) >> shift, shift}, naiveOut{leaf.Desc.OA(shift), leaf.Desc.Prot(), leaf.Level})
	}
	allowed := slot.out.prot&(ProtRead<<a) != 0 && (a != AccessFetch || slot.out.prot&ProtRead != 0)
	switch {
	case !allowed:
		if e != nil || fault.Kind != FaultPermission || fault.Level != slot.out.level {
			t.Fatalf("%#x: access %d to %b gives %+v", ipa, a, slot.out.prot, fault)
		}
	case e == nil:
		t.Fatalf("%#x: access %d to %b faults: %+v", ipa, a, slot.out.prot, fault)
	default:
		pa := slot.out.pa + PA(ipa)&(1<<slot.key.shift-1)
		if e.PA(ipa) != pa || e.Frame() != nil && e.Frame() != w.m.Frame(pa.PFN()) {
			t.Fatalf("%#x translates to %#x, want %#x", ipa, e.PA(ipa), pa)
		}
	}
}

// TestTLBAgainstNaive: hits, levels, evictions and stale translations are those
// of the model, whatever happens to the tables.
func TestTLBAgainstNaive(t *testing.T) {
	for seed, spec := range []TLBSpec{smallTLB, {Entries: 16, Ways: 1}, {Entries: 8, Ways: 8, L1Entries: 4, L1Ways: 4}, NeoverseN1} {
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		w := newTLBWorld(spec, uint64(seed))
		if seed == 0 {
			w.d.next = spaceNumbers - 20 // the numbers run out during the test
			w.d.gone = make([]uint64, spaceNumbers>>6)
			w.d.gone[0] = 1
		}
		for range 60000 {
			w.step(t)
		}
		for i := range w.t {
			s := w.t[i].Stats
			if s.L2Hits == 0 || s.Misses == 0 || s.Loads < s.Misses {
				t.Errorf("TLB %d: nothing happened: %+v", i, s)
			}
		}
	}
}

// TestDomainSnapshot: save, restore, continue equals the undisturbed run, access
// by access.
func TestDomainSnapshot(t *testing.T) {
	for seed := range uint64(5) {
		w, v := newTLBWorld(smallTLB, seed), newTLBWorld(smallTLB, 99)
		w.naive, v.naive = [3]*naiveTLB{}, [3]*naiveTLB{}
		for range 5000 {
			w.step(t)
		}
		e := sim.NewEncoder()
		w.sync(e)
		d := sim.NewDecoder(e.Finish())
		v.sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for i := range 5000 {
			if a, b := w.step(t), v.step(t); a != b {
				t.Fatalf("seed %d: step %d after the restore: %#x, undisturbed %#x", seed, i, b, a)
			}
		}
		a, b := sim.NewHasher(), sim.NewHasher()
		w.sync(a)
		v.sync(b)
		if a.Sum() != b.Sum() {
			t.Errorf("seed %d: the states differ in the end", seed)
		}
	}
}

// TestDomainRefusesDamage: a damaged snapshot gives an error or another state,
// never a panic, now or later.
func TestDomainRefusesDamage(t *testing.T) {
	w := newTLBWorld(smallTLB, 3)
	w.naive = [3]*naiveTLB{}
	for range 3000 {
		w.step(t)
	}
	e := sim.NewEncoder()
	w.d.Sync(e, w.m)
	good := e.Finish()
	for i := 0; i < len(good); i += 3 {
		for _, flip := range []byte{1, 0xff} {
			bad := append([]byte(nil), good...)
			bad[i] ^= flip
			v := newTLBWorld(smallTLB, 1)
			d := sim.NewDecoder(bad)
			v.d.Sync(d, v.m)
			if d.Err() == nil && d.Finish() == nil && d.Err() == nil {
				for vm := range v.s {
					v.t[0].translate(v.m, &v.s[vm], v.d.Space(Space{VMID: v.s[vm].VMID}), 0x1000, AccessRead)
				}
			}
		}
	}
}

// TestStalePermission: the mechanism under study. A TLB that holds a writable
// entry goes on writing after the descriptor is protected, until a TLBI.
func TestStalePermission(t *testing.T) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, 2, ProtRead|ProtWrite)
	write := func() FaultKind { return h.store(0x1008, 1) }
	if k := write(); k != FaultNone {
		t.Fatalf("first write: %v", k)
	}
	p := h.s.Protect(0, 2)
	RunNow(h.m, h.d, &h.b, &p)
	if k := write(); k != FaultNone {
		t.Errorf("write through a stale entry: %v, want none", k)
	}
	h.d.InvalidateIPA(1, 0x0000) // another page
	if k := write(); k != FaultNone {
		t.Errorf("write after the TLBI of another page: %v, want none", k)
	}
	h.d.InvalidateVMID(1)
	if k := write(); k != FaultPermission {
		t.Errorf("write after the TLBI: %v, want permission", k)
	}
	leaf := h.s.Find(h.m, 0x1000)
	h.m.Store(leaf.At, 8, uint64(leaf.Desc.Allow(ProtWrite)), 0)
	if k := write(); k != FaultPermission {
		t.Errorf("write with the protected entry cached: %v, want permission", k)
	}
	h.t.InvalidateIPA(1, 0x1000)
	if k := write(); k != FaultNone {
		t.Errorf("write after the local TLBI: %v, want none", k)
	}
}

// TestStaleTable: the walk cache goes on using a table that is unlinked, until a
// TLBI for an address under it.
func TestStaleTable(t *testing.T) {
	h := newHost(Granule4K, 40)
	h.mapPages(0, 3, ProtRead|ProtWrite)
	h.store(0, 1)
	at := h.s.Entry(PA(h.m.Load(h.s.Root, 8)&^3), 2, 0)
	h.m.Store(at, 8, 0, 0)
	if k := h.store(0x1000, 1); k != FaultNone {
		t.Errorf("store by a cached table: %v, want none", k)
	}
	h.d.InvalidateIPA(1, 0x1f0000)
	if k := h.store(0x2000, 1); k != FaultTranslation {
		t.Errorf("store after the TLBI: %v, want translation", k)
	}
}

// TestFaults: kind and level of every fault, from descriptors put down by hand.
func TestFaults(t *testing.T) {
	const page, table, block = 0x7ff, 3, 0x7fd
	m := NewMemory()
	a := NewAllocator(m, 1<<18, 1<<36)
	s := NewStage2(m, a, Granule4K, 48, 3) // levels 0 to 3
	s.OutBits = 44
	put := func(at PA, index PA, d uint64) { m.Store(at+index*8, 8, d, 0) }
	const l1, l2, l3 = 0x10000, 0x20000, 0x30000
	put(s.Root, 0, l1|table)
	put(s.Root, 1, block)        // no blocks at level 0
	put(s.Root, 2, 1<<45|table)  // table beyond the output size
	put(l1, 0, l2|table)         //
	put(l1, 1, 0x40000000|block) // 1 GiB
	put(l1, 2, 0x3ff)            // table whose address is 0: its entries are the zeros there
	put(l2, 0, l3|table)         //
	put(l2, 1, 0x600000|block)   // 2 MiB
	put(l2, 2, (0x600000|block)^0x400)
	put(l2, 3, 1<<44|block)
	put(l3, 0, 0x5000|page)
	put(l3, 1, 0x5000|page^0x80)      // no write
	put(l3, 2, 0x5000|page^0x40)      // no read
	put(l3, 3, 0x5000|page^0x400)     // no access flag
	put(l3, 4, 0x5000|page^2)         // reserved at level 3
	put(l3, 5, 1<<54|0x5000|page)     // execute never
	put(l3, 6, 0xffff_0000_5000|page) // beyond the output size
	put(l3, 7, 0x5000|page^0x4c0)     // access flag before permission
	d := NewDomain()
	var tlb TLB
	d.Add(&tlb, NeoverseN1)
	for _, c := range []struct {
		ipa   IPA
		a     Access
		kind  FaultKind
		level int8
		pa    PA
	}{
		{0x0123, AccessWrite, FaultNone, 0, 0x5123},
		{0x1123, AccessRead, FaultNone, 0, 0x5123},
		{0x1123, AccessWrite, FaultPermission, 3, 0},
		{0x1123, AccessFetch, FaultNone, 0, 0x5123},
		{0x2000, AccessRead, FaultPermission, 3, 0},
		{0x2000, AccessFetch, FaultPermission, 3, 0},
		{0x2000, AccessWrite, FaultNone, 0, 0x5000},
		{0x3000, AccessRead, FaultAccessFlag, 3, 0},
		{0x4000, AccessRead, FaultTranslation, 3, 0},
		{0x5000, AccessRead, FaultNone, 0, 0x5000},
		{0x5000, AccessFetch, FaultPermission, 3, 0},
		{0x6000, AccessRead, FaultAddressSize, 3, 0},
		{0x7000, AccessWrite, FaultAccessFlag, 3, 0},
		{0x8000, AccessRead, FaultTranslation, 3, 0},
		{0x2a_bcd8, AccessWrite, FaultNone, 0, 0x6a_bcd8},
		{0x40_0000, AccessRead, FaultAccessFlag, 2, 0},
		{0x60_0000, AccessRead, FaultAddressSize, 2, 0},
		{0x80_0000, AccessRead, FaultTranslation, 2, 0},
		{0x7654_3210, AccessRead, FaultNone, 0, 0x7654_3210},
		{0x8000_0000, AccessRead, FaultTranslation, 2, 0},
		{0xc000_0000, AccessRead, FaultTranslation, 1, 0},
		{1 << 39, AccessRead, FaultTranslation, 0, 0},
		{2 << 39, AccessRead, FaultAddressSize, 0, 0},
		{1 << 48, AccessRead, FaultTranslation, 0, 0},
	} {
		for _, again := range []string{"cold", "again"} {
			e, _, fault := tlb.translate(m, &s, d.Space(Space{VMID: 3}), c.ipa, c.a)
			if want := (Fault{c.ipa, c.kind, c.level}); c.kind != FaultNone && (e != nil || fault != want) {
				t.Errorf("%#x, access %d, %s: %+v, want %+v", c.ipa, c.a, again, fault, want)
			}
			if c.kind == FaultNone && (e == nil || e.PA(c.ipa) != c.pa) {
				t.Errorf("%#x, access %d, %s: %+v, want %#x", c.ipa, c.a, again, fault, c.pa)
			}
		}
	}
}

// TestSpacesAreApart: the same address in other regimes, VMIDs and ASIDs is
// another entry; a VMID's invalidation leaves EL2's alone.
func TestSpacesAreApart(t *testing.T) {
	d := NewDomain()
	var tlb TLB
	d.Add(&tlb, NeoverseN1)
	all := []Space{{RegimeEL10, 1, 1, InputIPA}, {RegimeEL10, 1, 2, InputIPA}, {RegimeEL10, 2, 1, InputIPA}, {RegimeEL2, 0, 0, InputIPA}, {RegimeEL20, 0, 1, InputIPA}, {RegimeEL20, 0, 2, InputIPA}, {RegimeEL10, 0, 1, InputIPA}}
	m := NewMemory()
	a := NewAllocator(m, 1<<18, 1<<36)
	for i, sp := range all {
		s := NewStage2(m, a, Granule4K, 40, 0)
		p := s.Map(0, PA(i+1)<<12, 3, ProtRead, false)
		var b Block
		RunNow(m, d, &b, &p)
		if e, _, _ := tlb.translate(m, &s, d.Space(sp), 0, AccessRead); e == nil {
			t.Fatal("not mapped")
		}
	}
	held := func() (n []int) {
		for i, sp := range all {
			if e, _ := tlb.Lookup(d.Space(sp), 0); e != nil && e.PA(0) == PA(i+1)<<12 {
				n = append(n, i)
			}
		}
		return n
	}
	if n := held(); len(n) != 5 { // seven in one set of five ways
		t.Errorf("%d entries are held, want 5", len(n))
	}
	d.InvalidateVMID(1)
	for _, i := range held() {
		if i < 2 {
			t.Errorf("space %+v outlived its VMID", all[i])
		}
	}
	d.InvalidateAll()
	if n := held(); len(n) != 0 {
		t.Errorf("%v outlived everything", n)
	}
}

func TestTLBSpecs(t *testing.T) {
	for _, s := range []TLBSpec{
		{}, {Entries: 1280, Ways: 0}, {Entries: 1281, Ways: 5}, {Entries: 60, Ways: 5}, {Entries: 1 << 16, Ways: 4},
		{Entries: 64, Ways: 32}, {Entries: 64, Ways: 4, L1Entries: 40, L1Ways: 5}, {Entries: 64, Ways: 4, WalkEntries: 3, WalkWays: 2},
		{Entries: -4, Ways: 4},
	} {
		if s.Validate() == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	if err := NeoverseN1.Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzWalk lets the walker loose on descriptors from anywhere: it ends at a
// level, agrees with an uncached walk, and never panics.
func FuzzWalk(f *testing.F) {
	f.Add(uint8(12), uint8(40), randomBytes(7, 600))
	f.Add(uint8(16), uint8(48), []byte{3, 0, 0, 0, 4})
	f.Add(uint8(14), uint8(36), []byte{})
	f.Fuzz(func(t *testing.T, g, ipaBits uint8, b []byte) {
		if _, err := NewGeometry(Granule(g), ipaBits); err != nil {
			t.Skip()
		}
		m := NewMemory()
		a := NewAllocator(m, 1<<18, 1<<36)
		s := NewStage2(m, a, Granule(g), ipaBits, 1)
		word := func(i int) uint64 {
			var p [8]byte
			copy(p[:], b[min(i*8, len(b)):])
			return binary.LittleEndian.Uint64(p[:])
		}
		for i := range PA(len(b) / 8) { // entries point into the root, so that walks go round in it
			d := word(int(i))
			if i&1 == 0 {
				d = d&0x7fff0000000ffff | uint64(s.Root) | 3
			}
			m.Store(s.Root+i*8, 8, d, 0)
		}
		d := NewDomain()
		var tlb TLB
		d.Add(&tlb, smallTLB)
		space := d.Space(Space{VMID: 1})
		for i := range 64 {
			ipa := IPA(word(i)*0x9e3779b97f4a7c15) & (1<<(ipaBits+1) - 1)
			if i < 32 {
				ipa = IPA(i) << (ipaBits - 5)
			}
			e, found, fault := tlb.translate(m, &s, space, ipa, Access(i%3))
			if ipa>>ipaBits != 0 {
				if e != nil || fault != (Fault{ipa, FaultTranslation, 0}) {
					t.Fatalf("%#x is out of range: %+v", ipa, fault)
				}
				continue
			}
			leaf := s.Find(m, ipa)
			if e != nil && found == Miss && (leaf.Kind != DescIsLeaf || e.PA(ipa) != leaf.Desc.OA(s.Shift(leaf.Level))+PA(ipa)&(1<<s.Shift(leaf.Level)-1)) {
				t.Fatalf("%#x walks to %#x, the descriptor is %v", ipa, e.PA(ipa), leaf.Desc)
			}
			if e == nil && fault.Kind == FaultTranslation && (leaf.Kind == DescIsLeaf || leaf.Level != fault.Level) {
				t.Fatalf("%#x: %+v, the descriptor is %v at level %d", ipa, fault, leaf.Desc, leaf.Level)
			}
		}
	})
}
