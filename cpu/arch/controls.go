package arch

import "ringmap/mmu"

// Bits of control registers.
const (
	all  = ^uint64(0)
	word = 1<<32 - 1

	// SCTLR_ELx. DDI 0487 D19.2.117
	sctlrM     = 1 << 0
	sctlrA     = 1 << 1
	sctlrSA    = 1 << 3
	sctlrSA0   = 1 << 4
	sctlrUMA   = 1 << 9
	sctlrI     = 1 << 12
	sctlrDZE   = 1 << 14
	sctlrUCT   = 1 << 15
	sctlrNTWI  = 1 << 16
	sctlrNTWE  = 1 << 18
	sctlrWXN   = 1 << 19
	sctlrIESB  = 1 << 21
	sctlrSPAN  = 1 << 23
	sctlrUCI   = 1 << 26
	sctlrDSSBS = 1 << 44

	sctlrBits = sctlrM | sctlrA | 1<<2 | sctlrSA | sctlrSA0 | sctlrUMA | sctlrI | sctlrDZE | sctlrUCT |
		sctlrNTWI | sctlrNTWE | sctlrWXN | sctlrIESB | sctlrSPAN | sctlrUCI | sctlrDSSBS
	sctlrReset  = 0x30d00980 // RES1 bits: LSMAOE, nTLSMD, TSCXT, EOS, EIS, SED, ITD
	sctlr2Reset = 0x30c50830

	tcrBits  = 0xffffffff&^(1<<6) | 7<<32 | 7<<36 | 3<<41 // not HA, HD
	spsrBits = 0xf0f013df

	// HCR_EL2. DDI 0487 D19.2.48
	HCRVM    = 1 << 0
	HCRPTW   = 1 << 2
	HCRFMO   = 1 << 3
	HCRIMO   = 1 << 4
	HCRAMO   = 1 << 5
	HCRVF    = 1 << 6
	HCRVI    = 1 << 7
	HCRVSE   = 1 << 8
	HCRFB    = 1 << 9
	HCRDC    = 1 << 12
	HCRTWI   = 1 << 13
	HCRTWE   = 1 << 14
	HCRTID1  = 1 << 16
	HCRTID2  = 1 << 17
	HCRTID3  = 1 << 18
	HCRTSC   = 1 << 19
	HCRTIDCP = 1 << 20
	HCRTACR  = 1 << 21
	HCRTSW   = 1 << 22
	HCRTPCP  = 1 << 23
	HCRTPU   = 1 << 24
	HCRTTLB  = 1 << 25
	HCRTVM   = 1 << 26
	HCRTGE   = 1 << 27
	HCRTDZ   = 1 << 28
	HCRHCD   = 1 << 29
	HCRTRVM  = 1 << 30
	HCRRW    = 1 << 31
	HCRE2H   = 1 << 34
	HCRTERR  = 1 << 36
	HCRTEA   = 1 << 37
	hcrBits  = (1<<39 - 1) &^ (1<<15 | HCRRW | 1<<35)

	// CPTR_EL2, MDCR_EL2
	cptrTFP   = 1 << 10
	cptrTCPAC = 1 << 31
	mdcrTPMCR = 1 << 5
	mdcrTPM   = 1 << 6
	mdcrTDE   = 1 << 8
	mdcrTDA   = 1 << 9
	mdcrTDOSA = 1 << 10
	mdcrTDRA  = 1 << 11
)

// decode derives both contexts from the registers.
func (p *PE) decode() {
	s := p.State
	hcr := s.Reg[HCR_EL2]
	guest := &p.contexts[0]
	*guest = mmu.Context{
		Stage1: s.stage1EL10(),
		Stage2: p.stage2,
		VMID:   s.vmid(),
	}
	switch {
	case p.stage2 != nil:
		guest.VMID = p.stage2.VMID
	case hcr&(HCRVM|HCRDC) != 0:
		guest.Stage2, guest.BadStage2 = &p.guest, !s.guestStage2(&p.guest)
	}
	guest.ProtectedWalk = hcr&HCRPTW != 0
	guest.Bind(p.domain)

	if p.HostEL2 {
		return
	}
	host := &p.contexts[1]
	*host = mmu.Context{Stage1: s.stage1EL2()}
	host.Bind(p.domain)
}

// stage1EL10 decodes stage 1 of EL1&0.
func (s *State) stage1EL10() mmu.Stage1 {
	hcr := s.Reg[HCR_EL2]
	c := twoHalves(s.Reg[SCTLR_EL1], s.Reg[TCR_EL1], s.Reg[TTBR0_EL1], s.Reg[TTBR1_EL1], s.Reg[MAIR_EL1])
	if hcr&(HCRDC|HCRTGE) != 0 {
		c.On = false
	}
	c.Normal = hcr&HCRDC != 0
	return c
}

// stage1EL2 decodes stage 1 of EL2, or of EL2&0.
func (s *State) stage1EL2() mmu.Stage1 {
	sctlr, tcr, ttbr, mair := s.Reg[SCTLR_EL2], s.Reg[TCR_EL2], s.Reg[TTBR0_EL2], s.Reg[MAIR_EL2]
	if s.Reg[HCR_EL2]&HCRE2H != 0 {
		c := twoHalves(sctlr, tcr, ttbr, s.Reg[TTBR1_EL2], mair)
		c.Regime = mmu.RegimeEL20
		return c
	}
	c := mmu.Stage1{Regime: mmu.RegimeEL2, On: sctlr&sctlrM != 0, WXN: sctlr&sctlrWXN != 0, MAIR: mair, OutBits: outBits(tcr >> 16)}
	c.Half[0] = half(granule0(tcr>>14), tcr, ttbr, false, tcr>>20&1 != 0, tcr>>24&1 != 0)
	c.Half[1].Off = true
	return c
}

// twoHalves decodes a stage 1 with two ranges of addresses and ASIDs.
func twoHalves(sctlr, tcr, ttbr0, ttbr1, mair uint64) mmu.Stage1 {
	c := mmu.Stage1{On: sctlr&sctlrM != 0, WXN: sctlr&sctlrWXN != 0, MAIR: mair, OutBits: outBits(tcr >> 32)}
	c.Half[0] = half(granule0(tcr>>14), tcr, ttbr0, tcr>>7&1 != 0, tcr>>37&1 != 0, tcr>>41&1 != 0)
	c.Half[1] = half(granule1(tcr>>30), tcr>>16, ttbr1, tcr>>23&1 != 0, tcr>>38&1 != 0, tcr>>42&1 != 0)
	asid := ttbr0
	if tcr>>22&1 != 0 {
		asid = ttbr1
	}
	c.ASID = uint16(asid >> 48)
	if c.ShortASID = tcr>>36&1 == 0; c.ShortASID {
		c.ASID &= 0xff
	}
	return c
}

// half decodes one range. A base that is not aligned to its table counts as if
// the bits below were zero.
func half(g mmu.Granule, txsz, ttbr uint64, off, tbi, hpd bool) mmu.Half {
	h := mmu.NewHalf(g, uint8(txsz&0x3f), ttbr&(1<<48-1))
	h.Off = h.Off || off
	h.TBI, h.HPD = tbi, hpd
	return h
}

// granule0 is TCR.TG0, granule1 TG1. Reserved encodings count as 4 KiB.
func granule0(tg uint64) mmu.Granule {
	return [4]mmu.Granule{mmu.Granule4K, mmu.Granule64K, mmu.Granule16K, mmu.Granule4K}[tg&3]
}

func granule1(tg uint64) mmu.Granule {
	return [4]mmu.Granule{mmu.Granule4K, mmu.Granule16K, mmu.Granule4K, mmu.Granule64K}[tg&3]
}

// outBits is an output address size: TCR.IPS, VTCR.PS. What is beyond the PE's
// counts as the PE's.
func outBits(ips uint64) uint8 { return [8]uint8{32, 36, 40, 42, 44, 48, 48, 48}[ips&7] }

// guestStage2 decodes stage 2 from VTCR_EL2 and VTTBR_EL2 into s2, and says
// whether they have sense.
func (s *State) guestStage2(s2 *mmu.Stage2) (ok bool) {
	vtcr, vttbr := s.Reg[VTCR_EL2], s.Reg[VTTBR_EL2]
	g := granule0(vtcr >> 14)
	start := 2 - int8(vtcr>>6&3) // SL0
	if g != mmu.Granule4K && start >= 0 {
		start++
	}
	*s2, ok = mmu.NewGuestStage2(g, 64-uint8(vtcr&0x3f), start, mmu.PA(vttbr&(1<<48-1)), s.vmid(), outBits(vtcr>>16))
	return ok
}

// vmid is the VMID in VTTBR_EL2: 8 bits without VTCR_EL2.VS.
func (s *State) vmid() uint16 {
	vmid := uint16(s.Reg[VTTBR_EL2] >> 48)
	if s.Reg[VTCR_EL2]>>19&1 == 0 {
		vmid &= 0xff
	}
	return vmid
}
