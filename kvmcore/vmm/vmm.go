// Package vmm is the modelled userspace of a VM: the threads that run its vCPUs
// and the one that harvests dirty pages, sends them to a destination and at the
// end brings the VM over.
//
//	vCPU threads (agents.go)              main thread (collect.go)
//	KVM_RUN ─► exit ─► ring full?         sleep ─► round ─► … ─► final
//	              │                                  │
//	              └── policy: own, all, wait         ├─ reap: harvest rings, RESET (reap.go)
//	                      │                          ├─ GET [CLEAR] (collect.go)
//	                      ▼                          └─ copy pages (copy.go)
//	                   staging bitmap ──merge──► pages to send ──► destination
//
// The order that everything hangs on: a page's record is taken and the page is
// protected again (RESET, GET or CLEAR) before its bytes are read.
//
// Every thread has a core of its own, unless Spec.CPUs makes them share cores
// (sched.go), and is one component of the simulation. It runs until its core has
// caught up with the next event of anybody else, or to the end of the quantum.
// Sources: QEMU accel/kvm/kvm-all.c (kvm_dirty_ring_reap,
// kvm_log_sync_global, kvm_log_clear_one_slot), migration/ram.c, and the
// reference selftest dirty_log_test.c.
package vmm

import (
	"cmp"
	"fmt"
	"slices"

	"ringmap/cpu"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// CollectOrder is when the final collection happens.
type CollectOrder uint8

const (
	CollectAfterSave  CollectOrder = iota // the rule: the bitmap is collected last
	CollectBeforeSave                     // the mistake: what the save writes stays behind
)

// String returns the name that scenario files use.
func (c CollectOrder) String() string {
	return [...]string{"after-save", "before-save"}[c]
}

// Spec is what the VMM does. All times are cycles of the host clock.
type Spec struct {
	Track   Tracking
	Policy  Policy       // who drains a full ring; only with rings
	Period  sim.Cycle    // from one collection round to the next; 0 = none before the final one
	Until   sim.Cycle    // fixed time: stop the vCPUs then; 0 = fixed work: when all have ended
	Collect CollectOrder // place of the final collection

	Migrate    *MigrateSpec    // a migration instead of rounds; nil = none
	Checkpoint *CheckpointSpec // checkpoints instead of rounds; nil = none

	Input Input // typed at a guest's console

	SaveEvery  sim.Cycle // pause the vCPUs and save the device tables this often; 0 = only at the end
	ClearShift uint8     // log2 pages of a KVM_CLEAR_DIRTY_LOG chunk; 0 = DefaultClearShift

	CPUs     HostCPUs // what the threads run on
	RingMax  uint32   // entries up to which a vCPU's ring doubles each time it was full; 0 = it never grows
	Mistake  Mistake
	Edits    uint32 // ring entries that a hostile userspace changes before each reset, in millionths of those harvested
	EditSeed uint64 // of the edits

	Quantum sim.Cycle // how far cores run ahead of each other; 0 = DefaultQuantum
	Costs   Costs     // zero value = those that go with the host's profile
}

// DefaultClearShift is QEMU's clear-bitmap chunk of 2^18 pages: 1 GiB of 4 KiB pages.
// CLEAR is issued the first time a page of a chunk is sent. migration/ram.c.
const DefaultClearShift = 18

// DefaultQuantum is the default of Spec.Quantum.
const DefaultQuantum sim.Cycle = 10_000

// Validate reports what is wrong with the Spec.
func (s *Spec) Validate() error {
	switch {
	case s.Track >= numTrackings:
		return fmt.Errorf("vmm: unknown tracking %d", s.Track)
	case s.ClearShift != 0 && (s.ClearShift < 6 || s.ClearShift > 31):
		return fmt.Errorf("vmm: a clear chunk of 2^%d pages: the shift is 6 to 31", s.ClearShift)
	case s.CPUs.Cores < 0 || s.CPUs.Cores > MaxHostCPUs:
		return fmt.Errorf("vmm: %d host cores: use 0 to %d", s.CPUs.Cores, MaxHostCPUs)
	case s.CPUs.Cores != 0 && s.CPUs.Slice == 0:
		return fmt.Errorf("vmm: threads that share cores need a time slice")
	case s.Mistake >= numMistakes:
		return fmt.Errorf("vmm: unknown mistake %d", s.Mistake)
	case s.Edits > MaxEdits:
		return fmt.Errorf("vmm: %d edits a million entries: the most is %d", s.Edits, MaxEdits)
	case s.RingMax > kvmcore.RingMaxEntries:
		return fmt.Errorf("vmm: rings grow to at most %d entries, not %d", kvmcore.RingMaxEntries, s.RingMax)
	case s.Track.UsesRing() && s.Policy.Name == "":
		return fmt.Errorf("vmm: tracking %s needs a harvest policy", s.Track)
	case s.Migrate != nil && s.Checkpoint != nil:
		return fmt.Errorf("vmm: a migration or checkpoints, not both")
	case s.Checkpoint != nil && s.Checkpoint.Validate(s.Track) != nil:
		return s.Checkpoint.Validate(s.Track)
	case s.Migrate != nil && s.Migrate.Validate(s.Track) != nil:
		return s.Migrate.Validate(s.Track)
	case s.Track.UsesRing() && s.Policy.OnFull == FullWait && s.Period == 0:
		return fmt.Errorf("vmm: harvest policy %s needs a period: nobody else drains a full ring", s.Policy.Name)
	}
	return nil
}

// MaxEdits is an edit for every harvested entry.
const MaxEdits = 1_000_000

// Audit is told about collections as they happen. bench/audit is one.
type Audit interface {
	Open(now sim.Cycle)                              // a collection begins, or the open one looks again
	Collect(gfn mmu.GFN, src mmu.PFN, now sim.Cycle) // this page is about to be copied
	Close(now sim.Cycle)                             // the collection has copied its last page
}

// Wiring is what the VMM is connected to.
type Wiring struct {
	Engine *sim.Engine
	Host   *kvmcore.Host
	VM     *kvmcore.VM // with its slots; every vCPU has its Thread and its Guest
	Core   *cpu.Core   // of the main thread
	Dest   *mmu.Memory // destination guest memory: frame number = guest address >> mmu.FrameShift

	Audit Audit                                 // nil = none
	Save  func(t *kvmcore.Thread) kvmcore.Errno // saves ITS and pending tables with all vCPUs stopped; nil = nothing to save
}

// VMM is the userspace of one VM.
type VMM struct {
	Spec
	Wiring

	main    mainThread
	vcpus   []vcpuThread    // in the order of VM.VCPUs
	threads []*thread       // by Thread.ID, nil = somebody else's
	foreign []foreignThread // by Thread.ID: see Adopt

	UART     UART // console of a guest that executes machine code
	typist   sim.ComponentID
	incoming bool // the VM comes from another host

	slots     []slot  // userspace's own table, ascending slot id
	slotOf    []int16 // slot id -> index in slots + 1, 0 = unknown
	big       bigLock
	fetch     []uint32    // by vCPU, then the VM's ring: free-running harvest position
	harvested []uint64    // the same: entries ever harvested (CPUState.dirty_pages)
	pauser    *vcpuThread // policy pause-all: who has stopped the others, nil = nobody
	editor    editor

	sched       scheduler
	firstThread int32 // Thread.ID of vCPU 0; the others follow

	live    int  // vCPUs whose guest still has something to do
	inside  int  // vCPU threads that are not stopped
	pausing bool // vCPU threads must stop instead of entering KVM_RUN

	started sim.Cycle // the vCPUs were let go
	stopped sim.Cycle // the last vCPU had ended or was stopped for the final collection
	ended   sim.Cycle // the final sequence is over
	done    bool

	Stats    Stats
	Findings []Finding

	mig       migration
	ckpt      checkpoint
	occasions uint64          // for a mistake
	ticker    sim.ComponentID // of auto-converge's timer
}

// New connects a VMM and registers its threads with the engine. The VM's slots
// and vCPUs must exist, and do not change afterwards; logging may be on or off:
// the main thread turns it on before it lets the vCPUs go.
func New(spec Spec, w Wiring) (*VMM, error) {
	if spec.ClearShift == 0 {
		spec.ClearShift = DefaultClearShift
	}
	if spec.Quantum == 0 {
		spec.Quantum = DefaultQuantum
	}
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if p := w.Host.Profile; p != nil && spec.Costs == (Costs{}) {
		var err error
		if spec.Costs, err = LoadCosts(p.Name); err != nil {
			return nil, err
		}
	}
	if (w.VM.RingSize != 0) != spec.Track.UsesRing() && spec.Track != TrackOff {
		return nil, fmt.Errorf("vmm: tracking %s, but the VM's dirty ring has %d bytes", spec.Track, w.VM.RingSize)
	}
	v := &VMM{Spec: spec, Wiring: w}
	v.addSlots()
	v.vcpus = make([]vcpuThread, len(w.VM.VCPUs))
	v.fetch = make([]uint32, w.VM.Rings())
	for i := range v.fetch { // another VMM may have drained them before
		v.fetch[i] = w.VM.Ring(i).ResetIndex
	}
	v.harvested = make([]uint64, w.VM.Rings())
	v.editor.rand = sim.NewStream(spec.EditSeed, "ring edits")
	for i, vcpu := range w.VM.VCPUs {
		c := &v.vcpus[i]
		c.index, c.vcpu = i, vcpu
		v.addThread(&c.thread, vcpu.Thread, w.Engine.Register(fmt.Sprintf("vcpu.%d", i), c))
	}
	kt := w.Host.NewThread(w.Core, "vmm")
	v.addThread(&v.main.thread, kt, w.Engine.Register("vmm", &v.main))
	if len(v.vcpus) != 0 {
		v.firstThread = int32(w.VM.VCPUs[0].Thread.ID)
	}
	v.UART.reset()
	if v.UART.input = spec.Input.Text; len(v.UART.input) != 0 {
		w.VM.Program.Awaited = true
		v.typist = w.Engine.Register("typist", &typist{v})
	}
	v.initScheduler()
	v.live, v.inside = len(v.vcpus), len(v.vcpus)
	if spec.Checkpoint != nil {
		v.ckpt.stage = mmu.NewMemory()
		spec.Checkpoint.Backup.connect(v)
	}
	if spec.Migrate != nil {
		v.ticker = w.Engine.Register("throttle", &ticker{v})
		if d := spec.Migrate.Destination; d != nil {
			d.connect(v)
		}
	}
	return v, nil
}

func (v *VMM) addThread(t *thread, kt *kvmcore.Thread, comp sim.ComponentID) {
	t.v, t.kt, t.comp = v, kt, comp
	for len(v.threads) <= kt.ID {
		v.threads = append(v.threads, nil)
	}
	v.threads[kt.ID] = t
}

func (v *VMM) addSlots() {
	for _, s := range v.VM.Slots.All() {
		v.slots = append(v.slots, slot{id: s.ID, base: s.Base, pages: s.Pages, hva: s.HVA})
	}
	slices.SortFunc(v.slots, func(a, b slot) int { return cmp.Compare(a.id, b.id) })
	for i := range v.slots {
		s := &v.slots[i]
		s.index = i
		s.staged, s.send = newPageSet(s.pages), newPageSet(s.pages)
		s.toClear = newPageSet(s.pages>>v.ClearShift + 1)
		for len(v.slotOf) <= int(s.id) {
			v.slotOf = append(v.slotOf, 0)
		}
		v.slotOf[s.id] = int16(i + 1)
	}
}

// Start schedules the main thread at the engine's present cycle. It turns logging
// on, copies what memory holds by then, and lets the vCPUs go.
func (v *VMM) Start() { v.main.schedule(v.main.now()) }

// Done tells whether the final sequence is over.
func (v *VMM) Done() bool { return v.done }

// RunTime is how long the guest ran: from the start of its vCPUs until the last
// had ended or was stopped for the final collection.
func (v *VMM) RunTime() sim.Cycle { return v.stopped - v.started }

// VCPUTime is how long that vCPU ran: until its guest had ended or was stopped.
func (v *VMM) VCPUTime(i int) sim.Cycle {
	return v.vcpus[i].StoppedAt - min(v.started, v.vcpus[i].StoppedAt)
}

// Downtime is how long the VM stood still at the end.
func (v *VMM) Downtime() sim.Cycle { return v.ended - v.stopped }

// Main is the kernel side of the main thread.
func (v *VMM) Main() *kvmcore.Thread { return v.main.kt }

// Finding is something that a real VMM would have died of, or should have.
type Finding struct {
	At   sim.Cycle
	Kind FindingKind
	VCPU int32 // index of the vCPU, 0 for findings of the main thread
	A, B uint64
}

// FindingKind is a closed set.
type FindingKind uint8

const (
	FindingResetCount   FindingKind = iota // A entries harvested, B reset: QEMU's assertion fails
	FindingRunFailed                       // KVM_RUN returned errno A
	FindingEnableFailed                    // logging of slot A could not be turned on: errno B
	FindingGetFailed                       // KVM_GET_DIRTY_LOG of slot A: errno B
	FindingClearFailed                     // KVM_CLEAR_DIRTY_LOG of slot A: errno B
	FindingCrash                           // the kernel crashed while it saved device tables
	FindingSaveFailed                      // saving device tables: errno A
	FindingStuck                           // a vCPU's ring is full and nothing of it can be harvested
	FindingResizeFailed                    // a vCPU's ring could not be given another size: errno A
	numFindings
)

// String describes the finding in a sentence without its time.
func (f Finding) String() string {
	a, b := kvmcore.Errno(f.A), kvmcore.Errno(f.B)
	switch f.Kind {
	case FindingResetCount:
		return fmt.Sprintf("KVM_RESET_DIRTY_RINGS returned %d, harvested were %d entries", f.B, f.A)
	case FindingRunFailed:
		return fmt.Sprintf("KVM_RUN of vCPU %d failed: %v", f.VCPU, a)
	case FindingEnableFailed:
		return fmt.Sprintf("logging of slot %d could not be turned on: %v", f.A, b)
	case FindingGetFailed:
		return fmt.Sprintf("KVM_GET_DIRTY_LOG of slot %d failed: %v", f.A, b)
	case FindingCrash:
		return "the kernel crashed while it saved the device tables"
	case FindingClearFailed:
		return fmt.Sprintf("KVM_CLEAR_DIRTY_LOG of slot %d failed: %v", f.A, b)
	}
	if f.Kind == FindingStuck {
		return fmt.Sprintf("the ring of vCPU %d is full and nothing of it can be harvested: the vCPU is stopped", f.VCPU)
	}
	if f.Kind == FindingResizeFailed {
		return fmt.Sprintf("the ring of vCPU %d could not grow: %v", f.VCPU, a)
	}
	return fmt.Sprintf("saving the device tables failed: %v", a)
}

// maxFindings bounds the list; the count in Stats goes on.
const maxFindings = 1000

func (v *VMM) find(f Finding) {
	v.Stats.Findings++
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, f)
	}
}
