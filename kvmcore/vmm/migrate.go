package vmm

import (
	"fmt"
	"math/bits"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// MigrateSpec is a migration as QEMU is asked for it: migration/options.c.
type MigrateSpec struct {
	Start sim.Cycle // from the start of the vCPUs on
	Hz    uint64    // cycles in a second of the host clock

	Bandwidth   uint64 // max-bandwidth: bytes a second that are offered to the link
	Downtime    uint64 // downtime-limit, in milliseconds
	Switchover  uint64 // avail-switchover-bandwidth: bytes a second, 0 = as measured
	ZeroPages   bool   // a page of zeros travels as one byte; false = as a page like any other
	Link        LinkSpec
	Throttle    ThrottleSpec
	Failure     Failure
	FailAt      sim.Cycle // when it strikes, from the start of the vCPUs on
	Destination *Incoming // where it goes; nil = to memory without a VM
}

// Failure is what goes wrong with a migration on purpose.
type Failure uint8

const (
	FailNothing Failure = iota
	FailLink            // the link drops and stays down
	FailRefuse          // the destination refuses the state when it loads it
	FailCancel          // migrate_cancel
	numFailures
)

var failureNames = [numFailures]string{"none", "link-drop", "refuse", "cancel"}

// String returns the name that scenario files use.
func (f Failure) String() string { return failureNames[f] }

// Failures lists the names of failures.
func Failures() []string { return failureNames[:] }

// ParseFailure returns the failure of that name.
func ParseFailure(name string) (Failure, bool) {
	for f, n := range failureNames {
		if n == name {
			return Failure(f), true
		}
	}
	return 0, false
}

// Validate reports what is wrong with the spec.
func (g *MigrateSpec) Validate(track Tracking) error {
	switch {
	case track == TrackOff:
		return fmt.Errorf("vmm: a migration needs tracking")
	case g.Hz < 1000:
		return fmt.Errorf("vmm: a migration needs the clock's frequency")
	case g.Bandwidth == 0 || g.Link.Bandwidth == 0:
		return fmt.Errorf("vmm: a migration without bandwidth never ends")
	case g.Downtime == 0:
		return fmt.Errorf("vmm: a downtime limit of 0 ms is never met")
	case g.Failure >= numFailures:
		return fmt.Errorf("vmm: unknown failure %d", g.Failure)
	}
	return g.Throttle.validate(track)
}

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

// pendingPages are the pages still to be sent: ram_bytes_remaining.
func (v *VMM) pendingPages() (n uint64) {
	for i := range v.slots {
		n += v.slots[i].send.n
	}
	return n
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

// slice sends pages until the window's rate is used up, the slice's time is over
// or nothing is left: ram_save_iterate.
func (m *mainThread) slice() outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	if m.sub == 1 { // in KVM_CLEAR_DIRTY_LOG
		return m.cleared1()
	}
	if g.exceeded(s) || v.broken(m.now()) || m.end <= m.now() ||
		g.sent%slicePages == 0 && g.sent != 0 && s.ms(m.now()) > g.sliceEnd {
		return finished
	}
	o := m.sendNext(&g.slot, &g.page)
	if o == working {
		g.sent++
	}
	return o
}

// sendNext sends the next page at or behind a place in RAM, which it moves on:
// working after a page, finished when none is left, parked until the link has room.
func (m *mainThread) sendNext(slot *int, page *uint64) outcome {
	v := m.v
	g, s := &v.mig, v.Migrate
	if at := g.link.room(&s.Link, s.Hz, m.now()); at > m.now() {
		m.why = WaitLink
		m.schedule(at)
		return parked
	}
	for range len(v.slots) + 1 {
		sl := &v.slots[*slot]
		if w, b, ok := sl.send.next(*page / 64); ok {
			return m.sendFrom(sl, w, b, page)
		}
		*slot, *page = (*slot+1)%len(v.slots), 0
	}
	return finished
}

// sendFrom sends the first of the pages b of word w. In clear-log mode the first
// page of a chunk since the sync clears, and so protects, the chunk before.
// ram_save_host_page, migration_clear_memory_region_dirty_bitmap.
func (m *mainThread) sendFrom(s *slot, w, b uint64, page *uint64) outcome {
	v := m.v
	if v.Track == TrackClearLog {
		if chunk := w * 64 >> v.ClearShift; s.toClear.has(chunk) {
			s.toClear.remove(chunk)
			m.slot = s.index
			m.clearChunk(s, chunk)
			return working
		}
	}
	p := w*64 + uint64(bits.TrailingZeros64(b))
	s.send.remove(p)
	*page = p
	m.send(s, p)
	return working
}

// cleared1 goes on with a KVM_CLEAR_DIRTY_LOG.
func (m *mainThread) cleared1() outcome {
	if o := m.ioctl(); o != finished {
		return o
	}
	if m.kt.Err != kvmcore.OK {
		m.v.find(Finding{At: m.now(), Kind: FindingClearFailed, A: uint64(m.v.slots[m.slot].id), B: uint64(m.kt.Err)})
	}
	m.sub = 0
	return working
}

// copyRest sends all that is left, whatever the rate limit says, and waits for it
// to leave: ram_save_complete.
func (m *mainThread) copyRest() outcome {
	v := m.v
	g := &v.mig
	switch {
	case m.sub == 1:
		return m.cleared1()
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

// putPage hands a page over to the link.
func (v *VMM) putPage(s *slot, page uint64, now sim.Cycle) {
	spec, size := v.Migrate, v.Host.Page.Size()
	n := size
	if spec.ZeroPages && v.zeros(s.hva+mmu.HVA(page<<v.Host.Page.Shift())) {
		n = 1
	}
	v.mig.link.put(&spec.Link, spec.Hz, n+uint64(spec.Link.Header), now)
}

// zeros tells whether a host page holds nothing but zeros: buffer_is_zero.
func (v *VMM) zeros(hva mmu.HVA) bool {
	src, ok := v.Host.Memory.PFN(hva)
	for f := mmu.PFN(0); ok && f < mmu.PFN(v.Host.Page.Size()>>mmu.FrameShift); f++ {
		if !v.Host.Machine.Mem.EqualFrame(src+f, v.Host.Machine.Mem, 0) { // no memory lies there: it reads as zero
			return false
		}
	}
	return true
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
