package cache

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// naive is the same hierarchy without a directory: whoever wants to know who has
// a line asks every core. Nothing is ever under way, so that a latency is a sum.
type naive struct {
	spec  Spec
	cores []naiveCore
	slc   naiveCache
	last  map[uint64]What   // line: of its last transaction, while a core has it
	open  map[uint64]uint64 // bank: row
	stats Stats
}

type naiveCore struct{ d, i, l2 naiveCache }

// naiveCache is a list per set, the most recently used line first.
type naiveCache struct {
	ways int
	sets [][]naiveLine
}

type naiveLine struct {
	line  uint64
	state string
	what  What
}

func newNaiveCache(l Level) naiveCache {
	return naiveCache{l.Ways, make([][]naiveLine, l.Size/LineSize/uint64(l.Ways))}
}

func newNaive(spec Spec, cores int) *naive {
	n := &naive{spec: spec, slc: newNaiveCache(spec.SLC), last: map[uint64]What{}, open: map[uint64]uint64{}}
	for range cores {
		n.cores = append(n.cores, naiveCore{newNaiveCache(spec.L1D), newNaiveCache(spec.L1I), newNaiveCache(spec.L2)})
	}
	return n
}

func (c *naiveCache) set(line uint64) *[]naiveLine { return &c.sets[line%uint64(len(c.sets))] }

func (c *naiveCache) get(line uint64) *naiveLine {
	if len(c.sets) == 0 {
		return nil
	}
	for i := range *c.set(line) {
		if l := &(*c.set(line))[i]; l.line == line {
			return l
		}
	}
	return nil
}

func (c *naiveCache) drop(line uint64) {
	if len(c.sets) != 0 {
		*c.set(line) = slices.DeleteFunc(*c.set(line), func(l naiveLine) bool { return l.line == line })
	}
}

// put makes the line the most recent one and returns what falls out.
func (c *naiveCache) put(l naiveLine) *naiveLine {
	c.drop(l.line)
	set := c.set(l.line)
	*set = append([]naiveLine{l}, *set...)
	if len(*set) <= c.ways {
		return nil
	}
	out := (*set)[c.ways]
	*set = (*set)[:c.ways]
	return &out
}

func (c *naiveCache) touch(line uint64) { c.put(*c.get(line)) }

// holders returns the cores that have a line, and the owner or -1.
func (n *naive) holders(line uint64) (list []int, owner int) {
	owner = -1
	for i := range n.cores {
		if l := n.cores[i].l2.get(line); l != nil {
			list = append(list, i)
			if l.state != "S" {
				owner = i
			}
		}
	}
	return list, owner
}

func (n *naive) memory(line uint64) uint32 {
	d := &n.spec.DRAM
	channel := line % uint64(d.Channels)
	at := line / uint64(d.Channels) / (d.Row / LineSize)
	row := at / uint64(d.Banks)
	bank := channel*uint64(d.Banks) + (at^row)%uint64(d.Banks)
	open, is := n.open[bank]
	n.open[bank] = row
	cost := d.Controller + d.CAS + d.Burst
	switch {
	case is && open == row:
		n.stats.RowHits++
	case is:
		n.stats.RowConflicts++
		cost += d.Precharge + d.Activate
	default:
		n.stats.RowClosed++
		cost += d.Activate
	}
	return cost
}

func (n *naive) keep(line uint64, w What, state string) {
	if len(n.slc.sets) == 0 {
		if state == "dirty" {
			n.stats.MemWrites++
			n.memory(line)
		}
		return
	}
	if l := n.slc.get(line); l != nil {
		w = l.what
		if l.state == "dirty" {
			state = "dirty"
		}
	}
	if out := n.slc.put(naiveLine{line, state, w}); out != nil && out.state == "dirty" {
		n.stats.SLCWriteBacks[out.what]++
		n.stats.MemWrites++
		n.memory(out.line)
	}
}

func (n *naive) fill(core int, line uint64, state string) {
	c := &n.cores[core]
	out := c.l2.put(naiveLine{line, state, 0})
	if out == nil {
		return
	}
	c.d.drop(out.line)
	c.i.drop(out.line)
	w := n.last[out.line]
	switch out.state {
	case "M":
		n.stats.WriteBacks[w]++
		n.keep(out.line, w, "dirty")
	case "E":
		n.keep(out.line, w, "clean")
	}
}

// l2 makes a core have a line for reading and returns the cycles that takes from
// L2 on.
func (n *naive) l2read(core int, line uint64, w What, code bool) uint32 {
	c, s := &n.cores[core], &n.spec
	if c.l2.get(line) != nil {
		c.l2.touch(line)
		return s.L2.Latency
	}
	n.stats.Misses[w]++
	cost := s.L2.Latency + s.Mesh + s.SLC.Latency
	list, owner := n.holders(line)
	inSLC := n.slc.get(line)
	state := "S"
	switch {
	case owner >= 0:
		o := &n.cores[owner]
		was := o.l2.get(line).state
		o.l2.get(line).state = "S"
		if l := o.d.get(line); l != nil {
			l.state = "R"
		}
		n.keep(line, w, map[string]string{"M": "dirty", "E": "clean"}[was])
		n.stats.Transfers[w]++
		cost += 2*s.Mesh + s.Snoop
	case len(list) > 0 && inSLC == nil:
		n.stats.Transfers[w]++
		cost += 2*s.Mesh + s.Snoop
	case len(list) > 0 || inSLC != nil:
		n.stats.SLCHits++
		cost += s.Mesh
		if len(list) > 0 || code {
			n.slc.touch(line)
			break
		}
		state = map[string]string{"dirty": "M", "clean": "E"}[inSLC.state]
		n.slc.drop(line)
	default:
		n.stats.SLCMisses++
		n.stats.MemReads++
		cost += n.memory(line) + s.Mesh
		if state = "E"; code {
			state = "S"
			n.keep(line, w, "clean")
		}
	}
	n.last[line] = w
	n.fill(core, line, state)
	return cost
}

func (n *naive) access(core int, line uint64, k Kind, w What) uint32 {
	c, s := &n.cores[core], &n.spec
	switch k {
	case Load:
		if c.d.get(line) != nil {
			c.d.touch(line)
			return s.L1D.Latency
		}
		cost := s.L1D.Latency + n.l2read(core, line, w, false)
		c.d.put(naiveLine{line, "R", 0})
		return cost
	case Fetch:
		if c.i.get(line) != nil {
			c.i.touch(line)
			return s.L1I.Latency
		}
		cost := s.L1I.Latency + n.l2read(core, line, w, true)
		if l := c.d.get(line); l != nil {
			l.state = "R"
		}
		c.i.put(naiveLine{line, "R", 0})
		return cost
	case Walk:
		return s.L1D.Latency + n.l2read(core, line, w, false)
	case Clean, Invalidate:
		return n.maintain(core, line, k, w)
	}
	return n.store(core, line, k, w)
}

func (n *naive) store(core int, line uint64, k Kind, w What) uint32 {
	c, s := &n.cores[core], &n.spec
	cost := s.L1D.Latency
	inL1 := c.d.get(line) != nil
	defer func() {
		c.d.put(naiveLine{line, "W", 0})
		c.i.drop(line)
	}()
	mine := c.l2.get(line)
	if mine != nil && mine.state != "S" {
		mine.state = "M"
		if !inL1 {
			c.l2.touch(line)
			cost += s.L2.Latency
		}
		return cost
	}
	cost += s.L2.Latency + s.Mesh + s.SLC.Latency
	list, owner := n.holders(line)
	others := 0
	for _, o := range list {
		if o != core {
			others++
			n.cores[o].l2.drop(line)
			n.cores[o].d.drop(line)
			n.cores[o].i.drop(line)
		}
	}
	n.stats.Invalidations[w] += uint64(others)
	inSLC := n.slc.get(line) != nil
	n.slc.drop(line)
	data := mine == nil && k != Zero
	if mine == nil {
		n.stats.Misses[w]++
	}
	switch {
	case owner >= 0:
		n.stats.Transfers[w]++
		cost += 2*s.Mesh + s.Snoop
	case others > 0:
		cost += 2*s.Mesh + s.Snoop + s.Mesh
		if data && !inSLC {
			n.stats.Transfers[w]++
		}
	case data && !inSLC:
		n.stats.SLCMisses++
		n.stats.MemReads++
		cost += n.memory(line) + s.Mesh
	default:
		cost += s.Mesh
	}
	if data && inSLC && owner < 0 {
		n.stats.SLCHits++
	}
	n.last[line] = w
	n.fill(core, line, "M")
	return cost
}

func (n *naive) maintain(core int, line uint64, k Kind, w What) uint32 {
	s := &n.spec
	cost := s.L1D.Latency + s.L2.Latency + s.Mesh + s.SLC.Latency
	list, owner := n.holders(line)
	wet := false
	if owner >= 0 {
		l := n.cores[owner].l2.get(line)
		if wet = l.state == "M"; wet {
			n.stats.WriteBacks[w]++
		}
		l.state = "E"
		if l := n.cores[owner].d.get(line); l != nil {
			l.state = "R"
		}
	}
	alone := len(list) == 1 && list[0] == core
	if (owner >= 0 || k == Invalidate && len(list) > 0) && !alone {
		cost += 2*s.Mesh + s.Snoop
	}
	if l := n.slc.get(line); l != nil && l.state == "dirty" {
		l.state, wet = "clean", true
	}
	if wet {
		n.stats.MemWrites++
		cost += n.memory(line)
	}
	if len(list) > 0 {
		n.last[line] = w
	}
	if k == Invalidate {
		n.slc.drop(line)
		n.dropAll(list, line, w)
	}
	return cost + s.Mesh
}

func (n *naive) dropAll(list []int, line uint64, w What) {
	n.stats.Invalidations[w] += uint64(len(list))
	for _, o := range list {
		n.cores[o].l2.drop(line)
		n.cores[o].d.drop(line)
		n.cores[o].i.drop(line)
	}
}

func (n *naive) dma(line uint64, write bool, w What) uint32 {
	s := &n.spec
	cost := s.Mesh + s.SLC.Latency
	list, owner := n.holders(line)
	if write {
		if owner >= 0 {
			n.stats.Transfers[w]++
		}
		if len(list) > 0 {
			cost += 2*s.Mesh + s.Snoop
			n.dropAll(list, line, w)
		}
		n.keep(line, w, "dirty")
		return cost + s.Mesh
	}
	if len(list) > 0 {
		n.last[line] = w
	}
	switch inSLC := n.slc.get(line) != nil; {
	case owner >= 0, len(list) > 0 && !inSLC:
		n.stats.Transfers[w]++
		return cost + 2*s.Mesh + s.Snoop
	case inSLC:
		n.stats.SLCHits++
		return cost + s.Mesh
	}
	n.stats.SLCMisses++
	n.stats.MemReads++
	return cost + n.memory(line) + s.Mesh
}

// check holds the System against the naive one and against what coherence
// promises, for all lines.
func (n *naive) check(t *testing.T, s *System) {
	t.Helper()
	held := map[uint64][]int{}
	for i := range n.cores {
		c, want := &s.cores[i], &n.cores[i]
		same(t, fmt.Sprintf("core %d L1D", i), &c.d, &want.d, " RW")
		same(t, fmt.Sprintf("core %d L1I", i), &c.i, &want.i, " R")
		same(t, fmt.Sprintf("core %d L2", i), &c.l2, &want.l2, " SEM")
		for line, state := range lines(&c.l2) {
			held[line] = append(held[line], i)
			if state != shared && s.slc.state(line) != 0 {
				t.Errorf("line %#x is core %d's own and in the SLC too", line, i)
			}
		}
		for line, state := range lines(&c.d) {
			switch in := c.l2.state(line); {
			case in == 0:
				t.Errorf("line %#x is in L1D of core %d and not in L2", line, i)
			case state == writable && in != modified:
				t.Errorf("line %#x is writable in L1D of core %d and not Modified in L2", line, i)
			case state == writable && c.i.state(line) != 0:
				t.Errorf("line %#x is writable in L1D of core %d and in L1I", line, i)
			}
		}
		for line := range lines(&c.i) {
			if c.l2.state(line) == 0 {
				t.Errorf("line %#x is in L1I of core %d and not in L2", line, i)
			}
		}
	}
	same(t, "SLC", &s.slc, &n.slc, " CD")
	if s.dir.n != len(held) {
		t.Errorf("the directory knows %d lines, and cores have %d", s.dir.n, len(held))
	}
	for line, who := range held {
		slices.Sort(who)
		e := s.dir.find(line)
		if e == nil {
			t.Fatalf("the directory does not know line %#x of %v", line, who)
		}
		var listed []int
		for o := s.dir.next(e, 0); o >= 0; o = s.dir.next(e, o+1) {
			listed = append(listed, o)
		}
		if !slices.Equal(listed, who) || int(e.n) != len(who) {
			t.Errorf("line %#x: the directory says %v (%d), and %v have it", line, listed, e.n, who)
		}
		own := s.cores[who[0]].l2.state(line) != shared
		if e.is(owned) != own || own && len(who) > 1 {
			t.Errorf("line %#x of %v: owned %v, and the first has it in state %d", line, who, e.is(owned), s.cores[who[0]].l2.state(line))
		}
	}
}

// lines returns the lines of a cache with their states.
func lines(a *array) map[uint64]uint64 {
	all := map[uint64]uint64{}
	for _, p := range a.pages {
		for _, tag := range p {
			if tag != 0 {
				all[tag&tagLine>>2] = tag & tagState
			}
		}
	}
	return all
}

// same compares every set, in the order of use.
func same(t *testing.T, name string, a *array, want *naiveCache, states string) {
	t.Helper()
	for i, set := range want.sets {
		var got, exp []string
		for _, tag := range a.set(uint64(i)) {
			if tag != 0 {
				got = append(got, fmt.Sprintf("%#x %c", tag&tagLine>>2, states[tag&tagState]))
			}
		}
		for _, l := range set {
			letter := l.state[0]
			if letter == 'c' || letter == 'd' {
				letter -= 'a' - 'A'
			}
			exp = append(exp, fmt.Sprintf("%#x %c", l.line, letter))
		}
		if d := cmp.Diff(exp, got); d != "" {
			t.Fatalf("%s, set %d (-naive +system):\n%s", name, i, d)
		}
	}
}

// tiny makes evictions happen all the time.
func tiny() Spec {
	s := NeoverseN1
	s.L1I, s.L1D = Level{512, 2, 1}, Level{512, 2, 4}
	s.L2 = Level{2 << 10, 4, 7}
	s.SLC = Level{8 << 10, 4, 19}
	s.DRAM.Channels, s.DRAM.Banks, s.DRAM.Row = 2, 4, 1024
	return s
}

// TestNaive: under random accesses of many cores the hierarchy has the same lines
// in the same states and order of use as the naive one, counts the same and takes
// the same time, and never breaks what coherence promises.
func TestNaive(t *testing.T) {
	for _, c := range []struct {
		name  string
		cores int
		lines uint64
		spec  func() Spec
	}{
		{"two cores", 2, 96, tiny},
		{"nine cores", 9, 300, tiny},
		{"masks", 70, 40, tiny},
		{"no SLC", 3, 96, func() Spec { s := tiny(); s.SLC.Size = 0; return s }},
		{"direct-mapped", 3, 96, func() Spec {
			s := tiny()
			s.L1D.Ways, s.L1I.Ways, s.L2.Ways, s.SLC.Ways = 1, 1, 1, 1
			return s
		}},
		{"small SLC", 4, 200, func() Spec { s := tiny(); s.SLC = Level{1 << 10, 2, 19}; return s }},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := c.spec()
			if c.name == "no SLC" {
				spec.SLC = Level{Latency: 19, Ways: 1}
			}
			s, n := New(spec, c.cores), newNaive(spec, c.cores)
			r := sim.NewStream(7, c.name)
			now := sim.Cycle(0)
			kinds := []Kind{Load, Load, Load, Store, Store, Atomic, Fetch, Walk, Zero, Clean, Invalidate}
			for step := range 20_000 {
				core, line := int(r.N(uint64(c.cores))), r.N(c.lines)
				w := What(r.N(uint64(mmu.NumWhats)))
				now += 5000 // nothing is under way
				var got sim.Cycle
				var want uint32
				what := ""
				if r.N(16) == 0 {
					write := r.N(2) == 0
					what = fmt.Sprintf("DMA of line %#x, write %v", line, write)
					got, want = s.DMA(mmu.PA(line<<LineShift|8), write, w, now), n.dma(line, write, w)
				} else {
					k := kinds[r.N(uint64(len(kinds)))]
					what = fmt.Sprintf("core %d line %#x kind %d", core, line, k)
					got, want = s.Access(core, mmu.PA(line<<LineShift|r.N(64)), k, w, now), n.access(core, line, k, w)
				}
				if got-now != sim.Cycle(want) {
					t.Fatalf("step %d: %s takes %d cycles, want %d", step, what, got-now, want)
				}
				if step%64 == 0 || step > 19_900 {
					n.check(t, s)
				}
				if t.Failed() {
					t.Fatalf("after step %d: %s", step, what)
				}
			}
			if d := cmp.Diff(n.stats, s.Stats); d != "" {
				t.Errorf("counts (-naive +system):\n%s", d)
			}
		})
	}
}
