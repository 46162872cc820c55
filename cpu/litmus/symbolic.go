package litmus

import (
	"regexp"
	"slices"
	"strings"
)

// Registers may have names: `X%p` in the code, `%p` in the initial state and
// in conditions. Each stands for the lowest registers that its thread does not
// use, in the order of their names.

// symbolic is a named register, or the use of one in the initial state.
type symbolic struct {
	name string
	line int
	init int // index into Test.Init
}

// symbol takes the name of a symbolic register; "" if none comes next.
func (p *parser) symbol() string {
	if p.peek() != '%' {
		return ""
	}
	p.pos++
	if p.pos == len(p.text) || !isNameStart(p.text[p.pos]) {
		return ""
	}
	return p.name()
}

var (
	symbolUse   = regexp.MustCompile(`([XxWw]?)%([A-Za-z_.$][A-Za-z0-9_.$/]*)`)
	registerUse = regexp.MustCompile(`\b[XxWw]([0-9]+)\b`)
)

// allocate chooses the registers of the symbolic ones, given the code of each
// thread, and completes the initial state.
func (p *parser) allocate(columns []string) error {
	p.symbols = map[string]Term{}
	for t, code := range columns {
		var names []string
		for _, m := range symbolUse.FindAllStringSubmatch(code, -1) {
			names = append(names, m[2])
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) == 0 {
			continue
		}
		var used [31]bool
		used[30] = true // the link register is never taken
		use := func(text string, at int) {
			for _, m := range registerUse.FindAllStringSubmatch(text, -1) {
				if n, err := parseInt(m[at]); err == nil && n < 31 {
					used[n] = true
				}
			}
		}
		use(code, 1)
		constraint := regexp.MustCompile(`\bP?` + itoa(t) + `\s*:\s*[XxWw][0-9]+`)
		use(strings.Join(constraint.FindAllString(p.text, -1), " "), 1)
		next := 0
		for _, name := range names {
			for next < len(used) && used[next] {
				next++
			}
			if next == len(used) {
				return p.fail(p.line, "P%d has more symbolic registers than there are registers left", t)
			}
			if _, twice := p.symbols[name]; twice {
				return p.fail(p.line, "the symbolic register %%%s is used by several threads; give each its own name", name)
			}
			p.symbols[name] = Term{Thread: t, Reg: Reg(next), Index: -1}
			next++
		}
	}
	for _, s := range p.symbolic {
		term, ok := p.symbols[s.name]
		if !ok {
			return p.fail(s.line, "no thread uses the symbolic register %%%s", s.name)
		}
		p.test.Init[s.init].Thread, p.test.Init[s.init].Reg = term.Thread, term.Reg
	}
	return nil
}

// concrete replaces the symbolic registers in an instruction.
func (p *parser) concrete(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	return symbolUse.ReplaceAllStringFunc(text, func(use string) string {
		m := symbolUse.FindStringSubmatch(use)
		width := strings.ToUpper(m[1])
		if width == "" {
			width = "X"
		}
		return width + itoa(int(p.symbols[m[2]].Reg))
	})
}
