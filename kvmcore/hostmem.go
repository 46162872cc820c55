package kvmcore

import (
	"sort"

	"ringmap/mmu"
	"ringmap/sim"
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

// Backings lists the names that ParseBacking accepts.
func Backings() []string { return backingNames[:] }

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
	host     *Host // whose stage-2 tables follow the address space
	mem      *mmu.Memory
	alloc    *mmu.Allocator
	page     mmu.Granule
	zero     mmu.PFN // the shared zero page
	next     mmu.HVA
	mappings []*mapping // ascending start
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
	fixed     mmu.PFN   // physical frames it was placed on from its start to its end, 0 = assigned at the first touch
	unit      uint      // log2 of the bytes that one entry of units backs
	units     unitTable // by offset >> unit
	tail      unitTable // pages behind the last whole block of a THP mapping
}

// unitTable maps the index of a touched unit to its state.
type unitTable struct{ states sim.Sparse[unitState] }

// unitState is 0 (never touched), unitZero, or PFN<<1 | 1.
type unitState uint64

const unitZero unitState = 2 // reads see the shared zero page

func unitAt(p mmu.PFN) unitState  { return unitState(p)<<1 | 1 }
func (u unitState) present() bool { return u&1 != 0 }
func (u unitState) pfn() mmu.PFN  { return mmu.PFN(u >> 1) }

// NewHostMemory makes the empty address space of a process on the host.
func NewHostMemory(h *Host) *HostMemory {
	m := &HostMemory{host: h, mem: h.Machine.Mem, alloc: h.Machine.Alloc, page: h.Page, next: mmapBase}
	m.zero = m.alloc.Alloc(h.Page.Shift() - mmu.FrameShift)
	return m
}

// Map adds an anonymous mapping of size bytes, rounded up to pages of the
// backing and aligned to them, and returns its address. A size of 0, or one
// beyond the user address range, is a programming error.
func (h *HostMemory) Map(size uint64, b Backing, populated bool) mmu.HVA {
	align := uint64(1) << h.unitShift(b)
	m := &mapping{
		start: mmu.HVA(roundUp(uint64(h.next), align)), size: roundUp(size, h.page.Size()),
		backing: b, populated: populated, unit: h.unitShift(b),
	}
	if b != BackingTHP { // hugetlb hands out whole blocks; a THP tail is made of pages
		m.size = roundUp(size, align)
	}
	if size == 0 || !userRange(m.start, m.size) {
		panic("kvmcore: mapping of impossible size")
	}
	h.next = m.end() + mmu.HVA(h.page.Size()) // a guard page between any two
	h.mappings = append(h.mappings, m)
	return m.start
}

// MapAt adds a mapping of size bytes that lies in physical memory from pfn on and
// is there already: the RAM of an incoming VM, which the stream has filled. The
// frames are nobody else's and size is whole pages.
func (h *HostMemory) MapAt(size uint64, b Backing, pfn mmu.PFN) mmu.HVA {
	hva := h.Map(size, b, true)
	h.mappings[len(h.mappings)-1].fixed = pfn
	return hva
}

// unitShift is log2 of what the backing hands out at once.
func (h *HostMemory) unitShift(b Backing) uint {
	switch {
	case b == Backing4K:
		return h.page.Shift()
	case b == BackingHugetlb1G && h.page == mmu.Granule4K:
		return 30
	}
	return blockShift(h.page)
}

// Fault resolves a page of the process as a page fault does, assigning frames
// that are missing. EFAULT where nothing is mapped, ENOMEM when the machine has
// no frame left.
func (h *HostMemory) Fault(hva mmu.HVA, write bool) (HostPage, Errno) {
	m := h.find(hva)
	if m == nil {
		return HostPage{}, EFAULT
	}
	u := m.unitOf(hva, h.page)
	state := u.state()
	if !write && !state.present() && !m.populated && m.backing <= BackingTHP {
		// do_anonymous_page: a read of fresh memory maps the shared zero page.
		u.set(unitZero)
		return HostPage{PFN: h.zero, Block: h.page.Size()}, OK
	}
	if !state.present() {
		pfn := h.assign(u)
		if pfn == mmu.NoFrame {
			return HostPage{}, ENOMEM
		}
		u.set(unitAt(pfn))
	}
	p := HostPage{
		PFN:   u.pa(hva &^ mmu.HVA(h.page.Size()-1)).PFN(),
		Block: 1 << u.shift, Writable: true, Replaced: state == unitZero,
	}
	if p.Replaced { // wp_page_copy: the MMU notifier drops the zero page from every stage 2
		h.host.invalidate(u.start, p.Block)
	}
	return p, OK
}

// assign gives a unit its frames and has writes to them journalled.
func (h *HostMemory) assign(u unit) mmu.PFN {
	frames := uint64(1) << (u.shift - mmu.FrameShift)
	pfn := h.alloc.Alloc(u.shift - mmu.FrameShift)
	if pfn != mmu.NoFrame {
		h.mem.WatchRange(pfn, frames, uint64(u.start)>>mmu.FrameShift)
	}
	return pfn
}

// Read copies the process's memory at hva into p: EFAULT where nothing is mapped.
func (h *HostMemory) Read(hva mmu.HVA, p []byte) Errno {
	for len(p) > 0 {
		u, n := h.piece(hva, uint64(len(p)))
		switch {
		case n == 0:
			return EFAULT
		case u.state().present():
			h.mem.Read(u.pa(hva), p[:n])
		default:
			clear(p[:n])
		}
		p, hva = p[n:], hva+mmu.HVA(n)
	}
	return OK
}

// Write copies p to hva: the VMM's own store, or copy_to_user on its behalf.
// EFAULT where nothing is mapped, with what lies before written.
func (h *HostMemory) Write(hva mmu.HVA, p []byte, by mmu.Writer) Errno {
	for len(p) > 0 {
		_, n := h.piece(hva, uint64(len(p)))
		if n == 0 {
			return EFAULT
		}
		if _, e := h.Fault(hva, true); e != OK {
			return e
		}
		u, _ := h.piece(hva, n)
		h.mem.Write(u.pa(hva), p[:n], by)
		p, hva = p[n:], hva+mmu.HVA(n)
	}
	return OK
}

// Fill stores n bytes of value b at hva, as Write does.
func (h *HostMemory) Fill(hva mmu.HVA, n uint64, b byte, by mmu.Writer) Errno {
	for n > 0 {
		_, k := h.piece(hva, n)
		if k == 0 {
			return EFAULT
		}
		if _, e := h.Fault(hva, true); e != OK {
			return e
		}
		u, _ := h.piece(hva, k)
		h.mem.Fill(u.pa(hva), k, b, by)
		n, hva = n-k, hva+mmu.HVA(k)
	}
	return OK
}

// PFN returns the content frame that holds hva, false when none is assigned yet
// (the memory there reads as zero) or nothing is mapped.
func (h *HostMemory) PFN(hva mmu.HVA) (mmu.PFN, bool) {
	u, n := h.piece(hva, 1)
	if n == 0 || !u.state().present() {
		return 0, false
	}
	return u.pa(hva).PFN(), true
}

// unit is one entry of a unit table with the addresses it backs.
type unit struct {
	table *unitTable
	index uint64
	start mmu.HVA
	shift uint
	fixed mmu.PFN // its first frame if it was placed, 0 = the table says
}

func (u unit) pa(hva mmu.HVA) mmu.PA { return u.state().pfn().PA() + mmu.PA(hva-u.start) }

func (u unit) state() unitState {
	if u.fixed != 0 {
		return unitAt(u.fixed)
	}
	return u.table.get(u.index)
}
func (u unit) set(s unitState) { u.table.set(u.index, s) }

func (t *unitTable) get(i uint64) unitState {
	if s := t.states.Get(i); s != nil {
		return *s
	}
	return 0
}

func (t *unitTable) set(i uint64, s unitState) { *t.states.Make(i) = s }

// piece returns the unit that holds hva and how many of n bytes lie in it,
// 0 where nothing is mapped.
func (h *HostMemory) piece(hva mmu.HVA, n uint64) (unit, uint64) {
	m := h.find(hva)
	if m == nil {
		return unit{}, 0
	}
	u := m.unitOf(hva, h.page)
	return u, min(n, 1<<u.shift-uint64(hva-u.start))
}

// unitOf returns the unit of the mapping that holds hva.
func (m *mapping) unitOf(hva mmu.HVA, page mmu.Granule) unit {
	off, table, shift, base := uint64(hva-m.start), &m.units, m.unit, uint64(0)
	if whole := m.size >> shift << shift; off >= whole { // only THP has a tail
		off, base, table, shift = off-whole, whole, &m.tail, page.Shift()
	}
	i := off >> shift
	u := unit{table: table, index: i, start: m.start + mmu.HVA(base+i<<shift), shift: shift}
	if m.fixed != 0 {
		u.fixed = m.fixed + mmu.PFN(uint64(u.start-m.start)>>mmu.FrameShift)
	}
	return u
}

// find returns the mapping that holds hva.
func (h *HostMemory) find(hva mmu.HVA) *mapping {
	i := sort.Search(len(h.mappings), func(i int) bool { return h.mappings[i].end() > hva })
	if i == len(h.mappings) || h.mappings[i].start > hva {
		return nil
	}
	return h.mappings[i]
}

func (m *mapping) end() mmu.HVA { return m.start + mmu.HVA(m.size) }

func roundUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// blockShift is log2 of the block that one table of pages covers: 2, 32 or 512 MiB.
func blockShift(page mmu.Granule) uint { return page.Shift() + page.Shift() - 3 }

// userRange is access_ok with an untagged address.
func userRange(hva mmu.HVA, size uint64) bool {
	const limit = uint64(1) << userVABits
	return uint64(hva) <= limit && size <= limit-uint64(hva)
}
