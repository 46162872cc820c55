package mmu

import "ringmap/sim"

// MapProgram maps one page or block (kvm_pgtable_stage2_map): it walks down,
// links the tables that are missing, and replaces what is in the way by
// break-before-make. A block in the way of a page becomes an empty table, so the
// rest of the block faults in again page by page (stage2_map_walk_leaf); tables
// in the way of a block are freed (stage2_map_walk_table_pre).
//
// An entry is first locked (DescLocked) and then released with its new value.
// Where the same output address is mapped already, at the same size, nothing is
// done and the result is EditAgain: permissions are RelaxProgram's.
type MapProgram struct {
	S2     *Stage2
	Result EditResult
	Tables uint8 // tables allocated
	Broke  uint8 // valid entries replaced by break-before-make
	shared bool  // MMU lock held for read: compare and swap
	state  editState
	level  int8
	target int8
	ipa    IPA
	leaf   Desc
	at     PA   // of the descriptor under way
	old    Desc // what it was
	made   Desc // what it becomes
	evict  PA   // table to free when its entry is gone, 0 = none
}

// Map returns the program that maps the page or block of ipa at a level to pa.
// Both addresses are multiples of the size; the level is one that Geometry.Block
// allows. shared says that the MMU lock is held for read.
func (s *Stage2) Map(ipa IPA, pa PA, level int8, p Prot, shared bool) MapProgram {
	return MapProgram{S2: s, ipa: ipa, target: level, leaf: LeafDesc(pa, level, p), shared: shared}
}

// Next implements Program.
func (p *MapProgram) Next(b *Block) bool {
	out := b.Out[0]
	b.Reset()
	b.What = Stage2Table
	switch p.state {
	case editStart:
		p.level = p.S2.Start
		return p.load(b, p.S2.Root)
	case editLoaded:
		return p.found(b, Desc(out))
	case editSwapped: // locking the entry
		if Desc(out) != p.old {
			return p.lost()
		}
		return p.release(b)
	}
	return p.released(b)
}

func (p *MapProgram) load(b *Block, table PA) bool {
	p.state = editLoaded
	p.at = p.S2.Entry(table, p.level, p.ipa)
	b.Load(p.at, 8)
	return true
}

// found goes on with descriptor d of the current level.
func (p *MapProgram) found(b *Block, d Desc) bool {
	kind := p.S2.Kind(d, p.level)
	p.old = d
	switch {
	case d == DescLocked && p.shared:
		p.Result = EditAgain
		return false
	case p.level < p.target && kind == DescIsTable:
		p.level++
		return p.load(b, d.OA(p.S2.Granule.Shift()))
	case p.level < p.target:
		table := p.S2.alloc.Alloc(p.S2.tableOrder())
		if table == NoFrame {
			p.Result = EditNoMemory
			return false
		}
		p.Tables++
		p.made = TableDesc(table.PA())
	case kind == DescIsLeaf && d.OA(p.S2.Shift(p.level)) == p.leaf.OA(p.S2.Shift(p.level)):
		p.Result = EditAgain
		return false
	default:
		p.made = p.leaf
		if kind == DescIsTable {
			p.evict = d.OA(p.S2.Granule.Shift())
		}
	}
	return p.lock(b)
}

// lock makes the entry invalid, so that nobody else edits or uses it.
func (p *MapProgram) lock(b *Block) bool {
	if p.shared {
		p.state = editSwapped
		b.Push(Op{Kind: OpCAS, Addr: p.at, Size: 8, Old: uint64(p.old), Val: uint64(DescLocked), What: Stage2Table})
		return true
	}
	b.Store(p.at, 8, uint64(DescLocked))
	return p.release(b)
}

// release invalidates the TLBs if there was a translation, then makes the entry.
func (p *MapProgram) release(b *Block) bool {
	switch p.S2.Kind(p.old, p.level) {
	case DescIsLeaf:
		p.Broke++
		b.Push(p.S2.tlbiIPA(p.ipa, OpBroadcast))
	case DescIsTable: // a range: all of the VMID, without FEAT_TLBIRANGE
		p.Broke++
		b.Push(Op{Kind: OpTLBIVMID, Val: uint64(p.S2.VMID), Flags: OpBroadcast})
	}
	b.StoreRelease(p.at, 8, uint64(p.made))
	p.state = editLast
	return true
}

// released goes on below the table just linked, or ends.
func (p *MapProgram) released(b *Block) bool {
	if p.evict != 0 {
		p.S2.freeTable(p.S2.alloc.mem, p.evict, p.level+1)
		p.S2.alloc.Free(p.evict.PFN(), p.S2.tableOrder())
		p.evict = 0
	}
	if p.level == p.target {
		return false
	}
	p.level++
	return p.load(b, p.made.OA(p.S2.Granule.Shift()))
}

// lost ends after another walker changed the entry first.
func (p *MapProgram) lost() bool {
	if p.made != p.leaf {
		p.S2.alloc.Free(p.made.OA(0).PFN(), p.S2.tableOrder())
	}
	p.Result = EditAgain
	return false
}

// Sync saves, restores or hashes the program; s is the VM's stage 2.
func (p *MapProgram) Sync(c *sim.Codec, s *Stage2) {
	c.Tag("map")
	if c.Loading() {
		p.S2 = s
	}
	sim.Uint(c, &p.Result)
	c.U8(&p.Tables)
	c.U8(&p.Broke)
	c.Bool(&p.shared)
	sim.Uint(c, &p.state)
	syncLevel(c, &p.level)
	syncLevel(c, &p.target)
	sim.Uint(c, &p.ipa)
	sim.Uint(c, &p.leaf)
	sim.Uint(c, &p.at)
	sim.Uint(c, &p.old)
	sim.Uint(c, &p.made)
	sim.Uint(c, &p.evict)
}
