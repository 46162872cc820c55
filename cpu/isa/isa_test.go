package isa

import (
	"bufio"
	"flag"
	"fmt"
	mathbits "math/bits"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/decode.txt")

// lines calls f for each line of a file of test cases, but for comments.
func lines(t *testing.T, path string, f func(line string)) {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	scan := bufio.NewScanner(file)
	for scan.Scan() {
		if line := strings.TrimSpace(scan.Text()); line != "" && line[0] != '#' {
			f(line)
			n++
		}
	}
	if err := scan.Err(); err != nil || n == 0 {
		t.Fatal(path, n, err)
	}
}

const testPC = 0x4008_0000

// fields returns what an instruction consists of, but for its word.
func fields(in Inst) string {
	text := in.Op.String()
	v := reflect.ValueOf(in)
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch {
		case f.IsZero() || name == "Word" || name == "Op":
		case f.Kind() == reflect.Bool:
			text += " " + name
		case name == "Imm" && in.Imm >= -4096 && in.Imm < 4096:
			text += fmt.Sprintf(" Imm=%d", in.Imm)
		case name == "Imm":
			text += fmt.Sprintf(" Imm=%#x", uint64(in.Imm))
		case name == "Sys":
			text += fmt.Sprintf(" Sys=%d,%d,%d,%d,%d", in.Sys>>14, in.Sys>>11&7, in.Sys>>7&15, in.Sys>>3&15, in.Sys&7)
		case name == "Shr" || name == "Amount" || name == "NZCV" || f.Kind() == reflect.Uint8 && f.Type().Name() == "uint8":
			text += fmt.Sprintf(" %s=%d", name, f.Uint())
		default:
			text += fmt.Sprintf(" %s=%v", name, f)
		}
	}
	return text
}

// TestDecode goes through a file that has a word for every line of the table
// that the disassembler may choose: its assembly, and what it decodes to.
func TestDecode(t *testing.T) {
	const path = "testdata/decode.txt"
	if *update {
		writeDecodeCases(t, path)
	}
	seen := map[*template]bool{}
	lines(t, path, func(line string) {
		cells := strings.Split(line, " | ")
		word := hexWord(t, cells[0])
		in, ok := Decode(word)
		if !ok {
			t.Errorf("%s does not decode", line)
			return
		}
		seen[in.template()] = true
		got := fmt.Sprintf("%08x | %s | %s", word, in.Disasm(testPC), fields(in))
		if squeeze(got) != squeeze(line) {
			t.Errorf("got  %s\nwant %s", got, line)
		}
		if back, err := Assemble(cells[1], testPC); err != nil || len(back) != 1 || back[0] != word {
			t.Errorf("%s assembles to %08x, %v, not to %08x", cells[1], back, err, word)
		}
	})
	for i := range templates {
		if tm := &templates[i]; !tm.unused() && !seen[tm] {
			t.Errorf("no case for %s", tm.name())
		}
	}
}

func squeeze(line string) string { return strings.Join(strings.Fields(line), " ") }

func hexWord(t *testing.T, text string) uint32 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// unused reports whether the disassembler never writes a word so: bit fields
// have aliases for all of them.
func (t *template) unused() bool {
	bare := t.condition == 0 && (t.op == SBFM || t.op == BFM || t.op == UBFM) && strings.HasSuffix(t.mnemonic[0].text, "bfm")
	return t.assembleOnly || bare
}

func (t *template) name() string {
	text := t.op.String() + ":"
	for _, p := range t.mnemonic {
		text += " " + p.text + strings.Join(p.names, ",")
	}
	return text
}

func writeDecodeCases(t *testing.T, path string) {
	var b strings.Builder
	b.WriteString("# word | assembly at 0x40080000 | encoding and what of Inst is not zero; written by go test -run TestDecode -update.\n\n")
	s := newSource(t)
	for i := range templates {
		tm := &templates[i]
		for tries := 0; !tm.unused(); tries++ {
			free := uint32(s.Uint64())
			if tries > 5_000 {
				free = s.operands()
			}
			word := tm.match | free&^tm.mask
			in, ok := Decode(word)
			if back, err := Assemble(in.Disasm(testPC), testPC); ok && in.template() == tm && err == nil && back[0] == word {
				fmt.Fprintf(&b, "%08x | %-36s | %s\n", word, in.Disasm(testPC), fields(in))
				break
			}
			if tries == 100_000 {
				t.Fatalf("no word for %s", tm.name())
			}
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestUndefined goes through a file of words that must not decode.
func TestUndefined(t *testing.T) {
	lines(t, "testdata/undefined.txt", func(line string) {
		cell, why, _ := strings.Cut(line, " | ")
		word := hexWord(t, cell)
		if in, ok := Decode(word); ok || in != (Inst{Word: word}) {
			t.Errorf("%08x decodes to %s (%s), but: %s", word, in.Disasm(testPC), fields(in), why)
		}
	})
}

// naive looks through the whole table for a word's encoding; of two, the one
// that fixes more bits is over the other.
func naive(word uint32) (op Op) {
	fixed := -1
	for i := range templates {
		t := &templates[i]
		last := i+1 == len(templates) || templates[i+1].op != t.op // the encoding itself
		if n := mathbits.OnesCount32(t.mask); last && word&t.mask == t.match && n > fixed {
			op, fixed = t.op, n
		}
	}
	return op
}

func TestLookup(t *testing.T) {
	s := newSource(t)
	for range many(200_000) {
		word := s.near()
		in, ok := Decode(word)
		want := naive(word)
		if ok && in.Op != want || in.Word != word {
			t.Fatalf("%08x is %s, but %s in the table", word, in.Op, want)
		}
		var filled Inst
		for _, c := range candidates[1:] {
			if c.op == want && want != 0 {
				if full := filled.fill(c.form, word); full != ok {
					t.Fatalf("%08x decodes: %t, but its fields as %s: %t", word, ok, want, full)
				}
				break
			}
		}
		if ok && want == 0 {
			t.Fatalf("%08x decodes as %s, which is not in the table", word, in.Op)
		}
	}
}

// TestEverything counts the encodings, and that each is reached, has a class and
// is written.
func TestEverything(t *testing.T) {
	seen := [NumOps]int{}
	s := newSource(t)
	for range 100_000 {
		if in, ok := Decode(s.near()); ok {
			seen[in.Op]++
		}
	}
	for op := Op(1); op < NumOps; op++ {
		if seen[op] == 0 || op.String() == "" || op.Class() == 0 || templates[firstTemplate[op]].op != op {
			t.Errorf("%d: %s, class %d, seen %d times", op, op, op.Class(), seen[op])
		}
	}
	if n := NumOps - 1; n != 308 {
		t.Errorf("%d encodings", n)
	}
	if size := unsafe.Sizeof(Inst{}); size > 32 {
		t.Errorf("Inst has %d bytes", size)
	}
	if Op(0).String() != "UNDEFINED" || NumOps.String() != "UNDEFINED" || Op(0).Class() != 0 || NumOps.Class() != 0 {
		t.Error("there are encodings beyond the table")
	}
}

// TestBitmask compares all logical immediates with the pseudocode of the manual
// (DecodeBitMasks, immediate is true), and encodes each again.
func TestBitmask(t *testing.T) {
	valid := 0
	for sf := range uint32(2) {
		for f := range uint32(1 << 13) {
			n, immr, imms := f>>12, f>>6&63, f&63
			want := manualBitmask(32+32*int(sf), n, imms, immr)
			if got := bitmask(sf, n, immr, imms); got != want {
				t.Fatalf("sf %d N %d immr %d imms %d: %#x, not %#x", sf, n, immr, imms, got, want)
			}
			if want == 0 {
				continue
			}
			valid++
			repeated := want
			if sf == 0 {
				repeated |= want << 32
			}
			f2, ok := encodeBitmask(repeated)
			if !ok || bitmask(sf, f2>>12, f2>>6&63, f2&63) != want {
				t.Fatalf("%#x is encoded as %#x, %t", want, f2, ok)
			}
		}
	}
	if valid != 64*(64+32+16+8+4+2)-64*6+32*2*(32+16+8+4+2)-64*5 {
		t.Errorf("%d immediates", valid)
	}
	for _, v := range []uint64{0, ^uint64(0), 5, 0x1_0001_0000, 0xdead} {
		if _, ok := encodeBitmask(v); ok {
			t.Errorf("%#x is no mask", v)
		}
	}
}

// manualBitmask is DecodeBitMasks as the manual has it; 0 is UNDEFINED.
func manualBitmask(m int, immN, imms, immr uint32) uint64 {
	length := mathbits.Len32(immN<<6|^imms&63) - 1
	if length < 1 || m < 1<<length {
		return 0
	}
	levels := uint32(1)<<length - 1
	if imms&levels == levels {
		return 0
	}
	s, r, esize := imms&levels, immr&levels, 1<<length
	var welem [64]bool
	for i := range int(s) + 1 {
		welem[(i-int(r)+esize)%esize] = true
	}
	var mask uint64
	for i := range m {
		if welem[i%esize] {
			mask |= 1 << i
		}
	}
	return mask
}

// TestBitfield compares SBFM, BFM and UBFM, done as Inst says, with the
// pseudocode of the manual.
func TestBitfield(t *testing.T) {
	s := newSource(t)
	for sf := range uint32(2) {
		size := 32 + 32*sf
		for immr := range size {
			for imms := range size {
				src, dst := s.Uint64(), s.Uint64()
				for opc, op := range []Op{SBFM, BFM, UBFM} {
					in, ok := Decode(sf<<31 | uint32(opc)<<29 | 0x13000000 | sf<<22 | immr<<16 | imms<<10 | 1<<5)
					if !ok || in.Op != op {
						t.Fatal(op, sf, immr, imms, ok)
					}
					got := int64(src << in.Amount >> in.Shr)
					if op == SBFM {
						got = int64(src<<in.Amount) >> in.Shr
					}
					if op == BFM {
						got = int64(dst&^uint64(in.Imm) | uint64(got)&uint64(in.Imm))
					}
					want := manualBitfield(size, op, immr, imms, src, dst)
					if mask := ^uint64(0) >> (64 - size); uint64(got)&mask != want {
						t.Fatalf("%s size %d immr %d imms %d of %#x into %#x: %#x, not %#x", op, size, immr, imms, src, dst, got, want)
					}
				}
			}
		}
	}
}

// manualBitfield is what C6.2 says of SBFM, BFM and UBFM.
func manualBitfield(size uint32, op Op, r, s uint32, src, dst uint64) uint64 {
	all := ^uint64(0) >> (64 - size)
	ror := func(x uint64, n uint32) uint64 { x &= all; return (x>>n | x<<(size-n)) & all }
	ones := func(n uint32) uint64 { return ^uint64(0) >> (64 - n) }
	wmask := ror(ones(s+1), r)
	tmask := ones((s-r)&(size-1) + 1)
	if op == UBFM {
		dst = 0
	}
	bot := ror(src, r) & wmask
	if op == BFM {
		bot |= dst &^ wmask
	}
	var top uint64
	switch {
	case op == BFM:
		top = dst
	case op == SBFM && src>>s&1 != 0:
		top = all
	}
	return (top&^tmask | bot&tmask) & all
}

// TestRoundTrip assembles what the disassembler writes. Logical immediates have
// several encodings, as bits of immr do not count in small elements: there the
// assembler takes the first.
func TestRoundTrip(t *testing.T) {
	s := newSource(t)
	for range many(50_000) {
		checkRoundTrip(t, s.decodable(), s.Uint64()&^3)
	}
}

func checkRoundTrip(t *testing.T, in Inst, pc uint64) {
	text := in.Disasm(pc)
	words, err := Assemble(text, pc)
	if err != nil || len(words) != 1 {
		t.Fatalf("%08x reads %q, which assembles to %08x, %v", in.Word, text, words, err)
	}
	if words[0] == in.Word || in.Op == DUPgen && words[0]&in.Word == words[0] { // which ignores what is above the size
		return
	}
	back, _ := Decode(words[0])
	canonical := in
	canonical.Word = back.Word
	if !maskOp(in.Op) || back != canonical {
		t.Fatalf("%08x reads %q, which assembles to %08x", in.Word, text, words[0])
	}
	if again := back.Disasm(pc); again != text {
		t.Fatalf("%08x reads %q, but %08x %q", in.Word, text, back.Word, again)
	}
}

func maskOp(op Op) bool { return op == ANDimm || op == ORRimm || op == EORimm || op == ANDSimm }

func TestSysRegs(t *testing.T) {
	if SCTLR_EL1 != Sys(3, 0, 1, 0, 0) || PMEVTYPER17_EL0 != Sys(3, 3, 14, 14, 1) || DC_ZVA != Sys(1, 3, 7, 4, 1) {
		t.Error("constants do not say what the table says")
	}
	for r := SysReg(1 << 15); r != 0; r++ {
		words, err := Assemble("mrs x0, "+r.String()+"; msr "+strings.ToUpper(r.String())+", x1", 0)
		if err != nil {
			t.Fatal(err)
		}
		read, _ := Decode(words[0])
		write, _ := Decode(words[1])
		if read.Op != MRS || read.Sys != r || write.Op != MSR || write.Sys != r {
			t.Fatalf("%s is %x and %x", r, read.Sys, write.Sys)
		}
	}
	for _, s := range sysRegs {
		if s.kind == "" {
			continue
		}
		text := s.kind + " " + s.name
		if s.takesRegister {
			text += ", x3"
		}
		words, err := Assemble(text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if in, _ := Decode(words[0]); in.Op != SYS || in.Sys != s.number || in.Disasm(0) != text {
			t.Errorf("%s: %s", text, in.Disasm(0))
		}
	}
	for r, want := range map[SysReg]string{Sys(3, 7, 15, 1, 2): "s3_7_c15_c1_2", IC_IALLU: "ic iallu", Sys(1, 7, 15, 1, 2): "sys #7, C15, C1, #2"} {
		if got := r.String(); got != want {
			t.Errorf("%x: %s, not %s", uint16(r), got, want)
		}
	}
}

// TestAssemble goes through a file of ways to write instructions.
func TestAssemble(t *testing.T) {
	lines(t, "testdata/assemble.txt", func(line string) {
		text, want, _ := strings.Cut(line, " | ")
		words, err := Assemble(text, testPC)
		if got := strings.Trim(fmt.Sprintf("%08x", words), "[]"); err != nil || got != strings.TrimSpace(want) {
			t.Errorf("%s: %s, %v, not %s", strings.TrimSpace(text), got, err, want)
		}
	})
}

func TestProgram(t *testing.T) {
	words, err := Assemble(`
		// sums a table
	start:	adr	x1, table
		mov	w2, #(end - table) / 8
	`, 0)
	if err == nil {
		t.Errorf("there is no division, but %x", words)
	}
	words, err = Assemble(`
		// sums a table
	start:	adr	x1, table; mov w2, #(end-table)>>3
		mov	x0, xzr
	1:	ldr	x3, [x1], #8
		add	x0, x0, x3
		subs	w2, w2, #1
		b.ne	1b
		cbz	x0, 1f
		b	start
	1:	adrp	x4, end
		add	x4, x4, :lo12:end
		ret
		.balign	16
	table:	.quad	1, -2, start+4
	end:	.word	., 0x80000000, -1
		.space	8
		.inst	~0 & 0xff ^ 1 | 2*3
	`, 0x1ff0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, w := range words {
		in, _ := Decode(w)
		got = append(got, in.Disasm(0x1ff0+4*uint64(i)))
	}
	want := []string{
		"adr x1, 0x2020", "mov w2, #0x3", "mov x0, xzr", "ldr x3, [x1], #8", "add x0, x0, x3", "subs w2, w2, #0x1",
		"b.ne 0x1ffc", "cbz x0, 0x2014", "b 0x1ff0", "adrp x4, 0x2000", "add x4, x4, #0x38", "ret",
		".inst 0x00000001", ".inst 0x00000000", ".inst 0xfffffffe", ".inst 0xffffffff", ".inst 0x00001ff4", ".inst 0x00000000",
		".inst 0x00002038", ".inst 0x80000000", ".inst 0xffffffff", ".inst 0x00000000", ".inst 0x00000000", ".inst 0x000000fe",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAssembleErrors goes through a file of statements that are wrong, and what
// is said of them.
func TestAssembleErrors(t *testing.T) {
	lines(t, "testdata/errors.txt", func(line string) {
		text, want, _ := strings.Cut(line, " | ")
		words, err := Assemble("nop\n"+strings.TrimSpace(text), testPC)
		if err == nil || words != nil || err.Error() != "line 2: "+strings.TrimSpace(want) {
			t.Errorf("%s\n got %v, %x\nwant line 2: %s", text, err, words, want)
		}
	})
	if _, err := Assemble("nop", 2); err == nil {
		t.Error("a base between words is wrong")
	}
	deep := strings.Repeat("(", 1000) + "1"
	if _, err := Assemble(".word "+deep, 0); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Error(err)
	}
	if _, err := Assemble(".space 16777216\nnop", 0); err == nil || !strings.HasPrefix(err.Error(), "line 2: the program is longer") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	for i := range templates {
		f.Add(templates[i].match, uint64(testPC))
	}
	f.Fuzz(func(t *testing.T, word uint32, pc uint64) {
		in, ok := Decode(word)
		if in.Word != word || ok != (in.Op != 0) {
			t.Fatalf("%08x: %+v, %t", word, in, ok)
		}
		if ok {
			checkRoundTrip(t, in, pc&^3)
		} else if words, err := Assemble(in.Disasm(0), 0); err != nil || words[0] != word {
			t.Fatalf("%s: %x, %v", in.Disasm(0), words, err)
		}
	})
}

func FuzzAssemble(f *testing.F) {
	f.Add("a: add x0, x1, #1 // b\n b a; .quad 1, a+2\n.balign 8\n1: cbz w0, 1b")
	f.Add("ldr x0, [x1, w2, sxtw #3]\n msr daifset, #2\ntlbi vae1is, x0")
	f.Fuzz(func(t *testing.T, src string) {
		words, err := Assemble(src, testPC)
		if err == nil {
			return
		}
		if words != nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%x, %v", words, err)
		}
		var line int
		if _, err := fmt.Sscanf(err.Error(), "line %d: ", &line); err != nil || line < 1 || line > strings.Count(src, "\n")+1 {
			t.Fatalf("%v names no line of %q", err, src)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	s := newSource(b)
	mix := make([]uint32, 4096)
	for i := range mix {
		mix[i] = s.decodable().Word
	}
	loop, err := Assemble("ldr x3, [x1], #8; add x0, x0, x3; subs w2, w2, #1; b.ne .-12", 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		words []uint32
	}{{"words=loop", loop}, {"words=all", mix}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := uint64(0)
			for i := range b.N {
				in, _ := Decode(c.words[i&(len(c.words)-1)])
				n += uint64(in.Rd)
			}
			if b.N > 1<<20 && n == 0 {
				b.Error("no register is used")
			}
		})
	}
}

func BenchmarkDisasm(b *testing.B) {
	s := newSource(b)
	in := make([]Inst, 1024)
	for i := range in {
		in[i] = s.decodable()
	}
	for i := range b.N {
		in[i&1023].Disasm(testPC)
	}
}

func BenchmarkAssemble(b *testing.B) {
	src := strings.Repeat("1: ldr x3, [x1], #8\n add x0, x0, x3, lsl #2\n subs w2, w2, #1\n b.ne 1b\n", 256)
	b.SetBytes(4096)
	for range b.N {
		if _, err := Assemble(src, testPC); err != nil {
			b.Fatal(err)
		}
	}
}
