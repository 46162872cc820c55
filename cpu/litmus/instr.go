package litmus

import (
	"slices"
	"strconv"

	"strings"
)

// Instr is one instruction as it is written, with what it means.
type Instr struct {
	Text   string   // blanks normalised
	Line   int      // in the file, from 1
	Labels []string // before it

	does     action
	wide     bool      // its r operands are X registers
	r        [6]Reg    // registers, in the order of the text
	imm      [2]uint64 // immediates, in the order of the text
	op2      second    // the last operand of data processing
	mem      addressing
	cond     cond
	scope    scope
	label    string // of a branch
	distance int    // of a branch that has no label, in instructions
	code     int    // index plus one into Test.Vars of the memory that holds it, 0 if nothing else can
	target   int    // of a branch: index into Thread.Code; its length for the end
}

// second is a flexible second operand.
type second struct {
	reg    Reg
	wide   bool
	isReg  bool
	imm    uint64
	how    string // LSL, LSR, ASR, ROR, UXTB, …, SXTX
	amount uint
}

// addressing says which address a load or store accesses.
type addressing struct {
	base   Reg
	mode   mode
	offset uint64
	index  Reg
	wide   bool   // the index is an X register
	how    string // UXTW, SXTW, LSL, SXTX
	amount uint
}

type mode uint8

const (
	offsetMode mode = iota // [X1,#4]
	preMode                // [X1,#4]!
	postMode               // [X1],#4
	indexMode              // [X1,X2]
)

// forms finds a mnemonic in the table.
var forms = func() map[string][]form {
	m := map[string][]form{}
	for i := range table {
		r := &table[i]
		expand(r.names, "", nil, func(name string, p picks) {
			m[name] = append(m[name], form{r.operands, r.does(p)})
		})
	}
	return m
}()

type form struct {
	operands string
	does     action
}

// expand calls yield with every mnemonic that a pattern stands for.
func expand(pattern, done string, p picks, yield func(string, picks)) {
	from := strings.IndexByte(pattern, '{')
	if from < 0 {
		yield(done+pattern, slices.Clone(p))
		return
	}
	to := strings.IndexByte(pattern, '}')
	for ending := range strings.SplitSeq(pattern[from+1:to], ",") {
		expand(pattern[to+1:], done+pattern[:from]+ending, append(p, ending), yield)
	}
}

// parseInstr reads one instruction. Errors lack their place.
func parseInstr(text string) (Instr, *Error) {
	mnemonic, rest := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		mnemonic, rest = text[:i], strings.TrimSpace(text[i:])
	}
	name := strings.ToUpper(mnemonic)
	in := Instr{Text: strings.TrimSpace(name + " " + strings.Join(strings.Fields(rest), " "))}
	operands := split(rest)
	found, known := forms[name]
	if !known {
		for _, o := range outside {
			if slices.Contains(strings.Fields(o.names), name) {
				return in, &Error{Outside: true, Msg: name + ": " + o.why}
			}
		}
		return in, &Error{Msg: "unknown instruction " + quote(mnemonic) + closeTo(name)}
	}
	for _, f := range found {
		in.does = f.does
		if err := in.operands(strings.Fields(f.operands), operands); err != nil {
			return in, err
		}
	}
	return in, nil
}

// closeTo suggests a mnemonic that differs in one letter.
func closeTo(name string) string {
	best := ""
	for known := range forms { // order-free: the smallest is taken
		if (best == "" || known < best) && oneApart(known, name) {
			best = known
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

func oneApart(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a) > len(b)+1 || len(b) < 2 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return a[i+1:] == b[i:]
	}
	return i < len(b) && a[i+1:] == b[i+1:]
}

// split cuts operands at commas outside brackets.
func split(text string) (out []string) {
	depth, from := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{', '(':
			depth++
		case ']', '}', ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	if last := strings.TrimSpace(text[from:]); last != "" || len(out) > 0 {
		out = append(out, last)
	}
	return out
}

// operands matches what is written against what a form takes.
func (in *Instr) operands(want, have []string) *Error {
	regs, imms := 0, 0
	widthKnown := false
	for _, kind := range want {
		if len(have) == 0 {
			return &Error{Msg: in.Text + ": expected " + kinds[kind] + " as the next operand"}
		}
		text := have[0]
		have = have[1:]
		bad := &Error{Msg: in.Text + ": expected " + kinds[kind] + ", found " + quote(text)}
		switch kind {
		case "r", "w", "x":
			r, wide, ok := parseReg(text)
			if !ok {
				return outsideRegister(bad, text)
			}
			if kind != "r" && wide != (kind == "x") {
				return bad
			}
			if kind == "r" {
				if widthKnown && wide != in.wide {
					return &Error{Msg: in.Text + ": W and X registers are mixed at " + text}
				}
				in.wide, widthKnown = wide, true
			}
			if kind == "x" && regs == 0 {
				in.wide = true
			}
			in.r[regs] = r
			regs++
		case "#":
			n, ok := immediate(text)
			if !ok {
				return bad
			}
			in.imm[imms] = n
			imms++
		case "op2":
			if err := in.parseSecond(append([]string{text}, have...)); err != nil {
				return err
			}
			have = nil
		case "mem", "pair", "base":
			n, err := in.parseAddress(kind, text, have)
			if err != nil {
				return err
			}
			have = have[n:]
		case "cond":
			c, ok := conditions[strings.ToUpper(text)]
			if !ok {
				return bad
			}
			in.cond = c
		case "label":
			if distance, ok := strings.CutPrefix(text, "."); ok && distance != "" && !isLetter(distance[0]) {
				n, ok := immediate(distance)
				if !ok || n%4 != 0 {
					return bad
				}
				in.distance = int(int64(n) / 4)
				break
			}
			if !isName(text) {
				return bad
			}
			in.label = text
		case "flags":
			if !strings.EqualFold(text, "NZCV") {
				return &Error{Outside: true, Msg: in.Text + ": system registers are outside user mode"}
			}
		case "scope":
			s, ok := scopes[strings.ToUpper(text)]
			if !ok {
				return bad
			}
			in.scope = s
		}
	}
	if len(have) > 0 {
		return &Error{Msg: in.Text + ": one operand too many: " + quote(have[0])}
	}
	return nil
}

var kinds = map[string]string{
	"r": "a register", "w": "a W register", "x": "an X register", "#": "an immediate such as #1",
	"op2": "a register or an immediate", "mem": "an address such as [X1]", "pair": "an address such as [X1]",
	"base": "an address [X1] without offset", "cond": "a condition such as EQ", "label": "a label", "scope": "SY, LD, ST, ISH, …", "flags": "NZCV",
}

func outsideRegister(bad *Error, text string) *Error {
	if u := strings.ToUpper(text); len(u) > 1 && strings.ContainsRune("BHSDQVZP{", rune(u[0])) && (isDigit(u[1]) || u[0] == '{') {
		return &Error{Outside: true, Msg: text + ": vector registers are outside this model"}
	}
	return bad
}

// immediate reads #1, #-1, #0x10 or 1.
func immediate(text string) (uint64, bool) {
	text = strings.TrimPrefix(text, "#")
	text = strings.TrimPrefix(text, "+")
	n, err := parseInt(text)
	return n, err == nil
}

// modifier reads `LSL #3`, `SXTW` or `UXTB #1`.
func modifier(text string) (how string, amount uint, ok bool) {
	word, rest, found := strings.Cut(strings.TrimSpace(text), " ")
	if !found {
		if i := strings.IndexByte(word, '#'); i > 0 {
			word, rest, found = word[:i], word[i:], true
		}
	}
	how = strings.ToUpper(word)
	if found {
		n, valid := immediate(strings.TrimSpace(rest))
		if !valid || n > 63 {
			return how, 0, false
		}
		amount = uint(n)
	}
	switch how {
	case "LSL", "LSR", "ASR", "ROR":
		return how, amount, found
	case "UXTB", "UXTH", "UXTW", "UXTX", "SXTB", "SXTH", "SXTW", "SXTX":
		return how, amount, amount <= 4
	}
	return how, amount, false
}

func (in *Instr) parseSecond(have []string) *Error {
	bad := func(text string) *Error {
		return &Error{Msg: in.Text + ": expected a register or an immediate, with an optional shift, found " + quote(text)}
	}
	s := second{how: "LSL"}
	if r, wide, ok := parseReg(have[0]); ok {
		s.reg, s.wide, s.isReg = r, wide, true
	} else if n, ok := immediate(have[0]); ok {
		s.imm = n
	} else {
		return outsideRegister(bad(have[0]), have[0])
	}
	if len(have) > 1 {
		how, amount, ok := modifier(have[1])
		if !ok || !s.isReg && how != "LSL" {
			return bad(have[1])
		}
		s.how, s.amount = how, amount
	}
	if len(have) > 2 {
		return &Error{Msg: in.Text + ": one operand too many: " + quote(have[2])}
	}
	// Only an extended operand may be narrower than the others, C6.2.5.
	if s.isReg && s.wide != in.wide && !(in.wide && (s.how[0] == 'U' || s.how[0] == 'S')) {
		return &Error{Msg: in.Text + ": W and X registers are mixed at " + have[0]}
	}
	in.op2 = s
	return nil
}

// parseAddress reads the address and returns how many operands behind it belong to it.
func (in *Instr) parseAddress(kind, text string, behind []string) (int, *Error) {
	bad := &Error{Msg: in.Text + ": expected " + kinds[kind] + ", found " + quote(text)}
	inner, ok := strings.CutPrefix(text, "[")
	if !ok {
		return 0, bad
	}
	a := &in.mem
	inner, pre := strings.CutSuffix(inner, "!")
	inner, ok = strings.CutSuffix(strings.TrimSpace(inner), "]")
	if !ok {
		return 0, bad
	}
	parts := split(inner)
	if len(parts) == 0 {
		return 0, bad
	}
	r, wide, ok := parseReg(parts[0])
	if !ok || !wide || r == ZR {
		return 0, outsideRegister(&Error{Msg: in.Text + ": expected an X register as the base address, found " + quote(parts[0])}, parts[0])
	}
	a.base = r
	if pre {
		a.mode = preMode
	}
	used := 0
	switch {
	case len(parts) == 1 && !pre && len(behind) > 0:
		n, ok := immediate(behind[0])
		if !ok {
			return 0, &Error{Msg: in.Text + ": expected an immediate after the address, found " + quote(behind[0])}
		}
		a.mode, a.offset, used = postMode, n, 1
	case len(parts) == 1 && pre:
		return 0, bad
	case len(parts) > 1:
		if n, ok := immediate(parts[1]); ok {
			if len(parts) > 2 {
				return 0, bad
			}
			a.offset = n
			break
		}
		index, wide, ok := parseReg(parts[1])
		if !ok || pre || kind != "mem" || len(parts) > 3 {
			return 0, outsideRegister(bad, parts[1])
		}
		a.mode, a.index, a.wide, a.how = indexMode, index, wide, "LSL"
		if !wide {
			a.how = "UXTW"
		}
		if len(parts) == 3 {
			how, amount, ok := modifier(parts[2])
			if !ok || !slices.Contains([]string{"LSL", "UXTW", "SXTW", "SXTX"}, how) {
				return 0, &Error{Msg: in.Text + ": expected LSL #n, UXTW, SXTW or SXTX, found " + quote(parts[2])}
			}
			a.how, a.amount = how, amount
		}
	}
	if kind == "base" && (a.mode != offsetMode || a.offset != 0) {
		return 0, bad
	}
	return used, nil
}

func itoa(n int) string { return strconv.Itoa(n) }
