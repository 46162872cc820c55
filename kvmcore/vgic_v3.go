package kvmcore

import "ringmap/mmu"

// VGICv3 is the device "kvm-arm-vgic-v3": the attributes of distributor,
// redistributors and CPU interfaces.
type VGICv3 struct{ vgic *VGIC }

// Limits of GroupNrIRQs: at least 32 shared interrupts, at most 1024 in all.
const (
	minIRQs     = numPrivateIRQs + 32
	maxIRQs     = 1023
	defaultIRQs = 256
)

// SetAttr is vgic_v3_set_attr.
func (d *VGICv3) SetAttr(group uint32, attr uint64, size int, val uint64) Errno {
	g := d.vgic
	switch group {
	case GroupAddr:
		return g.setAddr(attr, val)
	case GroupNrIRQs:
		n := uint32(val)
		switch {
		case n < minIRQs || n > maxIRQs || n%32 != 0:
			return EINVAL
		case g.nrIRQs != 0:
			return EBUSY
		}
		g.nrIRQs = n
		return OK
	case GroupCtrl:
		switch attr {
		case CtrlInit:
			return g.init()
		case CtrlSavePending:
			return g.savePending()
		}
		return ENXIO
	case GroupDistRegs, GroupRedistRegs, GroupCPUSysregs, GroupLevelInfo:
		if group != GroupCPUSysregs {
			val &= 1<<32 - 1
		}
		_, e := g.userRegister(group, attr, true, val)
		return e
	}
	return ENXIO
}

// GetAttr is vgic_v3_get_attr.
func (d *VGICv3) GetAttr(group uint32, attr uint64, size int) (uint64, Errno) {
	g := d.vgic
	switch group {
	case GroupAddr:
		switch attr {
		case AddrDist:
			return uint64(g.distBase), OK
		case AddrRedist:
			if len(g.regions) == 0 {
				return uint64(undefined), OK
			}
			return uint64(g.regions[0].base), OK
		}
		return 0, ENXIO
	case GroupNrIRQs:
		return uint64(max(g.nrIRQs, numPrivateIRQs)), OK
	case GroupDistRegs, GroupRedistRegs, GroupCPUSysregs, GroupLevelInfo:
		return g.userRegister(group, attr, false, 0)
	}
	return 0, ENXIO
}

// setAddr is kvm_vgic_addr. ENODEV becomes ENXIO on the way out.
func (g *VGIC) setAddr(attr, addr uint64) Errno {
	switch attr {
	case AddrDist:
		e := g.vm.checkRange(g.distBase, addr, frame64K, distBytes)
		if e == OK {
			g.distBase = mmu.IPA(addr)
		}
		return e
	case AddrRedist:
		return g.addRegion(0, addr, 0)
	case AddrRedistRegion: // count [63:52], base [51:16], flags [15:12], index [11:0]
		index, flags, count := uint32(addr&0xfff), addr>>12&0xf, uint32(addr>>52)
		if count == 0 || flags != 0 {
			return EINVAL
		}
		return g.addRegion(index, addr&0x000f_ffff_ffff_0000, count)
	}
	return ENXIO
}

// userRegister is vgic_v3_attr_regs_access: userspace reads or writes a register.
func (g *VGIC) userRegister(group uint32, attr uint64, write bool, val uint64) (uint64, Errno) {
	offset := uint32(attr)
	var v *VCPU
	if group == GroupDistRegs {
		if len(g.vm.VCPUs) > 0 {
			v = g.vm.VCPUs[0]
		}
	} else if attr>>56 == 0 { // Aff3 is 0 for all
		v = g.vm.vcpuByAffinity(uint32(attr >> 32))
	}
	switch {
	case v == nil:
		return 0, EINVAL
	case g.vm.vcpuRuns():
		return 0, EBUSY
	case !g.initialised && !g.allowedBeforeInit(group, offset):
		return 0, EBUSY
	}
	a := access{offset: offset, size: 4, write: write, user: true, val: val}
	switch group {
	case GroupCPUSysregs:
		return g.cpuRegister(v, uint16(attr), write, val)
	case GroupLevelInfo:
		return g.lineLevels(v, offset, write, uint32(val))
	case GroupDistRegs:
		g.distAccess(&a)
	default:
		g.redistAccess(v, &a)
	}
	return a.val, a.err
}

// allowedBeforeInit is reg_allowed_pre_init of newer kernels: registers that say
// what the distributor can do.
func (g *VGIC) allowedBeforeInit(group uint32, offset uint32) bool {
	return g.vm.Host.Kernel.Version >= 617 && group == GroupDistRegs &&
		(offset == regDistIIDR || offset == regDistTyper2)
}

// savePending is KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: vgic_v3_save_pending_tables.
func (g *VGIC) savePending() Errno {
	switch {
	case g.vm.vcpuRuns():
		return EBUSY
	case !g.initialised:
		return ENXIO
	}
	g.Stats.PendingSaves++
	g.spend(g.cost().LPIVisit * uint64(g.lpis.Count()))
	return errnoOf(g.lpis.SavePending(g.machine))
}
