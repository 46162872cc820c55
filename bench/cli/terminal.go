package cli

import (
	"bytes"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal is where a command prints.
type terminal struct {
	out   *bytes.Buffer // standard output, handed over when the command has succeeded
	raw   *os.File      // standard output at once, for what is too long to keep
	err   *os.File      // standard error
	style style
	live  bool // standard error is a terminal: show progress
	rows  int  // columns of standard output
}

// style adds colour, or nothing: https://no-color.org.
type style struct{ on bool }

func styleFor(f *os.File) style {
	return style{isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string  { return s.paint("1", text) }
func (s style) faint(text string) string { return s.paint("2", text) }
func (s style) red(text string) string   { return s.paint("31;1", text) }
func (s style) green(text string) string { return s.paint("32;1", text) }
func (s style) blue(text string) string  { return s.paint("34", text) }

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// width is the number of columns to print: that of the terminal, within reason.
func width(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w < 60 {
		return 100
	}
	return min(w, 120)
}

// table aligns columns: the first to the left, the others to the right unless
// the heading ends in "<".
type table struct {
	heads []string
	rows  [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) lines() []string {
	all := t.rows
	left := make([]bool, 16)
	left[0] = true
	if len(t.heads) > 0 {
		heads := make([]string, len(t.heads))
		for i, h := range t.heads {
			heads[i] = strings.TrimSuffix(h, "<")
			left[i] = left[i] || strings.HasSuffix(h, "<")
		}
		all = append([][]string{heads}, t.rows...)
	}
	var widths [16]int
	for _, r := range all {
		for i, c := range r {
			widths[i] = max(widths[i], runes(c))
		}
	}
	var lines []string
	for _, r := range all {
		var b strings.Builder
		b.WriteString("  ")
		for i, c := range r {
			pad := strings.Repeat(" ", widths[i]-runes(c))
			if i > 0 {
				b.WriteString("  ")
			}
			if left[i] {
				b.WriteString(c + pad)
			} else {
				b.WriteString(pad + c)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

func runes(s string) int { return len([]rune(s)) }
