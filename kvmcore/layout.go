package kvmcore

import "ringmap/mmu"

// Layout is how kernel and userspace share a ring: where the state of its entries
// is, and in whose memory it lies.
//
//	in-entry     struct { u32 flags; u32 slot; u64 offset; }
//	indexed      struct { u32 size;  u32 slot; u64 offset; } and two words:
//	             available up to (kernel's), fetched up to (userspace's)
type Layout struct {
	Choice
	Indexed bool   // the state is two free-running indices, not flags in the entries
	Apart   mmu.PA // bytes between the two index words
	User    bool   // the ring lies in userspace's memory: every access is a user copy

	push func(t *Thread, r *Ring, s *Slot, gfn mmu.GFN)
	load func(t *Thread, r *Ring) uint8 // begins the next entry of a reset; nil = as Linux
	take func(t *Thread, r *Ring) bool  // takes the entry that was loaded, false = not harvested; nil = as Linux
}

// layouts lists every layout, Linux's first.
var layouts = []*Layout{&layoutInEntry, &layoutSharedLine, &layoutPadded, &layoutUserCopy}

// Layouts lists every layout, Linux's first.
func Layouts() []*Layout { return layouts }

// ParseLayout returns the layout of that name.
func ParseLayout(name string) (*Layout, bool) {
	return named(layouts, name, func(l *Layout) *Choice { return &l.Choice })
}

// IndexBytes is how much shared memory the index words of a ring take.
func (l *Layout) IndexBytes() uint64 {
	if !l.Indexed {
		return 0
	}
	return 2 * uint64(l.Apart)
}

// cacheLine is the unit of coherence: 64 bytes on every core that is modelled.
const cacheLine = 64
