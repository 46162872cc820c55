package kvmcore

import "ringmap/mmu"

// mmio is a guest access of size bytes to the frames of distributor,
// redistributors or an ITS, on v's thread with v loaded: whatever it makes the
// interrupt controller write is a write of that vCPU. It returns the value read
// and whether one of them took it; if none did, the access is an MMIO exit.
func (g *VGIC) mmio(v *VCPU, ipa mmu.IPA, size uint8, write bool, value uint64) (uint64, bool) {
	if g == nil || !g.decodes(ipa, size) {
		return 0, false
	}
	saved := g.thread
	g.thread = v.Thread
	val := g.access(ipa, access{size: size, write: write, val: value})
	g.thread = saved
	return val, true
}

// decodes tells whether an access lies within one of the controller's frames.
func (g *VGIC) decodes(ipa mmu.IPA, size uint8) bool {
	first, _ := g.frame(ipa)
	last, _ := g.frame(ipa + mmu.IPA(size) - 1)
	return first == last && first.kind != frameNone
}

// access reads or writes the register at ipa.
func (g *VGIC) access(ipa mmu.IPA, a access) uint64 {
	f, offset := g.frame(ipa)
	a.offset = offset
	switch f.kind {
	case frameDist:
		g.distAccess(&a)
	case frameRedist:
		g.redistAccess(g.vm.VCPUs[f.index], &a)
	case frameITS:
		g.itss[f.index].mmio(&a)
	}
	return a.val
}

// gicFrame is one device of the controller on the guest's bus.
type gicFrame struct {
	kind  frameKind
	index int // which vCPU's redistributor, which ITS
}

type frameKind uint8

const (
	frameNone frameKind = iota
	frameDist
	frameRedist
	frameITS
)

// frame finds the device at an address, and the offset into it.
func (g *VGIC) frame(ipa mmu.IPA) (gicFrame, uint32) {
	if g.initialised {
		if g.distBase != undefined && ipa-g.distBase < distBytes {
			return gicFrame{kind: frameDist}, uint32(ipa - g.distBase)
		}
		first := 0 // the first vCPU whose redistributor is in the region
		for _, r := range g.regions {
			n := len(g.vm.VCPUs) - first
			if r.count != 0 {
				n = min(n, int(r.count))
			}
			if off := ipa - r.base; off < mmu.IPA(n)*redistBytes {
				return gicFrame{frameRedist, first + int(off/redistBytes)}, uint32(off % redistBytes)
			}
			first += n
		}
	}
	for i, k := range g.itss {
		if k.base != undefined && ipa-k.base < itsBytes {
			return gicFrame{frameITS, i}, uint32(ipa - k.base)
		}
	}
	return gicFrame{}, 0
}
