package kvmcore

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// naive is what the ring+bitmap interface promises for pages of 4 KiB, as plainly
// as it can be said: sets and lists of pages.
type naive struct {
	soft     int
	writable map[uint64]bool
	memory   map[uint64]uint64 // guest memory, first word of each page
	todo     [][]uint64        // per vCPU: pages still to be written
	ring     [][]uint64        // per vCPU: entries pushed and not reset
	bits     map[uint64]bool
	stuck    []bool // full, and not entered since
}

// run is KVM_RUN up to a full ring or the end of the vCPU's work: true = full.
func (n *naive) run(v int) bool {
	if n.stuck[v] && len(n.ring[v]) >= n.soft {
		return true
	}
	n.stuck[v] = false
	for len(n.todo[v]) > 0 {
		p := n.todo[v][0]
		if !n.writable[p] { // the fault records it; the store comes when the guest retries
			n.writable[p] = true
			n.ring[v] = append(n.ring[v], p)
			if len(n.ring[v]) >= n.soft {
				n.stuck[v] = true
				return true
			}
		}
		n.memory[p] = p + 1
		n.todo[v] = n.todo[v][1:]
	}
	return false
}

// reset frees the first k entries of vCPU v's ring. Entries whose pages span
// less than 64 are protected together, with all that lies between.
func (n *naive) reset(v, k int) {
	var batch []uint64
	protect := func() {
		if len(batch) > 0 {
			n.protect(slices.Min(batch), slices.Max(batch))
		}
	}
	for _, p := range n.ring[v][:k] {
		all := append(slices.Clone(batch), p)
		if slices.Max(all)-slices.Min(all) >= 64 {
			protect()
			all = []uint64{p}
		}
		batch = all
	}
	protect()
	n.ring[v] = n.ring[v][k:]
}

func (n *naive) protect(low, high uint64) {
	for p := low; p <= high; p++ {
		delete(n.writable, p)
	}
}

// get is KVM_GET_DIRTY_LOG: sorted pages, cleared, their words' spans protected.
func (n *naive) get() (pages []uint64) {
	words := map[uint64][]uint64{}
	for p := range n.bits {
		pages = append(pages, p)
		words[p/64] = append(words[p/64], p)
	}
	for _, w := range words {
		n.protect(slices.Min(w), slices.Max(w))
	}
	n.bits = map[uint64]bool{}
	slices.Sort(pages)
	return pages
}

// Random vCPU writes, kernel writes, partial harvests, resets and collections
// against the naive model: the invariants of kvm-dirty-tracking.md 8.4.
func TestAgainstNaive(t *testing.T) {
	for seed := range uint64(40) {
		rnd := sim.NewStream(seed, "naive")
		pages := 20 + rnd.N(500)
		vcpus := int(1 + rnd.N(3))
		r := newRig(t, mode{ring: 256, bitmap: true, pages: pages, vcpus: vcpus, kernel: []string{"7.2", "6.12"}[seed%2]})
		r.vm.tableWriteInProgress = true
		n := &naive{
			soft: 192, writable: map[uint64]bool{}, memory: map[uint64]uint64{}, bits: map[uint64]bool{},
			todo: make([][]uint64, vcpus), ring: make([][]uint64, vcpus), stuck: make([]bool, vcpus),
		}
		copies := map[uint64]uint64{} // what a migration has sent
		fetch := make([]uint32, vcpus)
		word := func(p uint64) uint64 {
			var b [8]byte
			r.vm.readGuest(r.t, testBase+mmu.IPA(p<<12), b[:])
			return binary.LittleEndian.Uint64(b[:])
		}
		send := func(pages []uint64) {
			for _, p := range pages {
				copies[p] = word(p)
			}
		}
		resetAll := func(harvested [][]uint64) {
			want := 0
			for v, h := range harvested {
				want += len(h)
				n.reset(v, len(h))
			}
			if got := r.reset(); got != int64(want) { // invariant 4
				t.Fatalf("seed %d: reset returned %d, want %d", seed, got, want)
			}
			for v, h := range harvested {
				send(h) // only now: a page may be read once it is protected again
				if used := int(r.vm.VCPUs[v].Ring.Used()); used != len(n.ring[v]) {
					t.Fatalf("seed %d: %d entries used, want %d", seed, used, len(n.ring[v]))
				}
			}
		}
		collect := func(limit func() int) (harvested [][]uint64) {
			for v := range vcpus {
				h := r.harvest(v, &fetch[v], limit())
				if d := cmp.Diff(n.ring[v][:len(h)], h, cmp.Transformer("nil", func(p []uint64) []uint64 { return append([]uint64{}, p...) })); d != "" {
					t.Fatalf("seed %d: ring of vCPU %d: %s", seed, v, d)
				}
				harvested = append(harvested, h)
			}
			return harvested
		}
		for range 120 {
			switch v := int(rnd.N(uint64(vcpus))); rnd.N(8) {
			case 0, 1, 2, 3:
				if len(n.todo[v]) == 0 {
					for range rnd.N(120) {
						p := rnd.N(pages)
						r.do(v, GuestStore, p)
						n.todo[v] = append(n.todo[v], p)
					}
					r.mmio(v)
				}
				if full := n.run(v); r.runChecked(v) != full {
					t.Fatalf("seed %d: vCPU %d full: %v", seed, v, full)
				}
			case 4:
				p := rnd.N(pages)
				x := rnd.Uint64()
				var b [8]byte
				binary.LittleEndian.PutUint64(b[:], x)
				if e := r.vm.writeGuest(r.t, testBase+mmu.IPA(p<<12), b[:]); e != OK {
					t.Fatal(e)
				}
				n.bits[p], n.memory[p] = true, x
			case 5, 6:
				resetAll(collect(func() int { return int(rnd.N(100)) }))
			case 7:
				got := r.get()
				if d := cmp.Diff(n.get(), got); d != "" {
					t.Fatalf("seed %d: GET: %s", seed, d)
				}
				send(got)
			}
		}
		resetAll(collect(func() int { return 1 << 20 }))
		got := r.get()
		n.get()
		send(got)
		for p := range pages { // invariant 1
			if word(p) != n.memory[p] {
				t.Fatalf("seed %d: page %d holds %#x, want %#x", seed, p, word(p), n.memory[p])
			}
			if copies[p] != word(p) {
				t.Errorf("seed %d: page %d was lost: %#x sent of %#x", seed, p, copies[p], word(p))
			}
			if r.writable(p) != n.writable[p] {
				t.Errorf("seed %d: page %d writable: %v", seed, p, r.writable(p))
			}
		}
		if s := r.h.Stats; s.BitsMarked != s.NonVCPURecords { // invariant 2
			t.Errorf("seed %d: vCPUs set %d bits", seed, s.BitsMarked-s.NonVCPURecords)
		}
		if len(r.h.Losses) != 0 || len(r.h.Warns) != 0 {
			t.Errorf("seed %d: losses %v, warnings %v", seed, r.h.Losses, r.h.Warns)
		}
	}
}

// runChecked is KVM_RUN; the guest must never run with a ring at its limit
// (invariant 3). It returns whether the ring was full.
func (r *rig) runChecked(i int) bool {
	v := r.vm.VCPUs[i]
	v.Enter()
	for {
		switch v.Continue(sim.Never) {
		case RunFault:
			if v.Ring.SoftFull() {
				panic("the guest ran with a full ring")
			}
		case RunExit:
			return v.Run.ExitReason == ExitDirtyRingFull
		default:
			panic("KVM_RUN did not return")
		}
	}
}

// FuzzRingEntries lets userspace rewrite ring entries between push and reset.
// The kernel must not panic, must touch no memory but the ring's flags, and must
// not protect pages of a slot that no entry names.
func FuzzRingEntries(f *testing.F) {
	entry := func(i, flags uint8, slot uint32, offset uint64) []byte {
		b := []byte{3, i, flags}
		b = binary.LittleEndian.AppendUint32(b, slot)
		return binary.LittleEndian.AppendUint64(b, offset)
	}
	f.Add([]byte{0, 1, 0, 2, 1, 2})
	f.Add(append([]byte{0, 5}, append(entry(0, 2, 1, ^uint64(0)-4), append(entry(1, 2, 1, 10), 2, 0, 7, 1)...)...))
	f.Add(append([]byte{0, 5, 0, 6}, append(entry(0, 2, 5, 0), 2, 4, 2)...))
	f.Add(append(entry(0, 2, 1, 1<<52), 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		const pages, guard = 96, 8
		r := newRig(t, mode{ring: 256, bitmap: len(data)%2 == 0, pages: pages})
		// A slot on each side of slot 1 that no entry names: their pages stay writable.
		for id, base := range map[uint32]mmu.IPA{7: testBase - guard<<12, 8: testBase + pages<<12} {
			hva := r.h.Memory.Map(guard<<12, Backing4K, true)
			if e := r.vm.SetUserMemoryRegion(Region{Slot: id, GPA: base, Size: guard << 12, HVA: hva}); e != OK {
				t.Fatal(e)
			}
		}
		v := r.vm.VCPUs[0]
		around := []uint64{^uint64(0), ^uint64(0) - 6, pages, pages + 7}
		r.write(0, around...)
		written := map[uint64]bool{}
		for len(data) > 0 {
			op := data[0] % 5
			data = data[1:]
			switch {
			case op == 0 && len(data) >= 1: // the guest writes a page
				p := uint64(data[0]) % pages
				data = data[1:]
				r.do(0, GuestStore, p)
				r.mmio(0)
				written[p] = true
				r.run(0)
			case op == 1: // userspace harvests
				fetch := v.Ring.ResetIndex
				r.harvest(0, &fetch, 256)
			case op == 2:
				r.reset()
			case op == 3 && len(data) >= 14: // and scribbles
				slot := binary.LittleEndian.Uint32(data[2:])
				if slot != 7 && slot != 8 {
					r.poke(0, uint32(data[0]), uint32(data[1]), slot, binary.LittleEndian.Uint64(data[6:]))
				}
				data = data[14:]
			case op == 4: // KVM_RUN again
				r.mmio(0)
				r.run(0)
			}
		}
		for _, p := range around {
			if !r.writable(p) {
				t.Errorf("page %d outside the slot was protected", int64(p))
			}
		}
		r.vm.tableWriteInProgress = true
		for p := range uint64(pages) { // nothing wrote guest memory but the guest
			var b [16]byte
			r.vm.readGuest(r.t, testBase+mmu.IPA(p<<12), b[:])
			if x := binary.LittleEndian.Uint64(b[:]); x != 0 && (x != p+1 || !written[p]) || b[8] != 0 {
				t.Errorf("page %d holds %x", p, b)
			}
		}
	})
}
