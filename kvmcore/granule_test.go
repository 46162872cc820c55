package kvmcore

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// Hosts with 16 and 64 KiB pages: pages of that size are recorded, blocks are of
// 32 and 512 MiB, and the smallest ring of a 64 KiB host has 4096 entries.
func TestGranules(t *testing.T) {
	for page, block := range map[mmu.Granule]uint64{mmu.Granule16K: 32 << 20, mmu.Granule64K: 512 << 20} {
		ring := uint32(page.Size() / RingEntryBytes)
		r := newRig(t, mode{page: page, ring: ring, bitmap: true, pages: uint64(ring) + 100})
		pages := upTo(uint64(ring))
		r.do(0, GuestStore, pages...)
		r.mmio(0)
		if run := r.run(0); run.ExitReason != ExitDirtyRingFull || r.vm.VCPUs[0].Ring.Used() != ring-64 {
			t.Errorf("page %d: exit %d with %d used", page.Size(), run.ExitReason, r.vm.VCPUs[0].Ring.Used())
		}
		var fetch uint32
		got := r.harvest(0, &fetch, 1<<20)
		if d := cmp.Diff(pages[:ring-64], got); d != "" {
			t.Errorf("page %d: %s", page.Size(), d)
		}
		if n := r.reset(); n != int64(len(got)) || r.stillWritable(got) != nil {
			t.Errorf("page %d: reset returned %d", page.Size(), n)
		}
		r.vm.tableWriteInProgress = true
		if e := r.vm.writeGuest(r.t, testBase+mmu.IPA(3*page.Size()-1), []byte{1, 2}); e != OK {
			t.Fatal(e)
		}
		if d := cmp.Diff([]uint64{2, 3}, r.get()); d != "" {
			t.Errorf("page %d: %s", page.Size(), d)
		}

		perBlock := block / page.Size()
		r = newRig(t, mode{page: page, ring: ring, pages: 4 * perBlock, backing: BackingTHP})
		first := (block - uint64(testBase)%block) % block / page.Size() // of the first whole block
		r.write(0, first+5, first+9)
		if d := cmp.Diff([]uint64{first}, r.ringPages(0)); d != "" {
			t.Errorf("page %d, blocks: %s", page.Size(), d)
		}
	}
}

// The story of a page: every fault, record and protection, and how it was lost.
func TestStory(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 100})
	r.h.Watch(r.vm, r.slot().Base+3)
	r.do(0, GuestLoad, 3)
	r.write(0, 2, 3, 4)
	var fetch uint32
	r.harvest(0, &fetch, 100)
	r.reset()
	r.vm.writeGuest(r.t, testBase+3<<12, []byte{1})
	r.get()
	type event struct {
		Kind StoryKind
		VCPU int32
		A, B uint64
	}
	var got []event
	for _, e := range r.h.Story.Events {
		got = append(got, event{e.Kind, e.VCPU, e.A, e.B})
		if e.String() == "" || e.text() == "unknown event" {
			t.Errorf("%+v has no words", e)
		}
	}
	want := []event{
		{StoryFault, 0, uint64(mmu.AccessRead), 0}, {StoryMapped, 0, 0, 4096},
		{StoryFault, 0, uint64(mmu.AccessWrite), 1}, {StoryMapped, 0, 1, 4096}, {StoryPushed, 0, 1, 0},
		{StoryReset, -1, 0, 0}, {StoryProtected, -1, 0, 0},
		{StoryKernelWrite, -1, 1, 0}, {StoryBitSet, -1, 0, 0},
		{StoryCollected, -1, 1, 0}, {StoryProtected, -1, 0, 0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s\n%s", d, r.h.Story)
	}
}

// Every statistic has a name of its own, a description, and the sums add up.
func TestRegister(t *testing.T) {
	r := newRig(t, mode{ring: 256, bitmap: true, pages: 100, vcpus: 2})
	r.write(0, upTo(10)...)
	r.write(1, upTo(30)...)
	stats := sim.NewStats()
	r.h.Register(stats, r.vm)
	got := map[string]float64{}
	stats.Each(func(s sim.Stat) {
		if s.Desc == "" {
			t.Errorf("%s says nothing", s.Name)
		}
		got[s.Name] = s.Value
	})
	for name, want := range map[string]float64{
		"vcpu.0.ring.pushes": 10, "vcpu.1.ring.pushes": 20, "ring.pushes": 30, "ring.unique_pages": 30,
		"ring.duplicates": 0, "fault.write": 32, "lost.total": 0, "vcpu.1.guest.stores": 30, "guest.stores": 40,
		"bitmap.records": 0, "mmio.user": 2, "run.calls": 2,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}

// Pages count as unique once between two epochs.
func TestUniquePages(t *testing.T) {
	r := newRig(t, mode{ring: 512, bitmap: true, pages: 1 << 20, fresh: true, vcpus: 2})
	pages := []uint64{1, 4095, 4096, 1<<20 - 1}
	var fetch [2]uint32
	for i := range 4 {
		if i == 2 {
			r.h.NextPageEpoch()
		}
		r.write(i%2, pages...)
		r.harvest(i%2, &fetch[i%2], 100)
		r.reset()
	}
	s := &r.h.Stats
	if s.UniquePages != 8 || s.DuplicatePushes != 8 || r.vm.VCPUs[0].Stats.UniquePages != 8 {
		t.Error(fmt.Sprint(s.UniquePages, s.DuplicatePushes, r.vm.VCPUs[0].Stats.UniquePages))
	}
}
