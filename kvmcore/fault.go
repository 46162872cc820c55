package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// faultPath is a stage-2 abort of the guest: kvm_handle_guest_abort, then
// user_mem_abort for memory or io_mem_abort for everything else.
//
//	slot? ─no, or a write to READONLY─► vGIC frames, else an MMIO exit
//	  └─► host page ─► mmu_lock ─► relax or map ─► unlock ─► mark if writable
//
// Whatever it comes to, the guest retries its instruction (after MMIO: goes on
// behind it).
type faultPath struct {
	ipa    mmu.IPA // the address that failed
	access mmu.Access
	perm   bool // permission fault; otherwise translation
	level  int8 // at which the walk failed

	size  uint8  // MMIO: bytes of the access
	value uint64 // MMIO: what it stores

	ref      slotRef
	logging  bool
	host     HostPage
	bytes    uint64  // size of the mapping
	gfn      mmu.GFN // to record
	writable bool

	relaxes bool // relax permissions of the leaf there is, rather than map
	relax   mmu.RelaxProgram
	mapping mmu.MapProgram
	result  mmu.EditResult
}

// Steps of faultPath.
const (
	faultTrap uint8 = iota
	faultSlot
	faultHostPage
	faultLocked
	faultEdit
	faultDone
	faultReturn
)

// startFault opens the path for a fault of access a. The kernel has not run yet.
func (t *Thread) startFault(a *GuestAccess, access mmu.Access, value uint64, fault mmu.Fault) {
	p := &t.fault
	*p = faultPath{}
	p.ipa, p.access, p.size, p.value = fault.IPA, access, a.Size, value
	p.perm, p.level = fault.Kind == mmu.FaultPermission, fault.Level
	t.push(pathFault, CauseFault)
}

func (t *Thread) stepFault(f *frame) {
	p, vm, prof := &t.fault, t.vm, t.Host.Profile
	switch f.pc {
	case faultTrap:
		t.VCPU.countFault(p)
		t.tell(StoryFault, t.Host.Page.GFN(p.ipa), uint64(p.access), boolBit(p.perm))
		t.Block.Delay(prof.Exit + prof.Abort)
		f.pc = faultSlot
	case faultSlot:
		s := vm.Slots.ByGFN(t.Host.Page.GFN(p.ipa))
		if s == nil || p.access == mmu.AccessWrite && s.Flags&SlotReadonly != 0 {
			t.ioAbort()
			return
		}
		p.ref.set(s)
		p.logging = vm.logging(s)
		t.Block.Delay(prof.HostPage)
		f.pc = faultHostPage
	case faultHostPage:
		if !t.hostPage() {
			t.ret() // EFAULT has ended KVM_RUN, or the MMU notifier asks for a retry
			return
		}
		vm.MMULock.acquire(t, vm.sharedFaults())
		f.pc = faultLocked
	case faultLocked:
		if !t.stillValid() {
			p.result = mmu.EditAgain
			f.pc = faultDone
			return
		}
		t.chooseMapping(vm.slot(&p.ref))
		f.pc = faultEdit
		fallthrough
	case faultEdit:
		if t.edit() {
			return
		}
		f.pc = faultDone
	case faultDone:
		vm.MMULock.release(t, vm.sharedFaults())
		f.pc = faultReturn
		t.faultResult()
	case faultReturn:
		t.ret()
	}
}

// logging is memslot_is_logging, which takes a slot for logged if it owns a
// bitmap. A ring without bitmaps so maps blocks writable as if nobody watched:
// the hazard ring.block_mapping. Repaired, it asks for the flag.
func (vm *VM) logging(s *Slot) bool {
	if s.Flags&SlotReadonly != 0 {
		return false
	}
	if vm.Host.Kernel.Hazards[HazardBlockMapping] {
		return s.Bitmap.Exists()
	}
	return s.Flags&SlotLogDirty != 0
}

// sharedFaults tells whether faults take mmu_lock for read.
func (vm *VM) sharedFaults() bool { return vm.Host.Kernel.sharesFaults() }

// hostPage asks the process for the page: __kvm_faultin_pfn. False means that
// the fault is over.
func (t *Thread) hostPage() bool {
	p, vm := &t.fault, t.vm
	s := vm.slot(&p.ref)
	if s == nil {
		return false
	}
	page := t.Host.Page
	var e Errno
	p.host, e = t.Host.Memory.Fault(s.HVAOf(page.GFN(p.ipa), page), p.access == mmu.AccessWrite)
	if e != OK {
		t.run.fail(e)
		return false
	}
	// The shared zero page was replaced: the notifier has unmapped it and changed
	// mmu_invalidate_seq, so the fault is taken again.
	return !p.host.Replaced
}

// stillValid tells whether slot and host page are what they were before the wait
// for mmu_lock: mmu_invalidate_retry.
func (t *Thread) stillValid() bool {
	p, vm, page := &t.fault, t.vm, t.Host.Page
	s := vm.slot(&p.ref)
	if s == nil || vm.logging(s) != p.logging {
		return false
	}
	now, e := t.Host.Memory.Fault(s.HVAOf(page.GFN(p.ipa), page), p.access == mmu.AccessWrite)
	return e == OK && now == p.host
}

// chooseMapping decides size, permission and recorded page as user_mem_abort does.
func (t *Thread) chooseMapping(s *Slot) {
	p, vm, page := &t.fault, t.vm, t.Host.Page
	gfn := page.GFN(p.ipa)
	p.bytes = page.Size()
	if !p.logging || vm.Design.LogBlock {
		p.bytes = vm.mappingSize(s, gfn, p.host.Block)
	}
	p.writable = p.host.Writable && s.Flags&SlotReadonly == 0 && (p.access == mmu.AccessWrite || !p.logging)

	first := page.GFN(p.ipa &^ mmu.IPA(p.bytes-1))
	p.gfn = first
	if t.Host.Kernel.Version < 700 && !vm.Design.LogBlock && t.Host.Memory.find(s.HVAOf(gfn, page)).backing == BackingTHP {
		p.gfn = gfn // transparent_hugepage_adjust moved the mapping, not the gfn
	}

	prot := mmu.ProtRead | mmu.ProtExec // instruction caches are coherent: FEAT_DIC
	if p.writable {
		prot |= mmu.ProtWrite
	}
	ipa := page.IPA(first)
	p.relaxes = p.perm && uint64(1)<<vm.Stage2.Shift(p.level) == p.bytes
	if p.relaxes {
		tlbi := uint8(0)
		if t.Host.Kernel.broadcastsRelax() {
			tlbi = mmu.OpBroadcast
		}
		p.relax = vm.Stage2.Relax(ipa, prot, vm.sharedFaults(), tlbi)
		return
	}
	level, _ := vm.Stage2.Level(p.bytes)
	pa := p.host.PFN.PA() &^ mmu.PA(p.bytes-1)
	p.mapping = vm.Stage2.Map(ipa, pa, level, prot, vm.sharedFaults())
}

// mappingSize is the largest mapping that host memory in blocks of that many
// bytes allows around gfn: fault_supports_stage2_huge_mapping.
func (vm *VM) mappingSize(s *Slot, gfn mmu.GFN, block uint64) uint64 {
	page, g := vm.Host.Page, &vm.Stage2.Geometry
	for level := g.Start; level < 3; level++ {
		if size := uint64(1) << g.Shift(level); g.Block(level) && size <= block && s.FitsBlock(gfn, page, size) {
			return size
		}
	}
	return page.Size()
}

// MapAll maps every slot's memory in stage 2, writable and in the largest blocks
// that fit, as for a guest that has touched all of it; it takes no time. ENOMEM
// when the host has no memory left.
func (vm *VM) MapAll() Errno {
	h, b := vm.Host, mmu.Block{}
	for _, s := range vm.Slots.All() {
		for gfn := s.Base; gfn < s.End(); {
			host, e := h.Memory.Fault(s.HVAOf(gfn, h.Page), true)
			if e != OK {
				return e
			}
			bytes := vm.mappingSize(s, gfn, host.Block)
			ipa := h.Page.IPA(gfn) &^ mmu.IPA(bytes-1)
			level, _ := vm.Stage2.Level(bytes)
			prot := mmu.ProtRead | mmu.ProtExec
			if s.Flags&SlotReadonly == 0 {
				prot |= mmu.ProtWrite
			}
			p := vm.Stage2.Map(ipa, host.PFN.PA()&^mmu.PA(bytes-1), level, prot, false)
			mmu.RunNow(h.Machine.Mem, h.Machine.Domain, &b, &p)
			if p.Result == mmu.EditNoMemory {
				return ENOMEM
			}
			gfn = h.Page.GFN(ipa) + mmu.GFN(bytes>>h.Page.Shift())
		}
	}
	return OK
}

// edit lets the program that changes the tables put its next block together.
func (t *Thread) edit() bool {
	p := &t.fault
	if p.relaxes {
		if p.relax.Next(&t.Block) {
			return true
		}
		p.result = p.relax.Result
		return false
	}
	if p.mapping.Next(&t.Block) {
		return true
	}
	p.result = p.mapping.Result
	if p.mapping.Broke != 0 && p.bytes == t.Host.Page.Size() {
		t.VCPU.Stats.Splits++
	}
	return false
}

// faultResult follows the edit: what is writable now counts as written. The
// store itself comes later, when the guest retries.
func (t *Thread) faultResult() {
	p, vm := &t.fault, t.vm
	s := vm.slot(&p.ref)
	switch {
	case p.result == mmu.EditNoMemory:
		t.run.fail(ENOMEM)
		return
	case p.result != mmu.EditDone || s == nil:
		t.VCPU.Stats.FaultsRetried++
		return
	}
	page := t.Host.Page
	first, n := page.GFN(p.ipa&^mmu.IPA(p.bytes-1)), p.bytes>>page.Shift()
	if st := t.Host.Story; st != nil && st.GFN-first < mmu.GFN(n) {
		t.tell(StoryMapped, st.GFN, boolBit(p.writable), p.bytes)
	}
	if !p.writable {
		return
	}
	if vm.Design.LogBlock {
		t.markPages(s, first, n)
		return
	}
	if n > 1 && s.Flags&SlotLogDirty != 0 {
		t.lose(LossBlockMapping, first, n)
	}
	t.markDirty(s, p.gfn)
}

// ioAbort handles an access that no memory takes: io_mem_abort.
func (t *Thread) ioAbort() {
	p, v := &t.fault, t.VCPU
	t.tell(StoryMMIO, t.Host.Page.GFN(p.ipa), 0, 0)
	t.ret()
	switch {
	case v.A64 != nil && v.A64.noMemory(v, p):
		return
	case p.access == mmu.AccessFetch || p.ipa>>t.vm.Stage2.IPABits != 0:
		v.Stats.Injected++ // an exception for the guest, which its stream knows nothing of
		v.Cursor.skip()
		return
	case p.size > 8: // a pair leaves no valid syndrome
		t.run.fail(ENOSYS)
		return
	}
	write := p.access == mmu.AccessWrite
	value := p.value & sizeMask(p.size)
	if t.vm.vgic != nil {
		if got, ok := t.vm.vgic.mmio(v, p.ipa, p.size, write, value); ok {
			v.Stats.MMIOKernel++
			t.Block.Delay(t.Host.Profile.MMIOKernel)
			v.emulated(write, got)
			return
		}
	}
	v.Stats.MMIOExits++
	v.Run.ExitReason = ExitMMIO
	m := &v.Run.MMIO
	*m = MMIOExit{Addr: p.ipa, Len: p.size, Write: write, Data: m.Data}
	if write { // only the bytes of the access: the others are as the last exit left them
		m.Data = m.Data&^sizeMask(p.size) | value
	}
	v.Cursor.mmio = true
	t.Block.Delay(t.Host.Profile.MMIOUser)
	t.run.toUser(0, OK)
}

// sizeMask covers the low size bytes.
func sizeMask(size uint8) uint64 { return ^uint64(0) >> (64 - 8*uint(size)) }

func (p *faultPath) sync(c *sim.Codec, vm *VM) {
	sim.Uint(c, &p.ipa)
	sim.Uint(c, &p.access)
	c.Bool(&p.perm)
	level := uint8(p.level)
	c.U8(&level)
	p.level = int8(level)
	c.U8(&p.size)
	c.U64(&p.value)
	p.ref.sync(c)
	c.Bool(&p.logging)
	sim.Uint(c, &p.host.PFN)
	c.U64(&p.host.Block)
	c.Bool(&p.host.Writable)
	c.Bool(&p.host.Replaced)
	c.U64(&p.bytes)
	sim.Uint(c, &p.gfn)
	c.Bool(&p.writable)
	c.Bool(&p.relaxes)
	p.relax.Sync(c, vm.stage2())
	p.mapping.Sync(c, vm.stage2())
	sim.Uint(c, &p.result)
}
