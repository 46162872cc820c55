package mmu

// NewGuestStage2 is the stage 2 that VTCR_EL2 and VTTBR_EL2 describe: of input
// addresses of ipaBits, with the walk starting at a level. It has no allocator:
// software keeps its tables. Without sense (false) is a size that the start level
// does not fit: too small for it, or of more than 16 concatenated tables.
// AArch64.S2InconsistentSL.
func NewGuestStage2(g Granule, ipaBits uint8, start int8, root PA, vmid uint16, outBits uint8) (Stage2, bool) {
	s := Stage2{VMID: vmid, OutBits: outBits}
	if start < 0 || start > 3 || ipaBits > MaxIPABits {
		return s, false
	}
	s.Geometry = newShape(g, ipaBits, start)
	bits := uint(ipaBits)
	if least := s.Shift(start) + 1; bits < least || bits >= least+uint(s.bits)+concatenated {
		return s, false
	}
	s.Root = root &^ (PA(8)<<(bits-s.Shift(start)) - 1) // aligned to the tables at the start
	return s, true
}

// newShape is the geometry of tables whose root is indexed by what the levels
// below leave of the address.
func newShape(g Granule, inBits uint8, start int8) Geometry {
	s := Geometry{Granule: g, IPABits: inBits, Start: start, bits: uint8(g) - 3}
	for level := range s.shift {
		s.shift[level] = uint8(g) + s.bits*uint8(3-level)
		s.mask[level] = 1<<s.bits - 1
	}
	s.mask[start] = ^IPA(0)
	return s
}
