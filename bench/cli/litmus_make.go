package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"ringmap/cpu/litmus"
)

func makeCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "make EDGE...",
		Short: "Write a litmus test from a cycle of edges",
		Long: `Write the litmus test whose outcome contains a cycle of edges, in the notation
of the diy tools:

  Rfe Fre Coe       one thread reads, or overwrites, what another wrote
  Rfi Fri Coi       the same within a thread
  PodWR PosRR       program order: different or same location, read or write
  DMB.SYdWW ISBdRR  with a barrier: DMB or DSB .SY .LD .ST .ISH .ISHLD .ISHST, ISB
  DpAddrdR DpDatadW DpCtrldW DpCtrlIsbdR
                    with a dependency; AddrCsel, DataCsel, CtrlCsel through CSEL
  LxSx Amo.Swp      an atomic update: also Amo.Cas, LdAdd, LdEor, LdSet, StAdd, ...
  PodWWPL RfeLP     annotations of source and target: P plain, A acquire,
                    Q acquire-PC, L release

Directions may be left out where the neighbours give them.`,
		Example: `  ringmap litmus make PodWW Rfe DpAddr Fre
  ringmap litmus make DMB.SYdWR Fre PodWR Fre > SB+dmb.sy+po.litmus
  ringmap litmus make PodWWPL RfeLA PodRRAP Fre`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := litmus.Make(args)
			if err != nil {
				return err
			}
			fmt.Fprint(t.out, text)
			return nil
		},
	}
}
