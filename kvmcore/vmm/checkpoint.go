package vmm

import (
	"fmt"
	"math/bits"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// CheckpointSpec is a VM that is copied to another host again and again, so that it
// can go on there when its own host dies: Remus, and COLO's checkpoints.
//
//	run ─► pause: stop, save, harvest, scan, copy, registers ─► run ─► …
//	                                        └─► link ─► committed at the backup
//
// Pages are staged while the VM stands still and sent while it runs; with Sync it
// waits for the commit. The backup never holds half an epoch.
type CheckpointSpec struct {
	Hz     uint64
	Epoch  sim.Cycle // from one resume to the next pause; 0 = by pages alone
	Pages  uint64    // an epoch ends when so many dirty pages are known, 0 = by time alone
	Sync   bool      // the VM stands still until the epoch is committed: COLO
	Link   LinkSpec
	FailAt sim.Cycle // the primary host dies, from the start of the vCPUs on; 0 = never
	Detect sim.Cycle // until the backup knows
	Backup *Incoming
}

// Validate reports what is wrong with the spec.
func (s *CheckpointSpec) Validate(track Tracking) error {
	switch {
	case track == TrackOff:
		return fmt.Errorf("vmm: checkpoints need tracking")
	case s.Epoch == 0 && s.Pages == 0:
		return fmt.Errorf("vmm: an epoch ends after a time or after pages")
	case s.Link.Bandwidth == 0 || s.Hz < 1000:
		return fmt.Errorf("vmm: checkpoints need a link and a clock")
	case s.Backup == nil:
		return fmt.Errorf("vmm: checkpoints need a backup")
	}
	return nil
}

// EpochPart is a part of the pause of an epoch.
type EpochPart uint8

const (
	EpochStop EpochPart = iota
	EpochSave
	EpochHarvest
	EpochScan
	EpochCopy
	EpochDevice
	EpochWait // with Sync: until it is committed
	NumEpochParts
)

var epochPartNames = [NumEpochParts]string{"stop", "save", "harvest", "scan", "copy", "device", "wait"}

var epochPartTexts = [NumEpochParts]string{
	"stopping the vCPUs, all epochs together", "writing ITS and pending tables", "draining the rings", "passes over the bitmaps",
	"copying the dirty pages into the staging buffer", "reading registers of vCPUs and devices", "waiting for the backup, when it has to",
}

// String returns the part's name in statistics.
func (p EpochPart) String() string { return epochPartNames[p] }

// Epoch is one checkpoint.
type Epoch struct {
	Began     sim.Cycle // the VM was let go
	Paused    sim.Cycle // it was stopped
	Resumed   sim.Cycle
	Committed sim.Cycle // the backup had all of it; 0 = it never had
	Pages     uint64
	Bytes     uint64
	ByPages   bool // the pages ended it, not the time
}

// maxEpochs bounds the list; Count goes on.
const maxEpochs = 1 << 16

// checkpoint is the state of checkpointing.
type checkpoint struct {
	link    link
	stage   *mmu.Memory // frame number = guest address >> mmu.FrameShift
	staged  []mmu.GFN   // pages of the epoch on its way
	state   string      // registers of the epoch on its way
	pending bool        // an epoch is on its way
	dead    bool        // the primary is
	due     bool        // the pages end the epoch
	next    sim.Cycle   // when the time ends it
	began   sim.Cycle

	Epochs    []Epoch
	Count     uint64 // of epochs taken
	Commits   uint64
	Pages     uint64
	Overshoot uint64 // most pages of an epoch beyond Pages
	Parts     [NumEpochParts]uint64
	Pause     sim.Histogram // cycles
	PerEpoch  sim.Histogram // pages
	Output    sim.Histogram // cycles from the start of an epoch to its commit: how long output waits
}

// startEpochs begins the first epoch, which ends at once: the backup needs one.
func (m *mainThread) startEpochs() {
	v := m.v
	v.ckpt.next, v.ckpt.began = m.now(), m.now()
	m.nextRound = after(m.now(), v.Period)
	if at := v.Checkpoint.FailAt; at != 0 {
		v.Checkpoint.Backup.schedule(v.started+at, eventDeath)
	}
}

// known are the dirty pages that userspace knows of.
func (v *VMM) known() (n uint64) {
	for i := range v.slots {
		n += v.slots[i].staged.n + v.slots[i].send.n
	}
	return n
}

// countPages ends the epoch if enough dirty pages are known: after a full ring was
// drained, or the main thread has looked.
func (v *VMM) countPages(at sim.Cycle) {
	s, c := v.Checkpoint, &v.ckpt
	if s == nil || s.Pages == 0 || c.due || v.known() < s.Pages {
		return
	}
	c.due = true
	if m := &v.main; m.script == scriptSleep {
		m.schedule(max(m.now(), at))
	}
}

// epochStep runs a bit of a step that only checkpoints have.
func (m *mainThread) epochStep(s step) outcome {
	v := m.v
	c := &v.ckpt
	switch s {
	case stepStage:
		return m.stagePages()
	case stepEpochState:
		c.state = v.Checkpoint.Backup.Save(m.kt)
	case stepSendEpoch:
		m.sendEpoch()
	case stepCommit:
		if c.pending {
			m.why = WaitPeer
			return parked
		}
	case stepSyncCommit:
		if v.Checkpoint.Sync && c.pending {
			m.why = WaitPeer
			return parked
		}
	case stepEpochEnd:
		m.epochEnd()
	case stepCount:
		v.countPages(m.now())
	}
	return finished
}

// stagePages copies the pages of the epoch aside.
func (m *mainThread) stagePages() outcome {
	v := m.v
	for ; m.slot < len(v.slots); m.slot++ {
		s := &v.slots[m.slot]
		w, b, ok := s.send.next(m.page / 64)
		if !ok {
			m.page = 0
			continue
		}
		page := w*64 + uint64(bits.TrailingZeros64(b))
		s.send.remove(page)
		m.page = page
		m.stagePage(s, page)
		return working
	}
	return finished
}

func (m *mainThread) stagePage(s *slot, page uint64) {
	v := m.v
	g := v.Host.Page
	gfn := s.base + mmu.GFN(page)
	v.Stats.PagesSent++
	m.delay(uint64(v.Costs.CopyPage)<<(g.Shift()-mmu.FrameShift), kvmcore.CauseCopy)
	v.ckpt.staged = append(v.ckpt.staged, gfn)
	src, ok := v.Host.Memory.PFN(s.hva + mmu.HVA(page<<g.Shift()))
	if !ok {
		v.Stats.UntouchedSent++
		return
	}
	if v.Audit != nil {
		v.Audit.Collect(gfn, src, m.now())
	}
	v.eachFrame(gfn, func(f, at mmu.PFN) { v.ckpt.stage.CopyFrame(at, v.Host.Machine.Mem, src+f) })
}

// eachFrame calls f for the frames of a page: their number and their place in
// memory that is laid out as the guest's.
func (v *VMM) eachFrame(gfn mmu.GFN, f func(i, at mmu.PFN)) {
	first := mmu.PFN(v.Host.Page.IPA(gfn) >> mmu.FrameShift)
	for i := range mmu.PFN(v.Host.Page.Size() >> mmu.FrameShift) {
		f(i, first+i)
	}
}

// sendEpoch hands the staged epoch over to the link.
func (m *mainThread) sendEpoch() {
	v := m.v
	s, c := v.Checkpoint, &v.ckpt
	n := uint64(len(c.staged))
	bytes := n*(v.Host.Page.Size()+uint64(s.Link.Header)) + uint64(len(c.state))
	c.link.put(&s.Link, s.Hz, bytes, m.now())
	c.pending = true
	s.Backup.schedule(c.link.free+s.Link.Latency, eventCommit)
	if len(c.Epochs) < maxEpochs {
		c.Epochs = append(c.Epochs, Epoch{Began: c.began, Paused: m.scriptBegan, Pages: n, Bytes: bytes, ByPages: c.due})
	}
	c.Count++
	c.Pages += n
	c.PerEpoch.Add(n)
	if c.due && n > s.Pages {
		c.Overshoot = max(c.Overshoot, n-s.Pages)
	}
	c.due = false
}

// epochEnd notes how long the VM stood still.
func (m *mainThread) epochEnd() {
	c := &m.v.ckpt
	c.Pause.Add(uint64(m.now() - m.scriptBegan))
	if n := len(c.Epochs); n > 0 && uint64(n) == c.Count {
		c.Epochs[n-1].Resumed = m.now()
	}
	c.began, c.next = m.now(), after(m.now(), m.v.Checkpoint.Epoch)
}

// epochTook adds the time of a step to its part of the pause.
func (c *checkpoint) epochTook(s step, n sim.Cycle) {
	part := NumEpochParts
	switch s {
	case stepPause:
		part = EpochStop
	case stepSave:
		part = EpochSave
	case stepReap:
		part = EpochHarvest
	case stepGet:
		part = EpochScan
	case stepStage:
		part = EpochCopy
	case stepEpochState:
		part = EpochDevice
	case stepSyncCommit:
		part = EpochWait
	default:
		return
	}
	c.Parts[part] += uint64(n)
}

// commit makes the epoch that has arrived the one that the backup would go on from.
func (d *Incoming) commit(at sim.Cycle) {
	v := d.from
	c := &v.ckpt
	if c.dead {
		return
	}
	for _, gfn := range c.staged {
		v.eachFrame(gfn, func(_, frame mmu.PFN) { v.Dest.CopyFrame(frame, c.stage, frame) })
	}
	d.state, d.loaded = c.state, true
	if d.Committed != nil {
		d.Committed()
	}
	c.staged, c.state, c.pending = c.staged[:0], "", false
	c.Commits++
	if n := len(c.Epochs); n > 0 && uint64(n) == c.Count {
		e := &c.Epochs[n-1]
		e.Committed = at
		c.Output.Add(uint64(at - e.Began))
	}
	m := &v.main
	if m.why == WaitPeer && !m.set {
		m.schedule(max(m.now(), at+v.Checkpoint.Link.Latency))
	}
}

// die is the death of the primary: nothing of it runs any more. The backup goes on
// from the last epoch that it has whole, if there is one.
func (d *Incoming) die(at sim.Cycle) {
	v := d.from
	if v.done {
		return
	}
	v.ckpt.dead = true
	v.stopped, v.ended, v.done = at, at, true
	if !d.loaded {
		v.Engine.Stop()
		return
	}
	d.schedule(at+v.Checkpoint.Detect, eventTakeOver)
}

// takeOver loads the last epoch and runs it.
func (d *Incoming) takeOver(at sim.Cycle) {
	kt := d.VMM.main.kt
	d.Began = at
	if !d.Load(kt, d.state) {
		d.Failed = true
		d.from.Engine.Stop()
		return
	}
	d.Took = kt.Core.Now - at
	if d.Run != nil {
		d.Run()
	}
	d.VMM.Until = d.until(at)
	d.VMM.Start()
}

// Dead tells whether the primary died, and Took whether the backup went on.
func (v *VMM) Dead() bool { return v.ckpt.dead }

// TookOver tells whether the backup runs the VM.
func (v *VMM) TookOver() bool {
	return v.ckpt.dead && v.Checkpoint.Backup.loaded && !v.Checkpoint.Backup.Failed
}

// Epochs are the checkpoints so far.
func (v *VMM) Epochs() []Epoch { return v.ckpt.Epochs }

func (v *VMM) registerEpochs(s *sim.Stats) {
	c := &v.ckpt
	s.Counter("epoch.count", "", "checkpoints taken", &c.Count)
	s.Counter("epoch.commits", "", "of these: complete at the backup", &c.Commits)
	s.Counter("epoch.bytes", "bytes", "handed over to the link", &c.link.Bytes)
	s.Counter("epoch.overshoot_pages", "pages", "most pages of an epoch beyond checkpoint.pages", &c.Overshoot)
	s.Histogram("epoch.pages", "pages", "of an epoch", &c.PerEpoch)
	s.Histogram("epoch.pause_cycles", "cycles", "the VM stood still for an epoch", &c.Pause)
	s.Histogram("epoch.output_cycles", "cycles", "from the start of an epoch to its commit: how long output waits at most", &c.Output)
	for p := range NumEpochParts {
		s.Counter("epoch."+p.String()+"_cycles", "cycles", epochPartTexts[p], &c.Parts[p])
	}
}

func (c *checkpoint) sync(k *sim.Codec) {
	k.Tag("checkpoint")
	c.link.sync(k)
	c.stage.Sync(k)
	sim.Slice(k, &c.staged, func(k *sim.Codec, g *mmu.GFN) { sim.Uint(k, g) })
	k.Str(&c.state)
	k.Bool(&c.pending)
	k.Bool(&c.dead)
	k.Bool(&c.due)
	sim.Uint(k, &c.next)
	sim.Uint(k, &c.began)
	sim.Slice(k, &c.Epochs, func(k *sim.Codec, e *Epoch) {
		sim.Uint(k, &e.Began)
		sim.Uint(k, &e.Paused)
		sim.Uint(k, &e.Resumed)
		sim.Uint(k, &e.Committed)
		k.U64(&e.Pages)
		k.U64(&e.Bytes)
		k.Bool(&e.ByPages)
	})
	for _, n := range []*uint64{&c.Count, &c.Commits, &c.Pages, &c.Overshoot} {
		k.U64(n)
	}
	for p := range c.Parts {
		k.U64(&c.Parts[p])
	}
	c.Pause.Sync(k)
	c.PerEpoch.Sync(k)
	c.Output.Sync(k)
}
