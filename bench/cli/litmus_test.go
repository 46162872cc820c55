package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const messagePassing = `AArch64 MP
{ 0:X1=x; 0:X3=y; 1:X1=y; 1:X3=x; }
 P0          | P1          ;
 MOV W0,#1   | LDR W0,[X1] ;
 STR W0,[X1] | LDR W2,[X3] ;
 MOV W2,#1   |             ;
 STR W2,[X3] |             ;
exists (1:X0=1 /\ 1:X2=0)
`

func litmusFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLitmusExplore(t *testing.T) {
	path := litmusFile(t, "MP.litmus", messagePassing)
	want := `Test MP Allowed
States 4
1:X0=0; 1:X2=0;
1:X0=0; 1:X2=1;
1:X0=1; 1:X2=0;
1:X0=1; 1:X2=1;
Ok
Witnesses
Positive: 1 Negative: 3
Condition exists (1:X0=1 /\ 1:X2=0)
Observation MP Sometimes 1 3
`
	if got := good(t, "litmus", "explore", path).stdout; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	for _, model := range []string{"tso", "sc"} {
		if got := good(t, "litmus", "explore", "--model", model, filepath.Dir(path)).stdout; !strings.Contains(got, "Observation MP Never 0 3") {
			t.Errorf("%s:\n%s", model, got)
		}
	}
	var out struct {
		Model string
		Tests []struct {
			Name, Verdict string
			States        []map[string]string
			Cut           bool
		}
	}
	if err := json.Unmarshal([]byte(good(t, "litmus", "explore", "--json", path).stdout), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Tests) != 1 || out.Tests[0].Name != "MP" || out.Tests[0].Verdict != "Ok" || len(out.Tests[0].States) != 4 || out.Tests[0].States[2]["1:X0"] != "1" {
		t.Errorf("%+v", out)
	}
}

func TestLitmusCheck(t *testing.T) {
	path := litmusFile(t, "MP.litmus", messagePassing)
	dir := filepath.Dir(path)
	expect := func(states string) string {
		file := filepath.Join(t.TempDir(), "expected.jsonl")
		line := `{"name":"MP","file":"MP.litmus","states":[` + states + `]}` + "\n" + `{"name":"SB","file":"SB.litmus","states":[]}` + "\n"
		if err := os.WriteFile(file, []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	all := `{"1:X0":"0","1:X2":"0"},{"1:X0":"0","1:X2":"1"},{"1:X0":"1","1:X2":"0"},{"1:X0":"1","1:X2":"1"}`
	o := good(t, "litmus", "explore", dir, "--check", expect(all))
	if o.stdout != "litmus: 1 equal, 0 differ, 0 refused\n" {
		t.Errorf("equal: %s", o.stdout)
	}
	o = ringmap(t, "litmus", "explore", dir, "--check", expect(strings.TrimSuffix(all, `,{"1:X0":"1","1:X2":"1"}`)))
	if o.status != 1 || !strings.HasSuffix(o.stdout, "unexpected state 1:X0=1; 1:X2=1;\nlitmus: 0 equal, 1 differ, 0 refused\n") {
		t.Errorf("differs: status %d, %s", o.status, o.stdout)
	}
	other := litmusFile(t, "XY.litmus", strings.Replace(messagePassing, "AArch64 MP", "AArch64 XY", 1))
	bad := litmusFile(t, "bad.litmus", "AArch64 bad\n{}\nP0;\nBLR X0;\n")
	o = good(t, "litmus", "explore", path, other, bad, "--check", expect(all))
	for _, want := range []string{"no expectation  " + filepath.ToSlash(other), "refused  " + bad + ":4: BLR: addresses of code are outside this model", "litmus: 1 equal, 0 differ, 1 refused\n"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
}

func TestLitmusBadInput(t *testing.T) {
	path := litmusFile(t, "MP.litmus", messagePassing)
	big := litmusFile(t, "big.litmus", strings.Repeat(" ", 10<<20))
	nine := litmusFile(t, "nine.litmus", "AArch64 nine\n{}\nP0|P1|P2|P3|P4|P5|P6|P7|P8;\n")
	loop := litmusFile(t, "loop.litmus", "AArch64 loop\n{}\nP0;\nMOV W0,#1;\nL: CBNZ W0,L;\n")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"litmus", "explore"}, "needs at least one litmus test or folder"},
		{[]string{"litmus", "explor", path}, `unknown command "explor"; did you mean "explore"?`},
		{[]string{"litmus", "explore", "--model", "pso", path}, "--model pso: no such model; "},
		{[]string{"litmus", "explore", "--bound", "0", path}, "--bound 0: must be 1 to 64"},
		{[]string{"litmus", "explore", path + "x"}, path + "x: no such file or directory"},
		{[]string{"litmus", "explore", t.TempDir()}, ": no .litmus file in this folder"},
		{[]string{"litmus", "explore", big}, "big.litmus: 10485760 bytes; a test may have 1048576"},
		{[]string{"litmus", "explore", path, nine}, "nine.litmus:3: 9 threads; a test may have 8 (MaxThreads)"},
		{[]string{"litmus", "explore", loop}, "loop.litmus:5: CBNZ W0,L: a path of more than 4096 instructions"},
		{[]string{"litmus", "explore", path, "--check", path}, "MP.litmus:1: expected a JSON object with name, file and states"},
		{[]string{"litmus", "explore", path, "--check", "nowhere"}, "nowhere: no such file or directory"},
	} {
		o := ringmap(t, c.args...)
		if o.status != 2 || o.stdout != "" || !strings.Contains(o.stderr, c.want) || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%v: status %d, %q %q, want %q", c.args, o.status, o.stdout, o.stderr, c.want)
		}
	}
}
