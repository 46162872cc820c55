package vmm

import (
	"errors"

	"ringmap/kvmcore"
	"ringmap/sim"
)

// Wait is why a thread of the VMM did not run: a closed set, the userspace half
// of where its time went (kvmcore.Cause is the other).
type Wait uint8

const (
	WaitSleep    Wait = iota // main thread: nothing to do yet; vCPU: its guest has ended
	WaitFullRing             // vCPU with a full ring: until the main thread has reset it
	WaitBigLock              // the VMM's big lock
	WaitPaused               // vCPU stopped by the VMM
	WaitVCPUs                // main thread: until every vCPU has stopped
	WaitRate                 // main thread: until the rate limit's next window
	WaitLink                 // main thread: until the link takes more
	WaitPeer                 // main thread: until the destination has answered
	WaitThrottle             // vCPU that a migration slows down
	WaitCPU                  // runnable, and every core it may run on is taken
	WaitKernel               // blocked in the kernel, which books the time itself
	NumWaits
)

var waitNames = [NumWaits]string{"sleep", "full_ring", "big_lock", "paused", "vcpus", "rate_limit", "link", "peer", "throttle", "cpu", "kernel"}

// thread is a userspace thread in simulated time: one component of the engine
// with at most one event that counts.
type thread struct {
	v     *VMM
	kt    *kvmcore.Thread
	comp  sim.ComponentID
	limit sim.Cycle // end of the quantum in which it runs
	gen   uint64    // Arg of the event that counts: older ones were overtaken
	set   bool      // such an event is pending
	why   Wait      // why it waits, while it does
	Waits [NumWaits]sim.Cycle

	cpu     int32 // core it runs on + 1, 0 = none: see scheduler
	lastCPU int32 // the last one + 1
	queued  bool  // waits for one

	reap reap
}

// now is the thread's own time, which may be ahead of the engine's.
func (t *thread) now() sim.Cycle { return t.kt.Core.Now }

// schedule makes the thread run at cycle at, instead of when it was going to.
func (t *thread) schedule(at sim.Cycle) {
	t.gen++
	t.set = true
	t.v.Engine.Schedule(sim.Event{At: max(at, t.v.Engine.Now()), Arg: t.gen, Comp: t.comp, Class: sim.ClassUser})
}

// arrive begins the handling of an event: false for one that was overtaken. The
// time between the thread's clock and the event was spent waiting.
func (t *thread) arrive(ev sim.Event) bool {
	if !t.set || ev.Arg != t.gen || t.v.ckpt.dead {
		return false
	}
	t.set = false
	if core := t.kt.Core; core.Now < ev.At {
		t.kt.Waited(waitNames[t.why], ev.At)
		t.Waits[t.why] += ev.At - core.Now
		core.Now = ev.At
	}
	if !t.getCPU() {
		return false
	}
	q := t.v.Quantum
	t.limit = (t.now()/q + 1) * q
	if end := t.v.main.end; t.now() < end {
		t.limit = min(t.limit, end)
	}
	return true
}

// yields tells whether somebody else's turn has come; then the thread is
// scheduled to go on at its own time.
func (t *thread) yields() bool {
	if next, _ := t.v.Engine.Next(); t.now() < t.limit && t.now() < next {
		return false
	}
	t.schedule(t.now())
	return true
}

// ioctl runs one step of the kernel path that the thread has begun.
func (t *thread) ioctl() outcome {
	switch t.kt.Step() {
	case kvmcore.Blocked:
		t.why = WaitKernel
		return parked
	case kvmcore.Done:
		return finished
	}
	return working
}

// delay spends n cycles of userspace instructions.
func (t *thread) delay(n uint64, cause kvmcore.Cause) {
	if n == 0 {
		return
	}
	t.kt.Block.Reset()
	t.kt.Block.Delay(n)
	t.kt.Exec(cause)
}

// outcome is what one step of a program came to.
type outcome uint8

const (
	working  outcome = iota // more to do, now
	finished                // the program has ended
	parked                  // somebody else will schedule the thread
)

// sync saves, restores or hashes what the thread itself does not keep in kt.
func (t *thread) sync(c *sim.Codec) {
	sim.Uint(c, &t.limit)
	c.U64(&t.gen)
	c.Bool(&t.set)
	sim.Uint(c, &t.why)
	for i := range t.Waits {
		sim.Uint(c, &t.Waits[i])
	}
	for _, n := range []*int32{&t.cpu, &t.lastCPU} {
		u := uint32(*n)
		c.U32(&u)
		if *n = int32(u); *n < 0 || int(*n) > len(t.v.sched.cpus) {
			c.Fail(errNoCPU)
			*n = 0
		}
	}
	c.Bool(&t.queued)
	t.reap.sync(c, len(t.v.fetch))
	if t.why >= NumWaits {
		c.Fail(errNowhere)
		t.why = WaitSleep
	}
}

// errNowhere is a snapshot of a thread in a place that does not exist.
var errNowhere = errors.New("vmm: a thread of the snapshot is nowhere in its program")

// Wake schedules every thread that a kernel lock has let go. A component that
// steps a kernel thread of its own calls it after every step.
func (v *VMM) Wake() {
	if len(v.Host.Kicked) != 0 {
		v.wakeKicked()
	}
	woken := v.Host.Woken
	if len(woken) == 0 {
		return
	}
	v.Host.Woken = woken[:0]
	for _, kt := range woken {
		if kt.ID < len(v.threads) && v.threads[kt.ID] != nil {
			v.threads[kt.ID].schedule(kt.Core.Now)
		} else if kt.ID < len(v.foreign) && v.foreign[kt.ID].known {
			v.Engine.Schedule(sim.Event{
				At: max(kt.Core.Now, v.Engine.Now()), Arg: uint64(kt.ID), Kind: EventWoken,
				Comp: v.foreign[kt.ID].comp, Class: sim.ClassUser,
			})
		}
	}
}

// wakeKicked lets idle vCPUs that the kernel kicked look at their requests. The
// others are in their guest and see the interrupt there.
func (v *VMM) wakeKicked() {
	for _, k := range v.Host.Kicked {
		if i := k.VCPU.Index; k.VCPU.VM == v.VM && v.vcpus[i].state == vcpuIdle {
			c := &v.vcpus[i]
			c.state = vcpuInside
			c.schedule(max(c.now(), k.At))
		}
	}
	v.Host.Kicked = v.Host.Kicked[:0]
}

// EventWoken is the Kind of the event that tells an adopted component that its
// kernel thread (Arg = Thread.ID) got the lock it was blocked on.
const EventWoken uint16 = 0xff00

// Adopt makes Wake pass on the wake-ups of a kernel thread that belongs to another
// component.
func (v *VMM) Adopt(kt *kvmcore.Thread, comp sim.ComponentID) {
	for len(v.foreign) <= kt.ID {
		v.foreign = append(v.foreign, foreignThread{})
	}
	v.foreign[kt.ID] = foreignThread{known: true, comp: comp}
}

type foreignThread struct {
	known bool
	comp  sim.ComponentID
}
