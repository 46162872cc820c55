package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ringmap/bench/experiments"
	"ringmap/bench/store"
)

func experimentCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "experiment",
		Short: "Answer the questions that the design of dirty tracking was argued about",
		Long: `Each claim of the design threads (C1 to C21) is a file of bench/experiments: a
question, the sweep that answers it, and a verdict that the measured figures decide.
The answers that ship with ringmap are in results/; open results/index.html.`,
		Example: `  ringmap experiment list
  ringmap experiment run C04
  ringmap experiment run all --out results`,
		Args: exactly(0, "list, or run with a claim"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(experimentListCommand(t), experimentRunCommand(t))
	return cmd
}

func experimentListCommand(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the questions",
		Example: "  ringmap experiment list",
		Args:    exactly(0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		all, err := experiments.All()
		if err != nil {
			return err
		}
		type line struct {
			Claim    string `json:"claim"`
			Title    string `json:"title"`
			Question string `json:"question"`
			Points   int    `json:"points"`
			Open     string `json:"open,omitempty"`
		}
		lines := []line{}
		tab := &table{heads: []string{"claim", "points", "question<"}}
		for _, e := range all {
			points := 0
			for _, s := range e.Parts {
				points += len(s.Points)
			}
			lines = append(lines, line{e.Claim, e.Title, e.Question, points, e.Open})
			title := e.Title
			if e.Open != "" {
				title += " (open)"
			}
			tab.row(e.Claim, fmt.Sprint(points), title)
		}
		if asJSON {
			return printJSON(t, lines)
		}
		copyLines(t.out, tab.lines())
		return nil
	}
	return cmd
}

func experimentRunCommand(t *terminal) *cobra.Command {
	var (
		storePath, out string
		workers        int
		asJSON         bool
	)
	cmd := &cobra.Command{
		Use:   "run CLAIM... | all",
		Short: "Measure, and answer",
		Long: `Runs the points of each experiment that the store does not have and prints the
answers. With --out it also writes pages to read in a browser: an index, a page with
plots for each claim and the points behind it.`,
		Example: `  ringmap experiment run C04
  ringmap experiment run C10 C12 --json
  ringmap experiment run all --out results`,
		Args: atLeast(1, "claims such as C04, or all"),
	}
	cmd.Flags().StringVar(&storePath, "store", "", "keep the records in `FILE` and go on from there (default: a temporary one)")
	cmd.Flags().StringVar(&out, "out", "", "write the pages into `DIR`")
	cmd.Flags().IntVarP(&workers, "jobs", "j", runtime.GOMAXPROCS(0), "use `N` cores")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answers as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if workers < 1 || workers > 4096 {
			return fmt.Errorf("--jobs %d: write a number of cores, such as %d", workers, runtime.NumCPU())
		}
		chosen, err := pickExperiments(args)
		if err != nil {
			return err
		}
		folder, err := openFolder(out)
		if err != nil {
			return err
		}
		answers, err := answer(t, chosen, storePath, workers)
		if err != nil {
			folder.abandon()
			return err
		}
		if folder != nil {
			if err := writeResults(folder, answers); err != nil {
				return err
			}
		}
		if asJSON {
			return printJSON(t, answers)
		}
		printAnswers(t, answers)
		return nil
	}
	return cmd
}

// pickExperiments are those of the named claims; all means every one. C4 and C04
// are the same.
func pickExperiments(names []string) (chosen []*experiments.Experiment, err error) {
	all, err := experiments.All()
	if err != nil || slices.Equal(names, []string{"all"}) {
		return all, err
	}
	var known []string
	for _, e := range all {
		known = append(known, e.Claim)
	}
	for _, name := range names {
		claim := strings.ToUpper(name)
		if rest, ok := strings.CutPrefix(claim, "C0"); ok {
			claim = "C" + rest
		}
		i := slices.Index(known, claim)
		if i < 0 {
			return nil, unknown("claim", name, known)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// answer runs experiments one after the other, the points of each in parallel.
func answer(t *terminal, chosen []*experiments.Experiment, path string, workers int) (answers []*experiments.Answer, err error) {
	if path == "" {
		dir, err := os.MkdirTemp("", "ringmap-experiments-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "store.db")
	}
	st, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	runtime.GOMAXPROCS(workers)
	for _, e := range chosen {
		points := 0
		for _, s := range e.Parts {
			points += len(s.Points)
		}
		bar := newPointBar(t, points)
		began := time.Now()
		a, err := e.Run(ctx, st, experiments.Options{Workers: workers, Progress: bar.update})
		bar.finish()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(t.err, "%s: %s in %s\n", e.Claim, count(a.Points, "point"), time.Since(began).Round(time.Millisecond))
		answers = append(answers, a)
	}
	return answers, nil
}

func writeResults(folder *outFolder, answers []*experiments.Answer) error {
	files, err := experiments.Results(answers)
	if err != nil {
		folder.abandon()
		return err
	}
	var list []outFile
	for _, f := range files {
		list = append(list, outFile{f.Name, f.Data})
	}
	return folder.writeAll(list)
}

func printAnswers(t *terminal, answers []*experiments.Answer) {
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(t.out)
		}
		verdict := t.style.bold(a.Verdict)
		switch a.Verdict {
		case "confirmed":
			verdict = t.style.green(a.Verdict)
		case "refuted":
			verdict = t.style.red(a.Verdict)
		}
		fmt.Fprintf(t.out, "%s %s: %s\n", a.Claim, t.style.bold(a.Title), verdict)
		fmt.Fprintf(t.out, "  %s\n  %s\n", t.style.faint(a.Question), a.Answer)
		tab := &table{}
		for _, f := range a.Figures {
			tab.row("  "+f.Text, f.String())
		}
		copyLines(t.out, tab.lines())
	}
}
