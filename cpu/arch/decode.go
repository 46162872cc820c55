package arch

// What a kernel at EL2 reads out of ESR_EL2.

// ECOf returns the class of an exception.
func ECOf(esr uint64) EC { return EC(esr >> esrEC & 63) }

// Moved is a load or store that a data abort describes (ESR_EL2.ISV).
type Moved struct {
	Size  uint8 // bytes
	Rt    uint8 // 31 is XZR
	Write bool
	Sign  bool // a load extends the sign
	Wide  bool // to an X register
}

// MovedBy returns what the syndrome of a data abort describes, false if it does
// not: the instruction must then be looked at, or the guest gets an abort.
func MovedBy(esr uint64) (Moved, bool) {
	return Moved{
		Size:  1 << (esr >> issSAS & 3),
		Rt:    uint8(esr >> issSRT & 31),
		Write: esr&issWnR != 0,
		Sign:  esr&issSSE != 0,
		Wide:  esr&issSF != 0,
	}, esr&issISV != 0
}

// Loaded is what a load puts into its register when memory holds v.
func (m Moved) Loaded(v uint64) uint64 {
	left := 64 - 8*uint(m.Size)
	v = v << left >> left
	if m.Sign {
		v = uint64(int64(v<<left) >> left)
	}
	if !m.Wide {
		v &= word
	}
	return v
}

// Trapped is an MRS, MSR or SYS that a syndrome of class ECSysReg describes.
type Trapped struct {
	Enc  Enc
	Rt   uint8 // 31 is XZR
	Read bool
}

// TrappedBy returns the instruction of a syndrome.
func TrappedBy(esr uint64) Trapped {
	field := func(at uint, mask uint64) uint8 { return uint8(esr >> at & mask) }
	return Trapped{
		Enc:  EncOf(field(issOp0, 3), field(issOp1, 7), field(issCRn, 15), field(issCRm, 15), field(issOp2, 7)),
		Rt:   field(issRt, 31),
		Read: esr&issRead != 0,
	}
}
