package mmu

import (
	"fmt"
	"strings"
)

// Desc is a stage-2 descriptor as it lies in memory, 8 bytes little-endian.
// DDI 0487 D8.3 "Translation table descriptor formats" and D8.5 for attributes.
type Desc uint64

// Field is a bit field of a descriptor: its lowest bit and its width.
type Field uint16

const (
	FieldValid   Field = 0<<8 | 1  // 0: every other bit is software's
	FieldTable   Field = 1<<8 | 1  // table above level 3, page at level 3; 0: block
	FieldMemAttr Field = 2<<8 | 4  // stage-2 memory type
	FieldS2APR   Field = 6<<8 | 1  // S2AP[0]: reads allowed
	FieldS2APW   Field = 7<<8 | 1  // S2AP[1]: writes allowed
	FieldSH      Field = 8<<8 | 2  // shareability
	FieldAF      Field = 10<<8 | 1 // access flag
	FieldOA      Field = 12<<8 | 36
	FieldDBM     Field = 51<<8 | 1 // dirty bit modifier
	FieldContig  Field = 52<<8 | 1 // contiguous: a hint, which this model does not take
	FieldXN      Field = 53<<8 | 2 // execute never, bit 54 alone without FEAT_XNX
	FieldSW      Field = 55<<8 | 4 // software's
)

// leafFields is the layout of a block or page descriptor, low bits first.
var leafFields = [...]struct {
	name  string
	field Field
}{
	{"valid", FieldValid}, {"table", FieldTable}, {"memattr", FieldMemAttr},
	{"r", FieldS2APR}, {"w", FieldS2APW}, {"sh", FieldSH}, {"af", FieldAF},
	{"oa", FieldOA}, {"dbm", FieldDBM}, {"contig", FieldContig}, {"xn", FieldXN}, {"sw", FieldSW},
}

// Mask covers the field's bits.
func (f Field) Mask() Desc { return (1<<(f&0xff) - 1) << (f >> 8) }

// Get extracts the field.
func (d Desc) Get(f Field) uint64 { return uint64(d&f.Mask()) >> (f >> 8) }

// With returns d with the field set to v.
func (d Desc) With(f Field, v uint64) Desc { return d&^f.Mask() | Desc(v)<<(f>>8)&f.Mask() }

// Stage-2 memory types of MemAttr without FEAT_S2FWB, and shareability.
const (
	MemAttrDevice = 0b0001 // Device-nGnRE
	MemAttrNormal = 0b1111 // inner and outer Write-Back
	ShareInner    = 0b11
)

// DescLocked is the invalid entry with which KVM marks a descriptor that it is
// replaying break-before-make on (KVM_INVALID_PTE_LOCKED): others try again.
const DescLocked Desc = 1 << 10

// Prot is what a mapping allows, and of what kind its memory is.
type Prot uint8

const (
	ProtRead Prot = 1 << iota
	ProtWrite
	ProtExec
	ProtDevice // Device memory instead of Normal
)

// LeafDesc returns the descriptor of a block or page at level. Bits of pa below
// the size of the mapping are ignored by hardware and must be zero.
func LeafDesc(pa PA, level int8, p Prot) Desc {
	d := Desc(pa).With(FieldValid, 1).With(FieldAF, 1)
	d = d.With(FieldSH, ShareInner).With(FieldMemAttr, MemAttrNormal)
	if level == 3 {
		d |= FieldTable.Mask()
	}
	if p&ProtDevice != 0 {
		d = d.With(FieldMemAttr, MemAttrDevice)
	}
	if p&ProtRead != 0 {
		d |= FieldS2APR.Mask()
	}
	if p&ProtWrite != 0 {
		d |= FieldS2APW.Mask()
	}
	if p&ProtExec == 0 {
		d = d.With(FieldXN, 0b10)
	}
	return d
}

// TableDesc returns the descriptor that points to the next level's table.
func TableDesc(pa PA) Desc { return Desc(pa) | FieldValid.Mask() | FieldTable.Mask() }

// Prot returns what a leaf descriptor allows.
func (d Desc) Prot() Prot {
	var p Prot
	if d&FieldS2APR.Mask() != 0 {
		p |= ProtRead
	}
	if d&FieldS2APW.Mask() != 0 {
		p |= ProtWrite
	}
	if d.Get(FieldXN)>>1 == 0 {
		p |= ProtExec
	}
	if d.Get(FieldMemAttr)>>2 == 0 {
		p |= ProtDevice
	}
	return p
}

// Writable reports whether a leaf descriptor allows writes.
func (d Desc) Writable() bool { return d&FieldS2APW.Mask() != 0 }

// OA returns the output address of a leaf or table at a mapping of 2^shift bytes.
func (d Desc) OA(shift uint) PA { return PA(d&FieldOA.Mask()) >> shift << shift }

// DescKind is what a descriptor means at its level.
type DescKind uint8

const (
	DescInvalid DescKind = iota // also the reserved encodings
	DescIsTable
	DescIsLeaf // block or page
)

// String shows the fields that are set, for messages and the story of a page.
func (d Desc) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "0x%016x", uint64(d))
	for _, f := range leafFields {
		if v := d.Get(f.field); v != 0 {
			fmt.Fprintf(&b, " %s=%#x", f.name, v)
		}
	}
	return b.String()
}
