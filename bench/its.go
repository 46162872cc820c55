package bench

import (
	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
	"ringmap/workloads"
)

// itsDriver is the devices behind the ITS: a thread of the VMM's process that
// signals MSIs at their time. Table saves are the VMM's, which stops the vCPUs
// for them.
type itsDriver struct {
	vmm    *vmm.VMM
	vm     *kvmcore.VM
	thread *kvmcore.Thread
	comp   sim.ComponentID
	load   *workloads.ITSLoad
	next   workloads.ITSAction

	signalled, undelivered, skipped uint64
}

// Handle signals the MSI that is due, unless the VM is paused: devices stand
// still with it.
func (d *itsDriver) Handle(e *sim.Engine, ev sim.Event) {
	if d.vmm.Paused() {
		d.skipped++
	} else {
		d.thread.Core.Now = max(d.thread.Core.Now, ev.At)
		d.signalled++
		if n, _ := d.vm.SignalMSIOn(d.thread, d.next.DevID, d.next.EventID, kvmcore.MSIValidDevID); n != 1 {
			d.undelivered++
		}
	}
	d.arm(e)
}

// arm schedules the next MSI.
func (d *itsDriver) arm(e *sim.Engine) {
	next, ok := d.load.Next()
	if !ok {
		return
	}
	d.next = next
	e.Schedule(sim.Event{At: max(next.At, e.Now()), Comp: d.comp, Class: sim.ClassHardware})
}

func (d *itsDriver) register(s *sim.Stats) {
	s.Counter("its.msis", "", "MSIs that devices signalled", &d.signalled)
	s.Counter("its.msis_undelivered", "", "of these: not mapped by the guest", &d.undelivered)
	s.Counter("its.msis_paused", "", "MSIs that did not happen because the VM stood still", &d.skipped)
}

func (d *itsDriver) Sync(c *sim.Codec) {
	c.Tag("its driver")
	d.load.Sync(c)
	sim.Uint(c, &d.next.At)
	c.U32(&d.next.DevID)
	c.U32(&d.next.EventID)
	c.U64(&d.signalled)
	c.U64(&d.undelivered)
	c.U64(&d.skipped)
}

// createITS makes GICv3 and ITS, sets them up as a guest's driver would, before
// time begins, and returns how their tables are saved. A program has its own
// driver, and the board of its machine has them already.
func (m *machine) createITS(s *scenario.Scenario) (func(*kvmcore.Thread) kvmcore.Errno, error) {
	spec := m.plan.ITS
	if !m.plan.Program {
		if _, err := workloads.SetupITS(m.vm, spec); err != nil {
			return nil, s.Problem("its", "", "%v", err)
		}
	}
	m.its = &itsDriver{vm: m.vm, load: workloads.NewITSLoad(spec, 0, uint64(s.Seed))}
	m.devices = m.host.NewThread(m.deviceCore(), "devices")
	m.its.thread = m.devices
	m.its.comp = m.engine.Register("its", m.its)
	if s.ITS.Save.Never {
		return nil, nil
	}
	return func(t *kvmcore.Thread) kvmcore.Errno { return saveITS(m.vm, t) }, nil
}

// saveITS is what QEMU's state-change handlers do: the ITS's tables, then the
// pending tables of the GICv3. A restore makes the devices anew, so they are
// looked up each time, in the order of their creation.
func saveITS(vm *kvmcore.VM, t *kvmcore.Thread) kvmcore.Errno {
	gic, its := vm.Devices[0], vm.Devices[1]
	if e := vm.SetAttr(t, its, kvmcore.GroupCtrl, kvmcore.CtrlSaveTables, 8, 0); e != kvmcore.OK {
		return e
	}
	return vm.SetAttr(t, gic, kvmcore.GroupCtrl, kvmcore.CtrlSavePending, 8, 0)
}
