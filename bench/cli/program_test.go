package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const programs = "../../workloads/guests/programs/"

// TestRunProgram: each program on 1, 2, 8 and 64 vCPUs prints what it should,
// loses nothing, and does it twice alike.
func TestRunProgram(t *testing.T) {
	pages, sort := "pages: the MMU is on\npages: 512 pages written 4 times, 0 wrong\n", "sort: 20000 words, 0 out of order, sum off by 0\n"
	for _, c := range []struct{ file, vcpus, console string }{
		{"pages", "1", pages}, {"pages", "2", pages}, {"pages", "8", pages},
		{"sort", "1", sort}, {"sort", "2", sort}, {"sort", "8", sort},
		{"locks", "1", "locks: 1 vCPUs, 200 under the lock, 200 by LDADD\n"},
		{"locks", "2", "locks: 2 vCPUs, 400 under the lock, 400 by LDADD\n"},
		{"locks", "8", "locks: 8 vCPUs, 1600 under the lock, 1600 by LDADD\n"},
		{"locks", "64", "locks: 64 vCPUs, 12800 under the lock, 12800 by LDADD\n"},
	} {
		t.Run(c.file+"-"+c.vcpus, func(t *testing.T) {
			t.Parallel()
			console := filepath.Join(t.TempDir(), "console")
			args := []string{"run", "--elf", programs + c.file + ".elf", "--vcpus", c.vcpus, "--memory", "64MiB", "--json"}
			a := good(t, append(args, "--console", console)...)
			text, err := os.ReadFile(console)
			if err != nil || string(text) != c.console {
				t.Errorf("console %q, %v", text, err)
			}
			if !strings.Contains(a.stdout, `"lost_pages": 0,`) || !strings.Contains(a.stdout, `"finished": "system off"`) {
				t.Errorf("not a clean end:\n%s", a.stdout)
			}
			b := good(t, args...)
			if a.stdout != b.stdout {
				t.Error("two runs differ")
			}
			if !strings.HasPrefix(b.stderr, c.console) {
				t.Errorf("standard error begins with %q", b.stderr)
			}
		})
	}
}

// TestBadProgram: one line, status 2, and what to do.
func TestBadProgram(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	elf, err := os.ReadFile(programs + "sort.elf")
	if err != nil {
		t.Fatal(err)
	}
	x86 := append([]byte(nil), elf...)
	x86[18] = 62
	scene := write("both.yaml", []byte("workload: {pattern: zipf, elf: a.elf}\n"))
	for want, args := range map[string][]string{
		"for x86-64":             {"--elf", write("x86", x86)},
		"cut short":              {"--elf", write("short", elf[:200])},
		"do not fit into memory": {"--elf", programs + "sort.elf", "--memory", "256KiB"},
		"no ELF file":            {"--elf", programs + "sort.s"},
		"no such file":           {"--elf", dir + "/none"},
		"is empty":               {"--raw", write("empty", nil)},
		"one program":            {"--elf", programs + "sort.elf", "--raw", programs + "sort.s"},
		"trace or a program":     {"--elf", programs + "sort.elf", "--trace", linuxTrace},
		"a pattern or a program": {scene},
		"only a program":         {"--pattern", "zipf", "--max-instructions", "7"},
		"no parameters":          {"--elf", programs + "sort.elf", "--set", "workload.theta=0.5"},
	} {
		o := ringmap(t, append([]string{"run"}, args...)...)
		if o.status != 2 || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: status %d, %q; want %q", args, o.status, o.stderr, want)
		}
	}
}

// TestProgramLimits: a program that never ends is ended, by instructions or time.
func TestProgramLimits(t *testing.T) {
	spin := filepath.Join(t.TempDir(), "spin")
	if err := os.WriteFile(spin, []byte{0, 0, 0, 0x14}, 0o644); err != nil { // b .
		t.Fatal(err)
	}
	o := good(t, "run", "--raw", spin, "--max-instructions", "12345", "--json", "--vcpus", "2")
	if !strings.Contains(o.stdout, `"finished": "instruction limit"`) || !strings.Contains(o.stdout, "12345") {
		t.Error("no limit on instructions")
	}
	o = good(t, "run", "--raw", spin, "--set", "run.until=1ms", "--json", "--vcpus", "2")
	if !strings.Contains(o.stdout, `"finished": "time over"`) {
		t.Error("no limit on time")
	}
	zero := filepath.Join(t.TempDir(), "zero")
	if err := os.WriteFile(zero, make([]byte, 4), 0o644); err != nil { // undefined, and no vectors
		t.Fatal(err)
	}
	o = good(t, "run", "--raw", zero, "--max-instructions", "1000", "--json")
	if !strings.Contains(o.stdout, `"finished": "instruction limit"`) {
		t.Error("a guest that takes exceptions for ever does not end")
	}
}
