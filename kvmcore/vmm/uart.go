package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// UART is the console of a guest that executes machine code: a PL011 that sends and
// receives in no time. Arm DDI 0183.
//
//	Input: aaaaaaa rrrrrrr wwwwwwwwwww
//	       read    │FIFO   │ wait at the sender for room
//	               taken   sent
//
// As in QEMU it does both without being enabled: firmware has left it so.
type UART struct {
	Text []byte // everything written, until it is maxConsole long

	input  []byte                 // what the other end types
	opened bool                   // it has begun
	opens  sim.Cycle              // when it begins; 0 = when the VM runs at another host
	sent   int                    // bytes of input that have arrived
	taken  int                    // bytes of input that the guest has read
	regs   [uartStored / 4]uint32 // IBRD to IMSC, as written
	raised uint32                 // raw interrupt status
	line   bool                   // level of the interrupt, as the kernel was told
}

// Input is what the other end of the console types: all of it at once, as fast as
// the guest reads.
type Input struct {
	Text     []byte    // 0 to MaxInput bytes
	At       sim.Cycle // after the vCPUs have begun
	Migrated bool      // instead: when they begin at the destination
}

// MaxInput is how much the other end of a console types, in bytes.
const MaxInput = 1 << 20

const (
	uartSize   = 0x1000
	uartDR     = 0x00
	uartFR     = 0x18
	uartIBRD   = 0x24 // then FBRD, LCR_H, CR, IFLS, IMSC
	uartLCRH   = 0x2c
	uartCR     = 0x30
	uartIFLS   = 0x34
	uartIMSC   = 0x38
	uartRIS    = 0x3c
	uartMIS    = 0x40
	uartICR    = 0x44
	uartStored = uartRIS - uartIBRD
	uartIDs    = 0xfe0
	uartTXFE   = 1 << 7 // of FR: nothing to send
	uartRXFF   = 1 << 6 // no room
	uartRXFE   = 1 << 4 // nothing received
	uartRX     = 1 << 4 // interrupts: as many bytes as IFLS says are there
	uartTX     = 1 << 5
	uartRT     = 1 << 6 // bytes are there, and none follows
	uartFEN    = 1 << 4 // of LCR_H: FIFOs instead of one byte
	uartFIFO   = 16     // bytes; 32 from revision 3 on, and uartID says 1
	uartIRQs   = 0x7ff  // that there are
	maxConsole = 64 << 20
)

// uartID is what UARTPeriphID0 to UARTPCellID3 read.
var uartID = [8]uint8{0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1}

// access does an MMIO access; false if it is for somebody else.
func (u *UART) access(m *kvmcore.MMIOExit) bool {
	if m.Addr < UARTBase || m.Addr >= UARTBase+uartSize {
		return false
	}
	reg := uint64(m.Addr - UARTBase)
	if m.Write {
		u.write(reg, uint32(m.Data))
	} else {
		m.Data = uint64(u.read(reg))
	}
	return true
}

func (u *UART) write(reg uint64, v uint32) {
	switch {
	case reg == uartDR: // sent as soon as it is there: the FIFO runs empty
		if len(u.Text) < maxConsole {
			u.Text = append(u.Text, byte(v))
		}
		u.raised |= uartTX
	case reg >= uartIBRD && reg < uartRIS && reg&3 == 0:
		u.regs[(reg-uartIBRD)/4] = v
		u.sent = min(u.sent, u.taken+u.depth()) // the rest is with the sender again
		u.receive()
	case reg == uartICR:
		u.raised &^= v
	}
}

func (u *UART) read(reg uint64) uint32 {
	switch {
	case reg == uartDR:
		return uint32(u.take())
	case reg == uartFR:
		return u.flags()
	case reg >= uartIBRD && reg < uartRIS && reg&3 == 0:
		return u.regs[(reg-uartIBRD)/4]
	case reg == uartRIS:
		return u.raised
	case reg == uartMIS:
		return u.masked()
	case reg >= uartIDs && reg&3 == 0:
		return uint32(uartID[(reg-uartIDs)/4])
	}
	return 0
}

// reset is the state after reset, in which firmware leaves it. DDI 0183 3.3.
func (u *UART) reset() {
	u.regs[(uartCR-uartIBRD)/4] = 0x300 // RXE, TXE
	u.regs[(uartIFLS-uartIBRD)/4] = 0x12
}

// flags is UARTFR.
func (u *UART) flags() uint32 {
	switch u.sent - u.taken {
	case 0:
		return uartTXFE | uartRXFE
	case u.depth():
		return uartTXFE | uartRXFF
	}
	return uartTXFE
}

// depth is how many bytes there is room for.
func (u *UART) depth() int {
	if u.regs[(uartLCRH-uartIBRD)/4]&uartFEN != 0 {
		return uartFIFO
	}
	return 1
}

// trigger is how many bytes raise the receive interrupt: 1/8 to 7/8 of the FIFO.
func (u *UART) trigger() int {
	if u.depth() == 1 {
		return 1
	}
	switch u.regs[(uartIFLS-uartIBRD)/4] >> 3 & 7 {
	case 0:
		return uartFIFO / 8
	case 1:
		return uartFIFO / 4
	case 3:
		return uartFIFO * 3 / 4
	case 4:
		return uartFIFO * 7 / 8
	}
	return uartFIFO / 2 // 2, and those that are reserved
}

// receive lets bytes arrive that there is room for. What arrives is at once the
// last that arrives, for the time of 32 bits after which RT is raised is none here.
func (u *UART) receive() {
	n := min(len(u.input), u.taken+u.depth())
	if !u.opened || u.sent >= n {
		return
	}
	u.sent = n
	u.raised |= uartRT
	if u.sent-u.taken >= u.trigger() {
		u.raised |= uartRX
	}
}

// take reads the oldest byte; 0 if there is none.
func (u *UART) take() (b byte) {
	if u.taken == u.sent {
		return 0
	}
	b = u.input[u.taken]
	u.taken++
	if u.sent-u.taken < u.trigger() {
		u.raised &^= uartRX
	}
	if u.sent == u.taken {
		u.raised &^= uartRT
	}
	u.receive()
	return b
}

// masked is what of the interrupt status is asked for.
func (u *UART) masked() uint32 { return u.raised & u.regs[(uartIMSC-uartIBRD)/4] & uartIRQs }

// uart does what an MMIO exit asks of the UART and tells the kernel if its line
// has changed. false if the access is for somebody else.
func (c *vcpuThread) uart(m *kvmcore.MMIOExit) bool {
	if !c.v.UART.access(m) {
		return false
	}
	c.v.driveUART(c.kt)
	return true
}

// driveUART tells the kernel of a line that has changed.
func (v *VMM) driveUART(kt *kvmcore.Thread) {
	u := &v.UART
	if level := u.masked() != 0; level != u.line {
		u.line = level
		v.VM.IRQLine(kt, uartSPI, level) // fails without a GIC: nobody listens
	}
}

// typist is the other end of the console.
type typist struct{ v *VMM }

// awaitInput schedules the input of a guest whose vCPUs begin now: here for the
// first time, or with the UART of the host they come from.
func (v *VMM) awaitInput(now sim.Cycle) {
	u := &v.UART
	switch {
	case len(u.input) == 0 || u.opened:
		return
	case v.incoming && v.Input.Migrated:
		u.opens = now
	case v.incoming:
		u.opens = max(u.opens, now)
	case v.Input.Migrated:
		return
	default:
		u.opens = now + v.Input.At
	}
	v.Engine.Schedule(sim.Event{At: max(u.opens, v.Engine.Now()), Comp: v.typist, Class: sim.ClassUser})
}

// Handle begins to type. Userspace's main thread sees it: pl011_receive.
func (t *typist) Handle(_ *sim.Engine, ev sim.Event) {
	v := t.v
	kt := v.main.kt
	kt.Core.Now = max(kt.Core.Now, ev.At)
	v.UART.opened, v.VM.Program.Awaited = true, false
	v.UART.receive()
	v.driveUART(kt)
}

// SyncUART codes what a migration takes along: vmstate_pl011, and how far the other
// end has come.
func (v *VMM) SyncUART(c *sim.Codec) { v.UART.syncDevice(c) }

func (u *UART) sync(c *sim.Codec) {
	c.Tag("uart")
	text := string(u.Text)
	c.Str(&text)
	u.Text = []byte(text)
	u.syncDevice(c)
}

func (u *UART) syncDevice(c *sim.Codec) {
	c.Bool(&u.opened)
	sim.Uint(c, &u.opens)
	c.Int(&u.sent)
	c.Int(&u.taken)
	if u.taken < 0 || u.sent < u.taken || u.sent > len(u.input) || u.sent-u.taken > uartFIFO {
		c.Fail(errNowhere)
		u.sent, u.taken = 0, 0
	}
	for i := range u.regs {
		c.U32(&u.regs[i])
	}
	c.U32(&u.raised)
	c.Bool(&u.line)
}
