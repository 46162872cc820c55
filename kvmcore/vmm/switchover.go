package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// DownPart is a part of the downtime.
type DownPart uint8

const (
	DownStop    DownPart = iota // stopping the vCPUs
	DownSave                    // ITS and pending tables
	DownHarvest                 // the rings
	DownBitmap                  // the bitmaps
	DownCopy                    // what is left of RAM, to the last byte on the wire
	DownDevice                  // reading and sending registers
	DownResume                  // travelling, loading, answering, starting
	NumDownParts
)

var downPartNames = [NumDownParts]string{"stop", "save", "harvest", "bitmap", "copy", "device", "resume"}

// String returns the part's name in statistics.
func (p DownPart) String() string { return downPartNames[p] }

// copyRest sends all that is left, whatever the rate limit says, and waits for it
// to leave: ram_save_complete.
func (m *mainThread) copyRest() outcome {
	v := m.v
	g := &v.mig
	switch {
	case m.sub == 1:
		return m.clearing()
	case v.broken(m.now()):
		m.abort()
		return working
	}
	if o := m.sendNext(&g.slot, &g.page); o != finished {
		return o
	}
	return m.drain()
}

// drain waits until the last byte has left.
func (m *mainThread) drain() outcome {
	if free := m.v.mig.link.free; free > m.now() {
		m.why = WaitLink
		m.schedule(free)
		return parked
	}
	return finished
}

// broken tells whether the migration can go no further: the link is down or
// somebody has cancelled it.
func (v *VMM) broken(now sim.Cycle) bool {
	f := v.Migrate.Failure
	return (f == FailLink || f == FailCancel) && now >= v.mig.failAt
}

// beginSwitchover notes what was expected.
func (v *VMM) beginSwitchover() {
	g := &v.mig
	g.state = MigrateDevice
	g.stopping, g.pagesBefore, g.bitmapBefore = v.main.now(), v.Stats.PagesSent, v.Stats.BitmapPages
	g.SwitchPages = v.pendingPages()
	g.SwitchExpected = mulDiv(g.SwitchPages<<v.Host.Page.Shift(), v.Migrate.Downtime, max(g.threshold, 1))
	v.stopThrottles()
}

// stepTook adds the time of a step of the switchover to its part of the downtime.
func (g *migration) stepTook(s step, n sim.Cycle) {
	switch s {
	case stepPause:
		g.Downtime[DownStop] += n
	case stepSave:
		g.Downtime[DownSave] += n
	case stepReap:
		g.Downtime[DownHarvest] += n
	case stepGet:
		g.Downtime[DownBitmap] += n
	case stepCopyRest:
		g.Downtime[DownCopy] += n
	case stepState:
		g.Downtime[DownDevice] += n
	}
}

// abort gives the migration up: the source goes on.
func (m *mainThread) abort() {
	v := m.v
	v.mig.state = MigrateFailed
	v.VM.Program.Awaited = v.VM.Program.Awaited && !v.Input.Migrated // that never comes now
	if v.Migrate.Failure == FailCancel {
		v.mig.state = MigrateCancelled
	}
	if d := v.Migrate.Destination; d != nil {
		d.abandon()
	}
	v.stopThrottles()
	m.begin(scriptAbort, 0)
}

// aborted ends the way back: nothing is tracked any more.
func (m *mainThread) aborted() {
	v := m.v
	for i := range v.slots {
		s := &v.slots[i]
		s.send, s.staged = newPageSet(s.pages), newPageSet(s.pages)
	}
	m.nextRound = sim.Never
	if v.live == 0 {
		m.end = min(m.end, m.now())
	}
}

// disable turns logging off, slot by slot: ram_save_cleanup.
func (m *mainThread) disable() outcome {
	v := m.v
	for ; m.slot < len(v.slots); m.slot++ {
		s := &v.slots[m.slot]
		if e := m.kt.StartSetMemoryRegion(v.VM, s.region(v.Host.Page, 0)); e != kvmcore.OK {
			v.find(Finding{At: m.now(), Kind: FindingEnableFailed, A: uint64(s.id), B: uint64(e)})
		}
	}
	return finished
}

// sendState reads what is left of the VM, registers of vCPUs and devices, sends it
// and waits for it to leave: qemu_savevm_state_complete_precopy_non_iterable.
func (m *mainThread) sendState() outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	if v.broken(m.now()) {
		m.abort()
		return working
	}
	if m.sub == 0 {
		m.sub = 1
		if d := s.Destination; d != nil {
			d.state = d.Save(m.kt)
			g.StateBytes = uint64(len(d.state))
			g.link.put(&s.Link, s.Hz, g.StateBytes, m.now())
		}
		return working
	}
	return m.drain()
}

// await waits for the destination's word. Only when it has loaded everything does
// the source give the VM up, and only then may the destination run it: at no time
// can both.
func (m *mainThread) await() outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	d := s.Destination
	switch {
	case d == nil:
		g.stateSent = m.now()
		g.FinalPages, g.BitmapPages = v.Stats.PagesSent-g.pagesBefore, v.Stats.BitmapPages-g.bitmapBefore
		v.complete(m.now())
		return finished
	case v.broken(m.now()):
		m.abort()
		return working
	case m.sub == 0:
		m.sub = 1
		g.stateSent = m.now()
		g.FinalPages, g.BitmapPages = v.Stats.PagesSent-g.pagesBefore, v.Stats.BitmapPages-g.bitmapBefore
		d.arrive(m.now() + s.Link.Latency)
	case g.verdict == verdictRefused:
		m.abort()
		return working
	case g.verdict == verdictLoaded:
		v.complete(m.now())
		d.run(m.now() + s.Link.Latency)
		return finished
	}
	m.why = WaitPeer
	if (s.Failure == FailLink || s.Failure == FailCancel) && g.failAt > m.now() {
		m.schedule(g.failAt)
	}
	return parked
}

// complete gives the VM up: from here on the source never runs it again.
func (v *VMM) complete(now sim.Cycle) {
	v.mig.state = MigrateCompleted
	v.ended, v.done = now, true
	if v.Migrate.Destination == nil {
		v.Engine.Stop()
	}
}
