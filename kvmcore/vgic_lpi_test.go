package kvmcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"ringmap/cpu/arch"
	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// lpiHandler counts each LPI of the first 64 in the word of its number at x26 and
// spends some time, so that more wait behind it.
const lpiHandler = `
first:	msr	daifclr, #2
1:	wfi
	b	1b
second:	msr	daifclr, #2
2:	wfi
	b	2b
` + ackCount + `
	msr	icc_eoir1_el1, x10
	eret
end:	nop`

// lpiRig is a rig whose vCPUs take LPIs: 8 devices of 8 events, event e of device d
// is LPI 8192 + 8d + e and goes to vCPU e modulo their number.
type lpiRig struct {
	*rig
	gic, its Device
	head     uint64
	tables   mmu.IPA
}

const (
	lpiDevices, lpiEvents = 8, 8
	lpiPages              = 0x200 // of RAM
)

// newLPIRig makes it; driver says whether the guest's driver sets it up, or a
// restore will.
func newLPIRig(t *testing.T, vcpus int, driver bool) *lpiRig {
	r := interrupted(t, mode{vcpus: vcpus, pages: lpiPages}, lpiHandler)
	r.vm.Program.Devices = true
	l := &lpiRig{rig: r, gic: r.vm.Devices[0], its: r.vm.Devices[1], tables: testBase + 0x10_0000}
	if !driver {
		return l
	}
	config := bytes.Repeat([]byte{0xa1}, lpiDevices*lpiEvents)
	l.write(l.tables, config)
	for _, v := range r.vm.VCPUs {
		at := uint64(v.affinity()) << 32
		l.set(l.gic, GroupRedistRegs, at|0x70, uint64(l.tables)|15)
		l.set(l.gic, GroupRedistRegs, at|0x78, uint64(l.pendingTable(v.Index)))
		l.set(l.gic, GroupRedistRegs, at, 1)
	}
	table := func(n mmu.IPA) uint64 {
		return uint64(its.BASER(0).WithValid(true).WithAddr(uint64(l.tables + n*0x1_0000)).WithPages(1))
	}
	l.set(l.its, GroupITSRegs, 0x80, uint64(its.CBASER(0).WithValid(true).WithAddr(uint64(l.tables+0x1_0000)).WithPages(16)))
	l.set(l.its, GroupITSRegs, 0x100, table(2))
	l.set(l.its, GroupITSRegs, 0x108, table(3))
	l.set(l.its, GroupITSRegs, 0, 1)
	for i := range vcpus {
		l.command(its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithICID(uint32(i)).WithRDbase(uint32(i)).WithValid(true))
	}
	for d := range uint32(lpiDevices) {
		l.command(its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(d).WithEventBits(3).
			WithITT(uint64(l.tables) + 0x9_0000 + uint64(d)<<12).WithValid(true))
		for e := range uint32(lpiEvents) {
			l.command(its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithDeviceID(d).WithEventID(e).
				WithINTID(its.FirstLPI + d*lpiEvents + e).WithICID(e % uint32(vcpus)))
		}
	}
	l.ring()
	return l
}

func (l *lpiRig) pendingTable(vcpu int) mmu.IPA { return l.tables + 0x4_0000 + mmu.IPA(vcpu)<<16 }

func (l *lpiRig) set(d Device, group uint32, attr, val uint64) {
	l.Helper()
	if e := d.SetAttr(group, attr, 8, val); e != OK {
		l.Fatalf("group %d, attribute %#x: %v", group, attr, e)
	}
}

func (l *lpiRig) get(d Device, group uint32, attr uint64) uint64 {
	l.Helper()
	v, e := d.GetAttr(group, attr, 8)
	if e != OK {
		l.Fatalf("group %d, attribute %#x: %v", group, attr, e)
	}
	return v
}

func (l *lpiRig) write(ipa mmu.IPA, p []byte) {
	if e := l.h.Memory.Write(l.slot().HVA+mmu.HVA(ipa-testBase), p, mmu.WriterImage); e != OK {
		l.Fatal(e)
	}
}

func (l *lpiRig) command(c its.Command) {
	var raw [32]byte
	for i, w := range c {
		binary.LittleEndian.PutUint64(raw[8*i:], w)
	}
	l.write(l.tables+0x1_0000+mmu.IPA(l.head), raw[:])
	l.head = (l.head + 32) % 0x1_0000
}

func (l *lpiRig) ring() { l.set(l.its, GroupITSRegs, 0x88, l.head) }

// pause takes all vCPUs out of KVM_RUN, as a VMM does with a signal.
func (l *lpiRig) pause() {
	for _, v := range l.vm.VCPUs {
		v.Kick()
		for v.Thread.depth != 0 {
			v.Continue(sim.Never)
		}
	}
}

// count is how often the guest has taken each LPI.
func (l *lpiRig) counts() (n []uint64) {
	for i := range mmu.IPA(lpiDevices * lpiEvents) {
		n = append(n, l.word(testCounts+8*i))
	}
	return n
}

// signal makes a device's event happen and tells whether it is a new interrupt: the
// LPI was not pending.
func (l *lpiRig) signal(t *testing.T, d, e uint32) (fresh bool) {
	t.Helper()
	lpi := l.vm.vgic.lpis.Get(its.FirstLPI + d*lpiEvents + e)
	fresh = !lpi.Pending
	if lpi.Queued != its.NoPE && l.vm.VCPUs[lpi.Queued].A64.entered { // pending in a list register?
		fresh = true
	}
	if n, errno := l.vm.SignalMSI(d, e, MSIValidDevID); n != 1 {
		t.Fatalf("device %d, event %d: %d, %v", d, e, n, errno)
	}
	return fresh
}

// TestLPIsOnce: signalled with the vCPUs out of the guest, each LPI comes exactly
// once, however many wait; also after the VM was saved through the device's calls
// and made anew elsewhere, at whatever point of the delivery.
func TestLPIsOnce(t *testing.T) {
	for _, vcpus := range []int{1, 3} {
		for _, ran := range []sim.Cycle{0, 40, 150, 400, 700, 5000} {
			t.Run(fmt.Sprintf("%d vCPUs, saved after %d", vcpus, ran), func(t *testing.T) {
				l := newLPIRig(t, vcpus, true)
				l.enterAll()
				l.stepTo(3000) // all wait
				rnd := sim.NewStream(uint64(ran), "msi")
				want := make([]uint64, lpiDevices*lpiEvents)
				for round := range 3 {
					l.pause()
					for range 40 {
						d, e := uint32(rnd.N(lpiDevices)), uint32(rnd.N(lpiEvents))
						if l.signal(t, d, e) {
							want[d*lpiEvents+e]++
						}
					}
					now := sim.Cycle(0)
					for _, v := range l.vm.VCPUs {
						now = max(now, v.Thread.Core.Now)
						v.Enter()
					}
					if round < 2 {
						l.stepTo(now + 60_000)
						continue
					}
					l.stepTo(now + ran)
				}
				l.pause()
				l = l.moved(t, vcpus)
				l.enterAll()
				l.stepTo(200_000)
				if got := l.counts(); !slices.Equal(got, want) {
					t.Errorf("LPIs taken:\n got %d\nwant %d", got, want)
				}
				l.pause()
				if err := l.vm.vgic.checkLists(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// moved saves the VM through the calls that QEMU makes and restores it into a new
// one, memory included.
func (l *lpiRig) moved(t *testing.T, vcpus int) *lpiRig {
	t.Helper()
	l.set(l.its, GroupCtrl, CtrlSaveTables, 0)
	l.set(l.gic, GroupCtrl, CtrlSavePending, 0)
	n := newLPIRig(t, vcpus, false)
	memory := make([]byte, lpiPages<<12)
	if e := l.vm.readGuest(l.h.kernelThread(), testBase, memory); e != OK {
		t.Fatal(e)
	}
	n.write(testBase, memory)
	for i, v := range n.vm.VCPUs {
		v.A64.State = l.vm.VCPUs[i].A64.State
		v.A64.PE.Load(&v.A64.State, &n.vm.Stage2)
		at := uint64(v.affinity()) << 32
		for _, reg := range []uint64{0x70, 0x74, 0x78, 0x7c, 0} {
			n.set(n.gic, GroupRedistRegs, at|reg, l.get(l.gic, GroupRedistRegs, at|reg))
		}
		for _, reg := range []arch.Reg{arch.ICC_SRE_EL1, arch.ICC_CTLR_EL1, arch.ICC_IGRPEN1_EL1, arch.ICC_PMR_EL1, arch.ICC_BPR1_EL1, arch.ICC_AP1R0_EL1} {
			id := at | uint64(reg.Row().Enc)
			n.set(n.gic, GroupCPUSysregs, id, l.get(l.gic, GroupCPUSysregs, id))
		}
	}
	n.set(n.gic, GroupDistRegs, 0, l.get(l.gic, GroupDistRegs, 0))
	for _, reg := range []uint64{0x80, 0x90, 0x88, 0x100, 0x108} {
		n.set(n.its, GroupITSRegs, reg, l.get(l.its, GroupITSRegs, reg))
	}
	n.set(n.its, GroupCtrl, CtrlRestoreTables, 0)
	n.set(n.its, GroupITSRegs, 0, l.get(l.its, GroupITSRegs, 0))
	return n
}

// TestSysregAttributes: what is written is read back, as far as the interface can
// hold it, and the errors are KVM's.
func TestSysregAttributes(t *testing.T) {
	r := interrupted(t, mode{vcpus: 2}, "first: b .\nsecond: b .\nirq: b .\nend: nop")
	d := r.vm.Devices[0]
	const one = 1 << 32
	for _, c := range []struct {
		reg      arch.Reg
		in, want uint64
		e        Errno
	}{
		{arch.ICC_PMR_EL1, 0xff, 0xf8, OK},
		{arch.ICC_BPR0_EL1, 0, 2, OK},
		{arch.ICC_BPR1_EL1, 5, 5, OK},
		{arch.ICC_AP1R0_EL1, 0x8000_0001, 0x8000_0001, OK},
		{arch.ICC_AP1R1_EL1, 1, 0, EINVAL},
		{arch.ICC_IGRPEN1_EL1, 3, 1, OK},
		{arch.ICC_SRE_EL1, 7, 7, OK},
		{arch.ICC_SRE_EL1, 6, 0, EINVAL},
		{arch.ICC_CTLR_EL1, 0x8402, 0x8402, OK},
		{arch.ICC_CTLR_EL1, 0x8502, 0, EINVAL}, // six bits of priority
		{arch.ICC_CTLR_EL1, 0x0402, 0, EINVAL}, // no Aff3
		{arch.ICC_IAR1_EL1, 0, 0, ENOENT},
		{arch.TTBR0_EL1, 0, 0, ENOENT},
	} {
		id := one | uint64(c.reg.Row().Enc)
		e := d.SetAttr(GroupCPUSysregs, id, 8, c.in)
		if e != c.e {
			t.Errorf("%v = %#x: %v, want %v", c.reg, c.in, e, c.e)
		}
		if got, _ := d.GetAttr(GroupCPUSysregs, id, 8); e == OK && got != c.want {
			t.Errorf("%v reads %#x, want %#x", c.reg, got, c.want)
		}
	}
	if e := d.SetAttr(GroupCPUSysregs, 9<<32|uint64(arch.ICC_PMR_EL1.Row().Enc), 8, 0); e != EINVAL {
		t.Errorf("a vCPU that is not there: %v", e)
	}
	for _, c := range []struct {
		attr, in, want uint64
		e              Errno
	}{
		{one | 32, 0xf0, 0xf0, OK},
		{one | 0, 1<<27 | 0xffff, 1 << 27, OK},
		{one | 8, 0, 0, EINVAL},
		{one | 1<<10, 0, 0, EINVAL},
		{one | 992, 1, 0, OK}, // beyond the last
	} {
		if e := d.SetAttr(GroupLevelInfo, c.attr, 4, c.in); e != c.e {
			t.Errorf("levels %#x: %v, want %v", c.attr, e, c.e)
		}
		if got, e := d.GetAttr(GroupLevelInfo, c.attr, 4); e != c.e || got != c.want {
			t.Errorf("levels %#x read %#x, %v, want %#x", c.attr, got, e, c.want)
		}
	}
}

// FuzzGuestMMIO: no access of a guest to the controller's frames breaks it, and the
// lists agree with the interrupts afterwards.
func FuzzGuestMMIO(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 2, 0, 1, 1, 0, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLPIRig(t, 2, true)
		bases := []mmu.IPA{testGICD, testGICR, testGICR + 0x1_0000, testGICR + 0x2_0000, testGICR + 0x3_0000, testITS}
		for ; len(data) >= 6; data = data[6:] {
			v := l.vm.VCPUs[data[0]>>7]
			at := bases[int(data[0]&0x3f)%len(bases)] + mmu.IPA(binary.LittleEndian.Uint16(data[1:]))
			size := uint8(1) << (data[3] & 3)
			val := uint64(data[4])*0x0101_0101_0101_0101 ^ uint64(data[5])
			l.vm.vgic.mmio(v, at, size, data[3]&4 != 0, val)
			if data[3]&8 != 0 {
				l.vm.vgic.sendSGI(v, its.SGIR(val), true)
			}
			if data[3]&16 != 0 && v.A64.entered {
				v.leaveGuest()
			} else if data[3]&16 != 0 {
				v.enterGuest()
				(*cpuInterface)(v).ReadICC(arch.ICC_IAR1_EL1, true)
				(*cpuInterface)(v).WriteICC(arch.ICC_EOIR1_EL1, val&0x3fff, true)
			}
		}
		if err := l.vm.vgic.checkLists(); err != nil {
			t.Fatal(err)
		}
	})
}
