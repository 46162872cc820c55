package exec

import (
	"strings"

	"ringmap/cpu/arch"
	"ringmap/cpu/cache"
	"ringmap/cpu/isa"
	"ringmap/mmu"
)

// Instructions whose meaning is the PE's: they end their block.

var nop = do(func(*Exec, *uop) bool { return true })

var nzcvRegister = isa.Sys(3, 3, 4, 2, 0)

var (
	opMRSnzcv = do(func(e *Exec, u *uop) bool { return e.d(u, uint64(e.nzcv)<<28) })
	opMSRnzcv = do(func(e *Exec, u *uop) bool { e.nzcv = uint8(e.t(u) >> 28 & 15); return true })
)

// lowerSystem finds the uops of those that are not for the PE.
func lowerSystem(u *uop, in *isa.Inst) {
	switch in.Op {
	case isa.DMB, isa.DSB, isa.CSDB, isa.ESB, isa.YIELD:
		u.do = nop
	case isa.CLREX:
		u.do = opCLREX
	case isa.MRS:
		if u.rd = destination(in.Rd); in.Sys == nzcvRegister {
			u.do = opMRSnzcv
		}
	case isa.MSR:
		if u.rd = source(in.Rd); in.Sys == nzcvRegister {
			u.do = opMSRnzcv
		}
	case isa.SYS:
		u.rd = source(in.Rd)
	}
}

// system executes an instruction by the PE. Whatever it does, settling is due.
func system(e *Exec, u *uop) bool {
	in, _ := isa.Decode(u.word)
	next := e.pc
	e.pc = e.base + uint64(u.off)
	e.saveSpecial()
	x, failed := e.perform(u, &in, next)
	if failed {
		e.fault = fault{kind: faultOther, exception: x}
		return false
	}
	if e.fault.kind != faultNone {
		return false
	}
	if in.Op != isa.ERET {
		e.PE.PC = next
	}
	e.loadSpecial()
	e.after = true
	return false
}

// perform executes an instruction by the PE; failed says that the exception is
// what comes of it.
func (e *Exec) perform(u *uop, in *isa.Inst, next uint64) (x arch.Exception, failed bool) {
	pe, imm, enc := e.PE, uint16(in.Imm), arch.Enc(in.Sys)
	switch in.Op {
	case isa.MRS:
		var v uint64
		if v, x, failed = pe.MRS(enc, in.Rd); !failed {
			e.d(u, v)
		}
		return x, failed
	case isa.MSR:
		return pe.MSR(enc, in.Rd, e.t(u))
	case isa.MSRUAO, isa.MSRPAN, isa.MSRSPSel, isa.MSRSSBS, isa.MSRDAIFSet, isa.MSRDAIFClr:
		enc = arch.Enc(u.word >> 5)
		trap := pe.WritePState(uint8(enc>>11&7), uint8(enc&7), uint8(imm&15))
		return pe.RegTrap(trap, enc, 31, false), trap != arch.NoTrap
	case isa.SYS:
		return e.maintain(u, enc, in.Rd)
	case isa.SVC:
		return pe.SVC(imm), true
	case isa.HVC:
		return pe.HVC(imm), true
	case isa.SMC:
		x, firmware := pe.SMC(imm)
		return x, !firmware || e.halt(StopSMC, in)
	case isa.BRK:
		return pe.BRK(imm), true
	case isa.ERET:
		e.mem.Release(&e.reservation)
		return pe.ExceptionReturn()
	case isa.ISB:
		return x, false
	case isa.HINT:
		e.halt(StopHint, in)
		return x, false
	case isa.WFI:
		if x, failed = pe.WFI(); !failed {
			e.halt(StopWFI, in)
		}
		return x, failed
	case isa.WFE:
		if e.Event() {
			pe.Event = false
			return x, false
		}
		if x, failed = pe.WFE(); !failed {
			e.halt(StopWFE, in)
		}
		return x, failed
	case isa.SEV:
		pe.Event = true
		e.halt(StopSEV, in)
		return x, false
	case isa.SEVL:
		pe.Event = true
		return x, false
	}
	return pe.Unknown(), true // HLT, DRPS, DCPSn, SYSL: nothing that this PE has
}

// Event reports whether WFE has nothing to wait for: SEV, an exception return, or
// a reservation that another PE's write opened (DDI 0487 D1.6.1).
func (e *Exec) Event() bool {
	if e.reservation.Lost {
		e.reservation.Lost, e.PE.Event = false, true
	}
	return e.PE.Event
}

// halt makes Run return behind this instruction.
func (e *Exec) halt(k StopKind, in *isa.Inst) bool {
	e.stop.Kind, e.stop.Inst = k, *in
	return false
}

// maintain executes a SYS instruction.
func (e *Exec) maintain(u *uop, enc arch.Enc, rt uint8) (x arch.Exception, failed bool) {
	action, x, failed := e.PE.Sys(enc, rt, e.t(u))
	if failed {
		return x, true
	}
	at, write := e.t(u), mmu.AccessRead
	switch action {
	case arch.Zeroes:
		at &^= zvaBytes - 1
		pa, ok := e.locate(at, zvaBytes, mmu.AccessWrite, 1)
		if ok { // otherwise e.fault says why not
			e.mem.Fill(pa, zvaBytes, 0, e.Writer)
		}
	case arch.Invalidate:
		write = mmu.AccessWrite
		fallthrough
	case arch.Cleans, arch.Fetches:
		t, abort := e.translate(at, write, e.mode)
		if t == nil {
			return e.PE.DataAbort(abort, true, true, 0), true
		}
		if e.model != Atomic && action != arch.Fetches { // L1I is coherent: IC IVAU has nothing to do
			e.translated()
			e.cleans(t.PAOf(mmu.VA(at)), pick(enc == civac, cache.Invalidate, cache.Clean))
		}
	case arch.Local, arch.Broadcast:
		if e.model != Atomic {
			e.pipe.maintains(e.Now, action == arch.Broadcast)
		}
	}
	return x, false
}

var civac = arch.EncOf(1, 3, 7, 14, 1)

const zvaBytes = 64 // DCZID_EL0.BS

// fault is why an instruction has had no effect.
type fault struct {
	kind      faultKind
	write     bool
	size      uint8
	abort     mmu.Abort
	exception arch.Exception
}

type faultKind uint8

const (
	faultNone faultKind = iota
	faultUndefined
	faultSP
	faultPC
	faultFetch
	faultData
	faultFP
	faultWatch
	faultOther
	faultRefetch // no exception: go on at this instruction, fetched anew
)

func (e *Exec) fails(k faultKind) bool {
	e.fault = fault{kind: k}
	return false
}

// interrupt takes an exception between two instructions; false stops the run.
func (e *Exec) interrupt(x arch.Exception) bool {
	e.stop.Inst = isa.Inst{}
	e.fault = fault{kind: faultOther, exception: x}
	return e.except()
}

// except takes the exception of a fault; false stops the run.
func (e *Exec) except() bool {
	e.excepted = true
	e.saveSpecial()
	f := &e.fault
	x := e.exception()
	e.stop.Abort, e.stop.Write, e.stop.Size = f.abort, f.write, f.size
	f.kind = faultNone
	if !e.take(x) {
		return false
	}
	e.taken()
	e.loadSpecial()
	return true
}

// exception is what a fault raises.
func (e *Exec) exception() arch.Exception {
	switch f := &e.fault; f.kind {
	case faultSP:
		return e.PE.SPAlignment()
	case faultPC:
		return e.PE.PCAlignment()
	case faultFetch:
		return e.PE.InstructionAbort(f.abort)
	case faultData:
		return e.PE.DataAbort(f.abort, f.write, false, transfer(&e.stop.Inst))
	case faultWatch:
		return e.PE.Watchpoint(uint64(f.abort.VA), f.write)
	case faultFP:
		return e.PE.RegTrap(e.PE.FPTrap(), 0, 0, false)
	case faultOther:
		return f.exception
	}
	return e.PE.Unknown()
}

// take takes an exception; false if the modelled kernel has to.
func (e *Exec) take(x arch.Exception) bool {
	if e.PE.Take(x) == 2 && e.PE.HostEL2 {
		e.stop.Kind, e.stop.Exception = StopEL2, x
		return false
	}
	return true
}

// taken lets the time of an exception taken pass.
func (e *Exec) taken() {
	if e.model == Atomic {
		e.Now++
		return
	}
	e.Retired++
	e.flush(StallException)
}

// transfer describes a load or store of one register without writeback, the only
// kind whose syndrome is valid (ISS encoding for a Data Abort, ISV).
func transfer(in *isa.Inst) arch.Transfer {
	switch in.Op {
	case isa.LDXR, isa.LDAXR, isa.STXR, isa.STLXR:
		return 0
	}
	if vectorOps[in.Op] != nil {
		return 0
	}
	name, class := in.Op.String(), in.Op.Class()
	if class != isa.ClassLOAD && class != isa.ClassSTORE || strings.HasSuffix(name, "pre") || strings.HasSuffix(name, "post") || pairs[in.Op] {
		return 0
	}
	return arch.NewTransfer(in.Size, in.Rd, in.Signed, in.Sf, in.Acq || in.Rel)
}

var pairs = [isa.NumOps]bool{
	isa.STXP: true, isa.STLXP: true, isa.LDXP: true, isa.LDAXP: true, isa.CASP: true,
	isa.STNP: true, isa.LDNP: true, isa.STPoff: true, isa.LDPoff: true, isa.LDPSWoff: true,
}
