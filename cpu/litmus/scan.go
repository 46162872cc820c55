package litmus

import (
	"fmt"
	"strings"
)

// Error says what is wrong with a test, where, and what to do about it.
type Error struct {
	File    string
	Line    int  // from 1; 0 if no line is to blame
	Outside bool // the test is well-formed but outside what this package models
	Msg     string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// scanner walks over the text of a test. Comments are blanks.
type scanner struct {
	file string
	text string
	pos  int
	line int
}

func (s *scanner) fail(line int, format string, args ...any) error {
	return &Error{File: s.file, Line: line, Msg: fmt.Sprintf(format, args...)}
}

func (s *scanner) outside(line int, format string, args ...any) error {
	return &Error{File: s.file, Line: line, Outside: true, Msg: fmt.Sprintf(format, args...)}
}

// blank turns comments into spaces, so that positions and lines stay right.
// They nest. The first quoted text is left alone: it is the document string.
func blank(file, text string) (string, error) {
	if !strings.Contains(text, "(*") {
		return text, nil
	}
	b := []byte(text)
	depth, line, from, quotes := 0, 1, 0, 0
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\n':
			line++
		case depth == 0 && b[i] == '"':
			quotes++
		case quotes != 1 && i+1 < len(b) && b[i] == '(' && b[i+1] == '*':
			if depth == 0 {
				from = line
			}
			depth++
			b[i], b[i+1] = ' ', ' '
			i++
		case depth > 0 && i+1 < len(b) && b[i] == '*' && b[i+1] == ')':
			depth--
			b[i], b[i+1] = ' ', ' '
			i++
		case depth > 0:
			b[i] = ' '
		}
	}
	if depth > 0 {
		return "", &Error{File: file, Line: from, Msg: "comment (* is never closed; add *)"}
	}
	return string(b), nil
}

// space skips blanks, newlines included.
func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return
		}
		s.pos++
	}
}

// peek returns the next byte after blanks, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

// eat takes word if it comes next.
func (s *scanner) eat(word string) bool {
	s.space()
	if !strings.HasPrefix(s.text[s.pos:], word) {
		return false
	}
	s.pos += len(word)
	return true
}

// eatWord takes word if it comes next and is not the start of a longer name.
func (s *scanner) eatWord(word string) bool {
	s.space()
	rest := s.text[s.pos:]
	if !strings.HasPrefix(rest, word) || len(rest) > len(word) && isNameByte(rest[len(word)]) {
		return false
	}
	s.pos += len(word)
	return true
}

func (s *scanner) expect(word, where string) error {
	if s.eat(word) {
		return nil
	}
	return s.fail(s.line, "expected %q %s, found %s", word, where, s.found())
}

// found quotes what comes next, for messages.
func (s *scanner) found() string {
	s.space()
	rest := s.text[s.pos:]
	if rest == "" {
		return "the end of the file"
	}
	return quote(firstWord(rest))
}

// quote shows a piece of a test in a message, in 40 bytes at most.
func quote(text string) string {
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return fmt.Sprintf("%q", text)
}

func firstWord(s string) string {
	n := 0
	for n < len(s) && isNameByte(s[n]) {
		n++
	}
	return s[:max(n, 1)]
}

// name takes a variable's, a label's or a type's name; "" if none comes next.
func (s *scanner) name() string {
	s.space()
	from := s.pos
	if from == len(s.text) || !isNameStart(s.text[from]) {
		return ""
	}
	for s.pos < len(s.text) && isNameByte(s.text[s.pos]) {
		s.pos++
	}
	return s.text[from:s.pos]
}

// number takes an integer, decimal or hexadecimal, with an optional minus.
func (s *scanner) number() (n uint64, ok bool, err error) {
	s.space()
	from := s.pos
	i := from
	if i < len(s.text) && s.text[i] == '-' {
		i++
	}
	start := i
	for i < len(s.text) && (isDigit(s.text[i]) || i > start && isNameByte(s.text[i])) {
		i++
	}
	if i == start || !isDigit(s.text[start]) {
		return 0, false, nil
	}
	s.pos = i
	n, perr := parseInt(s.text[from:i])
	if perr != nil {
		return 0, false, s.fail(s.line, "%s is no 64-bit number", quote(s.text[from:i]))
	}
	return n, true, nil
}

// parseInt reads -2⁶³ … 2⁶⁴-1, decimal or 0x, as a 64-bit pattern.
func parseInt(text string) (uint64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	base := uint64(10)
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		digits, base = hex, 16
	}
	if digits == "" {
		return 0, fmt.Errorf("no digits")
	}
	var n uint64
	for i := 0; i < len(digits); i++ {
		var d uint64
		switch c := digits[i] | 0x20; {
		case digits[i] >= '0' && digits[i] <= '9':
			d = uint64(digits[i] - '0')
		case c >= 'a' && c <= 'f':
			d = uint64(c-'a') + 10
		default:
			return 0, fmt.Errorf("bad digit")
		}
		if d >= base || n > (1<<64-1-d)/base {
			return 0, fmt.Errorf("too big")
		}
		n = n*base + d
	}
	if negative {
		if n > 1<<63 {
			return 0, fmt.Errorf("too small")
		}
		n = -n
	}
	return n, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '.' || c == '$'
}

func isNameByte(c byte) bool { return isNameStart(c) || isDigit(c) }
