package kvmcore

import (
	"fmt"

	"ringmap/cpu/arch"
	"ringmap/cpu/exec"
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// A64 is a guest of machine code on a vCPU.
//
//	runA64 ─► exec.Run ─┬─ end of the quantum
//	  ▲                 ├─ stage-2 abort ─► fault.go: map, mark, MMIO ─► again
//	  │                 ├─ HVC ─► psci.go
//	  └─────────────────┴─ WFI, WFE ─► idle
//
// The switch to it is made once for each stretch of guest execution, not for each
// access. Sources: arch/arm64/kvm/{handle_exit,mmu,mmio,reset}.c.
type A64 struct {
	State arch.State
	PE    *arch.PE
	Exec  *exec.Exec
	off   bool // KVM_MP_STATE_STOPPED: PSCI has not turned it on, or has turned it off
	waits bool // in WFI

	timers  [numKVMTimers]guestTimer // by kvmTimers
	used    int                      // list registers that the last entry filled
	entered bool                     // in the guest, with its list registers: IN_GUEST_MODE
	eventBy sim.Cycle                // in WFE until an event comes, or until then; 0 = not
	kickAt  sim.Cycle                // when an IPI takes it out of the guest or of WFI; Never = none
}

// Program is what the vCPUs of a VM that executes machine code share.
type Program struct {
	End     ProgramEnd
	Limit   uint64 // instructions of all vCPUs after which it ends; 0 = none
	Retired uint64 // instructions of all vCPUs
	Devices bool   // some may raise interrupts when all vCPUs wait
	Awaited bool   // something will be typed at its console

	Model exec.Model // by which the vCPUs execute …
	From  Switch     // … from here on; before, atomic
	// Measuring says that From is reached, where it is not a time.
	Measuring bool

	code *exec.Code // decoded once for all vCPUs
}

// Switch is when the vCPUs stop executing by the atomic model. With several set,
// the first to come; with none, at once.
type Switch struct {
	Instructions uint64    // of all vCPUs
	Cycle        sim.Cycle // of each vCPU's own clock
	Hint         bool      // whenever a guest says so: exec.HintMeasure, until exec.HintSkip
}

// model is by which model a vCPU executes at a cycle, and until when.
func (p *Program) model(now, limit sim.Cycle) (exec.Model, sim.Cycle) {
	switch f := &p.From; {
	case p.Model == exec.Atomic, p.Measuring, *f == Switch{}, f.Cycle != 0 && now >= f.Cycle:
		return p.Model, limit
	case f.Instructions != 0 && p.Retired >= f.Instructions:
		p.Measuring = true
		return p.Model, limit
	case f.Cycle != 0:
		limit = min(limit, f.Cycle)
	}
	return exec.Atomic, limit
}

// left is how many instructions may be executed until the program's limit, or
// until the model is another: 0 = as many as one likes.
func (p *Program) left() (n uint64) {
	if p.Limit != 0 {
		n = p.Limit - p.Retired
	}
	if at := p.From.Instructions; at > p.Retired && !p.Measuring && (n == 0 || at-p.Retired < n) {
		n = at - p.Retired
	}
	return n
}

// ProgramEnd is why no vCPU executes anything any more.
type ProgramEnd uint8

const (
	EndNot    ProgramEnd = iota // it goes on
	EndOff                      // PSCI SYSTEM_OFF
	EndReset                    // PSCI SYSTEM_RESET: nobody boots it again
	EndCPUs                     // every vCPU is off
	EndAsleep                   // every vCPU waits for an interrupt, and none will come
	EndLimit                    // Limit
	numEnds
)

var endNames = [numEnds]string{
	"", "system off", "system reset", "every vCPU is off", "every vCPU waits for an interrupt that cannot come", "instruction limit",
}

// String says why the program ended.
func (e ProgramEnd) String() string { return endNames[e] }

// LoadA64 makes the VM's vCPUs execute machine code: the first from entry on, at
// EL1 with the MMU off and X0 = x0 (a device tree's address), the others when PSCI
// CPU_ON starts them. The vCPUs exist, each on a core of its own, and the interrupt
// controller if there is to be one; hz is the cores' frequency.
func (vm *VM) LoadA64(entry, x0, hz uint64) {
	for _, v := range vm.VCPUs {
		v.StartA64(entry, x0, hz)
		v.A64.off = v.Index != 0
	}
}

// StartA64 makes one vCPU execute machine code, as LoadA64 the first. In the end
// all vCPUs of a VM do, or none.
func (v *VCPU) StartA64(entry, x0, hz uint64) {
	m, p := v.VM.Host.Machine, &v.VM.Program
	if p.code == nil {
		p.code = exec.NewCode(m.Mem)
	}
	g := &A64{PE: arch.NewPE(m.Mem, m.Domain, &v.Thread.Core.TLB, arch.Clock{CoreHz: hz}), kickAt: sim.Never}
	g.PE.HostEL2 = true
	v.A64 = g
	v.connect()
	v.resetA64(entry, x0)
	g.Exec = exec.New(m.Mem, p.code, g.PE)
	g.Exec.Writer = mmu.Writer(v.Index)
	if m.Caches != nil {
		g.Exec.Attach(m.Caches, v.Thread.Core.ID)
	}
	v.Horizon = sim.Never
}

// HCR_EL2 of a guest: HCR_GUEST_FLAGS, as far as these cores have the bits.
const hcrGuest = arch.HCRVM | arch.HCRFMO | arch.HCRIMO | arch.HCRAMO | arch.HCRTWI | arch.HCRTSC

// cnthctlGuest lets the guest have the physical counter and timer: EL1PCTEN, EL1PCEN.
const cnthctlGuest = 3

// pfr0GIC is ID_AA64PFR0_EL1.GIC, 0 in a VM without a GICv3.
const pfr0GIC = 0xf << 24

// resetA64 is kvm_reset_vcpu with the state that CPU_ON asks for.
func (v *VCPU) resetA64(entry, context uint64) {
	s := &v.A64.State
	s.Reset(1, Affinity(v.ID))
	s.WithoutEL2()
	if g := v.VM.vgic; g == nil || !g.model {
		s.Reg[arch.ID_AA64PFR0_EL1] &^= pfr0GIC
	}
	s.Reg[arch.HCR_EL2] |= hcrGuest
	s.Reg[arch.CNTHCTL_EL2] |= cnthctlGuest
	s.PC, s.X[0] = entry, context
	v.A64.PE.Load(s, &v.VM.Stage2)
}

// Affinity is what the vCPU of an id has in MPIDR_EL1: 16 to a cluster, for the GIC's target
// lists. reset_mpidr.
func Affinity(id uint32) uint64 {
	return uint64(id&0xf) | uint64(id>>4&0xff)<<8 | uint64(id>>12&0xff)<<16
}

// runA64 executes machine code until limit or until the kernel has to act.
func (v *VCPU) runA64(limit sim.Cycle) RunState {
	g, p, core := v.A64, &v.VM.Program, v.Thread.Core
	for core.Now < limit {
		state := runOn
		switch {
		case p.End != EndNot:
			return RunEnd
		case g.off:
			v.Thread.spend(limit-core.Now, CauseIdle)
		case g.waits:
			v.waitForInterrupt(limit)
		case !g.entered: // woken, or turned on
			v.Thread.stack[0].pc = runWoken
			return RunFault
		case p.Limit != 0 && p.Retired >= p.Limit:
			p.End = EndLimit
		case v.interrupted(core.Now):
			v.leaveGuest()
			v.hostInterrupt()
			v.VM.vgic.Stats.Exits++
			v.Thread.stack[0].pc = runInterrupted
			g.eventBy = 0
			return RunFault
		case g.eventBy != 0:
			state = v.waitForEvent(min(limit, g.nextInterrupt()))
		default:
			state = v.execute(min(limit, g.nextInterrupt()))
		}
		if state != runOn {
			return state
		}
	}
	return runOn
}

// execute runs one stretch of code and acts on what ended it.
func (v *VCPU) execute(limit sim.Cycle) RunState {
	g, p, core := v.A64, &v.VM.Program, v.Thread.Core
	tally := guestTally{began: core.Now, idle: v.Thread.Cycles[CauseIdle], stalled: core.Stats.StallCycles}
	before, walks := core.TLB.Stats, g.Exec.Stats.Translating()
	x, retired := g.Exec, g.Exec.Retired
	model, end := p.model(core.Now, limit)
	x.Switch(model)
	x.Now, x.Horizon, x.Until = core.Now, v.Horizon, 0
	if n := p.left(); n != 0 {
		x.Until = retired + n
	}
	stop := x.Run(end)
	tally.instr = x.Retired - retired
	tally.cycles = uint64(x.Now-core.Now) - (x.Stats.Translating() - walks)
	core.Now = x.Now
	if model == exec.Atomic {
		core.Now += v.translating(&before)
	}
	p.Retired += tally.instr
	v.countGuest(&tally)
	switch stop.Kind {
	case exec.StopEL2:
		return v.trap(&stop.Exception)
	case exec.StopSEV:
		for _, o := range v.VM.VCPUs {
			o.A64.State.Event = true
		}
	case exec.StopWFE:
		if model != exec.Atomic {
			g.eventBy = core.Now + eventWait
			break
		}
		v.Thread.spend(min(eventWait, limit-min(core.Now, limit)), CauseIdle)
	case exec.StopHint:
		p.Measuring = p.From.Hint && stop.Inst.Imm == exec.HintMeasure
	}
	if model != exec.Atomic && core.Now > v.Horizon {
		return RunLimit
	}
	return runOn
}

// translating is the time of what the TLB did not have in its first level since
// its statistics were taken: the atomic model has no other way to count it.
func (v *VCPU) translating(before *mmu.TLBStats) sim.Cycle {
	s, costs := &v.Thread.Core.TLB.Stats, &v.VM.Host.Machine.Costs
	return sim.Cycle(s.Loads-before.Loads)*sim.Cycle(costs.WalkLevel) + sim.Cycle(s.L2Hits-before.L2Hits)*sim.Cycle(costs.TLBHit2)
}

// eventWait is the longest that WFE waits: it may end at any time, and cores do
// not see each other's events before the quantum is over anyway.
const eventWait sim.Cycle = 10_000

// eventLook is how often a core in WFE looks for its event, where the core model
// has time: an event that it finds woke it up to so much earlier.
const eventLook sim.Cycle = 40

// waitForEvent goes on with a WFE that found no event, until limit at most.
func (v *VCPU) waitForEvent(limit sim.Cycle) RunState {
	g, core := v.A64, v.Thread.Core
	switch {
	case g.Exec.Event():
		g.State.Event = false
		g.eventBy = 0
		return runOn
	case core.Now >= g.eventBy:
		g.eventBy = 0
		return runOn
	}
	v.Thread.spend(min(eventLook, g.eventBy-core.Now, limit-core.Now), CauseIdle)
	if core.Now > v.Horizon {
		return RunLimit
	}
	return runOn
}

// Bits of ESR_EL2 that the kernel looks at. DDI 0487 D19.2.40.
const (
	esrCM    = 1 << 8
	esrS1PTW = 1 << 7
	esrWnR   = 1 << 6
	esrTI    = 1 // of WFx: it was WFE
)

// trap is handle_exit: an exception that EL2 takes.
func (v *VCPU) trap(x *arch.Exception) RunState {
	g, f := v.A64, &v.Thread.stack[0]
	v.leaveGuest()
	switch arch.ECOf(x.ESR) {
	case arch.ECInstruction, arch.ECData:
		v.abort(x)
		return RunFault
	case arch.ECHVC: // ELR is behind the instruction
		g.State.PC = g.State.Reg[arch.ELR_EL2]
		v.retire()
		v.Stats.Hypercalls++
		f.pc = runHypercall
	case arch.ECSMC: // ELR is at it
		v.skip()
		v.Stats.Hypercalls++
		f.pc = runHypercall
	case arch.ECWFx:
		v.skip()
		g.waits = x.ESR&esrTI == 0
		f.pc = runKicked
	case arch.ECSysReg:
		v.systemRegister(x.ESR)
		f.pc = runKicked
	default: // kvm_handle_unknown_ec
		v.inject(g.PE.Unknown())
		f.pc = runKicked
	}
	return RunFault
}

// abort opens the fault path for a stage-2 abort, from its syndrome alone:
// kvm_handle_guest_abort.
func (v *VCPU) abort(x *arch.Exception) {
	esr := x.ESR
	a := GuestAccess{Size: 16} // without a valid syndrome: nothing to emulate
	access, value := mmu.AccessRead, uint64(0)
	switch {
	case arch.ECOf(esr) == arch.ECInstruction:
		access = mmu.AccessFetch
	case esr&esrWnR != 0 && esr&esrS1PTW == 0:
		access = mmu.AccessWrite
	}
	if m, ok := arch.MovedBy(esr); ok {
		a.Size, value = m.Size, v.A64.State.X[m.Rt] // of 31 it is 0
	}
	fault := mmu.Fault{IPA: mmu.IPA(x.IPA), Kind: mmu.FaultTranslation, Level: int8(esr & 3)}
	if esr&0x3c == 0x0c {
		fault.Kind = mmu.FaultPermission
	}
	v.Thread.stack[0].pc = runExited
	v.Thread.startFault(&a, access, value, fault)
}

// noMemory acts on an abort where no memory is and no device can be: false if it
// is for a device.
func (g *A64) noMemory(v *VCPU, p *faultPath) bool {
	esr := g.State.Reg[arch.ESR_EL2]
	switch fetch := p.access == mmu.AccessFetch; {
	case fetch, esr&esrS1PTW != 0, p.ipa>>v.VM.Stage2.IPABits != 0: // kvm_inject_sea
		v.Stats.Injected++
		v.inject(g.PE.External(g.State.Reg[arch.FAR_EL2], fetch))
	case esr&esrCM != 0: // of a device nothing is cached
		v.skip()
	default:
		return false
	}
	return true
}

// inject makes the guest take an exception at EL1. It counts as an instruction:
// a guest that does nothing else reaches its limit too.
func (v *VCPU) inject(x arch.Exception) {
	v.A64.PE.Inject(x)
	v.retire()
}

// emulated ends a load or store that a device has done: kvm_handle_mmio_return.
func (v *VCPU) emulated(write bool, value uint64) {
	if v.A64 == nil {
		v.Cursor.complete(write, value)
		return
	}
	s := &v.A64.State
	if m, _ := arch.MovedBy(s.Reg[arch.ESR_EL2]); !write && m.Rt != 31 {
		s.X[m.Rt] = m.Loaded(value)
	}
	v.skip()
}

// skip goes on behind the present instruction: kvm_incr_pc.
func (v *VCPU) skip() {
	v.A64.State.PC += 4
	v.A64.State.SS = false
	v.retire()
}

// retire counts an instruction that the kernel has done for the guest.
func (v *VCPU) retire() {
	v.VM.Program.Retired++
	v.Stats.Instructions++
}

// waitForInterrupt lets time pass until limit or until there is a reason to go
// on: kvm_vcpu_wfi. A timer that fires is one, whatever becomes of its interrupt.
func (v *VCPU) waitForInterrupt(limit sim.Cycle) {
	g, t := v.A64, v.Thread
	until := limit
	switch wake := v.wake(); {
	case wake <= t.Core.Now:
		g.waits = false
		return
	case wake != sim.Never:
		until = min(limit, wake)
	case v.VM.asleep():
		v.VM.Program.End = EndAsleep
		return
	}
	t.spend(until-t.Core.Now, CauseIdle)
}

// wake is when a timer, or an interrupt that is to be delivered, ends a WFI.
// kvm_vcpu_check_block.
func (v *VCPU) wake() sim.Cycle {
	g := v.A64
	pe, now := g.PE, v.Thread.Core.Now
	pe.Now = now
	at := sim.Never
	if v.VM.vgic.pendingFor(v) {
		at = now
		if g.kickAt != sim.Never {
			at = g.kickAt
		}
	}
	for _, t := range kvmTimers {
		switch {
		case !pe.TimerOn(t.id):
		case pe.TimerLine(t.id):
			return now
		default:
			at = min(at, pe.TimerDeadline(t.id))
		}
	}
	return at
}

// asleep tells whether nothing will ever wake any vCPU.
func (vm *VM) asleep() bool {
	if vm.Program.Devices || vm.Program.Awaited {
		return false
	}
	for _, v := range vm.VCPUs {
		if g := v.A64; !g.off && (!g.waits || v.wake() != sim.Never) {
			return false
		}
	}
	return true
}

func (g *A64) sync(c *sim.Codec) {
	c.Tag("a64")
	g.State.Sync(c)
	if c.Loading() {
		g.PE.Refresh()
	}
	g.PE.Sync(c)
	g.Exec.Sync(c)
	c.Bool(&g.off)
	c.Bool(&g.waits)
	for i := range g.timers {
		c.Bool(&g.timers[i].level)
		c.Bool(&g.timers[i].active)
	}
	c.Int(&g.used)
	c.Bool(&g.entered)
	sim.Uint(c, &g.eventBy)
	sim.Uint(c, &g.kickAt)
	if g.used < 0 || g.used > its.NumLR {
		c.Fail(fmt.Errorf("kvmcore: %d list registers in use", g.used))
		g.used = 0
	}
}

func (p *Program) sync(c *sim.Codec) {
	sim.Uint(c, &p.End)
	c.U64(&p.Retired)
	c.Bool(&p.Measuring)
	c.Bool(&p.Awaited)
	if p.End >= numEnds {
		c.Fail(fmt.Errorf("kvmcore: a program ended for reason %d", p.End))
		p.End = EndNot
	}
}
