package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Exit reasons of KVM_RUN. include/uapi/linux/kvm.h.
const (
	ExitUnknown       = 0
	ExitMMIO          = 6
	ExitIntr          = 10
	ExitDirtyRingFull = 31
)

// Requests of a vCPU (KVM_REQ_*), as bits of VCPU.Requests.
const (
	ReqVMDead            uint32 = 1 << 1
	ReqDirtyRingSoftFull uint32 = 1 << 3
	ReqRecordSteal       uint32 = 1 << 11 // KVM_REQ_RECORD_STEAL = KVM_ARCH_REQ(3)
)

// KVMRun is struct kvm_run as userspace sees it, with the result of KVM_RUN.
type KVMRun struct {
	ImmediateExit bool
	ExitReason    uint32
	MMIO          MMIOExit
	Ret           int64 // of the last KVM_RUN: 0, or -1 with Errno
	Errno         Errno
}

// MMIOExit is kvm_run.mmio: an access that userspace has to emulate. For a read
// userspace stores Data before the next KVM_RUN, which completes it.
type MMIOExit struct {
	Addr  mmu.IPA
	Data  uint64
	Len   uint8
	Write bool
}

// RunState is why Continue returned.
type RunState uint8

const (
	RunLimit   RunState = iota // the core reached the limit
	RunFault                   // a kernel path is about to start: reorder by time, then call again
	RunExit                    // KVM_RUN returned: see VCPU.Run
	RunBlocked                 // waits for a lock
	RunIdle                    // the stream has nothing now
	RunEnd                     // the workload is finished
)

// cursorBatch is how many accesses one Fill brings.
const cursorBatch = 64

// GuestCursor is where a vCPU stands in its stream of accesses.
type GuestCursor struct {
	buf    [cursorBatch]GuestAccess
	pos, n int
	loaded uint64 // last loaded value, for GuestStoreLoaded
	ended  bool
}

// Enter begins KVM_RUN on the vCPU's thread; Continue runs it. What happens
// inside follows kvm_arch_vcpu_ioctl_run.
func (v *VCPU) Enter() {}

// Continue runs the vCPU's guest and kernel paths until its core reaches limit
// or something of RunState happens.
func (v *VCPU) Continue(limit sim.Cycle) RunState { return RunIdle }

// initRun prepares what KVM_CREATE_VCPU leaves to the run loop: no stolen-time
// page, the first exit reason KVM_EXIT_UNKNOWN, and a thread on core.
func (v *VCPU) initRun(t *Thread) {}

// Kick makes the vCPU leave its guest with EINTR, as a signal to its thread does.
func (v *VCPU) Kick() {}

// RunNow is the ioctl without time: Enter and Continue until KVM_RUN returns
// (RunExit), or the guest has nothing to do (RunIdle, RunEnd).
func (v *VCPU) RunNow() RunState { return RunIdle }
