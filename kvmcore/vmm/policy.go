package vmm

// FullAction is what a vCPU thread does when KVM_RUN returns
// KVM_EXIT_DIRTY_RING_FULL.
type FullAction uint8

const (
	FullWait     FullAction = iota // sleep until the main thread has reset the ring
	FullReapOwn                    // harvest this ring and reset
	FullReapAll                    // harvest every ring and reset
	FullPauseAll                   // stop every other vCPU, harvest every ring and reset, let them go on
)

// Policy is a harvest policy: a named choice of what drains full rings. How
// often the main thread collects is Spec.Period, whatever the policy.
type Policy struct {
	Name     string
	Desc     string
	Source   string // where such a VMM can be seen
	OnFull   FullAction
	PeriodNS uint64 // default of Spec.Period, in nanoseconds
}

// policies lists every harvest policy, the default first. Each has its own file.
var policies = []Policy{policyOnFullAll, policyOnFullOwn, policyPauseAll, policyInterval}

// Policies lists every harvest policy, the default first.
func Policies() []Policy { return append([]Policy(nil), policies...) }

// ParsePolicy returns the harvest policy of that name.
func ParsePolicy(name string) (Policy, bool) {
	for _, p := range policies {
		if p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}
