package workloads

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strings"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

// Page-write timeline, little endian.
//
//	header, 64 bytes                 record, 16 bytes
//	 0  "PGWRITE1"                    0  u64 instructions executed so far by the vCPU
//	 8  u32 vCPUs                     8  u32 page, from the start of RAM
//	12  u32 page shift, 12           12  u16 vCPU
//	16  u32 window, instructions     14  u16 0
//	20  u32 0
//	24  u64 guest memory, bytes
//	32  u64 records
//	40  24-byte name, NUL padded
//
// A record is the first store of a vCPU to a page in each window of that many
// of its instructions. Records are in the order in which they happened; counts
// rise per vCPU, not across them, and idle time is not counted.
var pwtFormat = traceFormat{name: "pwt", streams: pwtStreams, info: pwtInfo}

const (
	pwtMagic      = "PGWRITE1"
	pwtHeaderSize = 64
	pwtRecordSize = 16
	pwtNameSize   = 24
	maxPWTVCPUs   = 4096
	maxExpansion  = 1000 // by decompression
)

// PWTHeader is the header of a page-write timeline.
type PWTHeader struct {
	VCPUs   uint32 // 1 to 4096
	Window  uint32 // instructions, at least 1
	Memory  uint64 // bytes of guest RAM, a multiple of 4096, at most 2^44
	Records uint64
	Name    string // at most 24 bytes
}

// pwtRecord is the first store to a page in a window.
type pwtRecord struct {
	instr uint64
	page  uint32
	vcpu  uint16
	flags uint16
}

func decodePWTRecord(b []byte) pwtRecord {
	return pwtRecord{
		instr: binary.LittleEndian.Uint64(b),
		page:  binary.LittleEndian.Uint32(b[8:]),
		vcpu:  binary.LittleEndian.Uint16(b[12:]),
		flags: binary.LittleEndian.Uint16(b[14:]),
	}
}

// readPWTHeader consumes and checks the header.
func readPWTHeader(s *source) (PWTHeader, error) {
	b, err := s.peek(pwtHeaderSize)
	if err == io.EOF {
		return PWTHeader{}, s.whole(fmt.Sprintf("ends after %d bytes, inside the header of 64 bytes", len(b)), "record or fetch it again")
	}
	if err != nil {
		return PWTHeader{}, err
	}
	h := PWTHeader{
		VCPUs:   binary.LittleEndian.Uint32(b[8:]),
		Window:  binary.LittleEndian.Uint32(b[16:]),
		Memory:  binary.LittleEndian.Uint64(b[24:]),
		Records: binary.LittleEndian.Uint64(b[32:]),
		Name:    strings.TrimRight(string(b[40:64]), "\x00"),
	}
	problem := ""
	switch shift := binary.LittleEndian.Uint32(b[12:]); {
	case string(b[:8]) != pwtMagic:
		problem = fmt.Sprintf("byte 0: format %q, expected %q", b[:8], pwtMagic)
	case shift != tracePage:
		problem = fmt.Sprintf("byte 12: page shift %d, expected 12 (pages of 4 KiB)", shift)
	case binary.LittleEndian.Uint32(b[20:]) != 0:
		problem = fmt.Sprintf("byte 20: %#x where 0 is expected", binary.LittleEndian.Uint32(b[20:]))
	default:
		problem = h.check()
	}
	// Rising counts do not compress that well: such a file would only fill the
	// machine it is unpacked on.
	if bound := s.size / pwtRecordSize * maxExpansion; problem == "" && h.Records > uint64(bound)+maxExpansion {
		problem = fmt.Sprintf("byte 32: promises %d records, more than %d times what %d bytes can hold", h.Records, maxExpansion, s.size)
	}
	if problem != "" {
		return h, &TraceError{Path: s.path, Place: "header", Problem: problem, Fix: "write the file with `ringmap trace pack`"}
	}
	s.pos += pwtHeaderSize
	return h, nil
}

// check tells what is wrong with a header, empty if nothing is.
func (h PWTHeader) check() string {
	switch {
	case h.VCPUs < 1 || h.VCPUs > maxPWTVCPUs:
		return fmt.Sprintf("%d vCPUs, expected 1 to %d", h.VCPUs, maxPWTVCPUs)
	case h.Window == 0:
		return "a window of 0 instructions, expected at least 1"
	case h.Memory == 0 || h.Memory%(1<<tracePage) != 0 || h.Memory > 1<<44:
		return fmt.Sprintf("%d bytes of guest memory, expected a multiple of 4096 up to 2^44", h.Memory)
	}
	return ""
}

// pwtCheck checks records against what the recorder promises.
type pwtCheck struct {
	header PWTHeader
	count  uint64 // records seen
	vcpus  []pwtVCPU
}

type pwtVCPU struct {
	instr  uint64 // at the last record
	window uint64 // of the last record
	pages  uint64 // records in that window
	seen   bool
}

func newPWTCheck(h PWTHeader) *pwtCheck {
	return &pwtCheck{header: h, vcpus: make([]pwtVCPU, h.VCPUs)}
}

// next takes a record and tells what is wrong with it, empty if nothing is.
func (k *pwtCheck) next(r pwtRecord) string {
	pages := k.header.Memory >> tracePage
	switch {
	case uint32(r.vcpu) >= k.header.VCPUs:
		return fmt.Sprintf("vCPU %d, but the header says %d vCPUs", r.vcpu, k.header.VCPUs)
	case uint64(r.page) >= pages:
		return fmt.Sprintf("page %d lies beyond the %d pages of guest memory in the header", r.page, pages)
	case r.flags != 0:
		return fmt.Sprintf("last two bytes are %#x where 0 is expected", r.flags)
	}
	v := &k.vcpus[r.vcpu]
	if r.instr < v.instr {
		return fmt.Sprintf("vCPU %d goes back from %d to %d instructions; counts of a vCPU never fall", r.vcpu, v.instr, r.instr)
	}
	window := r.instr / uint64(k.header.Window)
	if !v.seen || window != v.window {
		v.seen, v.window, v.pages = true, window, 0
	}
	// The first store to a page in a window: there cannot be more of them than
	// pages. It also bounds what a hostile file of repeated bytes can expand to.
	if v.pages++; v.pages > pages {
		return fmt.Sprintf("vCPU %d has more records in one window than the guest has pages (%d)", r.vcpu, pages)
	}
	v.instr = r.instr
	k.count++
	return ""
}

// eachPWT reads a whole timeline and calls visit for every record that passed
// the checks.
func (t *Trace) eachPWT(visit func(pwtRecord) error) error {
	s, err := openSource(t.Path)
	if err != nil {
		return err
	}
	defer s.close()
	h, err := readPWTHeader(s)
	if err != nil {
		return err
	}
	if h != t.header {
		return s.whole("changed since it was opened", "leave a trace alone while it is used")
	}
	k := newPWTCheck(h)
	for {
		b, err := s.peek(pwtRecordSize)
		if err == io.EOF {
			return k.end(s, len(b))
		}
		if err != nil {
			return err
		}
		problem := ""
		if k.count == h.Records {
			problem = fmt.Sprintf("follows the %d records that the header promises", h.Records)
		} else {
			problem = k.next(decodePWTRecord(b))
		}
		if problem != "" {
			return &TraceError{Path: s.path, Place: k.place(s), Problem: problem, Fix: pwtFix}
		}
		if err := visit(decodePWTRecord(b)); err != nil {
			return err
		}
		s.pos += pwtRecordSize
	}
}

const pwtFix = "the file is damaged or was not written by the recorder: fetch or record it again"

// place names the record at the source's position.
func (k *pwtCheck) place(s *source) string {
	return fmt.Sprintf("record %d (byte %d)", k.count, s.at())
}

// end checks that the timeline ends where the header says, rest bytes after the
// last whole record.
func (k *pwtCheck) end(s *source, rest int) error {
	if rest == 0 && k.count == k.header.Records {
		return nil
	}
	problem := fmt.Sprintf("ends here, but the header promises %d records", k.header.Records)
	if rest != 0 {
		problem = fmt.Sprintf("has %d bytes, expected 16", rest)
	}
	return &TraceError{Path: s.path, Place: k.place(s), Problem: problem, Fix: pwtFix}
}

// pwtStreams computes the nominal times and packs them per vCPU.
//
// A vCPU does a store when its own instructions since its last record are
// done, but never before the store of another vCPU that the recording has
// earlier: the time between is idle time. Times are nominal, computed once;
// when the replay delays a vCPU, only that vCPU is late.
func pwtStreams(t *Trace, spec TraceSpec) ([]kvmcore.Stream, error) {
	h := t.header
	if int(h.VCPUs) != spec.VCPUs {
		return nil, &TraceError{Path: t.Path, Problem: fmt.Sprintf("was recorded with %d vCPUs, the machine has %d", h.VCPUs, spec.VCPUs),
			Fix: fmt.Sprintf("give the machine %d vCPUs", h.VCPUs)}
	}
	if h.Memory > spec.Size {
		return nil, &TraceError{Path: t.Path, Problem: fmt.Sprintf("was recorded with %d KiB of guest memory, the machine has %d KiB", h.Memory>>10, spec.Size>>10),
			Fix: fmt.Sprintf("give the machine at least %d KiB", h.Memory>>10)}
	}
	packs := newPacks(spec.VCPUs)
	type clock struct {
		instr uint64
		now   uint64 // nominal time in thousandths of a cycle
		page  uint32
	}
	clocks := make([]clock, spec.VCPUs)
	var before uint64 // time of the record before
	var n uint64
	err := t.eachPWT(func(r pwtRecord) error {
		c := &clocks[r.vcpu]
		delta := r.instr - c.instr
		over, busy := bits.Mul64(delta, uint64(spec.CPI))
		own, carry := bits.Add64(c.now, busy, 0)
		if over != 0 || carry != 0 || own >= 1<<63 {
			return &TraceError{Path: t.Path, Place: fmt.Sprintf("record %d", n),
				Problem: fmt.Sprintf("%d instructions at %v cycles each take more than 2^63 thousandths of a cycle", r.instr, spec.CPI), Fix: pwtFix}
		}
		at := max(own, before)
		var b [3 * binary.MaxVarintLen64]byte
		k := binary.PutUvarint(b[:], delta)
		k += binary.PutUvarint(b[k:], at-own)
		k += binary.PutVarint(b[k:], int64(r.page)-int64(c.page))
		*c = clock{r.instr, at, r.page}
		before = at
		n++
		return packs.add(int(r.vcpu), b[:k])
	})
	if err != nil {
		packs.Close()
		return nil, err
	}
	t.owned = append(t.owned, packs)
	var streams []kvmcore.Stream
	for v := range spec.VCPUs {
		open := func() (reader, error) {
			return &pwtReader{packs: packs, vcpu: v, base: spec.Base, cpi: uint64(spec.CPI), step: uint64(spec.VCPUs), value: uint64(v) + 1}, nil
		}
		streams = append(streams, t.newReplay(open))
	}
	return streams, nil
}

// pwtReader unpacks one vCPU's records into accesses.
type pwtReader struct {
	packs *packs
	vcpu  int
	base  mmu.IPA
	cpi   uint64
	step  uint64

	chunk int    // next chunk to fetch
	data  []byte // rest of the chunk before
	space []byte // for chunks that lie in the file

	now   uint64 // nominal time, thousandths of a cycle
	page  int64
	value uint64
	busy  uint64 // instructions before the store that are still to be given
	store bool   // a store follows the busy time
}

func (r *pwtReader) read(dst []kvmcore.GuestAccess) (int, error) {
	n := 0
	for n < len(dst) {
		if !r.store {
			idle, err := r.next()
			if err != nil {
				return n, err
			}
			if idle != 0 {
				dst[n] = kvmcore.GuestAccess{Op: kvmcore.GuestIdle, Value: idle}
				n++
			}
			continue
		}
		part := min(r.busy, maxWork)
		r.busy -= part
		a := kvmcore.GuestAccess{Op: kvmcore.GuestIdle, Instr: uint32(part)}
		a.Cycles = uint32(r.advance(part * r.cpi))
		if r.busy == 0 {
			a.Op, a.Size, a.IPA, a.Value = kvmcore.GuestStore, 8, r.base+mmu.IPA(r.page)<<tracePage, r.value
			r.value += r.step
			r.store = false
		}
		dst[n] = a
		n++
	}
	return n, nil
}

// next unpacks a record and returns the idle cycles before it.
func (r *pwtReader) next() (idle uint64, err error) {
	if len(r.data) == 0 {
		if r.data, err = r.packs.chunk(r.vcpu, r.chunk, &r.space); err != nil {
			return 0, err
		}
		r.chunk++
	}
	var n int
	r.busy, n = binary.Uvarint(r.data)
	r.data = r.data[n:]
	gap, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	page, n := binary.Varint(r.data)
	r.data = r.data[n:]
	r.page += page
	r.store = true
	return r.advance(gap), nil
}

// advance moves the nominal time and returns the whole cycles that it passed,
// so that the sum of all of them is the time rounded down.
func (r *pwtReader) advance(milli uint64) uint64 {
	from := r.now / 1000
	r.now += milli
	return r.now/1000 - from
}

func (r *pwtReader) close() {}

// packs are byte strings, one per vCPU, built by appending and read from the
// front. What exceeds the bound on memory goes to a temporary file.
type packs struct {
	lists  [][]pack
	bound  int // bytes to keep in memory
	memory int
	file   *os.File
	end    int64 // of the file
}

// pack is one chunk: in memory, or n bytes of the file.
type pack struct {
	data []byte
	at   int64
	n    int
}

const (
	packSize   = 64 << 10
	packMemory = 64 << 20 // kept in memory; about ten million records
)

func newPacks(vcpus int) *packs { return &packs{lists: make([][]pack, vcpus), bound: packMemory} }

// add appends a record, which is never split across chunks.
func (p *packs) add(vcpu int, b []byte) error {
	list := p.lists[vcpu]
	if n := len(list); n == 0 || len(list[n-1].data)+len(b) > packSize {
		if n != 0 && p.memory > p.bound {
			if err := p.spill(&list[n-1]); err != nil {
				return err
			}
		}
		p.lists[vcpu] = append(list, pack{})
		list = p.lists[vcpu]
	}
	last := &list[len(list)-1]
	before := cap(last.data)
	last.data = append(last.data, b...)
	p.memory += cap(last.data) - before
	return nil
}

// spill moves a chunk to the file.
func (p *packs) spill(k *pack) error {
	if p.file == nil {
		f, err := os.CreateTemp("", "ringmap-trace-*")
		if err != nil {
			return fmt.Errorf("workloads: the trace does not fit in memory and no temporary file can be made: %w", err)
		}
		p.file = f
	}
	if _, err := p.file.WriteAt(k.data, p.end); err != nil {
		return fmt.Errorf("workloads: the trace does not fit in memory nor in a temporary file: %w", err)
	}
	k.at, k.n = p.end, len(k.data)
	p.end += int64(k.n)
	p.memory -= cap(k.data)
	k.data = nil
	return nil
}

// chunk returns chunk i of a vCPU, io.EOF after the last.
func (p *packs) chunk(vcpu, i int, space *[]byte) ([]byte, error) {
	if i >= len(p.lists[vcpu]) {
		return nil, io.EOF
	}
	k := p.lists[vcpu][i]
	if k.data != nil {
		return k.data, nil
	}
	if *space == nil {
		*space = make([]byte, packSize)
	}
	b := (*space)[:k.n]
	if _, err := p.file.ReadAt(b, k.at); err != nil {
		return nil, fmt.Errorf("workloads: temporary file of the trace cannot be read back: %w", err)
	}
	return b, nil
}

// Close removes the temporary file.
func (p *packs) Close() error {
	if p.file == nil {
		return nil
	}
	p.file.Close()
	err := os.Remove(p.file.Name())
	p.file = nil
	return err
}

func pwtInfo(t *Trace) (TraceInfo, error) {
	h := t.header
	info := TraceInfo{Name: h.Name, VCPUs: int(h.VCPUs), Memory: h.Memory, Window: uint64(h.Window), PerVCPU: make([]uint64, h.VCPUs)}
	seen := pageTable{limit: 1 << 32}
	err := t.eachPWT(func(r pwtRecord) error {
		info.Records++
		info.Stores++
		info.PerVCPU[r.vcpu] = r.instr
		seen.of(uint64(r.page))
		return nil
	})
	info.Pages = seen.count
	for _, n := range info.PerVCPU {
		info.Instructions += n
	}
	return info, err
}
