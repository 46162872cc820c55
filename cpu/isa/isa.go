// Package isa is the A64 instruction set: what a word of memory says to a core.
//
//	a64.txt ──go generate──► a64_gen.go
//	                            │
//	word ───────Decode──────────┴──► Inst ──Disasm──► "ldr x0, [x1, #8]"
//	word ◄──────────────────────────────── Assemble ◄────────┘
//
// It knows the base instructions, loads and stores (of SIMD registers too), the SIMD
// instructions that copy and search memory, exclusives, LSE, CRC32 and
// system instructions of Armv8.2 with RCpc, as one table of encodings, a64.txt.
// Every other word is UNDEFINED. What an instruction does is cpu/exec's.
//
// The manual is the Arm Architecture Reference Manual, DDI 0487, chapters C3,
// C4 and C6.
package isa

import mathbits "math/bits"

//go:generate go run ./internal/isagen

// Inst is a decoded instruction. Immediates are ready for use: masks as masks,
// branch offsets and addresses in bytes, shifted and scaled as the word says.
//
// Register numbers are 0…31; what 31 means is a matter of the operand: the
// stack pointer for the base of a load or store, for Rn of ADD, ADDS, SUB and
// SUBS (immediate, extended) and for Rd of their forms that set no flags and of
// AND, ORR and EOR (immediate); elsewhere the zero register. Fields that an
// encoding has no use for are zero.
type Inst struct {
	// Imm is, by group:
	//   - arithmetic: the shifted immediate; CCMN, CCMP: 0…31;
	//   - AND, ORR, EOR, ANDS: the mask, in 32 bits if !Sf;
	//   - MOVZ, MOVN: the value that Rd gets, in 32 bits if !Sf; MOVK: the 16
	//     bits in their place, which is Amount bits up;
	//   - SBFM, BFM, UBFM: the bits of Rd that come from Rn (see Shr);
	//   - ADR, branches, literals: bytes from this instruction; ADRP: bytes from
	//     the start of this instruction's 4 KiB page;
	//   - loads and stores: the offset in bytes, also for the writeback;
	//   - SVC, HVC, SMC, BRK, HLT, DCPSn: the 16 bits for the syndrome;
	//   - HINT: its number; barriers, CLREX, MSR (immediate): CRm.
	Imm  int64
	Word uint32 // the instruction itself
	Op   Op
	// Sys is the register of MRS and MSR, or the operation of SYS and SYSL.
	Sys SysReg
	// Rd is the destination, or Rt of loads, stores, branches and system
	// instructions (the value stored by STXR and STXP, the new value of CAS, the
	// loaded value of SWP and LDADD …), or the operation of PRFM.
	Rd uint8
	Rn uint8 // first source, or base address
	// Rm is the second source, or Rs: the status of STXR and STXP; the expected
	// value of CAS, which also gets the old one; the operand of SWP and LDADD ….
	// CASP means Rm, Rm+1 and Rd, Rd+1.
	Rm uint8
	Ra uint8 // third source of MADD …, or Rt2 of pairs
	// Sf says that the operation is on 64 bits, and for loads and stores that Rt
	// is an X register: a Signed load extends to 64 bits if Sf and to 32 if not.
	Sf     bool
	Size   uint8 // log2 of the bytes of the access (of each register of a pair), or of the data of CRC32
	Signed bool  // the load extends the sign
	Shift  Shift // of Rm, by Amount
	// Extend is how Rm is extended before it is shifted left by Amount (ADD, SUB
	// extended; register offsets).
	Extend Extend
	// Amount is how far Rm is shifted; lsb for EXTR; the bit for TBZ and TBNZ;
	// the left shift for SBFM, BFM and UBFM; 16 hw for MOVZ, MOVN, MOVK.
	Amount uint8
	// Shr is the right shift of SBFM, BFM and UBFM. With Rn in 64 bits, SBFM is
	// Rn << Amount >> Shr, arithmetically, UBFM the same, logically, and BFM is
	// Rd &^ Imm | UBFM & Imm; all in the low 32 bits if !Sf.
	Shr  uint8
	Cond Cond  // of B.cond, CSEL …, CCMP …
	NZCV uint8 // the flags that CCMN and CCMP set if Cond fails: N 8, Z 4, C 2, V 1
	Acq  bool  // the load acquires (LDAPR and LDAPUR: RCpc)
	Rel  bool  // the store releases
}

// Op is an encoding of a64.txt; 0 is none.
type Op uint16

func (op Op) String() string {
	if op == 0 || op >= NumOps {
		return "UNDEFINED"
	}
	return opNames[op]
}

// Class returns what resources the encoding takes.
func (op Op) Class() Class {
	if op >= NumOps {
		return 0
	}
	return opClasses[op]
}

// Class groups encodings by the resources of a core that they take.
type Class uint8

// The classes. Atomics are CAS, CASP, SWP and the LD… of LSE; MUL has the
// multiplications and CRC32, which share a pipe on N1.
const (
	ClassALU Class = iota + 1
	ClassMUL
	ClassDIV
	ClassLOAD
	ClassSTORE
	ClassBRANCH
	ClassSYS
	ClassBARRIER
	ClassATOMIC
)

// Shift is how a register operand is shifted.
type Shift uint8

// The shifts, as they are encoded.
const (
	LSL Shift = iota
	LSR
	ASR
	ROR
)

// Extend is how a register operand is extended.
type Extend uint8

// The extensions, as they are encoded: the low bits that count, then the sign.
const (
	UXTB Extend = iota
	UXTH
	UXTW
	UXTX
	SXTB
	SXTH
	SXTW
	SXTX
)

// Cond is a condition on NZCV.
type Cond uint8

// The conditions, as they are encoded; NV is always true too (C1.2.4).
const (
	EQ Cond = iota
	NE
	CS
	CC
	MI
	PL
	VS
	VC
	HI
	LS
	GE
	LT
	GT
	LE
	AL
	NV
)

// SysReg is a system register or operation: op0, op1, CRn, CRm and op2 in bits
// 15…14, 13…11, 10…7, 6…3 and 2…0. op0 is 2 or 3 for registers, 1 for SYS.
type SysReg uint16

// Sys returns the register or operation of the five numbers.
func Sys(op0, op1, crn, crm, op2 uint8) SysReg {
	return SysReg(op0&3)<<14 | SysReg(op1&7)<<11 | SysReg(crn&15)<<7 | SysReg(crm&15)<<3 | SysReg(op2&7)
}

// node says which bits of a word decide after bits 31…21.
type node struct {
	base  uint16 // in level2
	shift uint8
	mask  uint8
}

// candidate is an encoding that a word may be of.
type candidate struct {
	mask, match uint32
	op          Op
	form        uint8
	more        bool // another candidate follows
}

// Decode returns the instruction of a word, or, if it is UNDEFINED, one of which
// only Word is set, and false. Words
// whose effect is CONSTRAINED UNPREDICTABLE by their choice of registers (a
// writeback to a loaded register, say) decode like any other.
func Decode(word uint32) (in Inst, ok bool) {
	n := &nodes[level1[word>>21]]
	at := level2[uint32(n.base)+word>>(n.shift&31)&uint32(n.mask)]
	for c := &candidates[at]; ; c = &candidates[at] {
		if word&c.mask == c.match {
			if in.Word, in.Op = word, c.op; in.fill(c.form, word) {
				return in, true
			}
			return Inst{Word: word}, false
		}
		if !c.more {
			return Inst{Word: word}, false
		}
		at++
	}
}

// sext extends the sign of a number of so many bits.
func sext(x uint32, bits int) int64 { return int64(int32(x<<(32-bits)) >> (32 - bits)) }

// bitmask returns the immediate of a logical instruction, or 0 if the fields
// are reserved (DecodeBitMasks).
func bitmask(sf, n, immr, imms uint32) uint64 {
	pattern := n<<6 | (imms ^ 0x3f)
	if n > sf || pattern < 2 {
		return 0
	}
	size := uint32(1) << (mathbits.Len32(pattern) - 1) // of the element that repeats
	ones := imms&(size-1) + 1
	if ones == size {
		return 0
	}
	element := uint64(1)<<ones - 1
	if r := immr & (size - 1); r != 0 {
		element = element>>r | element<<(size-r)
	}
	element &= ^uint64(0) >> (64 - size)
	for ; size < 64; size *= 2 {
		element |= element << size
	}
	return element & (^uint64(0) >> (32 - 32*sf))
}

// movn returns the value of MOVN.
func movn(sf, imm16, hw uint32) uint64 {
	return ^(uint64(imm16) << (16 * hw)) & (^uint64(0) >> (32 - 32*sf))
}

// bitfieldShr returns how far a bit field is shifted right after its highest bit
// has been shifted up to bit 63.
func bitfieldShr(sf, immr, imms uint32) uint32 {
	if imms >= immr {
		return 63 - (imms - immr)
	}
	return 63 - (32 + 32*sf - immr + imms)
}

// bitfieldMask returns the bits of the destination that a bit field covers.
func bitfieldMask(sf, immr, imms uint32) uint64 {
	if imms >= immr {
		return ^uint64(0) >> (63 - (imms - immr))
	}
	return ^uint64(0) >> (63 - imms) << (32 + 32*sf - immr)
}
