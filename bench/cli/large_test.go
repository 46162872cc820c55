package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLargeScenarios: the scenarios that take longer, in a minute of processor time
// and 2 GiB each.
func TestLargeScenarios(t *testing.T) {
	if os.Getenv("RINGMAP_LONG") == "" {
		t.Skip("make test-long")
	}
	files, _ := filepath.Glob("../../scenarios/large/*.yaml")
	if len(files) == 0 {
		t.Fatal("no scenarios")
	}
	for _, file := range files {
		var out bytes.Buffer
		cmd := exec.Command(program, "run", file, "--json", "--no-baseline")
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if mib := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10; mib >= 2048 {
			t.Errorf("%s: peak memory %d MiB", file, mib)
		}
		t.Logf("%s: %v of processor time", file, cmd.ProcessState.UserTime())
		if r := parse(t, out.String()); r.Audit.LostPages != 0 {
			t.Errorf("%s: %d pages lost", file, r.Audit.LostPages)
		}
	}
}
