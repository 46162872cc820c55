package workloads

import (
	"math/bits"

	"ringmap/mmu"
)

// itsTable is the size and alignment of the tables that the ITS is given.
const itsTable = 64 << 10

// ITSLayout is where an ITS's structures lie in guest memory.
type ITSLayout struct {
	Queue      mmu.IPA // command queue, 64 KiB: 2048 commands
	Devices    mmu.IPA // flat device table
	Collection mmu.IPA
	Config     mmu.IPA // LPI configuration table
	Pending    mmu.IPA // vCPU v's pending table is 64 KiB * v further
	ITT        mmu.IPA // device d's interrupt translation table is ITTStride * d further
	ITTStride  uint64
	End        mmu.IPA // first byte after all of them
	EventBits  uint
}

// Layout places the structures one after the other from s.Tables, each table on
// 64 KiB. Every device has its own page for its ITT, as drivers allocate it.
func (s ITSSpec) Layout(vcpus int) ITSLayout {
	at := s.Tables
	take := func(n uint64) mmu.IPA {
		here := at
		at += mmu.IPA((n + itsTable - 1) / itsTable * itsTable)
		return here
	}
	l := ITSLayout{EventBits: max(1, uint(bits.Len(uint(s.Events-1))))}
	l.Queue = take(itsTable)
	l.Devices = take(uint64(firstDevice+s.Devices) * 8)
	l.Collection = take(uint64(vcpus+1) * 8)
	l.Config = take(maxLPIs)
	l.Pending = take(uint64(vcpus) * itsTable)
	l.ITTStride = max(4096, uint64(8)<<l.EventBits)
	l.ITT = take(uint64(s.Devices) * l.ITTStride)
	l.End = at
	return l
}

// TableBytes is the guest memory that Layout needs from s.Tables.
func (s ITSSpec) TableBytes(vcpus int) uint64 { return uint64(s.Layout(vcpus).End - s.Tables) }
