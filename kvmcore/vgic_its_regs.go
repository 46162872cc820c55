package kvmcore

import "ringmap/its"

// pageSize64K is BASER.PageSize for the only page size that KVM offers.
const pageSize64K = 2

// Registers of an ITS.
const (
	regITSCTLR reg = iota + 64
	regITSIIDR
	regITSTYPER
	regCBASER
	regCWRITER
	regCREADR
	regBASER
	regITSID
)

// itsRegions is the control frame of an ITS: its_registers of vgic-its.c. The
// translation frame has no register that a vCPU could write.
var itsRegions = []region{
	{0x0000, 0x04, 0, width32, regITSCTLR},
	{0x0004, 0x04, 0, width32, regITSIIDR},
	{0x0008, 0x08, 0, width64 | width32, regITSTYPER},
	{0x0080, 0x08, 0, width64 | width32, regCBASER},
	{0x0088, 0x08, 0, width64 | width32, regCWRITER},
	{0x0090, 0x08, 0, width64 | width32, regCREADR},
	{0x0100, 0x40, 0, width64 | width32, regBASER},
	{0xffd0, 0x30, 0, width32, regITSID},
}

// Offsets between which userspace accesses registers in 64-bit units.
const (
	itsTYPER = 0x0008
	itsPIDR4 = 0xffd0
)

// itsTyper says what KVM's ITS can do.
var itsTyper = its.TYPER(0).WithPhysical(true).WithITEBytes(its.EntryBytes).
	WithEventBits(its.EventBits).WithDeviceBits(its.DeviceBits).WithCIDBits(1)

// userRegister is vgic_its_attr_regs_access: userspace reads or writes a whole
// register, 32 bits wide or 64.
func (k *VITS) userRegister(attr uint64, write bool, val uint64) (uint64, Errno) {
	align := uint64(7)
	if attr < itsTYPER || attr >= itsPIDR4 {
		align = 3
	}
	switch {
	case attr&align != 0:
		return 0, EINVAL
	case k.vgic.vm.vcpuRuns():
		return 0, EBUSY
	case k.base == undefined || attr >= itsBytes:
		return 0, ENXIO
	}
	a := access{offset: uint32(attr), size: width64, write: write, user: true, val: val}
	for i := range itsRegions {
		if r := &itsRegions[i]; a.offset-r.offset < r.size {
			if r.widths&width64 == 0 {
				a.size = width32
			}
			k.access(r.reg, &a)
			return a.val, a.err
		}
	}
	return 0, ENXIO
}

// mmio is a guest's access: what is no register, or not that wide, reads as 0.
func (k *VITS) mmio(a *access) {
	r := findRegion(itsRegions, a, 0)
	if r == nil {
		a.none()
		return
	}
	k.access(r.reg, a)
}

// access reads or writes a register.
func (k *VITS) access(r reg, a *access) {
	s := k.state
	switch r {
	case regITSCTLR:
		if a.write {
			k.writeCTLR(its.CTLR(a.val))
		}
		a.read32(uint32(its.CTLR(0).WithEnabled(s.Enabled).WithQuiescent(s.CREADR == s.CWRITER)))
	case regITSIIDR:
		if a.write && a.user && its.IIDR(a.val).Revision() != 0 {
			a.err = EINVAL // ABI revision 0 is the only one
		}
		a.read32(uint32(its.IIDR(0).WithProduct(productKVM).WithImplementer(implementerArm)))
	case regITSTYPER:
		a.read(uint64(itsTyper))
	case regCBASER:
		if a.write && !s.Enabled {
			s.CBASER = sanitiseCbaser(a.merged(uint64(s.CBASER)))
			s.CREADR, s.CWRITER = 0, 0
		}
		a.read(uint64(s.CBASER))
	case regCWRITER:
		if a.write {
			k.writeCWRITER(a)
		}
		a.read(s.CWRITER)
	case regCREADR:
		if a.write && a.user {
			a.err = k.setCREADR(a.val)
		}
		a.read(s.CREADR)
	case regBASER:
		k.baser(a)
	case regITSID:
		a.read32(itsID[(a.offset-itsPIDR4)/4])
	}
}

// itsID are the identification registers from PIDR4 on: PIDR4-7, PIDR0-3, CIDR0-3.
var itsID = [12]uint32{
	0x40, 0, 0, 0, // 64 KiB of registers
	0x92, 0xb4, archRevGICv3, 0, // part 0x492, designer Arm
	0x0d, 0xf0, 0x05, 0xb1,
}

// writeCTLR enables or disables the ITS: vgic_mmio_write_its_ctlr. Enabling
// without valid tables and queue has no effect at all. What is in the queue runs.
func (k *VITS) writeCTLR(w its.CTLR) {
	s := k.state
	if !s.Enabled && w.Enabled() &&
		!(s.DeviceTable.Valid() && s.CollectionTable.Valid() && s.CBASER.Valid()) {
		return
	}
	s.Enabled = w.Enabled()
	if !s.Enabled {
		s.Epoch++
	}
	k.process()
}

// writeCWRITER announces commands. An offset behind the queue is ignored.
func (k *VITS) writeCWRITER(a *access) {
	s := k.state
	offset := uint64(its.QueueOffset(a.merged(s.CWRITER)).Offset())
	if offset >= s.QueueBytes() {
		return
	}
	s.CWRITER = offset
	k.process()
}

// setCREADR is userspace's write of CREADR: vgic_mmio_uaccess_write_its_creadr.
func (k *VITS) setCREADR(val uint64) Errno {
	s := k.state
	offset := uint64(its.QueueOffset(val).Offset())
	switch {
	case s.Enabled:
		return EBUSY
	case offset >= s.QueueBytes():
		return EINVAL
	}
	s.CREADR = offset
	return OK
}

// baser is one of the eight table registers, of which two have a table. A write
// that leaves the table invalid drops what it described.
func (k *VITS) baser(a *access) {
	s := k.state
	p, kind := &s.DeviceTable, uint32(its.TableDevice)
	switch a.offset & 0x38 {
	case 0x00:
	case 0x08:
		p, kind = &s.CollectionTable, its.TableCollection
	default:
		a.read(0)
		return
	}
	if a.write && !s.Enabled {
		*p = sanitiseBaser(a.merged(uint64(*p)), kind)
		switch {
		case p.Valid():
		case kind == its.TableDevice:
			s.DropDevices()
		default:
			s.DropCollections()
		}
	}
	a.read(uint64(*p))
}

// sanitiseBaser keeps what KVM's tables can be: 64 KiB pages, entries of 8 bytes,
// and two levels for devices only. vgic_mmio_write_its_baser.
func sanitiseBaser(w uint64, kind uint32) its.BASER {
	b := its.BASER(w).WithType(kind).WithEntryBytes(its.EntryBytes).WithPageSize(pageSize64K)
	if kind == its.TableCollection {
		b = b.WithIndirect(false)
	}
	return b.WithShare(sanitiseShare(b.Share())).WithInner(sanitiseInner(b.Inner())).
		WithOuter(sanitiseOuter(b.Outer()))
}

// sanitiseCbaser aligns the queue to 64 KiB. vgic_sanitise_its_cbaser.
func sanitiseCbaser(w uint64) its.CBASER {
	b := its.CBASER(w &^ 0xf000)
	return b.WithShare(sanitiseShare(b.Share())).WithInner(sanitiseInner(b.Inner())).
		WithOuter(sanitiseOuter(b.Outer()))
}
