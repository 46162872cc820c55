package workloads

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"

	"github.com/cespare/xxhash/v2"
)

// Image is a program to be put into guest memory before it starts.
type Image struct {
	Entry    uint64 // where the first vCPU starts
	Segments []Segment
	Hash     uint64 // xxHash64 of the file
}

// Segment is a piece of an image: Data at Addr, then zeroes up to Size.
type Segment struct {
	Addr, Size uint64
	Data       []byte
}

// RawOffset is where a flat binary lies in RAM: QEMU's choice, and what Linux's
// first image header asked for.
const RawOffset = 0x80000

// Linux's Image header. Documentation/arch/arm64/booting.rst.
const (
	imageHeader   = 64
	imageMagic    = "ARM\x64" // at imageMagicAt
	imageMagicAt  = 56
	imageAlign    = 2 << 20 // what text_offset counts from is a multiple
	imageBigEnd   = 1       // flags
	imageMaxLoads = 1 << 32
)

// maxImage bounds the file.
const maxImage = 1 << 30

// OpenELF reads an executable ELF file for AArch64.
func OpenELF(path string) (*Image, error) {
	data, err := readImage(path)
	if err != nil {
		return nil, err
	}
	return ParseELF(data)
}

// OpenRaw reads a flat binary for RAM at base: see ParseRaw.
func OpenRaw(path string, base uint64) (*Image, error) {
	data, err := readImage(path)
	if err != nil {
		return nil, err
	}
	return ParseRaw(data, base)
}

// ParseRaw places a flat binary at RawOffset in RAM, and Linux's Image where its
// header asks for, from the second multiple of 2 MiB in RAM on. Both are entered
// at their first byte.
func ParseRaw(data []byte, base uint64) (*Image, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("the file is empty")
	}
	addr, size := base+RawOffset, uint64(len(data))
	if len(data) >= imageHeader && string(data[imageMagicAt:imageMagicAt+4]) == imageMagic {
		le := binary.LittleEndian
		offset, loaded, flags := le.Uint64(data[8:]), le.Uint64(data[16:]), le.Uint64(data[24:])
		switch {
		case flags&imageBigEnd != 0:
			return nil, fmt.Errorf("this Image is for a big-endian kernel, and the cores execute little-endian code")
		case offset >= imageAlign || loaded >= imageMaxLoads:
			return nil, fmt.Errorf("the Image's header is nonsense: text_offset %#x, image_size %#x", offset, loaded)
		}
		addr = (base+imageAlign+imageAlign-1)&^(imageAlign-1) + offset
		size = max(size, loaded)
	}
	return &Image{Entry: addr, Segments: []Segment{{addr, size, data}}, Hash: xxhash.Sum64(data)}, nil
}

// OpenInitrd reads a file that lies in memory as it is.
func OpenInitrd(path string) ([]byte, error) {
	data, err := readImage(path)
	if err == nil && len(data) == 0 {
		return nil, fmt.Errorf("the file is empty")
	}
	return data, err
}

// OpenInput reads what is typed at a program's console, at most that many bytes.
func OpenInput(path string, most int) ([]byte, error) {
	data, err := readImage(path)
	switch {
	case err == nil && len(data) == 0:
		return nil, fmt.Errorf("the file is empty")
	case len(data) > most:
		return nil, fmt.Errorf("the file has %d bytes, and a console takes at most %d", len(data), most)
	}
	return data, err
}

// Add puts data at addr, which no segment overlaps.
func (m *Image) Add(addr uint64, data []byte) {
	m.Segments = append(m.Segments, Segment{addr, uint64(len(data)), data})
}

// End is the first address behind all segments.
func (m *Image) End() (end uint64) {
	for _, s := range m.Segments {
		end = max(end, s.Addr+s.Size)
	}
	return end
}

func readImage(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("this is no file")
	case info.Size() > maxImage:
		return nil, fmt.Errorf("the file has %d bytes, and a program has at most %d", info.Size(), maxImage)
	}
	return os.ReadFile(path)
}

// The parts of ELF64 that a loader reads. System V gABI, chapters 4 and 5.
const (
	elfHeader  = 64
	elfProgram = 56 // bytes of a program header
	elfAArch64 = 183
	elfExec    = 2
	elfDyn     = 3
	elfLoad    = 1 // PT_LOAD
	elfInterp  = 3 // PT_INTERP
)

var machines = map[uint16]string{3: "x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S/390", 40: "32-bit Arm", 62: "x86-64", 243: "RISC-V"}

// ParseELF takes the segments out of an ELF file: 64 bits, little-endian,
// AArch64, linked to run where its physical addresses say. Anything else is an
// error.
func ParseELF(data []byte) (*Image, error) {
	if len(data) < 4 || string(data[:4]) != "\x7fELF" {
		return nil, fmt.Errorf("this is no ELF file; a flat binary is given with --raw (workload.raw)")
	}
	if len(data) < elfHeader {
		return nil, fmt.Errorf("the ELF header is cut short: %d of %d bytes", len(data), elfHeader)
	}
	le := binary.LittleEndian
	machine, kind := le.Uint16(data[18:]), le.Uint16(data[16:])
	switch {
	case data[4] != 2:
		return nil, fmt.Errorf("this is not a 64-bit ELF file (class %d)", data[4])
	case data[5] != 1:
		return nil, fmt.Errorf("this is not a little-endian ELF file (data encoding %d)", data[5])
	case data[6] != 1:
		return nil, fmt.Errorf("ELF version %d is unknown", data[6])
	case machine != elfAArch64:
		name := machines[machine]
		if name == "" {
			name = fmt.Sprintf("machine %d", machine)
		}
		return nil, fmt.Errorf("this program is for %s, and the cores execute AArch64", name)
	case kind == elfDyn:
		return nil, fmt.Errorf("this is a position-independent or shared object; link it statically, at the address where it runs")
	case kind != elfExec:
		return nil, fmt.Errorf("this is no executable (ELF type %d)", kind)
	case le.Uint16(data[54:]) != elfProgram:
		return nil, fmt.Errorf("program headers of %d bytes, not %d", le.Uint16(data[54:]), elfProgram)
	}
	at, n := le.Uint64(data[32:]), uint64(le.Uint16(data[56:]))
	switch {
	case n == 0:
		return nil, fmt.Errorf("there are no program headers, so nothing to load")
	case at < elfHeader && at+n*elfProgram > 0:
		return nil, fmt.Errorf("the program headers at offset %#x overlap the ELF header", at)
	case at > uint64(len(data)) || n*elfProgram > uint64(len(data))-at:
		return nil, fmt.Errorf("the file is cut short: %d program headers at offset %#x, and it has %d bytes", n, at, len(data))
	}
	m := &Image{Entry: le.Uint64(data[24:]), Hash: xxhash.Sum64(data)}
	virtual := false
	for i := range n {
		h := data[at+i*elfProgram:][:elfProgram]
		if err := m.segment(data, h, i, &virtual); err != nil {
			return nil, err
		}
	}
	if len(m.Segments) == 0 {
		return nil, fmt.Errorf("no segment is to be loaded (PT_LOAD)")
	}
	if !virtual {
		return nil, fmt.Errorf("the entry %#x lies in no loaded segment", m.Entry)
	}
	return m, nil
}

// segment adds what a program header describes. The entry is a virtual address;
// the program starts with the MMU off, at its physical one.
func (m *Image) segment(data, h []byte, i uint64, entered *bool) error {
	le := binary.LittleEndian
	kind, off, va, pa := le.Uint32(h), le.Uint64(h[8:]), le.Uint64(h[16:]), le.Uint64(h[24:])
	file, size := le.Uint64(h[32:]), le.Uint64(h[40:])
	switch {
	case kind == elfInterp:
		return fmt.Errorf("the program wants a dynamic linker; link it statically")
	case kind != elfLoad || size == 0 && file == 0:
		return nil
	case file > size:
		return fmt.Errorf("segment %d has %d bytes in the file and %d in memory", i, file, size)
	case off > uint64(len(data)) || file > uint64(len(data))-off:
		return fmt.Errorf("the file is cut short: segment %d has %d bytes at offset %#x, and the file %d", i, file, off, len(data))
	}
	if _, over := bits.Add64(pa, size-1, 0); over != 0 {
		return fmt.Errorf("segment %d of %d bytes at %#x wraps around the end of the address space", i, size, pa)
	}
	for j, o := range m.Segments {
		if pa <= o.Addr+(o.Size-1) && o.Addr <= pa+(size-1) {
			return fmt.Errorf("segment %d at %#x overlaps loaded segment %d at %#x", i, pa, j, o.Addr)
		}
	}
	if !*entered && m.Entry >= va && m.Entry-va < size {
		m.Entry, *entered = m.Entry-va+pa, true
	}
	m.Segments = append(m.Segments, Segment{pa, size, data[off : off+file]})
	return nil
}

// Fit checks that all segments lie in memory, and the entry where an instruction
// can be.
func (m *Image) Fit(base, size uint64) error {
	for _, s := range m.Segments {
		if s.Addr < base || s.Addr-base > size || s.Size > size-(s.Addr-base) {
			return fmt.Errorf("%d bytes at %#x do not fit into memory, which is %#x to %#x", s.Size, s.Addr, base, base+(size-1))
		}
	}
	if m.Entry&3 != 0 {
		return fmt.Errorf("the entry %#x is not aligned to 4 bytes", m.Entry)
	}
	return nil
}
