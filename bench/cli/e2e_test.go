package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// binary is the program under test, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ringmap-e2e-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "ringmap")
	out, err := exec.Command("go", "build", "-pgo=off", "-o", program, "ringmap").CombinedOutput()
	status := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
	} else {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

const (
	linuxScenario = "../../scenarios/linux-4vcpu.yaml"
	linuxTrace    = "../../workloads/testdata/linux-4vcpu-small.pwt.zst"
)

// outcome is what a run of the program left.
type outcome struct {
	stdout, stderr string
	status         int
}

func ringmap(t *testing.T, args ...string) outcome {
	t.Helper()
	return ringmapEnv(t, nil, args...)
}

func ringmapEnv(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatalf("%v: %v", args, exit)
	}
	return outcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func good(t *testing.T, args ...string) outcome {
	t.Helper()
	o := ringmap(t, args...)
	if o.status != 0 {
		t.Fatalf("ringmap %s: status %d\n%s", strings.Join(args, " "), o.status, o.stderr)
	}
	return o
}

// record is the part of a JSON record that tests look at.
type record struct {
	Version  string         `json:"version"`
	Hash     string         `json:"scenario_hash"`
	Scenario map[string]any `json:"scenario"`
	Derived  map[string]any `json:"derived"`
	Stats    map[string]any `json:"stats"`
	Warnings []string       `json:"warnings"`
	Audit    struct {
		LostPages uint64 `json:"lost_pages"`
		Causes    []struct {
			Cause string `json:"cause"`
			Count uint64 `json:"count"`
		} `json:"causes"`
		Lost []struct {
			GFN   uint64 `json:"gfn"`
			Cause string `json:"cause"`
		} `json:"lost"`
	} `json:"audit"`
	Hashes []struct {
		Cycle uint64 `json:"cycle"`
		Hash  string `json:"hash"`
	} `json:"state_hashes"`
}

func (r *record) stat(t *testing.T, name string) float64 {
	t.Helper()
	v, ok := r.Stats[name].(float64)
	if !ok {
		t.Fatalf("no statistic %s in the record", name)
	}
	return v
}

func parse(t *testing.T, text string) *record {
	t.Helper()
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
	return &r
}

// TestMainJob is what `make run` must show.
func TestMainJob(t *testing.T) {
	r := parse(t, good(t, "run", linuxScenario, "--json").stdout)
	for _, name := range []string{"ring.full_exits", "bitmap.pages", "ring.pushes", "nonvcpu.writes", "audit.changed_pages"} {
		if r.stat(t, name) == 0 {
			t.Errorf("%s is 0", name)
		}
	}
	if n := r.stat(t, "audit.lost_pages"); n != 0 || r.Audit.LostPages != 0 {
		t.Errorf("%v pages lost", n)
	}
	if s := r.stat(t, "guest.slowdown"); s <= 1 {
		t.Errorf("tracking costs nothing: slowdown %v", s)
	}
}

// TestStableNames: the names that others build on.
func TestStableNames(t *testing.T) {
	r := parse(t, good(t, "run", linuxScenario, "--json").stdout)
	for name := range strings.FieldsSeq(`ring.pushes ring.unique_pages ring.duplicates ring.full_exits
		ring.repeat_full_exits ring.harvested reset.entries reset.batches bitmap.bits_set bitmap.pages bitmap.density
		fault.write fault.translation fault.permission nonvcpu.writes lost.total audit.changed_pages audit.reported_pages
		audit.late_pages audit.lost_pages audit.spurious_pages guest.cycles guest.instructions guest.slowdown time.cycles
		mem.tracking_bytes vcpu.0.ring.full_exits vcpu.3.ring.pushes`) {
		if _, ok := r.Stats[name]; !ok {
			t.Errorf("no statistic %s", name)
		}
	}
	if len(r.Hash) != 32 || r.Version == "" || r.Derived["ring_bytes"] != 16384.0 || r.Scenario["tracking.mode"] != "ring+bitmap" {
		t.Errorf("the record's head is not complete: %q %q %v %v", r.Version, r.Hash, r.Derived["ring_bytes"], r.Scenario["tracking.mode"])
	}
	if len(r.Warnings) != 0 {
		t.Errorf("the main scenario is implausible: %q", r.Warnings)
	}
}

// TestRingOnlyLosesITSPages: what was written without a vCPU is lost, with that cause.
func TestRingOnlyLosesITSPages(t *testing.T) {
	with := parse(t, good(t, "run", linuxScenario, "--json", "--no-baseline").stdout)
	only := parse(t, good(t, "run", linuxScenario, "--set", "tracking.mode=ring", "--json", "--no-baseline").stdout)
	if only.Audit.LostPages == 0 || only.Audit.LostPages != uint64(with.stat(t, "bitmap.pages")) {
		t.Errorf("%d pages lost without the bitmap, which held %v", only.Audit.LostPages, with.stat(t, "bitmap.pages"))
	}
	for _, c := range only.Audit.Causes {
		if c.Cause != "no_vcpu" {
			t.Errorf("%d pages lost by %s", c.Count, c.Cause)
		}
	}
	o := good(t, "run", "../../scenarios/ring-only.yaml")
	if want := fmt.Sprintf("LOST: %d pages", only.Audit.LostPages); !strings.Contains(o.stdout, want) || !strings.Contains(o.stdout, "no_vcpu") {
		t.Errorf("the summary does not say %q with its cause:\n%s", want, o.stdout)
	}
}

// TestScenarios: every scenario that ships runs, in 2 GiB of memory.
func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob("../../scenarios/*.yaml")
	if len(files) < 7 {
		t.Fatalf("scenarios %v", files)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if testing.Short() {
				t.Skip("runs for seconds")
			}
			var out bytes.Buffer
			cmd := exec.Command(program, "run", file, "--json")
			cmd.Stdout = &out
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			if mib := usage.Maxrss >> 10; mib >= 2048 {
				t.Errorf("peak memory %d MiB", mib)
			}
			r := parse(t, out.String())
			lossy := map[string]bool{"ring-only.yaml": true, "hazards.yaml": true, "vmring-paused.yaml": true}[filepath.Base(file)]
			if (r.Audit.LostPages != 0) != lossy {
				t.Errorf("%d pages lost", r.Audit.LostPages)
			}
		})
	}
}

// TestHazardsFixed: the hazard of the demonstration can be repaired.
func TestHazardsFixed(t *testing.T) {
	for _, args := range [][]string{{"--set", "hazards.ring.block_mapping=fixed"}, {"--kernel", "7.2+fixed"}} {
		r := parse(t, good(t, append([]string{"run", "../../scenarios/hazards.yaml", "--json", "--no-baseline"}, args...)...).stdout)
		if r.Audit.LostPages != 0 {
			t.Errorf("%v: %d pages lost", args, r.Audit.LostPages)
		}
	}
}

// TestOnLossFail: a loss decides the exit status where the scenario says so.
func TestOnLossFail(t *testing.T) {
	for mode, status := range map[string]int{"ring": 1, "ring+bitmap": 0} {
		o := ringmap(t, "run", linuxScenario, "--set", "audit.on_loss=fail", "--mode", mode, "--no-baseline")
		if o.status != status || !strings.Contains(o.stdout, "Where the cycles went") {
			t.Errorf("mode %s: status %d, want %d, with a report", mode, o.status, status)
		}
	}
}

// TestSameBytes: the record depends on scenario and seed alone.
func TestSameBytes(t *testing.T) {
	for _, args := range [][]string{
		{"run", linuxScenario, "--json"},
		{"run", "--pattern", "hotcold", "--json", "--vcpus", "3", "--memory", "64MiB", "--set", "its.devices=3", "--set", "workload.accesses=20000", "--set", "its.save=1ms"},
		{"run", "--pattern", "bursts", "--json", "--mode", "bitmap", "--set", "vmm.interval=2ms", "--set", "run.until=20ms", "--set", "workload.accesses=0"},
	} {
		first := good(t, args...)
		again := good(t, args...)
		one := ringmapEnv(t, []string{"GOMAXPROCS=1", "GOGC=20"}, args...)
		if diff := cmp.Diff(first.stdout, again.stdout); diff != "" {
			t.Errorf("%v: two runs differ:\n%s", args, diff)
		}
		if diff := cmp.Diff(first.stdout, one.stdout); diff != "" {
			t.Errorf("%v: with one processor it differs:\n%s", args, diff)
		}
		if other := good(t, append(args, "--seed", "2")...); other.stdout == first.stdout {
			t.Errorf("%v: another seed changes nothing", args)
		}
	}
}

// TestSnapshotContinues: run to T, save, restore, continue equals the undisturbed run.
func TestSnapshotContinues(t *testing.T) {
	for name, args := range map[string][]string{
		"linux": {"run", linuxScenario, "--json", "--state-hashes", "--set", "its.save=70ms", "--set", "tracking.stolen_time=on"},
		"clear-log": {"run", "--pattern", "zipf", "--json", "--mode", "bitmap", "--vcpus", "3", "--memory", "64MiB", "--set", "vmm.clear=manual",
			"--set", "tracking.manual_protect=initially-set", "--set", "vmm.interval=1ms", "--set", "vm.backing=thp", "--set", "workload.accesses=30000"},
		"waiting": {"run", "--pattern", "uniform", "--json", "--ring", "256", "--memory", "32MiB", "--set", "vmm.harvest=interval", "--set", "vmm.interval=1ms",
			"--set", "its.devices=2", "--set", "workload.accesses=3000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := good(t, args...).stdout
			cycles := uint64(parse(t, want).stat(t, "time.cycles"))
			for _, part := range []uint64{1, 40, 77, 99} { // percent of the run
				file := filepath.Join(t.TempDir(), "s.snap")
				at := strconv.FormatUint(cycles*part/100, 10) + "cyc"
				saved := good(t, append(args, "--snapshot-at", at, "--snapshot", file)...)
				if diff := cmp.Diff(want, saved.stdout); diff != "" {
					t.Fatalf("taking a snapshot at %s changes the run:\n%s", at, diff)
				}
				if diff := cmp.Diff(want, good(t, append(args, "--resume", file)...).stdout); diff != "" {
					t.Fatalf("resumed at %s it differs:\n%s", at, diff)
				}
				for _, wrong := range [][]string{{"--seed", "9"}, {"--snapshot-at", "2cyc", "--snapshot", file + "2"}} {
					if o := ringmap(t, append(append(args, "--resume", file), wrong...)...); o.status != 2 || !strings.Contains(o.stderr, file) {
						t.Fatalf("resumed with %v: status %d, %s", wrong, o.status, o.stderr)
					}
				}
			}
		})
	}
}

func TestStateHashesFindFirstDivergence(t *testing.T) {
	args := []string{"run", "--pattern", "zipf", "--memory", "64MiB", "--set", "workload.accesses=20000", "--state-hashes", "--json", "--no-baseline"}
	a, b := parse(t, good(t, args...).stdout), parse(t, good(t, append(args, "--seed", "2")...).stdout)
	if len(a.Hashes) < 5 || a.Hashes[0].Cycle != 1_000_000 || a.Hashes[1].Cycle != 2_000_000 {
		t.Fatalf("hashes %v", a.Hashes)
	}
	if a.Hashes[0].Hash == b.Hashes[0].Hash || a.Hashes[0].Hash == a.Hashes[1].Hash {
		t.Error("the hash does not see what differs")
	}
}

// TestBadInput: one clear line that names file and place, status 2, nothing printed, nothing left.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trace, err := os.ReadFile(linuxTrace)
	if err != nil {
		t.Fatal(err)
	}
	champ := bytes.Repeat(champRecord(), 1000)
	files := map[string]string{
		"unknown":   put("unknown.yaml", "vm:\n  vcpus: 4\n  rnig: 3\n"),
		"unit":      put("unit.yaml", "vm:\n  memory: 256MB\n"),
		"ring":      put("ring.yaml", "tracking:\n  ring: 100\n"),
		"overlap":   put("overlap.yaml", "vm:\n  slots:\n    - {base: 1GiB, size: 64MiB}\n    - {base: 0x42000000, size: 64MiB}\n"),
		"beyond":    put("beyond.yaml", "workload:\n  trace: beyond.pwt\n"),
		"pwt":       put("beyond.pwt", string(beyondMemory())),
		"truncated": put("truncated.pwt.zst", string(trace[:len(trace)/2])),
		"short":     put("short.pwt", string(beyondMemory()[:70])),
		"odd":       put("odd.champsim", string(champ[:len(champ)-7])),
		"gzip":      put("broken.gz", string(brokenGzip(champ))),
		"file":      put("file", "x"),
		"snap":      put("snap", "ringmap\x1aXXXX"),
		"yaml":      put("yaml.yaml", "vm: [1, 2\n  x: {\n"),
		"binary":    put("binary.yaml", "\x00\xff\xfe"),
		"recording": put("recording.jsonl", "{\"id\":\n"),
	}
	entries := countFiles(t, dir)
	for _, c := range []struct {
		name string
		args []string
		want []string // all of it on the one line
	}{
		{"unknown key", []string{"run", files["unknown"]}, []string{"unknown.yaml:3:3", `unknown key "rnig"`}},
		{"unknown key in --set", []string{"run", linuxScenario, "--set", "vm.rnig=3"}, []string{"--set vm.rnig=3", `unknown key "rnig"`}},
		{"wrong unit", []string{"run", files["unit"]}, []string{"unit.yaml:2:11", "MB", "did you mean 256MiB?"}},
		{"ring of 100", []string{"run", files["ring"]}, []string{"ring.yaml:2:9", "100 entries", "write 256"}},
		{"ring of 100 as flag", []string{"run", linuxScenario, "--ring", "100"}, []string{"--ring 100", "write 256"}},
		{"memslot overlap", []string{"run", files["overlap"]}, []string{"overlap.yaml:4", "overlap", "EEXIST", "0x44000000"}},
		{"page beyond memory", []string{"run", files["beyond"]}, []string{"beyond.pwt", "record 1", "page 65536"}},
		{"memory smaller than the trace's", []string{"run", linuxScenario, "--memory", "128MiB"}, []string{"--memory 128MiB", "256MiB", "write 257MiB"}},
		{"truncated trace", []string{"run", "--trace", files["truncated"]}, []string{"truncated.pwt.zst", "ends early"}},
		{"trace cut inside a record", []string{"run", "--trace", files["short"]}, []string{"short.pwt", "record 0"}},
		{"odd ChampSim", []string{"run", "--trace", files["odd"]}, []string{"odd.champsim", "64"}},
		{"corrupt gzip", []string{"run", "--trace", files["gzip"]}, []string{"broken.gz", "gzip"}},
		{"no such trace", []string{"run", "--trace", filepath.Join(dir, "none")}, []string{"none", "no such file"}},
		{"no such scenario", []string{"run", filepath.Join(dir, "none.yaml")}, []string{"none.yaml", "no such file"}},
		{"a folder", []string{"run", dir}, []string{dir, "is a directory"}},
		{"out is a file", []string{"run", "--pattern", "zipf", "--out", files["file"]}, []string{files["file"], "needs a folder"}},
		{"out below a file", []string{"run", "--pattern", "zipf", "--out", files["file"] + "/x"}, []string{files["file"], "not a directory"}},
		{"unwritable folder", []string{"run", "--pattern", "zipf", "--out", "/proc/ringmap"}, []string{"/proc/ringmap"}},
		{"snapshot of something else", []string{"run", "--pattern", "zipf", "--resume", files["snap"]}, []string{files["snap"]}},
		{"snapshot into nowhere", []string{"run", "--pattern", "zipf", "--set", "workload.accesses=2000", "--snapshot-at", "1000cyc", "--snapshot", files["file"] + "/s"}, []string{files["file"] + "/s"}},
		{"not YAML", []string{"run", files["yaml"]}, []string{"yaml.yaml:"}},
		{"binary", []string{"run", files["binary"]}, []string{"binary.yaml:1"}},
		{"vCPUs", []string{"run", "--pattern", "zipf", "--vcpus", "600"}, []string{"--vcpus 600", "512"}},
		{"memory beyond IPA", []string{"run", "--pattern", "zipf", "--memory", "1TiB", "--set", "vm.ipa_bits=40"}, []string{"--memory 1TiB", "vm.ipa_bits: 41"}},
		{"unknown flag", []string{"run", "--rnig", "4"}, []string{"--rnig", `did you mean "--ring"?`}},
		{"unknown command", []string{"rnu"}, []string{"rnu", `did you mean "run"?`}},
		{"nothing to run", []string{"run"}, []string{"--pattern"}},
		{"recording", []string{"conform", files["recording"]}, []string{"recording.jsonl", "1"}},
		{"recorded kernel", []string{"conform", "--kernel", "6.11", files["recording"]}, []string{"6.11", "6.12"}},
		{"page of why", []string{"why", linuxScenario, "--page", "x"}, []string{"--page x"}},
		{"trace info", []string{"trace", "info", files["gzip"]}, []string{"broken.gz"}},
		{"init into nowhere", []string{"init", "--out", files["file"] + "/x"}, []string{files["file"]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ringmap(t, c.args...)
			if o.status != 2 {
				t.Errorf("status %d", o.status)
			}
			if o.stdout != "" {
				t.Errorf("printed %q", o.stdout)
			}
			line, rest, _ := strings.Cut(o.stderr, "\n")
			if rest != "" || !strings.HasPrefix(line, "ringmap: ") {
				t.Errorf("not one line: %q", o.stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q does not name %q", line, want)
				}
			}
			if n := countFiles(t, dir); n != entries {
				t.Errorf("%d files left behind", n-entries)
			}
		})
	}
}

func countFiles(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// beyondMemory is a timeline of two records whose second page lies beyond 256 MiB.
func beyondMemory() []byte {
	b := append([]byte("PGWRITE1"), make([]byte, 56)...)
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], 12)
	binary.LittleEndian.PutUint32(b[16:], 1000)
	binary.LittleEndian.PutUint64(b[24:], 256<<20)
	binary.LittleEndian.PutUint64(b[32:], 2)
	for i, page := range []uint32{7, 65536} {
		b = binary.LittleEndian.AppendUint64(b, uint64(i+1)*100)
		b = binary.LittleEndian.AppendUint32(b, page)
		b = binary.LittleEndian.AppendUint32(b, 0)
	}
	return b
}

func champRecord() []byte {
	b := make([]byte, 64)
	binary.LittleEndian.PutUint64(b, 0x400000)
	binary.LittleEndian.PutUint64(b[16:], 0x7f0000001000) // a store
	return b
}

// brokenGzip is a gzip file with a byte of its data changed.
func brokenGzip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for i := range data {
		data[i] ^= byte(i * 7 >> 3 & 1) // not too compressible
	}
	w.Write(data)
	w.Close()
	raw := b.Bytes()
	raw[len(raw)-6] ^= 0xff // the checksum
	return raw
}

// TestFullDisk: a result that finds no room leaves nothing and says so.
func TestFullDisk(t *testing.T) {
	t.Run("standard output", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("no /dev/full here")
		}
		defer full.Close()
		var errs bytes.Buffer
		cmd := exec.Command(program, "init")
		cmd.Stdout, cmd.Stderr = full, &errs
		cmd.Run()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(errs.String(), "standard output: no space left on device") {
			t.Errorf("status %d, %q", cmd.ProcessState.ExitCode(), errs.String())
		}
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8k"); err != nil {
			t.Skip("a small tmpfs cannot be mounted here: " + err.Error())
		}
		defer syscall.Unmount(dir, 0)
		o := ringmap(t, "run", linuxScenario, "--no-baseline", "--out", dir)
		line := regexp.MustCompile(`(?m)^ringmap: .*result\.json: no space left on device$`)
		if o.status != 2 || o.stdout != "" || !line.MatchString(o.stderr) {
			t.Errorf("status %d, stdout %q, stderr %q", o.status, o.stdout, o.stderr)
		}
		if n := countFiles(t, dir); n != 0 {
			t.Errorf("%d files left behind", n)
		}
	})
}

// TestOut: the folder holds what was printed.
func TestOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	o := good(t, "run", linuxScenario, "--out", dir, "--json")
	saved, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil || string(saved) != o.stdout {
		t.Errorf("result.json is not what was printed (%v)", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "summary.txt"))
	if err != nil || !strings.Contains(string(text), "Nothing was lost") || strings.Contains(string(text), "\x1b") {
		t.Errorf("summary.txt: %v\n%s", err, text)
	}
	if n := countFiles(t, dir); n != 2 {
		t.Errorf("%d files in the folder", n)
	}
}

// TestStreams: results on standard output, everything else on standard error,
// and neither colour nor progress where nobody sees it.
func TestStreams(t *testing.T) {
	o := good(t, "run", linuxScenario)
	if strings.ContainsAny(o.stdout, "\x1b\r") || strings.ContainsAny(o.stderr, "\x1b\r") {
		t.Error("colour or progress without a terminal")
	}
	for _, want := range []string{"Where the cycles went", "Nothing was lost", "Rings", "Bitmap", "Faults", "Audit", "measured", "fits", "predictions"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the summary does not say %q", want)
		}
	}
	first := strings.Index(o.stdout, "Where the cycles went")
	lost := strings.Index(o.stdout, "Nothing was lost")
	rings := strings.Index(o.stdout, "Rings")
	if !(0 < first && first < lost && lost < rings) {
		t.Error("the summary's order is not: cycles, losses, tables")
	}
	if n := strings.Count(o.stdout, "\n"); n > 50 {
		t.Errorf("the summary has %d lines: more than a screen", n)
	}
	if !regexp.MustCompile(`simulated in .*cycles/s`).MatchString(o.stderr) {
		t.Errorf("no rate on standard error: %q", o.stderr)
	}
	if strings.Contains(o.stdout, "cycles/s") {
		t.Error("wall time among the results")
	}
}

// TestEveryListAndHelp: listings come as text and as JSON.
func TestEveryListAndHelp(t *testing.T) {
	for _, list := range []string{"modes", "patterns", "policies", "kernels", "hazards", "profiles", "stats", "keys"} {
		if o := good(t, "list", list); strings.Count(o.stdout, "\n") < 1 {
			t.Errorf("list %s says %q", list, o.stdout)
		}
		var items []struct{ Name, Description string }
		if err := json.Unmarshal([]byte(good(t, "list", list, "--json").stdout), &items); err != nil || len(items) == 0 {
			t.Errorf("list %s --json: %v", list, err)
		}
		for _, i := range items {
			if i.Name == "" || i.Description == "" {
				t.Errorf("list %s: %+v is not explained", list, i)
			}
		}
	}
	for _, cmd := range []string{"run", "why", "inspect", "init", "list", "conform", "trace", "version", "help"} {
		if o := good(t, cmd, "--help"); !strings.Contains(o.stdout, "Usage:") {
			t.Errorf("%s --help says %q", cmd, o.stdout)
		}
	}
}

// TestInitRuns: the file that init writes is a scenario that runs.
func TestInitRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.yaml")
	if text := good(t, "init").stdout; text == "" {
		t.Fatal("init wrote nothing")
	}
	good(t, "init", "--out", path)
	o := good(t, "run", path, "--set", "workload.accesses=2000", "--no-baseline")
	if !strings.Contains(o.stdout, "Nothing was lost") {
		t.Error(o.stdout)
	}
}

// TestFlagsInAnyOrder: and short flags equal --set.
func TestFlagsInAnyOrder(t *testing.T) {
	a := good(t, "run", "--json", "--ring", "512", linuxScenario, "--no-baseline", "--seed", "3")
	b := good(t, "run", linuxScenario, "--set", "seed=3", "--no-baseline", "--set", "tracking.ring=512", "--json")
	if diff := cmp.Diff(a.stdout, b.stdout); diff != "" {
		t.Error(diff)
	}
}

// TestWhy: the story of a page, lost and not lost.
func TestWhy(t *testing.T) {
	lost := parse(t, good(t, "run", linuxScenario, "--mode", "ring", "--json", "--no-baseline").stdout).Audit.Lost[0]
	page := fmt.Sprintf("%#x", lost.GFN)
	o := good(t, "why", linuxScenario, "--mode", "ring", "--page", page)
	for _, want := range []string{"LOST", "no_vcpu", "written by the kernel"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the story of lost page %s does not say %q:\n%s", page, want, o.stdout)
		}
	}
	o = good(t, "why", "--page", page, linuxScenario)
	for _, want := range []string{"recorded in the bitmap", "sent to the destination", "holds its last bytes"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the story of page %s does not say %q:\n%s", page, want, o.stdout)
		}
	}
	o = good(t, "why", "--page", "0x41000", linuxScenario)
	for _, want := range []string{"fault on a write", "recorded in its ring", "harvests entry", "entry is reset", "write-protected", "sent to the destination"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("the story of a RAM page does not say %q", want)
		}
	}
}

// TestConform: the recordings of both kernels, as the command prints them.
func TestConform(t *testing.T) {
	for _, kernel := range []string{"7.2", "6.12"} {
		files, _ := filepath.Glob("../conform/testdata/" + kernel + "/*")
		if len(files) == 0 {
			t.Fatal("no recordings")
		}
		o := good(t, append([]string{"conform", "--kernel", kernel}, files...)...)
		if !regexp.MustCompile(`(?m)^conform: [1-9]\d* ok, 0 differ, \d+ unsupported$`).MatchString(o.stdout) {
			t.Errorf("kernel %s: %s", kernel, o.stdout)
		}
		o = good(t, "conform", "--execute", "--kernel", kernel, "../conform/testdata/"+kernel+"/e.jsonl")
		if o.stdout != "conform: 3 ok, 0 differ, 0 unsupported\n" {
			t.Errorf("kernel %s, executed: %s", kernel, o.stdout)
		}
	}
}

// TestTracePack: a packed timeline replays as the one it was taken from.
func TestTracePack(t *testing.T) {
	dir := t.TempDir()
	raw, packed := filepath.Join(dir, "raw.bin"), filepath.Join(dir, "out.pwt.zst")
	if err := os.WriteFile(raw, beyondMemory()[64:80], 0o644); err != nil {
		t.Fatal(err)
	}
	good(t, "trace", "pack", raw, packed, "--vcpus", "1", "--memory", "1MiB", "--window", "1000", "--name", "one store")
	var info map[string]any
	if err := json.Unmarshal([]byte(good(t, "trace", "info", packed, "--json").stdout), &info); err != nil {
		t.Fatal(err)
	}
	if info["records"] != 1.0 || info["name"] != "one store" || info["vcpus"] != 1.0 {
		t.Errorf("%v", info)
	}
	r := parse(t, good(t, "run", "--trace", packed, "--json").stdout)
	if r.stat(t, "guest.stores") != 1 || r.stat(t, "audit.changed_pages") != 1 {
		t.Errorf("replayed %v stores", r.stat(t, "guest.stores"))
	}
	o := ringmap(t, "trace", "pack", raw, filepath.Join(dir, "none", "x.pwt"), "--vcpus", "1", "--memory", "1MiB", "--window", "1000")
	if o.status != 2 || countFiles(t, dir) != 2 {
		t.Errorf("status %d: %s", o.status, o.stderr)
	}
}
