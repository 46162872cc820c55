package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestMicroBench: every published row comes out of the guest program within 10 %,
// the same from the scenario that ships, and twice alike.
func TestMicroBench(t *testing.T) {
	o := good(t, "micro-bench", "--json")
	var rows []struct {
		Name       string
		NS, Cycles float64
		Published  uint64  `json:"published_cycles"`
		OffBy      float64 `json:"off_by_percent"`
		Source     string
	}
	if err := json.Unmarshal([]byte(o.stdout), &rows); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
		t.Logf("%-15s %8.1f ns %8.1f cycles, measured %d: %+.1f %%", r.Name, r.NS, r.Cycles, r.Published, r.OffBy)
		switch {
		case r.Name == "lpi":
			if r.Published != 0 || !strings.HasPrefix(r.Source, "prediction") || r.NS < 1000 || r.NS > 5000 {
				t.Errorf("lpi: %+v", r)
			}
		case r.Published == 0 || r.OffBy > 10 || r.OffBy < -10:
			t.Errorf("%s: %.1f cycles, measured %d", r.Name, r.Cycles, r.Published)
		}
	}
	if got := strings.Join(names, " "); got != "hvc mmio_read_user mmio_read_vgic eoi ipi lpi" {
		t.Errorf("rows %s", got)
	}
	if again := good(t, "micro-bench", "../../scenarios/micro-bench.yaml", "--json"); again.stdout != o.stdout {
		t.Errorf("the scenario that ships gives other figures:\n%s", again.stdout)
	}
	if table := good(t, "micro-bench").stdout; strings.Count(table, "\n") != 7 || !strings.Contains(table, "mmio_read_vgic") {
		t.Errorf("table:\n%s", table)
	}
}

// TestMicroBenchBad: what it cannot run is one line and status 2.
func TestMicroBenchBad(t *testing.T) {
	other := t.TempDir() + "/other.yaml"
	if err := os.WriteFile(other, []byte("workload: {elf: builtin:locks}\nvm: {memory: 16MiB}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"a program":        {"../../scenarios/zipf.yaml"},
		"no program":       {"--set", "workload.elf=builtin:nothing"},
		"printed nothing":  {"--set", "vm.vcpus=1"},
		"cannot read":      {"none.yaml"},
		"the program prin": {other},
	} {
		o := ringmap(t, append([]string{"micro-bench"}, args...)...)
		if o.status != 2 || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, o.status, o.stderr, want)
		}
	}
}
