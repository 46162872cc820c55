package its

import "testing"

// The vectors of the specification's last section.
func TestLayoutVectors(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"DTE", uint64(DTE(0).WithValid(true).WithNext(3).WithITT(0x8_1234_5600).WithEventBits(5)),
			1<<63 | 3<<49 | (0x812345600>>8)<<5 | 4},
		{"ITE", uint64(ITE(0).WithINTID(8192).WithICID(1)), 0x20000001},
		{"CTE", uint64(CTE(0).WithValid(true).WithRDbase(2).WithICID(7)), 1<<63 | 2<<16 | 7},
		{"config", uint64(Config(0).WithEnabled(true).WithPriority(0xa0).WithRes1(true)), 0xa3},
		{"MAPD DW0", cmdMAPD(0x10, 5, 0x80000)[0], 0x10<<32 | 0x08},
		{"MAPD DW1", cmdMAPD(0x10, 5, 0x80000)[1], 4},
		{"MAPD DW2", cmdMAPD(0x10, 5, 0x80000)[2], 1<<63 | 0x80000},
		{"MAPTI DW0", cmdMAPTI(0x10, 0, 8192, 0)[0], 0x10<<32 | 0x0a},
		{"MAPTI DW1", cmdMAPTI(0x10, 0, 8192, 0)[1], 8192 << 32},
		{"MAPTI DW2", cmdMAPTI(0x10, 0, 8192, 0)[2], 0},
		{"MAPC DW0", cmdMAPC(0, 1)[0], 0x09},
		{"MAPC DW2", cmdMAPC(0, 1)[2], 1<<63 | 1<<16},
	} {
		if c.got != c.want {
			t.Errorf("%s = %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

func TestLPIAddresses(t *testing.T) {
	prop, pend := PROPBASER(0).WithAddr(0x4009_0000).WithIDBits(16), PENDBASER(0).WithAddr(0x4010_0000)
	if a := prop.ConfigAddr(8192); a != 0x4009_0000 {
		t.Errorf("config byte of LPI 8192 at %#x", a)
	}
	if a, bit := pend.PendingAddr(8200); a != 0x4010_0000+1025 || bit != 1 {
		t.Errorf("pending bit of LPI 8200 at %#x, mask %#x", a, bit)
	}
	if l := prop.Limit(); l != 65536 {
		t.Errorf("16 bits of INTIDs end at %d", l)
	}
	if l := prop.WithIDBits(20).Limit(); l != 65536 {
		t.Errorf("20 bits of INTIDs end at %d, the ITS has 16", l)
	}
	if l := prop.WithIDBits(14).Limit(); l != 16384 {
		t.Errorf("14 bits of INTIDs end at %d", l)
	}
}

// Every field of every word comes back from where it was put, and touches
// nothing else.
func TestFieldsRoundTrip(t *testing.T) {
	check := func(word string, f Field) {
		for _, background := range []uint64{0, ^uint64(0)} {
			for raw := uint64(0); raw <= f.max() && raw < 64; raw++ {
				v := raw<<f.Shift + uint64(f.Minus)
				w := f.Put(background, v)
				if got := f.Get(w); got != v {
					t.Errorf("%s.%s: put %#x, got %#x", word, f.Name, v, got)
				}
				if outside := f.max() << f.Lo; (w^background)&^outside != 0 {
					t.Errorf("%s.%s: put %#x changed bits outside: %#x", word, f.Name, v, w^background)
				}
			}
		}
	}
	for _, l := range Layouts {
		for _, f := range l.Fields {
			check(l.Name, f)
		}
	}
	for _, f := range CommandFields {
		check("Command", f)
	}
}

// The accessors and the table say the same: spot checks at the fields with a
// shift, an offset or 64 bits.
func TestAccessorsMatchTable(t *testing.T) {
	table := func(word, field string, w uint64) uint64 {
		for _, l := range Layouts {
			for _, f := range l.Fields {
				if l.Name == word && f.Name == field {
					return f.Get(w)
				}
			}
		}
		t.Fatalf("no field %s.%s", word, field)
		return 0
	}
	for _, w := range []uint64{0, 0x9907_0000_4001_0200, 0x8002_0000_0804_0003, 0x1234_5678_9abc_def0, ^uint64(0)} {
		for _, c := range []struct {
			word, field string
			got         uint64
		}{
			{"BASER", "Addr", BASER(w).Addr()},
			{"BASER", "AddrHigh", uint64(BASER(w).AddrHigh())},
			{"BASER", "Pages", uint64(BASER(w).Pages())},
			{"BASER", "EntryBytes", uint64(BASER(w).EntryBytes())},
			{"CBASER", "Addr", CBASER(w).Addr()},
			{"DTE", "ITT", DTE(w).ITT()},
			{"DTE", "Next", uint64(DTE(w).Next())},
			{"DTE", "EventBits", uint64(DTE(w).EventBits())},
			{"ITE", "INTID", uint64(ITE(w).INTID())},
			{"CTE", "RDbase", uint64(CTE(w).RDbase())},
			{"L1E", "Addr", L1E(w).Addr()},
			{"PENDBASER", "Addr", PENDBASER(w).Addr()},
			{"QueueOffset", "Offset", uint64(QueueOffset(w).Offset())},
		} {
			if want := table(c.word, c.field, w); c.got != want {
				t.Errorf("%s(%#x).%s = %#x, the table says %#x", c.word, w, c.field, c.got, want)
			}
		}
	}
}

func TestCommandString(t *testing.T) {
	for _, c := range []struct {
		cmd  Command
		want string
	}{
		{cmdMAPTI(0x10, 2, 8194, 1), "MAPTI DeviceID=0x10 EventID=0x2 INTID=0x2002 ICID=0x1"},
		{cmdMAPD(0x10, 5, 0x80000), "MAPD DeviceID=0x10 EventBits=0x5 ITT=0x80000 Valid=0x1"},
		{Command{0x3f}, "UNKNOWN(0x3f)"},
	} {
		if got := c.cmd.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
