package litmus

// Actions of instructions that access memory. What depends on what is that of
// AArch64Sem.ml of herdtools7.

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
