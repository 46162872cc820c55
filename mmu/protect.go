package mmu

import "ringmap/sim"

// ProtectProgram write-protects [at, end): every valid leaf in it loses S2AP
// write (kvm_pgtable_stage2_wrprotect). What has no table is skipped whole, a
// block is protected as a block even where the span covers part of it. The
// caller holds the MMU lock for write and flushes the TLBs afterwards.
type ProtectProgram struct {
	span
	Changed uint64 // leaf entries that were writable
}

// Protect returns the program that write-protects n pages from gfn on.
func (s *Stage2) Protect(gfn GFN, n uint64) ProtectProgram {
	return ProtectProgram{span: span{S2: s, gfn: gfn, n: n}}
}

// Next implements Program.
func (p *ProtectProgram) Next(b *Block) bool {
	if p.n != 0 {
		p.start()
	}
	loaded, first := p.loaded, p.first
	b.Reset()
	b.What = Stage2Table
	shift := p.S2.Shift(p.level)
	for i := first; i < first+loaded; i++ {
		d := Desc(b.Out[i])
		switch p.S2.Kind(d, p.level) {
		case DescIsTable:
			p.descend(d)
			return p.load(b)
		case DescIsLeaf:
			p.Leaves++
			if d.Writable() {
				p.Changed++
				b.Store(p.entry, 8, uint64(d&^FieldS2APW.Mask()))
			}
		}
		p.advance(shift)
	}
	if p.at >= p.end {
		p.loaded = 0
		return b.N > 0
	}
	for p.passed() {
		p.ascend()
	}
	return p.load(b)
}

// span is a walk over the pages [gfn, gfn+n), as far as there is IPA space, that
// loads the descriptors of one table in lines of up to 8 and descends where there
// are tables.
type span struct {
	S2     *Stage2
	Leaves uint64 // valid leaf entries met
	gfn    GFN
	n      uint64 // pages, 0 once the walk has started
	at     IPA
	end    IPA
	entry  PA    // of the descriptor for at
	table  [4]PA // by level
	level  int8
	loaded uint8 // descriptors in the block under way
	first  uint8 // its first one's index in Out
	wide   bool  // the entry before was no table: the next ones may be loaded together
}

// start puts the walk at the first entry of the root.
func (w *span) start() {
	g, limit := w.S2.Granule, IPA(1)<<w.S2.IPABits
	if w.gfn < g.GFN(limit) {
		w.at = g.IPA(w.gfn)
		w.end = w.at + IPA(min(w.n, uint64(g.GFN(limit-w.at))))<<g
	}
	w.n = 0
	w.level = w.S2.Start
	w.table[w.level&3] = w.S2.Root
	w.entry = w.S2.Entry(w.S2.Root, w.level, w.at)
}

// descend goes into the table that d points to.
func (w *span) descend(d Desc) {
	w.level++
	w.table[w.level] = d.OA(w.S2.Granule.Shift())
	w.entry = w.S2.Entry(w.table[w.level], w.level, w.at)
	w.wide = w.level == 3
}

// advance goes to the next entry of the table.
func (w *span) advance(shift uint) {
	w.at = (w.at>>shift + 1) << shift
	w.entry += 8
	w.wide = true
}

// passed reports whether the span is through with the table it is in, which is
// not the root.
func (w *span) passed() bool {
	return w.level > w.S2.Start &&
		(w.at >= w.end || w.entry == w.table[w.level]+1<<w.S2.Granule.Shift())
}

// ascend leaves the table that the span is through with for the entry after it,
// and returns an address that the table maps.
func (w *span) ascend() IPA {
	w.at--
	inside := w.at
	w.level--
	w.entry = w.S2.Entry(w.table[w.level], w.level, inside)
	w.advance(w.S2.Shift(w.level))
	w.wide = false
	return inside
}

// load appends the loads of the next descriptors, as many as the block takes and
// one cache line holds, and reports whether the block has anything to do.
func (w *span) load(b *Block) bool {
	w.loaded = 0
	if w.at >= w.end {
		return b.N > 0
	}
	n := uint64(1)
	if w.wide {
		n = 8 - uint64(w.entry)>>3&7
		n = min(n, uint64(w.end-w.at-1)>>w.S2.Shift(w.level)+1)
	}
	if n > uint64(BlockOps-b.N) {
		return true
	}
	w.first, w.loaded = uint8(b.N), uint8(n)
	for i := range n {
		b.Load(w.entry+PA(i*8), 8)
	}
	return true
}

func (w *span) sync(c *sim.Codec, s *Stage2) {
	if c.Loading() {
		w.S2 = s
	}
	c.U64(&w.Leaves)
	sim.Uint(c, &w.gfn)
	c.U64(&w.n)
	sim.Uint(c, &w.at)
	sim.Uint(c, &w.end)
	sim.Uint(c, &w.entry)
	for i := range w.table {
		sim.Uint(c, &w.table[i])
	}
	syncLevel(c, &w.level)
	c.U8(&w.loaded)
	c.U8(&w.first)
	c.Bool(&w.wide)
	if w.loaded > BlockOps || w.first > BlockOps-w.loaded {
		c.Fail(errBlock)
		w.loaded, w.first = 0, 0
	}
}

// Sync saves, restores or hashes the program; s is the VM's stage 2.
func (p *ProtectProgram) Sync(c *sim.Codec, s *Stage2) {
	c.Tag("protect")
	p.sync(c, s)
	c.U64(&p.Changed)
}
