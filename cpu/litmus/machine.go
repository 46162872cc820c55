package litmus

import (
	"fmt"
	"slices"
)

// machine runs one thread of a test alone. What a load returns is a choice
// among the values that might be in memory, so that one run is one path with
// its values; choices are enumerated by running again. While it runs, it keeps
// for every value the reads that it depends on.
//
// The names of dependencies are those of aarch64deps.cat: dtrm (through data
// in registers and memory) and pick-dtrm (also through what CSEL and CAS pick).
type machine struct {
	test   *Test
	thread int
	opt    *Options
	memory *domain
	// coherent drops paths early that internal visibility forbids. That saves
	// the most where it is needed most, but hides why they are forbidden.
	coherent bool

	choices []choice // of this run, in order
	next    int      // the choice to be taken next

	regs     [NReg]operand
	lxSize   int // size of the last load-exclusive, 0 if a store-exclusive came since
	pc, step int
	branched bool    // pc was set by the instruction
	ctrl     sources // reads that a branch of this path depends on

	touched uint64 // variables that some run has read, as bits
	effects []effect
	fences  []fence
	jumps   []int // by target: how often it was jumped back to
	cut     bool  // ended at the loop bound
	dead    bool  // some value cannot be: no path
	err     *Error
}

// choice is one of n alternatives.
type choice struct{ taken, n int }

// sources are reads of a thread, as bits by index into the effects of its path.
type sources struct {
	data uint64 // dtrm
	pick uint64 // pick-dtrm, a superset
	calc uint64 // reads that the value is computed from, otherwise than through memory
}

func (d sources) or(e sources) sources {
	return sources{d.data | e.data, d.pick | e.pick, d.calc | e.calc}
}

// operand is a value with what it depends on.
type operand struct {
	v     Value
	from  sources
	fixed bool // follows from initial values alone, so that no choice leads to it
}

// effect is a read or write of memory on a path.
type effect struct {
	in    *Instr
	step  int32
	kind  EventKind
	annot Annot
	vari  int16
	size  uint8
	group uint8 // effects of one step with the same group other than 0 are single-copy atomic together
	off   int32
	v     Value

	addr sources // through an address operand: the relations addr and pick-addr-dep
	data sources // through a data operand: data and pick-data-dep
	flow sources // in any way: what reaches the effect itself
	ctrl sources // through a branch before it: ctrl and pick-ctrl-dep
	calc uint64  // of a write: reads of this thread that its value is computed from
	pair uint64  // reads of the same instruction that this write makes an atomic pair with (amo)
	prev uint64  // effects of the same instruction that are intrinsically ordered before (iico_order)
}

// fence is a barrier on a path.
type fence struct {
	in   *Instr
	step int32
	what Annot
	ctrl sources
	at   int32 // how many effects come before it
}

// MaxEffects is how many memory accesses a thread's path may have: what fits the bits of sources.
const MaxEffects = 64

// MaxSteps is how many instructions a path may have: loops that no load decides end here.
const MaxSteps = 4096

// start prepares a run from the first instruction; choices up to next are repeated.
func (m *machine) start() {
	m.next, m.lxSize, m.pc, m.step = 0, 0, 0, 0
	m.regs = [NReg]operand{}
	for i := range m.regs {
		m.regs[i].fixed = true
	}
	for i := range m.test.Init {
		if b := &m.test.Init[i]; b.Thread == m.thread {
			m.regs[b.Reg].v = b.Value
		}
	}
	m.regs[RES].fixed = false
	m.ctrl = sources{}
	m.effects, m.fences = m.effects[:0], m.fences[:0]
	clear(m.jumps)
	m.cut, m.dead, m.err = false, false, nil
}

// run executes the thread once.
func (m *machine) run() {
	m.start()
	code := m.test.Threads[m.thread].Code
	for m.pc < len(code) && !m.cut && !m.dead && m.err == nil {
		if m.step == MaxSteps {
			m.fail(&code[m.pc], "a path of more than %d instructions (MaxSteps): no load decides when this loop ends", MaxSteps)
			return
		}
		in := &code[m.pc]
		m.branched = false
		if in.code != 0 {
			if in = m.fetch(in); !m.ok() {
				return
			}
		}
		in.does(m, in)
		m.step++
		if !m.branched {
			m.pc++
		}
	}
}

// again moves on to the next combination of choices; false after the last.
func (m *machine) again() bool {
	m.choices = m.choices[:m.next]
	for n := len(m.choices); n > 0; n-- {
		c := &m.choices[n-1]
		if c.taken++; c.taken < c.n {
			return true
		}
		m.choices = m.choices[:n-1]
	}
	return false
}

// choose takes one of n alternatives.
func (m *machine) choose(n int) int {
	if n == 0 {
		m.dead = true
		return 0
	}
	if m.next == len(m.choices) {
		m.choices = append(m.choices, choice{0, n})
	}
	m.next++
	return m.choices[m.next-1].taken
}

func (m *machine) fail(in *Instr, format string, args ...any) {
	if m.err == nil {
		m.err = &Error{File: m.test.File, Line: in.Line, Outside: true, Msg: fmt.Sprintf("%s: ", in.Text) + fmt.Sprintf(format, args...)}
	}
}

// reg reads a register.
func (m *machine) reg(r Reg) operand {
	if r == ZR {
		return operand{fixed: true}
	}
	return m.regs[r]
}

// sized reads the low bytes of a register.
func (m *machine) sized(in *Instr, r Reg, size int) operand {
	o := m.reg(r)
	o.v = m.mask(in, o.v, size)
	return o
}

// set writes a register.
func (m *machine) set(r Reg, o operand) {
	if r != ZR {
		m.regs[r] = o
	}
}

// mask keeps the low bytes of a value. Addresses have eight.
func (m *machine) mask(in *Instr, v Value, size int) Value {
	if size >= 8 || size == 4 && v.Var == word {
		return v
	}
	if v.Var != 0 {
		m.fail(in, "only %d bits of %s are used", 8*size, m.test.describe(v))
		return Value{}
	}
	v.N &= 1<<(8*size) - 1
	return v
}

// number returns a value that must not be an address.
func (m *machine) number(in *Instr, v Value) uint64 {
	if v.Var != 0 {
		m.fail(in, "computes with %s; only + and - of addresses are modelled", m.test.describe(v))
	}
	return v.N
}

// describe says what a value is, for messages.
func (t *Test) describe(v Value) string {
	switch {
	case v.Var == word:
		return "the instruction " + t.Words[v.N].Text
	case v.Var == 0:
		return fmt.Sprintf("address %#x", v.N)
	}
	return "the address of " + t.Vars[v.Var-1].Name
}

// width is the size of an instruction's registers in bytes.
func (in *Instr) width() int {
	if in.wide {
		return 8
	}
	return 4
}

// address computes the address of an access. The write-back of [X1,#4]! is
// done here, that of [X1],#4 by post.
func (m *machine) address(in *Instr) operand {
	a := &in.mem
	o := m.reg(a.base)
	switch a.mode {
	case offsetMode:
		o.v.N += a.offset
	case preMode:
		o.v.N += a.offset
		m.set(a.base, operand{v: o.v, from: o.from})
	case indexMode:
		i := m.reg(a.index)
		v := i.v
		switch a.how {
		case "UXTW":
			v = m.mask(in, v, 4)
		case "SXTW":
			v = Value{N: uint64(int64(int32(m.number(in, v))))}
		}
		if a.amount > 0 {
			v = Value{N: m.number(in, v) << a.amount}
		}
		o.v = m.add(in, o.v, v)
		o.from = o.from.or(i.from)
		o.fixed = o.fixed && i.fixed
	}
	return o
}

// post writes the base register back after the access. A store's new base
// depends on its data as well: herd's STR with post-index starts both writes
// after address and data have been read.
func (m *machine) post(in *Instr, addr operand, also sources) {
	if in.mem.mode == postMode {
		v := addr.v
		v.N += in.mem.offset
		from := addr.from.or(also)
		from.calc = addr.from.calc
		m.set(in.mem.base, operand{v: v, from: from})
	}
}

// add adds numbers, or a number to an address.
func (m *machine) add(in *Instr, a, b Value) Value {
	if a.Var != 0 && b.Var != 0 || a.Var == word || b.Var == word {
		m.fail(in, "adds two addresses, or to an instruction")
	}
	return Value{Var: a.Var | b.Var, N: a.N + b.N}
}

// place checks that an address is that of a variable.
func (m *machine) place(in *Instr, a Value, size int) bool {
	if a.Var <= 0 {
		m.fail(in, "accesses %s, which is no variable", m.test.describe(a))
		return false
	}
	v := &m.test.Vars[a.Var-1]
	total := uint64(len(v.Init) * v.Type.size())
	switch {
	case a.N >= total || a.N+uint64(size) > total:
		m.fail(in, "accesses bytes %d to %d of %s, which has %d; declare it larger, as in `uint64_t %s` or `int %s[4]`", int64(a.N), int64(a.N)+int64(size)-1, v.Name, total, v.Name, v.Name)
		return false
	case a.N%uint64(size) != 0:
		m.fail(in, "accesses %d bytes at offset %d of %s: unaligned accesses are outside this model", size, a.N, v.Name)
		return false
	}
	return true
}

// read makes a read of memory and returns its value.
func (m *machine) read(in *Instr, addr operand, size int, annot Annot) operand {
	if !m.place(in, addr.v, size) {
		return operand{}
	}
	if !m.effect(in) {
		return operand{}
	}
	m.touched |= 1 << (addr.v.Var - 1)
	possible := m.memory.values(int(addr.v.Var-1), int(addr.v.N), size)
	n := len(possible.values)
	own := -1 // the last own write, if memory does not know its value yet
	if m.coherent {
		if own = m.lastWrite(addr.v, size); own >= 0 && slices.Contains(possible.values, m.effects[own].v) {
			own = -1
		}
		if own >= 0 {
			n++
		}
	}
	k := m.choose(n)
	if m.dead {
		return operand{}
	}
	var v Value
	if k == len(possible.values) {
		v = m.effects[own].v
	} else if v = possible.values[k]; m.coherent && !m.mayRead(addr.v, size, v, possible.by[k]) {
		m.dead = true
		return operand{}
	}
	self := uint64(1) << len(m.effects)
	m.effects = append(m.effects, effect{
		in: in, step: int32(m.step), kind: Read, annot: annot,
		vari: int16(addr.v.Var - 1), off: int32(addr.v.N), size: uint8(size), v: v,
		addr: addr.from, flow: addr.from, ctrl: m.ctrl,
	})
	from := addr.from.or(m.forwarded(&m.effects[len(m.effects)-1]))
	from = from.or(sources{data: self, pick: self})
	from.calc = self
	return operand{v: v, from: from}
}

// lastWrite returns the last own write of exactly these bytes, -1 for none.
func (m *machine) lastWrite(at Value, size int) int {
	for i := len(m.effects) - 1; i >= 0; i-- {
		if e := &m.effects[i]; e.kind == Write && e.vari == int16(at.Var-1) && e.off == int32(at.N) && int(e.size) == size {
			return i
		}
	}
	return -1
}

// mayRead reports whether a value can be read without going back. Somebody must
// have written it: another thread, or the last own write, or the initial state
// if there is no own write. And what is written only once and has been seen is
// not seen again after something else.
func (m *machine) mayRead(at Value, size int, v Value, by writers) bool {
	same := func(e *effect) bool {
		return e.vari == int16(at.Var-1) && e.off == int32(at.N) && int(e.size) == size && e.annot&Fetch == 0
	}
	for i := range m.effects { // memory may not know yet what this path writes
		if e := &m.effects[i]; same(e) && e.kind == Write && e.v == v {
			by |= 1 << m.thread
		}
	}
	left, wrote, mine := false, false, false
	for i := len(m.effects) - 1; i >= 0; i-- {
		e := &m.effects[i]
		if !same(e) {
			continue
		}
		if e.v != v {
			left = true
		} else if left && by.once() {
			return false
		}
		if e.kind == Write && !wrote {
			wrote, mine = true, e.v == v
		}
	}
	if wrote && mine || !wrote && by&initially != 0 {
		return true
	}
	return by&^(initially|twice|1<<m.thread) != 0
}

// forwarded is what flows into a read from the last own writes of its bytes:
// lmrs, the local memory read successor.
func (m *machine) forwarded(r *effect) (d sources) {
	open := uint64(1)<<r.size - 1 // bytes of the read whose writer is not found yet
	for i := len(m.effects) - 1; i >= 0 && open != 0; i-- {
		w := &m.effects[i]
		if w.kind != Write || w.vari != r.vari || w.step == r.step {
			continue
		}
		if b := overlap(r, w) & open; b != 0 {
			d = d.or(w.flow)
			open &^= b
		}
	}
	return d
}

// overlap returns the bytes of a, as bits, that b accesses too.
func overlap(a, b *effect) uint64 {
	lo, hi := max(a.off, b.off), min(a.off+int32(a.size), b.off+int32(b.size))
	if a.vari != b.vari || lo >= hi {
		return 0
	}
	return (uint64(1)<<(hi-lo) - 1) << (lo - a.off)
}

// write makes a write to memory. data is what its data operand depends on,
// flow what else reaches it.
func (m *machine) write(in *Instr, addr operand, v Value, size int, annot Annot, data, flow sources) *effect {
	if !m.place(in, addr.v, size) || !m.effect(in) {
		return &effect{}
	}
	if v.Var > 0 && size != 8 || v.Var == word && size != 4 {
		m.fail(in, "stores %d bytes of %s", size, m.test.describe(v))
		return &effect{}
	}
	if v.Var == 0 && size < 8 {
		v.N &= 1<<(8*size) - 1
	}
	m.effects = append(m.effects, effect{
		in: in, step: int32(m.step), kind: Write, annot: annot,
		vari: int16(addr.v.Var - 1), off: int32(addr.v.N), size: uint8(size), v: v,
		addr: addr.from, data: data, flow: addr.from.or(data).or(flow), ctrl: m.ctrl, calc: data.calc | flow.calc,
	})
	return &m.effects[len(m.effects)-1]
}

// effect makes sure that there is room for one more.
func (m *machine) effect(in *Instr) bool {
	if len(m.effects) == MaxEffects {
		m.fail(in, "more than %d memory accesses in one thread (MaxEffects); lower the loop bound", MaxEffects)
	}
	return m.err == nil
}
