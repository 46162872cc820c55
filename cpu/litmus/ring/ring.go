// Package ring writes the protocol of KVM's dirty ring as litmus tests, with
// each of its barriers present or dropped.
//
//	vCPU (push)             VMM (harvest)           kernel (reset)
//	slot, offset            flags == 1?             flags & 2?
//	── push barrier ──      ── harvest acquire ──   ── reset acquire ──
//	flags = 1               slot, offset            slot, offset
//	                        ── harvest release ──   ── reset release ──
//	                        flags = 2               flags = 0
//	                                                ── index release ──
//	                                                reset_index++
//
// An entry belongs to the vCPU while its flags are 0, to the VMM while they are
// 1, to the kernel's reset while they are 2 (Documentation/virt/kvm/api.rst,
// KVM_CAP_DIRTY_LOG_RING_ACQ_REL; virt/kvm/dirty_ring.c). Who pushes looks at
// reset_index, not at the flags: an entry is used again as soon as the index
// says so.
package ring

import (
	"fmt"
	"slices"
	"strings"
)

// Barrier is a place where the protocol orders two accesses.
type Barrier struct {
	Name string // "push barrier"
	Code string // how the kernel or the VMM writes it
}

// Barriers of the protocol, in the order in which an entry meets them.
var Barriers = []Barrier{
	{"push barrier", "smp_wmb() between slot, offset and flags = 1"},
	{"harvest acquire", "load-acquire of the flags by the VMM"},
	{"harvest release", "store-release of flags = 2 by the VMM"},
	{"reset acquire", "smp_load_acquire() of the flags by the reset"},
	{"reset release", "smp_store_release() of flags = 0 by the reset"},
	{"index release", "reset_index is seen to grow only after flags = 0"},
}

// Outcome is something that must not happen.
type Outcome struct {
	Name string
	Prop string // of litmus conditions
	What string // follows for the guest's migration
}

// Scenario is a piece of the protocol: threads that share entries of a ring.
type Scenario struct {
	Name     string
	Text     string // what happens
	Vars     string // initial values of shared memory
	Threads  []thread
	Outcomes []Outcome
}

// thread is code in which some lines depend on a barrier.
type thread struct {
	regs string // initial values
	code []line
}

// line is an instruction: with its barrier, and without ("" for none).
type line struct{ with, without, barrier string }

func plain(code ...string) (lines []line) {
	for _, c := range code {
		lines = append(lines, line{with: c})
	}
	return lines
}

func join(parts ...[]line) []line { return slices.Concat(parts...) }

// push stores slot and offset through two registers, then the flags.
func push(slot, offset, flags string, value int) []line {
	return join(
		plain(fmt.Sprintf("MOV W20,#%d", value), "STR W20,["+slot+"]", "STR W20,["+offset+"]"),
		[]line{{"DMB ISHST", "", "push barrier"}},
		plain("MOV W21,#1", "STR W21,["+flags+"]"),
	)
}

// harvest reads the flags into a register; if they are 1, slot and offset.
func harvest(seen, flags, slotTo, slot, offsetTo, offset, end string) []line {
	return join(
		[]line{{"LDAR " + seen + ",[" + flags + "]", "LDR " + seen + ",[" + flags + "]", "harvest acquire"}},
		plain("CMP "+seen+",#1", "B.NE "+end, "LDR "+slotTo+",["+slot+"]", "LDR "+offsetTo+",["+offset+"]"),
	)
}

// handBack gives a harvested entry to the reset.
func handBack(flags string) []line {
	return join(plain("MOV W22,#2"), []line{{"STLR W22,[" + flags + "]", "STR W22,[" + flags + "]", "harvest release"}})
}

// inspect is what the reset reads of an entry: if the flags are 2, slot and offset.
func inspect(seen, flags, slotTo, slot, offsetTo, offset, end string) []line {
	return join(
		[]line{{"LDAR " + seen + ",[" + flags + "]", "LDR " + seen + ",[" + flags + "]", "reset acquire"}},
		plain("CMP "+seen+",#2", "B.NE "+end, "LDR "+slotTo+",["+slot+"]", "LDR "+offsetTo+",["+offset+"]"),
	)
}

// free makes an entry free again.
func free(flags string) []line {
	return []line{{"STLR WZR,[" + flags + "]", "STR WZR,[" + flags + "]", "reset release"}}
}

// reset returns an entry to the vCPU, and then says so in the index.
func reset(seen, flags, slotTo, slot, offsetTo, offset, index, end string) []line {
	return join(
		inspect(seen, flags, slotTo, slot, offsetTo, offset, end),
		free(flags),
		plain("MOV W23,#1"),
		[]line{{"STLR W23,[" + index + "]", "STR W23,[" + index + "]", "index release"}},
		plain(end+":"),
	)
}

// Scenarios, from one entry to a ring that wraps around.
var Scenarios = []Scenario{
	{
		Name: "one-entry",
		Text: "A vCPU pushes one record, slot 1 and offset 1, into a free entry, while the VMM harvests.",
		Vars: "f=0; s=0; o=0;",
		Threads: []thread{
			{"X0=s; X1=o; X2=f;", push("X0", "X1", "X2", 1)},
			{"X0=s; X1=o; X2=f;", join(harvest("W3", "X2", "W4", "X0", "W5", "X1", "END1"), plain("END1:"))},
		},
		Outcomes: []Outcome{
			{"stale entry", `1:X3=1 /\ 1:X4=0 /\ 1:X5=0`, "the VMM copies whatever page the entry named before; the page that was written is lost"},
			{"torn entry", `1:X3=1 /\ ~(1:X4=1:X5)`, "the VMM copies a page that nobody wrote, of a slot and an offset that do not belong together"},
		},
	},
	{
		Name: "two-entries",
		Text: "A vCPU pushes two records into two entries, while the VMM harvests both in ring order.",
		Vars: "f0=0; s0=0; o0=0; f1=0; s1=0; o1=0;",
		Threads: []thread{
			{"X0=s0; X1=o0; X2=f0; X6=s1; X7=o1; X8=f1;", join(push("X0", "X1", "X2", 1), push("X6", "X7", "X8", 2))},
			{"X0=s0; X1=o0; X2=f0; X6=s1; X7=o1; X8=f1;", join(
				harvest("W3", "X2", "W4", "X0", "W5", "X1", "END1"),
				harvest("W9", "X8", "W10", "X6", "W11", "X7", "END1"), plain("END1:"))},
		},
		Outcomes: []Outcome{
			{"wrong first entry", `1:X3=1 /\ ~(1:X4=1 /\ 1:X5=1)`, "as with one entry"},
			{"wrong second entry", `1:X9=1 /\ ~(1:X10=2 /\ 1:X11=2)`, "as with one entry"},
		},
	},
	{
		Name: "push-to-reset",
		Text: "One entry on its whole way: a vCPU pushes a record, the VMM harvests it and hands it back, the kernel resets it on another CPU.",
		Vars: "f=0; s=0; o=0;",
		Threads: []thread{
			{"X0=s; X1=o; X2=f;", push("X0", "X1", "X2", 1)},
			{"X0=s; X1=o; X2=f;", join(harvest("W3", "X2", "W4", "X0", "W5", "X1", "END1"), handBack("X2"), plain("END1:"))},
			{"X0=s; X1=o; X2=f;", join(inspect("W3", "X2", "W4", "X0", "W5", "X1", "END2"), free("X2"), plain("END2:"))},
		},
		Outcomes: []Outcome{
			{"wrong entry harvested", `1:X3=1 /\ ~(1:X4=1 /\ 1:X5=1)`, "as with one entry"},
			{"wrong entry reset", `2:X3=2 /\ ~(2:X4=1 /\ 2:X5=1)`, "the page that was harvested is not write-protected again: its later writes go unrecorded"},
		},
	},
	{
		Name: "wrap-around",
		Text: "A ring of one entry holds record 1. The VMM harvests it, the kernel resets it on another CPU, and the vCPU pushes record 2 into the same entry once the index permits.",
		Vars: "f=1; s=1; o=1; idx=0;",
		Threads: []thread{
			{"X0=s; X1=o; X2=f; X6=idx;", join(plain("LDR W3,[X6]", "CBZ W3,END0"), push("X0", "X1", "X2", 2), plain("END0:"))},
			{"X0=s; X1=o; X2=f;", join(harvest("W3", "X2", "W4", "X0", "W5", "X1", "END1"), handBack("X2"), plain("END1:"))},
			{"X0=s; X1=o; X2=f; X6=idx;", reset("W3", "X2", "W4", "X0", "W5", "X1", "X6", "END2")},
		},
		Outcomes: []Outcome{
			{"harvest sees the next record", `2:X3=2 /\ 1:X3=1 /\ ~(1:X4=1 /\ 1:X5=1)`, "record 1 is lost: the VMM takes slot or offset from record 2"},
			{"reset sees the next record", `2:X3=2 /\ ~(2:X4=1 /\ 2:X5=1)`, "page 1 is not write-protected again: its later writes go unrecorded"},
			{"record 2 is wiped out", `0:X3=1 /\ [f]=0`, "flags = 0 of the reset land on top of the new flags = 1: record 2 is lost"},
		},
	},
	{
		Name: "wrap-around-by-flags",
		Text: "The same ring of one entry, but with a push that waits for flags = 0 instead of the index. KVM has no such push: this shows what the release of flags = 0 is good for.",
		Vars: "f=2; s=1; o=1;",
		Threads: []thread{
			{"X0=s; X1=o; X2=f;", join(plain("LDR W3,[X2]", "CBNZ W3,END0"), push("X0", "X1", "X2", 2), plain("END0:"))},
			{"X0=s; X1=o; X2=f;", join(inspect("W3", "X2", "W4", "X0", "W5", "X1", "END2"), free("X2"), plain("END2:"))},
		},
		Outcomes: []Outcome{
			{"reset sees the next record", `1:X3=2 /\ ~(1:X4=1 /\ 1:X5=1)`, "page 1 is not write-protected again: its later writes go unrecorded"},
		},
	},
	{
		Name: "two-entries-wrap-around",
		Text: "A ring of two entries: entry 0 holds record 1, harvested; entry 1 holds record 2. The kernel resets entry 0, the vCPU pushes record 3 into it, while the VMM harvests entry 1, hands it back and goes on to entry 0.",
		Vars: "f0=2; s0=1; o0=1; f1=1; s1=2; o1=2; idx=0;",
		Threads: []thread{
			{"X0=s0; X1=o0; X2=f0; X6=idx;", join(plain("LDR W3,[X6]", "CBZ W3,END0"), push("X0", "X1", "X2", 3), plain("END0:"))},
			{"X0=s0; X1=o0; X2=f0; X6=s1; X7=o1; X8=f1;", join(
				harvest("W9", "X8", "W10", "X6", "W11", "X7", "END1"), handBack("X8"),
				harvest("W3", "X2", "W4", "X0", "W5", "X1", "END1"), plain("END1:"))},
			{"X0=s0; X1=o0; X2=f0; X6=idx;", reset("W3", "X2", "W4", "X0", "W5", "X1", "X6", "END2")},
		},
		Outcomes: []Outcome{
			{"harvest sees the last record", `1:X3=1 /\ ~(1:X4=3 /\ 1:X5=3)`, "record 3 is lost: the VMM takes slot or offset from record 1"},
			{"reset sees the next record", `2:X3=2 /\ ~(2:X4=1 /\ 2:X5=1)`, "page 1 is not write-protected again: its later writes go unrecorded"},
			{"record 3 is wiped out", `0:X3=1 /\ [f0]=0`, "flags = 0 of the reset land on top of the new flags = 1: record 3 is lost"},
		},
	},
}

// Uses lists the barriers that a scenario has, in the order of Barriers.
func (s *Scenario) Uses() []string {
	var names []string
	for _, b := range Barriers {
		for _, t := range s.Threads {
			if slices.ContainsFunc(t.code, func(l line) bool { return l.barrier == b.Name }) {
				names = append(names, b.Name)
				break
			}
		}
	}
	return names
}

// Test writes the scenario without the dropped barriers, asking for an outcome.
func (s *Scenario) Test(dropped []string, o Outcome) string {
	var columns [][]string
	width := make([]int, len(s.Threads))
	rows := 0
	var b strings.Builder
	name := "RING-" + s.Name
	for _, d := range dropped {
		name += "-no-" + strings.ReplaceAll(d, " ", "-")
	}
	fmt.Fprintf(&b, "AArch64 %s\n\"%s\"\n{\n%s\n", name, o.Name, s.Vars)
	for i, t := range s.Threads {
		for r := range strings.SplitSeq(strings.TrimSuffix(t.regs, ";"), ";") {
			fmt.Fprintf(&b, "%d:%s; ", i, strings.TrimSpace(r))
		}
		b.WriteString("\n")
		var column []string
		for _, l := range t.code {
			text := l.with
			if l.barrier != "" && slices.Contains(dropped, l.barrier) {
				text = l.without
			}
			if text != "" {
				column = append(column, text)
				width[i] = max(width[i], len(text))
			}
		}
		columns = append(columns, column)
		rows = max(rows, len(column))
	}
	b.WriteString("}\n")
	for row := -1; row < rows; row++ {
		for i, column := range columns {
			cell := ""
			switch {
			case row < 0:
				cell = fmt.Sprintf("P%d", i)
			case row < len(column):
				cell = column[row]
			}
			if i > 0 {
				b.WriteString("|")
			}
			fmt.Fprintf(&b, " %-*s ", width[i], cell)
		}
		b.WriteString(";\n")
	}
	fmt.Fprintf(&b, "exists (%s)\n", o.Prop)
	return b.String()
}
