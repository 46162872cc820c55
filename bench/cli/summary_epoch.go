package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
)

// epochSection says what checkpoints cost: how often, how long the VM stood still
// and why, how long output waited.
func epochSection(r *bench.Result, st style) []string {
	hz := r.Number("clock_hz")
	n := r.Stat("epoch.count")
	lines := []string{fmt.Sprintf("%s: %s taken, %s complete at the backup; %s dirty pages each, %s sent", st.bold("Checkpoints"),
		humanize.Comma(int64(n)), humanize.Comma(int64(r.Stat("epoch.commits"))), value(r.Stat("epoch.pages")), bytesOf(uint64(r.Stat("epoch.bytes"))))}
	if r.Failover != "" {
		lines = append(lines, "  "+st.red("the primary died")+", and the VM runs at: "+r.Failover)
	}
	pause := r.Stat("epoch.pause_cycles")
	lines = append(lines, fmt.Sprintf("  the VM stood still for %s on average; output waited for %s on average", seconds(pause, hz), seconds(r.Stat("epoch.output_cycles"), hz)))
	t := &table{heads: []string{"  part of a pause", "on average", "share"}}
	sum := 0.0
	for _, part := range epochParts {
		sum += r.Stat("epoch." + part + "_cycles")
	}
	for _, part := range epochParts {
		c := r.Stat("epoch." + part + "_cycles")
		t.row("  "+part, seconds(c/max(n, 1), hz), fmt.Sprintf("%.1f %%", 100*c/max(sum, 1)))
	}
	return append(lines, t.lines()...)
}

// epochParts are the parts of a pause, in their order.
var epochParts = []string{"stop", "save", "harvest", "scan", "copy", "device", "wait"}
