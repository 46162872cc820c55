package arch

import "ringmap/mmu"

// Mode returns in whose name the present EL accesses data.
func (s *State) Mode() mmu.Mode {
	switch {
	case s.EL == 0:
		return mmu.ModeUser
	case s.PAN:
		return mmu.ModePAN
	}
	return mmu.ModePriv
}

// UnprivilegedMode is Mode for LDTR, STTR and their kin.
func (s *State) UnprivilegedMode() mmu.Mode {
	if s.EL == 2 && !s.inHost() || s.UAO {
		return s.Mode()
	}
	return mmu.ModeUser
}

// FetchMode is Mode for instruction fetches.
func (s *State) FetchMode() mmu.Mode {
	if s.EL == 0 {
		return mmu.ModeUser
	}
	return mmu.ModePriv
}

// Translate translates a virtual address in the present regime. The entry is
// valid until the next translation; what is copied from it, until Epoch changes.
// Found says where the TLB had it: after Miss, TLB.Trail lists what the walk
// read. With an Abort (Kind not FaultNone) the entry is nil.
func (p *PE) Translate(va mmu.VA, a mmu.Access, mode mmu.Mode) (*mmu.Entry, mmu.Found, mmu.Abort) {
	e, found := p.tlb.LookupVA(p.Present, va)
	if e != nil && e.AllowsAs(mode, a) {
		return e, found, mmu.Abort{}
	}
	e, abort := p.tlb.WalkVA(p.mem, p.Present, va, a, mode)
	return e, mmu.Miss, abort
}

// Peek returns the entry that the TLB holds for an address in the present
// regime, nil if none, without a trace.
func (p *PE) Peek(va mmu.VA) *mmu.Entry { return p.tlb.PeekVA(p.Present, va) }

// Trail lists what the last walk read.
func (p *PE) Trail() *mmu.Trail { return &p.tlb.Trail }
