package sim

import (
	"fmt"
	"math"
	"sort"
)

// Cycle is a point in simulated time, or a span of it: cycles of the host clock.
type Cycle uint64

// Never is later than any cycle at which something can happen.
const Never Cycle = math.MaxUint64

// Class orders the events of one cycle: lower classes run first.
type Class uint8

// The classes, in the order in which they run within a cycle.
const (
	ClassHardware Class = iota // devices, timers, interrupts, memory system
	ClassGuest                 // vCPUs in the guest
	ClassKernel                // the modelled kernel
	ClassUser                  // the modelled VMM
	ClassObserve               // sampling, traces, state hashes: changes nothing
	numClasses
)

// ComponentID names a registered component; ids count up from 0 in order of
// registration, which is therefore part of a simulation's identity.
type ComponentID uint32

// Event is something that happens to component Comp at cycle At. Kind and Arg
// mean what the component says; an event is plain data so that it can be saved.
type Event struct {
	At    Cycle
	Arg   uint64
	Comp  ComponentID
	Kind  uint16
	Class Class
}

// Handler is a component that receives events.
type Handler interface {
	// Handle is called with e.Now() == ev.At. It may schedule further events,
	// those of the present cycle included.
	Handle(e *Engine, ev Event)
}

// Engine holds the events to come and hands them out in the order
// (cycle, class, insertion).
type Engine struct {
	Trace *Trace // when set, records every event that is handled

	now      Cycle
	stopped  bool
	seq      uint64
	handlers []Handler
	names    []string
	heap     []entry
}

type entry struct {
	Event
	seq uint64
}

func (a *entry) less(b *entry) bool {
	if a.At != b.At {
		return a.At < b.At
	}
	if a.Class != b.Class {
		return a.Class < b.Class
	}
	return a.seq < b.seq
}

// NewEngine returns an engine at cycle 0 without components or events.
func NewEngine() *Engine { return &Engine{} }

// Register adds a component and returns its id. The name appears in traces and
// in the errors of a snapshot that does not fit.
func (e *Engine) Register(name string, h Handler) ComponentID {
	e.handlers = append(e.handlers, h)
	e.names = append(e.names, name)
	return ComponentID(len(e.handlers) - 1)
}

// Name returns the name under which a component was registered.
func (e *Engine) Name(id ComponentID) string { return e.names[id] }

// Now returns the present cycle.
func (e *Engine) Now() Cycle { return e.now }

// Schedule adds an event. It must lie at or after Now and before Never, and
// its component must be registered; anything else is a programming error.
func (e *Engine) Schedule(ev Event) {
	if ev.At < e.now || ev.At == Never || int(ev.Comp) >= len(e.handlers) || ev.Class >= numClasses {
		panic(fmt.Sprintf("sim: event %+v scheduled at cycle %d", ev, e.now))
	}
	e.seq++
	e.heap = append(e.heap, entry{ev, e.seq})
	for i := len(e.heap) - 1; i > 0; {
		p := (i - 1) / 2
		if !e.heap[i].less(&e.heap[p]) {
			break
		}
		e.heap[i], e.heap[p] = e.heap[p], e.heap[i]
		i = p
	}
}

// Next returns the cycle of the earliest pending event, false when there is none.
func (e *Engine) Next() (Cycle, bool) {
	if len(e.heap) == 0 {
		return Never, false
	}
	return e.heap[0].At, true
}

// Stop makes Run return after the event that is being handled. What remains,
// the rest of the present cycle included, stays pending.
func (e *Engine) Stop() { e.stopped = true }

// Run handles every event with At <= until, in order, and returns the cycle it
// has reached: until itself, or, after Stop and for until == Never, the cycle
// of the last event handled.
//
// An event scheduled for the present cycle by a handler runs in this cycle.
// Among what remains of the cycle the lowest class runs first, then the one
// scheduled first: so an event of a class that the cycle has already passed
// runs next, and nothing already handled is undone.
func (e *Engine) Run(until Cycle) Cycle {
	e.stopped = false
	for !e.stopped {
		at, ok := e.Next()
		if !ok || at > until {
			if until != Never && until > e.now {
				e.now = until
			}
			break
		}
		e.now = at
		ev := e.pop()
		if e.Trace != nil {
			e.Trace.Add(Record{At: ev.At, Arg: ev.Arg, Comp: ev.Comp, Kind: ev.Kind})
		}
		e.handlers[ev.Comp].Handle(e, ev)
	}
	return e.now
}

func (e *Engine) pop() Event {
	ev := e.heap[0].Event
	n := len(e.heap) - 1
	e.heap[0] = e.heap[n]
	e.heap = e.heap[:n]
	for i := 0; ; {
		k := 2*i + 1
		if k >= n {
			break
		}
		if k+1 < n && e.heap[k+1].less(&e.heap[k]) {
			k++
		}
		if !e.heap[k].less(&e.heap[i]) {
			break
		}
		e.heap[i], e.heap[k] = e.heap[k], e.heap[i]
		i = k
	}
	return ev
}

// Sync saves, restores or hashes the present cycle and the pending events, in
// the order in which they would run. The same components must be registered.
func (e *Engine) Sync(c *Codec) {
	c.Tag("engine")
	n := len(e.names)
	c.Int(&n)
	if n != len(e.names) {
		c.Fail(fmt.Errorf("the machine has %d components, the snapshot %d", len(e.names), n))
		return
	}
	for i := range e.names {
		c.Tag(e.names[i])
	}
	Uint(c, &e.now)
	evs := make([]entry, len(e.heap))
	copy(evs, e.heap)
	sort.Slice(evs, func(i, j int) bool { return evs[i].less(&evs[j]) })
	Slice(c, &evs, func(c *Codec, p *entry) { p.Event.sync(c) })
	if !c.Loading() || c.Err() != nil {
		return
	}
	e.heap = e.heap[:0]
	for i := range evs {
		ev := evs[i].Event
		if ev.At < e.now || ev.At == Never || int(ev.Comp) >= len(e.handlers) || ev.Class >= numClasses {
			c.Fail(fmt.Errorf("impossible event %+v at cycle %d", ev, e.now))
			return
		}
		e.Schedule(ev)
	}
}

func (ev *Event) sync(c *Codec) {
	Uint(c, &ev.At)
	c.U64(&ev.Arg)
	Uint(c, &ev.Comp)
	c.U16(&ev.Kind)
	Uint(c, &ev.Class)
}
