package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
)

// microScenario is scenarios/micro-bench.yaml without a file.
const microScenario = `name: micro-bench
host: {quantum: 20cyc}
vm: {vcpus: 2, memory: 64MiB}
tracking: {mode: "off"}
workload: {elf: "builtin:micro"}
`

func microCommand(t *terminal) *cobra.Command {
	var asJSON bool
	var set []string
	cmd := &cobra.Command{
		Use:   "micro-bench [SCENARIO]",
		Short: "Time a hypercall, MMIO, interrupts and LPIs as a guest sees them, beside measured ones",
		Long: `Run a guest program that times what costs a guest an exit or an interrupt, each in
a loop and by its own counter, as kvm-unit-tests' micro-bench does:

  hvc             a hypercall that the kernel answers
  mmio_read_user  a read that userspace answers
  mmio_read_vgic  a read of GICD_IIDR, which the kernel answers
  eoi             a write of ICC_EOIR1_EL1, without an exit
  ipi             an SGI to a vCPU that runs, until it has taken it
  lpi             the same of an LPI by the ITS's INT command

The figures beside them were measured on the machine of the cost profile. An
operation without one is a prediction.`,
		Example: `  ringmap micro-bench
  ringmap micro-bench --json
  ringmap micro-bench --set host.costs.exit=600cyc
  ringmap micro-bench scenarios/micro-bench.yaml --set cpu.model=inorder`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a key of the scenario, as `a.b=c`; may be repeated")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		s, err := microInput(args)
		if err != nil {
			return err
		}
		for _, kv := range set {
			if err := s.Set("--set "+kv, kv); err != nil {
				return err
			}
		}
		rows, _, err := bench.Micro(s, bench.Options{})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(t, rows)
		}
		printMicro(t, rows)
		return nil
	}
	return cmd
}

func microInput(args []string) (*scenario.Scenario, error) {
	if len(args) == 0 {
		return scenario.Parse("micro-bench", []byte(microScenario))
	}
	return scenario.Load(args[0])
}

func printMicro(t *terminal, rows []bench.MicroRow) {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "operation\t        ns\t  cycles\tmeasured\toff by\tsource")
	for _, r := range rows {
		published, off := "", ""
		if r.Published != 0 {
			published, off = fmt.Sprintf("%8d", r.Published), fmt.Sprintf("%+5.1f %%", r.OffBy)
		}
		fmt.Fprintf(w, "%s\t%10.1f\t%8.0f\t%8s\t%7s\t%s\n", r.Name, r.NS, r.Cycles, published, off, t.style.faint(r.Source))
	}
	w.Flush()
}
