package kvmcore

// ring-overflow-bitmap: a vCPU whose ring is full records in the bitmap and runs
// on. Nobody exits, and userspace has to read both.
var policyRingOverflowBitmap = Policy{
	Choice: Choice{
		Name:   "ring-overflow-bitmap",
		Desc:   "a vCPU whose ring is full goes on in the bitmap instead of leaving KVM_RUN",
		Source: "v9 review, Nov 2022: a flag of KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP for later",
		Params: []Param{{"tracking.overflow", "soft", "soft: at the soft limit; hard: when the last entry is used"}},
	},
	Rings: true, Bitmap: true,
	record: (*VM).recordOverflowing, full: neverFull,
}

// recordOverflowing is Linux's decision, with the bitmap for what the ring does
// not take.
func (vm *VM) recordOverflowing(v *VCPU, s *Slot) record {
	what := vm.markPageDirtyInSlot(v, s)
	if what != recordRing {
		return what
	}
	limit := v.Ring.SoftLimit
	if vm.Design.OverflowHard {
		limit = v.Ring.Size
	}
	if v.Ring.Used() >= limit {
		v.Stats.RingOverflows++
		return recordBitmap
	}
	return recordRing
}

// neverFull: a full ring is no reason to leave KVM_RUN.
func neverFull(*VCPU) bool { return false }
