package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A choice is a part of a mnemonic that a field decides, or text.
type choice struct {
	text  string
	field field
	names []string // by the field's value
}

var braces = regexp.MustCompile(`\{(\w+):([^}]*)\}`)

// choices takes a mnemonic such as cas{A:,a} apart.
func (r *row) choices(mnemonic string) (out []choice, err error) {
	for mnemonic != "" {
		at := braces.FindStringSubmatchIndex(mnemonic)
		if at == nil {
			return append(out, choice{text: mnemonic}), nil
		}
		if at[0] > 0 {
			out = append(out, choice{text: mnemonic[:at[0]]})
		}
		f, ok := r.field(mnemonic[at[2]:at[3]])
		names := strings.Split(mnemonic[at[4]:at[5]], ",")
		if !ok || len(names) != 1<<f.width {
			return nil, fmt.Errorf("%s does not name each value of a field", mnemonic[at[0]:at[1]])
		}
		out = append(out, choice{field: f, names: names})
		mnemonic = mnemonic[at[1]:]
	}
	return out, nil
}

// writeTemplates writes how each encoding and alias is written.
func (t *table) writeTemplates(b *bytes.Buffer) error {
	var conditions strings.Builder
	n := 0
	b.WriteString("// templates are the ways to write each encoding, in the order in which they\n// are tried, that of the encoding itself last.\nvar templates = [...]template{\n")
	for _, r := range t.rows {
		for _, a := range r.aliases {
			extra := ""
			switch a.condition {
			case "":
			case "never":
				extra = ", assembleOnly: true"
			default:
				n++
				extra = fmt.Sprintf(", condition: %d", n)
				fmt.Fprintf(&conditions, "case %d: // %s\n%s\nreturn %s\n", n, a.assembly, r.extract([]string{a.condition}), a.condition)
			}
			if err := t.writeTemplate(b, r, a.mask, a.match, a.assembly, extra); err != nil {
				return err
			}
		}
		if err := t.writeTemplate(b, r, 0, 0, r.assembly, ""); err != nil {
			return err
		}
	}
	fmt.Fprintf(b, "}\n\n// holds reports whether a word meets a template's condition.\nfunc (t *template) holds(word uint32) bool {\nswitch t.condition {\n%s}\nreturn true\n}\n\n", conditions.String())
	return nil
}

func (t *table) writeTemplate(b *bytes.Buffer, r *row, mask, match uint32, a assembly, extra string) error {
	choices, err := r.choices(a.mnemonic)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "{op: %s, mask: %#08x, match: %#08x, %s%s, mnemonic: []part{", r.name, r.mask|mask, r.match|match, t.width(r), extra)
	for _, c := range choices {
		if c.names == nil {
			fmt.Fprintf(b, "{text: %q}, ", c.text)
		} else {
			fmt.Fprintf(b, "{shift: %d, names: %#v}, ", c.field.shift, c.names)
		}
	}
	b.WriteString("}")
	if len(a.operands) > 0 {
		b.WriteString(", operands: []operand{")
		for _, o := range a.operands {
			b.WriteString(t.operands[o] + ", ")
		}
		b.WriteString("}")
	}
	b.WriteString("},\n")
	return nil
}

// width says which words of an encoding have Sf set.
func (t *table) width(r *row) string {
	if f, ok := r.field("sf"); ok {
		return fmt.Sprintf("sf: bits{%#x, %#x}", f.bits(), f.bits())
	}
	if f, ok := r.field("nsf"); ok {
		return fmt.Sprintf("sf: bits{%#x, 0}", f.bits())
	}
	for _, a := range slices.Concat(t.formats[r.format].assigns, r.assigns) {
		switch {
		case a.to == "Sf" && a.from == "1":
			return "sf: bits{}"
		case a.to == "Sf":
			return "sf: bits{3<<30, 3<<30}" // the size
		}
	}
	return "sf: bits{0, 1}"
}

// extract declares the fields that some expressions use.
func (r *row) extract(exprs []string) string {
	var b strings.Builder
	for _, f := range r.fields {
		used := func(e string) bool { return slices.Contains(identifier.FindAllString(e, -1), f.name) }
		if slices.ContainsFunc(exprs, used) {
			fmt.Fprintf(&b, "%s := word>>%d&%#x\n", f.name, f.shift, uint32(1)<<f.width-1)
		}
	}
	return b.String()
}
