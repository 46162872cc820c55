// Package guests holds programs that vCPUs execute, with their source.
//
//	programs/{pages,sort,locks}.s ─► cpu/isa's assembler ─┐
//	                                                      ├─► programs/*.elf ─► ringmap run --elf
//	c/{hash,queue}.c, start.S ─► aarch64-linux-gnu-gcc ───┘
//
// `go generate ./workloads/guests` makes the ELF files anew.
package guests

//go:generate go run ./make programs c

import (
	"embed"
	"encoding/binary"
	"strings"

	"ringmap/cpu/isa"
)

// Base is where the programs run: where the machine puts flat binaries.
const Base = 0x4008_0000

//go:embed programs/*.elf
var programs embed.FS

// Program returns the ELF file of a program that ships, false if there is none of
// that name.
func Program(name string) ([]byte, bool) {
	data, err := programs.ReadFile("programs/" + name + ".elf")
	return data, err == nil
}

// Programs lists their names.
func Programs() (names []string) {
	entries, _ := programs.ReadDir("programs") // embedded: it exists
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".elf"))
	}
	return names
}

// Build assembles a program and returns it as an ELF file: one segment at Base,
// entered at its first word.
func Build(source string) ([]byte, error) {
	words, err := isa.Assemble(source, Base)
	if err != nil {
		return nil, err
	}
	const header, program, at = 64, 56, 64 + 56
	size := uint64(4 * len(words))
	le := binary.LittleEndian
	f := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, half := range []uint16{2, 183} { // ET_EXEC, EM_AARCH64
		f = le.AppendUint16(f, half)
	}
	f = le.AppendUint32(f, 1)
	for _, v := range []uint64{Base, header, 0} { // entry, program headers, no sections
		f = le.AppendUint64(f, v)
	}
	f = le.AppendUint32(f, 0)
	for _, half := range []uint16{header, program, 1, 0, 0, 0} {
		f = le.AppendUint16(f, half)
	}
	f = le.AppendUint32(f, 1) // PT_LOAD
	f = le.AppendUint32(f, 7) // readable, writable, executable
	for _, v := range []uint64{at, Base, Base, size, size, 4} {
		f = le.AppendUint64(f, v)
	}
	for _, w := range words {
		f = le.AppendUint32(f, w)
	}
	return f, nil
}
