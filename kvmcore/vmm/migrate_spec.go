package vmm

import (
	"fmt"

	"ringmap/sim"
)

// MigrateSpec is a migration as QEMU is asked for it: migration/options.c.
type MigrateSpec struct {
	Start sim.Cycle // from the start of the vCPUs on
	Hz    uint64    // cycles in a second of the host clock

	Bandwidth   uint64 // max-bandwidth: bytes a second that are offered to the link
	Downtime    uint64 // downtime-limit, in milliseconds
	Switchover  uint64 // avail-switchover-bandwidth: bytes a second, 0 = as measured
	ZeroPages   bool   // a page of zeros travels as one byte; false = as a page like any other
	Link        LinkSpec
	Throttle    ThrottleSpec
	Failure     Failure
	FailAt      sim.Cycle // when it strikes, from the start of the vCPUs on
	Destination *Incoming // where it goes; nil = to memory without a VM
}

// Failure is what goes wrong with a migration on purpose.
type Failure uint8

const (
	FailNothing Failure = iota
	FailLink            // the link drops and stays down
	FailRefuse          // the destination refuses the state when it loads it
	FailCancel          // migrate_cancel
	numFailures
)

var failureNames = [numFailures]string{"none", "link-drop", "refuse", "cancel"}

// String returns the name that scenario files use.
func (f Failure) String() string { return failureNames[f] }

// Failures lists the names of failures.
func Failures() []string { return failureNames[:] }

// ParseFailure returns the failure of that name.
func ParseFailure(name string) (Failure, bool) {
	for f, n := range failureNames {
		if n == name {
			return Failure(f), true
		}
	}
	return 0, false
}

// Validate reports what is wrong with the spec.
func (g *MigrateSpec) Validate(track Tracking) error {
	switch {
	case track == TrackOff:
		return fmt.Errorf("vmm: a migration needs tracking")
	case g.Hz < 1000:
		return fmt.Errorf("vmm: a migration needs the clock's frequency")
	case g.Bandwidth == 0 || g.Link.Bandwidth == 0:
		return fmt.Errorf("vmm: a migration without bandwidth never ends")
	case g.Downtime == 0:
		return fmt.Errorf("vmm: a downtime limit of 0 ms is never met")
	case g.Failure >= numFailures:
		return fmt.Errorf("vmm: unknown failure %d", g.Failure)
	}
	return g.Throttle.validate(track)
}
