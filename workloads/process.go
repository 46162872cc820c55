package workloads

import (
	"fmt"
	"math/bits"

	"ringmap/kvmcore"
	"ringmap/mmu"
)

// process replays one process's accesses as a guest's: virtual pages become
// guest pages in the order in which they are first touched.
type process struct {
	base  mmu.IPA
	pages pageTable
	work  work
	code  uint64 // virtual page fetched from last, plus 1

	stores  uint64
	written [][]uint64 // per guest page, one bit per byte: the lowest bit of what was stored there last

	dst  []kvmcore.GuestAccess // of the read under way
	n    int
	rest []kvmcore.GuestAccess // accesses of the last record that found no room
	full bool                  // a page found no memory
}

// begin starts a read into dst with what is left of the last record.
func (p *process) begin(dst []kvmcore.GuestAccess) {
	p.dst = dst
	p.n = copy(dst, p.rest)
	p.rest = p.rest[:copy(p.rest, p.rest[p.n:])]
}

// room reports whether another record may be taken.
func (p *process) room() bool { return p.n < len(p.dst) && !p.full }

// put emits an access together with the work before it.
func (p *process) put(a kvmcore.GuestAccess) {
	p.work.charge(&a)
	if p.n < len(p.dst) {
		p.dst[p.n] = a
		p.n++
	} else {
		p.rest = append(p.rest, a)
	}
}

// instruction retires an instruction of size bytes at va. The guest fetches
// when execution enters another page: fetches inside a page change nothing.
func (p *process) instruction(va, size uint64) {
	if p.work.instr == maxWork {
		p.put(kvmcore.GuestAccess{Op: kvmcore.GuestIdle})
	}
	p.work.instr++
	if first := va>>tracePage + 1; first != p.code {
		p.fetch(va, first)
	}
	if last := (va+size-1)>>tracePage + 1; last != p.code {
		p.fetch((last-1)<<tracePage, last)
	}
}

func (p *process) fetch(va, code uint64) {
	p.code = code
	if ipa, ok := p.translate(va &^ 3); ok {
		p.put(kvmcore.GuestAccess{IPA: ipa, Size: 4, Op: kvmcore.GuestFetch})
	}
}

// load and store split what crosses a page, since neighbouring virtual pages
// need not be neighbours in the guest, and what is no power of two.
func (p *process) load(va, size uint64) {
	for size > 0 && !p.full {
		n := piece(va, size)
		if ipa, ok := p.translate(va); ok {
			p.put(kvmcore.GuestAccess{IPA: ipa, Size: uint8(n), Op: kvmcore.GuestLoad})
		}
		va, size = va+n, size-n
	}
}

func (p *process) store(va, size uint64) {
	for size > 0 && !p.full {
		n := piece(va, size)
		if ipa, ok := p.translate(va); ok {
			page := int((ipa - p.base) >> tracePage)
			p.put(kvmcore.GuestAccess{IPA: ipa, Value: p.value(page, uint(va)%(1<<tracePage), uint(n)), Size: uint8(n), Op: kvmcore.GuestStore})
		}
		va, size = va+n, size-n
	}
}

// piece is the largest access at va that stays within size and in its page.
func piece(va, size uint64) uint64 {
	room := 1<<tracePage - va%(1<<tracePage)
	size = min(size, room, 8)
	return 1 << (bits.Len64(size) - 1)
}

// Eight bytes of 1: the lowest bit of each byte.
const lowBits = 0x0101010101010101

// value invents a value to store, since the trace has none. It differs from
// what this process stored in that place before, however small the store: all
// of its bytes have the lowest bit that the first byte did not have.
func (p *process) value(page int, off, n uint) uint64 {
	for page >= len(p.written) {
		p.written = append(p.written, nil)
	}
	w := p.written[page]
	if w == nil {
		w = make([]uint64, 1<<tracePage/64)
		p.written[page] = w
	}
	bit := ^w[off/64] >> (off % 64) & 1
	for at, left := off, n; left > 0; {
		k := min(left, 64-at%64)
		m := (uint64(1)<<k - 1) << (at % 64)
		w[at/64] = w[at/64]&^m | m*bit
		at, left = at+k, left-k
	}
	p.stores++
	v := p.stores*0x9e3779b97f4a7c15&^lowBits | bit*lowBits
	return v & (^uint64(0) >> (64 - 8*n))
}

// translate returns the guest address of va, giving its page the next free
// guest page when it is touched first. It fails for good when none is left.
func (p *process) translate(va uint64) (mmu.IPA, bool) {
	page, ok := p.pages.of(va >> tracePage)
	p.full = p.full || !ok
	return p.base + mmu.IPA(page<<tracePage+va%(1<<tracePage)), ok
}

// outOfMemory names the place where a process needs one page too many.
func outOfMemory(path, unit string, n, pages uint64) error {
	fix := "give the machine more memory; `ringmap trace info` prints how many pages the trace touches"
	if pages == maxPages {
		fix = "it is not a trace of one process, or cut it shorter"
	}
	return &TraceError{Path: path, Place: fmt.Sprintf("%s %d", unit, n),
		Problem: fmt.Sprintf("touches more than %d pages, all that there is for it", pages), Fix: fix}
}

// pageTable numbers pages in the order in which they are first touched: open
// addressing, since it is looked up once per access.
type pageTable struct {
	limit uint64 // of numbers given
	count uint64
	keys  []uint64 // virtual page + 1, 0 = empty; a power of two of them
	pages []uint32
}

// of returns the number of a virtual page; false if it has none and the limit
// is reached.
func (t *pageTable) of(virtual uint64) (uint64, bool) {
	if t.count*2 >= uint64(len(t.keys)) {
		t.grow()
	}
	i := t.find(virtual)
	if t.keys[i] == 0 {
		if t.count == t.limit {
			return 0, false
		}
		t.keys[i], t.pages[i] = virtual+1, uint32(t.count)
		t.count++
	}
	return uint64(t.pages[i]), true
}

// find returns the place of a virtual page, or the empty place where it belongs.
func (t *pageTable) find(virtual uint64) uint64 {
	mask := uint64(len(t.keys) - 1)
	i := virtual * 0x9e3779b97f4a7c15 >> 32 & mask
	for t.keys[i] != 0 && t.keys[i] != virtual+1 {
		i = (i + 1) & mask
	}
	return i
}

func (t *pageTable) grow() {
	keys, pages := t.keys, t.pages
	size := max(1024, 2*len(keys))
	t.keys, t.pages = make([]uint64, size), make([]uint32, size)
	for j, key := range keys {
		if key != 0 {
			i := t.find(key - 1)
			t.keys[i], t.pages[i] = key, pages[j]
		}
	}
}

// partition gives a vCPU its part of the machine's memory, for traces of one
// process: every vCPU runs its own copy.
func (t *Trace) partition(spec TraceSpec, vcpu int) (process, error) {
	pages := spec.Size >> tracePage / uint64(spec.VCPUs)
	if pages == 0 {
		return process{}, &TraceError{Path: t.Path, Problem: fmt.Sprintf("%d bytes of guest memory give %d vCPUs less than a page each", spec.Size, spec.VCPUs),
			Fix: "give the machine more memory"}
	}
	return process{
		base:  spec.Base + mmu.IPA(uint64(vcpu)*pages<<tracePage),
		pages: pageTable{limit: min(pages, maxPages)},
		work:  work{cpi: spec.CPI},
	}, nil
}

// copies opens one reader per vCPU.
func (t *Trace) copies(spec TraceSpec, open func(process) (reader, error)) ([]kvmcore.Stream, error) {
	var streams []kvmcore.Stream
	for v := range spec.VCPUs {
		p, err := t.partition(spec, v)
		if err != nil {
			return nil, err
		}
		streams = append(streams, t.newReplay(func() (reader, error) { return open(p) }))
	}
	return streams, nil
}
