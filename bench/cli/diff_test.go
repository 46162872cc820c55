package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("vm: {vcpus: 2, memory: 16MiB}\nworkload: {accesses: 3000}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if o := good(t, "diff", file); !strings.HasPrefix(o.stdout, "The runs do not part in ") {
		t.Errorf("%s", o.stdout)
	}
	o := ringmap(t, "diff", file, file, "--b", "host.costs.abort=200")
	if o.status != 1 || !strings.HasPrefix(o.stdout, "The runs part at cycle ") || !strings.Contains(o.stdout, "cycles on fault") || !strings.Contains(o.stdout, "host.costs.abort") {
		t.Errorf("status %d\n%s%s", o.status, o.stdout, o.stderr)
	}
	if o := ringmap(t, "diff", file, "--b", "host.costs.abort=200", "--json"); o.status != 1 || !strings.Contains(o.stdout, `"same": false`) {
		t.Errorf("status %d\n%s", o.status, o.stdout)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "needs one or two scenario files"},
		{[]string{file, file, file}, "needs one or two scenario files"},
		{[]string{file + ".none"}, "cannot read the scenario"},
		{[]string{file, "--b", "seed"}, "--b seed: no = in it"},
		{[]string{file, "--a", "tracking.ring=5"}, "--a tracking.ring=5: tracking.ring: a ring of 5 entries"},
	} {
		o := ringmap(t, append([]string{"diff"}, c.args...)...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q, want %q", c.args, o.status, o.stderr, c.want)
		}
	}
}
