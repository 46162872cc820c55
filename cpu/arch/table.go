package arch

// Reg is a system register: its place in the table, and of its value in State.Reg.
type Reg uint16

// The system registers, in the order of the table.
const (
	NoReg Reg = iota

	MIDR_EL1
	MPIDR_EL1
	REVIDR_EL1
	AIDR_EL1
	CTR_EL0
	DCZID_EL0
	CCSIDR_EL1
	CLIDR_EL1
	CSSELR_EL1
	ID_RES0
	ID_AA64PFR0_EL1
	ID_AA64PFR1_EL1
	ID_AA64DFR0_EL1
	ID_AA64ISAR0_EL1
	ID_AA64ISAR1_EL1
	ID_AA64MMFR0_EL1
	ID_AA64MMFR1_EL1
	ID_AA64MMFR2_EL1

	CurrentEL
	SPSel
	NZCV
	DAIF
	PAN
	UAO
	SSBS
	FPCR
	FPSR
	SP_EL0
	SPSR_EL1
	ELR_EL1

	SCTLR_EL1
	ACTLR_EL1
	CPACR_EL1
	TTBR0_EL1
	TTBR1_EL1
	TCR_EL1
	AFSR0_EL1
	AFSR1_EL1
	ESR_EL1
	FAR_EL1
	PAR_EL1
	MAIR_EL1
	AMAIR_EL1
	VBAR_EL1
	ISR_EL1
	CONTEXTIDR_EL1
	TPIDR_EL0
	TPIDRRO_EL0
	TPIDR_EL1

	DISR_EL1
	ERRIDR_EL1
	ERRSELR_EL1
	ERX_RES0

	CNTFRQ_EL0
	CNTPCT_EL0
	CNTVCT_EL0
	CNTP_TVAL_EL0
	CNTP_CTL_EL0
	CNTP_CVAL_EL0
	CNTV_TVAL_EL0
	CNTV_CTL_EL0
	CNTV_CVAL_EL0
	CNTKCTL_EL1

	ICC_PMR_EL1
	ICC_IAR0_EL1
	ICC_EOIR0_EL1
	ICC_HPPIR0_EL1
	ICC_BPR0_EL1
	ICC_AP0R0_EL1
	ICC_AP0R1_EL1
	ICC_AP0R2_EL1
	ICC_AP0R3_EL1
	ICC_AP1R0_EL1
	ICC_AP1R1_EL1
	ICC_AP1R2_EL1
	ICC_AP1R3_EL1
	ICC_DIR_EL1
	ICC_RPR_EL1
	ICC_SGI1R_EL1
	ICC_ASGI1R_EL1
	ICC_SGI0R_EL1
	ICC_IAR1_EL1
	ICC_EOIR1_EL1
	ICC_HPPIR1_EL1
	ICC_BPR1_EL1
	ICC_CTLR_EL1
	ICC_SRE_EL1
	ICC_IGRPEN0_EL1
	ICC_IGRPEN1_EL1

	MDSCR_EL1
	MDCCINT_EL1
	OSDTRRX_EL1
	OSDTRTX_EL1
	OSECCR_EL1
	MDRAR_EL1
	OSLAR_EL1
	OSLSR_EL1
	OSDLR_EL1
	DBGPRCR_EL1
	DBGCLAIMSET_EL1
	DBGCLAIMCLR_EL1
	DBGAUTHSTATUS_EL1
	MDCCSR_EL0
	DBGDTR_EL0
	DBGDTRX_EL0
	DBGBVR0_EL1
	DBGBCR0_EL1
	DBGBVR1_EL1
	DBGBCR1_EL1
	DBGBVR2_EL1
	DBGBCR2_EL1
	DBGBVR3_EL1
	DBGBCR3_EL1
	DBGBVR4_EL1
	DBGBCR4_EL1
	DBGBVR5_EL1
	DBGBCR5_EL1
	DBGWVR0_EL1
	DBGWCR0_EL1
	DBGWVR1_EL1
	DBGWCR1_EL1
	DBGWVR2_EL1
	DBGWCR2_EL1
	DBGWVR3_EL1
	DBGWCR3_EL1

	PMCR_EL0
	PMCNTENSET_EL0
	PMCNTENCLR_EL0
	PMOVSCLR_EL0
	PMSWINC_EL0
	PMSELR_EL0
	PMCEID0_EL0
	PMCEID1_EL0
	PMCCNTR_EL0
	PMXEVTYPER_EL0
	PMXEVCNTR_EL0
	PMUSERENR_EL0
	PMOVSSET_EL0
	PMINTENSET_EL1
	PMINTENCLR_EL1
	PMEV_RES0
	PMCCFILTR_EL0

	VPIDR_EL2
	VMPIDR_EL2
	SCTLR_EL2
	ACTLR_EL2
	HCR_EL2
	MDCR_EL2
	CPTR_EL2
	HSTR_EL2
	HACR_EL2
	TTBR0_EL2
	TTBR1_EL2
	TCR_EL2
	VTTBR_EL2
	VTCR_EL2
	SPSR_EL2
	ELR_EL2
	SP_EL1
	AFSR0_EL2
	AFSR1_EL2
	ESR_EL2
	VSESR_EL2
	FAR_EL2
	HPFAR_EL2
	MAIR_EL2
	AMAIR_EL2
	VBAR_EL2
	RVBAR_EL2
	VDISR_EL2
	CONTEXTIDR_EL2
	TPIDR_EL2
	CNTVOFF_EL2
	CNTHCTL_EL2
	CNTHP_TVAL_EL2
	CNTHP_CTL_EL2
	CNTHP_CVAL_EL2
	CNTHV_TVAL_EL2
	CNTHV_CTL_EL2
	CNTHV_CVAL_EL2
	ICC_SRE_EL2
	ICH_HCR_EL2
	ICH_VTR_EL2
	ICH_MISR_EL2
	ICH_EISR_EL2
	ICH_ELRSR_EL2
	ICH_VMCR_EL2
	ICH_AP0R0_EL2
	ICH_AP0R1_EL2
	ICH_AP0R2_EL2
	ICH_AP0R3_EL2
	ICH_AP1R0_EL2
	ICH_AP1R1_EL2
	ICH_AP1R2_EL2
	ICH_AP1R3_EL2
	ICH_LR0_EL2
	ICH_LR1_EL2
	ICH_LR2_EL2
	ICH_LR3_EL2
	ICH_LR4_EL2
	ICH_LR5_EL2
	ICH_LR6_EL2
	ICH_LR7_EL2
	ICH_LR8_EL2
	ICH_LR9_EL2
	ICH_LR10_EL2
	ICH_LR11_EL2
	ICH_LR12_EL2
	ICH_LR13_EL2
	ICH_LR14_EL2
	ICH_LR15_EL2

	SCTLR_EL12
	CPACR_EL12
	TTBR0_EL12
	TTBR1_EL12
	TCR_EL12
	SPSR_EL12
	ELR_EL12
	AFSR0_EL12
	AFSR1_EL12
	ESR_EL12
	FAR_EL12
	MAIR_EL12
	AMAIR_EL12
	VBAR_EL12
	CONTEXTIDR_EL12
	CNTKCTL_EL12
	CNTP_TVAL_EL02
	CNTP_CTL_EL02
	CNTP_CVAL_EL02
	CNTV_TVAL_EL02
	CNTV_CTL_EL02
	CNTV_CVAL_EL02

	NumRegs // how many there are
)

// table holds the system registers. Columns: name; op0, op1, CRn, CRm, op2; rights
// at EL0, EL1 and EL2; reset value; bits that a write changes; effect; guard;
// what a VHE host at EL2 gets under the name. DDI 0487 D19.2 to D24.
var table = [NumRegs]SysReg{

	// Identity.
	MIDR_EL1:         {"MIDR_EL1", EncOf(3, 0, 0, 0, 0), [3]Rights{no, r, r}, midr, 0, Special, Free, NoReg},
	MPIDR_EL1:        {"MPIDR_EL1", EncOf(3, 0, 0, 0, 5), [3]Rights{no, r, r}, 1 << 31, 0, Special, Free, NoReg},
	REVIDR_EL1:       {"REVIDR_EL1", EncOf(3, 0, 0, 0, 6), [3]Rights{no, r, r}, 0, 0, Stored, ByTID1, NoReg},
	AIDR_EL1:         {"AIDR_EL1", EncOf(3, 1, 0, 0, 7), [3]Rights{no, r, r}, 0, 0, Stored, ByTID1, NoReg},
	CTR_EL0:          {"CTR_EL0", EncOf(3, 3, 0, 0, 1), [3]Rights{r, r, r}, ctr, 0, Stored, ByTID2, NoReg},
	DCZID_EL0:        {"DCZID_EL0", EncOf(3, 3, 0, 0, 7), [3]Rights{r, r, r}, dczid, 0, Special, Free, NoReg},
	CCSIDR_EL1:       {"CCSIDR_EL1", EncOf(3, 1, 0, 0, 0), [3]Rights{no, r, r}, 0, 0, Special, ByTID2, NoReg},
	CLIDR_EL1:        {"CLIDR_EL1", EncOf(3, 1, 0, 0, 1), [3]Rights{no, r, r}, clidr, 0, Stored, ByTID2, NoReg},
	CSSELR_EL1:       {"CSSELR_EL1", EncOf(3, 2, 0, 0, 0), [3]Rights{no, rw, rw}, 0, 0xf, Stored, ByTID2, NoReg},
	ID_RES0:          {"ID_RES0", EncOf(3, 0, 0, 1, 0), [3]Rights{no, r, r}, 0, 0, Zero, ByTID3, NoReg},
	ID_AA64PFR0_EL1:  {"ID_AA64PFR0_EL1", EncOf(3, 0, 0, 4, 0), [3]Rights{no, r, r}, idPFR0, 0, Stored, ByTID3, NoReg},
	ID_AA64PFR1_EL1:  {"ID_AA64PFR1_EL1", EncOf(3, 0, 0, 4, 1), [3]Rights{no, r, r}, idPFR1, 0, Stored, ByTID3, NoReg},
	ID_AA64DFR0_EL1:  {"ID_AA64DFR0_EL1", EncOf(3, 0, 0, 5, 0), [3]Rights{no, r, r}, idDFR0, 0, Stored, ByTID3, NoReg},
	ID_AA64ISAR0_EL1: {"ID_AA64ISAR0_EL1", EncOf(3, 0, 0, 6, 0), [3]Rights{no, r, r}, idISAR0, 0, Stored, ByTID3, NoReg},
	ID_AA64ISAR1_EL1: {"ID_AA64ISAR1_EL1", EncOf(3, 0, 0, 6, 1), [3]Rights{no, r, r}, idISAR1, 0, Stored, ByTID3, NoReg},
	ID_AA64MMFR0_EL1: {"ID_AA64MMFR0_EL1", EncOf(3, 0, 0, 7, 0), [3]Rights{no, r, r}, idMMFR0, 0, Stored, ByTID3, NoReg},
	ID_AA64MMFR1_EL1: {"ID_AA64MMFR1_EL1", EncOf(3, 0, 0, 7, 1), [3]Rights{no, r, r}, idMMFR1, 0, Stored, ByTID3, NoReg},
	ID_AA64MMFR2_EL1: {"ID_AA64MMFR2_EL1", EncOf(3, 0, 0, 7, 2), [3]Rights{no, r, r}, idMMFR2, 0, Stored, ByTID3, NoReg},

	// PSTATE and the banks of EL1.
	CurrentEL: {"CurrentEL", EncOf(3, 0, 4, 2, 2), [3]Rights{no, r, r}, 0, 0, Special, Free, NoReg},
	SPSel:     {"SPSel", EncOf(3, 0, 4, 2, 0), [3]Rights{no, rw, rw}, 0, 0, Special, Free, NoReg},
	NZCV:      {"NZCV", EncOf(3, 3, 4, 2, 0), [3]Rights{rw, rw, rw}, 0, 0, Special, Free, NoReg},
	DAIF:      {"DAIF", EncOf(3, 3, 4, 2, 1), [3]Rights{rw, rw, rw}, 0, 0, Special, ByUMA, NoReg},
	PAN:       {"PAN", EncOf(3, 0, 4, 2, 3), [3]Rights{no, rw, rw}, 0, 0, Special, Free, NoReg},
	UAO:       {"UAO", EncOf(3, 0, 4, 2, 4), [3]Rights{no, rw, rw}, 0, 0, Special, Free, NoReg},
	SSBS:      {"SSBS", EncOf(3, 3, 4, 2, 6), [3]Rights{rw, rw, rw}, 0, 0, Special, Free, NoReg},
	FPCR:      {"FPCR", EncOf(3, 3, 4, 4, 0), [3]Rights{rw, rw, rw}, 0, 0x07f79f00 &^ 0x9f00, Stored, ByFP, NoReg},
	FPSR:      {"FPSR", EncOf(3, 3, 4, 4, 1), [3]Rights{rw, rw, rw}, 0, 0xf800009f, Stored, ByFP, NoReg},
	SP_EL0:    {"SP_EL0", EncOf(3, 0, 4, 1, 0), [3]Rights{no, rw, rw}, 0, 0, Special, Free, NoReg},
	SPSR_EL1:  {"SPSR_EL1", EncOf(3, 0, 4, 0, 0), [3]Rights{no, rw, rw}, 0, spsrBits, Stored, Free, SPSR_EL2},
	ELR_EL1:   {"ELR_EL1", EncOf(3, 0, 4, 0, 1), [3]Rights{no, rw, rw}, 0, all, Stored, Free, ELR_EL2},

	// Control and translation at EL1.
	SCTLR_EL1:      {"SCTLR_EL1", EncOf(3, 0, 1, 0, 0), [3]Rights{no, rw, rw}, sctlrReset, sctlrBits, Translation, ByTVM, SCTLR_EL2},
	ACTLR_EL1:      {"ACTLR_EL1", EncOf(3, 0, 1, 0, 1), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTACR, NoReg},
	CPACR_EL1:      {"CPACR_EL1", EncOf(3, 0, 1, 0, 2), [3]Rights{no, rw, rw}, 0, 3 << 20, Stored, ByTCPAC, CPTR_EL2},
	TTBR0_EL1:      {"TTBR0_EL1", EncOf(3, 0, 2, 0, 0), [3]Rights{no, rw, rw}, 0, all, Translation, ByTVM, TTBR0_EL2},
	TTBR1_EL1:      {"TTBR1_EL1", EncOf(3, 0, 2, 0, 1), [3]Rights{no, rw, rw}, 0, all, Translation, ByTVM, TTBR1_EL2},
	TCR_EL1:        {"TCR_EL1", EncOf(3, 0, 2, 0, 2), [3]Rights{no, rw, rw}, 0, tcrBits, Translation, ByTVM, TCR_EL2},
	AFSR0_EL1:      {"AFSR0_EL1", EncOf(3, 0, 5, 1, 0), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTVM, NoReg},
	AFSR1_EL1:      {"AFSR1_EL1", EncOf(3, 0, 5, 1, 1), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTVM, NoReg},
	ESR_EL1:        {"ESR_EL1", EncOf(3, 0, 5, 2, 0), [3]Rights{no, rw, rw}, 0, word, Stored, ByTVM, ESR_EL2},
	FAR_EL1:        {"FAR_EL1", EncOf(3, 0, 6, 0, 0), [3]Rights{no, rw, rw}, 0, all, Stored, ByTVM, FAR_EL2},
	PAR_EL1:        {"PAR_EL1", EncOf(3, 0, 7, 4, 0), [3]Rights{no, rw, rw}, 0, all, Stored, Free, NoReg},
	MAIR_EL1:       {"MAIR_EL1", EncOf(3, 0, 10, 2, 0), [3]Rights{no, rw, rw}, 0, all, Translation, ByTVM, MAIR_EL2},
	AMAIR_EL1:      {"AMAIR_EL1", EncOf(3, 0, 10, 3, 0), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTVM, NoReg},
	VBAR_EL1:       {"VBAR_EL1", EncOf(3, 0, 12, 0, 0), [3]Rights{no, rw, rw}, 0, all &^ 0x7ff, Stored, Free, VBAR_EL2},
	ISR_EL1:        {"ISR_EL1", EncOf(3, 0, 12, 1, 0), [3]Rights{no, r, r}, 0, 0, Special, Free, NoReg},
	CONTEXTIDR_EL1: {"CONTEXTIDR_EL1", EncOf(3, 0, 13, 0, 1), [3]Rights{no, rw, rw}, 0, word, Stored, ByTVM, CONTEXTIDR_EL2},
	TPIDR_EL0:      {"TPIDR_EL0", EncOf(3, 3, 13, 0, 2), [3]Rights{rw, rw, rw}, 0, all, Stored, Free, NoReg},
	TPIDRRO_EL0:    {"TPIDRRO_EL0", EncOf(3, 3, 13, 0, 3), [3]Rights{r, rw, rw}, 0, all, Stored, Free, NoReg},
	TPIDR_EL1:      {"TPIDR_EL1", EncOf(3, 0, 13, 0, 4), [3]Rights{no, rw, rw}, 0, all, Stored, Free, NoReg},

	// RAS: no error records.
	DISR_EL1:    {"DISR_EL1", EncOf(3, 0, 12, 1, 1), [3]Rights{no, rw, rw}, 0, 1<<31 | 0x1ffffff, Stored, Free, NoReg},
	ERRIDR_EL1:  {"ERRIDR_EL1", EncOf(3, 0, 5, 3, 0), [3]Rights{no, r, r}, 0, 0, Zero, ByTERR, NoReg},
	ERRSELR_EL1: {"ERRSELR_EL1", EncOf(3, 0, 5, 3, 1), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTERR, NoReg},
	ERX_RES0:    {"ERX_RES0", EncOf(3, 0, 5, 4, 0), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTERR, NoReg},

	// Generic timer.
	CNTFRQ_EL0:    {"CNTFRQ_EL0", EncOf(3, 3, 14, 0, 0), [3]Rights{r, r, rw}, CountHz, word, Stored, ByCount, NoReg},
	CNTPCT_EL0:    {"CNTPCT_EL0", EncOf(3, 3, 14, 0, 1), [3]Rights{r, r, r}, 0, 0, Timer, ByCount, NoReg},
	CNTVCT_EL0:    {"CNTVCT_EL0", EncOf(3, 3, 14, 0, 2), [3]Rights{r, r, r}, 0, 0, Timer, ByCount, NoReg},
	CNTP_TVAL_EL0: {"CNTP_TVAL_EL0", EncOf(3, 3, 14, 2, 0), [3]Rights{rw, rw, rw}, 0, 0, Timer, ByPhysTimer, CNTHP_TVAL_EL2},
	CNTP_CTL_EL0:  {"CNTP_CTL_EL0", EncOf(3, 3, 14, 2, 1), [3]Rights{rw, rw, rw}, 0, 3, Timer, ByPhysTimer, CNTHP_CTL_EL2},
	CNTP_CVAL_EL0: {"CNTP_CVAL_EL0", EncOf(3, 3, 14, 2, 2), [3]Rights{rw, rw, rw}, 0, all, Timer, ByPhysTimer, CNTHP_CVAL_EL2},
	CNTV_TVAL_EL0: {"CNTV_TVAL_EL0", EncOf(3, 3, 14, 3, 0), [3]Rights{rw, rw, rw}, 0, 0, Timer, ByVirtTimer, CNTHV_TVAL_EL2},
	CNTV_CTL_EL0:  {"CNTV_CTL_EL0", EncOf(3, 3, 14, 3, 1), [3]Rights{rw, rw, rw}, 0, 3, Timer, ByVirtTimer, CNTHV_CTL_EL2},
	CNTV_CVAL_EL0: {"CNTV_CVAL_EL0", EncOf(3, 3, 14, 3, 2), [3]Rights{rw, rw, rw}, 0, all, Timer, ByVirtTimer, CNTHV_CVAL_EL2},
	CNTKCTL_EL1:   {"CNTKCTL_EL1", EncOf(3, 0, 14, 1, 0), [3]Rights{no, rw, rw}, 0, 0x3ff, Stored, Free, CNTHCTL_EL2},

	// GIC CPU interface.
	ICC_PMR_EL1:     {"ICC_PMR_EL1", EncOf(3, 0, 4, 6, 0), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_IAR0_EL1:    {"ICC_IAR0_EL1", EncOf(3, 0, 12, 8, 0), [3]Rights{no, r, r}, 0, 0, Interrupt, Free, NoReg},
	ICC_EOIR0_EL1:   {"ICC_EOIR0_EL1", EncOf(3, 0, 12, 8, 1), [3]Rights{no, w, w}, 0, 0, Interrupt, Free, NoReg},
	ICC_HPPIR0_EL1:  {"ICC_HPPIR0_EL1", EncOf(3, 0, 12, 8, 2), [3]Rights{no, r, r}, 0, 0, Interrupt, Free, NoReg},
	ICC_BPR0_EL1:    {"ICC_BPR0_EL1", EncOf(3, 0, 12, 8, 3), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP0R0_EL1:   {"ICC_AP0R0_EL1", EncOf(3, 0, 12, 8, 4), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP0R1_EL1:   {"ICC_AP0R1_EL1", EncOf(3, 0, 12, 8, 5), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP0R2_EL1:   {"ICC_AP0R2_EL1", EncOf(3, 0, 12, 8, 6), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP0R3_EL1:   {"ICC_AP0R3_EL1", EncOf(3, 0, 12, 8, 7), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP1R0_EL1:   {"ICC_AP1R0_EL1", EncOf(3, 0, 12, 9, 0), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP1R1_EL1:   {"ICC_AP1R1_EL1", EncOf(3, 0, 12, 9, 1), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP1R2_EL1:   {"ICC_AP1R2_EL1", EncOf(3, 0, 12, 9, 2), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_AP1R3_EL1:   {"ICC_AP1R3_EL1", EncOf(3, 0, 12, 9, 3), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_DIR_EL1:     {"ICC_DIR_EL1", EncOf(3, 0, 12, 11, 1), [3]Rights{no, w, w}, 0, 0, Interrupt, Free, NoReg},
	ICC_RPR_EL1:     {"ICC_RPR_EL1", EncOf(3, 0, 12, 11, 3), [3]Rights{no, r, r}, 0, 0, Interrupt, Free, NoReg},
	ICC_SGI1R_EL1:   {"ICC_SGI1R_EL1", EncOf(3, 0, 12, 11, 5), [3]Rights{no, w, w}, 0, 0, Interrupt, ByIMO, NoReg},
	ICC_ASGI1R_EL1:  {"ICC_ASGI1R_EL1", EncOf(3, 0, 12, 11, 6), [3]Rights{no, w, w}, 0, 0, Interrupt, ByIMO, NoReg},
	ICC_SGI0R_EL1:   {"ICC_SGI0R_EL1", EncOf(3, 0, 12, 11, 7), [3]Rights{no, w, w}, 0, 0, Interrupt, ByIMO, NoReg},
	ICC_IAR1_EL1:    {"ICC_IAR1_EL1", EncOf(3, 0, 12, 12, 0), [3]Rights{no, r, r}, 0, 0, Interrupt, Free, NoReg},
	ICC_EOIR1_EL1:   {"ICC_EOIR1_EL1", EncOf(3, 0, 12, 12, 1), [3]Rights{no, w, w}, 0, 0, Interrupt, Free, NoReg},
	ICC_HPPIR1_EL1:  {"ICC_HPPIR1_EL1", EncOf(3, 0, 12, 12, 2), [3]Rights{no, r, r}, 0, 0, Interrupt, Free, NoReg},
	ICC_BPR1_EL1:    {"ICC_BPR1_EL1", EncOf(3, 0, 12, 12, 3), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_CTLR_EL1:    {"ICC_CTLR_EL1", EncOf(3, 0, 12, 12, 4), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_SRE_EL1:     {"ICC_SRE_EL1", EncOf(3, 0, 12, 12, 5), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_IGRPEN0_EL1: {"ICC_IGRPEN0_EL1", EncOf(3, 0, 12, 12, 6), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},
	ICC_IGRPEN1_EL1: {"ICC_IGRPEN1_EL1", EncOf(3, 0, 12, 12, 7), [3]Rights{no, rw, rw}, 0, 0, Interrupt, Free, NoReg},

	// Debug: stored, without effect.
	MDSCR_EL1:         {"MDSCR_EL1", EncOf(2, 0, 0, 2, 2), [3]Rights{no, rw, rw}, 0, 0xf001, Stored, ByTDA, NoReg},
	MDCCINT_EL1:       {"MDCCINT_EL1", EncOf(2, 0, 0, 2, 0), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	OSDTRRX_EL1:       {"OSDTRRX_EL1", EncOf(2, 0, 0, 0, 2), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	OSDTRTX_EL1:       {"OSDTRTX_EL1", EncOf(2, 0, 0, 3, 2), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	OSECCR_EL1:        {"OSECCR_EL1", EncOf(2, 0, 0, 6, 2), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	MDRAR_EL1:         {"MDRAR_EL1", EncOf(2, 0, 1, 0, 0), [3]Rights{no, r, r}, 0, 0, Zero, ByTDRA, NoReg},
	OSLAR_EL1:         {"OSLAR_EL1", EncOf(2, 0, 1, 0, 4), [3]Rights{no, w, w}, 0, 0, Special, ByTDOSA, NoReg},
	OSLSR_EL1:         {"OSLSR_EL1", EncOf(2, 0, 1, 1, 4), [3]Rights{no, r, r}, 0xa, 0, Stored, ByTDOSA, NoReg},
	OSDLR_EL1:         {"OSDLR_EL1", EncOf(2, 0, 1, 3, 4), [3]Rights{no, rw, rw}, 0, 1, Stored, ByTDOSA, NoReg},
	DBGPRCR_EL1:       {"DBGPRCR_EL1", EncOf(2, 0, 1, 4, 4), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTDOSA, NoReg},
	DBGCLAIMSET_EL1:   {"DBGCLAIMSET_EL1", EncOf(2, 0, 7, 8, 6), [3]Rights{no, rw, rw}, 0xff, 0, Special, ByTDA, NoReg},
	DBGCLAIMCLR_EL1:   {"DBGCLAIMCLR_EL1", EncOf(2, 0, 7, 9, 6), [3]Rights{no, rw, rw}, 0, 0xff, Special, ByTDA, NoReg},
	DBGAUTHSTATUS_EL1: {"DBGAUTHSTATUS_EL1", EncOf(2, 0, 7, 14, 6), [3]Rights{no, r, r}, 0, 0, Zero, ByTDA, NoReg},
	MDCCSR_EL0:        {"MDCCSR_EL0", EncOf(2, 3, 0, 1, 0), [3]Rights{r, r, r}, 0, 0, Zero, ByTDA, NoReg},
	DBGDTR_EL0:        {"DBGDTR_EL0", EncOf(2, 3, 0, 4, 0), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	DBGDTRX_EL0:       {"DBGDTRX_EL0", EncOf(2, 3, 0, 5, 0), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTDA, NoReg},
	DBGBVR0_EL1:       {"DBGBVR0_EL1", EncOf(2, 0, 0, 0, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR0_EL1:       {"DBGBCR0_EL1", EncOf(2, 0, 0, 0, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGBVR1_EL1:       {"DBGBVR1_EL1", EncOf(2, 0, 0, 1, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR1_EL1:       {"DBGBCR1_EL1", EncOf(2, 0, 0, 1, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGBVR2_EL1:       {"DBGBVR2_EL1", EncOf(2, 0, 0, 2, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR2_EL1:       {"DBGBCR2_EL1", EncOf(2, 0, 0, 2, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGBVR3_EL1:       {"DBGBVR3_EL1", EncOf(2, 0, 0, 3, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR3_EL1:       {"DBGBCR3_EL1", EncOf(2, 0, 0, 3, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGBVR4_EL1:       {"DBGBVR4_EL1", EncOf(2, 0, 0, 4, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR4_EL1:       {"DBGBCR4_EL1", EncOf(2, 0, 0, 4, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGBVR5_EL1:       {"DBGBVR5_EL1", EncOf(2, 0, 0, 5, 4), [3]Rights{no, rw, rw}, 0, all, Stored, ByTDA, NoReg},
	DBGBCR5_EL1:       {"DBGBCR5_EL1", EncOf(2, 0, 0, 5, 5), [3]Rights{no, rw, rw}, 0, 0x00ffe1e7, Stored, ByTDA, NoReg},
	DBGWVR0_EL1:       {"DBGWVR0_EL1", EncOf(2, 0, 0, 0, 6), [3]Rights{no, rw, rw}, 0, all &^ 3, Stored, ByTDA, NoReg},
	DBGWCR0_EL1:       {"DBGWCR0_EL1", EncOf(2, 0, 0, 0, 7), [3]Rights{no, rw, rw}, 0, 0x1f1fffff, Stored, ByTDA, NoReg},
	DBGWVR1_EL1:       {"DBGWVR1_EL1", EncOf(2, 0, 0, 1, 6), [3]Rights{no, rw, rw}, 0, all &^ 3, Stored, ByTDA, NoReg},
	DBGWCR1_EL1:       {"DBGWCR1_EL1", EncOf(2, 0, 0, 1, 7), [3]Rights{no, rw, rw}, 0, 0x1f1fffff, Stored, ByTDA, NoReg},
	DBGWVR2_EL1:       {"DBGWVR2_EL1", EncOf(2, 0, 0, 2, 6), [3]Rights{no, rw, rw}, 0, all &^ 3, Stored, ByTDA, NoReg},
	DBGWCR2_EL1:       {"DBGWCR2_EL1", EncOf(2, 0, 0, 2, 7), [3]Rights{no, rw, rw}, 0, 0x1f1fffff, Stored, ByTDA, NoReg},
	DBGWVR3_EL1:       {"DBGWVR3_EL1", EncOf(2, 0, 0, 3, 6), [3]Rights{no, rw, rw}, 0, all &^ 3, Stored, ByTDA, NoReg},
	DBGWCR3_EL1:       {"DBGWCR3_EL1", EncOf(2, 0, 0, 3, 7), [3]Rights{no, rw, rw}, 0, 0x1f1fffff, Stored, ByTDA, NoReg},

	// Performance monitors: no counters.
	PMCR_EL0:       {"PMCR_EL0", EncOf(3, 3, 9, 12, 0), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMCNTENSET_EL0: {"PMCNTENSET_EL0", EncOf(3, 3, 9, 12, 1), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMCNTENCLR_EL0: {"PMCNTENCLR_EL0", EncOf(3, 3, 9, 12, 2), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMOVSCLR_EL0:   {"PMOVSCLR_EL0", EncOf(3, 3, 9, 12, 3), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMSWINC_EL0:    {"PMSWINC_EL0", EncOf(3, 3, 9, 12, 4), [3]Rights{w, w, w}, 0, 0, Zero, ByTPM, NoReg},
	PMSELR_EL0:     {"PMSELR_EL0", EncOf(3, 3, 9, 12, 5), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMCEID0_EL0:    {"PMCEID0_EL0", EncOf(3, 3, 9, 12, 6), [3]Rights{r, r, r}, 0, 0, Zero, ByTPM, NoReg},
	PMCEID1_EL0:    {"PMCEID1_EL0", EncOf(3, 3, 9, 12, 7), [3]Rights{r, r, r}, 0, 0, Zero, ByTPM, NoReg},
	PMCCNTR_EL0:    {"PMCCNTR_EL0", EncOf(3, 3, 9, 13, 0), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMXEVTYPER_EL0: {"PMXEVTYPER_EL0", EncOf(3, 3, 9, 13, 1), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMXEVCNTR_EL0:  {"PMXEVCNTR_EL0", EncOf(3, 3, 9, 13, 2), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMUSERENR_EL0:  {"PMUSERENR_EL0", EncOf(3, 3, 9, 14, 0), [3]Rights{r, rw, rw}, 0, 0xf, Stored, ByTPM, NoReg},
	PMOVSSET_EL0:   {"PMOVSSET_EL0", EncOf(3, 3, 9, 14, 3), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMINTENSET_EL1: {"PMINTENSET_EL1", EncOf(3, 0, 9, 14, 1), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMINTENCLR_EL1: {"PMINTENCLR_EL1", EncOf(3, 0, 9, 14, 2), [3]Rights{no, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMEV_RES0:      {"PMEV_RES0", EncOf(3, 3, 14, 8, 0), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},
	PMCCFILTR_EL0:  {"PMCCFILTR_EL0", EncOf(3, 3, 14, 15, 7), [3]Rights{rw, rw, rw}, 0, 0, Zero, ByTPM, NoReg},

	// EL2.
	VPIDR_EL2:      {"VPIDR_EL2", EncOf(3, 4, 0, 0, 0), [3]Rights{no, no, rw}, midr, word, Stored, Free, NoReg},
	VMPIDR_EL2:     {"VMPIDR_EL2", EncOf(3, 4, 0, 0, 5), [3]Rights{no, no, rw}, 1 << 31, all, Stored, Free, NoReg},
	SCTLR_EL2:      {"SCTLR_EL2", EncOf(3, 4, 1, 0, 0), [3]Rights{no, no, rw}, sctlr2Reset, sctlrBits, Translation, Free, NoReg},
	ACTLR_EL2:      {"ACTLR_EL2", EncOf(3, 4, 1, 0, 1), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	HCR_EL2:        {"HCR_EL2", EncOf(3, 4, 1, 1, 0), [3]Rights{no, no, rw}, HCRRW, hcrBits, Translation, Free, NoReg},
	MDCR_EL2:       {"MDCR_EL2", EncOf(3, 4, 1, 1, 1), [3]Rights{no, no, rw}, 0, 0xfff, Stored, Free, NoReg},
	CPTR_EL2:       {"CPTR_EL2", EncOf(3, 4, 1, 1, 2), [3]Rights{no, no, rw}, 0x33ff, cptrTCPAC | 3<<20 | cptrTFP, Stored, Free, NoReg},
	HSTR_EL2:       {"HSTR_EL2", EncOf(3, 4, 1, 1, 3), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	HACR_EL2:       {"HACR_EL2", EncOf(3, 4, 1, 1, 7), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	TTBR0_EL2:      {"TTBR0_EL2", EncOf(3, 4, 2, 0, 0), [3]Rights{no, no, rw}, 0, all, Translation, Free, NoReg},
	TTBR1_EL2:      {"TTBR1_EL2", EncOf(3, 4, 2, 0, 1), [3]Rights{no, no, rw}, 0, all, Translation, Free, NoReg},
	TCR_EL2:        {"TCR_EL2", EncOf(3, 4, 2, 0, 2), [3]Rights{no, no, rw}, 0, 1<<43 - 1, Translation, Free, NoReg},
	VTTBR_EL2:      {"VTTBR_EL2", EncOf(3, 4, 2, 1, 0), [3]Rights{no, no, rw}, 0, all, Translation, Free, NoReg},
	VTCR_EL2:       {"VTCR_EL2", EncOf(3, 4, 2, 1, 2), [3]Rights{no, no, rw}, 1 << 31, 0xfffff, Translation, Free, NoReg},
	SPSR_EL2:       {"SPSR_EL2", EncOf(3, 4, 4, 0, 0), [3]Rights{no, no, rw}, 0, spsrBits, Stored, Free, NoReg},
	ELR_EL2:        {"ELR_EL2", EncOf(3, 4, 4, 0, 1), [3]Rights{no, no, rw}, 0, all, Stored, Free, NoReg},
	SP_EL1:         {"SP_EL1", EncOf(3, 4, 4, 1, 0), [3]Rights{no, no, rw}, 0, 0, Special, Free, NoReg},
	AFSR0_EL2:      {"AFSR0_EL2", EncOf(3, 4, 5, 1, 0), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	AFSR1_EL2:      {"AFSR1_EL2", EncOf(3, 4, 5, 1, 1), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	ESR_EL2:        {"ESR_EL2", EncOf(3, 4, 5, 2, 0), [3]Rights{no, no, rw}, 0, word, Stored, Free, NoReg},
	VSESR_EL2:      {"VSESR_EL2", EncOf(3, 4, 5, 2, 3), [3]Rights{no, no, rw}, 0, 0x1ffffff, Stored, Free, NoReg},
	FAR_EL2:        {"FAR_EL2", EncOf(3, 4, 6, 0, 0), [3]Rights{no, no, rw}, 0, all, Stored, Free, NoReg},
	HPFAR_EL2:      {"HPFAR_EL2", EncOf(3, 4, 6, 0, 4), [3]Rights{no, no, rw}, 0, (1<<44 - 1) &^ 0xf, Stored, Free, NoReg},
	MAIR_EL2:       {"MAIR_EL2", EncOf(3, 4, 10, 2, 0), [3]Rights{no, no, rw}, 0, all, Translation, Free, NoReg},
	AMAIR_EL2:      {"AMAIR_EL2", EncOf(3, 4, 10, 3, 0), [3]Rights{no, no, rw}, 0, 0, Zero, Free, NoReg},
	VBAR_EL2:       {"VBAR_EL2", EncOf(3, 4, 12, 0, 0), [3]Rights{no, no, rw}, 0, all &^ 0x7ff, Stored, Free, NoReg},
	RVBAR_EL2:      {"RVBAR_EL2", EncOf(3, 4, 12, 0, 1), [3]Rights{no, no, r}, 0, 0, Stored, Free, NoReg},
	VDISR_EL2:      {"VDISR_EL2", EncOf(3, 4, 12, 1, 1), [3]Rights{no, no, rw}, 0, 1<<31 | 0x1ffffff, Stored, Free, NoReg},
	CONTEXTIDR_EL2: {"CONTEXTIDR_EL2", EncOf(3, 4, 13, 0, 1), [3]Rights{no, no, rw}, 0, word, Stored, Free, NoReg},
	TPIDR_EL2:      {"TPIDR_EL2", EncOf(3, 4, 13, 0, 2), [3]Rights{no, no, rw}, 0, all, Stored, Free, NoReg},
	CNTVOFF_EL2:    {"CNTVOFF_EL2", EncOf(3, 4, 14, 0, 3), [3]Rights{no, no, rw}, 0, all, Stored, Free, NoReg},
	CNTHCTL_EL2:    {"CNTHCTL_EL2", EncOf(3, 4, 14, 1, 0), [3]Rights{no, no, rw}, 3, 0xfff, Stored, Free, NoReg},
	CNTHP_TVAL_EL2: {"CNTHP_TVAL_EL2", EncOf(3, 4, 14, 2, 0), [3]Rights{no, no, rw}, 0, 0, Timer, Free, NoReg},
	CNTHP_CTL_EL2:  {"CNTHP_CTL_EL2", EncOf(3, 4, 14, 2, 1), [3]Rights{no, no, rw}, 0, 3, Timer, Free, NoReg},
	CNTHP_CVAL_EL2: {"CNTHP_CVAL_EL2", EncOf(3, 4, 14, 2, 2), [3]Rights{no, no, rw}, 0, all, Timer, Free, NoReg},
	CNTHV_TVAL_EL2: {"CNTHV_TVAL_EL2", EncOf(3, 4, 14, 3, 0), [3]Rights{no, no, rw}, 0, 0, Timer, Free, NoReg},
	CNTHV_CTL_EL2:  {"CNTHV_CTL_EL2", EncOf(3, 4, 14, 3, 1), [3]Rights{no, no, rw}, 0, 3, Timer, Free, NoReg},
	CNTHV_CVAL_EL2: {"CNTHV_CVAL_EL2", EncOf(3, 4, 14, 3, 2), [3]Rights{no, no, rw}, 0, all, Timer, Free, NoReg},
	ICC_SRE_EL2:    {"ICC_SRE_EL2", EncOf(3, 4, 12, 9, 5), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_HCR_EL2:    {"ICH_HCR_EL2", EncOf(3, 4, 12, 11, 0), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_VTR_EL2:    {"ICH_VTR_EL2", EncOf(3, 4, 12, 11, 1), [3]Rights{no, no, r}, 0, 0, Interrupt, Free, NoReg},
	ICH_MISR_EL2:   {"ICH_MISR_EL2", EncOf(3, 4, 12, 11, 2), [3]Rights{no, no, r}, 0, 0, Interrupt, Free, NoReg},
	ICH_EISR_EL2:   {"ICH_EISR_EL2", EncOf(3, 4, 12, 11, 3), [3]Rights{no, no, r}, 0, 0, Interrupt, Free, NoReg},
	ICH_ELRSR_EL2:  {"ICH_ELRSR_EL2", EncOf(3, 4, 12, 11, 5), [3]Rights{no, no, r}, 0, 0, Interrupt, Free, NoReg},
	ICH_VMCR_EL2:   {"ICH_VMCR_EL2", EncOf(3, 4, 12, 11, 7), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP0R0_EL2:  {"ICH_AP0R0_EL2", EncOf(3, 4, 12, 8, 0), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP0R1_EL2:  {"ICH_AP0R1_EL2", EncOf(3, 4, 12, 8, 1), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP0R2_EL2:  {"ICH_AP0R2_EL2", EncOf(3, 4, 12, 8, 2), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP0R3_EL2:  {"ICH_AP0R3_EL2", EncOf(3, 4, 12, 8, 3), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP1R0_EL2:  {"ICH_AP1R0_EL2", EncOf(3, 4, 12, 9, 0), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP1R1_EL2:  {"ICH_AP1R1_EL2", EncOf(3, 4, 12, 9, 1), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP1R2_EL2:  {"ICH_AP1R2_EL2", EncOf(3, 4, 12, 9, 2), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_AP1R3_EL2:  {"ICH_AP1R3_EL2", EncOf(3, 4, 12, 9, 3), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR0_EL2:    {"ICH_LR0_EL2", EncOf(3, 4, 12, 12, 0), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR1_EL2:    {"ICH_LR1_EL2", EncOf(3, 4, 12, 12, 1), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR2_EL2:    {"ICH_LR2_EL2", EncOf(3, 4, 12, 12, 2), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR3_EL2:    {"ICH_LR3_EL2", EncOf(3, 4, 12, 12, 3), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR4_EL2:    {"ICH_LR4_EL2", EncOf(3, 4, 12, 12, 4), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR5_EL2:    {"ICH_LR5_EL2", EncOf(3, 4, 12, 12, 5), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR6_EL2:    {"ICH_LR6_EL2", EncOf(3, 4, 12, 12, 6), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR7_EL2:    {"ICH_LR7_EL2", EncOf(3, 4, 12, 12, 7), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR8_EL2:    {"ICH_LR8_EL2", EncOf(3, 4, 12, 13, 0), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR9_EL2:    {"ICH_LR9_EL2", EncOf(3, 4, 12, 13, 1), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR10_EL2:   {"ICH_LR10_EL2", EncOf(3, 4, 12, 13, 2), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR11_EL2:   {"ICH_LR11_EL2", EncOf(3, 4, 12, 13, 3), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR12_EL2:   {"ICH_LR12_EL2", EncOf(3, 4, 12, 13, 4), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR13_EL2:   {"ICH_LR13_EL2", EncOf(3, 4, 12, 13, 5), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR14_EL2:   {"ICH_LR14_EL2", EncOf(3, 4, 12, 13, 6), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},
	ICH_LR15_EL2:   {"ICH_LR15_EL2", EncOf(3, 4, 12, 13, 7), [3]Rights{no, no, rw}, 0, 0, Interrupt, Free, NoReg},

	// EL1's registers under another name, for a VHE host.
	SCTLR_EL12:      {"SCTLR_EL12", EncOf(3, 5, 1, 0, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, SCTLR_EL1},
	CPACR_EL12:      {"CPACR_EL12", EncOf(3, 5, 1, 0, 2), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CPACR_EL1},
	TTBR0_EL12:      {"TTBR0_EL12", EncOf(3, 5, 2, 0, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, TTBR0_EL1},
	TTBR1_EL12:      {"TTBR1_EL12", EncOf(3, 5, 2, 0, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, TTBR1_EL1},
	TCR_EL12:        {"TCR_EL12", EncOf(3, 5, 2, 0, 2), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, TCR_EL1},
	SPSR_EL12:       {"SPSR_EL12", EncOf(3, 5, 4, 0, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, SPSR_EL1},
	ELR_EL12:        {"ELR_EL12", EncOf(3, 5, 4, 0, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, ELR_EL1},
	AFSR0_EL12:      {"AFSR0_EL12", EncOf(3, 5, 5, 1, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, AFSR0_EL1},
	AFSR1_EL12:      {"AFSR1_EL12", EncOf(3, 5, 5, 1, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, AFSR1_EL1},
	ESR_EL12:        {"ESR_EL12", EncOf(3, 5, 5, 2, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, ESR_EL1},
	FAR_EL12:        {"FAR_EL12", EncOf(3, 5, 6, 0, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, FAR_EL1},
	MAIR_EL12:       {"MAIR_EL12", EncOf(3, 5, 10, 2, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, MAIR_EL1},
	AMAIR_EL12:      {"AMAIR_EL12", EncOf(3, 5, 10, 3, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, AMAIR_EL1},
	VBAR_EL12:       {"VBAR_EL12", EncOf(3, 5, 12, 0, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, VBAR_EL1},
	CONTEXTIDR_EL12: {"CONTEXTIDR_EL12", EncOf(3, 5, 13, 0, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CONTEXTIDR_EL1},
	CNTKCTL_EL12:    {"CNTKCTL_EL12", EncOf(3, 5, 14, 1, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTKCTL_EL1},
	CNTP_TVAL_EL02:  {"CNTP_TVAL_EL02", EncOf(3, 5, 14, 2, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTP_TVAL_EL0},
	CNTP_CTL_EL02:   {"CNTP_CTL_EL02", EncOf(3, 5, 14, 2, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTP_CTL_EL0},
	CNTP_CVAL_EL02:  {"CNTP_CVAL_EL02", EncOf(3, 5, 14, 2, 2), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTP_CVAL_EL0},
	CNTV_TVAL_EL02:  {"CNTV_TVAL_EL02", EncOf(3, 5, 14, 3, 0), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTV_TVAL_EL0},
	CNTV_CTL_EL02:   {"CNTV_CTL_EL02", EncOf(3, 5, 14, 3, 1), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTV_CTL_EL0},
	CNTV_CVAL_EL02:  {"CNTV_CVAL_EL02", EncOf(3, 5, 14, 3, 2), [3]Rights{no, no, rw}, 0, 0, Stored, ByVHE, CNTV_CVAL_EL0},
}
