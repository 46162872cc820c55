package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stillWritable returns which of the pages stage 2 lets the guest write.
func (r *rig) stillWritable(pages []uint64) (w []uint64) {
	for _, p := range pages {
		if r.writable(p) {
			w = append(w, p)
		}
	}
	return w
}

// A reset protects the contiguous span of each batch of 64 pages, in between
// whatever it likes. kvm-dirty-tracking.md 3.5, recordings b_span.
func TestResetSpan(t *testing.T) {
	for _, tc := range []struct {
		name           string
		writes         []uint64
		harvest        int
		stays, batches []uint64
	}{
		{"between", []uint64{10, 20, 30, 5, 15, 25}, 3, []uint64{5}, []uint64{1}},
		{"ascending", []uint64{0, 63, 64, 127, 128}, 5, nil, []uint64{3}},
		{"window of 64", []uint64{0, 64, 32}, 2, []uint64{32}, []uint64{2}},
		{"just within", []uint64{0, 63, 32}, 2, nil, []uint64{1}},
		{"descending", []uint64{63, 0, 32}, 2, nil, []uint64{1}},
		{"descending too far", []uint64{64, 0, 32}, 2, []uint64{32}, []uint64{2}},
		{"down, then up beyond", []uint64{40, 10, 73, 60}, 3, nil, []uint64{1}},
		{"down, then up too far", []uint64{40, 10, 74, 60}, 3, []uint64{60}, []uint64{2}},
		{"down would push a bit out", []uint64{10, 70, 5, 7}, 3, []uint64{7}, []uint64{2}},
		{"single", []uint64{9, 8, 10}, 1, []uint64{8, 10}, []uint64{1}},
	} {
		r := newRig(t, mode{ring: 256, bitmap: true, pages: 200})
		r.write(0, tc.writes...)
		var fetch uint32
		r.harvest(0, &fetch, tc.harvest)
		if n := r.reset(); n != int64(tc.harvest) {
			t.Errorf("%s: reset returned %d", tc.name, n)
		}
		if d := cmp.Diff(tc.stays, r.stillWritable(tc.writes)); d != "" {
			t.Errorf("%s: still writable %s", tc.name, d)
		}
		if n := r.h.Stats.ResetBatches; n != tc.batches[0] {
			t.Errorf("%s: %d batches", tc.name, n)
		}
	}
}

// Reset stops at the first entry without bit 1 of flags; other bits do not
// matter. Recordings b_mark_values, b_gap.
func TestResetFlags(t *testing.T) {
	for _, tc := range []struct {
		flags []uint32
		want  int64
	}{
		{[]uint32{2, 3, 6, 0x7ffffffe, 1, 2}, 4},
		{[]uint32{4, 2}, 0}, {[]uint32{2, 0, 2}, 1}, {[]uint32{1}, 0}, {nil, 0},
	} {
		r := newRig(t, mode{ring: 256, bitmap: true, pages: 200})
		r.write(0, upTo(6)...)
		for i, f := range tc.flags {
			r.poke(0, uint32(i), f, 1, uint64(i))
		}
		if n := r.reset(); n != tc.want {
			t.Errorf("flags %v: reset returned %d, want %d", tc.flags, n, tc.want)
		}
		for i := range tc.want {
			if flags, _, _ := r.entry(0, uint32(i)); flags != 0 {
				t.Errorf("flags %v: entry %d has %d after the reset", tc.flags, i, flags)
			}
		}
		flushes := uint64(0)
		if tc.want != 0 {
			flushes = 1
		}
		if r.h.Stats.TLBFlushes != 1+flushes { // one of enabling logging
			t.Errorf("flags %v: %d flushes", tc.flags, r.h.Stats.TLBFlushes)
		}
	}
}

// What userspace may write into an entry is ignored if it names nothing.
// Recordings b_hostile.
func TestHostileEntries(t *testing.T) {
	for _, tc := range []struct {
		slot   uint32
		offset uint64
	}{
		{5, 0}, {65537, 1}, {1 << 31, 1}, {0xffffffff, 1}, {40000, 1}, {32767, 1},
		{1, 200}, {1, ^uint64(0)}, {1, 1 << 63}, {1, 1<<52 - 1}, {1, 1 << 52}, {1, ^uint64(0) - 63},
	} {
		r := newRig(t, mode{ring: 256, bitmap: true, pages: 200})
		r.write(0, upTo(20)...)
		r.poke(0, 0, 2, tc.slot, tc.offset)
		if n := r.reset(); n != 1 {
			t.Errorf("%+v: reset returned %d", tc, n)
		}
		if w := r.stillWritable(upTo(20)); len(w) != 20 {
			t.Errorf("%+v: protected pages, %v are left", tc, w)
		}
		if r.h.Stats.ResetIgnored != 1 || len(r.h.Losses) != 0 {
			t.Errorf("%+v: %d ignored, losses %v", tc, r.h.Stats.ResetIgnored, r.h.Losses)
		}
	}
	// The sum of a hostile offset and the highest bit wraps into the slot.
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 200})
	r.write(0, upTo(20)...)
	r.poke(0, 0, 2, 1, ^uint64(0)-4)
	r.poke(0, 1, 2, 1, 10)
	if n := r.reset(); n != 2 {
		t.Errorf("reset returned %d", n)
	}
	if w := r.stillWritable(upTo(20)); len(w) != 20 {
		t.Errorf("a wrapped batch protected pages: %v are left", w)
	}
}

// A batch that holds an entry beyond the slot's end is dropped whole; repaired,
// its live part is protected. Recordings b_stale_batch.
func TestStaleBatch(t *testing.T) {
	for _, kernel := range []string{"7.2", "6.12", "7.2+fixed"} {
		r := newRig(t, mode{kernel: kernel, ring: 256, bitmap: true, pages: 30})
		r.write(0, upTo(30)...)
		for i := range uint32(30) { // in one window with an entry of a larger slot of old
			r.poke(0, i, 2, 1, uint64(i))
		}
		r.poke(0, 29, 2, 1, 49)
		if n := r.reset(); n != 30 {
			t.Fatalf("%s: reset returned %d", kernel, n)
		}
		left := r.stillWritable(upTo(29))
		if kernel == "7.2+fixed" {
			if left != nil || len(r.h.Losses) != 0 {
				t.Errorf("%s: writable %v, losses %v", kernel, left, r.h.Losses)
			}
			continue
		}
		if len(left) != 29 {
			t.Errorf("%s: %d pages left writable", kernel, len(left))
		}
		r.h.Losses[0].At = 0
		want := []Loss{{GFN: r.slot().Base, Pages: 29, VMID: 1, VCPU: -1, Cause: LossStaleBatch}}
		if d := cmp.Diff(want, r.h.Losses); d != "" {
			t.Errorf("%s: %s", kernel, d)
		}
	}
}

// A signal stops the reset: the kernel since 6.17 drops the batch that is still
// pending, the repaired one protects it first, older ones do not look.
func TestInterruptedReset(t *testing.T) {
	for _, tc := range []struct {
		kernel string
		want   int64
		left   int // pages reset but still writable
	}{{"7.2", 30, 30}, {"7.2+fixed", 30, 0}, {"6.12", 100, 0}} {
		r := newRig(t, mode{kernel: tc.kernel, ring: 256, bitmap: true, pages: 100})
		r.write(0, upTo(100)...)
		var fetch uint32
		r.harvest(0, &fetch, 100)
		r.t.StartReset(r.vm)
		for r.t.reset.counter < 29 {
			r.t.Step()
		}
		r.t.Signal = true
		r.t.Finish()
		if r.t.Ret != tc.want || r.t.Err != OK {
			t.Errorf("%s: reset returned %d %v", tc.kernel, r.t.Ret, r.t.Err)
		}
		if got := len(r.stillWritable(upTo(uint64(tc.want)))); got != tc.left {
			t.Errorf("%s: %d pages left writable", tc.kernel, got)
		}
		var lost uint64
		for _, l := range r.h.Losses {
			lost += l.Pages
			if l.Cause != LossResetInterrupted {
				t.Errorf("%s: loss %+v", tc.kernel, l)
			}
		}
		if lost != uint64(tc.left) {
			t.Errorf("%s: %d pages in the ledger", tc.kernel, lost)
		}
		if n := r.reset(); n != 100-tc.want {
			t.Errorf("%s: the next reset returned %d", tc.kernel, n)
		}
	}
}

// Marking entries nobody pushed drives reset_index past dirty_index: the vCPU is
// stuck at full. Recording b_hostile variant 4.
func TestResetPastDirty(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 100})
	r.write(0, upTo(20)...)
	for i := range uint32(256) {
		r.poke(0, i, 2, 1, uint64(i%20))
	}
	if n := r.reset(); n != 256 {
		t.Fatalf("reset returned %d", n)
	}
	r.do(0, GuestStore, upTo(20)...)
	for range 3 {
		if run := r.run(0); run.ExitReason != ExitDirtyRingFull {
			t.Fatalf("exit %d", run.ExitReason)
		}
		r.reset()
	}
	if d := cmp.Diff([]string{"kvm_dirty_ring_push"}, r.h.Warns); d != "" {
		t.Error(d)
	}
	if n := r.h.Stats.Losses[LossResetPastDirty]; n != 1 {
		t.Errorf("%d losses", n)
	}
	if n := r.h.Stats.Losses[LossRingOverflow]; n != 0 {
		t.Errorf("%d overflows of empty entries", n)
	}

	r = newRig(t, mode{kernel: "7.2+fixed", ring: 256, bitmap: true, pages: 100})
	r.write(0, upTo(20)...)
	for i := range uint32(256) {
		r.poke(0, i, 2, 1, uint64(i%20))
	}
	if n := r.reset(); n != 20 {
		t.Errorf("repaired: reset returned %d", n)
	}
}

// The rings of all vCPUs are reset in order of creation, under one count.
func TestResetAllRings(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 100, vcpus: 3})
	fetch := make([]uint32, 3)
	for i := range 3 {
		r.write(i, upTo(100)[i*30:i*30+10+i]...)
		r.harvest(i, &fetch[i], 100)
	}
	if n := r.reset(); n != 10+11+12 {
		t.Errorf("reset returned %d", n)
	}
	for _, v := range r.vm.VCPUs {
		if v.Ring.Used() != 0 || v.Stats.ResetEntries != uint64(10+v.Index) {
			t.Errorf("vCPU %d: %d used, %d reset", v.Index, v.Ring.Used(), v.Stats.ResetEntries)
		}
	}
	if _, e := newRig(t, mode{}).vm.ResetDirtyRings(r.t); e != EINVAL {
		t.Errorf("without rings: %v", e)
	}
}
