package sweep

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench"
	"ringmap/bench/store"
)

func parse(t *testing.T, text string) *Sweep {
	t.Helper()
	s, err := Parse("s.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pointTexts(s *Sweep) (texts []string) {
	for _, p := range s.Points {
		texts = append(texts, strings.Join(s.Labels(p), " "))
	}
	return texts
}

func TestPoints(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		counts     Counts
	}{
		{"product", "vm: {vcpus: [1, 2]}\nvmm: {interval: [5ms, 10ms]}", []string{"1 5ms", "1 10ms", "2 5ms", "2 10ms"}, Counts{Combinations: 4}},
		{"zip", "vm: {vcpus: [1, 2], memory: [64MiB, 128MiB]}\nvmm: {interval: [5ms, 10ms]}\nsweep: {zip: [[vm.memory, vm.vcpus]]}",
			[]string{"1 64MiB 5ms", "1 64MiB 10ms", "2 128MiB 5ms", "2 128MiB 10ms"}, Counts{Combinations: 4}},
		{"seeds move fastest", "seed: 1..2\nvm: {vcpus: [1, 2]}", []string{"1 1", "1 2", "2 1", "2 2"}, Counts{Combinations: 4}},
		{"exclude", "tracking: {ring: 2^8..2^10}\nvm: {vcpus: 1..2}\nsweep: {exclude: [tracking.ring > 256 and vm.vcpus == 1, tracking.ring == 1024]}",
			[]string{"256 1", "256 2", "512 2"}, Counts{Combinations: 6, Excluded: 3}},
		{"when", "tracking: {mode: [ring, bitmap], ring: [256, 512]}\nvmm: {interval: 5ms}\nsweep: {when: {tracking.ring: tracking.mode == ring}}",
			[]string{"ring 256", "ring 512", "bitmap "}, Counts{Combinations: 4, Merged: 1}},
		{"in, not, or", "vm: {vcpus: 1..5}\nsweep: {exclude: ['vm.vcpus in [1, 3] or not (vm.vcpus < 5)']}", []string{"2", "4"}, Counts{Combinations: 5, Excluded: 3}},
		{"quantities", "vm: {memory: [1MiB, 2MiB, 1GiB]}\nsweep: {exclude: [vm.memory == 1024KiB, vm.memory >= 0.5GiB]}", []string{"2MiB"}, Counts{Combinations: 3, Excluded: 2}},
		{"two keys", "vmm: {interval: [5ms, 50ms]}\nrun: {until: [10ms, 100ms]}\nsweep: {exclude: [vmm.interval > run.until]}",
			[]string{"5ms 10ms", "5ms 100ms", "50ms 100ms"}, Counts{Combinations: 4, Excluded: 1}},
		{"variant", "vmm: {interval: [5ms, 10ms]}\nsweep:\n  variants:\n    machine: {small: {vm.vcpus: 1, vm.memory: 64MiB}, large: {vm.vcpus: 8}}\n  exclude: [vm.vcpus == 8 and vmm.interval == 5ms, machine == small and vmm.interval == 10ms]",
			[]string{"5ms small", "10ms large"}, Counts{Combinations: 4, Excluded: 2}},
		{"one run", "vm: {vcpus: 2}", []string{""}, Counts{Combinations: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, c.text)
			if diff := cmp.Diff(c.want, pointTexts(s)); diff != "" {
				t.Errorf("points (-want +got)\n%s", diff)
			}
			if s.Counts != c.counts {
				t.Errorf("counts %+v, want %+v", s.Counts, c.counts)
			}
		})
	}
}

func TestBadSweeps(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"workload: {accesses: 1..100000}\nseed: 1..10000", "1,000,000,000 combinations are too many"},
		{"vm: {vcpus: [1, 2]}\nsweep: {zip: [[vm.vcpus, vm.memroy]]}", "vm.memroy does not have several values"},
		{"vm: {vcpus: [1, 2], memory: [1MiB, 2MiB, 3MiB]}\nsweep: {zip: [[vm.vcpus, vm.memory]]}", "s.yaml:2:26: sweep.zip: vm.memory has 3 values and vm.vcpus has 2"},
		{"vm: {vcpus: [1, 2]}\nsweep: {zip: [[vm.vcpus, vm.vcpus]]}", "is there twice"},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: [vm.vcpus > 0]}", "all 2 combinations are excluded"},
		{"vm: {vcpus: [1, 2]}\nsweep:\n  exclude: [vm.vcups > 1]", `s.yaml:3:13: condition "vm.vcups > 1": there is no key "vm.vcups"; did you mean "vm.vcpus"?`},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: [vm.vcpus ~ 1]}", "compares nothing"},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: [vm.vcpus > 1 1]}", "comes after the end"},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: [vm.vcpus >]}", "compares with nothing"},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: ['(vm.vcpus > 1']}", "has no )"},
		{"vm: {vcpus: [1, 2]}\nsweep: {exclude: [vm.vcpus > 1ms]}", "vm.vcpus is never 1ms"},
		{"tracking: {mode: [ring, bitmap]}\nsweep: {exclude: [tracking.mode == bitmpa]}", `tracking.mode is never bitmpa; did you mean "bitmap"?`},
		{"tracking: {mode: [ring, bitmap]}\nsweep: {exclude: [tracking.mode > ring]}", "have no order"},
		{"vm: {vcpus: [1, 2]}\nsweep: {when: {tracking.ring: vm.vcpus == 1}}", "sweep.when: tracking.ring does not have several values"},
		{"sweep: {variants: {m: {a: {vm.vcups: 1}}}}", `unknown key "vcups" in vm`},
		{"sweep: {variants: {m: {a: {vm.memory: 1}}}}", "s.yaml:1:39: vm.memory: 1 has no unit"},
		{"vm: {vcpus: [1, 2]}\nsweep: {variants: {m: {a: {vm.vcpus: 1}}}}", "is set by variant m and has several values itself"},
		{"sweep: {stats: [guest.slowdwn]}", `no statistic has the name "guest.slowdwn"; did you mean "guest.slowdown"?`},
		{"sweep: {exclude: ['" + strings.Repeat("(", 5000) + "']}", "nested too deeply"},
	} {
		_, err := Parse("s.yaml", []byte(c.text), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.200q:\n  %v\ndoes not hold\n  %s", c.text, err, c.want)
		}
	}
}

// TestCoarseFirst: ends, then the middle, then the quarters.
func TestCoarseFirst(t *testing.T) {
	s := parse(t, "tracking: {mode: [ring, bitmap]}\nvm: {vcpus: 1..9}\n")
	var got []string
	for _, p := range s.Order() {
		got = append(got, strings.Join(s.Labels(p), " "))
	}
	want := []string{"ring 1", "ring 9", "bitmap 1", "bitmap 9", "ring 5", "bitmap 5", "ring 3", "ring 7", "bitmap 3", "bitmap 7",
		"ring 2", "ring 4", "ring 6", "ring 8", "bitmap 2", "bitmap 4", "bitmap 6", "bitmap 8"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for n := 1; n < 70; n++ { // every value has its turn
		for i, l := range refinement(n) {
			if l < 0 || l > 7 {
				t.Errorf("value %d of %d is looked at in round %d", i, n, l)
			}
		}
	}
}

const small = `
name: small
tracking: {mode: [ring+bitmap, ring, off], ring: [256, 512]}
vm:       {vcpus: 2, memory: 16MiB}
workload: {pattern: uniform, accesses: 600}
vmm:      {interval: [1ms, 2ms]}
seed:     1..2
sweep:    {when: {tracking.ring: tracking.mode != off}}
`

// exportOf runs a sweep into a new store and exports it.
func exportOf(t *testing.T, s *Sweep, workers int) (string, Outcome) {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	out, err := s.Run(context.Background(), st, Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	return export(t, st), out
}

func export(t *testing.T, st *store.Store) string {
	t.Helper()
	list, err := st.Sweeps()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	var b strings.Builder
	if err := st.ExportJSONL(list[0], &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSameWithAnyWorkers: the export does not depend on how many work, and one
// run without tracking serves all points that it can serve.
func TestSameWithAnyWorkers(t *testing.T) {
	s := parse(t, small)
	one, out := exportOf(t, s, 1)
	if want := (Outcome{Points: 20, Mine: 20, Ran: 20, Baselines: 2}); out != want {
		t.Errorf("outcome %+v, want %+v", out, want)
	}
	many, _ := exportOf(t, s, 7)
	if one != many {
		t.Error("the export depends on the number of workers")
	}
	if n := strings.Count(one, "\n"); n != 20 {
		t.Errorf("%d lines", n)
	}
}

// TestStopAndGoOn: a sweep that is stopped again and again ends as one that is not.
func TestStopAndGoOn(t *testing.T) {
	s := parse(t, small)
	want, _ := exportOf(t, s, 2)
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ran := 0
	for round := 0; ; round++ {
		ctx, stop := context.WithCancel(context.Background())
		out, err := s.Run(ctx, st, Options{Workers: 2, Progress: func(done, all int) {
			if done%5 == 0 && done < all {
				stop()
			}
		}})
		stop()
		if ran += out.Ran; err == nil {
			break
		}
		if !errors.Is(err, ErrInterrupted) || round > 20 {
			t.Fatal(round, err)
		}
	}
	if ran != 20 {
		t.Errorf("%d points run, of 20", ran)
	}
	if export(t, st) != want {
		t.Error("the export differs from that of an undisturbed run")
	}
}

// TestShards: every point is in one shard, and the joined stores export like one.
func TestShards(t *testing.T) {
	s := parse(t, small)
	want, _ := exportOf(t, s, 2)
	whole, err := store.Open(filepath.Join(t.TempDir(), "whole.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	sum := 0
	for i := 1; i <= 4; i++ {
		st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(context.Background(), st, Options{Workers: 2, Shard: Shard{i, 4}})
		if err != nil {
			t.Fatal(err)
		}
		sum += out.Ran
		if err := whole.Merge(st); err != nil {
			t.Fatal(err)
		}
		if err := whole.Merge(st); err != nil { // again changes nothing
			t.Fatal(err)
		}
		st.Close()
	}
	if sum != 20 {
		t.Errorf("%d points run in all shards, of 20", sum)
	}
	if export(t, whole) != want {
		t.Error("the joined export differs")
	}
	for _, bad := range []string{"", "1", "0/4", "5/4", "a/4", "1/4/2", "1/-1"} {
		if _, err := ParseShard(bad); err == nil {
			t.Errorf("%q is taken for a shard", bad)
		}
	}
}

func TestImpossiblePoints(t *testing.T) {
	s := parse(t, strings.Replace(small, "sweep:    {when: {tracking.ring: tracking.mode != off}}", "", 1))
	st, err := store.Open(filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	_, err = s.Run(context.Background(), st, Options{Workers: 1})
	if err == nil || !strings.Contains(err.Error(), "mode off has no ring") || !strings.Contains(err.Error(), "8 of 24 points are impossible") {
		t.Error(err)
	}
}

// TestBaselineLooksAtNothingElse: runs with tracking off that share a key are
// equal, whatever the keys that the key leaves out.
func TestBaselineLooksAtNothingElse(t *testing.T) {
	var files bench.Files
	found := map[string]bench.Baseline{}
	for _, text := range []string{`
tracking: {mode: [ring+bitmap, ring, bitmap], ring: [256, 1024], manual_protect: [off, enable]}
vm:       {vcpus: 2, memory: 16MiB}
workload: {pattern: zipf, accesses: 1000}
its:      {devices: 2, msi_rate: 100000, save: 1ms}
vmm:      {interval: [1ms, 3ms], harvest: [on-full-all, interval], clear: [get, manual], collect: [last, before-save]}
audit:    {on_loss: [report, fail]}
sweep:
  when:    {tracking.ring: tracking.mode != bitmap}
  exclude:
    - vmm.clear == manual and not (tracking.mode == bitmap and tracking.manual_protect == enable)
    - tracking.mode == bitmap and tracking.manual_protect == enable and vmm.clear == get
`, `
tracking: {mode: $modes}
vm:       {vcpus: 2, memory: 16MiB}
workload: {pattern: zipf, accesses: 1000}
its:      {devices: 2, msi_rate: 100000, save: 1ms}
vmm:      {interval: 1ms}
sweep:
  exclude: [tracking.mode == off]
  variants:
    change:
      nothing: {name: other}
      list:    {audit.list: 5}
      sizes:   {tracking.ring_sizes: any}
      grow:    {tracking.ring_max: 8192}
      reserve: {tracking.reserve: 128}
      layout:  {tracking.layout: padded}
      entry:   {tracking.entry: sized}
      late:    {tracking.overflow: hard}
      vmring:  {tracking.vm_ring: 1024}
      kick:    {tracking.kick: all}
      detect:  {tracking.detect: its}
      edits:   {vmm.edits: 1000}
      migrate: {migrate.start: 2ms, migrate.link.bandwidth: 1GiB/s}
`} {
		tried := map[string]bool{}
		s := parse(t, text)
		for _, p := range s.Points {
			sc, err := s.Scenario(p)
			if err != nil {
				t.Fatal(err)
			}
			j, err := files.Prepare(sc)
			if err != nil {
				if len(s.Axes) > 3 {
					t.Fatal(s.String(p), err)
				}
				continue // not every mode takes every change
			}
			last := len(s.Axes) - 1
			tried[s.Labels(p)[last]] = true
			b, err := j.Baseline()
			if err != nil {
				t.Fatal(err)
			}
			key := j.BaselineKey()
			if have, ok := found[key]; ok && have != b {
				t.Fatalf("%s: %+v, and before %+v", s.String(p), b, have)
			}
			found[key] = b
		}
		for _, value := range s.Axes[len(s.Axes)-1].Values {
			if !tried[value] {
				t.Errorf("no point has %s", value)
			}
		}
	}
	if len(found) != 1 {
		t.Errorf("%d keys for one baseline", len(found))
	}
	other := parse(t, "vm: {vcpus: [2, 3], memory: 16MiB}\nworkload: {pattern: zipf, accesses: [3000, 3001]}\n")
	keys := map[string]bool{}
	for _, p := range other.Points {
		sc, err := other.Scenario(p)
		if err != nil {
			t.Fatal(err)
		}
		j, err := files.Prepare(sc)
		if err != nil {
			t.Fatal(err)
		}
		keys[j.BaselineKey()], keys[j.Key()] = true, true
	}
	if len(keys) != 8 {
		t.Error("different runs have equal keys", fmt.Sprint(keys))
	}
}

// FuzzCondition: whatever the text, an answer.
func FuzzCondition(f *testing.F) {
	f.Add("tracking.ring > 4096 and not (vm.vcpus in [1, 2] or vm.memory == 1GiB)")
	f.Add("vm.vcpus != tracking.ring")
	base := "tracking: {mode: [ring, bitmap], ring: [256, 512]}\nvm: {vcpus: 1..3, memory: [1MiB, 1GiB]}\n"
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("s.yaml", []byte(base), nil)
		if err != nil {
			t.Fatal(err)
		}
		texts := s.base.Texts()
		c, err := s.parseCondition(s.Axes[0].cells[0], texts)
		if err == nil {
			t.Fatal("a value is no condition")
		}
		cell := s.Axes[0].cells[0]
		cell.Text = text
		if c, err = s.parseCondition(cell, texts); err != nil {
			return
		}
		for _, p := range s.Points {
			c.eval(func(key string) string { return s.text(&p, key, texts) })
		}
	})
}
