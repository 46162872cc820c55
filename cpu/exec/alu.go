package exec

import (
	"math/bits"

	"ringmap/cpu/isa"
)

// addWithCarry is the manual's AddWithCarry in 64 bits.
func addWithCarry(a, b, carry uint64) (r uint64, nzcv uint8) {
	r, c := bits.Add64(a, b, carry)
	return r, uint8(r>>60&8 | isZero(r)<<2 | c<<1 | (a^r)&(b^r)>>63)
}

// addWithCarry32 is the same in 32 bits.
func addWithCarry32(a, b, carry uint64) (uint64, uint8) {
	sum := a&mask32 + b&mask32 + carry
	r := sum & mask32
	return r, uint8(r>>28&8 | isZero(r)<<2 | sum>>32<<1 | ((a^r)&(b^r))>>31&1)
}

// subtract is a - b with the flags of SUBS.
func subtract(a, b uint64) (r uint64, nzcv uint8) {
	r, borrow := bits.Sub64(a, b, 0)
	return r, uint8(r>>60&8 | isZero(r)<<2 | (borrow^1)<<1 | ((a^b)&(a^r))>>63)
}

// subtract32 is the same in 32 bits: those of the upper halves.
func subtract32(a, b uint64) (uint64, uint8) {
	r, nzcv := subtract(a<<32, b<<32)
	return r >> 32, nzcv
}

const mask32 = 1<<32 - 1

func isZero(x uint64) (z uint64) {
	if x == 0 {
		z = 1
	}
	return z
}

// logicFlags are the flags of ANDS and BICS.
func logicFlags(r uint64) uint8   { return uint8(r>>60&8 | isZero(r)<<2) }
func logicFlags32(r uint64) uint8 { return uint8(r>>28&8 | isZero(r)<<2) }

func low(x uint64) uint64 { return uint64(uint32(x)) }

// Operands of a uop.
func (e *Exec) n(u *uop) uint64         { return e.x[u.rn&63] }
func (e *Exec) m(u *uop) uint64         { return e.x[u.rm&63] }
func (e *Exec) a(u *uop) uint64         { return e.x[u.ra&63] }
func (e *Exec) t(u *uop) uint64         { return e.x[u.rd&63] }
func (e *Exec) d(u *uop, v uint64) bool { e.x[u.rd&63] = v; return true }

// w gives the destination the low 32 bits.
func (e *Exec) w(u *uop, v uint64) bool { e.x[u.rd&63] = uint64(uint32(v)); return true }

// flags gives the destination a result and sets the flags.
func (e *Exec) flags(u *uop, r uint64, nzcv uint8) bool {
	e.x[u.rd&63], e.nzcv = r, nzcv
	return true
}

// shifted is the manual's ShiftReg in 64 bits.
func (e *Exec) shifted(u *uop) uint64 { return shift(e.m(u), u.mode, u.amt) }

func shift(x uint64, kind, n uint8) uint64 {
	switch isa.Shift(kind) {
	case isa.LSL:
		return x << (n & 63)
	case isa.LSR:
		return x >> (n & 63)
	case isa.ASR:
		return uint64(int64(x) >> (n & 63))
	}
	return bits.RotateLeft64(x, -int(n))
}

// shifted32 is the same in 32 bits.
func (e *Exec) shifted32(u *uop) uint64 { return shift32(e.m(u), u.mode, u.amt) }

func shift32(v uint64, kind, n uint8) uint64 {
	x := uint32(v)
	switch isa.Shift(kind) {
	case isa.LSL:
		x <<= n & 31
	case isa.LSR:
		x >>= n & 31
	case isa.ASR:
		x = uint32(int32(x) >> (n & 31))
	default:
		x = bits.RotateLeft32(x, -int(n))
	}
	return uint64(x)
}

// extended is the manual's ExtendReg.
func (e *Exec) extended(u *uop) uint64 {
	x := e.m(u)
	switch isa.Extend(u.mode) {
	case isa.UXTB:
		x = uint64(uint8(x))
	case isa.UXTH:
		x = uint64(uint16(x))
	case isa.UXTW:
		x = uint64(uint32(x))
	case isa.SXTB:
		x = uint64(int8(x))
	case isa.SXTH:
		x = uint64(int16(x))
	case isa.SXTW:
		x = uint64(int32(x))
	}
	return x << (u.amt & 63)
}

// holds reports whether the condition of the instruction holds.
func (e *Exec) holds(u *uop) bool { return u.cond>>(e.nzcv&15)&1 != 0 }

// condValues are, for each condition, the values of NZCV for which it holds.
var condValues = func() (table [16]uint16) {
	for nzcv := range 16 {
		n, z, c, v := nzcv>>3&1 != 0, nzcv>>2&1 != 0, nzcv>>1&1 != 0, nzcv&1 != 0
		for pair, holds := range [8]bool{z, c, n, v, c && !z, n == v, n == v && !z, true} {
			if holds {
				table[2*pair] |= 1 << nzcv
			}
			if !holds || pair == 7 {
				table[2*pair+1] |= 1 << nzcv
			}
		}
	}
	return table
}()

type do = func(e *Exec, u *uop) bool

// Data processing: in 64 bits, in 32 bits.
var (
	opADR  = do(func(e *Exec, u *uop) bool { return e.d(u, e.base+u.imm) })
	opMOV  = do(func(e *Exec, u *uop) bool { return e.d(u, u.imm) })
	opMOVK = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.t(u)&^(0xffff<<(u.amt&63))|u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.t(u)&^(0xffff<<(u.amt&63))|u.imm) },
	}
	opCopy = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.m(u)) },
	}

	opADDimm = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+u.imm) },
	}
	opSUBimm = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)-u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)-u.imm) },
	}
	opADDSimm = [2]do{
		func(e *Exec, u *uop) bool { r, f := addWithCarry(e.n(u), u.imm, 0); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := addWithCarry32(e.n(u), u.imm, 0); return e.flags(u, r, f) },
	}
	opSUBSimm = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), u.imm); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), u.imm); return e.flags(u, r, f) },
	}

	opADDreg = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+e.m(u)) },
	}
	opSUBreg = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)-e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)-e.m(u)) },
	}
	opSUBSreg = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), e.m(u)); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), e.m(u)); return e.flags(u, r, f) },
	}
	opADDshifted = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+e.shifted32(u)) },
	}
	opSUBshifted = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)-e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)-e.shifted32(u)) },
	}
	opADDSshifted = [2]do{
		func(e *Exec, u *uop) bool { r, f := addWithCarry(e.n(u), e.shifted(u), 0); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := addWithCarry32(e.n(u), e.shifted32(u), 0); return e.flags(u, r, f) },
	}
	opSUBSshifted = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), e.shifted(u)); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), e.shifted32(u)); return e.flags(u, r, f) },
	}
	opADDext = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+e.extended(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+e.extended(u)) },
	}
	opSUBext = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)-e.extended(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)-e.extended(u)) },
	}
	opADDSext = [2]do{
		func(e *Exec, u *uop) bool { r, f := addWithCarry(e.n(u), e.extended(u), 0); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := addWithCarry32(e.n(u), e.extended(u), 0); return e.flags(u, r, f) },
	}
	opSUBSext = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), e.extended(u)); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), e.extended(u)); return e.flags(u, r, f) },
	}

	opADC = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+e.m(u)+e.carry()) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+e.m(u)+e.carry()) },
	}
	opSBC = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)+^e.m(u)+e.carry()) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)+^e.m(u)+e.carry()) },
	}
	opADCS = [2]do{
		func(e *Exec, u *uop) bool { r, f := addWithCarry(e.n(u), e.m(u), e.carry()); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := addWithCarry32(e.n(u), e.m(u), e.carry()); return e.flags(u, r, f) },
	}
	opSBCS = [2]do{
		func(e *Exec, u *uop) bool { r, f := addWithCarry(e.n(u), ^e.m(u), e.carry()); return e.flags(u, r, f) },
		func(e *Exec, u *uop) bool {
			r, f := addWithCarry32(e.n(u), ^e.m(u), e.carry())
			return e.flags(u, r, f)
		},
	}
)

func (e *Exec) carry() uint64 { return uint64(e.nzcv >> 1 & 1) }

// Logic. Masks of 32-bit forms have no bits above 31.
var (
	opANDimm = do(func(e *Exec, u *uop) bool { return e.d(u, e.n(u)&u.imm) })
	opORRimm = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)|u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)|u.imm) },
	}
	opEORimm = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)^u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)^u.imm) },
	}
	opANDSimm = [2]do{
		func(e *Exec, u *uop) bool { r := e.n(u) & u.imm; return e.flags(u, r, logicFlags(r)) },
		func(e *Exec, u *uop) bool { r := e.n(u) & u.imm; return e.flags(u, r, logicFlags32(r)) },
	}
	opANDreg = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)&e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)&e.m(u)) },
	}
	opORRreg = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)|e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)|e.m(u)) },
	}
	opEORreg = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)^e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)^e.m(u)) },
	}
	opANDshifted = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)&e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)&e.shifted32(u)) },
	}
	opBIC = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)&^e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)&^e.shifted32(u)) },
	}
	opORRshifted = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)|e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)|e.shifted32(u)) },
	}
	opORN = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)|^e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)|^e.shifted32(u)) },
	}
	opEORshifted = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)^e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)^e.shifted32(u)) },
	}
	opEON = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.n(u)^^e.shifted(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.n(u)^^e.shifted32(u)) },
	}
	opANDSreg = [2]do{
		func(e *Exec, u *uop) bool { r := e.n(u) & e.shifted(u); return e.flags(u, r, logicFlags(r)) },
		func(e *Exec, u *uop) bool { r := low(e.n(u) & e.shifted32(u)); return e.flags(u, r, logicFlags32(r)) },
	}
	opBICS = [2]do{
		func(e *Exec, u *uop) bool { r := e.n(u) &^ e.shifted(u); return e.flags(u, r, logicFlags(r)) },
		func(e *Exec, u *uop) bool { r := low(e.n(u) &^ e.shifted32(u)); return e.flags(u, r, logicFlags32(r)) },
	}
)

// Bit fields (see isa.Inst.Shr), shifts by registers, and bits.
var (
	opUBFM = do(func(e *Exec, u *uop) bool { return e.d(u, e.field(u)) })
	opSBFM = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, uint64(int64(e.n(u)<<(u.amt&63))>>(u.size&63))) },
		func(e *Exec, u *uop) bool { return e.w(u, uint64(int64(e.n(u)<<(u.amt&63))>>(u.size&63))) },
	}
	opBFM = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.t(u)&^u.imm|e.field(u)&u.imm) },
		func(e *Exec, u *uop) bool { return e.w(u, e.t(u)&^u.imm|e.field(u)&u.imm) },
	}
	opEXTR = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.m(u)>>(u.amt&63)|e.n(u)<<(64-u.amt)) },
		func(e *Exec, u *uop) bool { return e.w(u, (low(e.m(u))|e.n(u)<<32)>>(u.amt&31)) },
	}
	opVar = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, shift(e.n(u), u.mode, uint8(e.m(u)&63))) },
		func(e *Exec, u *uop) bool { return e.d(u, shift32(e.n(u), u.mode, uint8(e.m(u)&31))) },
	}
	opRBIT = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, bits.Reverse64(e.n(u))) },
		func(e *Exec, u *uop) bool { return e.d(u, uint64(bits.Reverse32(uint32(e.n(u))))) },
	}
	opREV16 = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, rev16(e.n(u))) },
		func(e *Exec, u *uop) bool { return e.w(u, rev16(e.n(u))) },
	}
	opREV32 = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, bits.RotateLeft64(bits.ReverseBytes64(e.n(u)), 32)) },
		func(e *Exec, u *uop) bool { return e.d(u, uint64(bits.ReverseBytes32(uint32(e.n(u))))) },
	}
	opREV64 = do(func(e *Exec, u *uop) bool { return e.d(u, bits.ReverseBytes64(e.n(u))) })
	opCLZ   = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, uint64(bits.LeadingZeros64(e.n(u)))) },
		func(e *Exec, u *uop) bool { return e.d(u, uint64(bits.LeadingZeros32(uint32(e.n(u))))) },
	}
	opCLS = [2]do{
		func(e *Exec, u *uop) bool { x := e.n(u); return e.d(u, uint64(bits.LeadingZeros64((x^x<<1)|1))) },
		func(e *Exec, u *uop) bool {
			x := uint32(e.n(u))
			return e.d(u, uint64(bits.LeadingZeros32((x^x<<1)|1)))
		},
	}
)

func (e *Exec) field(u *uop) uint64 { return e.n(u) << (u.amt & 63) >> (u.size & 63) }

func rev16(x uint64) uint64 {
	const even = 0x00ff00ff00ff00ff
	return x>>8&even | x&even<<8
}

// Conditions.
var (
	opCSEL  = [2]do{chooseX(func(m uint64) uint64 { return m }), chooseW(func(m uint64) uint64 { return m })}
	opCSINC = [2]do{chooseX(func(m uint64) uint64 { return m + 1 }), chooseW(func(m uint64) uint64 { return m + 1 })}
	opCSINV = [2]do{chooseX(func(m uint64) uint64 { return ^m }), chooseW(func(m uint64) uint64 { return ^m })}
	opCSNEG = [2]do{chooseX(func(m uint64) uint64 { return -m }), chooseW(func(m uint64) uint64 { return -m })}

	opCCMNreg = [2]do{
		func(e *Exec, u *uop) bool { _, f := addWithCarry(e.n(u), e.m(u), 0); return e.ifHolds(u, f) },
		func(e *Exec, u *uop) bool { _, f := addWithCarry32(e.n(u), e.m(u), 0); return e.ifHolds(u, f) },
	}
	opCCMNimm = [2]do{
		func(e *Exec, u *uop) bool { _, f := addWithCarry(e.n(u), u.imm, 0); return e.ifHolds(u, f) },
		func(e *Exec, u *uop) bool { _, f := addWithCarry32(e.n(u), u.imm, 0); return e.ifHolds(u, f) },
	}
	opCCMPreg = [2]do{
		func(e *Exec, u *uop) bool { _, f := subtract(e.n(u), e.m(u)); return e.ifHolds(u, f) },
		func(e *Exec, u *uop) bool { _, f := subtract32(e.n(u), e.m(u)); return e.ifHolds(u, f) },
	}
	opCCMPimm = [2]do{
		func(e *Exec, u *uop) bool { _, f := subtract(e.n(u), u.imm); return e.ifHolds(u, f) },
		func(e *Exec, u *uop) bool { _, f := subtract32(e.n(u), u.imm); return e.ifHolds(u, f) },
	}
)

// chooseX gives Rn if the condition holds, otherwise what is made of Rm.
func chooseX(other func(m uint64) uint64) do {
	return func(e *Exec, u *uop) bool {
		if e.holds(u) {
			return e.d(u, e.n(u))
		}
		return e.d(u, other(e.m(u)))
	}
}

func chooseW(other func(m uint64) uint64) do {
	return func(e *Exec, u *uop) bool {
		if e.holds(u) {
			return e.w(u, e.n(u))
		}
		return e.w(u, other(e.m(u)))
	}
}

// ifHolds sets the flags of a conditional comparison.
func (e *Exec) ifHolds(u *uop, nzcv uint8) bool {
	if !e.holds(u) {
		nzcv = u.nzcv
	}
	e.nzcv = nzcv
	return true
}

// Multiplication and division. A division by zero gives zero.
var (
	opMADD = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.a(u)+e.n(u)*e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.a(u)+e.n(u)*e.m(u)) },
	}
	opMSUB = [2]do{
		func(e *Exec, u *uop) bool { return e.d(u, e.a(u)-e.n(u)*e.m(u)) },
		func(e *Exec, u *uop) bool { return e.w(u, e.a(u)-e.n(u)*e.m(u)) },
	}
	opSMADDL = do(func(e *Exec, u *uop) bool { return e.d(u, e.a(u)+uint64(int64(int32(e.n(u)))*int64(int32(e.m(u))))) })
	opSMSUBL = do(func(e *Exec, u *uop) bool { return e.d(u, e.a(u)-uint64(int64(int32(e.n(u)))*int64(int32(e.m(u))))) })
	opUMADDL = do(func(e *Exec, u *uop) bool { return e.d(u, e.a(u)+low(e.n(u))*low(e.m(u))) })
	opUMSUBL = do(func(e *Exec, u *uop) bool { return e.d(u, e.a(u)-low(e.n(u))*low(e.m(u))) })
	opUMULH  = do(func(e *Exec, u *uop) bool { hi, _ := bits.Mul64(e.n(u), e.m(u)); return e.d(u, hi) })
	opSMULH  = do(func(e *Exec, u *uop) bool {
		n, m := e.n(u), e.m(u)
		hi, _ := bits.Mul64(n, m)
		return e.d(u, hi-uint64(int64(n)>>63)&m-uint64(int64(m)>>63)&n)
	})
	opUDIV = [2]do{
		func(e *Exec, u *uop) bool {
			if m := e.m(u); m != 0 {
				return e.d(u, e.n(u)/m)
			}
			return e.d(u, 0)
		},
		func(e *Exec, u *uop) bool {
			if m := low(e.m(u)); m != 0 {
				return e.d(u, low(e.n(u))/m)
			}
			return e.d(u, 0)
		},
	}
	opSDIV = [2]do{ // Go, too, gives the lowest number for its quotient by -1
		func(e *Exec, u *uop) bool {
			if m := int64(e.m(u)); m != 0 {
				return e.d(u, uint64(int64(e.n(u))/m))
			}
			return e.d(u, 0)
		},
		func(e *Exec, u *uop) bool {
			if m := int64(int32(e.m(u))); m != 0 {
				return e.w(u, uint64(int64(int32(e.n(u)))/m))
			}
			return e.d(u, 0)
		},
	}
	opCRC32  = do(func(e *Exec, u *uop) bool { return e.d(u, crc(&crcIEEE, e.n(u), e.m(u), u.size)) })
	opCRC32C = do(func(e *Exec, u *uop) bool { return e.d(u, crc(&crcCastagnoli, e.n(u), e.m(u), u.size)) })
)

// crc is one step of CRC32 over size bytes of data, without the inversions that
// a checksum begins and ends with.
func crc(table *[256]uint32, acc, data uint64, size uint8) uint64 {
	c := uint32(acc)
	for range size {
		c = table[uint8(c)^uint8(data)] ^ c>>8
		data >>= 8
	}
	return uint64(c)
}

var crcIEEE, crcCastagnoli = crcTable(0xedb88320), crcTable(0x82f63b78)

// crcTable is by the byte that leaves; poly's bits are reversed.
func crcTable(poly uint32) (t [256]uint32) {
	for i := range t {
		c := uint32(i)
		for range 8 {
			c = c>>1 ^ poly&-(c&1)
		}
		t[i] = c
	}
	return t
}
