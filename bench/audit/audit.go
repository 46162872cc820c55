// Package audit checks dirty tracking without sharing a line with it. It knows
// what was written because mmu.Memory journals every first store to a page, and
// what was sent because the collector says which page it is about to copy; what
// changed and what is lost it decides by comparing bytes.
//
//	stores ──► Memory.Journal ──┐
//	                            ├─► Open: which pages differ from their last copy
//	collector: "page P now" ────┤   Collect: was it needed, was it late
//	                            ├─► Close: which changed pages went unreported
//	destination's bytes ────────┘   Finish: which are lost for good
//
// A collection covers everything written before it opened. Invariant 1 of the
// tracking specification follows: at the end no byte of a page may differ from
// the destination's. A page whose record exists although its store has not
// retired yet is not lost, because its bytes do not differ.
//
// Cost and memory follow the pages touched, never the size of the guest.
package audit

import (
	"cmp"
	"fmt"
	"slices"

	"ringmap/mmu"
	"ringmap/sim"
)

// Region says where journalled frames lie in the guest: the frame with journal
// tag Tag+i holds the guest's bytes at IPA+i*mmu.FrameSize.
type Region struct {
	Tag    uint64  // tag of the first frame, as given to Memory.Watch
	IPA    mmu.IPA // multiple of the host page size
	Frames uint64  // length in 4 KiB frames
}

// Spec describes what is audited.
type Spec struct {
	Page    mmu.Granule // host page size: the unit in which pages are counted
	Regions []Region
}

// Collection is the verdict on one collection. Reported = on time + Late of
// earlier ones + Spurious, Changed = on time + Missed; all in host pages.
type Collection struct {
	Opened   sim.Cycle
	Closed   sim.Cycle
	Changed  uint64 // pages whose bytes differ from what was last collected
	Reported uint64 // pages the collector copied
	Missed   uint64 // changed before it opened, and not reported by it
	Late     uint64 // of the missed: reported by a later collection
	Spurious uint64 // reported although no byte had changed
}

// LostPage is a page that the destination holds with other bytes at the end.
type LostPage struct {
	GFN       mmu.GFN
	Missed    uint32     // first collection that should have reported it, counted from 1; 0 = changed after the last one opened
	Collected sim.Cycle  // when it was last copied since its first write, 0 = never
	Writer    mmu.Writer // who wrote it last
}

// Audit compares what tracking reported with what really changed.
type Audit struct {
	spec Spec
	src  *mmu.Memory // the running guest's machine
	dst  *mmu.Memory // frame number = guest physical address >> mmu.FrameShift

	pages   []page   // every page ever journalled or found different
	index   index    // gfn -> place in pages
	changed []uint32 // what the open collection must report
	open    bool
	drains  uint32 // journals taken

	Collections []Collection
	Total       Totals
	lost        []LostPage
}

// Totals are the sums over all collections.
type Totals struct {
	Changed, Reported, Late, Spurious, Lost uint64
}

// page is what the audit remembers of one page that was written.
type page struct {
	gfn       mmu.GFN
	pfn       mmu.PFN   // source frame of the page's first byte
	collected sim.Cycle // last copy
	missed    uint32    // collection that failed to report the difference that still stands
	reported  uint32    // last collection that reported it
	changed   uint32    // last collection that counted it as changed
	seen      uint32    // last journal that named it
}

// New audits the guest whose frames are journalled by src against dst. The
// regions' tags must not overlap.
func New(spec Spec, src, dst *mmu.Memory) (*Audit, error) {
	spec.Regions = slices.Clone(spec.Regions)
	slices.SortFunc(spec.Regions, func(a, b Region) int { return cmp.Compare(a.Tag, b.Tag) })
	mask := mmu.IPA(spec.Page.Size() - 1)
	for i, r := range spec.Regions {
		if r.IPA&mask != 0 {
			return nil, fmt.Errorf("audit: region at IPA %#x is not aligned to the page size %d", r.IPA, spec.Page.Size())
		}
		if i > 0 && r.Tag < spec.Regions[i-1].Tag+spec.Regions[i-1].Frames {
			return nil, fmt.Errorf("audit: regions at IPA %#x and %#x share frames", spec.Regions[i-1].IPA, r.IPA)
		}
	}
	return &Audit{spec: spec, src: src, dst: dst}, nil
}

// Open starts a collection: everything written before now must be reported by
// it. Call it before the collector looks at any record. While a collection is
// open, Open extends it to what was written since: the collector looks again.
func (a *Audit) Open(now sim.Cycle) {
	if !a.open {
		a.open = true
		a.Collections = append(a.Collections, Collection{Opened: now})
		a.changed = a.changed[:0]
	}
	k := a.current()
	a.drain(func(i uint32) {
		p := &a.pages[i]
		switch differs := !a.equal(p.gfn, p.pfn); {
		case !differs: // written back to what was collected: nothing is left to report
			p.missed, p.changed = 0, 0
		case p.missed == 0 && (p.changed != k || p.reported == k):
			a.countChanged(p, k)
			p.reported = 0 // for this change
			a.changed = append(a.changed, i)
		}
	})
}

// Collect says that the collector is about to copy a page, whose first source
// frame is src. The copy must follow before the guest runs on.
func (a *Audit) Collect(gfn mmu.GFN, src mmu.PFN, now sim.Cycle) {
	k := a.current()
	c := &a.Collections[k-1]
	c.Reported++
	a.Total.Reported++
	if a.equal(gfn, src) {
		c.Spurious++
		a.Total.Spurious++
		if i, ok := a.index.get(gfn); ok {
			p := &a.pages[i]
			p.reported, p.collected, p.pfn, p.missed = k, now, src, 0
		}
		return
	}
	p := a.page(gfn, src)
	switch {
	case p.missed != 0:
		a.Collections[p.missed-1].Late++
		a.Total.Late++
	case p.changed != k || p.reported == k: // written since this collection opened
		a.countChanged(p, k)
	}
	p.reported, p.collected, p.missed = k, now, 0
}

// Close ends the collection: what changed before it opened and was not reported
// is missed, for now.
func (a *Audit) Close(now sim.Cycle) {
	k := a.current()
	c := &a.Collections[k-1]
	c.Closed = now
	for _, i := range a.changed {
		if p := &a.pages[i]; p.changed == k && p.reported != k && p.missed == 0 {
			p.missed = k
			c.Missed++
		}
	}
	a.changed = a.changed[:0]
	a.open = false
}

// Finish compares every page that was ever written with the destination, after
// the last copy. It returns the pages lost, by ascending frame number.
func (a *Audit) Finish() []LostPage {
	a.lost = a.lost[:0]
	a.drain(func(uint32) {})
	for i := range a.pages {
		p := &a.pages[i]
		if w, differs := a.differs(p.gfn, p.pfn); differs {
			a.lost = append(a.lost, LostPage{GFN: p.gfn, Missed: p.missed, Collected: p.collected, Writer: w})
		}
	}
	slices.SortFunc(a.lost, func(x, y LostPage) int { return cmp.Compare(x.GFN, y.GFN) })
	a.Total.Lost = uint64(len(a.lost))
	return a.lost
}

// Lost is the result of Finish, nil before.
func (a *Audit) Lost() []LostPage { return a.lost }

// Register adds the audit's counters to a run's statistics.
func (a *Audit) Register(s *sim.Stats) {
	s.Counter("audit.changed_pages", "pages", "pages whose bytes changed between collections, by comparing bytes", &a.Total.Changed)
	s.Counter("audit.reported_pages", "pages", "pages that the collector copied", &a.Total.Reported)
	s.Counter("audit.late_pages", "pages", "changed pages that only a later collection reported", &a.Total.Late)
	s.Counter("audit.spurious_pages", "pages", "reported pages whose bytes had not changed", &a.Total.Spurious)
	s.Counter("audit.lost_pages", "pages", "pages whose final bytes at the destination differ from the source", &a.Total.Lost)
}

// Sync saves, restores or hashes the audit. The memories are synced by their owners.
func (a *Audit) Sync(c *sim.Codec) {
	c.Tag("audit")
	sim.Slice(c, &a.pages, func(c *sim.Codec, p *page) {
		sim.Uint(c, &p.gfn)
		sim.Uint(c, &p.pfn)
		sim.Uint(c, &p.collected)
		c.U32(&p.missed)
		c.U32(&p.reported)
		c.U32(&p.changed)
		c.U32(&p.seen)
	})
	sim.Slice(c, &a.changed, func(c *sim.Codec, i *uint32) { c.U32(i) })
	c.Bool(&a.open)
	c.U32(&a.drains)
	sim.Slice(c, &a.Collections, func(c *sim.Codec, k *Collection) {
		sim.Uint(c, &k.Opened)
		sim.Uint(c, &k.Closed)
		for _, n := range []*uint64{&k.Changed, &k.Reported, &k.Missed, &k.Late, &k.Spurious} {
			c.U64(n)
		}
	})
	for _, n := range []*uint64{&a.Total.Changed, &a.Total.Reported, &a.Total.Late, &a.Total.Spurious, &a.Total.Lost} {
		c.U64(n)
	}
	sim.Slice(c, &a.lost, func(c *sim.Codec, l *LostPage) {
		sim.Uint(c, &l.GFN)
		c.U32(&l.Missed)
		sim.Uint(c, &l.Collected)
		sim.Uint(c, &l.Writer)
	})
	if c.Loading() {
		a.restore(c)
	}
}

// restore rebuilds the index, and refuses numbers that name nothing.
func (a *Audit) restore(c *sim.Codec) {
	a.index = index{}
	for i := range a.pages {
		p := &a.pages[i]
		if _, twice := a.index.get(p.gfn); twice || p.missed > a.current() {
			c.Fail(fmt.Errorf("audit: impossible page %#x in the snapshot", p.gfn))
			p.missed = 0
		}
		a.index.set(p.gfn, uint32(i))
	}
	outside := func(i uint32) bool { return int(i) >= len(a.pages) }
	if slices.ContainsFunc(a.changed, outside) || a.open && a.current() == 0 {
		c.Fail(fmt.Errorf("audit: the snapshot names pages or collections that it does not hold"))
		a.changed, a.open = nil, false
	}
}

// current is the number of the open or last collection, counted from 1.
func (a *Audit) current() uint32 { return uint32(len(a.Collections)) }

func (a *Audit) countChanged(p *page, k uint32) {
	p.changed = k
	a.Collections[k-1].Changed++
	a.Total.Changed++
}

// drain takes the journal and calls f once for every page in it.
func (a *Audit) drain(f func(i uint32)) {
	a.drains++
	for _, e := range a.src.Journal() {
		gfn, pfn, ok := a.locate(e.Tag, e.PFN)
		if !ok {
			continue
		}
		p := a.page(gfn, pfn)
		if p.seen != a.drains {
			p.seen = a.drains
			i, _ := a.index.get(gfn)
			f(i)
		}
	}
	a.src.NextEpoch()
}

// locate turns a journalled frame into the guest page it belongs to and that
// page's first source frame. A host page is contiguous in physical memory.
func (a *Audit) locate(tag uint64, pfn mmu.PFN) (mmu.GFN, mmu.PFN, bool) {
	i, exact := slices.BinarySearchFunc(a.spec.Regions, tag, func(r Region, t uint64) int { return cmp.Compare(r.Tag, t) })
	if !exact {
		i--
	}
	if i < 0 || tag-a.spec.Regions[i].Tag >= a.spec.Regions[i].Frames {
		return 0, 0, false // not guest memory
	}
	ipa := a.spec.Regions[i].IPA + mmu.IPA((tag-a.spec.Regions[i].Tag)<<mmu.FrameShift)
	within := mmu.PFN(uint64(ipa)&(a.spec.Page.Size()-1)) >> mmu.FrameShift
	return a.spec.Page.GFN(ipa), pfn - within, true
}

// page finds or makes the record of a page and notes where its bytes lie now.
func (a *Audit) page(gfn mmu.GFN, pfn mmu.PFN) *page {
	i, ok := a.index.get(gfn)
	if !ok {
		i = uint32(len(a.pages))
		a.pages = append(a.pages, page{gfn: gfn})
		a.index.set(gfn, i)
	}
	a.pages[i].pfn = pfn
	return &a.pages[i]
}

func (a *Audit) equal(gfn mmu.GFN, pfn mmu.PFN) bool {
	_, differs := a.differs(gfn, pfn)
	return !differs
}

// differs compares a host page with the destination's, and names who wrote the
// first frame that differs.
func (a *Audit) differs(gfn mmu.GFN, pfn mmu.PFN) (mmu.Writer, bool) {
	first := mmu.PFN(uint64(a.spec.Page.IPA(gfn)) >> mmu.FrameShift)
	for f := mmu.PFN(0); f < mmu.PFN(a.spec.Page.Size()>>mmu.FrameShift); f++ {
		if !a.src.EqualFrame(pfn+f, a.dst, first+f) {
			return a.src.LastWriter(pfn + f), true
		}
	}
	return 0, false
}
