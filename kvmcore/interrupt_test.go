package kvmcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/isa"
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// Where the frames of interrupted rigs are.
const (
	testGICD = 0x0800_0000
	testITS  = 0x0808_0000
	testGICR = 0x080a_0000
)

// interrupted returns a rig of machine code with a GICv3 and an ITS. Every vCPU
// enables its CPU interface for all priorities, and the first the distributor,
// before the code of source: for vCPU 0 from the label first on, for others from
// second; IRQ goes to the label irq. x27 is GICD, x28 GICR of the vCPU, x26 the
// second page of RAM, x25 the vCPU's number.
func interrupted(t *testing.T, m mode, source string) *rig {
	t.Helper()
	m.pages = max(m.pages, 64)
	m.cores = max(m.vcpus, 1)
	r := newRig(t, m)
	gic, _ := r.vm.CreateDevice(DeviceVGICv3)
	set := func(d Device, group uint32, attr, val uint64) {
		t.Helper()
		if e := d.SetAttr(group, attr, 8, val); e != OK {
			t.Fatalf("group %d, attribute %d: %v", group, attr, e)
		}
	}
	set(gic, GroupAddr, AddrDist, testGICD)
	set(gic, GroupAddr, AddrRedist, testGICR)
	set(gic, GroupCtrl, CtrlInit, 0)
	dev, _ := r.vm.CreateDevice(DeviceITS)
	set(dev, GroupAddr, AddrITS, testITS)
	words, err := isa.Assemble(`
	mov	x0, #0
	b	3f
	.balign	2048
	.space	0x280
	b	irq
	.balign	2048
3:	mov	x25, x0
	adr	x1, 3b
	sub	x1, x1, #0x800
	msr	vbar_el1, x1
	movz	x27, #0x0800, lsl #16
	movz	x28, #0x080a, lsl #16
	add	x28, x28, x25, lsl #17
	movz	x26, #0x4000, lsl #16
	add	x26, x26, #0x2000
	mov	x1, #0xf0
	msr	icc_pmr_el1, x1
	mov	x1, #1
	msr	icc_igrpen1_el1, x1
	isb
	cbnz	x25, second
	mov	x1, #2
	str	w1, [x27]
	b	first
`+source+"\n"+systemOff, uint64(testBase))
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
	r.vm.LoadA64(uint64(testBase), 0, 3_000_000_000)
	for _, v := range r.vm.VCPUs {
		v.A64.off = false // a VMM may start them all
		v.A64.State.X[0] = uint64(v.Index)
		v.A64.State.PC = uint64(testBase) + 4 // behind mov x0, #0
	}
	return r
}

// enterAll calls KVM_RUN for all vCPUs.
func (r *rig) enterAll() {
	for _, v := range r.vm.VCPUs {
		v.Enter()
	}
}

// together runs all vCPUs side by side, in steps of quantum cycles, until the
// program has ended or limit is reached.
func (r *rig) together(quantum, limit sim.Cycle) {
	r.Helper()
	for at := quantum; r.vm.Program.End == EndNot && at <= limit; at += quantum {
		for _, v := range r.vm.VCPUs {
			for v.Thread.Core.Now < at && r.vm.Program.End == EndNot {
				switch s := v.Continue(at); s {
				case RunExit:
					if v.Run.Errno != OK || v.Run.ExitReason != ExitSystemEvent {
						r.Fatalf("vCPU %d: exit %d, %v at %#x", v.Index, v.Run.ExitReason, v.Run.Errno, v.A64.State.PC)
					}
				case RunEnd, RunLimit, RunFault:
				default:
					r.Fatalf("vCPU %d: state %d", v.Index, s)
				}
			}
		}
	}
}

// word is a doubleword of guest memory.
func (r *rig) word(ipa mmu.IPA) uint64 {
	var b [8]byte
	if e := r.vm.readGuest(r.h.kernelThread(), ipa, b[:]); e != OK {
		r.Fatal(e)
	}
	return binary.LittleEndian.Uint64(b[:])
}

const testCounts = testBase + 0x2000

// ackCount counts the interrupt in the word of its INTID mod 64 at x26 and ends it.
const ackCount = `
irq:	mrs	x10, icc_iar1_el1
	and	x11, x10, #63
	ldr	x12, [x26, x11, lsl #3]
	add	x12, x12, #1
	str	x12, [x26, x11, lsl #3]
`

// timerRounds arms both timers five times, then leaves one up until it has come
// three times more.
const timerRounds = `
first:	movz	x1, #0x4800, lsl #16	// PPIs 27 and 30
	add	x2, x28, #0x10000
	str	w1, [x2, #0x100]
	mov	x20, #0
	msr	daifclr, #2
1:	mov	x3, #200		// 200 ticks of 48 cycles
	msr	cntv_tval_el0, x3
	mov	x4, #1
	msr	cntv_ctl_el0, x4
	wfi
	msr	cntp_tval_el0, x3
	msr	cntp_ctl_el0, x4
2:	ldr	x5, [x26, #240]
	cmp	x5, x20
	b.eq	2b
	add	x20, x20, #1
	cmp	x20, #5
	b.ne	1b
	msr	daifset, #2
	msr	cntv_tval_el0, xzr	// up from now on
	msr	cntv_ctl_el0, x4
	wfi
	mov	x21, #0
	msr	daifclr, #2
	b	end
irq:	mrs	x10, icc_iar1_el1
	ldr	x12, [x26, x10, lsl #3]
	add	x12, x12, #1
	str	x12, [x26, x10, lsl #3]
	cmp	x20, #5
	b.eq	3f
	msr	cntv_ctl_el0, xzr
	msr	cntp_ctl_el0, xzr
	b	4f
3:	cmp	x12, #8			// three times, its line still up
	b.ne	4f
	msr	cntv_ctl_el0, xzr
4:	msr	icc_eoir1_el1, x10
	eret
second:	wfi
	b	second
end:	nop
	nop
	nop`

// TestTimers: both timers fire when they should, in WFI and in a loop, as often as
// they are armed, and an interrupt that is not handled comes again at its end.
func TestTimers(t *testing.T) {
	r := interrupted(t, mode{}, timerRounds)
	x := r.off().X
	if got := [2]uint64{r.word(testCounts + 27*8), r.word(testCounts + 30*8)}; got != [2]uint64{8, 5} {
		t.Errorf("%d virtual and %d physical timer interrupts, want 8 and 5 (x20 = %d)", got[0], got[1], x[20])
	}
	g := r.vm.vgic
	if g.Stats.Acknowledged != 13 || len(g.redists[0].list) != 0 {
		t.Errorf("%d acknowledged, list %v", g.Stats.Acknowledged, g.redists[0].list)
	}
}

// sgiRound sends SGI 3 from vCPU 0 to 1 and back as SGI 5, 20 times; the second
// waits in WFI, the first in a loop.
const sgiRound = `
first:	msr	daifclr, #2
	mov	x20, #0
1:	movz	x1, #0x0300, lsl #16
	orr	x1, x1, #2		// Aff0 1
	msr	icc_sgi1r_el1, x1
	isb
2:	ldr	x2, [x26, #40]
	cmp	x2, x20
	b.eq	2b
	add	x20, x20, #1
	cmp	x20, #20
	b.ne	1b
	b	end
second:	msr	daifclr, #2
5:	wfi
	b	5b
` + ackCount + `
	msr	icc_eoir1_el1, x10
	cmp	x10, #3
	b.ne	6f
	movz	x1, #0x0500, lsl #16
	orr	x1, x1, #1
	msr	icc_sgi1r_el1, x1
6:	eret
end:	nop`

// TestSGIs: each arrives once, at a running vCPU as at one that waits.
func TestSGIs(t *testing.T) {
	r := interrupted(t, mode{vcpus: 2, profile: n1(t)}, sgiRound)
	r.enterAll()
	r.together(500, 2_000_000)
	if r.vm.Program.End != EndOff {
		t.Fatalf("ended: %q, vCPU 0 at %#x", r.vm.Program.End, r.vm.VCPUs[0].A64.State.PC)
	}
	if got := [2]uint64{r.word(testCounts + 3*8), r.word(testCounts + 5*8)}; got != [2]uint64{20, 20} {
		t.Errorf("%d there and %d back, want 20 each", got[0], got[1])
	}
	if s := r.vm.vgic.Stats; s.SGIs != 40 || s.Acknowledged != 40 || s.Kicks != 40 {
		t.Errorf("%d sent, %d taken, %d kicks", s.SGIs, s.Acknowledged, s.Kicks)
	}
}

// TestInterruptsSnapshot: saved at any time and restored into another VM, nothing
// is lost and nothing comes twice.
func TestInterruptsSnapshot(t *testing.T) {
	for name, program := range map[string]string{"sgis": sgiRound, "timers": timerRounds} {
		t.Run(name, func(t *testing.T) { snapshots(t, mode{vcpus: 2, profile: n1(t)}, program) })
	}
}

func snapshots(t *testing.T, m mode, program string) {
	want := interrupted(t, m, program)
	want.enterAll()
	var saved [][]byte
	for at := sim.Cycle(0); want.vm.Program.End == EndNot; at += 700 {
		saved = append(saved, want.save())
		want.stepTo(at + 700)
		if len(saved) > 2000 {
			t.Fatal("it does not end")
		}
	}
	end := want.save()
	for i := 0; i < len(saved); i += 1 + len(saved)/25 {
		r := interrupted(t, m, program)
		r.load(t, saved[i])
		if !bytes.Equal(r.save(), saved[i]) {
			t.Fatalf("piece %d: the restored host saves differently", i)
		}
		for at := sim.Cycle(i) * 700; r.vm.Program.End == EndNot; at += 700 {
			r.stepTo(at + 700)
		}
		if !bytes.Equal(r.save(), end) {
			t.Fatalf("restored in piece %d, it ends differently", i)
		}
	}
}

// stepTo runs all vCPUs up to a cycle.
func (r *rig) stepTo(at sim.Cycle) {
	for _, v := range r.vm.VCPUs {
		for v.Thread.Core.Now < at && r.vm.Program.End == EndNot {
			v.Continue(at)
		}
	}
}

// TestManyAtOnce: more interrupts than list registers are all taken, by priority,
// one after the other; group 0 and disabled ones are not.
func TestManyAtOnce(t *testing.T) {
	r := interrupted(t, mode{}, `
first:	add	x2, x28, #0x10000
	adr	x3, prio
	ldr	w4, [x3]
	str	w4, [x2, #0x400]
	ldr	w4, [x3, #4]
	str	w4, [x2, #0x404]
	mov	w4, #0xff
	str	w4, [x2, #0x200]	// all eight pending
	mov	x20, x26
	msr	daifclr, #2
	nop
	nop
	msr	daifset, #2
	b	end
irq:	mrs	x10, icc_iar1_el1
	str	x10, [x20], #8
	msr	icc_eoir1_el1, x10
	eret
second:	b	.
prio:	.word	0x50607080, 0x10203040
end:	nop`)
	r.off()
	var got []uint64
	for i := range mmu.IPA(9) {
		got = append(got, r.word(testCounts+8*i))
	}
	// eight of them in the order of urgency: SGI 7 has 0x10
	if diff := cmp.Diff([]uint64{7, 6, 5, 4, 3, 2, 1, 0, 0}, got); diff != "" {
		t.Error(diff)
	}
	if r.vm.vgic.Stats.Exits == 0 {
		t.Error("no maintenance interrupt asked for more")
	}
}

// TestPreemption: a more urgent interrupt interrupts the handler of another one;
// with EOImode a dropped one is active until DIR.
func TestPreemption(t *testing.T) {
	r := interrupted(t, mode{}, `
first:	add	x2, x28, #0x10000
	movz	x4, #0x8040, lsl #16	// SGI 3: 0x80, SGI 2: 0x40
	str	w4, [x2, #0x400]
	mov	x4, #2			// EOImode
	msr	icc_ctlr_el1, x4
	mov	x20, x26
	mov	w4, #8
	str	w4, [x2, #0x200]	// SGI 3
	msr	daifclr, #2
	nop
	msr	daifset, #2
	b	end
irq:	mrs	x10, icc_iar1_el1
	mrs	x11, icc_rpr_el1
	orr	x11, x10, x11, lsl #8
	str	x11, [x20], #8
	cmp	x10, #3
	b.ne	1f
	mrs	x13, elr_el1
	mrs	x14, spsr_el1
	mov	w4, #4
	str	w4, [x2, #0x200]	// SGI 2 now
	msr	daifclr, #2
	nop
	msr	daifset, #2
	msr	icc_eoir1_el1, x10
	mov	x10, #3
	msr	icc_eoir1_el1, x10
	ldr	w15, [x2, #0x300]	// still active
	str	x15, [x20], #8
	mrs	x11, icc_rpr_el1
	str	x11, [x20], #8
	msr	icc_dir_el1, x10
	ldr	w15, [x2, #0x300]
	str	x15, [x20], #8
	msr	elr_el1, x13
	msr	spsr_el1, x14
	eret
1:	msr	icc_eoir1_el1, x10
	msr	icc_dir_el1, x10
	eret
second:	b	.
end:	nop`)
	r.off()
	var got []uint64
	for i := range mmu.IPA(5) {
		got = append(got, r.word(testCounts+8*i))
	}
	if diff := cmp.Diff([]uint64{0x8003, 0x4002, 8, 0xff, 0}, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoGIC: without one the registers are undefined and SGIs too.
func TestNoGIC(t *testing.T) {
	for _, inst := range []string{"mrs x1, icc_iar1_el1", "msr icc_sgi1r_el1, x1", "msr icc_pmr_el1, x1"} {
		r := executes(t, mode{}, fmt.Sprintf(`
	movz	x1, #0x4000, lsl #16
	add	x2, x1, #0x800
	msr	vbar_el1, x2
	isb
	mrs	x9, id_aa64pfr0_el1
	ubfx	x9, x9, #24, #4
	%s
	b	.
	.balign	2048
	.space	0x200
	mrs	x10, esr_el1`, inst)+systemOff)
		if x := r.off().X; x[10]>>26 != 0 || x[9] != 0 {
			t.Errorf("%s: ESR %#x, ID_AA64PFR0.GIC %d", inst, x[10], x[9])
		}
	}
}

// TestLevelLine: a line that userspace holds up interrupts again after each end,
// and not once it is down; a disabled distributor lets nothing through.
func TestLevelLine(t *testing.T) {
	r := interrupted(t, mode{}, `
first:	mov	w4, #2			// INTID 33
	str	w4, [x27, #0x104]
	mov	x20, #0
	msr	daifclr, #2
1:	cmp	x20, #3
	b.ne	1b
	movz	x1, #0x0900, lsl #16	// userspace lowers it
	str	wzr, [x1]
	nop
	nop
	b	end
irq:	mrs	x10, icc_iar1_el1
	msr	icc_eoir1_el1, x10
	add	x20, x20, #1
	cmp	x20, #3
	b.ne	2f
	mov	x11, #2			// masked, it stays up
	str	w11, [x27, #0x184]
2:	eret
second:	b	.
end:	mov	w4, #2
	str	w4, [x27, #0x104]
	nop`)
	v := r.vm.VCPUs[0]
	if e := r.vm.IRQLine(r.t, 1, true); e != OK {
		t.Fatal(e)
	}
	if s := v.RunNow(); s != RunExit || v.Run.ExitReason != ExitMMIO {
		t.Fatalf("state %d, exit %d", s, v.Run.ExitReason)
	}
	r.vm.IRQLine(r.t, 1, false)
	if x := r.off().X; x[20] != 3 {
		t.Errorf("%d interrupts, want 3", x[20])
	}
	if e := r.vm.IRQLine(r.t, 4000, true); e != EINVAL {
		t.Errorf("a line that is not there: %v", e)
	}
}

// TestHostileSGIs: any value in the SGI registers is harmless.
func TestHostileSGIs(t *testing.T) {
	r := interrupted(t, mode{vcpus: 2}, "first: b .\nsecond: b .\nirq: b .\nend: nop")
	rnd := sim.NewStream(1, "sgi")
	v := r.vm.VCPUs[0]
	for range 2000 {
		r.vm.vgic.sendSGI(v, its.SGIR(rnd.Uint64()), rnd.Chance(1, 2))
	}
	if err := r.vm.vgic.checkLists(); err != nil {
		t.Error(err)
	}
}

// TestInterfaceTakesTime: an access to the CPU interface takes the profile's time
// and is one instruction.
func TestInterfaceTakesTime(t *testing.T) {
	const program = `
first:	movz	x20, #100
	movz	x1, #1023
1:	%s
	subs	x20, x20, #1
	b.ne	1b
	b	end
second:	b	.
irq:	b	.
end:	nop`
	p := n1(t)
	run := func(inst string) (sim.Cycle, uint64) {
		r := interrupted(t, mode{profile: p}, fmt.Sprintf(program, inst))
		r.off()
		return r.vm.VCPUs[0].Thread.Core.Now, r.vm.Program.Retired
	}
	cycles, instructions := run("msr icc_eoir1_el1, x1")
	plain, same := run("msr tpidr_el1, x1")
	if instructions != same || cycles-plain != sim.Cycle(100*p.ICV) {
		t.Errorf("%d instructions in %d cycles, without the interface %d in %d; want %d cycles more", instructions, cycles, same, plain, 100*p.ICV)
	}
}

// TestMoreActiveThanRegisters: six handlers one inside the other, with four list
// registers. Kernels since 6.19 let all of them run and end; before, what is active
// holds the registers and the fifth waits.
func TestMoreActiveThanRegisters(t *testing.T) {
	for kernel, deepest := range map[string]uint64{"7.2": 6, "6.12": 4} {
		r := interrupted(t, mode{kernel: kernel}, `
first:	add	x2, x28, #0x10000
	adr	x3, prio
	ldr	x4, [x3]
	str	w4, [x2, #0x400]
	lsr	x4, x4, #32
	str	w4, [x2, #0x404]
	mov	x20, #0			// how deep
	mov	x21, #0			// the deepest
	mov	x22, #0			// how many
	add	x23, x26, #0x400	// a stack
	mov	w4, #1
	str	w4, [x2, #0x200]
	msr	daifclr, #2
	nop
	nop
	msr	daifset, #2
	ldr	w24, [x2, #0x300]
	b	end
irq:	mrs	x10, icc_iar1_el1
	mrs	x11, elr_el1
	mrs	x12, spsr_el1
	stp	x10, x11, [x23], #16
	str	x12, [x23], #16
	add	x22, x22, #1
	add	x20, x20, #1
	cmp	x20, x21
	csel	x21, x20, x21, hi
	cmp	x22, #6
	b.hs	1f
	mov	x13, #1			// the next, more urgent
	lsl	x13, x13, x22
	str	w13, [x2, #0x200]
	msr	daifclr, #2
	nop
	nop
	msr	daifset, #2
1:	sub	x20, x20, #1
	ldr	x12, [x23, #-16]!
	ldp	x10, x11, [x23, #-16]!
	msr	spsr_el1, x12
	msr	elr_el1, x11
	msr	icc_eoir1_el1, x10
	eret
second:	b	.
	.balign	8
prio:	.word	0x50607080, 0x10203040
end:	nop`)
		x := r.off().X
		if x[21] != deepest || x[22] != 6 || x[24] != 0 {
			t.Errorf("%s: %d taken, %d one inside the other, active at the end %#x; want 6, %d, 0", kernel, x[22], x[21], x[24], deepest)
		}
	}
}
