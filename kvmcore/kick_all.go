package kvmcore

// all: every vCPU is asked and kicked: kvm_make_all_cpus_request.
var kickAll = Kick{
	Choice: Choice{
		Name:   "all",
		Desc:   "every vCPU is kicked out of its guest",
		Source: "S. Christopherson, Oct 2022: not that awkward, if inserts are rare",
	},
	ask: func(t *Thread, vm *VM) {
		for _, v := range vm.VCPUs {
			v.requestFull()
			t.kick(v)
		}
	},
}
