package kvmcore

import "ringmap/mmu"

// writeGuest is the kernel's write of guest memory at ipa: kvm_write_guest. It
// copies p to the slot's host memory and marks every page it touched. On a
// thread without a loaded vCPU the record goes to the bitmap or is lost.
// Errors: EFAULT for an address without a slot, a READONLY slot or a bad HVA.
func (vm *VM) writeGuest(t *Thread, ipa mmu.IPA, p []byte) Errno { return 0 }

// readGuest is the kernel's read of guest memory: kvm_read_guest.
func (vm *VM) readGuest(t *Thread, ipa mmu.IPA, p []byte) Errno { return 0 }
