package its

import (
	"fmt"
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
		OpINT, OpINT, OpCLEAR, OpINV, OpINVALL, OpMOVALL, OpSYNC, OpVMAPP, 0x3f,
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

// randomCommand is a command with operands that mostly fit.
func randomCommand(s *sim.Stream) Command {
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
	for seed := range uint64(40) {
		for _, indirect := range []bool{false, true} {
			s := sim.NewStream(seed, "its")
			w := &twins{newTestMachine(3), newNaive(3)}
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

// A save that is restored into a fresh ITS is the same ITS, and saving it again
// writes nothing new.
func TestSaveRestoreRoundTrip(t *testing.T) {
	for seed := range uint64(100) {
		s := sim.NewStream(seed, "round trip")
		m := newTestMachine(3)
		itt, intid := uint64(testITT), uint32(8192)
		for range 1 + s.N(6) {
			m.its.Execute(m, cmdMAPC(uint32(s.N(50)), uint32(s.N(3))))
		}
		for range s.N(12) {
			dev, bits := uint32(s.N(8192)), uint32(1+s.N(10))
			m.its.Execute(m, cmdMAPD(dev, bits, itt))
			itt += 8 << 10
			for range s.N(20) {
				icid := m.its.Collections[s.N(uint64(len(m.its.Collections)))].ICID
				intid += 1 + uint32(s.N(40)) // an LPI of two events would be where the last one put it
				m.its.Execute(m, cmdMAPTI(dev, uint32(s.N(1<<bits)), intid, icid))
			}
		}
		for l := m.its.LPIs.First(); l != nil; l = m.its.LPIs.After(l) {
			l.Pending = s.Chance(1, 3)
		}
		if err := m.its.Save(m, SavePolicy{}); err != None {
			t.Fatalf("seed %d: save: %#x", seed, err)
		}
		m.its.LPIs.SavePending(m)
		before := m.snapshot()

		f := newTestMachine(3)
		f.mem = m.mem
		if err := f.its.Restore(f); err != None {
			t.Fatalf("seed %d: restore: %#x", seed, err)
		}
		if d := cmp.Diff(before, f.snapshot(), cmp.AllowUnexported(Collection{}, LPI{})); d != "" {
			t.Fatalf("seed %d: after restore (-saved +restored):\n%s", seed, d)
		}
		f.its.LPIs.SavePending(f)
		f.writes = nil
		f.its.Save(f, SavePolicy{})
		f.its.LPIs.SavePending(f)
		for _, w := range f.writes {
			if len(w.Bytes) == 1 {
				t.Fatalf("seed %d: saving pending bits twice writes %v", seed, w)
			}
		}
	}
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
