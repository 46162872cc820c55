package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"ringmap/bench/scenario"
	"ringmap/cpu/litmus"
)

// models are the names of --model, the default first.
var models = []string{litmus.Arm.String(), litmus.TSO.String(), litmus.SC.String()}

func litmusCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "litmus",
		Short: "What the Arm memory model allows small concurrent programs to do",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown("command", args[0], commandNames(cmd))
		},
	}
	cmd.AddCommand(exploreCommand(t), explainCommand(t), makeCommand(t))
	return cmd
}

func exploreCommand(t *terminal) *cobra.Command {
	var (
		model, check string
		bound        int
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "explore FILE|DIR...",
		Short: "Find every final state that a memory model allows for litmus tests",
		Long: `Find every final state that a memory model allows for litmus tests, in the
output format of herd7. Folders stand for the .litmus files below them.

Models: arm is Armv8-A (aarch64.cat of herdtools7); tso lets only a write be
overtaken by a later read, unless DMB SY, DSB SY or an atomic instruction is
between; sc interleaves the threads. Executions that jump back to the same
place more often than --bound are left out, which the output then says.

With --check, compare the states with those that an oracle has recorded, one
JSON object a line; a test that cannot be explored is refused, with the reason.
Exit status 1 if any differs.`,
		Example: `  ringmap litmus explore MP.litmus
  ringmap litmus explore --model tso SB.litmus
  ringmap litmus explore tests/ --check expected.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s needs at least one litmus test or folder; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&model, "model", models[0], "memory `MODEL` arm, tso or sc")
	cmd.Flags().IntVar(&bound, "bound", litmus.DefaultBound, "how often a thread may jump back to the same `PLACE`")
	cmd.Flags().StringVar(&check, "check", "", "compare with the expectations in `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		m := slices.Index(models, model)
		if m < 0 {
			return fmt.Errorf("--model %s: no such model; %s", model, scenario.DidYouMean(model, models))
		}
		if bound < 1 || bound > maxBound {
			return fmt.Errorf("--bound %d: must be 1 to %d", bound, maxBound)
		}
		e := &exploration{options: litmus.Options{Model: litmus.Model(m), Bound: bound}}
		if check != "" {
			if err := e.expect(check); err != nil {
				return err
			}
		}
		paths, err := litmusFiles(args)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := e.run(paths); err != nil {
			return err
		}
		if t.live {
			fmt.Fprintf(t.err, "%d tests in %.2f s\n", len(paths), time.Since(began).Seconds())
		}
		return e.print(t, asJSON)
	}
	return cmd
}

// maxBound is the largest loop bound: beyond it, no test has few enough paths.
const maxBound = 64

// litmusFiles returns the files named and those below the folders named.
func litmusFiles(args []string) (paths []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fileError(arg, err)
		}
		if !info.IsDir() {
			paths = append(paths, arg)
			continue
		}
		before := len(paths)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".litmus") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			return nil, fileError(arg, err)
		}
		if len(paths) == before {
			return nil, fmt.Errorf("%s: no .litmus file in this folder", arg)
		}
	}
	return paths, nil
}

// exploration explores tests, each on its own.
type exploration struct {
	options      litmus.Options
	expectations *litmus.Expectations // nil without --check
	results      []explored
}

// explored is what came of one test.
type explored struct {
	File        string              `json:"file"`
	Name        string              `json:"name,omitempty"`
	Status      string              `json:"status,omitempty"`
	Reason      string              `json:"reason,omitempty"`
	Verdict     string              `json:"verdict,omitempty"`
	Observation string              `json:"observation,omitempty"`
	Condition   string              `json:"condition,omitempty"`
	States      []map[string]string `json:"states,omitempty"`
	Positive    int                 `json:"positive"`
	Negative    int                 `json:"negative"`
	Bound       int                 `json:"bound"`
	Cut         bool                `json:"cut"`
	Differences []string            `json:"differences,omitempty"`
	text        string
	err         error
}

// Statuses of a test that was compared.
const (
	statusEqual      = "equal"
	statusDiffers    = "differs"
	statusRefused    = "refused"
	statusUnexpected = "no expectation"
)

func (e *exploration) expect(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer f.Close()
	e.expectations, err = litmus.ReadExpectations(path, f)
	return err
}

// run explores all tests, as many at once as the machine has processors. The
// order of results is that of the files. Without expectations, the first test
// that cannot be explored ends it.
func (e *exploration) run(paths []string) error {
	e.results = make([]explored, len(paths))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(paths)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(paths) {
					return
				}
				e.results[i] = e.one(paths[i])
			}
		})
	}
	wg.Wait()
	for i := range e.results {
		if r := &e.results[i]; r.err != nil && (e.expectations == nil || r.Status == "") {
			return r.err
		}
	}
	return nil
}

// one explores one file. An error without a status is the file system's.
func (e *exploration) one(path string) explored {
	out := explored{File: filepath.ToSlash(path)}
	text, err := readLitmus(path)
	if err != nil {
		out.err = err
		return out
	}
	refuse := func(err error) explored {
		out.Status, out.Reason, out.err = statusRefused, err.Error(), err
		return out
	}
	test, err := litmus.Parse(path, text)
	if err != nil {
		return refuse(err)
	}
	out.Name, out.Condition = test.Name, test.ConditionText()
	options := e.options
	var want *litmus.Expectation
	if e.expectations != nil {
		out.Status = statusUnexpected
		if want = e.expectations.Of(out.File, test.Name); want != nil {
			if options.Also, err = want.Also(test); err != nil {
				return refuse(err)
			}
		}
	}
	r, err := litmus.Explore(test, options)
	if err != nil {
		return refuse(err)
	}
	if want != nil {
		out.Status, out.Differences = statusEqual, want.Differences(r)
		if len(out.Differences) > 0 {
			out.Status = statusDiffers
		}
	}
	r = r.Shown()
	out.States, out.Positive, out.Negative = r.StateMaps(), r.Positive, r.Negative
	out.Verdict, out.Observation = r.VerdictText(), r.Observation.String()
	out.Bound, out.Cut = r.Bound, r.Cut
	out.text = r.Format()
	return out
}

// readLitmus reads a test, but no more than a test can have.
func readLitmus(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > litmus.MaxFile {
		return nil, fmt.Errorf("%s: %d bytes; a test may have %d", path, info.Size(), litmus.MaxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	return text, nil
}

// print writes what was found; errNo if anything differs.
func (e *exploration) print(t *terminal, asJSON bool) error {
	count := map[string]int{}
	for i := range e.results {
		count[e.results[i].Status]++
	}
	if asJSON {
		out := map[string]any{"model": e.options.Model.String(), "bound": e.options.Bound, "tests": e.results}
		if e.expectations != nil {
			out["equal"], out["differ"], out["refused"] = count[statusEqual], count[statusDiffers], count[statusRefused]
			out["without_expectation"] = count[statusUnexpected]
		}
		if err := printJSON(t, out); err != nil {
			return err
		}
	} else {
		e.printText(t, count)
	}
	if count[statusDiffers] > 0 {
		return errNo
	}
	return nil
}

func (e *exploration) printText(t *terminal, count map[string]int) {
	for i := range e.results {
		switch r := &e.results[i]; r.Status {
		case "":
			if i > 0 {
				fmt.Fprintln(t.out)
			}
			fmt.Fprint(t.out, r.text)
		case statusDiffers:
			fmt.Fprintf(t.out, "%s  %s: %s\n", t.style.red("differs"), r.File, strings.Join(r.Differences, "; "))
		case statusRefused:
			fmt.Fprintf(t.out, "%s  %s\n", t.style.bold("refused"), r.Reason)
		case statusUnexpected:
			fmt.Fprintf(t.out, "%s  %s\n", t.style.bold("no expectation"), r.File)
		}
	}
	if e.expectations != nil {
		fmt.Fprintf(t.out, "litmus: %d equal, %d differ, %d refused\n", count[statusEqual], count[statusDiffers], count[statusRefused])
	}
}
