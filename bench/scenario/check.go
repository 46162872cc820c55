package scenario

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"ringmap/cpu/cache"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads"
)

// Limits of the simulated host, beyond those of KVM that kvmcore names.
const (
	minIPABits     = 32 // KVM_VM_TYPE_ARM_IPA_SIZE
	maxIPABits     = 48 // without LPA2
	defaultVCPUs   = 4
	defaultMemory  = 256 << 20
	longestTime    = sim.Cycle(1) << 56
	ringWithBitmap = "ring+bitmap"
	auto           = "auto"
)

// Plan is a scenario in the units of the machine: cycles, bytes and entries,
// with everything that was left to "auto" decided.
type Plan struct {
	Kernel  kvmcore.Kernel
	Profile *kvmcore.Profile
	Page    mmu.Granule
	Clock   Freq
	Quantum sim.Cycle
	Caches  *cache.Spec // nil in core model atomic
	Switch  kvmcore.Switch

	VCPUs   int
	Memory  uint64 // bytes of all slots
	Base    uint64
	IPABits uint8
	Slots   []PlanSlot

	Track     vmm.Tracking
	Design    kvmcore.Design
	CPUs      vmm.HostCPUs
	RingMax   uint64 // entries; RingSize = it never grows
	Outside   OutsidePlan
	Policy    vmm.Policy
	RingBytes uint64
	RingSize  uint64 // entries
	SoftLimit uint64 // entries
	Manual    uint64 // KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 args
	Split     uint64 // bytes
	Interval  sim.Cycle
	Until     sim.Cycle // 0 = fixed work
	Series    sim.Cycle // period of samples; 0 = none
	SaveEvery sim.Cycle // 0 = at the end only

	Mistake vmm.Mistake

	Checkpoint *vmm.CheckpointSpec // nil = none
	Migrate    *vmm.MigrateSpec    // nil = no migration
	RunOn      sim.Cycle           // with RunsOn: how long the VM runs at the destination
	RunsOn     bool                // false = until its work is done

	Pattern workloads.PatternSpec // zero if a trace is replayed
	Trace   struct{ CPI workloads.CPI }
	Program bool              // the guest executes machine code instead
	Input   vmm.Input         // typed at its console; the text comes with the program
	ITS     workloads.ITSSpec // Devices 0 = no ITS

	Translations int // that the ITS's cache keeps, 0 = any number

	PVTime   mmu.IPA // stolen-time records, 64 bytes a vCPU; 0 = none
	Reserved uint64  // bytes at the end of the first slot that hold these records and the ITS's tables

	Board    *vmm.Board // of a program, nil otherwise
	Warnings []string
}

// PlanSlot is a memslot to create.
type PlanSlot struct {
	Base, Size uint64
	Backing    kvmcore.Backing
	Populated  bool
}

// Trace is what a scenario takes from the trace that it replays.
type Trace struct {
	VCPUs  int
	Memory uint64 // bytes of guest memory it was recorded with, 0 = it does not say
	Window uint64 // instructions in which a page appears once, 0 = every store is there
}

// Plan checks the whole scenario and works out what follows from it. The trace
// is nil for a pattern. The first problem found is returned, at its place.
func (s *Scenario) Plan(t *Trace) (*Plan, error) {
	p := &Plan{}
	for _, step := range []func(*Plan, *Trace) error{
		s.planKernel, s.planHost, s.planCPU, s.planVM, s.planSlots, s.planTracking, s.placeReserved, s.planVMM, s.planRun, s.planMigrate, s.planCheckpoint, s.planWorkload, s.planOutside,
	} {
		if err := step(p, t); err != nil {
			return nil, err
		}
	}
	s.warn(p, t)
	return p, nil
}

func (s *Scenario) planKernel(p *Plan, _ *Trace) (err error) {
	if p.Kernel, err = kvmcore.ParseKernel(string(s.Kernel)); err != nil {
		return s.Problem("kernel", DidYouMean(string(s.Kernel), kvmcore.Kernels), "no kernel %q is modelled", s.Kernel)
	}
	for _, name := range sortedKeys(s.Hazards) {
		key, val := "hazards."+name, s.Hazards[name]
		if name == dropEvery {
			var n Count
			if err := n.parse(string(val)); err != nil {
				return s.Problem(key, "write a number of records, such as 1000 (0 = none is dropped)", "%q is not a count", val)
			}
			p.Kernel.DropEvery = uint64(n)
			continue
		}
		if val != "real" && val != "fixed" {
			if _, ok := kvmcore.HazardByName(name); ok {
				return s.Problem(key, "write real (as the kernel does it) or fixed", "%q is neither real nor fixed", val)
			}
		}
		if err := p.Kernel.SetHazard(name, val == "real"); err != nil {
			return s.Problem(key, DidYouMean(name, hazardNames()), "no hazard has this name")
		}
	}
	return nil
}

// dropEvery is the one entry of hazards that is no hazard of a real kernel.
const dropEvery = "drop_every"

func hazardNames() []string {
	names := []string{dropEvery}
	for _, h := range kvmcore.AllHazards() {
		names = append(names, h.Name)
	}
	return names
}

func (s *Scenario) planHost(p *Plan, _ *Trace) (err error) {
	switch s.Host.Page {
	case 4 << 10, 16 << 10, 64 << 10:
		p.Page = mmu.Granule(bits.TrailingZeros64(uint64(s.Host.Page)))
	default:
		return s.Problem("host.page", "write 4KiB, 16KiB or 64KiB", "an arm64 host has no pages of %s", s.Host.Page)
	}
	if p.Profile, err = kvmcore.LoadProfile(string(s.Host.Profile)); err != nil {
		return s.Problem("host.profile", DidYouMean(string(s.Host.Profile), kvmcore.Profiles()), "there is no cost profile %q", s.Host.Profile)
	}
	if err := s.planCosts(p); err != nil {
		return err
	}
	p.Clock = s.Host.Clock.N
	if s.Host.Clock.Auto {
		p.Clock = Freq(p.Profile.Hz)
	}
	if p.Clock < 1e6 || p.Clock > 100e9 {
		return s.Problem("host.clock", "write one between 1MHz and 100GHz", "no host runs at %s", p.Clock)
	}
	if p.Quantum, err = s.cycles(p, "host.quantum", s.Host.Quantum); err != nil {
		return err
	}
	if p.Quantum == 0 {
		return s.Problem("host.quantum", "write at least 1cyc", "cores that may not run at all never finish")
	}
	return s.planModes(p)
}

// planCosts changes the figures of the profile that the scenario sets itself.
func (s *Scenario) planCosts(p *Plan) error {
	for _, name := range sortedKeys(s.Host.Costs) {
		key, text := "host.costs."+name, string(s.Host.Costs[name])
		old, ok := p.Profile.Figure(name)
		if !ok {
			return s.Problem(key, DidYouMean(name, p.Profile.Names()), "the profile %s has no figure %q", s.Host.Profile, name)
		}
		const fix = "write cycles, such as 160, or a share of the profile's figure, such as 103%"
		digits, share := strings.CutSuffix(text, "%")
		n, frac, scale, ok := decimal(digits)
		if !ok || !share && frac != 0 {
			return s.Problem(key, fix, "%q is no cost", text)
		}
		if share {
			num, over := scaled(n, frac, scale, old*10)
			if over {
				return s.Problem(key, fix, "%q is more than 64 bits can hold", text)
			}
			n = (num + 500) / 1000
		}
		if n > kvmcore.MaxFigure {
			return s.Problem(key, fmt.Sprintf("write at most %d", kvmcore.MaxFigure), "%d cycles are no instruction overhead", n)
		}
		p.Profile.Set(name, n, "host.costs of the scenario")
	}
	return nil
}

// cycles converts a time, which must be finite.
func (s *Scenario) cycles(p *Plan, key string, t Time) (sim.Cycle, error) {
	c := t.In(p.Clock)
	if c > longestTime {
		return 0, s.Problem(key, "write a time of at most 2^56 cycles", "%s is longer than a simulation can be", t)
	}
	return c, nil
}

func (s *Scenario) planVM(p *Plan, t *Trace) error {
	p.VCPUs = int(min(s.VM.VCPUs.N, 1<<20))
	if s.VM.VCPUs.Auto {
		p.VCPUs = defaultVCPUs
		if t != nil {
			p.VCPUs = t.VCPUs
		}
	}
	switch {
	case p.VCPUs < 1:
		return s.Problem("vm.vcpus", "write 1 to 512", "a VM without a vCPU runs nothing")
	case p.VCPUs > kvmcore.MaxVCPUs:
		return s.Problem("vm.vcpus", "write 1 to 512", "KVM refuses vCPU ids from %d on (EINVAL), and %s are asked for", kvmcore.MaxVCPUs, s.VM.VCPUs)
	case t != nil && p.VCPUs < t.VCPUs:
		return s.Problem("vm.vcpus", fmt.Sprintf("write %d, or auto", t.VCPUs), "the trace has %d vCPUs", t.VCPUs)
	}
	if err := s.planITS(p); err != nil {
		return err
	}
	p.Reserved = (p.pvBytes(s) + p.itsBytes() + reservedAlign - 1) / reservedAlign * reservedAlign
	p.Base = uint64(s.VM.Base)
	p.Memory = uint64(s.VM.Memory.N)
	if s.VM.Memory.Auto {
		p.Memory = defaultMemory
		if t != nil && t.Memory != 0 { // what is reserved lies behind what was recorded
			p.Memory = roundMiB(t.Memory + p.Reserved)
		}
	} else if t != nil && p.Memory < t.Memory+p.Reserved && len(s.VM.Slots) == 0 {
		return s.Problem("vm.memory", "write "+Size(roundMiB(t.Memory+p.Reserved)).String()+", or auto",
			"the trace was recorded with %s of guest memory, and the ITS's tables take another %s", Size(t.Memory), Size(p.Reserved))
	}
	return nil
}

func roundMiB(n uint64) uint64 { return (n + 1<<20 - 1) >> 20 << 20 }

func (s *Scenario) planSlots(p *Plan, _ *Trace) error {
	if len(s.VM.Slots) == 0 {
		s.VM.Slots = nil
		if p.Memory == 0 {
			return s.Problem("vm.memory", "write a size, such as 256MiB", "a VM without memory runs nothing")
		}
		if err := s.planSlot(p, "vm", "vm.memory", Slot{s.VM.Base, Size(p.Memory), s.VM.Backing, s.VM.Populated}); err != nil {
			return err
		}
	} else {
		var sum uint64
		for i, slot := range s.VM.Slots {
			at := fmt.Sprintf("vm.slots.%d", i)
			if err := s.planSlot(p, at, at+".size", slot); err != nil {
				return err
			}
			sum += uint64(slot.Size)
		}
		if !s.VM.Memory.Auto && sum != p.Memory {
			return s.Problem("vm.memory", "remove it, or write auto", "the slots have %s together, not %s", Size(sum), s.VM.Memory)
		}
		p.Memory, p.Base = sum, p.Slots[0].Base
	}
	if s.HasProgram() {
		if err := s.planBoard(p); err != nil {
			return err
		}
	}
	if s.VM.Mapped {
		pages := uint64(0)
		for i, slot := range p.Slots {
			if slot.Backing == kvmcore.Backing4K {
				pages += slot.Size / p.Page.Size()
			}
			if !slot.Populated {
				return s.Problem("vm.mapped", "write populated: on", "slot %d has memory that nobody has touched, and such memory is not mapped", i)
			}
		}
		if pages > maxMappedPages {
			return s.Problem("vm.mapped", "write backing: thp, or use less memory", "mapping %d pages one by one is too much", pages)
		}
	}
	return s.planIPA(p)
}

// maxMappedPages bounds the page tables of vm.mapped: 256 GiB in pages of 4 KiB.
const maxMappedPages = 1 << 26

// planBoard places the devices of a program's machine, where no memory may be.
func (s *Scenario) planBoard(p *Plan) error {
	var ram []vmm.Range
	for _, slot := range p.Slots {
		ram = append(ram, vmm.Range{Base: slot.Base, Size: slot.Size})
	}
	p.Board = vmm.NewBoard(p.VCPUs, ram, p.Reserved)
	p.Board.GIC, p.Board.ITS = true, true
	for i, r := range ram {
		name := p.Board.Device(r)
		if name == "" {
			continue
		}
		key := fmt.Sprintf("vm.slots.%d.base", i)
		if len(s.VM.Slots) == 0 {
			key = "vm.base"
		}
		return s.Problem(key, fmt.Sprintf("write a base of at least %#x", uint64(vmm.RAMBase)), "memory at %#x–%#x hides %s of a program's machine", r.Base, r.End(), name)
	}
	return nil
}

func (s *Scenario) planSlot(p *Plan, at, sizeKey string, slot Slot) error {
	page := uint64(s.Host.Page)
	base, size := uint64(slot.Base), uint64(slot.Size)
	backing, ok := kvmcore.ParseBacking(string(slot.Backing))
	switch {
	case !ok:
		return s.Problem(at+".backing", DidYouMean(string(slot.Backing), kvmcore.Backings()), "%q backs no memory", slot.Backing)
	case size == 0:
		return s.Problem(sizeKey, "write a size, such as 256MiB", "a memslot of no bytes does not exist")
	case size%page != 0:
		return s.Problem(sizeKey, fmt.Sprintf("write %s or %s", Size(size-size%page), Size(size-size%page+page)),
			"%s is not a multiple of the host page size %s (EINVAL)", slot.Size, s.Host.Page)
	case base%page != 0:
		return s.Problem(at+".base", "align it", "%s is not aligned to the host page size %s (EINVAL)", slot.Base, s.Host.Page)
	case base+size < base:
		return s.Problem(sizeKey, "use a lower base or a smaller size", "%s from %s wraps around the end of the address space (EINVAL)", slot.Size, slot.Base)
	case size/page > kvmcore.MaxSlotPages:
		return s.Problem(sizeKey, "split it over several slots", "%s are %d pages, and a memslot has at most 2^31-1 (EINVAL)", slot.Size, size/page)
	case len(p.Slots) == kvmcore.UserMemSlots:
		return s.Problem("vm.slots", "use fewer", "KVM has %d memslots (EINVAL)", kvmcore.UserMemSlots)
	}
	for i, o := range p.Slots {
		if base < o.Base+o.Size && o.Base < base+size {
			return s.Problem(at, fmt.Sprintf("slot %d ends at %#x: write base: %#x or later", i, o.Base+o.Size, o.Base+o.Size),
				"memslot overlap: %#x–%#x overlaps slot %d at %#x–%#x (EEXIST)", base, base+size, i, o.Base, o.Base+o.Size)
		}
	}
	p.Slots = append(p.Slots, PlanSlot{base, size, backing, bool(slot.Populated)})
	return nil
}

// planIPA finds or checks the width of guest physical addresses.
func (s *Scenario) planIPA(p *Plan) error {
	var end uint64
	last := 0
	for i, slot := range p.Slots {
		if e := slot.Base + slot.Size; e > end {
			end, last = e, i
		}
	}
	need := uint64(bits.Len64(end - 1))
	p.IPABits = uint8(max(need, kvmcore.IPABits))
	if p.Board != nil && need <= maxIPABits { // beyond it there is no room for what nobody uses
		p.IPABits = uint8(min(max(uint64(p.Board.AddressBits()), uint64(p.IPABits)), maxIPABits))
	}
	if !s.VM.IPABits.Auto {
		w := uint64(s.VM.IPABits.N)
		if w < minIPABits || w > maxIPABits {
			return s.Problem("vm.ipa_bits", "write 32 to 48, or auto", "KVM offers no VM with %d bits of guest physical address (EINVAL)", w)
		}
		p.IPABits = uint8(w)
	}
	if need <= uint64(p.IPABits) && p.IPABits <= maxIPABits {
		return nil
	}
	key := "vm.memory"
	if len(s.VM.Slots) > 0 {
		key = fmt.Sprintf("vm.slots.%d.size", last)
	}
	fix := fmt.Sprintf("use less memory, or vm.ipa_bits: %d", need)
	if need > maxIPABits {
		fix = "guest physical addresses have at most 48 bits here"
	}
	return s.Problem(key, fix, "memory ends at %#x, beyond the %d bits of guest physical address (EFAULT)", end, p.IPABits)
}

// sameOrigin tells whether both keys were written, and in the same place: a file
// contradicts itself, but --set may overrule one key and leave the other idle.
func (s *Scenario) sameOrigin(a, b string) bool {
	if !s.Given(a) || !s.Given(b) {
		return false
	}
	return (s.At(a).Line == 0) == (s.At(b).Line == 0)
}

// blockSizes are the sizes of KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES.
func blockSizes(page mmu.Granule) []Size {
	switch page {
	case mmu.Granule16K:
		return []Size{16 << 10, 32 << 20}
	case mmu.Granule64K:
		return []Size{64 << 10, 512 << 20}
	}
	return []Size{4 << 10, 2 << 20, 1 << 30}
}

func listSizes(sizes []Size) string {
	var words []string
	for _, s := range sizes {
		words = append(words, s.String())
	}
	return strings.Join(words, ", ")
}

func (s *Scenario) planVMM(p *Plan, _ *Trace) (err error) {
	v := &s.VMM
	policy, ok := vmm.ParsePolicy(string(v.Harvest))
	if !ok {
		names := []string{}
		for _, policy := range vmm.Policies() {
			names = append(names, policy.Name)
		}
		return s.Problem("vmm.harvest", DidYouMean(string(v.Harvest), names), "there is no harvest policy %q", v.Harvest)
	}
	p.Policy = policy
	if v.Edits > vmm.MaxEdits || v.Edits != 0 && !p.Track.UsesRing() {
		return s.Problem("vmm.edits", fmt.Sprintf("write 0 to %d, in a mode with rings", vmm.MaxEdits), "%d entries of a million cannot be changed in mode %s", uint64(v.Edits), s.Tracking.Mode)
	}
	if p.RingMax > p.RingSize && policy.OnFull == vmm.FullWait {
		return s.Problem("tracking.ring_max", "write ring_max: auto, or another vmm.harvest", "harvest policy %s leaves full rings to the main thread, and only the vCPU's own lets them grow", policy.Name)
	}
	interval := v.Interval.N
	if v.Interval.Auto {
		interval = Time{Picos: policy.PeriodNS * 1000}
	}
	if interval.Never {
		interval = Time{}
	}
	if p.Interval, err = s.cycles(p, "vmm.interval", interval); err != nil {
		return err
	}
	if p.Interval == 0 && (p.Track.UsesBitmap() && !s.Migrates() && !s.Checkpoints() || policy.OnFull == vmm.FullWait) {
		return s.Problem("vmm.interval", "write a time, such as 10ms", "%s needs collections between start and end", s.Tracking.Mode)
	}
	switch v.Clear {
	case "get":
		if p.Track != vmm.TrackBitmap && p.Track.HasBitmap() && p.Manual != 0 && p.Track.ReadsInRounds() {
			return s.Problem("tracking.manual_protect", "write manual_protect: off", "mode %s reads the bitmap by GET alone, which never clears while manual protection is on", s.Tracking.Mode)
		}
	case "manual":
		switch {
		case p.Track != vmm.TrackBitmap:
			return s.Problem("vmm.clear", "write clear: get, or tracking.mode: bitmap", "KVM_CLEAR_DIRTY_LOG in every round belongs to mode bitmap, not %s", s.Tracking.Mode)
		case p.Manual == 0:
			return s.Problem("vmm.clear", "write tracking.manual_protect: enable", "without manual_protect GET clears already and CLEAR finds nothing")
		}
		p.Track = vmm.TrackClearLog
	default:
		return s.Problem("vmm.clear", DidYouMean(string(v.Clear), []string{"get", "manual"}), "%q is no way to clear", v.Clear)
	}
	if p.Track == vmm.TrackBitmap && p.Manual != 0 {
		return s.Problem("tracking.manual_protect", "write vmm.clear: manual, or manual_protect: off", "GET alone never clears while manual protection is on")
	}
	if p.Mistake, ok = vmm.ParseMistake(string(v.Mistake)); !ok {
		return s.Problem("vmm.mistake", DidYouMean(string(v.Mistake), vmm.Mistakes()), "no VMM makes a mistake called %q", v.Mistake)
	}
	if v.Collect != "last" && v.Collect != "before-save" {
		return s.Problem("vmm.collect", DidYouMean(string(v.Collect), []string{"last", "before-save"}), "%q is no place of the final collection", v.Collect)
	}
	return nil
}

// planITS checks the ITS and finds how much memory its tables take.
func (s *Scenario) planITS(p *Plan) (err error) {
	i := &s.ITS
	if !i.Save.Never && !i.Save.End {
		if p.SaveEvery, err = s.cycles(p, "its.save", i.Save.Every); err != nil {
			return err
		}
		if p.SaveEvery == 0 {
			return s.Problem("its.save", "write never, end, or a period such as 50ms", "a period of nothing never ends")
		}
	}
	if i.Devices == 0 {
		return nil
	}
	spec := workloads.ITSSpec{Devices: int(min(i.Devices, 1<<20)), Events: int(min(i.Events, 1<<20)), SavePending: true, Unmap: bool(i.Unmap)}
	if i.MSIRate > 0 {
		spec.MSIGap = sim.Cycle(uint64(p.Clock) / uint64(i.MSIRate))
		if spec.MSIGap == 0 {
			return s.Problem("its.msi_rate", fmt.Sprintf("write at most %d", p.Clock), "more than one MSI in every cycle of the clock")
		}
	}
	if err := s.planITSLoad(p, &spec); err != nil {
		return err
	}
	if err := spec.Validate(p.VCPUs); err != nil {
		var pe *workloads.ParamError
		if errors.As(err, &pe) {
			return s.Problem("its."+pe.Param, "", "%s", pe.Why)
		}
		return s.Problem("its", "", "%v", err)
	}
	p.ITS = spec
	return nil
}

// planITSLoad finds when storms come and how busy the guest's driver is.
func (s *Scenario) planITSLoad(p *Plan, spec *workloads.ITSSpec) (err error) {
	i := &s.ITS
	spec.Busy = int(min(i.Busy, 1<<30))
	if spec.Storm = int(min(i.Storm, 1<<30)); spec.Storm != 0 {
		if spec.StormEvery, err = s.cycles(p, "its.storm_every", i.Every); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		key  string
		rate Count
		gap  *uint64
	}{{"its.move_rate", i.Moves, &spec.MoveGap}, {"its.churn_rate", i.Churn, &spec.ChurnGap}} {
		switch {
		case r.rate == 0:
			continue
		case s.HasProgram():
			return s.Problem(r.key, "remove it", "a program has a driver of its own")
		case uint64(r.rate) > uint64(p.Clock):
			return s.Problem(r.key, fmt.Sprintf("write at most %d", p.Clock), "more than one in every cycle of the clock")
		}
		*r.gap = uint64(p.Clock) / uint64(r.rate)
	}
	if i.Cache > maxTranslations {
		return s.Problem("its.cache", "write 0 for any number", "%d translations are more than the %d that there can be", i.Cache, maxTranslations)
	}
	p.Translations = int(i.Cache)
	return nil
}

// maxTranslations are all LPIs that 16 bits of INTIDs have.
const maxTranslations = 57344

// itsBytes is what the ITS's tables take.
func (p *Plan) itsBytes() uint64 {
	if p.ITS.Devices == 0 {
		return 0
	}
	return p.ITS.TableBytes(p.VCPUs)
}

// pvBytes is what the stolen-time records take: a 64-byte structure for each
// vCPU, on pages of their own. Arm DEN 0057.
func (p *Plan) pvBytes(s *Scenario) uint64 {
	if !s.Tracking.StolenTime {
		return 0
	}
	return (uint64(p.VCPUs)*pvTimeBytes + reservedAlign - 1) / reservedAlign * reservedAlign
}

const pvTimeBytes = 64

// placeReserved puts stolen-time records and the ITS's tables at the end of the
// first memslot.
func (s *Scenario) placeReserved(p *Plan, _ *Trace) error {
	if p.Reserved == 0 {
		return nil
	}
	ram := p.Slots[0]
	p.Reserved += (ram.Base + ram.Size) % reservedAlign
	if p.Board != nil {
		p.Board.Reserved = p.Reserved
	}
	if p.Reserved+p.Page.Size() > ram.Size {
		return s.Problem("its.devices", "use fewer devices, or more memory", "the tables of %d devices and the stolen-time records take %s, and the first memslot has %s", p.ITS.Devices, Size(p.Reserved), Size(ram.Size))
	}
	at := mmu.IPA(ram.Base + ram.Size - p.Reserved)
	if n := p.pvBytes(s); n != 0 {
		p.PVTime, at = at, at+mmu.IPA(n)
	}
	if p.ITS.Devices == 0 || p.Board != nil { // a program sets up its ITS itself
		return nil
	}
	p.ITS.Tables = at
	first, end := workloads.GICFrames(p.VCPUs)
	for i, slot := range p.Slots {
		if mmu.IPA(slot.Base) < end && first < mmu.IPA(slot.Base+slot.Size) {
			key := fmt.Sprintf("vm.slots.%d.base", i)
			if len(s.VM.Slots) == 0 {
				key = "vm.base"
			}
			return s.Problem(key, fmt.Sprintf("write a base of at least %#x", end), "with an ITS the interrupt controller lies at %#x–%#x, and memory from %#x overlaps it", first, end, slot.Base)
		}
	}
	return nil
}

// reservedAlign is how reserved memory lies: on 64 KiB, the largest granule.
const reservedAlign = 64 << 10

func (s *Scenario) planRun(p *Plan, _ *Trace) (err error) {
	if !s.Run.Until.Done {
		if p.Until, err = s.cycles(p, "run.until", s.Run.Until.Time); err != nil {
			return err
		}
		if p.Until == 0 {
			return s.Problem("run.until", "write done, or a time such as 100ms", "a run of no time does nothing")
		}
	}
	if n := sim.Cycle(s.Run.MaxCycles); n != 0 {
		if !s.HasProgram() {
			return s.Problem("run.max_cycles", "use run.until", "only a program (workload.elf, workload.raw) has a limit on its cycles")
		}
		if p.Until != 0 {
			return s.Problem("run.max_cycles", "keep one of them", "run.until ends the run too")
		}
		if n > longestTime {
			return s.Problem("run.max_cycles", "write at most 2^56", "%d cycles are longer than a simulation can be", n)
		}
		p.Until = n
	}
	if !s.Run.Series.Never {
		if p.Series, err = s.cycles(p, "run.series", s.Run.Series); err != nil {
			return err
		}
		if p.Series == 0 {
			return s.Problem("run.series", "write never, or a period such as 1ms", "a period of no time has no samples")
		}
	}
	if s.Audit.OnLoss != "report" && s.Audit.OnLoss != "fail" {
		return s.Problem("audit.on_loss", DidYouMean(string(s.Audit.OnLoss), []string{"report", "fail"}), "%q is no answer to a loss", s.Audit.OnLoss)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
