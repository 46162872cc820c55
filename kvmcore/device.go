package kvmcore

import "ringmap/sim"

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
	GroupITSRegs    uint32 = 8 // ITS registers, 64 bits each
)

// Attributes of GroupAddr.
const (
	AddrDist       uint64 = 2 // KVM_VGIC_V3_ADDR_TYPE_DIST
	AddrRedist     uint64 = 3 // KVM_VGIC_V3_ADDR_TYPE_REDIST
	AddrITS        uint64 = 4 // KVM_VGIC_ITS_ADDR_TYPE
	AddrRedistArea uint64 = 5 // KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION
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
func (vm *VM) CreateDevice(name string) (Device, Errno) { return nil, ENODEV }

// SetAttr is KVM_SET_DEVICE_ATTR on thread t, whose core's clock takes the cost.
// The Device's own method does the same on a thread without time.
func (vm *VM) SetAttr(t *Thread, d Device, group uint32, attr uint64, size int, val uint64) Errno {
	return OK
}

// GetAttr is KVM_GET_DEVICE_ATTR on thread t.
func (vm *VM) GetAttr(t *Thread, d Device, group uint32, attr uint64, size int) (uint64, Errno) {
	return 0, OK
}

// SignalMSI is KVM_SIGNAL_MSI to the doorbell of the ITS that was created last:
// 1 = delivered, 0 = the guest has not mapped it. Flags: MSIValidDevID.
func (vm *VM) SignalMSI(devid, eventid, flags uint32) (int64, Errno) { return 0, OK }

// SignalMSIOn is SignalMSI on thread t, whose core's clock takes the cost.
func (vm *VM) SignalMSIOn(t *Thread, devid, eventid, flags uint32) (int64, Errno) { return 0, OK }

// MSIValidDevID is KVM_MSI_VALID_DEVID.
const MSIValidDevID uint32 = 1

// Crash returns where the modelled kernel crashed in a device call of this VM,
// "" if it did not. After a crash nothing of the VM may be used.
func (vm *VM) Crash() string { return "" }

// syncDevices saves, restores or hashes all devices of the VM.
func (vm *VM) syncDevices(c *sim.Codec) {}
