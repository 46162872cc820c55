package arch

import "ringmap/mmu"

// SysOp is a row of the table of SYS instructions: DC, IC, AT and TLBI.
type SysOp struct {
	Name   string
	Enc    Enc
	EL     uint8 // the lowest that may
	Action Action
	trap   uint64 // bits of HCR_EL2 that trap it from EL1 (and EL0)
	user   uint64 // bit of SCTLR that lets EL0
	mode   mmu.Mode
	access mmu.Access
	kind   kind
}

// Action is what a SYS instruction leaves to be done by whoever executes it.
type Action uint8

const (
	Done       Action = iota // nothing
	Zeroes                   // DC ZVA: store 64 zeros at the address aligned to 64 bytes
	Cleans                   // DC by address: translate as a read, cache true
	Invalidate               // DC IVAC: translate as a write, cache true
	Fetches                  // IC IVAU: translate as a read, cache true; drop decoded code
	DropsCode                // IC IALLU: drop all decoded code of this PE
	DropsAll                 // IC IALLUIS: of every PE
	SetWay                   // DC by set and way
	Local                    // a TLBI of this PE, which is done: takes time
	Broadcast                // a TLBI of all PEs, which is done: takes time
	Translates               // AT, which is done: takes the time of Trail
)

// kind is what a TLBI names, or which stages an AT does.
type kind uint8

const (
	tlbiVMALL kind = iota + 1
	tlbiVA
	tlbiVAA
	tlbiASID
	tlbiIPA
	tlbiVMALLS12
	tlbiALL1
	tlbiVA2
	tlbiALL2
	atStage1
	atBoth
	atEL2
)

// sysOps holds the SYS instructions. DDI 0487 C5.3 to C5.5.
var sysOps = [...]SysOp{
	{Name: "IC IALLUIS", Enc: EncOf(1, 0, 7, 1, 0), EL: 1, Action: DropsAll, trap: HCRTPU},
	{Name: "IC IALLU", Enc: EncOf(1, 0, 7, 5, 0), EL: 1, Action: DropsCode, trap: HCRTPU},
	{Name: "IC IVAU", Enc: EncOf(1, 3, 7, 5, 1), Action: Fetches, trap: HCRTPU, user: sctlrUCI},
	{Name: "DC IVAC", Enc: EncOf(1, 0, 7, 6, 1), EL: 1, Action: Invalidate, trap: HCRTPCP},
	{Name: "DC ISW", Enc: EncOf(1, 0, 7, 6, 2), EL: 1, Action: SetWay, trap: HCRTSW},
	{Name: "DC CSW", Enc: EncOf(1, 0, 7, 10, 2), EL: 1, Action: SetWay, trap: HCRTSW},
	{Name: "DC CISW", Enc: EncOf(1, 0, 7, 14, 2), EL: 1, Action: SetWay, trap: HCRTSW},
	{Name: "DC ZVA", Enc: EncOf(1, 3, 7, 4, 1), Action: Zeroes, trap: HCRTDZ, user: sctlrDZE},
	{Name: "DC CVAC", Enc: EncOf(1, 3, 7, 10, 1), Action: Cleans, trap: HCRTPCP, user: sctlrUCI},
	{Name: "DC CVAU", Enc: EncOf(1, 3, 7, 11, 1), Action: Cleans, trap: HCRTPU, user: sctlrUCI},
	{Name: "DC CVAP", Enc: EncOf(1, 3, 7, 12, 1), Action: Cleans, trap: HCRTPCP, user: sctlrUCI},
	{Name: "DC CIVAC", Enc: EncOf(1, 3, 7, 14, 1), Action: Cleans, trap: HCRTPCP, user: sctlrUCI},

	{Name: "AT S1E1R", Enc: EncOf(1, 0, 7, 8, 0), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessRead},
	{Name: "AT S1E1W", Enc: EncOf(1, 0, 7, 8, 1), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessWrite},
	{Name: "AT S1E0R", Enc: EncOf(1, 0, 7, 8, 2), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessRead, mode: mmu.ModeUser},
	{Name: "AT S1E0W", Enc: EncOf(1, 0, 7, 8, 3), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessWrite, mode: mmu.ModeUser},
	{Name: "AT S1E1RP", Enc: EncOf(1, 0, 7, 9, 0), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessRead, mode: mmu.ModePAN},
	{Name: "AT S1E1WP", Enc: EncOf(1, 0, 7, 9, 1), EL: 1, Action: Translates, kind: atStage1, access: mmu.AccessWrite, mode: mmu.ModePAN},
	{Name: "AT S1E2R", Enc: EncOf(1, 4, 7, 8, 0), EL: 2, Action: Translates, kind: atEL2, access: mmu.AccessRead},
	{Name: "AT S1E2W", Enc: EncOf(1, 4, 7, 8, 1), EL: 2, Action: Translates, kind: atEL2, access: mmu.AccessWrite},
	{Name: "AT S12E1R", Enc: EncOf(1, 4, 7, 8, 4), EL: 2, Action: Translates, kind: atBoth, access: mmu.AccessRead},
	{Name: "AT S12E1W", Enc: EncOf(1, 4, 7, 8, 5), EL: 2, Action: Translates, kind: atBoth, access: mmu.AccessWrite},
	{Name: "AT S12E0R", Enc: EncOf(1, 4, 7, 8, 6), EL: 2, Action: Translates, kind: atBoth, access: mmu.AccessRead, mode: mmu.ModeUser},
	{Name: "AT S12E0W", Enc: EncOf(1, 4, 7, 8, 7), EL: 2, Action: Translates, kind: atBoth, access: mmu.AccessWrite, mode: mmu.ModeUser},

	{Name: "TLBI VMALLE1IS", Enc: EncOf(1, 0, 8, 3, 0), EL: 1, Action: Broadcast, kind: tlbiVMALL, trap: HCRTTLB},
	{Name: "TLBI VAE1IS", Enc: EncOf(1, 0, 8, 3, 1), EL: 1, Action: Broadcast, kind: tlbiVA, trap: HCRTTLB},
	{Name: "TLBI ASIDE1IS", Enc: EncOf(1, 0, 8, 3, 2), EL: 1, Action: Broadcast, kind: tlbiASID, trap: HCRTTLB},
	{Name: "TLBI VAAE1IS", Enc: EncOf(1, 0, 8, 3, 3), EL: 1, Action: Broadcast, kind: tlbiVAA, trap: HCRTTLB},
	{Name: "TLBI VALE1IS", Enc: EncOf(1, 0, 8, 3, 5), EL: 1, Action: Broadcast, kind: tlbiVA, trap: HCRTTLB},
	{Name: "TLBI VAALE1IS", Enc: EncOf(1, 0, 8, 3, 7), EL: 1, Action: Broadcast, kind: tlbiVAA, trap: HCRTTLB},
	{Name: "TLBI VMALLE1", Enc: EncOf(1, 0, 8, 7, 0), EL: 1, Action: Local, kind: tlbiVMALL, trap: HCRTTLB},
	{Name: "TLBI VAE1", Enc: EncOf(1, 0, 8, 7, 1), EL: 1, Action: Local, kind: tlbiVA, trap: HCRTTLB},
	{Name: "TLBI ASIDE1", Enc: EncOf(1, 0, 8, 7, 2), EL: 1, Action: Local, kind: tlbiASID, trap: HCRTTLB},
	{Name: "TLBI VAAE1", Enc: EncOf(1, 0, 8, 7, 3), EL: 1, Action: Local, kind: tlbiVAA, trap: HCRTTLB},
	{Name: "TLBI VALE1", Enc: EncOf(1, 0, 8, 7, 5), EL: 1, Action: Local, kind: tlbiVA, trap: HCRTTLB},
	{Name: "TLBI VAALE1", Enc: EncOf(1, 0, 8, 7, 7), EL: 1, Action: Local, kind: tlbiVAA, trap: HCRTTLB},

	{Name: "TLBI IPAS2E1IS", Enc: EncOf(1, 4, 8, 0, 1), EL: 2, Action: Broadcast, kind: tlbiIPA},
	{Name: "TLBI IPAS2LE1IS", Enc: EncOf(1, 4, 8, 0, 5), EL: 2, Action: Broadcast, kind: tlbiIPA},
	{Name: "TLBI ALLE2IS", Enc: EncOf(1, 4, 8, 3, 0), EL: 2, Action: Broadcast, kind: tlbiALL2},
	{Name: "TLBI VAE2IS", Enc: EncOf(1, 4, 8, 3, 1), EL: 2, Action: Broadcast, kind: tlbiVA2},
	{Name: "TLBI ALLE1IS", Enc: EncOf(1, 4, 8, 3, 4), EL: 2, Action: Broadcast, kind: tlbiALL1},
	{Name: "TLBI VALE2IS", Enc: EncOf(1, 4, 8, 3, 5), EL: 2, Action: Broadcast, kind: tlbiVA2},
	{Name: "TLBI VMALLS12E1IS", Enc: EncOf(1, 4, 8, 3, 6), EL: 2, Action: Broadcast, kind: tlbiVMALLS12},
	{Name: "TLBI IPAS2E1", Enc: EncOf(1, 4, 8, 4, 1), EL: 2, Action: Local, kind: tlbiIPA},
	{Name: "TLBI IPAS2LE1", Enc: EncOf(1, 4, 8, 4, 5), EL: 2, Action: Local, kind: tlbiIPA},
	{Name: "TLBI ALLE2", Enc: EncOf(1, 4, 8, 7, 0), EL: 2, Action: Local, kind: tlbiALL2},
	{Name: "TLBI VAE2", Enc: EncOf(1, 4, 8, 7, 1), EL: 2, Action: Local, kind: tlbiVA2},
	{Name: "TLBI ALLE1", Enc: EncOf(1, 4, 8, 7, 4), EL: 2, Action: Local, kind: tlbiALL1},
	{Name: "TLBI VALE2", Enc: EncOf(1, 4, 8, 7, 5), EL: 2, Action: Local, kind: tlbiVA2},
	{Name: "TLBI VMALLS12E1", Enc: EncOf(1, 4, 8, 7, 6), EL: 2, Action: Local, kind: tlbiVMALLS12},
}

// Sys executes a SYS instruction with the value of its register. What it leaves
// to the caller is the action; failed says that it is the exception instead.
func (p *PE) Sys(enc Enc, rt uint8, v uint64) (a Action, e Exception, failed bool) {
	op := SysOpAt(enc)
	if op == nil || p.EL < op.EL {
		return Done, p.Unknown(), true
	}
	if t := p.sysTrap(op); t != NoTrap {
		return Done, p.RegTrap(t, enc, rt, false), true
	}
	switch op.Action {
	case Local, Broadcast:
		return p.tlbi(op, v), e, false
	case Translates:
		if abort, bad := p.at(op, mmu.VA(v)); bad {
			return Done, p.DataAbort(abort, false, true, 0), true
		}
	}
	return op.Action, e, false
}

// SysOpAt returns the row of a SYS instruction, nil if there is none.
func SysOpAt(enc Enc) *SysOp {
	if i := sysOpByEnc[enc&(1<<14-1)]; enc>>14 == 1 && i != 0 {
		return &sysOps[i-1]
	}
	return nil
}

// sysOpByEnc holds the place in sysOps + 1.
var sysOpByEnc = func() (by [1 << 14]uint8) {
	for i, op := range sysOps {
		by[op.Enc&(1<<14-1)] = uint8(i + 1)
	}
	return by
}()

// sysTrap says whether a control bit traps a SYS instruction.
func (p *PE) sysTrap(op *SysOp) Trap {
	s := p.State
	host := s.EL == 0 && s.inHost()
	if s.EL == 0 && s.sctlr()&op.user == 0 {
		if s.Reg[HCR_EL2]&HCRTGE != 0 {
			return TrapEL2
		}
		return TrapEL1
	}
	if s.EL < 2 && !host && s.Reg[HCR_EL2]&op.trap != 0 {
		return TrapEL2
	}
	return NoTrap
}

// tlbi executes a TLBI. HCR_EL2.FB makes EL1's broadcast.
func (p *PE) tlbi(op *SysOp, v uint64) Action {
	all := op.Action == Broadcast || p.EL == 1 && p.Reg[HCR_EL2]&HCRFB != 0
	p.invalidate(op.kind, v, all)
	if all {
		return Broadcast
	}
	return Local
}

// invalidate removes what a TLBI names from this PE's TLB or from all.
func (p *PE) invalidate(k kind, v uint64, all bool) {
	d, t := p.domain, p.tlb
	c := &p.contexts[0]
	if p.EL == 2 && p.inHost() || k == tlbiVA2 || k == tlbiALL2 {
		c = &p.contexts[1]
	}
	space := mmu.Space{Regime: c.Regime, VMID: c.VMID}
	if c.Regime != mmu.RegimeEL2 {
		space.ASID = uint16(v >> 48)
		if c.ShortASID {
			space.ASID &= 0xff
		}
	}
	va := mmu.VA(int64(v<<20) >> 8)
	ipa := mmu.IPA(v & (1<<36 - 1) << 12)
	switch k {
	case tlbiVMALL:
		if c.Regime != mmu.RegimeEL10 {
			pick(all, d.InvalidateEL2, t.InvalidateEL2)()
		} else {
			pick(all, d.InvalidateStage1, t.InvalidateStage1)(c.VMID)
		}
	case tlbiVA, tlbiVA2:
		pick(all, d.InvalidateVA, t.InvalidateVA)(space, va)
	case tlbiVAA:
		pick(all, d.InvalidateVAAll, t.InvalidateVAAll)(space, va)
	case tlbiASID:
		pick(all, d.InvalidateASID, t.InvalidateASID)(space)
	case tlbiIPA:
		pick(all, d.InvalidateStage2, t.InvalidateStage2)(p.contexts[0].VMID, ipa)
	case tlbiVMALLS12:
		pick(all, d.InvalidateVMID, t.InvalidateVMID)(p.contexts[0].VMID)
	case tlbiALL1:
		pick(all, d.InvalidateEL1, t.InvalidateEL1)()
	case tlbiALL2:
		pick(all, d.InvalidateEL2, t.InvalidateEL2)()
	}
}

func pick[F any](all bool, everywhere, here F) F {
	if all {
		return everywhere
	}
	return here
}

// at executes an address translation instruction: the result is in PAR_EL1.
// A fault of stage 2 on the way through stage 1's tables goes to EL2 if it is
// EL1 that asks: AArch64.AT.
func (p *PE) at(op *SysOp, va mmu.VA) (mmu.Abort, bool) {
	c := &p.contexts[0]
	if op.kind == atEL2 || op.kind == atStage1 && p.EL == 2 && p.inHost() {
		c = &p.contexts[1]
	}
	found, abort := p.tlb.Probe(p.mem, c, va, op.access, op.mode, op.kind == atBoth)
	const res1 = 1 << 11
	if abort.Kind == mmu.FaultNone {
		p.Reg[PAR_EL1] = found.PA&(1<<48-1)&^0xfff | uint64(found.Attr)<<56 | uint64(found.Share)<<7 | res1
		return abort, false
	}
	if abort.Stage2 && p.EL == 1 {
		return abort, true
	}
	p.Reg[PAR_EL1] = 1 | uint64(statusOf(abort.Kind, abort.Level))<<1 | bit(abort.Walk, 1<<8) | bit(abort.Stage2, 1<<9) | res1
	return abort, false
}

// WritePState executes MSR (immediate): op1 and op2 name the field.
func (p *PE) WritePState(op1, op2, imm uint8) Trap {
	s := p.State
	field := op1<<3 | op2
	if s.EL == 0 && field < 3<<3 {
		return Undefined
	}
	switch field {
	case 0<<3 | 3:
		s.UAO = imm&1 != 0
	case 0<<3 | 4:
		s.PAN = imm&1 != 0
	case 0<<3 | 5:
		s.SPSel = imm & 1
	case 3<<3 | 1:
		s.SSBS = imm&1 != 0
	case 3<<3 | 6, 3<<3 | 7:
		if t := p.guardDAIF(); t != NoTrap {
			return t
		}
		if op2 == 6 {
			s.DAIF |= imm & 15
		} else {
			s.DAIF &^= imm & 15
		}
	default:
		return Undefined
	}
	return NoTrap
}

func (p *PE) guardDAIF() Trap {
	if p.EL != 0 {
		return NoTrap
	}
	_, t := p.resolve(DAIF, true)
	return t
}
