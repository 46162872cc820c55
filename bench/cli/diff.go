package cli

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
)

func diffCommand(t *terminal) *cobra.Command {
	var (
		asJSON       bool
		set, a, b    []string
		sides        [2]*scenario.Scenario
		letter, loud = [2]string{"--a ", "--b "}, [2]string{"A", "B"}
	)
	cmd := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Find the first cycle and component in which two runs part",
		Long: `Run two scenarios side by side and find the first cycle at whose end their states
differ, which component differs, and what a thread does otherwise there. Give two
files, or one and settings for each side (--a, --b). Components that differ before
the first cycle, as the settings say, are named and not looked at.

Exit status: 0 the runs are equal in every component that is compared; 1 they part;
2 bad input.`,
		Example: `  ringmap diff scenarios/zipf.yaml --a kernel=6.12 --b kernel=7.2
  ringmap diff scenarios/zipf.yaml --b seed=2
  ringmap diff old.yaml new.yaml --set run.until=10ms
  ringmap diff scenarios/zipf.yaml --b host.costs.abort=103% --json`,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a key of both scenarios, as `a.b=c`; may be repeated")
	cmd.Flags().StringArrayVar(&a, "a", nil, "set a key of A, as `a.b=c`; may be repeated")
	cmd.Flags().StringArrayVar(&b, "b", nil, "set a key of B, as `a.b=c`; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || len(args) > 2 {
			return fmt.Errorf("%s needs one or two scenario files; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
		}
		for i, own := range [][]string{a, b} {
			s, err := scenario.Load(args[min(i, len(args)-1)])
			if err != nil {
				return err
			}
			for _, text := range set {
				if err := s.Set("--set "+text, text); err != nil {
					return err
				}
			}
			for _, text := range own {
				if err := s.Set(letter[i]+text, text); err != nil {
					return err
				}
			}
			sides[i] = s
		}
		bar := newProgress(t)
		d, err := bench.Diff(sides[0], sides[1], bar.update)
		bar.finish()
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(t, d)
		} else {
			printDiff(t, d, loud)
		}
		if err == nil && !d.Same {
			err = errNo
		}
		return err
	}
	return cmd
}

func printDiff(t *terminal, d *bench.Difference, names [2]string) {
	say := func(format string, args ...any) {
		copyLines(t.out, wrap(fmt.Sprintf(format, args...), t.rows))
	}
	number := func(n uint64) string { return humanize.Comma(int64(n)) }
	if d.Same {
		say("%s in %s cycles.", t.style.green("The runs do not part"), number(d.Compared))
	} else {
		say("%s at cycle %s: %s.", t.style.bold("The runs part"), number(d.Cycle), someComponents(d))
	}
	if e := d.Event; e != nil {
		say("The first thing done otherwise is on thread %s:", e.Thread)
		for i, side := range []struct {
			text string
			at   uint64
		}{{e.A, e.AtA}, {e.B, e.AtB}} {
			if side.at != 0 {
				say("  %s at cycle %s: %s", names[i], number(side.at), side.text)
			} else {
				say("  %s %s", names[i], side.text)
			}
		}
	}
	if d.Ended != "" {
		say("Only %s is over by then.", strings.ToUpper(d.Ended))
	}
	if len(d.Stats) > 0 {
		fmt.Fprintf(t.out, "\n%s\n", t.style.bold("Statistics that differ at the end of that cycle and did not before"))
		tab := &table{heads: []string{"statistic", names[0], names[1]}}
		for _, s := range d.Stats {
			tab.row(s.Name, figure(s.A), figure(s.B))
		}
		copyLines(t.out, tab.lines())
	}
	if len(d.Config) > 0 {
		fmt.Fprintf(t.out, "\n%s\n", t.style.bold("Settings that differ"))
		tab := &table{heads: []string{"key", names[0], names[1]}}
		for _, c := range d.Config {
			tab.row(c.Key, c.A, c.B)
		}
		copyLines(t.out, tab.lines())
	}
	if len(d.FromStart) > 0 {
		say("Different before the first cycle, and not looked at: %s", strings.Join(d.FromStart, ", "))
	}
}

// someComponents names the first few that differ.
func someComponents(d *bench.Difference) string {
	const most = 6
	list := d.Components
	if len(list) == 0 {
		return "one of them is over"
	}
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}
