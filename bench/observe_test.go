package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"ringmap/bench/scenario"
)

// observed has everything that views show: full rings, waits, an ITS with saves.
const observed = `
vm:       {vcpus: 3, memory: 64MiB}
tracking: {mode: ring+bitmap, ring: 256, stolen_time: on}
workload: {pattern: uniform, region: shared, accesses: 4000}
its:      {devices: 4, events: 4, msi_rate: 100000, save: 1ms}
vmm:      {harvest: on-full-all, interval: 500us}
`

func runText(t *testing.T, text string, o Options, sets ...string) *Result {
	t.Helper()
	s, err := scenario.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		if err := s.Set("--set "+set, set); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Run(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func recordOf(t *testing.T, r *Result) string {
	t.Helper()
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestObservingChangesNothing: a watched run gives the same record, and the views
// are the same bytes each time.
func TestObservingChangesNothing(t *testing.T) {
	for _, mode := range scenario.Modes() {
		short := "workload.accesses=1500"
		watch := Options{Profile: true, Window: &Window{}}
		plain := runText(t, observed, Options{}, short, "tracking.mode="+mode)
		first := runText(t, observed, watch, short, "tracking.mode="+mode)
		if d := cmp.Diff(recordOf(t, plain), recordOf(t, first)); d != "" {
			t.Errorf("%s: watching changes the record:\n%s", mode, d)
		}
		if mode != "ring+bitmap" {
			continue
		}
		again := runText(t, observed, watch, short)
		if !bytes.Equal(first.Profile, again.Profile) || !bytes.Equal(first.Trace, again.Trace) {
			t.Errorf("%s: two runs give different views", mode)
		}
	}
}

// TestProfileAddsUp: the profile accounts for every cycle of the record, thread by
// thread and cause by cause, on the stacks where they belong.
func TestProfileAddsUp(t *testing.T) {
	r := runText(t, observed, Options{Profile: true})
	p, err := profile.ParseData(r.Profile)
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]int64{}, map[string]int64{}
	stacks := map[string]bool{}
	for _, s := range p.Sample {
		thread, cause := s.Label["thread"][0], s.Label["cause"][0]
		got[thread+" "+cause] += s.Value[0]
		if ns := s.Value[0] / 3; s.Value[1] != ns {
			t.Errorf("%d cycles at 3 GHz are %d ns, not %d", s.Value[0], ns, s.Value[1])
		}
		var names []string
		for _, l := range slices.Backward(s.Location) {
			names = append(names, l.Line[0].Function.Name)
		}
		if names[0] != thread || names[len(names)-1] != "["+cause+"]" {
			t.Errorf("the stack %v is labelled %s, %s", names, thread, cause)
		}
		stacks[strings.Join(names, ";")] = true
	}
	for _, thread := range r.Threads {
		for _, c := range thread.Causes {
			want[thread.Name+" "+c.Cause] += int64(c.Cycles)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-record +profile):\n%s", d)
	}
	for _, stack := range []string{
		"vcpu.0;kvm_arch_vcpu_ioctl_run;[guest]",
		"vcpu.0;kvm_arch_vcpu_ioctl_run;kvm_handle_guest_abort;[fault]",
		"vcpu.0;kvm_arch_vcpu_ioctl_run;kvm_handle_guest_abort;mark_page_dirty_in_slot;[mark]",
		"vcpu.0;kvm_arch_vcpu_ioctl_run;kvm_update_stolen_time;[steal]",
		"vmm;kvm_vm_ioctl_reset_dirty_pages;kvm_arch_mmu_enable_log_dirty_pt_masked;[reset]",
		"vmm;mark_page_dirty_in_slot;[mark]", "vmm;[save]", "vmm;[copy]", "vcpu.0;[wait_paused]", "devices;[save]",
	} {
		if !stacks[stack] {
			t.Errorf("no sample of %s", stack)
		}
	}
}

// traceEvent is an entry of the Trace Event Format.
type traceEvent struct {
	Ph   string
	Name string
	Pid  int
	Tid  int
	Ts   json.Number
	Dur  json.Number
	S    string
	Args map[string]any
}

// TestTrace holds the file against the format: every event has what its phase
// needs, slices of a track nest, all lies in the window.
func TestTrace(t *testing.T) {
	at := func(us uint64) scenario.Time { return scenario.Time{Picos: us * 1e6} }
	for name, w := range map[string]*Window{"all": {}, "window": {From: at(700), To: at(1700)}, "limit": {Events: 500}} {
		if name == "all" && os.Getenv("RINGMAP_LONG") == "" {
			continue // hundreds of thousands of events; RINGMAP_LONG=1 checks them too
		}
		r := runText(t, observed, Options{Window: w})
		var file struct {
			TraceEvents []traceEvent
			OtherData   map[string]string
		}
		if err := json.Unmarshal(r.Trace, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tracks, count := map[int]string{}, map[string]int{}
		open := map[int][]uint64{} // ends of the slices around, in picoseconds
		last := uint64(0)
		for _, e := range file.TraceEvents {
			if e.Ph == "M" {
				if e.Name == "thread_name" {
					tracks[e.Tid] = e.Args["name"].(string)
				}
				continue
			}
			ts, dur := picos(t, e.Ts), uint64(0)
			count[e.Ph+" "+tracks[e.Tid]+" "+e.Name]++
			if ts < last {
				t.Fatalf("%s: %s at %s is earlier than the event before", name, e.Name, e.Ts)
			}
			last = ts
			switch e.Ph {
			case "X":
				dur = picos(t, e.Dur)
				stack := open[e.Tid]
				for len(stack) > 0 && stack[len(stack)-1] <= ts {
					stack = stack[:len(stack)-1]
				}
				if len(stack) > 0 && ts+dur > stack[len(stack)-1] {
					t.Fatalf("%s: %s on %s at %s overlaps the slice around it", name, e.Name, tracks[e.Tid], e.Ts)
				}
				open[e.Tid] = append(stack, ts+dur)
			case "C":
				if n := e.Args["entries"].(float64); n < 0 || n > 256 {
					t.Errorf("%s: %v ring entries", name, n)
				}
			case "i":
				if e.S != "t" {
					t.Errorf("%s: an instant of scope %q", name, e.S)
				}
			default:
				t.Fatalf("%s: phase %q", name, e.Ph)
			}
			if e.Ph != "C" && tracks[e.Tid] == "" {
				t.Errorf("%s: track %d has no name", name, e.Tid)
			}
			if to := w.To.Picos; ts < w.From.Picos || to != 0 && ts+dur > to {
				t.Errorf("%s: %s from %d to %d is outside of the window", name, e.Name, ts, ts+dur)
			}
		}
		if name == "limit" {
			if n := len(file.TraceEvents) - 2*len(tracks) - 1; n != 500 || r.TraceOmitted == 0 || !strings.Contains(file.OtherData["note"], "the limit of 500 events was reached, and ") {
				t.Errorf("%d events, %d omitted, note %q", n, r.TraceOmitted, file.OtherData["note"])
			}
			continue
		}
		for _, want := range []string{
			"X vcpu.0 guest", "X vcpu.1 kvm_arch_vcpu_ioctl_run", "X vcpu.2 kvm_handle_guest_abort", "X vcpu.0 mark_page_dirty_in_slot",
			"X vmm kvm_vm_ioctl_reset_dirty_pages", "X collections collection", "X saves table save", "X vmm copy", "X vmm wait: sleep", "C  ring entries, vCPU 2",
		} {
			if count[want] == 0 {
				t.Errorf("%s: no event %q", name, want)
			}
		}
		if name == "all" {
			if got, want := count["i vcpu.0 ring full"]+count["i vcpu.1 ring full"]+count["i vcpu.2 ring full"], int(r.Stat("ring.full_exits")); got != want || want == 0 {
				t.Errorf("%d instants of a full ring, %d exits", got, want)
			}
			if got, want := count["X saves table save"], int(r.Stat("vmm.saves")); got != want {
				t.Errorf("%d saves shown, %d made", got, want)
			}
		}
	}
}

// picos reads microseconds with six decimals exactly.
func picos(t *testing.T, n json.Number) uint64 {
	t.Helper()
	var us, ps uint64
	if _, err := fmt.Sscanf(n.String(), "%d.%06d", &us, &ps); err != nil {
		t.Fatalf("%q is no time: %v", n, err)
	}
	return us*1e6 + ps
}

// TestEmptyWindow: a window that ends before it begins is refused.
func TestEmptyWindow(t *testing.T) {
	s, err := scenario.Parse("test.yaml", []byte(observed))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(s, Options{Window: &Window{From: scenario.Time{Picos: 2e9}, To: scenario.Time{Picos: 1e9}}})
	if err == nil || err.Error() != "the window 2ms..1ms is empty: its end must come after its start" {
		t.Errorf("%v", err)
	}
}
