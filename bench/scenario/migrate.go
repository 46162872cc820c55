package scenario

import (
	"fmt"
	"strconv"

	"ringmap/kvmcore/vmm"
)

// Migrate is a migration of the VM to another host.
type Migrate struct {
	Start      Time       `key:"start"`
	Bandwidth  Rate       `key:"bandwidth"`
	Downtime   Time       `key:"downtime"`
	Switchover Rate       `key:"switchover_bandwidth"`
	ZeroPages  Name       `key:"zero_pages"`
	RunOn      Until      `key:"run_on"`
	Fail       Name       `key:"fail"`
	FailAt     Time       `key:"fail_at"`
	Link       Link       `key:"link"`
	Throttle   Throttling `key:"throttle"`
}

// Link is the network between the hosts.
type Link struct {
	Bandwidth Rate `key:"bandwidth"`
	Latency   Time `key:"latency"`
	Header    Size `key:"header"`
	Buffer    Size `key:"buffer"`
}

// Throttling is how a guest that dirties too fast is slowed down.
type Throttling struct {
	Kind      Name   `key:"kind"`
	Trigger   Count  `key:"trigger"`
	Initial   Count  `key:"initial"`
	Increment Count  `key:"increment"`
	Max       Count  `key:"max"`
	TailSlow  Switch `key:"tail_slow"`
	Limit     Rate   `key:"dirty_limit"`
	Period    Time   `key:"dirty_limit_period"`
}

// Rate is a number of bytes a second.
type Rate uint64

var rateUnits = []struct {
	name     string
	num, den uint64
}{
	{"TiB/s", 1 << 40, 1}, {"GiB/s", 1 << 30, 1}, {"MiB/s", 1 << 20, 1}, {"KiB/s", 1 << 10, 1},
	{"Tbit/s", 1e12, 8}, {"Gbit/s", 1e9, 8}, {"Mbit/s", 1e6, 8}, {"kbit/s", 1e3, 8}, {"B/s", 1, 1},
}

func (r *Rate) parse(text string) error {
	digits, unit := splitUnit(text)
	n, frac, scale, ok := decimal(digits)
	if !ok {
		return wrong{fmt.Sprintf("%q is not a rate", text), "write a rate with its unit, such as 128MiB/s or 10Gbit/s"}
	}
	if unit == "" && n == 0 && frac == 0 {
		*r = 0
		return nil
	}
	for _, u := range rateUnits {
		if u.name != unit {
			continue
		}
		v, over := scaled(n, frac, scale, u.num)
		if over {
			return wrong{fmt.Sprintf("%s is more than 64 bits can hold", text), "use a lower rate"}
		}
		*r = Rate(v / u.den)
		return nil
	}
	if unit == "" {
		return wrong{fmt.Sprintf("%s has no unit, and a rate needs one", text), fmt.Sprintf("write %sMiB/s, %sGiB/s or %sGbit/s", digits, digits, digits)}
	}
	return wrong{fmt.Sprintf("%q is not a unit of a rate", unit), "use B/s, KiB/s, MiB/s, GiB/s, Mbit/s or Gbit/s"}
}

func (r Rate) String() string {
	for _, u := range rateUnits {
		if v := uint64(r) * u.den; r != 0 && uint64(r) < 1<<60 && v%u.num == 0 {
			return strconv.FormatUint(v/u.num, 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(r), 10) + "B/s"
}

// Migrates tells whether the scenario asks for a migration.
func (s *Scenario) Migrates() bool { return !s.Migrate.Start.Never }

// maxDowntime is MAX_MIGRATE_DOWNTIME of QEMU, in milliseconds.
const maxDowntime = 2_000_000

// maxLatency is a link around the world and back, in seconds.
const maxLatency = 10

// planMigrate checks a migration as QEMU checks its parameters:
// migration/options.c migrate_params_check, migrate_caps_check.
func (s *Scenario) planMigrate(p *Plan, _ *Trace) (err error) {
	if !s.Migrates() {
		return nil
	}
	g := &s.Migrate
	spec := &vmm.MigrateSpec{Hz: uint64(p.Clock), Bandwidth: uint64(g.Bandwidth), Switchover: uint64(g.Switchover)}
	if spec.Start, err = s.cycles(p, "migrate.start", g.Start); err != nil {
		return err
	}
	if p.Track == vmm.TrackOff {
		return s.Problem("migrate.start", "write never, or another tracking.mode", "a migration needs dirty tracking, and tracking.mode is off")
	}
	if g.Bandwidth == 0 {
		return s.Problem("migrate.bandwidth", "write a rate, such as 128MiB/s", "a migration with no bandwidth never ends")
	}
	down, err := s.cycles(p, "migrate.downtime", g.Downtime)
	if err != nil {
		return err
	}
	spec.Downtime = uint64(down) * 1000 / uint64(p.Clock)
	switch {
	case spec.Downtime == 0:
		return s.Problem("migrate.downtime", "write at least 1ms", "a downtime limit of %s (less than a millisecond) is met by no migration of a guest that writes", g.Downtime)
	case spec.Downtime > maxDowntime:
		return s.Problem("migrate.downtime", "write at most 2000s", "QEMU refuses a downtime limit of %s", g.Downtime)
	}
	switch g.ZeroPages {
	case "send":
	case "detect":
		spec.ZeroPages = true
	default:
		return s.Problem("migrate.zero_pages", DidYouMean(string(g.ZeroPages), []string{"send", "detect"}), "%q is nothing to do with pages of zeros", g.ZeroPages)
	}
	if spec.Link, err = s.planLink(p, "migrate.link", &g.Link); err != nil {
		return err
	}
	for _, step := range []func(*Plan, *vmm.MigrateSpec) error{s.planFailure, s.planThrottle} {
		if err := step(p, spec); err != nil {
			return err
		}
	}
	if !g.RunOn.Done {
		on, err := s.cycles(p, "migrate.run_on", g.RunOn.Time)
		if err != nil {
			return err
		}
		p.RunOn, p.RunsOn = on, true
	}
	p.Migrate = spec
	return nil
}

// planLink checks the link at a key.
func (s *Scenario) planLink(p *Plan, key string, l *Link) (spec vmm.LinkSpec, err error) {
	if l.Bandwidth == 0 {
		return spec, s.Problem(key+".bandwidth", "write a rate, such as 10Gbit/s", "a link without bandwidth carries nothing")
	}
	if l.Header > 4096 {
		return spec, s.Problem(key+".header", "write at most 4KiB", "%s beside each page is more than a page", l.Header)
	}
	if l.Buffer < s.Host.Page || l.Buffer > 1<<32 {
		return spec, s.Problem(key+".buffer", "write at least a page and at most 4GiB, such as 4MiB", "a socket buffer of %s does not work", l.Buffer)
	}
	spec = vmm.LinkSpec{Bandwidth: uint64(l.Bandwidth), Header: uint32(l.Header), Buffer: uint64(l.Buffer)}
	if spec.Latency, err = s.cycles(p, key+".latency", l.Latency); err != nil {
		return spec, err
	}
	if uint64(spec.Latency) > maxLatency*uint64(p.Clock) {
		return spec, s.Problem(key+".latency", "write at most 10s", "no link takes %s", l.Latency)
	}
	return spec, nil
}

func (s *Scenario) planFailure(p *Plan, spec *vmm.MigrateSpec) (err error) {
	g, ok := &s.Migrate, false
	if spec.Failure, ok = vmm.ParseFailure(string(g.Fail)); !ok {
		return s.Problem("migrate.fail", DidYouMean(string(g.Fail), vmm.Failures()), "there is no failure %q", g.Fail)
	}
	spec.FailAt, err = s.cycles(p, "migrate.fail_at", g.FailAt)
	return err
}

func (s *Scenario) planThrottle(p *Plan, spec *vmm.MigrateSpec) error {
	t, ok := &s.Migrate.Throttle, false
	to := &spec.Throttle
	if to.Kind, ok = vmm.ParseThrottle(string(t.Kind)); !ok {
		return s.Problem("migrate.throttle.kind", DidYouMean(string(t.Kind), vmm.Throttles()), "there is no throttle %q", t.Kind)
	}
	for _, n := range []struct {
		key       string
		from      Count
		to        *uint64
		low, high uint64
	}{
		{"trigger", t.Trigger, &to.Trigger, 1, 100},
		{"initial", t.Initial, &to.Initial, 1, 99},
		{"increment", t.Increment, &to.Increment, 1, 99},
		{"max", t.Max, &to.Max, uint64(t.Initial), 99},
	} {
		if uint64(n.from) < n.low || uint64(n.from) > n.high {
			return s.Problem("migrate.throttle."+n.key, fmt.Sprintf("write %d to %d", n.low, n.high), "QEMU refuses %s percent", n.from)
		}
		*n.to = uint64(n.from)
	}
	to.TailSlow = bool(t.TailSlow)
	if to.Kind == vmm.ThrottleDirtyLimit && !p.Track.UsesRing() {
		return s.Problem("migrate.throttle.kind", "write tracking.mode: ring+bitmap, or kind: auto-converge",
			"dirty-limit requires KVM with accelerator property 'dirty-ring-size' set, and mode %s has no ring", s.Tracking.Mode)
	}
	if t.Limit == 0 || t.Limit%(1<<20) != 0 {
		return s.Problem("migrate.throttle.dirty_limit", "write whole MiB/s, at least 1MiB/s", "QEMU's vcpu-dirty-limit cannot be %s", t.Limit)
	}
	to.Limit = uint64(t.Limit) >> 20
	period, err := s.cycles(p, "migrate.throttle.dirty_limit_period", t.Period)
	if err != nil {
		return err
	}
	to.Period = uint64(period) * 1000 / uint64(p.Clock)
	if to.Period < 1 || to.Period > 1000 {
		return s.Problem("migrate.throttle.dirty_limit_period", "write 1ms to 1s", "QEMU refuses a period of %s", t.Period)
	}
	return nil
}
