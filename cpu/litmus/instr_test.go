package litmus

import (
	"fmt"
	"strings"
	"testing"
)

// TestInstructions runs single instructions. X0 is the result unless another
// register is named; X1, X2 and X3 hold what is given, X9 the address of x,
// an array of four numbers of 64 bits, 1 to 4.
func TestInstructions(t *testing.T) {
	for _, c := range []struct {
		code       string
		x1, x2, x3 uint64
		want       string // registers and elements, as in states
	}{
		{"ADD X0,X1,X2", 1, ^uint64(0), 0, "0:X0=0"},
		{"ADD W0,W1,W2", 1, 0xffffffff, 0, "0:X0=0"},
		{"ADD X0,X1,#1,LSL #12", 1, 0, 0, "0:X0=4097"},
		{"ADD X0,X1,X2,LSL #3", 1, 2, 0, "0:X0=17"},
		{"ADD X0,X1,W2,SXTB #1", 1, 0xff, 0, "0:X0=18446744073709551615"},
		{"ADD X0,X1,W2,UXTH", 1, 0x12ffff, 0, "0:X0=65536"},
		{"SUB W0,W1,W2", 1, 2, 0, "0:X0=4294967295"},
		{"SUB X0,X1,X2", 1, 2, 0, "0:X0=18446744073709551615"},
		{"AND X0,X1,X2", 12, 10, 0, "0:X0=8"},
		{"BIC X0,X1,X2", 12, 10, 0, "0:X0=4"},
		{"ORR X0,X1,X2", 12, 10, 0, "0:X0=14"},
		{"ORN W0,W1,W2", 0, 0xfffffff0, 0, "0:X0=15"},
		{"EOR X0,X1,X2,LSR #1", 12, 10, 0, "0:X0=9"},
		{"EON W0,W1,W2", 0xff, 0xf0, 0, "0:X0=4294967280"},
		{"MVN W0,W1", 1, 0, 0, "0:X0=4294967294"},
		{"NEG W0,W1", 1, 0, 0, "0:X0=4294967295"},
		{"NEG X0,X1,LSL #1", 1, 0, 0, "0:X0=18446744073709551614"},
		{"MOV W0,#-1", 0, 0, 0, "0:X0=4294967295"},
		{"MOV X0,#0x10", 0, 0, 0, "0:X0=16"},
		{"MOVZ X0,#1,LSL #48", 0, 0, 0, "0:X0=281474976710656"},
		{"MOVN W0,#0", 0, 0, 0, "0:X0=4294967295"},
		{"MOVK X1,#2,LSL #16", 0x10001, 0, 0, "0:X1=131073"},
		{"LSL X0,X1,X2", 1, 65, 0, "0:X0=2"},
		{"LSLV W0,W1,W2", 1, 33, 0, "0:X0=2"},
		{"LSR W0,W1,#4", 0x1ffffffff, 0, 0, "0:X0=268435455"},
		{"ASR W0,W1,#4", 0x80000000, 0, 0, "0:X0=4160749568"},
		{"ROR W0,W1,#4", 0x12345678, 0, 0, "0:X0=2166572391"},
		{"MUL X0,X1,X2", 3, 5, 0, "0:X0=15"},
		{"MADD W0,W1,W2,W3", 0x10000, 0x10000, 7, "0:X0=7"},
		{"MSUB X0,X1,X2,X3", 3, 5, 20, "0:X0=5"},
		{"MNEG W0,W1,W2", 1, 1, 0, "0:X0=4294967295"},
		{"SMADDL X0,W1,W2,X3", 0xffffffff, 2, 5, "0:X0=3"},
		{"UMSUBL X0,W1,W2,X3", 0xffffffff, 1, 0xffffffff, "0:X0=0"},
		{"SMULL X0,W1,W2", 0xffffffff, 3, 0, "0:X0=18446744073709551613"},
		{"UMULL X0,W1,W2", 0xffffffff, 2, 0, "0:X0=8589934590"},
		{"UMNEGL X0,W1,W2", 1, 1, 0, "0:X0=18446744073709551615"},
		{"SBFM X0,X1,#4,#7", 0x80, 0, 0, "0:X0=18446744073709551608"},
		{"SBFM W0,W1,#28,#3", 0x8, 0, 0, "0:X0=4294967168"},
		{"UBFM X0,X1,#4,#11", 0xabcd, 0, 0, "0:X0=188"},
		{"UBFM W0,W1,#28,#3", 0xff, 0, 0, "0:X0=240"},
		{"SXTW X0,W1", 0x80000000, 0, 0, "0:X0=18446744071562067968"},
		{"SXTB W0,W1", 0x80, 0, 0, "0:X0=4294967168"},
		{"UXTH W0,W1", 0x12345, 0, 0, "0:X0=9029"},
		{"EXTR W0,W1,W2,#8", 0x12, 0x3456, 0, "0:X0=301989940"},
		{"RBIT W0,W1", 1, 0, 0, "0:X0=2147483648"},
		{"REV X0,X1", 1, 0, 0, "0:X0=72057594037927936"},
		{"REV16 W0,W1", 0x12345678, 0, 0, "0:X0=873625686"},
		{"REV32 X0,X1", 0x1234567800000001, 0, 0, "0:X0=8671175384479301632"},
		{"REV64 X0,X1", 1, 0, 0, "0:X0=72057594037927936"},
		{"CLZ W0,W1", 1, 0, 0, "0:X0=31"},
		{"ABS W0,W1", 0xffffffff, 0, 0, "0:X0=1"},

		{"CMP W1,W2; CSET W0,EQ", 5, 5, 0, "0:X0=1"},
		{"CMP W1,W2; CSET W0,LT", 0xffffffff, 1, 0, "0:X0=1"},
		{"CMP W1,W2; CSET W0,HI", 0xffffffff, 1, 0, "0:X0=1"},
		{"CMP X1,W2,SXTW; CSET W0,EQ", ^uint64(0), 0xffffffff, 0, "0:X0=1"},
		{"CMN W1,#1; CSET W0,CS", 0xffffffff, 0, 0, "0:X0=1"},
		{"ADDS W0,W1,W2; CSET W0,VS", 0x7fffffff, 1, 0, "0:X0=1"},
		{"SUBS X0,X1,X2; CSET W0,GE", 3, 3, 0, "0:X0=1"},
		{"TST W1,#1; CSET W0,NE", 3, 0, 0, "0:X0=1"},
		{"ANDS W0,W1,W2; CSETM W0,MI", 0x80000000, 0xffffffff, 0, "0:X0=4294967295"},
		{"NEGS W0,W1; CSET W0,PL", 1, 0, 0, "0:X0=0"},
		{"CMP W1,#0; CSEL X0,X2,X3,NE", 1, 7, 8, "0:X0=7"},
		{"CMP W1,#0; CSINC W0,W2,W3,NE", 0, 7, 8, "0:X0=9"},
		{"CMP W1,#0; CSINV W0,W2,W3,NE", 0, 7, 8, "0:X0=4294967287"},
		{"CMP W1,#0; CSNEG X0,X2,X3,NE", 0, 7, 8, "0:X0=18446744073709551608"},
		{"CMP W1,#0; CINC W0,W2,EQ", 0, 7, 8, "0:X0=8"},
		{"CMP W1,#0; CSEL W0,W2,W3,AL", 0, 7, 8, "0:X0=7"},
		{"CMP W1,#0; MRS X0,NZCV", 0, 0, 0, "0:X0=1610612736"},
		{"MSR NZCV,X1; CSET W0,VS", 1 << 28, 0, 0, "0:X0=1"},
		{"MOV W0,#1; TBZ X1,#4,L; MOV W0,#2; L:", 0x10, 0, 0, "0:X0=2"},
		{"MOV W0,#1; TBNZ X1,#4,L; MOV W0,#2; L:", 0x10, 0, 0, "0:X0=1"},
		{"MOV W0,#1; CBZ W1,L; MOV W0,#2; L:", 1 << 32, 0, 0, "0:X0=1"},
		{"MOV W0,#1; CBNZ X1,L; MOV W0,#2; L:", 1 << 32, 0, 0, "0:X0=1"},
		{"MOV W0,#1; B L; MOV W0,#2; L:", 0, 0, 0, "0:X0=1"},
		{"MOV W0,#1; CMP W1,W2; B.LS L; MOV W0,#2; L:", 1, 1, 0, "0:X0=1"},
		{"MOV W0,#1; B .+8; MOV W0,#2; NOP", 0, 0, 0, "0:X0=1"},

		{"LDR X0,[X9,#8]", 0, 0, 0, "0:X0=2"},
		{"LDR X0,[X9,X1]", 16, 0, 0, "0:X0=3"},
		{"LDR X0,[X9,X1,LSL #3]", 3, 0, 0, "0:X0=4"},
		{"LDR X0,[X9,W1,SXTW #3]", 0xffffffff00000001, 0, 0, "0:X0=2"},
		{"LDR X0,[X9,W1,UXTW]", 0xffffffff00000008, 0, 0, "0:X0=2"},
		{"LDR X0,[X9,#8]!; LDR X1,[X9]", 0, 0, 0, "0:X0=2; 0:X1=2"},
		{"LDR X0,[X9],#8; LDR X1,[X9]", 0, 0, 0, "0:X0=1; 0:X1=2"},
		{"LDUR X0,[X9,#24]", 0, 0, 0, "0:X0=4"},
		{"LDAR X0,[X9]; LDAPR X1,[X9]", 0, 0, 0, "0:X0=1; 0:X1=1"},
		{"LDP X0,X1,[X9,#16]", 0, 0, 0, "0:X0=3; 0:X1=4"},
		{"LDP X0,X1,[X9],#16; LDR X2,[X9]", 0, 0, 0, "0:X0=1; 0:X1=2; 0:X2=3"},
		{"LDNP X0,X1,[X9]", 0, 0, 0, "0:X0=1; 0:X1=2"},
		{"LDIAPP X0,X1,[X9]", 0, 0, 0, "0:X0=1; 0:X1=2"},
		{"STR X1,[X9,#8]!; LDR X0,[X9]", 7, 0, 0, "0:X0=7; x[1]=7"},
		{"STR X1,[X9],#8; STR X2,[X9]", 7, 8, 0, "x[0]=7; x[1]=8"},
		{"STR XZR,[X9]", 0, 0, 0, "x[0]=0"},
		{"STLR X1,[X9]", 7, 0, 0, "x[0]=7"},
		{"STP X1,X2,[X9,#16]!; LDR X0,[X9]", 7, 8, 0, "0:X0=7; x[3]=8"},
		{"STLP X1,X2,[X9]", 7, 8, 0, "x[0]=7; x[1]=8"},
		{"STILP X1,X2,[X9]", 7, 8, 0, "x[0]=7; x[1]=8"},
		{"LDXR X0,[X9]; STXR W4,X1,[X9]; CBZ W4,L; MOV X0,#9; STR X1,[X9]; L:", 7, 0, 0, "x[0]=7"},
		{"STXR W0,X1,[X9]", 7, 0, 0, "0:X0=1; x[0]=1"},
		{"LDXR X4,[X9]; ADD X5,X9,#8; STXR W0,X1,[X5]", 7, 0, 0, "0:X0=1; x[1]=2"},
		{"LDXR W4,[X9]; STXR W0,X1,[X9]", 7, 0, 0, "0:X0=1; x[0]=1"},
		{"LDXP X0,X1,[X9]", 0, 0, 0, "0:X0=1; 0:X1=2"},
		{"SWP X1,X0,[X9]", 7, 0, 0, "0:X0=1; x[0]=7"},
		{"SWPALB W1,W0,[X9]", 0x1ff, 0, 0, "0:X0=1; x[0]=255"},
		{"LDADDA X1,X0,[X9]", 7, 0, 0, "0:X0=1; x[0]=8"},
		{"LDADDB W1,W0,[X9]", 0xff, 0, 0, "0:X0=1; x[0]=0"},
		{"LDCLRL X1,X0,[X9]", 1, 0, 0, "0:X0=1; x[0]=0"},
		{"LDEORAL X1,X0,[X9]", 3, 0, 0, "0:X0=1; x[0]=2"},
		{"LDSET X1,X0,[X9]", 6, 0, 0, "0:X0=1; x[0]=7"},
		{"LDSMAX W1,W0,[X9]", 0xffffffff, 0, 0, "0:X0=1; x[0]=1"},
		{"LDSMIN W1,W0,[X9]", 0xffffffff, 0, 0, "0:X0=1; x[0]=4294967295"},
		{"LDUMAX W1,W0,[X9]", 0xffffffff, 0, 0, "0:X0=1; x[0]=4294967295"},
		{"LDUMIN W1,W0,[X9]", 0xffffffff, 0, 0, "0:X0=1; x[0]=1"},
		{"STADD X1,[X9]", 7, 0, 0, "x[0]=8"},
		{"STUMAXLH W1,[X9]", 7, 0, 0, "x[0]=7"},
		{"CAS X1,X2,[X9]", 1, 7, 0, "0:X1=1; x[0]=7"},
		{"CASAL X1,X2,[X9]", 5, 7, 0, "0:X1=1; x[0]=1"},
		{"CASB W1,W2,[X9]", 0x101, 7, 0, "0:X1=1; x[0]=7"},
		{"MOV X4,#1; MOV X5,#2; MOV X6,#7; MOV X7,#8; CASP X4,X5,X6,X7,[X9]", 0, 0, 0, "0:X4=1; 0:X5=2; x[0]=7; x[1]=8"},
		{"MOV X4,#1; MOV X5,#1; MOV X6,#7; MOV X7,#8; CASPAL X4,X5,X6,X7,[X9]", 0, 0, 0, "0:X4=1; 0:X5=2; x[0]=1; x[1]=2"},
		{"LDRB W0,[X9]; STRB W1,[X9,#1]; LDR X2,[X9]", 0x123, 0, 0, "0:X0=1; 0:X2=8961; x[0]=8961"},
		{"STRH W1,[X9,#6]; LDRSH X0,[X9,#6]; LDRSH W2,[X9,#6]", 0xffff, 0, 0, "0:X0=18446744073709551615; 0:X2=4294967295"},
		{"STR W1,[X9,#4]; LDRSW X0,[X9,#4]; LDR X2,[X9]", 0x80000000, 0, 0, "0:X0=18446744071562067968; 0:X2=9223372036854775809"},
		{"LDRSB W0,[X9,#1]; LDPSW X1,X2,[X9,#8]", 0, 0, 0, "0:X0=0; 0:X1=2; 0:X2=0"},
		{"EOR X0,X9,X9; SUB X1,X9,X9", 0, 0, 0, "0:X0=0; 0:X1=0"},
		{"ADD X1,X9,#8; SUB X1,X1,#8; CMP X1,X9; CSET W0,EQ", 0, 0, 0, "0:X0=1"},
	} {
		var terms []string
		for term := range strings.SplitSeq(c.want, "; ") {
			terms = append(terms, strings.Split(term, "=")[0])
		}
		var init strings.Builder
		for i, n := range []uint64{c.x1, c.x2, c.x3} {
			fmt.Fprintf(&init, "uint64_t 0:X%d=%#x; ", i+1, n)
		}
		for _, r := range []int{0, 4, 5, 6, 7} {
			fmt.Fprintf(&init, "uint64_t 0:X%d; ", r)
		}
		rows := strings.ReplaceAll(c.code, "; ", " ;\n") + " ;"
		text := fmt.Sprintf("AArch64 one\n{ %suint64_t x[4]={1,2,3,4}; 0:X9=x; }\nP0;\n%s\nlocations [%s]\nforall true\n", init.String(), rows, strings.Join(terms, ";"))
		test, err := Parse("one", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		r, err := Explore(test, Options{NoSpurious: true})
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if len(r.States) != 1 || r.StateText(r.States[0]) != c.want+";" {
			for _, s := range r.States {
				t.Errorf("%s: %s, want %s;", c.code, r.StateText(s), c.want)
			}
		}
	}
}

// TestTableIsWhole: every row of the table is one that TestInstructions or a
// published test can meet; every mnemonic belongs to one row.
func TestTableIsWhole(t *testing.T) {
	for name, f := range forms {
		if len(f) != 1 {
			t.Errorf("%s stands in %d rows", name, len(f))
		}
	}
	for _, o := range outside {
		for name := range strings.FieldsSeq(o.names) {
			if forms[name] != nil {
				t.Errorf("%s is in the table and outside of it", name)
			}
		}
	}
	if len(forms) < 320 {
		t.Errorf("only %d mnemonics", len(forms))
	}
}
