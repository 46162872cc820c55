package its

import (
	"math"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

// Each command answers what it cannot do with the architected code.
func TestCommandErrors(t *testing.T) {
	prepare := func() *testMachine {
		m := newTestMachine(2)
		m.run(t, cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPD(1, 3, testITT), cmdMAPTI(1, 0, 8192, 0),
			cmdMAPTI(1, 1, 8193, 7)) // collection 7 comes to be without a PE
		return m
	}
	op := func(o uint8) Command { return Command{}.WithOpcode(uint32(o)) }
	for _, c := range []struct {
		name string
		cmd  Command
		want Error
	}{
		{"MOVI unmapped event", cmdEvent(OpMOVI, 1, 5).WithICID(1), MoviUnmappedInterrupt},
		{"MOVI to unmapped collection", cmdEvent(OpMOVI, 1, 0).WithICID(7), MoviUnmappedCollection},
		{"MOVI to missing collection", cmdEvent(OpMOVI, 1, 0).WithICID(5), MoviUnmappedCollection},
		{"MOVI from unmapped collection", cmdEvent(OpMOVI, 1, 1).WithICID(0), MoviUnmappedCollection},
		{"INT unmapped device", cmdEvent(OpINT, 9, 0), IntUnmappedInterrupt},
		{"INT unmapped collection", cmdEvent(OpINT, 1, 1), IntUnmappedInterrupt},
		{"CLEAR unmapped event", cmdEvent(OpCLEAR, 1, 5), ClearUnmappedInterrupt},
		{"CLEAR without a PE", cmdEvent(OpCLEAR, 1, 1), None},
		{"MAPD beyond the table", cmdMAPD(8192, 3, testITT), MapdDeviceOOR},
		{"MAPD with 17 bits", cmdMAPD(2, 17, testITT), MapdITTSizeOOR},
		{"MAPD V=0 with 17 bits", cmdMAPD(2, 17, testITT).WithValid(false), None},
		{"MAPC to no PE", cmdMAPC(3, 2), MapcProcnumOOR},
		{"MAPC V=0 to no PE", cmdMAPC(3, 2).WithValid(false), None},
		{"MAPC beyond the table", cmdMAPC(8192, 0), MapcCollectionOOR},
		{"MAPTI unmapped device", cmdMAPTI(2, 0, 8200, 0), MaptiUnmappedDevice},
		{"MAPTI event out of range", cmdMAPTI(1, 8, 8200, 0), MaptiIDOOR},
		{"MAPTI of an SPI", cmdMAPTI(1, 2, 8191, 0), MaptiPhysicalIDOOR},
		{"MAPTI beyond 16 bits", cmdMAPTI(1, 2, 65536, 0), MaptiPhysicalIDOOR},
		{"MAPTI of a mapped event", cmdMAPTI(1, 0, 9000, 1), None},
		{"MAPTI to a collection beyond the table", cmdMAPTI(1, 2, 8200, 8192), MapcCollectionOOR},
		{"MAPI has the EventID as INTID", cmdEvent(OpMAPI, 1, 2), MaptiPhysicalIDOOR},
		{"INV unmapped event", cmdEvent(OpINV, 1, 5), InvUnmappedInterrupt},
		{"INVALL unmapped collection", op(OpINVALL).WithICID(7), InvallUnmappedCollection},
		{"INVALL missing collection", op(OpINVALL).WithICID(5), InvallUnmappedCollection},
		{"MOVALL to no PE", op(OpMOVALL).WithRDbase(0).WithRDbase2(2), MovallProcnumOOR},
		{"MOVALL to itself", op(OpMOVALL).WithRDbase(1).WithRDbase2(1), None},
		{"DISCARD unmapped event", cmdEvent(OpDISCARD, 1, 5), DiscardUnmappedInterrupt},
		{"DISCARD without a PE", cmdEvent(OpDISCARD, 1, 1), DiscardUnmappedInterrupt},
		{"SYNC", op(OpSYNC), None},
		{"GICv4", op(OpVMAPP), ErrOpcode},
	} {
		if got := prepare().execute(c.cmd); got != c.want {
			t.Errorf("%s: error %#x, want %#x", c.name, uint32(got), uint32(c.want))
		}
	}
}

func (m *testMachine) execute(c Command) Error { return m.its.Execute(m, c) }

// A device whose ITT is in no memory can be mapped, its events cannot.
func TestITTWithoutMemory(t *testing.T) {
	m := newTestMachine(1)
	m.run(t, cmdMAPC(0, 0), cmdMAPD(1, 12, testRAMEnd-0x100))
	m.run(t, cmdMAPTI(1, 31, 8192, 0))
	if got := m.execute(cmdMAPTI(1, 32, 8193, 0)); got != MaptiIDOOR {
		t.Errorf("event behind the end of memory: error %#x", got)
	}
}

// Mapping an LPI moves its pending bit out of the table; mapping it a second time,
// for another event, finds it as it is.
func TestPendingBitMovesOnce(t *testing.T) {
	m := newTestMachine(2)
	m.put64(testPend+1024, 0x3)
	m.run(t, cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPD(1, 3, testITT), cmdMAPTI(1, 0, 8192, 0))
	if got := m.get64(testPend + 1024); got != 0x2 || len(m.writes) != 1 {
		t.Fatalf("pending table %#x after %d writes", got, len(m.writes))
	}
	l := m.its.LPIs.Get(8192)
	l.Pending = false
	m.put64(testPend+1024, 0x3)
	m.run(t, cmdMAPTI(1, 1, 8192, 1))
	if l.Pending || l.Target != 0 || m.get64(testPend+1024) != 0x3 {
		t.Errorf("a second event of LPI 8192 changed it: %+v", *l)
	}
	m.run(t, cmdEvent(OpDISCARD, 1, 0))
	if m.its.LPIs.Get(8192) == nil {
		t.Error("LPI 8192 died with the first of two events")
	}
	m.run(t, cmdEvent(OpDISCARD, 1, 1))
	if m.its.LPIs.Get(8192) != nil {
		t.Error("LPI 8192 lives on without an event")
	}
}

// A collection that is deleted and mapped again does not get its events back.
func TestDeletedCollectionLosesEvents(t *testing.T) {
	m := newTestMachine(2)
	m.run(t, cmdMAPC(4, 0), cmdMAPD(1, 3, testITT), cmdMAPTI(1, 0, 8192, 4),
		cmdMAPC(4, 0).WithValid(false), cmdMAPC(4, 1))
	if _, _, err := m.its.Translate(m, 1, 0); err != IntUnmappedInterrupt {
		t.Errorf("event found its collection again: %#x", err)
	}
	if l := m.its.LPIs.Get(8192); l.Target != 0 {
		t.Errorf("its LPI moved to PE %d", l.Target)
	}
}

// An event without a collection has a zero ITE that the entry before points to,
// or is jumped over, or stops the save.
func TestSaveOrphans(t *testing.T) {
	prepare := func() *testMachine {
		m := newTestMachine(2)
		m.run(t, cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPD(1, 4, testITT), cmdMAPTI(1, 0, 8192, 0),
			cmdMAPTI(1, 1, 8193, 1), cmdMAPTI(1, 5, 8194, 0), cmdMAPC(1, 1).WithValid(false))
		return m
	}
	ite := func(next, intid uint32) uint64 { return uint64(ITE(0).WithNext(next).WithINTID(intid)) }
	for _, c := range []struct {
		rule  OrphanRule
		err   Error
		first uint64
	}{{OrphanZero, None, ite(1, 8192)}, {OrphanSkip, None, ite(5, 8192)}, {OrphanStop, ErrOrphan, ite(1, 8192)}} {
		m := prepare()
		m.put64(testITT+8, 0x1234)
		if err := m.its.Save(m, SavePolicy{Deleted: c.rule}); err != c.err {
			t.Errorf("rule %d: error %#x", c.rule, err)
		}
		if got := m.get64(testITT); got != c.first {
			t.Errorf("rule %d: first entry %#x, want %#x", c.rule, got, c.first)
		}
		if got, stopped := m.get64(testITT+8), c.err != None; stopped != (got == 0x1234) || !stopped && got != 0 {
			t.Errorf("rule %d: the orphan's entry is %#x", c.rule, got)
		}
	}
}

// Which rule an orphan falls under: what took its collection decides.
func TestOrphansOfRestore(t *testing.T) {
	m := newTestMachine(1)
	m.run(t, cmdMAPC(0, 0), cmdMAPD(1, 4, testITT), cmdMAPTI(1, 0, 8192, 0))
	m.its.Save(m, SavePolicy{})
	if err := m.its.Restore(m); err != ErrExists {
		t.Fatalf("second restore: error %#x", err)
	}
	if err := m.its.Save(m, SavePolicy{Deleted: OrphanStop}); err != None {
		t.Errorf("an event that a restore orphaned counts as orphaned by a command")
	}
	if err := m.its.Save(m, SavePolicy{Dropped: OrphanStop}); err != ErrOrphan {
		t.Errorf("an event that a restore orphaned does not count as such")
	}
}

// `next` is cut at 14 bits, and the restore then walks.
func TestNextIsCapped(t *testing.T) {
	m := newTestMachine(1)
	m.its.DeviceTable = m.its.DeviceTable.WithPages(4) // up to 0x50000 in all
	m.run(t, cmdMAPC(0, 0), cmdMAPD(2, 4, testITT), cmdMAPD(20000, 16, testITT+0x10000), cmdMAPTI(20000, 65535, 9000, 0))
	m.its.Save(m, SavePolicy{})
	if w := DTE(m.get64(testDevices + 2*8)); w.Next() != 0x3fff {
		t.Errorf("next = %#x", w.Next())
	}
	m.its.DropDevices()
	m.its.DropCollections()
	if err := m.its.Restore(m); err != None {
		t.Fatal(err)
	}
	if l, _, err := m.its.Translate(m, 20000, 65535); err != None || l.INTID != 9000 {
		t.Errorf("event behind a capped next: %v %#x", l, err)
	}
}

// Restoring takes INTIDs that no MAPTI could have given, up to the last.
func TestRestoreLargeINTIDs(t *testing.T) {
	m := newTestMachine(1)
	m.prop = m.prop.WithAddr(testRAM + 0x80_0000)
	m.pend[0] = PENDBASER(0).WithAddr(testRAM)
	m.put64(testColls, uint64(CTE(0).WithValid(true)))
	m.put64(testDevices, uint64(DTE(0).WithValid(true).WithEventBits(2).WithITT(testITT)))
	m.put64(testITT, uint64(ITE(0).WithINTID(0x1_0000).WithNext(1)))
	m.put64(testITT+8, uint64(ITE(0).WithINTID(0x1_0300)))
	if err := m.its.Restore(m); err != None {
		t.Fatalf("restore: error %#x", err)
	}
	var got []uint32
	for l := m.its.LPIs.First(); l != nil; l = m.its.LPIs.After(l) {
		got = append(got, l.INTID)
	}
	if len(got) != 2 || got[0] != 0x1_0000 || got[1] != 0x1_0300 {
		t.Errorf("LPIs %#x", got)
	}
	m.its.DropDevices()
	if m.its.LPIs.Count() != 0 || m.its.LPIs.First() != nil {
		t.Error("LPIs survive their devices")
	}
	l, _ := m.its.LPIs.add(math.MaxUint32, NoPE)
	if m.its.LPIs.After(l) != nil {
		t.Error("an LPI behind the last")
	}
}

// A pending bit that a restore consumes may be a bit of the table it is reading:
// the entry behind it is read after that.
func TestRestoreReadsWhatItChanged(t *testing.T) {
	m := newTestMachine(1)
	itt := testPend + 1024 // the byte of LPI 8192
	m.put64(testColls, uint64(CTE(0).WithValid(true)))
	m.put64(testColls+8, uint64(CTE(0).WithValid(true).WithICID(1).WithRDbase(Unmapped)))
	m.put64(testDevices, uint64(DTE(0).WithValid(true).WithEventBits(2).WithITT(uint64(itt))))
	m.put64(mmu.IPA(itt), uint64(ITE(0).WithINTID(8192+64).WithNext(1)))
	m.put64(mmu.IPA(itt+8), uint64(ITE(0).WithINTID(9000).WithICID(1))) // bit 0 is LPI 8256's
	if err := m.its.Restore(m); err != None {
		t.Fatalf("restore: error %#x", err)
	}
	if e := m.its.Devices[0].Events; len(e) != 2 || e[1].ICID != 0 || !m.its.LPIs.Get(8256).Pending {
		t.Errorf("events %+v", e)
	}
}

// A byte of a pending table is read once for neighbouring LPIs and written once
// for each bit that differs.
func TestPendingTableAccesses(t *testing.T) {
	m := newTestMachine(2)
	m.run(t, cmdMAPC(0, 0), cmdMAPC(1, 1), cmdMAPD(1, 5, testITT))
	for i := range uint32(8) {
		m.run(t, cmdMAPTI(1, i, 8192+i, 0))
	}
	m.run(t, cmdMAPTI(1, 8, 8200, 1))
	for _, i := range []uint32{1, 3, 8} {
		m.its.LPIs.Get(8192 + i).Pending = true
	}
	m.reads = 0
	m.its.LPIs.SavePending(m)
	if m.reads != 2 || len(m.writes) != 3 {
		t.Errorf("%d reads and %d writes, want 2 and 3", m.reads, len(m.writes))
	}
	m.reads = 0
	m.its.LPIs.LoadPending(m, 0)
	if m.reads != 2 { // the other PE's LPI is looked up, too
		t.Errorf("enabling LPIs reads %d times, want 2", m.reads)
	}
}

// A restore whose tables refer to each other without end still ends, and looks at
// each piece of memory a bounded number of times.
func TestHostileRestoreIsBounded(t *testing.T) {
	big := func() *testMachine {
		m := newTestMachine(1)
		m.put64(testColls, uint64(CTE(0).WithValid(true)))
		return m
	}
	t.Run("level 1 entries to one page", func(t *testing.T) {
		m := big()
		m.its.DeviceTable = BASER(0).WithValid(true).WithIndirect(true).WithAddr(testRAM + 0x40_0000).WithPages(128)
		for i := mmu.IPA(0); i < 128*65536; i += 8 {
			m.put64(testRAM+0x40_0000+i, uint64(L1E(0).WithValid(true).WithAddr(testRAM+0x20_0000)))
		}
		if err := m.its.Restore(m); err != None {
			t.Errorf("error %#x", err)
		}
		if m.its.Scanned < 1<<20*8192 {
			t.Errorf("%d entries scanned", m.its.Scanned)
		}
	})
	t.Run("all devices share an ITT of invalid entries", func(t *testing.T) {
		m := big()
		m.its.DeviceTable = BASER(0).WithValid(true).WithAddr(testRAM + 0x40_0000).WithPages(8)
		for i := mmu.IPA(0); i < 65536; i++ {
			m.put64(testRAM+0x40_0000+8*i, uint64(DTE(0).WithValid(true).WithNext(1).WithEventBits(16).WithITT(testITT)))
		}
		for i := mmu.IPA(0); i < 65536; i++ {
			m.put64(testITT+8*i, 0xffff_0000_0000_ffff) // anything but an INTID
		}
		// The entry behind the last device would be number 65536: the table ends there.
		if err := m.its.Restore(m); err != None {
			t.Errorf("error %#x", err)
		}
		if len(m.its.Devices) != 65536 {
			t.Errorf("%d devices", len(m.its.Devices))
		}
	})
	t.Run("all devices share an ITT of valid entries", func(t *testing.T) {
		m := big()
		m.its.DeviceTable = BASER(0).WithValid(true).WithAddr(testRAM + 0x40_0000).WithPages(8)
		for i := mmu.IPA(0); i < 65536; i++ {
			m.put64(testRAM+0x40_0000+8*i, uint64(DTE(0).WithValid(true).WithNext(1).WithEventBits(16).WithITT(testITT)))
			m.put64(testITT+8*i, uint64(ITE(0).WithINTID(8192+uint32(i)%50000)))
		}
		for i := mmu.IPA(0); i < 65535; i++ {
			m.put64(testITT+8*i, uint64(ITE(m.get64(testITT+8*i)).WithNext(1)))
		}
		if err := m.its.Restore(m); err != ErrCapacity {
			t.Errorf("4 G events: error %#x, want ErrCapacity", err)
		}
		if m.its.LPIs.Count() != 0 || len(m.its.Devices) != 0 {
			t.Error("something of the failed restore is left")
		}
	})
}

// Save, restore and continue equals the undisturbed run, at every step of a
// random stream.
func TestSyncContinues(t *testing.T) {
	s := sim.NewStream(7, "sync")
	a := &twins{newTestMachine(3), newNaive(3)}
	for i := range 400 {
		if i%7 == 0 {
			e := sim.NewEncoder()
			a.m.its.LPIs.Sync(e)
			a.m.its.Sync(e)
			lpis := &LPIs{}
			fresh := New(lpis)
			d := sim.NewDecoder(e.Finish())
			lpis.Sync(d)
			fresh.Sync(d)
			d.Finish()
			if err := d.Err(); err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			h1, h2 := sim.NewHasher(), sim.NewHasher()
			a.m.its.Sync(h1)
			fresh.Sync(h2)
			if h1.Sum() != h2.Sum() {
				t.Fatalf("step %d: the restored ITS hashes differently", i)
			}
			a.m.its = fresh
		}
		what, got, want := a.step(&s)
		if got != want {
			t.Fatalf("step %d %s: error %#x, want %#x", i, what, got, want)
		}
		a.same(t, what)
	}
}

// A damaged state is an error, never a panic.
func TestSyncDamaged(t *testing.T) {
	m := newTestMachine(2)
	m.run(t, cmdMAPC(0, 0), cmdMAPD(1, 4, testITT), cmdMAPTI(1, 0, 8192, 0), cmdMAPTI(1, 3, 8193, 0))
	e := sim.NewEncoder()
	m.its.LPIs.Sync(e)
	m.its.Sync(e)
	good := e.Finish()
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			bad := append([]byte(nil), good...)
			bad[i] ^= bit
			lpis := &LPIs{}
			s := New(lpis)
			d := sim.NewDecoder(bad)
			lpis.Sync(d)
			if d.Err() == nil {
				s.Sync(d)
			}
			if d.Err() == nil && lpis.CheckLoaded(s) == nil { // plausible: it must work
				s.Save(m, SavePolicy{})
				s.DropDevices()
			}
		}
	}
}
