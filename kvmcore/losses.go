package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// LossCause is why the kernel failed to record a page that was written, or
// stopped watching one it had recorded: a closed set.
type LossCause uint8

const (
	LossNoVCPU           LossCause = iota // written without a running vCPU and the slot has no bitmap
	LossRingOverflow                      // a push on a full ring overwrote the oldest record
	LossWrongVM                           // the loaded vCPU belongs to another VM
	LossBlockMapping                      // a block became writable and only one page of it was recorded
	LossStaleBatch                        // a reset batch was dropped as a whole for its first entry
	LossResetInterrupted                  // a reset was interrupted before its batch was re-protected
	LossResetPastDirty                    // a reset consumed an entry that was never pushed
	LossInitiallySet                      // ring with INITIALLY_SET: the page was writable when logging began
	LossGetCopyFault                      // GET cleared bits that it could not copy out
	LossDropped                           // dropped by the test switch kernel.drop_every
	NumLossCauses
)

// Loss is one record that the kernel lost, or could have lost: whether the page
// really changed unseen is for the audit to say.
type Loss struct {
	At    sim.Cycle
	GFN   mmu.GFN
	Pages uint64 // how many pages from GFN on
	VMID  uint16
	VCPU  int32 // index, -1 = none
	Cause LossCause
}
