package vmm

import (
	"cmp"
	"slices"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Mistake is what a VMM does wrong, or has happen to it, that brings out a hazard
// of the kernel: scenarios/hazards has one scenario for each.
type Mistake uint8

const (
	MistakeNone         Mistake = iota
	MistakeSignal               // a signal arrives in the middle of KVM_RESET_DIRTY_RINGS, which is then called again
	MistakeBadBuffer            // KVM_GET_DIRTY_LOG is given a bad pointer, and then a good one
	MistakeMarkClean            // entries that nobody has pushed are marked as harvested
	MistakeStaleEntry           // a harvested entry names a page behind the slot's end, as of a slot that was larger
	MistakeRunAgain             // KVM_RUN is called again and again although the ring is full
	MistakeRestoreTwice         // the destination restores the ITS's tables twice, and saves them when it ends
	MistakeLPIsLate             // the destination enables LPIs after it has restored the ITS's tables
	numMistakes
)

var mistakeNames = [numMistakes]string{
	"none", "signal-in-reset", "bad-buffer", "mark-clean", "stale-entry", "run-again", "restore-twice", "lpis-late",
}

// String returns the name that scenario files use.
func (m Mistake) String() string { return mistakeNames[m] }

// Mistakes lists the names of mistakes.
func Mistakes() []string { return mistakeNames[:] }

// ParseMistake returns the mistake of that name.
func ParseMistake(name string) (Mistake, bool) {
	for m, n := range mistakeNames {
		if n == name {
			return Mistake(m), true
		}
	}
	return 0, false
}

const (
	mistakePeriod = 4  // a mistake is made at every 4th occasion
	signalSteps   = 40 // blocks of a reset before the signal arrives
	cleanEntries  = 8  // that are marked at once: a block of stores
	futileRuns    = 80 // with a full ring: 64 entries are in reserve
)

// errs tells whether it is time for the mistake.
func (v *VMM) errs(m Mistake) bool {
	if v.Mistake != m {
		return false
	}
	v.occasions++
	return v.occasions%mistakePeriod == 0
}

// spoil changes a ring that was harvested, before its reset.
func (v *VMM) spoil(t *thread) {
	b := &t.kt.Block
	last := len(v.fetch) - 1 // drained a moment ago
	switch ring := v.VM.Ring(last); {
	case v.errs(MistakeMarkClean) && v.fetch[last] == ring.DirtyIndex:
		b.Reset()
		for i, at := 0, v.fetch[last]; i < cleanEntries; i, at = i+1, ring.Next(at) {
			b.Store(ring.EntryPA(at), 4, kvmcore.RingFlagReset)
		}
		t.kt.Exec(causeHarvest)
	case v.Mistake == MistakeStaleEntry:
		if at, ok := v.middleEntry(ring); ok {
			b.Reset()
			b.Store(at+8, 8, v.slots[0].pages)
			t.kt.Exec(causeHarvest)
		}
	}
}

// middleEntry finds, among the first entries that wait for their reset, the one
// with the middle page: a kernel that clips the batch protects its page all the
// same, with the span.
func (v *VMM) middleEntry(ring *kvmcore.Ring) (mmu.PA, bool) {
	type entry struct {
		page uint64
		at   mmu.PA
	}
	var list []entry
	for i, n := ring.ResetIndex, min(ring.Used(), 9); n > 0; n-- {
		at := ring.EntryPA(i)
		list = append(list, entry{v.Host.Machine.Mem.Load(at+8, 8), at})
		i = ring.Next(i)
	}
	if len(list) < 9 {
		return 0, false
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.page, b.page) })
	if m := list[4]; list[0].page < m.page && m.page < list[8].page {
		return m.at, true
	}
	return 0, false
}

// interrupt lets a signal arrive while the reset is under way.
func (v *VMM) interrupt(t *thread) {
	if v.Mistake != MistakeSignal || t.reap.steps != signalSteps {
		return
	}
	v.occasions++
	if v.occasions%mistakePeriod == 0 {
		t.kt.Signal = true
	}
}

// resetAgain tells whether a reset that a signal has stopped is called once more
// for what it has left over.
func (v *VMM) resetAgain(t *thread) bool {
	r := &t.reap
	if v.Mistake != MistakeSignal || t.kt.Ret < 0 || uint64(t.kt.Ret) >= r.harvested {
		return false
	}
	r.harvested -= uint64(t.kt.Ret)
	r.pc, r.steps = reapReset, signalSteps+1
	return true
}

// runsAgain tells whether a vCPU with a full ring enters its guest without having
// anything harvested.
func (c *vcpuThread) runsAgain() bool {
	if c.v.Mistake != MistakeRunAgain || c.futile >= futileRuns {
		c.futile = 0
		return false
	}
	c.futile++
	return true
}

func (v *VMM) syncMistakes(c *sim.Codec) { c.U64(&v.occasions) }
