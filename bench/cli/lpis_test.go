package cli_test

import (
	"fmt"
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

// TestDevicesMSIs: the MSIs of the scenario's devices reach a program that has mapped
// them, each once; those that it has not mapped are dropped and counted.
func TestDevicesMSIs(t *testing.T) {
	for _, c := range []struct {
		vcpus, devices string
		all            bool // the devices are mapped by the program
	}{{"1", "4", true}, {"4", "16", true}, {"4", "48", false}} {
		t.Run(c.vcpus+"-"+c.devices, func(t *testing.T) {
			t.Parallel()
			o := good(t, "run", "--elf", "builtin:msis", "--vcpus", c.vcpus, "--memory", "16MiB", "--no-baseline", "--json", "--max-instructions", "3000000",
				"--set", "its.devices="+c.devices, "--set", "its.events=16", "--set", "its.msi_rate=1000") // none comes while it prints
			r := parse(t, o.stdout)
			msis, dropped, taken := r.stat(t, "its.msis"), r.stat(t, "its.msis_undelivered"), r.stat(t, "vgic.acknowledged")
			var n, counted, events, strange int
			if _, err := fmt.Sscanf(o.stderr, "msis: %d vCPUs, %d MSIs of %d events, %d strange\n", &n, &counted, &events, &strange); err != nil {
				t.Fatalf("%v: console %q", err, o.stderr)
			}
			if float64(counted) != taken || taken != msis-dropped || counted < 100 || fmt.Sprint(n) != c.vcpus || strange != 0 || events < 30 {
				t.Errorf("%v MSIs, %v dropped, %v taken; console %q", msis, dropped, taken, o.stderr)
			}
			if c.all && dropped > 1 || !c.all && dropped < 100 { // one may come before they are mapped
				t.Errorf("%v of %v MSIs were dropped", dropped, msis)
			}
		})
	}
}
