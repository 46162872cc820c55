package mmu

import (
	"fmt"
	"math/bits"

	"ringmap/sim"
)

// Combined translation: virtual addresses through both stages, cached as one
// entry with what both allow.
//
//	VA ─► tags (near, global) ─► entry ─► PA
//	 │ miss, or not allowed
//	 └──► stage-1 walk ─► IPA ─► stage-2 walk ─► entry
//	        └ each descriptor's IPA ─► stage-2 walk
//
// An entry is tagged with a Space of virtual addresses: of one ASID (near) or,
// if the leaf said so, of all (global). The size is the smaller of both leaves'.
// An access that an entry does not allow walks again, which says whose fault it
// is: so a permission fault never comes from a stale entry, while a stale entry
// that allows an access does allow it, until a TLBI.

// Input is what the addresses of a Space are.
type Input uint8

const (
	InputIPA    Input = iota // of stage 2 alone
	InputVA                  // virtual addresses of one ASID
	InputGlobal              // virtual addresses of global mappings
	InputFlat                // virtual addresses with stage 1 off
)

// Mode is in whose name an access is made.
type Mode uint8

const (
	ModePriv Mode = iota // EL1 or EL2
	ModeUser             // EL0, and LDTR and its kin at EL1
	ModePAN              // EL1 with PSTATE.PAN set
)

// The low bits of a combined entry: three permissions in each of three modes,
// then the kind of memory.
const (
	entryAll          = 1<<9 - 1
	entryDevice       = 1 << 9  // Device memory
	entryDeviceStage2 = 1 << 10 // …because stage 2 says so, not stage 1
)

// AllowsAs reports whether a combined entry permits the access in a mode.
func (e *Entry) AllowsAs(m Mode, a Access) bool { return e.out>>(3*uint(m)+uint(a))&1 != 0 }

// Allowed returns the permissions of a combined entry: bit 3*Mode + Access.
func (e *Entry) Allowed() uint16 { return uint16(e.out & entryAll) }

// Device reports whether a combined entry maps Device memory, to which every
// access must be aligned.
func (e *Entry) Device() bool { return e.out&entryDevice != 0 }

// DeviceByStage2 reports whether it is stage 2 that makes the memory Device: an
// unaligned access then goes to EL2.
func (e *Entry) DeviceByStage2() bool { return e.out&entryDeviceStage2 != 0 }

// PAOf translates a virtual address that the entry maps.
func (e *Entry) PAOf(va VA) PA { return PA((uint64(va) + e.out&^entryFlags) & keyVA) }

const keyVA = 1<<PABits - 1

// keyOf is the number by which a virtual address is known here: bits 47:0 and,
// above them, bit 55.
func keyOf(va VA) uint64 { return uint64(va)&keyVA | uint64(va)>>55&1<<48 }

// Context is what a translation of virtual addresses depends on: a regime's
// stage 1, the stage 2 behind it, and the spaces that tag the entries.
type Context struct {
	Stage1
	Stage2        *Stage2 // nil if there is none
	BadStage2     bool    // VTCR_EL2 has no sense: every access faults at level 0
	VMID          uint16  // of EL1&0, also without stage 2
	ProtectedWalk bool    // HCR_EL2.PTW: stage-1 tables may not lie in stage 2's Device memory
	near, global  SpaceID
	nestedSpace   SpaceID
}

// Bind finds the spaces of the context. It is due after any change of the
// context, and after the domain is restored.
func (c *Context) Bind(d *Domain) {
	s := Space{Regime: c.Regime, Input: InputFlat}
	if c.Regime == RegimeEL10 {
		s.VMID = c.VMID
		c.nestedSpace = d.Space(Space{VMID: c.VMID})
	}
	if !c.On {
		c.near = d.Space(s)
		c.global = c.near
		return
	}
	s.Input = InputGlobal
	c.global = d.Space(s)
	s.Input = InputVA
	if c.Regime != RegimeEL2 {
		s.ASID = c.ASID
	}
	c.near = d.Space(s)
}

// halfOf says which range an address is in, false if in none.
func (c *Context) halfOf(va VA) (uint64, bool) {
	half := uint64(va) >> 55 & 1
	h := &c.Half[half]
	if h.Off || c.Regime == RegimeEL2 && half != 0 {
		return half, false
	}
	ignored := uint(0)
	if h.TBI {
		ignored = 8
	}
	top := int64(va<<ignored) >> (ignored + uint(h.IPABits))
	return half, top == -int64(half)
}

// LookupVA returns the combined entry that maps va, nil if there is none. The
// access is not checked: see AllowsAs.
func (t *TLB) LookupVA(c *Context, va VA) (*Entry, Found) {
	half := uint64(va) >> 55 & 1
	ignored := uint(0)
	if c.Half[half].TBI {
		ignored = 8
	}
	if top := uint64(int64(va<<ignored) >> (ignored + PABits)); top+1 > 1 {
		return nil, Miss // neither all zeros nor all ones
	}
	key := keyOf(va)
	near, global := t.domain.tag(c.near), t.domain.tag(c.global)
	hint := &t.hint[key>>hintShift%hints]
	i, page := t.main.findSize(*hint, near, global, key)
	if i < 0 {
		if i, page = t.main.findEither(near, global, key, hint); i < 0 {
			t.Stats.Misses++
			return nil, Miss
		}
	}
	if t.promote(i, page) {
		t.Stats.L1Hits++
		return &t.main.entries[i], HitL1
	}
	t.Stats.L2Hits++
	return &t.main.entries[i], HitL2
}

// WalkVA translates an address that the TLB does not hold, or not with what the
// access needs, and fills the TLB. On an abort nothing is cached but tables.
func (t *TLB) WalkVA(m *Memory, c *Context, va VA, a Access, mode Mode) (*Entry, Abort) {
	t.allocate()
	t.Trail.N, t.Trail.Stage1 = 0, 0
	l, abort := t.walkStage1(m, c, va)
	if abort.Kind != FaultNone {
		return nil, abort
	}
	want := uint64(1) << (3*uint(mode) + uint(a))
	if l.flags&want == 0 {
		return nil, Abort{VA: va, Kind: FaultPermission, Level: l.level}
	}
	pa, shift, prot, fault := t.stage2(m, c, IPA(l.ipa))
	if fault.Kind != FaultNone {
		return nil, Abort{VA: va, IPA: IPA(l.ipa), Kind: fault.Kind, Level: fault.Level, Stage2: true}
	}
	flags := l.flags & stage2Flags(prot)
	if flags&want == 0 {
		return nil, Abort{VA: va, IPA: IPA(l.ipa), Kind: FaultPermission, Level: fault.Level, Stage2: true}
	}
	if prot&ProtDevice != 0 && flags&entryDevice == 0 {
		flags |= entryDevice | entryDeviceStage2
	}
	return t.fillVA(m, c, &l, va, min(shift, l.shift), pa, flags), Abort{}
}

// Probed is what an address translation instruction finds.
type Probed struct {
	PA    uint64 // of stage 1 alone, the IPA
	Attr  uint8  // memory type, as in MAIR
	Share uint8
}

// Probe translates an address and caches nothing but tables: by stage 1 alone,
// or by both stages.
func (t *TLB) Probe(m *Memory, c *Context, va VA, a Access, mode Mode, both bool) (Probed, Abort) {
	t.allocate()
	t.Trail.N, t.Trail.Stage1 = 0, 0
	l, abort := t.walkStage1(m, c, va)
	if abort.Kind != FaultNone {
		return Probed{}, abort
	}
	if l.flags>>(3*uint(mode)+uint(a))&1 == 0 {
		return Probed{}, Abort{VA: va, Kind: FaultPermission, Level: l.level}
	}
	if !both {
		return Probed{l.ipa, l.attr, l.share}, Abort{}
	}
	pa, _, prot, fault := t.stage2(m, c, IPA(l.ipa))
	if fault.Kind == FaultNone && stage2Flags(prot)>>a&1 == 0 {
		fault.Kind = FaultPermission
	}
	if fault.Kind != FaultNone {
		return Probed{}, Abort{VA: va, IPA: IPA(l.ipa), Kind: fault.Kind, Level: fault.Level, Stage2: true}
	}
	if prot&ProtDevice != 0 && l.attr>>4 != 0 {
		l.attr, l.share = 0x04, 0b10 // Device-nGnRE
	}
	return Probed{uint64(pa), l.attr, l.share}, Abort{}
}

// stage2Flags are the flags of an entry that a stage-2 leaf leaves standing.
func stage2Flags(p Prot) uint64 {
	exec := p&(ProtRead|ProtExec) == ProtRead|ProtExec
	f := modeFlags(ModePriv, p&ProtRead != 0, p&ProtWrite != 0, exec)
	return f | f<<3 | f<<6 | entryDevice
}

// fillVA caches a translation in place of whatever maps the address.
func (t *TLB) fillVA(m *Memory, c *Context, l *stage1Leaf, va VA, shift uint, pa PA, flags uint64) *Entry {
	space := c.near
	if l.global {
		space = c.global
	}
	if shift == 63 { // neither stage has tables: as large as is useful
		shift = FrameShift
	}
	key := keyOf(va)
	t.drop(t.domain.tag(c.near), key)
	if c.global != c.near {
		t.drop(t.domain.tag(c.global), key)
	}
	var f *Frame
	if shift == FrameShift {
		f = m.frameOnce(pa.PFN())
	}
	t.domain.use(space)
	return t.fill(space, IPA(key), shift, uint64(pa)-key|flags, f)
}

// drop removes the entries of a space that cover the key, and says how many.
func (t *TLB) drop(number, key uint64) uint64 {
	n := t.main.invalidate(number, IPA(key))
	if n != 0 {
		t.epoch++
	}
	return n
}

// A TLB remembers by neighbourhood which size of entry it found last, and tries
// that first.
const (
	hints     = 64
	hintShift = 21
)

// findSize returns the place of the entry of a class of size that covers the key
// in one of two spaces, -1 if there is none, and the page by which it is found.
func (w *ways) findSize(class uint8, near, global, key uint64) (int, uint64) {
	page := key >> (leafSizes[class&(classes-1)] & 63)
	set := page & w.mask
	base := int(set << (w.stride & 63))
	if base+w.n > len(w.tags) { // no array
		return -1, 0
	}
	tag := uint64(class)<<tagClass | page
	first, second := near|tag, global|tag
	for i, t := range w.tags[base : base+w.n] {
		if t == first || t == second {
			w.used[set] |= 1 << i
			return base + i, page
		}
	}
	return -1, 0
}

// findEither is findSize for all classes, and remembers the one that it found.
func (w *ways) findEither(near, global, key uint64, hint *uint8) (int, uint64) {
	for left := w.present; left != 0; left &= left - 1 {
		class := uint8(bits.TrailingZeros8(left))
		if i, page := w.findSize(class, near, global, key); i >= 0 {
			*hint = class
			return i, page
		}
	}
	return -1, 0
}

// PeekVA is LookupVA without traces: no statistics, no recency. A cache in front
// of the TLB that is restored finds its entries again with it.
func (t *TLB) PeekVA(c *Context, va VA) *Entry {
	used := t.main.used
	if used == nil {
		return nil
	}
	near, global, key := t.domain.tag(c.near), t.domain.tag(c.global), keyOf(va)
	for class, shift := range leafSizes {
		page := key >> shift
		base := int(page & t.main.mask << t.main.stride)
		tag := uint64(class)<<tagClass | page
		for i, in := range t.main.tags[base : base+t.main.n] {
			if in == near|tag || in == global|tag {
				return &t.main.entries[base+i]
			}
		}
	}
	return nil
}

// Generation grows whenever an entry may have left this TLB, by whatever cause:
// what was copied from it is valid for as long as the generation stays.
func (t *TLB) Generation() uint64 { return t.epoch + t.domain.epoch }

// Trail is the descriptors that the last walk read, in order, for whoever times
// them.
type Trail struct {
	N      uint // of At
	At     [maxTrail]PA
	Stage1 uint32 // bit i: At[i] is of a stage-1 table
}

// maxTrail has room for the most that a walk reads, 24: 4 levels, each through 4
// of stage 2, and 4 for the leaf.
const maxTrail = 32

// group is where a space of virtual addresses is listed in live: by VMID, the
// EL2 regimes together as the first.
func (s Space) group() int {
	if s.Regime == RegimeEL10 {
		return int(s.VMID) + 1
	}
	return 0
}

// use lists a space of virtual addresses that an entry is made for.
func (d *Domain) use(id SpaceID) {
	s := &d.spaces[id]
	if s.used || s.Input == InputIPA {
		return
	}
	s.used = true
	g := s.group()
	for len(d.live) <= g {
		d.live = append(d.live, nil)
	}
	d.live[g] = append(d.live[g], id)
}

// liveOf returns the spaces of virtual addresses of a VMID that have entries.
func (d *Domain) liveOf(group int) []SpaceID {
	if group >= len(d.live) {
		return nil
	}
	return d.live[group]
}

// retireGroup removes all entries of a group from every TLB.
func (d *Domain) retireGroup(group int) {
	ids := d.liveOf(group)
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		d.spaces[id].used = false
		d.retire(id)
	}
	d.live[group] = ids[:0]
	d.epoch++
}

// relive rebuilds what live says of spaces, after a restore.
func (d *Domain) relive(c *sim.Codec) {
	for g, ids := range d.live {
		for _, id := range ids {
			if int(id) >= len(d.spaces) || d.spaces[id].used || d.spaces[id].Input == InputIPA || d.spaces[id].group() != g {
				c.Fail(fmt.Errorf("mmu: address space %d is not one of virtual addresses in group %d", id, g))
				d.live = nil
				return
			}
			d.spaces[id].used = true
		}
	}
}
