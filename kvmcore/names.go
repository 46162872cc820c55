package kvmcore

import "ringmap/mmu"

// Backings lists the names that ParseBacking accepts.
func Backings() []string { return backingNames[:] }

// CreateVMType is KVM_CREATE_VM with KVM_VM_TYPE_ARM_IPA_SIZE(ipaBits): EINVAL
// outside 32 to what KVM_CAP_ARM_VM_IPA_SIZE says. 4 KiB pages reach 48 bits
// without LPA2. kvm_arm_setup_stage2.
func (h *Host) CreateVMType(ipaBits uint8) (*VM, Errno) {
	if ipaBits < 32 || ipaBits > maxIPABits || h.Page == mmu.Granule4K && ipaBits > 48 {
		return nil, EINVAL
	}
	h.vmids++
	vm := &VM{Host: h, VMID: h.vmids}
	vm.Stage2 = mmu.NewStage2(h.Machine.Mem, h.Machine.Alloc, h.Page, ipaBits, vm.VMID)
	h.VMs = append(h.VMs, vm)
	return vm, OK
}
