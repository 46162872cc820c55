package kvmcore

import (
	"cmp"
	"fmt"
	"slices"

	"ringmap/its"
	"ringmap/sim"
)

// How an interrupt reaches a vCPU that executes machine code. Each vCPU has a list
// of interrupts that are active, or pending and enabled (ap_list); the first of it
// are in list registers while the vCPU is in the guest.
//
//	registers, lines, SGIs, LPIs ─► queue ─► list ─flush, at entry─► list registers
//	                                  │       ▲                            │
//	                                  └ kick  └───── prune ◄─ fold, at exit ┘
//
// arch/arm64/kvm/vgic/vgic.c and vgic-v3.c.

// interrupt finds an interrupt as vCPU pe sees it, nil for an LPI that is not there.
func (g *VGIC) interrupt(pe int32, intid uint32) *its.Interrupt {
	switch {
	case intid < numPrivateIRQs:
		return &g.redist(g.vm.VCPUs[pe]).irqs[intid]
	case intid-numPrivateIRQs < uint32(len(g.spis)):
		return &g.spis[intid-numPrivateIRQs]
	}
	if l := g.lpis.Get(intid); intid >= its.FirstLPI && l != nil {
		return &l.Interrupt
	}
	return nil
}

// target is the vCPU that has to see an interrupt, NoPE if none: an active one
// stays where it is. vgic_target_oracle.
func (g *VGIC) target(p *its.Interrupt) int32 {
	switch {
	case p.Active && p.Queued != its.NoPE:
		return p.Queued
	case p.Active, p.Enabled && p.Asserted() && g.distEnabled:
		return p.Target
	}
	return its.NoPE
}

// queue puts an interrupt that may have to be delivered on its target's list, and
// makes the target look: vgic_queue_irq_unlock.
func (g *VGIC) queue(p *its.Interrupt) {
	target := g.target(p)
	if target == its.NoPE {
		return
	}
	if p.Queued == its.NoPE {
		g.enqueue(p, target)
		if p.IsLPI() {
			g.lpis.Hold(p.INTID)
		}
	}
	g.kick(target)
}

func (g *VGIC) enqueue(p *its.Interrupt, pe int32) {
	p.Queued = pe
	r := g.redist(g.vm.VCPUs[pe])
	r.list = append(r.list, p.INTID)
}

// dequeued takes an interrupt's mark that it is on a list. An LPI that nothing
// maps any more goes with it.
func (g *VGIC) dequeued(p *its.Interrupt) {
	p.Queued = its.NoPE
	if p.IsLPI() {
		g.lpis.Release(p.INTID)
	}
}

// inject sets the level of an interrupt's input: kvm_vgic_inject_irq.
func (g *VGIC) inject(p *its.Interrupt, level bool) {
	switch {
	case !p.Edge && p.Line == level, p.Edge && !level:
		return
	case p.Edge:
		p.Pending = true
	default:
		p.Line = level
	}
	g.Stats.Injected++
	g.queue(p)
}

// kick makes a vCPU see what has been queued: one in the guest is interrupted, one
// that waits is woken, any other looks before it enters. kvm_vcpu_kick.
func (g *VGIC) kick(pe int32) {
	v := g.vm.VCPUs[pe]
	a := v.A64
	if a == nil || g.thread == v.Thread || !a.entered && !a.waits {
		return
	}
	if a.kickAt == sim.Never { // otherwise one is on its way: EXITING_GUEST_MODE
		g.Stats.Kicks++
		g.spend(g.cost().Kick)
	}
	now := v.Thread.Core.Now
	if g.thread != nil {
		now = g.thread.Core.Now
	}
	a.kickAt = min(a.kickAt, now+sim.Cycle(g.cost().IPI))
}

// kickPending kicks every vCPU that has something to take: vgic_kick_vcpus.
func (g *VGIC) kickPending() {
	for _, v := range g.vm.VCPUs {
		if g.pendingFor(v) {
			g.kick(int32(v.Index))
		}
	}
}

// pendingFor tells whether an interrupt would end a vCPU's wait:
// kvm_vgic_vcpu_pending_irq.
func (g *VGIC) pendingFor(v *VCPU) bool {
	if g == nil || !g.distEnabled || v.A64 == nil || v.Index >= len(g.redists) {
		return false
	}
	r := g.redists[v.Index]
	for _, intid := range r.list {
		p := g.interrupt(int32(v.Index), intid)
		if p.Asserted() && p.Enabled && !p.Active && p.Priority < r.cpu.PMR {
			return true
		}
	}
	return false
}

// flush fills the list registers before a vCPU enters the guest and returns how
// many it uses: vgic_flush_lr_state.
func (g *VGIC) flush(v *VCPU) int {
	r, me := g.redist(v), int32(v.Index)
	list, vi := r.list, &r.cpu
	if len(list) > its.NumLR {
		g.sort(me, list)
	}
	vi.On, vi.Underflow = true, false
	vi.LR = [its.NumLR]its.LR{}
	n := 0
	for i, intid := range list {
		p := g.interrupt(me, intid)
		if g.target(p) != me {
			continue
		}
		vi.LR[n] = listRegister(p)
		if n++; n == its.NumLR {
			vi.Underflow = i+1 < len(list)
			break
		}
	}
	g.Stats.ListRegisters += uint64(n)
	v.A64.used = n
	return n
}

// overflows tells whether the kernel keeps active interrupts outside of the list
// registers, and ends them there: since 6.19. Before, they came first of all.
func (g *VGIC) overflows() bool { return g.vm.Host.Kernel.Version >= 619 }

// sort puts what is pending, enabled and not active first, by priority, and then what
// is active; before 6.19 the active ones first. vgic_irq_cmp.
func (g *VGIC) sort(me int32, list []uint32) {
	old := !g.overflows()
	rank := func(p *its.Interrupt) int {
		wants := p.Enabled && p.Asserted()
		switch {
		case old && p.Active:
			return 0
		case wants && !p.Active, old && wants:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(x, y uint32) int {
		a, b := g.interrupt(me, x), g.interrupt(me, y)
		switch ra, rb := rank(a), rank(b); {
		case ra != rb:
			return ra - rb
		case old && ra != 1:
			return 0
		case a.Priority != b.Priority:
			return cmp.Compare(a.Priority, b.Priority)
		case old:
			return 0
		}
		return its.Group(b.HW) - its.Group(a.HW)
	})
}

// listRegister moves an interrupt's state into a list register:
// vgic_v3_populate_lr.
func listRegister(p *its.Interrupt) its.LR {
	w := its.LR(0).WithVINTID(p.INTID).WithGroup1(p.Group1).WithPriority(uint32(p.Priority)).WithActive(p.Active)
	switch {
	case p.HW:
		w = w.WithHW(true).WithPINTID(p.INTID) // a vCPU's timers have the INTIDs of the host's
	case !p.Edge:
		w = w.WithEOI()
	}
	if p.Asserted() && !(p.Active && (p.HW || !p.Edge)) {
		w = w.WithPending(true)
		if p.Edge {
			p.Pending = false
		}
		if p.HW && !p.Edge { // only rising edges come in: so that the next one is seen
			p.Line = false
		}
	}
	return w
}

// fold takes the state back from the list registers after an exit:
// vgic_v3_fold_lr_state. Then the list keeps what still has to be delivered here.
func (g *VGIC) fold(v *VCPU) {
	vi := &g.redist(v).cpu
	for i, w := range vi.LR[:v.A64.used] {
		if p := g.interrupt(int32(v.Index), w.VINTID()); p != nil {
			ended := p.Active && !w.Active()
			p.Active = w.Active() && !(p.IsLPI() && g.overflows()) // the end of an LPI is not counted
			switch {
			case p.Edge:
				p.Pending = p.Pending || w.Pending()
			case w.State() == 0:
				p.Pending = false
			}
			if p.HW && !p.Edge && (w.Pending() || ended && p.Line) {
				v.A64.resample(p)
			}
		}
		vi.LR[i] = 0
	}
	if g.overflows() {
		g.endOutside(v, vi.EOICount)
	}
	vi.On, vi.Underflow, vi.EOICount, v.A64.used = false, false, 0, 0
	g.prune(v)
}

// endOutside deactivates as many interrupts as the guest has ended without finding
// them in a list register: it ends the most urgent first, and by priority they are
// sorted. vgic_v3_fold_lr_state.
func (g *VGIC) endOutside(v *VCPU, ended uint32) {
	me := int32(v.Index)
	for _, intid := range g.redist(v).list {
		if ended == 0 {
			return
		}
		if p := g.interrupt(me, intid); p.Active && g.target(p) == me {
			p.Active = false
			ended--
			if p.HW && !p.Edge {
				v.setPhysical(p, false)
			}
		}
	}
}

// prune drops from a vCPU's list what needs no delivery, and hands over what has
// another target now: vgic_prune_ap_list.
func (g *VGIC) prune(v *VCPU) {
	r, me := g.redist(v), int32(v.Index)
	keep := r.list[:0]
	for _, intid := range r.list {
		p := g.interrupt(me, intid)
		switch t := g.target(p); t {
		case me:
			keep = append(keep, intid)
		case its.NoPE:
			g.dequeued(p)
		default:
			g.enqueue(p, t)
			g.kick(t)
		}
	}
	r.list = keep
}

// dropLPIs takes LPIs off a vCPU's list: vgic_flush_pending_lpis.
func (g *VGIC) dropLPIs(v *VCPU) {
	r := g.redist(v)
	r.list = slices.DeleteFunc(r.list, func(intid uint32) bool {
		if intid < its.FirstLPI {
			return false
		}
		g.dequeued(&g.lpis.Get(intid).Interrupt)
		return true
	})
}

// halt takes the other vCPUs out of the guest, so that what is in their list
// registers can be seen and changed: kvm_arm_halt_guest.
func (g *VGIC) halt() {
	for _, v := range g.vm.VCPUs {
		if a := v.A64; a != nil && a.entered && v.Thread != g.thread {
			g.kick(int32(v.Index))
			v.leaveGuest()
			a.kickAt = min(a.kickAt, v.Thread.Core.Now)
		}
	}
}

// sendSGI is a write of a vCPU's SGI register: to all others, or to a list of
// targets that share their upper affinity. Such a write can send an interrupt of
// group 0 only if that is what it asks for, unless it is to group 1:
// vgic_v3_dispatch_sgi.
func (g *VGIC) sendSGI(v *VCPU, w its.SGIR, group1 bool) {
	send := func(o *VCPU) {
		g.spend(g.cost().SGITarget)
		if p := &g.redist(o).irqs[w.INTID()]; !p.Group1 || group1 {
			p.Pending = true
			g.Stats.SGIs++
			g.queue(p)
		}
	}
	if w.Others() {
		for _, o := range g.vm.VCPUs {
			if o != v {
				send(o)
			}
		}
		return
	}
	for aff0 := range uint32(16) {
		if w.Targets()>>aff0&1 != 0 && w.Aff3() == 0 {
			if o := g.vm.vcpuByAffinity(w.Aff2()<<16 | w.Aff1()<<8 | aff0); o != nil {
				send(o)
			}
		}
	}
}

// syncList saves, restores or hashes a vCPU's list and its CPU interface.
func (r *redist) syncList(c *sim.Codec) {
	r.cpu.Sync(c)
	sim.Slice(c, &r.list, func(c *sim.Codec, intid *uint32) { c.U32(intid) })
}

// checkLists checks that lists and interrupts say the same.
func (g *VGIC) checkLists() error {
	listed := 0
	for i, r := range g.redists {
		for _, intid := range r.list {
			if p := g.interrupt(int32(i), intid); p == nil || p.Queued != int32(i) {
				return fmt.Errorf("interrupt %d is on the list of vCPU %d and does not know it", intid, i)
			}
			listed++
		}
	}
	queued := 0
	for p := range g.interrupts() {
		if p.Queued != its.NoPE {
			queued++
		}
	}
	if queued != listed {
		return fmt.Errorf("%d interrupts say that they are on a list, and %d are", queued, listed)
	}
	return nil
}

// interrupts are all that exist.
func (g *VGIC) interrupts() func(yield func(*its.Interrupt) bool) {
	return func(yield func(*its.Interrupt) bool) {
		for _, r := range g.redists {
			for i := range r.irqs {
				if !yield(&r.irqs[i]) {
					return
				}
			}
		}
		for i := range g.spis {
			if !yield(&g.spis[i]) {
				return
			}
		}
		for l := g.lpis.First(); l != nil; l = g.lpis.After(l) {
			if !yield(&l.Interrupt) {
				return
			}
		}
	}
}
