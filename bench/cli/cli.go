// Package cli is the ringmap command: it parses arguments, calls bench, and
// prints.
//
//	stdout: the result alone (summary, or JSON with --json)
//	stderr: progress, wall time, simulation rate, errors
//	status: 0 ok; 1 the answer is no (conform differs, pages lost where the
//	        scenario says that this fails); 2 input or output that does not work;
//	        130 stopped by Ctrl-C
//
// Nothing is printed or left on disk before it is complete: results are built
// in memory, written beside their place and renamed.
package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ringmap/bench/scenario"
	"ringmap/bench/sweep"
)

// Exit statuses.
const (
	statusOK  = 0
	statusNo  = 1
	statusBad = 2

	statusInterrupted = 130 // by Ctrl-C, as shells say it
)

// errNo ends a command whose answer is no: everything worked and is printed.
var errNo = errors.New("the answer is no")

// Main runs the command with its arguments (without the program's name) and
// returns the exit status.
func Main(args []string, stdout, stderr *os.File) (status int) {
	defer func() { // our mistake, but one line like any other failure
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "ringmap: internal error: %s; please report it with the command and its files\n", oneLine(fmt.Sprint(r)))
			status = statusBad
		}
	}()
	out := &bytes.Buffer{}
	t := &terminal{out: out, raw: stdout, err: stderr, style: styleFor(stdout), live: isTerminal(stderr), rows: width(stdout)}
	err := execute(args, t)
	if err == nil || errors.Is(err, errNo) {
		if _, werr := stdout.Write(out.Bytes()); werr != nil {
			fmt.Fprintf(stderr, "ringmap: standard output: %s\n", reason(werr))
			return statusBad
		}
	}
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errNo):
		return statusNo
	}
	fmt.Fprintf(stderr, "ringmap: %s\n", oneLine(err.Error()))
	if errors.Is(err, sweep.ErrInterrupted) {
		return statusInterrupted
	}
	return statusBad
}

// execute runs the command tree; the profiles are for the makers of ringmap.
func execute(args []string, t *terminal) (err error) {
	root := newRoot(t)
	cpu := root.PersistentFlags().String("cpuprofile", "", "write a CPU profile of ringmap itself")
	mem := root.PersistentFlags().String("memprofile", "", "write a heap profile of ringmap itself")
	root.PersistentFlags().Lookup("cpuprofile").Hidden = true
	root.PersistentFlags().Lookup("memprofile").Hidden = true
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if *cpu == "" {
			return nil
		}
		f, err := os.Create(*cpu)
		if err != nil {
			return fileError(*cpu, err)
		}
		return pprof.StartCPUProfile(f)
	}
	root.SetArgs(args)
	root.SetOut(t.out)
	root.SetErr(t.err)
	err = root.Execute()
	pprof.StopCPUProfile()
	if *mem != "" {
		var b bytes.Buffer
		runtime.GC()
		if werr := errors.Join(pprof.WriteHeapProfile(&b), writeFile(*mem, b.Bytes())); werr != nil && err == nil {
			err = werr
		}
	}
	return err
}

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "ringmap",
		Short: "Who records each dirty page of an arm64 KVM guest, what it costs, and whether one is lost",
		Long: `ringmap simulates an arm64 KVM host cycle by cycle and answers one question:
when guest memory is written, by whom is the page recorded, what does recording
cost, and is anything lost?

New here? ` + "`ringmap help start`" + `. Exit status 0 yes, 1 no, 2 bad input: ` + "`ringmap help status`" + `.`,
		Example: `  ringmap run scenarios/linux-4vcpu.yaml
  ringmap run --pattern zipf --mode ring+bitmap --ring 4096 --vcpus 4 --memory 1GiB
  ringmap run scenarios/linux-4vcpu.yaml --set tracking.mode=ring --json
  ringmap why --page 0x40123 scenarios/linux-4vcpu.yaml
  ringmap init > my.yaml`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown("command", args[0], commandNames(cmd))
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		runCommand(t),
		migrateCommand(t),
		whyCommand(t),
		inspectCommand(t),
		sweepCommand(t),
		experimentCommand(t),
		storeCommand(t),
		exportCommand(t),
		reportCommand(t),
		benchCommand(t),
		compareCommand(t),
		microCommand(t),
		latencyCommand(t),
		perfTestCommand(t),
		diffCommand(t),
		conformCommand(t),
		litmusCommand(t),
		traceCommand(t),
		initCommand(t),
		listCommand(t),
		versionCommand(t),
	)
	root.SetHelpCommand(helpCommand(root))
	arrange(root)
	return root
}

// helpCommand is `ringmap help [command]`.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command|topic]",
		Short: "Explain a command or a topic: start, status, exact",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknown("command", rest[0], commandNames(cmd))
			}
			return cmd.Help()
		},
	}
}

// atLeast demands n arguments or more, named what.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return fmt.Errorf("%s needs %s; see `%s --help`", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// exactly demands n arguments, named what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return fmt.Errorf("%s needs %s; see `%s --help`", cmd.CommandPath(), what, cmd.CommandPath())
		case len(args) > n:
			return fmt.Errorf("%s: one argument too many: %q; see `%s --help`", cmd.CommandPath(), args[n], cmd.CommandPath())
		}
		return nil
	}
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

func unknown(what, word string, known []string) error {
	return fmt.Errorf("unknown %s %q; %s", what, word, scenario.DidYouMean(word, known))
}

// flagError adds to pflag's message what was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || len(missing.GetSpecifiedName()) < 2 {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	slices.Sort(known)
	return unknown("flag", "--"+missing.GetSpecifiedName(), known)
}

// fileError phrases an error of the file system with the file's name first.
func fileError(path string, err error) error {
	return fmt.Errorf("%s: %s", path, reason(err))
}

// reason strips the operation and path that os adds: the message names the file itself.
func reason(err error) string {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err.Error()
	case errors.As(err, &le):
		return le.Err.Error()
	}
	return err.Error()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func copyLines(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}
