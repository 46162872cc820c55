package cli

import (
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/bench/compare"
)

func compareCommand(t *terminal) *cobra.Command {
	var (
		asJSON, all, judgeWall, printThresholds bool
		thresholds                              string
	)
	cmd := &cobra.Command{
		Use:   "compare OLD NEW",
		Short: "Say what became worse between two files of results, and where the cycles went",
		Long: `Compare two files of results: the output of ringmap bench, records of ringmap run
--json one after the other, or JSONL. Runs are paired by name, seed and axes.

Simulated figures are exact, so any difference is one; a file of thresholds says
which differences are regressions. Wall time is shown and not judged, unless
--judge-wall is given. Nothing is printed on standard output if no simulated
figure differs.

Exit status: 0 no regression; 1 a regression; 2 bad input.`,
		Example: `  ringmap bench > old.txt           # before the change
  ringmap bench > new.txt           # after it
  ringmap compare old.txt new.txt
  ringmap compare old.json new.json --all --json
  ringmap compare --print-thresholds > mine.yaml
  ringmap compare old.txt new.txt --thresholds mine.yaml`,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&all, "all", false, "show every figure that differs, not only those that are judged")
	cmd.Flags().BoolVar(&judgeWall, "judge-wall", false, "a significantly longer wall time is a regression too")
	cmd.Flags().StringVar(&thresholds, "thresholds", "", "judge by this `FILE`")
	cmd.Flags().BoolVar(&printThresholds, "print-thresholds", false, "print the thresholds in effect, to start from")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, text := "thresholds.yaml (built in)", compare.DefaultThresholds
		if thresholds != "" {
			var err error
			if text, err = os.ReadFile(thresholds); err != nil {
				return fileError(thresholds, err)
			}
			file = thresholds
		}
		th, err := compare.ParseThresholds(file, text)
		if err != nil {
			return err
		}
		if printThresholds {
			t.out.Write(text)
			return nil
		}
		if err := exactly(2, "two files, OLD and NEW")(cmd, args); err != nil {
			return err
		}
		var runs [2][]compare.Run
		for i, name := range args {
			data, err := os.ReadFile(name)
			if err != nil {
				return fileError(name, err)
			}
			if runs[i], err = compare.Read(name, data); err != nil {
				return err
			}
		}
		r, err := compare.Compare(runs[0], runs[1], th, judgeWall)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(t, r)
		} else {
			printComparison(t, r, all)
		}
		if err == nil && r.Regression {
			err = errNo
		}
		return err
	}
	return cmd
}

// printComparison prints the verdict first, then why, then the figures.
func printComparison(t *terminal, r *compare.Report, all bool) {
	for _, note := range []struct {
		where string
		keys  []string
	}{{"OLD", r.OnlyOld}, {"NEW", r.OnlyNew}} {
		if len(note.keys) > 0 {
			fmt.Fprintf(t.err, "only in %s: %s\n", note.where, strings.Join(note.keys, ", "))
		}
	}
	if len(r.Differences) == 0 {
		fmt.Fprintf(t.err, "no simulated figure differs: %s, %s figures\n", count(r.Runs, "run"), humanize.Comma(int64(r.Figures)))
	} else {
		printVerdict(t, r)
		printMoved(t, r)
		printDifferences(t, r, all)
	}
	printWall(t, r)
}

func printVerdict(t *terminal, r *compare.Report) {
	switch {
	case r.Regression:
		fmt.Fprintln(t.out, t.style.red("REGRESSION"))
	default:
		fmt.Fprintln(t.out, t.style.green("No regression."))
	}
	for _, p := range r.Explained {
		for _, line := range wrap("  "+p.Sentence(), t.rows) {
			fmt.Fprintln(t.out, line)
		}
	}
	fmt.Fprintln(t.out)
}

// movedLines is how many causes are worth a line.
const movedLines = 8

func printMoved(t *terminal, r *compare.Report) {
	if len(r.Moved) == 0 {
		return
	}
	fmt.Fprintf(t.out, "%s (all %s together)\n", t.style.bold("Where the cycles moved"), count(r.Runs, "run"))
	tab := &table{heads: []string{"threads", "cause<", "OLD", "NEW", "change", "ratio"}}
	for i, m := range r.Moved {
		if i == movedLines {
			break
		}
		sign := "+"
		if m.Change() < 0 {
			sign = ""
		}
		tab.row(m.Threads, causeName(m.Cause), humanize.Comma(m.Old), humanize.Comma(m.New), sign+humanize.Comma(m.Change()), ratioText(float64(m.New)/float64(m.Old)))
	}
	copyLines(t.out, tab.lines())
	if n := len(r.Moved) - movedLines; n > 0 {
		fmt.Fprintf(t.out, "  and %d more\n", n)
	}
	fmt.Fprintln(t.out)
}

func printDifferences(t *terminal, r *compare.Report, all bool) {
	tab := &table{heads: []string{"run", "figure<", "OLD", "NEW", "ratio", "verdict<"}}
	allowed, changed := 0, 0
	for _, d := range r.Differences {
		switch d.Verdict {
		case compare.Allowed:
			allowed++
		case compare.Changed:
			changed++
		}
		if !all && d.Verdict != compare.Worse && d.Verdict != compare.Better {
			continue
		}
		verdict := string(d.Verdict)
		if d.Verdict == compare.Worse {
			verdict = t.style.red(verdict)
		}
		if d.Verdict == compare.Worse || d.Verdict == compare.Allowed {
			verdict += fmt.Sprintf(" (allowed: %.4g %%)", 100*d.Allow)
		}
		if d.Missing != "" {
			verdict = "not in " + strings.ToUpper(d.Missing)
		}
		tab.row(strings.TrimPrefix(d.Run, "scenario="), d.Figure, figure(d.Old), figure(d.New), ratioText(d.Ratio()), verdict)
	}
	if len(tab.rows) > 0 {
		copyLines(t.out, tab.lines())
	}
	if !all {
		fmt.Fprintf(t.out, "  %s differ within what is allowed, %s that are not judged; --all lists them\n", count(allowed, "more figure"), count(changed, "figure"))
	}
}

// figure prints a value to six digits or more.
func figure(v float64) string {
	if math.Abs(v) >= 100_000 {
		v = math.Round(v)
	}
	return value(v)
}

func ratioText(r float64) string {
	if math.IsInf(r, 0) || math.IsNaN(r) {
		return "–"
	}
	return fmt.Sprintf("%.4f", r)
}

func printWall(t *terminal, r *compare.Report) {
	w := r.Wall
	if w == nil {
		return
	}
	text := fmt.Sprintf("wall time: %.2f times OLD's", w.Ratio)
	switch {
	case w.Samples < 4:
		text += ", from too few runs to tell it from noise (--count 10 gives enough)"
	case w.Slower+w.Faster == 0:
		text += ", no significant difference"
	default:
		text += fmt.Sprintf(", significantly slower in %s, faster in %d (p ≥ %.3g)", count(w.Slower, "run"), w.Faster, w.P)
	}
	if !w.Judged {
		text += "; not judged"
	}
	fmt.Fprintln(t.err, text)
}
