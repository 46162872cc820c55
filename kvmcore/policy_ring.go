package kvmcore

// ring: each vCPU's ring and nothing else. What is written without a vCPU is lost.
var policyRing = Policy{
	Choice: Choice{
		Name:   "ring",
		Desc:   "rings alone: what is written without a vCPU is recorded nowhere",
		Source: "Linux since 5.11, KVM_CAP_DIRTY_LOG_RING",
	},
	Rings:  true,
	record: (*VM).markPageDirtyInSlot, full: ownRingFull,
}
