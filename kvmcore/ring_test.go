package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A ring of n entries exits after n-64 pushes. The store that filled it has not
// executed: after a full reset its page is recorded again. Recordings b_seq.
func TestFullExits(t *testing.T) {
	for _, tc := range []struct {
		entries             uint32
		pages, full, pushes uint64
	}{
		{256, 191, 0, 191}, {256, 192, 1, 193}, {256, 193, 1, 194}, {256, 385, 2, 387},
		{512, 447, 0, 447}, {512, 449, 1, 450}, {1024, 961, 1, 962},
	} {
		for _, bitmap := range []bool{false, true} {
			r := newRig(t, mode{ring: tc.entries, bitmap: bitmap, pages: 1000})
			r.do(0, GuestStore, upTo(tc.pages)...)
			r.mmio(0)
			var fetch uint32
			var full, got uint64
			for r.run(0).ExitReason == ExitDirtyRingFull {
				full++
				if used := r.vm.VCPUs[0].Ring.Used(); used != tc.entries-64 {
					t.Errorf("%d entries: exit with %d used", tc.entries, used)
				}
				n := len(r.harvest(0, &fetch, 1<<20))
				got += uint64(n)
				if k := r.reset(); k != int64(n) {
					t.Errorf("reset of %d entries returned %d", n, k)
				}
			}
			got += uint64(len(r.harvest(0, &fetch, 1<<20)))
			if full != tc.full || got != tc.pushes {
				t.Errorf("%d entries, %d pages, bitmap %v: %d full exits and %d entries, want %d and %d",
					tc.entries, tc.pages, bitmap, full, got, tc.full, tc.pushes)
			}
			if s := r.vm.VCPUs[0].Stats; s.FullExits != tc.full || s.Pushes != tc.pushes {
				t.Errorf("counted %d full exits and %d pushes", s.FullExits, s.Pushes)
			}
		}
	}
}

func TestEntryLayout(t *testing.T) {
	r := newRig(t, mode{ring: 256, pages: 100})
	r.write(0, 5, 7)
	type entry struct {
		Flags, Slot uint32
		Offset      uint64
	}
	var got [3]entry
	for i := range got {
		got[i].Flags, got[i].Slot, got[i].Offset = r.entry(0, uint32(i))
	}
	if d := cmp.Diff([3]entry{{1, 1, 5}, {1, 1, 7}, {}}, got); d != "" {
		t.Error(d)
	}
}
