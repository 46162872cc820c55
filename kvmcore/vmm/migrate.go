package vmm

import (
	"ringmap/sim"
)

// MigrateState is where a migration stands: MigrationStatus of QEMU.
type MigrateState uint8

const (
	MigrateNone      MigrateState = iota
	MigrateSetup                  // turning logging on
	MigrateActive                 // pre-copy: the source's vCPUs run
	MigrateDevice                 // the source stands still, the rest is on its way
	MigrateCompleted              // the destination has everything; the source runs no more
	MigrateFailed                 // the source goes on as if nothing had been
	MigrateCancelled
	numMigrateStates
)

var migrateStateNames = [numMigrateStates]string{"none", "setup", "active", "device", "completed", "failed", "cancelled"}

// String returns QEMU's name of the state.
func (s MigrateState) String() string { return migrateStateNames[s] }

// under tells whether the main thread is busy with the migration.
func (s MigrateState) under() bool { return s >= MigrateSetup && s <= MigrateDevice }

// Constants of QEMU's migration thread: migration/{migration,ram}.c.
const (
	bufferDelay   = 100   // BUFFER_DELAY: ms of a rate limit window
	maxWait       = 50    // MAX_WAIT: ms of a slice of sending
	slicePages    = 64    // pages between two looks at the clock
	leastTransfer = 10000 // bytes of a window below which nothing is concluded
	syncPeriod    = 1000  // ms between two judgements of the dirty rate
	forcedSync    = 5000  // ms after which auto-converge looks for itself
)

// migration is the source's side of a migration: MigrationState and RAMState.
//
//	setup: logging on, every page is to be sent
//	  └► decide ─► pending < threshold ─► sync ─► decide     (exact)
//	       │  ▲
//	       │  └── slice: pages, until the window's rate is used up or 50 ms are over
//	       └► pending <= threshold ─► switchover: stop, save, harvest, bitmap, copy,
//	                                  device state ─► destination ─► completed
type migration struct {
	state MigrateState
	link  link

	window      uint64 // ms at which the rate limit's window began
	windowBytes uint64 // link.Bytes then
	threshold   uint64 // bytes that fit into the allowed downtime
	expected    uint64 // ms of downtime by the present dirty bytes

	period       uint64 // ms at which the dirty rate's period began
	periodBytes  uint64 // link.Bytes then
	periodPages  uint64 // pages found newly dirty since
	highPeriods  uint64 // periods in which the guest dirtied too fast
	dirtyRate    uint64 // pages a second
	bytesAtSync  uint64 // dirty bytes at the last sync
	lastSync     uint64 // ms
	before       uint64 // pages to send when the sync began
	exact        bool   // the last step was a sync: what is pending is exact
	slot         int    // where sending goes on
	page         uint64
	sent         uint64    // pages of this slice
	sliceEnd     uint64    // ms
	began        sim.Cycle // logging was turned on
	failAt       sim.Cycle
	verdict      verdict
	stopping     sim.Cycle // the switchover began
	roundBegan   sim.Cycle
	roundBytes   uint64
	roundPages   uint64
	stateSent    sim.Cycle
	pagesBefore  uint64 // Stats.PagesSent when the VM stopped
	bitmapBefore uint64 // Stats.BitmapPages then

	converge converge
	limit    dirtyLimit

	Rounds   []Round
	Syncs    uint64
	Downtime [NumDownParts]sim.Cycle
	// What was expected when the switchover began.
	SwitchExpected uint64 // ms
	SwitchPages    uint64 // pages that were left then
	FinalPages     uint64 // pages that were sent while the VM stood still
	BitmapPages    uint64 // of these: found by the final pass over the bitmaps
	StateBytes     uint64
}

// verdict is what the destination says of the state it was sent.
type verdict uint8

const (
	verdictNone verdict = iota
	verdictLoaded
	verdictRefused
)

// Round is what happened from one sync to the next.
type Round struct {
	At        sim.Cycle // of the sync that ends it
	Took      sim.Cycle
	Pages     uint64 // sent
	Bytes     uint64
	Dirtied   uint64 // pages that the sync found newly dirty
	Left      uint64 // pages to send after it
	DirtyRate uint64 // pages a second, as last judged
	Threshold uint64 // bytes
	Expected  uint64 // ms
	Throttle  uint64 // percent of auto-converge, or microseconds per full ring
}

// maxRounds bounds the table; Syncs goes on.
const maxRounds = 4096

// ms is a cycle in milliseconds of QEMU_CLOCK_REALTIME.
func (g *MigrateSpec) ms(at sim.Cycle) uint64 { return mulDiv(uint64(at), 1000, g.Hz) }

// cycle is the first cycle of a millisecond.
func (g *MigrateSpec) cycle(ms uint64) sim.Cycle {
	return sim.Cycle((ms*(g.Hz/1000)*1000 + ms*(g.Hz%1000) + 999) / 1000)
}

// decide is the top of the migration thread's loop: migration_thread,
// migration_iteration_run.
func (m *mainThread) decide() outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	now := s.ms(m.now())
	switch {
	case v.broken(m.now()):
		m.abort()
		return working
	case m.end <= m.now():
		m.begin(scriptFinalOff, 0)
		return working
	case g.limit.due(now):
		m.begin(scriptLimit, 0)
		return working
	case m.nextSave <= m.now(): // somebody stops the VM for a moment
		m.nextSave = after(m.now(), v.SaveEvery)
		m.begin(scriptSave, 0)
		return working
	case m.nextRound <= m.now(): // the reaper thread
		m.nextRound = after(m.now(), v.Period)
		if v.Track.UsesRing() && !g.limit.on {
			m.begin(scriptReaper, 0)
			return working
		}
	case g.converge.percent != 0 && g.Syncs > 1 && now >= g.lastSync+forcedSync:
		m.begin(scriptSync, 0)
		return working
	}
	if !g.exact { // else it is still the same iteration
		g.updateCounters(s, now)
		if g.exceeded(s) {
			m.why = WaitRate
			m.schedule(min(s.cycle(g.window+bufferDelay), g.nextDue(m)))
			return parked
		}
	}
	pending := v.pendingPages() << v.Host.Page.Shift()
	switch {
	case pending < g.threshold && !g.exact:
		g.exact = true
		m.begin(scriptSync, 0)
	case pending <= g.threshold:
		v.beginSwitchover()
		if v.Collect == CollectBeforeSave {
			m.begin(scriptSwitchoverBeforeSave, 0)
		} else {
			m.begin(scriptSwitchover, 0)
		}
	default:
		g.exact = false
		g.sent, g.sliceEnd = 0, now+maxWait
		m.begin(scriptSlice, 0)
	}
	return working
}

// nextDue is when the main thread has something to do besides sending.
func (g *migration) nextDue(m *mainThread) sim.Cycle {
	at := min(m.end, m.nextRound, m.nextSave)
	if g.limit.on {
		at = min(at, m.v.Migrate.cycle(g.limit.next))
	}
	if s := m.v.Migrate; s.Failure == FailLink || s.Failure == FailCancel {
		at = min(at, g.failAt)
	}
	return max(at, m.now())
}

// exceeded is migration_rate_exceeded: the window's bytes are used up.
func (g *migration) exceeded(s *MigrateSpec) bool {
	return g.link.Bytes-g.windowBytes >= s.Bandwidth*bufferDelay/1000
}

// updateCounters is migration_update_counters: once in a window it measures the
// bandwidth, and with it what the allowed downtime is good for.
func (g *migration) updateCounters(s *MigrateSpec, now uint64) {
	if now < g.window+bufferDelay {
		return
	}
	bytes, spent := g.link.Bytes-g.windowBytes, now-g.window
	if s.Switchover != 0 {
		bytes, spent = s.Switchover, 1000
	}
	g.threshold = mulDiv(bytes, s.Downtime, spent)
	if g.dirtyRate != 0 && g.link.Bytes-g.windowBytes > leastTransfer {
		g.expected = mulDiv(g.bytesAtSync, spent, bytes)
	}
	g.window, g.windowBytes = now, g.link.Bytes
}

// synced ends a sync: migration_bitmap_sync.
func (m *mainThread) synced() {
	v := m.v
	g, s := &v.mig, v.Migrate
	now, left := s.ms(m.now()), v.pendingPages()
	dirtied := left - g.before
	g.Syncs++
	if v.Track == TrackClearLog { // clear_bmap_set
		for i := range v.slots {
			s := &v.slots[i]
			s.toClear.fill(s.pages>>v.ClearShift + 1)
		}
	}
	g.periodPages += dirtied
	g.bytesAtSync = left << v.Host.Page.Shift()
	g.lastSync = now
	if now > g.period+syncPeriod {
		m.judge(now)
		g.dirtyRate = g.periodPages * 1000 / (now - g.period)
		g.period, g.periodPages, g.periodBytes = now, 0, g.link.Bytes
	}
	if len(g.Rounds) < maxRounds && g.state == MigrateActive {
		g.Rounds = append(g.Rounds, Round{
			At: m.now(), Took: m.now() - g.roundBegan, Pages: v.Stats.PagesSent - g.roundPages, Bytes: g.link.Bytes - g.roundBytes,
			Dirtied: dirtied, Left: left, DirtyRate: g.dirtyRate, Threshold: g.threshold, Expected: g.expected, Throttle: v.throttled(),
		})
	}
	g.roundBegan, g.roundBytes, g.roundPages = m.now(), g.link.Bytes, v.Stats.PagesSent
}

// judge is migration_trigger_throttle: twice too many dirty bytes, and the
// guest is throttled.
func (m *mainThread) judge(now uint64) {
	v := m.v
	g, t := &v.mig, &v.Migrate.Throttle
	dirty := g.periodPages << v.Host.Page.Shift()
	allowed := mulDiv(g.link.Bytes-g.periodBytes, t.Trigger, 100)
	if dirty <= allowed {
		return
	}
	if g.highPeriods++; g.highPeriods < 2 {
		return
	}
	g.highPeriods = 0
	switch t.Kind {
	case ThrottleCPU:
		v.throttleDown(dirty, allowed, m.now())
	case ThrottleDirtyLimit:
		g.limit.start(v, now)
	}
}

// Migration tells where the migration stands.
func (v *VMM) Migration() MigrateState { return v.mig.state }

// Rounds are the rounds of pre-copy so far.
func (v *VMM) Rounds() []Round { return v.mig.Rounds }

// migrateStep runs a bit of a step that only migrations have.
func (m *mainThread) migrateStep(s step) outcome {
	v := m.v
	g := &v.mig
	switch s {
	case stepAllDirty:
		m.allDirty()
	case stepLook:
		if v.Audit != nil {
			v.Audit.Open(m.now())
		}
		g.before = v.pendingPages()
	case stepKick:
		return m.nudge()
	case stepSynced:
		m.synced()
	case stepDecide:
		return m.decide()
	case stepSlice:
		return m.slice()
	case stepJudgeLimit:
		m.judgeLimit()
	case stepCopyRest:
		return m.copyRest()
	case stepState:
		return m.sendState()
	case stepAwait:
		return m.await()
	case stepDisable:
		return m.disable()
	case stepAborted:
		m.aborted()
	}
	return finished
}

// allDirty makes every page one to send, and starts QEMU's clocks:
// ram_list_init_bitmaps, migration_thread.
func (m *mainThread) allDirty() {
	v := m.v
	g, now := &v.mig, v.Migrate.ms(m.now())
	for i := range v.slots {
		v.slots[i].send.fill(v.slots[i].pages)
	}
	g.state = MigrateActive
	g.began, g.roundBegan = m.stepBegan, m.now()
	g.window, g.period, g.lastSync = now, now, now
	m.nextRound = after(m.now(), v.Period)
	v.Stats.Rounds++
}

// nudge has every vCPU leave its guest once: kvm_cpu_synchronize_kick_all.
func (m *mainThread) nudge() outcome {
	v := m.v
	if m.slot < len(v.vcpus) {
		c := &v.vcpus[m.slot]
		m.delay(uint64(v.Costs.Kick), causeHarvest)
		if c.state == vcpuInside && !c.nudged {
			c.vcpu.Kick()
			c.nudged = true
			m.nudging++
		}
		m.slot++
		return working
	}
	if m.nudging != 0 {
		m.why = WaitVCPUs
		return parked
	}
	return finished
}

// nudgeDone notes that a vCPU has left its guest; the last one wakes the main
// thread.
func (m *mainThread) nudgeDone(at sim.Cycle) {
	m.nudging--
	if m.nudging == 0 && m.why == WaitVCPUs && !m.set {
		m.schedule(max(m.now(), at))
	}
}

func (g *migration) sync(c *sim.Codec, v *VMM) {
	c.Tag("migration")
	sim.Uint(c, &g.state)
	g.link.sync(c)
	for _, n := range []*uint64{
		&g.window, &g.windowBytes, &g.threshold, &g.expected, &g.period, &g.periodBytes, &g.periodPages, &g.highPeriods,
		&g.dirtyRate, &g.bytesAtSync, &g.lastSync, &g.before, &g.page, &g.sent, &g.sliceEnd, &g.roundBytes, &g.roundPages,
		&g.pagesBefore, &g.bitmapBefore, &g.Syncs, &g.SwitchExpected, &g.SwitchPages, &g.FinalPages, &g.BitmapPages, &g.StateBytes,
	} {
		c.U64(n)
	}
	for _, at := range []*sim.Cycle{&g.began, &g.failAt, &g.roundBegan, &g.stateSent, &g.stopping} {
		sim.Uint(c, at)
	}
	c.Bool(&g.exact)
	c.Int(&g.slot)
	sim.Uint(c, &g.verdict)
	for p := range g.Downtime {
		sim.Uint(c, &g.Downtime[p])
	}
	sim.Slice(c, &g.Rounds, func(c *sim.Codec, r *Round) {
		sim.Uint(c, &r.At)
		sim.Uint(c, &r.Took)
		for _, n := range []*uint64{&r.Pages, &r.Bytes, &r.Dirtied, &r.Left, &r.DirtyRate, &r.Threshold, &r.Expected, &r.Throttle} {
			c.U64(n)
		}
	})
	g.converge.sync(c)
	g.limit.sync(c, len(v.vcpus))
	if d := v.Migrate.Destination; d != nil {
		d.sync(c)
	}
	if g.state >= numMigrateStates || g.verdict > verdictRefused || g.slot < 0 || g.slot >= max(len(v.slots), 1) {
		c.Fail(errNowhere)
		g.state, g.verdict, g.slot = MigrateNone, verdictNone, 0
	}
}
