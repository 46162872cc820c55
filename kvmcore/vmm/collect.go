package vmm

import (
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// mainThread is the thread that collects: QEMU's migration thread with the
// reaper in one. It follows short scripts, one step after the other.
type mainThread struct {
	thread
	script  script
	ip      int    // the step of the script
	sub     uint8  // where within the step
	slot    int    // index of the slot the step is at
	page    uint64 // next page to look at, in copying
	cleared uint64 // chunk number+1 of the slot that CLEAR has been issued for

	stepBegan   sim.Cycle
	scriptBegan sim.Cycle // the pause of the epoch
	nudging     int       // vCPUs that have not left KVM_RUN yet
	nextRound   sim.Cycle
	nextSave    sim.Cycle
	migrate     sim.Cycle // when the migration begins
	end         sim.Cycle // when the final sequence is due
	open        bool      // a collection is under way
	flagged     bool      // policy ring-flagged-bitmap: this collection has found the flag

	log kvmcore.DirtyLog // what GET returned, or what CLEAR is given
}

// script names a sequence of steps.
type script uint8

const (
	scriptStart           script = iota // turn logging on, then let the vCPUs go
	scriptSleep                         // until something is due
	scriptRound                         // one collection while the guest runs
	scriptSave                          // pause, save the device tables, resume
	scriptFinal                         // the end: what the save wrote is collected too
	scriptFinalBeforeSave               // the end in the wrong order
	scriptFinalOff                      // the end without tracking

	scriptSetup                // a migration begins
	scriptDecide               // what it does next
	scriptSync                 // one look at what is dirty
	scriptReaper               // rings are drained, and that is all
	scriptLimit                // the same, to see who is how fast
	scriptSlice                // pages are sent
	scriptSwitchover           // the VM stops and goes over
	scriptSwitchoverBeforeSave // the same in the wrong order
	scriptAbort                // the VM goes on where it is

	scriptEpoch // a checkpoint
	scriptPoll  // how many pages are dirty?
	scriptLast  // the last checkpoint, and the end
	numScripts
)

type step uint8

const (
	stepEnable step = iota // KVM_MEM_LOG_DIRTY_PAGES on every slot
	stepBaseline
	stepRelease
	stepSleep
	stepPause
	stepSave
	stepResume
	stepOpen
	stepReap
	stepFlag // policy ring-flagged-bitmap: was a ring full?
	stepGet
	stepCopy
	stepClose
	stepEnd

	stepAllDirty   // every page is to be sent
	stepLook       // a sync begins
	stepKick       // every vCPU leaves its guest once
	stepSynced     // a sync ends
	stepDecide     // migration_iteration_run
	stepSlice      // ram_save_iterate
	stepJudgeLimit // dirtylimit_process
	stepCopyRest   // ram_save_complete
	stepState      // registers of vCPUs and devices
	stepAwait      // the destination's answer
	stepDisable    // logging off
	stepAborted

	stepCommit     // the epoch before has to be committed
	stepStage      // copy pages aside
	stepEpochState // registers of vCPUs and devices
	stepSendEpoch
	stepSyncCommit // COLO: wait for the commit
	stepEpochEnd
	stepCount // pages of the epoch
)

// The order of scriptFinal is the rule of the kernel's document and of QEMU's
// switchover: stop, save tables, drain rings, collect the backup bitmap last,
// copy the rest.
var scripts = [numScripts][]step{
	scriptStart:           {stepEnable, stepBaseline, stepRelease},
	scriptSleep:           {stepSleep},
	scriptRound:           {stepOpen, stepReap, stepFlag, stepGet, stepCopy, stepClose},
	scriptSave:            {stepPause, stepSave, stepResume},
	scriptFinal:           {stepPause, stepSave, stepOpen, stepReap, stepGet, stepCopy, stepClose, stepEnd},
	scriptFinalBeforeSave: {stepPause, stepOpen, stepReap, stepGet, stepCopy, stepClose, stepSave, stepEnd},
	scriptFinalOff:        {stepPause, stepSave, stepEnd},

	scriptSetup:      {stepEnable, stepAllDirty, stepLook, stepKick, stepReap, stepFlag, stepGet, stepSynced},
	scriptDecide:     {stepDecide},
	scriptSync:       {stepLook, stepKick, stepReap, stepFlag, stepGet, stepSynced},
	scriptReaper:     {stepReap},
	scriptLimit:      {stepKick, stepReap, stepJudgeLimit},
	scriptSlice:      {stepSlice},
	scriptSwitchover: {stepPause, stepSave, stepLook, stepReap, stepGet, stepSynced, stepCopyRest, stepClose, stepState, stepAwait},
	scriptSwitchoverBeforeSave: {
		stepPause, stepLook, stepReap, stepGet, stepSynced, stepCopyRest, stepClose, stepSave, stepState, stepAwait,
	},
	scriptEpoch: {
		stepCommit, stepPause, stepSave, stepOpen, stepReap, stepGet, stepStage, stepClose, stepEpochState, stepSendEpoch, stepSyncCommit, stepResume, stepEpochEnd,
	},
	scriptPoll:  {stepReap, stepGet, stepCount},
	scriptLast:  {stepCommit, stepPause, stepSave, stepOpen, stepReap, stepGet, stepStage, stepClose, stepEpochState, stepSendEpoch, stepCommit, stepEnd},
	scriptAbort: {stepResume, stepDisable, stepReap, stepAborted},
}

// Handle runs the thread until it must wait or somebody else's turn has come.
func (m *mainThread) Handle(_ *sim.Engine, ev sim.Event) {
	if !m.arrive(ev) {
		return
	}
	for {
		o := m.advance()
		m.v.Wake()
		if m.stops(o) {
			return
		}
	}
}

// advance runs a bit of the present step and goes to the next one at its end.
func (m *mainThread) advance() outcome {
	o := m.step()
	if o != finished {
		return o
	}
	if m.script == scriptEpoch {
		m.v.ckpt.epochTook(scripts[m.script][m.ip], m.now()-m.stepBegan)
	}
	if g := &m.v.mig; g.state == MigrateDevice {
		g.stepTook(scripts[m.script][m.ip], m.now()-m.stepBegan)
	}
	if m.v.done {
		return parked
	}
	if m.ip+1 < len(scripts[m.script]) {
		m.begin(m.script, m.ip+1)
	} else if m.v.mig.state.under() {
		m.begin(scriptDecide, 0)
	} else {
		m.begin(scriptSleep, 0)
	}
	return working
}

// begin goes to the beginning of a step.
func (m *mainThread) begin(s script, ip int) {
	m.kt.Observe()
	m.script, m.ip = s, ip
	m.sub, m.slot, m.page, m.cleared = 0, 0, 0, 0
	m.stepBegan = m.now()
	if s == scriptEpoch || s == scriptLast {
		if scripts[s][ip] == stepPause {
			m.scriptBegan = m.now()
		}
	}
}

func (m *mainThread) step() outcome {
	v := m.v
	switch scripts[m.script][m.ip] {
	case stepEnable:
		return m.enable()
	case stepBaseline:
		v.baseline()
	case stepRelease:
		m.release()
	case stepSleep:
		return m.sleep()
	case stepPause:
		return m.pause()
	case stepSave:
		m.save()
	case stepResume:
		m.resume()
	case stepOpen:
		if !m.open {
			v.Stats.Rounds++
		}
		m.open = true
		if v.Audit != nil {
			v.Audit.Open(m.now())
		}
	case stepReap:
		return m.reapAll()
	case stepFlag:
		m.readFlag()
	case stepGet:
		return m.get()
	case stepCopy:
		return m.copy()
	case stepClose:
		m.open = false
		if v.Audit != nil {
			v.Audit.Close(m.now())
		}
	case stepEnd:
		v.ended, v.done = m.now(), true
		v.Engine.Stop()
	default:
		if s := scripts[m.script][m.ip]; s >= stepCommit {
			return m.epochStep(s)
		}
		return m.migrateStep(scripts[m.script][m.ip])
	}
	return finished
}

// enable turns logging on, slot by slot.
func (m *mainThread) enable() outcome {
	v := m.v
	switch {
	case m.sub == 1:
		if o := m.ioctl(); o != finished {
			return o
		}
		m.sub = 0
		m.slot++
	case v.Track == TrackOff || m.slot == len(v.slots) || m.script == scriptStart && v.Migrate != nil:
		return finished
	case v.VM.Slots.ByID(v.slots[m.slot].id).Flags&kvmcore.SlotLogDirty != 0:
		m.slot++
	default:
		s := &v.slots[m.slot]
		if e := m.kt.StartSetMemoryRegion(v.VM, s.region(v.Host.Page, kvmcore.SlotLogDirty)); e != kvmcore.OK {
			v.find(Finding{At: m.now(), Kind: FindingEnableFailed, A: uint64(s.id), B: uint64(e)})
			m.slot++
			return working
		}
		m.sub = 1
	}
	return working
}

// release lets the vCPUs go and starts the clocks, at one time for all.
func (m *mainThread) release() {
	v := m.v
	for i := range v.vcpus {
		m.kt.Core.Now = max(m.now(), v.vcpus[i].now())
	}
	v.started = m.now()
	m.migrate = sim.Never
	if g := v.Migrate; g != nil {
		m.migrate, v.mig.failAt = v.started+g.Start, v.started+g.FailAt
	}
	m.end, m.nextRound, m.nextSave = after(v.started, v.Until), after(v.started, v.Period), after(v.started, v.SaveEvery)
	if v.Track == TrackOff || v.Migrate != nil {
		m.nextRound = sim.Never
	}
	for i := range v.vcpus {
		c := &v.vcpus[i]
		c.kt.Core.Now = v.started
		c.schedule(v.started)
	}
	v.awaitInput(v.started)
	if v.Checkpoint != nil {
		m.startEpochs()
	}
}

// after is when something of that period is due next.
func after(now, period sim.Cycle) sim.Cycle {
	if period == 0 {
		return sim.Never
	}
	return now + period
}

// sleep waits for what is due next and begins it. The end comes first, then the
// save, then the round: at equal times nothing is done twice.
func (m *mainThread) sleep() outcome {
	v := m.v
	now := m.now()
	switch {
	case m.end <= now:
		m.beginEnd()
	case m.migrate <= now:
		m.migrate = sim.Never
		v.mig.state = MigrateSetup
		m.begin(scriptSetup, 0)
	case v.Checkpoint != nil && (v.ckpt.next <= now || v.ckpt.due):
		m.begin(scriptEpoch, 0)
	case m.nextSave <= now:
		m.nextSave = after(now, v.SaveEvery)
		m.begin(scriptSave, 0)
	case m.nextRound <= now && v.Checkpoint != nil:
		m.nextRound = after(now, v.Period)
		m.begin(scriptPoll, 0)
	case m.nextRound <= now:
		m.nextRound = after(now, v.Period)
		m.begin(scriptRound, 0)
	default:
		m.why = WaitSleep
		due := min(m.end, m.nextSave, m.nextRound, m.migrate)
		if v.Checkpoint != nil {
			due = min(due, v.ckpt.next)
		}
		if due != sim.Never {
			m.schedule(due)
		}
		return parked
	}
	return working
}

// beginEnd begins the final sequence.
func (m *mainThread) beginEnd() {
	switch {
	case m.v.Checkpoint != nil:
		m.begin(scriptLast, 0)
	case m.v.Track == TrackOff || m.v.Migrate != nil:
		m.begin(scriptFinalOff, 0)
	case m.v.Collect == CollectBeforeSave:
		m.begin(scriptFinalBeforeSave, 0)
	default:
		m.begin(scriptFinal, 0)
	}
}

// guestsEnded makes the final sequence due.
func (m *mainThread) guestsEnded(at sim.Cycle) {
	if g := m.v.Migrate; g != nil && m.v.mig.state <= MigrateDevice {
		return // an idle VM migrates as well as a busy one
	}
	m.end = min(m.end, max(at, m.now()))
	if m.script == scriptSleep {
		m.schedule(min(m.end, m.nextSave, m.nextRound))
	}
}

// pause stops every vCPU: pause_all_vcpus, which holds the big lock while it
// signals the threads and drops it to wait for them.
func (m *mainThread) pause() outcome {
	const (
		pauseLock uint8 = iota
		pauseKick
		pauseWait
	)
	v := m.v
	switch m.sub {
	case pauseLock:
		if o := m.lock(); o != finished {
			return o
		}
		v.pausing = true
		m.sub = pauseKick
	case pauseKick:
		if m.slot < len(v.vcpus) {
			m.delay(uint64(v.Costs.Kick), causeLock)
			v.vcpus[m.slot].kick(m.now())
			m.slot++
			return working
		}
		m.unlock()
		m.sub = pauseWait
	case pauseWait:
		if v.inside != 0 {
			m.why = WaitVCPUs
			return parked
		}
		if m.script != scriptSave && m.script != scriptEpoch {
			v.stopped = v.lastStop()
		}
		return finished
	}
	return working
}

// vcpusStopped wakes the main thread when the last vCPU has stopped.
func (m *mainThread) vcpusStopped(at sim.Cycle) {
	if m.why == WaitVCPUs && !m.set {
		m.schedule(max(m.now(), at))
	}
}

// save writes the device tables into guest memory: the state-change handlers of
// the ITS and the GICv3. Nobody else runs, so it is done in one go.
func (m *mainThread) save() {
	v := m.v
	if v.Save == nil {
		return
	}
	v.Stats.Saves++
	before := m.now()
	e := v.Save(m.kt)
	if v.VM.Crash() != "" {
		v.find(Finding{At: m.now(), Kind: FindingCrash})
		v.ended, v.done = m.now(), true
		v.Engine.Stop()
		return
	}
	if e != kvmcore.OK {
		v.find(Finding{At: m.now(), Kind: FindingSaveFailed, A: uint64(e)})
	}
	v.Stats.SaveCycles += uint64(m.now() - before)
}

// resume lets the vCPUs run on after a pause.
func (m *mainThread) resume() {
	v := m.v
	v.pausing = false
	for i := range v.vcpus {
		v.vcpus[i].resume(m.now())
	}
}

// reapAll drains every ring under the big lock and takes over what it and the
// vCPU threads have staged: every page in there is protected again.
func (m *mainThread) reapAll() outcome {
	const (
		reapLock uint8 = iota
		reapRun
	)
	v := m.v
	if !v.Track.UsesRing() {
		return finished
	}
	if m.sub == reapLock {
		if o := m.lock(); o != finished {
			return o
		}
		m.startReap(0, len(v.fetch))
		m.sub = reapRun
		return working
	}
	if o := m.stepReap(); o != finished {
		return o
	}
	words := uint64(0)
	for i := range v.slots {
		s := &v.slots[i]
		if m.script == scriptPoll || m.script == scriptReaper || m.script == scriptLimit {
			break // they stay in the staging bitmaps until a sync
		}
		words += s.staged.moveTo(&s.send)
	}
	m.delay(words*uint64(v.Costs.Word), causeHarvest)
	m.unlock()
	return finished
}

// readFlag takes the flag that says that a ring was full. It comes behind the
// rings, whose entries are the cheaper news, and before the bitmap, into which the
// kernel puts the page before it raises the flag.
func (m *mainThread) readFlag() {
	v := m.v
	m.flagged = false
	if v.VM.FullFlag == 0 {
		return
	}
	b := &m.kt.Block
	b.Reset()
	old := b.Push(mmu.Op{Kind: mmu.OpSwap, Addr: v.VM.FullFlag, Size: 4, Flags: mmu.OpAcquire})
	m.kt.Exec(causeHarvest)
	if m.flagged = b.Out[old] != 0; m.flagged {
		v.Stats.Flagged++
	}
}

// get collects the bitmaps, as the tracking says: in every round, in the final
// collection, or whenever a ring was full. A slot without a bitmap (ENOENT) counts as an empty one.
// kvm_log_sync_global, kvm_slot_get_dirty_log.
func (m *mainThread) get() outcome {
	v := m.v
	last := m.script == scriptEpoch || m.script == scriptLast || m.script == scriptFinal || m.script == scriptFinalBeforeSave || v.mig.state == MigrateDevice
	if !v.gets(last) || m.slot == len(v.slots) {
		return finished
	}
	s := &v.slots[m.slot]
	if m.sub == 0 {
		m.log.Words = m.log.Words[:0]
		if v.errs(MistakeBadBuffer) {
			m.kt.StartGetDirtyLog(v.VM, uint32(s.id), nil)
		} else {
			m.kt.StartGetDirtyLog(v.VM, uint32(s.id), &m.log)
		}
		m.sub = 1
		return working
	}
	m.kt.Rebind(&m.log) // a restored call has lost its buffer
	if o := m.ioctl(); o != finished {
		return o
	}
	switch m.kt.Err {
	case kvmcore.OK:
		v.merge(s, &m.log)
		m.delay((s.pages+63)/64*uint64(v.Costs.Word), causeHarvest)
	case kvmcore.ENOENT:
	case kvmcore.EFAULT: // the buffer was bad: the call is repeated with another
		m.sub = 0
		return working
	default:
		v.find(Finding{At: m.now(), Kind: FindingGetFailed, A: uint64(s.id), B: uint64(m.kt.Err)})
	}
	m.sub = 0
	m.slot++
	return working
}

// lastStop is when the last vCPU left its guest.
func (v *VMM) lastStop() sim.Cycle {
	at := v.started
	for i := range v.vcpus {
		at = max(at, v.vcpus[i].StoppedAt)
	}
	return at
}

func (m *mainThread) sync(c *sim.Codec) {
	m.thread.sync(c)
	sim.Uint(c, &m.script)
	c.Int(&m.ip)
	c.U8(&m.sub)
	c.Int(&m.slot)
	c.U64(&m.page)
	c.U64(&m.cleared)
	sim.Uint(c, &m.stepBegan)
	sim.Uint(c, &m.scriptBegan)
	c.Int(&m.nudging)
	sim.Uint(c, &m.migrate)
	sim.Uint(c, &m.nextRound)
	sim.Uint(c, &m.nextSave)
	sim.Uint(c, &m.end)
	c.Bool(&m.open)
	c.Bool(&m.flagged)
	sim.Slice(c, &m.log.Words, func(c *sim.Codec, w *kvmcore.DirtyWord) {
		c.U64(&w.Index)
		c.U64(&w.Bits)
	})
	if m.script >= numScripts || m.ip < 0 || m.ip >= len(scripts[m.script]) || m.sub > 2 ||
		m.slot < 0 || m.slot > max(len(m.v.slots), len(m.v.vcpus)) {
		c.Fail(errNowhere)
		m.begin(scriptSleep, 0)
	}
}
