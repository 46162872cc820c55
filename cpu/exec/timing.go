package exec

import (
	"strings"

	"ringmap/cpu/isa"
	"ringmap/mmu"
)

// timing is what the inorder model knows of a uop: what it reads and writes, and
// when it can issue. There is one for each uop of a block.
type timing struct {
	src   [5]uint8 // registers that must be ready, zr where there are fewer
	dst   [2]uint8 // registers that are ready lat cycles after, sink where there are fewer
	base  uint8    // the base that is written back, ready a cycle after, or sink
	kind  kind
	pipe  pipe
	lat   uint8
	busy  uint8 // cycles until the pipe takes the next
	n     uint8 // instructions: 0 for the check of SP, 2 for a fused pair
	flags timingFlags
}

// kind is what becomes of an instruction once it has issued.
type kind uint8

const (
	kindPlain   kind = iota // a result after lat cycles
	kindNone                // takes no time: part of the next instruction
	kindBranch              // the last of its block
	kindBarrier             // waits for what its flags say
	kindSystem              // the PE's
	kindLoad                // from here on: an access
	kindStore
	kindExclusive // a store whose status is a result
	kindAtomic    // a load and a store in one
)

type timingFlags uint16

const (
	setsFlags   timingFlags = 1 << iota // NZCV is a result
	acquires                            // later accesses wait for it
	acquiresPC                          // the same, but it does not wait for store-releases (LDAPR)
	releases                            // it waits for earlier loads, and is done after earlier stores
	fusedBranch                         // a branch on the flags follows in the same uop
	newLine                             // the first of its line of code
	waitsLoads                          // a barrier that waits for loads
	waitsStores                         // … for the store buffer
	waitsTLBI                           // … and for TLB maintenance
	flushes                             // what follows is fetched anew (ISB, ERET)
	conditional                         // a branch that may not be taken
	call                                // puts a return address on the stack of the predictor
	returns                             // takes one
	indirect                            // a branch to a register
	maintains                           // of caches or TLBs
)

// pipe is what an instruction issues to. N1's two pipes for simple integer
// operations and two for loads and stores never limit a core that issues two.
type pipe uint8

const (
	pipeAny    pipe = iota
	pipeMulti       // multiplications, divisions, shifted operands: one
	pipeBranch      // one
	numPipes
)

// class is a row of the table of latencies.
type class struct {
	pipe      pipe
	lat, busy uint8 // cycles to the result, and to the next in the same pipe
}

// Latencies and pipes of Neoverse N1: Arm Neoverse N1 Software Optimization
// Guide (PJDOC-466751330-9707) section 3, as in LLVM's AArch64SchedNeoverseN1.td.
// A division takes up to these cycles and keeps its pipe for as long (SOG 3.4).
// Issue is in order, at most two in a cycle, as Cortex-A55 does (its Software
// Optimization Guide, section 2.1): N1 itself issues out of order.
var (
	classInt     = class{pipeAny, 1, 1}   // ALU, moves, conditions, bit fields, shifts by registers, reversals
	classShifted = class{pipeMulti, 2, 1} // arithmetic with a shift other than LSL ≤ 4, or an extension; ANDS, BICS shifted; BFM
	classExtract = class{pipeMulti, 3, 1} // EXTR of two registers
	classMul32   = class{pipeMulti, 2, 1} // 32-bit and long multiplications
	classMul64   = class{pipeMulti, 4, 3} // 64-bit multiplications
	classMulHigh = class{pipeMulti, 5, 3} // SMULH, UMULH
	classDiv32   = class{pipeMulti, 12, 12}
	classDiv64   = class{pipeMulti, 20, 20}
	classCRC     = class{pipeMulti, 2, 1}
	classBranch  = class{pipeBranch, 1, 1}
	classSystem  = class{pipeAny, 1, 1} // MRS, MSR, hints, barriers: beside what they wait for
	classStore   = class{pipeAny, 1, 1} // address and data into the store buffer
	classLoad    = class{pipeAny, 0, 1} // the caches say when
	classLoadV   = class{pipeAny, 1, 1} // of SIMD and FP registers, a cycle more
)

// classOf finds the row of an instruction.
func classOf(in *isa.Inst) class {
	switch in.Op.Class() {
	case isa.ClassDIV:
		return pick(in.Sf, classDiv64, classDiv32)
	case isa.ClassBRANCH:
		return classBranch
	case isa.ClassSYS, isa.ClassBARRIER:
		return classSystem
	case isa.ClassSTORE:
		return classStore
	case isa.ClassLOAD, isa.ClassATOMIC:
		return pick(vectorOps[in.Op] != nil, classLoadV, classLoad)
	}
	switch in.Op {
	case isa.MADD, isa.MSUB:
		return pick(in.Sf, classMul64, classMul32)
	case isa.SMADDL, isa.SMSUBL, isa.UMADDL, isa.UMSUBL:
		return classMul32
	case isa.SMULH, isa.UMULH:
		return classMulHigh
	case isa.CRC32, isa.CRC32C:
		return classCRC
	case isa.BFM, isa.ADDext, isa.ADDSext, isa.SUBext, isa.SUBSext:
		return classShifted
	case isa.EXTR:
		return pick(in.Rn == in.Rm, classInt, classExtract)
	case isa.ADDreg, isa.ADDSreg, isa.SUBreg, isa.SUBSreg:
		return pick(in.Shift == isa.LSL && in.Amount <= 4, classInt, classShifted)
	case isa.ANDSreg, isa.BICS:
		return pick(in.Amount == 0, classInt, classShifted)
	}
	return classInt
}

// Instructions that read or write NZCV besides conditional branches.
var (
	flagReaders = []isa.Op{
		isa.ADC, isa.ADCS, isa.SBC, isa.SBCS, isa.CCMNreg, isa.CCMNimm, isa.CCMPreg, isa.CCMPimm,
		isa.CSEL, isa.CSINC, isa.CSINV, isa.CSNEG, isa.Bcond,
	}
	flagWriters = []isa.Op{
		isa.ADDSimm, isa.SUBSimm, isa.ANDSimm, isa.ADDSreg, isa.SUBSreg, isa.ADDSext, isa.SUBSext, isa.ANDSreg, isa.BICS,
		isa.ADCS, isa.SBCS, isa.CCMNreg, isa.CCMNimm, isa.CCMPreg, isa.CCMPimm,
	}
	readsNZCV, writesNZCV = setOf(flagReaders), setOf(flagWriters)
)

func setOf(ops []isa.Op) (set [isa.NumOps]bool) {
	for _, op := range ops {
		set[op] = true
	}
	return set
}

// scheduled returns the timings of a block's uops, from the words that they were
// decoded from.
func (e *Exec) scheduled(b *block) []timing {
	ts := make([]timing, len(b.ops))
	line := -1
	for i := range b.ops {
		u, end := &b.ops[i], b.end
		if i+1 < len(b.ops) {
			end = uint64(b.ops[i+1].off)
		}
		if end == uint64(u.off) { // the check of SP, before the instruction itself
			ts[i] = timing{kind: kindNone, dst: [2]uint8{sink, sink}, base: sink}
			continue
		}
		in, _ := isa.Decode(uint32(e.mem.LoadIn(e.page.frame, e.page.pa+mmu.PA(u.off), 4)))
		ts[i] = timingOf(u, &in)
		if end-uint64(u.off) == 8 {
			ts[i].fuse()
		}
		if at := int(u.off) / lineBytes; at != line {
			ts[i].flags |= newLine
			line = at
		}
	}
	return ts
}

const lineBytes = 64

// timingOf says how the uop of an instruction issues.
func timingOf(u *uop, in *isa.Inst) timing {
	c := classOf(in)
	t := timing{dst: [2]uint8{sink, sink}, base: sink, pipe: c.pipe, lat: c.lat, busy: c.busy, n: 1}
	t.kind = kindOf(in)
	t.operands(u, in)
	t.order(in)
	return t
}

// fuse adds the branch that a comparison's uop has taken in.
func (t *timing) fuse() {
	t.kind, t.n = kindBranch, 2
	t.flags |= fusedBranch | conditional
}

func kindOf(in *isa.Inst) kind {
	switch in.Op {
	case isa.PRFMlit, isa.PRFMoff, isa.PRFMreg, isa.PRFUM: // not performed
		return kindPlain
	case isa.STXR, isa.STLXR, isa.STXP, isa.STLXP:
		return kindExclusive
	}
	switch in.Op.Class() {
	case isa.ClassLOAD:
		return kindLoad
	case isa.ClassSTORE:
		return kindStore
	case isa.ClassATOMIC:
		return kindAtomic
	case isa.ClassBRANCH:
		return kindBranch
	case isa.ClassBARRIER:
		return kindBarrier
	case isa.ClassSYS:
		return kindSystem
	}
	return kindPlain
}

// operands finds the registers that an instruction reads and writes. A register
// field that the encoding does not have reads as 0 in Inst: whether it has one
// shows in another word.
func (t *timing) operands(u *uop, in *isa.Inst) {
	sources := t.src[:0]
	reads := func(r uint8) { sources = append(sources, r) }
	has := func(shift uint, field func(*isa.Inst) uint8) bool {
		other, ok := isa.Decode(in.Word ^ 2<<shift)
		return ok && other.Op == in.Op && field(&other) != field(in)
	}
	if has(5, func(in *isa.Inst) uint8 { return in.Rn }) {
		reads(u.rn)
	}
	rt, rt2 := u.rd, u.ra
	if vectorOps[in.Op] != nil {
		rt, rt2 = vReady+u.rd, vReady+u.ra
	}
	if s := &simdOps[in.Op]; s.do != nil {
		t.operandsSIMD(u, s, has)
		return
	}
	rm := has(16, func(in *isa.Inst) uint8 { return in.Rm })
	ra := has(10, func(in *isa.Inst) uint8 { return in.Ra })
	rd := has(0, func(in *isa.Inst) uint8 { return in.Rd })
	switch t.kind {
	case kindLoad:
		t.dst[0] = rt
		if ra {
			t.dst[1] = rt2
		}
	case kindStore, kindExclusive:
		reads(rt)
		if ra {
			reads(rt2)
		}
		if t.kind == kindExclusive {
			t.dst[0], rm = u.rm, false
		}
	case kindAtomic:
		reads(u.rd)
		t.dst[0] = u.rd
		switch in.Op {
		case isa.CAS:
			t.dst[0] = destination(in.Rm)
		case isa.CASP:
			reads(partner(u.rd))
			reads(partner(u.rm))
			t.dst = [2]uint8{destination(in.Rm), destination(in.Rm + 1)}
		default: // Rt is only written
			sources = sources[:len(sources)-1]
		}
	case kindBranch:
		if rd {
			reads(u.rd)
		}
	case kindSystem:
		if in.Op == isa.MRS || in.Op == isa.SYSL {
			t.dst[0] = u.rd
		} else if rd {
			reads(u.rd)
		}
	default:
		if rd {
			t.dst[0] = u.rd
		}
		if in.Op == isa.MOVK || in.Op == isa.BFM {
			reads(u.rd)
		}
		if ra {
			reads(u.ra)
		}
	}
	if rm {
		reads(u.rm)
	}
	switch in.Op {
	case isa.BL, isa.BLR:
		t.dst[0] = 30
	}
	if writesBack(in) {
		t.base = u.rn
	}
	if readsNZCV[in.Op] || in.Op == isa.MRS && in.Sys == nzcvRegister {
		reads(nzcvReady)
	}
	if writesNZCV[in.Op] || in.Op == isa.MSR && in.Sys == nzcvRegister {
		t.flags |= setsFlags
	}
	for len(sources) < len(t.src) {
		reads(zr)
	}
}

// operandsSIMD is operands for an operation on SIMD registers.
func (t *timing) operandsSIMD(u *uop, s *simdOp, has func(uint, func(*isa.Inst) uint8) bool) {
	t.src = [5]uint8{zr, zr, zr, zr, zr}
	if t.src[0] = vReady + u.rn; s.general {
		t.src[0] = u.rn
	}
	if has(16, func(in *isa.Inst) uint8 { return in.Rm }) {
		t.src[1] = vReady + u.rm
	}
	if s.reads {
		t.src[2] = vReady + u.rd
	}
	if t.dst[0] = vReady + u.rd; s.toGen {
		t.dst[0] = u.rd
	}
}

func writesBack(in *isa.Inst) bool {
	name := in.Op.String()
	return strings.HasSuffix(name, "pre") || strings.HasSuffix(name, "post")
}

// order says what an instruction waits for, and what waits for it, beyond its
// registers.
func (t *timing) order(in *isa.Inst) {
	if in.Acq {
		t.flags |= acquires
	}
	if in.Rel {
		t.flags |= releases
	}
	switch in.Op {
	case isa.LDAPR, isa.LDAPURB, isa.LDAPURSB, isa.LDAPURH, isa.LDAPURSH, isa.LDAPUR, isa.LDAPURSW:
		t.flags = t.flags&^acquires | acquiresPC
	case isa.DMB:
		t.flags |= barriers[in.Imm&3]
	case isa.DSB:
		t.flags |= barriers[in.Imm&3] | waitsTLBI
	case isa.ESB:
		t.flags |= waitsLoads
	case isa.ISB:
		t.flags |= waitsLoads | flushes
	case isa.ERET:
		t.flags |= flushes
	case isa.Bcond, isa.CBZ, isa.CBNZ, isa.TBZ, isa.TBNZ:
		t.flags |= conditional
	case isa.BL:
		t.flags |= call
	case isa.BLR:
		t.flags |= call | indirect
	case isa.BR:
		t.flags |= indirect
	case isa.RET:
		t.flags |= returns
	case isa.SYS:
		t.flags |= maintains
	}
}

// barriers are what DMB and DSB wait for, by the low bits of CRm: the types of
// access (DDI 0487 C6.2, DMB). Stores wait for stores by themselves: the store
// buffer keeps their order.
var barriers = [4]timingFlags{
	0b00: waitsLoads | waitsStores, // reserved: as SY
	0b01: waitsLoads,               // LD
	0b10: 0,                        // ST
	0b11: waitsLoads | waitsStores,
}
