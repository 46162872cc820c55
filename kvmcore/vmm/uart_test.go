package vmm

import (
	"testing"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
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
	if read(0x800) != 0 || read(uartFR) != uartTXFE|uartRXFE {
		t.Error("other registers")
	}
}

// TestUARTReceives: flags and interrupts of bytes that arrive, with FIFOs and
// without.
func TestUARTReceives(t *testing.T) {
	u := &UART{input: []byte("0123456789abcdefghij")}
	u.reset()
	check := func(what string, flags, raised uint32) {
		t.Helper()
		if f := u.read(uartFR); f != flags || u.read(uartRIS) != raised {
			t.Errorf("%s: FR %#x, RIS %#x; want %#x, %#x", what, f, u.read(uartRIS), flags, raised)
		}
	}
	u.receive()
	check("nobody types yet", uartTXFE|uartRXFE, 0)
	u.opened = true
	u.receive()
	check("one byte fills it", uartTXFE|uartRXFF, uartRX|uartRT)
	u.write(uartLCRH, uartFEN)
	check("sixteen bytes fill it", uartTXFE|uartRXFF, uartRX|uartRT)
	u.write(uartICR, uartRX|uartRT)
	check("cleared", uartTXFE|uartRXFF, 0)
	if u.read(uartDR) != '0' {
		t.Error("not the oldest byte")
	}
	check("another arrived", uartTXFE|uartRXFF, uartRX|uartRT)
	u.write(uartLCRH, 0)
	if u.sent != 2 {
		t.Errorf("%d bytes are here: what a byte has no room for is with the sender again", u.sent)
	}
	u.write(uartLCRH, uartFEN)
	for u.taken < 12 {
		u.read(uartDR)
	}
	check("half full", uartTXFE, uartRX|uartRT)
	u.read(uartDR)
	check("less than half full", uartTXFE, uartRT)
	for u.taken < 19 {
		u.read(uartDR)
	}
	check("one is left", uartTXFE, uartRT)
	if u.read(uartDR) != 'j' || u.read(uartDR) != 0 {
		t.Error("not the last byte, or one behind it")
	}
	check("empty", uartTXFE|uartRXFE, 0)
	for level, want := range []int{2, 4, 8, 12, 14, 8, 8, 8} {
		if u.write(uartIFLS, uint32(level)<<3|2); u.trigger() != want {
			t.Errorf("level %d: %d bytes, want %d", level, u.trigger(), want)
		}
	}
}

// TestUARTAtRandom: whatever a guest writes, it reads every byte once and in order,
// RXFE says whether there is one, and a snapshot at any time changes nothing.
func TestUARTAtRandom(t *testing.T) {
	rng := sim.NewStream(1, "uart")
	input := make([]byte, 300)
	for i := range input {
		input[i] = byte(rng.N(255) + 1)
	}
	u := &UART{input: input, opened: true}
	u.reset()
	u.receive()
	got := []byte{}
	for step := 0; len(got) < len(input); step++ {
		if step == 100_000 {
			t.Fatalf("%d bytes read", len(got))
		}
		switch rng.N(8) {
		case 0:
			u.write([]uint64{uartLCRH, uartIFLS, uartIMSC, uartICR}[rng.N(4)], uint32(rng.N(1<<12)))
		case 1:
			c := sim.NewEncoder()
			u.sync(c)
			restored := &UART{input: input}
			d := sim.NewDecoder(c.Finish())
			if restored.sync(d); d.Err() != nil {
				t.Fatal(d.Err())
			}
			u = restored
		default:
			if u.read(uartFR)&uartRXFE != 0 {
				t.Fatalf("empty after %d bytes", len(got))
			}
			got = append(got, byte(u.read(uartDR)))
		}
		if n := u.sent - u.taken; n < 0 || n > u.depth() {
			t.Fatalf("%d bytes in %d", n, u.depth())
		}
	}
	if string(got) != string(input) || u.read(uartFR)&uartRXFE == 0 {
		t.Errorf("read %q of %q", got, input)
	}
}

// TestUARTBadState: a state that is not this console's is refused.
func TestUARTBadState(t *testing.T) {
	for _, u := range []UART{{sent: 3, taken: 4}, {sent: 6, taken: 6}, {sent: 1, taken: -1}} {
		c := sim.NewEncoder()
		u.syncDevice(c)
		d := sim.NewDecoder(c.Finish())
		if (&UART{input: []byte("12345")}).syncDevice(d); d.Err() == nil {
			t.Errorf("%d of %d bytes read: accepted", u.taken, u.sent)
		}
	}
}
