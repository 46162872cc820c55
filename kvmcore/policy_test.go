package kvmcore

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// designs are the designs that a rig tries, by name.
func designs() map[string]Design {
	with := func(f func(d *Design)) Design {
		d := LinuxDesign()
		d.VMRingEntries = 256
		f(&d)
		return d
	}
	m := map[string]Design{}
	for _, p := range Policies() {
		m[p.Name] = with(func(d *Design) { d.Policy = p })
	}
	for _, k := range Kicks() {
		m["vmring,"+k.Name] = with(func(d *Design) { d.Policy, d.Kick = &policyVMRing, k })
	}
	for _, l := range Layouts() {
		m["ring+bitmap,"+l.Name] = with(func(d *Design) { d.Policy, d.Layout = &policyRingBitmap, l })
		m["ring+bitmap,"+l.Name+",sized"] = with(func(d *Design) { d.Policy, d.Layout, d.Sized, d.LogBlock = &policyRingBitmap, l, true, true })
		m["vmring,"+l.Name] = with(func(d *Design) { d.Policy, d.Layout, d.VMRingEntries = &policyVMRing, l, 128 })
	}
	m["bitmap,blocks"] = with(func(d *Design) { d.Policy, d.LogBlock = &policyBitmap, true })
	m["any"] = with(func(d *Design) { d.Policy, d.AnySize = &policyRingBitmap, true })
	m["hard"] = with(func(d *Design) { d.Policy, d.OverflowHard = &policyRingOverflowBitmap, true })
	return m
}

// harvestAll does what userspace does with a design: it harvests every ring from
// fetch on, resets, and reads the bitmap. It returns the pages it learnt of.
func (r *rig) harvestAll(fetch []uint32) map[uint64]bool {
	pages, m := map[uint64]bool{}, r.h.Machine.Mem
	d := &r.vm.Design
	for i := range r.vm.Rings() {
		ring := r.vm.Ring(i)
		for ring.Size != 0 {
			pa := ring.EntryPA(fetch[i])
			flags := m.Load(pa, 4)
			if d.Layout.Indexed {
				if uint32(m.Load(ring.Avail, 4)) == fetch[i] {
					break
				}
			} else if flags&RingFlagMask != RingFlagDirty {
				break
			}
			order := flags >> RingOrderShift
			if d.Layout.Indexed {
				order = flags
			} else {
				m.Store(pa, 4, flags&^RingFlagMask|RingFlagReset, mmu.WriterVMM)
			}
			if !d.Sized {
				order = 0
			}
			for p := range uint64(1) << order {
				pages[m.Load(pa+8, 8)+p] = true
			}
			fetch[i] = ring.Next(fetch[i])
			if d.Layout.Indexed {
				m.Store(ring.Fetch, 4, uint64(fetch[i]), mmu.WriterVMM)
			}
		}
	}
	if r.vm.RingSize != 0 {
		r.reset()
	}
	if r.slot().Bitmap.Exists() {
		for _, p := range r.get() {
			pages[p] = true
		}
	}
	return pages
}

// TestDesignsAgainstModel: whatever the design, userspace that harvests often
// enough learns of every page that was written since it last looked, by random
// writes of vCPUs and of the kernel without one.
func TestDesignsAgainstModel(t *testing.T) {
	for name, d := range designs() {
		t.Run(name, func(t *testing.T) {
			if d.Policy == &policyRing || d.Policy == &policyVMRing1 {
				t.Skip("loses records by design: see TestPolicies of bench")
			}
			for seed := range uint64(4) {
				rng := sim.NewStream(seed, name)
				m := mode{design: d, ring: 256, pages: 1024, vcpus: 3, kernel: []string{"7.2", "6.12"}[seed%2]}
				if d.AnySize {
					m.ring = 257 + uint32(rng.N(500))
				}
				if d.LogBlock {
					m.backing = BackingTHP
				}
				if !d.Policy.Rings {
					m.ring = 0
				}
				m.bitmap = d.NeedsBitmap()
				r := newRig(t, m)
				fetch := make([]uint32, r.vm.Rings())
				dirty := map[uint64]bool{}
				for range 40 {
					for range rng.N(60) {
						p := rng.N(m.pages)
						dirty[p] = true
						if rng.Chance(1, 6) {
							if e := r.vm.WriteGuest(r.t, testBase+mmu.IPA(p<<12), []byte{1}); e != OK {
								t.Fatal(e)
							}
							continue
						}
						v := int(rng.N(3))
						r.write(v, p)
						if r.vm.VCPUs[v].Run.ExitReason == ExitDirtyRingFull {
							t.Fatalf("seed %d: ring full", seed)
						}
					}
					got := r.harvestAll(fetch)
					for p := range dirty {
						if !got[p] {
							t.Fatalf("seed %d: page %d was written and nobody says so", seed, p)
						}
						if r.writable(p) {
							t.Fatalf("seed %d: page %d was harvested and is writable", seed, p)
						}
					}
					clear(dirty)
				}
				if n := len(r.h.Losses); n != 0 {
					t.Errorf("seed %d: %d losses, the first %+v", seed, n, r.h.Losses[0])
				}
				for i := range r.vm.Rings() {
					if n := r.vm.Ring(i).Used(); n != 0 {
						t.Errorf("seed %d: ring %d holds %d entries", seed, i, n)
					}
				}
			}
		})
	}
}

// TestVMRing: who is asked when the VM's ring is nearly full, what is dropped when
// it is full, and under which cause.
func TestVMRing(t *testing.T) {
	for _, k := range Kicks() {
		d := LinuxDesign()
		d.Policy, d.Kick, d.VMRingEntries, d.Reserve = &policyVMRing, k, 8, 4
		r := newRig(t, mode{design: d, ring: 256, bitmap: d.NeedsBitmap(), pages: 64, vcpus: 3})
		asked := func() (who []int) {
			for i, v := range r.vm.VCPUs {
				if v.Requests&ReqDirtyRingSoftFull != 0 {
					who = append(who, i)
				}
			}
			return who
		}
		for p := range mmu.IPA(10) {
			if e := r.vm.WriteGuest(r.t, testBase+p<<12, []byte{1}); e != OK {
				t.Fatal(e)
			}
			if p == 2 && asked() != nil {
				t.Errorf("%s: %v are asked before the soft limit", k.Name, asked())
			}
		}
		want := map[string][]int{"none": {0}, "vcpu0": {0}, "round-robin": nil, "all": {0, 1, 2}}[k.Name]
		if got := asked(); k.Name != "round-robin" && !slices.Equal(got, want) {
			t.Errorf("%s: %v are asked", k.Name, got)
		} else if k.Name == "round-robin" && len(got) == 0 {
			t.Errorf("%s: nobody is asked", k.Name)
		}
		if got, want := r.h.Stats.Losses[LossVMRingPaused], uint64(2); got != want || r.h.Stats.VMRingDrops != want {
			t.Errorf("%s: %d dropped with nobody to kick, want %d", k.Name, got, want)
		}
		if r.h.Stats.Kicks != 0 {
			t.Errorf("%s: vCPUs outside KVM_RUN were kicked", k.Name)
		}
		// The request makes the vCPU exit, again and again until the ring is drained.
		v := asked()[0]
		for range 2 {
			if run := r.run(v); run.ExitReason != ExitDirtyRingFull || run.Ret != 0 {
				t.Errorf("%s: exit %d", k.Name, run.ExitReason)
			}
		}
		fetch := make([]uint32, r.vm.Rings())
		got := r.harvestAll(fetch)
		if len(got) < 8 {
			t.Errorf("%s: %d pages harvested", k.Name, len(got))
		}
		r.write(v, 40)
		if r.vm.VCPUs[v].Run.ExitReason != ExitMMIO {
			t.Errorf("%s: still exits after the reset", k.Name)
		}
	}
}

// TestKernelKick: a vCPU in its guest leaves it for a kick, looks at its requests, and
// exits for the VM's ring.
func TestKernelKick(t *testing.T) {
	d := LinuxDesign()
	d.Policy, d.Kick, d.VMRingEntries, d.Reserve = &policyVMRing, &kickAll, 8, 7
	r := newRig(t, mode{design: d, ring: 256, pages: 64, vcpus: 2, cores: 3})
	v := r.vm.VCPUs[1]
	r.do(1, GuestStore, upTo(20)...)
	v.Enter()
	for !v.Thread.inGuest() {
		v.Thread.Step()
	}
	r.vm.WriteGuest(r.t, testBase, []byte{1})
	if r.h.Stats.Kicks != 1 || len(r.h.Kicked) != 1 || r.h.Kicked[0].VCPU != v {
		t.Fatalf("%d kicks, %v", r.h.Stats.Kicks, r.h.Kicked)
	}
	r.vm.WriteGuest(r.t, testBase, []byte{1})
	if r.h.Stats.Kicks != 1 {
		t.Error("a second interrupt before the first was seen")
	}
	for s := v.Continue(sim.Never); s != RunExit; s = v.Continue(sim.Never) {
	}
	if v.Run.ExitReason != ExitDirtyRingFull || v.Stats.Pushes > 1 {
		t.Errorf("exit %d after %d pushes", v.Run.ExitReason, v.Stats.Pushes)
	}
}

// TestResizeRing: a ring grows and shrinks under a living vCPU, not while it
// holds entries or the vCPU runs.
func TestResizeRing(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 2000})
	v := r.vm.VCPUs[0]
	fetch := []uint32{0}
	resize := func(n uint32, want Errno) {
		t.Helper()
		if e := v.ResizeRing(r.t, n); e != want {
			t.Errorf("to %d entries: %v, want %v", n, e, want)
		}
	}
	r.write(0, 1)
	resize(512, EBUSY) // holds an entry
	r.harvestAll(fetch)
	for _, bad := range []uint32{0, 300, 128} {
		resize(bad, EINVAL)
	}
	resize(1<<17, E2BIG)
	resize(1024, OK)
	fetch[0] = 0
	if v.Ring.SoftLimit != 1024-64 || v.Ring.Used() != 0 {
		t.Errorf("%+v", v.Ring)
	}
	r.do(0, GuestStore, upTo(1000)...)
	if run := r.run(0); run.ExitReason != ExitDirtyRingFull || v.Stats.Pushes != 1+960 {
		t.Errorf("exit %d after %d pushes", run.ExitReason, v.Stats.Pushes)
	}
	if got := len(r.harvestAll(fetch)); got != 960 {
		t.Errorf("%d pages", got)
	}
	resize(256, OK)
	used := r.h.Machine.Alloc.Used
	resize(512, OK)
	resize(256, OK)
	if n := r.h.Machine.Alloc.Used; n != used {
		t.Errorf("%d frames are gone", n-used)
	}
	none := newRig(t, mode{pages: 1})
	if e := none.vm.VCPUs[0].ResizeRing(none.t, 256); e != EINVAL {
		t.Errorf("without a ring: %v", e)
	}
}

// TestAnySizeWraps: indices of a ring of 300 entries start over below 2^32, where
// entry 0 comes again.
func TestAnySizeWraps(t *testing.T) {
	d := LinuxDesign()
	d.Policy, d.AnySize = &policyRingBitmap, true
	r := newRig(t, mode{design: d, ring: 300, bitmap: true, pages: 1000})
	ring := &r.vm.VCPUs[0].Ring
	at := ring.Wrap - 100
	if at%300 != 200 {
		t.Fatalf("wraps at %d", ring.Wrap)
	}
	ring.DirtyIndex, ring.ResetIndex = at, at
	fetch := []uint32{at}
	for round := range uint64(3) {
		r.write(0, upTo(150)...)
		if got := r.harvestAll(fetch); len(got) != 150 {
			t.Fatalf("round %d: %d pages", round, len(got))
		}
	}
	if ring.DirtyIndex != 350 || ring.EntryPA(ring.DirtyIndex) != ring.Base+50*RingEntryBytes {
		t.Errorf("%+v", ring)
	}
}

// TestDoomedSetUps is every order in which userspace can make a VM with rings and
// an ITS, under every detection point: what is refused where, and whether the
// table write that comes in the end is lost.
func TestDoomedSetUps(t *testing.T) {
	steps := map[byte]string{'r': "ring", 'b': "bitmap", 's': "slot", 'i': "its"}
	try := func(order string, d Design) (out string) {
		k, _ := ParseKernel("7.2")
		h := NewHost(HostSpec{Kernel: k})
		vm := h.CreateVM()
		if e := vm.SetDesign(d); e != OK {
			t.Fatal(e)
		}
		hva := h.Memory.Map(16<<12, Backing4K, true)
		for i := range len(order) {
			var e Errno
			switch order[i] {
			case 'r':
				_, e = vm.EnableCap(CapDirtyRingAcqRel, 0, [4]uint64{256 * RingEntryBytes})
			case 'b':
				_, e = vm.EnableCap(CapDirtyRingBitmap, 0, [4]uint64{})
			case 's':
				e = vm.SetUserMemoryRegion(Region{Slot: 1, Flags: uint32(SlotLogDirty), GPA: testBase, Size: 16 << 12, HVA: hva})
			case 'i':
				_, e = vm.CreateDevice(DeviceITS)
			}
			if e != OK {
				out += fmt.Sprintf("%s:%v ", steps[order[i]], e)
			}
		}
		vm.WriteGuest(h.kernelThread(), testBase, []byte{1})
		if h.Stats.Losses[LossNoVCPU] != 0 {
			out += "lost"
			if vm.Noticed != 0 {
				out += ",noticed"
			}
		}
		return out
	}
	design := func(p *Policy, at Detect) Design {
		d := LinuxDesign()
		d.Policy, d.Detect = p, at
		return d
	}
	got := map[string]string{}
	for _, order := range []string{"rbsi", "rbis", "ribs", "irbs", "rsi", "ris", "irs", "sri", "rsbi", "si"} {
		for at := range numDetects {
			got[order+" "+detects[at].Name] = try(order, design(&policyRing, at))
		}
	}
	want := map[string]string{
		// Complete set-ups: the bitmap comes before the slots. Only a kernel that wants
		// it before the ITS refuses orders that end well.
		"rbsi never": "", "rbsi first-loss": "", "rbsi enable": "", "rbsi its": "",
		"rbis never": "", "rbis first-loss": "", "rbis enable": "", "rbis its": "",
		"ribs never": "", "ribs first-loss": "", "ribs enable": "", "ribs its": "its:EINVAL ",
		"irbs never": "", "irbs first-loss": "", "irbs enable": "", "irbs its": "",
		// Doomed ones.
		"rsi never": "lost", "rsi first-loss": "lost,noticed", "rsi enable": "lost", "rsi its": "its:EINVAL lost",
		"ris never": "lost", "ris first-loss": "lost,noticed", "ris enable": "slot:EINVAL ", "ris its": "its:EINVAL lost",
		"irs never": "lost", "irs first-loss": "lost,noticed", "irs enable": "slot:EINVAL ", "irs its": "lost",
		// Slots first: they have bitmaps already, which a ring does not take away.
		"sri never": "", "sri first-loss": "", "sri enable": "", "sri its": "its:EINVAL ",
		"rsbi never": "bitmap:EINVAL lost", "rsbi first-loss": "bitmap:EINVAL lost,noticed", "rsbi enable": "bitmap:EINVAL lost", "rsbi its": "bitmap:EINVAL its:EINVAL lost",
		"si never": "", "si first-loss": "", "si enable": "", "si its": "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestDesignOrder: a design comes first, and an impossible one not at all.
func TestDesignOrder(t *testing.T) {
	r := newRig(t, mode{ring: 256})
	if e := r.vm.SetDesign(LinuxDesign()); e != EBUSY {
		t.Errorf("after the capabilities: %v", e)
	}
	for name, f := range map[string]func(*Design){
		"no layout":     func(d *Design) { d.Layout = nil },
		"reserve":       func(d *Design) { d.Reserve = MaxRingReserve + 1 },
		"detect":        func(d *Design) { d.Detect = numDetects },
		"VM ring":       func(d *Design) { d.Policy = &policyVMRing },
		"blocks":        func(d *Design) { d.Policy, d.LogBlock = &policyRing, true },
		"blocks, twice": func(d *Design) { d.Policy, d.LogBlock, d.Sized = &policyRingFlaggedBitmap, true, true },
	} {
		d := LinuxDesign()
		f(&d)
		if e := r.h.CreateVM().SetDesign(d); e != EINVAL {
			t.Errorf("%s: %v", name, e)
		}
	}
}

// FuzzRingEdits: whatever userspace writes into rings and index words between
// pushes and resets, the kernel neither crashes nor hangs, and protects nothing
// outside the VM's slots.
func FuzzRingEdits(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 1, 4, 0, 0, 1, 0, 3}, uint8(0), uint64(1))
	f.Add([]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0xff, 0x7f, 0x80, 3, 2, 1}, uint8(5), uint64(7))
	names := []string{}
	for name := range designs() {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Fuzz(func(t *testing.T, edits []byte, which uint8, seed uint64) {
		d := designs()[names[int(which)%len(names)]]
		if !d.Policy.Rings {
			return
		}
		m := mode{design: d, ring: 256, bitmap: d.NeedsBitmap(), pages: 1024, vcpus: 2}
		if d.LogBlock {
			m.backing = BackingTHP
		}
		r := newRig(t, m)
		rng := sim.NewStream(seed, "edits")
		for len(edits) >= 8 {
			e := edits[:8]
			edits = edits[8:]
			for range 4 {
				r.vm.WriteGuest(r.t, testBase+mmu.IPA(rng.N(1024)<<12), []byte{1})
				v := int(rng.N(2))
				r.do(v, GuestStore, rng.N(1024))
				r.mmio(v)
				r.run(v)
			}
			i := int(e[0]) % r.vm.Rings()
			ring := r.vm.Ring(i)
			pa := ring.EntryPA(uint32(e[1]))
			value := uint64(e[2]) | uint64(e[3])<<8 | uint64(e[4])<<16 | uint64(e[5])<<24
			mem := r.h.Machine.Mem
			switch {
			case e[7]%5 == 4 && ring.Fetch != 0:
				mem.Store(ring.Fetch, 4, value, mmu.WriterVMM)
			case e[7]%5 == 3:
				mem.Store(pa+8, 8, value|uint64(e[6])<<56, mmu.WriterVMM)
			case e[7]%5 == 2:
				mem.Store(pa+4, 4, value, mmu.WriterVMM)
			default:
				mem.Store(pa, 4, value, mmu.WriterVMM)
			}
			if n := r.reset(); n < 0 {
				t.Fatalf("reset returned %d", n)
			}
		}
	})
}

// TestResetClearsBits: where every ring entry has a bit beside it, the reset of the
// entry clears the bit, across words of the bitmap, and leaves other bits alone.
func TestResetClearsBits(t *testing.T) {
	for _, p := range []*Policy{&policyRingFlaggedBitmap, &policyVMRing} {
		d := LinuxDesign()
		d.Policy, d.VMRingEntries = p, 256
		r := newRig(t, mode{design: d, ring: 256, bitmap: true, pages: 300})
		pages := []uint64{3, 60, 63, 64, 65, 100, 130, 200}
		r.write(0, pages...)
		r.vm.WriteGuest(r.t, testBase+250<<12, []byte{1})
		bits := func() (set []uint64) {
			s, m := r.slot(), r.h.Machine.Mem
			for p := range s.Pages {
				if m.Load(s.Bitmap.WordPA(p/64), 8)>>(p%64)&1 != 0 {
					set = append(set, p)
				}
			}
			return set
		}
		if d := cmp.Diff(append(slices.Clone(pages), 250), bits()); d != "" {
			t.Errorf("%s, before: %s", p.Name, d)
		}
		fetch := uint32(0)
		r.harvest(0, &fetch, 7)
		r.reset()
		if d := cmp.Diff([]uint64{200, 250}, bits()); d != "" {
			t.Errorf("%s, after: %s", p.Name, d)
		}
	}
}
