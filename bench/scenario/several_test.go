package scenario

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// axesOf decodes a sweep and returns its axes as "key: a b c".
func axesOf(t *testing.T, text string, sets ...string) (lines []string, err error) {
	t.Helper()
	v, err := ParseSeveral("s.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		if err := v.Set("--set "+set, set); err != nil {
			return nil, err
		}
	}
	for _, a := range v.Axes {
		line := a.Key + ":"
		for _, c := range a.Values {
			line += " " + c.Text
		}
		lines = append(lines, line)
		if v.Base.Given(a.Key) {
			t.Errorf("the base has %s", a.Key)
		}
	}
	return lines, nil
}

func TestSeveralValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"tracking: {ring: 2^8..2^12}", "tracking.ring: 256 512 1024 2048 4096"},
		{"vm: {vcpus: 1..512 log}", "vm.vcpus: 1 2 4 8 16 32 64 128 256 512"},
		{"vm: {vcpus: 1..5 log}", "vm.vcpus: 1 2 4"},
		{"vm: {vcpus: 1..4}", "vm.vcpus: 1 2 3 4"},
		{"vm: {vcpus: 3^0..3^2}", "vm.vcpus: 1 3 9"},
		{"workload: {accesses: 10..10000 log 10}", "workload.accesses: 10 100 1000 10000"},
		{"vmm: {interval: 10ms..80ms step 30ms}", "vmm.interval: 10ms 40ms 70ms"},
		{"vmm: {interval: 500us..2ms log}", "vmm.interval: 500us 1ms 2ms"},
		{"vmm: {interval: 10ms..12ms}", "vmm.interval: 10ms 11ms 12ms"},
		{"vmm: {interval: [auto, 10ms, 20ms..80ms log]}", "vmm.interval: auto 10ms 20ms 40ms 80ms"},
		{"vm: {memory: 64MiB..1GiB log}", "vm.memory: 64MiB 128MiB 256MiB 512MiB 1GiB"},
		{"vm: {memory: [2^20B, 3MiB]}", "vm.memory: 1MiB 3MiB"},
		{"workload: {theta: 0.5..0.9 step 0.2}", "workload.theta: 0.5 0.7 0.9"},
		{"workload: {hot: 10%..30% step 10%, pattern: hotcold}", "workload.hot: 10% 20% 30%"},
		{"tracking: {mode: $modes}", "tracking.mode: " + strings.Join(Modes(), " ")},
		{"tracking: {mode: $mine}\nsweep: {sets: {mine: [ring, bitmap]}}", "tracking.mode: ring bitmap"},
		{"tracking: {ring: [$mine, 4096]}\nsweep: {sets: {mine: 256..1024 log}}", "tracking.ring: 256 512 1024 4096"},
		{"vm: {populated: [on, off]}", "vm.populated: on off"},
		{"workload: {trace: [../a..b.pwt, c.pwt]}", "workload.trace: ../a..b.pwt c.pwt"},
		{"hazards: {drop_every: [0, 100]}", "hazards.drop_every: 0 100"},
		{"vm: {slots: [{base: 0x40000000, size: [64MiB, 128MiB]}]}", "vm.slots.0.size: 64MiB 128MiB"},
		{"seed: 1..3", "seed: 1 2 3"},
		{"vm: {vcpus: [7]}", "vm.vcpus: 7"},
	} {
		got, err := axesOf(t, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.text, diff)
		}
	}
}

func TestSetSeveralValues(t *testing.T) {
	text := "tracking: {ring: 2^8..2^9}\nvm: {vcpus: 2}\n"
	for _, c := range []struct{ set, want string }{
		{"tracking.ring=4096", ""},
		{"tracking.ring=[512, 1024]", "tracking.ring: 512 1024"},
		{"vm.vcpus=1..2", "tracking.ring: 256 512; vm.vcpus: 1 2"},
		{"workload.theta=[0.5, 0.9]", "tracking.ring: 256 512; workload.theta: 0.5 0.9"},
	} {
		got, err := axesOf(t, text, c.set)
		if err != nil || strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, %v; want %q", c.set, got, err, c.want)
		}
	}
}

func TestBadSweepNamesPlaceAndFix(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"vmm:\n  interval: 80ms..10ms log\n", "s.yaml:2:13: vmm.interval: 80ms..10ms log: the range is empty, for 80ms comes after 10ms; write 10ms..80ms"},
		{"vmm:\n  interval: []\n", "s.yaml:2:13: vmm.interval: an empty list has no value"},
		{"vmm:\n  interval: 10ms..80\n", "the ends have different units, ms and none; write both ends alike, such as 10ms..80ms"},
		{"vmm:\n  interval: 10ms..3000cyc\n", "the ends have different units, ms and cyc"},
		{"vmm:\n  interval: 10ms..80ms step 5\n", "the step has another unit than the ends, none and ms"},
		{"vmm:\n  interval: 10ms..80ms step 0ms\n", `"0ms" is no step`},
		{"vm:\n  memory: 10ms..80ms log\n", `s.yaml:2:11: vm.memory: "ms" is not a unit of size`},
		{"vm:\n  vcpus: [1, two]\n", `s.yaml:2:14: vm.vcpus: "two" is not a count`},
		{"vm:\n  vcpus: [1, 2, 1]\n", "s.yaml:2:17: vm.vcpus: 1 is there twice"},
		{"vm:\n  vcpus: [1, [2]]\n", "vm.vcpus takes single values, not a list"},
		{"vm:\n  vcpus: 0..4 log\n", "0 times 2 stays 0"},
		{"vm:\n  vcpus: 1..4 log 1\n", `"1" is no factor`},
		{"vm:\n  vcpus: 1..2..3\n", "not a number"},
		{"vm:\n  vcpus: 1..1000000000\n", "1000000000 values are too many"},
		{"vm:\n  memory: 1MiB..1GiB\n", "how far from one value to the next is not said"},
		{"tracking:\n  mode: $mdoes\n", `there is no set $mdoes; did you mean "modes"?`},
		{"sweep:\n  zips: 1\n", `s.yaml:2:3: unknown key "zips" in sweep; did you mean "zip"?`},
		{"sweep: 4\n", "sweep is a section"},
		{"sweep: {zip: [vm.vcpus]}\n", "one key alone moves with nothing"},
		{"sweep: {variants: {machine: 4}}\n", "has no values"},
		{"sweep: {sets: {1a: [4]}}\n", "no name for a set"},
	} {
		_, err := axesOf(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n  %v\ndoes not hold\n  %s", c.text, err, c.want)
		}
	}
	if _, err := Parse("s.yaml", []byte("sweep: {zip: []}\n")); err == nil || !strings.Contains(err.Error(), "`ringmap sweep`") {
		t.Errorf("a sweep is run as a scenario: %v", err)
	}
	if _, err := Parse("s.yaml", []byte("vm: {vcpus: [1, 2]}\n")); err == nil || !strings.Contains(err.Error(), "`ringmap sweep`") {
		t.Errorf("a list in a scenario: %v", err)
	}
}

// TestWithIsWriting: a scenario with cells is the one that has them written.
func TestWithIsWriting(t *testing.T) {
	v, err := ParseSeveral("d/s.yaml", []byte("vm: {vcpus: 1..2}\nworkload: {theta: [0.5, 0.9]}\nhazards: {ring.stale_batch: [real, fixed]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	before := v.Base.Texts()
	got, err := v.Base.With([]string{"vm.vcpus", "workload.theta", "hazards.ring.stale_batch"}, []Cell{v.Axes[0].Values[1], v.Axes[1].Values[1], v.Axes[2].Values[1]})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("d/s.yaml", []byte("vm: {vcpus: 2}\nworkload: {theta: 0.9}\nhazards: {ring.stale_batch: fixed}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, err1 := got.Plan(nil)
	b, err2 := want.Plan(nil)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if diff := cmp.Diff(want.Effective(b), got.Effective(a)); diff != "" {
		t.Errorf("(-written +with)\n%s", diff)
	}
	if got.At("vm.vcpus") != v.Axes[0].Values[1].At || got.Path("workload.trace", "x") != "d/x" {
		t.Error("the places differ")
	}
	if diff := cmp.Diff(before, v.Base.Texts()); diff != "" {
		t.Errorf("the base changed:\n%s", diff)
	}
}

// FuzzSeveral: whatever the text, an answer in one line.
func FuzzSeveral(f *testing.F) {
	f.Add("tracking: {ring: 2^8..2^12}\nseed: [1..3, 7]\nsweep: {zip: [[seed, tracking.ring]], exclude: [seed > 1], when: {seed: seed == 1}, sets: {a: [1]}, variants: {m: {s: {seed: 1}}}}\n")
	f.Add("vmm: {interval: 1us..10s log 10}\n")
	f.Add("vm: {vcpus: 2^999..2^999}\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseSeveral("s.yaml", []byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		for _, a := range v.Axes {
			for _, c := range a.Values {
				if _, err := v.Base.With([]string{a.Key}, []Cell{c}); err != nil {
					t.Errorf("%s takes %q and not again: %v", a.Key, c.Text, err)
				}
			}
		}
	})
}
