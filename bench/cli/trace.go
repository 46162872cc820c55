package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/workloads"
)

func traceCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Look at traces, or pack what the recorder wrote",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown("command", args[0], commandNames(cmd))
		},
	}
	cmd.AddCommand(traceInfoCommand(t))
	return cmd
}

func traceInfoCommand(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "info FILE",
		Short:   "Read a whole trace and sum it up",
		Example: "  ringmap trace info workloads/testdata/linux-4vcpu-small.pwt.zst",
		Args:    exactly(1, "a trace file"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		trace, err := workloads.OpenTrace(args[0])
		if err != nil {
			return traceError(args[0], err)
		}
		defer trace.Close()
		info, err := trace.Info()
		if err != nil {
			return traceError(args[0], err)
		}
		if asJSON {
			return printJSON(t, traceRecord(info))
		}
		printTrace(t, args[0], info)
		return nil
	}
	return cmd
}

// traceError names the file in errors of the file system; those of the contents
// name it already.
func traceError(path string, err error) error {
	if reason(err) != err.Error() {
		return fileError(path, err)
	}
	return err
}

func traceRecord(i workloads.TraceInfo) map[string]any {
	return map[string]any{
		"format": i.Format, "compression": i.Compression, "name": i.Name, "records": i.Records, "vcpus": i.VCPUs,
		"pages": i.Pages, "memory_bytes": i.Memory, "window_instructions": i.Window, "instructions": i.Instructions,
		"instructions_per_vcpu": i.PerVCPU, "loads": i.Loads, "stores": i.Stores,
	}
}

func printTrace(t *terminal, path string, i workloads.TraceInfo) {
	n := func(v uint64) string { return humanize.Comma(int64(v)) }
	tab := &table{heads: []string{"", "<"}}
	tab.row("file", path)
	tab.row("format", i.Format+" "+i.Compression)
	if i.Name != "" {
		tab.row("name", i.Name)
	}
	tab.row("records", n(i.Records))
	tab.row("vCPUs", fmt.Sprint(i.VCPUs))
	if i.Memory != 0 {
		tab.row("guest memory", humanize.IBytes(i.Memory))
	}
	tab.row("pages touched", fmt.Sprintf("%s (%s)", n(i.Pages), humanize.IBytes(i.Pages<<12)))
	tab.row("instructions", n(i.Instructions))
	if i.Window != 0 {
		tab.row("window", n(i.Window)+" instructions: a page appears once in each")
	}
	tab.row("loads", n(i.Loads))
	tab.row("stores", n(i.Stores))
	copyLines(t.out, tab.lines()[1:])
}
