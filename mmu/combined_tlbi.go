package mmu

import "slices"

// TLB maintenance of virtual addresses: DDI 0487 D8.17, table of TLBIs. Methods
// of Domain are the IS forms, those of TLB the local ones.

// InvalidateStage1 removes everything of a VMID that has to do with stage 1 from
// every TLB: TLBI VMALLE1IS.
func (d *Domain) InvalidateStage1(vmid uint16) { d.retireGroup(int(vmid) + 1) }

// InvalidateEL2 removes everything of EL2's own regimes: TLBI ALLE2IS.
func (d *Domain) InvalidateEL2() { d.retireGroup(0) }

// InvalidateEL1 removes everything of EL1&0, of every VMID: TLBI ALLE1IS.
func (d *Domain) InvalidateEL1() {
	for g := 1; g < len(d.live); g++ {
		d.retireGroup(g)
	}
	for _, ids := range d.byVMID {
		for _, id := range ids {
			d.retire(id)
		}
	}
}

// InvalidateStage2 removes what stage 2 alone says of an IPA from every TLB, and
// leaves combined entries: TLBI IPAS2E1IS as an instruction.
func (d *Domain) InvalidateStage2(vmid uint16, ipa IPA) {
	for _, id := range d.of(vmid) {
		for _, t := range d.TLBs {
			t.invalidateIPA(id, ipa)
		}
	}
}

// InvalidateVA removes the translation of va for one ASID, or for all if it is
// global, from every TLB: TLBI VAE1IS and VALE1IS. The space says regime, VMID
// and ASID; its input does not matter.
func (d *Domain) InvalidateVA(s Space, va VA) {
	ids := d.spacesOf(s)
	for _, t := range d.TLBs {
		t.invalidateVA(ids, va)
	}
}

// InvalidateVAAll removes the translations of va for every ASID: TLBI VAAE1IS.
func (d *Domain) InvalidateVAAll(s Space, va VA) {
	ids := d.liveOf(s.group())
	for _, t := range d.TLBs {
		t.invalidateVA(ids, va)
	}
}

// InvalidateASID removes the translations of an ASID that are not global, from
// every TLB: TLBI ASIDE1IS.
func (d *Domain) InvalidateASID(s Space) {
	s.Input = InputVA
	id, ok := d.ids[s]
	if !ok || !d.spaces[id].used {
		return
	}
	g := s.group()
	d.spaces[id].used = false
	d.retire(id)
	d.live[g] = slices.DeleteFunc(d.live[g], func(other SpaceID) bool { return other == id })
	d.epoch++
}

// spacesOf returns the spaces in which a virtual address of an ASID may be
// cached, of those with entries.
func (d *Domain) spacesOf(s Space) (ids []SpaceID) {
	for _, in := range [...]Input{InputVA, InputGlobal, InputFlat} {
		s.Input = in
		if in != InputVA {
			s.ASID = 0
		}
		if id, ok := d.ids[s]; ok && d.spaces[id].used {
			ids = append(ids, id)
		}
	}
	return ids
}

// InvalidateStage1 removes everything of a VMID that has to do with stage 1 from
// this TLB: TLBI VMALLE1.
func (t *TLB) InvalidateStage1(vmid uint16) { t.invalidateGroup(int(vmid) + 1) }

// InvalidateEL2 removes everything of EL2's own regimes: TLBI ALLE2.
func (t *TLB) InvalidateEL2() { t.invalidateGroup(0) }

// InvalidateEL1 is TLBI ALLE1.
func (t *TLB) InvalidateEL1() {
	for g := 1; g < len(t.domain.live); g++ {
		t.invalidateGroup(g)
	}
	for _, ids := range t.domain.byVMID {
		t.invalidateSpaces(ids)
	}
}

// InvalidateStage2 is TLBI IPAS2E1.
func (t *TLB) InvalidateStage2(vmid uint16, ipa IPA) {
	for _, id := range t.domain.of(vmid) {
		t.invalidateIPA(id, ipa)
	}
}

// InvalidateVA is TLBI VAE1 and VALE1.
func (t *TLB) InvalidateVA(s Space, va VA) { t.invalidateVA(t.domain.spacesOf(s), va) }

// InvalidateVAAll is TLBI VAAE1 and VAALE1.
func (t *TLB) InvalidateVAAll(s Space, va VA) { t.invalidateVA(t.domain.liveOf(s.group()), va) }

// InvalidateASID is TLBI ASIDE1.
func (t *TLB) InvalidateASID(s Space) {
	s.Input = InputVA
	if id, ok := t.domain.ids[s]; ok && t.domain.spaces[id].used {
		t.invalidateSpaces([]SpaceID{id})
		t.epoch++
	}
}

// invalidateVA removes the entries that map va in some spaces, and the cached
// tables on the way to it.
func (t *TLB) invalidateVA(ids []SpaceID, va VA) {
	key := keyOf(va)
	for _, id := range ids {
		number := t.domain.tag(id)
		t.Stats.Invalid += t.drop(number, key)
		t.walk.invalidate(number, IPA(key))
	}
}

func (t *TLB) invalidateGroup(group int) {
	if ids := t.domain.liveOf(group); len(ids) != 0 {
		t.invalidateSpaces(ids)
		t.epoch++
	}
}
