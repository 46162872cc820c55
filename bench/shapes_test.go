package bench

import (
	"fmt"
	"testing"
)

// TestBitmapPassGrowsWithMemory: what the final pass over the bitmaps adds to the
// downtime is proportional to guest memory, whatever is dirty; what the ITS's pages
// add is not.
func TestBitmapPassGrowsWithMemory(t *testing.T) {
	pass := map[int]float64{}
	for _, gib := range []int{1, 4, 16} {
		m, s := testMachine(t, "its: {devices: 8, events: 16}", fmt.Sprintf("vm={vcpus: 1, memory: %dGiB}", gib), "workload={pattern: uniform, accesses: 200, think: 1us}",
			"migrate={start: 0, bandwidth: 100GiB/s, downtime: 20ms, zero_pages: detect, run_on: 1us, link: {bandwidth: 800Gbit/s}}")
		r := runAll(t, m, s)
		pass[gib] = r.Stat("downtime.bitmap_cycles")
		if r.Migration.State != "completed" || r.Stat("downtime.bitmap_pages") == 0 || r.Stat("downtime.bitmap_pages") > 40 {
			t.Errorf("%d GiB: %s, %v pages in the bitmap", gib, r.Migration.State, r.Stat("downtime.bitmap_pages"))
		}
	}
	for _, gib := range []int{4, 16} {
		if k := pass[gib] / pass[1]; k < 0.8*float64(gib) || k > 1.2*float64(gib) {
			t.Errorf("%d GiB: %.0f cycles, %.1f times as many as 1 GiB", gib, pass[gib], k)
		}
	}
}

// TestPauseGrowsWithPages: the pause of a checkpoint is a constant and so much for
// each page changed.
func TestPauseGrowsWithPages(t *testing.T) {
	type point struct{ pages, pause float64 }
	var points []point
	for _, think := range []int{1, 2, 4} {
		m, s := testMachine(t, "{}", "vm={vcpus: 1, memory: 64MiB}", "tracking.ring=65536",
			fmt.Sprintf("workload={pattern: sequential, accesses: 16000, think: %dus}", think), "checkpoint={epoch: 4ms, link: {bandwidth: 400Gbit/s}}")
		r := runAll(t, m, s)
		if r.Audit.LostPages != 0 || len(r.Epochs) < 4 {
			t.Fatalf("%d pages lost in %d epochs", r.Audit.LostPages, len(r.Epochs))
		}
		e := r.Epochs[2]
		points = append(points, point{float64(e.Pages), float64(e.Resumed - e.Paused)})
	}
	slope := func(a, b point) float64 { return (a.pause - b.pause) / (a.pages - b.pages) }
	high, low := slope(points[0], points[1]), slope(points[1], points[2])
	if low < 500 || high < 500 || high/low > 1.3 || low/high > 1.3 {
		t.Errorf("%v: %.0f and %.0f cycles a page", points, high, low)
	}
}
