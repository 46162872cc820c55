package cpu

import (
	"errors"

	"ringmap/cpu/cache"
	"ringmap/mmu"
	"ringmap/sim"
)

// timed is what a core has when its accesses go through caches: the core waits
// for what it loads, while stores wait for their lines in a store buffer.
//
//	load  ─► cache ─► the core goes on when the data are there
//	store ─► store buffer (Spec.Stores entries) ─► cache ─► done
//	         a release, or a store behind DMB ST, begins when all before are done;
//	         DMB, DSB and TLBI wait for that themselves
type timed struct {
	sys     *cache.System
	own     *cache.Core
	done    []sim.Cycle // a ring: when each store under way is done
	next    int
	drained sim.Cycle // when all stores are done
	fence   sim.Cycle // before which no further store begins
	hit     sim.Cycle // what a load or store that hits takes, which accesses of patterns include
}

// attach puts caches between the cores and memory.
func (m *Machine) attach(spec cache.Spec) {
	m.Caches = cache.New(spec, len(m.Cores))
	for i, c := range m.Cores {
		c.timed = &timed{
			sys: m.Caches, own: m.Caches.Core(i),
			done: make([]sim.Cycle, spec.Stores), hit: sim.Cycle(spec.L1D.Latency),
		}
	}
}

// execTimed is Exec with caches.
func (c *Core) execTimed(b *mmu.Block) {
	t, costs, mem := c.timed, &c.machine.Costs, c.mem
	c.Stats.Ops += uint64(b.N)
	for i := range b.Ops[:b.N] {
		op := &b.Ops[i]
		what := op.What
		if what == mmu.KernelData {
			what = b.What
		}
		switch op.Kind {
		case mmu.OpLoad:
			c.Now = t.load(c.ID, op.Addr, what, c.Now)
			b.Out[i] = mem.Load(op.Addr, op.Size)
		case mmu.OpStore:
			c.Now = t.store(c.ID, op.Addr, what, op.Flags, c.Now) + sim.Cycle(costs.Store)
			mem.Store(op.Addr, op.Size, op.Val, b.By)
		case mmu.OpTouch:
			c.Now = t.load(c.ID, op.Addr, what, c.Now)
			c.Now = t.store(c.ID, op.Addr, what, 0, c.Now) + sim.Cycle(costs.Store)
		case mmu.OpDelay:
			c.Now += sim.Cycle(op.Val)
		case mmu.OpBarrier:
			c.Now = t.barrier(op.Flags, c.Now) + sim.Cycle(costs.Barrier)
		case mmu.OpTLBIIPA, mmu.OpTLBIVMID:
			c.Now = max(c.Now, t.drained) // the DSB before it
			c.invalidate(op)
		default:
			c.Now = t.atomic(c.ID, op, what, c.Now, sim.Cycle(costs.RMW))
			b.Out[i] = mem.Apply(op, b.By)
		}
	}
}

// load returns when a load at cycle now has its data.
func (t *timed) load(core int, pa mmu.PA, w mmu.What, now sim.Cycle) sim.Cycle {
	if t.own.LoadHit(pa, now) {
		return now + t.hit
	}
	return t.sys.Access(core, pa, cache.Load, w, now)
}

// store puts a store into the store buffer and returns when the core goes on: at
// once, unless the buffer is full.
func (t *timed) store(core int, pa mmu.PA, w mmu.What, flags uint8, now sim.Cycle) sim.Cycle {
	slot := &t.done[t.next]
	now = max(now, *slot)
	if t.next++; t.next == len(t.done) {
		t.next = 0
	}
	at := max(now, t.fence)
	if flags&mmu.OpRelease != 0 {
		at = max(at, t.drained)
	}
	ready := at + t.hit
	if !t.own.StoreHit(pa, at) {
		ready = t.sys.Access(core, pa, cache.Store, w, at)
	}
	*slot = ready
	t.drained = max(t.drained, ready)
	return now
}

// barrier is a DMB: one for stores alone keeps later stores back, any other the
// core.
func (t *timed) barrier(flags uint8, now sim.Cycle) sim.Cycle {
	if flags == mmu.OpRelease {
		t.fence = t.drained
		return now
	}
	return max(now, t.drained)
}

// atomic is a read-modify-write: cycles when its line is in L1D already.
func (t *timed) atomic(core int, op *mmu.Op, w mmu.What, now, cycles sim.Cycle) sim.Cycle {
	now = max(now, t.fence)
	if op.Flags&mmu.OpRelease != 0 {
		now = max(now, t.drained)
	}
	ready := now + t.hit
	if !t.own.StoreHit(op.Addr, now) {
		ready = t.sys.Access(core, op.Addr, cache.Atomic, w, now)
	}
	return ready + max(cycles, t.hit) - t.hit
}

// walked takes the time of the descriptors that the walker has just read, one
// after the other.
func (c *Core) walked() {
	trail := &c.TLB.Trail
	for _, at := range trail.At[:min(trail.N, uint(len(trail.At)))] {
		c.Now = c.timed.sys.Access(c.ID, at, cache.Walk, mmu.Stage2Table, c.Now)
	}
}

// guestStore takes the time of a guest's store: what a hit takes is in the cycles
// that its instructions have.
func (c *Core) guestStore(pa mmu.PA) {
	before := c.Now
	c.Now = c.timed.store(c.ID, pa, mmu.GuestData, 0, c.Now)
	c.Stats.StallCycles += uint64(c.Now - before)
}

// guestRead takes the time of a guest's load or fetch, as guestStore of a store.
func (c *Core) guestRead(pa mmu.PA, a mmu.Access) {
	t, ready, hit := c.timed, sim.Cycle(0), c.timed.hit
	if a == mmu.AccessFetch {
		hit = sim.Cycle(t.sys.Spec.L1I.Latency)
		ready = t.sys.Access(c.ID, pa, cache.Fetch, mmu.GuestCode, c.Now)
	} else {
		ready = t.load(c.ID, pa, mmu.GuestData, c.Now)
	}
	c.Stats.StallCycles += uint64(ready - c.Now - hit)
	c.Now = ready - hit
}

// crossing returns where an access of size bytes, head of them at first and the
// rest at second, enters another line.
func crossing(first, second mmu.PA, size, head uint8) (mmu.PA, bool) {
	if head < size {
		return second, true
	}
	end := first + mmu.PA(size) - 1
	return end, end>>cache.LineShift != first>>cache.LineShift
}

// Stream reads n bytes of one page from pa on as a copy does that runs ahead of
// its data: a line every Spec.Stream cycles, as many under way as the core has
// MSHRs. Without caches it takes no time.
func (c *Core) Stream(pa mmu.PA, n uint64, w mmu.What) {
	if c.timed == nil {
		return
	}
	s := c.timed.sys
	at, last := c.Now, c.Now
	for end := pa + mmu.PA(n); pa < end; pa += cache.LineSize {
		last = max(last, s.Access(c.ID, pa, cache.Load, w, at))
		at += sim.Cycle(s.Spec.Stream)
	}
	c.Now = max(at, last)
}

func (t *timed) sync(c *sim.Codec) {
	for i := range t.done {
		sim.Uint(c, &t.done[i])
	}
	c.Int(&t.next)
	sim.Uint(c, &t.drained)
	sim.Uint(c, &t.fence)
	if t.next < 0 || t.next >= len(t.done) {
		c.Fail(errors.New("cpu: a store buffer without that entry"))
		t.next = 0
	}
}
