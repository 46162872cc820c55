package cache

import (
	"fmt"

	"ringmap/mmu"
)

// LineShift is log2 of a line's size: 64 bytes on every Neoverse.
const LineShift = 6

// LineSize is the size of a cache line in bytes.
const LineSize = 1 << LineShift

// Level is one cache.
type Level struct {
	Size    uint64 // bytes; the lines divide evenly into Ways and the sets are a power of two
	Ways    int    // 1 to 32
	Latency uint32 // cycles of this stage alone
}

// DRAM is the memory behind everything.
type DRAM struct {
	Channels   int    // independent data buses, a power of two up to 64
	Banks      int    // of each channel, a power of two up to 1024
	Row        uint64 // bytes that a bank holds open
	Controller uint32 // cycles from the home to the bank and back, beside the rest
	Precharge  uint32 // to close a row (tRP)
	Activate   uint32 // to open one (tRCD)
	CAS        uint32 // to read from the open one (tCL)
	Burst      uint32 // a line on the data bus: what bandwidth is made of
}

// Spec is what a hierarchy is made of. All latencies are cycles of the cores'
// clock, and each is of one stage: what an access takes is their sum.
//
//	L1 hit    L1
//	L2 hit    L1 + L2
//	SLC hit   L1 + L2 + Mesh + SLC + Mesh
//	transfer  L1 + L2 + Mesh + SLC + Mesh + Snoop + Mesh
//	DRAM      L1 + L2 + Mesh + SLC + DRAM + Mesh
type Spec struct {
	L1I, L1D Level
	L2       Level // includes what is in L1I and L1D
	SLC      Level // shared; Size 0 = none: its Latency remains that of the directory
	Mesh     uint32
	Snoop    uint32 // another core's look into its caches
	MSHRs    int    // lines that a core can wait for at once, 1 to 64
	Stores   int    // stores that a core can have under way, 1 to 256
	Stream   uint32 // cycles from one line to the next of a copy that always hits
	DRAM     DRAM
}

// Figure is one number of the Neoverse N1 with its source.
type Figure struct {
	Key    string // of the scenario, below cpu
	Kind   string // measured, fit, prediction or assumed
	Source string
}

// NeoverseN1 is the reference host: Ampere Altra at 3.0 GHz. Figures says where
// its numbers come from.
var NeoverseN1 = Spec{
	L1I:    Level{Size: 64 << 10, Ways: 4, Latency: 1},
	L1D:    Level{Size: 64 << 10, Ways: 4, Latency: 4},
	L2:     Level{Size: 1 << 20, Ways: 8, Latency: 7},
	SLC:    Level{Size: 32 << 20, Ways: 16, Latency: 19},
	Mesh:   30,
	Snoop:  11,
	MSHRs:  20,
	Stores: 44,
	Stream: 7,
	DRAM: DRAM{
		Channels: 8, Banks: 32, Row: 8 << 10,
		Controller: 28, Precharge: 41, Activate: 41, CAS: 41, Burst: 8,
	},
}

// Figures lists the numbers of NeoverseN1 in the order of the scenario's keys.
var Figures = []Figure{
	{"l1i.size", "measured", "64 KiB 4-way; Arm Neoverse N1 TRM, Chips and Cheese"},
	{"l1i.ways", "measured", "the same"},
	{"l1i.latency", "assumed", "the front end hides a hit; public gem5 models of the N1 take 1 too"},
	{"l1d.size", "measured", "64 KiB 4-way, AnandTech Graviton2 review; Chips and Cheese, Deep Diving Neoverse N1"},
	{"l1d.ways", "measured", "the same"},
	{"l1d.latency", "measured", "load-to-use 4 cycles, the same"},
	{"l2.size", "measured", "1 MiB 8-way, the same"},
	{"l2.ways", "measured", "the same"},
	{"l2.latency", "measured", "load-to-use 11 cycles, the same, less the 4 of L1D"},
	{"slc.size", "measured", "32 MiB, the same"},
	{"slc.ways", "measured", "16-way slices, Arm CMN-600 TRM"},
	{"slc.latency", "fit", "a hit in the SLC takes about 30 ns over a mesh at 1.8 GHz: 90 - 11 - 2 x mesh"},
	{"mesh", "fit", "one way, with the core's and the home's port: a third of those 30 ns"},
	{"snoop", "prediction", "the owner looks where its own load would: 4 + 7. A line from core to core then takes 131 cycles; published for Graviton2 are 47 ns, 141 cycles here (nviennot, core-to-core-latency)"},
	{"mshrs", "assumed", "20 L1D misses, as public gem5 models of the N1 say after WikiChip"},
	{"stores", "measured", "44 stores in flight, Chips and Cheese"},
	{"stream", "measured", "64 bytes read and written at the 19.28 bytes a cycle of L2, Chips and Cheese: 6.6, rounded up"},
	{"dram.channels", "measured", "8 channels of DDR4-3200, Ampere Altra datasheet"},
	{"dram.banks", "assumed", "two ranks of 16 banks, DDR4 (JESD79-4) x4 and x8 parts"},
	{"dram.row", "measured", "8 KiB a rank: 1 KiB rows of eight x8 parts, JESD79-4"},
	{"dram.controller", "fit", "random loads miss the open row and take 83 ns (Arm; AnandTech: 81): 249 - 90 - precharge, activate, CAS and burst"},
	{"dram.precharge", "measured", "tRP 13.75 ns of DDR4-3200 22-22-22, JESD79-4"},
	{"dram.activate", "measured", "tRCD, the same"},
	{"dram.cas", "measured", "tCL, the same"},
	{"dram.burst", "measured", "8 beats at 3200 MT/s: 2.5 ns, rounded up"},
}

// Limits, so that a snapshot's or scenario's numbers stay within what the arrays
// can hold.
const (
	maxSize    = 1 << 32 // of a cache
	maxWays    = 32
	maxLatency = 1_000_000
	maxMSHRs   = 64
	maxStores  = 256
)

// SpecError is what is impossible about a Spec: the key, what is wrong and what
// to write instead.
type SpecError struct {
	Key, Text, Fix string
}

func (e *SpecError) Error() string { return fmt.Sprintf("cache: %s: %s; %s", e.Key, e.Text, e.Fix) }

// Validate reports the first thing that is impossible about the hierarchy, as a
// *SpecError.
func (s *Spec) Validate() error {
	for _, l := range []struct {
		key   string
		level *Level
	}{{"l1i", &s.L1I}, {"l1d", &s.L1D}, {"l2", &s.L2}, {"slc", &s.SLC}} {
		if l.key == "slc" && l.level.Size == 0 {
			continue
		}
		if err := l.level.validate(l.key); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		key string
		n   uint32
	}{
		{"l1i.latency", s.L1I.Latency}, {"l1d.latency", s.L1D.Latency}, {"l2.latency", s.L2.Latency},
		{"slc.latency", s.SLC.Latency}, {"mesh", s.Mesh}, {"snoop", s.Snoop}, {"stream", s.Stream},
		{"dram.controller", s.DRAM.Controller}, {"dram.precharge", s.DRAM.Precharge}, {"dram.activate", s.DRAM.Activate},
		{"dram.cas", s.DRAM.CAS}, {"dram.burst", s.DRAM.Burst},
	} {
		if l.n > maxLatency {
			return &SpecError{l.key, fmt.Sprintf("%d cycles are longer than any stage takes", l.n), fmt.Sprintf("use at most %dcyc", maxLatency)}
		}
	}
	for _, c := range []struct {
		key     string
		n, most int
		power   bool
	}{
		{"mshrs", s.MSHRs, maxMSHRs, false}, {"stores", s.Stores, maxStores, false},
		{"dram.channels", s.DRAM.Channels, 64, true}, {"dram.banks", s.DRAM.Banks, 1024, true},
	} {
		switch {
		case c.n < 1 || c.n > c.most:
			return &SpecError{c.key, fmt.Sprintf("there cannot be %d", c.n), fmt.Sprintf("use 1 to %d", c.most)}
		case c.power && c.n&(c.n-1) != 0:
			return &SpecError{c.key, fmt.Sprintf("%d is not a power of two", c.n), "use 1, 2, 4, 8 …"}
		}
	}
	if s.L2.Size < s.L1I.Size || s.L2.Size < s.L1D.Size {
		return &SpecError{"l2.size", "L2 includes what is in L1I and L1D, and cannot be smaller", "use at least the size of each"}
	}
	if r := s.DRAM.Row; r < LineSize || r > 1<<20 || r&(r-1) != 0 {
		return &SpecError{"dram.row", fmt.Sprintf("a row of %d bytes", r), "use a power of two from 64B to 1MiB"}
	}
	return nil
}

func (l *Level) validate(key string) error {
	if l.Ways < 1 || l.Ways > maxWays {
		return &SpecError{key + ".ways", fmt.Sprintf("%d ways", l.Ways), fmt.Sprintf("use 1 to %d", maxWays)}
	}
	way := uint64(l.Ways) * LineSize
	sets := l.Size / way
	if l.Size > maxSize || l.Size%way != 0 || sets == 0 || sets&(sets-1) != 0 {
		return &SpecError{key + ".size", fmt.Sprintf("%d bytes in %d ways of 64-byte lines", l.Size, l.Ways),
			fmt.Sprintf("use a power of two times %d bytes, up to 4GiB", way)}
	}
	return nil
}

// lineOf is the number of the line that holds pa.
func lineOf(pa mmu.PA) uint64 { return uint64(pa) & (1<<mmu.PABits - 1) >> LineShift }
