// Package view turns what a kvmcore.Probe sees into what other people's tools
// draw.
//
//	               ┌─► Profile ─► gzipped profile.proto ─► go tool pprof
//	Probe ─► Join ─┤   where simulated cycles went: thread, kernel paths, cause
//	               └─► Trace ───► Chrome trace events ───► ui.perfetto.dev
//	                   a window of time: states, faults, exits, ring occupancy
//
// Formats: github.com/google/pprof/proto/profile.proto; "Trace Event Format" of
// the Chromium project.
package view

import (
	"bytes"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/google/pprof/profile"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Profile adds up where the cycles of a run went.
type Profile struct {
	hz      uint64
	name    func(*kvmcore.Thread) string
	threads map[string]*threadCycles
}

// threadCycles are those of one thread.
type threadCycles struct {
	stacks map[kvmcore.Stack]*[kvmcore.NumCauses]uint64
	waits  map[string]uint64
}

// NewProfile makes an empty profile of a host whose clock has that frequency.
// name names a thread.
func NewProfile(hz uint64, name func(*kvmcore.Thread) string) *Profile {
	return &Profile{hz: hz, name: name, threads: map[string]*threadCycles{}}
}

// Probe is what feeds the profile.
func (p *Profile) Probe() *kvmcore.Probe {
	return &kvmcore.Probe{
		Spent: func(t *kvmcore.Thread, in kvmcore.Stack, _, _ sim.Cycle, by *[kvmcore.NumCauses]uint64) {
			stacks := p.of(t).stacks
			sum := stacks[in]
			if sum == nil {
				sum = new([kvmcore.NumCauses]uint64)
				stacks[in] = sum
			}
			for i, n := range by {
				sum[i] += n
			}
		},
		Waited: func(t *kvmcore.Thread, why string, from, to sim.Cycle) {
			p.of(t).waits["wait_"+why] += uint64(to - from)
		},
		Began:    func(*kvmcore.Thread, kvmcore.Path) {},
		Ended:    func(*kvmcore.Thread, kvmcore.Path) {},
		Recorded: func(*kvmcore.Thread, mmu.GFN, uint64) {},
	}
}

func (p *Profile) of(t *kvmcore.Thread) *threadCycles {
	name := p.name(t)
	c := p.threads[name]
	if c == nil {
		c = &threadCycles{map[kvmcore.Stack]*[kvmcore.NumCauses]uint64{}, map[string]uint64{}}
		p.threads[name] = c
	}
	return c
}

// Encode returns the file: gzipped profile.proto with the sample types cycles and
// time, the same bytes for the same run. A sample's stack is thread, kernel paths
// and, in brackets, the cause; thread and cause are labels as well.
func (p *Profile) Encode() ([]byte, error) {
	b := &profileBuilder{hz: p.hz, at: map[string]*profile.Location{}, out: &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cycles", Unit: "count"}, {Type: "time", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cycles", Unit: "count"}, Period: 1, DefaultSampleType: "cycles",
		Comments: []string{"simulated cycles of ringmap, not those of the machine that ran it"},
	}}
	names := slices.SortedFunc(maps.Keys(p.threads), func(a, c string) int {
		switch {
		case sim.NaturalLess(a, c):
			return -1
		case sim.NaturalLess(c, a):
			return 1
		}
		return 0
	})
	for _, name := range names {
		c := p.threads[name]
		stacks := slices.SortedFunc(maps.Keys(c.stacks), func(x, y kvmcore.Stack) int { return slices.Compare(x[:], y[:]) })
		for _, in := range stacks {
			for cause, n := range c.stacks[in] {
				b.sample(name, in, kvmcore.Cause(cause).String(), n)
			}
		}
		for _, why := range slices.Sorted(maps.Keys(c.waits)) {
			b.sample(name, kvmcore.Stack{}, why, c.waits[why])
		}
	}
	if err := b.out.CheckValid(); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	var file bytes.Buffer
	if err := b.out.Write(&file); err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	return file.Bytes(), nil
}

// profileBuilder makes locations as they are first needed.
type profileBuilder struct {
	hz  uint64
	out *profile.Profile
	at  map[string]*profile.Location
}

func (b *profileBuilder) sample(thread string, in kvmcore.Stack, cause string, cycles uint64) {
	if cycles == 0 {
		return
	}
	stack := []*profile.Location{b.location("[" + cause + "]")} // leaf first
	for _, path := range slices.Backward(in[:]) {
		if path != kvmcore.PathNone {
			stack = append(stack, b.location(path.String()))
		}
	}
	stack = append(stack, b.location(thread))
	b.out.Sample = append(b.out.Sample, &profile.Sample{
		Location: stack, Value: []int64{int64(cycles), int64(nanoseconds(cycles, b.hz))},
		Label: map[string][]string{"thread": {thread}, "cause": {cause}},
	})
}

func (b *profileBuilder) location(name string) *profile.Location {
	if l := b.at[name]; l != nil {
		return l
	}
	id := uint64(len(b.at) + 1)
	f := &profile.Function{ID: id, Name: name, SystemName: name}
	l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
	b.out.Function, b.out.Location = append(b.out.Function, f), append(b.out.Location, l)
	b.at[name] = l
	return l
}

// nanoseconds is a span of cycles of a clock, rounded down.
func nanoseconds(cycles, hz uint64) uint64 {
	hi, lo := bits.Mul64(cycles, 1e9)
	if hz == 0 || hi >= hz {
		return 0
	}
	q, _ := bits.Div64(hi, lo, hz)
	return q
}

// Join is a probe that tells several others.
func Join(list ...*kvmcore.Probe) *kvmcore.Probe {
	if len(list) == 0 {
		return nil
	}
	return &kvmcore.Probe{
		Spent: func(t *kvmcore.Thread, in kvmcore.Stack, from, to sim.Cycle, by *[kvmcore.NumCauses]uint64) {
			for _, p := range list {
				p.Spent(t, in, from, to, by)
			}
		},
		Began: func(t *kvmcore.Thread, path kvmcore.Path) {
			for _, p := range list {
				p.Began(t, path)
			}
		},
		Ended: func(t *kvmcore.Thread, path kvmcore.Path) {
			for _, p := range list {
				p.Ended(t, path)
			}
		},
		Waited: func(t *kvmcore.Thread, why string, from, to sim.Cycle) {
			for _, p := range list {
				p.Waited(t, why, from, to)
			}
		},
		Recorded: func(t *kvmcore.Thread, gfn mmu.GFN, pages uint64) {
			for _, p := range list {
				p.Recorded(t, gfn, pages)
			}
		},
	}
}
