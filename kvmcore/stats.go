package kvmcore

import "ringmap/sim"

// VCPUStats counts what one vCPU did.
type VCPUStats struct {
	Instructions, Accesses, GuestCycles uint64
	Loads, Stores, Fetches              uint64

	FaultsTranslation, FaultsPermission uint64 // by kind of abort
	FaultsRead, FaultsWrite, FaultsExec uint64 // by kind of access
	FaultsSpurious                      uint64 // somebody else had mapped it already
	Splits                              uint64 // blocks split by write faults

	Pushes        uint64 // ring entries written
	Overruns      uint64 // pushes on a full ring
	BitmapSets    uint64 // bits this vCPU set that were clear
	BitmapRepeats uint64 // bits that were set already
	Occupancy     sim.Level
	MaxUsed       uint64

	Runs, FullExits, RepeatFullExits uint64
	MMIOExits, MMIOVGIC, SignalExits uint64
	StealUpdates                     uint64

	ResetEntries uint64
}

// KVMStats counts what the host's kernel did for all VMs.
type KVMStats struct {
	Pushes, UniquePages, DuplicatePushes uint64
	BitsSet, BitsRepeated                uint64
	NonVCPUWrites                        uint64
	Harvested                            uint64

	Resets, ResetEntries, ResetBatches, ResetIgnored uint64
	ProtectedPages, ProtectedBlocks, EagerSplits     uint64
	TLBFlushes                                       uint64

	Gets, Clears                           uint64
	WordsScanned, WordsSet, BytesCopiedOut uint64

	Losses [NumLossCauses]uint64
}
