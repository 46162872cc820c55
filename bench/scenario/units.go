package scenario

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"ringmap/sim"
)

// A value is written with its unit and reads itself from that text. The error
// says what was expected; the caller adds where.
type value interface {
	parse(text string) error
	String() string
}

// wrong is the error of a value: what is wrong and how to mend it.
type wrong struct{ text, fix string }

func (w wrong) Error() string { return w.text }

// Size is a number of bytes.
type Size uint64

// Count is a plain number of things: vCPUs, ring entries, pages.
type Count uint64

// Addr is a guest physical address.
type Addr uint64

// Freq is a clock frequency in Hz.
type Freq uint64

// Switch is on or off.
type Switch bool

// Text is free text; Name a word out of a known set, checked with the whole
// scenario.
type (
	Text string
	Name string
)

// Time is a span of simulated time: seconds, or cycles of the host clock.
type Time struct {
	Picos  uint64 // 1e-12 s; 0 if written in cycles
	Cycles uint64
	Never  bool // "never"
}

// Until is when a run ends: when its work is "done", or after a time.
type Until struct {
	Done bool
	Time Time
}

// Saves is when the ITS's tables are saved: "never", once at the "end", or
// periodically and at the end.
type Saves struct {
	Never, End bool
	Every      Time
}

// Opt is a value that may also be "auto": derived from the rest of the scenario.
type Opt[T any, P parsed[T]] struct {
	N    T
	Auto bool
}

type parsed[T any] interface {
	*T
	value
}

// The values that can be left to the scenario.
type (
	OptCount = Opt[Count, *Count]
	OptSize  = Opt[Size, *Size]
	OptFreq  = Opt[Freq, *Freq]
	OptTime  = Opt[Time, *Time]
)

var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

func (s *Size) parse(text string) error {
	digits, unit := splitUnit(text)
	n, frac, scale, ok := decimal(digits)
	if !ok {
		return wrong{fmt.Sprintf("%q is not a size", text), "write a size with its unit, such as 64KiB, 256MiB or 1TiB"}
	}
	if unit == "" {
		if n == 0 && frac == 0 {
			*s = 0
			return nil
		}
		return wrong{fmt.Sprintf("%s has no unit, and a size needs one", text),
			fmt.Sprintf("write %sB, %sKiB, %sMiB or %sGiB", digits, digits, digits, digits)}
	}
	for _, u := range sizeUnits {
		if u.name != unit {
			continue
		}
		v, over := scaled(n, frac, scale, 1<<u.shift)
		if over {
			return wrong{fmt.Sprintf("%s is more than 64 bits can hold", text), "the largest machine here has 2^52 bytes"}
		}
		*s = Size(v)
		return nil
	}
	return wrong{fmt.Sprintf("%q is not a unit of size", unit), "use B, KiB, MiB, GiB or TiB (powers of 1024)" + sizeHint(digits, unit)}
}

// sizeHint turns the usual slips (kb, Mb, G) into the unit that was meant.
func sizeHint(digits, unit string) string {
	for _, u := range sizeUnits[:4] {
		if strings.EqualFold(unit[:1], u.name[:1]) {
			return fmt.Sprintf(": did you mean %s%s?", digits, u.name)
		}
	}
	return ""
}

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && uint64(s)&(1<<u.shift-1) == 0 {
			return strconv.FormatUint(uint64(s)>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(s), 10) + "B"
}

func (c *Count) parse(text string) error {
	v, err := parseWhole(text)
	if err == nil {
		*c = Count(v)
		return nil
	}
	if digits, unit := splitUnit(text); unit != "" && digits != "" {
		return wrong{fmt.Sprintf("%q is not a count: a count has no unit", text), fmt.Sprintf("write a plain number, such as %s", digits)}
	}
	return wrong{fmt.Sprintf("%q is not a count", text), "write a whole number without a unit"}
}

func (c Count) String() string { return strconv.FormatUint(uint64(c), 10) }

func (a *Addr) parse(text string) error {
	if v, err := parseWhole(text); err == nil {
		*a = Addr(v)
		return nil
	}
	var s Size
	if s.parse(text) == nil {
		*a = Addr(s)
		return nil
	}
	return wrong{fmt.Sprintf("%q is not an address", text), "write it in hexadecimal (0x40000000) or as a size (1GiB)"}
}

func (a Addr) String() string { return "0x" + strconv.FormatUint(uint64(a), 16) }

var freqUnits = []struct {
	name string
	hz   uint64
}{{"GHz", 1e9}, {"MHz", 1e6}, {"kHz", 1e3}, {"Hz", 1}}

func (f *Freq) parse(text string) error {
	digits, unit := splitUnit(text)
	n, frac, scale, ok := decimal(digits)
	for _, u := range freqUnits {
		if !ok || u.name != unit {
			continue
		}
		v, over := scaled(n, frac, scale, u.hz)
		if over {
			break
		}
		*f = Freq(v)
		return nil
	}
	return wrong{fmt.Sprintf("%q is not a frequency", text), "write it with its unit, such as 3GHz or 2600MHz"}
}

func (f Freq) String() string {
	for _, u := range freqUnits {
		if f != 0 && uint64(f)%u.hz == 0 {
			return strconv.FormatUint(uint64(f)/u.hz, 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(f), 10) + "Hz"
}

func (s *Switch) parse(text string) error {
	switch strings.ToLower(text) {
	case "on", "true", "yes":
		*s = true
	case "off", "false", "no":
		*s = false
	default:
		return wrong{fmt.Sprintf("%q is neither on nor off", text), "write on or off"}
	}
	return nil
}

func (s Switch) String() string {
	if s {
		return "on"
	}
	return "off"
}

func (t *Text) parse(text string) error { *t = Text(text); return nil }
func (t Text) String() string           { return string(t) }
func (n *Name) parse(text string) error { *n = Name(text); return nil }
func (n Name) String() string           { return string(n) }

var timeUnits = []struct {
	name  string
	picos uint64
}{{"s", 1e12}, {"ms", 1e9}, {"us", 1e6}, {"ns", 1e3}, {"ps", 1}}

func (t *Time) parse(text string) error {
	if text == "never" {
		*t = Time{Never: true}
		return nil
	}
	digits, unit := splitUnit(text)
	n, frac, scale, ok := decimal(digits)
	if !ok {
		return wrong{fmt.Sprintf("%q is not a time", text), "write a time with its unit, such as 10ms, 3000cyc or 1s"}
	}
	if unit == "µs" || unit == "μs" {
		unit = "us"
	}
	if unit == "cyc" {
		if frac != 0 {
			return wrong{fmt.Sprintf("%s is not a whole number of cycles", text), fmt.Sprintf("write %dcyc", n)}
		}
		*t = Time{Cycles: n}
		return nil
	}
	for _, u := range timeUnits {
		if u.name != unit {
			continue
		}
		v, over := scaled(n, frac, scale, u.picos)
		if over {
			return wrong{fmt.Sprintf("%s is longer than a simulation can be", text), "the longest time is 18446744s"}
		}
		*t = Time{Picos: v}
		return nil
	}
	if unit == "" {
		if n == 0 && frac == 0 {
			*t = Time{}
			return nil
		}
		return wrong{fmt.Sprintf("%s has no unit, and a time needs one", text),
			fmt.Sprintf("write %sms, %sus or %scyc", digits, digits, digits)}
	}
	return wrong{fmt.Sprintf("%q is not a unit of time", unit), "use s, ms, us, ns or cyc (cycles of the host clock)"}
}

func (t Time) String() string {
	if t.Never {
		return "never"
	}
	if t.Picos == 0 {
		return strconv.FormatUint(t.Cycles, 10) + "cyc"
	}
	for _, u := range timeUnits {
		if t.Picos%u.picos == 0 {
			return strconv.FormatUint(t.Picos/u.picos, 10) + u.name
		}
	}
	return "" // 1 ps divides everything
}

// In returns the time in cycles of a clock, to the nearest; Never is sim.Never.
func (t Time) In(clock Freq) sim.Cycle {
	if t.Never {
		return sim.Never
	}
	hi, lo := bits.Mul64(t.Picos, uint64(clock))
	lo, carry := bits.Add64(lo, 5e11, 0)
	hi += carry
	if hi >= 1e12 {
		return sim.Never - 1
	}
	q, _ := bits.Div64(hi, lo, 1e12)
	if q > uint64(sim.Never)-1-t.Cycles {
		return sim.Never - 1
	}
	return sim.Cycle(q + t.Cycles)
}

func (u *Until) parse(text string) error {
	if text == "done" {
		*u = Until{Done: true}
		return nil
	}
	u.Done = false
	return orWord(u.Time.parse(text), "done, or ")
}

func (u Until) String() string {
	if u.Done {
		return "done"
	}
	return u.Time.String()
}

func (s *Saves) parse(text string) error {
	*s = Saves{Never: text == "never", End: text == "end"}
	if s.Never || s.End {
		return nil
	}
	return orWord(s.Every.parse(text), "never, end, or a period: ")
}

func (s Saves) String() string {
	switch {
	case s.Never:
		return "never"
	case s.End:
		return "end"
	}
	return s.Every.String()
}

// orWord adds the words that a key takes instead of a time.
func orWord(err error, words string) error {
	if w, ok := err.(wrong); ok {
		w.fix = strings.Replace(w.fix, "write ", "write "+words, 1)
		return w
	}
	return err
}

func (o *Opt[T, P]) parse(text string) error {
	if text == "auto" {
		*o = Opt[T, P]{Auto: true}
		return nil
	}
	o.Auto = false
	return P(&o.N).parse(text)
}

func (o Opt[T, P]) String() string {
	if o.Auto {
		return "auto"
	}
	return P(&o.N).String()
}

// splitUnit cuts "1.5ms" into "1.5" and "ms".
func splitUnit(text string) (digits, unit string) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.' || text[i] == '_') {
		i++
	}
	return text[:i], strings.TrimSpace(text[i:])
}

// decimal reads digits with an optional fraction: n + frac/scale.
func decimal(text string) (n, frac, scale uint64, ok bool) {
	whole, part, _ := strings.Cut(text, ".")
	n, err := parseWhole(whole)
	if err != nil || strings.HasPrefix(whole, "0x") {
		return 0, 0, 1, false
	}
	scale = 1
	if strings.Contains(text, ".") {
		if len(part) == 0 || len(part) > 12 {
			return 0, 0, 1, false
		}
		if frac, err = strconv.ParseUint(part, 10, 64); err != nil {
			return 0, 0, 1, false
		}
		for range part {
			scale *= 10
		}
	}
	return n, frac, scale, true
}

func parseWhole(text string) (uint64, error) {
	if strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X") {
		return strconv.ParseUint(strings.ReplaceAll(text[2:], "_", ""), 16, 64)
	}
	if strings.HasPrefix(text, "_") || strings.HasSuffix(text, "_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(strings.ReplaceAll(text, "_", ""), 10, 64)
}

// scaled is (n + frac/scale) * by, rounded down.
func scaled(n, frac, scale, by uint64) (v uint64, over bool) {
	hi, lo := bits.Mul64(n, by)
	fhi, flo := bits.Mul64(frac, by)
	part, _ := bits.Div64(fhi, flo, scale) // frac < scale, so the quotient fits
	sum, carry := bits.Add64(lo, part, 0)
	return sum, hi != 0 || carry != 0
}

// ParseTime reads a time as scenario files write it.
func ParseTime(text string) (t Time, err error) {
	err = t.parse(text)
	if w, ok := err.(wrong); ok {
		return t, fmt.Errorf("%s; %s", w.text, w.fix)
	}
	return t, err
}

// ParseSize reads a size as scenario files write it.
func ParseSize(text string) (s Size, err error) {
	err = s.parse(text)
	if w, ok := err.(wrong); ok {
		return s, fmt.Errorf("%s; %s", w.text, w.fix)
	}
	return s, err
}

// ParseAddr reads an address as scenario files write it.
func ParseAddr(text string) (a Addr, err error) {
	err = a.parse(text)
	if w, ok := err.(wrong); ok {
		return a, fmt.Errorf("%s; %s", w.text, w.fix)
	}
	return a, err
}
