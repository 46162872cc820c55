package exec

import (
	"ringmap/mmu"
)

// mode of a load's uop: how the value fills the register.
const (
	zeroExtend = iota
	signExtend32
	signExtend64
)

func fillRegister(v uint64, size, mode uint8) uint64 {
	if mode == zeroExtend {
		return v
	}
	unused := 64 - 8*uint(size)
	v = uint64(int64(v<<(unused&63)) >> (unused & 63))
	if mode == signExtend32 {
		v = uint64(uint32(v))
	}
	return v
}

// indexed is the address of a register offset: its extension is in cond.
func (e *Exec) indexed(u *uop) uint64 {
	m := e.m(u)
	switch u.cond {
	case indexUXTW:
		m = uint64(uint32(m))
	case indexSXTW:
		m = uint64(int64(int32(m)))
	}
	return e.n(u) + m<<(u.amt&63)
}

const (
	indexX = iota
	indexUXTW
	indexSXTW
)

// One load and one store, by what their address is.
var (
	opLoad     = do(func(e *Exec, u *uop) bool { return e.load(u, e.n(u)+u.imm) })
	opLoadReg  = do(func(e *Exec, u *uop) bool { return e.load(u, e.indexed(u)) })
	opLoadPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.loadBack(u, at, at) })
	opLoadPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.loadBack(u, at, at+u.imm) })
	opLoadLit  = do(func(e *Exec, u *uop) bool { return e.load(u, e.base+u.imm) })
	opLoadUser = do(func(e *Exec, u *uop) bool {
		return e.unprivileged(func() bool { return e.load(u, e.n(u)+u.imm) })
	})

	opStore     = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+u.imm, u.size, e.t(u)) })
	opStoreReg  = do(func(e *Exec, u *uop) bool { return e.write(e.indexed(u), u.size, e.t(u)) })
	opStorePre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.storeBack(u, at, at) })
	opStorePost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.storeBack(u, at, at+u.imm) })
	opStoreUser = do(func(e *Exec, u *uop) bool {
		return e.unprivileged(func() bool { return e.write(e.n(u)+u.imm, u.size, e.t(u)) })
	})

	opLoadAcquire = do(func(e *Exec, u *uop) bool {
		at := e.n(u) + u.imm
		return e.ordered(u, at, mmu.AccessRead) && e.load(u, at)
	})
	opStoreRelease = do(func(e *Exec, u *uop) bool {
		at := e.n(u) + u.imm
		return e.ordered(u, at, mmu.AccessWrite) && e.write(at, u.size, e.t(u))
	})
)

// The same for the commonest sizes.
var (
	opLoad64 = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+u.imm, 8); return ok && e.d(u, v) })
	opLoad32 = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+u.imm, 4); return ok && e.d(u, v) })
	opLoad8  = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+u.imm, 1); return ok && e.d(u, v) })

	opLoadX64 = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+e.m(u)<<(u.amt&63), 8); return ok && e.d(u, v) })
	opLoadX32 = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+e.m(u)<<(u.amt&63), 4); return ok && e.d(u, v) })
	opLoadX8  = do(func(e *Exec, u *uop) bool { v, ok := e.read(e.n(u)+e.m(u)<<(u.amt&63), 1); return ok && e.d(u, v) })

	opStore64  = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+u.imm, 8, e.t(u)) })
	opStore32  = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+u.imm, 4, e.t(u)) })
	opStore8   = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+u.imm, 1, e.t(u)) })
	opStoreX64 = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+e.m(u)<<(u.amt&63), 8, e.t(u)) })
	opStoreX32 = do(func(e *Exec, u *uop) bool { return e.write(e.n(u)+e.m(u)<<(u.amt&63), 4, e.t(u)) })
)

func (e *Exec) load(u *uop, at uint64) bool {
	v, ok := e.read(at, u.size)
	return ok && e.d(u, fillRegister(v, u.size, u.mode))
}

// loadBack also writes the base; a register that is both keeps the load's.
func (e *Exec) loadBack(u *uop, at, base uint64) bool {
	v, ok := e.read(at, u.size)
	if ok {
		e.x[u.rn&63] = base
		e.x[u.rd&63] = fillRegister(v, u.size, u.mode)
	}
	return ok
}

func (e *Exec) storeBack(u *uop, at, base uint64) bool {
	ok := e.write(at, u.size, e.t(u))
	if ok {
		e.x[u.rn&63] = base
	}
	return ok
}

// ordered checks the address of a load-acquire or store-release, which must be
// aligned whatever SCTLR_ELx.A says (B2.9.2, without FEAT_LSE2).
func (e *Exec) ordered(u *uop, at uint64, a mmu.Access) bool {
	if at&uint64(u.size-1) != 0 {
		return e.misaligned(at, uint64(u.size), a)
	}
	return true
}

// Pairs: both registers or none.
var (
	opLoadPair     = do(func(e *Exec, u *uop) bool { return e.loadPair(u, e.n(u)+u.imm) })
	opLoadPairPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.loadPairBack(u, at, at) })
	opLoadPairPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.loadPairBack(u, at, at+u.imm) })

	opStorePair     = do(func(e *Exec, u *uop) bool { return e.storePair(u, e.n(u)+u.imm) })
	opStorePairPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.storePairBack(u, at, at) })
	opStorePairPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.storePairBack(u, at, at+u.imm) })
)

func (e *Exec) readPair(u *uop, at uint64) (first, second uint64, ok bool) {
	if first, ok = e.read(at, u.size); ok {
		second, ok = e.read(at+uint64(u.size), u.size)
	}
	return first, second, ok
}

func (e *Exec) loadPair(u *uop, at uint64) bool {
	first, second, ok := e.readPair(u, at)
	if ok {
		e.x[u.rd&63] = fillRegister(first, u.size, u.mode)
		e.x[u.ra&63] = fillRegister(second, u.size, u.mode)
	}
	return ok
}

func (e *Exec) loadPairBack(u *uop, at, base uint64) bool {
	first, second, ok := e.readPair(u, at)
	if ok {
		e.x[u.rn&63] = base
		e.x[u.rd&63] = fillRegister(first, u.size, u.mode)
		e.x[u.ra&63] = fillRegister(second, u.size, u.mode)
	}
	return ok
}

func (e *Exec) storePair(u *uop, at uint64) bool {
	size := uint64(u.size)
	if at&pageMask+2*size > mmu.FrameSize && !(e.writable(at, size) && e.writable(at+size, size)) {
		return false
	}
	return e.write(at, u.size, e.t(u)) && e.write(at+size, u.size, e.a(u))
}

// writable checks that size bytes at an address can be stored.
func (e *Exec) writable(at, size uint64) bool {
	_, _, ok := e.place(at, size, mmu.AccessWrite, 1)
	return ok
}

func (e *Exec) storePairBack(u *uop, at, base uint64) bool {
	ok := e.storePair(u, at)
	if ok {
		e.x[u.rn&63] = base
	}
	return ok
}
