package vmm

import (
	"strings"
	"testing"

	"ringmap/kvmcore"
)

// TestCosts: every kernel profile has userspace costs, and all of them cost something.
func TestCosts(t *testing.T) {
	for _, name := range kvmcore.Profiles() {
		c, err := LoadCosts(name)
		if err != nil {
			t.Error(err)
		}
		if c.Entry == 0 || c.Word == 0 || c.CopyPage == 0 || c.Lock == 0 || c.Kick == 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, err := LoadCosts("nonsense"); err == nil {
		t.Error("costs of any profile")
	}
}

// TestCostsStrict: what is missing, unknown or without a source is refused.
func TestCostsStrict(t *testing.T) {
	good, err := costFiles.ReadFile("costs/n1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for old, new := range map[string]string{
		"entry:":           "entree:",
		"cycles: 15,":      "",
		"cycles: 20,":      "cycles: -20,",
		"kind: prediction": "kind: guess",
		`source: "one`:     `sauce: "one`,
		"name: n1":         "nome: n1",
		"  kick:":          "  extra: {cycles: 1, kind: fit, source: x}\n  kick:",
	} {
		bad := strings.Replace(string(good), "\n  "+strings.TrimPrefix(old, "  "), "\n  "+strings.TrimPrefix(new, "  "), 1)
		if bad == string(good) {
			bad = strings.Replace(string(good[strings.Index(string(good), "\nname"):]), old, new, 1)
		}
		if _, err := ParseCosts("test.yaml", []byte(bad)); err == nil {
			t.Errorf("%q for %q is accepted", new, old)
		}
	}
}

// FuzzParseCosts: no file panics, and what is accepted is complete.
func FuzzParseCosts(f *testing.F) {
	good, err := costFiles.ReadFile("costs/n1.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("name: x\nfigures: {entry: {cycles: 1, kind: fit, source: y}}\n"))
	f.Add([]byte("figures: [1, 2]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := ParseCosts("fuzz", data); err != nil && c != (Costs{}) {
			t.Errorf("an error and the costs %+v", c)
		}
	})
}
