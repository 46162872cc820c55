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
// Every thread has a core of its own and is one component of the simulation. It
// runs until its core has caught up with the next event of anybody else, or to
// the end of the quantum. Sources: QEMU accel/kvm/kvm-all.c (kvm_dirty_ring_reap,
// kvm_log_sync_global, kvm_log_clear_one_slot), migration/ram.c, and the
// reference selftest dirty_log_test.c.
package vmm

import (
	"fmt"

	"ringmap/cpu"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Tracking is how the VMM learns which pages are dirty. The builder enables the
// capabilities that go with it before the VM's first slot and vCPU.
type Tracking uint8

const (
	TrackOff        Tracking = iota // no logging: the baseline of a slowdown
	TrackBitmap                     // KVM_GET_DIRTY_LOG, which clears and protects
	TrackClearLog                   // GET, then KVM_CLEAR_DIRTY_LOG before pages are sent (manual protect)
	TrackRing                       // dirty rings alone
	TrackRingBitmap                 // dirty rings, and the backup bitmap at the very end
	numTrackings
)

var trackingNames = [numTrackings]string{"off", "bitmap", "clear-log", "ring", "ring+bitmap"}

// String returns the name that scenario files use.
func (t Tracking) String() string { return trackingNames[t] }

// Trackings lists the names that ParseTracking accepts.
func Trackings() []string { return trackingNames[:] }

// ParseTracking returns the tracking of that name.
func ParseTracking(name string) (Tracking, bool) {
	for t, n := range trackingNames {
		if n == name {
			return Tracking(t), true
		}
	}
	return 0, false
}

// UsesRing tells whether records come through dirty rings.
func (t Tracking) UsesRing() bool { return t == TrackRing || t == TrackRingBitmap }

// UsesBitmap tells whether records come through memslot bitmaps in every round.
func (t Tracking) UsesBitmap() bool { return t == TrackBitmap || t == TrackClearLog }

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

	SaveEvery  sim.Cycle // pause the vCPUs and save the device tables this often; 0 = only at the end
	ClearShift uint8     // log2 pages of a KVM_CLEAR_DIRTY_LOG chunk; 0 = DefaultClearShift

	Quantum sim.Cycle // how far cores run ahead of each other; 0 = DefaultQuantum
	Costs   Costs
}

// Costs are the instruction overheads of userspace, in cycles. Ring entries are
// real loads and stores on top.
type Costs struct {
	Entry    uint32 // one ring entry: slot lookup, staging bit
	Word     uint32 // one bitmap word looked at
	CopyPage uint32 // read one 4 KiB frame and hand it to the transport
	Lock     uint32 // take or release the big lock without contention
	Kick     uint32 // signal one vCPU thread
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
	case s.Track.UsesRing() && s.Policy.Name == "":
		return fmt.Errorf("vmm: tracking %s needs a harvest policy", s.Track)
	case s.Track.UsesRing() && s.Policy.OnFull == FullWait && s.Period == 0:
		return fmt.Errorf("vmm: harvest policy %s needs a period: nobody else drains a full ring", s.Policy.Name)
	}
	return nil
}

// Audit is told about collections as they happen. bench/audit is one.
type Audit interface {
	Open(now sim.Cycle)                              // a collection begins
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

	Main  *kvmcore.Thread
	main  mainThread
	vcpus []vcpuThread
	owner []int32 // Thread.ID -> index in vcpus, ownerMain, or ownerNone

	slots   []slot // userspace's own table, ascending slot id
	slotOf  []int16
	big     bigLock
	running int // vCPU threads that have not stopped, ended or parked for good
	started sim.Cycle
	stopped sim.Cycle // when the last vCPU stopped before the final collection
	ended   sim.Cycle

	Stats    Stats
	Findings []Finding
}

// New connects a VMM. The VM's slots and vCPUs must exist; logging may be on or
// off: the main thread turns it on first thing.
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
	return &VMM{Spec: spec, Wiring: w}, nil
}

// Start schedules every thread at the engine's present cycle.
func (v *VMM) Start() {}

// Done tells whether the final sequence is over.
func (v *VMM) Done() bool { return v.ended != 0 }

// RunTime is how long the guest ran: from Start until its last vCPU ended or
// was stopped for the final collection.
func (v *VMM) RunTime() sim.Cycle { return v.stopped - v.started }

// Downtime is how long the VM stood still at the end.
func (v *VMM) Downtime() sim.Cycle { return v.ended - v.stopped }
