package kvmcore

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/arch"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// systemOff ends a program.
const systemOff = "\nmovz x0, #0x8400, lsl #16; movk x0, #8; hvc #0; b .\n"

// executes returns a rig whose first vCPU is at the start of a program, with a
// vector table of EL1 at 0x800.
func executes(t *testing.T, m mode, source string) *rig {
	t.Helper()
	m.pages = max(m.pages, 16)
	r := newRig(t, m)
	words, err := isa.Assemble(source, uint64(testBase))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, w := range words {
		text = binary.LittleEndian.AppendUint32(text, w)
	}
	if e := r.h.Memory.Write(r.slot().HVA, text, mmu.WriterImage); e != OK {
		t.Fatal(e)
	}
	r.vm.LoadA64(uint64(testBase), 0, 1_000_000_000)
	return r
}

// off runs vCPU 0 until it has asked for SYSTEM_OFF.
func (r *rig) off() *arch.State {
	r.Helper()
	v := r.vm.VCPUs[0]
	if s := v.RunNow(); s != RunExit || v.Run.ExitReason != ExitSystemEvent || r.vm.Program.End != EndOff {
		r.Fatalf("state %d, exit %d, end %q at %#x", s, v.Run.ExitReason, r.vm.Program.End, v.A64.State.PC)
	}
	return &v.A64.State
}

// TestMMIOBySyndrome: what userspace answers arrives in the register as the
// instruction would have loaded it.
func TestMMIOBySyndrome(t *testing.T) {
	r := executes(t, mode{}, `
	movz	x1, #0x0900, lsl #16
	ldrsb	w2, [x1]
	ldrsb	x3, [x1]
	ldrsh	x4, [x1, #2]
	ldr	w5, [x1, #4]
	ldrb	w6, [x1, #8]
	ldr	x7, [x1, #16]
	ldr	xzr, [x1, #24]
	str	w7, [x1, #32]
	strh	wzr, [x1, #40]`+systemOff)
	v := r.vm.VCPUs[0]
	var got []MMIOExit
	for range 9 {
		if s := v.RunNow(); s != RunExit || v.Run.ExitReason != ExitMMIO {
			t.Fatalf("state %d, exit %d", s, v.Run.ExitReason)
		}
		m := v.Run.MMIO
		if m.Data &= sizeMask(m.Len); !m.Write {
			m.Data = 0
		}
		got = append(got, m)
		v.Run.MMIO.Data = 0x1234_5678_8765_80f0
	}
	want := []MMIOExit{
		{0x0900_0000, 0, 1, false}, {0x0900_0000, 0, 1, false}, {0x0900_0002, 0, 2, false}, {0x0900_0004, 0, 4, false},
		{0x0900_0008, 0, 1, false}, {0x0900_0010, 0, 8, false}, {0x0900_0018, 0, 8, false},
		{0x0900_0020, 0x8765_80f0, 4, true}, {0x0900_0028, 0, 2, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	x := r.off().X
	if diff := cmp.Diff([]uint64{0xffff_fff0, ^uint64(0xf), ^uint64(0x7f0f), 0x8765_80f0, 0xf0, 0x1234_5678_8765_80f0}, x[2:8]); diff != "" {
		t.Error(diff)
	}
	if x[31] != 0 {
		t.Error("the zero register was written")
	}
}

// TestNoSyndrome: a pair to a device cannot be emulated.
func TestNoSyndrome(t *testing.T) {
	r := executes(t, mode{}, "movz x1, #0x0900, lsl #16; ldp x2, x3, [x1]")
	v := r.vm.VCPUs[0]
	if s := v.RunNow(); s != RunExit || v.Run.Errno != ENOSYS {
		t.Errorf("state %d, errno %v", s, v.Run.Errno)
	}
}

// TestStoresAreRecorded: each page once.
func TestStoresAreRecorded(t *testing.T) {
	r := executes(t, mode{ring: 256, bitmap: true}, `
	movz	x1, #0x4000, lsl #16
	add	x1, x1, #0x4000
	mov	x2, #3
1:	str	x2, [x1]
	str	x2, [x1, #8]
	add	x1, x1, #0x1000
	subs	x2, x2, #1
	b.ne	1b`+systemOff)
	r.off()
	v := r.vm.VCPUs[0]
	if v.Stats.Pushes != 3 || v.Stats.FaultsWrite != 3 || v.Stats.FaultsExec != 1 {
		t.Errorf("%d entries, %d write faults, %d fetch faults; want 3, 3, 1", v.Stats.Pushes, v.Stats.FaultsWrite, v.Stats.FaultsExec)
	}
	// 3 before the loop, 5 in it three times over, 2 behind it and HVC.
	if want := uint64(3 + 15 + 3); v.Stats.Instructions != want || r.vm.Program.Retired != want {
		t.Errorf("%d instructions, want %d", v.Stats.Instructions, want)
	}
}

// TestJumpIntoNothing: the guest takes a synchronous external abort.
func TestJumpIntoNothing(t *testing.T) {
	const vectors = `
	movz	x1, #0x4000, lsl #16
	add	x2, x1, #0x800
	msr	vbar_el1, x2
	isb
	movz	x3, #0x1000
	%s
	b	.
	.balign	2048
	.space	0x200
	mrs	x10, esr_el1
	mrs	x11, far_el1
	mrs	x12, elr_el1` + systemOff
	for _, c := range []struct {
		name, do string
		ec       arch.EC
		elr      uint64
	}{
		{"fetch", "br x3", arch.ECInstruction + 1, 0x1000},
		{"table", "msr ttbr0_el1, x3; movz x4, #25; msr tcr_el1, x4; mrs x4, sctlr_el1; orr x4, x4, #1; msr sctlr_el1, x4; isb", arch.ECInstruction + 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := executes(t, mode{}, fmt.Sprintf(vectors, c.do))
			v := r.vm.VCPUs[0]
			if c.name == "table" { // the vectors cannot be fetched either: it never ends
				r.vm.Program.Limit = 1000
				if s := v.RunNow(); s != RunEnd || r.vm.Program.End != EndLimit {
					t.Fatalf("state %d, end %q", s, r.vm.Program.End)
				}
				if v.Stats.Injected < 900 {
					t.Errorf("%d exceptions injected", v.Stats.Injected)
				}
				return
			}
			x := r.off().X
			if ec := arch.EC(x[10] >> 26); ec != c.ec || x[10]&0x3f != 0x10 || x[11] != 0x1000 || x[12] != c.elr {
				t.Errorf("ESR %#x, FAR %#x, ELR %#x", x[10], x[11], x[12])
			}
		})
	}
}

// TestWaitForInterrupt: WFI lasts until the timer, and for ever without one.
func TestWaitForInterrupt(t *testing.T) {
	r := executes(t, mode{}, `
	mrs	x1, cntvct_el0
	movz	x2, #1000
	msr	cntv_tval_el0, x2
	mov	x3, #1
	msr	cntv_ctl_el0, x3
	wfi
	mrs	x4, cntvct_el0`+systemOff)
	x := r.off().X
	if d := x[4] - x[1]; d < 1000 || d > 1010 {
		t.Errorf("WFI took %d ticks of a timer of 1000", d)
	}
	if idle := r.vm.VCPUs[0].Thread.Cycles[CauseIdle]; idle < 15_900 || idle > 16_000 { // at 16 cycles a tick
		t.Errorf("%d idle cycles", idle)
	}
	r = executes(t, mode{vcpus: 2, cores: 2}, "wfi; b .")
	if s := r.vm.VCPUs[0].RunNow(); s != RunEnd || r.vm.Program.End != EndAsleep {
		t.Errorf("state %d, end %q", s, r.vm.Program.End)
	}
}

// TestInstructionLimit: the program ends exactly there.
func TestInstructionLimit(t *testing.T) {
	r := executes(t, mode{}, "add x1, x1, #1; b .-4")
	r.vm.Program.Limit = 101
	if s := r.vm.VCPUs[0].RunNow(); s != RunEnd || r.vm.Program.End != EndLimit || r.vm.Program.Retired != 101 {
		t.Errorf("state %d, end %q after %d", s, r.vm.Program.End, r.vm.Program.Retired)
	}
	if x := r.vm.VCPUs[0].A64.State.X[1]; x != 51 {
		t.Errorf("%d additions", x)
	}
}

// TestPSCI: the calls that return, by the specification.
func TestPSCI(t *testing.T) {
	r := executes(t, mode{vcpus: 18, cores: 18}, "b .")
	for _, c := range []struct {
		name    string
		fn      uint32
		a, b, c uint64
		want    int64
	}{
		{"version", 0x8400_0000, 0, 0, 0, 0x10003},
		{"smccc version", 0x8000_0000, 0, 0, 0, 0x10001},
		{"needs no workaround 1", 0x8000_0001, 0x8000_8000, 0, 0, -2},
		{"nor 3", 0x8000_0001, 0x8000_3fff, 0, 0, -2},
		{"has no workaround 2", 0x8000_0001, 0x8000_7fff, 0, 0, -1},
		{"has SYSTEM_RESET2", 0x8400_000a, 0xc400_0012, 0, 0, 0},
		{"has SYSTEM_OFF2", 0x8400_000a, 0x8400_0015, 0, 0, 1},
		{"resets with a type that is none", 0x8400_0012, 1, 0, 0, -2},
		{"goes off with a type that is none", 0xc400_0015, 2, 0, 0, -2},
		{"migrate type", 0x8400_0006, 0, 0, 0, 2},
		{"unknown", 0x8400_001f, 0, 0, 0, -1},
		{"has CPU_ON", 0x8400_000a, 0xc400_0003, 0, 0, 0},
		{"has no 64-bit SYSTEM_OFF", 0x8400_000a, 0xc400_0008, 0, 0, -1},
		{"boot vCPU is on", 0xc400_0004, 0, 0, 0, 0},
		{"17 is off", 0xc400_0004, 0x101, 0, 0, 1},
		{"no such vCPU", 0xc400_0004, 0x102, 0, 0, -2},
		{"cluster 0 is on", 0xc400_0004, 0x5, 1, 0, 0},
		{"cluster 1 is off", 0xc400_0004, 0x105, 1, 0, 1},
		{"cluster 2", 0xc400_0004, 0x200, 1, 0, -2},
		{"all", 0xc400_0004, 0, 3, 0, 0},
		{"level 4", 0xc400_0004, 0, 4, 0, -2},
		{"boot again", 0xc400_0003, 0, 0x1000, 0, -4},
		{"boot nobody", 0xc400_0003, 0x200, 0x1000, 0, -2},
		{"boot Aff3", 0xc400_0003, 1<<32 | 1, 0x1000, 0, -2},
		{"boot 17", 0xc400_0003, 0x101, 0x4000_1000, 77, 0},
		{"boot 17 twice", 0x8400_0003, 0x101, 0x4000_1000, 77, -4},
		{"17 is on", 0x8400_0004, 0x101, 0, 0, 0},
		{"cluster 1 is on", 0xc400_0004, 0x105, 1, 0, 0},
		{"high bits of the 32-bit form", 0x8400_0003, 1<<32 | 1, 1<<32 | 0x4000_2000, 1<<32 | 5, 0},
	} {
		if got := r.vm.psci(c.fn, c.a, c.b, c.c); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	for i, want := range map[int][2]uint64{17: {0x4000_1000, 77}, 1: {0x4000_2000, 5}} {
		s := &r.vm.VCPUs[i].A64.State
		if s.PC != want[0] || s.X[0] != want[1] || s.EL != 1 || s.DAIF != 15 {
			t.Errorf("vCPU %d starts at %#x with %d, EL%d, DAIF %#x", i, s.PC, s.X[0], s.EL, s.DAIF)
		}
	}
}

// TestPSCIVersion: before 6.13 it was 1.1.
func TestPSCIVersion(t *testing.T) {
	r := executes(t, mode{kernel: "6.12"}, "b .")
	for fn, want := range map[[2]uint64]int64{{0x8400_0000, 0}: 0x10001, {0x8400_000a, 0x8400_0015}: -1, {0x8400_0015, 0}: -1, {0x8400_0012, 5}: -2} {
		if got := r.vm.psci(uint32(fn[0]), fn[1], 0, 0); got != want {
			t.Errorf("%#x: %d, want %d", fn, got, want)
		}
	}
}

// TestSystemEvents: which calls end the program, and how.
func TestSystemEvents(t *testing.T) {
	for call, want := range map[[2]uint64]ProgramEnd{
		{0x8400_0008, 0}: EndOff, {0x8400_0009, 0}: EndReset, {0x8400_0012, 0}: EndReset, {0xc400_0012, 1 << 31}: EndReset,
		{0xc400_0015, 0}: EndOff, {0x8400_0015, 1}: EndOff, {0x8400_0015, 1<<32 | 1}: EndOff,
		{0xc400_0015, 1<<32 | 1}: EndNot, {0xc400_0008, 0}: EndNot, {0x8400_0012, 7}: EndNot,
	} {
		r := executes(t, mode{}, "hvc #0\nmov x5, #1\n1: b 1b")
		v := r.vm.VCPUs[0]
		v.A64.State.X[0], v.A64.State.X[1] = call[0], call[1]
		r.vm.Program.Limit = 1000
		v.RunNow()
		if want == EndNot {
			want = EndLimit
		} else if v.Run.ExitReason != ExitSystemEvent || v.A64.State.X[5] != 0 {
			t.Errorf("%#x: exit %d", call, v.Run.ExitReason)
		}
		if r.vm.Program.End != want {
			t.Errorf("%#x ends with %q, want %q", call, r.vm.Program.End, want)
		}
	}
}

// TestCPUOnAndOff: a vCPU that is started runs, and the VM ends with the last.
func TestCPUOnAndOff(t *testing.T) {
	r := executes(t, mode{vcpus: 2, cores: 2}, `
	movz	x0, #0x8400, lsl #16
	movk	x0, #3
	mov	x1, #1
	adr	x2, second
	mov	x3, #5
	hvc	#0
	mov	x10, x0
	smc	#0
	mov	x11, x0
	movz	x0, #0x8400, lsl #16
	movk	x0, #2
	hvc	#0
	b	.
second:	mrs	x4, mpidr_el1
	add	x5, x0, #1
	movz	x0, #0x8400, lsl #16
	movk	x0, #2
	hvc	#0`)
	a, b := r.vm.VCPUs[0], r.vm.VCPUs[1]
	a.Enter()
	for range 100 {
		a.Continue(1000)
	}
	if x := a.A64.State.X; x[10] != 0 || x[11] != ^uint64(0) || !a.A64.off || r.vm.Program.End != EndNot {
		t.Errorf("CPU_ON returned %d, SMC %#x, off %v, end %q", x[10], x[11], a.A64.off, r.vm.Program.End)
	}
	if s := b.RunNow(); s != RunEnd || r.vm.Program.End != EndCPUs {
		t.Errorf("state %d, end %q", s, r.vm.Program.End)
	}
	if x := b.A64.State.X; x[4]&0xff_ffff != 1 || x[5] != 6 {
		t.Errorf("MPIDR %#x, X5 %d", x[4], x[5])
	}
}

// TestA64Sync: saved and restored at any cycle, a program goes on as if not.
func TestA64Sync(t *testing.T) {
	const source = `
	movz	x1, #0x4000, lsl #16
	add	x1, x1, #0x4000
	movz	x9, #0x0900, lsl #16
	mov	x2, #5
1:	ldxr	x3, [x1]
	add	x3, x3, #1
	stxr	w4, x3, [x1]
	cbnz	w4, 1b
	ldr	w6, [x9]
	add	x7, x7, x6
	add	x1, x1, #0x1000
	subs	x2, x2, #1
	b.ne	1b` + systemOff
	run := func(r *rig, until sim.Cycle) {
		v := r.vm.VCPUs[0]
		if v.Thread.depth == 0 && r.vm.Program.End == EndNot {
			v.Enter()
		}
		for v.Thread.depth != 0 && v.Thread.Core.Now < until {
			if v.Continue(until) == RunExit && v.Run.ExitReason == ExitMMIO {
				v.Run.MMIO.Data = 3
				v.Enter()
			}
		}
	}
	profile, err := LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	start := func() *rig { return executes(t, mode{ring: 256, profile: profile}, source) }
	hash := func(r *rig) uint64 { c := sim.NewHasher(); r.h.Sync(c); return c.Sum() }
	whole := start()
	run(whole, sim.Never)
	if x := whole.vm.VCPUs[0].A64.State.X; x[7] != 15 {
		t.Fatalf("X7 = %d", x[7])
	}
	end := whole.vm.VCPUs[0].Thread.Core.Now
	for at := sim.Cycle(1); at < end; at += 97 {
		first, second := start(), start()
		run(first, at)
		c := sim.NewEncoder()
		first.h.Sync(c)
		d := sim.NewDecoder(c.Finish())
		if second.h.Sync(d); d.Err() != nil {
			t.Fatal(d.Err())
		}
		run(second, sim.Never)
		if hash(second) != hash(whole) {
			t.Fatalf("saved at cycle %d of %d, the run ends otherwise", at, end)
		}
	}
}
