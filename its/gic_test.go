package its

import (
	"fmt"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// flatMemory is 2 MiB of memory from 0 on.
type flatMemory []byte

func (f flatMemory) ok(ipa mmu.IPA, n int) bool { return uint64(ipa)+uint64(n) <= uint64(len(f)) }

func (f flatMemory) ReadGuest(ipa mmu.IPA, p []byte) Error {
	if !f.ok(ipa, len(p)) {
		return ErrAccess
	}
	copy(p, f[ipa:])
	return None
}

func (f flatMemory) WriteGuest(ipa mmu.IPA, p []byte) Error {
	if !f.ok(ipa, len(p)) {
		return ErrAccess
	}
	copy(f[ipa:], p)
	return None
}

func (f flatMemory) Visible(ipa mmu.IPA) bool { return f.ok(ipa, 1) }

const (
	gicConfig  = 0x1_0000
	gicTables  = 0x2_0000
	gicPending = 0x8_0000
	gicSPIs    = 96
	gicPEs     = 3
	gicLPIs    = 12
)

// gicUnderTest has three PEs, in two clusters, and twelve LPIs: event e of device 1
// is LPI 8192 + e of collection e modulo 3, which is that PE.
func gicUnderTest() *GIC {
	mem := make(flatMemory, 2<<20)
	g := NewGIC(gicSPIs, []uint32{0, 1, 0x100}, mem)
	g.Config = PROPBASER(0).WithAddr(gicConfig).WithIDBits(16)
	for i := range gicLPIs {
		mem[gicConfig+i] = byte(i*8) | 1
	}
	s := g.ITS
	s.Enabled = true
	s.DeviceTable = BASER(0).WithValid(true).WithAddr(gicTables).WithPages(1)
	s.CollectionTable = BASER(0).WithValid(true).WithAddr(gicTables + 0x1_0000).WithPages(1)
	for n := range uint32(gicPEs) {
		g.PEs[n].Pending = PENDBASER(0).WithAddr(gicPending + uint64(n)<<16)
		g.Execute(Command{}.WithOpcode(uint32(OpMAPC)).WithICID(n).WithRDbase(n).WithValid(true))
	}
	g.Execute(Command{}.WithOpcode(uint32(OpMAPD)).WithDeviceID(1).WithEventBits(4).WithITT(gicTables + 0x2_0000).WithValid(true))
	for e := range uint32(gicLPIs) {
		g.Execute(lpiCommand(OpMAPTI, e).WithINTID(FirstLPI + e).WithICID(e % gicPEs))
	}
	return g
}

func lpiCommand(op uint8, event uint32) Command {
	return Command{}.WithOpcode(uint32(op)).WithDeviceID(1).WithEventID(event)
}

// naiveGIC says the same without lists: it looks at every interrupt each time.
type naiveGIC struct {
	group [2]bool
	cpu   [gicPEs]naiveCPU
	lpis  [gicPEs]bool
	ints  []*naiveInt
}

type naiveInt struct {
	id, pe, priority, group    int // pe -1: nobody's
	enabled, latch, line, edge bool
	active, gone               bool
	inTable                    [gicPEs]bool // LPI: its bit of each pending table
}

func newNaiveGIC() *naiveGIC {
	n := &naiveGIC{}
	for pe := range gicPEs {
		n.cpu[pe] = naiveCPU{bpr0: 2, bpr1: 3}
		for id := range 32 {
			n.ints = append(n.ints, &naiveInt{id: id, pe: pe, edge: id < 16})
		}
	}
	for id := 32; id < 32+gicSPIs; id++ {
		n.ints = append(n.ints, &naiveInt{id: id})
	}
	for i := range gicLPIs {
		n.ints = append(n.ints, &naiveInt{id: 8192 + i, pe: i % gicPEs, priority: i * 8, group: 1, enabled: true, edge: true})
	}
	return n
}

// at is interrupt id as a PE sees it.
func (n *naiveGIC) at(pe, id int) *naiveInt {
	for _, p := range n.ints {
		if p.id == id && (id >= 32 || p.pe == pe) {
			return p
		}
	}
	return nil
}

func (n *naiveGIC) best(pe int) (best *naiveInt) {
	for _, p := range n.ints {
		pends := p.latch || !p.edge && p.line
		if p.pe != pe || p.gone || !pends || !p.enabled || p.active || p.id >= 8192 && !n.lpis[pe] || !n.group[p.group] || !n.cpu[pe].on[p.group] {
			continue
		}
		if best == nil || p.priority*100000+p.id < best.priority*100000+best.id {
			best = p
		}
	}
	return best
}

func (n *naiveGIC) signals(pe int, p *naiveInt) bool {
	c := &n.cpu[pe]
	return p != nil && p.priority < c.pmr && (len(c.active) == 0 || c.level(p.group, p.priority) < c.running())
}

func (n *naiveGIC) ack(pe, group int) int {
	p := n.best(pe)
	if !n.signals(pe, p) || p.group != group {
		return 1023
	}
	c := &n.cpu[pe]
	a, there := naiveActive{c.level(group, p.priority), group}, false
	for _, b := range c.active {
		there = there || a == b
	}
	if !there {
		c.active = append(c.active, a)
	}
	p.latch, p.active = false, p.id < 8192
	return p.id
}

func (n *naiveGIC) eoi(pe, group, id int) {
	c := &n.cpu[pe]
	if id >= 1020 && id < 1024 || len(c.active) == 0 {
		return
	}
	at := -1
	for i, a := range c.active {
		if a.priority == c.running() && (at < 0 || a.group == 0) {
			at = i
		}
	}
	was := c.active[at]
	c.active = append(c.active[:at], c.active[at+1:]...)
	if p := n.at(pe, id); was.group == group && !c.split && p != nil {
		p.active = false
	}
}

// TestGICAgainstNaive: random operations by lines, registers, SGIs and the ITS.
func TestGICAgainstNaive(t *testing.T) {
	seeds := uint64(25)
	for seed := range seeds {
		driveGIC(t, seed, 1500)
	}
}

func driveGIC(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := sim.NewStream(seed, "gic")
	g, n := gicUnderTest(), newNaiveGIC()
	for step := range steps {
		if step%500 == 250 { // through a snapshot
			c := sim.NewEncoder()
			g.Sync(c)
			h := gicUnderTest()
			copy(h.mem.(flatMemory), g.mem.(flatMemory))
			d := sim.NewDecoder(c.Finish())
			h.Sync(d)
			if d.Finish(); d.Err() != nil {
				t.Fatal(d.Err())
			}
			g = h
		}
		what := stepGIC(t, &rnd, g, n)
		at := fmt.Sprintf("seed %d step %d: %s", seed, step, what)
		for pe := range gicPEs {
			p := n.best(pe)
			irq, fiq := g.Lines(int32(pe))
			if s := n.signals(pe, p); irq != (s && p.group == 1) || fiq != (s && p.group == 0) {
				t.Fatalf("%s: PE %d has IRQ %v, FIQ %v; want %+v", at, pe, irq, fiq, p)
			}
			for group := range 2 {
				want := 1023
				if p != nil && p.group == group {
					want = p.id
				}
				if got := g.HighestPending(int32(pe), group); got != uint32(want) {
					t.Fatalf("%s: PE %d group %d: highest %d, want %d", at, pe, group, got, want)
				}
			}
		}
	}
}

// stepGIC does one operation on both.
func stepGIC(t *testing.T, rnd *sim.Stream, g *GIC, n *naiveGIC) string {
	t.Helper()
	pe, group := int(rnd.N(gicPEs)), int(rnd.N(2))
	ids := []int{0, 5, 16, 27, 30, 32, 33, 64, 127, 128, 1019, 1023, 8192, 8195, 8203}
	id := ids[rnd.N(uint64(len(ids)))]
	p := n.at(pe, id)
	c := &g.PEs[pe].CPU
	switch op := rnd.N(17); op {
	case 0, 1, 2:
		got, want := g.Acknowledge(int32(pe), group), n.ack(pe, group)
		if got != uint32(want) {
			t.Fatalf("PE %d acknowledges %d, want %d", pe, got, want)
		}
		return fmt.Sprint("ack ", pe, got)
	case 3, 4:
		g.End(int32(pe), group, uint32(id))
		n.eoi(pe, group, id)
		return fmt.Sprint("eoi ", pe, group, id)
	case 5:
		g.Deactivate(int32(pe), uint32(id))
		if p != nil && n.cpu[pe].split {
			p.active = false
		}
		return fmt.Sprint("dir ", pe, id)
	case 6, 7:
		up := rnd.Chance(1, 2)
		g.SetLine(int32(pe), uint32(id), up)
		if p != nil && id >= 16 && id < 8192 {
			p.latch = p.latch || p.edge && up && !p.line
			p.line = up
		}
		return fmt.Sprint("line ", pe, id, up)
	case 8, 9, 10:
		return n.writeBank(rnd, g, pe, id, p)
	case 11:
		w := SGIR(rnd.Uint64() & 0x0000_0100_0f01_0007) // Others, INTID, Aff1, three targets
		g.SendSGI(int32(pe), w, group == 1)
		for to, aff := range []struct{ aff1, aff0 uint32 }{{0, 0}, {0, 1}, {1, 0}} {
			hit := w.Aff1() == aff.aff1 && w.Targets()>>aff.aff0&1 == 1
			if w.Others() {
				hit = to != pe
			}
			if q := n.at(to, int(w.INTID())); hit && q.group == group {
				q.latch = true
			}
		}
		return fmt.Sprintf("sgi %#x", uint64(w))
	case 12:
		x := rnd.N(256)
		c.WritePMR(x)
		n.cpu[pe].pmr = int(x) & 0xf8
		c.Enabled[group] = x&1 != 0 || x > 100
		n.cpu[pe].on[group] = c.Enabled[group]
		return fmt.Sprint("pmr ", pe, x)
	case 13:
		x := rnd.N(4)
		c.WriteCTLR(x)
		n.cpu[pe].cbpr, n.cpu[pe].split = x&1 != 0, x&2 != 0
		g.WriteDist(0, 4, 3&^(x>>1))
		n.group = [2]bool{x>>1&1 == 0, true}
		return fmt.Sprint("ctlr ", pe, x)
	case 14:
		if id >= 32 && id < 1020 && p != nil {
			route := []uint64{0, 1, 0x100, 1 << 31, 0x7777}[rnd.N(5)]
			g.WriteDist(uint32(0x6000+8*id), 8, route)
			p.pe = map[uint64]int{0: 0, 1: 1, 0x100: 2, 1 << 31: 0, 0x7777: -1}[route]
			if got := g.ReadDist(uint32(0x6000+8*id), 8); got != route {
				t.Fatalf("IROUTER reads %#x, written %#x", got, route)
			}
		}
		return fmt.Sprint("route ", id)
	case 15:
		return n.lpi(t, rnd, g)
	default:
		on := rnd.Chance(2, 3)
		was := n.lpis[pe]
		g.WriteRedist(int32(pe), 0, 4, bit(on))
		n.lpis[pe] = on
		for _, p := range n.ints {
			if p.id >= 8192 && p.pe == pe && !p.gone && was != on {
				if on {
					p.latch = p.inTable[pe]
				} else {
					p.inTable[pe] = p.latch
				}
			}
		}
		return fmt.Sprint("lpis ", pe, on)
	}
}

// writeBank writes one interrupt's field of a register and reads it back.
func (n *naiveGIC) writeBank(rnd *sim.Stream, g *GIC, pe, id int, p *naiveInt) string {
	if p == nil || id >= 1020 {
		return "nothing"
	}
	b := &banks[rnd.N(uint64(len(banks)))]
	v := rnd.N(1 << b.bits)
	perWord := int(32 / b.bits)
	offset, shift := b.offset+uint32(id/perWord*4), uint32(id%perWord)*b.bits
	word := v << shift
	one := v&1 != 0
	if b.kind == bankGroup || b.kind == bankPriority || b.kind == bankConfig { // of the word's others, what they are
		word |= n.word(b.kind, pe, id/perWord*perWord, perWord, b.bits) &^ ((1<<b.bits - 1) << shift)
	}
	if id < 32 {
		g.WriteRedist(int32(pe), offset+gicrFrame, 4, word)
	} else {
		g.WriteDist(offset, 4, word)
	}
	switch b.kind {
	case bankGroup:
		p.group = int(v & 1)
	case bankSetEnable:
		p.enabled = p.enabled || one
	case bankClearEnable:
		p.enabled = p.enabled && !one
	case bankSetPending:
		p.latch = p.latch || one
	case bankClearPending:
		p.latch = p.latch && !one
	case bankSetActive:
		p.active = p.active || one
	case bankClearActive:
		p.active = p.active && !one
	case bankPriority:
		p.priority = int(v) & 0xf8
	case bankConfig:
		if id >= 16 {
			p.edge = v&2 != 0
		}
	}
	return fmt.Sprint("bank ", b.kind, pe, id, v)
}

// word is what a register of a kind holds.
func (n *naiveGIC) word(k bankKind, pe, first, count int, bits uint32) (v uint64) {
	for i := range count {
		p, f := n.at(pe, first+i), uint64(0)
		switch {
		case p == nil:
		case k == bankGroup:
			f = uint64(p.group)
		case k == bankPriority:
			f = uint64(p.priority)
		case k == bankConfig && p.edge:
			f = 2
		}
		v |= f << (uint32(i) * bits)
	}
	return v
}

// lpi is a device's event, or a command that concerns one.
func (n *naiveGIC) lpi(t *testing.T, rnd *sim.Stream, g *GIC) string {
	e := uint32(rnd.N(gicLPIs))
	p := n.at(0, 8192+int(e))
	switch what := rnd.N(6); what {
	case 0, 1, 2:
		err := g.Trigger(1, e)
		switch {
		case p.gone && err != IntUnmappedInterrupt, !p.gone && !n.lpis[p.pe] && err != ErrDisabled, !p.gone && n.lpis[p.pe] && err != None:
			t.Fatalf("trigger: %x", err)
		case err == None:
			p.latch = true
		}
	case 3:
		to := uint32(rnd.N(gicPEs))
		if g.Execute(lpiCommand(OpMOVI, e).WithICID(to)) == None {
			p.pe = int(to)
		}
	case 4:
		if g.Execute(lpiCommand(OpCLEAR, e)) == None {
			p.latch = false
		}
	case 5:
		if !p.gone {
			g.Execute(lpiCommand(OpDISCARD, e))
			p.gone, p.latch = true, false
		} else {
			icid := uint32(rnd.N(gicPEs))
			g.Execute(lpiCommand(OpMAPTI, e).WithINTID(FirstLPI + e).WithICID(icid))
			p.gone, p.pe = false, int(icid)
		}
	}
	return fmt.Sprint("lpi ", e)
}

// TestGICRegisters: what identifies it, and that nothing lies elsewhere.
func TestGICRegisters(t *testing.T) {
	g := gicUnderTest()
	for _, c := range []struct {
		at   uint32
		size uint32
		want uint64
	}{
		{0x0004, 4, 15<<19 | 1<<17 | 3}, // 128 interrupts, 16 bits, LPIs
		{0xffe8, 4, 0x3b},
		{0x0000, 4, 1<<6 | 1<<4},
		{0x0000, 1, 0},
		{0x0100, 8, 0},
		{0x0300, 4, 0},
		{0x5000, 4, 0},
	} {
		if got := g.ReadDist(c.at, c.size); got != c.want {
			t.Errorf("GICD %#x reads %#x, want %#x", c.at, got, c.want)
		}
	}
	if got := g.ReadRedist(2, 8, 8); got != 0x100<<32|2<<8|1<<4|1 {
		t.Errorf("GICR_TYPER %#x", got)
	}
	g.WriteRedist(1, 0x7c, 4, 0x0000_0007) // the upper half
	if got := g.ReadRedist(1, 0x78, 8); got != 7<<32|gicPending+1<<16 {
		t.Errorf("PENDBASER %#x", got)
	}
	g.WriteRedist(1, 0, 4, 1)
	g.WriteRedist(1, 0x78, 8, 0)
	if got := g.ReadRedist(1, 0x78, 8); got != 7<<32|gicPending+1<<16 {
		t.Errorf("PENDBASER was written while LPIs are enabled: %#x", got)
	}
	g.WriteDist(0x40, 4, 40)
	if !g.spi(40).Pending {
		t.Error("no message")
	}
}

// FuzzGIC: no access of software breaks it.
func FuzzGIC(f *testing.F) {
	f.Add(uint64(1), uint32(0x100), uint64(0xffff_ffff))
	f.Fuzz(func(t *testing.T, seed uint64, offset uint32, v uint64) {
		driveGIC(t, seed, 200)
		g := gicUnderTest()
		for _, size := range []uint32{1, 2, 4, 8} {
			g.WriteDist(offset, size, v)
			g.ReadDist(offset, size)
			g.WriteRedist(1, offset, size, v)
			g.ReadRedist(1, offset, size)
		}
		g.SendSGI(1, SGIR(v), v&1 == 0)
		g.Trigger(1, offset%gicLPIs)
		g.Acknowledge(1, 1)
	})
}
