package kvmcore

// in-entry: Linux. Whoever looks at an entry sees its state in the line that it
// needs anyway.
var layoutInEntry = Layout{
	Choice: Choice{
		Name:   "in-entry",
		Desc:   "each entry has flags: dirty, then harvested; there are no shared indices",
		Source: "Linux, struct kvm_dirty_gfn",
	},
	push: (*Thread).pushInEntry,
}
