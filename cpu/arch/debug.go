package arch

// Self-hosted debug: breakpoints, watchpoints and software step, whose exceptions
// go to EL1. DDI 0487 D2.

// Bits of MDSCR_EL1, and of OSLSR_EL1.
const (
	mdscrSS  = 1 << 0
	mdscrKDE = 1 << 13
	mdscrMDE = 1 << 15
	oslkBit  = 1 << 1
)

// The breakpoints and watchpoints that ID_AA64DFR0_EL1 tells of.
const (
	breakpoints = 6
	watchpoints = 4
	contextBRPs = 2 // the last ones, which compare CONTEXTIDR_EL1 too
)

// DBGBCR.BT: what a breakpoint compares.
const (
	matchAddress       = 0
	matchAddressLinked = 1
	matchContext       = 2
	matchContextLinked = 3 // alone it matches nothing
)

// Debugging says whether this PE debugs itself: then instructions are looked at
// one by one. With watch set, accesses are too.
func (s *State) Debugging() (on, watch bool) {
	mdscr := s.Reg[MDSCR_EL1]
	if mdscr&(mdscrSS|mdscrMDE) == 0 || s.Reg[OSLSR_EL1]&oslkBit != 0 {
		return false, false
	}
	for n := range Reg(watchpoints) {
		watch = watch || s.Reg[DBGWCR0_EL1+2*n]&1 != 0
	}
	return true, watch && mdscr&mdscrMDE != 0
}

// debugsFrom says whether EL1 takes debug exceptions from an EL with PSTATE.D as
// given: AArch64.GenerateDebugExceptionsFrom.
func (s *State) debugsFrom(el uint8, masked bool) bool {
	switch {
	case s.Reg[OSLSR_EL1]&oslkBit != 0:
		return false
	case el == 0:
		return !s.inHost()
	case el == 1:
		return s.Reg[MDSCR_EL1]&mdscrKDE != 0 && !masked
	}
	return false
}

const maskD = 8 // in PState.DAIF

func (s *State) debugs() bool { return s.debugsFrom(s.EL, s.DAIF&maskD != 0) }

// Stepping says whether software step is active at the present EL: then one
// instruction is executed if PSTATE.SS is set, none if not.
func (s *State) Stepping() bool { return s.Reg[MDSCR_EL1]&mdscrSS != 0 && s.debugs() }

// returnSS is PSTATE.SS after a return with a saved PSTATE: DebugExceptionReturnSS.
func (s *State) returnSS(spsr uint64) bool {
	return s.Reg[MDSCR_EL1]&mdscrSS != 0 && !s.debugs() && s.debugsFrom(uint8(spsr>>2&3), spsr>>6&maskD != 0) && spsr&spsrSS != 0
}

// Breaks says whether a breakpoint matches the instruction at PC:
// AArch64.CheckBreakpoint.
func (s *State) Breaks(pc uint64) bool {
	if s.Reg[MDSCR_EL1]&mdscrMDE == 0 || !s.debugs() {
		return false
	}
	for n := range Reg(breakpoints) {
		bcr := s.Reg[DBGBCR0_EL1+2*n]
		if bcr&1 == 0 || !s.inScope(bcr, s.EL) {
			continue
		}
		switch bcr >> 20 & 15 {
		case matchAddress:
		case matchAddressLinked:
			if !s.linked(bcr) {
				continue
			}
		case matchContext:
			if s.contextMatches(n) {
				return true
			}
			continue
		default:
			continue
		}
		if at := s.Reg[DBGBVR0_EL1+2*n]; uint64(int64(at<<15)>>15)&^3 == pc { // 49 bits
			return true
		}
	}
	return false
}

// inScope says whether a breakpoint's or watchpoint's control, with HMC, SSC and
// PMC or PAC, wants an EL of Non-secure state.
func (s *State) inScope(control uint64, el uint8) bool {
	privileges := control >> 1 & 3
	if control>>14&3 == 2 { // Secure state only
		return false
	}
	return el == 1 && privileges&1 != 0 || el == 0 && privileges&2 != 0
}

// linked says whether the context breakpoint that a control names agrees.
func (s *State) linked(control uint64) bool {
	n := Reg(control >> 16 & 15)
	if n >= breakpoints {
		return false
	}
	bcr := s.Reg[DBGBCR0_EL1+2*n]
	return bcr&1 != 0 && bcr>>20&15 == matchContextLinked && s.contextMatches(n)
}

// contextMatches compares CONTEXTIDR_EL1 with what a breakpoint that can do that
// holds.
func (s *State) contextMatches(n Reg) bool {
	return n >= breakpoints-contextBRPs && uint32(s.Reg[DBGBVR0_EL1+2*n]) == uint32(s.Reg[CONTEXTIDR_EL1])
}

// Watches says whether a watchpoint matches an access of n bytes at va in the name
// of EL0 or not, and returns the first byte of it that does:
// AArch64.CheckWatchpoint.
func (s *State) Watches(va, n uint64, write, user bool) (at uint64, hit bool) {
	if s.Reg[MDSCR_EL1]&mdscrMDE == 0 || !s.debugs() {
		return 0, false
	}
	el := s.EL
	if user {
		el = 0
	}
	for i := range Reg(watchpoints) {
		wcr, wvr := s.Reg[DBGWCR0_EL1+2*i], s.Reg[DBGWVR0_EL1+2*i]
		kind := uint64(1) // LSC: loads, stores
		if write {
			kind = 2
		}
		if wcr&1 == 0 || wcr>>3&kind == 0 || !s.inScope(wcr, el) || wcr>>20&1 != 0 && !s.linked(wcr) {
			continue
		}
		for b := range n {
			if at := va + b; watched(wcr, wvr, at) {
				return at, true
			}
		}
	}
	return 0, false
}

// watched says whether a watchpoint is on the byte at an address.
func watched(wcr, wvr, at uint64) bool {
	if mask := wcr >> 24 & 31; mask >= 3 {
		return at>>mask == uint64(int64(wvr<<15)>>15)>>mask
	}
	offset := at - uint64(int64(wvr<<15)>>15)
	return offset < 8 && wcr>>5>>offset&1 != 0
}

// Breakpoint is the exception of a breakpoint on the present instruction.
func (p *PE) Breakpoint() Exception { return p.debug(ECBreakpoint, 0) }

// SoftwareStep is the exception of software step before the present instruction.
// If one was stepped, exclusive says whether it was a load-exclusive.
func (p *PE) SoftwareStep(stepped, exclusive bool) Exception {
	return p.debug(ECStep, bit(stepped, issISV)|bit(stepped && exclusive, issEX))
}

// Watchpoint is the exception of a watchpoint on an access of the present
// instruction.
func (p *PE) Watchpoint(at uint64, write bool) Exception {
	e := p.debug(ECWatchpoint, bit(write, issWnR))
	e.FAR, e.HasFAR = at, true
	return e
}

func (p *PE) debug(ec EC, iss uint64) Exception {
	e := p.here(ec, iss|uint64(StatusDebug))
	if p.EL < 2 && p.Reg[MDCR_EL2]&mdcrTDE != 0 {
		e.EL = 2
	}
	return e
}
