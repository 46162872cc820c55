package litmus

import (
	"fmt"
	"slices"
	"strings"
)

// edgeKind says what an edge of a cycle stands for.
type edgeKind uint8

const (
	edgeCom   edgeKind = iota // communication: Rf, Fr, Co
	edgePo                    // program order and nothing else
	edgeFence                 // a barrier in between
	edgeDep                   // a dependency
	edgeRMW                   // one atomic update: LxSx or Amo.<op>
)

// makeEdge is one edge of a cycle, in the notation of the diy tools
// (herdtools7, doc/gen.tex): what it is, then same or different location,
// the directions of its two ends and their annotations.
type makeEdge struct {
	word     string // as given
	kind     edgeKind
	op       string // "rf", "dmb.sy", "addr", "swp", …
	external bool   // leaves the thread
	same     bool   // both ends have one location
	ends     [2]edgeEnd
}

// edgeEnd is what an edge says about the event at one of its ends.
type edgeEnd struct {
	dir   byte // R or W; 0 if the edge does not say
	annot byte // P plain, A acquire, Q acquire-PC, L release; 0 if the edge does not say
}

// edgeFences are what an edge may have in between, by its name, with the instruction.
var edgeFences = []struct{ name, instr string }{
	{"DMB.SY", "DMB SY"}, {"DMB.LD", "DMB LD"}, {"DMB.ST", "DMB ST"},
	{"DMB.ISHLD", "DMB ISHLD"}, {"DMB.ISHST", "DMB ISHST"}, {"DMB.ISH", "DMB ISH"},
	{"DSB.SY", "DSB SY"}, {"DSB.LD", "DSB LD"}, {"DSB.ST", "DSB ST"},
	{"DSB.ISHLD", "DSB ISHLD"}, {"DSB.ISHST", "DSB ISHST"}, {"DSB.ISH", "DSB ISH"},
	{"ISB", "ISB"},
}

// edgeDeps are the dependencies; those whose name others start with come last.
var edgeDeps = []string{"AddrCsel", "DataCsel", "CtrlCsel", "CtrlIsb", "Addr", "Data", "Ctrl"}

// edgeAmos are the atomic operations that change what they read to a value that
// memory did not hold before, so that readers can tell. register is false for
// those that return nothing.
var edgeAmos = []struct {
	name     string
	register bool
}{
	{"Swp", true}, {"Cas", true}, {"LdAdd", true}, {"LdEor", true}, {"LdSet", true}, {"LdSmax", true}, {"LdUmax", true},
	{"StAdd", false}, {"StEor", false}, {"StSet", false}, {"StSmax", false}, {"StUmax", false},
}

var comEnds = map[string][2]edgeEnd{
	"Rf": {{dir: 'W'}, {dir: 'R'}},
	"Fr": {{dir: 'R'}, {dir: 'W'}},
	"Co": {{dir: 'W'}, {dir: 'W'}},
	"Ws": {{dir: 'W'}, {dir: 'W'}}, // the older name of Co
}

// parseEdge reads one edge.
func parseEdge(word string) (makeEdge, error) {
	e := makeEdge{word: word}
	rest := ""
	ok := false
	switch {
	case len(word) >= 2 && comEnds[word[:2]] != [2]edgeEnd{}:
		return parseCom(word)
	case strings.HasPrefix(word, "Po"):
		e.kind, e.op, rest, ok = edgePo, "po", word[2:], true
	case strings.HasPrefix(word, "LxSx"):
		e.kind, e.op, e.same, rest, ok = edgeRMW, "rmw", true, word[4:], true
		e.ends = [2]edgeEnd{{dir: 'R'}, {dir: 'W'}}
		return e.annotations(rest)
	case strings.HasPrefix(word, "Amo."):
		// LdSet is the start of no other name, but Swp and so on may carry annotations.
		for _, a := range edgeAmos {
			if r, found := strings.CutPrefix(word[4:], a.name); found {
				e.kind, e.op, e.same = edgeRMW, "amo."+strings.ToLower(a.name), true
				e.ends = [2]edgeEnd{{dir: 'R'}, {dir: 'W'}}
				return e.annotations(r)
			}
		}
		for _, name := range []string{"LdClr", "StClr", "LdSmin", "StSmin", "LdUmin", "StUmin"} {
			if strings.HasPrefix(word[4:], name) {
				return e, fmt.Errorf("%s: %s writes no value that is new, so no reader can tell; use Amo.LdAdd, Amo.LdEor, Amo.LdSet or Amo.Swp", word, strings.ToUpper(name))
			}
		}
	case strings.HasPrefix(word, "Dp"):
		for _, d := range edgeDeps {
			if rest, ok = strings.CutPrefix(word[2:], d); ok {
				e.kind, e.op = edgeDep, strings.ToLower(d)
				e.ends[0].dir = 'R'
				break
			}
		}
	default:
		for _, f := range edgeFences {
			if rest, ok = strings.CutPrefix(word, f.name); ok && !strings.HasPrefix(rest, "LD") && !strings.HasPrefix(rest, "ST") {
				e.kind, e.op = edgeFence, strings.ToLower(f.name)
				break
			}
			ok = false
		}
	}
	if !ok {
		return e, fmt.Errorf("unknown edge %q; did you mean %s?", word, nearestEdge(word))
	}
	if rest != "" && (rest[0] == 'd' || rest[0] == 's') {
		e.same = rest[0] == 's'
		rest = rest[1:]
	}
	return e.directions(rest)
}

// parseCom reads Rfe, Fri, Coe and the like.
func parseCom(word string) (makeEdge, error) {
	e := makeEdge{word: word, kind: edgeCom, same: true, ends: comEnds[word[:2]]}
	e.op = strings.ToLower(word[:2])
	if e.op == "ws" {
		e.op = "co"
	}
	if len(word) < 3 || word[2] != 'e' && word[2] != 'i' {
		return e, fmt.Errorf("%s: does it leave the thread? write %se (external) or %si (internal)", word, word[:2], word[:2])
	}
	e.external = word[2] == 'e'
	return e.annotations(word[3:])
}

// directions reads the letters R and W of the two ends, as far as the name of
// the edge does not give them. Left out, they follow from the neighbours.
func (e makeEdge) directions(rest string) (makeEdge, error) {
	n := 0
	for n < len(rest) && (rest[n] == 'R' || rest[n] == 'W') {
		n++
	}
	switch letters := rest[:n]; {
	case n == 0:
	case e.kind == edgeDep && n == 1:
		e.ends[1].dir = letters[0]
	case n == 2:
		if e.kind == edgeDep && letters[0] != 'R' {
			return e, fmt.Errorf("%s: a dependency starts with a read", e.word)
		}
		e.ends[0].dir, e.ends[1].dir = letters[0], letters[1]
	case e.kind == edgeDep:
		return e, fmt.Errorf("%s: a dependency is followed by the direction of its target, as in Dp%sdR", e.word, e.word[2:4])
	default:
		return e, fmt.Errorf("%s: write the directions of both ends, as in PodWR", e.word)
	}
	if strings.HasPrefix(e.op, "data") {
		if e.ends[1].dir == 'R' {
			return e, fmt.Errorf("%s: a data dependency ends in a write; write DpDatadW", e.word)
		}
		e.ends[1].dir = 'W'
	}
	return e.annotations(rest[n:])
}

// annotations reads the two letters at the end, of the source and the target.
func (e makeEdge) annotations(rest string) (makeEdge, error) {
	if rest == "" {
		return e, nil
	}
	if len(rest) != 2 || strings.Trim(rest, "PALQ") != "" {
		base := strings.TrimSuffix(e.word, rest)
		return e, fmt.Errorf("%s: %q after %s should be two annotations, of source and target: P plain, A acquire, Q acquire-PC, L release, as in PodWWPL", e.word, rest, base)
	}
	for i := range e.ends {
		e.ends[i].annot = rest[i]
	}
	return e, nil
}

// knownEdges lists the edges that a mistyped word is compared with.
func knownEdges() []string {
	known := []string{"LxSx"}
	for _, com := range []string{"Rf", "Fr", "Co", "Ws"} {
		known = append(known, com+"e", com+"i")
	}
	pairs := []string{"", "RR", "RW", "WR", "WW"}
	for _, where := range []string{"d", "s"} {
		for _, p := range pairs {
			known = append(known, "Po"+where+p)
			for _, f := range edgeFences {
				known = append(known, f.name+where+p)
			}
		}
		for _, d := range edgeDeps {
			known = append(known, "Dp"+d+where+"W")
			if !strings.HasPrefix(d, "Data") {
				known = append(known, "Dp"+d+where+"R")
			}
		}
	}
	for _, a := range edgeAmos {
		known = append(known, "Amo."+a.name)
	}
	return known
}

// nearestEdge returns the known edge that needs the fewest changes.
func nearestEdge(word string) string {
	if len(word) > 32 { // nobody mistypes this much
		word = word[:32]
	}
	best, at := "", 99
	for _, k := range knownEdges() {
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d < at {
			best, at = k, d
		}
	}
	return best
}

// editDistance is the number of letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, change)
		}
	}
	return row[len(b)]
}

// label is how the edge shows in a test's name: "po", "dmb.sy", "addr", "rfi".
func (e makeEdge) label() string {
	s := e.op
	switch {
	case e.kind == edgeCom && !e.external:
		s += "i"
	case e.kind == edgePo && e.same:
		s = "pos"
	case e.kind != edgeCom && e.kind != edgeRMW && e.same:
		s += "-s"
	}
	if from, to := e.ends[0].letter(), e.ends[1].letter(); from != 'P' || to != 'P' {
		s += strings.ToLower(string([]byte{from, to}))
	}
	return s
}

// instr is the barrier of a fence edge.
func (e makeEdge) instr() string {
	i := slices.IndexFunc(edgeFences, func(f struct{ name, instr string }) bool { return strings.ToLower(f.name) == e.op })
	return edgeFences[i].instr
}

func (e edgeEnd) letter() byte {
	if e.annot == 0 {
		return 'P'
	}
	return e.annot
}
