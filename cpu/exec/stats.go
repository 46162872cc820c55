package exec

import "ringmap/sim"

// Stats counts what a core with time did. The stalls' sum is the cycles that it
// executed.
type Stats struct {
	Stalls       [NumStalls]uint64 // cycles by what they went to
	Instructions uint64
	Loads        uint64
	Stores       uint64
	Atomics      uint64
	Forwarded    uint64
	Branches     uint64
	Mispredicted uint64
	Fetches      uint64
	TLBHits2     uint64
	Walks        uint64
	WalkReads    uint64
}

// Counter is a line of what a core registers.
type Counter struct {
	Name, Unit, Text string
	At               func(*Stats) *uint64
}

// Counters lists all of Stats.
var Counters = func() []Counter {
	list := []Counter{
		{"instructions", "instructions", "instructions executed in time", func(s *Stats) *uint64 { return &s.Instructions }},
		{"loads", "accesses", "loads, one for each line that an instruction reads", func(s *Stats) *uint64 { return &s.Loads }},
		{"stores", "accesses", "stores, likewise", func(s *Stats) *uint64 { return &s.Stores }},
		{"atomics", "accesses", "atomics and exclusive stores", func(s *Stats) *uint64 { return &s.Atomics }},
		{"forwarded", "accesses", "loads that found their data in the store buffer", func(s *Stats) *uint64 { return &s.Forwarded }},
		{"branches", "branches", "branches executed", func(s *Stats) *uint64 { return &s.Branches }},
		{"mispredicted", "branches", "branches that went elsewhere than predicted", func(s *Stats) *uint64 { return &s.Mispredicted }},
		{"fetches", "accesses", "lines of code asked of the L1I", func(s *Stats) *uint64 { return &s.Fetches }},
		{"tlb2_hits", "translations", "translations that the second-level TLB had", func(s *Stats) *uint64 { return &s.TLBHits2 }},
		{"walks", "translations", "translations that no TLB had", func(s *Stats) *uint64 { return &s.Walks }},
		{"walk_reads", "accesses", "descriptors read by these", func(s *Stats) *uint64 { return &s.WalkReads }},
	}
	for stall := range NumStalls {
		list = append(list, Counter{"cycles." + stall.String(), "cycles", stall.Text(), func(s *Stats) *uint64 { return &s.Stalls[stall] }})
	}
	return list
}()

func (s *Stats) sync(c *sim.Codec) {
	for _, k := range Counters {
		c.U64(k.At(s))
	}
}

// Cycles is the time executed.
func (s *Stats) Cycles() (sum uint64) {
	for _, n := range s.Stalls {
		sum += n
	}
	return sum
}

// Translating is what of it went to address translation.
func (s *Stats) Translating() uint64 { return s.Stalls[StallTLB] + s.Stalls[StallWalk] }

// Stall is what cycles of an inorder core went to: a closed set.
type Stall uint8

const (
	StallNone Stall = iota
	StallOperand
	StallPipe
	StallLoad
	StallAtomic
	StallStores
	StallOrder
	StallTLB
	StallWalk
	StallFetch
	StallBranch
	StallException
	StallTLBI
	NumStalls
)

var stalls = [NumStalls]struct{ name, text string }{
	StallNone:      {"issue", "cycles in which something issued"},
	StallOperand:   {"operand", "waiting for the result of an arithmetic instruction"},
	StallPipe:      {"pipe", "waiting for the only pipe of its kind"},
	StallLoad:      {"load", "waiting for the data of a load"},
	StallAtomic:    {"atomic", "waiting for the result of an atomic or the status of an exclusive store"},
	StallStores:    {"store_buffer", "waiting for room in the store buffer"},
	StallOrder:     {"order", "barriers, load-acquire and store-release, waiting for other accesses"},
	StallTLB:       {"tlb2", "translations by the second-level TLB"},
	StallWalk:      {"walk", "table walks"},
	StallFetch:     {"fetch", "waiting for instructions that the L1I did not have"},
	StallBranch:    {"branch", "refills after mispredicted branches"},
	StallException: {"exception", "refills after exceptions, their returns and ISB"},
	StallTLBI:      {"tlbi", "DSB waiting for TLB maintenance"},
}

// String returns the name in statistics.
func (s Stall) String() string { return stalls[s].name }

// Text explains it.
func (s Stall) Text() string { return stalls[s].text }
