package scenario

import (
	"errors"
	"math"
	"strings"

	"ringmap/cpu/cache"
	"ringmap/kvmcore"
)

// CPU is the cores, and what lies between them and the bytes of memory.
type CPU struct {
	Model  Name  `key:"model"`
	Switch Name  `key:"switch"`
	L1I    Cache `key:"l1i"`
	L1D    Cache `key:"l1d"`
	L2     Cache `key:"l2"`
	SLC    Cache `key:"slc"`
	Mesh   Time  `key:"mesh"`
	Snoop  Time  `key:"snoop"`
	MSHRs  Count `key:"mshrs"`
	Stores Count `key:"stores"`
	Stream Time  `key:"stream"`
	DRAM   DRAM  `key:"dram"`
}

// Cache is one level.
type Cache struct {
	Size    Size  `key:"size"`
	Ways    Count `key:"ways"`
	Latency Time  `key:"latency"`
}

// DRAM is the memory behind the caches.
type DRAM struct {
	Channels   Count `key:"channels"`
	Banks      Count `key:"banks"`
	Row        Size  `key:"row"`
	Controller Time  `key:"controller"`
	Precharge  Time  `key:"precharge"`
	Activate   Time  `key:"activate"`
	CAS        Time  `key:"cas"`
	Burst      Time  `key:"burst"`
}

// The core models.
const (
	modelAtomic  = "atomic"
	modelInOrder = "inorder"
)

var models = []string{modelAtomic, modelInOrder}

// defaultCPU is the reference host's: cache.NeoverseN1.
func defaultCPU() CPU {
	n := &cache.NeoverseN1
	level := func(l cache.Level) Cache { return Cache{Size(l.Size), Count(l.Ways), cyc(l.Latency)} }
	return CPU{
		Model: modelAtomic, Switch: "start",
		L1I: level(n.L1I), L1D: level(n.L1D), L2: level(n.L2), SLC: level(n.SLC),
		Mesh: cyc(n.Mesh), Snoop: cyc(n.Snoop), Stream: cyc(n.Stream),
		MSHRs: Count(n.MSHRs), Stores: Count(n.Stores),
		DRAM: DRAM{
			Channels: Count(n.DRAM.Channels), Banks: Count(n.DRAM.Banks), Row: Size(n.DRAM.Row),
			Controller: cyc(n.DRAM.Controller), Precharge: cyc(n.DRAM.Precharge), Activate: cyc(n.DRAM.Activate),
			CAS: cyc(n.DRAM.CAS), Burst: cyc(n.DRAM.Burst),
		},
	}
}

func cyc(n uint32) Time { return Time{Cycles: uint64(n)} }

// planCPU checks the core model and its caches. They are checked in model atomic
// too, which does without them.
func (s *Scenario) planCPU(p *Plan, _ *Trace) error {
	c := &s.CPU
	if c.Model != modelAtomic && c.Model != modelInOrder {
		return s.Problem("cpu.model", DidYouMean(string(c.Model), models), "there is no core model %q", c.Model)
	}
	spec := s.cacheSpec(p.Clock)
	if err := spec.Validate(); err != nil {
		var e *cache.SpecError
		if errors.As(err, &e) {
			return s.Problem("cpu."+e.Key, e.Fix, "%s", e.Text)
		}
		return s.Problem("cpu", "", "%v", err)
	}
	var err error
	if p.Switch, err = s.planSwitch(p); err != nil || c.Model == modelAtomic {
		return err
	}
	p.Caches = &spec
	return nil
}

// planSwitch reads when a program leaves the atomic model.
func (s *Scenario) planSwitch(p *Plan) (at kvmcore.Switch, err error) {
	const key, fix = "cpu.switch", "write start, hint, a number of instructions such as 2000000instr, or a time such as 3ms"
	switch text := string(s.CPU.Switch); {
	case text == "start":
		return at, nil
	case s.CPU.Model == modelAtomic:
		return at, s.Problem(key, "set cpu.model: inorder, or leave cpu.switch out", "there is no other model to switch to")
	case !s.HasProgram():
		return at, s.Problem(key, "leave it out", "only a program (workload.elf, workload.raw, workload.image) can be executed fast first")
	case text == "hint":
		at.Hint = true
	case strings.HasSuffix(text, "instr"):
		var n Count
		if err := n.parse(strings.TrimSuffix(text, "instr")); err != nil || n == 0 {
			return at, s.Problem(key, fix, "%q is not when to switch", text)
		}
		at.Instructions = uint64(n)
	default:
		t, err := ParseTime(text)
		if err != nil {
			return at, s.Problem(key, fix, "%q is not when to switch", text)
		}
		if at.Cycle, err = s.cycles(p, key, t); err != nil {
			return at, err
		}
		if at.Cycle == 0 {
			return at, s.Problem(key, "write start", "cycle 0 is the start")
		}
	}
	return at, nil
}

// cacheSpec is the hierarchy in cycles of the host clock. What does not fit its
// type becomes what Validate refuses.
func (s *Scenario) cacheSpec(clock Freq) cache.Spec {
	c := &s.CPU
	cycles := func(t Time) uint32 { return uint32(min(uint64(t.In(clock)), math.MaxUint32)) }
	number := func(n Count) int { return int(min(n, math.MaxInt32)) }
	level := func(l Cache) cache.Level {
		return cache.Level{Size: uint64(l.Size), Ways: number(l.Ways), Latency: cycles(l.Latency)}
	}
	return cache.Spec{
		L1I: level(c.L1I), L1D: level(c.L1D), L2: level(c.L2), SLC: level(c.SLC),
		Mesh: cycles(c.Mesh), Snoop: cycles(c.Snoop), Stream: cycles(c.Stream),
		MSHRs: number(c.MSHRs), Stores: number(c.Stores),
		DRAM: cache.DRAM{
			Channels: number(c.DRAM.Channels), Banks: number(c.DRAM.Banks), Row: uint64(c.DRAM.Row),
			Controller: cycles(c.DRAM.Controller), Precharge: cycles(c.DRAM.Precharge), Activate: cycles(c.DRAM.Activate),
			CAS: cycles(c.DRAM.CAS), Burst: cycles(c.DRAM.Burst),
		},
	}
}

// CacheFigures says of each number of the caches what it is and where it is from:
// a default with its source, or what the scenario says.
func (s *Scenario) CacheFigures() (list []kvmcore.Figure) {
	effective, defaults := map[string]string{}, DefaultTexts()
	for _, kv := range s.Effective(&Plan{}) {
		effective[kv.Key] = kv.Value
	}
	for _, f := range cache.Figures {
		key := "cpu." + f.Key
		fig := kvmcore.Figure{Name: key + " = " + effective[key], Kind: f.Kind, Source: f.Source}
		if effective[key] != defaults[key] {
			fig.Kind, fig.Source = "assumed", "set by the scenario"
		}
		list = append(list, fig)
	}
	return list
}

// idleCaches is the first key of the caches that was changed though model atomic
// does without them, "" if there is none.
func (s *Scenario) idleCaches() string {
	if s.CPU.Model != modelAtomic {
		return ""
	}
	defaults := DefaultTexts()
	for _, kv := range s.Effective(&Plan{}) {
		if len(kv.Key) > 4 && kv.Key[:4] == "cpu." && kv.Value != defaults[kv.Key] {
			return kv.Key
		}
	}
	return ""
}
