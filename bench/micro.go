package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"ringmap/bench/scenario"
	"ringmap/cpu/arch"
)

// MicroRow is an operation of the micro-benchmark program beside what was measured
// on the machine of the cost profile.
type MicroRow struct {
	Name      string  `json:"name"`
	Times     uint64  `json:"times"`
	NS        float64 `json:"ns"`     // of one, by the guest's counter
	Cycles    float64 `json:"cycles"` // of the host's clock
	Published uint64  `json:"published_cycles,omitempty"`
	OffBy     float64 `json:"off_by_percent,omitempty"` // from Published
	Source    string  `json:"source"`                   // of Published, or that there is none
}

// Micro runs a scenario whose program prints a line "name times ticks" for each
// operation, as workloads/guests/c/micro.c does.
func Micro(s *scenario.Scenario, o Options) ([]MicroRow, *Result, error) {
	p, err := s.Plan(nil)
	if err != nil {
		return nil, nil, err
	}
	if !p.Program {
		return nil, nil, s.Problem("workload.elf", "write builtin:micro", "a micro-benchmark is a program, and this scenario has none")
	}
	r, err := Run(s, o)
	if err != nil {
		return nil, nil, err
	}
	var rows []MicroRow
	for line := range bytes.Lines(r.Console) {
		row, err := microRow(strings.Fields(string(line)), uint64(p.Clock))
		if err != nil {
			return nil, nil, s.Problem("workload.elf", "run builtin:micro", "the program printed %q: %v", bytes.TrimSpace(line), err)
		}
		for _, published := range p.Profile.Rows() {
			if published.Name == row.Name {
				row.Published, row.Source = published.Cycles, published.Source
				row.OffBy = 100 * (row.Cycles/float64(row.Published) - 1)
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, nil, s.Problem("workload.elf", "give it 2 vCPUs and no limit", "the program printed nothing (%s)", r.Finished)
	}
	return rows, r, nil
}

// microRow reads a line's fields: ticks are of the counter, in all.
func microRow(f []string, hz uint64) (row MicroRow, err error) {
	if len(f) != 3 {
		return row, fmt.Errorf("want a name, how often and how many ticks")
	}
	ticks := uint64(0)
	if row.Times, err = strconv.ParseUint(f[1], 10, 64); err == nil {
		ticks, err = strconv.ParseUint(f[2], 10, 64)
	}
	if err != nil || row.Times == 0 {
		return row, fmt.Errorf("want numbers behind the name")
	}
	row.Name, row.Source = f[0], "prediction: nothing is published"
	row.NS = float64(ticks) / float64(row.Times) * (1e9 / arch.CountHz)
	row.Cycles = row.NS * float64(hz) / 1e9
	return row, nil
}
