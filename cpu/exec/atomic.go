package exec

import (
	"ringmap/mmu"
)

// Exclusives (DDI 0487 B2.12). The monitor holds a granule of 64 bytes; any
// write to it, by anyone, opens the monitor.
var (
	opLDXR = do(func(e *Exec, u *uop) bool {
		pa, ok := e.exclusive(u, 1, mmu.AccessRead)
		if ok {
			e.d(u, e.mem.Load(pa, u.size))
			e.mem.Reserve(&e.reservation, e.mem.Frame(pa.PFN()), pa)
		}
		return ok
	})
	opLDXP = do(func(e *Exec, u *uop) bool {
		pa, ok := e.exclusive(u, 2, mmu.AccessRead)
		if ok {
			first, second := e.mem.Load(pa, u.size), e.mem.Load(pa+mmu.PA(u.size), u.size)
			e.x[u.rd&63], e.x[u.ra&63] = first, second
			e.mem.Reserve(&e.reservation, e.mem.Frame(pa.PFN()), pa)
		}
		return ok
	})
	opSTXR = do(func(e *Exec, u *uop) bool {
		pa, ok := e.exclusive(u, 1, mmu.AccessWrite)
		if ok {
			v := e.t(u)
			if e.passes(u, pa) {
				e.mem.Store(pa, u.size, v, e.Writer)
			}
		}
		return ok
	})
	opSTXP = do(func(e *Exec, u *uop) bool {
		pa, ok := e.exclusive(u, 2, mmu.AccessWrite)
		if ok {
			first, second := e.t(u), e.a(u)
			if e.passes(u, pa) {
				e.mem.Store(pa, u.size, first, e.Writer)
				e.mem.Store(pa+mmu.PA(u.size), u.size, second, e.Writer)
			}
		}
		return ok
	})
	opCLREX = do(func(e *Exec, _ *uop) bool { e.mem.Release(&e.reservation); return true })
)

// exclusive translates the base for an access to n registers' worth, which must
// be aligned to all of it.
func (e *Exec) exclusive(u *uop, n uint64, a mmu.Access) (mmu.PA, bool) {
	size := n * uint64(u.size)
	return e.locate(e.n(u), size, a, size)
}

// passes opens the monitor and gives the status register 0 if it held pa's
// granule, otherwise 1.
func (e *Exec) passes(u *uop, pa mmu.PA) bool {
	r := &e.reservation
	ok := r.Armed && r.At == pa>>mmu.GranuleShift<<mmu.GranuleShift
	e.mem.Release(r)
	e.x[u.rm&63] = 1
	if ok {
		e.x[u.rm&63] = 0
	}
	return ok
}

// Atomics (FEAT_LSE): Rs is the operand, Rt gets the old value.
var (
	opLDADD  = atomic(func(old, s uint64, _ uint) uint64 { return old + s })
	opLDCLR  = atomic(func(old, s uint64, _ uint) uint64 { return old &^ s })
	opLDEOR  = atomic(func(old, s uint64, _ uint) uint64 { return old ^ s })
	opLDSET  = atomic(func(old, s uint64, _ uint) uint64 { return old | s })
	opSWP    = atomic(func(_, s uint64, _ uint) uint64 { return s })
	opLDSMAX = atomic(func(old, s uint64, top uint) uint64 { return pick(int64(old<<top) > int64(s<<top), old, s) })
	opLDSMIN = atomic(func(old, s uint64, top uint) uint64 { return pick(int64(old<<top) < int64(s<<top), old, s) })
	opLDUMAX = atomic(func(old, s uint64, top uint) uint64 { return pick(old<<top > s<<top, old, s) })
	opLDUMIN = atomic(func(old, s uint64, top uint) uint64 { return pick(old<<top < s<<top, old, s) })

	opCAS = do(func(e *Exec, u *uop) bool {
		pa, ok := e.atomic(u, 1)
		if ok {
			old := e.mem.Load(pa, u.size)
			if unused := 64 - 8*uint(u.size); old == e.m(u)<<unused>>unused {
				e.mem.Store(pa, u.size, e.t(u), e.Writer)
			}
			e.setSource(u.rm, old)
		}
		return ok
	})
	opCASP = do(func(e *Exec, u *uop) bool {
		pa, ok := e.atomic(u, 2)
		if ok {
			next, unused := pa+mmu.PA(u.size), 64-8*uint(u.size)
			first, second := e.mem.Load(pa, u.size), e.mem.Load(next, u.size)
			if first == e.m(u)<<unused>>unused && second == e.x[partner(u.rm)]<<unused>>unused {
				e.mem.Store(pa, u.size, e.t(u), e.Writer)
				e.mem.Store(next, u.size, e.x[partner(u.rd)], e.Writer)
			}
			e.setSource(u.rm, first)
			e.setSource(partner(u.rm), second)
		}
		return ok
	})
)

// atomic makes the uop of a read-modify-write; top is how far a value is shifted
// up so that its sign is bit 63.
func atomic(f func(old, s uint64, top uint) uint64) do {
	return func(e *Exec, u *uop) bool {
		pa, ok := e.atomic(u, 1)
		if ok {
			old := e.mem.Load(pa, u.size)
			e.mem.Store(pa, u.size, f(old, e.m(u), 64-8*uint(u.size)), e.Writer)
			e.d(u, old)
		}
		return ok
	}
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// atomic translates the base for a load and a store. What the load lacks is
// reported first, as a load's.
func (e *Exec) atomic(u *uop, n uint64) (mmu.PA, bool) {
	if _, ok := e.exclusive(u, n, mmu.AccessRead); !ok {
		return 0, false
	}
	return e.exclusive(u, n, mmu.AccessWrite)
}

// partner is the other register of CASP's pair: X30's is register 31.
func partner(r uint8) uint8 {
	if r == 30 {
		return zr
	}
	return (r + 1) & 63
}

// setSource sets a register that is a source and a destination.
func (e *Exec) setSource(r uint8, v uint64) {
	if r != zr {
		e.x[r&63] = v
	}
}
