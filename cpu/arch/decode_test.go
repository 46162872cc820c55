package arch

import "testing"

// TestDecode: a kernel at EL2 reads in a syndrome what was put there.
func TestDecode(t *testing.T) {
	for i := range 1 << 12 {
		size, rt := uint8(i&3), uint8(i>>2&31)
		sign, wide, ordered := i>>7&1 != 0, i>>8&1 != 0, i>>9&1 != 0
		write := i>>10&1 != 0
		esr := esr(ECData, uint64(NewTransfer(size, rt, sign, wide, ordered))|bit(write, issWnR))
		got, ok := MovedBy(esr)
		if want := (Moved{1 << size, rt, write, sign, wide}); !ok || got != want || ECOf(esr) != ECData {
			t.Fatalf("%#x: %+v, want %+v", esr, got, want)
		}
	}
	if _, ok := MovedBy(0x92000047); ok {
		t.Error("a syndrome without ISV describes an access")
	}
	for _, c := range []struct {
		m       Moved
		v, want uint64
	}{
		{Moved{Size: 1}, 0x1280, 0x80},
		{Moved{Size: 1, Sign: true}, 0x1280, 0xffff_ff80},
		{Moved{Size: 1, Sign: true, Wide: true}, 0x1280, 0xffff_ffff_ffff_ff80},
		{Moved{Size: 2, Sign: true, Wide: true}, 0x7280, 0x7280},
		{Moved{Size: 4, Sign: true, Wide: true}, 0x8000_0000, 0xffff_ffff_8000_0000},
		{Moved{Size: 4}, 0x1_8000_0000, 0x8000_0000},
		{Moved{Size: 8, Wide: true}, 0x8000_0000_0000_0001, 0x8000_0000_0000_0001},
	} {
		if got := c.m.Loaded(c.v); got != c.want {
			t.Errorf("%+v of %#x: %#x, want %#x", c.m, c.v, got, c.want)
		}
	}
	p := newBare(1)
	for r := NoReg + 1; r < NumRegs; r++ {
		want := Trapped{r.Row().Enc, uint8(r % 32), r%2 == 0}
		if got := TrappedBy(p.RegTrap(TrapEL2, want.Enc, want.Rt, want.Read).ESR); got != want {
			t.Errorf("%s: %+v, want %+v", r, got, want)
		}
	}
}
