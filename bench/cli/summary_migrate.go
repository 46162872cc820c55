package cli

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"ringmap/bench"
)

// shownRounds is how many rounds the summary shows: the first and the last ones.
const shownRounds = 12

// migrationSection says how a migration went: how it ended, round by round, and
// where the downtime went.
func migrationSection(r *bench.Result, st style) []string {
	g, hz := r.Migration, r.Number("clock_hz")
	lines := []string{migrationSentence(g, st, hz)}
	if len(g.Rounds) > 0 {
		lines = append(lines, roundsTable(g.Rounds, hz)...)
	}
	if g.Runs == "destination" {
		lines = append(lines, fmt.Sprintf("  %s: %s; %s pages were left, expected to take %d ms, with a limit of %d ms",
			st.bold("Downtime"), seconds(float64(g.Downtime), hz), count64(r.Stat("downtime.pages_left")), g.ExpectedMS, g.LimitMS))
		lines = append(lines, downtimeTable(g, hz)...)
		if n := g.Interrupts; n.Pending+n.Spurious != 0 {
			text := fmt.Sprintf("  Interrupts: of %d pending LPIs %d arrived", n.Pending, n.Arrived)
			if n.Lost+n.Spurious != 0 {
				text += st.red(fmt.Sprintf(", %d were lost and %d came from nowhere", n.Lost, n.Spurious))
			}
			lines = append(lines, text)
		}
	}
	return lines
}

func migrationSentence(g *bench.Migration, st style, hz uint64) string {
	if g.Runs == "source" {
		return st.red("Migration "+g.State) + ": the VM runs at the source, as if nothing had been"
	}
	return fmt.Sprintf("%s in %s: %s sent in %s, and the VM runs at the destination", st.bold("Migration completed"),
		seconds(float64(g.Total), hz), bytesOf(g.Bytes), count(len(g.Rounds)+1, "round"))
}

// roundsTable lists the rounds of pre-copy; the middle of a long list is left out.
func roundsTable(rounds []bench.Round, hz uint64) []string {
	t := &table{heads: []string{"round", "took", "sent", "pages", "dirtied", "left", "dirty rate", "threshold", "throttle"}}
	for i, o := range rounds {
		if len(rounds) > shownRounds && i >= shownRounds/2 && i < len(rounds)-shownRounds/2 {
			if i == shownRounds/2 {
				t.row("…")
			}
			continue
		}
		t.row(fmt.Sprint(i), seconds(float64(o.Cycles), hz), bytesOf(o.Bytes), humanize.Comma(int64(o.Pages)), humanize.Comma(int64(o.Dirtied)),
			humanize.Comma(int64(o.Left)), humanize.Comma(int64(o.DirtyRate))+"/s", bytesOf(o.Threshold), fmt.Sprint(o.Throttle))
	}
	return t.lines()
}

func downtimeTable(g *bench.Migration, hz uint64) []string {
	t := &table{heads: []string{"  part", "took", "share", "<"}}
	for _, p := range g.Parts {
		t.row("  "+p.Part, seconds(float64(p.Cycles), hz), fmt.Sprintf("%.1f %%", 100*float64(p.Cycles)/float64(max(g.Downtime, 1))), partTexts[p.Part])
	}
	return t.lines()
}

// partTexts explains the parts of the downtime.
var partTexts = map[string]string{
	"stop":    "every vCPU leaves its guest",
	"save":    "ITS tables and pending tables into guest memory",
	"harvest": "the rings, for the last time",
	"bitmap":  "the bitmaps, last of all",
	"copy":    "what was left, to the last byte on the wire",
	"device":  "registers of vCPUs and devices, read and sent",
	"resume":  "travelling, loading, answering, starting",
}

func count64(v float64) string { return humanize.Comma(int64(v)) }
