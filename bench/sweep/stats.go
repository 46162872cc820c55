package sweep

import (
	"fmt"
	"slices"
	"strings"

	"ringmap/bench"
	"ringmap/bench/scenario"
)

// defaultStat is what a report is about if nobody says.
const defaultStat = "guest.slowdown"

// addStats checks the statistics that the report is to be about.
func (s *Sweep) addStats(cells []scenario.Cell) error {
	if len(cells) == 0 {
		s.Stats = []string{defaultStat}
		return nil
	}
	known, err := statNames()
	if err != nil {
		return err
	}
	for _, c := range cells {
		if !slices.Contains(known, c.Text) {
			return problem(c.At, scenario.DidYouMean(c.Text, known), "sweep.stats: no statistic has the name %q", c.Text)
		}
		s.Stats = append(s.Stats, c.Text)
	}
	return nil
}

// statNames are the names of statistics that every run has.
func statNames() ([]string, error) {
	stats, err := bench.Statistics()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, st := range stats {
		if !strings.HasPrefix(st.Name, "vcpu.") {
			names = append(names, bench.StatFields(st)...)
		}
	}
	return names, nil
}

// Report sets what the report is about; none leaves it to the file.
func (s *Sweep) Report(stats []string) error {
	if len(stats) == 0 {
		return nil
	}
	known, err := statNames()
	if err != nil {
		return err
	}
	for _, name := range stats {
		if !slices.Contains(known, name) {
			return fmt.Errorf("--stat %s: no statistic has this name; %s", name, scenario.DidYouMean(name, known))
		}
	}
	s.Stats = stats
	return nil
}
