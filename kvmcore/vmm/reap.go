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
	harvested uint64 // by this reap
}

type reapPC uint8

const (
	reapRing  reapPC = iota // look at the first entry of a ring
	reapEntry               // the flags of the entry at the fetch index are loaded
	reapReset               // all rings done
	reapIoctl               // in KVM_RESET_DIRTY_RINGS
)

// startReap begins to drain rings first to last-1.
func (t *thread) startReap(first, last int) {
	t.v.Stats.Reaps++
	t.reap = reap{ring: first, last: last}
}

// stepReap runs one step: one ring entry, or one block of the reset.
func (t *thread) stepReap() outcome {
	r := &t.reap
	switch r.pc {
	case reapRing:
		if r.ring == r.last {
			r.pc = reapReset
			return working
		}
		t.kt.Block.Reset()
		r.flag = t.loadFlags()
		t.kt.Exec(causeHarvest)
		r.pc = reapEntry
	case reapEntry:
		if t.kt.Block.Out[r.flag] != kvmcore.RingFlagDirty {
			r.ring++
			r.pc = reapRing
			return working
		}
		t.harvestEntry()
	case reapReset:
		if r.harvested == 0 {
			return finished
		}
		t.kt.StartReset(t.v.VM)
		r.pc = reapIoctl
	case reapIoctl:
		if o := t.ioctl(); o != finished {
			return o
		}
		t.v.resetDone(t)
		return finished
	}
	return working
}

// loadFlags appends the load-acquire of the flags of the next entry to harvest.
func (t *thread) loadFlags() int {
	v, i := t.v, t.reap.ring
	return t.kt.Block.LoadAcquire(v.VM.VCPUs[i].Ring.EntryPA(v.fetch[i]), 4)
}

// harvestEntry consumes a dirty entry: read slot and offset, give the entry back
// by a store-release of the RESET flag, and look at the next one. The flags were
// loaded with acquire, so the reads see what the kernel pushed.
func (t *thread) harvestEntry() {
	v, r, b := t.v, &t.reap, &t.kt.Block
	pa := v.VM.VCPUs[r.ring].Ring.EntryPA(v.fetch[r.ring])
	b.Reset()
	slot := b.Load(pa+4, 4)
	offset := b.Load(pa+8, 8)
	b.Delay(uint64(v.Costs.Entry))
	b.StoreRelease(pa, 4, kvmcore.RingFlagReset)
	v.fetch[r.ring]++
	r.flag = t.loadFlags()
	t.kt.Exec(causeHarvest)

	r.harvested++
	v.Stats.Harvested++
	v.harvested[r.ring]++
	v.stage(uint32(b.Out[slot]), b.Out[offset])
	if v.Host.Story != nil {
		t.tellHarvested(uint32(b.Out[slot]), b.Out[offset])
	}
}

// stage notes a page in the staging bitmap of its slot. As QEMU does it ignores
// a slot that userspace does not know and an offset past the slot's end.
// kvm_dirty_ring_mark_page.
func (v *VMM) stage(slot uint32, offset uint64) {
	if slot >= uint32(len(v.slotOf)) || v.slotOf[slot] == 0 {
		v.Stats.UnknownEntries++
		return
	}
	s := &v.slots[v.slotOf[slot]-1]
	if offset >= s.pages {
		v.Stats.UnknownEntries++
		return
	}
	s.staged.add(offset)
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
		if c := &v.vcpus[i]; c.state == vcpuFull && !c.vcpu.Ring.SoftFull() {
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
	c.U64(&r.harvested)
	if r.pc > reapIoctl || r.ring < 0 || r.last > rings || r.ring > r.last || r.flag < 0 || r.flag >= mmu.BlockOps {
		c.Fail(errNowhere)
		*r = reap{}
	}
}
