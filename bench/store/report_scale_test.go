package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringmap/bench/report"
	"ringmap/bench/store"
)

// TestReportOfHundredThousand: the page of 102,400 records takes less than 10 s of
// processor time and 1 GiB, and has a row for each. Without RINGMAP_LONG, on a hundredth.
func TestReportOfHundredThousand(t *testing.T) {
	runs, doublings := 200, 2
	if os.Getenv("RINGMAP_LONG") != "" {
		runs, doublings = 800, 7
	}
	st, runs := store.Big(t, filepath.Join(t.TempDir(), "big.db"), runs, doublings)
	defer st.Close()
	about := store.About{Name: "big", Stats: []string{"guest.slowdown", "group1.stat20", "group7.stat159"}}
	per := 1
	for _, a := range []struct {
		key string
		n   int
	}{{"a", 4}, {"b", 10}, {"seed", runs / 40}} {
		axis := store.Axis{Key: a.key, Replicate: a.key == "seed"}
		for v := range a.n {
			axis.Values, axis.Numbers = append(axis.Values, fmt.Sprint(v+1)), append(axis.Numbers, float64(v+1))
		}
		about.Axes = append(about.Axes, axis)
		per *= a.n
	}
	var points []store.Point
	for i := range runs {
		s := len(about.Axes[2].Values)
		points = append(points, store.Point{Ordinal: i, Key: fmt.Sprintf("%032x", i), Labels: []string{fmt.Sprint(i/s/10 + 1), fmt.Sprint(i/s%10 + 1), fmt.Sprint(i%s + 1)}})
	}
	if err := st.PutSweep(about, points); err != nil {
		t.Fatal(err)
	}
	began, wall := store.Spent(), time.Now()
	var b bytes.Buffer
	if err := report.Sweep(&b, st, about, about.Stats); err != nil {
		t.Fatal(err)
	}
	took := store.Spent() - began
	t.Logf("%d records: a page of %d KiB in %v of processor time, %v on the wall; %d MiB of memory", runs, b.Len()>>10, took.Round(time.Millisecond), time.Since(wall).Round(time.Millisecond), store.Peak()>>20)
	if took > 10*time.Second || store.Peak() > 1<<30 || b.Len() > 32<<20 {
		t.Error("that is too much")
	}
	if !strings.Contains(b.String(), fmt.Sprintf("%d points: a (4) × b (10) × seed (%d)", per, runs/40)) {
		t.Error("the page does not say what it is of")
	}
	if left := strings.Contains(b.String(), "are left out"); left != (runs > 2000) {
		t.Errorf("records left out: %v", left)
	}
}
