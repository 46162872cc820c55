package vmm

import "ringmap/sim"

// pause-all: what the document of the RFC asks for. The vCPU whose ring is full
// stops all others before it drains every ring, and lets them go on afterwards.
// The big lock is held from the first kick to the last.
var policyPauseAll = Policy{
	Name:     "pause-all",
	Desc:     "a full ring stops every vCPU until all rings are drained",
	Source:   "Documentation/virt/kvm/api.rst 8.29: pause all the vcpus, then harvest all the dirty pages and rearm the dirty traps",
	OnFull:   FullPauseAll,
	PeriodNS: 1_000_000_000,
}

// stopOthers kicks the next vCPU out of its guest: one system call each.
func (c *vcpuThread) stopOthers() outcome {
	v := c.v
	if v.pausing { // for a save or the end: whoever does that drains the rings
		c.unlock()
		c.state = vcpuEnter
		return working
	}
	v.pauser = c
	v.Stats.PauseAlls++
	for i := range v.vcpus {
		if o := &v.vcpus[i]; o != c && o.insideRun() {
			c.delay(uint64(v.Costs.Kick), causeLock)
			o.kick(c.now())
		}
	}
	c.state = vcpuWaitOthers
	return working
}

// waitOthers waits until nobody else is in KVM_RUN, then drains every ring.
func (c *vcpuThread) waitOthers() outcome {
	if !c.v.allOut(c) {
		c.why = WaitVCPUs
		return parked
	}
	c.startReap(0, len(c.v.fetch))
	c.state = vcpuReap
	return working
}

// letGo lets every vCPU run on that stands still for this one.
func (c *vcpuThread) letGo() {
	v := c.v
	v.pauser = nil
	for i := range v.vcpus {
		if o := &v.vcpus[i]; o.state == vcpuHeld {
			o.state = vcpuEnter
			o.schedule(max(o.now(), c.now()))
		}
	}
}

// held keeps the thread out of KVM_RUN while another vCPU's thread drains rings.
func (c *vcpuThread) held() outcome {
	c.state = vcpuHeld
	c.why = WaitPaused
	c.v.tellPauser(c.now())
	return parked
}

// insideRun tells whether the thread is in KVM_RUN or on its way there.
func (c *vcpuThread) insideRun() bool {
	return c.state == vcpuEnter || c.state == vcpuInside || c.state == vcpuIdle
}

// allOut tells whether no thread but c is in KVM_RUN.
func (v *VMM) allOut(c *vcpuThread) bool {
	for i := range v.vcpus {
		if o := &v.vcpus[i]; o != c && o.insideRun() {
			return false
		}
	}
	return true
}

// tellPauser wakes the thread that waits for others to leave KVM_RUN when the
// last has.
func (v *VMM) tellPauser(at sim.Cycle) {
	c := v.pauser
	if c == nil || c.state != vcpuWaitOthers || c.set || !v.allOut(c) {
		return
	}
	c.schedule(max(c.now(), at))
}
