package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A table is a64.txt, read.
type table struct {
	widths   map[string]int      // of the fields, in bits
	formats  map[string]*meaning // by name, without the @
	rows     []*row              // encodings, in the order of the file
	operands map[string]string   // Go values, by the name that the table gives them
}

// A meaning says what the fields of an encoding mean.
type meaning struct {
	assigns    []assign
	conditions []string // Go expressions
}

// An assign fills a field of Inst.
type assign struct {
	to, from string // the field, and a Go expression
}

// A row is one encoding.
type row struct {
	line        int
	name        string // of its Op
	over        string // the row that this one takes words from, or ""
	mask, match uint32
	fields      []field
	format      string
	assigns     []assign // besides the format's
	class       string
	assembly
	aliases []alias
}

// An assembly is how an instruction is written.
type assembly struct {
	mnemonic string // with choices: cas{A:,a}
	operands []string
}

// An alias is another way to write some words of an encoding.
type alias struct {
	mask, match uint32 // of the fields that it fixes
	condition   string // a Go expression, "" for always, or "never"
	assembly
}

// A field is some bits of an encoding.
type field struct {
	name         string
	shift, width int
}

func (f field) bits() uint32 { return (1<<f.width - 1) << f.shift }

var classes = []string{"ALU", "MUL", "DIV", "LOAD", "STORE", "BRANCH", "SYS", "BARRIER", "ATOMIC"}

// parseTable reads the text of a64.txt. Errors name the line.
func parseTable(text string) (*table, error) {
	t := &table{widths: map[string]int{}, formats: map[string]*meaning{}, operands: map[string]string{}}
	for i, line := range strings.Split(text, "\n") {
		var err error
		switch words := strings.Fields(line); {
		case len(words) == 0 || words[0][0] == '#':
		case words[0] == "operand":
			err = t.parseOperand(columns(line))
		case words[0] == "=":
			err = t.parseAlias(columns(line))
		case words[0] == "field":
			err = t.parseWidths(words[1:])
		case words[0][0] == '@':
			err = t.parseFormat(columns(line))
		default:
			err = t.parseRow(i+1, columns(line))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return t, nil
}

// columns splits a line at its lone bars.
func columns(line string) []string {
	cells := []string{""}
	for _, word := range strings.Fields(line) {
		last := &cells[len(cells)-1]
		switch {
		case word == "|":
			cells = append(cells, "")
		case *last == "":
			*last = word
		default:
			*last += " " + word
		}
	}
	return cells
}

func (t *table) parseWidths(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("field WIDTH NAME…")
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 1 || n > 32 {
		return fmt.Errorf("%s is no width", words[0])
	}
	for _, name := range words[1:] {
		if t.widths[name] != 0 {
			return fmt.Errorf("field %s is declared twice", name)
		}
		t.widths[name] = n
	}
	return nil
}

func (t *table) parseFormat(cells []string) error {
	name := cells[0][1:]
	if t.formats[name] != nil {
		return fmt.Errorf("format %s is declared twice", name)
	}
	f := &meaning{}
	if len(cells) < 2 || len(cells) > 3 {
		return fmt.Errorf("@format | assignments | conditions")
	}
	for _, s := range list(cells[1]) {
		a, err := parseAssign(s)
		if err != nil {
			return err
		}
		f.assigns = append(f.assigns, a)
	}
	if len(cells) == 3 {
		f.conditions = list(cells[2])
	}
	t.formats[name] = f
	return nil
}

func parseAssign(s string) (assign, error) {
	to, from, _ := strings.Cut(s, "=")
	a := assign{strings.TrimSpace(to), strings.TrimSpace(from)}
	if a.from == "" || !slices.ContainsFunc(instFields, func(f instField) bool { return f.name == a.to }) {
		return a, fmt.Errorf("%q is no assignment to a field of Inst", s)
	}
	return a, nil
}

// list splits at semicolons.
func list(s string) (out []string) {
	for part := range strings.SplitSeq(s, ";") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

var goName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

func (t *table) parseRow(line int, cells []string) error {
	if len(cells) != 4 {
		return fmt.Errorf("%d columns, not NAME | bits | @format … CLASS | assembly", len(cells))
	}
	r := &row{line: line}
	r.name, r.over, _ = strings.Cut(cells[0], " over ")
	if !goName.MatchString(r.name) {
		return fmt.Errorf("%q is no name of an encoding", r.name)
	}
	if slices.ContainsFunc(t.rows, func(o *row) bool { return o.name == r.name }) {
		return fmt.Errorf("%s is declared twice", r.name)
	}
	if err := t.parseBits(r, cells[1]); err != nil {
		return err
	}
	if err := t.parseMeaning(r, cells[2]); err != nil {
		return err
	}
	var err error
	if r.assembly, err = t.parseAssembly(r, cells[3]); err != nil {
		return err
	}
	t.rows = append(t.rows, r)
	return nil
}

func (t *table) parseOperand(cells []string) error {
	name := strings.TrimSpace(strings.TrimPrefix(cells[0], "operand"))
	if len(cells) != 2 || name == "" {
		return fmt.Errorf("operand NAME | Go value")
	}
	if t.operands[name] != "" {
		return fmt.Errorf("operand %s is declared twice", name)
	}
	t.operands[name] = cells[1]
	return nil
}

// parseAssembly reads a mnemonic and its operands.
func (t *table) parseAssembly(r *row, cell string) (a assembly, err error) {
	mnemonic, operands, _ := strings.Cut(cell, " ")
	a.mnemonic = mnemonic
	if operands != "" {
		a.operands = strings.Split(operands, ", ")
	}
	for _, o := range a.operands {
		if t.operands[o] == "" {
			return a, fmt.Errorf("%q is no operand", o)
		}
	}
	_, err = r.choices(a.mnemonic)
	return a, err
}

// parseAlias reads = NAME | fields | condition | assembly.
func (t *table) parseAlias(cells []string) (err error) {
	if len(cells) != 4 {
		return fmt.Errorf("%d columns, not = NAME | fields | condition | assembly", len(cells))
	}
	name := strings.TrimSpace(strings.TrimPrefix(cells[0], "="))
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		return fmt.Errorf("%q is no encoding", name)
	}
	r := t.rows[i]
	a := alias{condition: cells[2]}
	for _, word := range strings.Fields(cells[1]) {
		name, value, _ := strings.Cut(word, "=")
		f, ok := r.field(name)
		v, err := strconv.ParseUint(value, 0, 32)
		if !ok || err != nil || v >= 1<<f.width {
			return fmt.Errorf("%q is no value of a field of %s", word, r.name)
		}
		a.mask |= f.bits()
		a.match |= uint32(v) << f.shift
	}
	if a.assembly, err = t.parseAssembly(r, cells[3]); err != nil {
		return err
	}
	r.aliases = append(r.aliases, a)
	return nil
}

func (r *row) field(name string) (field, bool) {
	i := slices.IndexFunc(r.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return r.fields[i], true
}

// parseBits reads an encoding's 32 bits, the highest first.
func (t *table) parseBits(r *row, cell string) error {
	at := 32
	for _, word := range strings.Fields(cell) {
		if strings.Trim(word, "01") == "" {
			at -= len(word)
			if at < 0 {
				break
			}
			bits, _ := strconv.ParseUint(word, 2, 32)
			r.match |= uint32(bits) << at
			r.mask |= (1<<len(word) - 1) << at
			continue
		}
		name, explicit, ok := strings.Cut(word, ":")
		width := t.widths[name]
		if ok {
			width, _ = strconv.Atoi(explicit)
		}
		if width <= 0 || width > at {
			return fmt.Errorf("no room or no width for field %s", word)
		}
		if slices.ContainsFunc(r.fields, func(f field) bool { return f.name == name }) {
			return fmt.Errorf("field %s is there twice", name)
		}
		at -= width
		r.fields = append(r.fields, field{name, at, width})
	}
	if at != 0 {
		return fmt.Errorf("%d bits, not 32", 32-at)
	}
	return nil
}

// parseMeaning reads a row's format, further assignments and class.
func (t *table) parseMeaning(r *row, cell string) error {
	words := strings.Fields(cell)
	if len(words) < 2 || words[0][0] != '@' || t.formats[words[0][1:]] == nil {
		return fmt.Errorf("no format in %q", cell)
	}
	r.format = words[0][1:]
	for _, w := range words[1 : len(words)-1] {
		a, err := parseAssign(w)
		if err != nil {
			return err
		}
		r.assigns = append(r.assigns, a)
	}
	r.class = words[len(words)-1]
	if !slices.Contains(classes, r.class) {
		return fmt.Errorf("%q is no class", r.class)
	}
	return nil
}

// overlaps lists the pairs of encodings that claim a common word, and of which
// neither is declared to be over the other.
func (t *table) overlaps() (out []string) {
	for i, a := range t.rows {
		for _, b := range t.rows[i+1:] {
			common := (a.match^b.match)&a.mask&b.mask == 0
			switch {
			case common && a.over != b.name && b.over != a.name:
				out = append(out, fmt.Sprintf("%s (line %d) and %s (line %d) both claim %#08x", a.name, a.line, b.name, b.line, a.match|b.match))
			case !common && (a.over == b.name || b.over == a.name):
				out = append(out, fmt.Sprintf("%s (line %d) and %s (line %d) have no word in common", a.name, a.line, b.name, b.line))
			}
		}
	}
	return out
}

func (a assembly) String() string {
	if len(a.operands) == 0 {
		return a.mnemonic
	}
	return a.mnemonic + " " + strings.Join(a.operands, ", ")
}
