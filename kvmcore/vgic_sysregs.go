package kvmcore

import (
	"ringmap/cpu/arch"
	"ringmap/its"
)

// cpuRegister is userspace's access to a register of a vCPU's CPU interface, by its
// encoding: ENOENT for one that is none. vgic-sys-reg-v3.c.
func (g *VGIC) cpuRegister(v *VCPU, enc uint16, write bool, val uint64) (uint64, Errno) {
	c := &g.redist(v).cpu
	if enc>>14 != 3 { // all are of op0 3
		return 0, ENOENT
	}
	reg := arch.RegAt(arch.Enc(enc))
	group := its.Group(reg == arch.ICC_BPR1_EL1 || reg == arch.ICC_IGRPEN1_EL1 || reg == arch.ICC_AP1R0_EL1)
	switch reg {
	case arch.ICC_PMR_EL1:
		if write {
			c.WritePMR(val)
		}
		return uint64(c.PMR), OK
	case arch.ICC_BPR0_EL1, arch.ICC_BPR1_EL1:
		if write {
			c.WriteBPR(group, val)
		}
		return c.ReadBPR(group), OK
	case arch.ICC_IGRPEN0_EL1, arch.ICC_IGRPEN1_EL1:
		if write {
			c.Enabled[group] = val&1 != 0
		}
		return boolBit(c.Enabled[group]), OK
	case arch.ICC_AP0R0_EL1, arch.ICC_AP1R0_EL1:
		if write {
			c.Active[group] = uint32(val)
		}
		return uint64(c.Active[group]), OK
	case arch.ICC_AP0R1_EL1, arch.ICC_AP0R2_EL1, arch.ICC_AP0R3_EL1, arch.ICC_AP1R1_EL1, arch.ICC_AP1R2_EL1, arch.ICC_AP1R3_EL1:
		return 0, EINVAL // more than 32 priorities
	case arch.ICC_SRE_EL1:
		if write && val&1 == 0 {
			return 0, EINVAL
		}
		return iccSRE, OK
	case arch.ICC_CTLR_EL1:
		if write {
			if !restorable(its.CPUCTLR(val)) {
				return 0, EINVAL
			}
			c.WriteCTLR(val)
		}
		return c.ReadCTLR(), OK
	}
	return 0, ENOENT
}

// restorable tells whether the hardware can do what a saved ICC_CTLR_EL1 says that
// it could: set_gic_ctlr.
func restorable(w its.CPUCTLR) bool {
	const seis = 1 << 14
	return w.PriorityBits() <= its.PriorityBits && w.IDBits() == 0 && w&seis == 0 && w.A3V()
}

// lineLevels is the group of levels: those of 32 lines from intid on, of which SGIs
// have none. A level that is set is set whatever the configuration says yet.
// vgic_v3_line_level_info_uaccess.
func (g *VGIC) lineLevels(v *VCPU, offset uint32, write bool, val uint32) (uint64, Errno) {
	const lineLevel = 0 // VGIC_LEVEL_INFO_LINE_LEVEL
	kind, intid := offset>>10&0x3f_ffff, offset&0x3ff
	if kind != lineLevel || intid%32 != 0 {
		return 0, EINVAL
	}
	levels := uint64(0)
	for i := range uint32(32) {
		p := g.interrupt(int32(v.Index), intid+i)
		if intid+i < numSGIs || p == nil {
			continue
		}
		if write {
			if p.Line = val>>i&1 != 0; p.Line {
				g.queue(p)
			}
		}
		levels |= boolBit(!p.Edge && p.Line) << i
	}
	return levels, OK
}
