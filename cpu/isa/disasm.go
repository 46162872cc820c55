package isa

import (
	"fmt"
	"strings"
)

// A template is a way to write some words of an encoding.
type template struct {
	op           Op
	mask, match  uint32
	sf           bits // the words on 64 bits
	condition    uint8
	assembleOnly bool
	mnemonic     []part
	operands     []operand
}

// bits are the words whose masked bits match.
type bits struct{ mask, match uint32 }

func (b bits) has(word uint32) bool { return word&b.mask == b.match }

// A part of a mnemonic is some text, or names for the values of a field.
type part struct {
	text  string
	shift uint8
	names []string
}

// firstTemplate is where an encoding's templates begin.
var firstTemplate = func() (first [NumOps]uint16) {
	for i := len(templates) - 1; i >= 0; i-- {
		first[templates[i].op] = uint16(i)
	}
	return first
}()

// Disasm returns an instruction as the GNU tools write it, with the preferred
// alias of the manual; pc is its address, for branches.
func (in Inst) Disasm(pc uint64) string {
	t := in.template()
	if t == nil {
		return fmt.Sprintf(".inst %#08x", in.Word)
	}
	var b strings.Builder
	for i := range t.mnemonic {
		b.WriteString(t.mnemonic[i].of(in.Word))
	}
	separator := " "
	for _, o := range t.operands {
		if text := o.print(&in, pc); text != "" {
			b.WriteString(separator + text)
			separator = ", "
		}
	}
	return b.String()
}

// template returns the way in which an instruction is written.
func (in *Inst) template() *template {
	if in.Op == 0 || in.Op >= NumOps {
		return nil
	}
	for i := firstTemplate[in.Op]; int(i) < len(templates) && templates[i].op == in.Op; i++ {
		if t := &templates[i]; !t.assembleOnly && in.Word&t.mask == t.match && t.holds(in.Word) {
			return t
		}
	}
	return nil
}

// of returns the part of a word's mnemonic.
func (p *part) of(word uint32) string {
	if p.names == nil {
		return p.text
	}
	return p.names[word>>p.shift&uint32(len(p.names)-1)]
}
