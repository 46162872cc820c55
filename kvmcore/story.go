package kvmcore

import (
	"fmt"
	"strings"

	"ringmap/mmu"
	"ringmap/sim"
)

// Story narrates what happened to one watched guest page, for `ringmap why`:
// every fault on it, where it was recorded, when it was protected again.
type Story struct {
	VMID    uint16
	GFN     mmu.GFN
	Events  []StoryEvent
	Omitted uint64 // events beyond the limit
}

// StoryEvent is one thing that happened to the watched page.
type StoryEvent struct {
	At   sim.Cycle
	Kind StoryKind
	VCPU int32 // index of the vCPU on whose thread it happened, -1 = none
	A, B uint64
}

// StoryKind is what happened.
type StoryKind uint8

const (
	StoryFault       StoryKind = iota // the guest faulted on it; A = mmu.Access, B = 1 for a permission fault
	StoryMapped                       // mapped in stage 2; A = 1 writable, B = bytes of the mapping
	StoryPushed                       // recorded in the vCPU's ring; A = free-running index
	StoryBitSet                       // recorded in the slot's bitmap; A = 1 if the bit was set already
	StoryKernelWrite                  // written by the kernel; A = bytes
	StoryReset                        // its ring entry was reset; A = 1 if the page was then protected
	StoryProtected                    // write-protected again
	StoryCollected                    // reported by GET_DIRTY_LOG; A = 1 if its bit was cleared
	StoryCleared                      // its bit was cleared by CLEAR_DIRTY_LOG
	StoryLost                         // A = LossCause
	StoryMMIO                         // the access left the kernel as an MMIO exit
	StoryHarvested                    // userspace consumed its ring entry; A = the ring's vCPU, B = free-running index
	StoryPushedVM                     // recorded in the VM's ring; A = free-running index
	numStoryKinds
)

// maxStory bounds a story: a page that is written in a loop for a long run.
const maxStory = 1 << 16

// Watch starts a story of guest page gfn of vm.
func (h *Host) Watch(vm *VM, gfn mmu.GFN) { h.Story = &Story{VMID: vm.VMID, GFN: gfn} }

// tell adds an event if gfn of the thread's VM is the watched page.
func (t *Thread) tell(kind StoryKind, gfn mmu.GFN, a, b uint64) {
	if t.Host.Story != nil {
		t.Host.Tell(t.vm, gfn, StoryEvent{At: t.Core.Now, Kind: kind, VCPU: t.vcpuIndex(), A: a, B: b})
	}
}

// Tell adds an event of userspace to the story, if gfn of vm is the watched page.
func (h *Host) Tell(vm *VM, gfn mmu.GFN, e StoryEvent) {
	s := h.Story
	if s == nil || s.GFN != gfn || s.VMID != vm.VMID {
		return
	}
	if len(s.Events) == maxStory {
		s.Omitted++
		return
	}
	s.Events = append(s.Events, e)
}

// tellSpan adds an event if the watched page is one of n from gfn on.
func (t *Thread) tellSpan(kind StoryKind, gfn mmu.GFN, n uint64, a uint64) {
	if s := t.Host.Story; s != nil && s.GFN-gfn < mmu.GFN(n) {
		t.tell(kind, s.GFN, a, 0)
	}
}

// String tells the event in one line.
func (e StoryEvent) String() string {
	who := "no vCPU"
	if e.VCPU >= 0 {
		who = fmt.Sprintf("vCPU %d", e.VCPU)
	}
	return fmt.Sprintf("%12d  %-8s %s", e.At, who, e.text())
}

func (e StoryEvent) text() string {
	switch e.Kind {
	case StoryFault:
		kind := "translation"
		if e.B != 0 {
			kind = "permission"
		}
		return fmt.Sprintf("%s fault on a %s", kind, [...]string{"read", "write", "fetch"}[e.A%3])
	case StoryMapped:
		mode := "read-only"
		if e.A != 0 {
			mode = "writable"
		}
		return fmt.Sprintf("mapped %s, %d KiB", mode, e.B>>10)
	case StoryPushed:
		return fmt.Sprintf("recorded in its ring, entry %d", e.A)
	case StoryPushedVM:
		return fmt.Sprintf("recorded in the VM's ring, entry %d", e.A)
	case StoryBitSet:
		if e.A != 0 {
			return "recorded in the bitmap, where its bit was set already"
		}
		return "recorded in the bitmap"
	case StoryKernelWrite:
		return fmt.Sprintf("%d bytes written by the kernel", e.A)
	case StoryReset:
		return "its ring entry is reset"
	case StoryProtected:
		return "write-protected"
	case StoryCollected:
		if e.A != 0 {
			return "reported by GET_DIRTY_LOG and its bit cleared"
		}
		return "reported by GET_DIRTY_LOG"
	case StoryCleared:
		return "its bit cleared by CLEAR_DIRTY_LOG"
	case StoryLost:
		if e.A < uint64(NumLossCauses) {
			return "LOST: " + LossCause(e.A).Text()
		}
	case StoryMMIO:
		return "left to userspace as an MMIO exit"
	case StoryHarvested:
		return fmt.Sprintf("userspace harvests entry %d of the ring of vCPU %d", e.B, e.A)
	}
	return "unknown event"
}

// String tells the whole story, one line an event: cycle, who, what.
func (s *Story) String() string {
	var b strings.Builder
	for _, e := range s.Events {
		fmt.Fprintln(&b, e)
	}
	if s.Omitted != 0 {
		fmt.Fprintf(&b, "and %d more events\n", s.Omitted)
	}
	return b.String()
}

// Sync saves, restores or hashes the story.
func (s *Story) Sync(c *sim.Codec) {
	c.U16(&s.VMID)
	sim.Uint(c, &s.GFN)
	sim.Slice(c, &s.Events, func(c *sim.Codec, e *StoryEvent) {
		sim.Uint(c, &e.At)
		sim.Uint(c, &e.Kind)
		syncI32(c, &e.VCPU)
		c.U64(&e.A)
		c.U64(&e.B)
	})
	c.U64(&s.Omitted)
}
