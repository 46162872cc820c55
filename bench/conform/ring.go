package conform

import (
	"fmt"

	"ringmap/kvmcore"
)

// ringEntry is what userspace reads of a ring entry.
type ringEntry struct {
	slot   uint32
	offset uint64
}

func (e ringEntry) String() string { return fmt.Sprintf("[%d,%d]", e.slot, int64(e.offset)) }

// ring returns the vCPU if it has a ring to look at.
func (w *world) ring(n int) *kvmcore.VCPU {
	v := w.vcpu(n)
	if v != nil && v.Ring.Size == 0 {
		w.unsupported("vcpu %d has no ring", n)
		return nil
	}
	return v
}

func (w *world) entry(v *kvmcore.VCPU, i uint32) ringEntry {
	pa, m := v.Ring.EntryPA(i), w.host.Machine.Mem
	return ringEntry{uint32(m.Load(pa+4, 4)), m.Load(pa+8, 8)}
}

func (w *world) flags(v *kvmcore.VCPU, i uint32) uint32 {
	return uint32(w.host.Machine.Mem.Load(v.Ring.EntryPA(i), 4))
}

func (w *world) setFlags(v *kvmcore.VCPU, i, flags uint32) {
	w.host.Machine.Mem.Store(v.Ring.EntryPA(i), 4, uint64(flags), writerVMM)
}

type harvest struct {
	event
	VCPU    int        `json:"vcpu"`
	Max     int64      `json:"max"`
	Mark    uint32     `json:"mark"`
	Fetch   uint32     `json:"fetch"`
	Entries []entryRun `json:"entries"`
	N       uint64     `json:"n"`
}

// replay walks the modelled ring as userspace does. A mark that leaves an entry
// dirty would go round for ever: one round is enough then.
func (o *harvest) replay(w *world) {
	v := w.ring(o.VCPU)
	if v == nil {
		return
	}
	limit := uint64(v.Ring.Size)
	if o.Max >= 0 {
		limit = min(limit, uint64(o.Max))
	}
	var got []ringEntry
	for i := o.Fetch; uint64(len(got)) < limit && w.flags(v, i) == kvmcore.RingFlagDirty; i++ {
		got = append(got, w.entry(v, i))
		w.setFlags(v, i, o.Mark)
	}
	w.compareEntries(o.Entries, got)
	w.compare("n", o.N, len(got))
}

// compareEntries expands the recorded runs and finds the first difference.
func (w *world) compareEntries(runs []entryRun, modelled []ringEntry) {
	i := 0
	for _, r := range runs {
		for k := range r.Count {
			want := ringEntry{r.Slot, uint64(r.First + int64(k)*r.Stride)}
			if i == len(modelled) {
				w.compare(fmt.Sprintf("entries[%d]", i), want, "nothing")
				return
			}
			w.compare(fmt.Sprintf("entries[%d]", i), want, modelled[i])
			if w.diff != "" {
				return
			}
			i++
		}
	}
	if i < len(modelled) {
		w.compare(fmt.Sprintf("entries[%d]", i), "nothing", modelled[i])
	}
}

type mark struct {
	event
	VCPU  int    `json:"vcpu"`
	From  uint32 `json:"from"`
	N     uint32 `json:"n"`
	Flags uint32 `json:"flags"`
}

func (o *mark) replay(w *world) {
	if v := w.ring(o.VCPU); v != nil {
		for i := range min(o.N, v.Ring.Size) {
			w.setFlags(v, o.From+i, o.Flags)
		}
	}
}

type pokeRing struct {
	event
	VCPU   int    `json:"vcpu"`
	Index  uint32 `json:"index"`
	Slot   uint32 `json:"slot"`
	Offset word   `json:"offset"`
	Flags  uint32 `json:"flags"`
}

func (o *pokeRing) replay(w *world) {
	v := w.ring(o.VCPU)
	if v == nil {
		return
	}
	pa, m := v.Ring.EntryPA(o.Index), w.host.Machine.Mem
	m.Store(pa+4, 4, uint64(o.Slot), writerVMM)
	m.Store(pa+8, 8, uint64(o.Offset), writerVMM)
	m.Store(pa, 4, uint64(o.Flags), writerVMM)
}

type ringState struct {
	event
	VCPU       int    `json:"vcpu"`
	Clean      uint32 `json:"clean"`
	Dirty      uint32 `json:"dirty"`
	Reset      uint32 `json:"reset"`
	DirtyReset uint32 `json:"dirty_reset"`
}

func (o *ringState) replay(w *world) {
	v := w.ring(o.VCPU)
	if v == nil {
		return
	}
	var count [4]uint32
	for i := range v.Ring.Size {
		count[w.flags(v, i)&kvmcore.RingFlagMask]++
	}
	w.compare("clean", o.Clean, count[0])
	w.compare("dirty", o.Dirty, count[1])
	w.compare("reset", o.Reset, count[2])
	w.compare("dirty_reset", o.DirtyReset, count[3])
}

type ringDump struct {
	event
	VCPU    int        `json:"vcpu"`
	Flags   []valueRun `json:"flags"`
	Entries []entryRun `json:"entries"`
}

func (o *ringDump) replay(w *world) {
	v := w.ring(o.VCPU)
	if v == nil {
		return
	}
	var entries []ringEntry
	for i := range v.Ring.Size {
		entries = append(entries, w.entry(v, i))
	}
	i := uint32(0)
	for _, r := range o.Flags {
		for k := uint64(0); k < r.Count && i < v.Ring.Size; k++ {
			w.compare(fmt.Sprintf("flags[%d]", i), r.Value, w.flags(v, i))
			i++
		}
	}
	w.compare("flags", i, v.Ring.Size)
	w.compareEntries(o.Entries, entries)
}
