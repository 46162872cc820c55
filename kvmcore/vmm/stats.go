package vmm

import (
	"fmt"

	"ringmap/kvmcore"
	"ringmap/sim"
)

// Stats counts what userspace did.
type Stats struct {
	Reaps, Resets  uint64
	Harvested      uint64 // ring entries
	UnknownEntries uint64 // of these: slot unknown or offset past its end
	Rounds         uint64 // collections, the final one included
	Clears         uint64
	Saves          uint64
	SaveCycles     uint64
	BitmapPages    uint64 // bits that GET returned
	BitmapScanned  uint64 // pages of the slots it was asked about
	PagesSent      uint64
	UntouchedSent  uint64 // of these: pages that nothing was ever in
	Findings       uint64
	PauseAlls      uint64 // times that a full ring stopped every vCPU
	Flagged        uint64 // rounds that found the flag of a full ring
	Edits          uint64 // ring entries that a hostile userspace changed
}

// Register adds the userspace half of a run's statistics; kvmcore registers the
// kernel's half. Call it once the vCPUs exist.
func (v *VMM) Register(s *sim.Stats) {
	st := &v.Stats
	s.Counter("ring.harvested", "entries", "ring entries that userspace consumed", &st.Harvested)
	s.Counter("ring.unknown_entries", "entries", "harvested entries with an unknown slot or an offset past its end, ignored", &st.UnknownEntries)
	s.Counter("vmm.reaps", "", "times that rings were drained", &st.Reaps)
	s.Counter("vmm.rounds", "", "collections, the final one included", &st.Rounds)
	s.Counter("vmm.pages_sent", "pages", "host pages copied to the destination", &st.PagesSent)
	s.Counter("vmm.untouched_sent", "pages", "of the pages sent: never touched, zeros on both sides", &st.UntouchedSent)
	s.Counter("vmm.saves", "", "times that device tables were saved", &st.Saves)
	s.Counter("vmm.save_cycles", "cycles", "spent saving device tables", &st.SaveCycles)
	s.Counter("vmm.pause_alls", "", "times that a full ring stopped every vCPU", &st.PauseAlls)
	s.Counter("vmm.flagged_rounds", "", "collections that read the bitmaps because the flag said that a ring was full", &st.Flagged)
	s.Counter("vmm.edits", "entries", "ring entries that a hostile userspace changed before their reset", &st.Edits)
	s.Counter("vmm.findings", "", "things that a real VMM would have died of", &st.Findings)
	s.Counter("vmm.big_lock.acquired", "", "times the big lock was taken", &v.big.Acquired)
	s.Counter("vmm.big_lock.contended", "", "times it had to be waited for", &v.big.Contended)
	s.Counter("bitmap.pages", "pages", "bits set in the bitmaps that KVM_GET_DIRTY_LOG returned", &st.BitmapPages)
	s.Derived("bitmap.density", "", "bits set per page of the bitmaps collected", func() float64 {
		if st.BitmapScanned == 0 {
			return 0
		}
		return float64(st.BitmapPages) / float64(st.BitmapScanned)
	})

	s.Derived("time.cycles", "cycles", "from the start of the vCPUs until the last has ended or was stopped", func() float64 {
		return float64(v.RunTime())
	})
	s.Derived("time.downtime_cycles", "cycles", "from the stop of the vCPUs to the end of the final collection", func() float64 {
		return float64(v.Downtime())
	})
	s.Derived("guest.cycles", "cycles", "spent by all guests on their own instructions", func() float64 {
		n := uint64(0)
		for i := range v.vcpus {
			n += v.vcpus[i].vcpu.Stats.GuestCycles
		}
		return float64(n)
	})
	s.Derived("guest.instructions", "instructions", "retired by all guests", func() float64 {
		n := uint64(0)
		for i := range v.vcpus {
			n += v.vcpus[i].vcpu.Stats.Instructions
		}
		return float64(n)
	})
	s.Derived("mem.tracking_bytes", "bytes", "kernel memory of dirty rings and of both halves of dirty bitmaps", func() float64 {
		return float64(v.TrackingBytes())
	})

	s.Derived("mem.user_ring_bytes", "bytes", "userspace's memory of dirty rings in layout user-copy", func() float64 {
		return float64(v.UserRingBytes())
	})

	if v.Migrate != nil {
		v.registerMigration(s)
	}
	if v.Checkpoint != nil {
		v.registerEpochs(s)
	}
	v.registerScheduler(s)
	v.main.register(s, "vmm")
	for i := range v.vcpus {
		c := &v.vcpus[i]
		prefix := fmt.Sprintf("vcpu.%d", i)
		c.register(s, prefix)
		s.Counter(prefix+".ring.harvested", "entries", "entries that userspace consumed from this ring", &v.harvested[i])
		for e := range c.Exits {
			s.Counter(prefix+".exits."+exitNames[e], "", "returns of KVM_RUN", &c.Exits[e])
		}
		s.Derived(prefix+".time.cycles", "cycles", "from its start until its guest ended or was stopped", func() float64 {
			return float64(v.VCPUTime(i))
		})
	}
}

// register adds where the thread's time went: what it executed, by cause, and
// what it waited for.
func (t *thread) register(s *sim.Stats, prefix string) {
	for cause := range t.kt.Cycles {
		s.Counter(prefix+".cycles."+kvmcore.Cause(cause).String(), "cycles", "where this thread's time went", &t.kt.Cycles[cause])
	}
	for w := range t.Waits {
		if Wait(w) != WaitKernel { // booked by the kernel as lock_wait
			s.Counter(prefix+".waits."+waitNames[w], "cycles", "what this thread waited for", (*uint64)(&t.Waits[w]))
		}
	}
}

// TrackingBytes is the kernel memory that dirty tracking takes now. A ring in
// userspace's memory is not in it: see UserRingBytes.
func (v *VMM) TrackingBytes() uint64 {
	n, layout := uint64(0), v.VM.Design.Layout
	for i := range v.VM.Rings() {
		if r := v.VM.Ring(i); r.Size != 0 && !layout.User {
			n += uint64(r.Size)*kvmcore.RingEntryBytes + layout.IndexBytes()
		}
	}
	if v.VM.FullFlag != 0 {
		n += 4
	}
	for _, s := range v.VM.Slots.All() {
		if s.Bitmap.Exists() {
			n += 2 * 8 * s.Bitmap.Words()
		}
	}
	return n
}

// UserRingBytes is the memory of userspace that rings take, in layout user-copy.
func (v *VMM) UserRingBytes() (n uint64) {
	if !v.VM.Design.Layout.User {
		return 0
	}
	for i := range v.VM.Rings() {
		n += uint64(v.VM.Ring(i).Size) * kvmcore.RingEntryBytes
	}
	return n
}
