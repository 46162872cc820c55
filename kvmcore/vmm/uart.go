package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// UART is the console of a guest that executes machine code: a PL011 that sends at
// once and never receives. Arm DDI 0183.
type UART struct {
	Text []byte // everything written, until it is maxConsole long

	regs   [uartStored / 4]uint32 // IBRD to IMSC, as written
	raised uint32                 // raw interrupt status
	line   bool                   // level of the interrupt, as the kernel was told
}

const (
	uartSize   = 0x1000
	uartDR     = 0x00
	uartFR     = 0x18
	uartIBRD   = 0x24 // then FBRD, LCR_H, CR, IFLS, IMSC
	uartIMSC   = 0x38
	uartRIS    = 0x3c
	uartMIS    = 0x40
	uartICR    = 0x44
	uartStored = uartRIS - uartIBRD
	uartIDs    = 0xfe0
	uartReady  = 1<<7 | 1<<4 // TXFE, RXFE: nothing to send, nothing received
	uartTX     = 1 << 5      // the transmit interrupt
	uartIRQs   = 0x7ff       // that there are
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
	case reg == uartICR:
		u.raised &^= v
	}
}

func (u *UART) read(reg uint64) uint32 {
	switch {
	case reg == uartFR:
		return uartReady
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

// masked is what of the interrupt status is asked for.
func (u *UART) masked() uint32 { return u.raised & u.regs[(uartIMSC-uartIBRD)/4] & uartIRQs }

// uart does what an MMIO exit asks of the UART and tells the kernel if its line
// has changed. false if the access is for somebody else.
func (c *vcpuThread) uart(m *kvmcore.MMIOExit) bool {
	u := &c.v.UART
	if !u.access(m) {
		return false
	}
	if level := u.masked() != 0; level != u.line {
		u.line = level
		c.v.VM.IRQLine(c.kt, uartSPI, level) // fails without a GIC: nobody listens
	}
	return true
}

func (u *UART) sync(c *sim.Codec) {
	c.Tag("uart")
	text := string(u.Text)
	c.Str(&text)
	u.Text = []byte(text)
	for i := range u.regs {
		c.U32(&u.regs[i])
	}
	c.U32(&u.raised)
	c.Bool(&u.line)
}
