package exec

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ringmap/mmu"
)

// vectors are instructions with what they do, by hand from the manual: registers
// and flags before, after. Numbers are hexadecimal; NZCV is a register of its own.
const vectors = `
# AddWithCarry
adds x0, x1, x2             | x1=7fffffffffffffff x2=1                  | x0=8000000000000000 nzcv=9
adds x0, x1, x2             | x1=ffffffffffffffff x2=1                  | x0=0 nzcv=6
adds w0, w1, w2             | x1=ffffffff7fffffff x2=1                  | x0=80000000 nzcv=9
adds w0, w1, w2             | x1=ffffffff x2=ffffffff00000001           | x0=0 nzcv=6
subs x0, x1, x2             | x1=0 x2=1                                 | x0=ffffffffffffffff nzcv=8
subs x0, x1, x2             | x1=8000000000000000 x2=1                  | x0=7fffffffffffffff nzcv=3
subs x0, x1, x1             | x1=5                                      | x0=0 nzcv=6
subs w0, w1, w2             | x1=180000000 x2=1                         | x0=7fffffff nzcv=3
cmp w1, #1                  | x1=1234567800000001                       | nzcv=6
cmn x1, #1                  | x1=ffffffffffffffff                       | nzcv=6
adcs x0, x1, x2             | x1=ffffffffffffffff x2=0 nzcv=2           | x0=0 nzcv=6
adcs w0, w1, w2             | x1=ffffffff x2=ffffffff nzcv=2            | x0=ffffffff nzcv=a
sbcs x0, x1, x2             | x1=5 x2=5 nzcv=0                          | x0=ffffffffffffffff nzcv=8
sbcs x0, x1, x2             | x1=5 x2=5 nzcv=2                          | x0=0 nzcv=6
sbcs w0, w1, w2             | x1=80000000 x2=0 nzcv=0                   | x0=7fffffff nzcv=3
adc w0, w1, w2              | x1=ffffffff x2=0 nzcv=2                   | x0=0 nzcv=2
ands x0, x1, x2             | x1=8000000000000001 x2=8000000000000000 nzcv=3 | x0=8000000000000000 nzcv=8
ands w0, w1, w2             | x1=180000000 x2=180000000                 | x0=80000000 nzcv=8
bics x0, x1, x1             | x1=ff nzcv=b                              | x0=0 nzcv=4
# Conditions
ccmp x1, #5, #15, eq        | x1=5 nzcv=0                               | nzcv=f
ccmp x1, #5, #15, eq        | x1=5 nzcv=4                               | nzcv=6
ccmn w1, #1, #0, al         | x1=ffffffff                               | nzcv=6
csinc x0, x1, x2, ne        | x1=7 x2=ffffffffffffffff nzcv=4           | x0=0
csneg w0, w1, w2, ne        | x1=7 x2=1 nzcv=4                          | x0=ffffffff
csinv w0, w1, w2, hi        | x1=7 x2=0 nzcv=6                          | x0=ffffffff
csel x0, x1, x2, hi         | x1=7 x2=8 nzcv=2                          | x0=7
csel x0, x1, x2, le         | x1=7 x2=8 nzcv=8                          | x0=7
csel x0, x1, x2, gt         | x1=7 x2=8 nzcv=9                          | x0=7
# Shifts and extensions
lsl x0, x1, x2              | x1=1 x2=41                                | x0=2
lsl w0, w1, w2              | x1=1 x2=20                                | x0=1
asr w0, w1, w2              | x1=80000000 x2=1f                         | x0=ffffffff
ror x0, x1, x2              | x1=1 x2=1                                 | x0=8000000000000000
ror w0, w1, w2              | x1=1 x2=1                                 | x0=80000000
add x0, x1, x2, asr #63     | x1=1 x2=8000000000000000                  | x0=0
add w0, w1, w2, asr #31     | x1=1 x2=80000000                          | x0=0
orr x0, x1, x2, ror #4      | x1=0 x2=f                                 | x0=f000000000000000
add x0, x1, w2, sxtb #2     | x1=0 x2=180                               | x0=fffffffffffffe00
add x0, x1, w2, uxth #4     | x1=0 x2=1ffff                             | x0=ffff0
add sp, sp, x2, uxtx #3     | sp=1000 x2=2                              | sp=1010
sub w0, w1, w2, sxtw        | x1=0 x2=1                                 | x0=ffffffff
# Bit fields
ubfx x0, x1, #60, #4        | x1=f000000000000000                       | x0=f
sbfx x0, x1, #4, #4         | x1=80                                     | x0=fffffffffffffff8
sbfx w0, w1, #4, #4         | x1=80                                     | x0=fffffff8
ubfiz x0, x1, #60, #4       | x1=ff                                     | x0=f000000000000000
sbfiz w0, w1, #24, #4       | x1=8                                      | x0=f8000000
bfi x0, x1, #8, #8          | x0=ffffffffffffffff x1=0                  | x0=ffffffffffff00ff
bfxil w0, w1, #8, #8        | x0=ffffffffffffffff x1=1200               | x0=ffffff12
extr x0, x1, x2, #0         | x1=1 x2=2                                 | x0=2
extr x0, x1, x2, #4         | x1=1 x2=20                                | x0=1000000000000002
extr w0, w1, w2, #31        | x1=1 x2=80000000                          | x0=3
# Bits
rbit w0, w1                 | x1=ff00000001                             | x0=80000000
rev16 x0, x1                | x1=1122334455667788                       | x0=2211443366558877
rev32 x0, x1                | x1=1122334455667788                       | x0=4433221188776655
rev w0, w1                  | x1=1122334455667788                       | x0=88776655
clz w0, w1                  | x1=ffffffff00000000                       | x0=20
cls x0, x1                  | x1=0                                      | x0=3f
cls w0, w1                  | x1=c0000000                               | x0=1
# Multiplication, division
smulh x0, x1, x2            | x1=ffffffffffffffff x2=ffffffffffffffff   | x0=0
smulh x0, x1, x2            | x1=8000000000000000 x2=2                  | x0=ffffffffffffffff
umulh x0, x1, x2            | x1=ffffffffffffffff x2=ffffffffffffffff   | x0=fffffffffffffffe
smaddl x0, w1, w2, x3       | x1=80000000 x2=80000000 x3=1              | x0=4000000000000001
umsubl x0, w1, w2, x3       | x1=ffffffff x2=2 x3=0                     | x0=fffffffe00000002
msub w0, w1, w2, w3         | x1=3 x2=5 x3=1                            | x0=fffffff2
sdiv x0, x1, x2             | x1=8000000000000000 x2=ffffffffffffffff   | x0=8000000000000000
sdiv w0, w1, w2             | x1=80000000 x2=ffffffff                   | x0=80000000
sdiv w0, w1, w2             | x1=fffffff9 x2=2                          | x0=fffffffd
udiv x0, x1, x2             | x0=5 x1=7 x2=0                            | x0=0
sdiv x0, x1, x2             | x0=5 x1=7 x2=0                            | x0=0
# CRC32 of "1" to "8": the checksum of "12345678" before its last inversion
crc32x w0, w1, x2           | x1=ffffffff x2=3837363534333231           | x0=651f2550
crc32cx w0, w1, x2          | x1=ffffffff x2=3837363534333231           | x0=9f787f65
crc32b w0, w1, w2           | x1=0 x2=1                                 | x0=77073096
crc32cb w0, w1, w2          | x1=0 x2=1                                 | x0=f26b8303
# Memory: m is the 8 bytes at x9
ldrsb w0, [x9]              | m=80                                      | x0=ffffff80
ldrsb x0, [x9]              | m=80                                      | x0=ffffffffffffff80
ldrsw x0, [x9], #4          | m=80000000                                | x0=ffffffff80000000 x9=20004
ldr w0, [x9, #4]!           | m=1122334455667788                        | x0=11223344 x9=20004
strh w0, [x9, x1, lsl #1]   | m=0 x0=12345 x1=1                         | m=23450000
str x0, [x9, w1, sxtw #3]   | m=0 x0=7 x9=20008 x1=ffffffff             | m=7
ldpsw x0, x1, [x9]          | m=fffffffe00000001                        | x0=1 x1=fffffffffffffffe
swp w0, w1, [x9]            | m=1122334455667788 x0=99                  | m=1122334400000099 x1=55667788
ldaddb w0, w1, [x9]         | m=1ff x0=1                                | m=100 x1=ff
ldsmaxh w0, w1, [x9]        | m=8000 x0=1                               | m=1 x1=8000
ldsminh w0, w1, [x9]        | m=8000 x0=1                               | m=8000 x1=8000
ldumax w0, w1, [x9]         | m=80000000 x0=1                           | m=80000000 x1=80000000
ldclr x0, x1, [x9]          | m=ff x0=f                                 | m=f0 x1=ff
ldset x0, xzr, [x9]         | m=f0 x0=f                                 | m=ff
casb w0, w1, [x9]           | m=1177 x0=ff77 x1=22                      | m=1122 x0=77
cas x0, x1, [x9]            | m=5 x0=6 x1=7                             | m=5 x0=5
casp w0, w1, w2, w3, [x9]   | m=200000001 x0=1 x1=2 x2=3 x3=4           | m=400000003 x0=1 x1=2
stxr w0, x1, [x9]           | m=1 x1=2                                  | m=1 x0=1
dc zva, x9                  | m=1                                       | m=0
`

const vectorData = 0x20000

func TestVectors(t *testing.T) {
	for line := range strings.Lines(vectors) {
		columns := strings.Split(strings.TrimSpace(line), "|")
		if len(columns) != 3 {
			continue
		}
		m := mmu.NewMemory()
		put(t, m, columns[0], 0x10000)
		e := flat(t, m)
		e.PE.PC = 0x10000
		e.PE.X[9] = vectorData
		assign(t, e, columns[1])
		want, after := flat(t, mmu.NewMemory()), mmu.NewMemory()
		*want.PE.State = *e.PE.State
		after.Store(vectorData, 8, m.Load(vectorData, 8), mmu.WriterImage)
		want.mem = after
		assign(t, want, columns[2])
		if s := e.Run(1); s.Kind != StopLimit {
			t.Errorf("%s%+v", line, s)
			continue
		}
		want.PE.PC = 0x10004
		if *e.PE.State != *want.PE.State {
			t.Errorf("%safter: %s", line, describe(e))
		}
		if got, want := m.Load(vectorData, 8), after.Load(vectorData, 8); got != want {
			t.Errorf("%sm=%x", line, got)
		}
	}
}

// assign sets registers, and m in memory.
func assign(t *testing.T, e *Exec, s string) {
	for _, word := range strings.Fields(s) {
		name, number, _ := strings.Cut(word, "=")
		v, err := strconv.ParseUint(number, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "m":
			e.mem.Store(vectorData, 8, v, mmu.WriterImage)
		case "nzcv":
			e.PE.NZCV = uint8(v)
		case "sp":
			e.PE.SP[0] = v
		default:
			n, err := strconv.Atoi(name[1:])
			if err != nil {
				t.Fatal(err)
			}
			e.PE.X[n] = v
		}
	}
}

func describe(e *Exec) string {
	var b strings.Builder
	for i := range 4 {
		fmt.Fprintf(&b, "x%d=%x ", i, e.PE.X[i])
	}
	fmt.Fprintf(&b, "x9=%x sp=%x nzcv=%x", e.PE.X[9], e.PE.SP[0], e.PE.NZCV)
	return b.String()
}
