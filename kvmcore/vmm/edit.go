package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// editor is a hostile userspace: the ring is its memory too, and between harvest
// and reset it changes what entries say. What it does to its own pages is its own
// affair; the kernel must not crash, protect nothing outside the VM's slots, and
// lose no page of an entry that was left alone.
type editor struct {
	rand sim.Stream
	owed uint64 // edits, in millionths
}

// edit changes harvested entries, as many as Edits says of those in this reap.
func (v *VMM) edit(t *thread) {
	v.editor.owed += t.reap.harvested * uint64(v.Edits)
	for ; v.editor.owed >= MaxEdits; v.editor.owed -= MaxEdits {
		v.editOne(t)
	}
}

// editOne overwrites fields of one entry that waits for its reset.
func (v *VMM) editOne(t *thread) {
	rng := &v.editor.rand
	which := int(rng.N(uint64(len(v.fetch))))
	ring := v.VM.Ring(which)
	used := ring.Used()
	if used == 0 || used > ring.Size {
		return
	}
	i, harvested := ring.ResetIndex, true
	for range rng.N(uint64(used)) {
		harvested = harvested && i != v.fetch[which]
		i = ring.Next(i)
	}
	harvested = harvested && i != v.fetch[which]
	pa := ring.EntryPA(i)
	v.Host.NoteEdit(t.kt, v.VM, which, i)
	v.Stats.Edits++
	b := &t.kt.Block
	b.Reset()
	switch rng.N(4) {
	case 0: // another page of the slot, or one behind its end
		b.Store(pa+8, 8, rng.N(2*v.slots[0].pages))
	case 1: // any number, which may overflow
		b.Store(pa+8, 8, rng.Uint64())
	case 2: // another slot, existing or not, in an address space that may not be
		b.Store(pa+4, 4, rng.N(2)<<16|rng.N(uint64(len(v.slotOf))+2))
	default: // any flags that say harvested, of one that is: any others would stop its own harvest for good
		if !harvested {
			b.Store(pa+8, 8, rng.Uint64())
			break
		}
		b.Store(pa, 4, rng.Uint64()&word32|kvmcore.RingFlagReset)
	}
	t.kt.Exec(causeHarvest)
}

// word32 covers a 32-bit field.
const word32 = uint64(1)<<32 - 1

func (e *editor) sync(c *sim.Codec) {
	e.rand.Sync(c)
	c.U64(&e.owed)
}
