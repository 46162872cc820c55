// Package script is the guest of the recordings: a small EL1 program that
// interprets a script, one 64-byte operation after the other.
//
//	slot 900 at 0x10000000
//	page 0        the interpreter's code: fetched
//	page 16*(v+1) script of vCPU v (order of creation): one load an operation
//	page 128      the page lists of write_list, 8 bytes a page: one load a store
//
// Fetches and script reads are guest accesses like any other: where slot 900 is
// logged they show. The recordings' README describes the operations; conform
// replays them and every other user may append operations between runs.
//
// The guest is there twice: as accesses (Stream), and as the program that makes
// them (guest/interpreter.s) for cores that execute code. The script in memory is the
// interpreter's, whichever of them runs.
package script

import (
	_ "embed"
	"fmt"
	"sync"

	"ringmap/cpu/isa"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Where the recordings' guest lives and what it stores to.
const (
	Slot        = 900
	Base        = mmu.IPA(0x10000000)
	ExitAddr    = mmu.IPA(0x09000000) // mmio_exit and the end of the script
	Report32    = mmu.IPA(0x09000004)
	Report64    = mmu.IPA(0x09000008)
	ExhaustedID = 0xdead // stored to ExitAddr when the script has no further operation

	opBytes       = 64
	scriptPages   = 16
	maxOps        = scriptPages*page/opBytes - 1 // and an end
	maxLoops      = 16                           // registers that count them
	listFirstPage = 128
	page          = 4096
)

// Each access of the interpreter is a loop of about four instructions.
const (
	opCycles = 4
	opInstr  = 4
)

// Kind is what an operation does.
type Kind uint8

const (
	WriteSeq     Kind = iota // Count 8-byte stores of Val+i at Base + i*Stride
	ReadSeq                  // Count 8-byte loads at Base + i*Stride
	ReadWriteSeq             // each: load, store of the value + 1
	Write64                  // store Val at Base
	Write32                  // the same, 4 bytes
	WriteList                // for each page of List: store the page number at Base + page*4096
	WriteLCG                 // Count times: x = next(x) from Val, store x at Base + (x>>33)%Pages*4096
	ReadLCG                  // the same with loads
	WritePair                // 16-byte store of the words 1, 2 at Base
	Loop                     // back to operation Target, Count times
	Spin                     // never leaves
	Read64Report             // load at Base, store of the value to Report64
	Read32Report             // the same, 4 bytes, to Report32
	MMIOExit                 // 4-byte store of Val to ExitAddr
	numKinds
)

var kindNames = [numKinds]string{
	"write_seq", "read_seq", "readwrite_seq", "write64", "write32", "write_list", "write_lcg",
	"read_lcg", "write_pair", "loop", "spin", "read64_report", "read32_report", "mmio_exit",
}

// String returns the name that the recordings use.
func (k Kind) String() string { return kindNames[k] }

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, bool) {
	for k, n := range kindNames {
		if n == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// Op is one operation; which fields it uses is said at its Kind.
type Op struct {
	Kind   Kind
	Base   mmu.IPA
	Stride int64  // bytes
	Count  uint64 // accesses, or times of a loop
	Val    uint64 // value, first value, or seed
	Pages  uint64
	Target int      // of a loop: operation of this vCPU's script, from 0
	List   []uint64 // page numbers
}

// Patch is something the VMM stores in guest memory for an appended operation.
type Patch struct {
	IPA   mmu.IPA
	Words []uint64
}

// Area is the guest's slot: it hands out the room of the page lists, which all
// vCPUs share.
type Area struct {
	listWords uint64
}

// Stream is one vCPU's script: a kvmcore.Stream.
type Stream struct {
	vcpu int
	ops  []step

	loops int // operations that are loops

	pc      int    // operation in execution
	started bool   // its code and script word have been accessed
	i       uint64 // access within the operation
	half    uint8  // step within an access: load, then store
	x       uint64 // LCG state
}

// step is an operation in the script with what its execution needs.
type step struct {
	Op
	list mmu.IPA // first word of List
	left uint64  // loop: jumps left
}

// NewStream returns the empty script of the vCPU created as number vcpu.
func NewStream(vcpu int) *Stream { return &Stream{vcpu: vcpu} }

// Append adds operations to the script and returns what the VMM has to store
// in guest memory for them. The target of a loop must exist before the loop.
func (a *Area) Append(s *Stream, ops []Op) ([]Patch, error) {
	patches := []Patch{{Base, interpreter()}}
	for _, op := range ops {
		switch n := len(s.ops); {
		case op.Kind == Loop && (op.Target < 0 || op.Target >= n):
			return nil, fmt.Errorf("operation %d: a loop back to operation %d", n, op.Target)
		case n == maxOps:
			return nil, fmt.Errorf("a script has room for %d operations", maxOps)
		case op.Kind == Loop && s.loops == maxLoops:
			return nil, fmt.Errorf("operation %d: the guest counts %d loops of a script, not more", n, maxLoops)
		}
		st := step{Op: op, left: op.Count}
		if op.Kind == WriteList {
			st.list = Base + listFirstPage*page + mmu.IPA(a.listWords*8)
			a.listWords += uint64(len(op.List))
			if st.list+mmu.IPA(8*len(op.List)) > Base+areaBytes {
				return nil, fmt.Errorf("operation %d: the lists of all scripts have room for %d pages", len(s.ops), (areaBytes-listFirstPage*page)/8)
			}
			patches = append(patches, Patch{st.list, op.List})
		}
		patches = append(patches, Patch{s.opIPA(len(s.ops)), s.encode(&st)})
		if op.Kind == Loop {
			s.loops++
		}
		s.ops = append(s.ops, st)
	}
	return append(patches, Patch{s.opIPA(len(s.ops)), []uint64{0}}), nil // its end
}

// areaBytes is the size of the recordings' slot.
const areaBytes = 1 << 20

// encode is an operation as the interpreter reads it.
func (s *Stream) encode(st *step) []uint64 {
	w := []uint64{uint64(st.Kind) + 1, uint64(st.Base), uint64(st.Stride), st.Count, st.Val, st.Pages, 0, 0}
	switch st.Kind {
	case WriteList:
		w[3], w[5] = uint64(len(st.List)), uint64(st.list)
	case Loop:
		w[5], w[6] = uint64(s.opIPA(st.Target)), uint64(s.loops)
	}
	return w
}

//go:embed guest/interpreter.s
var source string

// interpreter is the guest's program, as words of 8 bytes.
var interpreter = sync.OnceValue(func() []uint64 {
	code, err := isa.Assemble(source, uint64(Base))
	if err != nil {
		panic("script: guest/interpreter.s: " + err.Error())
	}
	words := make([]uint64, (len(code)+1)/2)
	for i, w := range code {
		words[i/2] |= uint64(w) << (i % 2 * 32)
	}
	return words
})

// Start is where the script of the vCPU created as number vcpu begins: what the
// interpreter finds in X0 when it is entered at Base.
func Start(vcpu int) mmu.IPA { return NewStream(vcpu).opIPA(0) }

// opIPA is where operation n of the script lies.
func (s *Stream) opIPA(n int) mmu.IPA {
	return Base + mmu.IPA(scriptPages*(s.vcpu+1)*page+n*opBytes)
}

// Fill writes the next accesses; dst holds three or more. What an exhausted
// script does is decided when the guest gets there, so that operations which are
// appended before come first: the store of ExhaustedID starts a batch and ends it.
func (s *Stream) Fill(dst []kvmcore.GuestAccess) int {
	n := 0
	for n+2 < len(dst) {
		if !s.started {
			if s.pc == len(s.ops) && n > 0 {
				return n
			}
			dst[n] = kvmcore.GuestAccess{Op: kvmcore.GuestFetch, IPA: Base, Size: 4, Cycles: opCycles, Instr: opInstr}
			dst[n+1] = access(kvmcore.GuestLoad, s.opIPA(s.pc), 8, 0)
			n += 2
			s.started = true
			if s.pc < len(s.ops) {
				s.x = s.ops[s.pc].Val
			}
		}
		if s.pc == len(s.ops) {
			s.started = false // reads the script again after the exit
			dst[n] = access(kvmcore.GuestStore, ExitAddr, 4, ExhaustedID)
			return n + 1
		}
		if s.next(&dst[n]) {
			n++
		}
	}
	return n
}

func access(op kvmcore.GuestOp, ipa mmu.IPA, size uint8, v uint64) kvmcore.GuestAccess {
	return kvmcore.GuestAccess{Op: op, IPA: ipa, Size: size, Value: v, Cycles: opCycles, Instr: opInstr}
}

// next writes the next access of the operation in execution, false if that
// operation is over without one.
func (s *Stream) next(a *kvmcore.GuestAccess) bool {
	op := &s.ops[s.pc]
	switch op.Kind {
	case WriteSeq:
		return s.each(a, op.Count, kvmcore.GuestStore, op.at(s.i), op.Val+s.i)
	case ReadSeq:
		return s.each(a, op.Count, kvmcore.GuestLoad, op.at(s.i), 0)
	case ReadWriteSeq:
		return s.pair(a, op.Count, access(kvmcore.GuestLoad, op.at(s.i), 8, 0),
			access(kvmcore.GuestStoreLoaded, op.at(s.i), 8, 1))
	case Write64:
		return s.once(a, access(kvmcore.GuestStore, op.Base, 8, op.Val))
	case Write32:
		return s.once(a, access(kvmcore.GuestStore, op.Base, 4, op.Val))
	case WriteList:
		if s.i == uint64(len(op.List)) {
			s.done()
			return false
		}
		p := op.List[s.i]
		return s.pair(a, uint64(len(op.List)), access(kvmcore.GuestLoad, op.list+mmu.IPA(s.i*8), 8, 0),
			access(kvmcore.GuestStore, op.Base+mmu.IPA(p*page), 8, p))
	case WriteLCG, ReadLCG:
		if s.i == op.Count {
			s.done()
			return false
		}
		s.x = s.x*6364136223846793005 + 1442695040888963407
		kind, value := kvmcore.GuestStore, s.x
		if op.Kind == ReadLCG {
			kind, value = kvmcore.GuestLoad, 0
		}
		return s.each(a, op.Count, kind, op.Base+mmu.IPA((s.x>>33)%op.Pages*page), value)
	case WritePair:
		// A 16-byte access stores one value twice. The store of the second word that
		// follows finds its page writable: nothing comes between.
		return s.pair(a, 1, access(kvmcore.GuestStore, op.Base, 16, 1), access(kvmcore.GuestStore, op.Base+8, 8, 2))
	case Loop:
		s.jump(op)
		return false
	case Spin:
		*a = kvmcore.GuestAccess{Op: kvmcore.GuestFetch, IPA: Base, Size: 4, Cycles: opCycles, Instr: opInstr}
		return true
	case Read64Report:
		return s.pair(a, 1, access(kvmcore.GuestLoad, op.Base, 8, 0), access(kvmcore.GuestStoreLoaded, Report64, 8, 0))
	case Read32Report:
		return s.pair(a, 1, access(kvmcore.GuestLoad, op.Base, 4, 0), access(kvmcore.GuestStoreLoaded, Report32, 4, 0))
	}
	return s.once(a, access(kvmcore.GuestStore, ExitAddr, 4, op.Val)) // MMIOExit
}

// at is the address of access i of a sequence.
func (op *step) at(i uint64) mmu.IPA { return op.Base + mmu.IPA(op.Stride*int64(i)) }

// each emits access i of count 8-byte accesses and ends the operation after the last.
func (s *Stream) each(a *kvmcore.GuestAccess, count uint64, op kvmcore.GuestOp, ipa mmu.IPA, v uint64) bool {
	if s.i >= count {
		s.done()
		return false
	}
	*a = access(op, ipa, 8, v)
	if s.i++; s.i == count {
		s.done()
	}
	return true
}

// pair emits first and second of each of count pairs.
func (s *Stream) pair(a *kvmcore.GuestAccess, count uint64, first, second kvmcore.GuestAccess) bool {
	if s.i >= count {
		s.done()
		return false
	}
	if s.half == 0 {
		*a, s.half = first, 1
		return true
	}
	*a, s.half = second, 0
	if s.i++; s.i == count {
		s.done()
	}
	return true
}

func (s *Stream) once(a *kvmcore.GuestAccess, v kvmcore.GuestAccess) bool {
	*a = v
	s.done()
	return true
}

// jump goes back to the loop's target, or on when it has done so often enough.
// A loop that is met again (inside another) starts over.
func (s *Stream) jump(op *step) {
	left, target := op.left, op.Target
	if left == 0 {
		op.left = op.Count
		s.done()
		return
	}
	op.left--
	s.done()
	s.pc = target
}

// done goes to the next operation.
func (s *Stream) done() { s.pc, s.i, s.half, s.started = s.pc+1, 0, 0, false }

// Sync saves, restores or hashes the script and where the vCPU stands in it.
func (s *Stream) Sync(c *sim.Codec) {
	c.Tag("script")
	c.Int(&s.vcpu)
	sim.Slice(c, &s.ops, func(c *sim.Codec, st *step) {
		sim.Uint(c, &st.Kind)
		sim.Uint(c, &st.Base)
		c.I64(&st.Stride)
		c.U64(&st.Count)
		c.U64(&st.Val)
		c.U64(&st.Pages)
		c.Int(&st.Target)
		sim.Slice(c, &st.List, func(c *sim.Codec, p *uint64) { c.U64(p) })
		sim.Uint(c, &st.list)
		c.U64(&st.left)
	})
	c.Int(&s.loops)
	c.Int(&s.pc)
	c.Bool(&s.started)
	c.U64(&s.i)
	c.U8(&s.half)
	c.U64(&s.x)
}
