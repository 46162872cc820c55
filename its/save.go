package its

import "slices"

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

// Save writes all mappings into the tables: for each device by ID its ITEs and
// its DTE, then the CTEs. It stops at the first error; what was written stays.
// Without a valid device table it writes no devices, without a valid collection
// table no collections. vgic_its_save_tables_v0.
func (s *ITS) Save(m Machine, p SavePolicy) Error {
	if s.DeviceTable.Valid() {
		s.sortDevices()
		for i, d := range s.Devices {
			next := uint32(0)
			if i+1 < len(s.Devices) {
				next = min(s.Devices[i+1].ID-d.ID, maxNextDevice)
			}
			if err := s.saveDevice(m, d, next, p); err != None {
				return err
			}
		}
	}
	if s.CollectionTable.Valid() {
		return s.saveCollections(m)
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

func (s *ITS) saveDevice(m Machine, d *Device, next uint32, p SavePolicy) Error {
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
		if err := s.store(m, d.eventAddr(e.ID), uint64(w)); err != None {
			return err
		}
	}
	w := DTE(0).WithValid(true).WithNext(next).WithITT(uint64(d.ITT)).WithEventBits(uint32(d.Bits))
	return s.store(m, addr, uint64(w))
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

// saveCollections writes the collections, mapped or not, in order of creation and
// one zero entry behind them unless the table is full.
func (s *ITS) saveCollections(m Machine) Error {
	t := s.CollectionTable
	addr := t.Base()
	for i := range s.Collections {
		c := &s.Collections[i]
		w := CTE(0).WithValid(true).WithRDbase(c.RDbase).WithICID(c.ICID)
		if err := s.store(m, addr, uint64(w)); err != None {
			return err
		}
		addr += EntryBytes
	}
	if uint64(addr-t.Base()) == t.Bytes() {
		return None
	}
	return s.store(m, addr, 0)
}
