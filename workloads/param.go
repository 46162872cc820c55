package workloads

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Param declares one parameter of a pattern: what a user may write, in which
// unit and range, and what it is when left out.
type Param struct {
	Name    string
	Unit    string // "%", "pages", "cycles", "bytes", "accesses", "instructions", or empty
	Doc     string // one line
	Default string
	Min     string   // least value, empty for a choice
	Max     string   // largest value
	Choices []string // the words allowed, for a choice
	places  int      // decimals allowed after the point
}

// Range is what a user may write, for listings and messages.
func (p Param) Range() string {
	if len(p.Choices) > 0 {
		return strings.Join(p.Choices, " | ")
	}
	return p.Min + " to " + p.Max
}

// Setting is a parameter with the value in effect.
type Setting struct {
	Param
	Value string
}

// ParamError is a parameter that cannot be used: which, and how to mend it.
type ParamError struct {
	Param string // name of the parameter
	Why   string // what is wrong and what would be right
}

func (e *ParamError) Error() string { return e.Param + ": " + e.Why }

// parse turns what a user wrote into the number the pattern computes with: the
// value times 10^places, or the index of the choice.
func (p Param) parse(text string) (uint64, error) {
	if len(p.Choices) > 0 {
		if i := slices.Index(p.Choices, text); i >= 0 {
			return uint64(i), nil
		}
		return 0, &ParamError{p.Name, fmt.Sprintf("%q is not one of %s", text, p.Range())}
	}
	v, err := parseDecimal(text, p.places)
	if err != nil {
		return 0, &ParamError{p.Name, fmt.Sprintf("%v; write %s", err, p.form())}
	}
	if v < p.bound(p.Min) || v > p.bound(p.Max) {
		return 0, &ParamError{p.Name, fmt.Sprintf("%s is out of range; write %s", text, p.form())}
	}
	return v, nil
}

// form describes what parse accepts.
func (p Param) form() string {
	s := "a whole number"
	if p.places > 0 {
		s = fmt.Sprintf("a number with at most %d decimals", p.places)
	}
	s += " from " + p.Range()
	if p.Unit != "" {
		s += " (" + p.Unit + ")"
	}
	return s
}

// bound parses a bound that this package declares.
func (p Param) bound(text string) uint64 {
	v, err := parseDecimal(text, p.places)
	if err != nil {
		panic("workloads: bound of parameter " + p.Name + ": " + err.Error())
	}
	return v
}

// parseDecimal reads digits with at most places digits after a point, exactly:
// the value times 10^places.
func parseDecimal(text string, places int) (uint64, error) {
	whole, frac, point := strings.Cut(text, ".")
	if whole == "" || point && frac == "" || strings.ContainsAny(text, "+-_") {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	if len(frac) > places {
		if places == 0 {
			return 0, fmt.Errorf("%q is not a whole number", text)
		}
		return 0, fmt.Errorf("%q has more than %d decimals", text, places)
	}
	v, err := strconv.ParseUint(whole+frac+strings.Repeat("0", places-len(frac)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number below 2^64", text)
	}
	return v, nil
}

// CPI is how many cycles an instruction takes, in thousandths of a cycle: an
// exact decimal, so that no rounding depends on the machine.
type CPI uint64

// MaxCPI is the largest accepted CPI, 1000 cycles per instruction.
const MaxCPI CPI = 1000_000

// cpiPlaces is the number of decimals of a CPI.
const cpiPlaces = 3

// ParseCPI reads a CPI such as "1", "0.8" or "1.25".
func ParseCPI(text string) (CPI, error) {
	v, err := cpiParam.parse(text)
	return CPI(v), err
}

func (c CPI) String() string {
	s := fmt.Sprintf("%d.%03d", c/1000, c%1000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Cycles is how long n instructions take, rounded down.
func (c CPI) Cycles(n uint64) uint64 {
	hi, lo := bits.Mul64(n, uint64(c))
	if hi >= 1000 {
		return ^uint64(0)
	}
	q, _ := bits.Div64(hi, lo, 1000)
	return q
}
