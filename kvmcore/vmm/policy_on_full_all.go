package vmm

// on-full-all: a vCPU whose ring is full takes the big lock and drains every
// ring. A reaper drains all of them once a second as well.
var policyOnFullAll = Policy{
	Name:     "on-full-all",
	Desc:     "a full ring drains every ring, on the thread of the vCPU that filled it",
	Source:   "QEMU kvm_cpu_exec, KVM_EXIT_DIRTY_RING_FULL without dirty-limit; kvm_dirty_ring_reaper_thread",
	OnFull:   FullReapAll,
	PeriodNS: 1_000_000_000,
}
