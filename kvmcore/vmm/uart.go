package vmm

import (
	"ringmap/kvmcore"
	"ringmap/sim"
)

// UART is the console of a guest that executes machine code: as much of a PL011
// as output needs. Arm DDI 0183.
type UART struct {
	Text []byte // everything written, until it is maxConsole long
}

const (
	uartSize   = 0x1000
	uartDR     = 0x00
	uartFR     = 0x18
	uartIDs    = 0xfe0
	uartReady  = 1<<7 | 1<<4 // TXFE, RXFE: nothing to send, nothing received
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
	switch {
	case m.Write:
		if reg == uartDR && len(u.Text) < maxConsole {
			u.Text = append(u.Text, byte(m.Data))
		}
		return true
	case reg == uartFR:
		m.Data = uartReady
	case reg >= uartIDs && reg&3 == 0:
		m.Data = uint64(uartID[(reg-uartIDs)/4])
	default:
		m.Data = 0
	}
	return true
}

func (u *UART) sync(c *sim.Codec) {
	c.Tag("uart")
	text := string(u.Text)
	c.Str(&text)
	u.Text = []byte(text)
}
