package vmm

// on-full-own: a vCPU whose ring is full drains that ring alone. The big lock is
// held all the same: KVM_RESET_DIRTY_RINGS resets what others have harvested too,
// and its result must equal what this thread harvested. No reaper runs by
// default: it would empty the rings before they fill.
var policyOnFullOwn = Policy{
	Name:     "on-full-own",
	Desc:     "a full ring is drained alone, on the thread of its vCPU",
	Source:   "QEMU kvm_cpu_exec, KVM_EXIT_DIRTY_RING_FULL with dirty-limit in service",
	OnFull:   FullReapOwn,
	PeriodNS: 0,
}
