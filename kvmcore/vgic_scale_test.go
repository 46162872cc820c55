package kvmcore

import (
	"encoding/binary"
	"fmt"
	"testing"

	"ringmap/its"
	"ringmap/mmu"
)

// All LPIs of 16-bit INTIDs, spread over devices and vCPUs.
const (
	scaleLPIs  = 57344
	scaleVCPUs = 512
)

// newScaleVM is a VM whose every LPI is mapped: of the given number of devices,
// event e of each to vCPU e modulo their number.
func newScaleVM(tb testing.TB, devices, vcpus int) *gicVM {
	tb.Helper()
	events := scaleLPIs / devices
	queue, prop, dev, coll := mmu.IPA(gicRAM), mmu.IPA(gicRAM+0x1_0000), mmu.IPA(gicRAM+0x2_0000), mmu.IPA(gicRAM+0xa_0000)
	pend := mmu.IPA(gicRAM + 0x10_0000)
	itt := pend + mmu.IPA(vcpus)<<16
	bits, stride := uint32(4), mmu.IPA(4096)
	for events > 1<<bits {
		bits++
	}
	stride = max(stride, 8<<bits)
	size := uint64(itt-gicRAM) + uint64(devices)*uint64(stride)

	vm := testHost(tb, "7.2", mmu.Granule4K).CreateVM()
	if _, e := vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{4096}); e != OK {
		tb.Fatal(e)
	}
	if _, e := vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{}); e != OK {
		tb.Fatal(e)
	}
	g := &gicVM{t: tb, vm: vm}
	g.hva = g.addSlot(1, SlotLogDirty, gicRAM, (size+1<<21-1)&^(1<<21-1))
	for i := range vcpus {
		if _, e := vm.CreateVCPU(uint64(i)); e != OK {
			tb.Fatal(e)
		}
	}
	if e := vm.Host.Memory.Fill(g.hva+mmu.HVA(prop-gicRAM), scaleLPIs, 0xa1, mmu.WriterVMM); e != OK {
		tb.Fatal(e)
	}
	g.create()
	for i, v := range vm.VCPUs {
		at := uint64(v.affinity()) << 32
		g.set(g.gic, GroupRedistRegs, at|0x70, uint64(prop)|0xf)
		g.set(g.gic, GroupRedistRegs, at|0x78, uint64(pend)+uint64(i)<<16)
		g.set(g.gic, GroupRedistRegs, at, 1)
	}
	g.set(g.gic, GroupDistRegs, 0, 2) // EnableGrp1: LPIs go to their vCPUs' lists
	g.set(g.its, GroupITSRegs, 0x80, 1<<63|uint64(queue)|0xf)
	g.set(g.its, GroupITSRegs, 0x100, 1<<63|uint64(dev)|0x207) // 8 pages: 65536 devices
	g.set(g.its, GroupITSRegs, 0x108, 1<<63|uint64(coll)|0x200)
	g.set(g.its, GroupITSRegs, 0, 1)
	command := func(c its.Command) {
		var raw [32]byte
		for i, w := range c {
			binary.LittleEndian.PutUint64(raw[8*i:], w)
		}
		if e := vm.Host.Memory.Write(g.hva+mmu.HVA(g.writer), raw[:], mmu.WriterVMM); e != OK {
			tb.Fatal(e)
		}
		if g.writer = (g.writer + 32) % (64 << 10); g.writer%(32<<10) == 0 {
			g.set(g.its, GroupITSRegs, 0x88, g.writer)
		}
	}
	for i := range uint32(vcpus) {
		command(its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithICID(i).WithRDbase(i).WithValid(true))
	}
	for d := range uint32(devices) {
		command(its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(d).WithEventBits(bits).
			WithITT(uint64(itt) + uint64(d)*uint64(stride)).WithValid(true))
		for e := range uint32(events) {
			lpi := d*uint32(events) + e
			command(its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithDeviceID(d).WithEventID(e).
				WithINTID(its.FirstLPI + lpi).WithICID(lpi % uint32(vcpus)))
		}
	}
	g.set(g.its, GroupITSRegs, 0x88, g.writer)
	if n := vm.vgic.lpis.Count(); n != scaleLPIs || vm.vgic.Stats.CommandErrors != 0 {
		tb.Fatalf("%d LPIs, %d errors", n, vm.vgic.Stats.CommandErrors)
	}
	return g
}

// taken lets all vCPUs take what is on their lists, as far as the lists see it.
func (g *gicVM) taken() (n int) {
	for l := g.vm.vgic.lpis.First(); l != nil; l = g.vm.vgic.lpis.After(l) {
		if l.Pending {
			n++
		}
		l.Pending = false
	}
	for _, v := range g.vm.VCPUs {
		g.vm.vgic.prune(v)
	}
	return n
}

// BenchmarkInject measures an MSI whose translation is cached, from KVM_SIGNAL_MSI
// to the list of its vCPU, and that list's share of taking it: over all LPIs, device
// by device in the inner loop, so that neighbours in time are far apart. The cost
// must not grow with the number of devices.
func BenchmarkInject(b *testing.B) {
	for _, devices := range []int{16, 256, 4096} {
		b.Run(fmt.Sprintf("devices=%d/lpis=%d/vcpus=%d", devices, scaleLPIs, scaleVCPUs), func(b *testing.B) {
			g := newScaleVM(b, devices, scaleVCPUs)
			events := scaleLPIs / devices
			t := g.vm.Host.NewThread(g.vm.Host.Machine.Cores[0], "devices")
			pass := func(n int) {
				for i := range n {
					d, e := uint32(i%devices), uint32(i/devices%events)
					if ret, errno := g.vm.SignalMSIOn(t, d, e, MSIValidDevID); ret != 1 {
						b.Fatal(ret, errno)
					}
				}
				if got := g.taken(); got != n {
					b.Fatalf("%d of %d LPIs were pending", got, n)
				}
			}
			pass(scaleLPIs)
			hits := g.vm.vgic.Stats.MSIHits
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= scaleLPIs {
				pass(min(left, scaleLPIs))
			}
			b.StopTimer()
			if got := g.vm.vgic.Stats.MSIHits - hits; got != uint64(b.N) {
				b.Fatalf("%d of %d translations were cached", got, b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

// BenchmarkSaveAllTables measures SAVE_TABLES of all LPIs that there are.
func BenchmarkSaveAllTables(b *testing.B) {
	for _, devices := range []int{16, 4096} {
		b.Run(fmt.Sprintf("devices=%d/lpis=%d/vcpus=%d", devices, scaleLPIs, scaleVCPUs), func(b *testing.B) {
			g := newScaleVM(b, devices, scaleVCPUs)
			t := g.vm.Host.NewThread(g.vm.Host.Machine.Cores[0], "vmm")
			for b.Loop() {
				if e := g.vm.SetAttr(t, g.its, GroupCtrl, CtrlSaveTables, 8, 0); e != OK {
					b.Fatal(e)
				}
			}
		})
	}
}

// TestScale: what a fresh VM restores from the tables of all LPIs, 4,096 devices and
// 512 vCPUs it has, and saves as they were; each pending LPI is pending once.
func TestScale(t *testing.T) {
	g := newScaleVM(t, 4096, scaleVCPUs)
	for i := range uint32(scaleLPIs) { // a third is pending
		if i%3 == 0 {
			if n, e := g.vm.SignalMSI(i/14, i%14, MSIValidDevID); n != 1 {
				t.Fatal(n, e)
			}
		}
	}
	g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
	g.set(g.gic, GroupCtrl, CtrlSavePending, 0)
	memory := g.image()
	f := g.fresh()
	pending := 0
	for i := range uint32(scaleLPIs) {
		want, got := g.vm.vgic.lpis.Get(its.FirstLPI+i), f.vm.vgic.lpis.Get(its.FirstLPI+i)
		if got == nil || got.Pending != want.Pending || got.Target != want.Target || got.Queued != want.Queued {
			t.Fatalf("LPI %d is restored as %+v, was %+v", its.FirstLPI+i, got, want)
		}
		if got.Pending {
			pending++
		}
	}
	if pending != (scaleLPIs+2)/3 {
		t.Errorf("%d LPIs are pending", pending)
	}
	f.set(f.its, GroupCtrl, CtrlSaveTables, 0)
	f.set(f.gic, GroupCtrl, CtrlSavePending, 0)
	sameImage(t, memory, f.image())
}

// image is the whole of guest memory.
func (g *gicVM) image() []byte {
	g.t.Helper()
	b := make([]byte, g.vm.Slots.ByID(1).Pages<<12)
	if e := g.vm.Host.Memory.Read(g.hva, b); e != OK {
		g.t.Fatal(e)
	}
	return b
}

// fresh is a new VM with the memory of this one, into which GIC and ITS are
// restored the way QEMU does: the tables, then the ITS is enabled.
func (g *gicVM) fresh() *gicVM {
	g.t.Helper()
	vm := testHost(g.t, "7.2", mmu.Granule4K).CreateVM()
	f := &gicVM{t: g.t, vm: vm, writer: g.writer}
	memory := g.image()
	f.hva = f.addSlot(1, SlotLogDirty, gicRAM, uint64(len(memory)))
	if e := vm.Host.Memory.Write(f.hva, memory, mmu.WriterVMM); e != OK {
		g.t.Fatal(e)
	}
	for _, v := range g.vm.VCPUs {
		if _, e := vm.CreateVCPU(uint64(v.ID)); e != OK {
			g.t.Fatal(e)
		}
	}
	f.create()
	copyReg := func(from, to Device, group uint32, attr uint64) {
		v, e := from.GetAttr(group, attr, 8)
		if e != OK {
			g.t.Fatal(e)
		}
		f.set(to, group, attr, v)
	}
	copyReg(g.gic, f.gic, GroupDistRegs, 0)
	for _, v := range vm.VCPUs {
		for _, reg := range []uint64{0x70, 0x74, 0x78, 0x7c, 0} {
			copyReg(g.gic, f.gic, GroupRedistRegs, uint64(v.affinity())<<32|reg)
		}
	}
	for _, reg := range []uint64{0x80, 0x90, 0x88, 0x100, 0x108} {
		copyReg(g.its, f.its, GroupITSRegs, reg)
	}
	f.set(f.its, GroupCtrl, CtrlRestoreTables, 0)
	copyReg(g.its, f.its, GroupITSRegs, 0)
	return f
}

func sameImage(t *testing.T, want, got []byte) {
	t.Helper()
	for i := 0; i < len(want); i += 8 {
		if a, b := binary.LittleEndian.Uint64(want[i:]), binary.LittleEndian.Uint64(got[i:]); a != b {
			t.Fatalf("guest memory at %#x holds %#x after the second save, %#x after the first", gicRAM+i, b, a)
		}
	}
}
