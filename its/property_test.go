package its

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// IDs of the random streams: few, so that commands meet each other, and some that
// do not fit.
var (
	someDevices = []uint32{1, 2, 40, 0, 5, 300, 8191, 8192, 20000, 65535, 65536}
	someEvents  = []uint32{0, 1, 3, 2, 7, 8, 31, 511, 512, 600}
	someINTIDs  = []uint32{8192, 8193, 8200, 8300, 9000, 8199, 40000, 65535, 8191, 65536}
	someICIDs   = []uint32{0, 1, 2, 3, 9, 8191, 8192, 65535}
	somePEs     = []uint32{0, 1, 2, 3, 0xffffffff}
	someOps     = []uint8{
		OpMAPD, OpMAPD, OpMAPC, OpMAPC, OpMAPTI, OpMAPTI, OpMAPTI, OpMAPTI, OpMAPTI, OpMAPI, OpMOVI, OpDISCARD,
		OpINT, OpINT, OpCLEAR, OpINV, OpINVALL, OpMOVALL, OpSYNC, 0x3f,
		OpVMOVI, OpVMOVP, OpVSGI, OpVSYNC, OpVMAPP, OpVMAPTI, OpVMAPI, OpVINVALL, OpINVDB,
	}
)

func pick[T any](s *sim.Stream, from []T) T { return from[s.N(uint64(len(from)))] }

// usual picks mostly one of the first three.
func usual(s *sim.Stream, from []uint32) uint32 {
	if s.Chance(3, 4) {
		from = from[:3]
	}
	return pick(s, from)
}

// streams is how many random streams of 300 steps a test tries, in two variants; with
// RINGMAP_LONG as many as hold a million commands: those are 47 of 60 steps.
func streams(n uint64) uint64 {
	if os.Getenv("RINGMAP_LONG") != "" {
		return 1_000_000*60/47/(2*300) + 10
	}
	return n
}

// randomCommand is a command with operands that mostly fit, or 32 bytes of noise.
func randomCommand(s *sim.Stream) Command {
	if s.Chance(1, 16) {
		c := Command{s.Uint64(), s.Uint64(), s.Uint64(), s.Uint64()}
		for _, f := range CommandFields { // from the table: small values as often as large ones
			c[f.Word] = f.Put(c[f.Word], s.Uint64()>>s.N(64))
		}
		if s.Chance(3, 4) {
			c = c.WithOpcode(uint32(pick(s, someOps)))
		}
		if s.Chance(1, 2) { // as far as a device that is there
			c = c.WithDeviceID(usual(s, someDevices))
		}
		return c.WithEventBits(c.EventBits() % 8) // the reference reads each entry of an ITT
	}
	itts := []uint64{testITT, testITT + 0x1000, testITT + 0x2100, testROM, 0x6000_0000, testRAMEnd - 0x100}
	c := Command{}.WithOpcode(uint32(pick(s, someOps))).WithDeviceID(usual(s, someDevices)).
		WithICID(usual(s, someICIDs)).WithRDbase2(usual(s, somePEs))
	if c.Opcode() == uint32(OpMAPD) {
		bits := []uint32{5, 10, 16, 1, 3, 17}
		return c.WithEventBits(usual(s, bits)).WithITT(pick(s, itts)).WithValid(s.Chance(5, 6))
	}
	c = c.WithEventID(usual(s, someEvents)).WithINTID(usual(s, someINTIDs)).WithRDbase(usual(s, somePEs))
	return c.WithValid(s.Chance(5, 6))
}

// twins are the ITS and the reference.
type twins struct {
	m *testMachine
	n *naive
}

// poke writes memory of both behind their backs, as a guest or VMM may.
func (w *twins) poke(addr mmu.IPA, v uint64) {
	w.m.put64(addr, v)
	w.n.m.put64(addr, v)
}

// step does one random thing to both and returns what, and what came of it.
func (w *twins) step(s *sim.Stream) (what string, got, want Error) {
	m, n := w.m, w.n
	switch s.N(60) {
	case 0:
		return "save", m.its.Save(m, SavePolicy{}), n.save()
	case 1:
		return "save pending", m.its.LPIs.SavePending(m), func() Error { n.savePending(); return None }()
	case 2:
		return "restore", m.its.Restore(m), n.restore()
	case 3: // a restore into an ITS without mappings
		m.its.DropDevices()
		m.its.DropCollections()
		n.dropDevices()
		n.dropColls()
		return "reset and restore", m.its.Restore(m), n.restore()
	case 4:
		pe := int32(s.N(uint64(m.pes)))
		n.loadPending(int64(pe))
		return "enable LPIs", m.its.LPIs.LoadPending(m, pe), None
	case 5:
		pe := s.N(uint64(m.pes))
		m.lpisOn[pe] = !m.lpisOn[pe]
		n.m.lpisOn[pe] = m.lpisOn[pe]
		return "toggle LPIs", None, None
	case 6:
		m.its.DropCollections()
		n.dropColls()
		return "drop collections", None, None
	case 7: // some pending bits
		w.poke(testPend+mmu.IPA(s.N(2))*0x10000+1024+mmu.IPA(s.N(16))*8, s.Uint64()&s.Uint64())
		return "poke pending", None, None
	case 8: // a config byte and its neighbours
		w.poke(testProp+mmu.IPA(s.N(128))*8, s.Uint64())
		return "poke config", None, None
	case 9: // a table entry: scribbled over, or made to point further
		addr := pick(s, []mmu.IPA{testDevices, testColls, testITT, testITT + 0x1000}) + mmu.IPA(s.N(16))*8
		old := m.get64(addr)
		w.poke(addr, pick(s, []uint64{0, old, s.Uint64(), old ^ 1<<s.N(64), old | 1<<63, old | s.N(64)<<49}))
		return "poke table", None, None
	case 10, 11, 12:
		dev, event := usual(s, someDevices), usual(s, someEvents)
		return fmt.Sprintf("MSI %d %d", dev, event), m.trigger(dev, event), n.trigger(dev, event)
	}
	c := randomCommand(s)
	return c.String(), m.its.Execute(m, c), n.execute(c)
}

// same compares everything that can be seen of the two.
func (w *twins) same(t *testing.T, what string) {
	t.Helper()
	if d := cmp.Diff(w.n.m.writes, w.m.writes); d != "" {
		t.Fatalf("%s: writes of guest memory (-want +got):\n%s", what, d)
	}
	w.m.writes, w.n.m.writes = nil, nil
	for _, dev := range someDevices {
		for _, event := range someEvents {
			want, wantErr := w.n.translate(dev, event)
			got, _, gotErr := w.m.its.Translate(w.m, dev, event)
			if wantErr != gotErr || want != nil && want.intid != got.INTID {
				t.Fatalf("%s: translation of device %d event %d differs: %v %#x, want %v %#x", what, dev, event, got, gotErr, want, wantErr)
			}
		}
	}
	if w.m.its.LPIs.Count() != len(w.n.lpis) {
		t.Fatalf("%s: %d LPIs, want %d", what, w.m.its.LPIs.Count(), len(w.n.lpis))
	}
	i, all := 0, w.n.sorted()
	for l := w.m.its.LPIs.First(); l != nil; l = w.m.its.LPIs.After(l) {
		want := all[i]
		got := naiveLPI{l.INTID, int(l.refs), int64(l.Target), l.Priority, l.Enabled, l.Pending}
		if got != *want {
			t.Fatalf("%s: LPI %+v, want %+v", what, got, *want)
		}
		i++
	}
}

// Random streams of commands, MSIs, saves and restores do the same to the ITS and
// to the naive reference, down to every byte that is written and its order.
func TestRandomStreams(t *testing.T) {
	for seed := range streams(40) {
		for _, indirect := range []bool{false, true} {
			s := sim.NewStream(seed, "its")
			w := &twins{newTestMachine(3), newNaive(3)}
			w.m.its.MovesAll, w.n.m.its.MovesAll = seed%2 != 0, seed%2 != 0
			if indirect {
				w.indirect()
			}
			log := []string{}
			for i := range 300 {
				what, got, want := w.step(&s)
				log = append(log, what)
				what = fmt.Sprintf("seed %d indirect %v step %d: %s", seed, indirect, i, what)
				if got != want {
					t.Fatalf("%s: error %#x, want %#x\n%v", what, got, want, log[max(0, i-20):])
				}
				w.same(t, what)
			}
		}
	}
}

// indirect gives both a device table of two levels: three L2 pages, one missing.
func (w *twins) indirect() {
	for _, m := range []*testMachine{w.m, w.n.m} {
		m.its.DeviceTable = m.its.DeviceTable.WithIndirect(true)
		m.put64(testDevices, uint64(L1E(0).WithValid(true).WithAddr(testRAM+0x40_0000)))
		m.put64(testDevices+8, uint64(L1E(0).WithValid(true).WithAddr(testRAM+0x41_0000)))
		m.put64(testDevices+7*8, uint64(L1E(0).WithValid(true).WithAddr(testRAM+0x42_0000)))
	}
}

// A save that is restored into a fresh ITS is the same ITS: every pending LPI is
// pending once, and saving again leaves memory as the first save did. Devices are
// far apart, so that `next` is cut, in tables of one and of two levels.
func TestSaveRestoreRoundTrip(t *testing.T) {
	capped := 0
	for seed := range uint64(100) {
		s := sim.NewStream(seed, "round trip")
		m := newTestMachine(3)
		m.its.DeviceTable = m.its.DeviceTable.WithPages(7)
		if seed%2 == 1 {
			m.its.DeviceTable = m.its.DeviceTable.WithIndirect(true)
			for i := range mmu.IPA(8) {
				if !s.Chance(1, 4) { // or no page for these devices
					m.put64(testDevices+8*i, uint64(L1E(0).WithValid(true).WithAddr(uint64(testRAM+0x90_0000+i<<16))))
				}
			}
		}
		itt, intid := uint64(testITT), uint32(8192)
		for range 1 + s.N(6) {
			m.its.Execute(m, cmdMAPC(uint32(s.N(50)), uint32(s.N(3))))
		}
		for range s.N(12) {
			dev, bits := uint32(s.N(57344)), uint32(1+s.N(16))
			if m.its.Execute(m, cmdMAPD(dev, bits, itt)) != None {
				continue
			}
			itt += max(4<<10, uint64(8)<<bits)
			for range s.N(20) {
				icid := m.its.Collections[s.N(uint64(len(m.its.Collections)))].ICID
				intid += 1 + uint32(s.N(40)) // an LPI of two events would be where the last one put it
				m.its.Execute(m, cmdMAPTI(dev, uint32(s.N(1<<bits)), intid, icid))
			}
		}
		for l := m.its.LPIs.First(); l != nil; l = m.its.LPIs.After(l) {
			l.Pending = s.Chance(1, 3)
		}
		for i, d := range m.its.Devices[min(1, len(m.its.Devices)):] {
			if d.ID-m.its.Devices[i].ID > maxNextDevice {
				capped++
			}
		}
		if err := m.its.Save(m, SavePolicy{}); err != None {
			t.Fatalf("seed %d: save: %#x", seed, err)
		}
		m.its.LPIs.SavePending(m)
		before, saved := m.snapshot(), m.memory()

		f := newTestMachine(3)
		f.mem, f.its.DeviceTable = m.mem, m.its.DeviceTable
		if err := f.its.Restore(f); err != None {
			t.Fatalf("seed %d: restore: %#x", seed, err)
		}
		if d := cmp.Diff(before, f.snapshot(), cmp.AllowUnexported(Collection{}, LPI{})); d != "" {
			t.Fatalf("seed %d: after restore (-saved +restored):\n%s", seed, d)
		}
		for l := f.its.LPIs.First(); l != nil; l = f.its.LPIs.After(l) {
			if addr, bit := f.pend[max(l.Target, 0)].PendingAddr(l.INTID); l.Target != NoPE && f.mem.get(addr)&bit != 0 {
				t.Fatalf("seed %d: LPI %d is pending in memory too: it would come twice", seed, l.INTID)
			}
		}
		f.its.Save(f, SavePolicy{})
		f.its.LPIs.SavePending(f)
		if d := cmp.Diff(saved, f.memory()); d != "" {
			t.Fatalf("seed %d: memory after the second save (-first +second):\n%s", seed, d)
		}
		f.writes = nil
		f.its.LPIs.SavePending(f)
		if f.writes != nil {
			t.Fatalf("seed %d: saving pending bits twice writes %v", seed, f.writes)
		}
	}
	if capped == 0 {
		t.Error("no distance was cut")
	}
}

// memory is a copy of what guest memory holds that is not zero.
func (m *testMachine) memory() map[mmu.IPA]string {
	all := map[mmu.IPA]string{}
	for page, b := range m.mem {
		if *b != [4096]byte{} {
			all[page] = string(b[:])
		}
	}
	return all
}

// seen is what software can tell of an ITS.
type seen struct {
	Events []string
	Colls  []Collection
	LPIs   []LPI
}

func (m *testMachine) snapshot() seen {
	var v seen
	for _, d := range m.its.Devices {
		v.Events = append(v.Events, fmt.Sprintf("device %d: %d bits at %#x", d.ID, d.Bits, d.ITT))
		for _, e := range d.Events {
			v.Events = append(v.Events, fmt.Sprintf("event %d: LPI %d in %d", e.ID, e.INTID, e.ICID))
		}
	}
	for _, c := range m.its.Collections {
		c.birth = 0
		v.Colls = append(v.Colls, c)
	}
	for l := m.its.LPIs.First(); l != nil; l = m.its.LPIs.After(l) {
		v.LPIs = append(v.LPIs, *l)
	}
	return v
}
