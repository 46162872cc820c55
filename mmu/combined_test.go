package mmu

import (
	"fmt"
	"testing"

	"ringmap/sim"
)

// Two VMs on two TLBs, each with stage-1 tables for three ASIDs: 39 bits of
// address in either half, 4 KiB pages. The low half of each ASID has tables of
// its own, the high half is shared and global.
type twoStages struct {
	m    *Memory
	a    *Allocator
	d    *Domain
	t    [2]TLB
	s2   [vms]Stage2
	ctx  [vms][asids]Context
	l3   [vms][asids + 1][2]IPA // two tables for each half: the level-2 entry points to one
	l2   [vms][asids + 1]IPA
	b    Block
	r    sim.Stream
	next IPA
}

const (
	vms, asids, pages = 2, 3, 4
	highHalf          = ^VA(1<<39 - 1)
	guestRAM          = IPA(1 << 30)
)

func newTwoStages(seed uint64, spec TLBSpec) *twoStages {
	w := &twoStages{m: NewMemory(), d: NewDomain(), r: sim.NewStream(seed, "two stages")}
	w.a = NewAllocator(w.m, 1<<18, 1<<36)
	for i := range w.t {
		w.d.Add(&w.t[i], spec)
	}
	for vm := range w.s2 {
		w.s2[vm] = NewStage2(w.m, w.a, Granule4K, 40, uint16(vm+1))
		for page := range IPA(64) {
			w.mapIPA(vm, guestRAM+page<<12, PA(vm+1)<<36+PA(page)<<12, ProtRead|ProtWrite|ProtExec)
		}
		w.next = guestRAM
		var root [asids + 1]IPA
		for i := range root {
			root[i], w.l2[vm][i] = w.table(), w.table()
			w.l3[vm][i] = [2]IPA{w.table(), w.table()}
			w.putIPA(vm, root[i], uint64(w.l2[vm][i])|3)
			w.putIPA(vm, w.l2[vm][i], uint64(w.l3[vm][i][0])|3)
			for page := range IPA(2 * pages) {
				w.putIPA(vm, w.l3[vm][i][page/pages]+page%pages*8, w.leaf(i))
			}
		}
		for asid := range asids {
			w.ctx[vm][asid] = Context{
				Stage1: Stage1{On: true, OutBits: 40, ASID: uint16(asid + 1), MAIR: 0xff,
					Half: [2]Half{NewHalf(Granule4K, 25, uint64(root[asid])), NewHalf(Granule4K, 25, uint64(root[asids]))}},
				Stage2: &w.s2[vm], VMID: uint16(vm + 1),
			}
			w.ctx[vm][asid].Bind(w.d)
		}
	}
	return w
}

func (w *twoStages) table() IPA {
	w.next += FrameSize
	return w.next - FrameSize
}

func (w *twoStages) mapIPA(vm int, ipa IPA, pa PA, p Prot) {
	if leaf := w.s2[vm].Find(w.m, ipa); leaf.Kind == DescIsLeaf {
		w.m.Store(leaf.At, 8, uint64(LeafDesc(pa, 3, p)), 0)
		return
	}
	e := w.s2[vm].Map(ipa, pa, 3, p, false)
	RunNow(w.m, w.d, &w.b, &e)
}

// putIPA stores a word of the guest's, whose RAM is where newTwoStages put it.
func (w *twoStages) putIPA(vm int, ipa IPA, v uint64) {
	w.m.Store(PA(vm+1)<<36+PA(ipa-guestRAM), 8, v, 0)
}

func (w *twoStages) getIPA(vm int, ipa IPA) uint64 {
	return w.m.Load(PA(vm+1)<<36+PA(ipa-guestRAM), 8)
}

func (w *twoStages) sync(c *sim.Codec) {
	w.m.Sync(c)
	w.a.Sync(c)
	for i := range w.s2 {
		w.s2[i].Sync(c, w.a)
	}
	w.d.Sync(c, w.m)
	w.r.Sync(c)
	for vm := range w.ctx {
		for asid := range w.ctx[vm] {
			w.ctx[vm][asid].Bind(w.d)
		}
	}
}

// outcome is what a translation gave, without the address.
type outcome struct {
	pa    PA
	abort Abort
}

// translate is what a core does: lookup, check, walk.
func (w *twoStages) translate(core, vm, asid int, va VA, a Access, mode Mode) outcome {
	c := &w.ctx[vm][asid]
	t := &w.t[core]
	if e, _ := t.LookupVA(c, va); e != nil && e.AllowsAs(mode, a) {
		return outcome{pa: e.PAOf(va)}
	}
	e, abort := t.WalkVA(w.m, c, va, a, mode)
	if e == nil {
		return outcome{abort: abort}
	}
	if e.Frame() != nil && e.Frame() != w.m.Frame(e.PAOf(va).PFN()) {
		panic("mmu: the entry's frame is another one's")
	}
	return outcome{pa: e.PAOf(va)}
}

// now is what the tables say at present.
func (w *twoStages) now(vm, asid int, va VA, a Access, mode Mode) outcome {
	var t TLB
	d := NewDomain()
	d.Add(&t, smallTLB)
	c := w.ctx[vm][asid]
	c.Bind(d)
	e, abort := t.WalkVA(w.m, &c, va, a, mode)
	if e == nil {
		return outcome{abort: abort}
	}
	return outcome{pa: e.PAOf(va)}
}

// leaf is a page descriptor for a table of an ASID, or of the high half.
func (w *twoStages) leaf(half int) uint64 {
	d := uint64(guestRAM) + (32+w.r.N(8))<<12 | w.r.N(4)<<6 | 0x403
	if half < asids {
		d |= 1 << 11 // nG
	}
	return d
}

// change alters one thing in the tables and tells nobody.
func (w *twoStages) change(vm int, deep bool) {
	half, page := int(w.r.N(asids+1)), IPA(w.r.N(pages))
	switch table := w.l3[vm][half]; {
	case deep && w.r.N(4) == 0: // the other level-3 table
		d := w.getIPA(vm, w.l2[vm][half])
		w.putIPA(vm, w.l2[vm][half], uint64(table[0])+uint64(table[1])+6-d)
	case w.r.N(4) == 0: // stage 2 of a page of data
		w.mapIPA(vm, guestRAM+IPA(32+w.r.N(8))<<12, PA(vm+1)<<36+PA(32+w.r.N(8))<<12, Prot(w.r.N(8)))
	default:
		d := w.leaf(half)
		if w.r.N(6) == 0 {
			d &^= 1
		}
		w.putIPA(vm, table[w.r.N(2)]+page*8, d)
	}
}

// who is one access that the test follows.
type who struct {
	vm, asid int
	va       VA
}

func everyone(visit func(who)) {
	for vm := range vms {
		for asid := range asids {
			for page := range VA(pages) {
				visit(who{vm, asid, page << 12})
				visit(who{vm, asid, highHalf + page<<12})
			}
		}
	}
}

// invalidate performs a random TLBI and says on which cores and for whom it must
// have removed everything.
func (w *twoStages) invalidate() func(core int, x who) bool {
	core, vm, asid, page := int(w.r.N(2)), int(w.r.N(vms)), int(w.r.N(asids)), VA(w.r.N(pages))<<12
	va := page
	if w.r.N(2) == 0 {
		va += highHalf
	}
	all := w.r.N(2) == 0
	t, d := &w.t[core], w.d
	space := Space{VMID: uint16(vm + 1), ASID: uint16(asid + 1)}
	here := func(c int) bool { return all || c == core }
	vmid := space.VMID
	pick := func(everywhere, local func()) {
		if all {
			everywhere()
		} else {
			local()
		}
	}
	switch w.r.N(7) {
	case 0:
		pick(func() { d.InvalidateVA(space, va) }, func() { t.InvalidateVA(space, va) })
		return func(c int, x who) bool {
			return here(c) && x.vm == vm && x.va == va && (x.asid == asid || x.va >= highHalf)
		}
	case 1:
		pick(func() { d.InvalidateVAAll(space, va) }, func() { t.InvalidateVAAll(space, va) })
		return func(c int, x who) bool { return here(c) && x.vm == vm && x.va == va }
	case 2:
		pick(func() { d.InvalidateASID(space) }, func() { t.InvalidateASID(space) })
		return func(c int, x who) bool { return here(c) && x.vm == vm && x.asid == asid && x.va < highHalf }
	case 3:
		pick(func() { d.InvalidateStage1(vmid) }, func() { t.InvalidateStage1(vmid) })
		return func(c int, x who) bool { return here(c) && x.vm == vm }
	case 4:
		pick(func() { d.InvalidateVMID(vmid) }, func() { t.InvalidateVMID(vmid) })
		return func(c int, x who) bool { return here(c) && x.vm == vm }
	case 5: // the sequence of KVM's
		pick(func() { d.InvalidateIPA(vmid, guestRAM+33<<12) }, func() { t.InvalidateIPA(vmid, guestRAM+33<<12) })
		return func(c int, x who) bool { return here(c) && x.vm == vm }
	}
	pick(d.InvalidateEL1, t.InvalidateEL1)
	return func(c int, x who) bool { return here(c) }
}

// TestCombinedStaleness: what a translation gives was true at some time since
// the last TLBI that covers it, and that TLBI leaves only what is true now.
func TestCombinedStaleness(t *testing.T) {
	for seed := range uint64(8) {
		deep, spec := seed%2 == 1, smallTLB
		if seed%4 == 3 { // the simplest TLB there is
			spec = TLBSpec{Entries: 16, Ways: 1}
		}
		w := newTwoStages(seed, spec)
		type key struct {
			who
			a    Access
			mode Mode
		}
		var history [2]map[key][]outcome // by core: since the last TLBI
		check := func(core int, x who) {
			for _, k := range []key{{x, AccessRead, ModePriv}, {x, AccessWrite, ModeUser}, {x, AccessFetch, ModePriv}, {x, AccessRead, ModePAN}} {
				now := w.now(x.vm, x.asid, x.va, k.a, k.mode)
				for core := range history {
					h := history[core][k]
					if len(h) == 0 || h[len(h)-1] != now {
						history[core][k] = append(h, now)
					}
				}
			}
		}
		for i := range history {
			history[i] = map[key][]outcome{}
		}
		record := func() { everyone(func(x who) { check(0, x) }) }
		record()
		stale := 0
		for range 4000 {
			switch op := w.r.N(40); {
			case op < 2:
				w.change(int(w.r.N(vms)), deep)
				record()
			case op < 4:
				covers := w.invalidate()
				for core := range history {
					for k, h := range history[core] { // order-free: each on its own
						if covers(core, k.who) {
							history[core][k] = h[len(h)-1:]
						}
					}
				}
			default:
				core := int(w.r.N(2))
				x := who{int(w.r.N(vms)), int(w.r.N(asids)), VA(w.r.N(pages)) << 12}
				if w.r.N(2) == 0 {
					x.va += highHalf
				}
				k := key{x, AccessRead, ModePriv}
				switch w.r.N(4) {
				case 0:
					k.a, k.mode = AccessWrite, ModeUser
				case 1:
					k.a = AccessFetch
				case 2:
					k.mode = ModePAN
				}
				got := w.translate(core, x.vm, x.asid, x.va, k.a, k.mode)
				h := history[core][k]
				found := false
				for _, o := range h {
					found = found || o == got
				}
				switch {
				case !found && (!deep || len(h) == 1):
					t.Fatalf("seed %d, core %d, %+v: %+v, of %+v", seed, core, k, got, h)
				case got != h[len(h)-1]:
					stale++
				}
			}
		}
		if stale == 0 {
			t.Errorf("seed %d: no translation was ever stale: does the TLB hold anything?", seed)
		}
	}
}

// TestCombinedSnapshot: save, restore, continue equals the undisturbed run.
func TestCombinedSnapshot(t *testing.T) {
	for seed := range uint64(4) {
		w, v := newTwoStages(seed, smallTLB), newTwoStages(99, smallTLB)
		step := func(w *twoStages) string {
			switch op := w.r.N(20); {
			case op < 2:
				w.change(int(w.r.N(vms)), true)
			case op < 4:
				w.invalidate()
			default:
				va := VA(w.r.N(pages))<<12 + highHalf&-VA(w.r.N(2))
				o := w.translate(int(w.r.N(2)), int(w.r.N(vms)), int(w.r.N(asids)), va, Access(w.r.N(3)), Mode(w.r.N(3)))
				return fmt.Sprintf("%+v %d %d %+v", o, w.t[0].Generation(), w.t[1].Generation(), w.t[0].Stats)
			}
			return ""
		}
		for range 3000 {
			step(w)
		}
		e := sim.NewEncoder()
		w.sync(e)
		d := sim.NewDecoder(e.Finish())
		v.sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for i := range 3000 {
			if a, b := step(w), step(v); a != b {
				t.Fatalf("seed %d: step %d after the restore: %s, undisturbed %s", seed, i, b, a)
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

// TestCombinedRefusesDamage: a damaged snapshot gives an error or another state,
// never a panic, now or later.
func TestCombinedRefusesDamage(t *testing.T) {
	w := newTwoStages(3, smallTLB)
	for range 500 {
		w.translate(int(w.r.N(2)), int(w.r.N(vms)), int(w.r.N(asids)), VA(w.r.N(pages))<<12, AccessRead, ModePriv)
		w.change(0, true)
	}
	e := sim.NewEncoder()
	w.d.Sync(e, w.m)
	good := e.Finish()
	v := newTwoStages(1, smallTLB)
	refused := 0
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0xff
		v.d = NewDomain()
		for i := range v.t {
			v.d.Add(&v.t[i], smallTLB)
		}
		d := sim.NewDecoder(bad)
		v.d.Sync(d, v.m)
		if d.Finish(); d.Err() != nil {
			refused++
			continue
		}
		v.ctx[0][0].Bind(v.d)
		v.translate(0, 0, 0, 0, AccessRead, ModePriv)
		v.d.InvalidateEL1()
	}
	if refused == 0 || refused == len(good) {
		t.Errorf("%d of %d damaged snapshots were refused", refused, len(good))
	}
}

// TestCombinedEntry: what an entry says of itself.
func TestCombinedEntry(t *testing.T) {
	w := newTwoStages(1, smallTLB)
	c := &w.ctx[0][0]
	c.MAIR = 0x00ff
	w.putIPA(0, w.l3[0][0][0], uint64(guestRAM)+32<<12|0xc43)
	w.putIPA(0, w.l3[0][0][0]+8, uint64(guestRAM)+33<<12|0xc47) // Device
	w.mapIPA(0, guestRAM+34<<12, 1<<36, ProtRead|ProtWrite|ProtDevice)
	w.putIPA(0, w.l3[0][0][0]+16, uint64(guestRAM)+34<<12|0xc43)
	w.putIPA(0, w.l2[0][0]+8, 1<<30|0xc41) // a block, in 4 KiB pages of stage 2
	for i, want := range []struct {
		device, byStage2 bool
		allowed          uint16
	}{
		{false, false, 0b000_111_011},
		{true, false, 0b000_111_011},
		{true, true, 0b000_011_011},
	} {
		e, abort := w.t[0].WalkVA(w.m, c, VA(i)<<12, AccessRead, ModePriv)
		if e == nil {
			t.Fatalf("%+v", abort)
		}
		if e.Device() != want.device || e.DeviceByStage2() != want.byStage2 || e.Allowed() != want.allowed {
			t.Errorf("page %d: Device %v, by stage 2 %v, allowed %09b", i, e.Device(), e.DeviceByStage2(), e.Allowed())
		}
		if e.Frame() == nil || e.Frame() != w.m.Frame(e.PAOf(VA(i)<<12).PFN()) {
			t.Errorf("page %d: no frame, or another's", i)
		}
	}
	if e, _ := w.t[0].WalkVA(w.m, c, 2<<20|5<<12, AccessRead, ModePriv); e.Frame() == nil || e.PAOf(2<<20|5<<12) != 1<<36|5<<12 {
		t.Errorf("a page of a block is at %#x", e.PAOf(2<<20|5<<12))
	}
	c.Stage2 = nil // the same tables, as physical memory sees them
	w.m.Store(1<<20, 8, 2<<20|0x401, 0)
	c.Half[0] = NewHalf(Granule4K, 34, 1<<20)
	w.d.InvalidateAll()
	e, abort := w.t[0].WalkVA(w.m, c, 0x12345, AccessRead, ModePriv)
	if e == nil || e.Frame() != nil || e.PAOf(0x12345) != 2<<20|0x12345 {
		t.Errorf("block: %+v %+v", e, abort)
	}
	if again, found := w.t[0].LookupVA(c, 0x1f_ffff); again != e || found != HitL1 {
		t.Errorf("the end of the block: %v, found %d", again, found)
	}
}

// TestCombinedReplaces: a walk leaves nothing behind that maps the address too,
// be it larger, smaller, global or not.
func TestCombinedReplaces(t *testing.T) {
	w := newTwoStages(1, smallTLB)
	c := &w.ctx[0][0]
	leaf := w.l3[0][0][0]
	for _, d := range []uint64{uint64(guestRAM) + 32<<12 | 0x4c3, uint64(guestRAM) + 33<<12 | 0xcc3, uint64(guestRAM) + 34<<12 | 0x443, uint64(guestRAM) + 35<<12 | 0xc43} {
		w.putIPA(0, leaf, d) // a breach of break-before-make
		before := w.t[0].Generation()
		if _, abort := w.t[0].WalkVA(w.m, c, 0, AccessRead, ModePriv); abort.Kind != FaultNone {
			t.Fatalf("%+v", abort)
		}
		n := 0
		for i, tag := range w.t[0].main.tags {
			if !w.d.retired(tag>>tagSpace) && w.t[0].main.entries[i].PAOf(0) != 0 {
				n++
			}
		}
		if e, _ := w.t[0].LookupVA(c, 0); n != 1 || e.PAOf(0) != PA(1)<<36+PA(d&0xff000) {
			t.Errorf("%#x: %d entries, the one found is for %#x", d, n, e.PAOf(0))
		}
		if d&0x1000 != 0 && w.t[0].Generation() == before {
			t.Error("an entry was replaced in the same generation")
		}
	}
}

// TestCombinedRecency: sets, hits and victims of virtual addresses are those of
// any TLB.
func TestCombinedRecency(t *testing.T) {
	w := newTwoStages(1, smallTLB)
	c := &w.ctx[0][0]
	for i := range IPA(512) {
		w.putIPA(0, w.l3[0][0][0]+i*8, uint64(guestRAM)+32<<12|0xc43)
	}
	for set := range VA(8) {
		w.d.InvalidateAll()
		page := func(i VA) VA { return (set + i*8) << 12 }
		for i := range VA(5) { // the fifth takes the place of the first
			w.translate(0, 0, 0, page(i), AccessRead, ModePriv)
		}
		w.translate(0, 0, 0, page(1), AccessRead, ModePriv) // used since
		w.translate(0, 0, 0, page(5), AccessRead, ModePriv)
		for i, want := range []bool{false, true, false, true, true, true} {
			peeked := w.t[0].PeekVA(c, page(VA(i)))
			if found, _ := w.t[0].LookupVA(c, page(VA(i))); (peeked != nil) != want || found != peeked {
				t.Errorf("set %d: page %d of the set: %v, peeked at %v", set, i, found, peeked)
			}
		}
	}
	w.t[0].Stats = TLBStats{}
	w.d.InvalidateAll()
	for _, va := range []VA{0, 0, 8 << 12, 16 << 12, 24 << 12, 0, 0} { // L1 has 3 ways, L2 4
		if e, _ := w.t[0].LookupVA(c, va); e == nil {
			w.t[0].WalkVA(w.m, c, va, AccessRead, ModePriv)
		}
	}
	if s := w.t[0].Stats; s.Misses != 4 || s.L1Hits != 2 || s.L2Hits != 1 {
		t.Errorf("%+v", s)
	}
}

// TestGeneration: whatever removes an entry is seen by what was copied from it.
func TestGeneration(t *testing.T) {
	w := newTwoStages(1, smallTLB)
	w.putIPA(0, w.l3[0][0][0], uint64(guestRAM)+32<<12|0xc43)
	c := &w.ctx[0][0]
	space := Space{VMID: 1, ASID: 1}
	other := Space{VMID: 1, ASID: 2}
	for name, f := range map[string]struct {
		do   func()
		gone bool
	}{
		"nothing":               {func() {}, false},
		"hit":                   {func() { w.t[0].LookupVA(c, 0) }, false},
		"VA":                    {func() { w.t[0].InvalidateVA(space, 0) }, true},
		"VA IS":                 {func() { w.d.InvalidateVA(space, 0) }, true},
		"VA on another core":    {func() { w.t[1].InvalidateVA(space, 0) }, false},
		"VA of another ASID":    {func() { w.d.InvalidateVA(other, 0) }, false},
		"VAA":                   {func() { w.t[0].InvalidateVAAll(other, 0) }, true},
		"another VA":            {func() { w.d.InvalidateVAAll(space, 0x1000) }, false},
		"ASID":                  {func() { w.t[0].InvalidateASID(space) }, true},
		"ASID IS":               {func() { w.d.InvalidateASID(space) }, true},
		"another ASID":          {func() { w.d.InvalidateASID(other) }, false},
		"VMALLE1":               {func() { w.t[0].InvalidateStage1(1) }, true},
		"VMALLE1IS":             {func() { w.d.InvalidateStage1(1) }, true},
		"VMALLE1 of another VM": {func() { w.d.InvalidateStage1(2) }, false},
		"IPAS2E1IS alone":       {func() { w.d.InvalidateStage2(1, guestRAM+32<<12) }, false},
		"KVM's IPA sequence":    {func() { w.d.InvalidateIPA(1, 0) }, true},
		"KVM's, local":          {func() { w.t[0].InvalidateIPA(1, 0) }, true},
		"VMALLS12E1":            {func() { w.t[0].InvalidateVMID(1) }, true},
		"VMALLS12E1IS":          {func() { w.d.InvalidateVMID(1) }, true},
		"ALLE1":                 {func() { w.t[0].InvalidateEL1() }, true},
		"ALLE1IS":               {func() { w.d.InvalidateEL1() }, true},
		"ALLE2IS":               {func() { w.d.InvalidateEL2() }, false},
		"everything":            {func() { w.d.InvalidateAll() }, true},
		"new numbers":           {func() { w.d.next = spaceNumbers; w.d.number() }, true},
		"evictions": {func() {
			for i := range IPA(512) { // more than the set holds
				w.putIPA(0, w.l3[0][0][0]+i*8, uint64(guestRAM)+32<<12|0xc43)
				w.translate(0, 0, 0, VA(i)<<12, AccessRead, ModePriv)
			}
		}, true},
	} {
		w.d.InvalidateAll()
		if o := w.translate(0, 0, 0, 0, AccessRead, ModePriv); o.abort.Kind != FaultNone {
			t.Fatalf("%+v", o)
		}
		before := w.t[0].Generation()
		f.do()
		if after := w.t[0].Generation(); (after > before) != f.gone || after < before {
			t.Errorf("%s: the generation went from %d to %d", name, before, after)
		}
		if (w.t[0].PeekVA(c, 0) == nil) != f.gone {
			t.Errorf("%s: the entry is %v", name, w.t[0].PeekVA(c, 0))
		}
	}
}

// BenchmarkLookupVA is a hit among as many pages as an interpreter touches.
func BenchmarkLookupVA(b *testing.B) {
	for _, n := range []VA{1, 16, 512} {
		b.Run(fmt.Sprintf("pages=%d", n), func(b *testing.B) {
			w := newTwoStages(1, NeoverseN1)
			c := &w.ctx[0][0]
			for i := range IPA(n) {
				w.putIPA(0, w.l3[0][0][0]+i*8, uint64(guestRAM)+32<<12|0xc43)
				w.translate(0, 0, 0, VA(i)<<12, AccessRead, ModePriv)
			}
			b.ResetTimer()
			for i := range b.N {
				va := VA(i) & (n - 1) << 12
				if e, _ := w.t[0].LookupVA(c, va); e == nil || !e.AllowsAs(ModePriv, AccessRead) {
					b.Fatal("miss")
				}
			}
		})
	}
}

// BenchmarkLookupVAMixed is a hit where blocks and pages take turns.
func BenchmarkLookupVAMixed(b *testing.B) {
	w := newTwoStages(1, NeoverseN1)
	c := &w.ctx[0][0]
	c.Stage2 = nil
	w.m.Store(1<<20, 8, 2<<20|0x401, 0)
	w.m.Store(1<<20+8, 8, 3<<20|3, 0)
	w.m.Store(3<<20, 8, 4<<20|0x403, 0)
	c.Half[0] = NewHalf(Granule4K, 34, 1<<20)
	for va := range VA(2) {
		w.t[0].WalkVA(w.m, c, va<<21, AccessRead, ModePriv)
	}
	b.ResetTimer()
	for i := range b.N {
		if e, _ := w.t[0].LookupVA(c, VA(i)&1<<21); e == nil {
			b.Fatal("miss")
		}
	}
}

// BenchmarkWalkVA is a miss that finds its last table in the walk cache.
func BenchmarkWalkVA(b *testing.B) {
	w := newTwoStages(1, smallTLB)
	c := &w.ctx[0][0]
	for i := range IPA(512) {
		w.putIPA(0, w.l3[0][0][0]+i*8, uint64(guestRAM)+32<<12|0xc43)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if e, abort := w.t[0].WalkVA(w.m, c, VA(i)&511<<12, AccessRead, ModePriv); e == nil {
			b.Fatal(abort)
		}
	}
}
