package arch

// SysReg is a row of the table of system registers.
type SysReg struct {
	Name   string
	Enc    Enc
	EL     [3]Rights // at EL0, EL1, EL2
	Reset  uint64
	Mask   uint64 // bits that a write changes; the others keep their reset value
	Effect Effect
	Guard  Guard
	Host   Reg // what the name means at EL2 with HCR_EL2.E2H set, if not itself
}

// Rights are what an EL may do with a register.
type Rights uint8

const (
	no Rights = 0
	r  Rights = 1
	w  Rights = 2
	rw Rights = r | w
)

// Effect is what an access does other than load or store the value.
type Effect uint8

const (
	Stored      Effect = iota // nothing
	Zero                      // reads as zero, ignores writes
	Translation               // translation depends on it
	Special                   // part of PSTATE, or banked
	Timer                     // depends on time
	Interrupt                 // the GIC's
)

// Guard is which control bits of a higher EL may trap an access.
type Guard uint8

const (
	Free        Guard = iota
	ByTVM             // HCR_EL2.TVM, TRVM: translation controls
	ByTID1            // HCR_EL2.TID1: REVIDR, AIDR
	ByTID2            // HCR_EL2.TID2: cache identity; at EL0 SCTLR_EL1.UCT
	ByTID3            // HCR_EL2.TID3: feature identity
	ByTACR            // HCR_EL2.TACR
	ByTCPAC           // CPTR_EL2.TCPAC
	ByFP              // CPACR_EL1.FPEN, CPTR_EL2
	ByUMA             // SCTLR_EL1.UMA, at EL0
	ByTDA             // MDCR_EL2.TDA: debug
	ByTDOSA           // MDCR_EL2.TDOSA: OS lock
	ByTDRA            // MDCR_EL2.TDRA: debug ROM
	ByTPM             // MDCR_EL2.TPM; at EL0 PMUSERENR_EL0
	ByCount           // the physical or virtual count: CNTKCTL_EL1, CNTHCTL_EL2
	ByPhysTimer       // CNTP
	ByVirtTimer       // CNTV
	ByIMO             // HCR_EL2.IMO and FMO: SGI registers
	ByTERR            // HCR_EL2.TERR: error records
	ByVHE             // exists only with HCR_EL2.E2H set
)

// Enc is a register's encoding as in an instruction: op0 op1 CRn CRm op2, of 2,
// 3, 4, 4 and 3 bits: bits 20 to 5 of MRS, MSR and SYS.
type Enc uint16

// EncOf packs an encoding.
func EncOf(op0, op1, crn, crm, op2 uint8) Enc {
	return Enc(op0&3)<<14 | Enc(op1&7)<<11 | Enc(crn&15)<<7 | Enc(crm&15)<<3 | Enc(op2&7)
}

// RegAt returns the register of an encoding, NoReg if there is none.
func RegAt(e Enc) Reg { return byEnc[e&(1<<15-1)] }
