package scenario

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/cache"

	"ringmap/sim"
)

// bad lists input that must be refused: where, and what the message must say.
var bad = []struct{ name, text, want string }{
	{"unknown key", "vm:\n  vcpus: 4\n  rings: 3\n", `s.yaml:3:3: unknown key "rings" in vm`},
	{"mistyped key", "tracking:\n  rnig: 4096\n", `s.yaml:2:3: unknown key "rnig" in tracking; did you mean "ring"?`},
	{"key of another section", "vm:\n  quantum: 10cyc\n", `there is a key "host.quantum"`},
	{"unknown section", "traking:\n  ring: 4096\n", `s.yaml:1:1: unknown key "traking" in the scenario; did you mean "tracking"?`},
	{"size without unit", "vm:\n  memory: 256\n", `s.yaml:2:11: vm.memory: 256 has no unit, and a size needs one; write 256B, 256KiB, 256MiB or 256GiB`},
	{"decimal unit", "vm:\n  memory: 256MB\n", `"MB" is not a unit of size; use B, KiB, MiB, GiB or TiB (powers of 1024): did you mean 256MiB?`},
	{"time as size", "vm:\n  memory: 10ms\n", `s.yaml:2:11: vm.memory: "ms" is not a unit of size`},
	{"size as count", "tracking:\n  ring: 64KiB\n", `s.yaml:2:9: tracking.ring: "64KiB" is not a count: a count has no unit`},
	{"time without unit", "vmm:\n  interval: 10\n", `s.yaml:2:13: vmm.interval: 10 has no unit, and a time needs one; write 10ms, 10us or 10cyc`},
	{"part of a cycle", "host:\n  quantum: 1.5cyc\n", "is not a whole number of cycles; write 1cyc"},
	{"too long", "vmm:\n  interval: 99999999999s\n", "longer than a simulation can be"},
	{"twice", "seed: 1\nseed: 2\n", "s.yaml:2:1"},
	{"list for a value", "seed: [1, 2]\n", "s.yaml:1:7: seed is a single value, not a list"},
	{"value for a section", "vm: 4\n", "s.yaml:1:5: vm is a section with keys, not a single value"},
	{"section for a list", "vm:\n  slots:\n    base: 0x1000\n", "s.yaml:3"},
	{"no value", "vm:\n  memory:\n", "s.yaml:2:3: vm.memory has no value"},
	{"anchor", "vm: &a\n  vcpus: 1\n", "scenario files do not use them"},
	{"two documents", "seed: 1\n---\nseed: 2\n", "s.yaml:3:5: a second YAML document"},
	{"not YAML", "vm: {vcpus: 1\n", "s.yaml:1:"},
	{"tab", "vm:\n\tvcpus: 1\n", "s.yaml:2:"},
	{"nested deeply", strings.Repeat("[", 100000), "s.yaml:1:1: nested too deeply"},

	{"ring of 100", "tracking:\n  ring: 100\n", "s.yaml:2:9: tracking.ring: a ring of 100 entries (1600B) is smaller than a host page of 4KiB, and KVM refuses it (EINVAL): the least is 256 entries; write 256"},
	{"ring of 1000", "tracking:\n  ring: 1000\n", "not a power of two, and KVM refuses it (EINVAL); write 512 or 1024"},
	{"ring of 131072", "tracking:\n  ring: 131072\n", "at most 65536 entries (1MiB), not 131072 (E2BIG); write 65536"},
	{"ring on a 64KiB host", "host:\n  page: 64KiB\ntracking:\n  ring: 2048\n", "the least is 4096 entries; write 4096"},
	{"ring in bitmap mode", "tracking:\n  mode: bitmap\n  ring: 4096\n", "s.yaml:3:9: tracking.ring: mode bitmap has no ring; remove it, or write mode: ring+bitmap"},
	{"mode", "tracking:\n  mode: ring-bitmap\n", `there is no tracking mode "ring-bitmap"; did you mean "ring+bitmap"?`},
	{"kernel", "kernel: 6.2\n", `s.yaml:1:9: kernel: no kernel "6.2" is modelled; did you mean`},
	{"hazard", "hazards:\n  ring.stale_bach: fixed\n", `s.yaml:2:20: hazards.ring.stale_bach: no hazard has this name; did you mean "ring.stale_batch"?`},
	{"hazard value", "hazards:\n  ring.stale_batch: off\n", `"off" is neither real nor fixed`},
	{"page", "host:\n  page: 8KiB\n", "an arm64 host has no pages of 8KiB; write 4KiB, 16KiB or 64KiB"},
	{"vCPUs", "vm:\n  vcpus: 513\n", "KVM refuses vCPU ids from 512 on (EINVAL), and 513 are asked for; write 1 to 512"},
	{"no vCPU", "vm:\n  vcpus: 0\n", "a VM without a vCPU runs nothing"},
	{"odd memory", "vm:\n  memory: 5KiB\n", "5KiB is not a multiple of the host page size 4KiB (EINVAL); write 4KiB or 8KiB"},
	{"memory beyond IPA", "vm:\n  memory: 1TiB\n  ipa_bits: 40\n", "memory ends at 0x10040000000, beyond the 40 bits of guest physical address (EFAULT); use less memory, or vm.ipa_bits: 41"},
	{"memory beyond everything", "vm:\n  memory: 512TiB\n", "vm.memory"},
	{"memslot overlap", "vm:\n  slots:\n    - {base: 0x40000000, size: 64MiB}\n    - {base: 0x42000000, size: 64MiB}\n",
		"s.yaml:4:7: vm.slots.1: memslot overlap: 0x42000000–0x46000000 overlaps slot 0 at 0x40000000–0x44000000 (EEXIST); slot 0 ends at 0x44000000: write base: 0x44000000 or later"},
	{"slot alignment", "vm:\n  slots:\n    - {base: 0x40000100, size: 64MiB}\n", "is not aligned to the host page size 4KiB (EINVAL)"},
	{"slots and memory", "vm:\n  memory: 1GiB\n  slots:\n    - {base: 0x40000000, size: 64MiB}\n", "the slots have 64MiB together, not 1GiB"},
	{"backing", "vm:\n  backing: 2m\n", `"2m" backs no memory`},
	{"clear", "vmm:\n  clear: manual\n", "KVM_CLEAR_DIRTY_LOG in every round belongs to mode bitmap, not ring+bitmap"},
	{"policy", "vmm:\n  harvest: on_full_own\n", `did you mean "on-full-own"?`},
	{"interval of nothing", "vmm:\n  harvest: interval\n  interval: 0\n", "needs collections between start and end"},
	{"pattern", "workload:\n  pattern: zipff\n", `there is no pattern "zipff"; did you mean "zipf"?`},
	{"pattern parameter", "workload:\n  pattern: zipf\n  thta: 0.9\n", `s.yaml:3:9: workload.thta: unknown key "thta" in workload; did you mean "theta"?`},
	{"pattern parameter without unit", "workload:\n  writes: 50\n", `"50" has no unit, and a share needs one; write 50%`},
	{"think without unit", "workload:\n  think: 50\n", "50 has no unit, and a time needs one"},
	{"pattern and trace", "workload:\n  pattern: zipf\n  trace: x.pwt\n", "a guest runs a pattern or a trace, not both"},
	{"endless", "workload:\n  accesses: 0\n", "an endless pattern is never done"},
	{"end of the run", "run:\n  until: dne\n", `run.until: "dne" is not a time; write done, or a time with its unit, such as 10ms`},
	{"no run", "run:\n  until: 0\n", "a run of no time does nothing"},
	{"core model", "cpu:\n  model: inordr\n", `s.yaml:2:10: cpu.model: there is no core model "inordr"; did you mean "inorder"?`},
	{"switch without a model", "cpu: {switch: hint}\nworkload: {elf: a.elf}\n", "cpu.switch: there is no other model to switch to; set cpu.model: inorder"},
	{"switch without a program", "cpu: {model: inorder, switch: hint}\n", "cpu.switch: only a program"},
	{"switch at nonsense", "cpu: {model: inorder, switch: soon}\nworkload: {elf: a.elf}\n", `cpu.switch: "soon" is not when to switch; write start, hint,`},
	{"switch after nothing", "cpu: {model: inorder, switch: 0instr}\nworkload: {elf: a.elf}\n", `cpu.switch: "0instr" is not when to switch`},
	{"switch at the start", "cpu: {model: inorder, switch: 0ms}\nworkload: {elf: a.elf}\n", "cpu.switch: cycle 0 is the start; write start"},
	{"cache size", "cpu:\n  l1d: {size: 48KiB}\n", "s.yaml:2:15: cpu.l1d.size: 49152 bytes in 4 ways of 64-byte lines; use a power of two times 256 bytes, up to 4GiB"},
	{"cache without ways", "cpu: {model: inorder, l2: {ways: 0}}\n", "cpu.l2.ways: 0 ways; use 1 to 32"},
	{"latency without unit", "cpu: {mesh: 30}\n", "cpu.mesh: 30 has no unit, and a time needs one"},
	{"long latency", "cpu: {mesh: 1s}\n", "cpu.mesh: 3000000000 cycles are longer than any stage takes; use at most 1000000cyc"},
	{"endless latency", "cpu: {snoop: never}\n", "cycles are longer than any stage takes"},
	{"channels", "cpu: {dram: {channels: 6}}\n", "cpu.dram.channels: 6 is not a power of two"},
	{"huge count", "cpu: {mshrs: 99999999999999}\n", "cpu.mshrs: there cannot be"},
	{"no bandwidth", "migrate:\n  start: 0\n  bandwidth: 0\n", "s.yaml:3:14: migrate.bandwidth: a migration with no bandwidth never ends; write a rate, such as 128MiB/s"},
	{"no link", "migrate:\n  start: 0\n  link: {bandwidth: 0}\n", "migrate.link.bandwidth: a link without bandwidth carries nothing"},
	{"no downtime", "migrate:\n  start: 0\n  downtime: 0\n", "s.yaml:3:13: migrate.downtime: a downtime limit of 0"},
	{"long downtime", "migrate:\n  start: 0\n  downtime: 2001s\n", "QEMU refuses a downtime limit of 2001s; write at most 2000s"},
	{"rate without unit", "migrate:\n  bandwidth: 128\n", "128 has no unit, and a rate needs one; write 128MiB/s, 128GiB/s or 128Gbit/s"},
	{"size as rate", "migrate:\n  bandwidth: 128MiB\n", `"MiB" is not a unit of a rate`},
	{"dirty limit without a ring", "tracking: {mode: bitmap}\nmigrate:\n  start: 0\n  throttle: {kind: dirty-limit}\n",
		"s.yaml:4:20: migrate.throttle.kind: dirty-limit requires KVM with accelerator property 'dirty-ring-size' set, and mode bitmap has no ring; write tracking.mode: ring+bitmap, or kind: auto-converge"},
	{"throttle of everything", "migrate:\n  start: 0\n  throttle: {kind: auto-converge, max: 100}\n", "QEMU refuses 100 percent; write 20 to 99"},
	{"throttle", "migrate:\n  start: 0\n  throttle: {kind: autoconverge}\n", `did you mean "auto-converge"?`},
	{"failure", "migrate:\n  start: 0\n  fail: linkdrop\n", `did you mean "link-drop"?`},
	{"migration untracked", "tracking: {mode: \"off\"}\nmigrate:\n  start: 0\n", "a migration needs dirty tracking"},
	{"migration and checkpoints", "migrate:\n  start: 0\ncheckpoint:\n  epoch: 10ms\n", "a VM is migrated or checkpointed, not both"},
	{"epoch of nothing", "checkpoint:\n  epoch: 0\n", "an epoch of no time runs nothing"},
	{"mistake", "vmm:\n  mistake: bad-bufer\n", `did you mean "bad-buffer"?`},
	{"cadence of saves", "its:\n  devices: 1\n  save: 0s\n", "a period of nothing never ends"},
}

func TestBadInputNamesPlaceAndFix(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse("s.yaml", []byte(c.text))
			if err == nil {
				var trace *Trace
				if s.HasTrace() {
					trace = &Trace{VCPUs: 4}
				}
				_, err = s.Plan(trace)
			}
			if err == nil {
				t.Fatalf("accepted:\n%s", c.text)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("message\n  %s\ndoes not hold\n  %s", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestSetTellsWhatFileTells(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"tracking.rnig=4096", `--set tracking.rnig=4096: unknown key "rnig" in tracking; did you mean "ring"?`},
		{"vm.memory=256", "--set vm.memory=256: vm.memory: 256 has no unit, and a size needs one"},
		{"tracking.ring", "no = in it"},
		{"tracking.ring.x=1", "tracking.ring is a single value"},
		{"vm.slots.0.size=1MiB", "has 0 items"},
		{"vm=4", "vm is a section with keys"},
		{"hazards.ring.stale_bach=fixed", ""},
		{"workload.theta=0.5", ""},
		{"vm={vcpus: 8, memory: 1GiB}", ""},
	} {
		err := Default().Set("--set "+c.set, c.set)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.set, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: message %v does not hold %q", c.set, err, c.want)
		}
	}
	s := Default()
	if err := s.Set("--ring 100", "tracking.ring=100"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plan(nil); err == nil || !strings.HasPrefix(err.Error(), "--ring 100: tracking.ring: ") {
		t.Errorf("a late problem is not placed at the flag: %v", err)
	}
}

func TestSetOverrulesFileWithoutContradiction(t *testing.T) {
	s, err := Parse("s.yaml", []byte("tracking:\n  mode: ring+bitmap\n  ring: 1024\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("--mode bitmap", "tracking.mode=bitmap"); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("--set vmm.interval=10ms", "vmm.interval=10ms"); err != nil {
		t.Fatal(err)
	}
	p, err := s.Plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "tracking.ring has no effect") {
		t.Errorf("warnings %q", p.Warnings)
	}
}

// TestCaches: every key of the caches reaches the hierarchy, in cycles of the
// host's clock, and those that model atomic ignores are warned of.
func TestCaches(t *testing.T) {
	for _, f := range cache.Figures {
		key, text := "cpu."+f.Key, "8" // of counts
		switch f.Key[strings.LastIndexByte(f.Key, '.')+1:] {
		case "size":
			text = "2MiB"
		case "row":
			text = "4KiB"
		case "channels":
			text = "4"
		case "latency", "mesh", "snoop", "stream", "controller", "precharge", "activate", "cas", "burst":
			text = "30ns"
		case "ways":
			if text = "2"; f.Key == "l2.ways" {
				text = "4"
			}
		}
		s := Default()
		for _, set := range []string{"cpu.model=inorder", "host.clock=2GHz", key + "=" + text} {
			if err := s.Set("--set "+set, set); err != nil {
				t.Fatal(err)
			}
		}
		p, err := s.Plan(nil)
		if (f.Key == "l1i.size" || f.Key == "l1d.size") && err != nil { // L2 must hold it
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if *p.Caches == cache.NeoverseN1 {
			t.Errorf("%s does not reach the hierarchy", key)
		}
		if f.Key == "mesh" && p.Caches.Mesh != 60 {
			t.Errorf("30 ns at 2 GHz are %d cycles", p.Caches.Mesh)
		}
		for _, fig := range s.CacheFigures() {
			if set := fig.Source == "set by the scenario"; set != (fig.Name == key+" = "+text) {
				t.Errorf("with %s=%s: %+v", key, text, fig)
			}
		}
		s.CPU.Model = "atomic"
		if p, err = s.Plan(nil); err != nil || p.Caches != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], key+" has no effect") {
			t.Errorf("in model atomic: %v, warnings %q", err, p.Warnings)
		}
	}
}

// TestTemplate holds the generated file, the table of keys and the structs
// against each other.
func TestTemplate(t *testing.T) {
	s, err := Parse("template.yaml", []byte(Template()))
	if err != nil {
		t.Fatalf("%v\n%s", err, Template())
	}
	p, err := s.Plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 0 {
		t.Errorf("the defaults are implausible: %q", p.Warnings)
	}
	q, _ := Default().Plan(nil)
	if diff := cmp.Diff(Default().Effective(q), s.Effective(p)); diff != "" {
		t.Errorf("the template is not the default (-default +template):\n%s", diff)
	}
	var have []string
	walkKeys(reflect.TypeFor[Scenario](), "", &have)
	var documented []string
	for _, k := range Keys {
		documented = append(documented, k.Path)
		if k.Doc == "" {
			t.Errorf("%s has no explanation", k.Path)
		}
	}
	if diff := cmp.Diff(have, documented); diff != "" {
		t.Errorf("keys of the structs and explained keys differ (-structs +table):\n%s", diff)
	}
}

func walkKeys(t reflect.Type, path string, out *[]string) {
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("key")
		if key == "" || key == restKey {
			continue
		}
		at := join(path, key)
		*out = append(*out, at)
		ft := t.Field(i).Type
		if ft.Kind() == reflect.Slice {
			ft = ft.Elem()
		}
		if _, leaf := reflect.New(ft).Interface().(value); !leaf && ft.Kind() == reflect.Struct {
			walkKeys(ft, at, out)
		}
	}
}

func TestUnits(t *testing.T) {
	var size Size
	var tm Time
	for text, want := range map[string]uint64{"64KiB": 65536, "1.5MiB": 3 << 19, "1TiB": 1 << 40, "7B": 7, "0": 0, "1_024KiB": 1 << 20} {
		if err := size.parse(text); err != nil || uint64(size) != want {
			t.Errorf("size %s = %d, %v", text, size, err)
		}
	}
	for text, want := range map[string]sim.Cycle{"10ms": 30_000_000, "3000cyc": 3000, "1s": 3_000_000_000, "0.5us": 1500, "1ns": 3, "100ps": 0, "200ps": 1, "never": sim.Never, "10µs": 30_000} {
		if err := tm.parse(text); err != nil || tm.In(3e9) != want {
			t.Errorf("time %s = %d cycles, %v", text, tm.In(3e9), err)
		}
	}
	for _, text := range []string{"1.KiB", ".5KiB", "-1KiB", "1e3KiB", "99999999999TiB", "KiB", "_1KiB", "0x10KiB"} {
		if err := size.parse(text); err == nil {
			t.Errorf("size %s accepted as %d", text, size)
		}
	}
}

// TestTextOfValues: what a value prints reads back as itself.
func TestTextOfValues(t *testing.T) {
	for _, v := range []value{
		new(Size), ptr(Size(3 << 20)), ptr(Size(1025)), ptr(Count(7)), ptr(Addr(0x40000000)), ptr(Freq(2_600_000_000)),
		ptr(Switch(true)), ptr(Time{Picos: 1500}), ptr(Time{Cycles: 3}), ptr(Time{Never: true}),
		ptr(OptCount{Auto: true}), ptr(OptSize{N: 4096}),
	} {
		text := v.String()
		again := reflect.New(reflect.TypeOf(v).Elem()).Interface().(value)
		if err := again.parse(text); err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%v prints %q, which reads as %v, %v", v, text, again, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestPathsStartFromTheScenario(t *testing.T) {
	s, err := Parse("some/folder/s.yaml", []byte("workload:\n  trace: ../t.pwt\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Path("workload.trace", s.Workload.Trace), filepath.Join("some", "t.pwt"); got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	if err := s.Set("--trace t.pwt", "workload.trace=t.pwt"); err != nil {
		t.Fatal(err)
	}
	if got := s.Path("workload.trace", s.Workload.Trace); got != "t.pwt" {
		t.Errorf("path %q of the command line", got)
	}
}

func TestHashFollowsContents(t *testing.T) {
	s, p := Default(), (*Plan)(nil)
	p, _ = s.Plan(nil)
	a := Hash(s.Effective(p), "")
	s.Seed++
	if Hash(s.Effective(p), "") == a {
		t.Error("another seed, the same hash")
	}
	s.Seed--
	if Hash(s.Effective(p), "x") == a {
		t.Error("another trace, the same hash")
	}
	if Hash(s.Effective(p), "") != a {
		t.Error("the same scenario, another hash")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"ring", "mode", "manual_protect", "eager_split"}
	for word, want := range map[string]string{"rnig": "ring", "manual": "manual_protect", "eagersplit": "eager_split", "zzzzzz": "", "Mode": "mode"} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// FuzzScenario: whatever a file holds, it is refused with a message or gives a
// plan that keeps KVM's limits.
func FuzzScenario(f *testing.F) {
	f.Add([]byte(Template()))
	for _, c := range bad {
		if len(c.text) < 1000 {
			f.Add([]byte(c.text))
		}
	}
	files, _ := filepath.Glob("../../scenarios/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("f.yaml", text)
		if err == nil {
			var trace *Trace
			if s.HasTrace() {
				trace = &Trace{VCPUs: 2, Memory: 64 << 20, Window: 1000}
			}
			var p *Plan
			if p, err = s.Plan(trace); err == nil {
				keepsLimits(t, p)
				if len(s.Effective(p)) < 25 || len(p.Derived()) == 0 {
					t.Error("the effective configuration is not complete")
				}
			}
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	})
}

func keepsLimits(t *testing.T, p *Plan) {
	if p.VCPUs < 1 || p.VCPUs > 512 || p.IPABits > 48 || len(p.Slots) == 0 || p.Quantum == 0 {
		t.Errorf("impossible plan %+v", p)
	}
	if n := p.RingSize; p.Track.UsesRing() && (n&(n-1) != 0 || n < 64 || n > 65536 || n*16 < p.Page.Size()) {
		t.Errorf("impossible ring of %d entries", n)
	}
	slots := slices.Clone(p.Slots)
	slices.SortFunc(slots, func(a, b PlanSlot) int { return int(int64(a.Base>>12) - int64(b.Base>>12)) })
	for i, s := range slots {
		if s.Base%p.Page.Size() != 0 || s.Size == 0 || s.Size%p.Page.Size() != 0 || s.Base+s.Size > 1<<p.IPABits {
			t.Errorf("impossible slot %+v", s)
		}
		if i > 0 && slots[i-1].Base+slots[i-1].Size > s.Base {
			t.Errorf("slots %+v and %+v overlap", slots[i-1], s)
		}
	}
}
