package exec

import (
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// uop is a decoded instruction, or two of them fused.
type uop struct {
	do   func(e *Exec, u *uop) bool // false: see Exec.interrupted
	imm  uint64
	rd   uint8 // registers in Exec.x
	rn   uint8
	rm   uint8
	ra   uint8
	off  uint16 // of the instruction in its page
	cond uint16 // the values of NZCV for which the condition holds, a bit each
	amt  uint8
	mode uint8 // isa.Shift or isa.Extend
	size uint8 // bytes accessed
	nzcv uint8
	word uint32 // the instruction; of a fused branch where it goes, relative to the page
}

// block is instructions that follow one another, up to a branch.
type block struct {
	ops []uop
	n   sim.Cycle // instructions
	end uint64    // offset in the page of what follows

	timing []timing // of ops, for the models that have time; nil before their first use
}

const (
	pageWords  = mmu.FrameSize / 4
	blockLimit = 64 // instructions
)

// page is the code decoded from a physical page.
type page struct {
	frame  *mmu.Frame
	pa     mmu.PA
	blocks [pageWords]*block // by their first instruction
}

// noPage has no blocks.
var noPage page

// Code is what is decoded of a memory. It is no state: forgetting it changes
// nothing.
type Code struct {
	mem     *mmu.Memory
	pages   map[mmu.PFN]*page
	running *Exec // the last that Run was called of
}

// NewCode returns an empty cache of m's code, the only one that m may have.
func NewCode(m *mmu.Memory) *Code {
	c := &Code{mem: m, pages: map[mmu.PFN]*page{}}
	m.OnCodeWrite(c.void)
	return c
}

// void ends the block that is being executed behind the present instruction, if
// that writes to the page of it: the rest is fetched anew. Without an ISB a PE may
// execute the old instructions for a while (DDI 0487 B2.4.4); which ones it does
// must not depend on where a Run happens to end, so this one executes none.
func (c *Code) void(pfn mmu.PFN) {
	e := c.running
	if e == nil || e.page.pa != pfn.PA() {
		return
	}
	for _, b := range e.page.blocks { // of which one is being executed
		if b == nil {
			continue
		}
		for i := range b.ops {
			b.ops[i].do = refetch
		}
		if b.timing != nil { // the present instruction still has its own
			b.timing = make([]timing, len(b.ops))
			for i := range b.timing {
				b.timing[i].kind = kindNone
			}
		}
	}
}

// refetch is an instruction that is no longer what it was.
func refetch(e *Exec, _ *uop) bool { return e.fails(faultRefetch) }

// pagesLimit bounds what is kept: 8 KiB and more a page.
const pagesLimit = 8192

// pageOf returns what is decoded of the page of pa.
func (c *Code) pageOf(pa mmu.PA) *page {
	f, p := c.mem.Frame(pa.PFN()), c.pages[pa.PFN()]
	switch {
	case p == nil || p.frame != f:
		if len(c.pages) >= pagesLimit {
			clear(c.pages)
		}
		p = &page{frame: f, pa: pa.PFN().PA()}
		c.pages[pa.PFN()] = p
	case f.IsCode():
		return p
	default: // written to; no PE uses it now, for CodeWrites has changed
		clear(p.blocks[:])
	}
	c.mem.MarkCode(f)
	return p
}

// fetchSlot is where the code of a page of virtual addresses is.
type fetchSlot struct {
	key  uint64 // as in slot
	page *page
}

// findBlock finds the block at PC by translating it and decodes what is missing.
// It returns nil if the fetch fails.
func (e *Exec) findBlock() *block {
	if n := e.mem.CodeWrites(); n != e.codeWrites {
		e.codeWrites = n
		clear(e.fetches[:])
		if e.pipe != nil {
			e.pipe.code = fetchSlot{}
		}
	}
	e.pc = e.PE.BranchAddr(e.pc)
	if e.pc&3 != 0 {
		e.fault = fault{kind: faultPC}
		return nil
	}
	s := &e.fetches[e.pc>>mmu.FrameShift%frontSlots]
	if e.model != Atomic {
		s = &e.pipe.code
	}
	if s.key != e.pc>>mmu.FrameShift|e.fetchKey && !e.fetch(s) {
		return nil
	}
	e.base, e.page = e.pc&^pageMask, s.page
	at := &s.page.blocks[e.pc>>2%pageWords]
	if *at == nil {
		*at = e.decode(s.page, e.pc&pageMask, blockLimit)
	}
	return *at
}

// fetch translates PC.
func (e *Exec) fetch(s *fetchSlot) bool {
	if e.model != Atomic {
		e.pipe.at = e.Now
	}
	t, abort := e.translate(e.pc, mmu.AccessFetch, e.PE.FetchMode())
	if e.model != Atomic {
		e.translated()
	}
	if t == nil {
		e.fault = fault{kind: faultFetch, abort: abort}
		return false
	}
	*s = fetchSlot{e.pc>>mmu.FrameShift | e.fetchKey, e.code.pageOf(t.PAOf(mmu.VA(e.pc)))}
	return true
}

// decode makes a block of at most n instructions.
func (e *Exec) decode(p *page, off uint64, n int) *block {
	b := &block{}
	for last := false; !last && n > 0 && off < mmu.FrameSize; n-- {
		pa := p.pa + mmu.PA(off)
		word := uint32(e.mem.LoadIn(p.frame, pa, 4))
		in, ok := isa.Decode(word)
		u := uop{off: uint16(off), word: word}
		last = true
		if ok {
			last = lower(&u, &in)
		} else {
			u.do = undefined
		}
		switch {
		case in.Op == isa.Bcond && fuse(b, &u):
		case ok && in.Rn == sp && usesMemory(&in):
			b.ops = append(b.ops, uop{do: checkSP, off: u.off, word: word}, u)
		default:
			b.ops = append(b.ops, u)
		}
		off += 4
		b.n++
	}
	b.end = off
	return b
}

// fuse makes one uop of a comparison, the last of the block so far, and the
// branch that follows it, if there is a uop for both.
func fuse(b *block, branch *uop) bool {
	if len(b.ops) == 0 {
		return false
	}
	u := &b.ops[len(b.ops)-1]
	in, _ := isa.Decode(u.word)
	x := 1
	if in.Sf {
		x = 0
	}
	both := fusedOps[in.Op][x]
	if both == nil || u.amt != 0 && in.Op == isa.SUBSreg {
		return false
	}
	u.do, u.cond, u.word = both, branch.cond, uint32(branch.imm)
	return true
}

func undefined(e *Exec, _ *uop) bool { return e.fails(faultUndefined) }

func checkSP(e *Exec, _ *uop) bool {
	if e.checkSP && e.x[sp]&15 != 0 {
		return e.fails(faultSP)
	}
	return true
}
