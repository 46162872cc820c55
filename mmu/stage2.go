package mmu

import (
	"fmt"

	"ringmap/sim"
)

// Stage2 is one VM's stage-2 translation: what VTTBR_EL2 and VTCR_EL2 say. The
// tables themselves are descriptors in physical memory.
type Stage2 struct {
	Geometry
	Root    PA
	VMID    uint16
	OutBits uint8      // VTCR_EL2.PS: bits of an output address, 48 as made
	alloc   *Allocator // of tables
}

// NewStage2 makes an empty stage-2 table in memory of a. The geometry must be
// one that NewGeometry accepts.
func NewStage2(m *Memory, a *Allocator, g Granule, ipaBits uint8, vmid uint16) Stage2 {
	shape, err := NewGeometry(g, ipaBits)
	if err != nil {
		panic("mmu: " + err.Error()) // the caller validates what users say
	}
	s := Stage2{Geometry: shape, VMID: vmid, OutBits: PABits, alloc: a}
	s.Root = a.Alloc(s.rootOrder()).PA()
	return s
}

// Destroy unmaps everything and frees all tables at once, root included: the end
// of the VM, whose VMID the caller invalidates.
func (s *Stage2) Destroy(m *Memory) {
	s.freeTable(m, s.Root, s.Start)
	s.alloc.Free(s.Root.PFN(), s.rootOrder())
	s.Root = 0
}

// freeTable frees the tables below a table, not itself.
func (s *Stage2) freeTable(m *Memory, table PA, level int8) {
	if level == 3 {
		return
	}
	n := PA(1) << s.bits
	if level == s.Start {
		n *= PA(s.Tables())
	}
	for i := range n {
		if d := Desc(m.Load(table+i*8, 8)); s.Kind(d, level) == DescIsTable {
			child := d.OA(s.Granule.Shift())
			s.freeTable(m, child, level+1)
			s.alloc.Free(child.PFN(), s.tableOrder())
		}
	}
}

// Leaf is where a walk ended: a block or page descriptor, or an invalid one.
type Leaf struct {
	Desc  Desc
	At    PA // address of the descriptor
	Level int8
	Kind  DescKind // DescIsLeaf or DescInvalid
}

// Find walks the tables as they are in memory now, untimed and uncached.
func (s *Stage2) Find(m *Memory, ipa IPA) Leaf {
	table := s.Root
	for level := s.Start; ; level++ {
		at := s.Entry(table, level, ipa)
		d := Desc(m.Load(at, 8))
		kind := s.Kind(d, level)
		if kind != DescIsTable {
			return Leaf{d, at, level, kind}
		}
		table = d.OA(s.Granule.Shift())
	}
}

// Sync saves, restores or hashes the registers; the tables are in Memory. When
// loading, a hands out the tables to come.
func (s *Stage2) Sync(c *sim.Codec, a *Allocator) {
	c.Tag("stage2")
	g, bits := s.Granule, s.IPABits
	sim.Uint(c, &g)
	c.U8(&bits)
	sim.Uint(c, &s.Root)
	c.U16(&s.VMID)
	c.U8(&s.OutBits)
	if !c.Loading() || c.Err() != nil {
		return
	}
	shape, err := NewGeometry(g, bits)
	if err != nil {
		c.Fail(fmt.Errorf("stage 2 of VMID %d: %w", s.VMID, err))
		return
	}
	s.Geometry, s.alloc = shape, a
}

// Program is an edit of the tables in micro-ops. Next puts the next block into
// b, whose Out holds what the block before loaded, and reports whether there is
// one to execute: for p.Next(b) { core.Exec(b) }.
type Program interface {
	Next(b *Block) bool
}

// RunNow executes a program at once, in no time. Local TLB invalidations act on
// the whole domain, there being no core.
func RunNow(m *Memory, d *Domain, b *Block, p Program) {
	for b.N = 0; p.Next(b); {
		for i := range b.N {
			op := &b.Ops[i]
			switch op.Kind {
			case OpTLBIIPA:
				d.InvalidateIPA(uint16(op.Val), IPA(op.Addr))
			case OpTLBIVMID:
				d.InvalidateVMID(uint16(op.Val))
			default:
				b.Out[i] = m.Apply(op, b.By)
			}
		}
	}
}

// EditResult is how an edit ended.
type EditResult uint8

const (
	EditDone     EditResult = iota
	EditAgain               // another walker was there, or nothing is left to do: retry the access (-EAGAIN)
	EditNoMemory            // no memory for a table (-ENOMEM)
)
