package scenario

import (
	"fmt"
	"strings"
)

// Pos is where a value was written: a file with line and column, or the
// command-line argument that set it (then Line is 0).
type Pos struct {
	File string
	Line int
	Col  int
}

func (p Pos) String() string {
	switch {
	case p.File == "":
		return "default configuration"
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problem is input that cannot be used: where it stands, what is wrong with it
// and what to write instead. It prints as one line.
type Problem struct {
	Pos  Pos
	Text string // what is wrong
	Fix  string // what to write instead; may be empty
}

func (p *Problem) Error() string {
	s := p.Pos.String() + ": " + p.Text
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return strings.ReplaceAll(s, "\n", " ")
}

// Nearest returns the candidate that a mistyped word probably meant, or "".
// The distance is that of Damerau and Levenshtein (optimal string alignment).
func Nearest(word string, candidates []string) string {
	best, bestDist := "", len(word)/3+2
	w := strings.ToLower(word)
	for _, c := range candidates {
		d := distance(w, strings.ToLower(c))
		if strings.HasPrefix(c, w) && len(w) >= 3 {
			d = 1
		}
		if d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// DidYouMean phrases a suggestion: the nearest candidate, or all of them when
// none is near.
func DidYouMean(word string, candidates []string) string {
	if n := Nearest(word, candidates); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "use one of: " + strings.Join(candidates, ", ")
}

func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 { // nobody mistypes this much
		return 64
	}
	var rows [3][65]int
	for j := 0; j <= len(b); j++ {
		rows[0][j] = j
	}
	before, last, now := &rows[2], &rows[0], &rows[1]
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}
