package kvmcore

import "ringmap/mmu"

// ring-flagged-bitmap: the bitmap is always set, the ring is a short cut through
// it. A full ring raises a flag, and userspace that finds it scans the bitmap. A
// reset clears the bits of its entries, or every scan would find them again.
var policyRingFlaggedBitmap = Policy{
	Choice: Choice{
		Name:   "ring-flagged-bitmap",
		Desc:   "ring and bitmap both; a full ring only raises a flag, and userspace then recovers by scanning the bitmap",
		Source: "M. S. Tsirkin, review of the ring RFC, Dec 2019",
	},
	Rings: true, Bitmap: true, both: true,
	record: (*VM).recordFlagged, full: neverFull,
}

func (vm *VM) recordFlagged(v *VCPU, s *Slot) record {
	what := vm.markPageDirtyInSlot(v, s)
	if what != recordRing {
		return what
	}
	if v.Ring.Used() >= v.Ring.Size {
		v.Stats.RingOverflows++
		return recordBitmap | recordFlag
	}
	return recordRing | recordBitmap
}

// createFullFlag gives the VM the word that userspace maps.
func (vm *VM) createFullFlag() Errno {
	pfn := vm.Host.Machine.Alloc.Alloc(0)
	if pfn == mmu.NoFrame {
		return ENOMEM
	}
	vm.FullFlag = pfn.PA()
	return OK
}
