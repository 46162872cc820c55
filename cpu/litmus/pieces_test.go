package litmus

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPieces: dividing memory where no access does changes nothing, neither
// states nor the number of executions. So the way of tests with mixed sizes is
// checked against the way of those without.
func TestPieces(t *testing.T) {
	compareWays(t, Options{halves: true}, 850)
}

// TestCoherentPaths: dropping paths early that no execution can contain
// changes nothing.
func TestCoherentPaths(t *testing.T) {
	compareWays(t, Options{coherent: true}, 916)
}

// compareWays explores generated tests with and without an option that must
// make no difference. It may make a test impossible, but not many.
func compareWays(t *testing.T, o Options, enough int) {
	compared := 0
	for _, w := range generated(t) {
		test, err := Parse(w.File, []byte(w.Text))
		if err != nil {
			t.Fatal(err)
		}
		without, err := Explore(test, Options{})
		if err != nil {
			t.Fatal(err)
		}
		with, err := Explore(test, o)
		if err != nil {
			continue // addresses in memory, or too many events
		}
		if diff := cmp.Diff(without.Format(), with.Format()); diff != "" {
			t.Errorf("%s (-without +with):\n%s", w.File, diff)
		}
		compared++
	}
	if compared < enough {
		t.Errorf("only %d tests compared", compared)
	}
}
