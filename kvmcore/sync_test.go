package kvmcore_test

import (
	"bytes"
	"fmt"
	"testing"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads/script"
)

// site is a host with one VM whose two vCPUs write logged memory of all
// backings, partly fresh, while the VMM harvests, resets and deletes a slot.
type site struct {
	host    *kvmcore.Host
	vm      *kvmcore.VM
	vmm     *kvmcore.Thread
	streams []*script.Stream
	fetch   []uint32
	step    int
}

func newSite(t *testing.T, memory bool) *site {
	t.Helper()
	k, err := kvmcore.ParseKernel("7.2")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := kvmcore.LoadProfile("n1")
	if err != nil {
		t.Fatal(err)
	}
	h := kvmcore.NewHost(kvmcore.HostSpec{Kernel: k, Profile: profile, Cores: 3})
	s := &site{host: h, vm: h.CreateVM(), vmm: h.NewThread(h.Machine.Cores[2], "vmm"), fetch: make([]uint32, 2)}
	for _, c := range []uint32{kvmcore.CapDirtyRingAcqRel, kvmcore.CapDirtyRingBitmap} {
		if _, e := s.vm.EnableCap(c, 0, [4]uint64{4096}); e != kvmcore.OK {
			t.Fatal(e)
		}
	}
	var area script.Area
	for id := range uint64(2) {
		v, e := s.vm.CreateVCPU(id)
		if e != kvmcore.OK {
			t.Fatal(e)
		}
		stream := script.NewStream(int(id))
		ops := []script.Op{
			{Kind: script.ReadLCG, Base: 0x40000000, Pages: 2000, Count: 300, Val: id},
			{Kind: script.WriteLCG, Base: 0x40000000, Pages: 2000, Count: 900, Val: id + 7},
			{Kind: script.MMIOExit, Val: id},
			{Kind: script.Loop, Target: 0, Count: 1000},
		}
		if _, err := area.Append(stream, ops); err != nil {
			t.Fatal(err)
		}
		v.Guest = stream
		s.streams = append(s.streams, stream)
	}
	if memory {
		s.region(t, script.Slot, 0, script.Base, 1<<20, kvmcore.Backing4K, true)
		s.region(t, 1, kvmcore.SlotLogDirty, 0x40000000, 4<<20, kvmcore.BackingTHP, true)
		s.region(t, 2, kvmcore.SlotLogDirty, 0x40400000, 4<<20, kvmcore.Backing4K, false)
	}
	return s
}

func (s *site) region(t *testing.T, id uint32, flags kvmcore.SlotFlags, gpa mmu.IPA, size uint64, b kvmcore.Backing, populated bool) {
	t.Helper()
	hva := s.host.Memory.Map(size, b, populated)
	if e := s.vm.SetUserMemoryRegion(kvmcore.Region{Slot: id, Flags: uint32(flags), GPA: gpa, Size: size, HVA: hva}); e != kvmcore.OK {
		t.Fatal(e)
	}
}

// round lets both vCPUs run a short while, wherever in a fault that ends, and
// every few rounds the VMM collects.
func (s *site) round(t *testing.T) {
	for i, v := range s.vm.VCPUs {
		if v.Thread.VCPU == nil {
			v.Enter()
		}
		for limit := v.Thread.Core.Now + 40001; v.Continue(limit) == kvmcore.RunFault; {
		}
		if s.step%9 != 8 {
			continue
		}
		for m := s.host.Machine.Mem; m.Load(v.Ring.EntryPA(s.fetch[i]), 4) == kvmcore.RingFlagDirty; s.fetch[i]++ {
			m.Store(v.Ring.EntryPA(s.fetch[i]), 4, kvmcore.RingFlagReset, mmu.WriterVMM)
		}
	}
	s.step++
	switch idle := s.vmm.Step() == kvmcore.Done; {
	case idle && s.step > 150 && s.vm.Slots.ByID(5) == nil:
		hva := s.host.Memory.Map(1<<20, kvmcore.BackingHugetlb2M, true)
		s.vmm.StartSetMemoryRegion(s.vm, kvmcore.Region{Slot: 5, Flags: 1, GPA: 0x50000000, Size: 1 << 20, HVA: hva})
	case idle && s.step%9 == 0:
		s.vmm.StartReset(s.vm)
	}
	for range 40 {
		s.vmm.Step()
	}
}

func (s *site) sync(c *sim.Codec) {
	s.host.Sync(c)
	for _, g := range s.streams {
		g.Sync(c)
	}
	for i := range s.fetch {
		c.U32(&s.fetch[i])
	}
	c.Int(&s.step)
}

func (s *site) save() []byte {
	c := sim.NewEncoder()
	s.sync(c)
	return c.Finish()
}

// Save, restore into a host that was built alike (its memslots apart), continue:
// byte for byte the undisturbed run, whatever was under way.
func TestHostSync(t *testing.T) {
	const rounds = 240
	want := newSite(t, true)
	saved := map[int][]byte{}
	for i := range rounds {
		if i%17 == 3 {
			saved[i] = want.save()
		}
		want.round(t)
	}
	end := want.save()
	if used := want.vm.VCPUs[0].Stats.Pushes; used < 200 {
		t.Fatalf("only %d pushes happened", used)
	}
	for at, state := range saved {
		s := newSite(t, false)
		c := sim.NewDecoder(state)
		s.sync(c)
		if c.Err() != nil {
			t.Fatalf("round %d: %v", at, c.Err())
		}
		if !bytes.Equal(s.save(), state) {
			t.Errorf("round %d: the restored host saves differently", at)
		}
		for range rounds - at {
			s.round(t)
		}
		if !bytes.Equal(s.save(), end) {
			t.Errorf("restored after round %d, the run ends differently", at)
		}
	}
}

// A snapshot that does not fit the machine, or is damaged, gives an error.
func TestHostSyncRefuses(t *testing.T) {
	s := newSite(t, true)
	for range 20 {
		s.round(t)
	}
	state := s.save()
	other := newSite(t, false)
	other.vm.CreateVCPU(9)
	c := sim.NewDecoder(state)
	other.sync(c)
	if c.Err() == nil {
		t.Error("a host with another vCPU is accepted")
	}
	for at := 0; at < len(state); at += 1 + len(state)/300 {
		for _, damage := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(state)
			bad[at] ^= damage
			newSite(t, false).sync(sim.NewDecoder(bad)) // may fit, must not panic
		}
		c := sim.NewDecoder(state[:at])
		newSite(t, false).sync(c)
		if c.Err() == nil {
			t.Fatalf("%d of %d bytes are accepted", at, len(state))
		}
	}
}

func ExampleParseKernel() {
	k, err := kvmcore.ParseKernel("6.12")
	fmt.Println(k.Version, err)
	_, err = kvmcore.ParseKernel("6.13")
	fmt.Println(err)
	// Output:
	// 612 <nil>
	// unknown kernel "6.13": it is one of 7.2, 6.12, 7.2+fixed
}
