// Package kvmcore is the modelled arm64 KVM: VMs, vCPUs, memslots, host
// memory, capabilities, dirty rings, dirty bitmaps, stage-2 faults and exits.
//
//	guest store ─► TLB/stage 2 ─permission─► user_mem_abort (fault.go)
//	                                              │
//	kernel write (ITS, pending tables) ──────────►│
//	                                     markPageDirtyInSlot (dirty.go)
//	                                      │            │           │
//	                                 vCPU's ring   slot bitmap    lost
//
// The designs that were only argued about stand beside that decision, one file
// each: policy_*.go, kick_*.go, layout_*.go.
//
// Every path that takes time is a resumable state machine that hands the core
// short micro-op programs (thread.go). Sources: virt/kvm/kvm_main.c,
// virt/kvm/dirty_ring.c, arch/arm64/kvm/{arm,mmu}.c and the recordings of real
// kernels under bench/conform/testdata.
package kvmcore

import (
	"ringmap/cpu"
	"ringmap/mmu"
	"ringmap/sim"
)

// Host is one modelled arm64 machine that runs one Linux with KVM.
type Host struct {
	Machine *cpu.Machine
	Kernel  Kernel      // version and hazards
	Profile *Profile    // instruction overheads, with their sources
	Memory  *HostMemory // the VMM process's address space and the page allocator
	Page    mmu.Granule // host page size

	Warned map[string]bool // functions that warned once (WARN_ON_ONCE), by name
	Warns  []string        // the same in order of first warning

	Losses []Loss   // records that the kernel lost, with their cause
	Story  *Story   // narration of one watched page, nil when nobody asks
	Stats  KVMStats // host-wide counters
	Woken  []*Thread
	Kicked []Kicked // vCPUs that the kernel kicked out of their guest: userspace's scheduler looks at them

	VMs     []*VM     // that exist, in order of creation
	threads []*Thread // by Thread.ID
	boot    *Thread   // runs the ioctls that are called without a thread
	probe   *Probe    // watches threads, nil when nobody does: see Attach
	vmids   uint16    // last VMID handed out
}

// Kicked is a vCPU that left its guest for a kick, and when it was kicked.
type Kicked struct {
	VCPU *VCPU
	At   sim.Cycle
}

// VM is one virtual machine: struct kvm.
type VM struct {
	Host   *Host
	VMID   uint16
	Stage2 mmu.Stage2

	RingSize       uint32 // bytes, 0 = dirty ring off (kvm->dirty_ring_size)
	RingWithBitmap bool   // KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP
	ManualProtect  uint64 // KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 args
	EagerSplit     uint64 // chunk bytes, 0 = off

	Slots   SlotTable
	VCPUs   []*VCPU // in order of creation: the index order of resets
	Devices []Device

	// Translations is how many translations the cache of each ITS keeps, set before
	// the first MSI; 0 = any number, as kernels since 6.10.
	Translations int

	Design   Design    // what Linux leaves no choice about; see SetDesign
	VMRing   Ring      // policies vmring: the ring that has no vCPU
	FullFlag mmu.PA    // policy ring-flagged-bitmap: the word that says that a ring was full
	Noticed  sim.Cycle // when the kernel noticed a lost record and said so, 0 = never

	SlotsLock Lock // mutex kvm->slots_lock
	MMULock   Lock // kvm->mmu_lock: exclusive before 6.2, reader-writer since

	Program Program // of vCPUs that execute machine code: see A64

	tableWriteInProgress bool // vgic dist->table_write_in_progress
	vgic                 *VGIC

	policy     *Policy
	vmRingLock spinLock
	nextKick   int // index of the vCPU whose turn it is to be kicked
}

// Device is a KVM device created on a VM (KVM_CREATE_DEVICE).
type Device interface {
	SetAttr(group uint32, attr uint64, size int, val uint64) Errno
	GetAttr(group uint32, attr uint64, size int) (uint64, Errno)
}

// Slot is one memslot: struct kvm_memory_slot.
type Slot struct {
	ID     uint16
	ASID   uint16 // address space, 0 on arm64
	Base   mmu.GFN
	Pages  uint64
	Flags  SlotFlags
	HVA    mmu.HVA
	Bitmap Bitmap // live half and scratch half; zero value = none
}

// SlotFlags are the KVM_MEM_* flags.
type SlotFlags uint32

const (
	SlotLogDirty  SlotFlags = 1 << 0 // KVM_MEM_LOG_DIRTY_PAGES
	SlotReadonly  SlotFlags = 1 << 1 // KVM_MEM_READONLY
	SlotGuestMemF SlotFlags = 1 << 2 // KVM_MEM_GUEST_MEMFD
)

// VCPU is one virtual CPU: struct kvm_vcpu, with its dirty ring.
type VCPU struct {
	VM     *VM
	ID     uint32 // as given to KVM_CREATE_VCPU
	Index  int    // order of creation
	Ring   Ring
	Thread *Thread // the host thread that runs it
	Guest  Stream  // the guest's accesses
	A64    *A64    // machine code that it executes instead, or nil
	// Horizon is the time of the next event of anybody else, for a guest of machine
	// code whose accesses have to come in the order of time. Set before Continue.
	Horizon sim.Cycle
	Run     KVMRun // struct kvm_run as userspace sees it

	Requests uint32 // KVM_REQ_* bits
	PVTime   PVTime // stolen-time page
	Cursor   GuestCursor
	ran      bool // it has entered KVM_RUN before: vcpu_has_run_once

	Stats VCPUStats
}
