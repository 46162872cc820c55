package its

import (
	"errors"
	"math/bits"

	"ringmap/sim"
)

// PriorityBits is how many bits of a priority a PE implements, and as many of them
// can preempt: Neoverse N1 TRM, ICC_CTLR_EL1.PRIbits and ICH_VTR_EL2.PREbits.
const PriorityBits = 5

const (
	priorityShift = 8 - PriorityBits
	priorityMask  = 0xff << priorityShift & 0xff
	minBPR        = 7 - PriorityBits // of group 0; one more for group 1

	// IdlePriority is the running priority when nothing is active.
	IdlePriority = 0xff
)

// CPUInterface decides which interrupts interrupt a PE: masks, and the priorities
// of those that it handles now.
//
//	pending ──priority──► PMR ──► group priority < running priority? ──► taken
//	                                    │                  ▲
//	                                    └──acknowledge──► Active ──drop──►
//
// The physical interface of a PE and the virtual one of its guest are both this.
// IHI 0069 chapter 4.8; the arrays have group 0 and group 1.
type CPUInterface struct {
	PMR     uint8
	BPR     [2]uint8
	Enabled [2]bool
	CBPR    bool      // BPR[0] is for both groups
	EOImode bool      // EOI drops the priority only
	Active  [2]uint32 // ICC_AP0R0, AP1R0: bit n = the group priority n << priorityShift is active
}

// Group is the index of a group in CPUInterface.
func Group(group1 bool) int {
	if group1 {
		return 1
	}
	return 0
}

// WritePMR writes the priority mask: bits beyond those that exist are 0.
func (c *CPUInterface) WritePMR(v uint64) { c.PMR = uint8(v) & priorityMask }

// ReadBPR is the binary point of a group as software sees it: of group 1 derived
// from group 0's with CBPR set.
func (c *CPUInterface) ReadBPR(group int) uint64 {
	if group == 1 && c.CBPR {
		return uint64(min(c.bpr(0)+1, 7))
	}
	return uint64(c.bpr(group))
}

// WriteBPR sets a binary point; group 1's is read-only while CBPR is set.
func (c *CPUInterface) WriteBPR(group int, v uint64) {
	if group == 0 || !c.CBPR {
		c.BPR[group] = max(uint8(v&7), minBPR+uint8(group))
	}
}

func (c *CPUInterface) bpr(group int) uint8 { return max(c.BPR[group], minBPR+uint8(group)) }

// groupPriority is the part of a priority that preempts: IHI 0069 4.8.5.
func (c *CPUInterface) groupPriority(group int, priority uint8) uint8 {
	n := c.bpr(0)
	if group == 1 && !c.CBPR {
		n = c.bpr(1) - 1
	}
	return priority & uint8(0xff<<(n+1))
}

// Running is the priority of the most urgent active interrupt, IdlePriority if
// there is none.
func (c *CPUInterface) Running() uint8 {
	if all := c.Active[0] | c.Active[1]; all != 0 {
		return uint8(bits.TrailingZeros32(all) << priorityShift)
	}
	return IdlePriority
}

// Takes tells whether a pending interrupt of an enabled group is more urgent than
// the mask and than what runs.
func (c *CPUInterface) Takes(group1 bool, priority uint8) bool {
	if priority >= c.PMR {
		return false
	}
	running := c.Running()
	return running == IdlePriority || c.groupPriority(Group(group1), priority) < running
}

// Activate makes an interrupt that is taken the running one.
func (c *CPUInterface) Activate(group1 bool, priority uint8) {
	g := Group(group1)
	c.Active[g] |= 1 << (c.groupPriority(g, priority) >> priorityShift)
}

// Drop ends the running priority and returns it, with its group. false if nothing
// is active.
func (c *CPUInterface) Drop() (priority uint8, group int, ok bool) {
	priority = c.Running()
	if priority == IdlePriority {
		return 0, 0, false
	}
	if n := bits.TrailingZeros32(c.Active[0] | c.Active[1]); c.Active[0]>>n&1 == 0 {
		group = 1
	}
	c.Active[group] &= c.Active[group] - 1
	return priority, group, true
}

// ReadCTLR is ICC_CTLR_EL1: 16 bits of INTID, Aff3, no range selector.
func (c *CPUInterface) ReadCTLR() uint64 {
	return uint64(CPUCTLR(0).WithCBPR(c.CBPR).WithEOImode(c.EOImode).WithPriorityBits(PriorityBits).WithA3V(true))
}

// WriteCTLR sets what software may choose of ICC_CTLR_EL1.
func (c *CPUInterface) WriteCTLR(v uint64) {
	c.CBPR, c.EOImode = CPUCTLR(v).CBPR(), CPUCTLR(v).EOImode()
}

// Sync saves, restores or hashes the interface.
func (c *CPUInterface) Sync(k *sim.Codec) {
	k.U8(&c.PMR)
	for g := range c.BPR {
		k.U8(&c.BPR[g])
		k.Bool(&c.Enabled[g])
		k.U32(&c.Active[g])
		if c.BPR[g] > 7 {
			k.Fail(errInterface)
			c.BPR[g] = 7
		}
	}
	k.Bool(&c.CBPR)
	k.Bool(&c.EOImode)
}

var errInterface = errors.New("its: a CPU interface with an impossible binary point")
