package kvmcore

import "fmt"

// Choice describes one named choice of a design axis to users.
type Choice struct {
	Name   string  // as users type it
	Desc   string  // one line
	Source string  // where it was proposed or can be seen
	Params []Param // what it takes beside its name
}

// Param is a parameter that goes with a choice, by its key in scenario files.
type Param struct {
	Key, Default, Doc string
}

// Policy is a way to record dirty pages. Linux's own are bitmap, ring and
// ring+bitmap: all three are markPageDirtyInSlot under different capabilities.
// The others stand beside it, one file each, and were only ever argued about.
type Policy struct {
	Choice
	Rings  bool // vCPUs have rings (KVM_CAP_DIRTY_LOG_RING_ACQ_REL)
	Bitmap bool // logged slots have bitmaps, beside rings by KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP
	both   bool // ring entries have bits beside them, which their reset clears
	VMRing bool // what is written without a vCPU goes to one ring of the VM

	record func(vm *VM, v *VCPU, s *Slot) record // the decision, for every record
	full   func(v *VCPU) bool                    // whether a vCPU asked to must leave KVM_RUN
}

// policies lists every recording policy, Linux's first.
var policies = []*Policy{
	&policyRingBitmap, &policyRing, &policyBitmap, &policyVMRing, &policyVMRing1,
	&policyRingOverflowBitmap, &policyRingFlaggedBitmap, &policyRequireBitmap,
}

// Policies lists every recording policy.
func Policies() []*Policy { return policies }

// ParsePolicy returns the recording policy of that name.
func ParsePolicy(name string) (*Policy, bool) {
	return named(policies, name, func(p *Policy) *Choice { return &p.Choice })
}

// named finds the choice of that name.
func named[T any](list []*T, name string, choice func(*T) *Choice) (*T, bool) {
	for _, c := range list {
		if choice(c).Name == name {
			return c, true
		}
	}
	return nil, false
}

// Detect is when the kernel notices that a VM has rings alone and an ITS, whose
// table writes nobody will record: from "userspace decides" to "refuse it early".
type Detect uint8

const (
	DetectNever     Detect = iota // Linux: the page is silently lost
	DetectFirstLoss               // the first lost record ends KVM_RUN of every vCPU with EIO
	DetectEnable                  // a slot cannot be logged then (EINVAL)
	DetectITS                     // the ITS cannot be created then (EINVAL)
	numDetects
)

var detects = [numDetects]Choice{
	{Name: "never", Desc: "nobody notices: the record is lost in silence", Source: "Linux"},
	{Name: "first-loss", Desc: "the first lost record makes KVM_RUN of every vCPU fail with EIO", Source: "S. Christopherson, Oct 2022: kick all vCPUs out with a new exit reason"},
	{Name: "enable", Desc: "KVM_SET_USER_MEMORY_REGION refuses LOG_DIRTY with EINVAL while an ITS exists and slots get no bitmap", Source: "S. Christopherson, Oct 2022: an indication before a page is dirtied"},
	{Name: "its", Desc: "KVM_CREATE_DEVICE refuses the ITS with EINVAL while rings are on and slots get no bitmap", Source: "S. Christopherson, Oct 2022: require a bitmap when an ITS is created"},
}

// Detects lists the choices of the axis, Linux's first.
func Detects() []Choice { return detects[:] }

// ParseDetect returns the choice of that name.
func ParseDetect(name string) (Detect, bool) {
	for d, c := range detects {
		if c.Name == name {
			return Detect(d), true
		}
	}
	return 0, false
}

// Design is what a VM's dirty tracking is made of, beside what capabilities
// say. A VM is created with LinuxDesign.
type Design struct {
	Policy *Policy // nil = Linux's: whichever of its three the capabilities make
	Kick   *Kick   // who is asked to leave KVM_RUN for a full VM ring
	Layout *Layout // how kernel and userspace share a ring

	Reserve  uint32 // entries of a ring that are left when the vCPU must exit; an arm64 host has no hardware buffer to add
	AnySize  bool   // rings of any number of entries, not only powers of two
	Sized    bool   // an entry says how many pages it is about
	LogBlock bool   // a huge page stays one when it is logged, and is recorded whole

	VMRingEntries uint32 // of a VM ring
	OverflowHard  bool   // ring-overflow-bitmap: go on to the last entry, not only to the soft limit
	Detect        Detect
}

// LinuxDesign is the design of the modelled kernel.
func LinuxDesign() Design {
	return Design{Kick: &kickNone, Layout: &layoutInEntry, Reserve: RingReservedEntries}
}

// NeedsBitmap tells whether logged slots own bitmaps beside the VM's ring: the
// RFC's do, which sets a bit for every entry.
func (d *Design) NeedsBitmap() bool {
	return d.Policy != nil && (d.Policy.Bitmap || d.Policy.VMRing && d.Kick == &kickNone)
}

// Limits of a design.
const (
	MaxRingReserve = 4096 // entries
	minVMRing      = 2    // entries; vmring-1 sets its own
)

// SetDesign replaces the design. It must come before the VM's capabilities,
// slots and vCPUs: EBUSY otherwise, EINVAL for one that cannot be.
func (vm *VM) SetDesign(d Design) Errno {
	if vm.RingSize != 0 || vm.Slots.Len() != 0 || len(vm.VCPUs) != 0 {
		return EBUSY
	}
	if d.Validate() != nil {
		return EINVAL
	}
	vm.Design = d
	vm.policy = d.Policy
	if vm.policy == nil {
		vm.policy = &policyRingBitmap
	}
	if vm.policy.VMRing {
		return vm.createVMRing()
	}
	if vm.policy == &policyRingFlaggedBitmap {
		return vm.createFullFlag()
	}
	return OK
}

// Validate reports what is impossible about a design.
func (d *Design) Validate() error {
	switch p := d.Policy; {
	case d.Kick == nil || d.Layout == nil:
		return fmt.Errorf("kvmcore: a design without kick or layout")
	case d.Reserve > MaxRingReserve:
		return fmt.Errorf("kvmcore: %d reserved entries: the most is %d", d.Reserve, MaxRingReserve)
	case d.Detect >= numDetects:
		return fmt.Errorf("kvmcore: unknown detection point %d", d.Detect)
	case p != nil && p.VMRing && p != &policyVMRing1 && (d.VMRingEntries < minVMRing || d.VMRingEntries > RingMaxEntries):
		return fmt.Errorf("kvmcore: a VM ring of %d entries: use %d to %d", d.VMRingEntries, minVMRing, RingMaxEntries)
	case d.LogBlock && !d.Sized && p != nil && p.Rings:
		return fmt.Errorf("kvmcore: entries without a size cannot record huge pages whole")
	case d.LogBlock && p != nil && p.both:
		return fmt.Errorf("kvmcore: policy %s cannot record huge pages whole", p.Name)
	}
	return nil
}
