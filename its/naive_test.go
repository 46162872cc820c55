package its

import (
	"cmp"
	"slices"

	"ringmap/mmu"
)

// naive is the reference that the property test compares with: lists and maps as
// the kernel's source has them, one entry read at a time, nothing sorted, cached
// or numbered. It has a machine of its own, of which it uses the memory only.
type naive struct {
	m       *testMachine
	devices []*naiveDevice
	colls   []*naiveColl
	lpis    map[uint32]*naiveLPI
}

type naiveDevice struct {
	id, bits uint32
	itt      mmu.IPA
	events   []*naiveEvent
}

type naiveEvent struct {
	id   uint32
	lpi  *naiveLPI
	coll *naiveColl
}

type naiveColl struct {
	icid   uint32
	target int64 // -1 = unmapped
}

type naiveLPI struct {
	intid            uint32
	refs             int
	target           int64
	priority         uint8
	enabled, pending bool
}

func newNaive(pes int) *naive {
	return &naive{m: newTestMachine(pes), lpis: map[uint32]*naiveLPI{}}
}

func (n *naive) device(id uint32) *naiveDevice {
	for _, d := range n.devices {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (n *naive) event(dev, id uint32) *naiveEvent {
	if d := n.device(dev); d != nil {
		for _, e := range d.events {
			if e.id == id {
				return e
			}
		}
	}
	return nil
}

func (n *naive) coll(icid uint32) *naiveColl {
	for _, c := range n.colls {
		if c.icid == icid {
			return c
		}
	}
	return nil
}

func (c *naiveColl) mapped() bool { return c != nil && c.target >= 0 }

func (n *naive) load(addr mmu.IPA) (uint64, bool) {
	if !n.m.Visible(addr) {
		return 0, false
	}
	return n.m.get64(addr), true
}

func (n *naive) store(addr mmu.IPA, w uint64) Error {
	var b [8]byte
	for i := range b {
		b[i] = byte(w >> (8 * i))
	}
	return n.m.WriteGuest(addr, b[:])
}

// entry is the address of an entry in a table, false if it has none.
func (n *naive) entry(t BASER, id uint32) (mmu.IPA, bool) {
	bytes := uint64(t.Pages()) * 65536
	if id > 65535 {
		return 0, false
	}
	if !t.Indirect() {
		addr := t.Base() + mmu.IPA(8*id)
		return addr, uint64(8*id) < bytes && n.m.Visible(addr)
	}
	if uint64(id/8192) >= bytes/8 {
		return 0, false
	}
	l1, ok := n.load(t.Base() + mmu.IPA(8*(id/8192)))
	if !ok || l1>>63 == 0 {
		return 0, false
	}
	addr := mmu.IPA(l1&0x000f_ffff_ffff_0000) + mmu.IPA(8*(id%8192))
	return addr, n.m.Visible(addr)
}

func (n *naive) put(l *naiveLPI) {
	if l.refs--; l.refs == 0 {
		delete(n.lpis, l.intid)
	}
}

func (n *naive) freeDevice(d *naiveDevice) {
	for _, e := range d.events {
		n.put(e.lpi)
	}
	n.devices = slices.DeleteFunc(n.devices, func(o *naiveDevice) bool { return o == d })
}

func (n *naive) freeColl(icid uint32) {
	c := n.coll(icid)
	if c == nil {
		return
	}
	for _, d := range n.devices {
		for _, e := range d.events {
			if e.coll == c {
				e.coll = nil
			}
		}
	}
	n.colls = slices.DeleteFunc(n.colls, func(o *naiveColl) bool { return o == c })
}

func (n *naive) dropDevices() {
	for len(n.devices) > 0 {
		n.freeDevice(n.devices[0])
	}
}

func (n *naive) dropColls() {
	for len(n.colls) > 0 {
		n.freeColl(n.colls[0].icid)
	}
}

func (n *naive) readConfig(l *naiveLPI) Error {
	var b [1]byte
	if err := n.m.ReadGuest(mmu.IPA(n.m.prop.Addr())+mmu.IPA(l.intid-8192), b[:]); err != None {
		return err
	}
	l.priority, l.enabled = b[0]&0xfc, b[0]&1 != 0
	return None
}

func (n *naive) addLPI(intid uint32, target int64) (*naiveLPI, Error) {
	if l := n.lpis[intid]; l != nil {
		l.refs++
		return l, None
	}
	l := &naiveLPI{intid: intid, refs: 1, target: target}
	if err := n.readConfig(l); err != None {
		return nil, err
	}
	if target >= 0 {
		addr := mmu.IPA(n.m.pend[target].Addr()) + mmu.IPA(intid/8)
		var b [1]byte
		if err := n.m.ReadGuest(addr, b[:]); err != None {
			return nil, err
		}
		l.pending = b[0]>>(intid%8)&1 != 0
		if l.pending {
			b[0] &^= 1 << (intid % 8)
			if err := n.m.WriteGuest(addr, b[:]); err != None {
				return nil, err
			}
		}
	}
	n.lpis[intid] = l
	return l, None
}

func (n *naive) mapEvent(d *naiveDevice, c *naiveColl, event, intid uint32) Error {
	l, err := n.addLPI(intid, c.target)
	if err == None {
		d.events = append(d.events, &naiveEvent{event, l, c})
	}
	return err
}

func (n *naive) translate(dev, event uint32) (*naiveLPI, Error) {
	e := n.event(dev, event)
	if e == nil || !e.coll.mapped() {
		return nil, IntUnmappedInterrupt
	}
	return e.lpi, None
}

func (n *naive) trigger(dev, event uint32) Error {
	l, err := n.translate(dev, event)
	if err == None {
		if !n.m.lpisOn[n.event(dev, event).coll.target] {
			return ErrDisabled
		}
		l.pending = true
	}
	return err
}

func (n *naive) execute(c Command) Error {
	dev, event, icid := uint32(c[0]>>32), uint32(c[1]), uint32(c[2]&0xffff)
	pe := func(rd uint64) (int64, bool) { v := uint32(rd >> 16); return int64(v), v < uint32(n.m.pes) }
	valid := c[2]>>63 != 0
	e := n.event(dev, event)
	switch c[0] & 0xff {
	case 0x08: // MAPD
		addr, ok := n.entry(n.m.its.DeviceTable, dev)
		bits := uint32(c[1]&31) + 1
		switch {
		case !ok:
			return MapdDeviceOOR
		case valid && bits > 16:
			return MapdITTSizeOOR
		}
		if d := n.device(dev); d != nil {
			n.freeDevice(d)
		}
		if !valid {
			return n.store(addr, 0)
		}
		n.devices = append(n.devices, &naiveDevice{id: dev, bits: bits, itt: mmu.IPA(c[2] & 0x000f_ffff_ffff_ff00)})
	case 0x09: // MAPC
		if !valid {
			n.freeColl(icid)
			return None
		}
		target, ok := pe(c[2])
		if !ok {
			return MapcProcnumOOR
		}
		k := n.coll(icid)
		if k == nil {
			if _, ok := n.entry(n.m.its.CollectionTable, icid); !ok {
				return MapcCollectionOOR
			}
			n.colls = append(n.colls, &naiveColl{icid, target})
			return None
		}
		k.target = target
		for _, d := range n.devices {
			for _, e := range d.events {
				if e.coll == k {
					e.lpi.target = target
				}
			}
		}
	case 0x0a, 0x0b: // MAPTI, MAPI
		intid := uint32(c[1] >> 32)
		if c[0]&0xff == 0x0b {
			intid = event
		}
		d := n.device(dev)
		switch {
		case d == nil:
			return MaptiUnmappedDevice
		case event >= 1<<d.bits || !n.m.Visible(d.itt+mmu.IPA(event)*8):
			return MaptiIDOOR
		case intid < 8192 || intid >= 1<<min(uint32(n.m.prop&31)+1, 16):
			return MaptiPhysicalIDOOR
		case e != nil:
			return None
		}
		k, created := n.coll(icid), false
		if k == nil {
			if _, ok := n.entry(n.m.its.CollectionTable, icid); !ok {
				return MapcCollectionOOR
			}
			k, created = &naiveColl{icid, -1}, true
			n.colls = append(n.colls, k)
		}
		err := n.mapEvent(d, k, event, intid)
		if err != None && created {
			n.freeColl(icid)
		}
		return err
	case 0x01: // MOVI
		if e == nil {
			return MoviUnmappedInterrupt
		}
		k := n.coll(icid)
		if !e.coll.mapped() || !k.mapped() {
			return MoviUnmappedCollection
		}
		e.coll, e.lpi.target = k, k.target
	case 0x0f: // DISCARD
		if e == nil || !e.coll.mapped() {
			return DiscardUnmappedInterrupt
		}
		d := n.device(dev)
		d.events = slices.DeleteFunc(d.events, func(o *naiveEvent) bool { return o == e })
		n.put(e.lpi)
		return n.store(d.itt+mmu.IPA(event)*8, 0)
	case 0x03: // INT
		return n.trigger(dev, event)
	case 0x04: // CLEAR
		if e == nil {
			return ClearUnmappedInterrupt
		}
		e.lpi.pending = false
	case 0x0c: // INV
		if e == nil {
			return InvUnmappedInterrupt
		}
		return n.readConfig(e.lpi)
	case 0x0d: // INVALL
		k := n.coll(icid)
		if !k.mapped() {
			return InvallUnmappedCollection
		}
		for _, l := range n.lpis {
			if l.target == k.target {
				n.readConfig(l)
			}
		}
	case 0x0e: // MOVALL
		from, ok1 := pe(c[2])
		to, ok2 := pe(c[3])
		if !ok1 || !ok2 {
			return MovallProcnumOOR
		}
		for _, l := range n.lpis {
			if l.target == from || n.m.its.MovesAll && from != to {
				l.target = to
			}
		}
	case 0x05:
	default:
		return ErrOpcode
	}
	return None
}

// sorted are the LPIs by INTID.
func (n *naive) sorted() []*naiveLPI {
	var all []*naiveLPI
	for _, l := range n.lpis {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *naiveLPI) int { return cmp.Compare(a.intid, b.intid) })
	return all
}

func (n *naive) loadPending(pe int64) {
	for _, l := range n.sorted() {
		if l.target == pe {
			l.pending = n.m.mem.get(mmu.IPA(n.m.pend[pe].Addr())+mmu.IPA(l.intid/8))>>(l.intid%8)&1 != 0
		}
	}
}

func (n *naive) savePending() {
	for _, l := range n.sorted() {
		if l.target < 0 {
			continue
		}
		addr := mmu.IPA(n.m.pend[l.target].Addr()) + mmu.IPA(l.intid/8)
		b := n.m.mem.get(addr)
		if b>>(l.intid%8)&1 != 0 != l.pending {
			n.m.WriteGuest(addr, []byte{b ^ 1<<(l.intid%8)})
		}
	}
}

// sortList sorts as list_sort does with a comparison that never says "equal":
// equals change their order.
func sortList[T any](list []T, less func(a, b T) bool) {
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b T) int {
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
}

func (n *naive) save() Error {
	if n.m.its.DeviceTable.Valid() {
		sortList(n.devices, func(a, b *naiveDevice) bool { return a.id < b.id })
		for i, d := range n.devices {
			addr, ok := n.entry(n.m.its.DeviceTable, d.id)
			if !ok {
				return ErrEntry
			}
			sortList(d.events, func(a, b *naiveEvent) bool { return a.id < b.id })
			for j, e := range d.events {
				w := uint64(0)
				if e.coll != nil {
					w = uint64(e.lpi.intid)<<16 | uint64(e.coll.icid)
					if j+1 < len(d.events) {
						w |= uint64(min(d.events[j+1].id-e.id, 65535)) << 48
					}
				}
				if err := n.store(d.itt+mmu.IPA(e.id)*8, w); err != None {
					return err
				}
			}
			w := 1<<63 | uint64(d.itt)>>8<<5 | uint64(d.bits-1)
			if i+1 < len(n.devices) {
				w |= uint64(min(n.devices[i+1].id-d.id, 16383)) << 49
			}
			if err := n.store(addr, w); err != None {
				return err
			}
		}
	}
	t := n.m.its.CollectionTable
	if !t.Valid() {
		return None
	}
	addr := t.Base()
	for _, c := range n.colls {
		if err := n.store(addr, 1<<63|uint64(uint32(c.target))<<16|uint64(c.icid)); err != None {
			return err
		}
		addr += 8
	}
	if addr < t.Base()+mmu.IPA(t.Pages())*65536 {
		return n.store(addr, 0)
	}
	return None
}

func (n *naive) restore() Error {
	err := n.restoreColls()
	if err == None {
		if err = n.restoreDevices(); err != None {
			n.dropDevices()
		}
	}
	if err != None {
		n.dropColls()
	}
	return err
}

func (n *naive) restoreColls() Error {
	t := n.m.its.CollectionTable
	if !t.Valid() {
		return None
	}
	for i := range mmu.IPA(t.Pages()) * 8192 {
		w, ok := n.load(t.Base() + 8*i)
		icid, target := uint32(w&0xffff), uint32(w>>16)
		switch {
		case !ok:
			return ErrAccess
		case w>>63 == 0:
			return None
		case target != 0xffffffff && target >= uint32(n.m.pes):
			return ErrEntry
		case n.coll(icid) != nil:
			return ErrExists
		}
		if _, ok := n.entry(t, icid); !ok {
			return ErrEntry
		}
		n.colls = append(n.colls, &naiveColl{icid, int64(int32(target))})
	}
	return None
}

func (n *naive) restoreDevices() Error {
	t := n.m.its.DeviceTable
	if !t.Valid() {
		return None
	}
	if !t.Indirect() {
		_, err := n.scan(t.Base(), uint64(t.Pages())*65536, 0, n.restoreDevice)
		return err
	}
	_, err := n.scan(t.Base(), uint64(t.Pages())*65536, 0, func(id uint32, w uint64) (uint32, Error) {
		if w>>63 == 0 {
			return 1, None
		}
		more, err := n.scan(mmu.IPA(w&0x000f_ffff_ffff_0000), 65536, id*8192, n.restoreDevice)
		if !more || err != None {
			return 0, err
		}
		return 1, None
	})
	return err
}

func (n *naive) scan(addr mmu.IPA, bytes uint64, id uint32, visit func(uint32, uint64) (uint32, Error)) (bool, Error) {
	for {
		w, ok := n.load(addr)
		if !ok {
			return false, ErrAccess
		}
		next, err := visit(id, w)
		if err != None || next == 0 {
			return false, err
		}
		if uint64(next)*8 >= bytes {
			return true, None
		}
		addr, id, bytes = addr+mmu.IPA(next)*8, id+next, bytes-uint64(next)*8
	}
}

func (n *naive) restoreDevice(id uint32, w uint64) (uint32, Error) {
	if w>>63 == 0 {
		return 1, None
	}
	if w&31 >= 16 {
		return 0, ErrEntry
	}
	if _, ok := n.entry(n.m.its.DeviceTable, id); !ok {
		return 0, ErrEntry
	}
	d := &naiveDevice{id: id, bits: uint32(w&31) + 1, itt: mmu.IPA(w >> 5 & (1<<44 - 1) << 8)}
	n.devices = append(n.devices, d)
	_, err := n.scan(d.itt, 8<<d.bits, 0, func(event uint32, w uint64) (uint32, Error) {
		intid, next := uint32(w>>16), uint32(w>>48)
		c := n.coll(uint32(w & 0xffff))
		switch {
		case intid == 0:
			return 1, None
		case intid < 8192 || event+next >= 1<<d.bits || c == nil || !n.m.Visible(d.itt+mmu.IPA(event)*8):
			return 0, ErrEntry
		}
		return next, n.mapEvent(d, c, event, intid)
	})
	if err != None {
		n.freeDevice(d)
		return 0, err
	}
	return uint32(w >> 49 & 16383), None
}
