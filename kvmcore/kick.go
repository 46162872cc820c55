package kvmcore

import "ringmap/sim"

// Kick is who is asked to leave KVM_RUN when the VM's ring is nearly full: there
// is no vCPU whose ring it is.
type Kick struct {
	Choice
	ask func(t *Thread, vm *VM)
}

// kicks lists every choice of the axis.
var kicks = []*Kick{&kickNone, &kickVCPU0, &kickRoundRobin, &kickAll}

// Kicks lists every choice of the axis.
func Kicks() []*Kick { return kicks }

// ParseKick returns the choice of that name.
func ParseKick(name string) (*Kick, bool) {
	return named(kicks, name, func(k *Kick) *Choice { return &k.Choice })
}

// requestFull raises KVM_REQ_DIRTY_RING_SOFT_FULL on a vCPU.
func (v *VCPU) requestFull() { v.Requests |= ReqDirtyRingSoftFull }

// kick takes a vCPU out of the guest to look at its requests: kvm_vcpu_kick, an
// interrupt for its core if it is in the guest and none is on its way.
func (t *Thread) kick(v *VCPU) {
	w := v.Thread
	if !w.inGuest() || w.kicked {
		return
	}
	w.kicked = true
	t.Host.Stats.Kicks++
	t.spend(sim.Cycle(t.Host.Profile.Kick), CauseMark)
	t.Host.Kicked = append(t.Host.Kicked, Kicked{v, t.Core.Now})
}
