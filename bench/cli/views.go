package cli

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/live"
	"ringmap/bench/scenario"
	"ringmap/bench/view"
)

// viewFlags ask for files that other tools draw.
type viewFlags struct {
	pprof, perfetto, window string
	events                  int
}

func newViewFlags(cmd *cobra.Command) *viewFlags {
	f := &viewFlags{}
	cmd.Flags().StringVar(&f.pprof, "pprof", "", "write where simulated cycles went into `FILE`, for go tool pprof")
	cmd.Flags().StringVar(&f.perfetto, "perfetto", "", "write what happened when into `FILE`, for ui.perfetto.dev")
	cmd.Flags().StringVar(&f.window, "window", "", "simulated time that --perfetto shows, `FROM..TO`, such as 10ms..12ms (default: all)")
	cmd.Flags().IntVar(&f.events, "events", view.DefaultEvents, "most events that --perfetto writes, `N`")
	return f
}

// options adds what the flags ask for, after a look whether the files can be
// written.
func (f *viewFlags) options(o *bench.Options) error {
	for _, path := range []string{f.pprof, f.perfetto} {
		if path != "" {
			if err := probe(path); err != nil {
				return err
			}
		}
	}
	o.Profile = f.pprof != ""
	if f.perfetto == "" {
		if f.window != "" {
			return fmt.Errorf("--window %s: it goes with --perfetto FILE", f.window)
		}
		return nil
	}
	if f.events < 1 || f.events > 50_000_000 {
		return fmt.Errorf("--events %d: use 1 to 50000000", f.events)
	}
	o.Window = &bench.Window{Events: f.events}
	if f.window == "" {
		return nil
	}
	from, to, ok := strings.Cut(f.window, "..")
	if !ok {
		return fmt.Errorf("--window %s: write two times, such as 10ms..12ms", f.window)
	}
	for _, side := range []struct {
		text string
		to   *scenario.Time
	}{{from, &o.Window.From}, {to, &o.Window.To}} {
		var err error
		if *side.to, err = scenario.ParseTime(strings.TrimSpace(side.text)); err != nil {
			return fmt.Errorf("--window %s: %w", f.window, err)
		}
	}
	return nil
}

// write stores the files that were asked for.
func (f *viewFlags) write(t *terminal, r *bench.Result) error {
	if f.pprof != "" {
		if err := writeFile(f.pprof, r.Profile); err != nil {
			return err
		}
	}
	if f.perfetto == "" {
		return nil
	}
	if r.TraceOmitted != 0 {
		fmt.Fprintf(t.err, "%s: the limit of %s events was reached, %s later ones are missing; narrow --window or raise --events\n",
			f.perfetto, humanize.Comma(int64(f.events)), humanize.Comma(int64(r.TraceOmitted)))
	}
	return writeFile(f.perfetto, r.Trace)
}

// serveMetrics starts the server of --metrics and says where it is.
func serveMetrics(t *terminal, addr string) (*live.Server, error) {
	server, err := live.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: %w", addr, err)
	}
	fmt.Fprintf(t.err, "metrics at http://%s/metrics\n", server.Addr)
	return server, nil
}
