package scenario

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
)

// Axis is a key of a scenario that was given several values.
type Axis struct {
	Key    string
	Values []Cell
	At     Pos
}

// Cell is one value of an axis: its text as the key prints it, and where it was
// written.
type Cell struct {
	Text string
	At   Pos
}

// MaxValues is how many values one axis can have.
const MaxValues = 1_000_000

// axes collects the keys with several values while a sweep is decoded.
type axes struct {
	list []Axis
	sets map[string][]Cell // what $name stands for
}

func (a *axes) drop(key string) {
	a.list = slices.DeleteFunc(a.list, func(x Axis) bool { return x.Key == key })
}

// Several is a scenario in which any single value may be several: a list, a range
// or a named set.
//
//	tracking: {ring: 2^8..2^12}              # 256, 512, 1024, 2048, 4096
//	vm:       {vcpus: 1..8 log}              # 1, 2, 4, 8; log 10 multiplies by ten
//	vmm:      {interval: 10ms..40ms step 15ms}
//	seed:     [1..3, 7]                      # lists may hold ranges
//	tracking: {mode: $modes}                 # all that `ringmap list modes` names
type Several struct {
	Base  *Scenario // without the keys of the axes
	Axes  []Axis    // in the order of the file, then of Set
	Sweep Section
	axes  *axes
}

// ParseSeveral decodes the text of a sweep; file is its name in messages.
func ParseSeveral(file string, text []byte) (*Several, error) {
	v := &Several{Base: Default(), axes: &axes{sets: namedSets()}}
	v.Base.setDir(file)
	d := decoder{file: file, where: v.Base.where, axes: v.axes}
	if len(text) > maxFile {
		return nil, tooLong(file, text)
	}
	node, err := d.tree(text)
	if err != nil {
		return nil, err
	}
	// The sets first: they may be used above the place where they stand.
	if err := d.findSweep(node, &v.Sweep); err != nil {
		return nil, err
	}
	if node != nil {
		if err := d.section(node, reflect.ValueOf(v.Base).Elem(), ""); err != nil {
			return nil, err
		}
	}
	v.Axes = v.axes.list
	return v, nil
}

// Set applies one "a.b=c", in which c may be several values too.
func (v *Several) Set(origin, assignment string) error {
	err := v.Base.set(origin, assignment, v.axes)
	v.Axes = v.axes.list
	return err
}

// With returns a copy of the scenario in which each key has the text of its
// cell, as though written there.
func (s *Scenario) With(keys []string, cells []Cell) (*Scenario, error) {
	out := *s
	out.Hazards, out.Workload.Params, out.where = maps.Clone(s.Hazards), maps.Clone(s.Workload.Params), maps.Clone(s.where)
	out.VM.Slots = slices.Clone(s.VM.Slots)
	for i, key := range keys {
		at := cells[i].At
		d := decoder{file: at.File, where: out.where, here: &at}
		if err := d.assign(key, cells[i].Text, &out); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// Texts are the keys and texts of a scenario, defaults included.
func (s *Scenario) Texts() map[string]string {
	texts := map[string]string{}
	for _, kv := range s.Effective(&Plan{}) {
		texts[kv.Key] = kv.Value
	}
	for name, text := range s.Workload.Params {
		texts["workload."+name] = string(text)
	}
	return texts
}

// namedSets are the sets that need no definition.
func namedSets() map[string][]Cell {
	sets := map[string][]Cell{}
	add := func(name string, texts ...string) {
		for _, t := range texts {
			sets[name] = append(sets[name], Cell{Text: t})
		}
	}
	add("modes", Modes()...)
	add("kernels", kvmcore.Kernels...)
	add("patterns", patternNames()...)
	add("profiles", kvmcore.Profiles()...)
	for _, p := range vmm.Policies() {
		add("policies", p.Name)
	}
	return sets
}

// several reads a list of values for a key that takes one, and makes it an axis.
func (d *decoder) several(seq *ast.SequenceNode, v value, path string) error {
	at := d.at(seq.GetToken())
	d.where[path] = at
	var cells []Cell
	for _, item := range seq.Values {
		text, err := d.plain(item, path)
		if err != nil {
			return err
		}
		more, _, err := d.cells(text, d.at(item.GetToken()), v, path)
		if err != nil {
			return err
		}
		cells = append(cells, more...)
	}
	return d.axis(cells, at, path)
}

// plain returns the text of a single value.
func (d *decoder) plain(node ast.Node, path string) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	case nil:
		return "", d.problem(d.where[path], path+" has no value", "")
	}
	return "", d.problem(d.at(node.GetToken()), fmt.Sprintf("%s takes single values, not %s", path, kindOf(node)), "")
}

// spread makes an axis of a text that stands for several values; done is false
// if it is a single one.
func (d *decoder) spread(text string, at Pos, v value, path string) (done bool, err error) {
	if strings.HasPrefix(text, "[") && d.arg {
		node, err := d.tree([]byte(text))
		if seq, ok := node.(*ast.SequenceNode); ok && err == nil {
			return true, d.several(seq, v, path)
		}
		return true, err
	}
	cells, several, err := d.cells(text, at, v, path)
	if err != nil || !several {
		return err != nil, err
	}
	d.where[path] = at
	return true, d.axis(cells, at, path)
}

// axis adds an axis, or replaces the one of that key. The base scenario does not
// have the key.
func (d *decoder) axis(cells []Cell, at Pos, path string) error {
	if len(cells) == 0 {
		return d.problem(at, path+": an empty list has no value", "write at least one")
	}
	seen := map[string]bool{}
	for _, c := range cells {
		if seen[c.Text] {
			return d.problem(c.At, fmt.Sprintf("%s: %s is there twice", path, c.Text), "keep one of them")
		}
		seen[c.Text] = true
	}
	if len(cells) > MaxValues {
		return d.tooMany(at, path, big.NewInt(int64(len(cells))))
	}
	delete(d.where, path)
	new := Axis{path, cells, at}
	for i, a := range d.axes.list {
		if a.Key == path {
			d.axes.list[i] = new
			return nil
		}
	}
	d.axes.list = append(d.axes.list, new)
	return nil
}

func (d *decoder) tooMany(at Pos, path string, n *big.Int) error {
	return d.problem(at, fmt.Sprintf("%s: %v values are too many", path, n), fmt.Sprintf("a sweep has at most %d points", MaxValues))
}

var (
	setText   = regexp.MustCompile(`^\$[A-Za-z][\w-]*$`)
	rangeText = regexp.MustCompile(`^(\S+?)\s*\.\.\s*(\S+)(?:\s+(log|step)(?:\s+(\S+))?)?$`)
	powerText = regexp.MustCompile(`^[0-9]+\^[0-9]+`)
)

// cells returns the values that a text stands for, each checked and printed by
// the key's type; several is false for a single value.
func (d *decoder) cells(text string, at Pos, v value, path string) (cells []Cell, several bool, err error) {
	text = strings.TrimSpace(text)
	_, free := v.(*Text) // a path may hold dots
	switch {
	case setText.MatchString(text):
		set, ok := d.axes.sets[text[1:]]
		if !ok {
			return nil, true, d.problem(at, fmt.Sprintf("%s: there is no set %s", path, text), DidYouMean(text[1:], sortedKeys(d.axes.sets)))
		}
		for _, c := range set {
			if c.At.File == "" {
				c.At = at
			}
			more, _, err := d.cells(c.Text, c.At, v, path)
			if err != nil {
				return nil, true, err
			}
			cells = append(cells, more...)
		}
		return cells, true, nil
	case !free && strings.Contains(text, ".."):
		texts, err := d.expand(text, at, path)
		if err != nil {
			return nil, true, err
		}
		for _, t := range texts {
			c, err := d.cell(t, at, v, path)
			if err != nil {
				return nil, true, err
			}
			cells = append(cells, c)
		}
		return cells, true, nil
	case !free && powerText.MatchString(text):
		if q, ok := ParseQuantity(text); ok {
			text, _ = q.with(q.Value)
		}
	}
	c, err := d.cell(text, at, v, path)
	return []Cell{c}, false, err
}

// cell checks one value by the key's type.
func (d *decoder) cell(text string, at Pos, v value, path string) (Cell, error) {
	fresh := reflect.New(reflect.TypeOf(v).Elem()).Interface().(value)
	if err := fresh.parse(text); err != nil {
		var w wrong
		errors.As(err, &w)
		return Cell{}, d.problem(at, path+": "+w.text, w.fix)
	}
	return Cell{fresh.String(), at}, nil
}

// expand lists the values of a range.
func (d *decoder) expand(text string, at Pos, path string) ([]string, error) {
	bad := func(fix, format string, args ...any) ([]string, error) {
		return nil, d.problem(at, fmt.Sprintf("%s: %s: %s", path, text, fmt.Sprintf(format, args...)), fix)
	}
	m := rangeText.FindStringSubmatch(text)
	if m == nil {
		return bad("write 1..8, 2^6..2^16, 1..512 log, 1..1000 log 10 or 10ms..80ms step 10ms", "this is not a range")
	}
	from, ok := ParseQuantity(m[1])
	if !ok {
		return bad("a range goes from one number to another, such as 10ms..80ms", "%q is not a number with its unit", m[1])
	}
	to, ok := ParseQuantity(m[2])
	if !ok {
		return bad("a range goes from one number to another, such as 10ms..80ms", "%q is not a number with its unit", m[2])
	}
	if from.Dimension != to.Dimension {
		return bad("write both ends alike, such as "+from.alike(m[1], to)+".."+to.alike(m[2], from), "the ends have different units, %s and %s", from.kind(), to.kind())
	}
	if from.Value.Cmp(to.Value) > 0 {
		return bad(fmt.Sprintf("write %s..%s", m[2], m[1]), "the range is empty, for %s comes after %s", m[1], m[2])
	}
	if m[3] == "log" || m[3] == "" && from.power != 0 && from.power == to.power {
		factor := int64(2)
		if m[3] == "" {
			factor = from.power
		} else if m[4] != "" {
			q, ok := ParseQuantity(m[4])
			if !ok || q.Dimension != "" || !q.Value.IsInt() || !q.Value.Num().IsInt64() || q.Value.Num().Int64() < 2 {
				return bad("write log (doubling), or log 10", "%q is no factor: a whole number of at least 2", m[4])
			}
			factor = q.Value.Num().Int64()
		}
		if from.Value.Sign() == 0 {
			return bad("begin above 0", "0 times %d stays 0", factor)
		}
		return d.walk(from, to, at, path, func(v *big.Rat) { v.Mul(v, new(big.Rat).SetInt64(factor)) })
	}
	step := Quantity{Value: from.scale, Dimension: from.Dimension}
	switch {
	case m[3] == "step":
		if step, ok = ParseQuantity(m[4]); !ok || step.Value.Sign() == 0 {
			return bad("write a step above 0, with its unit", "%q is no step", m[4])
		}
		if step.Dimension != from.Dimension {
			return bad("write the step in the unit of the ends", "the step has another unit than the ends, %s and %s", step.kind(), from.kind())
		}
	case from.unit != to.unit || !from.Value.IsInt() || strings.Contains(m[1], "."):
		return bad("add a step, such as "+text+" step "+m[1], "how far from one value to the next is not said")
	}
	n := new(big.Rat).Quo(new(big.Rat).Sub(to.Value, from.Value), step.Value)
	count := new(big.Int).Add(new(big.Int).Quo(n.Num(), n.Denom()), big.NewInt(1))
	if count.Cmp(big.NewInt(MaxValues)) > 0 {
		return nil, d.tooMany(at, path, count)
	}
	return d.walk(from, to, at, path, func(v *big.Rat) { v.Add(v, step.Value) })
}

// walk writes the values of a range in the unit in which it begins.
func (d *decoder) walk(from, to Quantity, at Pos, path string, next func(*big.Rat)) (texts []string, err error) {
	for v := new(big.Rat).Set(from.Value); v.Cmp(to.Value) <= 0; next(v) {
		text, ok := from.with(v)
		if !ok {
			return nil, d.problem(at, fmt.Sprintf("%s: a value of the range has more than 12 decimals", path), "write the ends in a smaller unit")
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// kind says what a quantity is, for messages.
func (q Quantity) kind() string {
	if q.unit == "" {
		return "none"
	}
	return q.unit
}

// alike adds the unit of the other end to an end that has none.
func (q Quantity) alike(text string, other Quantity) string {
	if q.unit == "" {
		text += other.unit
	}
	return text
}
