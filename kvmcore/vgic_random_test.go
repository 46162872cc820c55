package kvmcore

import (
	"fmt"
	"testing"

	"ringmap/cpu/arch"
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// expected is the delivery of interrupts said once more: sets, no lists, no list
// registers. Keys are INTIDs, private ones plus 1000000 times their vCPU.
type expected struct {
	pending map[uint32]bool // an edge, a message or a write has made it so, and nobody has taken it
	active  map[uint32]bool
	lines   map[uint32]bool // up, of level-triggered ones
}

func key(vcpu int, intid uint32) uint32 {
	if intid < numPrivateIRQs {
		return intid + 1_000_000*uint32(vcpu)
	}
	return intid
}

// TestRandomDelivery: whatever happens in whatever order, an interrupt is taken only
// if it pends, an edge once for each time that it came to pend, and in the end
// nothing that is enabled is left.
func TestRandomDelivery(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := newDelivery(t, seed)
			for step := range 600 {
				d.step(step)
				if err := d.vm.vgic.checkLists(); err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
			}
			d.quiesce()
		})
	}
}

// delivery drives a VM's controller and the guest's side of it by hand.
type delivery struct {
	*lpiRig
	rnd  sim.Stream
	want expected
	at   int
}

func newDelivery(t *testing.T, seed uint64) *delivery {
	d := &delivery{lpiRig: newLPIRig(t, 3, true), rnd: sim.NewStream(seed, "delivery")}
	d.want = expected{map[uint32]bool{}, map[uint32]bool{}, map[uint32]bool{}}
	d.mmio(0, testGICD, 2)
	for _, v := range d.vm.VCPUs {
		cpu := &d.vm.vgic.redist(v).cpu
		cpu.WritePMR(0xff)
		cpu.Enabled = [2]bool{true, true}
		d.mmio(v.Index, testGICR+mmu.IPA(v.Index)*redistBytes+0x1_0100, 0xffff_ffff)
	}
	d.mmio(0, testGICD+0x104, 0xffff_ffff)
	return d
}

// mmio is a guest's store of 32 bits.
func (d *delivery) mmio(vcpu int, at mmu.IPA, v uint64) {
	d.vm.vgic.mmio(d.vm.VCPUs[vcpu], at, 4, true, v)
}

// frame is where the registers of an interrupt are, and its bit.
func (d *delivery) bit(vcpu int, intid uint32) (frame mmu.IPA, offset mmu.IPA, bit uint64) {
	if intid < numPrivateIRQs {
		return testGICR + mmu.IPA(vcpu)*redistBytes + 0x1_0000, 0, 1 << intid
	}
	return testGICD, mmu.IPA(intid / 32 * 4), 1 << (intid % 32)
}

func (d *delivery) step(n int) {
	d.at = n
	g, vcpu := d.vm.vgic, int(d.rnd.N(3))
	v := d.vm.VCPUs[vcpu]
	ids := []uint32{1, 7, 20, 33, 40, 63}
	id := ids[d.rnd.N(uint64(len(ids)))]
	if op := d.rnd.N(12); op < 6 && op > 0 { // registers: with every list register folded, as halt does
		for _, o := range d.vm.VCPUs {
			o.leaveGuest()
		}
		frame, offset, bit := d.bit(vcpu, id)
		switch op {
		case 1:
			d.mmio(vcpu, frame+0x200+offset, bit)
			d.want.pending[key(vcpu, id)] = true
		case 2:
			d.mmio(vcpu, frame+0x280+offset, bit)
			d.want.pending[key(vcpu, id)] = false
		case 3:
			reg := mmu.IPA(0x100)
			if d.rnd.Chance(1, 2) {
				reg = 0x180
			}
			d.mmio(vcpu, frame+reg+offset, bit)
		case 4:
			if id >= numPrivateIRQs {
				g.mmio(v, testGICD+0x6000+mmu.IPA(id)*8, 8, true, d.rnd.N(3))
			}
		case 5:
			g.mmio(v, frame+0x400+mmu.IPA(id), 1, true, d.rnd.N(24)<<3)
		}
		return
	}
	switch d.rnd.N(7) {
	case 0: // a line of userspace
		if up := d.rnd.Chance(1, 2); id >= numPrivateIRQs {
			d.vm.IRQLine(nil, id-numPrivateIRQs, up)
			d.want.lines[id] = up
		}
	case 1: // an SGI
		w := its.SGIR(0).WithINTID(id & 15).WithTargets(uint32(d.rnd.N(8)))
		g.sendSGI(v, w, true)
		for o := range 3 {
			if w.Targets()>>o&1 != 0 {
				d.want.pending[key(o, id&15)] = true
			}
		}
	case 2: // a device
		dev, ev := uint32(d.rnd.N(lpiDevices)), uint32(d.rnd.N(lpiEvents))
		if n, e := d.vm.SignalMSI(dev, ev, MSIValidDevID); n != 1 || e != OK {
			d.Fatalf("MSI: %d, %v", n, e)
		}
		d.want.pending[its.FirstLPI+dev*lpiEvents+ev] = true
	case 3:
		d.command(its.Command{}.WithOpcode(uint32(its.OpMOVI)).WithDeviceID(uint32(d.rnd.N(lpiDevices))).
			WithEventID(uint32(d.rnd.N(lpiEvents))).WithICID(uint32(d.rnd.N(3))))
		g.mmio(v, testITS+0x88, 8, true, d.head)
	case 4:
		v.leaveGuest()
	default:
		v.leaveGuest() // as an exit, so that new ones are seen
		v.enterGuest()
		d.handle(v)
	}
}

// handle is the guest's handler: some acknowledgements, most of them ended.
func (d *delivery) handle(v *VCPU) (taken int) {
	for d.rnd.Chance(4, 5) {
		id, _ := (*cpuInterface)(v).ReadICC(arch.ICC_IAR1_EL1, true)
		if id == its.Spurious {
			return taken
		}
		taken++
		k, p := key(v.Index, uint32(id)), d.vm.vgic.interrupt(int32(v.Index), uint32(id))
		if !d.want.pending[k] && !(d.want.lines[k] && !p.Edge) {
			d.Fatalf("step %d: vCPU %d takes %d, which does not pend", d.at, v.Index, id)
		}
		if d.want.active[k] {
			d.Fatalf("step %d: vCPU %d takes %d, which is active", d.at, v.Index, id)
		}
		d.want.pending[k] = false
		(*cpuInterface)(v).WriteICC(arch.ICC_EOIR1_EL1, id, true)
	}
	return taken
}

// quiesce lets the guest take everything.
func (d *delivery) quiesce() {
	g := d.vm.vgic
	for id, up := range d.want.lines {
		if up {
			d.vm.IRQLine(nil, id-numPrivateIRQs, false)
			d.want.lines[id] = false
		}
	}
	for range 60 {
		for _, v := range d.vm.VCPUs {
			v.leaveGuest()
			d.mmio(v.Index, testGICR+mmu.IPA(v.Index)*redistBytes+0x1_0100, 0xffff_ffff)
			d.mmio(v.Index, testGICD+0x104, 0xffff_ffff)
			v.enterGuest()
			d.handle(v)
		}
	}
	for _, v := range d.vm.VCPUs {
		v.leaveGuest()
	}
	for k, pends := range d.want.pending {
		if pends {
			d.Errorf("interrupt %d still pends", k)
		}
	}
	for pe, r := range g.redists {
		if len(r.list) != 0 {
			d.Errorf("vCPU %d still has %d on its list", pe, r.list)
		}
	}
}

// BenchmarkDeliver: an MSI whose translation is cached, from its injection until a
// vCPU has taken and ended it, by how many devices there are.
func BenchmarkDeliver(b *testing.B) {
	for _, devices := range []uint32{16, 4096} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			g, v := benchGIC(b, devices)
			vm := g.vm
			for d := range devices {
				vm.SignalMSI(d, 0, MSIValidDevID)
			}
			cpu := (*cpuInterface)(v)
			take := func() {
				v.enterGuest()
				for {
					id, _ := cpu.ReadICC(arch.ICC_IAR1_EL1, true)
					if id == its.Spurious {
						break
					}
					cpu.WriteICC(arch.ICC_EOIR1_EL1, id, true)
				}
				v.leaveGuest()
			}
			for len(g.redist(v).list) != 0 {
				take()
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				vm.SignalMSI(uint32(i)*7%devices, 0, MSIValidDevID)
				take()
			}
		})
	}
}

// benchGIC is a VM with one vCPU and devices of one event each, all mapped.
func benchGIC(b *testing.B, devices uint32) (*VGIC, *VCPU) {
	l := newLPIRig(&testing.T{}, 1, false)
	g, v := l.vm.vgic, l.vm.VCPUs[0]
	s := g.itss[0].state
	g.propbaser = its.PROPBASER(0).WithAddr(uint64(l.tables)).WithIDBits(16)
	config := make([]byte, devices)
	for i := range config {
		config[i] = 0xa1
	}
	l.write(l.tables, config)
	g.redist(v).enableLPIs, g.distEnabled = true, true
	g.redist(v).pendbaser = its.PENDBASER(0).WithAddr(uint64(l.pendingTable(0)))
	g.redist(v).cpu.WritePMR(0xff)
	g.redist(v).cpu.Enabled[1] = true
	s.Enabled = true
	s.DeviceTable = s.DeviceTable.WithValid(true).WithAddr(uint64(l.tables + 0x2_0000)).WithPages(1)
	s.CollectionTable = s.CollectionTable.WithValid(true).WithAddr(uint64(l.tables + 0x3_0000)).WithPages(1)
	m := g.itss[0].machine
	s.Execute(m, its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithValid(true))
	for d := range devices {
		s.Execute(m, its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(d).WithEventBits(1).WithITT(uint64(l.tables)+0x9_0000).WithValid(true))
		if err := s.Execute(m, its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithDeviceID(d).WithINTID(its.FirstLPI+d)); err != its.None {
			b.Fatalf("device %d: %x", d, err)
		}
	}
	return g, v
}
