package conform

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"ringmap/kvmcore"
	"ringmap/mmu"
	"ringmap/sim"
	"ringmap/workloads/script"
)

// world is one scenario in replay: the modelled machine and what its VMM knows.
type world struct {
	host *kvmcore.Host
	vm   *kvmcore.VM

	vcpus   []*kvmcore.VCPU
	scripts []*script.Stream // of the vCPUs
	area    script.Area
	devices map[string]kvmcore.Device // the later one of each name
	regions map[uint32]*region        // by slot id: what the VMM put there last
	symbolA mmu.HVA                   // the memory that family a's addresses are relative to
	ioctls  *kvmcore.Thread           // the VMM's thread for calls on the VM and its devices

	execute bool // the guests are machine code, not streams of accesses

	mapped uint64    // bytes of memory made so far
	limit  sim.Cycle // of one KVM_RUN: a guest that spins never comes back by itself
	reason string    // why the scenario cannot be replayed, "" so far
	diff   string    // the first difference, "" so far
	ended  bool      // the kernel crashed: nothing comes after
}

// region is a memslot as the VMM remembers it.
type region struct {
	gpa  mmu.IPA
	size uint64
	hva  mmu.HVA
}

func newWorld(k kvmcore.Kernel, execute bool) *world {
	h := kvmcore.NewHost(kvmcore.HostSpec{Kernel: k, Page: mmu.Granule4K, Cores: 1})
	return &world{
		host: h, ioctls: h.NewThread(h.Machine.Cores[0], "vmm"), limit: runLimit,
		execute: execute,
		devices: map[string]kvmcore.Device{}, regions: map[uint32]*region{},
	}
}

// unsupported ends the replay: the model cannot do what the recording did.
func (w *world) unsupported(format string, args ...any) {
	if w.reason == "" {
		w.reason = fmt.Sprintf(format, args...)
	}
}

// compare notes the first difference between recording and model.
func (w *world) compare(field string, recorded, modelled any) {
	if w.diff != "" {
		return
	}
	if a, b := fmt.Sprint(recorded), fmt.Sprint(modelled); a != b {
		w.diff = fmt.Sprintf("%s: recorded %s, modelled %s", field, a, b)
	}
}

// outcome compares an ioctl's value and error, and tells whether it succeeded in
// the model.
func (w *world) outcome(r result, ret int64, e kvmcore.Errno) bool {
	if e != kvmcore.OK {
		ret = -1
	}
	w.compare("err", r.Err, e.Error())
	w.compare("ret", r.Ret, ret)
	return e == kvmcore.OK
}

// vcpu returns the vCPU of that order of creation, nil if the model has none.
func (w *world) vcpu(n int) *kvmcore.VCPU {
	if n < 0 || n >= len(w.vcpus) {
		w.unsupported("vcpu %d does not exist", n)
		return nil
	}
	return w.vcpus[n]
}

// needVM tells whether there is a VM to call.
func (w *world) needVM() bool {
	if w.vm == nil {
		w.unsupported("no VM exists")
	}
	return w.vm != nil
}

type createVM struct{ result }

func (o *createVM) replay(w *world) {
	if w.vm != nil {
		w.vm.Destroy()
	}
	w.vm, w.vcpus, w.scripts, w.area = w.host.CreateVM(), nil, nil, script.Area{}
	clear(w.devices)
	w.outcome(o.result, 0, kvmcore.OK)
}

type destroyVM struct{ event }

func (o *destroyVM) replay(w *world) {
	if w.needVM() {
		w.vm.Destroy()
		w.vm, w.vcpus, w.scripts = nil, nil, nil
		clear(w.devices)
	}
}

type enableCap struct {
	Cap   uint32 `json:"cap"`
	Flags uint32 `json:"flags"`
	Args  []word `json:"args"`
	result
}

func (o *enableCap) replay(w *world) {
	if !w.needVM() {
		return
	}
	var args [4]uint64
	for i := range min(len(o.Args), len(args)) {
		args[i] = uint64(o.Args[i])
	}
	ret, e := w.vm.EnableCap(o.Cap, o.Flags, args)
	w.outcome(o.result, ret, e)
}

// nullArgument is an ioctl with a null pointer: copying the argument is the
// first thing that it does.
type nullArgument struct{ result }

func (o *nullArgument) replay(w *world) { w.outcome(o.result, -1, kvmcore.EFAULT) }

type checkExtension struct {
	Cap uint32 `json:"cap"`
	result
}

func (o *checkExtension) replay(w *world) {
	if w.needVM() {
		w.outcome(o.result, w.vm.CheckExtension(o.Cap), kvmcore.OK)
	}
}

type setMemoryRegion struct {
	Slot  uint32 `json:"slot"`
	Flags uint32 `json:"flags"`
	GPA   word   `json:"gpa"`
	Size  word   `json:"size"`
	HVA   string `json:"hva"`
	result
}

func (o *setMemoryRegion) replay(w *world) {
	if !w.needVM() {
		return
	}
	hva, ok := w.address(o)
	if !ok {
		return
	}
	r := kvmcore.Region{Slot: o.Slot, Flags: o.Flags, GPA: mmu.IPA(o.GPA), Size: uint64(o.Size), HVA: hva}
	if w.outcome(o.result, 0, w.vm.SetUserMemoryRegion(r)) && o.Size != 0 {
		w.regions[o.Slot] = &region{r.GPA, r.Size, hva}
	}
}

// What symbolic addresses stand for.
const (
	symbolSize  = 64 << 20
	unmappedHVA = mmu.HVA(0x2000_0000_0000) // below every mapping
	kernelHVA   = mmu.HVA(0xffff_8000_0000_0000)
	maxMapped   = 1 << 46 // bytes of all new mappings
)

// address resolves the symbolic address of a region.
func (w *world) address(o *setMemoryRegion) (mmu.HVA, bool) {
	switch name := o.HVA; {
	case name == "null":
		return 0, true
	case name == "unmapped":
		return unmappedHVA, true
	case name == "kernel":
		return kernelHVA, true
	case name == "same" || name == "kept":
		if r := w.regions[o.Slot]; r != nil {
			return r.hva, true
		}
		w.unsupported("slot %d has no memory yet that could be %q", o.Slot, name)
	case strings.HasPrefix(name, "new:"):
		kind, state, _ := strings.Cut(name[len("new:"):], ":")
		b, ok := kvmcore.ParseBacking(kind)
		w.mapped += uint64(o.Size)
		if ok && (state == "populated" || state == "fresh") && o.Size <= maxMapped && w.mapped <= maxMapped {
			return w.host.Memory.Map(max(uint64(o.Size), 1), b, state == "populated"), true
		}
		w.unsupported("memory %q of %#x bytes", name, uint64(o.Size))
	case name == "A" || strings.HasPrefix(name, "A+"):
		if w.symbolA == 0 {
			w.symbolA = w.host.Memory.Map(symbolSize, kvmcore.Backing4K, true)
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(name[1:], "+"), 0, 64)
		if err == nil || name == "A" {
			return w.symbolA + mmu.HVA(n), true
		}
		w.unsupported("address %q", name)
	default:
		w.unsupported("address %q", name)
	}
	return 0, false
}

type createVCPU struct {
	ID uint64 `json:"id"`
	result
}

func (o *createVCPU) replay(w *world) {
	if !w.needVM() {
		return
	}
	v, e := w.vm.CreateVCPU(o.ID)
	if !w.outcome(o.result, 0, e) {
		return
	}
	s := script.NewStream(len(w.vcpus))
	if w.execute {
		v.StartA64(uint64(script.Base), uint64(script.Start(len(w.vcpus))), coreHz)
	} else {
		v.Guest = s
	}
	w.vcpus, w.scripts = append(w.vcpus, v), append(w.scripts, s)
}

// coreHz is the frequency of cores that execute guests. Nothing depends on it: no
// script reads a clock.
const coreHz = 1_000_000_000

type mmapVCPU struct {
	VCPU   int      `json:"vcpu"`
	Prot   string   `json:"prot"`
	Flags  string   `json:"flags"`
	Offset uint64   `json:"pgoff"`
	Len    uint64   `json:"len"`
	Touch  []string `json:"touch,omitempty"`
	result
}

func (o *mmapVCPU) replay(w *world) {
	v := w.vcpu(o.VCPU)
	if v == nil {
		return
	}
	var prot kvmcore.Prot
	for i, c := range "rwx" {
		if strings.ContainsRune(o.Prot, c) {
			prot |= 1 << i
		}
	}
	m, e := v.Mmap(prot, o.Flags == "private", o.Offset, o.Len)
	if !w.outcome(o.result, 0, e) || o.Touch == nil {
		return
	}
	w.compare("pages", len(o.Touch), m.Pages)
	for i := range min(uint64(len(o.Touch)), m.Pages) {
		touch := "SIGBUS"
		if m.Touch(i) {
			touch = "ok"
		}
		w.compare(fmt.Sprintf("touch[%d]", i), o.Touch[i], touch)
	}
}

type guestProgram struct {
	event
	VCPU int       `json:"vcpu"`
	Code []guestOp `json:"code"`
}

func (o *guestProgram) replay(w *world) {
	if w.vcpu(o.VCPU) == nil {
		return
	}
	var ops []script.Op
	for i := range o.Code {
		op, err := o.Code[i].op()
		if err != nil {
			w.unsupported("%v", err)
			return
		}
		ops = append(ops, op)
	}
	patches, err := w.area.Append(w.scripts[o.VCPU], ops)
	if err != nil {
		w.unsupported("%v", err)
		return
	}
	for _, p := range patches {
		for i, v := range p.Words {
			w.store(p.IPA+mmu.IPA(i*8), v)
		}
	}
}

// hva is where the VMM has the guest's memory at ipa: in a slot that the VM has,
// else in the memory of one that it had.
func (w *world) hva(ipa mmu.IPA) (mmu.HVA, bool) {
	if w.vm != nil {
		if s := w.vm.Slots.ByGFN(w.host.Page.GFN(ipa)); s != nil {
			return s.HVA + mmu.HVA(ipa-w.host.Page.IPA(s.Base)), true
		}
	}
	ids := make([]uint32, 0, len(w.regions))
	for id := range w.regions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if r := w.regions[id]; uint64(ipa-r.gpa) < r.size {
			return r.hva + mmu.HVA(ipa-r.gpa), true
		}
	}
	return 0, false
}

// store is the VMM's own store of a word of guest memory.
func (w *world) store(ipa mmu.IPA, v uint64) {
	var b [8]byte
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	hva, ok := w.hva(ipa)
	if !ok || w.host.Memory.Write(hva, b[:], mmu.WriterVMM) != kvmcore.OK {
		w.unsupported("the VMM has no memory at %#x", uint64(ipa))
	}
}

type mmio struct {
	Addr  word  `json:"addr"`
	Len   uint8 `json:"len"`
	Write bool  `json:"write"`
	Data  word  `json:"data"`
}

type run struct {
	VCPU int    `json:"vcpu"`
	Exit string `json:"exit"`
	MMIO *mmio  `json:"mmio,omitempty"`
	result
}

// runLimit bounds one KVM_RUN, in cycles of guest work: the longest recorded one
// takes some 10^6.
const runLimit = sim.Cycle(1) << 28

func (o *run) replay(w *world) {
	v := w.vcpu(o.VCPU)
	if v == nil || w.inside(v) {
		return
	}
	v.Enter()
	state := w.carryOn(v, w.limit)
	if state != kvmcore.RunExit {
		w.unsupported("KVM_RUN does not return (state %d)", state)
		return
	}
	if !w.outcome(o.result, v.Run.Ret, v.Run.Errno) {
		return
	}
	w.compare("exit", o.Exit, exitName(v.Run.ExitReason))
	if v.Run.ExitReason != kvmcore.ExitMMIO || o.MMIO == nil {
		w.compare("mmio", o.MMIO != nil, v.Run.ExitReason == kvmcore.ExitMMIO)
		return
	}
	m := v.Run.MMIO
	w.compare("mmio.addr", hex(o.MMIO.Addr), hex(m.Addr))
	w.compare("mmio.len", o.MMIO.Len, m.Len)
	w.compare("mmio.write", o.MMIO.Write, m.Write)
	if m.Write && m.Len <= 8 {
		w.compare("mmio.data", hex(o.MMIO.Data), hex(m.Data<<(64-8*m.Len)>>(64-8*m.Len)))
	}
}

// carryOn lets the vCPU run for so many cycles, or until KVM_RUN returns.
func (w *world) carryOn(v *kvmcore.VCPU, cycles sim.Cycle) kvmcore.RunState {
	limit := v.Thread.Core.Now + cycles
	for {
		if state := v.Continue(limit); state != kvmcore.RunFault {
			return state
		}
	}
}

// inside tells whether another thread is in KVM_RUN on the vCPU: its ioctls wait
// for its mutex then.
func (w *world) inside(v *kvmcore.VCPU) bool {
	if v.Thread.VCPU != nil {
		w.unsupported("the vCPU is inside KVM_RUN in another thread")
	}
	return v.Thread.VCPU != nil
}

func hex[T ~uint64](v T) string { return fmt.Sprintf("%#x", uint64(v)) }

func exitName(reason uint32) string {
	switch reason {
	case kvmcore.ExitUnknown:
		return "UNKNOWN"
	case kvmcore.ExitMMIO:
		return "MMIO"
	case kvmcore.ExitIntr:
		return "INTR"
	case kvmcore.ExitDirtyRingFull:
		return "DIRTY_RING_FULL"
	}
	return strconv.Itoa(int(reason))
}

type setImmediateExit struct {
	event
	VCPU  int `json:"vcpu"`
	Value int `json:"value"`
}

func (o *setImmediateExit) replay(w *world) {
	if v := w.vcpu(o.VCPU); v != nil {
		v.Run.ImmediateExit = o.Value != 0
	}
}

// note is free text, except where it says what another thread does.
type note struct {
	event
	Text string `json:"text"`
}

func (o *note) replay(w *world) {
	var n int
	switch {
	case scan(o.Text, "vcpu %d is inside KVM_RUN", &n):
		if v := w.vcpu(n); v != nil && !w.inside(v) {
			v.Enter()
			w.carryOn(v, untilSpinning)
		}
	case scan(o.Text, "vcpu %d kicked out", &n):
		if v := w.vcpu(n); v != nil && v.Thread.VCPU != nil {
			v.Kick()
			w.carryOn(v, w.limit)
		}
	}
}

// untilSpinning is enough cycles for a guest that spins at once to be doing so.
const untilSpinning = 10000

// scan tells whether text has the format, and stores its number.
func scan(text, format string, n *int) bool {
	_, err := fmt.Sscanf(text, format, n)
	return err == nil
}

type pvtimeSet struct {
	VCPU int  `json:"vcpu"`
	IPA  word `json:"ipa"`
	result
}

func (o *pvtimeSet) replay(w *world) {
	if v := w.vcpu(o.VCPU); v != nil {
		w.outcome(o.result, 0, v.SetPVTime(mmu.IPA(o.IPA)))
	}
}

type resetDirtyRings struct{ result }

func (o *resetDirtyRings) replay(w *world) {
	if w.needVM() {
		ret, e := w.vm.ResetDirtyRings(w.ioctls)
		w.outcome(o.result, ret, e)
	}
}

type getDirtyLog struct {
	Slot  uint32   `json:"slot"`
	Buf   string   `json:"buf"`
	Set   []bitRun `json:"set,omitempty"`
	Count *uint64  `json:"count,omitempty"`
	result
}

func (o *getDirtyLog) replay(w *world) {
	if !w.needVM() {
		return
	}
	var out *kvmcore.DirtyLog
	if o.Buf == "ok" {
		out = &kvmcore.DirtyLog{}
	}
	w.ioctls.StartGetDirtyLog(w.vm, o.Slot, out)
	w.ioctls.Finish()
	if !w.outcome(o.result, w.ioctls.Ret, w.ioctls.Err) || o.Count == nil {
		return
	}
	var runs []bitRun
	count := uint64(0)
	for _, word := range out.Words {
		runs = appendBits(runs, word.Index*64, word.Bits)
		count += uint64(bits.OnesCount64(word.Bits))
	}
	w.compare("set", normal(o.Set), runs)
	w.compare("count", *o.Count, count)
}

// appendBits adds the set bits of a word to runs, joining neighbours.
func appendBits(runs []bitRun, base, word uint64) []bitRun {
	for word != 0 {
		first := uint64(bits.TrailingZeros64(word))
		n := uint64(bits.TrailingZeros64(^(word >> first)))
		runs = join(runs, bitRun{base + first, n})
		word &^= (1<<n - 1) << first
	}
	return runs
}

func join(runs []bitRun, r bitRun) []bitRun {
	if n := len(runs); n > 0 && runs[n-1].Start+runs[n-1].Length == r.Start {
		runs[n-1].Length += r.Length
		return runs
	}
	return append(runs, r)
}

// normal joins runs that touch: recordings need not have done so.
func normal(runs []bitRun) (out []bitRun) {
	for _, r := range runs {
		if r.Length > 0 {
			out = join(out, r)
		}
	}
	return out
}

type clearDirtyLog struct {
	Slot  uint32   `json:"slot"`
	First uint64   `json:"first"`
	Num   uint32   `json:"num"`
	Buf   string   `json:"buf"`
	Bits  []bitRun `json:"bits,omitempty"`
	result
}

func (o *clearDirtyLog) replay(w *world) {
	if !w.needVM() {
		return
	}
	var in *kvmcore.DirtyLog
	if o.Buf == "ok" {
		in = w.bitmap(o)
	}
	w.ioctls.StartClearDirtyLog(w.vm, o.Slot, o.First, o.Num, in)
	w.ioctls.Finish()
	w.outcome(o.result, w.ioctls.Ret, w.ioctls.Err)
}

// bitmap is the buffer of a CLEAR. Bits behind the end of the slot are left out:
// a call that names them fails before it reads the buffer.
func (w *world) bitmap(o *clearDirtyLog) *kvmcore.DirtyLog {
	var pages, total uint64
	if s := w.vm.Slots.ByID(uint16(o.Slot)); s != nil {
		pages = s.Pages
	}
	log := &kvmcore.DirtyLog{}
	for _, r := range o.Bits {
		end := min(r.Start+min(r.Length, pages), pages)
		if total += end - min(r.Start, end); total > maxClearBits {
			w.unsupported("a bitmap of more than %d bits", uint64(maxClearBits))
			return nil
		}
		for at := r.Start; at < end; {
			n := min(end-at, 64-at%64)
			log.Words = append(log.Words, kvmcore.DirtyWord{Index: at / 64, Bits: ^uint64(0) >> (64 - n) << (at % 64)})
			at += n
		}
	}
	slices.SortStableFunc(log.Words, func(a, b kvmcore.DirtyWord) int { return cmp.Compare(a.Index, b.Index) })
	merged := log.Words[:0]
	for _, word := range log.Words {
		if n := len(merged); n > 0 && merged[n-1].Index == word.Index {
			merged[n-1].Bits |= word.Bits
		} else {
			merged = append(merged, word)
		}
	}
	log.Words = merged
	return log
}

// maxClearBits bounds a CLEAR: the pages of 1 TiB.
const maxClearBits = 1 << 28
