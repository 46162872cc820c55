package vmm

import "ringmap/kvmcore"

// Tracking is how the VMM learns which pages are dirty. The builder enables the
// capabilities that go with it before the VM's first slot and vCPU: those of the
// kernel's policy of the same name.
type Tracking uint8

const (
	TrackOff            Tracking = iota // no logging: the baseline of a slowdown
	TrackBitmap                         // KVM_GET_DIRTY_LOG, which clears and protects
	TrackClearLog                       // GET, then KVM_CLEAR_DIRTY_LOG before pages are sent (manual protect)
	TrackRing                           // dirty rings alone
	TrackRingBitmap                     // dirty rings, and the backup bitmap at the very end
	TrackVMRing                         // dirty rings, one of them the VM's
	TrackVMRing1                        // the same, and that one holds one entry
	TrackOverflowBitmap                 // dirty rings and in every round the bitmap that full rings go on in
	TrackFlaggedBitmap                  // dirty rings, and the bitmap whenever the flag says that a ring was full
	TrackRequireBitmap                  // as TrackRingBitmap
	numTrackings
)

// tracking says what a Tracking makes the VMM do.
type tracking struct {
	name   string
	policy string // of the kernel, "" = nothing is logged
	rings  bool   // harvest rings
	get    getWhen
}

// getWhen is when bitmaps are read.
type getWhen uint8

const (
	getNever   getWhen = iota
	getLast            // in the final collection
	getRounds          // in every round
	getFlagged         // in the final collection, and in rounds that find the flag
)

var trackings = [numTrackings]tracking{
	TrackOff:            {name: "off"},
	TrackBitmap:         {"bitmap", "bitmap", false, getRounds},
	TrackClearLog:       {"clear-log", "bitmap", false, getRounds},
	TrackRing:           {"ring", "ring", true, getNever},
	TrackRingBitmap:     {"ring+bitmap", "ring+bitmap", true, getLast},
	TrackVMRing:         {"vmring", "vmring", true, getNever},
	TrackVMRing1:        {"vmring-1", "vmring-1", true, getNever},
	TrackOverflowBitmap: {"ring-overflow-bitmap", "ring-overflow-bitmap", true, getRounds},
	TrackFlaggedBitmap:  {"ring-flagged-bitmap", "ring-flagged-bitmap", true, getFlagged},
	TrackRequireBitmap:  {"require-bitmap", "require-bitmap", true, getLast},
}

// String returns the name that scenario files use.
func (t Tracking) String() string { return trackings[t].name }

// ParseTracking returns the tracking of that name.
func ParseTracking(name string) (Tracking, bool) {
	for t := range trackings {
		if trackings[t].name == name {
			return Tracking(t), true
		}
	}
	return 0, false
}

// Policy is the kernel's recording policy that goes with it, nil for TrackOff.
func (t Tracking) Policy() *kvmcore.Policy {
	p, ok := kvmcore.ParsePolicy(trackings[t].policy)
	if !ok {
		return nil
	}
	return p
}

// UsesRing tells whether records come through dirty rings.
func (t Tracking) UsesRing() bool { return trackings[t].rings }

// UsesBitmap tells whether records come through memslot bitmaps and nothing else.
func (t Tracking) UsesBitmap() bool { return t == TrackBitmap || t == TrackClearLog }

// HasBitmap tells whether logged slots own bitmaps, read or not. The RFC's VM ring
// has them too: see kvmcore.Design.NeedsBitmap.
func (t Tracking) HasBitmap() bool { return trackings[t].get != getNever }

// ReadsInRounds tells whether collections before the last read bitmaps.
func (t Tracking) ReadsInRounds() bool { return trackings[t].get >= getRounds }

// gets tells whether bitmaps are read in this collection.
func (v *VMM) gets(last bool) bool {
	switch trackings[v.Track].get {
	case getRounds:
		return true
	case getLast:
		return last
	case getFlagged:
		return last || v.main.flagged
	}
	return false
}

// Enable turns on the VM's capabilities that go with the tracking, in the order
// that KVM demands: ring, ring with bitmap, manual protection. It returns the one
// that was refused, with its errno. The VM has its design, and no slots or vCPUs.
func (t Tracking) Enable(vm *kvmcore.VM, ringBytes, manual uint64) (cap uint32, e kvmcore.Errno) {
	type enable struct {
		cap uint32
		arg uint64
	}
	var list []enable
	if t.UsesRing() {
		list = append(list, enable{kvmcore.CapDirtyRingAcqRel, ringBytes})
		if t.HasBitmap() || vm.Design.NeedsBitmap() {
			list = append(list, enable{kvmcore.CapDirtyRingBitmap, 0})
		}
	}
	if t != TrackOff && manual != 0 {
		list = append(list, enable{kvmcore.CapManualProtect2, manual})
	}
	for _, c := range list {
		if _, e := vm.EnableCap(c.cap, 0, [4]uint64{c.arg}); e != kvmcore.OK {
			return c.cap, e
		}
	}
	return 0, kvmcore.OK
}
