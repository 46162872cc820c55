package its

import (
	"fmt"

	"ringmap/sim"
)

// Kinds of interrupts by INTID. IHI 0069 2.2.1.
const (
	NumSGIs    = 16
	NumPrivate = 32   // SGIs and PPIs: each PE has its own
	Special    = 1020 // to 1023: no interrupts
	Spurious   = 1023 // what an acknowledgement finds when there is nothing
)

// Interrupt is the state of an interrupt of any kind.
type Interrupt struct {
	INTID    uint32
	Target   int32 // PE, NoPE = none
	Queued   int32 // PE on whose list of interrupts to deliver it is, NoPE = on none
	Priority uint8 // lower is more urgent
	Enabled  bool
	Pending  bool // latched by an edge, a message or software
	Line     bool // level of the input, of an interrupt that is not Edge
	Active   bool
	Group1   bool
	Edge     bool
	HW       bool   // a physical interrupt stands behind it
	Route    uint32 // SPI: Aff2, Aff1, Aff0 of the target as software wrote them
}

// Asserted tells whether the interrupt wants to be taken: IHI 0069 4.1.
func (p *Interrupt) Asserted() bool { return p.Pending || !p.Edge && p.Line }

// IsLPI tells the kind that lives in memory tables.
func (p *Interrupt) IsLPI() bool { return p.INTID >= FirstLPI }

// Sync saves, restores or hashes the interrupt.
func (p *Interrupt) Sync(c *sim.Codec) {
	c.U32(&p.INTID)
	syncPE(c, &p.Target)
	syncPE(c, &p.Queued)
	c.U8(&p.Priority)
	for _, b := range []*bool{&p.Enabled, &p.Pending, &p.Line, &p.Active, &p.Group1, &p.Edge, &p.HW} {
		c.Bool(b)
	}
	c.U32(&p.Route)
}

func syncPE(c *sim.Codec, pe *int32) {
	u := uint32(*pe)
	c.U32(&u)
	if *pe = int32(u); *pe < NoPE {
		c.Fail(fmt.Errorf("its: an interrupt belongs to PE %d", *pe))
		*pe = NoPE
	}
}
