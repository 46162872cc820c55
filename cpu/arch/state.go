// Package arch is the architectural state of a PE that executes A64: general and
// system registers, PSTATE, exceptions, address translation and timers, all of
// EL0, EL1 and EL2.
//
//	cpu/exec ──MRS, MSR──► PE.Read, PE.Write ─► table of registers ─► State
//	         ──SYS───────► PE.Sys ────────────► TLBI, AT
//	         ──va────────► PE.Translate ──────► mmu (stage 1 through stage 2)
//	         ──exception─► PE.Take ─┬─ EL1: vector
//	                                └─ EL2: vector, or the modelled kernel
//	         ──ERET──────► State.ExceptionReturn
//
// State is plain data: it belongs to whoever runs (a vCPU of a modelled kernel,
// or the bare PE) and is loaded on a PE, which holds what is derived from it.
//
// The PE is like a Neoverse N1 in what it offers (v8.2 with LSE, PAN, VHE, RAS;
// no AArch32, SVE, PAC, MTE, hardware updates of access flag and dirty state) but
// does not carry its name, so that no workaround for its errata switches on.
//
// Sources: Arm ARM DDI 0487, chapters D1 (exceptions), D8 (translation), D12
// (generic timer), D19 to D24 (system registers), and the pseudocode's functions,
// which comments name.
package arch

import (
	"errors"

	"ringmap/sim"
)

// State is the architectural state of one PE or of one vCPU.
type State struct {
	X       [32]uint64    // X0 to X30; X[31] is the zero register, 0 between instructions
	SP      [4]uint64     // SP_EL0, SP_EL1, SP_EL2; the last does not exist
	V       [32][2]uint64 // SIMD and FP registers, the low half first
	PC      uint64
	PState                  // NZCV, DAIF, EL …
	Reg     [NumRegs]uint64 // system registers that are stored, by their place in the table
	Monitor Monitor
	Event   bool // the event register of WFE and SEV
}

// PState is PSTATE.
type PState struct {
	NZCV  uint8 // N 8, Z 4, C 2, V 1
	DAIF  uint8 // D 8, A 4, I 2, F 1
	EL    uint8
	SPSel uint8 // 1: the EL's own SP, 0: SP_EL0
	PAN   bool
	UAO   bool
	SSBS  bool
	SS    bool
	IL    bool
}

// Monitor is the local exclusive monitor: what LDXR left.
type Monitor struct {
	Addr  uint64 // physical address of the granule
	Value [2]uint64
	Size  uint8 // bytes loaded, 0: open
}

// StackPointer returns the SP in use.
func (s *State) StackPointer() *uint64 { return &s.SP[s.EL&(0-s.SPSel)&3] }

// bits of a saved PSTATE. DDI 0487 C5.2.18, SPSR_EL1.
const (
	spsrIL   = 1 << 20
	spsrSS   = 1 << 21
	spsrPAN  = 1 << 22
	spsrUAO  = 1 << 23
	spsrSSBS = 1 << 12
)

func bit(b bool, mask uint64) uint64 {
	if b {
		return mask
	}
	return 0
}

// SPSR packs PSTATE as an exception saves it.
func (p *PState) SPSR() uint64 {
	return uint64(p.NZCV)<<28 | uint64(p.DAIF)<<6 | uint64(p.EL)<<2 | uint64(p.SPSel) |
		bit(p.IL, spsrIL) | bit(p.SS, spsrSS) | bit(p.PAN, spsrPAN) | bit(p.UAO, spsrUAO) | bit(p.SSBS, spsrSSBS)
}

var errState = errors.New("arch: impossible PSTATE")

// Sync saves, restores or hashes the state.
func (s *State) Sync(c *sim.Codec) {
	c.Tag("arch")
	for i := range s.X {
		c.U64(&s.X[i])
	}
	for i := range s.SP {
		c.U64(&s.SP[i])
	}
	for i := range s.V {
		c.U64(&s.V[i][0])
		c.U64(&s.V[i][1])
	}
	c.U64(&s.PC)
	s.PState.Sync(c)
	for i := range s.Reg {
		c.U64(&s.Reg[i])
	}
	c.U64(&s.Monitor.Addr)
	c.U64(&s.Monitor.Value[0])
	c.U64(&s.Monitor.Value[1])
	c.U8(&s.Monitor.Size)
	c.Bool(&s.Event)
}

func (p *PState) Sync(c *sim.Codec) {
	c.U8(&p.NZCV)
	c.U8(&p.DAIF)
	c.U8(&p.EL)
	c.U8(&p.SPSel)
	c.Bool(&p.PAN)
	c.Bool(&p.UAO)
	c.Bool(&p.SSBS)
	c.Bool(&p.SS)
	c.Bool(&p.IL)
	if p.NZCV > 15 || p.DAIF > 15 || p.EL > 2 || p.SPSel > 1 {
		c.Fail(errState)
		*p = PState{}
	}
}
