package vmm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/sim"
)

// TestDirtyLimitArithmetic holds the limit against system/dirtylimit.c worked out by
// hand: tolerance, linear and small steps, the whole MiB of a ring, the bounds.
func TestDirtyLimitArithmetic(t *testing.T) {
	for _, c := range []struct {
		name              string
		quota, rate, ring uint64
		most              uint64
		before, after     int64
	}{
		{"within 25 MiB/s", 100, 125, 16, 0, 7, 7},
		{"nothing dirtied", 100, 0, 16, 500, 7, 0},
		{"linear up", 100, 400, 16, 0, 0, 120_000}, // T=16e6/400=40000, s=75: 40000*75/25
		{"linear up, a faster past", 100, 400, 16, 800, 0, 60_000},
		{"linear down", 400, 100, 16, 400, 200_000, 80_000},
		{"small step up", 100, 150, 16, 0, 1000, 1000 + 10_666}, // T=106666
		{"small step down", 150, 100, 16, 0, 100_000, 100_000 - 16_000},
		{"never below nothing", 150, 100, 16, 0, 5, 0},
		{"never above 99 T", 1, 400, 16, 0, 3_900_000, 3_960_000},
		{"a ring below a MiB does nothing", 1, 400, 0, 0, 0, 0},
	} {
		l := dirtyLimit{on: true, rate: []uint64{c.rate}, sleep: []int64{c.before}, most: c.most}
		l.adjust(0, c.quota, c.ring)
		if l.sleep[0] != c.after {
			t.Errorf("%s: %d us become %d, want %d", c.name, c.before, l.sleep[0], c.after)
		}
	}
}

// TestAutoConvergeArithmetic: 20 %, then steps of 10 % up to 99 %; with tail-slow the
// step that makes the dirty rate fit, if that is smaller.
func TestAutoConvergeArithmetic(t *testing.T) {
	steps := func(tail bool, dirty, allowed uint64) (list []uint64) {
		v := &VMM{Wiring: Wiring{Engine: sim.NewEngine()}, Spec: Spec{Migrate: &MigrateSpec{
			Hz: 1e9, Throttle: ThrottleSpec{Initial: 20, Increment: 10, Max: 99, TailSlow: tail}}}}
		v.ticker = v.Engine.Register("throttle", &ticker{v})
		for range 10 {
			v.throttleDown(dirty, allowed, 0)
			list = append(list, v.mig.converge.percent)
		}
		return list
	}
	if diff := cmp.Diff([]uint64{20, 30, 40, 50, 60, 70, 80, 90, 99, 99}, steps(false, 100, 10)); diff != "" {
		t.Error(diff)
	}
	// 80 % run, 95 of 100 fit: 76 % would do, a step of 4; then 76*95/100 = 72, and so on.
	if diff := cmp.Diff([]uint64{20, 24, 28, 32, 36, 40, 43, 46, 49, 52}, steps(true, 100, 95)); diff != "" {
		t.Error(diff)
	}
}

// TestLink: bytes leave one after the other and no part of a cycle is lost; a full
// buffer has room again when a third of it is empty.
func TestLink(t *testing.T) {
	s := &LinkSpec{Bandwidth: 3, Buffer: 300}
	var l link
	for range 3 {
		l.put(s, 10, 1, 0) // 3 1/3 cycles each
	}
	if l.free != 10 || l.Bytes != 3 {
		t.Errorf("3 bytes at 3 a second have left at cycle %d of 10", l.free)
	}
	l.put(s, 10, 30, 1000)
	if l.free != 1100 || l.room(s, 10, 1000) != 1000 {
		t.Errorf("an idle link is free at %d, has room at %d", l.free, l.room(s, 10, 1000))
	}
	l.put(s, 10, 400, 1000)
	if at := l.room(s, 10, 1000); at != l.free-666 {
		t.Errorf("a full buffer has room at %d, the link is free at %d", at, l.free)
	}
}

// TestCounters: threshold and expected downtime as migration_update_counters has
// them, once in 100 ms.
func TestCounters(t *testing.T) {
	s := &MigrateSpec{Hz: 1e9, Bandwidth: 1e9, Downtime: 300}
	g := migration{dirtyRate: 1, bytesAtSync: 50_000_000}
	g.link.Bytes = 20_000_000
	g.updateCounters(s, 99)
	if g.threshold != 0 {
		t.Errorf("before 100 ms the threshold is %d", g.threshold)
	}
	g.updateCounters(s, 100)
	if g.threshold != 60_000_000 || g.expected != 250 || g.window != 100 || g.exceeded(s) {
		t.Errorf("200 MB/s: threshold %d, expected %d ms", g.threshold, g.expected)
	}
	if g.link.Bytes += 100_000_000; !g.exceeded(s) {
		t.Error("the window's rate is not used up")
	}
	s.Switchover = 1e9
	if g.updateCounters(s, 250); g.threshold != 300_000_000 || g.expected != 50 {
		t.Errorf("with 1 GB/s for the switchover: threshold %d, expected %d ms", g.threshold, g.expected)
	}
}

// TestMigrateSpecRefused: what cannot work is refused, as QEMU refuses it.
func TestMigrateSpecRefused(t *testing.T) {
	good := MigrateSpec{Hz: 1e9, Bandwidth: 1, Downtime: 1, Link: LinkSpec{Bandwidth: 1}, Throttle: ThrottleSpec{Trigger: 50}}
	if err := good.Validate(TrackBitmap); err != nil {
		t.Error(err)
	}
	limit := ThrottleSpec{Kind: ThrottleDirtyLimit, Trigger: 50, Limit: 1, Period: 1000}
	for name, f := range map[string]func(*MigrateSpec) Tracking{
		"no tracking":    func(*MigrateSpec) Tracking { return TrackOff },
		"no bandwidth":   func(s *MigrateSpec) Tracking { s.Bandwidth = 0; return TrackBitmap },
		"no link":        func(s *MigrateSpec) Tracking { s.Link.Bandwidth = 0; return TrackBitmap },
		"no downtime":    func(s *MigrateSpec) Tracking { s.Downtime = 0; return TrackBitmap },
		"limit, no ring": func(s *MigrateSpec) Tracking { s.Throttle = limit; return TrackBitmap },
		"throttle of 100 %": func(s *MigrateSpec) Tracking {
			s.Throttle = ThrottleSpec{Kind: ThrottleCPU, Trigger: 50, Initial: 20, Increment: 10, Max: 100}
			return TrackRing
		},
	} {
		s := good
		if track := f(&s); s.Validate(track) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
