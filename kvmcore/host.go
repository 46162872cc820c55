package kvmcore

import (
	"slices"

	"ringmap/cpu"
	"ringmap/cpu/cache"
	"ringmap/mmu"
)

// HostSpec describes a modelled host. Whoever reads it from a user (bench)
// validates it; NewHost takes it as right.
type HostSpec struct {
	Kernel  Kernel
	Profile *Profile    // nil = software costs nothing: for callers without time
	Page    mmu.Granule // host page size; 0 = 4 KiB
	Cores   int         // 0 = 1
	TLB     mmu.TLBSpec // zero value = the profile's
	Caches  *cache.Spec // nil = accesses take what the profile says (atomic)

	Memory *mmu.Memory // physical memory that is there already, nil = none: see cpu.Spec
	Free   mmu.PFN     // its end
}

// NewHost builds a machine that has just booted, with a VMM process that maps
// nothing yet.
func NewHost(spec HostSpec) *Host {
	if spec.Page == 0 {
		spec.Page = mmu.Granule4K
	}
	if spec.Profile == nil {
		spec.Profile = &Profile{}
	}
	h := &Host{
		Machine: cpu.NewMachine(cpu.Spec{Cores: max(spec.Cores, 1), TLB: spec.TLB, Costs: spec.Profile.Costs, Caches: spec.Caches, Memory: spec.Memory, Free: spec.Free}),
		Kernel:  spec.Kernel, Profile: spec.Profile, Page: spec.Page,
		Warned: map[string]bool{},
	}
	h.Memory = NewHostMemory(h)
	h.boot = h.NewThread(h.Machine.Cores[0], "ioctl")
	return h
}

// CreateVM is KVM_CREATE_VM with the default type: IPABits of guest addresses.
func (h *Host) CreateVM() *VM {
	vm, _ := h.CreateVMType(IPABits)
	return vm
}

// CreateVMType is KVM_CREATE_VM with KVM_VM_TYPE_ARM_IPA_SIZE(ipaBits): EINVAL
// outside 32 to mmu.MaxIPABits, there being no FEAT_LPA in the model.
// kvm_init_stage2_mmu.
func (h *Host) CreateVMType(ipaBits uint8) (*VM, Errno) {
	if ipaBits < minIPABits || ipaBits > mmu.MaxIPABits {
		return nil, EINVAL
	}
	h.vmids++
	vm := &VM{Host: h, VMID: h.vmids, Design: LinuxDesign(), policy: &policyRingBitmap}
	vm.Stage2 = mmu.NewStage2(h.Machine.Mem, h.Machine.Alloc, h.Page, ipaBits, vm.VMID)
	h.VMs = append(h.VMs, vm)
	return vm, OK
}

// Destroy is the release of the VM's last descriptor: kvm_destroy_vm. The
// memory of the VMM's process stays and may back the next VM.
func (vm *VM) Destroy() {
	h := vm.Host
	for _, v := range vm.VCPUs {
		h.freeRing(&v.Ring)
	}
	h.freeRing(&vm.VMRing)
	for _, word := range []*mmu.PA{&vm.FullFlag, &vm.vmRingLock.word} {
		if *word != 0 {
			h.Machine.Alloc.Free(word.PFN(), 0)
			*word = 0
		}
	}
	for _, s := range vm.Slots.All() {
		h.freeBitmap(&s.Bitmap)
	}
	for _, l := range []*Lock{&vm.SlotsLock, &vm.MMULock} {
		if l.word != 0 {
			h.Machine.Alloc.Free(l.word.PFN(), 0)
			*l = Lock{}
		}
	}
	h.Machine.Domain.InvalidateVMID(vm.VMID)
	vm.Stage2.Destroy(h.Machine.Mem)
	h.VMs = slices.DeleteFunc(h.VMs, func(other *VM) bool { return other == vm })
	vm.VCPUs, vm.Slots, vm.Devices, vm.vgic = nil, SlotTable{}, nil, nil
}

// CreateVCPU is KVM_CREATE_VCPU, with the thread of the VMM that runs the vCPU:
// on core Index modulo their number. In this order: EINVAL for an id that is too
// large, EBUSY when the GICv3 is initialised, ENOMEM when the ring finds no
// memory, EEXIST for an id in use.
func (vm *VM) CreateVCPU(id uint64) (*VCPU, Errno) {
	switch {
	case id >= MaxVCPUs:
		return nil, EINVAL
	case vm.vgicInitialised(): // kvm_arch_vcpu_precreate
		return nil, EBUSY
	}
	h := vm.Host
	ring, ok := vm.newRing(vm.RingSize / RingEntryBytes)
	if !ok {
		return nil, ENOMEM
	}
	for _, v := range vm.VCPUs {
		if uint64(v.ID) == id {
			h.freeRing(&ring)
			return nil, EEXIST
		}
	}
	v := &VCPU{VM: vm, ID: uint32(id), Index: len(vm.VCPUs), Ring: ring}
	v.initRun(h.NewThread(h.Machine.Cores[v.Index%len(h.Machine.Cores)], "vcpu"))
	vm.VCPUs = append(vm.VCPUs, v)
	return v, OK
}

// invalidate removes what stage-2 tables say of a range of the process's memory:
// the MMU notifier, kvm_unmap_gfn_range. The caller pays for it.
func (h *Host) invalidate(start mmu.HVA, size uint64) {
	for _, vm := range h.VMs {
		for _, s := range vm.Slots.All() {
			from := max(start, s.HVA)
			to := min(start+mmu.HVA(size), s.HVA+mmu.HVA(s.Pages<<h.Page.Shift()))
			if from < to {
				vm.unmap(s.Base+mmu.GFN((from-s.HVA)>>h.Page.Shift()), uint64(to-from)>>h.Page.Shift())
			}
		}
	}
}

// unmap removes guest frames from stage 2 and from all TLBs, in no time.
func (vm *VM) unmap(base mmu.GFN, pages uint64) {
	var b mmu.Block
	p := vm.Stage2.Unmap(base, pages)
	mmu.RunNow(vm.Host.Machine.Mem, vm.Host.Machine.Domain, &b, &p)
}

// kernelThread is the thread on which calls without time run.
func (h *Host) kernelThread() *Thread { return h.boot }
