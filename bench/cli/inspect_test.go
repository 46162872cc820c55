package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallITS = `name: small
vm:       {vcpus: 2, memory: 64MiB}
workload: {pattern: uniform, accesses: 20000}
its:      {devices: 2, events: 20, msi_rate: 1000000}
`

// TestInspect: tables align, long ones are cut unless --all, a snapshot will do, and
// JSON has every page.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	file, snap := filepath.Join(dir, "small.yaml"), filepath.Join(dir, "small.snap")
	if err := os.WriteFile(file, []byte(smallITS), 0o644); err != nil {
		t.Fatal(err)
	}
	good(t, "run", file, "--no-baseline", "--snapshot-at", "200000cyc", "--snapshot", snap)
	o := good(t, "inspect", file, "--resume", snap)
	for _, want := range []string{
		"small after 200,000 cycles, stopped\n",
		"\nITS 0 at 0x8080000: on, ",
		"\nCollections: 2\n  ICID  RDbase  events       entry  saved\n  0          0      20  ",
		"\nDevices: 2\n  device  event bits         ITT  events  pending  ",
		"\n  … and 16 more: --all prints them\n",
		"\n  guest pages      holds                of                entries  saved\n",
		"  command queue        ITS 0                   0      0\n",
		"  ITT                  device 0x10–0x11       40      0\n",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
	if all := good(t, "inspect", file, "--resume", snap, "--all").stdout; strings.Contains(all, "more:") || !strings.Contains(all, "\n  0x11       19  8231 ") {
		t.Errorf("--all prints\n%s", all)
	}
	var seen struct {
		Cycle uint64
		Ended bool
		GIC   struct {
			Pages []struct {
				GFN            uint64
				Holds          string
				Entries, Saved int
			}
		}
	}
	if err := json.Unmarshal([]byte(good(t, "inspect", file, "--json").stdout), &seen); err != nil {
		t.Fatal(err)
	}
	if !seen.Ended || len(seen.GIC.Pages) != 16+1+1+1+2+2 {
		t.Errorf("%+v", seen)
	}
	for _, p := range seen.GIC.Pages {
		if p.Saved != p.Entries {
			t.Errorf("at the end all is saved, and %+v", p)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{file, "--at", "5"}, "--at 5: 5 has no unit"},
		{[]string{file, "--resume", "/nowhere"}, "/nowhere: no such file"},
		{[]string{file, "--resume", file}, file + ": "},
		{[]string{"--pattern", "uniform", "--set", "workload.accesses=100"}, "no interrupt controller to look at"},
	} {
		o := ringmap(t, append([]string{"inspect"}, c.args...)...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, want %q", c.args, o.status, o.stderr, c.want)
		}
	}
}
