package conform

import (
	"fmt"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

const writerVMM = mmu.WriterVMM

// maxHostBytes bounds one host_fill or host_read.
const maxHostBytes = 64 << 20

type hostWrite struct {
	event
	GPA   word   `json:"gpa"`
	Words []word `json:"words"`
}

func (o *hostWrite) replay(w *world) {
	for i, v := range o.Words {
		w.store(mmu.IPA(o.GPA)+mmu.IPA(i*8), uint64(v))
	}
}

// itsCommand is a command in the ITS queue: nothing runs until CWRITER is written.
type itsCommand struct {
	event
	Name string `json:"name"`
	GPA  word   `json:"gpa"`
	DW   dwords `json:"dw"`
}

func (o *itsCommand) replay(w *world) {
	for i, v := range o.DW {
		w.store(mmu.IPA(o.GPA)+mmu.IPA(i*8), uint64(v))
	}
}

type hostFill struct {
	event
	GPA  word   `json:"gpa"`
	Len  uint64 `json:"len"`
	Byte uint8  `json:"byte"`
}

func (o *hostFill) replay(w *world) {
	hva, ok := w.hva(mmu.IPA(o.GPA))
	if !ok || o.Len > maxHostBytes || w.host.Memory.Fill(hva, o.Len, o.Byte, writerVMM) != kvmcore.OK {
		w.unsupported("the VMM has no memory of %d bytes at %#x", o.Len, uint64(o.GPA))
	}
}

type hostRead struct {
	event
	GPA     word         `json:"gpa"`
	Len     uint64       `json:"len"`
	Nonzero []memoryWord `json:"nonzero"`
}

func (o *hostRead) replay(w *world) {
	hva, ok := w.hva(mmu.IPA(o.GPA))
	if !ok || o.Len > maxHostBytes {
		w.unsupported("the VMM has no memory of %d bytes at %#x", o.Len, uint64(o.GPA))
		return
	}
	b := make([]byte, o.Len)
	if w.host.Memory.Read(hva, b) != kvmcore.OK {
		w.unsupported("the VMM has no memory of %d bytes at %#x", o.Len, uint64(o.GPA))
		return
	}
	var have []memoryWord
	for i := 0; i+8 <= len(b); i += 8 {
		v := uint64(0)
		for k := range 8 {
			v |= uint64(b[i+k]) << (8 * k)
		}
		if v != 0 {
			have = append(have, memoryWord{o.GPA + word(i), word(v)})
		}
	}
	for i := range max(len(o.Nonzero), len(have)) {
		w.compare(fmt.Sprintf("nonzero[%d]", i), memoryAt(o.Nonzero, i), memoryAt(have, i))
	}
}

func memoryAt(list []memoryWord, i int) string {
	if i >= len(list) {
		return "nothing"
	}
	return fmt.Sprintf("[%s,%s]", hex(list[i].GPA), hex(list[i].Value))
}

type createDevice struct {
	Dev string `json:"dev"`
	result
}

func (o *createDevice) replay(w *world) {
	if !w.needVM() {
		return
	}
	d, e := w.vm.CreateDevice(o.Dev)
	if w.outcome(o.result, 0, e) {
		w.devices[o.Dev] = d
	}
}

// device returns the later device of that name.
func (w *world) device(name string) kvmcore.Device {
	d := w.devices[name]
	if d == nil {
		w.unsupported("device %q does not exist", name)
	}
	return d
}

type setAttr struct {
	Dev   string `json:"dev"`
	Group uint32 `json:"group"`
	Attr  word   `json:"attr"`
	Size  int    `json:"size"`
	Val   word   `json:"val"`
	result
}

func (o *setAttr) replay(w *world) {
	if d := w.device(o.Dev); d != nil {
		w.outcome(o.result, 0, d.SetAttr(o.Group, uint64(o.Attr), o.Size, uint64(o.Val)))
	}
}

type getAttr struct {
	Dev   string `json:"dev"`
	Group uint32 `json:"group"`
	Attr  word   `json:"attr"`
	Size  int    `json:"size"`
	Val   word   `json:"val"`
	result
}

func (o *getAttr) replay(w *world) {
	d := w.device(o.Dev)
	if d == nil {
		return
	}
	val, e := d.GetAttr(o.Group, uint64(o.Attr), o.Size)
	if w.outcome(o.result, 0, e) {
		w.compare("val", hex(o.Val), hex(val))
	}
}

type ctrl struct {
	Dev       string `json:"dev"`
	Attr      uint64 `json:"attr"`
	Name      string `json:"name"`
	Completed *int   `json:"completed,omitempty"`
	result
}

func (o *ctrl) replay(w *world) {
	d := w.device(o.Dev)
	if d == nil {
		return
	}
	e := d.SetAttr(kvmcore.GroupCtrl, o.Attr, 0, 0)
	completed := 1
	if w.vm.Crash() != "" {
		completed, w.ended = 0, true
	}
	if o.Completed != nil || completed == 0 {
		recorded := 1
		if o.Completed != nil {
			recorded = *o.Completed
		}
		w.compare("completed", recorded, completed)
	}
	if completed == 1 {
		w.outcome(o.result, 0, e)
	}
}

type signalMSI struct {
	DevID   uint32 `json:"devid"`
	EventID uint32 `json:"eventid"`
	Flags   uint32 `json:"flags"`
	result
}

func (o *signalMSI) replay(w *world) {
	if w.needVM() {
		ret, e := w.vm.SignalMSI(o.DevID, o.EventID, o.Flags)
		w.outcome(o.result, ret, e)
	}
}
