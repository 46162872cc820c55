package arch

import (
	"math/bits"

	"ringmap/sim"
)

// CountHz is CNTFRQ_EL0: the frequency of the system counter.
const CountHz = 62_500_000

// Clock relates a core's cycles to the system counter, exactly: at cycle c the
// count is c × CountHz / CoreHz, rounded down.
type Clock struct {
	CoreHz uint64 // 1 or more
}

// Count returns the physical count at a cycle.
func (k Clock) Count(c sim.Cycle) uint64 {
	hi, lo := bits.Mul64(uint64(c), CountHz)
	q, _ := bits.Div64(hi%k.CoreHz, lo, k.CoreHz)
	return q
}

// At returns the first cycle with at least the count, Never if that is beyond
// the end of time.
func (k Clock) At(count uint64) sim.Cycle {
	hi, lo := bits.Mul64(count, k.CoreHz)
	lo, carry := bits.Add64(lo, CountHz-1, 0)
	if hi += carry; hi >= CountHz {
		return sim.Never
	}
	q, _ := bits.Div64(hi, lo, CountHz)
	return sim.Cycle(q)
}

// timers are the registers of the generic timers, by TimerID.
var timers = [NumTimers]struct{ ctl, cval, tval Reg }{
	PhysTimer:    {CNTP_CTL_EL0, CNTP_CVAL_EL0, CNTP_TVAL_EL0},
	VirtTimer:    {CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTV_TVAL_EL0},
	HypPhysTimer: {CNTHP_CTL_EL2, CNTHP_CVAL_EL2, CNTHP_TVAL_EL2},
	HypVirtTimer: {CNTHV_CTL_EL2, CNTHV_CVAL_EL2, CNTHV_TVAL_EL2},
}

// TimerID is one of a PE's timers.
type TimerID uint8

const (
	PhysTimer    TimerID = iota // CNTP, PPI 30
	VirtTimer                   // CNTV, PPI 27
	HypPhysTimer                // CNTHP, PPI 26
	HypVirtTimer                // CNTHV, PPI 28
	NumTimers
)

// Bits of CNT*_CTL.
const (
	timerEnable = 1 << 0
	timerMask   = 1 << 1
	timerStatus = 1 << 2
)

// offset is what a timer's count lies behind the physical one.
func (s *State) offset(t TimerID) uint64 {
	if t == VirtTimer {
		return s.Reg[CNTVOFF_EL2]
	}
	return 0
}

// condition reports whether a timer's condition is met at a count:
// IsTimerConditionMet.
func (s *State) condition(t TimerID, count uint64) bool {
	return s.Reg[timers[t].ctl]&timerEnable != 0 && count-s.offset(t) >= s.Reg[timers[t].cval]
}

// TimerLine reports whether a timer asserts its interrupt at Now.
func (p *PE) TimerLine(t TimerID) bool {
	return p.Reg[timers[t].ctl]&timerMask == 0 && p.condition(t, p.Clock.Count(p.Now))
}

// TimerOn reports whether a timer is enabled: otherwise its line is down for good.
func (p *PE) TimerOn(t TimerID) bool { return p.Reg[timers[t].ctl]&timerEnable != 0 }

// TimerDeadline is the first cycle after Now at which a timer's line rises, Never
// if it is up, or will not.
func (p *PE) TimerDeadline(t TimerID) sim.Cycle {
	ctl := p.Reg[timers[t].ctl]
	count := p.Clock.Count(p.Now)
	if ctl&(timerEnable|timerMask) != timerEnable || p.condition(t, count) {
		return sim.Never
	}
	left := p.Reg[timers[t].cval] - (count - p.offset(t))
	if count+left < count {
		return sim.Never
	}
	return p.Clock.At(count + left)
}
