package kvmcore

// require-bitmap: ring+bitmap, with the bitmap not left to userspace where an ITS
// will write without a vCPU (Detect is DetectITS).
var policyRequireBitmap = Policy{
	Choice: Choice{
		Name:   "require-bitmap",
		Desc:   "ring+bitmap, and an ITS cannot be created without the bitmap",
		Source: "S. Christopherson, kvmarm, Oct 2022",
	},
	Rings: true, Bitmap: true,
	record: (*VM).markPageDirtyInSlot, full: ownRingFull,
}
