package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// Bad input of a guest or VMM, and what KVM makes of it: which commands fail (nobody
// is told), what then is mapped, what the ioctls return.
func TestITSBadInput(t *testing.T) {
	const hole = 0x7000_0000
	movall := func(from, to uint32) its.Command {
		return its.Command{}.WithOpcode(uint32(its.OpMOVALL)).WithRDbase(from).WithRDbase2(to)
	}
	retable := func(g *gicVM, reg, val uint64) { // with the ITS off, as it must be
		g.set(g.its, GroupITSRegs, 0, 0)
		g.set(g.its, GroupITSRegs, reg, val)
		g.set(g.its, GroupITSRegs, 0, 1)
	}
	for _, c := range []struct {
		name          string
		do            func(g *gicVM)
		failed        uint64 // commands
		devices, lpis int
		save, restore Errno // SAVE_TABLES, then RESTORE_TABLES without RESET
	}{
		{"device table in no memory", func(g *gicVM) {
			retable(g, 0x100, 1<<63|hole|0x200)
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 0, 8192, 0))
		}, 2, 0, 0, OK, EEXIST},
		{"device table that leaves memory behind", func(g *gicVM) {
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 0, 8192, 0))
			retable(g, 0x100, 1<<63|hole|0x200) // devices stay: the table is valid
		}, 0, 1, 1, EINVAL, EFAULT}, // the save ends before the collections
		{"collection table in no memory", func(g *gicVM) {
			retable(g, 0x108, 1<<63|hole|0x200)
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 0, 8192, 0))
		}, 2, 1, 0, EFAULT, EFAULT},
		{"ITT over the device table", func(g *gicVM) { // event 1's entry is device 1's
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicDevices), cmdMAPTI(1, 1, 8192, 0), cmdMAPTI(1, 2, 8193, 0))
		}, 0, 1, 2, OK, EEXIST},
		{"ITT over the command queue", func(g *gicVM) {
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicQueue), cmdMAPTI(1, 0, 8192, 0), cmdEvent(its.OpDISCARD, 1, 0), cmdMAPC(1, 1))
		}, 0, 1, 0, OK, EEXIST},
		{"ITT in no memory", func(g *gicVM) {
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, hole), cmdMAPTI(1, 0, 8192, 0))
		}, 1, 1, 0, OK, EEXIST},
		{"queue in no memory", func(g *gicVM) {
			retable(g, 0x80, 1<<63|hole|0xf)
			g.set(g.its, GroupITSRegs, 0x88, 5*32)
			if got := g.reg(0x90); got != 5*32 {
				t.Errorf("CREADR stays at %#x", got)
			}
		}, 5, 0, 0, OK, OK},
		{"events beyond MAPD's size", func(g *gicVM) {
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 15, 8192, 0), cmdMAPTI(1, 16, 8193, 0),
				cmdMAPTI(1, 0xffff_ffff, 8194, 0), cmdEvent(its.OpINT, 1, 16), cmdEvent(its.OpMOVI, 1, 16))
		}, 4, 1, 1, OK, EEXIST},
		{"more event bits than the ITS has", func(g *gicVM) {
			g.run(cmdMAPD(1, 16, gicITT), cmdMAPD(2, 17, gicITT), cmdMAPD(2, 32, gicITT))
		}, 2, 1, 0, OK, OK},
		{"INTIDs that are no LPI", func(g *gicVM) {
			g.run(cmdMAPC(0, 0), cmdMAPD(1, 16, gicITT), cmdMAPTI(1, 0, 8191, 0), cmdMAPTI(1, 0, 65536, 0),
				cmdEvent(its.OpMAPI, 1, 5), cmdEvent(its.OpMAPI, 1, 8192))
		}, 3, 1, 1, OK, EEXIST},
		{"RDbase beyond the last vCPU", func(g *gicVM) {
			g.run(cmdMAPC(0, 2), cmdMAPC(1, 0xffff_ffff), movall(0, 2), movall(2, 0), cmdMAPC(2, 1))
		}, 4, 0, 0, OK, EEXIST},
		{"commands of GICv4, and none at all", func(g *gicVM) {
			for _, op := range []uint8{its.OpVMOVI, its.OpVMOVP, its.OpVSGI, its.OpVSYNC, its.OpVMAPP, its.OpVMAPTI, its.OpVMAPI, its.OpVINVALL, its.OpINVDB, 0, 0xff} {
				g.run(cmdEvent(op, 1, 0))
			}
		}, 11, 0, 0, OK, OK},
		{"enabled without tables", func(g *gicVM) {
			g.set(g.its, GroupITSRegs, 0, 0)
			for _, reg := range []uint64{0x80, 0x100, 0x108} {
				old := g.reg(reg)
				g.set(g.its, GroupITSRegs, reg, old&^(1<<63))
				g.set(g.its, GroupITSRegs, 0, 1)
				if got := g.reg(0); got&1 != 0 {
					t.Errorf("the ITS is enabled with register %#x = %#x", reg, g.reg(reg))
				}
				g.set(g.its, GroupITSRegs, reg, old)
			}
			g.run(cmdMAPC(0, 0)) // waits
		}, 0, 0, 0, OK, OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGICVM(t, "7.2", "ring+bitmap", 2).setup()
			c.do(g)
			s, n := g.vm.vgic.itss[0].state, &g.vm.vgic.Stats
			if n.CommandErrors != c.failed || len(s.Devices) != c.devices || g.vm.vgic.lpis.Count() != c.lpis {
				t.Errorf("%d of %d commands failed, %d devices, %d LPIs; want %d failed, %d, %d",
					n.CommandErrors, n.Commands, len(s.Devices), g.vm.vgic.lpis.Count(), c.failed, c.devices, c.lpis)
			}
			if e := g.its.SetAttr(GroupCtrl, CtrlSaveTables, 0, 0); e != c.save {
				t.Errorf("SAVE_TABLES: %v, want %v", e, c.save)
			}
			if e := g.its.SetAttr(GroupCtrl, CtrlRestoreTables, 0, 0); e != c.restore {
				t.Errorf("RESTORE_TABLES: %v, want %v", e, c.restore)
			}
		})
	}
}

// RESTORE_TABLES of random bytes ends with an errno that KVM has for it or succeeds,
// and leaves an ITS that can be saved, used and reset.
func TestRestoreRandomBytes(t *testing.T) {
	seen := map[Errno]int{}
	for seed := range uint64(60) {
		s := sim.NewStream(seed, "restore")
		g := newGICVM(t, "7.2", "ring+bitmap", 2).setup()
		if s.Chance(1, 3) {
			g.set(g.its, GroupITSRegs, 0, 0)
			g.set(g.its, GroupITSRegs, 0x100, 1<<63|1<<62|gicDevices|0x200)
			g.set(g.its, GroupITSRegs, 0, 1)
		}
		noise := [...]uint64{0, 1, 20, 100}[s.N(4)] // in 200 words
		for table, base := range []mmu.IPA{gicColls, gicDevices, gicITT, gicITT + 0x1000} {
			for i := range mmu.IPA(200) {
				kind, w := table, s.Uint64()
				if s.Chance(noise, 400) { // an entry of another table
					kind = int(s.N(5))
				}
				if !s.Chance(noise, 400) {
					w = [...]uint64{
						uint64(its.CTE(0).WithValid(i < 50).WithRDbase(uint32(s.N(2))).WithICID(uint32(i))),
						uint64(its.DTE(0).WithValid(true).WithNext(uint32(s.N(4))).WithITT(gicITT + s.N(2)<<12).WithEventBits(12)),
						uint64(its.ITE(0).WithNext(uint32(s.N(3))).WithINTID(uint32(8192 + s.N(500))).WithICID(uint32(s.N(4)))),
						uint64(its.ITE(0).WithINTID(uint32(8192 + s.N(500)))),
						uint64(its.L1E(0).WithValid(true).WithAddr(gicDevices)),
					}[kind]
				}
				g.poke(base+8*i, w)
			}
		}
		e := g.its.SetAttr(GroupCtrl, CtrlRestoreTables, 0, 0)
		seen[e]++
		switch e {
		case OK, EINVAL, EFAULT, EEXIST, ENOMEM:
		default:
			t.Errorf("seed %d: %v", seed, e)
		}
		if err := g.vm.vgic.lpis.CheckLoaded(g.vm.vgic.itss[0].state); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		g.its.SetAttr(GroupCtrl, CtrlSaveTables, 0, 0)
		g.set(g.its, GroupCtrl, CtrlReset, 0)
		if n := g.vm.vgic.lpis.Count(); n != 0 {
			t.Errorf("seed %d: %d LPIs after RESET", seed, n)
		}
	}
	if len(seen) < 3 {
		t.Errorf("only these ends: %v", seen)
	}
}

// MOVALL: kernels since 6.10 move every LPI of the VM, also one whose collection has no
// vCPU; the repaired one only those of the first vCPU.
func TestMovall(t *testing.T) {
	for kernel, want := range map[string][]int32{
		"7.2": {2, 2, 2, 2}, "6.12": {2, 2, 2, 2}, "7.2+fixed": {2, 1, 2, its.NoPE},
	} {
		g := newGICVM(t, kernel, "bitmap", 3).setup()
		g.run(cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPC(2, 2), cmdMAPD(1, 4, gicITT))
		for i := range uint32(4) { // collection 3 is not mapped
			g.run(cmdMAPTI(1, i, 8192+i, i))
		}
		g.run(its.Command{}.WithOpcode(uint32(its.OpMOVALL)).WithRDbase(0).WithRDbase2(2))
		var got []int32
		for i := range uint32(4) {
			got = append(got, g.vm.vgic.lpis.Get(8192+i).Target)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: targets after MOVALL 0 to 2 (-want +got):\n%s", kernel, d)
		}
	}
}
