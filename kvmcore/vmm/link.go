package vmm

import (
	"math/bits"

	"ringmap/sim"
)

// LinkSpec is the network between source and destination.
//
//	send ─► socket buffer ─► wire: Bandwidth ─► Latency ─► destination
type LinkSpec struct {
	Bandwidth uint64    // bytes a second
	Latency   sim.Cycle // one way
	Header    uint32    // bytes beside the contents of every page
	Buffer    uint64    // bytes of the socket buffer: a sender blocks when it is full
}

// link is the state of the network: bytes leave one after the other.
type link struct {
	free  sim.Cycle // when the last byte handed over has left
	part  uint64    // of a cycle, in 1/Bandwidth: nothing is rounded away
	Bytes uint64    // handed over so far
}

// put hands n bytes over at cycle now. hz are the cycles of a second.
func (l *link) put(s *LinkSpec, hz, n uint64, now sim.Cycle) {
	if l.free < now {
		l.free, l.part = now, 0
	}
	hi, lo := bits.Mul64(n, hz)
	lo, carry := bits.Add64(lo, l.part, 0)
	q, rest := bits.Div64((hi+carry)%s.Bandwidth, lo, s.Bandwidth) // 2^64 cycles are for ever
	l.free, l.part = l.free+sim.Cycle(q), rest
	l.Bytes += n
}

// room is when the socket takes another page: at once while the buffer has room,
// else when a third of it is empty. net/core/stream.c sk_stream_is_writeable.
func (l *link) room(s *LinkSpec, hz uint64, now sim.Cycle) sim.Cycle {
	full := sim.Cycle(mulDiv(s.Buffer, hz, s.Bandwidth))
	if l.free <= now+full {
		return now
	}
	return l.free - full*2/3
}

// mulDiv is a*b/c, rounded down; the quotient must fit in 64 bits.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, c)
	return q
}

func (l *link) sync(c *sim.Codec) {
	sim.Uint(c, &l.free)
	c.U64(&l.part)
	c.U64(&l.Bytes)
}
