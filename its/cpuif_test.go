package its

import (
	"bytes"
	"fmt"
	"testing"

	"ringmap/sim"
)

// naiveCPU is a virtual CPU interface said once more in other words: the active
// priorities are a list, and every rule is spelled out.
type naiveCPU struct {
	pmr, bpr0, bpr1 int
	on              [2]bool
	cbpr, split     bool
	active          []naiveActive // the running ones, any order
	lrs             [NumLR]naiveLR
	eoicount        int
}

type naiveActive struct{ priority, group int }

type naiveLR struct {
	state    string // "", "pending", "active", "both"
	id       int
	priority int
	group    int
	hw       int // physical interrupt, -1 = none
	eoi      bool
}

// split the priority: how many low bits do not preempt.
func (n *naiveCPU) level(group, priority int) int {
	point := n.bpr0 + 1
	if group == 1 && !n.cbpr {
		point = n.bpr1
	}
	for bit := range 8 {
		if bit < point {
			priority &^= 1 << bit
		}
	}
	return priority
}

func (n *naiveCPU) running() int {
	least := 0xff
	for _, a := range n.active {
		least = min(least, a.priority)
	}
	return least
}

func (n *naiveCPU) best() int {
	best := -1
	for i, r := range n.lrs {
		if r.state == "pending" && n.on[r.group] && (best < 0 || r.priority < n.lrs[best].priority) {
			best = i
		}
	}
	return best
}

func (n *naiveCPU) signals(i int) bool {
	r := n.lrs[i]
	return r.priority < n.pmr && (len(n.active) == 0 || n.level(r.group, r.priority) < n.running())
}

func (n *naiveCPU) ack(group int) int {
	i := n.best()
	if i < 0 || n.lrs[i].group != group || !n.signals(i) {
		return 1023
	}
	r := &n.lrs[i]
	if r.id >= 1020 && r.id <= 1023 {
		r.state = ""
		return r.id
	}
	r.state = "active"
	// two interrupts of one level count once
	a := naiveActive{n.level(group, r.priority), group}
	for _, b := range n.active {
		if a == b {
			return r.id
		}
	}
	n.active = append(n.active, a)
	return r.id
}

func (n *naiveCPU) find(id int) *naiveLR {
	for i := range n.lrs {
		if r := &n.lrs[i]; (r.state == "active" || r.state == "both") && r.id == id {
			return r
		}
	}
	return nil
}

func (r *naiveLR) deactivate() int {
	if r.state == "both" {
		r.state = "pending"
	} else {
		r.state = ""
	}
	return r.hw
}

func (n *naiveCPU) eoi(group, id int) int {
	if id >= 1020 && id <= 1023 || len(n.active) == 0 {
		return -1
	}
	level, at := n.running(), -1
	for i, a := range n.active { // of group 0 first
		if a.priority == level && (at < 0 || a.group == 0) {
			at = i
		}
	}
	was := n.active[at]
	n.active = append(n.active[:at], n.active[at+1:]...)
	r := n.find(id)
	switch {
	case r == nil && id < 8192 && !n.split:
		n.eoicount = (n.eoicount + 1) % 32
		return -1
	case r == nil, n.split && id < 8192:
		return -1
	case r.group != group, was.group != group, n.level(group, r.priority) != level:
		return -1
	}
	return r.deactivate()
}

func (n *naiveCPU) dir(id int) int {
	if !n.split || id >= 1020 {
		return -1
	}
	r := n.find(id)
	if r == nil {
		n.eoicount = (n.eoicount + 1) % 32
		return -1
	}
	return r.deactivate()
}

func (n *naiveCPU) maintenance(underflow bool) bool {
	used, ended := 0, false
	for _, r := range n.lrs {
		if r.state != "" {
			used++
		} else if r.eoi {
			ended = true
		}
	}
	return ended || underflow && used < 2
}

// load fills a list register of both.
func load(v *Virtual, n *naiveCPU, i int, r naiveLR) {
	w := LR(0).WithVINTID(uint32(r.id)).WithPriority(uint32(r.priority)).WithGroup1(r.group == 1).
		WithPending(r.state == "pending" || r.state == "both").WithActive(r.state == "active" || r.state == "both")
	switch {
	case r.hw >= 0:
		w = w.WithHW(true).WithPINTID(uint32(r.hw))
	case r.eoi:
		w = w.WithEOI()
	}
	v.LR[i], n.lrs[i] = w, r
}

// TestCPUInterfaceAgainstNaive: random and hostile operations leave the interface
// and the naive one with the same answers and the same state.
func TestCPUInterfaceAgainstNaive(t *testing.T) {
	for seed := range uint64(60) {
		drive(t, seed, 2000)
	}
}

func drive(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := sim.NewStream(seed, "cpu interface")
	v := &Virtual{On: true}
	n := &naiveCPU{bpr0: 2, bpr1: 3}
	ids := []int{0, 1, 27, 30, 40, 1019, 1020, 1022, 1023, 8192, 8193, 65535}
	id := func() int { return ids[rnd.N(uint64(len(ids)))] }
	for step := range steps {
		what, got, want := "", 0, 0
		group := int(rnd.N(2))
		switch rnd.N(14) {
		case 0, 1, 2:
			i, r := int(rnd.N(NumLR)), naiveLR{id: id(), priority: int(rnd.N(32)) * 8, group: group, hw: -1}
			r.state = []string{"", "pending", "pending", "active", "both"}[rnd.N(5)]
			if rnd.Chance(1, 4) {
				r.hw = int(rnd.N(1024))
			} else {
				r.eoi = rnd.Chance(1, 3)
			}
			for k := range n.lrs { // one INTID in two list registers is unpredictable
				if k != i && n.lrs[k].id == r.id {
					load(v, n, k, naiveLR{hw: -1})
				}
			}
			what = fmt.Sprintf("load %d %+v", i, r)
			load(v, n, i, r)
		case 3, 4, 5:
			what, got, want = "ack", int(v.Acknowledge(group)), n.ack(group)
		case 6, 7, 8:
			k := id()
			what, got, want = fmt.Sprint("eoi ", k), int(int32(v.End(group, uint64(k)))), n.eoi(group, k)
		case 9:
			k := id()
			what, got, want = fmt.Sprint("dir ", k), int(int32(v.Deactivate(uint64(k)))), n.dir(k)
		case 10:
			x := rnd.N(512)
			what = fmt.Sprintf("pmr %#x", x)
			v.WritePMR(x)
			n.pmr = int(x) & 0xf8
		case 11:
			x := rnd.N(16)
			what = fmt.Sprint("bpr ", group, x)
			v.WriteBPR(group, x)
			switch {
			case group == 0:
				n.bpr0 = max(int(x&7), 2)
			case !n.cbpr:
				n.bpr1 = max(int(x&7), 3)
			}
		case 12:
			x := rnd.N(4)
			what = fmt.Sprint("ctlr ", x)
			v.WriteCTLR(x | 0xff0)
			n.cbpr, n.split = x&1 != 0, x&2 != 0
		case 13:
			what = "enable"
			v.Enabled[group] = !v.Enabled[group] || rnd.Chance(2, 3)
			n.on[group] = v.Enabled[group]
		}
		if got != want {
			t.Fatalf("seed %d step %d: %s is %d, want %d", seed, step, what, got, want)
		}
		compareCPU(t, v, n, fmt.Sprintf("seed %d step %d: %s", seed, step, what))
	}
}

func compareCPU(t *testing.T, v *Virtual, n *naiveCPU, at string) {
	t.Helper()
	if int(v.Running()) != n.running() || int(v.EOICount) != n.eoicount {
		t.Fatalf("%s: running priority %#x and %d ends without a register, want %#x and %d", at, v.Running(), v.EOICount, n.running(), n.eoicount)
	}
	irq, fiq := v.Lines()
	i := n.best()
	wantIRQ, wantFIQ := i >= 0 && n.signals(i) && n.lrs[i].group == 1, i >= 0 && n.signals(i) && n.lrs[i].group == 0
	if irq != wantIRQ || fiq != wantFIQ {
		t.Fatalf("%s: IRQ %v, FIQ %v, want %v, %v", at, irq, fiq, wantIRQ, wantFIQ)
	}
	for i, w := range v.LR {
		state := []string{"", "pending", "active", "both"}[w.State()]
		if state != n.lrs[i].state {
			t.Fatalf("%s: list register %d is %q, want %q", at, i, state, n.lrs[i].state)
		}
	}
	for _, underflow := range []bool{false, true} {
		v.Underflow = underflow
		if got, want := v.Maintenance(), n.maintenance(underflow); got != want {
			t.Fatalf("%s: maintenance %v with underflow %v, want %v", at, got, underflow, want)
		}
	}
	v.Underflow = false
	bpr1 := n.bpr1
	if n.cbpr {
		bpr1 = min(n.bpr0+1, 7)
	}
	if got := [2]uint64{v.ReadBPR(0), v.ReadBPR(1)}; got != [2]uint64{uint64(n.bpr0), uint64(bpr1)} {
		t.Fatalf("%s: binary points %d, want %d and %d", at, got, n.bpr0, bpr1)
	}
}

// TestVirtualSnapshot: the state is all there is.
func TestVirtualSnapshot(t *testing.T) {
	v := &Virtual{On: true, Underflow: true, EOICount: 3}
	v.WritePMR(0xf0)
	v.WriteBPR(0, 5)
	v.Enabled[1] = true
	v.WriteCTLR(2)
	load(v, &naiveCPU{}, 2, naiveLR{state: "pending", id: 27, priority: 0x80, group: 1, hw: 27})
	v.Acknowledge(1)
	c := sim.NewEncoder()
	v.Sync(c)
	saved := c.Finish()
	w := &Virtual{}
	d := sim.NewDecoder(saved)
	w.Sync(d)
	if d.Finish(); d.Err() != nil || *w != *v {
		t.Fatalf("%v: %+v, want %+v", d.Err(), w, v)
	}
	bad := bytes.Replace(saved, []byte{5}, []byte{9}, 1) // a binary point
	d = sim.NewDecoder(bad)
	w.Sync(d)
	if d.Err() == nil {
		t.Error("a binary point of 9 was restored")
	}
}

// FuzzCPUInterface: no sequence of operations of a guest or a hypervisor breaks it.
func FuzzCPUInterface(f *testing.F) {
	f.Add(uint64(1), uint16(50))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { drive(t, seed, int(steps%2000)) })
}
