package arch

import "ringmap/mmu"

// Kind is which vector an exception takes.
type Kind uint8

const (
	Sync Kind = iota
	IRQ
	FIQ
	SError
)

// Exception is one that is about to be taken.
type Exception struct {
	Kind   Kind
	EL     uint8  // at least: 2 for what only EL2 handles
	HasFAR bool   // FAR is meant
	HasIPA bool   // IPA is meant: a fault of stage 2
	ESR    uint64 // syndrome, of Sync and SError
	FAR    uint64
	IPA    uint64
	Return uint64 // preferred return address
}

// Take takes an exception: saves PSTATE and the return address and goes to the
// vector. It returns the EL; if that is 2 and the kernel there is modelled
// (HostEL2), the syndrome registers of EL2 are set and nothing else: PC and
// PSTATE are still those of the guest, as SPSR_EL2 shows, and ELR_EL2 is where it
// goes on.
func (p *PE) Take(e Exception) uint8 {
	el := p.target(&e)
	if el == 2 && p.HostEL2 {
		p.record(&e, 2)
		return el
	}
	p.enter(&e, el)
	return el
}

// enter: AArch64.TakeException.
func (p *PE) enter(e *Exception, el uint8) {
	p.record(e, el)
	s, bank := p.State, &banks[el-1]
	s.PC = s.Reg[bank.vbar] + s.vector(el, e.Kind)
	sctlr := s.Reg[bank.sctlr]
	if sctlr&sctlrSPAN == 0 && (el == 1 || s.inHost()) {
		s.PAN = true
	}
	s.UAO, s.SS, s.IL = false, false, false
	s.SSBS = sctlr&sctlrDSSBS != 0
	s.DAIF = 15
	p.setEL(el, 1)
}

// record sets the registers that tell an EL of an exception.
func (p *PE) record(e *Exception, el uint8) {
	s, bank := p.State, &banks[el-1]
	if e.Kind == Sync || e.Kind == SError {
		s.Reg[bank.esr] = e.ESR
		if el == s.EL {
			switch EC(e.ESR >> esrEC) {
			case ECInstruction, ECData, ECBreakpoint, ECStep, ECWatchpoint:
				s.Reg[bank.esr] += 1 << esrEC // from the same EL
			}
		}
	}
	if e.HasFAR {
		s.Reg[bank.far] = e.FAR
	}
	if e.HasIPA && el == 2 {
		s.Reg[HPFAR_EL2] = e.IPA >> 12 << 4
	}
	s.Reg[bank.elr] = e.Return
	s.Reg[bank.spsr] = s.SPSR()
}

// banks are the registers of exceptions by EL - 1.
var banks = [2]struct{ esr, far, elr, spsr, vbar, sctlr Reg }{
	{ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1, VBAR_EL1, SCTLR_EL1},
	{ESR_EL2, FAR_EL2, ELR_EL2, SPSR_EL2, VBAR_EL2, SCTLR_EL2},
}

// vector is the offset of an exception's vector from VBAR. DDI 0487 D1.3.1.
func (s *State) vector(el uint8, k Kind) uint64 {
	from := uint64(0x400) // a lower EL, in AArch64
	if s.EL == el {
		from = uint64(s.SPSel) * 0x200
	}
	return from + uint64(k)*0x80
}

// target is the EL that takes an exception: AArch64.RouteToEL and its kin.
func (p *PE) target(e *Exception) uint8 {
	s := p.State
	if e.EL == 2 || s.EL == 2 || s.EL == 0 && s.Reg[HCR_EL2]&HCRTGE != 0 {
		return 2
	}
	return 1
}

// inHost reports whether EL2 is a VHE host's with EL0 under it: ELIsInHost.
func (s *State) inHost() bool { return s.Reg[HCR_EL2]&(HCRE2H|HCRTGE) == HCRE2H|HCRTGE }

// ExceptionReturn is ERET: AArch64.ExceptionReturn. A return that is not legal
// sets PSTATE.IL and stays at the EL. At EL0 ERET is the exception returned.
func (p *PE) ExceptionReturn() (e Exception, failed bool) {
	s := p.State
	if s.EL == 0 {
		return p.Unknown(), true
	}
	bank := &banks[s.EL-1]
	pc := s.Reg[bank.elr]
	p.SetPSTATE(s.Reg[bank.spsr])
	s.PC = p.BranchAddr(pc)
	s.Monitor.Size = 0
	s.Event = true
	return e, false
}

// SetPSTATE restores PSTATE from a saved one: SetPSTATEFromPSR.
func (p *PE) SetPSTATE(spsr uint64) {
	s := p.State
	s.SS = s.returnSS(spsr) // by the PSTATE before
	s.NZCV, s.DAIF = uint8(spsr>>28&15), uint8(spsr>>6&15)
	s.PAN, s.UAO = spsr&spsrPAN != 0, spsr&spsrUAO != 0
	if s.illegalReturn(spsr) {
		s.IL = true
		return
	}
	s.IL = spsr&spsrIL != 0
	s.SSBS = spsr&spsrSSBS != 0
	p.setEL(uint8(spsr>>2&3), uint8(spsr&1))
}

// illegalReturn: IllegalExceptionReturn. DDI 0487 D1.3.4.
func (s *State) illegalReturn(spsr uint64) bool {
	el := uint8(spsr >> 2 & 3)
	switch {
	case spsr&0x12 != 0: // AArch32, or the reserved bit
		return true
	case el > s.EL || el == 0 && spsr&1 != 0:
		return true
	}
	return el == 1 && s.EL == 2 && s.Reg[HCR_EL2]&HCRTGE != 0
}

// BranchAddr is the PC after a branch to an address in a register: without the
// tag, where the top byte is ignored. AArch64.BranchAddr.
func (p *PE) BranchAddr(to uint64) uint64 {
	if top := to >> 55; top == 0 || top == 1<<9-1 {
		return to
	}
	half := to >> 55 & 1
	switch c := p.Present; {
	case c.Regime == mmu.RegimeEL2:
		if c.Half[0].TBI {
			return to << 8 >> 8
		}
	case c.Half[half].TBI:
		return uint64(int64(to<<8) >> 8)
	}
	return to
}
