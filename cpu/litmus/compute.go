package litmus

import "math/bits"

// Actions of instructions that compute, branch and order.

// secondOperand computes the flexible second operand.
func (m *machine) secondOperand(in *Instr) operand {
	s := &in.op2
	if !s.isReg {
		return operand{v: m.mask(in, Value{N: s.imm << s.amount}, in.width()), fixed: true}
	}
	o := m.reg(s.reg)
	if s.how == "LSL" && s.amount == 0 {
		o.v = m.mask(in, o.v, in.width())
		return o
	}
	n := m.number(in, o.v)
	size := in.width()
	switch s.how {
	case "LSL", "LSR", "ASR", "ROR":
		n = shift(s.how, n, s.amount, size)
	default:
		bytes := map[byte]int{'B': 1, 'H': 2, 'W': 4, 'X': 8}[s.how[3]]
		if s.how[0] == 'S' {
			n = uint64(signed(n, bytes))
		} else if bytes < 8 {
			n &= 1<<(8*bytes) - 1
		}
		n <<= s.amount
	}
	o.v = m.mask(in, Value{N: n}, size)
	return o
}

// shift shifts a value of size bytes.
func shift(how string, n uint64, amount uint, size int) uint64 {
	width := uint(8 * size)
	amount %= width
	if size < 8 {
		n &= 1<<width - 1
	}
	switch how {
	case "LSL":
		n <<= amount
	case "LSR":
		n >>= amount
	case "ASR":
		n = uint64(signed(n, size) >> amount)
	case "ROR":
		n = n>>amount | n<<(width-amount)
	}
	return n
}

// operation computes a result of size bytes and the flags.
type operation func(m *machine, in *Instr, a, b Value) (result Value, nzcv uint64)

var binary = map[string]operation{
	"ADD": func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		r := m.add(in, a, b)
		return r, sumFlags(a.N, b.N, 0, in.width())
	},
	"SUB": func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		switch {
		case a.Var == b.Var:
			a.Var, b.Var = 0, 0
		case b.Var == 0 && a.Var != word:
			a.N -= b.N
			return a, 2 // no address is 0, and none is negative
		case a.Var == 0:
			m.number(in, b)
		default:
			// Two variables differ; that they lie in the order of the text is a choice.
			a, b = Value{N: uint64(a.Var)}, Value{N: uint64(b.Var)}
		}
		return Value{N: a.N - b.N}, sumFlags(a.N, ^b.N, 1, in.width())
	},
	"AND": logical(func(a, b uint64) uint64 { return a & b }),
	"BIC": logical(func(a, b uint64) uint64 { return a &^ b }),
	"ORN": logical(func(a, b uint64) uint64 { return a | ^b }),
	"EON": logical(func(a, b uint64) uint64 { return a ^ ^b }),
	"ORR": func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		switch {
		case a == (Value{}):
			return b, 0
		case b == (Value{}):
			return a, 0
		}
		return Value{N: m.number(in, a) | m.number(in, b)}, 0
	},
	"EOR": func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		if a == b {
			return Value{}, 0
		}
		return Value{N: m.number(in, a) ^ m.number(in, b)}, 0
	},
	"LSL": shifting("LSL"), "LSR": shifting("LSR"), "ASR": shifting("ASR"), "ROR": shifting("ROR"),
}

func logical(f func(a, b uint64) uint64) operation {
	return func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		n := f(m.number(in, a), m.number(in, b))
		if !in.wide {
			n &= 1<<32 - 1
		}
		return Value{N: n}, signFlags(n, in.width())
	}
}

func shifting(how string) operation {
	return func(m *machine, in *Instr, a, b Value) (Value, uint64) {
		return Value{N: shift(how, m.number(in, a), uint(m.number(in, b)%64), in.width())}, 0
	}
}

// signFlags are N and Z, in bits 3 and 2.
func signFlags(n uint64, size int) (nzcv uint64) {
	if signed(n, size) < 0 {
		nzcv |= 8
	}
	if n<<(64-8*size) == 0 {
		nzcv |= 4
	}
	return nzcv
}

// sumFlags are those of a + b + carry, as AddWithCarry of DDI 0487 J1.1.
func sumFlags(a, b, carry uint64, size int) uint64 {
	shift := 64 - 8*size
	a, b = a<<shift, b<<shift
	if carry != 0 && shift > 0 {
		b |= 1<<shift - 1 // so that the carry reaches the top part
	}
	sum, out := bits.Add64(a, b, carry)
	nzcv := signFlags(sum>>shift, size)
	nzcv |= out << 1
	if (a^sum)&(b^sum)&(1<<63) != 0 {
		nzcv |= 1
	}
	return nzcv
}

// alu is rd = rn op second; with unary, rd = 0 op second.
func alu(op operation, flags, unary bool) action {
	return func(m *machine, in *Instr) {
		a := operand{fixed: true}
		if !unary {
			a = m.sized(in, in.r[1], in.width())
		}
		m.alu(in, op, flags, in.r[0], a)
	}
}

// compare is an operation that only sets flags.
func compare(op operation) action {
	return func(m *machine, in *Instr) {
		m.alu(in, op, true, ZR, m.sized(in, in.r[0], in.width()))
	}
}

func (m *machine) alu(in *Instr, op operation, flags bool, dest Reg, a operand) {
	b := m.secondOperand(in)
	v, nzcv := op(m, in, a.v, b.v)
	out := operand{v: m.mask(in, v, in.width()), from: a.from.or(b.from), fixed: a.fixed && b.fixed}
	m.set(dest, out)
	if flags {
		out.v = Value{N: nzcv}
		m.regs[NZCV] = out
	}
}

func move(m *machine, in *Instr) { m.set(in.r[0], m.secondOperand(in)) }

func moveWide(invert bool) action {
	return func(m *machine, in *Instr) {
		o := m.secondOperand(in)
		if invert {
			o.v = m.mask(in, Value{N: ^o.v.N}, in.width())
		}
		m.set(in.r[0], o)
	}
}

func moveKeep(m *machine, in *Instr) {
	o := m.sized(in, in.r[0], in.width())
	keep := ^(uint64(0xffff) << in.op2.amount)
	o.v = Value{N: m.number(in, o.v)&keep | in.op2.imm&0xffff<<in.op2.amount}
	m.set(in.r[0], o)
}

// together is a result that depends on all of its operands.
func together(v Value, operands ...operand) operand {
	o := operand{v: v, fixed: true}
	for i := range operands {
		o.from = o.from.or(operands[i].from)
		o.fixed = o.fixed && operands[i].fixed
	}
	return o
}

func multiply(subtract, accumulate bool) action {
	return func(m *machine, in *Instr) {
		a, b, c := m.reg(in.r[1]), m.reg(in.r[2]), operand{fixed: true}
		if accumulate {
			c = m.reg(in.r[3])
		}
		n := m.number(in, a.v) * m.number(in, b.v)
		if subtract {
			n = -n
		}
		m.set(in.r[0], together(m.mask(in, Value{N: n + m.number(in, c.v)}, in.width()), a, b, c))
	}
}

func multiplyLong(sign, subtract, accumulate bool) action {
	return func(m *machine, in *Instr) {
		a, b, c := m.reg(in.r[1]), m.reg(in.r[2]), operand{fixed: true}
		if accumulate {
			c = m.reg(in.r[3])
		}
		x, y := m.number(in, a.v), m.number(in, b.v)
		if sign {
			x, y = uint64(signed(x, 4)), uint64(signed(y, 4))
		} else {
			x, y = x&(1<<32-1), y&(1<<32-1)
		}
		n := x * y
		if subtract {
			n = -n
		}
		m.set(in.r[0], together(Value{N: n + m.number(in, c.v)}, a, b, c))
	}
}

// bitField is SBFM and UBFM.
func bitField(sign bool) action {
	return func(m *machine, in *Instr) {
		a := m.reg(in.r[1])
		n := m.number(in, a.v)
		width := uint(8 * in.width())
		r, s := uint(in.imm[0])%width, uint(in.imm[1])%width
		if s >= r {
			n = n >> r & (1<<(s-r+1) - 1)
			if sign && n>>(s-r)&1 != 0 {
				n |= ^uint64(0) << (s - r)
			}
		} else {
			n = n & (1<<(s+1) - 1)
			if sign && n>>s&1 != 0 {
				n |= ^uint64(0) << s
			}
			n <<= width - r
		}
		out := together(m.mask(in, Value{N: n}, in.width()), a)
		out.fixed = false
		m.set(in.r[0], out)
	}
}

func extend(sign bool, size int) action {
	return func(m *machine, in *Instr) {
		src := in.r[1]
		a := m.reg(src)
		n := m.number(in, a.v)
		if sign {
			n = uint64(signed(n, size))
		} else {
			n &= 1<<(8*size) - 1
		}
		if size < 4 && !in.wide {
			n &= 1<<32 - 1
		}
		m.set(in.r[0], together(Value{N: n}, a))
	}
}

func extract(m *machine, in *Instr) {
	a, b := m.reg(in.r[1]), m.reg(in.r[2])
	width := uint(8 * in.width())
	hi, lo := m.number(in, a.v), m.number(in, b.v)
	if !in.wide {
		lo &= 1<<32 - 1
	}
	k := uint(in.imm[0]) % width
	n := lo >> k
	if k > 0 {
		n |= hi << (width - k)
	}
	m.set(in.r[0], together(m.mask(in, Value{N: n}, in.width()), a, b))
}

func unary(f func(n uint64, size int) uint64) action {
	return func(m *machine, in *Instr) {
		a := m.reg(in.r[1])
		n := m.number(in, a.v)
		if !in.wide {
			n &= 1<<32 - 1
		}
		m.set(in.r[0], together(m.mask(in, Value{N: f(n, in.width())}, in.width()), a))
	}
}

func reverseBits(n uint64, size int) uint64  { return bits.Reverse64(n) >> (64 - 8*size) }
func reverseBytes(n uint64, size int) uint64 { return bits.ReverseBytes64(n) >> (64 - 8*size) }
func reverseBytes16(n uint64, _ int) uint64 {
	return n>>8&0x00ff00ff00ff00ff | n&0x00ff00ff00ff00ff<<8
}
func reverseBytes32(n uint64, _ int) uint64 {
	return bits.RotateLeft64(bits.ReverseBytes64(n), 32)
}
func leadingZeros(n uint64, size int) uint64 {
	return uint64(bits.LeadingZeros64(n) - (64 - 8*size))
}
func absolute(n uint64, size int) uint64 {
	if s := signed(n, size); s < 0 {
		return uint64(-s)
	}
	return n
}

// holds evaluates a condition, ConditionHolds of DDI 0487 J1.1.
func (c cond) holds(nzcv uint64) bool {
	n, z, cy, v := nzcv&8 != 0, nzcv&4 != 0, nzcv&2 != 0, nzcv&1 != 0
	var r bool
	switch c >> 1 {
	case 0:
		r = z
	case 1:
		r = cy
	case 2:
		r = n
	case 3:
		r = v
	case 4:
		r = cy && !z
	case 5:
		r = n == v
	case 6:
		r = n == v && !z
	default:
		return true
	}
	return r != (c&1 != 0)
}

// choose is CSEL and its like. zero: both operands are the zero register
// (CSET); same: they are one register (CINC); both invert the condition.
func choose(how string, zero, same bool) action {
	return func(m *machine, in *Instr) {
		yes, no, c := in.r[1], in.r[2], in.cond
		if zero {
			yes, no = ZR, ZR
		}
		if same {
			no = yes
		}
		if zero || same {
			c ^= 1
		}
		flags := operand{}
		if c < conditions["AL"] {
			flags = m.regs[NZCV]
		}
		var o operand
		if c.holds(flags.v.N) {
			o = m.sized(in, yes, in.width())
		} else {
			o = m.sized(in, no, in.width())
			switch how {
			case "INC":
				o.v.N++
			case "INV":
				o.v = Value{N: ^m.number(in, o.v)}
			case "NEG":
				o.v = Value{N: -m.number(in, o.v)}
			}
			o.v = m.mask(in, o.v, in.width())
		}
		// The flags decide which operand is picked: a pick dependency.
		o.from.pick |= flags.from.pick
		o.fixed = false
		m.set(in.r[0], o)
	}
}

// branch goes to the target, unless the loop bound is reached. A branch that
// initial values decide is no choice and does not count.
func (m *machine) branch(in *Instr, counts bool) {
	if counts && in.target <= m.pc {
		if m.jumps[in.target]++; m.jumps[in.target] > m.opt.bound() {
			m.cut = true
		}
	}
	m.pc, m.branched = in.target, true
}

func jump(m *machine, in *Instr) { m.branch(in, true) }

func branchIf(c cond) action {
	return func(m *machine, in *Instr) {
		flags := operand{fixed: true}
		if c < conditions["AL"] {
			flags = m.regs[NZCV]
		}
		m.ctrl = m.ctrl.or(flags.from)
		if c.holds(flags.v.N) {
			m.branch(in, !flags.fixed)
		}
	}
}

func branchZero(not bool) action {
	return func(m *machine, in *Instr) {
		o := m.reg(in.r[0])
		if !in.wide && o.v.Var == 0 {
			o.v.N &= 1<<32 - 1
		}
		m.ctrl = m.ctrl.or(o.from)
		if (o.v == Value{}) != not {
			m.branch(in, !o.fixed)
		}
	}
}

func branchBit(set bool) action {
	return func(m *machine, in *Instr) {
		o := m.reg(in.r[0])
		m.ctrl = m.ctrl.or(o.from)
		if m.number(in, o.v)>>(in.imm[0]&63)&1 != 0 == set {
			m.branch(in, !o.fixed)
		}
	}
}

func (m *machine) fence(in *Instr, what Annot) {
	m.fences = append(m.fences, fence{in: in, step: int32(m.step), what: what, ctrl: m.ctrl, at: int32(len(m.effects))})
}

func barrier(dsb bool) action {
	dmbs := [...]Annot{full: DMBFull, loads: DMBLoad, stores: DMBStore}
	dsbs := [...]Annot{full: DSBFull, loads: DSBLoad, stores: DSBStore}
	return func(m *machine, in *Instr) {
		if dsb {
			m.fence(in, dsbs[in.scope])
		} else {
			m.fence(in, dmbs[in.scope])
		}
	}
}

// readFlags is MRS of NZCV, writeFlags MSR.
func readFlags(m *machine, in *Instr) {
	o := m.regs[NZCV]
	o.v.N <<= 28
	m.set(in.r[0], o)
}

func writeFlags(m *machine, in *Instr) {
	o := m.reg(in.r[0])
	o.v = Value{N: m.number(in, o.v) >> 28 & 15}
	m.regs[NZCV] = o
}

func instructionBarrier(m *machine, in *Instr) { m.fence(in, ISBarrier) }

func nothing(*machine, *Instr) {}
