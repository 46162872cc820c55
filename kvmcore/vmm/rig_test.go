package vmm

import (
	"fmt"
	"testing"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

// config is a machine for a test.
type config struct {
	spec    Spec
	kernel  string // "" = 7.2
	page    mmu.Granule
	vcpus   int
	slots   int    // 0 = 1
	pages   uint64 // per slot, 0 = 512
	ring    uint32 // entries, 0 = 256
	initSet bool   // clear-log with INITIALLY_SET
	backing kvmcore.Backing
	design  kvmcore.Design // zero = Linux's; the policy is that of the tracking

	save   func(*rig, *kvmcore.Thread) kvmcore.Errno
	writes int // per vCPU; 0 = without end
	seed   uint64
	setup  func(*rig)
}

// rig is a VM under a VMM, with a guest that writes everywhere.
type rig struct {
	t      testing.TB
	cfg    config
	engine *sim.Engine
	host   *kvmcore.Host
	vm     *kvmcore.VM
	dst    *mmu.Memory
	log    *auditLog
	v      *VMM
}

const slotHole = 64 // pages between two slots

func newRig(t testing.TB, cfg config) *rig {
	t.Helper()
	cfg.page = max(cfg.page, mmu.Granule4K)
	cfg.slots = max(cfg.slots, 1)
	if cfg.pages == 0 {
		cfg.pages = 512
	}
	if cfg.ring == 0 {
		cfg.ring = uint32(max(256, cfg.page.Size()/kvmcore.RingEntryBytes))
	}
	if cfg.kernel == "" {
		cfg.kernel = "7.2"
	}
	if cfg.spec.Costs == (Costs{}) {
		cfg.spec.Costs = Costs{Entry: 20, Word: 1, CopyPage: 900, Lock: 40, Kick: 300}
	}
	kernel, err := kvmcore.ParseKernel(cfg.kernel)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := kvmcore.LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cfg: cfg, engine: sim.NewEngine(), dst: mmu.NewMemory()}
	r.host = kvmcore.NewHost(kvmcore.HostSpec{Kernel: kernel, Profile: profile, Page: cfg.page, Cores: cfg.vcpus + 1})
	r.vm = r.host.CreateVM()
	r.enable()
	for i := range cfg.slots {
		size := cfg.pages << cfg.page.Shift()
		hva := r.host.Memory.Map(size, cfg.backing, false)
		e := r.vm.SetUserMemoryRegion(kvmcore.Region{Slot: uint32(2*i + 1), GPA: r.ipa(i, 0), Size: size, HVA: hva})
		if e != kvmcore.OK {
			t.Fatal(e)
		}
	}
	for i := range cfg.vcpus {
		c, e := r.vm.CreateVCPU(uint64(i))
		if e != kvmcore.OK {
			t.Fatal(e)
		}
		c.Guest = &scatter{
			rand: sim.NewStream(cfg.seed, fmt.Sprintf("guest %d", i)), left: cfg.writes, endless: cfg.writes == 0,
			slots: uint64(cfg.slots), pages: cfg.pages, at: r.ipa,
		}
	}
	if cfg.setup != nil {
		cfg.setup(r)
	}
	r.log = &auditLog{rig: r}
	w := Wiring{Engine: r.engine, Host: r.host, VM: r.vm, Core: r.host.Machine.Cores[cfg.vcpus], Dest: r.dst, Audit: r.log}
	if cfg.save != nil {
		w.Save = func(kt *kvmcore.Thread) kvmcore.Errno { return cfg.save(r, kt) }
	}
	r.v, err = New(cfg.spec, w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// enable gives the VM its design and the capabilities that the tracking needs, as
// a builder does.
func (r *rig) enable() {
	d := r.cfg.design
	if d.Layout == nil {
		d = kvmcore.LinuxDesign()
	}
	d.Policy = r.cfg.spec.Track.Policy()
	if d.Policy != nil && d.Policy.VMRing && d.VMRingEntries == 0 {
		d.VMRingEntries = 256
	}
	if e := r.vm.SetDesign(d); e != kvmcore.OK {
		r.t.Fatal(e)
	}
	manual := uint64(0)
	if r.cfg.spec.Track == TrackClearLog {
		manual = kvmcore.ManualEnable
		if r.cfg.initSet {
			manual |= kvmcore.ManualInitialSet
		}
	}
	if cap, e := r.cfg.spec.Track.Enable(r.vm, uint64(r.cfg.ring)*kvmcore.RingEntryBytes, manual); e != kvmcore.OK {
		r.t.Fatal(cap, e)
	}
}

// ipa is a page of a slot in the guest.
func (r *rig) ipa(slot int, page uint64) mmu.IPA {
	return r.cfg.page.IPA(mmu.GFN(1024 + uint64(slot)*(r.cfg.pages+slotHole) + page))
}

// run runs to the end.
func (r *rig) run() {
	r.t.Helper()
	r.v.Start()
	r.engine.Run(1 << 40)
	if !r.v.Done() {
		r.t.Fatalf("not done at cycle %d", r.engine.Now())
	}
}

// differing lists the guest pages whose bytes the destination does not have, by
// looking at every page of every slot.
func (r *rig) differing() (gfns []mmu.GFN) {
	var a, b [mmu.FrameSize]byte
	for i := range r.cfg.slots {
		slot := r.vm.Slots.ByID(uint16(2*i + 1))
		for p := range slot.Pages {
			gfn := slot.Base + mmu.GFN(p)
			for off := uint64(0); off < r.cfg.page.Size(); off += mmu.FrameSize {
				clear(a[:])
				if pfn, ok := r.host.Memory.PFN(slot.HVAOf(gfn, r.cfg.page) + mmu.HVA(off)); ok {
					r.host.Machine.Mem.FrameBytes(pfn, &a)
				}
				r.dst.FrameBytes(mmu.PFN((uint64(r.cfg.page.IPA(gfn))+off)>>mmu.FrameShift), &b)
				if a != b {
					gfns = append(gfns, gfn)
					break
				}
			}
		}
	}
	return gfns
}

// hash is the state of everything, in one number.
func (r *rig) hash() uint64 {
	h := sim.NewHasher()
	r.sync(h)
	return h.Sum()
}

func (r *rig) sync(c *sim.Codec) {
	r.engine.Sync(c)
	r.host.Sync(c)
	for _, v := range r.vm.VCPUs {
		v.Guest.Sync(c)
	}
	r.v.Sync(c)
	r.dst.Sync(c)
	r.log.sync(c)
}

// scatter is a guest that stores a fresh value to a random page of its slots.
type scatter struct {
	rand    sim.Stream
	left    int
	endless bool
	value   uint64
	slots   uint64
	pages   uint64
	at      func(slot int, page uint64) mmu.IPA
}

func (s *scatter) Fill(dst []kvmcore.GuestAccess) int {
	for i := range dst {
		if s.left == 0 && !s.endless {
			dst[i] = kvmcore.GuestAccess{Op: kvmcore.GuestEnd}
			return i + 1
		}
		s.left--
		s.value++
		dst[i] = kvmcore.GuestAccess{
			IPA:   s.at(int(s.rand.N(s.slots)), s.rand.N(s.pages)) + mmu.IPA(8*s.rand.N(4)),
			Value: s.value, Cycles: 30 + uint32(s.rand.N(100)), Instr: 40, Size: 8, Op: kvmcore.GuestStore,
		}
	}
	return len(dst)
}

func (s *scatter) Sync(c *sim.Codec) {
	s.rand.Sync(c)
	c.Int(&s.left)
	c.U64(&s.value)
}

// auditLog notes collections and checks what can be checked at once: pages are
// told between Open and Close, and before they are copied.
type auditLog struct {
	rig    *rig
	open   bool
	rounds int
	pages  uint64
	equal  uint64 // of the pages: no byte had changed
}

func (a *auditLog) Open(sim.Cycle) {
	a.open = true
	a.rounds++
}

func (a *auditLog) Collect(gfn mmu.GFN, src mmu.PFN, _ sim.Cycle) {
	if !a.open {
		a.rig.t.Error("a page is copied outside of a collection")
	}
	a.pages++
	if a.rig.host.Machine.Mem.EqualFrame(src, a.rig.dst, mmu.PFN(a.rig.cfg.page.IPA(gfn)>>mmu.FrameShift)) {
		a.equal++
	}
}

func (a *auditLog) Close(sim.Cycle) { a.open = false }

func (a *auditLog) sync(c *sim.Codec) {
	c.Bool(&a.open)
	c.Int(&a.rounds)
	c.U64(&a.pages)
	c.U64(&a.equal)
}
