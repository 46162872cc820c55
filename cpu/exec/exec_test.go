package exec

import (
	"testing"

	"ringmap/cpu/arch"
	"ringmap/cpu/cache"
	"ringmap/cpu/isa"
	"ringmap/mmu"
	"ringmap/sim"
)

// Where flat puts its translation table and its vectors.
const (
	tableAt   = 0x3ff0_0000
	vectorsAt = 0x4000_0000
)

// flat returns a PE at EL0 with the first GiB mapped to itself, for everything
// that EL0 does, and the second for EL1, where each vector hands its exception
// to the modelled kernel at EL2 (HVC), and returns.
func flat(t testing.TB, m *mmu.Memory) *Exec { return flatIn(t, m, mmu.NewDomain()) }

func flatIn(t testing.TB, m *mmu.Memory, d *mmu.Domain) *Exec {
	tlb := new(mmu.TLB)
	d.Add(tlb, mmu.NeoverseN1)
	pe := arch.NewPE(m, d, tlb, arch.Clock{CoreHz: 3_000_000_000})
	pe.HostEL2 = true
	s := new(arch.State)
	s.Reset(1, 0)
	const block, user = 1<<10 | 3<<8 | 1, 1 << 6 // AF, inner shareable
	m.Store(tableAt, 8, block|user, mmu.WriterImage)
	m.Store(tableAt+8, 8, 1<<54|1<<30|block, mmu.WriterImage) // UXN
	for at := uint64(vectorsAt); at < vectorsAt+0x800; at += 0x80 {
		put(t, m, "hvc #0\neret", at)
	}
	s.Reg[arch.VBAR_EL1] = vectorsAt
	s.Reg[arch.TTBR0_EL1] = tableAt
	s.Reg[arch.TCR_EL1] = 25 | 1<<23 | 2<<32 // 39 bits below, nothing above, 40 bits out
	s.Reg[arch.MAIR_EL1] = 0xff
	s.Reg[arch.SCTLR_EL1] |= 1 | 1<<14 | 1<<15 | 1<<26 // M, and what EL0 may: DC ZVA, CTR, cache maintenance
	s.Reg[arch.CPACR_EL1] = 3 << 20
	s.EL, s.SPSel = 0, 0
	pe.Load(s, nil)
	return New(m, NewCode(m), pe)
}

// program returns a PE at the start of a program at an address.
func program(t testing.TB, src string, base uint64) *Exec {
	t.Helper()
	m := mmu.NewMemory()
	put(t, m, src, base)
	e := flat(t, m)
	e.PE.PC = base
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
	for _, m := range []Model{Atomic, Inorder} {
		bench := func(e *Exec) func(b *testing.B) {
			e.Attach(cache.New(cache.NeoverseN1, 1), 0)
			e.Switch(m)
			return func(b *testing.B) {
				e.Until = e.Retired + uint64(b.N)
				if s := e.Run(sim.Never); s.Kind != StopLimit {
					b.Fatalf("%+v at %#x", s, e.PE.PC)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Minstr/s")
			}
		}
		e := program(b, hotLoop, 0x10000)
		e.PE.X[0] = 1 << 60
		b.Run(m.String()+"/hotloop", bench(e))
		e = program(b, programText, 0x10000)
		e.PE.X[1], e.PE.X[2], e.PE.X[10], e.PE.X[11] = 0x100000, 256, 6364136223846793005, 1442695040888963407
		b.Run(m.String()+"/program", bench(e))
	}
}
