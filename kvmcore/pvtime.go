package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// PVTimeOff is the stolen-time address of a vCPU that has none (INVALID_GPA).
const PVTimeOff = ^mmu.IPA(0)

// PVTime is a vCPU's stolen-time record (Arm DEN 0057): 64 bytes at IPA of
// which kvm_update_stolen_time rewrites the 8-byte counter at offset 8.
type PVTime struct {
	IPA    mmu.IPA // PVTimeOff = none
	Stolen uint64  // nanoseconds the vCPU was runnable and did not run
	last   uint64  // Stolen at the last update (last_steal)
}

// SetPVTime is KVM_ARM_VCPU_PVTIME_IPA of the vCPU device attributes: EINVAL
// for an address not aligned to 64 or without a slot, EEXIST when set before.
func (v *VCPU) SetPVTime(ipa mmu.IPA) Errno { return 0 }

// Sync saves, restores or hashes the record.
func (p *PVTime) Sync(c *sim.Codec) {
	sim.Uint(c, &p.IPA)
	c.U64(&p.Stolen)
	c.U64(&p.last)
}
