package workloads

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

const itsRAM = 0x4000_0000

// itsVM is a VM with logged memory whose rings are on with the bitmap.
func itsVM(t *testing.T, vcpus int, memory uint64) (*kvmcore.VM, *kvmcore.Thread, mmu.HVA) {
	t.Helper()
	kernel, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		t.Fatal(err)
	}
	host := kvmcore.NewHost(kvmcore.HostSpec{Kernel: kernel, Cores: 1})
	vm := host.CreateVM()
	for _, c := range []struct {
		cap uint32
		arg uint64
	}{{kvmcore.CapDirtyRingAcqRel, 4096}, {kvmcore.CapDirtyRingBitmap, 0}} {
		if _, e := vm.EnableCap(c.cap, 0, [4]uint64{c.arg}); e != kvmcore.OK {
			t.Fatal(e)
		}
	}
	hva := host.Memory.Map(memory, kvmcore.Backing4K, true)
	if e := vm.SetUserMemoryRegion(kvmcore.Region{Slot: 1, Flags: uint32(kvmcore.SlotLogDirty), GPA: itsRAM, Size: memory, HVA: hva}); e != kvmcore.OK {
		t.Fatal(e)
	}
	for i := range vcpus {
		if _, e := vm.CreateVCPU(uint64(i)); e != kvmcore.OK {
			t.Fatal(e)
		}
	}
	return vm, host.NewThread(host.Machine.Cores[0], "test"), hva
}

// dirtyPages are the addresses of slot 1 that GET_DIRTY_LOG gives, in order.
func dirtyPages(t *testing.T, vm *kvmcore.VM, th *kvmcore.Thread, memory uint64) []mmu.IPA {
	t.Helper()
	words := make([]uint64, (memory>>12+63)/64)
	if e := vm.GetDirtyLog(th, 1, words); e != kvmcore.OK {
		t.Fatal(e)
	}
	var pages []mmu.IPA
	for i := range memory >> 12 {
		if words[i/64]>>(i%64)&1 != 0 {
			pages = append(pages, itsRAM+mmu.IPA(i<<12))
		}
	}
	return pages
}

// After the set-up every event of every device is delivered, and a save writes
// the entries of IHI 0069's formats to the pages where they belong: the very
// words of the recordings (spec: ITE, DTE, CTE) and no page more.
func TestSetupITS(t *testing.T) {
	for _, c := range []struct{ vcpus, devices, events int }{{1, 1, 1}, {1, 1, 2}, {3, 5, 33}, {4, 1000, 2}, {2, 100, 513}} {
		t.Run(fmt.Sprintf("vcpus=%d/devices=%d/events=%d", c.vcpus, c.devices, c.events), func(t *testing.T) {
			s := ITSSpec{Devices: c.devices, Events: c.events, Tables: itsRAM + 0x10000}
			if err := s.Validate(c.vcpus); err != nil {
				t.Fatal(err)
			}
			memory := uint64(s.Tables-itsRAM) + s.TableBytes(c.vcpus)
			vm, th, hva := itsVM(t, c.vcpus, memory)
			dev, err := SetupITS(vm, s)
			if err != nil {
				t.Fatal(err)
			}
			if got := dirtyPages(t, vm, th, memory); got != nil {
				t.Fatalf("the set-up dirtied pages %x", got)
			}
			for d := range c.devices {
				for e := range c.events {
					if n, errno := vm.SignalMSI(uint32(firstDevice+d), uint32(e), kvmcore.MSIValidDevID); n != 1 || errno != kvmcore.OK {
						t.Fatalf("MSI of device %d, event %d: %d, %v", firstDevice+d, e, n, errno)
					}
				}
			}
			for _, id := range [][2]int{{firstDevice - 1, 0}, {firstDevice + c.devices, 0}, {firstDevice, c.events}} {
				if n, _ := vm.SignalMSI(uint32(id[0]), uint32(id[1]), kvmcore.MSIValidDevID); n == 1 {
					t.Errorf("MSI of device %d, event %d is delivered, nobody mapped it", id[0], id[1])
				}
			}

			if e := vm.SetAttr(th, dev.ITS, kvmcore.GroupCtrl, kvmcore.CtrlSaveTables, 8, 0); e != kvmcore.OK {
				t.Fatal(e)
			}
			l := s.Layout(c.vcpus)
			want := map[mmu.IPA]bool{}
			expect := func(at mmu.IPA, value uint64) {
				t.Helper()
				want[at&^0xfff] = true
				var raw [8]byte
				if e := vm.Host.Memory.Read(hva+mmu.HVA(at-itsRAM), raw[:]); e != kvmcore.OK {
					t.Fatal(e)
				}
				if got := binary.LittleEndian.Uint64(raw[:]); got != value {
					t.Errorf("%#x holds %#x, want %#x", at, got, value)
				}
			}
			lpi := uint64(8192)
			for d := range c.devices {
				itt := l.ITT + mmu.IPA(uint64(d)*l.ITTStride)
				next := uint64(1)
				if d == c.devices-1 {
					next = 0
				}
				expect(l.Devices+mmu.IPA(8*(16+d)), 1<<63|next<<49|uint64(itt)>>8<<5|uint64(l.EventBits-1))
				for e := range c.events {
					next := uint64(1)
					if e == c.events-1 {
						next = 0
					}
					expect(itt+mmu.IPA(8*e), next<<48|lpi<<16|(lpi-8192)%uint64(c.vcpus))
					lpi++
				}
			}
			for v := range c.vcpus {
				expect(l.Collection+mmu.IPA(8*v), 1<<63|uint64(v)<<16|uint64(v))
			}
			got := dirtyPages(t, vm, th, memory)
			for _, page := range got {
				if !want[page] {
					t.Errorf("page %#x is dirty, nothing belongs there", page)
				}
				delete(want, page)
			}
			for page := range want {
				t.Errorf("page %#x was written and is not dirty", page)
			}

			// Every LPI is pending, so a save of the pending tables writes at most
			// two pages for each vCPU.
			if e := vm.SetAttr(th, dev.GIC, kvmcore.GroupCtrl, kvmcore.CtrlSavePending, 8, 0); e != kvmcore.OK {
				t.Fatal(e)
			}
			pending := dirtyPages(t, vm, th, memory)
			if len(pending) < 1 || len(pending) > 2*c.vcpus {
				t.Errorf("pending tables dirtied %x", pending)
			}
			for _, page := range pending {
				if page < l.Pending || page >= l.Pending+mmu.IPA(c.vcpus)*itsTable {
					t.Errorf("pending tables dirtied %#x", page)
				}
			}
		})
	}
}

func TestSetupITSErrors(t *testing.T) {
	s := ITSSpec{Devices: 1, Events: 1, Tables: itsRAM}
	vm, _, _ := itsVM(t, 1, 1<<20)
	for _, at := range []mmu.IPA{0x9000_0000, itsRAM - 0x10000, itsRAM + 1<<20 - 0x50000} {
		s.Tables = at
		if _, err := SetupITS(vm, s); err == nil || !strings.Contains(err.Error(), "no memslot holds the ITS's tables") {
			t.Errorf("tables at %#x: %v", at, err)
		}
	}
	s.Tables = itsRAM + 1<<20 - 0x60000 // just fits
	if _, err := SetupITS(vm, s); err != nil {
		t.Error(err)
	}
	if _, err := SetupITS(vm, s); err == nil || !strings.Contains(err.Error(), "KVM_CREATE_DEVICE vgic_v3: EEXIST") {
		t.Errorf("a second GIC: %v", err)
	}
}

func TestITSSpecErrors(t *testing.T) {
	good := ITSSpec{Devices: 16, Events: 32, Tables: itsRAM}
	if err := good.Validate(4); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*ITSSpec){
		"devices: 0 is out of range; write 1 to 65520":                         func(s *ITSSpec) { s.Devices = 0 },
		"devices: 65521 is out of range":                                       func(s *ITSSpec) { s.Devices = 65521 },
		"events: 0 is out of range; write 1 to 65536":                          func(s *ITSSpec) { s.Events = 0 },
		"events: 16 devices of 4000 events need 64000 LPIs; there are 57344":   func(s *ITSSpec) { s.Events = 4000 },
		"tables: 0x40001000 does not begin on 64 KiB":                          func(s *ITSSpec) { s.Tables = itsRAM + 0x1000 },
		"events: 57345 devices of 1 events need 57345 LPIs; there are 57344":   func(s *ITSSpec) { s.Devices, s.Events = 57345, 1 },
		"events: 16 devices of 65536 events need 1048576 LPIs; there are 5734": func(s *ITSSpec) { s.Events = 65536 },
	} {
		s := good
		spoil(&s)
		if err := s.Validate(4); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := good.Validate(0); err == nil {
		t.Error("no vCPU is accepted")
	}
}

var busyITS = ITSSpec{Devices: 4, Events: 8, MSIGap: 1000, SaveEvery: 5000, SavePending: true}

func TestITSLoadGolden(t *testing.T) {
	var b strings.Builder
	for _, regular := range []bool{false, true} {
		s := busyITS
		s.MSIRegular = regular
		fmt.Fprintf(&b, "regular %v, seed 1:", regular)
		l := NewITSLoad(s, 100, 1)
		for range 20 {
			a, _ := l.Next()
			switch a.Kind {
			case ITSSignal:
				fmt.Fprintf(&b, " %d msi %d.%d", a.At, a.DevID, a.EventID)
			case ITSSaveTables:
				fmt.Fprintf(&b, " %d tables", a.At)
			default:
				fmt.Fprintf(&b, " %d pending", a.At)
			}
		}
		b.WriteByte('\n')
	}
	golden(t, "its.txt", b.String())
}

// Order, rates and identifiers of a long schedule.
func TestITSLoad(t *testing.T) {
	for _, regular := range []bool{false, true} {
		s := busyITS
		s.MSIRegular = regular
		l := NewITSLoad(s, 0, 3)
		var before ITSAction
		count := [3]float64{}
		events := make([]float64, 32)
		for {
			a, ok := l.Next()
			if !ok {
				t.Fatal("the schedule ended")
			}
			if a.At < before.At {
				t.Fatalf("time goes back from %d to %d", before.At, a.At)
			}
			if a.At >= 100_000_000 {
				break
			}
			count[a.Kind]++
			switch a.Kind {
			case ITSSignal:
				if before.Kind == ITSSaveTables {
					t.Fatal("an MSI comes between the tables and the pending tables")
				}
				events[(a.DevID-firstDevice)*8+a.EventID]++
			case ITSSavePending:
				if before.Kind != ITSSaveTables || before.At != a.At {
					t.Fatal("pending tables are saved without the tables")
				}
			case ITSSaveTables:
				if a.At%5000 != 0 {
					t.Fatalf("saved at %d", a.At)
				}
			}
			before = a
		}
		if count[ITSSaveTables] != 19999 || count[ITSSavePending] != 19999 {
			t.Errorf("%v saves of tables, %v of pending tables, want 19999", count[ITSSaveTables], count[ITSSavePending])
		}
		if n := count[ITSSignal]; math.Abs(n-100_000) > 4*math.Sqrt(100_000) || regular && n != 99_999 {
			t.Errorf("%v MSIs in 100,000 mean gaps", n)
		}
		want := make([]float64, 32)
		for i := range want {
			want[i] = count[ITSSignal] / 32
		}
		chiSquare(t, events, want)
	}
}

func TestITSLoadWithoutWork(t *testing.T) {
	if a, ok := NewITSLoad(ITSSpec{Devices: 1, Events: 1}, 0, 1).Next(); ok {
		t.Errorf("an idle ITS does %v", a)
	}
	s := busyITS
	s.SaveEvery = 0
	l := NewITSLoad(s, 0, 1)
	for range 100 {
		if a, ok := l.Next(); !ok || a.Kind != ITSSignal {
			t.Fatalf("%v, %v", a, ok)
		}
	}
}

func TestITSLoadSync(t *testing.T) {
	for cut := range 40 {
		whole := NewITSLoad(busyITS, 7, 5)
		for range cut {
			whole.Next()
		}
		e := sim.NewEncoder()
		whole.Sync(e)
		again := NewITSLoad(busyITS, 0, 0)
		d := sim.NewDecoder(e.Finish())
		again.Sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		for range 50 {
			a, _ := whole.Next()
			b, _ := again.Next()
			if diff := cmp.Diff(a, b); diff != "" {
				t.Fatalf("after %d actions the restored schedule goes on differently:\n%s", cut, diff)
			}
		}
	}
}
