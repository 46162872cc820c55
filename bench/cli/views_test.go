package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPprof: go tool pprof opens the file and shows the simulated machine.
func TestPprof(t *testing.T) {
	dir := t.TempDir()
	file, trace := filepath.Join(dir, "run.pprof"), filepath.Join(dir, "run.json")
	good(t, "run", "--pattern", "uniform", "--set", "workload.accesses=2000", "--no-baseline", "--pprof", file, "--perfetto", trace, "--window", "0s..1ms")
	cmd := exec.Command("go", "tool", "pprof", "-top", "-nodefraction=0", file)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"Type: cycles", "kvm_handle_guest_abort", "mark_page_dirty_in_slot", "[fault]", "vcpu.0", "simulated cycles of ringmap"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	text, err := os.ReadFile(trace)
	if err != nil || !json.Valid(text) {
		t.Errorf("%v: the trace of %d bytes is no JSON", err, len(text))
	}
}

func TestBadViews(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--pprof", "/nowhere/x"}, "/nowhere/x: no such file or directory"},
		{[]string{"--perfetto", "/nowhere/x"}, "/nowhere/x: no such file or directory"},
		{[]string{"--window", "1ms..2ms"}, "--window 1ms..2ms: it goes with --perfetto FILE"},
		{[]string{"--perfetto", file, "--window", "1ms"}, "write two times, such as 10ms..12ms"},
		{[]string{"--perfetto", file, "--window", "1ms..2"}, "2 has no unit"},
		{[]string{"--perfetto", file, "--window", "2ms..1ms"}, "the window 2ms..1ms is empty"},
		{[]string{"--perfetto", file, "--events", "0"}, "--events 0: use 1 to 50000000"},
	} {
		o := ringmap(t, append([]string{"run", "--pattern", "uniform", "--set", "workload.accesses=10"}, c.args...)...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, want %q", c.args, o.status, o.stderr, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
