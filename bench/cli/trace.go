package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"ringmap/bench/scenario"
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
	cmd.AddCommand(traceInfoCommand(t), tracePackCommand(t))
	return cmd
}

func tracePackCommand(t *terminal) *cobra.Command {
	var header workloads.PWTHeader
	var memory string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pack RAW OUT",
		Short: "Turn the recorder's raw records into a page-write timeline",
		Long: `Turn the raw records of the recorder (a QEMU plugin, workloads/recorder) into a
page-write timeline that --trace replays. OUT is compressed if it ends in .zst or .gz.`,
		Example: `  ringmap trace pack raw.bin guest.pwt.zst --vcpus 4 --memory 256MiB --window 1000000 --name "my guest"`,
		Args:    exactly(2, "the raw records and the file to write"),
	}
	cmd.Flags().Uint32Var(&header.VCPUs, "vcpus", 0, "`N` vCPUs of the recorded guest")
	cmd.Flags().StringVar(&memory, "memory", "", "`SIZE` of its memory, such as 256MiB")
	cmd.Flags().Uint32Var(&header.Window, "window", 0, "the recorder's window in `INSTRUCTIONS`")
	cmd.Flags().StringVar(&header.Name, "name", "", "what was recorded, at most 24 bytes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		for _, f := range []string{"vcpus", "memory", "window"} {
			if !cmd.Flags().Changed(f) {
				return fmt.Errorf("%s needs --%s: the number that the recorder ran with", cmd.CommandPath(), f)
			}
		}
		size, err := scenario.ParseSize(memory)
		if err != nil {
			return fmt.Errorf("--memory %s: %w", memory, err)
		}
		header.Memory = uint64(size)
		done, err := packTrace(args[0], args[1], header)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(t, map[string]any{"file": args[1], "records": done.Records, "vcpus": done.VCPUs})
		}
		fmt.Fprintf(t.out, "%s: %s records of %d vCPUs\n", args[1], humanize.Comma(int64(done.Records)), done.VCPUs)
		return nil
	}
	return cmd
}

// packTrace writes beside the output and renames, so that no half of it is ever seen.
func packTrace(raw, out string, h workloads.PWTHeader) (workloads.PWTHeader, error) {
	tmp := filepath.Join(filepath.Dir(out), ".ringmap."+filepath.Base(out))
	done, err := workloads.PackPWT(raw, tmp, h)
	if err == nil {
		err = os.Rename(tmp, out)
	}
	if err != nil {
		os.Remove(tmp)
		return done, traceError(out, err)
	}
	return done, nil
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
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path != "" && filepath.Base(pe.Path)[0] != '.' {
		path = pe.Path
	}
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
