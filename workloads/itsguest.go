package workloads

import (
	"fmt"

	"ringmap/its"
	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// ITSGuest is a vCPU's stream with the work of an ITS driver in between: now and then
// the guest moves an interrupt to another vCPU (irqbalance: MOVI), or unbinds a device
// and binds it again (DISCARD of each event, MAPD V=0, MAPD, MAPTI of each). As Linux's
// driver it writes each command with a SYNC behind it into the queue in guest memory,
// then CWRITER, then looks at CREADR: its_send_single_command of irq-gic-v3-its.c. So
// these pages are dirtied by a vCPU, and what the ITS writes for a command too.
type ITSGuest struct {
	inner kvmcore.Stream
	spec  ITSSpec
	at    ITSLayout
	vcpus int
	rng   sim.Stream

	now         uint64 // guest cycles of the accesses given out so far
	move, churn uint64 // when the next is due; never = not
	head        uint64 // byte offset of the next command in the queue
	todo        []kvmcore.GuestAccess
}

// What the driver's instructions take beside its accesses: assumed, a few for each.
const (
	driverCycles = 4
	driverInstr  = 4
)

const never = ^uint64(0)

// NewITSGuest adds the driver to the stream of vCPU 0. The spec must be valid, and
// its ITS set up by SetupITS.
func NewITSGuest(inner kvmcore.Stream, s ITSSpec, vcpus int, seed uint64) *ITSGuest {
	g := &ITSGuest{
		inner: inner, spec: s, at: s.Layout(vcpus), vcpus: vcpus, rng: sim.NewStream(seed, "workloads/its guest"),
		move: never, churn: never, head: s.queueHead(vcpus),
	}
	if s.MoveGap != 0 {
		g.move = exponential(&g.rng, s.MoveGap)
	}
	if s.ChurnGap != 0 {
		g.churn = exponential(&g.rng, s.ChurnGap)
	}
	return g
}

// Fill gives out the driver's accesses when some are due, else the workload's.
func (g *ITSGuest) Fill(dst []kvmcore.GuestAccess) int {
	switch {
	case len(g.todo) != 0:
	case g.move <= min(g.now, g.churn):
		g.moveEvent()
		g.move += exponential(&g.rng, g.spec.MoveGap)
	case g.churn <= g.now:
		g.rebind()
		g.churn += exponential(&g.rng, g.spec.ChurnGap)
	default:
		n := g.inner.Fill(dst)
		g.count(dst[:n])
		return n
	}
	n := copy(dst, g.todo)
	g.todo = g.todo[n:]
	g.count(dst[:n])
	return n
}

// count lets the accesses' time pass.
func (g *ITSGuest) count(list []kvmcore.GuestAccess) {
	for i := range list {
		g.now += uint64(list[i].Cycles)
		if list[i].Op == kvmcore.GuestIdle {
			g.now += list[i].Value
		}
	}
}

// moveEvent is its_set_affinity.
func (g *ITSGuest) moveEvent() {
	d, e := g.rng.N(uint64(g.spec.Devices)), g.rng.N(uint64(g.spec.Events))
	to := uint32(g.rng.N(uint64(g.vcpus)))
	g.begin()
	g.event(its.Command{}.WithOpcode(uint32(its.OpMOVI)).WithICID(to), int(d), int(e), to)
}

// rebind is its_irq_domain_deactivate and _free, then _alloc and _activate, of all
// events of a device. Its events keep their LPIs and go to the vCPUs of the set-up.
func (g *ITSGuest) rebind() {
	d := int(g.rng.N(uint64(g.spec.Devices)))
	target := func(e int) uint32 { return uint32((d*g.spec.Events + e) % g.vcpus) }
	mapd := its.Command{}.WithOpcode(uint32(its.OpMAPD)).WithDeviceID(uint32(firstDevice + d)).
		WithEventBits(uint32(g.at.EventBits)).WithITT(g.at.itt(d))
	g.begin()
	for e := range g.spec.Events {
		g.event(its.Command{}.WithOpcode(uint32(its.OpDISCARD)), d, e, target(e))
	}
	g.send(mapd)
	g.send(mapd.WithValid(true))
	for e := range g.spec.Events {
		lpi := uint32(firstLPI + d*g.spec.Events + e)
		g.event(its.Command{}.WithOpcode(uint32(its.OpMAPTI)).WithINTID(lpi).WithICID(target(e)), d, e, target(e))
	}
}

// begin starts a new list of accesses.
func (g *ITSGuest) begin() { g.todo = g.todo[:0:0] }

// event sends a command for an event, with a SYNC of the vCPU that it concerns.
func (g *ITSGuest) event(c its.Command, d, e int, target uint32) {
	g.send(c.WithDeviceID(uint32(firstDevice+d)).WithEventID(uint32(e)),
		its.Command{}.WithOpcode(uint32(its.OpSYNC)).WithRDbase(target))
}

// send writes commands into the queue, announces them, and looks whether they are done.
func (g *ITSGuest) send(cmds ...its.Command) {
	access := func(at mmu.IPA, op kvmcore.GuestOp, size uint8, value uint64) {
		g.todo = append(g.todo, kvmcore.GuestAccess{IPA: at, Op: op, Size: size, Value: value, Cycles: driverCycles, Instr: driverInstr})
	}
	for _, c := range cmds {
		for i, w := range c {
			access(g.at.Queue+mmu.IPA(g.head)+mmu.IPA(8*i), kvmcore.GuestStore, 8, w)
		}
		g.head = (g.head + its.CommandBytes) % itsTable
	}
	access(gicITS+gitsCWRITER, kvmcore.GuestStore, 4, g.head)
	access(gicITS+gitsCREADR, kvmcore.GuestLoad, 4, 0)
}

// Sync saves, restores or hashes the stream's state.
func (g *ITSGuest) Sync(c *sim.Codec) {
	c.Tag("workloads/its guest")
	g.inner.Sync(c)
	g.rng.Sync(c)
	c.U64(&g.now)
	c.U64(&g.move)
	c.U64(&g.churn)
	c.U64(&g.head)
	sim.Slice(c, &g.todo, func(c *sim.Codec, a *kvmcore.GuestAccess) { a.Sync(c) })
	if g.head%its.CommandBytes != 0 || g.head >= itsTable {
		c.Fail(fmt.Errorf("the driver is at %#x of its command queue", g.head))
		g.head = 0
	}
}
