package bench

import (
	"fmt"
	"math/bits"
	"strings"

	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
)

// Bounds of a series, whatever the run: when maxSamples are full, neighbours are
// joined and the period doubles. So its size is bounded, and which samples there
// are depends on the run alone.
const (
	maxSamples = 256 // even
	maxRows    = 64  // of vCPUs; more share rows
	maxBins    = 64  // of guest memory
)

// SeriesRecord is how a run went over time, as docs/record.md describes it.
type SeriesRecord struct {
	Period      uint64      `json:"period_cycles"` // of a sample; the last one may be shorter
	Samples     int         `json:"samples"`
	End         uint64      `json:"end_cycle"`
	VCPUsPerRow int         `json:"vcpus_per_row"`
	PagesPerBin uint64      `json:"pages_per_bin"`
	Columns     []Column    `json:"columns"`
	InterExit   []InterExit `json:"inter_exit"`
}

// Column is one quantity over time: a value a sample, as numbers with a space
// between, which keeps a record readable. Columns of zeros are left out.
type Column struct {
	Kind   string `json:"kind"` // ring_occupancy, exits, cycles or recorded
	Key    string `json:"key"`
	Values string `json:"values"`
}

// InterExit is the distribution of the time between two exits of one vCPU to
// userspace. Bucket i counts times from 2^i cycles to below 2^(i+1); 0 counts 0 too.
type InterExit struct {
	Kind    string `json:"kind"`
	Buckets string `json:"buckets"`
}

// series samples a machine while it runs.
type series struct {
	period, next sim.Cycle
	end          sim.Cycle // of the last sample
	samples      int
	columns      []column
	inter        [numExitKinds][64]uint64
	last         [][numExitKinds]sim.Cycle // by vCPU: its last exit of that kind
	seen         [][]uint64                // by thread group: cycles by cause and wait that were sampled

	m       *machine
	index   map[*kvmcore.Thread]int
	perRow  int
	perBin  uint64
	bins    int
	exits   int // index of the first column of exits
	stacks  int
	records int
}

// column is one quantity.
type column struct {
	kind, key string
	highest   bool // of several samples keep the highest value, not the sum
	now       uint64
	values    []uint64
}

// exitKind is why KVM_RUN returned.
type exitKind uint8

const (
	exitRingFull exitKind = iota
	exitMMIO
	exitSignal
	exitOther
	numExitKinds
)

var exitKinds = [numExitKinds]string{"ring_full", "mmio", "signal", "other"}

// groups whose cycles are sampled. All vCPU threads are one.
const (
	groupVCPUs = iota
	groupVMM
	numGroups
)

var groupNames = [numGroups]string{"vcpus", "vmm"}

const seriesCauses = int(kvmcore.NumCauses) + int(vmm.NumWaits)

func newSeries(m *machine) *series {
	n := len(m.vm.VCPUs)
	s := &series{m: m, period: m.plan.Series, next: m.plan.Series, index: map[*kvmcore.Thread]int{}, last: make([][numExitKinds]sim.Cycle, n)}
	s.perRow = (n + maxRows - 1) / maxRows
	for i, v := range m.vm.VCPUs {
		s.index[v.Thread] = i
		if i%s.perRow == 0 {
			s.columns = append(s.columns, column{kind: "ring_occupancy", key: fmt.Sprint(i), highest: true})
		}
	}
	s.exits = len(s.columns)
	for _, kind := range exitKinds {
		s.columns = append(s.columns, column{kind: "exits", key: kind})
	}
	s.stacks = len(s.columns)
	for _, group := range groupNames {
		for i := range seriesCauses {
			name := ""
			if i < int(kvmcore.NumCauses) {
				name = kvmcore.Cause(i).String()
			} else {
				name = "wait_" + vmm.Wait(i-int(kvmcore.NumCauses)).String()
			}
			s.columns = append(s.columns, column{kind: "cycles", key: group + "." + name})
		}
		s.seen = append(s.seen, make([]uint64, seriesCauses))
	}
	s.records = len(s.columns)
	pages := uint64(0)
	for _, slot := range m.vm.Slots.All() {
		pages += slot.Pages
	}
	s.perBin = max((pages+maxBins-1)/maxBins, 1)
	s.bins = int((pages + s.perBin - 1) / s.perBin)
	for i := range s.bins {
		s.columns = append(s.columns, column{kind: "recorded", key: fmt.Sprintf("%#x", s.gfnOf(uint64(i)*s.perBin))})
	}
	return s
}

// gfnOf is the guest frame of a page counted through all memslots.
func (s *series) gfnOf(page uint64) mmu.GFN {
	for _, slot := range s.m.vm.Slots.All() {
		if page < slot.Pages {
			return slot.Base + mmu.GFN(page)
		}
		page -= slot.Pages
	}
	return 0
}

// pageOf is the other direction; false where no slot is.
func (s *series) pageOf(gfn mmu.GFN) (page uint64, ok bool) {
	for _, slot := range s.m.vm.Slots.All() {
		if slot.Contains(gfn) {
			return page + uint64(gfn-slot.Base), true
		}
		page += slot.Pages
	}
	return 0, false
}

// probe is what feeds the series between samples.
func (s *series) probe() *kvmcore.Probe {
	return &kvmcore.Probe{
		Spent:  func(*kvmcore.Thread, kvmcore.Stack, sim.Cycle, sim.Cycle, *[kvmcore.NumCauses]uint64) {},
		Began:  func(*kvmcore.Thread, kvmcore.Path) {},
		Waited: func(*kvmcore.Thread, string, sim.Cycle, sim.Cycle) {},
		Ended: func(t *kvmcore.Thread, p kvmcore.Path) {
			if i, ok := s.index[t]; ok && p == kvmcore.PathRun {
				s.exit(i, t.Core.Now)
			}
		},
		Recorded: func(t *kvmcore.Thread, gfn mmu.GFN, pages uint64) {
			if page, ok := s.pageOf(gfn); ok {
				s.columns[s.records+int(page/s.perBin)].now += pages
			}
			if i, ok := s.index[t]; ok {
				s.occupancy(i)
			}
		},
	}
}

func (s *series) occupancy(vcpu int) {
	c := &s.columns[vcpu/s.perRow]
	c.now = max(c.now, uint64(s.m.vm.VCPUs[vcpu].Ring.Used()))
}

func (s *series) exit(vcpu int, now sim.Cycle) {
	run := &s.m.vm.VCPUs[vcpu].Run
	kind := exitOther
	switch {
	case run.Errno == kvmcore.EINTR:
		kind = exitSignal
	case run.Errno != kvmcore.OK:
	case run.ExitReason == kvmcore.ExitDirtyRingFull:
		kind = exitRingFull
	case run.ExitReason == kvmcore.ExitMMIO:
		kind = exitMMIO
	}
	s.columns[s.exits+int(kind)].now++
	if last := &s.last[vcpu][kind]; *last != 0 {
		s.inter[kind][max(bits.Len64(uint64(now-min(*last, now))), 1)-1]++
		*last = now
	} else {
		*last = now
	}
}

// sample ends a sample at cycle now.
func (s *series) sample(now sim.Cycle) {
	for i := range s.m.vm.VCPUs {
		s.occupancy(i)
	}
	s.sampleStacks()
	for i := range s.columns {
		c := &s.columns[i]
		c.values = append(c.values, c.now)
		c.now = 0
	}
	if s.samples++; s.samples == maxSamples {
		s.halve()
	}
	s.end = now
	s.next = now/s.period*s.period + s.period
}

// sampleStacks adds the cycles that threads have spent since the last sample.
func (s *series) sampleStacks() {
	var total [numGroups][seriesCauses]uint64
	add := func(group int, t *kvmcore.Thread) {
		for i, n := range t.Cycles {
			total[group][i] += n
		}
		s.m.vmm.EachWait(t, func(w vmm.Wait, n sim.Cycle) { total[group][int(kvmcore.NumCauses)+int(w)] += uint64(n) })
	}
	for _, v := range s.m.vm.VCPUs {
		add(groupVCPUs, v.Thread)
	}
	add(groupVMM, s.m.vmm.Main())
	for group := range total {
		for i, n := range total[group] {
			s.columns[s.stacks+group*seriesCauses+i].now += n - s.seen[group][i]
			s.seen[group][i] = n
		}
	}
}

// halve joins neighbouring samples.
func (s *series) halve() {
	s.period *= 2
	s.samples /= 2
	for i := range s.columns {
		c := &s.columns[i]
		for k := range s.samples {
			a, b := c.values[2*k], c.values[2*k+1]
			if c.highest {
				c.values[k] = max(a, b)
			} else {
				c.values[k] = a + b
			}
		}
		c.values = c.values[:s.samples]
	}
}

// record ends the last sample and returns what goes into the result.
func (s *series) record(now sim.Cycle) *SeriesRecord {
	if s.end != now {
		s.sample(now)
	}
	r := &SeriesRecord{
		Period: uint64(s.period), Samples: s.samples, End: uint64(now), VCPUsPerRow: s.perRow, PagesPerBin: s.perBin,
		Columns: []Column{}, InterExit: []InterExit{},
	}
	for _, c := range s.columns {
		if text, some := numbers(c.values); some {
			r.Columns = append(r.Columns, Column{c.kind, c.key, text})
		}
	}
	for kind := range s.inter {
		n := len(s.inter[kind])
		for n > 0 && s.inter[kind][n-1] == 0 {
			n--
		}
		if text, some := numbers(s.inter[kind][:n]); some {
			r.InterExit = append(r.InterExit, InterExit{exitKinds[kind], text})
		}
	}
	return r
}

// numbers prints values with spaces between; some tells whether one is not zero.
func numbers(values []uint64) (text string, some bool) {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, v)
		some = some || v != 0
	}
	return b.String(), some
}

// Sync saves, restores or hashes the samples taken so far.
func (s *series) Sync(c *sim.Codec) {
	c.Tag("series")
	sim.Uint(c, &s.period)
	sim.Uint(c, &s.next)
	sim.Uint(c, &s.end)
	c.Int(&s.samples)
	if s.samples < 0 || s.samples > maxSamples || s.period == 0 {
		c.Fail(fmt.Errorf("a series of %d samples of %d cycles", s.samples, s.period))
		s.samples, s.period = 0, 1
	}
	for i := range s.columns {
		col := &s.columns[i]
		c.U64(&col.now)
		sim.Slice(c, &col.values, func(c *sim.Codec, v *uint64) { c.U64(v) })
		if len(col.values) != s.samples {
			c.Fail(fmt.Errorf("a column of %d values in a series of %d samples", len(col.values), s.samples))
			col.values = make([]uint64, s.samples)
		}
	}
	for kind := range s.inter {
		for i := range s.inter[kind] {
			c.U64(&s.inter[kind][i])
		}
	}
	for i := range s.last {
		for kind := range s.last[i] {
			sim.Uint(c, &s.last[i][kind])
		}
	}
	for _, group := range s.seen {
		for i := range group {
			c.U64(&group[i])
		}
	}
}
