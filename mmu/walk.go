package mmu

// FaultKind is why a translation failed. DDI 0487 D8.14, in order of priority.
type FaultKind uint8

const (
	FaultNone        FaultKind = iota
	FaultAddressSize           // a descriptor's output address is beyond the physical address size
	FaultTranslation           // no valid descriptor, or an IPA beyond the table
	FaultAccessFlag            // AF clear
	FaultPermission            // S2AP or XN forbids the access
	FaultAlignment             // an unaligned access to Device memory
)

func (k FaultKind) String() string {
	return [...]string{"none", "address size", "translation", "access flag", "permission", "alignment"}[k]
}

// Fault is a stage-2 fault: what HPFAR_EL2 and the ESR's fault status say.
type Fault struct {
	IPA   IPA // the address that failed
	Kind  FaultKind
	Level int8
}

// Denied is the permission fault of an access that an entry does not allow. It
// comes from the TLB as readily as from a walk: a stale entry faults on.
func (e *Entry) Denied(ipa IPA) Fault { return Fault{ipa, FaultPermission, e.Level()} }

// Walk translates an IPA that the TLB does not hold and fills the TLB. Only a
// leaf without access flag is never cached. The access is not checked.
func (t *TLB) Walk(m *Memory, s *Stage2, space SpaceID, ipa IPA) (*Entry, Fault) {
	t.Trail.N, t.Trail.Stage1 = 0, 0
	d, level, fault := t.walkLeaf(m, s, space, ipa)
	if fault.Kind != FaultNone {
		return nil, fault
	}
	return t.fillLeaf(m, s, space, ipa, d, level), fault
}

// walkLeaf finds the leaf descriptor that maps an IPA, and its level.
func (t *TLB) walkLeaf(m *Memory, s *Stage2, space SpaceID, ipa IPA) (Desc, int8, Fault) {
	if ipa>>s.IPABits != 0 {
		return 0, 0, Fault{ipa, FaultTranslation, 0} // AArch64.IPAIsOutOfRange
	}
	t.allocate()
	table, level, frame := t.deepestTable(s, space, ipa)
	for ; ; level++ {
		at := s.Entry(table, level, ipa)
		d := Desc(t.readDescriptor(m, frame, at))
		kind := s.Kind(d, level)
		switch {
		case kind == DescInvalid:
			return 0, 0, Fault{ipa, FaultTranslation, level}
		case d.OA(0)>>s.OutBits != 0:
			return 0, 0, Fault{ipa, FaultAddressSize, level}
		case kind == DescIsTable:
			table = d.OA(s.Granule.Shift())
			frame = t.cacheTable(m, s, space, ipa, level, table)
			continue
		}
		if d&FieldAF.Mask() == 0 {
			return 0, 0, Fault{ipa, FaultAccessFlag, level}
		}
		return d, level, Fault{}
	}
}

// fillLeaf caches a leaf descriptor.
func (t *TLB) fillLeaf(m *Memory, s *Stage2, space SpaceID, ipa IPA, d Desc, level int8) *Entry {
	shift := s.Shift(level)
	pa := d.OA(shift)
	out := uint64(pa) - uint64(ipa)>>shift<<shift | uint64(level)<<entryLevel
	p := d.Prot()
	if p&ProtRead != 0 {
		out |= entryRead
		if p&ProtExec != 0 {
			out |= entryFetch
		}
	}
	if p&ProtWrite != 0 {
		out |= entryWrite
	}
	var f *Frame
	if shift == FrameShift {
		f = m.frameOnce(pa.PFN())
	}
	return t.fill(space, ipa, shift, out, f)
}

// readDescriptor reads a descriptor; frame is its table's frame if known.
func (t *TLB) readDescriptor(m *Memory, frame *Frame, at PA) uint64 {
	t.Stats.Loads++
	t.Trail.At[t.Trail.N%maxTrail] = at
	t.Trail.N++
	if frame != nil {
		return m.LoadIn(frame, at, 8)
	}
	return m.Load(at, 8)
}

// deepestTable finds the table to begin the walk with: the one that the walk
// cache knows nearest to the leaf, else the root.
func (t *TLB) deepestTable(s *Stage2, space SpaceID, ipa IPA) (PA, int8, *Frame) {
	number := t.domain.tag(space)
	for level := int8(2); level >= s.Start; level-- {
		shift := s.Shift(level)
		region := uint64(ipa) >> shift
		if i := t.walk.find(number|uint64(tableClass[shift])<<tagClass|region, region); i >= 0 {
			e := &t.walk.entries[i]
			return PA(e.out), level + 1, e.frame
		}
	}
	return s.Root, s.Start, nil
}

// cacheTable remembers a table descriptor that the walk read at level, and
// returns the frame of the table it points to if that is just one.
func (t *TLB) cacheTable(m *Memory, s *Stage2, space SpaceID, ipa IPA, level int8, table PA) *Frame {
	var f *Frame
	if s.Granule == Granule4K {
		f = m.Frame(table.PFN())
	}
	if len(t.walk.tags) == 0 {
		return f
	}
	shift := s.Shift(level)
	region := uint64(ipa) >> shift
	tag := t.domain.tag(space) | uint64(tableClass[shift])<<tagClass | region
	t.walk.insert(t.domain, region, tag, Entry{uint64(table), f})
	return f
}
