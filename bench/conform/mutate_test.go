package conform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ringmap/kvmcore"
)

// results are the fields of each op that the kernel decided.
var results = map[string][]string{
	"run": {"exit", "mmio"}, "harvest": {"entries", "n"}, "mmap_vcpu": {"touch"},
	"ring_state": {"clean", "dirty", "reset", "dirty_reset"}, "ring_dump": {"flags", "entries"},
	"get_dirty_log": {"set", "count"}, "host_read": {"nonzero"}, "get_attr": {"val"}, "ctrl": {"completed"},
}

// Every recorded result is looked at: whatever is changed in one, a difference
// is found in that event and that field.
func TestEveryResultCounts(t *testing.T) {
	kernel, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for _, family := range "abcdex" {
		data, err := os.ReadFile(filepath.Join("testdata", "7.2", string(family)+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			s := decoded(t, line)
			if len(line) > 6000 {
				continue
			}
			for i, raw := range s.Events {
				var e map[string]any
				d := json.NewDecoder(bytes.NewReader(raw))
				d.UseNumber()
				if err := d.Decode(&e); err != nil {
					t.Fatal(err)
				}
				op := e["op"].(string)
				fields := results[op]
				if _, ok := e["ret"]; ok {
					fields = slices.Concat(fields, []string{"ret", "err"})
				}
				for _, f := range fields {
					if e[f] == nil || e["ret"] == json.Number("-1") && f != "ret" && f != "err" || tried[op+f] == 25 {
						continue // means nothing, or is not recorded, or was tried often enough
					}
					was := e[f]
					e[f] = changed(f, was)
					bad, err := json.Marshal(e)
					if err != nil {
						t.Fatal(err)
					}
					e[f] = was
					tried[op+f]++
					mutant := decoded(t, strings.Replace(line, string(raw), string(bad), 1))
					if string(mutant.Events[i]) == string(raw) { // an equal event came first
						continue
					}
					r := newWorld(kernel, false).replay(mutant)
					want := fmt.Sprintf("event %d (%s): %s", i, op, f)
					if r.Status != StatusDifferent || !strings.HasPrefix(r.Detail, want) {
						t.Errorf("%s: %s changed to %v: %s %q, want %q", s.ID, want, changed(f, was), r.Status, r.Detail, want)
					}
				}
			}
		}
	}
	for op, fields := range results {
		for _, f := range fields {
			if tried[op+f] == 0 {
				t.Errorf("%s of %s was never tried", f, op)
			}
		}
	}
}

func decoded(t *testing.T, line string) *scenario {
	t.Helper()
	s, err := decodeScenario([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changed returns another value of field f of the same kind.
func changed(f string, v any) any {
	switch v := v.(type) {
	case json.Number:
		if v == "0" {
			return json.Number("1")
		}
		return json.Number("0")
	case string:
		if v == "0x0" {
			return "0x1"
		}
		if strings.HasPrefix(v, "0x") {
			return "0x0"
		}
		return v + "X"
	case map[string]any: // an MMIO exit
		m := maps.Clone(v)
		m["data"] = changed("", m["data"])
		return m
	case []any:
		if len(v) == 0 {
			return map[string]any{"set": [][2]int{{0, 1}}, "entries": [][4]int{{1, 0, 0, 1}}, "nonzero": [][2]string{{"0x0", "0x1"}}}[f]
		}
		list := slices.Clone(v)
		last := &list[len(list)-1]
		if run, ok := (*last).([]any); ok {
			run = slices.Clone(run)
			run[0] = changed("", run[0])
			*last = run
		} else {
			*last = changed("", *last)
		}
		return list
	}
	return v
}
