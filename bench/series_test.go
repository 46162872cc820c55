package bench

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/scenario"
)

// valuesOf reads a column's text.
func valuesOf(t *testing.T, c Column, samples int) (values []uint64, sum uint64) {
	t.Helper()
	for _, word := range strings.Fields(c.Values) {
		var v uint64
		if _, err := fmt.Sscan(word, &v); err != nil {
			t.Fatal(err)
		}
		values, sum = append(values, v), sum+v
	}
	if len(values) != samples {
		t.Errorf("%s %s has %d values, want %d", c.Kind, c.Key, len(values), samples)
	}
	return values, sum
}

// TestSeriesAddsUp: the samples of a run add up to its totals, whatever the
// period, and there are never more than the bound.
func TestSeriesAddsUp(t *testing.T) {
	for _, period := range []string{"10ms", "100us", "1us", "1234cyc"} {
		r := runText(t, observed, Options{}, "run.series="+period)
		s := r.Series
		if s.Samples < 1 || s.Samples >= maxSamples || s.Period*uint64(s.Samples) < s.End || s.Period*uint64(s.Samples-1) >= s.End {
			t.Errorf("%s: %d samples of %d cycles up to %d", period, s.Samples, s.Period, s.End)
		}
		got, want := map[string]uint64{}, map[string]uint64{}
		for _, c := range s.Columns {
			values, sum := valuesOf(t, c, s.Samples)
			if c.Kind == "ring_occupancy" {
				for _, v := range values {
					if v > 256 {
						t.Errorf("%d ring entries in use", v)
					}
				}
				continue
			}
			key := c.Kind + " " + c.Key
			if c.Kind == "recorded" {
				key = c.Kind
			}
			got[key] += sum
		}
		for _, thread := range r.Threads {
			if group := Group(thread.Name); group != "devices" {
				for _, c := range thread.Causes {
					want["cycles "+group+"."+c.Cause] += c.Cycles
				}
			}
		}
		want["recorded"] = uint64(r.Stat("ring.pushes") + r.Stat("bitmap.bits_set"))
		for _, kind := range []string{"ring_full", "signal", "mmio"} {
			for v := range 3 {
				if n := uint64(r.Stat(fmt.Sprintf("vcpu.%d.exits.%s", v, kind))); n != 0 {
					want["exits "+kind] += n
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-totals +series):\n%s", period, d)
		}
		for _, ie := range s.InterExit {
			_, n := valuesOf(t, Column{Kind: "inter_exit", Key: ie.Kind, Values: ie.Buckets}, len(strings.Fields(ie.Buckets)))
			if exits := want["exits "+ie.Kind]; n >= exits || n+3 < exits {
				t.Errorf("%d intervals between %d exits of 3 vCPUs", n, exits)
			}
		}
	}
}

// TestSeriesContinues: a run that was saved and restored in the middle samples
// the same; and sampling changes nothing else in the record.
func TestSeriesContinues(t *testing.T) {
	whole := runText(t, observed, Options{}, "run.series=7us")
	saved := runText(t, observed, Options{Snapshot: scenario.Time{Picos: 1_000e6}}, "run.series=7us")
	resumed := runText(t, observed, Options{Resume: saved.Snapshot, ResumeName: "x"}, "run.series=7us")
	if d := cmp.Diff(recordOf(t, whole), recordOf(t, resumed)); d != "" {
		t.Errorf("the resumed run differs:\n%s", d)
	}
	plain := runText(t, observed, Options{})
	if d := cmp.Diff(plain.Threads, whole.Threads); d != "" {
		t.Errorf("sampling changes the run:\n%s", d)
	}
}
