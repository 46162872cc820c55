package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/workloads"
)

// defaultAccesses ends a pattern that says neither how long it is nor how long
// the run is.
const defaultAccesses = "200000"

// HasTrace tells whether the scenario replays a trace.
func (s *Scenario) HasTrace() bool { return s.Workload.Trace != "" }

// HasProgram tells whether the guest executes machine code.
func (s *Scenario) HasProgram() bool { return s.Workload.ELF != "" || s.Workload.Raw != "" }

// planProgram checks that nothing but a program is asked for.
func (s *Scenario) planProgram(p *Plan) error {
	w := &s.Workload
	key := "workload.elf"
	if w.ELF == "" {
		key = "workload.raw"
	}
	switch {
	case w.ELF != "" && w.Raw != "":
		return s.Problem("workload.raw", "keep one of them", "a guest runs one program: workload.elf or workload.raw")
	case s.HasTrace():
		return s.Problem("workload.trace", "keep one of them", "a guest runs a trace or a program, not both")
	case s.sameOrigin("workload.pattern", key):
		return s.Problem("workload.pattern", "keep one of them", "a guest runs a pattern or a program, not both")
	case !w.Memory.Auto:
		return s.Problem("workload.memory", "remove it", "a program says itself which pages it touches")
	}
	for _, name := range sortedKeys(w.Params) {
		return s.Problem("workload."+name, "remove it", "a program has no parameters")
	}
	w.Pattern = ""
	return s.planInput(p)
}

// planInput reads when what is typed at the console arrives.
func (s *Scenario) planInput(p *Plan) error {
	const key, fix = "workload.input_at", "write start, migrated, or a time such as 3ms"
	at := string(s.Workload.InputAt)
	if at != inputAtStart && s.Workload.Input == "" {
		return s.Problem(key, "give the file in workload.input", "nothing is typed")
	}
	switch at {
	case inputAtStart:
		return nil
	case inputMigrated:
		p.Input.Migrated = true
		if !s.Migrates() && !s.Checkpoints() {
			return s.Problem(key, "write start, a time, or migrate.start", "the VM is not migrated, so nothing would be typed")
		}
		return nil
	}
	t, err := ParseTime(at)
	if err != nil {
		return s.Problem(key, fix, "%q is not when to type", at)
	}
	p.Input.At, err = s.cycles(p, key, t)
	return err
}

// When input begins, besides at a time.
const (
	inputAtStart  = "start"
	inputMigrated = "migrated"
)

// planWorkload checks the pattern or the trace's parameters and turns their
// units into those of package workloads.
func (s *Scenario) planWorkload(p *Plan, _ *Trace) error {
	w := &s.Workload
	if s.HasProgram() {
		p.Program = true
		return s.planProgram(p)
	}
	for _, boot := range []struct {
		key  string
		text Text
	}{{"workload.append", w.Append}, {"workload.initrd", w.Initrd}, {"workload.input", w.Input}} {
		if boot.text != "" {
			return s.Problem(boot.key, "remove it", "only a program (workload.elf, workload.raw) is booted with it")
		}
	}
	if w.InputAt != inputAtStart {
		return s.Problem("workload.input_at", "remove it", "only a program (workload.elf, workload.raw) has a console")
	}
	if s.Run.MaxInstructions != 0 {
		return s.Problem("run.max_instructions", "remove it", "only a program (workload.elf, workload.raw) has a limit on its instructions")
	}
	if s.HasTrace() {
		if s.sameOrigin("workload.pattern", "workload.trace") {
			return s.Problem("workload.pattern", "keep one of them", "a guest runs a pattern or a trace, not both")
		}
		w.Pattern = ""
		if !w.Memory.Auto {
			return s.Problem("workload.memory", "remove it", "a trace says itself which pages it touches")
		}
		var err error
		p.Trace.CPI, err = s.traceParams(p)
		return err
	}
	info, ok := patternInfo(string(w.Pattern))
	if !ok {
		return s.Problem("workload.pattern", DidYouMean(string(w.Pattern), patternNames()), "there is no pattern %q", w.Pattern)
	}
	spec := workloads.PatternSpec{Pattern: info.Name, Page: p.Page, Base: mmu.IPA(p.Slots[0].Base), Size: p.Slots[0].Size, Params: map[string]string{}}
	for _, name := range sortedKeys(w.Params) {
		param, ok := paramOf(info, name)
		if !ok {
			return s.unknownParam(info, name)
		}
		text, err := s.paramText(p, "workload."+name, param, string(w.Params[name]))
		if err != nil {
			return err
		}
		spec.Params[name] = text
	}
	if _, given := spec.Params["accesses"]; !given && p.Until == 0 {
		spec.Params["accesses"] = defaultAccesses
	}
	spec.Size -= min(spec.Size, p.Reserved)
	if !w.Memory.Auto {
		if n := uint64(w.Memory.N); n == 0 || n > spec.Size || n%p.Page.Size() != 0 {
			return s.Problem("workload.memory", "write auto, or whole pages that fit", "the pattern cannot work in %s of %s", w.Memory, Size(spec.Size))
		}
		spec.Size = uint64(w.Memory.N)
	}
	if err := spec.Validate(p.VCPUs); err != nil {
		return s.paramProblem(err)
	}
	if p.Until == 0 && spec.Params["accesses"] == "0" {
		return s.Problem("workload.accesses", "write how many accesses each vCPU makes, or a time in run.until", "an endless pattern is never done")
	}
	p.Pattern = spec
	return nil
}

// traceParams reads the only parameter of a trace.
func (s *Scenario) traceParams(p *Plan) (workloads.CPI, error) {
	cpi := workloads.CPI(1000)
	for _, name := range sortedKeys(s.Workload.Params) {
		if name != "cpi" {
			info, _ := patternInfo(patternNames()[0])
			if _, known := anyParam(name); known {
				return 0, s.Problem("workload."+name, "remove it", "this is a parameter of patterns, and a trace has only cpi")
			}
			return 0, s.unknownParam(info, name)
		}
		v, err := workloads.ParseCPI(string(s.Workload.Params[name]))
		if err != nil {
			return 0, s.paramProblem(err)
		}
		cpi = v
	}
	return cpi, nil
}

// paramText turns a value with its unit into the plain number that workloads
// takes; what has a unit must be written with one.
func (s *Scenario) paramText(p *Plan, key string, param workloads.Param, text string) (string, error) {
	switch {
	case len(param.Choices) > 0:
		return strings.TrimSuffix(text, "B"), nil
	case param.Unit == "cycles":
		var t Time
		if err := t.parse(text); err != nil {
			var w wrong
			errors.As(err, &w)
			return "", s.Problem(key, w.fix, "%s", w.text)
		}
		c, err := s.cycles(p, key, t)
		return fmt.Sprint(uint64(c)), err
	case param.Unit == "%":
		if !strings.HasSuffix(text, "%") {
			return "", s.Problem(key, fmt.Sprintf("write %s%%", text), "%q has no unit, and a share needs one", text)
		}
		return strings.TrimSuffix(text, "%"), nil
	case param.Unit == "bytes":
		var n Size
		if err := n.parse(text); err != nil {
			var w wrong
			errors.As(err, &w)
			return "", s.Problem(key, w.fix, "%s", w.text)
		}
		return fmt.Sprint(uint64(n)), nil
	}
	return strings.ReplaceAll(text, "_", ""), nil
}

// paramProblem places an error of package workloads at the parameter to blame.
func (s *Scenario) paramProblem(err error) error {
	var pe *workloads.ParamError
	if errors.As(err, &pe) {
		return s.Problem("workload."+pe.Param, "", "%s", pe.Why)
	}
	return s.Problem("workload.pattern", "", "%s", strings.TrimPrefix(err.Error(), "workloads: "))
}

func (s *Scenario) unknownParam(info workloads.Info, name string) error {
	known := []string{"pattern", "trace", "elf", "raw", "memory"}
	for _, p := range append(slices.Clone(info.Params), workloads.CommonParams()...) {
		known = append(known, p.Name)
	}
	if Nearest(name, known) == "" {
		if where, ok := anyParam(name); ok {
			return s.Problem("workload."+name, "remove it, or use that pattern", "pattern %s has no such parameter; pattern %s has", info.Name, where)
		}
	}
	return s.Problem("workload."+name, DidYouMean(name, known), "unknown key %q in workload", name)
}

// anyParam tells which pattern has a parameter of that name.
func anyParam(name string) (pattern string, ok bool) {
	for _, info := range workloads.Patterns() {
		if _, ok := paramOf(info, name); ok {
			return info.Name, true
		}
	}
	return "", false
}

func paramOf(info workloads.Info, name string) (workloads.Param, bool) {
	for _, p := range append(slices.Clone(info.Params), workloads.CommonParams()...) {
		if p.Name == name {
			return p, true
		}
	}
	return workloads.Param{}, false
}

func patternInfo(name string) (workloads.Info, bool) {
	for _, info := range workloads.Patterns() {
		if info.Name == name {
			return info, true
		}
	}
	return workloads.Info{}, false
}

func patternNames() []string {
	var names []string
	for _, info := range workloads.Patterns() {
		names = append(names, info.Name)
	}
	return names
}

// warn notes what is possible and probably not meant.
func (s *Scenario) warn(p *Plan, t *Trace) {
	say := func(format string, args ...any) { p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...)) }
	if t != nil && t.Window != 0 && p.Interval != 0 {
		if w := t.Window * uint64(p.Trace.CPI) / 1000; uint64(p.Interval) < w {
			say("vmm.interval of %d cycles is shorter than the trace's window of %d: a page that stays hot is in the trace once a window, so rewrites are under-reported", p.Interval, w)
		}
	}
	if key := s.idleCaches(); key != "" {
		say("%s has no effect in core model atomic: write cpu.model: inorder", key)
	}
	if s.Given("tracking.ring") && !p.Track.UsesRing() {
		say("tracking.ring has no effect in mode %s", s.Tracking.Mode)
	}
	if p.Manual&2 != 0 && p.Track.UsesRing() {
		say("manual_protect: initially-set with a ring leaves the slots unprotected when logging starts: pages that are writable by then are not recorded (QEMU refuses this)")
	}
	if p.Track == vmm.TrackRing && s.ITS.Devices > 0 {
		say("mode ring with an ITS: what the ITS writes without a vCPU is not recorded anywhere")
	}
	if p.Track == vmm.TrackRing && slices.ContainsFunc(p.Slots, func(s PlanSlot) bool { return s.Backing != 0 }) {
		say("mode ring with huge pages: one write re-opens a whole block and records only its first page")
	}
	if p.Until != 0 && p.Interval > p.Until {
		say("vmm.interval is longer than the run: the only collection is the last one")
	}
	if p.Quantum > p.Clock.cyclesIn(1e9) { // 1 ms
		say("host.quantum of %d cycles is longer than a millisecond: locks and full rings are seen late", p.Quantum)
	}
	if s.Given("tracking.eager_split") && p.Split != 0 && p.Split <= p.Page.Size() {
		say("tracking.eager_split of one page splits nothing")
	}
}
