package exec

import (
	"bytes"
	"testing"

	"ringmap/cpu/cache"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// TestModelsAgree: random programs leave the same registers and memory, whatever
// the model, and however often it is switched.
func TestModelsAgree(t *testing.T) {
	all := patterns(t)
	for seed := uint64(1); seed <= 4; seed++ {
		g := &generator{t: t, rand: sim.NewStream(seed, "models"), patterns: all, n1: seed%2 == 0, count: map[isa.Op]int{}}
		im := g.image(150, 2)
		want, _ := im.runAs(t, func(*Exec) {})
		got, e := im.runAs(t, func(e *Exec) {
			if e.caches == nil {
				e.Attach(cache.New(cache.NeoverseN1, 1), 0)
			}
			e.Switch(Inorder)
		})
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d: inorder wrote something else than atomic", seed)
		}
		if s := e.Stats.Cycles(); s != uint64(e.Now) || e.Stats.Instructions == 0 {
			t.Errorf("seed %d: %d cycles by cause, %d passed", seed, s, e.Now)
		}
		n := 0
		got, mixed := im.runAs(t, func(e *Exec) {
			n++
			e.Switch(Model(n & 1))
		})
		if !bytes.Equal(got, want) || mixed.Retired != e.Retired {
			t.Fatalf("seed %d: switching wrote something else than atomic; %d instructions, %d", seed, mixed.Retired, e.Retired)
		}
	}
}

// takes runs a loop of the instructions and returns the cycles of one round, in
// hundredths, once everything is warm.
func takes(t *testing.T, with func(*Timing), text string) uint64 {
	t.Helper()
	e := program(t, "mov x20, #0\nagain: "+text+"\nadd x20, x20, #1\nb again", 0x10000)
	e.Attach(cache.New(cache.NeoverseN1, 1), 0)
	e.Switch(Inorder)
	if with != nil {
		with(&e.pipe.Timing)
	}
	e.PE.X[9], e.PE.X[10] = 0x20000, 0x30000
	for i := range mmu.PA(512) { // a chain through a page
		e.mem.Store(0x20000+i*8, 8, uint64(0x20000+(i*8+64)%4096), mmu.WriterImage)
	}
	round := func() uint64 { return e.PE.X[20] }
	e.Run(20_000)
	began, now := round(), e.Now
	e.Run(now + 100_000)
	rounds := round() - began
	return (uint64(e.Now-now)*100 + rounds/2) / rounds
}

// TestLatencies: what a chain of each kind of instruction takes, by hand from the
// table of latencies. Of the loop's own two instructions the branch, at least,
// takes another cycle where both do not fit into the chain's last one.
func TestLatencies(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64 // cycles
	}{
		{"add x0, x0, #1; add x0, x0, #1; add x0, x0, #1; add x0, x0, #1", 5},
		{"add x0, x0, #1; add x1, x1, #1; add x2, x2, #1; add x3, x3, #1", 3}, // two a cycle, and the loop's own
		{"add x0, x0, x1, lsl #4; add x0, x0, x1, lsl #4; add x0, x0, x1, lsl #4", 4},
		{"add x0, x0, x1, lsl #5; add x0, x0, x1, lsr #1; add x0, x0, w1, sxtw", 6},
		{"orr x0, x0, x1, ror #5; eor x0, x0, x1, asr #9; ands x0, x0, x1, lsl #1", 4},
		{"mul w0, w0, w1; mul w0, w0, w1", 4},
		{"mul x0, x0, x1; umulh x0, x0, x1", 9},
		{"mul x0, x5, x1; mul x2, x5, x1; mul x3, x5, x1; mul x4, x5, x1", 12}, // the pipe is busy for 3 each
		{"crc32x w0, w0, x1; crc32x w0, w0, x1; extr x0, x0, x1, #3", 7},
		{"udiv w0, w0, w1", 12},
		{"sdiv x0, x0, x1", 20},
		{"adds x0, x0, #1; adc x0, x0, x0; csel x0, x0, x1, eq; cmp x0, x1; cset x0, eq", 6},
		{"ldr x9, [x9]; ldr x9, [x9]; ldr x9, [x9]", 12},
		{"ldr x0, [x9]; ldr x1, [x9, #8]; ldr x2, [x9, #16]; ldr x3, [x9, #24]", 3}, // nobody waits for them
		{"ldr x0, [x9], #8; ldr x0, [x9], #-8; ldr x0, [x9, #8]!; ldr x0, [x9, #-8]!", 5},
		{"str x0, [x10]; ldr x0, [x10]; str x0, [x10]; ldr x0, [x10]", 8}, // forwarded
		{"ldadd x1, x0, [x10]", 15},
		{"ldadd x1, x0, [x10]; ldadd x1, x2, [x10]", 30}, // to the same place: one after the other
		{"ldxr x0, [x10]; add x0, x0, #1; stxr w2, x0, [x10]; cbnz w2, .-12", 22},
		{"str x0, [x10]; dmb ish", 5},   // the store reaches L1D 4 cycles after it issued
		{"str x0, [x10]; dmb ishst", 2}, // nothing waits
		{"ldr x0, [x10]; dmb ishld", 5},
		{"ldar x0, [x10]; ldr x1, [x9]", 6}, // the second waits
		{"ldapr x0, [x10]; str x1, [x9]", 6},
		{"isb", 13},
		{"cbz x20, .+4; bl .+8; b .+8; ret", 5}, // always the same: predicted
	} {
		if got := takes(t, nil, c.text); got != c.want*100 {
			t.Errorf("%s: %d.%02d cycles, want %d", c.text, got/100, got%100, c.want)
		}
	}
}

// TestLaws: what a sequence takes grows with each parameter by exactly as much as
// it contains of it.
func TestLaws(t *testing.T) {
	for _, c := range []struct {
		name, text string
		set        func(*Timing, uint32)
		base, of   uint32 // value in effect, and how often the sequence contains it
	}{
		{"L1D", "ldr x9, [x9]; ldr x9, [x9]", func(p *Timing, n uint32) { p.L1D = n }, 4, 2},
		{"ToL1D", "ldadd x1, x1, [x10]", func(p *Timing, n uint32) { p.ToL1D = n }, 11, 1},
		{"Forward", "str x0, [x10]; ldr x0, [x10]", func(p *Timing, n uint32) { p.Forward = n }, 4, 1},
		{"Refill", "isb", func(p *Timing, n uint32) { p.Refill = n }, 11, 1},
	} {
		want := takes(t, nil, c.text)
		for _, more := range []uint32{0, 1, 2, 5} {
			got := takes(t, func(p *Timing) { c.set(p, c.base+more) }, c.text)
			if c.name == "Forward" && more > 0 { // never longer than L1D itself has the store
				continue
			}
			if got != want+uint64(100*more*c.of) {
				t.Errorf("%s + %d: %d hundredths of a cycle, want %d", c.name, more, got, want+uint64(100*more*c.of))
			}
		}
	}
}

// TestMispredictions: a branch that goes either way by chance costs its refill
// half of the time, one with a pattern nothing.
func TestMispredictions(t *testing.T) {
	run := func(text string) (mispredicted, branches uint64) {
		e := program(t, "again: "+text+"\nb again", 0x10000)
		e.Switch(Inorder)
		e.PE.X[0], e.PE.X[1] = 88172645463325252, 1
		e.Run(100_000)
		s := e.Stats
		e.Run(600_000)
		return e.Stats.Mispredicted - s.Mispredicted, e.Stats.Branches - s.Branches
	}
	wrong, all := run("eor x0, x0, x0, lsl #13; eor x0, x0, x0, lsr #7; eor x0, x0, x0, lsl #17; tbnz x0, #20, .+4; nop")
	if wrong*100 > all { // to the next instruction either way: nothing to mispredict
		t.Errorf("%d of %d branches that lead to the same place mispredicted", wrong, all)
	}
	wrong, all = run("eor x0, x0, x0, lsl #13; eor x0, x0, x0, lsr #7; eor x0, x0, x0, lsl #17; tbnz x0, #20, .+8; nop")
	if share := 100 * wrong / all; share < 22 || share > 28 {
		t.Errorf("%d of %d branches mispredicted where every second is by chance", wrong, all)
	}
	wrong, all = run("add x1, x1, #1; and x2, x1, #3; cbnz x2, .+8; nop; tbz x1, #1, .+8; nop")
	if wrong*1000 > all {
		t.Errorf("%d of %d branches of a pattern mispredicted", wrong, all)
	}
}

// TestHorizon: an access beyond the horizon has not happened when Run returns, and
// the time that the code takes does not depend on how often that is.
func TestHorizon(t *testing.T) {
	const text = `
again:	ldr	x0, [x9]
	add	x0, x0, #1
	str	x0, [x9]
	ldadd	x0, x2, [x10]
	mul	x3, x3, x0
	stp	x0, x1, [x10, #16]
	cbnz	x0, again`
	start := func() *Exec {
		e := program(t, text, 0x10000)
		e.Attach(cache.New(cache.NeoverseN1, 1), 0)
		e.Switch(Inorder)
		e.PE.X[9], e.PE.X[10] = 0x20000, 0x30000
		return e
	}
	whole, pieces := start(), start()
	whole.Until, pieces.Until = 5000, 5000
	whole.Run(sim.Never)
	for pieces.Retired < 5000 {
		at := pieces.Now
		pieces.Horizon = at
		pieces.Run(sim.Never)
		if pieces.Now == at && pieces.Retired < 5000 {
			t.Fatalf("no progress at %d", at)
		}
	}
	if whole.Now != pieces.Now || *whole.PE.State != *pieces.PE.State || whole.Stats.Stalls != pieces.Stats.Stalls {
		t.Errorf("in one piece %d cycles %v, in small ones %d %v", whole.Now, whole.Stats.Stalls, pieces.Now, pieces.Stats.Stalls)
	}
}
