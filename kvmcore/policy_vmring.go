package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// vmring: one more ring, of the VM, for what is written without a vCPU. When it
// is nearly full somebody has to leave KVM_RUN to have it drained: see Kick. When
// it is full the record is dropped. With kick none it is the RFC to the letter,
// which sets the bitmap's bit beside every entry, and clears it in the reset.
var policyVMRing = Policy{
	Choice: Choice{
		Name:   "vmring",
		Desc:   "a ring for each vCPU and one for the VM, which takes what is written without a vCPU; full, it drops records",
		Source: "P. Xu, KVM dirty ring RFC 04/15, Nov 2019; kick all: S. Christopherson, Oct 2022",
		Params: []Param{
			{"tracking.vm_ring", "auto", "entries of the VM's ring; auto = as many as a vCPU's"},
			{"tracking.kick", "vcpu0", "who leaves KVM_RUN when it is nearly full"},
		},
	},
	Rings: true, VMRing: true, both: true,
	record: (*VM).recordVMRing, full: eitherRingFull,
}

// recordVMRing is Linux's decision, with the VM ring for what it would lose or
// leave to the bitmap.
func (vm *VM) recordVMRing(v *VCPU, s *Slot) record {
	switch what := vm.markPageDirtyInSlot(v, s); what {
	case recordRing:
		if vm.RingWithBitmap {
			return recordRing | recordBitmap
		}
		return recordRing
	case recordBitmap:
		return recordVMRing | recordBitmap
	case recordLost:
		return recordVMRing
	default:
		return what
	}
}

// eitherRingFull: a vCPU that was asked exits for its own ring or for the VM's.
func eitherRingFull(v *VCPU) bool { return v.Ring.SoftFull() || v.VM.VMRing.SoftFull() }

// createVMRing allocates the ring that has no vCPU.
func (vm *VM) createVMRing() Errno {
	entries, reserve := vm.Design.VMRingEntries, vm.Design.Reserve
	if vm.policy == &policyVMRing1 {
		entries, reserve = 1, 0
	}
	// A VM ring smaller than its reserve asks at half its size: the RFC's ring
	// had the size of a vCPU's, and so never was.
	if reserve >= entries {
		reserve = entries / 2
	}
	r, ok := vm.newRing(entries)
	if !ok {
		return ENOMEM
	}
	r.SoftLimit = entries - reserve
	vm.VMRing = r
	return OK
}

// pushVMRing writes an entry of the VM's ring, under its lock, or drops it:
// kvm_dirty_ring_push with lock set. Its causes of loss tell whether there was
// anybody who could have been asked to drain it.
func (t *Thread) pushVMRing(s *Slot, gfn mmu.GFN) {
	vm := t.vm
	r := &vm.VMRing
	if r.Used() >= r.Size {
		cause := LossVMRingFull
		if !vm.anyInside() {
			cause = LossVMRingPaused
		}
		vm.Host.Stats.VMRingDrops++
		t.lose(cause, gfn, t.mark.pages)
		vm.vmRingLock.unlock(t)
		return
	}
	vm.Design.Layout.push(t, r, s, gfn)
	vm.vmRingLock.unlock(t)
	t.tell(StoryPushedVM, gfn, uint64(r.DirtyIndex), 0)
	r.DirtyIndex = r.Next(r.DirtyIndex)
	vm.Host.Stats.VMRingPushes++
	vm.Host.Stats.VMRingOccupancy.Set(t.Core.Now, uint64(r.Used()))
}

// anyInside tells whether any vCPU is in KVM_RUN.
func (vm *VM) anyInside() bool {
	for _, v := range vm.VCPUs {
		if v.inside() {
			return true
		}
	}
	return false
}

// inside tells whether the vCPU is in KVM_RUN: loaded on its thread.
func (v *VCPU) inside() bool { return v.Thread.VCPU == v }

// spinLock is a lock that is held for a few instructions, within one record: its
// holder never blocks, so whoever comes in between only waits.
type spinLock struct {
	word mmu.PA
	last hold

	Acquired, Contended, WaitCycles uint64
}

// lock puts the acquisition at the front of the block.
func (l *spinLock) lock(t *Thread) {
	if l.word == 0 {
		l.word = t.Host.Machine.Alloc.Alloc(0).PA()
	}
	l.Acquired++
	if now := t.Core.Now; l.last.from <= now && now < l.last.until {
		l.Contended++
		l.WaitCycles += uint64(l.last.until - now)
		t.spend(l.last.until-now, CauseLockWait)
	}
	l.last.from = t.Core.Now
	l.last.until = t.Core.Now
	t.Block.Push(mmu.Op{Kind: mmu.OpSwap, Addr: l.word, Size: 4, Val: 1, Flags: mmu.OpAcquire, What: mmu.Lock})
}

// unlock appends the release; released tells when the block has run.
func (l *spinLock) unlock(t *Thread) { t.Block.StoreRelease(l.word, 4, 0) }

func (l *spinLock) released(t *Thread) { l.last.until = t.Core.Now }

func (l *spinLock) sync(c *sim.Codec) {
	sim.Uint(c, &l.word)
	sim.Uint(c, &l.last.from)
	sim.Uint(c, &l.last.until)
	c.U64(&l.Acquired)
	c.U64(&l.Contended)
	c.U64(&l.WaitCycles)
}
