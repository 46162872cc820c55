package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ringmap/cpu/arch"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// The differential test makes programs of random instructions, runs them under
// qemu-aarch64 (Debian: qemu-user) and here, and compares what both write.
//
//	code: again: { load registers; a few random instructions; dump } × tests
//	             write(dumps); write(scratch memory); count down, b again
//
// Fixed registers: X24 inputs, X25 a branch's target, X26 and X28 the scratch
// memory (aligned, anywhere), X27 an index, X29 the dumps, X23 the countdown.
const (
	codeAt    = 0x400000
	inputAt   = 0x800000 // 64 KiB, then as much as one test reads
	scratchAt = 0xa00000
	dumpAt    = 0xc00000

	inputBytes   = 1 << 16
	scratchBytes = 1 << 18
	dumpBytes    = 35*8 + 24*16
	perTest      = 8 // random instructions, or pairs of them
)

// notEL0 are the encodings that need EL1, the outside, or differ by the machine.
var notEL0 = map[isa.Op]bool{
	isa.ERET: true, isa.DRPS: true, isa.SVC: true, isa.HVC: true, isa.SMC: true, isa.BRK: true, isa.HLT: true,
	isa.DCPS1: true, isa.DCPS2: true, isa.DCPS3: true, isa.WFE: true, isa.WFI: true, isa.SEV: true, isa.SEVL: true,
	isa.MSRUAO: true, isa.MSRPAN: true, isa.MSRSPSel: true, isa.MSRSSBS: true, isa.MSRDAIFSet: true, isa.MSRDAIFClr: true,
	isa.SYSL: true, isa.HINT: true, isa.ESB: true,
}

// notN1 are the encodings of v8.4 (FEAT_LRCPC2).
var notN1 = map[isa.Op]bool{
	isa.STLURB: true, isa.LDAPURB: true, isa.LDAPURSB: true, isa.STLURH: true, isa.LDAPURH: true, isa.LDAPURSH: true,
	isa.STLUR: true, isa.LDAPUR: true, isa.LDAPURSW: true,
}

// pattern is an encoding as a64.txt shows it.
type pattern struct {
	op     isa.Op
	fixed  uint32
	fields []field
}

type field struct {
	name       string
	shift, len uint
}

// patterns reads the table of encodings.
func patterns(t testing.TB) (ps []pattern) {
	text, err := os.ReadFile(filepath.Join("..", "isa", "a64.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ops, widths := map[string]isa.Op{}, map[string]uint{}
	for op := isa.Op(1); op < isa.NumOps; op++ {
		ops[op.String()] = op
	}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) > 2 && words[0] == "field" {
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range words[2:] {
				widths[name] = uint(n)
			}
		}
		columns := strings.Split(line, "|")
		if len(words) == 0 || ops[words[0]] == 0 || len(columns) != 4 {
			continue
		}
		p := pattern{op: ops[words[0]]}
		at := uint(32)
		for _, part := range strings.Fields(columns[1]) {
			name, width, own := strings.Cut(part, ":")
			if bits, err := strconv.ParseUint(part, 2, 32); err == nil {
				at -= uint(len(part))
				p.fixed |= uint32(bits) << at
				continue
			}
			n := widths[name]
			if own {
				v, err := strconv.Atoi(width)
				if err != nil {
					t.Fatal(line)
				}
				n = uint(v)
			}
			at -= n
			p.fields = append(p.fields, field{name, at, n})
		}
		if at != 0 {
			t.Fatalf("%d bits are missing: %s", at, line)
		}
		ps = append(ps, p)
	}
	if len(ps) != int(isa.NumOps)-1 {
		t.Fatalf("%d encodings of %d", len(ps), isa.NumOps-1)
	}
	return ps
}

// generator writes a program of random instructions.
type generator struct {
	t        testing.TB
	rand     sim.Stream
	patterns []pattern
	n1       bool
	words    []uint32
	count    map[isa.Op]int
	made     int // random instructions
}

func (g *generator) asm(format string, args ...any) {
	words, err := isa.Assemble(fmt.Sprintf(format, args...), codeAt+0x1000+4*uint64(len(g.words)))
	if err != nil {
		g.t.Fatal(err)
	}
	g.words = append(g.words, words...)
}

func (g *generator) any(n uint64) uint64 { return g.rand.Uint64() % n }

func (g *generator) set(word *uint32, p *pattern, name string, v uint64) {
	for _, f := range p.fields {
		if f.name == name {
			mask := uint32(1)<<f.len - 1
			*word = *word&^(mask<<f.shift) | uint32(v)&mask<<f.shift
		}
	}
}

// encode returns a random instruction of an encoding with registers that may be
// used: sources anything, destinations X0 to X22 and 31.
func (g *generator) encode(p *pattern) (uint32, isa.Inst) {
	for range 1000 {
		word := p.fixed
		for _, f := range p.fields {
			v := g.rand.Uint64()
			switch f.name {
			case "Rd", "Rt", "Rt2", "Rs":
				if v %= 24; v == 23 {
					v = 31
				}
			}
			g.set(&word, p, f.name, v)
		}
		if in, ok := isa.Decode(word); ok && in.Op == p.op {
			return word, in
		}
	}
	g.t.Fatalf("no instruction found for %v", p.op)
	return 0, isa.Inst{}
}

// random appends one random instruction, with what it needs before it.
func (g *generator) random(p *pattern) {
	word, in := g.encode(p)
	g.count[p.op]++
	g.made++
	switch c := in.Op.Class(); {
	case c == isa.ClassBRANCH:
		g.branch(word, &in, p)
	case in.Op == isa.MRS:
		g.asm("mrs x%d, nzcv", in.Rd%23)
	case in.Op == isa.MSR:
		g.asm("msr nzcv, x%d", in.Rd%23)
	case in.Op == isa.SYS:
		g.asm("add x25, x26, #%d", g.any(4096))
		if g.n1 {
			g.asm("dc zva, x25")
		}
		g.asm("dc cvac, x25")
	case c == isa.ClassLOAD || c == isa.ClassSTORE || c == isa.ClassATOMIC:
		g.access(word, &in, p)
	default:
		g.words = append(g.words, word)
	}
}

// branch makes a branch skip an instruction or not.
func (g *generator) branch(word uint32, in *isa.Inst, p *pattern) {
	switch in.Op {
	case isa.BR, isa.BLR, isa.RET:
		g.asm("adr x25, .+12")
		g.set(&word, p, "Rn", 25)
	case isa.TBZ, isa.TBNZ:
		g.set(&word, p, "imm14", 2)
	case isa.B, isa.BL:
		g.set(&word, p, "imm26", 2)
	default:
		g.set(&word, p, "imm19", 2)
	}
	g.words = append(g.words, word)
	g.asm("add x%d, x%d, #1", g.any(23), g.any(23))
}

// access makes the addresses of a load or store right.
func (g *generator) access(word uint32, in *isa.Inst, p *pattern) {
	size := uint64(1) << in.Size
	g.set(&word, p, "Rn", 28)
	switch in.Op {
	case isa.LDXR, isa.LDAXR, isa.LDXP, isa.LDAXP: // each together with its store
		g.exclusive(word, in, p)
		return
	case isa.STXR, isa.STLXR, isa.STXP, isa.STLXP: // alone: always fails
		g.asm("clrex")
		g.set(&word, p, "Rn", 26)
		if in.Rm == in.Rd || in.Rm == in.Ra || in.Rm == 31 {
			g.set(&word, p, "Rs", 22)
			g.set(&word, p, "Rt", 3)
			g.set(&word, p, "Rt2", 4)
		}
	case isa.CAS:
		g.set(&word, p, "Rn", 26)
		if g.any(2) == 0 && in.Rm != 31 {
			g.asm("ldr x%d, [x26]", in.Rm)
		}
	case isa.CASP:
		g.set(&word, p, "Rn", 26)
		if in.Rm > 20 || in.Rd > 20 {
			g.set(&word, p, "Rs", 2*g.any(10))
			g.set(&word, p, "Rt", 2*g.any(10))
		}
		if in, _ := isa.Decode(word); g.any(2) == 0 {
			g.asm("ldp %s%d, %[1]s%[3]d, [x26]", map[bool]string{true: "x", false: "w"}[in.Sf], in.Rm, in.Rm+1)
		}
	case isa.LDRlit, isa.LDRSWlit, isa.LDRVlit, isa.PRFMlit:
		g.set(&word, p, "imm19", -g.any(min(uint64(len(g.words)), 1000)+1))
	default:
		switch {
		case in.Op.Class() == isa.ClassATOMIC || in.Acq || in.Rel:
			g.set(&word, p, "Rn", 26)
			g.set(&word, p, "imm9", g.any(512)&^(size-1))
		case strings.HasSuffix(in.Op.String(), "reg"):
			g.set(&word, p, "Rm", 27)
			if n := g.any(4096); n&1 != 0 || in.Extend == isa.UXTW {
				g.asm("mov x27, #%d", n)
			} else {
				g.asm("mov x27, #-%d", n)
			}
		case g.any(4) == 0: // through SP
			g.asm("add sp, x28, #%d", g.any(4096))
			g.set(&word, p, "Rn", 31)
		}
	}
	again, _ := isa.Decode(word)
	if pair := p.has("Rt2"); pair && in.Op.Class() == isa.ClassLOAD && again.Rd == again.Ra {
		g.set(&word, p, "Rt", 5)
		g.set(&word, p, "Rt2", 6)
	}
	g.words = append(g.words, word)
}

func (p *pattern) has(name string) bool {
	for _, f := range p.fields {
		if f.name == name {
			return true
		}
	}
	return false
}

// exclusive makes a load-exclusive and the store that goes with it.
func (g *generator) exclusive(word uint32, in *isa.Inst, p *pattern) {
	g.set(&word, p, "Rn", 26)
	g.set(&word, p, "Rt", 7)
	g.set(&word, p, "Rt2", 8)
	g.words = append(g.words, word)
	switch g.any(4) {
	case 0:
		g.asm("clrex")
	case 1:
		g.asm("add x7, x7, x%d", g.any(23))
	}
	name := map[uint8]string{0: "b", 1: "h"}[in.Size]
	reg := map[bool]string{true: "x", false: "w"}[in.Size == 3]
	rel := map[bool]string{true: "l", false: ""}[g.any(2) == 0]
	if p.has("Rt2") {
		g.asm("st%sxp w9, %s%d, %[2]s%d, [x26]", rel, reg, g.any(9), g.any(9))
	} else {
		g.asm("st%sxr%s w9, %s%d, [x26]", rel, name, reg, g.any(9))
	}
}

// program writes everything.
func (g *generator) program(tests, rounds int) {
	g.asm("mov x23, #%d", rounds)
	g.asm("movz x24, #%#x, lsl #16", inputAt>>16)
	again := len(g.words)
	g.asm("movz x29, #%#x, lsl #16", dumpAt>>16)
	for range tests {
		g.asm("movz x26, #%#x, lsl #16", (scratchAt+scratchBytes/2)>>16)
		g.asm("and x24, x24, #~%#x\nldp x0, x1, [x24], #16\nmsr nzcv, x1\nmov sp, x0", inputBytes)
		for r := 0; r < 22; r += 2 {
			g.asm("ldp x%d, x%d, [x24], #16", r, r+1)
		}
		for r := 0; r < 8; r += 2 {
			g.asm("ldp q%d, q%d, [x24], #32", 8*g.any(3)+uint64(r), 8*g.any(3)+uint64(r)+1)
		}
		g.asm("ldp x22, x30, [x24], #8\nadd x28, x26, #%d\nmov x25, #0\nmov x27, #0", g.any(4096))
		for range perTest {
			p := &g.patterns[g.any(uint64(len(g.patterns)))]
			for notEL0[p.op] || g.n1 && notN1[p.op] {
				p = &g.patterns[g.any(uint64(len(g.patterns)))]
			}
			g.random(p)
		}
		for r := 0; r < 22; r += 2 {
			g.asm("stp x%d, x%d, [x29], #16", r, r+1)
		}
		g.asm("mrs x0, nzcv\nmov x1, sp\nstp x22, x30, [x29], #16\nstp x0, x1, [x29], #16")
		g.asm("stp x25, x26, [x29], #16\nstp x27, x28, [x29], #16\nstr x24, [x29], #8")
		for r := 0; r < 22; r += 2 {
			g.asm("stp q%d, q%d, [x29], #32", r, r+1)
		}
		g.asm("stp q22, q31, [x29], #32")
	}
	g.asm("mov x8, #64\nmov x0, #1\nmovz x1, #%#x, lsl #16\nsub x2, x29, x1\nsvc #0", dumpAt>>16)
	g.asm("mov x0, #1\nmovz x1, #%#x, lsl #16\nmov x2, #%#x\nsvc #0", scratchAt>>16, scratchBytes)
	g.asm("subs x23, x23, #1\nb.eq .+8\nb .-%d\nmov x8, #93\nmov x0, #0\nsvc #0", 4*(len(g.words)+2-again))
}

// image is a program with its data, as segments of memory.
type image struct {
	at    []uint64
	bytes [][]byte
}

func (g *generator) image(tests, rounds int) image {
	g.program(tests, rounds)
	code := make([]byte, 4*len(g.words))
	for i, w := range g.words {
		binary.LittleEndian.PutUint32(code[4*i:], w)
	}
	input, scratch := make([]byte, inputBytes+4096), make([]byte, scratchBytes)
	for i := 0; i < len(input); i += 8 {
		binary.LittleEndian.PutUint64(input[i:], g.interesting())
	}
	for i := 0; i < len(scratch); i += 8 {
		binary.LittleEndian.PutUint64(scratch[i:], g.interesting())
	}
	return image{
		[]uint64{codeAt + 0x1000, inputAt, scratchAt, dumpAt},
		[][]byte{code, input, scratch, make([]byte, tests*dumpBytes)},
	}
}

// interesting is a value for a register: often at an edge.
func (g *generator) interesting() uint64 {
	v := g.rand.Uint64()
	switch v >> 60 {
	case 0:
		return v & 0xff
	case 1:
		return -(v & 0xff)
	case 2:
		return 1 << (v & 63)
	case 3:
		return 1<<(v&63) - 1
	case 4:
		return 0
	case 5:
		return ^uint64(0) << (v & 63)
	case 6:
		return uint64(uint32(v))
	case 7:
		return uint64(int64(int32(v)))
	}
	return v
}

// elf returns the image as a static executable.
func (im image) elf() []byte {
	const page = 0x1000
	var headers, body bytes.Buffer
	for i, at := range im.at {
		n := uint64(len(im.bytes[i]))
		offset := uint64(page + body.Len())
		body.Write(im.bytes[i])
		body.Write(make([]byte, (page-n%page)%page))
		for _, v := range []any{uint32(1), uint32(7), offset, at, at, n, n, uint64(page)} { // PT_LOAD, RWX
			binary.Write(&headers, binary.LittleEndian, v)
		}
	}
	var file bytes.Buffer
	file.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, v := range []any{
		uint16(2), uint16(183), uint32(1), im.at[0], uint64(64), uint64(0), uint32(0), // ET_EXEC, EM_AARCH64
		uint16(64), uint16(56), uint16(len(im.at)), uint16(64), uint16(0), uint16(0),
	} {
		binary.Write(&file, binary.LittleEndian, v)
	}
	file.Write(headers.Bytes())
	file.Write(make([]byte, page-file.Len()))
	file.Write(body.Bytes())
	return file.Bytes()
}

// run runs the image here and returns what it writes.
func (im image) run(t *testing.T) []byte {
	out, _ := im.runAs(t, func(*Exec) {})
	return out
}

// runAs runs the image in stretches, calling before each, and returns the PE too.
func (im image) runAs(t *testing.T, before func(*Exec)) (out []byte, e *Exec) {
	m := mmu.NewMemory()
	for i, at := range im.at {
		m.Write(mmu.PA(at), im.bytes[i], mmu.WriterImage)
	}
	e = flat(t, m)
	e.PE.PC = im.at[0]
	for {
		before(e)
		s := e.Run(e.Now + 10_000)
		if s.Kind == StopLimit {
			continue
		}
		if s.Kind != StopEL2 || s.Inst.Op != isa.HVC || e.PE.Reg[arch.ESR_EL1]>>26 != uint64(arch.ECSVC) {
			t.Fatalf("stopped at %#x, from %#x by %#x: %+v", e.PE.PC, e.PE.Reg[arch.ELR_EL1], e.PE.Reg[arch.ESR_EL1], s)
		}
		if e.PE.X[8] == 93 {
			return out, e
		}
		p := make([]byte, e.PE.X[2])
		m.Read(mmu.PA(e.PE.X[1]), p)
		out = append(out, p...)
		e.PE.X[0] = e.PE.X[2]
		e.PE.PC += 4
	}
}

// TestDifferential compares every encoding that EL0 has with qemu-aarch64.
func TestDifferential(t *testing.T) {
	qemu, err := exec.LookPath("qemu-aarch64")
	if err != nil {
		t.Skip("qemu-aarch64 (Debian: qemu-user) is not here")
	}
	instructions, tests, rounds := 20_000, 400, 3
	if os.Getenv("RINGMAP_LONG") != "" {
		instructions, tests, rounds = 10_000_000, 2000, 10
	}
	all := patterns(t)
	count, done := map[isa.Op]int{}, 0
	for seed := uint64(1); done < instructions; seed++ {
		g := &generator{t: t, rand: sim.NewStream(seed, "differential"), patterns: all, n1: seed%2 == 0, count: count}
		im := g.image(tests, rounds)
		compare(t, qemu, g, im, seed, tests)
		done += g.made * rounds
	}
	for _, p := range all {
		if count[p.op] == 0 && !notEL0[p.op] {
			t.Errorf("%v was never run", p.op)
		}
	}
	t.Logf("%d instructions", done)
}

func compare(t *testing.T, qemu string, g *generator, im image, seed uint64, tests int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, im.elf(), 0o755); err != nil {
		t.Fatal(err)
	}
	cpu := "max"
	if g.n1 {
		cpu = "neoverse-n1"
	}
	command := exec.Command(qemu, "-cpu", cpu, file)
	want, err := command.Output()
	if err != nil {
		t.Fatalf("seed %d: %v: %v", seed, command, err)
	}
	got := im.run(t)
	if bytes.Equal(got, want) {
		return
	}
	if len(got) != len(want) {
		t.Fatalf("seed %d: wrote %d bytes, want %d", seed, len(got), len(want))
	}
	round := tests*dumpBytes + scratchBytes
	for i := 0; i < len(got); i += 8 {
		g8, w8 := binary.LittleEndian.Uint64(got[i:]), binary.LittleEndian.Uint64(want[i:])
		if g8 == w8 {
			continue
		}
		if at := i % round; at < tests*dumpBytes {
			t.Fatalf("seed %d round %d test %d word %d: %#x, want %#x\n%s", seed, i/round, at/dumpBytes, at%dumpBytes/8, g8, w8, g.listing(at/dumpBytes))
		}
		t.Fatalf("seed %d: scratch memory at %#x: %#x, want %#x", seed, i%round-tests*dumpBytes, g8, w8)
	}
}

// listing disassembles a test.
func (g *generator) listing(test int) string {
	var b strings.Builder
	n := -1
	for i, w := range g.words {
		in, ok := isa.Decode(w)
		pc := codeAt + 0x1000 + 4*uint64(i)
		if ok && in.Op == isa.MOVZ && in.Rd == 26 {
			n++
		}
		if n == test {
			fmt.Fprintf(&b, "%#x: %08x %s\n", pc, w, in.Disasm(pc))
		}
	}
	return b.String()
}
