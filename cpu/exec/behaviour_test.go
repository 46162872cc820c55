package exec

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/arch"
	"ringmap/cpu/cache"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// sorter returns a PE that runs programText.
func sorter(t testing.TB) *Exec {
	e := program(t, programText, 0x10ff0) // so that it crosses a page
	e.PE.X[1], e.PE.X[2], e.PE.X[10], e.PE.X[11] = 0x100000, 64, 6364136223846793005, 1442695040888963407
	return e
}

// TestLimit: how a run is cut into Runs makes no difference.
func TestLimit(t *testing.T) {
	whole, cut := sorter(t), sorter(t)
	whole.Run(20000)
	steps := sim.NewStream(1, "limit")
	for cut.Now < 20000 {
		to := min(cut.Now+1+sim.Cycle(steps.N(7)), 20000)
		if s := cut.Run(to); s != (Stop{}) || cut.Now != to {
			t.Fatalf("%+v at %d, want the limit at %d", s, cut.Now, to)
		}
	}
	if *whole.PE.State != *cut.PE.State {
		t.Error(cmp.Diff(whole.PE.State, cut.PE.State))
	}
	for i := range mmu.PA(256) {
		if a, b := whole.mem.Load(0x100000+8*i, 8), cut.mem.Load(0x100000+8*i, 8); a != b {
			t.Fatalf("word %d: %#x, %#x", i, a, b)
		}
	}
}

// TestSync: a run that is saved and restored at any point goes on as if not.
func TestSync(t *testing.T) {
	for m := range numModels {
		t.Run(m.String(), func(t *testing.T) { testSync(t, m) })
	}
}

func testSync(t *testing.T, model Model) {
	const src = `
again:	ldxr	x0, [x9]
	add	x0, x0, #1
	stxr	w1, x0, [x9]
	cbnz	w1, again
	str	x0, [x10], #8
	add	x2, x10, x0, lsl #12
	str	x0, [x2]
	ldr	x3, [x2, #8]
	ldadd	x0, x4, [x9]
	tbz	x4, #1, again
	mul	x5, x5, x0
	bl	1f
	b	again
1:	ret`
	type machine struct {
		*Exec
		domain *mmu.Domain
		caches *cache.System
	}
	start := func(src string) machine {
		m, d := mmu.NewMemory(), mmu.NewDomain()
		put(t, m, src, 0x10000)
		e := flatIn(t, m, d)
		caches := cache.New(cache.NeoverseN1, 1)
		e.Attach(caches, 0)
		e.Switch(model)
		e.PE.PC, e.PE.X[9], e.PE.X[10] = 0x10000, 0x20000, 0x30f00
		return machine{e, d, caches}
	}
	sync := func(m machine, c *sim.Codec) {
		m.mem.Sync(c)
		m.domain.Sync(c, m.mem)
		m.PE.State.Sync(c)
		if c.Loading() {
			m.PE.Refresh()
		}
		m.PE.Sync(c)
		m.caches.Sync(c)
		m.Sync(c)
	}
	hash := func(m machine) uint64 { h := sim.NewHasher(); sync(m, h); return h.Sum() }
	whole := start(src)
	whole.Run(400)
	for at := sim.Cycle(0); at < 230; at++ {
		first := start(src)
		first.Run(at)
		c := sim.NewEncoder()
		sync(first, c)
		second := start("b .")
		second.Run(3) // so that there is code to forget
		d := sim.NewDecoder(c.Finish())
		sync(second, d)
		if d.Err() != nil {
			t.Fatal(d.Err())
		}
		for _, m := range []machine{first, second} {
			m.Run(400)
			if hash(m) != hash(whole) {
				t.Fatalf("saved at %d: x0=%d x10=%#x, want %d, %#x", at, m.PE.X[0], m.PE.X[10], whole.PE.X[0], whole.PE.X[10])
			}
		}
	}
}

// TestCodeDies: whoever writes to a page of code, the next block is the new one.
func TestCodeDies(t *testing.T) {
	words, err := isa.Assemble("add x0, x0, #16", 0)
	if err != nil {
		t.Fatal(err)
	}
	add16 := uint64(words[0])
	writers := map[string]func(m *mmu.Memory){
		"store": func(m *mmu.Memory) { m.Store(0x10000, 4, add16, 1) },
		"write": func(m *mmu.Memory) {
			m.Write(0x10000, []byte{byte(add16), byte(add16 >> 8), byte(add16 >> 16), byte(add16 >> 24)}, mmu.WriterKernel)
		},
		"copy": func(m *mmu.Memory) {
			other := mmu.NewMemory()
			put(t, other, "loop: add x0, x0, #16\nb loop", 0)
			m.CopyFrame(0x10, other, 0)
		},
		"restore": func(m *mmu.Memory) {
			m.Store(0x10000, 4, add16, 1)
			c := sim.NewEncoder()
			m.Sync(c)
			m.Store(0x10000, 4, 0, 1)
			m.Sync(sim.NewDecoder(c.Finish()))
		},
	}
	for name, write := range writers {
		e := program(t, "loop: add x0, x0, #1\nb loop", 0x10000)
		for range 3 { // also when the page was decoded anew
			put(t, e.mem, "add x0, x0, #1", 0x10000)
			e.PE.X[0] = 0
			e.Run(e.Now + 20)
			write(e.mem)
			e.Run(e.Now + 20)
			if e.PE.X[0] != 10+160 {
				t.Errorf("%s: x0 = %d, want 170", name, e.PE.X[0])
			}
		}
	}
}

// TestCodeModifiesItself: its own stores count from the next block on.
func TestCodeModifiesItself(t *testing.T) {
	e := program(t, `
loop:	add	x0, x0, #1
	b	store
store:	str	w2, [x9]
	isb
	b	loop`, 0x10000)
	words, _ := isa.Assemble("add x0, x0, #16", 0)
	e.PE.X[2], e.PE.X[9] = uint64(words[0]), 0x10000
	e.Run(10)
	if e.PE.X[0] != 17 {
		t.Errorf("x0 = %d, want 17", e.PE.X[0])
	}
}

// TestDiscardKillsCode: memory that goes back to the allocator reads as zero,
// which is no instruction.
func TestDiscardKillsCode(t *testing.T) {
	e := program(t, "loop: add x0, x0, #1\nb loop", 0x10000)
	e.Run(10)
	e.mem.Discard(0x10, 1)
	e.Run(100)
	if ec := e.PE.Reg[arch.ESR_EL1] >> 26; e.PE.X[0] != 5 || e.PE.Reg[arch.ELR_EL1] != 0x10000 || ec != uint64(arch.ECUnknown) {
		t.Errorf("x0 = %d, ELR %#x, EC %#x", e.PE.X[0], e.PE.Reg[arch.ELR_EL1], ec)
	}
}

// TestMonitor: any write to the granule opens the monitor, and no other.
func TestMonitor(t *testing.T) {
	const granule = 1 << mmu.GranuleShift
	for _, c := range []struct {
		name  string
		write func(m *mmu.Memory)
		want  uint64
	}{
		{"none", func(*mmu.Memory) {}, 0},
		{"same value", func(m *mmu.Memory) { m.Store(0x20000, 8, 0, 1) }, 1},
		{"end of the granule", func(m *mmu.Memory) { m.Store(0x20000+granule-1, 1, 0, 1) }, 1},
		{"next granule", func(m *mmu.Memory) { m.Store(0x20000+granule, 8, 1, 1) }, 0},
		{"next granule, then this", func(m *mmu.Memory) { m.Store(0x20000+granule, 8, 1, 1); m.Store(0x20008, 8, 1, 1) }, 1},
		{"previous granule", func(m *mmu.Memory) { m.Store(0x1ffff, 1, 1, 1) }, 0},
		{"unaligned into it", func(m *mmu.Memory) { m.Store(0x1fffe, 4, 1, 1) }, 1},
		{"copied over", func(m *mmu.Memory) { m.CopyFrame(0x20, mmu.NewMemory(), 1) }, 1},
		{"filled", func(m *mmu.Memory) { m.Fill(0x20000, mmu.FrameSize, 0, mmu.WriterVMM) }, 1},
		{"discarded", func(m *mmu.Memory) { m.Discard(0x20, 1) }, 1},
		{"another page", func(m *mmu.Memory) { m.Store(0x21000, 8, 1, 1) }, 0},
	} {
		e := program(t, "ldxr x0, [x9]\nnop\nstxr w1, x2, [x9]\nb .", 0x10000)
		e.PE.X[9], e.PE.X[1], e.PE.X[2] = 0x20000, 7, 9
		e.mem.Store(0x20000, 8, 0, 1)
		e.Run(1)
		c.write(e.mem)
		if lost := c.want == 1; e.Event() != lost {
			t.Errorf("%s: event %t, want %t", c.name, !lost, lost)
		}
		e.Run(10)
		if e.PE.X[1] != c.want {
			t.Errorf("%s: status %d, want %d", c.name, e.PE.X[1], c.want)
		}
		if stored := e.mem.Load(0x20000, 8) == 9; stored != (c.want == 0) {
			t.Errorf("%s: stored %t", c.name, stored)
		}
	}
}

// TestMonitors: of two PEs that hold the granule one succeeds.
func TestMonitors(t *testing.T) {
	a := program(t, "ldxr x0, [x9]\nadd x0, x0, #1\nstxr w1, x0, [x9]\nb .", 0x10000)
	b := flat(t, a.mem)
	b.PE.PC = 0x10000
	a.PE.X[9], b.PE.X[9] = 0x20000, 0x20000
	a.Run(2)
	b.Run(2)
	b.Run(10)
	a.Run(10)
	if a.PE.X[1] != 1 || b.PE.X[1] != 0 || a.mem.Load(0x20000, 8) != 1 {
		t.Errorf("status %d and %d, sum %d", a.PE.X[1], b.PE.X[1], a.mem.Load(0x20000, 8))
	}
}

const endOfUser = vectorsAt // EL0 may not go there

// TestAbortHasNoEffect: an access that does not translate, even for its last
// byte, leaves registers and memory as they were.
func TestAbortHasNoEffect(t *testing.T) {
	for _, c := range []struct {
		src   string
		at    uint64 // X9
		far   uint64
		write bool
	}{
		{"str x0, [x9]", endOfUser, endOfUser, true},
		{"str x0, [x9]", endOfUser - 4, endOfUser, true},
		{"str x0, [x9, #8]!", endOfUser - 12, endOfUser, true},
		{"stp x0, x1, [x9], #16", endOfUser - 8, endOfUser, true},
		{"stp w0, w1, [x9, #-8]!", endOfUser + 2, endOfUser, true},
		{"stp x0, x1, [x9]", endOfUser - 13, endOfUser, true},
		{"ldr x0, [x9], #8", endOfUser - 1, endOfUser, false},
		{"ldp x0, x1, [x9, #16]!", endOfUser - 24, endOfUser, false},
		{"ldp x9, x0, [x9]", endOfUser - 8, endOfUser, false},
		{"ldxr x0, [x9]", endOfUser, endOfUser, false},
		{"ldadd x0, x1, [x9]", endOfUser, endOfUser, false},
		{"casp x0, x1, x2, x3, [x9]", endOfUser, endOfUser, false},
		{"dc zva, x9", endOfUser + 64, endOfUser + 64, true},
	} {
		e := program(t, c.src, 0x10000)
		e.PE.X[0], e.PE.X[1], e.PE.X[9] = 0x1111, 0x2222, c.at
		e.mem.Store(endOfUser-16, 8, 0x3333, 1)
		e.mem.Store(endOfUser-8, 8, 0x4444, 1)
		x := e.PE.X
		if s := e.Run(100); s.Kind != StopEL2 || s.Inst.Op != isa.HVC {
			t.Errorf("%s: %+v", c.src, s)
		}
		if e.PE.X != x {
			t.Errorf("%s: registers changed", c.src)
		}
		if e.mem.Load(endOfUser-16, 8) != 0x3333 || e.mem.Load(endOfUser-8, 8) != 0x4444 {
			t.Errorf("%s: memory changed", c.src)
		}
		const dataAbort, permission1, wnr = 0x24, 0xd, 1 << 6
		want := uint64(dataAbort<<26 | 1<<25 | permission1)
		if c.write {
			want |= wnr
		}
		if esr, far, elr := e.PE.Reg[arch.ESR_EL1], e.PE.Reg[arch.FAR_EL1], e.PE.Reg[arch.ELR_EL1]; esr != want || far != c.far || elr != 0x10000 {
			t.Errorf("%s: ESR %#x FAR %#x ELR %#x, want %#x %#x", c.src, esr, far, elr, want, c.far)
		}
	}
}

// TestExceptions checks what exceptions of EL0 tell EL1.
func TestExceptions(t *testing.T) {
	for _, c := range []struct {
		src string
		ec  arch.EC
		iss uint64
		elr uint64
	}{
		{"svc #5", arch.ECSVC, 5, 0x10004},
		{"brk #7", arch.ECBRK, 7, 0x10000},
		{"hlt #7", arch.ECUnknown, 0, 0x10000},
		{".word 0", arch.ECUnknown, 0, 0x10000},
		{"nop\n.word 0xffffffff", arch.ECUnknown, 0, 0x10004},
		{"hvc #0", arch.ECUnknown, 0, 0x10000},
		{"eret", arch.ECUnknown, 0, 0x10000},
		{"msr daifset, #1", arch.ECSysReg, 0, 0x10000},
		{"mrs x0, ttbr0_el1", arch.ECUnknown, 0, 0x10000},
		{"adr x0, .+2\nbr x0", arch.ECPCAlignment, 0, 0x10002},
		{"movz x0, #0x4000, lsl #16\nbr x0", arch.ECInstruction, 0xd, 0x4000_0000},
		{"movz x0, #0x10, lsl #48\nbr x0", arch.ECInstruction, 0x4, 0x10_0000_0000_0000},
		{"mov x0, #2\nldaxr w1, [x0]", arch.ECData, 0x21, 0x10004},
		{"mov x0, #9\nldadd x1, x1, [x0]", arch.ECData, 0x21, 0x10004},
		{"mov x0, #8\nmov x1, #1\nstlr x1, [x0, #0]\nstlxp w5, x2, x3, [x0]", arch.ECData, 0x21 | 1<<6, 0x1000c},
		{"add sp, sp, #8\nldr x0, [sp]", arch.ECSPAlignment, 0, 0x10004},
		{"wfi", arch.ECWFx, 0, 0x10000},
	} {
		e := program(t, c.src, 0x10000)
		e.PE.Reg[arch.SCTLR_EL1] |= 1 << 4 // SA0
		e.PE.Refresh()
		s := e.Run(1000)
		esr, elr := e.PE.Reg[arch.ESR_EL1], e.PE.Reg[arch.ELR_EL1]
		iss := esr & (1<<25 - 1)
		if c.ec == arch.ECSysReg || c.ec == arch.ECWFx {
			iss = 0 // arch's to test
		}
		if s.Kind != StopEL2 || s.Inst.Op != isa.HVC || arch.EC(esr>>26) != c.ec || iss != c.iss || elr != c.elr {
			t.Errorf("%q: %v by %v: EC %#x ISS %#x ELR %#x, want %#x %#x %#x", c.src, s.Kind, s.Inst.Op, esr>>26, iss, elr, c.ec, c.iss, c.elr)
		}
	}
}

// TestStops checks what EL1 hands to whoever runs it.
func TestStops(t *testing.T) {
	e := program(t, "", 0x10000)
	put(t, e.mem, `
	wfi
	sevl
	wfe
	wfe
	sev
	wfe
	msr	cntv_cval_el0, x0
	mrs	x1, spsel
	msr	spsel, #0
	mov	x2, sp
	smc	#0
	hvc	#3`, vectorsAt+0x1000)
	e.PE.EL, e.PE.SPSel, e.PE.PC = 1, 1, vectorsAt+0x1000
	e.PE.SP[0], e.PE.SP[1] = 0x100, 0x200
	e.PE.Firmware = true
	e.PE.Refresh()
	var got []string
	for range 6 {
		s := e.Run(1000)
		got = append(got, fmt.Sprintf("%d %v +%d", s.Kind, s.Inst.Op, e.PE.PC-vectorsAt-0x1000))
	}
	want := []string{
		fmt.Sprint(StopWFI, " WFI +4"), fmt.Sprint(StopWFE, " WFE +16"), fmt.Sprint(StopSEV, " SEV +20"),
		fmt.Sprint(StopTimer, " UNDEFINED +28"), fmt.Sprint(StopSMC, " SMC +44"), fmt.Sprint(StopEL2, " HVC +44"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if e.PE.X[1] != 1 || e.PE.X[2] != 0x100 {
		t.Errorf("SPSel %d, SP %#x", e.PE.X[1], e.PE.X[2])
	}
}

// TestTransfer checks which data aborts describe their access.
func TestTransfer(t *testing.T) {
	for _, c := range []struct {
		src  string
		want arch.Transfer
	}{
		{"ldr x3, [x1]", arch.NewTransfer(3, 3, false, true, false)},
		{"ldrsh w3, [x1, x2]", arch.NewTransfer(1, 3, true, false, false)},
		{"ldursw x3, [x1, #1]", arch.NewTransfer(2, 3, true, true, false)},
		{"strb wzr, [x1, #1]", arch.NewTransfer(0, 31, false, false, false)},
		{"sttr w4, [x1]", arch.NewTransfer(2, 4, false, false, false)},
		{"ldar w3, [x1]", arch.NewTransfer(2, 3, false, false, true)},
		{"stlr x3, [x1]", arch.NewTransfer(3, 3, false, true, true)},
		{"ldr x3, [x1], #8", 0},
		{"str w3, [x1, #4]!", 0},
		{"ldp x3, x4, [x1]", 0},
		{"stnp x3, x4, [x1]", 0},
		{"ldxr x3, [x1]", 0},
		{"stlxr w2, x3, [x1]", 0},
		{"ldadd x3, x4, [x1]", 0},
		{"dc zva, x1", 0},
	} {
		words, err := isa.Assemble(c.src, 0)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := isa.Decode(words[0])
		if got := transfer(&in); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.src, got, c.want)
		}
	}
}

// TestEveryEncodingHasAMeaning: what the decoder knows is executed, or is the
// PE's to execute.
func TestEveryEncodingHasAMeaning(t *testing.T) {
	for _, p := range patterns(t) {
		in, ok := isa.Inst{}, false
		g := sim.NewStream(1, p.op.String())
		for range 1000 {
			word := p.fixed
			for _, f := range p.fields {
				word |= uint32(g.N(1<<f.len)) << f.shift
			}
			if in, ok = isa.Decode(word); ok && in.Op == p.op {
				break
			}
		}
		u := uop{word: in.Word}
		lower(&u, &in)
		if u.do == nil {
			t.Errorf("%v does nothing", p.op)
		}
	}
}

// TestStage2Abort: what stage 2 does not map goes to the modelled kernel, which
// can do the access itself from the syndrome, or map it and go on.
func TestStage2Abort(t *testing.T) {
	const stage2At, hole = 0x3ff1_0000, 0x8000_0000
	e := program(t, "strh w3, [x9, #2]\nldr x4, [x9]\nb .", 0x10000)
	e.mem.Store(tableAt+16, 8, hole|1<<10|3<<8|1<<6|1, 1) // stage 1 of the third GiB
	const block = 1<<10 | 3<<8 | 3<<6 | 0xf<<2 | 1        // AF, shareable, RW, Normal
	e.mem.Store(stage2At, 8, block, 1)
	e.mem.Store(stage2At+8, 8, 1<<30|block, 1)
	e.PE.Reg[arch.VTTBR_EL2] = stage2At
	e.PE.Reg[arch.VTCR_EL2] = 25 | 1<<6 | 2<<16 // 39 bits, from level 1, 40 bits out
	e.PE.Reg[arch.HCR_EL2] |= 1                 // VM
	e.PE.Refresh()
	e.PE.X[3], e.PE.X[9] = 0x1234, hole+0x100
	s := e.Run(100)
	const lower, isv, wnr = 0x24 << 26, 1<<24 | 1<<22 | 3<<16, 1 << 6
	if want := uint64(lower | 1<<25 | isv | wnr | 5); s.Kind != StopEL2 || s.Exception.ESR != want || !s.Write || s.Size != 2 {
		t.Errorf("%+v, want ESR %#x", s, want)
	}
	if s.Abort.IPA != hole+0x102 || e.PE.Reg[arch.HPFAR_EL2] != hole>>8 || e.PE.Reg[arch.FAR_EL2] != hole+0x102 || e.PE.PC != 0x10000 || e.Now != 0 {
		t.Errorf("IPA %#x HPFAR %#x FAR %#x PC %#x at %d", s.Abort.IPA, e.PE.Reg[arch.HPFAR_EL2], e.PE.Reg[arch.FAR_EL2], e.PE.PC, e.Now)
	}
	e.mem.Store(stage2At+16, 8, hole|block, 1)
	if s := e.Run(10); s.Kind != StopLimit || e.PE.X[4] != 0x1234<<16 {
		t.Errorf("%+v, loaded %#x", s, e.PE.X[4])
	}
}

// FuzzRun runs arbitrary words at EL1: whatever they are, time passes, and how
// the run is cut makes no difference.
func FuzzRun(f *testing.F) {
	for _, src := range []string{programText, hotLoop, "wfi\nwfe\nsev\neret", "dc zva, x1\nic ivau, x1\ntlbi vmalle1\nmsr sctlr_el1, x0\nldp x0, x1, [sp], #8"} {
		words, err := isa.Assemble(src, 0)
		if err != nil {
			f.Fatal(err)
		}
		var b []byte
		for _, w := range words {
			b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
		}
		f.Add(uint64(len(b)), b)
	}
	f.Fuzz(func(t *testing.T, seed uint64, code []byte) {
		run := func(model Model, step sim.Cycle) *Exec {
			m := mmu.NewMemory()
			e := flat(t, m)
			e.Attach(cache.New(cache.NeoverseN1, 1), 0)
			e.Switch(model)
			m.Write(vectorsAt+0x10000, code[:min(len(code), 1<<14)], 1)
			r := sim.NewStream(seed, "registers")
			for i := range 31 {
				if e.PE.X[i] = r.Uint64(); i&1 != 0 {
					e.PE.X[i] = vectorsAt + e.PE.X[i]&0x1ffff
				}
			}
			e.PE.EL, e.PE.SPSel, e.PE.PC = 1, 1, vectorsAt+0x10000
			e.PE.Refresh()
			for stops := 0; e.Now < 2000 && stops < 100; {
				s := e.Run(min(e.Now+step, 2000))
				switch s.Kind {
				case StopLimit:
					continue
				case StopEL2:
					if e.PE.PC = e.PE.Reg[arch.ELR_EL2]; s.Inst.Op != isa.HVC {
						e.PE.PC += 4 // without it
					}
				}
				stops++
			}
			return e
		}
		a, b := run(Atomic, 2000), run(Atomic, 3)
		timed := run(Inorder, 100)
		if sum := timed.Stats.Cycles(); sum != uint64(timed.Now) {
			t.Errorf("%d cycles passed, %d by cause", timed.Now, sum)
		}
		if *a.PE.State != *b.PE.State {
			t.Error(cmp.Diff(a.PE.State, b.PE.State))
		}
	})
}

// TestDevicePairs: to Device memory each register of a pair must be aligned by
// itself, wherever the pair lies (DDI 0487 B2.8.2).
func TestDevicePairs(t *testing.T) {
	for _, c := range []struct {
		src string
		at  uint64
		ok  bool
	}{
		{"stp x0, x1, [x9]", 0x20ff8, true}, // on two pages
		{"stp x0, x1, [x9]", 0x20ff0, true},
		{"stp w0, w1, [x9]", 0x20ffc, true},
		{"ldp x0, x1, [x9]", 0x20ff8, true},
		{"stp x0, x1, [x9]", 0x20ff4, false},
		{"stp x0, x1, [x9]", 0x20ffc, false},
		{"ldp w0, w1, [x9]", 0x20ffe, false},
		{"str x0, [x9]", 0x20ffc, false},
	} {
		e := program(t, c.src+"\nsvc #0", 0x10000)
		e.PE.Reg[arch.SCTLR_EL1] &^= 1 // the MMU is off: all memory is Device-nGnRnE
		e.PE.Refresh()
		e.PE.X[0], e.PE.X[1], e.PE.X[9] = 0x1111, 0x2222, c.at
		e.Run(100)
		if svc := arch.ECOf(e.PE.Reg[arch.ESR_EL1]) == arch.ECSVC; svc != c.ok {
			t.Errorf("%s at %#x: ESR %#x", c.src, c.at, e.PE.Reg[arch.ESR_EL1])
		}
		if c.ok && c.src == "stp x0, x1, [x9]" && e.mem.Load(mmu.PA(c.at+8), 8) != 0x2222 {
			t.Errorf("%s at %#x: not stored", c.src, c.at)
		}
	}
}
