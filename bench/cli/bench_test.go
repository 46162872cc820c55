package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBenchAndCompare: equal builds differ in nothing; one whose write-fault path
// costs 3 % more cycles fails, and the path is named. So does the JSON form.
func TestBenchAndCompare(t *testing.T) {
	dir := t.TempDir()
	bench := func(name string, args ...string) string {
		path := filepath.Join(dir, name)
		o := good(t, append([]string{"bench", "--only", "zipf-off,sequential-bitmap", "--set", "workload.accesses=20000"}, args...)...)
		if err := os.WriteFile(path, []byte(o.stdout), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, form := range [][]string{nil, {"--json"}} {
		old := bench("old", form...)
		same := bench("same", append(form, "--jobs", "1")...)
		dear := bench("dear", append(form, "--set", "host.costs.abort=189")...) // 1,180 cycles a fault and 36 more
		if o := ringmap(t, "compare", old, same); o.status != 0 || o.stdout != "" || !strings.HasPrefix(o.stderr, "no simulated figure differs: 2 runs") {
			t.Errorf("%v, equal builds: status %d, %q, %q", form, o.status, o.stdout, o.stderr)
		}
		o := ringmap(t, "compare", old, dear)
		if o.status != 1 || !strings.Contains(o.stdout, "the write-fault path costs 3.") || !strings.Contains(o.stdout, "fault +") {
			t.Errorf("%v: status %d\n%s%s", form, o.status, o.stdout, o.stderr)
		}
		if o := ringmap(t, "compare", dear, old); o.status != 0 || !strings.Contains(o.stdout, "the write-fault path costs") || !strings.Contains(o.stdout, "% less in 2 of 2 runs: fault −") {
			t.Errorf("%v, cheaper: status %d\n%s", form, o.status, o.stdout)
		}
		if o := ringmap(t, "compare", old, dear, "--json"); o.status != 1 || !strings.Contains(o.stdout, `"regression": true`) {
			t.Errorf("%v, JSON: status %d\n%s", form, o.status, o.stdout)
		}
	}
}

func TestBadBenchAndCompare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, []byte("wall: {allow: much}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"bench", "--only", "zip"}, `unknown scenario of the suite "zip"; did you mean "zipf`},
		{[]string{"bench", "--count", "0"}, "--count 0: use 1 to 1000"},
		{[]string{"bench", "--jobs", "0"}, "--jobs 0: use 1 to 1024"},
		{[]string{"bench", "--set", "tracking.rng=4"}, `unknown key "rng"`},
		{[]string{"bench", "--set", "host.costs.abrt=1"}, `the profile n1 has no figure "abrt"; did you mean "abort"?`},
		{[]string{"bench", "--set", "host.costs.abort=-1"}, `"-1" is no cost`},
		{[]string{"bench", "--set", "host.costs.abort=9999999"}, "9999999 cycles are no instruction overhead"},
		{[]string{"compare", file}, "needs two files, OLD and NEW"},
		{[]string{"compare", file, file + ".none"}, "no run in it"},
		{[]string{"compare", file + ".none", file}, "no such file"},
		{[]string{"compare", file, file, "--thresholds", file}, `x:1:15: "much" is no allowance; write a share, such as 0.5%`},
	} {
		o := ringmap(t, c.args...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q %q, want %q", c.args, o.status, o.stdout, o.stderr, c.want)
		}
	}
}
