package kvmcore

import (
	"ringmap/cpu"
	"ringmap/mmu"
	"ringmap/sim"
)

// Status is what one step of a thread came to.
type Status uint8

const (
	Running Status = iota // one block executed, more to do
	Done                  // the thread has nothing to do: Ret and Err are set
	Blocked               // waits for a Lock; the unlocker appends it to Host.Woken
)

// Cause is what a thread spent cycles on: a closed set, so that a run can say
// where its time went.
type Cause uint8

const (
	CauseGuest    Cause = iota // guest instructions
	CauseWalk                  // TLB misses: table walks
	CauseFault                 // stage-2 faults: trap, lookup, map or relax
	CauseMark                  // recording a dirty page in ring or bitmap
	CauseExit                  // KVM_RUN: world switch, exits to userspace, MMIO
	CauseLockWait              // blocked on a lock
	CauseReset                 // KVM_RESET_DIRTY_RINGS
	CauseGet                   // KVM_GET_DIRTY_LOG
	CauseClear                 // KVM_CLEAR_DIRTY_LOG
	CauseProtect               // enabling logging: write-protect and eager split
	CauseSteal                 // stolen-time records
	CauseSave                  // kernel writes of guest memory: ITS and pending tables
	CauseHarvest               // userspace walking rings and bitmaps
	CauseCopy                  // userspace copying pages
	CauseIdle                  // guest idle, vCPU sleeping
	NumCauses
)

// pathID names a kernel path on a thread's stack.
type pathID uint8

const (
	pathNone pathID = iota
)

// pathDepth is the deepest nesting of paths: run > fault > mark > push.
const pathDepth = 6

// Thread is a host thread: what runs kernel paths on a core. It belongs to one
// VM at a time: that of its running path or loaded vCPU.
type Thread struct {
	ID   int
	Name string
	Host *Host
	Core *cpu.Core
	VCPU *VCPU // the vCPU loaded on this thread's CPU; nil = "no running vCPU"

	Ret int64 // result of the last path: the ioctl's value, -1 on error
	Err Errno // and its errno

	Signal bool // a signal is pending: KVM_RUN and resets return EINTR

	Block  mmu.Block         // the program of the current step
	Cycles [NumCauses]uint64 // where this thread's time went

	stack  [pathDepth]pathID
	causes [pathDepth]Cause
	depth  int
}

// NewThread makes a host thread that runs on core.
func (h *Host) NewThread(core *cpu.Core, name string) *Thread {
	t := &Thread{ID: len(h.threads), Name: name, Host: h, Core: core}
	h.threads = append(h.threads, t)
	return t
}

// Exec runs the thread's block on its core and books the cycles under cause.
// Userspace programs use it too: fill t.Block, Exec, read t.Block.Out.
func (t *Thread) Exec(cause Cause) {
	before := t.Core.Now
	t.Core.Exec(&t.Block)
	t.Cycles[cause] += uint64(t.Core.Now - before)
}

// Step runs one block of the thread's innermost path.
func (t *Thread) Step() Status { return Done }

// Finish steps until nothing is left to do, for callers without time. A thread
// that blocks then waits for a lock that nobody can release: a programming error.
func (t *Thread) Finish() {}

// StartReset begins KVM_RESET_DIRTY_RINGS: Ret = entries reset.
func (t *Thread) StartReset(vm *VM) {}

// StartGetDirtyLog begins KVM_GET_DIRTY_LOG of slot (as_id<<16 | id). out gets
// the non-zero words; nil stands for a bad pointer and gives EFAULT.
func (t *Thread) StartGetDirtyLog(vm *VM, slot uint32, out *DirtyLog) {}

// StartClearDirtyLog begins KVM_CLEAR_DIRTY_LOG of num pages from first. bits
// holds the non-zero words relative to first; nil stands for a bad pointer.
func (t *Thread) StartClearDirtyLog(vm *VM, slot uint32, first uint64, num uint32, bits *DirtyLog) {}

// StartEnableLogging begins what kvm_arch_commit_memory_region does to stage 2
// when slot has LOG_DIRTY: write-protect, flush, eager split. The memslot ioctl
// calls it after the new slot is in place.
func (t *Thread) StartEnableLogging(vm *VM, slot *Slot) {}

// Sync saves, restores or hashes the thread in the middle of whatever it does.
func (t *Thread) Sync(c *sim.Codec) {}
