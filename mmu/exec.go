package mmu

import (
	"errors"

	"ringmap/sim"
)

var (
	errBlock = errors.New("mmu: impossible size of a micro-op block")
	errLevel = errors.New("mmu: no such level of a table")
)

// Apply performs the memory effect of one micro-op and returns what it loaded:
// the old value where it modifies. Ops without an effect on memory return 0.
func (m *Memory) Apply(op *Op, by Writer) uint64 {
	switch op.Kind {
	case OpLoad:
		return m.Load(op.Addr, op.Size)
	case OpStore:
		m.Store(op.Addr, op.Size, op.Val, by)
		return 0
	case OpBarrier, OpTLBIIPA, OpTLBIVMID, OpDelay, OpTouch:
		return 0
	}
	old := m.Load(op.Addr, op.Size)
	v := op.Val
	switch op.Kind {
	case OpSetBits:
		v |= old
	case OpClearBits:
		v = old &^ v
	case OpAdd:
		v += old
	case OpCAS:
		if old != op.Old&sizeMask(op.Size) {
			return old
		}
	}
	m.Store(op.Addr, op.Size, v, by)
	return old
}

// Sync saves, restores or hashes a block between two steps of a path.
func (b *Block) Sync(c *sim.Codec) {
	c.Tag("block")
	n := uint64(b.N)
	c.U64(&n)
	if n > BlockOps {
		c.Fail(errBlock)
		n = 0
	}
	b.N = int(n)
	sim.Uint(c, &b.By)
	sim.Uint(c, &b.What)
	if b.What >= NumWhats {
		c.Fail(errBlock)
		b.What = KernelData
	}
	for i := range b.N {
		op := &b.Ops[i]
		sim.Uint(c, &op.Addr)
		c.U64(&op.Val)
		c.U64(&op.Old)
		sim.Uint(c, &op.Kind)
		c.U8(&op.Size)
		c.U8(&op.Flags)
		sim.Uint(c, &op.What)
		if op.What >= NumWhats {
			c.Fail(errBlock)
			op.What = KernelData
		}
		out := b.Out[i]
		if !op.Kind.hasOut() { // of some block before
			out = 0
		}
		c.U64(&out)
		b.Out[i] = out
	}
}

// hasOut tells whether an operation has a result.
func (k OpKind) hasOut() bool { return k != OpStore && k < OpBarrier }

func syncLevel(c *sim.Codec, level *int8) {
	u := uint8(*level)
	c.U8(&u)
	if u > 3 {
		c.Fail(errLevel)
		u = 3
	}
	*level = int8(u)
}
