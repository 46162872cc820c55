package exec

import (
	"ringmap/cpu/arch"
	"ringmap/cpu/isa"
	"ringmap/mmu"
)

// Loads and stores of SIMD and FP registers. A load of less than 16 bytes clears
// the rest of its register. An access of 16 bytes is two of 8 that both happen or
// neither.
var (
	opLoadV     = do(func(e *Exec, u *uop) bool { return e.loadV(u, e.n(u)+u.imm) })
	opLoadVPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.loadV(u, at) && e.setBase(u, at+u.imm) })
	opLoadVPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.loadV(u, at) && e.setBase(u, at) })
	opLoadVReg  = do(func(e *Exec, u *uop) bool { return e.loadV(u, e.indexed(u)) })
	opLoadVLit  = do(func(e *Exec, u *uop) bool { return e.loadV(u, e.base+u.imm) })

	opStoreV     = do(func(e *Exec, u *uop) bool { return e.storeV(u, e.n(u)+u.imm) })
	opStoreVPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.storeV(u, at) && e.setBase(u, at+u.imm) })
	opStoreVPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.storeV(u, at) && e.setBase(u, at) })
	opStoreVReg  = do(func(e *Exec, u *uop) bool { return e.storeV(u, e.indexed(u)) })

	opLoadVPair     = do(func(e *Exec, u *uop) bool { return e.loadVPair(u, e.n(u)+u.imm) })
	opLoadVPairPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.loadVPair(u, at) && e.setBase(u, at+u.imm) })
	opLoadVPairPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.loadVPair(u, at) && e.setBase(u, at) })

	opStoreVPair     = do(func(e *Exec, u *uop) bool { return e.storeVPair(u, e.n(u)+u.imm) })
	opStoreVPairPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return e.storeVPair(u, at) && e.setBase(u, at+u.imm) })
	opStoreVPairPre  = do(func(e *Exec, u *uop) bool { at := e.n(u) + u.imm; return e.storeVPair(u, at) && e.setBase(u, at) })
)

// vectorOps are the accesses of SIMD and FP registers.
var vectorOps = [isa.NumOps]do{
	isa.LDRVoff: opLoadV, isa.LDURV: opLoadV, isa.LDRQoff: opLoadV, isa.LDURQ: opLoadV,
	isa.LDRVpost: opLoadVPost, isa.LDRQpost: opLoadVPost, isa.LDRVpre: opLoadVPre, isa.LDRQpre: opLoadVPre,
	isa.LDRVreg: opLoadVReg, isa.LDRQreg: opLoadVReg, isa.LDRVlit: opLoadVLit,
	isa.STRVoff: opStoreV, isa.STURV: opStoreV, isa.STRQoff: opStoreV, isa.STURQ: opStoreV,
	isa.STRVpost: opStoreVPost, isa.STRQpost: opStoreVPost, isa.STRVpre: opStoreVPre, isa.STRQpre: opStoreVPre,
	isa.STRVreg: opStoreVReg, isa.STRQreg: opStoreVReg,
	isa.LD1x1: opLoadList, isa.LD1x2: opLoadList, isa.LD1x1post: opLoadListPost,
	isa.ST1x1: opStoreList, isa.ST1x2: opStoreList, isa.ST1x1post: opStoreListPost,
	isa.LDNPV: opLoadVPair, isa.LDPVoff: opLoadVPair, isa.LDPVpost: opLoadVPairPost, isa.LDPVpre: opLoadVPairPre,
	isa.STNPV: opStoreVPair, isa.STPVoff: opStoreVPair, isa.STPVpost: opStoreVPairPost, isa.STPVpre: opStoreVPairPre,
}

// LD1 and ST1 of whole registers. Lanes in memory lie as in a register, lane by
// lane, so that their size matters to its alignment alone, which is the lane's.
var (
	opLoadList = do(func(e *Exec, u *uop) bool {
		at := e.n(u)
		return e.mayUseV() && e.alignedLanes(u, at, mmu.AccessRead) && e.loadList(u, at)
	})
	opStoreList = do(func(e *Exec, u *uop) bool {
		at := e.n(u)
		return e.mayUseV() && e.alignedLanes(u, at, mmu.AccessWrite) && e.storeList(u, at)
	})
	opLoadListPost  = do(func(e *Exec, u *uop) bool { at := e.n(u); return opLoadList(e, u) && e.setBase(u, at+listBytes(u)) })
	opStoreListPost = do(func(e *Exec, u *uop) bool { at := e.n(u); return opStoreList(e, u) && e.setBase(u, at+listBytes(u)) })
)

// listBytes is what each register of a list takes; imm has how many there are.
func listBytes(u *uop) uint64 { return 8 << (u.word >> 30 & 1) }

// alignedLanes checks every lane where alignment is checked.
func (e *Exec) alignedLanes(u *uop, at uint64, a mmu.Access) bool {
	lane := uint64(1) << (u.word >> 10 & 3)
	for n := uint64(0); n < listBytes(u)*u.imm; n += lane {
		if _, _, ok := e.place(at+n, lane, a, 1); !ok {
			return false
		}
	}
	return true
}

// pieceOf is how many bytes of a list are accessed at once: a lane, or 8 where those
// are aligned.
func pieceOf(u *uop, at uint64) uint64 {
	if at&7 == 0 {
		return 8
	}
	return 1 << (u.word >> 10 & 3)
}

func (e *Exec) loadList(u *uop, at uint64) bool {
	var v [2][2]uint64
	size, each := pieceOf(u, at), listBytes(u)
	for n := uint64(0); n < each*u.imm; n += size {
		word, ok := e.read(at+n, uint8(size))
		if !ok {
			return false
		}
		v[n/each&1][n%each/8&1] |= word << (n % 8 * 8)
	}
	for r := range u.imm {
		e.PE.V[(uint64(u.rd)+r)&31] = v[r&1]
	}
	return true
}

func (e *Exec) storeList(u *uop, at uint64) bool {
	size, each := pieceOf(u, at), listBytes(u)
	for n := uint64(0); n < each*u.imm; n += size {
		if !e.write(at+n, uint8(size), e.PE.V[(uint64(u.rd)+n/each)&31][n%each/8&1]>>(n%8*8)) {
			return false
		}
	}
	return true
}

// setBase writes the base register back.
func (e *Exec) setBase(u *uop, base uint64) bool {
	e.x[u.rn&63] = base
	return true
}

// mayUseV checks that SIMD and FP registers may be used: CheckFPAdvSIMDEnabled64.
func (e *Exec) mayUseV() bool {
	return e.PE.FPTrap() == arch.NoTrap || e.fails(faultFP)
}

func (e *Exec) loadV(u *uop, at uint64) bool {
	v, ok := [2]uint64{}, e.mayUseV()
	if ok {
		if v, ok = e.readV(at, u.size); ok {
			e.PE.V[u.rd&31] = v
		}
	}
	return ok
}

func (e *Exec) storeV(u *uop, at uint64) bool {
	return e.mayUseV() && (u.size <= 8 || e.writableV(at, u.size)) && e.writeV(at, u.size, e.PE.V[u.rd&31])
}

func (e *Exec) loadVPair(u *uop, at uint64) bool {
	if !e.mayUseV() {
		return false
	}
	first, ok := e.readV(at, u.size)
	if !ok {
		return false
	}
	second, ok := e.readV(at+uint64(u.size), u.size)
	if ok {
		e.PE.V[u.rd&31], e.PE.V[u.ra&31] = first, second
	}
	return ok
}

func (e *Exec) storeVPair(u *uop, at uint64) bool {
	next := at + uint64(u.size)
	return e.mayUseV() && e.writableV(at, u.size) && e.writableV(next, u.size) &&
		e.writeV(at, u.size, e.PE.V[u.rd&31]) && e.writeV(next, u.size, e.PE.V[u.ra&31])
}

// readV loads size bytes (1 to 16).
func (e *Exec) readV(at uint64, size uint8) (v [2]uint64, ok bool) {
	if size <= 8 {
		v[0], ok = e.read(at, size)
		return v, ok
	}
	if _, _, ok = e.place(at, 16, mmu.AccessRead, 1); !ok { // 16 bytes to Device memory are aligned to 16
		return v, false
	}
	if v[0], ok = e.read(at, 8); ok {
		v[1], ok = e.read(at+8, 8)
	}
	return v, ok
}

// writableV checks that size bytes can be stored, all of them.
func (e *Exec) writableV(at uint64, size uint8) bool { return e.writable(at, uint64(size)) }

// writeV stores size bytes, which can be.
func (e *Exec) writeV(at uint64, size uint8, v [2]uint64) bool {
	if size <= 8 {
		return e.write(at, size, v[0])
	}
	return e.write(at, 8, v[0]) && e.write(at+8, 8, v[1])
}
