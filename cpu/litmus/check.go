package litmus

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Expectation is what an oracle found for a test: one line of a file of
// expectations.
type Expectation struct {
	Name          string              `json:"name"`
	File          string              `json:"file"`
	Observation   string              `json:"observation"` // Never, Sometimes or Always
	Verdict       string              `json:"verdict"`     // Ok or No, with "Loop " before it if the oracle stopped at its bound
	States        []map[string]string `json:"states"`
	FullLocations []string            `json:"full_locations"`
	FullStates    []map[string]string `json:"full_states"`
}

// Expectations finds the expectation of a test.
type Expectations struct {
	all    []Expectation
	byFile map[string]int
	byName map[string]int // -1 if several tests have the name
}

// maxExpectation is the longest line of a file of expectations, in bytes.
const maxExpectation = 64 << 20

// ReadExpectations reads one JSON object a line. file names it in errors.
func ReadExpectations(file string, r io.Reader) (*Expectations, error) {
	e := &Expectations{byFile: map[string]int{}, byName: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxExpectation)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var one Expectation
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, &Error{File: file, Line: n, Msg: fmt.Sprintf("expected a JSON object with name, file and states: %s", err)}
		}
		if one.Name == "" && one.File == "" || one.States == nil {
			return nil, &Error{File: file, Line: n, Msg: "expected a JSON object with name, file and states"}
		}
		e.all = append(e.all, one)
		if one.File != "" {
			e.byFile[one.File] = len(e.all) - 1
		}
		if _, twice := e.byName[one.Name]; twice {
			e.byName[one.Name] = -1
		} else {
			e.byName[one.Name] = len(e.all) - 1
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &Error{File: file, Msg: err.Error()}
	}
	return e, nil
}

// Of returns the expectation of a test, or nil: the one whose file is the end
// of the test's path, failing that the one of its name.
func (e *Expectations) Of(path, name string) *Expectation {
	path = strings.ReplaceAll(path, "\\", "/")
	for tail := path; ; {
		if i, ok := e.byFile[tail]; ok {
			return &e.all[i]
		}
		_, rest, found := strings.Cut(tail, "/")
		if !found {
			break
		}
		tail = rest
	}
	if i, ok := e.byName[name]; ok && i >= 0 {
		return &e.all[i]
	}
	return nil
}

// Also returns the terms that the expectation shows besides those of the test.
func (w *Expectation) Also(t *Test) ([]Term, error) {
	var terms []Term
	for _, text := range w.FullLocations {
		term, err := t.ParseTerm(text)
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
	}
	return terms, nil
}

// Differences compares a result, whose exploration showed w.Also, with what is
// expected, and returns one line for each difference.
func (w *Expectation) Differences(r *Result) []string {
	t := r.Test
	out := compareStates("state", t, t.shown(), r.Project(t.shown()), w.States)
	if w.FullStates != nil {
		terms, err := w.Also(t)
		if err != nil {
			return append(out, err.Error())
		}
		slices.SortFunc(terms, t.compareTerms)
		out = append(out, compareStates("full state", t, terms, r.Project(terms), w.FullStates)...)
	}
	return out
}

func compareStates(what string, t *Test, terms []Term, have []State, want []map[string]string) (out []string) {
	found := map[string]bool{}
	for _, s := range have {
		found[rowText(t.stateMap(terms, s))] = true
	}
	for _, row := range want {
		text := rowText(row)
		if !found[text] {
			out = append(out, fmt.Sprintf("missing %s %s", what, text))
		}
		delete(found, text)
	}
	for _, text := range slices.Sorted(maps.Keys(found)) {
		out = append(out, fmt.Sprintf("unexpected %s %s", what, text))
	}
	return out
}

func rowText(row map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(row)) {
		parts = append(parts, k+"="+row[k]+";")
	}
	return strings.Join(parts, " ")
}

// ParseTerm reads a term of this test: `0:X1`, `x` or `x[0]`.
func (t *Test) ParseTerm(text string) (Term, error) {
	p := &parser{scanner: scanner{file: t.File, text: text, line: 0}, test: t}
	term, err := p.term()
	if err == nil && p.peek() != 0 {
		err = p.fail(0, "expected one location, found %s", quote(text))
	}
	return term, err
}
