package experiments

import (
	"fmt"
	"slices"
	"strings"

	"ringmap/bench"
	"ringmap/bench/sweep"
	"ringmap/kvmcore"
	"ringmap/mmu"
)

// setups is the part of an experiment that is no sweep of runs: every order in which
// userspace can make a VM with rings, bitmap, a logged slot and an ITS, whole or in
// part, under every detection point. A set-up that the kernel refuses cannot be run, and
// what it refuses is the answer.
//
//	ring, slot, its ─► errno of each call ─► the ITS writes a page ─► recorded, lost, noticed

// setupsNamed is the part, with its axes. It has no points to run.
func setupsNamed(name string) *sweep.Sweep {
	s := &sweep.Sweep{Name: name, Axes: []sweep.Axis{{Key: "order"}, {Key: "detect"}}}
	for _, order := range setupOrders() {
		s.Axes[0].Values = append(s.Axes[0].Values, orderName(order))
	}
	for _, d := range kvmcore.Detects() {
		s.Axes[1].Values = append(s.Axes[1].Values, d.Name)
	}
	return s
}

// setupSteps are the calls that make a set-up.
var setupSteps = []string{"ring", "bitmap", "slot", "its"}

// setupOrders are all sequences of different steps, the shorter first.
func setupOrders() (orders [][]string) {
	from := [][]string{nil}
	for range setupSteps {
		var longer [][]string
		for _, o := range from {
			for _, step := range setupSteps {
				if !slices.Contains(o, step) {
					longer = append(longer, append(slices.Clone(o), step))
				}
			}
		}
		orders, from = append(orders, longer...), longer
	}
	return orders
}

func orderName(order []string) string { return strings.Join(order, "-") }

// When a set-up that loses pages is noticed: setup.noticed.
const (
	noticedNever = iota
	noticedEnable
	noticedITS
	noticedLoss
)

// setup is what became of one.
type setup struct {
	errnos  map[string]kvmcore.Errno // of the steps that are refused
	its     bool                     // there is an ITS in the end
	lost    bool                     // what it writes
	noticed int
}

const (
	setupBase  = mmu.IPA(1 << 30)
	setupPages = 16
)

// trySetup makes a VM in that order, and has its ITS write a page.
func trySetup(order []string, detect kvmcore.Detect) (setup, error) {
	out := setup{errnos: map[string]kvmcore.Errno{}}
	kernel, _ := kvmcore.ParseKernel("7.2")
	h := kvmcore.NewHost(kvmcore.HostSpec{Kernel: kernel})
	vm := h.CreateVM()
	d := kvmcore.LinuxDesign()
	d.Detect = detect
	if e := vm.SetDesign(d); e != kvmcore.OK {
		return out, fmt.Errorf("the design of the VM: %v", e)
	}
	for _, step := range order {
		e := setupStep(h, vm, step)
		if e != kvmcore.OK {
			out.errnos[step] = e
		}
		out.its = out.its || step == "its" && e == kvmcore.OK
		switch {
		case detect == kvmcore.DetectEnable && step == "slot" && e == kvmcore.EINVAL:
			out.noticed = noticedEnable
		case detect == kvmcore.DetectITS && step == "its" && e == kvmcore.EINVAL:
			out.noticed = noticedITS
		}
	}
	if out.its && vm.Slots.Len() != 0 {
		if e := vm.WriteGuest(h.NewThread(h.Machine.Cores[0], "its"), setupBase, []byte{1}); e != kvmcore.OK {
			return out, fmt.Errorf("a write after %s: %v", orderName(order), e)
		}
		out.lost = h.Stats.Losses[kvmcore.LossNoVCPU] != 0
	}
	if vm.Noticed != 0 {
		out.noticed = noticedLoss
	}
	return out, nil
}

func setupStep(h *kvmcore.Host, vm *kvmcore.VM, step string) (e kvmcore.Errno) {
	switch step {
	case "ring":
		_, e = vm.EnableCap(kvmcore.CapDirtyRingAcqRel, 0, [4]uint64{256 * kvmcore.RingEntryBytes})
	case "bitmap":
		_, e = vm.EnableCap(kvmcore.CapDirtyRingBitmap, 0, [4]uint64{})
	case "slot":
		size := uint64(setupPages) << h.Page.Shift()
		e = vm.SetUserMemoryRegion(kvmcore.Region{Slot: 1, Flags: uint32(kvmcore.SlotLogDirty), GPA: setupBase, Size: size,
			HVA: h.Memory.Map(size, kvmcore.Backing4K, true)})
	case "its":
		_, e = vm.CreateDevice(kvmcore.DeviceITS)
	}
	return e
}

// setupPoints are the points of the part. doomed: Linux, which never looks, loses the
// write of this order. vain: a call is refused although the ITS and its slot would lose
// nothing.
func setupPoints(s *sweep.Sweep) (points []*Point, err error) {
	for _, order := range setupOrders() {
		var linux setup
		for i, d := range kvmcore.Detects() {
			got, err := trySetup(order, kvmcore.Detect(i))
			if err != nil {
				return nil, err
			}
			if i == int(kvmcore.DetectNever) {
				linux = got
			}
			p := &Point{Sweep: s.Name[strings.LastIndexByte(s.Name, '.')+1:], Version: bench.Version,
				Axes: map[string]string{"order": orderName(order), "detect": d.Name}, Figures: map[string]float64{"setup.steps": float64(len(order))}}
			p.Key = p.Sweep + " " + orderName(order) + " " + d.Name
			for step, e := range got.errnos {
				p.Figures["errno."+step] = float64(e)
			}
			for name, is := range map[string]bool{
				"setup.refused": len(got.errnos) != 0,
				"setup.lost":    got.lost,
				"setup.doomed":  linux.lost,
				"setup.vain":    len(got.errnos) > len(linux.errnos) && linux.its && slices.Contains(order, "slot") && !linux.lost,
			} {
				if is {
					p.Figures[name] = 1
				}
			}
			if got.noticed != noticedNever {
				p.Figures["setup.noticed"] = float64(got.noticed)
			}
			points = append(points, p)
		}
	}
	return points, nil
}

// setupTable is the part as a page shows it: the set-ups with slot and ITS, and what
// becomes of each under every detection point.
func setupTable(points []*Point) (heads []string, rows [][]string) {
	heads = []string{"calls in this order"}
	for _, d := range kvmcore.Detects() {
		heads = append(heads, d.Name)
	}
	for i := 0; i+len(heads)-2 < len(points); i += len(heads) - 1 {
		order := points[i].Axes["order"]
		if !strings.Contains(order, "slot") || !strings.Contains(order, "its") {
			continue
		}
		row := []string{strings.ReplaceAll(order, "-", ", ")}
		for _, p := range points[i : i+len(heads)-1] {
			row = append(row, p.setupWords())
		}
		rows = append(rows, row)
	}
	return heads, rows
}

// setupWords is what became of a set-up.
func (p *Point) setupWords() string {
	var words []string
	for _, step := range setupSteps {
		if e := p.Figures["errno."+step]; e != 0 {
			words = append(words, step+": "+kvmcore.Errno(e).Error())
		}
	}
	switch {
	case p.Figures["setup.lost"] != 0 && p.Figures["setup.noticed"] != 0:
		words = append(words, "lost, noticed")
	case p.Figures["setup.lost"] != 0:
		words = append(words, "lost")
	case words == nil:
		words = append(words, "ok")
	}
	return strings.Join(words, "; ")
}
