package kvmcore

import (
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// gicMachine is what the architecture layer sees of a VM: guest memory through
// the kernel's read and write paths, vCPUs as PEs, and KVM's rules for LPIs.
type gicMachine struct {
	*VGIC
	its *VITS // whose commands run, nil for distributor and redistributors
}

// ReadGuest is kvm_read_guest_lock.
func (m *gicMachine) ReadGuest(ipa mmu.IPA, p []byte) its.Error {
	m.Stats.TableReads++
	if m.vm.readGuest(m.current(), ipa, p) != OK {
		return its.ErrAccess
	}
	return its.None
}

// WriteGuest is vgic_write_guest_lock: the one way in which the interrupt
// controller writes guest memory. While it does, a write without a running vCPU
// is as it should be.
func (m *gicMachine) WriteGuest(ipa mmu.IPA, p []byte) its.Error {
	m.vm.tableWriteInProgress = true
	e := m.vm.writeGuest(m.current(), ipa, p)
	m.vm.tableWriteInProgress = false
	if e != OK {
		return its.ErrAccess
	}
	m.Stats.TableWrites++
	m.Stats.TableBytes += uint64(len(p))
	return its.None
}

// Visible is kvm_is_visible_gfn: any memslot will do.
func (m *gicMachine) Visible(ipa mmu.IPA) bool {
	return m.vm.Slots.ByGFN(m.vm.Host.Page.GFN(ipa)) != nil
}

// PE finds a vCPU by the processor number that the guest sees: its id.
func (m *gicMachine) PE(rdbase uint32) (int32, bool) {
	v := m.vm.vcpuByID(rdbase)
	if v == nil {
		return its.NoPE, false
	}
	return int32(v.Index), true
}

// PropBase is the VM's PROPBASER: all redistributors share one.
func (m *gicMachine) PropBase() its.PROPBASER { return m.propbaser }

// PendBase is the PENDBASER of a vCPU's redistributor.
func (m *gicMachine) PendBase(pe int32) its.PENDBASER {
	return m.redist(m.vm.VCPUs[pe]).pendbaser
}

// Changed queues an LPI that may be pending and enabled now.
func (m *gicMachine) Changed(l *its.LPI) { m.queue(&l.Interrupt) }

// Moved does nothing: an LPI on a vCPU's list goes to its new target, or away, when
// that vCPU leaves the guest. update_affinity.
func (m *gicMachine) Moved(*its.LPI) {}

// NewLPI gives a newly mapped LPI its configuration and the pending bit of its
// target's table, which moves: vgic_add_lpi, vgic_v3_lpi_sync_pending_status.
func (m *gicMachine) NewLPI(l *its.LPI) its.Error {
	if err := m.lpis.LoadConfig(m, l); err != its.None {
		return err
	}
	return m.lpis.ConsumePending(m, l)
}

// Trigger is INT: what an MSI of the device would do.
func (m *gicMachine) Trigger(device, event uint32) its.Error {
	return m.its.trigger(device, event)
}

// current is the thread that accesses guest memory.
func (g *VGIC) current() *Thread {
	if g.thread == nil {
		return g.vm.Host.kernelThread()
	}
	return g.thread
}

// cost are the instruction overheads of the host. Reads and writes of guest memory
// and the recording of dirty pages come on top: they are micro-ops of the paths
// that do them.
func (g *VGIC) cost() *Profile { return g.vm.Host.Profile }

// spend lets time pass for the present call.
func (g *VGIC) spend(cycles uint64) {
	if g.thread != nil && cycles != 0 {
		g.thread.spend(sim.Cycle(cycles), g.thread.copyCause())
	}
}

// errnoOf is the errno with which an ioctl reports an error of the tables.
func errnoOf(err its.Error) Errno {
	switch err {
	case its.None:
		return OK
	case its.ErrAccess:
		return EFAULT
	case its.ErrExists:
		return EEXIST
	case its.ErrCapacity:
		return ENOMEM
	case its.ErrDisabled:
		return EBUSY
	}
	return EINVAL
}
