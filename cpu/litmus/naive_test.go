package litmus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The explorer against a deliberately naive enumerator: every choice of what
// each read reads, times every coherence order, and the model written down as
// relations between events, sets of pairs, closed by composing them until
// nothing is new. It shares no code with the explorer: it runs its own small
// programs, of which the explorer gets the text.

// nop is an instruction of a naive program.
type nop struct {
	kind string // ld st swp ldadd cas ldx stx fence ctrl csel add
	dst  int    // register; -1 for the zero register
	src  int    // register
	alt  int    // register: of csel the other operand, of cas the new value, of stx the data
	addr int    // register that the address pretends to depend on, -1 for none
	loc  int
	ann  string // A, Q, L, AL
	imm  uint64
	what string // of fence: DMB SY, …, ISB
}

type naiveProgram [][]nop

const naiveLocs = 2

var naiveNames = [naiveLocs]string{"x", "y"}

// text writes a program as a litmus test. X20 and X21 hold addresses.
func (p naiveProgram) text() string {
	var b strings.Builder
	b.WriteString("AArch64 naive\n{\n")
	var columns [][]string
	var shown []string
	for t, code := range p {
		fmt.Fprintf(&b, "%d:X20=x; %d:X21=y;\n", t, t)
		var c []string
		written := map[int]bool{}
		for i, n := range code {
			base := fmt.Sprintf("X%d", 20+n.loc)
			at := "[" + base + "]"
			if n.addr >= 0 {
				c = append(c, fmt.Sprintf("EOR W10,W%d,W%d", n.addr, n.addr))
				c = append(c, fmt.Sprintf("ADD X11,%s,W10,UXTW", base))
				at = "[X11]"
			}
			dst := "WZR"
			if n.dst >= 0 {
				dst = fmt.Sprintf("W%d", n.dst)
				written[n.dst] = true
			}
			switch n.kind {
			case "ld":
				c = append(c, map[string]string{"": "LDR", "A": "LDAR", "Q": "LDAPR"}[n.ann]+" "+dst+","+at)
			case "st":
				c = append(c, map[string]string{"": "STR", "L": "STLR"}[n.ann]+fmt.Sprintf(" W%d,%s", n.src, at))
			case "swp":
				c = append(c, fmt.Sprintf("SWP%s W%d,%s,%s", n.ann, n.src, dst, at))
			case "ldadd":
				c = append(c, fmt.Sprintf("LDADD%s W%d,%s,%s", n.ann, n.src, dst, at))
			case "cas":
				c = append(c, fmt.Sprintf("CAS%s %s,W%d,%s", n.ann, dst, n.alt, at))
			case "ldx":
				c = append(c, map[string]string{"": "LDXR", "A": "LDAXR"}[n.ann]+" "+dst+","+at)
			case "stx":
				c = append(c, map[string]string{"": "STXR", "L": "STLXR"}[n.ann]+fmt.Sprintf(" %s,W%d,%s", dst, n.alt, at))
			case "fence":
				c = append(c, n.what)
			case "ctrl":
				c = append(c, fmt.Sprintf("CBNZ W%d,L%d", n.src, i), fmt.Sprintf("L%d:", i))
			case "csel":
				c = append(c, fmt.Sprintf("CMP W%d,#0", n.src), fmt.Sprintf("CSEL %s,W%d,W%d,EQ", dst, n.src, n.alt))
			case "add":
				c = append(c, fmt.Sprintf("ADD %s,W%d,#%d", dst, n.src, n.imm))
			case "mov":
				c = append(c, fmt.Sprintf("MOV %s,#%d", dst, n.imm))
			}
		}
		columns = append(columns, c)
		for _, r := range slices.Sorted(maps.Keys(written)) {
			shown = append(shown, fmt.Sprintf("%d:X%d;", t, r))
		}
	}
	b.WriteString("}\n")
	rows := 0
	for t, c := range columns {
		rows = max(rows, len(c))
		b.WriteString([]string{" P", " | P"}[min(t, 1)] + itoa(t))
	}
	b.WriteString(" ;\n")
	for i := range rows {
		for t, c := range columns {
			if t > 0 {
				b.WriteString(" | ")
			}
			if i < len(c) {
				b.WriteString(c[i])
			}
		}
		b.WriteString(" ;\n")
	}
	fmt.Fprintf(&b, "locations [%s x; y;]\nforall true\n", strings.Join(shown, " "))
	return b.String()
}

// naiveEvent is a read or write.
type naiveEvent struct {
	thread, step   int
	write          bool
	loc            int
	acq, pc, rel   bool
	x, ex, noret   bool
	value          uint64
	known          bool
	addr, data     map[int]bool // reads that it depends on, by the relations of those names
	paddr, pdata   map[int]bool // … pick-addr, pick-data
	flow, pflow    map[int]bool // … that reach it in any way
	ctrl, pctrl    map[int]bool
	atomicPartner  int
	intrinsicAfter int
}

// naiveValue is a register's content.
type naiveValue struct {
	v          uint64
	known      bool
	from, pick map[int]bool
}

func (a naiveValue) join(b naiveValue) naiveValue {
	return naiveValue{0, a.known && b.known, union(a.from, b.from), union(a.pick, b.pick)}
}

func union(sets ...map[int]bool) map[int]bool {
	out := map[int]bool{}
	for _, s := range sets {
		maps.Copy(out, s)
	}
	return out
}

// naiveRun is one choice of outcomes (of CAS and STXR) and sources of reads.
type naiveRun struct {
	program naiveProgram
	pick    []int // outcomes, in order of threads and instructions
	picks   int   // how many were asked for
	alts    []int // how many alternatives each has
	rf      map[int]int
	values  map[int]uint64 // of writes, as far as known
	events  []*naiveEvent
	fences  []naiveFence
	regs    []map[int]naiveValue
	bad     bool
}

type naiveFence struct {
	thread, step int
	what         string
	ctrl         map[int]bool
	addressed    map[int]bool
}

func (r *naiveRun) outcome(n int) int {
	if r.picks == len(r.pick) {
		r.pick = append(r.pick, 0)
		r.alts = append(r.alts, n)
	}
	r.picks++
	return r.pick[r.picks-1]
}

// execute runs every thread with the values known so far.
func (r *naiveRun) execute() {
	r.events, r.fences, r.regs, r.picks, r.bad = nil, nil, nil, 0, false
	for t, code := range r.program {
		regs := map[int]naiveValue{}
		get := func(i int) naiveValue {
			if v, ok := regs[i]; ok {
				return v
			}
			return naiveValue{known: true}
		}
		set := func(i int, v naiveValue) {
			if i >= 0 {
				regs[i] = v
			}
		}
		var ctrl, pctrl, addressed map[int]bool
		monitor, res := -1, map[int]bool(nil)
		step := 0
		event := func(n nop, write bool, addr, data, also naiveValue) *naiveEvent {
			e := &naiveEvent{thread: t, step: step, write: write, loc: n.loc, addr: addr.from, paddr: addr.pick, data: data.from, pdata: data.pick,
				flow: union(addr.from, data.from, also.from), pflow: union(addr.pick, data.pick, also.pick), ctrl: ctrl, pctrl: pctrl, atomicPartner: -1, intrinsicAfter: -1}
			e.value, e.known = data.v, data.known
			r.events = append(r.events, e)
			addressed = union(addressed, addr.pick)
			return e
		}
		// read returns the value and what it and the own write before it depend on.
		read := func(n nop, addr naiveValue) (*naiveEvent, naiveValue) {
			e := event(n, false, addr, naiveValue{}, naiveValue{})
			id := len(r.events) - 1
			out := naiveValue{from: union(addr.from, map[int]bool{id: true}), pick: union(addr.pick, map[int]bool{id: true})}
			for i := id - 1; i >= 0; i-- {
				if w := r.events[i]; w.write && w.thread == t && w.loc == n.loc && w.step < step {
					out.from, out.pick = union(out.from, w.flow), union(out.pick, w.pflow)
					break
				}
			}
			if src, ok := r.rf[id]; ok && src < 0 {
				out.v, out.known = 0, true
			} else if ok {
				out.v, out.known = r.values[src], false
				_, out.known = r.values[src]
			}
			e.value, e.known = out.v, out.known
			return e, out
		}
		for _, n := range code {
			step++
			addr := naiveValue{known: true}
			if n.addr >= 0 {
				addr = get(n.addr)
			}
			switch n.kind {
			case "mov":
				set(n.dst, naiveValue{v: n.imm, known: true})
			case "add":
				v := get(n.src)
				v.v += n.imm
				set(n.dst, v)
			case "csel":
				c := get(n.src)
				v := c
				if c.known && c.v != 0 {
					v = get(n.alt)
				} else if !c.known {
					v = naiveValue{}
				}
				set(n.dst, naiveValue{v.v, v.known, v.from, union(v.pick, c.pick)})
			case "ctrl":
				ctrl, pctrl = union(ctrl, get(n.src).from), union(pctrl, get(n.src).pick)
			case "fence":
				r.fences = append(r.fences, naiveFence{t, step, n.what, union(pctrl), union(addressed)})
			case "ld":
				e, v := read(n, addr)
				e.acq, e.pc = n.ann == "A", n.ann == "Q"
				set(n.dst, v)
			case "ldx":
				e, v := read(n, addr)
				e.acq, e.ex = n.ann == "A", true
				monitor, res = n.loc, addr.pick
				set(n.dst, v)
			case "stx":
				ok := monitor == n.loc && r.outcome(2) == 1
				old := res
				monitor, res = -1, old
				d := get(n.alt)
				set(n.dst, naiveValue{v: 1, known: true})
				if ok {
					e := event(n, true, addr, naiveValue{v: d.v, known: d.known}, naiveValue{from: d.from, pick: union(d.pick, old)})
					e.rel, e.ex = n.ann == "L", true
					set(n.dst, naiveValue{known: true})
				}
			case "st":
				event(n, true, addr, get(n.src), naiveValue{}).rel = n.ann == "L"
			case "swp", "ldadd":
				d := get(n.src)
				e, v := read(n, addr)
				id := len(r.events) - 1
				e.x, e.noret, e.acq = true, n.dst < 0, n.dst >= 0 && strings.Contains(n.ann, "A")
				var w *naiveEvent
				if n.kind == "swp" {
					w = event(n, true, addr, d, naiveValue{})
					w.intrinsicAfter = id
				} else {
					w = event(n, true, addr, d, v)
					w.value, w.known = d.v+v.v, d.known && v.known
				}
				w.x, w.rel, w.atomicPartner = true, strings.Contains(n.ann, "L"), id
				set(n.dst, v)
			case "cas":
				outcome := r.outcome(4)
				old, fresh := get(n.dst), get(n.alt)
				e, v := read(n, addr)
				id := len(r.events) - 1
				e.x, e.acq = outcome != 3, strings.Contains(n.ann, "A")
				if old.known && v.known && (old.v == v.v) != (outcome < 2) {
					r.bad = true
				}
				branch := union(old.pick, v.pick)
				var w *naiveEvent
				switch outcome {
				case 0, 1:
					w = event(n, true, addr, naiveValue{fresh.v, fresh.known, fresh.from, union(fresh.pick, old.pick)}, naiveValue{pick: branch})
				case 2:
					w = event(n, true, addr, naiveValue{v.v, v.known, nil, old.pick}, naiveValue{from: v.from, pick: union(branch, v.pick)})
				}
				if w != nil {
					w.x, w.rel, w.atomicPartner = true, strings.Contains(n.ann, "L"), id
				}
				if outcome == 0 {
					set(n.dst, naiveValue{v.v, v.known, old.from, union(old.pick, branch)})
				} else {
					set(n.dst, v)
				}
			}
		}
		r.regs = append(r.regs, regs)
	}
}

// rel is a relation between events.
type rel map[[2]int]bool

func unions(rs ...rel) rel {
	out := rel{}
	for _, r := range rs {
		maps.Copy(out, r)
	}
	return out
}

func (r rel) seq(s rel) rel {
	out := rel{}
	for a := range r {
		for b := range s {
			if a[1] == b[0] {
				out[[2]int{a[0], b[1]}] = true
			}
		}
	}
	return out
}

func (r rel) closed() rel {
	for {
		next := unions(r, r.seq(r))
		if len(next) == len(r) {
			return next
		}
		r = next
	}
}

func (r rel) only(f func(a, b int) bool) rel {
	out := rel{}
	for p := range r {
		if f(p[0], p[1]) {
			out[p] = true
		}
	}
	return out
}

func (r rel) cyclic() bool {
	for p := range r.closed() {
		if p[0] == p[1] {
			return true
		}
	}
	return false
}

// allows decides whether Arm's model allows the run with a coherence order:
// the definitions of aarch64.cat one after the other.
func (r *naiveRun) allows(co rel) bool {
	es := r.events
	pairs := func(f func(a, b int) bool) rel {
		out := rel{}
		for a := range es {
			for b := range es {
				if f(a, b) {
					out[[2]int{a, b}] = true
				}
			}
		}
		return out
	}
	from := func(sets func(e *naiveEvent) map[int]bool) rel {
		return pairs(func(a, b int) bool { return sets(es[b])[a] })
	}
	isW := func(i int) bool { return es[i].write }
	ext := func(a, b int) bool { return es[a].thread != es[b].thread }
	in := func(a, b int) bool { return !ext(a, b) }
	po := pairs(func(a, b int) bool { return in(a, b) && es[a].step < es[b].step })
	poloc := po.only(func(a, b int) bool { return es[a].loc == es[b].loc })
	fenced := func(what ...string) rel {
		return po.only(func(a, b int) bool {
			return slices.ContainsFunc(r.fences, func(f naiveFence) bool {
				return slices.Contains(what, f.what) && f.thread == es[a].thread && es[a].step < f.step && f.step < es[b].step
			})
		})
	}
	rf := rel{}
	for read, w := range r.rf {
		if w >= 0 {
			rf[[2]int{w, read}] = true
		}
	}
	fr := pairs(func(a, b int) bool {
		if es[a].write || !es[b].write || es[a].loc != es[b].loc {
			return false
		}
		w := r.rf[a]
		return w < 0 || co[[2]int{w, b}]
	})
	amo := pairs(func(a, b int) bool { return es[b].atomicPartner == a && es[a].x })
	betweenEx := po.only(func(a, b int) bool { return es[a].ex && es[b].ex })
	lxsx := betweenEx.only(func(a, b int) bool { return !isW(a) && isW(b) })
	for p := range betweenEx.seq(betweenEx) {
		delete(lxsx, p)
	}
	rmw := unions(amo, lxsx)
	toW := func(_, b int) bool { return isW(b) }
	lmrs := poloc.only(func(a, b int) bool { return isW(a) && !isW(b) })
	for p := range poloc.only(toW).seq(poloc.only(func(a, _ int) bool { return isW(a) })) {
		delete(lmrs, p)
	}
	addr, data := from(func(e *naiveEvent) map[int]bool { return e.addr }), from(func(e *naiveEvent) map[int]bool { return e.data })
	ctrl := from(func(e *naiveEvent) map[int]bool { return e.ctrl })
	paddr, pdata := from(func(e *naiveEvent) map[int]bool { return e.paddr }), from(func(e *naiveEvent) map[int]bool { return e.pdata })
	pctrl := from(func(e *naiveEvent) map[int]bool { return e.pctrl })
	pbasic := from(func(e *naiveEvent) map[int]bool { return e.pflow })
	pbasic = unions(pbasic, pairs(func(a, b int) bool { // pick-dtrm contains lmrs
		return slices.ContainsFunc(slices.Collect(maps.Keys(lmrs)), func(p [2]int) bool { return p[1] == b && es[p[0]].pflow[a] })
	}))
	dob := unions(addr, data, ctrl.only(toW), addr.seq(po).only(toW), addr.seq(lmrs), data.seq(lmrs))
	pob := unions(paddr.only(toW), pdata, pctrl.only(toW), paddr.seq(po).only(toW))
	acquires := func(i int) bool { return !isW(i) && (es[i].acq || es[i].pc) }
	aob := unions(rmw, rmw.seq(lmrs).only(func(_, b int) bool { return acquires(b) }))
	strong := amo.only(func(a, b int) bool { return es[a].acq && es[b].rel })
	bob := unions(
		fenced("DMB SY"),
		fenced("DMB LD").only(func(a, _ int) bool { return !isW(a) && !es[a].noret }),
		fenced("DMB ST").only(func(a, b int) bool { return isW(a) && isW(b) }),
		po.only(func(a, _ int) bool {
			return slices.ContainsFunc(slices.Collect(maps.Keys(strong)), func(p [2]int) bool { return p[1] == a })
		}),
		po.only(func(a, b int) bool { return isW(a) && es[a].rel && !isW(b) && es[b].acq }),
		po.only(func(a, _ int) bool { return acquires(a) }),
		po.only(func(_, b int) bool { return isW(b) && es[b].rel }),
	)
	dsb := unions(
		fenced("DSB SY"),
		fenced("DSB LD").only(func(a, _ int) bool { return !isW(a) && !es[a].noret }),
		fenced("DSB ST").only(func(a, _ int) bool { return isW(a) }),
	)
	ifb := pairs(func(a, b int) bool {
		return slices.ContainsFunc(r.fences, func(f naiveFence) bool {
			return f.what == "ISB" && f.thread == es[b].thread && f.step < es[b].step && (f.ctrl[a] || f.addressed[a])
		})
	})
	lws := poloc.only(toW)
	intrinsic := pairs(func(a, b int) bool { return es[b].intrinsicAfter == a })
	lob := unions(dob, pob, aob, bob, dsb, ifb, lws, intrinsic).closed()
	pick := unions(pbasic, paddr, pdata, pctrl).only(func(a, b int) bool { return ext(a, b) || es[a].step != es[b].step })
	local := unions(lob, pick.seq(lob).only(toW)).closed()
	ca := unions(fr, co)
	haz := poloc.only(func(a, b int) bool { return !isW(a) && !isW(b) }).seq(fr.only(ext))
	obs := unions(rf.only(ext), ca.only(ext))
	if unions(local, haz, obs).cyclic() {
		return false
	}
	rfi := rf.only(in)
	if unions(poloc, rmw).only(func(a, b int) bool { return !isW(a) && isW(b) }).seq(rfi).cyclicPair() ||
		poloc.only(func(a, b int) bool { return isW(a) && isW(b) }).seq(ca.only(in)).cyclicPair() ||
		poloc.only(func(a, b int) bool { return isW(a) && !isW(b) }).seq(ca.only(in)).cyclicPair() {
		return false
	}
	excused := fr.only(in).seq(co.only(in))
	for p := range fr.seq(co) {
		if rmw[p] && !excused[p] {
			return false
		}
	}
	return true
}

// cyclicPair reports whether a relation holds between an event and itself.
func (r rel) cyclicPair() bool {
	for p := range r {
		if p[0] == p[1] {
			return true
		}
	}
	return false
}

// naiveStates returns the final states that are allowed and how many
// executions end in each.
func naiveStates(p naiveProgram) map[string]int {
	out := map[string]int{}
	r := &naiveRun{program: p, rf: map[int]int{}, values: map[int]uint64{}}
	for more := true; more; {
		r.rf, r.values = map[int]int{}, map[int]uint64{}
		r.execute()
		var reads []int
		sources := map[int][]int{}
		for i, e := range r.events {
			if e.write {
				continue
			}
			reads = append(reads, i)
			sources[i] = []int{-1}
			for k, w := range r.events {
				if w.write && w.loc == e.loc {
					sources[i] = append(sources[i], k)
				}
			}
		}
		r.sources(reads, sources, out)
		// The next combination of outcomes.
		more = false
		for n := r.picks; n > 0 && !more; n-- {
			if r.pick[n-1]++; r.pick[n-1] < r.alts[n-1] {
				more = true
				r.pick, r.alts = r.pick[:n], r.alts[:n]
			}
		}
	}
	return out
}

// sources chooses what each read reads.
func (r *naiveRun) sources(reads []int, from map[int][]int, out map[string]int) {
	if len(reads) > 0 {
		for _, w := range from[reads[0]] {
			r.rf[reads[0]] = w
			r.sources(reads[1:], from, out)
		}
		return
	}
	// Values flow along reads-from; those that never become known are cyclic.
	r.values = map[int]uint64{}
	for range len(r.events) + 1 {
		r.execute()
		for i, e := range r.events {
			if e.write && e.known {
				r.values[i] = e.value
			}
		}
	}
	r.execute()
	if r.bad || slices.ContainsFunc(r.events, func(e *naiveEvent) bool { return !e.known }) {
		return
	}
	r.orders(0, rel{}, out)
}

// orders chooses the coherence of each location.
func (r *naiveRun) orders(loc int, co rel, out map[string]int) {
	if loc < naiveLocs {
		var writes []int
		for i, e := range r.events {
			if e.write && e.loc == loc {
				writes = append(writes, i)
			}
		}
		permute(writes, func(order []int) {
			next := unions(co)
			for i, a := range order {
				for _, b := range order[i+1:] {
					next[[2]int{a, b}] = true
				}
			}
			r.orders(loc+1, next, out)
		})
		return
	}
	if r.allows(co) {
		out[r.state(co)]++
	}
}

func permute(list []int, f func([]int)) {
	var rec func(k int)
	rec = func(k int) {
		if k == len(list) {
			f(list)
			return
		}
		for i := k; i < len(list); i++ {
			list[k], list[i] = list[i], list[k]
			rec(k + 1)
			list[k], list[i] = list[i], list[k]
		}
	}
	rec(0)
}

func (r *naiveRun) state(co rel) string {
	var b strings.Builder
	for t, regs := range r.regs {
		written := map[int]bool{}
		for _, n := range r.program[t] {
			if n.dst >= 0 && n.kind != "st" && n.kind != "fence" && n.kind != "ctrl" {
				written[n.dst] = true
			}
		}
		for _, i := range slices.Sorted(maps.Keys(written)) {
			fmt.Fprintf(&b, "%d:X%d=%d; ", t, i, regs[i].v)
		}
	}
	for loc, name := range naiveNames {
		var v uint64
		for i, e := range r.events {
			last := e.write && e.loc == loc
			for k := range r.events {
				last = last && !co[[2]int{i, k}]
			}
			if last {
				v = e.value
			}
		}
		fmt.Fprintf(&b, "[%s]=%d; ", name, v)
	}
	return strings.TrimSpace(b.String())
}

// seeded is a small generator of numbers: the same everywhere.
type seeded uint64

func (s *seeded) below(n int) int {
	*s ^= *s << 13
	*s ^= *s >> 7
	*s ^= *s << 17
	return int(uint64(*s) >> 11 % uint64(n))
}

// randomProgram makes 2 or 3 threads with few enough accesses for the naive way.
func randomProgram(s *seeded) naiveProgram {
	threads := 2 + s.below(2)
	budget := 6 // accesses; atomics count twice
	p := make(naiveProgram, threads)
	for t := range p {
		reg := 0
		fresh := func() int { reg++; return reg }
		some := func() int { return 1 + s.below(max(reg, 1)) } // perhaps never written: 0
		for k := 2 + s.below(3); k > 0; k-- {
			n := nop{addr: -1, loc: s.below(naiveLocs)}
			if s.below(4) == 0 && reg > 0 {
				n.addr = some()
			}
			pick := func(words ...string) string { return words[s.below(len(words))] }
			kind := s.below(17)
			if budget < 2 && kind < 14 || budget < 1 {
				kind = 14 + s.below(3)
			}
			switch {
			case kind < 4:
				n.kind, n.ann, n.dst = "ld", pick("", "", "A", "Q"), fresh()
				budget--
			case kind < 8:
				v := nop{kind: "mov", dst: 8, imm: uint64(1 + s.below(2)), addr: -1}
				n.kind, n.ann, n.src, n.dst = "st", pick("", "", "L"), 8, -1
				if s.below(2) == 0 && reg > 0 {
					n.src = some()
				} else {
					p[t] = append(p[t], v)
				}
				budget--
			case kind == 8:
				p[t] = append(p[t], nop{kind: "mov", dst: 8, imm: 2, addr: -1})
				n.kind, n.ann, n.src, n.dst = pick("swp", "ldadd"), pick("", "A", "L", "AL"), 8, fresh()
				if s.below(3) == 0 {
					n.dst = -1
				}
				budget -= 2
			case kind == 9:
				p[t] = append(p[t], nop{kind: "mov", dst: 8, imm: 2, addr: -1})
				n.kind, n.ann, n.dst, n.alt = "cas", pick("", "A", "L", "AL"), some(), 8
				budget -= 2
			case kind < 12:
				n.kind, n.ann, n.dst = "ldx", pick("", "A"), fresh()
				p[t] = append(p[t], n)
				if s.below(3) == 0 {
					p[t] = append(p[t], nop{kind: "mov", dst: 8, imm: 2, addr: -1}, nop{kind: "st", src: 8, dst: -1, addr: -1, loc: n.loc})
					budget--
				}
				n = nop{kind: "stx", ann: pick("", "L"), dst: fresh(), alt: some(), addr: -1, loc: n.loc}
				budget -= 2
			case kind == 12 && reg > 1:
				n.kind, n.src, n.alt, n.dst = "csel", some(), some(), fresh()
			case kind == 13 && reg > 0:
				n.kind, n.src, n.dst, n.imm = "add", some(), fresh(), 1
			case kind == 14 && reg > 0:
				n.kind, n.src, n.dst = "ctrl", some(), -1
			case kind == 15:
				n.kind, n.what, n.dst = "fence", "ISB", -1
			default:
				n.kind, n.what, n.dst = "fence", pick("DMB SY", "DMB LD", "DMB ST", "DSB SY", "DSB LD", "DSB ST"), -1
			}
			p[t] = append(p[t], n)
		}
	}
	return p
}

func TestAgainstNaive(t *testing.T) {
	count := 600
	if testing.Short() {
		count = 50
	}
	s := seeded(0x9e3779b97f4a7c15)
	executions := 0
	for i := range count {
		p := randomProgram(&s)
		want := naiveStates(p)
		test, err := Parse("naive", []byte(p.text()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, p.text())
		}
		r, err := Explore(test, Options{coherent: i%2 == 1, halves: i%4 >= 2})
		if err != nil {
			t.Fatalf("%v in\n%s", err, p.text())
		}
		total := 0
		for _, n := range want {
			total += n
		}
		executions += total
		have := map[string]bool{}
		for _, s := range r.States {
			have[r.StateText(s)] = true
		}
		for _, state := range slices.Sorted(maps.Keys(want)) {
			if !have[state] {
				t.Errorf("program %d: missing %s", i, state)
			}
			delete(have, state)
		}
		for _, state := range slices.Sorted(maps.Keys(have)) {
			t.Errorf("program %d: unexpected %s", i, state)
		}
		if total != r.Positive+r.Negative {
			t.Errorf("program %d: %d executions, want %d", i, r.Positive+r.Negative, total)
		}
		if t.Failed() {
			t.Fatal(p.text())
		}
	}
	t.Logf("%d programs, %d executions", count, executions)
}
