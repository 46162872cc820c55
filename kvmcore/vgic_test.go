package kvmcore

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/its"
	"ringmap/mmu"
	"ringmap/sim"
)

// Addresses of the tests' machine, as in the recordings.
const (
	gicRAM     = 0x4000_0000 // slot 1, 8 MiB
	gicQueue   = gicRAM
	gicDevices = gicRAM + 0x10000
	gicColls   = gicRAM + 0x80000
	gicProp    = gicRAM + 0x90000
	gicPend    = gicRAM + 0x100000 // 64 KiB for each vCPU
	gicITT     = gicRAM + 0x200000
	gicDist    = 0x0800_0000
	gicITS     = 0x0808_0000
	gicRedist  = 0x080a_0000
)

// gicVM is a VM with memory, and, after setup, a GIC and an ITS in use.
type gicVM struct {
	t      testing.TB
	vm     *VM
	hva    mmu.HVA
	gic    Device
	its    Device
	writer uint64 // CWRITER
}

// newGICVM creates a VM of the given tracking mode: bitmap, ring or ring+bitmap.
func newGICVM(t testing.TB, kernel, mode string, vcpus int) *gicVM {
	t.Helper()
	vm := testHost(t, kernel, mmu.Granule4K).CreateVM()
	if strings.HasPrefix(mode, "ring") {
		if _, e := vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{4096}); e != OK {
			t.Fatal(e)
		}
	}
	if mode == "ring+bitmap" {
		if _, e := vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{}); e != OK {
			t.Fatal(e)
		}
	}
	g := &gicVM{t: t, vm: vm}
	g.hva = g.addSlot(1, SlotLogDirty, gicRAM, 8<<20)
	for i := range vcpus {
		if _, e := vm.CreateVCPU(uint64(i)); e != OK {
			t.Fatal(e)
		}
	}
	if e := vm.Host.Memory.Fill(g.hva+gicProp-gicRAM, 57344, 0xa1, mmu.WriterVMM); e != OK {
		t.Fatal(e)
	}
	return g
}

func (g *gicVM) addSlot(id uint32, flags SlotFlags, gpa mmu.IPA, size uint64) mmu.HVA {
	g.t.Helper()
	hva := g.vm.Host.Memory.Map(size, Backing4K, true)
	if e := g.vm.SetUserMemoryRegion(Region{Slot: id, Flags: uint32(flags), GPA: gpa, Size: size, HVA: hva}); e != OK {
		g.t.Fatal(e)
	}
	return hva
}

// setup creates and enables everything the way the recordings do.
func (g *gicVM) setup() *gicVM {
	g.t.Helper()
	g.create()
	for i := range g.vm.VCPUs {
		mpidr := uint64(i) << 32
		g.set(g.gic, GroupRedistRegs, mpidr|0x70, gicProp|0xf)
		g.set(g.gic, GroupRedistRegs, mpidr|0x74, 0)
		g.set(g.gic, GroupRedistRegs, mpidr|0x78, gicPend+uint64(i)<<16)
		g.set(g.gic, GroupRedistRegs, mpidr|0x7c, 0)
		g.set(g.gic, GroupRedistRegs, mpidr, 1)
	}
	g.set(g.its, GroupITSRegs, 0x80, 1<<63|gicQueue|0xf)
	g.set(g.its, GroupITSRegs, 0x100, 1<<63|gicDevices|0x200)
	g.set(g.its, GroupITSRegs, 0x108, 1<<63|gicColls|0x200)
	g.set(g.its, GroupITSRegs, 0, 1)
	return g
}

// create creates both devices with their addresses.
func (g *gicVM) create() {
	g.t.Helper()
	var e Errno
	if g.gic, e = g.vm.CreateDevice(DeviceVGICv3); e != OK {
		g.t.Fatal(e)
	}
	g.set(g.gic, GroupNrIRQs, 0, 64)
	g.set(g.gic, GroupAddr, AddrDist, gicDist)
	g.set(g.gic, GroupAddr, AddrRedist, gicRedist)
	g.set(g.gic, GroupCtrl, CtrlInit, 0)
	if g.its, e = g.vm.CreateDevice(DeviceITS); e != OK {
		g.t.Fatal(e)
	}
	g.set(g.its, GroupAddr, AddrITS, gicITS)
	g.set(g.its, GroupCtrl, CtrlInit, 0)
}

func (g *gicVM) set(d Device, group uint32, attr, val uint64) {
	g.t.Helper()
	if e := d.SetAttr(group, attr, 8, val); e != OK {
		g.t.Fatalf("group %d attribute %#x = %#x: %v", group, attr, val, e)
	}
}

// reg reads an ITS register.
func (g *gicVM) reg(offset uint64) uint64 {
	g.t.Helper()
	v, e := g.its.GetAttr(GroupITSRegs, offset, 8)
	if e != OK {
		g.t.Fatalf("register %#x: %v", offset, e)
	}
	return v
}

// queue writes commands into the queue without announcing them.
func (g *gicVM) queue(cmds ...its.Command) {
	for _, c := range cmds {
		for i, w := range c {
			g.poke(gicQueue+mmu.IPA(g.writer)+mmu.IPA(8*i), w)
		}
		g.writer = (g.writer + its.CommandBytes) % (64 << 10)
	}
}

// run executes commands through userspace's CWRITER.
func (g *gicVM) run(cmds ...its.Command) {
	g.t.Helper()
	g.queue(cmds...)
	g.set(g.its, GroupITSRegs, 0x88, g.writer)
}

// poke and peek are userspace's accesses of guest memory.
func (g *gicVM) poke(ipa mmu.IPA, w uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], w)
	g.vm.Host.Memory.Write(g.hva+mmu.HVA(ipa-gicRAM), b[:], mmu.WriterVMM)
}

func (g *gicVM) peek(ipa mmu.IPA) uint64 {
	var b [8]byte
	g.vm.Host.Memory.Read(g.hva+mmu.HVA(ipa-gicRAM), b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// dirty returns and clears the pages in the bitmap of slot 1.
func (g *gicVM) dirty() []int {
	g.t.Helper()
	words := make([]uint64, 32)
	if e := g.vm.GetDirtyLog(g.vm.Host.kernelThread(), 1, words); e != OK {
		g.t.Fatal(e)
	}
	var pages []int
	for i, w := range words {
		for b := range 64 {
			if w>>b&1 != 0 {
				pages = append(pages, i*64+b)
			}
		}
	}
	return pages
}

// ring returns the pages in a vCPU's ring.
func (g *gicVM) ring(v *VCPU) []int {
	var pages []int
	for i := v.Ring.ResetIndex; i != v.Ring.DirtyIndex; i++ {
		pages = append(pages, int(g.vm.Host.Machine.Mem.Load(v.Ring.EntryPA(i)+entryOffset, 8)))
	}
	return pages
}

// inRun calls f while v is inside KVM_RUN.
func (g *gicVM) inRun(v *VCPU, f func()) {
	v.Thread.VCPU = v
	f()
	v.Thread.VCPU = nil
}

func cmdMAPD(dev, bits uint32, itt uint64) its.Command {
	return its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(dev).WithEventBits(bits).WithITT(itt).WithValid(true)
}

func cmdMAPC(icid, pe uint32) its.Command {
	return its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithICID(icid).WithRDbase(pe).WithValid(true)
}

func cmdMAPTI(dev, event, intid, icid uint32) its.Command {
	return its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithDeviceID(dev).WithEventID(event).WithINTID(intid).WithICID(icid)
}

func cmdEvent(op uint8, dev, event uint32) its.Command {
	return its.Command{}.WithOpcode(uint32(op)).WithDeviceID(dev).WithEventID(event)
}

// mapTwo maps device 1 with an event for each of two vCPUs.
func (g *gicVM) mapTwo() *gicVM {
	g.t.Helper()
	g.run(cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 0, 8192, 0), cmdMAPTI(1, 1, 8193, 1))
	return g
}

// What can be asked of devices before they are set up, in which order it fails.
func TestDeviceErrors(t *testing.T) {
	for _, kernel := range Kernels {
		g := newGICVM(t, kernel, "ring+bitmap", 1)
		var gic, first, dev Device
		create := func(name string, into *Device) func() (uint64, Errno) {
			return func() (uint64, Errno) {
				d, e := g.vm.CreateDevice(name)
				if e == OK {
					*into = d
				}
				return 0, e
			}
		}
		set := func(d *Device, group uint32, attr, val uint64) func() (uint64, Errno) {
			return func() (uint64, Errno) { return 0, (*d).SetAttr(group, attr, 8, val) }
		}
		get := func(d *Device, group uint32, attr uint64) func() (uint64, Errno) {
			return func() (uint64, Errno) { return (*d).GetAttr(group, attr, 8) }
		}
		msi := func(flags uint32) func() (uint64, Errno) {
			return func() (uint64, Errno) { n, e := g.vm.SignalMSI(1, 0, flags); return uint64(n), e }
		}
		unknown := ENXIO
		if strings.HasPrefix(kernel, "6.12") {
			unknown = OK
		}
		const failed = ^uint64(0)
		for i, c := range []struct {
			call func() (uint64, Errno)
			want Errno
			val  uint64
		}{
			{msi(1), EINVAL, failed},
			{create("serial", &dev), ENODEV, 0},
			{create(DeviceITS, &first), OK, 0},
			{create(DeviceVGICv3, &gic), OK, 0},
			{create(DeviceVGICv3, &gic), EEXIST, 0},
			{set(&gic, GroupCtrl, CtrlSavePending, 0), ENXIO, 0},
			{create(DeviceITS, &dev), OK, 0},
			{set(&dev, GroupCtrl, CtrlSaveTables, 0), OK, 0},
			{get(&dev, GroupITSRegs, 0), ENXIO, 0},
			{msi(1), EINVAL, failed},
			{get(&dev, GroupAddr, AddrITS), OK, ^uint64(0)},
			{set(&dev, GroupAddr, AddrITS, gicITS+0x1000), EINVAL, 0},
			{set(&dev, GroupAddr, AddrITS, 1<<48), E2BIG, 0},
			{set(&dev, GroupAddr, AddrITS, 1<<40-0x10000), E2BIG, 0},
			{set(&dev, GroupAddr, AddrITS, gicITS), OK, 0},
			{set(&dev, GroupAddr, AddrITS, gicITS), EEXIST, 0},
			{set(&dev, GroupAddr, AddrRedist, gicITS), ENODEV, 0},
			{set(&dev, GroupCtrl, CtrlInit, 0), OK, 0},
			{set(&dev, GroupCtrl, 3, 0), unknown, 0},
			{set(&dev, GroupCtrl, 9, 0), unknown, 0},
			{set(&dev, 2, 0, 0), ENXIO, 0},
			{set(&gic, GroupNrIRQs, 0, 63), EINVAL, 0},
			{set(&gic, GroupNrIRQs, 0, 65), EINVAL, 0},
			{set(&gic, GroupNrIRQs, 0, 1024), EINVAL, 0},
			{get(&gic, GroupNrIRQs, 0), OK, 32},
			{set(&gic, GroupAddr, AddrITS, gicITS), ENXIO, 0},
			{set(&gic, GroupAddr, AddrDist, gicDist+0x1000), EINVAL, 0},
			{set(&gic, GroupAddr, AddrDist, gicDist), OK, 0},
			{set(&gic, GroupAddr, AddrDist, gicDist), EEXIST, 0},
			{set(&gic, GroupAddr, AddrRedist, gicDist), EINVAL, 0}, // overlap
			{set(&gic, GroupAddr, AddrRedist, gicRedist), OK, 0},
			{set(&gic, GroupAddr, AddrRedist, gicRedist), EEXIST, 0},
			{set(&gic, GroupAddr, AddrRedistRegion, 1<<52|gicRedist), EINVAL, 0},
			{set(&gic, GroupRedistRegs, 0, 1), EBUSY, 0}, // before INIT
			{set(&gic, GroupRedistRegs, 7<<32, 1), EINVAL, 0},
			{set(&gic, GroupCtrl, CtrlSavePending, 0), ENXIO, 0},
			{set(&gic, GroupCtrl, CtrlInit, 0), OK, 0},
			{set(&gic, GroupCtrl, CtrlInit, 0), OK, 0},
			{get(&gic, GroupNrIRQs, 0), OK, 256},
			{set(&gic, GroupNrIRQs, 0, 64), EBUSY, 0},
			{set(&gic, GroupCtrl, CtrlSavePending, 0), OK, 0},
			{set(&gic, GroupCtrl, 1, 0), ENXIO, 0},
			{set(&gic, GroupRedistRegs, 0x50, 0), ENXIO, 0},
			{set(&gic, GroupRedistRegs, 0x72, 0), ENXIO, 0},
			{set(&dev, GroupCtrl, CtrlRestoreTables, 0), OK, 0},
			{set(&dev, GroupCtrl, CtrlReset, 0), OK, 0},
			{get(&dev, GroupITSRegs, 0), OK, 0x80000000},
			{get(&dev, GroupITSRegs, 4), OK, 0x4b00043b},
			{get(&dev, GroupITSRegs, 8), OK, 0x1ef71},
			{get(&dev, GroupITSRegs, 0x80), OK, 0},
			{get(&dev, GroupITSRegs, 0x100), OK, 0x1907000000000600},
			{get(&dev, GroupITSRegs, 0x108), OK, 0x1c07000000000600},
			{get(&dev, GroupITSRegs, 0x110), OK, 0},
			{get(&dev, GroupITSRegs, 0x81), EINVAL, 0},
			{get(&dev, GroupITSRegs, 0x84), EINVAL, 0},
			{get(&dev, GroupITSRegs, 0x2), EINVAL, 0},
			{get(&dev, GroupITSRegs, 0x140), ENXIO, 0},
			{get(&dev, GroupITSRegs, 0x10040), ENXIO, 0},
			{get(&dev, GroupITSRegs, 0xffe8), OK, 0x3b},
			{get(&dev, GroupITSRegs, 0xffd0), OK, 0x40},
			{get(&dev, GroupITSRegs, 0xfffc), OK, 0xb1},
			{get(&dev, GroupITSRegs, 0x20000), ENXIO, 0},
			{get(&dev, GroupITSRegs, 1<<32), ENXIO, 0},
			{set(&dev, GroupITSRegs, 4, 0x4b00143b), EINVAL, 0},
			{set(&dev, GroupITSRegs, 4, 0x4b00043b), OK, 0},
			{set(&dev, GroupITSRegs, 8, 1), OK, 0},
			{get(&dev, GroupITSRegs, 8), OK, 0x1ef71},
			{set(&dev, GroupITSRegs, 0x90, 0x20), OK, 0},
			{set(&dev, GroupITSRegs, 0x80, 0x800000004000000f), OK, 0},
			{get(&dev, GroupITSRegs, 0x90), OK, 0}, // reset by CBASER
			{set(&dev, GroupITSRegs, 0x90, 0x20), OK, 0},
			{get(&dev, GroupITSRegs, 0x90), OK, 0x20},
			{set(&dev, GroupITSRegs, 0x90, 0x10000), EINVAL, 0},
			{set(&dev, GroupITSRegs, 0x88, 0x10000), OK, 0}, // ignored
			{get(&dev, GroupITSRegs, 0x88), OK, 0},
			{set(&dev, GroupITSRegs, 0, 1), OK, 0}, // ignored: no valid tables
			{get(&dev, GroupITSRegs, 0), OK, 0},
			{msi(1), EBUSY, failed},
			{msi(0), EINVAL, failed},
			{msi(2), EINVAL, failed},
		} {
			if val, e := c.call(); e != c.want || (e == OK || val == failed) && val != c.val {
				t.Errorf("%s, call %d: %#x %v, want %#x %v", kernel, i, val, e, c.val, c.want)
			}
		}
	}
}

// What registers read back after a write.
func TestITSRegistersSanitised(t *testing.T) {
	const valid, indirect = 1 << 63, 1 << 62
	for _, c := range []struct {
		name       string
		reg        uint64
		write, got uint64
	}{
		{"device table", 0x100, valid | 0x40010200, 0x9907000040010200},
		{"indirect device table", 0x100, valid | indirect | 0x40010200, 0xd907000040010200},
		{"collection table", 0x108, valid | 0x40080200, 0x9c07000040080200},
		{"a collection table is never indirect", 0x108, valid | indirect | 0x40080200, 0x9c07000040080200},
		{"a table that does not exist", 0x110, ^uint64(0), 0},
		{"the last one", 0x138, ^uint64(0), 0},
		{"queue", 0x80, valid | 0x4000000f, 0x980000004000000f},
		{"queue address in 64 KiB", 0x80, valid | 0x4000f00f, 0x980000004000000f},
		{"outer shareable becomes inner", 0x80, valid | 2<<10, valid | 3<<59 | 1<<10},
		{"inner cache 1 becomes 3", 0x80, 1 << 59, 3 << 59},
		{"inner cache 5 stays", 0x80, 5 << 59, 5 << 59},
		{"outer cache 1 stays", 0x80, 1<<53 | 7<<59, 1<<53 | 7<<59},
		{"outer cache 2 becomes 0", 0x80, 2<<53 | 7<<59, 7 << 59},
		{"page size 4K becomes 64K", 0x100, 0x40010000 | 7<<59, 7<<59 | 0x0107000040010200},
	} {
		g := newGICVM(t, "7.2", "bitmap", 1)
		g.create()
		g.set(g.its, GroupITSRegs, c.reg, c.write)
		if got := g.reg(c.reg); got != c.got {
			t.Errorf("%s: wrote %#x, reads %#x, want %#x", c.name, c.write, got, c.got)
		}
	}
}

// While the ITS is enabled its tables and queue cannot be moved.
func TestITSRegistersLockedWhileEnabled(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 1).setup()
	for _, reg := range []uint64{0x80, 0x100, 0x108} {
		before := g.reg(reg)
		g.set(g.its, GroupITSRegs, reg, 0)
		if got := g.reg(reg); got != before {
			t.Errorf("register %#x changed to %#x", reg, got)
		}
	}
	if e := g.its.SetAttr(GroupITSRegs, 0x90, 8, 0); e != EBUSY {
		t.Errorf("CREADR: %v", e)
	}
}

// Userspace writes halves of the redistributor's registers; they read sanitised
// and cannot be changed while LPIs are enabled.
func TestRedistRegisters(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 2)
	g.create()
	get := func(attr uint64) uint64 {
		v, e := g.gic.GetAttr(GroupRedistRegs, attr, 4)
		if e != OK {
			t.Fatal(e)
		}
		return v
	}
	if got := get(0x78); got != 0x580 {
		t.Errorf("PENDBASER at reset %#x", got)
	}
	g.set(g.gic, GroupRedistRegs, 0x70, 0x4009000f)
	g.set(g.gic, GroupRedistRegs, 0x74, 0xffff_ffff)
	if lo, hi := get(0x70), get(0x74); lo != 0x4009018f || hi != 0x000f_ffff {
		t.Errorf("PROPBASER %#x %#x", hi, lo)
	}
	if got := get(1<<32 | 0x70); got != 0x4009018f {
		t.Errorf("the other vCPU's PROPBASER is its own: %#x", got)
	}
	g.set(g.gic, GroupRedistRegs, 1<<32|0x78, 0x4011_ffff)
	g.set(g.gic, GroupRedistRegs, 1<<32|0x7c, 1<<30) // PTZ
	if lo, hi := get(1<<32|0x78), get(1<<32|0x7c); lo != 0x40110f80 || hi != 0 {
		t.Errorf("PENDBASER %#x %#x", hi, lo)
	}
	g.set(g.gic, GroupRedistRegs, 0, 1)
	g.set(g.gic, GroupRedistRegs, 0x70, 0)
	if got := get(0x70); got != 0x4009018f {
		t.Errorf("PROPBASER changed while LPIs are enabled: %#x", got)
	}
	if typer := get(8); typer != 1 {
		t.Errorf("GICR_TYPER of vCPU 0: %#x", typer)
	}
	if lo, hi := get(1<<32|8), get(1<<32|12); lo != 1|1<<4|1<<8 || hi != 1 {
		t.Errorf("GICR_TYPER of vCPU 1: %#x %#x", hi, lo)
	}
}

// Every ITS that is created resets the VM's PROPBASER: what was restored before is
// lost.
func TestITSResetsPropbaser(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 1)
	g.create()
	g.set(g.gic, GroupRedistRegs, 0x70, gicProp|0xf)
	if _, e := g.vm.CreateDevice(DeviceITS); e != OK {
		t.Fatal(e)
	}
	if got, _ := g.gic.GetAttr(GroupRedistRegs, 0x70, 4); got != 0x580 {
		t.Errorf("PROPBASER %#x", got)
	}
}

// Distributor registers of shared interrupts, through userspace and the guest.
func TestDistRegisters(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 1)
	g.create()
	c := g.vm.vgic
	v := g.vm.VCPUs[0]
	read := func(offset mmu.IPA, size uint8) uint64 {
		val, ok := c.mmio(v, gicDist+offset, size, false, 0)
		if !ok {
			t.Fatalf("distributor does not decode %#x", offset)
		}
		return val
	}
	write := func(offset mmu.IPA, size uint8, val uint64) { c.mmio(v, gicDist+offset, size, true, val) }
	if got := read(4, 4); got != 1|1<<17|15<<19 {
		t.Errorf("GICD_TYPER %#x", got)
	}
	if got := read(8, 4); got != 0x4b00343b {
		t.Errorf("GICD_IIDR %#x", got)
	}
	write(0, 4, 2)
	if got := read(0, 4); got != 1<<6|1<<4|2 {
		t.Errorf("GICD_CTLR %#x", got)
	}
	write(0x104, 4, 0xff)
	write(0x184, 4, 0xf)
	if got := read(0x104, 4); got != 0xf0 {
		t.Errorf("enabled %#x", got)
	}
	write(0x100, 4, 0xffffffff) // private: not here
	if got := read(0x100, 4); got != 0 {
		t.Errorf("private interrupts enabled %#x", got)
	}
	write(0x108, 4, 0xff) // INTIDs 64 and up do not exist
	if got := read(0x108, 4); got != 0 {
		t.Errorf("interrupts that do not exist: %#x", got)
	}
	write(0x420, 4, 0xa7ff10)
	if got := read(0x421, 1); got != 0xf8 {
		t.Errorf("priority %#x", got)
	}
	write(0xc08, 4, 0xffffffff)
	if got := read(0xc08, 4); got != 0xaaaaaaaa {
		t.Errorf("configuration %#x", got)
	}
	write(0x6100, 8, 0xff_0000_0201)
	if got := read(0x6100, 8); got != 0x201 {
		t.Errorf("route %#x", got)
	}
	write(0x204, 4, 3)
	write(0x284, 4, 1)
	if got := read(0x204, 4); got != 2 {
		t.Errorf("pending %#x", got)
	}
	g.set(g.gic, GroupDistRegs, 0x204, 0x30) // userspace writes them all
	if got, _ := g.gic.GetAttr(GroupDistRegs, 0x204, 4); got != 0x30 {
		t.Errorf("pending after userspace %#x", got)
	}
	if got := read(0x6104, 2); got != 0 {
		t.Errorf("a 16-bit read gives %#x", got)
	}
	if _, ok := c.mmio(v, gicDist+0xfffc, 8, false, 0); ok {
		t.Error("an access across the end of the frame is taken")
	}
	if _, ok := c.mmio(v, gicRedist+redistBytes, 4, false, 0); ok {
		t.Error("a redistributor without a vCPU")
	}
}

// Tables that are saved set bits in the bitmap, no ring entries, again each time.
func TestSaveMarksBitmap(t *testing.T) {
	for _, mode := range []string{"bitmap", "ring+bitmap"} {
		g := newGICVM(t, "7.2", mode, 2).setup().mapTwo()
		for range 2 {
			g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
			if d := cmp.Diff([]int{16, 128, 512}, g.dirty()); d != "" {
				t.Errorf("%s: saved pages (-want +got):\n%s", mode, d)
			}
		}
		g.vm.SignalMSI(1, 1, MSIValidDevID)
		for i, want := range [][]int{{272}, nil} {
			g.set(g.gic, GroupCtrl, CtrlSavePending, 0)
			if d := cmp.Diff(want, g.dirty()); d != "" {
				t.Errorf("%s: pages of pending tables, save %d (-want +got):\n%s", mode, i, d)
			}
		}
		for _, v := range g.vm.VCPUs {
			if r := g.ring(v); r != nil {
				t.Errorf("%s: the ring of vCPU %d has %v", mode, v.Index, r)
			}
		}
		if w := g.vm.Host.Warns; len(w) != 0 {
			t.Errorf("%s: warnings %v", mode, w)
		}
	}
}

// With a ring only, tables are saved and nobody knows; the kernel does not warn,
// and the model counts each page as lost.
func TestSaveWithRingOnly(t *testing.T) {
	g := newGICVM(t, "7.2", "ring", 2).setup().mapTwo()
	g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
	if g.peek(gicITT) == 0 {
		t.Error("nothing was saved")
	}
	h := g.vm.Host
	if len(h.Warns) != 0 {
		t.Errorf("warnings %v", h.Warns)
	}
	if n := h.Stats.Losses[LossNoVCPU]; n == 0 || len(h.Losses) == 0 {
		t.Errorf("%d losses counted", n)
	}
}

// A command of the guest that moves a pending bit writes memory as its vCPU; one
// of userspace does not.
func TestPendingBitOfGuestAndUserspace(t *testing.T) {
	for _, guest := range []bool{false, true} {
		g := newGICVM(t, "7.2", "ring+bitmap", 2).setup()
		g.poke(gicPend+1024, 1)
		g.queue(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPTI(1, 0, 8192, 0))
		v := g.vm.VCPUs[1]
		wantRing, wantBitmap := []int(nil), []int{256}
		if guest {
			wantRing, wantBitmap = wantBitmap, wantRing
			g.inRun(v, func() {
				if _, ok := g.vm.vgic.mmio(v, gicITS+0x88, 8, true, g.writer); !ok {
					t.Error("CWRITER is not decoded")
				}
			})
		} else {
			g.run()
		}
		if got := g.peek(gicPend + 1024); got != 0 {
			t.Errorf("guest %v: pending bit still %#x", guest, got)
		}
		if d := cmp.Diff(wantRing, g.ring(v)); d != "" {
			t.Errorf("guest %v: ring (-want +got):\n%s", guest, d)
		}
		if d := cmp.Diff(wantBitmap, g.dirty()); d != "" {
			t.Errorf("guest %v: bitmap (-want +got):\n%s", guest, d)
		}
	}
}

// Device calls that need all vCPUs fail while one is inside KVM_RUN.
func TestBusyWhileRunning(t *testing.T) {
	g := newGICVM(t, "7.2", "ring+bitmap", 2).setup().mapTwo()
	g.inRun(g.vm.VCPUs[1], func() {
		for i, e := range []Errno{
			g.its.SetAttr(GroupCtrl, CtrlSaveTables, 0, 0),
			g.its.SetAttr(GroupCtrl, CtrlRestoreTables, 0, 0),
			g.its.SetAttr(GroupCtrl, CtrlReset, 0, 0),
			g.its.SetAttr(GroupITSRegs, 0x88, 8, 0),
			g.gic.SetAttr(GroupCtrl, CtrlSavePending, 0, 0),
			g.gic.SetAttr(GroupDistRegs, 0, 4, 2),
		} {
			if e != EBUSY {
				t.Errorf("call %d: %v, want EBUSY", i, e)
			}
		}
		if _, e := g.its.GetAttr(GroupITSRegs, 0, 8); e != EBUSY {
			t.Errorf("reading a register: %v", e)
		}
		if e := g.its.SetAttr(GroupITSRegs, 0x81, 8, 0); e != EINVAL {
			t.Errorf("a misaligned register: %v, want EINVAL before EBUSY", e)
		}
		if n, e := g.vm.SignalMSI(1, 0, MSIValidDevID); n != 1 || e != OK {
			t.Errorf("an MSI needs no lock of a vCPU: %d %v", n, e)
		}
	})
	if len(g.dirty()) != 0 {
		t.Error("a call that failed wrote memory")
	}
	g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
}

// The translation cache: a hit needs no VALID_DEVID, and what drops it.
func TestTranslationCache(t *testing.T) {
	hit := func(g *gicVM) bool {
		n, e := g.vm.SignalMSI(1, 0, 0)
		return n == 1 && e == OK
	}
	for _, c := range []struct {
		name string
		do   func(g *gicVM)
		hit  bool
	}{
		{"nothing", func(g *gicVM) {}, true},
		{"INT fills it as well", func(g *gicVM) { g.run(cmdEvent(its.OpDISCARD, 1, 1), cmdEvent(its.OpINT, 1, 0)) }, true},
		{"DISCARD of another event", func(g *gicVM) { g.run(cmdEvent(its.OpDISCARD, 1, 1)) }, false},
		{"DISCARD that fails", func(g *gicVM) { g.run(cmdEvent(its.OpDISCARD, 1, 9)) }, true},
		{"MOVI", func(g *gicVM) { g.run(cmdEvent(its.OpMOVI, 1, 0).WithICID(1)) }, false},
		{"MAPD of another device", func(g *gicVM) { g.run(cmdMAPD(2, 4, gicITT+0x1000)) }, true},
		{"MAPD of the device", func(g *gicVM) { g.run(cmdMAPD(1, 4, gicITT)) }, false},
		{"MAPC V=0 of another collection", func(g *gicVM) { g.run(cmdMAPC(9, 0).WithValid(false)) }, false},
		{"MAPC V=1", func(g *gicVM) { g.run(cmdMAPC(0, 1)) }, true},
		{"MOVALL", func(g *gicVM) { g.run(its.Command{}.WithOpcode(uint32(its.OpMOVALL)).WithRDbase2(1)) }, false},
		{"disabling the ITS", func(g *gicVM) {
			g.set(g.its, GroupITSRegs, 0, 0)
			g.set(g.its, GroupITSRegs, 0, 1)
		}, false},
		{"disabling LPIs of another vCPU", func(g *gicVM) { g.set(g.gic, GroupRedistRegs, 1<<32, 0) }, false},
		{"INV", func(g *gicVM) { g.run(cmdEvent(its.OpINV, 1, 0)) }, true},
		{"saving", func(g *gicVM) { g.set(g.its, GroupCtrl, CtrlSaveTables, 0) }, true},
	} {
		g := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
		if hit(g) {
			t.Fatal("a hit before the first MSI")
		}
		if n, e := g.vm.SignalMSI(1, 0, MSIValidDevID); n != 1 || e != OK {
			t.Fatalf("first MSI: %d %v", n, e)
		}
		c.do(g)
		if got := hit(g); got != c.hit {
			t.Errorf("%s: hit %v, want %v", c.name, got, c.hit)
		}
	}
}

// MSIs that find no way.
func TestSignalMSI(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
	g.run(cmdMAPTI(1, 2, 8194, 7)) // a collection without a vCPU
	for _, c := range []struct {
		dev, event, flags uint32
		n                 int64
		e                 Errno
	}{
		{1, 0, 1, 1, OK}, {1, 0, 0, 1, OK}, {1, 0, 3, -1, EINVAL}, {1, 2, 1, 0, OK},
		{1, 3, 1, 0, OK}, {2, 0, 1, 0, OK}, {1, 99, 1, 0, OK}, {1 << 20, 0, 1, 0, OK}, {1, 1 << 20, 1, 0, OK},
		{1, 1, 0, -1, EINVAL},
	} {
		if n, e := g.vm.SignalMSI(c.dev, c.event, c.flags); n != c.n || e != c.e {
			t.Errorf("MSI %d %d flags %d: %d %v, want %d %v", c.dev, c.event, c.flags, n, e, c.n, c.e)
		}
	}
	g.set(g.gic, GroupRedistRegs, 0, 0)
	if n, e := g.vm.SignalMSI(1, 0, 1); n != -1 || e != EBUSY {
		t.Errorf("with LPIs disabled: %d %v", n, e)
	}
}

// Enabling LPIs takes the pending state from memory, and what is there wins; with
// PTZ memory is not looked at.
func TestEnableLPIs(t *testing.T) {
	for _, ptz := range []uint64{0, 1 << 30} {
		g := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
		g.run(cmdMAPTI(1, 2, 8200, 0))
		g.vm.SignalMSI(1, 0, 1)
		g.poke(gicPend+1024, 1<<8) // 8200, and not 8192
		g.set(g.gic, GroupRedistRegs, 0, 0)
		g.set(g.gic, GroupRedistRegs, 0x7c, ptz)
		g.set(g.gic, GroupRedistRegs, 0, 1)
		want := uint64(1 << 8)
		if ptz != 0 {
			want = 1
		}
		g.set(g.gic, GroupCtrl, CtrlSavePending, 0)
		if got := g.peek(gicPend + 1024); got != want {
			t.Errorf("PTZ %v: pending table %#x, want %#x", ptz != 0, got, want)
		}
	}
}

// An event whose collection is gone crashes the old kernel in SAVE_TABLES, unless
// that hazard is fixed; new ones save it as a zero entry.
func TestSaveWithoutCollection(t *testing.T) {
	ways := map[string]func(g *gicVM){
		HazardITSSaveUnmapped.String(): func(g *gicVM) { g.run(cmdMAPC(1, 1).WithValid(false)) },
		HazardITSRestoreTwice.String(): func(g *gicVM) {
			g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
			if e := g.its.SetAttr(GroupCtrl, CtrlRestoreTables, 0, 0); e != EEXIST {
				g.t.Errorf("second restore: %v", e)
			}
		},
	}
	for name, way := range ways {
		for _, kernel := range []string{"7.2", "6.12", "6.12 fixed"} {
			g := newGICVM(t, strings.TrimSuffix(kernel, " fixed"), "ring+bitmap", 2).setup().mapTwo()
			if strings.HasSuffix(kernel, "fixed") {
				if err := g.vm.Host.Kernel.SetHazard(name, false); err != nil {
					t.Fatal(err)
				}
			}
			way(g)
			g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
			crashed := g.vm.Crash() != ""
			if want := kernel == "6.12"; crashed != want {
				t.Errorf("%s on %s: crash %q", name, kernel, g.vm.Crash())
			}
			if !crashed && g.peek(gicITT+8) != 0 {
				t.Errorf("%s on %s: the orphan's entry is %#x", name, kernel, g.peek(gicITT+8))
			}
		}
	}
}

// The dangling `next` before such an entry, and its repair.
func TestDanglingNext(t *testing.T) {
	for kernel, want := range map[string]uint32{"7.2": 1, "7.2+fixed": 4} {
		g := newGICVM(t, kernel, "bitmap", 2).setup().mapTwo()
		g.run(cmdMAPTI(1, 4, 8300, 0), cmdMAPC(1, 1).WithValid(false))
		g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
		if got := its.ITE(g.peek(gicITT)).Next(); got != want {
			t.Errorf("%s: next = %d, want %d", kernel, got, want)
		}
	}
}

// Tables where no slot is, or a read-only one, end the save where it stands.
func TestSaveFaults(t *testing.T) {
	for _, flags := range []SlotFlags{SlotLogDirty, SlotLogDirty | SlotReadonly} {
		g := newGICVM(t, "7.2", "ring+bitmap", 1).setup()
		hva := g.addSlot(2, flags, 0x5000_0000, 1<<20)
		g.run(cmdMAPC(0, 0), cmdMAPD(1, 4, gicITT), cmdMAPD(2, 4, 0x5000_0000), cmdMAPD(3, 4, gicITT+0x1000),
			cmdMAPTI(1, 0, 8192, 0), cmdMAPTI(2, 0, 8193, 0), cmdMAPTI(3, 0, 8194, 0))
		if flags&SlotReadonly == 0 {
			g.vm.SetUserMemoryRegion(Region{Slot: 2, GPA: 0x5000_0000, HVA: hva})
		}
		if e := g.its.SetAttr(GroupCtrl, CtrlSaveTables, 0, 0); e != EFAULT {
			t.Errorf("flags %d: %v, want EFAULT", flags, e)
		}
		if d := cmp.Diff([]int{16, 512}, g.dirty()); d != "" {
			t.Errorf("flags %d: pages (-want +got):\n%s", flags, d)
		}
	}
}

// A guest sees what userspace sees, in 32 or 64 bits; other widths read 0.
func TestGuestRegisterWidths(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 1)
	g.create()
	v, c := g.vm.VCPUs[0], g.vm.vgic
	access := func(offset mmu.IPA, size uint8, write bool, val uint64) uint64 {
		got, ok := c.mmio(v, gicITS+offset, size, write, val)
		if !ok {
			t.Fatalf("ITS does not decode %#x", offset)
		}
		return got
	}
	access(0x104, 4, true, 0x80000000)
	access(0x100, 4, true, 0x40010200)
	if got := access(0x100, 8, false, 0); got != 0x9907000040010200 {
		t.Errorf("BASER0 in halves: %#x", got)
	}
	if got := access(0x104, 4, false, 0); got != 0x99070000 {
		t.Errorf("upper half: %#x", got)
	}
	for _, size := range []uint8{1, 2} {
		if got := access(0x100, size, false, 0); got != 0 {
			t.Errorf("%d bytes: %#x", size, got)
		}
	}
	if got := access(0x0, 8, false, 0); got != 0 {
		t.Errorf("CTLR in 64 bits: %#x", got)
	}
	access(0x4, 4, true, 0x1000) // IIDR is read-only for the guest
	access(0x90, 8, true, 0x20)  // so is CREADR
	if got := access(0x90, 8, false, 0); got != 0 {
		t.Errorf("CREADR %#x", got)
	}
	access(0x10040, 4, true, 5) // the doorbell does nothing from here
	if got := access(0x200, 8, false, 0); got != 0 {
		t.Errorf("a hole reads %#x", got)
	}
}

// A queue that wraps, and a command that lies in no memory.
func TestQueue(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 2)
	g.create()
	g.set(g.its, GroupITSRegs, 0x80, 1<<63|gicQueue) // 4 KiB
	g.set(g.its, GroupITSRegs, 0x100, 1<<63|gicDevices)
	g.set(g.its, GroupITSRegs, 0x108, 1<<63|gicColls)
	g.set(g.its, GroupITSRegs, 0x90, 0xfe0)
	g.writer = 0xfe0
	g.queue(cmdMAPC(3, 0))
	g.writer = 0
	g.queue(cmdMAPC(4, 1))
	g.set(g.its, GroupITSRegs, 0x88, 0x20)
	if got := g.reg(0x90); got != 0xfe0 {
		t.Errorf("a disabled ITS read its queue up to %#x", got)
	}
	if got := g.reg(0); got != 0 {
		t.Errorf("CTLR %#x while commands wait", got)
	}
	g.set(g.its, GroupITSRegs, 0, 1)
	if got := g.reg(0x90); got != 0x20 {
		t.Errorf("CREADR %#x", got)
	}
	s := g.vm.vgic.itss[0].state
	if len(s.Collections) != 2 || s.Collections[0].ICID != 3 {
		t.Errorf("collections %+v", s.Collections)
	}
	g.set(g.its, GroupITSRegs, 0, 0)
	g.set(g.its, GroupITSRegs, 0x80, 1<<63|0x7000_0000)
	g.set(g.its, GroupITSRegs, 0, 1)
	g.set(g.its, GroupITSRegs, 0x88, 0x40)
	if got := g.reg(0x90); got != 0x40 {
		t.Errorf("CREADR %#x of a queue in no memory", got)
	}
}

// A table register that loses its Valid bit drops what it described; RESET keeps
// where the tables are.
func TestInvalidTablesAndReset(t *testing.T) {
	g := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
	s := g.vm.vgic.itss[0].state
	g.set(g.its, GroupITSRegs, 0, 0)
	g.set(g.its, GroupITSRegs, 0x108, gicColls)
	if len(s.Collections) != 0 || len(s.Devices) != 1 || g.vm.vgic.lpis.Count() != 2 {
		t.Errorf("after BASER1: %d collections, %d devices", len(s.Collections), len(s.Devices))
	}
	g.set(g.its, GroupITSRegs, 0x100, gicDevices)
	if len(s.Devices) != 0 || g.vm.vgic.lpis.Count() != 0 {
		t.Errorf("after BASER0: %d devices", len(s.Devices))
	}

	g = newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
	g.set(g.its, GroupCtrl, CtrlReset, 0)
	for reg, want := range map[uint64]uint64{
		0: 0x80000000, 0x80: 0, 0x88: 0, 0x90: 0, 0x100: 0x1907000040010200, 0x108: 0x1c07000040080200,
	} {
		if got := g.reg(reg); got != want {
			t.Errorf("after RESET register %#x = %#x, want %#x", reg, got, want)
		}
	}
	if n := g.vm.vgic.lpis.Count(); n != 0 {
		t.Errorf("after RESET %d LPIs", n)
	}
}

// randomGIC does one random thing to a VM's interrupt controller, through any of
// its doors, and returns what came of it.
func (g *gicVM) randomGIC(s *sim.Stream) string {
	pick := func(from ...uint64) uint64 { return from[s.N(uint64(len(from)))] }
	v := g.vm.VCPUs[s.N(2)]
	switch s.N(10) {
	case 0:
		e := g.its.SetAttr(GroupCtrl, pick(1, 1, 2, 4, 0, 3), 0, 0)
		return fmt.Sprint("control ", e)
	case 1:
		return fmt.Sprint("save pending ", g.gic.SetAttr(GroupCtrl, CtrlSavePending, 0, 0))
	case 2, 3:
		n, e := g.vm.SignalMSI(uint32(pick(1, 2, 3)), uint32(pick(0, 1, 2)), uint32(pick(0, 1, 1)))
		return fmt.Sprint("MSI ", n, e)
	case 4: // a register of the ITS
		reg, val := pick(0, 0, 0x80, 0x88, 0x90, 0x100, 0x108), pick(0, 1, 1<<63|gicQueue|0xf, 1<<63|gicDevices,
			1<<63|gicColls, 1<<62|1<<63|gicDevices, s.Uint64())
		return fmt.Sprint("ITS register ", g.its.SetAttr(GroupITSRegs, reg, 8, val))
	case 5: // anything, from the guest
		ipa := pick(gicITS, gicRedist, gicRedist+redistBytes, gicDist) + pick(0, 0x70, 0x78, 0x88, 0xa0, 0xb0, 0x100, s.N(0x20000))
		val, size := pick(0, 1, g.writer, gicProp|0xf, s.Uint64()), uint8(pick(1, 4, 8))
		write := s.Chance(1, 2)
		var got uint64
		var ok bool
		g.inRun(v, func() { got, ok = g.vm.vgic.mmio(v, mmu.IPA(ipa), size, write, val) })
		return fmt.Sprint("guest ", got, ok)
	case 6: // memory behind everybody's back
		addr := pick(gicDevices, gicColls, gicITT, gicPend+1024, gicPend+0x10400, gicProp) + 8*s.N(8)
		g.poke(mmu.IPA(addr), pick(0, s.Uint64(), g.peek(mmu.IPA(addr))^1<<s.N(64), 1<<63, 8192<<16))
		return "poke"
	}
	c := its.Command{s.Uint64(), s.Uint64(), s.Uint64(), s.Uint64()}
	if s.Chance(7, 8) {
		dev, event := uint32(pick(1, 1, 2, 3)), uint32(pick(0, 1, 2))
		c = [...]its.Command{
			cmdMAPC(uint32(s.N(3)), uint32(s.N(3))).WithValid(s.Chance(4, 5)),
			cmdMAPD(dev, uint32(1+s.N(4)), pick(gicITT, gicITT+0x1000)).WithValid(s.Chance(4, 5)),
			cmdMAPTI(dev, event, uint32(8190+s.N(20)), uint32(s.N(4))),
			cmdEvent(uint8(pick(3, 4, 12, 13, 15, 1)), dev, event).WithICID(uint32(s.N(3))),
		}[s.N(4)]
	}
	g.queue(c)
	if s.Chance(1, 2) {
		return fmt.Sprint("command ", g.its.SetAttr(GroupITSRegs, 0x88, 8, g.writer))
	}
	g.inRun(v, func() { g.vm.vgic.mmio(v, gicITS+0x88, 8, true, g.writer) })
	return "guest command"
}

// Save, restore and continue equals the undisturbed run: two VMs live the same
// life, and one of them has its devices replaced by their snapshot at every
// seventh step.
func TestDevicesSyncContinues(t *testing.T) {
	for seed := range uint64(20) {
		a := newGICVM(t, "7.2", "ring+bitmap", 2).setup()
		b := newGICVM(t, "7.2", "ring+bitmap", 2).setup()
		sa, sb := sim.NewStream(seed, "gic"), sim.NewStream(seed, "gic")
		for i := range 300 {
			if i%7 == 0 {
				e := sim.NewEncoder()
				b.vm.syncDevices(e)
				d := sim.NewDecoder(e.Finish())
				b.vm.syncDevices(d)
				d.Finish()
				if err := d.Err(); err != nil {
					t.Fatalf("seed %d step %d: %v", seed, i, err)
				}
			}
			if x, y := a.randomGIC(&sa), b.randomGIC(&sb); x != y {
				t.Fatalf("seed %d step %d: %s, after a snapshot %s", seed, i, x, y)
			}
			ha, hb := sim.NewHasher(), sim.NewHasher()
			a.vm.syncDevices(ha)
			b.vm.syncDevices(hb)
			if ha.Sum() != hb.Sum() {
				t.Fatalf("seed %d step %d: the devices differ", seed, i)
			}
		}
		if d := cmp.Diff(a.dirty(), b.dirty()); d != "" {
			t.Fatalf("seed %d: dirty pages (-undisturbed +restored):\n%s", seed, d)
		}
		if a.vm.vgic.lpis.Count() > 0 && a.vm.vgic.Stats.MSIHits == 0 {
			t.Errorf("seed %d never hit the translation cache", seed)
		}
	}
}

// A VM that is restored from a snapshot gets the devices that it lacks.
func TestDevicesSyncIntoFreshVM(t *testing.T) {
	a := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
	a.vm.SignalMSI(1, 0, MSIValidDevID)
	e := sim.NewEncoder()
	a.vm.syncDevices(e)
	b := newGICVM(t, "7.2", "bitmap", 2)
	d := sim.NewDecoder(e.Finish())
	b.vm.syncDevices(d)
	d.Finish()
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if len(b.vm.Devices) != 2 {
		t.Fatalf("%d devices", len(b.vm.Devices))
	}
	if n, err := b.vm.SignalMSI(1, 0, 0); n != 1 || err != OK {
		t.Errorf("a cached MSI after the restore: %d %v", n, err)
	}
	b.gic, b.its = b.vm.Devices[0], b.vm.Devices[1]
	b.set(b.its, GroupCtrl, CtrlSaveTables, 0)
	if d := cmp.Diff([]int{16, 128, 512}, b.dirty()); d != "" {
		t.Errorf("pages of the restored VM's save (-want +got):\n%s", d)
	}
}

// What the translation cache says is what the tables say.
func TestCacheAgreesWithTables(t *testing.T) {
	hits := 0
	for seed := range uint64(30) {
		g := newGICVM(t, "7.2", "bitmap", 2).setup().mapTwo()
		k := g.vm.vgic.itss[0]
		s := sim.NewStream(seed, "cache")
		for i := range 200 {
			dev, event := uint32(1+s.N(2)), uint32(s.N(4))
			switch s.N(3) {
			case 0:
				g.vm.SignalMSI(dev, event, MSIValidDevID)
			case 1:
				g.run([...]its.Command{
					cmdMAPC(uint32(s.N(3)), uint32(s.N(2))).WithValid(s.Chance(4, 5)),
					cmdMAPD(dev, 4, gicITT+uint64(dev)<<12).WithValid(s.Chance(4, 5)),
					cmdMAPTI(dev, event, uint32(8192+s.N(8)), uint32(s.N(3))),
					cmdMAPTI(dev, event, uint32(8192+s.N(8)), uint32(s.N(3))),
					cmdEvent(its.OpMOVI, dev, event).WithICID(uint32(s.N(3))),
					cmdEvent(its.OpDISCARD, dev, event),
					cmdEvent(its.OpINT, dev, event),
				}[s.N(7)])
			}
			for dev := range uint32(4) {
				for event := range uint32(4) {
					l := k.cached(dev, event)
					if l == nil {
						continue
					}
					hits++
					if want, _, err := k.state.Translate(k.machine, dev, event); err != its.None || l != want {
						t.Fatalf("seed %d step %d: device %d event %d is cached as %v, the tables say %v %#x", seed, i, dev, event, l, want, err)
					}
				}
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d cached translations were seen", hits)
	}
}

// On a thread, device calls and MSIs take the time of its core; without one they
// take none of it.
func TestDeviceCallsTakeTime(t *testing.T) {
	p, err := LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	g := newGICVM(t, "7.2", "ring+bitmap", 2).setup().mapTwo()
	h := g.vm.Host
	h.Profile = p
	th := h.NewThread(h.Machine.Cores[0], "vmm")
	took := func(f func()) sim.Cycle {
		before := th.Core.Now
		f()
		return th.Core.Now - before
	}
	save := func() { g.vm.SetAttr(th, g.its, GroupCtrl, CtrlSaveTables, 0, 0) }
	miss := func() { g.vm.SignalMSIOn(th, 1, 0, MSIValidDevID) }
	small := took(save)
	if want := sim.Cycle(p.Ioctl + 6*p.TableEntry); small < want { // 2 ITEs, 1 DTE, 2 CTEs and the end
		t.Errorf("a save of 6 entries takes %d cycles, less than its overhead of %d", small, want)
	}
	if got, want := took(miss), sim.Cycle(p.Ioctl+p.MSI+p.MSITranslate); got != want {
		t.Errorf("an MSI takes %d cycles, want %d", got, want)
	}
	if got, want := took(miss), sim.Cycle(p.Ioctl+p.MSI); got != want {
		t.Errorf("a cached MSI takes %d cycles, want %d", got, want)
	}
	for i := range uint32(10) {
		g.run(cmdMAPTI(1, 2+i, 8300+i, 0))
	}
	if got, want := took(save)-small, sim.Cycle(10*p.TableEntry); got < want {
		t.Errorf("10 events more take %d cycles more, want at least %d", got, want)
	}
	if th.Cycles[CauseSave] == 0 {
		t.Error("nothing is booked as saving tables")
	}
}

// FuzzVGIC drives registers, commands and tables with arbitrary bytes: nothing
// may panic or hang, and what results must survive a snapshot.
func FuzzVGIC(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x04\x88\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x00\x00\x00\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := newGICVM(t, "7.2", "ring+bitmap", 2).setup().mapTwo()
		v := g.vm.VCPUs[0]
		for n := 0; len(data) >= 17 && n < 64; n++ {
			what, x, y := data[0], binary.LittleEndian.Uint64(data[1:]), binary.LittleEndian.Uint64(data[9:])
			data = data[17:]
			switch what % 10 {
			case 0:
				g.its.SetAttr(uint32(x%10), x>>8, 8, y)
			case 1:
				g.its.SetAttr(GroupITSRegs, x%0x140&^7, 8, y)
			case 2:
				g.gic.SetAttr(uint32(x%10), x>>8, 8, y)
			case 3:
				g.its.SetAttr(GroupCtrl, x%5, 8, y)
			case 4:
				g.inRun(v, func() { g.vm.vgic.mmio(v, gicITS+mmu.IPA(x%0x20000), 1<<(x>>20%4), x>>63 == 0, y) })
			case 5:
				g.inRun(v, func() { g.vm.vgic.mmio(v, gicDist+mmu.IPA(x%0x100000), 1<<(x>>20%4), x>>63 == 0, y) })
			case 6:
				g.poke(gicRAM+mmu.IPA(x%(8<<20)&^7), y)
			case 7:
				g.vm.SignalMSI(uint32(x), uint32(x>>32), uint32(y%4))
			case 8: // a command of which the first half is free
				g.queue(its.Command{x, y, 1<<63 | gicITT, x})
				g.its.SetAttr(GroupITSRegs, 0x88, 8, g.writer)
			case 9:
				g.queue(its.Command{x & 0x3_0000_000f, y & 0x2001_0000_0003, 1 << 63, 0})
				g.its.SetAttr(GroupITSRegs, 0x88, 8, g.writer)
			}
		}
		e := sim.NewEncoder()
		g.vm.syncDevices(e)
		d := sim.NewDecoder(e.Finish())
		g.vm.syncDevices(d)
		d.Finish()
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkSignalMSI(b *testing.B) {
	for _, cached := range []bool{true, false} {
		b.Run(fmt.Sprintf("cached=%v", cached), func(b *testing.B) {
			g := newGICVM(b, "7.2", "ring+bitmap", 2).setup().mapTwo()
			s := g.vm.vgic.itss[0].state
			b.ReportAllocs()
			for b.Loop() {
				if !cached {
					s.Epoch++
				}
				if n, _ := g.vm.SignalMSI(1, 0, MSIValidDevID); n != 1 {
					b.Fatal("not delivered")
				}
			}
		})
	}
}

// populate maps devices with the given number of events each.
func (g *gicVM) populate(devices, events int) {
	g.run(cmdMAPC(0, 0))
	for d := range devices {
		g.run(cmdMAPD(uint32(d), 10, uint64(gicITT+d*0x2000)))
		for e := range events {
			g.run(cmdMAPTI(uint32(d), uint32(e), 8192+uint32(d*events+e), 0))
		}
	}
}

func BenchmarkITSCommand(b *testing.B) {
	g := newGICVM(b, "7.2", "ring+bitmap", 2).setup()
	g.populate(16, 32)
	g.run(cmdMAPTI(3, 500, 20000, 0))
	b.ReportAllocs()
	for b.Loop() {
		g.run(cmdEvent(its.OpINV, 3, 500))
	}
}

func BenchmarkSaveTables(b *testing.B) {
	for _, n := range []struct{ devices, events int }{{8, 32}, {64, 512}} {
		b.Run(fmt.Sprintf("devices=%d/events=%d", n.devices, n.events), func(b *testing.B) {
			g := newGICVM(b, "7.2", "ring+bitmap", 2).setup()
			g.populate(n.devices, n.events)
			b.ReportAllocs()
			for b.Loop() {
				g.set(g.its, GroupCtrl, CtrlSaveTables, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n.devices*n.events), "ns/event")
		})
	}
}
