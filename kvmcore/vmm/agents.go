package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// vcpuThread is the thread of one vCPU: KVM_RUN in a loop, and what userspace
// does about its exits.
type vcpuThread struct {
	thread
	index int
	vcpu  *kvmcore.VCPU
	state vcpuState
	done  bool // the guest has nothing more to do

	dry uint32 // reaps of its full ring in a row that found nothing

	owed   sim.Cycle // sleep before the next entry
	deep   bool      // that sleep is not cut short by a pause
	futile int       // runs of KVM_RUN with a full ring
	nudged bool      // the main thread waits for it to leave KVM_RUN once

	Exits     [numExits]uint64
	StoppedAt sim.Cycle // when it last left the guest for good or to be paused
}

type vcpuState uint8

const (
	vcpuEnter      vcpuState = iota // about to call KVM_RUN
	vcpuInside                      // in KVM_RUN
	vcpuFull                        // ring full: waits for the main thread's reset
	vcpuLock                        // ring full: wants the big lock
	vcpuReap                        // drains rings
	vcpuIdle                        // in KVM_RUN without anything to execute
	vcpuStopped                     // out of KVM_RUN: paused, or its guest has ended
	vcpuStopOthers                  // policy pause-all: has the big lock and kicks the others
	vcpuWaitOthers                  // waits until they have left KVM_RUN
	vcpuHeld                        // stands still for the thread that does this
	vcpuThrottled                   // sleeps because a migration slows it down
	numVCPUStates
)

// exit is why KVM_RUN returned, as far as userspace tells them apart.
type exit uint8

const (
	exitRingFull exit = iota
	exitMMIO
	exitSignal
	exitOther
	numExits
)

var exitNames = [numExits]string{"ring_full", "mmio", "signal", "other"}

// Handle runs the thread until it must wait or somebody else's turn has come.
func (c *vcpuThread) Handle(_ *sim.Engine, ev sim.Event) {
	if !c.arrive(ev) {
		return
	}
	for {
		o := c.step()
		c.v.Wake()
		if c.stops(o) {
			return
		}
	}
}

func (c *vcpuThread) step() outcome {
	switch c.state {
	case vcpuEnter:
		if c.owed != 0 && (c.deep || !c.v.pausing) {
			return c.sleepOwed()
		}
		if c.v.pausing {
			return c.stop()
		}
		if c.v.pauser != nil {
			return c.held()
		}
		c.vcpu.Enter()
		c.state = vcpuInside
	case vcpuInside, vcpuIdle:
		return c.run()
	case vcpuLock:
		o := c.lock()
		if o != finished {
			if o == parked {
				c.v.tellPauser(c.now())
			}
			return o
		}
		c.state = vcpuReap
		switch {
		case c.v.mig.limit.on || c.v.Policy.OnFull == FullReapOwn:
			c.startReap(c.index, c.index+1)
		case c.v.Policy.OnFull == FullPauseAll:
			c.state = vcpuStopOthers
		default:
			c.startReap(0, len(c.v.fetch))
		}
	case vcpuStopOthers:
		return c.stopOthers()
	case vcpuWaitOthers:
		return c.waitOthers()
	case vcpuReap:
		o := c.stepReap()
		if o != finished {
			return o
		}
		if c.v.pauser == c {
			c.letGo()
		}
		if c.stuck() {
			c.unlock()
			c.finishGuest()
			return c.stop()
		}
		c.grow()
		c.unlock()
		c.state = vcpuEnter
		c.afterFull()
		c.v.countPages(c.now())
	case vcpuThrottled:
		c.state = vcpuEnter
	case vcpuFull, vcpuStopped, vcpuHeld:
		return parked
	}
	return working
}

// run lets KVM_RUN go on to the end of the quantum or to its next event.
func (c *vcpuThread) run() outcome {
	c.vcpu.Horizon, _ = c.v.Engine.Next()
	switch c.vcpu.Continue(c.limit) {
	case kvmcore.RunBlocked:
		c.why = WaitKernel
		return parked
	case kvmcore.RunExit:
		return c.exited()
	case kvmcore.RunIdle, kvmcore.RunEnd:
		c.finishGuest()
		if c.kt.Signal { // kicked in the meantime: leaves KVM_RUN
			c.state = vcpuInside
			return working
		}
		c.state = vcpuIdle
		c.why = WaitSleep
		return parked
	}
	c.state = vcpuInside
	return working
}

// exited handles the return of KVM_RUN: kvm_cpu_exec.
func (c *vcpuThread) exited() outcome {
	run := &c.vcpu.Run
	c.state = vcpuEnter
	c.kt.Signal = false // its handler runs on the way back to userspace
	if c.nudged {
		c.nudged = false
		c.v.main.nudgeDone(c.now())
	}
	switch {
	case run.Errno == kvmcore.EINTR:
		c.Exits[exitSignal]++
	case run.Errno != kvmcore.OK:
		c.Exits[exitOther]++
		c.v.find(Finding{At: c.now(), Kind: FindingRunFailed, VCPU: int32(c.index), A: uint64(run.Errno)})
		c.finishGuest()
		return c.stop()
	case run.ExitReason == kvmcore.ExitDirtyRingFull:
		c.Exits[exitRingFull]++
		if c.runsAgain() {
			return working
		}
		return c.full()
	case run.ExitReason == kvmcore.ExitMMIO: // where no device is, reads give zero
		c.Exits[exitMMIO]++
		if c.vcpu.A64 == nil || !c.uart(&run.MMIO) {
			run.MMIO.Data = 0
		}
	default:
		c.Exits[exitOther]++
	}
	return working
}

// full acts on a full ring as the harvest policy says.
func (c *vcpuThread) full() outcome {
	if c.v.Policy.OnFull != FullWait || c.v.mig.limit.on {
		c.state = vcpuLock
		return working
	}
	if !c.vcpu.RingFull() { // reset since the kernel looked
		return working
	}
	if c.v.pausing {
		return c.stop()
	}
	c.state = vcpuFull
	c.why = WaitFullRing
	c.v.tellPauser(c.now())
	return parked
}

// maxDry is how often a thread may find its ring full and nothing in it that
// it could harvest.
const maxDry = 1000

// stuck tells whether that goes on for ever: somebody has spoilt the entry at the
// harvest position. A real VMM would spin until it is killed.
func (c *vcpuThread) stuck() bool {
	if c.reap.harvested != 0 || !c.vcpu.RingFull() {
		c.dry = 0
		return false
	}
	if c.dry++; c.dry < maxDry {
		return false
	}
	c.v.find(Finding{At: c.now(), Kind: FindingStuck, VCPU: int32(c.index)})
	return true
}

// grow doubles the ring that was full and has just been drained, up to RingMax.
func (c *vcpuThread) grow() {
	v, ring := c.v, &c.vcpu.Ring
	if ring.Size >= v.RingMax || ring.Used() != 0 {
		return
	}
	if e := c.vcpu.ResizeRing(c.kt, min(2*ring.Size, v.RingMax)); e != kvmcore.OK {
		v.find(Finding{At: c.now(), Kind: FindingResizeFailed, VCPU: int32(c.index), A: uint64(e)})
		v.RingMax = 0 // it will not do better the next time
		return
	}
	v.fetch[c.index] = 0
}

// finishGuest notes that the guest has nothing more to do. The last one ends a
// run of fixed work.
func (c *vcpuThread) finishGuest() {
	if c.done {
		return
	}
	c.done = true
	c.StoppedAt = c.now()
	if c.v.live--; c.v.live == 0 {
		c.v.main.guestsEnded(c.now())
	}
}

// stop keeps the thread out of KVM_RUN. The last one to stop tells the main thread.
func (c *vcpuThread) stop() outcome {
	c.state = vcpuStopped
	c.why = WaitPaused
	c.owed = 0
	if !c.done {
		c.StoppedAt = c.now()
	}
	c.v.tellPauser(c.now())
	if c.v.inside--; c.v.inside == 0 && c.v.pausing {
		c.v.main.vcpusStopped(c.now())
	}
	return parked
}

// kick makes the thread leave KVM_RUN for a pause that began at cycle at.
func (c *vcpuThread) kick(at sim.Cycle) {
	switch c.state {
	case vcpuInside:
		c.vcpu.Kick()
	case vcpuIdle:
		c.vcpu.Kick()
		c.schedule(max(c.now(), at))
	case vcpuFull, vcpuHeld:
		c.state = vcpuEnter
		c.schedule(max(c.now(), at))
	case vcpuThrottled:
		if !c.deep {
			c.schedule(max(c.now(), at))
		}
	}
}

// resume lets a paused thread run on, at cycle at.
func (c *vcpuThread) resume(at sim.Cycle) {
	if c.state != vcpuStopped || c.done {
		return
	}
	c.v.inside++
	if c.v.Policy.OnFull == FullWait && c.v.Track.UsesRing() && c.vcpu.RingFull() {
		c.state = vcpuFull // still: nobody has reset it
		c.why = WaitFullRing
		return
	}
	c.state = vcpuEnter
	c.schedule(max(c.now(), at))
}

func (c *vcpuThread) sync(k *sim.Codec) {
	c.thread.sync(k)
	sim.Uint(k, &c.state)
	k.Bool(&c.done)
	k.U32(&c.dry)
	sim.Uint(k, &c.owed)
	k.Bool(&c.deep)
	k.Bool(&c.nudged)
	k.Int(&c.futile)
	for i := range c.Exits {
		k.U64(&c.Exits[i])
	}
	sim.Uint(k, &c.StoppedAt)
	if c.state >= numVCPUStates {
		k.Fail(errNowhere)
		c.state = vcpuStopped
	}
}
