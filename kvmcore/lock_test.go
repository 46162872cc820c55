package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu"
	"ringmap/sim"
)

// lockRig is a lock and threads on cores of their own.
func lockRig(n int) (*Lock, []*Thread) {
	h := NewHost(HostSpec{Cores: n})
	var ts []*Thread
	for i := range n {
		ts = append(ts, h.NewThread(h.Machine.Cores[i], "t"))
	}
	return new(Lock), ts
}

func woken(t *Thread) (ids []int) {
	for _, w := range t.Host.Woken {
		ids = append(ids, w.ID)
	}
	t.Host.Woken = nil
	return ids
}

// First come, first served: a writer waits for the readers before it, readers
// behind a waiting writer wait too and then enter together.
func TestLockFairness(t *testing.T) {
	l, ts := lockRig(6)
	acquire := func(i int, shared bool) bool {
		l.acquire(ts[i], shared)
		return ts[i].waiting == nil
	}
	if !acquire(0, true) || !acquire(1, true) {
		t.Fatal("readers exclude each other")
	}
	if acquire(2, false) || acquire(3, true) || acquire(4, true) || acquire(5, false) {
		t.Fatal("somebody passed the queue")
	}
	ids := func(i ...int) (ids []int) {
		for _, i := range i {
			ids = append(ids, ts[i].ID)
		}
		return ids
	}
	for _, step := range []struct {
		who    int
		shared bool
		want   []int
	}{{0, true, nil}, {1, true, ids(2)}, {2, false, ids(3, 4)}, {4, true, nil}, {3, true, ids(5)}, {5, false, nil}} {
		l.release(ts[step.who], step.shared)
		if d := cmp.Diff(step.want, woken(ts[0])); d != "" {
			t.Errorf("release by %d: %s", step.who, d)
		}
	}
	if l.writer != 0 || l.readers != 0 || l.wanted() {
		t.Errorf("not free at the end: %+v", l)
	}
	if l.Acquired != 6 || l.Contended != 4 {
		t.Errorf("counted %d, %d contended", l.Acquired, l.Contended)
	}
}

// Waiting takes time: a blocked thread continues when the lock is released, and
// one that comes late to a core behind in time waits for the hold of its time.
func TestLockTime(t *testing.T) {
	l, ts := lockRig(3)
	a, b, c := ts[0], ts[1], ts[2]
	at := func(t *Thread, now sim.Cycle) *cpu.Core {
		t.Core.Now = now
		return t.Core
	}
	at(a, 100)
	l.acquire(a, false)
	at(b, 150)
	l.acquire(b, false)
	at(a, 400)
	l.release(a, false)
	if b.Core.Now != 400 || b.Cycles[CauseLockWait] != 250 {
		t.Errorf("b continues at %d after %d cycles", b.Core.Now, b.Cycles[CauseLockWait])
	}
	at(b, 500)
	l.release(b, false)
	at(c, 450) // free now, but b held it then
	l.acquire(c, false)
	if c.Core.Now != 500 || c.waiting != nil {
		t.Errorf("c has it at %d", c.Core.Now)
	}
	l.release(c, false)
	at(a, 20) // before anybody held it
	l.acquire(a, false)
	if a.Core.Now != 20 {
		t.Errorf("a waited until %d for a hold of the future", a.Core.Now)
	}
	l.release(a, false)
	if l.WaitCycles != 250+50 {
		t.Errorf("%d cycles waited", l.WaitCycles)
	}
}

// Two vCPUs fault while a reset holds mmu_lock; nobody is forgotten.
func TestBlockedFaults(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 100, vcpus: 2, cores: 3})
	r.t = r.h.NewThread(r.h.Machine.Cores[2], "vmm")
	r.write(0, upTo(40)...)
	var fetch uint32
	r.harvest(0, &fetch, 40)
	r.t.StartReset(r.vm)
	for r.vm.MMULock.writer == 0 {
		r.t.Step()
	}
	for i, v := range r.vm.VCPUs {
		r.do(i, GuestStore, 50+uint64(i))
		v.Enter()
		for state := v.Continue(sim.Never); state != RunBlocked; state = v.Continue(sim.Never) {
			if state != RunFault {
				t.Fatalf("vCPU %d: state %d", i, state)
			}
		}
	}
	r.t.Finish()
	if n := len(r.h.Woken); n != 2 {
		t.Fatalf("%d threads woken", n)
	}
	for i, v := range r.vm.VCPUs {
		for v.Continue(sim.Never) != RunIdle {
		}
		if !r.writable(50 + uint64(i)) {
			t.Errorf("vCPU %d did not get its page", i)
		}
	}
}
