package sim

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Codec carries state out, in, or into a hash. A component has one function,
// Sync, that passes a pointer to each piece of its state in a fixed order:
//
//	func (r *Ring) Sync(c *sim.Codec) {
//		c.Tag("ring")
//		c.U32(&r.Dirty)
//		c.U32(&r.Reset)
//		sim.Slice(c, &r.Entries, func(c *sim.Codec, p *uint64) { c.U64(p) })
//	}
//
// An encoder appends the values, a decoder sets them, a hasher digests the
// bytes that an encoder would have written. Integers are little-endian and of
// fixed width; a length is a U64. After the first error a codec does nothing:
// a decoder leaves what the pointers point to as it was, and Err tells.
type Codec struct {
	mode    codecMode
	buf     []byte // encoder: all output; decoder: the input; hasher: not yet digested
	pos     int    // decoder: bytes consumed
	digest  *xxhash.Digest
	section string // the last tag passed, for error messages
	err     error
}

type codecMode uint8

const (
	encoding codecMode = iota
	decoding
	hashing
)

// hashChunk is how much a hasher gathers before it digests: large enough that
// the digest runs at its full speed, small enough to stay in the first cache.
const hashChunk = 4 << 10

// NewEncoder returns a codec that writes; Finish returns the bytes.
func NewEncoder() *Codec { return &Codec{mode: encoding} }

// NewDecoder returns a codec that reads b, which may come from anywhere: damage
// gives an error, never a panic, and memory only for elements that are there.
func NewDecoder(b []byte) *Codec { return &Codec{mode: decoding, buf: b} }

// NewHasher returns a codec that hashes; Sum returns the hash.
func NewHasher() *Codec {
	return &Codec{mode: hashing, buf: make([]byte, 0, hashChunk), digest: xxhash.New()}
}

// Loading reports whether values are being restored: Sync then rebuilds what
// it derives from them.
func (c *Codec) Loading() bool { return c.mode == decoding }

// Err returns the first error, nil if there was none.
func (c *Codec) Err() error { return c.err }

// Fail records an error found by the component that is being restored, with the
// section and the place. Only the first one counts.
func (c *Codec) Fail(err error) {
	if c.err == nil && err != nil {
		c.err = fmt.Errorf("sim: state section %q, byte %d: %w", c.section, c.pos, err)
	}
}

// Finish ends the codec and returns what an encoder wrote. For a decoder it
// checks that nothing is left over, which Err then tells.
func (c *Codec) Finish() []byte {
	if c.mode != decoding {
		return c.buf
	}
	if n := len(c.buf) - c.pos; n != 0 {
		c.Fail(fmt.Errorf("%d bytes are left over", n))
	}
	return nil
}

// Sum returns the xxHash64 of everything written so far; a hasher and an
// encoder that saw the same state agree.
func (c *Codec) Sum() uint64 {
	if c.mode != hashing {
		return xxhash.Sum64(c.buf)
	}
	c.flush()
	return c.digest.Sum64()
}

// U8 codes a byte.
func (c *Codec) U8(p *uint8) {
	if c.mode != decoding {
		c.reserve(1)
		c.buf = append(c.buf, *p)
	} else if b := c.take(1); b != nil {
		*p = b[0]
	}
}

// U16 codes a 16-bit number.
func (c *Codec) U16(p *uint16) {
	if c.mode != decoding {
		c.reserve(2)
		c.buf = binary.LittleEndian.AppendUint16(c.buf, *p)
	} else if b := c.take(2); b != nil {
		*p = binary.LittleEndian.Uint16(b)
	}
}

// U32 codes a 32-bit number.
func (c *Codec) U32(p *uint32) {
	if c.mode != decoding {
		c.reserve(4)
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *p)
	} else if b := c.take(4); b != nil {
		*p = binary.LittleEndian.Uint32(b)
	}
}

// U64 codes a 64-bit number.
func (c *Codec) U64(p *uint64) {
	if c.mode != decoding {
		c.reserve(8)
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *p)
	} else if b := c.take(8); b != nil {
		*p = binary.LittleEndian.Uint64(b)
	}
}

// I64 codes a signed 64-bit number.
func (c *Codec) I64(p *int64) {
	u := uint64(*p)
	c.U64(&u)
	*p = int64(u)
}

// Int codes an int as 64 bits. It is not for lengths: see Len.
func (c *Codec) Int(p *int) {
	v := int64(*p)
	c.I64(&v)
	*p = int(v)
}

// Bool codes a truth value as a byte that is 0 or 1.
func (c *Codec) Bool(p *bool) {
	var b uint8
	if *p {
		b = 1
	}
	c.U8(&b)
	if b > 1 {
		c.Fail(fmt.Errorf("byte %d is not a truth value", b))
		return
	}
	*p = b == 1
}

// Str codes a string.
func (c *Codec) Str(p *string) {
	n := len(*p)
	c.Len(&n)
	if c.mode != decoding {
		c.reserve(len(*p))
		c.buf = append(c.buf, *p...)
	} else if c.err == nil {
		*p = string(c.take(n))
	}
}

// Bytes codes a byte slice with its length. A decoder copies, reusing the
// capacity of *p.
func (c *Codec) Bytes(p *[]byte) {
	n := len(*p)
	c.Len(&n)
	if c.mode != decoding {
		c.Fixed(*p)
	} else if c.err == nil {
		*p = append((*p)[:0], c.take(n)...)
	}
}

// Fixed codes the bytes of p without a length: for arrays, as in c.Fixed(a[:]).
func (c *Codec) Fixed(p []byte) {
	switch {
	case c.mode == decoding:
		if b := c.take(len(p)); b != nil {
			copy(p, b)
		}
	case c.mode == hashing && len(p) >= hashChunk:
		c.flush()
		c.digest.Write(p)
	default:
		c.reserve(len(p))
		c.buf = append(c.buf, p...)
	}
}

// Len codes the length of something whose elements follow, each of at least one
// byte. A decoder refuses a length that the input left cannot hold and sets *p
// to 0 on any error, so that a loop up to *p is safe.
func (c *Codec) Len(p *int) {
	n := uint64(*p)
	c.U64(&n)
	if c.mode != decoding {
		return
	}
	if c.err == nil && n > uint64(len(c.buf)-c.pos) {
		c.Fail(fmt.Errorf("length %d exceeds the %d bytes left", n, len(c.buf)-c.pos))
	}
	if c.err != nil {
		n = 0
	}
	*p = int(n)
}

// Tag marks the beginning of a section. A decoder that finds another tag, or
// none, fails with both names: the first misunderstanding shows where it is.
func (c *Codec) Tag(name string) {
	if c.mode != decoding {
		c.section = name
		c.Str(&name)
		return
	}
	found := ""
	c.Str(&found)
	if c.err == nil && found != name {
		c.Fail(fmt.Errorf("found section %.40q where %q was expected", found, name))
	}
	c.section = name
}

// Uint codes an unsigned number of a named type at its own width.
func Uint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Codec, p *T) {
	switch uint64(^T(0)) {
	case 1<<8 - 1:
		v := uint8(*p)
		c.U8(&v)
		*p = T(v)
	case 1<<16 - 1:
		v := uint16(*p)
		c.U16(&v)
		*p = T(v)
	case 1<<32 - 1:
		v := uint32(*p)
		c.U32(&v)
		*p = T(v)
	default:
		v := uint64(*p)
		c.U64(&v)
		*p = T(v)
	}
}

// Slice codes a slice: its length, then f for each element, which must write at
// least one byte. A decoder starts every element from zero, keeps the slice's
// capacity, and grows it only as elements really arrive.
func Slice[T any](c *Codec, s *[]T, f func(c *Codec, p *T)) {
	n := len(*s)
	c.Len(&n)
	if c.mode != decoding {
		for i := range *s {
			f(c, &(*s)[i])
		}
		return
	}
	if c.err != nil {
		return
	}
	var zero T
	out := (*s)[:0]
	// Elements are rarely wider in memory than as bytes: then this is exact.
	width := max(1, int(reflect.TypeFor[T]().Size()))
	if room := min(n, (len(c.buf)-c.pos)/width); room > cap(out) {
		out = make([]T, 0, room)
	}
	for i := 0; i < n && c.err == nil; i++ {
		out = append(out, zero)
		f(c, &out[i])
	}
	*s = out
}

// take returns the next n input bytes, nil after an error or when there are
// fewer.
func (c *Codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.buf)-c.pos {
		c.Fail(fmt.Errorf("ends %d bytes early", n-(len(c.buf)-c.pos)))
		return nil
	}
	b := c.buf[c.pos : c.pos+n]
	c.pos += n
	return b
}

// reserve makes room for n bytes: a hasher digests what it has gathered, an
// encoder doubles its memory.
func (c *Codec) reserve(n int) {
	if cap(c.buf)-len(c.buf) < n {
		c.makeRoom(n)
	}
}

func (c *Codec) makeRoom(n int) {
	if c.mode == hashing {
		c.flush()
		return
	}
	c.buf = slices.Grow(c.buf, max(n, len(c.buf), hashChunk))
}

func (c *Codec) flush() {
	c.digest.Write(c.buf)
	c.buf = c.buf[:0]
}
