package arch

// What the PE says of itself. The fields are named in DDI 0487 D19.2.
const (
	// Implementer 0 (reserved for software use), architecture by ID registers,
	// part "R$": no core of Arm's, so that no workaround switches on.
	midr = 0xf<<16 | 0x524<<4

	idPFR0 = 1<<60 | 1<<56 | // CSV3, CSV2: no speculation that workarounds are for
		1<<28 | 1<<24 | // RAS, GIC system registers
		1<<20 | 1<<16 | // AdvSIMD and FP with half precision
		1<<8 | 1<<4 | 1 // EL2, EL1, EL0 in AArch64 only
	idPFR1  = 2 << 4                                    // SSBS
	idDFR0  = 1<<28 | 3<<20 | 5<<12 | 8                 // 2 context breakpoints, 4 watchpoints, 6 breakpoints, v8.2 debug; no PMU, no trace
	idISAR0 = 1<<28 | 2<<20 | 1<<16                     // RDM, LSE atomics, CRC32
	idISAR1 = 1<<20 | 1                                 // LDAPR, DC CVAP
	idMMFR0 = 1<<20 | 2<<4 | 5                          // 16 KiB granule (4 and 64 KiB are 0), 16-bit ASID, 48-bit PA
	idMMFR1 = 2<<20 | 1<<12 | 1<<8 | 2<<4               // PAN with AT S1E1RP, HPDS, VHE, 16-bit VMID; no HAFDBS
	idMMFR2 = 1<<12 | 1<<4 | 1                          // IESB, UAO, CnP
	ctr     = 1<<31 | 4<<24 | 4<<20 | 4<<16 | 3<<14 | 4 // lines of 64 bytes, PIPT; neither IDC nor DIC
	dczid   = 4                                         // DC ZVA zeroes 64 bytes
	clidr   = 3 | 4<<3 | 1<<21 | 2<<24 | 1<<27          // L1 apart, L2 unified
)

// caches are CCSIDR_EL1 by CSSELR_EL1: L1D, L1I of 64 KiB in 4 ways, L2 of 1 MiB
// in 8. As a Neoverse N1.
var caches = [...]uint64{
	0: 255<<13 | 3<<3 | 2,
	1: 255<<13 | 3<<3 | 2,
	2: 2047<<13 | 7<<3 | 2,
}

// Reset is the state after a reset at an EL, 1 or 2: AArch64.TakeReset. The
// affinity is MPIDR's, Aff3 in bits 39:32.
func (s *State) Reset(el uint8, affinity uint64) {
	*s = State{PState: PState{EL: el, SPSel: 1, DAIF: 15}}
	for r := range s.Reg {
		s.Reg[r] = table[r].Reset
	}
	s.Reg[MPIDR_EL1] |= affinity
	s.Reg[VMPIDR_EL2] |= affinity
}

// WithoutEL2 makes the PE one whose EL2 nobody can see, as a guest's is.
func (s *State) WithoutEL2() { s.Reg[ID_AA64PFR0_EL1] &^= 0xf << 8 }
