package kvmcore

import "ringmap/sim"

// SyncRegisters codes what userspace reads of a vCPU and writes into one of
// another VM to go on there: its registers (KVM_GET_ONE_REG), whether it is on
// (KVM_GET_MP_STATE), what an exit to userspace has left open in struct kvm_run,
// and, of a guest that is no machine code, where it stands in its accesses. The
// vCPU is outside of KVM_RUN. Rings, requests and counters stay behind.
func (v *VCPU) SyncRegisters(c *sim.Codec) {
	c.Tag("registers")
	v.Run.Sync(c)
	v.Cursor.Sync(c)
	if g := v.A64; g != nil {
		g.State.Sync(c)
		c.Bool(&g.off)
		c.Bool(&g.waits)
		for i := range g.timers {
			c.Bool(&g.timers[i].level)
			c.Bool(&g.timers[i].active)
		}
		if c.Loading() {
			g.PE.Refresh()
		}
	}
}

// SyncProgram codes how far the VM's program has come.
func (vm *VM) SyncProgram(c *sim.Codec) { vm.Program.sync(c) }

// PendingLPI is an interrupt that a device has signalled and no vCPU has taken.
type PendingLPI struct {
	INTID uint32
	VCPU  int32 // index of its target, -1 = none
}

// PendingLPIs appends the pending LPIs of the VM to list, by INTID.
func (vm *VM) PendingLPIs(list []PendingLPI) []PendingLPI {
	if vm.vgic == nil {
		return list
	}
	lpis := &vm.vgic.lpis
	for p := lpis.First(); p != nil; p = lpis.After(p) {
		if p.Pending {
			list = append(list, PendingLPI{p.INTID, p.Target})
		}
	}
	return list
}

// Affinity is the vCPU's MPIDR as device attributes name it: Aff2, Aff1, Aff0.
func (v *VCPU) Affinity() uint32 { return v.affinity() }
