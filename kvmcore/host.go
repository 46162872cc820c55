package kvmcore

import (
	"ringmap/cpu"
	"ringmap/mmu"
)

// HostSpec describes a modelled host. It is validated by whoever reads it from
// a user (bench); NewHost takes it as right.
type HostSpec struct {
	Kernel  Kernel
	Profile *Profile    // nil = no costs at all: everything takes zero cycles
	Page    mmu.Granule // host page size, 0 = 4 KiB
	Cores   int
	TLB     mmu.TLBSpec // zero value = cpu's default
}

// NewHost builds a machine that has just booted, with an empty VMM process.
func NewHost(spec HostSpec) *Host {
	return nil
}

// CreateVM is KVM_CREATE_VM with the default type: 40 bits of IPA.
func (h *Host) CreateVM() *VM {
	return nil
}

// Destroy closes the VM's last fd. The process's memory stays.
func (vm *VM) Destroy() {}

// CreateVCPU is KVM_CREATE_VCPU: EINVAL for an id that is too large, EEXIST for
// one in use, ENOMEM when the ring does not fit.
func (vm *VM) CreateVCPU(id uint64) (*VCPU, Errno) {
	return nil, EINVAL
}

// kernelThread is the thread on which calls without time run.
func (h *Host) kernelThread() *Thread { return h.boot }

var _ = cpu.Spec{}
