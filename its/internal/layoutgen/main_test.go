package main

import (
	"os"
	"strings"
	"testing"
)

// layout.go is what the generator makes of layout.txt.
func TestFresh(t *testing.T) {
	text, err := os.ReadFile("../../layout.txt")
	if err != nil {
		t.Fatal(err)
	}
	tab, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := tab.generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../layout.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("its/layout.go is stale: run `go generate ./its`")
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"word A 48":                         "1: a word has",
		"word A 64\n 3:7 F":                 "2: field 3:7",
		"word A 32\n 32 F":                  "2: field 32",
		"word A 64\n 7:0 F\n 4 G":           "overlaps",
		"word A 64\n 7:0 F <<60":            "2: field F: bad shift",
		"command\n 4.7:0 F":                 "2: field 4.7:0",
		"command\n 0.7:0 Opcode\nop X 1 ID": "no command field ID",
		"op X 300":                          "1: opcode 300",
		"nonsense here":                     "1: \"nonsense here\"",
	} {
		_, err := parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}
