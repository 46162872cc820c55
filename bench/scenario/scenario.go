// Package scenario reads the files that describe a run: which host, which VM,
// what its guest and its ITS do, how the VMM harvests, and when to stop.
//
//	file.yaml ──┐
//	--set a.b=c ┼─► decode (strict, positions kept) ─► Scenario ─► Check ─► Machine
//	--ring 4096 ┘                                        │        (derived values,
//	                                                     │         warnings)
//	ringmap init ◄── the same table of keys (keys.go) ───┘
//
// Nothing is ignored: an unknown key, a wrong unit or a machine that could not
// exist is an error with file, line and column, and with what to write instead.
// The limits are those of spec/kvm-dirty-tracking.md, sections 1 to 3, phrased
// for people.
package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Scenario is one run as its author wrote it, with defaults for what is left out.
type Scenario struct {
	Name       Text            `key:"name"`
	Seed       Count           `key:"seed"`
	Kernel     Name            `key:"kernel"`
	Hazards    map[string]Name `key:"hazards"`
	Host       Host            `key:"host"`
	CPU        CPU             `key:"cpu"`
	VM         VM              `key:"vm"`
	Tracking   Tracking        `key:"tracking"`
	Workload   Workload        `key:"workload"`
	ITS        ITS             `key:"its"`
	Outside    Outside         `key:"outside"`
	VMM        VMM             `key:"vmm"`
	Checkpoint Checkpoint      `key:"checkpoint"`
	Migrate    Migrate         `key:"migrate"`
	Run        Run             `key:"run"`
	Audit      Audit           `key:"audit"`

	dir   string // what relative paths start from
	where map[string]Pos
}

// Host is the simulated machine.
type Host struct {
	Page      Size            `key:"page"`
	Clock     OptFreq         `key:"clock"`
	Profile   Name            `key:"profile"`
	Costs     map[string]Name `key:"costs"`
	Quantum   Time            `key:"quantum"`
	Cores     OptCount        `key:"cores"`
	Pinned    Switch          `key:"pinned"`
	Timeslice Time            `key:"timeslice"`
	MMULock   Name            `key:"mmu_lock"`
	RelaxTLBI Name            `key:"relax_tlbi"`
	Reset     Name            `key:"reset"`
}

// VM is what the VMM creates.
type VM struct {
	VCPUs     OptCount `key:"vcpus"`
	Memory    OptSize  `key:"memory"`
	Base      Addr     `key:"base"`
	IPABits   OptCount `key:"ipa_bits"`
	Backing   Name     `key:"backing"`
	Populated Switch   `key:"populated"`
	Mapped    Switch   `key:"mapped"`
	Slots     []Slot   `key:"slots"`
}

// Slot is one memslot of an explicit layout.
type Slot struct {
	Base      Addr   `key:"base"`
	Size      Size   `key:"size"`
	Backing   Name   `key:"backing"`
	Populated Switch `key:"populated"`
}

func (s *Slot) defaults() { *s = Slot{Backing: "4k", Populated: true} }

// Tracking is how writes are recorded.
type Tracking struct {
	Mode          Name   `key:"mode"`
	Ring          Count  `key:"ring"`
	ManualProtect Name   `key:"manual_protect"`
	EagerSplit    Size   `key:"eager_split"`
	StolenTime    Switch `key:"stolen_time"`

	RingSizes Name     `key:"ring_sizes"`
	RingMax   OptCount `key:"ring_max"`
	Reserve   Count    `key:"reserve"`
	Layout    Name     `key:"layout"`
	Entry     Name     `key:"entry"`
	Huge      Name     `key:"huge"`
	Overflow  Name     `key:"overflow"`
	VMRing    OptCount `key:"vm_ring"`
	Kick      Name     `key:"kick"`
	Detect    Name     `key:"detect"`
}

// Workload is what the guest does: a program, a trace, or else a pattern.
type Workload struct {
	Pattern Name            `key:"pattern"`
	Trace   Text            `key:"trace"`
	ELF     Text            `key:"elf"`
	Raw     Text            `key:"raw"`
	Append  Text            `key:"append"`
	Initrd  Text            `key:"initrd"`
	Input   Text            `key:"input"`
	InputAt Name            `key:"input_at"`
	Memory  OptSize         `key:"memory"`
	Params  map[string]Name `key:"*"` // parameters of the pattern or trace, by name
}

// ITS is the interrupt side: devices that signal MSIs, and when tables are saved.
type ITS struct {
	Devices Count  `key:"devices"`
	Events  Count  `key:"events"`
	MSIRate Count  `key:"msi_rate"`
	Busy    Count  `key:"busy"`
	Storm   Count  `key:"storm"`
	Every   Time   `key:"storm_every"`
	Moves   Count  `key:"move_rate"`
	Churn   Count  `key:"churn_rate"`
	Cache   Count  `key:"cache"`
	Unmap   Switch `key:"unmap"`
	Save    Saves  `key:"save"`
}

// Outside is guest memory written by the kernel with no vCPU running.
type Outside struct {
	Rate    Count   `key:"rate"`
	Memory  OptSize `key:"memory"`
	Pattern Name    `key:"pattern"`
	Bytes   Count   `key:"bytes"`
	Paused  Time    `key:"paused"`
}

// VMM is the harvesting userspace.
type VMM struct {
	Harvest  Name    `key:"harvest"`
	Interval OptTime `key:"interval"`
	Clear    Name    `key:"clear"`
	Collect  Name    `key:"collect"`
	Edits    Count   `key:"edits"`
	Mistake  Name    `key:"mistake"`
}

// Run is when the run ends.
type Run struct {
	Until           Until `key:"until"`
	MaxInstructions Count `key:"max_instructions"`
	MaxCycles       Count `key:"max_cycles"`
	Series          Time  `key:"series"`
}

// Audit is the independent check.
type Audit struct {
	List   Count `key:"list"`
	OnLoss Name  `key:"on_loss"`
}

// Load reads and decodes a scenario file. Relative paths in it start from its
// folder.
func Load(path string) (*Scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, openProblem(path, err)
	}
	return Parse(path, text)
}

// Parse decodes the text of a scenario; file is its name in messages.
func Parse(file string, text []byte) (*Scenario, error) {
	s := Default()
	s.setDir(file)
	d := decoder{file: file, where: s.where}
	if err := d.decode(text, s); err != nil {
		return nil, err
	}
	return s, nil
}

// setDir makes relative paths start from the file's folder.
func (s *Scenario) setDir(file string) { s.dir = filepath.Dir(file) }

// Set applies one "a.b=c" through the same decoder; origin is how the user
// wrote it, such as "--set a.b=c", and stands for the file in messages.
func (s *Scenario) Set(origin, assignment string) error { return s.set(origin, assignment, nil) }

func (s *Scenario) set(origin, assignment string, a *axes) error {
	path, text, ok := strings.Cut(assignment, "=")
	if !ok {
		return &Problem{Pos{File: origin}, "no = in it", "write a key and its value, such as --set tracking.ring=4096"}
	}
	d := decoder{file: origin, arg: true, where: s.where, axes: a}
	return d.assign(strings.TrimSpace(path), strings.TrimSpace(text), s)
}

// Problem is an error about the value at a dotted key, placed where the author
// wrote it.
func (s *Scenario) Problem(key, fix, format string, args ...any) *Problem {
	return &Problem{s.At(key), key + ": " + fmt.Sprintf(format, args...), fix}
}

// At is where the value of a key, or the nearest section around it, was written.
func (s *Scenario) At(key string) Pos {
	for {
		if p, ok := s.where[key]; ok {
			return p
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return s.where[""]
		}
		key = key[:i]
	}
}

// Given reports whether the author wrote this key himself.
func (s *Scenario) Given(key string) bool {
	_, ok := s.where[key]
	return ok
}

// Path resolves a file name of the scenario, which starts from the scenario's folder
// unless it was given on the command line.
func (s *Scenario) Path(key string, name Text) string {
	if filepath.IsAbs(string(name)) || s.At(key).Line == 0 {
		return string(name)
	}
	return filepath.Join(s.dir, string(name))
}

func openProblem(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	fix := ""
	if errors.Is(err, fs.ErrNotExist) {
		fix = "`ringmap init` writes a scenario to start from"
	}
	return &Problem{Pos{File: path}, "cannot read the scenario: " + err.Error(), fix}
}
