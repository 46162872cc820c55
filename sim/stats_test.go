package sim

import (
	"math"
	"math/big"
	"slices"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStatsEach(t *testing.T) {
	s := NewStats()
	exits, faults := uint64(3), uint64(1<<63+1)
	var level Level
	var hist Histogram
	level.Set(10, 4)
	hist.Add(5)
	hist.Add(8)
	s.Counter("vcpu.10.exits", "exits", "Returns of KVM_RUN.", &exits)
	s.Counter("vcpu.2.exits", "exits", "Returns of KVM_RUN.", &exits)
	s.Histogram("vcpu.2.lag", "cycles", "Time to harvest.", &hist)
	s.Level("vcpu.2.ring", "entries", "Entries in use.", &level)
	s.Derived("ipc", "", "Instructions per cycle.", func() float64 { return 0.5 })
	s.Counter("faults", "faults", "Stage-2 faults.", &faults)
	s.Now = 40
	exits++
	var got []Stat
	s.Each(func(st Stat) { got = append(got, st) })
	want := []Stat{
		{Name: "faults", Unit: "faults", Desc: "Stage-2 faults.", Kind: KindCounter, Value: 1 << 63, Exact: 1<<63 + 1},
		{Name: "ipc", Desc: "Instructions per cycle.", Kind: KindDerived, Value: 0.5},
		{Name: "vcpu.2.exits", Unit: "exits", Desc: "Returns of KVM_RUN.", Kind: KindCounter, Value: 4, Exact: 4},
		{Name: "vcpu.2.lag", Unit: "cycles", Desc: "Time to harvest.", Kind: KindHistogram, Value: 6.5, Exact: 2, Histogram: &hist},
		{Name: "vcpu.2.ring", Unit: "entries", Desc: "Entries in use.", Kind: KindLevel, Value: 3, Exact: 4, Level: &level},
		{Name: "vcpu.10.exits", Unit: "exits", Desc: "Returns of KVM_RUN.", Kind: KindCounter, Value: 4, Exact: 4},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Level{}, Histogram{}, sum128{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if level.Value != 4 || level.since != 10 {
		t.Error("reading a level changed it")
	}
	var kinds []string
	for k := KindCounter; k <= KindDerived; k++ {
		kinds = append(kinds, k.String())
	}
	if diff := cmp.Diff([]string{"counter", "level", "histogram", "derived"}, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatsTwice(t *testing.T) {
	for _, name := range []string{"a", ""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was registered a second time, or at all", name)
				}
			}()
			s := NewStats()
			s.Counter("a", "", "", new(uint64))
			s.Level(name, "", "", new(Level))
		}()
	}
}

// TestNaturalLess gives names in their order and compares every pair.
func TestNaturalLess(t *testing.T) {
	names := []string{
		"", "0", "00001", "1", "2", "10", "18446744073709551616", "99999999999999999999",
		"its", "its.lpi", "its-a", "its0", "its0.lpi", "itsx",
		"vcpu.02", "vcpu.2", "vcpu.02.exits", "vcpu.2.exits", "vcpu.2a", "vcpu.10", "vcpu.10.exits", "vcpu.a", "vcpu2", "vcpu10",
	}
	sorted := slices.Clone(names)
	draw := NewStream(1, "names")
	for range 20 {
		draw.Shuffle(len(sorted), func(i, j int) { sorted[i], sorted[j] = sorted[j], sorted[i] })
		sort.Slice(sorted, func(i, j int) bool { return NaturalLess(sorted[i], sorted[j]) })
		if diff := cmp.Diff(names, sorted); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	for i, a := range names {
		for j, b := range names {
			if NaturalLess(a, b) != (i < j) {
				t.Errorf("NaturalLess(%q, %q) = %v", a, b, i >= j)
			}
		}
	}
}

// TestLevelExact compares the mean with one computed in big numbers.
func TestLevelExact(t *testing.T) {
	draw := NewStream(1, "level")
	for range 200 {
		var l Level
		now, value, highest := Cycle(0), uint64(0), uint64(0)
		area := new(big.Int)
		shift := draw.N(58)
		for range 50 {
			step := Cycle(draw.N(1 << draw.N(58)))
			area.Add(area, new(big.Int).Mul(new(big.Int).SetUint64(value), new(big.Int).SetUint64(uint64(step))))
			now += step
			value = draw.Uint64() >> shift
			highest = max(highest, value)
			l.Set(now, value)
		}
		if got := new(big.Int).SetUint64(l.area.hi); got.Lsh(got, 64).Add(got, new(big.Int).SetUint64(l.area.lo)).Cmp(area) != 0 {
			t.Fatalf("area %v, want %v", got, area)
		}
		want, _ := new(big.Rat).SetFrac(area, new(big.Int).SetUint64(uint64(now))).Float64()
		if got := l.Mean(now); math.Abs(got-want) > want*1e-15 {
			t.Errorf("mean %v, want %v", got, want)
		}
		if l.Max != highest || l.Value != value {
			t.Errorf("max %d, value %d, want %d, %d", l.Max, l.Value, highest, value)
		}
	}
}

func TestLevelEdges(t *testing.T) {
	var l Level
	if l.Mean(0) != 0 || l.Mean(100) != 0 {
		t.Error("a level never set is 0")
	}
	l.Set(0, 8)
	if got := l.Mean(0); got != 0 {
		t.Errorf("mean over no time is %v", got)
	}
	l.Set(10, 2)
	l.Set(5, 4) // a core that is behind
	if got, want := l.Mean(20), 6.0; got != want {
		t.Errorf("mean %v, want %v", got, want)
	}
	if got, want := l.Mean(3), 8.0; got != want {
		t.Errorf("mean up to the last change %v, want %v", got, want)
	}
}

// TestHistogramBuckets walks the borders of all buckets: each value lies in
// its bucket, buckets meet, and none is wider than a 32nd of its values.
func TestHistogramBuckets(t *testing.T) {
	next := uint64(0)
	for i := range maxBuckets {
		low, high := bucketLow(i), bucketTop(i)
		if low != next || high < low {
			t.Fatalf("bucket %d is %d to %d, the last ended before %d", i, low, high, next)
		}
		if bucketOf(low) != i || bucketOf(high) != i {
			t.Fatalf("bucket %d: its borders are put into %d and %d", i, bucketOf(low), bucketOf(high))
		}
		if high-low > low/32 {
			t.Fatalf("bucket %d, %d to %d, is too wide", i, low, high)
		}
		next = high + 1
	}
	if next != 0 {
		t.Errorf("the last bucket ends before %d", next)
	}
}

// TestHistogramExact compares with a sorted list of the values.
func TestHistogramExact(t *testing.T) {
	draw := NewStream(1, "histogram")
	for _, bound := range []uint64{60, 5000, 1 << 40, math.MaxUint64} {
		var h, first, second Histogram
		var values []uint64
		sum := new(big.Int)
		for i := range 3000 {
			v := draw.N(bound) >> draw.N(4)
			h.Add(v)
			if i%3 == 0 {
				first.Add(v)
			} else {
				second.Add(v)
			}
			values = append(values, v)
			sum.Add(sum, new(big.Int).SetUint64(v))
		}
		slices.Sort(values)
		hi, lo := h.Sum()
		got := new(big.Int).SetUint64(hi)
		got.Lsh(got, 64).Add(got, new(big.Int).SetUint64(lo))
		if got.Cmp(sum) != 0 || h.Count != 3000 || h.Min != values[0] || h.Max != values[2999] {
			t.Fatalf("sum %v, count %d, min %d, max %d; want %v, 3000, %d, %d", got, h.Count, h.Min, h.Max, sum, values[0], values[2999])
		}
		want, _ := new(big.Rat).SetFrac(sum, big.NewInt(3000)).Float64()
		if mean := h.Mean(); math.Abs(mean-want) > want*1e-15 {
			t.Errorf("mean %v, want %v", mean, want)
		}
		for _, q := range []uint64{0, 1, 250, 500, 900, 990, 999, 1000, 1001} {
			rank := max(1, (q*3000+999)/1000) // ceil
			exact := values[min(rank, 3000)-1]
			got := h.Quantile(q, 1000)
			if got < exact || got-exact > exact/32 {
				t.Errorf("bound %d: quantile %d/1000 is %d, exactly %d", bound, q, got, exact)
			}
		}
		first.Merge(&second)
		first.Merge(&Histogram{})
		if diff := cmp.Diff(h, first, cmp.AllowUnexported(Histogram{}, sum128{})); diff != "" {
			t.Errorf("merged (-whole +merged):\n%s", diff)
		}
		total := uint64(0)
		last := uint64(0)
		h.Each(func(low, high, count uint64) {
			if total > 0 && low <= last {
				t.Errorf("bucket at %d after %d", low, last)
			}
			last = high
			total += count
		})
		if total != h.Count {
			t.Errorf("%d values in the buckets, %d in all", total, h.Count)
		}
	}
}

func TestHistogramEmpty(t *testing.T) {
	var h Histogram
	h.Each(func(low, high, count uint64) { t.Error("an empty histogram has a bucket") })
	if h.Quantile(1, 2) != 0 || h.Mean() != 0 || h.Min != 0 || h.Max != 0 {
		t.Error("an empty histogram is not 0")
	}
	h.Add(1000) // in the bucket up to 1007
	if got := h.Quantile(1, 2); got != 1000 {
		t.Errorf("the median of 1000 alone is %d", got)
	}
	var m Histogram
	h.Add(7)
	m.Merge(&h)
	if m.Min != 7 || m.Quantile(0, 2) != 7 {
		t.Errorf("min %d after merging into an empty one", m.Min)
	}
}

func TestHistogramAllocates(t *testing.T) {
	var h Histogram
	h.Add(1 << 50)
	if n := testing.AllocsPerRun(100, func() { h.Add(12345) }); n != 0 {
		t.Errorf("%v allocations per value", n)
	}
}

// TestStatsSync restores a level and a histogram in the middle and goes on.
func TestStatsSync(t *testing.T) {
	var l, l2 Level
	var h, h2 Histogram
	play := func(l *Level, h *Histogram, from, to int) {
		for i := from; i < to; i++ {
			l.Set(Cycle(i*i), uint64(i*7%13))
			h.Add(uint64(i * i * i))
		}
	}
	play(&l, &h, 0, 50)
	c := NewEncoder()
	l.Sync(c)
	h.Sync(c)
	d := NewDecoder(c.Finish())
	l2.Sync(d)
	h2.Sync(d)
	if d.Finish(); d.Err() != nil {
		t.Fatal(d.Err())
	}
	play(&l, &h, 50, 100)
	play(&l2, &h2, 50, 100)
	if diff := cmp.Diff(l, l2, cmp.AllowUnexported(Level{}, sum128{})); diff != "" {
		t.Errorf("level (-undisturbed +restored):\n%s", diff)
	}
	if diff := cmp.Diff(h, h2, cmp.AllowUnexported(Histogram{}, sum128{})); diff != "" {
		t.Errorf("histogram (-undisturbed +restored):\n%s", diff)
	}
}

func TestHistogramRestoreTooMany(t *testing.T) {
	h := Histogram{buckets: make([]uint64, maxBuckets+1)}
	c := NewEncoder()
	h.Sync(c)
	d := NewDecoder(c.Finish())
	new(Histogram).Sync(d)
	if d.Err() == nil {
		t.Error("a histogram of too many buckets was restored")
	}
}

func BenchmarkHistogram(b *testing.B) {
	var h Histogram
	v := uint64(1)
	for b.Loop() {
		h.Add(v & (1<<20 - 1))
		v = v*6364136223846793005 + 1
	}
}
