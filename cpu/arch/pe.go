package arch

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// PE is one processing element: a State and what executes it.
type PE struct {
	*State
	Present  *mmu.Context // the translation regime of the present EL
	Now      sim.Cycle    // set before an access to a timer
	Clock    Clock
	GIC      GIC // nil without a GIC
	Lines    Lines
	HostEL2  bool // the kernel at EL2 is modelled: nothing executes there
	Firmware bool // something answers SMC, where EL3 would
	// TimerWrites counts writes to timers: TimerDeadline may then be another.
	TimerWrites uint64

	mem      *mmu.Memory
	domain   *mmu.Domain
	tlb      *mmu.TLB
	stage2   *mmu.Stage2    // the modelled kernel's
	guest    mmu.Stage2     // what VTCR_EL2 and VTTBR_EL2 say
	contexts [2]mmu.Context // of EL1&0; of EL2 or EL2&0
	epoch    uint64
}

// GIC is a PE's interface to its interrupt controller: the ICC registers. With
// virtual set the access is by a guest whose interrupts are virtual (ICV). false
// makes it UNDEFINED.
type GIC interface {
	ReadICC(r Reg, virtual bool) (uint64, bool)
	WriteICC(r Reg, v uint64, virtual bool) bool
}

// NewPE returns a PE with a TLB of a domain on a memory, its cycles related to
// the system counter by a clock. A State must be loaded before anything else.
func NewPE(m *mmu.Memory, d *mmu.Domain, t *mmu.TLB, k Clock) *PE {
	return &PE{mem: m, domain: d, tlb: t, Clock: k}
}

// Load puts a state on the PE. s2 is the stage 2 that a modelled kernel keeps for
// it; nil leaves that to the registers (VTTBR_EL2, VTCR_EL2, HCR_EL2.VM).
func (p *PE) Load(s *State, s2 *mmu.Stage2) {
	p.State, p.stage2 = s, s2
	p.Refresh()
}

// Refresh derives anew what depends on registers, after they were changed other
// than by Write. What is translated as before keeps its epoch.
func (p *PE) Refresh() {
	contexts, guest := p.contexts, p.guest
	p.decode()
	if p.contexts != contexts || p.guest != guest {
		p.epoch++
	}
	p.setEL(p.EL, p.SPSel)
}

// Sync saves, restores or hashes what a PE holds besides its State, which is
// loaded before with Load.
func (p *PE) Sync(c *sim.Codec) {
	c.Tag("pe")
	sim.Uint(c, &p.Now)
	c.U64(&p.TimerWrites)
	for _, line := range []*bool{&p.Lines.IRQ, &p.Lines.FIQ, &p.Lines.SError, &p.Lines.VIRQ, &p.Lines.VFIQ, &p.Lines.VSError} {
		c.Bool(line)
	}
	c.U64(&p.epoch)
}

// Epoch changes, never to return, whenever a translation that Translate gave may
// no longer hold: what was kept of it is void. Going between EL0 and EL1 does not
// change it: an entry knows both.
func (p *PE) Epoch() uint64 { return p.epoch + p.tlb.Generation() }

// setEL changes the EL and with it the translation regime.
func (p *PE) setEL(el, spsel uint8) {
	s := p.State
	s.EL, s.SPSel = el, spsel
	present := &p.contexts[0]
	if el == 2 || el == 0 && s.inHost() {
		present = &p.contexts[1]
	}
	if p.Present != present {
		p.Present = present
		p.epoch++
	}
}
