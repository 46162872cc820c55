package exec

import "fmt"

// Figure is a number of the in-order core with its source.
type Figure struct {
	Name, Kind, Source string // Kind is measured, fit, prediction or assumed
}

// Figures lists the numbers of NeoverseN1 beside the table of latencies.
func Figures() []Figure {
	n := &NeoverseN1
	line := func(name string, v any, kind, source string) Figure {
		return Figure{fmt.Sprintf("core.%s = %v", name, v), kind, source}
	}
	return []Figure{
		line("width", n.Width, "assumed", "two instructions a cycle in order, Arm Cortex-A55 Software Optimization Guide 2.1; N1 issues out of order"),
		line("refill", n.Refill, "measured", "mispredicted branch, LLVM AArch64SchedNeoverseN1.td"),
		line("store_buffer", n.StoreBuffer, "measured", "44 stores in flight, Chips and Cheese"),
		line("forward", n.Forward, "assumed", "a load from the store buffer takes as long as one from L1D"),
		line("to_l1d", n.ToL1D, "fit", "LSE add uncontended 5.0 ns, linux-arm-kernel, Nov 2025, less L1D's 4 cycles"),
		line("tlb_hit2", n.TLBHit2, "measured", "second-level TLB +5 cycles, Chips and Cheese"),
		line("tlbi_local", n.TLBILocal, "measured", "10 ns, pKVM note, FTC862"),
		line("tlbi_shared", n.TLBIShared, "measured", "289 ns, pKVM note, FTC862"),
		line("latencies", "per class of instruction", "measured", "Arm Neoverse N1 Software Optimization Guide 3, as in LLVM AArch64SchedNeoverseN1.td"),
	}
}
