package mmu

// OpKind is one micro-operation that software on the simulated host performs.
type OpKind uint8

const (
	OpLoad      OpKind = iota // Out = memory
	OpStore                   // memory = Val
	OpSwap                    // Out = old, memory = Val
	OpSetBits                 // Out = old, memory |= Val
	OpClearBits               // Out = old, memory &^= Val
	OpAdd                     // Out = old, memory += Val
	OpCAS                     // Out = old, memory = Val if old == Old
	OpBarrier                 // DMB/DSB, as Flags say
	OpTLBIIPA                 // invalidate the stage-2 entry of IPA Addr in VMID Val
	OpTLBIVMID                // invalidate everything of VMID Val (VMALLS12E1)
	OpDelay                   // Val cycles of instructions that touch no modelled memory
	OpTouch                   // takes the time of a load and a store, without contents: see Block.Touch
)

// Op flags.
const (
	OpAcquire   uint8 = 1 << iota // load-acquire
	OpRelease                     // store-release
	OpBroadcast                   // TLBI *IS: every core of the domain; otherwise this core only
)

// Op is one micro-op. Addr is physical; for OpTLBIIPA it holds the IPA.
// Size is 1, 2, 4 or 8 bytes and the access is naturally aligned.
type Op struct {
	Addr  PA
	Val   uint64
	Old   uint64
	Kind  OpKind
	Size  uint8
	Flags uint8
	What  What // what lies at Addr; KernelData = what the block says
}

// BlockOps is the most micro-ops that one step of a path hands to a core.
const BlockOps = 8

// Block is a short micro-op program: the unit that a path hands to a core and
// whose loaded values it reads back in its next step.
type Block struct {
	N    int
	Ops  [BlockOps]Op
	Out  [BlockOps]uint64
	By   Writer // who the stores are for
	What What   // what lies where the ops access memory, but for those that say it themselves
}

// Reset empties the block for the next step.
func (b *Block) Reset() { b.N, b.What = 0, KernelData }

// Load appends a load and returns its index in Out.
func (b *Block) Load(pa PA, size uint8) int {
	return b.add(OpLoad, 0, pa, size, 0)
}

// LoadAcquire appends a load-acquire and returns its index in Out.
func (b *Block) LoadAcquire(pa PA, size uint8) int {
	return b.add(OpLoad, OpAcquire, pa, size, 0)
}

// Store appends a plain store.
func (b *Block) Store(pa PA, size uint8, v uint64) {
	b.add(OpStore, 0, pa, size, v)
}

// StoreRelease appends a store-release.
func (b *Block) StoreRelease(pa PA, size uint8, v uint64) {
	b.add(OpStore, OpRelease, pa, size, v)
}

// Delay appends n cycles of instruction overhead.
func (b *Block) Delay(n uint64) {
	if n != 0 {
		b.add(OpDelay, 0, 0, 0, n)
	}
}

// Push appends any micro-op and returns its index in Out.
func (b *Block) Push(op Op) int {
	i := b.add(op.Kind, op.Flags, op.Addr, op.Size, op.Val)
	b.Ops[i].Old, b.Ops[i].What = op.Old, op.What
	return i
}

// Touch appends the update of something whose contents the model keeps elsewhere
// than in memory: only its time counts, and only where caches are modelled.
func (b *Block) Touch(pa PA, w What) { b.Push(Op{Kind: OpTouch, Addr: pa, What: w}) }

// add is Push of an op without Old, put together in its place: a copy that reads
// wider than what was just written stalls the host's core.
func (b *Block) add(kind OpKind, flags uint8, pa PA, size uint8, v uint64) int {
	i := b.N
	op := &b.Ops[i]
	op.Addr, op.Val, op.Old = pa, v, 0
	op.Kind, op.Size, op.Flags, op.What = kind, size, flags, KernelData
	b.N = i + 1
	return i
}
