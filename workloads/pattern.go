package workloads

import (
	"fmt"
	"maps"
	"slices"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// PatternSpec is a pattern with its parameters and the guest memory it works in.
type PatternSpec struct {
	Pattern string            // name of a pattern, as listed by Patterns
	Params  map[string]string // parameter to value as a user writes it; those left out take their defaults
	Base    mmu.IPA           // first byte of the guest memory, a multiple of the page size
	Size    uint64            // bytes of guest memory; a rest smaller than a page is not used
	Page    mmu.Granule       // the guest's page size; 0 means 4 KiB
}

// Info describes a pattern for listings.
type Info struct {
	Name   string
	Doc    string  // one line
	Params []Param // its own; the common ones are in CommonParams
}

// pattern is one registered pattern.
type pattern struct {
	Info
	// check refuses combinations that a range cannot express; nil = none.
	check func(v values, pages uint64) error
	// picker builds a vCPU's source of pages; pages is at least 1. layout decides
	// which pages are the popular ones: vCPUs that share a region share it.
	picker func(v values, pages uint64, layout sim.Stream) picker
	gaps   bool // the picker also gives idle cycles before a page
}

// patterns are all patterns, in the order of listings.
var patterns = []*pattern{&sequential, &strided, &uniform, &zipf, &hotcold, &bursts}

// The modifiers that every pattern takes.
var (
	writesParam = Param{Name: "writes", Unit: "%", Default: "100", Min: "0", Max: "100",
		Doc: "chance that an access stores; the others load (dirty_log_perf_test -w)"}
	regionParam = Param{Name: "region", Default: "own", Choices: []string{"own", "shared"},
		Doc: "each vCPU has its own part of the memory, or all share the whole (-o)"}
	accessesParam = Param{Name: "accesses", Unit: "accesses", Default: "0", Min: "0", Max: "1000000000000000",
		Doc: "accesses per vCPU, then it stops; 0 = endless"}
	thinkParam = Param{Name: "think", Unit: "cycles", Default: "0", Min: "0", Max: "1000000000000",
		Doc: "idle cycles before each access"}
	storeParam = Param{Name: "store_bytes", Unit: "bytes", Default: "8", Choices: []string{"4", "8", "16"},
		Doc: "size of an access; less could not hold a value that always differs"}
	wordParam = Param{Name: "word", Default: "first", Choices: []string{"first", "vary"},
		Doc: "where in its page an access goes: the first word, or any"}
	instrParam = Param{Name: "instructions", Unit: "instructions", Default: "8", Min: "1", Max: "1000000",
		Doc: "instructions per access, the access included"}
	cpiParam = Param{Name: "cpi", Unit: "cycles/instruction", Default: "1", Min: "0.001", Max: "1000", places: cpiPlaces,
		Doc: "cycles per instruction, exact to three decimals"}
)

var commonParams = []Param{writesParam, regionParam, accessesParam, thinkParam, storeParam, wordParam, instrParam, cpiParam}

// CommonParams are the parameters that every pattern takes.
func CommonParams() []Param { return slices.Clone(commonParams) }

// Patterns lists the patterns.
func Patterns() []Info {
	var list []Info
	for _, p := range patterns {
		info := p.Info
		info.Params = slices.Clone(info.Params)
		list = append(list, info)
	}
	return list
}

// Validate tells whether the spec can run with the given number of vCPUs. The
// error is a *ParamError where a parameter is to blame.
func (s PatternSpec) Validate(vcpus int) error {
	_, _, err := s.resolve(vcpus)
	return err
}

// Effective lists every parameter with the value in effect, the pattern's own
// first, in the order in which they are declared. The spec must be valid.
func (s PatternSpec) Effective() []Setting {
	p, _ := findPattern(s.Pattern)
	var list []Setting
	for _, param := range append(slices.Clone(p.Params), commonParams...) {
		value, ok := s.Params[param.Name]
		if !ok {
			value = param.Default
		}
		list = append(list, Setting{Param: param, Value: value})
	}
	return list
}

// values are parsed parameters by name.
type values map[string]uint64

func findPattern(name string) (*pattern, error) {
	var names []string
	for _, p := range patterns {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, &ParamError{"pattern", fmt.Sprintf("%q is not one of %v", name, names)}
}

// resolve checks the spec and returns its pattern and parsed parameters.
func (s PatternSpec) resolve(vcpus int) (*pattern, values, error) {
	p, err := findPattern(s.Pattern)
	if err != nil {
		return nil, nil, err
	}
	known := append(slices.Clone(p.Params), commonParams...)
	var names []string
	v := values{}
	for _, param := range known {
		names = append(names, param.Name)
		text, ok := s.Params[param.Name]
		if !ok {
			text = param.Default
		}
		if v[param.Name], err = param.parse(text); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Params)) {
		if !slices.Contains(names, name) {
			return nil, nil, &ParamError{name, fmt.Sprintf("pattern %s has no such parameter; it has %v", s.Pattern, names)}
		}
	}
	pages, err := s.pages(v, vcpus)
	if err != nil {
		return nil, nil, err
	}
	if p.check != nil {
		err = p.check(v, pages)
	}
	return p, v, err
}

// pages is the number of pages that one vCPU works in.
func (s PatternSpec) pages(v values, vcpus int) (uint64, error) {
	page := s.granule()
	switch {
	case vcpus < 1:
		return 0, fmt.Errorf("workloads: %d vCPUs; a pattern needs at least 1", vcpus)
	case page != mmu.Granule4K && page != mmu.Granule16K && page != mmu.Granule64K:
		return 0, fmt.Errorf("workloads: no page of 2^%d bytes; use 4, 16 or 64 KiB", page)
	case uint64(s.Base)%page.Size() != 0:
		return 0, fmt.Errorf("workloads: region at %#x does not begin on a page of %d bytes", s.Base, page.Size())
	case s.Size > 1<<52 || uint64(s.Base) > 1<<52-s.Size:
		return 0, fmt.Errorf("workloads: region [%#x, +%#x) is beyond 52 bits, the largest guest physical address", s.Base, s.Size)
	}
	pages := s.Size >> page
	if v["region"] == 0 {
		pages /= uint64(vcpus)
	}
	if pages == 0 {
		return 0, fmt.Errorf("workloads: region of %d bytes gives %d vCPUs less than a page of %d bytes each: enlarge it or use region: shared",
			s.Size, vcpus, page.Size())
	}
	return pages, nil
}

func (s PatternSpec) granule() mmu.Granule {
	if s.Page == 0 {
		return mmu.Granule4K
	}
	return s.Page
}

// NewPattern builds the accesses of one of vcpus vCPUs. The spec must be valid:
// an invalid one is a programming error and panics.
func NewPattern(s PatternSpec, vcpu, vcpus int, seed uint64) kvmcore.Stream {
	p, v, err := s.resolve(vcpus)
	if err != nil || vcpu < 0 || vcpu >= vcpus {
		panic(fmt.Sprintf("workloads: NewPattern of an invalid spec, vCPU %d of %d: %v", vcpu, vcpus, err))
	}
	pages, _ := s.pages(v, vcpus)
	perAccess := v["instructions"] * v["cpi"]
	size := uint8(4) << v["store_bytes"]
	t := &patternStream{
		base:    s.Base,
		shift:   s.granule().Shift(),
		gaps:    p.gaps,
		writes:  v["writes"],
		endless: v["accesses"] == 0,
		think:   v["think"],
		size:    size,
		mask:    ^uint64(0),
		instr:   uint32(v["instructions"]),
		cycles:  uint32(perAccess / 1000),
		milli:   uint32(perAccess % 1000),
		step:    uint64(vcpus),
		draws:   sim.NewStream(seed, fmt.Sprintf("workloads/pages/vcpu%d", vcpu)),
		rng:     sim.NewStream(seed, fmt.Sprintf("workloads/modifiers/vcpu%d", vcpu)),
		value:   uint64(vcpu) + 1,
		left:    v["accesses"],
	}
	if size == 4 {
		t.mask = 1<<32 - 1
	}
	if v["region"] == 0 {
		t.base += mmu.IPA(uint64(vcpu) * pages << t.shift)
	}
	if v["word"] == 1 {
		t.words = s.granule().Size() / uint64(size)
	}
	layout := fmt.Sprintf("workloads/layout/vcpu%d", vcpu)
	if v["region"] == 1 {
		layout = "workloads/layout/shared"
	}
	t.pages = p.picker(v, pages, sim.NewStream(seed, layout))
	return t
}

// picker is a pattern's source of pages. A call fills a batch.
type picker interface {
	// pick sets pages[i] to the next page, counted from the start of the region,
	// and, in patterns with gaps, adds to idle[i] the idle cycles before it.
	pick(rng *sim.Stream, pages, idle []uint64)
	sync(c *sim.Codec)
}

// pickBatch is how many pages one call of a picker brings.
const pickBatch = 64

// patternStream turns a picker's pages into accesses.
type patternStream struct {
	base    mmu.IPA
	shift   uint
	gaps    bool
	endless bool
	writes  uint64 // percent
	think   uint64 // cycles
	size    uint8
	mask    uint64 // bits of a stored value
	words   uint64 // words of a page to vary over, 0 = only the first
	instr   uint32 // per access
	cycles  uint32 // per access, whole
	milli   uint32 // per access, thousandths of a cycle
	step    uint64 // distance of a vCPU's stored values

	pages picker
	draws sim.Stream // for the picker
	rng   sim.Stream // for the modifiers
	value uint64     // the next stored value
	left  uint64     // accesses to go, unless endless
	carry uint32     // thousandths of a cycle owed

	next    kvmcore.GuestAccess // an access whose idle time is out already
	waiting bool                // next holds one

	pick, idle [pickBatch]uint64 // scratch
}

// Fill writes the next accesses.
func (t *patternStream) Fill(dst []kvmcore.GuestAccess) int {
	n := 0
	if t.waiting && len(dst) > 0 {
		dst[0], t.waiting, n = t.next, false, 1
	}
	idles := t.gaps || t.think != 0
	for n < len(dst) {
		k := min(pickBatch, len(dst)-n)
		if idles {
			k = max(1, k/2) // each may need an idle before it
		}
		if !t.endless {
			if t.left == 0 {
				dst[n] = kvmcore.GuestAccess{Op: kvmcore.GuestEnd}
				return n + 1
			}
			k = int(min(uint64(k), t.left))
			t.left -= uint64(k)
		}
		if idles {
			n = t.spaced(dst, n, k)
		} else {
			t.pages.pick(&t.draws, t.pick[:k], nil)
			t.accesses(dst[n:n+k], t.pick[:k])
			n += k
		}
	}
	return n
}

// spaced emits k accesses, each after its idle time. An access that finds no
// room waits for the next call.
func (t *patternStream) spaced(dst []kvmcore.GuestAccess, n, k int) int {
	for i := range t.idle[:k] {
		t.idle[i] = t.think
	}
	t.pages.pick(&t.draws, t.pick[:k], t.idle[:k])
	for i, page := range t.pick[:k] {
		if t.idle[i] != 0 {
			dst[n] = kvmcore.GuestAccess{Op: kvmcore.GuestIdle, Value: t.idle[i]}
			n++
			if n == len(dst) {
				t.access(&t.next, page)
				t.waiting = true
				return n
			}
		}
		t.access(&dst[n], page)
		n++
	}
	return n
}

// accesses writes the accesses to pages.
func (t *patternStream) accesses(dst []kvmcore.GuestAccess, pages []uint64) {
	if t.words != 0 || t.writes != 100 {
		for i, page := range pages {
			t.access(&dst[i], page)
		}
		return
	}
	// Only stores, all to the first word: access without its choices.
	value, carry := t.value, t.carry
	for i, page := range pages {
		cycles := t.cycles
		if carry += t.milli; carry >= 1000 {
			carry -= 1000
			cycles++
		}
		a := &dst[i]
		a.IPA, a.Value = t.base+mmu.IPA(page<<t.shift), value&t.mask
		a.Cycles, a.Instr, a.Size, a.Op = cycles, t.instr, t.size, kvmcore.GuestStore
		value += t.step
	}
	t.value, t.carry = value, carry
}

// access writes the access to a page. A stored value is one that no vCPU of
// this workload has stored before: value i of vCPU v is i*vcpus + v + 1.
func (t *patternStream) access(a *kvmcore.GuestAccess, page uint64) {
	ipa := t.base + mmu.IPA(page<<t.shift)
	if t.words != 0 {
		ipa += mmu.IPA(t.rng.N(t.words) * uint64(t.size))
	}
	cycles := t.cycles
	if t.carry += t.milli; t.carry >= 1000 {
		t.carry -= 1000
		cycles++
	}
	store := uint64(1)
	if t.writes != 100 {
		store = (t.rng.N(100) - t.writes) >> 63 // 1 when below; a branch would be a coin toss
	}
	a.Value, a.Op = t.value&t.mask&-store, loadOrStore[store]
	t.value += t.step & -store
	a.IPA, a.Cycles, a.Instr, a.Size = ipa, cycles, t.instr, t.size
}

var loadOrStore = [2]kvmcore.GuestOp{kvmcore.GuestLoad, kvmcore.GuestStore}

// Sync saves, restores or hashes the stream's state.
func (t *patternStream) Sync(c *sim.Codec) {
	c.Tag("workloads/pattern")
	t.draws.Sync(c)
	t.rng.Sync(c)
	c.U64(&t.value)
	c.U64(&t.left)
	c.U32(&t.carry)
	c.Bool(&t.waiting)
	syncAccess(c, &t.next)
	t.pages.sync(c)
}

// syncAccess codes one access.
func syncAccess(c *sim.Codec, a *kvmcore.GuestAccess) {
	sim.Uint(c, &a.IPA)
	c.U64(&a.Value)
	c.U32(&a.Cycles)
	c.U32(&a.Instr)
	c.U8(&a.Size)
	sim.Uint(c, &a.Op)
}
