package litmus

import (
	"slices"
	"strings"
)

// tail reads what follows the program: locations, filter, condition.
func (p *parser) tail() error {
	if p.eatWord("locations") {
		if err := p.locations(); err != nil {
			return err
		}
	}
	if p.eatWord("filter") {
		f, err := p.prop(0)
		if err != nil {
			return err
		}
		p.test.Filter = f
	}
	c := &p.test.Cond
	c.Quant, c.Prop = ForAll, &Prop{Kind: True}
	line := p.line
	switch {
	case p.eatWord("exists"), p.eatWord("final"):
		c.Quant = Exists
	case p.eatWord("forall"):
	case p.peek() == '~' || strings.HasPrefix(p.text[p.pos:], "not"):
		if !p.eat("~") {
			p.eatWord("not")
		}
		if !p.eatWord("exists") {
			return p.fail(line, "expected exists after ~, found %s", p.found())
		}
		c.Quant = NotExists
	case p.peek() == '(':
		c.Quant = Exists
	case p.peek() == 0:
		return nil
	default:
		if p.eatWord("observed") || p.eatWord("Observed") || p.eatWord("cases") {
			return p.outside(line, "lists of observed states are not supported; write exists, ~exists or forall")
		}
		return p.fail(line, "expected exists, ~exists, forall or final, found %s", p.found())
	}
	prop, err := p.prop(0)
	if err != nil {
		return err
	}
	c.Prop = prop
	p.eat(";")
	if p.eatWord("with") { // kinds under other models: no part of the question
		p.pos = len(p.text)
	}
	if strings.HasPrefix(p.text[p.pos:], "<<") {
		p.pos = len(p.text)
	}
	if p.peek() != 0 {
		return p.fail(p.line, "expected the end of the file after the condition, found %s", p.found())
	}
	return nil
}

// locations reads `[0:X1; x; y uint64_t; x[0];]`. Types are for runs on hardware.
func (p *parser) locations() error {
	if err := p.expect("[", "after locations"); err != nil {
		return err
	}
	for {
		for p.eat(";") {
		}
		if p.eat("]") {
			return nil
		}
		if p.peek() == 0 {
			return p.fail(p.line, "locations [ is never closed; add ]")
		}
		t, err := p.term()
		if err != nil {
			return err
		}
		if !slices.Contains(p.test.Show, t) {
			p.test.Show = append(p.test.Show, t)
		}
		p.name()
		p.eat("*")
		if c := p.peek(); c != ';' && c != ']' {
			return p.fail(p.line, "expected ; or ] after a location, found %s", p.found())
		}
	}
}

// prop reads a proposition: \/ binds loosest, then /\, then =>, then not.
func (p *parser) prop(depth int) (*Prop, error) {
	left, err := p.conjunction(depth)
	for err == nil && p.eat(`\/`) {
		var right *Prop
		right, err = p.conjunction(depth)
		left = &Prop{Kind: Or, Subs: []*Prop{left, right}}
	}
	return left, err
}

func (p *parser) conjunction(depth int) (*Prop, error) {
	left, err := p.implication(depth)
	for err == nil && p.eat(`/\`) {
		var right *Prop
		right, err = p.implication(depth)
		left = &Prop{Kind: And, Subs: []*Prop{left, right}}
	}
	return left, err
}

func (p *parser) implication(depth int) (*Prop, error) {
	if depth > MaxDepth {
		return nil, p.fail(p.line, "more than %d nested propositions (MaxDepth)", MaxDepth)
	}
	left, err := p.literal(depth)
	if err != nil || !p.eat("=>") {
		return left, err
	}
	right, err := p.implication(depth + 1)
	return &Prop{Kind: Implies, Subs: []*Prop{left, right}}, err
}

func (p *parser) literal(depth int) (*Prop, error) {
	if depth > MaxDepth {
		return nil, p.fail(p.line, "more than %d nested propositions (MaxDepth)", MaxDepth)
	}
	switch {
	case p.eat("~"), p.eatWord("not"):
		sub, err := p.literal(depth + 1)
		return &Prop{Kind: Not, Subs: []*Prop{sub}}, err
	case p.eat("("):
		sub, err := p.prop(depth + 1)
		if err == nil {
			err = p.expect(")", "to close the proposition")
		}
		return sub, err
	case p.eatWord("true"):
		return &Prop{Kind: True}, nil
	case p.eatWord("false"):
		return &Prop{Kind: False}, nil
	}
	return p.atom()
}

// atom reads `0:X1=1`, `[x]=[y]`, `x<>2`, `x={1,2}`.
func (p *parser) atom() (*Prop, error) {
	left, err := p.term()
	if err != nil {
		return nil, err
	}
	negate := false
	switch {
	case p.eat("=="), p.eat("="):
	case p.eat("<>"), p.eat("!="):
		negate = true
	default:
		return nil, p.fail(p.line, "expected = or <> after %s, found %s", p.test.TermText(left), p.found())
	}
	atom, err := p.rightSide(left)
	if err == nil && negate {
		atom = &Prop{Kind: Not, Subs: []*Prop{atom}}
	}
	return atom, err
}

func (p *parser) rightSide(left Term) (*Prop, error) {
	line := p.line
	width := p.test.width(left)
	if p.eat("{") {
		values := []Value{}
		for {
			v, err := p.constant()
			if err != nil {
				return nil, err
			}
			values = append(values, v)
			if p.eat("}") {
				break
			}
			if err := p.expect(",", "between values"); err != nil {
				return nil, err
			}
		}
		if left.Thread >= 0 || left.Index >= 0 || !p.test.Vars[left.Var].Array {
			return nil, p.fail(line, "%s is no array: it cannot equal {…}", p.test.TermText(left))
		}
		if len(values) != width {
			return nil, p.fail(line, "%s has %d elements; %d values are given", p.test.TermText(left), width, len(values))
		}
		return &Prop{Kind: EqValue, Left: left, Values: values}, nil
	}
	save := p.scanner
	_, isReg, err := p.threadPrefix()
	if err != nil {
		return nil, err
	}
	p.scanner = save
	if isReg || p.peek() == '[' {
		right, err := p.term()
		if err != nil {
			return nil, err
		}
		if p.test.width(right) != width {
			return nil, p.fail(line, "%s and %s differ in size", p.test.TermText(left), p.test.TermText(right))
		}
		return &Prop{Kind: EqTerm, Left: left, Right: right}, nil
	}
	v, err := p.constant()
	if err != nil {
		return nil, err
	}
	if left.Thread < 0 && left.Index < 0 && p.test.Vars[left.Var].Array {
		return nil, p.fail(line, "%s is an array; compare an element, as in %s[0], or with {…}", p.test.TermText(left), p.test.TermText(left))
	}
	return &Prop{Kind: EqValue, Left: left, Values: []Value{v}}, nil
}

// constant reads a number or the address of a variable.
func (p *parser) constant() (Value, error) {
	line := p.line
	n, ok, err := p.number()
	if err != nil {
		return Value{}, err
	}
	if ok {
		if p.peek() == ':' {
			return Value{}, p.outside(line, "labels and capabilities as values are outside this model")
		}
		return Value{N: n}, nil
	}
	p.eat("&")
	name := p.name()
	if name == "" {
		return Value{}, p.fail(line, "expected a value, found %s", p.found())
	}
	if c := p.peek(); c == ':' || c == '(' {
		return Value{}, p.outside(line, "%s%c…: labels, instructions, tags and signed pointers as values are outside user mode", name, c)
	}
	v := p.test.variable(name)
	if v < 0 {
		return Value{}, p.fail(line, "unknown variable %s%s", name, p.known())
	}
	value := Value{Var: int32(v + 1)}
	if p.peek() == '[' {
		t, err := p.element(v)
		if err != nil {
			return Value{}, err
		}
		value.N = uint64(t.Index * p.test.size(v))
	}
	if p.eat("+") {
		n, ok, err := p.number()
		if err != nil || !ok {
			return Value{}, p.fail(line, "expected a number after %s+", name)
		}
		value.N += n
	}
	return value, nil
}

// term reads `0:X1`, `x`, `[x]` or `x[0]`.
func (p *parser) term() (Term, error) {
	line := p.line
	thread, ok, err := p.threadPrefix()
	if err != nil {
		return Term{}, err
	}
	if name := p.symbol(); name != "" {
		if t, known := p.symbols[name]; known {
			return t, nil
		}
		return Term{}, p.fail(line, "no thread uses the symbolic register %%%s", name)
	}
	if ok {
		r, err := p.register()
		if err != nil {
			return Term{}, err
		}
		if thread >= len(p.test.Threads) {
			return Term{}, p.fail(line, "there is no thread %d; threads are P0 to P%d", thread, len(p.test.Threads)-1)
		}
		return Term{Thread: thread, Reg: r, Index: -1}, nil
	}
	bracket := p.eat("[")
	name := p.name()
	if name == "" {
		return Term{}, p.fail(line, "expected a register such as 0:X1 or a variable, found %s", p.found())
	}
	if c := p.peek(); c == '(' || c == ':' {
		return Term{}, p.outside(line, "%s%c…: faults, page tables and tags are outside user mode", name, c)
	}
	v := p.test.variable(name)
	if v < 0 {
		return Term{}, p.fail(line, "unknown variable %s%s", name, p.known())
	}
	t := Term{Thread: -1, Var: v, Index: -1}
	if bracket {
		return t, p.expect("]", "after ["+name)
	}
	if p.peek() == '[' {
		return p.element(v)
	}
	return t, nil
}

func (p *parser) element(v int) (Term, error) {
	line := p.line
	p.eat("[")
	n, ok, err := p.number()
	if err != nil {
		return Term{}, err
	}
	vr := &p.test.Vars[v]
	if !ok {
		return Term{}, p.fail(line, "expected an element's number after %s[", vr.Name)
	}
	if !vr.Array {
		return Term{}, p.fail(line, "%s is no array; declare it with its size, as in `int %s[2]`", vr.Name, vr.Name)
	}
	if n >= uint64(len(vr.Init)) {
		return Term{}, p.fail(line, "%s has %d elements; there is no %s[%d]", vr.Name, len(vr.Init), vr.Name, n)
	}
	return Term{Thread: -1, Var: v, Index: int(n)}, p.expect("]", "after the element's number")
}

// known lists the variables, for messages.
func (p *parser) known() string {
	if len(p.test.Vars) == 0 {
		return "; this test has none"
	}
	var names []string
	for i := range p.test.Vars {
		names = append(names, p.test.Vars[i].Name)
	}
	return "; this test has " + strings.Join(names, ", ")
}

// width returns how many values a term stands for.
func (t *Test) width(term Term) int {
	if term.Thread >= 0 || term.Index >= 0 {
		return 1
	}
	return len(t.Vars[term.Var].Init)
}

// shown returns the terms that states show: those of the locations clause and
// of the condition, each once.
func (t *Test) shown() []Term {
	terms := slices.Clone(t.Show)
	t.Cond.Prop.terms(&terms)
	slices.SortFunc(terms, t.compareTerms)
	return slices.Compact(terms)
}

// terms appends the terms that p speaks about.
func (p *Prop) terms(out *[]Term) {
	if p.Kind == EqValue || p.Kind == EqTerm {
		*out = append(*out, p.Left)
	}
	if p.Kind == EqTerm {
		*out = append(*out, p.Right)
	}
	for _, s := range p.Subs {
		s.terms(out)
	}
}
