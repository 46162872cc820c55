package workloads

import (
	"math/big"
	"math/bits"
	"sync"

	"ringmap/sim"
)

// zipf is the usual model of popularity: page of rank r comes in proportion to
// r^-theta. Which page has which rank is a seeded permutation, or the order of
// the pages.
var zipf = pattern{
	Info: Info{
		Name: "zipf",
		Doc:  "page of rank r with a chance in proportion to r^-theta; ranks are scattered over the pages or in their order",
		Params: []Param{
			{Name: "theta", Default: "0.99", Min: "0", Max: "2", places: thetaPlaces, Doc: "skew: 0 is uniform, 0.99 the usual choice"},
			scatterParam,
		},
	},
	picker: func(v values, pages uint64, layout sim.Stream) picker {
		return &zipfPicker{table: zipfTableOf(pages, v["theta"]), place: layoutOf(v, pages, layout)}
	},
}

// Decimals of theta, and the number it is counted in.
const (
	thetaPlaces = 6
	thetaOne    = 1_000_000
)

type zipfPicker struct {
	table *zipfTable
	place permutation
	again uint64 // numbers drawn for ranks that were dropped

	draws [2 * pickBatch]uint64 // scratch
}

func (z *zipfPicker) pick(rng *sim.Stream, pages, _ []uint64) {
	alias, buckets := z.table.alias, z.table.buckets
	draws := z.draws[:2*len(pages)]
	for i := range draws {
		draws[i] = rng.Uint64()
	}
	for i := range pages {
		// Which bucket: two numbers out of one draw, a place and a fraction. The
		// mask, all ones if the fraction exceeds the chance to stay, spares a
		// branch that nobody could predict.
		at, frac := bits.Mul64(draws[2*i], uint64(len(alias)))
		slot := alias[at]
		leave := uint64(int64(slot>>aliasBits-frac>>aliasBits-1) >> 63)
		at ^= (at ^ slot) & leave & (1<<aliasBits - 1)
		b := &buckets[at]
		// Which of its ranks: even chances, then thinned to w(rank)/w(first).
		off, u := bits.Mul64(draws[2*i+1], b.width)
		if u < b.tangent*off {
			off = z.thin(rng.Key, b, off, u)
		}
		pages[i] = b.first + off - 1
	}
	for i, rank := range pages {
		pages[i] = z.place.of(rank)
	}
}

// thin decides about an offset and draws others until one is kept. They come
// from a stream of their own, so that page i depends on draws 2i and 2i+1.
func (z *zipfPicker) thin(key uint64, b *zipfBucket, off, u uint64) uint64 {
	again := sim.Stream{Key: ^key, Counter: z.again}
	for u < b.tangent*off && (u < b.chord*off || u < z.table.drop(b.first, off)) {
		off, u = bits.Mul64(again.Uint64(), b.width)
	}
	z.again = again.Counter
	return off
}

func (z *zipfPicker) sync(c *sim.Codec) { c.U64(&z.again) }

// zipfTable draws ranks 1…n with chances in proportion to rank^-theta, from a
// few thousand buckets whatever n is: the first ranks have one each, the others
// share buckets whose width is 1/64 of their rank. A bucket is chosen by
// Walker's alias method; inside it the chances differ by 3 % at most, so that
// a rank drawn evenly is nearly always kept.
type zipfTable struct {
	theta   uint64
	alias   []uint64 // per place: chance to stay (48 bits), bucket otherwise (16 bits)
	buckets []zipfBucket
}

// zipfBucket holds ranks first … first+width-1. With w(r) = r^-theta, a drawn
// offset is dropped with the chance 1 - w(first+off)/w(first). w is convex: the
// tangent at first lies below it, the chord to first+width above.
type zipfBucket struct {
	first, width   uint64
	tangent, chord uint64 // chance to drop per offset, of 2^64: at most, at least
}

const (
	aliasBits   = 16      // of a bucket number
	singleRanks = 256     // ranks with a bucket each
	bucketPart  = 64      // then a bucket's width is its first rank / bucketPart
	exactRanks  = 1 << 14 // ranks whose chances are summed one by one; beyond, Simpson's rule errs by less than 3e-9
)

// drop is 1 - w(first+off)/w(first), of 2^64: it decides where tangent and
// chord leave it open.
func (t *zipfTable) drop(first, off uint64) uint64 {
	m, places := exp2neg(thetaTimes(t.theta, log2(first+off)-log2(first)))
	return -(m << 1 >> places)
}

// thetaTimes is theta * log.
func thetaTimes(theta, log uint64) uint64 {
	hi, lo := bits.Mul64(theta, log)
	q, _ := bits.Div64(hi, lo, thetaOne)
	return q
}

var zipfTables struct {
	sync.Mutex
	byShape map[[2]uint64]*zipfTable
}

// zipfTableOf returns the table for n ranks. Tables are pure functions of their
// arguments and never change, so vCPUs and simulations share them; a few are kept.
func zipfTableOf(n, theta uint64) *zipfTable {
	key := [2]uint64{n, theta}
	zipfTables.Lock()
	defer zipfTables.Unlock()
	t := zipfTables.byShape[key]
	if t == nil {
		if zipfTables.byShape == nil || len(zipfTables.byShape) >= 16 {
			zipfTables.byShape = map[[2]uint64]*zipfTable{}
		}
		t = newZipfTable(n, theta)
		zipfTables.byShape[key] = t
	}
	return t
}

func newZipfTable(n, theta uint64) *zipfTable {
	t := &zipfTable{theta: theta}
	var weights []*big.Int
	for first := uint64(1); first <= n; {
		width := uint64(1)
		if first > singleRanks {
			width = min(first/bucketPart, n-first+1)
		}
		b := zipfBucket{first: first, width: width}
		if width > 1 {
			b.tangent = tangentDrop(theta, first)
			b.chord = t.drop(first, width) / width
		}
		t.buckets = append(t.buckets, b)
		weights = append(weights, t.weight(first, width))
		first += width
	}
	t.alias = aliasTable(weights)
	return t
}

// tangentDrop is theta/first of 2^64, rounded up.
func tangentDrop(theta, first uint64) uint64 {
	q, _ := bits.Div64(theta, 0, thetaOne*first)
	return q + 1
}

// weight is the sum of r^-theta over a bucket, scaled by a common factor.
func (t *zipfTable) weight(first, width uint64) *big.Int {
	sum := new(big.Int)
	if first < exactRanks {
		for r := first; r < first+width; r++ {
			sum.Add(sum, t.power(2*r))
		}
		return sum
	}
	// Integral from first-1/2 to first+width-1/2 by Simpson's rule: arguments
	// are counted in halves.
	from, to := 2*first-1, 2*(first+width)-1
	sum.Add(t.power(from), t.power(to))
	sum.Add(sum, new(big.Int).Lsh(t.power((from+to)/2), 2))
	sum.Mul(sum, new(big.Int).SetUint64(width))
	return sum.Quo(sum, big.NewInt(6))
}

// power is (halves/2)^-theta, scaled by a common factor. 160 bits below the
// point keep the least one, 2^(-41*2), to better than 63 bits.
func (t *zipfTable) power(halves uint64) *big.Int {
	m, places := exp2neg(thetaTimes(t.theta, log2(halves)))
	return new(big.Int).Lsh(new(big.Int).SetUint64(m), 160-places)
}

// aliasTable builds Walker's table (by Vose's method) from integer weights:
// place i keeps its own bucket with the chance of its upper 48 bits and gives
// the bucket of its lower 16 bits otherwise.
func aliasTable(weights []*big.Int) []uint64 {
	const one = 1 << (64 - aliasBits) // a whole place
	n := len(weights)
	total := new(big.Int)
	for _, w := range weights {
		total.Add(total, w)
	}
	// Shares add up to n places exactly: what rounding down loses goes to the
	// first buckets.
	shares := make([]uint64, n)
	left := uint64(n) * one
	scale := new(big.Int).SetUint64(uint64(n) * one)
	for i, w := range weights {
		q := new(big.Int).Mul(w, scale)
		shares[i] = q.Quo(q, total).Uint64()
		left -= shares[i]
	}
	for i := uint64(0); i < left; i++ {
		shares[i%uint64(n)]++
	}
	var small, large []int
	for i, s := range shares {
		if s < one {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	table := make([]uint64, n)
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		table[s] = shares[s]<<aliasBits | uint64(l)
		if shares[l] -= one - shares[s]; shares[l] < one {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range append(small, large...) {
		table[i] = (one-1)<<aliasBits | uint64(i) // whole: either way itself
	}
	return table
}
