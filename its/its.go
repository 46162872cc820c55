// Package its is the architecture of a GICv3 with its Interrupt Translation Service
// and the LPIs behind it: what the words in its registers, command queue and tables
// mean, what each command does, and how its state is laid out in memory. How an
// interrupt is routed, taken and ended: gic.go, cpuif.go and, for a guest, virtual.go.
//
//	device ──DeviceID, EventID──►  device ──► event ──► INTID  ──► LPI ──► PE
//	                                 │          └─────► ICID ─► collection ─┘
//	                                 ▼          ▼                 ▼
//	guest memory:                   DTE        ITE               CTE    config byte,
//	                             (flat or     (ITT)                     pending bit
//	                              2 levels)
//
// The ITS keeps devices, events, collections and LPIs as plain data, as an ITS
// may; the tables in memory are read and written by Save, Restore and the
// commands that clear an entry, in the format of ABI revision 0. What software
// may leave undefined, and which registers accept what, is the emulator's
// business: see package kvmcore.
//
// Sources: IHI 0069 chapters 5 (LPIs, ITS, commands) and 9 (registers);
// Documentation/virt/kvm/devices/arm-vgic-its.rst (saved tables); bit layouts in
// layout.txt.
package its

import (
	"fmt"

	"ringmap/mmu"
	"ringmap/sim"
)

// Limits of the architecture as this ITS implements it.
const (
	DeviceBits = 16 // GITS_TYPER.Devbits
	EventBits  = 16 // GITS_TYPER.ID_bits
	INTIDBits  = 16 // GICD_TYPER.IDbits with LPIs

	FirstLPI = 8192 // LPIs are the INTIDs from here on

	EntryBytes   = 8  // of DTE, ITE, CTE and level 1 entries in ABI revision 0
	CommandBytes = 32 // of a queue element

	TablePage = 64 << 10 // bytes of a page of a device or collection table
	QueuePage = 4 << 10  // bytes of a page of the command queue
)

// Values of BASER.Type.
const (
	TableNone       = 0
	TableDevice     = 1
	TableVPE        = 2
	TableCollection = 4
)

// Unmapped is the RDbase of a collection without a PE.
const Unmapped = 0xffff_ffff

// Limits of what the kernel's allocations bear: beyond them a mapping fails with
// ErrCapacity. 57344 LPIs exist, so a guest that wants more events than this
// shares LPIs between them for no reason but to exhaust its host.
const (
	maxEvents  = 1 << 20
	maxDevices = 1 << 17
)

// Machine is what an ITS needs of the machine around it.
type Machine interface {
	// ReadGuest and WriteGuest access guest memory: ErrAccess where there is none.
	ReadGuest(ipa mmu.IPA, p []byte) Error
	WriteGuest(ipa mmu.IPA, p []byte) Error
	// Visible tells whether the page of ipa is guest memory.
	Visible(ipa mmu.IPA) bool
	// PE finds a PE by its processor number.
	PE(rdbase uint32) (pe int32, ok bool)
	// PropBase is the configuration table of all LPIs, PendBase the pending
	// table of a PE.
	PropBase() PROPBASER
	PendBase(pe int32) PENDBASER
	// Changed is told that an LPI may have to be delivered now: it became pending,
	// or its configuration was read.
	Changed(l *LPI)
	// Moved is told that an LPI has another target, or is not pending any more.
	Moved(l *LPI)
	// NewLPI gives an LPI that has just been mapped its first state.
	NewLPI(l *LPI) Error
	// Trigger handles an interrupt of a device: what an MSI does, and INT.
	Trigger(device, event uint32) Error
}

// Error is why an operation failed. Errors of commands carry the codes of
// IHI 0069 5.3; the others are this package's.
type Error uint32

const (
	None Error = 0

	ErrAccess   Error = 1 // guest memory could not be accessed
	ErrEntry    Error = 2 // a table entry or table address makes no sense
	ErrExists   Error = 3 // the collection exists already
	ErrCapacity Error = 4 // out of memory for objects
	ErrDisabled Error = 5 // the ITS or the PE's LPIs are disabled
	ErrOpcode   Error = 6 // no such command
	ErrOrphan   Error = 7 // an event without a collection has no ITE (Save)

	MoviUnmappedInterrupt    Error = 0x010107
	MoviUnmappedCollection   Error = 0x010109
	IntUnmappedInterrupt     Error = 0x010307
	ClearUnmappedInterrupt   Error = 0x010507
	MapdDeviceOOR            Error = 0x010801
	MapdITTSizeOOR           Error = 0x010802
	MapcProcnumOOR           Error = 0x010902
	MapcCollectionOOR        Error = 0x010903
	MaptiUnmappedDevice      Error = 0x010a04
	MaptiIDOOR               Error = 0x010a05
	MaptiPhysicalIDOOR       Error = 0x010a06
	InvUnmappedInterrupt     Error = 0x010c07
	InvallUnmappedCollection Error = 0x010d09
	MovallProcnumOOR         Error = 0x010e01
	DiscardUnmappedInterrupt Error = 0x010f07
)

// ITS is the state of one Interrupt Translation Service.
type ITS struct {
	Enabled         bool
	CBASER          CBASER
	CREADR, CWRITER uint64 // byte offsets into the queue
	DeviceTable     BASER
	CollectionTable BASER

	Devices     []*Device    // ascending by ID; two of one ID only after failed restores
	Collections []Collection // in order of creation
	LPIs        *LPIs        // those of the whole machine, shared by its ITSs

	// MovesAll makes MOVALL move every LPI of the machine, not those of one PE alone.
	MovesAll bool

	// Epoch counts the changes after which a translation that somebody cached
	// may be wrong.
	Epoch uint64

	// RestoreDropped is nextBirth at the last restore that failed and dropped
	// all collections: older events lost theirs to it.
	RestoreDropped uint32

	// Scanned counts the table entries that restores have looked at.
	Scanned uint64

	nextBirth uint32
	events    int
	buf       [CommandBytes]byte
}

// Device is an entry of the device table.
type Device struct {
	ID     uint32
	Bits   uint8   // of its EventIDs, 1 to 16
	ITT    mmu.IPA // its interrupt translation table
	Events []Event // ascending by ID
}

// Event is an interrupt translation entry.
type Event struct {
	ID    uint32
	INTID uint32
	ICID  uint32
	birth uint32 // of its collection; a later collection of that ICID is not its own
}

// Collection routes events to a PE.
type Collection struct {
	ICID   uint32
	RDbase uint32 // processor number, Unmapped = none
	birth  uint32 // counts collections as they come to be
}

// Mapped tells whether the collection has a PE.
func (c *Collection) Mapped() bool { return c != nil && c.RDbase != Unmapped }

// New returns an ITS without mappings.
func New(lpis *LPIs) *ITS { return &ITS{LPIs: lpis, nextBirth: 1} }

// Translate finds the LPI and the PE of an interrupt of a device.
func (s *ITS) Translate(m Machine, device, event uint32) (*LPI, int32, Error) {
	_, e := s.find(device, event)
	if e == nil {
		return nil, 0, IntUnmappedInterrupt
	}
	c := s.collectionOf(e)
	if !c.Mapped() {
		return nil, 0, IntUnmappedInterrupt
	}
	pe, ok := m.PE(c.RDbase)
	if !ok {
		return nil, 0, IntUnmappedInterrupt
	}
	return s.LPIs.Get(e.INTID), pe, None
}

// Device finds a device, nil if it is not mapped.
func (s *ITS) Device(id uint32) *Device {
	if i := s.deviceIndex(id); i < len(s.Devices) && s.Devices[i].ID == id {
		return s.Devices[i]
	}
	return nil
}

// deviceIndex is where the first device of id is, or belongs.
func (s *ITS) deviceIndex(id uint32) int {
	lo, hi := 0, len(s.Devices)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.Devices[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// addDevice appends a device to those of its ID.
func (s *ITS) addDevice(id uint32, bits uint8, itt mmu.IPA) (*Device, Error) {
	if len(s.Devices) >= maxDevices {
		return nil, ErrCapacity
	}
	i := s.deviceIndex(id)
	for i < len(s.Devices) && s.Devices[i].ID == id {
		i++
	}
	d := &Device{ID: id, Bits: bits, ITT: itt}
	s.Devices = append(s.Devices, nil)
	copy(s.Devices[i+1:], s.Devices[i:])
	s.Devices[i] = d
	return d, None
}

// freeDevice removes a device with its events.
func (s *ITS) freeDevice(d *Device) {
	for i := range d.Events {
		s.LPIs.put(d.Events[i].INTID)
	}
	s.events -= len(d.Events)
	d.Events = nil
	s.Epoch++
	i := s.deviceIndex(d.ID)
	for s.Devices[i] != d {
		i++
	}
	copy(s.Devices[i:], s.Devices[i+1:])
	s.Devices[len(s.Devices)-1] = nil
	s.Devices = s.Devices[:len(s.Devices)-1]
}

// DropDevices removes all devices with their events.
func (s *ITS) DropDevices() {
	for _, d := range s.Devices {
		for i := range d.Events {
			s.LPIs.put(d.Events[i].INTID)
		}
		s.Epoch++
	}
	s.Devices, s.events = nil, 0
}

// find finds a device's event.
func (s *ITS) find(device, event uint32) (*Device, *Event) {
	d := s.Device(device)
	if d == nil {
		return nil, nil
	}
	if i := d.index(event); i < len(d.Events) && d.Events[i].ID == event {
		return d, &d.Events[i]
	}
	return d, nil
}

// index is where the event is, or belongs.
func (d *Device) index(event uint32) int {
	n := len(d.Events)
	if n == 0 || d.Events[n-1].ID < event { // events mostly come in order
		return n
	}
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if d.Events[mid].ID < event {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// addEvent maps an event that is not mapped.
func (s *ITS) addEvent(d *Device, e Event) {
	i := d.index(e.ID)
	d.Events = append(d.Events, Event{})
	copy(d.Events[i+1:], d.Events[i:])
	d.Events[i] = e
	s.events++
}

// freeEvent removes an event that is mapped.
func (s *ITS) freeEvent(d *Device, event uint32) {
	i := d.index(event)
	s.LPIs.put(d.Events[i].INTID)
	d.Events = append(d.Events[:i], d.Events[i+1:]...)
	s.events--
}

// Collection finds a collection, nil if there is none.
func (s *ITS) Collection(icid uint32) *Collection {
	if int(icid) < len(s.Collections) && s.Collections[icid].ICID == icid {
		return &s.Collections[icid] // Linux maps one per CPU, in order
	}
	for i := range s.Collections {
		if s.Collections[i].ICID == icid {
			return &s.Collections[i]
		}
	}
	return nil
}

// collectionOf is the collection of an event: nil after it was deleted, even if
// one of the same ICID has been created since.
func (s *ITS) collectionOf(e *Event) *Collection {
	if c := s.Collection(e.ICID); c != nil && c.birth == e.birth {
		return c
	}
	return nil
}

// Orphan tells whether an event's collection is gone.
func (s *ITS) Orphan(e *Event) bool { return s.collectionOf(e) == nil }

// addCollection creates a collection without a PE.
func (s *ITS) addCollection(icid uint32) *Collection {
	s.Collections = append(s.Collections, Collection{ICID: icid, RDbase: Unmapped, birth: s.nextBirth})
	s.nextBirth++
	return &s.Collections[len(s.Collections)-1]
}

// freeCollection deletes a collection; its events stay without one.
func (s *ITS) freeCollection(icid uint32) {
	for i := range s.Collections {
		if s.Collections[i].ICID == icid {
			s.Collections = append(s.Collections[:i], s.Collections[i+1:]...)
			return
		}
	}
}

// DropCollections deletes all collections; events stay without one.
func (s *ITS) DropCollections() { s.Collections = s.Collections[:0] }

// QueueBytes is the size of the command queue.
func (s *ITS) QueueBytes() uint64 { return uint64(s.CBASER.Pages()) * QueuePage }

// Sync saves, restores or hashes the ITS. LPIs are synced by their owner, before.
func (s *ITS) Sync(c *sim.Codec) {
	c.Tag("its")
	c.Bool(&s.Enabled)
	sim.Uint(c, &s.CBASER)
	c.U64(&s.CREADR)
	c.U64(&s.CWRITER)
	sim.Uint(c, &s.DeviceTable)
	sim.Uint(c, &s.CollectionTable)
	c.U64(&s.Epoch)
	c.U32(&s.RestoreDropped)
	c.U64(&s.Scanned)
	c.U32(&s.nextBirth)
	sim.Slice(c, &s.Devices, func(c *sim.Codec, p **Device) {
		if *p == nil {
			*p = new(Device)
		}
		(*p).sync(c)
	})
	sim.Slice(c, &s.Collections, func(c *sim.Codec, p *Collection) {
		c.U32(&p.ICID)
		c.U32(&p.RDbase)
		c.U32(&p.birth)
	})
	if c.Loading() {
		c.Fail(s.rebuild())
	}
}

// rebuild derives what Sync leaves out and checks what the rest relies on.
func (s *ITS) rebuild() error {
	if q := s.QueueBytes(); (s.CREADR|s.CWRITER)%CommandBytes != 0 || s.CREADR >= q || s.CWRITER >= q {
		return fmt.Errorf("queue offsets %#x and %#x of %#x bytes", s.CREADR, s.CWRITER, q)
	}
	s.events = 0
	last := -1
	for _, d := range s.Devices {
		if int(d.ID) < last || d.ID>>DeviceBits != 0 || d.Bits < 1 || d.Bits > EventBits {
			return fmt.Errorf("device %#x with %d event bits is out of order or range", d.ID, d.Bits)
		}
		last = int(d.ID)
		next := uint32(0)
		for i := range d.Events {
			e := &d.Events[i]
			if e.ID < next || e.ID>>d.Bits != 0 || s.LPIs.Get(e.INTID) == nil {
				return fmt.Errorf("device %#x: event %#x of LPI %d is out of order or range", d.ID, e.ID, e.INTID)
			}
			next = e.ID + 1
		}
		s.events += len(d.Events)
	}
	return nil
}

func (d *Device) sync(c *sim.Codec) {
	c.U32(&d.ID)
	c.U8(&d.Bits)
	sim.Uint(c, &d.ITT)
	sim.Slice(c, &d.Events, func(c *sim.Codec, e *Event) {
		c.U32(&e.ID)
		c.U32(&e.INTID)
		c.U32(&e.ICID)
		c.U32(&e.birth)
	})
}
