package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"ringmap/bench/scenario"
	"ringmap/cpu/arch"
)

// LatencyRow is what a guest program measured by its own counter, beside what is
// published of the reference host.
type LatencyRow struct {
	Name      string  `json:"name"`
	Text      string  `json:"text"`
	Cycles    float64 `json:"cycles"` // of the host's clock
	NS        float64 `json:"ns"`
	Published float64 `json:"published_cycles,omitempty"`
	Ratio     float64 `json:"ratio,omitempty"` // of Cycles to Published
	Kind      string  `json:"kind"`            // measured, fit or prediction: what the model's number is
	Source    string  `json:"source"`
}

// latencyPrograms are the guests that measure, each a scenario.
var latencyPrograms = []string{
	"name: latency\ncpu: {model: inorder, switch: hint}\nvm: {vcpus: 1, memory: 256MiB, backing: thp}\ntracking: {mode: \"off\"}\nworkload: {elf: \"builtin:latency\"}\n",
	"name: bounce\ncpu: {model: inorder, switch: hint}\nvm: {vcpus: 2, memory: 256MiB, backing: thp}\ntracking: {mode: \"off\"}\nworkload: {elf: \"builtin:bounce\"}\n",
	"name: split\ncpu: {model: inorder, switch: hint}\nvm: {vcpus: 1, memory: 256MiB, backing: thp}\nvmm: {interval: never}\nworkload: {elf: \"builtin:split\"}\n",
}

// latencyRows are the rows in terms of what the programs print: the cycles of one
// step. Published figures are those of the Neoverse N1, at 3.0 GHz.
var latencyRows = []struct {
	name, text string
	of         func(map[string]float64) float64
	published  func(map[string]float64) float64 // cycles, nil = none
	kind       string
	source     string
}{
	{"l1d", "load to use, L1D (and a hit in the first-level TLB)", step("l1"), cycles(4), "measured", "AnandTech, Chips and Cheese"},
	{"l2", "load to use, L2", step("l2"), cycles(11), "measured", "AnandTech, Chips and Cheese"},
	{"slc", "load to use, system-level cache", step("slc"), nil, "fit", "nothing published that fits one machine: l1d + l2 + mesh + slc + mesh"},
	{"dram", "load to use, DRAM: 81 to 83 ns", step("dram"), cycles(246), "fit", "AnandTech, Arm"},
	{"tlb2", "second-level TLB hit, above one in the first", less("tlb2", "l1"), cycles(5), "measured", "Chips and Cheese"},
	{"walk", "TLB miss, above a hit: both levels, then two descriptors from L2", less("walk", "tlb1"), nil, "prediction", "nothing published: the walk's own accesses"},
	{"store", "store to a line that L1D has clean, in a loop of two cycles", step("store"), nil, "prediction", "what the next row is compared with"},
	{"pt_store", "the same to a line of a page table", step("ptstore"), step("store"), "prediction", "as a store"},
	{"lse_add", "LDADD, uncontended: 5.0 ns", step("lse"), cycles(15), "fit", "linux-arm-kernel, Nov 2025"},
	{"llsc_add", "LDXR, ADD, STXR, CBNZ, uncontended: 7.3 ns", step("llsc"), cycles(21.9), "prediction", "linux-arm-kernel, Nov 2025; from the fit of lse_add"},
	{"mispredict", "mispredicted branch, above a predicted one", func(m map[string]float64) float64 { return 2 * (m["chance"] - m["even"]) }, cycles(11), "measured", "LLVM AArch64SchedNeoverseN1.td"},
	{"bounce", "a line to the other core: its spinning load, then a store", step("bounce"), nil, "prediction", "nothing published: a transfer and an upgrade"},
	{"swap", "a line to the other core, by CAS: 47 ns", step("swap"), cycles(141), "prediction", "Graviton2, core-to-core-latency (N. Viennot)"},
	{"split", "first store to a 2 MiB block while the host logs writes", step("split"), nil, "prediction", "nothing published: fault, split, record"},
	{"written", "the next store to its page", step("written"), nil, "prediction", "nothing published: a walk and an L1D miss"},
}

func step(name string) func(map[string]float64) float64 {
	return func(m map[string]float64) float64 { return m[name] }
}

func less(name, base string) func(map[string]float64) float64 {
	return func(m map[string]float64) float64 { return m[name] - m[base] }
}

func cycles(n float64) func(map[string]float64) float64 {
	return func(map[string]float64) float64 { return n }
}

// Latencies runs the guest programs that measure, with keys set as "a.b=c".
func Latencies(set []string) ([]LatencyRow, error) {
	measured, hz := map[string]float64{}, uint64(0)
	for _, text := range latencyPrograms {
		s, err := scenario.Parse("latency", []byte(text))
		if err != nil {
			return nil, err
		}
		for _, kv := range set {
			if err := s.Set("--set "+kv, kv); err != nil {
				return nil, err
			}
		}
		p, err := s.Plan(nil)
		if err != nil {
			return nil, err
		}
		hz = uint64(p.Clock)
		r, err := Run(s, Options{})
		if err != nil {
			return nil, err
		}
		if err := readSteps(measured, r.Console, hz); err != nil {
			return nil, s.Problem("workload.elf", "leave it to this command", "%v (%s)", err, r.Finished)
		}
	}
	rows := make([]LatencyRow, len(latencyRows))
	for i, l := range latencyRows {
		r := LatencyRow{Name: l.name, Text: l.text, Kind: l.kind, Source: l.source, Cycles: l.of(measured)}
		r.NS = r.Cycles * 1e9 / float64(hz)
		if l.published != nil {
			r.Published = l.published(measured)
			r.Ratio = r.Cycles / r.Published
		}
		rows[i] = r
	}
	return rows, nil
}

// readSteps reads lines of a name, ticks of the counter, and how often.
func readSteps(into map[string]float64, console []byte, hz uint64) error {
	if len(console) == 0 {
		return fmt.Errorf("the program printed nothing")
	}
	for line := range bytes.Lines(console) {
		f := strings.Fields(string(line))
		if len(f) != 3 {
			return fmt.Errorf("the program printed %q, which is no name with two numbers", bytes.TrimSpace(line))
		}
		ticks, err := strconv.ParseUint(f[1], 10, 64)
		n, err2 := strconv.ParseUint(f[2], 10, 64)
		if err != nil || err2 != nil || n == 0 {
			return fmt.Errorf("the program printed %q, which is no name with two numbers", bytes.TrimSpace(line))
		}
		into[f[0]] = float64(ticks) / float64(n) * float64(hz) / arch.CountHz
	}
	return nil
}
