package litmus

import (
	"fmt"
	"math/bits"
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

// ---- addresses ----

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

// ---- memory ----

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

// loaded converts what a load has read for its register.
func (m *machine) loaded(in *Instr, o operand, size int, signed, wide bool) operand {
	if signed && size < 8 {
		n := m.number(in, o.v)
		shift := 64 - 8*size
		n = uint64(int64(n<<shift) >> shift)
		if !wide {
			n &= 1<<32 - 1
		}
		o.v = Value{N: n}
	}
	return o
}

// load is LDR, LDAR, LDAPR and their like.
func load(size int, signed bool, annot Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		a := m.address(in)
		o := m.read(in, a, n, annot)
		m.post(in, a, sources{})
		m.set(in.r[0], m.loaded(in, o, n, signed, in.wide))
	}
}

// store is STR, STLR and their like.
func store(size int, annot Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		d := m.sized(in, in.r[0], n)
		a := m.address(in)
		m.write(in, a, d.v, n, annot, d.from, sources{})
		m.post(in, a, d.from)
	}
}

// upper is the address of the second half of a pair.
func upper(a operand, size int) operand {
	a.v.N += uint64(size)
	return a
}

// pairAddress and pairPost keep a base register that is known in advance known:
// as herd's pairs do, other than its single loads and stores.
func (m *machine) pairAddress(in *Instr) operand {
	fixed := m.reg(in.mem.base).fixed
	a := m.address(in)
	if in.mem.mode == preMode {
		m.regs[in.mem.base].fixed = fixed
	}
	return a
}

func (m *machine) pairPost(in *Instr, a operand) {
	fixed := m.reg(in.mem.base).fixed
	m.post(in, a, sources{})
	if in.mem.mode == postMode {
		m.regs[in.mem.base].fixed = fixed
	}
}

// loadPair is LDP and its like: two reads, which only LDIAPP orders.
func loadPair(signed bool, annot Annot) action {
	return func(m *machine, in *Instr) {
		n := in.width()
		if signed {
			n = 4
		}
		a := m.pairAddress(in)
		first := m.read(in, a, n, annot)
		second := m.read(in, upper(a, n), n, annot)
		if annot == AcquirePC && m.ok() {
			last := len(m.effects) - 1
			m.effects[last].prev = 1 << (last - 1)
		}
		m.pairPost(in, a)
		m.set(in.r[0], m.loaded(in, first, n, signed, true))
		m.set(in.r[1], m.loaded(in, second, n, signed, true))
	}
}

// storePair is STP and its like: two writes, which only STILP orders, upwards
// or, with pre-index, downwards.
func storePair(annot Annot, ordered bool) action {
	return func(m *machine, in *Instr) {
		n := in.width()
		first, second := m.sized(in, in.r[0], n), m.sized(in, in.r[1], n)
		a := m.pairAddress(in)
		down := in.mem.mode == preMode && annot == Release
		if down {
			m.write(in, upper(a, n), second.v, n, annot, second.from, sources{})
		}
		m.write(in, a, first.v, n, annot, first.from, sources{})
		if !down {
			m.write(in, upper(a, n), second.v, n, annot, second.from, sources{})
		}
		if (ordered || down) && m.ok() {
			last := len(m.effects) - 1
			m.effects[last].prev = 1 << (last - 1)
		}
		m.pairPost(in, a)
	}
}

// ok reports whether the path goes on: what the instruction made is there.
func (m *machine) ok() bool { return m.err == nil && !m.dead }

// ---- exclusives ----

// reserve arms the monitor.
func (m *machine) reserve(a operand, size int) {
	m.regs[RES] = operand{v: a.v, from: a.from}
	m.lxSize = size
}

// loadExclusive is LDXR and LDAXR.
func loadExclusive(size int, annot Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		a := m.address(in)
		o := m.read(in, a, n, annot|Exclusive)
		m.reserve(a, n)
		m.set(in.r[0], o)
	}
}

// loadExclusivePair is LDXP and LDAXP: two reads that are single-copy atomic together.
func loadExclusivePair(annot Annot) action {
	return func(m *machine, in *Instr) {
		n := in.width()
		a := m.address(in)
		first := m.read(in, a, n, annot|Exclusive)
		second := m.read(in, upper(a, n), n, annot|Exclusive)
		if m.ok() {
			last := len(m.effects) - 1
			m.effects[last].group, m.effects[last-1].group = 1, 1
		}
		m.reserve(a, n)
		m.set(in.r[0], first)
		m.set(in.r[1], second)
	}
}

// succeeds decides whether a store-exclusive stores. It may fail for no
// reason; it must fail if the monitor was not armed by the last load-exclusive
// with the same size and address. Either way the monitor is disarmed, and the
// status depends on nothing.
func (m *machine) succeeds(in *Instr, status Reg, a operand, size int) (reservation operand, ok bool) {
	reservation = m.regs[RES]
	may := m.lxSize == size && reservation.v == a.v
	m.lxSize = 0
	m.regs[RES] = operand{from: sources{pick: reservation.from.pick}}
	if may {
		ok = m.opt.NoSpurious || m.choose(2) == 1
	}
	if ok {
		m.set(status, operand{})
	} else {
		m.set(status, operand{v: Value{N: 1}})
	}
	return reservation, ok
}

// storeExclusive is STXR and STLXR. Its data operand is read without the data
// port, so it makes no data dependency of its own: aob orders the pair.
func storeExclusive(size int, annot Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		d, a := m.sized(in, in.r[1], n), m.address(in)
		res, ok := m.succeeds(in, in.r[0], a, n)
		if ok && m.ok() {
			flow := d.from
			flow.pick |= res.from.pick
			m.write(in, a, d.v, n, annot|Exclusive, sources{}, flow)
		}
	}
}

// storeExclusivePair is STXP and STLXP.
func storeExclusivePair(annot Annot) action {
	return func(m *machine, in *Instr) {
		n := in.width()
		first, second, a := m.sized(in, in.r[1], n), m.sized(in, in.r[2], n), m.address(in)
		res, ok := m.succeeds(in, in.r[0], a, n)
		if !ok || !m.ok() {
			return
		}
		pick := sources{pick: res.from.pick}
		m.write(in, a, first.v, n, annot|Exclusive, sources{}, first.from.or(pick))
		m.write(in, upper(a, n), second.v, n, annot|Exclusive, sources{}, second.from.or(pick))
		if m.ok() {
			last := len(m.effects) - 1
			m.effects[last].group, m.effects[last-1].group = 1, 1
		}
	}
}

// ---- atomics ----

// atomicRead is the read of an atomic instruction. If no register receives the
// value, it is neither an acquire nor ordered by DMB LD.
func (m *machine) atomicRead(in *Instr, a operand, size int, acquire Annot, dest Reg) operand {
	if dest == ZR {
		acquire = NoReturn
	}
	return m.read(in, a, size, acquire|Atomic)
}

// pairs makes the last write an atomic pair with the read before it.
func (m *machine) pairs(w *effect, read int) {
	if m.ok() {
		w.pair |= 1 << read
	}
}

// swap is SWP: read and write are ordered, but the write does not depend on the read.
func swap(size int, acquire, release Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		d, a := m.sized(in, in.r[0], n), m.address(in)
		old := m.atomicRead(in, a, n, acquire, in.r[1])
		if !m.ok() {
			return
		}
		w := m.write(in, a, d.v, n, release|Atomic, d.from, sources{})
		m.pairs(w, len(m.effects)-2)
		w.prev = w.pair
		m.set(in.r[1], old)
	}
}

// fetchAndOp is LDADD and its like: what is written depends on what is read.
func fetchAndOp(op func(old, x uint64, size int) uint64, size int, acquire, release Annot) action {
	return func(m *machine, in *Instr) {
		m.fetchAndOp(in, op, size, acquire, release, in.r[1])
	}
}

// storeOp is STADD and its like: LDADD to the zero register.
func storeOp(op func(old, x uint64, size int) uint64, size int, release Annot) action {
	return func(m *machine, in *Instr) {
		m.fetchAndOp(in, op, size, 0, release, ZR)
	}
}

func (m *machine) fetchAndOp(in *Instr, op func(old, x uint64, size int) uint64, size int, acquire, release Annot, dest Reg) {
	n := size
	if n == 0 {
		n = in.width()
	}
	d, a := m.sized(in, in.r[0], n), m.address(in)
	old := m.atomicRead(in, a, n, acquire, dest)
	if !m.ok() {
		return
	}
	v := op(m.number(in, old.v), m.number(in, d.v), n)
	w := m.write(in, a, Value{N: v}, n, release|Atomic, d.from, old.from)
	m.pairs(w, len(m.effects)-2)
	m.set(dest, old)
}

// atomicOps are the operations of LD<op> and ST<op>.
var atomicOps = map[string]func(old, x uint64, size int) uint64{
	"ADD":  func(old, x uint64, _ int) uint64 { return old + x },
	"CLR":  func(old, x uint64, _ int) uint64 { return old &^ x },
	"EOR":  func(old, x uint64, _ int) uint64 { return old ^ x },
	"SET":  func(old, x uint64, _ int) uint64 { return old | x },
	"SMAX": func(old, x uint64, size int) uint64 { return uint64(max(signed(old, size), signed(x, size))) },
	"SMIN": func(old, x uint64, size int) uint64 { return uint64(min(signed(old, size), signed(x, size))) },
	"UMAX": func(old, x uint64, _ int) uint64 { return max(old, x) },
	"UMIN": func(old, x uint64, _ int) uint64 { return min(old, x) },
}

func signed(n uint64, size int) int64 {
	shift := 64 - 8*size
	return int64(n<<shift) >> shift
}

// A compare-and-swap has two outcomes for each result of the comparison, which
// differ in what depends on what: on success the register may hold what was
// compared or what was read; on failure the instruction may write back what it
// has read, or not write.
const (
	swapKeepsCompared = iota
	swapTakesRead
	failWritesBack
	failDoesNotWrite
)

// compareAndSwap is CAS.
func compareAndSwap(size int, acquire, release Annot) action {
	return func(m *machine, in *Instr) {
		n := size
		if n == 0 {
			n = in.width()
		}
		m.compareAndSwap(in, n, acquire, release, in.r[0:1], in.r[1:2])
	}
}

// compareAndSwapPair is CASP: both halves must be equal.
func compareAndSwapPair(acquire, release Annot) action {
	return func(m *machine, in *Instr) {
		m.compareAndSwap(in, in.width(), acquire, release, in.r[0:2], in.r[2:4])
	}
}

func (m *machine) compareAndSwap(in *Instr, n int, acquire, release Annot, rs, rt []Reg) {
	a := m.address(in)
	var compared, fresh, old [2]operand
	var comparedFrom, freshFrom, oldFrom sources
	for i := range rs {
		compared[i], fresh[i] = m.sized(in, rs[i], n), m.sized(in, rt[i], n)
		comparedFrom, freshFrom = comparedFrom.or(compared[i].from), freshFrom.or(fresh[i].from)
	}
	annot := acquire | Atomic
	if len(rs) == 1 && rs[0] == ZR {
		annot = NoReturn | Atomic
	}
	equal := true
	first := len(m.effects)
	for i := range rs {
		old[i] = m.read(in, upper(a, i*n), n, annot)
		if !m.ok() {
			return
		}
		oldFrom = oldFrom.or(old[i].from)
		equal = equal && old[i].v == compared[i].v
	}
	outcome := m.choose(2)
	if !equal {
		outcome += failWritesBack
	}
	if outcome == failDoesNotWrite {
		for i := range rs {
			m.effects[first+i].annot &^= Atomic
		}
	}
	// The comparison decides whether and what to write: a pick dependency.
	decided := sources{pick: comparedFrom.pick | oldFrom.pick}
	data, flow, result := freshFrom, decided, oldFrom
	switch outcome {
	case swapKeepsCompared:
		result = comparedFrom.or(decided)
		result.calc = oldFrom.calc
	case failWritesBack:
		data, flow = sources{}, oldFrom.or(decided)
	}
	data.pick |= comparedFrom.pick
	for i := range rs {
		if outcome == failDoesNotWrite {
			break
		}
		v := fresh[i].v
		if outcome == failWritesBack {
			v = old[i].v
		}
		w := m.write(in, upper(a, i*n), v, n, release|Atomic, data, flow)
		m.pairs(w, first+i)
	}
	for i := range rs {
		m.set(rs[i], operand{v: old[i].v, from: result})
	}
}

// ---- data processing ----

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

// ---- branches and barriers ----

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
