package vmm

import (
	"math/bits"

	"ringmap/mmu"
)

// Board is the machine that userspace makes for a guest of machine code: where
// its devices are. The map is that of QEMU's virt board, hw/arm/virt.c.
//
//	0x0800_0000  GICD, ITS, GICR of the first 123 PEs
//	0x0900_0000  PL011, SMMUv3
//	0x1000_0000  window of PCIe memory
//	0x4000_0000  RAM, from here up
//	0x40_0000_0000, or behind more than 255 GiB of RAM: GICR of the other PEs,
//	             then ECAM, then a high window of PCIe memory
type Board struct {
	VCPUs    int
	RAM      []Range // slots of guest memory, the program's first
	Reserved uint64  // bytes at the end of the first slot that are not the guest's
	GIC      bool    // a GICv3 is there
	ITS      bool    // and its ITS

	Redist2  Range // of the PEs from RedistFirst on, empty if there are none
	ECAM     Range
	HighMMIO Range
}

// Range is a piece of guest physical address space.
type Range struct{ Base, Size uint64 }

// End is the first address behind the range.
func (r Range) End() uint64 { return r.Base + r.Size }

// Where devices are on every board.
const (
	GICDBase = 0x0800_0000
	ITSBase  = 0x0808_0000
	GICRBase = 0x080a_0000
	UARTBase = mmu.IPA(0x0900_0000)
	SMMUBase = 0x0905_0000
	PCIeMMIO = 0x1000_0000
	RAMBase  = 0x4000_0000

	// RedistFirst is how many PEs have their redistributors at GICRBase.
	RedistFirst = 123

	gicdBytes = 0x1_0000
	itsBytes  = 0x2_0000
	gicrBytes = 0x2_0000 // of a PE

	uartSPI = 1

	highBase      = 256 << 30 // or behind RAM
	redist2Bytes  = 64 << 20
	ecamBytes     = 256 << 20
	highMMIOBytes = 512 << 30
)

// NewBoard places the devices of a guest with that memory.
func NewBoard(vcpus int, ram []Range, reserved uint64) *Board {
	b := &Board{VCPUs: vcpus, RAM: ram, Reserved: reserved}
	at := uint64(highBase)
	for _, r := range ram {
		at = max(at, alignUp(r.End(), 1<<30))
	}
	place := func(size uint64) Range {
		r := Range{alignUp(at, size), size}
		at = r.End()
		return r
	}
	if redist2 := place(redist2Bytes); vcpus > RedistFirst {
		b.Redist2 = Range{redist2.Base, uint64(vcpus-RedistFirst) * gicrBytes}
	}
	b.ECAM = place(ecamBytes)
	b.HighMMIO = place(highMMIOBytes)
	return b
}

func alignUp(v, to uint64) uint64 { return (v + to - 1) &^ (to - 1) }

// AddressBits is how many bits of guest physical address the whole board needs.
func (b *Board) AddressBits() int { return bits.Len64(b.HighMMIO.End() - 1) }

// Device returns the name of a device whose frames overlap r, "" if none does.
func (b *Board) Device(r Range) string {
	for _, d := range []struct {
		name string
		at   Range
	}{
		{"the interrupt controller", Range{GICDBase, GICRBase - GICDBase + RedistFirst*gicrBytes}},
		{"the UART", Range{uint64(UARTBase), uartSize}},
		{"the redistributors", b.Redist2},
	} {
		if d.at.Size != 0 && r.Base < d.at.End() && d.at.Base < r.End() {
			return d.name
		}
	}
	return ""
}
