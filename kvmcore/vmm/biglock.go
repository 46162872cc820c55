package vmm

import (
	"slices"

	"ringmap/sim"
)

// bigLock is the VMM's big lock, as QEMU's BQL with the slot locks that
// kvm_dirty_ring_reap takes: held over harvest and reset, so that nobody sees a
// dirty bit before its page is protected again. First come, first served.
type bigLock struct {
	holder int32 // Thread.ID+1, 0 = free
	queue  []int32

	// The last hold, as in kvmcore.Lock: a thread may come to the lock at an
	// earlier time than the core that has released it.
	from, until sim.Cycle

	Acquired, Contended uint64
}

// lock takes the big lock, or parks the thread until it is handed over.
func (t *thread) lock() outcome {
	l := &t.v.big
	me := int32(t.kt.ID) + 1
	if l.holder == me { // handed over while parked
		return finished
	}
	l.Acquired++
	if l.holder != 0 {
		l.Contended++
		l.queue = append(l.queue, me)
		t.why = WaitBigLock
		return parked
	}
	l.holder = me
	if core := t.kt.Core; l.from <= core.Now && core.Now < l.until {
		l.Contended++
		t.kt.Waited(waitNames[WaitBigLock], l.until)
		t.Waits[WaitBigLock] += l.until - core.Now
		core.Now = l.until
	}
	l.from = t.now()
	t.delay(uint64(t.v.Costs.Lock), causeLock)
	return finished
}

// unlock hands the big lock to the first in the queue.
func (t *thread) unlock() {
	l := &t.v.big
	t.delay(uint64(t.v.Costs.Lock), causeLock)
	l.until = t.now()
	l.holder = 0
	if len(l.queue) == 0 {
		return
	}
	l.holder = l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	next := t.v.threads[l.holder-1]
	l.from = max(next.now(), l.until)
	next.schedule(l.from)
}

// sync saves, restores or hashes the lock among threads, by Thread.ID.
func (l *bigLock) sync(c *sim.Codec, threads []*thread) {
	sim.Slice(c, &l.queue, func(c *sim.Codec, p *int32) { u := uint32(*p); c.U32(&u); *p = int32(u) })
	u := uint32(l.holder)
	c.U32(&u)
	l.holder = int32(u)
	sim.Uint(c, &l.from)
	sim.Uint(c, &l.until)
	c.U64(&l.Acquired)
	c.U64(&l.Contended)
	unknown := func(id int32) bool { return id < 1 || int(id) > len(threads) || threads[id-1] == nil }
	if l.holder != 0 && unknown(l.holder) || slices.ContainsFunc(l.queue, unknown) {
		c.Fail(errNowhere)
		*l = bigLock{}
	}
}
