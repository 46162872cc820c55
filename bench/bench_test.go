package bench

import (
	"testing"
	"time"

	"ringmap/bench/scenario"
)

// testMachine builds a machine from scenario text and settings.
func testMachine(tb testing.TB, text string, sets ...string) (*machine, *scenario.Scenario) {
	tb.Helper()
	s, err := scenario.Parse("test.yaml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	for _, set := range sets {
		if err := s.Set("--set "+set, set); err != nil {
			tb.Fatal(err)
		}
	}
	p, _, err := new(Files).plan(s)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := build(s, p, p.Track)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.close)
	return m, s
}

// patternWrites is the scenario of BenchmarkPatternWrites: four vCPUs write a
// shared gigabyte without end. A collection takes longer than its interval, so
// that the share of faults goes with the instructions per write: 36 give about one
// fault in 19 writes without scatter.
const patternWrites = `
vm:       {vcpus: 4, memory: 1GiB}
tracking: {mode: ring+bitmap, ring: 65536}
workload: {pattern: zipf, theta: 0.99, region: shared, accesses: 0, instructions: 36}
vmm:      {harvest: on-full-all, interval: 10ms}
run:      {until: 100000s}
`

// BenchmarkPatternWrites measures simulated guest writes in a second of wall
// time, with everything that tracking brings along: faults, ring pushes, harvest,
// reset with re-protection, copies and the audit. One op is one write. With
// scatter=off the popular pages lie together, as in a compact heap, and so do
// their descriptors; with scatter=on each has cache lines of its own.
func BenchmarkPatternWrites(b *testing.B) {
	for _, scatter := range []string{"off", "on"} {
		b.Run("scatter="+scatter, func(b *testing.B) { benchmarkWrites(b, "workload.scatter="+scatter) })
	}
}

// warmUp is simulated time after which the share of faults stays as it is.
var warmUp = scenario.Time{Picos: 300e9}

func benchmarkWrites(b *testing.B, set string) {
	m, _ := testMachine(b, patternWrites, set)
	m.vmm.Start()
	m.engine.Run(warmUp.In(m.plan.Clock))
	stores, faults := m.counts()
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	done := uint64(0)
	for done < uint64(b.N) {
		m.engine.Run(m.engine.Now() + 100_000)
		now, _ := m.counts()
		done = now - stores
	}
	spent := time.Since(began)
	b.StopTimer()
	_, after := m.counts()
	b.ReportMetric(float64(done)/spent.Seconds()/1e6, "Mwrites/s")
	b.ReportMetric(float64(after-faults)/float64(done), "faults/write")
}

// counts are the guests' stores and write faults so far.
func (m *machine) counts() (stores, faults uint64) {
	for _, v := range m.vm.VCPUs {
		stores += v.Stats.Stores
		faults += v.Stats.FaultsWrite
	}
	return stores, faults
}
