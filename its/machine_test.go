package its

import "ringmap/mmu"

// testMachine is a machine of a few PEs with guest memory in two ranges, of which
// the second is read-only. It follows KVM's rules for new LPIs.
type testMachine struct {
	its    *ITS
	mem    testMemory
	pes    int
	prop   PROPBASER
	pend   []PENDBASER
	writes []testWrite // every write of guest memory, in order
	reads  int         // of guest memory
	lpisOn []bool
}

// testMemory is guest memory, page by page.
type testMemory map[mmu.IPA]*[4096]byte

func (t testMemory) get(a mmu.IPA) byte {
	if p := t[a>>12]; p != nil {
		return p[a&4095]
	}
	return 0
}

func (t testMemory) set(a mmu.IPA, b byte) {
	p := t[a>>12]
	if p == nil {
		p = new([4096]byte)
		t[a>>12] = p
	}
	p[a&4095] = b
}

type testWrite struct {
	Addr  mmu.IPA
	Bytes string
}

// Guest memory of the tests.
const (
	testRAM     = 0x4000_0000 // 16 MiB
	testRAMEnd  = 0x4100_0000
	testROM     = 0x5000_0000 // 64 KiB
	testROMEnd  = 0x5001_0000
	testQueue   = testRAM
	testDevices = testRAM + 0x10000
	testColls   = testRAM + 0x80000
	testProp    = testRAM + 0x90000
	testPend    = testRAM + 0x100000
	testITT     = testRAM + 0x200000
)

// newTestMachine returns a machine with an enabled ITS: a flat device table of
// 64 KiB, a collection table, 16-bit LPIs that are all enabled.
func newTestMachine(pes int) *testMachine {
	m := &testMachine{mem: testMemory{}, pes: pes}
	m.its = New(&LPIs{})
	m.its.Enabled = true
	m.its.CBASER = CBASER(0).WithValid(true).WithAddr(testQueue).WithPages(16)
	m.its.DeviceTable = BASER(0).WithValid(true).WithAddr(testDevices).WithPages(1)
	m.its.CollectionTable = BASER(0).WithValid(true).WithAddr(testColls).WithPages(1)
	m.prop = PROPBASER(0).WithAddr(testProp).WithIDBits(16)
	for i := range pes {
		m.pend = append(m.pend, PENDBASER(0).WithAddr(uint64(testPend+i*0x10000)))
		m.lpisOn = append(m.lpisOn, true)
	}
	for i := mmu.IPA(0); i < 57344; i++ {
		m.mem.set(testProp+i, 0xa1)
	}
	return m
}

func (m *testMachine) ReadGuest(ipa mmu.IPA, p []byte) Error {
	m.reads++
	if !m.Visible(ipa) || !m.Visible(ipa+mmu.IPA(len(p)-1)) {
		return ErrAccess
	}
	for i := range p {
		p[i] = m.mem.get(ipa + mmu.IPA(i))
	}
	return None
}

func (m *testMachine) WriteGuest(ipa mmu.IPA, p []byte) Error {
	if ipa < testRAM || ipa+mmu.IPA(len(p)) > testRAMEnd {
		return ErrAccess
	}
	for i, b := range p {
		m.mem.set(ipa+mmu.IPA(i), b)
	}
	m.writes = append(m.writes, testWrite{ipa, string(p)})
	return None
}

func (m *testMachine) Visible(ipa mmu.IPA) bool {
	return ipa >= testRAM && ipa < testRAMEnd || ipa >= testROM && ipa < testROMEnd
}

func (m *testMachine) PE(rdbase uint32) (int32, bool) {
	return int32(rdbase), rdbase < uint32(m.pes)
}

func (m *testMachine) PropBase() PROPBASER             { return m.prop }
func (m *testMachine) PendBase(pe int32) PENDBASER     { return m.pend[pe] }
func (m *testMachine) Trigger(dev, event uint32) Error { return m.trigger(dev, event) }

func (m *testMachine) Moved(*LPI)   {}
func (m *testMachine) Changed(*LPI) {}

func (m *testMachine) NewLPI(l *LPI) Error {
	if err := m.its.LPIs.LoadConfig(m, l); err != None {
		return err
	}
	return m.its.LPIs.ConsumePending(m, l)
}

func (m *testMachine) trigger(dev, event uint32) Error {
	l, pe, err := m.its.Translate(m, dev, event)
	switch {
	case err != None:
		return err
	case !m.lpisOn[pe]:
		return ErrDisabled
	}
	l.Pending = true
	return None
}

func (m *testMachine) put64(ipa mmu.IPA, w uint64) {
	for i := range mmu.IPA(8) {
		m.mem.set(ipa+i, byte(w>>(8*i)))
	}
}

func (m *testMachine) get64(ipa mmu.IPA) (w uint64) {
	for i := range mmu.IPA(8) {
		w |= uint64(m.mem.get(ipa+i)) << (8 * i)
	}
	return w
}

// Commands as a driver writes them.
func cmdMAPD(dev uint32, bits uint32, itt uint64) Command {
	return Command{}.WithOpcode(uint32(OpMAPD)).WithDeviceID(dev).WithEventBits(bits).WithITT(itt).WithValid(true)
}

func cmdMAPC(icid, pe uint32) Command {
	return Command{}.WithOpcode(uint32(OpMAPC)).WithICID(icid).WithRDbase(pe).WithValid(true)
}

func cmdMAPTI(dev, event, intid, icid uint32) Command {
	return Command{}.WithOpcode(uint32(OpMAPTI)).WithDeviceID(dev).WithEventID(event).WithINTID(intid).WithICID(icid)
}

func cmdEvent(op uint8, dev, event uint32) Command {
	return Command{}.WithOpcode(uint32(op)).WithDeviceID(dev).WithEventID(event)
}

// run executes commands and fails the test at the first error.
func (m *testMachine) run(t interface {
	Helper()
	Fatalf(string, ...any)
}, cmds ...Command) {
	t.Helper()
	for _, c := range cmds {
		if err := m.its.Execute(m, c); err != None {
			t.Fatalf("%v: error %#x", c, uint32(err))
		}
	}
}
