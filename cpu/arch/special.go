package arch

// readSpecial reads a register that is not a stored value.
func (p *PE) readSpecial(r Reg) (uint64, Trap) {
	s := p.State
	switch r {
	case MIDR_EL1:
		if s.EL == 1 {
			return s.Reg[VPIDR_EL2], NoTrap
		}
		return s.Reg[MIDR_EL1], NoTrap
	case MPIDR_EL1:
		if s.EL == 1 {
			return s.Reg[VMPIDR_EL2], NoTrap
		}
		return s.Reg[MPIDR_EL1], NoTrap
	case DCZID_EL0:
		return s.Reg[DCZID_EL0] | bit(!s.mayZero(), 1<<4), NoTrap
	case CCSIDR_EL1:
		if i := s.Reg[CSSELR_EL1]; i < uint64(len(caches)) {
			return caches[i], NoTrap
		}
		return 0, NoTrap
	case CurrentEL:
		return uint64(s.EL) << 2, NoTrap
	case SPSel:
		return uint64(s.SPSel), NoTrap
	case NZCV:
		return uint64(s.NZCV) << 28, NoTrap
	case DAIF:
		return uint64(s.DAIF) << 6, NoTrap
	case PAN:
		return bit(s.PAN, spsrPAN), NoTrap
	case UAO:
		return bit(s.UAO, spsrUAO), NoTrap
	case SSBS:
		return bit(s.SSBS, spsrSSBS), NoTrap
	case SP_EL0:
		if s.SPSel == 0 {
			return 0, Undefined
		}
		return s.SP[0], NoTrap
	case SP_EL1:
		return s.SP[1], NoTrap
	case ISR_EL1:
		return p.isr(), NoTrap
	case DBGCLAIMSET_EL1:
		return 0xff, NoTrap
	case DBGCLAIMCLR_EL1:
		return s.Reg[r], NoTrap
	}
	return 0, Undefined
}

// writeSpecial writes a register that is not a stored value.
func (p *PE) writeSpecial(r Reg, v uint64) Trap {
	s := p.State
	switch r {
	case SPSel:
		s.SPSel = uint8(v & 1)
	case NZCV:
		s.NZCV = uint8(v >> 28 & 15)
	case DAIF:
		s.DAIF = uint8(v >> 6 & 15)
	case PAN:
		s.PAN = v&spsrPAN != 0
	case UAO:
		s.UAO = v&spsrUAO != 0
	case SSBS:
		s.SSBS = v&spsrSSBS != 0
	case SP_EL0:
		if s.SPSel == 0 {
			return Undefined
		}
		s.SP[0] = v
	case SP_EL1:
		s.SP[1] = v
	case OSLAR_EL1:
		s.Reg[OSLSR_EL1] = s.Reg[OSLSR_EL1]&^2 | v&1<<1
	case DBGCLAIMSET_EL1:
		s.Reg[DBGCLAIMCLR_EL1] |= v & 0xff
	case DBGCLAIMCLR_EL1:
		s.Reg[DBGCLAIMCLR_EL1] &^= v
	default:
		return Undefined
	}
	return NoTrap
}

// mayZero reports whether the present EL may use DC ZVA.
func (s *State) mayZero() bool {
	if s.EL == 0 && s.sctlr()&sctlrDZE == 0 {
		return false
	}
	return s.EL == 2 || s.EL == 0 && s.inHost() || s.Reg[HCR_EL2]&HCRTDZ == 0
}

// sctlr is SCTLR of the present regime.
func (s *State) sctlr() uint64 {
	if s.EL == 2 || s.EL == 0 && s.inHost() {
		return s.Reg[SCTLR_EL2]
	}
	return s.Reg[SCTLR_EL1]
}

// readTimer reads a counter or a timer's register.
func (p *PE) readTimer(r Reg) uint64 {
	s, count := p.State, p.Clock.Count(p.Now)
	switch r {
	case CNTPCT_EL0:
		return count
	case CNTVCT_EL0:
		if s.EL == 2 && s.Reg[HCR_EL2]&HCRE2H != 0 || s.EL == 0 && s.inHost() {
			return count
		}
		return count - s.Reg[CNTVOFF_EL2]
	}
	for t := range timers {
		regs, id := &timers[t], TimerID(t)
		switch r {
		case regs.ctl:
			return s.Reg[r]&^timerStatus | bit(s.condition(id, count), timerStatus)
		case regs.cval:
			return s.Reg[r]
		case regs.tval:
			return uint64(uint32(s.Reg[regs.cval] - (count - s.offset(id))))
		}
	}
	return 0
}

// writeTimer writes a timer's register.
func (p *PE) writeTimer(r Reg, v uint64) {
	s := p.State
	for t := range timers {
		regs := &timers[t]
		switch r {
		case regs.ctl:
			s.Reg[r] = v & (timerEnable | timerMask)
		case regs.cval:
			s.Reg[r] = v
		case regs.tval:
			s.Reg[regs.cval] = p.Clock.Count(p.Now) - s.offset(TimerID(t)) + uint64(int64(int32(v)))
		default:
			continue
		}
		p.TimerWrites++
	}
}
