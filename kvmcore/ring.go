package kvmcore

import (
	"math/bits"

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

// Layout of an entry, in bytes.
const (
	entryFlags  = 0 // u32
	entrySlot   = 4 // u32: as_id << 16 | id
	entryOffset = 8 // u64: page of the slot
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
}

// newRing allocates a zeroed ring of bytes for a vCPU: kvm_dirty_ring_alloc. ok
// is false when the host has no memory left (ENOMEM). bytes 0 gives no ring.
func (h *Host) newRing(bytes uint32) (r Ring, ok bool) {
	if bytes == 0 {
		return Ring{}, true
	}
	pfn := h.Machine.Alloc.Alloc(blockOrder(uint64(bytes)))
	if pfn == mmu.NoFrame {
		return Ring{}, false
	}
	entries := bytes / RingEntryBytes
	return Ring{Base: pfn.PA(), Size: entries, SoftLimit: entries - RingReservedEntries}, true
}

// freeRing gives the ring's memory back: kvm_dirty_ring_free.
func (h *Host) freeRing(r *Ring) {
	if r.Size != 0 {
		h.Machine.Alloc.Free(r.Base.PFN(), blockOrder(uint64(r.Size)*RingEntryBytes))
	}
	*r = Ring{}
}

// blockOrder is the order of the allocator's smallest block of that many bytes.
func blockOrder(bytes uint64) uint {
	return uint(bits.Len64((bytes - 1) >> mmu.FrameShift))
}

// overrun books what a push on a full ring destroys: the record in the entry it
// is about to overwrite, unless userspace had emptied that entry.
func (t *Thread) overrun(r *Ring) {
	v, mem := t.VCPU, t.Host.Machine.Mem
	v.Stats.Overruns++
	e := r.EntryPA(r.DirtyIndex)
	if mem.Load(e+entryFlags, 4)&RingFlagMask == 0 {
		return
	}
	id, rel := mem.Load(e+entrySlot, 4), mem.Load(e+entryOffset, 8)
	if s := v.VM.Slots.ByID(uint16(id)); id>>16 == 0 && s != nil && rel < s.Pages {
		t.lose(LossRingOverflow, s.Base+mmu.GFN(rel), 1)
	}
}
