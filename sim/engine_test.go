package sim

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// naive is the engine's contract in its plainest form: a slice, and each step
// the smallest of (cycle, class, insertion).
type naive struct {
	now     Cycle
	stopped bool
	seq     int
	events  []naiveEvent
}

type naiveEvent struct {
	Event
	seq int
}

func (m *naive) Now() Cycle { return m.now }
func (m *naive) Stop()      { m.stopped = true }
func (m *naive) Schedule(ev Event) {
	m.seq++
	m.events = append(m.events, naiveEvent{ev, m.seq})
}

func (m *naive) pending() []Event {
	sort.Slice(m.events, func(i, j int) bool {
		a, b := m.events[i], m.events[j]
		if a.At != b.At {
			return a.At < b.At
		}
		if a.Class != b.Class {
			return a.Class < b.Class
		}
		return a.seq < b.seq
	})
	var out []Event
	for _, ev := range m.events {
		out = append(out, ev.Event)
	}
	return out
}

func (m *naive) run(until Cycle, handle func(Event)) Cycle {
	for m.stopped = false; !m.stopped; {
		events := m.pending()
		if len(events) == 0 || events[0].At > until {
			if until != Never {
				m.now = max(m.now, until)
			}
			break
		}
		m.events = m.events[1:]
		m.now = events[0].At
		handle(events[0])
	}
	return m.now
}

// seeds is how many random runs a test makes: twenty times n when RINGMAP_LONG
// is set.
func seeds(n uint64) uint64 {
	if os.Getenv("RINGMAP_LONG") != "" {
		return 20 * n
	}
	return n
}

// scheduler is what a player acts on: the engine or the model of it.
type scheduler interface {
	Now() Cycle
	Schedule(Event)
	Stop()
}

// player answers events with random further ones. All its randomness is one
// stream, so that the first event out of order changes everything after it.
type player struct {
	Draw    Stream
	Classes uint64 // of its events
	Width   uint64 // most events pending
	Live    uint64 // events pending
	Limit   uint64 // events handled after which it only lets run dry
	Handled uint64
	log     []Event
	check   func()
}

func (p *player) Handle(e *Engine, ev Event) { p.play(e, ev) }

func (p *player) play(s scheduler, ev Event) {
	p.log = append(p.log, ev)
	p.Live--
	p.Handled++
	if p.check != nil && p.Draw.Chance(1, 16) {
		p.check()
	}
	for range p.Draw.N(4) {
		p.add(s)
	}
	if p.Draw.Chance(1, 20) {
		s.Stop()
	}
}

// add schedules one event, at distances that meet every border of the queue.
func (p *player) add(s scheduler) {
	if p.Live >= p.Width || p.Handled >= p.Limit {
		return
	}
	if p.Classes == 1 { // crowded: many events in few cycles
		p.Live++
		s.Schedule(Event{At: s.Now() + Cycle(p.Draw.N(2)), Arg: p.Draw.Uint64(), Class: ClassKernel})
		return
	}
	borders := []uint64{0, 0, 0, 1, 2, 255, 256, 257, 511, 512, 513, 1 << 18, 2046 << 8, 2047 << 8, 2048 << 8, 1 << 33, 1 << 55}
	d := borders[p.Draw.N(uint64(len(borders)))]
	if p.Draw.Chance(1, 2) {
		d += p.Draw.N(min(d, 3000) + 1)
	}
	if uint64(Never)-uint64(s.Now()) <= d {
		d = 0
	}
	p.Live++
	s.Schedule(Event{
		At:    s.Now() + Cycle(d),
		Arg:   p.Draw.Uint64(),
		Comp:  ComponentID(p.Draw.N(3)),
		Kind:  uint16(p.Draw.Uint64()),
		Class: Class(p.Draw.N(p.Classes)),
	})
}

func (p *player) Sync(c *Codec) {
	p.Draw.Sync(c)
	c.U64(&p.Classes)
	c.U64(&p.Width)
	c.U64(&p.Live)
	c.U64(&p.Limit)
	c.U64(&p.Handled)
}

func newPlayer(seed uint64) *player {
	p := &player{Draw: NewStream(seed, "player"), Limit: 400, Width: 40, Classes: uint64(numClasses)}
	if seed%4 == 0 {
		p.Width, p.Classes = 120, 1
	}
	return p
}

func newMachine(p *player) *Engine {
	e := NewEngine()
	for i := range 3 {
		e.Register(fmt.Sprintf("player.%d", i), p)
	}
	return e
}

// TestEngineAgainstModel runs random machines on the engine and on the model in
// pieces: both must handle the same events in the same order, report the same
// times, and hold the same events pending, also in the middle of a cycle.
func TestEngineAgainstModel(t *testing.T) {
	for seed := range seeds(100) {
		real, ideal := newPlayer(seed), newPlayer(seed)
		e, m := newMachine(real), &naive{}
		var seen, want [][]Event
		real.check = func() { seen = append(seen, e.queue.pending(e.now)) }
		ideal.check = func() { want = append(want, m.pending()) }
		pieces := NewStream(seed, "pieces")
		for round := 0; ; round++ {
			for range pieces.N(real.Width / 4) {
				real.add(e)
				ideal.add(m)
			}
			until := Never
			if pieces.Chance(3, 4) {
				until = m.now + Cycle(pieces.N(1<<pieces.N(30))) - min(m.now, 1)
			}
			if got, want := e.Run(until), m.run(until, func(ev Event) { ideal.play(m, ev) }); got != want {
				t.Fatalf("seed %d, round %d: Run(%d) reached %d, the model %d", seed, round, until, got, want)
			}
			if diff := cmp.Diff(ideal.log, real.log); diff != "" {
				t.Fatalf("seed %d, round %d: handled (-model +engine):\n%s", seed, round, diff)
			}
			ideal.log, real.log = nil, nil
			if diff := cmp.Diff(m.pending(), e.queue.pending(e.now)); diff != "" {
				t.Fatalf("seed %d, round %d: pending (-model +engine):\n%s", seed, round, diff)
			}
			next, ok := e.Next()
			if left := m.pending(); ok != (len(left) != 0) || ok && next != left[0].At {
				t.Fatalf("seed %d, round %d: Next gave %d, %v; pending %v", seed, round, next, ok, left)
			}
			if !ok && real.Handled >= real.Limit {
				break
			}
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Fatalf("seed %d: pending within a cycle (-model +engine):\n%s", seed, diff)
		}
	}
}

// TestEngineSnapshot saves random machines wherever they stop, in the middle of
// a cycle as well, and continues the restored one: it must end like the one
// that was never disturbed, and hash alike all the way.
func TestEngineSnapshot(t *testing.T) {
	for seed := range seeds(100) {
		p, q := newPlayer(seed), newPlayer(seed)
		undisturbed, e := newMachine(p), newMachine(q)
		for range 5 {
			p.add(undisturbed)
			q.add(e)
		}
		for {
			undisturbed.Run(Never)
			e.Run(Never)
			save := NewEncoder()
			e.Sync(save)
			q.Sync(save)

			r := &player{log: q.log}
			restored := newMachine(r)
			load := NewDecoder(save.Finish())
			restored.Sync(load)
			r.Sync(load)
			load.Finish()
			if load.Err() != nil {
				t.Fatalf("seed %d: %v", seed, load.Err())
			}
			e, q = restored, r

			want, got := NewHasher(), NewHasher()
			undisturbed.Sync(want)
			p.Sync(want)
			e.Sync(got)
			q.Sync(got)
			if want.Sum() != got.Sum() || want.Sum() != save.Sum() {
				t.Fatalf("seed %d, cycle %d: hashes differ", seed, e.Now())
			}
			if _, more := e.Next(); !more {
				break
			}
		}
		if diff := cmp.Diff(p.log, q.log); diff != "" {
			t.Fatalf("seed %d: (-undisturbed +restored):\n%s", seed, diff)
		}
	}
}

// script handles events by running the function of their kind.
type script struct {
	log   []uint16
	react map[uint16]func(e *Engine)
}

func (s *script) Handle(e *Engine, ev Event) {
	s.log = append(s.log, ev.Kind)
	if f := s.react[ev.Kind]; f != nil {
		f(e)
	}
}

func at(cycle Cycle, class Class, kind uint16) Event {
	return Event{At: cycle, Class: class, Kind: kind}
}

// TestEngineSameCycle pins the rule for events that a handler adds to the cycle
// at hand: the lowest class of what remains, then the first scheduled.
func TestEngineSameCycle(t *testing.T) {
	s := &script{react: map[uint16]func(*Engine){
		2: func(e *Engine) {
			e.Schedule(at(5, ClassUser, 21))     // after 4, which is older
			e.Schedule(at(5, ClassHardware, 22)) // a class already passed: next
			e.Schedule(at(5, ClassKernel, 23))   // same class as 2 and 3: after 3
			e.Schedule(at(6, ClassHardware, 60))
		},
		22: func(e *Engine) { e.Schedule(at(5, ClassHardware, 24)) },
		4:  func(e *Engine) { e.Schedule(at(5, ClassHardware, 25)) },
		5:  func(e *Engine) { e.Schedule(at(5, ClassHardware, 26)) }, // the cycle's last
	}}
	e := NewEngine()
	e.Register("script", s)
	e.Schedule(at(5, ClassObserve, 5))
	e.Schedule(at(5, ClassKernel, 2))
	e.Schedule(at(5, ClassUser, 4))
	e.Schedule(at(5, ClassKernel, 3))
	e.Schedule(at(5, ClassGuest, 1))
	if e.Run(5); e.Now() != 5 {
		t.Errorf("Run(5) ended at %d", e.Now())
	}
	want := []uint16{1, 2, 22, 24, 3, 23, 4, 25, 21, 5, 26}
	if diff := cmp.Diff(want, s.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.Run(Never)
	if diff := cmp.Diff(append(want, 60), s.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEngineStop stops in the middle of a cycle, adds to that cycle from
// outside, and continues.
func TestEngineStop(t *testing.T) {
	s := &script{react: map[uint16]func(*Engine){1: (*Engine).Stop}}
	e := NewEngine()
	e.Register("script", s)
	for kind := range uint16(4) {
		e.Schedule(at(7, ClassGuest, kind))
	}
	if reached := e.Run(100); reached != 7 {
		t.Errorf("stopped at %d, want 7", reached)
	}
	if next, ok := e.Next(); next != 7 || !ok {
		t.Errorf("Next = %d, %v, want 7", next, ok)
	}
	e.Schedule(at(7, ClassGuest, 10))
	e.Schedule(at(7, ClassHardware, 11))
	if reached := e.Run(100); reached != 100 {
		t.Errorf("reached %d, want 100", reached)
	}
	if diff := cmp.Diff([]uint16{0, 1, 11, 2, 3, 10}, s.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEngineManyLate keeps forty chains of events going within one cycle for
// long: late comers must neither pile up in memory nor lose their order.
func TestEngineManyLate(t *testing.T) {
	const rounds, chains = 100_000, 40
	n := 0
	s := &script{react: map[uint16]func(*Engine){}}
	e := NewEngine()
	e.Register("script", s)
	for kind := range uint16(chains) {
		s.react[kind] = func(e *Engine) {
			if n++; n < rounds {
				e.Schedule(at(3, ClassGuest, kind))
			}
		}
		e.Schedule(at(3, ClassGuest, kind))
	}
	e.Run(3)
	for i, kind := range s.log {
		if want := uint16(i % chains); kind != want {
			t.Fatalf("event %d is %d, want %d", i, kind, want)
		}
	}
	if want := rounds + chains - 1; len(s.log) != want {
		t.Errorf("%d events handled, want %d", len(s.log), want)
	}
	chunks := 0
	for c := e.queue.free; c != nil; c = c.next {
		chunks++
	}
	if chunks != 64 {
		t.Errorf("%d chunks in the pool, want the 64 of its first growth", chunks)
	}
}

// TestEngineIdle crosses idle stretches that could not be crossed cycle by cycle.
func TestEngineIdle(t *testing.T) {
	s := &script{}
	e := NewEngine()
	e.Register("script", s)
	for kind, cycle := range []Cycle{1 << 20, 1 << 40, 1<<62 + 1, Never - 1} {
		e.Schedule(at(cycle, ClassGuest, uint16(kind)))
	}
	if reached := e.Run(1 << 61); reached != 1<<61 {
		t.Errorf("reached %d", reached)
	}
	if reached := e.Run(Never); reached != Never-1 {
		t.Errorf("reached %d", reached)
	}
	if diff := cmp.Diff([]uint16{0, 1, 2, 3}, s.log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEngineAllocates nothing once its pool has grown, in any tier.
func TestEngineAllocates(t *testing.T) {
	var delays [1024]uint32
	for i := range delays {
		delays[i] = []uint32{1, 300, 5000, 700_000}[i%4]
	}
	e := NewEngine()
	for i := range 100 {
		id := e.Register("component", &rearm{delays: &delays, count: uint64(i)})
		e.Schedule(Event{At: 1, Comp: id, Class: Class(i % 5)})
	}
	e.Run(10_000_000)
	if n := testing.AllocsPerRun(5, func() { e.Run(e.Now() + 3_000_000) }); n != 0 {
		t.Errorf("%v allocations per run, want 0", n)
	}
}

func TestEngineTrace(t *testing.T) {
	e := NewEngine()
	e.Register("a", &script{})
	e.Trace = NewTrace(2)
	for i := range 3 {
		e.Schedule(Event{At: Cycle(i), Arg: uint64(i), Kind: 9})
	}
	e.Run(Never)
	var got []Record
	e.Trace.Each(func(r Record) { got = append(got, r) })
	if diff := cmp.Diff([]Record{{1, 1, 0, 9}, {2, 2, 0, 9}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e.Trace.Dropped != 1 || e.Name(0) != "a" {
		t.Errorf("dropped %d of %q", e.Trace.Dropped, e.Name(0))
	}
}

func TestEngineProgrammingErrors(t *testing.T) {
	for name, ev := range map[string]Event{
		"past":      {At: 9},
		"never":     {At: Never},
		"component": {At: 10, Comp: 1},
		"class":     {At: 10, Class: numClasses},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine()
			e.Register("a", &script{})
			e.Run(10)
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "sim: event at cycle") {
					t.Errorf("Schedule recovered with %v", r)
				}
			}()
			e.Schedule(ev)
		})
	}
	t.Run("nested", func(t *testing.T) {
		e := NewEngine()
		e.Register("a", &script{react: map[uint16]func(*Engine){0: func(e *Engine) { e.Run(Never) }}})
		e.Schedule(Event{At: 1})
		defer func() {
			if recover() == nil {
				t.Error("Run within Run went on")
			}
		}()
		e.Run(Never)
	})
}

// TestEngineRestoreErrors gives the engine states that are not of its machine.
func TestEngineRestoreErrors(t *testing.T) {
	one := NewEngine()
	one.Register("cpu.0", &script{})
	one.Schedule(Event{At: 5})
	saved := func(e *Engine) []byte {
		c := NewEncoder()
		e.Sync(c)
		return c.Finish()
	}
	good := saved(one)
	two := NewEngine()
	two.Register("cpu.0", &script{})
	two.Register("cpu.1", &script{})
	other := NewEngine()
	other.Register("its", &script{})
	late := append([]byte(nil), good...)
	late[len(late)-23-8-8] = 6 // now, before the events: later than the event
	for name, c := range map[string]struct {
		into  *Engine
		state []byte
		want  string
	}{
		"count":     {two, good, "the machine has 2 components, the snapshot 1"},
		"name":      {other, good, `found section "cpu.0" where "its" was expected`},
		"past":      {one, late, "impossible event"},
		"truncated": {one, good[:len(good)-1], "ends 1 bytes early"},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(c.state)
			c.into.Sync(d)
			if d.Err() == nil || !strings.Contains(d.Err().Error(), c.want) {
				t.Errorf("error %v, want %q", d.Err(), c.want)
			}
		})
	}
}

// FuzzEngineRestore feeds the engine hostile states: an error, or a machine
// that runs in order and saves as it was given.
func FuzzEngineRestore(f *testing.F) {
	p := newPlayer(1)
	e := newMachine(p)
	for range 20 {
		p.add(e)
	}
	c := NewEncoder()
	e.Sync(c)
	f.Add(c.Finish())
	f.Fuzz(func(t *testing.T, state []byte) {
		s := &script{}
		e := NewEngine()
		for i := range 3 {
			e.Register(fmt.Sprintf("player.%d", i), s)
		}
		d := NewDecoder(state)
		e.Sync(d)
		if d.Err() != nil {
			return
		}
		events := e.queue.pending(e.now)
		e.Run(Never)
		if len(s.log) != len(events) {
			t.Fatalf("%d of %d events handled", len(s.log), len(events))
		}
		for i := range events {
			if events[i].Kind != s.log[i] {
				t.Fatalf("event %d out of order", i)
			}
		}
	})
}
