package litmus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxEdges is how long a cycle for Make may be: eight threads of eight events.
const MaxEdges = 64

// Make writes the test whose condition holds exactly in executions that
// contain the cycle of edges, for example
//
//	PodWW Rfe DpAddrdR Fre      message passing: MP+po+addr
//	DMB.SYdWR Fre PodWR Fre     store buffering: SB+dmb.sy+po
//
// in the notation of the diy tools: communication Rfe Fre Coe (Rfi Fri Coi stay
// in the thread; Ws is the older name of Co), program order Pod (different
// locations) and Pos (the same) with directions RR RW WR WW, barriers such as
// DMB.SYd and ISBd, dependencies DpAddrd DpDatad DpCtrld DpCtrlIsbd with the
// direction of the target, atomic updates LxSx and Amo.Swp, and annotations of
// source and target: PodWWPL ends in a store-release, PodRRAP starts with a
// load-acquire (Q: acquire-PC). Directions may be left out where neighbours
// give them: PodWW Rfe DpAddr Fre.
//
// A cycle needs two edges that leave the thread. The error names the edge that
// does not fit and what would.
func Make(words []string) (string, error) {
	c, err := newCycle(words)
	if err != nil {
		return "", err
	}
	c.splitThreads()
	c.name()
	if err := c.locate(); err != nil {
		return "", err
	}
	if err := c.order(); err != nil {
		return "", err
	}
	return c.text()
}

// cycleNode is one event of a cycle: the source of the edge with the same index.
type cycleNode struct {
	edgeEnd
	thread int
	loc    int // number of the location
	value  int // written or read
	prev   int // of a write: the location's value before it
	reg    int // that a read fills, once it is emitted; -1 for none
}

// makeCycle is a test in the making.
type makeCycle struct {
	edges   []makeEdge
	nodes   []cycleNode
	threads [][]int // nodes of each thread, in program order
	locs    int
	last    []int // final value of each location
	title   string
}

func newCycle(words []string) (*makeCycle, error) {
	c := &makeCycle{}
	lone := map[int]string{} // annotation of the event before edge i
	for _, w := range words {
		for _, w := range strings.FieldsFunc(w, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' || r == '\n' }) {
			if len(c.edges) == MaxEdges {
				return nil, fmt.Errorf("more than %d edges (MaxEdges)", MaxEdges)
			}
			if len(w) == 1 && strings.Contains("PALQ", w) {
				lone[len(c.edges)] = w
				continue
			}
			e, err := parseEdge(w)
			if err != nil {
				return nil, err
			}
			c.edges = append(c.edges, e)
		}
	}
	if len(c.edges) == 0 {
		return nil, fmt.Errorf("no edges; a cycle is written as in: PodWW Rfe DpAddrdR Fre")
	}
	external := 0
	for _, e := range c.edges {
		if e.external {
			external++
		}
	}
	switch {
	case external < 2:
		return nil, fmt.Errorf("%d of the edges leaves its thread; a cycle through two threads or more needs two of Rfe, Fre, Coe", external)
	case external > MaxThreads:
		return nil, fmt.Errorf("the cycle visits %d threads; a test may have %d (MaxThreads)", external, MaxThreads)
	}
	c.nodes = make([]cycleNode, len(c.edges))
	for i := range c.edges {
		if err := c.join(i, lone); err != nil {
			return nil, err
		}
	}
	if w, ok := lone[len(c.edges)]; ok { // after the last edge: before the first
		lone[0] = w
		if err := c.join(0, lone); err != nil {
			return nil, err
		}
	}
	// Start with a thread's first event.
	for !c.edges[len(c.edges)-1].external {
		c.rotate(1)
	}
	return c, nil
}

// join decides what the event between two edges is.
func (c *makeCycle) join(i int, lone map[int]string) error {
	before, after := c.edges[c.before(i)], c.edges[i]
	in, out := before.ends[1], after.ends[0]
	n := &c.nodes[i]
	switch n.dir = in.dir | out.dir; {
	case in.dir != 0 && out.dir != 0 && in.dir != out.dir:
		return fmt.Errorf("%s ends in a %s, but %s starts with a %s%s", before.word, directionName(in.dir), after.word, directionName(out.dir), after.fitting(in.dir))
	case n.dir == 0:
		return fmt.Errorf("the event between %s and %s may be a read or a write; write the directions, as in PodWR", before.word, after.word)
	}
	n.annot = in.annot | out.annot
	if in.annot != 0 && out.annot != 0 && in.annot != out.annot {
		return fmt.Errorf("%s and %s give different annotations to the event between them: %c and %c", before.word, after.word, in.annot, out.annot)
	}
	if w, ok := lone[i]; ok {
		n.annot = w[0]
	}
	switch {
	case n.annot == 'L' && n.dir == 'R':
		return fmt.Errorf("between %s and %s: a read cannot be a release; use A (acquire) or Q (acquire-PC)", before.word, after.word)
	case (n.annot == 'A' || n.annot == 'Q') && n.dir == 'W':
		return fmt.Errorf("between %s and %s: a write cannot be an acquire; use L (release)", before.word, after.word)
	case n.annot == 'Q' && after.kind == edgeRMW:
		return fmt.Errorf("between %s and %s: no atomic update is an acquire-PC; use A", before.word, after.word)
	case before.kind == edgeRMW && after.kind == edgeDep:
		return fmt.Errorf("%s starts with a read, but %s ends in a write", after.word, before.word)
	}
	return nil
}

// fitting suggests the edge e with another source.
func (e makeEdge) fitting(dir byte) string {
	if e.kind != edgePo && e.kind != edgeFence || e.ends[0].dir == 0 {
		return ""
	}
	at := strings.LastIndexAny(e.word, "RW")
	return fmt.Sprintf("; did you mean %s?", e.word[:at-1]+string(dir)+e.word[at:])
}

func directionName(dir byte) string {
	if dir == 'R' {
		return "read"
	}
	return "write"
}

func (c *makeCycle) before(i int) int { return (i + len(c.edges) - 1) % len(c.edges) }

// rotate makes event n the first.
func (c *makeCycle) rotate(n int) {
	c.edges = slices.Concat(c.edges[n:], c.edges[:n])
	c.nodes = slices.Concat(c.nodes[n:], c.nodes[:n])
}

func (c *makeCycle) splitThreads() {
	c.threads = c.threads[:0]
	for i := range c.edges {
		if c.edges[c.before(i)].external {
			c.threads = append(c.threads, nil)
		}
		n := len(c.threads) - 1
		c.nodes[i].thread = n
		c.threads[n] = append(c.threads[n], i)
	}
}

// locate gives each event its location: a new one after each edge between
// different locations; the last such edge returns to the first location.
func (c *makeCycle) locate() error {
	changes := 0
	var change makeEdge
	for _, e := range c.edges {
		if !e.same {
			changes++
			change = e
		}
	}
	if changes == 1 {
		return fmt.Errorf("%s is the only edge between different locations, so the cycle does not come back; use one more, or make it %s", change.word, strings.Replace(change.word, "d", "s", 1))
	}
	loc := 0
	for i := range c.nodes {
		c.nodes[i].loc = loc
		if !c.edges[i].same {
			loc++
			if loc == changes {
				loc = 0
			}
		}
	}
	c.locs = max(1, changes)
	return nil
}

// order numbers the values of each location along the cycle, which is the
// order in which they become visible if the cycle exists: every edge within a
// location goes from a value to the same (rf, program order) or to a later one
// (fr, co). If all events have one location, the edge of program order at
// which the walk starts is the one that coherence denies.
func (c *makeCycle) order() error {
	start := -1
	for i, e := range c.edges {
		if !e.same {
			start = (i + 1) % len(c.edges)
			break
		}
	}
	for i := 0; start < 0 && i < len(c.edges); i++ {
		if k := c.edges[i].kind; k != edgeCom && k != edgeRMW {
			start = (i + 1) % len(c.edges)
		}
	}
	if start < 0 {
		return fmt.Errorf("every edge is a communication or an atomic update of one location; add program order, such as PosRR")
	}
	c.last = make([]int, c.locs)
	for k := range c.nodes {
		i := (start + k) % len(c.nodes)
		n := &c.nodes[i]
		n.value = c.last[n.loc]
		if n.dir == 'R' {
			continue
		}
		n.prev = n.value
		n.value++
		if op := c.edges[c.before(i)].op; strings.HasSuffix(op, "set") {
			n.value = n.prev | (n.prev + 1) // sets the lowest bit that is clear
		}
		c.last[n.loc] = n.value
	}
	return nil
}

// writes returns the writes of a location by value.
func (c *makeCycle) writes(loc int) []int {
	var w []int
	for i, n := range c.nodes {
		if n.loc == loc && n.dir == 'W' {
			w = append(w, i)
		}
	}
	slices.SortFunc(w, func(a, b int) int { return c.nodes[a].value - c.nodes[b].value })
	return w
}

// observed reports whether someone must watch the location: the final value
// alone tells only which of the writes was the last.
func (c *makeCycle) observed(loc int) bool {
	w := c.writes(loc)
	for k := 0; k+2 < len(w); k++ {
		first, second := w[k], w[k+1]
		sameThread := c.nodes[first].thread == c.nodes[second].thread && first < second
		update := c.edges[c.before(second)].kind == edgeRMW
		if !sameThread && !update {
			return true
		}
	}
	return false
}

// locName is the name of a location: x y z a b c …
func locName(loc int) string {
	if loc < 3 {
		return string(rune('x' + loc))
	}
	if loc < 3+23 {
		return string(rune('a' + loc - 3))
	}
	return "x" + strconv.Itoa(loc)
}

// makeColumn is one thread's code as it is written.
type makeColumn struct {
	thread int
	regs   int         // registers in use
	addr   map[int]int // by location
	labels int
	init   []string
	code   []string
	atoms  []string // what the condition says of its registers
}

func (p *makeColumn) reg() int {
	p.regs++
	return p.regs - 1
}

func (p *makeColumn) put(format string, args ...any) {
	p.code = append(p.code, fmt.Sprintf(format, args...))
}

// address returns the register that holds the location's address.
func (p *makeColumn) address(loc int) int {
	r, ok := p.addr[loc]
	if !ok {
		r = p.reg()
		p.addr[loc] = r
		p.init = append(p.init, fmt.Sprintf("%d:X%d=%s;", p.thread, r, locName(loc)))
	}
	return r
}

func (p *makeColumn) wants(reg, value int) {
	p.atoms = append(p.atoms, fmt.Sprintf("%d:X%d=%d", p.thread, reg, value))
}

// text writes the test.
func (c *makeCycle) text() (string, error) {
	var columns []*makeColumn
	for t, nodes := range c.threads {
		p := &makeColumn{thread: t, addr: map[int]int{}}
		for k, i := range nodes {
			c.emit(p, i, k > 0)
		}
		columns = append(columns, p)
	}
	var atoms []string
	for loc := range c.locs {
		w := c.writes(loc)
		if len(w) > 1 {
			atoms = append(atoms, fmt.Sprintf("[%s]=%d", locName(loc), c.last[loc]))
		}
		if !c.observed(loc) {
			continue
		}
		p := &makeColumn{thread: len(columns), addr: map[int]int{}}
		if p.thread == MaxThreads {
			return "", fmt.Errorf("%d threads and one that watches the writes to %s; a test may have %d (MaxThreads)", p.thread, locName(loc), MaxThreads)
		}
		a := p.address(loc)
		for _, i := range w[:len(w)-1] {
			r := p.reg()
			p.put("LDR W%d,[X%d]", r, a)
			p.wants(r, c.nodes[i].value)
		}
		columns = append(columns, p)
	}
	for _, p := range columns {
		atoms = append(atoms, p.atoms...)
	}
	if len(atoms) == 0 {
		atoms = []string{"true"}
	}
	var words []string
	for _, e := range c.edges {
		words = append(words, e.word)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "AArch64 %s\n\"%s\"\n{\n", c.title, strings.Join(words, " "))
	for _, p := range columns {
		fmt.Fprintln(&b, strings.Join(p.init, " "))
	}
	b.WriteString("}\n")
	writeTable(&b, columns)
	fmt.Fprintf(&b, "exists (%s)\n", strings.Join(atoms, ` /\ `))
	return b.String(), nil
}

// writeTable writes the threads side by side.
func writeTable(b *strings.Builder, columns []*makeColumn) {
	rows := 0
	width := make([]int, len(columns))
	for k, p := range columns {
		rows = max(rows, len(p.code))
		width[k] = len(strconv.Itoa(p.thread)) + 1
		for _, line := range p.code {
			width[k] = max(width[k], len(line))
		}
	}
	for row := -1; row < rows; row++ {
		for k, p := range columns {
			cell := ""
			switch {
			case row < 0:
				cell = fmt.Sprintf("P%d", p.thread)
			case row < len(p.code):
				cell = p.code[row]
			}
			if k > 0 {
				b.WriteString("|")
			}
			fmt.Fprintf(b, " %-*s ", width[k], cell)
		}
		b.WriteString(";\n")
	}
}

// emit writes the instructions of event i and of the edge that leads to it,
// if that edge stays in the thread.
func (c *makeCycle) emit(p *makeColumn, i int, internal bool) {
	n := &c.nodes[i]
	n.reg = -1
	in := makeEdge{}
	if internal {
		in = c.edges[c.before(i)]
	}
	if in.kind == edgeRMW && internal {
		return // written with its read
	}
	offset := -1 // register with a zero that depends on the read before
	data := -1   // likewise, or the sum to store
	source := -1
	if in.kind == edgeDep {
		source = c.nodes[c.before(i)].reg
	}
	switch {
	case in.kind == edgeFence:
		p.put("%s", in.instr())
	case in.kind != edgeDep:
	case in.op == "addr":
		offset = p.zero(source)
	case in.op == "addrcsel":
		offset = p.selected(source)
	case in.op == "data":
		data = p.zero(source)
	case in.op == "datacsel":
		data = p.selected(source)
	case in.op == "ctrlcsel":
		r := p.reg()
		p.put("CMP W%d,#0", source)
		p.put("CSINC W%d,W%d,W%d,EQ", r, p.reg(), r)
		p.branch(r)
	default:
		p.branch(source)
		if in.op == "ctrlisb" {
			p.put("ISB")
		}
	}
	out := c.edges[i]
	switch {
	case out.kind == edgeRMW:
		c.emitUpdate(p, i, offset)
	case n.dir == 'W':
		if data >= 0 {
			p.put("ADD W%d,W%d,#%d", data, data, n.value)
		} else {
			data = p.reg()
			p.put("MOV W%d,#%d", data, n.value)
		}
		p.access(map[byte]string{'L': "STLR"}[n.annot], "STR", data, n.loc, offset)
	default:
		// An address that is new comes first, as the published tests have it.
		if offset < 0 {
			p.address(n.loc)
		}
		n.reg = p.reg()
		p.access(map[byte]string{'A': "LDAR", 'Q': "LDAPR"}[n.annot], "LDR", n.reg, n.loc, offset)
		if c.last[n.loc] != 0 {
			p.wants(n.reg, n.value)
		}
	}
}

// access writes a load or store; those with an annotation take no offset.
func (p *makeColumn) access(annotated, plain string, reg, loc, offset int) {
	a := p.address(loc)
	switch {
	case annotated != "":
		p.put("%s W%d,[X%d]", annotated, reg, p.sum(a, offset))
	case offset >= 0:
		p.put("%s W%d,[X%d,W%d,SXTW]", plain, reg, a, offset)
	default:
		p.put("%s W%d,[X%d]", plain, reg, a)
	}
}

// sum returns a register with the address and the offset added.
func (p *makeColumn) sum(a, offset int) int {
	if offset < 0 {
		return a
	}
	r := p.reg()
	p.put("ADD X%d,X%d,W%d,SXTW", r, a, offset)
	return r
}

// zero returns a register that is zero and depends on source.
func (p *makeColumn) zero(source int) int {
	r := p.reg()
	p.put("EOR W%d,W%d,W%d", r, source, source)
	return r
}

// selected returns a register that is zero and that a conditional select on
// source has filled: a pick dependency (aarch64deps.cat).
func (p *makeColumn) selected(source int) int {
	r, one := p.reg(), p.reg()
	p.put("MOV W%d,#1", one)
	p.put("CMP W%d,#0", source)
	p.put("CSEL W%d,W%d,W%d,EQ", r, one, p.reg())
	p.put("AND W%d,W%d,#2", r, r)
	return r
}

// branch depends on source and goes to the next instruction either way.
func (p *makeColumn) branch(source int) {
	label := fmt.Sprintf("L%d%d", p.thread, p.labels)
	p.labels++
	p.put("CBNZ W%d,%s", source, label)
	p.code = append(p.code, label+":")
}

// emitUpdate writes an atomic update: the read i and the write after it.
func (c *makeCycle) emitUpdate(p *makeColumn, i, offset int) {
	r, w := &c.nodes[i], c.nodes[(i+1)%len(c.nodes)]
	a := p.sum(p.address(r.loc), offset)
	acquire, release := r.annot == 'A', w.annot == 'L'
	op := c.edges[i].op
	store := strings.HasPrefix(op, "amo.st")
	if !store {
		r.reg = p.reg()
		p.wants(r.reg, r.value)
	}
	suffix := ""
	if acquire && !store {
		suffix = "A"
	}
	if release {
		suffix += "L"
	}
	operand := w.value
	switch op[len(op)-3:] {
	case "add":
		operand = w.value - r.value
	case "eor":
		operand = w.value ^ r.value
	case "set":
		operand = w.value &^ r.value
	}
	switch {
	case op == "rmw":
		v, status := p.reg(), p.reg()
		load, put := "LDXR", "STXR"
		if acquire {
			load = "LDAXR"
		}
		if release {
			put = "STLXR"
		}
		p.put("MOV W%d,#%d", v, w.value)
		p.put("%s W%d,[X%d]", load, r.reg, a)
		p.put("%s W%d,W%d,[X%d]", put, status, v, a)
		p.wants(status, 0)
	case op == "amo.cas":
		v := p.reg()
		p.put("MOV W%d,#%d", r.reg, r.value)
		p.put("MOV W%d,#%d", v, w.value)
		p.put("CAS%s W%d,W%d,[X%d]", suffix, r.reg, v, a)
	default:
		v := p.reg()
		p.put("MOV W%d,#%d", v, operand)
		name := strings.ToUpper(strings.TrimPrefix(op, "amo.")) + suffix
		if store {
			p.put("%s W%d,[X%d]", name, v, a)
		} else {
			p.put("%s W%d,W%d,[X%d]", name, v, r.reg, a)
		}
	}
}
