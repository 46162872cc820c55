package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ringmap/bench"
)

func whyCommand(t *terminal) *cobra.Command {
	var (
		page   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "why --page GFN [FILE]",
		Short: "Tell the story of one guest page: written, faulted, recorded, harvested, reset, sent or lost",
		Long: `Run a scenario and tell the story of one guest page with its cycles: who wrote
it, which fault that took, where it was recorded, when the record was harvested
and reset, and whether its last bytes were sent or lost. GFN is the guest frame
number (guest physical address divided by the host page size), in decimal or 0x….`,
		Example: `  ringmap why --page 0x40123 scenarios/linux-4vcpu.yaml
  ringmap why --page 0x40123 scenarios/linux-4vcpu.yaml --set tracking.mode=ring`,
	}
	flags := newRunFlags(cmd)
	cmd.Flags().StringVar(&page, "page", "", "guest frame number `GFN`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if page == "" {
			return fmt.Errorf("%s needs --page GFN; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
		}
		gfn, err := strconv.ParseUint(page, 0, 64)
		if err != nil {
			return fmt.Errorf("--page %s: this is no guest frame number; write it in decimal or as 0x40123", page)
		}
		s, err := flags.scenario(cmd, args)
		if err != nil {
			return err
		}
		result, err := runWithProgress(t, s, bench.Options{Watch: gfn, HasWatch: true})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(t, map[string]any{"page": gfn, "events": result.Story, "verdict": result.Verdict})
		}
		fmt.Fprintf(t.out, "%s\n\n%14s  %-8s\n", t.style.bold(fmt.Sprintf("Guest page %#x of %s", gfn, result.Name)), "cycle", "where")
		copyLines(t.out, result.Story)
		fmt.Fprintf(t.out, "\n%s\n", result.Verdict)
		return nil
	}
	return cmd
}
