package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// PVTimeOff is the stolen-time address of a vCPU that has none (INVALID_GPA).
const PVTimeOff = ^mmu.IPA(0)

// PVTime is a vCPU's stolen-time record (Arm DEN 0057): a structure of 64 bytes
// at IPA whose 8-byte counter at offset 8 the kernel advances.
type PVTime struct {
	IPA    mmu.IPA // PVTimeOff = none
	Stolen uint64  // nanoseconds in which the thread was runnable and did not run
	last   uint64  // Stolen at the last update (last_steal)
}

// Layout of struct pvclock_vcpu_stolen_time.
const (
	pvtimeAlign  = 64
	pvtimeStolen = 8 // u64
)

// SetPVTime is KVM_ARM_VCPU_PVTIME_IPA of the vCPU's device attributes: EINVAL
// for an address not aligned to 64 or without a slot, EEXIST when set before.
func (v *VCPU) SetPVTime(ipa mmu.IPA) Errno {
	switch {
	case ipa%pvtimeAlign != 0:
		return EINVAL
	case v.PVTime.IPA != PVTimeOff:
		return EEXIST
	}
	if s := v.VM.Slots.ByGFN(v.VM.Host.Page.GFN(ipa)); s == nil || s.Flags&SlotReadonly != 0 {
		return EINVAL
	}
	v.PVTime.IPA = ipa
	return OK
}

// stealPath is kvm_update_stolen_time: a read and a write of the counter through
// the process's memory. No stage-2 fault is involved, so no protection stops it:
// every update is recorded, one at each KVM_RUN.
type stealPath struct {
	counter mmu.PA
	gfn     mmu.GFN
	ref     slotRef
}

// Steps of stealPath.
const (
	stealLoad uint8 = iota
	stealStore
	stealMark
	stealDone
)

func (t *Thread) stepSteal(f *frame) {
	p, vm, v := &t.steal, t.vm, t.VCPU
	switch f.pc {
	case stealLoad:
		ipa := v.PVTime.IPA + pvtimeStolen
		s := vm.Slots.ByGFN(t.Host.Page.GFN(ipa))
		if s == nil || s.Flags&SlotReadonly != 0 { // kvm_get_guest fails: nothing is written
			t.ret()
			return
		}
		pa, e := vm.hostPA(s, ipa, true)
		if e != OK {
			t.ret()
			return
		}
		p.counter, p.gfn = pa, t.Host.Page.GFN(ipa)
		p.ref.set(s)
		t.Block.Delay(t.Host.Profile.Steal)
		t.Block.What = mmu.StealRecord
		t.Block.Load(pa, 8)
		f.pc = stealStore
	case stealStore:
		old := t.Block.Out[t.ran-1]
		t.Block.What = mmu.StealRecord
		t.Block.Store(p.counter, 8, old+v.PVTime.Stolen-v.PVTime.last)
		v.PVTime.last = v.PVTime.Stolen
		v.Stats.StealUpdates++
		t.tell(StoryKernelWrite, p.gfn, 8, 0)
		f.pc = stealMark
	case stealMark:
		f.pc = stealDone
		t.markDirty(vm.slot(&p.ref), p.gfn)
	case stealDone:
		t.ret()
	}
}

// Sync saves, restores or hashes the record.
func (p *PVTime) Sync(c *sim.Codec) {
	sim.Uint(c, &p.IPA)
	c.U64(&p.Stolen)
	c.U64(&p.last)
}

func (p *stealPath) sync(c *sim.Codec) {
	sim.Uint(c, &p.counter)
	sim.Uint(c, &p.gfn)
	p.ref.sync(c)
}
