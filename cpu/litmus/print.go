package litmus

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Format writes a result as herd7 does, except for the lines Time, which no
// two runs share, and Hash, which is a digest of herd7's own representation of
// the test: it is copied from the test if it is there.
func (r *Result) Format() string {
	t := r.Test
	var b strings.Builder
	fmt.Fprintf(&b, "Test %s %s\n", t.Name, t.Cond.Quant.kind())
	fmt.Fprintf(&b, "States %d\n", len(r.States))
	for _, s := range r.States {
		fmt.Fprintln(&b, r.StateText(s))
	}
	fmt.Fprintln(&b, r.VerdictText())
	positive, negative := r.Positive, r.Negative
	if t.Cond.Quant == NotExists {
		positive, negative = negative, positive
	}
	fmt.Fprintf(&b, "Witnesses\nPositive: %d Negative: %d\n", positive, negative)
	fmt.Fprintf(&b, "Condition %s\n", t.ConditionText())
	fmt.Fprintf(&b, "Observation %s %s %d %d\n", t.Name, r.Observation, r.Positive, r.Negative)
	if r.Cut {
		fmt.Fprintf(&b, "Bound %d: executions that jump back more often are left out\n", r.Bound)
	}
	for _, i := range t.Info {
		if i.Key == "Hash" {
			fmt.Fprintf(&b, "Hash=%s\n", i.Value)
		}
	}
	return b.String()
}

// VerdictText is the verdict as herd7 prints it: `Ok`, `No`, with `Loop `
// before it if executions were cut.
func (r *Result) VerdictText() string {
	text := r.Verdict.String()
	if r.Cut {
		text = "Loop " + text
	}
	return text
}

// StateText is a line of the list of states: `0:X1=0; [x]=1;`.
func (r *Result) StateText(s State) string {
	var b strings.Builder
	for i, at := 0, 0; i < len(r.Terms); i++ {
		n := r.Test.width(r.Terms[i])
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s;", r.Test.termBrackets(r.Terms[i]), r.Test.termValue(r.Terms[i], s[at:at+n]))
		at += n
	}
	return b.String()
}

func (q Quantifier) kind() string { return [...]string{"Allowed", "Forbidden", "Required"}[q] }

func (q Quantifier) String() string { return [...]string{"exists", "~exists", "forall"}[q] }

func (v Verdict) String() string { return [...]string{"No", "Ok"}[v] }

func (o Observation) String() string { return [...]string{"Never", "Sometimes", "Always"}[o] }

func (m Model) String() string { return [...]string{"arm", "tso", "sc"}[m] }

// TermText is how a term is called: `0:X1`, `x`, `x[0]`.
func (t *Test) TermText(term Term) string {
	switch {
	case term.Thread >= 0:
		return strconv.Itoa(term.Thread) + ":" + term.Reg.String()
	case term.Index >= 0:
		return t.Vars[term.Var].Name + "[" + strconv.Itoa(term.Index) + "]"
	}
	return t.Vars[term.Var].Name
}

// termBrackets is TermText with scalar variables in brackets, as in states.
func (t *Test) termBrackets(term Term) string {
	if term.Thread < 0 && term.Index < 0 && !t.Vars[term.Var].Array {
		return "[" + t.Vars[term.Var].Name + "]"
	}
	return t.TermText(term)
}

// String is the register's name: X0, XZR, SP.
func (r Reg) String() string {
	switch r {
	case ZR:
		return "XZR"
	case SP:
		return "SP"
	case NZCV:
		return "NZCV"
	case RES:
		return "RES"
	}
	return "X" + strconv.Itoa(int(r))
}

// termType is the declared type of a term.
func (t *Test) termType(term Term) Type {
	if term.Thread < 0 {
		return t.Vars[term.Var].Type
	}
	for i := range t.Init {
		if b := &t.Init[i]; b.Thread == term.Thread && b.Reg == term.Reg {
			return b.Type
		}
	}
	return Type{}
}

// termValue prints the values of a term by its type: `1`, `-1`, `x+4`, `{1,2}`.
func (t *Test) termValue(term Term, values []Value) string {
	typ := t.termType(term)
	if term.Thread >= 0 || term.Index >= 0 || !t.Vars[term.Var].Array {
		return t.valueText(typ, values[0])
	}
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = t.valueText(typ, v)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (t *Test) valueText(typ Type, v Value) string {
	if v.Var == word {
		return "instr:\"" + t.Words[v.N].Text + "\""
	}
	if v.Var != 0 {
		return t.addressText(v)
	}
	size := typ.size()
	if typ.Unsigned {
		if size < 8 {
			v.N &= 1<<(8*size) - 1
		}
		return strconv.FormatUint(v.N, 10)
	}
	return strconv.FormatInt(signed(v.N, size), 10)
}

func (t *Test) addressText(v Value) string {
	name := t.Vars[v.Var-1].Name
	if v.N == 0 {
		return name
	}
	return fmt.Sprintf("%s+%d", name, int64(v.N))
}

// ConditionText is the condition with its quantifier, parenthesised as herd7 does.
func (t *Test) ConditionText() string {
	return t.Cond.Quant.String() + " (" + t.propText(t.Cond.Prop, True) + ")"
}

// propText prints p inside a proposition of kind above; True stands for none.
func (t *Test) propText(p *Prop, above PropKind) string {
	join := func(word string) string {
		parts := make([]string, len(p.Subs))
		for i, s := range p.Subs {
			parts[i] = t.propText(s, p.Kind)
		}
		text := strings.Join(parts, word)
		bare := above == True || above == p.Kind || above == Or && p.Kind == And
		if !bare {
			return "(" + text + ")"
		}
		return text
	}
	switch p.Kind {
	case True:
		return "true"
	case False:
		return "false"
	case And:
		return join(` /\ `)
	case Or:
		return join(` \/ `)
	case Implies:
		return join(" => ")
	case Not:
		return "not (" + t.propText(p.Subs[0], True) + ")"
	case EqTerm:
		return t.termBrackets(p.Left) + "=" + t.termBrackets(p.Right)
	}
	parts := make([]string, len(p.Values))
	for i, v := range p.Values {
		parts[i] = t.constantText(v)
	}
	if len(parts) != 1 || t.width(p.Left) != 1 || p.Left.Thread < 0 && p.Left.Index < 0 && t.Vars[p.Left.Var].Array {
		return t.TermText(p.Left) + "={" + strings.Join(parts, ",") + "}"
	}
	return t.termBrackets(p.Left) + "=" + parts[0]
}

func (t *Test) constantText(v Value) string {
	if v.Var != 0 {
		return t.addressText(v)
	}
	return strconv.FormatInt(int64(v.N), 10)
}

// compareTerms is the order in which states show terms: registers by thread
// and number, variables by name, elements last.
func (t *Test) compareTerms(a, b Term) int {
	if a.Index >= 0 != (b.Index >= 0) {
		if a.Index >= 0 {
			return 1
		}
		return -1
	}
	if a.Thread >= 0 != (b.Thread >= 0) {
		return cmp.Compare(b.Thread, a.Thread) // registers first
	}
	if a.Thread >= 0 {
		if a.Thread == b.Thread && a.Reg >= ZR != (b.Reg >= ZR) {
			return cmp.Compare(b.Reg, a.Reg) // ZR and SP before X0
		}
		return cmp.Or(cmp.Compare(a.Thread, b.Thread), cmp.Compare(a.Reg, b.Reg))
	}
	return cmp.Or(strings.Compare(t.Vars[a.Var].Name, t.Vars[b.Var].Name), cmp.Compare(a.Index, b.Index))
}

// compareStates orders states as they print: numbers as signed ones, then
// addresses by name.
func (t *Test) compareStates(a, b State) int {
	return slices.CompareFunc(a, b, func(x, y Value) int {
		if x.Var <= 0 || y.Var <= 0 {
			return cmp.Or(cmp.Compare(x.Var, y.Var), cmp.Compare(int64(x.N), int64(y.N)))
		}
		return cmp.Or(strings.Compare(t.Vars[x.Var-1].Name, t.Vars[y.Var-1].Name), cmp.Compare(int64(x.N), int64(y.N)))
	})
}
