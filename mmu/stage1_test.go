package mmu

import (
	"fmt"
	"slices"
	"testing"
)

// stage1World is one regime without stage 2 and its tables, put down by hand.
type stage1World struct {
	m *Memory
	d *Domain
	t TLB
	c Context
}

func newStage1World(s Stage1) *stage1World {
	w := &stage1World{m: NewMemory(), d: NewDomain(), c: Context{Stage1: s}}
	w.d.Add(&w.t, smallTLB)
	w.c.Bind(w.d)
	return w
}

func (w *stage1World) put(at PA, d uint64) { w.m.Store(at, 8, d, 0) }

// allowed lists what a page allows: privileged, with PAN, unprivileged.
func (w *stage1World) allowed(va VA) string {
	var out []byte
	for _, mode := range []Mode{ModePriv, ModePAN, ModeUser} {
		if out != nil {
			out = append(out, ' ')
		}
		for a, letter := range "rwx" {
			e, abort := w.t.WalkVA(w.m, &w.c, va, Access(a), mode)
			switch {
			case e != nil && !e.AllowsAs(mode, Access(a)):
				return "an entry that does not allow what it was made for"
			case e != nil:
				out = append(out, byte(letter))
			case abort.Kind == FaultPermission && abort.Level == 3 && !abort.Stage2:
				out = append(out, '-')
			default:
				return fmt.Sprintf("%+v", abort)
			}
		}
	}
	return string(out)
}

// TestStage1Permissions: the tables of DDI 0487 D8.4.1, "Direct permissions" and
// "Hierarchical permissions".
func TestStage1Permissions(t *testing.T) {
	const (
		user, ro, pxn, uxn                       = 1 << 6, 1 << 7, 1 << 53, 1 << 54
		tableNoUser, tableRO, tablePXN, tableUXN = 1 << 61, 1 << 62, 1 << 59, 1 << 60
	)
	for _, c := range []struct {
		leaf, table uint64
		wxn, hpd    bool
		regime      Regime
		want        string
	}{
		{0, 0, false, false, RegimeEL10, "rwx rwx --x"},
		{user, 0, false, false, RegimeEL10, "rw- --- rwx"}, // writable at EL0: not executable at EL1
		{ro, 0, false, false, RegimeEL10, "r-x r-x --x"},
		{ro | user, 0, false, false, RegimeEL10, "r-x --x r-x"},
		{pxn, 0, false, false, RegimeEL10, "rw- rw- --x"},
		{uxn, 0, false, false, RegimeEL10, "rwx rwx ---"},
		{ro | user | pxn | uxn, 0, false, false, RegimeEL10, "r-- --- r--"},
		{0, 0, true, false, RegimeEL10, "rw- rw- --x"},
		{user, 0, true, false, RegimeEL10, "rw- --- rw-"},
		{ro | user, 0, true, false, RegimeEL10, "r-x --x r-x"},
		{user, tableNoUser, false, false, RegimeEL10, "rwx rwx --x"},
		{user, tableRO, false, false, RegimeEL10, "r-x --x r-x"},
		{user, tableRO | tableNoUser, false, false, RegimeEL10, "r-x r-x --x"},
		{user, tableRO | tableNoUser, false, true, RegimeEL10, "rw- --- rwx"},
		{ro | user, tablePXN, false, false, RegimeEL10, "r-- --- r-x"},
		{ro | user, tableUXN, false, false, RegimeEL10, "r-x --x r--"},
		{ro | user, tablePXN | tableUXN, false, true, RegimeEL10, "r-x --x r-x"},
		{user, 0, true, false, RegimeEL20, "rw- --- rw-"},
		{user, 0, false, false, RegimeEL2, "rwx rwx ---"},
		{user | ro, 0, false, false, RegimeEL2, "r-x r-x ---"},
		{user | uxn, 0, false, false, RegimeEL2, "rw- rw- ---"},
		{user, 0, true, false, RegimeEL2, "rw- rw- ---"},
		{user | ro, 0, true, false, RegimeEL2, "r-x r-x ---"},
		{user, tableRO | tableNoUser, false, false, RegimeEL2, "r-x r-x ---"},
		{user, tableUXN | tablePXN, false, false, RegimeEL2, "rw- rw- ---"},
		{user, tableUXN, false, true, RegimeEL2, "rwx rwx ---"},
	} {
		half := NewHalf(Granule4K, 25, 0x10000)
		half.HPD = c.hpd
		w := newStage1World(Stage1{Regime: c.regime, On: true, WXN: c.wxn, OutBits: 48, MAIR: 0xff, Half: [2]Half{half, {Off: true}}})
		w.put(0x10000, 0x20003)
		w.put(0x20000, 0x30003|c.table)
		w.put(0x30000, 0x40000|1<<10|3|c.leaf)
		w.put(0x20008, 0x30003)
		if got := w.allowed(0); got != c.want {
			t.Errorf("regime %d, leaf %#x, table %#x, WXN %v, HPD %v: %s, want %s", c.regime, c.leaf, c.table, c.wxn, c.hpd, got, c.want)
		}
		if got := w.allowed(0); got != c.want { // again, by the walk cache
			t.Errorf("leaf %#x, table %#x, by the walk cache: %s, want %s", c.leaf, c.table, got, c.want)
		}
		if got := w.allowed(2 << 20); c.table != 0 && !c.hpd && got == c.want {
			t.Errorf("leaf %#x: the other way to it, without what table %#x forbids, allows no more", c.leaf, c.table)
		}
	}
}

// TestStage1Shapes: start level and what each level maps, by granule and size.
// DDI 0487 D8.2.7 to D8.2.9, tables of the initial lookup level.
func TestStage1Shapes(t *testing.T) {
	for _, c := range []struct {
		g      Granule
		txsz   uint8
		start  int8
		blocks [4]bool
	}{
		{Granule4K, 16, 0, [4]bool{false, true, true, true}}, {Granule4K, 24, 0, [4]bool{false, true, true, true}},
		{Granule4K, 25, 1, [4]bool{1: true, 2: true, 3: true}}, {Granule4K, 33, 1, [4]bool{1: true, 2: true, 3: true}},
		{Granule4K, 34, 2, [4]bool{2: true, 3: true}}, {Granule4K, 39, 2, [4]bool{2: true, 3: true}},
		{Granule16K, 16, 0, [4]bool{2: true, 3: true}}, {Granule16K, 17, 1, [4]bool{2: true, 3: true}},
		{Granule16K, 27, 1, [4]bool{2: true, 3: true}}, {Granule16K, 28, 2, [4]bool{2: true, 3: true}},
		{Granule16K, 38, 2, [4]bool{2: true, 3: true}}, {Granule16K, 39, 3, [4]bool{3: true}},
		{Granule64K, 16, 1, [4]bool{2: true, 3: true}}, {Granule64K, 21, 1, [4]bool{2: true, 3: true}},
		{Granule64K, 22, 2, [4]bool{2: true, 3: true}}, {Granule64K, 34, 2, [4]bool{2: true, 3: true}},
		{Granule64K, 35, 3, [4]bool{3: true}}, {Granule64K, 39, 3, [4]bool{3: true}},
	} {
		h := NewHalf(c.g, c.txsz, 0x10000)
		if h.Off || h.Start != c.start || uint64(h.IPABits) != 64-uint64(c.txsz) {
			t.Errorf("granule %d, TxSZ %d: %+v, want start level %d", c.g, c.txsz, h, c.start)
			continue
		}
		for level := c.start; level <= 3; level++ { // a leaf at each level, the last address
			w := newStage1World(Stage1{On: true, OutBits: 48, MAIR: 0xff, Half: [2]Half{h, {Off: true}}})
			va := VA(1)<<(64-c.txsz) - 8
			table := PA(0x10000)
			for at := c.start; at < level; at++ {
				w.put(h.Entry(table, at, IPA(va)), uint64(table+0x10000)|3)
				table += 0x10000
			}
			d := uint64(1)<<47 | 1<<10 | 1
			if level == 3 {
				d |= 2
			}
			w.put(h.Entry(table, level, IPA(va)), d)
			e, abort := w.t.WalkVA(w.m, &w.c, va, AccessRead, ModePriv)
			size := uint64(1) << h.Shift(level)
			if (e != nil) != c.blocks[level] {
				t.Errorf("granule %d, TxSZ %d: leaf at level %d: %+v", c.g, c.txsz, level, abort)
			} else if want := PA(1<<47 + (uint64(va) & (size - 1))); e != nil && e.PAOf(va) != want {
				t.Errorf("granule %d, TxSZ %d, level %d: %#x, want %#x", c.g, c.txsz, level, e.PAOf(va), want)
			} else if e == nil && (abort.Kind != FaultTranslation || abort.Level != level) {
				t.Errorf("granule %d, TxSZ %d, level %d: %+v", c.g, c.txsz, level, abort)
			}
		}
	}
	for _, txsz := range []uint8{0, 15, 40, 63} {
		if !NewHalf(Granule4K, txsz, 0).Off {
			t.Errorf("TxSZ %d exists", txsz)
		}
	}
}

// TestStage1Loop: tables that point to themselves end at level 3.
func TestStage1Loop(t *testing.T) {
	for _, g := range []Granule{Granule4K, Granule16K, Granule64K} {
		w := newStage1World(Stage1{On: true, OutBits: 48, MAIR: 0xff, Half: [2]Half{NewHalf(g, 16, 0x10000), {Off: true}}})
		for i := range PA(1 << 13) {
			w.put(0x10000+i*8, 0x10000|1<<10|3)
		}
		e, abort := w.t.WalkVA(w.m, &w.c, 0x1234, AccessWrite, ModePriv)
		if e == nil || e.PAOf(0x1234) != 0x10000+PA(0x1234&(g.Size()-1)) {
			t.Errorf("granule %d: %+v", g, abort)
		}
		if n := w.t.Trail.N; n != uint(4-w.c.Half[0].Start) {
			t.Errorf("granule %d: the walk read %d descriptors", g, n)
		}
	}
}

// TestTrail: the descriptors that a walk of both stages reads, in order.
func TestTrail(t *testing.T) {
	w := newTwoStages(1, NeoverseN1)
	s := &w.s2[0]
	check := func(va VA, want ...PA) {
		t.Helper()
		w.translate(0, 0, 0, va, AccessRead, ModePriv)
		if got := w.t[0].Trail.At[:w.t[0].Trail.N]; !slices.Equal(got, want) {
			t.Errorf("%#x: read %#x, want %#x", va, got, want)
		}
	}
	inGuest := func(ipa IPA) PA { return PA(1)<<36 + PA(ipa-guestRAM) }
	second := func(ipa IPA) PA { return s.Find(w.m, ipa).At }
	l1, l2, l3 := IPA(w.ctx[0][0].Half[0].Root), w.l2[0][0], w.l3[0][0][0]
	root := s.Root + PA(l1>>30)*8
	middle := Desc(w.m.Load(root, 8)).OA(12) + PA(l1>>21&511)*8
	data := func(page IPA) IPA { return IPA(w.getIPA(0, l3+page*8) & 0xffff_f000) }
	check(0, root, middle, second(l1), inGuest(l1), second(l2), inGuest(l2), second(l3), inGuest(l3), second(data(0)))
	check(0x1000, inGuest(l3)+8, second(data(1))) // all tables are cached
	check(2<<20, inGuest(l2)+8)                   // nothing there, which level 2 says
	w.t[0].InvalidateVA(Space{VMID: 1, ASID: 1}, 0)
	check(0, second(l1), inGuest(l1), second(l2), inGuest(l2), second(l3), inGuest(l3), second(data(0))) // stage 2's are
}
