package scenario

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
)

// Section is the sweep section of a file: how the values of its keys go together.
//
//	sweep:
//	  zip:     [[vm.vcpus, vm.memory]]        # these move together; others: every combination
//	  exclude: [tracking.ring > 4096 and host.page == 64KiB]
//	  when:    {tracking.ring: tracking.mode != bitmap}
//	  sets:    {rings: [256, 1024..4096 log]} # used as $rings
//	  variants:
//	    machine:                              # an axis whose values set several keys
//	      small: {vm.vcpus: 1, vm.memory: 64MiB}
//	      large: {vm.vcpus: 8, vm.memory: 1GiB}
//	  stats:   [guest.slowdown]               # what the report is about
type Section struct {
	Zip      [][]Cell // keys that move together
	Exclude  []Cell   // conditions of points that are left out
	When     []Rule   // conditions of keys, which elsewhere are not set
	Variants []Variant
	Stats    []Cell
}

// Rule is a condition on which a key is set.
type Rule struct {
	Key       Cell
	Condition Cell
}

// Variant is an axis whose values each set several keys.
type Variant struct {
	Name   string
	At     Pos
	Values []VariantValue
}

// VariantValue is a named value of a variant.
type VariantValue struct {
	Name  Cell
	Keys  []string
	Cells []Cell
}

const sectionKey = "sweep"

// findSweep decodes the sweep section, before all others.
func (d *decoder) findSweep(node ast.Node, s *Section) error {
	if node == nil {
		return nil
	}
	for _, pair := range pairs(node) {
		if key, ok := keyText(pair.Key); ok && key == sectionKey {
			return d.sweep(pair.Value, s)
		}
	}
	return nil
}

// pairs are the entries of a mapping; none for anything else.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

var sectionKeys = []string{"zip", "exclude", "when", "sets", "variants", "stats"}

func (d *decoder) sweep(node ast.Node, s *Section) error {
	return d.mapping(node, sectionKey, func(key string, at Pos, val ast.Node) (err error) {
		path := join(sectionKey, key)
		switch key {
		case "zip":
			for _, group := range items(val) {
				cells, err := d.texts(group, path)
				if err != nil {
					return err
				}
				if len(cells) < 2 {
					return d.problem(d.at(group.GetToken()), path+": one key alone moves with nothing", "write lists of keys: [[vm.vcpus, vm.memory]]")
				}
				s.Zip = append(s.Zip, cells)
			}
			if len(s.Zip) == 0 {
				return d.problem(at, path+" is a list of lists of keys", "write zip: [[vm.vcpus, vm.memory]]")
			}
		case "exclude":
			s.Exclude, err = d.texts(val, path)
		case "stats":
			s.Stats, err = d.texts(val, path)
		case "when":
			return d.mapping(val, path, func(of string, at Pos, cond ast.Node) error {
				text, err := d.plain(cond, join(path, of))
				if err == nil {
					s.When = append(s.When, Rule{Cell{of, at}, Cell{text, d.at(cond.GetToken())}})
				}
				return err
			})
		case "sets":
			return d.mapping(val, path, func(name string, at Pos, list ast.Node) error {
				if !setText.MatchString("$" + name) {
					return d.problem(at, fmt.Sprintf("%q is no name for a set", name), "use letters, digits, - and _")
				}
				cells, err := d.texts(list, join(path, name))
				d.axes.sets[name] = cells
				return err
			})
		case "variants":
			return d.mapping(val, path, func(name string, at Pos, list ast.Node) error {
				v := Variant{Name: name, At: at}
				err := d.variant(list, join(path, name), &v)
				s.Variants = append(s.Variants, v)
				return err
			})
		default:
			return d.problem(at, fmt.Sprintf("unknown key %q in sweep", key), DidYouMean(key, sectionKeys))
		}
		return err
	})
}

// variant decodes the named values of one variant.
func (d *decoder) variant(node ast.Node, path string, v *Variant) error {
	if len(pairs(node)) == 0 {
		return d.problem(v.At, path+" has no values", "write below it, for each value, its name and the keys that it sets")
	}
	return d.mapping(node, path, func(name string, at Pos, keys ast.Node) error {
		val := VariantValue{Name: Cell{name, at}}
		err := d.mapping(keys, join(path, name), func(key string, at Pos, text ast.Node) error {
			t, err := d.plain(text, join(join(path, name), key))
			val.Keys, val.Cells = append(val.Keys, key), append(val.Cells, Cell{t, d.at(text.GetToken())})
			return err
		})
		v.Values = append(v.Values, val)
		return err
	})
}

// items are the items of a list; a single value is a list of one.
func items(node ast.Node) []ast.Node {
	switch n := node.(type) {
	case *ast.SequenceNode:
		return n.Values
	case *ast.NullNode, nil:
		return nil
	}
	return []ast.Node{node}
}

func (d *decoder) texts(node ast.Node, path string) (cells []Cell, err error) {
	for _, item := range items(node) {
		text, err := d.plain(item, path)
		if err != nil {
			return nil, err
		}
		cells = append(cells, Cell{text, d.at(item.GetToken())})
	}
	if len(cells) == 0 {
		return nil, d.problem(d.where[path], path+" has no value", "write a list, or remove it")
	}
	return cells, nil
}
