package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
)

// cacheTables says what the caches did: how far accesses had to go, and which
// lines moved because of what. Nothing where caches are not modelled.
func cacheTables(r *bench.Result, st style) []string {
	if _, ok := r.Lookup("cache.l2.hits"); !ok {
		return nil
	}
	levels := &table{heads: []string{"served by", "accesses", "misses", "hit rate"}}
	for _, l := range []struct{ name, hits, misses string }{
		{"L1I", "cache.l1i.hits", "cache.l1i.misses"},
		{"L1D", "cache.l1d.hits", "cache.l1d.misses"},
		{"L2", "cache.l2.hits", "cache.l2.misses"},
		{"system-level cache", "cache.slc.hits", "cache.slc.misses"},
		{"open row of DRAM", "cache.dram.row_hits", ""},
	} {
		hits, misses := r.Stat(l.hits), r.Stat(l.misses)
		if l.misses == "" {
			misses = r.Stat("cache.dram.row_closed") + r.Stat("cache.dram.row_conflicts")
		}
		if hits+misses != 0 {
			levels.row(l.name, value(hits+misses), value(misses), fmt.Sprintf("%.1f %%", 100*hits/(hits+misses)))
		}
	}
	out := append([]string{"", st.bold("Caches")}, levels.lines()...)
	moved := &table{heads: []string{"cause", "core to core", "invalidated", "written back"}}
	for _, c := range coherenceCauses(r) {
		moved.row(causeName(c.name), humanize.Comma(c.n[0]), humanize.Comma(c.n[1]), humanize.Comma(c.n[2]))
	}
	if len(moved.rows) == 0 {
		return out
	}
	return append(append(out, "", st.bold("Coherence transfers by cause")+" (lines of 64 bytes)"), moved.lines()...)
}

// causeLines are the lines that moved because of one cause.
type causeLines struct {
	name string
	n    [3]int64 // from core to core, invalidated, written back
}

// coherenceCauses lists the causes that moved any line, those with the most
// transfers first.
func coherenceCauses(r *bench.Result) (list []causeLines) {
	for i := range r.Stats {
		name, ok := strings.CutPrefix(r.Stats[i].Name, "cache.transfers.")
		if !ok {
			continue
		}
		c := causeLines{name: name}
		for k, kind := range []string{"transfers", "invalidations", "write_backs"} {
			c.n[k] = int64(r.Stat("cache." + kind + "." + name))
		}
		if c.n != [3]int64{} {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b causeLines) int { return int(b.n[0] - a.n[0]) })
	return list
}
