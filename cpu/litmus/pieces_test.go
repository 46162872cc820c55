package litmus

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPieces: dividing memory where no access does changes nothing, neither
// states nor the number of executions. So the way of tests with mixed sizes is
// checked against the way of those without.
func TestPieces(t *testing.T) {
	compared := 0
	for _, w := range generated(t) {
		test, err := Parse(w.File, []byte(w.Text))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Explore(test, Options{})
		if err != nil {
			t.Fatal(err)
		}
		divided, err := Explore(test, Options{halves: true})
		if err != nil {
			continue // addresses in memory, or too many events
		}
		if diff := cmp.Diff(whole.Format(), divided.Format()); diff != "" {
			t.Errorf("%s (-whole +divided):\n%s", w.File, diff)
		}
		compared++
	}
	if compared < 850 {
		t.Errorf("only %d tests compared", compared)
	}
}
