package mmu

// Stage1 is the stage-1 translation of one regime: what SCTLR, TCR, TTBR0,
// TTBR1 and MAIR say, decoded. DDI 0487 D8.2.
type Stage1 struct {
	Regime  Regime
	On      bool  // SCTLR.M; otherwise addresses pass unchanged
	WXN     bool  // SCTLR.WXN: what is writable is not executable
	Normal  bool  // HCR_EL2.DC: data accesses with stage 1 off are to Normal memory
	OutBits uint8 // TCR.IPS: bits of an output address
	ASID    uint16
	// ShortASID is TCR.AS clear: ASIDs have 8 bits.
	ShortASID bool
	MAIR      uint64
	Half      [2]Half // TTBR0's, TTBR1's; EL2 has only the first
}

// Half is one of a regime's two ranges of virtual addresses.
type Half struct {
	Geometry // of its tables; IPABits is 64 - TxSZ
	Root     uint64
	Off      bool // every walk gives a level-0 translation fault: TCR.EPD, a size that does not exist
	TBI      bool // TCR.TBI: bits 63:56 of addresses are software's
	HPD      bool // TCR.HPD: tables do not restrict what lies below them
}

// Stage-1 fields of descriptors that stage 2 has otherwise. DDI 0487 D8.3.
const (
	fieldAttr = FieldMemAttr&^0xff | 3 // index into MAIR
	fieldAP   = 6<<8 | 2               // AP[2:1]: not writable, EL0 too
	fieldNG   = 11<<8 | 1              // not global
	fieldPXN  = 53<<8 | 1
	fieldUXN  = 54<<8 | 1

	fieldPXNTable = 59<<8 | 1
	fieldUXNTable = 60<<8 | 1
	fieldAPTable  = 61<<8 | 2
)

// restrict is what the tables on the way to a leaf forbid, as it is kept in the
// low bits of walk-cache entries.
type restrict uint64

const (
	restrictPXN    restrict = 1 << iota
	restrictUXN             // of EL2: XN
	restrictNoUser          // APTable[0]
	restrictRead            // APTable[1]
)

func restrictOf(d Desc) (r restrict) {
	return restrict(d.Get(fieldPXNTable) | d.Get(fieldUXNTable)<<1 | d.Get(fieldAPTable)<<2)
}

// NewHalf returns the range of addresses whose top 64 - txsz bits are all alike.
// Sizes that v8.2 does not have give a range that is Off, one of the behaviours
// that D8.2 allows. A root that is not aligned to its table counts as if the bits
// below were zero.
func NewHalf(g Granule, txsz uint8, root uint64) Half {
	off := txsz < minTxSZ || txsz > maxTxSZ
	if off {
		txsz = minTxSZ
	}
	bits, start := 64-txsz, int8(3)
	for uint(g)+(uint(g)-3)*uint(4-start) < uint(bits) {
		start--
	}
	h := Half{Geometry: newShape(g, bits, start), Off: off}
	h.Root = root &^ (8<<(uint(bits)-h.Shift(start)) - 1)
	return h
}

// The sizes that TCR.TxSZ may say: 48 to 25 bits of address.
const (
	minTxSZ = 16
	maxTxSZ = 39
)

// Abort is why a virtual address did not translate.
type Abort struct {
	VA     VA
	IPA    IPA // of a fault at stage 2: what did not translate
	Kind   FaultKind
	Level  int8
	Stage2 bool // the fault is stage 2's
	Walk   bool // of stage 2: on the way to a stage-1 descriptor (S1PTW)
}

// stage1Leaf is where a stage-1 walk ended.
type stage1Leaf struct {
	ipa    uint64 // of the address itself
	shift  uint   // log2 of the bytes mapped
	flags  uint64 // of an Entry: permissions and Device
	attr   uint8  // MAIR's byte
	share  uint8
	level  int8
	global bool
}

// walkStage1 walks the stage-1 tables, each descriptor's address going through
// stage 2.
func (t *TLB) walkStage1(m *Memory, c *Context, va VA) (stage1Leaf, Abort) {
	if !c.On {
		return c.flat(va)
	}
	half, ok := c.halfOf(va)
	if !ok {
		return stage1Leaf{}, Abort{VA: va, Kind: FaultTranslation}
	}
	h := &c.Half[half]
	key := keyOf(va)
	in := IPA(uint64(va) & (1<<h.IPABits - 1))
	table, level, limits, frame := t.deepestStage1(c, h, key)
	if table < 0 {
		if h.Root>>c.OutBits != 0 {
			return stage1Leaf{}, Abort{VA: va, Kind: FaultAddressSize}
		}
	}
	ipa := h.Root
	for ; ; level++ {
		var at PA
		if table >= 0 {
			at = h.Entry(PA(table), level, in)
		} else {
			tableIPA := IPA(h.Entry(PA(ipa), level, in))
			pa, shift, abort := t.nested(m, c, va, tableIPA)
			if abort.Kind != FaultNone {
				return stage1Leaf{}, abort
			}
			at, frame = pa, nil
			if level > h.Start && shift >= h.Granule.Shift() {
				frame = t.cacheStage1(m, c, h, key, level-1, pa-PA(uint64(tableIPA)-ipa), limits)
			}
		}
		d := Desc(t.readDescriptor(m, frame, at))
		t.Trail.Stage1 |= 1 << ((t.Trail.N - 1) % maxTrail)
		kind := h.Kind(d, level)
		switch {
		case kind == DescInvalid:
			return stage1Leaf{}, Abort{VA: va, Kind: FaultTranslation, Level: level}
		case d.OA(0)>>c.OutBits != 0:
			return stage1Leaf{}, Abort{VA: va, Kind: FaultAddressSize, Level: level}
		case kind == DescIsTable:
			if !h.HPD {
				limits |= restrictOf(d)
			}
			ipa, table = uint64(d.OA(h.Granule.Shift())), -1
			continue
		case d&FieldAF.Mask() == 0:
			return stage1Leaf{}, Abort{VA: va, Kind: FaultAccessFlag, Level: level}
		}
		return c.leaf(h, d, level, limits, uint64(in)), Abort{}
	}
}

// flat is the leaf of an address with stage 1 off: AArch64.S1DisabledOutput.
func (c *Context) flat(va VA) (stage1Leaf, Abort) {
	top := uint64(va) >> PABits
	if c.Half[uint64(va)>>55&1].TBI {
		top &= 0xff
	}
	if top != 0 {
		return stage1Leaf{}, Abort{VA: va, Kind: FaultAddressSize}
	}
	l := stage1Leaf{ipa: uint64(va) & keyVA, shift: 63, flags: entryAll, attr: 0xff, share: ShareInner}
	if !c.Normal {
		l.flags, l.attr, l.share = entryAll|entryDevice, 0, 0b10
	}
	return l, Abort{}
}

// leaf says what a block or page descriptor maps and allows.
func (c *Context) leaf(h *Half, d Desc, level int8, limits restrict, in uint64) stage1Leaf {
	shift := h.Shift(level)
	l := stage1Leaf{
		ipa:    uint64(d.OA(shift)) | in&(1<<shift-1),
		shift:  shift,
		attr:   uint8(c.MAIR >> (d.Get(fieldAttr) * 8)),
		share:  uint8(d.Get(FieldSH)),
		level:  level,
		global: d.Get(fieldNG) == 0 || c.Regime == RegimeEL2,
	}
	l.flags = c.permissions(d, limits)
	if l.attr>>4 == 0 {
		l.flags |= entryDevice
		l.share = 0b10 // Device memory is always Outer Shareable
	}
	return l
}

// permissions computes what a leaf and the tables above it allow, in every mode:
// AArch64.S1DirectBasePermissions.
func (c *Context) permissions(d Desc, limits restrict) (flags uint64) {
	write := d.Get(fieldAP)>>1 == 0 && limits&restrictRead == 0
	if c.Regime == RegimeEL2 { // one privilege level: AP[1] is RES1, UXN is XN
		exec := d.Get(fieldUXN) == 0 && limits&restrictUXN == 0 && !(c.WXN && write)
		return modeFlags(ModePriv, true, write, exec) | modeFlags(ModePAN, true, write, exec)
	}
	user := d.Get(fieldAP)&1 != 0 && limits&restrictNoUser == 0
	userWrite := user && write
	exec := d.Get(fieldPXN) == 0 && limits&restrictPXN == 0 && !userWrite && !(c.WXN && write)
	userExec := d.Get(fieldUXN) == 0 && limits&restrictUXN == 0 && !(c.WXN && userWrite)
	return modeFlags(ModePriv, true, write, exec) |
		modeFlags(ModeUser, user, userWrite, userExec) |
		modeFlags(ModePAN, !user, write && !user, exec)
}

func modeFlags(mode Mode, read, write, exec bool) (flags uint64) {
	if read {
		flags |= entryRead
	}
	if write {
		flags |= entryWrite
	}
	if exec {
		flags |= entryFetch
	}
	return flags << (3 * mode)
}

// nested translates the address of a stage-1 descriptor by stage 2. shift is
// log2 of the bytes that are contiguous there.
func (t *TLB) nested(m *Memory, c *Context, va VA, ipa IPA) (PA, uint, Abort) {
	pa, shift, prot, fault := t.stage2(m, c, ipa)
	if fault.Kind == FaultNone && (prot&ProtRead == 0 || c.ProtectedWalk && prot&ProtDevice != 0) {
		fault.Kind = FaultPermission
	}
	if fault.Kind != FaultNone {
		return 0, 0, Abort{VA: va, IPA: ipa, Kind: fault.Kind, Level: fault.Level, Stage2: true, Walk: true}
	}
	return pa, shift, Abort{}
}

// stage2 translates an IPA by stage 2, if there is one, with the level of the
// leaf in the fault of kind none. What a leaf maps is cached as part of a combined
// entry only; the tables on the way to it are cached as for any IPA.
func (t *TLB) stage2(m *Memory, c *Context, ipa IPA) (PA, uint, Prot, Fault) {
	s := c.Stage2
	switch {
	case c.BadStage2:
		return 0, 0, 0, Fault{ipa, FaultTranslation, 0}
	case s == nil:
		return PA(ipa), 63, ProtRead | ProtWrite | ProtExec, Fault{}
	case s.Root>>s.OutBits != 0:
		return 0, 0, 0, Fault{ipa, FaultAddressSize, 0}
	}
	d, level, fault := t.walkLeaf(m, s, c.nestedSpace, ipa)
	if fault.Kind != FaultNone {
		return 0, 0, 0, fault
	}
	shift := s.Shift(level)
	return d.OA(shift) + PA(uint64(ipa)&(1<<shift-1)), shift, d.Prot(), Fault{IPA: ipa, Level: level}
}

// deepestStage1 finds the table to begin the walk with, -1 for the root.
func (t *TLB) deepestStage1(c *Context, h *Half, key uint64) (int64, int8, restrict, *Frame) {
	number := t.domain.tag(c.near)
	for level := int8(2); level >= h.Start; level-- {
		shift := h.Shift(level)
		region := key >> shift
		if i := t.walk.find(number|uint64(tableClass[shift])<<tagClass|region, region); i >= 0 {
			e := &t.walk.entries[i]
			return int64(e.out &^ entryFlags), level + 1, restrict(e.out & entryFlags), e.frame
		}
	}
	return -1, h.Start, 0, nil
}

// cacheStage1 remembers where the table that a descriptor at level points to
// lies, both stages done, and returns its frame if it is just one.
func (t *TLB) cacheStage1(m *Memory, c *Context, h *Half, key uint64, level int8, table PA, limits restrict) *Frame {
	var f *Frame
	if h.Granule == Granule4K {
		f = m.Frame(table.PFN())
	}
	if len(t.walk.tags) == 0 {
		return f
	}
	shift := h.Shift(level)
	region := key >> shift
	t.domain.use(c.near)
	tag := t.domain.tag(c.near) | uint64(tableClass[shift])<<tagClass | region
	t.walk.insert(t.domain, region, tag, Entry{uint64(table) | uint64(limits), f})
	return f
}
