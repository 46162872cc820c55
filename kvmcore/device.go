package kvmcore

import (
	"fmt"
	"slices"

	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// Names of the devices that CreateDevice knows.
const (
	DeviceVGICv3 = "vgic_v3" // KVM_DEV_TYPE_ARM_VGIC_V3
	DeviceITS    = "its"     // KVM_DEV_TYPE_ARM_VGIC_ITS
)

// Attribute groups of both devices: KVM_DEV_ARM_VGIC_GRP_*.
const (
	GroupAddr       uint32 = 0 // base addresses
	GroupDistRegs   uint32 = 1 // distributor registers, 32 bits each
	GroupNrIRQs     uint32 = 3 // number of interrupts
	GroupCtrl       uint32 = 4 // operations
	GroupRedistRegs uint32 = 5 // redistributor registers: mpidr << 32 | offset, 32 bits each
	GroupCPUSysregs uint32 = 6 // CPU interface registers: mpidr << 32 | encoding, 64 bits each
	GroupLevelInfo  uint32 = 7 // levels of 32 interrupt lines: mpidr << 32 | kind << 10 | INTID, 32 bits
	GroupITSRegs    uint32 = 8 // ITS registers, 64 bits each
)

// Attributes of GroupAddr.
const (
	AddrDist         uint64 = 2 // KVM_VGIC_V3_ADDR_TYPE_DIST
	AddrRedist       uint64 = 3 // KVM_VGIC_V3_ADDR_TYPE_REDIST
	AddrITS          uint64 = 4 // KVM_VGIC_ITS_ADDR_TYPE
	AddrRedistRegion uint64 = 5 // KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
)

// Attributes of GroupCtrl.
const (
	CtrlInit          uint64 = 0 // both devices
	CtrlSaveTables    uint64 = 1 // ITS: KVM_DEV_ARM_ITS_SAVE_TABLES
	CtrlRestoreTables uint64 = 2 // ITS: KVM_DEV_ARM_ITS_RESTORE_TABLES
	CtrlSavePending   uint64 = 3 // GICv3: KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES
	CtrlReset         uint64 = 4 // ITS: KVM_DEV_ARM_ITS_CTRL_RESET
)

// CreateDevice is KVM_CREATE_DEVICE: ENODEV for an unknown name. A VM has at
// most one GICv3 (EEXIST; EBUSY when a vCPU runs or has run) and any number of
// ITSs, which need no GICv3.
func (vm *VM) CreateDevice(name string) (Device, Errno) {
	g := vm.irqchip()
	switch name {
	case DeviceVGICv3:
		if e := g.createV3(); e != OK {
			return nil, e
		}
		d := &VGICv3{g}
		vm.Devices = append(vm.Devices, d)
		return d, OK
	case DeviceITS:
		if vm.Design.Detect == DetectITS && vm.RingSize != 0 && !vm.RingWithBitmap {
			return nil, EINVAL
		}
		d := g.createITS()
		vm.Devices = append(vm.Devices, d)
		return d, OK
	}
	return nil, ENODEV
}

// doomed tells whether an ITS will write guest memory that nobody records: rings
// are on, slots get no bitmap.
func (vm *VM) doomed() bool {
	return vm.RingSize != 0 && !vm.RingWithBitmap && vm.policy != &policyVMRing && vm.policy != &policyVMRing1 &&
		vm.vgic != nil && len(vm.vgic.itss) != 0
}

// SetAttr is KVM_SET_DEVICE_ATTR on thread t, whose core's clock takes the cost.
// The Device's own method does the same on a thread without time. size is the
// length of the value in bytes; the kernel reads as much as the group wants.
func (vm *VM) SetAttr(t *Thread, d Device, group uint32, attr uint64, size int, val uint64) Errno {
	g := vm.irqchip()
	saved := g.thread
	g.thread = t
	defer func() { g.thread = saved }()
	g.spend(g.cost().Ioctl)
	return d.SetAttr(group, attr, size, val)
}

// GetAttr is KVM_GET_DEVICE_ATTR on thread t.
func (vm *VM) GetAttr(t *Thread, d Device, group uint32, attr uint64, size int) (uint64, Errno) {
	g := vm.irqchip()
	saved := g.thread
	g.thread = t
	defer func() { g.thread = saved }()
	g.spend(g.cost().Ioctl)
	return d.GetAttr(group, attr, size)
}

// Crash returns where the modelled kernel crashed in a device call of this VM,
// "" if it did not. After a crash nothing of the VM may be used.
func (vm *VM) Crash() string {
	if vm.vgic == nil {
		return ""
	}
	return vm.vgic.crash
}

// irqchip is the VM's interrupt controller, which is there from the beginning
// but does nothing before a device is created.
func (vm *VM) irqchip() *VGIC {
	if vm.vgic == nil {
		vm.vgic = newVGIC(vm)
	}
	return vm.vgic
}

// vcpuRuns tells whether some vCPU is inside KVM_RUN, so that lock_all_vcpus of a
// device call fails.
func (vm *VM) vcpuRuns() bool {
	for _, v := range vm.VCPUs {
		if v.Thread != nil && v.Thread.VCPU == v {
			return true
		}
	}
	return false
}

// vcpuByID finds a vCPU by the id that userspace gave it: kvm_get_vcpu_by_id.
func (vm *VM) vcpuByID(id uint32) *VCPU {
	if int(id) < len(vm.VCPUs) && vm.VCPUs[id].ID == id {
		return vm.VCPUs[id] // ids mostly count from 0
	}
	for _, v := range vm.VCPUs {
		if v.ID == id {
			return v
		}
	}
	return nil
}

// affinity is the vCPU's place in the machine: Aff2, Aff1, Aff0 in 8 bits each,
// as reset_mpidr makes it from the vCPU's id.
func (v *VCPU) affinity() uint32 {
	return v.ID&0xf | v.ID>>4&0xff<<8 | v.ID>>12&0xff<<16
}

// vcpuByAffinity finds a vCPU by Aff2, Aff1, Aff0: kvm_mpidr_to_vcpu.
func (vm *VM) vcpuByAffinity(aff uint32) *VCPU {
	for _, v := range vm.VCPUs {
		if v.affinity() == aff {
			return v
		}
	}
	return nil
}

// Kinds of devices in a snapshot.
const (
	syncVGICv3 uint8 = 1
	syncITS    uint8 = 2
)

func kindOf(d Device) uint8 {
	switch d.(type) {
	case *VGICv3:
		return syncVGICv3
	case *VITS:
		return syncITS
	}
	return 0
}

// syncDevices saves, restores or hashes all devices of the VM. Loading keeps the
// devices that are there, so that whoever holds one goes on with it, and creates
// those that are not.
func (vm *VM) syncDevices(c *sim.Codec) {
	c.Tag("devices")
	there := vm.vgic != nil
	c.Bool(&there)
	if !there {
		return
	}
	old := slices.Clone(vm.Devices)
	g := vm.irqchip()
	if c.Loading() {
		g.clear()
	}
	g.sync(c)
	n := 0
	sim.Slice(c, &vm.Devices, func(c *sim.Codec, d *Device) {
		kind := kindOf(*d)
		c.U8(&kind)
		if c.Loading() {
			if n < len(old) && kindOf(old[n]) == kind {
				*d = old[n]
			} else if *d = g.newDevice(kind); *d == nil {
				c.Fail(fmt.Errorf("device of unknown kind %d", kind))
				return
			}
			n++
			if k, ok := (*d).(*VITS); ok {
				k.clear()
				g.itss = append(g.itss, k)
			}
		}
		if k, ok := (*d).(*VITS); ok {
			k.sync(c)
		}
	})
	if c.Loading() {
		states := make([]*its.ITS, len(g.itss))
		for i, k := range g.itss {
			states[i] = k.state
		}
		c.Fail(g.lpis.CheckLoaded(states...))
	}
}

// newDevice makes a device for a snapshot's state, nil for an unknown kind.
func (g *VGIC) newDevice(kind uint8) Device {
	switch kind {
	case syncVGICv3:
		return &VGICv3{g}
	case syncITS:
		return &VITS{vgic: g}
	}
	return nil
}

// undefined is an address that has not been set: VGIC_ADDR_UNDEF.
const undefined = ^mmu.IPA(0)

// checkRange are the rules for a frame's address: vgic_check_iorange.
func (vm *VM) checkRange(old mmu.IPA, addr, align, size uint64) Errno {
	limit := uint64(1) << vm.Stage2.IPABits
	switch {
	case old != undefined:
		return EEXIST
	case (addr|size)&(align-1) != 0:
		return EINVAL
	case addr+size < addr:
		return EINVAL
	case addr >= limit || addr+size > limit:
		return E2BIG
	}
	return OK
}
