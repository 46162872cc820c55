package arch

import "ringmap/mmu"

// EC is the class of an exception, ESR_ELx.EC.
type EC uint8

// The exception classes in use. DDI 0487 D19.2.40.
const (
	ECUnknown      EC = 0x00
	ECWFx          EC = 0x01
	ECFP           EC = 0x07 // FP, SIMD: CPACR, CPTR
	ECIllegalState EC = 0x0e
	ECSVC          EC = 0x15
	ECHVC          EC = 0x16
	ECSMC          EC = 0x17
	ECSysReg       EC = 0x18 // MSR, MRS, SYS
	ECInstruction  EC = 0x20 // instruction abort from a lower EL; 0x21 from the same
	ECPCAlignment  EC = 0x22
	ECData         EC = 0x24 // data abort from a lower EL; 0x25 from the same
	ECSPAlignment  EC = 0x26
	ECSError       EC = 0x2f
	ECBreakpoint   EC = 0x30 // from a lower EL; 0x31 from the same
	ECStep         EC = 0x32 // as above
	ECWatchpoint   EC = 0x34 // as above
	ECBRK          EC = 0x3c
)

// The layout of ESR_ELx and its ISS: the lowest bit of each field. Every
// syndrome is put together from these.
const (
	esrEC = 26
	esrIL = 1 << 25 // a 32-bit instruction, or no instruction to speak of

	// data and instruction aborts
	issISV   = 1 << 24
	issSAS   = 22 // log2 of the bytes
	issSSE   = 1 << 21
	issSRT   = 16
	issSF    = 1 << 15
	issAR    = 1 << 14
	issFnV   = 1 << 10
	issEA    = 1 << 9
	issCM    = 1 << 8
	issS1PTW = 1 << 7
	issWnR   = 1 << 6
	issEX    = 1 << 6 // of software step: a load-exclusive was stepped

	// MSR, MRS, SYS
	issOp0, issOp2, issOp1, issCRn, issRt, issCRm = 20, 17, 14, 10, 5, 1
	issRead                                       = 1

	issCond = 1<<24 | 0xe<<20 // CV, COND: always, of WFx and FP
)

// FaultStatus is DFSC and IFSC: what the last six bits of an abort's ISS say.
type FaultStatus uint8

// Fault status codes that are not a walk's.
const (
	StatusExternal     FaultStatus = 0x10 // synchronous external abort
	StatusExternalWalk FaultStatus = 0x14 // …on a walk, plus the level
	StatusAlignment    FaultStatus = 0x21
	StatusDebug        FaultStatus = 0x22 // a debug exception
	StatusExclusive    FaultStatus = 0x35 // exclusive or atomic where memory does not support it
)

// statusOf is the code of a fault of translation.
func statusOf(k mmu.FaultKind, level int8) FaultStatus {
	base := [...]FaultStatus{mmu.FaultAddressSize: 0x00, mmu.FaultTranslation: 0x04,
		mmu.FaultAccessFlag: 0x08, mmu.FaultPermission: 0x0c}
	if k == mmu.FaultAlignment {
		return StatusAlignment
	}
	return base[k] + FaultStatus(level)
}

func esr(ec EC, iss uint64) uint64 { return uint64(ec)<<esrEC | esrIL | iss }

// Transfer describes a load or store of one register well enough that the kernel
// at EL2 can do it (ESR_EL2.ISV): bits 24 to 14 of a data abort's ISS.
type Transfer uint32

// NewTransfer describes a transfer of 2^size bytes from or to register rt: sign
// whether a load extends the sign, wide whether the register is X, ordered
// whether the access acquires or releases.
func NewTransfer(size, rt uint8, sign, wide, ordered bool) Transfer {
	return Transfer(issISV | uint64(size&3)<<issSAS | bit(sign, issSSE) | uint64(rt&31)<<issSRT |
		bit(wide, issSF) | bit(ordered, issAR))
}

// Unknown is the exception of a word that is no instruction here.
func (p *PE) Unknown() Exception { return p.here(ECUnknown, 0) }

// here is a synchronous exception that returns to the present instruction.
func (p *PE) here(ec EC, iss uint64) Exception {
	return Exception{ESR: esr(ec, iss), Return: p.PC}
}

// after is one that returns behind the present instruction.
func (p *PE) after(ec EC, iss uint64) Exception {
	return Exception{ESR: esr(ec, iss), Return: p.PC + 4}
}

// SVC is the exception of SVC #imm.
func (p *PE) SVC(imm uint16) Exception { return p.after(ECSVC, uint64(imm)) }

// HVC is the exception of HVC #imm.
func (p *PE) HVC(imm uint16) Exception {
	if p.EL == 0 || p.Reg[HCR_EL2]&HCRHCD != 0 {
		return p.Unknown()
	}
	e := p.after(ECHVC, uint64(imm))
	e.EL = 2
	return e
}

// SMC is the exception of SMC #imm, unless it is the firmware's to answer.
func (p *PE) SMC(imm uint16) (e Exception, firmware bool) {
	switch {
	case p.EL == 0:
		return p.Unknown(), false
	case p.EL == 1 && p.Reg[HCR_EL2]&HCRTSC != 0:
		e = p.here(ECSMC, uint64(imm))
		e.EL = 2
		return e, false
	case p.Firmware:
		return e, true
	}
	return p.Unknown(), false
}

// BRK is the exception of BRK #imm. HLT, without a debugger, is Unknown.
func (p *PE) BRK(imm uint16) Exception {
	e := p.here(ECBRK, uint64(imm))
	if p.EL < 2 && p.Reg[MDCR_EL2]&mdcrTDE != 0 {
		e.EL = 2
	}
	return e
}

// IllegalState is the exception of any instruction with PSTATE.IL set.
func (p *PE) IllegalState() Exception { return p.here(ECIllegalState, 0) }

// PCAlignment is the exception of fetching from a PC that is not aligned.
func (p *PE) PCAlignment() Exception {
	e := p.here(ECPCAlignment, 0)
	e.FAR, e.HasFAR = p.PC, true
	return e
}

// SPAlignment is the exception of an access by an SP that is not aligned.
func (p *PE) SPAlignment() Exception { return p.here(ECSPAlignment, 0) }

// ChecksSP reports whether the present EL wants SP aligned to 16 bytes:
// SCTLR.SA, SA0.
func (s *State) ChecksSP() bool {
	if s.EL == 0 {
		return s.sctlr()&sctlrSA0 != 0
	}
	return s.sctlr()&sctlrSA != 0
}

// ChecksAlignment reports whether the present EL wants every access aligned:
// SCTLR.A.
func (s *State) ChecksAlignment() bool { return s.sctlr()&sctlrA != 0 }

// WFI says whether WFI traps, and with what.
func (p *PE) WFI() (Exception, bool) { return p.wait(sctlrNTWI, HCRTWI, 0) }

// WFE says whether WFE traps when it would wait, and with what.
func (p *PE) WFE() (Exception, bool) { return p.wait(sctlrNTWE, HCRTWE, 1) }

func (p *PE) wait(not, trap, ti uint64) (Exception, bool) {
	e := p.here(ECWFx, issCond|ti)
	host := p.EL == 0 && p.inHost()
	switch {
	case p.EL == 0 && p.sctlr()&not == 0:
	case p.EL < 2 && !host && p.Reg[HCR_EL2]&trap != 0:
		e.EL = 2
	default:
		return Exception{}, false
	}
	return e, true
}

// RegTrap is the exception of an MSR or MRS that traps.
func (p *PE) RegTrap(t Trap, enc Enc, rt uint8, read bool) Exception {
	var e Exception
	switch t {
	case TrapEL1, TrapEL2:
		e = p.here(ECSysReg, uint64(enc>>14&3)<<issOp0|uint64(enc&7)<<issOp2|uint64(enc>>11&7)<<issOp1|
			uint64(enc>>7&15)<<issCRn|uint64(rt&31)<<issRt|uint64(enc>>3&15)<<issCRm|bit(read, issRead))
	case TrapFP1, TrapFP2:
		e = p.here(ECFP, issCond)
	default:
		return p.Unknown()
	}
	if t == TrapEL2 || t == TrapFP2 {
		e.EL = 2
	}
	return e
}

// DataAbort is the exception of a data access that did not translate. cache says
// that it was a cache maintenance or address translation instruction.
func (p *PE) DataAbort(a mmu.Abort, write, cache bool, t Transfer) Exception {
	iss := uint64(statusOf(a.Kind, a.Level)) | bit(a.Walk, issS1PTW)
	if cache {
		iss |= issCM | issWnR
	} else {
		iss |= bit(write && !a.Walk, issWnR)
		if a.Stage2 && !a.Walk {
			iss |= uint64(t)
		}
	}
	return p.abort(ECData, iss, a)
}

// InstructionAbort is the exception of a fetch that did not translate.
func (p *PE) InstructionAbort(a mmu.Abort) Exception {
	return p.abort(ECInstruction, uint64(statusOf(a.Kind, a.Level))|bit(a.Walk, issS1PTW), a)
}

func (p *PE) abort(ec EC, iss uint64, a mmu.Abort) Exception {
	e := p.here(ec, iss)
	e.FAR, e.HasFAR = uint64(a.VA), true
	if a.Stage2 {
		e.EL, e.IPA, e.HasIPA = 2, uint64(a.IPA), true
	}
	return e
}

// External is a synchronous external abort on a data access or a fetch, as a
// kernel at EL2 injects it for an address where nothing is (kvm_inject_sea).
func (p *PE) External(va uint64, fetch bool) Exception {
	ec := ECData
	if fetch {
		ec = ECInstruction
	}
	e := p.here(ec, uint64(StatusExternal)) // without EA: inject_abt64
	e.FAR, e.HasFAR = va, true
	if p.EL < 2 && p.Reg[HCR_EL2]&HCRTEA != 0 {
		e.EL = 2
	}
	return e
}

// Inject makes a state take an exception at EL1 as a modelled kernel injects it:
// without regard to routing by EL2.
func (p *PE) Inject(e Exception) {
	p.enter(&e, 1)
}
