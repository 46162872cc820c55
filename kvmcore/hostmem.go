package kvmcore

import (
	"sort"

	"ringmap/mmu"
)

// Backing is what kind of host memory stands behind a mapping.
type Backing uint8

const (
	Backing4K        Backing = iota // pages of the host
	BackingTHP                      // transparent huge pages: blocks where they fit, pages elsewhere
	BackingHugetlb2M                // hugetlb pages of one block (2 MiB with 4 KiB pages, 32 and 512 MiB with 16 and 64)
	BackingHugetlb1G                // hugetlb pages of 1 GiB; 4 KiB hosts only, else as BackingHugetlb2M
	numBackings
)

var backingNames = [numBackings]string{"4k", "thp", "hugetlb2m", "hugetlb1g"}

// String returns the name that scenario files use.
func (b Backing) String() string { return backingNames[b] }

// ParseBacking returns the backing of that name.
func ParseBacking(name string) (Backing, bool) {
	for b, n := range backingNames {
		if n == name {
			return Backing(b), true
		}
	}
	return 0, false
}

const (
	// userVABits bounds user addresses: TASK_SIZE_MAX of arm64 with 52-bit VAs.
	userVABits = 52
	// mmapBase is where the modelled process's mappings begin; a hole lies
	// below it and another between any two mappings.
	mmapBase = mmu.HVA(0x4000_0000_0000)
)

// HostMemory is the VMM process's address space and what backs it.
//
//	HVA ─► mapping ─► unit table (page or block) ─► PFN in simulated memory
//
// Frames are assigned at the first touch, so a mapping costs nothing until then.
// Populated memory behaves as if it were present: a read of it gives a writable
// page of its own. Fresh memory reads as the shared zero page until it is written.
type HostMemory struct {
	mem      *mmu.Memory
	alloc    *mmu.Allocator
	page     mmu.Granule
	zero     mmu.PFN // the shared zero page
	next     mmu.HVA
	mappings []*mapping // ascending start
	last     int        // index of the mapping found last
}

// HostPage is the answer of a fault in the process: what KVM learns from
// get_user_pages.
type HostPage struct {
	PFN      mmu.PFN // of the host page that holds the address
	Block    uint64  // bytes of the host mapping around it: page size or a block
	Writable bool    // false for the shared zero page
	Replaced bool    // the shared zero page was just replaced: stage 2 must forget it
}

// mapping is one VMA of the process.
type mapping struct {
	start     mmu.HVA
	size      uint64
	backing   Backing
	populated bool
	unit      uint      // log2 of the bytes that one entry of units backs
	units     unitTable // by offset >> unit
	tail      unitTable // pages behind the last whole block of a THP mapping
}

// unitTable maps a unit's index to its state, sparsely: two levels, the lower
// one made when touched.
type unitTable struct {
	dirs []*[unitsPerDir]unitState
}

const unitsPerDir = 512

// unitState is 0 (never touched), unitZero, or PFN<<1 | 1.
type unitState uint64

const unitZero unitState = 2 // reads see the shared zero page

func unitAt(p mmu.PFN) unitState  { return unitState(p)<<1 | 1 }
func (u unitState) present() bool { return u&1 != 0 }
func (u unitState) pfn() mmu.PFN  { return mmu.PFN(u >> 1) }

// NewHostMemory makes an empty address space of a host with that page size.
func NewHostMemory(mem *mmu.Memory, alloc *mmu.Allocator, page mmu.Granule) *HostMemory {
	return &HostMemory{mem: mem, alloc: alloc, page: page, next: mmapBase}
}

// Map adds an anonymous mapping of size bytes, rounded up to pages of the
// backing and aligned to them, and returns its address.
func (h *HostMemory) Map(size uint64, b Backing, populated bool) mmu.HVA {
	return 0
}

// Fault resolves a page of the process as a page fault does, allocating what is
// missing. EFAULT where nothing is mapped.
func (h *HostMemory) Fault(hva mmu.HVA, write bool) (HostPage, Errno) {
	return HostPage{}, EFAULT
}

// Read copies the process's memory at hva into p: EFAULT where nothing is mapped.
func (h *HostMemory) Read(hva mmu.HVA, p []byte) Errno { return EFAULT }

// Write copies p to hva: the VMM's own store, or copy_to_user on its behalf.
func (h *HostMemory) Write(hva mmu.HVA, p []byte, by mmu.Writer) Errno { return EFAULT }

// Fill stores n bytes of value b at hva.
func (h *HostMemory) Fill(hva mmu.HVA, n uint64, b byte, by mmu.Writer) Errno { return EFAULT }

// PFN returns the content frame that holds hva, false when none is assigned yet
// (the memory there reads as zero).
func (h *HostMemory) PFN(hva mmu.HVA) (mmu.PFN, bool) { return 0, false }

// find returns the mapping that holds hva.
func (h *HostMemory) find(hva mmu.HVA) *mapping {
	i := sort.Search(len(h.mappings), func(i int) bool { return h.mappings[i].end() > hva })
	if i == len(h.mappings) || h.mappings[i].start > hva {
		return nil
	}
	return h.mappings[i]
}

func (m *mapping) end() mmu.HVA { return m.start + mmu.HVA(m.size) }

// blockShift is log2 of the block that one table of pages covers: 2, 32 or 512 MiB.
func blockShift(page mmu.Granule) uint { return page.Shift() + page.Shift() - 3 }

// userRange is access_ok with an untagged address.
func userRange(hva mmu.HVA, size uint64) bool {
	const limit = uint64(1) << userVABits
	return uint64(hva) <= limit && size <= limit-uint64(hva)
}
