package exec

// Branches, the last uops of their blocks. PC is already that of what follows.
var (
	opB     = do(func(e *Exec, u *uop) bool { return e.jump(e.base + u.imm) })
	opBL    = do(func(e *Exec, u *uop) bool { e.x[30] = e.pc; return e.jump(e.base + u.imm) })
	opBR    = do(func(e *Exec, u *uop) bool { return e.jump(e.n(u)) })
	opBLR   = do(func(e *Exec, u *uop) bool { to := e.n(u); e.x[30] = e.pc; return e.jump(to) })
	opBcond = do(func(e *Exec, u *uop) bool { return e.jumpIf(e.holds(u), u.imm) })
	opCBZ   = [2]do{
		func(e *Exec, u *uop) bool { return e.jumpIf(e.t(u) == 0, u.imm) },
		func(e *Exec, u *uop) bool { return e.jumpIf(uint32(e.t(u)) == 0, u.imm) },
	}
	opCBNZ = [2]do{
		func(e *Exec, u *uop) bool { return e.jumpIf(e.t(u) != 0, u.imm) },
		func(e *Exec, u *uop) bool { return e.jumpIf(uint32(e.t(u)) != 0, u.imm) },
	}
	opTBZ  = do(func(e *Exec, u *uop) bool { return e.jumpIf(e.t(u)>>(u.amt&63)&1 == 0, u.imm) })
	opTBNZ = do(func(e *Exec, u *uop) bool { return e.jumpIf(e.t(u)>>(u.amt&63)&1 != 0, u.imm) })
)

// Comparisons fused with the branch on their flags.
var (
	fusedSUBSimm = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), u.imm); return e.flagsJump(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), u.imm); return e.flagsJump(u, r, f) },
	}
	fusedSUBSreg = [2]do{
		func(e *Exec, u *uop) bool { r, f := subtract(e.n(u), e.m(u)); return e.flagsJump(u, r, f) },
		func(e *Exec, u *uop) bool { r, f := subtract32(e.n(u), e.m(u)); return e.flagsJump(u, r, f) },
	}
	fusedANDSimm = [2]do{
		func(e *Exec, u *uop) bool { r := e.n(u) & u.imm; return e.flagsJump(u, r, logicFlags(r)) },
		func(e *Exec, u *uop) bool { r := e.n(u) & u.imm; return e.flagsJump(u, r, logicFlags32(r)) },
	}
)

func (e *Exec) jump(to uint64) bool {
	e.pc = to
	if to&3 != 0 {
		e.page = &noPage // so that what finds the next block sees it
	}
	return true
}

// jumpIf jumps to a place given relative to this page.
func (e *Exec) jumpIf(yes bool, to uint64) bool {
	if yes {
		e.pc = e.base + to
	}
	return true
}

func (e *Exec) flagsJump(u *uop, r uint64, nzcv uint8) bool {
	e.x[u.rd&63], e.nzcv = r, nzcv
	return e.jumpIf(e.holds(u), uint64(int64(int32(u.word))))
}
