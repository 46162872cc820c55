package audit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringmap/mmu"
	"ringmap/sim"
)

// guest is a source of 4 KiB frames at frame 0x1000 on, watched with tag
// 0x500+i, that lies at guest frame 0x80 on.
const (
	firstPFN = 0x1000
	firstTag = 0x500
	firstGFN = 0x80
)

type rig struct {
	t        testing.TB
	src, dst *mmu.Memory
	a        *Audit
	now      sim.Cycle
}

func newRig(t testing.TB, frames uint64) *rig {
	src, dst := mmu.NewMemory(), mmu.NewMemory()
	src.WatchRange(firstPFN, frames, firstTag)
	a, err := New(Spec{
		Page:    mmu.Granule4K,
		Regions: []Region{{Tag: firstTag, IPA: firstGFN << 12, Frames: frames}},
	}, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, src: src, dst: dst, a: a}
}

func (r *rig) write(page uint64, v uint64) { r.writeBy(page, v, 3) }

func (r *rig) writeBy(page, v uint64, by mmu.Writer) {
	r.src.Store(mmu.PFN(firstPFN+page).PA()+8, 8, v, by)
}

// collect is a whole collection that reports the given pages.
func (r *rig) collect(pages ...uint64) {
	r.now += 100
	r.a.Open(r.now)
	for _, p := range pages {
		r.copy(p)
	}
	r.a.Close(r.now + 50)
}

func (r *rig) copy(page uint64) {
	r.a.Collect(mmu.GFN(firstGFN+page), mmu.PFN(firstPFN+page), r.now+1)
	r.dst.CopyFrame(mmu.PFN(firstGFN+page), r.src, mmu.PFN(firstPFN+page))
}

// last returns the verdict on collection k (from 1) without its times.
func (r *rig) verdict(k int) Collection {
	c := r.a.Collections[k-1]
	c.Opened, c.Closed = 0, 0
	return c
}

func (r *rig) lost() []mmu.GFN {
	var l []mmu.GFN
	for _, p := range r.a.Finish() {
		l = append(l, p.GFN-firstGFN)
	}
	return l
}

func (r *rig) want(what string, got, want any) {
	r.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestEverythingReported(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 10)
	r.write(2, 20)
	r.write(1, 11)
	r.collect(1, 2)
	r.want("collection", r.verdict(1), Collection{Changed: 2, Reported: 2})
	r.want("lost", r.lost(), []mmu.GFN(nil))
}

func TestLateThenLost(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 10)
	r.write(2, 20)
	r.write(3, 30)
	r.collect(1) // misses 2 and 3
	r.write(4, 40)
	r.collect(4, 2) // reports 2 late
	r.collect()
	r.want("first", r.verdict(1), Collection{Changed: 3, Reported: 1, Missed: 2, Late: 1})
	r.want("second", r.verdict(2), Collection{Changed: 1, Reported: 2})
	r.want("third", r.verdict(3), Collection{})
	r.want("lost", r.a.Finish(), []LostPage{{GFN: firstGFN + 3, Missed: 1, Writer: 3}})
	r.want("totals", r.a.Total, Totals{Changed: 4, Reported: 3, Late: 1, Lost: 1})
}

func TestSpurious(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 10)
	r.collect(1)
	r.write(1, 10)  // the same bytes
	r.collect(1, 7) // and a page that nobody wrote
	r.collect(1, 1) // twice in one collection
	r.want("second", r.verdict(2), Collection{Reported: 2, Spurious: 2})
	r.want("third", r.verdict(3), Collection{Reported: 2, Spurious: 2})
	r.want("lost", r.lost(), []mmu.GFN(nil))
}

// TestWrittenBack: a change that was missed and then undone harms nobody.
func TestWrittenBack(t *testing.T) {
	r := newRig(t, 16)
	r.write(5, 1)
	r.collect(5)
	r.write(5, 2)
	r.collect() // missed
	r.write(5, 1)
	r.collect()
	r.want("second", r.verdict(2), Collection{Changed: 1, Missed: 1})
	r.want("third", r.verdict(3), Collection{})
	r.want("lost", r.lost(), []mmu.GFN(nil))
}

// TestWriteBetweenOpenAndCopy: a write that lands during a collection counts
// there if it is reported there, and waits for the next one if it is not.
func TestWriteBetweenOpenAndCopy(t *testing.T) {
	r := newRig(t, 16)
	r.a.Open(1)
	r.write(1, 1)
	r.write(2, 2)
	r.copy(1)
	r.write(1, 3) // after its copy
	r.a.Close(2)
	r.want("first", r.verdict(1), Collection{Changed: 1, Reported: 1})
	r.collect(1, 2)
	r.want("second", r.verdict(2), Collection{Changed: 2, Reported: 2})
	r.want("lost", r.lost(), []mmu.GFN(nil))
}

// TestLookAgain: a collection that is extended answers for what was written in
// the meantime too.
func TestLookAgain(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 1)
	r.write(2, 1)
	r.a.Open(1)
	r.copy(1)
	r.write(1, 2)
	r.write(3, 1)
	r.a.Open(2)
	r.copy(1)
	r.a.Close(3)
	r.want("collection", r.verdict(1), Collection{Changed: 4, Reported: 2, Missed: 2})
	r.want("lost", r.lost(), []mmu.GFN{2, 3})
}

// TestNewestEntryNotRetired: the newest ring entry of a stopped vCPU may name a
// page whose store has not happened. Reported, it is spurious; not reported, it
// is not lost. If the store comes later, the page is changed then.
func TestNewestEntryNotRetired(t *testing.T) {
	r := newRig(t, 16)
	r.collect(9) // entry without a store
	r.want("first", r.verdict(1), Collection{Reported: 1, Spurious: 1})
	r.want("not lost", r.lost(), []mmu.GFN(nil))
	r.write(9, 1)
	r.collect(9)
	r.want("second", r.verdict(2), Collection{Changed: 1, Reported: 1})
}

// TestCollectedTooEarly: what is written after the last collection opened is lost
// without having been missed by one.
func TestCollectedTooEarly(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 1)
	r.collect(1)
	r.writeBy(1, 2, mmu.WriterKernel)
	r.writeBy(6, 2, mmu.WriterKernel)
	lost := r.a.Finish()
	r.want("lost", lost, []LostPage{
		{GFN: firstGFN + 1, Collected: 101, Writer: mmu.WriterKernel},
		{GFN: firstGFN + 6, Writer: mmu.WriterKernel},
	})
	for _, e := range Explain(lost, nil) {
		r.want("cause", e.Cause, CauseTooEarly)
	}
}

// TestFinishTwice: Finish may be asked again after more has happened.
func TestFinishTwice(t *testing.T) {
	r := newRig(t, 16)
	r.write(1, 1)
	r.want("lost", r.lost(), []mmu.GFN{1})
	r.write(2, 1)
	r.collect(1)
	r.want("lost", r.lost(), []mmu.GFN{2})
}

// TestHostPagesOf16K: a page is a host page, its writer that of the frame that
// differs, and frames outside every region are nobody's.
func TestHostPagesOf16K(t *testing.T) {
	src, dst := mmu.NewMemory(), mmu.NewMemory()
	src.WatchRange(0x40, 8, 0x1000)
	src.WatchRange(0x80, 4, 0x9000) // not guest memory
	a, err := New(Spec{Page: mmu.Granule16K, Regions: []Region{{Tag: 0x1000, IPA: 0x100000, Frames: 8}}}, src, dst)
	if err != nil {
		t.Fatal(err)
	}
	src.Store(mmu.PFN(0x45).PA(), 8, 1, 1)
	src.Store(mmu.PFN(0x47).PA(), 8, 1, 2)
	src.Store(mmu.PFN(0x80).PA(), 8, 1, 2)
	a.Open(10)
	a.Close(11)
	want := []LostPage{{GFN: 0x100000>>14 + 1, Missed: 1, Writer: 1}}
	if d := cmp.Diff(want, a.Finish()); d != "" {
		t.Errorf("lost (-want +got):\n%s", d)
	}
	if got := a.Collections[0].Changed; got != 1 {
		t.Errorf("changed %d pages, want 1: two frames of one page", got)
	}
}

func TestNewRefusesBadRegions(t *testing.T) {
	for _, regions := range [][]Region{
		{{Tag: 0, IPA: 0x1000, Frames: 4}},                                    // not a 16 KiB boundary
		{{Tag: 0, IPA: 0, Frames: 8}, {Tag: 7, IPA: 0x10000, Frames: 4}},      // one frame in both
		{{Tag: 100, IPA: 0x10000, Frames: 4}, {Tag: 97, IPA: 0, Frames: 1e6}}, // one inside the other
	} {
		if _, err := New(Spec{Page: mmu.Granule16K, Regions: regions}, mmu.NewMemory(), mmu.NewMemory()); err == nil {
			t.Errorf("New accepts the regions %v", regions)
		}
	}
}

// TestBites: a tracker that drops every nth record must be caught, page by page.
// The list of what it should find is made from the writes alone.
func TestBites(t *testing.T) {
	for _, nth := range []int{1, 2, 3, 7, 50, 1000} {
		t.Run(fmt.Sprintf("drop=%d", nth), func(t *testing.T) {
			const pages, rounds = 300, 6
			rng := rand.New(rand.NewPCG(1, uint64(nth)))
			r := newRig(t, pages)
			var dropped []mmu.GFN // pages whose newest record was dropped
			records := 0
			value := uint64(0)
			for range rounds {
				var log []uint64
				for range 80 {
					p := rng.Uint64N(pages)
					if slices.Contains(log, p) {
						continue // still writable: no second record
					}
					value++
					r.write(p, value)
					dropped = slices.DeleteFunc(dropped, func(g mmu.GFN) bool { return g == mmu.GFN(p) })
					if records++; records%nth == 0 {
						dropped = append(dropped, mmu.GFN(p))
						continue
					}
					log = append(log, p)
				}
				r.collect(log...)
			}
			slices.Sort(dropped)
			r.want("lost", r.lost(), append([]mmu.GFN(nil), dropped...))
			if nth <= 50 && len(dropped) == 0 {
				t.Error("nothing was dropped: the test says nothing")
			}
		})
	}
}
