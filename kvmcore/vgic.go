package kvmcore

import "ringmap/mmu"

// VGIC is the interrupt controller of a VM: struct vgic_dist with what belongs
// to each vCPU. It exists from the VM's first device on.
type VGIC struct {
	vm *VM
}

// mmio is a guest access of size bytes to the frames of distributor,
// redistributors or an ITS, on v's thread. It returns the value read and whether
// one of them took it; if none did, the access is an MMIO exit.
func (g *VGIC) mmio(v *VCPU, ipa mmu.IPA, size uint8, write bool, value uint64) (uint64, bool) {
	return 0, false
}
