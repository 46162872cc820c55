package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds a scenario file; the largest meaningful one (32,767 memslots)
// stays below it. maxDepth bounds nesting: scenarios need four levels.
const (
	maxFile  = 4 << 20
	maxDepth = 16
)

// decoder fills a Scenario from the YAML tree and remembers where every value
// came from, so that the checks that follow can point at it.
type decoder struct {
	file  string
	arg   bool // the text is a command-line argument: a position has no line
	here  *Pos // where every value was written; nil = where the text stands
	where map[string]Pos
	axes  *axes // of a sweep; nil where every value is a single one
}

// decode reads a whole file into the struct that dst points to.
func (d *decoder) decode(text []byte, dst any) error {
	if len(text) > maxFile {
		return tooLong(d.file, text)
	}
	node, err := d.tree(text)
	if err != nil || node == nil {
		return err
	}
	return d.section(node, reflect.ValueOf(dst).Elem(), "")
}

func tooLong(file string, text []byte) error {
	return &Problem{Pos{File: file}, fmt.Sprintf("%d bytes are too many for a scenario", len(text)), "a scenario has at most 4 MiB"}
}

// tree parses the text into the one document it must be; nil if it is empty.
func (d *decoder) tree(text []byte) (node ast.Node, err error) {
	if line := tooDeep(text); line != 0 {
		return nil, d.problem(Pos{d.file, line, 1}, "nested too deeply", "a scenario has sections and keys, at most four levels")
	}
	// Whatever the parser makes of damaged text, it must end in a message.
	defer func() {
		if r := recover(); r != nil {
			node, err = nil, d.problem(Pos{d.file, 1, 1}, "this is not YAML", "`ringmap init` writes a file to start from")
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			return nil, d.problem(d.at(syntax.Token), syntax.Message, "")
		}
		return nil, d.problem(Pos{d.file, 1, 1}, strings.SplitN(err.Error(), "\n", 2)[0], "")
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if node != nil {
			return nil, d.problem(d.at(doc.Body.GetToken()), "a second YAML document", "one file holds one scenario")
		}
		node = doc.Body
	}
	return node, nil
}

// tooDeep returns the first line that opens more levels than any scenario has.
// It runs before the parser, which recurses.
func tooDeep(text []byte) (line int) {
	line, depth, lead := 1, 0, 0
	start := true
	for _, c := range text {
		switch c {
		case '\n':
			line++
			lead, start = 0, true
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '-', '?', ':':
			if start {
				lead++
			}
		}
		if c != ' ' && c != '-' && c != '?' && c != ':' {
			start = false
		}
		if depth > maxDepth || lead > 64 {
			return line
		}
	}
	return 0
}

func (d *decoder) at(t *token.Token) Pos {
	if d.arg || t == nil || t.Position == nil {
		return Pos{File: d.file}
	}
	return Pos{d.file, t.Position.Line, t.Position.Column}
}

func (d *decoder) problem(at Pos, text, fix string) error {
	if d.here != nil {
		at = *d.here
	}
	if d.arg {
		at.Line = 0
	}
	return &Problem{at, text, fix}
}

// any decodes node into v by v's type.
func (d *decoder) any(node ast.Node, v reflect.Value, path string) error {
	if s, ok := v.Addr().Interface().(value); ok {
		return d.scalar(node, s, path)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.section(node, v, path)
	case reflect.Slice:
		return d.list(node, v, path)
	case reflect.Map:
		return d.words(node, v, path)
	}
	panic("scenario: no decoding for " + v.Type().String())
}

// section decodes a mapping whose keys are the fields of a struct.
func (d *decoder) section(node ast.Node, v reflect.Value, path string) error {
	return d.mapping(node, path, func(key string, at Pos, val ast.Node) error {
		if field, ok := fieldOf(v, key); ok {
			return d.any(val, field, join(path, key))
		}
		if rest, ok := fieldOf(v, restKey); ok {
			word := reflect.New(rest.Type().Elem())
			err := d.any(val, word.Elem(), join(path, key))
			if err == nil && !d.isAxis(join(path, key)) {
				setWord(rest, key, word.Elem())
			}
			return err
		}
		if path == "" && key == sectionKey {
			if d.axes != nil {
				return nil // findSweep has read it
			}
			return d.problem(at, "this file describes a sweep, not one run", "`ringmap sweep` runs all its points")
		}
		return d.unknownKey(at, path, key, v.Type())
	})
}

// restKey tags the map of a section that takes keys which only a later check can
// know: the parameters of a pattern.
const restKey = "*"

func setWord(m reflect.Value, key string, word reflect.Value) {
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	m.SetMapIndex(reflect.ValueOf(key), word)
}

// words decodes a mapping from names to text; the names are checked later.
func (d *decoder) words(node ast.Node, v reflect.Value, path string) error {
	return d.mapping(node, path, func(key string, at Pos, val ast.Node) error {
		word := reflect.New(v.Type().Elem())
		err := d.any(val, word.Elem(), join(path, key))
		if err == nil && !d.isAxis(join(path, key)) {
			setWord(v, key, word.Elem())
		}
		return err
	})
}

// isAxis tells whether the key has several values, which its axis holds.
func (d *decoder) isAxis(path string) bool {
	return d.axes != nil && slices.ContainsFunc(d.axes.list, func(a Axis) bool { return a.Key == path })
}

func (d *decoder) mapping(node ast.Node, path string, each func(key string, at Pos, val ast.Node) error) error {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	case *ast.NullNode, nil: // "vm:" with nothing below: all defaults
		return nil
	default:
		return d.problem(d.at(node.GetToken()), fmt.Sprintf("%s is a section with keys, not %s", orTop(path), kindOf(node)), "write its keys indented below it")
	}
	d.where[path] = d.at(node.GetToken())
	seen := make(map[string]bool, len(pairs))
	for _, pair := range pairs {
		at := d.at(pair.Key.GetToken())
		key, ok := keyText(pair.Key)
		if !ok {
			return d.problem(at, "this is not a plain key", "keys are plain words, such as ring:")
		}
		if seen[key] {
			return d.problem(at, fmt.Sprintf("%s is given twice", join(path, key)), "keep one of them")
		}
		seen[key] = true
		d.where[join(path, key)] = at
		if err := each(key, at, pair.Value); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) list(node ast.Node, v reflect.Value, path string) error {
	seq, ok := node.(*ast.SequenceNode)
	if _, null := node.(*ast.NullNode); null || node == nil {
		return nil
	}
	if !ok {
		return d.problem(d.at(node.GetToken()), fmt.Sprintf("%s is a list, not %s", path, kindOf(node)), "write each item on a line that starts with -")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, item := range seq.Values {
		at := join(path, strconv.Itoa(i))
		d.where[at] = d.at(item.GetToken())
		if f, ok := v.Index(i).Addr().Interface().(interface{ defaults() }); ok {
			f.defaults()
		}
		if err := d.any(item, v.Index(i), at); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) scalar(node ast.Node, v value, path string) error {
	var text string
	switch n := node.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text = n.GetToken().Value
	case *ast.NullNode, nil:
		return d.problem(d.where[path], fmt.Sprintf("%s has no value", path), "write one, or remove the line to get the default "+v.String())
	case *ast.SequenceNode:
		if d.axes != nil {
			return d.several(n, v, path)
		}
		return d.problem(d.at(node.GetToken()), fmt.Sprintf("%s is a single value, not a list", path), "`ringmap sweep` takes lists")
	default:
		return d.problem(d.at(node.GetToken()), fmt.Sprintf("%s is a single value, not %s", path, kindOf(node)), "")
	}
	return d.text(text, d.at(node.GetToken()), v, path)
}

func (d *decoder) text(text string, at Pos, v value, path string) error {
	if d.axes != nil {
		if done, err := d.spread(strings.TrimSpace(text), at, v, path); done {
			return err
		}
		d.axes.drop(path)
	}
	if d.here != nil {
		at = *d.here
	}
	d.where[path] = at
	if err := v.parse(strings.TrimSpace(text)); err != nil {
		var w wrong
		errors.As(err, &w)
		return d.problem(at, path+": "+w.text, w.fix)
	}
	return nil
}

func (d *decoder) unknownKey(at Pos, path, key string, t reflect.Type) error {
	text := fmt.Sprintf("unknown key %q in %s", key, orTop(path))
	known := keysOf(t)
	fix := DidYouMean(key, known)
	if Nearest(key, known) == "" {
		if p := elsewhere(key); p != "" {
			fix = fmt.Sprintf("there is a key %q", p)
		}
	}
	return d.problem(at, text, fix)
}

// assign sets the one key that a --set argument names.
func (d *decoder) assign(path, text string, dst any) error {
	v := reflect.ValueOf(dst).Elem()
	at := Pos{File: d.file}
	done := ""
	for rest := path; rest != ""; {
		part, after, _ := strings.Cut(rest, ".")
		switch {
		case v.Kind() == reflect.Struct && !isValue(v):
			field, ok := fieldOf(v, part)
			if rest, open := fieldOf(v, restKey); !ok && open {
				return d.assignWord(join(done, part), part, text, rest)
			}
			if !ok {
				return d.unknownKey(at, done, part, v.Type())
			}
			v = field
		case v.Kind() == reflect.Slice:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= v.Len() {
				return d.problem(at, fmt.Sprintf("%s has %d items, and %q is none of their numbers", done, v.Len(), part), "items count from 0")
			}
			v = v.Index(i)
		case v.Kind() == reflect.Map: // the names of hazards have dots
			return d.assignWord(join(done, rest), rest, text, v)
		default:
			return d.problem(at, fmt.Sprintf("%s is a single value and has no key %q", done, part), "")
		}
		done, rest = join(done, part), after
	}
	if s, ok := v.Addr().Interface().(value); ok && !strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "{") {
		return d.text(unquote(text), at, s, done)
	}
	node, err := d.tree([]byte(text))
	if err != nil {
		return err
	}
	return d.any(node, v, done)
}

func (d *decoder) assignWord(path, key, text string, v reflect.Value) error {
	word := reflect.New(v.Type().Elem())
	if err := d.text(unquote(text), Pos{File: d.file}, word.Interface().(value), path); err != nil {
		return err
	}
	if !d.isAxis(path) {
		setWord(v, key, word.Elem())
	}
	return nil
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

func keyText(key ast.MapKeyNode) (string, bool) {
	switch n := key.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kindOf(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias (scenario files do not use them)"
	case *ast.TagNode:
		return "a tagged value (scenario files do not use tags)"
	case *ast.LiteralNode:
		return "a block of text"
	}
	return "a single value"
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the scenario"
	}
	return path
}

func isValue(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(value)
	return ok
}

// fieldOf finds the field whose key tag is name.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("key"); key == name && key != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("key"); key != "" && key != restKey {
			keys = append(keys, key)
		}
	}
	return keys
}
