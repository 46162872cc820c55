package its

import (
	"fmt"
	"strings"
)

//go:generate go run ./internal/layoutgen layout.txt layout.go

// Layout is the layout of one word of layout.txt.
type Layout struct {
	Name   string
	Bits   uint8
	Fields []Field
}

// Field is a bit field. Its value is the bits shifted left by Shift, plus Minus.
type Field struct {
	Name   string
	Word   uint8 // which 64-bit word of a command
	Hi, Lo uint8
	Shift  uint8
	Minus  uint8
}

// Operation is an ITS command.
type Operation struct {
	Op       uint8
	Name     string
	Operands []uint8 // indices into CommandFields
}

// Get returns the field's value in w.
func (f Field) Get(w uint64) uint64 {
	return (w>>f.Lo&f.max())<<f.Shift + uint64(f.Minus)
}

// Put returns w with the field set to the value v.
func (f Field) Put(w, v uint64) uint64 {
	raw := (v - uint64(f.Minus)) >> f.Shift
	return w&^(f.max()<<f.Lo) | (raw&f.max())<<f.Lo
}

func (f Field) max() uint64 { return 1<<(f.Hi-f.Lo+1) - 1 }

// operation finds a command by its opcode.
func operation(op uint8) (Operation, bool) {
	for _, o := range Operations {
		if o.Op == op {
			return o, true
		}
	}
	return Operation{}, false
}

// String spells the command with its operands.
func (w Command) String() string {
	o, ok := operation(uint8(w.Opcode()))
	if !ok {
		return fmt.Sprintf("UNKNOWN(%#02x)", w.Opcode())
	}
	var b strings.Builder
	b.WriteString(o.Name)
	for _, i := range o.Operands {
		f := CommandFields[i]
		fmt.Fprintf(&b, " %s=%#x", f.Name, f.Get(w[f.Word]))
	}
	return b.String()
}

// Mask are the bits of the word that belong to a field.
func (l Layout) Mask() uint64 {
	m := uint64(0)
	for _, f := range l.Fields {
		m |= f.max() << f.Lo
	}
	return m
}
