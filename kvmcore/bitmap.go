package kvmcore

import (
	"fmt"
	"math/bits"

	"ringmap/mmu"
	"ringmap/sim"
)

// Bitmap is a memslot's dirty bitmap: dirty_bitmap of struct kvm_memory_slot.
// Two halves of one bit a page in simulated memory: the live half, then the
// scratch half (kvm_second_dirty_bitmap), the buffer of GET and CLEAR.
//
// A summary of the live half, one bit a word and one bit for every 64 of these,
// names the words that may be non-zero, so that a scan of an almost empty bitmap
// costs the host next to nothing while the model still charges every word.
type Bitmap struct {
	Base  mmu.PA // live half
	Pages uint64 // 0 = no bitmap
	words []uint64
	tops  []uint64 // bit i = words[i] is not zero
}

// DirtyWord is a word of a dirty bitmap as userspace sees it: 64 pages from
// page 64*Index of the slot (GET) or of the range (CLEAR).
type DirtyWord struct {
	Index uint64
	Bits  uint64
}

// DirtyLog is userspace's bitmap buffer, kept sparsely: the non-zero words in
// ascending order.
type DirtyLog struct {
	Words []DirtyWord
}

// Words is the number of 64-bit words of one half.
func (b *Bitmap) Words() uint64 { return (b.Pages + 63) / 64 }

// Exists tells whether the slot owns a bitmap (slot->dirty_bitmap != NULL).
func (b *Bitmap) Exists() bool { return b.Pages != 0 }

// WordPA is the address of word i of the live half.
func (b *Bitmap) WordPA(i uint64) mmu.PA { return b.Base + mmu.PA(i*8) }

// scratchPA is the address of word i of the scratch half.
func (b *Bitmap) scratchPA(i uint64) mmu.PA { return b.WordPA(b.Words() + i) }

// newBitmap allocates a zeroed bitmap for npages: kvm_alloc_dirty_bitmap. ok is
// false when the host has no memory left.
func (h *Host) newBitmap(npages uint64) (b Bitmap, ok bool) {
	b.Pages = npages
	pfn := h.Machine.Alloc.Alloc(blockOrder(2 * b.Words() * 8))
	if pfn == mmu.NoFrame {
		return Bitmap{}, false
	}
	b.Base = pfn.PA()
	b.words = make([]uint64, (b.Words()+63)/64)
	b.tops = make([]uint64, (len(b.words)+63)/64)
	return b, true
}

// freeBitmap gives the bitmap's memory back: kvm_destroy_dirty_bitmap.
func (h *Host) freeBitmap(b *Bitmap) {
	if b.Exists() {
		h.Machine.Alloc.Free(b.Base.PFN(), blockOrder(2*b.Words()*8))
	}
	*b = Bitmap{}
}

// setAll sets bits 0..Pages-1 of the live half (INITIALLY_SET).
func (b *Bitmap) setAll(m *mmu.Memory) {
	whole := b.Pages / 64
	m.Fill(b.Base, whole*8, 0xff, mmu.WriterKernel)
	if rest := b.Pages % 64; rest != 0 {
		m.Store(b.WordPA(whole), 8, 1<<rest-1, mmu.WriterKernel)
	}
	for i := range b.Words() {
		b.note(i)
	}
}

// note enters a word into the summary: it may be non-zero from now on.
func (b *Bitmap) note(word uint64) {
	b.words[word/64] |= 1 << (word % 64)
	b.tops[word/4096] |= 1 << (word / 64 % 64)
}

// forget takes a word that became zero out of the summary.
func (b *Bitmap) forget(word uint64) {
	b.words[word/64] &^= 1 << (word % 64)
	if b.words[word/64] == 0 {
		b.tops[word/4096] &^= 1 << (word / 64 % 64)
	}
}

// next returns the first word from word i on that may be non-zero, Words() if
// there is none.
func (b *Bitmap) next(i uint64) uint64 {
	if i >= b.Words() {
		return b.Words()
	}
	if w := b.words[i/64] >> (i % 64); w != 0 {
		return i + uint64(bits.TrailingZeros64(w))
	}
	group := i/64 + 1
	for t := group / 64; t < uint64(len(b.tops)); t++ {
		top := b.tops[t]
		if t == group/64 {
			top &= ^uint64(0) << (group % 64)
		}
		if top != 0 {
			g := t*64 + uint64(bits.TrailingZeros64(top))
			return g*64 + uint64(bits.TrailingZeros64(b.words[g]))
		}
	}
	return b.Words()
}

// Sync saves, restores or hashes the header and the summary; the bits are memory.
func (b *Bitmap) Sync(c *sim.Codec) {
	sim.Uint(c, &b.Base)
	c.U64(&b.Pages)
	if b.Pages > MaxSlotPages {
		c.Fail(fmt.Errorf("bitmap of %d pages", b.Pages))
		b.Pages = 0
	}
	var runs []wordRun
	if !c.Loading() {
		runs = b.runs()
	}
	sim.Slice(c, &runs, func(c *sim.Codec, r *wordRun) {
		c.U64(&r.first)
		c.U64(&r.n)
	})
	if !c.Loading() {
		return
	}
	b.words = make([]uint64, (b.Words()+63)/64)
	b.tops = make([]uint64, (len(b.words)+63)/64)
	for _, r := range runs {
		if r.first > b.Words() || r.n > b.Words()-r.first {
			c.Fail(fmt.Errorf("bitmap of %d pages has words %d+%d", b.Pages, r.first, r.n))
			return
		}
		for i := range r.n {
			b.note(r.first + i)
		}
	}
}

// wordRun is a run of words that may be non-zero.
type wordRun struct{ first, n uint64 }

func (b *Bitmap) runs() (runs []wordRun) {
	for i := b.next(0); i < b.Words(); i = b.next(i + 1) {
		if k := len(runs) - 1; k >= 0 && runs[k].first+runs[k].n == i {
			runs[k].n++
		} else {
			runs = append(runs, wordRun{i, 1})
		}
	}
	return runs
}
