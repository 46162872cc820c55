package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"

	"ringmap/kvmcore"
	"ringmap/sim"
	"ringmap/workloads"
)

// KV is one line of the effective configuration.
type KV struct {
	Key, Value string
	Number     bool // a plain number
}

// Default is the scenario that an empty file describes.
func Default() *Scenario {
	return &Scenario{
		Name:   "unnamed",
		Seed:   1,
		Kernel: "7.2",
		Host: Host{Page: 4 << 10, Clock: OptFreq{Auto: true}, Profile: "n1", Quantum: Time{Cycles: 10_000},
			MMULock: "auto", RelaxTLBI: "auto", Reset: "auto",
			Cores: OptCount{Auto: true}, Pinned: true, Timeslice: Time{Picos: 3_000_000_000}},
		CPU: defaultCPU(),
		VM:  VM{VCPUs: OptCount{Auto: true}, Memory: OptSize{Auto: true}, Base: 0x40000000, IPABits: OptCount{Auto: true}, Backing: "4k", Populated: true},
		Tracking: Tracking{Mode: ringWithBitmap, Ring: 4096, ManualProtect: "off",
			RingSizes: "power-of-two", RingMax: OptCount{Auto: true}, Reserve: kvmcore.RingReservedEntries, Layout: "in-entry", Entry: "page",
			Huge: "split", Overflow: "soft", VMRing: OptCount{Auto: true}, Kick: auto, Detect: auto},
		Workload: Workload{Pattern: "zipf", InputAt: inputAtStart, Memory: OptSize{Auto: true}},
		ITS:      ITS{Events: 16, MSIRate: 10_000, Every: Time{Picos: 10e9}, Save: Saves{End: true}},
		Outside:  Outside{Memory: OptSize{Auto: true}, Pattern: "sequential", Bytes: 8},
		VMM:      VMM{Harvest: "on-full-all", Interval: OptTime{Auto: true}, Clear: "get", Collect: "last", Mistake: "none"},
		Checkpoint: Checkpoint{Epoch: Time{Never: true}, Mode: "remus", FailAt: Time{Never: true}, Detect: Time{Picos: 50e9},
			Link: Link{Bandwidth: 10e9 / 8, Latency: Time{Picos: 50e6}, Header: 8, Buffer: 4 << 20}},
		Migrate: Migrate{Start: Time{Never: true}, Bandwidth: 128 << 20, Downtime: Time{Picos: 300e9}, ZeroPages: "send", RunOn: Until{Done: true}, Fail: "none",
			Link:     Link{Bandwidth: 10e9 / 8, Latency: Time{Picos: 50e6}, Header: 8, Buffer: 4 << 20},
			Throttle: Throttling{Kind: "none", Trigger: 50, Initial: 20, Increment: 10, Max: 99, Limit: 1 << 20, Period: Time{Picos: 1e12}}},
		Run:   Run{Series: Time{Never: true}, Until: Until{Done: true}},
		Audit: Audit{List: 64, OnLoss: "report"},
		dir:   ".",
		where: map[string]Pos{},
	}
}

// Effective lists every key with the value in effect, defaults included.
func (s *Scenario) Effective(p *Plan) []KV {
	var list []KV
	effective(reflect.ValueOf(s).Elem(), "", &list, p)
	return list
}

func effective(v reflect.Value, path string, list *[]KV, p *Plan) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("key")
		if key == "" {
			continue
		}
		field := v.Field(i)
		if key == restKey {
			p.params(path, list)
			continue
		}
		*list = append(*list, flatten(field, join(path, key), p)...)
	}
}

func flatten(v reflect.Value, path string, p *Plan) (list []KV) {
	if val, ok := v.Addr().Interface().(value); ok {
		_, count := val.(*Count)
		return []KV{{path, val.String(), count}}
	}
	switch v.Kind() {
	case reflect.Struct:
		effective(v, path, &list, p)
	case reflect.Slice:
		for i := range v.Len() {
			list = append(list, flatten(v.Index(i), join(path, strconv.Itoa(i)), p)...)
		}
	case reflect.Map:
		for _, k := range sortedKeys(v.Interface().(map[string]Name)) {
			list = append(list, KV{join(path, k), v.MapIndex(reflect.ValueOf(k)).String(), false})
		}
	}
	return list
}

// params lists the parameters of the pattern or trace in effect.
func (p *Plan) params(path string, list *[]KV) {
	switch {
	case p.Pattern.Pattern == "" && p.Trace.CPI == 0: // not planned yet, or a program
		return
	case p.Pattern.Pattern == "":
		*list = append(*list, KV{join(path, "cpi"), p.Trace.CPI.String(), false})
		return
	}
	for _, set := range p.Pattern.Effective() {
		*list = append(*list, KV{join(path, set.Name), withUnit(set), false})
	}
}

// withUnit is a parameter's value as it is written in a scenario.
func withUnit(set workloads.Setting) string {
	switch set.Unit {
	case "%":
		return set.Value + "%"
	case "cycles":
		return set.Value + "cyc"
	case "bytes":
		return set.Value + "B"
	}
	return set.Value
}

// Derived lists what follows from the configuration, in the machine's units.
func (p *Plan) Derived() []KV {
	n := func(key string, v uint64) KV { return KV{key, strconv.FormatUint(v, 10), true} }
	list := []KV{
		n("clock_hz", uint64(p.Clock)),
		n("quantum_cycles", uint64(p.Quantum)),
		n("host_cores", uint64(p.CPUs.Cores)),
		n("vcpus", uint64(p.VCPUs)),
		n("memory_bytes", p.Memory),
		n("memory_pages", p.Memory/p.Page.Size()),
		n("slots", uint64(len(p.Slots))),
		n("ipa_bits", uint64(p.IPABits)),
		n("ring_entries", p.RingSize),
		n("ring_bytes", p.RingBytes),
		n("ring_soft_limit", p.SoftLimit),
		n("rings_bytes", p.RingBytes*uint64(p.VCPUs)),
		n("ring_max", p.RingMax),
		n("vm_ring_entries", uint64(p.Design.VMRingEntries)),
		{"kick", p.kick(), false},
		{"detect", p.detect(), false},
		n("bitmap_bytes", p.bitmapBytes()),
		n("interval_cycles", uint64(p.Interval)),
	}
	if p.Until != 0 {
		list = append(list, n("run_cycles", uint64(p.Until)))
	}
	if p.SaveEvery != 0 {
		list = append(list, n("its_save_cycles", uint64(p.SaveEvery)))
	}
	return list
}

// bitmapBytes is what the memslots' bitmaps take: two halves each.
// kvm_alloc_dirty_bitmap.
func (p *Plan) bitmapBytes() (sum uint64) {
	if !p.Track.HasBitmap() && !p.Design.NeedsBitmap() {
		return 0
	}
	for _, s := range p.Slots {
		sum += 2 * ((s.Size/p.Page.Size() + 63) / 64) * 8
	}
	return sum
}

// DefaultTexts are the defaults of all keys as they are written.
func DefaultTexts() map[string]string {
	texts := map[string]string{}
	s := Default()
	for _, kv := range s.Effective(&Plan{}) {
		texts[kv.Key] = kv.Value
	}
	return texts
}

// cyclesIn is a span of picoseconds in cycles of the clock.
func (f Freq) cyclesIn(picos uint64) sim.Cycle { return Time{Picos: picos}.In(f) }

// Hash identifies the run: the effective scenario and the contents of its trace.
func Hash(effective []KV, trace string) string {
	h := sha256.New()
	for _, kv := range effective {
		switch kv.Key {
		case "workload.trace", "workload.elf", "workload.raw", "workload.initrd", "workload.input": // its contents count, not where it lies
			continue
		}
		fmt.Fprintf(h, "%s=%q\n", kv.Key, kv.Value)
	}
	fmt.Fprintf(h, "trace=%s\n", trace)
	return hex.EncodeToString(h.Sum(nil))[:32]
}
