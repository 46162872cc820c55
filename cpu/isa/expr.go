package isa

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A token is a word of a source line.
type token struct {
	text string
	kind tokenKind
}

type tokenKind uint8

const (
	nameToken   tokenKind = iota + 1 // also of registers and mnemonics, and "."
	numberToken                      // also 1b, 1f
	punctuation
)

// lex splits a line into tokens, up to a comment.
func lex(line string) (tokens []token, err error) {
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(line[i:], "//"):
			return tokens, nil
		case wordByte(c):
			end := i
			for end < len(line) && wordByte(line[end]) {
				end++
			}
			kind := nameToken
			if c >= '0' && c <= '9' {
				kind = numberToken
			}
			tokens = append(tokens, token{line[i:end], kind})
			i = end
		default:
			n := 1
			if strings.HasPrefix(line[i:], "<<") || strings.HasPrefix(line[i:], ">>") {
				n = 2
			} else if !strings.ContainsRune("#,:;[]{}!()+-*~&|^", rune(c)) {
				r, _ := utf8.DecodeRuneInString(line[i:])
				return nil, fmt.Errorf("%q is no part of a statement", r)
			}
			tokens = append(tokens, token{line[i : i+n], punctuation})
			i += n
		}
	}
	return tokens, nil
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.' || c == '$'
}

// maxDepth bounds the nesting of expressions.
const maxDepth = 64

// value takes an expression, with or without # before it.
func (p *parser) value() (uint64, error) {
	p.skip("#")
	if p.skip(":") {
		if !p.skip("lo12") || !p.skip(":") {
			return 0, p.due(":lo12:")
		}
		v, err := p.binary(0)
		return v & 0xfff, err
	}
	return p.binary(0)
}

// precedence lists the binary operators, the loosest first.
var precedence = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*"}}

// binary takes an expression of operators of some level and those tighter.
func (p *parser) binary(level int) (uint64, error) {
	if level == len(precedence) {
		return p.unary()
	}
	v, err := p.binary(level + 1)
	for err == nil {
		op := p.operator(precedence[level])
		if op == "" {
			return v, nil
		}
		var w uint64
		w, err = p.binary(level + 1)
		switch op {
		case "|":
			v |= w
		case "^":
			v ^= w
		case "&":
			v &= w
		case "<<":
			v <<= w
		case ">>":
			v >>= w
		case "+":
			v += w
		case "-":
			v -= w
		case "*":
			v *= w
		}
	}
	return 0, err
}

func (p *parser) operator(ops []string) string {
	for _, op := range ops {
		if p.skip(op) {
			return op
		}
	}
	return ""
}

func (p *parser) unary() (uint64, error) {
	if p.depth++; p.depth > maxDepth {
		return 0, p.wrong(p.at, "the expression is too deep")
	}
	defer func() { p.depth-- }()
	switch {
	case p.skip("-"):
		v, err := p.unary()
		return -v, err
	case p.skip("~"):
		v, err := p.unary()
		return ^v, err
	case p.skip("("):
		v, err := p.binary(0)
		if err == nil && !p.skip(")") {
			err = p.due(")")
		}
		return v, err
	}
	return p.primary()
}

// primary takes a number or a label.
func (p *parser) primary() (uint64, error) {
	if p.at >= len(p.tokens) {
		return 0, p.due("a value")
	}
	t := p.tokens[p.at]
	switch t.kind {
	case numberToken:
		if v, ok := p.numberedLabel(t.text); ok {
			p.at++
			return v, nil
		}
		v, err := strconv.ParseUint(strings.ToLower(t.text), 0, 64)
		if err != nil {
			return 0, p.wrong(p.at, "this is no number of 64 bits")
		}
		p.at++
		return v, nil
	case nameToken:
		v, ok := p.a.labels[t.text]
		if t.text == "." {
			v, ok = p.pc, true
		}
		if !ok {
			return 0, &syntaxError{p.at, p.place(p.at), "there is no such label", 0}
		}
		p.at++
		return v, nil
	}
	return 0, p.due("a value")
}

// numberedLabel finds 1b, the last label 1 so far, or 1f, the next one.
func (p *parser) numberedLabel(text string) (uint64, bool) {
	last := len(text) - 1
	all := p.a.numbered[text[:last]]
	switch text[last] {
	case 'b':
		for i := len(all) - 1; i >= 0; i-- {
			if all[i] <= p.pc {
				return all[i], true
			}
		}
	case 'f':
		for _, a := range all {
			if a > p.pc {
				return a, true
			}
		}
	}
	return 0, false
}
