package exec

import (
	"ringmap/cpu/isa"
	"ringmap/mmu"
)

// What EL0 needs of the system instructions; the others stop (StopSystem).

var nzcvRegister = isa.Sys(3, 3, 4, 2, 0)

// dczva zeroes the block of 64 bytes that holds Rt's address.
var dczva = isa.Sys(1, 3, 7, 4, 1)

const zvaBytes = 64

var (
	nop       = do(func(*Exec, *uop) bool { return true })
	opMRSnzcv = do(func(e *Exec, u *uop) bool { return e.d(u, uint64(e.nzcv)<<28) })
	opMSRnzcv = do(func(e *Exec, u *uop) bool { e.nzcv = uint8(e.t(u) >> 28 & 15); return true })
	opDCZVA   = do(func(e *Exec, u *uop) bool {
		at := e.t(u) &^ (zvaBytes - 1)
		pa, ok := e.locate(at, zvaBytes, mmu.AccessWrite, 1)
		if ok {
			e.mem.Fill(pa, zvaBytes, 0, e.Writer)
		}
		return ok
	})
)

func system(e *Exec, _ *uop) bool { return e.halt(StopSystem) }

func lowerSystem(u *uop, in *isa.Inst) {
	switch in.Op {
	case isa.DMB, isa.DSB, isa.ISB, isa.CSDB, isa.ESB, isa.YIELD:
		u.do = nop
	case isa.CLREX:
		u.do = opCLREX
	case isa.MRS:
		if in.Sys == nzcvRegister {
			u.do, u.rd = opMRSnzcv, destination(in.Rd)
		}
	case isa.MSR:
		if in.Sys == nzcvRegister {
			u.do, u.rd = opMSRnzcv, source(in.Rd)
		}
	case isa.SYS:
		if in.Sys == dczva {
			u.do, u.rd = opDCZVA, source(in.Rd)
		}
	}
}
