package vmm

import (
	"testing"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

// TestUARTInterrupt: the transmit interrupt is raised by what is sent, seen if it is
// asked for, and gone once it is cleared.
func TestUARTInterrupt(t *testing.T) {
	u := &UART{}
	write := func(reg, v uint64) {
		if !u.access(&kvmcore.MMIOExit{Addr: UARTBase + mmu.IPA(reg), Len: 4, Write: true, Data: v}) {
			t.Fatalf("register %#x is not the UART's", reg)
		}
	}
	read := func(reg uint64) uint64 {
		m := kvmcore.MMIOExit{Addr: UARTBase + mmu.IPA(reg), Len: 4, Data: 0x5555}
		u.access(&m)
		return m.Data
	}
	write(uartDR, 'a')
	if u.masked() != 0 || read(uartRIS) != uartTX || read(uartMIS) != 0 {
		t.Errorf("nobody asked: masked %#x, raw %#x", u.masked(), read(uartRIS))
	}
	write(uartIMSC, uartTX)
	if u.masked() != uartTX || read(uartMIS) != uartTX || read(uartIMSC) != uartTX {
		t.Errorf("masked %#x, MIS %#x", u.masked(), read(uartMIS))
	}
	write(uartICR, uartTX)
	if u.masked() != 0 || read(uartRIS) != 0 {
		t.Error("the interrupt was cleared")
	}
	write(uartDR, 'b')
	if u.masked() != uartTX || string(u.Text) != "ab" {
		t.Errorf("masked %#x, text %q", u.masked(), u.Text)
	}
	if read(0x800) != 0 || read(uartFR) != uartReady {
		t.Error("other registers")
	}
}
