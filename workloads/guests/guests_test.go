package guests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringmap/workloads"
)

// TestFresh: the committed programs are what their sources give.
func TestFresh(t *testing.T) {
	sources, err := filepath.Glob("programs/*.s")
	if err != nil || len(sources) != 6 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Build(string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		elf := strings.TrimSuffix(path, ".s") + ".elf"
		have, err := os.ReadFile(elf)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what its source gives: go generate ./workloads/guests", elf)
		}
		m, err := workloads.ParseELF(have)
		if err != nil || m.Entry != Base || len(m.Segments) != 1 || m.Segments[0].Addr != Base {
			t.Errorf("%s: %+v, %v", elf, m, err)
		}
	}
}

func TestBadSource(t *testing.T) {
	if _, err := Build("add x0, x1\nfrob"); err == nil {
		t.Error("nonsense was assembled")
	}
}
