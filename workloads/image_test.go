package workloads

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testELF is a valid file with two segments: 8 bytes and some zeroes at
// 0x40000000, 4 bytes at 0x40010000 that run at another virtual address.
func testELF() []byte {
	le := binary.LittleEndian
	f := make([]byte, 64+2*56+12)
	copy(f, "\x7fELF\x02\x01\x01")
	le.PutUint16(f[16:], 2)
	le.PutUint16(f[18:], 183)
	le.PutUint32(f[20:], 1)
	le.PutUint64(f[24:], 0xffff_0000_0001_0000) // entry
	le.PutUint64(f[32:], 64)
	le.PutUint16(f[52:], 64)
	le.PutUint16(f[54:], 56)
	le.PutUint16(f[56:], 2)
	segment := func(h []byte, off, va, pa, file, size uint64) {
		le.PutUint32(h, 1)
		for i, v := range []uint64{off, va, pa, file, size} {
			le.PutUint64(h[8+8*i:], v)
		}
	}
	segment(f[64:], 176, 0x4000_0000, 0x4000_0000, 8, 0x100)
	segment(f[120:], 184, 0xffff_0000_0001_0000, 0x4001_0000, 4, 4)
	copy(f[176:], "abcdefghijkl")
	return f
}

func TestParseELF(t *testing.T) {
	m, err := ParseELF(testELF())
	if err != nil {
		t.Fatal(err)
	}
	want := []Segment{{0x4000_0000, 0x100, []byte("abcdefgh")}, {0x4001_0000, 4, []byte("ijkl")}}
	if diff := cmp.Diff(want, m.Segments); diff != "" || m.Entry != 0x4001_0000 {
		t.Errorf("entry %#x\n%s", m.Entry, diff)
	}
	for _, c := range []struct {
		base, size uint64
		fits       bool
	}{
		{0x4000_0000, 0x10004, true}, {0x4000_0000, 0x10003, false}, {0x4000_0001, 0x20000, false},
		{0x4000_0000, 0xff, false}, {0, 1 << 40, true}, {0x4001_0000, 0x1000, false}, {0x5000_0000, 0x1000, false},
	} {
		if err := m.Fit(c.base, c.size); (err == nil) != c.fits {
			t.Errorf("in %#x bytes at %#x: %v", c.size, c.base, err)
		}
	}
}

// TestBadELF: each field that is wrong is named.
func TestBadELF(t *testing.T) {
	le := binary.LittleEndian
	for want, spoil := range map[string]func(f []byte) []byte{
		"no ELF file":          func(f []byte) []byte { return []byte("#!/bin/sh") },
		"is cut short: 40":     func(f []byte) []byte { return f[:40] },
		"2 program headers":    func(f []byte) []byte { return f[:150] },
		"segment 1 has 4":      func(f []byte) []byte { return f[:186] },
		"64-bit":               func(f []byte) []byte { f[4] = 1; return f },
		"little-endian":        func(f []byte) []byte { f[5] = 2; return f },
		"version":              func(f []byte) []byte { f[6] = 0; return f },
		"for x86-64":           func(f []byte) []byte { le.PutUint16(f[18:], 62); return f },
		"machine 999":          func(f []byte) []byte { le.PutUint16(f[18:], 999); return f },
		"position-independent": func(f []byte) []byte { le.PutUint16(f[16:], 3); return f },
		"no executable":        func(f []byte) []byte { le.PutUint16(f[16:], 1); return f },
		"headers of 32 bytes":  func(f []byte) []byte { le.PutUint16(f[54:], 32); return f },
		"no program headers":   func(f []byte) []byte { le.PutUint16(f[56:], 0); return f },
		"overlap the ELF":      func(f []byte) []byte { le.PutUint64(f[32:], 8); return f },
		"offset 0xffffffff":    func(f []byte) []byte { le.PutUint64(f[32:], ^uint64(0)); return f },
		"dynamic linker":       func(f []byte) []byte { le.PutUint32(f[64:], 3); return f },
		"in the file and":      func(f []byte) []byte { le.PutUint64(f[64+40:], 7); return f },
		"wraps around":         func(f []byte) []byte { le.PutUint64(f[64+24:], ^uint64(3)); return f },
		"overlaps loaded":      func(f []byte) []byte { le.PutUint64(f[120+24:], 0x4000_00ff); return f },
		"lies in no loaded":    func(f []byte) []byte { le.PutUint64(f[24:], 0x5000_0000); return f },
		"to be loaded":         func(f []byte) []byte { le.PutUint32(f[64:], 4); le.PutUint32(f[120:], 4); return f },
	} {
		if _, err := ParseELF(spoil(testELF())); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	m, _ := ParseELF(testELF())
	if m.Entry += 2; m.Fit(0, 1<<40) == nil {
		t.Error("an entry between instructions was accepted")
	}
}

func TestOpenRaw(t *testing.T) {
	path := t.TempDir() + "/raw"
	for text, good := range map[string]bool{"": false, "\x00\x00\x00\x14": true} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := OpenRaw(path, 0x4000_0000)
		if (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		} else if good && (m.Entry != 0x4008_0000 || m.Fit(0x4000_0000, 0x80004) != nil || m.Fit(0x4000_0000, 0x80003) == nil) {
			t.Errorf("%+v", m)
		}
	}
	if _, err := OpenELF(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

// TestLinuxImage: where the header says, with the memory that it says.
func TestLinuxImage(t *testing.T) {
	image := func(offset, size, flags uint64) []byte {
		b := make([]byte, 100)
		for at, v := range map[int]uint64{8: offset, 16: size, 24: flags} {
			binary.LittleEndian.PutUint64(b[at:], v)
		}
		copy(b[56:], "ARM\x64")
		return b
	}
	for _, c := range []struct {
		data       []byte
		base       uint64
		entry, end uint64
	}{
		{image(0, 0x1_0000, 0xa), 0x4000_0000, 0x4020_0000, 0x4021_0000},
		{image(0x8_0000, 0, 0xa), 0x4000_0000, 0x4028_0000, 0x4028_0064}, // before 3.17: no image_size
		{image(0, 0x1000, 0xa), 0x4010_0000, 0x4040_0000, 0x4040_1000},
		{image(0, 0x1000, 0xa)[:60], 0x4000_0000, 0x4008_0000, 0x4008_003c}, // too short for a header
	} {
		m, err := ParseRaw(c.data, c.base)
		if err != nil || m.Entry != c.entry || m.End() != c.end {
			t.Errorf("RAM at %#x: %+v, %v", c.base, m, err)
		}
	}
	for _, bad := range [][]byte{image(0, 1<<32, 0), image(2<<20, 100, 0), image(0, 0x1_0000, 1)} {
		if m, err := ParseRaw(bad, 0x4000_0000); err == nil {
			t.Errorf("accepted: %+v", m)
		}
	}
}

// FuzzRaw: an error, or one segment behind the beginning of memory.
func FuzzRaw(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0x14}, uint64(0x4000_0000))
	f.Add(append(make([]byte, 56), "ARM\x64    "...), uint64(0x4010_0000))
	f.Fuzz(func(t *testing.T, data []byte, base uint64) {
		base &= 1<<47 - 1
		m, err := ParseRaw(data, base)
		if err != nil {
			return
		}
		if s := m.Segments; len(s) != 1 || s[0].Addr < base || s[0].Size < uint64(len(data)) || m.Entry != s[0].Addr || s[0].Addr-base > 6<<20 {
			t.Errorf("%#x: %+v", base, m)
		}
	})
}

// FuzzELF: an error, or segments that lie in the file, apart, with the entry in one.
func FuzzELF(f *testing.F) {
	f.Add(testELF())
	f.Add(testELF()[:150])
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseELF(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		entered := false
		for i, s := range m.Segments {
			if s.Size == 0 || uint64(len(s.Data)) > s.Size || s.Addr+(s.Size-1) < s.Addr {
				t.Errorf("segment %d: %d of %d bytes at %#x", i, len(s.Data), s.Size, s.Addr)
			}
			entered = entered || m.Entry >= s.Addr && m.Entry-s.Addr < s.Size
			for _, o := range m.Segments[:i] {
				if s.Addr <= o.Addr+(o.Size-1) && o.Addr <= s.Addr+(s.Size-1) {
					t.Errorf("segments overlap at %#x and %#x", s.Addr, o.Addr)
				}
			}
		}
		if !entered {
			t.Errorf("entry %#x outside", m.Entry)
		}
	})
}
