package kvmcore

// padded: the same two indices, each with a cache line to itself.
var layoutPadded = Layout{
	Choice: Choice{
		Name:   "padded",
		Desc:   "two free-running indices, each in a cache line of its own",
		Source: "the answer to: sticking these next to each other guarantees cache conflicts",
	},
	Indexed: true, Apart: cacheLine,
	push: (*Thread).pushIndexed, load: (*Thread).loadIndexed, take: (*Thread).takeIndexed,
}
