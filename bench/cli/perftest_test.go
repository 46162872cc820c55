package cli_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestPerfTestLines: the lines are those of the kernel's test, in its order and
// format, then those for rings.
func TestPerfTestLines(t *testing.T) {
	got := good(t, "perf-test", "-b", "4M", "-v", "2", "-i", "2").stdout
	const seconds = `\d+\.\d{9}s`
	iteration := func(n string) string {
		return `Iteration N dirty memory time: S
Iteration N get dirty log time: S
Iteration N clear dirty log time: S
Iteration N dirty ring: pushed 0 unique 0 dup 0 full-exits 0 repeat-full 0 occupancy avg/max 0.0/0
Iteration N reset: entries 0 batches 0 coalesce 0.00 protected-pages 2048 time S
Iteration N bitmap: slots 1 bits 2048 density 1.000000 words-scanned 64 words-set 64 bytes-copied 256
Iteration N verify: ok
`
	}
	want := `Test iterations: 2
Testing guest mode: PA-bits:40,  VA-bits:48,  4K pages
guest physical test memory: [0xffff7ff000, 0xfffffff000)
Populate memory time: S
Enabling dirty logging time: S

` + strings.ReplaceAll(iteration("1"), "N", "1") + strings.ReplaceAll(iteration("2"), "N", "2") + `Disabling dirty logging time: S
Get dirty log over 2 iterations took S. (Avg S/iteration)
Clear dirty log over 2 iterations took S. (Avg S/iteration)
`
	if got := regexp.MustCompile(seconds).ReplaceAllString(got, "S"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPerfTestStatus(t *testing.T) {
	o := ringmap(t, "perf-test", "-b", "4M", "-M", "ring", "-s", "anonymous_thp", "-a", "-c", "512")
	if o.status != 1 || !strings.Contains(o.stdout, "verify: missing ") {
		t.Errorf("status %d\n%s", o.status, o.stdout)
	}
	for _, c := range []struct{ args, want string }{
		{"-i 1", "-i 1: use 2 or more iterations"},
		{"-v 0", "-v 0: use 1 to 512 vCPUs"},
		{"-w 101", "-w 101: use 0 to 100 percent"},
		{"-b lots", `-b lots: "lots" is not a size`},
		{"-b 5M -x 3", "must divide evenly into slots of whole pages"},
		{"-b 2T -v 2", "more memory than 40 bits of guest physical address"},
		{"-s paper", `-s paper: unknown backing "paper"`},
		{"-M rings", `-M rings: unknown mode "rings"; did you mean "ring"?`},
		{"-M off", "-M off: unknown mode"},
		{"-M bitmap -c 512", "-c 512: mode bitmap has no ring"},
		{"-M ring -c 500", "500 entries is not a power of two"},
		{"-g -M ring", "-g is -M bitmap; give one of them"},
		{"--page 8k", "--page 8k: write 4k, 16k or 64k"},
		{"-p 0x1001", "not aligned to the host page size"},
		{"-e", "unknown shorthand flag: 'e' in -e"},
	} {
		o := ringmap(t, append([]string{"perf-test"}, strings.Fields(c.args)...)...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q, want %q", c.args, o.status, o.stderr, c.want)
		}
	}
}
