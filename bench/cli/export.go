package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/bench/store"
)

func exportCommand(t *terminal) *cobra.Command {
	var out, name, format string
	var partial bool
	var stats []string
	cmd := &cobra.Command{
		Use:   "export STORE",
		Short: "Write a sweep as JSON lines, CSV or Go benchmark format",
		Long: `Writes the finished points of a sweep in their order:

  jsonl   one line a point: its axes, its key and the whole record
  csv     one line a point: its axes, its key and statistics
  bench   Go benchmark format for benchstat: axes as key=value in the name,
          statistics as units that are exact`,
		Example: `  ringmap export linux.db --out linux.jsonl
  ringmap export linux.db --format csv --stat 'ring.*' --stat guest.slowdown
  ringmap export linux.db --format bench > linux.txt
  benchstat -row /tracking.ring -col /tracking.mode -ignore /vmm.interval linux.txt
  ringmap export linux.db | jq '[.axes["tracking.ring"], .record.stats["guest.slowdown"]]'`,
		Args: exactly(1, "a store"),
	}
	cmd.Flags().StringVar(&format, "format", "jsonl", "write `FORMAT` jsonl, csv or bench")
	cmd.Flags().StringArrayVar(&stats, "stat", nil, "statistics of csv and bench, such as ring.pushes or 'ring.*'; may be repeated\n(csv: all, bench: those of the sweep's report)")
	cmd.Flags().StringVar(&out, "out", "", "write into `FILE` instead of standard output")
	cmd.Flags().StringVar(&name, "sweep", "", "export the sweep `NAME`, where the store has several")
	cmd.Flags().BoolVar(&partial, "partial", false, "export a sweep that is not finished, as far as it is")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		formats := []string{"jsonl", "csv", "bench"}
		if !slices.Contains(formats, format) {
			return unknown("format", format, formats)
		}
		if format == "jsonl" && cmd.Flags().Changed("stat") {
			return fmt.Errorf("--stat chooses among statistics for csv and bench; jsonl has whole records")
		}
		return openStore(args[0], func(st *store.Store) error {
			about, err := chooseSweep(st, name, partial)
			if err != nil {
				return err
			}
			patterns := stats
			if len(patterns) == 0 {
				if patterns = about.Stats; format == "csv" {
					patterns = []string{"*"}
				}
			}
			names, err := statList(st, patterns)
			if err != nil {
				return err
			}
			return t.stream(out, func(w io.Writer) error {
				switch format {
				case "csv":
					return st.ExportCSV(about, names, w)
				case "bench":
					return st.ExportBench(about, names, bench.Better, w)
				}
				return st.ExportJSONL(about, w)
			})
		})
	}
	return cmd
}

// chooseSweep finds the sweep that is meant, which must be finished.
func chooseSweep(st *store.Store, name string, partial bool) (a store.About, err error) {
	list, err := st.Sweeps()
	if err != nil {
		return a, err
	}
	var names []string
	for _, about := range list {
		names = append(names, about.Name)
		if about.Name == name || name == "" && len(list) == 1 {
			a = about
		}
	}
	switch {
	case len(list) == 0:
		return a, fmt.Errorf("%s: there is no sweep in this store", st.Path)
	case a.Name == "" && name == "":
		return a, fmt.Errorf("%s: there are several sweeps in this store; add --sweep with one of: %q", st.Path, names)
	case a.Name == "":
		return a, fmt.Errorf("%s: there is no sweep %q in this store; %s", st.Path, name, scenario.DidYouMean(name, names))
	}
	points, err := st.Points(a.Name)
	if err != nil {
		return a, err
	}
	missing := 0
	for _, p := range points {
		if !p.Done {
			missing++
		}
	}
	if missing > 0 && !partial {
		return a, fmt.Errorf("%s: %d of %d points of sweep %q are not finished; run `ringmap sweep` again, merge the other shards, or add --partial", st.Path, missing, len(points), a.Name)
	}
	return a, nil
}

// stream lets f write to a file, which appears when it is complete, or to
// standard output as it goes.
func (t *terminal) stream(path string, f func(io.Writer) error) error {
	if path == "" {
		w := bufio.NewWriterSize(t.raw, 1<<16)
		if err := f(w); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("standard output: %s", reason(err))
		}
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fileError(path, err)
	}
	defer os.Remove(file.Name()) // gone already unless something failed
	if err := f(file); err != nil {
		file.Close()
		return err
	}
	if err := errors.Join(file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fileError(path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fileError(path, err)
	}
	return nil
}
