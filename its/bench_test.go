package its

import (
	"fmt"
	"testing"

	"ringmap/mmu"
)

// flatMachine is a machine whose guest memory is one array.
type flatMachine struct {
	testMachine
	ram []byte
}

func newFlatMachine() *flatMachine {
	m := &flatMachine{*newTestMachine(2), make([]byte, testRAMEnd-testRAM)}
	for i := range 57344 {
		m.ram[testProp-testRAM+i] = 0xa1
	}
	return m
}

func (m *flatMachine) ReadGuest(ipa mmu.IPA, p []byte) Error {
	copy(p, m.ram[ipa-testRAM:])
	return None
}

func (m *flatMachine) WriteGuest(ipa mmu.IPA, p []byte) Error {
	copy(m.ram[ipa-testRAM:], p)
	return None
}

func (m *flatMachine) NewLPI(l *LPI) Error {
	if err := m.its.LPIs.LoadConfig(m, l); err != None {
		return err
	}
	return m.its.LPIs.ConsumePending(m, l)
}

// populate maps devices with the given number of events each.
func (m *flatMachine) populate(devices, events int) {
	m.its.Execute(m, cmdMAPC(0, 0))
	for d := range devices {
		m.its.Execute(m, cmdMAPD(uint32(d), 12, uint64(testITT+d*0x8000)))
		for e := range events {
			m.its.Execute(m, cmdMAPTI(uint32(d), uint32(e), 8192+uint32(d*events+e)%57344, 0))
		}
	}
}

func BenchmarkCommand(b *testing.B) {
	b.Run("op=MAPTI+DISCARD", func(b *testing.B) {
		m := newFlatMachine()
		m.populate(32, 32)
		mapti, discard := cmdMAPTI(7, 40, 20000, 0), cmdEvent(OpDISCARD, 7, 40)
		b.ReportAllocs()
		for b.Loop() {
			m.its.Execute(m, mapti)
			m.its.Execute(m, discard)
		}
	})
	b.Run("op=INV", func(b *testing.B) {
		m := newFlatMachine()
		m.populate(32, 32)
		inv := cmdEvent(OpINV, 7, 20)
		b.ReportAllocs()
		for b.Loop() {
			m.its.Execute(m, inv)
		}
	})
}

func BenchmarkTranslate(b *testing.B) {
	m := newFlatMachine()
	m.populate(32, 32)
	b.ReportAllocs()
	for b.Loop() {
		m.its.Translate(m, 17, 20)
	}
}

func BenchmarkSave(b *testing.B) {
	for _, n := range []struct{ devices, events int }{{8, 32}, {64, 512}} {
		b.Run(fmt.Sprintf("devices=%d/events=%d", n.devices, n.events), func(b *testing.B) {
			m := newFlatMachine()
			m.populate(n.devices, n.events)
			b.ReportAllocs()
			for b.Loop() {
				m.its.Save(m, SavePolicy{})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n.devices*n.events), "ns/event")
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	m := newFlatMachine()
	m.populate(64, 512)
	m.its.Save(m, SavePolicy{})
	b.ReportAllocs()
	for b.Loop() {
		m.its.DropDevices()
		m.its.DropCollections()
		if m.its.Restore(m) != None {
			b.Fatal("restore failed")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(64*512), "ns/event")
}
