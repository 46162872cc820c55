package kvmcore

import "ringmap/cpu/arch"

// Function identifiers of SMCCC and PSCI; those with a 64-bit form have it at
// smc64 above. Arm DEN 0028 and DEN 0022.
const (
	smc64 = 1 << 30

	smcccVersion      = 0x8000_0000
	smcccArchFeatures = 0x8000_0001
	psciVersion       = 0x8400_0000
	psciCPUSuspend    = 0x8400_0001
	psciCPUOff        = 0x8400_0002
	psciCPUOn         = 0x8400_0003
	psciAffinityInfo  = 0x8400_0004
	psciMigrateType   = 0x8400_0006
	psciSystemOff     = 0x8400_0008
	psciSystemReset   = 0x8400_0009
	psciFeatures      = 0x8400_000a
	psciSystemReset2  = 0x8400_0012 // since PSCI 1.1
	psciSystemOff2    = 0x8400_0015 // since PSCI 1.3

	// What SMCCC_ARCH_FEATURES is asked for.
	archWorkaround1 = 0x8000_8000
	archWorkaround3 = 0x8000_3fff
)

// Results of PSCI calls.
const (
	psciSuccess       = 0
	psciNotSupported  = -1
	psciInvalidParams = -2
	psciAlreadyOn     = -4
	psciInternal      = -6

	psciOn, psciOff  = 0, 1 // of AFFINITY_INFO
	psciNoTrustedOS  = 2    // of MIGRATE_INFO_TYPE: nothing to migrate
	smcccNotRequired = -2
	versionOne       = 1 << 16 // the minor version below
	hibernateOff     = 1       // the type of SYSTEM_OFF2, by name or by default (0)
	vendorReset      = 1 << 31 // SYSTEM_RESET2: types from here on are the platform's; 0 is a warm reset
	mpidrAffinity    = 0xff_00ff_ffff
	affinityLevelMax = 3
)

// hypercall is kvm_smccc_call_handler: what the guest's HVC asks for. It returns
// where KVM_RUN goes on.
func (t *Thread) hypercall(v *VCPU) uint8 {
	s := &v.A64.State
	if arch.ECOf(s.Reg[arch.ESR_EL2]) == arch.ECSMC { // no firmware answers
		s.X[0] = ^uint64(0)
		return runCheck
	}
	fn := uint32(s.X[0])
	if end := v.VM.systemEvent(fn, s.X[1]); end != EndNot {
		v.VM.Program.End = end
		s.X[0] = psciResult(psciInternal) // should it ever go on
		v.Run.ExitReason = ExitSystemEvent
		return t.run.toUser(0, OK)
	}
	switch fn {
	case psciCPUOff:
		v.A64.off = true
		if v.VM.allOff() {
			v.VM.Program.End = EndCPUs
		}
		return runCheck
	case psciCPUSuspend, psciCPUSuspend | smc64: // kvm_psci_vcpu_suspend: a WFI
		v.A64.waits = true
	}
	s.X[0] = psciResult(v.VM.psci(fn, s.X[1], s.X[2], s.X[3]))
	return runCheck
}

// systemEvent is how a call ends the program, EndNot if it does not.
func (vm *VM) systemEvent(fn uint32, arg uint64) ProgramEnd {
	if fn&smc64 == 0 {
		arg = uint64(uint32(arg))
	}
	switch fn {
	case psciSystemOff:
		return EndOff
	case psciSystemReset:
		return EndReset
	case psciSystemReset2, psciSystemReset2 | smc64:
		if arg == 0 || arg >= vendorReset {
			return EndReset
		}
	case psciSystemOff2, psciSystemOff2 | smc64:
		if vm.psciMinor() >= 3 && arg <= hibernateOff {
			return EndOff
		}
	}
	return EndNot
}

// psciMinor is the minor version of PSCI: KVM_ARM_PSCI_LATEST, 1.3 since 6.13.
func (vm *VM) psciMinor() int64 {
	if vm.Host.Kernel.Version >= 613 {
		return 3
	}
	return 1
}

func psciResult(r int64) uint64 { return uint64(r) }

// psci is kvm_psci_call for the calls that return.
func (vm *VM) psci(fn uint32, a, b, c uint64) int64 {
	if fn&smc64 == 0 {
		a, b, c = uint64(uint32(a)), uint64(uint32(b)), uint64(uint32(c))
	}
	switch fn {
	case smcccVersion: // ARM_SMCCC_VERSION_1_1
		return versionOne | 1
	case smcccArchFeatures:
		return archFeature(uint32(a))
	case psciVersion:
		return versionOne | vm.psciMinor()
	case psciSystemReset2, psciSystemReset2 | smc64: // of no type that there is: see systemEvent
		return psciInvalidParams
	case psciSystemOff2, psciSystemOff2 | smc64:
		if vm.psciMinor() >= 3 {
			return psciInvalidParams
		}
	case psciCPUSuspend, psciCPUSuspend | smc64:
		return psciSuccess
	case psciCPUOn, psciCPUOn | smc64:
		return vm.cpuOn(a, b, c)
	case psciAffinityInfo, psciAffinityInfo | smc64:
		return vm.affinityInfo(a, b)
	case psciMigrateType:
		return psciNoTrustedOS
	case psciFeatures:
		return vm.features(uint32(a))
	}
	return psciNotSupported
}

// archFeature is kvm_smccc_call_handler for SMCCC_ARCH_FEATURES. Of the defects
// that have a firmware workaround these cores have none; against speculative store
// bypass (workaround 2) the guest has SSBS.
func archFeature(fn uint32) int64 {
	switch fn {
	case archWorkaround1, archWorkaround3:
		return smcccNotRequired
	}
	return psciNotSupported
}

// features tells whether a function is there: kvm_psci_1_x_call.
func (vm *VM) features(fn uint32) int64 {
	switch fn {
	case psciSystemOff2, psciSystemOff2 | smc64:
		if vm.psciMinor() >= 3 {
			return hibernateOff
		}
		return psciNotSupported
	case psciSystemReset2, psciSystemReset2 | smc64:
		return psciSuccess
	case smcccVersion, psciVersion, psciCPUOff, psciMigrateType, psciSystemOff, psciSystemReset, psciFeatures,
		psciCPUSuspend, psciCPUSuspend | smc64, psciCPUOn, psciCPUOn | smc64, psciAffinityInfo, psciAffinityInfo | smc64:
		return psciSuccess
	}
	return psciNotSupported
}

// cpuOn is kvm_psci_vcpu_on. The vCPU's thread finds it on at its next turn.
func (vm *VM) cpuOn(target, entry, context uint64) int64 {
	for _, v := range vm.VCPUs {
		if Affinity(v.ID) != target&mpidrAffinity || target&^mpidrAffinity != 0 {
			continue
		}
		if !v.A64.off {
			return psciAlreadyOn
		}
		v.resetA64(entry, context)
		v.A64.off, v.A64.waits = false, false
		return psciSuccess
	}
	return psciInvalidParams
}

// affinityInfo is kvm_psci_vcpu_affinity_info: whether any vCPU of an affinity
// level is on.
func (vm *VM) affinityInfo(target, level uint64) int64 {
	if level > affinityLevelMax || target&^mpidrAffinity != 0 {
		return psciInvalidParams
	}
	mask := ^uint64(0) << (8 * level) & 0xff_ffff // Aff3 is 0 for every vCPU
	if level == affinityLevelMax {
		mask = 0
	}
	found := false
	for _, v := range vm.VCPUs {
		if Affinity(v.ID)&mask != target&mask || target>>32 != 0 {
			continue
		}
		found = true
		if !v.A64.off {
			return psciOn
		}
	}
	if !found {
		return psciInvalidParams
	}
	return psciOff
}

func (vm *VM) allOff() bool {
	for _, v := range vm.VCPUs {
		if !v.A64.off {
			return false
		}
	}
	return true
}
