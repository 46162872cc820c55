package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp: every command has its place, says what it does in one line, shows
// examples, and every example names a command and flags that there are.
func TestHelp(t *testing.T) {
	term := func() *terminal { return &terminal{out: &bytes.Buffer{}, rows: 100} }
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		if c.Short == "" {
			t.Errorf("%s does not say what it does", c.CommandPath())
		}
		if c.Runnable() && c.Example == "" && c.Name() != "help" && c.Name() != "version" && c.Parent() != nil && !c.HasSubCommands() {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Parent() != nil && c.Parent().Parent() == nil && c.Runnable() && c.GroupID == "" {
			t.Errorf("%s belongs to no group", c.CommandPath())
		}
		for line := range strings.Lines(c.Example + "\n" + c.Long) {
			for part := range strings.SplitSeq(strings.Split(line, " # ")[0], ";") {
				words := strings.Fields(strings.Split(part, "&&")[0])
				if len(words) < 2 || words[0] != "ringmap" || !strings.HasPrefix(line, "  ") {
					continue
				}
				checkExample(t, term(), words[1:])
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(term()))
}

// checkExample parses the command line of an example.
func checkExample(t *testing.T, term *terminal, words []string) {
	t.Helper()
	for i, w := range words {
		if w == ">" || w == "|" || w == "<" {
			words = words[:i]
			break
		}
	}
	cmd, rest, err := newRoot(term).Find(words)
	if err != nil || cmd.Parent() == nil {
		t.Errorf("example %v: no such command (%v)", words, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("example %v: %v", words, err)
	}
}
