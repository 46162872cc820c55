package vmm

import "ringmap/sim"

// dirtyLimit keeps every vCPU below a rate of dirtied memory: system/dirtylimit.c.
// Each time its ring is full the vCPU sleeps, by itself, for as long as the last
// judgement has found right; in the meantime nobody else drains its ring.
type dirtyLimit struct {
	on    bool
	next  uint64   // ms of the next judgement
	began uint64   // ms at which the period began
	base  []uint64 // by vCPU: entries harvested by then
	rate  []uint64 // by vCPU: MiB a second in the last period
	sleep []int64  // by vCPU: throttle_us_per_full
	most  uint64   // MiB a second: the highest rate ever seen
}

// Constants of system/dirtylimit.c.
const (
	limitTolerance = 25 // DIRTYLIMIT_TOLERANCE_RANGE, MiB/s
	limitLinear    = 50 // DIRTYLIMIT_LINEAR_ADJUSTMENT_PCT
	limitMax       = 99 // DIRTYLIMIT_THROTTLE_PCT_MAX
)

// start puts the limit into service; once there it stays: migration_dirty_limit_guest.
func (l *dirtyLimit) start(v *VMM, now uint64) {
	if l.on {
		return
	}
	n := len(v.vcpus)
	l.on = true
	l.base, l.rate, l.sleep = make([]uint64, n), make([]uint64, n), make([]int64, n)
	l.begin(v, now)
}

// begin starts a period: vcpu_calculate_dirtyrate.
func (l *dirtyLimit) begin(v *VMM, now uint64) {
	l.began, l.next = now, now+v.Migrate.Throttle.Period
	copy(l.base, v.harvested)
}

// due tells whether the period is over.
func (l *dirtyLimit) due(now uint64) bool { return l.on && now >= l.next }

// judgeLimit ends a period, after all rings were drained: dirtylimit_process.
func (m *mainThread) judgeLimit() {
	v := m.v
	l, now := &v.mig.limit, v.Migrate.ms(m.now())
	shift := 20 - v.Host.Page.Shift() // pages of a MiB
	for i := range l.rate {
		l.rate[i] = (v.harvested[i] - l.base[i]) * 1000 >> shift / max(now-l.began, 1)
		ring := uint64(v.VM.VCPUs[i].Ring.Size) >> shift
		l.adjust(i, v.Migrate.Throttle.Limit, ring)
	}
	l.begin(v, now)
}

// adjust is dirtylimit_adjust_throttle for a vCPU with a ring of so many whole MiB
// of pages.
func (l *dirtyLimit) adjust(i int, quota, ring uint64) {
	rate := l.rate[i]
	low, high := min(quota, rate), max(quota, rate)
	switch {
	case high-low <= limitTolerance:
		return
	case rate == 0:
		l.sleep[i] = 0
		return
	}
	l.most = max(l.most, rate)
	full := ring * 1_000_000 / l.most
	step := full / 10
	if (high-low)*100/high > limitLinear {
		percent := (high - low) * 100 / high
		step = full * percent / (100 - percent)
	}
	if quota < rate {
		l.sleep[i] += int64(step)
	} else {
		l.sleep[i] -= int64(step)
	}
	l.sleep[i] = max(min(l.sleep[i], int64(full*limitMax)), 0)
}

// afterFull is dirtylimit_vcpu_execute: the sleep of a vCPU whose ring was full.
func (c *vcpuThread) afterFull() {
	l := &c.v.mig.limit
	if l.on && l.sleep[c.index] > 0 {
		c.owed, c.deep = c.v.Migrate.nanos(uint64(l.sleep[c.index])*1000), true
	}
}

func (l *dirtyLimit) sync(c *sim.Codec, vcpus int) {
	c.Bool(&l.on)
	c.U64(&l.next)
	c.U64(&l.began)
	c.U64(&l.most)
	sim.Slice(c, &l.base, func(c *sim.Codec, n *uint64) { c.U64(n) })
	sim.Slice(c, &l.rate, func(c *sim.Codec, n *uint64) { c.U64(n) })
	sim.Slice(c, &l.sleep, func(c *sim.Codec, n *int64) { c.I64(n) })
	if n := len(l.base); n != len(l.rate) || n != len(l.sleep) || n != 0 && n != vcpus || l.on && n == 0 {
		c.Fail(errNowhere)
		*l = dirtyLimit{}
	}
}
