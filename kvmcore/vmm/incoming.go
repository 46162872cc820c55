package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// Incoming is the destination of a migration: a VM that exists, and whose vCPUs
// have not run. RAM arrives in its memory as it is sent.
//
//	source: state ──latency──► load ──latency──► source gives the VM up ──latency──► run
//	                             └ refused ────► source goes on
//
// The last message is what may let the destination run. It goes by the management
// connection, as libvirt's Finish does, which no failure here cuts: so there is
// always one side that runs the VM or is about to.
type Incoming struct {
	VMM       *VMM                                            // of the destination: tracking off
	Save      func(t *kvmcore.Thread) string                  // at the source: reads registers of vCPUs and devices
	Load      func(t *kvmcore.Thread, state string) (ok bool) // at the destination: writes them, restores tables
	Run       func()                                          // the devices follow the VM; nil = there are none
	Committed func()                                          // an epoch is complete here; nil = nobody cares
	RunOn     sim.Cycle                                       // with RunsOn: how long the VM runs here at most
	RunsOn    bool

	comp sim.ComponentID
	from *VMM

	state     string
	abandoned bool
	loaded    bool
	Failed    bool // loading did not work
	Began     sim.Cycle
	Took      sim.Cycle // of loading
}

const (
	eventLoad uint16 = iota
	eventRun
	eventCommit   // an epoch has arrived
	eventDeath    // the primary's host dies
	eventTakeOver // the backup knows
)

// connect makes the destination one of a source.
func (d *Incoming) connect(from *VMM) {
	d.from = from
	d.VMM.incoming = true
	d.comp = from.Engine.Register("incoming", d)
}

// arrive has the state arrive at cycle at.
func (d *Incoming) arrive(at sim.Cycle) { d.schedule(at, eventLoad) }

// run has the destination start its vCPUs at cycle at.
func (d *Incoming) run(at sim.Cycle) { d.schedule(at, eventRun) }

func (d *Incoming) schedule(at sim.Cycle, kind uint16) {
	e := d.from.Engine
	e.Schedule(sim.Event{At: max(at, e.Now()), Comp: d.comp, Kind: kind, Class: sim.ClassUser})
}

// abandon drops what has arrived: the source goes on.
func (d *Incoming) abandon() { d.abandoned, d.state = true, "" }

// Handle loads the state, or starts the VM.
func (d *Incoming) Handle(_ *sim.Engine, ev sim.Event) {
	src := d.from
	kt := d.VMM.main.kt
	kt.Core.Now = max(kt.Core.Now, ev.At)
	switch ev.Kind {
	case eventCommit:
		d.commit(ev.At)
		return
	case eventDeath:
		d.die(ev.At)
		return
	case eventTakeOver:
		d.takeOver(ev.At)
		return
	}
	switch {
	case d.abandoned || ev.Kind == eventLoad && src.broken(ev.At): // it never arrives
	case ev.Kind == eventLoad:
		d.Began = ev.At
		d.loaded = src.Migrate.Failure != FailRefuse && d.Load(kt, d.state)
		d.Failed = !d.loaded
		d.Took = kt.Core.Now - ev.At
		d.answer(kt.Core.Now + src.Migrate.Link.Latency)
	default:
		d.state = ""
		if d.Run != nil {
			d.Run()
		}
		d.VMM.Until = d.until(ev.At)
		d.VMM.Start()
	}
}

// until is how long the VM runs here: what is left of the source's time, and no
// longer than RunOn.
func (d *Incoming) until(now sim.Cycle) (n sim.Cycle) {
	if src := d.from; src.Until != 0 {
		n = max(src.started+src.Until, now+1) - now
	}
	if d.RunsOn && (n == 0 || d.RunOn < n) {
		n = max(d.RunOn, 1)
	}
	return n
}

// answer tells the source, unless the link is down by then.
func (d *Incoming) answer(at sim.Cycle) {
	src := d.from
	if src.broken(at) {
		return
	}
	src.mig.verdict = verdictRefused
	if d.loaded {
		src.mig.verdict = verdictLoaded
	}
	src.main.schedule(at)
}

func (d *Incoming) sync(c *sim.Codec) {
	c.Tag("incoming")
	c.Str(&d.state)
	c.Bool(&d.abandoned)
	c.Bool(&d.loaded)
	c.Bool(&d.Failed)
	sim.Uint(c, &d.Began)
	sim.Uint(c, &d.Took)
	sim.Uint(c, &d.VMM.Until)
}
