package vmm

import (
	"errors"

	"ringmap/sim"
)

// HostCPUs is what the threads of the VMM run on. The zero value gives each
// thread a core of its own.
type HostCPUs struct {
	Cores  int       // physical cores for vCPU threads and the main thread; 0 = one each
	Pinned bool      // vCPU i stays on core i modulo Cores, the main thread on the next one; otherwise whoever waits takes the first free core
	Slice  sim.Cycle // how long a thread runs while another waits for its core
	Switch sim.Cycle // cost of a switch to another thread
}

// MaxHostCPUs is the most cores.
const MaxHostCPUs = 1024

// scheduler shares the cores among threads, round robin: who wakes up goes to the
// end of the queue, who has used up his slice too. As every thread has the same
// weight, this is what Linux's fair scheduler comes to, without its credit for
// sleepers.
//
//	arrive ─► core free? ─yes─► runs ─► parks ────────► core to the first in the queue
//	            └─no─► queue ◄────────── slice is over ─┘
//
// A thread is preempted in its guest and in userspace, never inside the kernel,
// and one that spins on mmu_lock keeps its core. kernel/sched/fair.c.
type scheduler struct {
	HostCPUs
	cpus   []hostCPU
	queues [][]int32 // runnable threads by index in order: by core if pinned, else one

	Switches, Preemptions uint64
}

// hostCPU is one physical core. Threads are named by index + 1, 0 = nobody.
type hostCPU struct {
	running  int32
	last     int32     // thread that ran last
	lastVCPU int32     // vCPU thread that ran last: whose translations the TLB holds
	free     sim.Cycle // when the last one left
	since    sim.Cycle // when the running one came
}

func (v *VMM) initScheduler() {
	s := &v.sched
	s.HostCPUs = v.Spec.CPUs
	if s.Cores == 0 {
		return
	}
	s.cpus = make([]hostCPU, s.Cores)
	s.queues = make([][]int32, 1)
	if s.Pinned {
		s.queues = make([][]int32, s.Cores)
	}
}

// place is the thread's number for the scheduler: vCPUs, then the main thread.
func (t *thread) place() int32 {
	if t == &t.v.main.thread {
		return int32(len(t.v.vcpus))
	}
	return int32(t.kt.ID) - t.v.firstThread
}

// threadAt is the thread of that number.
func (v *VMM) threadAt(i int32) *thread {
	if int(i) == len(v.vcpus) {
		return &v.main.thread
	}
	return &v.vcpus[i].thread
}

// getCPU makes the thread run, or queues it: false.
func (t *thread) getCPU() bool {
	s, me := &t.v.sched, t.place()
	if s.Cores == 0 || t.cpu != 0 {
		return true
	}
	if t.queued {
		return false
	}
	if c := s.idleFor(me); c >= 0 {
		t.v.dispatch(t, c)
		start := max(t.now(), s.cpus[c].since)
		t.Waits[WaitCPU] += start - t.now()
		t.kt.Core.Now = start
		return true
	}
	q := s.queueOf(me)
	*q = append(*q, me)
	t.queued, t.why = true, WaitCPU
	return false
}

// queueOf is the queue in which a thread waits.
func (s *scheduler) queueOf(me int32) *[]int32 {
	return &s.queues[int(me)%len(s.queues)]
}

// idleFor is the core that a thread may have now, -1 = none: the one it ran on
// last if that is idle, else the one that has been idle longest.
func (s *scheduler) idleFor(me int32) int {
	if s.Pinned {
		c := int(me) % s.Cores
		if s.cpus[c].running != 0 {
			return -1
		}
		return c
	}
	best := -1
	for i := range s.cpus {
		c := &s.cpus[i]
		switch {
		case c.running != 0:
		case c.last == me+1:
			return i
		case best < 0 || c.free < s.cpus[best].free:
			best = i
		}
	}
	return best
}

// dispatch gives an idle core to a thread. The core's TLB holds translations of
// the vCPU that ran there last; another one of the same VM finds them flushed:
// kvm_arch_vcpu_load, last_vcpu_ran.
func (v *VMM) dispatch(t *thread, c int) {
	s := &v.sched
	cpu, me := &s.cpus[c], t.place()
	start := max(t.now(), cpu.free)
	if cpu.last != me+1 {
		s.Switches++
		start += s.Switch
	}
	if int(me) < len(v.vcpus) {
		if cpu.lastVCPU != me+1 || t.lastCPU != int32(c)+1 {
			t.kt.FlushLocal(v.VM)
		}
		cpu.lastVCPU = me + 1
	}
	cpu.running, cpu.last, cpu.since = me+1, me+1, start
	t.cpu, t.lastCPU, t.queued = int32(c)+1, int32(c)+1, false
}

// putCPU gives the thread's core to the first that waits for it.
func (t *thread) putCPU() {
	s := &t.v.sched
	if s.Cores == 0 || t.cpu == 0 {
		return
	}
	c := int(t.cpu - 1)
	cpu := &s.cpus[c]
	cpu.running, cpu.free, t.cpu = 0, t.now(), 0
	q := s.queueOf(t.place())
	if s.Pinned {
		q = &s.queues[c]
	}
	if len(*q) == 0 {
		return
	}
	next := t.v.threadAt((*q)[0])
	*q = append((*q)[:0], (*q)[1:]...)
	t.v.dispatch(next, c)
	next.kt.Stolen(cpu.since - min(next.now(), cpu.since))
	next.schedule(cpu.since)
}

// preempted tells whether the thread's slice is over and somebody waits for its
// core, which it then gives up.
func (t *thread) preempted() bool {
	s := &t.v.sched
	if s.Cores == 0 || t.cpu == 0 {
		return false
	}
	q := s.queueOf(t.place())
	if len(*q) == 0 || t.now()-s.cpus[t.cpu-1].since < s.Slice || !t.kt.Preempt() {
		return false
	}
	s.Preemptions++
	t.putCPU()
	q = s.queueOf(t.place())
	*q = append(*q, t.place())
	t.queued, t.why = true, WaitCPU
	return true
}

// stops tells whether the thread does not go on after a step: it waits, has lost
// its core, or somebody else's turn has come.
func (t *thread) stops(o outcome) bool {
	if o == parked {
		if !t.kt.Spins() {
			t.putCPU()
		}
		return true
	}
	return t.preempted() || t.yields()
}

// sync saves, restores or hashes the scheduler.
func (s *scheduler) sync(c *sim.Codec, threads int) {
	bad := func(i int32) bool { return i < 0 || int(i) > threads }
	for i := range s.cpus {
		p := &s.cpus[i]
		for _, n := range []*int32{&p.running, &p.last, &p.lastVCPU} {
			u := uint32(*n)
			c.U32(&u)
			if *n = int32(u); bad(*n) {
				c.Fail(errNoCPU)
				*n = 0
			}
		}
		sim.Uint(c, &p.free)
		sim.Uint(c, &p.since)
	}
	for i := range s.queues {
		sim.Slice(c, &s.queues[i], func(c *sim.Codec, n *int32) {
			u := uint32(*n)
			c.U32(&u)
			if *n = int32(u); bad(*n + 1) {
				c.Fail(errNoCPU)
				*n = 0
			}
		})
	}
	c.U64(&s.Switches)
	c.U64(&s.Preemptions)
}

var errNoCPU = errors.New("vmm: a core of the snapshot runs a thread that does not exist")

func (v *VMM) registerScheduler(s *sim.Stats) {
	s.Counter("sched.switches", "", "times that a host core was given to another thread", &v.sched.Switches)
	s.Counter("sched.preemptions", "", "of these: because a slice was over", &v.sched.Preemptions)
}
