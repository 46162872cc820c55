package chart

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func svg(t *testing.T, c Chart) string {
	t.Helper()
	out, err := c.SVG()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(out)))
	for {
		if _, err := d.Token(); err == io.EOF {
			return string(out)
		} else if err != nil {
			t.Fatalf("no XML: %v", err)
		}
	}
}

// TestTheme: no fixed black and no placeholder is left, and each series has its colour.
func TestTheme(t *testing.T) {
	c := Chart{X: "entries", Y: "exits", LogX: true, Series: []Series{
		{Name: "ring", X: []float64{1, 2, 4}, Y: []float64{3, 2, 1}, Lo: []float64{2, 1, 0}, Hi: []float64{4, 3, 2}},
		{Name: "bitmap", X: []float64{1, 2, 4}, Y: []float64{1, 1, 1}},
	}}
	out := svg(t, c)
	for _, want := range []string{"currentColor", "var(--s1,", "var(--s2,", ">entries<", "system-ui"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in the picture", want)
		}
	}
	if diff := cmp.Diff([]Key{{"ring", "var(--s1,#4477aa)"}, {"bitmap", "var(--s2,#ee6677)"}}, c.Keys()); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"#0102", "Liberation", "<?xml"} {
		if strings.Contains(out, bad) {
			t.Errorf("%s is left in the picture", bad)
		}
	}
}

// TestShapes: what charts may hold is drawn, and what is no series is refused.
func TestShapes(t *testing.T) {
	for name, c := range map[string]Chart{
		"bars":           {Categories: []string{"a", "b"}, Series: []Series{{X: []float64{0, 1}, Y: []float64{1, 2}}, {X: []float64{1}, Y: []float64{2}}}},
		"one point":      {LogX: true, LogY: true, Series: []Series{{X: []float64{5}, Y: []float64{7}}}},
		"zeros on a log": {LogX: true, LogY: true, Series: []Series{{X: []float64{0, 1}, Y: []float64{0, 0}}}},
		"a wide log":     {LogY: true, Series: []Series{{X: []float64{0, 1}, Y: []float64{1e-3, 1e9}}}},
	} {
		t.Run(name, func(t *testing.T) { svg(t, c) })
	}
	if _, err := (&Chart{Series: []Series{{Name: "odd", X: []float64{1}}}}).SVG(); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("a series without values: %v", err)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.00123: "0.00123", 12.345: "12.3", 4096: "4096", 65536: "65.5K", 1.5e6: "1.5M", 2e9: "2G", 9_999_999: "10M", -3: "-3", 1e-7: "1e-07"} {
		if got := Number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}

// TestTable: every value is in the table, at its place.
func TestTable(t *testing.T) {
	c := Chart{X: "n", Y: "y", Series: []Series{{Name: "a", X: []float64{1, 3}, Y: []float64{10, 30}}, {Name: "b", X: []float64{2, 3}, Y: []float64{20, 31}}}}
	heads, rows := c.Table()
	if diff := cmp.Diff([]string{"n", "a", "b"}, heads); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"1", "10", ""}, {"2", "", "20"}, {"3", "30", "31"}}, rows); diff != "" {
		t.Error(diff)
	}
}
