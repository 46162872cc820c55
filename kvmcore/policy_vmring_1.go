package kvmcore

// vmring-1: "a per-VM dirty ring of size 1". Every write without a vCPU makes
// every vCPU exit, and the next one before it is drained is dropped.
var policyVMRing1 = Policy{
	Choice: Choice{
		Name:   "vmring-1",
		Desc:   "a VM ring of one entry: every write without a vCPU makes all vCPUs leave KVM_RUN",
		Source: "S. Christopherson, Oct 2022: the exit as a per-VM dirty ring of size 1",
		Params: []Param{{"tracking.kick", "all", "who leaves KVM_RUN for each such write"}},
	},
	Rings: true, VMRing: true, both: true,
	record: (*VM).recordVMRing, full: eitherRingFull,
}
