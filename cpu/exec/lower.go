package exec

import (
	"math/bits"

	"ringmap/cpu/isa"
)

// lower makes the uop of an instruction and reports whether its block ends here.
func lower(u *uop, in *isa.Inst) (last bool) {
	u.imm = uint64(in.Imm)
	u.rd, u.rn, u.rm, u.ra = in.Rd, source(in.Rn), source(in.Rm), source(in.Ra)
	u.amt, u.mode, u.nzcv, u.cond = in.Amount, uint8(in.Shift), in.NZCV, condValues[in.Cond&15]
	u.size = 1 << (in.Size & 3)
	x := 1
	if in.Sf {
		x = 0
	}
	if s := &simdOps[in.Op]; s.do != nil {
		lowerSIMD(u, in, s)
		return false
	}
	switch in.Op.Class() {
	case isa.ClassLOAD, isa.ClassSTORE, isa.ClassATOMIC:
		lowerAccess(u, in)
		return false
	case isa.ClassBRANCH:
		lowerBranch(u, in, x)
		return true
	case isa.ClassALU, isa.ClassMUL, isa.ClassDIV:
		u.rd = destination(in.Rd)
		lowerData(u, in, x)
	default:
		lowerSystem(u, in)
	}
	if u.do == nil {
		u.do = system
		return true
	}
	return false
}

// lowerSIMD keeps the numbers of SIMD registers, of which 31 is one.
func lowerSIMD(u *uop, in *isa.Inst, s *simdOp) {
	u.do, u.rm = s.do, in.Rm
	u.rd, u.rn = in.Rd, in.Rn
	if s.toGen {
		u.rd = destination(in.Rd)
	}
	if s.general {
		u.rn = source(in.Rn)
	}
}

// source is a register that is read: 31 is zero.
func source(r uint8) uint8 {
	if r == 31 {
		return zr
	}
	return r
}

// destination is a register that is written: 31 is nowhere.
func destination(r uint8) uint8 {
	if r == 31 {
		return sink
	}
	return r
}

// usesMemory reports whether Rn is a base, for which SP must be aligned.
func usesMemory(in *isa.Inst) bool {
	switch in.Op {
	case isa.LDRlit, isa.LDRSWlit, isa.LDRVlit, isa.PRFMlit, isa.PRFMoff, isa.PRFMreg, isa.PRFUM:
		return false
	}
	c := in.Op.Class()
	return c == isa.ClassLOAD || c == isa.ClassSTORE || c == isa.ClassATOMIC
}

// dataOps are the data-processing operations whose operands need no more said.
var dataOps = [isa.NumOps][2]do{
	isa.MOVN: {opMOV, opMOV}, isa.MOVZ: {opMOV, opMOV}, isa.MOVK: opMOVK,
	isa.SBFM: opSBFM, isa.BFM: opBFM, isa.UBFM: {opUBFM, opUBFM}, isa.EXTR: opEXTR,
	isa.ANDSimm: opANDSimm,
	isa.ADC:     opADC, isa.ADCS: opADCS, isa.SBC: opSBC, isa.SBCS: opSBCS,
	isa.CCMNreg: opCCMNreg, isa.CCMNimm: opCCMNimm, isa.CCMPreg: opCCMPreg, isa.CCMPimm: opCCMPimm,
	isa.CSEL: opCSEL, isa.CSINC: opCSINC, isa.CSINV: opCSINV, isa.CSNEG: opCSNEG,
	isa.UDIV: opUDIV, isa.SDIV: opSDIV,
	isa.LSLV: opVar, isa.LSRV: opVar, isa.ASRV: opVar, isa.RORV: opVar,
	isa.CRC32: {opCRC32, opCRC32}, isa.CRC32C: {opCRC32C, opCRC32C},
	isa.RBIT: opRBIT, isa.REV16: opREV16, isa.REV32: opREV32, isa.REV64: {opREV64, opREV64},
	isa.CLZ: opCLZ, isa.CLS: opCLS,
	isa.MADD: opMADD, isa.MSUB: opMSUB,
	isa.SMADDL: {opSMADDL}, isa.SMSUBL: {opSMSUBL}, isa.UMADDL: {opUMADDL}, isa.UMSUBL: {opUMSUBL},
	isa.SMULH: {opSMULH}, isa.UMULH: {opUMULH},
	isa.ANDSreg: opANDSreg, isa.BICS: opBICS,
	isa.BIC: opBIC, isa.ORN: opORN, isa.EON: opEON,
	isa.ADDSreg: opADDSshifted,
}

// shiftedOps have a plain form for a register that is not shifted.
var shiftedOps = [isa.NumOps]struct{ plain, shifted [2]do }{
	isa.ANDreg:  {opANDreg, opANDshifted},
	isa.ORRreg:  {opORRreg, opORRshifted},
	isa.EORreg:  {opEORreg, opEORshifted},
	isa.ADDreg:  {opADDreg, opADDshifted},
	isa.SUBreg:  {opSUBreg, opSUBshifted},
	isa.SUBSreg: {opSUBSreg, opSUBSshifted},
}

// stackOps take SP for 31: as Rn, and as Rd unless they set flags.
var stackOps = [isa.NumOps]struct {
	do    [2]do
	flags bool
}{
	isa.ADDimm:  {do: opADDimm},
	isa.SUBimm:  {do: opSUBimm},
	isa.ADDext:  {do: opADDext},
	isa.SUBext:  {do: opSUBext},
	isa.ADDSimm: {opADDSimm, true},
	isa.SUBSimm: {opSUBSimm, true},
	isa.ADDSext: {opADDSext, true},
	isa.SUBSext: {opSUBSext, true},
}

func lowerData(u *uop, in *isa.Inst, x int) {
	switch in.Op {
	case isa.ADR:
		u.do, u.imm = opADR, u.imm+uint64(u.off)
	case isa.ADRP:
		u.do = opADR
	case isa.ANDimm:
		u.do, u.rd = opANDimm, in.Rd
	case isa.ORRimm:
		u.do, u.rd = opORRimm[x], in.Rd
	case isa.EORimm:
		u.do, u.rd = opEORimm[x], in.Rd
	case isa.NOP:
		u.do = nop
	case isa.HINT:
		if in.Imm != HintMeasure && in.Imm != HintSkip { // system else
			u.do = nop
		}
	case isa.SBFM, isa.BFM, isa.UBFM:
		u.do, u.size = dataOps[in.Op][x], in.Shr
	case isa.LSLV, isa.LSRV, isa.ASRV, isa.RORV:
		u.do, u.mode = opVar[x], uint8(in.Op-isa.LSLV)
	default:
		if s := &stackOps[in.Op]; s.do[x] != nil {
			u.do, u.rn, u.mode = s.do[x], in.Rn, uint8(in.Extend)
			if !s.flags {
				u.rd = in.Rd
			}
			return
		}
		if s := &shiftedOps[in.Op]; s.plain[x] != nil {
			u.do = s.shifted[x]
			if in.Amount == 0 { // of every kind: the register itself
				u.do = s.plain[x]
				if in.Op == isa.ORRreg && in.Rn == 31 {
					u.do = opCopy[x]
				}
			}
			return
		}
		u.do = dataOps[in.Op][x]
	}
}

// lowerBranch makes targets relative to the page.
func lowerBranch(u *uop, in *isa.Inst, x int) {
	u.imm += uint64(u.off)
	u.rd = source(in.Rd)
	switch in.Op {
	case isa.B:
		u.do = opB
	case isa.BL:
		u.do = opBL
	case isa.Bcond:
		u.do = opBcond
	case isa.CBZ:
		u.do = opCBZ[x]
	case isa.CBNZ:
		u.do = opCBNZ[x]
	case isa.TBZ:
		u.do = opTBZ
	case isa.TBNZ:
		u.do = opTBNZ
	case isa.BR, isa.RET:
		u.do = opBR
	case isa.BLR:
		u.do = opBLR
	default:
		u.do = system
	}
}

// fusedOps are what becomes of an operation that a conditional branch follows.
var fusedOps = [isa.NumOps][2]do{
	isa.SUBSimm: fusedSUBSimm,
	isa.SUBSreg: fusedSUBSreg,
	isa.ANDSimm: fusedANDSimm,
}

// loadOps and storeOps are the accesses of one register.
var loadOps = [isa.NumOps]do{
	isa.LDRBoff: opLoad, isa.LDRSBoff: opLoad, isa.LDRHoff: opLoad, isa.LDRSHoff: opLoad, isa.LDRoff: opLoad, isa.LDRSWoff: opLoad,
	isa.LDURB: opLoad, isa.LDURSB: opLoad, isa.LDURH: opLoad, isa.LDURSH: opLoad, isa.LDUR: opLoad, isa.LDURSW: opLoad,
	isa.LDTRB: opLoadUser, isa.LDTRSB: opLoadUser, isa.LDTRH: opLoadUser, isa.LDTRSH: opLoadUser, isa.LDTR: opLoadUser, isa.LDTRSW: opLoadUser,
	isa.LDRBpost: opLoadPost, isa.LDRSBpost: opLoadPost, isa.LDRHpost: opLoadPost, isa.LDRSHpost: opLoadPost, isa.LDRpost: opLoadPost, isa.LDRSWpost: opLoadPost,
	isa.LDRBpre: opLoadPre, isa.LDRSBpre: opLoadPre, isa.LDRHpre: opLoadPre, isa.LDRSHpre: opLoadPre, isa.LDRpre: opLoadPre, isa.LDRSWpre: opLoadPre,
	isa.LDRBreg: opLoadReg, isa.LDRSBreg: opLoadReg, isa.LDRHreg: opLoadReg, isa.LDRSHreg: opLoadReg, isa.LDRreg: opLoadReg, isa.LDRSWreg: opLoadReg,
	isa.LDRlit: opLoadLit, isa.LDRSWlit: opLoadLit,
	isa.LDAR: opLoadAcquire, isa.LDLAR: opLoadAcquire, isa.LDAPR: opLoadAcquire,
	isa.LDAPURB: opLoadAcquire, isa.LDAPURSB: opLoadAcquire, isa.LDAPURH: opLoadAcquire, isa.LDAPURSH: opLoadAcquire, isa.LDAPUR: opLoadAcquire, isa.LDAPURSW: opLoadAcquire,
	isa.LDNP: opLoadPair, isa.LDPoff: opLoadPair, isa.LDPSWoff: opLoadPair,
	isa.LDPpre: opLoadPairPre, isa.LDPSWpre: opLoadPairPre, isa.LDPpost: opLoadPairPost, isa.LDPSWpost: opLoadPairPost,
	isa.LDXR: opLDXR, isa.LDAXR: opLDXR, isa.LDXP: opLDXP, isa.LDAXP: opLDXP,
	isa.PRFMlit: nop, isa.PRFMoff: nop, isa.PRFMreg: nop, isa.PRFUM: nop,
	isa.LDADD: opLDADD, isa.LDCLR: opLDCLR, isa.LDEOR: opLDEOR, isa.LDSET: opLDSET, isa.SWP: opSWP,
	isa.LDSMAX: opLDSMAX, isa.LDSMIN: opLDSMIN, isa.LDUMAX: opLDUMAX, isa.LDUMIN: opLDUMIN,
}

var storeOps = [isa.NumOps]do{
	isa.STRBoff: opStore, isa.STRHoff: opStore, isa.STRoff: opStore,
	isa.STURB: opStore, isa.STURH: opStore, isa.STUR: opStore,
	isa.STTRB: opStoreUser, isa.STTRH: opStoreUser, isa.STTR: opStoreUser,
	isa.STRBpost: opStorePost, isa.STRHpost: opStorePost, isa.STRpost: opStorePost,
	isa.STRBpre: opStorePre, isa.STRHpre: opStorePre, isa.STRpre: opStorePre,
	isa.STRBreg: opStoreReg, isa.STRHreg: opStoreReg, isa.STRreg: opStoreReg,
	isa.STLR: opStoreRelease, isa.STLLR: opStoreRelease, isa.STLURB: opStoreRelease, isa.STLURH: opStoreRelease, isa.STLUR: opStoreRelease,
	isa.STNP: opStorePair, isa.STPoff: opStorePair, isa.STPpre: opStorePairPre, isa.STPpost: opStorePairPost,
	isa.STXR: opSTXR, isa.STLXR: opSTXR, isa.STXP: opSTXP, isa.STLXP: opSTXP,
	isa.CAS: opCAS, isa.CASP: opCASP,
}

func lowerAccess(u *uop, in *isa.Inst) {
	u.rn = in.Rn
	u.mode = zeroExtend
	if in.Signed {
		u.mode = signExtend32
		if in.Sf {
			u.mode = signExtend64
		}
	}
	u.cond = indexX
	switch in.Extend {
	case isa.UXTW:
		u.cond = indexUXTW
	case isa.SXTW:
		u.cond = indexSXTW
	}
	switch in.Op {
	case isa.STXR, isa.STLXR, isa.STXP, isa.STLXP:
		u.rm = destination(in.Rm)
	case isa.LDRlit, isa.LDRSWlit, isa.LDRVlit:
		u.imm += uint64(u.off)
	}
	if v := vectorOps[in.Op]; v != nil {
		u.do, u.rd, u.ra, u.size = v, in.Rd, in.Ra, 1<<in.Size
		switch in.Op {
		case isa.LD1x1, isa.LD1x1post, isa.ST1x1, isa.ST1x1post:
			u.imm = 1
		case isa.LD1x2, isa.ST1x2:
			u.imm = 2
		}
		return
	}
	if u.do = loadOps[in.Op]; u.do != nil {
		u.rd, u.ra = destination(in.Rd), destination(in.Ra)
		if u.mode == zeroExtend {
			specialise(u, in.Op, &quickLoads)
		}
		return
	}
	u.rd, u.do = source(in.Rd), storeOps[in.Op]
	specialise(u, in.Op, &quickStores)
}

// quick are the uops of an operation by log2 of its size.
type quick struct{ plain, index [4]do }

var (
	quickLoads  = quick{[4]do{opLoad8, nil, opLoad32, opLoad64}, [4]do{opLoadX8, nil, opLoadX32, opLoadX64}}
	quickStores = quick{[4]do{opStore8, nil, opStore32, opStore64}, [4]do{nil, nil, opStoreX32, opStoreX64}}
)

// specialise takes the uop for the access's size, if there is one.
func specialise(u *uop, op isa.Op, q *quick) {
	size := bits.TrailingZeros8(u.size) & 3
	var special do
	switch op {
	case isa.LDRBoff, isa.LDRoff, isa.LDURB, isa.LDUR, isa.STRBoff, isa.STRoff, isa.STURB, isa.STUR:
		special = q.plain[size]
	case isa.LDRBreg, isa.LDRreg, isa.STRBreg, isa.STRreg:
		if u.cond == indexX {
			special = q.index[size]
		}
	}
	if special != nil {
		u.do = special
	}
}
