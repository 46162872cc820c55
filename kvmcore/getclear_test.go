package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
)

func (r *rig) clearLog(first uint64, num uint32, bits ...uint64) Errno {
	words := make([]uint64, (num+63)/64)
	for _, b := range bits {
		words[b/64] |= 1 << (b % 64)
	}
	return r.vm.ClearDirtyLog(r.t, 1, first, num, words)
}

// Auto mode: GET reports, clears and protects the span of every word.
func TestGetAuto(t *testing.T) {
	r := newRig(t, mode{pages: 200})
	r.write(0, 1, 3, 70, 199)
	r.write(0, 2) // between, reported as well
	if d := cmp.Diff([]uint64{1, 2, 3, 70, 199}, r.get()); d != "" {
		t.Error(d)
	}
	if w := r.stillWritable([]uint64{1, 2, 3, 70, 199}); w != nil {
		t.Errorf("still writable: %v", w)
	}
	if got := r.get(); got != nil {
		t.Errorf("second GET: %v", got)
	}
	r.write(0, 3)
	if d := cmp.Diff([]uint64{3}, r.get()); d != "" {
		t.Error(d)
	}
	if s := r.h.Stats; s.Gets != 3 || s.WordsScanned != 3*4 || s.WordsSet != 4 || s.BytesCopiedOut != 3*4*8 {
		t.Errorf("counted %d GETs, %d words, %d set, %d bytes", s.Gets, s.WordsScanned, s.WordsSet, s.BytesCopiedOut)
	}
}

// Manual mode: GET changes nothing, CLEAR clears and protects what it is given
// and what is really set.
func TestGetManualAndClear(t *testing.T) {
	r := newRig(t, mode{pages: 200, manual: 1})
	r.write(0, 1, 2, 3, 70, 130)
	flushes := r.h.Stats.TLBFlushes
	for range 2 {
		if d := cmp.Diff([]uint64{1, 2, 3, 70, 130}, r.get()); d != "" {
			t.Error(d)
		}
	}
	if e := r.clearLog(0, 128, 0, 5, 9); e != OK { // none of them set
		t.Fatal(e)
	}
	if n := len(r.stillWritable([]uint64{1, 2, 3, 70, 130})); n != 5 || r.h.Stats.TLBFlushes != flushes {
		t.Errorf("%d pages writable, %d flushes", n, r.h.Stats.TLBFlushes-flushes)
	}
	if e := r.clearLog(0, 128, 1, 3, 90); e != OK {
		t.Fatal(e)
	}
	if d := cmp.Diff([]uint64{2, 70, 130}, r.get()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]uint64{70, 130}, r.stillWritable([]uint64{1, 2, 3, 70, 130})); d != "" {
		t.Error("page 2 lies in the span of 1 and 3:", d)
	}
	if e := r.clearLog(128, 72, 2); e != OK {
		t.Fatal(e)
	}
	if d := cmp.Diff([]uint64{2, 70}, r.get()); d != "" {
		t.Error(d)
	}
}

// A failing copy loses the bits in auto mode and nothing in manual mode; the
// repaired kernel puts them back. Recording c_get_bad_buffer_loses_bits.
func TestGetCopyFault(t *testing.T) {
	pages := []uint64{1, 2, 70, 199}
	for _, tc := range []struct {
		kernel string
		manual uint64
		lost   bool
	}{{"7.2", 0, true}, {"6.12", 0, true}, {"7.2+fixed", 0, false}, {"7.2", 1, false}} {
		r := newRig(t, mode{kernel: tc.kernel, manual: tc.manual, pages: 200})
		r.write(0, pages...)
		if e := r.vm.GetDirtyLog(r.t, 1, nil); e != EFAULT {
			t.Errorf("%+v: %v", tc, e)
		}
		var want []uint64
		if !tc.lost {
			want = pages
		}
		if d := cmp.Diff(want, r.get()); d != "" {
			t.Errorf("%+v: %s", tc, d)
		}
		var lost uint64
		for _, l := range r.h.Losses {
			lost += l.Pages
		}
		if (lost == 4) != tc.lost {
			t.Errorf("%+v: ledger %v", tc, r.h.Losses)
		}
	}
}

// INITIALLY_SET: all bits from the start, protection only by CLEAR. With a ring
// that leaves pages which are writable already without any record.
func TestInitiallySet(t *testing.T) {
	r := newRig(t, mode{pages: 200, manual: 3, unlog: true})
	r.write(0, upTo(50)...)
	r.setLogging(true)
	if d := cmp.Diff(upTo(200), r.get()); d != "" {
		t.Error(d)
	}
	if n := len(r.stillWritable(upTo(50))); n != 50 {
		t.Errorf("%d pages writable after logging was enabled", n)
	}
	if e := r.clearLog(0, 64, upTo(64)...); e != OK {
		t.Fatal(e)
	}
	if n := len(r.stillWritable(upTo(50))); n != 0 {
		t.Errorf("%d pages writable after CLEAR", n)
	}

	for _, kernel := range []string{"7.2", "7.2+fixed"} {
		r := newRig(t, mode{kernel: kernel, ring: 256, bitmap: true, pages: 200, manual: 3, unlog: true})
		r.write(0, upTo(50)...)
		r.setLogging(true)
		r.write(0, upTo(100)...)
		want := upTo(100)
		if kernel == "7.2" {
			want = want[50:]
		}
		if d := cmp.Diff(want, r.ringPages(0)); d != "" {
			t.Errorf("%s: %s", kernel, d)
		}
		if n := r.h.Stats.Losses[LossInitiallySet]; (n != 0) != (kernel == "7.2") {
			t.Errorf("%s: %d in the ledger", kernel, n)
		}
	}
}

// Eager split: at enable time, or by CLEAR where INITIALLY_SET put it off.
func TestEagerSplitOfBlocks(t *testing.T) {
	level := func(r *rig, page uint64) int8 {
		return r.vm.Stage2.Find(r.h.Machine.Mem, testBase+mmu.IPA(page*0x1000)).Level
	}
	for _, manual := range []uint64{0, 1, 3} {
		r := newRig(t, mode{pages: 2048, backing: BackingTHP, manual: manual, split: 2 << 20, unlog: true})
		r.write(0, 0, 512, 1024)
		r.setLogging(true)
		want := int8(3)
		if manual == 3 {
			want = 2
		}
		if l := level(r, 600); l != want {
			t.Errorf("manual %d: level %d after enabling", manual, l)
		}
		if manual == 3 {
			if e := r.clearLog(512, 64, 5, 6); e != OK {
				t.Fatal(e)
			}
			if level(r, 600) != 3 || level(r, 5) != 2 {
				t.Errorf("CLEAR: levels %d and %d", level(r, 600), level(r, 5))
			}
			r.get()
		}
		if r.h.Stats.EagerSplits == 0 {
			t.Error("no split counted")
		}
		// Split pages keep their contents and are protected.
		r.write(0, 600)
		p := make([]byte, 8)
		r.vm.readGuest(r.t, testBase+600*0x1000, p)
		if uint64(p[0])|uint64(p[1])<<8 != 601 {
			t.Errorf("page 600 holds %v", p)
		}
	}
}

// A bitmap of half a terabyte, the most that 40 bits of IPA leave room for: the model charges every word, the host walks a summary.
func TestHugeSparseBitmap(t *testing.T) {
	const pages = 1 << 27
	profile, err := LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, mode{pages: pages, fresh: true, profile: profile})
	want := []uint64{0, 63, 64, 1 << 20, pages - 1}
	r.write(0, want...)
	before := r.t.Core.Now
	var log DirtyLog
	r.t.StartGetDirtyLog(r.vm, 1, &log)
	steps := 0
	for r.t.Step() == Running {
		steps++
	}
	var got []uint64
	for _, w := range log.Words {
		for b := range uint64(64) {
			if w.Bits>>b&1 != 0 {
				got = append(got, w.Index*64+b)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := uint64(r.t.Core.Now - before); n < pages/64*profile.ScanWord {
		t.Errorf("the scan took %d cycles", n)
	}
	if steps > 200 {
		t.Errorf("the host took %d steps", steps)
	}
}
