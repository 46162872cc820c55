package sim

import (
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStreamGolden pins the numbers: results of all simulations depend on them.
func TestStreamGolden(t *testing.T) {
	s := NewStream(1, "vcpu.0")
	got := []uint64{s.Key}
	for range 4 {
		got = append(got, s.Uint64())
	}
	for range 4 {
		got = append(got, s.N(1000))
	}
	want := []uint64{
		0xa3150d43c3bf1b4c, // xxHash64 of the seed, little-endian, and the name
		14880810208104970899, 4673792001664525968, 1551418375495705259, 15463042359842159247,
		727, 412, 870, 632,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStreamIsFunctionOfCounter(t *testing.T) {
	s := NewStream(7, "x")
	for range 10 {
		s.Uint64()
	}
	jumped := Stream{Key: s.Key, Counter: 10}
	if a, b := s.Uint64(), jumped.Uint64(); a != b {
		t.Errorf("number 10 is %x, or %x when jumped to", a, b)
	}
}

// TestStreamsIndependent compares streams of neighbouring names and seeds: no
// number in common, and no relation between numbers at the same place or
// between a stream and itself one further.
func TestStreamsIndependent(t *testing.T) {
	const draws = 4096
	var streams []Stream
	for seed := range uint64(4) {
		for _, name := range []string{"", "vcpu.0", "vcpu.1", "vcpu.10", "its"} {
			streams = append(streams, NewStream(seed, name))
		}
	}
	// Keys that differ by little, or by the step of the counter, as no name may
	// happen to give them.
	step := uint64(0x9e3779b97f4a7c15)
	for _, d := range []uint64{1, 1 << 63, step, step << 1} {
		streams = append(streams, Stream{Key: streams[0].Key + d})
	}
	seen := map[uint64]int{}
	var rows [][]uint64
	for i := range streams {
		s := streams[i]
		var row []uint64
		for range draws {
			v := s.Uint64()
			if other, twice := seen[v]; twice {
				t.Fatalf("streams %d and %d share the number %x", other, i, v)
			}
			seen[v] = i
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	// Each bit of the difference is a coin: 64*draws tosses, sigma 256.
	coins := func(a, b []uint64) (ones int) {
		for i := range a {
			ones += bits.OnesCount64(a[i] ^ b[i])
		}
		return ones - 32*len(a)
	}
	for i := range rows {
		for j := range rows {
			d := 0
			if i == j {
				d = coins(rows[i][1:], rows[i][:draws-1])
			} else {
				d = coins(rows[i], rows[j])
			}
			if d < -5*256 || d > 5*256 {
				t.Errorf("streams %d and %d agree in %d bits more than by chance", i, j, -d)
			}
		}
	}
}

// TestStreamBits looks at every bit, and every pair of neighbours, as a coin.
func TestStreamBits(t *testing.T) {
	const draws = 1 << 16 // sigma 128
	s := NewStream(3, "bits")
	var ones, same [64]int
	for range draws {
		v := s.Uint64()
		w := v ^ bits.RotateLeft64(v, 1)
		for b := range 64 {
			ones[b] += int(v >> b & 1)
			same[b] += int(w >> b & 1)
		}
	}
	for b := range 64 {
		for _, n := range []int{ones[b], same[b]} {
			if d := n - draws/2; d < -5*128 || d > 5*128 {
				t.Errorf("bit %d: off by %d of %d", b, d, draws)
			}
		}
	}
}

// TestStreamN draws from a range in which the plain multiplication would give
// every third number twice as often: N must not.
func TestStreamN(t *testing.T) {
	const draws = 30_000
	s := NewStream(1, "n")
	var third [3]int
	for range draws {
		v := s.N(3 << 62)
		if v >= 3<<62 {
			t.Fatalf("%d is out of range", v)
		}
		third[v%3]++
	}
	for r, n := range third {
		if d := n - draws/3; d < -5*82 || d > 5*82 { // sigma = sqrt(draws*2/9)
			t.Errorf("remainder %d: %d of %d draws", r, n, draws)
		}
	}
	for _, n := range []uint64{1, 2, 3, 7, 64, 1000} {
		seen := map[uint64]bool{}
		for range 20 * n {
			v := s.N(n)
			if v >= n {
				t.Fatalf("N(%d) gave %d", n, v)
			}
			seen[v] = true
		}
		if n < 100 && len(seen) != int(n) {
			t.Errorf("N(%d) gave only %d values", n, len(seen))
		}
	}
	if before := s.Counter; s.N(1) != 0 || s.Counter != before+1 {
		t.Error("N(1) must draw once: the position must not depend on the range")
	}
}

func TestStreamChance(t *testing.T) {
	const draws = 70_000
	s := NewStream(1, "chance")
	hits := 0
	for range draws {
		if s.Chance(2, 7) {
			hits++
		}
		if s.Chance(0, 5) || !s.Chance(5, 5) || !s.Chance(9, 5) {
			t.Fatal("chances of 0 and 1 are certain")
		}
	}
	if d := hits - draws*2/7; d < -600 || d > 600 { // sigma 120
		t.Errorf("%d of %d, want two in seven", hits, draws)
	}
}

func TestStreamShuffle(t *testing.T) {
	const draws = 24_000
	s := NewStream(1, "shuffle")
	count := map[[4]int]int{}
	for range draws {
		p := [4]int{0, 1, 2, 3}
		s.Shuffle(4, func(i, j int) { p[i], p[j] = p[j], p[i] })
		count[p]++
	}
	if len(count) != 24 {
		t.Errorf("%d orders of 24", len(count))
	}
	for p, n := range count {
		if n < 1000-5*31 || n > 1000+5*31 { // sigma 31
			t.Errorf("order %v came %d times of %d", p, n, draws)
		}
	}
	s.Shuffle(0, nil)
	s.Shuffle(1, nil)
}

func TestStreamSync(t *testing.T) {
	s := NewStream(5, "saved")
	s.Uint64()
	c := NewEncoder()
	s.Sync(c)
	var r Stream
	r.Sync(NewDecoder(c.Finish()))
	for range 5 {
		if a, b := s.Uint64(), r.Uint64(); a != b {
			t.Fatalf("%x after restoring, %x undisturbed", b, a)
		}
	}
}

func TestStreamEmptyRange(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("N(0) returned")
		}
	}()
	s := NewStream(1, "x")
	s.N(0)
}

func BenchmarkStream(b *testing.B) {
	s := NewStream(1, "bench")
	sum := uint64(0)
	for b.Loop() {
		sum += s.N(1000)
	}
	if sum == 0 {
		b.Error("a thousand draws of nothing but 0")
	}
}
