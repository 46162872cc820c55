package workloads

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

var update = flag.Bool("update", false, "rewrite the golden files of this package")

var sameAccess = cmpopts.IgnoreUnexported(kvmcore.GuestAccess{})

// everyPattern are specs of all patterns, plain and with every modifier.
func everyPattern() map[string]PatternSpec {
	specs := map[string]PatternSpec{}
	for _, info := range Patterns() {
		plain := PatternSpec{Pattern: info.Name, Base: 0x4000_0000, Size: 8 << 20}
		specs[info.Name] = plain
		mixed := plain
		mixed.Params = map[string]string{"writes": "30", "region": "shared", "think": "7", "store_bytes": "16",
			"word": "vary", "instructions": "5", "cpi": "1.234"}
		specs[info.Name+"/mixed"] = mixed
		small := plain
		small.Page = mmu.Granule64K
		small.Params = map[string]string{"accesses": "777", "store_bytes": "4", "region": "shared"}
		specs[info.Name+"/64k"] = small
	}
	return specs
}

// forEvery runs a subtest for every pattern, in a fixed order.
func forEvery(t *testing.T, f func(t *testing.T, s PatternSpec)) {
	specs := everyPattern()
	for _, info := range Patterns() {
		for _, kind := range []string{"", "/mixed", "/64k"} {
			t.Run(info.Name+kind, func(t *testing.T) { f(t, specs[info.Name+kind]) })
		}
	}
}

// take reads n accesses in batches of the given sizes, over and over.
func take(s kvmcore.Stream, n int, sizes ...int) []kvmcore.GuestAccess {
	out := make([]kvmcore.GuestAccess, n)
	for i, at := 0, 0; at < n; i++ {
		at += s.Fill(out[at:min(n, at+sizes[i%len(sizes)])])
	}
	return out
}

func TestPatternsGolden(t *testing.T) {
	var b strings.Builder
	specs := everyPattern()
	for _, info := range Patterns() {
		for _, kind := range []string{"", "/mixed"} {
			s := specs[info.Name+kind]
			for vcpu := range 2 {
				fmt.Fprintf(&b, "%s%s vcpu %d of 2, seed 1:", info.Name, kind, vcpu)
				for _, a := range take(NewPattern(s, vcpu, 2, 1), 10, 64) {
					switch a.Op {
					case kvmcore.GuestIdle:
						fmt.Fprintf(&b, " idle %d", a.Value)
					case kvmcore.GuestStore:
						fmt.Fprintf(&b, " S%d %x=%x@%d", a.Size, a.IPA, a.Value, a.Cycles)
					default:
						fmt.Fprintf(&b, " L%d %x@%d", a.Size, a.IPA, a.Cycles)
					}
				}
				b.WriteByte('\n')
			}
		}
	}
	golden(t, "patterns.txt", b.String())
}

// golden compares text with a file of testdata, line by line.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// However few accesses a call asks for, the sequence is the same.
func TestFillDoesNotDependOnBatches(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		want := take(NewPattern(s, 1, 3, 42), 2000, 64)
		got := take(NewPattern(s, 1, 3, 42), 2000, 1, 2, 3, 130, 7)
		if diff := cmp.Diff(want, got, sameAccess); diff != "" {
			t.Errorf("other accesses with other batches (-64 +mixed):\n%s", diff)
		}
	})
}

func TestPatternSync(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		for _, cut := range []int{0, 1, 2, 63, 64, 500, 1000} {
			whole := NewPattern(s, 0, 2, 9)
			take(whole, cut, 5, 64, 1)
			e := sim.NewEncoder()
			whole.Sync(e)
			restored := NewPattern(s, 0, 2, 9)
			take(restored, 17, 17) // a used stream must forget
			d := sim.NewDecoder(e.Finish())
			restored.Sync(d)
			if d.Finish(); d.Err() != nil {
				t.Fatalf("after %d accesses: %v", cut, d.Err())
			}
			h1, h2 := sim.NewHasher(), sim.NewHasher()
			whole.Sync(h1)
			restored.Sync(h2)
			if h1.Sum() != h2.Sum() {
				t.Errorf("after %d accesses: the restored stream hashes differently", cut)
			}
			if diff := cmp.Diff(take(whole, 300, 64), take(restored, 300, 64), sameAccess); diff != "" {
				t.Fatalf("after %d accesses the restored stream goes on differently (-whole +restored):\n%s", cut, diff)
			}
		}
	})
}

// A snapshot from elsewhere gives an error or a stream that stays in its region.
func TestPatternSyncOfForeignState(t *testing.T) {
	big := PatternSpec{Pattern: "sequential", Size: 1 << 30}
	small := PatternSpec{Pattern: "sequential", Size: 1 << 14}
	st := NewPattern(big, 0, 1, 1)
	take(st, 100, 64)
	e := sim.NewEncoder()
	st.Sync(e)
	d := sim.NewDecoder(e.Finish())
	NewPattern(small, 0, 1, 1).Sync(d)
	if !errors.Is(d.Err(), errPageBeyond) {
		t.Errorf("state of a larger region restored with error %v", d.Err())
	}
}

// Whatever vCPUs and words a pattern mixes, a store changes what it hits.
func TestStoredValuesDiffer(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		const vcpus = 3
		memory := map[mmu.IPA]uint64{}
		var streams [vcpus]kvmcore.Stream
		for v := range streams {
			streams[v] = NewPattern(s, v, vcpus, 3)
		}
		rng := sim.NewStream(1, "turns")
		stores := 0
		var dst [64]kvmcore.GuestAccess
		for range 500 {
			n := streams[rng.N(vcpus)].Fill(dst[:1+rng.N(64)])
			for _, a := range dst[:n] {
				if a.Op != kvmcore.GuestStore {
					continue
				}
				if before := memory[a.IPA]; before == a.Value {
					t.Fatalf("store of %#x to %#x changes nothing", a.Value, a.IPA)
				}
				memory[a.IPA] = a.Value
				stores++
			}
		}
		if stores < 700 {
			t.Fatalf("only %d stores", stores)
		}
	})
}

func TestPatternRegions(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		const vcpus = 3
		granule := s.granule()
		shared := s.Params["region"] == "shared"
		part := s.Size / vcpus / granule.Size() * granule.Size()
		for v := range vcpus {
			from, to := s.Base+mmu.IPA(uint64(v)*part), s.Base+mmu.IPA(uint64(v+1)*part)
			if shared {
				from, to = s.Base, s.Base+mmu.IPA(s.Size)
			}
			for _, a := range take(NewPattern(s, v, vcpus, 3), 3000, 64) {
				if a.Op == kvmcore.GuestIdle || a.Op == kvmcore.GuestEnd {
					continue
				}
				if a.IPA < from || a.IPA+mmu.IPA(a.Size) > to {
					t.Fatalf("vCPU %d accesses %#x, outside [%#x, %#x)", v, a.IPA, from, to)
				}
				if uint64(a.IPA)%uint64(a.Size) != 0 || s.Params["word"] != "vary" && uint64(a.IPA)%granule.Size() != 0 {
					t.Fatalf("access to %#x, size %d, is not where it should be in its page", a.IPA, a.Size)
				}
			}
		}
	})
}

// vCPUs that share a region agree about its popular pages; those with their own
// have their own.
func TestSharedRegionSharesItsLayout(t *testing.T) {
	top := func(region string, vcpu int) mmu.IPA {
		s := PatternSpec{Pattern: "zipf", Size: 1 << 26, Params: map[string]string{"region": region, "theta": "1.5"}}
		count := map[mmu.IPA]int{}
		best := mmu.IPA(0)
		for _, a := range take(NewPattern(s, vcpu, 2, 3), 20000, 64) {
			if count[a.IPA]++; count[a.IPA] > count[best] {
				best = a.IPA
			}
		}
		return best
	}
	if a, b := top("shared", 0), top("shared", 1); a != b {
		t.Errorf("shared region: hottest page is %#x for vCPU 0, %#x for vCPU 1", a, b)
	}
	if a, b := top("own", 0), top("own", 1)-1<<25; a == b {
		t.Errorf("own regions: both have their hottest page at %#x", a)
	}
}

func TestAccessesEnd(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		s.Params = map[string]string{"accesses": "130", "think": "5"}
		st := NewPattern(s, 0, 1, 1)
		accesses := 0
		var dst [7]kvmcore.GuestAccess
		for range 1000 {
			n := st.Fill(dst[:])
			for i, a := range dst[:n] {
				switch a.Op {
				case kvmcore.GuestEnd:
					if accesses != 130 || i != n-1 {
						t.Fatalf("ended after %d accesses, want 130, with %d more in the batch", accesses, n-1-i)
					}
					if n := st.Fill(dst[:]); n != 1 || dst[0].Op != kvmcore.GuestEnd {
						t.Fatalf("after the end come %d accesses, the first %v", n, dst[0].Op)
					}
					return
				case kvmcore.GuestStore:
					accesses++
				}
			}
		}
		t.Fatal("never ended")
	})
}

// The cycles of n accesses are exactly n * instructions * cpi, rounded down.
func TestCPIIsExact(t *testing.T) {
	for _, cpi := range []string{"0.001", "0.333", "1", "1.25", "7.999", "1000"} {
		s := PatternSpec{Pattern: "sequential", Size: 1 << 20, Params: map[string]string{"cpi": cpi, "instructions": "7"}}
		milli, err := ParseCPI(cpi)
		if err != nil {
			t.Fatal(err)
		}
		if milli.String() != cpi {
			t.Errorf("CPI %s prints as %s", cpi, milli)
		}
		cycles, instr := uint64(0), uint64(0)
		for i, a := range take(NewPattern(s, 0, 1, 1), 5000, 64) {
			cycles += uint64(a.Cycles)
			instr += uint64(a.Instr)
			if want := uint64(i+1) * 7 * uint64(milli) / 1000; cycles != want || instr != uint64(i+1)*7 {
				t.Fatalf("cpi %s: %d cycles and %d instructions after %d accesses, want %d and %d", cpi, cycles, instr, i+1, want, (i+1)*7)
			}
		}
	}
}

func TestWriteMix(t *testing.T) {
	for _, writes := range []string{"0", "1", "37", "100"} {
		s := PatternSpec{Pattern: "uniform", Size: 1 << 20, Params: map[string]string{"writes": writes}}
		stores, n := 0.0, 100_000
		for _, a := range take(NewPattern(s, 0, 1, 1), n, 64) {
			if a.Op == kvmcore.GuestStore {
				stores++
			}
		}
		var w float64
		fmt.Sscan(writes, &w)
		if want := w / 100 * float64(n); stores < want-4*158 || stores > want+4*158 {
			t.Errorf("writes %s%%: %.0f of %d accesses store", writes, stores, n)
		}
		if (w == 0 || w == 100) && stores != w/100*float64(n) {
			t.Errorf("writes %s%%: %.0f of %d accesses store, want exactly all or none", writes, stores, n)
		}
	}
}

// Bursts must be runs of consecutive pages with idle time between, and only there.
func TestBurstsShape(t *testing.T) {
	s := PatternSpec{Pattern: "bursts", Size: 100 << 12, Params: map[string]string{"length": "5", "gap": "1000"}}
	run, idle := 0, uint64(0)
	var before mmu.IPA
	for _, a := range take(NewPattern(s, 0, 1, 1), 6000, 64) {
		if a.Op == kvmcore.GuestIdle {
			if run != 0 && run != 5 {
				t.Fatalf("idle after %d accesses of a run", run)
			}
			run = 0
			idle += a.Value
			continue
		}
		if run == 5 {
			run = 0 // a gap of 0 cycles is no access
		}
		if run > 0 && a.IPA != (before+4096)%(100<<12) {
			t.Fatalf("page %#x follows %#x inside a run", a.IPA, before)
		}
		before = a.IPA
		run++
	}
	if idle < 900*1000 || idle > 1100*1000 {
		t.Errorf("%d idle cycles in about 1000 gaps of 1000", idle)
	}
}

func TestStridedVisitsAllPages(t *testing.T) {
	for _, pages := range []uint64{1, 2, 7, 8, 64, 65} {
		for _, stride := range []string{"1", "2", "8", "63", "1000"} {
			s := PatternSpec{Pattern: "strided", Size: pages << 12, Params: map[string]string{"stride": stride}}
			seen := map[mmu.IPA]int{}
			for _, a := range take(NewPattern(s, 0, 1, 1), int(3*pages), 64) {
				seen[a.IPA]++
			}
			for p := range pages {
				if seen[mmu.IPA(p<<12)] != 3 {
					t.Errorf("stride %s over %d pages: page %d came %d times in 3 sweeps", stride, pages, p, seen[mmu.IPA(p<<12)])
				}
			}
		}
	}
}

func TestFillAllocatesNothing(t *testing.T) {
	forEvery(t, func(t *testing.T, s PatternSpec) {
		st := NewPattern(s, 0, 1, 1)
		var dst [64]kvmcore.GuestAccess
		if n := testing.AllocsPerRun(100, func() { st.Fill(dst[:]) }); n != 0 {
			t.Errorf("%v allocations per Fill", n)
		}
	})
}

func TestPatternErrors(t *testing.T) {
	params := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for _, c := range []struct {
		spec  PatternSpec
		vcpus int
		want  string
	}{
		{PatternSpec{Pattern: "zipff"}, 1, `pattern: "zipff" is not one of [sequential strided uniform zipf hotcold bursts]`},
		{PatternSpec{Pattern: "zipf", Params: params("skew", "1")}, 1, "skew: pattern zipf has no such parameter"},
		{PatternSpec{Pattern: "zipf", Params: params("theta", "2.1")}, 1, "theta: 2.1 is out of range; write a number with at most 6 decimals from 0 to 2"},
		{PatternSpec{Pattern: "zipf", Params: params("theta", "-1")}, 1, `theta: "-1" is not a number`},
		{PatternSpec{Pattern: "zipf", Params: params("theta", "0.1234567")}, 1, "has more than 6 decimals"},
		{PatternSpec{Pattern: "uniform", Params: params("writes", "101")}, 1, "writes: 101 is out of range; write a whole number from 0 to 100 (%)"},
		{PatternSpec{Pattern: "uniform", Params: params("writes", "1.5")}, 1, `writes: "1.5" is not a whole number`},
		{PatternSpec{Pattern: "uniform", Params: params("writes", "")}, 1, "is not a number"},
		{PatternSpec{Pattern: "uniform", Params: params("writes", "1_0")}, 1, "is not a number"},
		{PatternSpec{Pattern: "uniform", Params: params("writes", "99999999999999999999")}, 1, "not a number below 2^64"},
		{PatternSpec{Pattern: "uniform", Params: params("store_bytes", "2")}, 1, `store_bytes: "2" is not one of 4 | 8 | 16`},
		{PatternSpec{Pattern: "uniform", Params: params("region", "mine")}, 1, `region: "mine" is not one of own | shared`},
		{PatternSpec{Pattern: "uniform", Params: params("cpi", "0")}, 1, "cpi: 0 is out of range"},
		{PatternSpec{Pattern: "hotcold", Size: 4096, Params: params("hits", "50")}, 1, "all 1 pages are hot, so hits must be 100"},
		{PatternSpec{Pattern: "uniform", Size: 4096}, 2, "less than a page of 4096 bytes each"},
		{PatternSpec{Pattern: "uniform", Size: 4096, Base: 12}, 1, "does not begin on a page"},
		{PatternSpec{Pattern: "uniform", Size: 1 << 53}, 1, "beyond 52 bits"},
		{PatternSpec{Pattern: "uniform", Size: 1 << 20, Page: 13}, 1, "no page of 2^13 bytes"},
		{PatternSpec{Pattern: "uniform", Size: 1 << 20}, 0, "0 vCPUs"},
	} {
		if c.spec.Size == 0 {
			c.spec.Size = 1 << 20
		}
		err := c.spec.Validate(c.vcpus)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v with %d vCPUs: error %v, want %q", c.spec, c.vcpus, err, c.want)
		}
	}
}

// What the listing says must be usable: defaults and bounds parse, every
// parameter is described, and the effective settings name each once.
func TestPatternListing(t *testing.T) {
	for _, info := range Patterns() {
		if info.Doc == "" {
			t.Errorf("%s has no description", info.Name)
		}
		for _, p := range append(info.Params, CommonParams()...) {
			if p.Doc == "" || p.Default == "" || p.Range() == " to " {
				t.Errorf("%s: parameter %s lacks description, default or range", info.Name, p.Name)
			}
			for _, text := range append([]string{p.Default}, p.Choices...) {
				if _, err := p.parse(text); err != nil {
					t.Errorf("%s: %v", info.Name, err)
				}
			}
			if len(p.Choices) == 0 {
				for _, text := range []string{p.Min, p.Max} {
					if _, err := p.parse(text); err != nil {
						t.Errorf("%s: bound of %s: %v", info.Name, p.Name, err)
					}
				}
			}
		}
		s := PatternSpec{Pattern: info.Name, Size: 1 << 30, Params: map[string]string{"writes": "55"}}
		if err := s.Validate(4); err != nil {
			t.Errorf("defaults of %s: %v", info.Name, err)
		}
		seen := map[string]string{}
		for _, set := range s.Effective() {
			if seen[set.Name] != "" {
				t.Errorf("%s lists %s twice", info.Name, set.Name)
			}
			seen[set.Name] = set.Value
		}
		if len(seen) != len(info.Params)+len(CommonParams()) || seen["writes"] != "55" || seen["cpi"] != "1" {
			t.Errorf("%s: effective settings %v", info.Name, seen)
		}
	}
}

// The largest machine of the design: a terabyte for 512 vCPUs.
func TestLargestMachine(t *testing.T) {
	for _, info := range Patterns() {
		for _, region := range []string{"own", "shared"} {
			s := PatternSpec{Pattern: info.Name, Size: 1 << 40, Params: map[string]string{"region": region}}
			for v := 0; v < 512; v += 37 {
				take(NewPattern(s, v, 512, 1), 100, 64)
			}
		}
	}
}
