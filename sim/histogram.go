package sim

import (
	"fmt"
	"math/bits"
)

// Histogram counts values in buckets: every power of two is cut into
// 2^subBits equal buckets, so a quantile is at most one part in 32 too high,
// and values below 64 are exact. Count, sum, smallest and largest are exact for
// all. The zero Histogram is empty.
type Histogram struct {
	Count    uint64
	Min, Max uint64 // 0 when empty
	sum      sum128
	buckets  []uint64 // as long as the highest bucket in use
}

const (
	subBits = 5
	// maxBuckets is the bucket count of a histogram that has seen 2^64-1.
	maxBuckets = (64 - subBits + 1) << subBits
)

// Add counts the value v.
func (h *Histogram) Add(v uint64) {
	if h.Count == 0 || v < h.Min {
		h.Min = v
	}
	h.Max = max(h.Max, v)
	h.Count++
	h.sum.add(sum128{0, v})
	i := bucketOf(v)
	if i >= len(h.buckets) {
		h.grow(i + 1)
	}
	h.buckets[i]++
}

// Merge counts all values of o as well.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count == 0 {
		return
	}
	if h.Count == 0 || o.Min < h.Min {
		h.Min = o.Min
	}
	h.Max = max(h.Max, o.Max)
	h.Count += o.Count
	h.sum.add(o.sum)
	h.grow(len(o.buckets))
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
}

// Sum returns the sum of all values as high and low half.
func (h *Histogram) Sum() (hi, lo uint64) { return h.sum.hi, h.sum.lo }

// Mean is the mean of all values, 0 when there are none.
func (h *Histogram) Mean() float64 { return h.sum.over(h.Count) }

// Quantile returns a value that at least num/den of all values do not exceed:
// the highest of the bucket in which that value lies, but never more than Max
// (99, 100 gives the 99th percentile). It is 0 when the histogram is empty; den
// must not be 0.
func (h *Histogram) Quantile(num, den uint64) uint64 {
	if den == 0 {
		panic("sim: Histogram.Quantile with denominator 0")
	}
	if num >= den || h.Count == 0 {
		return h.Max
	}
	// rank = ceil(Count*num/den), at least 1
	hi, lo := bits.Mul64(h.Count, num)
	rank, rest := bits.Div64(hi, lo, den)
	if rest != 0 || rank == 0 {
		rank++
	}
	for i, n := range h.buckets {
		if rank <= n {
			return min(bucketTop(i), h.Max)
		}
		rank -= n
	}
	return h.Max
}

// Each calls f for every bucket that is not empty, lowest first, with the
// smallest and the largest value it may hold.
func (h *Histogram) Each(f func(low, high, count uint64)) {
	for i, n := range h.buckets {
		if n != 0 {
			f(bucketLow(i), bucketTop(i), n)
		}
	}
}

func (h *Histogram) grow(n int) {
	if n > len(h.buckets) {
		h.buckets = append(h.buckets, make([]uint64, n-len(h.buckets))...)
	}
}

// bucketOf returns the bucket of v: v itself below 2^(subBits+1); above, the
// power of two and the subBits bits behind the leading one.
func bucketOf(v uint64) int {
	shift := bits.Len64(v>>subBits) - 1
	if shift <= 0 {
		return int(v)
	}
	return shift<<subBits + int(v>>shift)
}

// bucketLow returns the smallest value of bucket i.
func bucketLow(i int) uint64 {
	shift := i>>subBits - 1
	if shift <= 0 {
		return uint64(i)
	}
	return uint64(i-shift<<subBits) << shift
}

// bucketTop returns the largest value of bucket i.
func bucketTop(i int) uint64 { return bucketLow(i+1) - 1 }

// Sync saves, restores or hashes the histogram.
func (h *Histogram) Sync(c *Codec) {
	c.U64(&h.Count)
	c.U64(&h.Min)
	c.U64(&h.Max)
	h.sum.sync(c)
	Slice(c, &h.buckets, func(c *Codec, p *uint64) { c.U64(p) })
	if c.Loading() && len(h.buckets) > maxBuckets {
		c.Fail(fmt.Errorf("histogram of %d buckets, at most %d are possible", len(h.buckets), maxBuckets))
	}
}
