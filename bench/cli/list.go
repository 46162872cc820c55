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
	{"policies", "every design axis: recording, kicks, harvest, ring layout, …", listPolicies},
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
		wide := 14
		for _, p := range i.Params {
			wide = max(wide, min(len(p.Name), 24))
		}
		for _, p := range i.Params {
			entry(t, "    ", p.Name, wide, p.Text+facts(p))
			for _, q := range p.Params {
				entry(t, "        ", q.Name, 17, q.Text+facts(q))
			}
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
	var items []item
	for i, p := range kvmcore.Policies() {
		it := choiceItem(p.Choice)
		if i == 0 {
			it.Note = "default"
		}
		items = append(items, it)
	}
	return append(items, item{Name: "off", Text: "nothing is recorded: the baseline of guest.slowdown"}), nil
}

// choiceItem shows a choice of a design axis with the keys that go with it.
func choiceItem(c kvmcore.Choice) item {
	it := item{Name: c.Name, Text: c.Desc, Source: c.Source}
	for _, p := range c.Params {
		it.Params = append(it.Params, item{Name: p.Key, Default: p.Default, Text: p.Doc})
	}
	return it
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

// listPolicies shows every design axis by its key, and below it the choices.
func listPolicies() ([]item, error) {
	modes, err := listModes()
	if err != nil {
		return nil, err
	}
	var harvest []item
	for _, p := range vmm.Policies() {
		it := item{Name: p.Name, Text: p.Desc, Source: p.Source, Note: "vmm.interval never unless set"}
		if p.PeriodNS != 0 {
			it.Note = "vmm.interval " + scenario.Time{Picos: p.PeriodNS * 1000}.String() + " unless set"
		}
		harvest = append(harvest, it)
	}
	two := func(list ...string) (out []item) {
		for i := 0; i < len(list); i += 2 {
			out = append(out, item{Name: list[i], Text: list[i+1]})
		}
		return out
	}
	defaults := scenario.DefaultTexts()
	axes := []item{
		{Name: "tracking.mode", Text: "where a write is recorded", Params: modes},
		{Name: "tracking.kick", Text: "who leaves KVM_RUN when the VM's ring is nearly full (modes vmring, vmring-1)", Params: choices(kvmcore.Kicks(), func(k *kvmcore.Kick) kvmcore.Choice { return k.Choice })},
		{Name: "vmm.harvest", Text: "who drains a full ring", Params: harvest},
		{Name: "tracking.layout", Text: "how kernel and userspace share a ring", Params: choices(kvmcore.Layouts(), func(l *kvmcore.Layout) kvmcore.Choice { return l.Choice })},
		{Name: "tracking.entry", Text: "what a ring entry says", Params: two("page", "one page, as Linux", "sized", "how many pages as well")},
		{Name: "tracking.huge", Text: "what becomes of a huge page that is logged", Params: two("split", "pages, when written or by tracking.eager_split, as Linux", "block", "it stays one and is recorded whole; with rings this needs entry: sized")},
		{Name: "tracking.ring_sizes", Text: "which numbers of entries a ring may have", Params: two("power-of-two", "as Linux", "any", "indices wrap by comparing")},
		{Name: "tracking.ring_max", Text: "up to how many entries a ring doubles when it was full, its vCPU alive; auto = it never grows, as Linux"},
		{Name: "tracking.reserve", Text: "entries left in a ring when its vCPU must exit, 0 to 4096"},
		{Name: "tracking.detect", Text: "when the kernel notices rings without bitmap beside an ITS", Params: choices(kvmcore.Detects(), same)},
		{Name: "host.mmu_lock", Text: "how faults take the kernel's MMU lock", Params: choices(kvmcore.MMULockModes(), same)},
		{Name: "host.relax_tlbi", Text: "how relaxing a permission invalidates TLBs", Params: choices(kvmcore.RelaxTLBIModes(), same)},
		{Name: "host.reset", Text: "what ends a ring reset early", Params: choices(kvmcore.ResetModes(), same)},
	}
	for i := range axes {
		axes[i].Default = defaults[axes[i].Name]
	}
	return axes, nil
}

func same(c kvmcore.Choice) kvmcore.Choice { return c }

// choices shows the choices of an axis.
func choices[T any](list []T, choice func(T) kvmcore.Choice) (items []item) {
	for _, c := range list {
		items = append(items, choiceItem(choice(c)))
	}
	return items
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
		if h.Name != "its.dangling_next" && h.Name != "its.movall_all" { // no page and no interrupt is lost by them
			where += "; see scenarios/hazards/" + h.Name + ".yaml and its -fixed twin"
		}
		items = append(items, item{Name: h.Name, Text: h.Description, Note: strings.TrimPrefix(strings.TrimPrefix(where, ", "), "; "), Source: "fixed: " + h.Fix + " — " + h.Source})
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
