package litmus

import "strings"

// Tests with `Variant=ifetch` write instructions: their initial states hold
// labels and instructions as values, and what stands under such a label is
// read from memory each time that it is executed.
//
//	ins_t 0:X0=NOP; 0:X1=P1:L0;     fetch of P1's L0 ──► decode ──► effects of what was read
//	STR W0,[X1]                        ▲ any write to the label, and no barrier makes it the last
//
// Fetches are implicit reads: coherence and barriers do not order them, only
// what follows them in program order is ordered after them (f-ob). With
// `CacheType=DIC` they are ordered among each other; with DIC and IDC they
// come before writes that overwrite what they have read (aarch64.cat, IC-ob
// and IC-ca). Cache maintenance is outside this model.

// fetching reports whether the test is about instruction memory.
func (t *Test) fetching() bool { return t.says("Variant", "ifetch") }

// says reports whether a line key=… contains a word.
func (t *Test) says(key, want string) bool {
	for _, i := range t.Info {
		if !strings.EqualFold(i.Key, key) {
			continue
		}
		for _, w := range strings.FieldsFunc(i.Value, func(r rune) bool { return r == ',' || r == ' ' }) {
			if strings.EqualFold(w, want) {
				return true
			}
		}
	}
	return false
}

// wordOf returns the value of an instruction; equal texts are equal.
func (t *Test) wordOf(in *Instr) Value {
	for i := range t.Words {
		if t.Words[i].Text == in.Text {
			return Value{Var: word, N: uint64(i)}
		}
	}
	t.Words = append(t.Words, *in)
	return Value{Var: word, N: uint64(len(t.Words) - 1)}
}

// codeValue reads NOP, instr:"…", P1:L or 1:L, the values of tests that write
// instructions; ok is false if something else comes next.
func (p *parser) codeValue() (v Value, ok bool, err error) {
	save := p.scanner
	line := p.line
	if p.eatWord("NOP") {
		return p.test.wordOf(&Instr{Text: "NOP", does: nothing}), true, nil
	}
	if p.eat(`instr:"`) {
		text, rest, found := strings.Cut(p.text[p.pos:], `"`)
		if !found || strings.Contains(text, "\n") {
			return Value{}, false, p.fail(line, "expected \" at the end of the instruction")
		}
		p.pos = len(p.text) - len(rest)
		in, perr := parseInstr(text)
		if perr != nil {
			perr.File, perr.Line = p.file, line
			return Value{}, false, perr
		}
		if in.label != "" || in.distance != 0 {
			return Value{}, false, p.outside(line, "%s: branches as values are outside this model", in.Text)
		}
		return p.test.wordOf(&in), true, nil
	}
	thread, ok, err := p.threadPrefix()
	if err != nil || !ok {
		return Value{}, false, err
	}
	label := p.name()
	if label == "" {
		p.scanner = save
		return Value{}, false, nil
	}
	index, err := p.declare(codeName(thread, label))
	if err != nil {
		return Value{}, false, err
	}
	p.test.Vars[index].Type = Type{Size: 4, Unsigned: true}
	return Value{Var: int32(index + 1)}, true, nil
}

// codeName is the name of the memory under a label, which no other variable can have.
func codeName(thread int, label string) string { return "P" + itoa(thread) + ":" + label }

// placeCode puts the instructions of a thread into the memory under its labels.
func (p *parser) placeCode(t *Thread, labels map[string]int) error {
	for i := range p.test.Vars {
		v := &p.test.Vars[i]
		label, ok := strings.CutPrefix(v.Name, codeName(t.ID, ""))
		if !ok {
			continue
		}
		at, ok := labels[label]
		switch {
		case !ok:
			return p.fail(p.initLine, "the initial state uses label %s, which P%d does not have", label, t.ID)
		case at == len(t.Code):
			return p.fail(p.initLine, "label %s stands behind the last instruction of P%d: there is nothing to overwrite", label, t.ID)
		case t.Code[at].code != 0:
			return p.outside(p.initLine, "two labels that are values, %s and %s, stand at one instruction", p.test.Vars[t.Code[at].code-1].Name, v.Name)
		}
		v.Init = []Value{p.test.wordOf(&t.Code[at])}
		t.Code[at].code = i + 1
	}
	return nil
}

// fetch reads the instruction to be executed from memory.
func (m *machine) fetch(in *Instr) *Instr {
	o := m.read(in, operand{v: Value{Var: int32(in.code)}}, 4, Fetch)
	if !m.ok() {
		return in
	}
	if o.v.Var != word {
		m.fail(in, "%s holds no instruction when it is executed", m.test.Vars[in.code-1].Name)
		return in
	}
	return &m.test.Words[o.v.N]
}
