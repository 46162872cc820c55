package isa

import (
	"errors"
	"fmt"
	mathbits "math/bits"
	"slices"
	"strconv"
	"strings"
)

// An operand is a kind of operand of the table's assembly column.
type operand interface {
	// print returns the operand as it is written, or nothing if it is left out.
	print(in *Inst, pc uint64) string
	// parse takes the operand's words and puts its fields into p.word.
	parse(p *parser) error
}

// defaulted operands may be left out.
type defaulted interface {
	leaveOut(p *parser) error
}

func bitsOf(word uint32, at, bits uint8) uint32 { return word >> at & (1<<bits - 1) }

func signed(n int64) string  { return fmt.Sprintf("#%d", n) }
func hex(n uint64) string    { return fmt.Sprintf("#%#x", n) }
func target(a uint64) string { return fmt.Sprintf("%#x", a) }

// A width says whether a register is called x or w.
type width uint8

const (
	byRow  width = iota // as Inst.Sf says
	wide                // x
	narrow              // w
)

// A reg is a register.
type reg struct {
	at    uint8 // its field
	also  uint8 // a second field with the same number
	width width
	sp    bool // 31 is the stack pointer, not zero
}

func regName(n uint32, wide, sp bool) string {
	letter := "w"
	if wide {
		letter = "x"
	}
	switch {
	case n < 31:
		return fmt.Sprintf("%s%d", letter, n)
	case !sp:
		return letter + "zr"
	case wide:
		return "sp"
	}
	return "wsp"
}

func (o reg) print(in *Inst, _ uint64) string {
	return regName(bitsOf(in.Word, o.at, 5), o.width == wide || o.width == byRow && in.Sf, o.sp)
}

func (o reg) parse(p *parser) error {
	n, err := p.register(o.width == wide || o.width == byRow && p.wide, o.sp)
	if err != nil {
		return err
	}
	p.word |= n << o.at
	if o.also != 0 {
		p.word |= n << o.also
	}
	return nil
}

// A testReg is the register of TBZ: w if the bit is one of the low 32.
type testReg struct{}

func (testReg) print(in *Inst, _ uint64) string {
	return regName(in.Word&31, in.Word>>31 != 0, false)
}

func (testReg) parse(p *parser) error {
	n, wide, err := p.anyRegister()
	p.word |= n
	p.narrow = !wide
	return err
}

// A nextReg is the second register of a pair that begins with an even one.
type nextReg struct{ at uint8 }

func (o nextReg) print(in *Inst, _ uint64) string {
	return regName(bitsOf(in.Word, o.at, 5)|1, in.Sf, false)
}

func (o nextReg) parse(p *parser) error {
	at := p.at
	n, err := p.register(p.wide, false)
	if first := bitsOf(p.word, o.at, 5); err == nil && (first&1 != 0 || n != first|1) {
		return p.wrong(at, "a pair is an even register and the one after it")
	}
	return err
}

// An optionalReg is the register of SYS, the zero register if left out.
type optionalReg struct{}

func (optionalReg) print(in *Inst, _ uint64) string {
	if in.Rd == 31 {
		return ""
	}
	return regName(uint32(in.Rd), true, false)
}

func (optionalReg) parse(p *parser) error {
	n, err := p.register(true, false)
	p.word |= n
	return err
}

func (optionalReg) leaveOut(p *parser) error {
	p.word |= 31
	return nil
}

var (
	shiftNames  = []string{"lsl", "lsr", "asr", "ror"}
	extendNames = []string{"uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"}
	condNames   = []string{"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"}
)

func (s Shift) String() string  { return shiftNames[s&3] }
func (e Extend) String() string { return extendNames[e&7] }
func (c Cond) String() string   { return condNames[c&15] }

// A shiftedReg is Rm{, lsl #3}.
type shiftedReg struct{}

func (shiftedReg) print(in *Inst, _ uint64) string {
	name := regName(uint32(in.Rm), in.Sf, false)
	if in.Shift == LSL && in.Amount == 0 {
		return name
	}
	return fmt.Sprintf("%s, %s #%d", name, in.Shift, in.Amount)
}

func (shiftedReg) parse(p *parser) error {
	n, err := p.register(p.wide, false)
	p.word |= n << 16
	if err != nil || !p.skip(",") {
		return err
	}
	kind, err := p.oneOf("a shift", shiftNames)
	if err != nil {
		return err
	}
	amount, err := p.unsigned(p.regBits() - 1)
	p.word |= uint32(kind)<<22 | uint32(amount)<<10
	return err
}

// An extendedReg is Rm{, sxtw #2}. Where a stack pointer is involved, the
// extension that changes nothing is called lsl.
type extendedReg struct{}

// plainExtend is the extension from the width of the operation.
func plainExtend(wide bool) Extend {
	if wide {
		return UXTX
	}
	return UXTW
}

func (extendedReg) print(in *Inst, _ uint64) string {
	name := regName(uint32(in.Rm), in.Sf && in.Extend&3 == UXTX, false)
	sp := in.Rn == 31 || in.Rd == 31 && in.Word>>29&1 == 0
	kind := in.Extend.String()
	if sp && in.Extend == plainExtend(in.Sf) {
		if in.Amount == 0 {
			return name
		}
		kind = "lsl"
	}
	if in.Amount == 0 {
		return name + ", " + kind
	}
	return fmt.Sprintf("%s, %s #%d", name, kind, in.Amount)
}

func (extendedReg) parse(p *parser) error {
	at := p.at
	n, wide, err := p.anyRegister()
	p.word |= n << 16
	if err != nil {
		return err
	}
	extend, amount := plainExtend(p.wide), uint64(0)
	if p.skip(",") {
		if p.skip("lsl") {
			amount, err = p.unsigned(4)
		} else {
			extend, amount, err = p.extension(4)
		}
	}
	if err != nil {
		return err
	}
	if wide != (p.wide && extend&3 == UXTX) {
		return p.wrong(at, "%v does not extend this register", extend)
	}
	p.word |= uint32(extend)<<13 | uint32(amount)<<10
	return nil
}

// extension takes an extension and its amount, which may be left out.
func (p *parser) extension(most uint64) (extend Extend, amount uint64, err error) {
	kind, err := p.oneOf("an extension", extendNames)
	if err == nil && (p.peek("#") || p.number()) {
		amount, err = p.unsigned(most)
	}
	return Extend(kind), amount, err
}

// An addImm is #0x12{, lsl #12}.
type addImm struct{}

func (addImm) print(in *Inst, _ uint64) string {
	text := hex(uint64(bitsOf(in.Word, 10, 12)))
	if bitsOf(in.Word, 22, 1) != 0 {
		text += ", lsl #12"
	}
	return text
}

func (addImm) parse(p *parser) error {
	at := p.at
	n, err := p.value()
	if err != nil {
		return err
	}
	if p.skip(",") {
		amount, err := p.lslAmount(12, 12)
		if err != nil {
			return err
		}
		p.word |= uint32(amount/12) << 22
	} else if n > 0xfff && n&0xfff == 0 {
		n >>= 12
		p.word |= 1 << 22
	}
	if n > 0xfff {
		return p.wrong(at, "the immediate is not 0 … 4095, nor that shifted by 12")
	}
	p.word |= uint32(n) << 10
	return nil
}

// lslAmount takes lsl #n, where n is a multiple of step.
func (p *parser) lslAmount(step, most uint64) (uint64, error) {
	if !p.skip("lsl") {
		return 0, p.due("lsl")
	}
	at := p.at
	n, err := p.unsigned(most)
	if err == nil && n%step != 0 {
		return 0, p.wrong(at, "the shift is no multiple of %d", step)
	}
	return n, err
}

// A maskImm is the immediate of AND, ORR, EOR and ANDS.
type maskImm struct{}

func (maskImm) print(in *Inst, _ uint64) string { return hex(uint64(in.Imm)) }

func (maskImm) parse(p *parser) error {
	at := p.at
	n, err := p.value()
	if err != nil {
		return err
	}
	if !p.wide {
		if high := n >> 32; high != 0 && (high != 1<<32-1 || n>>31&1 == 0) {
			return p.wrong(at, "the immediate has more than 32 bits")
		}
		n = n<<32 | n&(1<<32-1)
	}
	fields, ok := encodeBitmask(n)
	if !ok {
		return p.wrong(at, "%#x is no repeated, rotated run of ones", n)
	}
	p.word |= fields << 10
	return nil
}

// encodeBitmask returns N, immr and imms for a mask of 64 bits; it is the
// inverse of bitmask.
func encodeBitmask(mask uint64) (fields uint32, ok bool) {
	for size := uint32(2); size <= 64; size *= 2 {
		low := ^uint64(0) >> (64 - size)
		element := mask & low
		if element == 0 || element == low || !repeats(mask, size) {
			continue
		}
		for r := range size {
			ones := (element<<r | element>>(size-r)) & low // undo the rotation
			if ones&(ones+1) != 0 {
				continue
			}
			n := uint32(mathbits.OnesCount64(ones)) - 1
			imms := ^(size*2 - 1) & 0x3f
			return size>>6<<12 | r<<6 | imms | n, true
		}
		return 0, false
	}
	return 0, false
}

// repeats reports whether a mask is the same element of size bits again and again.
func repeats(mask uint64, size uint32) bool {
	return size == 64 || mask>>size|mask<<(64-size) == mask
}

// moveWide reports whether the value of a logical immediate is one that MOVZ or
// MOVN can move, which are then called mov (MoveWidePreferred).
func moveWide(sf, n, immr, imms uint32) bool {
	value := bitmask(sf, n, immr, imms)
	inverted := ^value & (^uint64(0) >> (32 - 32*sf))
	for shift := uint32(0); shift < 32+32*sf; shift += 16 {
		chunk := uint64(0xffff) << shift
		if value&^chunk == 0 || inverted&^chunk == 0 {
			return true
		}
	}
	return false
}

// A wideImm is the immediate of MOVZ, MOVN and MOVK: #0x12{, lsl #16}.
type wideImm struct{}

func (wideImm) print(in *Inst, _ uint64) string {
	text := hex(uint64(bitsOf(in.Word, 5, 16)))
	if in.Amount != 0 {
		text += fmt.Sprintf(", lsl #%d", in.Amount)
	}
	return text
}

func (wideImm) parse(p *parser) error {
	n, err := p.unsigned(0xffff)
	p.word |= uint32(n) << 5
	if err != nil || !p.skip(",") {
		return err
	}
	amount, err := p.lslAmount(16, p.regBits()-16)
	p.word |= uint32(amount/16) << 21
	return err
}

// A movImm is a value that MOVZ or MOVN moves.
type movImm struct{ inverted bool }

func (movImm) print(in *Inst, _ uint64) string { return hex(uint64(in.Imm)) }

func (o movImm) parse(p *parser) error {
	at := p.at
	n, err := p.value()
	if err != nil {
		return err
	}
	if high := n >> 32; !p.wide && high != 0 && (high != 1<<32-1 || n>>31&1 == 0) {
		return p.wrong(at, "the immediate has more than 32 bits")
	}
	if o.inverted {
		n = ^n
	}
	if !p.wide {
		n &= 1<<32 - 1
	}
	for hw := range uint32(p.regBits() / 16) {
		if n&^(0xffff<<(16*hw)) == 0 {
			p.word |= hw<<21 | uint32(n>>(16*hw))<<5
			return nil
		}
	}
	return p.wrong(at, "no one instruction moves this immediate")
}

// A bitNumber is the number of a bit of a register: immr, imms, lsb.
type bitNumber struct{ at uint8 }

func (o bitNumber) print(in *Inst, _ uint64) string {
	return signed(int64(bitsOf(in.Word, o.at, 6)))
}

func (o bitNumber) parse(p *parser) error {
	n, err := p.bit()
	p.word |= uint32(n) << o.at
	return err
}

// bit takes the number of a bit; N, which all instructions with such operands
// have, is sf.
func (p *parser) bit() (uint32, error) {
	if p.wide {
		p.word |= 1 << 22
	}
	n, err := p.unsigned(p.regBits() - 1)
	return uint32(n), err
}

// A lowBit is where a bit field is inserted: -immr.
type lowBit struct{}

func (lowBit) print(in *Inst, _ uint64) string {
	return signed(int64(-bitsOf(in.Word, 16, 6) & (sizeOf(in) - 1)))
}

func (lowBit) parse(p *parser) error {
	n, err := p.bit()
	p.word |= -n & uint32(p.regBits()-1) << 16
	return err
}

func sizeOf(in *Inst) uint32 {
	if in.Sf {
		return 64
	}
	return 32
}

// A fieldWidth is the width of a bit field, after its lowest bit.
type fieldWidth struct{ extract bool }

func (o fieldWidth) print(in *Inst, _ uint64) string {
	w := int64(bitsOf(in.Word, 10, 6)) + 1
	if o.extract {
		w -= int64(bitsOf(in.Word, 16, 6))
	}
	return signed(w)
}

func (o fieldWidth) parse(p *parser) error {
	at := p.at
	n, err := p.unsigned(p.regBits())
	if err != nil {
		return err
	}
	immr, size := bitsOf(p.word, 16, 6), uint32(p.regBits())
	lsb := immr
	if !o.extract {
		lsb = -immr & (size - 1)
	}
	w := uint32(n)
	if w == 0 || lsb+w > size {
		return p.wrong(at, "the field does not fit: its width is 1 … %d", size-lsb)
	}
	if o.extract {
		w += lsb
	}
	p.word |= (w - 1) << 10
	return nil
}

// A leftShift is the amount of LSL (immediate).
type leftShift struct{}

func (leftShift) print(in *Inst, _ uint64) string {
	return signed(int64(sizeOf(in) - 1 - bitsOf(in.Word, 10, 6)))
}

func (leftShift) parse(p *parser) error {
	n, err := p.bit()
	last := uint32(p.regBits() - 1)
	p.word |= (-n&last)<<16 | (last-n)<<10
	return err
}

// A rightShift is the amount of LSR and ASR (immediate).
type rightShift struct{}

func (rightShift) print(in *Inst, _ uint64) string {
	return signed(int64(bitsOf(in.Word, 16, 6)))
}

func (rightShift) parse(p *parser) error {
	n, err := p.bit()
	p.word |= n<<16 | uint32(p.regBits()-1)<<10
	return err
}

// A testBit is the bit of TBZ and TBNZ.
type testBit struct{}

func (testBit) print(in *Inst, _ uint64) string { return signed(int64(in.Amount)) }

func (testBit) parse(p *parser) error {
	most := uint64(63)
	if p.narrow {
		most = 31
	}
	n, err := p.unsigned(most)
	p.word |= uint32(n>>5<<31 | n&31<<19)
	return err
}

// A number is an unsigned field.
type number struct {
	at, bits uint8
	hex      bool
}

func (o number) print(in *Inst, _ uint64) string {
	n := bitsOf(in.Word, o.at, o.bits)
	if o.hex {
		return hex(uint64(n))
	}
	return signed(int64(n))
}

func (o number) parse(p *parser) error {
	n, err := p.unsigned(1<<o.bits - 1)
	p.word |= uint32(n) << o.at
	return err
}

// An optional number is left out when it is the usual one.
type optional struct {
	number
	usual uint32
}

func (o optional) print(in *Inst, pc uint64) string {
	if bitsOf(in.Word, o.at, o.bits) == o.usual {
		return ""
	}
	return o.number.print(in, pc)
}

func (o optional) leaveOut(p *parser) error {
	p.word |= o.usual << o.at
	return nil
}

func (o optional) parse(p *parser) error {
	if p.skip("sy") {
		return o.leaveOut(p)
	}
	return o.number.parse(p)
}

// A controlNumber is the C7 of SYS.
type controlNumber struct{ at uint8 }

func (o controlNumber) print(in *Inst, _ uint64) string {
	return fmt.Sprintf("C%d", bitsOf(in.Word, o.at, 4))
}

func (o controlNumber) parse(p *parser) error {
	n, err := p.oneOf("C0 … C15", controlNames)
	p.word |= uint32(n) << o.at
	return err
}

var controlNames = []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12", "c13", "c14", "c15"}

// A condition is eq, ne …
type condition struct{ inverted bool }

func (o condition) print(in *Inst, _ uint64) string {
	if o.inverted {
		return (in.Cond ^ 1).String()
	}
	return in.Cond.String()
}

func (o condition) parse(p *parser) error {
	at := p.at
	n, err := p.oneOf("a condition", condNames, "hs", "cs", "lo", "cc")
	if err != nil {
		return err
	}
	if o.inverted {
		if n >= 14 {
			return p.wrong(at, "this condition always holds")
		}
		n ^= 1
	}
	p.word |= uint32(n) << 12
	return nil
}

// barrierNames are the domains of DMB and DSB; the rest are reserved, and work
// as sy does.
var barrierNames = []string{1: "oshld", 2: "oshst", 3: "osh", 5: "nshld", 6: "nshst", 7: "nsh", 9: "ishld", 10: "ishst", 11: "ish", 13: "ld", 14: "st", 15: "sy"}

// A barrierKind is the operand of DMB and DSB.
type barrierKind struct{}

func (barrierKind) print(in *Inst, _ uint64) string {
	if name := barrierNames[in.Imm&15]; name != "" {
		return name
	}
	return fmt.Sprintf("#0x%02x", in.Imm)
}

func (barrierKind) parse(p *parser) error {
	if p.peek("#") || p.number() {
		return number{at: 8, bits: 4}.parse(p)
	}
	n, err := p.oneOf("a kind of barrier", barrierNames)
	p.word |= uint32(n) << 8
	return err
}

// prefetchNames are the operations of PRFM; the rest are reserved, and do nothing.
var prefetchNames = func() []string {
	names := make([]string, 32)
	for i, what := range []string{"pld", "pli", "pst"} {
		for level := range 3 {
			name := fmt.Sprintf("%sl%d", what, level+1)
			names[i<<3|level<<1], names[i<<3|level<<1|1] = name+"keep", name+"strm"
		}
	}
	return names
}()

// A prefetchKind is the operation of PRFM.
type prefetchKind struct{}

func (prefetchKind) print(in *Inst, _ uint64) string {
	if name := prefetchNames[in.Rd&31]; name != "" {
		return name
	}
	return fmt.Sprintf("#0x%02x", in.Rd)
}

func (prefetchKind) parse(p *parser) error {
	if p.peek("#") || p.number() {
		return number{at: 0, bits: 5}.parse(p)
	}
	n, err := p.oneOf("a prefetch operation", prefetchNames)
	p.word |= uint32(n)
	return err
}

// A word is itself.
type word string

func (o word) print(*Inst, uint64) string { return string(o) }

func (o word) parse(p *parser) error {
	if !p.skip(string(o)) {
		return p.due(string(o))
	}
	return nil
}

// sysRegInfo is a line of sysreg.txt.
type sysRegInfo struct {
	number        SysReg
	kind          string // the mnemonic, for operations
	name          string
	takesRegister bool
}

// info returns what is known of a register or operation; a register may have
// no name.
func (r SysReg) info() (sysRegInfo, bool) {
	i, ok := slices.BinarySearchFunc(sysRegs[:], r, func(s sysRegInfo, r SysReg) int { return int(s.number) - int(r) })
	if !ok {
		return sysRegInfo{}, false
	}
	return sysRegs[i], true
}

// String returns the name of a register in lower case, or s3_0_c1_c2_3; of an
// operation, dc zva or sys #0, C1, C2, #3.
func (r SysReg) String() string {
	info, ok := r.info()
	op0, op1, crn, crm, op2 := r>>14, r>>11&7, r>>7&15, r>>3&15, r&7
	switch {
	case ok && info.kind != "":
		return info.kind + " " + info.name
	case ok:
		return info.name
	case op0 == 1:
		return fmt.Sprintf("sys #%d, C%d, C%d, #%d", op1, crn, crm, op2)
	}
	return fmt.Sprintf("s%d_%d_c%d_c%d_%d", op0, op1, crn, crm, op2)
}

// A sysRegName is the register of MRS and MSR.
type sysRegName struct{}

func (sysRegName) print(in *Inst, _ uint64) string { return in.Sys.String() }

func (sysRegName) parse(p *parser) error {
	name := strings.ToLower(p.next().text)
	for i := range sysRegs {
		if s := &sysRegs[i]; s.kind == "" && s.name == name {
			p.word |= uint32(s.number&0x7fff) << 5
			return nil
		}
	}
	r, err := numberedSysReg(name)
	if err != nil {
		return p.wrong(p.at-1, "no system register is called %s", name)
	}
	p.word |= uint32(r&0x7fff) << 5
	return nil
}

// numberedSysReg reads s3_0_c1_c2_3.
func numberedSysReg(name string) (SysReg, error) {
	var n [5]int
	if _, err := fmt.Sscanf(name, "s%d_%d_c%d_c%d_%d", &n[0], &n[1], &n[2], &n[3], &n[4]); err != nil {
		return 0, err
	}
	for i, most := range [5]int{3, 7, 15, 15, 7} {
		if n[i] < 0 || n[i] > most {
			return 0, errors.New("out of range")
		}
	}
	r := Sys(uint8(n[0]), uint8(n[1]), uint8(n[2]), uint8(n[3]), uint8(n[4]))
	if r>>15 == 0 || fmt.Sprintf("s%d_%d_c%d_c%d_%d", n[0], n[1], n[2], n[3], n[4]) != name {
		return 0, errors.New("no register")
	}
	return r, nil
}

// isSysOp reports whether a SYS is an operation of the mnemonic given, with a
// register if it takes one and only then.
func isSysOp(word uint32, kind string) bool {
	info, ok := (SysReg(1<<14) | SysReg(word>>5&0x3fff)).info()
	return ok && info.kind == kind && (info.takesRegister || word&31 == 31)
}

// A sysOpName is the operation of DC, IC, AT or TLBI, as it is called.
type sysOpName string

func (o sysOpName) print(in *Inst, _ uint64) string {
	info, _ := in.Sys.info()
	return info.name
}

func (o sysOpName) parse(p *parser) error {
	name := strings.ToLower(p.next().text)
	for i := range sysRegs {
		if s := &sysRegs[i]; s.kind == string(o) && s.name == name {
			p.word |= uint32(s.number&0x3fff) << 5
			return nil
		}
	}
	return p.wrong(p.at-1, "no operation of %s is called %s", string(o), name)
}

// A sysOpReg is the register of those operations that take one.
type sysOpReg struct{}

func (sysOpReg) print(in *Inst, _ uint64) string {
	if info, _ := in.Sys.info(); !info.takesRegister {
		return ""
	}
	return regName(uint32(in.Rd), true, false)
}

func (o sysOpReg) takes(p *parser) bool {
	info, _ := (SysReg(1<<14) | SysReg(p.word>>5&0x3fff)).info()
	return info.takesRegister
}

func (o sysOpReg) parse(p *parser) error {
	if !o.takes(p) {
		return p.wrong(p.at, "this operation takes no register")
	}
	return reg{width: wide}.parse(p)
}

func (o sysOpReg) leaveOut(p *parser) error {
	if o.takes(p) {
		return p.wrong(p.at, "this operation takes a register")
	}
	p.word |= 31
	return nil
}

// A label is where a branch goes or a literal is: its address is written.
type label struct {
	at, bits, scale uint8
}

func (label) print(in *Inst, pc uint64) string { return target(pc + uint64(in.Imm)) }

func (o label) parse(p *parser) error {
	at := p.at
	a, err := p.value()
	if err != nil {
		return err
	}
	field, err := relative(a-p.pc, o.bits, o.scale)
	if err != nil {
		return p.wrong(at, "%v", err)
	}
	p.word |= field << o.at
	return nil
}

// relative returns the field of so many bits for a distance.
func relative(distance uint64, bits, scale uint8) (uint32, error) {
	d := int64(distance)
	if d&(1<<scale-1) != 0 {
		return 0, fmt.Errorf("the target is no multiple of %d bytes away", 1<<scale)
	}
	d >>= scale
	if d < -(1<<(bits-1)) || d >= 1<<(bits-1) {
		return 0, errors.New("the target is too far away")
	}
	return uint32(d) & (1<<bits - 1), nil
}

// An adrLabel is the address that ADR makes, or the page that ADRP makes.
type adrLabel struct{ page bool }

func (o adrLabel) print(in *Inst, pc uint64) string {
	if o.page {
		pc &^= 0xfff
	}
	return target(pc + uint64(in.Imm))
}

func (o adrLabel) parse(p *parser) error {
	at := p.at
	a, err := p.value()
	if err != nil {
		return err
	}
	scale := uint8(0)
	pc := p.pc
	if o.page {
		a, pc, scale = a&^0xfff, pc&^0xfff, 12
	}
	field, err := relative(a-pc, 21, scale)
	if err != nil {
		return p.wrong(at, "%v", err)
	}
	p.word |= field&3<<29 | field>>2<<5
	return nil
}

// offsetKind is how the offset of a load or store is encoded.
type offsetKind uint8

const (
	noOffset    offsetKind = iota
	offsetImm12            // unsigned, in units of the access
	offsetImm9             // signed bytes
	offsetImm7             // signed, in units of a pair's registers
)

// parseOffset takes an immediate offset.
func (p *parser) parseOffset(kind offsetKind) error {
	at := p.at
	v, err := p.value()
	if err != nil {
		return err
	}
	n := int64(v)
	shift, least, most, field := uint32(0), int64(0), int64(0), uint8(10)
	switch kind {
	case offsetImm12:
		shift, most = p.accessShift(), 4095
	case offsetImm9:
		least, most, field = -256, 255, 12
	case offsetImm7:
		shift, least, most, field = p.pairShift(), -64, 63, 15
	}
	if n&(1<<shift-1) != 0 || n>>shift < least || n>>shift > most {
		if kind == noOffset {
			return &syntaxError{at, p.place(at), "no offset is possible here", 0}
		}
		step := ""
		if shift > 0 {
			step = fmt.Sprintf(" in steps of %d", 1<<shift)
		}
		return p.wrong(at, "the offset is not %d … %d%s", least<<shift, most<<shift, step)
	}
	p.word |= uint32(n>>shift) << field & (uint32(most-least) << field)
	return nil
}

// accessShift is log2 of the bytes that a load or store of one register moves.
func (p *parser) accessShift() uint32 {
	if p.word&(vectorBit|quadBit) == vectorBit|quadBit {
		return 4
	}
	return p.word >> 30
}

// pairShift is the same of each register of a pair.
func (p *parser) pairShift() uint32 {
	if p.word&vectorBit != 0 {
		return 2 + p.word>>30
	}
	return 2 + p.word>>31
}

const (
	vectorBit = 1 << 26 // loads and stores: V
	quadBit   = 1 << 23 // with V, of one register: Q
)

// A vectorReg is a SIMD and FP register by the name that goes with its size: the
// field of that is size, or opc from s on, or it is q.
type vectorReg struct {
	at        uint8
	opc, quad bool
}

const vectorNames = "bhsdq"

func (o vectorReg) print(in *Inst, _ uint64) string {
	return fmt.Sprintf("%c%d", vectorNames[in.Size], bitsOf(in.Word, o.at, 5))
}

func (o vectorReg) parse(p *parser) error {
	at := p.at
	name := strings.ToLower(p.next().text)
	size := -1
	if name != "" {
		size = strings.IndexByte(vectorNames, name[0])
	}
	n, err := strconv.ParseUint(name[min(1, len(name)):], 10, 8)
	if size < 0 || err != nil || n > 31 || name[1] == '0' && len(name) > 2 {
		p.at = at
		return p.due("a register")
	}
	p.word |= uint32(n) << o.at
	switch first := o.at == 0; {
	case o.quad != (size == 4) && !o.opc, o.opc && size < 2, o.opc && !first && uint32(size) != p.pairShift():
		return p.wrong(at, "this SIMD register is not possible here")
	case o.opc && first:
		p.word |= uint32(size-2) << 30
	case !o.opc && !o.quad:
		p.word |= uint32(size) << 30
	}
	return nil
}

// An address is [x0], [x0, #8] or [x0, #8]!.
type address struct {
	offset    offsetKind
	writeback bool
}

func (o address) print(in *Inst, _ uint64) string {
	base := regName(uint32(in.Rn), true, true)
	switch {
	case o.writeback:
		return fmt.Sprintf("[%s, #%d]!", base, in.Imm)
	case o.offset == noOffset || in.Imm == 0:
		return "[" + base + "]"
	}
	return fmt.Sprintf("[%s, #%d]", base, in.Imm)
}

func (o address) parse(p *parser) error {
	if err := p.base(); err != nil {
		return err
	}
	if p.skip(",") {
		if err := p.parseOffset(o.offset); err != nil {
			return err
		}
	} else if o.writeback {
		return p.due("an offset")
	}
	if !p.skip("]") {
		return p.due("]")
	}
	if o.writeback && !p.skip("!") {
		return p.due("!")
	}
	return nil
}

// base takes [ and a base register.
func (p *parser) base() error {
	if !p.skip("[") {
		return p.due("[")
	}
	n, err := p.register(true, true)
	p.word |= n << 5
	return err
}

// A postOffset is what is added to the base register afterwards.
type postOffset struct{ kind offsetKind }

func (postOffset) print(in *Inst, _ uint64) string { return signed(in.Imm) }

func (o postOffset) parse(p *parser) error { return p.parseOffset(o.kind) }

// An indexedAddress is [x0, x1, lsl #3] or [x0, w1, sxtw].
type indexedAddress struct{}

func (indexedAddress) print(in *Inst, _ uint64) string {
	text := fmt.Sprintf("[%s, %s", regName(uint32(in.Rn), true, true), regName(uint32(in.Rm), in.Extend&1 != 0, false))
	scaled := bitsOf(in.Word, 12, 1) != 0
	switch {
	case in.Extend != UXTX:
		text += ", " + in.Extend.String()
	case scaled:
		text += ", lsl"
	}
	if scaled {
		text += fmt.Sprintf(" #%d", in.Amount)
	}
	return text + "]"
}

func (indexedAddress) parse(p *parser) error {
	if err := p.base(); err != nil {
		return err
	}
	if !p.skip(",") {
		return p.due("an index register")
	}
	at := p.at
	n, wide, err := p.anyRegister()
	p.word |= n << 16
	if err != nil {
		return err
	}
	extend, scaled := UXTX, false
	if p.skip(",") {
		if extend, scaled, err = p.indexExtension(); err != nil {
			return err
		}
	}
	if wide != (extend&1 != 0) {
		return p.wrong(at, "%v does not extend this register", extend)
	}
	p.word |= uint32(extend) << 13
	if scaled {
		p.word |= 1 << 12
	}
	if !p.skip("]") {
		return p.due("]")
	}
	return nil
}

// indexExtension takes the extension of an index register, which is shifted by
// the size of the access or not at all. The shift by 0 of a byte's is spelt out.
func (p *parser) indexExtension() (extend Extend, scaled bool, err error) {
	kind, err := p.oneOf("an extension", []string{2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx"})
	if err != nil {
		return 0, false, err
	}
	extend = Extend(kind)
	if extend != UXTX && !p.peek("#") && !p.number() {
		return extend, false, nil
	}
	at := p.at
	n, err := p.unsigned(4)
	size := uint64(p.accessShift())
	if err == nil && n != 0 && n != size {
		err = p.wrong(at, "the shift is 0 or %d", size)
	}
	return extend, n == size, err
}
