package kvmcore

// The steps in which Linux changed how it takes faults and resets rings, each of
// which can be chosen apart from the kernel's version: a figure that was
// published for one kernel calibrates that mode, and the other is predicted.

// MMULockMode is how stage-2 faults take mmu_lock.
type MMULockMode uint8

const (
	MMULockAuto      MMULockMode = iota // as the kernel's version has it
	MMULockShared                       // for read: faults run in parallel
	MMULockExclusive                    // for write: one fault at a time
)

var mmuLockChoices = []Choice{
	{Name: "auto", Desc: "as the kernel's version has it: shared"},
	{Name: "shared", Desc: "faults take it for read and run in parallel", Source: "Linux since 6.2, O. Upton, parallel stage-2 fault handling"},
	{Name: "exclusive", Desc: "faults take it for write, one at a time", Source: "Linux up to 6.1"},
}

// MMULockModes lists the choices, in the order of their values.
func MMULockModes() []Choice { return mmuLockChoices }

// sharesFaults tells whether faults take mmu_lock for read: since 6.2.
func (k *Kernel) sharesFaults() bool {
	if k.MMULock == MMULockAuto {
		return k.Version >= 602
	}
	return k.MMULock == MMULockShared
}

// RelaxTLBIMode is how relaxing the permission of a page invalidates TLBs.
type RelaxTLBIMode uint8

const (
	RelaxTLBIAuto RelaxTLBIMode = iota // as the kernel's version has it
	RelaxTLBILocal
	RelaxTLBIBroadcast
)

var relaxTLBIChoices = []Choice{
	{Name: "auto", Desc: "as the kernel's version has it: local"},
	{Name: "local", Desc: "the faulting core alone: others fault once more", Source: "Linux since 6.5"},
	{Name: "broadcast", Desc: "every core: one resource of the whole machine serves them", Source: "Linux up to 6.4"},
}

// RelaxTLBIModes lists the choices, in the order of their values.
func RelaxTLBIModes() []Choice { return relaxTLBIChoices }

// broadcastsRelax tells whether a relaxed permission is broadcast: until 6.4.
func (k *Kernel) broadcastsRelax() bool {
	if k.RelaxTLBI == RelaxTLBIAuto {
		return k.Version < 605
	}
	return k.RelaxTLBI == RelaxTLBIBroadcast
}

// ResetMode is what ends KVM_RESET_DIRTY_RINGS early.
type ResetMode uint8

const (
	ResetAuto      ResetMode = iota // as the kernel's version and hazards have it
	ResetUnbounded                  // nothing: every harvested entry is reset
	ResetBounded                    // a signal, or 2^31-1 entries; what happens to the batch is the hazard ring.reset_interrupted
)

var resetChoices = []Choice{
	{Name: "auto", Desc: "as the kernel's version has it: bounded since 6.17"},
	{Name: "unbounded", Desc: "every harvested entry is reset, whatever comes", Source: "Linux 5.11 to 6.16"},
	{Name: "bounded", Desc: "a signal or 2^31-1 entries stop it; hazards.ring.reset_interrupted: real drops the pending batch, fixed does not", Source: "Linux since 6.17"},
}

// ResetModes lists the choices, in the order of their values.
func ResetModes() []Choice { return resetChoices }

// boundsReset tells whether a reset looks for signals and at maxReset.
func (k *Kernel) boundsReset() bool {
	switch k.Reset {
	case ResetUnbounded:
		return false
	case ResetBounded:
		return true
	}
	return k.Version >= 617 || k.Hazards[HazardResetInterrupted]
}
