package kvmcore

import (
	"fmt"
	"math/bits"

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
	CauseMemory                // guest accesses that wait for memory, where caches are modelled
	NumCauses
)

var causeNames = [NumCauses]string{
	"guest", "walk", "fault", "mark", "exit", "lock_wait", "reset", "get", "clear",
	"protect", "steal", "save", "harvest", "copy", "idle", "memory",
}

// String returns the cause's name in statistics.
func (c Cause) String() string { return causeNames[c] }

// pathID names a kernel path on a thread's stack.
type pathID uint8

const (
	pathNone    pathID = iota
	pathRun            // KVM_RUN
	pathFault          // a stage-2 abort of the guest
	pathMark           // mark_page_dirty_in_slot
	pathSteal          // kvm_update_stolen_time
	pathReset          // KVM_RESET_DIRTY_RINGS
	pathSpan           // kvm_arch_mmu_enable_log_dirty_pt_masked
	pathGet            // KVM_GET_DIRTY_LOG
	pathClear          // KVM_CLEAR_DIRTY_LOG
	pathLogging        // kvm_arch_commit_memory_region
	numPaths
)

// pathDepth is the deepest nesting of paths: run > fault > mark, with one to
// spare for a path that a kernel write opens inside.
const pathDepth = 4

// frame is one path on a thread's stack and how far it came.
type frame struct {
	path  pathID
	pc    uint8
	cause Cause // what its cycles are booked under
}

// Thread is a host thread: it runs kernel paths on a core, one at a time.
//
// A path is a struct of named locals below and a step function that looks at
// its pc, fills the thread's block with at most mmu.BlockOps micro-ops and sets
// the pc for the next step, which finds the loaded values in Block.Out. A path
// may call another one and goes on when that one has returned. Nothing else
// carries state, so a thread can be saved between any two steps.
type Thread struct {
	ID   int
	Name string
	Host *Host
	Core *cpu.Core
	VCPU *VCPU // the vCPU loaded on this thread's CPU; nil = "no running vCPU"

	Ret int64 // result of the last path: the ioctl's value, -1 on error
	Err Errno // and its errno

	kicked bool // an interrupt is on its way to take the core out of the guest
	Signal bool // a signal is pending: KVM_RUN and resets are interrupted

	Block  mmu.Block         // the program of the current step
	Cycles [NumCauses]uint64 // where this thread's time went

	caches    bool // are modelled
	vm        *VM  // of the path that runs
	stack     [pathDepth]frame
	depth     int
	waiting   *Lock
	waitSince sim.Cycle
	ran       int // micro-ops of the step before, whose values are in Block.Out
	seen      seen

	run     runPath
	fault   faultPath
	mark    markPath
	steal   stealPath
	reset   resetPath
	span    spanPath
	get     getPath
	clear   clearPath
	logging loggingPath
}

// NewThread makes a host thread that runs on core.
func (h *Host) NewThread(core *cpu.Core, name string) *Thread {
	t := &Thread{ID: len(h.threads), Name: name, Host: h, Core: core, caches: h.Machine.Caches != nil}
	h.threads = append(h.threads, t)
	return t
}

// Step runs one block of the thread's innermost path.
func (t *Thread) Step() Status {
	if t.waiting != nil {
		return Blocked
	}
	if t.depth == 0 {
		return Done
	}
	if t.Host.probe != nil {
		t.observe()
	}
	f := &t.stack[t.depth-1]
	cause := f.cause
	t.ran = t.Block.N
	t.Block.Reset()
	switch f.path {
	case pathRun:
		t.stepRun(f)
	case pathFault:
		t.stepFault(f)
	case pathMark:
		t.stepMark(f)
	case pathSteal:
		t.stepSteal(f)
	case pathReset:
		t.stepReset(f)
	case pathSpan:
		t.stepSpan(f)
	case pathGet:
		t.stepGet(f)
	case pathClear:
		t.stepClear(f)
	case pathLogging:
		t.stepLogging(f)
	}
	if t.Block.N != 0 {
		t.Exec(cause)
	}
	if t.Host.probe != nil {
		t.observe()
	}
	switch {
	case t.waiting != nil:
		return Blocked
	case t.depth == 0:
		return Done
	}
	return Running
}

// Finish steps until nothing is left to do, for callers without time. A thread
// that blocks then waits for a lock that nobody can release: a programming error.
func (t *Thread) Finish() {
	for {
		switch t.Step() {
		case Done:
			return
		case Blocked:
			panic("kvmcore: " + t.Name + " blocks on a lock in a call without time")
		}
	}
}

// Exec runs the thread's block on its core and books the cycles under cause.
// Userspace programs use it too: fill t.Block, Exec, read t.Block.Out.
func (t *Thread) Exec(cause Cause) {
	t.Block.By = mmu.WriterKernel
	if t.VCPU != nil {
		t.Block.By = mmu.Writer(t.VCPU.Index)
	}
	before := t.Core.Now
	t.Core.Exec(&t.Block)
	t.Cycles[cause] += uint64(t.Core.Now - before)
}

// Stream reads n bytes from pa on as a copy does, where caches are modelled.
func (t *Thread) Stream(pa mmu.PA, n uint64, w mmu.What, cause Cause) {
	before := t.Core.Now
	t.Core.Stream(pa, n, w)
	t.Cycles[cause] += uint64(t.Core.Now - before)
}

// spend lets time pass on the thread's core without touching memory.
func (t *Thread) spend(n sim.Cycle, cause Cause) {
	t.Core.Now += n
	t.Cycles[cause] += uint64(n)
}

// Preempt prepares the thread for losing its core: false inside the kernel, where
// it keeps it. The timer's interrupt took a vCPU out of its guest, and the next
// time it is loaded stolen time is due: kvm_arch_vcpu_load.
func (t *Thread) Preempt() bool {
	switch {
	case t.depth == 0:
		return true
	case !t.inGuest():
		return false
	}
	t.kicked = true
	if t.VCPU.PVTime.IPA != PVTimeOff {
		t.VCPU.Requests |= ReqRecordSteal
	}
	return true
}

// Stolen tells that the thread was runnable for n cycles and had no core.
func (t *Thread) Stolen(n sim.Cycle) {
	if hz := t.Host.Profile.Hz; t.VCPU != nil && hz != 0 {
		t.VCPU.PVTime.Stolen += mulDivNS(uint64(n), hz)
	}
}

// mulDivNS is n cycles in nanoseconds.
func mulDivNS(n, hz uint64) uint64 {
	hi, lo := bits.Mul64(n, 1_000_000_000)
	q, _ := bits.Div64(hi%hz, lo, hz)
	return q
}

// Spins tells whether the thread waits for mmu_lock, which is not slept on.
func (t *Thread) Spins() bool { return t.waiting != nil && t.vm != nil && t.waiting == &t.vm.MMULock }

// FlushLocal drops the VM's translations from the core's TLB: __kvm_flush_cpu_context.
func (t *Thread) FlushLocal(vm *VM) {
	t.Core.TLB.InvalidateVMID(vm.VMID)
	t.Core.Stats.TLBILocal++
}

// Idle lets the thread sleep for n cycles, for programs of userspace that wait by
// themselves.
func (t *Thread) Idle(n sim.Cycle) { t.spend(n, CauseIdle) }

// start begins a path on an idle thread, as a system call does.
func (t *Thread) start(vm *VM, p pathID, cause Cause) {
	if t.depth != 0 {
		panic("kvmcore: " + t.Name + " begins a call inside another one")
	}
	if t.Host.probe != nil {
		t.observe()
	}
	t.vm, t.Ret, t.Err = vm, 0, OK
	t.push(p, cause)
}

// call opens a path inside the current one, which goes on when it has returned.
func (t *Thread) call(p pathID) { t.push(p, t.stack[t.depth-1].cause) }

func (t *Thread) push(p pathID, cause Cause) {
	t.stack[t.depth] = frame{path: p, cause: cause}
	t.depth++
}

// ret leaves the current path.
func (t *Thread) ret() { t.depth-- }

// leave ends a system call with its result; its last step must not call.
func (t *Thread) leave(ret int64, e Errno) {
	if e != OK {
		ret = -1
	}
	t.Ret, t.Err = ret, e
	t.ret()
}

// through runs the path on top of the stack until it has returned: for kernel
// code that is not a path itself, such as the interrupt controller's. The block
// is empty before and after.
func (t *Thread) through() {
	for d := t.depth; t.depth >= d; {
		if t.Step() == Blocked {
			panic("kvmcore: " + t.Name + " blocks where it must not")
		}
	}
	t.Block.Reset()
}

// stage2 is the table that a saved program edits, nil when no path runs.
func (vm *VM) stage2() *mmu.Stage2 {
	if vm == nil {
		return nil
	}
	return &vm.Stage2
}

// slotRef names a memslot across steps, during which it may be deleted.
type slotRef struct {
	id   uint16
	base mmu.GFN
	hva  mmu.HVA
	ok   bool
}

// set makes the reference name s, field by field in place: this is in the way of
// every record.
func (r *slotRef) set(s *Slot) {
	if r.ok = s != nil; r.ok {
		r.id, r.base, r.hva = s.ID, s.Base, s.HVA
	}
}

// slot resolves a reference: nil if that slot is gone, moved, or replaced.
func (vm *VM) slot(r *slotRef) *Slot {
	if !r.ok {
		return nil
	}
	s := vm.Slots.ByGFN(r.base) // mostly the slot that was found last
	if s == nil || s.ID != r.id || s.Base != r.base || s.HVA != r.hva {
		return nil
	}
	return s
}

func (r *slotRef) sync(c *sim.Codec) {
	c.U16(&r.id)
	sim.Uint(c, &r.base)
	sim.Uint(c, &r.hva)
	c.Bool(&r.ok)
}

// Sync saves, restores or hashes the thread in the middle of whatever it does.
// VMs, vCPUs and threads themselves must exist already.
func (t *Thread) Sync(c *sim.Codec) {
	c.Tag("thread")
	t.syncVM(c)
	c.I64(&t.Ret)
	sim.Uint(c, &t.Err)
	c.Bool(&t.Signal)
	c.Bool(&t.kicked)
	t.Block.Sync(c)
	for i := range t.Cycles {
		c.U64(&t.Cycles[i])
	}
	t.syncStack(c)
	t.run.sync(c)
	t.fault.sync(c, t.vm)
	t.mark.sync(c)
	t.steal.sync(c)
	t.reset.sync(c)
	t.span.sync(c, t.vm)
	t.get.sync(c)
	t.clear.sync(c)
	t.logging.ref.sync(c)
	if c.Loading() && t.depth > 0 {
		t.checkLoaded(c)
	}
}

// checkLoaded refuses what a path would trip over.
func (t *Thread) checkLoaded(c *sim.Codec) {
	vcpus := 0
	if t.vm != nil {
		vcpus = len(t.vm.VCPUs)
	}
	for _, f := range t.stack[:t.depth] {
		switch {
		case f.path == pathNone, t.vm == nil,
			f.path == pathRun && (t.run.vcpu < 0 || t.run.vcpu >= vcpus),
			f.path == pathReset && (t.reset.ring < 0 || t.reset.ring > vcpus+1),
			(f.path == pathFault || f.path == pathSteal) && t.VCPU == nil,
			f.path == pathClear && (t.clear.next < 0 || t.clear.next > len(t.clear.words)):
			c.Fail(fmt.Errorf("thread %s is in the middle of path %d, which cannot be", t.Name, f.path))
			t.depth = 0
			return
		}
	}
}

// syncVM codes which VM and vCPU the thread works for, by their numbers.
func (t *Thread) syncVM(c *sim.Codec) {
	vmid, index := uint16(0), int64(-1)
	if t.vm != nil {
		vmid = t.vm.VMID
	}
	if t.VCPU != nil {
		index = int64(t.VCPU.Index)
		vmid = t.VCPU.VM.VMID
	}
	c.U16(&vmid)
	c.I64(&index)
	if !c.Loading() {
		return
	}
	t.vm, t.VCPU = nil, nil
	for _, vm := range t.Host.VMs {
		if vm.VMID == vmid {
			t.vm = vm
		}
	}
	if index >= 0 {
		if t.vm == nil || index >= int64(len(t.vm.VCPUs)) {
			c.Fail(fmt.Errorf("thread %s has vCPU %d of VM %d, which does not exist", t.Name, index, vmid))
			return
		}
		t.VCPU = t.vm.VCPUs[index]
	}
}

// syncStack codes the stack of paths and which lock the thread waits for.
func (t *Thread) syncStack(c *sim.Codec) {
	c.Int(&t.depth)
	if t.depth < 0 || t.depth > pathDepth {
		c.Fail(fmt.Errorf("thread %s has %d open paths", t.Name, t.depth))
		t.depth = 0
	}
	for i := range t.stack {
		f := &t.stack[i]
		sim.Uint(c, &f.path)
		c.U8(&f.pc)
		sim.Uint(c, &f.cause)
		if f.path >= numPaths || f.cause >= NumCauses {
			c.Fail(fmt.Errorf("thread %s is in unknown path %d for cause %d", t.Name, f.path, f.cause))
			*f = frame{}
		}
	}
	which := uint8(0)
	switch {
	case t.waiting == nil:
	case t.waiting == &t.vm.SlotsLock:
		which = 1
	default:
		which = 2
	}
	c.U8(&which)
	sim.Uint(c, &t.waitSince)
	if !c.Loading() {
		return
	}
	t.waiting = nil
	switch {
	case which == 0:
	case t.vm == nil || which > 2:
		c.Fail(fmt.Errorf("thread %s waits for unknown lock %d", t.Name, which))
	case which == 1:
		t.waiting = &t.vm.SlotsLock
	default:
		t.waiting = &t.vm.MMULock
	}
}
