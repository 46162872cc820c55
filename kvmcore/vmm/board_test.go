package vmm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBoardPlaces: the high devices lie at 256 GiB, or behind RAM that reaches
// there, and the board takes the address bits that hold the last of them.
func TestBoardPlaces(t *testing.T) {
	const g = 1 << 30
	for _, c := range []struct {
		vcpus            int
		ram              uint64
		redist2, ecam    uint64
		high, redistSize uint64
		bits             int
	}{
		{1, g, 0, 0x40_1000_0000, 512 * g, 0, 40},
		{123, 255 * g, 0, 0x40_1000_0000, 512 * g, 0, 40},
		{124, 255 * g, 256 * g, 0x40_1000_0000, 512 * g, 0x2_0000, 40},
		{512, 255*g + 4096, 257 * g, 257*g + 0x1000_0000, 512 * g, 389 * 0x2_0000, 40},
		{1, 300 * g, 0, 301*g + 0x1000_0000, 512 * g, 0, 40},
		{130, 600 * g, 601 * g, 601*g + 0x1000_0000, 1024 * g, 7 * 0x2_0000, 41},
		{1, 1024 * g, 0, 1025*g + 0x1000_0000, 1536 * g, 0, 41},
		{1, 4096 * g, 0, 4097*g + 0x1000_0000, 4608 * g, 0, 43},
	} {
		b := NewBoard(c.vcpus, []Range{{RAMBase, c.ram}}, 0)
		if b.Redist2 != (Range{c.redist2, c.redistSize}) || b.ECAM.Base != c.ecam || b.HighMMIO.Base != c.high || b.AddressBits() != c.bits {
			t.Errorf("%d vCPUs, %#x bytes: %+v, %d bits", c.vcpus, c.ram, *b, b.AddressBits())
		}
		for _, r := range []Range{b.ECAM, b.HighMMIO} {
			if r.Base < RAMBase+c.ram || r.Base%r.Size != 0 {
				t.Errorf("%d vCPUs, %#x bytes: %#x of %#x overlaps RAM or is not aligned", c.vcpus, c.ram, r.Base, r.Size)
			}
		}
	}
}

func TestBoardDevices(t *testing.T) {
	b := NewBoard(200, []Range{{0, 1 << 40}}, 0)
	for r, want := range map[Range]string{
		{0, 0x0800_0000}:                     "",
		{0, 0x0800_0001}:                     "the interrupt controller",
		{0x0900_0fff, 1}:                     "the UART",
		{0x0900_1000, 0x1000}:                "",
		{RAMBase, 1 << 30}:                   "",
		{b.Redist2.Base + 0x2_0000*76, 1}:    "the redistributors",
		{b.Redist2.End(), 1 << 20}:           "",
		{0x080a_0000 + 123*0x2_0000 - 1, 1}:  "the interrupt controller",
		{0x080a_0000 + 123*0x2_0000, 0x1000}: "the UART",
	} {
		if got := b.Device(r); got != want {
			t.Errorf("%#x of %#x bytes hides %q, want %q", r.Base, r.Size, got, want)
		}
	}
}

// TestDeviceTree reads the tree as a kernel does, with a reader of its own.
func TestDeviceTree(t *testing.T) {
	b := NewBoard(130, []Range{{RAMBase, 1 << 30}, {0x1_0000_0000, 1 << 20}}, 0x1_0000)
	b.GIC, b.ITS = true, true
	got := readTree(t, b.DeviceTree(Boot{Args: "console=ttyAMA0 x=\"y\"", Initrd: Range{0x4800_0000, 5}}))
	for path, want := range map[string]string{
		"/interrupt-parent":                        "00000001",
		"/chosen/bootargs":                         "console=ttyAMA0 x=\"y\"\x00",
		"/chosen/stdout-path":                      "/pl011@9000000\x00",
		"/chosen/linux,initrd-start":               "0000000048000000",
		"/chosen/linux,initrd-end":                 "0000000048000005",
		"/memory@40000000/reg":                     "0000000040000000000000003fff0000",
		"/memory@100000000/reg":                    "00000001000000000000000000100000",
		"/cpus/cpu@0/reg":                          "00000000",
		"/cpus/cpu@f/reg":                          "0000000f",
		"/cpus/cpu@100/reg":                        "00000100",
		"/cpus/cpu@801/reg":                        "00000801",
		"/cpus/cpu@801/enable-method":              "psci\x00",
		"/psci/method":                             "hvc\x00",
		"/psci/compatible":                         "arm,psci-1.0\x00arm,psci-0.2\x00",
		"/timer/always-on":                         "",
		"/intc@8000000/#redistributor-regions":     "00000002",
		"/intc@8000000/reg":                        "00000000080000000000000000010000" + "00000000080a00000000000000f60000" + "000000400000000000000000000e0000",
		"/intc@8000000/its@8080000/reg":            "00000000080800000000000000020000",
		"/intc@8000000/its@8080000/msi-controller": "",
		"/pl011@9000000/reg":                       "00000000090000000000000000001000",
		"/pl011@9000000/interrupts":                "000000000000000100000004",
		"/pl011@9000000/clocks":                    "0000000300000003",
		"/apb-pclk/phandle":                        "00000003",
		"/timer/interrupts":                        "000000010000000d00000004" + "000000010000000e00000004" + "000000010000000b00000004" + "000000010000000a00000004" + "000000010000000c00000004",
	} {
		value, ok := got[path]
		if strings.HasSuffix(want, "\x00") {
			if value != want {
				t.Errorf("%s is %q, want %q", path, value, want)
			}
		} else if !ok || fmt.Sprintf("%x", value) != want {
			t.Errorf("%s is %x, want %s", path, value, want)
		}
	}
	cpus := 0
	for path := range got {
		if strings.HasPrefix(path, "/cpus/cpu@") && strings.HasSuffix(path, "/reg") {
			cpus++
		}
	}
	if cpus != 130 {
		t.Errorf("%d CPUs", cpus)
	}
	plain := readTree(t, NewBoard(1, []Range{{RAMBase, 1 << 30}}, 0).DeviceTree(Boot{}))
	for path := range plain {
		if strings.Contains(path, "intc") || strings.Contains(path, "initrd") || path == "/interrupt-parent" {
			t.Errorf("a board without a GIC and an initrd has %s", path)
		}
	}
}

// readTree returns the properties of a device tree by path.
func readTree(t *testing.T, b []byte) map[string]string {
	t.Helper()
	be := binary.BigEndian
	word := func(at uint32) uint32 { return be.Uint32(b[at:]) }
	head := []uint32{word(0), word(4), word(16), word(20), word(24)}
	if want := []uint32{0xd00dfeed, uint32(len(b)), 40, 17, 16}; !cmp.Equal(head, want) {
		t.Fatalf("header %#x, want %#x", head, want)
	}
	at, strs := word(8), word(12)
	if at != 56 || word(36) != strs-at || word(32) != uint32(len(b))-strs || at%4 != 0 {
		t.Fatalf("blocks at %d and %d", at, strs)
	}
	text := func(at uint32) string { s, _, _ := strings.Cut(string(b[at:]), "\x00"); return s }
	props, path := map[string]string{}, []string{}
	for at < strs {
		token := word(at)
		at += 4
		switch token {
		case 1:
			name := text(at)
			at += (uint32(len(name)) + 4) &^ 3
			path = append(path, name)
		case 2:
			path = path[:len(path)-1]
		case 3:
			size, name := word(at), text(strs+word(at+4))
			key := strings.Join(path, "/") + "/" + name
			if _, twice := props[key]; twice {
				t.Fatalf("%s twice", key)
			}
			props[key] = string(b[at+8 : at+8+size])
			at += 8 + (size+3)&^3
		case 9:
			if at != strs || len(path) != 0 {
				t.Fatalf("ends at %d in %v", at, path)
			}
		default:
			t.Fatalf("token %d at %d", token, at-4)
		}
	}
	return props
}
