// Package mmu is the memory side of the simulated machine: sparse physical
// memory, VMSAv8-64 tables of both stages as descriptors in that memory, the
// walkers, the TLBs, and the micro-ops with which software touches all of it.
//
//	VA ───TLB hit, both stages in one──────────┐
//	 │ miss                                    ▼
//	 └──► stage-1 walker ──IPA──► stage 2 ──► PA
//
//	IPA ──TLB hit──────────────► PA ──► Memory (frames, versions, journal)
//	 │ miss                       ▲
//	 └──► walker ──descriptors────┘        kernel edits = micro-op programs
//
// Sources: Arm ARM DDI 0487, chapters D8.1 to D8.5 (VMSAv8-64 translation,
// descriptors, stage-2 attributes, TLB maintenance).
package mmu

// Addresses of different spaces are different types: mixing them does not compile.
type (
	PA  uint64 // physical address of the simulated machine, bytes
	IPA uint64 // intermediate physical (guest physical) address, bytes
	VA  uint64 // virtual address, bytes
	HVA uint64 // host virtual address in the VMM's process, bytes

	PFN uint64 // physical frame number, always in 4 KiB frames: PA >> FrameShift
	GFN uint64 // guest frame number in host pages: IPA >> log2(host page size)
)

// FrameShift is log2 of the content frame. Memory keeps contents in 4 KiB
// frames whatever the translation granule is.
const FrameShift = 12

// FrameSize is the size of a content frame in bytes.
const FrameSize = 1 << FrameShift

// PFN returns the frame that holds pa.
func (pa PA) PFN() PFN { return PFN(pa >> FrameShift) }

// PA returns the address of the frame's first byte.
func (p PFN) PA() PA { return PA(p) << FrameShift }

// Granule is a translation granule of VMSAv8-64. DDI 0487 D8.1.
type Granule uint8

// The three architected granules; the value is log2 of the page size.
const (
	Granule4K  Granule = 12
	Granule16K Granule = 14
	Granule64K Granule = 16
)

// Shift is log2 of the page size.
func (g Granule) Shift() uint { return uint(g) }

// Size is the page size in bytes.
func (g Granule) Size() uint64 { return 1 << g }

// GFN returns the guest frame of ipa at granule g.
func (g Granule) GFN(ipa IPA) GFN { return GFN(ipa >> g) }

// IPA returns the first address of guest frame gfn at granule g.
func (g Granule) IPA(gfn GFN) IPA { return IPA(gfn) << g }

// Access is what an access wants of a translation.
type Access uint8

const (
	AccessRead Access = iota
	AccessWrite
	AccessFetch
)

// Writer names who wrote a frame last, for the audit and for decoded code.
// Values below WriterKernel are vCPU numbers.
type Writer uint16

const (
	WriterKernel Writer = 0xff00 + iota // kernel on behalf of no vCPU (ITS, pending tables)
	WriterVMM                           // userspace through its own mapping
	WriterDMA                           // a device
	WriterImage                         // loader, before time starts
)
