package kvmcore

// round-robin: as vcpu0, with the burden shared. Whoever is asked stays so until
// the ring has been drained; then it is the next one's turn.
var kickRoundRobin = Kick{
	Choice: Choice{
		Name:   "round-robin",
		Desc:   "one vCPU is kicked out of its guest, each in its turn",
		Source: "the answer to: a per-VM ring punishes vCPU 0",
	},
	ask: func(t *Thread, vm *VM) {
		if len(vm.VCPUs) == 0 {
			return
		}
		v := vm.VCPUs[vm.nextKick%len(vm.VCPUs)]
		if v.Requests&ReqDirtyRingSoftFull == 0 || !v.inside() {
			vm.nextKick = (vm.nextKick + 1) % len(vm.VCPUs)
			v = vm.VCPUs[vm.nextKick]
		}
		v.requestFull()
		t.kick(v)
	},
}
