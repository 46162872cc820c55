package kvmcore

import (
	"fmt"
	"maps"
	"slices"

	"ringmap/cpu/exec"
	"ringmap/mmu"
	"ringmap/sim"
)

// VCPUStats counts what one vCPU did.
type VCPUStats struct {
	Instructions, GuestCycles uint64
	Accesses                  uint64 // completed; the three below together
	Loads, Stores, Fetches    uint64
	Hypercalls                uint64

	FaultsTranslation, FaultsPermission uint64 // by kind of abort
	FaultsRead, FaultsWrite, FaultsExec uint64 // by kind of access
	FaultsRetried                       uint64 // somebody else was at the entry, or the host page changed
	Splits                              uint64 // blocks broken up by write faults
	Injected                            uint64 // exceptions given back to the guest

	Pushes        uint64 // ring entries written
	UniquePages   uint64 // of these, first of their page since NextPageEpoch
	Overruns      uint64 // pushes on a full ring
	RingOverflows uint64 // records that went to the bitmap because the ring was full
	Resizes       uint64 // times that the ring was given another size
	BitsMarked    uint64 // records in bitmaps, bits that were set already included
	Occupancy     sim.Level

	Runs            uint64 // KVM_RUN calls
	FullExits       uint64 // first exits for a full ring
	RepeatFullExits uint64 // without having entered the guest since the last one
	MMIOExits       uint64
	MMIOKernel      uint64 // accesses that the vGIC took
	SignalExits     uint64
	StealUpdates    uint64
	ResetEntries    uint64 // entries of its ring that were reset

	stuckFull bool    // has not entered the guest since its last full exit
	seen      pageSet // pages pushed since NextPageEpoch
}

// KVMStats counts what the host's kernel did for all VMs.
type KVMStats struct {
	UniquePages     uint64 // pushes that are the first of their page on any ring since NextPageEpoch
	DuplicatePushes uint64
	Occupancy       sim.Histogram // ring entries in use when a reset comes to a ring

	BitsMarked     uint64 // records in bitmaps
	BitsSet        uint64 // of these, bits that were clear
	NonVCPUWrites  uint64 // kernel writes of guest memory without a running vCPU, a page each
	NonVCPURecords uint64 // of these, recorded

	Resets, ResetEntries uint64
	ResetBatches         uint64 // re-protect calls: entries / batches = coalescing ratio
	ResetIgnored         uint64 // batches that named nothing to protect

	ProtectedPages, ProtectedBlocks, EagerSplits uint64
	TLBFlushes                                   uint64

	Gets, Clears   uint64
	WordsScanned   uint64
	WordsSet       uint64 // of these, with bits that counted
	BytesCopiedOut uint64

	Kicks           uint64 // vCPUs kicked out of the guest for the VM's ring
	VMRingPushes    uint64
	VMRingDrops     uint64 // records that found the VM's ring full
	VMRingOccupancy sim.Level
	FullFlags       uint64 // times that a full ring raised the VM's flag

	Losses        [NumLossCauses]uint64
	DropCountdown uint64 // records since the last one that kernel.drop_every dropped

	seen pageSet
}

// NextPageEpoch makes unique pages count anew: for figures per iteration.
func (h *Host) NextPageEpoch() {
	h.Stats.seen.clear()
	for _, vm := range h.VMs {
		for _, v := range vm.VCPUs {
			v.Stats.seen.clear()
		}
	}
}

// countPush counts an entry that the vCPU has just pushed.
func (v *VCPU) countPush(now sim.Cycle, gfn mmu.GFN) {
	s, h := &v.Stats, &v.VM.Host.Stats
	s.Pushes++
	s.Occupancy.Set(now, uint64(v.Ring.Used()))
	if p := v.VM.Host.probe; p != nil {
		p.Recorded(v.Thread, gfn, v.Thread.mark.pages)
	}
	key := uint64(v.VM.VMID)<<48 | uint64(gfn)
	if h.seen.add(key) {
		h.UniquePages++
	} else {
		h.DuplicatePushes++
	}
	if s.seen.add(key) {
		s.UniquePages++
	}
}

func (v *VCPU) countFault(p *faultPath) {
	s := &v.Stats
	if p.perm {
		s.FaultsPermission++
	} else {
		s.FaultsTranslation++
	}
	switch p.access {
	case mmu.AccessRead:
		s.FaultsRead++
	case mmu.AccessWrite:
		s.FaultsWrite++
	default:
		s.FaultsExec++
	}
}

func (v *VCPU) countFullExit() {
	if v.Stats.stuckFull {
		v.Stats.RepeatFullExits++
	} else {
		v.Stats.FullExits++
	}
	v.Stats.stuckFull = true
}

// guestTally is what one stretch of guest execution adds up.
type guestTally struct {
	began         sim.Cycle
	idle          uint64 // Cycles[CauseIdle] at the beginning
	stalled       uint64 // Core.Stats.StallCycles at the beginning
	cycles, instr uint64
	done          [8]uint64 // completed accesses by GuestOp
}

func (v *VCPU) countGuest(g *guestTally) {
	s, t := &v.Stats, v.Thread
	s.Instructions += g.instr
	s.GuestCycles += g.cycles
	s.Accesses += g.done[GuestLoad] + g.done[GuestStore] + g.done[GuestStoreLoaded] + g.done[GuestFetch]
	s.Loads += g.done[GuestLoad]
	s.Stores += g.done[GuestStore] + g.done[GuestStoreLoaded]
	s.Fetches += g.done[GuestFetch]
	idle := t.Cycles[CauseIdle] - g.idle
	t.Cycles[CauseGuest] += g.cycles
	stalled := t.Core.Stats.StallCycles - g.stalled
	t.Cycles[CauseMemory] += stalled
	t.Cycles[CauseWalk] += uint64(t.Core.Now-g.began) - g.cycles - idle - stalled
}

// counter is one line of what a component registers.
type counter[T any] struct {
	name, unit, desc string
	at               func(*T) *uint64
}

var vcpuCounters = []counter[VCPUStats]{
	{"guest.instructions", "instructions", "guest instructions retired", func(s *VCPUStats) *uint64 { return &s.Instructions }},
	{"guest.cycles", "cycles", "cycles of guest instructions", func(s *VCPUStats) *uint64 { return &s.GuestCycles }},
	{"guest.accesses", "accesses", "guest accesses completed", func(s *VCPUStats) *uint64 { return &s.Accesses }},
	{"guest.loads", "accesses", "guest loads completed", func(s *VCPUStats) *uint64 { return &s.Loads }},
	{"guest.stores", "accesses", "guest stores completed", func(s *VCPUStats) *uint64 { return &s.Stores }},
	{"guest.fetches", "accesses", "guest instruction fetches completed", func(s *VCPUStats) *uint64 { return &s.Fetches }},
	{"guest.hypercalls", "calls", "HVC instructions", func(s *VCPUStats) *uint64 { return &s.Hypercalls }},
	{"fault.translation", "faults", "stage-2 faults: nothing mapped", func(s *VCPUStats) *uint64 { return &s.FaultsTranslation }},
	{"fault.permission", "faults", "stage-2 faults: mapped without the permission", func(s *VCPUStats) *uint64 { return &s.FaultsPermission }},
	{"fault.read", "faults", "stage-2 faults of loads", func(s *VCPUStats) *uint64 { return &s.FaultsRead }},
	{"fault.write", "faults", "stage-2 faults of stores", func(s *VCPUStats) *uint64 { return &s.FaultsWrite }},
	{"fault.fetch", "faults", "stage-2 faults of instruction fetches", func(s *VCPUStats) *uint64 { return &s.FaultsExec }},
	{"fault.retried", "faults", "faults that changed nothing: somebody else was first", func(s *VCPUStats) *uint64 { return &s.FaultsRetried }},
	{"fault.splits", "blocks", "blocks broken up by write faults", func(s *VCPUStats) *uint64 { return &s.Splits }},
	{"fault.injected", "exceptions", "exceptions given back to the guest", func(s *VCPUStats) *uint64 { return &s.Injected }},
	{"ring.pushes", "entries", "ring entries written", func(s *VCPUStats) *uint64 { return &s.Pushes }},
	{"ring.unique_pages", "pages", "pages pushed at least once", func(s *VCPUStats) *uint64 { return &s.UniquePages }},
	{"ring.overruns", "entries", "pushes on a full ring", func(s *VCPUStats) *uint64 { return &s.Overruns }},
	{"ring.overflows", "records", "records that went to the bitmap because the ring was full", func(s *VCPUStats) *uint64 { return &s.RingOverflows }},
	{"ring.resizes", "", "times that the ring was given another size", func(s *VCPUStats) *uint64 { return &s.Resizes }},
	{"ring.reset_entries", "entries", "ring entries reset", func(s *VCPUStats) *uint64 { return &s.ResetEntries }},
	{"ring.full_exits", "exits", "exits for a full ring", func(s *VCPUStats) *uint64 { return &s.FullExits }},
	{"ring.repeat_full_exits", "exits", "further exits for a full ring, the guest not entered in between", func(s *VCPUStats) *uint64 { return &s.RepeatFullExits }},
	{"bitmap.vcpu_records", "records", "records of vCPUs in bitmaps", func(s *VCPUStats) *uint64 { return &s.BitsMarked }},
	{"run.calls", "calls", "KVM_RUN calls", func(s *VCPUStats) *uint64 { return &s.Runs }},
	{"mmio.user", "exits", "accesses that userspace emulates", func(s *VCPUStats) *uint64 { return &s.MMIOExits }},
	{"mmio.kernel", "accesses", "accesses that the kernel's interrupt controller took", func(s *VCPUStats) *uint64 { return &s.MMIOKernel }},
	{"run.signals", "exits", "exits with EINTR for a signal", func(s *VCPUStats) *uint64 { return &s.SignalExits }},
	{"steal.updates", "updates", "stolen-time records written", func(s *VCPUStats) *uint64 { return &s.StealUpdates }},
}

var kvmCounters = []counter[KVMStats]{
	{"ring.unique_pages", "pages", "pages pushed at least once, on any ring", func(s *KVMStats) *uint64 { return &s.UniquePages }},
	{"ring.duplicates", "entries", "pushes of a page that was pushed before", func(s *KVMStats) *uint64 { return &s.DuplicatePushes }},
	{"vmring.kicks", "kicks", "vCPUs that the kernel kicked out of their guest", func(s *KVMStats) *uint64 { return &s.Kicks }},
	{"vmring.pushes", "entries", "entries written into the VM's ring", func(s *KVMStats) *uint64 { return &s.VMRingPushes }},
	{"vmring.drops", "records", "records that found the VM's ring full", func(s *KVMStats) *uint64 { return &s.VMRingDrops }},
	{"ring.full_flags", "", "times that a full ring raised the VM's flag", func(s *KVMStats) *uint64 { return &s.FullFlags }},
	{"bitmap.records", "records", "records in bitmaps, of vCPUs and others", func(s *KVMStats) *uint64 { return &s.BitsMarked }},
	{"bitmap.bits_set", "bits", "bits of bitmaps set that were clear", func(s *KVMStats) *uint64 { return &s.BitsSet }},
	{"nonvcpu.writes", "writes", "kernel writes of guest pages without a running vCPU", func(s *KVMStats) *uint64 { return &s.NonVCPUWrites }},
	{"nonvcpu.records", "records", "of these, recorded", func(s *KVMStats) *uint64 { return &s.NonVCPURecords }},
	{"reset.calls", "calls", "KVM_RESET_DIRTY_RINGS calls", func(s *KVMStats) *uint64 { return &s.Resets }},
	{"reset.entries", "entries", "ring entries reset", func(s *KVMStats) *uint64 { return &s.ResetEntries }},
	{"reset.batches", "batches", "re-protect calls of resets", func(s *KVMStats) *uint64 { return &s.ResetBatches }},
	{"reset.ignored", "batches", "batches that named nothing to protect, or were dropped", func(s *KVMStats) *uint64 { return &s.ResetIgnored }},
	{"protect.pages", "entries", "page entries that lost write permission", func(s *KVMStats) *uint64 { return &s.ProtectedPages }},
	{"protect.blocks", "entries", "block entries that lost write permission", func(s *KVMStats) *uint64 { return &s.ProtectedBlocks }},
	{"protect.splits", "blocks", "blocks split eagerly", func(s *KVMStats) *uint64 { return &s.EagerSplits }},
	{"tlb.flushes", "flushes", "flushes of a whole VM", func(s *KVMStats) *uint64 { return &s.TLBFlushes }},
	{"get.calls", "calls", "KVM_GET_DIRTY_LOG calls", func(s *KVMStats) *uint64 { return &s.Gets }},
	{"clear.calls", "calls", "KVM_CLEAR_DIRTY_LOG calls", func(s *KVMStats) *uint64 { return &s.Clears }},
	{"scan.words", "words", "bitmap words looked at", func(s *KVMStats) *uint64 { return &s.WordsScanned }},
	{"scan.words_set", "words", "of these, with bits that counted", func(s *KVMStats) *uint64 { return &s.WordsSet }},
	{"scan.bytes_copied", "bytes", "bitmap bytes copied to userspace", func(s *KVMStats) *uint64 { return &s.BytesCopiedOut }},
}

// Register adds the statistics of the kernel for a host with that one VM:
// "vcpu.N.…" for each vCPU, the same names without the prefix for their sums,
// and what no vCPU owns: bitmaps, resets, losses by cause, locks.
func (h *Host) Register(stats *sim.Stats, vm *VM) {
	for _, c := range kvmCounters {
		stats.Counter(c.name, c.unit, c.desc, c.at(&h.Stats))
	}
	stats.Histogram("ring.occupancy", "entries", "ring entries in use when a reset comes to a ring", &h.Stats.Occupancy)
	for cause := range NumLossCauses {
		stats.Counter("lost."+cause.String(), "records", cause.Text(), &h.Stats.Losses[cause])
	}
	stats.Derived("lost.total", "records", "records that the kernel lost, for any cause", func() float64 {
		sum := uint64(0)
		for _, n := range h.Stats.Losses {
			sum += n
		}
		return float64(sum)
	})
	for _, v := range vm.VCPUs {
		v.register(stats, fmt.Sprintf("vcpu.%d.", v.Index))
	}
	if h.Machine.Caches != nil {
		h.Machine.Caches.Register(stats)
	}
	vm.registerSums(stats)
	vm.registerCores(stats)
	vm.registerGIC(stats)
	stats.Level("vmring.occupancy", "entries", "entries of the VM's ring in use", &h.Stats.VMRingOccupancy)
	stats.Counter("lock.vmring.acquired", "", "acquisitions of the lock of the VM's ring", &vm.vmRingLock.Acquired)
	stats.Counter("lock.vmring.contended", "", "acquisitions that waited", &vm.vmRingLock.Contended)
	stats.Counter("lock.vmring.wait_cycles", "cycles", "time that threads waited for the lock", &vm.vmRingLock.WaitCycles)
	stats.Counter("noticed.cycle", "cycles", "when the kernel told userspace that a record was lost, 0 = it did not", (*uint64)(&vm.Noticed))
	vm.SlotsLock.register(stats, "lock.slots.")
	vm.MMULock.register(stats, "lock.mmu.")
}

func (v *VCPU) register(stats *sim.Stats, prefix string) {
	for _, c := range vcpuCounters {
		stats.Counter(prefix+c.name, c.unit, c.desc, c.at(&v.Stats))
	}
	stats.Level(prefix+"ring.occupancy", "entries", "ring entries in use", &v.Stats.Occupancy)
}

// registerSums adds the sums over all vCPUs, except where somebody who knows
// better counts the same for the host as a whole.
func (vm *VM) registerSums(stats *sim.Stats) {
	other := map[string]bool{"guest.instructions": true, "guest.cycles": true} // of userspace
	for _, c := range kvmCounters {
		other[c.name] = true
	}
	for _, c := range vcpuCounters {
		if other[c.name] {
			continue
		}
		stats.Derived(c.name, c.unit, c.desc, func() float64 {
			sum := uint64(0)
			for _, v := range vm.VCPUs {
				sum += *c.at(&v.Stats)
			}
			return float64(sum)
		})
	}
}

// registerCores adds what the cores of a guest of machine code did in time, for
// each vCPU and as sums, and their instructions per cycle.
func (vm *VM) registerCores(stats *sim.Stats) {
	if vm.Program.Model == exec.Atomic {
		return
	}
	for _, c := range exec.Counters {
		for _, v := range vm.VCPUs {
			stats.Counter(fmt.Sprintf("vcpu.%d.core.%s", v.Index, c.Name), c.Unit, c.Text, c.At(&v.A64.Exec.Stats))
		}
		stats.Derived("core."+c.Name, c.Unit, c.Text, func() float64 { return float64(vm.coreSum(c.At)) })
	}
	stats.Derived("core.ipc", "", "instructions in a cycle, where the core model has time", func() float64 {
		cycles := uint64(0)
		for _, v := range vm.VCPUs {
			cycles += v.A64.Exec.Stats.Cycles()
		}
		return float64(vm.coreSum(func(s *exec.Stats) *uint64 { return &s.Instructions })) / float64(max(cycles, 1))
	})
}

func (vm *VM) coreSum(at func(*exec.Stats) *uint64) (sum uint64) {
	for _, v := range vm.VCPUs {
		sum += *at(&v.A64.Exec.Stats)
	}
	return sum
}

func (l *Lock) register(stats *sim.Stats, prefix string) {
	stats.Counter(prefix+"acquired", "", "acquisitions of the lock", &l.Acquired)
	stats.Counter(prefix+"contended", "", "acquisitions that waited", &l.Contended)
	stats.Counter(prefix+"wait_cycles", "cycles", "time that threads waited for the lock", &l.WaitCycles)
}

// pageSet is a set of page numbers, made for neighbours: 4096 pages a chunk.
type pageSet struct {
	chunks map[uint64]*pageChunk
	last   *pageChunk
	lastNo uint64
}

type pageChunk [64]uint64

const pageChunkBits = 12

// add puts a page into the set and tells whether it was new.
func (p *pageSet) add(page uint64) bool {
	no := page >> pageChunkBits
	if p.last == nil || p.lastNo != no {
		p.last, p.lastNo = p.chunk(no), no
	}
	w, bit := &p.last[page>>6%64], uint64(1)<<(page%64)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	return true
}

func (p *pageSet) chunk(no uint64) *pageChunk {
	if p.chunks == nil {
		p.chunks = map[uint64]*pageChunk{}
	}
	k := p.chunks[no]
	if k == nil {
		k = new(pageChunk)
		p.chunks[no] = k
	}
	return k
}

func (p *pageSet) clear() { *p = pageSet{} }

// sync codes the chunks in the order of their numbers.
func (p *pageSet) sync(c *sim.Codec) {
	numbers := slices.Sorted(maps.Keys(p.chunks))
	if c.Loading() {
		p.clear()
		numbers = nil
	}
	sim.Slice(c, &numbers, func(c *sim.Codec, no *uint64) {
		c.U64(no)
		k := p.chunk(*no)
		for i := range k {
			c.U64(&k[i])
		}
	})
}

// Sync saves, restores or hashes the vCPU's counters.
func (s *VCPUStats) Sync(c *sim.Codec) {
	for _, k := range vcpuCounters {
		c.U64(k.at(s))
	}
	s.Occupancy.Sync(c)
	c.Bool(&s.stuckFull)
	s.seen.sync(c)
}

// Sync saves, restores or hashes the host's counters.
func (s *KVMStats) Sync(c *sim.Codec) {
	for _, k := range kvmCounters {
		c.U64(k.at(s))
	}
	s.Occupancy.Sync(c)
	s.VMRingOccupancy.Sync(c)
	for i := range s.Losses {
		c.U64(&s.Losses[i])
	}
	c.U64(&s.DropCountdown)
	s.seen.sync(c)
}
