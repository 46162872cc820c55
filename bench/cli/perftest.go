package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/kvmcore/vmm"
)

// perfBackings are the kernel test's names of what backs guest memory.
var perfBackings = map[string]string{"anonymous": "4k", "anonymous_thp": "thp", "anonymous_hugetlb_2mb": "hugetlb2m"}

func perfTestCommand(t *terminal) *cobra.Command {
	var (
		o                          bench.PerfOptions
		asJSON, getClears          bool
		bytes, backing, page, phys string
		defaults                   = scenario.Default()
	)
	modes := append([]string{vmm.TrackClearLog.String()}, scenario.Modes()...)
	cmd := &cobra.Command{
		Use:   "perf-test",
		Short: "The kernel's dirty_log_perf_test, with its options and output lines, extended to rings",
		Long: `Populate guest memory, turn dirty logging on, and in each iteration let every vCPU
go once over its memory, then collect and clear what became dirty. Options, defaults
and lines are those of the kernel's selftest dirty_log_perf_test, so that both can
be laid side by side; what upstream lacks for rings follows each iteration. Times
are simulated: cycles of the modelled host, as seconds.

What differs: a store's value changes with every iteration, so that the verify line
can compare bytes; vCPUs have separate streams of chance from one seed (-r); the VMM
copies the pages it collected, in time that no line shows. Options without a
counterpart in the model: -e, -m, -n and pinning (upstream's -c).

Exit status: 0 every written page was collected; 1 some were missing; 2 bad input.`,
		Example: `  ringmap perf-test                            # upstream's defaults
  ringmap perf-test -v 4 -b 256M -i 3 -M ring+bitmap -c 4096
  ringmap perf-test -v 8 -b 64M -x 4 -a -w 50 -s anonymous_thp -g
  ringmap perf-test -v 2 -M ring --page 64k --json`,
		Args: exactly(0, "no argument"),
	}
	f := cmd.Flags()
	f.IntVarP(&o.Iterations, "iterations", "i", 2, "`N` iterations, at least 2")
	f.StringVarP(&bytes, "bytes", "b", "1G", "memory of each vCPU, a `SIZE` such as 256M")
	f.IntVarP(&o.VCPUs, "vcpus", "v", 1, "`N` vCPUs")
	f.IntVarP(&o.Writes, "writes", "w", 100, "`PERCENT` of the accesses that write, at random")
	f.BoolVarP(&o.Random, "random", "a", false, "access pages in random order")
	f.Uint64VarP(&o.Seed, "seed", "r", 1, "seed `N` of all chance")
	f.BoolVarP(&o.Overlap, "overlap", "o", false, "every vCPU accesses all memory, not a part of its own")
	f.IntVarP(&o.Slots, "slots", "x", 1, "split the memory into `N` memslots")
	f.StringVarP(&backing, "backing", "s", "anonymous", "what backs memory: `TYPE` anonymous, anonymous_thp or anonymous_hugetlb_2mb")
	f.BoolVarP(&getClears, "get-clears", "g", false, "no KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: GET clears (the same as -M bitmap)")
	f.Uint64VarP(&o.Ring, "ring", "c", uint64(defaults.Tracking.Ring), "`ENTRIES` of each dirty ring")
	f.StringVarP(&phys, "phys", "p", "", "guest physical `ADDRESS` of the memory (default: the top)")
	f.StringVarP(&o.Mode, "mode", "M", "", "track by `MODE`: "+strings.Join(modes, ", ")+" (default clear-log)")
	f.StringVar(&page, "page", "4k", "host page `SIZE`: 4k, 16k or 64k")
	f.StringVar(&o.Kernel, "kernel", string(defaults.Kernel), "model `KERNEL`; see ringmap list kernels")
	f.StringVar(&o.Harvest, "harvest", string(defaults.VMM.Harvest), "harvest rings by `POLICY`; see ringmap list policies")
	f.BoolVar(&asJSON, "json", false, "print as JSON, times in cycles")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := perfOptions(&o, bytes, backing, page, phys, getClears, modes, cmd.Flags().Changed("ring")); err != nil {
			return err
		}
		bar := newProgress(t)
		o.Progress = bar.update
		r, err := bench.PerfTest(o)
		bar.finish()
		if err != nil {
			return err
		}
		for _, f := range r.Findings {
			fmt.Fprintf(t.err, "finding: %s\n", f)
		}
		if asJSON {
			err = printJSON(t, r)
		} else {
			copyLines(t.out, r.Lines())
		}
		if err == nil && r.Missing() != 0 {
			err = errNo
		}
		return err
	}
	return cmd
}

// perfOptions checks what the flags say and puts it into o.
func perfOptions(o *bench.PerfOptions, bytes, backing, page, phys string, getClears bool, modes []string, ringGiven bool) (err error) {
	switch {
	case o.Iterations < 2 || o.Iterations > 1_000_000:
		return fmt.Errorf("-i %d: use 2 or more iterations: the first has translations to fault in", o.Iterations)
	case o.VCPUs < 1 || o.VCPUs > 512:
		return fmt.Errorf("-v %d: use 1 to 512 vCPUs", o.VCPUs)
	case o.Writes < 0 || o.Writes > 100:
		return fmt.Errorf("-w %d: use 0 to 100 percent", o.Writes)
	case o.Slots < 1 || o.Slots > 32_000:
		return fmt.Errorf("-x %d: use 1 to 32000 memslots", o.Slots)
	case getClears && o.Mode != "" && o.Mode != "bitmap":
		return fmt.Errorf("-g -M %s: -g is -M bitmap; give one of them", o.Mode)
	}
	if o.Bytes, err = kernelSize(bytes); err != nil {
		return fmt.Errorf("-b %s: %w", bytes, err)
	}
	if o.Page, err = kernelSize(page); err != nil || o.Page != 4<<10 && o.Page != 16<<10 && o.Page != 64<<10 {
		return fmt.Errorf("--page %s: write 4k, 16k or 64k", page)
	}
	if phys != "" {
		var at scenario.Addr
		if at, err = scenario.ParseAddr(phys); err != nil {
			return fmt.Errorf("-p %s: %w", phys, err)
		}
		o.Offset, o.HasOffset = uint64(at), true
	}
	var ok bool
	if o.Backing, ok = perfBackings[backing]; !ok {
		return fmt.Errorf("-s %s: %w", backing, unknown("backing", backing, slices.Sorted(maps.Keys(perfBackings))))
	}
	if o.Mode == "" {
		o.Mode = vmm.TrackClearLog.String()
		if getClears {
			o.Mode = "bitmap"
		}
	}
	if o.Mode == "off" || !slices.Contains(modes, o.Mode) {
		return fmt.Errorf("-M %s: %w", o.Mode, unknown("mode", o.Mode, modes))
	}
	if track, ok := vmm.ParseTracking(o.Mode); ok && !track.UsesRing() {
		if ringGiven {
			return fmt.Errorf("-c %d: mode %s has no ring", o.Ring, o.Mode)
		}
		o.Ring = 0
	}
	return nil
}

// kernelSize reads a size as the kernel's selftests do, or as scenarios do.
func kernelSize(text string) (uint64, error) {
	for _, unit := range []struct{ short, long string }{{"k", "KiB"}, {"m", "MiB"}, {"g", "GiB"}, {"t", "TiB"}} {
		if digits, ok := strings.CutSuffix(strings.ToLower(text), unit.short); ok {
			text = digits + unit.long
			break
		}
	}
	s, err := scenario.ParseSize(text)
	return uint64(s), err
}
