package mmu

import "ringmap/sim"

// UnmapProgram unmaps [at, end): every leaf that touches it is cleared and
// invalidated on all TLBs one by one, as KVM does without FEAT_TLBIRANGE
// (stage2_unmap_put_pte), and tables that lie within it are freed. A block is
// removed whole even where the span covers part of it. The caller holds the MMU
// lock for write.
type UnmapProgram struct {
	span
	from  IPA
	freed PA // table unlinked by the block under way, 0 = none
}

// Unmap returns the program that unmaps n pages from gfn on.
func (s *Stage2) Unmap(gfn GFN, n uint64) UnmapProgram {
	return UnmapProgram{span: span{S2: s, gfn: gfn, n: n}}
}

// Next implements Program.
func (p *UnmapProgram) Next(b *Block) bool {
	if p.n != 0 {
		p.start()
		p.from = p.at
	}
	loaded, first := p.loaded, p.first
	p.loaded = 0
	b.Reset()
	b.What = Stage2Table
	if p.freed != 0 {
		p.S2.alloc.Free(p.freed.PFN(), p.S2.tableOrder())
		p.freed = 0
	}
	for i := first; i < first+loaded; i++ {
		d := Desc(b.Out[i])
		kind := p.S2.Kind(d, p.level)
		if kind == DescIsTable {
			p.descend(d)
			break
		}
		if kind == DescIsLeaf {
			p.Leaves++
			p.clear(b, p.entry, p.at)
		}
		p.advance(p.S2.Shift(p.level))
	}
	for b.N == 0 && p.passed() {
		p.leave(b)
	}
	if b.N > 0 {
		return true
	}
	if p.load(b); b.N > BlockOps/2 { // a leaf takes two ops: half as many at once
		b.N, p.loaded = BlockOps/2, BlockOps/2
	}
	return b.N > 0
}

// clear makes an entry invalid and removes it from all TLBs.
func (p *UnmapProgram) clear(b *Block, entry PA, ipa IPA) {
	b.Store(entry, 8, 0)
	b.Push(p.S2.tlbiIPA(ipa, OpBroadcast))
}

// leave goes up one level and unlinks the table if the span covered all of it.
func (p *UnmapProgram) leave(b *Block) {
	table := p.table[p.level]
	inside := p.ascend()
	size := IPA(1) << p.S2.Shift(p.level)
	if first := inside &^ (size - 1); first >= p.from && first+size <= p.end {
		p.freed = table
		p.clear(b, p.entry-8, inside)
	}
}

// Sync saves, restores or hashes the program; s is the VM's stage 2.
func (p *UnmapProgram) Sync(c *sim.Codec, s *Stage2) {
	c.Tag("unmap")
	p.sync(c, s)
	sim.Uint(c, &p.from)
	sim.Uint(c, &p.freed)
}
