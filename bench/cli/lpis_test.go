package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLPIsMigrate: a guest that takes LPIs is migrated in the middle of them, pending
// ones in the tables of its memory: each comes exactly once, at the one side or the
// other, and no page is lost.
func TestLPIsMigrate(t *testing.T) {
	for _, start := range []string{"20us", "100us", "170us"} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			console := filepath.Join(t.TempDir(), "console")
			o := good(t, "migrate", "--elf", "builtin:lpis", "--vcpus", "1", "--memory", "10MiB", "--no-baseline", "--max-instructions", "3000000",
				"--bandwidth", "100GiB/s", "--link", "1000Gbit/s", "--downtime", "10ms", "--set", "migrate.start="+start, "--json", "--console", console)
			text, err := os.ReadFile(console)
			if want := "lpis: 1 vCPUs, 1024 LPIs, 1024 to 1024 a vCPU, 0 wrong\n"; err != nil || string(text) != want {
				t.Errorf("console %q, %v", text, err)
			}
			r := parse(t, o.stdout)
			if !strings.Contains(o.stdout, `"migration":`) || r.Audit.LostPages != 0 || r.stat(t, "vgic.acknowledged") >= 1024 {
				t.Errorf("not migrated in the middle: %d pages lost, %v taken at the destination", r.Audit.LostPages, r.stat(t, "vgic.acknowledged"))
			}
		})
	}
}
