package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/bench/report"
	"ringmap/bench/store"
)

// mostRecord bounds the record that a report is made of.
const mostRecord = 256 << 20

func reportCommand(t *terminal) *cobra.Command {
	var out, name string
	var stats []string
	cmd := &cobra.Command{
		Use:   "report STORE|RECORD|DIR",
		Short: "Make one HTML page of a sweep or of a run, with plots",
		Long: `Makes one HTML file that needs no network: what came out in sentences, plots with
the data behind each, a filter for each axis of a sweep, and every run's record.

  STORE    of ringmap sweep: what its points came to; one that is not finished, as far as it is
  RECORD   of ringmap run --json, or DIR of ringmap run --out: one run, with --series
           also how it went over time`,
		Example: `  ringmap report linux.db
  ringmap report linux.db --stat 'ring.*' --out rings.html
  ringmap run scenarios/linux-4vcpu.yaml --series 1ms --out linux && ringmap report linux`,
		Args: exactly(1, "a store, a record or the folder of one"),
	}
	cmd.Flags().StringVar(&out, "out", "", "write into `FILE` (default: the input's name with .html, in this folder)")
	cmd.Flags().StringVar(&name, "sweep", "", "report on the sweep `NAME`, where the store has several")
	cmd.Flags().StringArrayVar(&stats, "stat", nil, "report on statistic `NAME`, such as ring.pushes or 'ring.*', instead of those in sweep.stats; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := args[0]
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, "result.json")
		}
		db, err := isStore(path)
		if err != nil {
			return err
		}
		if out == "" {
			base := filepath.Base(args[0])
			if abs, err := filepath.Abs(args[0]); err == nil {
				base = filepath.Base(abs)
			}
			out = strings.TrimSuffix(base, filepath.Ext(base)) + ".html"
		}
		if err := probe(out); err != nil {
			return err
		}
		if !db {
			for _, flag := range []string{"sweep", "stat"} {
				if cmd.Flags().Changed(flag) {
					return fmt.Errorf("--%s: %s is the record of one run, and this chooses in a store", flag, path)
				}
			}
			text, err := readBounded(path, mostRecord)
			if err != nil {
				return err
			}
			return t.page(out, func(w io.Writer) error { return report.Run(w, path, text) })
		}
		return openStore(path, func(st *store.Store) error {
			about, err := chooseSweep(st, name, true)
			if err != nil {
				return err
			}
			names := about.Stats
			if len(stats) > 0 {
				if names, err = statList(st, stats); err != nil {
					return err
				}
			}
			return t.page(out, func(w io.Writer) error { return report.Sweep(w, st, about, names) })
		})
	}
	return cmd
}

// page writes a report that is complete, and says where.
func (t *terminal) page(out string, make func(io.Writer) error) error {
	var b bytes.Buffer
	if err := make(&b); err != nil {
		return err
	}
	if err := writeFile(out, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s (%s)\n", out, humanize.IBytes(uint64(b.Len())))
	return nil
}

// isStore tells a store from a record by how the file begins.
func isStore(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fileError(path, err)
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if n == 0 {
		return false, fmt.Errorf("%s: the file is empty; give a store of `ringmap sweep` or a record of `ringmap run --json`", path)
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return false, fileError(path, err)
	}
	return string(head[:n]) == "SQLite format 3\x00", nil
}

// readBounded reads a file that is not too large.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s: more than %s are no record of a run", path, humanize.IBytes(uint64(most)))
	}
	return text, nil
}
