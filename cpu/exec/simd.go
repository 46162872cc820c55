package exec

import (
	"math/bits"

	"ringmap/cpu/isa"
)

// The SIMD instructions that copy and search memory and strings. An operation on
// lanes is a function of a lane of each source; what it does not write is 0.

// simdOp is one of them.
type simdOp struct {
	do             do
	general, toGen bool // Rn, or Rd, is a general register
	reads          bool // Rd is a source too
}

var simdOps = [isa.NumOps]simdOp{
	isa.ADDvec: lanes(func(n, m uint64, _ uint) uint64 { return n + m }),
	isa.SUBvec: lanes(func(n, m uint64, _ uint) uint64 { return n - m }),
	isa.CMEQ:   lanes(func(n, m uint64, _ uint) uint64 { return ones(n == m) }),
	isa.CMTST:  lanes(func(n, m uint64, _ uint) uint64 { return ones(n&m != 0) }),
	isa.CMGT:   lanes(func(n, m uint64, top uint) uint64 { return ones(int64(n<<top) > int64(m<<top)) }),
	isa.CMGE:   lanes(func(n, m uint64, top uint) uint64 { return ones(int64(n<<top) >= int64(m<<top)) }),
	isa.CMHI:   lanes(func(n, m uint64, _ uint) uint64 { return ones(n > m) }),
	isa.CMHS:   lanes(func(n, m uint64, _ uint) uint64 { return ones(n >= m) }),
	isa.UMAX:   lanes(func(n, m uint64, _ uint) uint64 { return max(n, m) }),
	isa.UMIN:   lanes(func(n, m uint64, _ uint) uint64 { return min(n, m) }),
	isa.SMAX:   lanes(signedMax),
	isa.SMIN:   lanes(signedMin),
	isa.ADDP:   pairwise(func(n, m uint64, _ uint) uint64 { return n + m }),
	isa.UMAXP:  pairwise(func(n, m uint64, _ uint) uint64 { return max(n, m) }),
	isa.UMINP:  pairwise(func(n, m uint64, _ uint) uint64 { return min(n, m) }),
	isa.SMAXP:  pairwise(signedMax),
	isa.SMINP:  pairwise(signedMin),

	isa.ANDvec: halves(func(n, m, _ uint64) uint64 { return n & m }),
	isa.BICvec: halves(func(n, m, _ uint64) uint64 { return n &^ m }),
	isa.ORRvec: halves(func(n, m, _ uint64) uint64 { return n | m }),
	isa.ORNvec: halves(func(n, m, _ uint64) uint64 { return n | ^m }),
	isa.EORvec: halves(func(n, m, _ uint64) uint64 { return n ^ m }),
	isa.BSL:    halves(func(n, m, d uint64) uint64 { return n&d | m&^d }),
	isa.BIT:    halves(func(n, m, d uint64) uint64 { return n&m | d&^m }),
	isa.BIF:    halves(func(n, m, d uint64) uint64 { return n&^m | d&m }),
	isa.NOTvec: halves(func(n, _, _ uint64) uint64 { return ^n }),

	isa.CMEQ0:    lanes(func(n, _ uint64, _ uint) uint64 { return ones(n == 0) }),
	isa.CMGT0:    lanes(func(n, _ uint64, top uint) uint64 { return ones(int64(n<<top) > 0) }),
	isa.CMGE0:    lanes(func(n, _ uint64, top uint) uint64 { return ones(int64(n<<top) >= 0) }),
	isa.CMLT0:    lanes(func(n, _ uint64, top uint) uint64 { return ones(int64(n<<top) < 0) }),
	isa.CMLE0:    lanes(func(n, _ uint64, top uint) uint64 { return ones(int64(n<<top) <= 0) }),
	isa.CNTvec:   lanes(func(n, _ uint64, _ uint) uint64 { return uint64(bits.OnesCount64(n)) }),
	isa.REV64vec: {do: opREV64vec},
	isa.EXTvec:   {do: opEXTvec},

	isa.DUPgen:  {do: opDUPgen, general: true},
	isa.DUPelem: {do: opDUPelem},
	isa.UMOVw:   {do: opUMOV, toGen: true},
	isa.UMOVx:   {do: opUMOV, toGen: true},
	isa.INSgen:  {do: opINSgen, general: true, reads: true},

	isa.MOVIb: immediate(func(imm, _ uint64) uint64 { return imm * lanesOf[0] }),
	isa.MOVIs: immediate(func(imm, lsl uint64) uint64 { return imm << lsl * lanesOf[2] }),
	isa.MVNIs: immediate(func(imm, lsl uint64) uint64 { return ^(imm << lsl * lanesOf[2]) }),
	isa.MOVId: immediate(func(imm, _ uint64) uint64 { return spread(imm) }),

	isa.ORRhimm: change(func(d, imm, lsl uint64) uint64 { return d | imm<<lsl*lanesOf[1] }),
	isa.ORRsimm: change(func(d, imm, lsl uint64) uint64 { return d | imm<<lsl*lanesOf[2] }),
	isa.BIChimm: change(func(d, imm, lsl uint64) uint64 { return d &^ (imm << lsl * lanesOf[1]) }),
	isa.BICsimm: change(func(d, imm, lsl uint64) uint64 { return d &^ (imm << lsl * lanesOf[2]) }),

	isa.ADDV:  across(func(n, m uint64, _ uint) uint64 { return n + m }),
	isa.UMAXV: across(func(n, m uint64, _ uint) uint64 { return max(n, m) }),
	isa.UMINV: across(func(n, m uint64, _ uint) uint64 { return min(n, m) }),

	isa.SHRN: {do: opSHRN, reads: true},

	isa.FMOVxd:   {do: func(e *Exec, u *uop) bool { return e.mayUseV() && e.d(u, e.PE.V[u.rn&31][0]) }, toGen: true},
	isa.FMOVws:   {do: func(e *Exec, u *uop) bool { return e.mayUseV() && e.d(u, uint64(uint32(e.PE.V[u.rn&31][0]))) }, toGen: true},
	isa.FMOVxtop: {do: func(e *Exec, u *uop) bool { return e.mayUseV() && e.d(u, e.PE.V[u.rn&31][1]) }, toGen: true},
	isa.FMOVdx:   {do: func(e *Exec, u *uop) bool { return e.setV(u, e.n(u), 0) }, general: true},
	isa.FMOVsw:   {do: func(e *Exec, u *uop) bool { return e.setV(u, uint64(uint32(e.n(u))), 0) }, general: true},
	isa.FMOVtopx: {do: func(e *Exec, u *uop) bool { return e.setV(u, e.PE.V[u.rd&31][0], e.n(u)) }, general: true, reads: true},
	isa.FMOVd:    {do: func(e *Exec, u *uop) bool { return e.setV(u, e.PE.V[u.rn&31][0], 0) }},
	isa.FMOVs:    {do: func(e *Exec, u *uop) bool { return e.setV(u, uint64(uint32(e.PE.V[u.rn&31][0])), 0) }},
}

// across makes an operation that folds the lanes of Vn by f.
func across(f func(n, m uint64, top uint) uint64) simdOp {
	return simdOp{do: func(e *Exec, u *uop) bool {
		n, width := e.PE.V[u.rn&31], uint(8)<<(u.word>>22&3)
		mask := ^uint64(0) >> (64 - width)
		v, end := n[0]&mask, uint(64)
		if quadOf(u) {
			end = 128
		}
		for at := width; at < end; at += width {
			v = f(v, n[at/64]>>(at%64)&mask, 64-width) & mask
		}
		return e.setV(u, v, 0)
	}}
}

// lanesOf has a 1 in each lane, by log2 of its bytes.
var lanesOf = [4]uint64{0x0101010101010101, 0x0001000100010001, 0x0000000100000001, 1}

func ones(yes bool) uint64 {
	if yes {
		return ^uint64(0)
	}
	return 0
}

func signedMax(n, m uint64, top uint) uint64 { return pick(int64(n<<top) > int64(m<<top), n, m) }
func signedMin(n, m uint64, top uint) uint64 { return pick(int64(n<<top) < int64(m<<top), n, m) }

// setV writes a SIMD register, if SIMD may be used.
func (e *Exec) setV(u *uop, low, high uint64) bool {
	ok := e.mayUseV()
	if ok {
		e.PE.V[u.rd&31] = [2]uint64{low, high}
	}
	return ok
}

// quadOf says whether an instruction works on all 128 bits.
func quadOf(u *uop) bool { return u.word>>30&1 != 0 }

// upper is the high half of a result: 0 without Q.
func upper(u *uop, v uint64) uint64 {
	if quadOf(u) {
		return v
	}
	return 0
}

// eachLane applies f to the lanes of 2^size bytes of two halves; top is how far a
// lane is shifted up so that its sign is bit 63.
func eachLane(n, m uint64, size uint, f func(n, m uint64, top uint) uint64) (v uint64) {
	width := uint(8) << size
	mask := ^uint64(0) >> (64 - width)
	for at := uint(0); at < 64; at += width {
		v |= f(n>>at&mask, m>>at&mask, 64-width) & mask << at
	}
	return v
}

// lanes makes an operation of f on each lane.
func lanes(f func(n, m uint64, top uint) uint64) simdOp {
	return simdOp{do: func(e *Exec, u *uop) bool {
		n, m, size := e.PE.V[u.rn&31], e.PE.V[u.rm&31], uint(u.word>>22&3)
		return e.setV(u, eachLane(n[0], m[0], size, f), upper(u, eachLane(n[1], m[1], size, f)))
	}}
}

// halves makes an operation of f on the bits of the sources and the destination.
func halves(f func(n, m, d uint64) uint64) simdOp {
	return simdOp{reads: true, do: func(e *Exec, u *uop) bool {
		n, m, d := e.PE.V[u.rn&31], e.PE.V[u.rm&31], e.PE.V[u.rd&31]
		return e.setV(u, f(n[0], m[0], d[0]), upper(u, f(n[1], m[1], d[1])))
	}}
}

// pairwise makes an operation of f on neighbours: those of Vn, then those of Vm.
func pairwise(f func(n, m uint64, top uint) uint64) simdOp {
	return simdOp{do: func(e *Exec, u *uop) bool {
		n, m, size := e.PE.V[u.rn&31], e.PE.V[u.rm&31], uint(u.word>>22&3)
		in := []uint64{n[0], n[1], m[0], m[1]}
		if !quadOf(u) {
			in = []uint64{n[0], m[0]}
		}
		var out [2]uint64
		width, done := uint(8)<<size, uint(0)
		mask := ^uint64(0) >> (64 - width)
		at := func(i uint) uint64 { return in[i*width/64] >> (i * width % 64) & mask }
		for i := uint(0); i*width < 64*uint(len(in)); i += 2 {
			out[done/64] |= f(at(i), at(i+1), 64-width) & mask << (done % 64)
			done += width
		}
		return e.setV(u, out[0], out[1])
	}}
}

// immediate makes a move of f of the immediate and the shift of words.
func immediate(f func(imm, lsl uint64) uint64) simdOp {
	return simdOp{do: func(e *Exec, u *uop) bool {
		v := f(uint64(u.word>>16&7<<5|u.word>>5&31), uint64(u.word>>13&3*8))
		return e.setV(u, v, upper(u, v))
	}}
}

// change makes a change of Vd by f with the immediate and its shift.
func change(f func(d, imm, lsl uint64) uint64) simdOp {
	return simdOp{reads: true, do: func(e *Exec, u *uop) bool {
		d, imm, lsl := e.PE.V[u.rd&31], uint64(u.word>>16&7<<5|u.word>>5&31), uint64(u.word>>13&3*8)
		return e.setV(u, f(d[0], imm, lsl), upper(u, f(d[1], imm, lsl)))
	}}
}

// spread makes a byte of each bit.
func spread(imm uint64) (v uint64) {
	for i := range 8 {
		v |= imm >> i & 1 * 0xff << (8 * i)
	}
	return v
}

func opREV64vec(e *Exec, u *uop) bool {
	n, size := e.PE.V[u.rn&31], uint(u.word>>22&3)
	return e.setV(u, reverseLanes(n[0], size), upper(u, reverseLanes(n[1], size)))
}

// reverseLanes turns the order of lanes around.
func reverseLanes(v uint64, size uint) uint64 {
	v = bits.ReverseBytes64(v)
	return eachLane(v, 0, size, func(n, _ uint64, top uint) uint64 { return bits.ReverseBytes64(n) >> top })
}

// opEXTvec takes consecutive bytes out of Vm:Vn.
func opEXTvec(e *Exec, u *uop) bool {
	n, m, at := e.PE.V[u.rn&31], e.PE.V[u.rm&31], uint(u.word>>11&15)*8
	all := []uint64{n[0], n[1], m[0], m[1], 0}
	if !quadOf(u) {
		all = []uint64{n[0], m[0], 0, 0, 0}
	}
	from := func(at uint) uint64 {
		v := all[at/64] >> (at % 64)
		if at%64 != 0 {
			v |= all[at/64+1] << (64 - at%64)
		}
		return v
	}
	return e.setV(u, from(at), upper(u, from(at+64)))
}

// laneOf is the lane that imm5 names: log2 of its bytes, and where it begins.
func laneOf(u *uop) (size, half, at uint) {
	imm5 := uint(u.word >> 16 & 31)
	size = uint(bits.TrailingZeros(imm5)) & 3
	bit := imm5 >> (size + 1) * 8 << size
	return size, bit / 64, bit % 64
}

func opDUPgen(e *Exec, u *uop) bool {
	size, _, _ := laneOf(u)
	v := e.n(u) & (^uint64(0) >> (64 - 8<<size)) * lanesOf[size]
	return e.setV(u, v, upper(u, v))
}

func opDUPelem(e *Exec, u *uop) bool {
	size, half, at := laneOf(u)
	v := e.PE.V[u.rn&31][half&1] >> at & (^uint64(0) >> (64 - 8<<size)) * lanesOf[size]
	return e.setV(u, v, upper(u, v))
}

func opUMOV(e *Exec, u *uop) bool {
	size, half, at := laneOf(u)
	return e.mayUseV() && e.d(u, e.PE.V[u.rn&31][half&1]>>at&(^uint64(0)>>(64-8<<size)))
}

func opINSgen(e *Exec, u *uop) bool {
	size, half, at := laneOf(u)
	v, mask := e.PE.V[u.rd&31], ^uint64(0)>>(64-8<<size)<<at
	v[half&1] = v[half&1]&^mask | e.n(u)<<at&mask
	return e.setV(u, v[0], v[1])
}

// opSHRN narrows lanes after a shift, into the low half, or the high one with Q.
func opSHRN(e *Exec, u *uop) bool {
	n, imm := e.PE.V[u.rn&31], uint(u.word>>16&0x7f)
	size := uint(bits.Len(imm>>3)) - 1 // of what is left
	shift, width := 16<<size-imm, uint(8)<<size
	var v uint64
	for i := uint(0); i < 64/width; i++ {
		bit := i * 2 * width
		v |= n[bit/64] >> (bit % 64) & (^uint64(0) >> (64 - 2*width)) >> shift & (^uint64(0) >> (64 - width)) << (i * width)
	}
	if quadOf(u) {
		return e.setV(u, e.PE.V[u.rd&31][0], v)
	}
	return e.setV(u, v, 0)
}
