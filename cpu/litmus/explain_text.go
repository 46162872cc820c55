package litmus

import (
	"fmt"
	"strings"
)

// Text prints the explanation for a terminal.
func (e *Explanation) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\nOutcome: %s\n", e.Test.Name, e.headline(), e.outcomeText())
	thread := -1
	for i := range e.Events {
		ev := &e.Events[i]
		if ev.Thread != thread {
			thread = ev.Thread
			fmt.Fprintf(&b, "\nP%d\n", thread)
		}
		fmt.Fprintf(&b, "  %-3s %-*s  %s\n", letter(i)+":", e.eventWidth(), e.eventText(i), ev.Instr.Text)
	}
	if len(e.Cycle) > 0 {
		fmt.Fprintf(&b, "\n%s\n", e.cycleTitle())
		width := 0
		for _, c := range e.Cycle {
			width = max(width, len(c.Name))
		}
		for _, c := range e.Cycle {
			fmt.Fprintf(&b, "  %s %-*s %s   %s\n", letter(c.From), width+5, "-"+c.Name+"->", letter(c.To), gloss(c.Name))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(e.sentences(), "\n"))
	return b.String()
}

// headline is the answer in a few words.
func (e *Explanation) headline() string {
	switch {
	case e.Rule == NoValue:
		return "forbidden: no execution has these values"
	case !e.Allowed:
		return "forbidden by " + e.Rule.String()
	case e.Rule == SequentialConsistency:
		return "allowed, though not under sequential consistency"
	case e.Order != nil:
		return "allowed, even under sequential consistency"
	}
	return "allowed"
}

func (e *Explanation) outcomeText() string {
	text := e.Test.propText(e.Test.Cond.Prop, True)
	if e.Test.Cond.Quant == ForAll {
		return "not (" + text + ")"
	}
	return text
}

func (e *Explanation) cycleTitle() string {
	switch {
	case e.Allowed:
		return "The cycle that sequential consistency would forbid:"
	case e.Rule == Atomicity:
		return "A write comes between what an atomic update reads and what it writes:"
	}
	return "The cycle that forbids it:"
}

// sentences say what follows from the picture.
func (e *Explanation) sentences() []string {
	var out []string
	switch {
	case e.Rule == NoValue && e.More:
		out = append(out, "None of the executions that were looked at has these values; there are too many to look at all.")
	case e.Rule == NoValue:
		out = append(out, "No write stores what the outcome wants to be read, or none in time.")
	case !e.Allowed && e.Rule == Atomicity:
		out = append(out, "An atomic update must read the write that comes right before its own in coherence order.")
	case !e.Allowed && e.Rule == InternalVisibility:
		out = append(out, "A thread must see its own accesses to one location in program order.")
	case !e.Allowed:
		out = append(out, "Each arrow says that one event comes before the other: each would come before itself.")
	case e.Rule == SequentialConsistency:
		var free []string
		for _, c := range e.Cycle {
			if c.Name == "po" {
				free = append(free, letter(c.From)+" before "+letter(c.To))
			}
		}
		if free != nil {
			out = append(out, "Nothing orders "+strings.Join(free, ", nor ")+" (po alone does not), so the cycle is no contradiction.")
		}
	case len(e.Order) > 0:
		var names []string
		for _, i := range e.Order {
			names = append(names, letter(i))
		}
		out = append(out, "One event at a time: "+strings.Join(names, " ")+".")
	}
	if !e.Allowed && e.Rule != NoValue {
		switch {
		case e.More:
			out = append(out, fmt.Sprintf("Of the first %d executions that would end so this one comes closest; there are more.", e.Candidates))
		case e.Candidates > 1:
			out = append(out, fmt.Sprintf("%d executions would end so; all are forbidden, and this one comes closest.", e.Candidates))
		}
	}
	return append(out, e.Notes...)
}

// letter names an event: a to z, then a1, b1 and so on.
func letter(i int) string {
	s := string(rune('a' + i%26))
	if i >= 26 {
		s += fmt.Sprint(i / 26)
	}
	return s
}

func (e *Explanation) eventWidth() int {
	width := 0
	for i := range e.Events {
		width = max(width, len(e.eventText(i)))
	}
	return width
}

// eventText is `W x=1`, `R[acq] y=0`.
func (e *Explanation) eventText(i int) string {
	ev := &e.Events[i]
	text := "R"
	if ev.Kind == Write {
		text = "W"
	}
	var how []string
	for _, a := range []struct {
		annot Annot
		name  string
	}{{Acquire, "acq"}, {AcquirePC, "acq-pc"}, {Release, "rel"}, {Exclusive, "ex"}, {Atomic, "amo"}} {
		if ev.Annot&a.annot != 0 {
			how = append(how, a.name)
		}
	}
	if how != nil {
		text += "[" + strings.Join(how, ",") + "]"
	}
	v := &e.Test.Vars[ev.Var]
	name, size := v.Name, v.Type.size()
	switch {
	case ev.Size == size && v.Array:
		name += fmt.Sprintf("[%d]", ev.Offset/size)
	case ev.Size != size:
		name += fmt.Sprintf("+%d:%d", ev.Offset, ev.Size)
	}
	typ := v.Type
	if ev.Size != size {
		typ = Type{Size: ev.Size, Unsigned: true}
	}
	return text + " " + name + "=" + e.Test.valueText(typ, ev.Value)
}

// glosses say what a relation means, in the order of a legend.
var glosses = []struct{ name, means string }{
	{"rfe", "reads what another thread wrote"},
	{"rfi", "reads what its own thread wrote"},
	{"fre", "read a value that another thread's write replaces"},
	{"fri", "read a value that an own write replaces"},
	{"coe", "is replaced by another thread's write (coherence order)"},
	{"coi", "is replaced by an own write (coherence order)"},
	{"addr", "the address depends on what was read"},
	{"data", "what is written depends on what was read"},
	{"ctrl", "a branch on what was read comes before the write"},
	{"ctrl;isb", "a branch on what was read, then ISB"},
	{"addr;isb", "an address that depends on what was read, then ISB"},
	{"addr;po", "a write waits until earlier addresses are known"},
	{"pick-addr", "what was read picks the address"},
	{"pick-data", "what was read picks what is written"},
	{"pick-ctrl", "what was read picks what a branch before the write tests"},
	{"pick-ctrl;isb", "what was read picks what a branch tests, then ISB"},
	{"pick", "what was read picks an operand"},
	{"acquire", "a load-acquire comes before all that follows"},
	{"release", "a store-release comes after all that precedes"},
	{"release-acquire", "a store-release comes before a later load-acquire"},
	{"acquire-release", "an atomic that acquires and releases comes before all that follows"},
	{"rmw", "one atomic update"},
	{"atomic", "an atomic instruction keeps its place"},
	{"iico", "parts of one instruction, in order"},
	{"po-loc", "the same location, in program order"},
	{"ppo", "program order, which this model keeps"},
	{"ordered", "kept in order through the events in between"},
	{"po", "program order"},
}

func gloss(name string) string {
	for _, g := range glosses {
		if g.name == name {
			return g.means
		}
	}
	switch {
	case strings.HasPrefix(name, "dmb"), strings.HasPrefix(name, "dsb"):
		return "a barrier between them: " + strings.ToUpper(strings.ReplaceAll(name, ".", " "))
	case strings.Contains(name, ";"):
		return "one after the other"
	}
	return ""
}
