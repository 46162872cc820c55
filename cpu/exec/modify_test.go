package exec

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/cpu/isa"
	"ringmap/sim"
)

// TestStoreIntoRunningBlock: what a store makes of the instructions behind it, in
// its own block, is executed at once, however the run is cut.
func TestStoreIntoRunningBlock(t *testing.T) {
	const base, target = 0x10000, 0x10008
	words, err := isa.Assemble("mov x2, #2\nmov x3, #3", target)
	if err != nil {
		t.Fatal(err)
	}
	both := uint64(words[1])<<32 | uint64(words[0])
	for _, c := range []struct {
		store  string
		x2, x3 uint64
	}{
		{"str w0, [x9]", 2, 1},
		{"str x0, [x9]", 2, 3},
		{"stp w0, w1, [x9]", 2, 3},
		{"strb w0, [x9]", 2, 1}, // the same but for the immediate and Rd
		{"swp w0, w4, [x9]", 2, 1},
		{"cas w5, w0, [x9]", 2, 1},
		{"stlr w0, [x9]", 2, 1},
		{"str q0, [x9]", 2, 3},
	} {
		for model := range numModels {
			run := func(step sim.Cycle) *Exec {
				e := program(t, "nop\n"+c.store+"\nmov x2, #1\nmov x3, #1\nadd x6, x2, x3\nadd x7, x6, #1\nb .", base)
				e.Switch(model)
				e.PE.X[0], e.PE.X[1], e.PE.X[9] = both, uint64(words[1]), target
				e.PE.X[5] = e.mem.Load(target, 4)
				e.PE.V[0] = [2]uint64{both, e.mem.Load(target+8, 8)}
				if c.store == "strb w0, [x9]" {
					e.PE.X[0] = uint64(words[0]) & 0xff
				}
				for e.Now < 300 {
					e.Run(min(e.Now+step, 300))
				}
				return e
			}
			whole := run(300)
			if x := whole.PE.X; x[2] != c.x2 || x[3] != c.x3 || x[7] != c.x2+c.x3+1 {
				t.Errorf("%v: %s: x2 %d x3 %d x7 %d", model, c.store, x[2], x[3], x[7])
			}
			for _, step := range []sim.Cycle{1, 2, 3, 7} {
				if cut := run(step); *cut.PE.State != *whole.PE.State {
					t.Errorf("%v: %s in steps of %d: %s", model, c.store, step, cmp.Diff(whole.PE.State, cut.PE.State))
				}
			}
		}
	}
}
