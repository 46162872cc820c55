package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The decoder looks a word up by its bits 31…21, which say how to look further:
// at a few more bits, whose value leads to the one or two encodings that remain.
const (
	level1Shift = 21
	maxBits     = 6 // of the second level
)

// A node is a value of bits 31…21.
type node struct {
	base         int // in level 2
	shift, width int // which bits of the word count up from there
}

// A lookup is both levels.
type lookup struct {
	level1 []uint8 // node by bits 31…21
	nodes  []node
	level2 []uint16 // index of a group's first row in order
	order  []*row   // groups, each ending in nil
}

func (t *table) lookup() *lookup {
	l := &lookup{order: []*row{nil}}
	groups := map[string]int{"": 0}
	group := func(rows []*row) uint16 {
		key := names(rows)
		at, ok := groups[key]
		if !ok {
			at = len(l.order)
			groups[key] = at
			l.order = append(append(l.order, rows...), nil)
		}
		return uint16(at)
	}
	known := map[string]uint8{}
	for top := range uint32(1 << (32 - level1Shift)) {
		rows := t.claiming(top<<level1Shift, 1<<32-1<<level1Shift)
		key := names(rows)
		n, ok := known[key]
		if !ok {
			n = uint8(len(l.nodes))
			known[key] = n
			shift, width := split(rows)
			l.nodes = append(l.nodes, node{len(l.level2), shift, width})
			for v := range uint32(1 << width) {
				l.level2 = append(l.level2, group(narrow(rows, v<<shift, (1<<width-1)<<shift)))
			}
		}
		l.level1 = append(l.level1, n)
	}
	return l
}

// claiming returns the rows that have a word with the given bits, those that
// are over others first.
func (t *table) claiming(value, mask uint32) []*row {
	rows := narrow(t.rows, value, mask)
	slices.SortStableFunc(rows, func(a, b *row) int { return strings.Compare(b.over, a.over) })
	return rows
}

func narrow(rows []*row, value, mask uint32) (out []*row) {
	for _, r := range rows {
		if (r.match^value)&r.mask&mask == 0 {
			out = append(out, r)
		}
	}
	return out
}

// split finds the few bits that tell rows apart best.
func split(rows []*row) (shift, width int) {
	best := len(rows)
	for w := 1; w <= maxBits; w++ {
		for s := 0; s+w <= level1Shift; s++ {
			worst := 0
			for v := range uint32(1 << w) {
				worst = max(worst, len(narrow(rows, v<<s, (1<<w-1)<<s)))
			}
			if worst < best {
				best, shift, width = worst, s, w
			}
		}
	}
	return shift, width
}

func names(rows []*row) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(r.name + " ")
	}
	return b.String()
}

// writeDecoder writes the look-up tables and the function that fills an Inst.
func (t *table) writeDecoder(b *bytes.Buffer) error {
	l := t.lookup()
	if len(l.nodes) > 256 || len(l.order) > 1<<16 {
		return fmt.Errorf("the look-up tables have outgrown their types")
	}
	fmt.Fprintf(b, "// level1 leads from a word's bits 31…%d to its node.\nvar level1 = [%d]uint8{%s}\n\n", level1Shift, len(l.level1), joined(l.level1))
	fmt.Fprintf(b, "// nodes says which bits of the word to look at next.\nvar nodes = [256]node{\n")
	for _, n := range l.nodes {
		fmt.Fprintf(b, "{%d, %d, %#x},\n", n.base, n.shift, 1<<n.width-1)
	}
	fmt.Fprintf(b, "}\n\n// level2 leads from those to the encodings that remain.\nvar level2 = [%d]uint16{%s}\n\n", len(l.level2), joined(l.level2))

	forms, of := t.forms()
	fmt.Fprintf(b, "// candidates are the encodings of one value of level 2, one after the other.\nvar candidates = [%d]candidate{\n", len(l.order))
	for i, r := range l.order {
		if i == 0 {
			b.WriteString("0: {match: 1}, // of no word\n")
		}
		if r == nil {
			continue
		}
		more := ""
		if l.order[i+1] != nil {
			more = ", more: true"
		}
		fmt.Fprintf(b, "%d: {mask: %#08x, match: %#08x, op: %s, form: %d%s},\n", i, r.mask, r.match, r.name, of[r.name], more)
	}
	fmt.Fprintf(b, "}\n\n// fill sets the fields of an instruction of one form; it reports whether the\n// word is one.\nfunc (in *Inst) fill(form uint8, word uint32) bool {\nswitch form {\n")
	for i, f := range forms {
		fmt.Fprintf(b, "case %d: // %s\n%s", i, strings.Join(f.ops, " "), f.code)
	}
	fmt.Fprintf(b, "}\nreturn true\n}\n")
	return nil
}

// A form is the code that several encodings share.
type form struct {
	code string
	ops  []string
}

func (t *table) forms() (forms []form, of map[string]int) {
	of = map[string]int{}
	for _, r := range t.rows {
		code := t.code(r)
		i := slices.IndexFunc(forms, func(f form) bool { return f.code == code })
		if i < 0 {
			i = len(forms)
			forms = append(forms, form{code: code})
		}
		forms[i].ops = append(forms[i].ops, r.name)
		of[r.name] = i
	}
	return forms, of
}

// An instField is a field of Inst.
type instField struct{ name, typ string }

var instFields = []instField{
	{"Rd", "uint8"}, {"Rn", "uint8"}, {"Rm", "uint8"}, {"Ra", "uint8"}, {"Imm", "int64"}, {"Sys", "SysReg"},
	{"Sf", "bool"}, {"Size", "uint8"}, {"Signed", "bool"}, {"Shift", "Shift"}, {"Extend", "Extend"},
	{"Amount", "uint8"}, {"Shr", "uint8"}, {"Cond", "Cond"}, {"NZCV", "uint8"}, {"Acq", "bool"}, {"Rel", "bool"},
}

// implied says which field of Inst a field of an encoding fills by its name.
var implied = map[string]assign{
	"Rd": {"Rd", "Rd"}, "Rt": {"Rd", "Rt"}, "prfop": {"Rd", "prfop"}, "Rn": {"Rn", "Rn"}, "Rm": {"Rm", "Rm"}, "Rs": {"Rm", "Rs"},
	"Ra": {"Ra", "Ra"}, "Rt2": {"Ra", "Rt2"}, "sf": {"Sf", "sf"}, "nsf": {"Sf", "nsf^1"}, "cond": {"Cond", "cond"},
	"nzcv": {"NZCV", "nzcv"}, "A": {"Acq", "A"}, "R": {"Rel", "R"},
}

// code returns the statements that fill an Inst from a word of an encoding.
func (t *table) code(r *row) string {
	var b strings.Builder
	f := t.formats[r.format]
	assigns := map[string]string{}
	for _, fl := range r.fields {
		if a, ok := implied[fl.name]; ok {
			assigns[a.to] = a.from
		}
	}
	for _, a := range slices.Concat(f.assigns, r.assigns) {
		assigns[a.to] = a.from
	}
	exprs := slices.Clone(f.conditions)
	for _, to := range instFields {
		exprs = append(exprs, assigns[to.name])
	}
	b.WriteString(r.extract(exprs))
	var early, late []string // conditions before and after the assignments
	for _, c := range f.conditions {
		if strings.Contains(c, "in.") {
			late = append(late, c)
		} else {
			early = append(early, c)
		}
	}
	conditions(&b, early)
	for _, to := range instFields {
		e, ok := assigns[to.name]
		switch {
		case !ok:
		case to.typ == "bool" && e == "1":
			fmt.Fprintf(&b, "in.%s = true\n", to.name)
		case to.typ == "bool" && !strings.Contains(e, "=="):
			fmt.Fprintf(&b, "in.%s = %s != 0\n", to.name, e)
		case to.typ == "bool":
			fmt.Fprintf(&b, "in.%s = %s\n", to.name, e)
		default:
			fmt.Fprintf(&b, "in.%s = %s(%s)\n", to.name, to.typ, e)
		}
	}
	conditions(&b, late)
	return b.String()
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

func conditions(b *strings.Builder, list []string) {
	if len(list) == 0 {
		return
	}
	for i, c := range list {
		if strings.Contains(c, "||") && len(list) > 1 {
			list[i] = "(" + c + ")"
		}
	}
	fmt.Fprintf(b, "if !(%s) {\nreturn false\n}\n", strings.Join(list, " && "))
}

func joined[T uint8 | uint16](list []T) string {
	var b strings.Builder
	for i, v := range list {
		if i%32 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d, ", v)
	}
	b.WriteByte('\n')
	return b.String()
}
