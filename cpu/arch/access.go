package arch

// Trap is why a register access does not happen.
type Trap uint8

const (
	NoTrap    Trap = iota
	Undefined      // EC 0 at EL1 (at EL2 from there)
	TrapEL1        // EC 0x18 to EL1
	TrapEL2        // EC 0x18 to EL2
	TrapFP1        // EC 0x07 to EL1
	TrapFP2        // EC 0x07 to EL2
)

var byEnc = func() (by [1 << 15]Reg) {
	for r := NoReg + 1; r < NumRegs; r++ {
		by[table[r].Enc&(1<<15-1)] = r
	}
	for _, z := range zeroes {
		for e := z.first; e <= z.last; e++ {
			if at := &by[e&(1<<15-1)]; *at == NoReg {
				*at = z.like
			}
		}
	}
	return by
}()

// zeroes are ranges of encodings that read as zero where the table has no row.
var zeroes = [...]struct {
	first, last Enc
	like        Reg
}{
	{EncOf(3, 0, 0, 1, 0), EncOf(3, 0, 0, 7, 7), ID_RES0},      // reserved for identity
	{EncOf(3, 0, 5, 4, 0), EncOf(3, 0, 5, 5, 7), ERX_RES0},     // ERX*
	{EncOf(3, 3, 14, 8, 0), EncOf(3, 3, 14, 15, 7), PMEV_RES0}, // PMEVCNTR, PMEVTYPER
}

// Row returns the table's row of a register.
func (r Reg) Row() *SysReg { return &table[r] }

func (r Reg) String() string { return table[r].Name }

// MRS executes MRS Xrt, <register>.
func (p *PE) MRS(enc Enc, rt uint8) (v uint64, e Exception, failed bool) {
	v, t := p.Read(RegAt(enc))
	if t == NoTrap {
		return v, e, false
	}
	return 0, p.RegTrap(p.reserved(enc, t), enc, rt, true), true
}

// MSR executes MSR <register>, Xrt, where Xrt is v.
func (p *PE) MSR(enc Enc, rt uint8, v uint64) (e Exception, failed bool) {
	t := p.Write(RegAt(enc), v)
	if t == NoTrap {
		return e, false
	}
	return p.RegTrap(p.reserved(enc, t), enc, rt, false), true
}

// reserved is the trap of an encoding in the space of an implementation, which
// HCR_EL2.TIDCP sends to EL2.
func (p *PE) reserved(enc Enc, t Trap) Trap {
	crn := enc >> 7 & 15
	if t == Undefined && p.EL == 1 && enc>>14 == 3 && (crn == 11 || crn == 15) && p.Reg[HCR_EL2]&HCRTIDCP != 0 {
		return TrapEL2
	}
	return t
}

// Read reads a register as MRS at the present EL does.
func (p *PE) Read(r Reg) (uint64, Trap) {
	r, t := p.resolve(r, false)
	if t != NoTrap {
		return 0, t
	}
	switch table[r].Effect {
	case Zero:
		return 0, NoTrap
	case Special:
		return p.readSpecial(r)
	case Timer:
		return p.readTimer(r), NoTrap
	case Interrupt:
		if p.GIC == nil {
			return 0, Undefined
		}
		v, ok := p.GIC.ReadICC(r, p.virtualIRQ())
		if !ok {
			return 0, Undefined
		}
		return v, NoTrap
	}
	return p.Reg[r], NoTrap
}

// Write writes a register as MSR at the present EL does.
func (p *PE) Write(r Reg, v uint64) Trap {
	r, t := p.resolve(r, true)
	if t != NoTrap {
		return t
	}
	row := &table[r]
	switch row.Effect {
	case Zero:
	case Special:
		return p.writeSpecial(r, v)
	case Timer:
		p.writeTimer(r, v)
	case Interrupt:
		if p.GIC == nil || !p.GIC.WriteICC(r, v, p.virtualIRQ()) {
			return Undefined
		}
	case Translation:
		v = v&row.Mask | p.Reg[r]&^row.Mask
		if p.Reg[r] != v {
			p.Reg[r] = v
			p.Refresh()
		}
	default:
		p.Reg[r] = v&row.Mask | p.Reg[r]&^row.Mask
	}
	return NoTrap
}
