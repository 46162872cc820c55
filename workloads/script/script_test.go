package script

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// trace drains at most n accesses, batch by batch as a vCPU does, and writes one
// line each. Fetches and reads of the script are left out unless all is set.
func trace(s *Stream, batch, n int, all bool) []string {
	var out []string
	dst := make([]kvmcore.GuestAccess, batch)
	for len(out) < n {
		k := s.Fill(dst)
		if k == 0 {
			break
		}
		for _, a := range dst[:k] {
			own := a.IPA >= Base && a.IPA < Base+0x100000
			if own && !all {
				continue
			}
			op := [...]string{"load", "store", "store+", "fetch", "idle", "end"}[a.Op]
			if len(out) < n {
				out = append(out, fmt.Sprintf("%s %#x/%d %#x", op, uint64(a.IPA), a.Size, a.Value))
			}
		}
	}
	return out
}

func newScript(t *testing.T, vcpu int, ops ...Op) *Stream {
	t.Helper()
	s := NewStream(vcpu)
	if _, err := new(Area).Append(s, ops); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOperations(t *testing.T) {
	const b = mmu.IPA(0x40000000)
	for _, c := range []struct {
		name string
		ops  []Op
		want string
	}{
		{"write_seq, negative value", []Op{{Kind: WriteSeq, Base: b, Stride: 8192, Count: 3, Val: ^uint64(0)}},
			"store 0x40000000/8 0xffffffffffffffff|store 0x40002000/8 0x0|store 0x40004000/8 0x1"},
		{"read_seq, negative stride", []Op{{Kind: ReadSeq, Base: b + 8192, Stride: -4096, Count: 2}},
			"load 0x40002000/8 0x0|load 0x40001000/8 0x0"},
		{"readwrite_seq", []Op{{Kind: ReadWriteSeq, Base: b, Stride: 4096, Count: 2}},
			"load 0x40000000/8 0x0|store+ 0x40000000/8 0x1|load 0x40001000/8 0x0|store+ 0x40001000/8 0x1"},
		{"write64, write32, write_pair", []Op{{Kind: Write64, Base: b, Val: 5}, {Kind: Write32, Base: b, Val: 6}, {Kind: WritePair, Base: b + 0xff8}},
			"store 0x40000000/8 0x5|store 0x40000000/4 0x6|store 0x40000ff8/16 0x1|store 0x40001000/8 0x2"},
		{"write_list", []Op{{Kind: WriteList, Base: b, List: []uint64{7, 2}}},
			"store 0x40007000/8 0x7|store 0x40002000/8 0x2"},
		{"empty operations", []Op{{Kind: WriteSeq, Base: b}, {Kind: WriteList, Base: b}, {Kind: WriteLCG, Base: b, Pages: 3}, {Kind: MMIOExit, Val: 9}},
			"store 0x9000000/4 0x9"},
		{"read64_report, read32_report", []Op{{Kind: Read64Report, Base: b}, {Kind: Read32Report, Base: b}},
			"load 0x40000000/8 0x0|store+ 0x9000008/8 0x0|load 0x40000000/4 0x0|store+ 0x9000004/4 0x0"},
		// x1 = 1*6364136223846793005 + 1442695040888963407, x2 likewise of x1.
		{"write_lcg, read_lcg", []Op{{Kind: WriteLCG, Base: b, Pages: 128, Count: 2, Val: 1}, {Kind: ReadLCG, Base: b, Pages: 128, Count: 1, Val: 1}},
			"store 0x40056000/8 0x6c576fac43fd007c|store 0x40059000/8 0x826886b3864a1b1b|load 0x40056000/8 0x0"},
		{"loop", []Op{{Kind: Write64, Base: b}, {Kind: MMIOExit, Val: 1}, {Kind: Loop, Target: 1, Count: 2}},
			"store 0x40000000/8 0x0|store 0x9000000/4 0x1|store 0x9000000/4 0x1|store 0x9000000/4 0x1"},
		{"loop in a loop", []Op{{Kind: MMIOExit, Val: 1}, {Kind: Loop, Target: 0, Count: 1}, {Kind: MMIOExit, Val: 2}, {Kind: Loop, Target: 0, Count: 1}},
			"store 0x9000000/4 0x1|store 0x9000000/4 0x1|store 0x9000000/4 0x2|store 0x9000000/4 0x1|store 0x9000000/4 0x1|store 0x9000000/4 0x2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := append(strings.Split(c.want, "|"), "store 0x9000000/4 0xdead", "store 0x9000000/4 0xdead")
			for _, batch := range []int{3, 4, 64} {
				got := trace(newScript(t, 0, c.ops...), batch, len(want), false)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("batch %d (-want +got):\n%s", batch, d)
				}
			}
		})
	}
}

// The guest's own accesses: code page, then the operation's word, then lists.
func TestOwnAccesses(t *testing.T) {
	var area Area
	s, other := NewStream(1), NewStream(0)
	list := []Op{{Kind: WriteList, Base: 0x40000000, List: []uint64{1, 2}}}
	for _, st := range []*Stream{other, s} {
		if _, err := area.Append(st, list); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"fetch 0x10000000/4 0x0", "load 0x10020000/8 0x0",
		"load 0x10080010/8 0x0", "store 0x40001000/8 0x1", "load 0x10080018/8 0x0", "store 0x40002000/8 0x2",
		"fetch 0x10000000/4 0x0", "load 0x10020040/8 0x0", "store 0x9000000/4 0xdead",
	}
	if d := cmp.Diff(want, trace(s, 64, len(want), true)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Operations appended before the guest reaches the end of its script come next,
// whatever it has been asked to fill before.
func TestAppendBetweenRuns(t *testing.T) {
	var area Area
	s := NewStream(0)
	dst := make([]kvmcore.GuestAccess, 64)
	last := func() kvmcore.GuestAccess { return dst[s.Fill(dst)-1] }
	for i := range uint64(3) {
		if _, err := area.Append(s, []Op{{Kind: MMIOExit, Val: i}}); err != nil {
			t.Fatal(err)
		}
		if a := last(); a.IPA != ExitAddr || a.Value != i {
			t.Fatalf("round %d ends with %+v", i, a)
		}
		if i == 1 { // the guest reaches the end once
			if a := last(); a.Value != ExhaustedID {
				t.Fatalf("exhausted: %+v", a)
			}
		}
	}
}

func TestAppendRefusesLoopForward(t *testing.T) {
	for _, target := range []int{-1, 1, 2} {
		ops := []Op{{Kind: MMIOExit}, {Kind: Loop, Target: target, Count: 1}}
		if _, err := new(Area).Append(NewStream(0), ops); err == nil {
			t.Errorf("a loop to operation %d is accepted", target)
		}
	}
}

// TestLimits: what does not fit is refused, and the interpreter fits its page.
func TestLimits(t *testing.T) {
	many := func(n int, op Op) []Op { return slices.Repeat([]Op{op}, n) }
	loop := append(many(1, Op{Kind: MMIOExit}), many(maxLoops+1, Op{Kind: Loop})...)
	list := Op{Kind: WriteList, List: make([]uint64, 0x10000)}
	for name, c := range map[string]struct {
		ops []Op
		ok  bool
	}{
		"operations": {many(maxOps, Op{Kind: MMIOExit}), true}, "one operation more": {many(maxOps+1, Op{Kind: MMIOExit}), false},
		"loops": {loop[:maxLoops+1], true}, "one loop more": {loop, false},
		"lists": {[]Op{list}, true}, "one page more": {[]Op{list, {Kind: WriteList, List: []uint64{1}}}, false},
	} {
		s := NewStream(1)
		patches, err := new(Area).Append(s, c.ops)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range patches {
			if p.IPA < Base || p.IPA+mmu.IPA(8*len(p.Words)) > Base+areaBytes {
				t.Errorf("%s: stores at %#x", name, p.IPA)
			}
		}
		if n := len(patches); c.ok && (patches[n-1].IPA != Start(1)+mmu.IPA(opBytes*len(c.ops)) || patches[n-1].Words[0] != 0) {
			t.Errorf("%s: the end is %+v", name, patches[n-1])
		}
	}
	if n := 8 * len(interpreter()); n > page {
		t.Errorf("the interpreter has %d bytes", n)
	}
}

// Save, restore, continue equals the undisturbed run, at every access.
func TestSync(t *testing.T) {
	ops := []Op{
		{Kind: WriteLCG, Base: 0x40000000, Pages: 10, Count: 4, Val: 3}, {Kind: ReadWriteSeq, Base: 0x40000000, Stride: 8, Count: 3},
		{Kind: Loop, Target: 0, Count: 2}, {Kind: WriteList, Base: 0x40000000, List: []uint64{3, 1}},
	}
	for n := range 60 {
		s := newScript(t, 2, ops...)
		trace(s, 3, n, true)
		enc := sim.NewEncoder()
		s.Sync(enc)
		restored := new(Stream)
		dec := sim.NewDecoder(enc.Finish())
		restored.Sync(dec)
		if dec.Err() != nil {
			t.Fatal(dec.Err())
		}
		if d := cmp.Diff(trace(s, 3, 20, true), trace(restored, 3, 20, true)); d != "" {
			t.Fatalf("after %d accesses (-went on +restored):\n%s", n, d)
		}
	}
}

func BenchmarkFill(b *testing.B) {
	s := NewStream(0)
	if _, err := new(Area).Append(s, []Op{{Kind: WriteSeq, Base: 0x40000000, Stride: 4096, Count: 1 << 62}}); err != nil {
		b.Fatal(err)
	}
	dst := make([]kvmcore.GuestAccess, 64)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		n += s.Fill(dst)
	}
}
