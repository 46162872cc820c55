package kvmcore

import (
	"fmt"
	"sort"
	"strings"
)

// Kernel selects which kernel the model behaves as.
type Kernel struct {
	Name      string           // "7.2", "6.12" or "7.2+fixed", "" in the zero value
	Version   int              // 702, 612
	Hazards   [numHazards]bool // true = real: the kernel's own behaviour; false = repaired
	DropEvery uint64           // drops every nth record, 0 = never: the switch that tests the audit
	MMULock   MMULockMode      // how faults take mmu_lock
	RelaxTLBI RelaxTLBIMode    // how relaxing a permission invalidates
	Reset     ResetMode        // how KVM_RESET_DIRTY_RINGS stops early
}

// Kernels lists the names that ParseKernel accepts, the default first.
var Kernels = []string{"7.2", "6.12", "7.2+fixed"}

// ParseKernel returns the named kernel with its hazards as that kernel has them.
func ParseKernel(name string) (Kernel, error) {
	k := Kernel{Name: name}
	switch name {
	case "7.2", "7.2+fixed":
		k.Version = 702
	case "6.12":
		k.Version = 612
	default:
		return Kernel{}, fmt.Errorf("unknown kernel %q: it is one of %s", name, strings.Join(Kernels, ", "))
	}
	if name != "7.2+fixed" {
		for h, info := range hazards {
			k.Hazards[h] = info.In(k.Version)
		}
	}
	return k, nil
}

// SetHazard makes the hazard of that scenario-file name real (true) or fixed.
func (k *Kernel) SetHazard(name string, real bool) error {
	h, ok := HazardByName(name)
	if !ok {
		return fmt.Errorf("unknown hazard %q: `ringmap list hazards` shows all", name)
	}
	k.Hazards[h] = real
	return nil
}

// Hazard is one way in which a real kernel loses a record, records the wrong
// page or crashes, and which the model can also repair.
type Hazard uint8

const (
	HazardBlockMapping Hazard = iota
	HazardInitiallySetRing
	HazardResetInterrupted
	HazardResetPastDirty
	HazardStaleBatch
	HazardStealWhenFull
	HazardGetCopyFault
	HazardITSSaveUnmapped
	HazardITSRestoreTwice
	HazardITSDanglingNext
	HazardITSMovesAll
	numHazards
)

// HazardInfo describes a hazard to users.
type HazardInfo struct {
	Name        string // as in scenario files: `hazards: {name: real}`
	Description string // what the kernel does
	Fix         string // what the repaired kernel does instead
	Source      string // where this is seen
	First, Last int    // kernel versions that have it, inclusive; 0 = open end
}

// In tells whether the kernel of that version has the hazard.
func (i HazardInfo) In(version int) bool {
	return version >= i.First && (i.Last == 0 || version <= i.Last)
}

var hazards = [numHazards]HazardInfo{
	HazardBlockMapping: {
		Name:        "ring.block_mapping",
		Description: "ring without bitmap: the fault path takes a logged slot for an unlogged one, so one write re-opens a whole block and only its first page is recorded",
		Fix:         "the fault path looks at the LOG_DIRTY flag: page-sized mappings, write-protected until written",
		Source:      "arch/arm64/kvm/mmu.c memslot_is_logging; recordings b_huge",
	},
	HazardInitiallySetRing: {
		Name:        "ring.initially_set",
		Description: "ring with INITIALLY_SET: turning logging on protects nothing, so pages that are already writable are never pushed",
		Fix:         "turning logging on protects the slot when a ring is enabled",
		Source:      "arch/arm64/kvm/mmu.c kvm_arch_commit_memory_region; recordings b_manual_protect",
	},
	HazardResetInterrupted: {
		Name:        "ring.reset_interrupted",
		Description: "a signal stops KVM_RESET_DIRTY_RINGS before the pending batch is re-protected: up to 64 entries are freed while their pages stay writable",
		Fix:         "the pending batch is re-protected before the reset stops",
		Source:      "virt/kvm/dirty_ring.c kvm_dirty_ring_reset, since 6.17",
		First:       617,
	},
	HazardResetPastDirty: {
		Name:        "ring.reset_past_dirty",
		Description: "userspace that marks entries nobody pushed drives reset_index past dirty_index: the ring counts as full from then on",
		Fix:         "reset stops at dirty_index",
		Source:      "virt/kvm/dirty_ring.c kvm_dirty_ring_reset; recordings b_hostile",
	},
	HazardStaleBatch: {
		Name:        "ring.stale_batch",
		Description: "a reset batch that holds an entry beyond the end of the slot (a deleted, larger slot of the same id) is dropped whole: live pages of the batch stay writable",
		Fix:         "the batch is clipped to the slot",
		Source:      "virt/kvm/dirty_ring.c kvm_reset_dirty_gfn; recordings b_stale_batch",
	},
	HazardStealWhenFull: {
		Name:        "ring.steal_when_full",
		Description: "the stolen-time update pushes one entry at each KVM_RUN even when the ring is full: about 64 futile runs overrun it",
		Fix:         "a full ring exits before stolen time is recorded",
		Source:      "arch/arm64/kvm/arm.c check_vcpu_requests; recordings e_pvtime",
	},
	HazardGetCopyFault: {
		Name:        "bitmap.get_copy_fault",
		Description: "KVM_GET_DIRTY_LOG in auto-clear mode has cleared the bits when the copy to userspace fails: they are lost",
		Fix:         "a failed copy puts the bits back",
		Source:      "virt/kvm/kvm_main.c kvm_get_dirty_log_protect; recordings c_get_bad_buffer_loses_bits",
	},
	HazardITSSaveUnmapped: {
		Name:        "its.save_unmapped_collection",
		Description: "saving the ITS tables after MAPC V=0 with events still mapped to the collection crashes the kernel",
		Fix:         "the event is saved as an invalid entry",
		Source:      "arch/arm64/kvm/vgic/vgic-its.c vgic_its_save_ite; recordings x_save_after_mapc_unmap",
		Last:        616,
	},
	HazardITSRestoreTwice: {
		Name:        "its.restore_twice",
		Description: "a second RESTORE_TABLES that fails with EEXIST leaves devices without collections: the next save crashes the kernel",
		Fix:         "the events are saved as invalid entries",
		Source:      "arch/arm64/kvm/vgic/vgic-its.c vgic_its_restore_tables_v0; recordings x_restore_twice_then_save",
		Last:        616,
	},
	HazardITSDanglingNext: {
		Name:        "its.dangling_next",
		Description: "an event whose collection is gone is saved as a zero entry while the entry before it still points there: a restore stops at it and loses the events behind",
		Fix:         "the entry before points to the next entry that is valid",
		Source:      "arch/arm64/kvm/vgic/vgic-its.c vgic_its_save_itt; recordings d_commands",
		First:       617,
	},
	HazardITSMovesAll: {
		Name:        "its.movall_all",
		Description: "MOVALL moves every LPI of the VM to its second vCPU, not only those of the first one",
		Fix:         "only LPIs that target the first vCPU move",
		Source:      "arch/arm64/kvm/vgic/vgic-its.c vgic_its_cmd_handle_movall, since 6.10, read in 6.12 and a later tree; the recordings have two vCPUs, where nothing tells the two apart",
		First:       610,
	},
}

// AllHazards lists every hazard, sorted by name.
func AllHazards() []HazardInfo {
	all := append([]HazardInfo(nil), hazards[:]...)
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// HazardByName finds a hazard by its scenario-file name.
func HazardByName(name string) (Hazard, bool) {
	for h := range hazards {
		if hazards[h].Name == name {
			return Hazard(h), true
		}
	}
	return 0, false
}

// String returns the scenario-file name.
func (h Hazard) String() string { return hazards[h].Name }
