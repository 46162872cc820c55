package mmu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// TestAlertsKeepTheJournal: marks and reservations change nothing about who
// enters the journal when, and a mark ends with the next write.
func TestAlertsKeepTheJournal(t *testing.T) {
	plain, alerted := NewMemory(), NewMemory()
	r := sim.NewStream(1, "alert")
	var held [4]Reservation
	for _, m := range []*Memory{plain, alerted} {
		m.epoch = 1<<15 - 50 // about to wrap
		m.WatchRange(0, 8, 100)
	}
	for step := range 20000 {
		pfn, v := PFN(r.N(8)), r.Uint64()
		f := alerted.Frame(pfn)
		switch r.N(8) {
		case 0:
			alerted.MarkCode(f)
			if !f.IsCode() {
				t.Fatal("not marked")
			}
		case 1:
			alerted.Reserve(&held[v%4], f, pfn.PA()+PA(v>>8%FrameSize))
		case 2:
			alerted.Release(&held[v%4])
		case 3:
			if diff := cmp.Diff(plain.Journal(), alerted.Journal()); diff != "" {
				t.Fatalf("step %d: %s", step, diff)
			}
			plain.NextEpoch()
			alerted.NextEpoch()
		default:
			at := pfn.PA() + PA(v>>8%FrameSize&^7)
			code, writes := f.IsCode(), alerted.CodeWrites()
			for _, m := range []*Memory{plain, alerted} {
				m.Store(at, 8, v, Writer(v&7))
			}
			if f.IsCode() || alerted.CodeWrites() != writes && !code || alerted.CodeWrites() == writes && code {
				t.Fatalf("step %d: %t after a write, %d of %d", step, f.IsCode(), alerted.CodeWrites(), writes)
			}
			for i := range held {
				if held[i].Armed && held[i].At>>GranuleShift == at>>GranuleShift {
					t.Fatalf("step %d: a reservation outlived a write", step)
				}
			}
		}
	}
}
