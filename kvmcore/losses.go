package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// LossCause is why the kernel failed to record a page that was written, or
// stopped watching one it had recorded: a closed set.
type LossCause uint8

const (
	LossNoVCPU           LossCause = iota // written without a running vCPU and the slot has no bitmap
	LossRingOverflow                      // a push on a full ring overwrote the oldest record
	LossWrongVM                           // the loaded vCPU belongs to another VM
	LossBlockMapping                      // a block became writable and only one page of it was recorded
	LossStaleBatch                        // a reset batch was dropped as a whole for an entry beyond the slot's end
	LossResetInterrupted                  // a reset was interrupted before its batch was re-protected
	LossResetPastDirty                    // the ring's indices crossed: this entry will not be reset
	LossInitiallySet                      // ring with INITIALLY_SET: the slot was not protected when logging began
	LossGetCopyFault                      // GET cleared bits that it could not copy out
	LossVMRingFull                        // the VM's ring was full: it has no vCPU that would wait for room
	LossVMRingPaused                      // the same, while no vCPU was in KVM_RUN: nobody to kick
	LossEdited                            // userspace changed the ring entry before it was reset
	LossDropped                           // dropped by the test switch kernel.drop_every
	NumLossCauses
)

var lossNames = [NumLossCauses]string{
	"no_vcpu", "ring_overflow", "wrong_vm", "block_mapping", "stale_batch",
	"reset_interrupted", "reset_past_dirty", "initially_set", "get_copy_fault",
	"vmring_full", "vmring_full_paused", "ring_edited", "dropped",
}

var lossTexts = [NumLossCauses]string{
	"written without a running vCPU, and the slot has no bitmap",
	"a push on a full ring overwrote the record",
	"the vCPU loaded on the CPU belongs to another VM",
	"a whole block became writable and one page of it was recorded",
	"the reset batch was dropped for an entry beyond the slot's end: the page stays writable",
	"the reset was interrupted before its batch was re-protected: the page stays writable",
	"the ring's reset index had passed its dirty index: the page will not be re-protected",
	"INITIALLY_SET left the slot unprotected: writes to pages already writable are not pushed",
	"GET_DIRTY_LOG had cleared the bit when the copy to userspace failed",
	"the VM's ring was full when a page was written without a vCPU",
	"the VM's ring was full and no vCPU was running: nobody to kick",
	"userspace changed the ring entry between push and reset: its page was not protected again",
	"dropped by the test switch drop_every",
}

// String returns the cause's name in statistics and reports.
func (c LossCause) String() string { return lossNames[c] }

// Text explains the cause in one sentence.
func (c LossCause) Text() string { return lossTexts[c] }

// Loss is a record that the kernel lost, or pages that it stopped watching:
// whether a page really changed unseen is for the audit to say.
type Loss struct {
	At    sim.Cycle
	GFN   mmu.GFN
	Pages uint64 // how many pages from GFN on
	VMID  uint16
	VCPU  int32 // index, -1 = none
	Cause LossCause
}

// maxLosses bounds the ledger; what exceeds it is only counted.
const maxLosses = 1 << 20

// lose enters pages from gfn on into the ledger.
func (t *Thread) lose(cause LossCause, gfn mmu.GFN, pages uint64) {
	h := t.Host
	l := Loss{At: t.Core.Now, GFN: gfn, Pages: pages, VMID: t.vm.VMID, VCPU: t.vcpuIndex(), Cause: cause}
	h.Stats.Losses[cause]++
	if len(h.Losses) < maxLosses {
		h.Losses = append(h.Losses, l)
	}
	if s := h.Story; s != nil && s.VMID == l.VMID && s.GFN-gfn < mmu.GFN(pages) {
		t.tell(StoryLost, s.GFN, uint64(cause), 0)
	}
}

// NoteEdit enters the pages of a ring entry into the ledger that userspace is
// about to change while it waits for its reset: by index of the ring and
// free-running index of the entry.
func (h *Host) NoteEdit(t *Thread, vm *VM, ring int, entry uint32) {
	r := vm.Ring(ring)
	e, mem := r.EntryPA(entry), h.Machine.Mem
	id, rel := mem.Load(e+entrySlot, 4), mem.Load(e+entryOffset, 8)
	s := vm.Slots.ByID(uint16(id))
	if id>>16 != 0 || s == nil || rel >= s.Pages {
		return
	}
	pages := uint64(1)
	if vm.Design.Sized {
		word := mem.Load(e, 4)
		if !vm.Design.Layout.Indexed {
			word >>= RingOrderShift
		}
		pages = min(pagesOfOrder(word&0xff), s.Pages-rel)
	}
	saved := t.vm
	t.vm = vm
	t.lose(LossEdited, s.Base+mmu.GFN(rel), pages)
	t.vm = saved
}

// vcpuIndex is the vCPU loaded on this CPU, -1 if none is.
func (t *Thread) vcpuIndex() int32 {
	if t.VCPU == nil {
		return -1
	}
	return int32(t.VCPU.Index)
}

// warnOnce is WARN_ON_ONCE in the named function.
func (h *Host) warnOnce(function string) {
	if h.Warned[function] {
		return
	}
	if h.Warned == nil {
		h.Warned = map[string]bool{}
	}
	h.Warned[function] = true
	h.Warns = append(h.Warns, function)
}

// Sync saves, restores or hashes the loss.
func (l *Loss) Sync(c *sim.Codec) {
	sim.Uint(c, &l.At)
	sim.Uint(c, &l.GFN)
	c.U64(&l.Pages)
	c.U16(&l.VMID)
	syncI32(c, &l.VCPU)
	sim.Uint(c, &l.Cause)
}
