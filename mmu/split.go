package mmu

import "ringmap/sim"

// SplitProgram replaces every block in a span by tables of pages with the same
// attributes (kvm_pgtable_stage2_split, eager split): the tables are built
// unlinked and put in the block's place by one break-before-make. It stops with
// EditNoMemory where no table can be had. The caller holds the MMU lock for write.
type SplitProgram struct {
	span
	Blocks uint64 // blocks split
	Tables uint64 // tables allocated
	Result EditResult
	block  Desc // the block under way, 0 = none
	top    PA   // table that will take its place
	last   PA   // table of pages being filled
	page   uint64
	linked bool // the block is replaced by the micro-ops under way
}

// Split returns the program that splits the blocks of n pages from gfn on.
func (s *Stage2) Split(gfn GFN, n uint64) SplitProgram {
	return SplitProgram{span: span{S2: s, gfn: gfn, n: n}}
}

// Next implements Program.
func (p *SplitProgram) Next(b *Block) bool {
	if p.n != 0 {
		p.start()
	}
	loaded, first := p.loaded, p.first
	p.loaded = 0
	b.Reset()
	b.What = Stage2Table
	if p.linked {
		p.linked, p.block = false, 0
		p.advance(p.S2.Shift(p.level))
	}
	if p.block != 0 {
		return p.build(b)
	}
	for i := first; i < first+loaded; i++ {
		d := Desc(b.Out[i])
		kind := p.S2.Kind(d, p.level)
		if kind == DescIsTable && p.level < 2 { // a table at level 2 holds pages only
			p.descend(d)
			break
		}
		if kind == DescIsLeaf {
			p.Leaves++
			p.block, p.page = d, 0
			return p.build(b)
		}
		p.advance(p.S2.Shift(p.level))
	}
	for p.passed() {
		p.ascend()
	}
	return p.load(b)
}

// build fills the tables that replace the block, then links them.
func (p *SplitProgram) build(b *Block) bool {
	g := p.S2.Granule
	perTable := uint64(1) << p.S2.bits
	pages := uint64(1) << (p.S2.Shift(p.level) - g.Shift())
	if p.page == pages {
		return p.link(b)
	}
	if p.page%perTable == 0 && !p.newTable(b) {
		return false
	}
	attrs := p.block&^FieldOA.Mask() | FieldTable.Mask()
	pa := p.block.OA(p.S2.Shift(p.level))
	for b.N < BlockOps {
		b.Store(p.last+PA(p.page%perTable*8), 8, uint64(attrs|Desc(pa+PA(p.page<<g.Shift()))))
		if p.page++; p.page%perTable == 0 {
			break
		}
	}
	return true
}

// newTable allocates the next table of pages, with the table above it if the
// block is one of level 1.
func (p *SplitProgram) newTable(b *Block) bool {
	a, order := p.S2.alloc, p.S2.tableOrder()
	if p.page == 0 {
		p.top = 0
		if p.level == 1 {
			if !p.take(&p.top, a.Alloc(order)) {
				return false
			}
		}
	}
	if !p.take(&p.last, a.Alloc(order)) {
		if p.top != 0 {
			p.S2.freeTable(a.mem, p.top, p.level+1)
			a.Free(p.top.PFN(), order)
		}
		return false
	}
	if p.level == 1 {
		b.Store(p.top+PA(p.page>>p.S2.bits*8), 8, uint64(TableDesc(p.last)))
	} else {
		p.top = p.last
	}
	return true
}

// take notes an allocated table, or ends the program when there is none.
func (p *SplitProgram) take(to *PA, pfn PFN) bool {
	if pfn == NoFrame {
		p.Result, p.block, p.at = EditNoMemory, 0, p.end
		return false
	}
	p.Tables++
	*to = pfn.PA()
	return true
}

// link replaces the block: break, invalidate, make.
func (p *SplitProgram) link(b *Block) bool {
	b.Store(p.entry, 8, uint64(DescLocked))
	b.Push(p.S2.tlbiIPA(p.at, OpBroadcast))
	b.StoreRelease(p.entry, 8, uint64(TableDesc(p.top)))
	p.Blocks++
	p.linked = true
	return true
}

// Sync saves, restores or hashes the program; s is the VM's stage 2.
func (p *SplitProgram) Sync(c *sim.Codec, s *Stage2) {
	c.Tag("split")
	p.sync(c, s)
	c.U64(&p.Blocks)
	c.U64(&p.Tables)
	sim.Uint(c, &p.Result)
	sim.Uint(c, &p.block)
	sim.Uint(c, &p.top)
	sim.Uint(c, &p.last)
	c.U64(&p.page)
	c.Bool(&p.linked)
}
