package exec

import (
	"testing"

	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// flat returns a PE whose virtual addresses are physical ones.
func flat(m *mmu.Memory) *Exec {
	d := mmu.NewDomain()
	t := new(mmu.TLB)
	d.Add(t, mmu.NeoverseN1)
	c := &mmu.Context{Stage1: mmu.Stage1{Normal: true}}
	c.Bind(d)
	return New(m, NewCode(m), Port{TLB: t, Context: c})
}

// program returns a PE at the start of a program at an address.
func program(t testing.TB, src string, base uint64) *Exec {
	t.Helper()
	m := mmu.NewMemory()
	put(t, m, src, base)
	e := flat(m)
	e.pc = base
	return e
}

func put(t testing.TB, m *mmu.Memory, src string, base uint64) {
	t.Helper()
	words, err := isa.Assemble(src, base)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range words {
		m.Store(mmu.PA(base)+mmu.PA(4*i), 4, uint64(w), mmu.WriterImage)
	}
}

const hotLoop = `
loop:	add	x1, x1, #1
	eor	x2, x2, x1
	lsl	x3, x2, #3
	add	x4, x3, x1
	subs	x0, x0, #1
	b.ne	loop
	svc	#0
`

// insertionSort sorts the X2 words at X1 again and again, from a pattern made by
// a linear congruence.
const programText = `
again:	mov	x3, #0
	mov	x4, x9
fill:	madd	x4, x4, x10, x11
	lsr	x5, x4, #40
	str	w5, [x1, x3, lsl #2]
	add	x3, x3, #1
	cmp	x3, x2
	b.lo	fill
	mov	x3, #1
outer:	ldr	w5, [x1, x3, lsl #2]
	mov	x6, x3
inner:	sub	x7, x6, #1
	ldr	w8, [x1, x7, lsl #2]
	cmp	w8, w5
	b.ls	found
	str	w8, [x1, x6, lsl #2]
	mov	x6, x7
	cbnz	x6, inner
found:	str	w5, [x1, x6, lsl #2]
	add	x3, x3, #1
	cmp	x3, x2
	b.lo	outer
	b	again
`

func BenchmarkCore(b *testing.B) {
	bench := func(e *Exec) func(b *testing.B) {
		return func(b *testing.B) {
			if s := e.Run(e.Now + sim.Cycle(b.N)); s.Kind != StopLimit {
				b.Fatalf("%+v at %#x", s, e.pc)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Minstr/s")
		}
	}
	e := program(b, hotLoop, 0x10000)
	e.x[0] = 1 << 60
	b.Run("atomic/hotloop", bench(e))
	e = program(b, programText, 0x10000)
	e.x[1], e.x[2], e.x[10], e.x[11] = 0x100000, 256, 6364136223846793005, 1442695040888963407
	b.Run("atomic/program", bench(e))
}
