package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/gobench"
	"ringmap/sim"
)

func benchCommand(t *terminal) *cobra.Command {
	var (
		asJSON, list bool
		count, jobs  int
		only, set    []string
		metrics      string
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Run the fixed regression suite and print its figures in Go benchmark format",
		Long: `Run a fixed suite of small scenarios over every tracking mode and harvest policy
and print what they cost in Go benchmark format, for benchstat and for ringmap
compare. Simulated figures are exact (assume=exact); ns/op is the wall time of
the simulator itself.`,
		Example: `  ringmap bench > old.txt
  ringmap bench --set host.costs.abort=150% > new.txt
  ringmap compare old.txt new.txt
  ringmap bench --json --count 10 > records.json
  ringmap bench --only zipf,its-saves`,
		Args: exactly(0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print whole result records as JSON")
	cmd.Flags().BoolVar(&list, "list", false, "list the scenarios of the suite, run nothing")
	cmd.Flags().IntVar(&count, "count", 1, "run each scenario `N` times: the wall time varies, the rest does not")
	cmd.Flags().IntVar(&jobs, "jobs", runtime.GOMAXPROCS(0), "run `N` scenarios at a time")
	cmd.Flags().StringSliceVar(&only, "only", nil, "run only these scenarios, `NAME,…`")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a key of every scenario, as `a.b=c`; may be repeated")
	cmd.Flags().StringVar(&metrics, "metrics", "", "show every statistic to Prometheus while it runs, at `ADDR`: a port, or host:port")
	cmd.RunE = func(*cobra.Command, []string) error {
		cases, err := pickCases(only)
		switch {
		case err != nil:
			return err
		case count < 1 || count > 1000:
			return fmt.Errorf("--count %d: use 1 to 1000", count)
		case jobs < 1 || jobs > 1024:
			return fmt.Errorf("--jobs %d: use 1 to 1024", jobs)
		case list:
			return listCases(t, cases, asJSON)
		}
		options := bench.SuiteOptions{Sets: set, Count: count, Workers: jobs}
		if metrics != "" {
			server, err := serveMetrics(t, metrics)
			if err != nil {
				return err
			}
			defer server.Close()
			options.Publish = func(c bench.Case, p bench.Progress, stats []sim.Stat) {
				server.Publish(c.Name, p.Cycle, p.Share, stats)
			}
		}
		began := time.Now()
		bar := countBar(t, "suite")
		options.Progress = bar.update
		runs, err := bench.RunSuite(cases, options)
		bar.finish()
		if err != nil {
			return err
		}
		fmt.Fprintf(t.err, "%s in %s\n", count2(len(runs), count), time.Since(began).Round(time.Millisecond))
		if asJSON {
			return printSuite(t, runs)
		}
		var rows []gobench.Row
		for _, r := range runs {
			rows = append(rows, r.Rows()...)
		}
		return gobench.Write(t.out, []gobench.Config{{Key: "pkg", Value: "ringmap"}, {Key: "version", Value: bench.Version}}, rows)
	}
	return cmd
}

func count2(scenarios, times int) string {
	text := count(scenarios, "scenario")
	if times > 1 {
		text += fmt.Sprintf(", %d times each,", times)
	}
	return text
}

// pickCases are the named cases of the suite, all without a name.
func pickCases(names []string) (cases []bench.Case, err error) {
	all := bench.Suite()
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, unknown("scenario of the suite", name, known)
		}
		cases = append(cases, all[i])
	}
	return cases, nil
}

func listCases(t *terminal, cases []bench.Case, asJSON bool) error {
	type line struct {
		Name     string   `json:"name"`
		Settings []string `json:"settings"`
	}
	var lines []line
	tab := &table{heads: []string{"scenario", "settings<"}}
	for _, c := range cases {
		lines = append(lines, line{c.Name, c.Sets})
		tab.row(c.Name, fmt.Sprint(c.Sets))
	}
	if asJSON {
		return printJSON(t, lines)
	}
	copyLines(t.out, tab.lines())
	return nil
}

// printSuite prints the records, each with the wall times of its runs.
func printSuite(t *terminal, runs []bench.SuiteRun) error {
	type run struct {
		WallNS []int64         `json:"wall_ns"`
		Record json.RawMessage `json:"record"`
	}
	out := struct {
		Runs []run `json:"runs"`
	}{}
	for _, r := range runs {
		record, err := r.Result.JSON()
		if err != nil {
			return err
		}
		one := run{Record: record}
		for _, w := range r.Wall {
			one.WallNS = append(one.WallNS, w.Nanoseconds())
		}
		out.Runs = append(out.Runs, one)
	}
	return printJSON(t, out)
}

// runsBar shows how many of many runs are finished, with the time left.
type runsBar struct{ bar *progressbar.ProgressBar }

// countBar is silent unless standard error is a terminal.
func countBar(t *terminal, what string) *runsBar {
	if !t.live {
		return &runsBar{}
	}
	return &runsBar{progressbar.NewOptions(1,
		progressbar.OptionSetWriter(t.err), progressbar.OptionSetWidth(32), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription(what))}
}

func (b *runsBar) update(done, all int) {
	if b.bar != nil {
		b.bar.ChangeMax(all)
		b.bar.Set(done)
	}
}

func (b *runsBar) finish() {
	if b.bar != nil {
		b.bar.Finish()
	}
}
