package its

// Registers of distributor and redistributor frames, by offset. What has no row
// reads as zero and ignores writes. IHI 0069 12.8 to 12.11.
const (
	gicdCTLR    = 0x0000
	gicdTYPER   = 0x0004
	gicdSETSPI  = 0x0040 // message: the INTID that becomes pending
	gicdCLRSPI  = 0x0048
	gicdIROUTER = 0x6000
	gicPIDR2    = 0xffe8

	gicrCTLR      = 0x0000
	gicrTYPER     = 0x0008
	gicrPROPBASER = 0x0070
	gicrPENDBASER = 0x0078
	gicrFrame     = 0x1_0000 // the second: SGIs and PPIs, laid out as the distributor
)

// bank is a run of registers with some bits for each interrupt.
type bank struct {
	offset, size uint32
	bits         uint32
	kind         bankKind
}

type bankKind uint8

const (
	bankGroup bankKind = iota
	bankSetEnable
	bankClearEnable
	bankSetPending
	bankClearPending
	bankSetActive
	bankClearActive
	bankPriority
	bankConfig
)

var banks = [...]bank{
	{0x0080, 0x80, 1, bankGroup},
	{0x0100, 0x80, 1, bankSetEnable},
	{0x0180, 0x80, 1, bankClearEnable},
	{0x0200, 0x80, 1, bankSetPending},
	{0x0280, 0x80, 1, bankClearPending},
	{0x0300, 0x80, 1, bankSetActive},
	{0x0380, 0x80, 1, bankClearActive},
	{0x0400, 0x400, 8, bankPriority},
	{0x0c00, 0x100, 2, bankConfig},
}

// banked finds the bank of an access of size bytes, and its first interrupt: words,
// and bytes of priorities.
func banked(offset, size uint32) (b *bank, first uint32, ok bool) {
	for i := range banks {
		b = &banks[i]
		if offset-b.offset < b.size && (size == 4 || size == 1 && b.bits == 8) && offset%size == 0 {
			return b, (offset - b.offset) * 8 / b.bits, true
		}
	}
	return nil, 0, false
}

// ReadDist reads the distributor, size bytes.
func (g *GIC) ReadDist(offset, size uint32) uint64 {
	if b, first, ok := banked(offset, size); ok {
		if first < NumPrivate { // those are in the redistributors
			return 0
		}
		return g.readBank(NoPE, b, first, size)
	}
	if offset-gicdIROUTER < 0x2000 && offset%size == 0 {
		if p := g.spi((offset - gicdIROUTER) / 8); p != nil {
			return part(uint64(p.Route&routeAny)|uint64(p.Route>>24&0x7f)<<32|uint64(p.Route&0xff_ffff), offset, size)
		}
		return 0
	}
	switch {
	case size != 4:
	case offset == gicdCTLR:
		return uint64(DistCTLR(0).WithEnableGrp1(g.Enabled[1]).WithARE(true).WithDS(true)) | bit(g.Enabled[0])
	case offset == gicdTYPER:
		return uint64(DistTYPER(0).WithLines(uint32(NumPrivate+len(g.SPIs)) / 32).WithIDBits(INTIDBits).WithLPIS(true))
	case offset == gicPIDR2:
		return 0x3b
	}
	return 0
}

// WriteDist writes it.
func (g *GIC) WriteDist(offset, size uint32, v uint64) {
	if b, first, ok := banked(offset, size); ok {
		if first >= NumPrivate {
			g.writeBank(NoPE, b, first, size, v)
		}
		return
	}
	switch {
	case offset-gicdIROUTER < 0x2000 && offset%8 == 0 && size >= 4:
		if p := g.spi((offset - gicdIROUTER) / 8); p != nil {
			route := uint32(v) & (routeAny | 0xff_ffff)
			if size == 8 {
				route |= uint32(v>>32) & 0x7f << 24
			}
			g.route(p, route)
			g.update(p)
		}
	case size != 4:
	case offset == gicdCTLR:
		g.Enabled = [2]bool{v&1 != 0, DistCTLR(v).EnableGrp1()}
	case offset == gicdSETSPI, offset == gicdCLRSPI:
		if p := g.spi(uint32(v)); p != nil {
			p.Pending = offset == gicdSETSPI
			g.update(p)
		}
	}
}

// spi is a shared interrupt, nil if there is none of that INTID.
func (g *GIC) spi(intid uint32) *Interrupt {
	if i := intid - NumPrivate; i < uint32(len(g.SPIs)) {
		return &g.SPIs[i]
	}
	return nil
}

// ReadRedist reads the two frames of a PE's redistributor.
func (g *GIC) ReadRedist(pe int32, offset, size uint32) uint64 {
	p := &g.PEs[pe]
	if b, first, ok := banked(offset-gicrFrame, size); ok {
		if first >= NumPrivate {
			return 0
		}
		return g.readBank(pe, b, first, size)
	}
	switch offset &^ 7 {
	case gicrCTLR:
		if offset == gicrCTLR && size == 4 {
			return uint64(RedistCTLR(0).WithEnableLPIs(p.EnableLPIs).WithCES(true))
		}
	case gicrTYPER:
		return part(uint64(RedistTYPER(0).WithAffinity(p.Affinity).WithProcessor(uint32(pe)).
			WithLast(int(pe) == len(g.PEs)-1).WithPhysical(true)), offset, size)
	case gicrPROPBASER:
		return part(uint64(g.Config), offset, size)
	case gicrPENDBASER:
		return part(uint64(p.Pending.WithPTZ(false)), offset, size)
	case gicPIDR2:
		if size == 4 {
			return 0x3b
		}
	}
	return 0
}

// WriteRedist writes them. The tables' registers are read-only while LPIs are
// enabled.
func (g *GIC) WriteRedist(pe int32, offset, size uint32, v uint64) {
	p := &g.PEs[pe]
	if b, first, ok := banked(offset-gicrFrame, size); ok {
		if first < NumPrivate {
			g.writeBank(pe, b, first, size, v)
		}
		return
	}
	switch offset &^ 7 {
	case gicrCTLR:
		if offset == gicrCTLR && size == 4 {
			g.enableLPIs(pe, RedistCTLR(v).EnableLPIs())
		}
	case gicrPROPBASER:
		if !p.EnableLPIs {
			g.Config = PROPBASER(merge(uint64(g.Config), offset, size, v))
		}
	case gicrPENDBASER:
		if !p.EnableLPIs {
			p.Pending = PENDBASER(merge(uint64(p.Pending), offset, size, v))
		}
	}
}

// part is what an access of 4 or 8 bytes reads of a 64-bit register.
func part(v uint64, offset, size uint32) uint64 {
	switch {
	case size == 8 && offset%8 == 0:
		return v
	case size == 4 && offset%4 == 0:
		return v >> (8 * (offset & 4)) & 0xffff_ffff
	}
	return 0
}

// merge is the register after a write of it, or of a half.
func merge(old uint64, offset, size uint32, v uint64) uint64 {
	switch {
	case size == 8 && offset%8 == 0:
		return v
	case size == 4 && offset%4 == 0:
		shift := 8 * (offset & 4)
		return old&^(0xffff_ffff<<shift) | v&0xffff_ffff<<shift
	}
	return old
}

// readBank reads the bits of the interrupts from first on; pe is NoPE for shared ones.
func (g *GIC) readBank(pe int32, b *bank, first, size uint32) (v uint64) {
	for i := range size * 8 / b.bits {
		p := g.banked(pe, first+i)
		if p == nil {
			break
		}
		field := uint64(0)
		switch b.kind {
		case bankGroup:
			field = bit(p.Group1)
		case bankSetEnable, bankClearEnable:
			field = bit(p.Enabled)
		case bankSetPending, bankClearPending:
			field = bit(p.Asserted())
		case bankSetActive, bankClearActive:
			field = bit(p.Active)
		case bankPriority:
			field = uint64(p.Priority)
		case bankConfig:
			field = bit(p.Edge) << 1
		}
		v |= field << (i * b.bits)
	}
	return v
}

// writeBank writes them. The configuration of SGIs is fixed.
func (g *GIC) writeBank(pe int32, b *bank, first, size uint32, v uint64) {
	for i := range size * 8 / b.bits {
		p := g.banked(pe, first+i)
		if p == nil {
			return
		}
		field := v >> (i * b.bits) & (1<<b.bits - 1)
		one := field&1 != 0
		switch b.kind {
		case bankGroup:
			p.Group1 = one
		case bankSetEnable:
			p.Enabled = p.Enabled || one
		case bankClearEnable:
			p.Enabled = p.Enabled && !one
		case bankSetPending:
			p.Pending = p.Pending || one
		case bankClearPending:
			p.Pending = p.Pending && !one
		case bankSetActive:
			p.Active = p.Active || one
		case bankClearActive:
			p.Active = p.Active && !one
		case bankPriority:
			p.Priority = uint8(field) & priorityMask
		case bankConfig:
			if p.INTID >= NumSGIs {
				p.Edge = field&2 != 0
			}
		}
		g.update(p)
	}
}

func (g *GIC) banked(pe int32, intid uint32) *Interrupt {
	if pe == NoPE {
		return g.spi(intid)
	}
	return &g.PEs[pe].Private[intid]
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
