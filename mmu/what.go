package mmu

// What says what lies at an address that is accessed, so that the movements of
// cache lines can be counted by their cause.
type What uint8

const (
	KernelData  What = iota // locks, structures and whatever else the kernel touches
	GuestData               // what a guest loads and stores
	GuestCode               // what a guest fetches
	Stage1Table             // a guest's own translation tables
	Stage2Table             // those of its memory, which the kernel edits
	RingEntry               // an entry of a dirty ring
	RingIndex               // a dirty ring's dirty_index and reset_index
	BitmapWord              // a word of a dirty bitmap
	Lock                    // a kernel lock
	VMMData                 // the VMM's own memory
	CopyData                // guest pages that are copied to the destination
	ITSTable                // tables of the ITS, and pending tables
	StealRecord             // a stolen-time record
	DMAData                 // what a device reads or writes
	NumWhats
)

var whatNames = [NumWhats]string{
	"kernel_data", "guest_data", "guest_code", "stage1_table", "stage2_table", "ring_entry", "ring_index",
	"bitmap_word", "lock", "vmm_data", "copy", "its_table", "steal_record", "dma",
}

// String returns the name in statistics.
func (w What) String() string { return whatNames[w] }
