package exec

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/arch"
	"ringmap/sim"
)

// debugged returns a PE at EL0 that debugs itself.
func debugged(t *testing.T, model Model, src string, mdscr uint64, regs map[arch.Reg]uint64) *Exec {
	e := program(t, src, 0x10000)
	e.Switch(model)
	s := e.PE.State
	s.Reg[arch.OSLSR_EL1], s.Reg[arch.MDSCR_EL1] = 8, mdscr
	for r, v := range regs {
		s.Reg[r] = v
	}
	s.X[9], s.X[0], s.X[1] = 0x20000, 0x1111, 0x2222
	e.mem.Store(0x20000, 8, 0x3333, 1)
	return e
}

const (
	debugMDE, debugSS = 1 << 15, 1
	enableEL0         = 2<<1 | 1
	enableEL1         = 1<<1 | 1
	allBytes          = 0xff << 5
)

// TestDebugExceptions: what raises one, what it tells, and what has not happened.
func TestDebugExceptions(t *testing.T) {
	type regs = map[arch.Reg]uint64
	const load, store = 1 << 3, 2 << 3
	for name, c := range map[string]struct {
		src      string
		mdscr    uint64
		ss       bool
		regs     regs
		esr, elr uint64 // esr 0: none before SVC
		far      uint64
	}{
		"breakpoint":                     {"nop\nmov x2, #1", debugMDE, false, regs{arch.DBGBVR1_EL1: 0x10004, arch.DBGBCR1_EL1: enableEL0}, 0xc2000022, 0x10004, 0},
		"breakpoint of EL1":              {"nop\nmov x2, #1", debugMDE, false, regs{arch.DBGBVR0_EL1: 0x10004, arch.DBGBCR0_EL1: enableEL1}, 0, 0x1000c, 0},
		"breakpoint that is off":         {"nop\nmov x2, #1", debugMDE, false, regs{arch.DBGBVR0_EL1: 0x10004, arch.DBGBCR0_EL1: 2 << 1}, 0, 0x1000c, 0},
		"breakpoint without MDE":         {"nop\nmov x2, #1", debugSS, true, regs{arch.DBGBVR0_EL1: 0x10000, arch.DBGBCR0_EL1: enableEL0}, 0xcb000022, 0x10004, 0},
		"breakpoint under the OS lock":   {"nop\nmov x2, #1", debugMDE, false, regs{arch.DBGBVR0_EL1: 0x10004, arch.DBGBCR0_EL1: enableEL0, arch.OSLSR_EL1: 10}, 0, 0x1000c, 0},
		"breakpoint of a context":        {"nop", debugMDE, false, regs{arch.DBGBVR4_EL1: 77, arch.DBGBCR4_EL1: 2<<20 | enableEL0, arch.CONTEXTIDR_EL1: 77}, 0xc2000022, 0x10000, 0},
		"breakpoint of another context":  {"nop", debugMDE, false, regs{arch.DBGBVR4_EL1: 77, arch.DBGBCR4_EL1: 2<<20 | enableEL0, arch.CONTEXTIDR_EL1: 78}, 0, 0x10008, 0},
		"breakpoint linked to a context": {"nop\nnop", debugMDE, false, regs{arch.DBGBVR0_EL1: 0x10004, arch.DBGBCR0_EL1: 1<<20 | 5<<16 | enableEL0, arch.DBGBVR5_EL1: 3, arch.DBGBCR5_EL1: 3<<20 | enableEL0, arch.CONTEXTIDR_EL1: 3}, 0xc2000022, 0x10004, 0},
		"linked, in another context":     {"nop\nnop", debugMDE, false, regs{arch.DBGBVR0_EL1: 0x10004, arch.DBGBCR0_EL1: 1<<20 | 5<<16 | enableEL0, arch.DBGBVR5_EL1: 3, arch.DBGBCR5_EL1: 3<<20 | enableEL0}, 0, 0x1000c, 0},

		"store":                     {"str x0, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | store | enableEL0}, 0xd2000062, 0x10000, 0x20000},
		"store to part of it":       {"str x0, [x9]", debugMDE, false, regs{arch.DBGWVR3_EL1: 0x20000, arch.DBGWCR3_EL1: 0xf0<<5 | store | enableEL0}, 0xd2000062, 0x10000, 0x20004},
		"store beside it":           {"str w0, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: 0xf0<<5 | store | enableEL0}, 0, 0x10008, 0},
		"load where stores are":     {"ldr x0, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | store | enableEL0}, 0, 0x10008, 0},
		"load":                      {"ldr x0, [x9], #8", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | load | enableEL0}, 0xd2000022, 0x10000, 0x20000},
		"load of EL1":               {"ldr x0, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | load | enableEL1}, 0, 0x10008, 0},
		"second register of a pair": {"stp x0, x1, [x9, #-8]!", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | store | enableEL0}, 0xd2000062, 0x10000, 0x20000},
		"range":                     {"str x0, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20800, arch.DBGWCR0_EL1: 12<<24 | allBytes | store | enableEL0}, 0xd2000062, 0x10000, 0x20000},
		"atomic":                    {"ldadd x0, x1, [x9]", debugMDE, false, regs{arch.DBGWVR0_EL1: 0x20000, arch.DBGWCR0_EL1: allBytes | store | enableEL0}, 0xd2000062, 0x10000, 0x20000},

		"step":                     {"mov x2, #1\nmov x2, #2", debugSS, true, nil, 0xcb000022, 0x10004, 0},
		"step over a branch":       {"b .+8\nnop\nnop", debugSS, true, nil, 0xcb000022, 0x10008, 0},
		"step over load-exclusive": {"ldxr x0, [x9]", debugSS, true, nil, 0xcb000062, 0x10004, 0},
		"step that is over":        {"mov x2, #1", debugSS, false, nil, 0xca000022, 0x10000, 0},
		"step into an exception":   {".word 0", debugSS, true, nil, 0x02000000, 0x10000, 0},
	} {
		for _, model := range []Model{Atomic, Inorder} {
			e := debugged(t, model, c.src+"\nsvc #0", c.mdscr, c.regs)
			e.PE.SS = c.ss
			e.Run(10_000)
			want := c.esr
			if want == 0 {
				want = 0x56000000
			}
			reg := &e.PE.Reg
			if reg[arch.ESR_EL1] != want || reg[arch.ELR_EL1] != c.elr || c.far != 0 && reg[arch.FAR_EL1] != c.far {
				t.Errorf("%s, %s: ESR %#x, ELR %#x, FAR %#x, want %#x, %#x, %#x", name, model, reg[arch.ESR_EL1], reg[arch.ELR_EL1], reg[arch.FAR_EL1], want, c.elr, c.far)
			}
			if want>>26 == 0x34 && (e.mem.Load(0x20000, 8) != 0x3333 || e.PE.X[9] != 0x20000 || e.PE.X[0] != 0x1111 || e.PE.X[1] != 0x2222) {
				t.Errorf("%s, %s: the access had an effect", name, model)
			}
			if ss := reg[arch.SPSR_EL1]>>21&1 != 0; ss != (name == "step into an exception") {
				t.Errorf("%s, %s: SPSR.SS is %v", name, model, ss)
			}
		}
	}
}

// TestSteps: EL1 steps EL0 through a loop, whatever pieces the run is cut into.
func TestSteps(t *testing.T) {
	const src = `
	mov	x0, #5
1:	add	x1, x1, x0
	subs	x0, x0, #1
	b.ne	1b
2:	svc	#0
	b	2b`
	run := func(cut sim.Cycle) *Exec {
		e := debugged(t, Atomic, src, debugSS, nil)
		// Counts steps in X5 and lets EL0 go on with SS set, from SPSR_EL1.
		put(t, e.mem, "add x5, x5, #1\nmrs x6, spsr_el1\norr x6, x6, #0x200000\nmsr spsr_el1, x6\neret", vectorsAt+0x400)
		e.PE.SS, e.PE.X[5] = true, 0
		for e.Now < 2000 {
			e.Run(min(e.Now+cut, 2000))
		}
		return e
	}
	whole := run(2000)
	// 16 steps to SVC, SVC itself, and then SVC and B again and again.
	if n := whole.PE.X[5]; whole.PE.X[1] != 0x2222+15 || n < 100 {
		t.Errorf("X1 %#x after %d steps", whole.PE.X[1], n)
	}
	for cut := sim.Cycle(1); cut < 9; cut++ {
		if other := run(cut); *other.PE.State != *whole.PE.State {
			t.Fatalf("in pieces of %d:\n%s", cut, cmp.Diff(whole.PE.State, other.PE.State))
		}
	}
}
