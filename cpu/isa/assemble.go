package isa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// maxProgram bounds what a source may ask for, in bytes.
const maxProgram = 16 << 20

// Assemble returns the words of a program that lies at address base, a multiple
// of 4. It reads what Disasm writes and what the GNU assembler would take for
// these instructions:
//
//	loop:	ldr	x0, [x1], #8	// a comment
//		cbnz	x0, loop; ret
//
// A line has labels and statements, separated by semicolons. Besides
// instructions there are
//
//	.word a, b …   .inst a, b …   32 bits each
//	.quad a, b …                  64 bits each, low word first
//	.balign n                     zero bytes up to a multiple of n, a power of two from 4 on
//	.space n                      n zero bytes, a multiple of 4
//
// Numbers are written as in C (10, 0x10, 0b10, 010); expressions have C's operators and
// precedence (~ - * << >> + & ^ |), names of labels, . for the address of the
// statement, and :lo12: before an address for its low 12 bits. Labels of digits
// may be there many times: 1b is the last 1 before, 1f the next. The first error
// is returned, and names the line, counted from 1.
func Assemble(src string, base uint64) ([]uint32, error) {
	if base&3 != 0 {
		return nil, fmt.Errorf("the base %#x is no multiple of 4", base)
	}
	a := assembler{base: base, labels: map[string]uint64{}, numbered: map[string][]uint64{}}
	for i, text := range strings.Split(src, "\n") {
		if err := a.line(i+1, text); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for i := range a.statements {
		s := &a.statements[i]
		if err := a.emit(s); err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
	}
	return a.words, nil
}

// An assembler finds the labels in a first pass over the lines, and the words in
// a second one over the statements.
type assembler struct {
	base       uint64
	size       uint64 // of the statements so far
	labels     map[string]uint64
	numbered   map[string][]uint64 // the addresses of labels of digits, ascending
	statements []statement
	words      []uint32
}

// A statement is an instruction or a directive.
type statement struct {
	line   int
	pc     uint64
	bytes  uint64
	tokens []token
}

// line takes the labels and statements of a line.
func (a *assembler) line(number int, text string) error {
	tokens, err := lex(text)
	if err != nil {
		return err
	}
	for len(tokens) > 0 {
		end := slices.IndexFunc(tokens, func(t token) bool { return t.text == ";" })
		rest := []token(nil)
		if end >= 0 {
			tokens, rest = tokens[:end], tokens[end+1:]
		}
		for len(tokens) >= 2 && tokens[1].text == ":" && !directives[strings.ToLower(tokens[0].text)] {
			if err := a.define(tokens[0]); err != nil {
				return err
			}
			tokens = tokens[2:]
		}
		if len(tokens) > 0 {
			s := statement{line: number, pc: a.base + a.size, tokens: tokens}
			if s.bytes, err = a.measure(&s); err != nil {
				return err
			}
			if a.size += s.bytes; a.size > maxProgram {
				return fmt.Errorf("the program is longer than %d bytes", maxProgram)
			}
			a.statements = append(a.statements, s)
		}
		tokens = rest
	}
	return nil
}

func (a *assembler) define(t token) error {
	pc := a.base + a.size
	switch {
	case t.kind == numberToken && strings.Trim(t.text, "0123456789") == "":
		a.numbered[t.text] = append(a.numbered[t.text], pc)
	case t.kind != nameToken || t.text == ".":
		return fmt.Errorf("%q is no label", t.text)
	default:
		if _, ok := a.labels[t.text]; ok {
			return fmt.Errorf("label %s is there twice", t.text)
		}
		a.labels[t.text] = pc
	}
	return nil
}

var directives = map[string]bool{".word": true, ".inst": true, ".quad": true, ".balign": true, ".space": true}

// measure returns the bytes that a statement will take.
func (a *assembler) measure(s *statement) (uint64, error) {
	items := uint64(1)
	for _, t := range s.tokens {
		if t.text == "," {
			items++
		}
	}
	p := parser{a: a, tokens: s.tokens, at: 1, pc: s.pc}
	switch name := strings.ToLower(s.tokens[0].text); name {
	case ".word", ".inst":
		return 4 * items, nil
	case ".quad":
		return 8 * items, nil
	case ".space":
		n, err := p.unsigned(maxProgram)
		if err == nil && n&3 != 0 {
			err = errors.New(".space wants a multiple of 4")
		}
		return n, cmp.Or(err, p.end())
	case ".balign":
		n, err := p.unsigned(maxProgram)
		if err == nil && (n < 4 || n&(n-1) != 0) {
			err = errors.New(".balign wants a power of two from 4 on")
		}
		return -s.pc & (n - 1), cmp.Or(err, p.end())
	default:
		if name[0] == '.' {
			return 0, fmt.Errorf("no directive is called %s", name)
		}
		return 4, nil
	}
}

// emit appends the words of a statement.
func (a *assembler) emit(s *statement) error {
	switch name := strings.ToLower(s.tokens[0].text); name {
	case ".word", ".inst", ".quad":
		p := parser{a: a, tokens: s.tokens, at: 1, pc: s.pc}
		for {
			at := p.at
			v, err := p.value()
			if err != nil {
				return err
			}
			if name != ".quad" && v>>32 != 0 && v>>31 != 1<<33-1 {
				return p.wrong(at, "%#x has more than 32 bits", v)
			}
			a.words = append(a.words, uint32(v))
			if name == ".quad" {
				a.words = append(a.words, uint32(v>>32))
			}
			if !p.skip(",") {
				return p.end()
			}
		}
	case ".space", ".balign":
		a.words = append(a.words, make([]uint32, s.bytes/4)...)
		return nil
	default:
		word, err := a.instruction(name, s)
		a.words = append(a.words, word)
		return err
	}
}

// A spelling is a template with its choices made.
type spelling struct {
	template *template
	word     uint32 // its fixed bits, and those of the choices
}

// spellings are the ways to read each mnemonic, in the order of the table.
var spellings = sync.OnceValue(func() map[string][]spelling {
	all := map[string][]spelling{}
	for i := range templates {
		t := &templates[i]
		spell(all, t, t.mnemonic, "", t.match)
	}
	return all
})

// spell adds the spellings of a template that begin with prefix.
func spell(all map[string][]spelling, t *template, rest []part, prefix string, word uint32) {
	if len(rest) > 0 {
		p := rest[0]
		if p.names == nil {
			spell(all, t, rest[1:], prefix+p.text, word)
		}
		for v, name := range p.names {
			spell(all, t, rest[1:], prefix+name, word|uint32(v)<<p.shift)
		}
		return
	}
	all[prefix] = append(all[prefix], spelling{t, word})
	// The one bit that decides the width of the registers, unless it is chosen already.
	if b := t.sf.mask &^ t.mask; b != 0 && b&(b-1) == 0 && !chosen(t, b) {
		all[prefix] = append(all[prefix], spelling{t, word | b})
	}
}

// chosen reports whether a template's mnemonic decides a bit.
func chosen(t *template, bit uint32) bool {
	return slices.ContainsFunc(t.mnemonic, func(p part) bool { return bit>>p.shift&uint32(max(len(p.names), 1)-1) != 0 })
}

// instruction returns the word of an instruction.
func (a *assembler) instruction(name string, s *statement) (uint32, error) {
	if cond, ok := strings.CutPrefix(name, "b."); ok && (cond == "hs" || cond == "lo") {
		name = "b." + map[string]string{"hs": "cs", "lo": "cc"}[cond]
	}
	ways := spellings()[name]
	if len(ways) == 0 {
		return 0, fmt.Errorf("no instruction is called %s", s.tokens[0].text)
	}
	var errs []*syntaxError
	for _, way := range ways {
		p := parser{a: a, tokens: s.tokens, at: 1, pc: s.pc, word: way.word, wide: way.template.sf.has(way.word)}
		err := p.parse(way.template)
		if err == nil {
			return p.word, nil
		}
		if e, ok := errors.AsType[*syntaxError](err); ok {
			errs = append(errs, e)
		}
	}
	return 0, fmt.Errorf("%s: %w", name, likeliest(errs))
}

// likeliest returns what is wrong with a statement that can be read in several
// ways: what those say that came furthest, and of those the ones that understood
// the operand there but could not take it.
func likeliest(errs []*syntaxError) error {
	worst := slices.MaxFunc(errs, func(a, b *syntaxError) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.understood, b.understood))
	})
	var messages []string
	for _, e := range errs {
		if e.at == worst.at && e.understood == worst.understood && !slices.Contains(messages, e.message) {
			messages = append(messages, e.message)
		}
	}
	return errors.New(worst.place + strings.Join(messages, ", or "))
}

// parse takes the operands of an instruction that is written in one way.
func (p *parser) parse(t *template) error {
	for i, o := range t.operands {
		if o, ok := o.(defaulted); ok && (p.at == len(p.tokens) || i > 0 && !p.peek(",")) {
			if err := o.leaveOut(p); err != nil {
				return err
			}
			continue
		}
		if i > 0 && !p.skip(",") {
			return p.due("a comma")
		}
		if err := o.parse(p); err != nil {
			return err
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	if !t.assembleOnly && !t.holds(p.word) {
		return p.wrong(1, "there is no such instruction")
	}
	if _, ok := Decode(p.word); !ok {
		return p.wrong(1, "the operands do not go together")
	}
	return nil
}

// A parser takes the operands of a statement.
type parser struct {
	a      *assembler
	tokens []token
	at     int // the next token
	pc     uint64
	word   uint32
	wide   bool // the instruction works on 64 bits
	narrow bool // TBZ has a w register
	depth  int  // of parentheses
}

// A syntaxError is about one token of a statement.
type syntaxError struct {
	at         int // the token
	place      string
	message    string
	understood int // 1 if the token is of the right kind, but cannot be taken
}

func (e *syntaxError) Error() string { return e.place + e.message }

// wrong returns an error about the value of what begins at a token.
func (p *parser) wrong(at int, format string, args ...any) error {
	return &syntaxError{at, p.place(at), fmt.Sprintf(format, args...), 1}
}

// due returns an error about the next token, which is not what it should be.
func (p *parser) due(what string) error {
	return &syntaxError{p.at, p.place(p.at), what + " is due", 0}
}

// place quotes a token.
func (p *parser) place(at int) string {
	if at >= len(p.tokens) {
		return "at the end: "
	}
	text := p.tokens[at].text
	if text == "#" && at+1 < len(p.tokens) {
		text += p.tokens[at+1].text
	}
	return fmt.Sprintf("at %q: ", text)
}

func (p *parser) end() error {
	if p.at < len(p.tokens) {
		return p.due("the end of the statement")
	}
	return nil
}

// next takes a token; at the end of the statement it is empty.
func (p *parser) next() token {
	p.at++
	if p.at > len(p.tokens) {
		return token{}
	}
	return p.tokens[p.at-1]
}

func (p *parser) peek(text string) bool {
	return p.at < len(p.tokens) && strings.EqualFold(p.tokens[p.at].text, text)
}

// number reports whether the next token is one.
func (p *parser) number() bool {
	return p.at < len(p.tokens) && p.tokens[p.at].kind == numberToken
}

// skip takes the next token if it is text.
func (p *parser) skip(text string) bool {
	ok := p.peek(text)
	if ok {
		p.at++
	}
	return ok
}

// oneOf takes one of some names, and returns its index; then come pairs of a
// further name and the name that it stands for.
func (p *parser) oneOf(what string, names []string, synonyms ...string) (int, error) {
	if p.at < len(p.tokens) && p.tokens[p.at].text != "" {
		name := strings.ToLower(p.tokens[p.at].text)
		for i := 0; i < len(synonyms); i += 2 {
			if name == synonyms[i] {
				name = synonyms[i+1]
			}
		}
		if i := slices.Index(names, name); i >= 0 {
			p.at++
			return i, nil
		}
	}
	return 0, p.due(what)
}

// regBits is the width of the instruction's registers.
func (p *parser) regBits() uint64 {
	if p.wide {
		return 64
	}
	return 32
}

// register takes a register of the width given; 31 is sp or zero.
func (p *parser) register(wide, sp bool) (uint32, error) {
	at := p.at
	r, err := p.registerName()
	switch {
	case err != nil:
		return 0, err
	case r.number == 31 && r.sp && !sp:
		return 0, p.wrong(at, "the stack pointer is not possible here")
	case r.number == 31 && !r.sp && sp:
		return 0, p.wrong(at, "the zero register is not possible here")
	case r.wide != wide && wide:
		return 0, p.wrong(at, "an x register is due")
	case r.wide != wide:
		return 0, p.wrong(at, "a w register is due")
	}
	return r.number, nil
}

// anyRegister takes a register of either width, but no stack pointer.
func (p *parser) anyRegister() (n uint32, wide bool, err error) {
	at := p.at
	r, err := p.registerName()
	if err == nil && r.sp {
		err = p.wrong(at, "the stack pointer is not possible here")
	}
	return r.number, r.wide, err
}

// A registerName is what a register's name says.
type registerName struct {
	number   uint32
	wide, sp bool
}

func (p *parser) registerName() (registerName, error) {
	if p.at < len(p.tokens) {
		name := strings.ToLower(p.tokens[p.at].text)
		r := registerName{number: 31, wide: name[0] != 'w', sp: name == "sp" || name == "wsp"}
		n, err := strconv.ParseUint(name[1:], 10, 8)
		switch {
		case r.sp || name == "xzr" || name == "wzr":
		case name == "lr":
			r.number = 30
		case (name[0] == 'x' || name[0] == 'w') && err == nil && n < 31 && (name[1] != '0' || len(name) == 2):
			r.number = uint32(n)
		default:
			return r, p.due("a register")
		}
		p.at++
		return r, nil
	}
	return registerName{}, p.due("a register")
}

// unsigned takes an expression of 0 … most.
func (p *parser) unsigned(most uint64) (uint64, error) {
	at := p.at
	v, err := p.value()
	if err == nil && v > most {
		return 0, p.wrong(at, "the value is not 0 … %d", most)
	}
	return v, err
}
