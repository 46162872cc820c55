package kvmcore

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"ringmap/cpu"
)

// Profile holds what software and hardware of a host cost, in cycles of its
// clock. Only overhead of instructions is typed in; how often which memory is
// touched comes out of the model. Every number names its source.
type Profile struct {
	Name string
	Text string // what machine this is
	Hz   uint64

	Costs cpu.Costs // of micro-ops

	Exit, Enter  uint64 // world switch out of and into the guest
	Hypercall    uint64 // handling an HVC
	Abort        uint64 // decoding a stage-2 abort, finding the memslot
	MMIOKernel   uint64 // an access that the interrupt controller takes
	MMIOUser     uint64 // an access that userspace will emulate
	RunLeave     uint64 // KVM_RUN back to userspace
	RunEnter     uint64 // KVM_RUN from userspace
	HostPage     uint64 // finding the host page behind a guest page
	SetBit       uint64 // recording in a bitmap
	Push         uint64 // recording in a ring
	Wrap         uint64 // an index that wraps by comparing, above one that is masked
	UserCopy     uint64 // one access to userspace's memory with its checks
	Kick         uint64 // an interrupt for another core
	Switch       uint64 // a core changes over to another thread
	Steal        uint64 // the stolen-time update
	Ioctl        uint64 // any other system call
	ResetEntry   uint64 // an entry of a reset
	ResetBatch   uint64 // a re-protect call of a reset
	ProtectPage  uint64 // a page entry that loses write permission
	ProtectBlock uint64 // a block entry that does
	ScanWord     uint64 // looking at a bitmap word
	CopyWord     uint64 // copying one to or from userspace
	ITSCommand   uint64 // a command of the ITS queue
	TableEntry   uint64 // an entry of an ITS table, saved or scanned
	LPIVisit     uint64 // an LPI on the way through all of them
	MSI          uint64 // an MSI whose translation is cached
	MSITranslate uint64 // what one costs more whose translation is not
	SGI          uint64 // a write of an SGI register
	SGITarget    uint64 // queueing the interrupt for one of its targets
	IPI          uint64 // from there until it arrives
	IRQ          uint64 // the host's handling of an interrupt that took a guest's core
	Wake         uint64 // from the wake-up of a waiting vCPU until it is about to enter
	ListRegister uint64 // filling a list register and reading it back
	ICV          uint64 // a guest's access to its CPU interface, beyond one cycle

	figures []Figure
	rows    []Row
}

// Figure is one number of a profile.
type Figure struct {
	Name   string
	Cycles uint64
	Kind   string // measured, fit or prediction
	Fit    bool   // Kind is fit
	Source string
}

// Row is a published measurement that the model must reproduce.
type Row struct {
	Name   string
	Cycles uint64
	Source string
}

// field is a place in a profile by the name it has in the file.
type field struct {
	name   string
	narrow func(*Profile) *uint32 // costs of micro-ops
	wide   func(*Profile) *uint64 // costs of paths
}

var profileFields = []field{
	{name: "load", narrow: func(p *Profile) *uint32 { return &p.Costs.Load }},
	{name: "store", narrow: func(p *Profile) *uint32 { return &p.Costs.Store }},
	{name: "rmw", narrow: func(p *Profile) *uint32 { return &p.Costs.RMW }},
	{name: "barrier", narrow: func(p *Profile) *uint32 { return &p.Costs.Barrier }},
	{name: "tlbi_local", narrow: func(p *Profile) *uint32 { return &p.Costs.TLBILocal }},
	{name: "tlbi_broadcast", narrow: func(p *Profile) *uint32 { return &p.Costs.TLBIBroadcast }},
	{name: "tlbi_shared", narrow: func(p *Profile) *uint32 { return &p.Costs.TLBIShared }},
	{name: "walk_level", narrow: func(p *Profile) *uint32 { return &p.Costs.WalkLevel }},
	{name: "tlb_hit2", narrow: func(p *Profile) *uint32 { return &p.Costs.TLBHit2 }},
	{name: "exit", wide: func(p *Profile) *uint64 { return &p.Exit }},
	{name: "enter", wide: func(p *Profile) *uint64 { return &p.Enter }},
	{name: "hypercall", wide: func(p *Profile) *uint64 { return &p.Hypercall }},
	{name: "abort", wide: func(p *Profile) *uint64 { return &p.Abort }},
	{name: "mmio_kernel", wide: func(p *Profile) *uint64 { return &p.MMIOKernel }},
	{name: "mmio_user", wide: func(p *Profile) *uint64 { return &p.MMIOUser }},
	{name: "run_leave", wide: func(p *Profile) *uint64 { return &p.RunLeave }},
	{name: "run_enter", wide: func(p *Profile) *uint64 { return &p.RunEnter }},
	{name: "host_page", wide: func(p *Profile) *uint64 { return &p.HostPage }},
	{name: "set_bit", wide: func(p *Profile) *uint64 { return &p.SetBit }},
	{name: "push", wide: func(p *Profile) *uint64 { return &p.Push }},
	{name: "wrap", wide: func(p *Profile) *uint64 { return &p.Wrap }},
	{name: "user_copy", wide: func(p *Profile) *uint64 { return &p.UserCopy }},
	{name: "kick", wide: func(p *Profile) *uint64 { return &p.Kick }},
	{name: "context_switch", wide: func(p *Profile) *uint64 { return &p.Switch }},
	{name: "steal", wide: func(p *Profile) *uint64 { return &p.Steal }},
	{name: "ioctl", wide: func(p *Profile) *uint64 { return &p.Ioctl }},
	{name: "reset_entry", wide: func(p *Profile) *uint64 { return &p.ResetEntry }},
	{name: "reset_batch", wide: func(p *Profile) *uint64 { return &p.ResetBatch }},
	{name: "protect_page", wide: func(p *Profile) *uint64 { return &p.ProtectPage }},
	{name: "protect_block", wide: func(p *Profile) *uint64 { return &p.ProtectBlock }},
	{name: "scan_word", wide: func(p *Profile) *uint64 { return &p.ScanWord }},
	{name: "copy_word", wide: func(p *Profile) *uint64 { return &p.CopyWord }},
	{name: "its_command", wide: func(p *Profile) *uint64 { return &p.ITSCommand }},
	{name: "table_entry", wide: func(p *Profile) *uint64 { return &p.TableEntry }},
	{name: "lpi_visit", wide: func(p *Profile) *uint64 { return &p.LPIVisit }},
	{name: "msi", wide: func(p *Profile) *uint64 { return &p.MSI }},
	{name: "sgi", wide: func(p *Profile) *uint64 { return &p.SGI }},
	{name: "sgi_target", wide: func(p *Profile) *uint64 { return &p.SGITarget }},
	{name: "ipi", wide: func(p *Profile) *uint64 { return &p.IPI }},
	{name: "irq", wide: func(p *Profile) *uint64 { return &p.IRQ }},
	{name: "wake", wide: func(p *Profile) *uint64 { return &p.Wake }},
	{name: "list_register", wide: func(p *Profile) *uint64 { return &p.ListRegister }},
	{name: "icv", wide: func(p *Profile) *uint64 { return &p.ICV }},
	{name: "msi_translate", wide: func(p *Profile) *uint64 { return &p.MSITranslate }},
}

//go:embed profiles/*.yaml
var profileFiles embed.FS

// Profiles lists the built-in profiles by name.
func Profiles() []string {
	entries, _ := profileFiles.ReadDir("profiles") // embedded: it exists
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// loaded holds the built-in profiles that were parsed once: a sweep needs the same one at
// each of its points.
var loaded sync.Map // *Profile by name

// LoadProfile returns a built-in profile, which is the caller's to change.
func LoadProfile(name string) (*Profile, error) {
	if p, ok := loaded.Load(name); ok {
		return p.(*Profile).clone(), nil
	}
	file := path.Join("profiles", name+".yaml")
	data, err := profileFiles.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("unknown cost profile %q: it is one of %s", name, strings.Join(Profiles(), ", "))
	}
	p, err := ParseProfile(file, data)
	if err != nil {
		return nil, err
	}
	loaded.Store(name, p)
	return p.clone(), nil
}

// clone copies what Set can change.
func (p *Profile) clone() *Profile {
	c := *p
	c.figures = slices.Clone(p.figures)
	return &c
}

// profileFile is the file's shape.
type profileFile struct {
	Name    string                `yaml:"name"`
	Text    string                `yaml:"text"`
	Hz      uint64                `yaml:"hz"`
	Figures map[string]figureFile `yaml:"figures"`
	Rows    map[string]rowFile    `yaml:"rows"`
}

type figureFile struct {
	Cycles *uint64 `yaml:"cycles"`
	Kind   string  `yaml:"kind"`
	Source string  `yaml:"source"`
}

type rowFile struct {
	Cycles uint64 `yaml:"cycles"`
	Source string `yaml:"source"`
}

// ParseProfile decodes a profile strictly: an unknown key, a missing number or
// one without a source is an error that names the file and the line.
func ParseProfile(file string, data []byte) (*Profile, error) {
	var f profileFile
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	at := func(key, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", file, lineOf(data, key), fmt.Sprintf(format, args...))
	}
	if f.Name == "" || f.Hz == 0 {
		return nil, at("name", "a profile needs a name and a clock (hz)")
	}
	p := &Profile{Name: f.Name, Text: f.Text, Hz: f.Hz}
	for _, field := range profileFields {
		fig, ok := f.Figures[field.name]
		delete(f.Figures, field.name)
		switch {
		case !ok:
			return nil, at("figures", "the figure %s is missing", field.name)
		case fig.Cycles == nil || *fig.Cycles > MaxFigure:
			return nil, at(field.name, "%s needs cycles from 0 to %d", field.name, MaxFigure)
		case fig.Source == "":
			return nil, at(field.name, "%s does not say its source", field.name)
		case fig.Kind != "measured" && fig.Kind != "fit" && fig.Kind != "prediction":
			return nil, at(field.name, "%s is of kind %q: use measured, fit or prediction", field.name, fig.Kind)
		}
		if field.narrow != nil {
			*field.narrow(p) = uint32(*fig.Cycles)
		} else {
			*field.wide(p) = *fig.Cycles
		}
		p.figures = append(p.figures, Figure{field.name, *fig.Cycles, fig.Kind, fig.Kind == "fit", fig.Source})
	}
	for _, name := range sortedKeys(f.Figures) {
		return nil, at(name, "unknown figure %s", name)
	}
	for _, name := range sortedKeys(f.Rows) {
		if f.Rows[name].Source == "" {
			return nil, at(name, "row %s does not say its source", name)
		}
		p.rows = append(p.rows, Row{name, f.Rows[name].Cycles, f.Rows[name].Source})
	}
	return p, nil
}

// MaxFigure bounds a cost in cycles: a millisecond at 1 GHz is no instruction overhead.
const MaxFigure = 1_000_000

// lineOf is the line on which a key stands, 1 if it is nowhere.
func lineOf(data []byte, key string) int {
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), key+":") {
			return i + 1
		}
	}
	return 1
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// Names lists the figures by the names that they have in the file.
func (p *Profile) Names() []string {
	var names []string
	for _, f := range profileFields {
		names = append(names, f.name)
	}
	return names
}

// Figure returns the cycles of a figure, false if no figure has that name.
func (p *Profile) Figure(name string) (cycles uint64, ok bool) {
	for _, f := range profileFields {
		switch {
		case f.name != name:
		case f.narrow != nil:
			return uint64(*f.narrow(p)), true
		default:
			return *f.wide(p), true
		}
	}
	return 0, false
}

// Set changes a figure to cycles, at most MaxFigure: from then on a prediction
// of that source. A name that there is not changes nothing.
func (p *Profile) Set(name string, cycles uint64, source string) {
	for _, f := range profileFields {
		switch {
		case f.name != name:
			continue
		case f.narrow != nil:
			*f.narrow(p) = uint32(cycles)
		default:
			*f.wide(p) = cycles
		}
		for i := range p.figures {
			if p.figures[i].Name == name {
				p.figures[i] = Figure{name, cycles, "prediction", false, source}
			}
		}
	}
}

// Figures returns every number of the profile: what is measured, fitted or
// predicted, and from what.
func (p *Profile) Figures() []Figure { return p.figures }

// Rows returns the measurements that the model is checked against, by name.
func (p *Profile) Rows() []Row { return p.rows }
