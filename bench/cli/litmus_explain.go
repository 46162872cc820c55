package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ringmap/bench/scenario"
	"ringmap/cpu/litmus"
)

func explainCommand(t *terminal) *cobra.Command {
	var (
		model, svg, page string
		bound            int
	)
	cmd := &cobra.Command{
		Use:   "explain FILE",
		Short: "Show why a memory model allows or forbids a litmus test's outcome",
		Long: `Show why a memory model allows or forbids the outcome that a litmus test asks
about (for forall: its negation): one execution that ends so, or the cycle of
relations that forbids it and the name of the rule.

--svg and --html draw it: threads as columns, time downwards, only the
relations that matter.`,
		Example: `  ringmap litmus explain MP+dmb.sy+addr.litmus
  ringmap litmus explain IRIW.litmus --svg iriw.svg
  ringmap litmus explain SB.litmus --model tso --html sb.html`,
		Args: exactly(1, "one litmus test"),
	}
	cmd.Flags().StringVar(&model, "model", models[0], "memory `MODEL` arm, tso or sc")
	cmd.Flags().IntVar(&bound, "bound", litmus.DefaultBound, "how often a thread may jump back to the same `PLACE`")
	cmd.Flags().StringVar(&svg, "svg", "", "draw a picture into `FILE`")
	cmd.Flags().StringVar(&page, "html", "", "write a page with picture, text and test into `FILE`")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		m := slices.Index(models, model)
		if m < 0 {
			return fmt.Errorf("--model %s: no such model; %s", model, scenario.DidYouMean(model, models))
		}
		if bound < 1 || bound > maxBound {
			return fmt.Errorf("--bound %d: must be 1 to %d", bound, maxBound)
		}
		text, err := readLitmus(args[0])
		if err != nil {
			return err
		}
		test, err := litmus.Parse(args[0], text)
		if err != nil {
			return err
		}
		e, err := litmus.Explain(test, litmus.Options{Model: litmus.Model(m), Bound: bound})
		if err != nil {
			return err
		}
		if svg != "" {
			if err := writeFile(svg, []byte(e.SVG())); err != nil {
				return err
			}
		}
		if page != "" {
			if err := writeFile(page, []byte(e.HTML(strings.ReplaceAll(string(text), "\r\n", "\n")))); err != nil {
				return err
			}
		}
		fmt.Fprint(t.out, e.Text())
		return nil
	}
	return cmd
}
