package arch

import (
	"fmt"

	"ringmap/mmu"
)

// naive translates as the pseudocode of DDI 0487 does, from the registers' bits,
// without any cache: AArch64.TranslateAddress. Shared with what it checks is only
// the memory.
type naive struct {
	s   *State
	mem *mmu.Memory
}

// verdict is what a translation comes to.
type verdict struct {
	pa     uint64
	device bool
	fault  string // "", or kind and level, stage and way
	ipa    uint64 // of a fault of stage 2
}

func (v verdict) String() string {
	if v.fault != "" {
		return fmt.Sprintf("%s ipa=%#x", v.fault, v.ipa)
	}
	return fmt.Sprintf("pa=%#x device=%v", v.pa, v.device)
}

func (n naive) bits(r Reg, hi, lo uint) uint64 { return n.s.Reg[r] >> lo & (1<<(hi-lo+1) - 1) }

// walkParams are S1TTWParams and S2TTWParams.
type walkParams struct {
	granule, txsz, ps uint64
	base              uint64
	off, tbi, hpd     bool
}

var addressSizes = []uint64{32, 36, 40, 42, 44, 48, 48, 48}

func tg0(v uint64) uint64 { return []uint64{12, 16, 14, 12}[v] }
func tg1(v uint64) uint64 { return []uint64{12, 14, 12, 16}[v] }

// user says that the access is checked as EL0's, pan that PSTATE.PAN counts.
func (n naive) translate(va uint64, access mmu.Access, user, pan bool) verdict {
	s := n.s
	e2h, tge := n.bits(HCR_EL2, 34, 34) == 1, n.bits(HCR_EL2, 27, 27) == 1
	switch {
	case s.EL == 2 && e2h || s.EL == 0 && e2h && tge:
		return n.both("el20", va, access, user, pan, SCTLR_EL2, TCR_EL2, TTBR0_EL2, TTBR1_EL2, MAIR_EL2)
	case s.EL == 2:
		return n.both("el2", va, access, false, false, SCTLR_EL2, TCR_EL2, TTBR0_EL2, NoReg, MAIR_EL2)
	}
	return n.both("el10", va, access, user, pan, SCTLR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, MAIR_EL1)
}

func (n naive) both(regime string, va uint64, access mmu.Access, user, pan bool, sctlr, tcr, ttbr0, ttbr1, mair Reg) verdict {
	high := va>>55&1 == 1
	p := walkParams{granule: tg0(n.bits(tcr, 15, 14)), txsz: n.bits(tcr, 5, 0), base: n.s.Reg[ttbr0]}
	if regime == "el2" {
		p.ps, p.tbi, p.hpd = n.bits(tcr, 18, 16), n.bits(tcr, 20, 20) == 1, n.bits(tcr, 24, 24) == 1
		p.off = high
	} else {
		p.ps = n.bits(tcr, 34, 32)
		p.off, p.tbi, p.hpd = n.bits(tcr, 7, 7) == 1, n.bits(tcr, 37, 37) == 1, n.bits(tcr, 41, 41) == 1
		if high {
			p = walkParams{granule: tg1(n.bits(tcr, 31, 30)), txsz: n.bits(tcr, 21, 16), base: n.s.Reg[ttbr1], ps: p.ps,
				off: n.bits(tcr, 23, 23) == 1, tbi: n.bits(tcr, 38, 38) == 1, hpd: n.bits(tcr, 42, 42) == 1}
		}
	}
	enabled := n.bits(sctlr, 0, 0) == 1
	dc := false
	if regime == "el10" {
		dc = n.bits(HCR_EL2, 12, 12) == 1
		if dc || n.bits(HCR_EL2, 27, 27) == 1 {
			enabled = false
		}
	}
	stage2 := regime == "el10" && n.s.Reg[HCR_EL2]&(1<<0|1<<12) != 0

	if !enabled {
		top := va >> 48
		if p.tbi {
			top = va << 8 >> 56
		}
		if top != 0 {
			return verdict{fault: "stage 1 address size 0"}
		}
		ipa := va & (1<<48 - 1)
		return n.second(stage2, ipa, access, !dc, false)
	}
	if p.off || p.txsz < 16 || p.txsz > 39 {
		return verdict{fault: "stage 1 translation 0"}
	}
	size := 64 - p.txsz
	top := uint64(63)
	if p.tbi {
		top = 55
	}
	for b := size; b <= top; b++ {
		if va>>b&1 != va>>55&1 {
			return verdict{fault: "stage 1 translation 0"}
		}
	}
	outSize := addressSizes[p.ps]
	stride := p.granule - 3
	level := int(4 - (1 + (size-p.granule-1)/stride))
	low := func(level int) uint64 { return p.granule + stride*uint64(3-level) }
	base := p.base & (1<<48 - 1)
	entries := size - low(level)
	base = base >> (entries + 3) << (entries + 3)
	if base>>outSize != 0 {
		return verdict{fault: "stage 1 address size 0"}
	}
	apTable, uxnTable, pxnTable := uint64(0), false, false
	hi := size
	for ; ; level++ {
		index := va & (1<<hi - 1) >> low(level)
		at := base + index*8
		if stage2 {
			v := n.second(true, at, mmu.AccessRead, false, true)
			if v.fault != "" {
				return v
			}
			at = v.pa
		}
		d := n.mem.Load(mmu.PA(at), 8)
		leafAllowed := level == 3 || level == 2 || level == 1 && p.granule == 12
		switch {
		case d&1 == 0, d&3 == 1 && (level == 3 || !leafAllowed):
			return verdict{fault: fmt.Sprintf("stage 1 translation %d", level)}
		case d&3 == 3 && level < 3:
			base = d & (1<<48 - 1) >> p.granule << p.granule
			if d&(1<<48-1)>>12<<12>>outSize != 0 {
				return verdict{fault: fmt.Sprintf("stage 1 address size %d", level)}
			}
			if !p.hpd {
				apTable |= d >> 61 & 3
				uxnTable = uxnTable || d>>60&1 == 1
				pxnTable = pxnTable || d>>59&1 == 1
			}
			hi = low(level)
			continue
		}
		if d&(1<<48-1)>>12<<12>>outSize != 0 {
			return verdict{fault: fmt.Sprintf("stage 1 address size %d", level)}
		}
		if d>>10&1 == 0 {
			return verdict{fault: fmt.Sprintf("stage 1 access flag %d", level)}
		}
		return n.leaf(regime, d, level, low(level), va, access, user, pan, n.bits(sctlr, 19, 19) == 1, apTable, uxnTable, pxnTable, mair, stage2)
	}
}

// leaf checks permissions: AArch64.S1DirectBasePermissions, S1CheckPermissions.
func (n naive) leaf(regime string, d uint64, level int, low, va uint64, access mmu.Access, user, pan, wxn bool,
	apTable uint64, uxnTable, pxnTable bool, mair Reg, stage2 bool) verdict {
	var r, w, x bool
	if regime == "el2" {
		r, w = true, d>>7&1 == 0 && apTable&2 == 0
		x = !(d>>54&1 == 1 || uxnTable)
		x = x && !(wxn && w)
	} else {
		var pr, pw, ur, uw bool
		switch d >> 6 & 3 {
		case 0:
			pr, pw = true, true
		case 1:
			pr, pw, ur, uw = true, true, true, true
		case 2:
			pr = true
		case 3:
			pr, ur = true, true
		}
		switch apTable {
		case 1:
			ur, uw = false, false
		case 2:
			pw, uw = false, false
		case 3:
			pw, ur, uw = false, false, false
		}
		px := !(d>>53&1 == 1 || pxnTable || uw)
		ux := !(d>>54&1 == 1 || uxnTable)
		pwForWXN := pw
		if pan && (ur || uw) {
			pr, pw = false, false
		}
		r, w, x = pr, pw, px && !(wxn && pwForWXN)
		if user {
			r, w, x = ur, uw, ux && !(wxn && uw)
		}
	}
	if allowed := []bool{r, w, x}[access]; !allowed {
		return verdict{fault: fmt.Sprintf("stage 1 permission %d", level)}
	}
	attr := n.s.Reg[mair] >> (d >> 2 & 7 * 8) & 0xff
	ipa := d&(1<<48-1)>>low<<low | va&(1<<low-1)
	return n.second(stage2, ipa, access, attr>>4 == 0, false)
}

// second is stage 2, if on.
func (n naive) second(on bool, ipa uint64, access mmu.Access, device, walk bool) verdict {
	if !on {
		return verdict{pa: ipa, device: device}
	}
	fault := func(kind string, level int) verdict {
		what := "stage 2"
		if walk {
			what = "stage 2 on walk"
		}
		return verdict{fault: fmt.Sprintf("%s %s %d", what, kind, level), ipa: ipa}
	}
	granule, outSize := tg0(n.bits(VTCR_EL2, 15, 14)), addressSizes[n.bits(VTCR_EL2, 18, 16)]
	size, sl0 := 64-n.bits(VTCR_EL2, 5, 0), n.bits(VTCR_EL2, 7, 6)
	level := map[uint64]int{0: 2, 1: 1, 2: 0}[sl0]
	if granule != 12 {
		level = map[uint64]int{0: 3, 1: 2, 2: 1}[sl0]
	}
	stride := granule - 3
	low := func(level int) uint64 { return granule + stride*uint64(3-level) }
	least := uint64(3-level)*stride + granule + 1
	if sl0 == 3 || size > 48 || size < least || size > least+stride-1+4 {
		return fault("translation", 0)
	}
	base := n.bits(VTTBR_EL2, 47, 1) << 1
	base = base >> (size - low(level) + 3) << (size - low(level) + 3)
	if base>>outSize != 0 {
		return fault("address size", 0)
	}
	if ipa>>size != 0 {
		return fault("translation", 0)
	}
	hi := size
	for ; ; level++ {
		d := n.mem.Load(mmu.PA(base+ipa&(1<<hi-1)>>low(level)*8), 8)
		leafAllowed := level == 3 || level == 2 || level == 1 && granule == 12
		oa := d & (1<<48 - 1) >> 12 << 12
		switch {
		case d&1 == 0, d&3 == 1 && (level == 3 || !leafAllowed):
			return fault("translation", level)
		case oa>>outSize != 0:
			return fault("address size", level)
		case d&3 == 3 && level < 3:
			base, hi = oa>>granule<<granule, low(level)
			continue
		case d>>10&1 == 0:
			return fault("access flag", level)
		}
		r, w := d>>6&1 == 1, d>>7&1 == 1
		x := d>>54&1 == 0 && r
		deviceHere := d>>4&3 == 0
		if allowed := []bool{r, w, x}[access]; !allowed || walk && n.bits(HCR_EL2, 2, 2) == 1 && deviceHere {
			return fault("permission", level)
		}
		return verdict{pa: oa>>low(level)<<low(level) | ipa&(1<<low(level)-1), device: device || deviceHere}
	}
}
