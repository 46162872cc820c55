package arch

// Lines are the interrupt inputs of a PE: from the GIC, and of the virtual CPU
// interface.
type Lines struct {
	IRQ, FIQ, SError    bool
	VIRQ, VFIQ, VSError bool
}

// Pending returns the interrupt to take before the present instruction, if any.
// DDI 0487 D1.3.6: asynchronous exception routing and masking.
func (p *PE) Pending() (Exception, bool) {
	if p.Lines == (Lines{}) && p.Reg[HCR_EL2]&(HCRVI|HCRVF|HCRVSE) == 0 {
		return Exception{}, false
	}
	hcr := p.Reg[HCR_EL2]
	for _, i := range p.inputs() {
		if i.line && p.takes(hcr&(i.route|HCRTGE) != 0, i.mask) {
			e := Exception{Kind: i.kind, Return: p.PC}
			if hcr&(i.route|HCRTGE) != 0 {
				e.EL = 2
			}
			if i.kind == SError {
				e.ESR = esr(ECSError, 0)
			}
			return e, true
		}
	}
	if p.EL == 2 || hcr&HCRTGE != 0 {
		return Exception{}, false
	}
	for _, i := range p.inputs() {
		if i.virtual && hcr&i.route != 0 && p.State.DAIF&i.mask == 0 {
			e := Exception{Kind: i.kind, Return: p.PC}
			if i.kind == SError {
				e.ESR = esr(ECSError, p.Reg[VSESR_EL2])
				p.Reg[HCR_EL2] &^= HCRVSE
			}
			return e, true
		}
	}
	return Exception{}, false
}

// input is one kind of interrupt.
type input struct {
	kind          Kind
	line, virtual bool
	route         uint64 // HCR_EL2's bit that sends it to EL2
	mask          uint8  // PSTATE's
}

// inputs are the kinds of interrupts, in the order in which this PE takes them.
func (p *PE) inputs() [3]input {
	hcr := p.Reg[HCR_EL2]
	return [3]input{
		{SError, p.Lines.SError, p.Lines.VSError || hcr&HCRVSE != 0, HCRAMO, 4},
		{FIQ, p.Lines.FIQ, p.Lines.VFIQ || hcr&HCRVF != 0, HCRFMO, 1},
		{IRQ, p.Lines.IRQ, p.Lines.VIRQ || hcr&HCRVI != 0, HCRIMO, 2},
	}
}

// takes reports whether a physical interrupt that goes to EL2 (or to EL1) is
// taken now.
func (p *PE) takes(to2 bool, mask uint8) bool {
	switch {
	case p.EL == 2:
		return to2 && p.State.DAIF&mask == 0
	case to2:
		return true
	}
	return p.State.DAIF&mask == 0
}

// Wakes reports whether something ends a WFI: an interrupt, masked or not.
func (p *PE) Wakes() bool {
	hcr := p.Reg[HCR_EL2]
	for _, i := range p.inputs() {
		if i.line || i.virtual && p.EL < 2 && hcr&i.route != 0 {
			return true
		}
	}
	return false
}

// isr is ISR_EL1: what is pending, virtual where interrupts are.
func (p *PE) isr() (v uint64) {
	for _, i := range p.inputs() {
		pending := i.line
		if p.EL < 2 && p.Reg[HCR_EL2]&i.route != 0 {
			pending = i.virtual
		}
		v |= bit(pending, uint64(i.mask)<<6)
	}
	return v
}

// virtualIRQ reports whether the ICC registers of the present EL are the virtual
// interface's: ICV.
func (p *PE) virtualIRQ() bool {
	return p.EL == 1 && p.Reg[HCR_EL2]&(HCRIMO|HCRFMO) != 0
}
