package vmm

import (
	"fmt"

	"ringmap/sim"
)

// Throttle is how a guest that dirties faster than the link sends is slowed down.
type Throttle uint8

const (
	ThrottleNone       Throttle = iota
	ThrottleCPU                 // auto-converge: every vCPU sleeps a share of its time
	ThrottleDirtyLimit          // dirty-limit: a vCPU sleeps after each full ring
	numThrottles
)

var throttleNames = [numThrottles]string{"none", "auto-converge", "dirty-limit"}

// String returns the name that scenario files use.
func (t Throttle) String() string { return throttleNames[t] }

// Throttles lists the names of throttles.
func Throttles() []string { return throttleNames[:] }

// ParseThrottle returns the throttle of that name.
func ParseThrottle(name string) (Throttle, bool) {
	for t, n := range throttleNames {
		if n == name {
			return Throttle(t), true
		}
	}
	return 0, false
}

// ThrottleSpec are the parameters of throttling: migration/options.c.
type ThrottleSpec struct {
	Kind      Throttle
	Trigger   uint64 // throttle-trigger-threshold, percent
	Initial   uint64 // cpu-throttle-initial, percent
	Increment uint64 // cpu-throttle-increment, percent
	Max       uint64 // max-cpu-throttle, percent
	TailSlow  bool   // cpu-throttle-tailslow
	Limit     uint64 // vcpu-dirty-limit, MiB a second
	Period    uint64 // x-vcpu-dirty-limit-period, ms
}

func (t *ThrottleSpec) validate(track Tracking) error {
	switch {
	case t.Kind >= numThrottles:
		return fmt.Errorf("vmm: unknown throttle %d", t.Kind)
	case t.Trigger < 1 || t.Trigger > 100:
		return fmt.Errorf("vmm: a throttle trigger of %d %%: 1 to 100", t.Trigger)
	case t.Kind == ThrottleCPU && (t.Initial < 1 || t.Initial > 99 || t.Increment < 1 || t.Increment > 99 || t.Max < t.Initial || t.Max > 99):
		return fmt.Errorf("vmm: throttling by %d %% and then %d %% up to %d %%: each is 1 to 99", t.Initial, t.Increment, t.Max)
	case t.Kind == ThrottleDirtyLimit && !track.UsesRing():
		return fmt.Errorf("vmm: a dirty limit needs a dirty ring")
	case t.Kind == ThrottleDirtyLimit && (t.Limit == 0 || t.Period == 0 || t.Period > 1000):
		return fmt.Errorf("vmm: a dirty limit of %d MiB/s judged every %d ms: at least 1 MiB/s, 1 to 1000 ms", t.Limit, t.Period)
	}
	return nil
}

// timeslice is CPU_THROTTLE_TIMESLICE_NS: how long a vCPU runs between two sleeps.
const timeslice = 10_000_000

// converge is auto-converge: migration/cpu-throttle.c. A timer has every vCPU
// leave its guest and sleep p/(1-p) times 10 ms; it comes again 10 ms later than
// that, whether the vCPUs have slept or not.
type converge struct {
	percent uint64
	gen     uint64 // Arg of the tick that counts
}

// ticker is the component of the timer.
type ticker struct{ v *VMM }

// throttleDown raises the throttle: mig_throttle_guest_down.
func (v *VMM) throttleDown(dirty, allowed uint64, now sim.Cycle) {
	c, t := &v.mig.converge, &v.Migrate.Throttle
	if c.percent == 0 {
		c.percent = t.Initial
		v.tick(now)
		return
	}
	increment := t.Increment
	if t.TailSlow {
		run := 100 - c.percent
		ideal := mulDiv(run, allowed, dirty) // allowed < dirty, or nobody had asked
		increment = min(run-ideal, increment)
	}
	c.percent = min(c.percent+increment, t.Max)
}

// tick schedules the timer's next tick.
func (v *VMM) tick(at sim.Cycle) {
	c := &v.mig.converge
	c.gen++
	v.Engine.Schedule(sim.Event{At: max(at, v.Engine.Now()), Arg: c.gen, Comp: v.ticker, Class: sim.ClassUser})
}

// Handle is cpu_throttle_timer_tick.
func (t *ticker) Handle(_ *sim.Engine, ev sim.Event) {
	v := t.v
	c := &v.mig.converge
	if c.percent == 0 || ev.Arg != c.gen {
		return
	}
	p := c.percent
	sleep := v.Migrate.nanos(p*timeslice/(100-p) + 1)
	for i := range v.vcpus {
		v.vcpus[i].throttle(ev.At, sleep)
	}
	v.tick(ev.At + v.Migrate.nanos(timeslice*100/(100-p)))
}

// nanos turns nanoseconds into cycles.
func (g *MigrateSpec) nanos(n uint64) sim.Cycle { return sim.Cycle(mulDiv(n, g.Hz, 1e9)) }

// stopThrottles ends all throttling: cpu_throttle_stop, and the limit with the
// migration that set it.
func (v *VMM) stopThrottles() {
	v.mig.converge.percent = 0
	v.mig.converge.gen++
	v.mig.limit.on = false
	for i := range v.vcpus {
		v.vcpus[i].owed = 0
	}
}

// throttled is how much the guest is throttled now: percent, or the longest sleep
// after a full ring in microseconds.
func (v *VMM) throttled() uint64 {
	n := v.mig.converge.percent
	for _, us := range v.mig.limit.sleep {
		n = max(n, uint64(us))
	}
	return n
}

// throttle makes the vCPU sleep before it enters its guest again, and takes it
// out of there: cpu_throttle_thread by async_run_on_cpu.
func (c *vcpuThread) throttle(at, sleep sim.Cycle) {
	switch c.state {
	case vcpuStopped, vcpuThrottled, vcpuIdle: // paused; asleep still; nothing to slow down
		return
	case vcpuInside:
		c.vcpu.Kick()
	}
	c.owed, c.deep = sleep, false
}

// sleepOwed begins the sleep that throttling asks for. One after a full ring is a
// plain usleep, which a pause has to wait for.
func (c *vcpuThread) sleepOwed() outcome {
	at := c.now() + c.owed
	c.owed = 0
	c.state, c.why = vcpuThrottled, WaitThrottle
	c.v.tellPauser(c.now())
	c.schedule(at)
	return parked
}

func (t *converge) sync(c *sim.Codec) {
	c.U64(&t.percent)
	c.U64(&t.gen)
	if t.percent > 99 {
		c.Fail(errNowhere)
		t.percent = 0
	}
}
