package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestInput: a guest takes what is typed by the UART's interrupt: at once, later, at
// the destination of a migration, or with half of it before and half behind one.
func TestInput(t *testing.T) {
	dir := t.TempDir()
	typed := filepath.Join(dir, "typed")
	const text = "hello, how are you?\nThis is the second line.\n"
	if err := os.WriteFile(typed, []byte(text+"\x04never read"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, command, at, start string }{
		{"start", "run", "start", "never"},
		{"later", "run", "1ms", "never"},
		{"migrated", "migrate", "migrated", "0"},
		{"due in the downtime", "migrate", "250us", "100us"},
		{"in the middle", "migrate", "150us", "100us"},
		{"before", "migrate", "start", "900us"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			console, snap := filepath.Join(t.TempDir(), "console"), filepath.Join(t.TempDir(), "snap")
			args := []string{c.command, "--elf", "builtin:echo", "--vcpus", "1", "--memory", "8MiB", "--no-baseline", "--json", "--console", console,
				"--input", typed, "--max-instructions", "1000000", "--set", "workload.input_at=" + c.at, "--set", "migrate.start=" + c.start,
				"--set", "migrate.bandwidth=100GiB/s", "--set", "migrate.link.bandwidth=1000Gbit/s", "--set", "migrate.downtime=10ms"}
			check := func(what string, args []string) string {
				o := good(t, args...)
				got, err := os.ReadFile(console)
				if want := text + "echo: 45 bytes, 6 interrupts, 0 strange\n"; err != nil || string(got) != want {
					t.Errorf("%s: console %q, %v; want %q", what, got, err, want)
				}
				if r := parse(t, o.stdout); r.Audit.LostPages != 0 {
					t.Errorf("%s: %d pages lost", what, r.Audit.LostPages)
				}
				return o.stdout
			}
			alone := check("alone", args)
			if saved := check("saved", append(args, "--snapshot-at", "140us", "--snapshot", snap)); saved != alone {
				t.Error("a snapshot changes the run")
			}
			if resumed := check("resumed", append(args, "--resume", snap)); resumed != alone {
				t.Error("the run that is resumed is another one")
			}
		})
	}
}

// TestInputInVain: who waits for what cannot be typed any more is ended.
func TestInputInVain(t *testing.T) {
	typed := filepath.Join(t.TempDir(), "typed")
	if err := os.WriteFile(typed, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--elf", "builtin:echo", "--vcpus", "1", "--memory", "8MiB", "--no-baseline", "--json", "--input", typed}
	for what, more := range map[string][]string{
		"all is read":          {"run"},
		"all is read later":    {"run", "--set", "workload.input_at=1ms"},
		"the migration failed": {"migrate", "--set", "workload.input_at=migrated", "--set", "migrate.fail=refuse"},
	} {
		o := good(t, append(more, args...)...)
		var r struct{ Finished string }
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
			t.Fatal(err)
		}
		if want := "every vCPU waits for an interrupt that cannot come"; r.Finished != want {
			t.Errorf("%s: %q, want %q", what, r.Finished, want)
		}
	}
}
