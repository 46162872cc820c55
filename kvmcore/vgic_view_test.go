package kvmcore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/its"
	"ringmap/sim"
)

// A look at the controller shows mappings, pending LPIs and the pages of tables, knows
// what memory holds of it, and leaves everything as it was.
func TestViewGIC(t *testing.T) {
	g := newGICVM(t, "7.2", "ring+bitmap", 2)
	if v := g.vm.ViewGIC(); v != nil {
		t.Fatalf("a VM without GIC shows %+v", v)
	}
	g.setup().mapTwo()
	g.run(cmdMAPC(7, 0), cmdMAPTI(1, 9, 8200, 7), cmdMAPC(7, 0).WithValid(false)) // an orphan
	if n, e := g.vm.SignalMSI(1, 1, MSIValidDevID); n != 1 {
		t.Fatal(n, e)
	}
	look := func() *GICView {
		t.Helper()
		before, after := sim.NewHasher(), sim.NewHasher()
		g.vm.syncDevices(before)
		v := g.vm.ViewGIC()
		g.vm.syncDevices(after)
		if before.Sum() != after.Sum() {
			t.Error("looking changes the devices")
		}
		return v
	}
	const page = gicRAM >> 12
	want := []TablePage{
		{page + 0x10, HoldsDevices, 0, 1, 0},
		{page + 0x80, HoldsCollections, 0, 3, 1}, // the zero entry behind the last is there already
		{page + 0x90, HoldsConfig, 0, 3, 3},
		{page + 0x100, HoldsPending, 0, 2, 2},
		{page + 0x110, HoldsPending, 1, 1, 0},
		{page + 0x200, HoldsITT, 1, 3, 1}, // an orphan's entry is zero
	}
	v := look()
	var tables []TablePage
	queue := 0
	for _, p := range v.Pages {
		if p.Holds == HoldsQueue {
			queue++
		} else {
			tables = append(tables, p)
		}
	}
	if d := cmp.Diff(want, tables); d != "" || queue != 16 {
		t.Errorf("%d pages of the queue; others (-want +got):\n%s", queue, d)
	}
	k := v.ITSs[0]
	if d := cmp.Diff([]EventView{
		{ID: 0, LPI: 8192, ICID: 0, Entry: gicITT},
		{ID: 1, LPI: 8193, ICID: 1, Entry: gicITT + 8},
		{ID: 9, LPI: 8200, ICID: 7, Orphan: true, Entry: gicITT + 72, Saved: true},
	}, k.Devices[0].Events); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if d := cmp.Diff(LPIView{INTID: 8193, VCPU: 1, Priority: 0xa0, Enabled: true, Pending: true}, v.LPIs[1]); d != "" {
		t.Errorf("LPI (-want +got):\n%s", d)
	}
	if k.Cached != 1 || v.VCPUs[1].Pending != 1 || v.VCPUs[0].LPIs != 2 {
		t.Errorf("%+v, %+v", k, v.VCPUs)
	}

	g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
	g.set(g.gic, GroupCtrl, CtrlSavePending, 0)
	v = look()
	for _, p := range v.Pages {
		if p.Saved != p.Entries {
			t.Errorf("after the saves %+v", p)
		}
	}
	if !v.LPIs[1].Bit || !v.ITSs[0].Devices[0].Saved || !v.ITSs[0].Collections[1].Saved {
		t.Errorf("after the saves %+v", v)
	}

	g.queue(cmdEvent(its.OpDISCARD, 1, 0)) // waits: nobody wrote CWRITER
	g.set(g.its, GroupITSRegs, 0, 0)
	g.set(g.its, GroupITSRegs, 0x88, g.writer)
	for _, p := range look().Pages {
		if p.Holds == HoldsQueue && p.GFN == page && p.Entries != 1 {
			t.Errorf("one command waits: %+v", p)
		}
	}
}

// Level 1 of a device table with two levels is a page of its own.
func TestViewIndirectTable(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 1).setup()
	g.set(g.its, GroupITSRegs, 0, 0)
	g.set(g.its, GroupITSRegs, 0x100, 1<<63|1<<62|gicDevices|0x200)
	g.set(g.its, GroupITSRegs, 0, 1)
	g.poke(gicDevices, uint64(its.L1E(0).WithValid(true).WithAddr(gicRAM+0x30_0000)))
	g.poke(gicDevices+8, uint64(its.L1E(0).WithValid(true).WithAddr(gicRAM+0x31_0000)))
	g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPD(2, 4, gicITT+0x1000), cmdMAPD(8192, 4, gicITT+0x2000))
	var got []TablePage
	for _, p := range g.vm.ViewGIC().Pages {
		if p.Holds == HoldsDevices || p.Holds == HoldsLevel1 {
			got = append(got, p)
		}
	}
	const page = gicRAM >> 12
	want := []TablePage{
		{page + 0x10, HoldsLevel1, 0, 2, 2},
		{page + 0x300, HoldsDevices, 0, 2, 0},
		{page + 0x310, HoldsDevices, 0, 1, 0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	g.poke(gicDevices+8, 0)
	if v := g.vm.ViewGIC().ITSs[0]; v.SaveWouldFailFor != "EINVAL" {
		t.Errorf("a page that is gone: %q", v.SaveWouldFailFor)
	}
}
