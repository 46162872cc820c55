package its

import (
	"encoding/binary"
	"testing"

	"ringmap/mmu"
)

// FuzzCommands runs a queue of arbitrary commands through the ITS and the naive
// reference, which must agree on every byte that is written. Each record is a
// byte that says what happens and 32 bytes of a command.
func FuzzCommands(f *testing.F) {
	record := func(what byte, c Command) []byte {
		b := []byte{what}
		for _, w := range c {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	join := func(records ...[]byte) (all []byte) {
		for _, r := range records {
			all = append(all, r...)
		}
		return all
	}
	setup := join(record(0, cmdMAPC(0, 0)), record(0, cmdMAPC(1, 1)), record(0, cmdMAPD(1, 4, testITT)),
		record(0, cmdMAPTI(1, 0, 8192, 0)), record(0, cmdMAPTI(1, 3, 8193, 1)))
	f.Add(setup)
	f.Add(join(setup, record(0, cmdEvent(OpINT, 1, 0)), record(2, Command{}), record(1, Command{}), record(3, Command{})))
	f.Add(join(setup, record(0, cmdMAPC(1, 0).WithValid(false)), record(1, Command{}), record(4, Command{})))
	f.Add(join(setup, record(0, cmdEvent(OpMOVI, 1, 0).WithICID(1)), record(0, cmdEvent(OpDISCARD, 1, 3)), record(1, Command{})))
	for i, o := range Operations { // each command there is, of the table, after the set-up
		all := ^uint64(0)
		f.Add(join(setup, record(byte(8*i+6), encode(o, Command{1 << 32, 8200 << 32, 1<<63 | 1<<16 | testITT, 0})),
			record(byte(8*i+6), encode(o, Command{all, all, all, all})), record(1, Command{})))
	}
	f.Add(join(record(5, Command{testPend + 1024, 0xff}), setup))

	f.Fuzz(func(t *testing.T, data []byte) {
		w := &twins{newTestMachine(2), newNaive(2)}
		for n := 0; len(data) >= 33 && n < 200; n++ {
			what, cmd := data[0], Command{}
			for i := range cmd {
				cmd[i] = binary.LittleEndian.Uint64(data[1+8*i:])
			}
			data = data[33:]
			var got, want Error
			switch what % 8 {
			case 1:
				got, want = w.m.its.Save(w.m, SavePolicy{}), w.n.save()
			case 2:
				got = w.m.its.LPIs.SavePending(w.m)
				w.n.savePending()
			case 3:
				got, want = w.m.its.Restore(w.m), w.n.restore()
			case 4:
				got = w.m.its.LPIs.LoadPending(w.m, int32(cmd[0]&1))
				w.n.loadPending(int64(cmd[0] & 1))
			case 5:
				w.poke(testRAM+mmu.IPA(cmd[0]%(testRAMEnd-testRAM)&^7), cmd[1])
			default:
				if what%8 == 6 {
					cmd = encode(Operations[int(what/8)%len(Operations)], cmd)
				}
				if uint8(cmd.Opcode()) == OpMAPD { // the reference reads each entry of an ITT
					cmd = cmd.WithEventBits(cmd.EventBits() % 8)
				}
				got, want = w.m.its.Execute(w.m, cmd), w.n.execute(cmd)
			}
			if got != want {
				t.Fatalf("%v (%d): error %#x, want %#x", cmd, what, got, want)
			}
			w.same(t, cmd.String())
		}
	})
}

// encode is a command by its name, with the operands that it looks at, as the table
// of layouts places them, and nothing else.
func encode(o Operation, raw Command) Command {
	c := Command{}.WithOpcode(uint32(o.Op))
	for _, i := range o.Operands {
		f := CommandFields[i]
		c[f.Word] = f.Put(c[f.Word], f.Get(raw[f.Word]))
	}
	return c
}

// FuzzRestore restores arbitrary tables: words are written to the device table,
// a level 2 page, the ITT and the collection table, repeated over the whole of
// each. It must end soon, and leave an ITS that can be saved and torn down.
func FuzzRestore(f *testing.F) {
	word := func(ws ...uint64) (b []byte) {
		for _, w := range ws {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	dte := uint64(DTE(0).WithValid(true).WithITT(testITT).WithEventBits(16))
	ite := uint64(ITE(0).WithINTID(8192))
	cte := uint64(CTE(0).WithValid(true))
	f.Add(false, uint8(0), word(dte, 0), word(ite), word(cte))
	f.Add(false, uint8(3), word(dte|1<<49), word(ite|1<<48, ite), word(cte, cte+1, 0))
	f.Add(false, uint8(7), word(dte|uint64(0x3fff)<<49), word(0xffff_0000_0000_ffff), word(cte, 0))
	f.Add(true, uint8(255), word(uint64(L1E(0).WithValid(true).WithAddr(testRAM+0x20_0000))), word(0), word(cte, 0))
	f.Add(true, uint8(1), word(uint64(L1E(0).WithValid(true).WithAddr(testITT))), word(dte|1<<49), word(cte, 0))
	f.Add(false, uint8(0), word(^uint64(0)), word(^uint64(0)), word(^uint64(0)))

	f.Fuzz(func(t *testing.T, indirect bool, pages uint8, devices, ites, colls []byte) {
		m := newTestMachine(2)
		fill := func(base mmu.IPA, bytes int, pattern []byte) {
			for i := 0; len(pattern) > 0 && i < bytes; i++ {
				m.mem.set(base+mmu.IPA(i), pattern[i%len(pattern)])
			}
		}
		const table = testRAM + 0x80_0000
		m.its.DeviceTable = BASER(0).WithValid(true).WithIndirect(indirect).WithAddr(table).WithPages(uint32(pages&31) + 1)
		fill(table, 64<<10, devices)
		fill(testITT, 64<<10, ites)
		fill(testColls, 64<<10, colls)
		err := m.its.Restore(m)
		if err != None && (len(m.its.Devices) != 0 && len(m.its.Collections) != 0 || m.its.LPIs.Count() != 0) {
			t.Errorf("failed restore left %d devices, %d collections, %d LPIs", len(m.its.Devices), len(m.its.Collections), m.its.LPIs.Count())
		}
		if err := m.its.LPIs.CheckLoaded(m.its); err != nil {
			t.Error(err)
		}
		m.its.Save(m, SavePolicy{})
		m.its.DropDevices()
		if m.its.LPIs.Count() != 0 {
			t.Errorf("%d LPIs without an event", m.its.LPIs.Count())
		}
	})
}
