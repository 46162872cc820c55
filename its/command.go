package its

import "ringmap/mmu"

// Execute carries out a command and returns why it could not. What the device
// then reports, and whether the queue stalls, is up to the emulator.
// IHI 0069 5.3; vgic_its_handle_command.
func (s *ITS) Execute(m Machine, cmd Command) Error {
	switch uint8(cmd.Opcode()) {
	case OpMAPD:
		return s.mapd(m, cmd)
	case OpMAPC:
		return s.mapc(m, cmd)
	case OpMAPTI:
		return s.mapti(m, cmd, cmd.INTID())
	case OpMAPI:
		return s.mapti(m, cmd, cmd.EventID())
	case OpMOVI:
		return s.movi(m, cmd)
	case OpDISCARD:
		return s.discard(m, cmd)
	case OpINV:
		return s.inv(m, cmd)
	case OpINVALL:
		return s.invall(m, cmd)
	case OpMOVALL:
		return s.movall(m, cmd)
	case OpINT:
		return m.Trigger(cmd.DeviceID(), cmd.EventID())
	case OpCLEAR:
		return s.clear(m, cmd)
	case OpSYNC:
		return None // nothing is ever outstanding
	}
	return ErrOpcode
}

// mapd maps a device to its ITT, or unmaps it. A device that was mapped loses its
// events in either case. Unmapping clears the entry in memory, even of a device
// that was not mapped, so that no stale one is ever restored.
func (s *ITS) mapd(m Machine, cmd Command) Error {
	addr, ok := s.deviceAddr(m, cmd.DeviceID())
	switch {
	case !ok:
		return MapdDeviceOOR
	case cmd.Valid() && cmd.EventBits() > EventBits:
		return MapdITTSizeOOR
	}
	if d := s.Device(cmd.DeviceID()); d != nil {
		s.freeDevice(d)
	}
	if !cmd.Valid() {
		return s.store(m, addr, 0)
	}
	_, err := s.addDevice(cmd.DeviceID(), uint8(cmd.EventBits()), mmu.IPA(cmd.ITT()))
	return err
}

// mapc maps a collection to a PE, taking its events' LPIs along, or deletes it:
// its events then have none and their LPIs stay where they are.
func (s *ITS) mapc(m Machine, cmd Command) Error {
	if !cmd.Valid() {
		s.freeCollection(cmd.ICID())
		s.Epoch++
		return None
	}
	pe, ok := m.PE(cmd.RDbase())
	if !ok {
		return MapcProcnumOOR
	}
	c := s.Collection(cmd.ICID())
	if c == nil {
		if !s.collectionFits(m, cmd.ICID()) {
			return MapcCollectionOOR
		}
		s.addCollection(cmd.ICID()).RDbase = cmd.RDbase()
		return None
	}
	c.RDbase = cmd.RDbase()
	for _, d := range s.Devices {
		for i := range d.Events {
			if e := &d.Events[i]; e.birth == c.birth {
				l := s.LPIs.Get(e.INTID)
				l.Target = pe
				m.Moved(l)
			}
		}
	}
	return None
}

// mapti maps an event to an LPI and a collection. An event that is mapped stays
// as it is: mapping it twice is unpredictable. A collection that does not exist
// is created without a PE.
func (s *ITS) mapti(m Machine, cmd Command, intid uint32) Error {
	d := s.Device(cmd.DeviceID())
	switch {
	case d == nil:
		return MaptiUnmappedDevice
	case !d.eventFits(m, cmd.EventID()):
		return MaptiIDOOR
	case intid < FirstLPI || intid >= m.PropBase().Limit():
		return MaptiPhysicalIDOOR
	}
	if _, e := s.find(d.ID, cmd.EventID()); e != nil {
		return None
	}
	c, created := s.Collection(cmd.ICID()), false
	if c == nil {
		if !s.collectionFits(m, cmd.ICID()) {
			return MapcCollectionOOR
		}
		c, created = s.addCollection(cmd.ICID()), true
	}
	err := s.mapEvent(m, d, c, cmd.EventID(), intid)
	if err != None && created {
		s.freeCollection(cmd.ICID())
	}
	return err
}

// mapEvent maps an event that is not mapped to an LPI, which may exist: events of
// one INTID share it.
func (s *ITS) mapEvent(m Machine, d *Device, c *Collection, event, intid uint32) Error {
	if s.events >= maxEvents {
		return ErrCapacity
	}
	target := int32(NoPE)
	if c.Mapped() {
		if pe, ok := m.PE(c.RDbase); ok {
			target = pe
		}
	}
	e := Event{ID: event, INTID: intid, ICID: c.ICID, birth: c.birth}
	if p, fresh := s.LPIs.add(intid, target); fresh {
		if err := m.NewLPI(p); err != None {
			s.LPIs.put(intid)
			return err
		}
	}
	s.addEvent(d, e)
	return None
}

// movi moves an event, and its LPI, to another collection.
func (s *ITS) movi(m Machine, cmd Command) Error {
	_, e := s.find(cmd.DeviceID(), cmd.EventID())
	if e == nil {
		return MoviUnmappedInterrupt
	}
	c := s.Collection(cmd.ICID())
	if !s.collectionOf(e).Mapped() || !c.Mapped() {
		return MoviUnmappedCollection
	}
	e.ICID, e.birth = c.ICID, c.birth
	s.Epoch++
	if pe, ok := m.PE(c.RDbase); ok {
		l := s.LPIs.Get(e.INTID)
		l.Target = pe
		m.Moved(l)
	}
	return None
}

// discard unmaps an event, with its pending state, and clears its entry in memory.
func (s *ITS) discard(m Machine, cmd Command) Error {
	d, e := s.find(cmd.DeviceID(), cmd.EventID())
	if e == nil || !s.collectionOf(e).Mapped() {
		return DiscardUnmappedInterrupt
	}
	s.Epoch++
	s.freeEvent(d, cmd.EventID())
	return s.store(m, d.EventAddr(cmd.EventID()), 0)
}

// clear removes the pending state of an event's LPI.
func (s *ITS) clear(m Machine, cmd Command) Error {
	_, e := s.find(cmd.DeviceID(), cmd.EventID())
	if e == nil {
		return ClearUnmappedInterrupt
	}
	l := s.LPIs.Get(e.INTID)
	l.Pending = false
	m.Moved(l)
	return None
}

// inv reads the configuration of an event's LPI.
func (s *ITS) inv(m Machine, cmd Command) Error {
	_, e := s.find(cmd.DeviceID(), cmd.EventID())
	if e == nil {
		return InvUnmappedInterrupt
	}
	return s.LPIs.LoadConfig(m, s.LPIs.Get(e.INTID))
}

// invall reads the configuration of all LPIs of a collection's PE.
func (s *ITS) invall(m Machine, cmd Command) Error {
	c := s.Collection(cmd.ICID())
	if !c.Mapped() {
		return InvallUnmappedCollection
	}
	if pe, ok := m.PE(c.RDbase); ok {
		s.LPIs.InvalidateAll(m, pe)
	}
	return None
}

// movall moves all LPIs of one PE to another, or with MovesAll those of every PE and
// of none. Collections stay as they are.
func (s *ITS) movall(m Machine, cmd Command) Error {
	from, ok1 := m.PE(cmd.RDbase())
	to, ok2 := m.PE(cmd.RDbase2())
	if !ok1 || !ok2 {
		return MovallProcnumOOR
	}
	if from != to {
		s.LPIs.move(m, from, to, s.MovesAll)
		s.Epoch++
	}
	return None
}
