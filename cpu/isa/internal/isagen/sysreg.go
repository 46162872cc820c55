package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A sysReg is a line of sysreg.txt, or one name of a line that has many.
type sysReg struct {
	name          string
	number        uint16 // op0, op1, CRn, CRm, op2
	takesRegister bool
}

var (
	manyNames = regexp.MustCompile(`^(\w+)\{(\d+)-(\d+)\}(\w*)$`)
	oneName   = regexp.MustCompile(`^[A-Z]\w+$`)
	letterN   = regexp.MustCompile(`\bn\b`)
)

// parseSysRegs reads the text of sysreg.txt. Errors name the line.
func parseSysRegs(text string) (all []sysReg, err error) {
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		found, err := parseSysReg(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		for _, r := range found {
			if slices.ContainsFunc(all, func(o sysReg) bool { return o.name == r.name }) {
				return nil, fmt.Errorf("line %d: %s is declared twice", i+1, r.name)
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

func parseSysReg(words []string) (out []sysReg, err error) {
	if len(words) != 6 && (len(words) != 7 || words[6] != "noreg") {
		return nil, fmt.Errorf("%d words, not NAME op0 op1 CRn CRm op2", len(words))
	}
	first, last := 0, 0
	before, after := words[0], ""
	if m := manyNames.FindStringSubmatch(words[0]); m != nil {
		first, _ = strconv.Atoi(m[2])
		last, _ = strconv.Atoi(m[3])
		before, after = m[1], m[4]
	}
	for n := first; n <= last; n++ {
		r := sysReg{name: before + after, takesRegister: len(words) == 6}
		if after != "" {
			r.name = before + strconv.Itoa(n) + after
		}
		if !oneName.MatchString(r.name) {
			return nil, fmt.Errorf("%q is no name", r.name)
		}
		for i, width := range []int{2, 3, 4, 4, 3} {
			v, err := number(words[i+1], n)
			if err != nil || v < 0 || v >= 1<<width {
				return nil, fmt.Errorf("%s is not a number of %d bits", words[i+1], width)
			}
			r.number = r.number<<width | uint16(v)
		}
		out = append(out, r)
	}
	return out, nil
}

// number evaluates an expression of one variable.
func number(expr string, n int) (int64, error) {
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, letterN.ReplaceAllString(expr, strconv.Itoa(n)))
	if err != nil {
		return 0, err
	}
	if v.Value == nil || v.Value.Kind() != constant.Int {
		return 0, fmt.Errorf("%s is no number", expr)
	}
	i, _ := constant.Int64Val(v.Value)
	return i, nil
}

// writeSysRegs writes a constant for each name, and the names by number.
func writeSysRegs(b *bytes.Buffer, all []sysReg) {
	b.WriteString("// The system registers and operations of sysreg.txt.\nconst (\n")
	for _, r := range all {
		n := r.number
		fmt.Fprintf(b, "%s SysReg = %d<<14|%d<<11|%d<<7|%d<<3|%d\n", r.name, n>>14, n>>11&7, n>>7&15, n>>3&15, n&7)
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b sysReg) int { return cmp.Compare(a.number, b.number) })
	b.WriteString(")\n\n// sysRegs is sorted by number.\nvar sysRegs = [...]sysRegInfo{\n")
	for _, r := range sorted {
		kind, name := "", strings.ToLower(r.name)
		if r.number>>14 == 1 {
			kind, name, _ = strings.Cut(name, "_")
		}
		fmt.Fprintf(b, "{%s, %q, %q, %t},\n", r.name, kind, name, r.takesRegister)
	}
	b.WriteString("}\n")
}
