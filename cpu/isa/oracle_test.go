package isa

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

// The decoder and disassembler are held against two others, word by word: what
// these reject must be undefined here too, and what they decode must read the
// same. Every difference needs an excuse.

// An excuse is a kind of difference, as regular expressions for the texts of
// both sides; a word that does not decode reads "undefined".
type excuse struct {
	ours, theirs string
	why          string
}

// A referee counts differences.
type referee struct {
	t       *testing.T
	excuses []excuse
	ours    []*regexp.Regexp
	theirs  []*regexp.Regexp
	used    []int
	errors  int
}

func newReferee(t *testing.T, excuses []excuse) *referee {
	r := &referee{t: t, excuses: excuses, used: make([]int, len(excuses))}
	for _, e := range excuses {
		r.ours = append(r.ours, regexp.MustCompile("^(?:"+e.ours+")$"))
		r.theirs = append(r.theirs, regexp.MustCompile("^(?:"+e.theirs+")$"))
	}
	return r
}

func (r *referee) compare(word uint32, ours, theirs string) {
	if ours == theirs {
		return
	}
	for i := range r.excuses {
		if r.ours[i].MatchString(ours) && r.theirs[i].MatchString(theirs) {
			r.used[i]++
			return
		}
	}
	if r.errors++; r.errors <= 40 {
		r.t.Errorf("%08x: we say %q, they %q", word, ours, theirs)
	}
}

// finish fails excuses that excuse nothing, if there was enough to excuse.
func (r *referee) finish() {
	for i, e := range r.excuses {
		if r.used[i] == 0 && many(1) > 1 {
			r.t.Errorf("no difference is excused by: %s (%s | %s)", e.why, e.ours, e.theirs)
		}
	}
	if r.errors > 40 {
		r.t.Errorf("… and %d more", r.errors-40)
	}
}

func read(word uint32, pc uint64) string {
	in, ok := Decode(word)
	if !ok {
		return "undefined"
	}
	return in.Disasm(pc)
}

// vector reports words of SIMD, floating point, SVE and SME (C4.1, op0) that are
// none of ours.
func vector(word uint32) bool {
	_, ours := Decode(word)
	return !ours && (word>>26&3 == 3 || word>>27&3 == 0)
}

// shouldBeOne reports a word that would be an exclusive, ordered access or high
// multiplication if those fields had all ones that should have.
func shouldBeOne(word uint32) bool {
	if _, ok := Decode(word); ok {
		return false
	}
	for _, ones := range []uint32{31 << 10, 31 << 16, 31<<10 | 31<<16} {
		in, ok := Decode(word | ones)
		if ok && (in.Op.Class() == ClassLOAD || in.Op.Class() == ClassSTORE || in.Op == SMULH || in.Op == UMULH) {
			return true
		}
	}
	return false
}

var objdumpExcuses = []excuse{
	{`undefined`, `(addg|subg|subps?|cmpp|irg|gmi|ldgm?|stz?2?gm?|stgp) .*`, "FEAT_MTE"},
	{`undefined`, `(pac|aut|xpac|braa|brab|blraa|blrab|retaa|retab|eretaa|eretab|ldraa|ldrab).*`, "FEAT_PAuth"},
	{`undefined`, `(abs|cnt|ctz|smax|smin|umax|umin) .*`, "FEAT_CSSC"},
	{`undefined`, `(cpyf?[mpe]|set[gpme]).* \[.*`, "FEAT_MOPS"},
	{`undefined`, `bc\..*`, "FEAT_HBC"},
	{`undefined`, `(cfinv|axflag|xaflag|rmif|setf8|setf16)( .*)?`, "FEAT_FlagM"},
	{`undefined`, `(ld64b|st64b).*`, "FEAT_LS64"},
	{`undefined`, `(tstart|tcommit|tcancel|ttest)( .*)?`, "FEAT_TME"},
	{`undefined`, `(wfet|wfit) .*`, "FEAT_WFxT"},
	{`undefined`, `sb`, "FEAT_SB"},
	{`undefined`, `dsb \w+nxs`, "FEAT_XS"},
	{`undefined`, `(smstart|smstop).*`, "FEAT_SME"},
	{`undefined`, `msr (tco|dit|allint), .*`, "FEAT_MTE, FEAT_DIT, FEAT_NMI"},
	{`undefined`, `msr s0_.*|mrs .*, s0_.*`, "op0 = 0 is no register"},
	{`msr (uao|pan|spsel|ssbs), #0x.*`, `msr s0_.*, xzr`, "only bit 0 of CRm counts, others are not checked by hardware"},
	{`ldpsw .*`, `undefined`, "CONSTRAINED UNPREDICTABLE: one register loaded twice, or also written back"},
	{`dgh|hint #.*`, `hint #.*|clearbhb|chkfeat x16|gcsb dsync`, "hints that the other version names"},
	{`mrs \w+, s[23]_.*`, `mrs \w+, \w+`, "registers of later or unused extensions"},
	{`msr s[23]_.*`, `msr \w+, \w+`, "registers of later or unused extensions"},
	{`sys #.*`, `(dc|ic|at|tlbi|cfp|cpp|dvp|cosp) .*`, "operations of later extensions, or with a register that they do not take"},
	{`msr dbgdtrrx_el0, \w+`, `msr dbgdtrtx_el0, \w+`, "one number, two names"},
}

// TestObjdump compares with the GNU disassembler, as far as it is installed:
// first every system register and operation, then random words.
func TestObjdump(t *testing.T) {
	r := newReferee(t, objdumpExcuses)
	judge := func(words []uint32) {
		for i, theirs := range objdump(t, words) {
			if !vector(words[i]) && !shouldBeOne(words[i]) {
				r.compare(words[i], read(words[i], 4*uint64(i)), theirs)
			}
		}
	}
	words := make([]uint32, 0, 1<<18)
	for n := range uint32(1 << 17) {
		words = append(words, 0xd5000000|n<<5|n>>3&31)
	}
	judge(words)
	s := newSource(t)
	for range many(1) {
		for words = words[:0]; len(words) < cap(words); {
			words = append(words, s.near())
		}
		judge(words)
	}
	r.finish()
}

// objdump returns how the GNU disassembler writes each of some words, the first
// of which lies at address 0.
func objdump(t *testing.T, words []uint32) []string {
	const tool = "aarch64-linux-gnu-objdump"
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s (Debian's binutils-aarch64-linux-gnu) is not installed", tool)
	}
	code := make([]byte, 0, 4*len(words))
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, code, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "-D", "-z", "-b", "binary", "-m", "aarch64", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(words))
	listing := regexp.MustCompile(`^ *([0-9a-f]+):\t([0-9a-f]{8}) \t(.*)$`)
	for scan := bufio.NewScanner(bytes.NewReader(out)); scan.Scan(); {
		if m := listing.FindStringSubmatch(scan.Text()); m != nil {
			at, _ := strconv.ParseUint(m[1], 16, 32)
			text, _, _ := strings.Cut(m[3], "//")
			if strings.Contains(text, "; undefined") {
				text = "undefined"
			}
			lines[at/4] = strings.Join(strings.Fields(text), " ")
		}
	}
	return lines
}

var arm64asmExcuses = []excuse{
	{`(casp?|swp|ldadd|ldclr|ldeor|ldset|ld[su]max|ld[su]min|stadd|stclr|steor|stset|st[su]max|st[su]min)a?l?[bh]? .*`, `undefined`, "FEAT_LSE, which it does not know"},
	{`(ldlar|stllr)[bh]? .*`, `undefined`, "FEAT_LOR, which it does not know"},
	{`ldapr[bh]? .*|(stlur|ldapurs?)[bhw]? .*`, `undefined`, "FEAT_LRCPC and FEAT_LRCPC2, which it does not know"},
	{`(hvc|smc) .*`, `undefined`, "which it does not know"},
	{`msr (uao|pan|ssbs), .*`, `undefined`, "FEAT_UAO, FEAT_PAN and FEAT_SSBS, which it does not know"},
	{`(sys|sysl|dc|ic|at|tlbi) .*`, `undefined`, "of which it knows some aliases only"},
	{`sys #.*`, `(dc|ic|at|tlbi) .*`, "operations of later extensions"},
	{`\w+( csync| c| j| jc)?`, `hint #0x.*`, "hints that it does not name"},
	{`dsb #0x.*|p?ssbb`, `dsb #0x.*`, "barriers that it does not name"},
	{`undefined`, `(add|sub|cmp|cmn)s? .*, ([us]xt[bhwx]|lsl) #[567]`, "its error: a shift of more than 4 is reserved (C6.2.3)"},
	{`undefined`, `(and|orr|eor|ands|tst|mov) .*, #0xf+`, "its error: a mask of ones only is reserved (DecodeBitMasks)"},
	{`bfc .*`, `bfm .*zr, .*`, "an alias of Armv8.2"},
	{`orr .*`, `mov .*`, "its error: what MOVN can move is ORR's no longer (MoveWidePreferred)"},
	{`mov w?sp, .*`, `orr w?sp, [wx]zr, .*`, "the GNU tools say mov whenever the stack pointer is set"},
	{`mrs \w+, \w+`, `mrs \w+, s[23]_.*`, "registers that it does not name"},
	{`msr \w+, \w+`, `msr s[23]_\S+, \w+`, "registers that it does not name"},
}

// TestArm64asm compares with golang.org/x/arch.
func TestArm64asm(t *testing.T) {
	s := newSource(t)
	r := newReferee(t, arm64asmExcuses)
	for range many(200_000) {
		if word := s.near(); !vector(word) && !shouldBeOne(word) {
			r.compare(word, read(word, 0), arm64asmText(word))
		}
	}
	r.finish()
}

// arm64asmText returns how golang.org/x/arch writes a word at address 0, with
// the spaces of the GNU tools.
func arm64asmText(word uint32) string {
	in, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, word))
	if err != nil {
		return "undefined"
	}
	text := strings.ReplaceAll(arm64asm.GNUSyntax(in), ".+0x", "0x")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, ",", ", ")), " ")
	if in, ok := Decode(word); ok && in.Cond == NV { // which it calls al
		text = strings.NewReplacer("b.al", "b.nv", ", al", ", nv").Replace(text)
	}
	return text
}
