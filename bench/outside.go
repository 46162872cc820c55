package bench

import (
	"encoding/binary"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
)

// outside is guest memory written by the kernel with no vCPU running: a thread of
// its own that writes through KVM's write path at a steady rate while the VM runs,
// and a burst of the VMM's main thread when the VM has been stopped. What it
// stands for is an interrupt controller's tables, at rates that none has.
type outside struct {
	plan   *scenario.OutsidePlan
	page   mmu.Granule
	vmm    *vmm.VMM
	vm     *kvmcore.VM
	thread *kvmcore.Thread
	comp   sim.ComponentID
	rand   sim.Stream
	next   uint64    // page, for sequential
	at     sim.Cycle // when the next write is due
	buf    []byte

	writes, paused, failed uint64
}

// createOutside makes the writer, and has the VMM's save begin with its burst.
func (m *machine) createOutside(s *scenario.Scenario, w *vmm.Wiring) {
	o := &outside{plan: &m.plan.Outside, page: m.plan.Page, vm: m.vm, rand: sim.NewStream(uint64(s.Seed), "outside")}
	o.buf = make([]byte, o.plan.Bytes)
	o.thread = m.host.NewThread(m.outsideCore(), "outside")
	o.comp = m.engine.Register("outside", o)
	m.outside = o
	if o.plan.Paused == 0 {
		return
	}
	save := w.Save
	w.Save = func(t *kvmcore.Thread) kvmcore.Errno {
		o.burst(t)
		if save == nil {
			return kvmcore.OK
		}
		return save(t)
	}
}

// Handle makes the write that is due, unless the VM stands still.
func (o *outside) Handle(e *sim.Engine, ev sim.Event) {
	if ev.Kind == vmm.EventWoken {
		return
	}
	if !o.vmm.Paused() {
		o.thread.Core.Now = max(o.thread.Core.Now, ev.At)
		o.write(o.thread)
		o.vmm.Wake() // vCPUs that it kicked
	}
	o.arm(e)
}

// arm schedules the next write. A writer that cannot keep up with its rate makes
// its writes one behind the other.
func (o *outside) arm(e *sim.Engine) {
	o.at = max(o.at+o.plan.Gap, o.thread.Core.Now)
	e.Schedule(sim.Event{At: max(o.at, e.Now()), Comp: o.comp, Class: sim.ClassHardware})
}

// burst goes on writing on thread t for as long as the plan says, with every vCPU
// stopped.
func (o *outside) burst(t *kvmcore.Thread) {
	for due, end := t.Core.Now, t.Core.Now+o.plan.Paused; due < end; due += o.plan.Gap {
		if t.Core.Now < due {
			t.Idle(due - t.Core.Now)
		}
		o.write(t)
		o.paused++
	}
}

// write writes the next page: a value that no earlier write left there.
func (o *outside) write(t *kvmcore.Thread) {
	page := uint64(0)
	switch o.plan.Pattern {
	case "sequential":
		page = o.next
		if o.next++; o.next == o.plan.Pages {
			o.next = 0
		}
	case "uniform":
		page = o.rand.N(o.plan.Pages)
	}
	o.writes++
	var word [8]byte
	binary.LittleEndian.PutUint64(word[:], o.writes)
	for i := range o.buf {
		o.buf[i] = word[i%8]
	}
	if e := o.vm.WriteGuest(t, o.plan.Base+mmu.IPA(page<<o.page.Shift()), o.buf); e != kvmcore.OK {
		o.failed++
	}
}

func (o *outside) register(s *sim.Stats) {
	s.Counter("outside.writes", "writes", "writes of guest memory without a vCPU, of outside.rate", &o.writes)
	s.Counter("outside.paused_writes", "writes", "of these: while the VM stood still", &o.paused)
	s.Counter("outside.failed", "writes", "of these: refused", &o.failed)
}

func (o *outside) Sync(c *sim.Codec) {
	c.Tag("outside")
	o.rand.Sync(c)
	c.U64(&o.next)
	if o.next >= o.plan.Pages {
		o.next = 0
	}
	sim.Uint(c, &o.at)
	c.U64(&o.writes)
	c.U64(&o.paused)
	c.U64(&o.failed)
}
