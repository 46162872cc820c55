package kvmcore

// bitmap: no ring; every writer sets the page's bit.
var policyBitmap = Policy{
	Choice: Choice{
		Name:   "bitmap",
		Desc:   "one bitmap a memslot for all writers; KVM_GET_DIRTY_LOG copies and clears it (vmm.clear: manual adds KVM_CLEAR_DIRTY_LOG)",
		Source: "Linux, virt/kvm/kvm_main.c mark_page_dirty_in_slot",
	},
	Bitmap: true,
	record: (*VM).markPageDirtyInSlot, full: ownRingFull,
}
