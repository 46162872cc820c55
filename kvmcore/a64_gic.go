package kvmcore

import (
	"ringmap/cpu/arch"
	"ringmap/its"
	"ringmap/sim"
)

// What interrupts are to a vCPU that executes machine code: its virtual CPU
// interface and its timers, while it is in the guest and while it waits.
// arch/arm64/kvm/{arm,arch_timer,sys_regs}.c.

// kvmTimers are the timers of a guest, which are the host's own while it runs.
var kvmTimers = [numKVMTimers]struct {
	id  arch.TimerID
	ppi uint32
}{{arch.VirtTimer, 27}, {arch.PhysTimer, 30}}

const numKVMTimers = 2

// guestTimer is struct arch_timer_context as far as a register is not.
type guestTimer struct {
	level  bool // what the vGIC was told
	active bool // the physical interrupt is: it does not fire again before it is deactivated
}

// connect gives the vCPU the registers of its CPU interface, if the VM has a
// GICv3, and its timers their interrupts: kvm_timer_enable.
func (v *VCPU) connect() {
	g, a := v.VM.vgic, v.A64
	if g == nil || !g.model {
		return
	}
	a.PE.GIC = (*cpuInterface)(v)
	for _, t := range kvmTimers {
		g.redist(v).irqs[t.ppi].HW = true
	}
}

// enterGuest is what the kernel prepares before it enters the guest. It returns
// what that costs.
func (v *VCPU) enterGuest() uint64 {
	a, g := v.A64, v.VM.vgic
	a.entered, a.kickAt = true, sim.Never
	if g == nil || !g.initialised {
		return 0
	}
	r, cost := g.redist(v), v.VM.Host.Profile
	r.cpu.On = true
	cycles := uint64(0)
	if listed := uint64(len(r.list)); listed != 0 {
		cycles = uint64(g.flush(v)) * cost.ListRegister
		if listed > its.NumLR { // the list is sorted
			cycles += listed * cost.LPIVisit
		}
	}
	v.raise()
	return cycles
}

// leaveGuest is the other way: kvm_vgic_sync_hwstate.
func (v *VCPU) leaveGuest() {
	a, g := v.A64, v.VM.vgic
	if !a.entered {
		return
	}
	a.entered = false
	a.PE.Lines.VIRQ, a.PE.Lines.VFIQ = false, false
	if g == nil || !g.initialised {
		return
	}
	a.PE.Now = v.Thread.Core.Now
	if a.used != 0 || len(g.redist(v).list) != 0 {
		saved := g.thread
		g.thread = v.Thread
		g.fold(v)
		g.thread = saved
	}
	g.redist(v).cpu.On = false
}

// raise sets the PE's virtual interrupt inputs.
func (v *VCPU) raise() {
	lines := &v.A64.PE.Lines
	lines.VIRQ, lines.VFIQ = v.VM.vgic.redist(v).cpu.Lines()
}

// interrupted tells whether the host takes the core from the guest now: somebody
// kicked it, a timer fires, or the virtual interface asks for maintenance.
func (v *VCPU) interrupted(now sim.Cycle) bool {
	a := v.A64
	if a.kickAt <= now {
		return true
	}
	if a.PE.GIC == nil {
		return false
	}
	a.PE.Now = now
	for i, t := range kvmTimers {
		if !a.timers[i].active && a.PE.TimerOn(t.id) && a.PE.TimerLine(t.id) {
			return true
		}
	}
	return v.VM.vgic.redist(v).cpu.Maintenance()
}

// nextInterrupt is when interrupted will be true, as far as that is known.
func (a *A64) nextInterrupt() sim.Cycle {
	at := a.kickAt
	if a.PE.GIC == nil {
		return at
	}
	for i, t := range kvmTimers {
		if !a.timers[i].active && a.PE.TimerOn(t.id) {
			at = min(at, a.PE.TimerDeadline(t.id))
		}
	}
	return at
}

// hostInterrupt is what the host does about an interrupt that took the core out of
// the guest: a timer's becomes the vCPU's and stays active. kvm_arch_timer_handler.
func (v *VCPU) hostInterrupt() {
	a := v.A64
	a.PE.Now = v.Thread.Core.Now
	if a.PE.GIC == nil {
		return
	}
	for i, t := range kvmTimers {
		if !a.timers[i].active && a.PE.TimerLine(t.id) {
			a.timers[i].active = true
			v.updateTimer(i, true)
		}
	}
}

// loadTimers makes the vGIC's view of the timers right when the vCPU comes onto a
// core: kvm_timer_vcpu_load_gic.
func (v *VCPU) loadTimers() {
	a := v.A64
	if a == nil || a.PE.GIC == nil || !v.VM.vgic.initialised {
		return
	}
	a.PE.Now = v.Thread.Core.Now
	for i, t := range kvmTimers {
		v.updateTimer(i, a.PE.TimerLine(t.id))
		p := &v.VM.vgic.redist(v).irqs[t.ppi]
		a.timers[i].active = p.HW && p.Active || a.timers[i].level
	}
}

// updateTimer tells the vGIC a timer's output: kvm_timer_update_irq.
func (v *VCPU) updateTimer(i int, level bool) {
	g := v.VM.vgic
	v.A64.timers[i].level = level
	saved := g.thread
	g.thread = v.Thread
	g.inject(&g.redist(v).irqs[kvmTimers[i].ppi], level)
	g.thread = saved
}

// timerOf is the timer behind a private interrupt, nil if none.
func (a *A64) timerOf(intid uint32) (*guestTimer, arch.TimerID) {
	for i, t := range kvmTimers {
		if t.ppi == intid {
			return &a.timers[i], t.id
		}
	}
	return nil, 0
}

// resample reads the physical level of a timer's interrupt anew; one that is down
// may fire again. vgic_irq_handle_resampling.
func (a *A64) resample(p *its.Interrupt) {
	t, id := a.timerOf(p.INTID)
	if t == nil {
		return
	}
	if p.Line = a.PE.TimerLine(id); !p.Line {
		t.active = false
	}
}

// reenabled reads the level of a timer's interrupt anew when the guest enables it.
func (v *VCPU) reenabled(p *its.Interrupt) {
	a := v.A64
	if a == nil {
		return
	}
	t, id := a.timerOf(p.INTID)
	if t == nil {
		return
	}
	was := p.Line
	a.PE.Now = v.Thread.Core.Now
	if p.Line = a.PE.TimerLine(id); was && !p.Line && !p.Active {
		t.active = false
	}
}

// setPhysical sets the active state of the physical interrupt behind p:
// vgic_irq_set_phys_active.
func (v *VCPU) setPhysical(p *its.Interrupt, active bool) {
	if v.A64 == nil {
		return
	}
	if t, _ := v.A64.timerOf(p.INTID); t != nil {
		t.active = active
	}
}

// cpuInterface is a vCPU seen through its ICC registers: arch.GIC.
type cpuInterface VCPU

// iccSRE is ICC_SRE_EL1: no bypass, system registers only.
const iccSRE = 7

// ReadICC reads a register of the virtual CPU interface.
func (c *cpuInterface) ReadICC(r arch.Reg, virtual bool) (uint64, bool) {
	a := c.A64
	vi := &c.VM.vgic.redist((*VCPU)(c)).cpu
	if !virtual {
		return 0, false // a physical interface is not the guest's
	}
	a.Exec.Spend(sim.Cycle(c.VM.Host.Profile.ICV))
	switch r {
	case arch.ICC_PMR_EL1:
		return uint64(vi.PMR), true
	case arch.ICC_IAR0_EL1, arch.ICC_IAR1_EL1:
		id := vi.Acknowledge(its.Group(r == arch.ICC_IAR1_EL1))
		if id != its.Spurious {
			c.VM.vgic.Stats.Acknowledged++
		}
		c.changed(its.NoINTID)
		return id, true
	case arch.ICC_HPPIR0_EL1, arch.ICC_HPPIR1_EL1:
		return vi.HighestPending(its.Group(r == arch.ICC_HPPIR1_EL1)), true
	case arch.ICC_BPR0_EL1, arch.ICC_BPR1_EL1:
		return vi.ReadBPR(its.Group(r == arch.ICC_BPR1_EL1)), true
	case arch.ICC_AP0R0_EL1, arch.ICC_AP1R0_EL1:
		return uint64(vi.Active[its.Group(r == arch.ICC_AP1R0_EL1)]), true
	case arch.ICC_IGRPEN0_EL1, arch.ICC_IGRPEN1_EL1:
		return boolBit(vi.Enabled[its.Group(r == arch.ICC_IGRPEN1_EL1)]), true
	case arch.ICC_RPR_EL1:
		return uint64(vi.Running()), true
	case arch.ICC_CTLR_EL1:
		return vi.ReadCTLR(), true
	case arch.ICC_SRE_EL1:
		return iccSRE, true
	}
	return 0, false
}

// WriteICC writes one.
func (c *cpuInterface) WriteICC(r arch.Reg, v uint64, virtual bool) bool {
	a := c.A64
	vi := &c.VM.vgic.redist((*VCPU)(c)).cpu
	if !virtual {
		return false
	}
	a.Exec.Spend(sim.Cycle(c.VM.Host.Profile.ICV))
	ended := its.NoINTID
	switch r {
	case arch.ICC_PMR_EL1:
		vi.WritePMR(v)
	case arch.ICC_EOIR0_EL1, arch.ICC_EOIR1_EL1:
		ended = vi.End(its.Group(r == arch.ICC_EOIR1_EL1), v)
	case arch.ICC_DIR_EL1:
		if id := uint32(v) & 0xff_ffff; vi.EOImode && !vi.Holds(id) && c.VM.vgic.overflows() {
			(*VCPU)(c).endTrapped(id)
			break
		}
		ended = vi.Deactivate(v)
	case arch.ICC_BPR0_EL1, arch.ICC_BPR1_EL1:
		vi.WriteBPR(its.Group(r == arch.ICC_BPR1_EL1), v)
	case arch.ICC_AP0R0_EL1, arch.ICC_AP1R0_EL1:
		vi.Active[its.Group(r == arch.ICC_AP1R0_EL1)] = uint32(v)
	case arch.ICC_IGRPEN0_EL1, arch.ICC_IGRPEN1_EL1:
		vi.Enabled[its.Group(r == arch.ICC_IGRPEN1_EL1)] = v&1 != 0
	case arch.ICC_CTLR_EL1:
		vi.WriteCTLR(v)
	case arch.ICC_SRE_EL1:
		return true
	default:
		return false
	}
	c.changed(ended)
	return true
}

// endTrapped deactivates an interrupt of the vCPU's list that no list register has:
// ICC_DIR_EL1 is trapped for it. vgic_v3_deactivate.
func (v *VCPU) endTrapped(intid uint32) {
	p := v.VM.vgic.interrupt(int32(v.Index), intid)
	if p == nil || !p.Active || p.Queued != int32(v.Index) {
		return
	}
	p.Active = false
	if p.HW && !p.Edge {
		v.setPhysical(p, false)
	}
	v.A64.PE.TimerWrites++ // Run returns, for what it waits for may be another
}

// changed follows a change of the virtual interface: its outputs are others, and
// a physical interrupt may have ended with the virtual one.
func (c *cpuInterface) changed(ended uint32) {
	a := c.A64
	(*VCPU)(c).raise()
	if t, _ := a.timerOf(ended); t != nil {
		t.active = false
		a.PE.TimerWrites++ // it may fire at once: Run returns
	}
	if c.VM.vgic.redist((*VCPU)(c)).cpu.Maintenance() {
		a.PE.TimerWrites++ // and here for the maintenance interrupt
	}
}

// systemRegister is an access to a system register that EL2 traps: kvm_handle_sys_reg.
// Of those that KVM gives a guest only the SGI registers do here.
func (v *VCPU) systemRegister(esr uint64) {
	a, g := v.A64, v.VM.vgic
	x := arch.TrappedBy(esr)
	reg := arch.RegAt(x.Enc)
	sgi := reg == arch.ICC_SGI1R_EL1 || reg == arch.ICC_ASGI1R_EL1 || reg == arch.ICC_SGI0R_EL1
	if !sgi || x.Read || g == nil || !g.initialised {
		v.inject(a.PE.Unknown())
		return
	}
	w := uint64(0)
	if x.Rt != 31 {
		w = a.State.X[x.Rt]
	}
	saved := g.thread
	g.thread = v.Thread
	g.spend(g.cost().SGI)
	g.sendSGI(v, its.SGIR(w), reg == arch.ICC_SGI1R_EL1)
	g.thread = saved
	v.skip()
}

// IRQLine is KVM_IRQ_LINE for a shared interrupt: 0 is INTID 32. Errors: ENXIO
// without an initialised GICv3, EINVAL for an interrupt that it does not have.
func (vm *VM) IRQLine(t *Thread, spi uint32, level bool) Errno {
	g := vm.vgic
	switch {
	case g == nil || !g.initialised:
		return ENXIO
	case spi >= uint32(len(g.spis)):
		return EINVAL
	}
	saved := g.thread
	g.thread = t
	g.spend(g.cost().Ioctl + g.cost().MSI)
	g.inject(&g.spis[spi], level)
	g.thread = saved
	return OK
}
