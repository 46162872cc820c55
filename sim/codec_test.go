package sim

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type gfn uint64 // a named unsigned type, as components have them

// everything has one field of each kind that a codec carries.
type everything struct {
	A uint8
	B uint16
	C uint32
	D uint64
	E int64
	F int
	G bool
	H string
	I []byte
	J [5]byte
	K gfn
	L []point
	M Class
}

type point struct {
	X uint32
	Y []uint16
}

func (v *everything) Sync(c *Codec) {
	c.Tag("everything")
	c.U8(&v.A)
	c.U16(&v.B)
	c.U32(&v.C)
	c.U64(&v.D)
	c.I64(&v.E)
	c.Int(&v.F)
	c.Bool(&v.G)
	c.Str(&v.H)
	c.Bytes(&v.I)
	c.Fixed(v.J[:])
	Uint(c, &v.K)
	Slice(c, &v.L, func(c *Codec, p *point) {
		c.U32(&p.X)
		Slice(c, &p.Y, func(c *Codec, y *uint16) { c.U16(y) })
	})
	c.Tag("end")
	Uint(c, &v.M)
}

func sample() everything {
	return everything{
		A: 1, B: 0x203, C: 0x4050607, D: 0x08090a0b0c0d0e0f, E: -2, F: -3, G: true,
		H: "vcpu.2", I: []byte{9, 8, 7}, J: [5]byte{1, 2, 3, 4, 5}, K: 1 << 40,
		L: []point{{X: 1, Y: []uint16{1, 2}}, {X: 2}}, M: ClassUser,
	}
}

func encode(v *everything) []byte {
	c := NewEncoder()
	v.Sync(c)
	return c.Finish()
}

func TestCodecRoundTrip(t *testing.T) {
	want := sample()
	state := encode(&want)
	// A receiver that has state already must lose all of it.
	got := everything{A: 7, H: "old", I: make([]byte, 100), L: make([]point, 50)}
	got.L[0].Y = []uint16{3, 3, 3}
	d := NewDecoder(state)
	got.Sync(d)
	d.Finish()
	if d.Err() != nil {
		t.Fatal(d.Err())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-saved +restored):\n%s", diff)
	}
	if !d.Loading() || NewEncoder().Loading() || NewHasher().Loading() {
		t.Error("only a decoder loads")
	}
}

// TestCodecLayout pins the bytes: a change makes old snapshots unreadable and
// must raise SnapshotFormat.
func TestCodecLayout(t *testing.T) {
	c := NewEncoder()
	v := sample()
	c.Tag("t")
	c.U16(&v.B)
	c.Bool(&v.G)
	c.I64(&v.E)
	c.Bytes(&v.I)
	Uint(c, &v.M)
	want := "\x01\x00\x00\x00\x00\x00\x00\x00t" + "\x03\x02" + "\x01" + "\xfe\xff\xff\xff\xff\xff\xff\xff" +
		"\x03\x00\x00\x00\x00\x00\x00\x00\x09\x08\x07" + "\x03"
	if diff := cmp.Diff(want, string(c.Finish())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCodecHash compares a hasher with an encoder on states below, around and
// far above the size that a hasher gathers.
func TestCodecHash(t *testing.T) {
	for _, n := range []int{0, 1, hashChunk - 300, hashChunk - 1, hashChunk, 10 * hashChunk} {
		v := sample()
		v.I = make([]byte, n)
		v.L = make([]point, n/8)
		e, h := NewEncoder(), NewHasher()
		v.Sync(e)
		v.Sync(h)
		if e.Sum() != h.Sum() {
			t.Errorf("%d bytes: encoder %x, hasher %x", n, e.Sum(), h.Sum())
		}
		before := h.Sum()
		v.A++
		h = NewHasher()
		v.Sync(h)
		if h.Sum() == before {
			t.Errorf("%d bytes: another state has the same hash", n)
		}
	}
}

func TestCodecHashAllocatesLittle(t *testing.T) {
	v := sample()
	v.L = make([]point, 10_000)
	h := NewHasher()
	v.Sync(h)
	if n := testing.AllocsPerRun(10, func() { v.Sync(h) }); n > 2 {
		t.Errorf("hashing allocates %v times", n)
	}
}

// TestCodecTruncated cuts a state at every byte: always an error, never a panic.
func TestCodecTruncated(t *testing.T) {
	v := sample()
	state := encode(&v)
	for n := range state {
		var got everything
		d := NewDecoder(state[:n])
		got.Sync(d)
		if d.Err() == nil {
			t.Fatalf("%d of %d bytes decoded without an error", n, len(state))
		}
	}
}

func TestCodecErrors(t *testing.T) {
	length := func(n byte) []byte { return []byte{n, 0, 0, 0, 0, 0, 0, 0} }
	huge := []byte{0, 0, 0, 0, 0, 0, 0, 0x80}
	for name, c := range map[string]struct {
		in   []byte
		sync func(c *Codec)
		want string
	}{
		"bool":  {[]byte{2}, func(c *Codec) { c.Bool(new(bool)) }, `sim: state section "", byte 1: byte 2 is not a truth value`},
		"short": {[]byte{1, 2}, func(c *Codec) { c.U32(new(uint32)) }, "ends 2 bytes early"},
		"bytes": {huge, func(c *Codec) { c.Bytes(new([]byte)) }, "length 9223372036854775808 exceeds the 0 bytes left"},
		"str":   {append(length(2), 'x'), func(c *Codec) { c.Str(new(string)) }, "length 2 exceeds the 1 bytes left"},
		"slice": {append(length(3), 1), func(c *Codec) { Slice(c, new([]uint8), (*Codec).U8) }, "length 3 exceeds the 1 bytes left"},
		"tag": {append(length(3), "its"...), func(c *Codec) { c.Tag("vgic") },
			`found section "its" where "vgic" was expected`},
		"left":    {[]byte{1, 2, 3}, func(c *Codec) { c.U8(new(uint8)); c.Finish() }, "2 bytes are left over"},
		"section": {append(length(2), "vm"...), func(c *Codec) { c.Tag("vm"); c.U8(new(uint8)) }, `sim: state section "vm", byte 10: ends 1 bytes early`},
		"own":     {nil, func(c *Codec) { c.Fail(nil); c.Fail(errors.New("no such slot")); c.Fail(errors.New("later")) }, "no such slot"},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(c.in)
			c.sync(d)
			if d.Err() == nil || !strings.HasSuffix(d.Err().Error(), c.want) {
				t.Errorf("error %v, want %q", d.Err(), c.want)
			}
		})
	}
}

// TestCodecKeepsOnError leaves what it could not read as it was, so that a
// component never sees half a number.
func TestCodecKeepsOnError(t *testing.T) {
	want := sample()
	got := sample()
	d := NewDecoder(nil)
	d.Fail(errors.New("stop"))
	got.Sync(d)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// TestCodecBounded gives lengths that the input could just hold if elements
// were one byte, for elements that are wide in memory: only what arrives may
// take memory.
func TestCodecBounded(t *testing.T) {
	type wide struct {
		n    uint64
		_pad [4096]byte
	}
	in := make([]byte, 8+(1<<20))
	in[2] = 0x10 // 1 << 20 elements of 8 bytes each: an eighth of them is there
	var s []wide
	d := NewDecoder(in)
	n := 0
	allocated := testing.AllocsPerRun(1, func() {
		*d = *NewDecoder(in)
		s, n = nil, 0
		Slice(d, &s, func(c *Codec, p *wide) {
			if n++; n == 100 {
				c.Fail(errors.New("enough"))
			}
			c.U64(&p.n)
		})
	})
	if n != 100 || cap(s) > 512 {
		t.Errorf("%d elements read, room for %d (%v allocations)", n, cap(s), allocated)
	}
}

// FuzzCodec feeds the decoder hostile input. What it accepts must be exactly
// what an encoder makes of the result, and take memory in proportion.
func FuzzCodec(f *testing.F) {
	v := sample()
	f.Add(encode(&v))
	f.Add(encode(&everything{}))
	f.Fuzz(func(t *testing.T, in []byte) {
		var v everything
		d := NewDecoder(in)
		v.Sync(d)
		d.Finish()
		if room := len(v.H) + cap(v.I) + 64*cap(v.L); room > 64*len(in)+4096 {
			t.Fatalf("%d bytes of memory for %d bytes of input", room, len(in))
		}
		if d.Err() != nil {
			return
		}
		if diff := cmp.Diff(in, encode(&v)); diff != "" {
			t.Fatalf("accepted, but encoded otherwise:\n%s", diff)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	numbers := make([]uint64, 1<<14)
	sync := func(c *Codec) {
		Slice(c, &numbers, func(c *Codec, p *uint64) { c.U64(p) })
	}
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(int64(8 * len(numbers)))
		for b.Loop() {
			sync(NewHasher())
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(8 * len(numbers)))
		for b.Loop() {
			sync(NewEncoder())
		}
	})
	state := NewEncoder()
	sync(state)
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(8 * len(numbers)))
		for b.Loop() {
			sync(NewDecoder(state.Finish()))
		}
	})
}
