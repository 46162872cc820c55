package arch

// Lines are the interrupt inputs of a PE: from the GIC, and of the virtual CPU
// interface.
type Lines struct {
	IRQ, FIQ, SError    bool
	VIRQ, VFIQ, VSError bool
}

// virtualIRQ reports whether the ICC registers of the present EL are the virtual
// interface's: ICV.
func (p *PE) virtualIRQ(Reg) bool {
	return p.EL == 1 && p.Reg[HCR_EL2]&(hcrIMO|hcrFMO) != 0
}

func (p *PE) isr() uint64 { return 0 }
