package vmm

import "ringmap/sim"

// DownPartCycles is how long a part of the downtime took.
func (v *VMM) DownPartCycles(p DownPart) sim.Cycle {
	g := &v.mig
	if d := v.Migrate.Destination; p == DownResume && d != nil && d.VMM.started > g.stateSent && g.stateSent != 0 {
		return d.VMM.started - g.stateSent
	}
	return g.Downtime[p]
}

// MigrationDowntime is how long no VM ran: from the first vCPU being stopped at
// the source to the start of the vCPUs at the destination. 0 before that.
func (v *VMM) MigrationDowntime() (n sim.Cycle) {
	if v.mig.state != MigrateCompleted {
		return 0
	}
	for p := range NumDownParts {
		n += v.DownPartCycles(p)
	}
	return n
}

// SwitchoverExpected is the downtime in milliseconds that the pages left at the
// switchover called for at the bandwidth measured then.
func (v *VMM) SwitchoverExpected() uint64 { return v.mig.SwitchExpected }

// MigrationTime is when logging was turned on for the migration, and how long it
// took from there until the source gave the VM up; 0 if it did not.
func (v *VMM) MigrationTime() (began, took sim.Cycle) {
	if v.mig.state == MigrateCompleted {
		took = v.ended - v.mig.began
	}
	return v.mig.began, took
}

// MigrationBytes is what was handed over to the link.
func (v *VMM) MigrationBytes() uint64 { return v.mig.link.Bytes }

// registerMigration adds the statistics of a migration.
func (v *VMM) registerMigration(s *sim.Stats) {
	g := &v.mig
	s.Derived("migrate.state", "", "0 none, 1 setup, 2 active, 3 device, 4 completed, 5 failed, 6 cancelled: MigrationStatus of QEMU", func() float64 {
		return float64(g.state)
	})
	s.Counter("round.count", "", "syncs of the dirty bitmap in a migration, the last one included", &g.Syncs)
	s.Counter("migrate.bytes", "bytes", "handed over to the link", &g.link.Bytes)
	s.Derived("migrate.total_cycles", "cycles", "from turning logging on to the source giving the VM up", func() float64 {
		_, took := v.MigrationTime()
		return float64(took)
	})
	s.Counter("migrate.dirty_pages_rate", "pages/s", "pages dirtied a second as last judged: dirty-pages-rate of QEMU", &g.dirtyRate)
	s.Counter("migrate.threshold_bytes", "bytes", "what the allowed downtime was good for at last", &g.threshold)
	s.Counter("migrate.throttle_percent", "%", "auto-converge at the end", &g.converge.percent)
	s.Counter("downtime.expected_ms", "ms", "what was left at the switchover, over the bandwidth measured", &g.SwitchExpected)
	s.Counter("downtime.pages_left", "pages", "pages to send when the switchover began", &g.SwitchPages)
	s.Counter("downtime.pages_sent", "pages", "pages sent while the VM stood still", &g.FinalPages)
	s.Counter("downtime.bitmap_pages", "pages", "of these: found in the bitmaps", &g.BitmapPages)
	s.Counter("downtime.state_bytes", "bytes", "registers of vCPUs and devices", &g.StateBytes)
	for p := range NumDownParts {
		s.Derived("downtime."+p.String()+"_cycles", "cycles", downPartTexts[p], func() float64 { return float64(v.DownPartCycles(p)) })
	}
	s.Derived("downtime.total_cycles", "cycles", "no VM ran: from the first kick at the source to the start of the vCPUs at the destination", func() float64 {
		return float64(v.MigrationDowntime())
	})
}

var downPartTexts = [NumDownParts]string{
	"stopping the vCPUs",
	"writing ITS and pending tables",
	"draining the rings for the last time",
	"the last pass over the bitmaps",
	"sending what was left, to the last byte on the wire",
	"reading and sending registers of vCPUs and devices",
	"travelling, loading at the destination, answering, starting",
}
