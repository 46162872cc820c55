package exec

import (
	"testing"

	"ringmap/cpu/arch"
	"ringmap/mmu"
)

// TestVectorAccess: what loads and stores of SIMD registers leave, byte by byte.
func TestVectorAccess(t *testing.T) {
	e := program(t, `
	ldr	q0, [x9]
	ldr	h0, [x9, #2]		// the rest of it becomes 0
	ldp	q1, q2, [x9], #32
	str	q2, [x10, #-8]!		// on two pages
	stp	s2, s1, [x10, #16]
	str	b1, [x10, x11, lsl #0]
	ldr	d3, data
	str	d3, [x10, #32]
	svc	#0
	.balign	8
data:	.quad	0x1122334455667788`, 0x10000)
	e.PE.X[9], e.PE.X[10], e.PE.X[11] = 0x20008, 0x31000, 24
	for i := range uint64(8) {
		e.mem.Store(mmu.PA(0x20008+8*i), 8, 0x0101010101010101*(i+1), 1)
	}
	e.Run(100)
	v := e.PE.V
	if v[0] != [2]uint64{0x0101} || v[1] != [2]uint64{0x0101010101010101, 0x0202020202020202} ||
		v[2] != [2]uint64{0x0303030303030303, 0x0404040404040404} || v[3] != [2]uint64{0x1122334455667788} {
		t.Errorf("%x", v[:4])
	}
	for at, want := range map[uint64]uint64{
		0x30ff8: 0x0303030303030303, 0x31000: 0x0404040404040404, 0x31008: 0x0101010103030303, 0x31010: 0x01, 0x31018: 0x1122334455667788,
	} {
		if got := e.mem.Load(mmu.PA(at), 8); got != want {
			t.Errorf("at %#x: %#x, want %#x", at, got, want)
		}
	}
	if e.PE.X[9] != 0x20028 || e.PE.X[10] != 0x30ff8 {
		t.Errorf("bases %#x, %#x", e.PE.X[9], e.PE.X[10])
	}
}

// TestVectorFaults: an access that may not happen has no effect.
func TestVectorFaults(t *testing.T) {
	const fp, abort, permission1, alignment, wnr = 0x07, 0x24, 0xd, 0x21, 1 << 6
	for _, c := range []struct {
		src      string
		at       uint64
		cpacr    uint64
		sctlr    uint64
		ec, iss  uint64
		far      uint64
		register uint64 // V1 afterwards
	}{
		{"ldr q1, [x9]", 0x20000, 0, 0, fp, 0x1e00000, 0, 7},
		{"str q1, [x9]", 0x20000, 1 << 20, 0, fp, 0x1e00000, 0, 7}, // EL1 may, EL0 may not
		{"ldp q1, q2, [x9]", endOfUser, 0, 0, fp, 0x1e00000, 0, 7},
		{"ldp q1, q2, [x9]", endOfUser - 16, 3 << 20, 0, abort, permission1, endOfUser, 7},
		{"ldr q1, [x9], #16", endOfUser - 8, 3 << 20, 0, abort, permission1, endOfUser, 7},
		{"stp q1, q2, [x9, #-16]!", endOfUser, 3 << 20, 0, abort, permission1 | wnr, endOfUser, 7},
		{"str q1, [x9]", endOfUser - 8, 3 << 20, 0, abort, permission1 | wnr, endOfUser, 7},
		{"ldr q1, [x9]", 0x20008, 3 << 20, 2, abort, alignment, 0x20008, 7}, // SCTLR.A
		{"stp d1, d2, [x9]", 0x20004, 3 << 20, 2, abort, alignment | wnr, 0x20004, 7},
	} {
		e := program(t, c.src, 0x10000)
		e.PE.Reg[arch.CPACR_EL1] = c.cpacr
		e.PE.Reg[arch.SCTLR_EL1] |= c.sctlr
		e.PE.X[9], e.PE.V[1] = c.at, [2]uint64{7, 7}
		e.mem.Store(endOfUser-16, 8, 0x3333, 1)
		e.mem.Store(endOfUser-8, 8, 0x4444, 1)
		e.Run(100)
		esr := e.PE.Reg[arch.ESR_EL1]
		if want := c.ec<<26 | 1<<25 | c.iss; esr != want || c.far != 0 && e.PE.Reg[arch.FAR_EL1] != c.far || e.PE.Reg[arch.ELR_EL1] != 0x10000 {
			t.Errorf("%s at %#x: ESR %#x, want %#x; FAR %#x, ELR %#x", c.src, c.at, esr, want, e.PE.Reg[arch.FAR_EL1], e.PE.Reg[arch.ELR_EL1])
		}
		if e.PE.V[1] != [2]uint64{c.register, 7} || e.PE.X[9] != c.at || e.mem.Load(endOfUser-16, 8) != 0x3333 || e.mem.Load(endOfUser-8, 8) != 0x4444 {
			t.Errorf("%s at %#x: it had an effect", c.src, c.at)
		}
	}
}
