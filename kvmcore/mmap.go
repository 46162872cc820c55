package kvmcore

// Prot is the protection of an mmap.
type Prot uint8

const (
	ProtRead  Prot = 1 << 0
	ProtWrite Prot = 1 << 1
	ProtExec  Prot = 1 << 2
)

// Pages of the vCPU's file that hold something besides the ring.
const (
	mmapRunPage       = 0 // struct kvm_run
	mmapCoalescedPage = 1 // KVM_COALESCED_MMIO_PAGE_OFFSET
)

// Mapping is a mapping of the vCPU's file in the VMM's address space.
type Mapping struct {
	VCPU   *VCPU
	Offset uint64 // first page of the file
	Pages  uint64 // length in host pages
}

// Mmap is mmap of the vCPU's file: offset in host pages, length in bytes
// (rounded up to pages). kvm_vcpu_mmap tests only the two end pages.
func (v *VCPU) Mmap(prot Prot, private bool, offset, length uint64) (Mapping, Errno) {
	exec := prot&ProtExec != 0
	if length == 0 {
		return Mapping{}, EINVAL
	}
	// Recorded: 7.2 refuses executable mappings of the file before it asks KVM.
	if exec && v.VM.Host.Kernel.Version >= 702 {
		return Mapping{}, EPERM
	}
	page := v.VM.Host.Page
	pages := (length-1)>>page.Shift() + 1
	if pages > 1<<(userVABits-page.Shift()) || offset+pages < offset {
		return Mapping{}, ENOMEM
	}
	if (v.ringPage(offset) || v.ringPage(offset+pages-1)) && (exec || private) {
		return Mapping{}, EINVAL
	}
	return Mapping{v, offset, pages}, OK
}

// Touch accesses page i of the mapping: false means SIGBUS. Access is decided
// page by page when it happens. kvm_vcpu_fault.
func (m Mapping) Touch(i uint64) bool {
	p := m.Offset + i
	return p == mmapRunPage || p == mmapCoalescedPage || m.VCPU.ringPage(p)
}

// ringPage is kvm_page_in_dirty_ring.
func (v *VCPU) ringPage(p uint64) bool {
	return p >= RingMmapPage && p < RingMmapPage+uint64(v.VM.RingSize)>>v.VM.Host.Page.Shift()
}
