package litmus

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is a test that uses every part of the format.
const sample = `AArch64 MP+a-b.c/d[1]:2_x
"Message (* passing *)"
Cycle=Rfe PodRR Fre PodWW
Variant=mixed
(* a comment (* with another *) inside *)
{
  0:X1=x; P0:X3=&y; 1:X1 = y; 1:X3=x;
  uint64_t x=0x10; int16_t [z]=-2; uint8_t w;
  int v[3]={1,2,0x3}; uint64_t p = v[2]; 1:X7=v[1];
  int64_t 1:X5=-1; uint64_t* 1:X6=&x;
}
 P0          | P1          ;
 MOV W0,#1   | LDR W0,[X1] ;
 L0: STR W0,[X1] |         ;
 M: N:       | LDR W2,[X3] ; (* labels alone *)
 NOP         |             ;
 b.ne L0     | ldr w4, [x7, #-4] ;
 STR W0,[X3]               ;
locations [0:X1; x; y uint64_t; v; v[0]; w]
filter 1:X0=1 \/ not (1:X2=0)
exists (1:X0=1 /\ 1:X2=0 /\ [x]<>y \/ x=[y] /\ 0:X1=1:X3 => v={1,2,3} /\ ~ p=v[1] \/ true /\ w!=0x7)
`

func TestParse(t *testing.T) {
	test, err := Parse("sample", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if test.Name != "MP+a-b.c/d[1]:2_x" || test.Doc != "Message (* passing *)" {
		t.Errorf("name %q, doc %q", test.Name, test.Doc)
	}
	if diff := cmp.Diff([]Info{{"Cycle", "Rfe PodRR Fre PodWW"}, {"Variant", "mixed"}}, test.Info); diff != "" {
		t.Error(diff)
	}
	var b strings.Builder
	for _, v := range test.Vars {
		fmt.Fprintf(&b, "%s/%d/%v=", v.Name, v.Type.size(), v.Type.Unsigned)
		for _, n := range v.Init {
			b.WriteString(test.valueText(v.Type, n) + ",")
		}
		b.WriteString(" ")
	}
	if want := "x/8/true=16, y/4/false=0, z/2/false=-2, w/1/true=0, v/4/false=1,2,3, p/8/true=v+8, "; b.String() != want {
		t.Errorf("variables %s, want %s", b.String(), want)
	}
	b.Reset()
	for _, r := range test.Init {
		fmt.Fprintf(&b, "%d:%s=%s ", r.Thread, r.Reg, test.valueText(r.Type, r.Value))
	}
	if want := "0:X1=x 0:X3=y 1:X1=y 1:X3=x 1:X7=v+4 1:X5=-1 1:X6=x "; b.String() != want {
		t.Errorf("registers %s, want %s", b.String(), want)
	}
	b.Reset()
	for _, th := range test.Threads {
		for _, in := range th.Code {
			fmt.Fprintf(&b, "%d %s %v %d|", in.Line, in.Text, in.Labels, in.target)
		}
	}
	if want := "13 MOV W0,#1 [] 0|14 STR W0,[X1] [L0] 0|16 NOP [M N] 0|17 B.NE L0 [] 1|18 STR W0,[X3] [] 0|13 LDR W0,[X1] [] 0|15 LDR W2,[X3] [] 0|17 LDR w4, [x7, #-4] [] 0|"; b.String() != want {
		t.Errorf("code\n%s, want\n%s", b.String(), want)
	}
	if want := `exists (1:X0=1 /\ 1:X2=0 /\ not ([x]=y) \/ [x]=[y] /\ (0:X1=1:X3 => v={1,2,3}) /\ not ([p]=v+4) \/ true /\ not ([w]=7))`; test.ConditionText() != want {
		t.Errorf("condition\n%s, want\n%s", test.ConditionText(), want)
	}
	var shown []string
	for _, term := range test.shown() {
		shown = append(shown, test.TermText(term))
	}
	if want := "0:X1 1:X0 1:X2 1:X3 p v w x y v[0]"; strings.Join(shown, " ") != want {
		t.Errorf("shown %v, want %s", shown, want)
	}
}

// TestSymbolicRegisters: named registers stand for free ones.
func TestSymbolicRegisters(t *testing.T) {
	test, err := Parse("t", []byte("AArch64 T\n{uint64_t x=7; %p=x; 0:X1=5; uint64_t %v;}\nP0;\nLDR X%v,[%p];\nLDR w%v,[X%p];\nMOV X0,X4;\nlocations [%v; 0:X2]\nexists %p=x\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Explore(test, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// X0 and X4 are used, X1 and X2 appear outside the code: p is X3, v is X5.
	if want := "0:X2=0; 0:X3=x; 0:X5=7;"; len(r.States) != 1 || r.StateText(r.States[0]) != want || r.Observation != Always {
		t.Errorf("%s, want %s", r.Format(), want)
	}
}

func TestConditions(t *testing.T) {
	for tail, want := range map[string]string{
		"":                                 "forall (true)",
		"exists (x=1)":                     "exists ([x]=1)",
		"forall x=1":                       "forall ([x]=1)",
		"~exists (x=1)":                    "~exists ([x]=1)",
		"~ exists x=1":                     "~exists ([x]=1)",
		"final x=1":                        "exists ([x]=1)",
		"(x=1)":                            "exists ([x]=1)",
		"exists (x=1);":                    "exists ([x]=1)",
		"exists (x=-1)\nwith tso: ~exists": "exists ([x]=-1)",
		"locations [x;]":                   "forall (true)",
		"exists false":                     "exists (false)",
		`exists (x=1 \/ x=2) /\ x=3`:       `exists (([x]=1 \/ [x]=2) /\ [x]=3)`,
		"exists x==0xff":                   "exists ([x]=255)",
		"forall 0:XZR=0":                   "forall (0:XZR=0)",
	} {
		test, err := Parse("t", []byte("AArch64 T\n{0:X1=x;}\nP0;\nNOP;\n"+tail))
		if err != nil {
			t.Errorf("%q: %v", tail, err)
		} else if got := test.ConditionText(); got != want {
			t.Errorf("%q: %s, want %s", tail, got, want)
		}
	}
}

// TestBadInput: what is malformed, or outside, ends in one line that says
// where, what and, as far as possible, how to mend it.
func TestBadInput(t *testing.T) {
	in := func(init, code, tail string) string {
		return "AArch64 T\n{" + init + "}\nP0;\n" + code + "\n" + tail
	}
	nine := "P0|P1|P2|P3|P4|P5|P6|P7|P8;\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "bad:1: expected `AArch64 NAME` as the first line, found the end of the file"},
		"another machine":     {"X86 T\n{}\nP0;\n", `bad:1: expected ` + "`AArch64 NAME`" + ` as the first line, found "X86"`},
		"no name":             {"AArch64\n{}", "bad:1: expected the test's name after AArch64"},
		"name":                {"AArch64 a@b\n{}", `bad:1: "a@b" is no test name; letters, digits and + . - / [ ] : _ may be used`},
		"no state":            {"AArch64 T\n", "bad:2: expected the initial state `{ … }`"},
		"open state":          {"AArch64 T\n{ x=1;\n", "bad:2: the initial state is never closed; add }"},
		"open comment":        {"AArch64 T\n{}\n(* P0;", "bad:3: comment (* is never closed; add *)"},
		"open doc":            {"AArch64 T\n\"doc\n{}\nP0;\n", `bad:1: the document string is never closed; add "`},
		"no program":          {"AArch64 T\n{}\n", "bad:3: expected the program, `P0 | P1 ;`, found the end of the file"},
		"no threads":          {"AArch64 T\n{}\nMOV W0,#1;\n", "bad:3: expected the names of threads, `P0 | P1 ;`, found \"MOV W0,#1\""},
		"gap":                 {"AArch64 T\n{}\nP0|P2;\n", "bad:3: thread P2 in column 1; threads are numbered P0, P1, … from the left"},
		"nine threads":        {"AArch64 T\n{}\n" + nine, "bad:3: 9 threads; a test may have 8 (MaxThreads)"},
		"more columns":        {"AArch64 T\n{}\nP0;\nNOP|NOP;\n", "bad:4: 2 columns; the first row has 1"},
		"no semicolon":        {in("", "NOP", ""), "bad:4: expected ; at the end of the row \"NOP\""},
		"long thread":         {in("", strings.Repeat("NOP;\n", MaxInstructions+1), ""), "bad:260: more than 256 instructions in P0 (MaxInstructions)"},
		"variables":           {in(manyVariables(), "NOP;", ""), "bad:2: more than 64 variables (MaxVariables)"},
		"elements":            {in("int x[257];", "NOP;", ""), "bad:2: x: an array has 1 to 256 elements (MaxElements)"},
		"type":                {in("unit64_t x;", "NOP;", ""), `bad:2: unknown type "unit64_t"; int, uint64_t and the like are known`},
		"type that prints":    {in("unit64_t 0:X0=1;", "NOP;", "exists 0:X0=1"), `bad:2: unknown type "unit64_t"; int, uint64_t and the like are known`},
		"wide type":           {in("uint128_t x;", "NOP;", ""), "bad:2: uint128_t: vectors of 128 bits are outside this model"},
		"init value":          {in("x=;", "NOP;", ""), `bad:2: expected a number or a variable's name, found ";"`},
		"init number":         {in("x=0x1ffffffffffffffff;", "NOP;", ""), `bad:2: "0x1ffffffffffffffff" is no 64-bit number`},
		"init twice":          {in("x=1; x=2;", "NOP;", ""), "bad:2: x has two initial values"},
		"register twice":      {in("0:X1=1; 0:X1=2;", "NOP;", ""), "bad:2: 0:X1 has two initial values"},
		"init separator":      {in("x=1 y=2", "NOP;", ""), `bad:2: expected ; between initial values, found "y"`},
		"init thread":         {in("1:X0=1;", "NOP;", ""), "bad:2: the initial state sets 1:X0, but threads are P0 to P0"},
		"init register":       {in("0:X31=1;", "NOP;", ""), `bad:2: unknown register "X31"; X0 to X30 and SP have values`},
		"init zero":           {in("0:XZR=1;", "NOP;", ""), "bad:2: the zero register has no initial value"},
		"array value":         {in("int x[2]={1};", "NOP;", ""), "bad:2: x has 2 elements; 1 values are given"},
		"array values":        {in("int x[2]={1,2,3};", "NOP;", ""), "bad:2: x has 2 elements; more values are given"},
		"element value":       {in("x[1]=2;", "NOP;", ""), "bad:2: only whole arrays have initial values; write `int x[1]={…}`"},
		"element of scalar":   {in("int x; 0:X0=x[2];", "NOP;", ""), "bad:2: x is no array; declare it with its size, as in `int x[2]`"},
		"element outside":     {in("int x[2]; 0:X0=x[2];", "NOP;", ""), "bad:2: x has 2 elements; there is no x[2]"},
		"page table":          {in("[PTE(x)]=(oa:PA(x));", "NOP;", ""), "bad:2: PTE(…: page tables, tags, pointer authentication and faults are outside user mode"},
		"tag":                 {in("0:X0=x:red;", "NOP;", ""), "bad:2: x…: labels, instructions, tags and signed pointers as values are outside user mode"},
		"label value":         {in("0:X0=P0:L;", "L: NOP;", ""), "bad:2: P0…: labels, instructions, tags and signed pointers as values are outside user mode"},
		"instruction value":   {in(`0:X0=instr:"NOP";`, "NOP;", ""), "bad:2: instr…: labels, instructions, tags and signed pointers as values are outside user mode"},
		"signed pointer":      {in("0:X0=pacda(x,0);", "NOP;", ""), "bad:2: pacda…: labels, instructions, tags and signed pointers as values are outside user mode"},
		"symbolic register":   {in("%r=x;", "NOP;", ""), "bad:2: no thread uses the symbolic register %r"},
		"symbolic twice":      {"AArch64 T\n{}\nP0|P1;\nNEG X%r,X1|NEG X%r,X1;\n", "bad:5: the symbolic register %r is used by several threads; give each its own name"},
		"symbolic condition":  {in("x;", "MOV X0,X%r;", "exists %q=1"), "bad:5: no thread uses the symbolic register %q"},
		"symbolic value":      {in("%r=1; %r=2;", "MOV X0,X%r;", ""), "bad:2: %r has two initial values"},
		"variant":             {"AArch64 T\nVariant=vmsa\n{}\nP0;\nNOP;\n", "bad:2: Variant=vmsa is outside user mode with plain memory"},
		"fault handler":       {"AArch64 T\n{}\nP0|P0.F;\nNOP|NOP;\n", "bad:3: P0.F: fault handlers are outside user mode"},
		"unknown instruction": {in("", "LDDR X0,[X1];", ""), `bad:4: unknown instruction "LDDR"; did you mean LDAR?`},
		"mad instruction":     {in("", "FROB X0;", ""), `bad:4: unknown instruction "FROB"`},
		"system instruction":  {in("", "TLBI VMALLE1;", ""), "bad:4: TLBI: system registers and maintenance are outside user mode"},
		"system register":     {in("", "MRS X0,TTBR0_EL1;", ""), "bad:4: MRS X0,TTBR0_EL1: system registers are outside user mode"},
		"exception":           {in("", "SVC #0;", ""), "bad:4: SVC: exceptions are outside this model"},
		"call":                {in("", "BL L; L:;", ""), "bad:4: BL: addresses of code are outside this model"},
		"vector":              {in("", "LDR Q0,[X1];", ""), "bad:4: Q0: vector registers are outside this model"},
		"few operands":        {in("", "LDR X0;", ""), "bad:4: LDR X0: expected an address such as [X1] as the next operand"},
		"many operands":       {in("", "MUL X0,X1,X2,X3;", ""), `bad:4: MUL X0,X1,X2,X3: one operand too many: "X3"`},
		"mixed widths":        {in("", "ADD X0,W1,X2;", ""), "bad:4: ADD X0,W1,X2: W and X registers are mixed at W1"},
		"narrow operand":      {in("", "ADD X0,X1,W2;", ""), "bad:4: ADD X0,X1,W2: W and X registers are mixed at W2"},
		"base":                {in("", "LDR X0,[W1];", ""), `bad:4: LDR X0,[W1]: expected an X register as the base address, found "W1"`},
		"base offset":         {in("", "LDAR X0,[X1,#8];", ""), `bad:4: LDAR X0,[X1,#8]: expected an address [X1] without offset, found "[X1,#8]"`},
		"bracket":             {in("", "LDR X0,[X1;", ""), `bad:4: LDR X0,[X1: expected an address such as [X1], found "[X1"`},
		"condition code":      {in("", "CSEL X0,X1,X2,XX;", ""), `bad:4: CSEL X0,X1,X2,XX: expected a condition such as EQ, found "XX"`},
		"barrier":             {in("", "DMB FOO;", ""), `bad:4: DMB FOO: expected SY, LD, ST, ISH, …, found "FOO"`},
		"label":               {in("", "B L1;", ""), "bad:4: B L1: there is no label L1 in P0"},
		"label twice":         {in("", "L: NOP;\nL: NOP;", ""), "bad:5: label L stands twice in P0"},
		"far":                 {in("", "B .-8;", ""), "bad:4: B .-8: leaves the code of P0"},
		"condition":           {in("", "NOP;", "exist (x=1)"), `bad:5: expected ; at the end of the row "exist (x=1)"`},
		"unknown variable":    {in("x;", "NOP;", "exists (z=1)"), "bad:5: unknown variable z; this test has x"},
		"unknown register":    {in("x;", "NOP;", "exists (0:X77=1)"), `bad:5: unknown register "X77"; X0 to X30 and SP have values`},
		"vector term":         {in("x;", "NOP;", "exists (0:V1=1)"), "bad:5: V1: vector registers are outside this model"},
		"unknown thread":      {in("x;", "NOP;", "exists (3:X1=1)"), "bad:5: there is no thread 3; threads are P0 to P0"},
		"unknown value":       {in("x;", "NOP;", "exists (x=q)"), "bad:5: unknown variable q; this test has x"},
		"no comparison":       {in("x;", "NOP;", "exists (x)"), `bad:5: expected = or <> after x, found ")"`},
		"open parenthesis":    {in("x;", "NOP;", "exists (x=1"), `bad:5: expected ")" to close the proposition, found the end of the file`},
		"more":                {in("x;", "NOP;", "exists (x=1) foo"), `bad:5: expected the end of the file after the condition, found "foo"`},
		"deep":                {in("x;", "NOP;", "exists "+strings.Repeat("(", 300)+"x=1"), "bad:5: more than 200 nested propositions (MaxDepth)"},
		"fault":               {in("x;", "NOP;", "exists fault(P0,x)"), "bad:5: fault(…: faults, page tables and tags are outside user mode"},
		"observed":            {in("x;", "NOP;", "observed x=1;"), "bad:5: lists of observed states are not supported; write exists, ~exists or forall"},
		"locations":           {in("x;", "NOP;", "locations [x y z]"), `bad:5: expected ; or ] after a location, found "z"`},
		"scalar element":      {in("x;", "NOP;", "exists x[0]=1"), "bad:5: x is no array; declare it with its size, as in `int x[2]`"},
		"array as a number":   {in("int x[2];", "NOP;", "exists x=1"), "bad:5: x is an array; compare an element, as in x[0], or with {…}"},
		"array length":        {in("int x[2];", "NOP;", "exists x={1}"), "bad:5: x has 2 elements; 1 values are given"},
		"big file":            {strings.Repeat(" ", MaxFile+1), "bad: 1048577 bytes; a test may have 1048576 (MaxFile)"},
		"nothing but noise":   {"\x00\xff\xfe", `bad:1: expected ` + "`AArch64 NAME`" + ` as the first line, found "\x00"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("bad", []byte(c.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if err.Error() != c.want {
				t.Errorf("\n%s, want\n%s", err, c.want)
			}
		})
	}
}

func manyVariables() string {
	var b strings.Builder
	for i := range MaxVariables + 1 {
		fmt.Fprintf(&b, "x%d; ", i)
	}
	return b.String()
}

// TestImpossible: tests that are well-formed but that no exploration can
// finish, or whose executions leave the model.
func TestImpossible(t *testing.T) {
	for name, c := range map[string]struct{ init, code, want string }{
		"endless loop":      {"", "MOV W0,#1;\nL: CBNZ W0,L;", "bad:5: CBNZ W0,L: a path of more than 4096 instructions (MaxSteps): no load decides when this loop ends"},
		"no address":        {"0:X1=16;", "LDR W0,[X1];", "bad:4: LDR W0,[X1]: accesses address 0x10, which is no variable"},
		"outside":           {"0:X1=x;", "LDR X0,[X1];", "bad:4: LDR X0,[X1]: accesses bytes 0 to 7 of x, which has 4; declare it larger, as in `uint64_t x` or `int x[4]`"},
		"unaligned":         {"0:X1=x; uint64_t x;", "LDR W0,[X1,#2];", "bad:4: LDR W0,[X1,#2]: accesses 4 bytes at offset 2 of x: unaligned accesses are outside this model"},
		"address product":   {"0:X1=x;", "MUL X0,X1,X1;", "bad:4: MUL X0,X1,X1: computes with the address of x; only + and - of addresses are modelled"},
		"half an address":   {"0:X1=x;", "MOV W0,W1;", "bad:4: MOV W0,W1: only 32 bits of the address of x are used"},
		"two addresses":     {"0:X1=x; 0:X2=y;", "ADD X0,X1,X2;", "bad:4: ADD X0,X1,X2: adds two addresses, or to an instruction"},
		"address in parts":  {"0:X1=x; uint64_t x=y;", "LDR W0,[X1];", "bad: a part of an address is read: addresses are modelled as a whole"},
		"over an address":   {"0:X1=x; uint64_t x=y;", "STR W0,[X1];", "bad: x holds an address but is accessed in parts: addresses are modelled as a whole"},
		"too many accesses": {"0:X1=x;", strings.Repeat("STR W0,[X1];\n", MaxEffects+1), "bad:68: STR W0,[X1]: more than 64 memory accesses in one thread (MaxEffects); lower the loop bound"},
	} {
		t.Run(name, func(t *testing.T) {
			test, err := Parse("bad", []byte("AArch64 T\n{"+c.init+"}\nP0;\n"+c.code+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Explore(test, Options{})
			if err == nil {
				t.Fatal("explored")
			}
			if err.Error() != c.want {
				t.Errorf("\n%s, want\n%s", err, c.want)
			}
		})
	}
}

// TestLimits: what would take for ever ends, with the limit named.
func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	column := func(threads, rows int, row string) string {
		var b strings.Builder
		b.WriteString("AArch64 many\n{")
		var head, line []string
		for i := range threads {
			fmt.Fprintf(&b, "%d:X1=x; %d:X0=%d; ", i, i, i+1)
			head, line = append(head, "P"+itoa(i)), append(line, row)
		}
		b.WriteString("}\n" + strings.Join(head, "|") + ";\n")
		for range rows {
			b.WriteString(strings.Join(line, "|") + ";\n")
		}
		return b.String()
	}
	for name, c := range map[string]struct{ text, want string }{
		"events": {column(8, 20, "STR W0,[X1]"), "bad: an execution has 160 events; 128 are possible (MaxEvents); lower the loop bound"},
		"paths":  {column(8, 9, "LDADD W0,W2,[X1]"), "(MaxPaths)"},
	} {
		test, err := Parse("bad", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Explore(test, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := Explore(&Test{File: "bad"}, Options{Bound: -1}); err == nil {
		t.Error("a negative loop bound")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	for i, w := range generated(f) {
		if i%60 == 0 {
			f.Add([]byte(w.Text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		test, err := Parse("fuzz", text)
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "fuzz:") || strings.Contains(msg, "\n") {
				t.Errorf("error %q", msg)
			}
			return
		}
		test.ConditionText()
		accesses := 0
		for _, th := range test.Threads {
			for i := range th.Code {
				in := &th.Code[i]
				if strings.Contains(in.Text, "[") {
					accesses++
				}
				if in.target < i && (in.label != "" || in.distance != 0) {
					return // loops may take long
				}
			}
		}
		if accesses > 6 {
			return
		}
		r, err := Explore(test, Options{})
		if err != nil {
			return
		}
		if text := r.Format(); !strings.HasPrefix(text, "Test "+test.Name) {
			t.Errorf("printed %q", text)
		}
	})
}

func FuzzReadExpectations(f *testing.F) {
	f.Add([]byte(`{"name":"MP","file":"main/MP.litmus","states":[{"0:X0":"1"}],"full_locations":["0:X0"],"full_states":[{"0:X0":"1"}]}`))
	f.Add([]byte("{}\n[]\n"))
	test, err := Parse("MP.litmus", []byte("AArch64 MP\n{0:X0=1;}\nP0;\nNOP;\nexists 0:X0=1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ReadExpectations("fuzz", strings.NewReader(string(text)))
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "fuzz:") || strings.Contains(msg, "\n") {
				t.Errorf("error %q", msg)
			}
			return
		}
		w := e.Of("main/MP.litmus", "MP")
		if w == nil {
			return
		}
		also, err := w.Also(test)
		if err != nil {
			return
		}
		r, err := Explore(test, Options{Also: also})
		if err != nil {
			t.Fatal(err)
		}
		w.Differences(r)
	})
}
