package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/live"
	"ringmap/bench/store"
	"ringmap/bench/sweep"
	"ringmap/sim"
)

func sweepCommand(t *terminal) *cobra.Command {
	var (
		storePath, shard string
		workers          int
		set, stats       []string
		dry, asJSON      bool
		metrics          string
	)
	cmd := &cobra.Command{
		Use:   "sweep FILE",
		Short: "Run a scenario at every combination of the values it gives",
		Long: `A sweep is a scenario in which any value may be several: a list, a range or a
named set. Its points run in parallel, a coarse picture of the whole first, and
each goes into the store when it is finished. Stopped in any way and started
again, it goes on where it was.

  tracking: {ring: 2^8..2^12}                 256, 512, 1024, 2048, 4096
  vm:       {vcpus: 1..8 log}                 1, 2, 4, 8 (log 10 multiplies by ten)
  vmm:      {interval: 10ms..40ms step 15ms}  10ms, 25ms, 40ms
  tracking: {mode: [ring+bitmap, bitmap]}     a list; it may hold ranges
  vmm:      {harvest: $policies}              all of ringmap list policies; also $modes,
                                              $patterns, $kernels, $profiles
  seed:     1..5                              five times the same experiment
  sweep:
    zip:     [[vm.vcpus, vm.memory]]          these two move together
    exclude: [tracking.ring > 4096 and vm.vcpus == 1]
    when:    {tracking.ring: tracking.mode != bitmap}   elsewhere the key is not set
    sets:    {rings: [256, 4096]}             used as $rings
    variants:                                 an axis whose values set several keys
      machine: {small: {vm.vcpus: 1, vm.memory: 64MiB}, large: {vm.vcpus: 8, vm.memory: 1GiB}}
    stats:   [guest.slowdown, ring.full_exits]  what the report is about`,
		Example: `  ringmap sweep scenarios/sweeps/linux.yaml
  ringmap sweep scenarios/linux-4vcpu.yaml --set tracking.ring=2^9..2^13 --set vmm.interval=[10ms,50ms]
  ringmap sweep big.yaml --shard $SLURM_ARRAY_TASK_ID/16
  ringmap sweep big.yaml --dry-run`,
		Args: exactly(1, "a sweep file"),
	}
	cmd.Flags().StringVar(&storePath, "store", "", "keep the records in `FILE` (default: the sweep's name with .db, in this folder)")
	cmd.Flags().IntVarP(&workers, "jobs", "j", runtime.GOMAXPROCS(0), "use `N` cores")
	cmd.Flags().StringVar(&shard, "shard", "", "run part `I/N` of the points, into a store of its own")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a key of the scenario, as `a.b=c`, to one value or several; may be repeated")
	cmd.Flags().StringSliceVar(&stats, "stat", nil, "report on statistic `NAME`, instead of those in sweep.stats; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&metrics, "metrics", "", "show every statistic of the points that run to Prometheus, at `ADDR`: a port, or host:port")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list the points in the order in which they would run, and run none")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var settings []sweep.Setting
		for _, a := range set {
			settings = append(settings, sweep.Setting{Origin: "--set " + a, Assignment: a})
		}
		s, err := sweep.Load(args[0], settings)
		if err != nil {
			return err
		}
		if err := s.Report(stats); err != nil {
			return err
		}
		o := sweep.Options{Workers: workers}
		if workers < 1 || workers > 4096 {
			return fmt.Errorf("--jobs %d: write a number of cores, such as %d", workers, runtime.NumCPU())
		}
		if shard != "" {
			if o.Shard, err = sweep.ParseShard(shard); err != nil {
				return err
			}
		}
		if dry {
			return listPoints(t, s)
		}
		if storePath == "" {
			storePath = defaultStore(args[0], o.Shard)
		}
		var server *live.Server
		if metrics != "" {
			if server, err = serveMetrics(t, metrics); err != nil {
				return err
			}
			defer server.Close()
			o.Ended = server.Forget
			o.Publish = func(point string, p bench.Progress, stats []sim.Stat) { server.Publish(point, p.Cycle, p.Share, stats) }
		}
		return runSweep(t, s, storePath, o, asJSON, server)
	}
	return cmd
}

// defaultStore is the file that a sweep's records go to. Shards each have their
// own, for they may run on different machines.
func defaultStore(file string, shard sweep.Shard) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if shard.N > 0 {
		return fmt.Sprintf("%s.%d-of-%d.db", name, shard.I, shard.N)
	}
	return name + ".db"
}

func listPoints(t *terminal, s *sweep.Sweep) error {
	for _, p := range s.Order() {
		fmt.Fprintln(t.out, s.String(p))
	}
	fmt.Fprintln(t.err, counted(s.Counts, len(s.Points)))
	return nil
}

// counted says what became of the combinations.
func counted(c sweep.Counts, points int) string {
	text := count(points, "point")
	var less []string
	if c.Excluded > 0 {
		less = append(less, fmt.Sprintf("%d excluded", c.Excluded))
	}
	if c.Merged > 0 {
		less = append(less, fmt.Sprintf("%d alike", c.Merged))
	}
	if len(less) > 0 {
		text += fmt.Sprintf(" of %d combinations (%s)", c.Combinations, strings.Join(less, ", "))
	}
	return text
}

func runSweep(t *terminal, s *sweep.Sweep, path string, o sweep.Options, asJSON bool, server *live.Server) (err error) {
	st, err := store.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// -j N is N cores, the collector of garbage included.
	runtime.GOMAXPROCS(o.Workers)
	bar := newPointBar(t, len(s.Points))
	o.Progress = func(done, all int) {
		bar.update(done, all)
		if server != nil {
			server.Show("sweep_points", "points of the sweep, of this shard", float64(all))
			server.Show("sweep_points_done", "of these, finished", float64(done))
		}
	}
	o.Progress(0, len(s.Points))
	began := time.Now()
	out, err := s.Run(ctx, st, o)
	bar.finish()
	if err != nil {
		if errors.Is(err, sweep.ErrInterrupted) {
			return fmt.Errorf("%w: %d of %d points are finished and in %s; the same command goes on", err, out.Found+out.Ran, out.Mine, path)
		}
		return err
	}
	fmt.Fprintf(t.err, "%s; %d run, %d found in %s, %s without tracking, in %s\n", counted(s.Counts, out.Points), out.Ran, out.Found, path, count(out.Baselines, "run"), time.Since(began).Round(time.Millisecond))
	if err := printReport(t, st, s.Name, s.Stats, asJSON); err != nil {
		return err
	}
	if out.Failed > 0 {
		return errNo
	}
	return nil
}

// pointBar shows how many points are finished, on a terminal.
type pointBar struct{ bar *progressbar.ProgressBar }

func newPointBar(t *terminal, points int) *pointBar {
	p := &pointBar{}
	if t.live {
		p.bar = progressbar.NewOptions(points, progressbar.OptionSetWriter(t.err), progressbar.OptionSetWidth(32),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("points"))
	}
	return p
}

func (p *pointBar) update(done, all int) {
	if p.bar != nil {
		p.bar.ChangeMax(max(all, 1))
		p.bar.Set(done)
	}
}

func (p *pointBar) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
