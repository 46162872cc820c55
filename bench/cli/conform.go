package cli

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"ringmap/bench/conform"
	"ringmap/bench/scenario"
)

// recorded are the kernels of which recordings exist, the default first.
var recorded = []string{"7.2", "6.12"}

func conformCommand(t *terminal) *cobra.Command {
	var (
		kernel          string
		verbose, asJSON bool
		execute         bool
	)
	cmd := &cobra.Command{
		Use:   "conform FILE...",
		Short: "Replay recordings of real kernels and compare every result",
		Long: `Replay recordings of real kernels on the model and compare every result. A
scenario is ok, different (the first difference is named) or unsupported (with
the operation that the model cannot do). Exit status 1 if any differs.`,
		Example: `  ringmap conform bench/conform/testdata/7.2/b.jsonl
  ringmap conform --kernel 6.12 -v recordings/6.12/*.jsonl
  ringmap conform --execute bench/conform/testdata/7.2/c.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs at least one recording; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&kernel, "kernel", recorded[0], "model `KERNEL` 7.2 or 6.12")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also list the scenarios that are ok")
	cmd.Flags().BoolVar(&execute, "execute", false, "execute the guests' scripts as machine code")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if !slices.Contains(recorded, kernel) {
			return fmt.Errorf("--kernel %s: no such kernel was recorded; %s", kernel, scenario.DidYouMean(kernel, recorded))
		}
		sum := conform.Summary{Kernel: kernel}
		var files []conform.Summary
		for _, path := range args {
			s, err := replayFile(kernel, path, execute)
			if err != nil {
				return err
			}
			files = append(files, s)
			sum.OK, sum.Different, sum.Unsupported = sum.OK+s.OK, sum.Different+s.Different, sum.Unsupported+s.Unsupported
		}
		if asJSON {
			if err := printJSON(t, map[string]any{
				"kernel": kernel, "ok": sum.OK, "differ": sum.Different, "unsupported": sum.Unsupported, "files": files,
			}); err != nil {
				return err
			}
		} else {
			printConform(t, files, sum, verbose)
		}
		if sum.Different != 0 {
			return errNo
		}
		return nil
	}
	return cmd
}

func replayFile(kernel, path string, execute bool) (conform.Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return conform.Summary{}, fileError(path, err)
	}
	defer f.Close()
	if execute {
		return conform.Execute(kernel, f, path)
	}
	return conform.Replay(kernel, f, path)
}

func printConform(t *terminal, files []conform.Summary, sum conform.Summary, verbose bool) {
	for _, s := range files {
		for _, r := range s.Results {
			switch r.Status {
			case conform.StatusOK:
				if verbose {
					fmt.Fprintf(t.out, "%s           %s\n", t.style.green("ok"), r.ID)
				}
			case conform.StatusDifferent:
				fmt.Fprintf(t.out, "%s    %s: %s\n", t.style.red("different"), r.ID, r.Detail)
			default:
				fmt.Fprintf(t.out, "%s  %s: %s\n", t.style.bold("unsupported"), r.ID, r.Detail)
			}
		}
	}
	fmt.Fprintf(t.out, "conform: %d ok, %d differ, %d unsupported\n", sum.OK, sum.Different, sum.Unsupported)
}
