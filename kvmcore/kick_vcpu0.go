package kvmcore

// vcpu0: the request, and an interrupt that makes vCPU 0 look at it.
var kickVCPU0 = Kick{
	Choice: Choice{
		Name:   "vcpu0",
		Desc:   "vCPU 0 is kicked out of its guest, always",
		Source: "M. S. Tsirkin, review of the ring RFC, Dec 2019: tasks on vCPU 0 are penalised",
	},
	ask: func(t *Thread, vm *VM) {
		if len(vm.VCPUs) != 0 {
			vm.VCPUs[0].requestFull()
			t.kick(vm.VCPUs[0])
		}
	},
}
