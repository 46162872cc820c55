package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// Window is the part of a run that a trace shows.
type Window struct {
	From, To sim.Cycle // To 0 = to the end
	Events   int       // at most; 0 = DefaultEvents
}

// DefaultEvents bounds a trace: some 20 MB, which the Perfetto UI opens at once.
const DefaultEvents = 200_000

// Trace records a window of time.
type Trace struct {
	Window
	Omitted uint64 // events beyond the limit

	hz     uint64
	vm     *kvmcore.VM
	name   func(*kvmcore.Thread) string
	vcpus  map[*kvmcore.Thread]int
	tracks []string // thread id - 1 -> name
	events []event
	open   map[string][]sim.Cycle // by track: when its open paths began
	held   map[string]int         // by track: index + 1 of the slice that may still grow
	rings  []uint32               // what the last counter of each vCPU said
	began  map[string]sim.Cycle   // of slices that Begin opened
}

// event is one entry of the trace.
type event struct {
	kind    byte // X = slice, i = instant, C = counter
	track   int
	name    string
	at, end sim.Cycle
	value   uint64 // of a counter
}

// NewTrace makes an empty trace of a VM on a host whose clock has that frequency.
func NewTrace(w Window, hz uint64, vm *kvmcore.VM, name func(*kvmcore.Thread) string) *Trace {
	if w.To == 0 {
		w.To = sim.Never
	}
	if w.Events == 0 {
		w.Events = DefaultEvents
	}
	t := &Trace{Window: w, hz: hz, vm: vm, name: name, vcpus: map[*kvmcore.Thread]int{}, open: map[string][]sim.Cycle{}, held: map[string]int{}, began: map[string]sim.Cycle{}}
	for i, v := range vm.VCPUs {
		t.vcpus[v.Thread] = i
		t.rings = append(t.rings, 0)
	}
	return t
}

// Probe is what feeds the trace.
func (t *Trace) Probe() *kvmcore.Probe {
	return &kvmcore.Probe{
		Spent: func(kt *kvmcore.Thread, in kvmcore.Stack, from, to sim.Cycle, by *[kvmcore.NumCauses]uint64) {
			t.spent(t.name(kt), from, to, by)
		},
		Began: func(kt *kvmcore.Thread, p kvmcore.Path) {
			track := t.name(kt)
			t.open[track] = append(t.open[track], kt.Core.Now)
		},
		Ended: func(kt *kvmcore.Thread, p kvmcore.Path) { t.ended(kt, p) },
		Waited: func(kt *kvmcore.Thread, why string, from, to sim.Cycle) {
			t.grow(t.name(kt), "wait: "+why, from, to)
		},
		Recorded: func(*kvmcore.Thread, mmu.GFN, uint64) {},
	}
}

// spent shows what no path has: the guest, idling, waiting for a lock, userspace;
// of several the one that took most.
func (t *Trace) spent(track string, from, to sim.Cycle, by *[kvmcore.NumCauses]uint64) {
	most := kvmcore.CauseGuest
	for _, c := range []kvmcore.Cause{kvmcore.CauseIdle, kvmcore.CauseLockWait, kvmcore.CauseHarvest, kvmcore.CauseCopy, kvmcore.CauseSave} {
		if by[c] > by[most] {
			most = c
		}
	}
	if by[most] != 0 {
		t.grow(track, most.String(), from, to)
	}
}

// ended closes a slice of a path, and shows what that path was about.
func (t *Trace) ended(kt *kvmcore.Thread, p kvmcore.Path) {
	track, now := t.name(kt), kt.Core.Now
	stack := t.open[track]
	if len(stack) == 0 { // it began before the probe was there
		return
	}
	t.open[track] = stack[:len(stack)-1]
	t.slice(track, p.String(), stack[len(stack)-1], now)
	switch p {
	case kvmcore.PathRun:
		if run := &t.vm.VCPUs[t.vcpus[kt]].Run; run.ExitReason == kvmcore.ExitDirtyRingFull && run.Errno == kvmcore.OK {
			t.Instant(track, "ring full", now)
		}
	case kvmcore.PathMark, kvmcore.PathReset:
		t.occupancy(now)
	}
}

// occupancy shows the entries in use of every ring where they have changed.
func (t *Trace) occupancy(now sim.Cycle) {
	for i, v := range t.vm.VCPUs {
		if used := v.Ring.Used(); used != t.rings[i] {
			t.rings[i] = used
			t.add(event{kind: 'C', name: fmt.Sprintf("ring entries, vCPU %d", i), at: now, value: uint64(used)})
		}
	}
}

// Instant marks a moment on a track.
func (t *Trace) Instant(track, name string, at sim.Cycle) {
	t.add(event{kind: 'i', track: t.track(track), name: name, at: at})
}

// Begin opens a slice on a track that End closes.
func (t *Trace) Begin(track string, at sim.Cycle) { t.began[track] = at }

// End closes the slice that Begin opened.
func (t *Trace) End(track, name string, at sim.Cycle) {
	if from, ok := t.began[track]; ok {
		delete(t.began, track)
		t.slice(track, name, from, at)
	}
}

func (t *Trace) slice(track, name string, from, to sim.Cycle) {
	t.held[track] = 0
	t.add(event{kind: 'X', track: t.track(track), name: name, at: from, end: to})
}

// grow adds a slice, or lengthens the one before if it is of the same name and
// ends where this one begins.
func (t *Trace) grow(track, name string, from, to sim.Cycle) {
	if i := t.held[track]; i != 0 && t.events[i-1].name == name && t.events[i-1].end == from {
		t.events[i-1].end = to
		return
	}
	if t.add(event{kind: 'X', track: t.track(track), name: name, at: from, end: to}) {
		t.held[track] = len(t.events)
	}
}

// add keeps what lies in the window, up to the limit.
func (t *Trace) add(e event) bool {
	if e.at >= t.To || max(e.at, e.end) < t.From {
		return false
	}
	if len(t.events) >= t.Events {
		t.Omitted++
		return false
	}
	t.events = append(t.events, e)
	return true
}

// track is the number of a track, from 1.
func (t *Trace) track(name string) int {
	i := slices.Index(t.tracks, name)
	if i < 0 {
		i, t.tracks = len(t.tracks), append(t.tracks, name)
	}
	return i + 1
}

// Encode returns the file: JSON in Chromium's Trace Event Format. Slices that
// reach over the window's edges are cut there; those still open at cycle end
// reach up to it.
func (t *Trace) Encode(end sim.Cycle) ([]byte, error) {
	var b bytes.Buffer
	note, _ := json.Marshal(t.note(end))
	fmt.Fprintf(&b, `{"displayTimeUnit":"ns","otherData":{"program":"ringmap","clock_hz":"%d","note":%s},"traceEvents":[`, t.hz, note)
	fmt.Fprintf(&b, "\n"+`{"ph":"M","pid":1,"name":"process_name","args":{"name":"simulated host"}}`)
	for i, name := range t.tracks {
		fmt.Fprintf(&b, ",\n"+`{"ph":"M","pid":1,"tid":%d,"name":"thread_name","args":{"name":%q}}`, i+1, name)
		fmt.Fprintf(&b, ",\n"+`{"ph":"M","pid":1,"tid":%d,"name":"thread_sort_index","args":{"sort_index":%d}}`, i+1, i)
	}
	events := slices.Clone(t.events)
	slices.SortStableFunc(events, func(x, y event) int {
		switch {
		case x.at != y.at && x.at < y.at:
			return -1
		case x.at != y.at:
			return 1
		case x.end > y.end: // the outer slice first
			return -1
		case x.end < y.end:
			return 1
		}
		return 0
	})
	for _, e := range events {
		at := max(e.at, t.From)
		switch e.kind {
		case 'X':
			fmt.Fprintf(&b, ",\n"+`{"ph":"X","pid":1,"tid":%d,"name":%q,"ts":%s,"dur":%s}`, e.track, e.name, micros(t.picos(at)), micros(t.picos(min(e.end, t.To))-t.picos(at)))
		case 'i':
			fmt.Fprintf(&b, ",\n"+`{"ph":"i","s":"t","pid":1,"tid":%d,"name":%q,"ts":%s}`, e.track, e.name, micros(t.picos(at)))
		case 'C':
			fmt.Fprintf(&b, ",\n"+`{"ph":"C","pid":1,"name":%q,"ts":%s,"args":{"entries":%d}}`, e.name, micros(t.picos(at)), e.value)
		}
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

// note says what the trace holds.
func (t *Trace) note(end sim.Cycle) string {
	s := fmt.Sprintf("cycles %d to %d of %d", t.From, min(t.To, end), end)
	if t.Omitted != 0 {
		s += fmt.Sprintf("; the limit of %d events was reached, and %d later ones are missing", t.Events, t.Omitted)
	}
	return s
}

// picos is a time in picoseconds. A duration is the difference of two, so that
// slices end where the next ones begin.
func (t *Trace) picos(c sim.Cycle) uint64 {
	hi, lo := bits.Mul64(uint64(c), 1e12)
	if t.hz == 0 || hi >= t.hz {
		return 0
	}
	ps, _ := bits.Div64(hi, lo, t.hz)
	return ps
}

// micros prints picoseconds in microseconds.
func micros(ps uint64) string { return fmt.Sprintf("%d.%06d", ps/1e6, ps%1e6) }
