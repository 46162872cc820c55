package sim

import "testing"

// BenchmarkEngine measures one event from the queue through the handler table
// and back into the queue, with 1024 components that each keep one event
// pending. One op is one event.
//
//	tick  re-armed for the next cycle
//	near  re-armed after 1 to 200 cycles, in four classes
//	far   re-armed after 1000 to 100000 cycles
func BenchmarkEngine(b *testing.B) {
	b.Run("tick", benchTick)
	b.Run("near", func(b *testing.B) { benchEngine(b, 1, 200, 4) })
	b.Run("far", func(b *testing.B) { benchEngine(b, 1_000, 100_000, 1) })
}

// rearm is a component that keeps one event pending. Its delays come from a
// table drawn beforehand, so that drawing them is not measured.
type rearm struct {
	delays *[1024]uint32
	count  uint64
}

func (r *rearm) Handle(e *Engine, ev Event) {
	ev.At += Cycle(r.delays[r.count%uint64(len(r.delays))])
	r.count++
	e.Schedule(ev)
}

// ticker is a component that acts every cycle.
type ticker struct{ count uint64 }

func (t *ticker) Handle(e *Engine, ev Event) {
	t.count++
	ev.At++
	e.Schedule(ev)
}

func benchTick(b *testing.B) {
	const components = 1024
	e := NewEngine()
	for range components {
		e.Schedule(Event{At: 1, Comp: e.Register("component", &ticker{})})
	}
	e.Run(2 * nearSlots)
	b.ReportAllocs()
	b.ResetTimer()
	e.Run(e.Now() + Cycle(1+b.N/components))
}

func benchEngine(b *testing.B, low, high uint64, classes int) {
	const components = 1024
	var delays [1024]uint32
	draw := NewStream(1, "bench")
	for i := range delays {
		delays[i] = uint32(low + draw.N(high-low+1))
	}
	e := NewEngine()
	for i := range components {
		id := e.Register("component", &rearm{delays: &delays, count: draw.N(1024)})
		e.Schedule(Event{At: Cycle(draw.N(high)), Comp: id, Class: Class(i % classes)})
	}
	e.Run(Cycle(10 * high))
	b.ReportAllocs()
	b.ResetTimer()
	// Each component has one event in (low+high)/2 cycles.
	e.Run(e.Now() + Cycle(uint64(b.N)*(low+high)/2/components))
}
