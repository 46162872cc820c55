package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
)

// coreStack says what the cycles of the in-order cores went to, largest first, all
// vCPUs together. Nothing where none executed in time.
func coreStack(r *bench.Result, st style, columns int) []string {
	instructions := r.Stat("core.instructions")
	if instructions == 0 {
		return nil
	}
	type share struct {
		name   string
		cycles float64
	}
	var list []share
	total := 0.0
	for i := range r.Stats {
		if name, ok := strings.CutPrefix(r.Stats[i].Name, "core.cycles."); ok {
			list = append(list, share{name, r.Stats[i].Value})
			total += r.Stats[i].Value
		}
	}
	slices.SortStableFunc(list, func(a, b share) int { return int(b.cycles - a.cycles) })
	branches := r.Stat("core.branches")
	lines := []string{"", fmt.Sprintf("%s: %s instructions in %s cycles, %.3f in one; %.2f %% of the branches mispredicted",
		st.bold("What the cores waited for"), humanize.Comma(int64(instructions)), humanize.Comma(int64(total)), instructions/total,
		100*r.Stat("core.mispredicted")/max(branches, 1))}
	wide := min(barWidth, columns-46)
	for _, s := range list {
		if s.cycles == 0 {
			break
		}
		bar := strings.Repeat("█", max(int(s.cycles/total*float64(wide)+0.5), 0))
		text := fmt.Sprintf("    %-14s %6.2f %%  %18s  ", causeName(s.name), 100*s.cycles/total, humanize.Comma(int64(s.cycles)))
		lines = append(lines, strings.TrimRight(text+st.blue(bar), " "))
	}
	return lines
}
