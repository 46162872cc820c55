package audit

import (
	"cmp"
	"slices"

	"ringmap/mmu"
	"ringmap/sim"
)

// Causes that the audit itself can tell. All others come from the ledger, in
// its words.
const (
	CauseTooEarly = "collected_too_early" // changed after the last collection opened
	CauseVMM      = "vmm_write"           // userspace wrote it and must know that itself: KVM does not
	CauseUnknown  = "unknown"             // nobody admits it: a finding about the simulator or the kernel
)

// Loss is one line of somebody's ledger of records that were lost: pages
// [GFN, GFN+Pages) at Cycle.
type Loss struct {
	GFN   mmu.GFN
	Pages uint64
	Cause string
	Cycle sim.Cycle
}

// Explained is a lost page with its cause.
type Explained struct {
	LostPage
	Cause string
	Cycle sim.Cycle // when the record was lost, 0 = not known
}

// Explain joins lost pages with a ledger of lost records. A page takes the
// newest line that covers it and is not older than its last copy. Without one it
// was collected too early if it changed after the last collection opened, or was
// the VMM's own write; failing that an older line of the ledger will do.
func Explain(lost []LostPage, ledger []Loss) []Explained {
	out := make([]Explained, len(lost))
	for i, p := range lost {
		out[i] = Explained{LostPage: p}
	}
	byGFN := func(e Explained, gfn mmu.GFN) int { return cmp.Compare(e.GFN, gfn) }
	if !slices.IsSortedFunc(out, func(a, b Explained) int { return cmp.Compare(a.GFN, b.GFN) }) {
		slices.SortStableFunc(out, func(a, b Explained) int { return cmp.Compare(a.GFN, b.GFN) })
	}
	for _, l := range ledger {
		i, _ := slices.BinarySearchFunc(out, l.GFN, byGFN)
		for ; i < len(out) && uint64(out[i].GFN-l.GFN) < l.Pages; i++ {
			if out[i].Cause == "" || l.Cycle >= out[i].Cycle {
				out[i].Cause, out[i].Cycle = l.Cause, l.Cycle
			}
		}
	}
	for i := range out {
		e := &out[i]
		if e.Cause != "" && e.Cycle >= e.Collected {
			continue
		}
		switch {
		case e.Writer == mmu.WriterVMM:
			e.Cause, e.Cycle = CauseVMM, 0
		case e.Missed == 0:
			e.Cause, e.Cycle = CauseTooEarly, 0
		case e.Cause == "":
			e.Cause = CauseUnknown
		}
	}
	return out
}

// CauseCount is how many pages were lost by one cause.
type CauseCount struct {
	Cause string
	Pages uint64
}

// Causes counts lost pages by cause, most frequent first, then by name.
func Causes(lost []Explained) []CauseCount {
	var counts []CauseCount
	for _, e := range lost {
		i := slices.IndexFunc(counts, func(c CauseCount) bool { return c.Cause == e.Cause })
		if i < 0 {
			i = len(counts)
			counts = append(counts, CauseCount{Cause: e.Cause})
		}
		counts[i].Pages++
	}
	slices.SortFunc(counts, func(a, b CauseCount) int {
		if c := cmp.Compare(b.Pages, a.Pages); c != 0 {
			return c
		}
		return cmp.Compare(a.Cause, b.Cause)
	})
	return counts
}
