package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ringmap/bench"
	"ringmap/bench/scenario"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/sim"
	"ringmap/workloads"
)

// item is one line of a listing.
type item struct {
	Name    string `json:"name"`
	Unit    string `json:"unit,omitempty"`
	Default string `json:"default,omitempty"`
	Range   string `json:"range,omitempty"`
	Text    string `json:"description"`
	Note    string `json:"note,omitempty"`
	Source  string `json:"source,omitempty"`
	Params  []item `json:"parameters,omitempty"`
}

// lists are what `ringmap list` knows.
var lists = []struct {
	name, short string
	items       func() ([]item, error)
}{
	{"modes", "how the kernel records writes", listModes},
	{"patterns", "what a guest can do, with parameters", listPatterns},
	{"policies", "how the VMM harvests", listPolicies},
	{"kernels", "which kernels are modelled", listKernels},
	{"hazards", "where real kernels lose records", listHazards},
	{"profiles", "where costs come from", listProfiles},
	{"stats", "every statistic of a record, with its unit", listStats},
	{"keys", "every key of a scenario, with its default", listKeys},
}

func listCommand(t *terminal) *cobra.Command {
	var names []string
	var long strings.Builder
	long.WriteString("List what can be named in a scenario or found in a record:\n")
	for _, l := range lists {
		names = append(names, l.name)
		fmt.Fprintf(&long, "\n  %-9s %s", l.name, l.short)
	}
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list " + strings.Join(names, "|"),
		Short:   "List modes, patterns, policies, kernels, hazards, profiles, statistics or keys",
		Long:    long.String(),
		Example: "  ringmap list patterns\n  ringmap list stats --json",
		Args:    exactly(1, "one of "+strings.Join(names, ", ")),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		for _, l := range lists {
			if l.name != args[0] {
				continue
			}
			items, err := l.items()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(t, items)
			}
			printItems(t, items)
			return nil
		}
		return unknown("list", args[0], names)
	}
	return cmd
}

func printItems(t *terminal, items []item) {
	wide := 0
	for _, i := range items {
		wide = max(wide, min(len(i.Name), 32))
	}
	for _, i := range items {
		entry(t, "", i.Name, wide, i.Text+facts(i))
		for _, p := range i.Params {
			entry(t, "    ", p.Name, 14, p.Text+facts(p))
		}
		if i.Source != "" {
			for _, line := range wrap(i.Source, t.rows-4) {
				fmt.Fprintf(t.out, "    %s\n", t.style.faint(line))
			}
		}
	}
}

// entry prints a name and its explanation, which goes on below itself.
func entry(t *terminal, indent, name string, wide int, text string) {
	left := indent + name + strings.Repeat(" ", max(wide-len(name), 0)) + "  "
	lines := wrap(text, max(t.rows-len(indent)-wide-2, 30))
	fmt.Fprintf(t.out, "%s%s%s\n", indent+t.style.bold(name), left[len(indent)+len(name):], lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(t.out, "%s%s\n", strings.Repeat(" ", len(indent)+wide+2), strings.TrimSpace(line))
	}
}

// facts appends unit, range and default.
func facts(i item) string {
	var words []string
	if i.Unit != "" {
		words = append(words, i.Unit)
	}
	if i.Range != "" {
		words = append(words, i.Range)
	}
	if i.Default != "" {
		words = append(words, "default "+i.Default)
	}
	if i.Note != "" {
		words = append(words, i.Note)
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, "; ") + ")"
}

func listModes() ([]item, error) {
	return []item{
		{Name: "ring+bitmap", Text: "each vCPU records into its ring; writes without a vCPU go to the memslot's bitmap, collected last", Note: "default"},
		{Name: "ring", Text: "rings alone: what is written without a vCPU is recorded nowhere"},
		{Name: "bitmap", Text: "one bitmap a memslot for all writers; KVM_GET_DIRTY_LOG copies and clears it (vmm.clear: manual adds KVM_CLEAR_DIRTY_LOG)"},
		{Name: "off", Text: "nothing is recorded: the baseline of guest.slowdown"},
	}, nil
}

func listPatterns() ([]item, error) {
	params := func(list []workloads.Param) (out []item) {
		for _, p := range list {
			out = append(out, item{Name: p.Name, Unit: p.Unit, Default: p.Default, Range: p.Range(), Text: p.Doc})
		}
		return out
	}
	var items []item
	for _, p := range workloads.Patterns() {
		items = append(items, item{Name: p.Name, Text: p.Doc, Params: params(p.Params)})
	}
	return append(items, item{Name: "(every pattern)", Text: "also takes", Params: params(workloads.CommonParams())}), nil
}

func listPolicies() ([]item, error) {
	var items []item
	for i, p := range vmm.Policies() {
		it := item{Name: p.Name, Text: p.Desc, Source: p.Source, Note: "vmm.interval never unless set"}
		if p.PeriodNS != 0 {
			it.Note = "vmm.interval " + scenario.Time{Picos: p.PeriodNS * 1000}.String() + " unless set"
		}
		if i == 0 {
			it.Note = "default; " + it.Note
		}
		items = append(items, it)
	}
	return items, nil
}

func listKernels() ([]item, error) {
	texts := map[string]string{
		"7.2":       "Linux 7.2, as recorded: the reference",
		"6.12":      "Linux 6.12, as recorded",
		"7.2+fixed": "Linux 7.2 with every known hazard repaired",
	}
	var items []item
	for _, k := range kvmcore.Kernels {
		items = append(items, item{Name: k, Text: texts[k]})
	}
	items[0].Note = "default"
	return items, nil
}

func listHazards() ([]item, error) {
	var items []item
	for _, h := range kvmcore.AllHazards() {
		where := ""
		for _, name := range kvmcore.Kernels[:2] {
			if k, err := kvmcore.ParseKernel(name); err == nil && h.In(k.Version) {
				where += ", real in " + name
			}
		}
		items = append(items, item{Name: h.Name, Text: h.Description, Note: strings.TrimPrefix(where, ", "), Source: "fixed: " + h.Fix + " — " + h.Source})
	}
	return append(items, item{Name: "drop_every", Unit: "records", Default: "0", Text: "drop each Nth record on purpose, to see the audit find the page"}), nil
}

func listProfiles() ([]item, error) {
	var items []item
	for _, name := range kvmcore.Profiles() {
		p, err := kvmcore.LoadProfile(name)
		if err != nil {
			return nil, err
		}
		it := item{Name: name, Text: fmt.Sprintf("%s, clock %s", p.Name, scenario.Freq(p.Hz)), Note: "figures, for host.costs"}
		for _, f := range p.Figures() {
			it.Params = append(it.Params, item{Name: f.Name, Unit: "cycles", Default: fmt.Sprint(f.Cycles), Text: f.Kind + ": " + f.Source})
		}
		items = append(items, it)
	}
	return items, nil
}

func listStats() ([]item, error) {
	stats, err := bench.Statistics()
	if err != nil {
		return nil, err
	}
	var items []item
	for _, s := range stats {
		name := strings.Replace(s.Name, "vcpu.0.", "vcpu.<n>.", 1)
		items = append(items, item{Name: name, Unit: s.Unit, Text: s.Desc, Note: kindNotes[s.Kind]})
	}
	return items, nil
}

// kindNotes says what the record holds beside the value of that name.
var kindNotes = map[sim.Kind]string{
	sim.KindLevel:     "mean over time; .max beside it",
	sim.KindHistogram: "mean; .count .p50 .p99 .max beside it",
}

func listKeys() ([]item, error) {
	defaults := scenario.DefaultTexts()
	var items []item
	for _, k := range scenario.Keys {
		items = append(items, item{Name: k.Path, Default: defaults[k.Path], Text: strings.ReplaceAll(k.Doc, "\n", " ")})
	}
	return items, nil
}
