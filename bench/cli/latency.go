package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"ringmap/bench"
)

func latencyCommand(t *terminal) *cobra.Command {
	var asJSON bool
	var set []string
	cmd := &cobra.Command{
		Use:   "latency",
		Short: "Measure the in-order core by guest programs: caches, TLBs, atomics, branches, a moving line",
		Long: `Run guest programs that measure themselves by their own counter on the in-order
core model: chains of loads through each level of cache, through pages for the
TLBs, atomics, branches, a line that two cores pass on, and the first write to
2 MiB blocks while the host logs. Beside each figure stands what is published of
the reference host, and whether the model's number was measured, fitted to that
very figure, or is a prediction.`,
		Example: `  ringmap latency
  ringmap latency --json
  ringmap latency --set cpu.l2.latency=12cyc --set cpu.mesh=40cyc`,
		Args: exactly(0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a key of the scenario, as `a.b=c`; may be repeated")
	cmd.RunE = func(*cobra.Command, []string) error {
		rows, err := bench.Latencies(set)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(t, rows)
		}
		w := &table{heads: []string{"what", "cycles", "ns", "published", "ratio", "kind<", "text<"}}
		for _, r := range rows {
			published, ratio := "", ""
			if r.Published != 0 {
				published, ratio = fmt.Sprintf("%.1f", r.Published), fmt.Sprintf("%.3f", r.Ratio)
			}
			w.row(r.Name, fmt.Sprintf("%.2f", r.Cycles), fmt.Sprintf("%.2f", r.NS), published, ratio, r.Kind, r.Text+t.style.faint("; "+r.Source))
		}
		copyLines(t.out, w.lines())
		return nil
	}
	return cmd
}
