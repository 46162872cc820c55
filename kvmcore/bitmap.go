package kvmcore

import (
	"ringmap/mmu"
	"ringmap/sim"
)

// Bitmap is a memslot's dirty bitmap: dirty_bitmap of struct kvm_memory_slot.
// Two halves of one bit a page in simulated memory: the live half, then the
// scratch half (kvm_second_dirty_bitmap), the buffer of GET and CLEAR.
//
// A summary, one bit a word, names the live words that may be non-zero, so that
// a scan of an almost empty bitmap costs the host next to nothing while the
// model still charges every word.
type Bitmap struct {
	Base   mmu.PA // live half; 0 = no bitmap
	Pages  uint64
	frames uint64     // content frames of both halves
	sum    [][]uint64 // summary levels, sum[0] = one bit a word
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
func (b *Bitmap) Exists() bool { return b.Base != 0 }

// WordPA is the address of word i of the live half.
func (b *Bitmap) WordPA(i uint64) mmu.PA { return b.Base + mmu.PA(i*8) }

// newBitmap allocates a zeroed bitmap for npages: kvm_alloc_dirty_bitmap. ok is
// false when the host has no memory left.
func (h *Host) newBitmap(npages uint64) (b Bitmap, ok bool) { return Bitmap{}, false }

// freeBitmap gives the bitmap's memory back: kvm_destroy_dirty_bitmap.
func (h *Host) freeBitmap(b *Bitmap) {}

// setAll sets bits 0..Pages-1 of the live half (INITIALLY_SET).
func (b *Bitmap) setAll(m *mmu.Memory) {}

// Sync saves, restores or hashes the header and the summary.
func (b *Bitmap) Sync(c *sim.Codec) {}
