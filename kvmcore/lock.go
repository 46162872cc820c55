package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Lock is a kernel lock that blocks: a mutex (only exclusive holders) or a
// reader-writer lock, first come first served. A release hands over: the woken
// thread owns the lock when it continues, its core's clock is advanced to the
// release, and it is appended to Host.Woken.
//
// Who holds the lock is state of the model; every acquisition and release also
// costs a read-modify-write of the lock's word in memory, the cache line that
// real cores fight over.
type Lock struct {
	word    mmu.PA // allocated at the first acquisition
	writer  int32  // Thread.ID+1 of the exclusive holder, 0 = none
	readers int32  // shared holders
	queue   []waiter

	// Cores run ahead of each other within a quantum, so a thread may come to a
	// lock that is free by now but was held at its own, earlier time: it waits
	// until the end of the last hold that covers its time.
	exclusive, shared hold

	Acquired, Contended, WaitCycles uint64
}

// hold is the last interval in which the lock was held one way.
type hold struct{ from, until sim.Cycle }

// waiter is a thread in a lock's queue.
type waiter struct {
	thread int32
	shared bool
}

// acquire takes the lock for t, or queues t, whose next Step then says Blocked
// until somebody hands the lock over. A path takes and releases locks at the
// beginning of a step, when its core's clock is up to date.
func (l *Lock) acquire(t *Thread, shared bool) {
	l.Acquired++
	t.touchLock(l)
	if len(l.queue) != 0 || l.writer != 0 || (!shared && l.readers != 0) {
		l.Contended++
		l.queue = append(l.queue, waiter{int32(t.ID), shared})
		t.waiting = l
		t.waitSince = t.Core.Now
		return
	}
	if until := l.heldUntil(t.Core.Now, shared); until > t.Core.Now {
		l.Contended++
		l.WaitCycles += uint64(until - t.Core.Now)
		t.spend(until-t.Core.Now, CauseLockWait)
	}
	l.grant(t, shared, t.Core.Now)
}

// heldUntil is when a thread that comes at now may have the free lock.
func (l *Lock) heldUntil(now sim.Cycle, shared bool) sim.Cycle {
	until := now
	if l.exclusive.from <= until && until < l.exclusive.until {
		until = l.exclusive.until
	}
	if !shared && l.shared.from <= until && until < l.shared.until {
		until = l.shared.until
	}
	return until
}

// grant makes t a holder from now on.
func (l *Lock) grant(t *Thread, shared bool, now sim.Cycle) {
	switch {
	case !shared:
		l.writer = int32(t.ID) + 1
		l.exclusive.from = now
		l.exclusive.until = now
	case l.readers == 0:
		l.shared.from = now
		fallthrough
	default:
		l.readers++
	}
}

// release gives up t's hold and hands the lock to whoever waits first; behind a
// reader all readers that follow it without a writer between.
func (l *Lock) release(t *Thread, shared bool) {
	now := t.Core.Now
	t.touchLock(l)
	if shared {
		l.readers--
		l.shared.until = max(l.shared.until, now)
	} else {
		l.writer = 0
		l.exclusive.until = now
	}
	for len(l.queue) != 0 && l.writer == 0 {
		w := l.queue[0]
		if l.readers != 0 && !w.shared {
			return
		}
		l.queue = l.queue[:copy(l.queue, l.queue[1:])]
		l.handOver(t.Host.threads[w.thread], w.shared, now)
		if !w.shared {
			return
		}
	}
}

// handOver wakes a waiter as a holder. It cannot own the lock before it came.
func (l *Lock) handOver(t *Thread, shared bool, now sim.Cycle) {
	t.waiting = nil
	if now > t.Core.Now {
		t.spend(now-t.Core.Now, CauseLockWait)
	}
	l.WaitCycles += uint64(t.Core.Now - t.waitSince)
	l.grant(t, shared, t.Core.Now)
	t.Host.Woken = append(t.Host.Woken, t)
}

// wanted tells whether somebody waits: rwlock_needbreak.
func (l *Lock) wanted() bool { return len(l.queue) != 0 }

// touchLock puts the access to the lock's word at the front of the block.
func (t *Thread) touchLock(l *Lock) {
	if l.word == 0 {
		l.word = t.Host.Machine.Alloc.Alloc(0).PA()
	}
	t.Block.Push(mmu.Op{Kind: mmu.OpAdd, Addr: l.word, Size: 4, Flags: mmu.OpAcquire | mmu.OpRelease, What: mmu.Lock})
}

// Sync saves, restores or hashes the lock.
func (l *Lock) Sync(c *sim.Codec) {
	sim.Uint(c, &l.word)
	syncI32(c, &l.writer)
	syncI32(c, &l.readers)
	sim.Slice(c, &l.queue, func(c *sim.Codec, w *waiter) {
		syncI32(c, &w.thread)
		c.Bool(&w.shared)
	})
	for _, h := range []*hold{&l.exclusive, &l.shared} {
		sim.Uint(c, &h.from)
		sim.Uint(c, &h.until)
	}
	c.U64(&l.Acquired)
	c.U64(&l.Contended)
	c.U64(&l.WaitCycles)
}

func syncI32(c *sim.Codec, p *int32) {
	u := uint32(*p)
	c.U32(&u)
	*p = int32(u)
}
