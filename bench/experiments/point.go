package experiments

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/bench/store"
)

// Point is what an answer takes from one run: a line of the committed records.
type Point struct {
	Sweep   string             `json:"sweep"`
	Key     string             `json:"key"` // hash of version, effective scenario and seed
	Version string             `json:"version"`
	Seed    uint64             `json:"seed"`
	Axes    map[string]string  `json:"axes"`
	Figures map[string]float64 `json:"figures"` // statistics, cycles.GROUP.CAUSE, path.CAUSE; what is 0 is left out
}

// pointOf takes a point from the record of its run.
func pointOf(name string, about *store.About, p store.Point, text []byte) (*Point, error) {
	var r struct {
		Version string             `json:"version"`
		Seed    uint64             `json:"seed"`
		Stats   map[string]any     `json:"stats"`
		Threads []bench.ThreadTime `json:"threads"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	out := &Point{Sweep: name, Key: p.Key, Version: r.Version, Seed: r.Seed, Axes: map[string]string{}, Figures: map[string]float64{}}
	for i, a := range about.Axes {
		if p.Labels[i] != "" {
			out.Axes[a.Key] = p.Labels[i]
		}
	}
	put := func(name string, v float64) {
		if v != 0 && !strings.HasPrefix(name, "vcpu.") {
			out.Figures[name] = v
		}
	}
	stat := func(name string) float64 {
		v, _ := r.Stats[name].(float64)
		return v
	}
	for name := range r.Stats { // into a map again: the order does not matter
		put(name, stat(name))
	}
	for _, m := range bench.StackMetrics(r.Threads) {
		put(m.Name, m.Value)
	}
	for _, m := range bench.PathMetrics(r.Threads, stat) {
		put(m.Name, m.Value)
	}
	perVCPU(out, r.Stats)
	return out, nil
}

// perVCPU keeps of the vCPUs' statistics the greatest, the least and the mean, and
// two of vCPU 0, which some designs ask for more than the others.
func perVCPU(p *Point, stats map[string]any) {
	all := map[string][]float64{}
	for name, v := range stats {
		rest, ok := strings.CutPrefix(name, "vcpu.")
		n, is := v.(float64)
		if _, last, also := strings.Cut(rest, "."); ok && is && also {
			all[last] = append(all[last], n)
		}
	}
	for _, name := range []string{"slowdown", "run.calls"} {
		if n, ok := stats["vcpu.0."+name].(float64); ok && n != 0 {
			p.Figures["vcpu_0."+name] = n
		}
	}
	for name, values := range all {
		sum := 0.0
		slices.Sort(values) // so that the sum does not depend on the map
		for _, v := range values {
			sum += v
		}
		for kind, v := range map[string]float64{"max": slices.Max(values), "min": slices.Min(values), "mean": sum / float64(len(values))} {
			if v != 0 {
				p.Figures["vcpu_"+kind+"."+name] = v
			}
		}
	}
}

// number is an axis's value at a point, NaN where it is none.
func (p *Point) number(axis string) float64 {
	q, ok := scenario.ParseQuantity(p.Axes[axis])
	if !ok {
		return math.NaN()
	}
	return q.Float()
}

// WritePoints is the text of the committed records: a line of JSON a point.
func WritePoints(points []*Point) ([]byte, error) {
	var b bytes.Buffer
	for _, p := range points {
		line, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}
