package compare

import (
	_ "embed" // the default thresholds
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"ringmap/bench/scenario"
)

// DefaultThresholds is the text of the thresholds in effect without a file.
//
//go:embed thresholds.yaml
var DefaultThresholds []byte

// Thresholds decide what counts as a regression.
type Thresholds struct {
	Simulated []Threshold
	Wall      float64 // how much longer NEW may take, relative to OLD
}

// Threshold judges the figures whose name matches a pattern.
type Threshold struct {
	Metric string  // a pattern of path.Match
	Better int     // 1 = more is better, -1 = less is
	Allow  float64 // how much worse NEW may be, relative to OLD
	pos    scenario.Pos
}

// maxThresholds bounds the file, which every figure is held against.
const maxThresholds = 64 << 10

// ParseThresholds reads a file strictly. Errors are *scenario.Problem, with line,
// column and what to write instead.
func ParseThresholds(file string, text []byte) (*Thresholds, error) {
	problem := func(at scenario.Pos, fix, format string, args ...any) error {
		return &scenario.Problem{Pos: at, Text: fmt.Sprintf(format, args...), Fix: fix}
	}
	if len(text) > maxThresholds {
		return nil, problem(scenario.Pos{File: file}, "64 KiB are enough", "%d bytes are too many for thresholds", len(text))
	}
	root, err := document(file, text)
	if err != nil {
		return nil, err
	}
	t := &Thresholds{Wall: -1}
	err = eachKey(file, root, "the thresholds", func(key string, at scenario.Pos, node ast.Node) error {
		switch key {
		case "simulated":
			list, ok := node.(*ast.SequenceNode)
			if !ok {
				return problem(at, "write a list of {metric: …, better: …, allow: …}", "simulated is no list")
			}
			for _, item := range list.Values {
				one, err := threshold(file, item)
				if err != nil {
					return err
				}
				t.Simulated = append(t.Simulated, one)
			}
			return nil
		case "wall":
			return eachKey(file, node, "wall", func(key string, at scenario.Pos, node ast.Node) (err error) {
				if key != "allow" {
					return problem(at, "write wall: {allow: 10%}", "unknown key %q in wall", key)
				}
				t.Wall, err = allowance(position(file, node), textOf(node))
				return err
			})
		}
		return problem(at, scenario.DidYouMean(key, []string{"simulated", "wall"}), "unknown key %q", key)
	})
	if err == nil && t.Wall < 0 {
		err = problem(scenario.Pos{File: file, Line: 1, Col: 1}, "write wall: {allow: 10%}", "wall is missing")
	}
	return t, err
}

func threshold(file string, node ast.Node) (Threshold, error) {
	t := Threshold{Allow: -1, pos: position(file, node)}
	fail := func(at scenario.Pos, fix, format string, args ...any) error {
		return &scenario.Problem{Pos: at, Text: fmt.Sprintf(format, args...), Fix: fix}
	}
	err := eachKey(file, node, "a threshold", func(key string, at scenario.Pos, node ast.Node) (err error) {
		text, here := textOf(node), position(file, node)
		switch key {
		case "metric":
			if _, bad := path.Match(text, ""); bad != nil || text == "" {
				return fail(here, "write a name of `ringmap list stats`, or path.* or cycles.*", "%q is no pattern", text)
			}
			t.Metric = text
		case "better":
			switch text {
			case "lower":
				t.Better = -1
			case "higher":
				t.Better = 1
			default:
				return fail(here, "write lower or higher", "%q is no direction", text)
			}
		case "allow":
			t.Allow, err = allowance(here, text)
		default:
			return fail(at, scenario.DidYouMean(key, []string{"metric", "better", "allow"}), "unknown key %q in a threshold", key)
		}
		return err
	})
	if err == nil && (t.Metric == "" || t.Better == 0 || t.Allow < 0) {
		err = fail(t.pos, "write {metric: time.cycles, better: lower, allow: 0.5%}", "a threshold needs metric, better and allow")
	}
	return t, err
}

// allowance reads a share such as 0.5%.
func allowance(at scenario.Pos, text string) (float64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(v >= 0 && v <= 1e6) {
		return 0, &scenario.Problem{Pos: at, Text: fmt.Sprintf("%q is no allowance", text), Fix: "write a share, such as 0.5%"}
	}
	return v / 100, nil
}

// document parses the text into the one mapping that it must be.
func document(file string, text []byte) (node ast.Node, err error) {
	start := scenario.Pos{File: file, Line: 1, Col: 1}
	defer func() { // whatever the parser makes of damaged text, it must end in a message
		if r := recover(); r != nil {
			node, err = nil, &scenario.Problem{Pos: start, Text: "this is not YAML", Fix: "`ringmap compare --print-thresholds` prints a file to start from"}
		}
	}()
	if deep(text) {
		return nil, &scenario.Problem{Pos: start, Text: "nested too deeply", Fix: "thresholds have three levels"}
	}
	tree, err := parser.ParseBytes(text, 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Token != nil && syntax.Token.Position != nil:
		p := syntax.Token.Position
		return nil, &scenario.Problem{Pos: scenario.Pos{File: file, Line: p.Line, Col: p.Column}, Text: syntax.Message}
	case err != nil:
		return nil, &scenario.Problem{Pos: start, Text: strings.SplitN(err.Error(), "\n", 2)[0]}
	case len(tree.Docs) != 1 || tree.Docs[0].Body == nil:
		return nil, &scenario.Problem{Pos: start, Text: "there must be one YAML document", Fix: "`ringmap compare --print-thresholds` prints a file to start from"}
	}
	return tree.Docs[0].Body, nil
}

// deep tells whether the text opens more levels than thresholds have: the parser
// recurses.
func deep(text []byte) bool {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth > 8 {
			return true
		}
	}
	return strings.Contains(string(text), strings.Repeat("- ", 9))
}

// eachKey calls f for every key of a mapping.
func eachKey(file string, node ast.Node, what string, f func(key string, at scenario.Pos, node ast.Node) error) error {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return &scenario.Problem{Pos: position(file, node), Text: what + " must be keys with values", Fix: "write {key: value}"}
	}
	seen := map[string]bool{}
	for _, v := range values {
		key, at := textOf(v.Key), position(file, v.Key)
		if seen[key] {
			return &scenario.Problem{Pos: at, Text: fmt.Sprintf("%s is there twice", key), Fix: "remove one"}
		}
		seen[key] = true
		if err := f(key, at, v.Value); err != nil {
			return err
		}
	}
	return nil
}

// textOf is the text of a single value, "" of anything else.
func textOf(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	}
	return ""
}

func position(file string, node ast.Node) scenario.Pos {
	if t := node.GetToken(); t != nil && t.Position != nil {
		return scenario.Pos{File: file, Line: t.Position.Line, Col: t.Position.Column}
	}
	return scenario.Pos{File: file, Line: 1, Col: 1}
}

// of is the threshold that judges a figure, nil if none does.
func (t *Thresholds) of(metric string) *Threshold {
	for i := range t.Simulated {
		if ok, _ := path.Match(t.Simulated[i].Metric, metric); ok {
			return &t.Simulated[i]
		}
	}
	return nil
}
