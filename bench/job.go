package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"ringmap/bench/scenario"
	"ringmap/kvmcore/vmm"
)

// Job is a scenario that is known to be possible, planned and ready to run. It
// runs any number of times, each time alike.
type Job struct {
	scenario *scenario.Scenario
	plan     *scenario.Plan
	digest   string // of the trace or program
}

// Files remembers what scenarios take from the traces that they replay, so that
// many scenarios of one trace open it once. The zero value is ready; it is for
// one goroutine.
type Files struct{ traces map[string]traceFile }

type traceFile struct {
	scenario.Trace
	digest string
}

// trace looks into the scenario's trace.
func (f *Files) trace(s *scenario.Scenario) (traceFile, error) {
	path := s.Path("workload.trace", s.Workload.Trace)
	if t, ok := f.traces[path]; ok {
		return t, nil
	}
	t, err := openTrace(s)
	if err != nil {
		return traceFile{}, err
	}
	defer t.Close()
	vcpus, memory := t.Recorded()
	file := traceFile{scenario.Trace{VCPUs: vcpus, Memory: memory, Window: t.Window()}, fmt.Sprintf("%016x", t.Hash)}
	if f.traces == nil {
		f.traces = map[string]traceFile{}
	}
	f.traces[path] = file
	return file, nil
}

// Prepare checks a scenario and works out what its run needs. Errors are those
// of Run.
func (f *Files) Prepare(s *scenario.Scenario) (*Job, error) {
	p, digest, err := f.plan(s)
	if err != nil {
		return nil, err
	}
	return &Job{s, p, digest}, nil
}

// Compares tells whether a run with tracking off has something to be compared with:
// not when nothing is tracked, when a migration stops the clock in between or is waited
// for by a console, or when a backup does some of the work again.
func (j *Job) Compares() bool {
	p := j.plan
	return p.Track != vmm.TrackOff && (p.Migrate == nil || p.Until == 0) && !p.Input.Migrated && (p.Checkpoint == nil || p.Checkpoint.FailAt == 0)
}

// Key names what the run will record, guest.slowdown included: program version,
// effective scenario with its seed, contents of the trace. Runs of equal keys have
// equal records.
func (j *Job) Key() string {
	return hashKey("run", scenario.Hash(j.scenario.Effective(j.plan), j.digest))
}

// BaselineKey names the run with tracking off: jobs that differ only in what such
// a run does not look at have the same.
func (j *Job) BaselineKey() string {
	effective := slices.DeleteFunc(j.scenario.Effective(j.plan), func(kv scenario.KV) bool { return isOnlyTracked(kv.Key) })
	return hashKey("baseline", scenario.Hash(effective, j.digest))
}

// onlyTracked are the keys without effect while nothing is tracked: a design of
// the kernel is put in force, pages are harvested, and a migration begins, only
// where something is. A test runs the baseline with each of them changed.
var onlyTracked = []string{
	"name", "audit.list", "audit.on_loss",
	"tracking.mode", "tracking.ring", "tracking.manual_protect", "tracking.ring_sizes", "tracking.ring_max", "tracking.reserve",
	"tracking.layout", "tracking.entry", "tracking.overflow", "tracking.vm_ring", "tracking.kick", "tracking.detect",
	"vmm.harvest", "vmm.interval", "vmm.clear", "vmm.collect", "vmm.edits",
}

func isOnlyTracked(key string) bool {
	return slices.Contains(onlyTracked, key) || strings.HasPrefix(key, "migrate.")
}

func hashKey(kind, hash string) string {
	h := sha256.New()
	fmt.Fprintf(h, "ringmap %s %s %s\n", Version, kind, hash)
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Baseline runs the job with tracking off.
func (j *Job) Baseline() (Baseline, error) {
	b := runBaseline(j.scenario, j.plan)
	return b.Baseline, b.err
}
