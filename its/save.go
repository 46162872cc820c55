package its

import (
	"slices"

	"ringmap/mmu"
)

// What the 14 and 16 bits of `next` can say: a longer distance is cut short, and
// a restore then walks the rest one by one.
const (
	maxNextDevice = 1<<14 - 1
	maxNextEvent  = 1<<16 - 1
)

// OrphanRule is what Save does with an event that has no collection.
type OrphanRule uint8

const (
	OrphanZero OrphanRule = iota // its entry is cleared; the entry before still points to it
	OrphanSkip                   // its entry is cleared, and nothing points to it
	OrphanStop                   // Save stops with ErrOrphan
)

// SavePolicy are the rules for events without a collection, by what took it: a
// command (or an invalid collection table), or a restore that failed.
type SavePolicy struct {
	Deleted, Dropped OrphanRule
}

// Entry is a table entry that a save writes.
type Entry struct {
	Kind EntryKind
	ID   uint32 // DeviceID of a DTE or ITE, ICID of a CTE
	Sub  uint32 // EventID of an ITE
	Addr mmu.IPA
	Word uint64
}

// EntryKind is which table an entry is of.
type EntryKind uint8

const (
	EntryDevice     EntryKind = iota // DTE
	EntryEvent                       // ITE
	EntryCollection                  // CTE
	EntryEnd                         // the zero entry behind the last CTE
)

// Save writes all mappings into the tables: for each device by ID its ITEs and
// its DTE, then the CTEs. It stops at the first error; what was written stays.
// Without a valid device table it writes no devices, without a valid collection
// table no collections. vgic_its_save_tables_v0.
func (s *ITS) Save(m Machine, p SavePolicy) Error {
	if s.DeviceTable.Valid() {
		s.sortDevices()
	}
	return s.entries(m, p, func(e Entry) Error { return s.store(m, e.Addr, e.Word) })
}

// Entries visits what Save would write, where, and changes nothing. An error is
// what Save would stop at, memory that cannot be written aside.
func (s *ITS) Entries(m Machine, visit func(Entry)) Error {
	return s.entries(m, SavePolicy{}, func(e Entry) Error {
		visit(e)
		return None
	})
}

// entries gives the entries of all tables in the order of a save.
func (s *ITS) entries(m Machine, p SavePolicy, write func(Entry) Error) Error {
	if s.DeviceTable.Valid() {
		for i, d := range s.Devices {
			next := uint32(0)
			if i+1 < len(s.Devices) {
				next = min(s.Devices[i+1].ID-d.ID, maxNextDevice)
			}
			if err := s.deviceEntries(m, d, next, p, write); err != None {
				return err
			}
		}
	}
	if s.CollectionTable.Valid() {
		return s.collectionEntries(write)
	}
	return None
}

// sortDevices puts devices in the order in which they are saved. They are
// sorted; two of one ID trade places each time, as list_sort does with a
// comparison that knows no equality.
func (s *ITS) sortDevices() {
	for i := 0; i < len(s.Devices); {
		j := i + 1
		for j < len(s.Devices) && s.Devices[j].ID == s.Devices[i].ID {
			j++
		}
		slices.Reverse(s.Devices[i:j])
		i = j
	}
}

func (s *ITS) deviceEntries(m Machine, d *Device, next uint32, p SavePolicy, write func(Entry) Error) Error {
	addr, ok := s.deviceAddr(m, d.ID)
	if !ok {
		return ErrEntry
	}
	for i := range d.Events {
		e := &d.Events[i]
		w, err := s.ite(d, i, p)
		if err != None {
			return err
		}
		if err := write(Entry{EntryEvent, d.ID, e.ID, d.EventAddr(e.ID), uint64(w)}); err != None {
			return err
		}
	}
	w := DTE(0).WithValid(true).WithNext(next).WithITT(uint64(d.ITT)).WithEventBits(uint32(d.Bits))
	return write(Entry{EntryDevice, d.ID, 0, addr, uint64(w)})
}

// ite is the entry of the device's i-th event.
func (s *ITS) ite(d *Device, i int, p SavePolicy) (ITE, Error) {
	e := &d.Events[i]
	if s.collectionOf(e) == nil {
		if s.orphanRule(e, p) == OrphanStop {
			return 0, ErrOrphan
		}
		return 0, None
	}
	next := uint32(0)
	for j := i + 1; j < len(d.Events); j++ {
		n := &d.Events[j]
		if s.collectionOf(n) != nil || s.orphanRule(n, p) != OrphanSkip {
			next = min(n.ID-e.ID, maxNextEvent)
			break
		}
	}
	return ITE(0).WithNext(next).WithINTID(e.INTID).WithICID(e.ICID), None
}

func (s *ITS) orphanRule(e *Event, p SavePolicy) OrphanRule {
	if e.birth < s.RestoreDropped {
		return p.Dropped
	}
	return p.Deleted
}

// collectionEntries are the collections, mapped or not, in order of creation and
// one zero entry behind them unless the table is full.
func (s *ITS) collectionEntries(write func(Entry) Error) Error {
	t := s.CollectionTable
	addr := t.Base()
	for i := range s.Collections {
		c := &s.Collections[i]
		w := CTE(0).WithValid(true).WithRDbase(c.RDbase).WithICID(c.ICID)
		if err := write(Entry{EntryCollection, c.ICID, 0, addr, uint64(w)}); err != None {
			return err
		}
		addr += EntryBytes
	}
	if uint64(addr-t.Base()) == t.Bytes() {
		return None
	}
	return write(Entry{EntryEnd, 0, 0, addr, 0})
}
