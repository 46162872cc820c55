package mmu

import "fmt"

// Geometry is the shape of a stage-2 table: levels start … 3, each entry of a
// level covering 2^Shift(level) bytes of IPA.
//
//	granule  bits a level  level 3  level 2  level 1  level 0   blocks at
//	4 KiB    9             2^12     2^21     2^30     2^39      2, 1
//	16 KiB   11            2^14     2^25     2^36     2^47      2
//	64 KiB   13            2^16     2^29     2^42               2
//
// The start level is the deepest at which the IPA fits 16 concatenated tables,
// but never below level 2: with one level only, no block could be mapped. That
// is the choice of KVM (kvm_get_vtcr). DDI 0487 D8.2, stage-2 concatenation.
type Geometry struct {
	Granule Granule
	IPABits uint8
	Start   int8     // level of the root: 0, 1 or 2
	bits    uint8    // resolved per level
	shift   [4]uint8 // by level: log2 of the bytes that an entry covers
	mask    [4]IPA   // by level: covers an index; the root's is as long as its tables together
}

// The sizes of IPA space that are modelled. 52 bits need FEAT_LPA (64 KiB
// granule) or FEAT_LPA2 (4 and 16 KiB: descriptors with OA[51:50] in bits 9:8,
// SH in VTCR_EL2, level -1), another descriptor format.
const (
	MinIPABits = 32
	MaxIPABits = 48
)

// blockLevel is the shallowest level that may hold a block, by granule.
var blockLevel = [...]int8{Granule4K: 1, Granule16K: 2, Granule64K: 2}

// NewGeometry checks a granule and an IPA size and returns their table's shape.
func NewGeometry(g Granule, ipaBits uint8) (Geometry, error) {
	if int(g) >= len(blockLevel) || blockLevel[g] == 0 {
		return Geometry{}, fmt.Errorf("mmu: no translation granule of 2^%d bytes: use 4 KiB, 16 KiB or 64 KiB", g)
	}
	switch {
	case ipaBits > MaxIPABits && ipaBits <= 52:
		return Geometry{}, fmt.Errorf("mmu: %d IPA bits need FEAT_LPA or FEAT_LPA2, which is not modelled: use %d to %d",
			ipaBits, MinIPABits, MaxIPABits)
	case ipaBits < MinIPABits || ipaBits > MaxIPABits:
		return Geometry{}, fmt.Errorf("mmu: %d IPA bits: use %d to %d", ipaBits, MinIPABits, MaxIPABits)
	}
	s := Geometry{Granule: g, IPABits: ipaBits, Start: 2, bits: uint8(g) - 3}
	for level := range s.shift {
		s.shift[level] = uint8(g) + s.bits*uint8(3-level)
		s.mask[level] = 1<<s.bits - 1
	}
	for s.Shift(s.Start)+uint(s.bits)+concatenated < uint(ipaBits) {
		s.Start--
	}
	s.mask[s.Start] = ^IPA(0)
	return s, nil
}

const concatenated = 4 // log2 of the most root tables

// Shift is log2 of the bytes that one entry of the level covers.
func (s *Geometry) Shift(level int8) uint { return uint(s.shift[level&3]) & 63 }

// Tables is the number of concatenated root tables: 1 to 16.
func (s *Geometry) Tables() int {
	return 1 << max(0, int(s.IPABits)-int(s.Shift(s.Start))-int(s.bits))
}

// Block reports whether a level may map a block (or, at level 3, a page).
func (s *Geometry) Block(level int8) bool { return level <= 3 && level >= blockLevel[s.Granule] }

// Level returns the level that maps blocks or pages of size bytes.
func (s *Geometry) Level(size uint64) (int8, bool) {
	for level := int8(3); level >= s.Start && s.Block(level); level-- {
		if 1<<s.Shift(level) == size {
			return level, true
		}
	}
	return 0, false
}

// Entry returns the address of ipa's descriptor in a table of the level.
func (s *Geometry) Entry(table PA, level int8, ipa IPA) PA {
	return table + PA(ipa>>s.Shift(level)&s.mask[level&3])*8
}

// Kind says what descriptor d means at the level. Reserved encodings are
// invalid: 0b01 at level 3, and a block where the level has none.
func (s *Geometry) Kind(d Desc, level int8) DescKind {
	switch d & 3 {
	case 3:
		if level == 3 {
			return DescIsLeaf
		}
		return DescIsTable
	case 1:
		if level < 3 && s.Block(level) {
			return DescIsLeaf
		}
	}
	return DescInvalid
}

// tableOrder is the allocator's order of one table, rootOrder of the root.
func (s *Geometry) tableOrder() uint { return uint(s.Granule) - FrameShift }

func (s *Geometry) rootOrder() uint {
	o := s.tableOrder()
	for n := 1; n < s.Tables(); n *= 2 {
		o++
	}
	return o
}
