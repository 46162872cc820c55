package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// Paused tells whether the VM stands still, or is about to: devices of the VMM
// stand still with it.
func (v *VMM) Paused() bool { return v.pausing }

// String returns the wait's name in statistics.
func (w Wait) String() string { return waitNames[w] }

// EachWait calls f for every reason that the thread waited for and the cycles
// it spent so. What it waited for in the kernel is in the thread's own cycles.
func (v *VMM) EachWait(kt *kvmcore.Thread, f func(w Wait, n sim.Cycle)) {
	if kt.ID >= len(v.threads) || v.threads[kt.ID] == nil {
		return
	}
	for w, n := range v.threads[kt.ID].Waits {
		if Wait(w) != WaitKernel {
			f(Wait(w), n)
		}
	}
}
