package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readTables(t *testing.T) (encodings, registers string) {
	a, err := os.ReadFile("../../a64.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("../../sysreg.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(a), string(b)
}

func TestFresh(t *testing.T) {
	want, err := generate(readTables(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../a64_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("a64_gen.go is stale, run go generate ./cpu/isa:\n%s", cmp.Diff(strings.Split(string(got), "\n"), strings.Split(string(want), "\n")))
	}
}

// TestNoOverlap takes every pair of encodings on its own.
func TestNoOverlap(t *testing.T) {
	encodings, _ := readTables(t)
	table, err := parseTable(encodings)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range table.overlaps() {
		t.Error(o)
	}
	// Without its "over", each of these claims words of HINT.
	bare := strings.ReplaceAll(encodings, " over HINT", "")
	if table, err = parseTable(bare); err != nil {
		t.Fatal(err)
	}
	found := table.overlaps()
	if len(found) != strings.Count(encodings, " over HINT ") || len(found) == 0 {
		t.Errorf("%d overlaps: %v", len(found), found)
	}
}

const small = `
field 1 sf
field 5 Rd Rn Rm
field 6 imm6
field 16 imm16
@plain |
@shifted | Amount = imm6 | sf == 1 || imm6 < 32
operand Rd | reg{at: 0}
operand Rn | reg{at: 5}
operand imm6 | bitNumber{at: 10}
`

// TestErrors goes through what may be wrong in a table.
func TestErrors(t *testing.T) {
	const ok = "MOVE | sf 000000000000000 imm6 Rn Rd | @shifted ALU | move Rd, Rn, imm6\n"
	for _, c := range []struct{ name, line, want string }{
		{"nothing", ok, ""},
		{"over", ok + "NONE over MOVE | 00000000000000000000000000000000 | @plain ALU | none", ""},
		{"overlap", ok + "NONE | 00000000000000000000000000000000 | @plain ALU | none",
			"a64.txt: MOVE (line 11) and NONE (line 12) both claim 0x00000000"},
		{"over nothing in common", ok + "NONE over MOVE | 01000000000000000000000000000000 | @plain ALU | none", "have no word in common"},
		{"bits", "MOVE | sf 0 | @plain ALU | move", "line 11: 2 bits, not 32"},
		{"too many bits", "MOVE | 000000000000000000000000000000000 | @plain ALU | move", "line 11: 33 bits, not 32"},
		{"too many fields", "MOVE | imm16 sf 0000000000000 Rn | @plain ALU | move", "no room or no width for field Rn"},
		{"unknown field", "MOVE | Rz 000000000000000000000000000 | @plain ALU | move", "no room or no width for field Rz"},
		{"field twice", "MOVE | Rd Rd 0000000000000000000000 | @plain ALU | move", "field Rd is there twice"},
		{"format", "MOVE | imm16 0000000000000000 | @none ALU | move", "no format"},
		{"class", "MOVE | imm16 0000000000000000 | @plain FAST | move", `"FAST" is no class`},
		{"assignment", "MOVE | imm16 0000000000000000 | @plain Big=1 ALU | move", `"Big=1" is no assignment to a field of Inst`},
		{"operand", "MOVE | imm16 0000000000000000 | @plain ALU | move Rz", `"Rz" is no operand`},
		{"choice", "MOVE | sf 0000000000000000000000000000000 | @plain ALU | mov{sf:a,b,c}", "{sf:a,b,c} does not name each value of a field"},
		{"columns", "MOVE | sf 0000000000000000000000000000000 | move", "3 columns"},
		{"name", "move | sf 0000000000000000000000000000000 | @plain ALU | move", `"move" is no name of an encoding`},
		{"name twice", ok + ok, "MOVE is declared twice"},
		{"alias", ok + "= MOVE | Rd=31 | Rn == 31 | clear Rd", ""},
		{"alias of nothing", "= MOVE | | | clear", `"MOVE" is no encoding`},
		{"alias value", ok + "= MOVE | Rd=32 | | clear", `"Rd=32" is no value of a field of MOVE`},
		{"alias columns", ok + "= MOVE | Rd=31 | clear", "3 columns"},
		{"format twice", "@plain |", "format plain is declared twice"},
		{"format without", "@other | Imm", `"Imm" is no assignment`},
		{"format columns", "@other", "@format | assignments | conditions"},
		{"width", "field 40 wide", "40 is no width"},
		{"width alone", "field 4", "field WIDTH NAME"},
		{"width twice", "field 1 sf", "field sf is declared twice"},
		{"operand twice", "operand Rd | reg{}", "operand Rd is declared twice"},
		{"operand empty", "operand | reg{}", "operand NAME | Go value"},
		{"Go", "@odd | Imm = ) \nMOVE | sf 0000000000000000000000000000000 | @odd ALU | move", "what the tables say is not Go"},
	} {
		_, err := generate(small+c.line, "TEST_EL0 3 0 1 0 0")
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, not %s", c.name, err, c.want)
		}
	}
}

func TestSysRegs(t *testing.T) {
	got, err := parseSysRegs("# one\n\nA_EL1 3 1 2 4 5\nB{6-9}_EL0 3 3 14 8+n/8 n%8\nIC_ALL 1 0 7 5 0 noreg")
	if err != nil {
		t.Fatal(err)
	}
	want := []sysReg{
		{"A_EL1", 3<<14 | 1<<11 | 2<<7 | 4<<3 | 5, true},
		{"B6_EL0", 3<<14 | 3<<11 | 14<<7 | 8<<3 | 6, true}, {"B7_EL0", 3<<14 | 3<<11 | 14<<7 | 8<<3 | 7, true},
		{"B8_EL0", 3<<14 | 3<<11 | 14<<7 | 9<<3 | 0, true}, {"B9_EL0", 3<<14 | 3<<11 | 14<<7 | 9<<3 | 1, true},
		{"IC_ALL", 1<<14 | 7<<7 | 5<<3, false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sysReg{})); diff != "" {
		t.Error(diff)
	}
	if _, err := generate(small, "A 1"); err == nil || !strings.Contains(err.Error(), "sysreg.txt: line 1: 2 words") {
		t.Error(err)
	}
	for _, c := range []struct{ line, want string }{
		{"AA 3 0 0 0", "line 1: 5 words"},
		{"AA 3 0 0 0 0 reg", "line 1: 7 words"},
		{"AA 4 0 0 0 0", "4 is not a number of 2 bits"},
		{"AA 3 8 0 0 0", "8 is not a number of 3 bits"},
		{"AA 3 0 16 0 0", "16 is not a number of 4 bits"},
		{"AA{0-16} 3 0 0 n 0", "n is not a number of 4 bits"},
		{"AA 3 0 0 0 1+", "1+ is not a number"},
		{"AA 3 0 0 0 true", "true is not a number"},
		{"a 3 0 0 0 0", `"a" is no name`},
		{"AA 3 0 0 0 0\nAA 3 0 0 0 1", "line 2: AA is declared twice"},
	} {
		if _, err := parseSysRegs(c.line); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, not %s", c.line, err, c.want)
		}
	}
}
