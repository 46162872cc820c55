package exec

import "ringmap/sim"

// predictor foretells branches: gshare for whether (S. McFarling, "Combining
// Branch Predictors", WRL TN-36, 1993), a table by the last branches for where to,
// a stack for returns. Arm does not publish N1's predictor: the sizes are this
// model's, small beside it.
type predictor struct {
	counters [1 << historyBits]uint8 // 2 bits: taken from 2 on; as all begin, not taken
	history  uint64                  // the last outcomes, the youngest lowest
	targets  [targetSlots]target
	stack    [stackSlots]uint64
	top      uint8 // of stack
}

// target is where an indirect branch went.
type target struct{ from, to uint64 }

const (
	historyBits = 12
	targetSlots = 256
	stackSlots  = 16
)

// predict tells whether a branch at an address, with next behind it, was foretold
// to go where it went, and learns from it. A direct branch says itself where to.
func (p *predictor) predict(f timingFlags, at, next, to uint64) bool {
	right := true
	switch {
	case f&conditional != 0:
		c := &p.counters[(at>>2^p.history)&(1<<historyBits-1)]
		taken := to != next
		right = *c >= 2 == taken
		p.history <<= 1
		if taken {
			p.history |= 1
			*c = min(*c+1, 3)
		} else if *c != 0 {
			*c--
		}
	case f&returns != 0:
		right = p.stack[p.top%stackSlots] == to
		p.top--
	case f&indirect != 0:
		t := &p.targets[(at>>2^p.history)%targetSlots]
		right = t.from == at && t.to == to
		*t = target{at, to}
		p.history = p.history<<1 | to>>2&1
	}
	if f&call != 0 {
		p.top++
		p.stack[p.top%stackSlots] = next
	}
	return right
}

func (p *predictor) sync(c *sim.Codec) {
	for i := range p.counters {
		c.U8(&p.counters[i])
		if p.counters[i] > 3 {
			c.Fail(errPipeline)
			p.counters[i] = 0
		}
	}
	c.U64(&p.history)
	for i := range p.targets {
		c.U64(&p.targets[i].from)
		c.U64(&p.targets[i].to)
	}
	for i := range p.stack {
		c.U64(&p.stack[i])
	}
	c.U8(&p.top)
}
