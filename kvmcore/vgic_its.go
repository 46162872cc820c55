package kvmcore

import (
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// VITS is the device "kvm-arm-vgic-its": KVM's rules around the architecture of
// package its. Errors of commands are ignored, the queue never stalls and is
// emptied before the write that moved CWRITER returns.
type VITS struct {
	vgic  *VGIC
	base  mmu.IPA // undefined = not set
	state *its.ITS

	machine *gicMachine
	cache   translationCache
}

// initialBaser is what a table register reads before it is written:
// INITIAL_BASER_VALUE with the entry size of ABI revision 0.
func initialBaser(tableType uint32) its.BASER {
	return its.BASER(0).WithInner(cacheRaWb).WithShare(shareInner).WithPageSize(pageSize64K).
		WithType(tableType).WithEntryBytes(its.EntryBytes)
}

func newVITS(g *VGIC) *VITS {
	k := &VITS{vgic: g}
	k.clear()
	return k
}

// clear is the state of a new ITS.
func (k *VITS) clear() {
	g := k.vgic
	*k = VITS{vgic: g, base: undefined, state: its.New(&g.lpis), machine: &gicMachine{VGIC: g, its: k}}
	k.state.MovesAll = g.vm.Host.Kernel.Hazards[HazardITSMovesAll]
	k.state.DeviceTable = initialBaser(its.TableDevice)
	k.state.CollectionTable = initialBaser(its.TableCollection)
}

// SetAttr is vgic_its_set_attr.
func (k *VITS) SetAttr(group uint32, attr uint64, size int, val uint64) Errno {
	switch group {
	case GroupAddr:
		if attr != AddrITS {
			return ENODEV
		}
		e := k.vgic.vm.checkRange(k.base, val, frame64K, itsBytes)
		if e == OK {
			k.base = mmu.IPA(val)
		}
		return e
	case GroupCtrl:
		return k.control(attr)
	case GroupITSRegs:
		_, e := k.userRegister(attr, true, val)
		return e
	}
	return ENXIO
}

// GetAttr is vgic_its_get_attr.
func (k *VITS) GetAttr(group uint32, attr uint64, size int) (uint64, Errno) {
	switch group {
	case GroupAddr:
		if attr != AddrITS {
			return 0, ENODEV
		}
		return uint64(k.base), OK
	case GroupITSRegs:
		return k.userRegister(attr, false, 0)
	}
	return 0, ENXIO
}

// control is vgic_its_ctrl. For an operation that does not exist 6.12 takes the
// locks and returns 0; some kernel before 7.2 made it an error.
func (k *VITS) control(attr uint64) Errno {
	g, s := k.vgic, k.state
	known := attr == CtrlSaveTables || attr == CtrlRestoreTables || attr == CtrlReset
	switch {
	case attr == CtrlInit:
		return OK
	case !known && g.vm.Host.Kernel.Version >= 613:
		return ENXIO
	case g.vm.vcpuRuns():
		return EBUSY
	}
	switch attr {
	case CtrlSaveTables:
		return k.save()
	case CtrlRestoreTables:
		g.Stats.Restores++
		scanned := s.Scanned
		err := s.Restore(k.machine)
		g.spend(g.cost().TableEntry * (s.Scanned - scanned))
		return errnoOf(err)
	case CtrlReset:
		k.reset()
	}
	return OK
}

// save is KVM_DEV_ARM_ITS_SAVE_TABLES. An event without a collection is a NULL
// pointer in kernels that do not expect it.
func (k *VITS) save() Errno {
	g, h := k.vgic, &k.vgic.vm.Host.Kernel.Hazards
	rule := func(crash Hazard) its.OrphanRule {
		switch {
		case h[crash]:
			return its.OrphanStop
		case h[HazardITSDanglingNext]:
			return its.OrphanZero
		}
		return its.OrphanSkip
	}
	g.Stats.Saves++
	writes := g.Stats.TableWrites
	err := k.state.Save(k.machine, its.SavePolicy{
		Deleted: rule(HazardITSSaveUnmapped),
		Dropped: rule(HazardITSRestoreTwice),
	})
	g.spend(g.cost().TableEntry * (g.Stats.TableWrites - writes))
	if err == its.ErrOrphan {
		g.crash = "vgic_its_save_ite: NULL pointer dereference (an event without a collection)"
		return OK
	}
	return errnoOf(err)
}

// reset is vgic_its_reset: the tables stay where they were, but are not valid.
func (k *VITS) reset() {
	s := k.state
	s.DeviceTable = s.DeviceTable.WithValid(false)
	s.CollectionTable = s.CollectionTable.WithValid(false)
	s.CBASER, s.CREADR, s.CWRITER, s.Enabled = 0, 0, 0, false
	s.DropDevices()
	s.DropCollections()
}

// process executes the commands between CREADR and CWRITER while the ITS is
// enabled. A command that cannot be read or fails is skipped.
// vgic_its_process_commands.
func (k *VITS) process() {
	s, g := k.state, k.vgic
	for s.Enabled && s.CREADR != s.CWRITER {
		g.spend(g.cost().ITSCommand)
		g.Stats.Commands++
		cmd, err := s.LoadCommand(k.machine, s.CREADR)
		if err == its.None {
			err = s.Execute(k.machine, cmd)
		}
		if err != its.None {
			g.Stats.CommandErrors++
		}
		s.CREADR += its.CommandBytes
		if s.CREADR == s.QueueBytes() {
			s.CREADR = 0
		}
	}
}

// sync saves, restores or hashes the ITS. What the translation cache holds can be
// told by a later MSI, so it is state too.
func (k *VITS) sync(c *sim.Codec) {
	c.Tag("vits")
	sim.Uint(c, &k.base)
	k.state.Sync(c)
	k.cache.sync(c, k.vgic.vm.Translations)
}
