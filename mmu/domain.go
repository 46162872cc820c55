package mmu

import "ringmap/sim"

// Regime is a translation regime, as TLB entries are tagged by it.
type Regime uint8

const (
	RegimeEL10 Regime = iota // EL1&0: VMID and ASID
	RegimeEL2                // EL2: neither
	RegimeEL20               // EL2&0 (VHE host): ASID
)

// Space is one address space: what the tag of a TLB entry distinguishes.
type Space struct {
	Regime Regime
	VMID   uint16
	ASID   uint16
	Input  Input
}

// SpaceID is a small number that stands for a Space in one Domain.
type SpaceID uint32

// Domain is the inner-shareable domain: the TLBs that a broadcast TLBI reaches.
//
// Entries are tagged with a number of their space. Invalidating a whole space
// retires the number and gives it a new one, so that the cost does not depend on
// how many TLBs and entries there are. Numbers are used once, until all 2^24 are
// and the TLBs are emptied for a new beginning.
type Domain struct {
	TLBs   []*TLB
	spaces []spaceState
	ids    map[Space]SpaceID
	byVMID [][]SpaceID // of RegimeEL10
	next   uint32      // number to give out
	gone   []uint64    // bit per number: retired
	live   [][]SpaceID // by group: spaces of virtual addresses used since their number was given out
	epoch  uint64      // of removals in all TLBs: see Generation
}

type spaceState struct {
	Space
	number uint32
	used   bool // in live
}

const spaceNumbers = 1 << (64 - tagSpace)

// NewDomain returns a domain without TLBs.
func NewDomain() *Domain {
	return &Domain{ids: map[Space]SpaceID{}, next: 1, gone: []uint64{1}}
}

// Add puts a TLB of the given shape into the domain.
func (d *Domain) Add(t *TLB, spec TLBSpec) {
	*t = TLB{domain: d, spec: spec}
	d.TLBs = append(d.TLBs, t)
}

// Space returns the number of a space, the same for as long as the domain lives.
func (d *Domain) Space(s Space) SpaceID {
	if id, ok := d.ids[s]; ok {
		return id
	}
	id := SpaceID(len(d.spaces))
	d.spaces = append(d.spaces, spaceState{Space: s, number: d.number()})
	d.index(id)
	return id
}

// of returns the spaces of a VMID.
func (d *Domain) of(vmid uint16) []SpaceID {
	if int(vmid) >= len(d.byVMID) {
		return nil
	}
	return d.byVMID[vmid]
}

// tag returns the number of a space as tags hold it.
func (d *Domain) tag(id SpaceID) uint64 { return uint64(d.spaces[id].number) << tagSpace }

func (d *Domain) index(id SpaceID) {
	s := d.spaces[id].Space
	d.ids[s] = id
	if s.Regime == RegimeEL10 && s.Input == InputIPA {
		for len(d.byVMID) <= int(s.VMID) {
			d.byVMID = append(d.byVMID, nil)
		}
		d.byVMID[s.VMID] = append(d.byVMID[s.VMID], id)
	}
}

// number gives out the next number of a space.
func (d *Domain) number() uint32 {
	if d.next == spaceNumbers {
		for _, t := range d.TLBs {
			t.main.clear()
			t.walk.clear()
		}
		clear(d.gone)
		d.gone[0] = 1
		d.next = 1
		d.epoch++
		for i := range d.spaces {
			d.spaces[i].number = d.next
			d.next++
		}
	}
	n := d.next
	d.next++
	if int(n>>6) >= len(d.gone) {
		d.gone = append(d.gone, 0)
	}
	return n
}

func (d *Domain) retired(number uint64) bool { return d.gone[number>>6]>>(number&63)&1 != 0 }

// InvalidateIPA removes the translation of ipa in a VMID from every TLB, and
// every combined entry that may have come from it: TLBI IPAS2E1IS with the TLBI
// VMALLE1IS that must follow it (__kvm_tlb_flush_vmid_ipa).
func (d *Domain) InvalidateIPA(vmid uint16, ipa IPA) {
	d.InvalidateStage1(vmid)
	for _, id := range d.of(vmid) {
		for _, t := range d.TLBs {
			t.invalidateIPA(id, ipa)
		}
	}
}

// InvalidateVMID removes everything of a VMID from every TLB: TLBI VMALLS12E1IS.
func (d *Domain) InvalidateVMID(vmid uint16) {
	d.InvalidateStage1(vmid)
	for _, id := range d.of(vmid) {
		d.retire(id)
	}
}

// InvalidateAll removes everything from every TLB: TLBI ALLE1IS and ALLE2IS.
func (d *Domain) InvalidateAll() {
	for group := range d.live {
		d.retireGroup(group)
	}
	for id, s := range d.spaces {
		if s.Input == InputIPA { // the others have entries only when live
			d.retire(SpaceID(id))
		}
	}
}

func (d *Domain) retire(id SpaceID) {
	n := d.spaces[id].number
	d.gone[n>>6] |= 1 << (n & 63)
	d.spaces[id].number = d.number()
}

// InvalidateIPA removes the translation of ipa in a VMID, and every combined
// entry that may have come from it, from this TLB alone: TLBI IPAS2E1 with the
// TLBI VMALLE1 that must follow it.
func (t *TLB) InvalidateIPA(vmid uint16, ipa IPA) {
	t.InvalidateStage1(vmid)
	for _, id := range t.domain.of(vmid) {
		t.invalidateIPA(id, ipa)
	}
}

// InvalidateVMID removes everything of a VMID from this TLB alone: TLBI
// VMALLS12E1.
func (t *TLB) InvalidateVMID(vmid uint16) {
	t.InvalidateStage1(vmid)
	t.invalidateSpaces(t.domain.of(vmid))
}

// Sync saves, restores or hashes the domain and its TLBs, of which there are as
// many as when it was saved. m, restored before, is where frames are found.
func (d *Domain) Sync(c *sim.Codec, m *Memory) {
	c.Tag("domain")
	sim.Uint(c, &d.next)
	sim.Slice(c, &d.spaces, func(c *sim.Codec, s *spaceState) {
		sim.Uint(c, &s.Regime)
		c.U16(&s.VMID)
		c.U16(&s.ASID)
		sim.Uint(c, &s.Input)
		c.U32(&s.number)
	})
	c.U64(&d.epoch)
	sim.Slice(c, &d.live, func(c *sim.Codec, ids *[]SpaceID) {
		sim.Slice(c, ids, func(c *sim.Codec, id *SpaceID) { sim.Uint(c, id) })
	})
	if c.Loading() {
		d.reindex(c)
		d.relive(c)
	}
	for _, t := range d.TLBs {
		t.sync(c, m)
		c.U64(&t.epoch)
		c.Fixed(t.hint[:])
	}
}
