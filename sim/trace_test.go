package sim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func records(tr *Trace) (at []Cycle) {
	tr.Each(func(r Record) { at = append(at, r.At) })
	return at
}

func fill(tr *Trace, from, to Cycle) {
	for at := from; at < to; at++ {
		tr.Add(Record{At: at, Arg: uint64(at) * 3, Comp: 1, Kind: 2})
	}
}

func TestTrace(t *testing.T) {
	tr := NewTrace(4)
	if tr.Len() != 0 || records(tr) != nil {
		t.Error("a new trace is empty")
	}
	fill(tr, 0, 3)
	if diff := cmp.Diff([]Cycle{0, 1, 2}, records(tr)); diff != "" || tr.Dropped != 0 {
		t.Errorf("dropped %d (-want +got):\n%s", tr.Dropped, diff)
	}
	fill(tr, 3, 10)
	if diff := cmp.Diff([]Cycle{6, 7, 8, 9}, records(tr)); diff != "" || tr.Dropped != 6 || tr.Len() != 4 {
		t.Errorf("dropped %d (-want +got):\n%s", tr.Dropped, diff)
	}
	tiny := NewTrace(0)
	fill(tiny, 0, 2)
	if diff := cmp.Diff([]Cycle{1}, records(tiny)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTraceSync(t *testing.T) {
	for _, n := range []Cycle{0, 3, 4, 11} {
		tr, re := NewTrace(4), NewTrace(4)
		fill(re, 100, 107)
		fill(tr, 0, n)
		c := NewEncoder()
		tr.Sync(c)
		d := NewDecoder(c.Finish())
		re.Sync(d)
		if d.Finish(); d.Err() != nil {
			t.Fatal(d.Err())
		}
		fill(tr, n, n+2)
		fill(re, n, n+2)
		if diff := cmp.Diff(records(tr), records(re)); diff != "" || tr.Dropped != re.Dropped {
			t.Errorf("%d records, dropped %d and %d (-undisturbed +restored):\n%s", n, tr.Dropped, re.Dropped, diff)
		}
		small := NewTrace(2)
		d = NewDecoder(c.Finish())
		small.Sync(d)
		if want := min(2, int(n)); small.Len() != want || small.Dropped+uint64(want) != uint64(n) {
			t.Errorf("%d records into a trace of 2: %d kept, %d dropped", n, small.Len(), small.Dropped)
		}
	}
}

func TestTraceAllocates(t *testing.T) {
	tr := NewTrace(16)
	fill(tr, 0, 16)
	if n := testing.AllocsPerRun(10, func() { fill(tr, 0, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
