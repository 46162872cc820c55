package litmus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// The corpus is 1,178 tests with the states that herd7 7.58+1 allows. Those
// that a generator made are in testdata; those of herdtools7 are read in place
// from the folder in RINGMAP_LITMUS.
const generatedArchive = "testdata/generated.jsonl.zst"

var update = flag.Bool("update", false, "write "+generatedArchive+" from the folder in RINGMAP_LITMUS")

// recorded is a test with what herd7 found.
type recorded struct {
	Expectation
	Part     string              `json:"part"`
	Text     string              `json:"text"`
	SCStates []map[string]string `json:"sc_full_states"`
	SCExact  bool                `json:"sc_subset_ok"`
}

// litmusFolder is where the tests are; it skips a test if there are none.
func litmusFolder(t testing.TB) string {
	dir := os.Getenv("RINGMAP_LITMUS")
	if dir == "" {
		dir = "../../../shared/litmus"
	}
	if _, err := os.Stat(filepath.Join(dir, "expected.jsonl")); err != nil {
		t.Skipf("no litmus tests in %s; RINGMAP_LITMUS names the folder", dir)
	}
	return dir
}

// folder reads the tests of litmusFolder whose path contains origin.
func folder(t testing.TB, origin string) (out []recorded) {
	dir := litmusFolder(t)
	f, err := os.Open(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, r := range readRecorded(t, f) {
		if !strings.Contains(r.File, "/"+origin+"/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, r.File))
		if err != nil {
			t.Fatal(err)
		}
		r.Text = string(text)
		out = append(out, r)
	}
	return out
}

func readRecorded(t testing.TB, from io.Reader) (out []recorded) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// generated reads the tests in testdata.
func generated(t testing.TB) []recorded {
	f, err := os.Open(generatedArchive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return readRecorded(t, z)
}

// TestArchive keeps testdata the same as the folder; -update writes it.
func TestArchive(t *testing.T) {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewEncoder(z)
	tests := folder(t, "generated")
	for _, r := range tests {
		if err := lines.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(generatedArchive, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have := generated(t)
	if len(have) != len(tests) {
		t.Fatalf("%d tests in testdata, %d in the folder; run go test -run TestArchive -update", len(have), len(tests))
	}
	for i := range tests {
		if have[i].Text != tests[i].Text || have[i].File != tests[i].File {
			t.Errorf("%s differs from the folder; run go test -run TestArchive -update", tests[i].File)
		}
	}
}

func TestGeneratedCorpus(t *testing.T) {
	checkCorpus(t, generated(t), map[string]int{"main": 853, "mixed": 51, "loops": 12})
}

func TestUpstreamCorpus(t *testing.T) {
	checkCorpus(t, folder(t, "upstream"), map[string]int{"main": 243, "mixed": 18, "loops": 1})
}

// checkCorpus compares every test with what herd7 found, under Arm's model and
// under sequential consistency; TSO must lie between them.
func checkCorpus(t *testing.T, tests []recorded, want map[string]int) {
	have := map[string]int{}
	for i := range tests {
		have[tests[i].Part]++
	}
	for part, n := range want {
		if have[part] != n {
			t.Errorf("%d tests in %s, want %d", have[part], part, n)
		}
	}
	for i := range tests {
		checkRecorded(t, &tests[i])
	}
}

func checkRecorded(t *testing.T, w *recorded) {
	test, err := Parse(w.File, []byte(w.Text))
	if err != nil {
		t.Error(err)
		return
	}
	also, err := w.Also(test)
	if err != nil {
		t.Error(err)
		return
	}
	var results [3]*Result
	for m := range results {
		if results[m], err = Explore(test, Options{Model: Model(m), Also: also}); err != nil {
			t.Error(err)
			return
		}
	}
	arm, tso, sc := results[Arm], results[TSO], results[SC]
	for _, d := range w.Differences(arm) {
		t.Errorf("%s: %s", w.File, d)
	}
	if w.Observation != arm.Observation.String() || w.Verdict != arm.VerdictText() {
		t.Errorf("%s: %s, %s; herd7 says %s, %s", w.File, arm.Observation, arm.VerdictText(), w.Observation, w.Verdict)
	}
	if w.SCExact && w.SCStates != nil && !test.fetching() {
		for _, d := range compareStates("sequentially consistent state", test, also, sc.Project(also), w.SCStates) {
			t.Errorf("%s: %s", w.File, d)
		}
	}
	contains := func(a, b *Result) bool {
		return !slices.ContainsFunc(b.States, func(s State) bool {
			return !slices.ContainsFunc(a.States, func(r State) bool { return slices.Equal(r, s) })
		})
	}
	if !contains(tso, sc) || !contains(arm, tso) {
		t.Errorf("%s: a stronger model allows more", w.File)
	}
}

// TestCounts: the numbers of executions that satisfy the condition, and that do
// not, are those that herd7 prints for its own instruction tests, in
// testdata/counts.txt.
func TestCounts(t *testing.T) {
	texts := map[string]string{}
	for _, w := range folder(t, "upstream") {
		texts[w.File] = w.Text
	}
	table, err := os.ReadFile("testdata/counts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		var file string
		var positive, negative int
		if _, err := fmt.Sscan(line, &file, &positive, &negative); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		test, err := Parse(file, []byte(texts[file]))
		if err != nil {
			t.Error(err)
			continue
		}
		r, err := Explore(test, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if r.Positive != positive || r.Negative != negative {
			t.Errorf("%s: %d and %d executions, want %d and %d", file, r.Positive, r.Negative, positive, negative)
		}
	}
}

// TestSummary is what `ringmap litmus explore --check` counts.
func TestSummary(t *testing.T) {
	dir := litmusFolder(t)
	f, err := os.Open(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expectations, err := ReadExpectations("expected.jsonl", f)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]int{"main": 1096, "mixed": 69, "loops": 13} {
		found := 0
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".litmus") {
				if e := expectations.Of(filepath.ToSlash(path), "no such name"); e != nil && strings.HasSuffix(filepath.ToSlash(path), e.File) {
					found++
				}
			}
			return err
		})
		if err != nil || found != want {
			t.Errorf("%s: %d tests have an expectation by file, want %d (%v)", part, found, want, err)
		}
	}
}

// BenchmarkLitmusExplore parses and explores all tests of main, those of
// herdtools7 included if they are present, on all processors.
func BenchmarkLitmusExplore(b *testing.B) {
	tests := generated(b)
	if dir := os.Getenv("RINGMAP_LITMUS"); dir != "" || fileExists("../../../shared/litmus/expected.jsonl") {
		tests = append(tests, folder(b, "upstream")...)
	}
	tests = slices.DeleteFunc(tests, func(r recorded) bool { return r.Part != "main" })
	b.ReportAllocs()
	b.ReportMetric(float64(len(tests)), "tests")
	for b.Loop() {
		var wg sync.WaitGroup
		n := runtime.GOMAXPROCS(0)
		for k := range n {
			wg.Go(func() {
				for i := k; i < len(tests); i += n {
					test, err := Parse(tests[i].File, []byte(tests[i].Text))
					if err == nil {
						_, err = Explore(test, Options{})
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
