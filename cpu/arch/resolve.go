package arch

// resolve finds which register an access at the present EL is to, and whether a
// control bit traps it. Order: AArch64.CheckSystemAccess, then the accessors of
// each register in D19.2.
func (p *PE) resolve(r Reg, write bool) (Reg, Trap) {
	s := p.State
	row := &table[r]
	if s.EL == 2 && s.Reg[HCR_EL2]&HCRE2H != 0 && row.Host != NoReg {
		return row.Host, NoTrap
	}
	want := wanted(write)
	if r == NoReg || row.EL[s.EL&3%3]&want == 0 || row.Guard == ByVHE {
		return r, Undefined
	}
	switch {
	case row.Guard == ByFP: // at every EL
		return r, p.FPTrap()
	case s.EL == 2:
		return r, NoTrap
	}
	return r, p.guard(r, row.Guard, write)
}

func wanted(write bool) Rights {
	if write {
		return w
	}
	return r
}

// guard says whether control bits trap an access at EL0 or EL1.
func (p *PE) guard(reg Reg, g Guard, write bool) Trap {
	s := p.State
	hcr, mdcr := s.Reg[HCR_EL2], s.Reg[MDCR_EL2]
	host := s.EL == 0 && s.inHost()
	to2 := func(b bool) Trap {
		if b {
			return TrapEL2
		}
		return NoTrap
	}
	if s.EL == 0 {
		if t := p.guardEL0(reg, g, write); t != NoTrap {
			if t == TrapEL1 && hcr&HCRTGE != 0 {
				return TrapEL2
			}
			return t
		}
		if host {
			return NoTrap
		}
	}
	switch g {
	case ByTVM:
		return to2(write && hcr&HCRTVM != 0 || !write && hcr&HCRTRVM != 0)
	case ByTID1:
		return to2(hcr&HCRTID1 != 0)
	case ByTID2:
		return to2(hcr&HCRTID2 != 0)
	case ByTID3:
		return to2(hcr&HCRTID3 != 0)
	case ByTACR:
		return to2(hcr&HCRTACR != 0)
	case ByTCPAC:
		return to2(s.Reg[CPTR_EL2]&cptrTCPAC != 0)
	case ByTDA:
		return to2(mdcr&(mdcrTDA|mdcrTDE) != 0)
	case ByTDOSA:
		return to2(mdcr&(mdcrTDOSA|mdcrTDE) != 0)
	case ByTDRA:
		return to2(mdcr&(mdcrTDRA|mdcrTDE) != 0)
	case ByTPM:
		return to2(mdcr&mdcrTPM != 0 || reg == PMCR_EL0 && mdcr&mdcrTPMCR != 0)
	case ByTERR:
		return to2(hcr&HCRTERR != 0)
	case ByIMO:
		return to2(hcr&(HCRIMO|HCRFMO) != 0)
	case ByCount:
		return to2(reg == CNTPCT_EL0 && !s.hypAllows(0))
	case ByPhysTimer:
		return to2(!s.hypAllows(1))
	}
	return NoTrap
}

// hypAllows reads CNTHCTL_EL2.EL1PCTEN (0) or EL1PCEN (1), which lie 10 bits
// higher for a VHE host.
func (s *State) hypAllows(n uint) bool {
	if s.Reg[HCR_EL2]&HCRE2H != 0 {
		n += 10
	}
	return s.Reg[CNTHCTL_EL2]>>n&1 != 0
}

// guardEL0 says whether EL1, or a VHE host, traps an access at EL0.
func (p *PE) guardEL0(reg Reg, g Guard, write bool) Trap {
	s := p.State
	sctlr, cnt := s.Reg[SCTLR_EL1], s.Reg[CNTKCTL_EL1]
	if s.inHost() {
		sctlr, cnt = s.Reg[SCTLR_EL2], s.Reg[CNTHCTL_EL2]
	}
	to1 := func(allowed bool) Trap {
		if allowed {
			return NoTrap
		}
		return TrapEL1
	}
	switch g {
	case ByTID2:
		return to1(sctlr&sctlrUCT != 0)
	case ByUMA:
		return to1(sctlr&sctlrUMA != 0)
	case ByTDA:
		return to1(s.Reg[MDSCR_EL1]>>12&1 == 0)
	case ByPhysTimer:
		return to1(cnt>>9&1 != 0)
	case ByVirtTimer:
		return to1(cnt>>8&1 != 0)
	case ByCount:
		switch reg {
		case CNTPCT_EL0:
			return to1(cnt&1 != 0)
		case CNTVCT_EL0:
			return to1(cnt&2 != 0)
		}
		return to1(cnt&3 != 0) // CNTFRQ
	case ByTPM:
		if reg == PMUSERENR_EL0 {
			return NoTrap
		}
		return to1(s.mayCount(reg, write))
	}
	return NoTrap
}

// mayCount is what PMUSERENR_EL0 lets EL0 do.
func (s *State) mayCount(reg Reg, write bool) bool {
	user := s.Reg[PMUSERENR_EL0]
	switch {
	case user&1 != 0:
		return true
	case reg == PMSWINC_EL0:
		return user&2 != 0
	case reg == PMCCNTR_EL0 && !write:
		return user&4 != 0
	case (reg == PMXEVCNTR_EL0 || reg == PMEV_RES0) && !write || reg == PMSELR_EL0:
		return user&8 != 0
	}
	return false
}

// FPTrap says whether the present EL may use FP and SIMD registers.
func (p *PE) FPTrap() Trap {
	s := p.State
	e2h := s.Reg[HCR_EL2]&HCRE2H != 0
	if s.EL < 2 && !(s.EL == 0 && s.inHost()) {
		fpen := s.Reg[CPACR_EL1] >> 20 & 3
		if fpen&1 == 0 || fpen == 1 && s.EL == 0 {
			if s.EL == 0 && s.Reg[HCR_EL2]&HCRTGE != 0 {
				return TrapFP2
			}
			return TrapFP1
		}
	}
	cptr := s.Reg[CPTR_EL2]
	if e2h {
		fpen := cptr >> 20 & 3
		if fpen&1 == 0 || fpen == 1 && s.EL == 0 && s.inHost() {
			return TrapFP2
		}
	} else if cptr&cptrTFP != 0 {
		return TrapFP2
	}
	return NoTrap
}
