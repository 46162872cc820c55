package kvmcore

import (
	"strings"
	"testing"

	"ringmap/mmu"
	"ringmap/sim"
)

func n1(t testing.TB) *Profile {
	p, err := LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// onePath is how long the vCPU takes for what it is given after warming up.
func (r *rig) onePath(warm, measured GuestAccess) sim.Cycle {
	v := r.vm.VCPUs[0]
	s := v.Guest.(*script)
	play := func(a GuestAccess) sim.Cycle {
		s.todo = append(s.todo, a)
		begin := v.Thread.Core.Now
		for state := v.Continue(sim.Never); state != RunIdle; state = v.Continue(sim.Never) {
			if state == RunExit { // userspace answers at once
				v.Enter()
			}
		}
		return v.Thread.Core.Now - begin
	}
	v.Enter()
	play(warm)
	play(warm)
	return play(measured)
}

// The model against every row of the profile, which must be met within a percent.
// The figures are fits to these rows; what they predict is elsewhere.
func TestProfileRows(t *testing.T) {
	p := n1(t)
	plain := func() *rig { return newRig(t, mode{pages: 4, profile: p}) }
	model := map[string]func() float64{
		"hvc": func() float64 {
			a := GuestAccess{Op: GuestHypercall}
			return float64(plain().onePath(a, a))
		},
		"mmio_read_user": func() float64 {
			a := GuestAccess{Op: GuestLoad, IPA: 0x0900_0000, Size: 4}
			return float64(plain().onePath(a, a))
		},
		"mmio_read_vgic": func() float64 {
			r := plain()
			const dist = 0x0800_0000
			gic, e := r.vm.CreateDevice(DeviceVGICv3)
			if e != OK {
				t.Fatal(e)
			}
			gic.SetAttr(GroupAddr, AddrDist, 8, dist)
			gic.SetAttr(GroupAddr, AddrRedist, 8, dist+0x10_0000)
			gic.SetAttr(GroupCtrl, CtrlInit, 8, 0)
			a := GuestAccess{Op: GuestLoad, IPA: dist + 8, Size: 4} // GICD_IIDR
			c := r.onePath(a, a)
			if n := r.vm.VCPUs[0].Stats.MMIOKernel; n != 3 {
				t.Errorf("the vGIC took %d accesses", n)
			}
			return float64(c)
		},
		"first_write_fault": func() float64 {
			r := newRig(t, mode{pages: 4, profile: p, unlog: true})
			r.h.Kernel.Version = 600
			store := func(page mmu.IPA) GuestAccess {
				return GuestAccess{Op: GuestStore, IPA: testBase + page<<12, Size: 8}
			}
			r.write(0, 0, 1)
			r.setLogging(true)
			return float64(r.onePath(store(0), store(1)))
		},
		"protect_page":  func() float64 { return protectCost(t, p, Backing4K, 1<<14) },
		"protect_block": func() float64 { return protectCost(t, p, BackingTHP, 1<<18) },
	}
	for _, row := range p.Rows() {
		f, ok := model[row.Name]
		if !ok {
			t.Errorf("row %s: nobody models it", row.Name)
			continue
		}
		delete(model, row.Name)
		got := f()
		off := 100 * (got - float64(row.Cycles)) / float64(row.Cycles)
		t.Logf("%-18s %6d measured %8.1f model %+6.2f %%", row.Name, row.Cycles, got, off)
		if off > 1 || off < -1 {
			t.Errorf("%s: %.1f cycles, measured %d", row.Name, got, row.Cycles)
		}
	}
	for name := range model {
		t.Errorf("the profile has no row %s", name)
	}
}

// protectCost is the time to write-protect a populated slot, per entry.
func protectCost(t *testing.T, p *Profile, b Backing, pages uint64) float64 {
	r := newRig(t, mode{pages: pages, profile: p, backing: b, unlog: true})
	step := uint64(1)
	if b == BackingTHP {
		step = 512
	}
	for i := uint64(0); i < pages; i += step {
		r.do(0, GuestStore, i)
	}
	r.mmio(0)
	r.run(0)
	s := r.slot()
	s.Flags |= SlotLogDirty
	r.vm.fitBitmap(s)
	begin := r.t.Core.Now
	r.t.StartEnableLogging(r.vm, s)
	r.t.Finish()
	return float64(r.t.Core.Now-begin) / float64(pages/step)
}

// Since 6.2 faults share mmu_lock and since 6.5 the invalidation is local: the
// model predicts a fault that is shorter by the broadcast.
func TestFaultPrediction(t *testing.T) {
	p := n1(t)
	cost := func(version int) sim.Cycle {
		r := newRig(t, mode{pages: 4, profile: p, unlog: true})
		r.h.Kernel.Version = version
		r.write(0, 0, 1)
		r.setLogging(true)
		a := GuestAccess{Op: GuestStore, IPA: testBase, Size: 8}
		b := a
		b.IPA += 4096
		return r.onePath(a, b)
	}
	c600, c604, c702 := cost(600), cost(604), cost(702)
	t.Logf("first write fault: %d cycles on 6.0, %d on 6.4, %d on 7.2 (predicted)", c600, c604, c702)
	saved := sim.Cycle(p.Costs.TLBIBroadcast - p.Costs.TLBILocal)
	if c604-c702 != saved || c604 < c600 {
		t.Errorf("6.0 %d, 6.4 %d, 7.2 %d: want a difference of %d", c600, c604, c702, saved)
	}
}

func TestProfileErrors(t *testing.T) {
	good, err := profileFiles.ReadFile("profiles/n1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ old, new, want string }{
		{"  load: ", "  laod: ", "load is missing"},
		{"cycles: 867,  kind: measured", "kind: measured", "tlbi_broadcast needs cycles"},
		{"cycles: 867,  kind: measured", "cycles: 2000000, kind: measured", "tlbi_broadcast needs cycles"},
		{"kind: measured,   source: \"L1D", "kind: guess, source: \"L1D", `kind "guess"`},
		{"source: \"row hvc: what the world switch leaves\"", "source: \"\"", "hypercall does not say its source"},
		{"hz: 3000000000", "hz: 0", "clock"},
		{"hz: 3000000000", "hertz: 3", "hertz"},
		{"  push: ", "  shove: {cycles: 1, kind: fit, source: x}\n  push: ", "unknown figure shove"},
		{"cycles: 918,  source: \"kvm", "cycles: 918,  sauce: \"kvm", "sauce"},
		{"figures:", "figures: [", "n1.yaml"},
	} {
		data := strings.Replace(string(good), tc.old, tc.new, 1)
		if data == string(good) {
			t.Fatalf("%q is not in the profile", tc.old)
		}
		_, err := ParseProfile("n1.yaml", []byte(data))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "n1.yaml") {
			t.Errorf("%s: error %v, want one about %q", tc.new, err, tc.want)
		}
	}
	if _, err := LoadProfile("m7"); err == nil || !strings.Contains(err.Error(), "n1") {
		t.Errorf("unknown profile: %v", err)
	}
}

// Every figure says where it comes from, and fits name a row that exists.
func TestFigures(t *testing.T) {
	p := n1(t)
	rows := map[string]bool{}
	for _, r := range p.Rows() {
		rows[r.Name] = true
	}
	if len(p.Figures()) != len(profileFields) {
		t.Errorf("%d figures of %d", len(p.Figures()), len(profileFields))
	}
	for _, f := range p.Figures() {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Source, "row "), ":")
		if f.Kind == "fit" && !rows[name] {
			t.Errorf("%s is a fit to %q, which is no row", f.Name, name)
		}
		if f.Fit != (f.Kind == "fit") {
			t.Errorf("%s: %+v", f.Name, f)
		}
	}
}

func FuzzProfile(f *testing.F) {
	good, err := profileFiles.ReadFile("profiles/n1.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("name: x\nhz: 1\nfigures: {load: {cycles: 1}}"))
	f.Add([]byte("rows: {a: {cycles: -1}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile("f.yaml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
	})
}
