package gobench

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"
)

// TestWrite: what is written is what the format's own reader understands.
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, []Config{{"version", "0.1.0"}}, []Row{
		{Axes: []Axis{{"scenario", "a b/c"}, {"seed", "-7"}}, Values: []Value{{"time.cycles", 123456789012, true, -1}, {"ns/op", 5e8, false, -1}}},
		{Axes: []Axis{{"scenario", "x"}}, Values: []Value{{"time.cycles", 5, true, -1}, {"guest.accesses", 0.125, true, 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := benchfmt.NewReader(&b, "test")
	type row struct {
		name   string
		values map[string]float64
	}
	var got []row
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			g := row{rec.Name.String(), map[string]float64{}}
			for _, v := range rec.Values {
				g.values[v.Unit] = v.Value
			}
			got = append(got, g)
			if v := rec.GetConfig("version"); v != "0.1.0" {
				t.Errorf("version %q", v)
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	want := []row{
		{"Ringmap/scenario=a_b_c/seed=_7", map[string]float64{"time.cycles": 123456789012, "sec/op": 0.5}},
		{"Ringmap/scenario=x", map[string]float64{"time.cycles": 5, "guest.accesses": 0.125}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	units := r.Units()
	for unit, want := range map[string][2]string{"time.cycles": {"exact", "lower"}, "guest.accesses": {"exact", "higher"}, "ns/op": {"", "lower"}} {
		assume, better := units.Get(unit, "assume"), units.Get(unit, "better")
		if assume == nil && want[0] != "" || assume != nil && assume.Value != want[0] || better == nil || better.Value != want[1] {
			t.Errorf("unit %s: assume %v, better %v, want %v", unit, assume, better, want)
		}
	}
}
