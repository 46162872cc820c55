package bench

import (
	"fmt"

	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/sim"
)

// Inspection is the interrupt controller of a run that was stopped.
type Inspection struct {
	Name  string           `json:"name"`
	Cycle uint64           `json:"cycle"`
	Ended bool             `json:"ended"` // the run, final save included
	Moved bool             `json:"moved"` // the VM runs at the destination, and this is that one's
	GIC   *kvmcore.GICView `json:"gic"`
}

// Inspect runs a scenario to the time at (zero = to its end) and looks at GICv3 and
// ITS of its VM. From a snapshot (o.Resume) with at zero it looks at what the
// snapshot holds. Of the options it knows Resume, ResumeName and Progress. Errors
// are those of Run, and a scenario without an interrupt controller.
func Inspect(s *scenario.Scenario, at scenario.Time, o Options) (*Inspection, error) {
	var files Files
	j, err := files.Prepare(s)
	if err != nil {
		return nil, err
	}
	m, err := build(s, j.plan, j.plan.Track)
	if err != nil {
		return nil, err
	}
	defer m.close()
	limit := sim.Never
	if at != (scenario.Time{}) {
		limit = at.In(j.plan.Clock)
	}
	if o.Resume == nil {
		m.start()
	} else {
		if j.plan.Series != 0 {
			m.series = newSeries(m) // its state is in the snapshot
		}
		if err := m.resume(newResult(s, j.plan, j.digest), o); err != nil {
			return nil, err
		}
		if limit == sim.Never {
			limit = m.engine.Now()
		}
		if limit < m.engine.Now() {
			return nil, fmt.Errorf("%s continues at cycle %d, after %s: ask for a later time", o.ResumeName, m.engine.Now(), at)
		}
	}
	for !m.finished() && m.engine.Now() < limit {
		if _, more := m.engine.Next(); !more {
			return nil, fmt.Errorf("the simulation stands still at cycle %d: every thread waits (a defect of ringmap)", m.engine.Now())
		}
		m.engine.Run(min(m.engine.Now()+slice, limit))
		if o.Progress != nil {
			o.Progress(m.progress())
		}
	}
	if m.trace != nil && m.trace.Err() != nil {
		return nil, m.trace.Err()
	}
	i := &Inspection{Name: string(s.Name), Cycle: uint64(m.engine.Now()), Ended: m.finished()}
	vm := m.vm
	if m.dst != nil && m.dst.moved {
		vm, i.Moved = m.dst.vm, true
	}
	if i.GIC = vm.ViewGIC(); i.GIC == nil {
		return nil, s.Problem("its.devices", "write its.devices: 8, or run a program", "the VM has no interrupt controller to look at")
	}
	return i, nil
}
