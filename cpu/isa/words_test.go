package isa

import (
	"os"
	"testing"

	"ringmap/sim"
)

// many is how many words a test tries: twenty times n when RINGMAP_LONG is set.
func many(n int) int {
	if os.Getenv("RINGMAP_LONG") != "" {
		return 20 * n
	}
	return n
}

// A source draws words that reach every row of the table, and those beside it.
type source struct{ sim.Stream }

func newSource(t testing.TB) *source { return &source{sim.NewStream(1, t.Name())} }

// near returns a word that some encoding or alias fixes, with random operands,
// now and then with one bit flipped; it need not decode.
func (s *source) near() uint32 {
	t := &templates[s.N(uint64(len(templates)))]
	word := t.match | s.operands()&^t.mask
	if s.N(8) == 0 {
		word ^= 1 << s.N(32)
	}
	return word
}

// operands returns bits in which the rare values of fields, all zeros and all
// ones, are not rare.
func (s *source) operands() uint32 {
	word := uint32(s.Uint64())
	for range s.N(4) {
		at, width := s.N(32), s.N(8)+1
		if field := uint32(1<<width-1) << at; s.N(2) == 0 {
			word |= field
		} else {
			word &^= field
		}
	}
	return word
}

// decodable returns a word that decodes.
func (s *source) decodable() Inst {
	for {
		if in, ok := Decode(s.near()); ok {
			return in
		}
	}
}
