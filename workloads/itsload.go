package workloads

import (
	"fmt"

	"ringmap/mmu"
	"ringmap/sim"
)

// ITSSpec is a GICv3 with an ITS, the devices behind it, and how busy they are.
type ITSSpec struct {
	Devices int // 1 to 65520, DeviceIDs from 16 up
	Events  int // interrupt vectors per device, 1 to 65536; all devices' vectors together at most 57344, the LPIs of 16-bit INTIDs

	MSIGap      sim.Cycle // mean cycles between two MSIs of all devices; 0 = none
	MSIRegular  bool      // every MSIGap cycles exactly; otherwise a Poisson stream
	Busy        int       // devices, the first ones, that signal nine MSIs of ten and their part of the tenth; 0 = all signal alike
	Storm       int       // MSIs of a storm: one device signals event after event at once; 0 = none
	StormEvery  sim.Cycle // cycles from one storm to the next, at least 1 with Storm
	SaveEvery   sim.Cycle // cycles between two saves of the tables; 0 = never
	Unmap       bool      // at the end of the set-up the guest unmaps the collection of its last vCPU, with events mapped to it
	SavePending bool      // a save also saves the LPIs' pending tables

	MoveGap  uint64 // mean guest cycles of vCPU 0 between two events that its driver moves to another vCPU; 0 = none
	ChurnGap uint64 // and between two devices that it unbinds and binds again; 0 = none

	Tables mmu.IPA // guest memory for queue and tables, a multiple of 64 KiB, TableBytes long
}

// ITSActionKind is what happens at the ITS.
type ITSActionKind uint8

const (
	ITSSignal      ITSActionKind = iota // KVM_SIGNAL_MSI of DevID and EventID
	ITSSaveTables                       // KVM_DEV_ARM_ITS_SAVE_TABLES
	ITSSavePending                      // KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES
)

// ITSAction is one timed action.
type ITSAction struct {
	At      sim.Cycle
	DevID   uint32
	EventID uint32
	Kind    ITSActionKind
}

// First identifiers, and the bounds of 16-bit INTIDs. IHI 0069 2.2, 5.2.
const (
	firstDevice = 16
	maxDevices  = 1<<16 - firstDevice
	firstLPI    = 8192
	maxLPIs     = 1<<16 - firstLPI

	maxStorm = 1 << 20 // MSIs at once

	busyShare = 9 // of ten MSIs: what the busy devices signal, beside their part of the tenth
)

// Validate tells whether the spec can run with the given number of vCPUs.
func (s ITSSpec) Validate(vcpus int) error {
	switch {
	case vcpus < 1 || vcpus > 65536:
		return fmt.Errorf("workloads: an ITS needs 1 to 65536 vCPUs, not %d", vcpus)
	case s.Devices < 1 || s.Devices > maxDevices:
		return &ParamError{"devices", fmt.Sprintf("%d is out of range; write 1 to %d", s.Devices, maxDevices)}
	case s.Events < 1 || s.Events > 1<<16:
		return &ParamError{"events", fmt.Sprintf("%d is out of range; write 1 to 65536", s.Events)}
	case s.Devices*s.Events > maxLPIs:
		return &ParamError{"events", fmt.Sprintf("%d devices of %d events need %d LPIs; there are %d", s.Devices, s.Events, s.Devices*s.Events, maxLPIs)}
	case s.Busy < 0 || s.Busy > s.Devices:
		return &ParamError{"busy", fmt.Sprintf("%d is out of range; there are %d devices", s.Busy, s.Devices)}
	case s.Storm < 0 || s.Storm > maxStorm:
		return &ParamError{"storm", fmt.Sprintf("%d is out of range; write 0 to %d", s.Storm, maxStorm)}
	case s.Storm != 0 && s.StormEvery == 0:
		return &ParamError{"storm_every", "storms without time between them never end"}
	case uint64(s.Tables)%itsTable != 0:
		return &ParamError{"tables", fmt.Sprintf("%#x does not begin on 64 KiB", s.Tables)}
	}
	return nil
}

// ITSLoad gives the actions of an ITS in the order of their time.
type ITSLoad struct {
	spec ITSSpec
	rng  sim.Stream
	msi  sim.Cycle // time of the next MSI, sim.Never without
	save sim.Cycle // time of the next save
	half bool      // the tables are saved, the pending tables follow

	storm     sim.Cycle // time of the present or next storm, sim.Never without
	left      int       // MSIs left of the present one
	stormFrom uint32    // its device
}

// NewITSLoad starts the schedule at cycle start: the first MSI comes a gap
// later, the first save SaveEvery cycles later. The spec must be valid.
func NewITSLoad(s ITSSpec, start sim.Cycle, seed uint64) *ITSLoad {
	l := &ITSLoad{spec: s, rng: sim.NewStream(seed, "workloads/its"), msi: sim.Never, save: sim.Never, storm: sim.Never}
	if s.MSIGap != 0 {
		l.msi = start + l.gap()
	}
	if s.SaveEvery != 0 {
		l.save = start + s.SaveEvery
	}
	if s.Storm != 0 {
		l.storm = start + s.StormEvery
	}
	return l
}

// Next returns the next action; false if there will be none. At the same cycle
// a storm comes before an MSI, an MSI before a save, and the tables before the pending tables, the
// order in which QEMU's handlers run (spec of a VM state change).
func (l *ITSLoad) Next() (ITSAction, bool) {
	switch {
	case l.half:
		a := ITSAction{At: l.save, Kind: ITSSavePending}
		l.half = false
		l.save += l.spec.SaveEvery
		return a, true
	case l.msi == sim.Never && l.save == sim.Never && l.storm == sim.Never:
		return ITSAction{}, false
	case l.storm <= min(l.msi, l.save):
		return l.nextOfStorm(), true
	case l.msi <= l.save:
		a := ITSAction{At: l.msi, Kind: ITSSignal}
		devices := l.spec.Devices
		if l.spec.Busy != 0 && l.rng.Chance(busyShare, 10) {
			devices = l.spec.Busy
		}
		a.DevID = firstDevice + uint32(l.rng.N(uint64(devices)))
		a.EventID = uint32(l.rng.N(uint64(l.spec.Events)))
		l.msi += l.gap()
		return a, true
	}
	a := ITSAction{At: l.save, Kind: ITSSaveTables}
	if l.spec.SavePending {
		l.half = true
	} else {
		l.save += l.spec.SaveEvery
	}
	return a, true
}

// nextOfStorm is an MSI of the storm that is due: one device, event after event.
func (l *ITSLoad) nextOfStorm() ITSAction {
	if l.left == 0 {
		l.left = l.spec.Storm
		l.stormFrom = firstDevice + uint32(l.rng.N(uint64(l.spec.Devices)))
	}
	a := ITSAction{At: l.storm, Kind: ITSSignal, DevID: l.stormFrom, EventID: uint32((l.spec.Storm - l.left) % l.spec.Events)}
	if l.left--; l.left == 0 {
		l.storm += l.spec.StormEvery
	}
	return a
}

// gap is the time to the next MSI.
func (l *ITSLoad) gap() sim.Cycle {
	if l.spec.MSIRegular {
		return l.spec.MSIGap
	}
	return sim.Cycle(exponential(&l.rng, uint64(l.spec.MSIGap)))
}

// Sync saves, restores or hashes the schedule's state.
func (l *ITSLoad) Sync(c *sim.Codec) {
	c.Tag("workloads/its")
	l.rng.Sync(c)
	sim.Uint(c, &l.msi)
	sim.Uint(c, &l.save)
	c.Bool(&l.half)
	sim.Uint(c, &l.storm)
	c.Int(&l.left)
	c.U32(&l.stormFrom)
	if l.left < 0 || l.left > l.spec.Storm {
		c.Fail(fmt.Errorf("%d MSIs left of a storm of %d", l.left, l.spec.Storm))
		l.left = 0
	}
}
