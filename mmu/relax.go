package mmu

import "ringmap/sim"

// RelaxProgram adds permissions to the leaf that maps an address, block or page
// (kvm_pgtable_stage2_relax_perms), then invalidates the TLB for it. Where
// nothing is mapped it ends with EditAgain.
type RelaxProgram struct {
	S2     *Stage2
	Old    Desc // the leaf as it was found
	Result EditResult
	Level  int8 // the leaf's level
	prot   Prot
	shared bool  // MMU lock held for read: compare and swap
	tlbi   uint8 // OpBroadcast or 0
	state  editState
	ipa    IPA
	at     PA // of the descriptor under way
}

// Relax returns the program that adds p (read, write, execute) to the leaf that
// maps ipa. shared says that the MMU lock is held for read (6.2 and later), tlbi
// whether the invalidation is broadcast (OpBroadcast, until 6.4) or local (0).
func (s *Stage2) Relax(ipa IPA, p Prot, shared bool, tlbi uint8) RelaxProgram {
	return RelaxProgram{S2: s, ipa: ipa, prot: p, shared: shared, tlbi: tlbi & OpBroadcast}
}

// editState is where a program on one address stands.
type editState uint8

const (
	editStart editState = iota
	editLoaded
	editSwapped // a compare-and-swap is under way
	editLast    // nothing is left but to report the end
)

// Next implements Program.
func (p *RelaxProgram) Next(b *Block) bool {
	out := b.Out[0]
	b.Reset()
	b.What = Stage2Table
	switch p.state {
	case editStart:
		if p.ipa>>p.S2.IPABits != 0 {
			p.Result = EditAgain
			return false
		}
		p.Level = p.S2.Start
		return p.load(b, p.S2.Root)
	case editLoaded:
		return p.found(b, Desc(out))
	case editSwapped:
		if Desc(out) != p.Old {
			p.Result = EditAgain
		}
	}
	return false
}

func (p *RelaxProgram) load(b *Block, table PA) bool {
	p.state = editLoaded
	p.at = p.S2.Entry(table, p.Level, p.ipa)
	b.Load(p.at, 8)
	return true
}

// found goes on with descriptor d of the current level.
func (p *RelaxProgram) found(b *Block, d Desc) bool {
	switch p.S2.Kind(d, p.Level) {
	case DescIsTable:
		p.Level++
		return p.load(b, d.OA(p.S2.Granule.Shift()))
	case DescInvalid:
		p.Result = EditAgain
		return false
	}
	p.Old = d
	p.state = editLast
	if grown := d.Allow(p.prot); grown != d {
		if p.shared {
			p.state = editSwapped
			b.Push(Op{Kind: OpCAS, Addr: p.at, Size: 8, Old: uint64(d), Val: uint64(grown), What: Stage2Table})
		} else {
			b.Store(p.at, 8, uint64(grown))
		}
	}
	// Whether the entry changes here or another walker was first, this core may
	// hold the old translation.
	b.Push(p.S2.tlbiIPA(p.ipa, p.tlbi))
	return true
}

// Allow returns a leaf descriptor with permissions added.
func (d Desc) Allow(p Prot) Desc {
	if p&ProtRead != 0 {
		d |= FieldS2APR.Mask()
	}
	if p&ProtWrite != 0 {
		d |= FieldS2APW.Mask()
	}
	if p&ProtExec != 0 {
		d &^= FieldXN.Mask()
	}
	return d
}

// tlbiIPA is the op that invalidates ipa in this VM, with the DSBs around it.
func (s *Stage2) tlbiIPA(ipa IPA, flags uint8) Op {
	return Op{Kind: OpTLBIIPA, Addr: PA(ipa), Val: uint64(s.VMID), Flags: flags}
}

// Sync saves, restores or hashes the program; s is the VM's stage 2.
func (p *RelaxProgram) Sync(c *sim.Codec, s *Stage2) {
	c.Tag("relax")
	if c.Loading() {
		p.S2 = s
	}
	sim.Uint(c, &p.Old)
	sim.Uint(c, &p.Result)
	syncLevel(c, &p.Level)
	sim.Uint(c, &p.prot)
	c.Bool(&p.shared)
	c.U8(&p.tlbi)
	sim.Uint(c, &p.state)
	sim.Uint(c, &p.ipa)
	sim.Uint(c, &p.at)
}
