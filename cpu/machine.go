// Package cpu is the processing side of the simulated machine: its cores, each
// with a clock and a TLB, on one physical memory.
//
//	guest access ─► Core.Load/Store ─► TLB ─► walker ─► mmu.Memory
//	kernel, VMM  ─► Core.Exec(block of micro-ops) ────►
//	                                   TLBI ─► mmu.Domain
//
// A micro-op has its effect at once, in the order in which cores are run. In the
// core model `atomic` it costs what the machine's Costs say; with caches (see
// timed.go) its accesses take the time that package cache finds.
//
// Sources: Arm ARM DDI 0487 D8 (translation and TLB maintenance); the costs come
// from kvmcore's profiles, which name their own.
package cpu

import (
	"fmt"

	"ringmap/cpu/cache"
	"ringmap/mmu"
	"ringmap/sim"
)

// Costs are the cycles that operations take.
type Costs struct {
	Load          uint32 // a load that hits the first-level cache
	Store         uint32
	RMW           uint32 // an atomic read-modify-write
	Barrier       uint32
	TLBILocal     uint32 // TLBI with its DSB, this core only
	TLBIBroadcast uint32 // TLBI *IS with its DSB, when nobody else has one under way
	TLBIShared    uint32 // of that, how long it keeps the one resource that all cores share
	WalkLevel     uint32 // a descriptor that the walker reads
	TLBHit2       uint32 // a hit in the second-level TLB, above a hit in the first
}

// Spec is what a machine is made of.
type Spec struct {
	Cores int         // 1 to MaxCores
	TLB   mmu.TLBSpec // of each core; the zero value is mmu.NeoverseN1
	Costs Costs
	// Caches is the memory hierarchy, nil for none: accesses take what Costs say.
	Caches *cache.Spec

	// Memory that somebody has filled already, and the end of what he has placed
	// in it: nothing below Free is handed out. nil = empty memory from RAMBase on.
	Memory *mmu.Memory
	Free   mmu.PFN
}

// MaxCores is the most physical cores: KVM's 512 vCPUs and room for the VMM.
const MaxCores = 1024

// RAMBase is where the machine's memory begins, as on QEMU's virt board.
const RAMBase mmu.PA = 1 << 30

// Validate reports what is impossible about a machine.
func (s Spec) Validate() error {
	if s.Cores < 1 || s.Cores > MaxCores {
		return fmt.Errorf("cpu: a machine of %d cores: use 1 to %d", s.Cores, MaxCores)
	}
	if s.Caches != nil {
		if err := s.Caches.Validate(); err != nil {
			return err
		}
	}
	if s.TLB == (mmu.TLBSpec{}) {
		return nil
	}
	return s.TLB.Validate()
}

// Machine is the hardware that a host kernel runs on.
type Machine struct {
	Mem    *mmu.Memory
	Alloc  *mmu.Allocator // physical memory that nobody uses yet
	Domain *mmu.Domain
	Cores  []*Core
	Costs  Costs
	Caches *cache.System // nil = none
	// tlbiFree is when the resource that serves broadcast TLBIs is free again.
	tlbiFree sim.Cycle
}

// NewMachine makes a machine at cycle 0 with empty memory. The spec must be one
// that Validate accepts.
func NewMachine(spec Spec) *Machine {
	if err := spec.Validate(); err != nil {
		panic("cpu: " + err.Error()) // the caller validates what users say
	}
	if spec.TLB == (mmu.TLBSpec{}) {
		spec.TLB = mmu.NeoverseN1
	}
	mem, free := spec.Memory, max(spec.Free, RAMBase.PFN())
	if mem == nil {
		mem, free = mmu.NewMemory(), RAMBase.PFN()
	}
	m := &Machine{
		Mem:    mem,
		Alloc:  mmu.NewAllocator(mem, free, 1<<(mmu.PABits-mmu.FrameShift)),
		Domain: mmu.NewDomain(),
		Costs:  spec.Costs,
	}
	for id := range spec.Cores {
		c := &Core{ID: id, machine: m, mem: mem}
		m.Domain.Add(&c.TLB, spec.TLB)
		m.Cores = append(m.Cores, c)
	}
	if spec.Caches != nil {
		m.attach(*spec.Caches)
	}
	return m
}

// Sync saves, restores or hashes the machine. A machine is restored into one
// made from the same spec.
func (m *Machine) Sync(c *sim.Codec) {
	c.Tag("machine")
	cores := len(m.Cores)
	c.Int(&cores)
	if cores != len(m.Cores) {
		c.Fail(fmt.Errorf("cpu: saved with %d cores, restored with %d", cores, len(m.Cores)))
		return
	}
	m.Mem.Sync(c)
	m.Alloc.Sync(c)
	m.Domain.Sync(c, m.Mem)
	sim.Uint(c, &m.tlbiFree)
	for _, core := range m.Cores {
		core.sync(c)
	}
	if m.Caches != nil {
		m.Caches.Sync(c)
	}
}
