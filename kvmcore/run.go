package kvmcore

import (
	"fmt"

	"ringmap/mmu"
	"ringmap/sim"
)

// Exit reasons of KVM_RUN. include/uapi/linux/kvm.h.
const (
	ExitUnknown       = 0
	ExitMMIO          = 6
	ExitIntr          = 10
	ExitSystemEvent   = 24
	ExitDirtyRingFull = 31
)

// Requests of a vCPU (KVM_REQ_*), as bits of VCPU.Requests.
const (
	ReqVMDead            uint32 = 1 << 1
	ReqDirtyRingSoftFull uint32 = 1 << 3
	ReqRecordSteal       uint32 = 1 << 11 // KVM_ARCH_REQ(3)
)

// KVMRun is struct kvm_run as userspace sees it, with the result of KVM_RUN.
type KVMRun struct {
	ImmediateExit bool
	ExitReason    uint32
	MMIO          MMIOExit
	Ret           int64 // of the last KVM_RUN: 0, or -1 with Errno
	Errno         Errno
}

// MMIOExit is kvm_run.mmio: an access that userspace has to emulate. Data holds
// what is stored in its low Len bytes. For a read userspace stores Data before
// the next KVM_RUN, which completes it; it finds there what the exit before left.
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

	runOn RunState = 255 // inside the package: nothing to report
)

// Enter begins KVM_RUN on the vCPU's thread; Continue runs it.
func (v *VCPU) Enter() {
	t := v.Thread
	t.start(v.VM, pathRun, CauseExit)
	t.run = runPath{vcpu: v.Index}
	v.Stats.Runs++
}

// Continue runs the vCPU's guest and kernel paths until its core reaches limit
// or something of RunState happens. It returns before a kernel path starts, so
// that a caller with many cores can let the one go first that is behind in time.
func (v *VCPU) Continue(limit sim.Cycle) RunState {
	t := v.Thread
	for t.Core.Now < limit {
		if t.inGuest() {
			if t.Signal || t.kicked {
				t.kicked = false
				t.stack[0].pc = v.signalled()
				continue
			}
			if s := v.runGuest(limit); s != runOn {
				return s
			}
			continue
		}
		switch t.Step() {
		case Done:
			return RunExit
		case Blocked:
			return RunBlocked
		}
	}
	return RunLimit
}

// signalled takes the vCPU out of the guest, or out of its sleep, for a signal or a
// kick.
func (v *VCPU) signalled() uint8 {
	a := v.A64
	switch {
	case a == nil:
	case a.entered:
		v.leaveGuest()
	default:
		a.waits = false // kvm_vcpu_block returns; the guest finds itself behind its WFI
		return runCheck
	}
	return runKicked
}

// RunNow is the ioctl without time: it runs until KVM_RUN returns (RunExit), or
// the guest has nothing to do (RunIdle, RunEnd).
func (v *VCPU) RunNow() RunState {
	v.Enter()
	for {
		if s := v.Continue(sim.Never); s != RunFault {
			return s
		}
	}
}

// Kick makes the vCPU leave KVM_RUN with EINTR, as a signal to its thread does.
func (v *VCPU) Kick() { v.Thread.Signal = true }

// initRun prepares what KVM_CREATE_VCPU leaves to the run loop: no stolen-time
// page, no exit yet, and the thread that runs it.
func (v *VCPU) initRun(t *Thread) {
	v.Thread = t
	v.PVTime.IPA = PVTimeOff
}

// runPath is kvm_arch_vcpu_ioctl_run: checks, requests, guest entry, exits.
type runPath struct {
	vcpu  int // index
	leave bool
	ret   int64
	err   Errno
}

// Steps of runPath.
const (
	runEnter       uint8 = iota // the system call: complete MMIO, load the vCPU
	runCheck                    // top of the loop: signals and requests
	runRequests                 // after stolen time: the ring
	runGuestMode                // Continue executes the guest
	runExited                   // back from the path that an exit led to
	runHypercall                // HVC: handled in the kernel
	runKicked                   // a signal took the core out of the guest, or an exit that is handled
	runInterrupted              // an interrupt did
	runWoken                    // the vCPU waited in the kernel and goes on
	runLeave                    // put the vCPU, return to userspace
)

func (t *Thread) stepRun(f *frame) {
	r, prof, b := &t.run, t.Host.Profile, &t.Block
	v := t.vm.VCPUs[r.vcpu]
	switch f.pc {
	case runEnter:
		b.Delay(prof.RunEnter)
		f.pc = t.enterRun(v)
	case runCheck:
		f.pc = t.checkRequests(v)
	case runRequests:
		f.pc = t.checkRing(v)
	case runExited:
		f.pc = runCheck
		if r.leave {
			f.pc = runLeave
		}
	case runHypercall:
		b.Delay(prof.Exit + prof.Hypercall)
		f.pc = runCheck
		if v.A64 != nil {
			f.pc = t.hypercall(v)
		}
	case runKicked:
		b.Delay(prof.Exit)
		f.pc = runCheck
	case runInterrupted:
		b.Delay(prof.Exit + prof.IRQ)
		f.pc = runCheck
	case runWoken:
		b.Delay(prof.Wake)
		v.loadTimers()
		f.pc = runCheck
	case runLeave:
		b.Delay(prof.RunLeave)
		t.VCPU = nil
		t.Signal = false // its handler runs on the way back to userspace
		v.Run.Ret, v.Run.Errno = r.ret, r.err
		t.leave(r.ret, r.err)
	}
}

// enterRun is what KVM_RUN does before its loop, in its order.
func (t *Thread) enterRun(v *VCPU) uint8 {
	if !v.ran { // kvm_arch_vcpu_run_pid_change
		if e := t.vm.vgic.mapResources(); e != OK {
			return t.run.toUser(-1, e)
		}
		v.ran = true
	}
	if v.Run.ExitReason == ExitMMIO && v.Cursor.mmio { // kvm_handle_mmio_return
		v.Cursor.mmio = false
		v.emulated(v.Run.MMIO.Write, v.Run.MMIO.Data&sizeMask(v.Run.MMIO.Len))
	}
	t.VCPU = v // vcpu_load
	v.loadTimers()
	if v.PVTime.IPA != PVTimeOff {
		v.Requests |= ReqRecordSteal
	}
	if v.Run.ImmediateExit { // leaves the exit reason as it was
		return t.run.toUser(-1, EINTR)
	}
	v.Run.ExitReason = ExitUnknown
	return runCheck
}

// checkRequests is the top of the loop: a signal first, then check_vcpu_requests.
func (t *Thread) checkRequests(v *VCPU) uint8 {
	if t.Signal {
		v.Run.ExitReason = ExitIntr
		v.Stats.SignalExits++
		return t.run.toUser(-1, EINTR)
	}
	if v.Requests&ReqVMDead != 0 {
		v.Requests &^= ReqVMDead
		return t.run.toUser(-1, EIO)
	}
	if !t.Host.Kernel.Hazards[HazardStealWhenFull] && v.RingFull() {
		return t.checkRing(v)
	}
	if v.Requests&ReqRecordSteal != 0 {
		v.Requests &^= ReqRecordSteal
		t.push(pathSteal, CauseSteal)
		return runRequests
	}
	return t.checkRing(v)
}

// checkRing is kvm_dirty_ring_check_request: the request stays until the ring
// has been reset, so that entering again without a reset exits at once.
func (t *Thread) checkRing(v *VCPU) uint8 {
	if v.Requests&ReqDirtyRingSoftFull != 0 {
		if v.RingFull() {
			v.Run.ExitReason = ExitDirtyRingFull
			v.countFullExit()
			return t.run.toUser(0, OK)
		}
		v.Requests &^= ReqDirtyRingSoftFull
	}
	v.Stats.stuckFull = false
	switch a := v.A64; {
	case a == nil:
		t.Block.Delay(t.Host.Profile.Enter)
	case !a.off && !a.waits: // otherwise it sleeps here: kvm_vcpu_sleep, kvm_vcpu_wfi
		t.Block.Delay(t.Host.Profile.Enter + v.enterGuest())
	}
	return runGuestMode
}

// RingFull tells whether the vCPU was asked to leave KVM_RUN for a full ring that
// is still full.
func (v *VCPU) RingFull() bool {
	return v.Requests&ReqDirtyRingSoftFull != 0 && v.VM.policy.full(v)
}

// toUser makes KVM_RUN return.
func (r *runPath) toUser(ret int64, e Errno) uint8 {
	r.leave, r.ret, r.err = true, ret, e
	return runLeave
}

// fail makes KVM_RUN return an error.
func (r *runPath) fail(e Errno) { r.toUser(-1, e) }

// inGuest tells whether the core executes the guest.
func (t *Thread) inGuest() bool {
	return t.depth == 1 && t.stack[0].path == pathRun && t.stack[0].pc == runGuestMode
}

// cursorBatch is how many accesses one Fill brings.
const cursorBatch = 64

// GuestCursor is where a vCPU stands in its stream of accesses.
type GuestCursor struct {
	buf     [cursorBatch]GuestAccess
	pos, n  int
	loaded  uint64 // last loaded value, for GuestStoreLoaded
	idle    uint64 // cycles left of a GuestIdle under way
	started bool   // the access at pos has had its cycles: it is being retried
	mmio    bool   // userspace has it: vcpu->mmio_needed
}

// complete ends an access that was emulated.
func (c *GuestCursor) complete(write bool, value uint64) {
	if !write {
		c.loaded = value
	}
	c.skip()
}

// skip goes on behind the access at pos.
func (c *GuestCursor) skip() {
	c.pos++
	c.started = false
}

// runGuest executes guest accesses: the hot loop. An access that faults is
// retried after the kernel path, without its cycles being counted again.
func (v *VCPU) runGuest(limit sim.Cycle) RunState {
	if v.A64 != nil {
		return v.runA64(limit)
	}
	cur, core, s2 := &v.Cursor, v.Thread.Core, &v.VM.Stage2
	by := mmu.Writer(v.Index)
	tally := guestTally{began: core.Now, idle: v.Thread.Cycles[CauseIdle], stalled: core.Stats.StallCycles}
	state := runOn
	for state == runOn && core.Now < limit {
		if cur.pos == cur.n && !v.fill() {
			state = RunIdle
			break
		}
		a := &cur.buf[cur.pos]
		if !cur.started {
			core.Now += sim.Cycle(a.Cycles)
			tally.cycles += uint64(a.Cycles)
			tally.instr += uint64(a.Instr)
		}
		var fault mmu.Fault
		var got uint64
		access, value := mmu.AccessWrite, a.Value
		switch a.Op {
		case GuestStore:
			fault = core.Store(s2, a.IPA, a.Size, value, by)
		case GuestLoad:
			access = mmu.AccessRead
			if got, fault = core.Load(s2, a.IPA, a.Size); fault.Kind == mmu.FaultNone {
				cur.loaded = got
			}
		case GuestStoreLoaded:
			value += cur.loaded
			fault = core.Store(s2, a.IPA, a.Size, value, by)
		case GuestFetch:
			access = mmu.AccessFetch
			_, fault = core.Fetch(s2, a.IPA, a.Size)
		default:
			state = v.runSpecial(a, limit)
			continue
		}
		if fault.Kind != mmu.FaultNone {
			cur.started = true
			v.Thread.stack[0].pc = runExited
			v.Thread.startFault(a, access, value, fault)
			state = RunFault
			break
		}
		tally.done[a.Op&7]++
		cur.pos++
		cur.started = false
	}
	v.countGuest(&tally)
	return state
}

// runSpecial executes what is no access to memory.
func (v *VCPU) runSpecial(a *GuestAccess, limit sim.Cycle) RunState {
	cur, t := &v.Cursor, v.Thread
	switch a.Op {
	case GuestIdle:
		if !cur.started {
			cur.idle = a.Value
			cur.started = true
		}
		if t.Core.Now < limit {
			n := min(cur.idle, uint64(limit-t.Core.Now))
			t.spend(sim.Cycle(n), CauseIdle)
			cur.idle -= n
		}
		if cur.idle == 0 {
			cur.skip()
		}
		return runOn
	case GuestHypercall:
		cur.skip()
		v.Stats.Hypercalls++
		t.stack[0].pc = runHypercall
		return RunFault
	}
	cur.started = true
	return RunEnd // GuestEnd, for good
}

// fill gets the next batch of accesses.
func (v *VCPU) fill() bool {
	cur := &v.Cursor
	cur.pos, cur.n = 0, 0
	if v.Guest != nil {
		cur.n = v.Guest.Fill(cur.buf[:])
	}
	return cur.n > 0
}

// Sync saves, restores or hashes what userspace sees.
func (r *KVMRun) Sync(c *sim.Codec) {
	c.Bool(&r.ImmediateExit)
	c.U32(&r.ExitReason)
	sim.Uint(c, &r.MMIO.Addr)
	c.U64(&r.MMIO.Data)
	c.U8(&r.MMIO.Len)
	c.Bool(&r.MMIO.Write)
	c.I64(&r.Ret)
	sim.Uint(c, &r.Errno)
	if n := r.MMIO.Len; n > 8 {
		c.Fail(fmt.Errorf("MMIO exit of %d bytes", n))
		r.MMIO.Len = 0
	}
}

// Sync saves, restores or hashes the cursor with the accesses already fetched.
func (k *GuestCursor) Sync(c *sim.Codec) {
	c.Int(&k.n)
	c.Int(&k.pos)
	if k.n < 0 || k.n > cursorBatch || k.pos < 0 || k.pos > k.n {
		c.Fail(fmt.Errorf("cursor at %d of %d accesses", k.pos, k.n))
		k.pos, k.n = 0, 0
	}
	for i := k.pos; i < k.n; i++ {
		k.buf[i].Sync(c)
	}
	c.U64(&k.loaded)
	c.U64(&k.idle)
	c.Bool(&k.started)
	c.Bool(&k.mmio)
}

// Sync saves, restores or hashes the access.
func (a *GuestAccess) Sync(c *sim.Codec) {
	sim.Uint(c, &a.IPA)
	c.U64(&a.Value)
	c.U32(&a.Cycles)
	c.U32(&a.Instr)
	c.U8(&a.Size)
	sim.Uint(c, &a.Op)
}

func (r *runPath) sync(c *sim.Codec) {
	c.Int(&r.vcpu)
	c.Bool(&r.leave)
	c.I64(&r.ret)
	sim.Uint(c, &r.err)
}
