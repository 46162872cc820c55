package its

import (
	"encoding/binary"

	"ringmap/mmu"
)

// Base is the table's address: bits 51:48 come from below when pages are 64 KiB.
func (w BASER) Base() mmu.IPA {
	return mmu.IPA(w.Addr()) | mmu.IPA(w.AddrHigh())<<48
}

// Bytes is the size of the table, or of its first level.
func (w BASER) Bytes() uint64 { return uint64(w.Pages()) * TablePage }

// deviceAddr finds a device's entry: in the flat table, or in the page that the
// level 1 entry names. ok is false when the DeviceID has no entry in guest memory.
// IHI 0069 5.2; vgic_its_check_id.
func (s *ITS) deviceAddr(m Machine, id uint32) (addr mmu.IPA, ok bool) {
	t := s.DeviceTable
	if id>>DeviceBits != 0 {
		return 0, false
	}
	if !t.Indirect() {
		return flatAddr(m, t, id)
	}
	if uint64(id/entriesPerPage) >= t.Bytes()/EntryBytes {
		return 0, false
	}
	w, err := s.load(m, s.Level1(id))
	if l1 := L1E(w); err == None && l1.Valid() {
		addr = mmu.IPA(l1.Addr()) + mmu.IPA(id%entriesPerPage*EntryBytes)
		return addr, m.Visible(addr)
	}
	return 0, false
}

// entriesPerPage are those of a page of the second level.
const entriesPerPage = TablePage / EntryBytes

// Level1 is the address of the level 1 entry that leads to a device's entry; 0 in a
// table with one level.
func (s *ITS) Level1(id uint32) mmu.IPA {
	if !s.DeviceTable.Indirect() {
		return 0
	}
	return s.DeviceTable.Base() + mmu.IPA(id/entriesPerPage*EntryBytes)
}

// collectionFits tells whether a collection ID has an entry in the table.
func (s *ITS) collectionFits(m Machine, icid uint32) bool {
	_, ok := flatAddr(m, s.CollectionTable, icid)
	return ok
}

// flatAddr finds an entry of a table with one level.
func flatAddr(m Machine, t BASER, id uint32) (mmu.IPA, bool) {
	if uint64(id) >= t.Bytes()/EntryBytes {
		return 0, false
	}
	addr := t.Base() + mmu.IPA(id)*EntryBytes
	return addr, m.Visible(addr)
}

// EventAddr is the address of an event's entry in the device's ITT.
func (d *Device) EventAddr(event uint32) mmu.IPA {
	return d.ITT + mmu.IPA(event)*EntryBytes
}

// eventFits tells whether the event has an entry in the device's ITT.
func (d *Device) eventFits(m Machine, event uint32) bool {
	return event>>d.Bits == 0 && m.Visible(d.EventAddr(event))
}

// load reads an entry.
func (s *ITS) load(m Machine, addr mmu.IPA) (uint64, Error) {
	b := s.buf[:EntryBytes]
	err := m.ReadGuest(addr, b)
	return binary.LittleEndian.Uint64(b), err
}

// store writes an entry.
func (s *ITS) store(m Machine, addr mmu.IPA, w uint64) Error {
	b := s.buf[:EntryBytes]
	binary.LittleEndian.PutUint64(b, w)
	return m.WriteGuest(addr, b)
}

// LoadCommand reads the element of the command queue at a byte offset.
func (s *ITS) LoadCommand(m Machine, offset uint64) (cmd Command, err Error) {
	b := s.buf[:CommandBytes]
	err = m.ReadGuest(mmu.IPA(s.CBASER.Addr())+mmu.IPA(offset), b)
	for i := range cmd {
		cmd[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return cmd, err
}
