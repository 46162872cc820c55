package vmm

import (
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

const (
	causeHarvest = kvmcore.CauseHarvest
	causeLock    = kvmcore.CauseHarvest // userspace's lock is part of harvesting
)

// reap is the program that drains rings: kvm_dirty_ring_reap. With the big lock
// held it harvests ring after ring in order and without gaps, then issues one
// KVM_RESET_DIRTY_RINGS, whose result must be the number harvested.
type reap struct {
	pc        reapPC
	ring      int    // the ring being harvested
	last      int    // one past the last
	flag      int    // where in the block's results the next entry's flags are
	took      bool   // something of this ring
	vmRing    bool   // the VM's ring comes behind the last
	steps     int    // blocks of the reset so far
	harvested uint64 // by this reap
}

type reapPC uint8

const (
	reapRing    reapPC = iota // look at the first entry of a ring
	reapEntry                 // the flags of the entry at the fetch index are loaded
	reapPublish               // indexed layouts: userspace's index is stored
	reapReset                 // all rings done
	reapIoctl                 // in KVM_RESET_DIRTY_RINGS
)

// startReap begins to drain rings first to last-1.
func (t *thread) startReap(first, last int) {
	v := t.v
	v.Stats.Reaps++
	// Nobody has a VM ring for himself: whoever drains rings drains that one too.
	t.reap = reap{ring: first, last: last, vmRing: len(v.fetch) > len(v.vcpus) && last <= len(v.vcpus)}
}

// stepReap runs one step: one ring entry, or one block of the reset.
func (t *thread) stepReap() outcome {
	r := &t.reap
	switch r.pc {
	case reapRing:
		if r.ring == r.last {
			if r.vmRing {
				r.vmRing, r.ring, r.last = false, len(t.v.vcpus), len(t.v.fetch)
				return working
			}
			r.pc = reapReset
			return working
		}
		r.took = false
		t.kt.Block.Reset()
		r.flag = t.loadFlags()
		t.kt.Exec(causeHarvest)
		r.pc = reapEntry
	case reapEntry:
		switch {
		case t.available():
			r.took = true
			t.harvestEntry()
		case r.took && t.v.VM.Design.Layout.Indexed:
			r.pc = reapPublish
		default:
			r.ring++
			r.pc = reapRing
		}
	case reapPublish:
		t.publishFetch()
		r.ring++
		r.pc = reapRing
	case reapReset:
		if r.harvested == 0 {
			return finished
		}
		if t.v.Edits != 0 {
			t.v.edit(t)
		}
		if t.v.Mistake != MistakeNone {
			t.v.spoil(t)
		}
		t.kt.StartReset(t.v.VM)
		r.pc = reapIoctl
	case reapIoctl:
		r.steps++
		t.v.interrupt(t)
		if o := t.ioctl(); o != finished {
			return o
		}
		if t.v.resetAgain(t) {
			return working
		}
		t.v.resetDone(t)
		return finished
	}
	return working
}

// loadFlags appends the load-acquire of the flags of the next entry to harvest.
func (t *thread) loadFlags() int {
	v, i := t.v, t.reap.ring
	r := v.VM.Ring(i)
	if v.VM.Design.Layout.Indexed {
		return t.kt.Block.Push(mmu.Op{Kind: mmu.OpLoad, Addr: r.Avail, Size: 4, Flags: mmu.OpAcquire, What: mmu.RingIndex})
	}
	t.kt.Block.What = mmu.RingEntry
	return t.kt.Block.LoadAcquire(r.EntryPA(v.fetch[i]), 4)
}

// available tells by what loadFlags loaded whether there is an entry to harvest.
func (t *thread) available() bool {
	v, r := t.v, &t.reap
	got := t.kt.Block.Out[r.flag]
	switch d := &v.VM.Design; {
	case d.Layout.Indexed:
		return uint32(got) != v.fetch[r.ring]
	case d.Sized:
		return got&kvmcore.RingFlagMask == kvmcore.RingFlagDirty
	}
	return got == kvmcore.RingFlagDirty
}

// publishFetch gives the entries harvested from an indexed ring back.
func (t *thread) publishFetch() {
	v, i := t.v, t.reap.ring
	t.kt.Block.Reset()
	t.kt.Block.What = mmu.RingIndex
	t.kt.Block.StoreRelease(v.VM.Ring(i).Fetch, 4, uint64(v.fetch[i]))
	t.kt.Exec(causeHarvest)
}

// harvestEntry consumes a dirty entry: read slot and offset, give the entry back
// by a store-release of the RESET flag, and look at the next one. The flags were
// loaded with acquire, so the reads see what the kernel pushed.
func (t *thread) harvestEntry() {
	v, r, b := t.v, &t.reap, &t.kt.Block
	design, ring := &v.VM.Design, v.VM.Ring(r.ring)
	pa, flags := ring.EntryPA(v.fetch[r.ring]), b.Out[r.flag]
	b.Reset()
	b.What = mmu.RingEntry
	slot := b.Load(pa+4, 4)
	offset := b.Load(pa+8, 8)
	size := -1
	if design.Sized && design.Layout.Indexed {
		size = b.Load(pa, 4)
	}
	b.Delay(uint64(v.Costs.Entry))
	if !design.Layout.Indexed {
		b.StoreRelease(pa, 4, flags&^kvmcore.RingFlagMask|kvmcore.RingFlagReset)
	}
	v.fetch[r.ring] = ring.Next(v.fetch[r.ring])
	r.flag = t.loadFlags()
	t.kt.Exec(causeHarvest)

	r.harvested++
	v.Stats.Harvested++
	v.harvested[r.ring]++
	order := uint64(0)
	switch {
	case size >= 0:
		order = b.Out[size]
	case design.Sized:
		order = flags >> kvmcore.RingOrderShift
	}
	v.stage(uint32(b.Out[slot]), b.Out[offset], 1<<min(order, maxOrder))
	if v.Host.Story != nil {
		t.tellHarvested(uint32(b.Out[slot]), b.Out[offset])
	}
}

// maxOrder bounds the pages of an entry: 1 GiB of 4 KiB pages.
const maxOrder = 18

// stage notes the pages of an entry in the staging bitmap of their slot. As QEMU does it ignores
// a slot that userspace does not know and an offset past the slot's end.
// kvm_dirty_ring_mark_page.
func (v *VMM) stage(slot uint32, offset, pages uint64) {
	if slot >= uint32(len(v.slotOf)) || v.slotOf[slot] == 0 {
		v.Stats.UnknownEntries++
		return
	}
	s := &v.slots[v.slotOf[slot]-1]
	if offset >= s.pages {
		v.Stats.UnknownEntries++
		return
	}
	for end := offset + min(pages, s.pages-offset); offset < end; offset++ {
		s.staged.add(offset)
	}
}

// resetDone checks the result of a reset against what this thread harvested
// while it held the big lock, and wakes vCPUs that waited for room.
func (v *VMM) resetDone(t *thread) {
	v.Stats.Resets++
	if n := t.kt.Ret; t.kt.Err != kvmcore.OK || uint64(n) != t.reap.harvested {
		v.find(Finding{At: t.now(), Kind: FindingResetCount, A: t.reap.harvested, B: uint64(max(n, 0))})
	}
	if v.Policy.OnFull != FullWait {
		return
	}
	for i := range v.vcpus {
		if c := &v.vcpus[i]; c.state == vcpuFull && !c.vcpu.RingFull() {
			c.state = vcpuEnter
			c.schedule(max(c.now(), t.now()))
		}
	}
}

func (r *reap) sync(c *sim.Codec, rings int) {
	sim.Uint(c, &r.pc)
	c.Int(&r.ring)
	c.Int(&r.last)
	c.Int(&r.flag)
	c.Bool(&r.took)
	c.Bool(&r.vmRing)
	c.Int(&r.steps)
	c.U64(&r.harvested)
	if r.pc > reapIoctl || r.ring < 0 || r.last > rings || r.ring > r.last || r.flag < 0 || r.flag >= mmu.BlockOps {
		c.Fail(errNowhere)
		*r = reap{}
	}
}
