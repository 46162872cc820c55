package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
)

func initCommand(t *terminal) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a commented scenario file with every key and its default",
		Example: `  ringmap init > my.yaml
  ringmap init --out my.yaml`,
		Args: exactly(0, "no argument"),
	}
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` instead of standard output")
	cmd.RunE = func(*cobra.Command, []string) error {
		if out != "" {
			return writeFile(out, []byte(scenario.Template()))
		}
		t.out.WriteString(scenario.Template())
		return nil
	}
	return cmd
}

func versionCommand(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, "no argument"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		if asJSON {
			return printJSON(t, map[string]string{"version": bench.Version, "go": runtime.Version()})
		}
		fmt.Fprintf(t.out, "ringmap %s (%s)\n", bench.Version, runtime.Version())
		return nil
	}
	return cmd
}

func printJSON(t *terminal, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	t.out.Write(append(text, '\n'))
	return nil
}
