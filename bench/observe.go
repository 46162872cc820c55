package bench

import (
	"fmt"
	"time"

	"ringmap/bench/view"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
)

// observe attaches what the options want to see. It changes nothing in the run.
// A resumed run is seen from where it resumes.
func (m *machine) observe(o Options) error {
	var probes []*kvmcore.Probe
	if o.Profile {
		m.profile = view.NewProfile(uint64(m.plan.Clock), m.threadNames())
		probes = append(probes, m.profile.Probe())
	}
	if o.Window != nil {
		w := view.Window{From: o.Window.From.In(m.plan.Clock), To: o.Window.To.In(m.plan.Clock), Events: o.Window.Events}
		if w.To != 0 && w.To <= w.From {
			return fmt.Errorf("the window %s..%s is empty: its end must come after its start", o.Window.From, o.Window.To)
		}
		m.window = view.NewTrace(w, uint64(m.plan.Clock), m.vm, m.threadNames())
		probes = append(probes, m.window.Probe())
		if m.vmm.Audit != nil {
			m.vmm.Audit = &collections{Audit: m.vmm.Audit, window: m.window}
		}
		if save := m.vmm.Save; save != nil {
			m.vmm.Save = func(t *kvmcore.Thread) kvmcore.Errno {
				m.window.Begin("saves", t.Core.Now)
				defer func() { m.window.End("saves", "table save", t.Core.Now) }()
				return save(t)
			}
		}
	}
	if m.series != nil {
		probes = append(probes, m.series.probe())
	}
	m.host.Attach(view.Join(probes...))
	return nil
}

// threadNames returns a function that gives a thread its name in records.
func (m *machine) threadNames() func(*kvmcore.Thread) string {
	names := map[*kvmcore.Thread]string{m.vmm.Main(): "vmm"}
	for i, v := range m.vm.VCPUs {
		names[v.Thread] = fmt.Sprintf("vcpu.%d", i)
	}
	if m.devices != nil {
		names[m.devices] = "devices"
	}
	if m.outside != nil {
		names[m.outside.thread] = "outside"
	}
	return func(t *kvmcore.Thread) string {
		if name, ok := names[t]; ok {
			return name
		}
		return t.Name
	}
}

// collections shows the audit's collections in the window.
type collections struct {
	vmm.Audit
	window *view.Trace
	open   bool
}

// Open notes when a collection begins, not that it looks again.
func (c *collections) Open(now sim.Cycle) {
	if !c.open {
		c.window.Begin("collections", now)
	}
	c.open = true
	c.Audit.Open(now)
}

// Close ends the collection.
func (c *collections) Close(now sim.Cycle) {
	c.open = false
	c.window.End("collections", "collection", now)
	c.Audit.Close(now)
}

// tell puts what was seen into the result.
func (m *machine) tell(r *Result) (err error) {
	m.host.Settle()
	if m.series != nil {
		r.Series = m.series.record(m.engine.Now())
	}
	if m.profile != nil {
		if r.Profile, err = m.profile.Encode(); err != nil {
			return err
		}
	}
	if m.window != nil {
		r.TraceOmitted = m.window.Omitted
		r.Trace, err = m.window.Encode(m.engine.Now())
	}
	return err
}

// publishEvery is the wall time between two snapshots for those who look on.
const publishEvery = 100 * time.Millisecond

// publish hands the statistics to whoever looks on, if it is time or must be now.
func (m *machine) publish(o Options, must bool) {
	if o.Publish == nil || !must && time.Since(m.published) < publishEvery {
		return
	}
	m.published = time.Now()
	m.stats.Now = m.engine.Now()
	var list []sim.Stat
	m.stats.Each(func(st sim.Stat) { list = append(list, st) })
	o.Publish(m.progress(), list)
}

// nextSample is when the series looks again.
func (m *machine) nextSample() sim.Cycle {
	if m.series == nil {
		return sim.Never
	}
	return m.series.next
}
