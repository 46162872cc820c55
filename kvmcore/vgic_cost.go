package kvmcore

// gicCosts are the instruction overheads of the interrupt controller, in cycles.
// Reads and writes of guest memory and the recording of dirty pages come on top:
// they are micro-ops of the paths that do them.
type gicCosts struct {
	Ioctl      uint64 // a device attribute: system call, lookup, locks
	ITSCommand uint64 // one command: lock, decode, look up
	TableEntry uint64 // one entry of a table saved or scanned
	LPIVisit   uint64 // one LPI on the way through all of them
	MSI        uint64 // an MSI that the translation cache knows
	Translate  uint64 // what one that it does not know costs more
}

// cost are the host's costs.
func (g *VGIC) cost() gicCosts { return gicCosts{} }
