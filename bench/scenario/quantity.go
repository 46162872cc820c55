package scenario

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
)

// Quantity is a number with its dimension, such as 64KiB or 10ms, exactly.
type Quantity struct {
	Value     *big.Rat // in the dimension's base unit: B, ps, Hz, cycles, %, or plain
	Dimension string   // "size", "time", "frequency", "cycles", "share" or "" for a plain number
	unit      string   // as written
	scale     *big.Rat // base units in one unit
	power     int64    // 2 for what was written as 2^n, else 0
}

var quantityText = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|[0-9][0-9_]*(?:\.[0-9]{1,12})?)(?:\^([0-9]{1,3}))?\s*([A-Za-zµμ%]*)$`)

// ParseQuantity reads a number with or without a unit; ok is false if the text is
// something else.
func ParseQuantity(text string) (q Quantity, ok bool) {
	m := quantityText.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return q, false
	}
	if q.Dimension, q.scale, ok = dimension(m[3]); !ok {
		return q, false
	}
	q.unit = m[3]
	digits := strings.ReplaceAll(m[1], "_", "")
	if hex := strings.ToLower(digits); strings.HasPrefix(hex, "0x") {
		n, good := new(big.Int).SetString(hex[2:], 16)
		if !good || m[2] != "" {
			return q, false
		}
		q.Value = new(big.Rat).SetInt(n)
	} else if q.Value, ok = new(big.Rat).SetString(digits); !ok {
		return q, false
	}
	if m[2] != "" && !q.raise(m[2]) {
		return q, false
	}
	q.Value.Mul(q.Value, q.scale)
	return q, true
}

// raise turns base into base^exponent.
func (q *Quantity) raise(exponent string) bool {
	var e int64
	if _, err := fmt.Sscan(exponent, &e); err != nil || !q.Value.IsInt() || q.Value.Num().BitLen() > 16 {
		return false
	}
	q.power = q.Value.Num().Int64()
	q.Value = new(big.Rat).SetInt(new(big.Int).Exp(q.Value.Num(), big.NewInt(e), nil))
	return q.power >= 2
}

// dimension finds what a unit measures, and how much of the base unit it is.
func dimension(unit string) (name string, scale *big.Rat, ok bool) {
	whole := func(n uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(n)) }
	switch unit {
	case "":
		return "", whole(1), true
	case "%":
		return "share", whole(1), true
	case "cyc":
		return "cycles", whole(1), true
	case "µs", "μs":
		unit = "us"
	}
	for _, u := range sizeUnits {
		if u.name == unit {
			return "size", whole(1 << u.shift), true
		}
	}
	for _, u := range timeUnits {
		if u.name == unit {
			return "time", whole(u.picos), true
		}
	}
	for _, u := range freqUnits {
		if u.name == unit {
			return "frequency", whole(u.hz), true
		}
	}
	return "", nil, false
}

// Float is the value in base units: B, ps, Hz.
func (q Quantity) Float() float64 {
	f, _ := q.Value.Float64()
	return f
}

// with writes another value in the unit of q; ok is false if that takes more
// than 12 decimals.
func (q Quantity) with(v *big.Rat) (text string, ok bool) {
	in := new(big.Rat).Quo(v, q.scale)
	if in.IsInt() {
		return in.Num().String() + q.unit, true
	}
	text = in.FloatString(12)
	if exact, good := new(big.Rat).SetString(text); !good || exact.Cmp(in) != 0 {
		return "", false
	}
	return strings.TrimRight(text, "0") + q.unit, true
}

// AxisLabel is an axis with the unit in which it is drawn, and what to multiply
// its base unit with; 0 if its values are no numbers.
func AxisLabel(key string, values []string) (label string, scale float64) {
	most, dimension := 0.0, ""
	for i, v := range values {
		q, ok := ParseQuantity(v)
		if !ok || i > 0 && q.Dimension != dimension {
			return key, 0
		}
		most, dimension = math.Max(most, q.Float()), q.Dimension
	}
	switch dimension {
	case "size":
		for _, u := range []struct {
			name  string
			bytes float64
		}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
			if most >= u.bytes {
				return key + " (" + u.name + ")", 1 / u.bytes
			}
		}
		return key + " (B)", 1
	case "time": // in ps
		if most < 1e9 {
			return key + " (µs)", 1e-6
		}
		return key + " (ms)", 1e-9
	case "share":
		return key + " (%)", 1
	}
	return key, 1
}
