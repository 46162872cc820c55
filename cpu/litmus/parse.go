package litmus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a test: beyond them Parse says so and names the limit.
const (
	MaxFile         = 1 << 20 // bytes of text; the longest published tests have a few KiB
	MaxThreads      = 8       // columns
	MaxInstructions = 256     // in one thread
	MaxVariables    = 64      // shared: what fits the bits of machine.touched
	MaxElements     = 256     // of an array
	MaxDepth        = 200     // of parentheses in a condition
)

// Parse reads a test. file names the text in errors. An *Error is returned for
// the first thing that is malformed, or that lies outside user mode.
func Parse(file string, text []byte) (*Test, error) {
	if len(text) > MaxFile {
		return nil, &Error{File: file, Msg: fmt.Sprintf("%d bytes; a test may have %d (MaxFile)", len(text), MaxFile)}
	}
	clean, err := blank(file, strings.ReplaceAll(string(text), "\r\n", "\n"))
	if err != nil {
		return nil, err
	}
	p := &parser{scanner: scanner{file: file, text: clean, line: 1}, test: &Test{File: file}}
	for _, part := range []func(*parser) error{(*parser).header, (*parser).init, (*parser).program, (*parser).tail} {
		if err := part(p); err != nil {
			return nil, err
		}
	}
	for _, u := range p.untyped {
		b := p.test.Init[u.reg]
		if slices.Contains(p.test.shown(), Term{Thread: b.Thread, Reg: b.Reg, Index: -1}) {
			return nil, p.typeError(u.line, u.word)
		}
	}
	return p.test, nil
}

type parser struct {
	scanner
	test     *Test
	initLine int
	untyped  []untyped
	symbolic []symbolic      // in the initial state
	symbols  map[string]Term // what they stand for, once the code is known
}

// untyped is a register whose declared type is unknown.
type untyped struct {
	reg  int // index into Test.Init
	line int
	word string
}

// header reads the name, the document string, and Key=value lines up to "{".
func (p *parser) header() error {
	if !p.eatWord("AArch64") {
		return p.fail(p.line, "expected `AArch64 NAME` as the first line, found %s", p.found())
	}
	first, rest, _ := strings.Cut(p.text[p.pos:], "\n")
	name, after, _ := strings.Cut(strings.TrimLeft(first, " \t"), " ")
	name = strings.TrimRight(name, ";\r\t")
	if name == "" {
		return p.fail(p.line, "expected the test's name after AArch64")
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !isDigit(c) && !isLetter(c) && !strings.ContainsRune("+.-/[]:_", rune(c)) {
			return p.fail(p.line, "%s is no test name; letters, digits and + . - / [ ] : _ may be used", quote(name))
		}
	}
	p.test.Name = name
	// An optional document string, in this line or the next.
	open := strings.TrimSpace(after)
	p.pos += len(first)
	if open == "" || open == ";" {
		open = strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0])
	}
	if strings.HasPrefix(open, `"`) {
		from := strings.IndexByte(p.text[p.pos-len(first):], '"') + p.pos - len(first)
		to := strings.IndexByte(p.text[from+1:], '"')
		if to < 0 {
			return p.fail(p.line, "the document string is never closed; add \"")
		}
		p.test.Doc = p.text[from+1 : from+1+to]
		p.line += strings.Count(p.text[p.pos:max(p.pos, from+to+2)], "\n")
		p.pos = max(p.pos, from+to+2)
	}
	for {
		at := strings.IndexAny(p.text[p.pos:], "\n{")
		if at < 0 {
			return p.fail(p.line, "expected the initial state `{ … }`")
		}
		line := p.text[p.pos : p.pos+at]
		if key, value, ok := strings.Cut(line, "="); ok && isName(strings.TrimSpace(key)) {
			if at = strings.IndexByte(p.text[p.pos:], '\n'); at < 0 {
				return p.fail(p.line, "expected the initial state `{ … }`")
			}
			_, value, _ = strings.Cut(p.text[p.pos:p.pos+at], "=")
			if err := p.info(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
				return err
			}
		}
		p.pos += at
		if p.text[p.pos] == '{' {
			p.pos++
			return nil
		}
		p.pos++
		p.line++
	}
}

// info takes a line Key=value. Variants change what the test means.
func (p *parser) info(key, value string) error {
	if strings.EqualFold(key, "Variant") {
		for _, v := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
			if !strings.EqualFold(v, "mixed") && !strings.EqualFold(v, "ifetch") {
				return p.outside(p.line, "Variant=%s is outside user mode with plain memory", value)
			}
		}
	}
	p.test.Info = append(p.test.Info, Info{key, value})
	return nil
}

// types are the names that a declaration may use, as in lib/testType.ml of herdtools7.
var types = map[string]Type{
	"int": {Size: 4}, "long": {Size: 4}, "int32_t": {Size: 4}, "uint32_t": {Size: 4, Unsigned: true},
	"atomic_t": {Size: 4, Unsigned: true},
	"char":     {Size: 1}, "int8_t": {Size: 1}, "uint8_t": {Size: 1, Unsigned: true},
	"short": {Size: 2}, "int16_t": {Size: 2}, "uint16_t": {Size: 2, Unsigned: true},
	"int64_t": {Size: 8}, "uint64_t": {Size: 8, Unsigned: true},
	"intptr_t": {Size: 8}, "uintptr_t": {Size: 8, Unsigned: true},
}

var pointer = Type{Size: 8, Unsigned: true}

// outsideWords are what initial states and conditions of tests outside user mode start with.
var outsideWords = []string{"PTE", "TTD", "PA", "TAG", "tag", "pac", "pacda", "pacdb", "pacia", "pacib", "SS", "SSCap", "instr", "label", "fault", "Fault", "PTE2", "ins_t", "pteval_t", "parel1_t"}

// init reads the initial state up to "}".
func (p *parser) init() error {
	p.initLine = p.line
	var addresses []address
	for {
		for p.eat(";") {
		}
		if p.eat("}") {
			break
		}
		if p.peek() == 0 {
			return p.fail(p.initLine, "the initial state is never closed; add }")
		}
		if err := p.initAtom(&addresses); err != nil {
			return err
		}
		if c := p.peek(); c != ';' && c != '}' {
			return p.fail(p.line, "expected ; between initial values, found %s", p.found())
		}
	}
	// x[2] means element 2, and so depends on a declaration that may follow.
	for _, a := range addresses {
		v := &p.test.Vars[a.in.Var-1]
		if a.index != 0 && !v.Array {
			return p.fail(a.line, "%s is no array; declare it with its size, as in `int %s[2]`", v.Name, v.Name)
		}
		if a.index >= max(1, len(v.Init)) {
			return p.fail(a.line, "%s has %d elements; there is no %s[%d]", v.Name, len(v.Init), v.Name, a.index)
		}
		a.in.N = uint64(a.index * p.test.size(int(a.in.Var-1)))
		if a.store != nil {
			*a.store(p.test) = a.in
		}
	}
	return nil
}

// address is a value x, &x or x[2] in the initial state, and where it goes.
type address struct {
	in    Value
	index int
	line  int
	store func(*Test) *Value
}

// initAtom reads one initial value: `x=1`, `uint64_t 0:X1=x`, `int v[2]={1,2}`, …
func (p *parser) initAtom(addresses *[]address) error {
	line := p.line
	typ, typed := Type{}, false
	if p.eatWord("_Atomic") {
		typed = true
	}
	save := p.scanner
	if word := p.name(); word != "" {
		if slices.Contains(outsideWords, word) && !(word == "ins_t" && p.test.fetching()) && p.peek() != '=' && p.peek() != ';' && p.peek() != '[' {
			return p.outside(line, "%s: page tables, tags, pointer authentication, faults, instructions and labels are outside user mode", word)
		}
		c := p.peek()
		// A name before another name, a register, [x] or * is a type.
		if c != '=' && c != ';' && c != '}' && c != 0 && !(c == '[' && p.isIndex()) && c != ':' {
			t, ok := types[word]
			if word == "ins_t" && p.test.fetching() {
				t, ok = Type{Size: 4, Unsigned: true}, true
			}
			if !ok {
				// A register's type matters only where its value prints.
				if c != '%' && (isDigit(c) || c == 'P') && !slices.Contains(outsideWords, word) {
					p.untyped = append(p.untyped, untyped{len(p.test.Init), line, word})
				} else {
					return p.typeError(line, word)
				}
			}
			typ, typed = t, true
		} else {
			p.scanner = save
		}
	}
	if p.eat("*") {
		typ, typed = pointer, true
	}
	place, err := p.initPlace(typ, typed)
	if err != nil {
		return err
	}
	if !p.eat("=") {
		return nil
	}
	if p.peek() == '{' {
		return p.arrayInit(place, addresses)
	}
	return p.initValue(place, 0, addresses)
}

func (p *parser) typeError(line int, word string) error {
	for _, wide := range []string{"int128_t", "uint128_t", "__int128", "__uint128", "__int128_t", "__uint128_t"} {
		if word == wide {
			return p.outside(line, "%s: vectors of 128 bits are outside this model", word)
		}
	}
	if slices.Contains(outsideWords, word) {
		return p.outside(line, "%s is outside user mode", word)
	}
	return p.fail(line, "unknown type %s; int, uint64_t and the like are known", quote(word))
}

// isIndex reports whether [ is followed by a number: an array's size or an element.
func (p *parser) isIndex() bool {
	rest := strings.TrimLeft(p.text[p.pos+1:], " \t")
	return rest != "" && isDigit(rest[0])
}

// initPlace is what an initial value is given to.
type initPlace struct {
	reg   int // index into Test.Init, or -1
	vari  int // index into Test.Vars, or -1
	typed bool
}

func (p *parser) initPlace(typ Type, typed bool) (initPlace, error) {
	line := p.line
	thread, ok, err := p.threadPrefix()
	if err != nil {
		return initPlace{}, err
	}
	if name := p.symbol(); name != "" {
		for _, s := range p.symbolic {
			if s.name == name {
				return initPlace{}, p.fail(line, "%%%s has two initial values", name)
			}
		}
		p.symbolic = append(p.symbolic, symbolic{name, line, len(p.test.Init)})
		p.test.Init = append(p.test.Init, Binding{Thread: -1, Type: typ})
		return initPlace{reg: len(p.test.Init) - 1, vari: -1, typed: typed}, nil
	}
	if ok {
		reg, err := p.register()
		if err != nil {
			return initPlace{}, err
		}
		if reg == ZR {
			return initPlace{}, p.fail(line, "the zero register has no initial value")
		}
		for _, b := range p.test.Init {
			if b.Thread == thread && b.Reg == reg {
				return initPlace{}, p.fail(line, "%d:X%d has two initial values", thread, reg)
			}
		}
		if thread >= MaxThreads {
			return initPlace{}, p.fail(line, "thread %d; a test may have %d (MaxThreads)", thread, MaxThreads)
		}
		p.test.Init = append(p.test.Init, Binding{Thread: thread, Reg: reg, Type: typ})
		return initPlace{reg: len(p.test.Init) - 1, vari: -1, typed: typed}, nil
	}
	bracket := p.eat("[")
	name := p.name()
	if name == "" {
		return initPlace{}, p.fail(line, "expected a variable or a register such as 0:X1, found %s", p.found())
	}
	if c := p.peek(); c == ':' || c == '(' {
		return initPlace{}, p.outside(line, "%s%c…: page tables, tags, pointer authentication and faults are outside user mode", name, c)
	}
	if bracket {
		if err := p.expect("]", "after ["+name); err != nil {
			return initPlace{}, err
		}
	}
	known := p.test.variable(name) >= 0
	v, err := p.declare(name)
	if err != nil {
		return initPlace{}, err
	}
	vr := &p.test.Vars[v]
	if known && (typed || vr.Array || p.peek() == '=') && p.declared(v) {
		return initPlace{}, p.fail(line, "%s has two initial values", name)
	}
	vr.Type = typ
	p.mark(v)
	if !bracket && p.peek() == '[' {
		p.eat("[")
		n, ok, err := p.number()
		if err != nil {
			return initPlace{}, err
		}
		if !ok || n == 0 || n > MaxElements {
			return initPlace{}, p.fail(line, "%s: an array has 1 to %d elements (MaxElements)", name, MaxElements)
		}
		if !typed {
			return initPlace{}, p.fail(line, "only whole arrays have initial values; write `int %s[%d]={…}`", name, n)
		}
		if err := p.expect("]", "after the array's size"); err != nil {
			return initPlace{}, err
		}
		vr.Array, vr.Init = true, make([]Value, n)
	}
	return initPlace{reg: -1, vari: v, typed: typed}, nil
}

// declared and mark remember, in Init's capacity for the parser alone, which
// variables had a declaration of their own rather than a mention as an address.
func (p *parser) declared(v int) bool { return len(p.test.Vars[v].Init) > 0 }

func (p *parser) mark(v int) { p.test.Vars[v].Init = make([]Value, 1) }

// declare returns the variable of that name, made if need be.
func (p *parser) declare(name string) (int, error) {
	if i := p.test.variable(name); i >= 0 {
		return i, nil
	}
	if len(p.test.Vars) == MaxVariables {
		return 0, p.fail(p.line, "more than %d variables (MaxVariables)", MaxVariables)
	}
	p.test.Vars = append(p.test.Vars, Variable{Name: name})
	return len(p.test.Vars) - 1, nil
}

func (p *parser) arrayInit(place initPlace, addresses *[]address) error {
	line := p.line
	if place.vari < 0 || !p.test.Vars[place.vari].Array {
		return p.fail(line, "{…} is the initial value of an array; declare one, as in `int x[2]={1,2}`")
	}
	p.eat("{")
	n := len(p.test.Vars[place.vari].Init)
	for i := 0; ; i++ {
		if i == n {
			return p.fail(line, "%s has %d elements; more values are given", p.test.Vars[place.vari].Name, n)
		}
		if err := p.initValue(place, i, addresses); err != nil {
			return err
		}
		if p.eat("}") {
			if i+1 != n {
				return p.fail(line, "%s has %d elements; %d values are given", p.test.Vars[place.vari].Name, n, i+1)
			}
			return nil
		}
		if err := p.expect(",", "between values"); err != nil {
			return err
		}
	}
}

// initValue reads a number or an address and stores it in element i of place.
func (p *parser) initValue(place initPlace, i int, addresses *[]address) error {
	line := p.line
	store := func(t *Test) *Value {
		if place.reg >= 0 {
			return &t.Init[place.reg].Value
		}
		return &t.Vars[place.vari].Init[i]
	}
	if place.vari >= 0 && p.test.Vars[place.vari].Array && p.peek() != '{' && i == 0 && len(p.test.Vars[place.vari].Init) > 1 && p.text[p.pos-1] == '=' {
		return p.fail(line, "%s is an array; write {…} around its values", p.test.Vars[place.vari].Name)
	}
	if p.test.fetching() {
		if v, ok, err := p.codeValue(); ok || err != nil {
			*store(p.test) = v
			return err
		}
	}
	quoted := p.eat("`")
	n, ok, err := p.number()
	if err != nil {
		return err
	}
	if ok {
		if quoted && !p.eat("`") {
			return p.fail(line, "expected ` after the number")
		}
		if p.peek() == ':' {
			return p.outside(line, "labels and capabilities as values are outside this model")
		}
		*store(p.test) = Value{N: n}
		return nil
	}
	amp := p.eat("&")
	name := p.name()
	if name == "" {
		return p.fail(line, "expected a number or a variable's name, found %s", p.found())
	}
	if c := p.peek(); c == ':' || c == '(' || name == "instr" || name == "label" || name == "NOP" {
		return p.outside(line, "%s…: labels, instructions, tags and signed pointers as values are outside user mode", name)
	}
	v, err := p.declare(name)
	if err != nil {
		return err
	}
	a := address{in: Value{Var: int32(v + 1)}, line: line, store: store}
	if p.peek() == '[' {
		p.eat("[")
		index, ok, err := p.number()
		if err != nil || !ok || index >= MaxElements {
			return p.fail(line, "expected an element's number after %s[", name)
		}
		a.index = int(index)
		if err := p.expect("]", "after the element's number"); err != nil {
			return err
		}
	}
	if !place.typed {
		switch {
		case place.vari >= 0:
			p.test.Vars[place.vari].Type = pointer
		case amp:
			p.test.Init[place.reg].Type = pointer
		}
	}
	*addresses = append(*addresses, a)
	return nil
}

// threadPrefix takes `0:` or `P0:`.
func (p *parser) threadPrefix() (thread int, ok bool, err error) {
	p.space()
	rest := p.text[p.pos:]
	n := 0
	if strings.HasPrefix(rest, "P") {
		n = 1
	}
	from := n
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n == from {
		return 0, false, nil
	}
	to := n
	for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') {
		n++
	}
	if n == len(rest) || rest[n] != ':' {
		return 0, false, nil
	}
	thread, cerr := strconv.Atoi(rest[from:to])
	if cerr != nil || thread > 1000 {
		return 0, false, p.fail(p.line, "there is no thread %s", rest[from:to])
	}
	p.pos += n + 1
	return thread, true, nil
}

// register takes a general-purpose register in an initial state or condition.
func (p *parser) register() (Reg, error) {
	line := p.line
	word := p.name()
	r, _, ok := parseReg(word)
	if !ok {
		if word == "" {
			word = p.found()
		}
		if w := strings.ToUpper(word); len(w) > 1 && strings.ContainsRune("VQDSZP", rune(w[0])) && isDigit(w[1]) {
			return 0, p.outside(line, "%s: vector registers are outside this model", word)
		}
		return 0, p.fail(line, "unknown register %s; X0 to X30 and SP have values", quote(word))
	}
	return r, nil
}

// parseReg reads X0, w3, XZR or SP, in any case.
func parseReg(word string) (r Reg, wide, ok bool) {
	if len(word) < 2 || len(word) > 3 {
		return 0, false, false
	}
	first := word[0] &^ 0x20
	rest := strings.ToUpper(word[1:])
	switch {
	case strings.EqualFold(word, "SP"):
		return SP, true, true
	case strings.EqualFold(word, "LR"):
		return 30, true, true
	case first != 'X' && first != 'W':
		return 0, false, false
	case rest == "ZR":
		return ZR, first == 'X', true
	case strings.EqualFold(word, "WSP"):
		return SP, false, true
	}
	n, err := strconv.ParseUint(rest, 10, 8)
	if err != nil || n > 30 || len(rest) > 1 && rest[0] == '0' {
		return 0, false, false
	}
	return Reg(n), first == 'X', true
}

// tailWords start what follows the program.
var tailWords = []string{"locations", "filter", "exists", "~", "forall", "final", "observed", "Observed", "cases", "not", "("}

func (p *parser) atTail() bool {
	if p.peek() == 0 {
		return true
	}
	rest := p.text[p.pos:]
	for _, w := range tailWords {
		if strings.HasPrefix(rest, w) && (!isNameStart(w[0]) || len(rest) == len(w) || !isNameByte(rest[len(w)]) && rest[len(w)] != ':') {
			return true
		}
	}
	return false
}

// program reads the rows of the table.
func (p *parser) program() error {
	header, line, err := p.row()
	if err != nil {
		return err
	}
	for i, cell := range header {
		cell = strings.TrimSpace(cell)
		number, ok := strings.CutPrefix(cell, "P")
		if name, _, found := strings.Cut(number, ":"); found {
			number = strings.TrimSpace(name)
		}
		if strings.HasSuffix(number, ".F") {
			return p.outside(line, "%s: fault handlers are outside user mode", cell)
		}
		n, cerr := strconv.Atoi(number)
		if !ok || cerr != nil {
			return p.fail(line, "expected the names of threads, `P0 | P1 ;`, found %s", quote(cell))
		}
		if i == MaxThreads {
			return p.fail(line, "%d threads; a test may have %d (MaxThreads)", len(header), MaxThreads)
		}
		if n != i {
			return p.fail(line, "thread P%d in column %d; threads are numbered P0, P1, … from the left", n, i)
		}
		p.test.Threads = append(p.test.Threads, Thread{ID: n})
	}
	labels := make([]map[string]int, len(header))
	carried := make([][]string, len(header)) // labels whose instruction is in a later row
	for i := range labels {
		labels[i] = map[string]int{}
	}
	type row struct {
		cells []string
		line  int
	}
	var rows []row
	columns := make([]string, len(header))
	for !p.atTail() {
		cells, line, err := p.row()
		if err != nil {
			return err
		}
		if len(cells) > len(header) {
			return p.fail(line, "%d columns; the first row has %d", len(cells), len(header))
		}
		rows = append(rows, row{cells, line})
	}
	if strings.Contains(p.text, "%") {
		for _, r := range rows {
			for i, cell := range r.cells {
				columns[i] += cell + ";"
			}
		}
		if err := p.allocate(columns); err != nil {
			return err
		}
	}
	for _, r := range rows {
		for i, cell := range r.cells {
			if err := p.cell(i, p.concrete(cell), r.line, labels[i], &carried[i]); err != nil {
				return err
			}
		}
	}
	for i := range labels {
		if err := p.resolve(&p.test.Threads[i], labels[i]); err != nil {
			return err
		}
		if err := p.placeCode(&p.test.Threads[i], labels[i]); err != nil {
			return err
		}
	}
	for _, b := range p.test.Init {
		if b.Thread >= len(p.test.Threads) {
			return p.fail(p.initLine, "the initial state sets %d:X%d, but threads are P0 to P%d", b.Thread, b.Reg, len(p.test.Threads)-1)
		}
	}
	for i := range p.test.Vars {
		if v := &p.test.Vars[i]; len(v.Init) == 0 {
			v.Init = make([]Value, 1)
		}
	}
	return nil
}

// row takes one row of the table: cells and the line on which it starts.
func (p *parser) row() ([]string, int, error) {
	p.space()
	line := p.line
	end := strings.IndexByte(p.text[p.pos:], ';')
	if end < 0 {
		if p.pos == len(p.text) {
			return nil, line, p.fail(line, "expected the program, `P0 | P1 ;`, found the end of the file")
		}
		return nil, line, p.fail(line, "expected ; at the end of the row %s", quote(strings.TrimSpace(strings.SplitN(p.text[p.pos:], "\n", 2)[0])))
	}
	text := p.text[p.pos : p.pos+end]
	p.pos += end + 1
	p.line += strings.Count(text, "\n")
	return strings.Split(text, "|"), line, nil
}

// cell reads labels and at most one instruction of thread i.
func (p *parser) cell(i int, text string, line int, labels map[string]int, carried *[]string) error {
	t := &p.test.Threads[i]
	text = strings.TrimSpace(text)
	for {
		label, rest, ok := strings.Cut(text, ":")
		label = strings.TrimSpace(label)
		if !ok || !isName(label) {
			break
		}
		if _, twice := labels[label]; twice {
			return p.fail(line, "label %s stands twice in P%d", label, i)
		}
		labels[label] = len(t.Code)
		*carried = append(*carried, label)
		text = strings.TrimSpace(rest)
	}
	if text == "" {
		return nil
	}
	if len(t.Code) == MaxInstructions {
		return p.fail(line, "more than %d instructions in P%d (MaxInstructions)", MaxInstructions, i)
	}
	in, err := parseInstr(text)
	if err != nil {
		err.File, err.Line = p.file, line
		return err
	}
	in.Line, in.Labels = line, *carried
	*carried = nil
	t.Code = append(t.Code, in)
	return nil
}

// resolve finds the targets of branches.
func (p *parser) resolve(t *Thread, labels map[string]int) error {
	for i := range t.Code {
		in := &t.Code[i]
		switch at, ok := labels[in.label]; {
		case in.distance != 0:
			in.target = i + in.distance
			if in.target < 0 || in.target > len(t.Code) {
				return p.fail(in.Line, "%s: leaves the code of P%d", in.Text, t.ID)
			}
		case in.label == "":
		case !ok:
			return p.fail(in.Line, "%s: there is no label %s in P%d", in.Text, in.label, t.ID)
		default:
			in.target = at
		}
	}
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isName(s string) bool {
	if s == "" || !isNameStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isNameByte(s[i]) && s[i] != '-' && s[i] != '/' {
			return false
		}
	}
	return true
}

// variable returns the index of the variable of that name, or -1.
func (t *Test) variable(name string) int {
	for i := range t.Vars {
		if t.Vars[i].Name == name {
			return i
		}
	}
	return -1
}

// size returns the bytes of an element of variable v.
func (t *Test) size(v int) int { return t.Vars[v].Type.size() }

func (t Type) size() int {
	if t.Size == 0 {
		return 4
	}
	return t.Size
}
