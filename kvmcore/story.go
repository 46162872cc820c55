package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Story narrates what happened to one watched guest page, for `ringmap why`.
type Story struct {
	VMID   uint16
	GFN    mmu.GFN
	Events []StoryEvent
}

// StoryEvent is one thing that happened to the watched page.
type StoryEvent struct {
	At   sim.Cycle
	Kind StoryKind
	VCPU int32 // index, -1 = none
	A, B uint64
}

// StoryKind is what happened.
type StoryKind uint8

// Watch starts a story of guest page gfn of vm.
func (h *Host) Watch(vm *VM, gfn mmu.GFN) { h.Story = &Story{VMID: vm.VMID, GFN: gfn} }
