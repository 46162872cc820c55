package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"ringmap/bench/scenario"
	"ringmap/cpu/exec"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/workloads"
	"ringmap/workloads/guests"
)

// program is what lies in guest memory before the first KVM_RUN.
type program struct {
	*workloads.Image
	input  []byte // typed at its console
	tree   uint64 // where its device tree lies
	digest string // of the files it was made from
}

// loadProgram puts a program, its initrd and its device tree into guest memory.
func (m *machine) loadProgram(s *scenario.Scenario) error {
	p, err := openProgram(s, m.plan)
	if err != nil {
		return err
	}
	m.input.Text = p.input
	for _, seg := range p.Segments { // all in the first slot
		hva := m.vm.Slots.All()[0].HVA + mmu.HVA(seg.Addr-m.plan.Slots[0].Base)
		if errno := m.host.Memory.Write(hva, seg.Data, mmu.WriterImage); errno != kvmcore.OK {
			return programProblem(s, fmt.Errorf("%d bytes at %#x: %v", len(seg.Data), seg.Addr, errno))
		}
	}
	return m.setUpProgram(s, m.vm, p.Entry, p.tree)
}

// setUpProgram makes a VM one that executes machine code from entry on.
func (m *machine) setUpProgram(s *scenario.Scenario, vm *kvmcore.VM, entry, tree uint64) error {
	if err := m.plan.Board.CreateGIC(vm); err != nil {
		return s.Problem("vm.vcpus", "", "%v", err)
	}
	vm.LoadA64(entry, tree, uint64(m.plan.Clock))
	setProgram(&vm.Program, m.plan, s)
	vm.Program.Devices = m.plan.ITS.MSIGap != 0 && m.plan.ITS.Devices != 0
	return nil
}

// openProgram opens the scenario's program, places what it is booted with, and
// checks that all fits.
func openProgram(s *scenario.Scenario, plan *scenario.Plan) (*program, error) {
	ram := plan.Slots[0]
	size := ram.Size - plan.Reserved
	p, err := &program{}, error(nil)
	if name, builtin := strings.CutPrefix(string(s.Workload.ELF), "builtin:"); builtin {
		data, ok := guests.Program(name)
		if !ok {
			return nil, s.Problem("workload.elf", scenario.DidYouMean(name, guests.Programs()), "no program %q ships", name)
		}
		p.Image, err = workloads.ParseELF(data)
	} else if s.Workload.ELF != "" {
		p.Image, err = workloads.OpenELF(s.Path("workload.elf", s.Workload.ELF))
	} else {
		p.Image, err = workloads.OpenRaw(s.Path("workload.raw", s.Workload.Raw), ram.Base)
	}
	if err == nil {
		p.digest = fmt.Sprintf("%016x", p.Hash)
		err = p.Fit(ram.Base, size)
	}
	if err != nil {
		return nil, programProblem(s, err)
	}
	at := bootDataAt(p.End(), ram.Base, size)
	boot := vmm.Boot{Args: string(s.Workload.Append)}
	if s.Workload.Initrd != "" {
		data, err := workloads.OpenInitrd(s.Path("workload.initrd", s.Workload.Initrd))
		if err != nil {
			return nil, fileProblem(s, "workload.initrd", s.Workload.Initrd, err)
		}
		boot.Initrd = vmm.Range{Base: at, Size: uint64(len(data))}
		if at > ram.Base+size || uint64(len(data)) > ram.Base+size-at {
			return nil, fileProblem(s, "workload.initrd", s.Workload.Initrd,
				fmt.Errorf("%d bytes at %#x do not fit into memory, which ends at %#x", len(data), at, ram.Base+size))
		}
		p.Add(at, data)
		at = bootDataAt(p.End(), ram.Base, size)
		p.digest += fmt.Sprintf("-%016x", xxhash.Sum64(data))
	}
	if s.Workload.Input != "" {
		data, err := workloads.OpenInput(s.Path("workload.input", s.Workload.Input), vmm.MaxInput)
		if err != nil {
			return nil, fileProblem(s, "workload.input", s.Workload.Input, err)
		}
		p.input = data
		p.digest += fmt.Sprintf("-input-%016x", xxhash.Sum64(data))
	}
	tree := plan.Board.DeviceTree(boot)
	if n := uint64(len(tree)); at > ram.Base+size || n > ram.Base+size-at {
		at = (ram.Base + size - min(n, size)) &^ (treeAlign - 1)
		if at < p.End() {
			return nil, programProblem(s, fmt.Errorf("the device tree of %d bytes does not fit into memory behind the program, which ends at %#x of %#x; give it more", n, p.End(), ram.Base+size))
		}
	}
	p.Add(at, tree)
	p.tree = at
	return p, nil
}

// bootDataAt is where what a program is booted with begins: far enough behind it
// for the memory that its file does not show, and at a boundary of 2 MiB, so that
// a device tree of at most that size crosses none. hw/arm/boot.c.
func bootDataAt(end, base, size uint64) uint64 {
	return (max(end, base+min(size/2, 128<<20)) + 2<<20 - 1) &^ (2<<20 - 1)
}

// treeAlign is what a device tree's address is at least a multiple of.
// Documentation/arch/arm64/booting.rst.
const treeAlign = 8

// programProblem places an error at the key that names the program.
func programProblem(s *scenario.Scenario, err error) error {
	if s.Workload.ELF != "" {
		return fileProblem(s, "workload.elf", s.Workload.ELF, err)
	}
	return fileProblem(s, "workload.raw", s.Workload.Raw, err)
}

// fileProblem places an error about a file at the key that names it.
func fileProblem(s *scenario.Scenario, key string, file scenario.Text, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return s.Problem(key, "", "%s: %v", s.Path(key, file), err)
}

// exitStatus finds the last line EXIT: STATUS=n that a guest wrote, as
// kvm-unit-tests end; nil if there is none.
func exitStatus(console []byte) *int64 {
	const mark = "EXIT: STATUS="
	i := bytes.LastIndex(console, []byte(mark))
	if i < 0 || i > 0 && console[i-1] != '\n' {
		return nil
	}
	line, _, ended := bytes.Cut(console[i+len(mark):], []byte("\n"))
	n, err := strconv.ParseInt(string(bytes.TrimSuffix(line, []byte("\r"))), 10, 64)
	if !ended || err != nil {
		return nil
	}
	return &n
}

// setProgram says by which core model a program executes, and how long.
func setProgram(p *kvmcore.Program, plan *scenario.Plan, s *scenario.Scenario) {
	p.Limit, p.From = uint64(s.Run.MaxInstructions), plan.Switch
	if plan.Caches != nil {
		p.Model = exec.Inorder
	}
}
