package isa

import (
	"fmt"
	mathbits "math/bits"
	"strconv"
	"strings"
)

// An arrangement is how many lanes of which size an operand has: what stands
// behind the dot.
type arrangement uint8

const (
	lanesT      arrangement = iota // as size and Q say
	lanesB                         // bytes, as many as Q says
	lanesH                         // halfwords
	lanesS                         // words
	lanesD                         // doublewords: of 64 bits the register is called d
	lanesImm5                      // as imm5 and Q say
	lanesNarrow                    // as immh and Q say
	lanesWide                      // twice as wide, all 128 bits
	lanesTop                       // d[1]
)

const (
	quadLanes = 1 << 30 // Q
	laneNames = "bhsd"
)

// lanes returns log2 of the bytes of a lane and whether all 128 bits count.
func (a arrangement) lanes(word uint32) (size int, quad bool) {
	quad = word&quadLanes != 0
	switch a {
	case lanesT:
		size = int(word >> 22 & 3)
	case lanesH:
		size = 1
	case lanesS:
		size = 2
	case lanesD:
		size = 3
	case lanesImm5:
		size = mathbits.TrailingZeros32(word>>16|8) & 3
	case lanesNarrow, lanesWide:
		size = mathbits.Len32(word>>19&15) - 1
		if a == lanesWide {
			size, quad = size+1, true
		}
	}
	return size, quad
}

// fields are the bits of an instruction whose operand has such lanes.
func (a arrangement) fields(size int, quad bool) (word uint32) {
	if quad {
		word = quadLanes
	}
	switch a {
	case lanesT:
		word |= uint32(size) << 22
	case lanesImm5:
		word |= 1 << (16 + size)
	case lanesNarrow:
		word |= 1 << (19 + size)
	case lanesWide:
		return 1 << (19 + size - 1)
	}
	return word
}

// A lanesReg is a SIMD register with its lanes: v0.16b.
type lanesReg struct {
	at   uint8
	also uint8 // a second field with the same number
	arrangement
}

func (o lanesReg) text(word uint32) string {
	n := bitsOf(word, o.at, 5)
	size, quad := o.lanes(word)
	switch {
	case o.arrangement == lanesTop:
		return fmt.Sprintf("v%d.d[1]", n)
	case o.arrangement == lanesD && !quad:
		return fmt.Sprintf("d%d", n)
	}
	count := 8 >> size
	if quad {
		count *= 2
	}
	return fmt.Sprintf("v%d.%d%c", n, count, laneNames[size&3])
}

func (o lanesReg) print(in *Inst, _ uint64) string { return o.text(in.Word) }

func (o lanesReg) parse(p *parser) error {
	at := p.at
	name, lanes, dotted := strings.Cut(strings.ToLower(p.next().text), ".")
	n, ok := vectorNumber(name, "vd")
	if ok && o.arrangement == lanesTop {
		if lanes != "d" || !p.skip("[") || !p.skip("1") || !p.skip("]") {
			return p.wrong(at, "the upper half of a register, such as v0.d[1], is due")
		}
		p.word |= n << o.at
		return nil
	}
	size, quad := 3, false
	if ok = ok && dotted == (name[0] == 'v'); dotted && ok {
		size = strings.IndexByte(laneNames, lanes[max(len(lanes), 1)-1:][0])
		count, err := strconv.Atoi(lanes[:max(len(lanes), 1)-1])
		ok = size >= 0 && err == nil && (count<<size == 8 || count<<size == 16)
		quad = count<<max(size, 0) == 16
	}
	if !ok {
		p.at = at
		return p.due("a register")
	}
	p.word |= n<<o.at | o.fields(size, quad)
	if o.also != 0 {
		p.word |= n << o.also
	}
	want := strings.ToLower(p.tokens[at].text)
	if o.text(p.word) != want {
		return p.wrong(at, "these lanes are not possible here")
	}
	return nil
}

// vectorNumber takes the number out of v0, or of a name with another of some letters.
func vectorNumber(name, letters string) (uint32, bool) {
	if len(name) < 2 || !strings.ContainsRune(letters, rune(name[0])) || name[1] == '0' && len(name) > 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(name[1:], 10, 8)
	return uint32(n), err == nil && n < 32
}

// A lane is one lane of a SIMD register: v0.s[1], as imm5 says.
type lane struct{ at uint8 }

func (o lane) print(in *Inst, _ uint64) string {
	imm5 := in.Word >> 16 & 31
	size := mathbits.TrailingZeros32(imm5|8) & 3
	return fmt.Sprintf("v%d.%c[%d]", bitsOf(in.Word, o.at, 5), laneNames[size], imm5>>(size+1))
}

func (o lane) parse(p *parser) error {
	at := p.at
	name, letter, _ := strings.Cut(strings.ToLower(p.next().text), ".")
	n, ok := vectorNumber(name, "v")
	size := strings.Index(laneNames, letter)
	if !ok || len(letter) != 1 || size < 0 || !p.skip("[") {
		p.at = at
		return p.due("a register")
	}
	i, err := p.unsigned(uint64(15 >> size))
	if err != nil {
		return err
	}
	p.word |= n<<o.at | uint32(i)<<(17+size) | 1<<(16+size)
	if !p.skip("]") {
		return p.due("]")
	}
	return nil
}

// A laneGeneral is the general register that goes into lanes as imm5 says.
type laneGeneral struct{}

func (laneGeneral) print(in *Inst, _ uint64) string {
	return regName(uint32(in.Rn), in.Word>>16&15 == 8, false)
}

func (laneGeneral) parse(p *parser) error {
	n, err := p.register(p.word>>16&15 == 8, false)
	p.word |= n << 5
	return err
}

// A scalar is a SIMD register of one size.
type scalar struct {
	at     uint8
	letter byte
}

func (o scalar) print(in *Inst, _ uint64) string {
	return fmt.Sprintf("%c%d", o.letter, bitsOf(in.Word, o.at, 5))
}

func (o scalar) parse(p *parser) error {
	n, ok := vectorNumber(strings.ToLower(p.next().text), string(o.letter))
	if !ok {
		p.at--
		return p.due("a register")
	}
	p.word |= n << o.at
	return nil
}

// A byteImm is the immediate of MOVI, MVNI, ORR and BIC, abcdefgh, with the shift of
// words or halfwords.
type byteImm struct{ shifted, half bool }

func (o byteImm) print(in *Inst, _ uint64) string {
	text := hex(uint64(immBits(in.Word)))
	if n := in.Word >> 13 & 3 * 8; o.shifted && n != 0 {
		text += fmt.Sprintf(", lsl #%d", n)
	}
	return text
}

func (o byteImm) parse(p *parser) error {
	n, err := p.unsigned(255)
	p.word |= immFields(uint32(n))
	if err != nil || !o.shifted || !p.skip(",") {
		return err
	}
	most := uint64(24)
	if o.half {
		most = 8
	}
	amount, err := p.lslAmount(8, most)
	p.word |= uint32(amount/8) << 13
	return err
}

func immBits(word uint32) uint32  { return word>>16&7<<5 | word>>5&31 }
func immFields(imm uint32) uint32 { return imm>>5<<16 | imm&31<<5 }

// spread is the immediate of MOVI to doublewords: each bit fills a byte.
func spread(imm uint32) (v uint64) {
	for i := range 8 {
		if imm>>i&1 != 0 {
			v |= 0xff << (8 * i)
		}
	}
	return v
}

// A wideByteImm is that.
type wideByteImm struct{}

func (wideByteImm) print(in *Inst, _ uint64) string { return hex(spread(immBits(in.Word))) }

func (wideByteImm) parse(p *parser) error {
	at := p.at
	v, err := p.value()
	imm := uint32(0)
	for i := range 8 {
		imm |= uint32(v>>(8*i)&1) << i
	}
	if err == nil && spread(imm) != v {
		return p.wrong(at, "each byte must be 0 or 0xff")
	}
	p.word |= immFields(imm)
	return err
}

// A zeroImm is #0.
type zeroImm struct{}

func (zeroImm) print(*Inst, uint64) string { return "#0" }
func (zeroImm) parse(p *parser) error      { _, err := p.unsigned(0); return err }

// A laneShift is how far lanes are shifted right, 2 × their bits - immh:immb.
type laneShift struct{}

func (laneShift) print(in *Inst, _ uint64) string {
	size, _ := lanesNarrow.lanes(in.Word)
	return signed(int64(16<<size) - int64(in.Word>>16&0x7f))
}

func (laneShift) parse(p *parser) error {
	at := p.at
	size, _ := lanesNarrow.lanes(p.word)
	n, err := p.unsigned(8 << size)
	if err == nil && n == 0 {
		return p.wrong(at, "the shift is not 1 … %d", 8<<size)
	}
	p.word |= uint32(16<<size-n) & 0x7f << 16
	return err
}

// lanesOfList are the lanes of LD1 and ST1, as size and Q say.
func lanesOfList(word uint32) string {
	size, count := word>>10&3, 8
	if word&quadLanes != 0 {
		count = 16
	}
	return fmt.Sprintf("%d%c", count>>size, laneNames[size])
}

// A lanesList is the n registers of LD1 or ST1: {v0.16b, v1.16b}.
type lanesList struct{ n uint32 }

func (o lanesList) print(in *Inst, _ uint64) string {
	var names []string
	for i := range o.n {
		names = append(names, fmt.Sprintf("v%d.%s", (in.Word+i)&31, lanesOfList(in.Word)))
	}
	return "{" + strings.Join(names, ", ") + "}"
}

func (o lanesList) parse(p *parser) error {
	if !p.skip("{") {
		return p.due("{")
	}
	for i := range o.n {
		at := p.at
		if i > 0 && !p.skip(",") {
			return p.due("a comma")
		}
		name, lanes, _ := strings.Cut(strings.ToLower(p.next().text), ".")
		n, ok := vectorNumber(name, "v")
		if !ok {
			p.at = at
			return p.due("a register")
		}
		if i == 0 {
			p.word |= n
			for f := range uint32(8) { // the lanes that there are
				if word := f>>2*quadLanes | f&3<<10; lanesOfList(word) == lanes {
					p.word |= word
				}
			}
		}
		if n != (p.word+i)&31 || lanes != lanesOfList(p.word) {
			return p.wrong(at, "this register is not the next one, or not with these lanes")
		}
	}
	if !p.skip("}") {
		return p.due("}")
	}
	return nil
}

// listBytes is what LD1 or ST1 of one register adds to its base: its bytes.
type listBytes struct{}

func (listBytes) print(in *Inst, _ uint64) string { return signed(8 << (in.Word >> 30 & 1)) }

func (listBytes) parse(p *parser) error {
	at := p.at
	n, err := p.value()
	if want := uint64(8) << (p.word >> 30 & 1); err == nil && n != want {
		return p.wrong(at, "the base grows by what is accessed, %d", want)
	}
	return err
}

// An acrossReg is the register that gets one lane's worth: b0, h0 or s0.
type acrossReg struct{}

func (acrossReg) print(in *Inst, _ uint64) string {
	return fmt.Sprintf("%c%d", laneNames[in.Word>>22&3], in.Word&31)
}

func (acrossReg) parse(p *parser) error {
	at := p.at
	name := strings.ToLower(p.next().text)
	n, ok := vectorNumber(name, "bhs")
	if !ok {
		p.at = at
		return p.due("a register")
	}
	p.word |= n | uint32(strings.IndexByte(laneNames, name[0]))<<22
	return nil
}
