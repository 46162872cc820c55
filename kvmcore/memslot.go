package kvmcore

import (
	"sort"

	"ringmap/mmu"
)

// Region is the argument of KVM_SET_USER_MEMORY_REGION.
type Region struct {
	Slot  uint32 // address space << 16 | id
	Flags uint32 // SlotLogDirty | SlotReadonly
	GPA   mmu.IPA
	Size  uint64 // bytes, 0 = delete
	HVA   mmu.HVA
}

// slotChange is what a region request does: enum kvm_mr_change.
type slotChange uint8

const (
	slotSame slotChange = iota // identical: returns 0 without any effect
	slotCreate
	slotDelete
	slotMove
	slotFlagsOnly
)

// SetUserMemoryRegion is KVM_SET_USER_MEMORY_REGION, without time.
func (vm *VM) SetUserMemoryRegion(r Region) Errno {
	t := vm.Host.kernelThread()
	if e := t.StartSetMemoryRegion(vm, r); e != OK {
		return e
	}
	t.Finish()
	return OK
}

// StartSetMemoryRegion begins KVM_SET_USER_MEMORY_REGION: the checks and the
// change of the slot, with its removal from stage 2, happen at once and take no
// time; write-protecting a slot whose logging is turned on is left to the
// thread's steps.
func (t *Thread) StartSetMemoryRegion(vm *VM, r Region) Errno {
	change, e := vm.checkRegion(r)
	var s *Slot
	if e == OK {
		s, e = vm.applyRegion(change, r)
	}
	t.Ret, t.Err = result(e)
	if s != nil && s.Flags&SlotLogDirty != 0 {
		t.StartEnableLogging(vm, s)
	}
	return e
}

// checkRegion is the order of checks of kvm_vm_ioctl, check_memory_region_flags,
// kvm_set_memory_region and kvm_arch_prepare_memory_region.
func (vm *VM) checkRegion(r Region) (slotChange, Errno) {
	page := vm.Host.Page.Size()
	flags := SlotFlags(r.Flags)
	id, as := uint16(r.Slot), r.Slot>>16
	switch {
	case id >= UserMemSlots:
		return 0, EINVAL
	case flags&^(SlotLogDirty|SlotReadonly) != 0: // GUEST_MEMFD needs the second ioctl
		return 0, EINVAL
	case (uint64(r.GPA)|r.Size)&(page-1) != 0:
		return 0, EINVAL
	case uint64(r.HVA)&(page-1) != 0 || !userRange(r.HVA, r.Size):
		return 0, EINVAL
	case as != 0:
		return 0, EINVAL
	case uint64(r.GPA)+r.Size < uint64(r.GPA):
		return 0, EINVAL
	case r.Size>>vm.Host.Page.Shift() > MaxSlotPages:
		return 0, EINVAL
	}

	if flags&SlotLogDirty != 0 && vm.Design.Detect == DetectEnable && vm.doomed() {
		return 0, EINVAL
	}

	old := vm.Slots.ByID(id)
	if r.Size == 0 {
		if old == nil {
			return 0, EINVAL
		}
		return slotDelete, OK
	}
	change := slotCreate
	base, pages := vm.Host.Page.GFN(r.GPA), r.Size>>vm.Host.Page.Shift()
	if old != nil {
		switch {
		case old.HVA != r.HVA || old.Pages != pages || (old.Flags^flags)&SlotReadonly != 0:
			return 0, EINVAL
		case old.Base != base:
			change = slotMove
		case old.Flags != flags:
			change = slotFlagsOnly
		default:
			return slotSame, OK
		}
	}
	if change != slotFlagsOnly && vm.Slots.overlaps(base, pages, old) {
		return 0, EEXIST
	}
	if change != slotFlagsOnly && uint64(r.GPA)+r.Size > 1<<vm.Stage2.IPABits {
		return 0, EFAULT
	}
	return change, OK
}

// applyRegion puts the change into effect and returns the slot that was changed,
// nil when none was or it was deleted. ENOMEM when its bitmap finds no memory:
// then everything is as it was.
func (vm *VM) applyRegion(change slotChange, r Region) (*Slot, Errno) {
	page := vm.Host.Page
	s := vm.Slots.ByID(uint16(r.Slot))
	switch change {
	case slotSame:
		return nil, OK
	case slotDelete:
		vm.unmap(s.Base, s.Pages)
		vm.Slots.remove(s)
		vm.Host.freeBitmap(&s.Bitmap)
		return nil, OK
	case slotCreate:
		s = &Slot{ID: uint16(r.Slot), Base: page.GFN(r.GPA), Pages: r.Size >> page.Shift(), HVA: r.HVA}
	}
	old := s.Flags
	s.Flags = SlotFlags(r.Flags)
	if e := vm.fitBitmap(s); e != OK {
		s.Flags = old
		return nil, e
	}
	switch change {
	case slotCreate:
		vm.Slots.insert(s)
	case slotMove: // kvm_arch_flush_shadow_memslot: all of it faults in again
		vm.unmap(s.Base, s.Pages)
		vm.Slots.remove(s)
		s.Base = page.GFN(r.GPA)
		vm.Slots.insert(s)
	}
	return s, OK
}

// fitBitmap gives a slot the bitmap that its flags ask for, and takes an old one
// away: kvm_prepare_memory_region and kvm_commit_memory_region.
func (vm *VM) fitBitmap(s *Slot) Errno {
	if s.Flags&SlotLogDirty == 0 {
		vm.Host.freeBitmap(&s.Bitmap)
		return OK
	}
	if s.Bitmap.Exists() || !vm.UseBitmap() {
		return OK
	}
	b, ok := vm.Host.newBitmap(s.Pages)
	if !ok {
		return ENOMEM
	}
	s.Bitmap = b
	if vm.InitiallySet() {
		s.Bitmap.setAll(vm.Host.Machine.Mem)
	}
	return OK
}

// InitiallySet is kvm_dirty_log_manual_protect_and_init_set.
func (vm *VM) InitiallySet() bool { return vm.ManualProtect&ManualInitialSet != 0 }

// checkGetDirtyLog is the order of checks of kvm_get_dirty_log_protect.
func (vm *VM) checkGetDirtyLog(slot uint32) (*Slot, Errno) {
	switch {
	case !vm.UseBitmap():
		return nil, ENXIO
	case slot>>16 != 0 || uint16(slot) >= UserMemSlots:
		return nil, EINVAL
	}
	s := vm.Slots.ByID(uint16(slot))
	if s == nil || !s.Bitmap.Exists() {
		return nil, ENOENT
	}
	return s, OK
}

// checkClearDirtyLog is the order of checks of kvm_clear_dirty_log_protect.
func (vm *VM) checkClearDirtyLog(slot uint32, first uint64, num uint32) (*Slot, Errno) {
	switch {
	case !vm.UseBitmap():
		return nil, ENXIO
	case slot>>16 != 0 || uint16(slot) >= UserMemSlots:
		return nil, EINVAL
	case first&63 != 0:
		return nil, EINVAL
	}
	s := vm.Slots.ByID(uint16(slot))
	if s == nil || !s.Bitmap.Exists() {
		return nil, ENOENT
	}
	n := uint64(num)
	if first > s.Pages || n > s.Pages-first || n < s.Pages-first && n&63 != 0 {
		return nil, EINVAL
	}
	return s, OK
}

// Contains tells whether the guest frame lies in the slot.
func (s *Slot) Contains(gfn mmu.GFN) bool { return gfn-s.Base < mmu.GFN(s.Pages) }

// End is the first guest frame behind the slot.
func (s *Slot) End() mmu.GFN { return s.Base + mmu.GFN(s.Pages) }

// HVAOf is the host address of a guest frame of the slot.
func (s *Slot) HVAOf(gfn mmu.GFN, page mmu.Granule) mmu.HVA {
	return s.HVA + mmu.HVA(gfn-s.Base)<<page.Shift()
}

// FitsBlock tells whether the guest frame may be mapped by a block of size
// bytes: host and guest address are congruent and the block lies inside the
// slot. fault_supports_stage2_huge_mapping.
func (s *Slot) FitsBlock(gfn mmu.GFN, page mmu.Granule, size uint64) bool {
	gpa, hva := uint64(page.IPA(s.Base)), uint64(s.HVA)
	if (gpa^hva)&(size-1) != 0 {
		return false
	}
	start := uint64(s.HVAOf(gfn, page)) &^ (size - 1)
	return start >= hva && start+size <= hva+s.Pages<<page.Shift()
}

// SlotTable holds a VM's memslots: by id, by guest frame, in deterministic order.
type SlotTable struct {
	byGFN []*Slot // ascending Base, no overlap
	byID  []*Slot // ascending ID
	last  int     // index in byGFN of the slot found last
}

// Len is the number of slots.
func (t *SlotTable) Len() int { return len(t.byID) }

// All returns the slots in the order of their guest frames. Read only.
func (t *SlotTable) All() []*Slot { return t.byGFN }

// ByID finds a slot by its id, nil if there is none: id_to_memslot.
func (t *SlotTable) ByID(id uint16) *Slot {
	if i := t.idIndex(id); i < len(t.byID) && t.byID[i].ID == id {
		return t.byID[i]
	}
	return nil
}

// ByGFN finds the slot that holds the guest frame, nil if none does: gfn_to_memslot.
func (t *SlotTable) ByGFN(gfn mmu.GFN) *Slot {
	if t.last < len(t.byGFN) && t.byGFN[t.last].Contains(gfn) {
		return t.byGFN[t.last]
	}
	i := sort.Search(len(t.byGFN), func(i int) bool { return t.byGFN[i].End() > gfn })
	if i == len(t.byGFN) || t.byGFN[i].Base > gfn {
		return nil
	}
	t.last = i
	return t.byGFN[i]
}

// overlaps tells whether a slot other than except shares a frame with the range.
func (t *SlotTable) overlaps(base mmu.GFN, pages uint64, except *Slot) bool {
	end := base + mmu.GFN(pages)
	i := sort.Search(len(t.byGFN), func(i int) bool { return t.byGFN[i].End() > base })
	for ; i < len(t.byGFN) && t.byGFN[i].Base < end; i++ {
		if t.byGFN[i] != except {
			return true
		}
	}
	return false
}

func (t *SlotTable) insert(s *Slot) {
	t.byID = insertSlot(t.byID, t.idIndex(s.ID), s)
	t.byGFN = insertSlot(t.byGFN, t.gfnIndex(s.Base), s)
}

func (t *SlotTable) remove(s *Slot) {
	i, g := t.idIndex(s.ID), t.gfnIndex(s.Base)
	t.byID = append(t.byID[:i], t.byID[i+1:]...)
	t.byGFN = append(t.byGFN[:g], t.byGFN[g+1:]...)
}

func (t *SlotTable) idIndex(id uint16) int {
	return sort.Search(len(t.byID), func(i int) bool { return t.byID[i].ID >= id })
}

func (t *SlotTable) gfnIndex(base mmu.GFN) int {
	return sort.Search(len(t.byGFN), func(i int) bool { return t.byGFN[i].Base >= base })
}

func insertSlot(list []*Slot, i int, s *Slot) []*Slot {
	list = append(list, nil)
	copy(list[i+1:], list[i:])
	list[i] = s
	return list
}
