package litmus

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	labelName = regexp.MustCompile(`\bL(C?\d+)\b`)
	origLine  = regexp.MustCompile(`(?m)^Orig=(.*)$`)
)

// meaning is a test without its comment lines, blanks and names of labels.
func meaning(text string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(text, "AArch64 "), "\n")
	_, body, _ := strings.Cut(text, "{")
	lines := []string{name}
	for _, l := range strings.Split(body, "\n") {
		if l = strings.Join(strings.Fields(labelName.ReplaceAllString(l, "L")), " "); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "\n")
}

// TestMakeGolden makes the tests that diy of herdtools7 wrote from the same cycles.
func TestMakeGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/make.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests := strings.Split(string(text), "\nAArch64 ")
	if len(tests) < 20 {
		t.Fatalf("only %d tests in testdata/make.txt", len(tests))
	}
	for i, want := range tests {
		if i > 0 {
			want = "AArch64 " + want
		}
		words := origLine.FindStringSubmatch(want)[1]
		got, err := Make([]string{words})
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		if diff := cmp.Diff(meaning(want), meaning(got)); diff != "" {
			t.Errorf("%s (-diy +ours):\n%s", words, diff)
		}
		if _, err := Parse("made", []byte(got)); err != nil {
			t.Errorf("%s: what was made cannot be read: %v", words, err)
		}
	}
}

// corpus is the directory of published tests; a test that needs it is skipped
// where it is absent.
func corpus(t testing.TB) string {
	dir := filepath.Join("..", "..", "..", "shared", "litmus", "main", "generated")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the published tests are not here")
	}
	return dir
}

// knownMakeDifference tells where we differ from diy on purpose.
func knownMakeDifference(text string) string {
	for _, d := range []struct{ part, why string }{
		{"uint64_t", "made with an option of diy that declares the variables wider"},
		{"ok0", "diy counts successful store-exclusives in memory; we ask for the status"},
		{"ok1", "likewise"},
		{"LDADD", "diy adds the number of the write; we add what gives it"},
		{"STADD", "likewise"},
		{"LDEOR", "likewise"},
		{"STEOR", "likewise"},
		{"LDCLR", "refused: writes no new value"},
		{"STCLR", "likewise"},
		{"CoRR+posR-pos", "one location: which edge of program order coherence denies is a choice"},
		{"RWC+poss", "likewise"},
		{"CoRW2", "diy's condition does not ask for the Coe of the cycle"},
	} {
		if strings.Contains(text, d.part) {
			return d.why
		}
	}
	return ""
}

// TestMakeCorpus makes every published test again from its cycle.
func TestMakeCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus(t), "*.litmus"))
	if err != nil {
		t.Fatal(err)
	}
	equal, known := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		words := origLine.FindStringSubmatch(string(text))
		if words == nil {
			continue
		}
		if knownMakeDifference(string(text)) != "" {
			known++
			if got, err := Make(words[1:]); err == nil {
				compareAnswers(t, filepath.Base(file), string(text), got)
			}
			continue
		}
		got, err := Make(words[1:])
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if diff := cmp.Diff(meaning(string(text)), meaning(got)); diff != "" {
			t.Errorf("%s (-diy +ours):\n%s", filepath.Base(file), diff)
			continue
		}
		equal++
	}
	t.Logf("%d as diy writes them, %d differ on purpose", equal, known)
	if equal < 600 {
		t.Errorf("only %d tests were compared", equal)
	}
}

// compareAnswers explores a test of diy's and ours from the same cycle: the
// cycle exists in both or in neither.
func compareAnswers(t *testing.T, name, theirs, ours string) {
	t.Helper()
	var possible [2]bool
	for i, text := range []string{theirs, ours} {
		test, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			return
		}
		r, err := Explore(test, Options{})
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			return
		}
		possible[i] = r.Positive > 0
	}
	if possible[0] != possible[1] && !strings.HasPrefix(name, "CoRW2") {
		t.Errorf("%s: possible as diy writes it: %v, as we do: %v\n%s", name, possible[0], possible[1], ours)
	}
}

func TestMakeShort(t *testing.T) {
	for _, c := range []struct{ words, name, cond string }{
		{"PodWW Rfe DpAddr Fre", "MP+po+addr", `exists (1:X1=1 /\ 1:X3=0)`},
		{"Rfe DpAddr Fre PodWW", "MP+po+addr", `exists (1:X1=1 /\ 1:X3=0)`},                 // turned
		{"Fre Po Rfe DMB.SY", "MP+po+dmb.sy", `exists (1:X1=1 /\ 1:X3=0)`},                  // directions from neighbours
		{"PodWW L Rfe A PodRR Fre", "MP", `exists (1:X1=1 /\ 1:X3=0)`},                      // annotations of events
		{"DMB.SYd Wse DMB.SYd Wse", "2+2W+dmb.sys", `exists ([x]=2 /\ [y]=2)`},              // older name of Coe
		{"Coe Coe Rfe PosRW", "W.W.RW+pos", `exists ([x]=3 /\ 2:X1=3 /\ 3:X1=1 /\ 3:X2=2)`}, // a thread watches
	} {
		text, err := Make([]string{c.words})
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		name, _, _ := strings.Cut(text, "\n")
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if diff := cmp.Diff([]string{"AArch64 " + c.name, c.cond}, []string{name, lines[len(lines)-1]}); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", c.words, diff, text)
		}
	}
}

func TestMakeErrors(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"", "no edges; a cycle is written as in: PodWW Rfe DpAddrdR Fre"},
		{"PodWW Rfe PodWR Fre", "Rfe ends in a read, but PodWR starts with a write; did you mean PodRR?"},
		{"PodWW Rfe DpAdrdR Fre", `unknown edge "DpAdrdR"; did you mean DpAddrdR?`},
		{"DMB.SYdWW Rf PodRR Fre", "Rf: does it leave the thread? write Rfe (external) or Rfi (internal)"},
		{"PodWW Rfi PodRR Fre", "1 of the edges leaves its thread; a cycle through two threads or more needs two of Rfe, Fre, Coe"},
		{"PodWW Rfe PosRR Fre", "PodWW is the only edge between different locations, so the cycle does not come back; use one more, or make it PosWW"},
		{"PodWWPA Rfe PodRR Fre", "between PodWWPA and Rfe: a write cannot be an acquire; use L (release)"},
		{"PodWW Rfe PodRRLP Fre", "between Rfe and PodRRLP: a read cannot be a release; use A (acquire) or Q (acquire-PC)"},
		{"PodWWPP RfeLP PodRR Fre", "PodWWPP and RfeLP give different annotations to the event between them: P and L"},
		{"PodW Rfe PodRR Fre", "PodW: write the directions of both ends, as in PodWR"},
		{"PodWWL Rfe PodRR Fre", `PodWWL: "L" after PodWW should be two annotations, of source and target: P plain, A acquire, Q acquire-PC, L release, as in PodWWPL`},
		{"Rfe DpDatadR Fre PodWW", "DpDatadR: a data dependency ends in a write; write DpDatadW"},
		{"PodWW Rfe Amo.LdClr PodWR Fre", "Amo.LdClr: LDCLR writes no value that is new, so no reader can tell; use Amo.LdAdd, Amo.LdEor, Amo.LdSet or Amo.Swp"},
		{"PodWW Rfe Pod Pod Fre", "the event between Pod and Pod may be a read or a write; write the directions, as in PodWR"},
		{strings.Repeat("Rfe PodRW ", 9), "the cycle visits 9 threads; a test may have 8 (MaxThreads)"},
		{strings.Repeat("PodWW ", 70), "more than 64 edges (MaxEdges)"},
		{"Rfe Fre Rfe Fre", "every edge is a communication or an atomic update of one location; add program order, such as PosRR"},
	} {
		_, err := Make([]string{c.words})
		if err == nil {
			t.Errorf("%q: no error, want %q", c.words, c.want)
			continue
		}
		if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.words, diff)
		}
	}
}

// FuzzMake: whatever is made can be read.
func FuzzMake(f *testing.F) {
	for _, s := range []string{"PodWW Rfe DpAddrdR Fre", "DMB.SYdWRPL Fre PodWR Fre", "Rfe LxSxAL PodWW Coe", "A Rfe", "Amo.SwpAL Coe PosWW Rfe", "DpCtrlIsb", "Podww"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, words string) {
		text, err := Make([]string{words})
		if err != nil {
			return
		}
		if _, err := Parse("made", []byte(text)); err != nil {
			t.Errorf("%q: %v\n%s", words, err, text)
		}
	})
}
