package kvmcore

// ring+bitmap: what arm64 Linux does since 6.2.
var policyRingBitmap = Policy{
	Choice: Choice{
		Name:   "ring+bitmap",
		Desc:   "each vCPU records into its ring; writes without a vCPU go to the memslot's bitmap, collected last",
		Source: "Linux since 6.2, KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP",
	},
	Rings: true, Bitmap: true,
	record: (*VM).markPageDirtyInSlot, full: ownRingFull,
}

// ownRingFull is kvm_dirty_ring_soft_full of the vCPU's own ring.
func ownRingFull(v *VCPU) bool { return v.Ring.SoftFull() }
