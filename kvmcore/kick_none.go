package kvmcore

// none: the RFC raised the request on vCPU 0 and left it to exit when it happens
// to: an idle or busy vCPU 0 exits late.
var kickNone = Kick{
	Choice: Choice{
		Name:   "none",
		Desc:   "a request for vCPU 0, which sees it whenever it next leaves the guest; every record is in the bitmap as well",
		Source: "P. Xu, KVM dirty ring RFC 04/15, Nov 2019",
	},
	ask: func(_ *Thread, vm *VM) {
		if len(vm.VCPUs) != 0 {
			vm.VCPUs[0].requestFull()
		}
	},
}
