package cli

import (
	"github.com/spf13/cobra"
)

// groups order the commands by what one wants.
var groups = []*cobra.Group{
	{ID: "one", Title: "One run:"},
	{ID: "many", Title: "Many runs:"},
	{ID: "real", Title: "Beside real kernels and the architecture:"},
	{ID: "know", Title: "Get to know it:"},
}

// groupOf says where a command belongs; what is not here comes last.
var groupOf = map[string]string{
	"run": "one", "migrate": "one", "why": "one", "diff": "one", "inspect": "one",
	"sweep": "many", "experiment": "many", "store": "many", "export": "many", "report": "many", "bench": "many", "compare": "many",
	"perf-test": "real", "micro-bench": "real", "latency": "real", "conform": "real", "litmus": "real", "trace": "real",
	"init": "know", "list": "know", "help": "know", "version": "know",
}

// arrange puts every command into its group.
func arrange(root *cobra.Command) {
	root.AddGroup(groups...)
	root.SetHelpCommandGroupID("know")
	for _, c := range root.Commands() {
		c.GroupID = groupOf[c.Name()]
	}
	for _, topic := range topics {
		root.AddCommand(&cobra.Command{Use: topic.name, Short: topic.short, Long: topic.text})
	}
}

// topics are what `ringmap help` explains beside commands.
var topics = []struct{ name, short, text string }{
	{
		"start", "First steps: from nothing to an answer",
		`First steps

1. Run something, without a file:
     ringmap run --pattern zipf --mode ring+bitmap --ring 1024 --vcpus 4 --memory 256MiB
   The report says where the cycles went, whether a page was lost, and what rings,
   bitmaps, faults and the audit counted.

2. Change one thing and look again:
     ringmap run --pattern zipf --mode bitmap --vcpus 4 --memory 256MiB
   What can be changed: ringmap list keys, modes, patterns, policies, kernels.

3. Keep it in a file:
     ringmap init > my.yaml            every key with its default and its meaning
     ringmap run my.yaml --set tracking.ring=4096

4. Ask why:
     ringmap why --page 0x40123 my.yaml              the story of one guest page
     ringmap run my.yaml --pprof p && go tool pprof -top p     which path, which cause
     ringmap run my.yaml --perfetto t.json --window 0s..5ms    what happened when
     ringmap diff my.yaml --b kernel=6.12            where two runs part

5. Ask about many:
     ringmap sweep my.yaml --set tracking.ring=2^8..2^14
     ringmap bench > old.txt; ringmap bench --set host.costs.abort=103% > new.txt
     ringmap compare old.txt new.txt`,
	},
	{
		"status", "Exit statuses, and what goes to which output",
		`Exit statuses

  0  it worked, and the answer is yes: nothing differs, nothing was missed
  1  it worked, and the answer is no:
       compare    a simulated figure is worse than the thresholds allow
       diff       the two runs part
       conform    a recording of a real kernel is not reproduced
       perf-test  pages that were written were not collected
       run        pages were lost and the scenario says audit.on_loss: fail
       sweep      the same, at some point
  2  bad input, or output that cannot be written: one line says where and how to fix it

Standard output is the result alone: text, or with --json one JSON value. Progress,
wall time, warnings and errors go to standard error; progress only to a terminal.
Nothing is printed or left on disk before it is complete. NO_COLOR is respected.`,
	},
	{
		"exact", "What is exact, what is a prediction, what is noise",
		`What is exact

  Interfaces   order of checks, errno, layouts: equal to recordings of real kernels
               (ringmap conform)
  Counts       pushes, faults, pages, bits, exits, losses: exact for a given order of
               accesses
  Cycles       predictions from a cost profile, each number of which names its source
               (ringmap list profiles); ask "what if" with --set host.costs.NAME=…
  Wall time    of the simulator: noise. compare shows it and does not judge it

The same scenario and seed give the same bytes, on any machine and with any number of
workers. So a difference of simulated figures needs no statistics: it is one.`,
	},
}
