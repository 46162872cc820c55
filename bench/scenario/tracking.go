package scenario

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
)

// Modes lists the tracking modes that a scenario can name, the default first:
// every tracking but the one that vmm.clear makes of bitmap.
func Modes() []string {
	names := []string{}
	for _, p := range kvmcore.Policies() {
		names = append(names, p.Name)
	}
	return append(names, "off")
}

func (s *Scenario) planTracking(p *Plan, _ *Trace) error {
	t := &s.Tracking
	track, ok := vmm.ParseTracking(string(t.Mode))
	if !ok || !slices.Contains(Modes(), string(t.Mode)) {
		return s.Problem("tracking.mode", DidYouMean(string(t.Mode), Modes()), "there is no tracking mode %q", t.Mode)
	}
	p.Track = track
	for _, step := range []func(*Plan) error{s.planDesign, s.planRing, s.planVMRing, s.planHuge} {
		if err := step(p); err != nil {
			return err
		}
	}
	switch t.ManualProtect {
	case "off":
	case "enable":
		p.Manual = kvmcore.ManualEnable
	case "initially-set":
		p.Manual = kvmcore.ManualEnable | kvmcore.ManualInitialSet
	default:
		return s.Problem("tracking.manual_protect", DidYouMean(string(t.ManualProtect), []string{"off", "enable", "initially-set"}),
			"KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 has no setting %q", t.ManualProtect)
	}
	p.Split = uint64(t.EagerSplit)
	if sizes := blockSizes(p.Page); p.Split != 0 && !slices.Contains(sizes, t.EagerSplit) {
		return s.Problem("tracking.eager_split", "write 0B or one of "+listSizes(sizes), "%s is no block size of a host with %s pages (EINVAL)", t.EagerSplit, s.Host.Page)
	}
	if p.Split != 0 && p.Design.LogBlock {
		return s.Problem("tracking.eager_split", "remove it, or write huge: split", "huge pages that are recorded whole are not split")
	}
	return nil
}

// planDesign reads the choices that Linux does not leave to anybody.
func (s *Scenario) planDesign(p *Plan) error {
	t, d := &s.Tracking, kvmcore.LinuxDesign()
	d.Policy = p.Track.Policy()
	var ok bool
	if d.Layout, ok = kvmcore.ParseLayout(string(t.Layout)); !ok {
		return s.noChoice("tracking.layout", t.Layout, namesOf(kvmcore.Layouts(), func(l *kvmcore.Layout) string { return l.Name }))
	}
	for _, c := range []struct {
		key    string
		value  Name
		second string
		to     *bool
		first  string
	}{
		{"tracking.ring_sizes", t.RingSizes, "any", &d.AnySize, "power-of-two"},
		{"tracking.entry", t.Entry, "sized", &d.Sized, "page"},
		{"tracking.huge", t.Huge, "block", &d.LogBlock, "split"},
		{"tracking.overflow", t.Overflow, "hard", &d.OverflowHard, "soft"},
	} {
		if *c.to = string(c.value) == c.second; !*c.to && string(c.value) != c.first {
			return s.noChoice(c.key, c.value, []string{c.first, c.second})
		}
	}
	if t.Reserve > kvmcore.MaxRingReserve {
		return s.Problem("tracking.reserve", fmt.Sprintf("write 0 to %d", kvmcore.MaxRingReserve), "%d entries are more than any ring needs in reserve", uint64(t.Reserve))
	}
	d.Reserve = uint32(t.Reserve)
	p.Design = d
	return s.planDetect(p)
}

// planDetect reads when a doomed set-up is noticed.
func (s *Scenario) planDetect(p *Plan) error {
	t, d := &s.Tracking, &p.Design
	if t.Detect == auto {
		if p.Track == vmm.TrackRequireBitmap {
			d.Detect = kvmcore.DetectITS
		}
		return nil
	}
	var ok bool
	if d.Detect, ok = kvmcore.ParseDetect(string(t.Detect)); !ok {
		return s.noChoice("tracking.detect", t.Detect, append([]string{auto}, namesOf(kvmcore.Detects(), func(c kvmcore.Choice) string { return c.Name })...))
	}
	if p.Track == vmm.TrackRequireBitmap && d.Detect != kvmcore.DetectITS {
		return s.Problem("tracking.detect", "write its or auto, or mode: ring+bitmap", "mode require-bitmap is the one that refuses the ITS")
	}
	return nil
}

// planRing checks the ring as KVM_CAP_DIRTY_LOG_RING_ACQ_REL does.
func (s *Scenario) planRing(p *Plan) error {
	t := &s.Tracking
	n := uint64(t.Ring)
	if !p.Track.UsesRing() {
		for _, key := range []string{"ring", "ring_sizes", "ring_max", "reserve", "layout", "entry"} {
			if s.sameOrigin("tracking."+key, "tracking.mode") && (key == "ring" || s.changed("tracking."+key)) {
				return s.Problem("tracking."+key, "remove it, or write mode: ring+bitmap", "mode %s has no ring", t.Mode)
			}
		}
		return nil
	}
	if err := s.ringSize(p, "tracking.ring", n); err != nil {
		return err
	}
	if uint64(t.Reserve) >= n {
		return s.Problem("tracking.reserve", fmt.Sprintf("write at most %d, or a larger ring", n-1), "a ring of %d entries with %d in reserve is full before the first", n, uint64(t.Reserve))
	}
	p.RingSize, p.RingBytes, p.SoftLimit, p.RingMax = n, n*kvmcore.RingEntryBytes, n-uint64(t.Reserve), n
	if t.RingMax.Auto {
		return nil
	}
	p.RingMax = uint64(t.RingMax.N)
	if p.RingMax < n {
		return s.Problem("tracking.ring_max", fmt.Sprintf("write auto, or %d or more", n), "rings of %d entries do not shrink to %d", n, p.RingMax)
	}
	return s.ringSize(p, "tracking.ring_max", p.RingMax)
}

// ringSize checks a number of entries.
func (s *Scenario) ringSize(p *Plan, key string, n uint64) error {
	page := uint64(s.Host.Page)
	least := max(uint64(s.Tracking.Reserve), page/kvmcore.RingEntryBytes)
	below := uint64(1) << (bits.Len64(max(n, 1)) - 1)
	fix := fmt.Sprintf("write %d", min(max(least, below), kvmcore.RingMaxEntries))
	if n > least && n < kvmcore.RingMaxEntries {
		fix += fmt.Sprintf(" or %d", below*2)
	}
	switch {
	case n < least:
		return s.Problem(key, fix, "a ring of %d entries (%s) is smaller than a host page of %s, and KVM refuses it (EINVAL): the least is %d entries", n, Size(n*16), s.Host.Page, least)
	case n > kvmcore.RingMaxEntries:
		return s.Problem(key, fix, "a ring has at most %d entries (1MiB), not %d (E2BIG)", kvmcore.RingMaxEntries, n)
	case n&(n-1) != 0 && !p.Design.AnySize:
		return s.Problem(key, fix+", or ring_sizes: any", "a ring of %d entries is not a power of two, and KVM refuses it (EINVAL)", n)
	}
	return nil
}

// planVMRing reads what goes with the VM's ring.
func (s *Scenario) planVMRing(p *Plan) error {
	t, d := &s.Tracking, &p.Design
	if d.Policy == nil || !d.Policy.VMRing {
		for _, key := range []string{"tracking.vm_ring", "tracking.kick"} {
			if s.sameOrigin(key, "tracking.mode") && s.changed(key) {
				return s.Problem(key, "remove it, or write mode: vmring", "mode %s has no ring of the VM", t.Mode)
			}
		}
		return nil
	}
	kick := string(t.Kick)
	if t.Kick == auto {
		if kick = "vcpu0"; p.Track == vmm.TrackVMRing1 {
			kick = "all"
		}
	}
	var ok bool
	if d.Kick, ok = kvmcore.ParseKick(kick); !ok {
		return s.noChoice("tracking.kick", t.Kick, append([]string{auto}, namesOf(kvmcore.Kicks(), func(k *kvmcore.Kick) string { return k.Name })...))
	}
	n := p.RingSize
	switch {
	case p.Track == vmm.TrackVMRing1:
		if !t.VMRing.Auto && t.VMRing.N != 1 {
			return s.Problem("tracking.vm_ring", "remove it, or write mode: vmring", "the ring of mode vmring-1 has one entry")
		}
		n = 1
	case !t.VMRing.Auto:
		n = uint64(t.VMRing.N)
		if n < 2 || n > kvmcore.RingMaxEntries {
			return s.Problem("tracking.vm_ring", fmt.Sprintf("write auto, or 2 to %d", kvmcore.RingMaxEntries), "the VM's ring cannot have %d entries", n)
		}
		if n&(n-1) != 0 && !d.AnySize {
			return s.Problem("tracking.vm_ring", "write a power of two, or ring_sizes: any", "%d entries are not a power of two", n)
		}
	}
	d.VMRingEntries = uint32(n)
	return nil
}

// planHuge checks what becomes of huge pages.
func (s *Scenario) planHuge(p *Plan) error {
	d := &p.Design
	switch {
	case !d.LogBlock || p.Track == vmm.TrackOff:
		return nil
	case p.Track.UsesRing() && !d.Sized:
		return s.Problem("tracking.huge", "write entry: sized", "an entry without a size cannot say that it is about a huge page")
	case d.Validate() != nil:
		return s.Problem("tracking.huge", "write huge: split", "mode %s keeps a bit for every ring entry, which a huge page has none of", s.Tracking.Mode)
	}
	return nil
}

// planModes reads the kernel's steps that can be chosen apart from its version.
func (s *Scenario) planModes(p *Plan) error {
	for _, c := range []struct {
		key   string
		value Name
		list  []kvmcore.Choice
		set   func(int)
	}{
		{"host.mmu_lock", s.Host.MMULock, kvmcore.MMULockModes(), func(i int) { p.Kernel.MMULock = kvmcore.MMULockMode(i) }},
		{"host.relax_tlbi", s.Host.RelaxTLBI, kvmcore.RelaxTLBIModes(), func(i int) { p.Kernel.RelaxTLBI = kvmcore.RelaxTLBIMode(i) }},
		{"host.reset", s.Host.Reset, kvmcore.ResetModes(), func(i int) { p.Kernel.Reset = kvmcore.ResetMode(i) }},
	} {
		names := namesOf(c.list, func(c kvmcore.Choice) string { return c.Name })
		i := slices.Index(names, string(c.value))
		if i < 0 {
			return s.noChoice(c.key, c.value, names)
		}
		c.set(i)
	}
	return s.planCPUs(p)
}

// planCPUs reads what the host's threads run on.
func (s *Scenario) planCPUs(p *Plan) (err error) {
	h := &s.Host
	if h.Cores.Auto {
		return nil
	}
	p.CPUs.Cores, p.CPUs.Pinned, p.CPUs.Switch = int(min(h.Cores.N, 1<<20)), bool(h.Pinned), sim.Cycle(p.Profile.Switch)
	if p.CPUs.Cores < 1 || p.CPUs.Cores > vmm.MaxHostCPUs {
		return s.Problem("host.cores", fmt.Sprintf("write auto, or 1 to %d", vmm.MaxHostCPUs), "no host has %s cores", h.Cores)
	}
	if p.CPUs.Slice, err = s.cycles(p, "host.timeslice", h.Timeslice); err != nil {
		return err
	}
	if p.CPUs.Slice < p.Quantum {
		return s.Problem("host.timeslice", fmt.Sprintf("write at least %dcyc, or a shorter host.quantum", p.Quantum), "a slice of %s is shorter than host.quantum", h.Timeslice)
	}
	return nil
}

// OutsidePlan is what the kernel writes with no vCPU running.
type OutsidePlan struct {
	Gap     sim.Cycle // from one write to the next; 0 = none
	Base    mmu.IPA
	Pages   uint64
	Pattern string
	Bytes   int
	Paused  sim.Cycle
}

// outsidePatterns are the ways to choose the next page.
var outsidePatterns = []string{"sequential", "uniform", "same"}

// MaxOutsideRate is the most writes per second.
const MaxOutsideRate = 10_000_000

func (s *Scenario) planOutside(p *Plan, _ *Trace) (err error) {
	o := &s.Outside
	if !slices.Contains(outsidePatterns, string(o.Pattern)) {
		return s.noChoice("outside.pattern", o.Pattern, outsidePatterns)
	}
	if o.Rate > MaxOutsideRate {
		return s.Problem("outside.rate", fmt.Sprintf("write at most %d", MaxOutsideRate), "no kernel writes %d times a second", uint64(o.Rate))
	}
	if o.Bytes < 1 || uint64(o.Bytes) > 4096 {
		return s.Problem("outside.bytes", "write 1 to 4096", "a write of %d bytes is none that the kernel makes", uint64(o.Bytes))
	}
	paused, err := s.cycles(p, "outside.paused", o.Paused)
	if err != nil {
		return err
	}
	if o.Rate == 0 {
		if paused != 0 {
			return s.Problem("outside.paused", "write a rate too", "nothing is written at a rate of 0")
		}
		return nil
	}
	ram := p.Slots[0]
	size := ram.Size - min(ram.Size, p.Reserved)
	page := p.Page.Size()
	n := max(size/8/page, 1) * page
	if !o.Memory.Auto {
		n = uint64(o.Memory.N)
	}
	if n == 0 || n%page != 0 || n > size {
		return s.Problem("outside.memory", "write auto, or whole pages that fit", "%s of %s cannot be written", o.Memory, Size(size))
	}
	gap := uint64(p.Clock) / uint64(o.Rate)
	if most := uint64(paused) / gap; most > maxPausedWrites {
		return s.Problem("outside.paused", "write a shorter time or a lower rate", "%d writes while the VM stands still are too many", most)
	}
	p.Outside = OutsidePlan{Gap: sim.Cycle(gap), Base: mmu.IPA(ram.Base + size - n), Pages: n / page, Pattern: string(o.Pattern), Bytes: int(o.Bytes), Paused: paused}
	return nil
}

// maxPausedWrites bounds the burst that is done in one go.
const maxPausedWrites = 10_000_000

// noChoice is the error for a word that is none of the choices.
func (s *Scenario) noChoice(key string, value Name, choices []string) error {
	return s.Problem(key, DidYouMean(string(value), choices), "%q is none of %s", value, strings.Join(choices, ", "))
}

// changed tells whether a key has another value than its default.
func (s *Scenario) changed(key string) bool {
	for _, kv := range s.Effective(&Plan{}) {
		if kv.Key == key {
			return kv.Value != DefaultTexts()[key]
		}
	}
	return false
}

func namesOf[T any](list []T, name func(T) string) (names []string) {
	for _, c := range list {
		names = append(names, name(c))
	}
	return names
}

// kick is who is kicked in effect.
func (p *Plan) kick() string {
	if p.Design.Policy == nil || !p.Design.Policy.VMRing {
		return "nobody"
	}
	return p.Design.Kick.Name
}

// detect is the detection point in effect.
func (p *Plan) detect() string { return kvmcore.Detects()[p.Design.Detect].Name }
