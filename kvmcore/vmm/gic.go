package vmm

import (
	"fmt"

	"ringmap/kvmcore"
)

// boardIRQs is how many interrupts the board's GIC has: SGIs, PPIs and 256 SPIs,
// as hw/arm/virt.c.
const boardIRQs = 288

// CreateGIC makes the GICv3 of the board and its ITS, after the vCPUs and before
// any of them runs. vCPUs beyond the first RedistFirst have their redistributors
// in the second region.
func (b *Board) CreateGIC(vm *kvmcore.VM) error {
	gic, errno := vm.CreateDevice(kvmcore.DeviceVGICv3)
	if errno != kvmcore.OK {
		return fmt.Errorf("KVM_CREATE_DEVICE %s: %v", kvmcore.DeviceVGICv3, errno)
	}
	var err error
	set := func(d kvmcore.Device, group uint32, attr, val uint64) {
		if err != nil {
			return
		}
		if e := d.SetAttr(group, attr, 8, val); e != kvmcore.OK {
			err = fmt.Errorf("KVM_SET_DEVICE_ATTR group %d, attribute %d, value %#x: %v", group, attr, val, e)
		}
	}
	region := func(index, base, count uint64) {
		set(gic, kvmcore.GroupAddr, kvmcore.AddrRedistRegion, count<<52|base|index)
	}
	set(gic, kvmcore.GroupNrIRQs, 0, boardIRQs)
	set(gic, kvmcore.GroupAddr, kvmcore.AddrDist, GICDBase)
	region(0, GICRBase, uint64(min(b.VCPUs, RedistFirst)))
	if b.Redist2.Size != 0 {
		region(1, b.Redist2.Base, uint64(b.VCPUs-RedistFirst))
	}
	set(gic, kvmcore.GroupCtrl, kvmcore.CtrlInit, 0)
	if err != nil || !b.ITS {
		return err
	}
	its, errno := vm.CreateDevice(kvmcore.DeviceITS)
	if errno != kvmcore.OK {
		return fmt.Errorf("KVM_CREATE_DEVICE %s: %v", kvmcore.DeviceITS, errno)
	}
	set(its, kvmcore.GroupAddr, kvmcore.AddrITS, ITSBase)
	set(its, kvmcore.GroupCtrl, kvmcore.CtrlInit, 0)
	return err
}
