package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// litmusOut runs one of the litmus commands.
func litmusOut(command func(*terminal) *cobra.Command, args ...string) (string, error) {
	t := &terminal{out: &bytes.Buffer{}, err: os.Stderr}
	cmd := command(t)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.Execute()
	return t.out.String(), err
}

// TestLitmusMakeExplain makes a test and explains it, with picture and page.
func TestLitmusMakeExplain(t *testing.T) {
	text, err := litmusOut(makeCommand, "DMB.SYdWW", "Rfe", "DpAddr", "Fre")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "made.litmus")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	svg, page := filepath.Join(dir, "a.svg"), filepath.Join(dir, "a.html")
	out, err := litmusOut(explainCommand, file, "--svg", svg, "--html", page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MP+dmb.sy+addr: forbidden by external visibility", "-dmb.sy-> b", "-addr->"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	for path, want := range map[string]string{svg: "<svg ", page: "<!DOCTYPE html>"} {
		got, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %v, does not start with %s", filepath.Base(path), err, want)
		}
	}
	out, err = litmusOut(explainCommand, file, "--model", "tso")
	if err != nil || !strings.Contains(out, "forbidden") {
		t.Errorf("under tso: %v\n%s", err, out)
	}
}

func TestLitmusMakeExplainErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.litmus")
	if err := os.WriteFile(bad, []byte("AArch64 bad\n{}\n P0 ;\n FOO X1 ;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command func(*terminal) *cobra.Command
		args    []string
		want    string
	}{
		{makeCommand, nil, "no edges; a cycle is written as in: PodWW Rfe DpAddrdR Fre"},
		{makeCommand, []string{"PodWW", "Rfe", "PodWR", "Fre"}, "did you mean PodRR?"},
		{explainCommand, nil, "needs one litmus test"},
		{explainCommand, []string{bad}, "bad.litmus:4: unknown instruction"},
		{explainCommand, []string{filepath.Join(dir, "none.litmus")}, "none.litmus: no such file or directory"},
		{explainCommand, []string{bad, "--model", "amr"}, `did you mean "arm"?`},
		{explainCommand, []string{bad, "--bound", "0"}, "--bound 0: must be 1 to 64"},
	} {
		out, err := litmusOut(c.command, append([]string{}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%v: %v, output %q; want %q", c.args, err, out, c.want)
		}
	}
}
