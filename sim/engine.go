package sim

import (
	"fmt"
	"math"
	"slices"
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
	queue    queue
	now      Cycle
	handlers []Handler
	names    []string
	running  bool
	stopped  bool

	Trace *Trace // when set before Run, records every event that is handled
}

// NewEngine returns an engine at cycle 0 without components or events.
func NewEngine() *Engine {
	e := &Engine{}
	e.queue.reset()
	return e
}

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
//
// This and runCycle are where an event costs time. An Event has more fields
// than the compiler keeps in registers as one value, so both take it apart:
// copying it whole would wait for the stores of its parts.
func (e *Engine) Schedule(ev Event) {
	if ev.At <= e.now || ev.At>>blockBits-e.now>>blockBits > 1 ||
		uint(ev.Comp) >= uint(len(e.handlers)) || ev.Class >= numClasses {
		e.scheduleElsewhere(ev.At, ev.Arg, ev.Comp, ev.Kind, ev.Class)
		return
	}
	q := &e.queue
	slot := uint(ev.At) % nearSlots
	c := q.near[slot].last
	m := c.meta
	if uint8(m) >= chunkEvents {
		c, m = q.extendNear(slot), 0
	}
	p := &c.events[m%chunkEvents]
	p.arg, p.comp, p.kind, p.class = ev.Arg, ev.Comp, ev.Kind, ev.Class
	c.meta = m + countOf(ev.Class)
}

// scheduleElsewhere schedules what does not go to a later near slot.
//
//go:noinline
func (e *Engine) scheduleElsewhere(at Cycle, arg uint64, comp ComponentID, kind uint16, class Class) {
	if !e.possible(at, comp, class) {
		panic(fmt.Sprintf("sim: event at cycle %d of component %d and class %d, scheduled at cycle %d with %d components",
			at, comp, class, e.now, len(e.handlers)))
	}
	e.queue.push(e.now, at, arg, comp, kind, class)
}

func (e *Engine) possible(at Cycle, comp ComponentID, class Class) bool {
	return at >= e.now && at != Never && int(comp) < len(e.handlers) && class < numClasses
}

// Next returns the cycle of the earliest pending event, Never and false when
// there is none.
func (e *Engine) Next() (Cycle, bool) {
	at := e.queue.next(e.now)
	return at, at != Never
}

// Stop makes Run return after the event that is being handled. What remains,
// the rest of the present cycle included, stays pending.
func (e *Engine) Stop() {
	e.stopped = true
	e.queue.attend |= attendEngine
}

// Run handles every event with At <= until, in order, and returns the cycle it
// has reached: until itself, or, after Stop and for until == Never, the cycle
// of the last event handled. Handlers do not call it.
//
// An event scheduled for the present cycle by a handler runs in this cycle.
// Among what remains of the cycle the lowest class runs first, then the one
// scheduled first: so an event of a class that the cycle has already passed
// runs next, and nothing already handled is undone.
func (e *Engine) Run(until Cycle) Cycle {
	if e.running {
		panic("sim: Engine.Run called by a handler")
	}
	e.running, e.stopped = true, false
	e.queue.attend &^= attendEngine
	if e.Trace != nil {
		e.queue.attend |= attendEngine
	}
	for !e.stopped {
		at := e.queue.next(e.now)
		if at > until || at == Never {
			if until != Never && until > e.now {
				e.advance(until)
			}
			break
		}
		e.advance(at)
		e.runCycle()
	}
	e.running = false
	return e.now
}

// advance moves time to at, which no pending event precedes.
func (e *Engine) advance(at Cycle) {
	if at>>blockBits != e.now>>blockBits {
		e.queue.enter(at>>blockBits, e.now>>blockBits)
	}
	e.now = at
}

// runCycle handles the events of the present cycle.
func (e *Engine) runCycle() {
	q := &e.queue
	q.open(e.now)
	for {
		pos := q.pos
		if pos >= len(q.run) || q.attend != 0 {
			if !e.attend() {
				return
			}
			continue
		}
		q.pos = pos + 1
		p := &q.run[pos]
		e.handlers[p.comp].Handle(e, Event{At: e.now, Arg: p.arg, Comp: p.comp, Kind: p.kind, Class: p.class})
	}
}

// attend does what runCycle's loop leaves out: the end of a chunk, events added
// to the present cycle, the trace, stopping. It is false when runCycle is to
// end. Inlined, as a profile suggests, it would cost the loop its registers.
//
//go:noinline
func (e *Engine) attend() bool {
	q := &e.queue
	if e.stopped || !q.more() {
		return false
	}
	if q.attend == 0 {
		return true
	}
	p := q.pop()
	if e.Trace != nil {
		e.Trace.Add(Record{At: e.now, Arg: p.arg, Comp: p.comp, Kind: p.kind})
	}
	e.handlers[p.comp].Handle(e, Event{At: e.now, Arg: p.arg, Comp: p.comp, Kind: p.kind, Class: p.class})
	return true
}

// Sync saves, restores or hashes the present cycle and the pending events, in
// the order in which they will run, whatever the queue's layout. The same
// components must be registered in the same order.
func (e *Engine) Sync(c *Codec) {
	c.Tag("engine")
	n := len(e.names)
	c.Int(&n)
	if n != len(e.names) {
		c.Fail(fmt.Errorf("the machine has %d components, the snapshot %d", len(e.names), n))
		return
	}
	for _, name := range e.names {
		c.Tag(name)
	}
	Uint(c, &e.now)
	var events []Event
	if !c.Loading() {
		events = e.queue.pending(e.now)
	}
	Slice(c, &events, func(c *Codec, ev *Event) { ev.sync(c) })
	if c.Loading() {
		e.restore(c, events)
	}
}

// restore replaces the pending events.
func (e *Engine) restore(c *Codec, events []Event) {
	e.queue.reset()
	for i := range events {
		ev := &events[i]
		if !e.possible(ev.At, ev.Comp, ev.Class) {
			c.Fail(fmt.Errorf("impossible event %+v at cycle %d", *ev, e.now))
			return
		}
		e.queue.push(e.now, ev.At, ev.Arg, ev.Comp, ev.Kind, ev.Class)
	}
}

func (ev *Event) sync(c *Codec) {
	Uint(c, &ev.At)
	c.U64(&ev.Arg)
	Uint(c, &ev.Comp)
	c.U16(&ev.Kind)
	Uint(c, &ev.Class)
}

// pending returns all events in the order in which they will run.
func (q *queue) pending(now Cycle) []Event {
	events := q.collect(now)
	slices.SortStableFunc(events, func(a, b Event) int {
		if a.At != b.At {
			if a.At < b.At {
				return -1
			}
			return 1
		}
		return int(a.Class) - int(b.Class)
	})
	return events
}
