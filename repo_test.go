package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The rules of this repository, kept by a test. Each is a function in rules;
// TestRules shows for each what it catches.

// floors says what the packages of a folder may import of ours: those of the
// folders listed, their own folder, and nothing else. The longest prefix counts.
var floors = map[string][]string{
	"":            {"bench", "bench/cli"},
	"sim":         {},
	"mmu":         {"sim"},
	"cpu":         {"mmu", "sim"},
	"its":         {"mmu", "sim"},
	"smmu":        {"mmu", "sim"},
	"kvmcore":     {"smmu", "its", "cpu", "mmu", "sim"},
	"kvmcore/vmm": {"kvmcore", "smmu", "its", "cpu", "mmu", "sim"},
	"workloads":   {"kvmcore/vmm", "kvmcore", "smmu", "its", "cpu", "mmu", "sim"},
	"bench":       {"bench/audit", "bench/cli", "workloads", "kvmcore/vmm", "kvmcore", "smmu", "its", "cpu", "mmu", "sim"},
	"bench/cli":   {"bench", "bench/audit", "workloads", "kvmcore/vmm", "kvmcore", "smmu", "its", "cpu", "mmu", "sim"},
	"bench/audit": {"mmu", "sim"}, // independent of what it audits
	"results":     {},
}

// simulation lists the folders in which the same calls must give the same
// bytes on any machine.
var simulation = []string{"sim", "mmu", "cpu", "its", "smmu", "kvmcore", "workloads"}

// impure lists, by import path, what simulation folders may not use: clocks,
// unseeded numbers, and functions whose last bit differs between machines.
var impure = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"},
	"math":         {"Exp", "Exp2", "Expm1", "Pow", "Log", "Log2", "Log10", "Log1p", "Sin", "Cos", "Tan"},
	"math/rand":    {"*"},
	"math/rand/v2": {"*"},
	"crypto/rand":  {"*"},
}

// bigFiles lists the files of more than 1 MiB, with the reason.
var bigFiles = map[string]string{
	"workloads/testdata/linux-4vcpu-small.pwt.zst": "a recorded memory trace of a Linux guest with four vCPUs, compressed",
}

const maxFileSize = 1 << 20

// files is the repository: contents by path with slashes.
type files map[string][]byte

// violation is where a rule is broken, and which.
type violation struct {
	path string
	line int
	rule string
	why  string
}

func (v violation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", v.path, v.line, v.rule, v.why)
}

func TestRepository(t *testing.T) {
	all, err := tracked()
	if err != nil {
		t.Fatal(err)
	}
	exports, err := exportData()
	if err != nil {
		t.Fatal(err)
	}
	r, err := load(all, exports)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.packages) < 5 {
		t.Errorf("only %d packages found", len(r.packages))
	}
	for _, v := range r.check() {
		t.Error(v)
	}
}

// check applies every rule.
func (r *repository) check() (found []violation) {
	report := func(path string, line int, rule, format string, args ...any) {
		found = append(found, violation{path, line, rule, fmt.Sprintf(format, args...)})
	}
	for _, rule := range rules {
		rule(r, report)
	}
	slices.SortFunc(found, func(a, b violation) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return a.line - b.line
	})
	return found
}

type reporter func(path string, line int, rule, format string, args ...any)

var rules = []func(*repository, reporter){
	(*repository).imports,
	(*repository).purity,
	(*repository).mapOrder,
	(*repository).panics,
	(*repository).packageNames,
	(*repository).docs,
	(*repository).words,
	(*repository).sizes,
}

// imports: packages import downwards only.
func (r *repository) imports(report reporter) {
	for _, f := range r.sources() {
		floor := floorOf(f.dir)
		allowed, known := floors[floor]
		if !known {
			report(f.path, 1, "imports", "folder %s has no floor in repo_test.go", f.dir)
			continue
		}
		for _, spec := range f.ast.Imports {
			of := importPath(spec)
			if of != module && !strings.HasPrefix(of, module+"/") {
				continue
			}
			target := floorOf(strings.TrimPrefix(strings.TrimPrefix(of, module), "/"))
			if target != floor && !slices.Contains(allowed, target) {
				report(f.path, r.line(spec), "imports", "%s may not import %s", orRoot(floor), of)
			}
		}
	}
}

// purity: nothing that simulates looks at the machine it runs on.
func (r *repository) purity(report reporter) {
	for _, f := range r.sources() {
		if !simulates(f.dir) {
			continue
		}
		names := map[string]string{} // of imported packages, to their path
		for _, spec := range f.ast.Imports {
			of := importPath(spec)
			if slices.Contains(impure[of], "*") {
				report(f.path, r.line(spec), "purity", "%s may not import %s", f.dir, of)
			}
			name := strings.TrimSuffix(path.Base(of), "/v2")
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if name == "." && impure[of] != nil {
				report(f.path, r.line(spec), "purity", "%s may not import all names of %s", f.dir, of)
			}
			names[name] = of
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impure[names[x.Name]], n.Sel.Name) {
					report(f.path, r.line(n), "purity", "%s may not use %s.%s", f.dir, names[x.Name], n.Sel.Name)
				}
			case *ast.GoStmt:
				report(f.path, r.line(n), "purity", "a simulation is one goroutine")
			}
			return true
		})
	}
}

// orderFree is the comment, with a reason, of a line that may range over a map.
var orderFree = regexp.MustCompile(`// order-free: \S`)

// mapOrder: nothing that simulates depends on the order of a map.
func (r *repository) mapOrder(report reporter) {
	for _, f := range r.sources() {
		if !simulates(f.dir) {
			continue
		}
		sorted := map[ast.Node]bool{} // arguments of slices.Sorted and its kin
		complain := func(n ast.Node, format string, args ...any) {
			if line := r.line(n); !orderFree.MatchString(f.lines[line-1]) {
				report(f.path, line, "map order", format+`; sort, or say "// order-free: reason"`, args...)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				switch t := r.info.TypeOf(n.X); {
				case t == nil || t == types.Typ[types.Invalid]:
					if !isCall(n.X, "maps", "All", "Keys", "Values") {
						report(f.path, r.line(n), "map order", "the type of what this ranges over is unknown")
					}
				default:
					if _, ok := t.Underlying().(*types.Map); ok {
						complain(n, "ranges over a map")
					}
				}
			case *ast.CallExpr:
				if isCall(n, "slices", "Sorted", "SortedFunc", "SortedStableFunc") {
					sorted[n.Args[0]] = true
				}
				if isCall(n, "maps", "All", "Keys", "Values") && !sorted[n] {
					complain(n, "takes a map's elements in its order")
				}
			}
			return true
		})
	}
}

// panics: a panic is a programming error of the package that it names first.
func (r *repository) panics(report reporter) {
	for _, f := range r.sources() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "panic" || len(call.Args) != 1 {
				return true
			}
			if text := firstWords(call.Args[0]); !strings.HasPrefix(text, f.ast.Name.Name+": ") {
				report(f.path, r.line(call), "panic", `panics are for programming errors: panic("%s: …")`, f.ast.Name.Name)
			}
			return true
		})
	}
}

// firstWords returns the literal with which a panic's argument begins.
func firstWords(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return firstWords(e.X)
	case *ast.CallExpr:
		if isCall(e, "fmt", "Sprintf", "Sprint", "Errorf") && len(e.Args) > 0 {
			return firstWords(e.Args[0])
		}
	}
	return ""
}

// packageNames: a package is named after what it holds.
func (r *repository) packageNames(report reporter) {
	for _, f := range r.sources() {
		for _, name := range slices.Compact(append(strings.Split(f.dir, "/"), f.ast.Name.Name)) {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "misc"}, name) {
				report(f.path, r.line(f.ast.Name), "name", "%s says nothing about what is inside", name)
			}
		}
	}
}

// docs: packages, and what they export, are described.
func (r *repository) docs(report reporter) {
	described := map[string]bool{}
	first := map[string]*source{}
	for _, f := range r.sources() {
		if doc := f.ast.Doc.Text(); f.ast.Name.Name == "main" && doc != "" || strings.HasPrefix(doc, "Package "+f.ast.Name.Name+" ") {
			described[f.dir] = true
		}
		if first[f.dir] == nil {
			first[f.dir] = f
		}
		for _, decl := range f.ast.Decls {
			r.declDocs(f, decl, report)
		}
	}
	for _, dir := range r.packages {
		if f := first[dir]; f != nil && !described[dir] {
			report(f.path, r.line(f.ast), "doc", "package %s has no comment that begins with its name", f.ast.Name.Name)
		}
	}
}

// knownMethods need no words: their interface says all.
var knownMethods = []string{"String", "Error", "Unwrap", "Len", "Less", "Swap", "Sync"}

func (r *repository) declDocs(f *source, decl ast.Decl, report reporter) {
	if f.ast.Name.Name == "main" {
		return
	}
	missing := func(n *ast.Ident) {
		report(f.path, r.line(n), "doc", "%s is exported without a comment", n.Name)
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && (!ast.IsExported(receiver(d)) || slices.Contains(knownMethods, d.Name.Name)) {
			return
		}
		if d.Name.IsExported() && d.Doc == nil {
			missing(d.Name)
		}
	case *ast.GenDecl:
		if d.Doc != nil || r.enumeration(f.dir, d) {
			return
		}
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
					missing(s.Name)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && s.Doc == nil && s.Comment == nil {
						missing(name)
					}
				}
			}
		}
	}
}

// enumeration reports whether a declaration lists the constants of a type of
// the same package, whose comment then speaks for them.
func (r *repository) enumeration(dir string, d *ast.GenDecl) bool {
	if d.Tok != token.CONST || len(d.Specs) == 0 {
		return false
	}
	of, ok := d.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident)
	return ok && r.declaresType(dir, of.Name)
}

func (r *repository) declaresType(dir, name string) bool {
	for _, f := range r.sources() {
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.GenDecl)
			if f.dir == dir && ok && d.Tok == token.TYPE && slices.ContainsFunc(d.Specs, func(s ast.Spec) bool {
				return s.(*ast.TypeSpec).Name.Name == name
			}) {
				return true
			}
		}
	}
	return false
}

func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// The words are put together here so that this file may contain the rule.
var (
	unfinished   = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePaths = regexp.MustCompile(`(^|[^\w./-])/(work|tm` + `p|root|home)/`)
)

// words: what is committed is finished, and is at home on any machine.
func (r *repository) words(report reporter) {
	for _, name := range r.names {
		content := r.files[name]
		if bytes.IndexByte(content, 0) >= 0 {
			continue // not text
		}
		recorded := strings.Contains(name, "testdata/")
		for i, line := range strings.Split(string(content), "\n") {
			if word := unfinished.FindString(line); word != "" && !recorded {
				report(name, i+1, "unfinished", "contains %s", word)
			}
			if machinePaths.MatchString(line) {
				report(name, i+1, "machine path", "contains %q", strings.TrimSpace(machinePaths.FindString(line)))
			}
		}
	}
}

// sizes: the repository stays quick to clone.
func (r *repository) sizes(report reporter) {
	for _, name := range r.names {
		switch listed := bigFiles[name] != ""; {
		case len(r.files[name]) > maxFileSize && !listed:
			report(name, 1, "size", "%d bytes; list it in repo_test.go with its reason, or make it smaller", len(r.files[name]))
		case listed && !strings.Contains(name, "testdata/"):
			report(name, 1, "size", "only testdata may be big")
		}
	}
}

// repository is what the rules look at.
type repository struct {
	files    files
	names    []string // of files, sorted
	packages []string // folders with Go files, sorted
	parsed   []*source
	fset     *token.FileSet
	info     *types.Info // of the simulation's packages
}

// source is a parsed Go file.
type source struct {
	path, dir string
	ast       *ast.File
	lines     []string
	test      bool
}

const module = "ringmap"

// sources returns the Go files that are not tests.
func (r *repository) sources() (out []*source) {
	for _, f := range r.parsed {
		if !f.test {
			out = append(out, f)
		}
	}
	return out
}

func (r *repository) line(n ast.Node) int { return r.fset.Position(n.Pos()).Line }

// load parses all Go files and finds the types in those that simulate. exports
// gives the files of export data of packages that are not ours.
func load(all files, exports map[string]string) (*repository, error) {
	r := &repository{files: all, fset: token.NewFileSet()}
	for name := range all {
		r.names = append(r.names, name)
	}
	slices.Sort(r.names)
	for _, name := range r.names {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
			continue
		}
		tree, err := parser.ParseFile(r.fset, name, all[name], parser.ParseComments)
		if err != nil {
			return nil, err
		}
		dir := path.Dir(name)
		if dir == "." {
			dir = ""
		}
		r.parsed = append(r.parsed, &source{name, dir, tree, strings.Split(string(all[name]), "\n"), strings.HasSuffix(name, "_test.go")})
		if !slices.Contains(r.packages, dir) {
			r.packages = append(r.packages, dir)
		}
	}
	r.findTypes(exports)
	return r, nil
}

// findTypes checks the packages that simulate, each after those it imports.
// Errors are the compiler's business; what stays unknown, mapOrder reports.
func (r *repository) findTypes(exports map[string]string) {
	r.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	imp := &fromSource{r: r, done: map[string]*types.Package{}}
	imp.others = importer.ForCompiler(r.fset, "gc", func(of string) (io.ReadCloser, error) {
		if exports[of] == "" {
			return nil, errors.New("no export data for " + of)
		}
		return os.Open(exports[of])
	})
	for _, dir := range r.packages {
		if simulates(dir) {
			imp.Import(module + "/" + dir)
		}
	}
}

// fromSource imports our packages by checking them, others from export data.
type fromSource struct {
	r      *repository
	others types.Importer
	done   map[string]*types.Package
}

func (s *fromSource) Import(of string) (*types.Package, error) {
	dir, ours := strings.CutPrefix(of, module+"/")
	if !ours {
		return s.others.Import(of)
	}
	if p := s.done[of]; p != nil {
		return p, nil
	}
	var trees []*ast.File
	for _, f := range s.r.sources() {
		if f.dir == dir && built(f) {
			trees = append(trees, f.ast)
		}
	}
	conf := types.Config{Importer: s, Error: func(error) {}}
	p, _ := conf.Check(of, s.r.fset, trees, s.r.info)
	s.done[of] = p
	return p, nil
}

// built reports whether a file is part of its package on this machine.
func built(f *source) bool {
	ctx := build.Default
	ctx.OpenFile = func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(strings.Join(f.lines, "\n"))), nil
	}
	ok, err := ctx.MatchFile(f.dir, path.Base(f.path))
	return err != nil || ok
}

// tracked reads the files under version control; without git, all files that
// are not hidden.
func tracked() (files, error) {
	all := files{}
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err == nil && len(out) > 0 {
		for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			content, err := os.ReadFile(name)
			if errors.Is(err, os.ErrNotExist) {
				continue // deleted, not yet committed
			}
			if err != nil {
				return nil, err
			}
			all[name] = content
		}
		return all, nil
	}
	err = filepath.WalkDir(".", func(name string, d os.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, ".test") || name == "ringmap" {
			return nil
		}
		all[filepath.ToSlash(name)], err = os.ReadFile(name)
		return err
	})
	return all, err
}

// exportData returns the export data files of everything that we import.
func exportData() (map[string]string, error) {
	out, err := exec.Command("go", "list", "-e", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		of, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[of] = file
	}
	return exports, nil
}

// floorOf returns the longest folder in floors that holds dir.
func floorOf(dir string) string {
	for ; dir != "" && dir != "."; dir = path.Dir(dir) {
		if _, ok := floors[dir]; ok {
			return dir
		}
		if !strings.Contains(dir, "/") {
			return dir // unknown: reported by imports
		}
	}
	return ""
}

func orRoot(dir string) string {
	if dir == "" {
		return "the command"
	}
	return dir
}

func simulates(dir string) bool {
	top, _, _ := strings.Cut(dir, "/")
	return slices.Contains(simulation, top)
}

func importPath(spec *ast.ImportSpec) string {
	of, _ := strconv.Unquote(spec.Path.Value)
	return of
}

// isCall reports whether e calls one of the functions of a standard package.
func isCall(e ast.Expr, pkg string, names ...string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, sel.Sel.Name)
}

// TestRules breaks each rule in a small repository: the rule must find it, in
// that line, and no other rule may complain.
func TestRules(t *testing.T) {
	in := func(name, body string) files {
		return files{name: []byte("// Package " + path.Base(path.Dir(name)) + " is one.\npackage " + path.Base(path.Dir(name)) + "\n" + body)}
	}
	mark := func(word ...string) string { return strings.Join(word, "") }
	for name, c := range map[string]struct {
		files files
		want  []string // "path:line: rule"
	}{
		"clean": {in("sim/a.go", `
import "slices"
import "maps"
// F does.
func F(m map[int]int) []int {
	for range m { // order-free: counts
	}
	if m == nil {
		panic("sim: no map")
	}
	for _, k := range []int{1} { _ = k }
	return slices.Sorted(maps.Keys(m))
}
func (t hidden) Exported() {}
type hidden int
`), nil},
		"import up":                {in("mmu/a.go", "import _ \"ringmap/kvmcore\"\n"), []string{"mmu/a.go:3: imports"}},
		"import from nowhere":      {in("sim/a.go", "import _ \"ringmap/mmu\"\n"), []string{"sim/a.go:3: imports"}},
		"import beside":            {in("its/a.go", "import _ \"ringmap/cpu\"\n"), []string{"its/a.go:3: imports"}},
		"import below":             {in("its/a.go", "import _ \"ringmap/mmu\"\n"), nil},
		"import within":            {in("its/inner/a.go", "import _ \"ringmap/its\"\n"), nil},
		"kernel imports userspace": {in("kvmcore/a.go", "import _ \"ringmap/kvmcore/vmm\"\n"), []string{"kvmcore/a.go:3: imports"}},
		"audit imports audited":    {in("bench/audit/a.go", "import _ \"ringmap/kvmcore\"\n"), []string{"bench/audit/a.go:3: imports"}},
		"command imports machine":  {files{"main.go": []byte("// Ringmap runs.\npackage main\nimport _ \"ringmap/sim\"\n")}, []string{"main.go:3: imports"}},
		"command imports bench":    {files{"main.go": []byte("// Ringmap runs.\npackage main\nimport _ \"ringmap/bench/cli\"\n")}, nil},
		"unknown folder":           {in("stuff/a.go", ""), []string{"stuff/a.go:1: imports"}},
		"tests may import":         {files{"mmu/a_test.go": []byte("package mmu\nimport _ \"ringmap/kvmcore\"\n")}, nil},

		"clock":          {in("cpu/a.go", "import \"time\"\nvar t = time.Now()\n"), []string{"cpu/a.go:4: purity"}},
		"renamed clock":  {in("cpu/a.go", "import clock \"time\"\nvar t = clock.Since\n"), []string{"cpu/a.go:4: purity"}},
		"a span of time": {in("cpu/a.go", "import \"time\"\nvar t = time.Second\n"), nil},
		"clock in bench": {in("bench/a.go", "import \"time\"\nvar t = time.Now()\n"), nil},
		"math/rand":      {in("workloads/a.go", "import _ \"math/rand/v2\"\n"), []string{"workloads/a.go:3: purity"}},
		"logarithm":      {in("workloads/a.go", "import \"math\"\nvar l = math.Log(2)\n"), []string{"workloads/a.go:4: purity"}},
		"dot import":     {in("its/a.go", "import . \"time\"\n"), []string{"its/a.go:3: purity"}},
		"goroutine":      {in("kvmcore/vmm/a.go", "func f() {\ngo f()\n}\n"), []string{"kvmcore/vmm/a.go:4: purity"}},

		"map order":          {in("mmu/a.go", "func f(m map[int]int) {\nfor range m {\n}\n}\n"), []string{"mmu/a.go:4: map order"}},
		"named map":          {in("mmu/a.go", "type set map[int]bool\nvar s struct{ in set }\nfunc f() {\nfor k := range s.in {\n_ = k\n}\n}\n"), []string{"mmu/a.go:6: map order"}},
		"reason on its line": {in("mmu/a.go", "func f(m map[int]int) {\n// order-free: no\nfor range m {\n}\n}\n"), []string{"mmu/a.go:5: map order"}},
		"no reason":          {in("mmu/a.go", "func f(m map[int]int) {\nfor range m { // order-free:\n}\n}\n"), []string{"mmu/a.go:4: map order"}},
		"unsorted keys":      {in("mmu/a.go", "import \"maps\"\nimport \"slices\"\nfunc f(m map[int]int) []int { return slices.Collect(maps.Keys(m)) }\n"), []string{"mmu/a.go:5: map order"}},
		"map of another":     {files{"sim/a.go": []byte("// Package sim is one.\npackage sim\n// M is a map.\ntype M map[int]int\n"), "mmu/a.go": []byte("// Package mmu is one.\npackage mmu\nimport \"ringmap/sim\"\nfunc f(m sim.M) {\nfor range m {\n}\n}\n")}, []string{"mmu/a.go:5: map order"}},
		"unknown type":       {in("mmu/a.go", "func f() {\nfor range missing {\n}\n}\n"), []string{"mmu/a.go:4: map order"}},
		"map order in bench": {in("bench/a.go", "func f(m map[int]int) {\nfor range m {\n}\n}\n"), nil},

		"panic on input":   {in("its/a.go", "func f(err error) {\npanic(err)\n}\n"), []string{"its/a.go:4: panic"}},
		"nameless panic":   {in("its/a.go", "func f() {\npanic(\"bad\")\n}\n"), []string{"its/a.go:4: panic"}},
		"panic with value": {in("its/a.go", "import \"fmt\"\nfunc f() {\npanic(fmt.Sprintf(\"its: %d\" + \"\", 1))\n}\n"), nil},

		"empty name":    {in("bench/utils/a.go", ""), []string{"bench/utils/a.go:2: name"}},
		"no package":    {files{"its/a.go": []byte("package its\n")}, []string{"its/a.go:1: doc"}},
		"wrong package": {files{"its/a.go": []byte("// Package mmu is another.\npackage its\n")}, []string{"its/a.go:2: doc"}},
		"no doc": {in("its/a.go", "func F() {}\ntype T int\nfunc (T) M() {}\nfunc (T) String() string { return \"\" }\nconst (\nA = 1\nB = 2 // is two\n)\nvar V int\n"),
			[]string{"its/a.go:3: doc", "its/a.go:4: doc", "its/a.go:5: doc", "its/a.go:8: doc", "its/a.go:11: doc"}},
		"enumeration": {in("its/a.go", "// T is a kind.\ntype T int\nconst (\nA T = iota\nB\n)\nconst (\nC int = iota\n)\n"), []string{"its/a.go:10: doc"}},

		"unfinished":        {files{"Makefile": []byte("run:\n\t# " + mark("TO", "DO") + ": more\n")}, []string{"Makefile:2: unfinished"}},
		"part of a word":    {files{"a.md": []byte(mark("HA", "CK") + "NEY " + mark("XX", "XX") + "\n")}, nil},
		"machine path":      {files{"a.md": []byte("see " + mark("/wo", "rk/x") + "\n\"" + mark("/ro", "ot/y") + "\"\n")}, []string{"a.md:1: machine path", "a.md:2: machine path"}},
		"path of a project": {files{"a.md": []byte("its/" + mark("wo", "rk/x") + " https://x.org" + mark("/ho", "me/") + "\n")}, nil},
		"big file":          {files{"a.bin": make([]byte, maxFileSize+1)}, []string{"a.bin:1: size"}},
	} {
		t.Run(name, func(t *testing.T) {
			exports := map[string]string{}
			r, err := load(c.files, exports)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range r.check() {
				got = append(got, fmt.Sprintf("%s:%d: %s", v.path, v.line, v.rule))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
