package cpu

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Core is one physical core, a PE.
type Core struct {
	ID    int
	Now   sim.Cycle // this core's clock
	TLB   mmu.TLB
	Stats CoreStats

	machine *Machine
	mem     *mmu.Memory
	space   mmu.SpaceID // of vmid, valid if known
	vmid    uint16
	known   bool
	timed   *timed // with caches
}

// CoreStats counts what a core did.
type CoreStats struct {
	Ops            uint64 // micro-ops executed
	TLBILocal      uint64
	TLBIBroadcast  uint64
	TLBIWaitCycles uint64 // spent waiting for other cores' broadcasts
	// Of a guest whose accesses have no time of their own (patterns and traces):
	StallCycles uint64 // spent waiting for memory, with caches; 0 without
}

// Exec runs a block of micro-ops. The values loaded are in b.Out.
func (c *Core) Exec(b *mmu.Block) {
	if c.timed != nil {
		c.execTimed(b)
		return
	}
	c.execAtomic(b)
}

// execAtomic is Exec without caches: memory effects at once, time by the costs.
func (c *Core) execAtomic(b *mmu.Block) {
	costs, mem, now := &c.machine.Costs, c.mem, c.Now
	c.Stats.Ops += uint64(b.N)
	for i := range b.Ops[:b.N] {
		op := &b.Ops[i]
		switch op.Kind {
		case mmu.OpLoad:
			b.Out[i] = mem.Load(op.Addr, op.Size)
			now += sim.Cycle(costs.Load)
		case mmu.OpStore:
			mem.Store(op.Addr, op.Size, op.Val, b.By)
			now += sim.Cycle(costs.Store)
		case mmu.OpDelay:
			now += sim.Cycle(op.Val)
		case mmu.OpBarrier:
			now += sim.Cycle(costs.Barrier)
		case mmu.OpTLBIIPA, mmu.OpTLBIVMID:
			c.Now = now
			c.invalidate(op)
			now = c.Now
		default:
			b.Out[i] = mem.Apply(op, b.By)
			now += sim.Cycle(costs.RMW)
		}
	}
	c.Now = now
}

// invalidate performs a TLBI and the DSB that waits for it.
func (c *Core) invalidate(op *mmu.Op) {
	costs, vmid, broadcast := &c.machine.Costs, uint16(op.Val), op.Flags&mmu.OpBroadcast != 0
	if broadcast {
		c.broadcast()
	} else {
		c.Stats.TLBILocal++
		c.Now += sim.Cycle(costs.TLBILocal)
	}
	switch {
	case op.Kind == mmu.OpTLBIIPA && broadcast:
		c.machine.Domain.InvalidateIPA(vmid, mmu.IPA(op.Addr))
	case op.Kind == mmu.OpTLBIIPA:
		c.TLB.InvalidateIPA(vmid, mmu.IPA(op.Addr))
	case broadcast:
		c.machine.Domain.InvalidateVMID(vmid)
	default:
		c.TLB.InvalidateVMID(vmid)
	}
}

// broadcast takes the time of a TLBI that every core must acknowledge: they are
// served one after the other.
func (c *Core) broadcast() {
	m := c.machine
	c.Stats.TLBIBroadcast++
	if m.tlbiFree > c.Now {
		c.Stats.TLBIWaitCycles += uint64(m.tlbiFree - c.Now)
		c.Now = m.tlbiFree
	}
	m.tlbiFree = c.Now + sim.Cycle(m.Costs.TLBIShared)
	c.Now += sim.Cycle(m.Costs.TLBIBroadcast)
}

// Translate translates a guest address for an access, in the time that the TLB
// and the walker take. The frame is that of the returned address, nil on a fault.
func (c *Core) Translate(s *mmu.Stage2, ipa mmu.IPA, a mmu.Access) (mmu.PA, *mmu.Frame, mmu.Fault) {
	if c.vmid != s.VMID || !c.known {
		c.space = c.machine.Domain.Space(mmu.Space{VMID: s.VMID})
		c.vmid, c.known = s.VMID, true
	}
	e, found := c.TLB.Lookup(c.space, ipa)
	switch found {
	case mmu.HitL2:
		c.Now += sim.Cycle(c.machine.Costs.TLBHit2)
	case mmu.Miss:
		before := c.TLB.Stats.Loads
		var fault mmu.Fault
		e, fault = c.TLB.Walk(c.mem, s, c.space, ipa)
		if c.timed != nil {
			c.walked()
		} else {
			c.Now += sim.Cycle(c.TLB.Stats.Loads-before) * sim.Cycle(c.machine.Costs.WalkLevel)
		}
		if e == nil {
			return 0, nil, fault
		}
	}
	if !e.Allows(a) {
		return 0, nil, e.Denied(ipa)
	}
	pa, f := e.PA(ipa), e.Frame()
	if f == nil {
		f = c.mem.Frame(pa.PFN())
	}
	return pa, f, mmu.Fault{}
}

// Store is a guest's store of size bytes (1, 2, 4, 8, or 16 for a pair of v) at
// any address. On a fault nothing was written, even where the store crosses into
// a page that faults: the instruction can be retried.
func (c *Core) Store(s *mmu.Stage2, ipa mmu.IPA, size uint8, v uint64, by mmu.Writer) mmu.Fault {
	if uint64(ipa)&7+uint64(size) > 8 {
		return c.storeWide(s, ipa, size, v, by)
	}
	pa, f, fault := c.Translate(s, ipa, mmu.AccessWrite)
	if f != nil {
		if c.timed != nil {
			c.guestStore(pa)
		}
		c.mem.StoreIn(f, pa, size, v, by)
	}
	return fault
}

// Load is a guest's load of size bytes (1, 2, 4 or 8; of 16 the first 8 are
// returned) at any address.
func (c *Core) Load(s *mmu.Stage2, ipa mmu.IPA, size uint8) (uint64, mmu.Fault) {
	return c.read(s, ipa, size, mmu.AccessRead)
}

// Fetch is a guest's instruction fetch of size bytes.
func (c *Core) Fetch(s *mmu.Stage2, ipa mmu.IPA, size uint8) (uint64, mmu.Fault) {
	return c.read(s, ipa, size, mmu.AccessFetch)
}

func (c *Core) read(s *mmu.Stage2, ipa mmu.IPA, size uint8, a mmu.Access) (uint64, mmu.Fault) {
	if uint64(ipa)&7+uint64(size) > 8 {
		return c.readWide(s, ipa, size, a)
	}
	pa, f, fault := c.Translate(s, ipa, a)
	if f == nil {
		return 0, fault
	}
	if c.timed != nil {
		c.guestRead(pa, a)
	}
	return c.mem.LoadIn(f, pa, size), fault
}

// storeWide stores what does not lie in one word, perhaps not in one page.
func (c *Core) storeWide(s *mmu.Stage2, ipa mmu.IPA, size uint8, v uint64, by mmu.Writer) mmu.Fault {
	first, second, head, fault := c.pair(s, ipa, size, mmu.AccessWrite)
	if fault.Kind != mmu.FaultNone {
		return fault
	}
	if c.timed != nil {
		c.guestStore(first)
		if end, crosses := crossing(first, second, size, head); crosses {
			c.guestStore(end)
		}
	}
	for i := uint8(0); i < size; i++ {
		pa := first + mmu.PA(i)
		if i >= head {
			pa = second + mmu.PA(i-head)
		}
		c.mem.Store(pa, 1, v>>(i&7*8), by)
	}
	return mmu.Fault{}
}

func (c *Core) readWide(s *mmu.Stage2, ipa mmu.IPA, size uint8, a mmu.Access) (v uint64, _ mmu.Fault) {
	first, second, head, fault := c.pair(s, ipa, size, a)
	if fault.Kind != mmu.FaultNone {
		return 0, fault
	}
	if c.timed != nil {
		c.guestRead(first, a)
		if end, crosses := crossing(first, second, size, head); crosses {
			c.guestRead(end, a)
		}
	}
	for i := uint8(0); i < min(size, 8); i++ {
		pa := first + mmu.PA(i)
		if i >= head {
			pa = second + mmu.PA(i-head)
		}
		v |= c.mem.Load(pa, 1) << (i * 8)
	}
	return v, mmu.Fault{}
}

// pair translates both ends of an access: head bytes are at first, the rest, in
// the next page, at second.
func (c *Core) pair(s *mmu.Stage2, ipa mmu.IPA, size uint8, a mmu.Access) (first, second mmu.PA, head uint8, fault mmu.Fault) {
	first, _, fault = c.Translate(s, ipa, a)
	if fault.Kind != mmu.FaultNone {
		return
	}
	left := s.Granule.Size() - uint64(ipa)&(s.Granule.Size()-1)
	if left >= uint64(size) {
		return first, 0, size, fault
	}
	second, _, fault = c.Translate(s, ipa+mmu.IPA(left), a)
	return first, second, uint8(left), fault
}

func (c *Core) sync(d *sim.Codec) {
	d.Tag("core")
	sim.Uint(d, &c.Now)
	d.U64(&c.Stats.Ops)
	d.U64(&c.Stats.TLBILocal)
	d.U64(&c.Stats.TLBIBroadcast)
	d.U64(&c.Stats.TLBIWaitCycles)
	d.U64(&c.Stats.StallCycles)
	if c.timed != nil {
		c.timed.sync(d)
	}
	if d.Loading() {
		c.known = false
	}
}
