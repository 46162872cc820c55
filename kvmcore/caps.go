package kvmcore

import "math/bits"

// Capabilities of the modelled host: include/uapi/linux/kvm.h.
const (
	CapUserMemory      uint32 = 3
	CapNRVCPUs         uint32 = 9
	CapNRMemslots      uint32 = 10
	CapSyncMMU         uint32 = 16
	CapDestroyMemory   uint32 = 21
	CapMaxVCPUs        uint32 = 66
	CapSignalMSI       uint32 = 77
	CapReadonlyMem     uint32 = 81
	CapDeviceCtrl      uint32 = 89
	CapMaxVCPUID       uint32 = 128
	CapImmediateExit   uint32 = 136
	CapArmVMIPASize    uint32 = 165
	CapManualProtect2  uint32 = 168 // KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2
	CapStealTime       uint32 = 187
	CapDirtyRing       uint32 = 192 // KVM_CAP_DIRTY_LOG_RING: only where the CPU is TSO
	CapDirtyRingAcqRel uint32 = 223 // KVM_CAP_DIRTY_LOG_RING_ACQ_REL
	CapDirtyRingBitmap uint32 = 225 // KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP
	CapEagerSplitChunk uint32 = 228 // KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE
	CapBlockSizes      uint32 = 229 // KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES
)

// Limits of the modelled kernel.
const (
	MaxVCPUs         = 512            // KVM_MAX_VCPUS; ids are below it too
	UserMemSlots     = 32767          // KVM_USER_MEM_SLOTS
	MaxSlotPages     = 1<<31 - 1      // KVM_MEM_MAX_NR_PAGES
	IPABits          = 40             // of a VM whose type asks for nothing else
	minIPABits       = 32             // of any VM
	maxIPABits       = 52             // what the recorded hosts offer
	RingMmapPage     = 64             // KVM_DIRTY_LOG_PAGE_OFFSET
	ManualEnable     = uint64(1 << 0) // KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE
	ManualInitialSet = uint64(1 << 1) // KVM_DIRTY_LOG_INITIALLY_SET
)

// CheckExtension is KVM_CHECK_EXTENSION on the VM's fd: 0 means unsupported.
func (vm *VM) CheckExtension(cap uint32) int64 {
	switch cap {
	case CapUserMemory, CapSyncMMU, CapDestroyMemory, CapSignalMSI, CapReadonlyMem,
		CapDeviceCtrl, CapImmediateExit, CapStealTime, CapDirtyRingBitmap:
		return 1
	case CapNRVCPUs:
		return int64(min(len(vm.Host.Machine.Cores), MaxVCPUs))
	case CapMaxVCPUs, CapMaxVCPUID:
		return MaxVCPUs
	case CapNRMemslots:
		return UserMemSlots
	case CapArmVMIPASize:
		return maxIPABits
	case CapManualProtect2:
		return int64(ManualEnable | ManualInitialSet)
	case CapDirtyRingAcqRel:
		return RingMaxEntries * RingEntryBytes
	case CapEagerSplitChunk:
		return int64(vm.EagerSplit)
	case CapBlockSizes:
		return int64(vm.blockSizes())
	}
	return 0
}

// EnableCap is KVM_ENABLE_CAP on the VM's fd.
func (vm *VM) EnableCap(cap, flags uint32, args [4]uint64) (int64, Errno) {
	switch cap {
	case CapDirtyRing, CapDirtyRingAcqRel:
		if vm.CheckExtension(cap) == 0 {
			return -1, EINVAL
		}
		return result(vm.enableRing(uint32(args[0])))
	case CapDirtyRingBitmap:
		return result(vm.enableRingBitmap(flags))
	case CapManualProtect2:
		return result(vm.enableManualProtect(flags, args[0]))
	case CapEagerSplitChunk:
		return result(vm.enableEagerSplit(flags, args[0]))
	}
	return -1, EINVAL
}

// enableRing is kvm_vm_ioctl_enable_dirty_log_ring: size in bytes.
func (vm *VM) enableRing(size uint32) Errno {
	if e := vm.checkRingSize(size); e != OK {
		return e
	}
	switch {
	case vm.RingSize != 0: // set once, the same size again included
		return EINVAL
	case len(vm.VCPUs) != 0:
		return EINVAL
	}
	vm.RingSize = size
	return OK
}

// checkRingSize tells whether a ring may have that many bytes.
func (vm *VM) checkRingSize(size uint32) Errno {
	least := uint64(vm.Design.Reserve) * RingEntryBytes
	switch {
	case size == 0 || bits.OnesCount32(size) != 1 && !vm.Design.AnySize:
		return EINVAL
	case uint64(size) < least || uint64(size) < vm.Host.Page.Size() || size%RingEntryBytes != 0:
		return EINVAL
	case size > RingMaxEntries*RingEntryBytes:
		return E2BIG
	}
	return OK
}

func (vm *VM) enableRingBitmap(flags uint32) Errno {
	if vm.RingSize == 0 || flags != 0 || vm.Slots.Len() != 0 {
		return EINVAL
	}
	vm.RingWithBitmap = true
	return OK
}

func (vm *VM) enableManualProtect(flags uint32, mode uint64) Errno {
	allowed := mode &^ ManualEnable
	if mode&ManualEnable != 0 { // INITIALLY_SET only together with ENABLE
		allowed &^= ManualInitialSet
	}
	if flags != 0 || allowed != 0 {
		return EINVAL
	}
	vm.ManualProtect = mode
	return OK
}

func (vm *VM) enableEagerSplit(flags uint32, chunk uint64) Errno {
	if flags != 0 || vm.Slots.Len() != 0 {
		return EINVAL
	}
	if chunk != 0 && (bits.OnesCount64(chunk) != 1 || chunk&vm.blockSizes() == 0) {
		return EINVAL
	}
	vm.EagerSplit = chunk
	return OK
}

// blockSizes is the mask of mapping sizes of the host's granule, in bytes:
// kvm_supported_block_sizes. 4 KiB pages also have 1 GiB blocks; the larger
// granules have one block size without LPA2.
func (vm *VM) blockSizes() uint64 {
	page := vm.Host.Page
	sizes := page.Size() | 1<<blockShift(page)
	if page.Shift() == 12 {
		sizes |= 1 << 30
	}
	return sizes
}

// UseBitmap is kvm_use_dirty_bitmap: whether logged slots own a bitmap.
func (vm *VM) UseBitmap() bool { return vm.RingSize == 0 || vm.RingWithBitmap }

// result turns the error of a call without value into an ioctl's pair.
func result(e Errno) (int64, Errno) {
	if e != OK {
		return -1, e
	}
	return 0, OK
}
