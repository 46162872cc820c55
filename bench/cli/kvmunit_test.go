package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

type unitTest struct{ name, file, args, vcpus string }

// kvmUnitTests are steps of kvm-unit-tests/arm/unittests.cfg with the arguments
// that it gives.
var kvmUnitTests = []unitTest{
	{"dummy", "dummy", "", "1"},
	{"selftest-setup", "selftest", "setup smp=2 mem=256", "2"},
	{"selftest-vectors-kernel", "selftest", "vectors-kernel", "1"},
	{"selftest-vectors-user", "selftest", "vectors-user", "1"},
	{"selftest-smp", "selftest", "smp", "4"},
	{"cache", "cache", "", "1"},
	{"psci", "psci", "", "4"},
	{"debug-bp", "debug", "bp", "1"},
	{"debug-wp", "debug", "wp", "1"},
	{"debug-sstep", "debug", "ss", "1"},
	{"fpu-context", "fpu", "", "2"},
}

// atomicTests are more of them, which wait for long.
var atomicTests = []unitTest{
	{"timer", "timer", "", "1"},
	{"gicv3-ipi", "gic", "ipi", "4"},
	{"selftest-smp-64", "selftest", "smp", "64"},
	{"gicv3-ipi-64", "gic", "ipi", "64"},
	{"gicv3-active", "gic", "active", "4"},
	{"its-introspection", "gic", "its-introspection", "4"},
	{"its-trigger", "gic", "its-trigger", "4"},
	{"micro-bench", "micro-bench", "", "2"},
}

// migratedTests wait for a key after they have been migrated.
var migratedTests = []unitTest{
	{"its-migration", "gic", "its-migration", "4"},
	{"its-pending-migration", "gic", "its-pending-migration", "4"},
	{"its-migrate-unmapped-collection", "gic", "its-migrate-unmapped-collection", "4"},
	{"debug-bp-migration", "debug", "bp-migration", "1"},
	{"debug-wp-migration", "debug", "wp-migration", "1"},
	{"debug-sstep-migration", "debug", "ss-migration", "1"},
}

// TestKVMUnitTests runs the folder of flat binaries that RINGMAP_KVM_UNIT_TESTS
// names: docs/guests.md says how to build it.
func TestKVMUnitTests(t *testing.T) {
	dir := os.Getenv("RINGMAP_KVM_UNIT_TESTS")
	if dir == "" {
		t.Skip("RINGMAP_KVM_UNIT_TESTS does not name a folder of flat binaries of kvm-unit-tests")
	}
	for _, c := range append(slices.Clone(kvmUnitTests), atomicTests...) {
		t.Run(c.name+"/atomic", func(t *testing.T) { runUnitTest(t, dir, c, "atomic") })
	}
	for _, c := range kvmUnitTests {
		t.Run(c.name+"/inorder", func(t *testing.T) { runUnitTest(t, dir, c, "inorder") })
	}
	key, errata := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "errata")
	for path, text := range map[string]string{key: "k", errata: "ERRATA_8c58be34494b=y\n"} { // the host has this fix
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range migratedTests { // they have asked for it by 1.5 s
		t.Run(c.name+"/atomic", func(t *testing.T) {
			runUnitTest(t, dir, c, "atomic", "--input", key, "--initrd", errata, "--set", "workload.input_at=migrated", "--set", "migrate.start=1500ms",
				"--set", "migrate.bandwidth=10GiB/s", "--set", "migrate.link.bandwidth=100Gbit/s", "--set", "migrate.downtime=2s")
		})
	}
}

func runUnitTest(t *testing.T, dir string, c unitTest, model string, more ...string) {
	file := filepath.Join(dir, c.file+".flat")
	if _, err := os.Stat(file); err != nil {
		t.Skip(err)
	}
	args := []string{"run", "--raw", file, "--append", c.args, "--vcpus", c.vcpus, "--no-baseline", "--json", "--max-instructions", "12000000000",
		"--set", "host.clock=100MHz", "--set", "cpu.model=" + model}
	o := good(t, append(args, more...)...) // they wait by the counter: fewer cycles a second, fewer to simulate
	var r struct {
		Exit     *int64 `json:"guest_exit_status"`
		Finished string
		Audit    struct {
			Lost uint64 `json:"lost_pages"`
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if r.Exit == nil || *r.Exit != 1 || r.Finished != "system off" || r.Audit.Lost != 0 {
		t.Errorf("ended with %v, %s, %d pages lost:\n%s", r.Exit, r.Finished, r.Audit.Lost, o.stderr)
	}
}
