package litmus

// The table of instructions: what they are called, what operands they take,
// and what they do. `{,A,L,AL}` stands for one of the endings; what was
// chosen reaches the third column as picks.
//
// Operands, separated by blanks:
//
//	r      general-purpose register, W or X; all r of an instruction are alike
//	w, x   register of that width
//	op2    immediate, register, shifted or extended register
//	#      immediate
//	mem    address: [X1] [X1,#4] [X1,#4]! [X1],#4 [X1,X2] [X1,W2,SXTW #2] …
//	pair   address of a pair: as mem, without index registers
//	base   [X1] or [X1,#0]
//	cond   condition: EQ, NE, …
//	label  name of a label
//	scope  SY, ISH, LD, …
//	flags  NZCV, the only system register of user mode
var table = []row{
	// Loads and stores, C3.2 of DDI 0487.
	{"LDR{,B,H}", "r mem", func(p picks) action { return load(p.size(), false, 0) }},
	{"LDUR{,B,H}", "r mem", func(p picks) action { return load(p.size(), false, 0) }},
	{"LDR{SB,SH,SW}", "r mem", func(p picks) action { return load(p.size(), true, 0) }},
	{"LDUR{SB,SH,SW}", "r mem", func(p picks) action { return load(p.size(), true, 0) }},
	{"LDAR{,B,H}", "r base", func(p picks) action { return load(p.size(), false, Acquire) }},
	{"LDAPR{,B,H}", "r base", func(p picks) action { return load(p.size(), false, AcquirePC) }},
	{"LDAPUR{,B,H}", "r mem", func(p picks) action { return load(p.size(), false, AcquirePC) }},
	{"STR{,B,H}", "r mem", func(p picks) action { return store(p.size(), 0) }},
	{"STUR{,B,H}", "r mem", func(p picks) action { return store(p.size(), 0) }},
	{"STLR{,B,H}", "r base", func(p picks) action { return store(p.size(), Release) }},
	{"STLUR{,B,H}", "r mem", func(p picks) action { return store(p.size(), Release) }},

	{"LDP", "r r pair", func(picks) action { return loadPair(false, 0) }},
	{"LDNP", "r r pair", func(picks) action { return loadPair(false, 0) }},
	{"LDPSW", "x x pair", func(picks) action { return loadPair(true, 0) }},
	{"LDAP", "r r pair", func(picks) action { return loadPair(false, Acquire) }},
	{"LDIAPP", "r r pair", func(picks) action { return loadPair(false, AcquirePC) }},
	{"STP", "r r pair", func(picks) action { return storePair(0, false) }},
	{"STNP", "r r pair", func(picks) action { return storePair(0, false) }},
	{"STLP", "r r pair", func(picks) action { return storePair(Release, false) }},
	{"STILP", "r r pair", func(picks) action { return storePair(Release, true) }},

	// Exclusives, B2.12.
	{"LD{,A}XR{,B,H}", "r base", func(p picks) action { return loadExclusive(p.size(), p.acquire(0)) }},
	{"ST{,L}XR{,B,H}", "w r base", func(p picks) action { return storeExclusive(p.size(), p.release(0)) }},
	{"LD{,A}XP", "r r base", func(p picks) action { return loadExclusivePair(p.acquire(0)) }},
	{"ST{,L}XP", "w r r base", func(p picks) action { return storeExclusivePair(p.release(0)) }},

	// Atomics, FEAT_LSE, C3.2.12.
	{"SWP{,A,L,AL}{,B,H}", "r r base", func(p picks) action { return swap(p.size(), p.acquire(0), p.release(0)) }},
	{"CAS{,A,L,AL}{,B,H}", "r r base", func(p picks) action { return compareAndSwap(p.size(), p.acquire(0), p.release(0)) }},
	{"CASP{,A,L,AL}", "r r r r base", func(p picks) action { return compareAndSwapPair(p.acquire(0), p.release(0)) }},
	{"LD{ADD,CLR,EOR,SET,SMAX,SMIN,UMAX,UMIN}{,A,L,AL}{,B,H}", "r r base", func(p picks) action {
		return fetchAndOp(atomicOps[p[0]], p.size(), p.acquire(1), p.release(1))
	}},
	{"ST{ADD,CLR,EOR,SET,SMAX,SMIN,UMAX,UMIN}{,L}{,B,H}", "r base", func(p picks) action {
		return storeOp(atomicOps[p[0]], p.size(), p.release(1))
	}},

	// Data processing, C3.4 and C3.5.
	{"{ADD,SUB,AND,BIC}{,S}", "r r op2", func(p picks) action { return alu(binary[p[0]], p[1] == "S", false) }},
	{"{ORR,EOR,ORN,EON}", "r r op2", func(p picks) action { return alu(binary[p[0]], false, false) }},
	{"{LSL,LSR,ASR,ROR}{,V}", "r r op2", func(p picks) action { return alu(binary[p[0]], false, false) }},
	{"CMP", "r op2", func(picks) action { return compare(binary["SUB"]) }},
	{"CMN", "r op2", func(picks) action { return compare(binary["ADD"]) }},
	{"TST", "r op2", func(picks) action { return compare(binary["AND"]) }},
	{"NEG{,S}", "r op2", func(p picks) action { return alu(binary["SUB"], p[0] == "S", true) }},
	{"MVN", "r op2", func(picks) action { return alu(binary["ORN"], false, true) }},
	{"MOV", "r op2", func(picks) action { return move }},
	{"MOVZ", "r op2", func(picks) action { return moveWide(false) }},
	{"MOVN", "r op2", func(picks) action { return moveWide(true) }},
	{"MOVK", "r op2", func(picks) action { return moveKeep }},
	{"M{ADD,SUB}", "r r r r", func(p picks) action { return multiply(p[0] == "SUB", true) }},
	{"MUL", "r r r", func(picks) action { return multiply(false, false) }},
	{"MNEG", "r r r", func(picks) action { return multiply(true, false) }},
	{"{S,U}M{ADD,SUB}L", "x w w x", func(p picks) action { return multiplyLong(p[0] == "S", p[1] == "SUB", true) }},
	{"{S,U}M{ULL,NEGL}", "x w w", func(p picks) action { return multiplyLong(p[0] == "S", p[1] == "NEGL", false) }},
	{"{S,U}BFM", "r r # #", func(p picks) action { return bitField(p[0] == "S") }},
	{"{S,U}XT{B,H}", "r w", func(p picks) action { return extend(p[0] == "S", p.size()) }},
	{"{S,U}XTW", "x w", func(p picks) action { return extend(p[0] == "S", 4) }},
	{"EXTR", "r r r #", func(picks) action { return extract }},
	{"RBIT", "r r", func(picks) action { return unary(reverseBits) }},
	{"REV", "r r", func(picks) action { return unary(reverseBytes) }},
	{"REV64", "x x", func(picks) action { return unary(reverseBytes) }},
	{"REV16", "r r", func(picks) action { return unary(reverseBytes16) }},
	{"REV32", "x x", func(picks) action { return unary(reverseBytes32) }},
	{"CLZ", "r r", func(picks) action { return unary(leadingZeros) }},
	{"ABS", "r r", func(picks) action { return unary(absolute) }},
	{"CS{EL,INC,INV,NEG}", "r r r cond", func(p picks) action { return choose(p[0], false, false) }},
	{"CSET", "r cond", func(picks) action { return choose("INC", true, false) }},
	{"CSETM", "r cond", func(picks) action { return choose("INV", true, false) }},
	{"C{INC,INV,NEG}", "r r cond", func(p picks) action { return choose(p[0], false, true) }},

	// Branches, C3.1.
	{"B", "label", func(picks) action { return jump }},
	{"B.{EQ,NE,CS,HS,CC,LO,MI,PL,VS,VC,HI,LS,GE,LT,GT,LE,AL}", "label", func(p picks) action { return branchIf(conditions[p[0]]) }},
	{"CB{Z,NZ}", "r label", func(p picks) action { return branchZero(p[0] == "NZ") }},
	{"TB{Z,NZ}", "r # label", func(p picks) action { return branchBit(p[0] == "NZ") }},

	// Barriers, B2.7.
	{"DMB", "scope", func(picks) action { return barrier(false) }},
	{"DSB", "scope", func(picks) action { return barrier(true) }},
	{"ISB", "", func(picks) action { return instructionBarrier }},
	{"MRS", "x flags", func(picks) action { return readFlags }},
	{"MSR", "flags x", func(picks) action { return writeFlags }},
	{"NOP", "", func(picks) action { return nothing }},
	{"HINT", "#", func(picks) action { return nothing }},
}

// outside names what Parse knows but does not model, by the start of the mnemonic.
var outside = []struct{ names, why string }{
	{"BR BLR BL RET ADR ADRP", "addresses of code are outside this model"},
	{"ERET SVC HVC SMC UDF BRK HLT", "exceptions are outside this model"},
	{"AT TLBI DC IC SYS", "system registers and maintenance are outside user mode"},
	{"STG ST2G STZG STZ2G LDG IRG", "memory tags are outside this model"},
	{"PACIA PACIB PACDA PACDB PACIZA PACIZB PACDZA PACDZB PACIASP PACIBSP PACIAZ PACIBZ AUTIA AUTIB AUTDA AUTDB AUTIZA AUTIZB AUTDZA AUTDZB AUTIASP AUTIBSP AUTIAZ AUTIBZ XPACI XPACD", "pointer authentication is outside this model"},
	{"LD1 LD2 LD3 LD4 LD1R LD2R LD3R LD4R LDAP1 ST1 ST2 ST3 ST4 STL1 MOVI FMOV DUP ADDV", "vectors are outside this model"},
	{"GCSPOPM GCSPUSHM GCSSTR GCSSS1 GCSSS2 GCSB", "guarded control stacks are outside this model"},
}

// scopes are the operands of DMB and DSB: which accesses they order. Shareability
// makes no difference between the threads of a test.
var scopes = map[string]scope{
	"SY": full, "ISH": full, "OSH": full, "NSH": full,
	"LD": loads, "ISHLD": loads, "OSHLD": loads, "NSHLD": loads,
	"ST": stores, "ISHST": stores, "OSHST": stores, "NSHST": stores,
}

type scope uint8

const (
	full scope = iota
	loads
	stores
)

// conditions are encoded as in C1.2.4: an odd one is the opposite of that before it.
var conditions = map[string]cond{
	"EQ": 0, "NE": 1, "CS": 2, "HS": 2, "CC": 3, "LO": 3, "MI": 4, "PL": 5, "VS": 6, "VC": 7,
	"HI": 8, "LS": 9, "GE": 10, "LT": 11, "GT": 12, "LE": 13, "AL": 14, "NV": 15,
}

type cond uint8

// row is one line of the table.
type row struct {
	names    string
	operands string
	does     func(picks) action
}

// action executes one instruction of a thread.
type action func(m *machine, in *Instr)

// picks are the endings that made a mnemonic of a row's names.
type picks []string

// size is that of the access by the last ending; 0 means that of the register.
func (p picks) size() int {
	if len(p) == 0 {
		return 0
	}
	switch p[len(p)-1] {
	case "B", "SB":
		return 1
	case "H", "SH":
		return 2
	case "SW":
		return 4
	}
	return 0
}

func (p picks) acquire(i int) Annot {
	if p[i] == "A" || p[i] == "AL" {
		return Acquire
	}
	return 0
}

func (p picks) release(i int) Annot {
	if p[i] == "L" || p[i] == "AL" {
		return Release
	}
	return 0
}
