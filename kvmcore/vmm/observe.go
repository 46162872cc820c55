package vmm

import (
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Paused tells whether the VM stands still, or is about to: devices of the VMM
// stand still with it.
func (v *VMM) Paused() bool { return v.pausing || v.ckpt.dead }

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

// tellHarvested adds the entry that was just consumed to the story of the page
// it names.
func (t *thread) tellHarvested(slot uint32, offset uint64) {
	v, ring := t.v, t.reap.ring
	if slot >= uint32(len(v.slotOf)) || v.slotOf[slot] == 0 {
		return
	}
	v.Host.Tell(v.VM, v.slots[v.slotOf[slot]-1].base+mmu.GFN(offset), kvmcore.StoryEvent{
		At: t.now(), Kind: kvmcore.StoryHarvested, VCPU: -1, A: uint64(ring), B: uint64(v.fetch[ring] - 1),
	})
}

// Began is when the vCPUs were let go, Ended when the final sequence was over or
// the VM was given up for another host's; 0 before.
func (v *VMM) Began() sim.Cycle { return v.started }

// Ended is the other end of Began.
func (v *VMM) Ended() sim.Cycle { return v.ended }

// Live is the number of vCPUs whose guests still have something to do.
func (v *VMM) Live() int { return v.live }
