package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ringmap/workloads"
	"ringmap/workloads/guests"
)

// TestFresh: the committed C programs are what their sources give.
func TestFresh(t *testing.T) {
	sources := glob("../c", "*.c")
	if len(sources) != 6 {
		t.Fatalf("%d sources", len(sources))
	}
	for _, source := range sources {
		committed, err := os.ReadFile(target("../programs", source))
		if err != nil {
			t.Fatal(err)
		}
		m, err := workloads.ParseELF(committed)
		if err != nil || m.Entry != guests.Base || len(m.Segments) != 1 {
			t.Errorf("%s: %+v, %v", source, m, err)
		}
	}
	out, err := exec.Command(compiler, "-dumpfullversion").Output()
	if have := strings.TrimSpace(string(out)); err != nil || have != version {
		t.Skipf("%s (Debian: gcc-aarch64-linux-gnu) of version %s is not here: %q, %v", compiler, version, have, err)
	}
	for _, source := range sources {
		built := filepath.Join(t.TempDir(), "elf")
		if err := compile(source, built); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(built)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(target("../programs", source)); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what it was built from gives: go generate ./workloads/guests", target("../programs", source))
		}
	}
}
