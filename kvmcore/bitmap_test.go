package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// The summary finds every word that was noted and not forgotten, and no other.
func TestBitmapSummary(t *testing.T) {
	h := NewHost(HostSpec{})
	rnd := sim.NewStream(1, "summary")
	for _, pages := range []uint64{1, 64, 65, 4096, 64 * 64 * 64, 64*64*64*3 + 5} {
		b, ok := h.newBitmap(pages)
		if !ok || b.Words() != (pages+63)/64 {
			t.Fatalf("%d pages: %d words", pages, b.Words())
		}
		model := map[uint64]bool{}
		for range 300 {
			w := rnd.N(b.Words())
			if rnd.Chance(1, 3) {
				b.forget(w)
				delete(model, w)
			} else {
				b.note(w)
				model[w] = true
			}
		}
		got := map[uint64]bool{}
		for i := b.next(0); i < b.Words(); i = b.next(i + 1) {
			got[i] = true
		}
		if d := cmp.Diff(model, got); d != "" {
			t.Errorf("%d pages: %s", pages, d)
		}

		enc := sim.NewEncoder()
		b.Sync(enc)
		var back Bitmap
		dec := sim.NewDecoder(enc.Finish())
		back.Sync(dec)
		dec.Finish()
		if dec.Err() != nil {
			t.Fatal(dec.Err())
		}
		if d := cmp.Diff(b.runs(), back.runs(), cmp.AllowUnexported(wordRun{})); d != "" {
			t.Errorf("restored: %s", d)
		}
		h.freeBitmap(&b)
		if b.Exists() {
			t.Error("a freed bitmap exists")
		}
	}
}

// Memory of rings and bitmaps goes back to the allocator.
func TestAllocation(t *testing.T) {
	h := NewHost(HostSpec{})
	vm := h.CreateVM()
	used := h.Machine.Alloc.Used
	for _, bytes := range []uint32{4096, 65536, 1 << 20} {
		r, ok := vm.newRing(bytes / RingEntryBytes)
		if !ok || r.Size != bytes/16 || r.SoftLimit != bytes/16-64 || r.EntryPA(r.Size) != r.Base {
			t.Errorf("ring of %d bytes: %+v", bytes, r)
		}
		h.freeRing(&r)
	}
	b, _ := h.newBitmap(1 << 20)
	b.setAll(h.Machine.Mem)
	if h.Machine.Alloc.Used != used+64 {
		t.Errorf("1 Mi pages of bitmap take %d frames", h.Machine.Alloc.Used-used)
	}
	h.freeBitmap(&b)
	if h.Machine.Alloc.Used != used {
		t.Errorf("%d frames are left over", h.Machine.Alloc.Used-used)
	}
}
