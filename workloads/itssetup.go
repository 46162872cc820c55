package workloads

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"ringmap/its"
	"ringmap/kvmcore"
	"ringmap/mmu"
)

// Where the interrupt controller's frames lie in the guest: those of QEMU's virt
// board, with the redistributors of all vCPUs in one region.
const (
	gicDist    = 0x0800_0000
	gicITS     = 0x0808_0000
	gicRedist  = 0x080a_0000
	redistSize = 0x2_0000

	gicIRQs = 288 // SGIs, PPIs and 256 SPIs
)

// GICFrames is the guest physical address range that the frames take: no memslot
// may lie there.
func GICFrames(vcpus int) (first, end mmu.IPA) {
	return gicDist, gicRedist + mmu.IPA(vcpus)*redistSize
}

// ITSDevices are the devices that SetupITS made.
type ITSDevices struct {
	GIC, ITS kvmcore.Device
}

// itsTable is the size and alignment of the tables that the ITS is given.
const itsTable = 64 << 10

// ITSLayout is where an ITS's structures lie in guest memory.
type ITSLayout struct {
	Queue      mmu.IPA // command queue, 64 KiB: 2048 commands
	Devices    mmu.IPA // flat device table
	Collection mmu.IPA
	Config     mmu.IPA // LPI configuration table
	Pending    mmu.IPA // vCPU v's pending table is 64 KiB * v further
	ITT        mmu.IPA // device d's interrupt translation table is ITTStride * d further
	ITTStride  uint64
	End        mmu.IPA // first byte after all of them
	EventBits  uint
}

// Layout places the structures one after the other from s.Tables, each table on
// 64 KiB. Every device has its own page for its ITT, as drivers allocate it.
func (s ITSSpec) Layout(vcpus int) ITSLayout {
	at := s.Tables
	take := func(n uint64) mmu.IPA {
		here := at
		at += mmu.IPA((n + itsTable - 1) / itsTable * itsTable)
		return here
	}
	l := ITSLayout{EventBits: max(1, uint(bits.Len(uint(s.Events-1))))}
	l.Queue = take(itsTable)
	l.Devices = take(uint64(firstDevice+s.Devices) * 8)
	l.Collection = take(uint64(vcpus+1) * 8)
	l.Config = take(maxLPIs)
	l.Pending = take(uint64(vcpus) * itsTable)
	l.ITTStride = max(4096, uint64(8)<<l.EventBits)
	l.ITT = take(uint64(s.Devices) * l.ITTStride)
	l.End = at
	return l
}

// TableBytes is the guest memory that Layout needs from s.Tables.
func (s ITSSpec) TableBytes(vcpus int) uint64 { return uint64(s.Layout(vcpus).End - s.Tables) }

// Registers that the set-up writes, as offsets of their frames. IHI 0069 12.11, 12.19.
const (
	gicrCTLR      = 0x00
	gicrPROPBASER = 0x70
	gicrPENDBASER = 0x78
	gitsCTLR      = 0x00
	gitsCBASER    = 0x80
	gitsCWRITER   = 0x88
	gitsCREADR    = 0x90
	gitsBASER     = 0x100 // 0 = device table, 1 = collection table
)

// lpiConfig is an LPI's configuration byte: enabled, priority 0xa0. IHI 0069 5.1.1.
const lpiConfig = 0xa1

// SetupITS gives the VM a GICv3 with an ITS and puts both into the state that a
// guest's driver leaves them in: tables allocated, every event of every device
// mapped to an LPI, the LPIs spread over the vCPUs and enabled. It runs before
// time begins, through the calls and in the order in which a VMM restores a VM;
// the vCPUs must exist and have never run. The spec must be valid.
func SetupITS(vm *kvmcore.VM, s ITSSpec) (ITSDevices, error) {
	b := itsBoot{vm: vm, spec: s, at: s.Layout(len(vm.VCPUs))}
	b.memory()
	b.devices()
	b.redistributors()
	b.registers()
	b.commands()
	return b.dev, b.err
}

// CreateGIC gives the VM the devices that SetupITS gives it and leaves them as a
// VMM does that waits for their state: addresses set, initialised, nothing mapped.
func CreateGIC(vm *kvmcore.VM) (ITSDevices, error) {
	b := itsBoot{vm: vm}
	b.devices()
	return b.dev, b.err
}

// itsBoot is the set-up under way; after the first error it does nothing.
type itsBoot struct {
	vm   *kvmcore.VM
	spec ITSSpec
	at   ITSLayout
	slot *kvmcore.Slot // that holds all of it
	dev  ITSDevices
	head uint64 // byte offset of the next command in the queue
	err  error
}

// memory finds the memslot of the tables. KVM would drop a mapping whose entry
// lies in no slot without a word.
func (b *itsBoot) memory() {
	page := b.vm.Host.Page
	b.slot = b.vm.Slots.ByGFN(page.GFN(b.at.Queue))
	if b.slot == nil || b.at.End > page.IPA(b.slot.Base+mmu.GFN(b.slot.Pages)) {
		b.err = fmt.Errorf("no memslot holds the ITS's tables [%#x, %#x): place them elsewhere or enlarge the guest's memory", b.at.Queue, b.at.End)
	}
}

func (b *itsBoot) devices() {
	b.dev.GIC = b.create(kvmcore.DeviceVGICv3)
	b.set(b.dev.GIC, kvmcore.GroupNrIRQs, 0, gicIRQs)
	b.set(b.dev.GIC, kvmcore.GroupAddr, kvmcore.AddrDist, gicDist)
	b.set(b.dev.GIC, kvmcore.GroupAddr, kvmcore.AddrRedist, gicRedist)
	b.set(b.dev.GIC, kvmcore.GroupCtrl, kvmcore.CtrlInit, 0)
	b.dev.ITS = b.create(kvmcore.DeviceITS)
	b.set(b.dev.ITS, kvmcore.GroupAddr, kvmcore.AddrITS, gicITS)
	b.set(b.dev.ITS, kvmcore.GroupCtrl, kvmcore.CtrlInit, 0)
}

// redistributors points every vCPU's at the LPI tables and enables LPIs.
func (b *itsBoot) redistributors() {
	config := make([]byte, b.spec.Devices*b.spec.Events)
	for i := range config {
		config[i] = lpiConfig
	}
	b.write(b.at.Config, config)
	for i, v := range b.vm.VCPUs {
		mpidr := uint64(v.ID&0xf|v.ID>>4&0xff<<8|v.ID>>12&0xff<<16) << 32 // reset_mpidr
		reg := func(offset uint64, val uint64) {
			b.set(b.dev.GIC, kvmcore.GroupRedistRegs, mpidr|offset, val&0xffffffff)
		}
		prop, pend := uint64(b.at.Config)|15, uint64(b.at.Pending)+uint64(i)*itsTable // 16 bits of INTID
		reg(gicrPROPBASER, prop)
		reg(gicrPROPBASER+4, prop>>32)
		reg(gicrPENDBASER, pend)
		reg(gicrPENDBASER+4, pend>>32)
		reg(gicrCTLR, 1)
	}
}

// registers gives the ITS its queue and tables and enables it.
func (b *itsBoot) registers() {
	table := func(at mmu.IPA, bytes uint64) uint64 {
		pages := uint32((bytes + itsTable - 1) / itsTable)
		return uint64(its.BASER(0).WithValid(true).WithAddr(uint64(at)).WithPageSize(2).WithPages(pages))
	}
	reg := func(offset, val uint64) { b.set(b.dev.ITS, kvmcore.GroupITSRegs, offset, val) }
	reg(gitsCBASER, uint64(its.CBASER(0).WithValid(true).WithAddr(uint64(b.at.Queue)).WithPages(itsTable/its.QueuePage)))
	reg(gitsBASER, table(b.at.Devices, uint64(b.at.Collection-b.at.Devices)))
	reg(gitsBASER+8, table(b.at.Collection, uint64(b.at.Config-b.at.Collection)))
	reg(gitsCTLR, 1)
}

// queueHead is where in the queue the set-up leaves CWRITER: behind its commands.
func (s ITSSpec) queueHead(vcpus int) uint64 {
	n := vcpus + s.Devices*(1+s.Events)
	if s.Unmap {
		n++
	}
	return uint64(n) * its.CommandBytes % itsTable
}

// itt is the address of the i-th device's interrupt translation table.
func (l *ITSLayout) itt(i int) uint64 { return uint64(l.ITT) + uint64(i)*l.ITTStride }

// commands maps a collection to every vCPU, then every device and its events;
// event i of all goes to vCPU i modulo their number.
func (b *itsBoot) commands() {
	for i, v := range b.vm.VCPUs {
		b.command(its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithICID(uint32(i)).WithRDbase(v.ID).WithValid(true))
	}
	lpi := 0
	for d := range b.spec.Devices {
		id := uint32(firstDevice + d)
		b.command(its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(id).WithEventBits(uint32(b.at.EventBits)).WithITT(b.at.itt(d)).WithValid(true))
		for e := range b.spec.Events {
			b.command(its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithDeviceID(id).WithEventID(uint32(e)).
				WithINTID(uint32(firstLPI + lpi)).WithICID(uint32(lpi % len(b.vm.VCPUs))))
			lpi++
		}
	}
	if b.spec.Unmap {
		b.command(its.Command{}.WithOpcode(uint32(its.OpMAPC)).WithICID(uint32(len(b.vm.VCPUs) - 1)))
	}
	b.ring()
}

// command appends a command to the queue and rings the doorbell when the queue
// is about to be full.
func (b *itsBoot) command(c its.Command) {
	var raw [32]byte
	for i, w := range c {
		binary.LittleEndian.PutUint64(raw[8*i:], w)
	}
	b.write(b.at.Queue+mmu.IPA(b.head), raw[:])
	b.head = (b.head + uint64(len(raw))) % itsTable
	if b.head%(itsTable/2) == 0 {
		b.ring()
	}
}

// ring makes the ITS execute what is queued.
func (b *itsBoot) ring() {
	b.set(b.dev.ITS, kvmcore.GroupITSRegs, gitsCWRITER, uint64(its.QueueOffset(0).WithOffset(uint32(b.head))))
}

func (b *itsBoot) create(name string) kvmcore.Device {
	if b.err != nil {
		return nil
	}
	d, errno := b.vm.CreateDevice(name)
	if errno != kvmcore.OK {
		b.err = fmt.Errorf("KVM_CREATE_DEVICE %s: %v", name, errno)
	}
	return d
}

func (b *itsBoot) set(d kvmcore.Device, group uint32, attr, val uint64) {
	if b.err != nil {
		return
	}
	size := 8
	if group == kvmcore.GroupRedistRegs || group == kvmcore.GroupNrIRQs {
		size = 4
	}
	if errno := d.SetAttr(group, attr, size, val); errno != kvmcore.OK {
		b.err = fmt.Errorf("KVM_SET_DEVICE_ATTR group %d, attribute %#x, value %#x: %v", group, attr, val, errno)
	}
}

// write stores bytes as the loader of the guest's image does.
func (b *itsBoot) write(at mmu.IPA, p []byte) {
	if b.err != nil {
		return
	}
	hva := b.slot.HVA + mmu.HVA(at-b.vm.Host.Page.IPA(b.slot.Base))
	if errno := b.vm.Host.Memory.Write(hva, p, mmu.WriterImage); errno != kvmcore.OK {
		b.err = fmt.Errorf("writing the ITS's tables at %#x: %v", at, errno)
	}
}
