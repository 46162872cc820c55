package sim

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Stream is a source of random numbers: number i of a stream is a function of
// its key and i alone. Every component takes its own stream, named after it,
// so that adding a component changes no other component's numbers. The value is
// the whole state; a copy repeats what the original will give.
type Stream struct {
	Key     uint64 // from the seed and the name
	Counter uint64 // numbers drawn so far
}

// NewStream returns the stream of a component in the simulation of that seed.
func NewStream(seed uint64, name string) Stream {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 64), seed)
	return Stream{Key: xxhash.Sum64(append(b, name...))}
}

// Uint64 returns the next number, uniform over all 64 bits.
//
// Two rounds of 64-bit mixing (the finalizers of SplitMix64 and MurmurHash3)
// with the key entering both: streams are not shifted copies of one sequence,
// as they would be if it entered only the first.
func (s *Stream) Uint64() uint64 {
	x := s.Key + s.Counter*0x9e3779b97f4a7c15
	s.Counter++
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x>>31 ^ bits.RotateLeft64(s.Key, 32)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// N returns a number in [0, n), each with exactly the same chance. n must not
// be 0.
func (s *Stream) N(n uint64) uint64 {
	if n == 0 {
		panic("sim: Stream.N of an empty range")
	}
	hi, lo := bits.Mul64(s.Uint64(), n)
	if lo < n {
		// Lemire: the lowest 2^64 mod n products would be drawn once too often.
		for short := -n % n; lo < short; {
			hi, lo = bits.Mul64(s.Uint64(), n)
		}
	}
	return hi
}

// Chance is true with probability num/den exactly; always when num >= den. den
// must not be 0.
func (s *Stream) Chance(num, den uint64) bool { return s.N(den) < num }

// Shuffle permutes n elements, every order with the same chance, by calls of
// swap (Fisher-Yates).
func (s *Stream) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(s.N(uint64(i)+1)))
	}
}

// Sync saves, restores or hashes the stream.
func (s *Stream) Sync(c *Codec) {
	c.U64(&s.Key)
	c.U64(&s.Counter)
}
