package vmm

import (
	"embed"
	"fmt"

	"github.com/goccy/go-yaml"
)

// Costs are the instruction overheads of userspace, in cycles.
type Costs struct {
	Entry    uint32 // one ring entry: slot lookup, staging bit
	Word     uint32 // one bitmap word looked at
	CopyPage uint32 // read one 4 KiB frame and hand it to the transport
	Lock     uint32 // take or release the big lock without contention
	Kick     uint32 // signal one vCPU thread
}

//go:embed costs/*.yaml
var costFiles embed.FS

// LoadCosts returns the userspace costs that go with a built-in kernel profile.
func LoadCosts(profile string) (Costs, error) {
	file := "costs/" + profile + ".yaml"
	data, err := costFiles.ReadFile(file)
	if err != nil {
		return Costs{}, fmt.Errorf("vmm: no userspace costs for the profile %q", profile)
	}
	return ParseCosts(file, data)
}

// ParseCosts decodes a file of userspace costs strictly: an unknown key, a
// missing number or one without a source is an error that names the file.
func ParseCosts(file string, data []byte) (Costs, error) {
	var f struct {
		Name    string `yaml:"name"`
		Figures map[string]struct {
			Cycles *uint32 `yaml:"cycles"`
			Kind   string  `yaml:"kind"`
			Source string  `yaml:"source"`
		} `yaml:"figures"`
	}
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return Costs{}, fmt.Errorf("%s: %w", file, err)
	}
	var c Costs
	fields := []struct {
		name string
		to   *uint32
	}{{"entry", &c.Entry}, {"word", &c.Word}, {"copy_page", &c.CopyPage}, {"lock", &c.Lock}, {"kick", &c.Kick}}
	for _, field := range fields {
		fig, ok := f.Figures[field.name]
		switch {
		case !ok || fig.Cycles == nil:
			return Costs{}, fmt.Errorf("%s: the figure %s is missing", file, field.name)
		case fig.Source == "" || fig.Kind != "measured" && fig.Kind != "fit" && fig.Kind != "prediction":
			return Costs{}, fmt.Errorf("%s: %s needs a source and a kind: measured, fit or prediction", file, field.name)
		}
		*field.to = *fig.Cycles
	}
	if len(f.Figures) != len(fields) {
		return Costs{}, fmt.Errorf("%s: there are figures beside entry, word, copy_page, lock and kick", file)
	}
	return c, nil
}
