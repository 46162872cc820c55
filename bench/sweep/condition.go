package sweep

import (
	"fmt"
	"slices"
	"strings"

	"ringmap/bench/scenario"
)

// condition is a condition of sweep.when or sweep.exclude:
//
//	or   = and { "or" and }
//	and  = not { "and" not }
//	not  = "not" not | "(" or ")" | test
//	test = KEY ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) WORD | KEY "in" "[" WORD { "," WORD } "]"
//
// A WORD is another key or a value with its unit. Quantities compare by what
// they amount to (1024KiB == 1MiB), other texts as they are.
type condition struct {
	cell scenario.Cell
	eval func(look func(key string) string) (bool, error)
}

// condParser reads one condition.
type condParser struct {
	sweep  *Sweep
	texts  map[string]string // of the base scenario
	cell   scenario.Cell
	tokens []string
	depth  int
}

type test = func(look func(key string) string) (bool, error)

func (s *Sweep) parseCondition(c scenario.Cell, texts map[string]string) (*condition, error) {
	p := &condParser{sweep: s, texts: texts, cell: c, tokens: tokens(c.Text)}
	eval, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = p.bad("join tests with and, or", "%q comes after the end", p.tokens[0])
	}
	return &condition{c, eval}, err
}

// tokens cuts a condition into words and marks.
func tokens(text string) (out []string) {
	for text != "" {
		switch i := strings.IndexAny(text, " \t()[],=!<>"); {
		case i < 0:
			return append(out, text)
		case i > 0:
			out, text = append(out, text[:i]), text[i:]
		case text[0] == ' ' || text[0] == '\t':
			text = text[1:]
		case len(text) > 1 && text[1] == '=' && strings.IndexByte("=!<>", text[0]) >= 0:
			out, text = append(out, text[:2]), text[2:]
		default:
			out, text = append(out, text[:1]), text[1:]
		}
	}
	return out
}

func (p *condParser) bad(fix, format string, args ...any) error {
	return problem(p.cell.At, fix, "condition %q: %s", p.cell.Text, fmt.Sprintf(format, args...))
}

func (p *condParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *condParser) take(word string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == word {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *condParser) or() (test, error) {
	left, err := p.and()
	for err == nil && p.take("or") {
		a := left
		var b test
		b, err = p.and()
		left = func(look func(string) string) (bool, error) {
			if yes, err := a(look); yes || err != nil {
				return yes, err
			}
			return b(look)
		}
	}
	return left, err
}

func (p *condParser) and() (test, error) {
	left, err := p.not()
	for err == nil && p.take("and") {
		a := left
		var b test
		b, err = p.not()
		left = func(look func(string) string) (bool, error) {
			if yes, err := a(look); !yes || err != nil {
				return false, err
			}
			return b(look)
		}
	}
	return left, err
}

// maxDepth bounds the nesting of a condition.
const maxDepth = 100

func (p *condParser) not() (test, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.bad("", "nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("not"):
		t, err := p.not()
		return func(look func(string) string) (bool, error) {
			yes, err := t(look)
			return !yes, err
		}, err
	case p.take("("):
		t, err := p.or()
		if err == nil && !p.take(")") {
			err = p.bad("close it", "a ( has no )")
		}
		return t, err
	}
	return p.test()
}

func (p *condParser) test() (test, error) {
	key, op := p.next(), p.next()
	if key == "" || op == "" {
		return nil, p.bad("write a test such as tracking.ring > 4096", "it ends in the middle")
	}
	if !p.known(key) {
		return nil, p.bad(scenario.DidYouMean(key, p.keys()), "there is no key %q", key)
	}
	if op == "in" {
		return p.in(key)
	}
	if !slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op) {
		return nil, p.bad("use ==, !=, <, <=, >, >= or in", "%q compares nothing", op)
	}
	word, err := p.word(key, op)
	if err != nil {
		return nil, err
	}
	return func(look func(string) string) (bool, error) { return p.compare(look(key), op, word(look)) }, nil
}

func (p *condParser) in(key string) (test, error) {
	var words []func(func(string) string) string
	if !p.take("[") {
		return nil, p.bad("write "+key+" in [a, b]", "after in comes a list")
	}
	for {
		word, err := p.word(key, "==")
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		if p.take("]") {
			break
		}
		if !p.take(",") {
			return nil, p.bad("write "+key+" in [a, b]", "the list does not end")
		}
	}
	return func(look func(string) string) (bool, error) {
		for _, w := range words {
			if yes, err := p.compare(look(key), "==", w(look)); yes || err != nil {
				return yes, err
			}
		}
		return false, nil
	}, nil
}

func (p *condParser) known(key string) bool {
	_, ok := p.texts[key]
	return ok || slices.Contains(p.sweep.axisKeys(), key) || p.setByVariant(key)
}

func (p *condParser) setByVariant(key string) bool {
	return slices.ContainsFunc(p.sweep.Axes, func(a Axis) bool {
		return slices.ContainsFunc(a.sets, func(v scenario.VariantValue) bool { return slices.Contains(v.Keys, key) })
	})
}

func (p *condParser) keys() []string {
	keys := p.sweep.axisKeys()
	for k := range p.texts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// word reads what a key is compared with: another key, or a value.
func (p *condParser) word(key, op string) (func(look func(string) string) string, error) {
	text := p.next()
	if text == "" || strings.ContainsAny(text, "()[],=!<>") {
		return nil, p.bad("", "%s %s compares with nothing", key, op)
	}
	if p.known(text) {
		return func(look func(string) string) string { return look(text) }, nil
	}
	if !p.can(key, text) {
		return nil, p.bad(scenario.DidYouMean(text, p.values(key)), "%s is never %s", key, text)
	}
	return func(func(string) string) string { return text }, nil
}

// can tells whether a key could have that value: a word must be one of its
// values here, for one that never is was mistyped.
func (p *condParser) can(key, text string) bool {
	if q, ok := scenario.ParseQuantity(text); ok {
		return slices.ContainsFunc(p.values(key), func(v string) bool {
			of, ok := scenario.ParseQuantity(v)
			return ok && of.Dimension == q.Dimension || v == text
		})
	}
	return slices.Contains(p.values(key), text)
}

// values are those that a key has in this sweep.
func (p *condParser) values(key string) (list []string) {
	if base, ok := p.texts[key]; ok {
		list = append(list, base)
	}
	for _, a := range p.sweep.Axes {
		if a.Key == key {
			list = append(list, a.Values...)
		}
		for _, v := range a.sets {
			if i := slices.Index(v.Keys, key); i >= 0 {
				list = append(list, v.Cells[i].Text)
			}
		}
	}
	return list
}

func (p *condParser) compare(a, op, b string) (bool, error) {
	x, ok := scenario.ParseQuantity(a)
	y, also := scenario.ParseQuantity(b)
	if ok && also && x.Dimension == y.Dimension {
		c := x.Value.Cmp(y.Value)
		switch op {
		case "==":
			return c == 0, nil
		case "!=":
			return c != 0, nil
		case "<":
			return c < 0, nil
		case "<=":
			return c <= 0, nil
		case ">":
			return c > 0, nil
		}
		return c >= 0, nil
	}
	switch op {
	case "==":
		return a == b, nil
	case "!=":
		return a != b, nil
	}
	return false, p.bad("use == or !=", "%q and %q have no order", a, b)
}
