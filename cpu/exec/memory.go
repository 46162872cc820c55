package exec

import (
	"ringmap/cpu/cache"
	"ringmap/mmu"
	"ringmap/sim"
)

// locateTimed is locate for a model with time: it asks the TLB, once for what an
// instruction accesses in a page, and leaves in the pipeline what is accessed and
// when the translation is there.
func (e *Exec) locateTimed(va, n uint64, a mmu.Access) (mmu.PA, bool) {
	p := e.pipe
	t := p.entry
	if t == nil || p.entryVA != va>>mmu.FrameShift || !t.AllowsAs(e.mode, a) {
		var abort mmu.Abort
		if t, abort = e.translate(va, a, e.mode); t == nil {
			p.entry = nil
			e.fault = fault{kind: faultData, write: a == mmu.AccessWrite, size: uint8(n), abort: abort}
			return 0, false
		}
		p.entry, p.entryVA = t, va>>mmu.FrameShift
	}
	if t.Device() || e.aligned {
		if natural := n & -n; va&(natural-1) != 0 {
			return 0, e.misaligned(va, n, a)
		}
	}
	pa := t.PAOf(mmu.VA(va))
	p.touch(pa, min(n, mmu.FrameSize-uint64(pa&pageMask)), a == mmu.AccessWrite)
	return pa, true
}

// touch notes an access, as part of one before if they meet in a line.
func (p *pipeline) touch(pa mmu.PA, n uint64, write bool) {
	for i := range p.touches {
		o := &p.touched[i]
		if o.write == write && o.pa/lineBytes == (pa+mmu.PA(n)-1)/lineBytes && pa >= o.pa {
			o.n = max(o.n, uint64(pa-o.pa)+n)
			return
		}
	}
	if p.touches < len(p.touched) { // no instruction has more
		p.touched[p.touches] = touch{pa, n, write}
		p.touches++
	}
}

// timeTranslation adds the time of a translation: nothing for a hit in the first
// level, and the accesses of a walk one after the other, for each says where the
// next is.
func (e *Exec) timeTranslation(found mmu.Found) {
	p := e.pipe
	switch found {
	case mmu.HitL2:
		e.Stats.TLBHits2++
		p.waits = StallTLB
		p.at += sim.Cycle(p.TLBHit2)
	case mmu.Miss:
		e.Stats.Walks++
		p.waits = StallWalk
		p.at += sim.Cycle(p.TLBHit2) // both levels were asked
		trail := e.PE.Trail()
		for i := range min(trail.N, uint(len(trail.At))) {
			what := mmu.Stage2Table
			if trail.Stage1>>i&1 != 0 {
				what = mmu.Stage1Table
			}
			e.Stats.WalkReads++
			p.at = e.access(trail.At[i], cache.Walk, what, p.at)
		}
	}
}

// translated lets the pipeline wait for the translation of the present access.
func (e *Exec) translated() {
	if p := e.pipe; p.at > e.Now {
		e.advance(p.at, p.waits)
	}
}

// completeAccess makes an access that has had its effect, in time. It counts as
// made when it issued: cores come to shared memory in that order.
func (e *Exec) completeAccess(t *timing) {
	p := e.pipe
	e.translated()
	switch t.kind {
	case kindLoad:
		e.completeLoad(t)
	case kindAtomic, kindExclusive:
		e.completeAtomic(t)
	default:
		e.completeStore(t)
	}
	p.ready[t.base&(scoreboard-1)], p.late[t.base&(scoreboard-1)] = e.Now+1, StallOperand
}

// completeLoad finds when a load has its data. Loads do not wait for each other.
func (e *Exec) completeLoad(t *timing) {
	p := e.pipe
	ready := e.Now
	for i := range p.touches {
		ready = max(ready, e.loaded(&p.touched[i]))
	}
	p.loads = max(p.loads, ready)
	if t.flags&(acquires|acquiresPC) != 0 {
		p.acquired = max(p.acquired, ready)
	}
	ready += sim.Cycle(t.lat) // of a SIMD register
	for _, r := range t.dst {
		p.ready[r&(scoreboard-1)], p.late[r&(scoreboard-1)] = ready, StallLoad
	}
}

// loaded is when the data of a load is there, from the store buffer or the caches.
func (e *Exec) loaded(o *touch) sim.Cycle {
	p := e.pipe
	e.Stats.Loads++
	at := e.Now
	if f := &p.forward[o.pa>>3%forwardSlots]; f.word == o.pa>>3 && f.until > at {
		switch {
		case f.atomic: // it has to be done first
			e.advance(f.until, StallAtomic)
			at = e.Now
		case e.caches != nil && !e.private.Holds(o.pa): // another core's store came after ours
			f.until = 0
		case o.pa&7+mmu.PA(o.n) <= 8:
			e.Stats.Forwarded++
			return at + sim.Cycle(p.Forward)
		}
	}
	return e.accessed(o, cache.Load, at)
}

// accessed is when an access of one or two lines is done.
func (e *Exec) accessed(o *touch, k cache.Kind, at sim.Cycle) sim.Cycle {
	ready := e.access(o.pa, k, mmu.GuestData, at)
	if last := o.pa + mmu.PA(o.n) - 1; last/lineBytes != o.pa/lineBytes {
		ready = max(ready, e.access(last, k, mmu.GuestData, at))
	}
	return ready
}

// completeStore puts a store into the store buffer. It asks for its line at once,
// and reaches L1D after the stores before it.
func (e *Exec) completeStore(t *timing) {
	p := e.pipe
	k := cache.Store
	if t.kind == kindSystem {
		k = cache.Zero
	}
	for i := range p.touches {
		o := &p.touched[i]
		e.Stats.Stores++
		done := max(e.accessed(o, k, e.Now), p.drained+1)
		if t.flags&releases != 0 {
			done = max(done, p.loads)
			p.released = done
		}
		p.drain(done)
		p.pending(o, done, false)
	}
}

// completeAtomic lets an atomic, or an exclusive store, go through the store
// buffer to L1D, where it happens, and come back with its result.
func (e *Exec) completeAtomic(t *timing) {
	p := e.pipe
	e.Stats.Atomics++
	at, done := e.Now, e.Now
	if p.touches != 0 {
		o := &p.touched[p.touches-1]
		if f := &p.forward[o.pa>>3%forwardSlots]; f.word == o.pa>>3 && f.until > at {
			e.advance(f.until, StallAtomic)
			at = e.Now
		}
		done = e.accessed(o, cache.Atomic, at)
	}
	done = max(done+sim.Cycle(p.ToL1D), p.drained+1)
	if t.flags&releases != 0 {
		done = max(done, p.loads)
		p.released = done
	}
	if t.flags&acquires != 0 {
		p.acquired = max(p.acquired, done)
	}
	if t.kind == kindAtomic {
		p.loads = max(p.loads, done)
	}
	p.drain(done)
	for i := range p.touches {
		p.pending(&p.touched[i], done, true)
	}
	for _, r := range t.dst {
		p.ready[r&(scoreboard-1)], p.late[r&(scoreboard-1)] = done, StallAtomic
	}
}

// drain adds a store to the store buffer, which order has found room in.
func (p *pipeline) drain(done sim.Cycle) {
	p.drained = done
	if p.waiting == maxStoreBuffer { // the second page of one store, or a second atomic word
		p.head = (p.head + 1) % maxStoreBuffer
		p.waiting--
	}
	p.drains[(p.head+p.waiting)%maxStoreBuffer] = done
	p.waiting++
}

// pending notes the words of a store that is in the store buffer.
func (p *pipeline) pending(o *touch, done sim.Cycle, atomic bool) {
	for word := o.pa >> 3; word <= (o.pa+mmu.PA(o.n)-1)>>3; word++ {
		p.forward[word%forwardSlots] = forwarded{word, done, atomic}
	}
}

// access is when an access within a line that begins at cycle at is done.
func (e *Exec) access(pa mmu.PA, k cache.Kind, w mmu.What, at sim.Cycle) sim.Cycle {
	p := e.pipe
	switch {
	case e.caches == nil, k == cache.Load && e.private.LoadHit(pa, at),
		k == cache.Store && e.private.StoreHit(pa, at):
		return at + sim.Cycle(p.L1D)
	}
	return e.caches.Access(e.core, pa, k, w, at)
}

// fetchLines asks L1I for the lines of a block that begins at PC, and notes when
// each can issue: a hit keeps the pipeline full. It is false, and has asked for
// nothing more, where another core may have to come first.
func (e *Exec) fetchLines(b *block) bool {
	p := e.pipe
	for off := e.pc & pageMask &^ (lineBytes - 1); off < b.end; off += lineBytes {
		line := e.page.pa + mmu.PA(off)
		if line == p.line {
			continue
		}
		at := e.Now
		if e.caches != nil && !e.private.FetchHit(line, at) {
			if at > e.Horizon {
				return false
			}
			at = e.caches.Access(e.core, line, cache.Fetch, mmu.GuestCode, at) - sim.Cycle(e.caches.Spec.L1I.Latency)
		}
		e.Stats.Fetches++
		p.lines[off/lineBytes], p.line = at, line
	}
	return true
}

// cleans performs cache maintenance by address: DSB waits for it as for a store.
func (e *Exec) cleans(pa mmu.PA, k cache.Kind) {
	p := e.pipe
	p.drained = max(p.drained, e.access(pa, k, mmu.GuestData, e.Now))
}

// maintains notes a TLBI: DSB waits for it.
func (p *pipeline) maintains(now sim.Cycle, broadcast bool) {
	d := p.TLBILocal
	if broadcast {
		d = p.TLBIShared
	}
	p.tlbi = max(p.tlbi, now) + sim.Cycle(d)
}
