package its

import (
	"encoding/binary"

	"ringmap/mmu"
)

// Restore reads the mappings back from the tables: the collections, then the
// devices with their events. A collection that cannot be restored drops all
// collections; a device or event that cannot drops devices and collections.
// Pending bits that were consumed on the way stay consumed.
// vgic_its_restore_tables_v0.
func (s *ITS) Restore(m Machine) Error {
	r := restorer{s: s, m: m}
	if err := r.collections(); err != None {
		s.dropRestored()
		return err
	}
	if err := r.devices(); err != None {
		s.DropDevices()
		s.dropRestored()
		return err
	}
	return None
}

// dropRestored drops all collections because a restore failed.
func (s *ITS) dropRestored() {
	s.DropCollections()
	s.RestoreDropped = s.nextBirth
}

// restorer is one restore. The tables come from a guest: the work that one can
// ask for is bounded by reading each piece of a table that holds no valid entry
// once only, however often other entries refer to it.
type restorer struct {
	s *ITS
	m Machine

	pieces [3]piece             // what is read at present: level 1, device entries, ITEs
	empty  map[mmu.IPA]struct{} // pieces without a valid entry (bit 0: as ITEs)
}

// pieceBytes is how much of a table is read at once. Entries do not cross pieces,
// and a piece lies within one page of the guest's memory.
const pieceBytes = 4 << 10

// maxEmpty bounds the memory that a restore spends on remembering.
const maxEmpty = 1 << 16

// piece is an aligned piece of a table.
type piece struct {
	addr   mmu.IPA
	read   bool
	writes uint64 // pending-table writes before it was read: later ones may hit it
	b      [pieceBytes]byte
}

// The levels of tables that a restore is in, and the bits without which an entry
// at that level is invalid.
const (
	levelL1 = iota
	levelDTE
	levelITE
)

var validBits = [3]uint64{
	levelL1:  uint64(L1E(0).WithValid(true)),
	levelDTE: uint64(DTE(0).WithValid(true)),
	levelITE: uint64(ITE(0).WithINTID(0xffff_ffff)),
}

// collections reads the dense list of CTEs up to the first invalid one.
func (r *restorer) collections() Error {
	s, m, t := r.s, r.m, r.s.CollectionTable
	if !t.Valid() {
		return None
	}
	for addr, end := t.Base(), t.Base()+mmu.IPA(t.Bytes()); addr < end; addr += EntryBytes {
		w, err := s.load(m, addr)
		if err != None {
			return err
		}
		s.Scanned++
		e := CTE(w)
		if !e.Valid() {
			return None
		}
		if _, ok := m.PE(e.RDbase()); !ok && e.RDbase() != Unmapped {
			return ErrEntry
		}
		if s.Collection(e.ICID()) != nil {
			return ErrExists
		}
		if !s.collectionFits(m, e.ICID()) {
			return ErrEntry
		}
		s.addCollection(e.ICID()).RDbase = e.RDbase()
	}
	return None
}

// devices reads the device table. An entry with next = 0 ends the whole scan,
// also of a table with two levels.
func (r *restorer) devices() Error {
	t := r.s.DeviceTable
	if !t.Valid() {
		return None
	}
	if !t.Indirect() {
		_, err := r.scan(levelDTE, t.Base(), t.Bytes(), 0, r.device)
		return err
	}
	_, err := r.scan(levelL1, t.Base(), t.Bytes(), 0, func(index uint32, w uint64) (uint32, Error) {
		last, err := r.scan(levelDTE, mmu.IPA(L1E(w).Addr()), TablePage, index*entriesPerPage, r.device)
		if last || err != None {
			return 0, err
		}
		return 1, None
	})
	return err
}

// device restores a valid device entry and returns the distance to the next.
func (r *restorer) device(id uint32, w uint64) (uint32, Error) {
	s, e := r.s, DTE(w)
	if e.EventBits() > EventBits {
		return 0, ErrEntry
	}
	if _, ok := s.deviceAddr(r.m, id); !ok {
		return 0, ErrEntry
	}
	d, err := s.addDevice(id, uint8(e.EventBits()), mmu.IPA(e.ITT()))
	if err != None {
		return 0, err
	}
	_, err = r.scan(levelITE, d.ITT, EntryBytes<<d.Bits, 0, func(id uint32, w uint64) (uint32, Error) {
		return r.event(d, id, w)
	})
	if err != None {
		s.freeDevice(d)
		return 0, err
	}
	return e.Next(), None
}

// event restores a valid ITE and returns the distance to the next.
func (r *restorer) event(d *Device, id uint32, w uint64) (uint32, Error) {
	s, e := r.s, ITE(w)
	if e.INTID() < FirstLPI || uint64(id)+uint64(e.Next()) >= 1<<d.Bits {
		return 0, ErrEntry
	}
	c := s.Collection(e.ICID())
	if c == nil || !d.eventFits(r.m, id) {
		return 0, ErrEntry
	}
	if err := s.mapEvent(r.m, d, c, id, e.INTID()); err != None {
		return 0, err
	}
	return e.Next(), None
}

// scan visits the valid entries of a table of the given size, whose first entry
// has the ID first: visit returns the distance to the next entry to look at. It
// ends at the end of the table, which a distance may well jump over, or, with
// last, when visit returns 0. scan_its_table.
func (r *restorer) scan(level int, base mmu.IPA, bytes uint64, first uint32,
	visit func(id uint32, w uint64) (uint32, Error)) (last bool, err Error) {
	p, valid := &r.pieces[level], validBits[level]
	p.read = false
	for off, id := uint64(0), first; off < bytes; {
		addr := base + mmu.IPA(off)
		skip, err := r.load(level, addr)
		if err != None {
			return false, err
		}
		if skip {
			n := pieceBytes - uint64(addr)%pieceBytes
			r.s.Scanned += min(n, bytes-off) / EntryBytes
			off, id = off+n, id+uint32(n/EntryBytes)
			continue
		}
		w := binary.LittleEndian.Uint64(p.b[addr%pieceBytes:])
		r.s.Scanned++
		next := uint32(1)
		if w&valid != 0 {
			if next, err = visit(id, w); next == 0 || err != None {
				return true, err
			}
		}
		off, id = off+uint64(next)*EntryBytes, id+next
	}
	return false, None
}

// load makes sure that the level's piece is the one of addr. skip tells that it
// holds no valid entry.
func (r *restorer) load(level int, addr mmu.IPA) (skip bool, err Error) {
	p, at := &r.pieces[level], addr&^(pieceBytes-1)
	if p.read && p.addr == at && p.writes == r.s.LPIs.writes {
		return false, None
	}
	key := at
	if level == levelITE {
		key |= 1
	}
	if _, ok := r.empty[key]; ok {
		return true, None
	}
	if err := r.m.ReadGuest(at, p.b[:]); err != None {
		return false, err
	}
	p.addr, p.read, p.writes = at, true, r.s.LPIs.writes
	for i := 0; i < pieceBytes; i += EntryBytes {
		if binary.LittleEndian.Uint64(p.b[i:])&validBits[level] != 0 {
			return false, None
		}
	}
	// Restoring only ever clears bits of guest memory: a piece stays empty.
	if len(r.empty) < maxEmpty {
		if r.empty == nil {
			r.empty = map[mmu.IPA]struct{}{}
		}
		r.empty[key] = struct{}{}
	}
	p.read = false
	return true, None
}
