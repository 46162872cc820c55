package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/sim"
)

// runFlags are what `ringmap run` and `ringmap why` say about the scenario.
type runFlags struct {
	set   []string
	short []*shortFlag
	seed  string

	migrate bool // the scenario migrates, whatever it says
}

// shortFlag is a flag that sets one key of the scenario.
type shortFlag struct {
	name, key, usage string
	value            string
}

func newRunFlags(cmd *cobra.Command) *runFlags {
	f := &runFlags{short: []*shortFlag{
		{name: "trace", key: "workload.trace", usage: "replay this `FILE`: .pwt, lackey text or ChampSim, also compressed"},
		{name: "pattern", key: "workload.pattern", usage: "run this `NAME`; see ringmap list patterns"},
		{name: "elf", key: "workload.elf", usage: "execute this `FILE`, an ELF program for AArch64"},
		{name: "raw", key: "workload.raw", usage: "execute this `FILE`, a flat binary"},
		{name: "append", key: "workload.append", usage: "`TEXT` of a program's command line, in its device tree"},
		{name: "initrd", key: "workload.initrd", usage: "put this `FILE` into a program's memory as its initrd"},
		{name: "input", key: "workload.input", usage: "type this `FILE` at a program's console"},
		{name: "series", key: "run.series", usage: "sample the run over time into the record, every `PERIOD` such as 1ms"},
		{name: "model", key: "cpu.model", usage: "core model `MODEL`: atomic, or inorder with caches"},
		{name: "max-instructions", key: "run.max_instructions", usage: "end a program after `N` instructions"},
		{name: "max-cycles", key: "run.max_cycles", usage: "end the run after `N` cycles"},
		{name: "mode", key: "tracking.mode", usage: "track with `MODE`: ring+bitmap, ring, bitmap, off, vmring …; see ringmap list modes"},
		{name: "ring", key: "tracking.ring", usage: "`ENTRIES` of each vCPU's dirty ring"},
		{name: "vcpus", key: "vm.vcpus", usage: "`N` vCPUs"},
		{name: "memory", key: "vm.memory", usage: "guest memory `SIZE`, such as 1GiB"},
		{name: "kernel", key: "kernel", usage: "model `KERNEL` 7.2, 6.12 or 7.2+fixed"},
		{name: "seed", key: "seed", usage: "seed `N` of all chance in the run"},
	}}
	for _, s := range f.short {
		cmd.Flags().StringVar(&s.value, s.name, "", s.usage)
	}
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "set a key of the scenario, as `a.b=c`; may be repeated")
	return f
}

// add adds flags of one command alone.
func (f *runFlags) add(cmd *cobra.Command, short ...*shortFlag) {
	for _, s := range short {
		cmd.Flags().StringVar(&s.value, s.name, "", s.usage)
	}
	f.short = append(f.short, short...)
}

// scenario reads the file, if there is one, and applies the flags over it.
func (f *runFlags) scenario(cmd *cobra.Command, args []string) (*scenario.Scenario, error) {
	s := scenario.Default()
	switch {
	case len(args) > 1:
		return nil, fmt.Errorf("one argument too many: %q; `%s` takes one scenario file", args[1], cmd.CommandPath())
	case len(args) == 1:
		var err error
		if s, err = scenario.Load(args[0]); err != nil {
			return nil, err
		}
	case !slices.ContainsFunc(workloadFlags, cmd.Flags().Changed):
		return nil, fmt.Errorf("nothing to run: give a scenario file, --elf FILE, --raw FILE, --trace FILE or --pattern NAME; see `%s --help`", cmd.CommandPath())
	default:
		s.Name = scenario.Text(strings.TrimSuffix(filepath.Base(f.value("elf")+f.value("raw")+f.value("trace")+f.value("pattern")), ".zst"))
	}
	for _, short := range f.short {
		if cmd.Flags().Changed(short.name) {
			if err := s.Set("--"+short.name+" "+short.value, short.key+"="+short.value); err != nil {
				return nil, err
			}
		}
	}
	if slices.ContainsFunc(workloadFlags, func(name string) bool { return f.value(name) != "" }) {
		w := &s.Workload // one flag takes the place of what the file says
		for name, clear := range map[string]func(){
			"elf": func() { w.ELF = "" }, "raw": func() { w.Raw = "" }, "trace": func() { w.Trace = "" }, "pattern": func() { w.Pattern = "" },
		} {
			if !cmd.Flags().Changed(name) {
				clear()
			}
		}
	}
	for _, a := range f.set {
		if err := s.Set("--set "+a, a); err != nil {
			return nil, err
		}
	}
	if f.migrate && !s.Migrates() {
		if err := s.Set("ringmap migrate", "migrate.start=0"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// workloadFlags say what the guest does.
var workloadFlags = []string{"elf", "raw", "trace", "pattern"}

func (f *runFlags) value(name string) string {
	for _, s := range f.short {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

func runCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [FILE]",
		Short: "Run a scenario and report where the cycles went and what was lost",
		Example: `  ringmap run scenarios/linux-4vcpu.yaml
  ringmap run scenarios/linux-4vcpu.yaml --set tracking.mode=ring --out results
  ringmap run --pattern zipf --ring 1024 --vcpus 8 --memory 4GiB --set workload.theta=0.9
  ringmap run --trace program.champsim.xz --mode bitmap --json
  ringmap run --elf workloads/guests/programs/locks.elf --vcpus 8 --console out.txt
  ringmap run zipf.yaml --pprof run.pprof && go tool pprof -top run.pprof
  ringmap run long.yaml --metrics 9090 # then: curl localhost:9090/metrics
  ringmap run zipf.yaml --perfetto run.json --window 10ms..12ms
  ringmap run long.yaml --snapshot-at 50ms --snapshot long.snap
  ringmap run long.yaml --resume long.snap`,
	}
	return simulates(t, cmd, newRunFlags(cmd))
}

func migrateCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate [FILE]",
		Short: "Migrate the VM of a scenario and report rounds, downtime and what was lost",
		Long: `Run a scenario with a live migration in it, as QEMU does one: rounds of pre-copy,
the switchover, and the VM running on at the destination. What the scenario does not
say about the migration takes the defaults of ` + "`ringmap list keys`" + `; it begins with the guest.`,
		Example: `  ringmap migrate scenarios/migrate-linux.yaml
  ringmap migrate scenarios/linux-4vcpu.yaml --bandwidth 1GiB/s --downtime 100ms
  ringmap migrate --pattern hotcold --memory 4GiB --throttle auto-converge --set workload.accesses=10000000
  ringmap migrate scenarios/migrate-linux.yaml --set migrate.fail=link-drop --set migrate.fail_at=90ms`,
	}
	flags := newRunFlags(cmd)
	flags.migrate = true
	flags.add(cmd,
		&shortFlag{name: "bandwidth", key: "migrate.bandwidth", usage: "offer at most `RATE` to the link, such as 128MiB/s"},
		&shortFlag{name: "link", key: "migrate.link.bandwidth", usage: "what the wire carries: a `RATE`, such as 10Gbit/s"},
		&shortFlag{name: "downtime", key: "migrate.downtime", usage: "the VM may stand still for `TIME`"},
		&shortFlag{name: "throttle", key: "migrate.throttle.kind", usage: "slow the guest down by `KIND`: none, auto-converge or dirty-limit"})
	return simulates(t, cmd, flags)
}

// simulates gives a command the flags and the work of running a scenario.
func simulates(t *terminal, cmd *cobra.Command, flags *runFlags) *cobra.Command {
	var (
		asJSON, noBaseline  bool
		out, snapAt, resume string
		snapTo, console     string
		metrics             string
		hashes              bool
	)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result record as JSON")
	cmd.Flags().StringVar(&out, "out", "", "also write result.json and summary.txt into `DIR`")
	cmd.Flags().BoolVar(&noBaseline, "no-baseline", false, "skip the run with tracking off that guest.slowdown compares with")
	cmd.Flags().BoolVar(&hashes, "state-hashes", false, "record a hash of all state every million cycles")
	cmd.Flags().StringVar(&snapAt, "snapshot-at", "", "save the whole state at `TIME`, then go on")
	cmd.Flags().StringVar(&snapTo, "snapshot", "ringmap.snap", "`FILE` of --snapshot-at")
	cmd.Flags().StringVar(&console, "console", "", "write what the guest prints into `FILE`, instead of standard error")
	views := newViewFlags(cmd)
	cmd.Flags().StringVar(&metrics, "metrics", "", "show every statistic to Prometheus while it runs, at `ADDR`: a port, or host:port")
	cmd.Flags().StringVar(&resume, "resume", "", "continue from this snapshot `FILE` of the same scenario")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := flags.scenario(cmd, args)
		if err != nil {
			return err
		}
		opts := bench.Options{Baseline: !noBaseline, Hashes: hashes}
		if snapAt != "" {
			if opts.Snapshot, err = scenario.ParseTime(snapAt); err != nil {
				return fmt.Errorf("--snapshot-at %s: %w", snapAt, err)
			}
		}
		if resume != "" {
			if opts.Resume, err = os.ReadFile(resume); err != nil {
				return fileError(resume, err)
			}
			opts.ResumeName = resume
		}
		if snapAt != "" {
			if err := probe(snapTo); err != nil {
				return err
			}
		}
		if err := views.options(&opts); err != nil {
			return err
		}
		if console != "" {
			if err := probe(console); err != nil {
				return err
			}
		} else {
			opts.Console = func(text []byte) { t.err.Write(text) }
		}
		folder, err := openFolder(out)
		if err != nil {
			return err
		}
		if metrics != "" {
			server, err := serveMetrics(t, metrics)
			if err != nil {
				return err
			}
			defer server.Close()
			opts.Publish = func(p bench.Progress, stats []sim.Stat) { server.Publish(string(s.Name), p.Cycle, p.Share, stats) }
		}
		began := time.Now()
		result, err := runWithProgress(t, s, opts)
		if err == nil && console != "" {
			err = writeFile(console, result.Console)
		}
		if err == nil {
			err = views.write(t, result)
		}
		if err == nil {
			err = deliver(t, result, folder, asJSON, snapTo)
		}
		if err != nil {
			folder.abandon()
			return err
		}
		reportRate(t, result, time.Since(began))
		if result.Failed {
			return errNo
		}
		return nil
	}
	return cmd
}

// runWithProgress runs the scenario under a progress bar.
func runWithProgress(t *terminal, s *scenario.Scenario, opts bench.Options) (*bench.Result, error) {
	bar := newProgress(t)
	defer bar.finish()
	opts.Progress = bar.update
	return bench.Run(s, opts)
}

// reportRate tells on standard error what the run cost the one who waited.
func reportRate(t *terminal, r *bench.Result, spent time.Duration) {
	fmt.Fprintf(t.err, "%s simulated in %s (%s)\n", cycles(r.Cycles), spent.Round(time.Millisecond), rate(r, spent))
	if r.Snapshot != nil {
		fmt.Fprintf(t.err, "snapshot taken at cycle %d\n", r.SnapshotCycle)
	}
}

// deliver writes the files, then prints; a failed file leaves nothing behind.
func deliver(t *terminal, r *bench.Result, folder *outFolder, asJSON bool, snapTo string) error {
	record, err := r.JSON()
	if err != nil {
		return err
	}
	if r.Snapshot != nil {
		if err := writeFile(snapTo, r.Snapshot); err != nil {
			return err
		}
	}
	if folder != nil {
		plain := strings.Join(summary(r, style{}, 100), "\n") + "\n"
		if err := folder.writeAll([]outFile{{"result.json", record}, {"summary.txt", []byte(plain)}}); err != nil {
			return err
		}
	}
	if asJSON {
		t.out.Write(record)
		return nil
	}
	copyLines(t.out, summary(r, t.style, t.rows))
	return nil
}
