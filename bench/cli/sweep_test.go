package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallSweep takes a second or so: 24 points.
const smallSweep = `
name: small
tracking: {mode: [ring+bitmap, ring], ring: 2^8..2^10}
vm:       {vcpus: 2, memory: 32MiB}
workload: {pattern: zipf, accesses: 2000}
vmm:      {interval: [1ms, 3ms], harvest: [on-full-all, on-full-own]}
`

func sweepFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// killAndResume kills a sweep with -9 after each of the pauses, lets it end, and
// returns its export.
func killAndResume(t *testing.T, file string, pauses ...time.Duration) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "s.db")
	for _, pause := range pauses {
		cmd := exec.Command(program, "sweep", file, "-j", "2", "--store", db)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
	}
	o := good(t, "sweep", file, "-j", "2", "--store", db)
	t.Log(strings.TrimSpace(o.stderr))
	return good(t, "export", db).stdout
}

func undisturbed(t *testing.T, file string) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "s.db")
	good(t, "sweep", file, "-j", "2", "--store", db)
	return good(t, "export", db).stdout
}

// pauses are pseudo-random parts of a time, from a fixed seed.
func pauses(n int, most time.Duration) (list []time.Duration) {
	x := uint64(20260101)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
		list = append(list, time.Duration(x>>33)%most)
	}
	return list
}

func TestSweepKilledAndResumed(t *testing.T) {
	file := sweepFile(t, smallSweep)
	began := time.Now()
	want := undisturbed(t, file)
	if n := strings.Count(want, "\n"); n != 24 {
		t.Fatalf("%d points", n)
	}
	if killAndResume(t, file, pauses(5, time.Since(began)/2)...) != want {
		t.Error("the export differs from that of an undisturbed run")
	}
}

// TestLinuxSweepKilledAndResumed does it with the 200 points of the shipped sweep,
// and shards them.
func TestLinuxSweepKilledAndResumed(t *testing.T) {
	if os.Getenv("RINGMAP_LONG") == "" {
		t.Skip("runs the shipped sweep three times; set RINGMAP_LONG=1")
	}
	const file = "../../scenarios/sweeps/linux.yaml"
	began := time.Now()
	want := undisturbed(t, file)
	if killAndResume(t, file, pauses(5, time.Since(began)/2)...) != want {
		t.Error("the export differs from that of an undisturbed run")
	}
	if sharded(t, file, 4) != want {
		t.Error("the export of the joined shards differs")
	}
}

func sharded(t *testing.T, file string, n int) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"store", "merge", filepath.Join(dir, "all.db")}
	for i := 1; i <= n; i++ {
		db := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		good(t, "sweep", file, "--shard", fmt.Sprintf("%d/%d", i, n), "--store", db)
		args = append(args, db)
	}
	good(t, args...)
	return good(t, "export", args[2]).stdout
}

func TestSweepShards(t *testing.T) {
	file := sweepFile(t, smallSweep)
	if sharded(t, file, 3) != undisturbed(t, file) {
		t.Error("the export of the joined shards differs")
	}
}

// TestSweepTwoProcesses: two of them on one store do the work of one.
func TestSweepTwoProcesses(t *testing.T) {
	file := sweepFile(t, smallSweep)
	db := filepath.Join(t.TempDir(), "s.db")
	other := exec.Command(program, "sweep", file, "-j", "1", "--store", db)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	good(t, "sweep", file, "-j", "1", "--store", db)
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
	if good(t, "export", db).stdout != undisturbed(t, file) {
		t.Error("the export differs")
	}
}

// TestSweepInterrupted: Ctrl-C ends it at once, with a word on how to go on.
func TestSweepInterrupted(t *testing.T) {
	file := sweepFile(t, strings.Replace(smallSweep, "2000", "2000000", 1))
	cmd := exec.Command(program, "sweep", file, "-j", "2", "--store", filepath.Join(t.TempDir(), "s.db"))
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 130 || !strings.Contains(errs.String(), "the same command goes on") {
		t.Errorf("status %d, %q", got, errs.String())
	}
}

func TestStoreCommands(t *testing.T) {
	file := sweepFile(t, smallSweep)
	dir := t.TempDir()
	db := filepath.Join(dir, "s.db")
	good(t, "sweep", file, "--store", db)
	o := good(t, "store", "sql", db, `SELECT "tracking.ring", count(*) AS n, max("guest.slowdown") >= 1 AS slower FROM results GROUP BY 1`, "--csv")
	if want := "tracking.ring,n,slower\n256,8,1\n512,8,1\n1024,8,1\n"; o.stdout != want {
		t.Errorf("%q, want %q", o.stdout, want)
	}
	if o := good(t, "store", "info", db); !strings.Contains(o.stdout, "tracking.mode (2) × tracking.ring (3)") {
		t.Error(o.stdout)
	}
	if o := good(t, "store", "info", db, "--columns"); !strings.Contains(o.stdout, `"ring.full_exits"`) {
		t.Error(o.stdout)
	}
	o = good(t, "export", db, "--format", "csv", "--stat", "ring.full_e*", "--stat", "guest.slowdown")
	if lines := strings.Split(o.stdout, "\n"); lines[0] != "point,tracking.mode,tracking.ring,vmm.interval,vmm.harvest,key,ring.full_exits,guest.slowdown" || len(lines) != 26 {
		t.Errorf("%d lines, the first %q", len(lines), lines[0])
	}
	if o := good(t, "store", "check", db); !strings.HasSuffix(o.stdout, "all of 24 runs as recorded\n") {
		t.Error(o.stdout)
	}
	o = good(t, "export", db, "--format", "bench")
	if !strings.HasPrefix(o.stdout, "Unit guest.slowdown assume=exact\n") || strings.Count(o.stdout, "\nBenchmarkRingmap/sweep=small/tracking.mode=ring") != 24 {
		t.Errorf("%.500s", o.stdout)
	}
	o = good(t, "sweep", file, "--store", db, "--stat", "ring.pushes")
	if !strings.HasPrefix(o.stdout, "ring.pushes goes from ") || !strings.Contains(o.stderr, "0 run, 24 found") {
		t.Error(o.stdout, o.stderr)
	}
	if o := good(t, "sweep", file, "--store", db, "--json"); !json.Valid([]byte(o.stdout)) {
		t.Error(o.stdout)
	}
	to := filepath.Join(dir, "out.jsonl")
	good(t, "export", db, "--out", to)
	if text, err := os.ReadFile(to); err != nil || string(text) != good(t, "export", db).stdout {
		t.Error("the file differs from standard output", err)
	}
	good(t, "sweep", file, "--store", filepath.Join(dir, "half.db"), "--shard", "1/2")
	for want, args := range map[string][]string{
		"no such file":               {"export", filepath.Join(dir, "none.db")},
		"is no store of ringmap":     {"store", "info", file},
		"points of sweep \"small\"":  {"export", filepath.Join(dir, "half.db")},
		"did you mean \"small\"":     {"export", db, "--sweep", "smal"},
		"no such column":             {"store", "sql", db, "SELECT a.b FROM results"},
		"this statement writes":      {"store", "sql", db, "DELETE FROM runs"},
		"did you mean \"csv\"":       {"export", db, "--format", "cvs"},
		"unknown statistic":          {"export", db, "--format", "csv", "--stat", "ring.nothing"},
		"jsonl has whole records":    {"export", db, "--stat", "ring.pushes"},
		"no statistic has this name": {"sweep", file, "--stat", "nothing"},
		"cannot make a store":        {"sweep", file, "--store", "/proc/s.db"},
		"this is no part of a whole": {"sweep", file, "--shard", "3/2"},
		"a number of cores":          {"sweep", file, "-j", "0"},
		"combinations are too many":  {"sweep", file, "--set", "seed=1..100000", "--set", "workload.accesses=1..10000"},
		"--set vm.vcpus=4..2: vm.vcpus: 4..2: the range is empty": {"sweep", file, "--set", "vm.vcpus=4..2"},
		"cannot read the sweep":                                   {"sweep", filepath.Join(dir, "none.yaml")},
		"`ringmap sweep`":                                         {"run", file},
	} {
		o := ringmap(t, args...)
		if o.status != 2 || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, o.status, o.stderr, want)
		}
	}
}

// BenchmarkSweep is a sweep of 24 points of the shipped trace into a new store, on
// one core and on two: half the time, nearly, where nobody else uses them.
func BenchmarkSweep(b *testing.B) {
	for _, cores := range []string{"1", "2"} {
		b.Run("cores="+cores, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command(program, "sweep", "../../scenarios/sweeps/linux.yaml", "--set", "tracking.ring=2^8..2^10", "--set", "vmm.interval=[5ms,50ms]",
					"-j", cores, "--store", filepath.Join(b.TempDir(), "s.db"))
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%s%v", out, err)
				}
			}
		})
	}
}

// TestBenchstat: benchstat reads two exports as they are, and compares them by
// the sweep's axes.
func TestBenchstat(t *testing.T) {
	if os.Getenv("RINGMAP_LONG") == "" {
		t.Skip("builds benchstat; set RINGMAP_LONG=1")
	}
	dir := t.TempDir()
	benchstat := filepath.Join(dir, "benchstat")
	if out, err := exec.Command("go", "build", "-o", benchstat, "golang.org/x/perf/cmd/benchstat").CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	file := sweepFile(t, smallSweep)
	var args []string
	for name, policy := range map[string]string{"a": "on-full-all", "b": "on-full-own"} {
		db := filepath.Join(dir, name+".db")
		good(t, "sweep", file, "--set", "vmm.harvest="+policy, "--set", "tracking.ring=256..1024 log", "--store", db)
		good(t, "export", db, "--format", "bench", "--out", filepath.Join(dir, name+".txt"))
	}
	args = []string{"-row", "/tracking.ring", "-col", ".file", "-filter", "/tracking.mode:ring /vmm.interval:1ms", "a=" + filepath.Join(dir, "a.txt"), "b=" + filepath.Join(dir, "b.txt")}
	out, err := exec.Command(benchstat, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s%v", out, err)
	}
	for _, want := range []string{"guest.slowdown", "vs base", "256 ", "512 ", "1024 ", "± 0%"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
