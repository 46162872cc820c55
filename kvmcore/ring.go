package kvmcore

import (
	"fmt"
	"math"
	"math/bits"

	"ringmap/cpu/cache"
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

	RingOrderShift = 8 // sized entries: log2 of their pages, above the flags
)

// Layout of an entry, in bytes.
const (
	entryFlags  = 0 // u32
	entrySize   = 0 // u32: in indexed layouts log2 of the pages, in place of flags
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
	Size       uint32 // entries, a power of two unless the design says any; 0 = no ring
	SoftLimit  uint32 // entries: at this many used the vCPU exits
	DirtyIndex uint32 // free running: next entry to push
	ResetIndex uint32 // free running: next entry to reset

	Wrap         uint32 // indices start over here, a multiple of Size; 0 = at 2^32, as powers of two can
	Avail, Fetch mmu.PA // indexed layouts: the words of kernel and userspace
}

// EntryPA returns the address of the entry that free-running index i falls on.
func (r *Ring) EntryPA(i uint32) mmu.PA {
	if r.Wrap != 0 {
		return r.Base + mmu.PA(i%r.Size)*RingEntryBytes
	}
	return r.Base + mmu.PA(i&(r.Size-1))*RingEntryBytes
}

// Next is the free-running index behind i.
func (r *Ring) Next(i uint32) uint32 {
	if i++; i == r.Wrap {
		return 0
	}
	return i
}

// Used is how many entries are pushed and not reset yet: kvm_dirty_ring_used.
func (r *Ring) Used() uint32 {
	if r.Wrap != 0 && r.DirtyIndex < r.ResetIndex {
		return r.DirtyIndex - r.ResetIndex + r.Wrap
	}
	return r.DirtyIndex - r.ResetIndex
}

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
	c.U32(&r.Wrap)
	sim.Uint(c, &r.Avail)
	sim.Uint(c, &r.Fetch)
	if r.Size == 0 && r.Base != 0 || r.Wrap != 0 && r.Wrap%r.Size != 0 {
		c.Fail(fmt.Errorf("kvmcore: impossible ring of %d entries", r.Size))
		*r = Ring{}
	}
}

// newRing allocates a zeroed ring for a vCPU: kvm_dirty_ring_alloc. ok is false
// when the host has no memory left (ENOMEM). 0 entries give no ring.
func (vm *VM) newRing(entries uint32) (r Ring, ok bool) {
	h, d := vm.Host, &vm.Design
	if entries == 0 {
		return Ring{}, true
	}
	pfn := h.Machine.Alloc.Alloc(blockOrder(uint64(entries) * RingEntryBytes))
	if pfn == mmu.NoFrame {
		return Ring{}, false
	}
	r = Ring{Base: pfn.PA(), Size: entries, SoftLimit: entries - min(d.Reserve, entries)}
	if entries&(entries-1) != 0 {
		r.Wrap = math.MaxUint32 / entries * entries
	}
	if d.Layout.Indexed {
		words := h.Machine.Alloc.Alloc(0)
		if words == mmu.NoFrame {
			h.freeRing(&r)
			return Ring{}, false
		}
		r.Avail, r.Fetch = words.PA(), words.PA()+d.Layout.Apart
	}
	return r, true
}

// freeRing gives the ring's memory back: kvm_dirty_ring_free.
func (h *Host) freeRing(r *Ring) {
	if r.Size != 0 {
		h.Machine.Alloc.Free(r.Base.PFN(), blockOrder(uint64(r.Size)*RingEntryBytes))
	}
	if r.Avail != 0 {
		h.Machine.Alloc.Free(r.Avail.PFN(), 0)
	}
	*r = Ring{}
}

// ResizeRing gives the vCPU a ring of another size without destroying it, for
// which Linux has no ioctl. EINVAL without a ring or for a size that could not
// have been enabled, EBUSY while the vCPU is in KVM_RUN, the ring holds entries,
// or rings are being reset; ENOMEM.
func (v *VCPU) ResizeRing(t *Thread, entries uint32) Errno {
	vm := v.VM
	t.spend(sim.Cycle(t.Host.Profile.Ioctl), CauseReset)
	if v.Ring.Size == 0 {
		return EINVAL
	}
	if e := vm.checkRingSize(entries * RingEntryBytes); e != OK {
		return e
	}
	if v.inside() || v.Ring.Used() != 0 || vm.SlotsLock.writer != 0 {
		return EBUSY
	}
	r, ok := vm.newRing(entries)
	if !ok {
		return ENOMEM
	}
	t.spend(sim.Cycle(uint64(entries)*RingEntryBytes/8*t.Host.Profile.CopyWord), CauseReset) // zeroed
	vm.Host.freeRing(&v.Ring)
	v.Ring = r
	v.Stats.Resizes++
	return OK
}

// blockOrder is the order of the allocator's smallest block of that many bytes.
func blockOrder(bytes uint64) uint {
	return uint(bits.Len64((bytes - 1) >> mmu.FrameShift))
}

// ringStructs is where each struct kvm_dirty_ring lies for the caches, below the
// machine's memory: their contents are the model's.
const ringStructs mmu.PA = 1 << 28

// touchIndex is the update of a ring's dirty_index or reset_index, which are in one
// line. Only caches see it.
func (t *Thread) touchIndex(r *Ring) {
	if t.caches {
		t.touchRing(r)
	}
}

func (t *Thread) touchRing(r *Ring) {
	line := mmu.PA(r.Base.PFN() % (1 << 22)) // no two rings of a machine up to 16 GiB
	t.Block.Touch(ringStructs+line<<cache.LineShift, mmu.RingIndex)
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
