package mmu

// NewGuestStage2 is the stage 2 that VTCR_EL2 and VTTBR_EL2 describe: of input
// addresses of ipaBits, with the walk starting at a level. It has no allocator:
// software keeps its tables. A size and a start level that do not go together
// (more than 16 concatenated tables, or less than one) give a stage 2 that
// translates nothing: every access faults at level 0. DDI 0487 D8.2.
func NewGuestStage2(g Granule, ipaBits uint8, start int8, root PA, vmid uint16, outBits uint8) Stage2 {
	s := Stage2{VMID: vmid, OutBits: outBits}
	s.Granule, s.Start, s.bits = g, start, uint8(g)-3
	for level := range s.shift {
		s.shift[level] = uint8(g) + s.bits*uint8(3-level)
		s.mask[level] = 1<<s.bits - 1
	}
	if start < 0 || start > 3 {
		s.Start = 0
		return s
	}
	resolved := s.Shift(start) + uint(s.bits) // by one table at the start
	if ipaBits > MaxIPABits || uint(ipaBits) > resolved+concatenated || uint(ipaBits)+uint(s.bits) <= resolved {
		return s
	}
	s.IPABits = ipaBits
	s.mask[start] = 1<<(uint(ipaBits)-s.Shift(start)) - 1
	align := PA(8) << (uint(ipaBits) - s.Shift(start))
	s.Root = root &^ (align - 1)
	return s
}
