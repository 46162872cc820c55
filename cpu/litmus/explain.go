package litmus

import (
	"fmt"
	"slices"
)

// Explanation is why a test's outcome is allowed or forbidden: one execution,
// with the relations that matter.
//
//	allowed    an execution that ends so. If sequential consistency would not
//	           allow it: the cycle that forbids it there, and the steps of
//	           program order in it that the model leaves open
//	forbidden  the candidate that comes closest, and what forbids it: the rule
//	           and its cycle of relations
type Explanation struct {
	Test       *Test
	Model      Model
	Allowed    bool
	Rule       Rule     // what forbids the outcome; or, of an allowed one, forbids it under sequential consistency
	Events     []Event  // memory effects, by thread and program order
	Cycle      []Edge   // the edges that decide, head to tail; empty for an outcome that sequential consistency has
	Others     []Edge   // further edges that tell what is read, and program order
	Final      string   // the state in which the execution ends
	Order      []int    // of a sequentially consistent execution: events as they interleave
	Candidates int      // of a forbidden outcome: executions that would end so
	More       bool     // and there are others that were not looked at
	Notes      []string // what a reader should know besides
}

// Rule is a requirement of the memory model.
type Rule uint8

// Rules. NoValue is none of the model: no write stores what the outcome wants.
const (
	NoRule Rule = iota
	NoValue
	InternalVisibility
	ExternalVisibility
	Atomicity
	SequentialConsistency
)

func (r Rule) String() string {
	return [...]string{"", "no value", "internal visibility", "external visibility", "atomicity", "sequential consistency"}[r]
}

// MaxCandidates is how many executions, and paths of threads on the way to
// them, are looked at for a forbidden outcome.
const MaxCandidates = 1 << 16

// Explain finds out why the outcome that a test asks about is allowed or
// forbidden: for exists and ~exists the proposition, for forall its negation.
func Explain(t *Test, o Options) (*Explanation, error) {
	if t.fetching() {
		return nil, &Error{File: t.File, Outside: true, Msg: "tests that write instructions (Variant=ifetch) can be explored but not explained"}
	}
	e := &explainer{test: t, opt: o, Explanation: &Explanation{Test: t, Model: o.Model}}
	e.outcome = t.Cond.Prop
	if t.Cond.Quant == ForAll {
		e.outcome = &Prop{Kind: Not, Subs: []*Prop{t.Cond.Prop}}
	}
	found, err := e.allowed(o.Model)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return e.Explanation, e.forbidden()
	}
	if rule, _, _ := found.judge(o.Model); rule != NoRule {
		return nil, e.disagree()
	}
	e.Allowed = true
	// One that sequential consistency allows is easier to understand.
	simple, err := e.allowed(SC)
	if err != nil {
		return nil, err
	}
	if simple != nil {
		if rule, _, _ := simple.judge(o.Model); rule == NoRule {
			e.show(simple, SC)
			return e.Explanation, nil
		}
	}
	e.show(found, o.Model)
	return e.Explanation, nil
}

// disagree is our own mistake: two ways to compute the model differ.
func (e *explainer) disagree() error {
	return fmt.Errorf("%s: explanation and exploration disagree about this test; please report it", e.test.Name)
}

type explainer struct {
	*Explanation
	test    *Test
	opt     Options
	outcome *Prop
}

// maxAllowed is how many allowed executions with the outcome are compared.
const maxAllowed = 1 << 10

// allowed returns an execution with the outcome that the model allows, nil if
// there is none: the first of those with the fewest events in circles of
// program order and communication, so that nothing strange shows that the
// outcome does not need.
func (e *explainer) allowed(m Model) (*execution, error) {
	o := e.opt
	o.Model = m
	x, err := newExplorer(e.test, o)
	if err != nil {
		return nil, err
	}
	var found *execution
	least, left := 0, maxAllowed
	x.yield = func() bool {
		look := e.looker(x)
		if e.test.Filter != nil && !e.test.holds(e.test.Filter, look) || !e.test.holds(e.outcome, look) {
			return true
		}
		ex := x.execution()
		left--
		if n := ex.strange(); found == nil || n < least {
			found, least = ex, n
		}
		return least > 0 && left > 0
	}
	err = x.combine(0, signature{}, signature{})
	if x.cut {
		e.note("Loops are followed for a bounded number of rounds only (--bound).")
	}
	return found, err
}

func (e *explainer) note(text string) {
	if !slices.Contains(e.Notes, text) {
		e.Notes = append(e.Notes, text)
	}
}

// looker decodes the final state of the explorer's current execution.
func (e *explainer) looker(x *explorer) func(Term) []Value {
	x.found.read(x)
	for i, v := range x.found.scratch {
		x.found.decoded[i] = x.values[v]
	}
	return func(t Term) []Value { return x.found.look(x, t) }
}

// show fills in an allowed execution.
func (e *explainer) show(ex *execution, m Model) {
	e.Events, e.Final = ex.events, ex.final(e.outcomeTerms())
	if m == SC {
		e.Order = ex.interleaving()
		e.Others = append(ex.programOrder(), ex.communication()...)
		return
	}
	e.Rule = SequentialConsistency
	kept := ex.relations(e.Model)
	closed := closure(len(ex.events), kept)
	cycle := shortestCycle(len(ex.events), ex.relations(SC))
	for _, r := range cycle {
		for _, edge := range r.edges() {
			if edge.Name == "po" && closed[edge.From][edge.To] {
				edge.Name = "ordered"
				for _, k := range kept {
					if k.From == edge.From && k.To == edge.To {
						edge.Name = k.Name
						break
					}
				}
			}
			e.Cycle = append(e.Cycle, edge)
		}
	}
	if len(e.Cycle) == 0 { // an atomic pair that another write parts, or the like
		e.Rule = NoRule
	}
	e.rest(ex)
}

// rest collects what the cycle does not show: program order, with what keeps
// it, and reads-from.
func (e *explainer) rest(ex *execution) {
	kept := ex.relations(e.Model)
	for _, edge := range append(ex.programOrder(), ex.communication()...) {
		shown := slices.ContainsFunc(e.Cycle, func(c Edge) bool { return c.From == edge.From && c.To == edge.To })
		if shown || edge.Name != "po" && edge.Name != "rfe" && edge.Name != "rfi" {
			continue
		}
		if i := slices.IndexFunc(kept, func(r relation) bool { return r.From == edge.From && r.To == edge.To }); i >= 0 && edge.Name == "po" && kept[i].via == nil {
			edge.Name = kept[i].Name
		}
		e.Others = append(e.Others, edge)
	}
}

// outcomeTerms are the terms that the outcome is about.
func (e *explainer) outcomeTerms() []Term {
	var terms []Term
	e.outcome.terms(&terms)
	slices.SortFunc(terms, e.test.compareTerms)
	return slices.Compact(terms)
}

// forbidden finds the candidate that comes closest to being allowed.
func (e *explainer) forbidden() error {
	o := e.opt
	x, err := newExplorer(e.test, o)
	if err != nil {
		return err
	}
	c := candidates{explorer: x, explainer: e, left: MaxCandidates}
	c.choosePath(0)
	if c.best == nil {
		e.Rule = NoValue
		e.More = c.left == 0
		return nil
	}
	if c.bestScore.rules == 0 {
		return e.disagree()
	}
	e.Events, e.Final = c.best.events, c.best.final(e.outcomeTerms())
	e.Rule, e.More = c.bestRule, c.left == 0
	for _, r := range c.bestCycle {
		e.Cycle = append(e.Cycle, r.edges()...)
	}
	e.rest(c.best)
	return nil
}

// candidates enumerates executions with the outcome, allowed or not: every
// path, every write that a read may read, every coherence order.
type candidates struct {
	*explorer
	*explainer
	left      int // how many more are looked at
	known     int // how many threads have a path
	best      *execution
	bestScore score
	bestRule  Rule
	bestCycle []relation
}

// score says how far a candidate is from being allowed: how many rules it
// breaks, and how long the shortest cycle is. The longer it is, the more must
// come together to forbid the candidate, and the less it is plain nonsense.
type score struct{ rules, edges int }

func (s score) closer(t score) bool {
	if s.rules != t.rules {
		return s.rules < t.rules
	}
	return s.edges > t.edges
}

// choosePath chooses a path for thread i and those after it, as long as the
// registers of the threads before permit the outcome.
func (c *candidates) choosePath(i int) {
	c.known = i
	if i == len(c.paths) {
		ex := c.explorer.newExecution()
		for i := range ex.reads {
			if len(ex.sources(&ex.reads[i])) == 0 {
				return
			}
		}
		c.chooseSource(ex, 0)
		return
	}
	for k := range c.paths[i] {
		p := &c.paths[i][k]
		if p.cut || p.err != nil {
			continue
		}
		if c.left == 0 {
			return
		}
		c.left--
		c.chosen[i], c.known = p, i+1
		if c.possible(c.outcome) && (c.explainer.test.Filter == nil || c.possible(c.explainer.test.Filter)) {
			c.choosePath(i + 1)
		}
	}
}

func (c *candidates) possible(p *Prop) bool {
	return c.explainer.test.mayHold(p, c.register) != never
}

// register returns the final value of a register on the chosen paths.
func (c *candidates) register(t Term) ([]Value, bool) {
	if t.Thread < 0 || t.Thread >= c.known {
		return nil, false
	}
	n := 0
	for _, k := range c.regTerms[t.Thread] {
		if c.terms[k] == t {
			return c.chosen[t.Thread].regs[n : n+1], true
		}
		n++
	}
	return nil, false
}

func (c *candidates) chooseSource(ex *execution, k int) {
	if c.left == 0 {
		return
	}
	if k == len(ex.reads) {
		c.chooseOrder(ex, 0)
		return
	}
	r := &ex.reads[k]
	for _, w := range ex.sources(r) {
		r.from = w
		c.chooseSource(ex, k+1)
	}
}

// chooseOrder permutes the writes of location k and those after it.
func (c *candidates) chooseOrder(ex *execution, loc int) {
	if loc == len(ex.co) {
		c.judge(ex)
		return
	}
	var permute func(n int)
	permute = func(n int) {
		w := ex.co[loc]
		if c.left == 0 {
			return
		}
		if n >= len(w)-1 {
			c.chooseOrder(ex, loc+1)
			return
		}
		for i := n; i < len(w); i++ {
			w[n], w[i] = w[i], w[n]
			permute(n + 1)
			w[n], w[i] = w[i], w[n]
		}
	}
	permute(0)
}

// judge compares a complete candidate with the best so far.
func (c *candidates) judge(ex *execution) {
	look := func(t Term) []Value {
		if v, ok := c.register(t); ok {
			return v
		}
		return ex.memory(t)
	}
	c.left--
	if !c.explainer.test.holds(c.outcome, look) || c.explainer.test.Filter != nil && !c.explainer.test.holds(c.explainer.test.Filter, look) {
		return
	}
	c.Candidates++
	rule, cycle, s := ex.judge(c.Model)
	if c.best == nil || s.closer(c.bestScore) {
		c.best, c.bestScore, c.bestRule, c.bestCycle = ex.clone(), s, rule, slices.Clone(cycle)
	}
}

// judge says which rule a complete execution breaks, with the shortest of the
// cycles; NoRule if the model allows it.
func (ex *execution) judge(m Model) (rule Rule, cycle []relation, s score) {
	for _, check := range []struct {
		rule  Rule
		cycle func() []relation
	}{
		{ExternalVisibility, func() []relation { return shortestCycle(len(ex.events), ex.relations(m)) }},
		{Atomicity, func() []relation { return ex.parted(m) }},
		{InternalVisibility, ex.incoherent},
	} {
		found := check.cycle()
		if found == nil {
			continue
		}
		s.rules++
		n := 0
		for _, r := range found {
			n += len(r.edges())
		}
		if cycle == nil || n < s.edges {
			s.edges, rule, cycle = n, check.rule, found
		}
	}
	return rule, cycle, s
}

// possibility is what can be said of a proposition before all is known.
type possibility uint8

const (
	never possibility = iota
	perhaps
	always
)

// mayHold evaluates a proposition of which some terms are unknown.
func (t *Test) mayHold(p *Prop, look func(Term) ([]Value, bool)) possibility {
	sub := func(i int) possibility { return t.mayHold(p.Subs[i], look) }
	switch p.Kind {
	case True:
		return always
	case False:
		return never
	case And:
		return min(sub(0), sub(1))
	case Or:
		return max(sub(0), sub(1))
	case Implies:
		return max(always-sub(0), sub(1))
	case Not:
		return always - sub(0)
	}
	_, known := look(p.Left)
	if p.Kind == EqTerm && known {
		_, known = look(p.Right)
	}
	if !known {
		return perhaps
	}
	if t.holds(p, func(term Term) []Value { v, _ := look(term); return v }) {
		return always
	}
	return never
}
