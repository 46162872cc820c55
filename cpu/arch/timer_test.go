package arch

import (
	"math"
	"math/big"
	"testing"

	"ringmap/sim"
)

// TestClock: the count is exact, and At its inverse.
func TestClock(t *testing.T) {
	r := sim.NewStream(1, "clock")
	for _, hz := range []uint64{CountHz, 3_000_000_000, 1_000_000_000, 2_999_999_999, 1, 62_500_001, 100_000_000, math.MaxUint64} {
		k := Clock{CoreHz: hz}
		for range 2000 {
			c := r.Uint64() >> r.N(64)
			want := new(big.Int).Mul(new(big.Int).SetUint64(c), big.NewInt(CountHz))
			want.Div(want, new(big.Int).SetUint64(hz))
			if got := k.Count(sim.Cycle(c)); want.IsUint64() && got != want.Uint64() {
				t.Fatalf("%d Hz: count at %d is %d, want %v", hz, c, got, want)
			}
			count := r.Uint64() >> r.N(64)
			at := k.At(count)
			exact := new(big.Int).Mul(new(big.Int).SetUint64(count), new(big.Int).SetUint64(hz))
			exact.Add(exact, big.NewInt(CountHz-1))
			exact.Div(exact, big.NewInt(CountHz))
			if !exact.IsUint64() {
				if at != sim.Never {
					t.Fatalf("%d Hz: count %d at %d, want never", hz, count, at)
				}
				continue
			}
			if uint64(at) != exact.Uint64() {
				t.Fatalf("%d Hz: count %d at %d, want %v", hz, count, at, exact)
			}
		}
	}
}

// TestTimers: at the deadline the line rises, and not a cycle before.
func TestTimers(t *testing.T) {
	r := sim.NewStream(2, "timers")
	rises := 0
	for range 20000 {
		b := newBare(2)
		b.Clock.CoreHz = 1 + r.N(4_000_000_000)
		b.Now = sim.Cycle(r.N(1 << 40))
		id := TimerID(r.N(uint64(NumTimers)))
		regs := &timers[id]
		if r.N(2) == 0 {
			b.state.Reg[CNTVOFF_EL2] = r.Uint64() >> r.N(64)
		}
		count := b.Clock.Count(b.Now) - b.state.offset(id)
		if r.N(2) == 0 {
			b.Write(regs.tval, r.N(1<<21)-1<<19)
		} else {
			b.Write(regs.cval, count+r.N(1<<21)-1<<19)
		}
		b.Write(regs.ctl, r.N(4))
		at := b.TimerDeadline(id)
		if b.TimerLine(id) || at == sim.Never {
			if at != sim.Never {
				t.Fatalf("the line is up, and rises at %d", at)
			}
			continue
		}
		rises++
		if at <= b.Now {
			t.Fatalf("at %d, the deadline is %d", b.Now, at)
		}
		b.Now = at - 1
		if b.TimerLine(id) {
			t.Fatalf("timer %d: the line is up a cycle before %d", id, at)
		}
		b.Now = at
		if !b.TimerLine(id) {
			t.Fatalf("timer %d: the line is down at its deadline %d", id, at)
		}
		if ctl, _ := b.Read(regs.ctl); ctl != 5 {
			t.Fatalf("CTL at the deadline is %#x", ctl)
		}
	}
	if rises < 2000 {
		t.Errorf("only %d timers had a deadline", rises)
	}
}

// TestTimerRegisters: the views of one comparator. DDI 0487 D12.2.
func TestTimerRegisters(t *testing.T) {
	b := newBare(2)
	b.Clock.CoreHz = 2 * CountHz
	b.Now = 2000 // count 1000
	b.Write(CNTVOFF_EL2, 400)
	b.setEL(1, 1)
	read := func(r Reg, want uint64) {
		t.Helper()
		if got, trap := b.Read(r); got != want || trap != NoTrap {
			t.Errorf("%s is %#x, want %#x", r, got, want)
		}
	}
	read(CNTFRQ_EL0, 62_500_000)
	read(CNTPCT_EL0, 1000)
	read(CNTVCT_EL0, 600)
	b.Write(CNTV_CVAL_EL0, 650)
	read(CNTV_TVAL_EL0, 50)
	b.Write(CNTV_TVAL_EL0, 0xffff_ffff) // -1
	read(CNTV_CVAL_EL0, 599)
	read(CNTV_TVAL_EL0, 0xffff_ffff)
	read(CNTV_CTL_EL0, 0)
	b.Write(CNTV_CTL_EL0, 0xff)
	read(CNTV_CTL_EL0, 7) // enabled, masked, condition met
	if b.TimerLine(VirtTimer) {
		t.Error("a masked timer asserts its line")
	}
	b.Write(CNTP_CVAL_EL0, 1001)
	b.Write(CNTP_CTL_EL0, 1)
	read(CNTP_CTL_EL0, 1)
	b.Now = 2002
	read(CNTP_CTL_EL0, 5)
	if b.TimerWrites != 5 {
		t.Errorf("%d writes to timers, want 5", b.TimerWrites)
	}
	b.setEL(2, 1)
	b.Write(CNTHP_CVAL_EL2, 7)
	b.Write(HCR_EL2, HCRE2H)
	read(CNTP_CVAL_EL0, 7)
	read(CNTP_CVAL_EL02, 1001)
	read(CNTVCT_EL0, 1001) // no offset for a VHE host
	b.Write(HCR_EL2, HCRE2H|HCRTGE)
	b.Write(CNTHCTL_EL2, 3)
	b.setEL(0, 0)
	read(CNTVCT_EL0, 1001)
	b.setEL(2, 1)
	b.Write(CNTV_TVAL_EL0, 5)
	read(CNTHV_CVAL_EL2, 1006)
}
