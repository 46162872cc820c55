package vmm

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
)

func policy(name string) Policy {
	p, ok := ParsePolicy(name)
	if !ok {
		panic(name)
	}
	return p
}

// specs are the ways to track, each with a period that makes several rounds.
func specs() map[string]Spec {
	m := map[string]Spec{
		"bitmap":    {Track: TrackBitmap, Period: 400_000},
		"clear-log": {Track: TrackClearLog, Period: 400_000, ClearShift: 7},
	}
	for _, p := range Policies() {
		m["ring,"+p.Name] = Spec{Track: TrackRing, Policy: p, Period: 400_000}
		m["ring+bitmap,"+p.Name] = Spec{Track: TrackRingBitmap, Policy: p, Period: 400_000}
	}
	for _, track := range []Tracking{TrackVMRing, TrackOverflowBitmap, TrackFlaggedBitmap} {
		m[track.String()] = Spec{Track: track, Policy: policyOnFullAll, Period: 400_000}
	}
	return m
}

// TestNothingIsLost: whatever the tracking, the policy and the number of vCPUs,
// the destination ends with the source's bytes.
func TestNothingIsLost(t *testing.T) {
	for name, spec := range specs() {
		for _, vcpus := range []int{1, 4, 64} {
			t.Run(fmt.Sprintf("%s/vcpus=%d", name, vcpus), func(t *testing.T) {
				if vcpus == 64 {
					spec.Period = 50_000
				}
				r := newRig(t, config{spec: spec, vcpus: vcpus, slots: 2, pages: 400, writes: max(1000, 12000/vcpus), seed: 7})
				r.run()
				if d := r.differing(); len(d) != 0 {
					t.Errorf("%d pages differ, the first is %#x", len(d), d[0])
				}
				if len(r.v.Findings) != 0 {
					t.Errorf("findings: %v", r.v.Findings)
				}
				if r.log.rounds < 2 || r.log.pages == 0 {
					t.Errorf("%d rounds with %d pages: too little happened", r.log.rounds, r.log.pages)
				}
				r.checkRings()
			})
		}
	}
}

// checkRings: in the end every entry pushed was harvested and reset.
func (r *rig) checkRings() {
	r.t.Helper()
	for i, c := range r.vm.VCPUs {
		if c.Ring.Size == 0 {
			continue
		}
		if c.Ring.Used() != 0 {
			r.t.Errorf("ring %d still holds %d entries", i, c.Ring.Used())
		}
		if r.v.harvested[i] != c.Stats.Pushes || r.v.fetch[i] != c.Ring.DirtyIndex {
			r.t.Errorf("ring %d: %d pushed, %d harvested", i, c.Stats.Pushes, r.v.harvested[i])
		}
	}
}

// TestGranules: host pages of 16 and 64 KiB, of several frames each.
func TestGranules(t *testing.T) {
	for _, g := range []mmu.Granule{mmu.Granule16K, mmu.Granule64K} {
		for _, name := range []string{"bitmap", "ring+bitmap,on-full-all"} {
			t.Run(fmt.Sprintf("%s/page=%d", name, g.Size()), func(t *testing.T) {
				r := newRig(t, config{spec: specs()[name], page: g, vcpus: 2, pages: 5000, writes: 6000})
				r.run()
				if d := r.differing(); len(d) != 0 {
					t.Errorf("%d pages differ, the first is %#x", len(d), d[0])
				}
			})
		}
	}
}

// TestInitiallySet: everything is sent in the first round, and protected by the
// CLEAR of its chunk before that.
func TestInitiallySet(t *testing.T) {
	r := newRig(t, config{spec: specs()["clear-log"], initSet: true, vcpus: 2, pages: 1000, writes: 4000})
	r.run()
	if d := r.differing(); len(d) != 0 {
		t.Errorf("%d pages differ, the first is %#x", len(d), d[0])
	}
	if r.v.Stats.PagesSent < 1000 {
		t.Errorf("%d pages sent of 1000", r.v.Stats.PagesSent)
	}
	if r.v.Stats.Clears < 1000/128 {
		t.Errorf("%d chunks cleared", r.v.Stats.Clears)
	}
}

// TestOff: without tracking nothing is collected and the guest just runs.
func TestOff(t *testing.T) {
	r := newRig(t, config{spec: Spec{Track: TrackOff, Period: 1000}, vcpus: 3, writes: 5000})
	r.run()
	if r.log.rounds != 0 || r.v.Stats.PagesSent != 0 {
		t.Errorf("%d rounds, %d pages sent", r.log.rounds, r.v.Stats.PagesSent)
	}
	for _, c := range r.vm.VCPUs {
		if c.Stats.Stores != 5000 {
			t.Errorf("vCPU %d has done %d stores", c.Index, c.Stats.Stores)
		}
	}
}

// TestFixedTime: vCPUs without end are stopped when the time is up, and no
// later than a fault takes.
func TestFixedTime(t *testing.T) {
	for _, until := range []sim.Cycle{50_000, 1_234_567} {
		spec := specs()["ring+bitmap,on-full-all"]
		spec.Until = until
		r := newRig(t, config{spec: spec, vcpus: 4})
		r.run()
		if got := r.v.RunTime(); got < until || got > until+60_000 {
			t.Errorf("ran for %d cycles, wanted %d", got, until)
		}
		if d := r.differing(); len(d) != 0 {
			t.Errorf("%d pages differ", len(d))
		}
	}
}

// TestLogPagesWrittenBefore: pages that were dirty before logging began come over
// with the first round that sends all RAM.
func TestPagesWrittenBefore(t *testing.T) {
	r := newRig(t, config{spec: specs()["bitmap"], vcpus: 1, writes: 100, setup: func(r *rig) {
		s := r.vm.Slots.ByID(1)
		for p := range uint64(512) {
			r.host.Memory.Write(s.HVAOf(s.Base+mmu.GFN(p), r.cfg.page)+1000, []byte{byte(p), 1}, mmu.WriterImage)
		}
	}})
	r.run()
	if d := r.differing(); len(d) != 0 {
		t.Errorf("%d pages differ, the first is %#x", len(d), d[0])
	}
}

// TestFullRingPolicies: who drains what when a ring is full.
func TestFullRingPolicies(t *testing.T) {
	one := func(name string) *rig {
		spec := Spec{Track: TrackRing, Policy: policy(name)}
		if name == "interval" {
			spec.Period = 5_000_000
		}
		r := newRig(t, config{spec: spec, vcpus: 2, pages: 4096, writes: 3000})
		// The second guest writes far less: its ring never fills by itself.
		r.vm.VCPUs[1].Guest.(*scatter).left = 100
		r.run()
		if d := r.differing(); len(d) != 0 {
			t.Errorf("%s: %d pages differ", name, len(d))
		}
		return r
	}

	all, own, interval := one("on-full-all"), one("on-full-own"), one("interval")
	if all.v.vcpus[0].Exits[exitRingFull] == 0 || own.v.vcpus[0].Exits[exitRingFull] == 0 || interval.v.vcpus[0].Exits[exitRingFull] == 0 {
		t.Fatal("no ring was ever full: the test says nothing")
	}
	// What vCPU 0's thread harvested itself before the final collection.
	if n := all.vm.VCPUs[1].Stats.Occupancy.Max; n > 100 {
		t.Errorf("ring 1 held %d entries", n)
	}
	if got := own.v.Stats.Reaps; got != own.v.vcpus[0].Exits[exitRingFull]+1 {
		t.Errorf("on-full-own: %d reaps for %d full exits and the final one", got, own.v.vcpus[0].Exits[exitRingFull])
	}
	if w := own.v.vcpus[0].Waits[WaitFullRing]; w != 0 {
		t.Errorf("on-full-own: the vCPU waited %d cycles for its ring", w)
	}
	if w := interval.v.vcpus[0].Waits[WaitFullRing]; w < 1_000_000 {
		t.Errorf("interval: the vCPU waited only %d cycles for its ring", w)
	}
	if interval.v.RunTime() < own.v.RunTime() {
		t.Errorf("waiting for a slow harvester took %d cycles, harvesting oneself %d", interval.v.RunTime(), own.v.RunTime())
	}
	for _, r := range []*rig{all, own, interval} {
		if n := r.vm.VCPUs[0].Stats.RepeatFullExits; n != 0 {
			t.Errorf("%s: %d futile entries with a full ring", r.v.Policy.Name, n)
		}
	}
}

// TestHarvestProtocol looks at the micro-ops of one entry: flags by load-acquire,
// then slot and offset, then the RESET flag by store-release.
func TestHarvestProtocol(t *testing.T) {
	r := newRig(t, config{spec: Spec{Track: TrackRing, Policy: policy("on-full-own")}, vcpus: 1, pages: 100})
	ring, mem := &r.vm.VCPUs[0].Ring, r.host.Machine.Mem
	push := func(slot uint32, offset uint64) {
		pa := ring.EntryPA(ring.DirtyIndex)
		mem.Store(pa+4, 4, uint64(slot), 0)
		mem.Store(pa+8, 8, offset, 0)
		mem.Store(pa, 4, kvmcore.RingFlagDirty, 0)
		ring.DirtyIndex++
	}
	push(1, 5)
	push(9, 5)       // no such slot
	push(1<<16|1, 5) // another address space
	push(1, 100)     // one past the end
	push(1, 1<<63)   // far past the end
	push(1, 99)
	m := &r.v.main
	m.startReap(0, 1)

	m.stepReap() // loads the first flags
	ops := func() (list []string) {
		for _, op := range m.kt.Block.Ops[:m.kt.Block.N] {
			if op.Kind != mmu.OpDelay {
				list = append(list, fmt.Sprintf("%d +%d/%d flags %d val %d", op.Kind, op.Addr-ring.Base, op.Size, op.Flags, op.Val))
			}
		}
		return list
	}
	line := func(kind mmu.OpKind, off mmu.PA, size, flags int, val uint64) string {
		return fmt.Sprintf("%d +%d/%d flags %d val %d", kind, off, size, flags, val)
	}
	if d := cmp.Diff([]string{line(mmu.OpLoad, 0, 4, int(mmu.OpAcquire), 0)}, ops()); d != "" {
		t.Errorf("first block (-want +got):\n%s", d)
	}
	m.stepReap()
	want := []string{
		line(mmu.OpLoad, 4, 4, 0, 0),
		line(mmu.OpLoad, 8, 8, 0, 0),
		line(mmu.OpStore, 0, 4, int(mmu.OpRelease), kvmcore.RingFlagReset),
		line(mmu.OpLoad, 16, 4, int(mmu.OpAcquire), 0),
	}
	if d := cmp.Diff(want, ops()); d != "" {
		t.Errorf("second block (-want +got):\n%s", d)
	}
	for m.stepReap() != finished {
	}
	if d := cmp.Diff([]uint64{5, 99}, r.v.slots[0].staged.pages()); d != "" {
		t.Errorf("staged (-want +got):\n%s", d)
	}
	if r.v.Stats.UnknownEntries != 4 || r.v.Stats.Harvested != 6 || r.v.fetch[0] != 6 {
		t.Errorf("%d unknown of %d harvested, fetch index %d", r.v.Stats.UnknownEntries, r.v.Stats.Harvested, r.v.fetch[0])
	}
	if len(r.v.Findings) != 0 || ring.Used() != 0 {
		t.Errorf("findings %v, %d entries not reset", r.v.Findings, ring.Used())
	}
}

// TestHarvestStopsAtGap: an entry that is not dirty ends the harvest, whatever
// lies behind it.
func TestHarvestStopsAtGap(t *testing.T) {
	r := newRig(t, config{spec: Spec{Track: TrackRing, Policy: policy("on-full-own")}, vcpus: 1, pages: 100})
	ring, mem := &r.vm.VCPUs[0].Ring, r.host.Machine.Mem
	for _, i := range []uint32{0, 2} {
		mem.Store(ring.EntryPA(i)+4, 4, 1, 0)
		mem.Store(ring.EntryPA(i), 4, kvmcore.RingFlagDirty, 0)
	}
	ring.DirtyIndex = 3
	m := &r.v.main
	m.startReap(0, 1)
	for m.stepReap() != finished {
	}
	if r.v.fetch[0] != 1 || ring.ResetIndex != 1 {
		t.Errorf("fetched %d, reset %d: want 1 each", r.v.fetch[0], ring.ResetIndex)
	}
}

// TestResetCountFinding: entries that somebody else gave back make a reset return
// more than was harvested, on which QEMU aborts. Here it is a finding.
func TestResetCountFinding(t *testing.T) {
	r := newRig(t, config{spec: Spec{Track: TrackRing, Policy: policy("on-full-own")}, vcpus: 2, pages: 100})
	mem := r.host.Machine.Mem
	for i, flags := range []uint64{kvmcore.RingFlagDirty, kvmcore.RingFlagReset} {
		ring := &r.vm.VCPUs[i].Ring
		mem.Store(ring.EntryPA(0)+4, 4, 1, 0)
		mem.Store(ring.EntryPA(0), 4, flags, 0)
		ring.DirtyIndex = 1
	}
	m := &r.v.main
	m.startReap(0, 1)
	for m.stepReap() != finished {
	}
	want := []Finding{{At: m.now(), Kind: FindingResetCount, A: 1, B: 2}}
	if d := cmp.Diff(want, r.v.Findings); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}

// TestCyclesAddUp: where a thread's time went adds up to the time that passed.
func TestCyclesAddUp(t *testing.T) {
	for name, spec := range specs() {
		r := newRig(t, config{spec: spec, vcpus: 4, pages: 2000, writes: 3000})
		r.run()
		r.checkCycles(name)
	}
}

func (r *rig) checkCycles(name string) {
	r.t.Helper()
	check := func(what string, th *thread) {
		sum := sim.Cycle(0)
		for _, n := range th.kt.Cycles {
			sum += sim.Cycle(n)
		}
		for _, n := range th.Waits {
			sum += n
		}
		if th != &r.v.main.thread {
			sum += r.v.started
		}
		if sum != th.now() {
			r.t.Errorf("%s, %s: %d cycles accounted for, its clock says %d", name, what, sum, th.now())
		}
	}
	check("main", &r.v.main.thread)
	for i := range r.v.vcpus {
		check(fmt.Sprintf("vCPU %d", i), &r.v.vcpus[i].thread)
	}
}

// TestPauseAndSave: for every save all vCPUs have left KVM_RUN, and afterwards
// they go on.
func TestPauseAndSave(t *testing.T) {
	for name, spec := range specs() {
		spec.SaveEvery = 150_000
		saves := 0
		r := newRig(t, config{spec: spec, vcpus: 4, writes: 3000, save: func(r *rig, kt *kvmcore.Thread) kvmcore.Errno {
			saves++
			for i, c := range r.vm.VCPUs {
				if c.Thread.VCPU != nil || r.v.vcpus[i].state != vcpuStopped {
					t.Errorf("%s, save %d: vCPU %d is in KVM_RUN", name, saves, i)
				}
			}
			kt.Core.Now += 1000
			return kvmcore.OK
		}})
		r.run()
		if saves < 3 || uint64(saves) != r.v.Stats.Saves || r.v.Stats.SaveCycles != 1000*uint64(saves) {
			t.Errorf("%s: %d saves, counted %d in %d cycles", name, saves, r.v.Stats.Saves, r.v.Stats.SaveCycles)
		}
		if d := r.differing(); len(d) != 0 {
			t.Errorf("%s: %d pages differ", name, len(d))
		}
		for i, c := range r.vm.VCPUs {
			if c.Stats.Stores != 3000 {
				t.Errorf("%s: vCPU %d has done %d stores", name, i, c.Stats.Stores)
			}
			if c.Stats.RepeatFullExits != 0 {
				t.Errorf("%s: vCPU %d entered %d times with a full ring", name, i, c.Stats.RepeatFullExits)
			}
			if w := r.v.vcpus[i].Waits[WaitPaused]; w == 0 {
				t.Errorf("%s: vCPU %d was never paused", name, i)
			}
		}
	}
}

// TestSaveFails: a save that fails is a finding, not the end.
func TestSaveFails(t *testing.T) {
	r := newRig(t, config{spec: specs()["bitmap"], vcpus: 1, writes: 10, save: func(*rig, *kvmcore.Thread) kvmcore.Errno { return kvmcore.EBUSY }})
	r.run()
	if len(r.v.Findings) != 1 || r.v.Findings[0].Kind != FindingSaveFailed || r.v.Findings[0].String() != "saving the device tables failed: EBUSY" {
		t.Errorf("findings %v", r.v.Findings)
	}
}

// TestRandomMachines: machines of all kinds, put together at random, all end with
// the destination's bytes equal, no finding, empty rings and a full account of time.
func TestRandomMachines(t *testing.T) {
	for seed := range uint64(60) {
		rng := sim.NewStream(seed, "machines")
		pick := func(n uint64) int { return int(rng.N(n)) }
		cfg := config{
			vcpus: 1 + pick(12), slots: 1 + pick(4), pages: 64 + rng.N(3000), seed: seed,
			page:    []mmu.Granule{mmu.Granule4K, mmu.Granule4K, mmu.Granule16K, mmu.Granule64K}[pick(4)],
			backing: []kvmcore.Backing{kvmcore.Backing4K, kvmcore.BackingTHP}[pick(2)],
			kernel:  []string{"7.2+fixed", "7.2", "6.12"}[pick(3)],
		}
		cfg.spec = Spec{
			Track: 1 + Tracking(pick(uint64(numTrackings-1))), Policy: Policies()[pick(uint64(len(Policies())))],
			Period: sim.Cycle(50_000 + rng.N(800_000)), Quantum: sim.Cycle(100 + rng.N(20_000)), ClearShift: uint8(6 + pick(10)),
		}
		if cfg.spec.Track == TrackRing {
			cfg.kernel = "7.2+fixed" // ring only loses pages of blocks otherwise
		}
		cfg.initSet = pick(2) == 0
		cfg.ring = max(256, uint32(cfg.page.Size()/kvmcore.RingEntryBytes)) << pick(3)
		if pick(3) == 0 {
			cfg.spec.SaveEvery = sim.Cycle(30_000 + rng.N(500_000))
		}
		if pick(2) == 0 {
			cfg.spec.Until = sim.Cycle(100_000 + rng.N(2_000_000))
		} else {
			cfg.writes = 200 + pick(2000)
		}
		r := newRig(t, cfg)
		r.run()
		name := fmt.Sprintf("seed %d: %s, %s, %d vCPUs, kernel %s", seed, cfg.spec.Track, cfg.spec.Policy.Name, cfg.vcpus, cfg.kernel)
		if d := r.differing(); len(d) != 0 {
			t.Errorf("%s: %d pages differ, the first is %#x", name, len(d), d[0])
		}
		if len(r.v.Findings) != 0 {
			t.Errorf("%s: findings %v", name, r.v.Findings)
		}
		r.checkRings()
		r.checkCycles(name)
	}
}

// TestDeterminism: two runs are equal in every bit; another seed is not.
func TestDeterminism(t *testing.T) {
	for name, spec := range specs() {
		hash := func(seed uint64) uint64 {
			r := newRig(t, config{spec: spec, vcpus: 4, writes: 2000, seed: seed})
			r.run()
			return r.hash()
		}
		a, b, c := hash(1), hash(1), hash(2)
		if a != b {
			t.Errorf("%s: two runs hash to %x and %x", name, a, b)
		}
		if a == c {
			t.Errorf("%s: two seeds hash to %x", name, a)
		}
	}
}

// TestSnapshot: saved in the middle, restored into a fresh machine and continued,
// a run ends as the undisturbed one.
func TestSnapshot(t *testing.T) {
	for name, spec := range specs() {
		t.Run(name, func(t *testing.T) {
			cfg := config{spec: spec, vcpus: 4, slots: 2, pages: 700, writes: 4000, seed: 3}
			whole := newRig(t, cfg)
			whole.run()
			end := whole.engine.Now()
			for _, at := range []sim.Cycle{1, end / 7, end / 3, end / 2, end * 9 / 10, end - 100} {
				r := newRig(t, cfg)
				r.v.Start()
				r.engine.Run(at)
				enc := sim.NewEncoder()
				r.sync(enc)
				before := r.hash()

				fresh := newRig(t, cfg)
				dec := sim.NewDecoder(enc.Finish())
				fresh.sync(dec)
				if dec.Err() != nil {
					t.Fatalf("cycle %d: %v", at, dec.Err())
				}
				if got := fresh.hash(); got != before {
					t.Fatalf("cycle %d: hash %x saved, %x restored", at, before, got)
				}
				fresh.engine.Run(1 << 40)
				if !fresh.v.Done() {
					t.Fatalf("cycle %d: the restored run does not end", at)
				}
				if got, want := fresh.hash(), whole.hash(); got != want {
					t.Errorf("cycle %d: the restored run ends with hash %x, the undisturbed one with %x", at, got, want)
				}
			}
		})
	}
}

// TestSnapshotEverywhere cuts one run of each kind at many places, so that every
// step of every program is once the one that is interrupted.
func TestSnapshotEverywhere(t *testing.T) {
	for name, spec := range specs() {
		t.Run(name, func(t *testing.T) {
			spec.Period, spec.Quantum, spec.SaveEvery = 60_000, 500, 100_000
			cfg := config{spec: spec, vcpus: 3, pages: 5000, writes: 250, seed: 5}
			whole := newRig(t, cfg)
			whole.run()
			want := whole.hash()
			steps := map[string]bool{}
			for at := sim.Cycle(500); at < whole.v.ended; at += whole.v.ended / 150 {
				r := newRig(t, cfg)
				r.v.Start()
				r.engine.Run(at)
				m := &r.v.main
				steps[fmt.Sprint(scripts[m.script][m.ip], m.sub)] = true
				enc := sim.NewEncoder()
				r.sync(enc)
				fresh := newRig(t, cfg)
				dec := sim.NewDecoder(enc.Finish())
				if fresh.sync(dec); dec.Err() != nil {
					t.Fatalf("cycle %d: %v", at, dec.Err())
				}
				if fresh.engine.Run(1 << 40); fresh.hash() != want {
					t.Errorf("cycle %d, step %d.%d: the restored run ends differently", at, scripts[m.script][m.ip], m.sub)
				}
			}
			if len(steps) < 4 {
				t.Errorf("only the steps %v were interrupted", steps)
			}
		})
	}
}

// TestObserverChangesNothing: events of an observer between those of the threads
// do not shift who does what when.
func TestObserverChangesNothing(t *testing.T) {
	cfg := config{spec: specs()["ring+bitmap,on-full-all"], vcpus: 4, writes: 3000}
	plain, watched := newRig(t, cfg), newRig(t, cfg)
	plain.run()
	w := &observer{}
	w.id = watched.engine.Register("observer", w)
	watched.engine.Schedule(sim.Event{At: 1, Comp: w.id, Class: sim.ClassObserve})
	watched.v.Start()
	watched.engine.Run(1 << 30)
	sum := func(r *rig) uint64 {
		h := sim.NewHasher()
		r.host.Sync(h)
		r.dst.Sync(h)
		return h.Sum()
	}
	if w.seen == 0 || sum(plain) != sum(watched) {
		t.Errorf("%d observations change the run", w.seen)
	}
}

type observer struct {
	id   sim.ComponentID
	seen int
}

func (o *observer) Handle(e *sim.Engine, ev sim.Event) {
	o.seen++
	e.Schedule(sim.Event{At: ev.At + 1777, Comp: o.id, Class: sim.ClassObserve})
}

// TestSpecRefused: what cannot work is refused with a reason.
func TestSpecRefused(t *testing.T) {
	for _, s := range []Spec{
		{Track: numTrackings},
		{Track: TrackRing},
		{Track: TrackRing, Policy: policy("interval")},
		{Track: TrackClearLog, ClearShift: 5},
		{Track: TrackClearLog, ClearShift: 32},
	} {
		if err := s.Validate(); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

// TestNames: every name that users type leads back to what it names.
func TestNames(t *testing.T) {
	for _, want := range trackings {
		if tr, ok := ParseTracking(want.name); !ok || tr.String() != want.name {
			t.Errorf("tracking %q parses as %v", want.name, tr)
		}
	}
	for _, p := range Policies() {
		if q, ok := ParsePolicy(p.Name); !ok || q != p || p.Desc == "" || p.Source == "" {
			t.Errorf("policy %q parses as %+v", p.Name, q)
		}
	}
	if _, ok := ParsePolicy("nonsense"); ok {
		t.Error("a policy of any name")
	}
}

// TestStatistics: kernel and userspace register side by side, and what the
// scenarios' records are made of is there and true.
func TestStatistics(t *testing.T) {
	r := newRig(t, config{spec: specs()["ring+bitmap,on-full-all"], vcpus: 2, writes: 3000})
	stats := sim.NewStats()
	r.host.Register(stats, r.vm)
	r.v.Register(stats)
	r.run()
	got := map[string]float64{}
	stats.Each(func(s sim.Stat) {
		got[s.Name] = s.Value
		if s.Desc == "" {
			t.Errorf("%s has no description", s.Name)
		}
	})
	for _, name := range []string{
		"ring.pushes", "ring.unique_pages", "ring.duplicates", "ring.full_exits", "ring.repeat_full_exits", "ring.harvested",
		"reset.entries", "reset.batches", "bitmap.bits_set", "bitmap.pages", "bitmap.density", "fault.write", "fault.translation",
		"fault.permission", "nonvcpu.writes", "lost.total", "guest.cycles", "guest.instructions", "time.cycles",
		"mem.tracking_bytes", "vcpu.1.ring.full_exits", "vcpu.1.cycles.fault", "vmm.cycles.harvest", "vmm.waits.sleep",
	} {
		if _, ok := got[name]; !ok {
			t.Errorf("no statistic %s", name)
		}
	}
	for name, want := range map[string]float64{
		"ring.harvested":     got["ring.pushes"],
		"reset.entries":      got["ring.pushes"],
		"guest.instructions": 2 * 3000 * 40,
		"mem.tracking_bytes": 2*256*16 + 2*512/8, // two rings, both halves of one bitmap
		"time.cycles":        float64(r.v.RunTime()),
		"vmm.pages_sent":     float64(r.log.pages),
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if got["guest.cycles"] == 0 || got["time.cycles"] < got["guest.cycles"]/2 {
		t.Errorf("%v guest cycles in %v", got["guest.cycles"], got["time.cycles"])
	}
}

// TestSyncDamaged: a snapshot with any byte changed or missing is refused or
// loads, and never panics.
func TestSyncDamaged(t *testing.T) {
	cfg := config{spec: specs()["ring+bitmap,on-full-all"], vcpus: 3, writes: 2000}
	r := newRig(t, cfg)
	r.v.Start()
	r.engine.Run(900_000)
	enc := sim.NewEncoder()
	r.v.Sync(enc)
	state := enc.Finish()
	fresh := newRig(t, cfg)
	for i := range state {
		bad := append([]byte(nil), state...)
		bad[i] ^= 1 << (i % 8)
		fresh.v.Sync(sim.NewDecoder(bad))
		bad[i] = 0xff
		fresh.v.Sync(sim.NewDecoder(bad))
		dec := sim.NewDecoder(state[:i])
		if fresh.v.Sync(dec); dec.Err() == nil {
			t.Errorf("%d of %d bytes are accepted", i, len(state))
		}
	}
}

// TestForeignThread: a component of somebody else, whose kernel thread competes
// for the slots lock, is told when it gets it.
func TestForeignThread(t *testing.T) {
	r := newRig(t, config{spec: specs()["ring+bitmap,on-full-own"], vcpus: 8, pages: 4096, writes: 3000})
	f := &foreigner{rig: r, thread: r.host.NewThread(r.host.Machine.Cores[8], "foreign")}
	f.comp = r.engine.Register("foreign", f)
	r.v.Adopt(f.thread, f.comp)
	r.engine.Schedule(sim.Event{At: 1000, Comp: f.comp})
	r.run()
	if d := r.differing(); len(d) != 0 || len(r.v.Findings) != 0 {
		t.Errorf("%d pages differ, findings %v", len(d), r.v.Findings)
	}
	if f.woken == 0 || f.done < 10 {
		t.Errorf("%d calls, %d times woken: too little happened", f.done, f.woken)
	}
}

// foreigner asks for the dirty log over and over.
type foreigner struct {
	rig         *rig
	thread      *kvmcore.Thread
	comp        sim.ComponentID
	inside      bool
	log         kvmcore.DirtyLog
	done, woken int
}

func (f *foreigner) Handle(e *sim.Engine, ev sim.Event) {
	if f.rig.v.Done() {
		return
	}
	if ev.Kind == EventWoken {
		f.woken++
	}
	core := f.thread.Core
	core.Now = max(core.Now, ev.At)
	if !f.inside {
		f.thread.StartGetDirtyLog(f.rig.vm, 1, &f.log)
		f.inside = true
	}
	switch f.thread.Step() {
	case kvmcore.Blocked:
		return
	case kvmcore.Done:
		f.inside = false
		f.done++
		core.Now += 3000
	}
	f.rig.v.Wake() // whoever steps a thread passes on whom it has let go
	e.Schedule(sim.Event{At: core.Now, Comp: f.comp})
}

// TestRunFails: a vCPU whose KVM_RUN fails is out, with a finding; the others and
// the migration go on.
func TestRunFails(t *testing.T) {
	r := newRig(t, config{spec: specs()["bitmap"], vcpus: 2, writes: 500, setup: func(r *rig) {
		hole := kvmcore.Region{Slot: 77, GPA: 1 << 36, Size: 1 << 20, HVA: 0x10000}
		if e := r.vm.SetUserMemoryRegion(hole); e != kvmcore.OK {
			r.t.Fatal(e)
		}
		r.vm.VCPUs[1].Guest.(*scatter).at = func(int, uint64) mmu.IPA { return hole.GPA }
	}})
	r.run()
	want := []Finding{{Kind: FindingRunFailed, VCPU: 1, A: uint64(kvmcore.EFAULT)}}
	for i := range r.v.Findings {
		r.v.Findings[i].At = 0
	}
	if d := cmp.Diff(want, r.v.Findings); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if n := r.vm.VCPUs[0].Stats.Stores; n != 500 {
		t.Errorf("the other vCPU has done %d stores", n)
	}
	if d := r.differing(); len(d) != 0 {
		t.Errorf("%d pages differ", len(d))
	}
}
