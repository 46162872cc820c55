package sim

import (
	"math/bits"
	"sort"
	"strings"
)

// Kind is what a statistic is.
type Kind uint8

// The kinds of statistics.
const (
	KindCounter   Kind = iota // a count that only grows
	KindLevel                 // a quantity that goes up and down, averaged over time
	KindHistogram             // the distribution of many values
	KindDerived               // computed from others when read
)

// String returns the kind as it appears in records.
func (k Kind) String() string {
	return [...]string{"counter", "level", "histogram", "derived"}[k]
}

// Stat is one statistic as it is read.
type Stat struct {
	Name string // dotted, as in "vcpu.3.ring.full_exits"
	Unit string // "pages", "cycles", …; "" for a plain number
	Desc string // one sentence
	Kind Kind

	Value float64 // counter: the count; level and histogram: the mean; derived: the value
	Exact uint64  // counter: the count; level: the present value; histogram: the number of values

	Level     *Level     // of a level, otherwise nil
	Histogram *Histogram // of a histogram, otherwise nil
}

// Stats is the list of everything a simulation measures. Components keep the
// numbers in their own state and register pointers to them: counting costs
// nothing but the addition, and saving the component saves its statistics.
type Stats struct {
	Now    Cycle // up to when levels are averaged; whoever reads sets it
	list   []source
	names  map[string]bool
	sorted bool
}

type source struct {
	Stat
	counter *uint64
	derived func() float64
}

// NewStats returns an empty list.
func NewStats() *Stats { return &Stats{names: map[string]bool{}} }

// Counter registers a count. Registering a name twice is a programming error,
// here and below.
func (s *Stats) Counter(name, unit, desc string, p *uint64) {
	s.add(source{Stat: Stat{Name: name, Unit: unit, Desc: desc, Kind: KindCounter}, counter: p})
}

// Level registers a time-weighted level.
func (s *Stats) Level(name, unit, desc string, l *Level) {
	s.add(source{Stat: Stat{Name: name, Unit: unit, Desc: desc, Kind: KindLevel, Level: l}})
}

// Histogram registers a distribution.
func (s *Stats) Histogram(name, unit, desc string, h *Histogram) {
	s.add(source{Stat: Stat{Name: name, Unit: unit, Desc: desc, Kind: KindHistogram, Histogram: h}})
}

// Derived registers a number that f computes when it is read.
func (s *Stats) Derived(name, unit, desc string, f func() float64) {
	s.add(source{Stat: Stat{Name: name, Unit: unit, Desc: desc, Kind: KindDerived}, derived: f})
}

func (s *Stats) add(src source) {
	if src.Name == "" || s.names[src.Name] {
		panic("sim: statistic without a name, or registered twice: " + src.Name)
	}
	s.names[src.Name] = true
	s.list = append(s.list, src)
	s.sorted = false
}

// Each calls f for every statistic, sorted by NaturalLess of the names.
func (s *Stats) Each(f func(Stat)) {
	if !s.sorted {
		sort.Slice(s.list, func(i, j int) bool { return NaturalLess(s.list[i].Name, s.list[j].Name) })
		s.sorted = true
	}
	for i := range s.list {
		f(s.list[i].read(s.Now))
	}
}

func (src *source) read(now Cycle) Stat {
	st := src.Stat
	switch st.Kind {
	case KindCounter:
		st.Exact = *src.counter
		st.Value = float64(st.Exact)
	case KindLevel:
		st.Exact = st.Level.Value
		st.Value = st.Level.Mean(now)
	case KindHistogram:
		st.Exact = st.Histogram.Count
		st.Value = st.Histogram.Mean()
	case KindDerived:
		st.Value = src.derived()
	}
	return st
}

// NaturalLess orders dotted names as people do: numbers inside them by value
// (vcpu.2 before vcpu.10), and a dot before any other character, so that what
// belongs together stays together.
func NaturalLess(a, b string) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if isDigit(a[i]) && isDigit(b[j]) {
			x, y := digits(a[i:]), digits(b[j:])
			i, j = i+len(x), j+len(y)
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return len(x) < len(y)
			}
			if x != y {
				return x < y
			}
			continue
		}
		if a[i] != b[j] {
			return b[j] != '.' && (a[i] == '.' || a[i] < b[j])
		}
		i, j = i+1, j+1
	}
	if i < len(a) || j < len(b) {
		return j < len(b)
	}
	return a < b // equal but for leading zeros
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits returns the digits with which s begins.
func digits(s string) string {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n]
}

// sum128 is an exact sum of 64-bit products.
type sum128 struct{ hi, lo uint64 }

func (s *sum128) addProduct(x, y uint64) {
	hi, lo := bits.Mul64(x, y)
	s.add(sum128{hi, lo})
}

func (s *sum128) add(o sum128) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

// over returns s/n, correct but for the rounding of its last steps. The
// quotient must fit 64 bits, as any mean does; n may be 0.
func (s sum128) over(n uint64) float64 {
	if n == 0 || s.hi >= n {
		return 0
	}
	q, r := bits.Div64(s.hi, s.lo, n)
	return float64(q) + float64(r)/float64(n)
}

func (s *sum128) sync(c *Codec) {
	c.U64(&s.hi)
	c.U64(&s.lo)
}

// Level is a quantity that goes up and down in time: ring entries in use,
// threads that wait. The zero Level has been 0 since cycle 0. The mean weighs
// each value with the cycles it lasted, exactly.
type Level struct {
	Value uint64 // present value
	Max   uint64 // highest value so far
	since Cycle  // when Value came
	area  sum128 // values times cycles, up to since
}

// Set changes the value at cycle now. Cores that run ahead within a quantum
// report out of order; a change dated before the last one counts from the last.
func (l *Level) Set(now Cycle, v uint64) {
	if now > l.since {
		l.area.addProduct(l.Value, uint64(now-l.since))
		l.since = now
	}
	l.Value = v
	l.Max = max(l.Max, v)
}

// Mean is the mean from cycle 0 up to now, or up to the last change if that is
// later; 0 at cycle 0.
func (l *Level) Mean(now Cycle) float64 {
	end := *l
	end.Set(now, l.Value)
	return end.area.over(uint64(end.since))
}

// Sync saves, restores or hashes the level.
func (l *Level) Sync(c *Codec) {
	c.U64(&l.Value)
	c.U64(&l.Max)
	Uint(c, &l.since)
	l.area.sync(c)
}
