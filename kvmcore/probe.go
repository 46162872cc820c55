package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Path names a kernel path on a thread's stack.
type Path = pathID

// The paths that views tell apart.
const (
	PathNone  = pathNone
	PathRun   = pathRun
	PathMark  = pathMark
	PathReset = pathReset
)

var pathNames = [numPaths]string{
	pathNone:    "userspace",
	pathRun:     "kvm_arch_vcpu_ioctl_run",
	pathFault:   "kvm_handle_guest_abort",
	pathMark:    "mark_page_dirty_in_slot",
	pathSteal:   "kvm_update_stolen_time",
	pathReset:   "kvm_vm_ioctl_reset_dirty_pages",
	pathSpan:    "kvm_arch_mmu_enable_log_dirty_pt_masked",
	pathGet:     "kvm_vm_ioctl_get_dirty_log",
	pathClear:   "kvm_vm_ioctl_clear_dirty_log",
	pathLogging: "kvm_arch_commit_memory_region",
}

// String returns the kernel's function that the path models.
func (p pathID) String() string { return pathNames[p] }

// Stack is the kernel paths of a thread, outermost first, the rest pathNone.
type Stack [pathDepth]Path

// Probe is told what threads do: at the beginning and end of steps of kernel
// paths, never per guest access. It changes nothing, and a host without one does
// not pay for it. Its functions are called on the simulation's goroutine; all
// must be set.
type Probe struct {
	// Spent: between from and to, of which not all need be accounted for, the
	// thread spent by[cause] cycles with those paths open.
	Spent func(t *Thread, in Stack, from, to sim.Cycle, by *[NumCauses]uint64)
	// Began and Ended: a path was opened or left, at the thread's present cycle.
	Began func(t *Thread, p Path)
	Ended func(t *Thread, p Path)
	// Waited: userspace's thread did not run, for that reason.
	Waited func(t *Thread, why string, from, to sim.Cycle)
	// Recorded: pages from gfn on were pushed in an entry of a ring, or so many
	// bits there set in a bitmap that were clear.
	Recorded func(t *Thread, gfn mmu.GFN, pages uint64)
}

// Attach makes p watch the host from now on; nil ends that.
func (h *Host) Attach(p *Probe) {
	h.probe = p
	for _, t := range h.threads {
		t.seen = seen{at: t.Core.Now, cycles: t.Cycles}
	}
}

// Settle tells the probe what threads have done since their last step.
func (h *Host) Settle() {
	for _, t := range h.threads {
		t.Observe()
	}
}

// seen is how much of a thread's doings its probe knows.
type seen struct {
	at     sim.Cycle
	cycles [NumCauses]uint64
	stack  Stack
	depth  int
}

// observe tells the probe what was spent since it looked last, on the stack that
// it saw then, and how the stack has changed.
func (t *Thread) observe() {
	p, s := t.Host.probe, &t.seen
	var by [NumCauses]uint64
	spent := uint64(0)
	for i := range by {
		by[i] = t.Cycles[i] - s.cycles[i]
		spent += by[i]
	}
	if spent != 0 {
		p.Spent(t, s.stack, s.at, t.Core.Now, &by)
	}
	s.at, s.cycles = t.Core.Now, t.Cycles
	same := 0
	for same < min(s.depth, t.depth) && s.stack[same] == t.stack[same].path {
		same++
	}
	for s.depth > same {
		s.depth--
		p.Ended(t, s.stack[s.depth])
		s.stack[s.depth] = pathNone
	}
	for s.depth < t.depth {
		s.stack[s.depth] = t.stack[s.depth].path
		p.Began(t, s.stack[s.depth])
		s.depth++
	}
}

// Observe lets the probe look at the thread now: userspace calls it where it
// turns to something else.
func (t *Thread) Observe() {
	if t.Host.probe != nil {
		t.observe()
	}
}

// Waited tells the probe that the thread has not run since its core's present
// cycle and goes on at cycle to. Userspace calls it before it moves the clock.
func (t *Thread) Waited(why string, to sim.Cycle) {
	if t.Host.probe == nil {
		return
	}
	t.observe()
	t.Host.probe.Waited(t, why, t.Core.Now, to)
	t.seen.at = to
}
