package kvmcore

import (
	"ringmap/its"
	"ringmap/mmu"
)

// MSIValidDevID is KVM_MSI_VALID_DEVID: the MSI names its device.
const MSIValidDevID uint32 = 1

// doorbell is GITS_TRANSLATER, where a device writes its EventID.
const doorbell = 0x10040

// SignalMSI is KVM_SIGNAL_MSI to the doorbell of the ITS that was created last:
// 1 = delivered, 0 = the guest has not mapped it. Flags: MSIValidDevID. Errors:
// EINVAL without an interrupt controller, for other flags, without the flag or
// for a doorbell that is none; ENODEV without an ITS; EBUSY while ITS or LPIs
// are disabled. No guest memory is written.
func (vm *VM) SignalMSI(devid, eventid, flags uint32) (int64, Errno) {
	return vm.SignalMSIOn(nil, devid, eventid, flags)
}

// SignalMSIOn is SignalMSI on thread t, whose core's clock takes the cost.
func (vm *VM) SignalMSIOn(t *Thread, devid, eventid, flags uint32) (int64, Errno) {
	g := vm.irqchip()
	base := undefined - doorbell // nobody's address
	if n := len(g.itss); n > 0 {
		base = g.itss[n-1].base
	}
	if t != nil {
		saved := g.thread
		g.thread = t
		defer func() { g.thread = saved }()
		g.spend(g.cost().Ioctl)
	}
	ret, e := g.signal(base+doorbell, devid, eventid, flags)
	if e != OK || ret == 0 {
		g.Stats.MSIDropped++
	}
	if e != OK {
		ret = -1
	}
	return ret, e
}

// signal is kvm_send_userspace_msi and vgic_its_inject_msi.
func (g *VGIC) signal(addr mmu.IPA, devid, eventid, flags uint32) (int64, Errno) {
	g.Stats.MSIs++
	switch {
	case !g.model || flags&^MSIValidDevID != 0:
		return 0, EINVAL
	case !g.hasITS:
		return 0, ENODEV
	}
	k := g.itsAt(addr)
	if k != nil {
		if l := k.cached(devid, eventid); l != nil { // needs no VALID_DEVID
			g.Stats.MSIHits++
			g.spend(g.cost().MSI)
			l.Pending = true
			g.queue(&l.Interrupt)
			return 1, OK
		}
	}
	if flags&MSIValidDevID == 0 || k == nil {
		return 0, EINVAL
	}
	g.spend(g.cost().MSI + g.cost().MSITranslate)
	switch k.trigger(devid, eventid) {
	case its.None:
		return 1, OK
	case its.ErrDisabled:
		return 0, EBUSY
	}
	return 0, OK // the guest blocks it
}

// itsAt finds the ITS whose frames hold an address.
func (g *VGIC) itsAt(addr mmu.IPA) *VITS {
	for _, k := range g.itss {
		if k.base != undefined && addr-k.base < itsBytes {
			return k
		}
	}
	return nil
}

// trigger makes the LPI of a device's event pending and remembers the
// translation: vgic_its_trigger_msi.
func (k *VITS) trigger(devid, eventid uint32) its.Error {
	s := k.state
	if !s.Enabled {
		return its.ErrDisabled
	}
	l, pe, err := s.Translate(k.machine, devid, eventid)
	switch {
	case err != its.None:
		return err
	case !k.vgic.redist(k.vgic.vm.VCPUs[pe]).enableLPIs:
		return its.ErrDisabled
	}
	k.cache.add(k.vgic.vm.Translations, s.Epoch, devid<<its.EventBits|eventid, l.INTID)
	l.Pending = true
	k.vgic.queue(&l.Interrupt)
	return its.None
}

// cached finds the LPI of a translation that was used since the mappings changed.
func (k *VITS) cached(devid, eventid uint32) *its.LPI {
	intid, ok := k.cache.find(k.state.Epoch, devid, eventid)
	if !ok {
		return nil
	}
	return k.vgic.lpis.Get(intid)
}
