package audit_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/bench/audit"
	"ringmap/kvmcore"
	"ringmap/kvmcore/vmm"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads"
)

// run is a small VM with an ITS that is migrated under audit.
type run struct {
	host  *kvmcore.Host
	vm    *kvmcore.VM
	vmm   *vmm.VMM
	audit *audit.Audit
	its   workloads.ITSDevices
	lost  []audit.Explained
}

type setup struct {
	track   vmm.Tracking
	collect vmm.CollectOrder
	backing kvmcore.Backing
	drop    uint64
	save    func(r *run, t *kvmcore.Thread) kvmcore.Errno // nil = the ITS's tables
	hazards []string                                      // to be repaired
	every   sim.Cycle                                     // saves while the guest runs
}

const (
	ramBase = mmu.IPA(0x4000_0000)
	ramSize = 64 << 20
)

func migrate(t *testing.T, s setup) *run {
	t.Helper()
	must := func(e kvmcore.Errno) {
		t.Helper()
		if e != kvmcore.OK {
			t.Fatal(e)
		}
	}
	const vcpus = 2
	kernel, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		t.Fatal(err)
	}
	kernel.DropEvery = s.drop
	for _, h := range s.hazards {
		if err := kernel.SetHazard(h, false); err != nil {
			t.Fatal(err)
		}
	}
	profile, err := kvmcore.LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{host: kvmcore.NewHost(kvmcore.HostSpec{Kernel: kernel, Profile: profile, Cores: vcpus + 1})}
	r.vm = r.host.CreateVM()
	if s.track.UsesRing() {
		_, e := r.vm.EnableCap(kvmcore.CapDirtyRingAcqRel, 0, [4]uint64{4096 * kvmcore.RingEntryBytes})
		must(e)
	}
	if s.track == vmm.TrackRingBitmap {
		_, e := r.vm.EnableCap(kvmcore.CapDirtyRingBitmap, 0, [4]uint64{})
		must(e)
	}
	hva := r.host.Memory.Map(ramSize, s.backing, false)
	must(r.vm.SetUserMemoryRegion(kvmcore.Region{Slot: 0, GPA: ramBase, Size: ramSize, HVA: hva}))
	for i := range vcpus {
		c, e := r.vm.CreateVCPU(uint64(i))
		must(e)
		c.Guest = &walker{next: ramBase + mmu.IPA(i)*ramSize/4, left: 3000}
	}
	its := workloads.ITSSpec{Devices: 40, Events: 4, Tables: ramBase + ramSize/2}
	if r.its, err = workloads.SetupITS(r.vm, its); err != nil {
		t.Fatal(err)
	}

	engine, dst := sim.NewEngine(), mmu.NewMemory()
	r.audit, err = audit.New(audit.Spec{
		Page:    r.host.Page,
		Regions: []audit.Region{{Tag: uint64(hva) >> mmu.FrameShift, IPA: ramBase, Frames: ramSize >> mmu.FrameShift}},
	}, r.host.Machine.Mem, dst)
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := vmm.ParsePolicy("on-full-all")
	spec := vmm.Spec{Track: s.track, Policy: policy, Period: 400_000, Collect: s.collect, SaveEvery: s.every, Costs: vmm.Costs{Entry: 20, CopyPage: 900}}
	r.vmm, err = vmm.New(spec, vmm.Wiring{
		Engine: engine, Host: r.host, VM: r.vm, Core: r.host.Machine.Cores[vcpus], Dest: dst, Audit: r.audit,
		Save: func(th *kvmcore.Thread) kvmcore.Errno {
			if s.save != nil {
				return s.save(r, th)
			}
			return r.vm.SetAttr(th, r.its.ITS, kvmcore.GroupCtrl, kvmcore.CtrlSaveTables, 0, 0)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.vmm.Start()
	engine.Run(1 << 40)
	if !r.vmm.Done() || len(r.vmm.Findings) != 0 {
		t.Fatalf("done %v, findings %v", r.vmm.Done(), r.vmm.Findings)
	}
	r.lost = audit.Explain(r.audit.Finish(), r.ledger())
	if d := cmp.Diff(r.differing(dst), gfns(r.lost)); d != "" {
		t.Errorf("lost (-byte by byte +audit):\n%s", d)
	}
	return r
}

// differing compares all of the guest's memory with the destination's.
func (r *run) differing(dst *mmu.Memory) (list []mmu.GFN) {
	s := r.vm.Slots.ByID(0)
	var a, b [mmu.FrameSize]byte
	for p := range s.Pages {
		gfn := s.Base + mmu.GFN(p)
		if e := r.host.Memory.Read(s.HVAOf(gfn, r.host.Page), a[:]); e != kvmcore.OK {
			panic(e)
		}
		if dst.FrameBytes(mmu.PFN(gfn), &b); a != b {
			list = append(list, gfn)
		}
	}
	return list
}

func gfns(lost []audit.Explained) (list []mmu.GFN) {
	for _, p := range lost {
		list = append(list, p.GFN)
	}
	return list
}

// ledger is the kernel's own list of records it lost, in the audit's words.
func (r *run) ledger() (l []audit.Loss) {
	for _, x := range r.host.Losses {
		l = append(l, audit.Loss{GFN: x.GFN, Pages: x.Pages, Cause: x.Cause.String(), Cycle: x.At})
	}
	return l
}

// causes is what was lost by what.
func (r *run) causes() map[string]uint64 {
	m := map[string]uint64{}
	for _, c := range audit.Causes(r.lost) {
		m[c.Cause] = c.Pages
	}
	return m
}

// only checks that pages were lost by that cause and no other.
func (r *run) only(t *testing.T, cause string) {
	t.Helper()
	m := r.causes()
	if m[cause] == 0 || len(m) != 1 {
		t.Errorf("lost by cause: %v, want only %s", m, cause)
	}
}

// walker is a guest that writes one page after the other, over and over.
type walker struct {
	next  mmu.IPA
	count uint64
	left  int
}

func (w *walker) Fill(dst []kvmcore.GuestAccess) int {
	for i := range dst {
		if w.left == 0 {
			dst[i] = kvmcore.GuestAccess{Op: kvmcore.GuestEnd}
			return i + 1
		}
		w.left--
		w.count++
		dst[i] = kvmcore.GuestAccess{IPA: w.next + mmu.IPA(w.count%700*4096+8), Value: w.count, Cycles: 200, Instr: 50, Size: 8, Op: kvmcore.GuestStore}
	}
	return len(dst)
}

func (w *walker) Sync(c *sim.Codec) {
	c.U64(&w.count)
	c.Int(&w.left)
}

// TestCollectLast is the rule of the kernel's document, and what breaking it costs.
func TestCollectLast(t *testing.T) {
	for _, track := range []vmm.Tracking{vmm.TrackBitmap, vmm.TrackRingBitmap} {
		t.Run(track.String(), func(t *testing.T) {
			if r := migrate(t, setup{track: track, collect: vmm.CollectAfterSave}); len(r.lost) != 0 {
				t.Errorf("bitmap last: lost by cause %v", r.causes())
			}
			r := migrate(t, setup{track: track, collect: vmm.CollectBeforeSave})
			r.only(t, audit.CauseTooEarly)
			for _, p := range r.lost {
				if ipa := r.host.Page.IPA(p.GFN); ipa < ramBase+ramSize/2 || p.Writer != mmu.WriterKernel {
					t.Errorf("page at %#x, last written by %#x, is lost: only the ITS's tables should be", ipa, p.Writer)
				}
			}
		})
	}
}

// TestTablesAreLate: with rings the backup bitmap is read only at the very end, so
// that tables saved while the guest runs come late; with a bitmap they do not.
func TestTablesAreLate(t *testing.T) {
	for track, late := range map[vmm.Tracking]bool{vmm.TrackBitmap: false, vmm.TrackRingBitmap: true} {
		r := migrate(t, setup{track: track, every: 700_000})
		if len(r.lost) != 0 || r.vmm.Stats.Saves < 3 {
			t.Errorf("%s: lost by cause %v, %d saves", track, r.causes(), r.vmm.Stats.Saves)
		}
		if (r.audit.Total.Late != 0) != late {
			t.Errorf("%s: %d pages late, want some: %v", track, r.audit.Total.Late, late)
		}
	}
}

// TestRingOnlyLosesTables: without the bitmap nobody records the ITS's writes.
func TestRingOnlyLosesTables(t *testing.T) {
	migrate(t, setup{track: vmm.TrackRing}).only(t, kvmcore.LossNoVCPU.String())
}

// TestVMMWrites: KVM does not log what userspace writes through its own mapping.
func TestVMMWrites(t *testing.T) {
	r := migrate(t, setup{track: vmm.TrackRingBitmap, save: func(r *run, _ *kvmcore.Thread) kvmcore.Errno {
		s := r.vm.Slots.ByID(0)
		return r.host.Memory.Write(s.HVA+5<<20, []byte("device model was here"), mmu.WriterVMM)
	}})
	r.only(t, audit.CauseVMM)
	if len(r.lost) != 1 || r.lost[0].GFN != mmu.GFN(ramBase>>12)+5<<20>>12 {
		t.Errorf("lost %v", r.lost)
	}
}

// TestBlockMapping: ring without bitmap on huge pages, the hazard and its repair.
func TestBlockMapping(t *testing.T) {
	s := setup{track: vmm.TrackRing, backing: kvmcore.BackingTHP, save: func(*run, *kvmcore.Thread) kvmcore.Errno { return kvmcore.OK }}
	migrate(t, s).only(t, kvmcore.LossBlockMapping.String())
	s.hazards = []string{"ring.block_mapping"}
	if r := migrate(t, s); len(r.lost) != 0 {
		t.Errorf("repaired: lost by cause %v", r.causes())
	}
}

// TestDroppedRecords: with the kernel dropping every nth record the audit names
// exactly pages that the ledger names too, and none without the switch.
func TestDroppedRecords(t *testing.T) {
	for _, track := range []vmm.Tracking{vmm.TrackBitmap, vmm.TrackRing, vmm.TrackRingBitmap} {
		for _, nth := range []uint64{0, 1, 7, 100} {
			t.Run(fmt.Sprintf("%s/drop=%d", track, nth), func(t *testing.T) {
				r := migrate(t, setup{track: track, drop: nth, save: func(*run, *kvmcore.Thread) kvmcore.Errno { return kvmcore.OK }})
				if nth == 0 {
					if len(r.lost) != 0 {
						t.Errorf("lost by cause %v", r.causes())
					}
					return
				}
				r.only(t, kvmcore.LossDropped.String())
			})
		}
	}
}
